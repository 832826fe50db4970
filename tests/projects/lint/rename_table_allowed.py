"""The whole revision may rename."""

from alembic import op

# orchestrator: allow rename-table because a view of the old name comes with the release


def upgrade() -> None:
    op.rename_table("notes", "remarks")  # allowed: rename-table


def downgrade() -> None:
    op.rename_table("remarks", "notes")
