"""A statement as a client must read it from a file to send exactly that text.

Enters: a statement as a driver sends it.  Leaves: text for psql, or for the mysql and mariadb
clients; encode it as UTF-8 with "surrogateescape".  No I/O.
"""

from __future__ import annotations

import re

from orchestrator.config.flavour import FlavourName

_ENDING = re.compile(r"[\s;]*\Z")

_ROUTINE = re.compile(
    r"""\s* CREATE \s+ (?:OR \s+ REPLACE \s+)? (?:DEFINER \s* = \s* \S+ \s+)? (?:AGGREGATE \s+)?
        (?:TRIGGER | PROCEDURE | FUNCTION | EVENT) \b""",
    re.IGNORECASE | re.VERBOSE,
)

# Quoted texts, and what quotes stand in without beginning one (MySQL 8.4 manual, 11.1.1, 11.7).
_MYSQL_TOKENS = re.compile(
    r"""(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | `[^`]*` | (?P<comment>(?:--\s|\#)[^\n]* | /\*(?!!).*?\*/)
    """,
    re.DOTALL | re.VERBOSE,
)
_RETURN = re.compile(r"\\?\r\n|(?P<escape>\\.)", re.DOTALL)


def client_text(flavour: FlavourName, text: str) -> str:
    """For the client of a flavour."""
    return {"postgresql": psql_text, "mysql": mysql_text, "mariadb": mariadb_text}[flavour](text)


def psql_text(text: str) -> str:
    """A statement with exactly one semicolon behind it; on a line of its own when the last line may
    end in a comment."""
    last = text.rstrip().rpartition("\n")[2]
    if "--" in last or "#" in last:
        return f"{text.rstrip()}\n;"
    return _ENDING.sub("", text) + ";"


def mysql_text(text: str) -> str:
    """The client would cut a text at its first semicolon (MySQL 8.4 manual, 27.1)."""
    text = _with_returns(text)
    bare = psql_text(text)
    if ";" not in bare.rstrip().removesuffix(";"):
        return bare
    delimiter = "//"
    while delimiter in text:
        delimiter += "/"
    return f"DELIMITER {delimiter}\n{text.rstrip()}\n{delimiter}\nDELIMITER ;"


def mariadb_text(text: str) -> str:
    """The client takes comments out, unless it is started with --comments; in a routine or a
    trigger they are part of what the server keeps. In a quoted text it leaves them."""
    tokens = _MYSQL_TOKENS.finditer(text)
    if _ROUTINE.match(text) and any(token["comment"] for token in tokens):
        escaped = text.rstrip().replace("\\", "\\\\").replace("'", "''")
        return mysql_text(f"EXECUTE IMMEDIATE '{escaped}'")
    return mysql_text(text)


def _with_returns(text: str) -> str:
    """A statement whose quoted texts keep their carriage returns: the client that reads a file
    takes the one before a newline away (client/readline.cc in MySQL and MariaDB)."""
    if "\r\n" not in text:
        return text
    return _MYSQL_TOKENS.sub(
        lambda token: (
            _RETURN.sub(lambda one: one["escape"] or "\\r\n", token[0])
            if token["text"]
            else token[0]
        ),
        text,
    )
