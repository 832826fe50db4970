"""A project in a folder of its own, and the programs that a user runs on it.

Enters: a folder, and the environment variables that databases.yaml names.
Leaves: what `orchestrator` and `alembic` printed; a failure of either is an error with all of it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from servers import PASSWORD

REPOSITORY = Path(__file__).parents[2]
# Variables of the shell that started the tests must not decide where a test's databases are.
_LEAKS = ("PGHOST", "PGPORT", "PGUSER", "PGDATABASE", "PGPASSWORD", "MYSQL_PWD", "PYTHONWARNINGS")


@dataclass(frozen=True)
class Said:
    """What a program printed, and how it ended."""

    code: int
    out: str
    err: str

    @property
    def all(self) -> str:
        """Both streams, for messages."""
        return f"exit code {self.code}\n{self.out}\n{self.err}"


@dataclass(frozen=True)
class Project:
    """A folder with databases.yaml, migrations/ and apps/."""

    root: Path
    environ: Mapping[str, str] = field(default_factory=dict)

    def orchestrator(self, *arguments: str, code: int = 0) -> Said:
        """Run `orchestrator` here; AssertionError when it ends in another way than `code`."""
        return self._run(["-m", "orchestrator", *arguments], code)

    def alembic(self, *arguments: str, code: int = 0) -> Said:
        """Run stock Alembic here; AssertionError when it ends in another way than `code`."""
        return self._run(["-m", "alembic", *arguments], code)

    def python(self, program: str, code: int = 0) -> Said:
        """Run a program of the project's own."""
        return self._run(["-c", program], code)

    def write(self, path: str, text: str) -> Path:
        """Write one of the project's files."""
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
        return file

    def _run(self, arguments: list[str], code: int) -> Said:
        environment = {name: text for name, text in os.environ.items() if name not in _LEAKS}
        environment |= {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.root,
            env=environment | dict(self.environ),
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        said = Said(done.returncode, done.stdout, done.stderr)
        assert said.code == code, f"{' '.join(arguments)}: {said.all}"
        assert PASSWORD not in said.all
        return said
