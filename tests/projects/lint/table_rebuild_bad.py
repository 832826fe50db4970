"""A wider number: every row is written anew, and nobody writes meanwhile."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "age", type_=sa.BigInteger(), existing_type=sa.Integer())  # finds: blocked-writes, table-rebuild


def downgrade() -> None:
    op.alter_column("users", "age", type_=sa.Integer(), existing_type=sa.BigInteger())
