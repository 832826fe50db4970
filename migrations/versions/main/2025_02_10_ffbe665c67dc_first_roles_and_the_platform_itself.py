"""first roles and the platform itself

Revision ID: ffbe665c67dc
Revises: 9896659b1bec
Create Date: 2025-02-10 08:01:17.902441

"""

from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision: str = "ffbe665c67dc"
down_revision: str | Sequence[str] | None = "9896659b1bec"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

PLATFORM = UUID("7d1f4c53-5a0e-4f3b-9d55-3f0f2a6f9c01")

roles = sa.table(
    "roles",
    sa.column("name", sa.String()),
    sa.column("description", sa.String()),
    sa.column("permissions", postgresql.ARRAY(sa.String())),
)
organisations = sa.table(
    "organisations",
    sa.column("id", sa.Uuid()),
    sa.column("slug", sa.String()),
    sa.column("name", sa.String()),
    sa.Column("domains", postgresql.ARRAY(sa.Text()), default=lambda: ["example.com"]),
    sa.column("settings", postgresql.JSONB()),
    sa.Column("created_at", sa.DateTime(timezone=True), default=datetime(2025, 2, 10, tzinfo=UTC)),
)


def upgrade() -> None:
    op.add_column("roles", sa.Column("description", sa.String(length=200), nullable=True))
    op.bulk_insert(
        roles,
        [
            {
                "name": "owner",
                "description": "Everything, billing included",
                "permissions": ["*"],
            },
            {
                "name": "editor",
                "description": "Catalogue & orders; discounts up to 100%",
                "permissions": ["catalog:write", "orders:write"],
            },
            {"name": "viewer", "description": "May look, can't touch", "permissions": ["*:read"]},
        ],
    )
    op.bulk_insert(
        organisations,
        [
            {
                "id": PLATFORM,
                "slug": "platform",
                "name": 'The "platform" itself',
                "settings": {
                    "greeting": 'It\'s 100% yours:\t"welcome"',
                    "export_path": "C:\\exports\\%Y",
                    "support": {"phone": None, "hours": [9, 17]},
                },
            }
        ],
    )


def downgrade() -> None:
    op.execute(organisations.delete().where(organisations.c.id == PLATFORM))
    op.execute(roles.delete().where(roles.c.name.in_(["owner", "editor", "viewer"])))
    op.drop_column("roles", "description")
