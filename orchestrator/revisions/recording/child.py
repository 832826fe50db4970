"""The recording process: loads a project, and records steps one after the other.

Enters: a request (JSON) on standard input, and the number of a pipe as the only argument.
Leaves: a line of JSON on that pipe as each step begins and ends.  Standard output and error belong
to the revisions, which print what they like.
"""

from __future__ import annotations

import datetime
import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import time_machine

from orchestrator.config import Config, Flavour
from orchestrator.config.load import load_config
from orchestrator.discovery.discover import discover
from orchestrator.errors import OrchestratorError
from orchestrator.revisions.options import configure_options, hidden_tables, load_environment
from orchestrator.revisions.recording import guards, messages, steady
from orchestrator.revisions.recording.connection import StandIn
from orchestrator.revisions.recording.dialects import server_version
from orchestrator.revisions.recording.handshake import standing_in
from orchestrator.revisions.recording.inputs import Inputs, keyed_files
from orchestrator.revisions.recording.messages import (
    CompileRequest,
    NamedType,
    Pretence,
    RecordedStep,
)
from orchestrator.revisions.recording.reasons import REASONS, ReasonName
from orchestrator.revisions.recording.step import RevisionSource, new_tape, record_step
from orchestrator.revisions.tree import (
    alembic_config,
    base_script_directory,
    bind_script_directory,
)


def main() -> None:
    """Do what the request says, then end at once: threads that a revision left do not hold it."""
    pipe = int(sys.argv[1])
    os.set_inheritable(pipe, False)
    request, pretence, folder = messages.read_request(sys.stdin.read())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    guards.install()
    steady.install()
    if pretence.clock_shift:
        now = datetime.datetime.now(datetime.UTC)
        there = now + datetime.timedelta(seconds=pretence.clock_shift)
        time_machine.travel(there, tick=True).start()
    with os.fdopen(pipe, "w", encoding="ascii") as out:
        for message in _messages(request, pretence, folder):
            out.write(json.dumps(message) + "\n")
            out.flush()
    os._exit(0)


def _messages(
    request: CompileRequest, pretence: Pretence, folder: Path
) -> Iterator[dict[str, Any]]:
    try:
        config = load_config(request.config_file, root=request.root)
        inputs = Inputs(config.root, keyed_files(config))
        inputs.watch()
        source = _load(config, request, pretence)
    except OrchestratorError as error:
        yield messages.failed(error)
        return
    yield messages.used(inputs.news())
    with _standing_in(request.flavour, folder):
        socket = folder if request.flavour.family == "postgresql" else None
        stand_in = StandIn(request.flavour, request.dialect, pretence.target, socket)
        known = _remember(source, request.types)
        for revision, direction in request.steps:
            file = new_tape(source.script.get_revision(revision), request.flavour).file
            yield messages.started(file)
            if request.callbacks and source.options.get("on_version_apply"):
                yield messages.recorded(_called_back(config))
                continue
            tape = record_step(source, stand_in, revision, direction)
            yield messages.used(inputs.news())
            news = _remembered(source) - known
            known |= news
            yield messages.recorded(RecordedStep.of(tape, sorted(news, key=repr)))


def _remember(source: RevisionSource, types: Iterable[NamedType]) -> set[NamedType]:
    """Let Alembic remember types that steps before these have made. Gives what it remembers."""
    for kind, schema, name in types:
        source.memo.setdefault(kind, set()).add((schema, name))
    return _remembered(source)


def _remembered(source: RevisionSource) -> set[NamedType]:
    """The types that Alembic remembers (sqlalchemy/dialects/postgresql/named_types.py)."""
    return {
        (kind, schema, name)
        for kind, found in source.memo.items()
        if isinstance(kind, str) and isinstance(found, set)
        for schema, name in found
    }


def _called_back(config: Config) -> RecordedStep:
    """What every step is in a project that wants to be called as versions change."""
    reason: ReasonName = "version-callback"
    return RecordedStep(reasons=((reason, str(config.migrations / "env.py"), REASONS[reason]),))


def _standing_in(flavour: Flavour, folder: Path) -> AbstractContextManager[None]:
    """PyMySQL writes its literals without a server; psycopg2 wants to have met one."""
    if flavour.family == "postgresql":
        return standing_in(server_version(flavour), folder)
    return nullcontext()


def _load(config: Config, request: CompileRequest, pretence: Pretence) -> RevisionSource:
    """Load the project as the verbs do, env.py first: its imports and options count here too."""
    bind = config.binds[request.bind]
    alembic = alembic_config(config, request.x)
    environment = load_environment(config, alembic)
    script = bind_script_directory(config, base_script_directory(config, alembic), bind)
    options = configure_options(
        bind,
        pretence.target if bind.tenancy == "schema" else None,
        environment,
        discover(config).of(bind.name),
        hidden=hidden_tables(config),
    )
    return RevisionSource(alembic, script, options, tenancy=bind.tenancy is not None)
