"""What is known of a half-applied target: its journal, what the database tells, and what would
come next.

Enters: Stopped targets.  Leaves: an Examined for each.  A target is looked at under its lock, so
that nobody works on it meanwhile; one whose lock somebody holds is told as that.  Nothing is
changed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from orchestrator.config import Config
from orchestrator.errors import OrchestratorError
from orchestrator.execution.drive import footing_of
from orchestrator.execution.repairing import Stopped
from orchestrator.execution.replay.continuing_mysql import continued, settled
from orchestrator.execution.replay.entering import current_rows, enter, failed, leave
from orchestrator.execution.replay.halves import check_half
from orchestrator.execution.replay.journalled_mysql import work_of
from orchestrator.execution.replay.types import (
    CompiledStep,
    Dirty,
    Footing,
    Locked,
    ReplayFailed,
)
from orchestrator.execution.sessions import SessionStore
from orchestrator.fleet.sessions import MySQLSession, SendError, Session
from orchestrator.planning.halfway import stopped_at
from orchestrator.planning.pieces import pieces_of
from orchestrator.revisions.recordings import Compiled, Listener, Wanted, compile_cached
from orchestrator.revisions.types import Step
from orchestrator.safety.alone import Alone, alone, refused_inside
from orchestrator.safety.definitions_mysql import read
from orchestrator.safety.definitions_now import THERE, definitions, now_kept
from orchestrator.safety.evidence import BUILDING, INVALID, PENDING, Finding, judge, question
from orchestrator.safety.journal import SHOWN, Entry, HalfApplied, half_applied, read_rows
from orchestrator.safety.owners import Owner
from orchestrator.safety.settle_live import why_not_again


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the database says of one thing that the statement in doubt touches. before, now: "not
    there", "there", "a definition" and the like. text: its definition now, where there is one to
    show."""

    thing: str
    before: str
    now: str
    changed: bool
    text: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of a half-applied target.

    step: None when its bind has no such revision, or its version rows are not before it. half:
    with all of the journal's rows. statements: all that the step is now, whole; empty for one that
    is live or cannot be compiled. busy: who holds its lock; nothing else is known then. following:
    what the next run would do. dirty: why it cannot be continued without a decision. undecided:
    nothing tells whether the statement in doubt ran. fault: why the database could not be asked.
    """

    stopped: Stopped
    rows: tuple[str, ...]
    half: HalfApplied
    step: Step | None = None
    statements: tuple[str, ...] = ()
    busy: str = ""
    evidence: tuple[Evidence, ...] = ()
    following: str = ""
    dirty: str = ""
    undecided: bool = False
    diff: tuple[str, ...] = ()
    fault: str = ""


@dataclass(frozen=True)
class Examiner:
    """Looks at half-applied targets, one after the other; a step is recorded once for all of them.

    listener: hears of what is recorded.
    """

    config: Config
    sessions: SessionStore
    owner: Owner
    listener: Listener

    def examine(self, stopped: Stopped) -> Examined | None:
        """What is known of one; None when it is not half-applied any more. Never raises for what a
        server says."""
        rows = tuple(sorted(stopped.state.revisions))
        found = Examined(stopped, rows, stopped.half)
        footing = footing_of(stopped.target, stopped.flavour, self.owner)
        try:
            with self.sessions.lend(stopped.target) as session:
                try:
                    enter(session, footing)
                    return self._under_lock(session, footing, found)
                except SendError as error:
                    raise failed(session, footing, error, error.statement) from error
                finally:
                    leave(session, footing)
        except Locked as locked:
            return replace(found, busy=locked.holder)
        except ReplayFailed as error:
            return replace(found, fault=error.message)
        except OrchestratorError as error:
            return replace(found, fault=error.problems[0].what)

    def _under_lock(self, session: Session, footing: Footing, found: Examined) -> Examined | None:
        rows = current_rows(session, footing)
        half = half_applied(session.rows(read_rows(footing.place.journal)))
        if half is None:
            return None
        stopped = replace(found.stopped, half=half)
        found = replace(found, stopped=stopped, rows=rows, half=half)
        if stopped.place_on_path(rows) != "before":
            at = ", ".join(rows) or "base"
            why = f"its version table is at {at}, which is not where that step begins"
            return _with_evidence(session, replace(found, dirty=why), None)
        found = replace(found, step=stopped.step(rows))
        try:
            assert found.step is not None
            recorded = self.record(stopped, found.step)
        except OrchestratorError as error:
            why = f"the revision cannot be read: {error.problems[0].what}"
            return _with_evidence(session, replace(found, dirty=why), None)
        if recorded.recording.live:
            return _with_evidence(session, _live(found, recorded.source), None)
        compiled = found.step, recorded.recording.segments
        texts = tuple(text for segment in compiled[1] for text in segment.statements)
        found = _with_evidence(session, replace(found, statements=texts), compiled)
        return _judged(session, found, compiled)

    def record(self, stopped: Stopped, step: Step) -> Compiled:
        """The step's recording. Raises OrchestratorError."""
        wanted = Wanted(stopped.target.bind.name, stopped.flavour, stopped.dialect, (step,))
        ((recorded,),) = compile_cached(self.config, [wanted], self.listener)
        return recorded


