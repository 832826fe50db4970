"""No index, and the author says why."""

# on: postgresql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    # orchestrator: allow foreign-key-without-index because users are never deleted
    op.create_table(  # allowed on postgresql: foreign-key-without-index
        "tags",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_tags_user"), nullable=False),
    )


def downgrade() -> None:
    op.drop_table("tags")
