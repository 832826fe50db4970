"""What Alembic has no operation for: views, types, functions, triggers, and what runs by itself.

Enters: an Author.  Leaves: `ProgramAuthor`, whose texts hold all that splits a script wrongly.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.roads.author import Author
from tests.roads.values import SHORT, Kind

_IDS = st.integers(1000, 9000)


class ProgramAuthor(Author):
    """Writes SQL by hand."""

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
