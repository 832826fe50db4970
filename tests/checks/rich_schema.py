"""A PostgreSQL schema with every kind of object that counts, and what can be altered of it.

Enters: nothing. Leaves: RICH, and ALTERATIONS: for each statement the items that it changes.
"""

from __future__ import annotations

RICH = """
CREATE TYPE status AS ENUM ('new', 'it''s', 'paid');
CREATE DOMAIN price AS numeric(10,2) NOT NULL DEFAULT 0 CONSTRAINT positive CHECK (VALUE >= 0);
CREATE TYPE pair AS (a integer, b status);
CREATE TYPE span AS RANGE (subtype = float8);
CREATE TABLE customers (
  id serial PRIMARY KEY, name varchar(40) NOT NULL, mail text COLLATE "C" UNIQUE,
  born date DEFAULT current_date);
COMMENT ON TABLE customers IS 'who buys';
COMMENT ON COLUMN customers.mail IS 'their "mail"';
CREATE FUNCTION twice(a integer, b status DEFAULT 'new'::status) RETURNS integer
  LANGUAGE sql IMMUTABLE AS 'SELECT a * 2';
CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NEW; END $$;
CREATE FUNCTION pinned() RETURNS integer LANGUAGE sql SET search_path FROM CURRENT AS 'SELECT 1';
CREATE PROCEDURE nothing() LANGUAGE sql AS '';
CREATE AGGREGATE total (integer) (sfunc = int4pl, stype = integer, initcond = '0');
CREATE TABLE orders (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
  customer_id integer NOT NULL
    REFERENCES customers ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED,
  state status NOT NULL DEFAULT 'new', states status[] DEFAULT ARRAY['new'::status],
  total price, twice integer GENERATED ALWAYS AS (twice(1)) STORED,
  during tsrange, tags text[] DEFAULT '{}', extra jsonb,
  CONSTRAINT fine CHECK (total > 0 AND state <> 'paid'::status),
  EXCLUDE USING gist (during WITH &&) WHERE (customer_id > 1));
ALTER TABLE orders DROP COLUMN extra;
ALTER TABLE orders ADD COLUMN note text;
ALTER TABLE orders ADD CONSTRAINT later CHECK (customer_id > 0) NOT VALID;
COMMENT ON CONSTRAINT fine ON orders IS 'why';
CREATE INDEX ix_lower ON customers (lower(name) text_pattern_ops, id DESC NULLS LAST)
  INCLUDE (born) WHERE mail IS NOT NULL AND length(name) > 2;
CREATE INDEX ix_tags ON orders USING gin (tags);
CREATE INDEX ix_mail ON customers (name COLLATE "C" varchar_pattern_ops, mail COLLATE "default");
CREATE INDEX ix_state ON orders (state, twice(customer_id)) WHERE state = 'new';
COMMENT ON INDEX ix_lower IS 'for search';
COMMENT ON TYPE status IS 'of an order';
CREATE SEQUENCE tickets AS integer START 5 INCREMENT 2 CYCLE;
CREATE VIEW open_orders WITH (security_barrier) AS
  WITH orders AS (SELECT id, customer_id FROM orders WHERE state = 'new')
  SELECT o.id, c.name, 'x.orders' AS x FROM orders o JOIN customers c ON c.id = o.customer_id;
CREATE MATERIALIZED VIEW sums AS
  SELECT customer_id, sum(total) AS total FROM orders GROUP BY 1;
CREATE UNIQUE INDEX ix_sums ON sums (customer_id);
CREATE TRIGGER touched BEFORE UPDATE ON orders FOR EACH ROW
  WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION touch();
CREATE TABLE logs (at timestamptz NOT NULL, what text) PARTITION BY RANGE (at);
CREATE TABLE logs_1 PARTITION OF logs
  FOR VALUES FROM ('2026-01-01+00') TO ('2026-02-01+00');
CREATE TABLE logs_rest PARTITION OF logs DEFAULT;
CREATE INDEX ON logs (at);
CREATE TABLE base (a integer);
CREATE TABLE child (b integer) INHERITS (base);
CREATE UNLOGGED TABLE pad (a integer) WITH (fillfactor = 70, autovacuum_enabled = off);
ALTER TABLE pad ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON pad FOR SELECT USING (a > 1);
CREATE RULE quiet AS ON DELETE TO base DO INSTEAD NOTHING;
"""

