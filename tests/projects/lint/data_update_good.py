"""A range of the key bounds the rows."""

from alembic import op


def upgrade() -> None:
    op.execute("UPDATE users SET name = email WHERE id >= 1 AND id < 1000 AND name IS NULL")


def downgrade() -> None:
    op.execute("SELECT 1")
