"""Two binds in one database: neither sees the other's tables, nor any version table."""

from __future__ import annotations

from pathlib import Path

from tests.conftest import DatabaseFactory
from tests.roads.history import Revision, lay_out
from tests.roads.project import Project
from tests.roads.site import full

BINDS = """\
binds:
  one: {url: "${SHARED_URL}", version_table: version_of_one}
  two: {url: "${SHARED_URL}", version_table: version_of_two}
"""
MODELS = "import sqlalchemy as sa\n" + "".join(
    f"""
{name} = sa.MetaData(info={{"bind_key": "{name}"}})
sa.Table("{name}", {name}, sa.Column("id", sa.Integer, primary_key=True))
"""
    for name in ("one", "two")
)
UP = "op.create_table('{0}', sa.Column('id', sa.Integer(), primary_key=True))"


def test_neighbours(tmp_path: Path, any_database: DatabaseFactory) -> None:
    project = Project(tmp_path, {"SHARED_URL": full(any_database())})
    histories = {name: [Revision(f"{name}_1", None, UP.format(name))] for name in ("one", "two")}
    histories["one"].append(
        Revision(
            "one_2",
            "one_1",
            "op.create_table('nobodys', sa.Column('id', sa.Integer(), primary_key=True))",
        )
    )
    lay_out(project, BINDS, histories, models=MODELS)
    project.alembic("upgrade", "head")
    project.alembic("check")
    said = project.orchestrator("revision", "-m", "x", "--against", "one")
    assert "one: no changes" in said.out
    assert "nobodys" in said.err
    assert "version_of" not in said.all
    command = ("revision", "-m", "x", "--against", "one", "--drop-tables")
    said = project.orchestrator(*command)
    removed = [line.strip() for line in said.out.splitlines() if "remove" in line]
    assert removed == ["remove table nobodys"]
    [file] = set((tmp_path / "migrations/versions/one").glob("*.py")) - {
        tmp_path / "migrations/versions/one/one_1.py",
        tmp_path / "migrations/versions/one/one_2.py",
    }
    file.unlink()
    project.alembic("-x", "bind=one", "-x", "drop-tables", "revision", "--autogenerate", "-m", "x")
    [file] = set((tmp_path / "migrations/versions/one").glob("*_x.py"))
    up = file.read_text(encoding="utf-8").partition("def downgrade")[0]
    assert up.count("drop_table(") == 1
    assert "drop_table('nobodys')" in up
