"""The end of a run: what became of every target, on one screen however large the fleet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from orchestrator.cli.output import named, plural, redact, revisions, say
from orchestrator.cli.targets import describe
from orchestrator.execution.types import Failure, Outcome
from orchestrator.ledger.causes import cause_of, names_of

LARGE = 50
"""More targets than this are counted, not listed."""
_GROUPS_SHOWN = 10
_STATEMENT_LINES = 20


def print_outcomes(verb: str, outcomes: Sequence[Outcome]) -> None:
    """All of it: targets or counts, failures by cause, and one line of totals."""
    if len(outcomes) <= LARGE:
        _print_each(outcomes)
    else:
        _print_counts(outcomes)
    print_causes(failures(outcomes))
    counts: Counter[str] = Counter(
        "stopped" if outcome.result == "not-started" and outcome.steps else outcome.result
        for outcome in outcomes
    )
    words = {
        "done": "changed",
        "unchanged": "unchanged",
        "failed": "failed",
        "stopped": "stopped on the way",
        "not-started": "not started",
    }
    said = "".join(f", {counts[key]:,} {word}" for key, word in words.items() if counts[key])
    say(f"{verb}: {plural(len(outcomes), 'target')}{said}")


def _print_each(outcomes: Sequence[Outcome]) -> None:
    width = max((len(outcome.target.id) for outcome in outcomes), default=0)
    for outcome in outcomes:
        say(f"{outcome.target.id:<{width}}  {_words(outcome)}")


def _print_counts(outcomes: Sequence[Outcome]) -> None:
    """One line for all targets of a bind that went the same way."""
    ways: Counter[tuple[str, str]] = Counter(
        (outcome.target.bind.name, _way(outcome)) for outcome in outcomes
    )
    for (bind, way), count in ways.items():
        say(f"{bind}: {plural(count, 'target')} {way}")


def _way(outcome: Outcome) -> str:
    before, after = revisions(outcome.before), revisions(outcome.after)
    if outcome.result == "unchanged":
        return f"at {after}, nothing to do"
    if outcome.result == "not-started":
        return "not started"
    if outcome.result == "failed":
        return "FAILED" + (f" in {_revision(outcome)}" if _revision(outcome) else "")
    return f"{before} -> {after}"


def _revision(outcome: Outcome) -> str:
    return outcome.failure.revision if outcome.failure else ""


def _words(outcome: Outcome) -> str:
    """One target's line."""
    before, after = revisions(outcome.before), revisions(outcome.after)
    if outcome.result == "done":
        return (
            f"{before} -> {after} ({plural(len(outcome.steps), 'step')}, {outcome.seconds:.1f} s)"
        )
    if outcome.result == "unchanged":
        return f"{after}, nothing to do"
    moved = f"{before} -> {after}, then " if outcome.steps else ""
    if outcome.result == "not-started":
        return f"{moved}stopped" if moved else "not started"
    at = f" in {_revision(outcome)}" if _revision(outcome) else ""
    return f"{moved}FAILED{at}"


@dataclass(frozen=True, slots=True)
class Failed:
    """A target's failure. cause: what failures of one cause share (`ledger.causes.cause_of`)."""

    target: str
    bind: str
    failure: Failure
    cause: str


@dataclass
class Cause:
    """Failures that are one and the same to whoever repairs them."""

    example: Failed
    targets: list[str] = field(default_factory=list)


def causes(failed: Iterable[Failed]) -> Mapping[tuple[str, str, str], Cause]:
    """Failures by bind, revision and cause."""
    found: dict[tuple[str, str, str], Cause] = {}
    for one in failed:
        key = (one.bind, one.failure.revision, one.cause)
        found.setdefault(key, Cause(one)).targets.append(one.target)
    return found


def failures(outcomes: Iterable[Outcome]) -> list[Failed]:
    """The failures among these outcomes."""
    return [
        Failed(
            outcome.target.id,
            outcome.target.bind.name,
            outcome.failure,
            cause_of(outcome.failure.message, names_of(outcome.target)),
        )
        for outcome in outcomes
        if outcome.failure is not None
    ]


def print_causes(failed: Iterable[Failed]) -> None:
    """Failures, each cause once, those that stopped most targets first."""
    for line in cause_lines(failed):
        say(line)


def cause_lines(failed: Iterable[Failed]) -> Iterator[str]:
    """The same as lines, with an empty one before each cause."""
    groups = sorted(causes(failed).values(), key=lambda cause: -len(cause.targets))
    for cause in groups[:_GROUPS_SHOWN]:
        yield ""
        yield from _cause_lines(cause)
    if len(groups) > _GROUPS_SHOWN:
        rest = sum(len(cause.targets) for cause in groups[_GROUPS_SHOWN:])
        yield f"\n... and {plural(rest, 'target')} for {len(groups) - _GROUPS_SHOWN} other causes"


def _cause_lines(cause: Cause) -> Iterator[str]:
    failure = cause.example.failure
    if len(cause.targets) == 1:
        yield f"{cause.targets[0]}: {failure.message}"
    else:
        yield f"{plural(len(cause.targets), 'target')}: {failure.message}"
        yield f"    targets:   {named(cause.targets)}"
    yield f"    bind:      {cause.example.bind}"
    for name, value in (("revision", failure.revision), ("where", failure.where)):
        if value:
            yield f"    {name + ':':<10} {value}"
    if failure.statement:
        lines = failure.statement.strip().splitlines()
        yield "    statement: " + "\n               ".join(lines[:_STATEMENT_LINES])
        if len(lines) > _STATEMENT_LINES:
            yield f"               ... {len(lines) - _STATEMENT_LINES} more lines"
    if failure.todo:
        yield f"    {failure.todo}"


def outcome_data(outcome: Outcome, run: str = "") -> dict[str, object]:
    """An outcome for machines. run: the id of its run in the ledger."""
    return describe(outcome.target) | {
        "run": run,
        "result": outcome.result,
        "before": list(outcome.before),
        "after": list(outcome.after),
        "steps": list(outcome.steps),
        "statements": outcome.statements,
        "attempts": outcome.attempts,
        "waited": round(outcome.waited, 3),
        "seconds": round(outcome.seconds, 3),
        "error": _failure_data(outcome.failure) if outcome.failure else None,
    }


def _failure_data(failure: Failure) -> dict[str, object]:
    return {
        "message": redact(failure.message),
        "revision": failure.revision,
        "where": failure.where,
        "statement": failure.statement,
        "todo": failure.todo,
    }
