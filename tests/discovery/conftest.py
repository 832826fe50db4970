"""Tiny projects for discovery: the ones of tests/projects, or written by the test itself.

All of them call their package `apps`, so each test starts without the modules of the last.
"""

from __future__ import annotations

import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from orchestrator.config import Apps, Bind, Config, Where

PROJECTS = Path(__file__).parents[1] / "projects"

Configure = Callable[..., Config]


@pytest.fixture(autouse=True)
def _fresh_modules() -> Iterator[None]:
    """Forget what a project made Python import, and where from; other tests' projects too."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "apps"]:
        del sys.modules[name]
    path, modules = list(sys.path), set(sys.modules)
    yield
    sys.path[:] = path
    for name in set(sys.modules) - modules:
        file = getattr(sys.modules[name], "__file__", None)
        if file is None or "site-packages" not in file:
            del sys.modules[name]
    if "sqlmodel" in sys.modules:
        sys.modules["sqlmodel"].SQLModel.metadata.clear()


@pytest.fixture
def configure(tmp_path: Path) -> Configure:
    """configure("beginner") or configure({"apps/users/models.py": "..."}), with apps= (keywords of
    Apps), binds= (name to its apps) and default_bind=."""

    def configure(
        project: str | dict[str, str],
        apps: dict[str, object] | None = None,
        binds: dict[str, tuple[str, ...]] | None = None,
        default_bind: str | None = None,
    ) -> Config:
        root = PROJECTS / project if isinstance(project, str) else tmp_path
        for name, text in project.items() if isinstance(project, dict) else ():
            file = root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(textwrap.dedent(text))
        file = root / "databases.yaml"
        where = Where(file, 7)
        return Config(
            file=file,
            root=root,
            migrations=root / "migrations",
            ledger="sqlite://",
            apps=Apps(**{"packages": ("apps",), "where": where, **(apps or {})}),  # type: ignore[arg-type]
            binds={
                name: Bind(name, where, servers={}, versions=(), apps=listed)
                for name, listed in (binds or {"main": ()}).items()
            },
            default_bind=default_bind,
        )

    return configure
