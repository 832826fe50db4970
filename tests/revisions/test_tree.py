"""Each bind sees its own revision files, wherever the folders lie."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import HistoryError
from orchestrator.revisions.history import load_histories
from orchestrator.revisions.tree import alembic_config
from tests.cli.small import SmallProject, small_project

NESTED = """
apps: {packages: [apps]}
default_bind: main
binds:
  main: {url: "postgresql://h/x", versions: migrations/versions}
  shop: {url: "postgresql://h/y", versions: migrations/versions/shop}
  deep: {url: "postgresql://h/z", versions: migrations/versions/shop/deep}
"""


def seen(project: SmallProject) -> dict[str, list[str]]:
    """The revisions of each bind."""
    config = load_config(project.root / "databases.yaml")
    histories = load_histories(config, alembic_config(config))
    return {
        name: sorted(script.revision for script in history.scripts())
        for name, history in histories.items()
    }


@pytest.mark.parametrize(("recursive", "mine"), [(False, ["m1"]), (True, ["m1", "m2", "m3"])])
def test_nested_folders_belong_to_one_bind(
    tmp_path: Path, recursive: bool, mine: list[str]
) -> None:
    project = small_project(tmp_path, NESTED)
    project.write(
        "alembic.ini",
        "[alembic]\nscript_location = migrations\n"
        f"recursive_version_locations = {str(recursive).lower()}\n",
    )
    for folder, name in (
        (".", "m1"),
        ("2024", "m2"),
        ("2024/may", "m3"),
        ("shop", "s1"),
        ("shop/old", "s2"),
        ("shop/deep", "d1"),
    ):
        project.revision(folder, name)
    assert seen(project) == {
        "main": mine,
        "shop": ["s1", "s2"] if recursive else ["s1"],
        "deep": ["d1"],
    }


def test_a_migrations_folder_that_is_not_there(tmp_path: Path) -> None:
    small_project(tmp_path, 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n')
    (tmp_path / "migrations").rename(tmp_path / "elsewhere")
    with pytest.raises(HistoryError) as caught:
        seen(SmallProject(tmp_path))
    [problem] = caught.value.problems
    assert problem.key == "migrations"
    assert "does not exist" in problem.what
    assert "orchestrator init" in problem.todo


def test_a_folder_with_a_percent_sign(tmp_path: Path) -> None:
    folder = tmp_path / "100%(here)s"
    folder.mkdir()
    project = small_project(
        folder, 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'
    )
    project.revision("main", "m1")
    assert seen(project) == {"main": ["m1"]}


def test_a_versions_folder_that_is_not_there_yet(tmp_path: Path) -> None:
    project = small_project(
        tmp_path, 'apps: {packages: [apps]}\nbinds: {main: {url: "postgresql://h/x"}}\n'
    )
    assert seen(project) == {"main": []}
