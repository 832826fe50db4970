"""What a MySQL or MariaDB server answers to one statement, read with no more work than is needed.

Enters: a PyMySQL connection on which a text was sent.  Leaves: PyMySQL's result of its next
statement; of rows that nobody wants only their number.  Most statements of a migration have no
rows, and nobody looks at those of a guard, so PyMySQL's dozen objects for each are not made.
"""

from __future__ import annotations

from struct import unpack_from
from typing import Any

from pymysql.connections import MySQLResult

# MySQL client/server protocol: "OK_Packet", "EOF_Packet", "Protocol::LengthEncodedInteger", and
# SERVER_MORE_RESULTS_EXISTS.
_OK, _EOF, _BELOW_EOF = 0x00, 0xFE, 9
_WIDTHS = {0xFC: 2, 0xFD: 3, 0xFE: 8}
_MORE = 0x0008


class Answer(MySQLResult):
    """The result of one statement."""

    def __init__(self, connection: Any, *, rows_wanted: bool) -> None:
        super().__init__(connection)
        self._rows_wanted = rows_wanted

    def read(self) -> None:
        """Read it. Raises PyMySQL's errors."""
        connection: Any = self.connection
        try:
            packet = connection._read_packet()
            data = packet.get_all_data()
            if data[0] == _OK:
                self._read_ok(data)
            elif packet.is_load_local_packet():
                self._read_load_local_packet(packet)  # type: ignore[attr-defined]
            elif self._rows_wanted:
                self._read_result_packet(packet)  # type: ignore[attr-defined]
            else:
                self._count_rows(connection, data)
        finally:
            self.connection = None  # Else both would live until the garbage is collected.

    def _read_ok(self, data: bytes) -> None:
        self.affected_rows, place = _integer(data, 1)
        self.insert_id, place = _integer(data, place)
        self._told(*unpack_from("<HH", data, place))

    def _count_rows(self, connection: Any, first: bytes) -> None:
        columns, _ = _integer(first, 0)
        for _ in range(columns + 1):
            connection._read_packet()
        count = 0
        while True:
            data = connection._read_packet().get_all_data()
            if data[0] == _EOF and len(data) < _BELOW_EOF:
                break
            count += 1
        self.affected_rows = count
        warnings, status = unpack_from("<HH", data, 1)
        self._told(status, warnings)

    def _told(self, status: int, warnings: int) -> None:
        self.server_status, self.warning_count = status, warnings
        self.has_next = bool(status & _MORE)


def _integer(data: bytes, place: int) -> tuple[int, int]:
    """A length-encoded integer, and the place behind it."""
    first, behind = data[place], place + 1
    if first < 0xFB:
        return first, behind
    end = behind + _WIDTHS[first]
    return int.from_bytes(data[behind:end], "little"), end
