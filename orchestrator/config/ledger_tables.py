"""The names of the ledger's tables: known here, because comparisons leave them out too."""

from __future__ import annotations

LEDGER = "orchestrator_ledger"
RUNS = "orchestrator_runs"
RUN_BINDS = "orchestrator_run_binds"
OUTCOMES = "orchestrator_outcomes"
ROLLOUTS = "orchestrator_rollouts"
ROLLOUT_WAVES = "orchestrator_rollout_waves"
ROLLOUT_TARGETS = "orchestrator_rollout_targets"
ROLLOUT_RUNS = "orchestrator_rollout_runs"
ROLLOUT_BINDS = "orchestrator_rollout_binds"

LEDGER_TABLES = frozenset(
    (
        LEDGER,
        RUNS,
        RUN_BINDS,
        OUTCOMES,
        ROLLOUTS,
        ROLLOUT_WAVES,
        ROLLOUT_TARGETS,
        ROLLOUT_RUNS,
        ROLLOUT_BINDS,
    )
)
