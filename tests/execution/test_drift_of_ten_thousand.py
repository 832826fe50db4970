"""Three of ten thousand schemas were altered, each in its own way: found in time, in little memory.

The fleets, and the goals, are those of the benchmark's cases.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.cases import DRIFT, DriftCase
from benchmarks.drift import lay_out, look, told
from tests.conftest import DatabaseFactory

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]

MEGABYTES = 250
"""What the command itself may take."""

SHARED = 2
"""How many times as long it may take where other tests run on the same processors."""


@pytest.mark.parametrize("case", DRIFT, ids=lambda case: f"{case.targets}_of_{case.tables}")
def test_three_of_many(
    tmp_path: Path,
    pg_database: DatabaseFactory,
    record_property: Callable[[str, object], None],
    case: DriftCase,
) -> None:
    url = pg_database()
    altered = lay_out(tmp_path, url, case.targets, case.tables)
    found = look(tmp_path, url)
    megabytes = [round(one / 1e6) for one in (found.peak, found.backend)]
    took = f"{found.seconds:.1f} s, {megabytes[0]} MB, a backend {megabytes[1]} MB"
    record_property("drift", took)
    print(took)
    assert told(found.report) == altered
    assert found.report["as_revision"] == case.targets - len(altered)
    assert found.report["not_judged"] == 0
    assert found.seconds < case.seconds * SHARED
    assert 0 < found.backend / 1e6 < case.megabytes
    assert found.peak / 1e6 < MEGABYTES
