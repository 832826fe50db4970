"""An index is built under a lock, and the author says why."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    # orchestrator: allow squawk/disallowed-unique-constraint because users are few
    op.create_unique_constraint("uq_email", "users", ["email"])  # allowed: squawk/disallowed-unique-constraint


def downgrade() -> None:
    op.drop_constraint("uq_email", "users")
