"""Which client belongs to a server that is known by its flavour alone.

Enters: a flavour. Leaves: the arguments that start the client.
"""

from __future__ import annotations

from servers import chroot, docker
from servers.mysql import mysql_on_path, on_path
from servers.running import CannotStart


def native_client(flavour: str) -> tuple[str, ...]:
    """The client for a server of the MySQL family; its own one where there is a choice.

    Raises CannotStart with what to install.
    """
    mariadb, mysql = on_path("mariadb"), on_path("mysql")
    if flavour.startswith("mariadb"):
        client = mariadb or mysql
    elif mysql_on_path():
        client = mysql
    elif chroot.is_installed():
        return chroot.client()
    elif docker.engine_answers():
        return docker.client()
    else:
        client = mysql or mariadb
    if client is None:
        raise CannotStart(f"No client for {flavour} is on PATH: install mariadb-client")
    return (client,)
