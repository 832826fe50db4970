"""What makes a step live, and what does not: each revision here is recorded as users' are."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from orchestrator.config import Flavour
from orchestrator.errors import ConfigError, EnvironmentScriptError, RecordingError
from orchestrator.revisions.recording import children
from orchestrator.revisions.recording.reasons import REASONS
from orchestrator.revisions.types import Direction, Recording, Segment
from tests.revisions.recorded import make_project, record, statements

Recorded = dict[str, tuple[Path, Recording]]

TENANTS = """
tenancy: schema
tenants: {list: [acme]}
"""


@dataclass(frozen=True)
class Case:
    """A body of upgrade(); the line that begins with "#!" names the reason and is the place."""

    name: str
    lines: str
    flavour: str = "postgresql-16"

    @property
    def body(self) -> str:
        return "def upgrade():\n" + "\n".join("    " + one for one in self.lines.splitlines())

    @property
    def reason(self) -> str:
        return self.lines.partition("#!")[2].splitlines()[0].strip()


LIVE = [
    Case("scalar", "n = op.get_bind().execute(sa.text('SELECT 1')).scalar()  #! reads-result"),
    Case(
        "rows", "for row in op.get_bind().exec_driver_sql('SELECT 1'):  #! reads-result\n    pass"
    ),
    Case(
        "rowcount loop",
        "done = None\nwhile done != 0:  #! reads-result\n"
        "    done = op.get_bind().execute(sa.text('DELETE FROM t')).rowcount",
    ),
    Case(
        "rowcount printed",
        "r = op.get_bind().execute(sa.text('DELETE FROM t'))\n"
        "print(f'{r.rowcount}')#! reads-result",
    ),
    Case(
        "mysql rowcount",
        "r = op.get_bind().execute(sa.text('DELETE FROM t'))\nif r.rowcount > 3:#! reads-result\n"
        "    pass",
        "mysql-8.4",
    ),
    Case(
        "new key",
        "t = sa.Table('t', sa.MetaData(), sa.Column('id', sa.Integer, primary_key=True))\n"
        "r = op.get_bind().execute(t.insert().values())\n"
        "if r.inserted_primary_key[0] == 1:#! reads-result\n    pass",
    ),
    Case(
        "new key as a value",
        "t = sa.Table('t', sa.MetaData(), sa.Column('id', sa.Integer, primary_key=True),\n"
        "             sa.Column('up', sa.Integer))\n"
        "r = op.get_bind().execute(t.insert().values(up=1))\n"
        "op.execute(t.update().values(up=r.inserted_primary_key[0]))#! reads-result",
    ),
    Case(
        "lastrowid",
        "r = op.get_bind().exec_driver_sql('INSERT INTO t VALUES (1)')\n"
        "op.execute(f'UPDATE t SET a = {r.lastrowid}')#! reads-result",
        "mariadb-10.11",
    ),
    Case(
        "returning",
        "t = sa.table('t', sa.column('id'))\n"
        "op.get_bind().execute(t.insert().values(id=1).returning(t.c.id)).all()#! reads-result",
    ),
    Case("inspect", "sa.inspect(op.get_bind()).get_table_names()#! reads-result"),
    Case("inspect mysql", "sa.inspect(op.get_bind()).has_table('t')#! reads-result", "mysql-8.4"),
    Case(
        "checkfirst", "sa.Enum('a', name='e').create(op.get_bind(), checkfirst=True)#! reads-result"
    ),
    Case("columns", "list(op.get_bind().execute(sa.text('SELECT 1')).keys())#! reads-result"),
    Case(
        "dbapi",
        "c = op.get_bind().connection.cursor()\nc.execute('SELECT 1')\nc.fetchone()#! reads-result",
    ),
    Case(
        "orm",
        "from sqlalchemy.orm import Session, declarative_base\n"
        "class T(declarative_base()):\n    __tablename__ = 't'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n    n = sa.Column(sa.Numeric)\n"
        "Session(bind=op.get_bind()).query(T).all()#! reads-result",
    ),
    Case(
        "orm flush",
        "from sqlalchemy.orm import Session, declarative_base\n"
        "class T(declarative_base()):\n    __tablename__ = 't'\n"
        "    id = sa.Column(sa.Integer, primary_key=True)\n"
        "s = Session(bind=op.get_bind())\ns.add(T())\ns.flush()#! reads-result",
    ),
    Case("current revision", "op.get_context().get_current_revision()#! reads-result"),
    Case(
        "swallowed end",
        "try:\n    op.get_bind().execute(sa.text('SELECT 1')).scalar()#! reads-result\n"
        "except BaseException:\n    pass\nop.execute('SELECT 2')",
    ),
    Case("offline", "if context.is_offline_mode():#! asks-offline\n    pass"),
    Case("as_sql", "op.get_context().as_sql#! asks-offline"),
    Case(
        "database",
        "op.execute(f'ALTER DATABASE {op.get_bind().engine.url.database} SET a=1')#! reads-tenant",
    ),
    Case(
        "schema", "if op.get_bind().dialect.default_schema_name == 'acme':#! reads-tenant\n    pass"
    ),
    Case(
        "schema in SQL",
        "name = op.get_bind().dialect.default_schema_name\n"
        "op.drop_table('t', schema=name)#! reads-tenant",
    ),
    Case(
        "clock",
        "op.execute(f\"INSERT INTO t VALUES ('{datetime.date.today()}')\")#! differs-between-runs",
    ),
    Case(
        "year",
        "op.execute(f'CREATE TABLE log_{datetime.date.today().year} ()')#! differs-between-runs",
    ),
    Case(
        "random", "op.execute(f\"INSERT INTO t VALUES ('{uuid.uuid4()}')\")#! differs-between-runs"
    ),
    Case(
        "set",
        "for c in {'aa', 'bb', 'cc', 'dd', 'ee'}:\n"
        "    op.execute(f'DROP TABLE {c}')#! differs-between-runs",
    ),
    Case("rollback", "op.get_bind().exec_driver_sql('ROLLBACK')#! controls-transaction"),
    Case("rollback method", "op.get_bind().rollback()#! controls-transaction"),
    Case("mixed commit", "op.execute('COMMIT; VACUUM')#! controls-transaction"),
    Case(
        "isolation",
        "op.get_bind().commit()\n"
        "op.get_bind().execution_options(isolation_level='SERIALIZABLE')#! controls-transaction",
    ),
    Case(
        "caught",
        "try:\n    op.drop_table('t')#! catches-errors\n"
        "except Exception as error:\n    print(error)",
        "mysql-8.4",
    ),
    Case(
        "caught in a savepoint",
        "try:\n    with op.get_bind().begin_nested():#! catches-errors\n"
        "        op.drop_table('t')#! catches-errors\n"
        "except sa.exc.SQLAlchemyError:\n    pass",
    ),
    Case(
        "suppressed",
        "import contextlib\nwith contextlib.suppress(Exception):\n"
        "    op.drop_table('t')#! catches-errors",
        "mysql-8.4",
    ),
    Case(
        "copy",
        "import io\ncursor = op.get_bind().connection.cursor()\n"
        "cursor.copy_expert('COPY t FROM STDIN', io.StringIO('1'))#! not-a-statement",
    ),
    Case(
        "engine",
        "sa.create_engine('postgresql+psycopg2://localhost:1/x').connect()#! opens-connection",
    ),
    Case("second", "op.get_bind().engine.connect()#! opens-connection"),
    Case("program", "import subprocess\nsubprocess.run(['true'])#! reaches-outside"),
    Case(
        "network",
        "import urllib.request\nurllib.request.urlopen('http://127.0.0.1:9')#! reaches-outside",
    ),
    Case("file", "open('/tmp/never-written', 'w')#! reaches-outside"),
    Case("raises", "raise ValueError('no\\nway')#! raises"),
    Case("exits", "import sys\nsys.exit(3)#! raises"),
    Case("key error", "{}['x']#! raises"),
]


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Recorded:
    """All cases in one history, recorded once for each flavour: processes are what takes time."""
    root = make_project(tmp_path_factory.mktemp("live") / "live", [case.body for case in LIVE])
    found: Recorded = {}
    for flavour in sorted({case.flavour for case in LIVE}):
        names = [f"r{n}" for n, case in enumerate(LIVE, start=1) if case.flavour == flavour]
        for one in record(root, flavour, only=names):
            found[LIVE[int(one.revision[1:]) - 1].name] = (root, one)
    return found


@pytest.mark.parametrize("case", LIVE, ids=lambda case: case.name)
def test_a_live_step_says_why_and_where(case: Case, recorded: Recorded) -> None:
    root, recording = recorded[case.name]
    assert [one.name for one in recording.live] == [case.reason]
    assert recording.segments == ()
    place, _colon, number = recording.live[0].where.rpartition(":")
    assert place.endswith(f"{recording.revision}.py")
    file = root / "migrations" / "versions" / "main" / f"{recording.revision}.py"
    assert "#!" in file.read_text().splitlines()[int(number) - 1], recording.live


def test_every_reason_is_tried() -> None:
    tried = {case.reason for case in LIVE} | {"time-limit", "version-callback"}
    assert tried == set(REASONS)


def test_not_live(tmp_path: Path) -> None:
    """Things that look at the connection, or make results, and need no answer."""
    body = """
    def upgrade():
        bind = op.get_bind()
        assert bind.dialect.name == "postgresql" and bind.engine.name == "postgresql"
        assert bind.dialect.server_version_info == (16, 3)
        assert context.get_x_argument(as_dictionary=True) == {}
        print("noise" * 10000)
        try:
            op.execute("SELECT 'inside a plain transaction'")
        except KeyError:
            pass
        try:
            op.execute("SELECT 2")
        except Exception:
            raise
        total = 0
        for part in (1, 2):
            total += bind.execute(sa.text("DELETE FROM t WHERE a = :a"), {"a": part}).rowcount
        bind.execute(sa.text("SELECT setval('s', 5)"))
        with sa.orm.Session(bind=bind) if hasattr(sa, "orm") else bind.begin_nested():
            pass
    """
    (recording,) = record(make_project(tmp_path / "p", [body]), "postgresql-16.3")
    assert statements(recording)[2:] == [
        "DELETE FROM t WHERE a = 1",
        "DELETE FROM t WHERE a = 2",
        "SELECT setval('s', 5)",
    ]


def test_segments_follow_transactions(tmp_path: Path) -> None:
    body = """
    def upgrade():
        op.execute("SELECT 1")
        with op.get_context().autocommit_block():
            op.execute("SELECT 2")
            op.execute("SELECT 3")
        op.execute("SELECT 4")
        op.execute("COMMIT")
        op.execute("SELECT 5")
    """
    root = make_project(tmp_path / "p", [body])
    (on_postgresql,) = record(root, "postgresql-16")
    assert on_postgresql.segments == (
        Segment(("SELECT 1",)),
        Segment(("SELECT 2", "SELECT 3"), transactional=False),
        Segment(("SELECT 4",)),
        # psycopg2 sends no BEGIN after a COMMIT that it was given as text.
        Segment(("SELECT 5",), transactional=False),
    )
    (on_mysql,) = record(root, "mysql-8.4")
    assert on_mysql.segments == (
        Segment(("SELECT 1",)),
        Segment(("SELECT 2", "SELECT 3"), transactional=False),
        Segment(("SELECT 4",)),
        Segment(("SELECT 5",)),
    )


def test_downgrades_are_recorded_too(tmp_path: Path) -> None:
    body = """
    def upgrade():
        op.create_table("t", sa.Column("id", sa.Integer))


    def downgrade():
        op.drop_table("t")
    """
    root = make_project(tmp_path / "p", [body])
    (recording,) = record(root, "mysql-8.4", direction=Direction.DOWNGRADE)
    assert recording.direction is Direction.DOWNGRADE
    assert [one.strip() for one in statements(recording)] == ["DROP TABLE t"]


@pytest.mark.parametrize(
    ("flavour", "dialect", "seen"),
    [
        ("mysql-8.4", "", "mysql False (8, 4, 0)"),
        ("mariadb-10.11.4", "", "mariadb True (10, 11, 4)"),
        ("mariadb-10.11.4", "mysql", "mysql True (10, 11, 4)"),
        ("mysql", "", "mysql False (8, 4, 0)"),
    ],
)
def test_the_dialect_is_that_of_the_targets_url(
    tmp_path: Path, flavour: str, dialect: str, seen: str
) -> None:
    body = """
    def upgrade():
        d = op.get_bind().dialect
        op.execute(f"SELECT '{d.name} {d.is_mariadb} {d.server_version_info}'")
    """
    (recording,) = record(make_project(tmp_path / "p", [body]), flavour, dialect=dialect)
    assert statements(recording) == [f"SELECT '{seen}'"]


def test_more_that_names_the_tenant(tmp_path: Path) -> None:
    bodies = [
        "def upgrade():\n    context.get_x_argument(as_dictionary=True).get('tenant')\n",
        "def upgrade():\n    assert op.get_context().version_table_schema != 'acme'\n",
        "def upgrade():\n    op.execute('SELECT 1')\n",
    ]
    root = make_project(tmp_path / "p", bodies, more=TENANTS)
    one, two, three = record(root, "postgresql-16")
    assert [reason.name for reason in one.live] == ["reads-tenant"]
    assert [reason.name for reason in two.live] == ["reads-tenant"]
    assert statements(three) == ["SELECT 1"]


def test_a_step_that_hangs_is_stopped_and_the_others_are_recorded(tmp_path: Path) -> None:
    hangs = "def upgrade():\n    while True:\n        pass\n"
    dies = "def upgrade():\n    import os\n    os._exit(7)\n"
    shuts = "def upgrade():\n    import os\n    os.closerange(3, 99)\n    while True: pass\n"
    left = """
    def upgrade():
        import threading, time
        threading.Thread(target=time.sleep, args=(600,)).start()
        op.execute("SELECT 3")
    """
    root = make_project(tmp_path / "p", [hangs, dies, shuts, left])
    started = time.monotonic()
    one, two, three, four = record(root, "postgresql-16", time_limit=2)
    assert time.monotonic() - started < 100
    assert [reason.name for reason in one.live] == ["time-limit"]
    assert one.live[0].where.endswith("r1.py")
    assert [(reason.name, "exit code 7" in reason.detail) for reason in two.live] == [
        ("raises", True)
    ]
    assert [reason.name for reason in three.live] == ["raises"]
    assert statements(four) == ["SELECT 3"]


def test_errors_of_the_project_come_back_as_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_project(tmp_path / "p", ["def upgrade():\n    pass\n"])
    env = root / "migrations" / "env.py"
    env.write_text("import no_such_module  # orchestrator.environment\n")
    with pytest.raises(EnvironmentScriptError, match="no_such_module"):
        record(root, "postgresql-16")
    env.write_text("import os  # orchestrator.environment\nos._exit(9)\n")
    with pytest.raises(RecordingError, match="exit code 9"):
        record(root, "postgresql-16")
    env.write_text("while True: pass  # orchestrator.environment\n")
    with monkeypatch.context() as patch:
        patch.setattr(children, "LOAD_SECONDS", 3)
        with pytest.raises(RecordingError, match="longer than 3 s"):
            record(root, "postgresql-16")
    (root / "databases.yaml").write_text("binds: {}\nnonsense: 1\n")
    with pytest.raises(ConfigError, match="nonsense"):
        record(root, Flavour("postgresql"))


def test_options_of_env_py_count(tmp_path: Path) -> None:
    """An operation that env.py registers is there when a revision is recorded."""
    body = "def upgrade():\n    op.greet('you')\n"
    root = make_project(tmp_path / "p", [body])
    (root / "migrations" / "env.py").write_text(
        "from alembic.operations import MigrateOperation, Operations\n"
        "from orchestrator.environment import run_migrations\n\n"
        "@Operations.register_operation('greet')\n"
        "class Greet(MigrateOperation):\n"
        "    def __init__(self, whom):\n        self.whom = whom\n"
        "    @classmethod\n    def greet(cls, operations, whom):\n"
        "        return operations.invoke(cls(whom))\n\n"
        "@Operations.implementation_for(Greet)\n"
        "def greet(operations, operation):\n"
        "    operations.execute(f\"SELECT 'hello {operation.whom}'\")\n\n"
        "run_migrations(compare_type=False)\n"
    )
    (recording,) = record(root, "postgresql-16")
    assert statements(recording) == ["SELECT 'hello you'"]


def test_nothing_to_record_starts_nothing(tmp_path: Path) -> None:
    assert record(tmp_path / "absent", "postgresql-16", only=[]) == ()
