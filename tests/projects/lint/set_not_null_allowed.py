"""A column must not be NULL any more, and the author says why."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.alter_column(  # allowed: set-not-null  # finds on mysql: table-rebuild
        "users",
        "name",
        existing_type=sa.String(50),
        nullable=False,  # orchestrator: allow set-not-null because tables are small everywhere
    )


def downgrade() -> None:
    op.alter_column("users", "name", existing_type=sa.String(50), nullable=True)
