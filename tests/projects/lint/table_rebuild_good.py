"""A column at the end: instant."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("users", sa.Column("note", sa.String(20)))


def downgrade() -> None:
    op.drop_column("users", "note")
