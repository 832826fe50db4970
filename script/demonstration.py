"""The program behind script/demo.

Enters: nothing, "stop", or "hold" (the background process that the servers belong to).
Leaves: the sample application migrated on real servers; their process id, URLs and passwords in
the folder .demo, which nobody else may read, and which is gone when they stop.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import termios
import threading
import time
import tty
from dataclasses import asdict, dataclass
from pathlib import Path
from urllib.parse import quote

from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

import servers
from servers import CannotStart, RunningServer

_ROOT = Path(__file__).resolve().parent.parent
_FOLDER = _ROOT / ".demo"
_STATE = _FOLDER / "state.json"
_LOG = _FOLDER / "log"
_COMMANDS = (
    "apps",
    "status",
    "upgrade --all",
    "status",
    "upgrade --sql --bind audit",
)


@dataclass(frozen=True, slots=True)
class _State:
    """What a running demonstration is known by.

    pid: the process that holds the servers.
    environment: what databases.yaml asks for; passwords are in it.
    """

    pid: int
    environment: dict[str, str]
    psql: list[str]
    mysql: list[str]


def main(arguments: list[str]) -> int:
    """Run one of the three parts; the exit code is returned."""
    if arguments == ["hold"]:
        return _hold()
    if arguments == ["stop"]:
        return _stop()
    if arguments:
        print("Usage: script/demo [stop]", file=sys.stderr)
        return 2
    return _demonstrate()


def _demonstrate() -> int:
    state = _running()
    if state is not None:
        print("The demo's servers are running already.")
        _tell_how_to_look(state)
        return 0
    print("Starting database servers ...", flush=True)
    state = _start_holder()
    if state is None:
        return 1
    code = _run_commands(state)
    if code:
        _end(state)
        return code
    _tell_how_to_look(state)
    if sys.stdin.isatty():
        print("\nPress any key to stop the servers.", flush=True)
        _wait_for_key()
        _end(state)
    return 0


def _run_commands(state: _State) -> int:
    """Type the main job's commands, as a person would. The first failure's exit code."""
    program = Path(sys.executable).with_name("orchestrator")
    for command in _COMMANDS:
        print(f"\n$ orchestrator {command}", flush=True)
        done = subprocess.run(
            [program, *command.split()],
            cwd=_ROOT,
            env={**os.environ, **state.environment},
            check=False,
        )
        if done.returncode:
            print(f"orchestrator {command} ended with {done.returncode}", file=sys.stderr)
            return done.returncode
    return 0


def _tell_how_to_look(state: _State) -> None:
    print("\nThe servers are running, on 127.0.0.1 alone:\n")
    for name, url in state.environment.items():
        if name.endswith("_URL"):
            print(f"  {name:12} {make_url(url)!r}")
    print("\nLook at the PostgreSQL databases (main, and shop with a schema for each tenant):\n")
    print(f"  {shlex.join(state.psql)}")
    print("\nLook at the MySQL ones (audit, and a database for each tenant of billing):\n")
    print(f"  {shlex.join(state.mysql)}")
    print("\nGo on with orchestrator itself:\n")
    print("  . .demo/environment; . .venv/bin/activate; orchestrator status")
    print("\nStop the servers, and remove their data:\n")
    print("  script/demo stop")


# The background process


def _hold() -> int:
    """Start the servers, tell where they are, and hold them until SIGTERM."""
    asked_to_end = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: asked_to_end.set())
    held: list[RunningServer] = []
    try:
        for name in (servers.DEFAULT_POSTGRES, servers.mysql_family()):
            held.append(servers.start(name))
        postgresql, mysql = held
        _create_databases(postgresql, mysql)
        _write_state(postgresql, mysql)
        asked_to_end.wait()
    except CannotStart as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        for server in held:
            server.stop()
    shutil.rmtree(_FOLDER)
    return 0


def _create_databases(postgresql: RunningServer, mysql: RunningServer) -> None:
    """What an administrator gives an application: tenants' databases it makes itself."""
    for server, names in ((postgresql, ("main", "shop")), (mysql, ("audit",))):
        engine = create_engine(server.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in names:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")


def _write_state(postgresql: RunningServer, mysql: RunningServer) -> None:
    def url(server: RunningServer, database: str | None) -> str:
        return make_url(server.url).set(database=database).render_as_string(hide_password=False)

    environment = {
        "MAIN_URL": url(postgresql, "main"),
        "AUDIT_URL": url(mysql, "audit"),
        "SHOP_URL": url(postgresql, "shop"),
        "BILLING_URL": url(mysql, None),
        "MYSQL_FLAVOUR": mysql.flavour,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in environment.items()]
    (_FOLDER / "environment").write_text("\n".join(lines) + "\n")
    psql, mysql_client = _psql(postgresql), _mysql(mysql)
    state = _State(os.getpid(), environment, psql, mysql_client)
    # Renamed when whole: the process that waits for it never reads a half.
    unfinished = _STATE.with_suffix(".unfinished")
    unfinished.write_text(json.dumps(asdict(state)))
    unfinished.rename(_STATE)


def _psql(server: RunningServer) -> list[str]:
    """The command that opens psql; its password is in a file."""
    url = make_url(server.url)
    passwords = _FOLDER / "pgpass"
    escaped = str(url.password).replace("\\", r"\\").replace(":", r"\:")
    passwords.write_text(f"{url.host}:{url.port}:*:{url.username}:{escaped}\n")
    passwords.chmod(0o600)
    place = f"{url.username}@{url.host}:{url.port}/shop"
    return [*server.client, f"postgresql://{place}?passfile={quote(str(passwords))}"]


def _mysql(server: RunningServer) -> list[str]:
    """The command that opens the MySQL client; its password is in a file."""
    url = make_url(server.url)
    if server.client[0] == "docker":
        # No file of ours is in the client's container: it asks for the password.
        terminal = ["-it" if part == "-i" else part for part in server.client]
        where = [f"--host={url.host}", f"--port={url.port}", f"--user={url.username}"]
        return [*terminal, "--protocol=TCP", *where, "--password"]
    options = _FOLDER / "my.cnf"
    escaped = str(url.password).replace("\\", r"\\").replace('"', r"\"")
    options.write_text(
        f"[client]\nprotocol=tcp\nhost={url.host}\nport={url.port}\n"
        f'user={url.username}\npassword="{escaped}"\n'
    )
    return [*server.client, f"--defaults-file={options}"]


# The process in front


def _running() -> _State | None:
    """The demonstration that runs now, if one does."""
    if not _STATE.exists():
        return None
    state = _State(**json.loads(_STATE.read_text()))
    try:
        arguments = Path(f"/proc/{state.pid}/cmdline").read_bytes().split(b"\0")
    except FileNotFoundError:
        return None
    # Another program may have got the number of one that died.
    return state if arguments[-2:] == [b"hold", b""] else None


def _start_holder() -> _State | None:
    shutil.rmtree(_FOLDER, ignore_errors=True)
    _FOLDER.mkdir(mode=0o700)
    with _LOG.open("w") as log:
        holder = subprocess.Popen(
            [sys.executable, __file__, "hold"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    while not _STATE.exists():
        if holder.poll() is not None:
            print(_LOG.read_text(), file=sys.stderr)
            return None
        time.sleep(0.05)
    return _running()


def _stop() -> int:
    state = _running()
    if state is None:
        print("The demo's servers are not running.")
        shutil.rmtree(_FOLDER, ignore_errors=True)
        return 0
    _end(state)
    return 0


def _end(state: _State) -> None:
    os.kill(state.pid, signal.SIGTERM)
    while Path(f"/proc/{state.pid}").exists() and _STATE.exists():
        time.sleep(0.05)
    print("The servers have stopped.")


def _wait_for_key() -> None:
    """Any key, or Ctrl-C."""
    before = termios.tcgetattr(sys.stdin)
    try:
        tty.setcbreak(sys.stdin)
        sys.stdin.read(1)
    except KeyboardInterrupt:
        pass
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
