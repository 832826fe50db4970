"""A cohort's script and its parts, before they are text.

Enters: nothing.  Leaves: Script and ScriptStep.  No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.config import Bind, Flavour
from orchestrator.revisions.types import Segment, Step
from orchestrator.safety.journal import Entry, header, source_of


@dataclass(frozen=True, slots=True)
class ScriptStep:
    """One step of a script. before, after: the version table's rows around it, sorted. file: the
    revision file, relative to the project."""

    step: Step
    segments: tuple[Segment, ...]
    before: tuple[str, ...]
    after: tuple[str, ...]
    file: str

    @property
    def texts(self) -> tuple[str, ...]:
        """All its statements, in order."""
        return tuple(text for segment in self.segments for text in segment.statements)

    def header(self, owner: str) -> Entry:
        """The first row of its journal."""
        step = self.step
        source, direction = source_of(self.texts), step.direction.value
        return header(step.revision, direction, source, self.texts, owner, live=False)


@dataclass(frozen=True, slots=True)
class Script:
    """What takes every target of a cohort from one state to another, or a part of that way.

    way: "up" takes the plan's steps, "down" takes them back. path: where it stands in the bundle.
    digest: the plan's.
    """

    path: str
    way: Literal["up", "down"]
    bind: Bind
    flavour: Flavour
    steps: tuple[ScriptStep, ...]
    digest: str

    @property
    def start(self) -> tuple[str, ...]:
        """Where a target stands before it."""
        return self.steps[0].before

    @property
    def end(self) -> tuple[str, ...]:
        """Where it leaves a target."""
        return self.steps[-1].after

    @property
    def owner(self) -> str:
        """Whom the journal names, in the form of `safety.owners`."""
        client = "psql" if self.flavour.family == "postgresql" else self.flavour.name
        return f"orchestrator sql-{self.digest.rpartition(':')[2][:8]} 0 {client}"

    @property
    def title(self) -> str:
        """One line for the reader."""
        word = {"up": "upgrade", "down": "downgrade"}[self.way]
        return f"{word} of bind {self.bind.name} on {self.flavour}, {named(self.start)} -> " + (
            named(self.end)
        )


def named(rows: tuple[str, ...]) -> str:
    """Rows of a version table for people."""
    return ", ".join(rows) or "base"


def joined(rows: tuple[str, ...]) -> str:
    """Rows of a version table as the scripts and `targets.csv` compare them."""
    return ",".join(rows)
