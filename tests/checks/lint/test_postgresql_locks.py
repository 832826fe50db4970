"""Statements of PostgreSQL -> the locks that they take (`checks.lint.postgresql_locks`)."""

from __future__ import annotations

import pytest

from orchestrator.checks.lint.postgresql_locks import table_locks

CASES = {
    "CREATE TABLE a (i int)": [],
    "CREATE TABLE a (i int REFERENCES b (i), j int REFERENCES c)": [
        "SHARE ROW EXCLUSIVE b",
        "SHARE ROW EXCLUSIVE c",
    ],
    "CREATE TABLE a PARTITION OF b FOR VALUES IN (1)": ["ACCESS EXCLUSIVE b"],
    "CREATE TABLE a (i int) INHERITS (b)": ["SHARE UPDATE EXCLUSIVE b"],
    "DROP TABLE IF EXISTS a, s.b CASCADE": ["ACCESS EXCLUSIVE a", "ACCESS EXCLUSIVE b"],
    "TRUNCATE a": ["ACCESS EXCLUSIVE a"],
    "CREATE UNIQUE INDEX x ON a (i)": ["SHARE a builds an index"],
    "CREATE INDEX CONCURRENTLY IF NOT EXISTS x ON ONLY s.a USING gin (i)": [
        "SHARE UPDATE EXCLUSIVE a builds an index"
    ],
    "DROP INDEX x": ["ACCESS EXCLUSIVE index x"],
    "DROP INDEX CONCURRENTLY x": ["SHARE UPDATE EXCLUSIVE index x"],
    "ALTER INDEX x RENAME TO y": ["SHARE UPDATE EXCLUSIVE index x"],
    "REINDEX TABLE CONCURRENTLY a": ["SHARE UPDATE EXCLUSIVE a builds an index"],
    "CREATE TRIGGER t BEFORE INSERT ON a EXECUTE FUNCTION f()": ["SHARE ROW EXCLUSIVE a"],
    "CREATE POLICY p ON a USING (true)": ["ACCESS EXCLUSIVE a"],
    "COMMENT ON COLUMN s.a.i IS 'on is'": ["SHARE UPDATE EXCLUSIVE a"],
    "COMMENT ON TABLE a IS 'x'": ["SHARE UPDATE EXCLUSIVE a"],
    "REFRESH MATERIALIZED VIEW CONCURRENTLY v": ["EXCLUSIVE v"],
    "VACUUM FULL a": ["ACCESS EXCLUSIVE a rewrites"],
    "VACUUM (ANALYZE) a": ["SHARE UPDATE EXCLUSIVE a"],
    "LOCK TABLE a IN SHARE ROW EXCLUSIVE MODE": ["SHARE ROW EXCLUSIVE a"],
    "INSERT INTO s.a VALUES (1)": ["ROW EXCLUSIVE a"],
    "UPDATE ONLY a SET i = 1": ["ROW EXCLUSIVE a"],
    "DELETE FROM a USING b": ["ROW EXCLUSIVE a"],
    "WITH x AS (DELETE FROM a RETURNING i) INSERT INTO b SELECT i FROM x": [
        "ROW EXCLUSIVE a",
        "ROW EXCLUSIVE b",
    ],
    "SELECT i FROM a": [],
    "SELECT i FROM a FOR UPDATE": ["ROW SHARE a"],
    "DO $$ BEGIN DELETE FROM a; END $$": ["None "],
    "CREATE TYPE mood AS ENUM ('a')": [],
    "ALTER TYPE mood ADD VALUE 'b'": [],
    "ALTER TABLE a VALIDATE CONSTRAINT c": ["SHARE UPDATE EXCLUSIVE a reads all rows"],
    "ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (i) REFERENCES s.b (i)": [
        "SHARE ROW EXCLUSIVE a reads all rows",
        "SHARE ROW EXCLUSIVE b",
    ],
    "ALTER TABLE a ADD CONSTRAINT c FOREIGN KEY (i) REFERENCES b (i) NOT VALID": [
        "SHARE ROW EXCLUSIVE a",
        "SHARE ROW EXCLUSIVE b",
    ],
    "ALTER TABLE a ADD CHECK (i > 0)": ["ACCESS EXCLUSIVE a reads all rows"],
    "ALTER TABLE a ADD CONSTRAINT c CHECK (i > 0) NOT VALID": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a ADD PRIMARY KEY (i)": ["ACCESS EXCLUSIVE a builds an index"],
    "ALTER TABLE a ADD CONSTRAINT c UNIQUE USING INDEX x": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a DROP COLUMN i": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a ALTER COLUMN i TYPE text": ["ACCESS EXCLUSIVE a may rewrite"],
    "ALTER TABLE a ALTER i SET NOT NULL": ["ACCESS EXCLUSIVE a reads all rows"],
    "ALTER TABLE a ALTER i SET STATISTICS 100": ["SHARE UPDATE EXCLUSIVE a"],
    "ALTER TABLE a ALTER i SET DEFAULT 1": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a SET (fillfactor = 70, autovacuum_enabled = off)": ["SHARE UPDATE EXCLUSIVE a"],
    "ALTER TABLE a SET (user_catalog_table = on)": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a SET UNLOGGED": ["ACCESS EXCLUSIVE a rewrites"],
    "ALTER TABLE a DISABLE TRIGGER ALL": ["SHARE ROW EXCLUSIVE a"],
    "ALTER TABLE a ENABLE ROW LEVEL SECURITY": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a ATTACH PARTITION b FOR VALUES IN (1)": [
        "SHARE UPDATE EXCLUSIVE a",
        "ACCESS EXCLUSIVE b reads all rows",
    ],
    "ALTER TABLE a DETACH PARTITION b CONCURRENTLY": [
        "SHARE UPDATE EXCLUSIVE a",
        "ACCESS EXCLUSIVE b",
    ],
    "ALTER TABLE a CLUSTER ON x": ["SHARE UPDATE EXCLUSIVE a"],
    "ALTER TABLE a RENAME TO b": ["ACCESS EXCLUSIVE a"],
    "ALTER TABLE a ADD COLUMN i int, ADD COLUMN j serial": ["ACCESS EXCLUSIVE a rewrites"],
    "UPDATE a SET i = 1; CREATE INDEX x ON a (i); UPDATE b SET i = 1": [
        "SHARE a builds an index",
        "ROW EXCLUSIVE b",
    ],
}


