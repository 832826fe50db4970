"""The history that all contenders apply: what a shop's first two years of revisions look like.

Enters: a folder.  Leaves: revision files in it: 20 that make 12 tables, with columns, indexes,
constraints and a little data on the way, and one more.
"""

from __future__ import annotations

from pathlib import Path
from textwrap import indent
from typing import Final

_ID: Final = "sa.Column('id', sa.Integer, primary_key=True)"
_CREATED: Final = "sa.Column('created_at', sa.DateTime, nullable=False)"


def _reference(table: str, *, null: bool = False) -> str:
    column = table.removesuffix("s") + "_id"
    return (
        f"sa.Column('{column}', sa.Integer, sa.ForeignKey('{table}.id', name='fk_%s_{column}'), "
        f"nullable={null})"
    )


def _table(name: str, *columns: str, indexes: tuple[str, ...] = (), rows: str = "") -> str:
    lines = ",\n    ".join((_ID, *columns, _CREATED)).replace("%s", name)
    made = f"table = op.create_table(\n    '{name}',\n    {lines},\n)\n"
    made += "".join(f"op.create_index('ix_{name}_{one}', '{name}', ['{one}'])\n" for one in indexes)
    if rows:
        made += f"when = datetime.datetime(2024, 1, 15, 9, 30)\nop.bulk_insert(table, {rows})\n"
    return made


def _text(name: str, length: int = 100, *, null: bool = False) -> str:
    return f"sa.Column('{name}', sa.String({length}), nullable={null})"


def _amount(name: str) -> str:
    return f"sa.Column('{name}', sa.Numeric(12, 2), nullable=False)"


_REVISIONS: Final = (
    ("accounts", _table("accounts", _text("email"), _text("name"), indexes=("email",))),
    (
        "roles",
        _table(
            "roles",
            _text("name", 40),
            rows="[{'name': n, 'created_at': when} for n in ('owner', 'clerk', 'guest')]",
        ),
    ),
    (
        "customers",
        _table(
            "customers",
            _reference("accounts", null=True),
            _text("name"),
            _text("email"),
            indexes=("account_id", "email"),
        ),
    ),
    (
        "addresses",
        _table(
            "addresses",
            _reference("customers"),
            _text("street"),
            _text("city"),
            _text("fax", 30, null=True),
            indexes=("customer_id",),
        ),
    ),
    (
        "categories",
        _table(
            "categories",
            _text("name"),
            _text("slug"),
            rows="[{'name': n.title(), 'slug': n, 'created_at': when} for n in ('books', 'gifts')]",
        ),
    ),
    (
        "products",
        _table(
            "products",
            _text("sku", 40),
            _text("name"),
            _amount("price"),
            "sa.Column('description', sa.Text)",
            indexes=("name",),
        ),
    ),
    (
        "orders",
        _table(
            "orders",
            _reference("customers"),
            _text("status", 20),
            _amount("total"),
            indexes=("customer_id", "status"),
        ),
    ),
    (
        "lines of an order",
        _table(
            "order_lines",
            _reference("orders"),
            _reference("products"),
            "sa.Column('quantity', sa.Integer, nullable=False)",
            indexes=("order_id", "product_id"),
        ),
    ),
    (
        "customers have a telephone",
        "op.add_column('customers', sa.Column('phone', sa.String(30)))\n",
    ),
    (
        "payments",
        _table(
            "payments",
            _reference("orders"),
            _amount("amount"),
            _text("method", 20),
            indexes=("order_id",),
        ),
    ),
    ("orders by date", "op.create_index('ix_orders_created_at', 'orders', ['created_at'])\n"),
    (
        "shipments",
        _table(
            "shipments",
            _reference("orders"),
            _text("tracking", 60, null=True),
            _text("carrier", 40),
        ),
    ),
    (
        "products have a weight",
        "op.add_column('products', sa.Column('weight', sa.Integer, nullable=False, "
        "server_default='0'))\n",
    ),
    (
        "coupons",
        _table(
            "coupons",
            _text("code", 30),
            _amount("value"),
            rows="[{'code': 'WELCOME', 'value': 5, 'created_at': when}]",
        ),
    ),
    (
        "longer names",
        "op.alter_column('customers', 'name', existing_type=sa.String(100), "
        "type_=sa.String(200), existing_nullable=False)\n",
    ),
    ("events", _table("events", _text("kind", 40), "sa.Column('payload', sa.JSON)")),
    (
        "orders may use a coupon",
        "op.add_column('orders', sa.Column('coupon_id', sa.Integer))\n"
        "op.create_foreign_key('fk_orders_coupon', 'orders', 'coupons', ['coupon_id'], ['id'])\n",
    ),
    ("sku is unique", "op.create_unique_constraint('uq_products_sku', 'products', ['sku'])\n"),
    (
        "a role for auditors",
        "op.execute(\"INSERT INTO roles (name, created_at) VALUES ('auditor', "
        "'2024-11-01 00:00:00')\")\n"
        "op.execute(\"UPDATE coupons SET value = 10 WHERE code = 'WELCOME'\")\n",
    ),
    (
        "no more fax",
        "op.drop_column('addresses', 'fax')\n"
        "op.create_index('ix_addresses_city', 'addresses', ['city'])\n",
    ),
    (
        "orders have a note",
        "op.add_column('orders', sa.Column('note', sa.String(200)))\n"
        "op.create_index('ix_orders_coupon', 'orders', ['coupon_id'])\n",
    ),
)

FIRST: Final = 20
"""Revisions that a fresh tenant gets; the one after them is the "one more"."""

_EVERY: Final = 3
# Reads rows back and writes what it found, as many a backfill does.
_LIVE: Final = """\
bind = op.get_bind()
for (name,) in bind.execute(sa.text("SELECT name FROM roles ORDER BY id")).all():
    bind.execute(
        sa.text("UPDATE roles SET name = :new WHERE name = :old"),
        {"new": name.strip().lower(), "old": name},
    )
"""

_FILE: Final = '''\
"""{message}"""

import datetime

import sqlalchemy as sa
from alembic import op

revision = {revision!r}
down_revision = {before!r}
branch_labels = None
depends_on = None


def upgrade() -> None:
{body}

def downgrade() -> None:
    raise NotImplementedError("the benchmark only goes up")
'''


def revision_id(number: int) -> str:
    """The id of the revision at a place in the history, from 1 on."""
    return f"{number:04d}_shop"


def write_history(folder: Path, count: int, *, live: bool = False) -> None:
    """Write the first `count` revisions. live: every third one reads a result."""
    folder.mkdir(parents=True, exist_ok=True)
    for number, (message, body) in enumerate(_REVISIONS[:count], 1):
        text = _FILE.format(
            message=message,
            revision=revision_id(number),
            before=revision_id(number - 1) if number > 1 else None,
            body=indent(body + _LIVE * (live and number % _EVERY == 0), "    "),
        )
        (folder / f"{revision_id(number)}.py").write_text(text, encoding="utf-8")
