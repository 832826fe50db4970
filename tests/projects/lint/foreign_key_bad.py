"""No index begins with the column that refers."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table(  # finds on postgresql: foreign-key-without-index
        "tags",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_tags_user"), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("tags")
