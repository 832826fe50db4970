"""An index begins with the columns that refer."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table(
        "tags",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_tags_user"), nullable=False),
        sa.Column("x", sa.Integer),
    )
    op.create_index("ix_tags_user_x", "tags", ["user_id", "x"])


def downgrade() -> None:
    op.drop_table("tags")
