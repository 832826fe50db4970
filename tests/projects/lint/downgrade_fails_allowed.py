"""The way back does not work, and the author says why."""

import sqlalchemy as sa
from alembic import op

# orchestrator: allow downgrade-fails because it is corrected by hand


def upgrade() -> None:
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:  # allowed: downgrade-fails
    op.drop_column("users", "nickname")  # orchestrator: allow downgrade-fails because a comment here allows nothing  # finds: allow-unused
