"""Histories at random: hypothesis strategies for the revision files of one bind.

Enters: a family.  Leaves: Revisions whose functions use Alembic's operations in any order that a
database accepts, with data that breaks careless quoting.  A downgrade undoes its upgrade, so every
history leads back to base; what differs between two runs (clocks, random keys) is never used.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hypothesis import strategies as st

from orchestrator.config.flavour import Family
from tests.roads.history import Revision
from tests.roads.values import KINDS, SHORT, TEXTS, Kind, literal

Draw = Callable[[st.SearchStrategy[Any]], Any]

_SHAPES = st.sampled_from(["{}_{}", "{}_{}", "{} {}", "Upper{}{}", "{}%{}", "é{}{}"])


@dataclass
class _Table:
    """A table as it stands after the operations so far. used: columns that something leans on."""

    name: str
    columns: dict[str, Kind] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)


@dataclass
class _Author:
    """Writes one history, one operation after the other."""

    draw: Draw
    family: Family
    tables: list[_Table] = field(default_factory=list)
    up: list[str] = field(default_factory=list)
    down: list[str] = field(default_factory=list)
    _names: int = 0
    # SQLAlchemy keeps a compiled INSERT for the next one of its shape, with the default that the
    # first one had: a column has one default for the whole history, or stock Alembic, which runs
    # all revisions over one engine, would write a stale value.
    _defaults: dict[tuple[str, str], str] = field(default_factory=dict)

    def body(self) -> tuple[str, str]:
        """The functions of the revision that is written now; the next one starts empty."""
        written = "\n".join(self.up) or "pass", "\n".join(reversed(self.down)) or "pass"
        self.up, self.down = [], []
        return written

    def name(self, stem: str) -> str:
        """A name that nothing has yet; some need quotes."""
        self._names += 1
        shape = self.draw(
            st.sampled_from(["{}_{}", "{}_{}", "{} {}", "Upper{}{}", "{}%{}", "é{}{}"])
        )
        return str(shape).format(stem, self._names)

    def does(self, up: str, down: str = "") -> None:
        """Add one operation and what undoes it."""
        self.up.append(up)
        if down:
            self.down.append(down)

    def operate(self) -> None:
        """Add any operation."""
        if not self.tables:
            return self.create_table()
        choices = [
            *(self.create_table, self.add_column, self.drop_column, self.alter_column),
            *(self.rename_column, self.rename_table, self.create_index, self.check, self.unique),
            *(self.bulk_insert, self.bulk_insert, self.insert, self.update, self.raw_update),
            *(self.foreign_key, self.table_comment, self.driver_sql, self.view),
        ]
        if self.family == "postgresql":
            choices += [self.enum, self.script, self.concurrently, self.partial_index]
        else:
            choices += [self.trigger]
        operation: Callable[[], None] = self.draw(st.sampled_from(choices))
        return operation()

    def table(self) -> _Table:
        return self.draw(st.sampled_from(self.tables))  # type: ignore[no-any-return]

    def column(self, table: _Table, *, free: bool = False, indexed: bool = False) -> str | None:
        """One of a table's columns but its key, or None."""
        found = [
            name
            for name, kind in table.columns.items()
            if not (free and name in table.used) and not (indexed and not kind.indexed)
        ]
        return self.draw(st.sampled_from(found)) if found else None

    def new_column(self, *, nullable: bool = False) -> tuple[str, Kind, str]:
        """Name, kind, and the text of a column."""
        kind: Kind = self.draw(st.sampled_from(list(KINDS[self.family].values())))
        name = self.name("c")
        options = ""
        if kind.default and self.draw(st.booleans()):
            options += f", server_default={kind.default}"
            options += ", nullable=False" * (not nullable and self.draw(st.booleans()))
        if self.draw(st.integers(0, 3)) == 0:
            options += f", comment={self.draw(SHORT.filter(bool))!r}"
        return name, kind, f"sa.Column({name!r}, {kind.type}{options})"

    def create_table(self) -> None:
        table = _Table(self.name("t"))
        parts = [
            "sa.Column('id', sa.Integer(), primary_key=True)",
            # For checks: MySQL and MariaDB refuse them on a key that counts by itself.
            "sa.Column('n', sa.Integer(), server_default=sa.text('1'))",
        ]
        for _ in range(self.draw(st.integers(2, 5))):
            name, kind, text = self.new_column()
            table.columns[name] = kind
            parts.append(text)
        if self.tables and self.draw(st.booleans()):
            other = self.table()
            other.used.add("<parent>")
            parts.append("sa.Column('parent', sa.Integer(), index=True)")
            parts.append(f"sa.ForeignKeyConstraint(['parent'], ['{other.name}.id'])")
        if self.draw(st.booleans()):
            parts.append(f"sa.CheckConstraint('n > 0', name={self.name('ck')!r})")
        if self.draw(st.booleans()):
            parts.append(f"comment={self.draw(SHORT.filter(bool))!r}")
        self.tables.append(table)
        self.does(
            f"op.create_table({table.name!r}, {', '.join(parts)})", f"op.drop_table({table.name!r})"
        )

    def add_column(self) -> None:
        table = self.table()
        name, kind, text = self.new_column()
        table.columns[name] = kind
        self.does(
            f"op.add_column({table.name!r}, {text})", f"op.drop_column({table.name!r}, {name!r})"
        )

    def drop_column(self) -> None:
        table = self.table()
        name = self.column(table, free=True)
        if name is not None:
            kind = table.columns.pop(name)
            self.does(
                f"op.drop_column({table.name!r}, {name!r})",
                f"op.add_column({table.name!r}, sa.Column({name!r}, {kind.type}))",
            )

    def alter_column(self) -> None:
        table = self.table()
        name = self.column(table, free=True)
        if name is None:
            return
        kind = table.columns[name]
        existing = f"op.alter_column({table.name!r}, {name!r}, existing_type={kind.type}"
        comment = self.draw(SHORT.filter(bool))
        choices = [f", comment={comment!r})", f", comment={comment!r}, existing_nullable=True)"]
        if kind.default:
            choices.append(f", server_default={kind.default})")
        if kind.type == "sa.String(200)":
            choices.append(", type_=sa.String(250))")
        self.does(existing + self.draw(st.sampled_from(choices)))

    def rename_column(self) -> None:
        table = self.table()
        old = self.column(table, free=True)
        if old is None:
            return
        new = self.name("c")
        kind = table.columns[new] = table.columns.pop(old)
        for verb, one, other in ((self.up, old, new), (self.down, new, old)):
            verb.append(
                f"op.alter_column({table.name!r}, {one!r}, new_column_name={other!r},"
                f" existing_type={kind.type})"
            )

    def rename_table(self) -> None:
        table = self.table()
        if "<view>" in table.used:
            return
        old, table.name = table.name, self.name("t")
        self.does(
            f"op.rename_table({old!r}, {table.name!r})", f"op.rename_table({table.name!r}, {old!r})"
        )

    def create_index(self) -> None:
        table = self.table()
        column = self.column(table, indexed=True)
        if column is None:
            return
        table.used.add(column)
        name = self.name("ix")
        unique = self.draw(st.booleans())
        columns = [column, "id"] if unique else [column]
        options = ""
        if self.family == "mysql" and table.columns[column].type.startswith("sa.String"):
            options = f", mysql_length={ {column: 20}!r}"
        self.does(
            f"op.create_index({name!r}, {table.name!r}, {columns!r}, unique={unique}{options})",
            f"op.drop_index({name!r}, {table.name!r})",
        )

    def partial_index(self) -> None:
        table = self.table()
        name = self.name("ix")
        texts = [c for c, kind in table.columns.items() if kind.values is TEXTS]
        if texts and self.draw(st.booleans()):
            column = self.draw(st.sampled_from(texts))
            table.used.add(column)
            what = f"[sa.func.lower(sa.column({column!r}))]"
        else:
            what = "['id'], postgresql_where=sa.text(\"id % 2 = 0 AND 'a:b' <> 'c'\")"
        self.does(
            f"op.create_index({name!r}, {table.name!r}, {what})",
            f"op.drop_index({name!r}, {table.name!r})",
        )

    def unique(self) -> None:
        table = self.table()
        name = self.name("uq")
        self.does(
            f"op.create_unique_constraint({name!r}, {table.name!r}, ['id'])",
            f"op.drop_constraint({name!r}, {table.name!r}, type_='unique')",
        )

    def check(self) -> None:
        table = self.table()
        name = self.name("ck")
        condition = self.draw(
            st.sampled_from(["n > -1", "n % 100000 >= 0", "n <> 0 OR 'a;b' <> '%'"])
        )
        self.does(
            f"op.create_check_constraint({name!r}, {table.name!r}, sa.text({condition!r}))",
            f"op.drop_constraint({name!r}, {table.name!r}, type_='check')",
        )

    def foreign_key(self) -> None:
        table, other = self.table(), self.table()
        if table is other:
            return
        column, name = self.name("c"), self.name("fk")
        table.columns[column] = Kind("sa.Integer()", st.none())
        table.used.add(column)
        action = self.draw(st.sampled_from(["CASCADE", "SET NULL"]))
        self.does(
            f"op.add_column({table.name!r}, sa.Column({column!r}, sa.Integer()))\n"
            f"op.create_foreign_key({name!r}, {table.name!r}, {other.name!r}, [{column!r}],"
            f" ['id'], ondelete={action!r})",
            f"op.drop_constraint({name!r}, {table.name!r}, type_='foreignkey')\n"
            f"op.drop_column({table.name!r}, {column!r})",
        )

    def table_comment(self) -> None:
        table = self.table()
        text = self.draw(SHORT.filter(bool))
        self.does(f"op.create_table_comment({table.name!r}, {text!r})")

    def rows(self, table: _Table, count: int) -> tuple[list[str], list[dict[str, Any]]]:
        """Some columns of a table, and rows of values for them."""
        columns = [name for name in table.columns if self.draw(st.booleans())]
        return columns, [
            {name: self.draw(table.columns[name].values) for name in columns} for _ in range(count)
        ]

    def bulk_insert(self) -> None:
        table = self.table()
        columns, rows = self.rows(table, self.draw(st.integers(1, 4)))
        if not columns:
            return
        shown = [f"sa.column({name!r}, {table.columns[name].type})" for name in columns]
        # A default of Python's for a column that the rows do not name.
        left = [name for name in table.columns if name not in columns]
        if left:
            name = left[0]
            value = self.draw(table.columns[name].values)
            default = f"lambda: {value!r}" if self.draw(st.booleans()) else f"{value!r}"
            if value is not None and not isinstance(value, (dict, list)):
                default = self._defaults.setdefault((table.name, name), default)
                shown.append(f"sa.Column({name!r}, {table.columns[name].type}, default={default})")
        options = ", multiinsert=False" if self.draw(st.integers(0, 3)) == 0 else ""
        self.does(
            f"op.bulk_insert(sa.table({table.name!r}, {', '.join(shown)}), {rows!r}{options})",
            f"op.execute({f'DELETE FROM {self.quoted(table.name)} WHERE id > 2'!r})",
        )

    def insert(self) -> None:
        table = self.table()
        columns, rows = self.rows(table, self.draw(st.integers(1, 2)))
        shown = ", ".join(f"sa.column({name!r}, {table.columns[name].type})" for name in columns)
        if not columns:
            return
        target = f"sa.table({table.name!r}, {shown})"
        ways = [f"op.execute({target}.insert().values({rows[0]!r}))"]
        ways.append(f"op.get_bind().execute({target}.insert(), {rows!r})")
        self.does(self.draw(st.sampled_from(ways)))

    def update(self) -> None:
        table = self.table()
        column = self.column(table)
        if column is None:
            return
        kind = table.columns[column]
        value = self.draw(kind.values)
        self.does(
            f"t = sa.table({table.name!r}, sa.column('id', sa.Integer()),"
            f" sa.column({column!r}, {kind.type}))\n"
            f"op.execute(t.update().where(t.c.id % 2 == 1).values({{{column!r}: {value!r}}}))"
        )

    def raw_update(self) -> None:
        """A text with a literal in it, or with bound parameters."""
        table = self.table()
        texts = [c for c, kind in table.columns.items() if kind.values is TEXTS]
        if not texts:
            return
        column = self.draw(st.sampled_from(texts))
        start = f"UPDATE {self.quoted(table.name)} SET {self.quoted(column)} ="
        value = self.draw(TEXTS)
        if self.draw(st.booleans()):
            bound = f"sa.text({start + ' :value'!r}).bindparams(value={value!r})"
            self.does(f"op.execute({bound})")
        else:
            # A colon would be a parameter of text(): it is tried with bound values.
            self.does(
                f"op.execute({start + ' ' + literal(self.family, value.replace(':', '.'))!r})"
            )

    def driver_sql(self) -> None:
        table = self.table()
        texts = [c for c, kind in table.columns.items() if kind.values is TEXTS]
        if not texts:
            return
        column = self.quoted(self.draw(st.sampled_from(texts))).replace("%", "%%")
        name = self.quoted(table.name).replace("%", "%%")
        statement = f"UPDATE {name} SET {column} = %s WHERE id %% 3 = %s"
        value = self.draw(TEXTS)
        self.does(f"op.get_bind().exec_driver_sql({statement!r}, ({value!r}, 1))")

    def view(self) -> None:
        table = self.table()
        table.used.add("<view>")
        table.used.update(table.columns)
        name = self.name("v")
        select = f"SELECT id, '100%' AS x FROM {self.quoted(table.name)} WHERE id % 5 <> 4"
        self.does(
            f"op.execute({f'CREATE VIEW {self.quoted(name)} AS {select}'!r})",
            f"op.execute({f'DROP VIEW {self.quoted(name)}'!r})",
        )

    def enum(self) -> None:
        table = self.table()
        column, name = self.name("c"), self.name("e")
        values = self.draw(st.lists(SHORT.filter(bool), min_size=1, max_size=3, unique=True))
        values = [value[:12] for value in values]
        if len(set(values)) < len(values):
            return
        enum = f"postgresql.ENUM(*{values!r}, name={name!r}, create_type=False)"
        table.columns[column] = Kind(enum, st.sampled_from(values), indexed=False)
        more = self.draw(st.booleans())
        add = f"ALTER TYPE {self.quoted(name)} ADD VALUE 'one more'"
        self.does(
            f"{enum}.create(op.get_bind(), checkfirst=False)\n"
            f"op.add_column({table.name!r}, sa.Column({column!r}, {enum}))"
            + (f"\nwith op.get_context().autocommit_block():\n    op.execute({add!r})" * more),
            f"op.drop_column({table.name!r}, {column!r})\n"
            f"op.execute({f'DROP TYPE {self.quoted(name)}'!r})",
        )

    def script(self) -> None:
        """Several statements in one text, with a dollar-quoted body."""
        table = self.table()
        function = self.quoted(self.name("f"))
        text = (
            f"CREATE FUNCTION {function}(a int) RETURNS int LANGUAGE plpgsql AS $body$\n"
            'BEGIN\n  -- it\'s 100%; "really"\n  RETURN a + 1;\nEND $body$;\n'
            f"INSERT INTO {self.quoted(table.name)} (id) VALUES ({self.draw(_IDS)})"
            " ON CONFLICT DO NOTHING; -- the end; 'of it'"
        )
        self.does(f"op.execute({text!r})", f"op.execute({f'DROP FUNCTION {function}; SELECT 1'!r})")

    def concurrently(self) -> None:
        table = self.table()
        name = self.name("ix")
        self.does(
            "with op.get_context().autocommit_block():\n"
            f"    op.create_index({name!r}, {table.name!r}, ['id'], postgresql_concurrently=True)",
            f"op.drop_index({name!r}, {table.name!r})",
        )

    def trigger(self) -> None:
        table = self.table()
        name = self.quoted(self.name("tr"))
        text = (
            f"CREATE TRIGGER {name} BEFORE INSERT ON {self.quoted(table.name)} FOR EACH ROW\n"
            "BEGIN\n  -- it's a comment; really\n  SET @one = 'it''s 5%; yes'; # here\n"
            '  /* and "here */ SET @two = 1;\nEND'
        )
        table.used.add("<view>")
        self.does(f"op.execute({text!r})", f"op.execute({f'DROP TRIGGER {name}'!r})")

    def quoted(self, name: str) -> str:
        """A name as an identifier in a text."""
        return f'"{name}"' if self.family == "postgresql" else f"`{name}`"


