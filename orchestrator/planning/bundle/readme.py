"""`README.md` of a bundle: what it does, how to run it, what to do when it stops, how to undo it.

Enters: a Content and its scripts.  Leaves: Markdown, for a reader who knows databases and has never
heard of Alembic.  No I/O.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from orchestrator import __version__
from orchestrator.planning.bundle.folder import CohortScripts, Content, stages_in_order
from orchestrator.planning.bundle.parts import Cut
from orchestrator.planning.bundle.types import Script, named
from orchestrator.planning.destructive import destroys
from orchestrator.planning.plan import Blocked, PlanStep

_SHOWN = 20
"""Targets that are named one by one, where there are many."""

_CLIENTS = {"mysql": "mysql (or mariadb)", "mariadb": "mariadb (or mysql)"}


def write_readme(content: Content, found: Sequence[CohortScripts]) -> str:
    """The whole text."""
    return "\n".join(_lines(content, found)) + "\n"


def _lines(content: Content, found: Sequence[CohortScripts]) -> Iterator[str]:
    plan = content.plan
    verb = plan.goal.verb
    targets = sum(len(one.cohort.targets) for one in found)
    yield f"# Database {verb}: {_many(targets, 'database or schema', 'databases and schemas')}"
    yield ""
    yield f"Written {content.made:%Y-%m-%d %H:%M} UTC by orchestrator {__version__}."
    yield f"Plan `{content.digest}` (plan.json)."
    yield ""
    yield (
        "Each *target* is one database or schema, with a small version table in it that says which"
        " changes (*revisions*) it has had. A script here takes every target that stands at one"
        " revision to another; targets.csv says which script is for which target. A script looks"
        " first whether the target stands where the script starts from: where it does not, it"
        " changes nothing and says why. So no script can run twice, or on the wrong target."
    )
    yield ""
    yield (
        "You need the clients of your servers and a POSIX shell, nothing else. *orchestrator* is"
        " the program that wrote this folder; where it is named below, ask whoever gave the folder"
        " to you."
    )
    yield ""
    yield from _losses(found)
    yield from _what(content, found)
    yield from _revisions(content, found)
    yield from _cuts(content, found)
    yield from _missing(found)
    yield from _blocked(plan.blocked)
    yield from _running(content, found)
    yield from _stopping(found)
    yield from _undoing(found)
    yield from _files(found)


def _many(count: int, one: str, many: str) -> str:
    return f"{count:,} {one if count == 1 else many}"


def _what(content: Content, found: Sequence[CohortScripts]) -> Iterator[str]:
    yield "## What it changes"
    yield ""
    yield "| stage | bind | server kind | targets | from | to | revisions | script |"
    yield "|---|---|---|---|---|---|---|---|"
    stages = stages_in_order(content)
    for one in sorted(found, key=lambda one: stages[one.cohort.bind]):
        cohort = one.cohort
        scripts = "<br>".join(f"`{script.path}`" for script in one.there.scripts) or "none"
        yield (
            f"| {stages[cohort.bind]} | {cohort.bind} | {cohort.flavour} |"
            f" {len(cohort.targets):,} | {named(cohort.state)} | {named(_end(one))} |"
            f" {len(cohort.steps)} | {scripts} |"
        )
    yield ""
    yield "Stages are run in order, stage 1 first: a later one needs what an earlier one has done."
    yield ""


def _losses(found: Sequence[CohortScripts]) -> Iterator[str]:
    texts = {
        (one.cohort.bind, step.step.revision, text)
        for one in found
        for step in one.cohort.steps
        for segment in step.recording.segments
        for text in segment.statements
        if destroys(text, one.cohort.flavour.family)
    }
    if texts:
        yield (
            f"**{_many(len(texts), 'statement', 'statements')} may lose or overwrite data**, marked"
            " DESTRUCTIVE below. Have a backup that can be read back."
        )
        yield ""


def _end(one: CohortScripts) -> tuple[str, ...]:
    cut = one.there.cuts[-1].after if one.there.cuts else None
    script = one.there.scripts[-1].end if one.there.scripts else None
    if cut is None or script is None:
        return script or cut or one.cohort.state
    last = one.cohort.steps[-1].step.revision
    return cut if one.there.cuts[-1].revision == last else script


def _revisions(content: Content, found: Sequence[CohortScripts]) -> Iterator[str]:
    yield "## Its revisions"
    yield ""
    yield (
        "What each is made of: what loses data, the locks that it takes on tables that were there"
        " before it, and what lint, which looks for dangers, says to its author."
    )
    yield ""
    seen: set[tuple[str, str, str]] = set()
    for one in found:
        for step in one.cohort.steps:
            key = one.cohort.bind, step.step.revision, str(step.step.direction)
            if key in seen:
                continue
            seen.add(key)
            yield from _revision(content, key, one, step)
    yield ""
    if content.remarks.notes:
        yield "About the locks:"
        yield ""
        yield from (f"- {note}" for note in content.remarks.notes)
        yield ""


def _revision(
    content: Content, key: tuple[str, str, str], one: CohortScripts, step: PlanStep
) -> Iterator[str]:
    bind, revision, _direction = key
    message = " ".join(step.step.message.split()) or "no message"
    count = (
        "run by orchestrator itself"
        if step.live
        else _many(step.statements, "statement", "statements")
    )
    yield f"- **{bind} {revision}**: {message} ({count})"
    for segment in step.recording.segments:
        for text in segment.statements:
            marks = destroys(text, one.cohort.flavour.family)
            if marks:
                yield f"    - **DESTRUCTIVE**, {', '.join(marks)}: `{_short(text)}`"
    for remark in content.remarks.revisions.get(key, ()):
        yield f"    - {remark}"


def _short(text: str) -> str:
    line = " ".join(text.split()).replace("`", "'")
    return line if len(line) <= 100 else f"{line[:97]}..."


def _cuts(content: Content, found: Sequence[CohortScripts]) -> Iterator[str]:
    cuts = {(one.cohort.bind, cut.revision): cut for one in found for cut in one.there.cuts}
    if not cuts:
        return
    verb = content.plan.goal.verb
    yield "## Steps that no script can take"
    yield ""
    yield (
        "These revisions ask the database while they run, so their SQL cannot be written ahead of"
        " time. The scripts stop before them. Whoever has orchestrator and the project runs the"
        " command; then run-all.sh, started again, goes on behind them."
    )
    yield ""
    for (bind, _), cut in cuts.items():
        yield f"- **{bind} {cut.revision}**: {' '.join(cut.message.split()) or 'no message'}"
        yield from (f"    - why: {why}" for why in cut.why)
        to = cut.revision if verb == "upgrade" else named(cut.after)
        yield f"    - run: `orchestrator {verb} --bind {bind} --to {to}`"
    yield ""


def _missing(found: Sequence[CohortScripts]) -> Iterator[str]:
    missing = [one.cohort for one in found if one.cohort.missing]
    if not missing:
        return
    yield "## To be made first"
    yield ""
    for cohort in missing:
        if cohort.targets[0].bind.create:
            maker = "their script" if cohort.targets[0].schema is not None else "run-all.sh"
            yield f"- {cohort.bind}: {cohort.missing:,} that do not exist yet; {maker} makes them."
        else:
            yield (
                f"- {cohort.bind}: {cohort.missing:,} of its databases or schemas do not exist yet:"
                " create them before you start (targets.csv has their names; state base)."
            )
    yield ""


def _blocked(blocked: Sequence[Blocked]) -> Iterator[str]:
    if not blocked:
        return
    yield "## Not part of this bundle"
    yield ""
    causes = Counter(one.problem.what for one in blocked)
    for what, count in causes.most_common(_SHOWN):
        names = [one.target.id for one in blocked if one.problem.what == what]
        more = f" and {len(names) - _SHOWN:,} more" if len(names) > _SHOWN else ""
        yield f"- {count:,}: {what}: {', '.join(names[:_SHOWN])}{more}"
    yield ""


def _running(content: Content, found: Sequence[CohortScripts]) -> Iterator[str]:
    yield "## How to run it"
    yield ""
    yield f"On a machine that reaches the servers, with {_clients(found)}:"
    yield ""
    for command, remark in _commands(content, found):
        yield f"    {command:<29} # {remark}"
    yield ""
    yield (
        "It stops at the first failure (`-f N` allows N), lets what runs come to its end, and can"
        " be started again: what is done is left alone. results.csv says what became of each"
        " target; its last line counts. The folder logs holds what the clients said, in a file for"
        " each target, named by its number in targets.csv and its schema or database."
    )
    yield ""
    yield (
        "Users and passwords come from where the clients look for them: `PGUSER` and `~/.pgpass`"
        " or `PGPASSFILE`; `MYSQL_USER` and `~/.my.cnf` or `MYSQL_PWD`. Nothing asks for a"
        " password. Where servers need different ones, run the binds one after the other"
        " (`-b BIND`); or `-S` reads each connection by the server's name in targets.csv: a service"
        " of pg_service.conf, a group `[client_SERVER]` of ~/.my.cnf, or of the file that `-o`"
        " names (for a server called default, the name of its bind). The database is always that"
        " of targets.csv. Connect to the servers themselves, not through a pooler in transaction"
        " mode."
    )
    yield ""
    yield (
        "One target by hand, with what its line of targets.csv says (several scripts: one after"
        " the other):"
    )
    yield ""
    for script in _examples(found):
        yield f"    {_command(script)}"
    yield ""
    yield (
        "A script that came to its end has the client exit with 0. It changes the version table"
        " itself, so a target that was taken by hand counts as done for run-all.sh. One that does"
        " not begin prints `orchestrator: refused:` or `orchestrator: locked:` and the reason"
        " (mysql, which knows no conditions, then says `Subquery returns more than 1 row`)."
    )
    yield ""


def _clients(found: Sequence[CohortScripts]) -> str:
    names = {one.cohort.flavour.name for one in found}
    needed = ["psql"] if "postgresql" in names else []
    either = names & {"mysql", "mariadb"}
    if len(either) == 2:
        needed.append("mysql or mariadb")
    else:
        needed += [_CLIENTS[name] for name in either]
    return ", and ".join(needed)


def _commands(content: Content, found: Sequence[CohortScripts]) -> Iterator[tuple[str, str]]:
    """What to type, in its order, and why. What comes before other binds is run before one target
    of these is tried."""
    yield "sha256sum -c SHA256SUMS", "nobody has changed it"
    yield "./run-all.sh -n", "what would be run, on what"
    stages = stages_in_order(content)
    binds = {one.cohort.bind: stages[one.cohort.bind] for one in found}
    ordered = sorted(binds, key=lambda bind: binds[bind])
    last = binds[ordered[-1]]
    first = [bind for bind in ordered if binds[bind] != last]
    for bind in first:
        yield f"./run-all.sh -b {bind}", f"stage {binds[bind]}: before the stages that need it"
    cohorts = [one.cohort for one in found if binds[one.cohort.bind] == last]
    tenants = [target.tenant for one in cohorts for target in one.targets if target.tenant]
    if tenants:
        yield "./run-all.sh -t TENANT", "one target first"
    elif len(ordered) > len(first) + 1:
        yield f"./run-all.sh -b {ordered[-1]}", "one target first"
    yield "./run-all.sh -j 8", "the rest, eight at a time"


def _examples(found: Sequence[CohortScripts]) -> Iterator[Script]:
    seen: set[tuple[str, bool]] = set()
    for one in found:
        for script in one.there.scripts[:1]:
            kind = script.flavour.name, script.bind.tenancy == "schema"
            if kind not in seen:
                seen.add(kind)
                yield script


def _command(script: Script) -> str:
    if script.flavour.family == "postgresql":
        schema = " -v target=SCHEMA" if script.bind.tenancy == "schema" else ""
        return f"psql -X -h HOST -p PORT -U USER -d DATABASE{schema} -f {script.path}"
    client = script.flavour.name
    options = "--default-character-set=utf8mb4 --comments"
    return f"{client} -h HOST -P PORT -u USER -p {options} DATABASE < {script.path}"


def _stopping(found: Sequence[CohortScripts]) -> Iterator[str]:
    journals = {
        one.cohort.targets[0].bind.journal_table
        for one in found
        if one.cohort.flavour.family == "mysql"
    }
    yield "## When it stops"
    yield ""
    yield "| in results.csv | what it means | what to do |"
    yield "|---|---|---|"
    yield "| done, already | the target is where it should be | nothing |"
    yield (
        "| failed | a statement was refused, waited too long for a lock, or the connection was"
        " lost; see its log | repair the cause, start run-all.sh again: it goes on where that"
        " target stopped |"
    )
    yield (
        "| refused | the target is not where this bundle expects it; nothing was changed | find"
        " out why; tell who wrote this bundle |"
    )
    yield "| locked | another session works on it | start again later |"
    yield "| (no line) | it was not its turn, or run-all.sh was killed | start run-all.sh again |"
    yield (
        '| live | a script ended, and the step behind it needs orchestrator | see "Steps that no'
        ' script can take" |'
    )
    yield (
        "| in-doubt | it was cut off inside a statement, and nothing tells whether that ran |"
        " look at the target; whoever has orchestrator decides with `orchestrator repair` |"
    )
    yield ""
    yield (
        "`at` says where the target stands: the rows of its version table, and nothing where that"
        " could not be asked. Line numbers of errors are those of the script, or of a file in logs"
        " where run-all.sh went on in the middle of one."
    )
    yield ""
    yield (
        "On PostgreSQL a revision is one transaction: done whole or not at all, but for CREATE"
        " INDEX CONCURRENTLY and its kin."
    )
    for journal in sorted(journals):
        yield (
            "MySQL and MariaDB commit each DDL statement by itself. So each one is written down, in"
            f" the table {journal} inside the target, before it runs and when it is done; the"
            " table is empty when no revision is half-way."
        )
    yield ""


def _undoing(found: Sequence[CohortScripts]) -> Iterator[str]:
    yield "## How to undo it"
    yield ""
    yield "    ./run-all.sh -u"
    yield ""
    yield (
        "takes every target back to where it stood before, also one that stopped between two"
        " revisions (one that is half-way through a revision has to come to its end first), with"
        " the scripts of the other direction, last stage first; `-t`, `-b` and `-s` choose."
        " results-undo.csv says what became of each. It brings back the schema; rows that a step"
        " has deleted or overwritten do not come back. Then ./run-all.sh begins anew."
    )
    for one in found:
        for cut in one.back.cuts:
            yield ""
            yield _no_way_back(one.cohort.bind, cut)
    yield ""


def _no_way_back(bind: str, cut: Cut) -> str:
    return f"**{bind} {cut.revision}** cannot be undone by a script: {'; '.join(cut.why)}."


def _files(found: Sequence[CohortScripts]) -> Iterator[str]:
    yield "## Files"
    yield ""
    yield "- plan.json: the plan; `orchestrator upgrade --plan plan.json` runs the same statements."
    yield "- targets.csv: each target, where it stands, and its scripts in their order."
    yield "- run-all.sh: runs them; needs a POSIX shell, awk, sed and the clients."
    yield "- BIND/SERVER KIND/FROM-TO.up.sql and .down.sql: the scripts."
    yield "- SHA256SUMS: of all of these."
    yield ""
    yield (
        "Afterwards, give this folder back, with results.csv (and results-undo.csv) in it:"
        " `orchestrator verify` says of every target whether it is where it should be."
    )
