"""Tables that a statement of MySQL or MariaDB needs for a moment beside the one that it changes.

Enters: a statement's text.  Leaves: names of tables.  No I/O.

MySQL 9.7 manual, 10.11.4 "Metadata Locking": a statement that changes a table in a foreign key
takes the other one too; a trigger belongs to its table. Both were tried with an open transaction
that had read the table: on MySQL both wait, on MariaDB 10.11 the trigger does, and a foreign key
of ALTER TABLE where the other table was written.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from orchestrator.safety.definitions_words import Cursor, Word, words


def beside(text: str) -> tuple[str, ...]:
    """The table of a trigger that is made, and tables that new foreign keys refer to."""
    found = list(words(text))
    first = Cursor(found).take_any("CREATE", "ALTER")
    if first == "CREATE" and _makes_trigger(found):
        return tuple(_names_behind("ON", found))[:1]
    return tuple(dict.fromkeys(_names_behind("REFERENCES", found))) if first else ()


def _makes_trigger(found: Sequence[Word]) -> bool:
    """CREATE [OR REPLACE] [DEFINER = user] TRIGGER."""
    for word in found[1:]:
        if word.is_word("TRIGGER"):
            return True
        if word.is_word("TABLE", "VIEW", "PROCEDURE", "FUNCTION", "EVENT", "(", "AS", "BEGIN"):
            return False
    return False


def _names_behind(keyword: str, found: Sequence[Word]) -> Iterator[str]:
    for number, word in enumerate(found):
        if word.is_word(keyword):
            name = Cursor(found[number + 1 :]).name()
            if name is not None:
                yield name[1]
