"""Small projects on disk, and the command line run on them as people run it.

Enters: databases.yaml and the bodies of revision files. Leaves: a folder, and what `orchestrator`
said in a process of its own.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, create_engine
from sqlalchemy.pool import NullPool

from orchestrator.cli.main import main

REPOSITORY = Path(__file__).parents[2]

MODELS = """
from sqlalchemy import MetaData, Table, Column, Integer, String

metadata = MetaData()
items = Table(
    "items", metadata, Column("id", Integer, primary_key=True), Column("name", String(50))
)
"""

_ENV = "from orchestrator.environment import run_migrations\n\nrun_migrations()\n"

_HEAD = """\
import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {down!r}
"""


@dataclass(frozen=True)
class Said:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams, and the code: what an assertion shows when it fails."""
        return f"exit {self.code}\n--- stdout\n{self.out}\n--- stderr\n{self.err}"

    def json(self) -> Any:
        """stdout as JSON."""
        return json.loads(self.out)


@dataclass(frozen=True)
class SmallProject:
    """A project in a folder of its own."""

    root: Path

    def write(self, path: str, text: str) -> Path:
        """Write a file of the project."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(textwrap.dedent(text), encoding="utf-8")
        return file

    def revision(
        self,
        bind: str,
        name: str,
        upgrade: str = "pass",
        *,
        after: str | tuple[str, ...] | None = None,
        down: str = "pass",
        more: str = "",
    ) -> Path:
        """Write one revision file; upgrade and down are the bodies of its functions, more is what
        stands above them (branch_labels, depends_on)."""
        text = _HEAD.format(revision=name, down=after) + more
        for function, body in (("upgrade", upgrade), ("downgrade", down)):
            inner = textwrap.indent(textwrap.dedent(body).strip(), "    ")
            text += f"\n\ndef {function}():\n{inner}\n"
        return self.write(f"migrations/versions/{bind}/{name}.py", text)

    def run(self, *arguments: str, given: str | None = None, timeout: float = 90) -> Said:
        """Run `orchestrator` to its end, without a terminal."""
        done = subprocess.run(
            command(*arguments),
            cwd=self.root,
            env=environment(),
            input=given or "",
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        return Said(done.returncode, done.stdout, done.stderr)

    def run_here(self, *arguments: str) -> Said:
        """Run a command in this process: quick, for what imports no app of the project."""
        out, err = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8") for _ in range(2))
        handler, path = signal.getsignal(signal.SIGTERM), list(sys.path)
        code: object = None
        try:
            with (
                contextlib.chdir(self.root),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                main(list(arguments))
        except SystemExit as end:
            code = end.code
        finally:
            signal.signal(signal.SIGTERM, handler)
            sys.path[:] = path
        assert isinstance(code, int)
        texts = [stream.detach().getvalue().decode() for stream in _flushed(out, err)]
        return Said(code, *texts)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `orchestrator`, for tests that watch it, or send signals."""
        return subprocess.Popen(
            command(*arguments),
            cwd=self.root,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


def _flushed(*streams: io.TextIOWrapper) -> Iterator[Any]:
    for stream in streams:
        stream.flush()
        yield stream


def command(*arguments: str) -> list[str]:
    """The command line of `orchestrator`."""
    return [sys.executable, "-m", "orchestrator", *arguments]


def environment() -> dict[str, str]:
    """This process's environment, with this checkout's package first."""
    return {**os.environ, "PYTHONPATH": str(REPOSITORY), "COLUMNS": "120"}


def small_project(root: Path, databases: str, *, models: str = MODELS) -> SmallProject:
    """Lay out a project with one app, `things`, and no revisions."""
    project = SmallProject(root)
    project.write("databases.yaml", databases)
    project.write("migrations/env.py", _ENV)
    template = (REPOSITORY / "migrations" / "script.py.mako").read_text(encoding="utf-8")
    project.write("migrations/script.py.mako", template)
    (root / "migrations" / "versions").mkdir(exist_ok=True)
    project.write("apps/__init__.py", "")
    project.write("apps/things/__init__.py", "")
    project.write("apps/things/models.py", models)
    return project


def shown(url: URL) -> str:
    """A URL for databases.yaml: quoted there, with its password."""
    return json.dumps(url.render_as_string(hide_password=False))


def rows(url: URL, query: str) -> list[tuple[Any, ...]]:
    """What a query gives, on a connection of its own that commits."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        result = connection.exec_driver_sql(query.replace("%", "%%"))
        return [tuple(row) for row in result] if result.returns_rows else []
