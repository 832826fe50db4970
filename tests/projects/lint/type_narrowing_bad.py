"""Names may be longer than that."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # finds on postgresql: type-rewrites-table
    op.alter_column("users", "name", type_=sa.String(20), existing_type=sa.String(50))  # finds: type-narrowing  # finds on mysql: blocked-writes, table-rebuild


def downgrade() -> None:
    op.alter_column("users", "name", type_=sa.String(50), existing_type=sa.String(20))
