"""Nobody writes while it is built."""

from alembic import op


def upgrade() -> None:
    op.create_index("ix_users_name", "users", ["name"])  # finds on postgresql: non-concurrent-index


def downgrade() -> None:
    op.drop_index("ix_users_name", "users")
