"""Every row is written anew, and the author says why."""

# on: postgresql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow type-rewrites-table because it runs in the maintenance window
    op.alter_column("users", "age", type_=sa.BigInteger, existing_type=sa.Integer)  # allowed: type-rewrites-table


def downgrade() -> None:
    op.alter_column("users", "age", type_=sa.Integer, existing_type=sa.BigInteger)