_Items = set[tuple[str, str, str]]

ALTERATIONS: dict[str, _Items] = {
    # Tables
    "CREATE TABLE more ()": {("table", "", "more")},
    "DROP TABLE pad": {("table", "", "pad"), ("column", "pad", "a")},
    "ALTER TABLE pad RENAME TO mat": {
        ("table", "", "pad"),
        ("column", "pad", "a"),
        ("table", "", "mat"),
        ("column", "mat", "a"),
    },
    "ALTER TABLE pad SET LOGGED": {("table", "", "pad")},
    "ALTER TABLE pad SET (fillfactor = 80)": {("table", "", "pad")},
    "ALTER TABLE pad DISABLE ROW LEVEL SECURITY": {("table", "", "pad")},
    "ALTER TABLE pad FORCE ROW LEVEL SECURITY": {("table", "", "pad")},
    "ALTER POLICY mine ON pad USING (a > 2)": {("table", "", "pad")},
    "DROP RULE quiet ON base": {("table", "", "base")},
    "ALTER TABLE orders REPLICA IDENTITY FULL": {("table", "", "orders")},
    "COMMENT ON TABLE customers IS 'who pays'": {("table", "", "customers")},
    "COMMENT ON TABLE customers IS NULL": {("table", "", "customers")},
    "ALTER TABLE child NO INHERIT base": {("table", "", "child")},
    "ALTER TABLE logs DETACH PARTITION logs_1": {("table", "", "logs_1")},
    # Columns
    "ALTER TABLE customers ADD COLUMN age integer": {
        ("column", "customers", "age"),
        ("table", "", "customers"),
    },
    "ALTER TABLE orders DROP COLUMN note": {
        ("column", "orders", "note"),
        ("table", "", "orders"),
    },
    "ALTER TABLE customers DROP COLUMN born CASCADE; ALTER TABLE customers ADD COLUMN born date"
    " DEFAULT current_date": {("index", "customers", "ix_lower")},
    "ALTER TABLE orders DROP COLUMN tags; ALTER TABLE orders ADD COLUMN tags text[] DEFAULT '{}';"
    "CREATE INDEX ix_tags ON orders USING gin (tags)": {("table", "", "orders")},
    "ALTER TABLE orders ALTER COLUMN note TYPE varchar(30)": {("column", "orders", "note")},
    'ALTER TABLE customers ALTER COLUMN mail TYPE text COLLATE "POSIX"': {
        ("column", "customers", "mail")
    },
    "ALTER TABLE orders ALTER COLUMN note SET NOT NULL": {("column", "orders", "note")},
    "ALTER TABLE customers ALTER COLUMN name DROP NOT NULL": {("column", "customers", "name")},
    "ALTER TABLE customers ALTER COLUMN born DROP DEFAULT": {("column", "customers", "born")},
    "ALTER TABLE orders ALTER COLUMN state SET DEFAULT 'paid'": {("column", "orders", "state")},
    "ALTER TABLE orders ALTER COLUMN id SET GENERATED BY DEFAULT": {("column", "orders", "id")},
    "ALTER TABLE orders ALTER COLUMN twice DROP EXPRESSION": {("column", "orders", "twice")},
    "COMMENT ON COLUMN customers.name IS 'all of it'": {("column", "customers", "name")},
    # Indexes
    "CREATE INDEX ix_note ON orders (note)": {("index", "orders", "ix_note")},
    "DROP INDEX ix_mail": {("index", "customers", "ix_mail")},
    "ALTER INDEX ix_tags RENAME TO ix_more": {
        ("index", "orders", "ix_tags"),
        ("index", "orders", "ix_more"),
    },
    "DROP INDEX ix_tags; CREATE INDEX ix_tags ON orders (tags)": {("index", "orders", "ix_tags")},
    "DROP INDEX ix_sums; CREATE INDEX ix_sums ON sums (customer_id)": {
        ("index", "sums", "ix_sums")
    },
    "DROP INDEX ix_sums; CREATE UNIQUE INDEX ix_sums ON sums (customer_id DESC)": {
        ("index", "sums", "ix_sums")
    },
    "DROP INDEX ix_sums; CREATE UNIQUE INDEX ix_sums ON sums (customer_id NULLS FIRST)": {
        ("index", "sums", "ix_sums")
    },
    "DROP INDEX ix_sums; CREATE UNIQUE INDEX ix_sums ON sums (customer_id) INCLUDE (total)": {
        ("index", "sums", "ix_sums")
    },
    "DROP INDEX ix_state; CREATE INDEX ix_state ON orders (state, twice(customer_id))": {
        ("index", "orders", "ix_state")
    },
    "DROP INDEX ix_state; CREATE INDEX ix_state ON orders (state, twice(customer_id + 1))"
    " WHERE state = 'new'": {("index", "orders", "ix_state")},
    "DROP INDEX ix_mail;"
    ' CREATE INDEX ix_mail ON customers (name COLLATE "C", mail COLLATE "default")': {
        ("index", "customers", "ix_mail")
    },
    "DROP INDEX ix_mail;"
    ' CREATE INDEX ix_mail ON customers (name COLLATE "C" varchar_pattern_ops, mail)': {
        ("index", "customers", "ix_mail")
    },
    "ALTER INDEX ix_tags SET (fastupdate = off)": {("index", "orders", "ix_tags")},
    "COMMENT ON INDEX ix_lower IS 'unused'": {("index", "customers", "ix_lower")},
    # Constraints
    "ALTER TABLE orders DROP CONSTRAINT orders_pkey": {("primary key", "orders", "orders_pkey")},
    "ALTER TABLE orders DROP CONSTRAINT orders_pkey; ALTER TABLE orders"
    " ADD CONSTRAINT orders_pkey PRIMARY KEY (id) DEFERRABLE": {
        ("primary key", "orders", "orders_pkey")
    },
    "ALTER TABLE orders ADD CONSTRAINT once UNIQUE (note, state)": {
        ("unique constraint", "orders", "once")
    },
    "ALTER TABLE customers DROP CONSTRAINT customers_mail_key; ALTER TABLE customers"
    " ADD CONSTRAINT customers_mail_key UNIQUE (mail, name)": {
        ("unique constraint", "customers", "customers_mail_key")
    },
    "ALTER TABLE orders VALIDATE CONSTRAINT later": {("check constraint", "orders", "later")},
    "ALTER TABLE orders DROP CONSTRAINT fine; ALTER TABLE orders"
    " ADD CONSTRAINT fine CHECK (total > 1 AND state <> 'paid'::status);"
    " COMMENT ON CONSTRAINT fine ON orders IS 'why'": {("check constraint", "orders", "fine")},
    "COMMENT ON CONSTRAINT fine ON orders IS 'because'": {("check constraint", "orders", "fine")},
    "ALTER TABLE orders ALTER CONSTRAINT orders_customer_id_fkey NOT DEFERRABLE": {
        ("foreign key", "orders", "orders_customer_id_fkey")
    },
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey; ALTER TABLE orders"
    " ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE SET NULL"
    " DEFERRABLE INITIALLY DEFERRED": {("foreign key", "orders", "orders_customer_id_fkey")},
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey; ALTER TABLE orders"
    " ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE ON UPDATE CASCADE"
    " DEFERRABLE INITIALLY DEFERRED": {("foreign key", "orders", "orders_customer_id_fkey")},
    "ALTER TABLE orders DROP CONSTRAINT orders_customer_id_fkey; ALTER TABLE orders"
    " ADD FOREIGN KEY (customer_id) REFERENCES customers ON DELETE CASCADE"
    " DEFERRABLE INITIALLY DEFERRED NOT VALID": {
        ("foreign key", "orders", "orders_customer_id_fkey")
    },
    "ALTER TABLE orders DROP CONSTRAINT orders_during_excl; ALTER TABLE orders"
    " ADD EXCLUDE USING gist (during WITH &&)": {
        ("exclusion constraint", "orders", "orders_during_excl")
    },
    "ALTER TABLE customers DISABLE TRIGGER ALL": {
        ("foreign key", "orders", "orders_customer_id_fkey")
    },
    # Types
    "ALTER TYPE status ADD VALUE 'late' AFTER 'new'": {("enum", "", "status")},
    "ALTER TYPE status RENAME VALUE 'paid' TO 'done'": {
        ("enum", "", "status"),
        ("check constraint", "orders", "fine"),
    },
    "COMMENT ON TYPE status IS NULL": {("enum", "", "status")},
    "ALTER DOMAIN price DROP NOT NULL": {("domain", "", "price")},
    "ALTER DOMAIN price SET DEFAULT 1": {("domain", "", "price")},
    "ALTER DOMAIN price DROP CONSTRAINT positive": {("domain", "", "price")},
    "ALTER TYPE pair ADD ATTRIBUTE c integer": {("type", "", "pair")},
    "DROP TYPE span": {("type", "", "span")},
    # Sequences
    "ALTER SEQUENCE tickets INCREMENT 3": {("sequence", "", "tickets")},
    "ALTER SEQUENCE tickets NO CYCLE": {("sequence", "", "tickets")},
    "ALTER SEQUENCE tickets MAXVALUE 100": {("sequence", "", "tickets")},
    "ALTER SEQUENCE tickets CACHE 10": {("sequence", "", "tickets")},
    "ALTER SEQUENCE tickets AS bigint": {("sequence", "", "tickets")},
    "ALTER SEQUENCE tickets OWNED BY orders.note": {
        ("sequence", "", "tickets"),
        ("sequence", "orders", "tickets"),
    },
    "DROP SEQUENCE tickets": {("sequence", "", "tickets")},
    # Views, functions, triggers
    "CREATE OR REPLACE VIEW open_orders WITH (security_barrier) AS"
    " SELECT id, ''::varchar(40) AS name, 'x.orders' AS x FROM orders": {
        ("view", "", "open_orders")
    },
    "ALTER VIEW open_orders RESET (security_barrier)": {("view", "", "open_orders")},
    "COMMENT ON COLUMN open_orders.x IS 'no table'": {("view", "", "open_orders")},
    "DROP MATERIALIZED VIEW sums": {
        ("materialized view", "", "sums"),
        ("index", "sums", "ix_sums"),
    },
    "CREATE OR REPLACE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS"
    " $$ BEGIN RETURN OLD; END $$": {("function", "", "touch()")},
    "ALTER FUNCTION pinned() STABLE": {("function", "", "pinned()")},
    "ALTER FUNCTION pinned() SET search_path TO public": {("function", "", "pinned()")},
    "ALTER FUNCTION pinned() SECURITY DEFINER": {("function", "", "pinned()")},
    "DROP PROCEDURE nothing()": {("procedure", "", "nothing()")},
    "DROP AGGREGATE total (integer); CREATE AGGREGATE total (integer)"
    " (sfunc = int4pl, stype = integer, initcond = '1')": {("function", "", "total(integer)")},
    "ALTER TABLE orders DISABLE TRIGGER touched": {("trigger", "orders", "touched")},
    "DROP TRIGGER touched ON orders; CREATE TRIGGER touched AFTER UPDATE ON orders FOR EACH ROW"
    " WHEN (OLD.state <> NEW.state) EXECUTE FUNCTION touch()": {("trigger", "orders", "touched")},
}
"""One alteration each, and the items of a shape that it touches."""

UNCOUNTED = (
    "ALTER TABLE pad SET (autovacuum_enabled = on)",
    "ALTER TABLE orders ALTER COLUMN note SET STATISTICS 500",
    "INSERT INTO customers (name) VALUES ('x')",
    "GRANT SELECT ON customers TO public",
    "ANALYZE customers",
    "SELECT nextval('tickets')",
    "ALTER TABLE orders DROP COLUMN note; ALTER TABLE orders ADD COLUMN note text",
    "REINDEX TABLE customers",
    "CLUSTER customers USING customers_pkey",
)
"""What leaves a schema the same."""
