"""What databases.yaml says, after validation: the frozen types that travel between floors.

Leaves: `Config` and its parts.  Everything is resolved: paths are absolute, durations are
seconds, URLs are SQLAlchemy URLs under an installed synchronous driver, defaults are filled in.
What could not be resolved because a variable is unset stands in `Config.deferred`, and becomes an
error only when a command asks for it (`Config.require`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from sqlalchemy.engine import URL

from orchestrator.config.flavour import Family, Flavour
from orchestrator.errors import ConfigError, Problem

Tenancy = Literal["schema", "database"]
SourceKind = Literal["list", "file", "query", "pattern", "callable", "command"]


@dataclass(frozen=True, slots=True)
class Where:
    """A place in a file; prints as `databases.yaml:12`, relative to the working directory.

    part: which part of what that line means or brings, such as "row 3"; prints as
    `databases.yaml:12 (row 3)`.
    """

    file: Path
    line: int
    part: str = ""

    def __str__(self) -> str:
        try:
            shown = self.file.relative_to(Path.cwd())
        except ValueError:
            shown = self.file
        return f"{shown}:{self.line}" + (f" ({self.part})" if self.part else "")


@dataclass(frozen=True, slots=True)
class Deferred:
    """A mistake that matters only to commands which use this part (an unset variable, a missing
    url_file). `bind` is the bind it belongs to, and `part` the key inside it ("url",
    "servers.eu1.url"); without a bind, `part` is the section ("scratch", "ledger")."""

    bind: str
    part: str
    problem: Problem

    @property
    def is_url(self) -> bool:
        """Whether only a connection needs it: histories and models can be read without."""
        return self.part.rpartition(".")[2] in ("url", "url_file", "direct_url")


@dataclass(frozen=True, slots=True)
class Apps:
    """Where the apps are: exactly the `apps:` section."""

    packages: tuple[str, ...] = ()
    installed: str | None = None
    modules: tuple[str, ...] = ()
    models: str = "models"
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class Server:
    """One database server that holds targets of a bind.

    url: None while its variable is unset (see `Config.deferred`).
    direct_url: around a pooler; commands that change databases prefer it.
    """

    name: str
    url: URL | None
    where: Where
    direct_url: URL | None = None
    max_connections: int = 8
    labels: Mapping[str, str] = field(default_factory=dict)

    @property
    def migration_url(self) -> URL | None:
        """The URL that migrations use: direct_url when there is one, else url."""
        return self.direct_url or self.url


@dataclass(frozen=True, slots=True)
class TenantEntry:
    """One tenant as its source names it. server is None when the source names none."""

    name: str
    server: str | None
    labels: Mapping[str, str]
    where: Where


@dataclass(frozen=True, slots=True)
class TenantQuery:
    """A query on another bind that gives the tenants of a bind."""

    bind: str
    sql: str


@dataclass(frozen=True, slots=True)
class TenantSource:
    """Where the names of a bind's tenants come from: exactly one kind.

    entries is filled for `list` (read from databases.yaml itself); path for `file`. The others
    have a value: a TenantQuery for `query`, a tuple of words for `command`, the text as written for
    `pattern` and `callable`.
    """

    kind: SourceKind
    where: Where
    entries: tuple[TenantEntry, ...] = ()
    path: Path | None = None
    value: Any = None


@dataclass(frozen=True, slots=True)
class Bind:
    """A logical database: a set of apps, one revision history, one or many targets."""

    name: str
    where: Where
    servers: Mapping[str, Server]
    versions: tuple[Path, ...]
    flavour: Flavour | None = None
    family: Family | None = None
    tenancy: Tenancy | None = None
    tenant_name: str = "{tenant}"
    create: bool = False
    apps: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    tenants: TenantSource | None = None
    search_path: tuple[str, ...] = ()
    baseline: Path | None = None
    version_table: str = "alembic_version"
    version_num_length: int = 32
    journal_table: str = "orchestrator_journal"
    lock_wait: float = 60.0
    lock_timeout: float = 5.0
    statement_timeout: float = 0.0
    concurrent_timeout: float = 0.0
    attempts: int = 10
    transaction: Literal["revision", "path"] = "revision"


Command = tuple[str, ...]
"""The words of a command, or the one word of a check that is built in ("verify", "drift")."""


@dataclass(frozen=True, slots=True)
class Wave:
    """One wave of a rollout.

    select: of each label, the globs that its value may match; "tenant", "server" and "bind" are
    the target's own. concurrency, max_failures, checks, check_timeout (seconds): None for the
    rollout's.
    """

    name: str
    select: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    percent: float | None = None
    count: int | None = None
    pause: bool = False
    soak: float = 0.0
    concurrency: int | None = None
    max_failures: str | None = None
    checks: tuple[Command, ...] | None = None
    check_timeout: float | None = None


@dataclass(frozen=True, slots=True)
class Rollout:
    """The rollout section. max_failures is a count ("3") or a share ("2%") of a wave. verify:
    whether schemas are compared before and after each target. checks: of the waves that name none.
    check_timeout: seconds that a command among the checks may take, 0 for no limit.
    """

    concurrency: int = 8
    max_failures: str = "0"
    verify: bool = True
    checks: tuple[Command, ...] = ()
    waves: tuple[Wave, ...] = ()
    check_timeout: float = 600.0


@dataclass(frozen=True, slots=True)
class Drift:
    """The drift section. ignore: globs of what never counts. column_order: whether the order of a
    table's columns counts."""

    ignore: tuple[str, ...] = ()
    column_order: bool = True


LintSeverity = Literal["off", "notice", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Lint:
    """The lint section. fail_on: findings from this severity on are failures. rules: severities
    that the project gives to rules, by their names; places: where each is written."""

    fail_on: Literal["notice", "warning", "error"] = "error"
    rules: Mapping[str, LintSeverity] = field(default_factory=dict)
    places: Mapping[str, Where] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Config:
    """A whole databases.yaml. `root` is the project's folder (where databases.yaml stands, or
    --project); `binds` keeps the order of the file."""

    file: Path
    root: Path
    migrations: Path
    ledger: str = field(repr=False)  # a URL, maybe with a password
    binds: Mapping[str, Bind]
    apps: Apps = field(default_factory=Apps)
    default_bind: str | None = None
    scratch: Mapping[Family, URL] = field(default_factory=dict)
    rollout: Rollout = field(default_factory=Rollout)
    drift: Drift = field(default_factory=Drift)
    lint: Lint = field(default_factory=Lint)
    deferred: tuple[Deferred, ...] = ()

    def require(
        self,
        binds: Iterable[str] = (),
        parts: Iterable[str] = (),
        offline: Iterable[str] = (),
    ) -> None:
        """Raise ConfigError with every deferred problem of these binds and parts, all at once.

        offline: binds that are used without a connection; what is wrong with their URLs is not
        raised.
        """
        wanted, asked, unconnected = set(binds), set(parts), set(offline)
        problems = [
            one.problem
            for one in self.deferred
            if (
                one.bind in wanted or (one.bind in unconnected and not one.is_url)
                if one.bind
                else one.part in asked
            )
        ]
        if problems:
            raise ConfigError(problems)
