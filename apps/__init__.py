"""The sample application: a shop for many organisations, over four databases (not in the wheel)."""
