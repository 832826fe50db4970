"""Kills at named points and at random moments, on every server that was asked for at once."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest

import servers
from servers import EVERY
from tests.chaos.fleet import ChaosFleet
from tests.chaos.points import Orders, Points, Victim, kind_of
from tests.chaos.rounds import Chaos, Ran, complaint, servers_of

KILLS = 40
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


@pytest.mark.parametrize("at", range(1, 7))
@pytest.mark.parametrize("victim", ["server", "orchestrator"])
def test_no_statement_is_sent_twice_to_one_who_lives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, victim: Victim, at: int
) -> None:
    """A statement that runs twice would be taken for the orchestrator's fault."""
    points = Points(Orders(victim, at, 0, str(tmp_path / "points"), {}))
    ran: list[str] = []
    dead: list[str] = []
    monkeypatch.setattr(points, "_die", dead.append)

    def whole(text: str) -> None:
        if dead and victim == "server":
            raise ConnectionError
        ran.extend(text.split("\n;\n"))

    statements = ["INSERT INTO a", "SELECT 1", "UPDATE a", "COMMIT"]
    with suppress(ConnectionError):
        points.send("\n;\n".join(statements), "1", whole)
    assert dead == ["1"]
    assert ran == (statements if victim == "orchestrator" else statements[: len(ran)])


def test_a_complaint_begins_with_what_is_wrong() -> None:
    warning = "warning: the ledger is a file inside this container and is lost with it: x"
    cause = "pg18/acme: no\n    bind:      pg18\nupgrade: 1 target, 1 failed"
    log = f"{warning}\npg18/acme: running r1\n\n{cause}"
    told = complaint([Ran("server: x (point 1): exit 1", log)], "pg18/acme\n-1\n+2")
    assert told.splitlines()[:5] == [
        "pg18/acme",
        "-1",
        "+2",
        "(1) pg18/acme: no",
        "    bind:      pg18",
    ]
    assert "(1) server: x (point 1): exit 1\n--- (1)\npg18/acme: running r1" in told
    assert warning not in told


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
