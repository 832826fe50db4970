"""A table is emptied, and the author says why."""

from alembic import op


def upgrade() -> None:
    # orchestrator: allow truncate because it is a cache that fills again
    op.execute("TRUNCATE TABLE notes")  # allowed: truncate


def downgrade() -> None:
    op.execute("SELECT 1")
