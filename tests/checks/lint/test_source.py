"""What a revision's comments allow, and where."""

from __future__ import annotations

from orchestrator.checks.lint.source import Allow, read_source

TEXT = '''\
"""A revision."""

# orchestrator: allow rename-table because all of it is new


def upgrade():
    # orchestrator: allow drop-column, squawk/x because nobody
    # reads it any more
    op.drop_column(
        "a",
        "b",  # orchestrator: allow inner because of this
    )
    op.one()  # orchestrator: allow no-reason
    # orchestrator: allow detached because it speaks of nothing

    op.two()
    # orchestrator: allow block because of all in it
    with op.batch_alter_table("a") as batch:
        batch.one()
        batch.two()  # orchestrator: allow batch because of one


def downgrade():
    """No way back."""
    raise NotImplementedError
'''


def _allow(rule: str, text: str = TEXT) -> Allow:
    return next(one for one in read_source(text).allows if rule in one.rules)


def test_above_an_operation() -> None:
    allow = _allow("drop-column")
    assert allow.because == "nobody"
    assert [allow.covers("drop-column", line) for line in (8, 9, 12, 13)] == [
        False,
        True,
        True,
        False,
    ]
    assert allow.covers("squawk/x", 9)
    assert not allow.covers("rename-table", 9)


def test_inside_an_operation() -> None:
    assert _allow("inner").covers("inner", 9)
    assert not _allow("inner").covers("inner", 13)


def test_without_a_reason_nothing_is_allowed() -> None:
    assert _allow("no-reason").because == ""
    assert not _allow("no-reason").covers("no-reason", 13)


def test_at_no_operation() -> None:
    assert not any(_allow("detached").covers("detached", line) for line in range(30))


def test_the_whole_revision() -> None:
    allow = _allow("rename-table")
    assert allow.covers("rename-table", 0)
    assert allow.covers("rename-table", 23)


def test_a_block_and_a_batch() -> None:
    assert [_allow("block").covers("block", line) for line in (17, 18, 20)] == [False, True, True]
    # Alembic sends what a batch gathers from the line that begins it.
    assert [_allow("batch").covers("batch", line) for line in (18, 19, 20)] == [True, False, True]


def test_downgrades() -> None:
    source = read_source(TEXT)
    assert (source.has_downgrade, source.downgrade_line) == (False, 23)
    assert read_source("def downgrade():\n    op.x()\n").has_downgrade
    assert not read_source("def downgrade():\n    return None\n").has_downgrade
    assert read_source("x = 1\n").downgrade_line == 0
    assert not read_source("x = 1\n").has_downgrade


def test_what_is_no_comment_and_what_is_no_python() -> None:
    assert read_source('x = "# orchestrator: allow a because b"\n').allows == ()
    assert read_source("def (:\n").has_downgrade
    assert read_source("# orchestrator: allowed\n# orchestrator: allows x\n").allows == ()
