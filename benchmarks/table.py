"""Results as text.

Enters: Results.  Leaves: a table in Markdown, with ratios, and what became of each goal.
"""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.cases import Goal
from benchmarks.contenders import CLIENTS, ORCHESTRATOR, Contender
from benchmarks.drift import Drifted
from benchmarks.rounds import Results
from benchmarks.simulated import Simulated

_MB = 1e6
_HEAD = (
    "| | s for the fleet | of it start-up | ms a target beyond it | times orchestrator's | CPU s |"
    " times orchestrator's | peak MB |\n|---|---:|---:|---:|---:|---:|---:|---:|"
)


def write_results(results: Results) -> str:
    """The table of one case."""
    case = results.case
    lines = [
        f"### ({case.name}) {case.title}: {results.size:,} targets, {results.flavour}",
        "",
        _HEAD,
        *(_line(results, one) for one in results.laps),
        "",
        f"Recording all revisions once, before: {results.recording:.2f} s.",
        *(f"- {text}" for text in _goals(results)),
        "",
    ]
    return "\n".join(lines)


def write_simulated(result: Simulated) -> str:
    """The outcome of planning without a server."""
    goal = result.case
    seconds = f"under {goal.seconds:g} s: {result.seconds:.2f} s"
    memory = f"under {goal.megabytes:g} MB: {result.peak / _MB:.0f} MB"
    return (
        f"### ({goal.name}) {goal.title}: {result.size:,} targets\n\n"
        f"- {seconds}{_word(result.seconds < goal.seconds)}\n"
        f"- {memory}{_word(result.peak / _MB < goal.megabytes)}\n"
    )


def write_drift(result: Drifted) -> str:
    """The outcome of a look for drift."""
    goal = result.case
    seconds = f"under {goal.seconds:g} s: {result.seconds:.2f} s"
    backend = f"a backend under {goal.megabytes:g} MB: {result.backend / _MB:.0f} MB"
    return (
        f"### ({goal.name}) {goal.title}: {result.size:,} targets, {result.flavour}\n\n"
        f"- {seconds}{_word(result.seconds < goal.seconds)}\n"
        f"- {backend}{_word(result.backend / _MB < goal.megabytes)}\n"
        f"- orchestrator itself: {result.peak / _MB:.0f} MB\n"
    )


def _line(results: Results, contender: Contender) -> str:
    laps = results.laps[contender]
    told = f" ({laps[0].targets} targets, extrapolated)" if contender.sampled else ""
    best = contender in CLIENTS and results.best(CLIENTS) is contender
    cells = (
        ("**" if best else "") + contender.name + told + ("** (best)" if best else ""),
        f"{results.seconds(contender):.2f}",
        f"{results.startup(contender):.2f}",
        f"{results.each(contender) * 1000:.2f}",
        f"{results.ratio(contender):.2f}",
        f"{results.cpu(contender):.2f}",
        f"{results.cpu_ratio(contender):.2f}",
        f"{results.peak(contender) / _MB:.0f}" if results.peak(contender) else "small",
    )
    return f"| {' | '.join(cells)} |"


def _goals(results: Results) -> Iterator[str]:
    for goal in results.case.goals:
        if goal.against and not any(one in results.laps for one in goal.against):
            continue  # Its peer took no part.
        found, reached, words = _judge(results, goal)
        yield f"{words}: {found}{_word(reached)}"


def _judge(results: Results, goal: Goal) -> tuple[str, bool, str]:
    if goal.kind == "at most, ms a target":
        each = results.each(ORCHESTRATOR) * 1000
        return f"{each:.3f} ms", each <= goal.figure, f"at most {goal.figure:g} ms a target"
    if goal.kind == "at most, MB":
        peak = results.peak(ORCHESTRATOR) / _MB
        return f"{peak:.0f} MB", peak <= goal.figure, f"at most {goal.figure:g} MB"
    other = results.best(goal.against)
    ratio = results.ratio(other, beyond_startup=goal.beyond_startup)
    if goal.kind == "at least, faster than":
        words = f"at least {goal.figure:g} times faster than {other.name}"
        words += ", both beyond start-up" * goal.beyond_startup
        told = "" if goal.beyond_startup else f" (in CPU {results.cpu_ratio(other):.2f})"
        return f"{ratio:.2f} times{told}", ratio >= goal.figure, words
    beyond = 1 / results.ratio(other, beyond_startup=True)
    cpu = 1 / results.cpu_ratio(other)
    return (
        f"{1 / ratio:.2f} times (beyond start-up {beyond:.2f}, in CPU {cpu:.2f})",
        1 / ratio <= goal.figure,
        f"at most {goal.figure:g} times {other.name}",
    )


def _word(reached: bool) -> str:
    return ", reached" if reached else ", NOT reached"
