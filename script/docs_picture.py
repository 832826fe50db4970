"""The picture in README.md: a real run of the sample on real servers, as a terminal shows it.

Enters: nothing. Leaves: docs/images/run.svg, from servers that live as long as this program.
Run it as `PYTHONPATH=.:script python script/docs_picture.py` from the project's folder.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import termios
from collections.abc import Mapping
from contextlib import suppress
from io import StringIO
from pathlib import Path

from rich.console import Console
from rich.text import Text
from sqlalchemy import create_engine, make_url
from sqlalchemy.pool import NullPool

import servers
from servers import RunningServer

_ROOT = Path(__file__).resolve().parent.parent
_PICTURE = _ROOT / "docs" / "images" / "run.svg"
_COLUMNS, _ROWS = 92, 60
_COMMANDS = (
    "orchestrator apps | head -8",
    "orchestrator status",
    "orchestrator upgrade --all",
    "orchestrator status",
)
_SAMPLE = ("apps", "migrations", "alembic.ini", "databases.yaml")
# A mount of its own: in a container, a ledger elsewhere is warned about.
_SHOWN_FROM = "/dev/shm"
# What rich's live display sends (rich/control.py), and colours, which are kept.
_CONTROL = re.compile(r"\x1b\[(\??)([0-9;]*)([A-Za-z])")


def main() -> int:
    """Draw the picture anew."""
    running = [servers.start(servers.DEFAULT_POSTGRES), servers.start(servers.mysql_family())]
    try:
        environment = _databases(*running)
        with tempfile.TemporaryDirectory(dir=_SHOWN_FROM) as folder:
            for name in _SAMPLE:
                copy = shutil.copytree if (_ROOT / name).is_dir() else shutil.copy
                copy(_ROOT / name, Path(folder, name))
            screen = [
                line for command in _COMMANDS for line in _typed(command, Path(folder), environment)
            ]
        title = f"orchestrator on {' and '.join(server.flavour for server in running)}"
    finally:
        for server in running:
            server.stop()
    _draw(screen[:-1], title)
    print(_PICTURE.relative_to(_ROOT))
    return 0


def _databases(postgresql: RunningServer, mysql: RunningServer) -> dict[str, str]:
    """What the sample needs to be there, and where it finds it."""
    for server, names in ((postgresql, ("main", "shop")), (mysql, ("audit",))):
        engine = create_engine(server.url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            for name in names:
                connection.exec_driver_sql(f"CREATE DATABASE {name}")

    def url(server: RunningServer, database: str | None) -> str:
        return make_url(server.url).set(database=database).render_as_string(hide_password=False)

    return {
        "MAIN_URL": url(postgresql, "main"),
        "AUDIT_URL": url(mysql, "audit"),
        "SHOP_URL": url(postgresql, "shop"),
        "BILLING_URL": url(mysql, None),
        "MYSQL_FLAVOUR": mysql.flavour,
    }


def _typed(command: str, folder: Path, environment: Mapping[str, str]) -> list[str]:
    """A command in a project's folder, and what it leaves on the screen."""
    mine, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, _COLUMNS, 0, 0))
    program = command.replace("orchestrator", f"{sys.executable} -m orchestrator", 1)
    process = subprocess.Popen(
        ["sh", "-c", program],
        cwd=folder,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        env={**os.environ, **environment, "PYTHONPATH": str(_ROOT), "TERM": "xterm-256color"},
    )
    os.close(theirs)
    written = b""
    with suppress(OSError):  # How Linux says that the other end is closed.
        while more := os.read(mine, 1 << 16):
            written += more
    os.close(mine)
    if process.wait():
        raise SystemExit(f"{command} ended with {process.returncode}:\n{written.decode()}")
    return [f"\x1b[1m$ {command}\x1b[0m", *_screen(written.decode()), ""]


def _screen(written: str) -> list[str]:
    """The lines that stand on a terminal at the end: live displays draw over their own."""
    lines, row, at = [""], 0, 0
    while at < len(written):
        control = _CONTROL.match(written, at)
        if control is not None:
            at = control.end()
            if control[3] == "A":
                row -= int(control[2] or 1)
            elif control[3] == "K":
                lines[row] = ""
            elif control[3] == "m":
                lines[row] += control[0]
            continue
        if written[at] == "\n":
            row += 1
            lines += [""] * (row == len(lines))
        elif written[at] != "\r":
            lines[row] += written[at]
        at += 1
    while lines and not lines[-1]:
        lines.pop()
    return lines


def _draw(screen: list[str], title: str) -> None:
    console = Console(
        width=_COLUMNS, record=True, file=StringIO(), force_terminal=True, highlight=False
    )
    for line in screen:
        console.print(Text.from_ansi(line), overflow="crop", no_wrap=True)
    picture = console.export_svg(title=title, unique_id="run")
    # No fonts from elsewhere: the reader's own monospace font will do.
    picture = re.sub(r"@font-face \{.*?\}\s*", "", picture, flags=re.DOTALL)
    _PICTURE.parent.mkdir(exist_ok=True)
    _PICTURE.write_text("\n".join(line.rstrip() for line in picture.splitlines()) + "\n")


if __name__ == "__main__":
    sys.exit(main())
