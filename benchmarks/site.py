"""One case's place: a project in a folder, its tenants, and the server they are on.

Enters: a server, the number of tenants, and which history.  Leaves: `Site`, with the project laid
out for every contender, the same revisions for all, and the SQL of each tenant as
`orchestrator upgrade --sql` writes it.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from sqlalchemy import URL, make_url

from benchmarks.history import revision_id, write_history
from benchmarks.measure import Command, Spent, spend
from servers import RunningServer

_REPOSITORY = Path(__file__).parents[1]
_PROJECTS = Path(__file__).parent / "projects"

_DATABASES_YAML = """\
apps:
  packages: [apps]
binds:
  shop:
    flavour: {flavour}
    tenancy: {tenancy}
    apps: [shop]
    servers:
      here: {{url: "${{BENCH_URL}}", max_connections: 8}}
    tenants:
      file: tenants.txt
"""


@dataclass(frozen=True)
class Site:
    """Where contenders work.

    database: the PostgreSQL database whose schemas are the tenants; None on MySQL.
    history: how many revisions there are. live: whether every third of them reads a result.
    start: the revision, by number, that the tenants stand at; 0 for an empty schema.
    port: where contenders connect to, when that is not the server's own.
    source: the checkout whose orchestrator runs.
    """

    root: Path
    server: RunningServer
    database: str | None
    tenants: tuple[str, ...]
    history: int
    start: int = 0
    live: bool = False
    port: int | None = None
    source: Path = _REPOSITORY

    @property
    def postgresql(self) -> bool:
        """Whether tenants are schemas."""
        return self.server.family == "postgresql"

    @property
    def near(self) -> URL:
        """The tenants' place, as whoever prepares a run connects to it."""
        url = make_url(self.server.url)
        return url if self.database is None else url.set(database=self.database)

    @property
    def far(self) -> URL:
        """The tenants' place, as contenders connect to it."""
        return self.near if self.port is None else self.near.set(port=self.port)

    def lay_out(self) -> Site:
        """Write the project's files, for every contender."""
        lay_out_project(
            self.root,
            self.server.flavour,
            "schema" if self.postgresql else "database",
            self.history,
            self.tenants,
            live=self.live,
        )
        return self

    def name_tenants(self, tenants: Sequence[str]) -> None:
        """Make these the fleet."""
        (self.root / "tenants.txt").write_text("\n".join(tenants) + "\n", encoding="utf-8")

    def python(self, *arguments: str, folder: str = "") -> Command:
        """A Python program of this project, as a user would start it."""
        return Command([sys.executable, *arguments], self.root / folder, self._environment)

    def orchestrator(self, *arguments: str) -> Command:
        """The orchestrator's command line."""
        return self.python("-m", "orchestrator", *arguments)

    @property
    def _environment(self) -> Mapping[str, str]:
        url = self.far.render_as_string(hide_password=False)
        return {
            "BENCH_URL": url,
            "PYTHONPATH": str(self.source),
            # Modules that are installed are compiled, as pip leaves them; so are a checkout's after
            # their first run, whatever the caller's environment says.
            "PYTHONDONTWRITEBYTECODE": "",
            "PYTHONPYCACHEPREFIX": str(self.root / "compiled"),
        }

    @cached_property
    def scripts(self) -> tuple[Path, ...]:
        """Each tenant's SQL from `start` to the head, in the order of the tenants: what --sql
        prints for the first, with the others' names."""
        folder, first = self.root / "sql", self.tenants[0]
        origin = ("--from", revision_id(self.start)) if self.start else ()
        said = spend(self.orchestrator("upgrade", "--tenant", first, "--sql", *origin)).out
        made = said[said.index("-- orchestrator") :]  # Behind what it says on stderr.
        folder.mkdir(exist_ok=True)
        found = [folder / f"{tenant}.sql" for tenant in self.tenants]
        for tenant, file in zip(self.tenants, found, strict=True):
            file.write_text(made.replace(first, tenant), encoding="utf-8")
        return tuple(found)

    def spend(self, *commands: Command) -> Spent:
        """Run commands side by side, the server's processor time included."""
        return spend(*commands, server=self.server.pid)

    def client(self, files: Sequence[Path]) -> Command:
        """psql, mysql or mariadb, one process for all of these files."""
        url = self.far
        if self.postgresql:
            named = [argument for file in files for argument in ("-f", str(file))]
            return Command(
                [*self.server.client, "-X", "-q", "-v", "ON_ERROR_STOP=1", *named],
                self.root,
                {
                    "PGHOST": str(url.host),
                    "PGPORT": str(url.port),
                    "PGUSER": str(url.username),
                    "PGPASSWORD": str(url.password),
                    "PGDATABASE": str(url.database),
                },
            )
        whole = files[0].with_suffix(f".{len(files)}.all")
        whole.write_bytes(b"\n".join(file.read_bytes() for file in files))
        return Command(
            [
                *self.server.client,
                "--no-defaults",
                "--protocol=TCP",
                "--default-character-set=utf8mb4",
                f"--host={url.host}",
                f"--port={url.port}",
                f"--user={url.username}",
            ],
            self.root,
            {"MYSQL_PWD": str(url.password)},
            stdin=whole,
        )

    def clients(self, files: Sequence[Path], sessions: int) -> list[Command]:
        """The same with the files dealt out to so many processes."""
        return [self.client(files[n::sessions]) for n in range(min(sessions, len(files)))]

    def at_server(self, database: str | None = None) -> Site:
        """The same, connected to directly, and to another PostgreSQL database."""
        return replace(self, database=database or self.database, port=None)

    def model(self, name: str) -> Site:
        """A site of one tenant at `start`, in a folder of its own, to copy schemas from."""
        one = replace(
            self, root=self.root / name, tenants=(name,), history=self.start, start=0, port=None
        )
        return one.lay_out()


def lay_out_project(
    root: Path,
    flavour: str,
    tenancy: str,
    history: int,
    tenants: Sequence[str],
    *,
    live: bool = False,
) -> None:
    """Write a project's files, for every contender. The arguments are those of Site."""
    shutil.copytree(
        _PROJECTS,
        root,
        dirs_exist_ok=True,
        ignore=shutil.ignore_patterns("__pycache__", "orchestrated"),
    )
    shutil.copytree(_PROJECTS / "orchestrated", root, dirs_exist_ok=True)
    write_history(root / "migrations" / "versions" / "shop", history, live=live)
    text = _DATABASES_YAML.format(flavour=flavour, tenancy=tenancy)
    (root / "databases.yaml").write_text(text, encoding="utf-8")
    (root / "tenants.txt").write_text("\n".join(tenants) + "\n", encoding="utf-8")


def names(count: int) -> tuple[str, ...]:
    """The tenants of a fleet."""
    return tuple(f"tenant_{number:05d}" for number in range(count))
