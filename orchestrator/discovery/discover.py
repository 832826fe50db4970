"""App packages -> a MetaData set for each bind.

Enters: Config (its apps, binds and default_bind).
Leaves: `Models`, or a DiscoveryError with everything that is wrong, each with its file and line.

The way: finding (which apps) -> importing (their models) -> tables (what they define) -> placing
(which bind) -> conflicts -> metadata (a set for each bind).
"""

from __future__ import annotations

from collections.abc import Iterable

from orchestrator.config import Config, Where
from orchestrator.discovery.conflicts import conflicts
from orchestrator.discovery.finding import Finder
from orchestrator.discovery.importing import Importer, LoadedApp
from orchestrator.discovery.metadata import metadata_sets
from orchestrator.discovery.placing import PlacedTable, place
from orchestrator.discovery.project import Project
from orchestrator.discovery.sources import Sources
from orchestrator.discovery.tables import FoundTable, find_tables
from orchestrator.discovery.types import Models, ModelTable
from orchestrator.errors import DiscoveryError, Problem


def discover(config: Config) -> Models:
    """Import the project's models and tell which bind each table belongs to.

    The project's folder is put at the front of sys.path and stays there. Modules that are already
    imported are not imported again.

    Raises DiscoveryError for: a listed app or package that does not exist, cannot be imported or
    defines no table; no app or no table at all; a table without a bind, or with an unknown one; a
    bind that lists an unknown app; a table defined twice in a bind; a foreign key that leaves its
    bind or leads nowhere. Import faults are told first, alone: what they hide would look like
    further faults.
    """
    project, sources = Project(config.root), Sources()
    project.enter()
    finder = Finder(config, project, sources)
    candidates = finder.find()
    importer = Importer(project, sources)
    apps = importer.load(candidates)
    _raise_any([*finder.problems, *importer.problems()])
    found = find_tables(project, sources, importer.recorder, apps)
    _raise_any(_without_tables(apps, found))
    placement = place(found, [one.app for one in apps], config)
    _raise_any([*placement.problems, *conflicts(placement.tables)])
    return Models(
        apps=tuple(one.app for one in apps),
        tables=tuple(_model_table(one) for one in placement.tables),
        metadata=metadata_sets(placement.tables, _default(config)),
    )


def _raise_any(problems: list[Problem]) -> None:
    """Raise all problems, each once (two sources may list the same broken app)."""
    if problems:
        raise DiscoveryError(dict.fromkeys(problems))


def _default(config: Config) -> str | None:
    return next(iter(config.binds)) if len(config.binds) == 1 else config.default_bind


def _without_tables(apps: Iterable[LoadedApp], found: tuple[FoundTable, ...]) -> list[Problem]:
    """Apps whose models were imported, and in which no table was seen."""
    with_tables = {one.app.name for one in found if one.app is not None}
    return [
        Problem(
            f"app {one.app.name} defines no table",
            f"{Where(one.app.file, 1)}",
            todo="Define a model in it, list the module that does as `apps.modules`, or take the "
            "app out.",
        )
        for one in apps
        if one.app.name not in with_tables
    ]


def _model_table(one: PlacedTable) -> ModelTable:
    found = one.found
    return ModelTable(
        key=found.table.key,
        app=found.app.name if found.app else "",
        bind=one.bind,
        model=found.model.__name__ if found.model else None,
        file=found.where.file,
        line=found.where.line,
        rule=one.rule,
    )
