"""A column goes, and the author says why."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow drop-column because release 12 stopped to read it
    op.drop_column("users", "name")  # allowed: drop-column


def downgrade() -> None:
    op.add_column("users", sa.Column("name", sa.String(50)))
