"""The flavour of a database server: which dialect it speaks, and which version it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Family = Literal["postgresql", "mysql"]
FlavourName = Literal["postgresql", "mysql", "mariadb"]

_WRITTEN = re.compile(r"(postgresql|mysql|mariadb)(?:-(\d+(?:\.\d+){0,2}))?")


@dataclass(frozen=True, slots=True)
class Flavour:
    """postgresql, mysql or mariadb, with the server's version (empty: not known).

    >>> str(Flavour.parse("mysql-8.4"))
    'mysql-8.4'
    """

    name: FlavourName
    version: tuple[int, ...] = ()

    @property
    def family(self) -> Family:
        """The driver family: MariaDB speaks MySQL's protocol."""
        return "postgresql" if self.name == "postgresql" else "mysql"

    @property
    def series(self) -> Flavour:
        """This flavour with only as much of the version as decides what SQL may be written for it.

        Within a series the makers change no SQL (PostgreSQL's "Versioning Policy"; "MySQL Releases:
        Innovation and LTS"; MariaDB's "Release Criteria"), and neither SQLAlchemy's nor Alembic's
        dialects tell its releases apart. MySQL 8.0 is the exception: it gained SQL up to its end
        (CHECK in 8.0.16, expressions as defaults in 8.0.13), so its releases stay as they are.
        """
        if self.name == "postgresql" and self.version >= (10,):
            return Flavour(self.name, self.version[:1])
        if self.name == "mysql" and self.version < (8, 1):
            return self
        if self.name == "mariadb" and self.version < (10, 6):
            return self
        return Flavour(self.name, self.version[:2])

    @classmethod
    def parse(cls, text: str) -> Flavour:
        """Read "postgresql-16", "mysql-8.4", "mariadb-10.11" or a bare name.

        Raises ValueError for anything else.
        """
        match = _WRITTEN.fullmatch(text.strip().lower())
        if match is None:
            raise ValueError(
                f"{text!r} is no flavour; write postgresql-16, mysql-8.4 or mariadb-10.11"
            )
        name, version = match.groups()
        return cls(name, tuple(int(part) for part in version.split(".")) if version else ())  # type: ignore[arg-type]

    def __str__(self) -> str:
        return f"{self.name}-{'.'.join(map(str, self.version))}" if self.version else self.name
