"""PostgreSQL's schemas, read in bulk: many in a statement.

Enters: a connection, and places.  Leaves: a Told for each, and what `whole_of` makes of its text
(`checks.postgresql_items`).  It is a `checks.places.Reader`.

Every batch is one transaction with one snapshot.  The functions that print definitions look at what
is committed instead (PostgreSQL manual, "System Information Functions and Operators"); what is
dropped under them fails the batch, and the caller asks again.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from sqlalchemy import text
from sqlalchemy.engine import Connection

from orchestrator.checks.places import Place, Told
from orchestrator.checks.postgresql_items import whole_of
from orchestrator.checks.postgresql_queries import CONTENTS, PRESENT, Section
from orchestrator.checks.postgresql_sections import sections
from orchestrator.fleet.engines import flavour_of

__all__ = ["BATCH", "ISOLATION", "PER_CONNECTION", "prepare", "read_batch", "whole_of"]

ISOLATION: Literal["AUTOCOMMIT", "REPEATABLE READ"] = "REPEATABLE READ"

BATCH = 500

PER_CONNECTION = 5000
"""Relations. A backend keeps what it has looked up of each for as long as it lives: some 10 kB."""

_LOCK_SECONDS = 1
"""How long a batch waits for a relation that somebody holds exclusively."""

# Every list of objects is looked up by indexes that are there; the statistics of a catalogue that
# has just grown would have the planner read all of it instead.
_BY_INDEX = (
    "SELECT set_config(name, 'off', true) FROM unnest(CAST(:names AS text[])) AS s (name)",
    {"names": ["enable_seqscan", "enable_hashjoin", "enable_mergejoin"]},
)


@dataclass(slots=True)
class _Space:
    """One schema of a place, and what has been read of it. prefix: what its items' names begin
    with. optional: a further schema of a place, which may be missing."""

    place: int
    name: str
    prefix: str = ""
    optional: bool = False
    there: bool = False
    operators: bool = False
    problem: str = ""
    parts: dict[str, str] = field(default_factory=dict)
    lists: dict[str, str] = field(default_factory=dict)

    @property
    def weight(self) -> int:
        """How many relations it has."""
        return self.lists.get("relations", "").count(",") + 1

    @property
    def path(self) -> str:
        """A search_path in which all of the schema's own objects come first.

        Not where it has operators: pg_get_viewdef and pg_get_ruledef run queries (ruleutils.c)
        whose `=` would be looked up among them.
        """
        own = _quoted(self.name)
        return f"{own}, pg_temp" if self.operators else f"{own}, pg_catalog, pg_temp"


def prepare(connection: Connection) -> None:
    """Nothing: all settings end with each batch's transaction. A pooler may lend the session."""


def read_batch(connection: Connection, places: Sequence[Place]) -> Iterator[Told]:
    """What stands in each place. Raises DBAPIError for what cannot be pinned on one."""
    connection.execute(
        text("SELECT set_config('jit', 'off', true), set_config('lock_timeout', :wait, true)"),
        {"wait": f"{_LOCK_SECONDS}s"},
    )
    home = _home(connection) if any(place.container is None for place in places) else None
    spaces = [space for place in places for space in _spaces(place, home)]
    _leave(connection)
    _read_contents(connection, spaces)
    found: dict[int, list[_Space]] = {place.index: [] for place in places}
    for space in spaces:
        found[space.place].append(space)
    taken = list(_as_many_as_fit(places, found))
    usable = [
        space
        for place in taken
        for space in found[place.index]
        if space.there and not space.problem
    ]
    if usable:
        _read_sections(connection, usable)
    for place in taken:
        yield _told(place, found[place.index], home or "")


def _as_many_as_fit(
    places: Sequence[Place], found: Mapping[int, Sequence[_Space]]
) -> Iterator[Place]:
    """The first places, up to as many relations as a connection should see."""
    weight = 0
    for number, place in enumerate(places):
        weight += sum(space.weight for space in found[place.index])
        if weight > PER_CONNECTION and number:
            return
        yield place


def _home(connection: Connection) -> str | None:
    name: str | None = connection.execute(text("SELECT current_schema()")).scalar()
    return name


def _spaces(place: Place, home: str | None) -> Iterator[_Space]:
    first = home if place.container is None else place.container
    if first is not None:
        yield _Space(place.index, first)
    for name in dict.fromkeys(place.also):
        if name != first:
            yield _Space(place.index, name, prefix=name, optional=True)


def _read_contents(connection: Connection, spaces: Sequence[_Space]) -> None:
    rows = connection.execute(text(CONTENTS), {"names": [space.name for space in spaces]})
    for row in rows.mappings():
        space = spaces[row["place"] - 1]
        space.there = True
        space.operators = row["operators"]
        if not row["usable"]:
            space.problem = f"no USAGE on schema {space.name}"
        if row["told"]:
            space.parts["relations"] = row["told"]
        for name in ("relations", "views", "sequences", "composites", "types", "functions"):
            if row[name]:
                space.lists[name] = row[name]


