"""A stand-in for a PostgreSQL server that greets clients, and answers no question.

psycopg2 writes literals in C with the help of a real connection (its encoding, whether
standard_conforming_strings is on), so it gets one.  Enters: the version to claim, and a folder.
Leaves: a Unix socket in that folder, for as long as the context lasts.

Source of the messages: PostgreSQL documentation, "Message Formats" and "Start-up".
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PORT = 5432
_ENCRYPTION_REQUESTS = (80877103, 80877104)  # SSLRequest, GSSENCRequest
_PARAMETERS = {
    "client_encoding": "UTF8",
    "server_encoding": "UTF8",
    "standard_conforming_strings": "on",
    "DateStyle": "ISO, MDY",
    "IntervalStyle": "postgres",
    "TimeZone": "Etc/UTC",
    "integer_datetimes": "on",
}


@contextmanager
def standing_in(version: str, folder: Path) -> Iterator[None]:
    """Listen on a Unix socket in this folder while the context lasts."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        listener.bind(str(folder / f".s.PGSQL.{PORT}"))
        listener.listen()
        threading.Thread(target=_accept, args=(listener, version), daemon=True).start()
        yield
    finally:
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)  # Closing alone does not wake its accept().
        listener.close()


def _accept(listener: socket.socket, version: str) -> None:
    with suppress(OSError):  # The listener was closed.
        while True:
            client, _address = listener.accept()
            threading.Thread(target=_serve, args=(client, version), daemon=True).start()


def _serve(client: socket.socket, version: str) -> None:
    with client, suppress(OSError, struct.error):
        while _start_up_code(client) in _ENCRYPTION_REQUESTS:
            client.sendall(b"N")
        client.sendall(_greeting(version))
        while (kind := _exactly(client, 1)) != b"X":
            (length,) = struct.unpack("!i", _exactly(client, 4))
            _exactly(client, length - 4)
            if kind == b"Q":
                client.sendall(_refusal())


def _start_up_code(client: socket.socket) -> int:
    length, code = struct.unpack("!ii", _exactly(client, 8))
    _exactly(client, length - 8)
    return int(code)


def _greeting(version: str) -> bytes:
    settings = {"server_version": version, **_PARAMETERS}
    return b"".join(
        [
            _message(b"R", struct.pack("!i", 0)),
            *(_message(b"S", f"{k}\0{v}\0".encode()) for k, v in settings.items()),
            _message(b"K", struct.pack("!ii", 0, 0)),
            _message(b"Z", b"I"),
        ]
    )


def _refusal() -> bytes:
    """What a query gets that went around the recorder."""
    fields = b"SERROR\0C0A000\0Mthe recorder has no server to ask\0\0"
    return _message(b"E", fields) + _message(b"Z", b"I")


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + struct.pack("!i", len(body) + 4) + body


def _exactly(client: socket.socket, count: int) -> bytes:
    """Read this many bytes. Raises OSError when the client has gone."""
    data = b""
    while len(data) < count:
        more = client.recv(count - len(data))
        if not more:
            raise ConnectionResetError
        data += more
    return data
