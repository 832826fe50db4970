"""Servers of the MySQL family that are programs of this machine, or of a chroot.

Enters: a name. Leaves: a running server. Raises CannotStart.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pymysql

from servers import chroot
from servers.debian import apt_install
from servers.process import bound_to_starter, free_port, own_directory, run_to_end, spawn
from servers.running import PASSWORD, USER, CannotStart, NotInstallable, RunningServer, url_of

_SBIN = "/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin"

_BOTH = (
    "--bind-address=127.0.0.1",
    "--skip-name-resolve",
    "--character-set-server=utf8mb4",
    "--max-connections=300",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--skip-log-bin",
)
# For servers that are killed: what was committed survives that; the machine does not crash.
_DURABLE = ("--innodb-flush-log-at-trx-commit=2",)
_MYSQL_ONLY = ("--mysqlx=OFF", "--secure-file-priv=NULL")


@dataclass(frozen=True, slots=True)
class Software:
    """Where one server's programs are.

    enter: what to put before a command so that it runs where the programs are (chroot).
    root: the directory that is "/" to them.
    prepare: the command that makes an empty data directory, given its path.
    """

    enter: tuple[str, ...]
    root: Path
    server: str
    client: str
    prepare: Callable[[str], list[str]]
    settings: tuple[str, ...] = _BOTH


def on_path(program: str) -> str | None:
    """A program's path; a plain user's PATH often lacks the sbin directories."""
    return shutil.which(program) or shutil.which(program, path=_SBIN)


def mariadb_on_path() -> str | None:
    """The path of MariaDB's server, which older packages call mysqld."""
    mysqld = on_path("mysqld")
    return on_path("mariadbd") or (mysqld if mysqld and _is_mariadb(mysqld) else None)


def mysql_on_path() -> str | None:
    """The path of a real MySQL server."""
    mysqld = on_path("mysqld")
    return mysqld if mysqld and not _is_mariadb(mysqld) else None


def install_mariadb() -> None:
    """Have a MariaDB server on this machine. Raises NotInstallable."""
    if mariadb_on_path() is None:
        apt_install("mariadb-server")


def start_mariadb(*, durable: bool = False) -> RunningServer:
    """MariaDB from PATH, installed when that is possible."""
    install_mariadb()
    server = mariadb_on_path()
    prepare = on_path("mariadb-install-db") or on_path("mysql_install_db")
    client = on_path("mariadb") or on_path("mysql")
    if not (server and prepare and client):
        raise CannotStart("mariadbd, mariadb-install-db or mariadb is missing: mariadb-server")
    command = [
        prepare,
        "--no-defaults",
        "--auth-root-authentication-method=normal",
        "--skip-test-db",
        "--innodb-flush-log-at-trx-commit=0",
    ]
    return _start(
        "mariadb",
        Software((), Path("/"), server, client, lambda data: [*command, f"--datadir={data}"]),
        durable=durable,
    )


def start_mysql_on_path(*, durable: bool = False) -> RunningServer:
    """A real MySQL server that is already installed."""
    server, client = mysql_on_path(), on_path("mysql")
    if not (server and client):
        raise NotInstallable("No MySQL server (mysqld) and client (mysql) are on PATH")
    return _start("mysql-path", _mysql((), Path("/"), server, client), durable=durable)


def start_mysql_chroot(*, durable: bool = False) -> RunningServer:
    """Debian unstable's MySQL in a chroot, installed when that is possible."""
    root = chroot.install()
    software = _mysql(("chroot", str(root)), root, "/usr/sbin/mysqld", "mysql")
    return _start("mysql", software, durable=durable)


def _mysql(enter: tuple[str, ...], root: Path, server: str, client: str) -> Software:
    return Software(
        enter,
        root,
        server,
        client,
        lambda data: [
            server,
            "--no-defaults",
            "--initialize-insecure",
            f"--datadir={data}",
            # The starter's TMPDIR may not exist inside a chroot.
            f"--tmpdir={Path(data).parent}",
        ],
        (*_BOTH, *_MYSQL_ONLY),
    )


def _start(name: str, software: Software, *, durable: bool) -> RunningServer:
    directory = own_directory(name, software.root / "tmp" if software.enter else None)
    inside = "/" / directory.relative_to(software.root)
    try:
        run_to_end(_enter(software, "KILL", software.prepare(f"{inside}/data")))
        init = directory / "init.sql"
        init.write_text(_first_statements())
        port = free_port()
        command = [
            software.server,
            "--no-defaults",
            f"--datadir={inside}/data",
            f"--port={port}",
            f"--socket={inside}/socket",
            f"--pid-file={inside}/pid",
            f"--tmpdir={inside}",
            *software.settings,
            *(_DURABLE if durable else ()),
        ]
        log = directory / "log"
        # Once: a server that is started again has its users.
        first = [*command, f"--init-file={inside}/init.sql"]
        process = spawn(_enter(software, "KILL", first), directory, log, signal.SIGTERM)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise

    def answers() -> str:
        return _ask_flavour(port, f"{inside}/data")

    flavour = process.wait_until(answers, log)
    init.unlink()
    process.command = _enter(software, "KILL", command)
    return RunningServer(
        name=name,
        family="mysql",
        flavour=flavour,
        url=url_of("mysql+pymysql", port).render_as_string(hide_password=False),
        pid=process.process.pid,
        client=(*software.enter, software.client),
        _stop=process.stop,
        _kill=process.kill,
        _again=lambda: process.start_again(answers, log),
    )


def _enter(software: Software, death_signal: str, command: Sequence[str]) -> list[str]:
    return [*software.enter, *bound_to_starter(death_signal), *command]


def _first_statements() -> str:
    password = PASSWORD.replace("\\", "\\\\").replace("'", "\\'")
    return (
        f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO '{USER}'@'127.0.0.1' WITH GRANT OPTION;\n"
    )


def _is_mariadb(mysqld: str) -> bool:
    told = subprocess.run([mysqld, "--version"], capture_output=True, text=True, check=False)
    return "mariadb" in told.stdout.lower()


def flavour_of(version: str) -> str:
    """The flavour in SELECT VERSION(): "10.11.11-MariaDB-0+deb12u1" is mariadb-10.11."""
    numbers = re.match(r"(\d+)\.(\d+)", version)
    if numbers is None:
        raise ValueError(f"{version!r} is no version of MySQL or MariaDB")
    brand = "mariadb" if "mariadb" in version.lower() else "mysql"
    return f"{brand}-{numbers[1]}.{numbers[2]}"


def _ask_flavour(port: int, data: str) -> str:
    """The flavour of the server whose data is there. Raises when another one has the port."""
    with (
        pymysql.connect(host="127.0.0.1", port=port, user=USER, password=PASSWORD) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT VERSION(), @@datadir")
        version, its_data = cursor.fetchall()[0]
    if str(its_data).rstrip("/") != data:
        raise CannotStart(f"Another server has port {port}")
    return flavour_of(str(version))
