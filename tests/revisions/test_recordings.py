"""Recordings that are kept: when they are used again, and above all when they are not."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from orchestrator.config import Flavour
from orchestrator.config.load import load_config
from orchestrator.revisions.kept import recordings_folder
from orchestrator.revisions.recordings import Compiled, Listener, Wanted, compile_cached
from orchestrator.revisions.types import Direction, Step
from tests.revisions.recorded import make_project, statements

PLAIN = """
def upgrade():
    op.execute("CREATE TABLE a (i int)")

def downgrade():
    op.execute("DROP TABLE a")
"""
LIVE = """
def upgrade():
    op.get_bind().execute(sa.text("SELECT 1")).scalar()
"""
READING = """
import os
import pathlib

import helper_of_revisions

def upgrade():
    seed = pathlib.Path(__file__).with_name("seed.txt").read_text()
    op.execute(f"INSERT INTO a VALUES ({seed}, {os.environ['SEED']}, {helper_of_revisions.SEED})")
"""


def wanted(
    root: Path,
    revisions: Sequence[str],
    *,
    flavour: str = "postgresql-16",
    direction: Direction = Direction.UPGRADE,
) -> Wanted:
    folder = root / "migrations" / "versions" / "main"
    parsed = Flavour.parse(flavour)
    return Wanted(
        "main",
        parsed,
        parsed.name,
        tuple(Step(one, direction, "", folder / f"{one}.py", ()) for one in revisions),
    )


def compiled(root: Path, *asked: Wanted) -> tuple[list[tuple[Compiled, ...]], list[str]]:
    """The recordings, and each flavour for which something was recorded, with how many steps."""
    made: list[str] = []

    def recording(one: Wanted, steps: int) -> None:
        made.append(f"{one.flavour} {steps}")

    config = load_config(root / "databases.yaml", root=root)
    return compile_cached(config, asked, Listener(recording)), made


def test_a_history_is_recorded_once(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN, LIVE])
    steps = wanted(root, ["r1", "r2"])
    first, made = compiled(root, steps)
    assert made == ["postgresql-16 2"]
    assert statements(first[0][0].recording) == ["CREATE TABLE a (i int)"]
    (reason,) = first[0][1].recording.live
    assert reason.name == "reads-result"

    second, made = compiled(root, steps)
    assert made == []
    assert second == first


def test_nothing_of_the_project_is_imported_when_all_is_kept(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN])
    trap = root / "migrations" / "env.py"
    trap.write_text(trap.read_text() + "\nopen('loaded.txt', 'a').write('x')\n")
    compiled(root, wanted(root, ["r1"]))
    loaded = Path("loaded.txt")
    try:
        assert loaded.read_text() == "xx", "one load in each of the two processes"
        compiled(root, wanted(root, ["r1"]))
        assert loaded.read_text() == "xx"
    finally:
        loaded.unlink(missing_ok=True)


def test_directions_and_flavours_are_kept_apart(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN])
    asked = (
        wanted(root, ["r1"]),
        wanted(root, ["r1"], direction=Direction.DOWNGRADE),
        wanted(root, ["r1"], flavour="mariadb-10.11"),
    )
    found, made = compiled(root, *asked)
    assert [statements(one.recording) for (one,) in found] == [
        ["CREATE TABLE a (i int)"],
        ["DROP TABLE a"],
        ["CREATE TABLE a (i int)"],
    ]
    assert made == ["postgresql-16 1", "postgresql-16 1", "mariadb-10.11 1"]
    assert compiled(root, *asked) == (found, [])


def test_only_what_is_new_is_recorded(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN, PLAIN])
    compiled(root, wanted(root, ["r1"]))
    assert compiled(root, wanted(root, ["r1", "r2"]))[1] == ["postgresql-16 1"]
    found, made = compiled(root, wanted(root, ["r2", "r1"]))
    assert made == []
    assert [one.recording.revision for one in found[0]] == ["r2", "r1"]


@pytest.fixture
def reading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose revision r1 uses a module, a data file and a variable."""
    root = make_project(tmp_path, [READING])
    (root / "helper_of_revisions.py").write_text("SEED = 3\n")
    (root / "migrations" / "versions" / "main" / "seed.txt").write_text("1")
    monkeypatch.setenv("SEED", "2")
    found, made = compiled(root, wanted(root, ["r1"]))
    assert statements(found[0][0].recording) == ["INSERT INTO a VALUES (1, 2, 3)"]
    assert made
    return root


