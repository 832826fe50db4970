"""What all tests share: the servers they ask for, empty databases on them, and slow tests.

Enters: --servers, --all-servers, --slow. Leaves: fixtures.

postgres, mysql, any_server: a running server; a test runs once for each selected one.
pg_database, my_database: a factory of empty databases on `postgres` or `mysql`.
any_database: the same on `any_server`.

A server starts when the first test needs it, once for all xdist workers. One that was asked for
and cannot start is an error of every test that needs it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any

import pytest
from sqlalchemy import URL

from orchestrator.config.flavour import Family
from servers import (
    DEFAULT_POSTGRES,
    EVERY,
    FAMILIES,
    CannotStart,
    NotInstallable,
    RunningServer,
    install,
    mysql_family,
)
from servers.keeper import Keeper, ask
from tests.databases.fresh import fresh_database

DatabaseFactory = Callable[[], URL]

_NOT_ASKED_FOR = "not-asked-for"
_FIXTURES: dict[str, tuple[Family, ...]] = {
    "postgres": ("postgresql",),
    "mysql": ("mysql",),
    "any_server": ("postgresql", "mysql"),
}
_ONE_OF_EACH = (
    "tests/cli",
    "tests/execution/rollout",
    "tests/execution/test_drift_of_ten_thousand.py",
    "tests/roads/test_bundle_shells.py",
    "tests/roads/test_environment.py",
    "tests/roads/test_public.py",
)
"""What these hold does not depend on a server's version, or takes too long for all of them: with
--all-servers they run on one server of each family; --servers names others."""
_SECOND = frozenset(("pg15", "mysql"))
_keeper = pytest.StashKey[Keeper]()
_address = pytest.StashKey[str]()
_selected = pytest.StashKey[tuple[str, ...]]()
_left_out = pytest.StashKey[list[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("servers")
    group.addoption(
        "--servers",
        metavar="NAMES",
        help=f"run on these servers, of {', '.join(FAMILIES)} (default: {DEFAULT_POSTGRES} and "
        "the MySQL-family server that is here)",
    )
    group.addoption(
        "--all-servers", action="store_true", help=f"run on all servers: {', '.join(EVERY)}"
    )
    group.addoption("--slow", action="store_true", help="run the tests marked slow as well")


def pytest_configure(config: pytest.Config) -> None:
    given: dict[str, Any] | None = getattr(config, "workerinput", None)
    if given is not None:
        config.stash[_address] = given["servers_address"]
        config.stash[_selected] = tuple(given["servers_selected"])
        return
    config.stash[_selected] = _select(config)
    config.stash[_keeper] = Keeper()
    config.stash[_address] = config.stash[_keeper].open()
    if config.getoption("--all-servers") and not config.option.collectonly:
        _install_all(config.stash[_keeper])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell an xdist worker where the servers are."""
    node.workerinput["servers_address"] = node.config.stash[_address]
    node.workerinput["servers_selected"] = node.config.stash[_selected]


def pytest_unconfigure(config: pytest.Config) -> None:
    if _keeper in config.stash:
        config.stash[_keeper].close()


def _install_all(keeper: Keeper) -> None:
    """Ahead of the tests, because it may take longer than a test is allowed to.

    A failure is kept for the tests that ask for that server, so that nothing is tried again.
    """
    for name in EVERY:
        try:
            install(name)
        except NotInstallable as error:
            keeper.refuse(name, error)


def _select(config: pytest.Config) -> tuple[str, ...]:
    if config.getoption("--all-servers"):
        return EVERY
    named: str | None = config.getoption("--servers")
    if named is None:
        try:
            return (DEFAULT_POSTGRES, mysql_family())
        except CannotStart:
            # Tests that need no server still run; those that need this one tell the reason.
            return (DEFAULT_POSTGRES, "mysql-family")
    names = tuple(name.strip() for name in named.split(","))
    unknown = [name for name in names if name not in FAMILIES]
    if unknown:
        raise pytest.UsageError(
            f"--servers {named}: {', '.join(unknown)} is no server; there are {', '.join(FAMILIES)}"
        )
    return names


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    for fixture, families in _FIXTURES.items():
        if fixture in metafunc.fixturenames:
            selected = metafunc.config.stash[_selected]
            names = [name for name in selected if FAMILIES[name] in families]
            if metafunc.config.getoption("--all-servers") and _is_one_of_each(metafunc):
                names = [name for name in names if name not in _SECOND]
            metafunc.parametrize(fixture, names or [_NOT_ASKED_FOR], indirect=True, scope="session")


