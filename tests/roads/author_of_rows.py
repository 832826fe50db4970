"""Rows: inserted in bulk, one by one, and changed, through constructs, texts and the driver.

Enters: an Author.  Leaves: `RowAuthor`; the values are those that careless quoting breaks.
"""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.roads.author import Author, Table
from tests.roads.values import TEXTS, literal


class RowAuthor(Author):
    """Writes what changes data."""

    def rows(self, table: Table, count: int) -> tuple[list[str], list[dict[str, Any]]]:
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
                default = self.defaults.setdefault((table.name, name), default)
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
