"""It reads, and the author says why."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow live-step because the number of rows decides
    rows = op.get_bind().execute(sa.text("SELECT count(*) FROM notes")).scalar()  # allowed: live-step
    if not rows:
        op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:
    op.drop_column("users", "nick")
