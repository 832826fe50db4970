"""Values nobody may look at, and who may after all."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

import pytest
from psycopg2.extensions import adapt
from pymysql.converters import escape_item

from orchestrator.revisions.recording.unread import TargetName, Unread, UnreadRows


class Told(BaseException):
    """Raised where a recording would end."""


def _told(detail: str) -> NoReturn:
    raise Told(detail)


LOOKS: dict[str, Callable[[Any], object]] = {
    "bool": bool,
    "int": int,
    "str": str,
    "repr": repr,
    "format": lambda value: f"{value}",
    "percent": lambda value: "%s" % value,  # noqa: UP031 - what revisions do
    "equal": lambda value: value == 0,
    "equal from the right": lambda value: 0 in [value],
    "less": lambda value: value < 1,
    "hash": hash,
    "range": range,
    "iterate": list,
    "attribute": lambda value: value.hex,
    "psycopg2": lambda value: adapt(value).getquoted(),
    "pymysql": lambda value: escape_item(value, "utf8mb4"),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
def test_a_look_at_an_unread_value_is_told(look: Callable[[Any], object]) -> None:
    with pytest.raises(Told, match="a row count"):
        look(Unread(_told, "a row count"))


def test_sums_stay_unread() -> None:
    total: Any = sum([Unread(_told, "a row count"), 3])
    total += 1
    with pytest.raises(Told):
        bool(2 * (total - 1))


@pytest.mark.parametrize("look", [len, list, bool, lambda rows: rows[0]])
def test_rows_are_not_counted_either(look: Callable[[Any], object]) -> None:
    with pytest.raises(Told):
        look(UnreadRows(_told))


@pytest.mark.parametrize(
    "look",
    [
        lambda name: name == "acme",
        lambda name: "acme" in (name,),
        lambda name: name.startswith("t_"),
        lambda name: f"{name}",
        lambda name: "%s" % name,  # noqa: UP031
        lambda name: name + "_x",
        lambda name: {"acme": 1}.get(name),
        str,
        lambda name: name[2:],
    ],
)
def test_a_projects_look_at_the_targets_name_is_told(look: Callable[[Any], object]) -> None:
    with pytest.raises(Told):
        look(TargetName.of(_told, "acme"))


def test_sqlalchemy_may_look_at_it() -> None:
    from sqlalchemy import Column, Integer, MetaData, Table
    from sqlalchemy.schema import DropTable

    table = Table("t", MetaData(), Column("id", Integer), schema=TargetName.of(_told, "acme"))
    assert str(DropTable(table)).strip() == "DROP TABLE acme.t"
