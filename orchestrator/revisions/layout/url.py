"""The URL of an adopted tree's database, for databases.yaml.

Enters: sqlalchemy.url as alembic.ini has it, and the environment variable that env.py read.
Leaves: what to write as `url:`.  A password never leaves alembic.ini.
"""

from __future__ import annotations

from dataclasses import dataclass

from orchestrator.config.mistake import Mistake
from orchestrator.config.urls import parse_url, synchronous

VARIABLE = "DATABASE_URL"
# alembic/templates/generic/alembic.ini.mako
_PLACEHOLDER = "driver://user:pass@localhost/dbname"


@dataclass(frozen=True, slots=True)
class UrlLine:
    """What stands as `url:`. variable: what must be set, "" with a default. note: for people."""

    text: str
    variable: str
    note: str = ""


def url_line(written: str | None, variable: str, ini: str) -> UrlLine:
    """Choose the value of `url:`.

    written: sqlalchemy.url. variable: the one that env.py read, "" for none. ini: how the user
    knows the file.
    """
    name = variable or VARIABLE
    bare = "${" + name + "}"
    text = (written or "").strip()
    if not text or text == _PLACEHOLDER:
        return UrlLine(bare, name)
    try:
        if "%(" in text or "${" in text:
            return UrlLine(bare, name, f"{ini} puts its sqlalchemy.url together from other values")
        plain = text.replace("%%", "%")  # ConfigParser's escape
        url = parse_url(plain)
        synchronous(plain)
    except Mistake as mistake:
        return UrlLine(bare, name, f"the sqlalchemy.url of {ini} is not taken over: {mistake.what}")
    secret = url.password or any("pass" in key for key in url.query)
    if secret:
        return UrlLine(bare, name, f"{ini} holds the URL used before; its password was not copied")
    if "}" in plain or "$" in plain:
        return UrlLine(bare, name, f"{ini} holds the URL used before")
    return UrlLine("${" + name + ":-" + plain + "}", "", f"the default is the URL of {ini}")
