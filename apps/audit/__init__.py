"""Who did what, kept apart from the data it is about."""
