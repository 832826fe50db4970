"""What every model shares: the naming convention, the declarative bases, and common column types.

Leaves: `Base` (databases main and billing), `AuditBase` (audit) and `ShopBase` (a schema for each
tenant).  Which database a table lands in is decided in databases.yaml, or by a bind_key here.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Annotated, Any

from sqlalchemy import DateTime, MetaData, Numeric, func, text
from sqlalchemy.dialects import mysql
from sqlalchemy.orm import DeclarativeBase, mapped_column

NAMING_CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

# SQLAlchemy reads the options of the dialect that the URL names, so both names are given.
MYSQL_OPTIONS: dict[str, Any] = {
    f"{dialect}_{option}": value
    for dialect in ("mysql", "mariadb")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"))
}

Money = Annotated[Decimal, mapped_column(Numeric(12, 2))]
CreatedAt = Annotated[datetime, mapped_column(DateTime(timezone=True), server_default=func.now())]
# MySQL keeps whole seconds unless told otherwise.
CreatedAtMicroseconds = Annotated[
    datetime,
    mapped_column(mysql.DATETIME(fsp=6), server_default=text("CURRENT_TIMESTAMP(6)")),
]


class Base(DeclarativeBase):
    """Tables of the databases main and billing."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)


class AuditBase(DeclarativeBase):
    """Tables of the database audit."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION, info={"bind_key": "audit"})


class ShopBase(DeclarativeBase):
    """Tables that every tenant has in a schema of its own."""

    metadata = MetaData(naming_convention=NAMING_CONVENTION)
