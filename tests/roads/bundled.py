"""A fleet in four cohorts that a DBA migrates by a bundle, and its twin that is migrated online.

Enters: an empty database.  Leaves: `Bundled`: a project and its tenants, the bundle, run-all.sh,
and what each tenant holds as text.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection

from tests.cli.small import Said, SmallProject, rows, shown, small_project
from tests.databases.bundles import Ran, client_folder, environment, run_all
from tests.execution.rollout.fleet import connected

HEAD = "r4"
STATES = ("base", "r1", "r2", "r3")
"""Where the cohorts stand."""

_R1 = """
op.create_table("items", sa.Column("id", sa.Integer, primary_key=True),
                sa.Column("name", sa.String(50), comment="100% 'quoted'; \\\\ and é"))
op.execute("INSERT INTO items (id, name) VALUES (1, 'a;b')")
op.execute("INSERT INTO items (id, name) VALUES (2, 'c''d % é -- not a comment')")
"""
_R2 = """
op.add_column("items", sa.Column("price", sa.Integer, server_default="7"))
op.execute("UPDATE items SET price = id * 10")
op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True))
"""
_R3 = """
with op.get_context().autocommit_block():
    op.create_index("ix_items_name", "items", ["name"], unique=True,
                    postgresql_concurrently=True)
op.execute("INSERT INTO notes VALUES (3)")
"""
_R4_PG = """
op.execute('''CREATE FUNCTION raised() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.price := NEW.price + 1; RETURN NEW; END $$''')
op.execute("CREATE TRIGGER raise_price BEFORE INSERT ON items FOR EACH ROW"
           " EXECUTE FUNCTION raised()")
op.execute("INSERT INTO items VALUES (3, 'third', 5)")
op.create_unique_constraint("one_price", "items", ["price"])
"""
_R4_MY = """
op.execute('''CREATE TRIGGER raise_price BEFORE INSERT ON items FOR EACH ROW
BEGIN SET NEW.price = NEW.price + 1; END''')
op.execute("INSERT INTO items VALUES (3, 'third', 5)")
op.create_unique_constraint("one_price", "items", ["price"])
"""
_DOWN = {
    "r1": 'op.drop_table("items")',
    "r2": 'op.drop_table("notes")\nop.drop_column("items", "price")',
    "r3": 'op.drop_index("ix_items_name", "items")\nop.execute("DELETE FROM notes")',
    "r4": 'op.execute("DELETE FROM items WHERE id = 3")\n'
    'op.drop_constraint("one_price", "items", type_="unique")\n'
    'op.execute("DROP TRIGGER raise_price{0}")\n',
}


@dataclass(frozen=True)
class Bundled:
    """A project with one tenant bind, `shop`, on one server."""

    project: SmallProject
    url: URL
    names: tuple[str, ...]

    @classmethod
    def make(cls, root: Path, url: URL, tenants: int, *, more: str = "") -> Bundled:
        """Lay out the project and its tenants, a quarter of them at each of STATES. more: of the
        bind."""
        schemas = url.get_backend_name() == "postgresql"
        names = tuple(f"t{number}" for number in range(tenants))
        tenancy, name = (
            ("schema", "{tenant}") if schemas else ("database", f"{url.database}_{{tenant}}")
        )
        project = small_project(
            root,
            f"""
apps: {{packages: [apps]}}
default_bind: shop
binds:
  shop: {{url: {shown(url)}, tenancy: {tenancy}, name: '{name}', create: true{more},
    tenants: {{list: [{", ".join(names)}]}}}}
