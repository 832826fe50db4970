"""`lay_out`: the files of a project, made where they are missing.

Enters: the project's folder, and maybe the alembic.ini to adopt.  Leaves: the files, and `Laid`.

Everything is read and decided before the first file is written.  A file is made only where none
stands; env.py of another tool is copied to env_before.py first, and then replaced in one move.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from orchestrator.config.load import FILE_NAME, load_config
from orchestrator.errors import ConfigError, Problem, UsageError
from orchestrator.revisions.layout import drafts
from orchestrator.revisions.layout.carry import carry
from orchestrator.revisions.layout.models import ModelFinder
from orchestrator.revisions.layout.trees import INI, find_tree, longest_id
from orchestrator.revisions.layout.types import Carried, FileNote, FoundApps, Laid, Left, Tree
from orchestrator.revisions.layout.url import UrlLine, url_line
from orchestrator.revisions.options import CALL
from orchestrator.revisions.python_text import python_text
from orchestrator.revisions.tree import alembic_ini

_PYPROJECT = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class _File:
    """A file to be there. text: what to write where it is missing. over: replace what stands there,
    after it was copied to `copy` (when that is set)."""

    path: Path
    text: str
    note: str = ""
    over: bool = False
    copy: Path | None = None


@dataclass
class _Layout:
    """One layout, being put together."""

    root: Path
    tree: Tree | None
    finder: ModelFinder
    files: list[_File] = field(default_factory=list)
    left: tuple[Left, ...] = ()
    notes: list[str] = field(default_factory=list)
    variable: str = ""


def lay_out(folder: Path, alembic_ini_file: Path | None = None) -> Laid:
    """Lay out a project in a folder, which is made when it is missing.

    A second call finds everything there and changes nothing. Raises UsageError for a folder that is
    a file, and for several Alembic trees when none is named; ConfigError for a databases.yaml or
    alembic.ini that cannot be used, and for a place that cannot be written.
    """
    root = Path(os.path.abspath(folder))  # noqa: PTH100 - keeps symbolic links
    _must_be_folder(root)
    named = Path(os.path.abspath(alembic_ini_file)) if alembic_ini_file else None  # noqa: PTH100
    try:
        if (root / FILE_NAME).exists():
            layout, folders = _completed(root, named)
        else:
            layout, folders = _new(root, find_tree(root, named))
        notes = _written(layout, folders)
    except OSError as error:
        raise ConfigError(
            Problem(
                f"it cannot be read or written: {error.strerror or error}",
                where=str(error.filename or root),
                todo="Correct its permissions, or choose another folder.",
            )
        ) from error
    revisions = any(next(one.rglob("*.py"), None) is not None for one in folders[1:])
    return Laid(root, notes, layout.left, tuple(layout.notes), layout.variable, revisions)


def _must_be_folder(root: Path) -> None:
    for place in (root, *root.parents):
        if place.exists() and not place.is_dir():
            raise UsageError(
                Problem(
                    "it is a file, and a project needs a folder",
                    where=str(place),
                    todo="Name another folder, or none for this one.",
                )
            )


def _new(root: Path, tree: Tree | None) -> tuple[_Layout, list[Path]]:
    """Everything, for a project without databases.yaml."""
    finder = ModelFinder(root, tree.paths if tree else ())
    layout = _Layout(root, tree, finder)
    migrations = tree.location if tree else root / "migrations"
    apps = finder.find()
    carried = _env_py(layout, migrations)
    url = _url(layout, carried)
    layout.variable = url.variable
    versions = tree.versions if tree else ()
    longest = longest_id(versions)
    text = drafts.databases_yaml(root, migrations, versions, apps, url, carried.settings, longest)
    note = f"bind {drafts.BIND}; apps: {_told(apps)}"
    layout.files.insert(0, _File(root / FILE_NAME, text, note))
    layout.notes += apps.notes
    if apps.guessed:
        layout.notes.append(
            "no models were found: databases.yaml says `packages: [apps]`; put an app in "
            "apps/<app>/models.py, or correct `apps:`"
        )
    _ini(layout, migrations, tree.ini if tree else None)
    _mako(layout, migrations, sqlmodel=apps.sqlmodel)
    folders = [migrations, *(versions or (migrations / "versions" / drafts.BIND,))]
    return layout, folders


def _completed(root: Path, named: Path | None) -> tuple[_Layout, list[Path]]:
    """What is missing around a databases.yaml that stands already."""
    config = load_config(root / FILE_NAME, root=root)
    tree = find_tree(root, named) if named else None
    layout = _Layout(root, tree, ModelFinder(root, tree.paths if tree else ()))
    layout.files.append(_File(root / FILE_NAME, ""))
    carried = _env_py(layout, config.migrations)
    where = f"{FILE_NAME} stands already: add it to the bind there"
    layout.notes += [
        f"env.py had {key}: {value}; {where}" for key, value in carried.settings.items()
    ]
    _ini(layout, config.migrations, named or alembic_ini(config))
    _mako(layout, config.migrations, sqlmodel=False)
    versions = [folder for bind in config.binds.values() for folder in bind.versions]
    return layout, [config.migrations, *versions]


def _env_py(layout: _Layout, migrations: Path) -> Carried:
    """env.py, and what the one that stands there asks for."""
    path = migrations / "env.py"
    carried, copy = Carried(), None
    is_other = False
    if path.is_file():
        text = python_text(path.read_bytes())
        is_other = CALL not in text
        if is_other:
            copy = _copy_name(path)
            carried = carry(text, path, copy, layout.finder)
    shown = drafts.relative(layout.root, copy) if copy else ""
    note = f"what stood there is kept as {shown}" if copy else ""
    text = drafts.env_py(carried, copy.name if copy else None)
    layout.files.append(_File(path, text, note, over=is_other, copy=copy))
    layout.left = carried.left
    taken = ", ".join(carried.options)
    if taken:
        layout.notes.append(f"carried over from env.py: {taken}")
    return carried


def _copy_name(env_py: Path) -> Path:
    """env_before.py, or the next free name."""
    for number in range(1, 1000):
        name = "env_before.py" if number == 1 else f"env_before_{number}.py"
        copy = env_py.with_name(name)
        if not copy.exists():
            return copy
    raise UsageError(Problem("there is no free name env_before_<n>.py", where=str(env_py.parent)))


def _url(layout: _Layout, carried: Carried) -> UrlLine:
    tree = layout.tree
    ini = drafts.relative(layout.root, tree.ini) if tree and tree.ini else INI
    line = url_line(tree.url if tree else None, carried.url_variable, ini)
    if line.note:
        layout.notes.append(line.note)
    return line


def _ini(layout: _Layout, migrations: Path, ini: Path | None) -> None:
    """alembic.ini: kept as it stands, but for a script_location that stock Alembic needs."""
    if ini is None:
        if not _is_in_pyproject(layout):
            text = drafts.alembic_ini(layout.root, migrations)
            layout.files.append(_File(layout.root / INI, text))
        return
    if layout.tree is not None and layout.tree.unsaid:
        text = drafts.with_script_location(ini.read_text(encoding="utf-8"))
        layout.files.append(_File(ini, text, "script_location was added", over=True))
        return
    layout.files.append(_File(ini, ""))


def _is_in_pyproject(layout: _Layout) -> bool:
    """Whether pyproject.toml is where the tree is configured."""
    file = layout.root / _PYPROJECT
    if not file.is_file() or "script_location" not in (text := file.read_text(encoding="utf-8")):
        return False
    if "[tool.alembic]" not in text:
        return False
    layout.files.append(_File(file, ""))
    return True


def _mako(layout: _Layout, migrations: Path, *, sqlmodel: bool) -> None:
    path = migrations / "script.py.mako"
    layout.files.append(_File(path, drafts.script_py_mako(sqlmodel=sqlmodel)))
    if sqlmodel and path.is_file() and "sqlmodel" not in path.read_text(encoding="utf-8"):
        layout.notes.append(
            f"{drafts.relative(layout.root, path)} is kept: add the line `import sqlmodel` to it, "
            "for the types that SQLModel's columns have in new revisions"
        )


def _told(apps: FoundApps) -> str:
    found = [f"packages {', '.join(apps.packages)}"] * bool(apps.packages)
    found += [f"installed {apps.installed}"] * bool(apps.installed)
    found += [f"modules {', '.join(apps.modules)}"] * bool(apps.modules)
    return "; ".join(found)


def _written(layout: _Layout, folders: Sequence[Path]) -> tuple[FileNote, ...]:
    """Make what is missing, and tell it all."""
    _must_be_free(layout.files, folders)
    layout.root.mkdir(parents=True, exist_ok=True)
    notes = []
    for file in layout.files:
        notes.append(_one(layout.root, file))
    for folder in dict.fromkeys(folders[1:]):
        action = "kept" if folder.is_dir() else "made"
        folder.mkdir(parents=True, exist_ok=True)
        notes.append(
            FileNote("kept" if action == "kept" else "made", f"{_shown(layout.root, folder)}/")
        )
    return tuple(notes)


def _must_be_free(files: Iterable[_File], folders: Iterable[Path]) -> None:
    """Raise UsageError where a folder stands in a file's place, or the other way round."""
    wrong = [one.path for one in files if one.path.is_dir()]
    problems = [Problem("a folder stands where a file must be", where=str(one)) for one in wrong]
    problems += [
        Problem("a file stands where a folder must be", where=str(one))
        for one in dict.fromkeys(folders)
        if one.exists() and not one.is_dir()
    ]
    if problems:
        raise UsageError(problems)


def _one(root: Path, file: _File) -> FileNote:
    shown = _shown(root, file.path)
    file.path.parent.mkdir(parents=True, exist_ok=True)
    if not file.path.exists():
        with file.path.open("x", encoding="utf-8") as new:
            new.write(file.text)
        return FileNote("made", shown, file.note)
    if not file.over:
        return FileNote("kept", shown)
    if file.copy is not None:
        shutil.copy2(file.path, file.copy)
    new_path = file.path.with_name(f".{file.path.name}.new")
    new_path.write_text(file.text, encoding="utf-8")
    shutil.copymode(file.path, new_path)
    new_path.replace(file.path)
    return FileNote("replaced" if file.copy else "changed", shown, file.note)


def _shown(root: Path, path: Path) -> str:
    return drafts.relative(root, path)
