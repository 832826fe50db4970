"""A table goes, in a statement of SQL."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.execute("DROP TABLE notes")  # orchestrator: allow drop-table because it is empty since 2024  # allowed: drop-table


def downgrade() -> None:
    op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))
