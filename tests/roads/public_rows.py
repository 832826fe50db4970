"""Rows for public histories: what their data migrations find.

Enters: nothing.  Leaves: `rows_of`: for a history, statements to run when the way up has come to a
revision; "base" is before the first one.  Names stand in backticks.

A revision that writes the server's clock, or Python's, is followed by a statement that sets it.
"""

from __future__ import annotations

import json

from orchestrator.config.flavour import Family

Rows = dict[str, list[str]]

_THEN = "'2024-02-29 12:34:56'"


def _uuid(number: int) -> str:
    return f"'00000000-0000-4000-8000-{number:012}'"


_ARGILLA: Rows = {
    # The last of the first tables.
    "ae5522b4c674": [
        *(
            f"INSERT INTO users VALUES ({_uuid(n)}, 'it''s {n}', NULL, 'user{n}', '{role}',"
            f" 'key{n}', 'hash', {_THEN}, {_THEN})"
            for n, role in enumerate(("owner", "admin", "annotator"), start=1)
        ),
        f"INSERT INTO workspaces VALUES ({_uuid(1)}, '100% ours', {_THEN}, {_THEN})",
        f"INSERT INTO workspaces_users VALUES ({_uuid(1)}, {_uuid(1)}, {_uuid(2)}, {_THEN},"
        f" {_THEN})",
        f"INSERT INTO datasets VALUES ({_uuid(1)}, 'set', 'a;b', 'ready', {_uuid(1)}, {_THEN},"
        f" {_THEN})",
        f"INSERT INTO fields VALUES ({_uuid(1)}, 'text', 'Text', true, '{{}}', {_uuid(1)},"
        f" {_THEN}, {_THEN})",
        *(
            f"INSERT INTO questions VALUES ({_uuid(n)}, 'q{n}', 'Q', NULL, false,"
            f" '{{\"a\": [{n}]}}', {_uuid(1)}, {_THEN}, {_THEN})"
            for n in (1, 2)
        ),
        *(
            f"INSERT INTO records VALUES ({_uuid(n)}, '{{\"text\": \"t{n}\"}}', 'e{n}',"
            f" {_uuid(1)}, {_THEN}, {_THEN})"
            for n in (1, 2, 3)
        ),
        *(
            f"INSERT INTO responses VALUES ({_uuid(n)}, NULL, '{status}', {_uuid(record)}, {user},"
            f" {_THEN}, {_THEN})"
            for n, (status, record, user) in enumerate(
                (
                    ("submitted", 1, _uuid(1)),
                    ("draft", 2, _uuid(1)),
                    ("submitted", 2, "NULL"),
                    ("discarded", 3, _uuid(2)),
                ),
                start=1,
            )
        ),
    ],
    # suggestions have types.
    "1e629a913727": [
        f"INSERT INTO suggestions VALUES ({_uuid(n)}, '{value}', {score}, 'it', '{kind}',"
        f" {_uuid(n)}, {_uuid(1)}, {_THEN}, {_THEN})"
        for n, (value, score, kind) in enumerate(
            (('"a"', "0.25", "model"), ('["a", "b"]', "0.5", "human"), ("1", "NULL", "model")),
            start=1,
        )
    ],
    # datasets_users are filled with NOW().
    "580a6553186f": [f"UPDATE datasets_users SET inserted_at = {_THEN}, updated_at = {_THEN}"],
}


def _distribution(name: str, **attributes: object) -> str:
    return json.dumps({"name": name, "attributes": attributes})


_OPTUNA: Rows = {
    "v1.2.0.a": [
        "INSERT INTO studies VALUES (1, 'it''s 100%', 'MINIMIZE'), (2, 'two', 'MAXIMIZE')",
        "INSERT INTO trials VALUES"
        f" (1, 1, 'COMPLETE', 0.5, {_THEN}, {_THEN}), (2, 1, 'PRUNED', NULL, {_THEN}, {_THEN}),"
        f" (3, 2, 'COMPLETE', -1.25, {_THEN}, NULL), (4, 2, 'RUNNING', 1, NULL, NULL)",
        "INSERT INTO trial_system_attributes VALUES"
        " (1, 1, '_number', '0'), (2, 2, '_number', '1'), (3, 3, '_number', '0'),"
        " (4, 4, '_number', '1'), (5, 4, 'kept', '\"a\"')",
        "INSERT INTO trial_values VALUES (1, 1, 0, 1.5), (2, 1, 1, 0.5), (3, 3, 7, -1.25)",
        *(
            f"INSERT INTO trial_params VALUES ({n}, {n}, 'p%', {n}.5, '{distribution}')"
            for n, distribution in enumerate(
                (
                    _distribution("UniformDistribution", low=0.0, high=9.0),
                    _distribution("LogUniformDistribution", low=0.5, high=9.0),
                    _distribution("DiscreteUniformDistribution", low=0.0, high=9.0, q=0.5),
                    _distribution("IntUniformDistribution", low=0, high=9, step=1),
                ),
                start=1,
            )
        ),
    ],
    # The last one that has a number for what is not finite.
    "v3.0.0.b": [
        "UPDATE trial_values SET value = 3.4028234663852886e38 WHERE trial_id = 1",
        "UPDATE trial_values SET value = -3.4028234663852886e38 WHERE trial_id = 3",
        "UPDATE trial_intermediate_values SET intermediate_value = 3.4028234663852886e38"
        " WHERE trial_id = 1 AND step = 0",
        "UPDATE trial_intermediate_values SET intermediate_value = -3.4028234663852886e38"
        " WHERE trial_id = 3",
    ],
}

