"""What was made here may be locked here."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("tags", sa.Column("id", sa.Integer, primary_key=True), sa.Column("x", sa.Integer))
    op.create_unique_constraint("uq_tags_x", "tags", ["x"])
    op.create_check_constraint("ck_tags_x", "tags", "x > 0")


def downgrade() -> None:
    op.drop_table("tags")
