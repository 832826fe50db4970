from sqlalchemy import Column, Integer, Table

from apps.database import mapper_registry, metadata

loans = Table("loans", metadata, Column("id", Integer, primary_key=True))

for year in (2024, 2025):
    Table(f"loans_{year}", metadata, Column("id", Integer, primary_key=True))


class Fine:
    pass


mapper_registry.map_imperatively(
    Fine, Table("fines", mapper_registry.metadata, Column("id", Integer, primary_key=True))
)
