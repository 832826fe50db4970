"""All rows change in one statement."""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE users SET name = email WHERE name IS NULL")  # finds: data-migration-at-once


def downgrade() -> None:
    op.execute("SELECT 1")
