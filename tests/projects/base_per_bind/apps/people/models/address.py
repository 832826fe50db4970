from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from apps.database import Base


class Address(Base):
    __tablename__ = "addresses"
    id: Mapped[int] = mapped_column(primary_key=True)
    person_id: Mapped[int] = mapped_column(ForeignKey("people.id"))
