"""What a fuzz input means, without the fuzzer: a place to cut, a limit, and a log.

The first two bytes are the place, little-endian, modulo the length; the third chooses the limit of
a record; the rest is the log. `ALL` decodes with every format, a format's name with that one alone,
as `--format NAME` does.
"""

from __future__ import annotations

from typing import Final

from decode import laws

from shipper.decode import FORMATS, Format, Options

ALL: Final = "all"
HEAD: Final = 3
SMALL: Final = Options(record_bytes_max=1024)  # so that inputs of 4 KiB reach the limit
TARGETS: Final[dict[str, tuple[type[Format], ...]]] = {
    ALL: FORMATS,
    **{format_.name: (format_,) for format_ in FORMATS},
}


def check(target: str, data: bytes) -> None:
    """Check the laws of account, chunks, resuming and totality, and that both paths agree."""
    log = data[HEAD:]
    cut = int.from_bytes(data[:2], "little") % (len(log) + 1)
    options = SMALL if data[2:HEAD] > b"\x7f" else None
    laws.check_all(log, cut, options, TARGETS[target])
