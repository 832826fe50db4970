"""Live steps that stopped half-way: which of them cannot go on, and why."""

from __future__ import annotations

import pytest

from orchestrator.safety.journal import Entry, HalfApplied, Kind
from orchestrator.safety.settle_live import why_not_again


def half(*kinds: Kind, live: bool = True) -> HalfApplied:
    rows = tuple(
        Entry("r1", "upgrade", number, kind, "ALTER TABLE t ADD a int", "digest", {})
        for number, kind in enumerate(kinds, start=1)
    )
    return HalfApplied("r1", "upgrade", "file", live, (), rows, "orchestrator - 1 host", "now")


@pytest.mark.parametrize(
    ("begun", "source", "resumable", "why"),
    [
        (half("ddl"), "file", False, ""),
        (half("data", "ddl"), "file", True, ""),
        (half("read", "ddl"), "file", False, "read what the database held"),
        (half("read", "ddl"), "file", True, ""),
        (half("ddl"), "another", True, "edited since it was begun"),
        (half("ddl", live=False), "file", True, "begun as fixed statements"),
    ],
)
def test_why_it_cannot_go_on(begun: HalfApplied, source: str, resumable: bool, why: str) -> None:
    told = why_not_again(begun, source, resumable=resumable)
    assert (why in told) if why else told == ""
