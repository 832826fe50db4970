"""Which servers there are, and which of them a run uses.

Enters: a name. Leaves: a running server, or the reason why not.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from orchestrator.config.flavour import Family
from servers import chroot, docker, mysql, postgresql
from servers.running import CannotStart, PortTaken, RunningServer

_STARTERS: Final[dict[str, tuple[Family, Callable[..., RunningServer]]]] = {
    "pg18": ("postgresql", postgresql.start_wheel_18),
    "pg15": ("postgresql", postgresql.start_debian_15),
    "mariadb": ("mysql", mysql.start_mariadb),
    "mysql": ("mysql", mysql.start_mysql_chroot),
    "mysql-path": ("mysql", mysql.start_mysql_on_path),
    "mysql-docker": ("mysql", docker.start_mysql_container),
    "mysql-family": ("mysql", lambda **how: start(mysql_family(), **how)),
}
_INSTALLERS: Final[dict[str, Callable[[], object]]] = {
    "pg15": postgresql.install_debian_15,
    "mariadb": mysql.install_mariadb,
    "mysql": chroot.install,
}

FAMILIES: Final[dict[str, Family]] = {name: family for name, (family, _) in _STARTERS.items()}
EVERY: Final = ("pg18", "pg15", "mariadb", "mysql")
DEFAULT_POSTGRES: Final = "pg18"


def start(name: str, *, durable: bool = False) -> RunningServer:
    """Start one server. durable: it keeps what was committed when it is killed; the others are
    quicker. Raises CannotStart, or its subclass NotInstallable."""
    starter = _starter(name)
    how = {"durable": True} if durable else {}
    for _ in range(2):
        with suppress(PortTaken):
            return starter(**how)
    return starter(**how)


def install(name: str) -> None:
    """Have the server's software here, without starting it. Raises NotInstallable."""
    _starter(name)
    installer = _INSTALLERS.get(name)
    if installer is not None:
        installer()


def mysql_family() -> str:
    """The name of the MySQL-family server for a run that names none.

    Docker when an engine answers, else what is on PATH, else MariaDB where apt-get can install
    it. Raises CannotStart with what to install.
    """
    if docker.engine_answers():
        return "mysql-docker"
    if mysql.mariadb_on_path():
        return "mariadb"
    if mysql.mysql_on_path():
        return "mysql-path"
    if os.geteuid() == 0 and shutil.which("apt-get"):
        return "mariadb"
    raise CannotStart(
        "No MySQL-family server is here: start Docker, or run "
        "`sudo apt-get install mariadb-server`, then try again"
    )


def _starter(name: str) -> Callable[[], RunningServer]:
    if name not in _STARTERS:
        raise CannotStart(f"{name!r} is no server; there are {', '.join(_STARTERS)}")
    return _STARTERS[name][1]
