"""Kills at named points and at random moments, on every server that was asked for at once."""

from __future__ import annotations

from pathlib import Path

import pytest

import servers
from servers import EVERY
from tests.chaos.fleet import ChaosFleet
from tests.chaos.points import kind_of
from tests.chaos.rounds import Chaos, servers_of

KILLS = 60
SEED = 20261122


@pytest.mark.parametrize(
    ("statement", "kind"),
    [
        ("INSERT INTO `orchestrator_journal` (revision) VALUES (1)", "journal write"),
        ('DELETE FROM "t"."orchestrator_journal"', "journal clear"),
        ("UPDATE alembic_version SET version_num = 'b'", "version row"),
        ("WITH changed AS (DELETE FROM alembic_version RETURNING 1) SELECT 1", "version row"),
        ("COMMIT", "commit"),
        ("CREATE INDEX i ON t (a)", "statement"),
        ("SELECT 1", None),
        ("SET autocommit = 0", None),
    ],
)
def test_points_have_names(statement: str, kind: str | None) -> None:
    assert kind_of(statement) == kind


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_whoever_is_killed_the_next_run_ends_well(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    everywhere = request.config.getoption("--all-servers")
    names = EVERY if everywhere else ("pg18", "mariadb")
    running = servers_of(names, servers.start)
    try:
        chaos = Chaos(ChaosFleet.make(tmp_path, running), SEED, print)
        tally = chaos.run(KILLS)
    finally:
        for server in running:
            server.stop()
    print(f"{tally.killed} kills in {tally.rounds} rounds: {dict(tally.kills)}; {tally.dirty}")
    assert not tally.wrong, tally.wrong[0]
    assert tally.killed >= KILLS
    assert {victim.partition(":")[0] for victim in tally.kills} == {
        "orchestrator",
        "worker",
        "server",
    }
