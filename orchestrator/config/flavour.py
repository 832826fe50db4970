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
