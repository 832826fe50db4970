"""What tells whether a PostgreSQL statement ran that cannot be in a transaction.

Enters: what a statement names, and what the catalogue said of it before and says now.
Leaves: the query that asks the catalogue, and what follows from its answers.  No I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from orchestrator.config.flavour import Family
from orchestrator.safety.alone import Alone
from orchestrator.safety.journal import text_literal

INVALID, BUILDING, PENDING = "invalid", "building", "pending"
"""Instead of a digest: an index that a build left behind, one that some session builds now, and a
partition whose DETACH CONCURRENTLY has not ended."""

_POSTGRESQL: Family = "postgresql"


@dataclass(frozen=True, slots=True)
class Finding:
    """What follows from the evidence.

    ran: whether the statement did all that it is for; None when nothing tells. busy: nothing can be
    told yet, because another session builds that index now. first: statements that clear away what
    it left behind, or end what it began; they come before it is run again, or taken for done. why:
    what was found, for people.
    """

    ran: bool | None
    first: tuple[str, ...] = ()
    why: str = ""
    busy: bool = False


def question(alone: Alone) -> str:
    """The query whose rows (object, digest of its definition) say what there is now."""
    match alone.sort:
        case "create index":
            return _indexes_on(alone)
        case "drop index":
            return (
                f"SELECT 'index ' || c.oid::regclass::text, {_DIGEST}"
                " FROM pg_catalog.pg_class c JOIN pg_catalog.pg_index i ON i.indexrelid = c.oid"
                f" WHERE c.oid = to_regclass({_text(alone.name)})"
            )
        case "reindex":
            return _leftovers(alone)
        case "detach":
            return (
                "SELECT 'partition ' || inhrelid::regclass::text,"
                f" CASE WHEN inhdetachpending THEN '{PENDING}' ELSE 'attached' END"
                f" FROM pg_catalog.pg_inherits WHERE inhparent = to_regclass({_text(alone.on)})"
                f" AND inhrelid = to_regclass({_text(alone.name)})"
            )
        case "exists":
            column = {"pg_database": "datname", "pg_tablespace": "spcname"}.get(alone.on, "subname")
            return (
                f"SELECT '{alone.on} ' || {column}::text, oid::text FROM pg_catalog.{alone.on}"
                f" WHERE {column} = (parse_ident({_text(alone.name)}))[1]::name"
            )
        case _:
            return "SELECT ''::text, ''::text WHERE false"


def answers(alone: Alone) -> str:
    """The question as one SQL expression, which gives the JSON that a journal row keeps."""
    return (
        "(SELECT coalesce(pg_catalog.json_object_agg(e.o, e.d)::text, '{}')"
        f" FROM ({question(alone)}) AS e (o, d))"
    )


def judge(alone: Alone, before: Mapping[str, str], now: Mapping[str, str]) -> Finding:
    """What became of a statement. before: what the question said before it; the same as now for one
    that was not begun: then leftovers of others are told, and it did not run."""
    match alone.sort:
        case "create index":
            return _created(alone, before, now)
        case "drop index":
            return Finding(bool(before) and not now)
        case "reindex":
            return _reindexed(before, now)
        case "detach":
            return _detached(alone, before, now)
        case "exists":
            return Finding(before != now)
        case "repeat":
            return Finding(False)
        case _:
            return Finding(None, why="nothing in the database tells whether it ran")


def _created(alone: Alone, before: Mapping[str, str], now: Mapping[str, str]) -> Finding:
    # Where the server chose the name, the indexes that were there before are not the statement's.
    mine = now if alone.name else {key: now[key] for key in now if key not in before}
    if BUILDING in mine.values():
        return Finding(None, busy=True, why="another session builds that index now")
    left = [key for key, digest in mine.items() if digest == INVALID]
    if left:
        return Finding(False, tuple(map(_drop, left)), f"{', '.join(left)} is invalid: dropped")
    new = [key for key, digest in mine.items() if before.get(key) != digest]
    if len(new) > 1:
        return Finding(None, why=f"it made one of {', '.join(new)}, and nothing tells which")
    return Finding(bool(new))


def _reindexed(before: Mapping[str, str], now: Mapping[str, str]) -> Finding:
    if BUILDING in now.values():
        return Finding(None, busy=True, why="another session rebuilds that index now")
    left = [key for key in now if key not in before]
    why = f"{', '.join(left)} is left of it: dropped" if left else ""
    return Finding(False, tuple(map(_drop, left)), why)


def _detached(alone: Alone, before: Mapping[str, str], now: Mapping[str, str]) -> Finding:
    if PENDING in now.values():
        end = f"ALTER TABLE {alone.on} DETACH PARTITION {alone.name} FINALIZE"
        return Finding(True, (end,), f"{alone.name} is detached by half: finalized")
    return Finding(bool(before) and not now)


def _drop(key: str) -> str:
    return f"DROP INDEX CONCURRENTLY IF EXISTS {key.removeprefix('index ')}"


# PostgreSQL 18 manual, 27.4.4: index_relid is that of the index that is built, of a concurrent
# build alone. Of sessions of other users it tells nothing without pg_read_all_stats.
_DIGEST = (
    "CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_stat_progress_create_index p"
    " WHERE p.index_relid = i.indexrelid AND p.pid <> pg_catalog.pg_backend_pid())"
    f" THEN '{BUILDING}' WHEN NOT i.indisvalid THEN '{INVALID}'"
    " ELSE encode(sha256(convert_to(pg_catalog.pg_get_indexdef(i.indexrelid), 'UTF8')), 'hex') END"
)
_INDEX = (
    "SELECT 'index ' || quote_ident(n.nspname) || '.' || quote_ident(c.relname),"
    f" {_DIGEST} FROM pg_catalog.pg_index i"
    " JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid"
    " JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace"
)


def _indexes_on(alone: Alone) -> str:
    """An index by its name, or all of a table. That of a partitioned table is invalid until all of
    its partitions have one, and is no leftover."""
    found = f"{_INDEX} WHERE c.relkind = 'i' AND i.indrelid = to_regclass({_text(alone.on)})"
    if alone.name:
        found += f" AND c.relname = (parse_ident({_text(alone.name)}))[1]::name"
    return found


def _leftovers(alone: Alone) -> str:
    """What REINDEX CONCURRENTLY leaves when it does not end (PostgreSQL 18 manual, "REINDEX"):
    invalid indexes with these endings, on the tables that it means and their TOAST tables."""
    name = f"to_regclass({_text(alone.name)})"
    where = {
        "TABLE": f"IN (SELECT {name}::oid)",
        "INDEX": f"IN (SELECT indrelid FROM pg_catalog.pg_index WHERE indexrelid = {name})",
        "SCHEMA": "IN (SELECT oid FROM pg_catalog.pg_class"
        f" WHERE relnamespace = to_regnamespace({_text(alone.name)}))",
    }.get(alone.on, "IS NOT NULL")
    return (
        f"{_INDEX} WHERE NOT i.indisvalid AND c.relname ~ '_cc(new|old)[0-9]*$'"
        f" AND (i.indrelid {where} OR i.indrelid IN"
        f" (SELECT reltoastrelid FROM pg_catalog.pg_class WHERE oid {where}))"
    )


def _text(value: str) -> str:
    return text_literal(_POSTGRESQL, value)
