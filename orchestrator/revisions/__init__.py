"""A bind's history: its paths, its recordings, and new revision files."""
