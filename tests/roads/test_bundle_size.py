"""A bundle for ten thousand tenants: written without a connection, quickly, and small."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.cli.small import command, environment, small_project

TENANTS = 10_000
SECONDS = 5.0
BYTES = 1_000_000
STATES = ("r5", "r10", "r15", "r18")


@pytest.mark.parametrize("told", ["--from", "--state"])
def test_ten_thousand_targets(tmp_path: Path, told: str) -> None:
    """The time is the processor's, because other tests run on this machine too."""
    project = small_project(
        tmp_path,
        """
apps: {packages: [apps]}
default_bind: shop
binds:
  shop: {url: 'postgresql://nobody@127.0.0.1:1/none', flavour: postgresql-18, tenancy: schema,
    tenants: {file: tenants.txt}}
""",
    )
    names = [f"tenant_number_{number:05}" for number in range(TENANTS)]
    project.write("tenants.txt", "\n".join(names))
    for number in range(20):
        body = f"op.create_table('t{number}', sa.Column('id', sa.Integer, primary_key=True))"
        after = f"r{number - 1}" if number else None
        project.revision(
            "shop", f"r{number}", body, after=after, down=f"op.drop_table('t{number}')"
        )
    status = [
        {
            "bind": "shop",
            "server": "default",
            "tenant": name,
            "status": "behind",
            "revisions": [STATES[number % len(STATES)]],
            "flavour": "postgresql-18",
        }
        for number, name in enumerate(names)
    ]
    project.write("status.json", json.dumps(status))
    options = ["--from", "shop:r5"] if told == "--from" else ["--state", "status.json"]
    arguments = ["upgrade", "--all", "--sql", *options, "-o"]
    said = project.run(*arguments, "recorded", timeout=240)
    assert said.code == 0, said.all
    seconds = _processor_time(tmp_path, *arguments, "bundle")
    folder = tmp_path / "bundle"
    assert (folder / "targets.csv").read_text(encoding="utf-8").count("\n") == TENANTS + 1
    sizes = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file() and path.name != "targets.csv"
    }
    assert sum(sizes.values()) < BYTES, sizes
    assert seconds < SECONDS


def _processor_time(root: Path, *arguments: str) -> float:
    """Seconds of processor that a command and its children took."""
    process = subprocess.Popen(
        command(*arguments),
        cwd=root,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime
