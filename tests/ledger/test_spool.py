"""What a run could not write comes into the ledger later, once, and as a whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from orchestrator.ledger.ledger import Ledger
from orchestrator.ledger.spool import Spool, take_in
from orchestrator.ledger.types import Batch, BindCount
from tests.ledger.made import NOON, batch, row, run

NEWS = (
    Batch(NOON, (row(1), row(2, "planned")), (BindCount("shop", 2, 1),), "commit", "sha256:1"),
    batch(row(2, "failed"), counts=(BindCount("shop", 2, 1, failed=1),)),
    batch(ended=NOON, result="failed"),
)


class Heard(list[str]):
    """Warnings."""


@pytest.fixture
def ledger(file_url: str) -> Ledger:
    return Ledger.open(file_url)


def spooled(folder: Path, *news: Batch) -> Path:
    """A spool whose run has ended."""
    spool = Spool(folder, run())
    for one in news:
        spool.write(one)
    spool.close()
    return spool.path


def check(ledger: Ledger) -> None:
    """All of NEWS is in the ledger."""
    (view,) = ledger.runs(9)
    assert (view.run.ended, view.run.result) == (NOON, "failed")
    assert (view.run.git_commit, view.run.plan_digest) == ("commit", "sha256:1")
    assert view.counts == (BindCount("shop", 2, 1, failed=1),)
    assert ledger.outcomes(view) == (row(1), row(2, "failed"))


@pytest.mark.parametrize("begun", [True, False])
def test_a_spool_is_taken_in_and_removed(url: str, tmp_path: Path, begun: bool) -> None:
    ledger = Ledger.open(url)
    if begun:
        ledger.begin(run())
    path, heard = spooled(tmp_path / "spool", *NEWS), Heard()
    assert take_in(path.parent, ledger, heard.append) == 1
    assert not path.exists()
    assert heard == []
    check(ledger)
    assert take_in(path.parent, ledger, heard.append) == 0


def test_nobody_takes_in_what_is_still_written(ledger: Ledger, tmp_path: Path) -> None:
    spool, heard = Spool(tmp_path, run()), Heard()
    spool.write(NEWS[0])
    assert take_in(tmp_path, ledger, heard.append) == 0
    assert heard == []
    spool.write(NEWS[1])
    spool.write(NEWS[2])
    spool.close()
    assert take_in(tmp_path, ledger, heard.append) == 1
    check(ledger)


def test_torn_lines_take_nothing_with_them(ledger: Ledger, tmp_path: Path) -> None:
    path = spooled(tmp_path, *NEWS)
    lines = path.read_text(encoding="ascii").splitlines()
    torn = [lines[0][:50], lines[0], lines[1], lines[1][:-9], "", lines[2], lines[2][:4]]
    path.write_text("\n".join(torn), encoding="ascii")
    heard = Heard()
    assert take_in(tmp_path, ledger, heard.append) == 1
    assert heard == []
    check(ledger)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda line: json.dumps(json.loads(line) | {"format": 2}), "it has format 2, and this"),
        (lambda line: line[:-5], "no line of it is whole"),
        (lambda line: line.replace('"who"', '"whom"'), "whom"),
    ],
    ids=["format", "torn", "fields"],
)
def test_what_cannot_be_read_is_told_and_left(
    ledger: Ledger, tmp_path: Path, change: object, words: str
) -> None:
    path, heard = spooled(tmp_path, NEWS[0]), Heard()
    assert callable(change)
    path.write_text(change(path.read_text(encoding="ascii").strip()), encoding="ascii")
    other = Spool(tmp_path, run("other"))
    other.write(NEWS[0])
    other.close()
    assert take_in(tmp_path, ledger, heard.append) == 1, "the others are taken in all the same"
    assert path.exists()
    assert len(heard) == 1
    assert words in heard[0]
    assert str(path) in heard[0]


def test_a_disk_that_was_full_for_a_while(ledger: Ledger, tmp_path: Path) -> None:
    spool = Spool(tmp_path, run())
    spool.write(NEWS[0])
    (tmp_path / "full").symlink_to("/dev/full")
    path, spool.path = spool.path, tmp_path / "full"
    spool.close()
    spool._forget()
    with pytest.raises(OSError, match="No space left"):
        spool.write(NEWS[1])
    spool.path = path
    spool.write(NEWS[1])
    spool.write(NEWS[2])
    spool.close()
    assert take_in(tmp_path, ledger, Heard().append) == 1
    check(ledger)
