"""Both tables are locked while the key is proven."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    # finds: squawk/adding-foreign-key-constraint, foreign-key-without-index
    op.create_foreign_key("fk_orders_note", "orders", "notes", ["note_id"], ["id"])


def downgrade() -> None:
    op.drop_constraint("fk_orders_note", "orders")
