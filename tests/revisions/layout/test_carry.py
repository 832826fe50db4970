"""What of an env.py comes along, and what is told instead."""

from __future__ import annotations

import ast
import textwrap
from pathlib import Path

import alembic
import pytest

from orchestrator.errors import UsageError
from orchestrator.revisions.layout.carry import carry
from orchestrator.revisions.layout.drafts import env_py
from orchestrator.revisions.layout.models import ModelFinder
from orchestrator.revisions.layout.types import Carried

HEAD = "from alembic import context\nconfig = context.config\n"


def read(tmp_path: Path, text: str, *, head: str = HEAD) -> Carried:
    source = head + textwrap.dedent(text)
    carried = carry(source, tmp_path / "env.py", tmp_path / "env_before.py", ModelFinder(tmp_path))
    ast.parse(env_py(carried, "env_before.py"))
    return carried


def left(carried: Carried) -> dict[str, str]:
    return {one.name: one.why for one in carried.left}


@pytest.mark.parametrize(
    "argument",
    ["compare_type=True", "user_module_prefix='x.'", "compare_server_default=lambda *a: None"],
)
def test_values_that_stand_alone(tmp_path: Path, argument: str) -> None:
    carried = read(tmp_path, f"context.configure(connection=None, {argument})\n")
    name, _, value = argument.partition("=")
    assert dict(carried.options) == {name: value}
    assert (carried.code, carried.left) == ("", ())


def test_a_function_comes_with_what_it_needs(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        import re, os
        from fnmatch import fnmatch
        # Old tables.
        OLD = ["old_*"]
        OLD.append("gone_*")
        UNUSED = 1

        def is_old(name):
            return any(fnmatch(name, one) for one in OLD)

        def include_name(name, type_, parents):
            return not is_old(name)

        def run():
            with connect() as connection:
                context.configure(connection=connection, include_name=include_name)
        run()
        """,
    )
    assert dict(carried.options) == {"include_name": "include_name"}
    assert carried.left == ()
    assert carried.code == textwrap.dedent(
        """
        from fnmatch import fnmatch
        # Old tables.
        OLD = ["old_*"]
        OLD.append("gone_*")


        def is_old(name):
            return any(fnmatch(name, one) for one in OLD)


        def include_name(name, type_, parents):
            return not is_old(name)
        """
    ).strip("\n")


def test_a_function_inside_the_function(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        def run(connection):
            def process(context, revision, directives):
                if getattr(config.cmd_opts, "autogenerate", False):
                    directives[:] = []
            def bound(*given):
                return connection
            context.configure(
                connection=connection, process_revision_directives=process, render_item=bound
            )
        """,
    )
    assert dict(carried.options) == {"process_revision_directives": "process"}
    assert carried.code.endswith("        directives[:] = []")
    assert "\ndef process(context" in carried.code
    assert left(carried) == {"render_item": "bound() uses connection, which only run() has"}


def test_keywords_of_a_dict(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        SHARED = {"compare_type": True, "version_table": "v"}
        changed = {"compare_type": True}
        changed["include_schemas"] = True
        context.configure(url="x", **SHARED, **changed, **settings.more)
        """,
    )
    assert dict(carried.options) == {"compare_type": "True"}
    assert dict(carried.settings) == {"version_table": "v"}
    assert set(left(carried)) == {"**changed", "**settings.more"}


@pytest.mark.parametrize(("value", "expected"), [("False", {"transaction": "path"}), ("True", {})])
def test_transactions_are_a_setting(tmp_path: Path, value: str, expected: dict[str, str]) -> None:
    carried = read(tmp_path, f"context.configure(transaction_per_migration={value})\n")
    assert dict(carried.settings) == expected
    assert (dict(carried.options), carried.left) == ({}, ())


def test_the_online_call_counts(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        def offline():
            context.configure(url="x", compare_type=False, include_schemas=True)
        def online(connection):
            context.configure(connection=connection, compare_type=True)
        """,
    )
    assert dict(carried.options) == {"compare_type": "True", "include_schemas": "True"}
    assert left(carried) == {"compare_type": "line 7 gives another value: it is taken"}


