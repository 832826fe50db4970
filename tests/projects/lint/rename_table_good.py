"""A table that nobody uses yet gets the name that it keeps."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("tags_new", sa.Column("id", sa.Integer, primary_key=True))
    op.rename_table("tags_new", "tags")


def downgrade() -> None:
    op.drop_table("tags")
