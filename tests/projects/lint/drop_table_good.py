"""A table that the same revision needed for a while."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True))
    op.drop_table("tags")
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:
    op.drop_column("users", "nick")