def test_imports_for_their_effect(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app/models.py").write_text("class A(Base):\n    __tablename__ = 'a'\n")
    (tmp_path / "app/ops.py").write_text("")
    carried = read(
        tmp_path,
        """
        import os, alembic_postgresql_enum
        from flask import current_app
        from sqlmodel import SQLModel
        import app.ops
        import app.models
        try:
            import alembic_utils
        except ImportError:
            pass
        target_metadata = SQLModel.metadata
        def run():
            context.configure(connection=current_app.db, target_metadata=target_metadata)
        """,
    )
    assert carried.code.split("\n")[:4] == [
        "import alembic_postgresql_enum",
        "from sqlmodel import SQLModel",
        "import app.ops",
        "",
    ]
    assert "import alembic_utils" in carried.code
    assert carried.left == ()


def test_what_the_file_does_besides(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        import asyncio, os, sys
        from dotenv import load_dotenv
        from logging.config import fileConfig
        load_dotenv()
        sys.path.append("lib")
        fileConfig(config.config_file_name)
        config.set_main_option("sqlalchemy.url", os.environ["APP_DATABASE_URL"])
        config.set_main_option("other", "x")
        config.compare_type = True
        if not os.getenv("STAGE"):
            raise SystemExit("no stage")
        wait_for_it()
        async def online():
            context.configure(connection=None, compare_type=True)
        if context.is_offline_mode():
            pass
        else:
            asyncio.run(online())
        """,
    )
    assert carried.url_variable == "APP_DATABASE_URL"
    assert "load_dotenv()" in carried.code
    assert 'sys.path.append("lib")' in carried.code
    for gone in ("fileConfig", "asyncio", "set_main_option", "online"):
        assert gone not in carried.code
    assert left(carried) == {
        "config.set_main_option('other', 'x')": "alembic.ini is not changed from env.py",
        "config.compare_type = True": "alembic.ini is not changed from env.py",
        "if not os.getenv('STAGE'):": "it would stop commands that need no database",
        "wait_for_it()": "it needs wait_for_it, which is not defined at the top of the file",
    }


def test_where_configure_is_called_elsewhere_nothing_is_run(tmp_path: Path) -> None:
    carried = read(tmp_path, "from lib import run\nrun(context)\n")
    assert (carried.code, dict(carried.options)) == ("", {})
    assert list(left(carried)) == ["run(context)"]


@pytest.mark.parametrize("argument", ["upgrade_token='x'", "version_table_schema='app'"])
def test_what_cannot_be_adopted_is_refused(tmp_path: Path, argument: str) -> None:
    with pytest.raises(UsageError, match=r"/env.py:3"):
        read(tmp_path, f"context.configure(connection=None, {argument})\n")


def test_no_python_at_all(tmp_path: Path) -> None:
    carried = carry("def (", tmp_path / "env.py", tmp_path / "env_before.py", ModelFinder(tmp_path))
    assert carried.left[0].name == "all of it"


def test_flask_migrate(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        import logging
        from flask import current_app
        logger = logging.getLogger("alembic.env")
        target_db = current_app.extensions["migrate"].db
        config.set_main_option("sqlalchemy.url", get_engine_url())
        if current_app.debug:
            logger.warning("debug")

        def run_migrations_online():
            def process_revision_directives(context, revision, directives):
                if getattr(config.cmd_opts, "autogenerate", False):
                    if directives[0].upgrade_ops.is_empty():
                        directives[:] = []
                        logger.info("No changes in schema detected.")
            conf_args = current_app.extensions["migrate"].configure_args
            if conf_args.get("process_revision_directives") is None:
                conf_args["process_revision_directives"] = process_revision_directives
            context.configure(connection=None, target_metadata=None, **conf_args)
        run_migrations_online()
        """,
    )
    assert "current_app" not in carried.code
    assert left(carried) == {
        "if current_app.debug:": "it needs current_app, which only Flask's own command has",
        "**conf_args": "its contents are not written out in the file",
    }


TEMPLATES = Path(alembic.__file__).parent / "templates"


@pytest.mark.parametrize("template", ["generic", "async", "pyproject", "pyproject_async"])
def test_alembics_own_templates_lose_nothing(tmp_path: Path, template: str) -> None:
    text = (TEMPLATES / template / "env.py").read_text(encoding="utf-8")
    assert read(tmp_path, text, head="").left == ()


@pytest.mark.parametrize(
    "statement",
    [
        """connection.execute(text("SET lock_timeout='4s'"))""",
        'connection.execute(text("SET ROLE owner"))',
        'connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS app")',
        'connection.dialect.default_schema_name = "app"',
        'event.listen(connectable, "connect", prepare)',
        "prepare(connection)",
        "found = prepare(connection)",
        "token = prepare()",
        "outside.take_lock()",
        'connection = connection.execution_options(isolation_level="AUTOCOMMIT")',
        "connection.run_sync(prepare)",
        'context.execute("SET ROLE owner")',
        'assert connection.dialect.name == "postgresql"',
        'raise RuntimeError("not here")',
    ],
)
@pytest.mark.parametrize("place", ["online", "block"])
def test_what_is_done_around_the_migrations_is_told(
    tmp_path: Path, statement: str, place: str
) -> None:
    block = "if connection.dialect.name == 'x':\n                    " * (place == "block")
    carried = read(
        tmp_path,
        f"""
        import outside
        from sqlalchemy import engine_from_config, event, text
        def prepare(*given):
            pass
        def online():
            connectable = engine_from_config(config.get_section("alembic"), prefix="sqlalchemy.")
            with connectable.connect() as connection:
                {block}{statement}
                context.configure(connection=connection, compare_type=True)
                with context.begin_transaction():
                    context.run_migrations()
        online()
        """,
    )
    (one,) = carried.left
    assert one.name == statement
    assert one.where.line == (12 if place == "block" else 11)
    assert f"line {one.where.line}: {statement}: {one.why}" in env_py(carried, "env_before.py")


def test_what_the_engine_is_made_with(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        import os
        from sqlalchemy import create_engine, event
        from shop.settings import get_settings
        def get_url():
            if "DB" not in os.environ:
                raise RuntimeError("no DB")
            return os.environ["DB"]
        def get_engine():
            engine = create_engine(get_url(), connect_args={"password": "s3cret"})
            event.listen(engine, "connect", print)
            return engine
        def offline():
            url = get_settings().url
            context.configure(url=url)
            with context.begin_transaction():
                context.run_migrations()
        def online():
            section = config.get_section(config.config_ini_section)
            section["sqlalchemy.url"] = get_url()
            connectable = config.attributes.get("connection", None)
            if connectable is None:
                connectable = get_engine()
            @event.listens_for(connectable, "connect")
            def prepared(connection, record):
                connection.cursor().execute("SET ROLE owner")
            try:
                with connectable.connect() as connection, connection.begin():
                    context.configure(connection=connection)
                    context.run_migrations()
                    connection.commit()
            finally:
                connectable.dispose()
        if context.is_offline_mode():
            offline()
        else:
            online()
        """,
    )
    assert [one.name for one in carried.left] == [
        "create_engine(connect_args=...)",
        'event.listen(engine, "connect", print)',
        "@event.listens_for(connectable, 'connect')",
    ]


def test_a_statement_over_several_lines_and_a_timeout(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        def online(connection):
            connection.execute(
                text("SET lock_timeout = '4s'")
            )
            context.configure(connection=connection)
        """,
    )
    (one,) = carried.left
    assert one.name.startswith("connection.execute(text(\"SET lock_timeout = '4s'\"")
    assert one.why.endswith("; set `lock_timeout:` of the bind")


def test_no_password_is_told(tmp_path: Path) -> None:
    carried = read(
        tmp_path,
        """
        from sqlalchemy import create_engine
        def online():
            with create_engine("mysql://h/d", connect_args={"password": "s3cret"}).begin() as one:
                context.configure(connection=one)
            prepare("mysql://app:s3cret@h/d")
        """,
    )
    assert [one.name for one in carried.left] == [
        "create_engine(connect_args=...)",
        'prepare("mysql://...@h/d")',
    ]
