from sqlmodel import Field, SQLModel


class HeroBase(SQLModel):
    name: str = Field(index=True)


class Hero(HeroBase, table=True):
    id: int | None = Field(default=None, primary_key=True)


class Sighting(SQLModel, table=True):
    __bind_key__ = "audit"
    id: int | None = Field(default=None, primary_key=True)


class Rumour(SQLModel, table=True):
    __table_args__ = {"info": {"bind_key": "audit"}}
    id: int | None = Field(default=None, primary_key=True)
