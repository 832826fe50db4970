"""The shape of databases.yaml, as pydantic models: every key, its kind, its default, its help.

Enters: the values of a `Document`.  Leaves: a `FileSection`.  The kinds of value stand in
`kinds.py`; what needs two keys or more is checked in `bind_rules.py` and `file_rules.py`; the JSON
Schema for editors is generated from here (`schema.py`).
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from orchestrator.config.document import Scalar, Table
from orchestrator.config.kinds import (
    Checks,
    Duration,
    FailOnName,
    Failures,
    Flag,
    FlavourName,
    Globs,
    Label,
    Labels,
    Module,
    Modules,
    Name,
    Object,
    Path,
    Paths,
    Percent,
    Positive,
    SeverityName,
    TenancyName,
    Text,
    Texts,
    TransactionName,
    Url,
    VersionLength,
    listed,
)


class Section(BaseModel):
    """A mapping of the file. A key without a value, or whose variable is empty, is as if absent;
    in `loud` keys an empty variable is a mistake instead (an empty URL connects to a default)."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, arbitrary_types_allowed=True, defer_build=True
    )
    loud: ClassVar[frozenset[str]] = frozenset()

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        if not isinstance(data, Table):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        # An unknown key is kept even without a value, for it is a mistake all the same.
        return {
            key: value
            for key, value in data.items()
            if not isinstance(value, Scalar)
            or value.value is not None
            or (value.variables and key in cls.loud)
            or (key not in known and cls.model_config.get("extra") == "forbid")
        }


class ScratchSection(Section):
    """Servers where throwaway databases may be made, one for each family."""

    loud = frozenset(("postgresql", "mysql"))
    postgresql: Url | None = Field(
        default=None, description="URL of a PostgreSQL server for scratch."
    )
    mysql: Url | None = Field(
        default=None, description="URL of a MySQL or MariaDB server for scratch."
    )


class AppsSection(Section):
    """Where the apps are found."""

    packages: Modules = Field(
        default=(), description="Packages whose every sub-package with a models module is an app."
    )
    installed: Object | None = Field(
        default=None, description="A setting that lists the apps: config.settings:INSTALLED_APPS."
    )
    modules: Modules = Field(default=(), description="The modules with models themselves.")
    models: Module = Field(
        default="models", description="Name of the models module or package in an app."
    )


class ServerSection(Section):
    """One database server of a bind."""

    loud = frozenset(("url", "url_file", "direct_url"))
    url: Url | None = Field(
        default=None, description="URL of the server: postgresql://, mysql:// or mariadb://."
    )
    url_file: Path | None = Field(
        default=None, description="File that holds the URL, such as a secret."
    )
    direct_url: Url | None = Field(
        default=None,
        description="URL around a connection pooler; migrations use it instead of url.",
    )
    max_connections: Positive = Field(
        default=8, description="Most connections to this server at a time."
    )
    labels: Labels = Field(
        default_factory=dict, description="Labels that --select and waves can name."
    )


class EntrySection(Section):
    """One tenant. Keys other than tenant and server are labels."""

    model_config = ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Label]

    tenant: Text = Field(description="The tenant's name.")
    server: Text | None = Field(
        default=None, description="The server it lives on; not needed when the bind has one."
    )


def _name_or_entry(value: object) -> object:
    return {"tenant": value} if isinstance(value, Scalar | str | int | float) else value


Entry = Annotated[EntrySection, BeforeValidator(_name_or_entry)]


class QuerySection(Section):
    """Tenants read by a query from another bind."""

    bind: Text = Field(description="The bind to ask; it is planned and applied first.")
    sql: Text = Field(
        description="A SELECT with a column tenant, maybe server; other columns become labels."
    )


class TenantsSection(Section):
    """Where the names of the tenants come from: exactly one key."""

    entries: Annotated[tuple[Entry, ...], BeforeValidator(listed)] | None = Field(
        default=None,
        alias="list",
        description="The tenants themselves: names, or mappings with tenant, server and labels.",
    )
    file: Path | None = Field(
        default=None, description="A .txt, .csv, .json or .yaml file with the same fields."
    )
    query: QuerySection | None = Field(default=None, description="A query on another bind.")
    pattern: Text | None = Field(
        default=None, description="LIKE pattern of schema or database names, read from each server."
    )
    callable: Object | None = Field(
        default=None,
        description="A Python callable that returns the tenants: apps.tenancy:all_tenants.",
    )
    command: Texts | None = Field(
        default=None, description="A program that prints JSON, or one name a line."
    )


