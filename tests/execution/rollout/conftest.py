"""No driving process outlives its test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.execution.rollout.fleet import DRIVEN


@pytest.fixture(autouse=True)
def _end_all() -> Iterator[None]:
    yield
    while DRIVEN:
        DRIVEN.pop().kill()
