"""Nobody writes while it is built, and the author says why."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    # orchestrator: allow non-concurrent-index because users are few
    op.create_index("ix_users_name", "users", ["name"])  # allowed on postgresql: non-concurrent-index


def downgrade() -> None:
    op.drop_index("ix_users_name", "users")
