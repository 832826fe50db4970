from sqlalchemy.orm import Mapped, mapped_column

from apps.database import AuditBase


class Change(AuditBase):
    __tablename__ = "changes"
    id: Mapped[int] = mapped_column(primary_key=True)
