"""The databases that one road fills, and the three roads.

Enters: a project, and a database for each of its binds.
Leaves: `Site`: `upgrade` and `downgrade` by a road of choice, and all its databases as text.
"""

from __future__ import annotations

import difflib
import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from sqlalchemy import URL, create_engine, text
from sqlalchemy.pool import NullPool

from tests.databases.bundles import client_folder, environment, run_all
from tests.databases.dump import dump, mysql_file, psql_file
from tests.roads.project import Project

Road = Literal["orchestrator", "alembic", "script"]
ROADS: tuple[Road, ...] = ("orchestrator", "alembic", "script")


@dataclass(frozen=True)
class Site:
    """A project with databases of its own.

    databases: for each bind, the database of its URL. The databases of tenants begin with that name
    and "_", so that they go when it goes.
    """

    project: Project
    databases: Mapping[str, URL]
    _count: Iterator[int] = field(default_factory=itertools.count)

    def upgrade(self, road: Road, to: str = "head", *narrow: str) -> None:
        """Bring all targets of all binds to a revision; a script starts from base."""
        if road == "alembic":
            self.project.alembic("upgrade", to)
        elif road == "orchestrator":
            self.project.orchestrator("upgrade", "--all", "--to", to)
        else:
            self.script("upgrade", "--to", to, *narrow)

    def downgrade(self, road: Road, to: str = "base", start: str = "head") -> None:
        """Take all targets of all binds back; a script is told where they start."""
        if road == "alembic":
            self.project.alembic("downgrade", to)
        elif road == "orchestrator":
            self.project.orchestrator("downgrade", "--all", "--yes", "--to", to)
        else:
            self.script("downgrade", "--from", start, "--to", to)

    def script(self, verb: str, *arguments: str) -> None:
        """Write the bundle of all targets, and run it with psql and mysql. RuntimeError when it
        failed."""
        folder = self.project.root / f"bundle{next(self._count)}"
        self.project.orchestrator(
            verb, "--all", "--sql", "--no-lint", *arguments, "-o", str(folder)
        )
        clients = client_folder(self.project.root / "clients")
        ran = run_all(folder, environment(self.databases.values(), clients))
        if ran.code:
            raise RuntimeError(ran.said)

    def run_file(self, bind: str, file: Path) -> str:
        """Give a file to the client of a bind's server, in the database of the bind's URL."""
        url = self.databases[bind]
        return (psql_file if url.get_backend_name() == "postgresql" else mysql_file)(url, file)

    def dumps(self) -> dict[str, str]:
        """Every database of this site as text, by bind and the end of its name."""
        return {
            f"{bind}{name.removeprefix(str(url.database))}": dump(url.set(database=name))
            for bind, url in self.databases.items()
            for name in _family_of(url)
        }


def _family_of(url: URL) -> list[str]:
    """The names of a database and of those that begin with its name and "_"."""
    if url.get_backend_name() == "postgresql":
        query = "SELECT datname FROM pg_database"
    else:
        query = "SELECT schema_name FROM information_schema.schemata"
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        names = connection.execute(text(query)).scalars().all()
    return sorted(one for one in names if one == url.database or one.startswith(f"{url.database}_"))


def full(url: URL) -> str:
    """A URL as an environment variable holds it, with its password."""
    return url.render_as_string(hide_password=False)


def compare(sites: Mapping[Road, Site]) -> dict[str, str]:
    """Assert that all sites hold the same; what they hold."""
    dumps = {road: site.dumps() for road, site in sites.items()}
    first, *others = dumps
    for road in others:
        assert dumps[road].keys() == dumps[first].keys(), f"{road} and {first}"
        for name, found in dumps[road].items():
            differing = difflib.unified_diff(
                dumps[first][name].splitlines(),
                found.splitlines(),
                f"{name} by {first}",
                f"{name} by {road}",
                n=1,
                lineterm="",
            )
            assert found == dumps[first][name], "\n".join(differing)
    return dumps[first]


SiteMaker = Callable[[Road], Site]


def sites(make: SiteMaker) -> dict[Road, Site]:
    """One site for each road."""
    return {road: make(road) for road in ROADS}
