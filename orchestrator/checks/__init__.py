"""Checks: what a target's live schema is (shapes, fingerprints), how two differ, and lint.

Enters: targets, and what revisions were recorded as.  Leaves: fingerprints, differences, findings.
"""
