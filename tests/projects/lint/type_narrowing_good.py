"""Names may be longer now."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "name", type_=sa.String(60), existing_type=sa.String(50))


def downgrade() -> None:
    op.alter_column("users", "name", type_=sa.String(50), existing_type=sa.String(60))
