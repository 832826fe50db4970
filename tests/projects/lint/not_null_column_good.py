"""A column that has a default."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("users", sa.Column("code", sa.Integer, nullable=False, server_default="0"))


def downgrade() -> None:
    op.drop_column("users", "code")
