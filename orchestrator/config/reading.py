"""The text of a configuration file.

Enters: its path.  Leaves: its text, or a ConfigError for what is no text of a bearable length.
"""

from __future__ import annotations

from pathlib import Path

from orchestrator.config.types import Where
from orchestrator.errors import ConfigError, Problem

_LARGEST = 8 * 1_048_576
"""Bytes of a databases.yaml, at most: -c may name something that never ends (/dev/zero)."""


def read_text(file: Path, todo: str) -> str:
    """The text of a file. todo: what to do about one that cannot be read. Raises ConfigError."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_LARGEST + 1)
        if len(data) <= _LARGEST:
            return data.decode("utf-8-sig")
        what = f"it is larger than {_LARGEST // 1_048_576} MiB"
    except FileNotFoundError:
        what = "there is no such file"
    except UnicodeDecodeError as error:
        what = f"it is no UTF-8 text (byte {error.start + 1})"
        todo = "Save it as UTF-8."
    except OSError as error:
        what, todo = f"it cannot be read: {error.strerror}", "Correct the path, or its permissions."
    raise ConfigError(Problem(what, where=str(Where(file, 1)).removesuffix(":1"), todo=todo))
