"""Reads the catalogue of MySQL (8.0 to 9.7) and MariaDB (10.6 to 11): a Reader (see `places`).

Enters: a connection to a server, and Places.  Leaves: a Told for each, and a Whole of it.

Only columns of information_schema are read that hold no statistics: on MySQL, these come from the
data dictionary alone, however old cached statistics are (MySQL 8.4 manual, 28.3 "INFORMATION_SCHEMA
Tables").  MariaDB opens each table's definition, and looks a database up by its name alone where it
is compared with `=` (sql/sql_show.cc, get_lookup_field_values): so each database is asked for by
itself there, many of them in one statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import text
from sqlalchemy.engine import Connection
from sqlalchemy.exc import OperationalError

from orchestrator.checks.mysql_items import whole_of
from orchestrator.checks.places import Place, Told

__all__ = ["BATCH", "ISOLATION", "PER_CONNECTION", "prepare", "read_batch", "whole_of"]

ISOLATION: Literal["AUTOCOMMIT"] = "AUTOCOMMIT"
BATCH = 100
PER_CONNECTION = 0

_LOCK_SECONDS = 1
"""How long MariaDB waits for a table whose definition is being changed."""

_LOCKED = 1205  # MariaDB error codes: ER_LOCK_WAIT_TIMEOUT; information_schema makes it a warning.

_CHECKS_SINCE = (8, 0, 16)  # MySQL 8.0 manual, 13.1.20.6 "CHECK Constraints".

Row = list[Any]


@dataclass(frozen=True, slots=True)
class _Query:
    """A query of one catalogue. schema: the column that the database's name is compared with.
    scans: MariaDB reads it whole whatever is asked, so that one question for all is cheapest."""

    name: str
    columns: str
    source: str
    schema: str
    also: str = ""
    scans: bool = False


_COLUMNS = (
    "table_name, ordinal_position, column_name, column_type, is_nullable, {}, "
    "collation_name, extra, generation_expression, column_comment"
)
# MySQL tells literals without their quotes; MariaDB tells SQL, NULL included.
_MYSQL_DEFAULT = (
    "IF(column_default IS NULL OR LOCATE('DEFAULT_GENERATED', extra) > 0 OR data_type IN ("
    "'tinyint', 'smallint', 'mediumint', 'int', 'bigint', 'decimal', 'float', 'double', 'bit', "
    "'year', 'binary', 'varbinary'), column_default, QUOTE(column_default))"
)
_MARIADB_DEFAULT = "NULLIF(column_default, 'NULL')"
_INDEXES = (
    "table_name, index_name, seq_in_index, non_unique, column_name, collation, sub_part, "
    "index_type, index_comment"
)
_TABLES = _Query(
    "tables",
    "table_name, table_type, engine, table_collation, create_options, table_comment",
    "tables",
    "table_schema",
)
_BOTH = (
    _Query(
        "references",
        "table_name, constraint_name, ordinal_position, column_name, referenced_table_schema, "
        "referenced_table_name, referenced_column_name",
        "key_column_usage",
        "table_schema",
        "referenced_table_name IS NOT NULL",
    ),
    _Query(
        "actions",
        "table_name, constraint_name, update_rule, delete_rule",
        "referential_constraints",
        "constraint_schema",
    ),
    _Query(
        "triggers",
        "event_object_table, trigger_name, action_timing, event_manipulation, action_order, "
        "action_statement",
        "triggers",
        "event_object_schema",
    ),
    _Query(
        "routines",
        "routine_type, routine_name, dtd_identifier, routine_definition, is_deterministic, "
        "sql_data_access, security_type, routine_comment",
        "routines",
        "routine_schema",
        scans=True,
    ),
    _Query(
        "events",
        "event_name, event_type, interval_value, interval_field, status, on_completion, "
        "event_comment, event_definition",
        "events",
        "event_schema",
        scans=True,
    ),
)
_MYSQL = (
    _Query("columns", f"{_COLUMNS.format(_MYSQL_DEFAULT)}, srs_id", "columns", "table_schema"),
    _Query("indexes", f"{_INDEXES}, is_visible, expression", "statistics", "table_schema"),
    _Query(
        "checks",
        "t.table_name, t.constraint_name, c.check_clause, t.enforced",
        "table_constraints t JOIN information_schema.check_constraints c"
        " ON c.constraint_schema = t.constraint_schema AND c.constraint_name = t.constraint_name",
        "t.table_schema",
        "t.constraint_type = 'CHECK'",
    ),
)
_MARIADB = (
    _Query("columns", f"{_COLUMNS.format(_MARIADB_DEFAULT)}, NULL", "columns", "table_schema"),
    _Query(
        "indexes",
        f"{_INDEXES}, IF(ignored = 'YES', 'NO', 'YES'), NULL",
        "statistics",
        "table_schema",
    ),
    _Query(
        "checks",
        "table_name, constraint_name, check_clause, 'YES'",
        "check_constraints",
        "constraint_schema",
    ),
)
_VIEWS = _Query(
    "views", "table_name, view_definition, check_option, security_type", "views", "table_schema"
)
_PARTITIONS = _Query(
    "partitions",
    "table_name, partition_ordinal_position, subpartition_ordinal_position, partition_name, "
    "subpartition_name, partition_method, partition_expression, partition_description, "
    "subpartition_method, subpartition_expression",
    "partitions",
    "table_schema",
    "partition_name IS NOT NULL",
)
_PARAMETERS = _Query(
    "parameters",
    "routine_type, specific_name, ordinal_position, parameter_mode, parameter_name, dtd_identifier",
    "parameters",
    "specific_schema",
    "ordinal_position > 0",
    scans=True,
)


def prepare(connection: Connection) -> None:
    """Wait for no lock for long, and have names quoted as the reader expects."""
    connection.exec_driver_sql(
        f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}, sql_mode = '', sql_quote_show_create = 1"
    )


def read_batch(connection: Connection, places: Sequence[Place]) -> Iterator[Told]:
    """What stands in each of these databases. Raises DBAPIError."""
    catalogue = _Catalogue(connection)
    names = catalogue.there([place.container for place in places if place.container])
    for place in places:
        if catalogue.key(place.container or "") not in names:
            words = f"Unknown database '{place.container}'" if place.container else "no database"
            yield Told(place.index, problem=words)
    found = {name: _Database(name, catalogue.key) for name in names.values()}
    catalogue.read(found)
    for place in places:
        name = names.get(catalogue.key(place.container or ""))
        if name is not None:
            yield Told(place.index, found[name].raw())


class _Catalogue:
    """A server's information_schema."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
        self._version = connection.dialect.server_version_info or ()
        # MySQL 8.4 manual, 11.2.3 "Identifier Case Sensitivity".
        folds = connection.exec_driver_sql("SELECT @@lower_case_table_names").scalar_one()
        self._folds = int(folds) != 0

    def key(self, name: str) -> str:
        """What names of one database have in common."""
        return name.lower() if self._folds else name

    def there(self, names: Sequence[str]) -> dict[str, str]:
        """The names, as the server has them, of those that are there, by their keys."""
        if not names:
            return {}
        query = _Query("", "schema_name", "schemata", "schema_name", scans=True)
        wanted = {self.key(name) for name in names}
        found = (str(row[0]) for row in self._rows(query, names))
        return {self.key(name): name for name in found if self.key(name) in wanted}

    def read(self, found: Mapping[str, _Database]) -> None:
        """Read everything that these databases hold."""
        by_key = {self.key(name): one for name, one in found.items()}

        def ask(query: _Query, databases: Iterable[_Database]) -> None:
            names = [one.name for one in databases]
            for schema, *row in self._rows(query, names) if names else ():
                one = by_key.get(self.key(str(schema)))
                if one is not None:
                    one.sections.setdefault(query.name, []).append(row)

        ask(_TABLES, found.values())
        for query in (*_BOTH, *(_MARIADB if self._mariadb else _MYSQL)):
            if query.name != "checks" or self._mariadb or self._version >= _CHECKS_SINCE:
                ask(query, found.values())
        ask(_VIEWS, [one for one in found.values() if one.of_type("VIEW")])
        ask(_PARTITIONS, [one for one in found.values() if one.partitioned])
        ask(_PARAMETERS, [one for one in found.values() if one.sections.get("routines")])
        for one in found.values():
            for name in one.of_type("SEQUENCE"):
                one.sections.setdefault("sequences", []).append([name, self._sequence(one, name)])

    def _rows(self, query: _Query, names: Sequence[str]) -> list[Row]:
        """The rows of these databases, each with its database first."""
        also = f" AND {query.also}" if query.also else ""
        asked = f"SELECT {query.schema}, {query.columns} FROM information_schema.{query.source}"
        marks = [f":name{number}" for number in range(len(names))]
        if self._mariadb and not query.scans:
            alone = [f"({asked} WHERE {query.schema} = {mark}{also})" for mark in marks]
            statement = " UNION ALL ".join(alone)
        else:
            # MariaDB takes names that differ in upper and lower case for one, and looks only that
            # one up, unless the list holds something else as well.
            statement = f"{asked} WHERE {query.schema} IN ('', {', '.join(marks)}){also}"
        given = {f"name{number}": name for number, name in enumerate(names)}
        rows = [list(row) for row in self._connection.execute(text(statement), given)]
        if self._mariadb:
            self._refuse_gaps(query)
        return rows

    def _refuse_gaps(self, query: _Query) -> None:
        """MariaDB leaves a table out, with a warning, that it could not have a lock for."""
        for _level, code, words in self._connection.exec_driver_sql("SHOW WARNINGS").all():
            if code == _LOCKED:
                raise OperationalError(query.source, None, Exception(code, words))

    def _sequence(self, one: _Database, name: str) -> str:
        quote = self._connection.dialect.identifier_preparer.quote_identifier
        statement = f"SHOW CREATE SEQUENCE {quote(one.name)}.{quote(name)}"
        shown = str(self._connection.exec_driver_sql(statement, ()).all()[0][1])
        # CREATE SEQUENCE `name` start with 1 ... ENGINE=InnoDB
        return shown.rpartition("` ")[2].rpartition(" ENGINE=")[0]


