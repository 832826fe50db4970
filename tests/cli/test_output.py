"""What is printed: never a password, however a URL writes it, and never half a line."""

from __future__ import annotations

import io
import json
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import URL

from orchestrator import passwords
from orchestrator.cli.output import keep_secret, note, plural, print_json, redact, revisions, say

WORDS = st.text(st.characters(codec="utf-8"), min_size=6, max_size=30)
DRIVERS = st.sampled_from(["postgresql+psycopg2", "mysql+pymysql", "postgresql"])


@pytest.fixture(autouse=True)
def _forget(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_secrets", set())


@given(password=WORDS, driver=DRIVERS, user=st.sampled_from(["app", "o'neil", "a b", ""]))
def test_no_url_shows_its_password(password: str, driver: str, user: str) -> None:
    url = URL.create(driver, user, f"pw-{password}", "db.example.com", 5432, "shop")
    text = f"cannot reach {url.render_as_string(hide_password=False)} today"
    hidden = redact(text)
    written = url.render_as_string(hide_password=False).partition(":pw-")[2].rpartition("@")[0]
    assert f"pw-{written}" not in hidden
    assert hidden.startswith("cannot reach")


@given(password=WORDS)
def test_a_known_password_is_hidden_in_every_spelling(password: str) -> None:
    secret = f"pw-{password}"
    keep_secret([secret])
    url = URL.create("postgresql", "app", secret, "h")
    for text in (
        secret,
        f"FATAL: {secret}!",
        repr(secret),
        repr({"password": secret}),
        json.dumps({"url": url.render_as_string(hide_password=False)}),
        json.dumps(secret),
        json.dumps(secret, ensure_ascii=False),
        url.render_as_string(hide_password=False),
    ):
        assert secret not in redact(text)
        assert json.dumps(secret)[1:-1] not in redact(text)
        assert repr(secret)[1:-1] not in redact(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("postgresql://app:p@ss@h/db", "postgresql://app:***@h/db"),
        ("postgresql://:secret@h/db", "postgresql://:***@h/db"),
        ("postgresql://app@h/db", "postgresql://app@h/db"),
        ("postgresql://h:5432/db", "postgresql://h:5432/db"),
        ("mysql://h/db?password=x%20y&a=b", "mysql://h/db?password=***&a=b"),
        ("postgresql://h/db?sslpassword=xy", "postgresql://h/db?sslpassword=***"),
        ("at 12:30 on main@head", "at 12:30 on main@head"),
    ],
)
def test_what_stands_in_a_url(text: str, expected: str) -> None:
    assert redact(text) == expected


def test_a_short_password_blots_out_no_common_word() -> None:
    keep_secret(["app"])
    assert redact("apps/users") == "apps/users"


def test_json_stays_json(capsys: pytest.CaptureFixture[str]) -> None:
    keep_secret(['quo"te\\back'])
    print_json({"a": 'x quo"te\\back y', "b": [1, None, "ü"]})
    say('plain quo"te\\back')
    whole, _, line = capsys.readouterr().out.rpartition("\nplain ")
    assert json.loads(whole) == {"a": "x *** y", "b": [1, None, "ü"]}
    assert line == "***\n"


def test_words_for_people() -> None:
    assert plural(1, "target") == "1 target"
    assert plural(0, "target") == "0 targets"
    assert plural(12_000, "target") == "12,000 targets"
    assert revisions(()) == "base"
    assert revisions(("a", "b")) == "a, b"


def test_a_line_is_written_in_one_piece(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else lines of several threads stand inside each other."""
    written: list[str] = []

    class Stream(io.StringIO):
        def write(self, text: str) -> int:
            written.append(text)
            return len(text)

    monkeypatch.setattr(sys, "stderr", Stream())
    note("shop/acme: running r1")
    assert written == ["shop/acme: running r1\n"]
