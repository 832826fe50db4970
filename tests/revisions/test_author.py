"""New revision files: one good file for a bind that changed, none for one that did not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import (
    ARRAY,
    CheckConstraint,
    Column,
    Enum,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects import postgresql
from sqlalchemy.schema import DefaultClause
from sqlalchemy.types import NullType

from orchestrator.revisions.author import describe, subject
from tests.cli.small import SmallProject, environment, rows, shown, small_project
from tests.conftest import DatabaseFactory
from tests.databases.dump import dump

MODELS = """
from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

metadata = MetaData()
items = Table(
    "items", metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(50), nullable=False, index=True),
)
events = Table(
    "events", metadata,
    Column("id", Integer, primary_key=True),
    info={"bind_key": "audit"},
)
"""


def binds(first: str, second: str, more: str = "") -> str:
    return f"""
    apps: {{packages: [apps]}}
    default_bind: main
    binds:
      main: {{url: {first}}}
      audit: {{url: {second}, version_table: audit_version}}
      {more}
    """


def files(project: SmallProject, bind: str) -> list[Path]:
    return sorted((project.root / "migrations" / "versions" / bind).glob("*.py"))


def test_one_file_for_each_bind_that_changed(
    tmp_path: Path, pg_database: DatabaseFactory, my_database: DatabaseFactory
) -> None:
    first, second = pg_database(), my_database()
    project = small_project(tmp_path, binds(shown(first), shown(second)), models=MODELS)
    said = project.run("revision", "-m", "the start")
    assert said.code == 0, said.all
    assert "add table items" in said.out
    assert "add table events" in said.out
    [main], [audit] = files(project, "main"), files(project, "audit")
    assert "op.create_table('items'" in main.read_text()
    assert "ix_items_name" in main.read_text()
    assert "events" not in main.read_text()
    assert "items" not in audit.read_text()
    assert "op.drop_table('events')" in audit.read_text()
    for file in (main, audit):
        subprocess.run(
            [sys.executable, "-m", "ruff", "check", "--isolated", "--select", "F,E9", str(file)],
            check=True,
        )
    assert project.run("upgrade", "--all").code == 0
    said = project.run("revision", "-m", "nothing")
    assert said.code == 0, said.all
    assert said.out == "main: no changes\naudit: no changes\n"
    changed = MODELS.replace("nullable=False", "nullable=True, comment='shown'")
    project.write("apps/things/models.py", changed)
    said = project.run("revision", "-m", "names are optional")
    assert "modify nullable of items.name: False -> True" in said.out
    assert "audit: no changes" in said.out
    assert (len(files(project, "main")), len(files(project, "audit"))) == (2, 1)
    # Nothing was asked of the targets: scratch databases only.
    assert rows(
        first,
        "SELECT is_nullable FROM information_schema.columns "
        "WHERE table_name = 'items' AND column_name = 'name'",
    ) == [("NO",)]
    assert project.run("upgrade", "--all").code == 0
    assert project.run("status", "--exit-code").code == 0


def test_against_a_target_reads_only(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = small_project(tmp_path, binds(shown(url), shown(url)), models=MODELS)
    before = dump(url)
    said = project.run("revision", "-m", "x", "--against", "main")
    assert said.code == 0, said.all
    assert len(files(project, "main")) == 1
    assert dump(url) == before
    said = project.run("revision", "-m", "x", "--against", "main")
    assert said.code == 2, said.all
    assert "not up to date" in said.err
    assert "Compare with a target that is at head, or upgrade it first." in said.err
    assert dump(url) == before
    assert project.run("upgrade", "--all").code == 0
    rows(url, "CREATE TABLE theirs (id int)")
    project.run("revision", "-m", "events", "--bind", "audit")
    assert project.run("upgrade", "--all").code == 0
    before = dump(url)
    # The other bind's tables, in the same database, are neither dropped nor spoken of.
    said = project.run("revision", "-m", "x", "--against", "main")
    assert said.out == "main: no changes\n", said.all
    assert "1 table that no app owns left alone: theirs (--drop-tables" in said.err
    said = project.run("revision", "-m", "x", "--against", "main", "--drop-tables")
    assert "remove table theirs" in said.out, said.all
    assert "events" not in said.all
    written = "".join(file.read_text() for file in files(project, "main"))
    assert "op.drop_table('theirs')" in written
    assert "op.drop_table('events')" not in written
    assert dump(url) == before


def test_a_hook_cannot_write_to_the_target(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = small_project(tmp_path, binds(shown(url), shown(url)), models=MODELS)
    project.write(
        "migrations/env.py",
        """
        from orchestrator.environment import run_migrations

        def process(context, revision, directives):
            context.connection.exec_driver_sql("CREATE TABLE written (id int)")
            context.connection.commit()

        run_migrations(process_revision_directives=process)
        """,
    )
    before = dump(url)
    said = project.run("revision", "-m", "x", "--against", "main")
    assert said.code == 1, said.all
    assert "read-only transaction" in said.err
    assert dump(url) == before


def test_several_heads_say_how(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    url = pg_database()
    project = small_project(tmp_path, binds(shown(url), shown(url)), models=MODELS)
    project.revision("main", "root")
    project.revision("main", "left", after="root")
    project.revision("main", "right", after="root")
    said = project.run("revision", "-m", "x", "--bind", "main")
    assert said.code == 2, said.all
    assert "orchestrator merge --bind main" in said.err
    assert len(files(project, "main")) == 3
    said = project.run("upgrade", "--all", "--dry-run")
    assert said.code == 2, said.all
    assert "bind main: it has 2 heads: left, right" in said.err
    said = project.run("merge", "--bind", "main")
    assert said.code == 0, said.all
    assert project.run("heads", "--bind", "main", "--json").json()["main"] != ["left", "right"]
    assert project.run("merge", "--bind", "main").out.endswith("nothing to merge\n")
    assert project.run("revision", "-m", "x", "--bind", "main").code == 0
    assert len(files(project, "main")) == 5


def test_alembic_ini_names_files_and_runs_hooks(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    project = small_project(tmp_path, binds(shown(url), shown(url)), models=MODELS)
    hook = project.write(
        "hook.py",
        "import pathlib, sys\nfile = pathlib.Path(sys.argv[1])\n"
        "file.write_text('# hooked\\n' + file.read_text())\n",
    )
    project.write(
        "alembic.ini",
        f"[alembic]\nscript_location = migrations\nfile_template = v_%%(slug)s_%%(rev)s\n"
        "revision_environment = true\n\n"
        f"[post_write_hooks]\nhooks = mine\nmine.type = exec\nmine.executable = {sys.executable}\n"
        f"mine.options = {hook} REVISION_SCRIPT_FILENAME\n",
    )
    said = project.run("revision", "-m", "Big Change", "--bind", "main", "--rev-id", "abc123")
    assert said.code == 0, said.all
    [file] = files(project, "main")
    assert file.name == "v_big_change_abc123.py"
    assert file.read_text().startswith("# hooked\n")
    said = project.run("revision", "--empty", "-m", "by hand", "--bind", "audit")
    assert said.code == 0, said.all
    [file] = files(project, "audit")
    assert file.name.startswith("v_by_hand_")
    assert file.read_text().startswith("# hooked\n")


_T = Table("orders", MetaData(), Column("id", Integer, primary_key=True), Column("note", String))


@pytest.mark.parametrize(
    ("diff", "words"),
    [
        (("add_table", _T), "add table orders"),
        (("remove_table", _T), "remove table orders"),
        (("add_column", None, "orders", _T.c.note), "add column orders.note"),
        (("remove_column", "s", "orders", _T.c.note), "remove column orders.note"),
        (("add_index", Index("ix", _T.c.note)), "add index ix on orders"),
        (
            [("modify_type", None, "orders", "note", {}, String(10), String(20))],
            "modify type of orders.note: VARCHAR(10) -> VARCHAR(20)",
        ),
        (
            [
                (
                    "modify_type",
                    None,
                    "orders",
                    "note",
                    {},
                    ARRAY(Integer),
                    Enum("a", "b", name="mood"),
                )
            ],
            "modify type of orders.note: INTEGER[] -> mood",
        ),
        (
            [("modify_type", None, "orders", "note", {}, NullType(), String(20))],
            "modify type of orders.note: NULL -> VARCHAR(20)",
        ),
        (
            [
                ("modify_nullable", None, "orders", "note", {}, True, False),
                ("modify_comment", None, "orders", "note", {}, None, "x"),
            ],
            "modify nullable of orders.note: True -> False; "
            "modify comment of orders.note: None -> x",
        ),
        (
            [("modify_default", None, "orders", "note", {}, None, DefaultClause(text("now()")))],
            "modify default of orders.note: None -> now()",
        ),
        (
            [("modify_default", None, "orders", "note", {}, DefaultClause("x"), None)],
            "modify default of orders.note: x -> None",
        ),
        (
            ("add_constraint", UniqueConstraint(_T.c.note, name="uq")),
            "add constraint uq on orders",
        ),
        (
            ("remove_constraint", CheckConstraint("x > 1", name="ck", table=_T)),
            "remove constraint ck on orders",
        ),
        (
            ("add_fk", ForeignKeyConstraint(["note"], ["other.id"], table=_T)),
            "add fk (note) on orders",
        ),
        (("add_table_comment", _T, None), "add table comment orders"),
    ],
)
def test_changes_in_words(diff: object, words: str) -> None:
    assert describe(diff, postgresql.dialect()) == words  # type: ignore[no-untyped-call]


@pytest.mark.parametrize(
    ("diff", "expected"),
    [
        (("add_table", _T), ("table", "", "orders")),
        (("remove_column", None, "orders", Column("x", Integer)), ("column", "orders", "x")),
        (
            [("modify_nullable", None, "orders", "note", {}, True, False)],
            ("column", "orders", "note"),
        ),
        (("remove_index", Index("ix", _T.c.note)), ("other", "orders", "ix")),
        (
            ("add_fk", ForeignKeyConstraint(["note"], ["other.id"], table=_T)),
            ("other", "orders", ""),
        ),
    ],
)
def test_what_a_change_is_about(diff: object, expected: tuple[str, str, str]) -> None:
    assert subject(diff) == expected


OWN_TYPE = """
from sqlalchemy import Column, Integer, MetaData, Table, TypeDecorator
from sqlmodel import AutoString


