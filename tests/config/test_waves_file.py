"""A file of waves is read as the rollout section is."""

from __future__ import annotations

from pathlib import Path

import pytest

from orchestrator.config import Rollout, Wave
from orchestrator.config.waves_file import load_waves
from orchestrator.errors import ConfigError

WAVES = """
concurrency: 4
max_failures: 2%
verify: false
checks: [verify]
check_timeout: 90s
waves:
  - name: canary
    select: {tier: internal, tenant: [acme, 007, "t-*"]}
    soak: 10m
    checks: ["./smoke --name 'a b'", [./look, a b], drift]
    check_timeout: 0
  - {name: tenth, percent: "${SHARE}", pause: true, concurrency: 2, max_failures: 1, checks: []}
  - {name: rest}
"""


def write(folder: Path, text: str) -> Path:
    file = folder / "waves.yaml"
    file.write_text(text, encoding="utf-8")
    return file


def test_it_is_the_rollout_section(tmp_path: Path) -> None:
    assert load_waves(write(tmp_path, WAVES), environ={"SHARE": "10"}) == Rollout(
        4,
        "2%",
        False,
        (("verify",),),
        (
            Wave(
                "canary",
                {"tier": ("internal",), "tenant": ("acme", "007", "t-*")},
                soak=600.0,
                checks=(("./smoke", "--name", "a b"), ("./look", "a b"), ("drift",)),
                check_timeout=0.0,
            ),
            Wave("tenth", {}, 10.0, None, True, 0.0, 2, "1", ()),
            Wave("rest"),
        ),
        90.0,
    )


def problems(file: Path) -> list[str]:
    """What is wrong, without what to do, and with the file's name alone."""
    with pytest.raises(ConfigError) as caught:
        load_waves(file, environ={})
    assert all(one.todo for one in caught.value.problems)
    return [
        f"{one.where.rpartition('/')[2]}: {one.key}: {one.what}" for one in caught.value.problems
    ]


def test_every_mistake_has_its_line(tmp_path: Path) -> None:
    text = """
rollout: {}
max_failures: ${MOST}
waves:
  - {name: a, precent: 10}
  - {name: a, count: 0}
  - {name: b}
  - {name: c, percent: 5, count: 5}
"""
    assert problems(write(tmp_path, text)) == [
        "waves.yaml:2: rollout: unknown key 'rollout'",
        "waves.yaml:3: max_failures: the environment variable MOST is not set",
        "waves.yaml:5: waves[0].precent: unknown key 'precent'",
        "waves.yaml:6: waves[1].count: 0 is out of range",
        "waves.yaml:6: waves[1].name: the wave 'a' stands here twice",
        "waves.yaml:8: waves[3].count: percent and count exclude each other",
        "waves.yaml:8: waves[3]: the wave 'c' gets no target: 'b' before it takes all that are "
        "left",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "waves.yaml:1: : the file is empty"),
        ("- {name: a}", "waves.yaml:1: : the file holds a list, not a mapping"),
        ("waves: 3", "waves.yaml:1: waves: must be a list, not a single value"),
    ],
)
def test_what_is_no_file_of_waves(tmp_path: Path, text: str, told: str) -> None:
    assert problems(write(tmp_path, text)) == [told]


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    assert problems(tmp_path / "none.yaml") == ["none.yaml: : there is no such file"]
    assert problems(tmp_path)[0].endswith("it cannot be read: Is a directory")
