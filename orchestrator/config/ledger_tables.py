"""The names of the ledger's tables: known here, because comparisons leave them out too."""

from __future__ import annotations

LEDGER = "orchestrator_ledger"
RUNS = "orchestrator_runs"
RUN_BINDS = "orchestrator_run_binds"
OUTCOMES = "orchestrator_outcomes"

LEDGER_TABLES = frozenset((LEDGER, RUNS, RUN_BINDS, OUTCOMES))