""",
        )
        made = cls(project, url, names)
        bodies = {"r1": _R1, "r2": _R2, "r3": _R3, "r4": _R4_PG if schemas else _R4_MY}
        after = None
        for revision, body in bodies.items():
            down = _DOWN[revision].format(" ON items" if schemas else "")
            if revision == "r4" and schemas:
                down += 'op.execute("DROP FUNCTION raised()")'
            project.revision("shop", revision, body, after=after, down=down)
            after = revision
        for number, state in enumerate(STATES[1:], start=1):
            chosen = [arg for one in names[number::4] for arg in ("--tenant", one)]
            said = project.run("upgrade", "--bind", "shop", *chosen, "--to", state)
            assert said.code == 0, said.all
        return made

    @property
    def schemas(self) -> bool:
        """Whether tenants are schemas."""
        return self.url.get_backend_name() == "postgresql"

    def place(self, name: str) -> str:
        """A tenant's schema or database."""
        return name if self.schemas else f"{self.url.database}_{name}"

    def sql(self, name: str, statement: str) -> list[tuple[Any, ...]]:
        """Run SQL on a tenant; {at} stands for its schema or database."""
        return rows(self.url, statement.replace("{at}", self.place(name)))

    # -- the bundle --------------------------------------------------------------------------

    def bundle(self, *options: str, name: str = "bundle") -> Path:
        """Write a bundle of the way to head."""
        folder = self.project.root / name
        said = self.project.run("upgrade", "--all", "--sql", *options, "-o", str(folder))
        assert said.code == 0, said.all
        return folder

    def environment(self) -> dict[str, str]:
        """What a DBA's shell has."""
        return environment([self.url], client_folder(self.project.root / "clients"))

    def run_all(self, folder: Path, *arguments: str) -> Ran:
        """Run the bundle."""
        return run_all(folder, self.environment(), *arguments)

    def client(self, name: str, script: Path) -> Ran:
        """Give one script to the plain client, as the bundle's README says; to its end."""
        out, _ = (process := self.start(name, script)).communicate(timeout=120)
        return Ran(process.returncode, out.decode(errors="replace"))

    def start(self, name: str, script: Path) -> subprocess.Popen[bytes]:
        """Start the plain client with one script; the process is the client's own."""
        where = self.environment()
        if self.schemas:
            command = ["psql", "-X", "-h", str(self.url.host), "-p", str(self.url.port)]
            command += ["-d", str(self.url.database), "-v", f"target={name}", "-f", str(script)]
        else:
            client = script.parent.name.partition("-")[0]
            command = [client, f"--host={self.url.host}", f"--port={self.url.port}"]
            command += ["--protocol=TCP", f"--user={self.url.username}"]
            command += ["--default-character-set=utf8mb4", "--comments", self.place(name)]
        with script.open("rb") as given:
            return subprocess.Popen(
                command,
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **where},
            )

    def verify(self, folder: Path, code: int = 0) -> dict[str, dict[str, Any]]:
        """What `orchestrator verify` says of each tenant."""
        said: Said = self.project.run("verify", str(folder), "--json", timeout=240)
        assert said.code == code, said.all
        return {one["tenant"]: one for one in said.json()}

    # -- what the tenants hold ---------------------------------------------------------------

    def contents(self, names: Sequence[str] = ()) -> dict[str, str]:
        """Schema, rows and version of each tenant as text, its own name hidden. The journal is
        orchestrator's own, and left out where it is empty."""
        with connected(self.url) as connection:
            return {name: self._content(connection, name) for name in names or self.names}

    def _content(self, connection: Connection, name: str) -> str:
        place = self.place(name)

        def ask(query: str) -> list[tuple[Any, ...]]:
            found = connection.exec_driver_sql(query.replace("{at}", place))
            return sorted((tuple(row) for row in found), key=repr)

        found = [ask(one) for one in (_SHAPE_PG if self.schemas else _SHAPE_MY)]
        tables = [row[0] for row in ask(_TABLES)]
        for table in tables:
            found.append([(table, *row) for row in ask(f"SELECT * FROM {{at}}.{table}")])
        lines = [repr(row).replace(place, "<here>") for part in found for row in part]
        return "\n".join(line for line in lines if "orchestrator_journal" not in line)


_TABLES = "SELECT table_name FROM information_schema.tables WHERE table_schema = '{at}'"
_SHAPE_PG = (
    "SELECT table_name, column_name, ordinal_position, data_type, character_maximum_length::text,"
    " coalesce(column_default, ''), is_nullable FROM information_schema.columns"
    " WHERE table_schema = '{at}'",
    "SELECT indexdef FROM pg_indexes WHERE schemaname = '{at}'",
    "SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint"
    " WHERE connamespace = to_regnamespace('{at}')",
    "SELECT proname, prosrc FROM pg_proc WHERE pronamespace = to_regnamespace('{at}')",
    "SELECT tgname, pg_get_triggerdef(t.oid) FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid"
    " WHERE relnamespace = to_regnamespace('{at}') AND NOT tgisinternal",
    "SELECT c.relname, d.objsubid, d.description FROM pg_description d JOIN pg_class c"
    " ON c.oid = d.objoid WHERE c.relnamespace = to_regnamespace('{at}')",
)
_SHAPE_MY = (
    "SELECT table_name, column_name, ordinal_position, column_type, coalesce(column_default, ''),"
    " is_nullable, extra, column_comment FROM information_schema.columns"
    " WHERE table_schema = '{at}'",
    "SELECT table_name, index_name, seq_in_index, column_name, non_unique"
    " FROM information_schema.statistics WHERE table_schema = '{at}'",
    "SELECT table_name, constraint_name, constraint_type"
    " FROM information_schema.table_constraints WHERE table_schema = '{at}'",
    "SELECT trigger_name, action_timing, event_manipulation, action_statement"
    " FROM information_schema.triggers WHERE trigger_schema = '{at}'",
)
