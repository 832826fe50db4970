"""Rollouts: a plan applied in waves, under a failure budget, with a state that survives.

Enters: a plan in the ledger.  Leaves: Outcomes, and the rollout's state.
"""
