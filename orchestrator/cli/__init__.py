"""The face that people see: one file a verb; the only place that prints."""
