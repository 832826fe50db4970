"""A column must not be NULL any more."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column("users", "name", existing_type=sa.String(50), nullable=False)  # finds: set-not-null  # finds on mysql: table-rebuild


def downgrade() -> None:
    op.alter_column("users", "name", existing_type=sa.String(50), nullable=True)
