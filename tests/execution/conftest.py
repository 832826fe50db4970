"""Servers of a test's own, which it may kill; and apps of its own."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from sqlalchemy import URL, make_url

from servers import RunningServer, start
from tests.cli.small import rows


@pytest.fixture(params=["pg18", "mariadb"])
def mortal(request: pytest.FixtureRequest) -> Iterator[RunningServer]:
    """A server of the test's own, which may be killed."""
    server = start(request.param, durable=True)
    if server.family == "mysql":
        rows(make_url(server.url), "CREATE DATABASE fleet")
    yield server
    server.stop()


@pytest.fixture
def mortal_url(mortal: RunningServer) -> URL:
    """A database on it."""
    url = make_url(mortal.url)
    return url.set(database=url.database or "fleet")


@pytest.fixture
def own_apps(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every project calls its package `apps`: forget those of other tests, and the test's own."""
    monkeypatch.setattr(sys, "path", list(sys.path))
    _forget_apps()
    yield
    _forget_apps()


def _forget_apps() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "apps"]:
        del sys.modules[name]