_IDS = st.integers(1000, 9000)


@st.composite
def histories(draw: Draw, family: Family) -> list[Revision]:
    """A history: a line of revisions, with branches that merge or stay, and depends_on."""
    author = _Author(draw, family)
    prefix = "p" if family == "postgresql" else "m"
    found: list[Revision] = []
    head: str | None = None

    def revision(down: Any, operations: int, **more: Any) -> str:
        for _ in range(operations):
            author.operate()
        up, undo = author.body()
        found.append(Revision(f"{prefix}{len(found):03}", down, up, undo, **more))
        return found[-1].id

    for _ in range(draw(st.integers(2, 4))):
        head = revision(head, draw(st.integers(1, 6)))
    if draw(st.booleans()):
        # Two branches may run in either order, back as well: each has a table of its own.
        left, right = (_alone(author, revision, head) for _ in range(2))
        head = revision((left, right), draw(st.integers(0, 3)))
    if draw(st.booleans()):
        _alone(author, revision, None, depends_on=head, branch_labels=f"{prefix}_label")
    return found


def _alone(author: _Author, revision: Callable[..., str], down: str | None, **more: Any) -> str:
    """A revision that touches nothing but a table that it makes."""
    others, author.tables = author.tables, []
    for operation in (author.create_table, author.bulk_insert, author.add_column):
        operation()
    made = revision(down, 0, **more)
    author.tables = others
    return made
