import enum

from sqlalchemy import Enum, MetaData, Sequence
from sqlalchemy.orm import DeclarativeBase


class Base(DeclarativeBase):
    metadata = MetaData(
        schema=None,
        naming_convention={
            "ix": "ix_%(column_0_label)s",
            "uq": "uq_%(table_name)s_%(column_0_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        },
        info={"owner": "shop"},
    )


class Status(enum.Enum):
    new = "new"
    paid = "paid"


status = Enum(Status, name="status", metadata=Base.metadata)
order_numbers = Sequence("order_numbers", metadata=Base.metadata, start=1000)
audit_numbers = Sequence("audit_numbers", metadata=Base.metadata)
audit_numbers.info["bind_key"] = "audit"
