"""The time limits of a command line, in every bind."""

from __future__ import annotations

from pathlib import Path

from orchestrator.cli.changing import limited
from orchestrator.config.load import load_config

YAML = """
apps: {packages: [apps]}
default_bind: main
binds:
  main: {url: "postgresql://h/x", lock_wait: 10s, statement_timeout: 5m}
  audit: {url: "mysql://h/x", attempts: 3}
"""


def test_limits_take_the_place_of_what_binds_say(tmp_path: Path) -> None:
    file = tmp_path / "databases.yaml"
    file.write_text(YAML)
    config = load_config(file, environ={})
    nothing = dict.fromkeys(("lock_wait", "lock_timeout", "statement_timeout"))
    assert limited(config, {**nothing, "attempts": None}) == config
    found = limited(config, {**nothing, "lock_wait": 0.0, "attempts": 7}).binds
    assert [one.lock_wait for one in found.values()] == [0.0, 0.0]
    assert [one.attempts for one in found.values()] == [7, 7]
    assert [one.statement_timeout for one in found.values()] == [300.0, 0.0]
    assert found["main"].servers == config.binds["main"].servers
