"""What makes the command start and end quickly, and changes nothing that it does.

Enters and leaves: nothing; it sets this process's collector and what Python imports.

Half of a short command's processor time would go to Python's cycle collector: it walks the classes
and functions of SQLAlchemy, Alembic and pydantic again and again while they are imported, and once
more when the process ends, and finds nothing to free.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator
from contextlib import contextmanager

# Mako, which Alembic imports, imports pygments to colour HTML pages of template errors, and does
# without where that fails (mako/exceptions.py). Nothing here is a web page.
_HIGHLIGHTER = "mako.ext.pygmentplugin"


_begun: list[bool] = []
"""Holds something in a process that ends with the command."""


def begin() -> None:
    """Collect nothing until the verb is imported. For a process that ends with the command."""
    _begun.append(True)
    gc.disable()


@contextmanager
def imports() -> Iterator[None]:
    """While a verb is imported: what is there afterwards stays for good, so the collector is told
    to leave it alone, and collects from then on what the verb makes."""
    if _begun:
        gc.disable()  # A verb of a group is imported after its group.
    # None makes an import fail (Python's reference, "The module cache").
    hidden = sys.modules.setdefault(_HIGHLIGHTER, None) is None  # type: ignore[arg-type]
    try:
        yield
    finally:
        if hidden:
            del sys.modules[_HIGHLIGHTER]
        if not gc.isenabled():
            gc.freeze()
            gc.enable()


def end() -> None:
    """Before the process ends: all memory goes at once, so nothing in it needs to be walked."""
    gc.freeze()
