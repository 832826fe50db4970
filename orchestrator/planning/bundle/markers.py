"""The comment lines by which `run-all.sh` finds its way in a script.

Enters: steps and numbers of statements.  Leaves: lines.  No I/O.

| line | what follows |
|---|---|
| `-- @opening` | settings, lock and guard: sent in any case |
| `-- @step N FROM TO REVISION DIRECTION SOURCE WAY` | a step; FROM, TO: rows of the version table, "base" for none; SOURCE: the digest of its statements, as the journal's header has it; WAY: "resumable", or "whole" where a half-applied one needs `orchestrator upgrade`; then "joined" where it stands in the transaction of the step before |
| `-- @statement N FIRST KIND` | statements from FIRST on, until the next marker; KIND "session": sent again when a later one is |
| `-- @evidence N NUMBER SQL` | statements that print of statement NUMBER, begun and not known to be done: "ran", "not", or "unknown" |
| `-- @refused N NUMBER SQL` | a statement by which the journal holds that the server refused statement NUMBER |
| `-- @finish N` | the change of the version table |
| `-- @end` | giving the lock back |
"""  # noqa: E501 - a table's row is one line

from __future__ import annotations

from orchestrator.planning.bundle.types import ScriptStep, joined
from orchestrator.safety.journal import source_of

MARKED = "-- Lines that begin with '-- @' tell run-all.sh where it may go on after an interruption."
"""For the reader."""
OPENING = "-- @opening"
END = "-- @end"
STEP = "-- @step "
JOINED = " joined"
"""At the end of a step's line: it stands in a transaction that began before it."""
LOCKED = "orchestrator: locked"
"""What the client prints when somebody else works on the target."""
BUSY = "orchestrator: busy"
"""What psql prints when another session of the database runs a CONCURRENTLY statement."""
REFUSED = "orchestrator: refused"
"""What the client prints when the target is not where the script starts from."""
STANDS = "orchestrator: stands at"
"""What the client prints of the version table, before its rows."""
HALF = "orchestrator: half-way"
"""What the client prints of the journal, before its last row and its header's digest."""
EVIDENCE = "orchestrator: evidence:"
"""What the client prints before the answer of an evidence's query."""
BEGINS = "orchestrator: begins"
"""What the client prints behind the opening: from here on the target may change."""


def step_line(number: int, step: ScriptStep, *, resumable: bool) -> str:
    """Where a step begins."""
    rows = (joined(rows) or "base" for rows in (step.before, step.after))
    way = "resumable" if resumable else "whole"
    words = [str(number), *rows, step.step.revision, str(step.step.direction)]
    return f"{STEP}{' '.join(words)} {source_of(step.texts)} {way}"


def statement_line(step: int, first: int, kind: str = "statement") -> str:
    """Where a run may go on."""
    return f"-- @statement {step} {first} {kind}"


def evidence_line(step: int, number: int, sql: str) -> str:
    """How to find out what became of a statement. sql: on one line."""
    assert "\n" not in sql, "a marker is one line"
    return f"-- @evidence {step} {number} {sql}"


def refused_line(step: int, number: int, sql: str) -> str:
    """How to write down that the server refused a statement. sql: on one line."""
    assert "\n" not in sql, "a marker is one line"
    return f"-- @refused {step} {number} {sql};"


def finish_line(step: int) -> str:
    """Where only the version table is left to change."""
    return f"-- @finish {step}"


def heading(step: ScriptStep) -> str:
    """A step for the reader."""
    message = " ".join(step.step.message.split())
    return f"-- {step.step.direction} {step.step.revision}: {message}\n-- file {step.file}"
