"""What a branch changes in the histories: revisions that it adds, edits, and takes away.

Enters: a project in a Git work tree, and a revision of Git.  Leaves: Changes.  Git is asked as a
program; nothing is changed.
"""

from __future__ import annotations

import ast
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from orchestrator.config import Bind
from orchestrator.errors import Problem, UsageError
from orchestrator.execution.project import Project
from orchestrator.revisions.git import ask_git

_DEFAULTS = ("origin/HEAD", "origin/main", "origin/master", "main", "master")
_SECONDS = 30


@dataclass(frozen=True, slots=True)
class Changes:
    """What differs from where a branch began.

    base: the commit. added: by bind, revision ids in the order in which they run. edited: files of
    revisions that were there already, relative to the project. gone: bind, revision id and file of
    those that no file has any more; one that only moved to another file is no change.
    """

    base: str
    added: tuple[tuple[Bind, tuple[str, ...]], ...]
    edited: tuple[str, ...]
    gone: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class _Former:
    """A revision's file that the base has, and the work tree has not. file: relative to the work
    tree."""

    revision: str
    file: str
    text: str


def changes_since(project: Project, binds: Sequence[Bind], base: str | None) -> Changes:
    """What the work tree has that the base has not.

    base: a revision of Git, None for the branch that others are merged into. What counts is where
    this branch left it. Raises UsageError where Git does not know it, or has no commit of it that
    this branch has too, or there is no work tree, and HistoryError.
    """
    root = project.config.root
    top = Path(_git(root, "rev-parse", "--show-toplevel"))
    commit = _base(root, base)
    there = set(_git(root, "ls-tree", "-r", "--name-only", "--full-tree", "-z", commit).split("\0"))
    changed = set(_git(root, "diff", "--name-only", "-z", "--no-renames", commit).split("\0"))
    missing = [name for name in sorted(there & changed) if not (top / name).exists()]
    added, edited, gone = [], [], []
    for bind in binds:
        history = project.history(bind.name)
        former = {one.revision: one for one in _former(project, bind, top, commit, missing)}
        new = set()
        for script in history.scripts():
            path = Path(script.path).resolve()
            name = path.relative_to(top).as_posix() if path.is_relative_to(top) else ""
            moved = former.pop(script.revision, None) if name not in there else None
            if name not in there and moved is None:
                new.add(script.revision)
            elif _same(moved, path) if moved is not None else name not in changed:
                continue
            else:
                inside = path.is_relative_to(root)
                edited.append((path.relative_to(root) if inside else path).as_posix())
        gone += [(bind.name, one.revision, one.file) for one in former.values()]
        order = history.path((), history.upgrade("heads"))
        added.append((bind, tuple(one.revision for one in order if one.revision in new)))
    kept = tuple(one for one in added if one[1])
    return Changes(commit, kept, tuple(dict.fromkeys(edited)), tuple(gone))


def _former(
    project: Project, bind: Bind, top: Path, commit: str, missing: Sequence[str]
) -> Iterator[_Former]:
    """The revisions of a bind among files that are missing."""
    for name in missing:
        path = top / name
        folders = [
            (len(folder.resolve().parts), other.name)
            for other in project.config.binds.values()
            for folder in other.versions
            if path.is_relative_to(folder.resolve())
        ]
        if path.suffix != ".py" or max(folders, default=(0, ""))[1] != bind.name:
            continue
        text = _git(project.config.root, "show", f"{commit}:{name}")
        revision = _revision_of(text)
        if revision:
            yield _Former(revision, name, text)


def _revision_of(text: str) -> str:
    """The revision that a file's text gives itself, "" for none."""
    try:
        body = ast.parse(text).body
    except (SyntaxError, ValueError):
        return ""
    for one in body:
        names = one.targets if isinstance(one, ast.Assign) else []
        names = [one.target] if isinstance(one, ast.AnnAssign) else names
        if any(isinstance(name, ast.Name) and name.id == "revision" for name in names):
            value = getattr(one, "value", None)
            return str(value.value) if isinstance(value, ast.Constant) and value.value else ""
    return ""


def _same(former: _Former, path: Path) -> bool:
    text = path.read_text(encoding="utf-8", errors="surrogateescape")
    return text.rstrip("\n") == former.text


def _base(root: Path, named: str | None) -> str:
    """The commit where this branch left its base."""
    tried = (named,) if named else _DEFAULTS
    for name in tried:
        # "--end-of-options": a name that begins with a dash is no option.
        arguments = ("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        found = _ask(root, *arguments)
        if found.returncode == 0:
            return _parting(root, name, found.stdout.strip())
    what = f"Git knows no revision {named!r}" if named else "Git knows no branch to compare with"
    todo = "Name one that is there (fetch it first, where the clone is shallow): diff origin/main."
    raise UsageError(Problem(what, where=str(root), todo=todo))


def _parting(root: Path, name: str, commit: str) -> str:
    """The last commit that this branch has in common with its base."""
    found = _ask(root, "merge-base", "HEAD", commit)
    if found.returncode == 0:
        return found.stdout.strip()
    shallow = _git(root, "rev-parse", "--is-shallow-repository") == "true"
    what = f"{name!r} and this branch have no commit in common"
    todo = (
        "Fetch the whole history: git fetch --unshallow (fetch-depth: 0 of actions/checkout)."
        if shallow
        else "Name the revision that this branch began at."
    )
    words = f"{what} in this shallow clone" if shallow else what
    raise UsageError(Problem(words, where=str(root), todo=todo))


def _git(root: Path, *arguments: str) -> str:
    done = _ask(root, *arguments)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["it said nothing"]
        said = next((line for line in lines if line.startswith("fatal: ")), lines[-1])
        raise UsageError(
            Problem(
                f"git {arguments[0]} failed: {said}",
                where=str(root),
                todo="Run it in the project's Git work tree, with the base fetched.",
            )
        )
    return done.stdout.rstrip("\n")


def _ask(root: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    try:
        return ask_git(root, *arguments, seconds=_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        raise UsageError(
            Problem(f"git cannot be run: {error}", where=str(root), todo="Install Git.")
        ) from error
