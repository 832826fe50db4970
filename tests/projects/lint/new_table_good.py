"""A table of this revision may be written anew."""

# on: mysql

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    op.create_table("fresh", sa.Column("id", sa.Integer, primary_key=True))
    op.alter_column("fresh", "id", type_=sa.BigInteger(), existing_type=sa.Integer(), existing_nullable=False)


def downgrade() -> None:
    op.drop_table("fresh")
