r"""The values of MariaDB rows: escaped statements and client hosts.

    'SELECT \'%x%\'\nFROM t'      localhost      10.0.0.7:54312      localhost:unavailable

Facts: formats.md 4.1, 4.2. The generations escape differently, but no two of them use one escape
for different things, so one reader serves all.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import msgspec

_ESCAPES: Final = (("\\n", "\n"), ("\\t", "\t"), ("\\r", "\r"), ("\\b", "\b"), ("\\f", "\f"))
_PAIR: Final = "\\\\"
_MARK: Final = "\x01"

# server_audit_query_log_limit is 1024 by default. A text that was cut there may end a few bytes
# earlier, since no escape is split; nothing else marks it.
CUT_MIN: Final = 1020
CUT_MAX: Final = 1024


def unescape(text: str) -> str:
    """Undo the escapes of a statement; unknown ones stay as they are.

    ValueError for a quote that is not escaped, and for a last backslash that would escape the
    closing quote: then `text` is not what stands between the quotes of one row.
    """
    if "\\" not in text:
        if "'" in text:
            raise ValueError(text)
        return text
    if _PAIR not in text:
        return _unescape(text)
    # An escaped backslash steps aside, so that each one that is left begins an escape. Its mark is
    # cheapest where it does not widen the text; a surrogate is no character of any statement.
    mark = _MARK if _MARK not in text else "\udcff"
    return _unescape(text.replace(_PAIR, mark)).replace(mark, "\\")


def _unescape(text: str) -> str:
    plain = text.replace("\\'", "'")
    if len(text) - len(plain) != text.count("'") or text.endswith("\\"):
        raise ValueError(text)
    for escape, char in _ESCAPES:
        if "\\" not in plain:
            break
        plain = plain.replace(escape, char)
    return plain


_texts: Final = msgspec.json.Decoder(list[str]).decode
_SEPARATOR: Final = "\0"  # no text of a row holds it, or the number of texts will tell
# What JSON reads otherwise than this module: these stay as they are, or end a text.
_NOT_AS_JSON: Final = ("\\u", "\\/", '\\"')


def unescape_column(texts: Sequence[str]) -> list[str]:
    """Decode and unescape the statements of many rows, which show their bytes as Latin-1.

    Without its escaped single quotes a text is the inside of a JSON text, but for few escapes: one
    call reads all in a third of the time. Raises ValueError as `unescape` does, and for what is not
    UTF-8.
    """
    joined = _SEPARATOR.join(texts)
    plain = joined.replace("\\'", "'")
    if len(joined) - len(plain) == joined.count("'") and not _is_odd(plain):
        json = plain.replace('"', '\\"').replace(_SEPARATOR, '","')
        try:
            found = _texts(f'["{json}"]'.encode("latin-1"))
        except (msgspec.DecodeError, UnicodeDecodeError):
            found = []  # a text that is none, or holds raw control characters
        if len(found) == len(texts):
            return found
    return [unescape(text).encode("latin-1").decode() for text in texts]


def _is_odd(plain: str) -> bool:
    return any(escape in plain for escape in _NOT_AS_JSON)


class Client(NamedTuple):
    """What the host column says; `extra` has the port, if there is one."""

    host: str
    ip: str | None
    extra: dict[str, Any]


def client(text: str) -> Client:
    """Read the host column.

    An IPv6 address is not bracketed. With a port of four digits it can be an address without
    port as well, and is taken for one; the ports that clients get mostly have five.
    """
    host = text.removesuffix(":unavailable")
    extra: dict[str, Any] = {}
    name, colon, port = host.rpartition(":")
    is_port = bool(colon) and port.isascii() and port.isdecimal() and len(port) <= 5
    if is_port and (":" not in name or _is_address(name)) and not _is_address(host):
        host, extra = name, {"port": int(port)}
    if host == "localhost":
        return Client(host, "", extra)
    return Client(host, host if _is_address(host) else None, extra)


def _is_address(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
