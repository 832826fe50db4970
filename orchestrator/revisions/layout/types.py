"""What travels between the parts of the layout."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from orchestrator.config import Where


@dataclass(frozen=True, slots=True)
class Tree:
    """An Alembic tree that stands already.

    ini: its alembic.ini; None when it is configured elsewhere (pyproject.toml, a program).
    location: the folder of its env.py, which need not exist yet. versions: the folders of its
    revision files. paths: the folders it puts on sys.path. url: sqlalchemy.url as it is written.
    unsaid: script_location is missing in the ini, which stands beside env.py (Flask-Migrate does
    so), and stock Alembic needs it.
    """

    location: Path
    versions: tuple[Path, ...]
    ini: Path | None = None
    paths: tuple[Path, ...] = ()
    url: str | None = None
    unsaid: bool = False


@dataclass(frozen=True, slots=True)
class FoundApps:
    """Where the apps are, as databases.yaml says it.

    notes: what a person should know about the choice. guessed: nothing was found. sqlmodel: some
    models are SQLModel's.
    """

    packages: tuple[str, ...] = ()
    installed: str = ""
    modules: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    guessed: bool = False
    sqlmodel: bool = False


@dataclass(frozen=True, slots=True)
class Left:
    """Something of the old env.py that the new one does not have."""

    name: str
    where: Where
    why: str


@dataclass(frozen=True, slots=True)
class Carried:
    """What the old env.py asks for.

    future: its `from __future__` import. code: what stands before the call of run_migrations(), in
    its old order. options: the keyword arguments of that call, as source. settings: keys of the
    bind in databases.yaml. url_variable: the environment variable that held the URL.
    """

    future: str = ""
    code: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    left: tuple[Left, ...] = ()
    url_variable: str = ""


@dataclass(frozen=True, slots=True)
class FileNote:
    """One file or folder, and what was done with it. path: relative to the project."""

    action: Literal["made", "kept", "replaced", "changed"]
    path: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Laid:
    """The account of a layout.

    root: the project's folder. variable: the environment variable that must hold the database's
    URL, "" when a default stands in databases.yaml. revisions: whether revision files stand there.
    """

    root: Path
    files: tuple[FileNote, ...]
    left: tuple[Left, ...] = ()
    notes: tuple[str, ...] = ()
    variable: str = ""
    revisions: bool = False
