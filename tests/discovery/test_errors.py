"""Every mistake of a project is told with the app, the file and the line, all at once."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

import pytest

from orchestrator.config import Config
from orchestrator.discovery.discover import discover
from orchestrator.errors import DiscoveryError, Problem

Configure = Callable[..., Config]

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


def problems(config: Config) -> list[Problem]:
    with pytest.raises(DiscoveryError) as caught:
        discover(config)
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


def only(config: Config) -> Problem:
    (problem,) = problems(config)
    return problem


def place(config: Config, problem: Problem) -> str:
    return problem.where.replace(f"{config.root}/", "")


@pytest.mark.parametrize(
    ("text", "line", "what", "todo"),
    [
        (
            "import os\nfrom sqlalchemy import Colum\n",
            2,
            "ImportError: cannot import name 'Colum' from 'sqlalchemy'",
            "Did you mean Column?",
        ),
        ("import stripe_of_old\n", 1, "No module named 'stripe_of_old'", "Install stripe_of_old"),
        ("import apps.databse\n", 1, "No module named 'apps.databse'", "no module apps.databse in"),
        ("x = 1\nclass User(:\n", 2, "SyntaxError: invalid syntax", "Correct the syntax"),
        ("x = 1\0\n", 1, "SyntaxError: source code", "Correct the syntax"),
        ("raise SystemExit('no')\n", 1, "SystemExit: no", "must not exit"),
        ("def f():\n    return 1 / 0\nf()\n", 2, "ZeroDivisionError", "shows the traceback"),
        (
            "raise RuntimeError('postgresql://app:s3cret@db/main refused')\n",
            1,
            "postgresql://app:***@db/main refused",
            "",
        ),
    ],
)
def test_an_app_that_cannot_be_imported(
    configure: Configure, text: str, line: int, what: str, todo: str
) -> None:
    config = configure(
        {
            "apps/__init__.py": "",
            "apps/database.py": BASE,
            "apps/users/models.py": text,
            "apps/orders/models.py": model("orders"),
        }
    )
    problem = only(config)
    assert place(config, problem) == f"apps/users/models.py:{line}"
    assert problem.what.startswith("app users cannot be imported: ")
    assert what in problem.what
    assert todo in problem.todo
    assert "s3cret" not in str(problem)


def test_a_keyboard_interrupt_is_not_an_error_of_the_app(configure: Configure) -> None:
    with pytest.raises(KeyboardInterrupt):
        discover(configure({"apps/users/models.py": "raise KeyboardInterrupt"}))


def test_a_fault_in_a_shared_module_is_told_once_for_all_apps(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": "import nowhere_at_all\n",
            "apps/a/models.py": model("first"),
            "apps/b/models.py": model("second"),
        }
    )
    problem = only(config)
    assert place(config, problem) == "apps/database.py:1"
    assert problem.what.startswith("apps a, b cannot be imported: ModuleNotFoundError")


def test_what_follows_from_a_broken_app_is_no_second_fault(configure: Configure) -> None:
    # The second import of a's models runs them again, and finds their table already there.
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/a/models.py": model("first") + "oops\n",
            "apps/b/models.py": "from apps.a.models import First\n" + model("second"),
        }
    )
    problem = only(config)
    assert problem.what == "apps a, b cannot be imported: NameError: name 'oops' is not defined"


def test_independent_faults_are_told_together(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/a/models.py": "import missing_one\n",
            "apps/b/models.py": "import missing_two\n",
        },
        {"packages": ("apps", "nowhere"), "modules": ("apps.c.models",)},
    )
    text = "\n".join(one.what for one in problems(config))
    for expected in ("missing_one", "missing_two", "no package nowhere", "no module apps.c.models"):
        assert expected in text


def test_an_app_that_two_sources_list_is_told_once(configure: Configure) -> None:
    config = configure(
        {"apps/a/models.py": "oops\n"}, {"packages": ("apps",), "modules": ("apps.a.models",)}
    )
    assert only(config).what.startswith("app a cannot be imported")


@pytest.mark.parametrize(
    ("apps", "what", "todo"),
    [
        ({"packages": ("aps",)}, "there is no package aps in", "Did you mean apps?"),
        ({"packages": ("apps.users.models",)}, "is a module, not a package", "modules: ["),
        ({"packages": ("empty",)}, "no app was found in the package empty", "empty/<app>/models"),
        ({"packages": ()}, "no apps are listed", "packages: [apps]"),
        ({"packages": (), "installed": "config"}, "names no setting", "module:NAME"),
        ({"packages": (), "installed": "conf:X"}, "there is no module conf", "dotted name"),
        ({"packages": (), "installed": "config.settings:NONE"}, "has no NONE", "Define it"),
        ({"packages": (), "installed": "config.settings:TEXT"}, "TEXT is no list", "dotted"),
        ({"packages": (), "installed": "config.settings:EMPTY"}, "EMPTY lists no app", "List"),
        ({"packages": (), "modules": ("apps.x",)}, "app x: there is no module apps.x", "Correct"),
    ],
)
def test_lists_that_name_nothing(
    configure: Configure, apps: dict[str, object], what: str, todo: str
) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/users/models.py": model("users"),
            "empty/other/views.py": "",
            "config/settings.py": "TEXT = 'apps.users'\nEMPTY = []\n",
        },
        apps,
    )
    problem = only(config)
    assert what in problem.what
    assert todo in problem.todo
    assert problem.where
    assert problem.key.startswith("apps")


def test_entries_of_an_installed_apps(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/users/models.py": model("users"),
            "apps/nothing/__init__.py": "",
            "apps/broken/__init__.py": "import gone_for_good",
            "config/settings.py": "APPS = [\n 'apps.users',\n 'apps.nothing',\n 'apps.user',\n"
            " 'apps.broken',\n]\n",
        },
        {"packages": (), "installed": "config.settings:APPS"},
    )
    assert [(place(config, one), one.what) for one in problems(config)] == [
        ("config/settings.py:3", "app apps.nothing has no models module"),
        ("config/settings.py:4", "app apps.user: there is no module apps.user"),
        (
            "apps/broken/__init__.py:1",
            "app apps.broken cannot be imported: ModuleNotFoundError: "
            "No module named 'gone_for_good'",
        ),
    ]


def test_a_models_module_without_tables(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/users/models.py": model("users"),
            "apps/core/models.py": "from apps.database import Base\n"
            "class Thing(Base):\n    __abstract__ = True\n",
        }
    )
    problem = only(config)
    assert (place(config, problem), problem.what) == (
        "apps/core/models.py:1",
        "app core defines no table",
    )


def test_a_foreign_key_across_binds_of_one_base(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/users/models.py": model("users"),
            "apps/audit/models.py": model("events", "user_id = Column(ForeignKey('users.id'))"),
        },
        binds={"main": ("users",), "log": ("audit",)},
    )
    problem = only(config)
    assert place(config, problem) == "apps/audit/models.py:3"
    for part in (
        "foreign key events.user_id",
        "bind log (apps of bind log)",
        "users.id in ",
        "apps/users/models.py:3",
        "bind main (apps of bind main)",
    ):
        assert part in problem.what


def test_a_foreign_key_across_binds_of_two_bases(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/users/models.py": model("users"),
            "apps/audit/models.py": BASE
            + model("events", "user_id = Column(ForeignKey('users.id'))").replace(
                "from apps.database import Base\n", ""
            ),
        },
        binds={"main": ("users",), "log": ("audit",)},
    )
    assert "foreign key events.user_id leaves its bind" in only(config).what


@pytest.mark.parametrize(
    ("target", "what", "todo"),
    [
        ("user.id", "refers to user.id, a table that no app defines", "Did you mean users?"),
        ("users.ident", "refers to users.ident, a column that is not there", "add the column"),
    ],
)
def test_a_foreign_key_to_nowhere(configure: Configure, target: str, what: str, todo: str) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/users/models.py": model("users"),
            "apps/orders/models.py": model("orders", f"u = Column(ForeignKey('{target}'))"),
        }
    )
    problem = only(config)
    assert place(config, problem) == "apps/orders/models.py:3"
    assert what in problem.what
    assert todo in problem.todo


def test_a_table_that_two_apps_define_on_one_base(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/a/models.py": model("users"),
            "apps/b/models.py": model("users", "name = Column(String(5))"),
        }
    )
    problem = only(config)
    assert place(config, problem) == "apps/b/models.py:3"
    assert problem.what.startswith("app b defines the table users again")
    assert problem.what.endswith("apps/a/models.py:3")


def test_a_table_that_two_apps_define_on_two_bases(configure: Configure) -> None:
    own = BASE + model("users").replace("from apps.database import Base\n", "")
    files = {"apps/a/models.py": own, "apps/b/models.py": own}
    config = configure(files)
    problem = only(config)
    assert place(config, problem) == "apps/b/models.py:5"
    assert "table users (app b) is defined twice in bind main" in problem.what
    assert "apps/a/models.py:5" in problem.what
    # In two binds they are two tables.
    sys.modules.pop("apps.a.models")
    discover(configure(files, binds={"main": ("a",), "other": ("b",)}))


def test_tables_without_a_bind(configure: Configure) -> None:
    config = configure(
        {
            "apps/database.py": BASE,
            "apps/a/models.py": model("users") + model("roles") + model("teams"),
            "apps/b/models.py": model("orders"),
        },
        binds={"main": ("b",), "other": ()},
    )
    problem = only(config)
    assert place(config, problem) == "apps/a/models.py:3"
    assert problem.what == "no bind takes the tables of app a: users, roles, teams"
    assert "`apps: [a]`" in problem.todo
    assert "`default_bind: main` in databases.yaml" in problem.todo


@pytest.mark.parametrize(
    ("extra", "rule"),
    [
        ("__bind_key__ = 'audti'", "__bind_key__"),
        ("__table_args__ = {'info': {'bind_key': 'audti'}}", 'info["bind_key"]'),
        ("Base.metadata.info['bind_key'] = 'audti'", 'info["bind_key"] of its MetaData'),
    ],
)
def test_an_unknown_bind(configure: Configure, extra: str, rule: str) -> None:
    config = configure(
        {"apps/database.py": BASE, "apps/a/models.py": model("users", extra)},
        binds={"main": ("a",), "audit": ()},
    )
    problem = only(config)
    assert place(config, problem) == "apps/a/models.py:3"
    assert f"table users (app a) names the bind 'audti' ({rule})" in problem.what
    assert problem.todo == "Write one of: main, audit. Did you mean audit?"


def test_binds_that_list_wrong_apps(configure: Configure) -> None:
    config = configure(
        {"apps/database.py": BASE, "apps/users/models.py": model("users")},
        binds={"main": ("users", "user"), "other": ("apps.users",)},
    )
    first, second = problems(config)
    assert (first.key, first.what) == ("binds.main.apps", "there is no app user")
    assert "Did you mean users?" in first.todo
    assert second.what == "app users is listed by the binds main and other"
    assert re.search(r"databases\.yaml:7$", second.where)


def test_a_package_that_came_from_elsewhere(
    configure: Configure, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = tmp_path_factory.mktemp("other")
    (other / "apps").mkdir()
    (other / "apps" / "__init__.py").write_text("")
    sys.path.insert(0, str(other))
    __import__("apps")
    problem = only(configure({"apps/database.py": BASE, "apps/users/models.py": model("users")}))
    assert problem.what.startswith(f"the package apps was imported from {other}/apps, not from ")
