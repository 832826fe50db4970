"""A MySQL server in a container, where a Docker engine answers.

Enters: nothing. Leaves: a running server. testcontainers' own reaper removes the container when
the starter dies. Set MYSQL_IMAGE for another image than mysql:8.4.
"""

from __future__ import annotations

import os
import shutil
import subprocess

import pymysql

from servers.mysql import flavour_of
from servers.running import PASSWORD, USER, CannotStart, RunningServer, url_of


def engine_answers() -> bool:
    """Whether `docker version` reaches an engine within five seconds."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def start_mysql_container() -> RunningServer:
    """MySQL through testcontainers. Raises CannotStart when no engine answers."""
    if not engine_answers():
        raise CannotStart("No Docker engine answers `docker version`")
    # Optional: only machines with Docker load testcontainers.
    from testcontainers.mysql import MySqlContainer

    container = MySqlContainer(
        os.environ.get("MYSQL_IMAGE", "mysql:8.4"),
        username="root",
        root_password=PASSWORD,
        password=PASSWORD,
        dbname="unused",
    )
    container.start()
    host, port = container.get_container_host_ip(), int(container.get_exposed_port(3306))
    with (
        pymysql.connect(host=host, port=port, user="root", password=PASSWORD) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(f"CREATE USER {USER}@'%%' IDENTIFIED BY %s", (PASSWORD,))
        cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO {USER}@'%' WITH GRANT OPTION")
        cursor.execute("SELECT VERSION()")
        row = cursor.fetchone()
    if row is None:
        raise CannotStart("SELECT VERSION() returned nothing")
    url = url_of("mysql+pymysql", port, host=host)
    return RunningServer(
        name="mysql-docker",
        family="mysql",
        flavour=flavour_of(str(row[0])),
        url=url.render_as_string(hide_password=False),
        pid=None,
        client=("docker", "exec", "-i", container.get_wrapped_container().id, "mysql"),
        _stop=container.stop,
    )
