"""A comment that was left behind, and one that is misspelt."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("users", sa.Column("nick", sa.String(20)))  # orchestrator: allow drop-column because it was here  # finds: allow-unused
    # orchestrator: allow drop-colum because it is misspelt  # finds: allow-unused
    op.drop_column("users", "name")  # finds: drop-column


def downgrade() -> None:
    op.add_column("users", sa.Column("name", sa.String(50)))
    op.drop_column("users", "nick")
