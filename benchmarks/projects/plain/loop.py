"""alembic.command.upgrade in a loop, in this one process.

Enters: a file of tenants.  Leaves: on stdout the seconds of the loop alone.
"""

import sys
import time
from pathlib import Path

from alembic import command
from alembic.config import Config

tenants = Path(sys.argv[1]).read_text().split()
started = time.perf_counter()
for tenant in tenants:
    config = Config(str(Path(__file__).parent / "alembic.ini"))
    config.attributes["tenant"] = tenant
    command.upgrade(config, "head")
print(time.perf_counter() - started)
