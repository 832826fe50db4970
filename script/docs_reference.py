"""The parts of the documentation that are taken from the program.

Enters: the command line's own definitions, the errors, and the reasons why a step is live.
Leaves: pages whose text between `<!-- generated: NAME -->` and `<!-- end -->` says the same.
`python script/docs_reference.py` writes them anew; tests/docs holds them current.
"""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import click

from orchestrator import errors
from orchestrator.checks.lint.catalogue import all_rules
from orchestrator.checks.lint.registry import Rule
from orchestrator.checks.lint.squawk_rules import SEVERITIES, TWINS, severity_of
from orchestrator.cli.main import VERBS, cli
from orchestrator.cli.options import selects
from orchestrator.revisions.recording.reasons import REASONS

ROOT = Path(__file__).resolve().parent.parent
PAGES = tuple(
    ROOT / "docs" / "reference" / name
    for name in ("cli.md", "exit-codes-and-errors.md", "recording.md", "lint.md")
)
_PART = re.compile(r"(<!-- generated: ([a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_KINDS = {"text": "TEXT", "integer": "N", "directory": "DIR", "file": "FILE"}


def main() -> int:
    """Write every page that is not current."""
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        if (current := renewed(text)) != text:
            page.write_text(current, encoding="utf-8")
            print(page.relative_to(ROOT))
    return 0


def renewed(text: str) -> str:
    """A page with its generated parts as the program would have them now."""
    return _PART.sub(lambda part: f"{part[1]}\n{PARTS[part[2]]()}\n{part[3]}", text)


def verbs() -> str:
    """Every verb: what it does, its options, an example."""
    return "\n".join("\n".join(_verb(name)) for name in VERBS)


def _verb(name: str) -> Iterator[str]:
    context = click.Context(cli)
    command = cli.get_command(context, name)
    assert command is not None
    yield from _section(name, command, "##")
    if isinstance(command, click.Group):
        for inner in command.list_commands(context):
            one = command.get_command(context, inner)
            assert one is not None
            yield from _section(f"{name} {inner}", one, "###")


def _section(name: str, command: click.Command, heading: str) -> Iterator[str]:
    yield f"{heading} {name}\n"
    yield f"{_plain(command.help)}\n"
    yield f"```\norchestrator {name} {' '.join(_usage(command))}\n```\n"
    own = [one for one in _options(command) if _flags(one) not in _selection_flags()]
    if len(own) < len(_options(command)):
        yield "Takes a [selection](#selection).\n"
    if own:
        yield from _table(own)
        yield ""
    yield "\n".join(["```", *_examples(command), "```", ""])


def _usage(command: click.Command) -> Iterator[str]:
    yield "[OPTIONS]"
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            name = (parameter.metavar or parameter.name or "").upper().strip("[].")
            more = "..." if parameter.nargs != 1 else ""
            yield f"{name}{more}" if parameter.required else f"[{name}]{more}"


def _options(command: click.Command) -> list[click.Option]:
    return [one for one in command.params if isinstance(one, click.Option)]


def _selection() -> list[click.Option]:
    @click.command()
    @selects
    def bare() -> None:
        """Nothing but the options of a selection."""

    return _options(bare)


def _selection_flags() -> set[str]:
    return {_flags(option) for option in _selection()}


def selection() -> str:
    """The options that choose targets."""
    return "\n".join([*_table(_selection()), ""])


def program() -> str:
    """The options before the verb."""
    return "\n".join([*_table(_options(cli)), ""])


def _table(options: list[click.Option]) -> Iterator[str]:
    yield "| option | meaning |\n|---|---|"
    for option in options:
        yield f"| `{_flags(option)}` | {_meaning(option)} |"


def _flags(option: click.Option) -> str:
    """ "-b, --bind BIND"."""
    names = ", ".join([*option.opts, *option.secondary_opts])
    if option.is_flag:
        return names
    if isinstance(option.type, click.Choice):
        return f"{names} {'/'.join(option.type.choices)}"
    return f"{names} {option.metavar or _KINDS[option.type.name]}"


def _meaning(option: click.Option) -> str:
    text = _plain(option.help)
    notes = ["required"] * option.required
    notes += ["may be repeated"] * option.multiple
    notes += [f"default: `{option.default}`"] * bool(option.show_default)
    return f"{text} ({'; '.join(notes)})" if notes else text


def _plain(text: str | None) -> str:
    """A help text in Markdown: its paragraphs on one line each."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    joined = "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
    return re.sub(r"(?<![\w-])(--?[a-z][a-z-]*(?: [A-Z]+\b)?)", r"`\1`", joined)


def _examples(command: click.Command) -> list[str]:
    text = re.sub(r"^Examples?: ", "", command.epilog or "")
    return text.split("; ")


def exit_codes() -> str:
    """Every error class with its exit code."""
    kinds = [
        kind
        for _name, kind in inspect.getmembers(errors, inspect.isclass)
        if issubclass(kind, errors.OrchestratorError) and kind is not errors.OrchestratorError
    ]
    order = {name: number for number, name in enumerate(vars(errors))}
    rows = [
        f"| `{kind.__name__}` | {kind.exit_code} | {_first_paragraph(kind)} |"
        for kind in sorted(kinds, key=lambda kind: order[kind.__name__])
    ]
    return "\n".join(["| error | exit code | meaning |\n|---|---|---|", *rows, ""])


def _first_paragraph(kind: type) -> str:
    return " ".join(inspect.cleandoc(kind.__doc__ or "").split("\n\n")[0].split())


def reasons() -> str:
    """Every reason why a revision cannot be written as SQL."""
    rows = [f"| `{name}` | {text} |" for name, text in REASONS.items()]
    return "\n".join(
        ["| reason | this revision cannot be written, because |\n|---|---|", *rows, ""]
    )


def lint_rules() -> str:
    """Every rule of lint, as its file says it."""
    return "\n".join(line for rule in all_rules().values() for line in _rule(rule))


def _rule(rule: Rule) -> Iterator[str]:
    needs = [words for need, words in _NEEDS.items() if need in rule.needs]
    on = "" if len(rule.families) > 1 else f" {_FAMILIES[min(rule.families)]} only."
    yield f"### {rule.name}\n"
    yield f"Severity `{rule.severity}`.{on}{''.join(f' Needs {words}.' for words in needs)}\n"
    for paragraph in rule.why.split("\n\n"):
        yield f"{' '.join(paragraph.split())}\n"


_FAMILIES = {"postgresql": "PostgreSQL", "mysql": "MySQL and MariaDB"}
_NEEDS = {
    "run": "a scratch database",
    "walk": "a scratch database",
    "undone": "a downgrade that was tried there",
    "answers": "a scratch server of the same maker",
}


def squawk_rules() -> str:
    """What becomes of squawk's rules."""
    rows = ["| rule of squawk | here |\n|---|---|"]
    rows += [
        f"| `{name}` | [{ours}](#{ours}) takes its place; `{severity_of(name)}` where that could "
        "not be asked |"
        for name, ours in TWINS.items()
    ]
    rows += [
        f"| `{name}` | `{severity}` |" for name, severity in SEVERITIES.items() if name not in TWINS
    ]
    return "\n".join([*rows, "| any other | `warning` |", ""])


PARTS: Mapping[str, Callable[[], str]] = {
    "program": program,
    "selection": selection,
    "verbs": verbs,
    "exit-codes": exit_codes,
    "reasons": reasons,
    "lint-rules": lint_rules,
    "squawk-rules": squawk_rules,
}

if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))
    sys.exit(main())
