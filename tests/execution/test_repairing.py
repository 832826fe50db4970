"""Decisions about half-applied targets, on real servers: what they do to version rows and journal,
and when they are refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import URL

from orchestrator.config import Config
from orchestrator.config.load import load_config
from orchestrator.execution.drive import footing_of
from orchestrator.execution.examining import Examined, Examiner, done_rows
from orchestrator.execution.project import Project
from orchestrator.execution.repairing import Decision, Repairer, Stopped, stopped_targets
from orchestrator.execution.replay.entering import enter, leave
from orchestrator.execution.sessions import SessionStore
from orchestrator.fleet.targets import Selection
from orchestrator.revisions.recordings import Listener
from orchestrator.safety.journal import Kind
from orchestrator.safety.owners import Owner
from tests.cli.small import rows
from tests.conftest import DatabaseFactory
from tests.execution.halfway import OWNER, stop_half_way
from tests.execution.live_project import project_of

TEXTS = ("CREATE TABLE a (i int)", "CREATE TABLE b (i int)", "CREATE TABLE c (i int)")
BODIES = ["op.execute('CREATE TABLE one (i int)')", "\n".join(f"op.execute({t!r})" for t in TEXTS)]


def stand_at(url: URL, *revisions: str) -> None:
    """Make a version table with these rows."""
    rows(url, "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
    for revision in revisions:
        rows(url, f"INSERT INTO alembic_version VALUES ('{revision}')")


def stopped_in(root: Path, url: URL, *, more: str = "", bodies: list[str] = BODIES) -> Stopped:
    """The bind's only target, which must be half-applied."""
    project_of(root, url, bodies, more=more)
    project = Project.open(root / "databases.yaml")
    ((stopped,), unknown) = stopped_targets(project, Selection(everything=True))
    assert not unknown
    return stopped


@pytest.fixture
def repairer() -> Iterator[Repairer]:
    with closing(SessionStore()) as sessions:
        yield Repairer(sessions, Owner.here("test"))


def held(url: URL) -> list[str]:
    return sorted(row[0] for row in rows(url, "SELECT version_num FROM alembic_version"))


def journal(url: URL) -> list[tuple[int, str]]:
    found = rows(url, "SELECT number, kind FROM orchestrator_journal ORDER BY number")
    return [(row[0], row[1]) for row in found]


@pytest.mark.parametrize(
    ("decision", "direction", "at", "after"),
    [
        ("mark-applied", "upgrade", ["r1"], ["r2"]),
        ("mark-applied", "upgrade", ["r2"], ["r2"]),
        ("mark-applied", "downgrade", ["r2"], ["r1"]),
        ("mark-applied", "downgrade", ["r1"], ["r1"]),
        ("mark-reverted", "upgrade", ["r1"], ["r1"]),
        ("mark-reverted", "upgrade", ["r2"], ["r1"]),
        ("mark-reverted", "downgrade", ["r2"], ["r2"]),
        ("mark-reverted", "downgrade", ["r1"], ["r2"]),
        ("forget", "upgrade", ["r1"], ["r1"]),
        ("forget", "downgrade", [], []),
    ],
)
def test_marks(
    tmp_path: Path,
    any_database: DatabaseFactory,
    repairer: Repairer,
    decision: Decision,
    direction: str,
    at: list[str],
    after: list[str],
) -> None:
    url = any_database()
    stand_at(url, *at)
    stop_half_way(url, "r2", TEXTS, 2, direction=direction)
    outcome = repairer.take(stopped_in(tmp_path, url), decision)
    assert (outcome.result, outcome.failure) == ("done", None)
    assert (list(outcome.before), list(outcome.after)) == (at, after)
    assert held(url) == after
    assert journal(url) == []


def test_the_first_revision_is_marked_without_a_version_table(
    tmp_path: Path, any_database: DatabaseFactory, repairer: Repairer
) -> None:
    url = any_database()
    stop_half_way(url, "r1", TEXTS, 1)
    outcome = repairer.take(stopped_in(tmp_path, url), "mark-applied")
    assert (outcome.result, outcome.after) == ("done", ("r1",))
    assert held(url) == ["r1"]
    assert journal(url) == []