def _live(found: Examined, source: str) -> Examined:
    script = found.stopped.history.script.get_revision(found.half.revision)
    resumable = getattr(script.module, "resumable", False) is True
    why = why_not_again(found.half, source, resumable=resumable)
    if why:
        return replace(found, dirty=why)
    following = (
        "runs the revision again from its start: its author says that it may (resumable = True)"
        if resumable
        else "runs the revision again, and skips what is done, as long as it sends the same"
    )
    return replace(found, following=following)


def _text_of(entry: Entry, half: HalfApplied, compiled: CompiledStep | None) -> str:
    """The whole text of a row's statement, "" when the journal has cut it and the step is not what
    it was."""
    if len(entry.statement) < SHOWN:
        return entry.statement
    texts = [text for segment in compiled[1] for text in segment.statements] if compiled else []
    return next((text for text in texts if text.startswith(entry.statement)), "")


def _with_evidence(session: Session, found: Examined, compiled: CompiledStep | None) -> Examined:
    """Raises SendError."""
    entry = found.half.in_doubt
    text = _text_of(entry, found.half, compiled) if entry is not None else ""
    if entry is None or not text:
        return found
    if not isinstance(session, MySQLSession):
        return replace(found, evidence=_compared(entry.before, _postgresql_now(session, text), {}))
    things = [one for one in read(text).things if one.key in entry.before]
    shown = definitions(session, things) if things else {}
    texts = {one.key: text for one, text in shown.items() if one.whole and text}
    now = now_kept(session, things, entry.before) if things else {}
    return replace(found, evidence=_compared(entry.before, now, texts))


def _postgresql_now(session: Session, text: str) -> dict[str, str]:
    return {str(thing): str(what) for thing, what in session.rows(question(_alone(text)))}


def _compared(
    before: Mapping[str, str], now: Mapping[str, str], texts: Mapping[str, str]
) -> tuple[Evidence, ...]:
    return tuple(
        Evidence(
            thing,
            _word(before.get(thing, "")),
            _word(now.get(thing, "")),
            before.get(thing, "") != now.get(thing, ""),
            texts.get(thing, ""),
        )
        for thing in dict.fromkeys([*before, *now])
    )


_WORDS = {"": "not there", THERE: "there"} | {one: one for one in (INVALID, BUILDING, PENDING)}


def _word(kept_: str) -> str:
    return _WORDS.get(kept_, "there, with a definition")


def _judged(session: Session, found: Examined, compiled: CompiledStep) -> Examined:
    """What the next run makes of it. Raises SendError."""
    if isinstance(session, MySQLSession):
        found = replace(found, undecided=_undecided(session, found, compiled))
    try:
        if isinstance(session, MySQLSession):
            work = work_of(compiled)
            first, instead = continued(session, work, found.half)
            return replace(found, following=_goes_on(first, len(work.texts), instead))
        check_half(found.half, compiled)
    except Dirty as dirty:
        return replace(found, dirty=dirty.why, diff=dirty.diff)
    return _postgresql(session, found, compiled)


def _undecided(session: MySQLSession, found: Examined, compiled: CompiledStep) -> bool:
    work, entry = work_of(compiled), found.half.in_doubt
    same = found.half.source == work.source
    return entry is not None and same and settled(session, work, entry).ran == "unknown"


def _postgresql(session: Session, found: Examined, compiled: CompiledStep) -> Examined:
    half, entry = found.half, found.half.in_doubt
    total = len(found.statements)
    if entry is None:
        return replace(found, following=_goes_on(half.done + 1, total))
    raw = [piece for piece in pieces_of(compiled[1]) if piece.way == "raw"]
    text = found.statements[entry.number - 1]
    finding = judge(_alone(text), entry.before, _postgresql_now(session, text))
    if any(piece.first == entry.number for piece in raw):
        finding = Finding(None, why="it begins and ends transactions itself")
    if finding.busy:
        return replace(found, following=f"waits: {finding.why}")
    if finding.ran is None:
        why = f"statement {entry.number} of {total} was begun: {finding.why}"
        return replace(found, dirty=why, undecided=True)
    nothing = "" if found.evidence or finding.ran else "nothing in the database is of it"
    why = finding.why or nothing
    goes_on = _goes_on(entry.number + finding.ran, total)
    return replace(found, following=f"{goes_on} ({why})" if why else goes_on)


def _alone(text: str) -> Alone:
    return alone(text) or refused_inside(text)


def _goes_on(first: int, total: int, instead: str = "") -> str:
    if first > total:
        return "writes the version table: all statements are done"
    sends = f", as: {instead}" if instead else ""
    return f"goes on with statement {first:,} of {total:,}{sends}"


def done_rows(half: HalfApplied, statements: Sequence[str]) -> list[tuple[int, str]]:
    """The statements that are done, with their numbers, as far as anybody knows them."""
    texts = [text for text, _digest in half.planned] or list(statements)
    if texts:
        return list(enumerate(texts[: half.done], 1))
    return [(row.number, row.statement) for row in half.rows if row.number <= half.done]


def left_rows(half: HalfApplied) -> list[tuple[int, str]]:
    """The statements that are neither done nor in doubt, with their numbers."""
    first = half.done + (1 if half.in_doubt is None else 2)
    return [(number, text) for number, (text, _) in enumerate(half.planned, 1) if number >= first]


def headline(one: Examined) -> str:
    """For people: "half-applied: upgrade of 4f2a stopped in statement 3 of 5"; "dirty: ..."."""
    word = "dirty" if one.dirty else "half-applied"
    half = one.half
    return f"{word}: {half.direction} of {half.revision} stopped {stopped_at(half)}"
