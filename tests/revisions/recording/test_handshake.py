"""psycopg2 meets the stand-in server."""

from __future__ import annotations

from pathlib import Path

import psycopg2
import pytest

from orchestrator.revisions.recording.handshake import PORT, standing_in


def test_psycopg2_writes_literals_for_it(tmp_path: Path) -> None:
    with standing_in("16.3", tmp_path):
        connection = psycopg2.connect(host=str(tmp_path), port=PORT, user="u", dbname="d")
        assert connection.server_version == 160003
        with connection.cursor() as cursor:
            text = cursor.mogrify("SELECT %s, %s, %s", ("a\\b'c\t😀", b"\0\xff", None))
        assert text.decode() == "SELECT 'a\\b''c\t😀', '\\x00ff'::bytea, NULL"
        connection.close()


def test_a_query_that_goes_around_the_recorder_is_refused(tmp_path: Path) -> None:
    with standing_in("14.0", tmp_path):
        connection = psycopg2.connect(host=str(tmp_path), port=PORT, user="u", dbname="d")
        connection.autocommit = True
        with (
            connection.cursor() as cursor,
            pytest.raises(psycopg2.errors.FeatureNotSupported, match="no server to ask"),
        ):
            cursor.execute("SELECT 1")
        connection.close()


def test_it_ends_with_its_context(tmp_path: Path) -> None:
    with standing_in("16.0", tmp_path):
        pass
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(host=str(tmp_path), port=PORT, user="u", dbname="d")
