"""Every row is written anew."""

# on: postgresql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "age", type_=sa.BigInteger, existing_type=sa.Integer)  # finds: type-rewrites-table


def downgrade() -> None:
    op.alter_column("users", "age", type_=sa.Integer, existing_type=sa.BigInteger)
