"""What discovery finds in projects of every declarative style."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from orchestrator.config import Config
from orchestrator.discovery import Models
from orchestrator.discovery.discover import discover

Configure = Callable[..., Config]


def rows(models: Models) -> list[tuple[str, str, str, str | None]]:
    return [(one.key, one.app, one.bind, one.model) for one in models.tables]


def places(models: Models, root: Path) -> dict[str, str]:
    return {one.key: f"{one.file.relative_to(root).as_posix()}:{one.line}" for one in models.tables}


@pytest.mark.parametrize(
    "apps",
    [
        {"packages": ("apps",)},
        {"packages": (), "installed": "config.settings:INSTALLED_APPS"},
        {"packages": (), "modules": ("apps.users.models",)},
        {
            "packages": ("apps",),
            "installed": "config.settings:INSTALLED_APPS",
            "modules": ("apps.users.models",),
        },
    ],
)
def test_beginner(configure: Configure, apps: dict[str, object]) -> None:
    config = configure("beginner", apps)
    models = discover(config)
    assert [(app.name, app.package, app.modules) for app in models.apps] == [
        ("users", "apps.users", ("apps.users.models",))
    ]
    assert rows(models) == [("users", "users", "main", "User")]
    assert places(models, config.root) == {"users": "apps/users/models.py:9"}
    assert models.tables[0].rule == "the only bind"
    (metadata,) = models.of("main")
    assert sorted(str(index.name) for index in metadata.tables["users"].indexes) == [
        "ix_users_email",
        "ix_users_id",
        "ix_users_username",
    ]


def test_flask_binds_without_an_application(configure: Configure) -> None:
    config = configure("flask_binds", binds={"main": (), "audit": ()}, default_bind="main")
    models = discover(config)
    assert rows(models) == [
        ("event", "audit", "audit", "Event"),
        ("event_links", "audit", "audit", None),
        ("post", "blog", "main", "Post"),
        ("tag", "blog", "main", "Tag"),
        ("post_tags", "blog", "main", None),
    ]
    assert [type(one) for name in ("main", "audit") for one in models.of(name)] == [
        MetaData,
        MetaData,
    ]
    assert models.of("main").table_keys == {"post", "tag", "post_tags"}


def test_sqlmodel_and_its_two_ways_to_name_a_bind(configure: Configure) -> None:
    config = configure("sqlmodel", binds={"main": ("heroes",), "audit": ()})
    models = discover(config)
    assert [(one.key, one.bind, one.rule) for one in models.tables] == [
        ("hero", "main", "apps of bind main"),
        ("sighting", "audit", "__bind_key__"),
        ("rumour", "audit", 'info["bind_key"]'),
    ]
    assert models.of("audit").table_keys == {"sighting", "rumour"}


def test_classic_styles_and_a_table_outside_of_every_app(configure: Configure) -> None:
    config = configure("classic")
    models = discover(config)
    assert rows(models) == [
        ("authors", "library", "main", "Author"),
        ("books", "library", "main", "Book"),
        ("loans", "loans", "main", None),
        ("loans_2024", "loans", "main", None),
        ("loans_2025", "loans", "main", None),
        ("fines", "loans", "main", "Fine"),
        ("book_authors", "", "main", None),
    ]
    assert places(models, config.root) == {
        "authors": "apps/library/models.py:7",
        "books": "apps/library/models.py:18",
        "loans": "apps/loans/models.py:5",
        "loans_2024": "apps/loans/models.py:8",
        "loans_2025": "apps/loans/models.py:8",
        "fines": "apps/loans/models.py:11",
        "book_authors": "apps/database.py:8",
    }
    assert len(models.of("main")) == 2


def test_models_package_and_a_base_for_each_bind(configure: Configure) -> None:
    config = configure("base_per_bind", binds={"main": ("people",), "audit": ()})
    models = discover(config)
    assert models.apps[0].modules == (
        "apps.people.models",
        "apps.people.models.address",
        "apps.people.models.history",
        "apps.people.models.history.changes",
        "apps.people.models.person",
    )
    assert {(key, bind) for key, _, bind, _ in rows(models)} == {
        ("addresses", "main"),
        ("people", "main"),
        ("changes", "audit"),
    }


def test_models_imported_before_give_the_same(configure: Configure) -> None:
    config = configure("classic")
    # env.py may have imported the models: then no import is left to watch.
    assert discover(config).tables == discover(config).tables


def test_order_and_result_do_not_depend_on_the_hash_seed(configure: Configure) -> None:
    root = configure("shared_base").root
    script = (
        "from pathlib import Path\n"
        "from orchestrator.config import Apps, Bind, Config, Where\n"
        "from orchestrator.discovery.discover import discover\n"
        f"root = Path({str(root)!r}); where = Where(root, 1)\n"
        "binds = {n: Bind(n, where, {}, (), apps=(a,)) for n, a in"
        " (('main', 'orders'), ('audit', 'audit'))}\n"
        "m = discover(Config(root, root, root, '', binds, Apps(packages=('apps',)),"
        " default_bind='main'))\n"
        "print(m.apps, m.tables, [list(one.tables) for s in m.metadata.values() for one in s])\n"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", script],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": str(Path(__file__).parents[2])},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1
    assert "orders" in outputs.pop()


BASE = """
    from sqlalchemy.orm import DeclarativeBase
    class Base(DeclarativeBase): pass
