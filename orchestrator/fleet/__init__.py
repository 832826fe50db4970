"""Config -> targets: engines, tenants, selection, and the state of each."""
