"""Trying again: waiting for a target's lock, and repeating what failed for a reason that passes.

Enters: a piece of work on one target that starts from wherever the target stands, and how patient
its bind is.  Leaves: what the work gives, or the failure that is not tried again any more.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from tenacity import RetryCallState, Retrying, retry_if_exception, stop_after_attempt
from tenacity.wait import wait_exponential, wait_random

from orchestrator.config import Bind
from orchestrator.execution.replay.types import Locked, ReplayFailed

_FIRST, _LONGEST, _JITTER = 0.25, 10.0, 0.5
"""Seconds before the second attempt, between attempts at most, and at random on top."""

_POLL = 0.2, 1.0
"""Seconds between two looks at a lock that somebody else holds."""

_TELL_AGAIN = 10.0
"""Seconds after which a wait that goes on is told again."""

T = TypeVar("T")


@dataclass
class Patience:
    """How long one target is waited for, and what it has cost so far.

    stopping: whether the run was asked to stop. told: hears, for people, what is waited for.
    pause: sleeps for so many seconds, or less when the run is stopped. clock: in seconds.
    """

    bind: Bind
    stopping: Callable[[], bool] = lambda: False
    told: Callable[[str], None] = lambda _words: None
    pause: Callable[[float], None] = time.sleep
    attempts: int = 1
    waited: float = 0.0
    clock: Callable[[], float] = time.monotonic

    def persist(self, work: Callable[[], T], progress: Callable[[], object]) -> T:
        """Do the work until it is done, fails for good, or has been tried often enough.

        progress: changes when the work has got further; then the count starts again. Raises
        ReplayFailed and Locked, and whatever else the work raises.
        """
        while True:
            before = progress()
            try:
                return self._tried(work, progress, before)
            except ReplayFailed as error:
                if error.passing is None or progress() == before or self.stopping():
                    raise
                self.attempts += 1

    def _tried(self, work: Callable[[], T], progress: Callable[[], object], before: object) -> T:
        """Do the work; as often as the bind allows, as long as it gets no further."""

        def passes(error: BaseException) -> bool:
            return (
                isinstance(error, ReplayFailed)
                and error.passing is not None
                and progress() == before
                and not self.stopping()
            )

        try:
            return self._locked_out(work)
        except ReplayFailed as error:
            # Most targets need no more: what repeats is made where something is to be repeated.
            if not passes(error):
                raise
            failures = [error]

        def again() -> T:
            if failures:
                raise failures.pop()
            return self._locked_out(work)

        retrying = Retrying(
            stop=stop_after_attempt(self.bind.attempts),
            wait=wait_exponential(multiplier=_FIRST, max=_LONGEST) + wait_random(0, _JITTER),
            retry=retry_if_exception(passes),
            before_sleep=self._tell,
            sleep=self.sleep,
            reraise=True,
        )
        done: T = retrying(again)
        return done

    def _tell(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        reason = error.passing if isinstance(error, ReplayFailed) else ""
        wait = state.next_action.sleep if state.next_action else 0.0
        self.attempts += 1
        self.told(
            f"{reason}: attempt {state.attempt_number + 1} of {self.bind.attempts} in {wait:.1f} s"
        )

    def _locked_out(self, work: Callable[[], T]) -> T:
        """Do the work as soon as nobody else holds the target's lock. Raises Locked when it is
        still held after lock_wait."""
        started = self.clock()
        told_at: float | None = None
        while True:
            try:
                return work()
            except Locked as locked:
                now = self.clock()
                if now - started >= self.bind.lock_wait or self.stopping():
                    raise
                if told_at is None or now - told_at >= _TELL_AGAIN:
                    told_at = now
                    self.told(f"waiting for its lock, held by {locked.holder}")
                left = self.bind.lock_wait - (now - started)
                self.sleep(min(left, random.uniform(*_POLL)))

    def sleep(self, seconds: float) -> None:
        """Pause, and count it."""
        started = self.clock()
        self.pause(seconds)
        self.waited += self.clock() - started
