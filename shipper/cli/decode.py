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
from shipper.decode import Decoder
from shipper.document.ecs import EcsEncoder, Place
from shipper.document.flat import flat
from shipper.model import Block
from shipper.refine.sessions import Sessions
from shipper.source.file import open_log, pieces
from shipper.terminal import safe_json

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
    """Decode audit logs to standard output, one line a record.

    FILE may be - for standard input. Exit status: 0 all read, 1 some bytes could not be read (they
    are printed as objects with the key "defect"), 2 wrong use.
    """
    formats, options = decoding(format_name, timezone, record_bytes_max)
    defects = 0
    for name in files:
        render = _RENDERERS[output](name)
        decoder, sessions = Decoder(formats, options=options), Sessions()
        for block in _blocks(name, decoder):
            sessions.join(block.marked.records)
            defects += len(block.defects)
            _write(render(block))
    if defects:
        context.exit(1)


def _blocks(name: str, decoder: Decoder) -> Iterator[Block]:
    with closing(open_log(Path("/dev/stdin" if name == "-" else name))) as log:
        for piece in pieces(log):
            yield decoder.feed(piece)
    yield decoder.finish()


def _write(data: bytes) -> None:
    if sys.stdout.isatty():
        data = safe_json(data)
    # Straight to the descriptor: at once for a reader at the other end, and no buffer is left to
    # fail at exit when that reader goes away.
    left = memoryview(data)
    while left:
        left = left[os.write(sys.stdout.fileno(), left) :]


def _json(_name: str) -> Render:
    return lambda block: _lines(flat(item, span) for span, item in block.items())


def _ecs(name: str) -> Render:
    encoder = EcsEncoder(Place(path="" if name == "-" else name))

    def render(block: Block) -> bytes:
        defects = _lines(flat(defect, defect.span) for defect in block.defects)
        return encoder.documents(block) + defects

    return render


def _lines(objects: Iterable[dict[str, Any]]) -> bytes:
    return b"".join(msgspec.json.encode(each) + b"\n" for each in objects)


def _table(_name: str) -> Render:
    return table.render


_RENDERERS: Final[dict[str, Callable[[str], Render]]] = {
    "json": _json,
    "ecs": _ecs,
    "table": _table,
}
