"""Lint's walk along a history on a scratch database, on real servers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy.engine import Connection

from orchestrator.checks.differences import differences, words
from orchestrator.checks.lint.types import Answer
from orchestrator.execution.lint_walk import Looked, Walk, walk
from orchestrator.execution.project import Project
from tests.cli.small import SmallProject, shown, small_project
from tests.conftest import DatabaseFactory


@pytest.fixture(autouse=True)
def _own_apps() -> Iterator[None]:
    """Each test imports the apps of its own project into this process."""
    path = list(sys.path)
    _forget_apps()
    yield
    sys.path[:] = path
    _forget_apps()


def _forget_apps() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "apps"]:
        del sys.modules[name]


@pytest.fixture
def project(tmp_path: Path, any_database: DatabaseFactory) -> SmallProject:
    url = any_database()
    return small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds:\n  main: {{url: {shown(url)}}}\n"
    )


def walked(project: SmallProject, *wanted: str, without: tuple[str, ...] = ()) -> Walk:
    """A walk of bind main."""
    opened = Project.open(root=project.root)
    return walk(opened, opened.config.binds["main"], wanted, without)


def change(looked: Looked) -> list[str]:
    """What became of the schema."""
    assert looked.before is not None
    assert looked.after is not None
    return [words(one) for one in differences(looked.before, looked.after)]


def _history(project: SmallProject) -> None:
    project.revision(
        "main", "w1", 'op.execute("CREATE TABLE a (i int)")', down='op.drop_table("a")'
    )
    project.revision(
        "main",
        "w2",
        'op.execute("CREATE TABLE b (i int)")',
        after="w1",
        down='op.drop_table("a")',
    )
    project.revision(
        "main",
        "w3",
        'op.add_column("a", sa.Column("j", sa.Integer))',
        after="w2",
        down='op.drop_column("a", "nothing")',
    )
    project.revision(
        "main", "w4", 'op.drop_column("a", "j")', after="w3", down='raise SystemExit("no")'
    )
    project.revision(
        "main",
        "w5",
        'op.execute("CREATE TABLE c (i int)")',
        after="w4",
        down='op.drop_table("c")',
    )


def test_it_goes_on_behind_wrong_downgrades(project: SmallProject) -> None:
    _history(project)
    found = walked(project, "w2", "w3", "w4", "w5")
    assert (found.problem, list(found.looked)) == ("", ["w2", "w3", "w4", "w5"])
    w2, w3, w4, w5 = found.looked.values()
    assert change(w2) == ["table b is not expected"]
    assert w2.before is not None
    assert w2.undone is not None
    left = [words(one) for one in differences(w2.before, w2.undone)]
    assert left == ["table a is missing", "table b is not expected"]
    assert change(w3) == ["table a: column j is not expected"]
    assert "nothing" in w3.undo_failed
    assert w3.undone is None
    assert change(w4) == ["table a: column j is missing"]
    assert "SystemExit" in w4.undo_failed
    assert w5.undone == w5.before
    assert w5.before == w4.after


def test_downgrades_that_do_nothing_are_not_tried(project: SmallProject) -> None:
    _history(project)
    found = walked(project, "w4", without=("w4",))
    assert found.looked["w4"].undo_failed == ""
    assert found.looked["w4"].undone is None


def test_it_ends_where_the_history_does_not_run(project: SmallProject) -> None:
    _history(project)
    project.revision("main", "w6", 'op.drop_table("missing")', after="w5")
    project.revision("main", "w7", 'op.execute("SELECT 1")', after="w6")
    found = walked(project, "w5", "w7")
    assert list(found.looked) == ["w5"]
    assert "the history does not run on an empty scratch database: revision w6" in found.problem
    found = walked(project, "w6", "w7")
    assert found.looked["w6"].failed
    assert found.looked["w6"].failed_line == 9
    assert found.problem.startswith("revision w6 does not run on scratch: ")


def test_statements_and_their_lines(project: SmallProject) -> None:
    project.revision(
        "main",
        "w1",
        """
        made = op.create_table("a", sa.Column("i", sa.Integer), sa.Column("t", sa.String(20)))
        op.bulk_insert(made, [{"i": 1, "t": "50%"}, {"i": 2, "t": "b"}])
        if op.get_bind().execute(sa.text("SELECT count(*) FROM a")).scalar() == 2:
            op.execute(sa.text("UPDATE a SET t = :t").bindparams(t="it's"))
        with op.get_context().autocommit_block():
            op.execute("DELETE FROM a")
        """,
    )
    sent = walked(project, "w1").looked["w1"].sent
    found = [(one.line, one.text.split()[0], one.transactional) for one in sent]
    assert (9, "CREATE", True) in found
    assert found[-2:] == [(12, "UPDATE", True), (14, "DELETE", False)]
    assert "'50%'" in sent[1].text
    assert not any("SELECT" in one.text or "alembic_version" in one.text for one in sent)


def test_where_there_is_no_scratch(project: SmallProject) -> None:
    _history(project)
    project.write(
        "databases.yaml",
        "apps: {packages: [apps]}\nbinds:\n  main: {url: postgresql://u@192.0.2.1/d}\n",
    )
    found = walked(project, "w1")
    assert (found.looked, found.flavour) == ({}, None)
    assert "nowhere to make a scratch database" in found.problem


class _Listening:
    """Notes which tables there are as each statement is asked about."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, int]] = []

    def answer(self, connection: Connection, statement: str) -> Answer | None:
        tables = connection.exec_driver_sql("SHOW TABLES LIKE 'a'").all()
        self.heard.append((statement, len(tables)))
        return Answer("instant", "none", False)


def test_statements_are_asked_about_before_they_run(
    tmp_path: Path, my_database: DatabaseFactory
) -> None:
    project = small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds:\n  main: {{url: {shown(my_database())}}}\n"
    )
    made, more = "CREATE TABLE a (i int)", "ALTER TABLE a ADD COLUMN j int"
    project.revision("main", "w1", f'op.execute("{made}")\nop.execute("{more}")')
    opened, listening = Project.open(root=project.root), _Listening()
    found = walk(opened, opened.config.binds["main"], ("w1",), ("w1",), listening)
    assert listening.heard == [(made, 0), (more, 1)]
    assert [one.answer for one in found.looked["w1"].sent] == [Answer("instant", "none", False)] * 2
    assert found.looked["w1"].asked


def test_of_a_downgrade_the_server_is_asked_where_the_upgrade_has_led(
    tmp_path: Path, my_database: DatabaseFactory
) -> None:
    project = small_project(
        tmp_path, f"apps: {{packages: [apps]}}\nbinds:\n  main: {{url: {shown(my_database())}}}\n"
    )
    made, gone = "CREATE TABLE a (i int)", "ALTER TABLE a DROP COLUMN j"
    project.revision("main", "w1", f'op.execute("{made}")', down='op.drop_table("a")')
    more = "ALTER TABLE a ADD COLUMN j int"
    project.revision(
        "main", "w2", f'op.execute("{more}")', after="w1", down=f'op.execute("{gone}")'
    )
    opened, listening = Project.open(root=project.root), _Listening()
    bind = opened.config.binds["main"]
    looked = walk(opened, bind, ("w2",), (), listening, undoing=("w2",)).looked["w2"]
    assert listening.heard == [(gone, 1)]
    assert [(one.text, one.answer) for one in looked.undo_sent] == [
        (gone, Answer("instant", "none", False))
    ]
    assert (looked.asked, looked.undo_asked) == (False, True)
    assert [one.answer for one in looked.sent] == [None]
    assert looked.undone == looked.before
