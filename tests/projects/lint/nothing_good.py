"""A revision that does nothing needs no way back."""

from alembic import op


def upgrade() -> None:
    pass


def downgrade() -> None:
    pass
