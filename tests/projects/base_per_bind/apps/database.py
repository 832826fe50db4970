from sqlalchemy import MetaData
from sqlalchemy.orm import DeclarativeBase, MappedAsDataclass


class Base(MappedAsDataclass, DeclarativeBase):
    pass


class AuditBase(DeclarativeBase):
    metadata = MetaData(info={"bind_key": "audit"})
