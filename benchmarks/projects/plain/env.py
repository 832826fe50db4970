"""Stock Alembic, a tenant at a time, as its cookbook has it ("Rudimental Schema-Level Multi
Tenancy for PostgreSQL Databases"); on MySQL a tenant is a database."""

import os

from alembic import context
from sqlalchemy import create_engine, make_url, pool, text

tenant = context.config.attributes.get("tenant") or context.get_x_argument(as_dictionary=True).get(
    "tenant"
)
url = make_url(os.environ["BENCH_URL"])
postgresql = url.get_backend_name() == "postgresql"
engine = create_engine(url if postgresql else url.set(database=tenant), poolclass=pool.NullPool)
with engine.connect() as connection:
    if postgresql:
        connection.execute(text(f'SET search_path TO "{tenant}"'))
        connection.commit()
        connection.dialect.default_schema_name = tenant
    context.configure(connection=connection, target_metadata=None)
    with context.begin_transaction():
        context.run_migrations()
