"""A table that is not there."""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE missing ADD COLUMN a INTEGER")  # finds: upgrade-fails


def downgrade() -> None:
    op.execute("SELECT 1")
