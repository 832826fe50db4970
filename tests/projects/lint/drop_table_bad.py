"""A table goes."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.drop_table("notes")  # finds: drop-table


def downgrade() -> None:
    op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))
