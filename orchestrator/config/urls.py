"""Database URLs: which driver connects, and which server a URL means.

Enters: URLs as users write them, for web applications and async drivers too.  Leaves: SQLAlchemy
URLs under an installed synchronous driver, and comparable names of servers.  No message of this
module holds any part of a URL other than its dialect, its driver and names of its options.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from orchestrator.config.flavour import Family
from orchestrator.config.mistake import Mistake

FAMILIES: Mapping[str, Family] = {"postgresql": "postgresql", "mysql": "mysql", "mariadb": "mysql"}
DEFAULT_PORTS: Mapping[Family, int] = {"postgresql": 5432, "mysql": 3306}
_LOCAL = frozenset(("", "localhost", "127.0.0.1", "::1", "localhost.localdomain"))


@dataclass(frozen=True, slots=True)
class _Driver:
    """A driver of SQLAlchemy: the module it needs, or none when it is asynchronous."""

    name: str
    module: str | None = None


# SQLAlchemy 2.1: sqlalchemy/dialects/postgresql and sqlalchemy/dialects/mysql; pyodbc left out.
_DRIVERS: Mapping[Family, tuple[_Driver, ...]] = {
    "postgresql": (
        _Driver("psycopg2", "psycopg2"),
        _Driver("psycopg", "psycopg"),
        _Driver("psycopg2cffi", "psycopg2cffi"),
        _Driver("pg8000", "pg8000"),
        _Driver("asyncpg"),
        _Driver("psycopg_async"),
        _Driver("aiopg"),
    ),
    "mysql": (
        _Driver("pymysql", "pymysql"),
        _Driver("mysqldb", "MySQLdb"),
        _Driver("mysqlconnector", "mysql.connector"),
        _Driver("mariadbconnector", "mariadb"),
        _Driver("cymysql", "cymysql"),
        _Driver("aiomysql"),
        _Driver("asyncmy"),
    ),
}
_SHIPPED: Mapping[Family, str] = {"postgresql": "psycopg2", "mysql": "pymysql"}

# Options that mean something only to the driver that was replaced: caches, pools, and time limits
# of single queries, which orchestrator sets itself for every session.
_DROPPED = frozenset(
    (
        "prepared_statement_cache_size",
        "prepared_statement_name_func",
        "statement_cache_size",
        "max_cached_statement_lifetime",
        "max_cacheable_statement_size",
        "command_timeout",
        "async_fallback",
        "echo",
        "no_delay",
        "minsize",
        "maxsize",
        "pool_recycle",
        "prepare_threshold",
    )
)
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
# PostgreSQL 18 manual, 32.1.2 "Parameter Key Words"; libpq is what psycopg2 hands options to.
_LIBPQ = """
    host hostaddr port dbname user password passfile require_auth channel_binding
    connect_timeout client_encoding options application_name fallback_application_name keepalives
    keepalives_idle keepalives_interval keepalives_count tcp_user_timeout gssencmode sslmode
    requiressl sslnegotiation sslcompression sslcert sslkey sslpassword sslcertmode sslrootcert
    sslcrl sslcrldir sslsni requirepeer ssl_min_protocol_version ssl_max_protocol_version
    krbsrvname gsslib gssdelegation service target_session_attrs load_balance_hosts
"""
# PyMySQL 1.1: parameters of pymysql.connections.Connection that a URL can give, with the ssl_...
# names that SQLAlchemy's dialect gathers (sqlalchemy/dialects/mysql/mysqldb.py).
_PYMYSQL = """
    user password host database unix_socket port charset collation sql_mode read_default_file
    read_default_group use_unicode client_flag init_command connect_timeout autocommit local_infile
    max_allowed_packet read_timeout write_timeout bind_address program_name server_public_key
    ssl_ca ssl_cert ssl_key ssl_capath ssl_cipher ssl_check_hostname ssl_disabled
    ssl_key_password ssl_verify_cert ssl_verify_identity
