"""A column that existing rows cannot fill, and there are none."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow not-null-without-default because the table is empty until release 13
    op.add_column("notes", sa.Column("code", sa.Integer, nullable=False))  # allowed: not-null-without-default


def downgrade() -> None:
    op.drop_column("notes", "code")
