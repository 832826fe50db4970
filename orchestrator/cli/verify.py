"""`orchestrator verify`: did a bundle that somebody ran by hand end where it was meant to?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path

import click

from orchestrator.checks.differences import words
from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import note, plural, print_json, revisions, say
from orchestrator.cli.recorder import BY_HAND, open_ledger, recorded
from orchestrator.cli.results import read_claims
from orchestrator.cli.resume import selection_of
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.execution.proving import Proof, Verdict, prove
from orchestrator.execution.scopes import scope_of
from orchestrator.execution.told_states import told_by_status
from orchestrator.execution.types import Failure, Outcome
from orchestrator.fleet.state import read_fleet
from orchestrator.fleet.targets import find_targets
from orchestrator.ledger.ledger import Ledger
from orchestrator.planning.bundle.folder import PLAN, SUMS
from orchestrator.planning.planfile import PlanFile, read_plan

RESULTS = "results.csv"

_SHOWN = 20
_LOOKED_AT = 200
"""So many runs are looked through for an earlier proof of the same bundle."""

_WORDS: Mapping[Verdict, str] = {
    "done": "where the bundle meant it to be",
    "different": "there, but not like the others",
    "undone": "undone, where it was before",
    "untouched": "untouched",
    "on-the-way": "stopped between two revisions",
    "half-way": "stopped inside a revision",
    "elsewhere": "elsewhere",
    "unreadable": "cannot be read",
    "gone": "not in the fleet any more",
}


@click.command(
    "verify",
    epilog="Examples: orchestrator verify ./bundle; "
    "orchestrator verify ./bundle --results results.csv --json",
)
@click.argument("bundle", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--results",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What run-all.sh wrote (default: results.csv in the bundle). What it wrote with "
    "-u lies beside it, as results-undo.csv.",
)
@click.option(
    "--state",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where the targets stand, as `orchestrator status --json` told it; makes no connection, "
    "and compares no schemas.",
)
@as_json
@opened
def command(
    project: Project, bundle: Path, results: Path | None, state: Path | None, as_json: bool
) -> int:
    """Say of every target of a bundle whether it is where the bundle meant it to be.

    Reads the version tables, and compares the schemas of targets that ended at the same revision.
    What was done is entered in the ledger as a run by hand. Exits 1 when any target is not there.
    """
    file = _plan(bundle)
    for name in _changed(bundle):
        note(f"warning: {bundle / name} is not as it was written (SHA256SUMS)")
    claims = read_claims(results or bundle / RESULTS, given=results is not None)
    found = find_targets(project.config, selection_of(file.selection), allow_empty=True)
    binds = {cohort.bind for cohort in file.cohorts}
    targets = tuple(target for target in found.targets if target.bind.name in binds)
    if state is None:
        project.config.require(binds=binds)
        proofs = prove(file, targets, read_fleet(targets), claims, scope_of(project))
    else:
        told = told_by_status(_read(state), state.name)
        proofs = prove(file, targets, told(targets), claims, None)
    run = _enter(project, file, proofs)
    if as_json:
        print_json([_data(one, run) for one in proofs])
    else:
        _print(proofs, run)
    return int(any(one.verdict != "done" for one in proofs))


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        words = getattr(error, "strerror", None) or error
        todo = "Name the folder that `--sql -o` wrote, or the file itself."
        raise UsageError(Problem(f"it cannot be read: {words}", str(path), todo=todo)) from error


def _plan(bundle: Path) -> PlanFile:
    return read_plan(_read(bundle / PLAN), str(bundle / PLAN))


def _changed(bundle: Path) -> Iterator[str]:
    """The files that are not what SHA256SUMS says."""
    for line in _read(bundle / SUMS).splitlines():
        digest, _, name = line.partition("  ")
        try:
            data = (bundle / name).read_bytes()
        except OSError:
            yield name
            continue
        if sha256(data).hexdigest() != digest:
            yield name


def _enter(project: Project, file: PlanFile, proofs: Sequence[Proof]) -> str:
    """Write what was done into the ledger, unless it stands there already. Gives the run's id, ""
    when nothing was done."""
    outcomes = [_outcome(one) for one in proofs if one.target is not None]
    done = {one.target.id for one in outcomes if one.result == "done"}
    if not done:
        return ""
    ledger = open_ledger(project.config, _warn)
    known = _known(ledger, file.digest)
    if known is not None and done <= known[1]:
        return known[0]
    with recorded(project.config, ledger, BY_HAND, _warn, file.digest) as recorder:
        recorder.by_hand(outcomes)
        recorder.end("done" if all(one.result == "done" for one in outcomes) else "failed")
    return recorder.run_id


def _warn(text: str) -> None:
    note(f"warning: {text}")


def _known(ledger: Ledger, digest: str) -> tuple[str, set[str]] | None:
    """An earlier proof of the same plan: its run, and the targets that were done."""
    for view in ledger.runs(_LOOKED_AT):
        if view.run.verb == BY_HAND and view.run.plan_digest == digest:
            rows = ledger.outcomes(view)
            return view.run.id, {row.target for row in rows if row.result == "done"}
    return None


def _outcome(one: Proof) -> Outcome:
    assert one.target is not None
    if one.verdict == "done":
        return Outcome(one.target, "done", one.start, one.rows)
    if one.verdict in ("untouched", "undone"):
        return Outcome(one.target, "not-started", one.start, one.rows)
    failure = Failure(f"{_WORDS[one.verdict]}{': ' if one.detail else ''}{one.detail}")
    return Outcome(one.target, "failed", one.start, one.rows, failure=failure)


def _print(proofs: Sequence[Proof], run: str) -> None:
    counts = Counter(one.verdict for one in proofs)
    for verdict, meaning in _WORDS.items():
        some = [one for one in proofs if one.verdict == verdict]
        if verdict == "done":
            some = [one for one in some if one.contradicts]
        if not some:
            continue
        say(f"{plural(len(some), 'target')} {meaning}:")
        for one in some[:_SHOWN]:
            say(f"    {one.name}{f': {one.detail}' if one.detail else ''}{_claim(one)}")
            for difference in one.differences[:_SHOWN]:
                say(f"        {words(difference)} (as {one.like} has it)")
        if len(some) > _SHOWN:
            say(f"    and {len(some) - _SHOWN:,} more (--json lists all)")
    say(f"verify: {counts['done']:,} of {plural(len(proofs), 'target')} {_WORDS['done']}")
    if run:
        say(f"run {run}")


def _claim(one: Proof) -> str:
    if not one.contradicts:
        return ""
    said = "undone" if one.claim.back else one.claim.result
    return f" ({one.claim.file} says {said})"


def _data(one: Proof, run: str) -> dict[str, object]:
    target = one.target
    return {
        "target": one.name,
        "bind": one.bind,
        "server": target.server.name if target else None,
        "tenant": target.tenant if target else None,
        "verdict": one.verdict,
        "from": revisions(one.start),
        "to": revisions(one.end),
        "at": list(one.rows),
        "claimed": one.claim.result or None,
        "claimed_in": one.claim.file or None,
        "contradicts": one.contradicts,
        "detail": one.detail,
        "like": one.like or None,
        "differences": [asdict(one) for one in one.differences],
        "run": run or None,
    }
