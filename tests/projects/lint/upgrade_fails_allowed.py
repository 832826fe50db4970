"""It needs what only real targets have."""

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE missing ADD COLUMN a INTEGER")  # orchestrator: allow upgrade-fails because an extension makes it  # allowed: upgrade-fails


def downgrade() -> None:
    op.execute("SELECT 1")
