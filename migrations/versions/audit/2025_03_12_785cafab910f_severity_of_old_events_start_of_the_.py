"""severity of old events, start of the chain

Revision ID: 785cafab910f
Revises: 27807a9d0426
Create Date: 2025-03-12 07:48:22.853106

"""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from alembic import op

revision: str = "785cafab910f"
down_revision: str | Sequence[str] | None = "27807a9d0426"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

events = sa.table(
    "audit_events",
    sa.column("event_id", sa.Uuid()),
    sa.Column("actor", sa.String(), default="migration"),
    sa.column("action", sa.String()),
    sa.column("severity", sa.String()),
    sa.Column("subject_type", sa.String(), default="audit_events"),
    sa.Column("subject_id", sa.String(), default="*"),
    sa.column("payload", sa.JSON()),
    sa.column("checksum", sa.VARBINARY(32)),
    sa.Column("created_at", sa.DateTime(), default=datetime(2025, 3, 12, 7, 48, 22)),
)


def upgrade() -> None:
    op.execute(
        "UPDATE audit_events SET severity = 'alert'"
        " WHERE action LIKE 'auth.%' AND JSON_EXTRACT(payload, '$.\"failed\"') = true"
    )
    op.execute(
        events.update()
        .where(events.c.action.like("%.deleted"), events.c.severity == "info")
        .values(severity="notice")
    )
    op.bulk_insert(
        events,
        [
            {
                "event_id": UUID("3c9c3a38-7f57-4d7c-8f0a-0d8f6a1c2b11"),
                "action": "audit.chain_started",
                "severity": "info",
                "payload": {
                    "note": 'Checksums start here: 100% of events,\n"signed", it\'s done',
                    "path": "\\\\archive\\audit\t2025",
                    "previous": None,
                },
                "checksum": bytes(range(0, 256, 8)),
            },
            {
                "event_id": UUID("3c9c3a38-7f57-4d7c-8f0a-0d8f6a1c2b12"),
                "action": "audit.severity_backfilled",
                "severity": "notice",
                "payload": None,  # JSON's null, which is not SQL's NULL
                "checksum": b"\x00'\\\xff%s",
            },
        ],
    )


def downgrade() -> None:
    op.execute("DELETE FROM audit_events WHERE actor = 'migration' AND action LIKE 'audit.%'")
    op.execute(events.update().values(severity="info"))
