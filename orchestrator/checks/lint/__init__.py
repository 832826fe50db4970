"""Lint: rules about what a revision would do to a database in use, one file a rule.

Enters: Subjects.  Leaves: Findings.  No I/O in the rules.
"""
