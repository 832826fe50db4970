"""Models of the audit trail (database audit)."""

from __future__ import annotations

import enum
import uuid
from typing import Any

from sqlalchemy import JSON, VARBINARY, BigInteger, Boolean, Enum, Index, String, Uuid, text
from sqlalchemy.orm import Mapped, mapped_column

from apps.database import MYSQL_OPTIONS, AuditBase, CreatedAtMicroseconds


class Severity(enum.Enum):
    """How much an event matters."""

    info = "info"
    notice = "notice"
    alert = "alert"


class AuditEvent(AuditBase):
    __tablename__ = "audit_events"
    __table_args__ = (
        Index("ix_audit_events_tenant_created_at", "tenant", "created_at"),
        Index("ix_audit_events_subject", "subject_type", "subject_id"),
        {"comment": "Append only: who did what to which object", **MYSQL_OPTIONS},
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    event_id: Mapped[uuid.UUID] = mapped_column(Uuid, unique=True)
    tenant: Mapped[str | None] = mapped_column(String(40), comment="Empty for the platform itself")
    actor: Mapped[str] = mapped_column(String(320))
    action: Mapped[str] = mapped_column(String(80), index=True)
    severity: Mapped[Severity] = mapped_column(
        Enum(Severity, name="severity"), server_default="info"
    )
    subject_type: Mapped[str] = mapped_column(String(60))
    subject_id: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    checksum: Mapped[bytes | None] = mapped_column(
        VARBINARY(32), comment="SHA-256 over this event and the one before"
    )
    created_at: Mapped[CreatedAtMicroseconds]


class LoginAttempt(AuditBase):
    __tablename__ = "login_attempts"
    __table_args__ = (
        Index("ix_login_attempts_email_created_at", "email", "created_at"),
        dict(MYSQL_OPTIONS),
    )

    id: Mapped[int] = mapped_column(BigInteger, primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
    address: Mapped[str] = mapped_column(String(45), comment="IPv4 or IPv6 address, as text")
    user_agent: Mapped[str | None] = mapped_column(
        String(512), comment="Cut off at the column's length"
    )
    succeeded: Mapped[bool] = mapped_column(Boolean, server_default=text("0"))
    created_at: Mapped[CreatedAtMicroseconds]
