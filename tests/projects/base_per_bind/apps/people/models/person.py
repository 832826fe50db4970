from sqlalchemy.orm import Mapped, mapped_column

from apps.database import Base


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
