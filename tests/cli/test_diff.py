"""`diff`: what a branch adds, as Markdown for its reviewers."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from orchestrator.cli.diff import LONGEST
from tests.cli.small import SmallProject, small_project

NOWHERE = "127.0.0.1:1"


def _git(root: Path, *arguments: str) -> str:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ["git", "-C", str(root), *who, *arguments], capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


@pytest.fixture
def project(tmp_path: Path) -> SmallProject:
    """On a branch `mine` that left `main` behind m1 and a1. Nothing is tried on a server."""
    root = tmp_path / "repository" / "inside"
    made = small_project(
        root,
        f"""
        scratch: {{postgresql: "postgresql://u@{NOWHERE}/x", mysql: "mysql://u@{NOWHERE}/"}}
        apps: {{packages: [apps]}}
        default_bind: main
        binds:
          main: {{url: "postgresql://u:hidden@{NOWHERE}/main"}}
          audit: {{url: "mysql://u@{NOWHERE}/audit", flavour: mariadb, apps: []}}
        """,
    )
    made.revision("main", "m1", 'op.execute("CREATE TABLE a (i int)")')
    made.revision("audit", "a1", 'op.execute("CREATE TABLE a (i int)")')
    top = root.parent
    _git(top, "init", "-q", "-b", "main")
    (top / ".gitignore").write_text(".orchestrator\n__pycache__\n", encoding="utf-8")
    _git(top, "add", ".")
    _git(top, "commit", "-q", "-m", "one")
    _git(top, "checkout", "-q", "-b", "mine")
    return made


def test_added_and_edited_revisions(project: SmallProject) -> None:
    project.revision("main", "m2", 'op.execute("ALTER TABLE a ADD j int")', after="m1")
    _git(project.root, "add", ".")
    _git(project.root, "commit", "-q", "-m", "two")
    # Committed or not, what is in the work tree counts.
    project.revision("main", "m3", 'op.execute("DROP TABLE a")', after="m2")
    project.revision("audit", "a2", 'op.execute("ALTER TABLE a ADD j int")', after="a1")
    project.revision("audit", "a1", 'op.execute("CREATE TABLE a (i int, k int)")')
    said = project.run("diff")
    assert said.code == 1, said.all  # lint.fail_on is error, and m3 drops a table
    text = said.out
    assert text.startswith("## Migrations: 3 revisions added since `")
    assert re.findall(r"^#{3,4} .*$", text, re.MULTILINE) == [
        "### main on postgresql-16",
        "#### `m2`",
        "#### `m3`",
        "### audit on mariadb",
        "#### `a2`",
    ]
    assert "```sql\nALTER TABLE a ADD j int;\n```" in text
    assert "> **Edited:** `migrations/versions/audit/a1.py` was there already." in text
    assert "- **destructive**, drops a table: `DROP TABLE a`" in text
    assert "- **error** `drop-table` (line 9): " in text
    assert "not checked for" in text
    assert "hidden" not in said.all
    again = project.run("diff", "main", "--bind", "audit")
    assert "1 revision added" in again.out
    assert "m2" not in again.out


def test_moved_and_gone_revisions(project: SmallProject) -> None:
    """A file that moved is no change; one whose revision has another id now is gone, and told."""
    folder = project.root / "migrations" / "versions"
    (folder / "main" / "m1.py").rename(folder / "main" / "m1_first.py")
    said = project.run("diff")
    assert (said.code, said.out.strip().count("\n")) == (0, 0), said.all
    assert said.out.startswith("## Migrations: 0 revisions added since `")
    project.revision("audit", "a9", 'op.execute("CREATE TABLE a (i int)")')
    (folder / "audit" / "a1.py").unlink()
    moved = folder / "main" / "m1_first.py"
    moved.write_text(moved.read_text(encoding="utf-8") + "\n# more\n", encoding="utf-8")
    said = project.run("diff")
    assert "> **Edited:** `migrations/versions/main/m1_first.py` was there already" in said.out
    file = "inside/migrations/versions/audit/a1.py"
    assert f"> **Gone:** revision `a1` of audit (`{file}`) was there" in said.out
    found = project.run("diff", "--json").json()
    assert found["gone"] == [{"bind": "audit", "revision": "a1", "file": file}]
    assert [one["revision"] for one in found["revisions"]] == ["a9"]


def test_a_live_revision_and_json(project: SmallProject) -> None:
    body = 'op.get_bind().execute(sa.text("SELECT 1")).scalar()'
    project.revision("main", "m2", body, after="m1")
    assert "- **live**: " in project.run("diff").out
    found = project.run("diff", "--json").json()
    (revision,) = found["revisions"]
    assert (revision["bind"], revision["revision"]) == ("main", "m2")
    assert [one["name"] for one in revision["live"]] == ["reads-result"]
    assert "live-step" in {one["rule"] for one in found["findings"]}
    assert found["base"] == _git(project.root, "rev-parse", "main")
    assert found["edited"] == []


def test_a_branch_that_adds_nothing(project: SmallProject) -> None:
    said = project.run("diff")
    assert said.code == 0, said.all
    assert said.out.startswith("## Migrations: 0 revisions added since `")


def test_what_is_too_long_for_a_comment_is_cut(project: SmallProject) -> None:
    row = "INSERT INTO a VALUES (1) -- " + "x" * 200
    body = f'for _ in range({LONGEST // len(row) + 2}):\n    op.execute("{row}")'
    project.revision("main", "m2", body, after="m1")
    text = project.run("diff").out
    assert LONGEST - 1_000 < len(text) < LONGEST + 1_000
    assert text.rstrip().endswith("_The rest is too long to show here._")
    assert text.count("```") == 2


def test_what_git_does_not_know(project: SmallProject, tmp_path: Path) -> None:
    for base in ("absent", "--output=x"):
        said = project.run("diff", "--", base)
        assert said.code == 2, said.all
        assert f"Git knows no revision '{base}'" in said.err
    assert not (project.root / "x").exists()
    _git(project.root, "branch", "-D", "main")
    said = project.run("diff")
    assert said.code == 2, said.all
    assert "Git knows no branch to compare with" in said.err
    alone = small_project(tmp_path / "alone", (project.root / "databases.yaml").read_text())
    said = alone.run("diff")
    assert said.code == 2, said.all
    assert "not a git repository" in said.err
    assert "Traceback" not in said.all


def test_a_shallow_clone_says_what_it_lacks(project: SmallProject, tmp_path: Path) -> None:
    for name in ("m2", "m3"):
        project.revision("main", name, after=f"m{int(name[1]) - 1}")
        _git(project.root, "add", ".")
        _git(project.root, "commit", "-q", "-m", name)
    _git(project.root, "checkout", "-q", "main")
    project.write("else", "x")
    _git(project.root, "add", ".")
    _git(project.root, "commit", "-q", "-m", "elsewhere")
    clone, source = tmp_path / "clone", f"file://{project.root.parent}"
    _git(tmp_path, "clone", "-q", "--depth", "1", "--branch", "mine", source, str(clone))
    _git(clone, "fetch", "-q", "--depth", "1", "origin", "main:main")
    said = SmallProject(clone / "inside").run("diff", "main")
    assert said.code == 2, said.all
    assert "'main' and this branch have no commit in common in this shallow clone" in said.err
    assert "git fetch --unshallow" in said.err
    assert "Traceback" not in said.all
