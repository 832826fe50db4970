"""What keeps a target whole: its lock, its session's time limits, and its journal."""
