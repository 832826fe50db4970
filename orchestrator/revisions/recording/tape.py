"""What one step did, as it is recorded: segments of statements, or the reasons why it is live.

Enters: what the stand-in connection is told (statements, commits, rollbacks) and what the guards
notice.  Leaves: `Tape`, which knows for each statement the line of the revision that sent it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from orchestrator.config import Family
from orchestrator.revisions.recording.reasons import REASONS, ReasonName, StepIsLive
from orchestrator.revisions.recording.swallowed import swallows
from orchestrator.revisions.recording.transactions import Control, control
from orchestrator.revisions.recording.unread import asked_by_library

RUNNER = "orchestrator.revisions.recording.step"
"""The module that calls upgrade() and downgrade(): frames outside of it are not the revision's."""


@dataclass
class TapedSegment:
    """Statements, each with the place in the revision that sent it."""

    transactional: bool
    statements: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class Tape:
    """The record of one step. `running` is True only while the revision's own code runs."""

    file: Path
    family: Family
    running: bool = False
    segments: list[TapedSegment] = field(default_factory=list)
    reasons: list[tuple[ReasonName, str, str]] = field(default_factory=list)
    _open: bool = False
    _idle: bool = False
    _savepoints: int = 0

    def statement(self, text: str, *, autocommit: bool) -> None:
        """Note one text that the driver would send now.

        autocommit: the driver's connection is in that mode.
        """
        if not self.running:
            return
        self._check_handlers(autocommit)
        kind = control(text, self.family)
        if kind is Control.MIXED or (kind is Control.BEGIN and autocommit):
            self.live("controls-transaction", f"it sends {_shown(text)}")
        elif kind is Control.COMMIT and not autocommit:
            self._ended(idle=self.family == "postgresql")
        elif kind is Control.BEGIN:
            self._begun()
        else:
            self._savepoints += (kind is Control.SAVEPOINT) - (kind is Control.RELEASE)
            self._keep(text, transactional=not (autocommit or self._idle))

    def _keep(self, text: str, *, transactional: bool) -> None:
        if not self._open or self.segments[-1].transactional != transactional:
            self.segments.append(TapedSegment(transactional))
            self._open = True
        self.segments[-1].statements.append((text, self.here()))

    def _begun(self) -> None:
        # PostgreSQL only warns about BEGIN inside a transaction; MySQL commits first.
        if self._idle or self.family == "mysql":
            self._ended(idle=False)

    def _ended(self, *, idle: bool) -> None:
        # After a COMMIT that was sent as text, psycopg2 still believes in its transaction and sends
        # no BEGIN: PostgreSQL then runs each statement by itself until the driver commits.
        self._idle, self._open, self._savepoints = idle, False, 0

    def committed(self) -> None:
        """The driver's connection was told to commit."""
        if self.running:
            self._ended(idle=False)

    def rolled_back(self) -> None:
        """The driver's connection was told to roll back."""
        if self.running:
            self.live("controls-transaction", "it rolls its transaction back")

    def live(self, name: ReasonName, detail: str = "") -> NoReturn:
        """Note why the step is live, and end it."""
        self.note(name, detail)
        raise StepIsLive(name)

    def note(self, name: ReasonName, detail: str = "", where: str = "") -> None:
        """Note why the step is live. Only the first reason of a step that ended says something
        about the revision: what it does after having swallowed the end does not."""
        if not self.reasons:
            self.reasons.append((name, where or self.here(), detail or REASONS[name]))

    def here(self) -> str:
        """file:line of the revision that runs now; its file when no frame of it is on the stack."""
        for frame in _frames():
            if frame.f_code.co_filename == str(self.file):
                return f"{self.file}:{frame.f_lineno}"
        return str(self.file)

    def _check_handlers(self, autocommit: bool) -> None:
        """A server's error that the revision would catch decides how it goes on. (Inside a plain
        PostgreSQL transaction it decides nothing: everything after it fails as well.)"""
        if self.family == "postgresql" and not (autocommit or self._idle or self._savepoints):
            return
        for frame in _frames():
            if frame.f_globals.get("__name__") == RUNNER:
                return
            if not asked_by_library(frame) and swallows(frame.f_code.co_filename, frame.f_lineno):
                self.live("catches-errors")


def _frames() -> Iterator[FrameType]:
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back


def _shown(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
