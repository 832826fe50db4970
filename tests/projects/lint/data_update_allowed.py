"""All rows change, and the author says why."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.execute(  # allowed: data-migration-at-once
        # orchestrator: allow data-migration-at-once because there are twelve rows
        sa.text("UPDATE users SET name = :name").bindparams(name="x")
    )


def downgrade() -> None:
    op.execute("SELECT 1")
