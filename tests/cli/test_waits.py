"""Waits of few targets and of many, under a clock of the test's own."""

from __future__ import annotations

from orchestrator.cli.waits import FEW, PERIOD, Waits
from tests.cli.test_progress import targets


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_first_few_are_told_and_the_others_counted() -> None:
    lines: list[str] = []
    clock = Clock()
    waits = Waits(lines.append, clock)
    fleet = targets("shop", 1_000)
    for target in fleet:
        waits.heard(target, "waits")
    assert lines == [f"shop/c{number}: waits" for number in range(FEW)]
    clock.now += PERIOD
    for target in fleet:
        waits.heard(target, "still waits")
    assert lines[FEW:] == [
        "995 more targets wait or will be tried again",
        *(f"shop/c{number}: still waits" for number in range(FEW)),
    ]


def test_a_count_is_told_when_nothing_else_waits() -> None:
    lines: list[str] = []
    clock = Clock()
    waits = Waits(lines.append, clock)
    for target in targets("shop", FEW + 1):
        waits.heard(target, "waits")
    waits.look()
    assert len(lines) == FEW
    clock.now += PERIOD
    waits.look()
    waits.look()
    assert lines[FEW:] == ["1 more target waits or will be tried again"]