@pytest.mark.parametrize("text", CASES)
def test_locks(text: str) -> None:
    told = [f"{one.mode} {one.table} {one.work}".rstrip(" ") for one in table_locks(text)]
    assert told == [one.rstrip(" ") for one in CASES[text]]


NEW_COLUMNS = {
    "i int": "",
    "i int NOT NULL DEFAULT 7": "",
    "i numeric(10, 2) DEFAULT '0'::numeric(10, 2) NOT NULL": "",
    "i timestamptz DEFAULT now()": "",
    "i text DEFAULT CAST('x' AS varchar(5))": "",
    "i int DEFAULT 1 REFERENCES b (i)": "",
    "i int DEFAULT 1 CHECK (length('x') > 0)": "reads all rows",
    "i uuid DEFAULT gen_random_uuid()": "rewrites",
    "i uuid DEFAULT public.mine(1)": "may rewrite",
    "i int GENERATED ALWAYS AS (j * 2) STORED": "rewrites",
    "i int GENERATED ALWAYS AS (j * 2) VIRTUAL": "",
    "i int GENERATED BY DEFAULT AS IDENTITY": "rewrites",
    "i bigserial": "rewrites",
    "i int UNIQUE": "builds an index",
    'IF NOT EXISTS "DEFAULT" int': "",
}


@pytest.mark.parametrize("column", NEW_COLUMNS)
def test_what_a_new_column_costs(column: str) -> None:
    (lock, *_others) = table_locks(f"ALTER TABLE a ADD COLUMN {column}")
    assert (lock.table, lock.mode, lock.work) == ("a", "ACCESS EXCLUSIVE", NEW_COLUMNS[column])
