"""Models against histories: what autogenerate would write for a bind.

Enters: a project, a bind, and where to compare (a scratch database, or a target at head).
Leaves: a Draft.
"""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError

from orchestrator.config import Bind
from orchestrator.errors import DatabaseError, Problem
from orchestrator.execution.project import Project
from orchestrator.execution.scratch import scratch_at
from orchestrator.fleet.engines import connect
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
) -> Draft:
    """Compare a bind's models with its history run on a scratch database, or with a target.

    Raises HistoryError when the target is not at head, and DatabaseError when there is no scratch
    database, or the history does not run there.
    """
    if against is not None:
        return _compare_at(project, against, wanted, drop_unowned)
    with scratch_at(project, bind) as target:
        return _compare_at(project, target, wanted, drop_unowned)


def _compare_at(project: Project, target: Target, wanted: NewRevision, drop_unowned: bool) -> Draft:
    bind = target.bind
    try:
        with connect(target) as connection:
            return draft(
                connection,
                project.history(bind.name),
                project.alembic,
                project.options(bind, target.schema, drop_unowned=drop_unowned),
                wanted,
                project.models.of(bind.name),
                hidden_tables(project.config),
            )
    except SQLAlchemyError as error:
        raise DatabaseError(
            Problem(
                f"the comparison failed: {str(error).splitlines()[0]}", where=f"target {target.id}"
            )
        ) from error
