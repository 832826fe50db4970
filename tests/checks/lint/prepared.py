"""The prepared revisions of tests/projects/lint, each with what lint must find in it.

Enters: a folder, and a server.  Leaves: a project with a bind for each revision, behind a base that
makes the same tables for all; the expectations that stand in the files; and as a program
(`python -m tests.checks.lint.prepared`, in the project's folder) what lint finds, as JSON.

`# finds: RULE` stands on the line of a finding or right above it, `# allowed: RULE` where a comment
allows it; `on mysql` or `on postgresql` between says where alone. `# on: FAMILY` at the top: the
revision is for one family only.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from orchestrator.cli.lint_output import report_data
from orchestrator.config import Family
from orchestrator.execution.lint_choice import Choice, chosen
from orchestrator.execution.linting import Question, lint
from orchestrator.execution.project import Project
from orchestrator.revisions.recordings import Listener
from tests.cli.small import SmallProject, shown, small_project

FOLDER = Path(__file__).parents[2] / "projects" / "lint"

BASE = """
op.create_table(
    "users",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(50)),
    sa.Column("email", sa.String(100), nullable=False),
    sa.Column("age", sa.Integer),
    sa.CheckConstraint("age IS NOT NULL", name="ck_users_age"),
)
op.create_table("notes", sa.Column("id", sa.Integer, primary_key=True), sa.Column("body", sa.Text))
op.create_table(
    "orders",
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("user_id", sa.Integer, sa.ForeignKey("users.id", name="fk_orders_user")),
    sa.Column("note_id", sa.Integer),
    sa.Column("total", sa.Numeric(10, 2)),
)
op.create_index("ix_orders_user_id", "orders", ["user_id"])
"""
_BACK = "\n".join(f'op.drop_table("{table}")' for table in ("orders", "notes", "users"))

_EXPECTED = re.compile(r"# (finds|allowed)(?: on (\w+))?: ([a-z/-]+(?:, [a-z/-]+)*)")
_ONLY = re.compile(r"^# on: (\w+)$", re.MULTILINE)


@dataclass(frozen=True, order=True)
class Expected:
    """One finding: its line, its rule, and whether a comment allows it."""

    line: int
    rule: str
    allowed: bool


@dataclass(frozen=True)
class Case:
    """One prepared revision."""

    name: str
    text: str

    def is_for(self, family: Family) -> bool:
        """Whether it is written for this family."""
        only = _ONLY.search(self.text)
        return only is None or only[1] == family

    def expected(self, family: Family) -> list[Expected]:
        """What lint must find, and nothing else."""
        return sorted(self._expected(family))

    def _expected(self, family: Family) -> Iterator[Expected]:
        lines = self.text.split("\n")
        for number, line in enumerate(lines, 1):
            for kind, where, rules in _EXPECTED.findall(line):
                if where and where != family:
                    continue
                for rule in rules.split(", "):
                    at = number
                    while lines[at - 1].strip().startswith("#") and not rule.startswith("allow-"):
                        at += 1
                    yield Expected(at, rule, kind == "allowed")


CASES = [Case(path.stem, path.read_text(encoding="utf-8")) for path in sorted(FOLDER.glob("*.py"))]


def cases_for(family: Family) -> list[Case]:
    """The cases of a family."""
    return [case for case in CASES if case.is_for(family)]


def prepare(root: Path, url: URL, family: Family) -> SmallProject:
    """Lay out the project; a bind, its folder and its revision are called like the case."""
    cases = cases_for(family)
    # Their databases do not exist: nothing but scratch databases is touched.
    places = {case.name: shown(url.set(database=f"lint_{case.name}")) for case in cases}
    binds = "\n".join(f"  {name}: {{url: {place}, apps: []}}" for name, place in places.items())
    project = small_project(
        root,
        f"apps: {{packages: [apps]}}\ndefault_bind: models\nscratch: {{{family}: {shown(url)}}}\n"
        f"binds:\n  models: {{url: {shown(url)}}}\n{binds}\n",
    )
    for case in cases:
        base = f"{case.name}_base"
        ids = f"\nrevision = {case.name!r}\ndown_revision = {base!r}\n"
        for bind in (case.name, "models"):
            project.revision(bind, base, BASE, down=_BACK)
            project.write(f"migrations/versions/{bind}/{case.name}.py", case.text + ids)
    return project


def found_in(root: Path) -> dict[str, object]:
    """What lint finds in all of them. The bind `models` has copies of all, so that they are
    recorded in one go; each is then tried as a bind of its own."""
    project = Project.open(root=root)
    models = project.config.binds["models"]
    (together,) = chosen(project, [models], Choice(everything=True), Listener())
    recorded = {step.revision: one for step, one in together.steps}
    questions: list[Question] = []
    for name in project.config.binds:
        if name != "models":
            history = project.history(name)
            steps = history.path((), history.upgrade("heads"))
            # One of the bases speaks for all.
            asked = steps if not questions else steps[-1:]
            pairs = tuple((step, recorded[step.revision]) for step in asked)
            questions.append(Question(name, together.flavour, pairs))
    return report_data(lint(project, questions))


if __name__ == "__main__":
    json.dump(found_in(Path.cwd()), sys.stdout)
