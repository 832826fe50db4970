"""An enum type stays behind."""

# on: postgresql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True), sa.Column("mood", sa.Enum("sad", "ok", name="mood")))


def downgrade() -> None:  # finds: downgrade-not-inverse
    op.drop_table("tags")
