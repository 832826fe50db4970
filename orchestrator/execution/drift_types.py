"""What a look for drift finds: the types that leave it.

Enters: nothing.  Leaves: Group, Judged, Aside, ModelDifference and Drift.  No I/O.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from orchestrator.checks.types import Difference
from orchestrator.config import Bind, Flavour
from orchestrator.fleet.types import Target

Verdict = Literal["as-revision", "drifted", "not-judged"]


@dataclass(frozen=True, slots=True)
class Group:
    """Targets of one bind that share the flavour's series, the revisions and the fingerprint.

    at_head: whether the revisions are the history's heads.
    """

    bind: Bind
    flavour: Flavour
    revisions: tuple[str, ...]
    fingerprint: str
    targets: tuple[Target, ...]
    at_head: bool


@dataclass(frozen=True, slots=True)
class ModelDifference:
    """One operation that would bring a schema to what the models say.

    words: "add column orders.total". table, name: what it is about ("" and the name for a table).
    """

    words: str
    table: str
    name: str


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of a group.

    differences: from what its revision should be. models: from what the models say, at head only.
    reference: what it was compared with ("a scratch database on postgresql-18", "target main").
    left_out: how many differences are not told because they may come from a reference of another
    flavour or series alone. reason: why it is not judged. models_reason: why the models were not
    compared, when they should have been.
    """

    group: Group
    verdict: Verdict
    differences: tuple[Difference, ...] = ()
    models: tuple[ModelDifference, ...] = ()
    reference: str = ""
    left_out: int = 0
    reason: str = ""
    models_reason: str = ""


AsideKind = Literal[
    "missing",
    "denied",
    "unreachable",
    "unreadable",
    "no-version-table",
    "unknown",
    "half-applied",
    "moved",
]


@dataclass(frozen=True, slots=True)
class Aside:
    """Targets without a fingerprint, or without a known revision, for one and the same reason.

    kind: those of a State and of `orchestrator status`; "unreadable" (its catalogue could not be
    read), "moved" (its state changed meanwhile). detail: the cause, without the target's names.
    """

    bind: Bind
    kind: AsideKind
    detail: str
    targets: tuple[Target, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What was found.

    groups: in the order of binds; in each those that are as their revision says first, then the
    larger before the smaller. asides: targets that could not be judged one by one.
    """

    groups: tuple[Judged, ...] = ()
    asides: tuple[Aside, ...] = ()

    @property
    def found(self) -> bool:
        """Whether anything is not as it should be, or could not be judged."""
        return bool(self.asides) or any(
            one.verdict != "as-revision" or one.models or one.models_reason for one in self.groups
        )

    def count(self, verdict: Verdict) -> int:
        """How many targets stand in groups with this verdict."""
        return sum(len(one.group.targets) for one in self.groups if one.verdict == verdict)
