"""Where the ledger is kept in these tests: in a file, and on every selected server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.conftest import DatabaseFactory


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    """The URL of a ledger in a file that is not there yet."""
    return f"sqlite:///{tmp_path}/kept/ledger.db"


@pytest.fixture(params=["file", "server"])
def url(request: pytest.FixtureRequest, file_url: str, any_database: DatabaseFactory) -> str:
    """The URL of an empty ledger, in a file and on a server."""
    if request.param == "file":
        return file_url
    return any_database().render_as_string(hide_password=False)
