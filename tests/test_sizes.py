"""No file and no function tells more than fits in a head: the house's floors, held for all code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("orchestrator", "tests", "script", "benchmarks")
FILE_LINES = 400
FUNCTION_LINES = 50
"""From its `def` to its last line: signature and docstring count."""


def _files(folder: str) -> Iterator[Path]:
    """All but the projects that tests read, which are as their authors might have written them."""
    for path in sorted((ROOT / folder).rglob("*")):
        if "projects" in path.relative_to(ROOT).parts[:2] or not path.is_file():
            continue
        if path.suffix == ".py" or _is_script(path):
            yield path


def _is_script(path: Path) -> bool:
    if path.suffix:
        return False
    with path.open("rb") as file:
        first = file.readline()
    return first.startswith(b"#!") and b"python" in first


def too_long(text: str) -> Iterator[tuple[int, str]]:
    """What is longer than it may be: its line, and words for it."""
    lines = text.count("\n")
    if lines > FILE_LINES:
        yield 1, f"{lines} lines"
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            long = (node.end_lineno or node.lineno) - node.lineno + 1
            if long > FUNCTION_LINES:
                yield node.lineno, f"{node.name} has {long} lines"


@pytest.mark.parametrize("folder", FOLDERS)
def test_files_and_functions_are_short(folder: str) -> None:
    files = list(_files(folder))
    assert files
    assert [
        f"{path.relative_to(ROOT)}:{line}: {words}"
        for path in files
        for line, words in too_long(path.read_text(encoding="utf-8"))
    ] == []


def test_a_long_file_and_a_long_function_are_found() -> None:
    body = "    pass\n" * FUNCTION_LINES
    assert list(too_long(f"async def one():\n{body}")) == [(1, "one has 51 lines")]
    assert list(too_long(f"def one():\n{body.removesuffix('    pass' + chr(10))}")) == []
    assert list(too_long("\n" * 401)) == [(1, "401 lines")]
    assert list(too_long("\n" * 400)) == []
