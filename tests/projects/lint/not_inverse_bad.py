"""A table stays behind."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:  # finds: downgrade-not-inverse
    op.drop_column("users", "nick")
