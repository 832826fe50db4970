"""Drivers and identities of URLs."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from orchestrator.config.urls import database_name, family_of, server_identity, synchronous


@pytest.mark.parametrize(
    ("written", "driver"),
    [
        ("postgresql://h/d", "postgresql+psycopg2"),
        ("postgres://h/d", "postgresql+psycopg2"),
        ("postgresql+psycopg2://h/d", "postgresql+psycopg2"),
        ("postgresql+asyncpg://h/d", "postgresql+psycopg2"),
        ("postgres+asyncpg://h/d", "postgresql+psycopg2"),
        ("postgresql+psycopg_async://h/d", "postgresql+psycopg2"),
        ("postgresql+aiopg://h/d", "postgresql+psycopg2"),
        ("mysql://h/d", "mysql+pymysql"),
        ("mysql+pymysql://h/d", "mysql+pymysql"),
        ("mysql+aiomysql://h/d", "mysql+pymysql"),
        ("mysql+asyncmy://h/d", "mysql+pymysql"),
        ("mariadb://h/d", "mariadb+pymysql"),
        ("mariadb+aiomysql://h/d", "mariadb+pymysql"),
    ],
)
def test_drivers(written: str, driver: str) -> None:
    url = synchronous(written)
    assert url.drivername == driver
    assert (url.host, url.database) == ("h", "d")


@pytest.mark.parametrize(
    ("driver", "module"), [("psycopg", "psycopg"), ("pg8000", "pg8000"), ("psycopg2cffi", None)]
)
def test_a_named_driver_stays_when_it_is_installed(
    driver: str,
    module: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed = "orchestrator.config.urls.find_spec"
    monkeypatch.setattr(installed, lambda name: object() if name == module else None)
    expected = driver if module else "psycopg2"
    assert synchronous(f"postgresql+{driver}://h/d").drivername == f"postgresql+{expected}"


def test_a_driver_inside_a_missing_package_is_replaced() -> None:
    assert synchronous("mysql+mysqlconnector://h/d").drivername in (
        "mysql+pymysql",
        "mysql+mysqlconnector",
    )


@pytest.mark.parametrize(
    ("written", "query"),
    [
        ("postgresql+asyncpg://h/d?ssl=require", {"sslmode": "require"}),
        ("postgresql+asyncpg://h/d?ssl=verify-full", {"sslmode": "verify-full"}),
        ("postgresql+asyncpg://h/d?timeout=4.6", {"connect_timeout": "5"}),
        ("postgresql+asyncpg://h/d?timeout=0", {"connect_timeout": "1"}),
        ("postgresql+asyncpg://h/d?prepared_statement_cache_size=0&command_timeout=9", {}),
        ("postgresql+asyncpg://h/d?target_session_attrs=any", {"target_session_attrs": "any"}),
        ("postgresql+asyncpg:///d?host=a:1&host=b:2", {"host": ("a:1", "b:2")}),
        ("mysql+aiomysql://h/d?charset=utf8mb4&echo=true", {"charset": "utf8mb4"}),
        ("mysql+asyncmy://h/d?ssl_ca=/ca.pem", {"ssl_ca": "/ca.pem"}),
        # An option of the user's own driver is its own affair.
        ("postgresql://h/d?ssl=require", {"ssl": "require"}),
    ],
)
def test_options_of_a_replaced_driver(written: str, query: dict[str, object]) -> None:
    assert dict(synchronous(written).query) == query


@pytest.mark.parametrize(
    "written",
    [
        "",
        "hunter2",
        "hunter2@localhost/main",
        "app:hunter2@localhost/main",
        "postgresql://app:hunter2@localhost:port/main",
        "postgresql://app:hunt@hunter2@localhost/main",
        "postgresql://app:hunt@host/hunter2@localhost/main",
        "sqlite:///hunter2.db",
        "oracle://app:hunter2@localhost/main",
        "postgresql+nodriver://app:hunter2@localhost/main",
        "postgresql+asyncpg://app:hunter2@localhost/main?ssl=hunter2",
        "postgresql+asyncpg://app:hunter2@localhost/main?timeout=hunter2",
        "postgresql+asyncpg://app:hunter2@localhost/main?direct_tls=hunter2",
        "mysql+aiomysql://app:hunter2@localhost/main?ssl=hunter2",
        "mysql+aiomysql://app:hunter2@localhost/main?auth_plugin=hunter2",
    ],
)
def test_bad_urls_are_refused_without_their_secrets(written: str) -> None:
    with pytest.raises(ValueError, match=r"URL|dialect|driver|option") as caught:
        synchronous(written)
    error: BaseException | None = caught.value
    while error is not None:
        assert "hunter2" not in f"{error} {getattr(error, 'todo', '')}"
        # `from None`: not even a traceback leads to SQLAlchemy's message, which has the URL.
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


@given(st.text(min_size=1))
def test_passwords_survive(password: str) -> None:
    encodable = password.encode("utf-8", "ignore").decode()
    written = f"postgresql+asyncpg://app:{quote(encodable, safe='')}@h/d"
    url = synchronous(written)
    assert (url.password or "") == encodable
    assert make_url(url.render_as_string(hide_password=False)) == url


@pytest.mark.parametrize("password", ["100%", "50%pure", "a:b", "a/b", "a?b", "a#b", "%%", "p%zz"])
def test_passwords_that_nobody_quoted_survive(password: str) -> None:
    assert synchronous(f"postgresql://app:{password}@h/d").password == password


def test_family_of() -> None:
    assert family_of(synchronous("postgres://h/d")) == "postgresql"
    assert family_of(synchronous("mariadb://h/d")) == "mysql"
    with pytest.raises(ValueError, match="not supported"):
        family_of(make_url("sqlite://"))


@pytest.mark.parametrize(
    ("written", "identity"),
    [
        ("postgresql://u:p@localhost/a", "postgresql://localhost:5432"),
        ("postgresql://other@127.0.0.1:5432/b", "postgresql://localhost:5432"),
        ("postgresql://[::1]/a", "postgresql://localhost:5432"),
        ("postgresql:///a", "postgresql://localhost:5432"),
        ("postgresql://DB.example.com./a", "postgresql://db.example.com:5432"),
        ("postgresql://h:6432/a", "postgresql://h:6432"),
        ("postgresql:///a?host=/run/pg/", "postgresql:///run/pg:5432"),
        ("postgresql:///a?host=localhost&port=5433", "postgresql://localhost:5433"),
        ("postgresql:///a?host=h1:1&host=h2", "postgresql://h1:1,h2:5432"),
        ("postgresql:///a?host=h1,h2&port=1,2", "postgresql://h1:1,h2:2"),
        ("mysql://h/a", "mysql://h:3306"),
        ("mariadb://h:3306/b", "mysql://h:3306"),
        ("mysql:///a?unix_socket=/run/my.sock", "mysql:///run/my.sock"),
    ],
)
def test_server_identity(written: str, identity: str) -> None:
    assert server_identity(synchronous(written)) == identity


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("postgresql://u@h/a", "a"),
        ("postgresql://u@h", "u"),
        ("postgresql://h?dbname=q", "q"),
        ("mysql://u@h/a", "a"),
        ("mysql://u@h", ""),
    ],
)
def test_database_name(written: str, name: str) -> None:
    assert database_name(synchronous(written)) == name
