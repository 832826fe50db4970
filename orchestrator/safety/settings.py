"""How long a session may wait and run: the settings that it starts with in every target.

Enters: a bind's time limits.  Leaves: statements for one flavour.  No I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from orchestrator.config import Bind, Flavour
from orchestrator.fleet.engines import BETWEEN, QUESTIONS, SILENCE
from orchestrator.safety.owners import Owner

_CHECK_CLIENT = "10s"
_IDLE = 900
"""MySQL: a session that says nothing for so many seconds is ended, and its lock with it."""


def session_settings(
    bind: Bind, flavour: Flavour, owner: Owner, *, limits: bool = True
) -> list[str]:
    """The statements that set a session up for one target of a bind.

    statement_timeout 0 leaves what the server or the user's role says. limits: whether the bind's
    time limits are among them; without, only what tells the owner and ends a session whose client
    is gone.
    """
    if flavour.family == "postgresql":
        times = (bind.lock_timeout, bind.statement_timeout) if limits else None
        return [_postgresql(times, flavour, owner)]
    if not limits:
        return []
    values = ", ".join(f"{name} = {value}" for name, value in _mysql(bind, flavour))
    return [f"SET SESSION {values}"]


@lru_cache(maxsize=64)
def _postgresql(times: tuple[float, float] | None, flavour: Flavour, owner: Owner) -> str:
    """times: lock_timeout and statement_timeout, None where they stay as they are. The same for
    every target of a bind."""
    values = {
        "tcp_keepalives_idle": str(SILENCE),
        "tcp_keepalives_interval": str(BETWEEN),
        "tcp_keepalives_count": str(QUESTIONS),
        "application_name": owner.label,
    }
    if times is not None:
        values["lock_timeout"] = _milliseconds(times[0])
    if times is not None and times[1]:
        values["statement_timeout"] = _milliseconds(times[1])
    sets = [f"set_config({_text(name)}, {_text(value)}, false)" for name, value in values.items()]
    if flavour.version >= (14,):
        # PostgreSQL 18 manual, 19.3.2: only on systems whose kernel tells of a closed connection.
        sets.append(
            "(SELECT set_config('client_connection_check_interval', "
            f"'{_CHECK_CLIENT}', false) WHERE version() ~ 'linux|darwin|freebsd')"
        )
    return f"SELECT {', '.join(sets)}"


def _milliseconds(seconds: float) -> str:
    """Never 0, which means for ever, for what is more than nothing."""
    return str(max(1, round(seconds * 1000)) if seconds else 0)


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


def _mysql(bind: Bind, flavour: Flavour) -> Iterator[tuple[str, str]]:
    # MySQL 8.4 manual, 7.1.8: both are whole seconds, and at least one.
    seconds = str(max(1, math.ceil(bind.lock_timeout)))
    if bind.lock_timeout:
        yield "lock_wait_timeout", seconds
        yield "innodb_lock_wait_timeout", seconds
    yield "wait_timeout", str(_IDLE)
    if bind.statement_timeout and flavour.name == "mariadb":
        yield "max_statement_time", f"{bind.statement_timeout:.3f}"
