"""What columns hold: texts as every server takes them, long texts, and lists of lists of words.

Enters: texts and tuples of Python.  Leaves: what every server keeps of them, and back.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any

from sqlalchemy import Dialect, Text
from sqlalchemy.types import TypeDecorator, TypeEngine

TEXT_LENGTH = 8_000
"""Longest text that is kept whole: MySQL's TEXT ends at 65,535 bytes."""
_LEVEL = 6


def whole_text(text: str) -> str:
    """A text as every server takes it: no NUL (PostgreSQL), nothing that UTF-8 cannot write."""
    if text.isascii() and "\0" not in text:
        return text
    return text.replace("\0", "\\0").encode("utf-8", "backslashreplace").decode("utf-8")


def kept_text(text: str) -> str:
    """A text as every server takes it, and no longer than every one keeps."""
    text = whole_text(text)
    return text if len(text) <= TEXT_LENGTH else text[: TEXT_LENGTH - 3] + "..."


def pack(text: str) -> str:
    """A long text as it is kept: its UTF-8 under zlib (RFC 1950), in base64."""
    return base64.b64encode(zlib.compress(text.encode("utf-8"), _LEVEL)).decode("ascii")


def unpack(kept: str) -> str:
    """The text that `pack` was given."""
    return zlib.decompress(base64.b64decode(kept)).decode("utf-8")


class Packed(TypeDecorator[str]):
    """A text of megabytes, packed: one statement brings it to the server, and MySQL takes no
    longer one than max_allowed_packet (MySQL manual, "Packet Too Large")."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """MySQL's TEXT ends at 65,535 bytes."""
        if dialect.name not in ("mysql", "mariadb"):
            return dialect.type_descriptor(Text())
        # Few ledgers are kept there, and start-up is short of time.
        from sqlalchemy.dialects.mysql import LONGTEXT

        return dialect.type_descriptor(LONGTEXT())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else pack(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        return None if value is None else unpack(value)


class Commands(TypeDecorator[tuple[tuple[str, ...], ...]]):
    """Commands, each a tuple of words, as JSON."""

    impl = Text
    cache_ok = True

    def process_bind_param(
        self, value: tuple[tuple[str, ...], ...] | None, dialect: Dialect
    ) -> str | None:
        return None if value is None else json.dumps(value)

    def process_result_value(
        self, value: str | None, dialect: Dialect
    ) -> tuple[tuple[str, ...], ...] | None:
        return None if value is None else tuple(tuple(words) for words in json.loads(value))
