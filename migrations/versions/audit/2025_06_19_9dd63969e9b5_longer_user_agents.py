"""longer user agents

Revision ID: 9dd63969e9b5
Revises: 785cafab910f
Create Date: 2025-06-19 14:20:11.467582

"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "9dd63969e9b5"
down_revision: str | Sequence[str] | None = "785cafab910f"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    op.alter_column(
        "login_attempts",
        "user_agent",
        existing_type=sa.String(length=255),
        type_=sa.String(length=512),
        existing_nullable=True,
        comment="Cut off at the column's length",
    )


def downgrade() -> None:
    op.execute("UPDATE login_attempts SET user_agent = LEFT(user_agent, 255)")
    op.alter_column(
        "login_attempts",
        "user_agent",
        existing_type=sa.String(length=512),
        type_=sa.String(length=255),
        existing_nullable=True,
        comment=None,
        existing_comment="Cut off at the column's length",
    )
