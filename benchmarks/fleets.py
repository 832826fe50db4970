"""Fleets: the schemas or databases of a site, made anew before every timed run.

Enters: a Site.  Leaves: a database server that holds exactly its tenants, at its `start` revision.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.pool import NullPool

from benchmarks.history import revision_id
from benchmarks.measure import spend
from benchmarks.site import Site

_BATCH = 250
_BUILDERS = 2
_VERSION_TABLE = (
    "CREATE TABLE {place}.alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"
)
_VERSION_ROW = "INSERT INTO {place}.alembic_version VALUES ('{revision}')"


@contextmanager
def administrator(url: URL) -> Iterator[Connection]:
    """A connection outside any transaction."""
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection


class Fleet(ABC):
    """A fleet that can be made again.

    whole: whether tenants have all tables of their revision, or the version table alone (for
    contenders that look at nothing else, having nothing to do).
    """

    def __init__(self, site: Site, *, whole: bool) -> None:
        self.site = site
        self.whole = whole

    @abstractmethod
    def rebuild(self) -> None:
        """Make all tenants anew."""

    @abstractmethod
    def remove(self) -> None:
        """Leave nothing of it on the server."""


class Schemas(Fleet):
    """PostgreSQL: one database, built once as a template and copied for each run."""

    def __init__(self, site: Site, *, whole: bool) -> None:
        super().__init__(site, whole=whole)
        self._template = f"{site.database}_template"
        self._server = site.near.set(database="postgres")
        self._built = False

    def rebuild(self) -> None:
        if not self._built:
            self._build()
            self._built = True
        self._create(str(self.site.database), self._template)

    def remove(self) -> None:
        with administrator(self._server) as connection:
            for name in (self.site.database, self._template):
                connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    def _create(self, name: str, template: str) -> None:
        with administrator(self._server) as connection:
            connection.exec_driver_sql(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            connection.exec_driver_sql(
                f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY"
            )
            # What the copy left to write is not written in somebody's time.
            connection.exec_driver_sql("CHECKPOINT")

    def _build(self) -> None:
        site = self.site
        self._create(self._template, "template0")
        url = site.near.set(database=self._template)
        statements = [f"CREATE SCHEMA {name}" for name in site.tenants]
        if site.start and not self.whole:
            statements += _versions(site.tenants, site.start)
        with administrator(url) as connection:
            for first in range(0, len(statements), _BATCH):
                connection.exec_driver_sql(";\n".join(statements[first : first + _BATCH]))
        if site.start and self.whole:
            self._fill()
        with administrator(url) as connection:
            connection.exec_driver_sql("VACUUM ANALYZE")

    def _fill(self) -> None:
        """The way to `start`, as the scripts of one tenant have it, for each tenant."""
        model = self.site.model("model_tenant")
        text = model.scripts[0].read_text(encoding="utf-8")
        folder = model.root / "build"
        folder.mkdir(exist_ok=True)
        files = []
        for tenant in self.site.tenants:
            file = folder / f"{tenant}.sql"
            file.write_text(text.replace("model_tenant", tenant), encoding="utf-8")
            files.append(file)
        spend(*self.site.at_server(self._template).clients(files, _BUILDERS))


def _versions(places: Sequence[str], start: int) -> list[str]:
    texts = (_VERSION_TABLE, _VERSION_ROW)
    return [
        text.format(place=place, revision=revision_id(start)) for place in places for text in texts
    ]


class Databases(Fleet):
    """MySQL and MariaDB: a database a tenant, each made from the tables of a model."""

    _model_sql: str | None = None

    def rebuild(self) -> None:
        self.remove()
        site = self.site
        table = self._tables()
        folder = site.root / "build"
        folder.mkdir(exist_ok=True)
        files: list[Path] = []
        for tenant in site.tenants:
            file = folder / f"{tenant}.sql"
            file.write_text(f"CREATE DATABASE {tenant};\nUSE {tenant};\n{table}", encoding="utf-8")
            files.append(file)
        spend(*site.at_server().clients(files, _BUILDERS))

    def remove(self) -> None:
        with administrator(self.site.near) as connection:
            found = connection.exec_driver_sql(
                "SELECT schema_name FROM information_schema.schemata"
                " WHERE schema_name LIKE '%%tenant%%'"
            )
            for name in found.scalars().all():
                connection.exec_driver_sql(f"DROP DATABASE `{name}`")

    def _tables(self) -> str:
        site = self.site
        if not site.start:
            return ""
        if not self.whole:
            return "".join(f"{text};\n" for text in _here(site.start))
        if self._model_sql is None:
            self._model_sql = self._read_model()
        return self._model_sql

    def _read_model(self) -> str:
        """A tenant made by its revisions once, read back as the tables and rows it ended in."""
        model = self.site.model("model_tenant")
        with administrator(model.near) as connection:
            connection.exec_driver_sql("CREATE DATABASE model_tenant")
        spend(*model.clients(model.scripts, 1))
        with administrator(model.near.set(database="model_tenant")) as connection:
            tables = connection.exec_driver_sql("SHOW TABLES").scalars().all()
            made = [_table(connection, name) for name in tables]
            connection.exec_driver_sql("DROP DATABASE model_tenant")
        return "SET foreign_key_checks = 0;\n" + "".join(made)


def _here(start: int) -> list[str]:
    return [
        text.replace("{place}.", "").format(revision=revision_id(start))
        for text in (
            _VERSION_TABLE,
            _VERSION_ROW,
        )
    ]


def _table(connection: Connection, name: str) -> str:
    (definition,) = [row[1] for row in connection.exec_driver_sql(f"SHOW CREATE TABLE `{name}`")]
    rows = connection.exec_driver_sql(f"SELECT * FROM `{name}`").all()
    values = [
        "INSERT INTO `{}` VALUES ({});\n".format(name, ", ".join(_literal(one) for one in row))
        for row in rows
    ]
    return f"{definition};\n" + "".join(values)


def _literal(value: object) -> str:
    return "NULL" if value is None else "'" + str(value).replace("'", "''") + "'"


def fleet(site: Site, *, whole: bool) -> Fleet:
    """The fleet of a site."""
    return (Schemas if site.postgresql else Databases)(site, whole=whole)
