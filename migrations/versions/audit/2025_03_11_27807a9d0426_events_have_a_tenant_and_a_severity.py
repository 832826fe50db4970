"""events have a tenant and a severity

Revision ID: 27807a9d0426
Revises: 1fd3a5b3e323
Create Date: 2025-03-11 13:05:40.226719

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "27807a9d0426"
down_revision: str | Sequence[str] | None = "1fd3a5b3e323"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.add_column(
        "audit_events",
        sa.Column(
            "tenant", sa.String(length=40), nullable=True, comment="Empty for the platform itself"
        ),
    )
    op.add_column(
        "audit_events",
        sa.Column(
            "severity",
            sa.Enum("info", "notice", "alert", name="severity"),
            server_default="info",
            nullable=False,
        ),
    )
    op.create_index("ix_audit_events_tenant_created_at", "audit_events", ["tenant", "created_at"])


def downgrade() -> None:
    op.drop_index("ix_audit_events_tenant_created_at", table_name="audit_events")
    op.drop_column("audit_events", "severity")
    op.drop_column("audit_events", "tenant")
