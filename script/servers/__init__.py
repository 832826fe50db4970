"""Real database servers for the tests, the demo and the benchmarks.

Enters: a server's name, "pg18" | "pg15" | "mariadb" | "mysql" | "mysql-path" | "mysql-docker".
Leaves: a `RunningServer` on a free port of 127.0.0.1, with its data in a temporary directory.
It belongs to the thread that started it: when that thread, or its process, ends in whatever way,
the kernel ends the server too.
"""

from servers.choose import DEFAULT_POSTGRES, EVERY, FAMILIES, install, mysql_family, start
from servers.running import PASSWORD, USER, CannotStart, NotInstallable, RunningServer

__all__ = [
    "DEFAULT_POSTGRES",
    "EVERY",
    "FAMILIES",
    "PASSWORD",
    "USER",
    "CannotStart",
    "NotInstallable",
    "RunningServer",
    "install",
    "mysql_family",
    "start",
]
