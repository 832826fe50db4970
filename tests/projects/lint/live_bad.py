"""What it does depends on what is there."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    names = sa.inspect(op.get_bind()).get_table_names()  # finds: live-step
    if "notes" in names:
        op.drop_column("notes", "body")  # finds: drop-column


def downgrade() -> None:
    op.add_column("notes", sa.Column("body", sa.Text))
