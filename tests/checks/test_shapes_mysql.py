"""The shapes of MySQL and MariaDB databases on real servers: equal where they should be, and
different for every single alteration, with the right words."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest
from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from orchestrator.checks import shapes_mysql
from orchestrator.checks.differences import differences, words
from orchestrator.checks.places import Place
from orchestrator.checks.scope import shape_of
from orchestrator.checks.types import Scope, Shape
from tests.conftest import DatabaseFactory

MARIADB, MYSQL = "mariadb", "mysql"

TABLES = [
    "CREATE TABLE users (id bigint unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,"
    " name varchar(20) CHARACTER SET latin1 DEFAULT 'it''s', note text COMMENT 'said',"
    " n int DEFAULT 0, at datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),"
    " twice int GENERATED ALWAYS AS (n * 2) STORED, u char(36) DEFAULT (uuid()),"
    " hidden int DEFAULT 5 INVISIBLE, kind enum('a','b') NOT NULL, data json,"
    " price decimal(10,2) DEFAULT 1.5, bytes varbinary(16) DEFAULT 'ab',"
    " bits bit(3) DEFAULT b'101',"
    " UNIQUE KEY un (name), KEY kn (n DESC, name(5)), FULLTEXT KEY ft (note),"
    " CONSTRAINT positive CHECK (n >= 0)) COMMENT = 'people'",
    "CREATE TABLE orders (id int NOT NULL PRIMARY KEY, user_id bigint unsigned, other_id int,"
    " spot geometry NOT NULL, SPATIAL KEY sp (spot),"
    " CONSTRAINT fk_user FOREIGN KEY (user_id) REFERENCES users (id) ON DELETE CASCADE)",
    "CREATE TABLE parts (id int NOT NULL, y int NOT NULL) PARTITION BY RANGE (y)"
    " (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "CREATE TABLE plain (id int, place geometry)",
    "CREATE VIEW v AS SELECT u.id, users2.name FROM users u JOIN users users2 ON u.id = users2.id",
    "CREATE TRIGGER tr BEFORE INSERT ON users FOR EACH ROW SET NEW.n = NEW.n + 1",
    "CREATE PROCEDURE pr(IN a int, OUT b varchar(10)) BEGIN SELECT count(*) FROM users; END",
    "CREATE FUNCTION fn(a int) RETURNS varchar(20) DETERMINISTIC RETURN concat(a, 'x')",
    "CREATE EVENT ev ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM users",
]
ONLY_ONE = {
    MARIADB: ["CREATE SEQUENCE sq START WITH 5"],
    MYSQL: ["CREATE INDEX fx ON users ((lower(name)), n)"],
}

ALTERATIONS: list[tuple[str, str]] = [
    (
        "ALTER TABLE plain ENGINE = MyISAM",
        "table plain: engine is MyISAM, expected InnoDB",
    ),
    ("ALTER TABLE parts COMMENT = 'x'", "table parts: comment is x, expected none"),
    ("ALTER TABLE orders ROW_FORMAT = COMPRESSED", "table orders: row format is compressed"),
    ("ALTER TABLE parts DEFAULT COLLATE utf8mb4_bin", "table parts: collation is utf8mb4_bin"),
    ("ALTER TABLE parts REMOVE PARTITIONING", "table parts: has no partitions, expected range"),
    (
        "ALTER TABLE parts REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (20),"
        " PARTITION p2 VALUES LESS THAN MAXVALUE)",
        "table parts: partitions is range",
    ),
    ("CREATE TABLE extra (id int)", "table extra is not expected"),
    ("DROP TABLE orders", "table orders is missing"),
    (
        "ALTER TABLE users MODIFY note mediumtext COMMENT 'said'",
        "table users: column note: type is mediumtext, expected text",
    ),
    ("ALTER TABLE users MODIFY note text", "table users: column note: has no comment"),
    (
        "ALTER TABLE users MODIFY price decimal(10,2) NOT NULL DEFAULT 1.5",
        "table users: column price: is not nullable, expected nullable",
    ),
    ("ALTER TABLE users ALTER price SET DEFAULT 2", "table users: column price: default is 2"),
    ("ALTER TABLE users ALTER price DROP DEFAULT", "table users: column price: has no default"),
    (
        "ALTER TABLE users MODIFY at datetime(3) DEFAULT CURRENT_TIMESTAMP(3)",
        "table users: column at: has no on update",
    ),
    ("ALTER TABLE users MODIFY u char(36) DEFAULT 'x'", "table users: column u: default is 'x'"),
    (
        "ALTER TABLE users MODIFY u char(36) CHARACTER SET latin1 DEFAULT (uuid())",
        "table users: column u: collation is latin1_swedish_ci, expected utf8mb4_",
    ),
    (
        "ALTER TABLE users MODIFY twice int GENERATED ALWAYS AS (n * 3) STORED",
        "table users: column twice: generated is",
    ),
    (
        "ALTER TABLE users MODIFY hidden int DEFAULT 5",
        "table users: column hidden: is not invisible, expected invisible",
    ),
    (
        "ALTER TABLE users MODIFY kind enum('a','b','c') NOT NULL",
        "table users: column kind: type is enum('a','b','c'), expected enum('a','b')",
    ),
    (
        "ALTER TABLE users MODIFY bits bit(3) DEFAULT b'100'",
        "table users: column bits: default is b'100', expected b'101'",
    ),
    (
        "ALTER TABLE orders MODIFY id int NOT NULL AUTO_INCREMENT",
        "table orders: column id: is auto increment, expected not auto increment",
    ),
    ("ALTER TABLE users ADD legacy int AFTER name", "table users: column legacy is not expected"),
    ("ALTER TABLE users DROP COLUMN data", "table users: column data is missing"),
    ("ALTER TABLE users MODIFY data json AFTER id", "table users: column order is id, data, name"),
    ("ALTER TABLE users RENAME COLUMN data TO datum", "table users: column datum is not expected"),
    ("CREATE INDEX x ON orders (other_id)", "table orders: index x is not expected"),
    ("DROP INDEX kn ON users", "table users: index kn is missing"),
    (
        "ALTER TABLE users DROP KEY kn, ADD KEY kn (n, name(5))",
        "table users: index kn: columns is n, name(5), expected n desc, name(5)",
    ),
    (
        "ALTER TABLE users DROP KEY kn, ADD KEY kn (n DESC, name(6))",
        "table users: index kn: columns is n desc, name(6), expected n desc, name(5)",
    ),
    (
        "ALTER TABLE users DROP KEY un, ADD KEY un (name)",
        "table users: index un: is not unique, expected unique",
    ),
    (
        "ALTER TABLE users DROP KEY ft, ADD KEY ft (note(9))",
        "table users: index ft: method is btree, expected fulltext",
    ),
    ("ALTER TABLE orders DROP KEY sp", "table orders: index sp is missing"),
    ("ALTER TABLE orders DROP PRIMARY KEY", "table orders: primary key is missing"),
    ("ALTER TABLE orders DROP FOREIGN KEY fk_user", "table orders: foreign key fk_user is missing"),
    (
        "ALTER TABLE orders ADD CONSTRAINT fk_o FOREIGN KEY (other_id) REFERENCES orders (id)",
        "table orders: foreign key fk_o is not expected",
    ),
    (
        "ALTER TABLE users DROP CONSTRAINT positive",
        "table users: check constraint positive is missing",
    ),
    (
        "ALTER TABLE users ADD CONSTRAINT few CHECK (n < 9)",
        "table users: check constraint few is not expected",
    ),
    ("CREATE OR REPLACE VIEW v AS SELECT id FROM users", "view v: definition is"),
    ("DROP VIEW v", "view v is missing"),
    ("DROP TRIGGER tr", "table users: trigger tr is missing"),
    ("DROP PROCEDURE pr", "procedure pr is missing"),
    ("DROP FUNCTION fn", "function fn is missing"),
    ("ALTER EVENT ev ENABLE", "event ev: is enabled, expected not enabled"),
    ("ALTER PROCEDURE pr COMMENT 'x'", "procedure pr: comment is x, expected none"),
]
OF_ONE: dict[str, list[tuple[str, str]]] = {
    MARIADB: [
        ("ALTER SEQUENCE sq INCREMENT BY 2", "sequence sq: options is"),
        ("DROP SEQUENCE sq", "sequence sq is missing"),
        ("ALTER TABLE users ALTER KEY kn IGNORED", "table users: index kn: is not visible"),
        ("ALTER TABLE orders ADD SYSTEM VERSIONING", "table orders: is system versioned, expected"),
    ],
    MYSQL: [
        ("ALTER TABLE users DROP KEY fx, ADD KEY fx ((upper(name)), n)",
         "table users: index fx: columns is (upper(`name`)), n, expected (lower(`name`)), n"),
        ("ALTER TABLE users ALTER INDEX kn INVISIBLE", "table users: index kn: is not visible"),
        ("ALTER TABLE users ALTER CHECK positive NOT ENFORCED",
         "table users: check constraint positive: is not enforced"),
        ("ALTER TABLE plain MODIFY place geometry SRID 4326",
         "table plain: column place: srid is 4326"),
    ],
}  # fmt: skip


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


@contextmanager
def connected(url: URL) -> Iterator[Connection]:
    engine = create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        shapes_mysql.prepare(connection)
        yield connection


def run(connection: Connection, *statements: str) -> None:
    for statement in statements:
        connection.exec_driver_sql(statement.replace("%", "%%"), ())


def family(connection: Connection) -> str:
    return MARIADB if connection.dialect.is_mariadb else MYSQL  # type: ignore[attr-defined]


@contextmanager
def filled(connection: Connection, *names: str) -> Iterator[None]:
    """Databases that hold the same."""
    try:
        for name in names:
            run(connection, f"CREATE DATABASE {quoted(name)}", f"USE {quoted(name)}")
            run(connection, *TABLES, *ONLY_ONE[family(connection)])
        yield
    finally:
        for name in names:
            run(connection, f"DROP DATABASE IF EXISTS {quoted(name)}")


def shapes(connection: Connection, *names: str) -> list[Shape]:
    places = [Place(index, name) for index, name in enumerate(names)]
    told = sorted(shapes_mysql.read_batch(connection, places), key=lambda one: one.index)
    assert not [one.problem for one in told if one.problem]
    return [shape_of(shapes_mysql.whole_of(one.raw), Scope()) for one in told]


def said(expected: Shape, found: Shape) -> list[str]:
    return [words(one) for one in differences(expected, found)]


AWKWARD = ["{}_T.a%b", "{}_q`u\"o'te", "{} %s {{}} \\", "{}_ÄÖ_日本"]


def test_equal_databases_have_equal_texts_whatever_they_are_called(
    my_database: DatabaseFactory,
) -> None:
    url = my_database()
    names = [text.format(url.database) for text in AWKWARD]
    with connected(url) as connection, filled(connection, *names):
        places = [Place(index, name) for index, name in enumerate(names)]
        told = list(shapes_mysql.read_batch(connection, places))
        assert len({one.raw for one in told}) == 1
        assert not [name for name in names if name in told[0].raw]
        whole = {item.kind for item in shapes_mysql.whole_of(told[0].raw).items}
        assert whole >= {
            "table", "column", "index", "primary key", "foreign key", "check constraint",
            "view", "trigger", "function", "procedure", "event",
        }  # fmt: skip


def altered(connection: Connection, base: str, changes: Sequence[tuple[str, str]]) -> None:
    """Each alteration, in a database of its own, shows."""
    same, other = f"{base}_same", f"{base}_other"
    with filled(connection, same):
        for statement, expected in changes:
            with filled(connection, other):
                run(connection, statement)
                one, two = shapes(connection, same, other)
                assert one.digest != two.digest, statement
                told = said(one, two)
                assert told, statement
                assert any(one.startswith(expected) for one in told), (
                    statement,
                    told,
                )


@pytest.mark.parametrize("part", range(3))
def test_every_alteration_shows(my_database: DatabaseFactory, part: int) -> None:
    url = my_database()
    with connected(url) as connection:
        altered(connection, str(url.database), ALTERATIONS[part::3])


def test_every_alteration_that_one_family_knows_shows(my_database: DatabaseFactory) -> None:
    url = my_database()
    with connected(url) as connection:
        altered(connection, str(url.database), OF_ONE[family(connection)])


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO users (name, kind) VALUES ('a', 'a'), ('b', 'b')",
        "ALTER TABLE users AUTO_INCREMENT = 1000",
        "ANALYZE TABLE users",
        "ALTER EVENT ev ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'",
    ],
)
def test_rows_counters_and_statistics_do_not_count(
    my_database: DatabaseFactory, statement: str
) -> None:
    url = my_database()
    same, other = f"{url.database}_same", f"{url.database}_other"
    with connected(url) as connection, filled(connection, same, other):
        connection.exec_driver_sql(statement).close()
        one, two = shapes(connection, same, other)
        assert said(one, two) == []
        assert one.digest == two.digest


def test_a_reference_to_another_database_shows(my_database: DatabaseFactory) -> None:
    url, elsewhere = my_database(), my_database()
    other = str(elsewhere.database)
    with connected(url) as connection:
        run(connection, f"CREATE TABLE {other}.o (id int PRIMARY KEY)")
        run(connection, "CREATE TABLE o (id int PRIMARY KEY)")
        run(connection, "CREATE TABLE a (id int, CONSTRAINT f FOREIGN KEY (id) REFERENCES o (id))")
        (mine,) = shapes(connection, str(url.database))
        run(connection, "DROP TABLE a")
        run(
            connection,
            f"CREATE TABLE a (id int, CONSTRAINT f FOREIGN KEY (id) REFERENCES {other}.o (id))",
        )
        (theirs,) = shapes(connection, str(url.database))
        run(connection, "DROP TABLE a")
    assert said(mine, theirs) == [
        f"table a: foreign key f: references is {other}.o (id), expected o (id)"
    ]


def test_a_table_that_is_called_like_its_database(my_database: DatabaseFactory) -> None:
    """Its columns are not taken for tables of the database."""
    url = my_database()
    one, two = f"{url.database}_shop", f"{url.database}_else"
    with connected(url) as connection:
        try:
            for name in (one, two):
                run(connection, f"CREATE DATABASE {name}", f"USE {name}")
                run(connection, f"CREATE TABLE {one} (id int)")
                run(connection, f"CREATE VIEW v AS SELECT {one}.id FROM {one}")
            first, second = shapes(connection, one, two)
            assert said(first, second) == []
        finally:
            run(connection, f"DROP DATABASE {one}", f"DROP DATABASE {two}")


def test_missing_ones_hide_no_others(my_database: DatabaseFactory) -> None:
    url = my_database()
    with connected(url) as connection:
        run(connection, "CREATE TABLE a (id int)")
        places = [Place(0, "not_there"), Place(1, url.database), Place(2, None)]
        told = {one.index: one for one in shapes_mysql.read_batch(connection, places)}
    assert told[0].problem == "Unknown database 'not_there'"
    assert told[1].raw
    assert told[2].problem


def test_names_of_databases_are_told_apart_by_case(
    my_database: DatabaseFactory,
) -> None:
    url = my_database()
    lower, upper = f"{url.database}_case", f"{url.database}_CASE"
    with connected(url) as connection:
        run(connection, f"CREATE DATABASE {lower}", f"CREATE DATABASE {upper}")
        try:
            run(connection, f"CREATE TABLE {upper}.a (id int)")
            (empty,) = shapes(connection, lower)
            assert not empty.items
            assert said(*shapes(connection, lower, upper)) == ["table a is not expected"]
        finally:
            run(connection, f"DROP DATABASE {lower}", f"DROP DATABASE {upper}")


def test_a_table_that_is_being_altered_is_never_left_out(my_database: DatabaseFactory) -> None:
    """MariaDB would only warn; either it is read, or the batch fails."""
    url = my_database()
    with connected(url) as connection, connected(url) as holder:
        run(connection, "CREATE TABLE a (id int)", "CREATE TABLE b (id int)")
        run(holder, "LOCK TABLES a WRITE, b WRITE", "ALTER TABLE a ADD x int")
        try:
            (found,) = shapes(connection, str(url.database))
        except DBAPIError as error:
            assert "Lock wait timeout" in str(error)  # noqa: PT017
        else:
            assert len([one for one in found.items if one.kind == "column"]) == 3
        finally:
            run(holder, "UNLOCK TABLES")


def test_a_session_that_quotes_in_another_way(my_database: DatabaseFactory) -> None:
    """Where the server's default is ANSI_QUOTES, the same is read."""
    url = my_database()
    names = [f"{url.database}_one", f"{url.database}_two"]
    with connected(url) as connection, filled(connection, *names):
        usual = shapes(connection, *names)
        run(connection, "SET SESSION sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'")
        shapes_mysql.prepare(connection)
        assert shapes(connection, *names) == usual
        assert usual[0].digest == usual[1].digest