@pytest.mark.parametrize("decision", ["mark-applied", "mark-reverted"])
@pytest.mark.parametrize(("revision", "at"), [("gone", "r1"), ("r3", "r1"), ("r2", "gone")])
def test_marks_that_do_not_fit_are_refused(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    repairer: Repairer,
    decision: Decision,
    revision: str,
    at: str,
) -> None:
    url = pg_database()
    stand_at(url, at)
    stop_half_way(url, revision, TEXTS, 2)
    stopped = stopped_in(tmp_path, url, bodies=[*BODIES, "pass"])
    outcome = repairer.take(stopped, decision)
    assert outcome.result == "failed"
    assert outcome.failure is not None
    assert f"is at {at}, which is neither before the upgrade of {revision}" in (
        outcome.failure.message
    )
    assert held(url) == [at]
    assert len(journal(url)) == 3
    assert repairer.take(stopped, "forget").result == "done"
    assert (held(url), journal(url)) == ([at], [])


def test_a_decision_is_about_what_was_shown(
    tmp_path: Path, any_database: DatabaseFactory, repairer: Repairer
) -> None:
    url = any_database()
    stand_at(url, "r1")
    stop_half_way(url, "r2", TEXTS, 2)
    stopped = stopped_in(tmp_path, url)
    rows(url, "UPDATE orchestrator_journal SET kind = 'refused' WHERE number = 2")
    outcome = repairer.take(stopped, "mark-applied")
    assert outcome.failure is not None
    assert "it is not where it was when the decision was taken" in outcome.failure.message
    assert (held(url), len(journal(url))) == (["r1"], 3)
    rows(url, "DELETE FROM orchestrator_journal")
    outcome = repairer.take(stopped, "forget")
    assert outcome.failure is not None
    assert outcome.failure.message.endswith("it is done")


@pytest.mark.parametrize(
    ("begun", "kind", "done", "after"),
    [
        (2, "ddl", True, [(0, "header"), (1, "ddl"), (2, "data")]),
        (2, "ddl", False, [(0, "header"), (1, "ddl"), (2, "refused")]),
        (2, "ddl", None, [(0, "header"), (1, "ddl"), (2, "ddl")]),
        (2, "data", True, None),
        (0, "ddl", True, None),
    ],
)
def test_what_is_in_doubt_is_settled(
    tmp_path: Path,
    any_database: DatabaseFactory,
    repairer: Repairer,
    begun: int,
    kind: Kind,
    done: bool | None,
    after: list[tuple[int, str]] | None,
) -> None:
    url = any_database()
    stand_at(url, "r1")
    stop_half_way(url, "r2", TEXTS, begun, kind=kind)
    before = journal(url)
    outcome = repairer.take(stopped_in(tmp_path, url), "resume", done=done)
    assert outcome.result == ("done" if after is not None else "failed")
    assert journal(url) == (before if after is None else after)
    assert held(url) == ["r1"]


def test_a_held_lock_is_waited_for_and_told(
    tmp_path: Path, any_database: DatabaseFactory, repairer: Repairer
) -> None:
    url = any_database()
    stand_at(url, "r1")
    stop_half_way(url, "r2", TEXTS, 2)
    stopped = stopped_in(tmp_path, url, more="lock_wait: 1s")
    footing = footing_of(stopped.target, stopped.flavour, Owner.here("other"))
    with closing(SessionStore()) as others, others.lend(stopped.target) as session:
        enter(session, footing)
        session.rows("SELECT 1")
        outcome = repairer.take(stopped, "forget")
        assert outcome.failure is not None
        assert "its lock was held for 1 s by" in outcome.failure.message
        assert outcome.waited >= 0.5
        assert len(journal(url)) == 3
        examined = examined_in(tmp_path, repairer, stopped)
        assert examined.busy
        leave(session, footing)
    assert repairer.take(stopped, "forget").result == "done"
    assert (
        Examiner(config_of(tmp_path), repairer.sessions, repairer.owner, Listener()).examine(
            stopped
        )
        is None
    )


def config_of(root: Path) -> Config:
    return load_config(root / "databases.yaml", environ={})


def examined_in(root: Path, repairer: Repairer, stopped: Stopped) -> Examined:
    found = Examiner(config_of(root), repairer.sessions, repairer.owner, Listener()).examine(
        stopped
    )
    assert found is not None
    return found


