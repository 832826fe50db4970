"""The documentation stays true: its links, commands, examples, and what is taken from the code."""

from __future__ import annotations

import ast
import re
import shlex
import textwrap
from dataclasses import fields
from pathlib import Path
from xml.etree import ElementTree

import click
import pytest
from alembic.config import CommandLine
from yaml import safe_load

import docs_reference
from orchestrator.cli.main import VERBS, cli
from orchestrator.cli.status import LARGE
from orchestrator.config.load import load_config
from orchestrator.execution.scratch import GRACE_SECONDS, PREFIX
from orchestrator.execution.scripting import ASSUMED_POSTGRESQL
from orchestrator.revisions import compile as recorder
from orchestrator.revisions.options import DECIDED_HERE
from orchestrator.revisions.recording.children import LOAD_SECONDS, STEP_SECONDS
from tests.docs.pages import PAGES, ROOT, Block, Command, anchors, blocks, commands, links

COMMANDS = [command for page in PAGES for command in commands(page)]
BLOCKS = [block for page in PAGES for block in blocks(page)]


def _name(page: Path) -> str:
    return str(page.relative_to(ROOT))


def _place(block: Block) -> str:
    return f"{_name(block.page)}:{block.line}"


@pytest.mark.parametrize("page", PAGES, ids=_name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in links(page):
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_there_are_links_and_commands_to_look_at() -> None:
    assert len(COMMANDS) > 100
    assert sum(len(links(page)) for page in PAGES) > 50
    assert {"README.md", "docs/README.md", "CONTRIBUTING.md"} <= {_name(page) for page in PAGES}


@pytest.mark.parametrize("command", dict.fromkeys(COMMANDS), ids=str)
def test_commands_are_understood(command: Command) -> None:
    program, *arguments = shlex.split(command.text)
    if program == "alembic":
        _parse_alembic(arguments, command)
    else:
        _parse(arguments, command)


def _parse(arguments: list[str], command: Command) -> None:
    try:
        context = cli.make_context("orchestrator", list(arguments))
        # The name of this attribute differs between click 8.1 and later.
        first = vars(context).get("_protected_args") or vars(context).get("protected_args", [])
        name, verb, rest = cli.resolve_command(context, [*first, *context.args])
        assert verb is not None
        verb.make_context(name, rest, parent=context)
    except click.exceptions.Exit:
        return  # --help and --version print, and end
    except click.MissingParameter:
        if not command.mention:
            raise


def _parse_alembic(arguments: list[str], command: Command) -> None:
    try:
        options = CommandLine(prog="alembic").parser.parse_args(arguments)
    except SystemExit:
        if not command.mention:
            raise AssertionError(f"alembic does not understand: {command}") from None
    else:
        assert hasattr(options, "cmd"), command


@pytest.mark.parametrize("page", docs_reference.PAGES, ids=_name)
def test_what_is_taken_from_the_program_is_current(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert docs_reference.renewed(text) == text, "run script/docs_reference.py"


def test_every_part_stands_on_a_page() -> None:
    text = "".join(page.read_text(encoding="utf-8") for page in docs_reference.PAGES)
    assert sorted(re.findall(r"<!-- generated: (.*) -->", text)) == sorted(docs_reference.PARTS)


@pytest.mark.parametrize("verb", VERBS)
def test_every_option_of_a_verb_is_in_the_reference(verb: str) -> None:
    text = (ROOT / "docs" / "reference" / "cli.md").read_text(encoding="utf-8")
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    own = re.search(rf"^## {verb}\n(.*?)(?=^## )", text, re.DOTALL | re.MULTILINE)
    assert own is not None
    said = own[1] + text.partition("## Revisions")[0] * ("(#selection)" in own[1])
    for parameter in command.params:
        for option in parameter.opts if isinstance(parameter, click.Option) else ():
            assert re.search(rf"`[^`]*(?<![\w-]){option}(?![\w-])[^`]*` \|", said), option
    assert command.epilog, "each verb's help has an example"


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "yaml"], ids=_place
)
def test_yaml_is_right(block: Block, tmp_path: Path) -> None:
    value = safe_load(block.text)
    if not isinstance(value, dict) or "binds" not in value or "..." in block.text:
        return
    file = tmp_path / "databases.yaml"
    file.write_text(block.text, encoding="utf-8")
    (tmp_path / "tenants.csv").write_text("tenant,tier\nacme,internal\n")
    config = load_config(file, environ={})
    assert config.binds


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "python"], ids=_place
)
def test_python_can_be_read(block: Block) -> None:
    ast.parse(textwrap.dedent(block.text))  # a line of a class may stand alone


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        ("run.svg", ("$ orchestrator upgrade --all", "8 targets, 8 changed")),
        ("rollout.svg", ("$ orchestrator rollout status --watch", "200/200", "left")),
    ],
)
def test_the_pictures_are_whole_and_small(picture: str, said: tuple[str, ...]) -> None:
    file = ROOT / "docs" / "images" / picture
    root = ElementTree.fromstring(file.read_text(encoding="utf-8"))
    text = "".join(root.itertext()).replace("\N{NO-BREAK SPACE}", " ")
    assert [words for words in said if words not in text] == []
    assert file.stat().st_size < 60_000


def test_no_verb_is_promised_that_does_not_exist() -> None:
    named = {
        found
        for page in PAGES
        for found in re.findall(
            r"`orchestrator ([a-z]+)\b[^`\n]*`", page.read_text(encoding="utf-8")
        )
    }
    assert named - set(VERBS) == set()


_DAYS = f"{recorder._A_YEAR_A_MONTH_AND_A_DAY // 86_400:.0f} days"
_LIMITS = {field.name: field.default for field in fields(recorder.CompileRequest)}
_ALL_STEPS = f"{_LIMITS['time_limit']:.0f} seconds"


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ("reference/recording.md", _DAYS),
        ("reference/recording.md", f"PostgreSQL {ASSUMED_POSTGRESQL.version[0]} is assumed"),
        ("reference/recording.md", f"has {LOAD_SECONDS:.0f} seconds to load"),
        ("reference/recording.md", f"and {_ALL_STEPS} for all steps"),
        ("reference/recording.md", f"each further step has {STEP_SECONDS:.0f} seconds"),
        ("reference/cli.md", f"more than {LARGE} targets"),
        ("decisions/0002-record-on-a-stand-in.md", _DAYS),
        ("decisions/0006-scratch-databases.md", f"older than {GRACE_SECONDS} seconds"),
        ("decisions/0006-scratch-databases.md", f"`{PREFIX}<made>_<random>`"),
        *(("reference/env-py.md", f"`{option}`") for option in DECIDED_HERE),
    ],
)
def test_what_prose_says_of_the_program(page: str, said: str) -> None:
    assert said in (ROOT / "docs" / page).read_text(encoding="utf-8")
