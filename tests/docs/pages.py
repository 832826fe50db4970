"""The pages that a reader may open, taken apart.

Enters: the repository's Markdown files.  Leaves: their code blocks, commands, links and headings.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])

_FENCE = re.compile(r"^( *)(```+)(\w*)[^\n]*\n(.*?)^\1\2 *$", re.DOTALL | re.MULTILINE)
_INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
_LINK = re.compile(r"!?\[(?:[^\[\]]|!?\[[^\]]*\]\([^)]*\))*\]\(([^)\s]+)\)")
_PROGRAMS = ("orchestrator", "alembic")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block of code: its language, its text, and the line it starts on."""

    page: Path
    line: int
    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A command that a page shows. mention: inside a sentence, where options may be left out."""

    page: Path
    text: str
    mention: bool

    def __str__(self) -> str:
        return f"{self.page.relative_to(ROOT)}: {self.text}"


def blocks(page: Path) -> Iterator[Block]:
    """The fenced blocks of a page."""
    text = page.read_text(encoding="utf-8")
    for found in _FENCE.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        body = "\n".join(part.removeprefix(found[1]) for part in found[4].split("\n"))
        yield Block(page, line, found[3], body)


def prose(page: Path) -> str:
    """A page without its fenced blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(page: Path) -> Iterator[Command]:
    """Every command of orchestrator and alembic that a page shows."""
    for block in blocks(page):
        if block.language in ("", "sh", "bash", "console", "shell", "yaml"):
            for line in block.text.replace("\\\n", " ").splitlines():
                if (text := _command(line)) is not None:
                    yield Command(page, text, mention=False)
    for found in _INLINE.finditer(prose(page)):
        if (text := _command(found[1])) is not None:
            yield Command(page, text, mention=True)


def _command(line: str) -> str | None:
    """The command on a line: behind a prompt, a `run:` of a workflow, or nothing."""
    text = re.sub(r"^\s*(?:\$ |- run: |run: )?", "", line)
    text = re.split(r"\s+#|\s+[|><]|\s+2>|;|\s+&&", text)[0].strip()
    # A usage line, or a name in a sentence, is no command.
    if text.split(" ")[0] not in _PROGRAMS or " " not in text or "[OPTIONS]" in text:
        return None
    return text


def links(page: Path) -> list[str]:
    """The targets of the links of a page."""
    without_code = _INLINE.sub(lambda code: re.sub(r"[\[\]()]", " ", code[0]), prose(page))
    return [target for target in _LINK.findall(without_code) if "://" not in target]


def anchors(page: Path) -> set[str]:
    """The names of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    plain = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings)
    return {heading.strip().replace(" ", "-") for heading in plain}
