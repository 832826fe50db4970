"""The digest of a plan: one short text for everything that a reviewer has seen.

Enters: a document of plain values.  Leaves: its SHA-256, the same on every machine and in every
process.  No I/O.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

COVERED = ("format", "verb", "revisions", "paths", "cohorts")
"""The parts of a plan file that its digest covers: what runs, made from which files, and where."""


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 over the canonical JSON of the parts that count.

    Keys are sorted, separators are fixed, everything that is not ASCII is escaped (lone surrogates
    too: binary literals), and texts stay as they are, line endings included.
    """
    covered = {name: document.get(name) for name in COVERED}
    text = json.dumps(covered, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return "sha256:" + hashlib.sha256(text.encode("ascii")).hexdigest()
