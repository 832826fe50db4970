"""The files of docs/examples: they can be read, and their commands are understood."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
from yaml import safe_load

from orchestrator.cli.main import cli
from tests.docs.pages import ROOT

FILES = sorted((ROOT / "docs" / "examples").iterdir())
_COMMAND = re.compile(r"(?:^|(?<=xargs ))orchestrator [^|>\n]*", re.MULTILINE)


def _texts(value: Any) -> Iterator[str]:
    """Every text of a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _texts(one)


def _commands(file: Path) -> list[str]:
    texts = _texts(safe_load(file.read_text(encoding="utf-8")))
    return [found.split(" <")[0].strip() for text in texts for found in _COMMAND.findall(text)]


def test_there_are_two() -> None:
    assert [file.name for file in FILES] == ["github-workflow.yml", "pre-commit-config.yaml"]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_commands_are_understood(file: Path) -> None:
    found = _commands(file)
    assert len(found) >= 2
    for text in found:
        _program, name, *arguments = shlex.split(text)
        context = click.Context(cli)
        command = cli.get_command(context, name)
        assert command is not None, text
        command.make_context(name, arguments, parent=context, resilient_parsing=False)


def test_the_comment_of_the_workflow_begins_with_its_mark() -> None:
    (job,) = safe_load((ROOT / "docs/examples/github-workflow.yml").read_text())["jobs"].values()
    (step,) = [one for one in job["steps"] if one.get("name") == "Comment"]
    assert '{ echo "$MARK"; cat diff.md; } > comment.md' in step["run"]
    assert "startswith(env.MARK)" in step["run"]
    # GitHub shows no HTML comment, and a comment holds 65,536 characters.
    assert step["env"]["MARK"].startswith("<!--")
