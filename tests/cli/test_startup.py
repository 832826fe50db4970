"""Start-up: what a verb imports, and what Python's collector is left to look at."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.cli.small import SmallProject, environment, rows, shown, small_project

OFFLINE = """
apps: {packages: [apps]}
binds:
  main: {url: "postgresql://app@127.0.0.1:1/main"}
"""

ONLINE = """
apps: {{packages: [apps]}}
binds:
  main: {{url: {url}}}
"""

# `orchestrator` as its script runs it, and then what became of the process, on stderr's last line.
_PROBE = """
import gc, json, sys
from orchestrator.cli.main import main
try:
    main()
except SystemExit:
    told = {"modules": [name for name, module in sys.modules.items() if module is not None],
            "collects": gc.isenabled(), "frozen": gc.get_freeze_count(),
            "collections": gc.get_stats()[0]["collections"]}
    print(json.dumps(told), file=sys.stderr)
"""

_SHOWN_ON_TERMINALS = {"rich", "pygments"}
_MODELS = {"orchestrator.discovery.discover", "sqlalchemy.orm"}
_SQL = {"sqlalchemy", "alembic", "yaml"}
# What steps need that read results, what --sql writes, and what --verify compares.
_OTHER_ROADS = {
    "orchestrator.execution.live_run",
    "orchestrator.cli.bundle",
    "orchestrator.checks.fingerprint",
    "orchestrator.checks.lint",
}


@dataclass(frozen=True)
class Ended:
    """A command's process at its end. frozen: how many objects its collector leaves alone.
    collections: how often it has looked at young ones."""

    modules: frozenset[str]
    collects: bool
    frozen: int
    collections: int


@pytest.fixture(scope="module")
def offline(tmp_path_factory: pytest.TempPathFactory) -> SmallProject:
    """A project whose server cannot be reached: what a verb imports is the same."""
    project = small_project(tmp_path_factory.mktemp("offline"), OFFLINE)
    project.revision("main", "aa11")
    return project


def ended(folder: Path, *arguments: str) -> Ended:
    """Run a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-c", _PROBE, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=90,
        check=True,
    )
    told = json.loads(done.stderr.splitlines()[-1])
    modules = frozenset(told["modules"])
    return Ended(modules, told["collects"], told["frozen"], told["collections"])


@pytest.mark.parametrize(
    ("arguments", "spared"),
    [
        (["--help"], _SHOWN_ON_TERMINALS | _MODELS | _SQL),
        (["status"], _SHOWN_ON_TERMINALS | _MODELS),
        (["plan"], _SHOWN_ON_TERMINALS | _MODELS),
        (["history"], _SHOWN_ON_TERMINALS | _MODELS),
        (["upgrade", "--all"], _SHOWN_ON_TERMINALS | _OTHER_ROADS),
        (["upgrade", "--help"], _SHOWN_ON_TERMINALS | _MODELS),
    ],
    ids=lambda one: " ".join(one) if isinstance(one, list) else "",
)
def test_a_verb_imports_only_what_it_needs(
    offline: SmallProject, arguments: list[str], spared: set[str]
) -> None:
    assert not spared & ended(offline.root, *arguments).modules


def test_compiled_steps_are_run_with_what_they_need(
    tmp_path: Path, pg_database: Callable[[], URL]
) -> None:
    url = pg_database()
    project = small_project(tmp_path, ONLINE.format(url=shown(url)))
    project.revision("main", "aa11", "op.create_table('t', sa.Column('id', sa.Integer))")
    process = ended(tmp_path, "upgrade", "--all")
    assert rows(url, "SELECT version_num FROM alembic_version") == [("aa11",)]
    spared = _OTHER_ROADS | _MODELS
    assert spared & process.modules == set()


def test_what_is_spared_is_imported_where_it_is_needed(offline: SmallProject) -> None:
    assert ended(offline.root, "apps").modules >= _MODELS | _SQL


def test_what_was_imported_is_not_collected_and_the_rest_is(offline: SmallProject) -> None:
    process = ended(offline.root, "status")
    assert process.collects
    # SQLAlchemy and Alembic alone are some fifty thousand objects.
    assert process.frozen > 50_000
    # It is 40 under Python 3.11, and was 200 while imports were walked.
    assert process.collections < 100


def test_a_caller_that_goes_on_keeps_its_collector(offline: SmallProject) -> None:
    before = gc.isenabled(), gc.get_freeze_count()
    assert offline.run_here("history").code == 0
    assert (gc.isenabled(), gc.get_freeze_count()) == before


def test_mako_colours_for_who_comes_later() -> None:
    probe = (
        "import sys\nfrom orchestrator.cli import startup\n"
        "with startup.imports():\n    import mako.exceptions\n"
        "assert 'pygments' not in sys.modules\n"
        "assert mako.exceptions.pygments_html_formatter is None\n"
        "import mako.ext.pygmentplugin\nassert 'pygments' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", probe], env=environment(), check=True)
