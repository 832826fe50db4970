"""`orchestrator history`: the revisions of each bind."""

from __future__ import annotations

from pathlib import Path

import click
from alembic.script import Script

from orchestrator.cli.options import as_json, opened
from orchestrator.cli.output import print_json, say
from orchestrator.execution.project import Project
from orchestrator.fleet.targets import Selection, selected_binds
from orchestrator.revisions.history import History

binds_option = click.option(
    "--bind", "-b", "binds", multiple=True, metavar="BIND", help="Only this bind."
)


@click.command("history", epilog="Example: orchestrator history --bind shop")
@binds_option
@click.option("--verbose", "-v", is_flag=True, help="Show the files too.")
@as_json
@opened
def command(project: Project, binds: tuple[str, ...], verbose: bool, as_json: bool) -> None:
    """List the revisions of each bind, newest first; no database is touched."""
    histories = histories_of(project, binds)
    if as_json:
        print_json({name: _as_json(history) for name, history in histories.items()})
        return
    for name, history in histories.items():
        say(f"{name}:" if history.heads else f"{name}: no revisions")
        for script in reversed(history.scripts()):
            say(f"  {_line(script)}")
            if verbose:
                say(f"      {shown_path(project, script.path)}")


def histories_of(project: Project, binds: tuple[str, ...]) -> dict[str, History]:
    """The histories of the binds that --bind names, all by default."""
    chosen = selected_binds(project.config, Selection(binds=binds))
    project.config.require(offline=[bind.name for bind in chosen])
    return dict(project.histories([bind.name for bind in chosen]))


def shown_path(project: Project, path: str | Path) -> str:
    """A path as people want to read it: relative to the project where it is inside."""
    file = Path(path)
    return str(file.relative_to(project.config.root) if _inside(project, file) else file)


def _inside(project: Project, file: Path) -> bool:
    return file.is_relative_to(project.config.root)


def _line(script: Script) -> str:
    """Alembic's own line without the repeated "from": ids, marks, message."""
    marks = [
        word
        for word, holds in (
            ("head", script.is_head),
            ("branch point", script.is_branch_point),
            ("merge point", script.is_merge_point),
        )
        if holds
    ]
    marks += [f"label {label}" for label in sorted(script.branch_labels)]
    marks += [f"depends on {', '.join(_listed(script.dependencies))}"] * bool(script.dependencies)
    down = ", ".join(_listed(script.down_revision)) or "base"
    said = f" ({'; '.join(marks)})" if marks else ""
    return f"{down} -> {script.revision}{said}, {script.doc}"


def _listed(value: object) -> list[str]:
    if value is None:
        return []
    return [value] if isinstance(value, str) else [str(one) for one in value]  # type: ignore[attr-defined]


def _as_json(history: History) -> list[dict[str, object]]:
    return [
        {
            "revision": script.revision,
            "down_revision": _listed(script.down_revision),
            "depends_on": _listed(script.dependencies),
            "branch_labels": sorted(script.branch_labels),
            "message": script.doc,
            "file": script.path,
            "head": script.is_head,
        }
        for script in history.scripts()
    ]
