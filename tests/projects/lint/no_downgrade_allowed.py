"""Nothing takes it back, and the author says why."""

import sqlalchemy as sa
from alembic import op

# orchestrator: allow missing-downgrade because data would be lost


def upgrade() -> None:
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:  # allowed: missing-downgrade
    pass
