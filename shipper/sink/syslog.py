"""Syslog: local sockets, UDP, TCP and TLS, with the plugin's own names and defaults.

Guarantee, and syslog has no better one, because no receiver ever says "I have it":

- TCP and TLS: at least once, as far as the receiver's kernel. A batch counts as delivered when that
  kernel has acknowledged every byte and the connection still stands. What a receiver that dies had
  not read by then is lost: at most its receive buffer. `batch_bytes` is small to keep that little.
- Local sockets: at least once, as far as the receiver's program, which has read every message.
- After any error the whole batch is sent again, so records can be there twice.
- UDP: at most once. The network and a busy receiver drop datagrams without a word.

With RFC 5424 each message carries segment and offset as structured data: a receiver that wants each
record once has a key for it.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC
from typing import Annotated, ClassVar, Final, Literal

from msgspec import Meta

from shipper.clock import Clock, rfc3339
from shipper.errors import MisconfiguredError, UnavailableError
from shipper.sink.base import Batch, Receipt, SinkSettings, Surroundings
from shipper.sink.syslog_encode import Encoder, Shape
from shipper.sink.syslog_message import template_problems
from shipper.sink.syslog_net import Datagrams, Local, Stream, Transport
from shipper.sink.syslog_wire import (
    FACILITIES,
    PRIORITIES,
    Header,
    line_framed,
    number_of,
    octet_counted,
)
from shipper.sink.wire import Address, Tls, tls_context

UNIX: Final = ("unix", "unix-datagram", "unix-stream")
_PORTS: Final = {"udp": 514, "tcp": 601, "tls": 6514}  # as registered; many receivers take 514

# Of rsyslog unless it is told otherwise (`maxMessageSize`): what is longer it cuts, or takes for
# two messages. Over UDP what RFC 5424 6.1 asks every receiver to take.
_LIMITS: Final = {"udp": 2048}
_LIMIT: Final = 8096
# What the transports can carry: a UDP datagram over IPv4, the send buffer of a local socket as
# Linux sets it, and for streams more than any receiver was seen to take.
_LIMITS_MAX: Final = {"udp": 65_507, "tcp": 1 << 20, "tls": 1 << 20, "unix-stream": 1 << 20}
_LIMIT_MAX: Final = 212_960
# Kernel memory for what the receiver has not acknowledged: two batches with headers.
_SEND_BUFFER: Final = 512 * 1024


class Settings(SinkSettings, frozen=True, kw_only=True, tag="syslog"):
    """A syslog receiver."""

    # `unix`: whatever kind of socket stands at `path`, as syslog(3) does.
    transport: Literal["unix", "unix-datagram", "unix-stream", "udp", "tcp", "tls"] = "unix"
    path: str = "/dev/log"  # of the local socket
    host: str | None = None  # of the receiver, for udp, tcp and tls
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None  # default: 514, 601 or 6514
    tls: Tls = Tls()
    # Octet counting (RFC 6587) is unambiguous; `lf` for receivers that know only lines.
    framing: Literal["octet-counting", "lf"] = "octet-counting"

    # Default: rfc3164 on local sockets, as syslog(3) writes there, and rfc5424 on the network.
    format: Literal["rfc3164", "rfc5424"] | None = None
    # The plugin's names and defaults: LOG_USER to LOG_LOCAL7, LOG_INFO. `local0` and `info` do too.
    facility: str = "LOG_USER"
    ident: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_./-]{1,48}$")] = "percona-audit"
    priority: str = "LOG_INFO"
    failed_login_priority: str | None = None  # default: as all others
    # Default: the instance from the configuration, else this machine's name.
    hostname: Annotated[str, Meta(pattern=r"^[!-~]{1,255}$")] | None = None
    # RFC 3164 times have no zone; syslog(3) writes the machine's.
    zone: Literal["local", "utc"] = "local"
    # The number is IANA's for examples (RFC 5612): put your own enterprise number. "" for none.
    structured_data_id: Annotated[str, Meta(pattern=r'^[^\s="\]]{0,32}$')] = "mysql@32473"

    # The plugin's JSON, the index's JSON, ArcSight's CEF, or `template`.
    message: Literal["percona", "ecs", "cef", "template"] = "percona"
    template: str | None = None  # `{user}@{host} {kind} {status}`
    # Longer messages lose the end of their statement. Default: 2048 for udp, 8096 for the others.
    message_bytes: Annotated[int, Meta(ge=480)] | None = None  # RFC 5424 6.1: no less is allowed
    timeout_seconds: Annotated[float, Meta(gt=0, le=600)] = 30.0  # for connecting and for progress

    def problems(self) -> Iterator[str]:
        """Say which settings disagree."""
        if self.transport in UNIX:
            if self.host or self.port:
                yield f"transport {self.transport} goes to path, not to host and port"
        elif not self.host:
            yield f"transport {self.transport} needs host"
        if self.transport == "tls" and self.framing == "lf":
            yield "tls is always octet-counted (RFC 5425 4.3)"
        if self.wire_format == "rfc3164" and len(self.ident) > 32:
            yield "ident has more than the 32 characters of RFC 3164"
        if (self.message == "template") != (self.template is not None):
            yield "template and `message: template` need each other"
        elif self.template is not None:
            yield from template_problems(self.template)
        yield from self._unknown_names()
        most = _LIMITS_MAX.get(self.transport, _LIMIT_MAX)
        if self.limit > most:
            yield f"message_bytes over {self.transport} is at most {most}"

    def _unknown_names(self) -> Iterator[str]:
        for setting, table in (
            ("facility", FACILITIES),
            ("priority", PRIORITIES),
            ("failed_login_priority", PRIORITIES),
        ):
            name = getattr(self, setting)
            if name is not None and number_of(name, table) is None:
                known = ", ".join(f"LOG_{known.upper()}" for known in table)
                yield f"{setting} {name!r} is none of {known}"

    @property
    def wire_format(self) -> str:
        """The header's format, chosen or by default."""
        return self.format or ("rfc3164" if self.transport in UNIX else "rfc5424")

    @property
    def limit(self) -> int:
        """Bytes of a message."""
        return self.message_bytes or _LIMITS.get(self.transport, _LIMIT)


