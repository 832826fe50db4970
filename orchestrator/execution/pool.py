"""Who runs the targets: a small interface, and threads behind it.

Enters: Work, one item a target.  Leaves: Outcomes as they come.  At most `size` targets run at a
time, at most `max_connections` of one server, and servers take turns, so that a slow one does not
hold the others.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from orchestrator.config.urls import server_identity
from orchestrator.execution.types import Outcome
from orchestrator.fleet.types import Target


@dataclass(frozen=True, slots=True)
class Work:
    """A target, and what gives its outcome when its turn comes. `run` raises nothing that is not a
    defect."""

    target: Target
    run: Callable[[], Outcome]


class Pool(Protocol):
    """What a run needs of whoever runs the targets."""

    @property
    def stopping(self) -> bool:
        """Whether stop() was called."""

    @property
    def closed(self) -> bool:
        """Whether no other target is started any more."""

    def run(self, work: Sequence[Work]) -> Iterator[Outcome]:
        """Run everything, and give outcomes as they come."""

    def stop(self) -> None:
        """Let running targets end their step, and start nothing new."""

    def hold(self) -> None:
        """Let running targets end their whole path, and start no other."""

    def pause(self, seconds: float) -> None:
        """Sleep, until the run is stopped at the longest."""


@dataclass
class _Queue:
    """The targets of one server that wait, and how many run."""

    limit: int
    waiting: deque[Work] = field(default_factory=deque)
    running: int = 0

    @property
    def ready(self) -> bool:
        return bool(self.waiting) and self.running < self.limit


class _Turns:
    """Hands out work: the server with the fewest running targets comes first."""

    def __init__(self, work: Sequence[Work]) -> None:
        self._changed = threading.Condition()
        self._queues: dict[str, _Queue] = {}
        for one in work:
            key, limit = _server(one.target)
            found = self._queues.setdefault(key, _Queue(limit))
            found.limit = min(found.limit, limit)
            found.waiting.append(one)

    def take(self) -> tuple[_Queue, Work] | None:
        """The next target that may start, when there is one; None when nothing waits any more."""
        with self._changed:
            while any(one.waiting for one in self._queues.values()):
                ready = [one for one in self._queues.values() if one.ready]
                if ready:
                    chosen = min(ready, key=lambda one: one.running)
                    chosen.running += 1
                    return chosen, chosen.waiting.popleft()
                self._changed.wait()
            return None

    def done(self, taken: _Queue) -> None:
        """A target of this queue has ended."""
        with self._changed:
            taken.running -= 1
            self._changed.notify_all()


def _server(target: Target) -> tuple[str, int]:
    url = target.server.migration_url
    key = server_identity(url) if url is not None else target.server.name
    return key, target.server.max_connections


class ThreadPool:
    """Threads of this process; no migration runs Python code in them (see execution.live)."""

    def __init__(self, size: int, tick: Callable[[], None] = lambda: None) -> None:
        """tick: called in the thread that takes the outcomes, about ten times a second while it
        waits for one."""
        self._size = size
        self._tick = tick
        self._stopping = threading.Event()
        self._held = threading.Event()

    @property
    def stopping(self) -> bool:
        """Whether stop() was called."""
        return self._stopping.is_set()

    @property
    def closed(self) -> bool:
        """Whether no other target is started any more."""
        return self._stopping.is_set() or self._held.is_set()

    def pause(self, seconds: float) -> None:
        """Sleep, until the run is stopped at the longest."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Let running targets end their step; the rest come back as "not-started"."""
        self._stopping.set()

    def hold(self) -> None:
        """Let running targets end their whole path; the rest come back as "not-started"."""
        self._held.set()

    def run(self, work: Sequence[Work]) -> Iterator[Outcome]:
        """Run everything; outcomes come in the order in which targets end."""
        turns = _Turns(work)
        ended: queue.SimpleQueue[Outcome | BaseException] = queue.SimpleQueue()

        def worker() -> None:
            while (taken := turns.take()) is not None:
                of_server, one = taken
                try:
                    ended.put(Outcome(one.target, "not-started") if self.closed else one.run())
                except BaseException as error:
                    ended.put(error)
                finally:
                    turns.done(of_server)

        for number in range(min(self._size, len(work))):
            threading.Thread(target=worker, name=f"orchestrator-{number}", daemon=True).start()
        for _ in work:
            outcome = self._next(ended)
            if isinstance(outcome, BaseException):
                self.stop()
                raise outcome
            yield outcome

    def _next(self, ended: queue.SimpleQueue[Outcome | BaseException]) -> Outcome | BaseException:
        while True:
            try:
                # A short wait, because Python runs signal handlers in this thread only.
                return ended.get(timeout=0.1)
            except queue.Empty:
                self._tick()
