"""Changes of tables under which MySQL and MariaDB let nobody write."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import answered, hit, is_small, size_words
from orchestrator.checks.lint.types import Hit, Subject


@rule("blocked-writes", "warning", families=("mysql",), needs=("answers",))
def check(subject: Subject) -> Iterator[Hit]:
    """Nobody writes to an existing table, or reads it, for as long as its change takes.

    The server takes the statement with LOCK=SHARED (reads go on) or LOCK=EXCLUSIVE at best: it is
    asked on an empty copy of the table. A table that is known to have few rows is left out, and so
    is one that the same revision makes.

    Source: MySQL 8.4 manual, 17.12.1 "Online DDL Operations", column "Permits Concurrent DML";
    MariaDB, "ALTER TABLE", LOCK.
    """
    for sent, table, answer in answered(subject):
        if answer.lock != "none" and not is_small(subject, table):
            who = "writes to" if answer.lock == "shared" else "reads or writes"
            yield hit(
                sent,
                f"nobody {who} table {table}{size_words(subject, table)} while it is changed "
                f"(ALGORITHM={answer.algorithm.upper()}, LOCK={answer.lock.upper()})",
                "Run it when nobody needs the table, or with a tool that copies in the background "
                "(gh-ost, pt-online-schema-change).",
            )
