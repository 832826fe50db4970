"""The journal's table is nobody's model: no verb compares it, and stock Alembic does not either."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from orchestrator.config.flavour import Family
from orchestrator.safety.journal import create_journal
from tests.cli.small import environment, rows, shown, small_project
from tests.conftest import DatabaseFactory

DATABASES = """
apps: {{packages: [apps]}}
default_bind: main
binds:
  main: {{url: {url}}}
"""
CREATE = """
op.create_table(
    "items",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50)),
)
"""


def test_nobody_compares_the_journal(tmp_path: Path, any_database: DatabaseFactory) -> None:
    url = any_database()
    project = small_project(tmp_path, DATABASES.format(url=shown(url)))
    project.write("alembic.ini", "[alembic]\nscript_location = migrations\n")
    project.revision("main", "r1", CREATE)
    said = project.run("upgrade", "--all")
    assert said.code == 0, said.all
    family: Family = "mysql" if url.get_backend_name() == "mysql" else "postgresql"
    rows(url, create_journal(family, "orchestrator_journal"))
    said = project.run("check")
    assert said.code == 0, said.all
    said = project.run("revision", "-m", "nothing", "--against", "main")
    assert "journal" not in said.all, said.all
    assert [file.name for file in (tmp_path / "migrations/versions/main").glob("*.py")] == ["r1.py"]
    assert alembic_check(tmp_path) == 0
    # It is the journal that is not seen, not that nothing is compared.
    rows(url, "ALTER TABLE items DROP COLUMN name")
    assert alembic_check(tmp_path) != 0


def alembic_check(root: Path) -> int:
    """The exit code of stock Alembic's `check`."""
    return subprocess.run(
        [sys.executable, "-m", "alembic", "check"],
        cwd=root,
        env=environment(),
        capture_output=True,
        check=False,
    ).returncode
