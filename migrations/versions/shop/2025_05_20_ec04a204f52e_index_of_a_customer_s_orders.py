"""index of a customer's orders

Revision ID: ec04a204f52e
Revises: 97328ea14351
Create Date: 2025-05-20 18:30:14.048267

"""

from collections.abc import Sequence

from alembic import op

revision: str = "ec04a204f52e"
down_revision: str | Sequence[str] | None = "97328ea14351"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    # An index that a broken build left behind is invalid: take it away, then build anew.
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_orders_customer_id_placed_at",
            table_name="orders",
            postgresql_concurrently=True,
            if_exists=True,
        )
        op.create_index(
            "ix_orders_customer_id_placed_at",
            "orders",
            ["customer_id", "placed_at"],
            postgresql_concurrently=True,
        )


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index(
            "ix_orders_customer_id_placed_at",
            table_name="orders",
            postgresql_concurrently=True,
            if_exists=True,
        )
