"""The rules of lint: one a file, each registers itself (`checks/lint/registry.py`)."""
