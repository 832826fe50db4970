"""run-all.sh on targets of several servers: each connection is that of its own server."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

import servers
from servers import RunningServer
from tests.cli.small import SmallProject, rows, shown, small_project
from tests.databases.bundles import client_folder, environment, results, run_all
from tests.databases.fresh import fresh_database

RUNNER = Path(__file__).parents[2] / "orchestrator/planning/bundle/run-all.sh"
HEADER = "bind,stage,server,client,host,port,database,schema,tenant,state,end,make,scripts,undo\n"


@contextmanager
def two(first: RunningServer, second: str) -> Iterator[tuple[URL, URL]]:
    """An empty database on each of two servers; the second one runs for this test alone."""
    other = servers.start(second)
    try:
        with fresh_database(first) as one, fresh_database(other) as two:
            yield make_url(one), make_url(two)
    finally:
        other.stop()


def project(root: Path, urls: Mapping[str, URL]) -> SmallProject:
    """One tenant on each server, named as the server is; nothing is applied."""
    schemas = next(iter(urls.values())).get_backend_name() == "postgresql"
    # A database has another name than its neighbour's service would give it.
    name = "t_{tenant}" if schemas else f"{next(iter(urls.values())).database}_{{tenant}}"
    listed = ", ".join(f"{one}: {{url: {shown(url)}}}" for one, url in urls.items())
    tenants = ", ".join(f"{{tenant: {one}, server: {one}}}" for one in urls)
    made = small_project(
        root,
        f"""
apps: {{packages: [apps]}}
default_bind: shop
binds:
  shop:
    tenancy: {"schema" if schemas else "database"}
    name: '{name}'
    create: true
    servers: {{{listed}}}
    tenants: {{list: [{tenants}]}}
""",
    )
    made.revision(
        "shop", "r1", 'op.execute("CREATE TABLE items (id int)")', down='op.drop_table("items")'
    )
    return made


def bundle(made: SmallProject) -> Path:
    said = made.run("upgrade", "--all", "--sql", "-o", "bundle", "--no-lint")
    assert said.code == 0, said.all
    return made.root / "bundle"


def places(url: URL, like: str) -> list[str]:
    """The schemas or databases of this server that hold the table."""
    found = rows(
        url,
        "SELECT table_schema FROM information_schema.tables WHERE table_name = 'items'"
        f" AND table_schema LIKE '{like}%'",
    )
    return sorted(str(row[0]) for row in found)


def test_two_servers_of_postgresql_by_their_services(
    tmp_path: Path, postgres: RunningServer
) -> None:
    with two(postgres, "pg15") as (one, other):
        folder = bundle(project(tmp_path, {"eu": one, "us": other}))
        services = tmp_path / "services.conf"
        # A service's own dbname is not where the target is.
        services.write_text(
            "".join(
                f"[{name}]\nhost={url.host}\nport={url.port}\nuser={url.username}\n"
                f"password={url.password}\ndbname=postgres\n"
                for name, url in (("eu", one), ("us", other))
            )
        )
        clients = client_folder(tmp_path / "clients")
        found = environment([], clients) | {"PGSERVICEFILE": str(services)}
        refused = run_all(folder, found | {"PGSERVICE": "eu"})
        assert refused.code == 2, refused.said
        assert "PGSERVICE is one server, and the targets are on several: use -S" in refused.said
        ran = run_all(folder, found, "-S", "-j", "2")
        assert ran.code == 0, ran.said
        assert {row["result"] for row in results(folder).values()} == {"done"}
        assert (places(one, "t_"), places(other, "t_")) == (["t_eu"], ["t_us"])
        one_alone = run_all(folder, found | {"PGSERVICE": "us"}, "-u", "-s", "us")
        assert one_alone.code == 0, one_alone.said
        assert (places(one, "t_"), places(other, "t_")) == (["t_eu"], [])
        back = run_all(folder, found, "-S", "-u")
        assert back.code == 0, back.said
        assert (places(one, "t_"), places(other, "t_")) == ([], [])


@pytest.mark.parametrize("road", ["groups", "sockets"])
def test_two_servers_of_mariadb(tmp_path: Path, road: str) -> None:
    first = servers.start("mariadb")
    try:
        with two(first, "mariadb") as (one, other):
            _mariadb(tmp_path, road, one, other)
    finally:
        first.stop()


def _mariadb(tmp_path: Path, road: str, one: URL, other: URL) -> None:
    sockets = [str(rows(url, "SELECT @@socket")[0][0]) for url in (one, other)]
    for url in (one, other):
        # Over TCP the user is another one.
        who = f"'{url.username}'@'localhost'"
        rows(url, f"CREATE USER {who} IDENTIFIED BY '{url.password}'")
        rows(url, f"GRANT ALL PRIVILEGES ON *.* TO {who}")
    urls = [one, other]
    if road == "sockets":
        urls = [
            url.update_query_dict({"unix_socket": socket})
            for url, socket in zip(urls, sockets, strict=True)
        ]
    folder = bundle(project(tmp_path, {"eu": urls[0], "us": urls[1]}))
    clients = client_folder(tmp_path / "clients")
    if road == "sockets":
        assert all(f",{socket}," in (folder / "targets.csv").read_text() for socket in sockets)
        ran = run_all(folder, environment([one], clients), "-j", "2")
    else:
        file = tmp_path / "dba.cnf"
        file.write_text(
            f'[client]\nuser={one.username}\npassword="{one.password}"\n'
            f"[client_eu]\nsocket={sockets[0]}\n"
            f"[client_us]\nhost={other.host}\nport={other.port}\nprotocol=tcp\n"
        )
        ran = run_all(folder, environment([], clients), "-S", "-o", str(file))
    assert ran.code == 0, ran.said
    assert {row["result"] for row in results(folder).values()} == {"done"}
    like = str(one.database)
    assert (places(one, like), places(other, like)) == ([f"{like}_eu"], [f"{like}_us"])


@pytest.mark.parametrize(
    ("lines", "arguments", "words"),
    [
        (
            "a,1,default,psql,h1,,d,,,base,r,,,\nb,1,default,psql,h2,,d,,,base,r,,,\n",
            ["-S"],
            "",
        ),
        (
            "a,1,eu,psql,h1,,d,,,base,r,,,\nb,1,eu,psql,h2,,d,,,base,r,,,\n",
            ["-S"],
            "the service eu would be two servers: run one bind at a time (-b)",
        ),
        (
            "a,1,eu,mysql,h1,3306,d,,,base,r,,,\nb,1,eu,mysql,h1,3307,d,,,base,r,,,\n",
            ["-S"],
            "the option group client_eu would be two servers",
        ),
        (
            "a,1,eu,psql,,,d,,,base,r,,,\na,1,us,psql,,,d,,,base,r,,,\n",
            [],
            "targets.csv has no hosts for the servers of a: use -S",
        ),
        ("a,1,eu,psql,h1,,d,,,base,r,,,\n", ["-o", "nowhere.cnf"], "nowhere.cnf cannot be read"),
    ],
)
def test_a_name_that_means_two_servers_is_refused(
    tmp_path: Path, lines: str, arguments: list[str], words: str
) -> None:
    shutil.copy(RUNNER, tmp_path)
    (tmp_path / "targets.csv").write_text(HEADER + lines)
    ran = run_all(tmp_path, {}, *arguments)
    if words:
        assert (ran.code, words in ran.said) == (2, True), ran.said
    else:
        # No script stands in these lines: what needs orchestrator is told of each.
        assert "2 wait for orchestrator" in ran.said, ran.said
