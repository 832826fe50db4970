"""A column that existing rows cannot fill."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("users", sa.Column("code", sa.Integer, nullable=False))  # finds: not-null-without-default


def downgrade() -> None:
    op.drop_column("users", "code")
