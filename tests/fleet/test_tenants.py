"""Tenants from lists and files of every kind, and the mistakes in them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.config import Bind, Config, Server, TenantEntry, TenantSource, Where
from orchestrator.errors import ConfigError
from orchestrator.fleet.tenants import tenants_of

HERE = Where(Path("/p/databases.yaml"), 7)


def from_file(folder: Path, name: str, text: str | bytes) -> tuple[TenantEntry, ...]:
    """The tenants of a bind whose source is this file."""
    path = folder / name
    if isinstance(text, bytes):
        path.write_bytes(text)
    else:
        path.write_text(text, encoding="utf-8", newline="")
    return read(TenantSource("file", HERE, path=path))


def read(source: TenantSource | None) -> tuple[TenantEntry, ...]:
    """The tenants of a bind with this source. Raises ConfigError with what is wrong with it."""
    one = bind(source)
    config = Config(HERE.file, HERE.file.parent, HERE.file.parent, "", {one.name: one})
    found = tenants_of(config, one)
    if found.problems:
        raise ConfigError(found.problems)
    return found.entries


def bind(source: TenantSource | None) -> Bind:
    server = Server("eu1", None, HERE)
    return Bind("shop", HERE, {"eu1": server}, (), tenancy="schema", tenants=source)


def told(folder: Path, name: str, text: str | bytes) -> list[tuple[str, str]]:
    """The mistakes in a file: (line, what)."""
    with pytest.raises(ConfigError) as caught:
        from_file(folder, name, text)
    assert all(str(folder / name) in one.where for one in caught.value.problems)
    return [(one.where.rpartition(":")[2], one.what) for one in caught.value.problems]


def test_text_has_a_name_a_line(tmp_path: Path) -> None:
    text = "\ufeff# customers\nacme\n\n  globex \r\nmüller & söhne\n#old\n"
    found = from_file(tmp_path, "t.txt", text)
    assert [(one.name, one.where.line) for one in found] == [
        ("acme", 2),
        ("globex", 4),
        ("müller & söhne", 5),
    ]


def test_a_control_character_does_not_cut_a_name_in_two(tmp_path: Path) -> None:
    [one] = from_file(tmp_path, "t.txt", "ac\x0bme\x85x\u2028y\n")
    assert one.name == "ac\x0bme\x85x\u2028y"


def test_csv_has_a_column_a_field(tmp_path: Path) -> None:
    text = 'server,tenant,tier\r\neu1,acme,gold\r\n,globex\r\n\r\n,"two\r\nlines",\r\nus1,x,y\r\n'
    found = from_file(tmp_path, "t.csv", text)
    assert found[0] == TenantEntry("acme", "eu1", {"tier": "gold"}, Where(tmp_path / "t.csv", 2))
    assert found[1] == TenantEntry("globex", None, {}, Where(tmp_path / "t.csv", 3))
    assert [(one.name, one.where.line) for one in found[2:]] == [("two\r\nlines", 5), ("x", 7)]


JSON = """[
  "acme",
  {"tenant": "globex",
   "server": "eu1", "tier": "gold", "beta": true, "since": 2019, "gone": null},

  "x", {"tenant": "y"}
]
"""


@pytest.mark.parametrize("name", ["t.json", "t.yaml", "t.yml", "t.YML"])
def test_json_and_yaml_know_their_lines(tmp_path: Path, name: str) -> None:
    found = from_file(tmp_path, name, JSON)
    assert [(one.name, one.where.line) for one in found] == [
        ("acme", 2),
        ("globex", 3),
        ("x", 6),
        ("y", 6),
    ]
    assert found[1].server == "eu1"
    assert found[1].labels == {"tier": "gold", "beta": "true", "since": "2019"}


def test_yaml_in_its_own_style(tmp_path: Path) -> None:
    text = "# all\n- acme\n-\n  tenant: globex\n  tier: gold\n\n- {tenant: x, server: us1}\n"
    found = from_file(tmp_path, "t.yaml", text)
    assert [(one.name, one.where.line) for one in found] == [("acme", 2), ("globex", 4), ("x", 7)]


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("t.csv", "name,tier\nacme,gold\n", [("1", "names no column `tenant`")]),
        ("t.csv", "", [("1", "names no column `tenant`")]),
        ("t.csv", "tenant,tier,tier\nacme,a,b\n", [("1", "names the column `tier` twice")]),
        ("t.csv", "tenant\nacme\nglobex,gold\n", [("3", "more fields than the first line")]),
        ("t.csv", 'tenant\nacme\n"glo"bex\n', [("3", "expected after")]),
        ("t.csv", "tenant,tier\n,gold\nx,\n,silver\n", [("2", "no tenant"), ("4", "no tenant")]),
        ("t.json", '[\n"acme"\n"x"]', [("3", "as json")]),
        ("t.json", '{"acme": 1}', [("1", "it holds no list")]),
        ("t.json", '[\n1,\n"x",\n{"server": "eu1"}]', [("2", "no tenant"), ("4", "no tenant")]),
        ("t.json", '["x",\n{"tenant": "y", "a": [1]}]', [("2", "label a of the tenant 'y'")]),
        ("t.json", '["x",\n{"tenant": "y", "server": 1}]', [("2", "server of the tenant 'y'")]),
        ("t.json", "[" * 100_000, [("1", "it is nested too deep")]),
        ("t.yaml", "", [("1", "it holds no list")]),
        ("t.yaml", "tenants: [acme]\n", [("1", "it holds no list")]),
        ("t.yaml", "- acme\n- [\n", [("3", "as yaml")]),
        ("t.yaml", "- acme\n- !!python/object:os.system x\n", [("2", "could not determine")]),
        ("t.yaml", "- acme\n- 007\n- ''\n- null\n", [("2", ""), ("3", ""), ("4", "no tenant")]),
        ("t.yaml", "- acme\n- glo\x00bex\n", [("2", "the character U+0000")]),
        ("t.yaml", "- 2024-13-45\n", [("1", "month must be")]),
        ("t.txt", b"acme\nm\xfcller\n", [("2", "no UTF-8 text")]),
    ],
)
def test_mistakes_stand_at_their_lines(
    tmp_path: Path, name: str, text: str | bytes, expected: list[tuple[str, str]]
) -> None:
    found = told(tmp_path, name, text)
    assert [line for line, _what in found] == [line for line, _words in expected]
    for (_line, what), (_, words) in zip(found, expected, strict=True):
        assert words in what


@pytest.mark.parametrize(
    ("path", "words"),
    [("none.csv", "cannot be read: No such file"), ("t.xml", "t.xml is of no known kind")],
)
def test_a_file_that_is_not_there(tmp_path: Path, path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(TenantSource("file", HERE, path=tmp_path / path))
    [problem] = caught.value.problems
    assert problem.where == str(HERE)
    assert problem.key == "binds.shop.tenants.file"


def test_no_source_has_no_tenants() -> None:
    assert read(None) == ()


NAMES = st.lists(st.text(min_size=1).filter(lambda name: not any(map(surrogate, name))))


def surrogate(letter: str) -> bool:
    """Whether no encoding can carry a letter."""
    return 0xD800 <= ord(letter) <= 0xDFFF


@given(NAMES)
def test_json_and_yaml_carry_every_name(
    tmp_path_factory: pytest.TempPathFactory, names: list[str]
) -> None:
    folder = tmp_path_factory.getbasetemp()
    for name, text in (
        ("names.json", json.dumps(names, indent=1)),
        ("names.yaml", yaml.safe_dump(names)),
    ):
        found = from_file(folder, name, text)
        assert [one.name for one in found] == names
        lines = [one.where.line for one in found]
        assert lines == sorted(lines)
