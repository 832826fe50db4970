"""run-all.sh used as people do: there, back and there again; one tenant of many; killed; with a
password that is not known. What it says of a target is so."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import time
from pathlib import Path

from servers import RunningServer
from tests.cli.small import shown, small_project
from tests.conftest import DatabaseFactory
from tests.databases.bundles import client_folder, environment, results, run_all
from tests.execution.rollout.fleet import connected
from tests.roads.bundled import Bundled


def test_there_and_back_and_there(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """What results.csv says counts no more when -u was run since; and the other way round."""
    fleet = Bundled.make(tmp_path, any_database(), 4)
    folder = fleet.bundle()
    before = _states(fleet)
    for _ in range(2):
        there = fleet.run_all(folder)
        assert (there.code, set(_states(fleet).values())) == (0, {"r4"}), there.said
        assert "0 of 4 targets to run" in fleet.run_all(folder).said
        back = fleet.run_all(folder, "-u")
        assert (back.code, _states(fleet)) == (0, before), back.said
        proofs = fleet.verify(folder, code=1)
        assert {one["verdict"] for one in proofs.values()} == {"undone"}
        assert not any(one["contradicts"] for one in proofs.values())
        assert "0 of 4 targets to run" in fleet.run_all(folder, "-u").said


def test_a_failed_target(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """results.csv says where it stands, and the line of its script; -u takes it back too."""
    fleet = Bundled.make(tmp_path, any_database(), 4)
    folder = fleet.bundle()
    before = _states(fleet)
    fleet.sql("t1", "CREATE TABLE {at}.notes (id integer)")
    fleet.sql("t2", "CREATE UNIQUE INDEX ix_items_name ON {at}.items (name)")
    ran = fleet.run_all(folder, "-f", "9")
    assert ran.code == 1, ran.said
    found = results(folder)
    (log,) = folder.glob(f"logs/*-{fleet.place('t2')}.log")
    script = next(folder.glob("shop/*/r2-*.up.sql"))
    for name, at in (("t1", "r1"), ("t2", "r2")):
        one = found[fleet.place(name)]
        assert (one["result"], one["at"]) == ("failed", at), one
    message = found[fleet.place("t2")]["message"]
    assert f"{script.relative_to(folder)}:" in message, message
    assert str(log.relative_to(folder)) in ran.said
    lines = script.read_text(encoding="utf-8").splitlines()
    number = int(
        message.split(":")[2] if fleet.schemas else message.split("at line ")[1].split(":")[0]
    )
    assert lines[number - 1].startswith("CREATE UNIQUE INDEX"), message
    back = fleet.run_all(folder, "-u", "-f", "9")
    assert _states(fleet) == before
    # A revision that is half-way is no place to turn round. On MySQL any may be.
    for name, revision in (("t1", "r2"), ("t2", "r3"))[fleet.schemas :]:
        half = f": half-way through the upgrade of {revision}, which is no step here: bring it"
        assert f" {fleet.place(name)}: in-doubt{half}" in back.said, back.said
    # What people change after an error is not taken for what the statement would have done.
    fleet.sql("t1", "DROP TABLE {at}.notes")
    fleet.sql("t2", f"DROP INDEX {'{at}.' * fleet.schemas}ix_items_name{_ON[fleet.schemas]}")
    ran = fleet.run_all(folder)
    assert (ran.code, set(_states(fleet).values())) == (0, {"r4"}), ran.said


_ON = (" ON {at}.items", "")


def test_a_selection_that_names_nothing(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    """Tenants are names, not numbers; what is none is an error, and not a run without targets."""
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: shop
        binds:
          shop: {{url: {shown(url := pg_database())}, tenancy: schema, name: 't{{tenant}}',
            create: true, tenants: {{list: ["7", "007", "7.0"]}}}}
        """,
    )
    project.revision("shop", "1e2", 'op.create_table("a", sa.Column("id", sa.Integer))')
    said = project.run("upgrade", "--all", "--sql", "-o", "bundle", "--from", "shop:base")
    assert said.code == 0, said.all
    folder, where = tmp_path / "bundle", environment([url], client_folder(tmp_path / "clients"))
    for options in (["-t", "70"], ["-b", "nosuch"], ["-s", "nosuch", "-n"]):
        ran = run_all(folder, where, *options)
        assert (ran.code, "no target of targets.csv" in ran.said) == (2, True), ran.said
    ran = run_all(folder, where, "-t", "7")
    assert (ran.code, set(results(folder))) == (0, {"t7"}), ran.said


