"""What the tests of databases.yaml share: a text, loaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from orchestrator.config import Config
from orchestrator.config.load import load_config

Load = Callable[..., Config]


@pytest.fixture
def load(tmp_path: Path) -> Load:
    """Load a text as databases.yaml, with these environment variables."""

    def read(text: str, **environ: str) -> Config:
        path = tmp_path / "databases.yaml"
        path.write_text(dedent(text), encoding="utf-8")
        return load_config(path, environ=environ)

    return read