def _models(root: Path) -> Path:
    return next(root.glob("apps_*/things/models.py"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "its module": lambda root: (root / "helper_of_revisions.py").write_text("SEED = 33\n"),
    "its data": lambda root: (root / "migrations/versions/main/seed.txt").write_text("11"),
    "its file": lambda root: _append(root / "migrations/versions/main/r1.py", "# more\n"),
    "env.py": lambda root: _append(root / "migrations/env.py", "# more\n"),
    "a model": lambda root: _append(_models(root), "# more\n"),
    "alembic.ini": lambda root: (root / "alembic.ini").write_text("[alembic]\n"),
    "the version table": lambda root: _append(
        root / "databases.yaml", "    version_table: versions\n"
    ),
}


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text() + text)


@pytest.mark.parametrize("what", CHANGES)
def test_a_change_is_seen(reading: Path, what: str) -> None:
    CHANGES[what](reading)
    assert compiled(reading, wanted(reading, ["r1"]))[1] == ["postgresql-16 1"]
    assert compiled(reading, wanted(reading, ["r1"]))[1] == []


def test_a_changed_variable_is_seen(reading: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEED", "22")
    found, made = compiled(reading, wanted(reading, ["r1"]))
    assert made == ["postgresql-16 1"]
    assert statements(found[0][0].recording) == ["INSERT INTO a VALUES (1, 22, 3)"]


def test_what_does_not_matter_is_left_alone(reading: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _append(reading / "databases.yaml", "    lock_timeout: 7s\n")
    (reading / "pyproject.toml").write_text("[project]\nversion = '2'\n")
    (reading / "another.py").write_text("")
    monkeypatch.setenv("ANOTHER", "1")
    assert compiled(reading, wanted(reading, ["r1"]))[1] == []


def test_a_project_elsewhere_uses_the_same_recordings(tmp_path: Path) -> None:
    root = make_project(tmp_path / "one" / "project", [PLAIN, LIVE])
    first, _ = compiled(root, wanted(root, ["r1", "r2"]))
    moved = Path(shutil.move(root, tmp_path / "project"))
    second, made = compiled(moved, wanted(moved, ["r1", "r2"]))
    assert made == []
    assert second[0][0] == first[0][0]
    where = second[0][1].recording.live[0].where
    assert where.startswith(str(moved / "migrations"))
    assert where.rpartition(":")[2] == first[0][1].recording.live[0].where.rpartition(":")[2]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"inputs": 1}', "\udcff", "null"])
def test_damaged_files_are_made_again(tmp_path: Path, content: str) -> None:
    root = make_project(tmp_path, [PLAIN])
    before, _ = compiled(root, wanted(root, ["r1"]))
    folder = recordings_folder(load_config(root / "databases.yaml", root=root))
    files = list(folder.iterdir())
    assert len(files) == 2
    for file in files:
        file.write_text(content, errors="surrogateescape")
    assert compiled(root, wanted(root, ["r1"])) == (before, ["postgresql-16 1"])
    assert compiled(root, wanted(root, ["r1"])) == (before, [])


@pytest.mark.parametrize(
    "broken",
    [
        {"segments": [[True, [1]]]},
        {"segments": [[True]]},
        {"segments": "SELECT 1"},
        {"live": [["reads-result", "x"]]},
        {"segments": None},
    ],
)
def test_a_recording_of_another_shape_is_none(tmp_path: Path, broken: dict[str, object]) -> None:
    root = make_project(tmp_path, [PLAIN])
    before, _ = compiled(root, wanted(root, ["r1"]))
    folder = recordings_folder(load_config(root / "databases.yaml", root=root))
    (file,) = [one for one in folder.iterdir() if "segments" in one.read_text()]
    file.write_text(json.dumps(json.loads(file.read_text()) | broken))
    assert compiled(root, wanted(root, ["r1"])) == (before, ["postgresql-16 1"])


def test_a_folder_that_cannot_be_written_is_a_warning(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN])
    (root / ".orchestrator").write_text("a file stands where the folder should")
    heard: list[str] = []
    found = compile_cached(
        load_config(root / "databases.yaml", root=root),
        [wanted(root, ["r1"])],
        Listener(warning=heard.append),
    )
    assert statements(found[0][0].recording) == ["CREATE TABLE a (i int)"]
    (warning,) = heard
    assert str(root / ".orchestrator" / "recordings") in warning


