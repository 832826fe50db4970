"""python -m benchmarks: the orchestrator and its peers, side by side on servers of this run."""

from __future__ import annotations

import compileall
import os
import platform
import sys
import tempfile
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

import orchestrator
from benchmarks.cases import CASES, DRIFT, SIMULATED
from benchmarks.drift import run_drift
from benchmarks.measure import BenchmarkFailed
from benchmarks.rounds import run_case
from benchmarks.simulated import run_simulated
from benchmarks.table import write_drift, write_results, write_simulated
from servers import DEFAULT_POSTGRES, CannotStart, RunningServer, mysql_family, start

_MEMORY = Path("/dev/shm")
_PACKAGES = ("alembic", "sqlalchemy", "psycopg2-binary", "pymysql", "django", "django-tenants")
_NAMES = (*(case.name for case in CASES), SIMULATED.name, *(case.name for case in DRIFT))


@dataclass
class _Servers:
    """The servers of this run, started when the first case needs them."""

    stack: ExitStack
    postgresql: str
    mysql: str
    _running: dict[str, RunningServer] = field(default_factory=dict)

    def get(self, *, mysql: bool) -> RunningServer:
        name = self.mysql if mysql else self.postgresql
        if name not in self._running:
            self._running[name] = start(name)
            self.stack.callback(self._running[name].stop)
        return self._running[name]


def _say(text: str) -> None:
    click.echo(text, err=True)


@click.command()
@click.option("--case", "cases", multiple=True, type=click.Choice(_NAMES), help="Only these.")
@click.option("--rounds", default=3, show_default=True, type=click.IntRange(1))
@click.option("--scale", default=1.0, show_default=True, help="Times the number of targets.")
@click.option("--postgresql", default=DEFAULT_POSTGRES, show_default=True, help="Which server.")
@click.option("--mysql", default=None, help="Which server; default: the one this machine has.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, resolve_path=True, path_type=Path),
    help="Another checkout of the orchestrator, to compare with instead of the peers.",
)
def main(
    cases: tuple[str, ...],
    rounds: int,
    scale: float,
    postgresql: str,
    mysql: str | None,
    against: Path | None,
) -> None:
    """Run the benchmark, and print a table with ratios for each case.

    Case d is three: d1, d2, d3.  Progress goes to stderr.
    """
    wanted = cases or _NAMES
    # pip compiles what it installs, as it did the peers; this program runs from its source.
    for checkout in (Path(orchestrator.__file__).parents[1], *([against] if against else [])):
        compileall.compile_dir(checkout / "orchestrator", quiet=1)
    # Databases in memory: a disk that others use as well would decide instead of the contenders.
    place = str(_MEMORY) if os.access(_MEMORY, os.W_OK) else None
    tempfile.tempdir = place
    try:
        with ExitStack() as stack:
            root = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="benchmark-")))
            servers = _Servers(stack, postgresql, mysql or mysql_family())
            _print("\n".join(_conditions(rounds, scale, place)))
            for case in CASES:
                if case.name in wanted:
                    results = run_case(
                        case,
                        servers.get(mysql=case.mysql),
                        root / case.name,
                        rounds=rounds,
                        scale=scale,
                        say=_say,
                        against=against,
                    )
                    _print(write_results(results))
            if SIMULATED.name in wanted:
                _print(write_simulated(run_simulated(root / "g", rounds=rounds, scale=scale)))
            for drift in DRIFT:
                if drift.name in wanted:
                    server = servers.get(mysql=False)
                    found = run_drift(drift, server, root / drift.name, rounds=rounds, scale=scale)
                    _print(write_drift(found))
    except (BenchmarkFailed, CannotStart) as error:
        _say(str(error))
        sys.exit(1)


def _conditions(rounds: int, scale: float, place: str | None) -> Iterable[str]:
    now = datetime.now(UTC)
    yield f"{now:%Y-%m-%d %H:%M} UTC, {os.cpu_count()} processors, {platform.platform()},"
    yield f"Python {platform.python_version()},"
    yield ", ".join(f"{name} {version(name)}" for name in _PACKAGES) + "."
    yield f"{rounds} rounds, scale {scale:g}; the servers' data is in {place or 'the file system'}."
    yield f"Load of the machine before: {os.getloadavg()[0]:.1f}.\n"


def _print(text: str) -> None:
    # At once, for whoever follows a long run through a pipe.
    click.echo(text)
    sys.stdout.flush()


if __name__ == "__main__":
    main()
