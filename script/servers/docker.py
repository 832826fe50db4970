"""A MySQL server in a container, where a Docker engine answers.

Enters: nothing. Leaves: a running server. testcontainers' own reaper removes the container when
the starter dies. Set MYSQL_IMAGE for another image than mysql:8.4.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time

import pymysql

from servers.mysql import flavour_of
from servers.running import PASSWORD, USER, CannotStart, RunningServer, url_of

_START_SECONDS = 180


def engine_answers() -> bool:
    """Whether `docker version` reaches an engine within five seconds."""
    if shutil.which("docker") is None:
        return False
    try:
        asked = subprocess.run(["docker", "version"], capture_output=True, timeout=5, check=False)
    except subprocess.TimeoutExpired:
        return False
    return asked.returncode == 0


def client() -> tuple[str, ...]:
    """The image's own client, in a container that shares this machine's network."""
    run = ("docker", "run", "--rm", "-i", "--network=host", "--env=MYSQL_PWD")
    return (*run, _image(), "mysql")


def _image() -> str:
    return os.environ.get("MYSQL_IMAGE", "mysql:8.4")


def start_mysql_container() -> RunningServer:
    """MySQL through testcontainers. Raises CannotStart when no engine answers."""
    if not engine_answers():
        raise CannotStart("No Docker engine answers `docker version`")
    # Optional: only machines with Docker load testcontainers.
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(_image()).with_exposed_ports(3306)
    container.with_env("MYSQL_ROOT_PASSWORD", PASSWORD)
    container.start()
    try:
        host, port = container.get_container_host_ip(), int(container.get_exposed_port(3306))
        flavour = _first_statements_when_it_answers(host, port)
    except BaseException:
        container.stop()
        raise
    url = url_of("mysql+pymysql", port, host=host)
    return RunningServer(
        name="mysql-docker",
        family="mysql",
        flavour=flavour,
        url=url.render_as_string(hide_password=False),
        pid=None,
        client=client(),
        _stop=container.stop,
    )


def _first_statements_when_it_answers(host: str, port: int) -> str:
    """Make the superuser; the server's flavour. Raises CannotStart at the time limit."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            connection = pymysql.connect(host=host, port=port, user="root", password=PASSWORD)
        except pymysql.OperationalError as error:
            if time.monotonic() > deadline:
                raise CannotStart(f"MySQL in Docker does not answer: {error}") from error
            time.sleep(0.5)
            continue
        with connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE USER {USER}@'%%' IDENTIFIED BY %s", (PASSWORD,))
            cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO {USER}@'%' WITH GRANT OPTION")
            cursor.execute("SELECT VERSION()")
            (version,) = cursor.fetchall()[0]
            return flavour_of(str(version))
