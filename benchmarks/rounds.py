"""Rounds: all contenders of a case, one after the other, again and again.

Enters: a Case and a running server.  Leaves: `Results`, every lap of every contender.  Rounds are
interleaved, so that a machine that grows slower does so for all of them; the fleet is rebuilt
before each full run, and sampled contenders share one fleet, on tenants of their own.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from statistics import median

from sqlalchemy import make_url

from benchmarks.cases import Case
from benchmarks.contenders import (
    CLIENTS,
    COMMAND_LINE,
    DJANGO,
    ORCHESTRATOR,
    Contender,
    Lap,
    check,
    lay_out_django,
    orchestrator_of,
)
from benchmarks.fleets import Fleet, fleet
from benchmarks.measure import spend
from benchmarks.proxy import far_away
from benchmarks.site import Site, names
from servers import RunningServer


@dataclass
class Results:
    """What a case gave.

    size: targets of the fleet. recording: seconds that the first run took longer than the second,
    having every revision to record.
    """

    case: Case
    flavour: str
    size: int
    recording: float = 0.0
    laps: dict[Contender, list[Lap]] = field(default_factory=dict)

    def seconds(self, contender: Contender) -> float:
        """Median over the rounds, for the whole fleet."""
        return median(lap.of_fleet(self.size) for lap in self.laps[contender])

    def each(self, contender: Contender) -> float:
        """Median of the seconds a target, beyond start-up."""
        return median(lap.each for lap in self.laps[contender])

    def startup(self, contender: Contender) -> float:
        """Median of the part that does not grow with the fleet."""
        return median(lap.startup for lap in self.laps[contender])

    def peak(self, contender: Contender) -> int:
        """The most memory of any round, in bytes."""
        return max(lap.spent.peak for lap in self.laps[contender])

    def cpu(self, contender: Contender) -> float:
        """Median of the processor seconds, the server's included, for the whole fleet."""
        return median(lap.cpu_of_fleet(self.size) for lap in self.laps[contender])

    def cpu_ratio(self, contender: Contender) -> float:
        """How many times as many processor seconds as the orchestrator this one takes."""
        size = self.size
        pairs = zip(self.laps[contender], self.laps[ORCHESTRATOR], strict=True)
        return median(its.cpu_of_fleet(size) / ours.cpu_of_fleet(size) for its, ours in pairs)

    def ratio(self, contender: Contender, *, beyond_startup: bool = False) -> float:
        """How many times as long as the orchestrator this one takes: the median over rounds of
        laps that ran next to each other."""
        size = self.size
        pairs = zip(self.laps[contender], self.laps[ORCHESTRATOR], strict=True)
        if beyond_startup:
            # A few targets may take less than start-up differs from one time to the next.
            return median(its.each / ours.each if ours.each else inf for its, ours in pairs)
        return median(its.of_fleet(size) / ours.of_fleet(size) for its, ours in pairs)

    def best(self, contenders: Sequence[Contender]) -> Contender:
        """The fastest of these."""
        return min((one for one in contenders if one in self.laps), key=self.seconds)


def run_case(
    case: Case,
    server: RunningServer,
    folder: Path,
    *,
    rounds: int,
    scale: float,
    say: Callable[[str], None],
    against: Path | None = None,
) -> Results:
    """Run all rounds of a case. against: another checkout, which takes the place of the peers.
    Raises BenchmarkFailed when a contender does not do its work."""
    size = _scaled(case.targets, scale)
    with ExitStack() as stack:
        port = make_url(server.url).port
        site = Site(
            root=folder,
            server=server,
            database=None if case.mysql else f"bench_{case.name}",
            tenants=names(size),
            history=case.history,
            start=case.start,
            live=case.live,
            port=stack.enter_context(far_away(port or 0, case.delay)) if case.delay else None,
        ).lay_out()
        made = fleet(site, whole=case.whole)
        stack.callback(made.remove)
        results = Results(case, server.flavour, size)
        contenders = (
            ORCHESTRATOR,
            *(case.peers if against is None else [orchestrator_of(against)]),
        )
        _prepare(site, contenders)
        made.rebuild()
        results.recording = _record(site)
        if against is not None:
            # Recordings of one version are not the other's.
            other, *_ = site.tenants[2:] or site.tenants
            spend(replace(site, source=against).orchestrator("upgrade", "--tenant", other))
        for number in range(rounds):
            say(f"case {case.name}, round {number + 1} of {rounds}")
            for contender, lap in _round(site, made, contenders, _samples(case, scale), number):
                say(f"  {contender.name}: {lap.of_fleet(size):.2f} s")
                results.laps.setdefault(contender, []).append(lap)
    return results


def _scaled(count: int, scale: float) -> int:
    return max(2, round(count * scale))


def _samples(case: Case, scale: float) -> int:
    return _scaled(case.samples, min(scale, 1.0))


def _prepare(site: Site, contenders: Sequence[Contender]) -> None:
    """What may be written ahead, so that it takes nobody's time."""
    if any(one in DJANGO for one in contenders):
        lay_out_django(site)
    if any(one in CLIENTS for one in contenders):
        _ = site.scripts


def _record(site: Site) -> float:
    """Have every recording kept, by running one target cold and its neighbour warm."""
    kept = site.root / ".orchestrator"
    if kept.exists():
        shutil.rmtree(kept)
    cold, warm, *_ = site.tenants
    seconds = [
        spend(site.orchestrator("upgrade", "--tenant", tenant)).seconds for tenant in (cold, warm)
    ]
    return max(0.0, seconds[0] - seconds[1])


def _round(
    site: Site, made: Fleet, contenders: Sequence[Contender], samples: int, number: int
) -> Iterator[tuple[Contender, Lap]]:
    """Everybody once; who begins changes from round to round."""
    full = [one for one in contenders if not one.sampled]
    turn = number % len(full)
    for contender in (*full[turn:], *full[:turn]):
        made.rebuild()
        lap = contender.run(site, site.tenants)
        check(site, contender, site.tenants)
        yield contender, lap
    waiting = list(site.tenants)
    if any(one.sampled for one in contenders):
        made.rebuild()
    for contender in contenders:
        if contender.sampled:
            # The command line starts a process for each, so a few tell as much.
            wanted = max(1, samples // 4) if contender is COMMAND_LINE else samples
            if len(waiting) < wanted:
                made.rebuild()
                waiting = list(site.tenants)
            sample, waiting = waiting[:wanted], waiting[wanted:]
            lap = contender.run(site, sample)
            check(site, contender, sample)
            yield contender, lap
