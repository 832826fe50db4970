"""Every row is looked at under a lock."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    op.create_check_constraint("ck_age", "users", "age > 0")  # finds: squawk/constraint-missing-not-valid


def downgrade() -> None:
    op.drop_constraint("ck_age", "users")
