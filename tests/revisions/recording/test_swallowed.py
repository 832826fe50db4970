"""Where an error of the server would be forgotten."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.revisions.recording.swallowed import swallows


@pytest.mark.parametrize(
    ("handler", "forgotten"),
    [
        ("except Exception:\n    pass", True),
        ("except:\n    log()", True),
        ("except sa.exc.ProgrammingError:\n    pass", True),
        ("except (KeyError, sa.exc.DBAPIError):\n    pass", True),
        ("except Exception:\n    log()\n    raise", False),
        ("except KeyError:\n    pass", False),
        ("except (KeyError, ValueError):\n    pass", False),
        ("finally:\n    pass", False),
        ("except KeyError:\n    pass\nexcept Exception:\n    pass", True),
    ],
)
def test_handlers(tmp_path: Path, handler: str, forgotten: bool) -> None:
    file = tmp_path / "r.py"
    file.write_text(f"before()\ntry:\n    inside()\n{handler}\nafter()\n")
    assert swallows(str(file), 3) is forgotten
    assert not swallows(str(file), 1)
    assert not swallows(str(file), len(file.read_text().splitlines()))


def test_suppress(tmp_path: Path) -> None:
    file = tmp_path / "r.py"
    file.write_text(
        "with contextlib.suppress(Exception):\n    a()\n"
        "with suppress(KeyError):\n    b()\nwith open('x'):\n    c()\n"
    )
    assert [swallows(str(file), line) for line in (2, 4, 6)] == [True, False, False]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert not swallows(str(tmp_path / "absent.py"), 1)
    broken = tmp_path / "broken.py"
    broken.write_text("def (\n")
    assert not swallows(str(broken), 1)
