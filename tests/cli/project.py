"""A project in a temporary folder, and the two commands that people type in it.

Enters: files, and the URL of a database. Leaves: what the commands said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True, slots=True)
class Said:
    """What a command said."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams."""
        return self.out + self.err


@dataclass(frozen=True)
class Folder:
    """A project's folder. environ: variables that every command gets."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def write(self, files: Mapping[str, str]) -> None:
        """Write files; their indentation may follow the test's."""
        for name, text in files.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(textwrap.dedent(text).lstrip("\n"), encoding="utf-8")

    def read(self, name: str) -> str:
        """The text of a file."""
        return (self.root / name).read_text(encoding="utf-8")

    def contents(self) -> dict[str, bytes]:
        """Every file with its bytes, what Python compiled left out."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and "__pycache__" not in path.parts
        }

    def orchestrator(self, *arguments: str, code: int = 0) -> Said:
        """Run orchestrator; its exit code must be this one."""
        return self._run("orchestrator", arguments, code)

    def alembic(self, *arguments: str, code: int = 0) -> Said:
        """Run stock Alembic; its exit code must be this one."""
        return self._run("alembic", arguments, code)

    def _run(self, module: str, arguments: tuple[str, ...], code: int) -> Said:
        environ = {name: value for name, value in os.environ.items() if name != "DATABASE_URL"}
        environ |= {"PYTHONPATH": str(REPOSITORY), **self.environ}
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=self.root,
            env=environ,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == code, (
            f"{arguments}: {done.returncode}\n{done.stdout}{done.stderr}"
        )
        return Said(done.returncode, done.stdout, done.stderr)


def whole(url: URL) -> str:
    """A URL with its password, as a variable holds it."""
    return url.render_as_string(hide_password=False)
