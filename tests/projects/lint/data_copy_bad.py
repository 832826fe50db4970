"""A table's rows are copied in one statement."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("names", sa.Column("name", sa.String(50)))
    op.execute("INSERT INTO names (name) SELECT name FROM users")  # finds: data-migration-at-once


def downgrade() -> None:
    op.drop_table("names")
