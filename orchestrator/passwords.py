"""Passwords, kept out of everything that is printed or written down.

Enters: the passwords of a configuration, and texts.  Leaves: the texts without them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote, quote_plus

# As SQLAlchemy writes URLs: it leaves spaces as they are.
_SPACED_PASSWORD = re.compile(r"(?P<head>[a-z0-9+]+://[^:/@\n]*):[^:/@\n]*@", re.IGNORECASE)
# As people do: up to the last @, because a password that nobody encoded may hold one too.
_URL_PASSWORD = re.compile(r"(?P<head>[a-z0-9+]+://[^\s:/@]*):[^\s]+@", re.IGNORECASE)
_QUERY_PASSWORD = re.compile(r"(?P<head>[?&][a-z_]*pass(?:word|wd)?=)[^&\s\"']+", re.IGNORECASE)
_SHORTEST_SECRET = 6

_secrets: set[str] = set()


def keep_secret(texts: Iterable[str]) -> None:
    """Texts (passwords of the configuration's URLs) that no output may hold from now on.

    Very short ones are left to the URL rule of `redact`: blotting "app" out of every line would
    hide more than it protects.
    """
    for text in texts:
        if len(text) >= _SHORTEST_SECRET:
            _secrets.update(_spellings(text))


def _spellings(secret: str) -> set[str]:
    """A secret as URLs, JSON and Python's repr() write it."""
    return {
        secret,
        quote(secret, safe=""),
        quote(secret),
        quote(secret, safe=" +"),  # sqlalchemy/engine/url.py
        quote_plus(secret),
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        repr(secret)[1:-1],
    }


def redact(text: str) -> str:
    """The text with every password blotted out: known ones, and what stands in a URL."""
    for secret in sorted(_secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    if "://" in text:
        text = _SPACED_PASSWORD.sub(r"\g<head>:***@", text)
        text = _URL_PASSWORD.sub(r"\g<head>:***@", text)
    return _QUERY_PASSWORD.sub(r"\g<head>***", text) if "=" in text else text
