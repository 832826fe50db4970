"""Operations on tables: their columns, keys, indexes, checks, names and comments.

Enters: an Author.  Leaves: `TableAuthor`: each operation with what undoes it.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.roads.author import Author, Table
from tests.roads.values import SHORT, TEXTS, Kind


class TableAuthor(Author):
    """Writes what Alembic has operations for."""

    def create_table(self) -> None:
        table = Table(self.name("t"))
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