"""
_KNOWN: Mapping[Family, frozenset[str]] = {
    "postgresql": frozenset(_LIBPQ.split()),
    "mysql": frozenset(_PYMYSQL.split()),
}


def parse_url(text: str) -> URL:
    """Parse any SQLAlchemy URL.

    Raises Mistake (a ValueError) that never holds a part of it; SQLAlchemy's own message may.
    """
    try:
        url = make_url(text.strip())
    except (ArgumentError, ValueError, TypeError):
        raise Mistake(
            "this is no database URL",
            "Write dialect://user:password@host:port/database; in user and password, write"
            " @ as %40, / as %2F, : as %3A and % as %25.",
        ) from None
    # SQLAlchemy 2.1 decodes the database's name, so that %40 stands there as @.
    in_database = "@" in (url.database or "") and "%40" not in text
    if "@" in (url.host or "") or in_database:
        raise Mistake(
            "the URL has an '@' too many",
            "In user, password and database name, write @ as %40.",
        )
    return url


def synchronous(url: str) -> URL:
    """The URL under a synchronous driver that is installed.

    A driver that the URL names stays when it is synchronous and installed; else psycopg2 or
    PyMySQL, which ship with the package, take its place, and its options are translated.
    Raises Mistake (a ValueError) without any part of the URL that could be secret.
    """
    parsed = parse_url(url)
    dialect, _, driver = parsed.drivername.partition("+")
    if dialect == "postgres":  # the name that Heroku and others give; SQLAlchemy dropped it in 1.4
        dialect = "postgresql"
    family = FAMILIES.get(dialect)
    if family is None:
        raise Mistake(
            f"the dialect {dialect!r} is not supported",
            "Use a postgresql://, mysql:// or mariadb:// URL.",
        )
    if not driver:
        return parsed.set(drivername=f"{dialect}+{_SHIPPED[family]}")
    known = {one.name: one for one in _DRIVERS[family]}
    if driver not in known:
        raise Mistake(
            f"the driver {driver!r} is not known for {dialect}",
            f"Write {dialect}://, or one of: {', '.join(known)}.",
        )
    if driver == _SHIPPED[family] or _importable(known[driver].module):
        return parsed.set(drivername=f"{dialect}+{driver}")
    shipped = parsed.set(drivername=f"{dialect}+{_SHIPPED[family]}")
    return shipped.set(query=_translated(parsed.query, family, driver))


def family_of(url: URL) -> Family:
    """The driver family of a URL. Raises Mistake (a ValueError) for one that is not supported."""
    family = FAMILIES.get(url.get_backend_name())
    if family is None:
        raise Mistake(
            f"the dialect {url.get_backend_name()!r} is not supported",
            "Use a postgresql://, mysql:// or mariadb:// URL.",
        )
    return family


def server_identity(url: URL) -> str:
    """Which server a URL means, for comparison: `postgresql://localhost:5432`.

    All names of the local host are one; so is a missing host, which PostgreSQL's socket and
    MySQL's TCP both take as the local server.  Users and databases do not count.
    """
    family = family_of(url)
    port = str(url.port or DEFAULT_PORTS[family])
    socket = url.query.get("unix_socket")
    if family == "mysql" and socket:
        return f"{family}://{_one(socket)}"
    if url.host:
        return f"{family}://{_host(url.host)}:{port}"
    # Several hosts, or a socket's folder: ?host=a:5432&host=b:5433 (SQLAlchemy, "PostgreSQL
    # psycopg2: Specifying multiple fallback hosts"), or host=a,b&port=5432,5433 (libpq).
    hosts = _many(url.query.get("host", ""))
    ports = _many(url.query.get("port", "")) if url.query.get("port") else [port]
    if len(ports) < len(hosts):
        ports = [ports[0]] * len(hosts)
    return f"{family}://" + ",".join(
        _host_port(host, default) for host, default in zip(hosts, ports, strict=False)
    )


def database_name(url: URL) -> str:
    """The database that a URL connects to; PostgreSQL's default is the user's name (libpq)."""
    named = url.database or _one(url.query.get("dbname", "")) or ""
    if named or family_of(url) == "mysql":
        return named
    return url.username or _one(url.query.get("user", ""))


def _importable(module: str | None) -> bool:
    if module is None:
        return False
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package of "mysql.connector"
        return False


def _translated(
    query: Mapping[str, str | tuple[str, ...]], family: Family, driver: str
) -> dict[str, str | tuple[str, ...]]:
    """Options of a driver that was replaced, as the shipped one knows them. Raises Mistake."""
    found: dict[str, str | tuple[str, ...]] = {}
    for name, value in query.items():
        if name in _DROPPED:
            continue
        if family == "postgresql" and name == "ssl":
            if value not in _SSL_MODES:
                raise Mistake(
                    f"psycopg2 does not know what the URL's option 'ssl' of {driver} is set to",
                    f"Write sslmode= with one of: {', '.join(_SSL_MODES)}.",
                )
            found["sslmode"] = value
        elif family == "postgresql" and name == "timeout":
            found["connect_timeout"] = _whole_seconds(_one(value), driver)
        elif name in _KNOWN[family]:
            found[name] = value
        else:
            raise Mistake(
                f"{_SHIPPED[family]}, which stands in for {driver}, does not know the URL's "
                f"option {name!r}",
                "Remove the option"
                + (" (TLS is ssl_ca=, ssl_cert= and ssl_key= there)." if name == "ssl" else "."),
            )
    return found


def _whole_seconds(value: str, driver: str) -> str:
    try:
        return str(max(1, round(float(value))))
    except (ValueError, OverflowError):
        raise Mistake(
            f"the URL's option 'timeout' of {driver} is no number", "Write seconds, such as 10."
        ) from None


def _one(value: str | tuple[str, ...]) -> str:
    return value if isinstance(value, str) else value[0]


def _many(value: str | tuple[str, ...]) -> list[str]:
    return value.split(",") if isinstance(value, str) else list(value)


def _host_port(text: str, port: str) -> str:
    host, colon, own = text.rpartition(":")
    if colon and own.isdecimal() and ":" not in host:
        return f"{_host(host)}:{own}"
    return f"{_host(text)}:{port}"


def _host(name: str) -> str:
    plain = name.strip().rstrip(".").lower() if not name.startswith("/") else name.rstrip("/")
    return "localhost" if plain in _LOCAL else plain
