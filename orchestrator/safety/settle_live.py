"""Whether a live step that was begun can go on.

Enters: what its journal tells, and the revision as it is now.  Leaves: why it cannot, or nothing:
whether its function sends the same statements again shows only when it runs.  No I/O.
"""

from __future__ import annotations

from orchestrator.safety.journal import HalfApplied


def why_not_again(half: HalfApplied, source: str, *, resumable: bool) -> str:
    """For people; "" when it may go on. source: the digest of the revision's file. resumable: its
    author promises that it may run again from its start."""
    if not half.live:
        return "it was begun as fixed statements, and its revision runs live now"
    if half.source != source:
        return "its revision file was edited since it was begun"
    if not resumable and any(one.kind == "read" for one in half.rows):
        return (
            "it runs live and read what the database held while it changed it, so that it"
            " cannot be continued (a revision that may run again says `resumable = True`)"
        )
    return ""
