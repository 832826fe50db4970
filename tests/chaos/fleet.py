"""The fleet that is killed: one bind a server, a few tenants each, and a history of every kind.

Enters: servers.  Leaves: a project, its targets made anew, and what each of them holds.  Every
revision but the ones that may run again adds its name to a table, `applied`, so that one which was
applied twice shows in the rows.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from difflib import unified_diff
from pathlib import Path

from sqlalchemy import URL, Connection, create_engine, make_url
from sqlalchemy.pool import NullPool

from servers import RunningServer
from tests.cli.small import SmallProject, shown, small_project
from tests.databases.dump import dump

TENANTS = ("acme", "globex", "initech")
_REFERENCE = "reference"

_NOTE = "op.execute(\"INSERT INTO applied VALUES ('{name}')\")\n"

_TABLES = """
    op.create_table("applied", sa.Column("step", sa.String(40)))
    accounts = op.create_table(
        "accounts",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(50), nullable=False),
        sa.Column("balance", sa.Integer, nullable=False, server_default="0"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("account", sa.Integer, sa.ForeignKey("accounts.id")),
        sa.Column("total", sa.Integer),
    )
    op.bulk_insert(accounts, [{"id": n, "name": f"n{n}", "balance": n} for n in (1, 2, 3)])
    op.execute("INSERT INTO orders VALUES (1, 1, 10), (2, 2, 20)")
    """ + _NOTE.format(name="r1")

_DATA = """
    op.execute("UPDATE accounts SET balance = balance + 10")
    op.execute("INSERT INTO orders VALUES (3, 3, 30)")
    """ + _NOTE.format(name="r2")

_MIXED = """
    op.add_column("accounts", sa.Column("email", sa.String(80)))
    op.execute("UPDATE accounts SET balance = balance + 1")
    op.create_index("ix_accounts_email", "accounts", ["email"])
    op.execute("UPDATE orders SET total = total * 2")
    op.rename_table("orders", "purchases")
    op.execute("INSERT INTO purchases VALUES (4, 1, 40)")
    """ + _NOTE.format(name="r3")

_CONCURRENT = """
    op.execute("UPDATE accounts SET balance = balance + 100")
    with op.get_context().autocommit_block():
        op.create_index(
            "ix_accounts_balance", "accounts", ["balance"], postgresql_concurrently=True
        )
        op.execute("UPDATE accounts SET balance = balance + 1000")
        op.create_index("ix_name", "accounts", ["name"], postgresql_concurrently=True, unique=True)
        op.drop_index("ix_accounts_email", "accounts", postgresql_concurrently=True)
    op.execute("UPDATE purchases SET total = total + 1")
    """ + _NOTE.format(name="r4")

_DDL = """
    op.create_index("ix_accounts_balance", "accounts", ["balance"])
    op.execute("CREATE VIEW rich AS SELECT id, name FROM accounts WHERE balance > 12")
    op.alter_column("accounts", "name", existing_type=sa.String(50), type_=sa.String(60))
    op.execute("UPDATE purchases SET total = total + 1")
    op.drop_index("ix_accounts_email", "accounts")
    op.create_table("audit", sa.Column("id", sa.Integer, primary_key=True))
    op.drop_table("audit")
    """ + _NOTE.format(name="r4")

_LIVE = """
    many = op.get_bind().scalar(sa.text("SELECT count(*) FROM accounts"))
    op.add_column("accounts", sa.Column("extra", sa.Integer))
    op.execute(f"UPDATE accounts SET extra = {int(many)}")
    """ + _NOTE.format(name="r5")

_RESUMABLE = (
    """
    connection = op.get_bind()
    columns = {one["name"] for one in sa.inspect(connection).get_columns("accounts")}
    if "rank" not in columns:
        op.add_column("accounts", sa.Column("rank", sa.Integer))
    while connection.scalar(sa.text("SELECT count(*) FROM accounts WHERE rank IS NULL")):
        first = connection.scalar(sa.text("SELECT min(id) FROM accounts WHERE rank IS NULL"))
        op.execute(f"UPDATE accounts SET rank = id * 2 WHERE id = {int(first)}")
    """.replace("rank IS", "rank_ IS")
    .replace('"rank"', '"rank_"')
    .replace("SET rank", "SET rank_")
)

_READS_NOTHING = """
    where = op.get_bind().engine.url.database
    op.add_column("purchases", sa.Column("note", sa.String(20)))
    op.execute("UPDATE purchases SET note = 'seen'")
    op.execute(f"INSERT INTO applied VALUES ('r7 {len(where) > 0}')")
    op.create_index("ix_note", "purchases", ["note"])
    """

_LAST = """
    op.create_table("last", sa.Column("id", sa.Integer, primary_key=True))
    op.execute("INSERT INTO last VALUES (1)")
    """ + _NOTE.format(name="r8")


def _bodies(family: str) -> Sequence[tuple[str, str]]:
    """The revisions of one family: what each does, and what stands above its functions."""
    return (
        (_TABLES, ""),
        (_DATA, ""),
        (_MIXED, ""),
        (_CONCURRENT if family == "postgresql" else _DDL, ""),
        (_LIVE, ""),
        (_RESUMABLE, "\nresumable = True\n"),
        (_READS_NOTHING, ""),
        (_LAST, ""),
    )


MAY_BE_DIRTY = {"r5"}
"""The revisions for which no promise is made on MySQL and MariaDB: live, results read, not
resumable."""


@dataclass(frozen=True)
class ChaosFleet:
    """A project with one tenant bind a server."""

    project: SmallProject
    servers: Mapping[str, RunningServer]

    @classmethod
    def make(cls, root: Path, servers: Sequence[RunningServer]) -> ChaosFleet:
        """Write the project. Each bind is named after its server."""
        named = {server.name: server for server in servers}
        project = small_project(root, _databases(named, TENANTS))
        for name, server in named.items():
            after = None
            for number, (body, more) in enumerate(_bodies(server.family), 1):
                revision = f"{name}_r{number}"
                project.revision(name, revision, body, after=after, more=more)
                after = revision
        return cls(project, named)

    def rebuild(self) -> None:
        """Drop every target: the next upgrade makes it anew."""
        for server in self.servers.values():
            with _administrator(server) as connection:
                for tenant in TENANTS:
                    kind = "SCHEMA" if server.family == "postgresql" else "DATABASE"
                    after = " CASCADE" if server.family == "postgresql" else ""
                    connection.exec_driver_sql(f"DROP {kind} IF EXISTS c_{tenant}{after}")
        shutil.rmtree(self.project.root / ".orchestrator" / "ledger.db", ignore_errors=True)

    def reference(self) -> dict[str, str]:
        """What a target of each server holds after a run that nobody disturbed."""
        text = _databases(self.servers, (_REFERENCE,))
        file = self.project.write("reference.yaml", text)
        said = self.project.run("-c", file.name, "upgrade", "--all", timeout=300)
        assert said.code == 0, said.all
        return {name: self._dump(name, _REFERENCE) for name in self.servers}

    def wrong(self, reference: Mapping[str, str]) -> list[str]:
        """The targets that are not as an undisturbed run leaves them, and how they differ."""
        found = []
        for name in self.servers:
            for tenant in TENANTS:
                held, wanted = self._dump(name, tenant), reference[name]
                lines = unified_diff(wanted.splitlines(), held.splitlines(), "clean", "held", n=2)
                if held != wanted:
                    found.append("\n".join((f"{name}/{tenant}", *lines)))
        return found

    def _dump(self, name: str, tenant: str) -> str:
        url = make_url(self.servers[name].url)
        if self.servers[name].family == "postgresql":
            return dump(url, f"c_{tenant}", counters=False)
        return dump(url.set(database=f"c_{tenant}"), counters=False)

    def rows(self, name: str, tenant: str, query: str) -> list[tuple[object, ...]]:
        """The rows of a statement in one target."""
        server = self.servers[name]
        url = make_url(server.url)
        if server.family != "postgresql":
            url = url.set(database=f"c_{tenant}")
        with _connected(url) as connection:
            if server.family == "postgresql":
                connection.exec_driver_sql(f"SET search_path = c_{tenant}")
            result = connection.exec_driver_sql(query)
            return [tuple(row) for row in result] if result.returns_rows else []


def _databases(servers: Mapping[str, RunningServer], tenants: Sequence[str]) -> str:
    lines = ["apps: {packages: [apps]}", f"default_bind: {next(iter(servers))}", "binds:"]
    for name, server in servers.items():
        tenancy = "schema" if server.family == "postgresql" else "database"
        lines += [
            f"  {name}:",
            f"    tenancy: {tenancy}",
            "    name: 'c_{tenant}'",
            "    create: true",
            f"    servers: {{one: {{url: {shown(make_url(server.url))}}}}}",
            f"    tenants: {{list: [{', '.join(tenants)}]}}",
        ]
    return "\n".join(lines) + "\n"


@contextmanager
def _administrator(server: RunningServer) -> Iterator[Connection]:
    with _connected(make_url(server.url)) as connection:
        yield connection


@contextmanager
def _connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        yield connection
