"""Nothing takes it back."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.add_column("users", sa.Column("nick", sa.String(20)))


def downgrade() -> None:  # finds: missing-downgrade
    pass
