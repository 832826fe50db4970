"""orchestrator: plan once, review the SQL, run exactly that SQL on every database and tenant.

Nothing is imported here, so that `orchestrator --help` starts at once.
"""

__version__ = "0.1.0"
