"""How long a session may wait and run: the settings that it starts with in every target.

Enters: a bind's time limits.  Leaves: statements for one flavour.  No I/O.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from orchestrator.config import Bind, Flavour
from orchestrator.safety.owners import Owner

# How soon a server notices that its client is gone without a word, in seconds: after this long in
# silence it asks (tcp_keepalives_idle), and gives up after so many questions without an answer.
_SILENCE, _BETWEEN, _QUESTIONS = 30, 10, 3
_CHECK_CLIENT = "10s"
_IDLE = 900
"""MySQL: a session that says nothing for so many seconds is ended, and its lock with it."""


def session_settings(bind: Bind, flavour: Flavour, owner: Owner) -> list[str]:
    """The statements that set a session up for one target of a bind.

    statement_timeout 0 leaves what the server or the user's role says.
    """
    if flavour.family == "postgresql":
        return [_postgresql(bind, flavour, owner)]
    values = ", ".join(f"{name} = {value}" for name, value in _mysql(bind, flavour))
    return [f"SET SESSION {values}"]


def _postgresql(bind: Bind, flavour: Flavour, owner: Owner) -> str:
    values = {
        "lock_timeout": str(round(bind.lock_timeout * 1000)),
        "tcp_keepalives_idle": str(_SILENCE),
        "tcp_keepalives_interval": str(_BETWEEN),
        "tcp_keepalives_count": str(_QUESTIONS),
        "application_name": owner.label,
    }
    if bind.statement_timeout:
        values["statement_timeout"] = str(round(bind.statement_timeout * 1000))
    sets = [f"set_config({_text(name)}, {_text(value)}, false)" for name, value in values.items()]
    if flavour.version >= (14,):
        # PostgreSQL 18 manual, 19.3.2: only on systems whose kernel tells of a closed connection.
        sets.append(
            "(SELECT set_config('client_connection_check_interval', "
            f"'{_CHECK_CLIENT}', false) WHERE version() ~ 'linux|darwin|freebsd')"
        )
    return f"SELECT {', '.join(sets)}"


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
