"""What a revision's file says to lint: which findings its author allows, and its downgrade.

Enters: the text of a revision file.  Leaves: a RevisionSource.  No I/O.

`# orchestrator: allow RULE because REASON` stands on the line of an operation or right above it,
and allows it there; above a `with` block, in all of it; outside of functions, in the whole
revision.
Several rules are separated by commas.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass

_COMMENT = re.compile(
    r"#\s*orchestrator:\s*allow\b\s*(?P<rules>.*?)(?:\s+because\b\s*(?P<because>.*?))?\s*(?:#.*)?\Z",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Allow:
    """One comment. lines: where it allows these rules, both ends included; None in the whole
    revision; an empty span (1, 0) where it stands at no operation. blocks: the lines on which the
    `with` blocks around it begin: Alembic sends a batch's statements from there."""

    rules: tuple[str, ...]
    because: str
    line: int
    lines: tuple[int, int] | None
    blocks: frozenset[int] = frozenset()

    def covers(self, rule: str, line: int) -> bool:
        """Whether it allows a finding of this rule on this line (0: of the whole revision)."""
        if rule not in self.rules or not self.because:
            return False
        if self.lines is None or line in self.blocks:
            return True
        return self.lines[0] <= line <= self.lines[1]


@dataclass(frozen=True, slots=True)
class RevisionSource:
    """has_downgrade, has_upgrade: whether it defines one that does something. downgrade_line: where
    the first is, 0 for nowhere."""

    allows: tuple[Allow, ...] = ()
    has_downgrade: bool = True
    downgrade_line: int = 0
    has_upgrade: bool = True


def read_source(text: str) -> RevisionSource:
    """Read a revision file; one that is no Python says nothing (who loads it tells why)."""
    try:
        tree = ast.parse(text)
        comments = list(_comments(text))
    except (SyntaxError, ValueError, tokenize.TokenError):
        return RevisionSource()
    functions = {one.name: one for one in tree.body if isinstance(one, ast.FunctionDef)}
    downgrade = functions.get("downgrade")
    return RevisionSource(
        tuple(_allows(tree, comments)),
        _does_something(downgrade),
        downgrade.lineno if downgrade is not None else 0,
        _does_something(functions.get("upgrade")),
    )


def _comments(text: str) -> Iterator[tuple[int, str, bool]]:
    """Each comment: its line, its text, and whether it has its line for itself."""
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string, not token.line[: token.start[1]].strip()


def _allows(tree: ast.Module, comments: list[tuple[int, str, bool]]) -> Iterator[Allow]:
    alone = {line for line, _text, own in comments if own}
    for line, text, own in comments:
        found = _COMMENT.match(text)
        if found is None:
            continue
        code = line
        while own and code in alone:
            code += 1
        rules = tuple(one for one in re.split(r"[\s,]+", found["rules"]) if one)
        because = (found["because"] or "").strip()
        yield Allow(rules, because, line, _lines(tree, line, code), _blocks(tree, code))


def _blocks(tree: ast.Module, code: int) -> frozenset[int]:
    return frozenset(
        one.lineno
        for one in ast.walk(tree)
        if isinstance(one, ast.With) and one.body[0].lineno <= code <= (one.end_lineno or 0)
    )


def _lines(tree: ast.Module, comment: int, code: int) -> tuple[int, int] | None:
    """The lines of the operation that a comment stands at. code: the line that it speaks of."""
    functions = [
        one for one in tree.body if isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    inside = [one for one in functions if one.lineno <= comment <= (one.end_lineno or 0)]
    if not inside or code == inside[0].lineno:
        return None
    spans = [
        (one.lineno, one.end_lineno or one.lineno, hasattr(one, "body"))
        for one in ast.walk(inside[0])
        if isinstance(one, ast.stmt) and one is not inside[0]
    ]
    at = [span for span in spans if span[0] == code or (not span[2] and span[0] <= code <= span[1])]
    # On a line that begins a block, the block; else the operation.
    best = max(at, key=lambda span: span[1] - span[0], default=(1, 0, False))
    return best[0], best[1]


def _does_something(function: ast.FunctionDef | None) -> bool:
    return function is not None and not all(map(_does_nothing, function.body))


def _does_nothing(statement: ast.stmt) -> bool:
    """pass, a docstring, `return`, and `raise NotImplementedError`."""
    if isinstance(statement, ast.Pass):
        return True
    if isinstance(statement, ast.Expr):
        return isinstance(statement.value, ast.Constant)
    if isinstance(statement, ast.Return):
        return statement.value is None or isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.Raise)
