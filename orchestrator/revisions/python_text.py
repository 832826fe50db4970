"""The text of a Python file, as Python itself reads it.

Enters: its bytes.  Leaves: its text.  No I/O.
"""

from __future__ import annotations

from importlib.util import decode_source


def python_text(data: bytes) -> str:
    """A file's text: by its coding comment or byte order mark (PEP 263), else UTF-8.

    One that Python would refuse is read as far as it can be: who loads it tells why.
    """
    try:
        return decode_source(data)
    except (SyntaxError, UnicodeDecodeError, LookupError):
        return data.decode("utf-8", "replace")
