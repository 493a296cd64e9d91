"""Where an SQL server is: `mysql://user@host:3306/database`, and how its connections are made.

A password never stands in the URL: URLs end in shell histories, process lists and reports.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, NamedTuple

from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

if TYPE_CHECKING:
    import ssl

    from pymysql.connections import Connection

# Spelt out, because a server's own mode may cut values to size or read a backslash as itself.
SQL_MODE: Final = "STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO"
# A server that takes longer to greet is not answering.
CONNECT_SECONDS: Final = 10
FORM: Final = "mysql://USER@HOST:3306/DATABASE or mysql://USER@localhost/DATABASE?unix_socket=PATH"
_SCHEMES: Final = ("mysql", "mariadb")
_LOCAL: Final = ("localhost", "127.0.0.1", "::1")
_HIDDEN: Final = "the password does not belong into the URL: give it as password or password_file"

Tls = Literal["off", "encrypt", "verify"]


class Address(NamedTuple):
    """A database on a server, and who asks."""

    user: str
    host: str
    port: int
    unix_socket: str | None
    database: str

    def __str__(self) -> str:
        """Write it for people."""
        where = self.unix_socket or f"{self.host}:{self.port}"
        return f"{self.database} at {self.user}@{where}"

    @property
    def local(self) -> bool:
        """Whether the way there stays within this machine."""
        return self.unix_socket is not None or self.host in _LOCAL


def is_url(text: str) -> bool:
    """Say whether `--to` or `--store` means an SQL server."""
    return text.partition("://")[0] in _SCHEMES and "://" in text


def parse(text: str) -> Address:
    """Read the URL. Raises ValueError with a sentence that does not repeat it."""
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        raise ValueError(f"is not a URL: write {FORM}") from None
    if url.password is not None:
        raise ValueError(_HIDDEN)
    query = dict(url.query)
    unix_socket = query.pop("unix_socket", None)
    if url.drivername not in _SCHEMES or not url.database or not url.username or query:
        raise ValueError(f"must be {FORM}")
    if isinstance(unix_socket, tuple):
        raise ValueError(f"unix_socket stands there twice: write {FORM}")  # noqa: TRY004 a value
    return Address(
        url.username, url.host or "localhost", url.port or 3306, unix_socket, url.database
    )


def connect(
    address: Address, password: str, tls: Tls | None, ca_file: str | None, timeout_seconds: float
) -> Connection[Any]:
    """Connect; raises what PyMySQL raises.

    Not SQLAlchemy's own way, because that asks for CLIENT_FOUND_ROWS, which counts a record that
    was there already as a new one.
    """
    # The driver brings TLS and RSA along, 10 MB, that a shipper to elsewhere need not carry.
    import pymysql  # noqa: PLC0415 see above

    context = _context(tls or ("off" if address.local else "verify"), ca_file)
    return pymysql.connect(
        user=address.user,
        password=password.encode(),
        host=address.host,
        port=address.port,
        unix_socket=address.unix_socket,
        database=address.database,
        charset="utf8mb4",
        sql_mode=SQL_MODE,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=timeout_seconds,
        write_timeout=timeout_seconds,
        program_name="audit-shipper",
        ssl=context,
        ssl_disabled=context is None,
    )


def _context(tls: Tls, ca_file: str | None) -> ssl.SSLContext | None:
    if tls == "off":
        return None
    import ssl  # noqa: PLC0415 as above

    context = ssl.create_default_context(cafile=ca_file)
    if tls == "encrypt":
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