"""


def model(table: str, extra: str = "") -> str:
    return (
        "from sqlalchemy import *\nfrom apps.database import Base\n"
        f"class {table.title()}(Base):\n    __tablename__ = '{table}'\n"
        f"    id = Column(Integer, primary_key=True)\n    {extra}\n"
    )


def test_apps_of_the_same_name_keep_apart(configure: Configure) -> None:
    files = {
        "apps/database.py": BASE,
        "apps/a/users/models.py": model("people"),
        "apps/b/users/models.py": model("robots"),
        "apps/orders/models.py": model("orders"),
    }
    binds = {"main": ("apps.a.users",), "audit": ("b.users", "orders")}
    models = discover(configure(files, binds=binds))
    assert [app.name for app in models.apps] == ["a.users", "b.users", "orders"]
    assert [bind for _, _, bind, _ in rows(models)] == ["main", "audit", "audit"]


def test_app_config_classes_are_understood(configure: Configure) -> None:
    files = {
        "apps/database.py": BASE,
        "apps/users/apps.py": "class UsersConfig:\n    name = 'apps.users'\n",
        "apps/users/models.py": model("users"),
        "apps/orders/apps.py": "class OrdersConfig: pass\n",
        "apps/orders/models.py": model("orders"),
        "config/settings.py": "INSTALLED_APPS = ('apps.users.apps.UsersConfig',\n"
        " 'apps.orders.apps.OrdersConfig')\n",
    }
    models = discover(
        configure(files, {"packages": (), "installed": "config.settings:INSTALLED_APPS"})
    )
    assert [app.package for app in models.apps] == ["apps.users", "apps.orders"]


def test_a_module_of_another_name_is_its_own_app(configure: Configure) -> None:
    files = {
        "apps/database.py": BASE,
        "apps/users.py": model("users"),
        "apps/orders/models.py": model("orders"),
        "apps/orders/more.py": model("returns"),
    }
    apps = {"packages": (), "modules": ("apps.users", "apps.orders.models", "apps.orders.more")}
    models = discover(configure(files, apps))
    assert [(app.name, app.modules) for app in models.apps] == [
        ("users", ("apps.users",)),
        ("orders", ("apps.orders.models", "apps.orders.more")),
    ]


def test_what_models_print_does_not_reach_stdout(
    configure: Configure, capsys: pytest.CaptureFixture[str]
) -> None:
    files = {
        "apps/database.py": BASE,
        "apps/users/models.py": "print('hello')\n" + model("users"),
    }
    discover(configure(files))
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "hello\n"


def test_warnings_of_models_are_kept(configure: Configure) -> None:
    text = "import warnings\nwarnings.warn('old style')\n" + model("users")
    with pytest.warns(UserWarning, match="old style"):
        discover(configure({"apps/database.py": BASE, "apps/users/models.py": text}))


def test_a_namespace_package_wins_over_an_installed_one(
    configure: Configure, tmp_path_factory: pytest.TempPathFactory
) -> None:
    installed = tmp_path_factory.mktemp("site") / "apps"
    installed.mkdir()
    (installed / "__init__.py").write_text("raise RuntimeError('the wrong apps')\n")
    sys.path.insert(0, str(installed.parent))
    files = {"apps/database.py": BASE, "apps/users/models.py": model("users")}
    assert rows(discover(configure(files))) == [("users", "users", "main", "Users")]


def test_importing_another_apps_models_does_not_move_them(configure: Configure) -> None:
    files = {
        "apps/database.py": BASE,
        "apps/a/models.py": "from apps.b.models import *\n" + model("first"),
        "apps/b/models.py": model("second"),
    }
    models = discover(configure(files))
    assert rows(models) == [("first", "a", "main", "First"), ("second", "b", "main", "Second")]


def test_a_borrowed_table_stays_with_the_app_that_defines_it(configure: Configure) -> None:
    view = (
        "from apps.database import Base\nfrom apps.b.models import Second\n"
        "class View(Base):\n    __table__ = Second.__table__\n" + model("first")
    )
    files = {
        "apps/database.py": BASE,
        "apps/a/models.py": view,
        "apps/b/models.py": model("second"),
    }
    models = discover(configure(files, binds={"main": ("a",), "audit": ("b",)}))
    assert rows(models) == [("first", "a", "main", "First"), ("second", "b", "audit", "Second")]


@pytest.mark.parametrize(
    ("library", "expected"),
    [
        # The library has a base of its own: its tables are its own affair.
        ("class Base(DeclarativeBase): pass\n", {"users"}),
        ("from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n", {"users"}),
        # The project hands its base to the library: then the table is the project's.
        ("from apps.database import Base\n", {"users", "jobs"}),
    ],
)
def test_tables_of_installed_libraries(
    configure: Configure,
    tmp_path_factory: pytest.TempPathFactory,
    library: str,
    expected: set[str],
) -> None:
    site = tmp_path_factory.mktemp("site")
    (site / "joblib_orm.py").write_text(
        "from sqlalchemy.orm import DeclarativeBase\nfrom sqlalchemy import *\n"
        + library
        + "class Job(Base):\n    __tablename__ = 'jobs'\n"
        "    id = Column(Integer, primary_key=True)\n"
    )
    sys.path.append(str(site))
    files = {
        "apps/database.py": BASE,
        "apps/users/models.py": "from joblib_orm import Job\n" + model("users"),
    }
    assert discover(configure(files)).of("main").table_keys == expected


def test_a_library_table_that_the_project_refers_to_is_taken_in(
    configure: Configure, tmp_path_factory: pytest.TempPathFactory
) -> None:
    site = tmp_path_factory.mktemp("site")
    (site / "geo_orm.py").write_text(
        "from sqlalchemy import *\nmetadata = MetaData()\n"
        "regions = Table('regions', metadata, Column('id', Integer, primary_key=True))\n"
        "unused = Table('unused', metadata, Column('id', Integer, primary_key=True))\n"
    )
    sys.path.append(str(site))
    files = {
        "apps/database.py": BASE,
        "apps/users/models.py": "import geo_orm\n"
        + model("users", "region = Column(ForeignKey(geo_orm.regions.c.id))"),
    }
    models = discover(configure(files))
    assert rows(models) == [
        ("users", "users", "main", "Users"),
        ("regions", "", "main", None),
    ]
    assert models.of("main").table_keys == {"users", "regions"}
