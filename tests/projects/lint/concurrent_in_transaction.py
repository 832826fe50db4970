"""The server refuses it there."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    op.execute("CREATE INDEX CONCURRENTLY ix ON users (name)")  # finds: upgrade-fails


def downgrade() -> None:
    op.execute("DROP INDEX ix")
