"""What MySQL and MariaDB say of a statement, and whether it is true of the statement itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from sqlalchemy import URL, create_engine, text
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from orchestrator.checks.lint.types import Answer
from orchestrator.execution.asking_mysql import Asker

ITEMS = """CREATE TABLE items (
    id INT PRIMARY KEY AUTO_INCREMENT, name VARCHAR(50), price INT, body TEXT, owner INT NOT NULL,
    kind ENUM('a','b'), KEY ix_old (price),
    CONSTRAINT fk_owner FOREIGN KEY (owner) REFERENCES owners (id)
) DEFAULT CHARSET=utf8mb4"""

STATEMENTS = [
    "ALTER TABLE items ADD COLUMN note VARCHAR(20)",
    "ALTER TABLE items ADD COLUMN first_one INT NOT NULL DEFAULT 3 FIRST",
    "ALTER TABLE items DROP COLUMN body",
    "ALTER TABLE items MODIFY name VARCHAR(60)",
    "ALTER TABLE items MODIFY name VARCHAR(300)",
    "ALTER TABLE items MODIFY price BIGINT",
    "ALTER TABLE items MODIFY name VARCHAR(50) NOT NULL",
    "ALTER TABLE items MODIFY kind ENUM('a','b','c')",
    "ALTER TABLE items MODIFY kind ENUM('b','a')",
    "ALTER TABLE items CHANGE name label VARCHAR(50)",
    "ALTER TABLE items DROP PRIMARY KEY, ADD PRIMARY KEY (id, owner)",
    "ALTER TABLE items ENGINE=InnoDB",
    "ALTER TABLE items ADD COLUMN z INT, ALGORITHM=COPY",
    "ALTER TABLE items ENGINE=InnoDB, ALGORITHM=INPLACE, LOCK=NONE",
    "ALTER TABLE items ADD CONSTRAINT ck CHECK (price > 5)",
    "ALTER TABLE items COMMENT 'a % b'",
    "ALTER TABLE items ADD UNIQUE (name)",
    "ALTER TABLE items DROP FOREIGN KEY fk_owner",
    "ALTER TABLE items ADD CONSTRAINT fk_two FOREIGN KEY (price) REFERENCES owners (id)",
    "ALTER TABLE items RENAME INDEX ix_old TO ix_new",
    "ALTER TABLE items CONVERT TO CHARACTER SET latin1",
    "CREATE INDEX ix_name ON items (name)",
    "CREATE FULLTEXT INDEX ft_body ON items (body)",
    "DROP INDEX ix_old ON items",
]


@pytest.fixture
def connection(my_database: Callable[[], URL]) -> Iterator[Connection]:
    """A database with a table, its foreign key, and a row in both."""
    engine = create_engine(my_database(), poolclass=NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as found:
        found.exec_driver_sql("CREATE TABLE owners (id INT PRIMARY KEY)")
        found.exec_driver_sql(ITEMS)
        found.exec_driver_sql("INSERT INTO owners VALUES (1), (10)")
        found.exec_driver_sql("INSERT INTO items (name, price, owner) VALUES ('a', 10, 1)")
        yield found


def _id(connection: Connection) -> object:
    views = ("innodb_tables", "innodb_sys_tables")
    mariadb = bool(getattr(connection.dialect, "is_mariadb", False))
    query = (
        f"SELECT table_id FROM information_schema.{views[mariadb]}"
        " WHERE name = CONCAT(DATABASE(), '/items')"
    )
    return connection.execute(text(query)).scalar_one()


def _answer(connection: Connection, statement: str) -> Answer:
    found = Asker().answer(connection, statement)
    assert found is not None
    return found


@pytest.mark.parametrize("statement", STATEMENTS)
def test_the_table_itself_is_rebuilt_when_the_answer_says_so(
    connection: Connection, statement: str
) -> None:
    """The judge is the server: the real table, which has rows, gets another id or keeps its own."""
    answer = _answer(connection, statement)
    assert not answer.refused, answer
    tables = connection.exec_driver_sql("SHOW TABLES").scalars().all()
    assert sorted(tables) == ["items", "owners"], "the copy is left behind"
    before = _id(connection)
    connection.exec_driver_sql(statement.replace("%", "%%"))
    assert (_id(connection) != before) is answer.rebuilds, answer


@pytest.mark.parametrize(
    ("statement", "algorithms", "lock", "rebuilds"),
    [
        (STATEMENTS[0], {"instant"}, "none", False),
        ("ALTER TABLE items MODIFY price BIGINT", {"copy"}, "shared", True),
        ("ALTER TABLE items ENGINE=InnoDB", {"inplace"}, "none", True),
        ("CREATE INDEX ix_name ON items (name)", {"inplace", "nocopy"}, "none", False),
        ("CREATE FULLTEXT INDEX ft_body ON items (body)", {"inplace"}, "shared", True),
    ],
)
def test_how_lightly_it_is_taken(
    connection: Connection, statement: str, algorithms: set[str], lock: str, rebuilds: bool
) -> None:
    answer = _answer(connection, statement)
    assert answer.algorithm in algorithms
    assert (answer.lock, answer.rebuilds) == (lock, rebuilds)


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO items (owner) VALUES (1)",
        "CREATE TABLE x (id INT)",
        "ALTER TABLE gone ADD x INT",
    ],
)
def test_there_is_nothing_to_ask(connection: Connection, statement: str) -> None:
    assert Asker().answer(connection, statement) is None


def test_a_statement_that_the_server_takes_in_no_way(connection: Connection) -> None:
    assert "nope" in _answer(connection, "ALTER TABLE items DROP COLUMN nope").refused
