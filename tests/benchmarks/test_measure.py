"""What the benchmarks measure with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.measure import peak_told, read_peak

_LARGE = 200_000_000
_LOOK = "import sys; held = bytearray(int(sys.argv[1])); sys.exit(3)"


@pytest.mark.parametrize("size", [0, _LARGE], ids=["small", "large"])
def test_a_peak_is_the_commands_own_and_not_that_of_who_measures(tmp_path: Path, size: int) -> None:
    told = tmp_path / "peak"
    held = bytearray(_LARGE)
    code = subprocess.call(peak_told([sys.executable, "-c", _LOOK, str(size)], told))
    assert len(held) == _LARGE
    assert code == 3
    assert 0 <= read_peak(told) - size < _LARGE / 2
