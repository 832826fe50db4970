"""The texts that the layout writes.

Enters: what was found.  Leaves: the text of each file.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path

from orchestrator.config.schema import SCHEMA_FILE
from orchestrator.revisions.layout.types import Carried, FoundApps, Left
from orchestrator.revisions.layout.url import UrlLine

BIND = "main"
# Widths of version_num: Alembic's own, and up to the widest that databases.yaml takes.
_LENGTHS = (32, 64, 128, 255)
_PLAIN = re.compile(r"[\w./][\w./-]*")
_WORDS = frozenset(("true", "false", "yes", "no", "on", "off", "null", "none", "~", "y", "n"))


def databases_yaml(
    root: Path,
    migrations: Path,
    versions: Sequence[Path],
    apps: FoundApps,
    url: UrlLine,
    settings: Mapping[str, str],
    longest: int = 0,
) -> str:
    """databases.yaml of a project with one bind.

    versions: () for the bind's default folder. longest: the length of its longest revision id.
    """
    lines = [f"# yaml-language-server: $schema={_schema(root)}"]
    if relative(root, migrations) != "migrations":
        lines.append(f"migrations: {_scalar(relative(root, migrations))}")
    lines += ["apps:", *_apps(apps), "", "binds:", f"  {BIND}:"]
    lines += [f"    # {url.note}"] * bool(url.note)
    lines.append(f"    url: {_scalar(url.text)}")
    if versions:
        folders = [_scalar(relative(root, one)) for one in versions]
        said = folders[0] if len(folders) == 1 else f"[{', '.join(folders)}]"
        lines.append(f"    versions: {said}")
    lines += [f"    {key}: {_scalar(value)}" for key, value in settings.items()]
    if longest > _LENGTHS[0]:
        length = next((one for one in _LENGTHS if one >= longest), _LENGTHS[-1])
        lines.append(f"    version_num_length: {length}")
    return "\n".join(lines) + "\n"


def _apps(apps: FoundApps) -> list[str]:
    lines = []
    if apps.guessed:
        lines.append("  # Nothing was found: every package below apps/ that has a models module.")
    if apps.packages:
        lines.append(f"  packages: [{', '.join(map(_scalar, apps.packages))}]")
    if apps.installed:
        lines.append(f"  installed: {apps.installed}")
    if apps.modules:
        lines.append(f"  modules: [{', '.join(map(_scalar, apps.modules))}]")
    return lines


def _schema(root: Path) -> str:
    """Where the editor finds the schema: beside the installed package."""
    return relative(root, SCHEMA_FILE)


def relative(root: Path, path: Path) -> str:
    """A path as databases.yaml holds it: relative to the project where it is inside."""
    if path.is_relative_to(root):
        return path.relative_to(root).as_posix() or "."
    if path.is_relative_to(root.parent):
        return Path(os.path.relpath(path, root)).as_posix()
    return str(path)


def _scalar(text: str) -> str:
    """A YAML scalar: plain where that cannot be misread, else quoted as JSON (YAML 1.2, 10.2)."""
    if _PLAIN.fullmatch(text) and text.lower() not in _WORDS and not text[0].isdigit():
        return text
    # A URL in ${...} is plain: its colons and commas are followed by no space.
    if text.startswith("${") and text.endswith("}") and not re.search(r"[\s#'\"\\]", text):
        return text
    return json.dumps(text, ensure_ascii=False)


def alembic_ini(root: Path, migrations: Path) -> str:
    """alembic.ini of a new tree."""
    text = _template("alembic.ini")
    place = relative(root, migrations).replace("%", "%%")
    return text.replace("%(here)s/migrations", f"%(here)s/{place}")


def with_script_location(ini: str) -> str:
    """An alembic.ini that stands beside env.py, with the script_location that it lacks."""
    found = re.search(r"^\[alembic\][^\n]*\n", ini, re.MULTILINE)
    line = "script_location = %(here)s\n"
    if found is None:
        return f"{ini.rstrip()}\n\n[alembic]\n{line}" if ini.strip() else f"[alembic]\n{line}"
    return ini[: found.end()] + line + ini[found.end() :]


def script_py_mako(*, sqlmodel: bool) -> str:
    """The template of new revision files. sqlmodel: they name SQLModel's types by its package."""
    text = _template("script.py.mako")
    line = "from alembic import op\n"
    return text.replace(line, f"import sqlmodel\n{line}") if sqlmodel else text


def env_py(carried: Carried, before: str | None) -> str:
    """env.py: two lines, and what was carried over. before: the name of the old one's copy."""
    if before is None or not (carried.code or carried.options or carried.left or carried.future):
        return _template("env.py")
    parts = [_header(carried.left, before)]
    if carried.future:
        parts.append(carried.future + "\n")
    parts.append("from orchestrator.environment import run_migrations\n")
    if carried.code:
        parts.append(carried.code + "\n\n")
    options = "".join(f"    {name}={text},\n" for name, text in carried.options.items())
    parts.append(f"run_migrations(\n{options})\n" if options else "run_migrations()\n")
    return "\n".join(parts)


def _header(left: Sequence[Left], before: str) -> str:
    lines = [f"# Adopted by `orchestrator init`; the env.py that stood here is kept as {before}."]
    if left:
        lines.append("# Not carried over from it:")
        lines += [f"#   line {one.where.line}: {one.name}: {one.why}" for one in left]
    return "\n".join(lines) + "\n"


def _template(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")
