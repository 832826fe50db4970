"""Revisions that use what real ones use, for comparing recordings with stock Alembic.

Enters: nothing. Leaves: BOTH, POSTGRESQL and MYSQL: bodies of revision files.
"""

from __future__ import annotations

BOTH = (
    # Tables with everything that has a name, and indexes in whatever order.
    r"""
    def upgrade():
        op.create_table(
            "account",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String(80), nullable=False, index=True, comment="what's it"),
            sa.Column("mail", sa.String(80), index=True),
            sa.Column("state", sa.Enum("new", "it's", name="state"), server_default="new"),
            sa.Column("balance", sa.Numeric(12, 4), server_default=sa.text("0")),
            sa.Column("made", sa.DateTime, server_default=sa.func.now()),
            sa.UniqueConstraint("name"),
            sa.CheckConstraint("balance > -100", name="ck_balance"),
            comment="100% \\ ; -- :x",
        )
        op.create_table(
            "note",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("account_id", sa.Integer, sa.ForeignKey("account.id", name="fk_note")),
            sa.Column("body", sa.Text),
            sa.Column("data", sa.JSON),
            sa.Column("raw", sa.LargeBinary(1000)),
            sa.Column("day", sa.Date),
            sa.Column("at", sa.DateTime),
            sa.Column("flag", sa.Boolean),
            sa.Column("share", sa.Float),
            sa.Column("key", sa.Uuid),
        )
        op.create_index("ix_note_pair", "note", ["account_id", "day"])
    """,
    # Rows through bulk_insert, with defaults that only Python knows.
    r"""
    def upgrade():
        calls = iter(range(1000, 2000))
        note = sa.table(
            "note",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("body", sa.Text, default=lambda: f"made in Python {next(calls)}"),
            sa.Column("data", sa.JSON),
            sa.Column("raw", sa.LargeBinary),
            sa.Column("day", sa.Date, default=datetime.date(2020, 2, 29)),
            sa.Column("at", sa.DateTime),
            sa.Column("flag", sa.Boolean, default=True),
            sa.Column("share", sa.Float),
            sa.Column("key", sa.Uuid),
        )
        op.bulk_insert(
            note,
            [
                {"id": 1, "data": {"a": 'quo"te', "b": None, "c": "it's %s :x"}, "raw": b"\0'\\\n"},
                {"id": 2, "data": sa.JSON.NULL, "raw": b""},
                {"id": 3, "data": None, "raw": bytes(range(256))},
            ],
        )
        op.bulk_insert(
            note,
            [
                {"id": 10, "body": "tab\there\\n % %% %s %(x)s :x ::y 'q' \"d\" ;-- # /* $1 $$"},
                {"id": 11, "body": "line\nbreak\r\nand \\ \\\\ \\' end\\"},
                {"id": 12, "body": "Straße 中文 \U0001f600 \u200b"},
            ],
        )
        op.bulk_insert(note, [{"id": 20, "body": "one alone", "share": 0.1}], multiinsert=False)
        op.execute(
            note.insert().values(
                id=21,
                body="values",
                at=datetime.datetime(2021, 3, 4, 5, 6, 7),
                share=1e-9,
                key=uuid.UUID("12345678-1234-5678-1234-567812345678"),
            )
        )
    """,
    # Text, in all the ways that people write it.
    r"""
    def upgrade():
        op.execute("INSERT INTO note (id, body) VALUES (30, 'plain 100% \t %s')")
        op.execute(sa.text("INSERT INTO note (id, body) VALUES (31, 'escaped \\:x')"))
        op.execute(
            sa.text("INSERT INTO note (id, body) VALUES (:i, :b)").bindparams(i=32, b="a:b%c\\d\te")
        )
        op.execute("UPDATE note SET body = 'twice %%' WHERE id = 30 -- a trailing comment")
        bind = op.get_bind()
        bind.execute(
            sa.text("INSERT INTO note (id, body) VALUES (:i, :b)"),
            [{"i": 33, "b": "many 1"}, {"i": 34, "b": "many % 2"}],
        )
        bind.exec_driver_sql("INSERT INTO note (id, body) VALUES (%s, %s)", (35, "driver %"))
        if bind.dialect.name in ("postgresql", "mysql", "mariadb") and bind.engine.name:
            account = sa.table(
                "account",
                sa.column("id", sa.Integer),
                sa.column("name"),
                sa.column("balance", sa.Numeric(12, 4)),
            )
            op.execute(
                account.insert().values(id=500, name="O'Neil", balance=decimal.Decimal("1.2300"))
            )
            twice = account.c.balance * 2
            op.execute(account.update().where(account.c.id == 500).values(balance=twice))
            op.execute(account.delete().where(account.c.name.like("100%")))
        with bind.begin_nested():
            op.execute("UPDATE note SET share = 2 WHERE id = 1")
    """,
    # A single row with a key that the server gives, which SQLAlchemy fetches by itself.
    r"""
    def upgrade():
        account = sa.Table(
            "account",
            sa.MetaData(),
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("name", sa.String(80)),
        )
        op.execute(account.insert().values(name="keyed"))
        result = op.get_bind().execute(account.insert().values(name="keyed too"))
        touched = 0
        touched += result.rowcount
        made = result.inserted_primary_key
    """,
    # Alterations, in a batch and without.
    r"""
    def upgrade():
        op.add_column("account", sa.Column("nick", sa.String(20), server_default="x%y"))
        op.alter_column("account", "mail", existing_type=sa.String(80), type_=sa.String(120))
        op.alter_column("account", "nick", existing_type=sa.String(20), nullable=False,
                        existing_server_default="x%y")
        with op.batch_alter_table("account") as batch:
            batch.add_column(sa.Column("extra", sa.Integer))
            batch.create_unique_constraint("uq_extra", ["extra"])
            batch.alter_column("extra", new_column_name="more", existing_type=sa.Integer)
        op.create_table_comment("note", "tab\there", existing_comment=None)
        op.rename_table("note", "notes")
        op.drop_index("i_account_mail", table_name="account")
    """,
)

