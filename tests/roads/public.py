"""Public histories laid out as projects, and what fills their tables on the way.

Enters: the packages of script/histories.py.  Leaves: `HISTORIES`, and `lay_out_public`: a project
whose bind has several tenants, with the history's own versions folder in it, and a folder beside it
for stock Alembic on the same files.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass

import histories
from orchestrator.config.flavour import Family
from tests.roads.history import ALEMBIC_INI
from tests.roads.project import REPOSITORY, Project
from tests.roads.public_rows import rows_of
from tests.roads.walk import STOCK_ENVIRONMENT

PACES = ("ends", "steps")
STOCK = "stock"
TENANTS = ("acme", "globex", "initech")
"""For each pace of a walk there are these, and a place for stock Alembic."""


@dataclass(frozen=True)
class PublicHistory:
    """A history that a package ships: its folder there, and the families that it is written for.

    initial: module and MetaData of the tables that stand there before the first revision. stride:
    at the slow pace every walk halts after so many revisions; a long history has too many stops.
    """

    name: str
    folder: str
    families: tuple[Family, ...] = ("postgresql", "mysql")
    initial: str = ""
    stride: int = 1


HISTORIES = (
    PublicHistory("argilla", "argilla_server/alembic", ("postgresql",), stride=3),
    PublicHistory("optuna", "optuna/storages/_rdb/alembic"),
    PublicHistory(
        "mlflow",
        "mlflow/store/db_migrations",
        initial="mlflow.store.tracking.dbmodels.initial_models:Base.metadata",
        stride=10,
    ),
    PublicHistory("mlflow_auth", "mlflow/server/auth/db/migrations"),
)

_ENVIRONMENT = """\
from orchestrator.environment import run_migrations

run_migrations(render_as_batch=True)
"""
_DATABASES = """\
apps: {{packages: [apps]}}
binds:
  fleet:
    url: "${{FLEET_URL}}"
    tenancy: {tenancy}
    name: "{prefix}{{tenant}}"
    tenants: {{list: [{tenants}]}}
"""
_MODELS = """\
import sqlalchemy as sa

nothing = sa.Table("nothing", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True))
"""


def lay_out_public(project: Project, history: PublicHistory, family: Family, prefix: str) -> None:
    """Write the project, and `stock/`.

    prefix: what stands before a tenant's name in the name of its schema or database.
    """
    tenancy = "schema" if family == "postgresql" else "database"
    tenants = ", ".join(f"{pace}_{tenant}" for pace in PACES for tenant in TENANTS)
    project.write(
        "databases.yaml", _DATABASES.format(tenancy=tenancy, prefix=prefix, tenants=tenants)
    )
    project.write("alembic.ini", ALEMBIC_INI)
    project.write("migrations/env.py", _ENVIRONMENT)
    project.write("apps/__init__.py", "")
    project.write("apps/one/__init__.py", "")
    project.write("apps/one/models.py", _MODELS)
    project.write("stock/env.py", STOCK_ENVIRONMENT)
    rows = rows_of(history.name, family)
    if history.initial:
        rows["base"] = _initial_tables(project, history.initial, family) + rows["base"]
    project.write("stock/rows.json", json.dumps(rows))
    versions = histories.installed() / history.folder / "versions"
    for copy in ("migrations/versions/fleet", "stock/versions"):
        shutil.copytree(versions, project.root / copy, ignore=shutil.ignore_patterns("__pycache__"))


def python_path() -> str:
    """Where Python finds what the revisions import, this repository and its servers."""
    return ":".join(map(str, (histories.installed(), REPOSITORY, REPOSITORY / "script")))


_INITIAL = """
import json
from {module} import {base}
from sqlalchemy import create_mock_engine

found = []
engine = create_mock_engine(
    "{family}://", lambda made, *_, **__: found.append(str(made.compile(dialect=engine.dialect)))
)
{base}.{metadata}.create_all(engine, checkfirst=False)
print(json.dumps(found))
"""


def _initial_tables(project: Project, initial: str, family: Family) -> list[str]:
    module, _colon, place = initial.partition(":")
    base, _dot, metadata = place.partition(".")
    drivers = {"postgresql": "postgresql", "mysql": "mysql+pymysql"}
    program = _INITIAL.format(module=module, base=base, metadata=metadata, family=drivers[family])
    found: list[str] = json.loads(project.python(program).out)
    return found
