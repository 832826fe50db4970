"""The digest: one text for one plan, everywhere."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from orchestrator.planning.digest import COVERED, digest_of

REPOSITORY = Path(__file__).parents[2]
DOCUMENT = {
    "format": 1,
    "verb": "upgrade",
    "revisions": [{"bind": "main", "sha256": "x", "message": "é"}],
    "paths": [{"steps": [{"segments": [{"statements": ["SELECT '\udcff'\r\n"]}]}]}],
    "cohorts": [{"bind": "main", "targets": ["main"], "from": []}],
}


def test_order_of_keys_does_not_matter() -> None:
    backwards = dict(reversed(DOCUMENT.items()))
    assert digest_of(backwards) == digest_of(DOCUMENT)


def test_every_part_counts() -> None:
    seen = {digest_of(DOCUMENT)}
    for name in COVERED:
        seen.add(digest_of({**DOCUMENT, name: "other"}))
    assert len(seen) == len(COVERED) + 1


def test_line_endings_count() -> None:
    unix = {**DOCUMENT, "paths": [{"steps": [{"segments": [{"statements": ["a\n"]}]}]}]}
    windows = {**DOCUMENT, "paths": [{"steps": [{"segments": [{"statements": ["a\r\n"]}]}]}]}
    assert digest_of(unix) != digest_of(windows)


def test_what_is_not_covered_does_not_count() -> None:
    assert digest_of({**DOCUMENT, "orchestrator": "9", "live": ["x"]}) == digest_of(DOCUMENT)


def test_every_process_gives_the_same() -> None:
    code = "from tests.planning.test_digest import DOCUMENT, digest_of\nprint(digest_of(DOCUMENT))"
    found = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), "PYTHONHASHSEED": seed, "LANG": lang},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed, lang in (("1", "C"), ("2", "en_US.UTF-8"))
    }
    assert found == {digest_of(DOCUMENT)}