POSTGRESQL = (
    r"""
    def upgrade():
        mood = postgresql.ENUM("sad", "o'k", name="mood")
        mood.create(op.get_bind(), checkfirst=False)
        op.create_table(
            "typed",
            sa.Column("id", sa.BigInteger, sa.Identity(), primary_key=True),
            sa.Column("mood", postgresql.ENUM("sad", "o'k", name="mood", create_type=False)),
            sa.Column("tags", postgresql.ARRAY(sa.Text)),
            sa.Column("grid", postgresql.ARRAY(sa.Integer, dimensions=2)),
            sa.Column("doc", postgresql.JSONB),
            sa.Column("key", postgresql.UUID(as_uuid=True)),
            sa.Column("span", sa.Interval),
            sa.Column("period", postgresql.TSTZRANGE),
            sa.Column("numbers", postgresql.INT4RANGE),
            sa.Column("net", postgresql.INET),
            sa.Column("blob", sa.LargeBinary),
            sa.Column("amount", sa.Numeric(20, 10)),
            sa.Column("at", sa.DateTime(timezone=True)),
        )
        typed = sa.table(
            "typed",
            sa.column("mood", postgresql.ENUM("sad", "o'k", name="mood")),
            sa.column("tags", postgresql.ARRAY(sa.Text)),
            sa.column("grid", postgresql.ARRAY(sa.Integer, dimensions=2)),
            sa.column("doc", postgresql.JSONB),
            sa.column("key", postgresql.UUID(as_uuid=True)),
            sa.column("span", sa.Interval),
            sa.column("period", postgresql.TSTZRANGE),
            sa.column("numbers", postgresql.INT4RANGE),
            sa.column("net", postgresql.INET),
            sa.column("blob", sa.LargeBinary),
            sa.column("amount", sa.Numeric(20, 10)),
            sa.column("at", sa.DateTime(timezone=True)),
        )
        utc = datetime.timezone.utc
        day = datetime.datetime(2024, 1, 1, tzinfo=utc)
        op.bulk_insert(typed, [
            {"mood": "o'k", "tags": ["a,b", 'q"', "it's", None, "\\", "%", "{}"],
             "grid": [[1, 2], [3, 4]], "doc": {"k": ["\u2028", "\\", "\t", None, 1.5]},
             "key": uuid.UUID(int=7), "span": datetime.timedelta(days=1, seconds=3.5),
             "period": postgresql.Range(day, None), "numbers": postgresql.Range(1, 9, bounds="[]"),
             "net": "10.0.0.0/8", "blob": b"\0\xff\\'",
             "amount": decimal.Decimal("12345.0123456789"), "at": day},
            {"mood": None, "tags": [], "grid": None, "doc": postgresql.JSONB.NULL, "key": None,
             "span": None, "period": None, "numbers": None, "net": None, "blob": b"",
             "amount": decimal.Decimal("NaN"), "at": None},
        ])
    """,
    # Alembic remembers over the revisions of a run that the type is there.
    r"""
    def upgrade():
        op.create_table("moods", sa.Column("mood", postgresql.ENUM("x", "y", name="again")))
    """,
    r"""
    def upgrade():
        op.create_table("moods_too", sa.Column("mood", sa.Enum("x", "y", name="again")))
    """,
    r"""
    def upgrade():
        op.execute('''
            CREATE FUNCTION shout(what text) RETURNS text AS $body$
            BEGIN
                -- a comment; with a semicolon 'and a quote
                RETURN upper(what) || '%' || E'\\t';
            END;
            $body$ LANGUAGE plpgsql
        ''')
        op.execute("INSERT INTO typed (tags) VALUES ('{a}');\n"
                   "INSERT INTO typed (net) VALUES ('::1')")
        op.execute("SELECT setval(pg_get_serial_sequence('typed', 'id'), 100)")
        op.execute("INSERT INTO typed (tags) VALUES (ARRAY[shout('hey')]);")
        op.create_table("many", sa.Column("id", sa.Integer), sa.Column("v", sa.Text))
        op.bulk_insert(
            sa.table("many", sa.column("id"), sa.column("v")),
            [{"id": i, "v": f"{i}%"} for i in range(2500)],
        )
        op.get_bind().execute(
            sa.text("UPDATE typed SET doc = CAST(:d AS jsonb) WHERE id = :i"), {"d": "{}", "i": 1}
        )
    """,
    r"""
    def upgrade():
        op.add_column("typed", sa.Column("late", sa.Integer))
        with op.get_context().autocommit_block():
            op.execute("ALTER TYPE mood ADD VALUE 'new'")
            op.create_index("ix_late", "typed", ["late"], postgresql_concurrently=True)
            op.create_index(
                "ix_some", "typed", [sa.text("lower(tags[1])")], if_not_exists=True,
                postgresql_where=sa.text("late > 0"), postgresql_using="btree",
                postgresql_concurrently=True,
            )
        op.execute("UPDATE typed SET mood = 'new'")
        op.drop_index("ix_gone", table_name="typed", if_exists=True)
    """,
    r"""
    def upgrade():
        op.execute("INSERT INTO typed (late) VALUES (77)")
        op.execute("COMMIT")
        op.execute("CREATE INDEX CONCURRENTLY ix_by_hand ON typed (amount)")
    """,
)

