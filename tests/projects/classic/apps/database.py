from sqlalchemy import Column, ForeignKey, MetaData, Table
from sqlalchemy.orm import declarative_base, registry

metadata = MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})
Base = declarative_base(metadata=metadata)
mapper_registry = registry()

book_authors = Table(
    "book_authors",
    metadata,
    Column("book_id", ForeignKey("books.id"), primary_key=True),
    Column("author_id", ForeignKey("authors.id"), primary_key=True),
)