_MLFLOW: Rows = {
    "base": [
        "INSERT INTO experiments (experiment_id, name, artifact_location, lifecycle_stage) VALUES"
        " (1, 'it''s 100%', 'file:/a', 'active'), (2, 'two', NULL, 'deleted')",
        "INSERT INTO runs (run_uuid, name, source_type, user_id, status, start_time,"
        " lifecycle_stage, experiment_id) VALUES"
        " ('r1', 'one', 'LOCAL', 'ann', 'FINISHED', 1, 'active', 1),"
        " ('r2', 'two', 'JOB', 'bob', 'RUNNING', 2, 'active', 1),"
        " ('r3', NULL, 'PROJECT', NULL, 'FAILED', 3, 'deleted', 2)",
        "INSERT INTO tags (`key`, value, run_uuid) VALUES"
        " ('mlflow.user', 'bob himself', 'r2'), ('a;b', NULL, 'r1')",
        "INSERT INTO metrics (`key`, value, timestamp, run_uuid) VALUES"
        " ('loss', 0.5, 1, 'r1'), ('loss', 0.25, 2, 'r1'), ('m%', 7, 1, 'r2')",
        "INSERT INTO params (`key`, value, run_uuid) VALUES ('rate', '0.1', 'r1')",
    ],
    # metrics have steps, and may be nothing.
    "181f10493468": [
        "INSERT INTO metrics (`key`, value, timestamp, step, run_uuid, is_nan) VALUES"
        " ('loss', 0.125, 3, 1, 'r1', false), ('loss', 0, 3, 2, 'r1', true)",
    ],
    # registered models.
    "cfd24bdc0731": [
        "INSERT INTO registered_models (name, creation_time) VALUES ('model', 5), ('other', 6)",
        "INSERT INTO model_versions (name, version, creation_time, current_stage, run_id, status)"
        " VALUES ('model', 1, 5, 'None', 'r1', 'READY'), ('model', 2, 6, 'Staging', 'r2', 'READY')",
    ],
    # traces.
    "867495a8f9d4": [
        "INSERT INTO trace_info (request_id, experiment_id, timestamp_ms, execution_time_ms,"
        " status) VALUES ('t1', 1, 10, 5, 'OK'), ('t2', 1, 11, NULL, 'ERROR')",
        "INSERT INTO trace_tags (`key`, value, request_id) VALUES ('mlflow.traceName', 'n', 't1')",
        "INSERT INTO trace_request_metadata (`key`, value, request_id) VALUES"
        " ('mlflow.trace.session', 's', 't1'), ('mlflow.trace.user', 'ann', 't1')",
    ],
    # jobs: the unfinished ones are cancelled later, with the clock.
    "bf29a5ff90ea": [
        "INSERT INTO jobs (id, creation_time, function_fullname, params, status, retry_count,"
        " last_update_time) VALUES ('j1', 1, 'f', '{}', 0, 0, 1), ('j2', 2, 'f', '{}', 3, 1, 2)",
    ],
    "dc11669786a5": ["UPDATE jobs SET last_update_time = 3 WHERE id = 'j1'"],
}

_MLFLOW_AUTH: Rows = {
    "8606fa83a998": [
        "INSERT INTO users (id, username, password_hash, is_admin) VALUES"
        " (1, 'ann', 'x', true), (2, 'it''s 100%', 'y', false)",
        "INSERT INTO experiment_permissions (id, experiment_id, user_id, permission) VALUES"
        " (1, '7', 2, 'READ'), (2, '8', 2, 'EDIT')",
        "INSERT INTO registered_model_permissions (id, name, user_id, permission) VALUES"
        " (1, 'model', 2, 'MANAGE')",
    ],
    "0965eb92f5f0": [
        "INSERT INTO scorer_permissions (experiment_id, scorer_name, user_id, permission) VALUES"
        " ('7', 'a/b', 2, 'USE')",
    ],
}

_ROWS = {
    "argilla": _ARGILLA,
    "optuna": _OPTUNA,
    "mlflow": _MLFLOW,
    "mlflow_auth": _MLFLOW_AUTH,
}


def rows_of(history: str, family: Family) -> Rows:
    """The statements for a history, as this family quotes names."""
    quote = '"' if family == "postgresql" else "`"
    return {
        revision: [one.replace("`", quote) for one in statements]
        for revision, statements in _ROWS[history].items()
    }
