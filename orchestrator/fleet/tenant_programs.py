"""Tenants from a program: a Python callable of the project, or a command.

Enters: a `callable` or `command` source, and the project's folder.  Leaves: a Row for each tenant.
A command is a list of words, never a line for a shell.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import json
import os
import shlex
import signal
import subprocess
import sys
import traceback
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID

from orchestrator.config import TenantSource, Where
from orchestrator.discovery.project import ModuleBroken, ModuleMissing, Project
from orchestrator.errors import ConfigError, Problem
from orchestrator.fleet.entries import Row, Rows, SourceFailed
from orchestrator.fleet.tenant_files import names_in

COMMAND_SECONDS = 60.0
"""How long a command may take to list the tenants."""

_SHOWN_LINES = 20
"""How many of the last lines on stderr a failure shows."""


def callable_rows(source: TenantSource, key: str, root: Path) -> Rows:
    """The tenants that a callable of the project returns: names, mappings, or objects such as
    dataclasses and rows. Raises ConfigError with the line that failed."""
    text = str(source.value)
    module, _, name = text.partition(":")
    project = Project(root)
    found = _imported(source, key, project, module)
    for part in name.split("."):
        if not hasattr(found, part):
            raise _fault(source, key, f"{module} has no {name}", "Correct the name.")
        found = getattr(found, part)
    if not callable(found):
        raise _fault(source, key, f"{text} is no callable", "Name a function without arguments.")
    try:
        # stdout is kept for results.
        with contextlib.redirect_stdout(sys.stderr):
            value = found()
            if inspect.isawaitable(value):
                if inspect.iscoroutine(value):
                    value.close()
                raise TypeError("it is asynchronous; give a plain function")
            given = _listed(value)
    except (Exception, SystemExit) as error:
        line = _own_line(project, error)
        what = f"{text} fails: {type(error).__name__}: {error}"
        raise _failed(source, key, what + (f" ({line})" if line else "")) from error
    where = source.where
    return Rows(
        tuple(
            Row(Where(where.file, where.line, f"item {number}"), _plain(one))
            for number, one in enumerate(given, 1)
        )
    )


def _imported(source: TenantSource, key: str, project: Project, module: str) -> Any:
    project.enter()
    claimed = project.claim(module)
    if claimed is not None:
        raise _fault(source, key, claimed.what, claimed.todo)
    try:
        return project.load(module)
    except ModuleMissing as error:
        todo = f"Correct the name; it is looked for in {project.root}."
        raise _fault(source, key, f"there is no module {module}", todo) from error
    except ModuleBroken as error:
        what = f"{module} cannot be imported: {error.text} ({error.where})"
        raise _fault(source, key, what, error.todo) from error


def _listed(value: object) -> list[Any]:
    if isinstance(value, (str, bytes, Mapping)) or not isinstance(value, Iterable):
        raise TypeError(f"it returns {type(value).__name__}, not a list of tenants")
    return list(value)


def _own_line(project: Project, error: BaseException) -> str:
    """The last line of the project that ran."""
    lines = [
        f"{frame.filename}:{frame.lineno}"
        for frame in traceback.extract_tb(error.__traceback__)
        if project.owns(frame.filename)
    ]
    return lines[-1] if lines else ""


def _plain(one: Any) -> Any:
    """A tenant as a name or a mapping, whatever kind of object a callable gives."""
    if isinstance(one, (str, int, UUID, Mapping)) or one is None:
        return one
    if dataclasses.is_dataclass(one):
        return {field.name: getattr(one, field.name) for field in dataclasses.fields(one)}
    mapping = getattr(one, "_mapping", None)  # a Row of SQLAlchemy
    if isinstance(mapping, Mapping):
        return dict(mapping)
    fields = getattr(one, "_fields", None)  # a named tuple
    if isinstance(one, tuple) and fields is not None:
        return dict(zip(fields, one, strict=True))
    if hasattr(one, "__dict__"):
        return {name: value for name, value in vars(one).items() if not name.startswith("_")}
    return one


def command_rows(source: TenantSource, key: str, root: Path, seconds: float = 0) -> Rows:
    """The tenants that a command prints: a JSON list of names or objects, or one name a line.

    It runs in the project's folder, for at most `seconds` (0: COMMAND_SECONDS). Raises ConfigError
    when it cannot be started, fails, or prints something else.
    """
    words = tuple(map(str, source.value))
    where = source.where
    text = _printed(source, key, words, root, seconds or COMMAND_SECONDS)
    if not text.lstrip().startswith(("[", "{")):
        return Rows(
            tuple(
                Row(Where(where.file, where.line, f"line {number} of its output"), name)
                for number, name in names_in(text)
            )
        )
    try:
        value = json.loads(text)
    except ValueError as error:
        what = f"`{shlex.join(words)}` prints no JSON: {error}"
        raise _fault(source, key, what, "Print a list, or one name a line.") from error
    if not isinstance(value, list):
        what = f"`{shlex.join(words)}` prints a JSON object"
        raise _fault(source, key, what, "Print a list of names, or of objects with a tenant.")
    return Rows(
        tuple(
            Row(Where(where.file, where.line, f"item {number}"), one)
            for number, one in enumerate(value, 1)
        )
    )


def _printed(
    source: TenantSource, key: str, words: Sequence[str], root: Path, seconds: float
) -> str:
    shown = f"`{shlex.join(words)}`"
    if not words:
        raise _fault(source, key, "the command has no words", "Write it as a list of words.")
    try:
        process = subprocess.Popen(
            words,
            cwd=root,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        todo = f"It is run in {root}, without a shell: write one word an item."
        raise _fault(source, key, f"{shown} cannot be started: {reason}", todo) from error
    try:
        out, err = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired as error:
        _kill(process)
        what = f"{shown} did not end within {seconds:g} s, and was killed"
        raise _failed(source, key, what + _told(process.communicate()[1])) from error
    except BaseException:
        _kill(process)
        raise
    if process.returncode:
        ended = (
            f"ended with exit code {process.returncode}"
            if process.returncode > 0
            else f"was ended by signal {-process.returncode}"
        )
        raise _failed(source, key, f"{shown} {ended}{_told(err)}")
    try:
        return out.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise _fault(source, key, f"{shown} prints no UTF-8: {error}") from error


def _kill(process: subprocess.Popen[bytes]) -> None:
    """End it and whatever it started, which would else keep its output open."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _told(err: bytes) -> str:
    lines = err.decode(errors="replace").strip().splitlines()
    if not lines:
        return " and said nothing on stderr"
    return "; its stderr:\n" + "\n".join(f"    {line}" for line in lines[-_SHOWN_LINES:])


def _fault(source: TenantSource, key: str, what: str, todo: str = "") -> ConfigError:
    return ConfigError(Problem(what, str(source.where), key, todo))


def _failed(source: TenantSource, key: str, what: str) -> SourceFailed:
    return SourceFailed(Problem(what, str(source.where), key, "Correct it, or what it asks."))