class BindSection(ServerSection):
    """A logical database: apps, one revision history, one or many targets."""

    servers: dict[Name, ServerSection] | None = Field(
        default=None, description="Several servers by name, instead of url or url_file."
    )
    flavour: FlavourName | None = Field(
        default=None,
        description="postgresql-16, mysql-8.4, mariadb-10.11: for SQL without a connection.",
    )
    apps: Texts = Field(
        default=(), description="Apps whose models belong here unless they name a bind."
    )
    depends_on: Texts = Field(
        default=(), description="Binds that are planned and applied before this one."
    )
    tenancy: TenancyName | None = Field(
        default=None, description="Each tenant has a schema (PostgreSQL) or a database of its own."
    )
    name: Text | None = Field(
        default=None,
        description="Name of a tenant's schema or database; '{tenant}' stands for its name.",
    )
    create: Flag = Field(default=False, description="Make missing schemas or databases.")
    tenants: TenantsSection | None = Field(
        default=None, description="Where tenants' names come from."
    )
    search_path: Texts = Field(default=(), description="PostgreSQL schemas after the tenant's own.")
    versions: Paths | None = Field(
        default=None,
        description="Folder, or folders, of the revision files; <migrations>/versions/<bind>.",
    )
    baseline: Path | None = Field(
        default=None, description="SQL file for a history whose base is not an empty database."
    )
    version_table: Text = Field(
        default="alembic_version", description="Alembic's table in the target."
    )
    version_num_length: VersionLength = Field(
        default=32, description="Width of its version_num column."
    )
    journal_table: Text = Field(
        default="orchestrator_journal", description="orchestrator's own table."
    )
    lock_wait: Duration = Field(default=60.0, description="How long to wait for a target's lock.")
    lock_timeout: Duration = Field(default=5.0, description="lock_timeout of each statement.")
    statement_timeout: Duration = Field(
        default=0.0, description="Time limit of a statement; 0: none."
    )
    concurrent_timeout: Duration = Field(
        default=0.0, description="Time limit of CREATE INDEX CONCURRENTLY and its kin; 0: none."
    )
    attempts: Positive = Field(
        default=10,
        description="How often a step is tried, at most: again after a lock timeout, a deadlock, "
        "a serialization failure or a lost connection.",
    )
    transaction: TransactionName = Field(
        default="revision", description="One transaction for each revision, or for the whole path."
    )


class WaveSection(Section):
    """A part of a rollout."""

    name: Text = Field(description="The wave's name.")
    select: dict[str, Globs] = Field(
        default_factory=dict,
        description="What its targets have: labels, or tenant, server and bind; each a glob, or a "
        "list of them.",
    )
    percent: Percent | None = Field(
        default=None, description="Share of all targets, or of those that select names, in percent."
    )
    count: Positive | None = Field(default=None, description="Number of targets.")
    pause: Flag = Field(default=False, description="Stop after the wave until `rollout resume`.")
    soak: Duration = Field(
        default=0.0, description="How long to wait after the wave; its checks then run again."
    )
    concurrency: Positive | None = Field(
        default=None, description="Targets at a time in this wave."
    )
    max_failures: Failures | None = Field(default=None, description="Failure budget of this wave.")
    checks: Checks | None = Field(
        default=None,
        description="Checks that must pass after the wave: verify, drift, or a command.",
    )
    check_timeout: Duration | None = Field(
        default=None, description="Time limit of each command among this wave's checks; 0: none."
    )


class RolloutSection(Section):
    """How a rollout goes through the fleet."""

    concurrency: Positive = Field(default=8, description="Targets at a time.")
    max_failures: Failures = Field(
        default="0",
        description="Failures that stop a wave when exceeded: a count, or a share of it (2%).",
    )
    verify: Flag = Field(
        default=True, description="Compare the schemas of each cohort before and after."
    )
    checks: Checks = Field(default=(), description="Checks of waves that name none.")
    check_timeout: Duration = Field(
        default=600.0, description="Time limit of each command among the checks; 0: none."
    )
    waves: Annotated[tuple[WaveSection, ...], BeforeValidator(listed)] = Field(
        default=(), description="Ordered parts; the first is the canary."
    )


class DriftSection(Section):
    """What a comparison of live schemas leaves out."""

    ignore: Texts = Field(default=(), description="Globs of objects: *.spatial_ref_sys.")
    column_order: Flag = Field(
        default=True, description="Whether the order of a table's columns counts."
    )


class LintSection(Section):
    """What lint tells of revisions, and what counts as a failure."""

    fail_on: FailOnName = Field(
        default="error", description="Findings from this severity on are failures."
    )
    rules: dict[str, SeverityName] = Field(
        default_factory=dict, description="Severity of single rules: off, notice, warning, error."
    )


class FileSection(Section):
    """The whole file."""

    loud = frozenset(("ledger",))
    migrations: Path = Field(
        default="migrations", description="Folder of env.py and the revision files."
    )
    ledger: Url = Field(
        default="sqlite:///.orchestrator/ledger.db",
        description="Where runs are recorded: a SQLAlchemy URL.",
    )
    scratch: ScratchSection = Field(
        default_factory=ScratchSection, description="Where throwaway databases may be made."
    )
    apps: AppsSection = Field(
        default_factory=AppsSection, description="Which packages or modules hold the apps."
    )
    default_bind: Text | None = Field(default=None, description="Bind of models that name none.")
    binds: dict[Name, BindSection] = Field(
        default_factory=dict, description="The logical databases, in the order they are applied."
    )
    rollout: RolloutSection = Field(
        default_factory=RolloutSection, description="Waves and failure budget."
    )
    drift: DriftSection = Field(default_factory=DriftSection, description="What drift leaves out.")
    lint: LintSection = Field(
        default_factory=LintSection, description="Severities of lint's rules."
    )
