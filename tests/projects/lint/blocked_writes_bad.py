"""A full-text index is built under a lock, and the table written anew for it."""

# on: mysql

from alembic import op


def upgrade() -> None:
    op.execute("CREATE FULLTEXT INDEX ft_body ON notes (body)")  # finds: blocked-writes, table-rebuild


def downgrade() -> None:
    op.drop_index("ft_body", "notes")
