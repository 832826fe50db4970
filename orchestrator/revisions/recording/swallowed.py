"""Whether a line of Python stands where a database error would be caught and forgotten.

Enters: a file and a line.  Leaves: yes or no; a file that cannot be read has no such lines.
"""

from __future__ import annotations

import ast
import builtins
import functools
import linecache


def swallows(file: str, line: int) -> bool:
    """Whether an error of the server raised at this line would not leave its function."""
    return any(start <= line <= end for start, end in _spans(file))


@functools.cache
def _spans(file: str) -> tuple[tuple[int, int], ...]:
    """First and last lines of the blocks of a file that swallow."""
    try:
        tree = ast.parse("".join(linecache.getlines(file)))
    except SyntaxError:
        return ()
    blocks = [node.body for node in ast.walk(tree) if _forgives(node)]  # type: ignore[attr-defined]
    return tuple((body[0].lineno, body[-1].end_lineno or body[-1].lineno) for body in blocks)


def _forgives(node: ast.AST) -> bool:
    if isinstance(node, ast.Try):
        return any(_catches(handler) and not _raises(handler) for handler in node.handlers)
    if isinstance(node, ast.With):
        return any(_is_suppress(item.context_expr) for item in node.items)
    return False


def _catches(handler: ast.ExceptHandler) -> bool:
    """Whether a handler takes database errors: all but those that name other built-in errors."""
    if handler.type is None:
        return True
    named = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return any(not isinstance(one, ast.Name) or _wide(one.id) for one in named)


def _wide(name: str) -> bool:
    known = getattr(builtins, name, None)
    return known is None or known in (Exception, BaseException)


def _raises(handler: ast.ExceptHandler) -> bool:
    return isinstance(handler.body[-1], ast.Raise)


def _is_suppress(node: ast.expr) -> bool:
    if not isinstance(node, ast.Call):
        return False
    called = node.func
    name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", "")
    return name == "suppress" and any(
        not isinstance(one, ast.Name) or _wide(one.id) for one in node.args
    )
