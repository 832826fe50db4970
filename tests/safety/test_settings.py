"""What a session starts with, as its server took it."""

from __future__ import annotations

from orchestrator.config import Flavour
from orchestrator.fleet.sessions import PostgreSQLSession, open_session
from orchestrator.safety.owners import Owner
from orchestrator.safety.settings import session_settings
from servers import RunningServer
from tests.conftest import DatabaseFactory
from tests.execution.replayed import target_of

OWNER = Owner("20261122T210313-4f2a", "o'web\\", 4711)


def test_the_server_takes_them(any_server: RunningServer, any_database: DatabaseFactory) -> None:
    url = any_database()
    flavour = Flavour.parse(any_server.flavour)
    bind = target_of(url, lock_timeout=1.5, statement_timeout=90.0).bind
    session = open_session(url)
    session.batch(session_settings(bind, flavour, OWNER))
    if isinstance(session, PostgreSQLSession):
        shown = {
            name: session.rows(f"SHOW {name}")[0][0]
            for name in (
                "lock_timeout",
                "statement_timeout",
                "tcp_keepalives_idle",
                "tcp_keepalives_interval",
                "tcp_keepalives_count",
                "client_connection_check_interval",
                "application_name",
            )
        }
        expected = ["1500ms", "90s", "30", "10", "3", "10s", OWNER.label]
        assert list(shown.values()) == expected
    else:
        named = dict(session.rows("SHOW SESSION VARIABLES"))
        assert (named["lock_wait_timeout"], named["innodb_lock_wait_timeout"]) == ("2", "2")
        assert named["wait_timeout"] == "900"
        if flavour.name == "mariadb":
            assert float(named["max_statement_time"]) == 90
    session.close()


def test_no_limit_is_none(any_server: RunningServer, any_database: DatabaseFactory) -> None:
    url = any_database()
    flavour = Flavour.parse(any_server.flavour)
    session = open_session(url)
    limits = {"lock_timeout": 0.0002, "statement_timeout": 0.0}
    session.batch(session_settings(target_of(url, **limits).bind, flavour, OWNER))
    if isinstance(session, PostgreSQLSession):
        # The least there is, and not 0, which is for ever.
        assert session.rows("SHOW lock_timeout") == [("1ms",)]
        assert session.rows("SHOW statement_timeout") == [("0",)]
    else:
        query = "SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout"
        assert session.rows(query) == [(1, 1)]
    session.close()
