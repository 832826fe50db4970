"""Tiny projects for the recorder's tests, and running what it recorded.

Enters: bodies of revision files. Leaves: a project on disk, its recordings, and databases that
were migrated by stock Alembic or by the recorded text alone.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg2
import pymysql
from alembic import command
from alembic.config import Config
from sqlalchemy import URL, Engine, create_engine, text
from sqlalchemy.pool import NullPool

from orchestrator.config import Flavour
from orchestrator.revisions.compile import CompileRequest, compile_steps
from orchestrator.revisions.types import Direction, Recording

IMPORTS = """
import datetime
import decimal
import uuid

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects import mysql, postgresql
"""

_CONVENTION = {"ix": "i_%(column_0_label)s", "uq": "u_%(table_name)s_%(column_0_name)s"}

_STOCK_ENV = f"""
from alembic import context
from sqlalchemy import MetaData

metadata = MetaData(naming_convention={_CONVENTION})
with context.config.attributes["engine"].connect() as connection:
    context.configure(
        connection=connection, target_metadata=metadata, transaction_per_migration=True
    )
    with context.begin_transaction():
        context.run_migrations()
"""

_ENV = """
from orchestrator.environment import run_migrations

run_migrations()
"""


def revision(body: str, number: int) -> str:
    """A revision file; body holds upgrade() and, if it likes, downgrade()."""
    before = None if number == 1 else f"r{number - 1}"
    head = f'revision = "r{number}"\ndown_revision = {before!r}\n'
    rest = "" if "def downgrade" in body else "\n\ndef downgrade():\n    pass\n"
    return f"{IMPORTS}\n{head}\n{textwrap.dedent(body)}{rest}"


def make_project(
    root: Path, bodies: Sequence[str], *, url: str = "postgresql://u@localhost/x", more: str = ""
) -> Path:
    """A project with one bind, `main`, and these revisions: r1, r2, ...

    more: lines to add below the bind.
    """
    versions = root / "migrations" / "versions" / "main"
    versions.mkdir(parents=True)
    for number, body in enumerate(bodies, start=1):
        (versions / f"r{number}.py").write_text(revision(body, number), encoding="utf-8")
    (root / "migrations" / "env.py").write_text(_ENV)
    app = root / f"apps_{root.name}" / "things"
    app.mkdir(parents=True)
    (app.parent / "__init__.py").touch()
    (app / "__init__.py").touch()
    (app / "models.py").write_text(
        "from sqlalchemy import Column, Integer, MetaData, Table\n\n"
        f"metadata = MetaData(naming_convention={_CONVENTION})\n"
        'thing = Table("thing", metadata, Column("id", Integer, primary_key=True))\n'
    )
    (root / "databases.yaml").write_text(
        f"apps: {{packages: [{app.parent.name}]}}\nbinds:\n  main:\n    url: {url}\n"
        + textwrap.indent(textwrap.dedent(more), "    ")
    )
    return root


def record(
    root: Path,
    flavour: str | Flavour,
    *,
    direction: Direction = Direction.UPGRADE,
    only: Sequence[str] = (),
    time_limit: float = 60.0,
    dialect: str = "",
) -> tuple[Recording, ...]:
    """The recordings of all steps of a project's bind, or of some."""
    found = len(list((root / "migrations" / "versions" / "main").glob("r*.py")))
    revisions = only or [f"r{number}" for number in range(1, found + 1)]
    return compile_steps(
        CompileRequest(
            root / "databases.yaml",
            root,
            "main",
            flavour if isinstance(flavour, Flavour) else Flavour.parse(flavour),
            tuple((one, direction) for one in revisions),
            dialect=dialect,
            time_limit=time_limit,
        )
    )


def statements(recording: Recording) -> list[str]:
    """All statements of a step that must be compiled."""
    assert not recording.live, recording.live
    return [text for segment in recording.segments for text in segment.statements]


def stock(root: Path, engine: Engine) -> Config:
    """A configuration of stock Alembic, with its own env.py, on a project's revisions."""
    folder = root / "stock"
    folder.mkdir(exist_ok=True)
    (folder / "env.py").write_text(_STOCK_ENV)
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("version_locations", str(root / "migrations" / "versions" / "main"))
    config.set_main_option("path_separator", "newline")
    config.attributes["engine"] = engine
    return config


def upgrade_with_stock(root: Path, url: URL, engine: Engine | None = None) -> None:
    """`alembic upgrade head`, on an engine of the caller's or a plain one."""
    command.upgrade(stock(root, engine or create_engine(url, poolclass=NullPool)), "head")


def replay(root: Path, url: URL, recordings: Sequence[Recording]) -> None:
    """Run the recorded text with the bare driver, then stamp, so that versions are equal too."""
    connection: Any = driver_connection(url)
    try:
        for recording in recordings:
            assert not recording.live, recording.live
            for segment in recording.segments:
                _autocommit(connection, not segment.transactional)
                with connection.cursor() as cursor:
                    for one in segment.statements:
                        cursor.execute(one.encode("utf-8", "surrogateescape"))
                if segment.transactional:
                    connection.commit()
    finally:
        connection.close()
    command.stamp(stock(root, create_engine(url, poolclass=NullPool)), "head")


def driver_connection(url: URL) -> Any:
    """A plain connection of the driver that ships, in the encoding that recordings are in."""
    if url.get_backend_name() == "postgresql":
        return psycopg2.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            dbname=url.database,
        )
    return pymysql.connect(
        host=url.host,
        port=url.port or 3306,
        user=url.username,
        password=url.password or "",
        database=url.database,
        charset="utf8mb4",
    )


def _autocommit(connection: Any, value: bool) -> None:
    if isinstance(connection, psycopg2.extensions.connection):
        connection.autocommit = value
    else:
        connection.autocommit(value)


def flavour_at(url: URL) -> Flavour:
    """The flavour and version of the server behind a URL."""
    engine = create_engine(url, poolclass=NullPool)
    with engine.connect() as connection:
        connection.execute(text("SELECT 1"))
        dialect: Any = connection.dialect
        name = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
        return Flavour.parse(f"{name}-{'.'.join(map(str, dialect.server_version_info[:3]))}")
