"""One set of servers that several processes share: the workers of a test run.

Enters: names of servers, asked for by any process that knows the keeper's address.
Leaves: the same running server for everyone who asks for the same name, started at the first
request. All of them end with the keeper's process.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future
from dataclasses import dataclass, field
from multiprocessing.connection import Client, Connection, Listener
from typing import Any

from servers.choose import start
from servers.running import CannotStart, NotInstallable, RunningServer


@dataclass(frozen=True, slots=True)
class _Held:
    """A server that was asked for, and the thread that it belongs to."""

    server: Future[RunningServer]
    let_go: threading.Event
    thread: threading.Thread


@dataclass(slots=True)
class Keeper:
    """Starts servers on request, and holds them until `close`."""

    _held: dict[str, _Held] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _listener: Listener | None = None

    def open(self) -> str:
        """Listen for requests; the address for `ask` is returned."""
        self._listener = Listener(family="AF_UNIX")
        threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()
        return str(self._listener.address)

    def server(self, name: str) -> RunningServer:
        """The server of that name, started when nobody asked before. Raises CannotStart."""
        return self._hold(name).server.result()

    def refuse(self, name: str, why: CannotStart) -> None:
        """Answer every later request for that name with `why`."""
        refused: Future[RunningServer] = Future()
        refused.set_exception(why)
        with self._lock:
            self._held[name] = _Held(refused, threading.Event(), threading.Thread())

    def outcomes(self) -> dict[str, RunningServer | CannotStart]:
        """What became of each server that was asked for until now."""
        outcomes: dict[str, RunningServer | CannotStart] = {}
        for name, held in self._held.items():
            if held.server.done():
                error = held.server.exception()
                if error is None:
                    outcomes[name] = held.server.result()
                elif isinstance(error, CannotStart):
                    outcomes[name] = error
        return outcomes

    def close(self) -> None:
        """Stop all servers, and listen no more."""
        if self._listener is not None:
            self._listener.close()
        with self._lock:
            held = list(self._held.values())
            self._held.clear()
        for one in held:
            one.let_go.set()
        for one in held:
            if one.thread.is_alive():
                one.thread.join()

    def _hold(self, name: str) -> _Held:
        with self._lock:
            if name not in self._held:
                server: Future[RunningServer] = Future()
                let_go = threading.Event()
                # A server dies with the thread that started it, so each gets one that stays.
                thread = threading.Thread(target=_live, args=(name, server, let_go), daemon=True)
                self._held[name] = _Held(server, let_go, thread)
                thread.start()
            return self._held[name]

    def _accept(self, listener: Listener) -> None:
        while True:
            try:
                connection = listener.accept()
            except OSError:  # closed
                return
            threading.Thread(target=self._answer, args=(connection,), daemon=True).start()

    def _answer(self, connection: Connection) -> None:
        with connection:
            try:
                server = self.server(connection.recv())
            except Exception as error:
                connection.send({"error": str(error), "missing": isinstance(error, NotInstallable)})
            else:
                connection.send(
                    {
                        "name": server.name,
                        "family": server.family,
                        "flavour": server.flavour,
                        "url": server.url,
                        "pid": server.pid,
                        "client": server.client,
                    }
                )


def ask(address: str, name: str) -> RunningServer:
    """The server of that name, from the keeper at `address`. Raises CannotStart."""
    with Client(address) as connection:
        connection.send(name)
        answer: dict[str, Any] = connection.recv()
    if "error" in answer:
        raise (NotInstallable if answer["missing"] else CannotStart)(answer["error"])
    return RunningServer(**answer, _stop=_not_yours)


def _live(name: str, server: Future[RunningServer], let_go: threading.Event) -> None:
    try:
        running = start(name)
    except BaseException as error:
        server.set_exception(error)
        return
    server.set_result(running)
    let_go.wait()
    running.stop()


def _not_yours() -> None:
    raise RuntimeError("This server is shared: its keeper stops it")
