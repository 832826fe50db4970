"""Tenants from a Python callable and from a command, and the ways in which both fail."""

from __future__ import annotations

import sys
import textwrap
import time
import uuid
from pathlib import Path

import pytest

from orchestrator.config import Bind, Config, Server, TenantEntry, TenantSource, Where
from orchestrator.errors import ConfigError
from orchestrator.fleet.tenant_programs import command_rows
from orchestrator.fleet.tenants import Tenants, tenants_of

NASTY = ['"; DROP SCHEMA public; --', "it's `quoted`", "50%", "a.b c", "SELECT", "Zürich 東京"]


def given(
    root: Path, kind: str, value: object, *, depends_on: tuple[str, ...] = ()
) -> tuple[Bind, Config]:
    """A bind whose tenants come from this program, in a project at root."""
    where = Where(root / "databases.yaml", 7)
    source = TenantSource(kind, where, value=value)  # type: ignore[arg-type]
    servers = {"eu1": Server("eu1", None, where)}
    bind = Bind("shop", where, servers, (), tenancy="schema", tenants=source, depends_on=depends_on)
    return bind, Config(where.file, root, root, "", {"shop": bind})


def read(root: Path, kind: str, value: object, *, depends_on: tuple[str, ...] = ()) -> Tenants:
    bind, config = given(root, kind, value, depends_on=depends_on)
    return tenants_of(config, bind)


def call(root: Path, body: str, name: str = "tenants") -> Tenants:
    """What a function `tenants` with this body gives; its module has a name of its own."""
    module = f"tenancy_{uuid.uuid4().hex}"
    (root / f"{module}.py").write_text(textwrap.dedent(body), encoding="utf-8")
    return read(root, "callable", f"{module}:{name}")


def entries(found: Tenants) -> list[tuple[str, str | None, dict[str, str]]]:
    assert not found.problems
    return [(one.name, one.server, dict(one.labels)) for one in found.entries]


def fault(found: Tenants) -> str:
    [problem] = found.problems
    assert problem.where.endswith("databases.yaml:7")
    return f"{problem.key}: {problem.what}"


def test_a_callable_gives_names_mappings_and_objects(tmp_path: Path) -> None:
    body = """
    from collections import namedtuple
    from dataclasses import dataclass
    from uuid import UUID

    @dataclass
    class Customer:
        tenant: str
        server: str | None
        paying: bool
        since: int | None = None

    Row = namedtuple("Row", "tenant tier")

    class Thing:
        def __init__(self):
            self.tenant, self.tier, self._state = "thing", "c", object()

    def tenants():
        yield "acme"
        yield {"tenant": "globex", "server": "eu1", "tier": "gold", "gone": None, "beta": True}
        yield Customer("initech", None, False)
        yield Row("umbrella", "b")
        yield Thing()
        yield 42
        yield UUID(int=7)
    """
    assert entries(call(tmp_path, body)) == [
        ("acme", None, {}),
        ("globex", "eu1", {"tier": "gold", "beta": "true"}),
        ("initech", None, {"paying": "false"}),
        ("umbrella", None, {"tier": "b"}),
        ("thing", None, {"tier": "c"}),
        ("42", None, {}),
        ("00000000-0000-0000-0000-000000000007", None, {}),
    ]


def test_a_callable_gives_rows_of_sqlalchemy(tmp_path: Path) -> None:
    body = """
    from sqlalchemy import create_engine, text

    def tenants():
        with create_engine("sqlite://").connect() as connection:
            return connection.execute(text("SELECT 'acme' AS tenant, 1 AS shard")).all()
    """
    assert entries(call(tmp_path, body)) == [("acme", None, {"shard": "1"})]


def test_a_method_may_be_named(tmp_path: Path) -> None:
    body = """
    class Registry:
        @staticmethod
        def names():
            return ["acme"]
    """
    assert entries(call(tmp_path, body, "Registry.names")) == [("acme", None, {})]


def test_what_a_callable_prints_is_no_result(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    call(tmp_path, "def tenants():\n    print('loading')\n    return []\n")
    said = capsys.readouterr()
    assert (said.out, said.err) == ("", "loading\n")


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("def tenants():\n    raise KeyError('x')", "fails: KeyError: 'x'"),
        ("def tenants():\n    yield 'a'\n    1 / 0", "ZeroDivisionError"),
        ("def tenants():\n    raise SystemExit(3)", "SystemExit: 3"),
        ("def tenants():\n    return 'acme'", "it returns str, not a list"),
        ("def tenants():\n    return {'acme': 1}", "it returns dict, not a list"),
        ("def tenants():\n    pass", "it returns NoneType, not a list"),
        ("async def tenants():\n    return []", "asynchronous"),
        ("def tenants(what):\n    return []", "missing 1 required positional argument"),
        ("tenants = ['acme']", "is no callable"),
        ("other = 1", "has no tenants"),
        ("import nowhere_to_be_found", "cannot be imported"),
    ],
)
def test_a_callable_that_fails_is_one_error(tmp_path: Path, body: str, words: str) -> None:
    said = fault(call(tmp_path, body))
    assert said.startswith("binds.shop.tenants.callable: ")
    assert words in said


