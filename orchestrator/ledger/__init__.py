"""What ran, when, by whom, and what became of every target: runs, outcomes, and their keeping."""
