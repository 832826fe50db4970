"""Rules about the whole file: what binds say about each other, and the rollout.

Enters: a `Config` and its `Document`.  Leaves: problems.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from orchestrator.config.bind_rules import problems_of
from orchestrator.config.document import Document, Items, Keys, Scalar, Table, dotted
from orchestrator.config.duplicates import Claim, Place, duplicates, place_of
from orchestrator.config.mistake import meant, shown
from orchestrator.config.model import WaveSection
from orchestrator.config.types import Bind, Config, Rollout, TenantEntry, TenantQuery
from orchestrator.errors import Problem


def all_problems(config: Config, document: Document) -> Iterator[Problem]:
    """Everything that is wrong between keys of the file."""
    for bind in config.binds.values():
        yield from problems_of(bind, document)
    for rule in _RULES:
        yield from rule(config, document)


def _some_bind(config: Config, document: Document) -> Iterator[Problem]:
    if not document.top.given("binds"):
        yield document.problem(
            (), "no bind is declared", "Add `binds:` with at least one: main: {url: ...}."
        )
    elif "binds" in document.top and not document.table("binds").lines:
        yield document.problem(
            ("binds",), "no bind is declared", "Add at least one: main: {url: ...}."
        )


def _known_binds(config: Config, document: Document) -> Iterator[Problem]:
    known = document.table("binds").lines
    if not known:
        return
    mentions: list[tuple[str, tuple[str | int, ...]]] = []
    if config.default_bind is not None:
        mentions.append((config.default_bind, ("default_bind",)))
    for name, bind in config.binds.items():
        # As written: Bind.depends_on also has the bind that a tenants query asks.
        listed = document.at(("binds", name, "depends_on"))
        mentions += [
            (one.text, ("binds", name, "depends_on", index))
            for index, one in enumerate(listed if isinstance(listed, Items) else ())
            if isinstance(one, Scalar)
        ]
        query = bind.tenants.value if bind.tenants else None
        if isinstance(query, TenantQuery):
            mentions.append((query.bind, ("binds", name, "tenants", "query", "bind")))
    for other, keys in mentions:
        if other not in known:
            yield document.problem(keys, f"there is no bind {shown(other)}", meant(other, known))


def _no_cycles(config: Config, document: Document) -> Iterator[Problem]:
    """One problem for each cycle, at the bind of it that the file has first."""
    done: set[str] = set()
    for start in config.binds:
        cycle = _cycle_from(start, config, done)
        if cycle:
            path = " -> ".join((*cycle, cycle[0]))
            key = (
                "depends_on" if document.table("binds", cycle[0]).given("depends_on") else "tenants"
            )
            yield document.problem(
                ("binds", cycle[0], key),
                f"the binds wait for each other: {path}",
                "Remove one of these dependencies (a tenants query is one too).",
            )


def _cycle_from(start: str, config: Config, done: set[str]) -> tuple[str, ...]:
    """The first cycle that can be reached from a bind; `done` are binds known to be in none."""
    path: list[str] = []
    waiting = [(start, False)]
    while waiting:
        name, left = waiting.pop()
        if left:
            path.pop()
            done.add(name)
            continue
        if name in path:
            cycle = path[path.index(name) :]
            done.update(path)
            return tuple(cycle)
        if name in done or name not in config.binds:
            continue
        path.append(name)
        waiting.append((name, True))
        waiting += [(other, False) for other in reversed(config.binds[name].depends_on)]
    return ()


def _one_bind_an_app(config: Config, document: Document) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, bind in config.binds.items():
        for index, app in enumerate(bind.apps):
            owner = owners.setdefault(app, name)
            if owner != name or app in bind.apps[:index]:
                yield document.problem(
                    ("binds", name, "apps", index),
                    f"the app {shown(app)} belongs to bind {owner} already",
                    "List it once; a single model goes elsewhere by its own bind key.",
                )


def _own_versions(config: Config, document: Document) -> Iterator[Problem]:
    owners: dict[str, str] = {}
    for name, bind in config.binds.items():
        for folder in bind.versions:
            # casefold: on macOS and Windows, Main and main are one folder.
            owner = owners.setdefault(str(folder).casefold(), name)
            if owner != name:
                key = ("versions",) if document.table("binds", name).given("versions") else ()
                yield document.problem(
                    ("binds", name, *key),
                    f"the revisions folder {shown(_relative(config, str(folder)))} is bind "
                    f"{owner}'s already",
                    "Give each bind a folder of its own.",
                )


def _relative(config: Config, folder: str) -> str:
    return folder.removeprefix(f"{config.root}/")


def _own_places(config: Config, document: Document) -> Iterator[Problem]:
    claims = [claim for bind in config.binds.values() for claim in _claims(bind, document)]
    yield from duplicates(claims)


def _claims(bind: Bind, document: Document) -> Iterator[Claim]:
    keys: tuple[str | int, ...] = ("binds", bind.name)
    if document.table(*keys).given("tenancy") is False:
        for server in bind.servers.values():
            if server.migration_url is not None:
                where = str(server.where)
                place = place_of(bind, server.migration_url)
                yield Claim(f"bind {bind.name}", where, dotted(keys), place)
        return
    seen: set[tuple[str, str | None]] = set()
    named = "{tenant}" in bind.tenant_name  # else all are in one place, which is said already
    entries = bind.tenants.entries if bind.tenants and bind.tenancy and named else ()
    for index, entry in enumerate(entries):
        entry_place = _entry_place(bind, entry)
        # The same tenant twice on one server is said by the bind's own rules, in better words.
        if entry_place is None or (entry.name, entry.server) in seen:
            continue
        seen.add((entry.name, entry.server))
        key = dotted((*keys, "tenants", "list", index))
        on = f" on {entry.server}" if entry.server else ""
        label = f"bind {bind.name}, tenant {shown(entry.name)}{on}"
        yield Claim(label, str(entry.where), key, entry_place)


def _entry_place(bind: Bind, entry: TenantEntry) -> Place | None:
    names = [entry.server] if entry.server else list(bind.servers)
    server = bind.servers.get(names[0]) if len(names) == 1 else None
    if server is None or server.migration_url is None:
        return None
    return place_of(bind, server.migration_url, entry.name)


def _waves(config: Config, document: Document) -> Iterator[Problem]:
    yield from wave_problems(config.rollout, document, ("rollout",))


def wave_problems(rollout: Rollout, document: Document, section: Keys) -> Iterator[Problem]:
    """What is wrong between the waves. section: the keys of the section in its file."""
    names: set[str] = set()
    greedy = ""
    for index, wave in enumerate(rollout.waves):
        keys = (*section, "waves", index)
        if wave.name in names:
            yield document.problem(
                (*keys, "name"), f"the wave {shown(wave.name)} stands here twice", "Rename one."
            )
        names.add(wave.name)
        if wave.percent is not None and wave.count is not None:
            yield document.problem(
                (*keys, "count"), "percent and count exclude each other", "Keep one of them."
            )
        if greedy:
            yield document.problem(
                keys,
                f"the wave {shown(wave.name)} gets no target: {shown(greedy)} before it takes all "
                "that are left",
                "Put it before that one, or give that one select, percent or count.",
            )
        elif _takes_all(document.table(*keys)):
            greedy = wave.name


def _takes_all(wave: Table) -> bool:
    """Whether a wave is meant for all that are left. A key that was refused, or is misspelt, is
    taken for one that narrows it."""
    select = wave.get("select")
    selects = bool(select.lines) if isinstance(select, Table) else wave.given("select")
    narrow = {"percent", "count", *wave.lines.keys() - WaveSection.model_fields.keys()}
    return not selects and not any(wave.given(key) for key in narrow)


_RULES: tuple[Callable[[Config, Document], Iterator[Problem]], ...] = (
    _some_bind,
    _known_binds,
    _no_cycles,
    _one_bind_an_app,
    _own_versions,
    _own_places,
    _waves,
)
