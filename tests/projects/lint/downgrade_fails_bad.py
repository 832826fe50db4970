"""The way back names a column that is not there."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:  # finds: downgrade-fails
    op.drop_column("users", "nickname")
