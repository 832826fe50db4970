"""A table has another name."""

from alembic import op


def upgrade() -> None:
    op.rename_table("notes", "remarks")  # finds: rename-table


def downgrade() -> None:
    op.rename_table("remarks", "notes")