class Syslog:
    """Records as syslog messages; defects are not sent."""

    in_flight: ClassVar[int] = 1  # one connection, so that messages keep their order
    # What a receiver that dies can take along; some 300 records.
    batch_bytes: ClassVar[int] = 128 * 1024

    def __init__(self, settings: Settings, surroundings: Surroundings | None = None) -> None:
        """Take the settings; nothing is opened yet."""
        surroundings = surroundings or Surroundings()
        self._settings = settings
        self._clock = surroundings.clock
        self._shape = Shape(
            header=_header(settings, surroundings.instance),
            message=settings.template or settings.message,
            limit=settings.limit,
            instance=surroundings.instance,
        )
        self._transport: Transport | None = None
        self._encoder: tuple[tuple[str, str], Encoder] | None = None  # of the last segment

    def prepare(self) -> None:
        """Connect."""
        self._way().open()

    def _way(self) -> Transport:
        if self._transport is None:
            self._transport = _transport(self._settings, self._clock)
        return self._transport

    def deliver(self, batch: Batch) -> Receipt:
        """Send the batch; see above for what that means."""
        encoder, now = self._encoder_of(batch), rfc3339(self._clock.now())
        messages = [message for block in batch.blocks for message in encoder.messages(block, now)]
        size = self._way().send(messages) if messages else 0
        return Receipt(new=len(messages), size=size)

    def _encoder_of(self, batch: Batch) -> Encoder:
        place = (batch.segment, batch.path)
        if self._encoder is None or self._encoder[0] != place:
            self._encoder = (place, Encoder(self._shape, *place))
        return self._encoder[1]

    def check(self) -> Sequence[str]:
        """Connect once, and say why that cannot be done; nothing is sent."""
        try:
            way = _transport(self._settings, self._clock)
            try:
                way.open()
            finally:
                way.close()
        except (UnavailableError, MisconfiguredError) as error:
            return (str(error),)
        return ()

    def close(self) -> None:
        """Disconnect."""
        if self._transport is not None:
            self._transport.close()


def _header(settings: Settings, instance: str) -> Header:
    facility = (number_of(settings.facility, FACILITIES) or 0) * 8
    priority = number_of(settings.priority, PRIORITIES) or 0
    failed = settings.failed_login_priority
    rfc5424 = settings.wire_format == "rfc5424"
    # syslog(3) writes no host name on a local socket, and daemons do not look for one there.
    hostname = settings.hostname or _token(instance) or _token(socket.gethostname())
    local = settings.transport in UNIX and not rfc5424
    return Header(
        rfc5424=rfc5424,
        pri=facility + priority,
        failed_pri=facility + (number_of(failed, PRIORITIES) or 0 if failed else priority),
        hostname="" if local else hostname,
        ident=settings.ident,
        sd_id=settings.structured_data_id,
        zone=UTC if settings.zone == "utc" else None,
    )


def _token(text: str) -> str:
    """Make a host name of a text: visible ASCII, no blank, 255 characters (RFC 5424 6)."""
    with suppress(UnicodeError):
        text = text.encode("idna").decode()
    return "".join(character for character in text if "!" <= character <= "~")[:255]


def _transport(settings: Settings, clock: Clock) -> Transport:
    timeout = settings.timeout_seconds
    if settings.transport in UNIX:
        # Local streams are lines: no daemon counts octets there.
        stream = Stream(settings.path, line_framed, timeout, clock)
        datagrams = Datagrams(settings.path, timeout, clock)
        if settings.transport == "unix":
            return Local(datagrams, stream)
        return stream if settings.transport == "unix-stream" else datagrams
    address = Address(
        host=settings.host or "",
        port=settings.port or _PORTS[settings.transport],
        timeout=timeout,
        tls=tls_context(settings.tls) if settings.transport == "tls" else None,
        server_name=settings.tls.server_name or "",
        send_buffer=_SEND_BUFFER,
    )
    if settings.transport == "udp":
        return Datagrams(address, timeout, clock)
    frame = octet_counted if settings.framing == "octet-counting" else line_framed
    return Stream(address, frame, timeout, clock)
