"""The example of databases.yaml that shows every section, as a project would write it."""

EXAMPLE = """\
migrations: migrations
ledger: sqlite:///.orchestrator/ledger.db
scratch:
  postgresql: ${SCRATCH_PG}
  mysql: ${SCRATCH_MY}

apps:
  packages: [apps]
  models: models
default_bind: main

binds:
  main:
    url: ${MAIN_URL:-postgresql+psycopg2://app@localhost/main}
  audit:
    url: ${AUDIT_URL}
    direct_url: ${AUDIT_DIRECT_URL}
    flavour: mysql-8.4
    apps: [audit]
  shop:
    tenancy: schema
    name: "t_{tenant}"
    create: false
    apps: [orders, catalog]
    depends_on: [main]
    servers:
      eu1: {url: "${EU1_URL}", max_connections: 8, labels: {region: eu}}
      us1: {url: "${US1_URL}", max_connections: 8, labels: {region: us}}
    tenants:
      list: [acme, globex]
    search_path: []
    versions: migrations/versions/shop
    baseline: null
    version_table: alembic_version
    version_num_length: 32
    journal_table: orchestrator_journal
    lock_wait: 60s
    lock_timeout: 5s
    statement_timeout: 0
    concurrent_timeout: 0
    transaction: revision

rollout:
  concurrency: 8
  max_failures: 0
  waves:
    - {name: canary, select: {tier: internal}, soak: 10m}
    - {name: tenth, percent: 10, pause: true}
    - {name: rest}
drift:
  ignore: ["*.spatial_ref_sys"]
"""
