"""`audit-shipper decode FILE…`: records as JSON lines, a table, or the documents of the sinks."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from datetime import tzinfo
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from shipper.cli import table
from shipper.cli.options import decoding, reading
from shipper.cli.output import output as to_output
from shipper.cli.status import DEFECTS, Status, complain
from shipper.decode import Decoder
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.flat import flat
from shipper.errors import ArchiveError, UsageError
from shipper.model import Block
from shipper.refine.sessions import Sessions
from shipper.source.file import Log, open_input, open_log
from shipper.terminal import printable, safe_json, storable

Render = Callable[[Block], bytes]


@click.command()
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--output",
    type=click.Choice(["json", "table", "ecs"]),
    default="json",
    show_default=True,
    help="json: Percona's vocabulary for every format. table: for reading in a terminal. "
    "ecs: the document that sinks send.",
)
@reading
@click.pass_context
def decode(
    context: click.Context,
    files: tuple[str, ...],
    output: str,
    format_name: str | None,
    timezone: tzinfo,
    record_bytes_max: int,
) -> None:
    """Decode audit logs, plain or gzip, to standard output, one line a record.

    FILE may be - for standard input. Where there are several, every line says which. Exit status:
    0 all read; 1 some bytes could not be read (they are printed as objects with the key "defect"),
    or an archive ends in its middle; 2 wrong use, or a file could not be read (all others are); 141
    whoever read the output went away.
    """
    formats, options = decoding(format_name, timezone, record_bytes_max)
    status = Status()
    for name in files:
        render = _RENDERERS[output](name, name if len(files) > 1 else "")
        with status.going_on(), closing(_opened(name)) as log:
            for block in _blocks(log, Decoder(formats, options=options)):
                if block.defects:
                    status.take(DEFECTS)
                _write(render(block))
            if log.cut_short:
                complain(UsageError(f"{name}: the archive ends in its middle"))
                status.take(DEFECTS)
    context.exit(status.value)


def _opened(name: str) -> Log:
    return open_input() if name == "-" else open_log(Path(name))


def _blocks(log: Log, decoder: Decoder) -> Iterator[Block]:
    """Decode all that can be read of a log, then raise what stands in the way of the rest."""
    sessions, trouble = Sessions(), None
    pieces = log.pieces()
    while True:
        try:
            piece = next(pieces, b"")
        except ArchiveError as error:
            piece, trouble = b"", error
        block = decoder.feed(piece) if piece else decoder.finish()
        sessions.join(block.marked.records)
        yield block
        if not piece:
            break
    if trouble is not None:
        raise trouble


def _write(data: bytes) -> None:
    if sys.stdout.isatty():
        data = safe_json(data)
    # Straight to the descriptor: at once for a reader at the other end, and no buffer is left to
    # fail at exit when that reader goes away.
    left = memoryview(data)
    with to_output():
        while left:
            left = left[os.write(sys.stdout.fileno(), left) :]


# Each takes the file's name, and what to call it: "" where it is the only one.


def _json(_name: str, label: str) -> Render:
    return lambda block: _lines(_labelled(flat(item, span), label) for span, item in block.items())


def _ecs(name: str, label: str) -> Render:
    encoder = EcsEncoder(Place(path="" if name == "-" else name))

    def render(block: Block) -> bytes:
        defects = _lines(_labelled(flat(defect, defect.span), label) for defect in block.defects)
        return encoder.documents(block) + defects

    return render


def _labelled(document: dict[str, Any], label: str) -> dict[str, Any]:
    return {"file": storable(label), **document} if label else document


def _lines(objects: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in objects)


def _table(_name: str, label: str) -> Render:
    head = f"==> {printable(label)} <==\n".encode() if label else b""

    def render(block: Block) -> bytes:
        nonlocal head
        lines, head = head + table.render(block), b""
        return lines

    return render


_RENDERERS: Final[dict[str, Callable[[str, str], Render]]] = {
    "json": _json,
    "ecs": _ecs,
    "table": _table,
}
