"""Rollouts in the ledger, in a file and on servers: who drives one, and what survives him."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, inspect, make_url, text

from orchestrator.config.ledger_tables import LEDGER_TABLES
from orchestrator.errors import LedgerError, UsageError
from orchestrator.ledger import tables
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollout_types import WaveCount, WaveRow
from orchestrator.ledger.rollouts import Rollouts
from orchestrator.ledger.types import Run
from tests.conftest import DatabaseFactory
from tests.ledger.made import NOON, batch, run, write
from tests.ledger.made_rollouts import PLAN, WAVES, places, rollout


def opened(url: str, *runs: Run) -> tuple[Ledger, Rollouts]:
    """A ledger with these runs, by default one of this process."""
    ledger = Ledger.open(url)
    for one in runs or (run("first"),):
        assert ledger.begin(one)
    return ledger, Rollouts(ledger)


def test_a_rollout_comes_back_as_it_was_written(url: str) -> None:
    _ledger, rollouts = opened(url)
    its = rollout(verify=False, reason="ä", reverts="x", verb="downgrade")
    assert rollouts.views(5) == ()
    rollouts.create(its, WAVES, places("shop", "Shop"))
    view = rollouts.view(its.id)
    assert (view.row, view.waves, view.driven, view.status) == (its, WAVES, True, "running")
    assert view.counts == (WaveCount(0, waiting=2), WaveCount(1, waiting=3))
    assert rollouts.targets(its.id) == places("shop", "Shop")
    assert rollouts.runs(its.id) == ("first",)
    assert rollouts.of_run("first") == its.id
    assert rollouts.of_run("other") is None
    (listed,) = rollouts.views(5)
    assert listed == replace(view, row=replace(its, plan=""))
    assert rollouts.view(its.id, plan=False) == listed


def test_what_becomes_of_targets_and_waves(url: str) -> None:
    _ledger, rollouts = opened(url)
    its = rollout()
    rollouts.create(its, WAVES, places())
    first, second, third, *_ = places()
    done = replace(first, state="done", before="aa", after="bb", run="first")
    failed = replace(
        second, state="failed", revision="b2", error="no \0 room" + "\N{GRINNING FACE}" * 20_000
    )
    rollouts.put(its.id, [done, failed, replace(third, state="different")])
    rollouts.put(its.id, [])
    soaking = replace(
        WAVES[1], state="soaking", started=NOON, ended=NOON, soak_until=NOON + timedelta(hours=1)
    )
    rollouts.move(its.id, soaking)
    view = rollouts.view("last")
    assert view.counts == (
        WaveCount(0, done=1, failed=1),
        WaveCount(1, waiting=2, different=1),
    )
    assert [one.total for one in view.counts] == [2, 3]
    assert (view.row.wave, view.waves) == (1, (WAVES[0], soaking))
    assert view.row.changed > its.changed
    (kept,) = rollouts.targets(its.id, wave=0, states=["failed", "different"])
    assert kept.error.startswith("no \\0 room")
    assert kept.error.endswith("...")
    assert replace(kept, error="") == replace(failed, error="")
    assert rollouts.targets(its.id, states=["done"]) == (done,)
    assert [one.number for one in rollouts.targets(its.id, wave=1)] == [2, 3, 4]


def test_a_bind_is_in_one_rollout_at_a_time(url: str) -> None:
    _ledger, rollouts = opened(url)
    rollouts.create(rollout("a1"), WAVES, places("shop"))
    rollouts.create(rollout("a2"), WAVES, places("main"))
    rollouts.settle("a1", "paused")
    with pytest.raises(UsageError) as caught:
        rollouts.create(rollout("a3"), WAVES, places("audit", "main", "shop"))
    told = [(one.where, one.what) for one in caught.value.problems]
    assert [where for where, _what in told] == ["bind main", "bind shop"]
    assert told[1][1].startswith("rollout a1 is paused, ")
    assert "rollout abort a1" in caught.value.problems[1].todo
    assert [view.row.id for view in rollouts.views(9)] == ["a2", "a1"], "all or nothing"
    assert rollouts.targets("a3") == ()
    rollouts.settle("a1", "done")
    rollouts.settle("a2", "aborted", "not wanted")
    rollouts.create(rollout("a3"), WAVES, places("audit", "main", "shop"))
    assert rollouts.view("a2").row.reason == "not wanted"


def test_a_rollout_is_claimed_from_whom_one_expects(url: str) -> None:
    _ledger, rollouts = opened(url, run("first"), run("second"), run("third"))
    rollouts.create(rollout("a1"), WAVES, places())
    rollouts.ask("a1", "pause")
    assert rollouts.asked("a1") == "pause"
    rollouts.settle("a1", "stopped", "too many failed")
    assert rollouts.asked("a1") == ""
    assert rollouts.view("a1").row.reason == "too many failed"
    rollouts.ask("a1", "abort")
    assert not rollouts.claim("a1", "second", "other")
    assert rollouts.claim("a1", "second", "first")
    row = rollouts.view("a1").row
    assert (row.run, row.status, row.ask, row.reason) == ("second", "running", "", "")
    assert not rollouts.claim("a1", "third", "first")
    assert not rollouts.claim("none", "third", "first")
    assert rollouts.asked("none") == ""
    assert rollouts.claim("a1", "third", "second")
    assert rollouts.runs("a1") == ("first", "second", "third")
    assert rollouts.of_run("second") == "a1"


def test_only_the_one_that_drives_it_settles_it(url: str) -> None:
    _ledger, rollouts = opened(url, run("first"), run("second"))
    rollouts.create(rollout("a1"), WAVES, places())
    assert rollouts.claim("a1", "second", "first")
    assert not rollouts.settle("a1", "aborted", run="first")
    assert rollouts.view("a1").status == "running"
    assert rollouts.settle("a1", "paused", run="second")
    assert rollouts.settle("a1", "aborted")
    assert not rollouts.settle("none", "aborted")


def test_one_that_is_over_is_claimed_when_its_binds_are_free(url: str) -> None:
    _ledger, rollouts = opened(url, *(run(name) for name in ("first", "second", "third")))
    rollouts.create(rollout("a1"), WAVES, places("main", "shop"))
    rollouts.settle("a1", "done")
    rollouts.create(rollout("a2"), WAVES, places("shop"))
    with pytest.raises(UsageError, match="rollout a2 is running"):
        rollouts.claim("a1", "second", "first")
    assert rollouts.view("a1").row.run == "first"
    rollouts.settle("a2", "aborted")
    assert rollouts.claim("a1", "second", "first")
    with pytest.raises(UsageError, match="rollout a1 is running"):
        rollouts.claim("a2", "third", "first")


def test_a_dead_process_leaves_it_interrupted(url: str) -> None:
    ledger, rollouts = opened(url, run("first", host="gone", birth=""), run("second"))
    rollouts.create(rollout("a1"), WAVES, places())
    view = rollouts.view(None)
    assert (view.driven, view.status, view.row.status) == (False, "interrupted", "running")
    rollouts.claim("a1", "second", "first")
    assert rollouts.view(None).status == "running"
    write(ledger, "second", batch(ended=NOON, result="failed"))
    assert rollouts.view(None).status == "interrupted", "its end is not written either"
    rollouts.settle("a1", "paused")
    assert rollouts.view(None).status == "paused"


def test_rollouts_are_found_by_their_names(url: str) -> None:
    _ledger, rollouts = opened(url)
    for name in (None, "last"):
        with pytest.raises(UsageError, match="no rollout yet"):
            rollouts.view(name)
    for number, (name, bind) in enumerate((("20a", "main"), ("20ab", "shop"), ("x%", "audit"))):
        rollouts.create(rollout(name, number), WAVES, places(bind))
    with pytest.raises(UsageError, match="several rollouts are not over: 20a, 20ab, x%"):
        rollouts.view(None)
    rollouts.settle("20ab", "done")
    rollouts.settle("x%", "done")
    assert rollouts.view(None).row.id == "20a", "the only one that is not over"
    rollouts.settle("20a", "aborted")
    assert rollouts.view(None).row.id == "x%", "the last one"
    assert [rollouts.view(name).row.id for name in ("last", "x", "20a", "20ab")] == [
        "x%",
        "x%",
        "20a",
        "20ab",
    ]
    with pytest.raises(UsageError, match="several rollouts start with '2': 20a, 20ab"):
        rollouts.view("2")
    with pytest.raises(UsageError, match="no rollout '%'"):
        rollouts.view("%")


def test_a_wave_of_new_targets(url: str) -> None:
    _ledger, rollouts = opened(url)
    rollouts.create(rollout(), WAVES, places())
    new = WaveRow(2, "new", 1, 8, 0)
    later = replace(places()[0], number=5, wave=2, target="shop/new")
    rollouts.extend("2026", "other", "more", new, [later])
    view = rollouts.view("2026")
    assert view.row.plan == PLAN, "only a whole id is written to"
    rollouts.extend(view.row.id, "sha256:2", "more", new, [later])
    view = rollouts.view("2026")
    assert (view.row.digest, view.row.plan) == ("sha256:2", "more")
    assert view.waves == (*WAVES, new)
    assert view.counts[2] == WaveCount(2, waiting=1)
    assert rollouts.targets(view.row.id, wave=2) == (later,)


def test_ten_thousand_targets_and_a_plan_of_megabytes(url: str) -> None:
    ledger, rollouts = opened(url)
    # Nothing in it comes twice, as digests in a plan do not.
    plan = "\n".join(f"{number * 2654435761 % 2**64:x}" for number in range(800_000))
    assert len(plan) > 10_000_000
    many = places(count=10_000)
    sent: list[str] = []
    event.listen(ledger.engine, "before_cursor_execute", lambda *told: sent.append(told[2]))
    rollouts.create(rollout(plan=""), WAVES, many)
    rollouts.put(rollout().id, [replace(one, state="done") for one in many])
    # Under a second each on a machine that has nothing else to do; here it is what decides that.
    assert len(sent) < 60, "hundreds of rows in a statement"
    assert rollouts.view(None).counts == (WaveCount(0, done=2), WaveCount(1, done=9_998))
    assert rollouts.targets(rollout().id) == tuple(replace(one, state="done") for one in many)
    rollouts.create(rollout("big", plan=plan), WAVES, places("main"))
    assert rollouts.view("big").row.plan == plan


def test_a_plan_that_the_server_does_not_take_is_told(my_database: DatabaseFactory) -> None:
    ledger, rollouts = opened(my_database().render_as_string(hide_password=False))
    with ledger.engine.connect() as connection:
        most = int(connection.execute(text("SELECT @@max_allowed_packet")).scalar_one())
    plan = random.Random(1).randbytes(most).decode("latin-1")
    with pytest.raises(LedgerError, match=f"allows {most:,}") as caught:
        rollouts.create(rollout(plan=plan), WAVES, places())
    assert "max_allowed_packet" in caught.value.problems[0].todo
    assert rollouts.views(1) == ()
    rollouts.create(rollout(), WAVES, places())
    with pytest.raises(LedgerError, match=f"allows {most:,}"):
        rollouts.extend(rollout().id, "", plan, WAVES[1], ())


CREATOR = """
import sys
from orchestrator.errors import UsageError
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollouts import Rollouts
from tests.ledger.made_rollouts import WAVES, places, rollout
url, name = sys.argv[1:]
rollouts = Rollouts(Ledger.open(url))
won = 0
for number in range(10):
    try:
        rollouts.create(rollout(f"{number}-{name}"), WAVES, places(f"a{number}", f"b{number}"))
        won += 1
    except UsageError as error:
        assert "is in one rollout at a time" in str(error)
