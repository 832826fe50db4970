"""Which revisions lint looks at when no target is asked where it stands.

Enters: a project, binds, and what the command line says.  Leaves: Questions.  No target is touched;
the flavour is the bind's, else that of the server where its scratch databases are made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from alembic.util import CommandError
from sqlalchemy.exc import SQLAlchemyError

from orchestrator.config import Bind, Flavour
from orchestrator.errors import ConfigError, DatabaseError, HistoryError, Problem, UsageError
from orchestrator.execution.linting import Question
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import scratch_url
from orchestrator.fleet.engines import flavour_of, make_engine
from orchestrator.revisions.history import History
from orchestrator.revisions.recordings import Listener, Wanted, compile_cached
from orchestrator.revisions.types import Step

ASSUMED = {"postgresql": Flavour("postgresql", (16,)), "mysql": Flavour("mysql", (8, 4))}
"""What revisions are recorded for when nobody can tell the flavour."""


@dataclass(frozen=True, slots=True)
class Choice:
    """since: what an upgrade from this revision would run. revisions: these. everything: all. A
    revision may be written `bind:REV`."""

    since: str = ""
    revisions: tuple[str, ...] = ()
    everything: bool = False

    @property
    def given(self) -> bool:
        """Whether it chooses anything."""
        return bool(self.since or self.revisions or self.everything)


def chosen(
    project: Project, binds: Sequence[Bind], choice: Choice, listener: Listener
) -> tuple[Question, ...]:
    """The upgrades that a choice names, of these binds. Raises UsageError for a revision that none
    of them knows, and what `compile_cached` raises."""
    project.config.require(offline=[bind.name for bind in binds])
    histories = project.histories([bind.name for bind in binds])
    paths = {name: one.path((), one.upgrade("heads")) for name, one in histories.items()}
    wanted = {name: _wanted(histories[name], paths[name], choice) for name in histories}
    _all_known(histories, choice)
    taking = [bind for bind in binds if wanted[bind.name]]
    flavours = {bind.name: flavour_for(project, bind) for bind in taking}
    recorded = compile_cached(
        project.config,
        [
            Wanted(bind.name, flavours[bind.name], flavours[bind.name].name, paths[bind.name])
            for bind in taking
        ],
        listener,
    )
    return tuple(
        Question(
            bind.name,
            flavours[bind.name],
            tuple(
                (step, one.recording)
                for step, one in zip(paths[bind.name], compiled, strict=True)
                if step.revision in wanted[bind.name]
            ),
        )
        for bind, compiled in zip(taking, recorded, strict=True)
    )


def flavour_for(project: Project, bind: Bind) -> Flavour:
    """The flavour that a bind's revisions are looked at for; a server that does not answer leaves
    it assumed."""
    assumed = ASSUMED[bind.family or "postgresql"]
    if bind.flavour is not None:
        return bind.flavour.series
    with suppress(ConfigError, DatabaseError, SQLAlchemyError):
        engine = make_engine(scratch_url(project, bind))
        try:
            with engine.connect() as connection:
                return flavour_of(connection).series
        finally:
            engine.dispose()
    return assumed


def _wanted(history: History, path: Sequence[Step], choice: Choice) -> frozenset[str]:
    if choice.everything:
        return frozenset(step.revision for step in path)
    named = {name for text in choice.revisions if (name := _named(history, text)) is not None}
    start = _named(history, choice.since) if choice.since else None
    if start is not None:
        steps = history.path((start,), history.upgrade("heads"))
        named.update(step.revision for step in steps)
    return frozenset(named)


def _named(history: History, written: str) -> str | None:
    """The full id of a revision, as written for this bind; None when it does not know it."""
    bind, colon, name = written.rpartition(":")
    if (colon and bind != history.bind.name) or not history.resolves(name):
        return None
    try:
        found = history.script.get_revision(name)
    except CommandError as error:  # several heads, for one
        raise HistoryError(
            Problem(str(error), f"bind {history.bind.name}", todo="Write the revision's id.")
        ) from error
    return str(found.revision) if found is not None else None


def _all_known(histories: Mapping[str, History], choice: Choice) -> None:
    unknown = [
        text
        for text in (*choice.revisions, *([choice.since] if choice.since else ()))
        if not any(_named(one, text) for one in histories.values())
    ]
    if unknown:
        raise UsageError(
            [
                Problem(
                    f"no selected bind knows the revision {text!r}",
                    todo="See `orchestrator history`.",
                )
                for text in unknown
            ]
        )
