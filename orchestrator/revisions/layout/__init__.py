"""Laying out a project: databases.yaml, alembic.ini and migrations/, new or around an Alembic tree.

Enters: a folder.  Leaves: files that were not there before, and an account of each.  Nothing of the
project is imported or run; its Python is read as text.  Nothing is overwritten, save an env.py that
is another tool's: it is kept as env_before.py first.

The way: `trees` (which Alembic tree there is), `models` (which apps), `source` and `carry` (what
the old env.py asks for), `url`, `drafts` (the texts), `layout` (all of it, in order).
"""
