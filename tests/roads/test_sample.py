"""The sample project at the repository's root: its whole fleet, by each of the three roads."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from servers import RunningServer
from tests.conftest import DatabaseFactory
from tests.roads.project import REPOSITORY, Project
from tests.roads.site import ROADS, Road, Site, SiteMaker, compare, full, sites

TENANTS = ("acme", "globex", "initech")


@pytest.fixture
def make(
    tmp_path: Path, mysql: RunningServer, pg_database: DatabaseFactory, my_database: DatabaseFactory
) -> SiteMaker:
    """The sample in a folder and databases of its own. Only the names of billing's databases, which
    are the same for the whole server, differ from what stands in the repository."""

    def make_one(road: Road) -> Site:
        root = tmp_path / road
        for name in ("apps", "migrations"):
            shutil.copytree(REPOSITORY / name, root / name)
        shutil.copy(REPOSITORY / "alembic.ini", root)
        databases = {
            "main": pg_database(),
            "shop": pg_database(),
            "audit": my_database(),
            "billing": my_database(),
        }
        text = (REPOSITORY / "databases.yaml").read_text(encoding="utf-8")
        assert '"billing_{tenant}"' in text
        text = text.replace("billing_{tenant}", f"{databases['billing'].database}_{{tenant}}")
        root.joinpath("databases.yaml").write_text(text, encoding="utf-8")
        environ = {f"{bind.upper()}_URL": full(url) for bind, url in databases.items()}
        return Site(Project(root, {**environ, "MYSQL_FLAVOUR": mysql.flavour}), databases)

    return make_one


def test_whole_fleet_to_head_and_back(make: SiteMaker) -> None:
    roads = sites(make)
    for road, site in roads.items():
        site.upgrade(road)
    found = compare(roads)
    assert set(found) == {"main", "shop", "audit", "billing", *(f"billing_{t}" for t in TENANTS)}
    assert found["shop"].count("GIFT-CARD") == len(TENANTS)
    for road, site in roads.items():
        said = site.project.orchestrator("status", "--exit-code")
        assert said.out.count("(head)") == 2 * len(TENANTS) + 2
        site.downgrade(road)
    found = compare(roads)
    tables = {name: text.count("CREATE TABLE") for name, text in found.items()}
    # What is left at base is the version table of each target.
    alone = {name: 1 for name in found if name != "billing"}
    assert tables == {**alone, "shop": len(TENANTS), "billing": 0}


@pytest.mark.slow
def test_one_step_at_a_time(make: SiteMaker) -> None:
    roads = sites(make)
    at: tuple[str, ...] = ()
    for _stop in range(2):  # The shortest history of the sample has four revisions.
        for road in ROADS[:2]:
            roads[road].upgrade(road, "+1")
            roads[road].upgrade(road, "+1")
        roads["script"].upgrade("script", "+2", *at)
        compare(roads)
        at = _standing_at(roads["script"])
    for road in ROADS[:2]:
        roads[road].downgrade(road, "-1")
    roads["script"].script("downgrade", "--to", "-1", *at)
    compare(roads)


def _standing_at(site: Site) -> tuple[str, ...]:
    """The options that tell `--sql` where the targets stand."""
    found = {}
    for target in json.loads(site.project.orchestrator("status", "--json").out):
        found[target["bind"]] = ",".join(target["revisions"]) or "base"
    return tuple(word for bind, at in found.items() for word in ("--from", f"{bind}:{at}"))
