"""Compiled steps on one target: exactly the recorded texts, by plain driver calls."""
