"""A whole databases.yaml becomes a Config."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy.engine import make_url

from orchestrator.config import Flavour, TenantQuery
from orchestrator.config.load import load_config
from orchestrator.errors import ConfigError
from tests.config.conftest import Load
from tests.config.example import EXAMPLE


def test_defaults(load: Load, tmp_path: Path) -> None:
    config = load("binds: {main: {url: postgresql://app@localhost/main}}")
    assert config.file == tmp_path / "databases.yaml"
    assert config.root == tmp_path
    assert config.migrations == tmp_path / "migrations"
    assert config.ledger == f"sqlite:///{tmp_path}/.orchestrator/ledger.db"
    assert (config.default_bind, config.scratch, config.deferred) == (None, {}, ())
    assert (config.rollout.concurrency, config.rollout.max_failures) == (8, "0")
    assert (config.apps.models, config.apps.where) == ("models", None)
    main = config.binds["main"]
    assert main.versions == (tmp_path / "migrations/versions/main",)
    assert (main.family, main.flavour, main.tenancy) == ("postgresql", None, None)
    assert (main.tenant_name, main.create, main.search_path) == ("{tenant}", False, ())
    assert (main.version_table, main.version_num_length) == ("alembic_version", 32)
    assert main.journal_table == "orchestrator_journal"
    assert (main.lock_wait, main.lock_timeout) == (60.0, 5.0)
    assert (main.statement_timeout, main.concurrent_timeout) == (0.0, 0.0)
    assert main.transaction == "revision"
    server = main.servers["default"]
    assert list(main.servers) == ["default"]
    assert str(server.url) == "postgresql+psycopg2://app@localhost/main"
    assert (server.direct_url, server.max_connections, server.labels) == (None, 8, {})


def test_the_whole_example(load: Load, tmp_path: Path) -> None:
    config = load(
        EXAMPLE,
        SCRATCH_PG="postgresql://s@localhost/scratch",
        SCRATCH_MY="mysql://s@localhost/scratch",
        AUDIT_URL="mysql+aiomysql://a@pool/audit",
        AUDIT_DIRECT_URL="mysql://a@db/audit",
        EU1_URL="postgresql://s@eu/shop",
        US1_URL="postgresql://s@us/shop",
    )
    assert config.deferred == ()
    assert list(config.binds) == ["main", "audit", "shop"]
    assert {family: url.drivername for family, url in config.scratch.items()} == {
        "postgresql": "postgresql+psycopg2",
        "mysql": "mysql+pymysql",
    }
    assert config.apps.packages == ("apps",)
    assert config.default_bind == "main"
    audit = config.binds["audit"]
    assert audit.flavour == Flavour("mysql", (8, 4))
    assert audit.family == "mysql"
    assert audit.apps == ("audit",)
    migration_url = audit.servers["default"].migration_url
    assert migration_url is not None
    assert migration_url.host == "db"
    shop = config.binds["shop"]
    assert (shop.tenancy, shop.tenant_name, shop.depends_on) == ("schema", "t_{tenant}", ("main",))
    assert shop.servers["eu1"].labels == {"region": "eu"}
    assert shop.versions == (tmp_path / "migrations/versions/shop",)
    assert shop.tenants is not None
    assert [(one.name, one.server) for one in shop.tenants.entries] == [
        ("acme", None),
        ("globex", None),
    ]
    canary, tenth, rest = config.rollout.waves
    assert (canary.name, canary.select, canary.soak) == ("canary", {"tier": ("internal",)}, 600.0)
    assert (tenth.percent, tenth.pause) == (10.0, True)
    assert (rest.name, rest.percent, rest.count) == ("rest", None, None)
    assert config.drift.ignore == ("*.spatial_ref_sys",)


def test_lint_takes_severities_and_a_bare_off(load: Load) -> None:
    lint = load(
        """
        binds: {main: {url: postgresql://u@h/d}}
        lint:
          fail_on: warning
          rules: {drop-column: notice, live-step: off, "squawk/x": "off"}
        """
    ).lint
    assert lint.fail_on == "warning"
    assert lint.rules == {"drop-column": "notice", "live-step": "off", "squawk/x": "off"}
    assert str(lint.places["live-step"]).endswith("databases.yaml:5")


def test_unset_variables_matter_only_to_what_uses_them(load: Load) -> None:
    config = load(EXAMPLE)
    config.require(["main"])
    config.require(parts=["ledger", "apps", "rollout"])
    config.require(offline=["main", "audit", "shop"])
    with pytest.raises(ConfigError) as caught:
        config.require(["audit", "shop"], ["scratch"])
    named = [(problem.key, problem.what) for problem in caught.value.problems]
    assert named == [
        ("scratch.postgresql", "the environment variable SCRATCH_PG is not set"),
        ("scratch.mysql", "the environment variable SCRATCH_MY is not set"),
        ("binds.audit.url", "the environment variable AUDIT_URL is not set"),
        ("binds.audit.direct_url", "the environment variable AUDIT_DIRECT_URL is not set"),
        ("binds.shop.servers.eu1.url", "the environment variable EU1_URL is not set"),
        ("binds.shop.servers.us1.url", "the environment variable US1_URL is not set"),
    ]
    assert caught.value.problems[2].where.endswith("databases.yaml:16")
    assert caught.value.problems[2].todo == "Set it, or give a default: ${AUDIT_URL:-...}."
    assert config.binds["audit"].servers["default"].url is None


def test_keys_of_structure_with_unset_variables_are_deferred(load: Load) -> None:
    config = load("""
        default_bind: ${D}
        apps: {packages: ["${P}"]}
        rollout: {concurrency: "${C}"}
        ledger: ${L}
        binds:
          main: {url: postgresql://app@localhost/main}
          shop:
            url: postgresql://app@localhost/shop
            tenancy: ${T}
            name: "${N}_{tenant}"
            versions: ["${V}", other]
            apps: [orders, "${A}"]
            depends_on: ["${O}"]
            tenants: {list: [acme, "${X}", globex]}
    """)
    shop = {one.part for one in config.deferred if one.bind == "shop"}
    assert shop == {
        "tenancy",
        "name",
        "versions[0]",
        "apps[1]",
        "depends_on[0]",
        "tenants.list[1]",
    }
    rest = {one.part for one in config.deferred if not one.bind}
    assert rest == {"default_bind", "apps", "rollout", "ledger"}
    config.require(["main"])
    with pytest.raises(ConfigError):
        config.require(offline=["shop"])
    for part in rest:
        with pytest.raises(ConfigError, match="not set"):
            config.require(parts=[part])


def test_two_unset_variables_of_one_value_are_one_problem(load: Load) -> None:
    config = load('binds: {main: {url: "postgresql://${U}:${P}@localhost/main"}}')
    assert [one.problem.what for one in config.deferred] == [
        "the environment variables U and P are not set"
    ]


def test_variables_are_read_by_the_rules_of_yaml_unless_quoted(load: Load) -> None:
    config = load(
        """
        binds:
          shop:
            url: postgresql://app@localhost/${DB:-shop}
            max_connections: ${N:-4}
            create: ${CREATE}
            lock_wait: ${WAIT:-2m}
            flavour: ${FLAVOUR:-}
            direct_url: ${DIRECT:-}
            baseline: ${BASELINE}
            tenancy: schema
            labels: {size: "${N:-4}", region: "${EMPTY}"}
            tenants: {list: ["${TENANT}", "$${TENANT}"]}
        """,
        CREATE="yes",
        TENANT="no",
        BASELINE="",
        EMPTY="",
    )
    shop = config.binds["shop"]
    assert shop.servers["default"].max_connections == 4
    assert shop.create is True
    assert shop.lock_wait == 120.0
    assert (shop.flavour, shop.baseline, shop.servers["default"].direct_url) == (None, None, None)
    assert shop.servers["default"].labels == {"size": "4", "region": ""}
    assert shop.tenants is not None
    assert [one.name for one in shop.tenants.entries] == ["no", "${TENANT}"]
    assert config.deferred == ()


def test_names_stay_what_was_written(load: Load) -> None:
    config = load("""
        binds:
          shop:
            url: postgresql://app@localhost/shop
            tenancy: schema
            tenants:
              list: [007, no, 1e3, 2024-01-01, {tenant: 1_000, tier: on, note: }]
    """)
    tenants = config.binds["shop"].tenants
    assert tenants is not None
    names = [one.name for one in tenants.entries]
    assert names == ["007", "no", "1e3", "2024-01-01", "1_000"]
    assert tenants.entries[-1].labels == {"tier": "on"}
    assert tenants.entries[0].where.line == 7


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"))))
def test_passwords_from_variables_survive(
    tmp_path_factory: pytest.TempPathFactory, password: str
) -> None:
    path = tmp_path_factory.mktemp("project") / "databases.yaml"
    path.write_text('binds: {main: {url: "postgresql://app:${P}@localhost/main"}}')
    password = "hunter2" + password
    quoted = "".join(f"%{byte:02X}" for byte in password.encode())
    config = load_config(path, environ={"P": quoted})
    url = config.binds["main"].servers["default"].url
    assert url is not None
    assert url.password == password
    assert "hunter2" not in repr(config)


def test_anchors_and_merge_keys(load: Load) -> None:
    config = load("""
        x-common: &common
          lock_wait: 10s
          lock_timeout: 1s
          url: ${NOBODY_SETS_THIS}
        x-slow: &slow {lock_timeout: 9s, statement_timeout: 7s}
        binds:
          one:
            <<: [*common, *slow]
            url: &url postgresql://app@localhost/one
            lock_wait: 20s
          two:
            <<: *common
            url: postgresql://app@localhost/two
            direct_url: *url
            version_table: two_version
    """)
    one, two = config.binds.values()
    assert (one.lock_wait, one.lock_timeout, one.statement_timeout) == (20.0, 1.0, 7.0)
    assert (two.lock_wait, two.lock_timeout) == (10.0, 1.0)
    assert config.deferred == ()


def test_paths_start_at_the_root(load: Load, tmp_path: Path) -> None:
    path = tmp_path / "deploy" / "databases.yaml"
    path.parent.mkdir()
    (tmp_path / "base.sql").touch()
    path.write_text(
        dedent("""
            migrations: db/migrations
            ledger: sqlite:///var/ledger.db
            binds:
              main: {url: postgresql://app@localhost/main, baseline: base.sql}
              old:
                url: postgresql://app@localhost/old
                versions: [alembic/versions, ../shared, /srv/versions]
              shop:
                url: postgresql://app@localhost/shop
                tenancy: schema
                tenants: {file: tenants.csv}
        """)
    )
    config = load_config(path, root=tmp_path, environ={})
    assert config.root == tmp_path
    assert config.ledger == f"sqlite:///{tmp_path}/var/ledger.db"
    assert config.binds["main"].versions == (tmp_path / "db/migrations/versions/main",)
    assert config.binds["main"].baseline == tmp_path / "base.sql"
    assert config.binds["old"].versions == (
        tmp_path / "alembic/versions",
        tmp_path.parent / "shared",
        Path("/srv/versions"),
    )
    tenants = config.binds["shop"].tenants
    assert tenants is not None
    assert (tenants.kind, tenants.path) == ("file", tmp_path / "tenants.csv")


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("sqlite:////var/ledger.db", "sqlite:////var/ledger.db"),
        ("sqlite+aiosqlite:////var/ledger.db", "sqlite:////var/ledger.db"),
        ("sqlite://", "sqlite://"),
        ("postgresql+asyncpg://u:p%40@h/d", "postgresql+psycopg2://u:p%40@h/d"),
        ("oracle+oracledb://u:p@h/d", "oracle+oracledb://u:p@h/d"),
    ],
)
def test_ledgers(load: Load, written: str, expected: str) -> None:
    text = f"{{ledger: '{written}', binds: {{main: {{url: postgresql://app@localhost/main}}}}}}"
    config = load(text)
    assert config.ledger == expected
    assert ":p" not in repr(config)


def test_a_ledger_that_is_a_sqlite_uri(load: Load) -> None:
    config = load("""
        ledger: sqlite:///file:ledger.db?uri=true
        binds: {main: {url: postgresql://app@localhost/main}}
    """)
    assert make_url(config.ledger).database == "file:ledger.db"


def test_sources_of_tenants(load: Load) -> None:
    config = load("""
        binds:
          main: {url: postgresql://app@localhost/main}
          query:
            url: postgresql://app@localhost/a
            tenancy: schema
            tenants: {query: {bind: main, sql: SELECT slug AS tenant FROM tenants}}
          pattern:
            url: postgresql://app@localhost/b
            tenancy: schema
            tenants: {pattern: "t_%"}
          callable:
            url: postgresql://app@localhost/c
            tenancy: schema
            tenants: {callable: "apps.tenancy:all_tenants"}
          command:
            url: postgresql://app@localhost/d
            tenancy: schema
            tenants: {command: [./list-tenants, -v]}
    """)
    found = {name: bind.tenants.value for name, bind in config.binds.items() if bind.tenants}
    assert found == {
        "query": TenantQuery("main", "SELECT slug AS tenant FROM tenants"),
        "pattern": "t_%",
        "callable": "apps.tenancy:all_tenants",
        "command": ("./list-tenants", "-v"),
    }
    # Who is asked for tenants is applied first.
    assert config.binds["query"].depends_on == ("main",)


@pytest.mark.parametrize(
    ("keys", "family"),
    [
        ("url: postgresql://app@localhost/x", "postgresql"),
        ("url: mariadb://app@localhost/x", "mysql"),
        ('url: "${UNSET}", flavour: mysql-8.4', "mysql"),
        ('url: "${UNSET}", direct_url: "mysql://app@localhost/x"', "mysql"),
        ('url: "${UNSET}", tenancy: schema, tenants: {list: []}', "postgresql"),
        ('url: "${UNSET}"', None),
    ],
)
def test_family(load: Load, keys: str, family: str | None) -> None:
    assert load(f"binds: {{main: {{{keys}}}}}").binds["main"].family == family


def test_same_place_in_another_schema_or_table_is_no_duplicate(load: Load) -> None:
    config = load("""
        binds:
          one: {url: postgresql://app@localhost/main}
          two: {url: postgresql://app@localhost/main, version_table: two_version}
          three: {url: postgresql://app@localhost/main, search_path: [three]}
          four: {url: "postgresql://app@localhost/main?options=-csearch_path%3Dfour"}
          five: {url: postgresql://app@localhost:5433/main}
          six: {url: mysql://app@localhost/main}
    """)
    assert len(config.binds) == 6


def test_loading_imports_no_driver_and_no_alembic(tmp_path: Path) -> None:
    """Start-up: only what reading needs."""
    path = tmp_path / "databases.yaml"
    path.write_text(EXAMPLE, encoding="utf-8")
    code = (
        "import sys; from pathlib import Path; from orchestrator.config.load import load_config; "
        f"load_config(Path({str(path)!r}), environ={{}}); "
        "print(*{'alembic', 'psycopg2', 'pymysql', 'rich', 'click'} & set(sys.modules))"
    )
    found = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    assert found.stdout.strip() == ""
