"""Digits are lost, and the author says why."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow type-narrowing, type-rewrites-table because totals are whole numbers
    op.alter_column("orders", "total", type_=sa.Numeric(10, 0), existing_type=sa.Numeric(10, 2))  # allowed: type-narrowing  # finds on mysql: blocked-writes, table-rebuild  # allowed on postgresql: type-rewrites-table


def downgrade() -> None:
    op.alter_column("orders", "total", type_=sa.Numeric(10, 2), existing_type=sa.Numeric(10, 0))
