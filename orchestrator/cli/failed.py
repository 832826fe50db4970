"""What `--failed [RUN]` selects: targets that a run left failed, not started or interrupted.

Enters: Config and a run's id.  Leaves: places (bind, server, tenant) for a Selection.
"""

from __future__ import annotations

from orchestrator.cli.output import note, plural
from orchestrator.cli.recorder import read_ledger
from orchestrator.config import Config
from orchestrator.errors import Problem, UsageError


def unfinished(config: Config, name: str | None) -> frozenset[tuple[str, str, str | None]]:
    """The targets that a run left unfinished; which run that is, is told on stderr.

    name: the run's id or how it starts; None for the last that left any. Empty when none did.
    Raises UsageError for an unknown run, ConfigError and LedgerError.
    """
    ledger = read_ledger(config, lambda text: note(f"warning: {text}"))
    if name is None:
        view = ledger.last_unfinished() if ledger is not None else None
    elif ledger is None:
        raise UsageError(
            Problem(f"the ledger has no run {name!r}", todo="See `orchestrator runs`.")
        )
    else:
        view = ledger.run(name)
    if ledger is None or view is None:
        note("--failed: no run of the ledger left anything unfinished")
        return frozenset()
    rows = ledger.outcomes(view, unfinished=True)
    note(f"--failed: {plural(len(rows), 'target')} of run {view.run.id} ({view.run.verb})")
    return frozenset((row.bind, row.server, row.tenant) for row in rows)
