"""A file of waves -> Rollout: what stands under `rollout:` in databases.yaml, in a file of its own.

Enters: the path of the file, and the environment.  Leaves: a `Rollout`, or one `ConfigError` with
every mistake of the file, in the order of its lines.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from orchestrator.config.build import build_rollout, unset_variables
from orchestrator.config.file_rules import wave_problems
from orchestrator.config.load import line_of
from orchestrator.config.model import RolloutSection
from orchestrator.config.parsing import Advice, parse
from orchestrator.config.reading import read_text
from orchestrator.config.types import Rollout
from orchestrator.config.validate import validate_as
from orchestrator.errors import ConfigError

_ADVICE = Advice(
    empty="Write `waves:`, and under it one wave a line: - {name: canary, count: 1}.",
    keys="Write keys at the top, as under `rollout:` in databases.yaml: `waves:`.",
)


def load_waves(path: Path, *, environ: Mapping[str, str] | None = None) -> Rollout:
    """Read a file of waves. environ: the variables for `${X}`; by default the process's.

    Raises ConfigError with all problems together; a variable that is unset is one.
    """
    file = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow symbolic links
    text = read_text(file, "Correct the path after --waves.")
    document = parse(text, file, os.environ if environ is None else environ, _ADVICE)
    rollout = build_rollout(validate_as(RolloutSection, document))
    document.problems += [one.problem for one in unset_variables(document)]
    document.problems += wave_problems(rollout, document, ())
    if document.problems:
        raise ConfigError(sorted(document.problems, key=line_of))
    return rollout