MYSQL = (
    r"""
    def upgrade():
        op.create_table(
            "typed",
            sa.Column("id", mysql.BIGINT(unsigned=True), primary_key=True, autoincrement=True),
            sa.Column("kind", mysql.ENUM("a", "it's")),
            sa.Column("flags", mysql.SET("x", "y")),
            sa.Column("tiny", mysql.TINYINT(1)),
            sa.Column("blob", mysql.MEDIUMBLOB),
            sa.Column("doc", mysql.JSON),
            sa.Column("amount", mysql.DECIMAL(20, 10)),
            sa.Column("at", mysql.DATETIME(fsp=6)),
            sa.Column("span", mysql.TIME(fsp=3)),
            sa.Column("long", mysql.LONGTEXT(collation="utf8mb4_bin")),
            mysql_engine="InnoDB",
            mysql_charset="utf8mb4",
        )
        typed = sa.table(
            "typed",
            sa.column("kind", mysql.ENUM("a", "it's")),
            sa.column("flags", mysql.SET("x", "y")),
            sa.column("tiny", mysql.TINYINT(1)),
            sa.column("blob", mysql.MEDIUMBLOB),
            sa.column("doc", mysql.JSON),
            sa.column("amount", mysql.DECIMAL(20, 10)),
            sa.column("at", mysql.DATETIME(fsp=6)),
            sa.column("span", mysql.TIME(fsp=3)),
            sa.column("long", mysql.LONGTEXT),
        )
        op.bulk_insert(typed, [
            {"kind": "it's", "flags": {"x"}, "tiny": 1, "blob": bytes(range(256)),
             "doc": {"k": ["\\", "\t", None, "%", "it's"]},
             "amount": decimal.Decimal("1.0000000001"),
             "at": datetime.datetime(2024, 2, 29, 1, 2, 3, 456789),
             "span": datetime.timedelta(hours=30, milliseconds=7),
             "long": "\0\x1a\\ ' \" % \U0001f600"},
            {"kind": None, "flags": None, "tiny": 0, "blob": b"", "doc": sa.JSON.NULL,
             "amount": None, "at": None, "span": None, "long": ""},
        ])
        op.bulk_insert(typed, [{"long": "x" * 700_000}, {"long": "y" * 700_000}, {"long": "%s"}])
    """,
    r"""
    def upgrade():
        op.execute('''
            CREATE PROCEDURE tidy() BEGIN
                -- a comment; and a quote'
                DELETE FROM typed WHERE `long` = '%';
                COMMIT;
            END
        ''')
        op.execute("CREATE TRIGGER t BEFORE INSERT ON typed FOR EACH ROW SET NEW.tiny = 2")
        op.execute("INSERT INTO typed (`long`) VALUES ('a\\tb\\\\c')")
        with op.get_context().autocommit_block():
            op.execute("ALTER TABLE typed ADD COLUMN late INT, ALGORITHM=INPLACE")
            op.execute("UPDATE typed SET late = 5")
        op.create_index("ix_typed", "typed", ["late"], mysql_length={})
        op.execute("START TRANSACTION")
        op.execute("UPDATE typed SET late = late + 1")
        op.execute("COMMIT")
        op.execute("/* why */ UPDATE typed SET late = late + 1 # and a comment")
    """,
)
