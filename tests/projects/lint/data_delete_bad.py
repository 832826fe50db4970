"""All rows go, by another column than the key."""

from alembic import op


def upgrade() -> None:
    op.execute("DELETE FROM notes WHERE body = 'old'")  # finds: data-migration-at-once


def downgrade() -> None:
    op.execute("SELECT 1")