def _is_one_of_each(metafunc: pytest.Metafunc) -> bool:
    folder = metafunc.definition.path.relative_to(metafunc.config.rootpath).as_posix()
    return folder.startswith(_ONE_OF_EACH)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    run_slow = bool(config.getoption("--slow"))
    every = bool(config.getoption("--all-servers"))
    left_out = [
        item
        for item in items
        if _for_another_server(item) or _is_slow(item, run_slow) or (every and _is_second(item))
    ]
    if left_out:
        gone = set(left_out)
        items[:] = [item for item in items if item not in gone]
        config.hook.pytest_deselected(items=left_out)
    if hasattr(config, "workeroutput"):
        config.workeroutput["left_out"] = [item.nodeid for item in left_out]


def _for_another_server(item: pytest.Item) -> bool:
    parameters = (
        item.callspec.params
        if isinstance(item, pytest.Function) and hasattr(item, "callspec")
        else {}
    )
    return any(parameters.get(fixture) == _NOT_ASKED_FOR for fixture in _FIXTURES)


def _is_second(item: pytest.Item) -> bool:
    """Whether a test that one server of each family is enough for is there for another one."""
    parameters = item.callspec.params if hasattr(item, "callspec") else {}
    marked = item.get_closest_marker("one_of_each") is not None
    return marked and any(parameters.get(fixture) in _SECOND for fixture in _FIXTURES)


def _is_slow(item: pytest.Item, run_slow: bool) -> bool:
    return not run_slow and item.get_closest_marker("slow") is not None


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any, error: object) -> None:
    """xdist forgets what its workers left out; every worker leaves out the same."""
    left_out = getattr(node, "workeroutput", {}).get("left_out", [])
    if left_out:
        node.config.stash[_left_out] = left_out


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    left_out = session.config.stash.get(_left_out, [])
    if left_out:
        # Objects, not texts: hypothesis looks for an attribute of everything that is reported.
        items = [SimpleNamespace(nodeid=nodeid) for nodeid in left_out]
        session.config.hook.pytest_deselected(items=items)


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    """Say which servers took part, and above all which did not."""
    for name, outcome in config.stash[_keeper].outcomes().items():
        if isinstance(outcome, RunningServer):
            terminalreporter.line(f"server {name}: {outcome.flavour}")
        else:
            terminalreporter.section(f"SERVER {name} WAS NOT TESTED", red=True, bold=True)
            terminalreporter.line(str(outcome))
    left_out = terminalreporter.stats.get("deselected", [])
    if left_out:
        terminalreporter.line(f"{len(left_out)} tests left out; --slow and --all-servers run more")


def _server(request: pytest.FixtureRequest) -> RunningServer:
    name: str = request.param
    try:
        return ask(request.config.stash[_address], name)
    except NotInstallable as error:
        # Debian unstable moves: that its MySQL cannot be installed today is told, loudly, at the
        # end of the run, and is no fault of this program. Asked for by name, it is an error.
        if name == "mysql" and request.config.getoption("--all-servers"):
            pytest.skip(f"mysql cannot be installed: {error}")
        raise


@pytest.fixture(scope="session")
def postgres(request: pytest.FixtureRequest) -> RunningServer:
    """A PostgreSQL server, one after the other."""
    return _server(request)


@pytest.fixture(scope="session")
def mysql(request: pytest.FixtureRequest) -> RunningServer:
    """A server of the MySQL family, one after the other."""
    return _server(request)


@pytest.fixture(scope="session")
def any_server(request: pytest.FixtureRequest) -> RunningServer:
    """A server of any family, one after the other."""
    return _server(request)


def _databases(server: RunningServer) -> Iterator[DatabaseFactory]:
    with ExitStack() as stack:
        yield lambda: stack.enter_context(fresh_database(server))


@pytest.fixture
def pg_database(postgres: RunningServer) -> Iterator[DatabaseFactory]:
    """Each call makes an empty PostgreSQL database, dropped after the test."""
    yield from _databases(postgres)


@pytest.fixture
def my_database(mysql: RunningServer) -> Iterator[DatabaseFactory]:
    """Each call makes an empty MySQL-family database, dropped after the test."""
    yield from _databases(mysql)


@pytest.fixture
def any_database(any_server: RunningServer) -> Iterator[DatabaseFactory]:
    """Each call makes an empty database on `any_server`, dropped after the test."""
    yield from _databases(any_server)
