"""subscription plans

Revision ID: 1737d8e54925
Revises: ffbe665c67dc
Create Date: 2025-04-22 11:26:58.077316

"""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "1737d8e54925"
down_revision: str | Sequence[str] | None = "ffbe665c67dc"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

plans = sa.table(
    "subscription_plans",
    sa.column("code", sa.String()),
    sa.column("name", sa.String()),
    sa.column("monthly_price", sa.Numeric(12, 2)),
    sa.column("features", postgresql.JSONB()),
    sa.Column("created_at", sa.DateTime(timezone=True), default=datetime(2025, 4, 22, tzinfo=UTC)),
)


def upgrade() -> None:
    op.create_table(
        "subscription_plans",
        sa.Column("code", sa.String(length=20), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column(
            "monthly_price",
            sa.Numeric(precision=12, scale=2),
            server_default=sa.text("0"),
            nullable=False,
        ),
        sa.Column(
            "features",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column(
            "created_at",
            sa.DateTime(timezone=True),
            server_default=sa.text("now()"),
            nullable=False,
        ),
        sa.CheckConstraint(
            "monthly_price >= 0", name=op.f("ck_subscription_plans_price_not_negative")
        ),
        sa.PrimaryKeyConstraint("code", name=op.f("pk_subscription_plans")),
    )
    op.bulk_insert(
        plans,
        [
            {
                "code": "free",
                "name": "Free",
                "monthly_price": Decimal("0.00"),
                "features": {"users": 3, "api": False},
            },
            {
                "code": "team",
                "name": "Team (20% off for a year)",
                "monthly_price": Decimal("49.90"),
                "features": {"users": 25, "api": True},
            },
            {
                "code": "enterprise",
                "name": "Enterprise",
                "monthly_price": Decimal("499.00"),
                "features": {"users": None, "api": True, "sso": ["saml", "oidc"]},
            },
        ],
    )
    op.add_column("organisations", sa.Column("plan_code", sa.String(length=20), nullable=True))
    op.execute(
        "UPDATE organisations"
        " SET plan_code = coalesce(settings ->> 'plan', 'free'), settings = settings - 'plan'"
    )
    op.execute("UPDATE organisations SET plan_code = 'enterprise' WHERE slug LIKE 'platform%'")
    op.alter_column(
        "organisations", "plan_code", existing_type=sa.String(length=20), nullable=False
    )
    op.create_index(op.f("ix_organisations_plan_code"), "organisations", ["plan_code"])
    op.create_foreign_key(
        op.f("fk_organisations_plan_code_subscription_plans"),
        "organisations",
        "subscription_plans",
        ["plan_code"],
        ["code"],
        ondelete="RESTRICT",
    )


def downgrade() -> None:
    op.drop_constraint(
        op.f("fk_organisations_plan_code_subscription_plans"), "organisations", type_="foreignkey"
    )
    op.drop_index(op.f("ix_organisations_plan_code"), table_name="organisations")
    op.execute(
        "UPDATE organisations SET settings = settings || jsonb_build_object('plan', plan_code)"
    )
    op.drop_column("organisations", "plan_code")
    op.drop_table("subscription_plans")
