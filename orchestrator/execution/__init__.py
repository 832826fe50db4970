"""Steps -> Outcomes: applying, scratch databases, and the pool that runs targets."""
