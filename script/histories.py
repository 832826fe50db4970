"""Public packages whose Alembic histories the tests walk.

Enters: the list tests/roads/public.txt, and a package index that pip knows.  Leaves: a folder below
~/.cache/alembic-orchestrator with those packages, for PYTHONPATH; `place()` is where.

    python script/histories.py      # installs them; script/test --slow does it before the tests

The packages come without what they depend on: a revision needs its table's names and little else.
mlflow's and optuna's own `__init__` start clients for a web service, so those modules are emptied.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

LIST = Path(__file__).parents[1] / "tests" / "roads" / "public.txt"
_CACHE = Path.home() / ".cache" / "alembic-orchestrator"
_MODULES = {
    "mlflow/__init__.py": '__version__ = "0"\n',
    "mlflow/entities/evaluation_dataset.py": "class EvaluationDataset:\n    pass\n",
    "mlflow/genai/__init__.py": "",
    "mlflow/genai/scorers/__init__.py": "",
    "mlflow/genai/scorers/online/__init__.py": "",
    "mlflow/server/__init__.py": "",
    "mlflow/server/auth/__init__.py": "",
    "mlflow/store/__init__.py": "",
    "optuna/__init__.py": "",
}
"""Modules that are written anew: nothing in them is looked at by a revision."""


class NotInstalled(Exception):
    """The packages are not here; the message says what to run."""


def place() -> Path:
    """The folder for this Python and this list, whether it is there or not."""
    made_from = LIST.read_bytes() + Path(__file__).read_bytes() + repr(sys.version_info).encode()
    return _CACHE / f"histories-{hashlib.sha256(made_from).hexdigest()[:12]}"


def installed() -> Path:
    """The folder with the packages. Raises NotInstalled."""
    folder = place()
    if not folder.is_dir():
        raise NotInstalled(f"{folder} is not there: run `{sys.executable} script/histories.py`")
    return folder


def install() -> Path:
    """Install the packages, unless they are here. CalledProcessError when pip cannot."""
    folder = place()
    if folder.is_dir():
        return folder
    _CACHE.mkdir(parents=True, exist_ok=True)
    made = Path(tempfile.mkdtemp(dir=_CACHE, prefix="histories-new-"))
    try:
        pip = [sys.executable, "-m", "pip", "install", "-qq", "--disable-pip-version-check"]
        options = ["--no-deps", "--only-binary=:all:", "--ignore-requires-python"]
        subprocess.run([*pip, *options, "--target", str(made), "-r", str(LIST)], check=True)
        for name, text in _MODULES.items():
            made.joinpath(name).write_text(text, encoding="utf-8")
        if not folder.is_dir():
            made.replace(folder)
    finally:
        shutil.rmtree(made, ignore_errors=True)
    return folder


if __name__ == "__main__":
    print(install())
