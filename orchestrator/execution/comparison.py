"""Models against histories: what autogenerate would write for a bind.

Enters: a project, a bind, and where to compare (a scratch database, or a target at head).
Leaves: a Draft.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.config import Bind
from orchestrator.config.urls import server_identity
from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import scratch_at
from orchestrator.fleet.engines import connect
from orchestrator.fleet.targets import all_targets
from orchestrator.fleet.types import Target
from orchestrator.revisions.author import Draft, NewRevision, draft
from orchestrator.revisions.options import hidden_tables


def compare(
    project: Project,
    bind: Bind,
    wanted: NewRevision,
    *,
    against: Target | None = None,
    drop_unowned: bool = False,
    hidden: Collection[str] | None = None,
) -> Draft:
    """Compare a bind's models with its history run on a scratch database, or with a target.

    hidden: tables in the target that do not count; those of other binds by default. Raises
    HistoryError when the target is not at head, and DatabaseError when there is no scratch
    database, or the history does not run there.
    """
    if against is not None:
        hidden = neighbours(project, against) if hidden is None else hidden
        return _compare_at(project, against, wanted, drop_unowned, hidden, read_only=True)
    with scratch_at(project, bind) as target:
        return _compare_at(project, target, wanted, drop_unowned)


def _compare_at(
    project: Project,
    target: Target,
    wanted: NewRevision,
    drop_unowned: bool,
    hidden: Collection[str] = (),
    *,
    read_only: bool = False,
) -> Draft:
    bind = target.bind
    try:
        with connect(target) as connection:
            if read_only:
                connection.exec_driver_sql(_READ_ONLY[connection.dialect.name])
                connection.commit()
            return draft(
                connection,
                project.history(bind.name),
                project.alembic,
                project.options(bind, target.schema, drop_unowned=drop_unowned, hidden=hidden),
                wanted,
                project.models.of(bind.name),
                hidden_tables(project.config).union(hidden),
            )
    except SQLAlchemyError as error:
        raise DatabaseError(
            Problem(
                f"the comparison failed: {str(error).splitlines()[0]}", where=f"target {target.id}"
            )
        ) from error


# Somebody's data stands there: whatever the project's env.py hooks do, the server refuses to write.
_READ_ONLY = {
    "postgresql": "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY",
    "mysql": "SET SESSION TRANSACTION READ ONLY",
    "mariadb": "SET SESSION TRANSACTION READ ONLY",
}


def neighbours(project: Project, target: Target) -> frozenset[str]:
    """The tables that other binds keep in the same database and schema."""
    place = _place(target)
    names = {
        other.bind.name
        for other in all_targets(project.config, project.config.binds.values())
        if other.bind.name != target.bind.name and _place(other) == place
    }
    theirs = frozenset(key for name in names for key in project.models.of(name).table_keys)
    return theirs - project.models.of(target.bind.name).table_keys


def _place(target: Target) -> tuple[object, ...]:
    url = target.server.migration_url
    if url is None:
        return (target.server.name,)
    return (server_identity(url), target.database or url.database, target.schema)
