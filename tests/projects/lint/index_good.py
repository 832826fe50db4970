"""It is built while others write."""

# on: postgresql

from alembic import op


def upgrade() -> None:
    with op.get_context().autocommit_block():
        op.create_index("ix_users_name", "users", ["name"], postgresql_concurrently=True)


def downgrade() -> None:
    with op.get_context().autocommit_block():
        op.drop_index("ix_users_name", "users", postgresql_concurrently=True)
