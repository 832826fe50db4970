"""The parent's side of the recording processes: start them, listen, and stop those that hang.

Enters: a CompileRequest and two pretences.  Leaves: a RecordedStep for each step and pretence, and
what they were made from.
"""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from orchestrator.errors import Problem, RecordingError
from orchestrator.revisions.recording import messages
from orchestrator.revisions.recording.inputs import InputDigests
from orchestrator.revisions.recording.messages import CompileRequest, Pretence, RecordedStep

LOAD_SECONDS = 60.0
"""How long a process may take to load the project, which is no fault of a step."""

STEP_SECONDS = 5.0
"""What a step may take even when the time for all of them is used up."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """All steps under one pretence. inputs: what the processes took from the project."""

    steps: tuple[RecordedStep, ...]
    inputs: InputDigests


def record(request: CompileRequest, pretences: Sequence[Pretence]) -> tuple[Recorded, ...]:
    """Record all steps once for each pretence, side by side.

    Raises the error that a recording process met while it loaded the project, and RecordingError
    when one cannot be started or loads for ever.
    """
    recorders = [_Recorder(request, pretence) for pretence in pretences]
    selector = selectors.DefaultSelector()
    try:
        for recorder in recorders:
            recorder.start(selector)
        while waiting := [one for one in recorders if one.busy]:
            left = min(one.deadline for one in waiting) - time.monotonic()
            for key, _events in selector.select(max(left, 0.0)):
                key.data.listen(selector)
            for recorder in waiting:
                recorder.stop_if_late(selector)
    finally:
        selector.close()
        for recorder in recorders:
            recorder.close()
    return tuple(Recorded(tuple(one.steps), one.inputs) for one in recorders)


class _Recorder:
    """All steps under one pretence: one process, and another after each one that was lost."""

    def __init__(self, request: CompileRequest, pretence: Pretence) -> None:
        self.steps: list[RecordedStep] = []
        self.inputs = InputDigests()
        self.busy = False
        self.deadline = 0.0
        self._request = request
        self._pretence = pretence
        self._whole: float | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._errors: IO[bytes] | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._unread = b""
        self._file = ""

    def start(self, selector: selectors.BaseSelector) -> None:
        """Start a process for the steps that are left."""
        self._pipe, theirs = os.pipe()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        # Ours, and not the process's own: it may be killed, and then clears nothing away.
        self._folder = tempfile.TemporaryDirectory(prefix="orchestrator-")
        # What was lost with a process is what Alembic remembered of the steps that it did.
        types = tuple(one for step in self.steps for one in step.types)
        text = messages.write_request(
            replace(self._request, types=self._request.types + types),
            self._pretence,
            len(self.steps),
            Path(self._folder.name),
        )
        try:
            self._process = subprocess.Popen(
                # -P: the working directory is not ours to import from.
                [sys.executable, "-P", "-m", "orchestrator.revisions.recording", str(theirs)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=self._errors,
                pass_fds=[theirs],
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONHASHSEED": self._pretence.hash_seed,
                    "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
                },
            )
        finally:
            os.close(theirs)
        with suppress(BrokenPipeError):  # It died at once; listen() will tell.
            self._feed(text)
        self.busy, self._unread, self._file = True, b"", ""
        self.deadline = time.monotonic() + LOAD_SECONDS
        selector.register(self._pipe, selectors.EVENT_READ, self)

    def _feed(self, text: str) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        with self._process.stdin as stdin:
            stdin.write(text.encode("ascii"))

    def _allow_a_step(self) -> None:
        now = time.monotonic()
        self._whole = self._whole or now + self._request.time_limit
        self.deadline = max(self._whole, now + STEP_SECONDS)

    def listen(self, selector: selectors.BaseSelector) -> None:
        """Read what the process has written, or that it has ended."""
        data = os.read(self._pipe, 1 << 20)
        *lines, self._unread = (self._unread + data).split(b"\n")
        for line in lines:
            self._understand(json.loads(line))
        if not data:
            self._ended(selector)

    def _understand(self, message: dict[str, object]) -> None:
        if "failed" in message:
            raise messages.read_failed(message)
        if "used" in message:
            self.inputs |= messages.read_used(message)
            return
        if "started" in message:
            self._file = str(message["started"])
        else:
            self.steps.append(messages.read_recorded(message))
            self._file = ""
        self._allow_a_step()

    def stop_if_late(self, selector: selectors.BaseSelector) -> None:
        """Kill the process when its time is over, and go on with the next step in another."""
        if not self.busy or time.monotonic() < self.deadline:
            return
        if not self._file:
            raise RecordingError(
                Problem(
                    f"loading the project took longer than {LOAD_SECONDS:g} s",
                    where=f"bind {self._request.bind}",
                    todo="Look at what env.py and the models do when they are imported.",
                )
            )
        self._lose("time-limit", "recording it took too long and was stopped", selector)

    def _ended(self, selector: selectors.BaseSelector) -> None:
        """The process closed its pipe: it is done, or it was lost in the middle of a step."""
        assert self._process is not None
        try:
            code = self._process.wait(STEP_SECONDS)
        except subprocess.TimeoutExpired:
            code = 0  # A revision closed the pipe and runs on; it is killed below.
        if len(self.steps) == len(self._request.steps):
            self._leave(selector)
        elif self._file:
            self._lose("raises", f"it ended the recording process (exit code {code})", selector)
        else:
            raise RecordingError(
                Problem(
                    f"the recording process ended with exit code {code}: {self._last_words()}",
                    where=f"bind {self._request.bind}",
                )
            )

    def _lose(self, reason: str, detail: str, selector: selectors.BaseSelector) -> None:
        self.steps.append(RecordedStep(reasons=((reason, self._file, detail),)))
        self._leave(selector)
        if len(self.steps) < len(self._request.steps):
            self.start(selector)

    def _leave(self, selector: selectors.BaseSelector) -> None:
        selector.unregister(self._pipe)
        self.close()

    def _last_words(self) -> str:
        assert self._errors is not None
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode("utf-8", "replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def close(self) -> None:
        """End the process and whatever it started."""
        self.busy = False
        if self._process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1
        if self._errors is not None:
            self._errors.close()
            self._errors = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None
