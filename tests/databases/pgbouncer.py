"""PgBouncer before a PostgreSQL server, in any of its modes.

Enters: the URL of a database.  Leaves: the URL of the same database behind PgBouncer, which runs as
an ordinary user for as long as a block lasts.
"""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psycopg2
from sqlalchemy import URL

from servers.debian import apt_install
from servers.process import bound_to_starter, free_port, own_directory, spawn

Mode = Literal["session", "transaction", "statement"]

_DEBIAN = Path("/usr/sbin/pgbouncer")
# PgBouncer 1.18, "config.md". auth_type any: every client is let in, as the user written here.
_CONFIGURATION = """\
[databases]
* = host=127.0.0.1 port={behind} user={user} password='{password}'

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
ignore_startup_parameters = extra_float_digits
logfile = {log}
"""


def install() -> str:
    """The program, installed where that is possible. Raises NotInstallable."""
    if shutil.which("pgbouncer") is None and not _DEBIAN.exists():
        apt_install("pgbouncer")
    return shutil.which("pgbouncer") or str(_DEBIAN)


@contextmanager
def pgbouncer(url: URL, mode: Mode, *, size: int = 20) -> Iterator[URL]:
    """PgBouncer before the server of a URL. size: how many of its sessions it has."""
    program = install()
    directory = own_directory("pgbouncer")
    port = free_port()
    file, log = directory / "pgbouncer.ini", directory / "log"
    file.write_text(
        _CONFIGURATION.format(
            behind=url.port,
            user=url.username,
            password=str(url.password).replace("'", "''"),
            port=port,
            mode=mode,
            size=size,
            log=directory / "own.log",
        )
    )
    shutil.chown(file, directory.owner())
    file.chmod(0o600)
    through = url.set(port=port)

    def answers() -> str:
        psycopg2.connect(
            through.render_as_string(hide_password=False).replace("+psycopg2", ""),
            connect_timeout=5,
        ).close()
        return mode

    process = spawn([*bound_to_starter("KILL"), program, str(file)], directory, log, signal.SIGINT)
    process.wait_until(answers, log)
    try:
        yield through
    finally:
        process.stop()
