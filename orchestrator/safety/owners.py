"""Who works on a target: the label by which a run is known to others.

Enters: a run.  Leaves: a label of at most 63 bytes for the server to keep with the session, and the
Owner that such a label names.  No I/O.
"""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import lru_cache

_MARK = "orchestrator"
# PostgreSQL 18 manual, application_name: fewer than NAMEDATALEN (64) characters, others than
# printable ASCII are replaced.
_LONGEST = 63


@dataclass(frozen=True, slots=True)
class Owner:
    """A process that works on targets. run: the run's id, "" for stock Alembic."""

    run: str
    host: str
    pid: int

    @classmethod
    def here(cls, run: str = "") -> Owner:
        """This process, as the owner of a run."""
        return cls(run, socket.gethostname(), os.getpid())

    @property
    def label(self) -> str:
        """Such as "orchestrator 20261122T210313-4f2a 4711 web-1"."""
        return _label(self)

    @property
    def words(self) -> str:
        """For people: "run 20261122T210313-4f2a (pid 4711 on web-1)"."""
        run = f"run {self.run}" if self.run else "alembic"
        return f"{run} (pid {self.pid} on {self.host})"


@lru_cache(16)
def _label(owner: Owner) -> str:
    text = f"{_MARK} {owner.run or '-'} {owner.pid} {owner.host}"
    ascii_text = "".join(mark if " " <= mark <= "~" else "?" for mark in text)
    return ascii_text[:_LONGEST]


def owner_of(label: str) -> Owner | None:
    """The owner that a session's label names; None when it is not one of ours."""
    parts = label.split(" ", 3)
    if len(parts) != 4 or parts[0] != _MARK or not parts[2].isdigit():
        return None
    return Owner("" if parts[1] == "-" else parts[1], parts[3], int(parts[2]))
