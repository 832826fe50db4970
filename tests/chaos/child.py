"""`orchestrator`, with the points of `tests.chaos.points`. Workers import this module too."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[2] / "script")]

from tests.chaos.points import install  # noqa: E402

install()

if __name__ == "__main__":
    from orchestrator.cli.main import main

    sys.argv[0] = "orchestrator"
    main()
