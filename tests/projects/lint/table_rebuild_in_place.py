"""INPLACE without a lock, and every row is written anew all the same."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE users ENGINE=InnoDB, ALGORITHM=INPLACE, LOCK=NONE")  # finds: table-rebuild


def downgrade() -> None:
    op.execute("ALTER TABLE users ENGINE=InnoDB")
