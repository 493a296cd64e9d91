"""Seeds and dictionaries: `python -m fuzz.seeds NAME DIRECTORY` writes both for one target."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path

from corpus.event import KINDS, Event
from corpus.strategies import LOOKALIKES
from corpus.writers import WRITERS, log
from fuzz.replay import ALL, HEAD, TARGETS

SIZE_MAX = 4096
SAMPLES = Path(__file__).parents[1] / "samples"
_WORD = re.compile(rb'</?[A-Z_]{2,}>?|"?[A-Za-z_-]{2,}"?[:=]?|[,{}\[\]"]{2,}')


def logs(name: str) -> Iterator[bytes]:
    """Give intact logs of the layouts that a target reads."""
    readers = {format_.__name__ for format_ in TARGETS[name]}
    events = [
        Event(kind=kind, sequence=number, sql="SELECT 'a\\b', \"c\" < 1\n\t& 2")
        for number, kind in enumerate(KINDS)
    ]
    for layout in WRITERS:
        if layout.reader in readers or (layout.wrapped and "Syslog" in readers):
            yield log(layout, [layout.fit(event) for event in events])
    for sample in sorted(SAMPLES.glob("*/*" if name == ALL else f"{name}/*")):
        if not sample.name.endswith(".expected.jsonl"):
            yield sample.read_bytes()


def dictionary(texts: list[bytes]) -> str:
    """Write libFuzzer's dictionary: the words of the layouts, and what attackers would write."""
    words = {word for text in texts for word in _WORD.findall(text)}
    words |= {text.encode() for text in LOOKALIKES} | {b"\n", b"&#10;", b'""', b"\xef\xbb\xbf"}
    lines = ("".join(f"\\x{byte:02x}" for byte in word[:60]) for word in sorted(words)[:2000])
    return "".join(f'"{line}"\n' for line in lines)


def main() -> None:
    """Write the seeds of one target, and beside them its dictionary."""
    name, directory = sys.argv[1], Path(sys.argv[2])
    texts = list(logs(name))
    Path(f"{directory}.dict").write_text(dictionary(texts), encoding="ascii")
    for number, text in enumerate(texts):
        head = (len(text) // 2).to_bytes(2, "little") + bytes([number % 2 * 255])
        seed = head + text[: SIZE_MAX - HEAD]
        (directory / f"{number:03}").write_bytes(seed)


if __name__ == "__main__":
    main()
