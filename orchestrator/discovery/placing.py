"""Which bind each table belongs to.

Enters: `FoundTable`s and the configuration.
Leaves: `PlacedTable`s, or what must be written so that every table has a bind.

The first rule that applies: `__bind_key__` on the class, or `info["bind_key"]` on the table;
`info["bind_key"]` on its MetaData (Flask-SQLAlchemy sets both, and None means its default); the
bind that lists the table's app; `default_bind`, or the only bind. A table without an app falls
through to the last rule.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from orchestrator.config import Bind, Config
from orchestrator.discovery.project import did_you_mean
from orchestrator.discovery.tables import FoundTable
from orchestrator.discovery.types import App
from orchestrator.errors import Problem


@dataclass(frozen=True, slots=True)
class PlacedTable:
    """A table, its bind, and the rule that placed it, in words."""

    found: FoundTable
    bind: str
    rule: str


@dataclass(frozen=True, slots=True)
class Placement:
    """All tables that have a bind, and what is wrong with the others."""

    tables: tuple[PlacedTable, ...]
    problems: tuple[Problem, ...]


def place(found: Iterable[FoundTable], apps: Iterable[App], config: Config) -> Placement:
    """Give every table its bind."""
    owners, problems = _owners(tuple(apps), config)
    placed: list[PlacedTable] = []
    homeless: dict[str, list[FoundTable]] = {}
    for one in found:
        key, rule = _bind_key(one)
        if key is not None:
            if isinstance(key, str) and key in config.binds:
                placed.append(PlacedTable(one, key, rule))
            else:
                problems.append(_unknown_key(one, key, rule, config))
            continue
        bind, rule = _by_app(one, owners, config)
        if bind is None:
            homeless.setdefault(one.app.name if one.app else "", []).append(one)
        else:
            placed.append(PlacedTable(one, bind, rule))
    problems += [_homeless(app, tables, config) for app, tables in homeless.items()]
    return Placement(tuple(placed), tuple(problems))


def _bind_key(one: FoundTable) -> tuple[object, str]:
    on_class = getattr(one.model, "__bind_key__", None)
    if on_class is not None:
        return on_class, "__bind_key__"
    on_table = one.table.info.get("bind_key")
    if on_table is not None:
        return on_table, 'info["bind_key"]'
    return one.table.metadata.info.get("bind_key"), 'info["bind_key"] of its MetaData'


def _by_app(one: FoundTable, owners: dict[str, Bind], config: Config) -> tuple[str | None, str]:
    if one.app is not None and one.app.package in owners:
        bind = owners[one.app.package].name
        return bind, f"apps of bind {bind}"
    if config.default_bind is not None:
        return config.default_bind, "default_bind"
    if len(config.binds) == 1:
        return next(iter(config.binds)), "the only bind"
    return None, ""


def _owners(apps: tuple[App, ...], config: Config) -> tuple[dict[str, Bind], list[Problem]]:
    """The bind that lists each app, by the app's package. A bind lists names or packages."""
    owners: dict[str, Bind] = {}
    problems: list[Problem] = []
    names = [app.name for app in apps]
    for bind in config.binds.values():
        key = f"binds.{bind.name}.apps"
        for listed in bind.apps:
            app = next((one for one in apps if listed in (one.package, one.name)), None)
            if app is None:
                known = names + [one.package for one in apps]
                todo = f"Write one of: {', '.join(names)}.{did_you_mean(listed, known)}"
                what = f"there is no app {listed}"
                problems.append(Problem(what, str(bind.where), key, todo))
                continue
            first = owners.setdefault(app.package, bind)
            if first is not bind:
                what = f"app {app.name} is listed by the binds {first.name} and {bind.name}"
                todo = (
                    'Keep it in one of them; single models go elsewhere by `__bind_key__ = "..."`.'
                )
                problems.append(Problem(what, str(bind.where), key, todo))
    return owners, problems


def _unknown_key(one: FoundTable, key: object, rule: str, config: Config) -> Problem:
    hint = did_you_mean(key, config.binds) if isinstance(key, str) else ""
    return Problem(
        f"{one} names the bind {key!r} ({rule}), which {config.file.name} does not have",
        str(one.where),
        todo=f"Write one of: {', '.join(config.binds)}.{hint}",
    )


def _homeless(app: str, tables: list[FoundTable], config: Config) -> Problem:
    keys = ", ".join(one.table.key for one in tables)
    whose = f"app {app}" if app else "no app"
    say = f"`apps: [{app}]` under a bind" if app else 'info={"bind_key": "..."} on the table'
    default = f"`default_bind: {next(iter(config.binds), 'main')}`"
    return Problem(
        f"no bind takes the tables of {whose}: {keys}",
        str(tables[0].where),
        todo=f"Write {say}, or {default} in {config.file.name}.",
    )