def test_nobody_is_asked_for_a_password(tmp_path: Path, pg_database: DatabaseFactory) -> None:
    """On a terminal psql would wait for one, and several for several."""
    fleet = Bundled.make(tmp_path, pg_database(), 2)
    folder = fleet.bundle()
    where = {**os.environ, **fleet.environment(), "HOME": str(tmp_path)}
    del where["PGPASSWORD"]
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("sh", ["sh", "./run-all.sh"], where)
    said = b""
    deadline = time.monotonic() + 60
    while b"not started" not in said and time.monotonic() < deadline:
        try:
            said += os.read(terminal, 65536)
        except OSError:  # The other side is closed.
            break
        if b"Password" in said:
            os.kill(pid, signal.SIGTERM)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
    assert {(one["result"], one["at"]) for one in results(folder).values()} == {("failed", "")}
    assert b"no password supplied" in said
    assert b"Password" not in said


def test_killed_itself(tmp_path: Path, any_database: DatabaseFactory) -> None:
    """kill -9 of run-all.sh: what runs comes to its end, and nothing new is begun."""
    fleet = Bundled.make(tmp_path, any_database(), 4, more=", lock_timeout: 60s")
    folder = fleet.bundle()
    before = _states(fleet)
    # The first in targets.csv that has a table to be held.
    order = list(results(folder, "targets.csv"))
    name = next(one for one in fleet.names if fleet.place(one) == order[1])
    with connected(fleet.url) as connection, connection.begin():
        connection.exec_driver_sql(f"UPDATE {fleet.place(name)}.items SET name = name")
        process = subprocess.Popen(
            ["sh", "./run-all.sh", "-j", "1"],
            cwd=folder,
            env={**os.environ, **fleet.environment()},
            stderr=subprocess.DEVNULL,
        )
        while not list(folder.glob(f"logs/2-{fleet.place(name)}.log")):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.wait()
    deadline = time.monotonic() + 60
    while fleet.place(name) not in results(folder) and time.monotonic() < deadline:
        time.sleep(0.2)
    time.sleep(1)
    assert set(results(folder)) == set(order[:2])
    after = _states(fleet)
    assert all(after[one] == before[one] for one in fleet.names if fleet.place(one) in order[2:])
    ran = fleet.run_all(folder)
    assert (ran.code, set(_states(fleet).values())) == (0, {"r4"}), ran.said


def test_an_earlier_stage(
    tmp_path: Path, postgres: RunningServer, pg_database: DatabaseFactory
) -> None:
    """The README has what comes first run first, there and back, and run-all.sh warns of it."""
    main, shop = pg_database(), pg_database()
    project = small_project(
        tmp_path,
        f"""
        apps: {{packages: [apps]}}
        default_bind: main
        binds:
          main: {{url: {shown(main)}}}
          shop: {{url: {shown(shop)}, tenancy: schema, create: true, depends_on: [main],
            apps: [], tenants: {{list: [acme, globex]}}}}
        """,
    )
    for bind in ("main", "shop"):
        table = f'op.create_table("{bind}", sa.Column("id", sa.Integer))'
        project.revision(bind, f"{bind}1", table, down=f'op.drop_table("{bind}")')
    where = environment([main], client_folder(tmp_path / "clients"))
    said = project.run("upgrade", "--all", "--sql", "-o", "bundle")
    assert said.code == 0, said.all
    folder = tmp_path / "bundle"
    text = (folder / "README.md").read_text(encoding="utf-8")
    first, then = text.index("./run-all.sh -b main "), text.index("./run-all.sh -t TENANT ")
    assert first < then
    words = "an earlier stage is not done, as far as results.csv tells: main"
    assert words in run_all(folder, where, "-t", "acme").said
    assert words not in run_all(folder, where, "-b", "main").said
    assert words not in run_all(folder, where, "-t", "globex").said
    words = "an earlier stage is not done, as far as results-undo.csv tells: shop"
    assert words in run_all(folder, where, "-u", "-b", "main").said
    run_all(folder, where)
    said = project.run("downgrade", "--all", "--to", "base", "--sql", "-o", "back")
    assert said.code == 0, said.all
    text = (tmp_path / "back" / "README.md").read_text(encoding="utf-8")
    assert text.index("./run-all.sh -b shop ") < text.index("./run-all.sh -j 8 ")
    assert f"| 1 | shop | {postgres.flavour} |" in text
    stages = {
        one["bind"]: one["stage"] for one in results(tmp_path / "back", "targets.csv").values()
    }
    assert stages == {"shop": "1", "main": "2"}


def _states(fleet: Bundled) -> dict[str, str]:
    """The version of each tenant, "" where there is none."""
    said = fleet.project.run("status", "--json")
    return {one["tenant"]: ",".join(one["revisions"] or ()) for one in said.json()}
