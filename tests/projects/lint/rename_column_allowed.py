"""A column has another name, and the author says why."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow rename-column because the application is down while this runs
    op.alter_column("users", "name", new_column_name="title", existing_type=sa.String(50))  # allowed: rename-column


def downgrade() -> None:
    op.alter_column("users", "title", new_column_name="name", existing_type=sa.String(50))
