"""What a command wants: a verb, and a destination in each bind that takes part.

Enters: histories, and the destinations as written.  Leaves: a Goal.  No I/O but the revision files
that a history reads when it is first asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from orchestrator.config import Config
from orchestrator.errors import HistoryError, Problem, UsageError
from orchestrator.fleet.targets import unknown_bind
from orchestrator.revisions.history import History, MigrationsFunction

Verb = Literal["upgrade", "downgrade", "stamp"]


EACH = "each"
"""The destination of a bind whose targets go back to where each of them was."""


@dataclass(frozen=True, slots=True)
class WayBack:
    """The way of one target back. start: where it was, and goes to. end: how far it was taken."""

    start: tuple[str, ...]
    end: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Goal:
    """A verb, and its destination in each bind that takes part.

    ways: of a revert, the way back of each target by its id; the destination of its bind is EACH.
    """

    verb: Verb
    destinations: Mapping[str, str]
    ways: Mapping[str, WayBack] = field(default_factory=dict)

    def migrations(self, history: History, way: WayBack | None = None) -> MigrationsFunction:
        """The function that yields this goal's steps in one history, for targets with this way."""
        if way is not None:
            return history.revert(way.start, way.end)
        destination = self.destinations[history.bind.name]
        if self.verb == "upgrade":
            return history.upgrade(destination)
        if self.verb == "downgrade":
            return history.downgrade(destination)
        return history.stamp(tuple(destination.split(",")))


def set_goal(
    config: Config,
    histories: Mapping[str, History],
    verb: Verb,
    written: Sequence[str],
) -> Goal:
    """Read the destinations of a command: REV (for every bind that knows it) and bind:REV.

    Raises UsageError for a bind that does not exist or is not selected and a revision that no bind
    knows, HistoryError for a bind with several heads when one is asked for.
    """
    destinations: dict[str, str] = {}
    problems: list[Problem] = []
    for text in written:
        name, colon, revision = text.partition(":")
        if colon:
            if name not in config.binds:
                problems.append(unknown_bind(config, name))
            elif name not in histories:
                problems.append(_not_selected(text, name, list(histories)))
            else:
                destinations[name] = revision
                if not histories[name].resolves(revision):
                    problems.append(_unknown_revision(revision, [name]))
            continue
        if not histories:
            continue  # --allow-empty: there is nothing that could know it
        knowing = [bind for bind, history in histories.items() if history.resolves(text)]
        if not knowing:
            problems.append(_unknown_revision(text, list(histories)))
        destinations.update({bind: text for bind in knowing if bind not in destinations})
    if problems:
        raise UsageError(problems)
    _one_head(histories, destinations)
    return Goal(verb, destinations)


def _one_head(histories: Mapping[str, History], destinations: Mapping[str, str]) -> None:
    problems = [
        Problem(
            f"it has {len(histories[name].heads)} heads: {', '.join(histories[name].heads)}",
            where=f"bind {name}",
            todo=f"Run `orchestrator merge --bind {name}`, or ask for `heads`.",
        )
        for name, destination in destinations.items()
        if destination == "head" and len(histories[name].heads) > 1
    ]
    if problems:
        raise HistoryError(problems)


def _not_selected(text: str, name: str, selected: Sequence[str]) -> Problem:
    return Problem(
        f"{text} is for bind {name}, which the selection leaves out",
        where="binds " + ", ".join(selected),
        todo=f"Add --bind {name}, or name a selected bind.",
    )


def _unknown_revision(revision: str, binds: Sequence[str]) -> Problem:
    return Problem(
        f"no such revision: {revision}",
        where="bind " + ", ".join(binds) if len(binds) == 1 else f"binds {', '.join(binds)}",
        todo="See `orchestrator history`.",
    )
