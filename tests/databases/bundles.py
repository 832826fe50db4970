"""Running a DBA's bundle as a DBA does: `run-all.sh`, with the clients that belong to the servers.

Enters: a bundle's folder, and the URLs of its servers.  Leaves: what run-all.sh said, and
results.csv.
"""

from __future__ import annotations

import csv
import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL, make_url

from servers.clients import native_client
from servers.postgresql import wheel_programs


@dataclass(frozen=True, slots=True)
class Ran:
    """What run-all.sh said, and its exit code."""

    code: int
    said: str


def client_folder(folder: Path) -> Path:
    """A folder with psql, mysql and mariadb in it, each the client of its server."""
    folder.mkdir(parents=True, exist_ok=True)
    commands: dict[str, tuple[str, ...]] = {"psql": (str(wheel_programs() / "psql"),)}
    commands |= {name: native_client(name) for name in ("mysql", "mariadb")}
    for name, command in commands.items():
        file = folder / name
        file.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n', encoding="utf-8")
        file.chmod(0o755)
    return folder


def environment(urls: Iterable[URL | str], clients: Path) -> dict[str, str]:
    """The variables by which a DBA's clients find users and passwords."""
    found = {"PATH": f"{clients}:{os.environ['PATH']}"}
    for url in map(make_url, urls):
        names = (
            ("PGUSER", "PGPASSWORD")
            if url.get_backend_name() == "postgresql"
            else ("MYSQL_USER", "MYSQL_PWD")
        )
        found |= dict(zip(names, (str(url.username), str(url.password)), strict=True))
    return found


def run_all(folder: Path, environ: Mapping[str, str], *arguments: str) -> Ran:
    """Run a bundle's run-all.sh by the plainest shell there is."""
    done = subprocess.run(
        ["sh", "./run-all.sh", *arguments],
        cwd=folder,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    return Ran(done.returncode, done.stdout + done.stderr)


def results(folder: Path, name: str = "results.csv") -> dict[str, dict[str, str]]:
    """The last line of results.csv for each target, by the name of its schema or database."""
    with (folder / name).open(encoding="utf-8", newline="") as file:
        return {row["schema"] or row["database"]: row for row in csv.DictReader(file)}
