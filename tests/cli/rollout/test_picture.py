"""Rollouts in words: where waves are, how fast they go, what to do next."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from orchestrator.cli.rollout.picture import (
    Pace,
    added,
    bad_words,
    headline,
    next_words,
    rules,
    total_words,
    view_data,
    wave_words,
    who_words,
)
from orchestrator.ledger.rollout_types import RolloutView, WaveCount
from tests.cli.rollout.made import COUNTS, NAME, NOON, WAVES, failed, picture, view


def words_of(of: RolloutView, rate: float = 0.0) -> list[str]:
    """What is told of each wave."""
    made = picture(of, rate=rate)
    return [wave_words(made, wave, count) for wave, count in made.waves]


def test_a_running_wave_tells_its_pace_and_those_after_it_wait() -> None:
    assert words_of(view(), 41.3) == ["done", "41/s, 2 s left", "waiting"]
    assert words_of(view(), 0.5) == ["done", "0.5/s, 3 min 20 s left", "waiting"]
    assert words_of(view()) == ["done", "running", "waiting"]


@pytest.mark.parametrize("status", ["paused", "stopped", "interrupted", "aborted"])
def test_a_wave_that_was_left_tells_how(status: str) -> None:
    assert words_of(view(status), 41.3) == ["done", status, "waiting"]


def test_a_wave_that_soaks_tells_how_long_yet() -> None:
    soaking = replace(WAVES[1], state="soaking", soak_until=NOON + timedelta(seconds=598))
    assert words_of(view(waves=(WAVES[0], soaking, WAVES[2])))[1] == "soaking, 9 min 58 s left"
    over = replace(soaking, soak_until=NOON - timedelta(seconds=1))
    assert words_of(view(waves=(WAVES[0], over, WAVES[2])))[1] == "soaking"


def test_a_wave_whose_targets_are_through_is_checked() -> None:
    counts = (COUNTS[0], WaveCount(1, 0, 198), COUNTS[2])
    assert words_of(view(counts=counts), 9.0)[1] == "checking"


def test_the_headline_tells_the_wave_and_what_was_asked() -> None:
    assert headline(picture()) == "running, wave 2 of 3"
    assert headline(picture(view(ask="pause"))) == "running, wave 2 of 3, asked to pause"
    assert headline(picture(view("done"))) == "done"
    assert who_words(picture()) == "started 2026-11-23 11:55:30 UTC (4 min 30 s ago) by alice"


def test_the_time_left_counts_the_soaks_to_come() -> None:
    waves = (WAVES[0], WAVES[1], replace(WAVES[2], soak=60))
    assert total_words(picture(rate=100.0)) == "about 19 s left"
    assert total_words(picture(view(waves=waves), rate=100.0)) == "about 1 min 19 s left"
    assert total_words(picture()) == ""
    assert total_words(picture(view("stopped"), rate=100.0)) == ""


def test_counts_are_added_and_what_is_bad_is_named() -> None:
    assert added(COUNTS) == WaveCount(-1, 1882, 115, 1, 2, 0)
    assert bad_words(WaveCount(0, done=3)) == ""
    assert bad_words(WaveCount(0, failed=1200, different=1)) == "1,200 failed, 1 different"


def test_rules_are_told_as_a_person_would() -> None:
    assert [", ".join(rules(wave)) for wave in WAVES] == [
        "8 at a time, none may fail, soaks 10 min 00 s",
        "8 at a time, at most 2 may fail, then pauses",
        "16 at a time, at most 17 may fail, checks: drift, ./look now",
    ]


@pytest.mark.parametrize(
    ("status", "bad", "commands"),
    [
        ("running", 1, []),
        ("aborted", 1, []),
        ("done", 0, []),
        ("done", 2, ["retry"]),
        ("paused", 0, ["resume", "abort"]),
        ("stopped", 3, ["resume", "abort"]),
        ("interrupted", 0, ["resume", "abort"]),
    ],
)
def test_what_to_do_next_is_a_command(status: str, bad: int, commands: list[str]) -> None:
    lines = list(next_words(view(status), bad))
    told = [line.strip() for line in lines if line.startswith("    ")]
    assert told == [f"orchestrator rollout {verb} {NAME}" for verb in commands]


def test_the_pace_is_that_of_the_last_half_minute() -> None:
    now = 0.0
    pace = Pace(lambda: now)
    assert pace.rate == 0.0
    pace.heard(0)
    assert pace.rate == 0.0
    now = 10.0
    pace.heard(100)
    assert pace.rate == 10.0
    now = 40.0
    pace.heard(400)
    assert pace.rate == 10.0
    now = 41.0
    pace.heard(400)
    now = 71.0
    pace.heard(400)
    assert pace.rate == 0.0


def test_programs_get_counts_rules_and_failures() -> None:
    data = view_data(view("stopped", reason="too many"), failed(1, "no"))
    assert (data["status"], data["reason"], data["driven"]) == ("stopped", "too many", False)
    waves = data["waves"]
    assert isinstance(waves, list)
    assert waves[1] | {"waiting": 100, "failed": 2, "max_failures": 2, "pause": True} == waves[1]
    assert waves[2]["checks"] == [["drift"], ["./look", "now"]]
    assert data["failed"] == [
        {
            "target": "shop/t0000@eu1",
            "bind": "shop",
            "server": "eu1",
            "tenant": "t0000",
            "wave": 1,
            "state": "failed",
            "revision": "4f2a",
            "error": "no",
            "cause": "no",
            "run": "",
        }
    ]
