"""A column goes, and comes back empty."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.drop_column("users", "name")  # finds: drop-column


def downgrade() -> None:
    op.add_column("users", sa.Column("name", sa.String(50)))
