"""`upgrade --sql -o` and `downgrade --sql -o`: the bundle that a DBA gets."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from sqlalchemy import URL

import servers
from tests.cli.bundled import bundled_project
from tests.cli.small import SmallProject

S = "shop/postgresql/"
FROM = ("--from", "shop:s1", "--from", "audit:a1")


@pytest.fixture
def maker(mysql: servers.RunningServer) -> str:
    """mysql or mariadb."""
    return mysql.flavour.partition("-")[0]


def _scripts(maker: str) -> set[str]:
    audit = {f"audit/{maker}/a1-a2.{way}.sql" for way in ("up", "down")}
    return {f"{S}s1-s2.up.sql", f"{S}s3-s4.up.sql", f"{S}s1-s4.down.sql"} | audit


@pytest.fixture
def project(
    tmp_path: Path, pg_database: Callable[[], URL], my_database: Callable[[], URL], maker: str
) -> SmallProject:
    return bundled_project(tmp_path, pg_database(), my_database(), maker)


@pytest.fixture
def begun(project: SmallProject) -> SmallProject:
    """Its targets stand at their first revision."""
    for bind, revision in (("shop", "s1"), ("audit", "a1")):
        said = project.run("upgrade", "--bind", bind, "--all", "--to", revision)
        assert said.code == 0, said.all
    return project


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def _lines(folder: Path) -> list[dict[str, str]]:
    with (folder / "targets.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_a_bundle_is_whole(begun: SmallProject, maker: str) -> None:
    said = begun.run("upgrade", "--all", "--sql", "-o", "bundle")
    assert said.code == 0, said.all
    folder = begun.root / "bundle"
    files = _files(folder)
    others = {"README.md", "plan.json", "targets.csv", "run-all.sh", "SHA256SUMS"}
    assert set(files) == _scripts(maker) | others
    sums = dict(line.split("  ")[::-1] for line in files["SHA256SUMS"].decode().splitlines())
    digests = {name: sha256(data).hexdigest() for name, data in files.items()}
    assert sums == {name: one for name, one in digests.items() if name != "SHA256SUMS"}
    assert (folder / "run-all.sh").stat().st_mode & 0o111
    whole = b"".join(files.values()).decode()
    assert servers.PASSWORD not in whole
    assert "app:" not in whole
    assert "://" not in files["targets.csv"].decode()
    lines = {line["tenant"] or line["bind"]: line for line in _lines(folder)}
    assert set(lines) == {"acme", "globex", "audit"}
    assert (lines["acme"]["schema"], lines["acme"]["state"]) == ("t_acme", "s1")
    assert lines["acme"]["scripts"] == f"{S}s1-s2.up.sql {S}s3-s4.up.sql"
    assert lines["audit"]["client"] == maker


def test_the_readme_says_it_in_words(begun: SmallProject, postgres: servers.RunningServer) -> None:
    begun.run("upgrade", "--all", "--sql", "-o", "bundle")
    text = (begun.root / "bundle" / "README.md").read_text(encoding="utf-8")
    digest = json.loads((begun.root / "bundle" / "plan.json").read_text())["digest"]
    for words in (
        "# Database upgrade: 3 databases and schemas",
        f"Plan `{digest}`",
        "**2 statements may lose or overwrite data**",
        f"| 1 | shop | {postgres.flavour} | 2 | s1 | s4 | 3 | `{S}s1-s2.up.sql`<br>",
        "- **shop s2**: no message (2 statements)",
        "DESTRUCTIVE**, drops a column: `ALTER TABLE items DROP COLUMN name`",
        "locks: ACCESS EXCLUSIVE on items: `ALTER TABLE items ADD COLUMN price",
        "locks: SHARE on items, for as long as it takes to build an index: `CREATE INDEX by_name",
        "- SHARE: reads go on, writes wait.",
        "(ALGORITHM=COPY, LOCK=SHARED), and **writes the whole table anew**: `ALTER TABLE log",
        "lint (drop-column, migrations/versions/shop/s4.py:10): ",
        "Allowed by its author: nobody reads it",
        "./run-all.sh -u",
        "psql -X -h HOST -p PORT -U USER -d DATABASE -v target=SCHEMA -f",
    ):
        assert words in text
    # What a live step needs: which revision, why, and what to do.
    _, _, cut = text.partition("## Steps that no script can take")
    assert "- **shop s3**" in cut
    assert "why: migrations/versions/shop/s3.py:9: it reads rows (reads-result)" in cut
    assert "run: `orchestrator upgrade --bind shop --to s3`" in cut


def test_a_live_step_cuts_the_script(begun: SmallProject) -> None:
    said = begun.run("upgrade", "--all", "--sql", "-o", "bundle", "--bind", "shop")
    assert "bind shop: s3 cannot stand in a script: README.md says what to do there" in said.err
    one, two = ((begun.root / "bundle" / S / f"{name}.up.sql").read_text() for name in _HALVES)
    assert "ADD COLUMN price" in one
    assert "DROP COLUMN name" not in one
    assert "DROP COLUMN name" in two
    assert "E's3' AS orchestrator_at" in two


def test_a_bundle_that_goes_down_says_its_locks(begun: SmallProject, maker: str) -> None:
    assert begun.run("upgrade", "--bind", "audit", "--all").code == 0
    down = ("downgrade", "--bind", "audit", "--all", "--to", "a1", "--sql", "-o")
    said = begun.run(*down, "bundle")
    assert said.code == 0, said.all
    text = (begun.root / "bundle" / "README.md").read_text(encoding="utf-8")
    assert "not known" not in text
    assert (
        "(ALGORITHM=COPY, LOCK=SHARED), and **writes the whole table anew**: `ALTER TABLE" in text
    )
    assert "the server itself was asked, on an empty copy of each table" in text
    # Where no server may be asked, that is said, and what follows from it.
    said = begun.run(*down, "alone", "--no-lint")
    assert said.code == 0, said.all
    text = (begun.root / "alone" / "README.md").read_text(encoding="utf-8")
    assert f"{maker}-" in text
    assert "are **not known**: only such a server can tell, and none was asked" in text
    assert ", for no server was asked: " in text
    assert "ALGORITHM=" not in text


_HALVES = ("s1-s2", "s3-s4")


@pytest.mark.parametrize("how", ["state", "from"])
def test_a_bundle_without_a_connection(begun: SmallProject, how: str, maker: str) -> None:
    online = begun.run("upgrade", "--all", "--sql", "-o", "online")
    assert online.code == 0, online.all
    begun.write("states.json", begun.run("status", "--json", "--all").out)
    _hide_servers(begun)
    told = ("--state", "states.json") if how == "state" else FROM
    said = begun.run("upgrade", "--all", "--sql", "-o", "bundle", *told)
    assert said.code == 0, said.all
    ours, theirs = (_files(begun.root / name) for name in ("bundle", "online"))
    scripts = _scripts(maker)
    assert set(ours) >= scripts
    if how == "state":  # --from does not say which PostgreSQL it is, nor does the digest.
        assert {name: ours[name] for name in scripts} == {name: theirs[name] for name in scripts}
    readme = ours["README.md"].decode()
    assert "locks: SHARE on items, for as long as it takes to build an index" in readme
    assert "are **not known**: only such a server can tell" in readme
    assert "ALGORITHM=" not in readme


def _hide_servers(project: SmallProject) -> None:
    """Nobody listens where databases.yaml says that the servers are."""
    file = project.root / "databases.yaml"
    file.write_text(re.sub(r":\d+/", ":1/", file.read_text(encoding="utf-8")), encoding="utf-8")
    assert project.run("status", "--all", "--exit-code").code != 0


def test_targets_that_nobody_told_about_are_named(begun: SmallProject) -> None:
    rows = begun.run("status", "--json", "--all").json()
    some = [row for row in rows if row["tenant"] != "globex"]
    begun.write("states.json", json.dumps(some))
    said = begun.run("upgrade", "--all", "--sql", "-o", "bundle", "--state", "states.json")
    assert said.code == 1, said.all
    assert "not part of it: shop/globex: " in said.err
    assert "states.json does not tell where it stands" in said.err
    readme = (begun.root / "bundle" / "README.md").read_text(encoding="utf-8")
    _, _, missing = readme.partition("## Not part of this bundle")
    assert "shop/globex" in missing
    assert {line["tenant"] for line in _lines(begun.root / "bundle")} == {"acme", ""}


def test_a_downgrade_has_a_bundle_too(begun: SmallProject, maker: str) -> None:
    said = begun.run("downgrade", "--bind", "audit", "--to", "base", "--sql", "-o", "bundle")
    assert said.code == 0, said.all
    folder = begun.root / "bundle"
    assert {f"audit/{maker}/base-a1.{way}.sql" for way in ("down", "up")} <= set(_files(folder))
    readme = (folder / "README.md").read_text(encoding="utf-8")
    assert "# Database downgrade: 1 database or schema" in readme
    assert "drops a table: `DROP TABLE log`" in readme
    (line,) = _lines(folder)
    assert line["scripts"] == f"audit/{maker}/base-a1.down.sql"


def test_what_is_refused(begun: SmallProject) -> None:
    begun.write("full/file", "x")
    begun.write("wrong.json", "{}")
    begun.write("torn.json", "[")
    bundle = ("upgrade", "--all", "--sql", "-o")
    for arguments, words in (
        ((*bundle, "full"), "full: the folder is not empty"),
        ((*bundle, "new", *FROM, "--state", "wrong.json"), "--from and --state both say"),
        ((*bundle, "new", "--state", "wrong.json"), "wrong.json: it is not what `status --json`"),
        ((*bundle, "new", "--state", "torn.json"), "torn.json: it is no JSON"),
        ((*bundle, "new", "--state", "absent.json"), "absent.json"),
        (("upgrade", "--all", "--sql", "--state", "wrong.json"), "--state"),
    ):
        said = begun.run(*arguments)
        assert said.code == 2, said.all
        assert words in said.err
        assert "Traceback" not in said.err
    assert not (begun.root / "new").exists()
    assert _files(begun.root / "full") == {"file": b"x"}


def test_nothing_to_do_writes_nothing(begun: SmallProject) -> None:
    assert begun.run("upgrade", "--bind", "audit", "--all").code == 0
    said = begun.run("upgrade", "--bind", "audit", "--sql", "-o", "bundle")
    assert said.code == 0, said.all
    assert "nothing to do: no bundle is written" in said.err
    assert not (begun.root / "bundle").exists()