class _Database:
    """The rows of one database, by section, without its own name in them."""

    def __init__(self, name: str, key: Callable[[str], str]) -> None:
        self.name = name
        self.sections: dict[str, list[Row]] = {}
        self._key = key
        quoted = "`" + name.replace("`", "``") + "`"
        self._before_known = re.compile(re.escape(quoted) + r"\.(?=`(?P<known>(?:[^`]|``)+)`)")
        self._alias = re.compile(rf"[`)] (?:as )?{re.escape(quoted)}(?!\.)", re.IGNORECASE)
        bare = re.escape(name) if re.fullmatch(r"[\w$]+", name) else None
        self._bare = re.compile(rf"(?<![\w$.`'\"]){bare}\.(?=[`\w$])") if bare else None
        self._quoted = f"{quoted}."

    def of_type(self, kind: str) -> list[str]:
        """The names of the tables of a type."""
        return [row[0] for row in self.sections.get("tables", ()) if row[1] == kind]

    @property
    def partitioned(self) -> bool:
        """Whether one of the tables is."""
        return any("partitioned" in (row[4] or "") for row in self.sections.get("tables", ()))

    def raw(self) -> str:
        """All of it as one text."""
        for row in self.sections.get("references", ()):
            if self._key(row[4]) == self._key(self.name):
                row[4] = None
        for section, place in _TEXTS:
            for row in self.sections.get(section, ()):
                if row[place]:
                    row[place] = self._without_name(str(row[place]))
        ordered = {
            name: sorted(rows, key=lambda row: [(part is not None, str(part)) for part in row])
            for name, rows in sorted(self.sections.items())
        }
        return json.dumps(ordered, ensure_ascii=False)

    def _without_name(self, told: str) -> str:
        """A definition without the name of its own database before other names.

        Where a table, or an alias, has the database's name, a column may stand behind it: then only
        names of what stands in the database count.
        """
        if self._quoted not in told and self.name not in told:
            return told
        tables = {row[0] for row in self.sections.get("tables", ())}
        if self.name not in tables and not self._alias.search(told):
            told = told.replace(self._quoted, "")
            return self._bare.sub("", told) if self._bare else told
        return self._before_known.sub(
            lambda found: "" if found["known"].replace("``", "`") in tables else found[0], told
        )


_TEXTS = (
    ("views", 1),
    ("triggers", 5),
    ("routines", 3),
    ("events", 7),
    ("columns", 5),
    ("columns", 8),
    ("checks", 2),
    ("indexes", 10),
)
"""Where definitions stand in the rows: section, and place."""