def _read_sections(connection: Connection, spaces: Sequence[_Space]) -> None:
    wanted = ", ".join(f"EXISTS ({query})" for query in PRESENT.values())
    there = connection.execute(text(f"SELECT {wanted}")).one()
    present = {name for name, is_there in zip(PRESENT, there, strict=True) if is_there}
    connection.execute(text(_BY_INDEX[0]), _BY_INDEX[1])
    version = flavour_of(connection).version
    for section in sections(version[0] if version else 0, present):
        _read_section(connection, section, spaces)


def _read_section(connection: Connection, section: Section, spaces: Sequence[_Space]) -> None:
    asked = [space for space in spaces if section.over in space.lists]
    if not asked:
        return
    rows = connection.execute(
        text(section.statement),
        {
            "places": "{" + ",".join(str(number) for number in range(len(asked))) + "}",
            "paths": [space.path for space in asked],
            "oids": [space.lists[section.over] for space in asked],
        },
    ).all()
    _leave(connection)
    for number, here, told in rows:
        space = asked[number]
        if here != space.name:
            space.problem = f"the schema {space.name} cannot be put into a search_path"
        elif told:
            space.parts[section.name] = _without_name(section.name, told, space.name)


def _leave(connection: Connection) -> None:
    """Have names in the next statement mean the server's own, not what a schema calls `text` or
    `unnest`, which would run with the rights of whoever asks."""
    connection.execute(text("SELECT pg_catalog.set_config('search_path', 'pg_catalog', true)"))


def _told(place: Place, spaces: Sequence[_Space], home: str) -> Told:
    problems = [space.problem for space in spaces if space.problem]
    if not spaces or not (spaces[0].there or spaces[0].optional):
        problems.append(f"no schema {spaces[0].name if spaces else 'to work in'}")
    if problems:
        return Told(place.index, problem=problems[0])
    parts = ", ".join(
        f"[{json.dumps(space.prefix)}, {{"
        + ", ".join(f'"{name}": {told}' for name, told in sorted(space.parts.items()))
        + "}]"
        for space in spaces
    )
    name = json.dumps(home if place.container is None else "")
    weight = sum(space.weight for space in spaces)
    return Told(place.index, f'{{"home": {name}, "schemas": [{parts}]}}', weight=weight)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


_MAY_NAME = {"views": "WITH ", "rules": "WITH ", "functions": "search_path="}
"""Sections in whose definitions the schema's own name may be left, and the word that tells."""

# What a definition is made of, as far as its names go: a string, or a name after a schema's.
_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_NAME = r'(?:"(?:[^"]|"")+"|[\w$]+)'
_CTE = re.compile(
    rf"(?:WITH|RECURSIVE|,)\s+({_NAME})(?:\([^()]*\))? AS (?:NOT )?(?:MATERIALIZED )?\("
)


def _without_name(section: str, told: str, schema: str) -> str:
    """The same rows, where the schema's own name is left in two places.

    A relation that has the name of a common table expression around it is printed with its schema
    (get_rtable_name's caller generate_relation_name in ruleutils.c), and a function may have been
    made with SET search_path to its own.
    """
    if _MAY_NAME.get(section, "\n") not in told:
        return told
    rows: list[list[str | None]] = json.loads(told)
    if section == "functions":
        changed = [[*row[:9], _own_path(row[9], schema), *row[10:]] for row in rows]
    else:
        number = 1 if section == "views" else 2
        changed = [
            [*row[:number], _unqualified(row[number] or "", schema), *row[number + 1 :]]
            for row in rows
        ]
    return json.dumps(changed, ensure_ascii=False)


def _unqualified(definition: str, schema: str) -> str:
    forms = [_quoted(schema), *([schema] if _PLAIN.fullmatch(schema) else [])]
    names = {match[1] for match in _CTE.finditer(definition)}
    if not names:
        return definition
    either = "|".join(re.escape(form) for form in forms)
    named = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
    pattern = rf"""('(?:[^']|'')*')|(?<![\w"$.])(?:{either})\.({named})(?![\w"$.(])"""
    return re.sub(pattern, lambda match: match[1] or match[2], definition)


def _own_path(settings: str | None, schema: str) -> str | None:
    if settings is None:
        return None
    forms = {_quoted(schema), schema}
    changed = []
    for setting in json.loads(settings):
        name, _, value = setting.partition("=")
        if name == "search_path":
            path = ["<own schema>" if one in forms else one for one in value.split(", ")]
            setting = f"{name}={', '.join(path)}"
        changed.append(setting)
    return json.dumps(changed)
