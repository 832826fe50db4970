"""Alembic's own configuration of a project, and one ScriptDirectory for each bind.

Enters: Config.  Leaves: an `alembic.config.Config` that points at the project's migrations folder,
and a ScriptDirectory for each bind that sees that bind's revision files only.
"""

from __future__ import annotations

import copy
import os
import sys
import warnings
from argparse import Namespace
from collections.abc import Mapping, Sequence
from pathlib import Path

from alembic.config import Config as AlembicConfig
from alembic.script import ScriptDirectory
from alembic.script.revision import RevisionMap
from alembic.util import CommandError

from orchestrator.config import Bind, Config
from orchestrator.errors import HistoryError, Problem


def alembic_config(config: Config, x: Sequence[str] = ()) -> AlembicConfig:
    """The project's Alembic configuration: alembic.ini and pyproject.toml's [tool.alembic] where
    they exist, with script_location taken from databases.yaml.

    x: what `context.get_x_argument()` gives to revision files.
    """
    ini, toml = alembic_ini(config), config.root / "pyproject.toml"
    found = AlembicConfig(
        str(ini) if ini else None,
        toml_file=str(toml) if toml.is_file() else None,
    )
    # ConfigParser interpolates %, so a folder's name must not hold a bare one.
    found.set_main_option("script_location", str(config.migrations).replace("%", "%%"))
    # Many an env.py asks cmd_opts.autogenerate in its process_revision_directives (Alembic's
    # cookbook, "Don't Generate Empty Migrations"); only autogenerate calls that here.
    found.cmd_opts = Namespace(x=list(x), autogenerate=True)
    return found


def alembic_ini(config: Config) -> Path | None:
    """The project's alembic.ini: the nearest one, from the migrations folder up to the root."""
    folders = [config.migrations, *config.migrations.parents]
    inside = [folder for folder in folders if folder.is_relative_to(config.root)]
    for folder in inside or [config.root]:
        if (folder / "alembic.ini").is_file():
            return folder / "alembic.ini"
    return None


def enter(config: Config, alembic: AlembicConfig) -> None:
    """Put the project's root, and what prepend_sys_path names, on sys.path.

    For apps, revision files and an env.py that import the application. Relative paths start at
    alembic.ini's folder, wherever the command was started.
    """
    ini = alembic.config_file_name
    base = Path(ini).absolute().parent if ini else config.root
    with warnings.catch_warnings():
        # ScriptDirectory.from_config warns of a missing path_separator; once is enough.
        warnings.simplefilter("ignore", DeprecationWarning)
        paths = alembic.get_prepend_sys_paths_list() or []
    for path in (*(str(Path(os.path.normpath(base / one))) for one in paths), str(config.root)):
        if path not in sys.path:
            sys.path.insert(0, path)


def base_script_directory(config: Config, alembic: AlembicConfig) -> ScriptDirectory:
    """The ScriptDirectory of the whole tree, as stock Alembic makes it.

    Raises HistoryError when the migrations folder is not there.
    """
    enter(config, alembic)
    if not config.migrations.is_dir():
        raise HistoryError(
            Problem(
                f"the migrations folder {config.migrations} does not exist",
                where=str(config.file),
                key="migrations",
                todo="Run `orchestrator init`, or correct `migrations:`.",
            )
        )
    try:
        return ScriptDirectory.from_config(alembic)
    except CommandError as error:
        raise HistoryError(Problem(str(error), where=str(config.migrations))) from error


def version_locations(bind: Bind, binds: Mapping[str, Bind], recursive: bool) -> list[str]:
    """The folders that hold a bind's revision files.

    With recursive_version_locations and another bind's folder inside this one's, every sub-folder
    is listed but the other bind's, so that no revision is seen by two binds.
    """
    roots = [str(path) for path in bind.versions]
    foreign = {
        path for other in binds.values() if other.name != bind.name for path in other.versions
    }
    nested = {f for f in foreign if any(f.is_relative_to(path) for path in bind.versions)}
    if not recursive or not nested:
        return roots
    found: list[str] = []
    for root in roots:
        for folder, names, _files in os.walk(root):
            names[:] = sorted(
                name for name in names if name != "__pycache__" and Path(folder, name) not in nested
            )
            found.append(folder)
    return found or roots


def bind_script_directory(config: Config, base: ScriptDirectory, bind: Bind) -> ScriptDirectory:
    """A ScriptDirectory like `base` that sees only one bind's revision files."""
    locations = version_locations(bind, config.binds, base.recursive_version_locations)
    mine = copy.copy(base)
    point_at(
        mine,
        locations,
        # Listed folder by folder already: a walk would bring the nested binds back.
        recursive=base.recursive_version_locations and len(locations) == len(bind.versions),
    )
    mine.revision_map = RevisionMap(mine._load_revisions)
    # Alembic's "Generating ... done" would stand among the results of the verbs.
    mine.messaging_opts = {"quiet": True}
    return mine


def point_at(script: ScriptDirectory, locations: Sequence[str], *, recursive: bool) -> None:
    """Give a ScriptDirectory other version locations, and forget what it remembered of its own.

    Alembic memoizes the parsed locations under these two names (alembic/script/base.py).
    """
    script.version_locations = list(locations)
    script.recursive_version_locations = recursive
    for memoized in ("_version_locations", "_singular_version_location"):
        script.__dict__.pop(memoized, None)
