"""The three roads: every way to migrate a project ends in the same place.

A project is brought to a revision (1) by `orchestrator upgrade`, (2) by stock `alembic upgrade` on
the same tree, and (3) by the scripts of `orchestrator upgrade --sql` in psql and mysql; the same
for `downgrade`.  Programs run as a user runs them, in processes of their own that are told where
their databases are by environment variables alone.  Real servers judge: schemas, version rows,
data and counters must be equal (tests/databases/dump.py).

project.py: a project in a folder, and the programs that work on it.
site.py: the databases that one road fills, and the comparison.
history.py: revision files written by a test.
generated.py: such files at random; author.py: who writes them, author_of_*.py: by what operations;
values.py: what they put into columns.
public.py: histories that packages ship; public_rows.py: what fills their tables; walk.py: the way
through one with stock Alembic.
test_*.py: one kind of project, or one promise, each.

Enters: the servers of tests/conftest.py.  Leaves: nothing; each file makes its own sites.
"""
