"""alembic.command.upgrade in a loop, in this one process.

Enters: a file of tenants.  Leaves: on stdout the seconds, and the processor seconds, before the loop.
"""

import time

began = time.time()

import sys
from pathlib import Path

from alembic import command
from alembic.config import Config

tenants = Path(sys.argv[1]).read_text().split()
print(time.time() - began, time.process_time())
for tenant in tenants:
    config = Config(str(Path(__file__).parent / "alembic.ini"))
    config.attributes["tenant"] = tenant
    command.upgrade(config, "head")
