"""Rounds of killing: a fleet made anew, upgraded, killed on the way, and upgraded again.

Enters: servers and a seed.  Leaves: a Tally: who was killed and where, what needed a decision, and
which targets are wrong in the end.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import make_url

from servers import RunningServer
from tests.chaos.fleet import MAY_BE_DIRTY, ChaosFleet
from tests.chaos.points import Orders, Victim, counted, struck
from tests.cli.small import REPOSITORY, Said, environment

_CHILD = REPOSITORY / "tests" / "chaos" / "child.py"
_KILLS_A_ROUND = 6
_LONGEST = 120.0
"""Seconds after which a run that was disturbed counts as hanging."""

_CAUSE = "\n    bind: "
"""Stands in the block that tells why targets failed (cli/summary.py)."""
_NOISE = "warning: the ledger is a file inside this container"


@dataclass
class Tally:
    """What happened. kills: by victim and point. dirty: by bind and revision. wrong: one line each
    for what must not be."""

    kills: Counter[str] = field(default_factory=Counter)
    dirty: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)
    rounds: int = 0
    runs: int = 0

    @property
    def killed(self) -> int:
        """How many kills there were."""
        return self.kills.total()


@dataclass(frozen=True)
class Ran:
    """One run. who: the victim and the point. said: all that it printed."""

    who: str
    said: str


@dataclass
class Chaos:
    """Kills runs over one fleet. told: hears one line a round."""

    fleet: ChaosFleet
    seed: int
    told: Callable[[str], None] = lambda _line: None
    tally: Tally = field(default_factory=Tally)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._pids = {name: server.pid for name, server in self.fleet.servers.items()}
        self._reference: Mapping[str, str] = {}
        self._reach = 1
        self._seconds = 1.0

    def run(self, kills: int) -> Tally:
        """Go on until so many have been killed, or something is wrong."""
        self._reference = self.fleet.reference()
        self.fleet.rebuild()
        started = time.monotonic()
        self._killed_run("nobody", 1_000_000)
        self._seconds = time.monotonic() - started
        # A round's runs share the points of a whole run.
        self._reach = 2 * counted(self._points) // _KILLS_A_ROUND
        while self.tally.killed < kills and not self.tally.wrong:
            self._round()
            self.told(
                f"round {self.tally.rounds}: {self.tally.killed} kills, "
                f"{self.tally.dirty.total()} dirty, {len(self.tally.wrong)} wrong"
            )
        return self.tally

    def _round(self) -> None:
        self.tally.rounds += 1
        self.fleet.rebuild()
        history: list[Ran] = []
        for _ in range(_KILLS_A_ROUND):
            victim = self._random.choice(("orchestrator", "orchestrator", "worker", "server"))
            at = self._random.randint(1, self._reach) if self._random.random() < 0.75 else 0
            history.append(self._killed_run(victim, at))  # type: ignore[arg-type]
            if history[-1].who.startswith("nobody"):
                break
        for _ in range(6):
            said = self._to_the_end()
            history.append(Ran(f"to the end: exit {said.code}", said.all))
            if said.code == 0:
                break
            if not self._decided(history):
                return
        else:
            self._complain("not done after 6 runs", history)
            return
        wrong = self.fleet.wrong(self._reference)
        if wrong:
            self._complain("not as a clean run leaves it", history, "\n".join(wrong))

    def _killed_run(self, victim: Victim, at: int) -> Ran:
        """One run in which somebody dies at a point, or (0) at a random moment."""
        self.tally.runs += 1
        points = self._points
        skip = self._random.randint(0, 8)
        named = victim if at else "nobody"
        orders = Orders(named, at, skip, str(points), self._processes())
        moment = time.monotonic() + self._random.uniform(0.3, self._seconds) if at == 0 else None
        with _Spawned(self.fleet, orders) as child:
            killed = ""
            end = time.monotonic() + _LONGEST
            while child.poll() is None:
                if moment is not None and time.monotonic() >= moment:
                    moment = None
                    killed = self._at_random(victim, child)
                self._revive()
                if time.monotonic() > end:
                    child.kill()
                    self.tally.wrong.append(f"a run hangs: {victim} at {at}")
                time.sleep(0.02)
            child.wait()
        self._revive()
        killed = killed or struck(points)
        if killed:
            self.tally.kills[killed] += 1
        who = f"{killed or 'nobody'} (point {at}): exit {child.returncode}"
        return Ran(who, Path(f"{points}.out").read_text())

    @property
    def _points(self) -> Path:
        return self.fleet.project.root / f"points-{self.tally.runs}"

    def _at_random(self, victim: Victim, child: subprocess.Popen[str]) -> str:
        if victim == "server":
            name = self._random.choice(list(self.fleet.servers))
            self.fleet.servers[name].kill()
        elif victim == "worker":
            workers = _children(child.pid)
            if not workers:
                return ""
            os.kill(self._random.choice(workers), signal.SIGKILL)
        else:
            child.kill()
        return f"{victim}: at a random moment"

    def _revive(self) -> None:
        """Start again whichever server is dead; from this thread, which it belongs to."""
        for name, server in self.fleet.servers.items():
            if _dead(self._pids[name]):
                server.kill()  # Whatever is left of it.
                self._pids[name] = server.start_again()

    def _processes(self) -> dict[str, int]:
        return {
            str(make_url(server.url).port): self._pids[name] or 0
            for name, server in self.fleet.servers.items()
        }

    def _to_the_end(self) -> Said:
        self.tally.runs += 1
        return self.fleet.project.run("upgrade", "--all", timeout=_LONGEST)

    def _decided(self, history: Sequence[Ran]) -> bool:
        """Decide for the dirty targets, as a person who looks at the tables would."""
        shown = json.loads(self.fleet.project.run("repair", "--json").out or "[]")
        dirty = [one for one in shown if one["dirty"]]
        if not dirty:
            self._complain("failed, and no target is dirty", history)
            return False
        for one in dirty:
            name, tenant = one["bind"], one["tenant"]
            revision = one["half_applied"]["revision"]
            postgresql = self.fleet.servers[name].family == "postgresql"
            if postgresql or revision.removeprefix(f"{name}_") not in MAY_BE_DIRTY:
                self._complain(f"{name}/{tenant} is dirty at {revision}", history)
                return False
            self.tally.dirty[f"{name} {revision}"] += 1
            self._undo(name, tenant)
            selection = ("--bind", name, "--tenant", tenant)
            done = self.fleet.project.run("repair", *selection, "--mark-reverted", "--yes")
            if done.code:
                self._complain("repair failed", history, done.all)
                return False
        return True

    def _undo(self, name: str, tenant: str) -> None:
        """Take back by hand what r5 has done so far: what `repair` shows tells a person so."""
        columns = self.fleet.rows(
            name,
            tenant,
            "SELECT column_name FROM information_schema.columns"
            " WHERE table_schema = DATABASE() AND table_name = 'accounts'",
        )
        if ("extra",) in columns:
            self.fleet.rows(name, tenant, "ALTER TABLE accounts DROP COLUMN extra")
        self.fleet.rows(name, tenant, "DELETE FROM applied WHERE step = 'r5'")

    def _complain(self, what: str, history: Sequence[Ran], verdict: str = "") -> None:
        told = complaint(history, verdict)
        self.tally.wrong.append(f"seed {self.seed}, round {self.tally.rounds}: {what}\n{told}")


def complaint(history: Sequence[Ran], verdict: str) -> str:
    """What is wrong, then why targets failed, then who died, and all that was printed at the end:
    whoever shows this may cut it off."""
    failures = [
        f"({number}) {block.strip()}"
        for number, ran in enumerate(history, 1)
        for block in ran.said.split("\n\n")
        if _CAUSE in block
    ]
    runs = [f"({number}) {ran.who}" for number, ran in enumerate(history, 1)]
    logs = [f"--- ({number})\n{_without_noise(ran.said)}" for number, ran in enumerate(history, 1)]
    return "\n".join(one for one in (verdict, *failures, *runs, *logs) if one)


def _without_noise(said: str) -> str:
    return "\n".join(one for one in said.splitlines() if not one.startswith(_NOISE))


class _Spawned:
    """A run in a child process, ended with the block."""

    def __init__(self, fleet: ChaosFleet, orders: Orders) -> None:
        self._fleet = fleet
        self._orders = orders

    def __enter__(self) -> subprocess.Popen[str]:
        # Files, not pipes: a worker that outlives its parent would keep a pipe open.
        self._out = Path(f"{self._orders.points}.out").open("w")
        self._child = subprocess.Popen(
            [sys.executable, str(_CHILD), "upgrade", "--all"],
            cwd=self._fleet.project.root,
            env=environment() | self._orders.environment(),
            stdin=subprocess.DEVNULL,
            stdout=self._out,
            stderr=self._out,
            text=True,
        )
        return self._child

    def __exit__(self, *_error: object) -> None:
        if self._child.poll() is None:
            self._child.kill()
        self._out.close()


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children")
    return [int(text) for text in found.read_text().split()] if found.exists() else []


def _dead(pid: int | None) -> bool:
    status = Path(f"/proc/{pid}/stat")
    try:
        return status.read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def servers_of(names_: Sequence[str], start: Callable[..., RunningServer]) -> list[RunningServer]:
    """Start servers that keep what was committed when they are killed."""
    return [start(name, durable=True) for name in names_]
