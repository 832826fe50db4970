"""What the readers of a family's catalogue get and give: the seam below `checks.fingerprint`.

Enters: nothing.  Leaves: Place, Told and Whole, and Reader, which `checks.shapes_postgresql` and
`checks.shapes_mysql` are.  No I/O.

A reader gives everything that stands in a place; `checks.scope` alone decides what counts.  Most
places of a fleet hold the same, so a reader tells each as one text, and `whole_of` takes only the
texts apart that differ.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlalchemy.engine import Connection

from orchestrator.checks.types import Item


@dataclass(frozen=True, slots=True)
class Place:
    """Where a target's tables are.

    index: the target's. container: the schema (PostgreSQL; None for the session's default schema)
    or the database (MySQL). also: further schemas that belong to it (PostgreSQL without a schema of
    its own).
    """

    index: int
    container: str | None
    also: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Told:
    """What a server tells of one place.

    raw: a text that `whole_of` of the same reader understands; equal texts have equal items, and
    it holds neither the place's name nor numbers that differ from place to place (object ids), so
    that equal places have equal texts wherever that is cheap. problem: why there is none. weight:
    how much of the backend's caches it took, in units of `Reader.PER_CONNECTION`.
    """

    index: int
    raw: str = ""
    problem: str = ""
    weight: int = 1


@dataclass(frozen=True, slots=True)
class Whole:
    """Everything that stands in a place, hidden and ignored things included, in any order.

    A table has the fact COLUMN_ORDER (see `column_order`). home: the name of the session's default
    schema, for a place without a container on PostgreSQL, so that `public.x` finds x; "" elsewhere.
    Names of `Place.also` schemas' items begin with the schema and a dot.
    """

    items: tuple[Item, ...]
    home: str = ""


COLUMN_ORDER = "column order"
"""The fact of a table that names its columns in order: a JSON list of names."""

PARENT = "partition of"
"""The fact of a table that is a partition and an object of its own: the table that it is part of,
quoted where SQL needs it."""


class Torn(Exception):
    """Something was dropped while it was read: the text tells what never was."""


class Reader(Protocol):
    """A module that reads one family's catalogue."""

    @property
    def ISOLATION(self) -> Literal["AUTOCOMMIT", "REPEATABLE READ"]:
        """How its connections stand; the caller ends the transaction after each batch."""

    BATCH: int
    """How many places in one call of `read_batch`, at most."""

    PER_CONNECTION: int
    """When what was told weighs so much the caller takes a new connection, so that the caches of a
    server's backend stay small; 0: never."""

    def prepare(self, connection: Connection) -> None:
        """Set a fresh connection up for reading: time limits for locks, and the like."""

    def read_batch(self, connection: Connection, places: Sequence[Place]) -> Iterator[Told]:
        """One Told for each place, in any order, in a few statements for all of them together.

        It may stop short of the last ones, but not of the first: the caller asks for them again.

        A place that is missing or denied is a Told with a problem. Raises DBAPIError for what it
        cannot pin on one place: the caller halves the batch until the culprit is alone, and takes
        the server's words as that one's problem.
        """

    def whole_of(self, raw: str) -> Whole:
        """The items in a text of `read_batch`. No I/O. Raises Torn: the place is asked again."""
