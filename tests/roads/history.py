"""Revision files that a test writes by itself.

Enters: `Revision` values.  Leaves: files in the versions folder of a bind, and a databases.yaml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from textwrap import indent

from tests.roads.project import Project

ENVIRONMENT = "from orchestrator.environment import run_migrations\n\nrun_migrations()\n"
ALEMBIC_INI = """\
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = .
path_separator = os
recursive_version_locations = true
revision_environment = true
"""
TEMPLATE = '''\
"""${message}"""
import sqlalchemy as sa
from alembic import op
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
'''
_HEAD = """\
import datetime
from decimal import Decimal
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql, postgresql

"""


@dataclass(frozen=True, repr=False)
class Revision:
    """One revision file. up and down: the bodies of its functions."""

    id: str
    down_revision: str | tuple[str, ...] | None = None
    up: str = "pass"
    down: str = "pass"
    depends_on: str | tuple[str, ...] | None = None
    branch_labels: str | None = None

    def __repr__(self) -> str:
        # hypothesis prints all of an example; what failed stands in the files that are kept.
        return f"<revision {self.id}>"

    @property
    def source(self) -> str:
        """The file's text."""
        return (
            f'"""revision {self.id}"""\n\n{_HEAD}'
            f"revision = {self.id!r}\ndown_revision = {self.down_revision!r}\n"
            f"branch_labels = {self.branch_labels!r}\ndepends_on = {self.depends_on!r}\n\n\n"
            f"def upgrade() -> None:\n{indent(self.up, '    ')}\n\n\n"
            f"def downgrade() -> None:\n{indent(self.down, '    ')}\n"
        )


def lay_out(
    project: Project,
    databases_yaml: str,
    histories: Mapping[str, Iterable[Revision]],
    *,
    models: str = "",
    environment: str = ENVIRONMENT,
) -> None:
    """Write a whole project: its configuration, one app, env.py and the histories of its binds.

    models: the app's models module; without one every bind gets a table that no revision makes.
    """
    project.write("databases.yaml", f"apps:\n  packages: [apps]\n{databases_yaml}")
    project.write("alembic.ini", ALEMBIC_INI)
    project.write("migrations/env.py", environment)
    project.write("migrations/script.py.mako", TEMPLATE)
    project.write("apps/__init__.py", "")
    project.write("apps/one/__init__.py", "")
    project.write("apps/one/models.py", models or _some_models(list(histories)))
    for bind, revisions in histories.items():
        write_history(project, bind, revisions)


def write_history(project: Project, bind: str, revisions: Iterable[Revision]) -> None:
    """Write revision files into a bind's folder."""
    project.root.joinpath("migrations", "versions", bind).mkdir(parents=True, exist_ok=True)
    for revision in revisions:
        project.write(f"migrations/versions/{bind}/{revision.id[:40]}.py", revision.source)


def _some_models(binds: list[str]) -> str:
    lines = ["import sqlalchemy as sa", ""]
    for bind in binds:
        lines.append(
            f"{bind}_table = sa.Table('of_{bind}', sa.MetaData(info={{'bind_key': {bind!r}}}),"
            " sa.Column('id', sa.Integer, primary_key=True))"
        )
    return "\n".join(lines) + "\n"
