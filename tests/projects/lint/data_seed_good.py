"""What the revision made, it may fill."""

import sqlalchemy as sa
from alembic import op


def upgrade() -> None:
    names = op.create_table("names", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)))
    op.bulk_insert(names, [{"id": 1, "name": "a"}, {"id": 2, "name": "b"}])
    op.execute("UPDATE names SET name = 'c'")


def downgrade() -> None:
    op.drop_table("names")
