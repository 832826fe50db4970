"""Stock Alembic over a whole history, stop by stop: what orchestrator is compared with.

Runs in a process of its own, because Alembic and the revisions' imports stay there.  Enters:
STOCK_URL (the database) and STOCK_SCHEMA (of PostgreSQL) in the environment, and a folder with
`env.py`, `versions` and rows.json (for a revision, the statements that fill tables once the way up
has come there).  Leaves: in another folder stops.json, a `Stop` for each place where the walk
halted, and the database at each of them as text, <n>.txt.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.pool import NullPool

from tests.databases.dump import dump

STOCK_ENVIRONMENT = """\
import os

from alembic import context
from sqlalchemy import MetaData, create_engine
from sqlalchemy.pool import NullPool

with create_engine(os.environ["STOCK_URL"], poolclass=NullPool).connect() as connection:
    context.configure(
        connection=connection,
        target_metadata=MetaData(),
        render_as_batch=True,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()
"""


@dataclass(frozen=True)
class Stop:
    """One command of the walk. error: the first line of the server's message when it failed."""

    verb: str
    to: str
    error: str = ""


def walk(folder: Path, stride: int) -> Iterator[Stop]:
    """Up to head and back to base; a failure turns the walk around, and a second one ends it.

    stride: how many revisions are one step at the most; 0: as many as possible. On the way up the
    walk stops too where rows are to be filled in.
    """
    config = Config()
    config.set_main_option("script_location", str(folder))
    config.set_main_option("path_separator", "newline")
    line = [one.revision for one in ScriptDirectory.from_config(config).walk_revisions()][::-1]
    rows = json.loads((folder / "rows.json").read_text(encoding="utf-8"))
    url = make_url(os.environ["STOCK_URL"])
    halts = {number for number in range(1, len(line)) if stride and number % stride == 0}
    fill(url, rows.get("base", ()))
    reached = 0
    for number, revision in enumerate(line, start=1):
        if number in halts or revision in rows or number == len(line):
            stop = Stop("upgrade", revision, _run(config, "upgrade", revision))
            if not stop.error:
                fill(url, rows.get(revision, ()))
                reached = number
            yield stop
            if stop.error:
                break
    for revision in [*(line[one - 1] for one in sorted(halts)[::-1] if one < reached), "base"]:
        stop = Stop("downgrade", revision, _run(config, "downgrade", revision))
        yield stop
        if stop.error:
            break


def fill(url: URL, statements: Sequence[str]) -> None:
    """Run statements as they are, in one transaction."""
    with create_engine(url, poolclass=NullPool).begin() as connection:
        for one in statements:
            connection.exec_driver_sql(one.replace("%", "%%"))


def _run(config: Config, verb: str, revision: str) -> str:
    try:
        getattr(command, verb)(config, revision)
    except Exception as error:
        told = getattr(error, "orig", error)
        # PyMySQL's errors hold a number and the message.
        return str(told.args[-1]).strip().splitlines()[0]
    return ""


def main(folder: Path, out: Path, stride: int) -> None:
    """Walk, and write down each stop."""
    out.mkdir()
    url, schema = make_url(os.environ["STOCK_URL"]), os.environ["STOCK_SCHEMA"] or None
    stops = []
    for number, stop in enumerate(walk(folder, stride)):
        found = dump(url.difference_update_query(["options"]), schema)
        out.joinpath(f"{number}.txt").write_text(found, encoding="utf-8")
        stops.append(asdict(stop))
    out.joinpath("stops.json").write_text(json.dumps(stops), encoding="utf-8")