@pytest.mark.parametrize(
    ("texts", "before", "there", "following", "undecided"),
    [
        (TEXTS, {"table b": ""}, (), "goes on with statement 2 of 3", False),
        (TEXTS, {"table b": ""}, TEXTS[1:2], "goes on with statement 3 of 3", False),
        (TEXTS[:2], {"table b": ""}, TEXTS[1:2], "writes the version table", False),
        (("SELECT 1", "CALL p()", "SELECT 2"), {}, (), "", True),
    ],
)
def test_what_mysql_tells(
    tmp_path: Path,
    my_database: DatabaseFactory,
    repairer: Repairer,
    texts: tuple[str, ...],
    before: dict[str, str],
    there: tuple[str, ...],
    following: str,
    undecided: bool,
) -> None:
    url = my_database()
    stand_at(url, "r1")
    stop_half_way(url, "r2", texts, 2, before=before)
    for text in there:
        rows(url, text)
    body = "\n".join(f"op.execute({text!r})" for text in texts)
    stopped = stopped_in(tmp_path, url, bodies=[BODIES[0], body])
    found = examined_in(tmp_path, repairer, stopped)
    assert found.following.startswith(following)
    assert (found.undecided, bool(found.dirty)) == (undecided, undecided)
    assert [(one.thing, one.changed) for one in found.evidence] == [
        (thing, bool(there)) for thing in before
    ]
    assert found.half.owner == OWNER.label


def test_an_edited_revision_is_shown_with_its_difference(
    tmp_path: Path, any_database: DatabaseFactory, repairer: Repairer
) -> None:
    url = any_database()
    stand_at(url, "r1")
    stop_half_way(url, "r2", (*TEXTS[:2], "CREATE TABLE old (i int)"), 1)
    found = examined_in(tmp_path, repairer, stopped_in(tmp_path, url))
    assert "edited" in found.dirty
    assert not found.undecided
    assert "-CREATE TABLE old (i int);" in found.diff
    assert "+CREATE TABLE c (i int);" in found.diff


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ((), "goes on with statement 1 of 2 (nothing in the database is of it)"),
        (("CREATE INDEX ix ON one (i)",), "goes on with statement 2 of 2"),
    ],
)
def test_what_postgresql_tells(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    repairer: Repairer,
    made: tuple[str, ...],
    words: str,
) -> None:
    url = pg_database()
    rows(url, "CREATE TABLE one (i int)")
    stand_at(url, "r1")
    texts = ("CREATE INDEX CONCURRENTLY ix ON one (i)", "CREATE TABLE c (i int)")
    stop_half_way(url, "r2", texts, 1, kind="alone")
    for text in made:
        rows(url, text)
    body = (
        "with op.get_context().autocommit_block():\n"
        f"    op.execute({texts[0]!r})\nop.execute({texts[1]!r})"
    )
    stopped = stopped_in(tmp_path, url, bodies=[BODIES[0], body])
    found = examined_in(tmp_path, repairer, stopped)
    assert (found.following, found.dirty) == (words, "")
    assert [one.thing for one in found.evidence] == ["index public.ix"] * len(made)


@pytest.mark.parametrize(
    ("live", "kind", "edited", "dirty"),
    [
        (True, "data", False, ""),
        (True, "read", False, "read what the database held"),
        (True, "data", True, "edited since it was begun"),
        (False, "data", True, "needs its connection now|runs live now"),
    ],
)
def test_a_step_that_is_live_now(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    repairer: Repairer,
    live: bool,
    kind: Kind,
    edited: bool,
    dirty: str,
) -> None:
    url = pg_database()
    stand_at(url, "r1")
    stop_half_way(url, "r2", TEXTS, 2, kind=kind, live=live)
    body = "op.get_bind().execute(sa.text('SELECT 1')).scalar()"
    stopped = stopped_in(tmp_path, url, bodies=[BODIES[0], body])
    if not edited:
        (file,) = tmp_path.rglob("r2.py")
        digest = sha256(file.read_bytes()).hexdigest()
        rows(url, f"UPDATE orchestrator_journal SET digest = '{digest}' WHERE number = 0")
    found = examined_in(tmp_path, repairer, stopped)
    assert re.search(dirty, found.dirty) if dirty else found.dirty == ""
    assert found.following.startswith("runs the revision again") == (not dirty)
    if kind == "read":
        return
    assert done_rows(found.half, found.statements) == [(1, TEXTS[0]), (2, TEXTS[1])]
