"""Who takes part: the orchestrator, its peers, and the limit.

Enters: a Site whose fleet was just rebuilt, and the tenants a contender works on.
Leaves: a `Lap`, after a look into the databases that the work was done.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from sqlalchemy import Connection

from benchmarks import django_peer
from benchmarks.fleets import administrator
from benchmarks.history import revision_id
from benchmarks.measure import BenchmarkFailed, Spent
from benchmarks.site import Site

Tenants = Sequence[str]


@dataclass(frozen=True, slots=True)
class Lap:
    """One timed run.

    spent: the whole run. startup and startup_cpu: seconds of it that do not grow with the tenants.
    targets: how many tenants it worked on.
    """

    spent: Spent
    targets: int
    startup: float = 0.0
    startup_cpu: float = 0.0

    @property
    def each(self) -> float:
        """Seconds a target, beyond start-up."""
        return max(self.spent.seconds - self.startup, 0.0) / self.targets

    def of_fleet(self, size: int) -> float:
        """Seconds that a fleet of this size takes, its start-up once."""
        return self.startup + self.each * size

    def cpu_of_fleet(self, size: int) -> float:
        """The same in processor seconds, the server's included."""
        each = max(self.spent.cpu - self.startup_cpu, 0.0) / self.targets
        return self.startup_cpu + each * size


@dataclass(frozen=True)
class Contender:
    """name: in the table. sampled: works on some tenants only, and is extrapolated from them."""

    name: str
    run: Callable[[Site, Tenants], Lap]
    sampled: bool = False


def _orchestrator(site: Site, tenants: Tenants) -> Lap:
    site.name_tenants(tenants)
    spent = site.spend(site.orchestrator("upgrade", "--all"))
    site.name_tenants(tenants[:1])
    # The same command on one target that has nothing to do.
    startup = site.spend(site.orchestrator("upgrade", "--all"))
    site.name_tenants(site.tenants)
    return Lap(spent, len(tenants), startup.seconds, startup.cpu)


def orchestrator_of(checkout: Path) -> Contender:
    """The orchestrator of another checkout, such as an earlier version."""

    def run(site: Site, tenants: Tenants) -> Lap:
        return _orchestrator(replace(site, source=checkout), tenants)

    return Contender(f"orchestrator of {checkout}", run)


def _command_line(site: Site, tenants: Tenants) -> Lap:
    laps = [
        site.spend(
            site.python(
                "-m", "alembic", "-x", f"tenant={tenant}", "upgrade", "head", folder="plain"
            )
        )
        for tenant in tenants
    ]
    whole = Spent(
        sum(one.seconds for one in laps),
        sum(one.cpu for one in laps),
        max(one.peak for one in laps),
        "",
    )
    return Lap(whole, len(laps))


def _loop(site: Site, tenants: Tenants) -> Lap:
    file = site.root / "sample.txt"
    file.write_text("\n".join(tenants), encoding="utf-8")
    spent = site.spend(site.python("loop.py", str(file), folder="plain"))
    startup, startup_cpu = (float(one) for one in spent.out.split()[-2:])
    return Lap(spent, len(tenants), startup, startup_cpu)


def _django(executor: str) -> Callable[[Site, Tenants], Lap]:
    def run(site: Site, tenants: Tenants) -> Lap:
        command = site.python(
            "manage.py",
            "migrate_schemas",
            "--tenant",
            f"--executor={executor}",
            "-v0",
            folder="django",
        )
        django_peer.prepare(site, ())
        startup = site.spend(command)
        django_peer.prepare(site, tenants)
        return Lap(site.spend(command), len(tenants), startup.seconds, startup.cpu)

    return run


def _client(sessions: int) -> Callable[[Site, Tenants], Lap]:
    def run(site: Site, tenants: Tenants) -> Lap:
        scripts = dict(zip(site.tenants, site.scripts, strict=True))
        commands = site.clients([scripts[tenant] for tenant in tenants], sessions)
        return Lap(site.spend(*commands), len(tenants))

    return run


ORCHESTRATOR: Final = Contender("orchestrator upgrade", _orchestrator)
COMMAND_LINE: Final = Contender("alembic command line, in a loop", _command_line, sampled=True)
LOOP: Final = Contender("alembic.command.upgrade, in a loop", _loop, sampled=True)
DJANGO: Final = (
    Contender("django-tenants, standard", _django("standard"), sampled=True),
    Contender("django-tenants, multiprocessing", _django("multiprocessing"), sampled=True),
)
SESSIONS: Final = (1, 2, 4, 8)
CLIENTS: Final = tuple(
    Contender(f"the server's own client, {count} at once", _client(count)) for count in SESSIONS
)


def check(site: Site, contender: Contender, tenants: Tenants) -> None:
    """Raises BenchmarkFailed unless the tenants are where they should have been brought."""
    with administrator(site.near) as connection:
        if contender in DJANGO:
            table, wanted = "django_migrations", site.history
            count = _sum(connection, f"SELECT count(*) FROM {{}}.{table}", tenants)
        else:
            wanted = 1
            head = revision_id(site.history)
            count = _sum(
                connection,
                f"SELECT count(*) FROM {{}}.alembic_version WHERE version_num = '{head}'",
                tenants,
            )
    if count != wanted * len(tenants):
        raise BenchmarkFailed(
            f"{contender.name}: {count} rows instead of {wanted * len(tenants)} say that its "
            f"{len(tenants)} tenants are at the head"
        )


_LOOK = 250


def _sum(connection: Connection, query: str, tenants: Tenants) -> int:
    total = 0
    for first in range(0, len(tenants), _LOOK):
        counts = " UNION ALL ".join(
            f"({query.format(tenant)})" for tenant in tenants[first : first + _LOOK]
        )
        total += sum(connection.exec_driver_sql(counts).scalars().all())
    return total


def lay_out_django(site: Site) -> Path:
    """Write the Django project's migrations, from the SQL that the orchestrator writes."""
    return django_peer.write_migrations(site)
