r"""Outbrain audit_login: one JSON object a login, nothing else (formats.md 5).

{"ts":"2024-09-03 01:53:33","type":"failed_login","myhost":"db1","thread":"38","user":"app",
 "priv_user":"","host":"web1","ip":"(null)"}
"""

from __future__ import annotations

from typing import ClassVar, Final

from shipper.decode import base
from shipper.decode.base import Context
from shipper.decode.fields import number
from shipper.decode.jsonscan import interrupts, unnested
from shipper.decode.jsontext import load_pairs
from shipper.errors import MalformedError
from shipper.model import CONNECT, AuditRecord

NAME: Final = "outbrain-json"
# The word is all that the plugin says of a failure: 1045, access denied, is what it nearly always
# is, and `status_assumed` says that nobody wrote it.
_STATUS_OF_TYPE: Final = {"successful_login": 0, "failed_login": 1045}
_OWN: Final = frozenset(("ts", "type", "thread", "user", "priv_user", "host", "ip"))


class Outbrain:
    """Reader of the plugin's lines."""

    name: ClassVar[str] = NAME
    start: ClassVar[bytes] = base.OUTBRAIN_START
    found_by: ClassVar[bytes] = unnested(base.OUTBRAIN_START)
    interrupted_by: ClassVar[bytes] = interrupts(
        base.OUTBRAIN_START, base.MCAFEE_START, base.ARRAY_START, base.PERCONA_JSON_START
    )

    def __init__(self, context: Context) -> None:
        """Keep the decoder's clock; the server writes local time."""
        self._clock = context.clock

    end = staticmethod(base.line_end)
    cut = staticmethod(base.never_cut)  # logins are few
    fast = staticmethod(base.never_fast)

    def careful(self, raw: bytes) -> AuditRecord:
        """Read one line."""
        pairs = load_pairs(raw.strip())
        fields = dict(pairs)
        if len(fields) < len(pairs):
            # A name that holds `","user":"root` would do it, so nothing here can be believed.
            raise MalformedError("a key occurs twice")
        for key in _OWN & fields.keys():
            if not isinstance(fields[key], str):
                raise MalformedError(f"{key} is not text")
        kind = fields.get("type", "")
        if kind not in _STATUS_OF_TYPE or "ts" not in fields:
            raise MalformedError(f"not a login: {kind[:40]!r}")
        ip = fields.get("ip")
        extra = {key: value for key, value in fields.items() if key not in _OWN}
        if kind == "failed_login":
            extra["status_assumed"] = True
        return AuditRecord(
            name=kind,
            timestamp=self._clock[fields["ts"]],
            connection_id=number(fields.get("thread"), "thread"),
            status=_STATUS_OF_TYPE[kind],
            user=fields.get("user"),
            priv_user=fields.get("priv_user"),
            host=fields.get("host"),
            ip="" if ip == "(null)" else ip,
            kind=CONNECT,
            format=NAME,
            extra=extra or None,
        )
