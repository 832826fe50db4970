"""The URLs of a validated file.

Enters: a `FileSection` and its `Document`; the files that `url_file` names are read here.  Leaves:
the URL and the direct URL of every server, the scratch URLs and the ledger's, all under synchronous
drivers.  Bad URLs are added to the document's problems; a secret that is not there is deferred.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from sqlalchemy.engine import URL

from orchestrator.config.document import Document, Keys, dotted
from orchestrator.config.flavour import Family
from orchestrator.config.mistake import Mistake, shown
from orchestrator.config.model import BindSection, FileSection, ServerSection
from orchestrator.config.types import Deferred
from orchestrator.config.urls import family_of, parse_url, synchronous

DEFAULT_SERVER = "default"
"""Name of the server of a bind that has a url."""

_Read = TypeVar("_Read")


@dataclass(slots=True)
class Connections:
    """urls, direct_urls: by bind and server; absent where unset, missing or bad."""

    ledger: str = ""
    urls: dict[tuple[str, str], URL] = field(default_factory=dict)
    direct_urls: dict[tuple[str, str], URL] = field(default_factory=dict)
    scratch: dict[Family, URL] = field(default_factory=dict)
    deferred: list[Deferred] = field(default_factory=list)


def servers_of(name: str, bind: BindSection) -> Mapping[str, tuple[Keys, ServerSection]]:
    """The servers of a bind, with their keys; a bind with a url is its own server."""
    if bind.servers is None:
        return {DEFAULT_SERVER: (("binds", name), bind)}
    return {
        server: (("binds", name, "servers", server), section)
        for server, section in bind.servers.items()
    }


def read_connections(file: FileSection, document: Document, root: Path) -> Connections:
    """Read every URL of the file; root is where relative paths start."""
    found = Connections()
    for name, bind in file.binds.items():
        for server, (keys, section) in servers_of(name, bind).items():
            url = _server_url(section, keys, document, root, found)
            if url is not None:
                found.urls[name, server] = url
            if section.direct_url is not None:
                direct = _tried(synchronous, section.direct_url, (*keys, "direct_url"), document)
                if direct is not None:
                    found.direct_urls[name, server] = direct
    families: tuple[Family, ...] = ("postgresql", "mysql")
    for family in families:
        text = getattr(file.scratch, family)
        keys = ("scratch", family)
        url = _tried(_of_family(family), text, keys, document) if text else None
        if url is not None:
            found.scratch[family] = url
    ledger = _tried(lambda text: _ledger(text, root), file.ledger, ("ledger",), document)
    found.ledger = ledger or ""
    return found


def _tried(
    read: Callable[[str], _Read], text: str, keys: Keys, document: Document, of: str = ""
) -> _Read | None:
    try:
        return read(text)
    except Mistake as mistake:
        document.problems.append(document.problem(keys, of + mistake.what, mistake.todo))
        return None


def _server_url(
    section: ServerSection, keys: Keys, document: Document, root: Path, found: Connections
) -> URL | None:
    if section.url is not None:
        return _tried(synchronous, section.url, (*keys, "url"), document)
    if section.url_file is None:
        return None
    own = (*keys, "url_file")
    try:
        text = (root / Path(section.url_file).expanduser()).read_text(encoding="utf-8-sig").strip()
        fault = "" if text else "is empty"
    except (OSError, UnicodeDecodeError) as error:
        text = ""
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        fault = f"cannot be read: {reason}"
    if fault:
        problem = document.problem(
            own,
            f"the file {shown(section.url_file)} {fault}",
            "Write the URL into it, or correct the path (relative to the project's folder).",
        )
        found.deferred.append(Deferred(str(keys[1]), dotted(own[2:]), problem))
        return None
    return _tried(synchronous, text, own, document, of=f"in the file {shown(section.url_file)}: ")


def _of_family(family: Family) -> Callable[[str], URL]:
    def read(text: str) -> URL:
        url = synchronous(text)
        if family_of(url) != family:
            raise Mistake(
                f"this is a {url.get_backend_name()} URL, not one of {family}",
                f"Give it a {family}:// URL, or move it to scratch.{family_of(url)}.",
            )
        return url

    return read


def _ledger(text: str, root: Path) -> str:
    """The ledger may be in any database that SQLAlchemy knows; a SQLite file is in the project."""
    url = parse_url(text)
    dialect = url.get_backend_name()
    if dialect in ("postgres", "postgresql", "mysql", "mariadb"):
        url = synchronous(text)
    elif dialect == "sqlite":
        url = url.set(drivername="sqlite")
        name = url.database or ""
        if name and name != ":memory:" and not name.startswith("file:"):
            url = url.set(database=str(root / Path(name).expanduser()))
    return url.render_as_string(hide_password=False)
