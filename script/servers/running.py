"""What the rest of the program sees of a server.

Enters: nothing. Leaves: `RunningServer`, and the two ways in which a server cannot be had.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NoReturn

from sqlalchemy import URL

from orchestrator.config.flavour import Family

USER = "app"
# Every character here has broken some program that puts a password into a URL, a configparser
# file, a shell line or a format string. Tests look for it in all that is printed.
PASSWORD = "s3cr%40t:p/w@rd?#&"

Driver = Literal["postgresql+psycopg2", "mysql+pymysql"]


class CannotStart(Exception):
    """The server was asked for and does not run; the message says why and what to do."""


class PortTaken(CannotStart):
    """Somebody took the port between the look and the start."""


class NotInstallable(CannotStart):
    """The server's software cannot be had here (not: it was installed and fails)."""


def _cannot() -> NoReturn:
    raise CannotStart("A server in a container is neither killed nor started again")


@dataclass(frozen=True, slots=True)
class RunningServer:
    """One server that runs now.

    name: as given to `start`.
    flavour: "postgresql-18", "mariadb-10.11", as the server itself says.
    url: SQLAlchemy URL of the superuser, password included; PostgreSQL's names the database
    "postgres", MySQL's names none.
    pid: its process; None when it runs in a container.
    client: the arguments that start its own interactive client (psql, mariadb or mysql).
    """

    name: str
    family: Family
    flavour: str
    url: str
    pid: int | None
    client: tuple[str, ...]
    _stop: Callable[[], None] = field(repr=False, compare=False)
    _kill: Callable[[], None] = field(default=_cannot, repr=False, compare=False)
    _again: Callable[[], int] = field(default=_cannot, repr=False, compare=False)

    def stop(self) -> None:
        """End the server and remove its data. A second call does nothing."""
        self._stop()

    def kill(self) -> None:
        """End all its processes by SIGKILL, as a crash would; its data stays as it is."""
        self._kill()

    def start_again(self) -> int:
        """Start it on its data and port, after `kill`, and wait until it answers; gives the pid of
        its new process. Raises CannotStart."""
        return self._again()


def url_of(driver: Driver, port: int, database: str | None = None, host: str = "127.0.0.1") -> URL:
    """The superuser's URL at `port`."""
    return URL.create(driver, USER, PASSWORD, host, port, database)
