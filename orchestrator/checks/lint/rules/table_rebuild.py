"""Tables that MySQL and MariaDB write anew."""

from __future__ import annotations

from collections.abc import Iterator

from orchestrator.checks.lint.registry import rule
from orchestrator.checks.lint.tables import answered, hit, is_small, size_words
from orchestrator.checks.lint.types import Hit, Subject


@rule("table-rebuild", "warning", families=("mysql",), needs=("answers",))
def check(subject: Subject) -> Iterator[Hit]:
    """The server writes every row of an existing table anew.

    It takes as long as the table is large, needs as much room again, and replicas run behind for
    as long. INPLACE does not tell: with LOCK=NONE a table can still be rebuilt, so the server is
    asked on an empty copy, and the table's id looked at. A table that is known to have few rows is
    left out, and so is one that the same revision makes.

    Source: MySQL 8.4 manual, 17.12.1 "Online DDL Operations", column "Rebuilds Table"; MariaDB,
    "InnoDB Online DDL Overview".
    """
    for sent, table, answer in answered(subject):
        if answer.rebuilds and not is_small(subject, table):
            yield hit(
                sent,
                f"table {table}{size_words(subject, table)} is written anew "
                f"(ALGORITHM={answer.algorithm.upper()}, LOCK={answer.lock.upper()})",
                "Run it when there is little traffic, or with a tool that copies in the background "
                "(gh-ost, pt-online-schema-change); or change the table in a way that needs no "
                "rebuild.",
            )
