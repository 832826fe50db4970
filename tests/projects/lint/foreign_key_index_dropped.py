"""The index goes that a foreign key has had."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    op.drop_index("ix_orders_user_id", "orders")  # finds: foreign-key-without-index, squawk/require-concurrent-index-deletion


def downgrade() -> None:
    op.create_index("ix_orders_user_id", "orders", ["user_id"])
