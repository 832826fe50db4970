"""Compiled steps -> plans and SQL scripts. No I/O."""
