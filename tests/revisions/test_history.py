"""What a history answers, and the paths through it."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import HistoryError
from orchestrator.planning.statements import states_along
from orchestrator.revisions.history import History, load_histories
from orchestrator.revisions.tree import alembic_config
from orchestrator.revisions.types import Direction, VersionChange
from tests.cli.small import SmallProject, small_project

ONE = 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'
TWO = """
apps: {packages: [apps]}
default_bind: main
binds: {main: {url: "postgresql://h/x"}, shop: {url: "postgresql://h/y"}}
"""


def loaded(project: SmallProject, bind: str = "main") -> History:
    config = load_config(project.root / "databases.yaml")
    return load_histories(config, alembic_config(config))[bind]


@pytest.fixture
def line(tmp_path: Path) -> History:
    """a1 -> a2 -> b3."""
    project = small_project(tmp_path, ONE)
    project.revision("main", "a1xx")
    project.revision("main", "a2xx", after="a1xx")
    project.revision("main", "b3xx", after="a2xx")
    return loaded(project)


@pytest.fixture
def branched(tmp_path: Path) -> History:
    """root -> left (label west), root -> right; far (a base, label east) needs right."""
    project = small_project(tmp_path, ONE)
    project.revision("main", "root")
    project.revision("main", "left", after="root", more='branch_labels = "west"\n')
    project.revision("main", "right", after="root")
    project.revision("main", "far", more='branch_labels = "east"\ndepends_on = "right"\n')
    return loaded(project)


def taken(history: History, state: tuple[str, ...], destination: str) -> list[str]:
    return [step.revision for step in history.path(state, history.upgrade(destination))]


def test_paths_along_a_line(line: History) -> None:
    assert (line.bases, line.heads) == (("a1xx",), ("b3xx",))
    assert [script.revision for script in line.scripts()] == ["a1xx", "a2xx", "b3xx"]
    assert taken(line, (), "head") == ["a1xx", "a2xx", "b3xx"]
    assert taken(line, ("a2xx",), "head") == ["b3xx"]
    assert taken(line, ("b3xx",), "head") == []
    assert taken(line, (), "+1") == ["a1xx"]
    assert taken(line, ("a1xx",), "+2") == ["a2xx", "b3xx"]
    assert taken(line, (), "a1xx+1") == ["a1xx", "a2xx"]
    assert taken(line, (), "head-1") == ["a1xx", "a2xx"]
    assert taken(line, (), "b3") == ["a1xx", "a2xx", "b3xx"]
    down = line.path(("b3xx",), line.downgrade("-1"))
    assert [(step.revision, step.direction) for step in down] == [("b3xx", Direction.DOWNGRADE)]
    assert [step.revision for step in line.path(("b3xx",), line.downgrade("base"))] == [
        "b3xx",
        "a2xx",
        "a1xx",
    ]
    assert line.behind(()) == 3
    assert line.behind(("b3xx",)) == 0
    assert line.at_head(("b3xx",))
    assert not line.at_head(("a2xx", "b3xx"))
    assert not line.at_head(())


def test_version_rows_of_a_line(line: History) -> None:
    up = line.path((), line.upgrade("head"))
    assert [step.changes for step in up] == [
        (VersionChange("insert", new="a1xx"),),
        (VersionChange("update", "a1xx", "a2xx"),),
        (VersionChange("update", "a2xx", "b3xx"),),
    ]
    assert up[0].file.name == "a1xx.py"
    [last] = line.path(("a1xx",), line.downgrade("base"))
    assert last.changes == (VersionChange("delete", old="a1xx"),)
    [stamp] = line.path(("a1xx",), line.stamp(["head"]))
    assert (stamp.revision, stamp.message) == ("b3xx", "stamp")
    assert stamp.changes == (VersionChange("update", "a1xx", "b3xx"),)


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("a1xx", True),
        ("b3", True),
        ("b", True),
        ("head", True),
        ("heads", True),
        ("base", True),
        ("+1", True),
        ("-2", True),
        ("a1xx+1", True),
        ("head-1", True),
        ("", False),
        ("@head", False),
        ("zz", False),
        ("zz+1", False),
        ("a", False),  # a1xx or a2xx
        ("west@head", False),
    ],
)
def test_symbols_in_a_line(line: History, symbol: str, expected: bool) -> None:
    assert line.resolves(symbol) is expected


@pytest.mark.parametrize(
    ("symbol", "expected"),
    [
        ("west@head", True),
        ("east@heads", True),
        ("east@base", True),
        ("west", True),
        ("west@left", True),
        ("west@+1", True),
        ("west@head-1", True),
        ("west@left-1", True),
        ("nowhere@head", False),
        ("nowhere@+1", False),
        ("west@zz", False),
        ("head", True),
        ("head-1", True),
    ],
)
def test_symbols_with_labels(branched: History, symbol: str, expected: bool) -> None:
    assert branched.resolves(symbol) is expected


def test_what_a_history_knows(line: History) -> None:
    assert line.knows("a1xx")
    # A version table holds full ids; part of one, or a symbol, is none.
    assert not line.knows("b3")
    assert not line.knows("head")
    assert not line.knows("zz")
    assert not line.knows("")
    assert line.unknown(("a1xx", "zz", "b3")) == ("zz", "b3")


def test_branches_and_what_depends(branched: History) -> None:
    # right is no head of its own: far brings it along.
    assert branched.heads == ("far", "left")
    assert branched.bases == ("far", "root")
    steps = taken(branched, (), "heads")
    assert set(steps) == {"root", "left", "right", "far"}
    assert steps.index("root") < steps.index("right") < steps.index("far")
    assert taken(branched, (), "west@head") == ["root", "left"]
    assert taken(branched, (), "east@head") == ["root", "right", "far"]
    assert branched.behind(("left",)) == 2
    assert branched.behind(branched.heads) == 0
    with pytest.raises(HistoryError, match="Multiple head revisions"):
        taken(branched, (), "head")


def test_a_merge(tmp_path: Path) -> None:
    project = small_project(tmp_path, ONE)
    project.revision("main", "root")
    project.revision("main", "left", after="root")
    project.revision("main", "right", after="root")
    project.revision("main", "both", after=("left", "right"))
    history = loaded(project)
    assert history.heads == ("both",)
    last = history.path(("left",), history.upgrade("head"))
    assert [step.revision for step in last] == ["right", "both"]
    assert last[0].changes == (VersionChange("insert", new="right"),)
    assert {(one.kind, one.old, one.new) for one in last[1].changes} == {
        ("delete", "left", None),
        ("update", "right", "both"),
    } or {(one.kind, one.old, one.new) for one in last[1].changes} == {
        ("delete", "right", None),
        ("update", "left", "both"),
    }


def reverted(
    history: History, start: tuple[str, ...], end: tuple[str, ...], state: tuple[str, ...]
) -> tuple[list[str], tuple[str, ...]]:
    """What a revert takes back, and where it ends."""
    steps = history.path(state, history.revert(start, end))
    assert all(step.direction is Direction.DOWNGRADE for step in steps)
    rows = states_along(state, [step.changes for step in steps])
    return [step.revision for step in steps], rows[-1]


def test_a_revert_goes_where_it_was(tmp_path: Path) -> None:
    project = small_project(tmp_path, ONE)
    project.revision("main", "a")
    project.revision("main", "b", after="a")
    project.revision("main", "c", after="a")
    project.revision("main", "m", after=("b", "c"))
    project.revision("main", "other")
    project.revision("main", "needs", after="other", more='depends_on = "b"\n')
    history = loaded(project)
    for start, end in (
        ((), ("m",)),
        (("a",), ("m",)),
        (("b",), ("m",)),
        (("b", "c"), ("m",)),
        (("c",), ("m", "needs")),
        (("b", "other"), ("needs",)),
        (("b",), ("c", "needs")),
        (("other",), ("needs",)),
    ):
        there = history.path(start, history.upgrade(end[0]))
        for name in end[1:]:
            at = states_along(start, [step.changes for step in there])[-1]
            there += history.path(at, history.upgrade(name))
        along = states_along(start, [step.changes for step in there])
        assert along[-1] == tuple(sorted(end)), (start, end)
        for place, state in enumerate(along):
            names, rows = reverted(history, start, end, state)
            assert rows == tuple(sorted(start)), (start, end, state)
            assert set(names) == {step.revision for step in there[:place]}


def test_a_revert_from_elsewhere(line: History) -> None:
    for state in ((), ("b3xx",)):
        with pytest.raises(HistoryError, match="not on the way from a1xx to a2xx"):
            reverted(line, ("a1xx",), ("a2xx",), state)
    with pytest.raises(HistoryError, match="has no file for gone"):
        reverted(line, ("a1xx",), ("gone",), ("a1xx",))


def test_what_leads_nowhere(line: History) -> None:
    for state, destination in (
        (("a1xx",), "+7"),
        (("zz",), "head"),
        ((), "zz"),
        (("a1xx", "b3xx"), "head"),
    ):
        with pytest.raises(HistoryError) as caught:
            taken(line, state, destination)
        [problem] = caught.value.problems
        assert problem.where == "bind main"
        assert problem.todo == "See `orchestrator history --bind main` for its revisions."


def broken(project: SmallProject) -> list[tuple[str, str]]:
    with pytest.raises(HistoryError) as caught:
        loaded(project)
    return [(one.where, one.what) for one in caught.value.problems]


def test_broken_files_of_every_bind_are_told_at_once(tmp_path: Path) -> None:
    project = small_project(tmp_path, TWO)
    first = project.write("migrations/versions/main/a.py", "revision = 'a'\nx = 1 / 0\n")
    second = project.write("migrations/versions/shop/b.py", "revision = 'b'\ndef (:\n")
    assert [where for where, _what in broken(project)] == [f"{first}:2", f"{second}:2"]


def test_references_to_nothing_cycles_and_twins(tmp_path: Path) -> None:
    project = small_project(tmp_path, ONE)
    file = project.revision("main", "a", after="gone")
    [(where, what)] = broken(project)
    assert where == str(file)
    assert "gone" in what
    file.unlink()
    project.revision("main", "a", after="b")
    project.revision("main", "b", after="a")
    [(_where, what)] = broken(project)
    assert "ycle" in what
    project.revision("main", "a")
    (project.root / "migrations/versions/main/b.py").unlink()
    text = (project.root / "migrations/versions/main/a.py").read_text()
    twin = project.write("migrations/versions/main/twin.py", text)
    [(where, what)] = broken(project)
    assert sorted(where.split(", ")) == [str(twin.with_name("a.py")), str(twin)]
    assert "Revision a is present more than once" in what


def test_a_file_that_is_no_text_is_named(tmp_path: Path) -> None:
    project = small_project(tmp_path, ONE)
    project.revision("main", "a")
    file = project.write("migrations/versions/main/b.py", "revision = 'b'\0\n")
    assert [where for where, _what in broken(project)] == [str(file)]


def test_a_folder_that_cannot_be_read_is_not_an_empty_history(tmp_path: Path) -> None:
    project = small_project(tmp_path, ONE)
    file = project.write("migrations/versions/main", "no folder")
    [(where, what)] = broken(project)
    assert where == str(file)
    assert what == "the folder of revisions cannot be read: Not a directory"


def test_a_file_without_its_functions(tmp_path: Path) -> None:
    project = small_project(tmp_path, ONE)
    file = project.write(
        "migrations/versions/main/a.py",
        "revision = 'a'\ndown_revision = None\ndef upgraded(): ...\n",
    )
    history = loaded(project)
    for name, state, way in (
        ("upgrade", (), history.upgrade("head")),
        ("downgrade", ("a",), history.downgrade("base")),
    ):
        with pytest.raises(HistoryError) as caught:
            history.path(state, way)
        [problem] = caught.value.problems
        assert problem.where == str(file)
        assert problem.what == f"the revision file has no function {name}()"


def test_an_id_stands_in_one_bind_only(tmp_path: Path) -> None:
    project = small_project(tmp_path, TWO)
    first = project.revision("main", "same")
    second = project.revision("shop", "same")
    assert broken(project) == [(str(second), f"revision same stands in bind main ({first}) too")]


def test_a_bind_without_revisions(tmp_path: Path) -> None:
    history = loaded(small_project(tmp_path, ONE))
    assert (history.heads, history.scripts()) == ((), [])
    assert taken(history, (), "head") == []
    assert history.at_head(())
    assert history.resolves("head")