def test_bytes_that_are_no_text_survive(tmp_path: Path) -> None:
    body = r"""
    def upgrade():
        op.execute("INSERT INTO t VALUES (_binary'\udcff\udc80')")
    """
    root = make_project(tmp_path, [body], url="mysql://u@localhost/x")
    first, _ = compiled(root, wanted(root, ["r1"], flavour="mysql-8.4"))
    (text,) = statements(first[0][0].recording)
    assert b"'\xff\x80'" in text.encode("utf-8", "surrogateescape")
    assert compiled(root, wanted(root, ["r1"], flavour="mysql-8.4")) == (first, [])


def test_a_callback_makes_every_step_live(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN, PLAIN])
    (root / "migrations" / "env.py").write_text(
        "from orchestrator.environment import run_migrations\n\n"
        "run_migrations(on_version_apply=lambda **_: None)\n"
    )
    for times in (1, 0):
        found, made = compiled(root, wanted(root, ["r1", "r2"]))
        assert len(made) == times
        reasons = [reason for one in found[0] for reason in one.recording.live]
        assert [reason.name for reason in reasons] == ["version-callback"] * 2
        assert reasons[0].where.endswith("env.py")


ENUM = """
def upgrade():
    op.create_table("t{}", sa.Column("mood", sa.Enum("good", "bad", name="mood")))
"""


def test_a_type_is_made_once_in_a_path(tmp_path: Path) -> None:
    """Alembic remembers the types that a run has made: what a step writes depends on those before.

    r1 and r3 have columns of one enum. A run from base makes it in r1; a run from r2 in r3, as
    stock Alembic does.
    """
    root = make_project(tmp_path, [ENUM.format(1), PLAIN, ENUM.format(3), PLAIN])
    whole, rest = wanted(root, ["r1", "r2", "r3", "r4"]), wanted(root, ["r3", "r4"])
    for asked in ((whole, rest), (rest, whole)):
        found, made = compiled(root, *asked)
        assert len(made) == (2 if asked == (whole, rest) else 0)
        by_length = sorted(found, key=len)
        makes = [
            [any("CREATE TYPE" in text for text in statements(one.recording)) for one in path]
            for path in by_length
        ]
        assert makes == [[True, False], [True, False, False, False]]


def test_only_the_end_of_a_path_with_types_is_recorded(tmp_path: Path) -> None:
    """What Alembic remembers is kept too: a new revision at the end knows of the type in r1."""
    root = make_project(tmp_path, [ENUM.format(1), PLAIN, ENUM.format(3)])
    compiled(root, wanted(root, ["r1", "r2"]))
    found, made = compiled(root, wanted(root, ["r1", "r2", "r3"]))
    assert made == ["postgresql-16 1"]
    (text,) = statements(found[0][2].recording)
    assert text.split()[:3] == ["CREATE", "TABLE", "t3"]


def test_several_runs_share_the_folder(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN, LIVE])
    steps = wanted(root, ["r1", "r2"])
    with ThreadPoolExecutor(2) as threads:
        one, other = threads.map(lambda _: compiled(root, steps)[0], range(2))
    assert one == other
    folder = recordings_folder(load_config(root / "databases.yaml", root=root))
    assert not list(folder.glob(".*")), "no unfinished file is left"
    assert compiled(root, steps) == (one, [])


def test_files_that_nobody_asks_for_are_swept(tmp_path: Path) -> None:
    root = make_project(tmp_path, [PLAIN, PLAIN, PLAIN])
    compiled(root, wanted(root, ["r1", "r2"]))
    folder = recordings_folder(load_config(root / "databases.yaml", root=root))
    long_ago = time.time() - 31 * 86_400
    for file in folder.iterdir():
        os.utime(file, (long_ago, long_ago))
    assert compiled(root, wanted(root, ["r2", "r3"]))[1] == ["postgresql-16 1"]
    assert compiled(root, wanted(root, ["r2", "r3"]))[1] == [], "what is used stays"
    assert compiled(root, wanted(root, ["r1"]))[1] == ["postgresql-16 1"], "the rest goes"


def test_four_hundred_revisions_are_read_at_once(tmp_path: Path) -> None:
    bodies = [PLAIN.replace("TABLE a", f"TABLE a{number}") for number in range(400)]
    root = make_project(tmp_path, bodies)
    asked = wanted(root, [f"r{number}" for number in range(1, 401)])
    compiled(root, asked)
    config = load_config(root / "databases.yaml", root=root)
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        (found,) = compile_cached(config, [asked])
        seconds.append(time.perf_counter() - start)
    assert len(found) == 400
    assert min(seconds) < 0.05, seconds
