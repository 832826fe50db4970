"""It holds for new rows only."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    op.execute("ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age > 0) NOT VALID")


def downgrade() -> None:
    op.drop_constraint("ck_age", "users")
