"""A column of a table that nobody uses yet."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Integer))
    op.drop_column("tags", "x")


def downgrade() -> None:
    op.drop_table("tags")