print(won)
"""

CLAIMER = """
import sys
from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.rollouts import Rollouts
url, name = sys.argv[1:]
rollouts = Rollouts(Ledger.open(url))
print(sum(rollouts.claim(f"a{number}", name, "first") for number in range(20)))
"""


def counted_together(program: str, url: str, names: Sequence[str]) -> list[int]:
    """What several processes of one program print, at the same time."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", program, url, name],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        for name in names
    ]
    told = []
    for process in started:
        out, errors = process.communicate(timeout=120)
        assert errors == b""
        told.append(int(out))
    return told


def test_processes_that_create_at_once(url: str) -> None:
    _ledger, rollouts = opened(url)
    assert sum(counted_together(CREATOR, url, ["x", "y", "z"])) == 10
    assert len(rollouts.views(99)) == 10


def test_processes_that_claim_at_once(url: str) -> None:
    _ledger, rollouts = opened(url, run("first"), run("x"), run("y"), run("z"))
    for number in range(20):
        rollouts.create(rollout(f"a{number}"), WAVES, places(f"b{number}"))
    assert sum(counted_together(CLAIMER, url, ["x", "y", "z"])) == 20
    for number in range(20):
        assert rollouts.runs(f"a{number}") == ("first", rollouts.view(f"a{number}").row.run)


