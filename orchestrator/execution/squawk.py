"""squawk, the linter of PostgreSQL migrations, as a program that is run.

Enters: scripts, and the server's version.  Leaves: squawk's hits for each.  Raises LintError where
squawk is missing, or does not do what it should.

Its own configuration files are not read: what counts is said in databases.yaml.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from orchestrator.checks.lint.squawk_rules import Row, Script, SquawkHit, hits_of, unread
from orchestrator.checks.lint.squawk_rules import unread_hits as told_unread
from orchestrator.config import Flavour
from orchestrator.errors import LintError, Problem

PROGRAM = "squawk"

_SECONDS = 120
_FILES = 200
"""Files in one call: an argument list has an end."""

_Found = list[list[SquawkHit]]


def find_squawk() -> str:
    """The program: beside the Python that runs, else on the PATH. Raises LintError."""
    beside = Path(sys.executable).with_name(PROGRAM)
    found = str(beside) if beside.is_file() else shutil.which(PROGRAM)
    if found is None:
        raise LintError(
            Problem(
                "the program squawk is not there, which lint reads PostgreSQL statements with",
                todo="Install squawk-cli (pip install squawk-cli) beside orchestrator.",
            )
        )
    return found


def ask_squawk(scripts: Sequence[Script], flavour: Flavour) -> _Found:
    """What squawk says of each script, for a server of this flavour.

    A statement that it cannot read hides all else in its script, so the script is asked again
    without it. Raises LintError.
    """
    found = _rows(scripts, flavour)
    told: _Found = [[] for _ in scripts]
    again = []
    for number, (script, rows) in enumerate(zip(scripts, found, strict=True)):
        if unread(script, rows):
            told[number] += told_unread(script, rows)
            again.append((number, script.without(unread(script, rows))))
        else:
            told[number] += hits_of(script, rows)
    if again:
        rest = _rows([script for _number, script in again], flavour)
        for (number, script), rows in zip(again, rest, strict=True):
            told[number] += [one for one in hits_of(script, rows) if one.rule != "syntax-error"]
    return told


def _rows(scripts: Sequence[Script], flavour: Flavour) -> list[list[Row]]:
    found: list[list[Row]] = [[] for _ in scripts]
    for transactional in (True, False):
        numbers = [n for n, one in enumerate(scripts) if one.transactional is transactional]
        for first in range(0, len(numbers), _FILES):
            some = numbers[first : first + _FILES]
            for number, rows in zip(
                some, _run([scripts[n] for n in some], flavour, transactional), strict=True
            ):
                found[number] = rows
    return found


def _run(scripts: Sequence[Script], flavour: Flavour, transactional: bool) -> list[list[Row]]:
    program = find_squawk()
    with tempfile.TemporaryDirectory(prefix="orchestrator-lint-") as name:
        folder = Path(name)
        (folder / "squawk.toml").touch()
        files = [f"{number}.sql" for number in range(len(scripts))]
        for file, script in zip(files, scripts, strict=True):
            text = script.text.encode("utf-8", "surrogateescape")
            (folder / file).write_bytes(text.decode("utf-8", "replace").encode())
        arguments = [program, "--config", "squawk.toml", "--reporter", "json"]
        arguments += ["--pg-version", ".".join(map(str, flavour.version))] * bool(flavour.version)
        arguments += ["--assume-in-transaction"] * transactional
        try:
            done = subprocess.run(
                [*arguments, *files],
                cwd=folder,
                capture_output=True,
                text=True,
                encoding="utf-8",
                timeout=_SECONDS,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise _failed(str(error)) from error
    rows: dict[str, list[Row]] = {file: [] for file in files}
    # It ends with 1 when it finds something, and says nothing on stdout when it fails.
    try:
        for row in json.loads(done.stdout):
            rows[Path(row["file"]).name].append(
                Row(row["line"], row["rule_name"], row["message"], row["help"] or "")
            )
    except (ValueError, KeyError, TypeError) as error:
        raise _failed(
            " ".join(done.stderr.split()) or f"it ended with {done.returncode}"
        ) from error
    return [rows[file] for file in files]


def _failed(what: str) -> LintError:
    return LintError(
        Problem(
            f"squawk does not run: {what}",
            todo="Try `squawk --version`; install squawk-cli 2.20 or later.",
        )
    )
