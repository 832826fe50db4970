"""A table stays behind, and the author says why."""

import sqlalchemy as sa
from alembic import op

# orchestrator: allow downgrade-not-inverse because tags is shared with another tool


def upgrade() -> None:
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True))
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:  # allowed: downgrade-not-inverse
    op.drop_column("users", "nick")
