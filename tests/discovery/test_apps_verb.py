"""What `orchestrator apps` shows."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

from rich.console import Console

from orchestrator.cli.apps import render_tree, tree_data
from orchestrator.config import Config
from orchestrator.discovery.discover import discover

Configure = Callable[..., Config]


def test_the_tree_names_apps_tables_binds_and_rules(configure: Configure) -> None:
    config = configure("classic", binds={"main": ("library",), "spare": ()}, default_bind="main")
    console = Console(file=io.StringIO(), width=200)
    console.print(render_tree(discover(config), config))
    assert isinstance(console.file, io.StringIO)
    assert console.file.getvalue().splitlines() == [
        "2 apps, 7 tables, 1 bind",
        "├── library  apps/library/models.py",
        "│   ├── authors (Author) -> main  apps of bind main, line 7",
        "│   └── books (Book) -> main  apps of bind main, line 18",
        "├── loans  apps/loans/models.py",
        "│   ├── loans -> main  default_bind, line 5",
        "│   ├── loans_2024 -> main  default_bind, line 8",
        "│   ├── loans_2025 -> main  default_bind, line 8",
        "│   └── fines (Fine) -> main  default_bind, line 11",
        "├── outside of every app",
        "│   └── book_authors -> main  default_bind, apps/database.py:8",
        "└── bind spare has no tables",
    ]


def test_the_json_says_the_same(configure: Configure) -> None:
    config = configure("beginner", binds={"main": (), "spare": ()}, default_bind="main")
    assert json.loads(json.dumps(tree_data(discover(config), config))) == {
        "apps": [
            {
                "name": "users",
                "package": "apps.users",
                "file": "apps/users/models.py",
                "modules": ["apps.users.models"],
                "tables": [
                    {
                        "table": "users",
                        "model": "User",
                        "bind": "main",
                        "rule": "default_bind",
                        "file": "apps/users/models.py",
                        "line": 9,
                    }
                ],
            }
        ],
        "tables_without_app": [],
        "binds": {"main": ["users"], "spare": []},
    }
