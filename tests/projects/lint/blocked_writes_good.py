"""An index is built while others write."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_index("ix_users_age", "users", ["age"])


def downgrade() -> None:
    op.drop_index("ix_users_age", "users")