def made_by_schema_1(url: str) -> Ledger:
    """A ledger with a run, as the first program with one left it."""
    ledger = Ledger.open(url)
    ledger.begin(run())
    newer = [one for one in tables.metadata.sorted_tables if "rollout" in one.name]
    assert len(newer) == 5
    with ledger.engine.begin() as connection:
        tables.metadata.drop_all(connection, tables=newer)
        connection.execute(text("UPDATE orchestrator_ledger SET schema_number = 1"))
    return ledger


@pytest.mark.parametrize("road", [Ledger.open, Ledger.read])
def test_a_ledger_of_schema_1_is_brought_up_to_date(url: str, road: object) -> None:
    made_by_schema_1(url)
    assert callable(road)
    ledger = road(url)
    assert set(inspect(ledger.engine).get_table_names()) == LEDGER_TABLES
    assert [view.run for view in ledger.runs(9)] == [run()]
    Rollouts(ledger).create(rollout(), WAVES, places())
    assert Rollouts(ledger).view(None).row == rollout()


def test_the_waves_of_schema_2_keep_the_time_limit_that_they_had(url: str) -> None:
    ledger = Ledger.open(url)
    Rollouts(ledger).create(rollout(), WAVES, places())
    with ledger.engine.begin() as connection:
        connection.execute(text("ALTER TABLE orchestrator_rollout_waves DROP COLUMN check_timeout"))
        connection.execute(text("UPDATE orchestrator_ledger SET schema_number = 2"))
    view = Rollouts(Ledger.open(url)).view(None)
    assert [wave.check_timeout for wave in view.waves] == [600.0] * len(WAVES)
    assert view.row == rollout()
    # A process that ended between the change and its number.
    with ledger.engine.begin() as connection:
        connection.execute(text("UPDATE orchestrator_ledger SET schema_number = 2"))
    assert Rollouts(Ledger.open(url)).view(None).waves == view.waves


def test_processes_that_bring_it_up_to_date_at_once(url: str) -> None:
    made_by_schema_1(url)
    program = (
        "import sys; from orchestrator.ledger.ledger import Ledger; "
        "print(len(Ledger.open(sys.argv[1]).runs(9)))"
    )
    assert counted_together(program, url, ["x", "y", "z"]) == [1, 1, 1]
    ledger = Ledger.open(url)
    assert set(inspect(ledger.engine).get_table_names()) == LEDGER_TABLES
    with ledger.engine.connect() as connection:
        assert tables.schema_number(connection) == tables.SCHEMA


def test_a_ledger_that_is_gone_is_told(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/ledger.db"
    _ledger, rollouts = opened(url)
    Path(make_url(url).database or "").write_text("something else entirely", encoding="utf-8")
    for work in (
        lambda: rollouts.view(None),
        lambda: rollouts.asked("a1"),
        lambda: rollouts.ask("a1", "pause"),
        lambda: rollouts.create(rollout(), WAVES, places()),
    ):
        with pytest.raises(LedgerError, match="file is not a database"):
            work()
