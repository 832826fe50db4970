"""The same, and its author says why."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow table-rebuild because the table is new
    # orchestrator: allow blocked-writes because the table is new
    op.alter_column("users", "age", type_=sa.BigInteger(), existing_type=sa.Integer())  # allowed: blocked-writes, table-rebuild


def downgrade() -> None:
    op.alter_column("users", "age", type_=sa.Integer(), existing_type=sa.BigInteger())
