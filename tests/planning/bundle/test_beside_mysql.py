"""Tables that a statement needs beside the one that it changes (`planning.bundle.beside_mysql`)."""

from __future__ import annotations

import pytest

from orchestrator.checks.lint.types import LintReport, Sent, Subject
from orchestrator.planning.bundle.beside_mysql import beside
from orchestrator.planning.bundle.remarks import remarks_of
from tests.planning.bundle.test_remarks import KEY, MARIADB, STEP


@pytest.mark.parametrize(
    ("text", "tables"),
    [
        ("CREATE TRIGGER t BEFORE INSERT ON `a b` FOR EACH ROW SET NEW.i = 1", ("a b",)),
        ("CREATE DEFINER=`x`@`%` TRIGGER t AFTER UPDATE ON d.a FOR EACH ROW BEGIN END", ("a",)),
        ("CREATE TABLE a (i int REFERENCES b (i), FOREIGN KEY (i) REFERENCES c(i))", ("b", "c")),
        ("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (i) REFERENCES b (i)", ("b",)),
        ("CREATE VIEW v AS SELECT 1 FROM a JOIN b ON a.i = b.i", ()),
        ("CREATE INDEX x ON a (i)", ()),
        ("INSERT INTO a VALUES ('REFERENCES b ON c')", ()),
        ("ALTER TABLE a COMMENT 'it REFERENCES b'", ()),
    ],
)
def test_what_is_named(text: str, tables: tuple[str, ...]) -> None:
    assert beside(text) == tables


def test_the_readme_says_it() -> None:
    """But for a table that the revision makes itself."""
    trigger = "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.i = 1"
    key = "ALTER TABLE c ADD FOREIGN KEY (i) REFERENCES b (i)"
    texts = ("CREATE TABLE b (i int PRIMARY KEY)", trigger, key)
    subject = Subject("shop", MARIADB, STEP, "r1.py", tuple(map(Sent, texts)))
    lines = remarks_of([subject], LintReport()).revisions[KEY]
    assert lines == (f"locks: a: needed alone for a moment: `{trigger}`",)
