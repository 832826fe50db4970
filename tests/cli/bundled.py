"""A project whose bundles the tests read: a bind of tenants on PostgreSQL, one database elsewhere.

Enters: two databases.  Leaves: the project, with revisions that can be written and one that cannot.
"""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from tests.cli.small import SmallProject, shown, small_project


def bundled_project(root: Path, shop: URL, audit: URL, maker: str) -> SmallProject:
    """shop: tenants acme and globex, s1 to s4, of which s3 asks the database. audit: a1, a2;
    maker: its server's, mysql or mariadb."""
    made = small_project(
        root,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop:
            url: {shown(shop)}
            tenancy: schema
            tenants: {{list: [acme, globex]}}
            name: "t_{{tenant}}"
            create: true
          audit: {{url: {shown(audit)}, flavour: {maker}, apps: []}}
        """,
    )
    _shop(made)
    _audit(made)
    return made


def _shop(made: SmallProject) -> None:
    made.revision(
        "shop",
        "s1",
        'op.execute("CREATE TABLE items (id int PRIMARY KEY, name varchar(50))")',
        down='op.execute("DROP TABLE items")',
    )
    made.revision(
        "shop",
        "s2",
        'op.execute("ALTER TABLE items ADD COLUMN price int NOT NULL DEFAULT 0")\n'
        'op.execute("CREATE INDEX by_name ON items (name)")',
        after="s1",
        down='op.execute("ALTER TABLE items DROP COLUMN price")\nop.execute("DROP INDEX by_name")',
    )
    made.revision(
        "shop",
        "s3",
        'op.get_bind().execute(sa.text("SELECT count(*) FROM items")).scalar()',
        after="s2",
    )
    made.revision(
        "shop",
        "s4",
        "# orchestrator: allow drop-column because nobody reads it\n"
        'op.execute("ALTER TABLE items DROP COLUMN name")',
        after="s3",
        down='op.execute("ALTER TABLE items ADD COLUMN name varchar(50)")',
    )


def _audit(made: SmallProject) -> None:
    made.revision(
        "audit",
        "a1",
        'op.execute("CREATE TABLE log (id int PRIMARY KEY, what varchar(50))")',
        down='op.execute("DROP TABLE log")',
    )
    made.revision(
        "audit",
        "a2",
        'op.execute("ALTER TABLE log MODIFY what text")',
        after="a1",
        down='op.execute("ALTER TABLE log MODIFY what varchar(50)")',
    )
