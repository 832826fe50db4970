"""Every mistake of databases.yaml, with its whole message, from `mistakes.txt`.

The file holds cases: `=== name`, the YAML, `---` with environment variables, the message.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError

CASES = Path(__file__).with_name("mistakes.txt")
SECRET = "hunter2"


@dataclass(frozen=True)
class Case:
    name: str
    yaml: str
    environ: dict[str, str]
    message: str


def _cases() -> list[Case]:
    cases = []
    for block in CASES.read_text(encoding="utf-8").split("=== ")[1:]:
        name, _, rest = block.partition("\n")
        # The last line of dashes: YAML itself may have one.
        lines = rest.splitlines()
        end = max(i for i, line in enumerate(lines) if line.startswith("---"))
        environ = dict(pair.split("=", 1) for pair in lines[end][3:].split())
        yaml = "".join(line + "\n" for line in lines[:end])
        cases.append(Case(name, yaml, environ, "\n".join(lines[end + 1 :])))
    return cases


def _message(case: Case, folder: Path) -> str:
    path = folder / "databases.yaml"
    path.write_text(case.yaml, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load_config(path, environ=case.environ)
    assert caught.value.exit_code == 2
    return str(caught.value)


@pytest.mark.parametrize("case", _cases(), ids=lambda case: case.name)
def test_message(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    message = _message(case, tmp_path)
    assert message == case.message
    assert SECRET not in message
    assert not list(tmp_path.glob("*.db"))


def test_names_are_distinct() -> None:
    names = [case.name for case in _cases()]
    assert len(names) > 80
    assert len(set(names)) == len(names)


def test_every_problem_has_a_place_and_a_next_step(tmp_path: Path) -> None:
    for case in _cases():
        path = tmp_path / "databases.yaml"
        path.write_text(case.yaml, encoding="utf-8")
        with pytest.raises(ConfigError) as caught:
            load_config(path, environ=case.environ)
        for problem in caught.value.problems:
            assert problem.where.startswith(str(path)), case.name
            assert problem.todo.endswith((".", "?")), (case.name, problem)
            assert not problem.what.endswith("."), (case.name, problem)
