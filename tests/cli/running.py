"""Projects whose runs are looked up afterwards, and what the ledger says of them.

Enters: a database.  Leaves: a project with one target or with many; the last run, its
counts, its id.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from tests.cli.small import Said, SmallProject, shown, small_project

TENANTS = 60
SLOW = 'op.execute("CREATE TABLE items (id int)")\nop.execute("SELECT pg_sleep(0.1)")'


def fleet(root: Path, url: URL, *, ledger: str = "", body: str = SLOW) -> SmallProject:
    """A bind of its own, and one with 60 tenants, two at a time."""
    project = small_project(
        root,
        f"""
        {ledger}
        apps: {{packages: [apps]}}
        default_bind: main
        rollout: {{concurrency: 2}}
        binds:
          main: {{url: {shown(url)}}}
          shop:
            tenancy: schema
            create: true
            apps: []
            url: {shown(url)}
            tenants: {{list: [{", ".join(f"t{number}" for number in range(TENANTS))}]}}
        """,
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    project.revision("shop", "s1", body)
    return project


def one(root: Path, url: URL, *, ledger: str = "") -> SmallProject:
    """One target, one revision."""
    project = small_project(
        root,
        f"{ledger}\napps: {{packages: [apps]}}\nbinds: {{main: {{url: {shown(url)}}}}}\n",
    )
    project.revision("main", "m1", 'op.execute("CREATE TABLE items (id int)")')
    return project


def last(project: SmallProject, *arguments: str) -> Any:
    """The last run, for machines."""
    said = project.run("runs", "show", "last", "--json", *arguments)
    assert said.code == 0, said.all
    return said.json()


def counts(run: Any, bind: str) -> dict[str, int]:
    """The counts of one bind of a run."""
    (found,) = (one for one in run["binds"] if one["bind"] == bind)
    return {name: value for name, value in found.items() if name != "bind" and value}


def wait_for_progress(project: SmallProject, meanwhile: Callable[[], object] = lambda: None) -> Any:
    """Wait until the run that goes on has brought some targets to head, and give that run."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        meanwhile()
        time.sleep(0.1)
        runs = project.run_here("runs", "--json").json()
        if runs and sum(bind["done"] for bind in runs[0]["binds"]) >= 6:
            return runs[0]
    raise AssertionError("no target was brought to head")


def run_line(said: Said) -> str:
    """The id of the run that a summary ends with."""
    word, name = said.out.splitlines()[-1].split()
    assert word == "run"
    return name
