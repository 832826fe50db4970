"""first categories and the gift card

Revision ID: 97328ea14351
Revises: 895e62625d14
Create Date: 2025-03-17 10:15:27.535902

"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "97328ea14351"
down_revision: str | Sequence[str] | None = "895e62625d14"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

categories = sa.table(
    "categories",
    sa.column("slug", sa.String()),
    sa.column("name", sa.String()),
    sa.column("position", sa.Integer()),
)
products = sa.table(
    "products",
    sa.column("sku", sa.String()),
    sa.column("name", sa.String()),
    sa.column("description", sa.Text()),
    sa.column("price", sa.Numeric(12, 2)),
    sa.column("tags", postgresql.ARRAY(sa.String())),
    sa.column("attributes", postgresql.JSONB()),
    sa.Column("created_at", sa.DateTime(timezone=True), default=datetime(2025, 3, 17, tzinfo=UTC)),
)


def upgrade() -> None:
    op.bulk_insert(
        categories,
        [
            {"slug": "new", "name": "New in", "position": 1},
            {"slug": "sale", "name": "Sale: up to 70% off", "position": 2},
            {"slug": "gifts", "name": 'Gifts & "little things"', "position": 9},
        ],
    )
    op.bulk_insert(
        products,
        [
            {
                "sku": "GIFT-CARD",
                "name": "Gift card",
                "description": "Don't know what to give?\n\t- any amount\n\t- never expires \\o/",
                "price": Decimal("0.00"),
                "tags": ["gift", 'it\'s "digital"', "100%"],
                "attributes": {"amounts": [25, 50, 100.5], "ships": False, "expires": None},
            }
        ],
    )
    op.execute(
        "INSERT INTO product_categories (product_id, category_id)"
        " SELECT products.id, categories.id FROM products, categories"
        " WHERE products.sku = 'GIFT-CARD' AND categories.slug = 'gifts'"
    )
    op.execute(
        """
        UPDATE products
        SET attributes = attributes || '{"label": "Pay what you like\\: 0\u2013100 %"}'\\:\\:jsonb
        WHERE attributes @> '{"ships"\\: false}' AND name ILIKE '%card%'
        """
    )


def downgrade() -> None:
    op.execute(products.delete().where(products.c.sku == "GIFT-CARD"))
    op.execute("DELETE FROM categories WHERE slug IN ('new', 'sale', 'gifts')")
