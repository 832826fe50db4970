"""What cannot be migrated although every table has a bind.

Enters: `PlacedTable`s.
Leaves: a problem for each table that a bind has twice, and for each foreign key that leaves its
bind or leads nowhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from sqlalchemy import ForeignKey
from sqlalchemy.exc import NoReferencedColumnError, NoReferencedTableError, SQLAlchemyError

from orchestrator.discovery.placing import PlacedTable
from orchestrator.discovery.project import did_you_mean
from orchestrator.errors import Problem


def conflicts(placed: tuple[PlacedTable, ...]) -> list[Problem]:
    """Everything that contradicts itself, in the order of the tables."""
    return [*_duplicates(placed), *_foreign_keys(placed)]


def _duplicates(placed: Iterable[PlacedTable]) -> Iterator[Problem]:
    first: dict[tuple[str, str], PlacedTable] = {}
    for one in placed:
        earlier = first.setdefault((one.bind, one.found.table.key), one)
        if earlier is not one:
            yield Problem(
                f"{one.found} is defined twice in bind {one.bind}: "
                f"{earlier.found} stands in {earlier.found.where}",
                str(one.found.where),
                todo="Keep one definition and import it, give one of the two another name, "
                "or move one to another bind.",
            )


def _foreign_keys(placed: tuple[PlacedTable, ...]) -> Iterator[Problem]:
    places = {id(one.found.table): one for one in placed}
    for one in placed:
        for key in sorted(one.found.table.foreign_keys, key=lambda key: key.parent.key):
            problem = _foreign_key(one, key, places)
            if problem is not None:
                yield problem


def _foreign_key(
    one: PlacedTable, key: ForeignKey, places: dict[int, PlacedTable]
) -> Problem | None:
    column = f"{one.found.table.key}.{key.parent.name}"
    where = str(one.found.where)
    try:
        target = places.get(id(key.column.table))
    except NoReferencedTableError as error:
        return _unresolved(one, column, key, error.table_name, places)
    except NoReferencedColumnError as error:
        what = f"the foreign key {column} refers to {error.table_name}.{error.column_name}"
        todo = "Correct the column's name, or add the column."
        return Problem(f"{what}, a column that is not there", where, todo=todo)
    except SQLAlchemyError as error:
        todo = "Write it as table.column or schema.table.column."
        return Problem(f"the foreign key {column} cannot be read: {error}", where, todo=todo)
    if target is None or target.bind == one.bind:
        return None
    return _across(one, column, key, target)


def _across(one: PlacedTable, column: str, key: ForeignKey, target: PlacedTable) -> Problem:
    referred = f"{target.found.table.key}.{key.target_fullname.rpartition('.')[2]}"
    return Problem(
        f"the foreign key {column} leaves its bind: {one.found} belongs to bind {one.bind} "
        f"({one.rule}), and {referred} in {target.found.where} to bind {target.bind} "
        f"({target.rule})",
        str(one.found.where),
        todo="Put both tables into one bind, or drop the foreign key and keep a plain column.",
    )


def _unresolved(
    one: PlacedTable,
    column: str,
    key: ForeignKey,
    name: str,
    places: dict[int, PlacedTable],
) -> Problem:
    """A string target that its MetaData does not know: in another bind, on another MetaData, or
    misspelt."""
    for target in sorted(places.values(), key=lambda other: other.bind != one.bind):
        if target.found.table.key == name and target.bind != one.bind:
            return _across(one, column, key, target)
        if target.found.table.key == name:
            return Problem(
                f"the foreign key {column} refers to {key.target_fullname}, which another MetaData "
                f"holds ({target.found.where})",
                str(one.found.where),
                todo="Write the column itself, ForeignKey(Model.column), or use one Base for both.",
            )
    known = [place.found.table.key for place in places.values()]
    return Problem(
        f"the foreign key {column} refers to {key.target_fullname}, a table that no app defines",
        str(one.found.where),
        todo=f"Correct its name, or list the app that defines it.{did_you_mean(name, known)}",
    )