def test_the_line_that_failed_is_told(tmp_path: Path) -> None:
    said = fault(call(tmp_path, "\n\ndef tenants():\n    raise RuntimeError('boom')\n"))
    assert ".py:4)" in said


def test_a_module_that_is_not_there(tmp_path: Path) -> None:
    said = fault(read(tmp_path, "callable", "no_such_tenancy:all"))
    assert "there is no module no_such_tenancy" in said


def test_items_that_are_no_tenants_are_all_told(tmp_path: Path) -> None:
    found = call(
        tmp_path,
        """
        def tenants():
            return ["", None, True, {"slug": "x"}, "acme", {"tenant": "y", "tags": ["a"]}, 1.5]
        """,
    )
    assert [one.name for one in found.entries] == ["acme"]
    places = [one.where.partition("(")[2] for one in found.problems]
    assert places == ["item 1)", "item 2)", "item 3)", "item 4)", "item 6)", "item 7)"]


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code))


def test_a_command_prints_one_name_a_line(tmp_path: Path) -> None:
    found = read(tmp_path, "command", python("print('acme\\r\\n\\n  globex  \\n#1\\na\\u2028b')"))
    assert [one.name for one in found.entries] == ["acme", "globex", "#1", "a\u2028b"]
    assert str(found.entries[1].where).endswith("databases.yaml:7 (line 3 of its output)")


def test_a_command_prints_json(tmp_path: Path) -> None:
    code = """
    import json
    print(json.dumps(["acme", 7, {"tenant": "globex", "server": "eu1", "paying": True, "x": None}]))
    """
    assert entries(read(tmp_path, "command", python(code))) == [
        ("acme", None, {}),
        ("7", None, {}),
        ("globex", "eu1", {"paying": "true"}),
    ]


def test_names_are_data(tmp_path: Path) -> None:
    code = f"import json; print(json.dumps({NASTY!r}))"
    assert [one.name for one in read(tmp_path, "command", python(code)).entries] == NASTY


def test_a_command_runs_in_the_project_without_a_shell(tmp_path: Path) -> None:
    script = tmp_path / "list-tenants"
    script.write_text('#!/bin/sh\nbasename "$PWD"\nprintf "%s\\n" "$1"\nread line || echo nobody\n')
    script.chmod(0o755)
    found = read(tmp_path, "command", ("./list-tenants", "$HOME; ls"))
    assert [one.name for one in found.entries] == [tmp_path.name, "$HOME; ls", "nobody"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (python("import sys; print('a'); sys.exit('no database')"), "ended with exit code 1"),
        (python("import sys; print('a'); sys.exit('no database')"), "\n    no database"),
        (python("import os; os.kill(os.getpid(), 9)"), "was ended by signal 9"),
        (python("print('[1, ')"), "prints no JSON"),
        (python("print('{}')"), "prints a JSON object"),
        (python("import sys; sys.stdout.buffer.write(b'\\xff')"), "prints no UTF-8"),
        (("./not-there",), "cannot be started: No such file or directory"),
        (("list tenants | sort",), "cannot be started: No such file or directory"),
        ((".",), "cannot be started: Permission denied"),
        (("a\0b",), "cannot be started: embedded null byte"),
    ],
)
def test_a_command_that_fails_is_one_error(
    tmp_path: Path, words: tuple[str, ...], said: str
) -> None:
    found = read(tmp_path, "command", words)
    assert said in fault(found)
    assert fault(found).startswith("binds.shop.tenants.command: ")
    assert found.entries == ()


def test_a_command_has_a_time_limit(tmp_path: Path) -> None:
    words = ("sh", "-c", "echo waiting for somebody >&2; sleep 60 & sleep 60")
    bind, _config = given(tmp_path, "command", words)
    assert bind.tenants is not None
    started = time.monotonic()
    with pytest.raises(ConfigError, match=r"did not end within 0\.5 s.*\n.*waiting for somebody"):
        command_rows(bind.tenants, "binds.shop.tenants.command", tmp_path, seconds=0.5)
    # What it started held its output open, and is gone too.
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("kind", "value"), [("command", ("false",)), ("callable", "shutil:no_such_thing")]
)
def test_a_program_may_need_what_another_bind_brings(
    tmp_path: Path, kind: str, value: object
) -> None:
    """Only a program that ran and failed: a name that leads nowhere is wrong for ever."""
    found = read(tmp_path, kind, value, depends_on=("main",))
    if kind == "callable":
        assert "has no no_such_thing" in fault(found)
        return
    assert found.problems == ()
    [unknown] = found.unknown
    assert unknown.after == ("main",)
    assert unknown.words.startswith("tenants not known until main is applied: `false` ended with")


def test_an_entry_knows_its_place(tmp_path: Path) -> None:
    [one] = call(tmp_path, "def tenants():\n    return ['acme']\n").entries
    where = Where(tmp_path / "databases.yaml", 7, "item 1")
    assert one == TenantEntry("acme", None, {}, where)
