"""Whether a bundle that somebody ran by hand has brought every target where it was meant to be.

Enters: a plan file, what the runner wrote down, and where targets stand now.  Leaves: a Proof for
each target of the plan.  Nothing is changed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from orchestrator.checks.differences import differences
from orchestrator.checks.fingerprint import read_fingerprints, read_shape
from orchestrator.checks.types import Difference, Scope, Shape
from orchestrator.errors import OrchestratorError
from orchestrator.fleet.state import FleetState
from orchestrator.fleet.types import State, Target
from orchestrator.planning.halfway import half_of, half_words
from orchestrator.planning.planfile import PlanFile
from orchestrator.planning.statements import states_along

Verdict = Literal[
    "done",
    "different",
    "undone",
    "untouched",
    "on-the-way",
    "half-way",
    "elsewhere",
    "unreadable",
    "gone",
]
"""done: where the bundle meant it to be, and like its cohort. different: there, and not like its
cohort. undone: taken back to where it was. untouched: where it was. on-the-way: between two
revisions of the path. half-way: inside a revision. gone: not in the fleet any more."""

Key = tuple[str, str, str | None]
"""Of a target: its bind, server and tenant."""


@dataclass(frozen=True, slots=True)
class Claim:
    """What run-all.sh wrote of a target. result: its last word, "" when nothing is known for sure.
    file: where that stands. back: whether that is of the way back. undone: whether it was moved
    before, and taken back."""

    result: str = ""
    file: str = ""
    back: bool = False
    undone: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """What is known of one target of the bundle.

    target: None when it is gone. name: its id. rows: of its version table. start, end: where the
    plan takes it. claim: what run-all.sh wrote of it. like, differences: of a different one: the
    target that it is compared with. detail: for people.
    """

    name: str
    bind: str
    target: Target | None
    verdict: Verdict
    start: tuple[str, ...]
    end: tuple[str, ...]
    rows: tuple[str, ...] = ()
    claim: Claim = Claim()
    detail: str = ""
    like: str = ""
    differences: tuple[Difference, ...] = ()

    @property
    def contradicts(self) -> bool:
        """Whether run-all.sh says that it is done, or undone, and it is not."""
        meant = ("undone", "untouched") if self.claim.back else ("done", "different")
        return self.claim.result in ("done", "already") and self.verdict not in meant


def prove(
    file: PlanFile,
    targets: Sequence[Target],
    fleet: FleetState,
    claims: Mapping[Key, Claim],
    scope_of: Callable[[Target], Scope] | None,
) -> tuple[Proof, ...]:
    """The proof of every target of a plan, in the plan's order.

    targets, fleet: the fleet now. claims: what run-all.sh wrote. scope_of: None when
    schemas cannot be looked at (a state file instead of connections).
    """
    found = {
        (target.bind.name, target.id): (target, state)
        for target, state in zip(targets, fleet.states, strict=True)
    }
    proofs: list[Proof] = []
    for cohort in file.cohorts:
        along = states_along(cohort.state, [step.changes for step in cohort.steps])
        for name in cohort.targets:
            known = found.get((cohort.bind, name))
            proof = Proof(name, cohort.bind, None, "gone", along[0], along[-1])
            if known is not None:
                target, state = known
                claim = claims.get((cohort.bind, target.server.name, target.tenant), Claim())
                proof = _placed(replace(proof, target=target, claim=claim), state, along)
            proofs.append(proof)
    return tuple(proofs if scope_of is None else _compared(proofs, scope_of))


def _placed(proof: Proof, state: State, along: Sequence[tuple[str, ...]]) -> Proof:
    """Where a target stands on its path."""
    rows = tuple(sorted(state.revisions))
    proof = replace(proof, rows=rows)
    half = half_of(state)
    if state.kind in ("denied", "unreachable"):
        return replace(proof, verdict="unreadable", detail=f"{state.kind}: {state.detail}")
    if half is not None:
        words = f"{half_words(half)}; see `orchestrator repair`"
        return replace(proof, verdict="half-way", detail=words)
    if rows == proof.end:
        return replace(proof, verdict="done")
    if rows == proof.start:
        missing = "it does not exist" if state.kind == "missing" else ""
        verdict: Verdict = "undone" if proof.claim.undone else "untouched"
        return replace(proof, verdict=verdict, detail=missing)
    if rows in along:
        return replace(proof, verdict="on-the-way", detail=f"at {_named(rows)}")
    return replace(proof, verdict="elsewhere", detail=f"at {_named(rows)}")


def _compared(proofs: Sequence[Proof], scope_of: Callable[[Target], Scope]) -> list[Proof]:
    """Those that are done, with their fingerprints looked at: most of the targets that ended at the
    same rows, on servers of the same kind, say what one must be like."""
    done = [one for one in proofs if one.verdict == "done" and one.target is not None]
    told = read_fingerprints([one.target for one in done if one.target is not None], scope_of)
    counts: dict[tuple[str, str, tuple[str, ...]], Counter[str]] = {}
    for one, digest in zip(done, told.digests, strict=True):
        if digest:
            counts.setdefault(_kind(one), Counter())[digest] += 1
    most = {kind: count.most_common(1)[0][0] for kind, count in counts.items()}
    likes: dict[str, str] = {}
    for one, digest in zip(done, told.digests, strict=True):
        likes.setdefault(digest, one.name)
    judged: dict[tuple[str, str], Proof] = {}
    for index, (one, digest) in enumerate(zip(done, told.digests, strict=True)):
        if not digest:
            detail = f"its schema cannot be read: {told.problems.get(index, '')}"
            judged[one.bind, one.name] = replace(one, verdict="unreadable", detail=detail)
        elif digest != most[_kind(one)]:
            like = most[_kind(one)]
            expected = told.shapes[like]
            judged[one.bind, one.name] = replace(
                one,
                verdict="different",
                like=likes[like],
                differences=_differences(one, expected, told.shapes.get(digest), scope_of),
            )
    return [judged.get((one.bind, one.name), one) for one in proofs]


def _differences(
    one: Proof, expected: Shape, found: Shape | None, scope_of: Callable[[Target], Scope]
) -> tuple[Difference, ...]:
    assert one.target is not None
    try:
        return differences(expected, found or read_shape(one.target, scope_of(one.target)))
    except OrchestratorError:
        return ()


def _kind(one: Proof) -> tuple[str, str, tuple[str, ...]]:
    assert one.target is not None
    url = one.target.server.migration_url
    return one.bind, url.get_backend_name() if url is not None else "", one.end


def _named(rows: Sequence[str]) -> str:
    return ", ".join(rows) or "base"
