"""Few rows are deleted, by their key."""

from alembic import op


def upgrade() -> None:
    op.execute("DELETE FROM notes WHERE id BETWEEN 1 AND 500")


def downgrade() -> None:
    op.execute("SELECT 1")
