"""A spatial index is built under a lock."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD COLUMN place POINT NOT NULL")
    op.execute("CREATE SPATIAL INDEX ix_place ON users (place)")


def downgrade() -> None:
    op.execute("ALTER TABLE users DROP COLUMN place")
