from sqlalchemy import Column, Integer, String
from sqlalchemy.orm import relationship

from apps.database import Base, book_authors


class Author(Base):
    __tablename__ = "authors"
    id = Column(Integer, primary_key=True)
    kind = Column(String(20))
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "author"}


class Anonymous(Author):
    __mapper_args__ = {"polymorphic_identity": "anonymous"}


class Book(Base):
    __tablename__ = "books"
    id = Column(Integer, primary_key=True)
    title = Column(String(200), index=True)
    authors = relationship(Author, secondary=book_authors)