class Cents(TypeDecorator):
    impl = Integer
    cache_ok = True


metadata = MetaData()
items = Table("items", metadata, Column("id", Integer, primary_key=True), Column("price", Cents))
"""


def test_types_that_are_not_sqlalchemys_are_imported(
    tmp_path: Path, pg_database: DatabaseFactory
) -> None:
    url = pg_database()
    one = f"apps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}}}}}\n"
    project = small_project(tmp_path, one, models=OWN_TYPE)
    project.write("alembic.ini", "[alembic]\nscript_location = migrations\nprepend_sys_path = .\n")
    assert project.run("revision", "-m", "own").code == 0
    said = project.run("upgrade", "--all")
    assert said.code == 0, said.all
    project.write(
        "apps/things/models.py", OWN_TYPE.replace("Cents))", 'Cents), Column("name", AutoString))')
    )
    # Stock Alembic's own road, too.
    subprocess.run(
        [sys.executable, "-m", "alembic", "revision", "--autogenerate", "-m", "sqlmodel"],
        cwd=project.root,
        env=environment(),
        check=True,
        capture_output=True,
    )
    said = project.run("upgrade", "--all")
    assert said.code == 0, said.all
    assert project.run("check").code == 0


@pytest.mark.parametrize("message", ['a "quoted"', r"C:\new\users \x", 'three """ quotes', r"\\"])
def test_messages_that_python_would_read_otherwise(tmp_path: Path, message: str) -> None:
    project = small_project(
        tmp_path, 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'
    )
    said = project.run("revision", "--empty", "-m", message)
    assert said.code == 0, said.all
    [revision] = project.run("history", "--json").json()["main"]
    assert revision["message"] == message


def test_a_template_that_is_gone(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    project = small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(pg_database())}}}}}\n"
    )
    template = project.root / "migrations" / "script.py.mako"
    template.unlink()
    for arguments in ((), ("--empty",)):
        said = project.run("revision", "-m", "x", *arguments)
        assert said.code == 2, said.all
        assert f"{template}: no revision can be written: No such file" in said.err
        assert "`orchestrator init`" in said.err
