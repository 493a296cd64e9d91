"""Plain bytes out of plain, compressed and encrypted files."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from source.archives import (
    PASSWORD,
    drained,
    encrypt,
    gzip,
    lines,
    member,
    opened,
    openssl,
    passwords,
)

from shipper.errors import DamagedError, UnavailableError, WrongPasswordError
from shipper.source.archive import open_stream
from shipper.source.gunzip import Gunzip
from shipper.source.passwords import Password, Passwords, PasswordSettings
from shipper.source.stream import PlainStream, Stream, fileno

LOG = lines(3000)
EXAMPLES = settings(
    max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None
)

# What a tool or a server makes of the log.
WHOLE: dict[str, Callable[[bytes], bytes]] = {
    "plain": bytes,
    "gzip": gzip,
    "gzip -1, several members": lambda plain: gzip(plain[:9999], level=1) + gzip(plain[9999:]),
    "members by the line": lambda plain: b"".join(map(member, plain.splitlines(keepends=True))),
    "gzip with padding": lambda plain: gzip(plain[:777]) + bytes(999) + gzip(plain[777:]) + b"\0",
    "openssl, EVP_BytesToKey": openssl,
    "openssl, PBKDF2": lambda plain: openssl(plain, "-pbkdf2"),
    "gzip, then openssl": lambda plain: openssl(gzip(plain)),
    "two members, then encrypted": lambda plain: encrypt(gzip(plain[:50]) + member(plain[50:])),
}


def written(folder: Path, content: bytes, name: str = "audit.log") -> Path:
    path = folder / name
    path.write_bytes(content)
    return path


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("plain", [LOG, LOG[:16], b"[", b""], ids=["log", "block", "byte", "none"])
def test_a_whole_file_gives_its_plain_bytes(
    make: Callable[[bytes], bytes], plain: bytes, tmp_path: Path
) -> None:
    content = make(plain)
    stream = opened(written(tmp_path, content))
    assert drained(stream) == plain
    assert stream.ended == (content[:2] in (b"\x1f\x8b", b"Sa"))
    stream.close()


@pytest.mark.parametrize("make", WHOLE.values(), ids=WHOLE)
@given(reads=st.lists(st.tuples(st.integers(0, 1200), st.integers(0, 500)), max_size=30))
@example(reads=[(0, 500), (500, 500), (400, 500), (1200, 1), (0, 1), (16, 16), (15, 18)])
@EXAMPLES
def test_any_reads_give_slices(
    make: Callable[[bytes], bytes], reads: list[tuple[int, int]], tmp_path: Path
) -> None:
    plain = LOG[:1000]
    stream = opened(written(tmp_path, make_once(make, plain)))
    with contextlib.closing(stream):
        for offset, size in reads:
            data = stream.read(offset, size)
            assert data == plain[offset : offset + len(data)]
            assert bool(data) == (size > 0 and offset < len(plain))


_MADE: dict[tuple[Callable[[bytes], bytes], bytes], bytes] = {}


def make_once(make: Callable[[bytes], bytes], plain: bytes) -> bytes:
    """Make the archive once for all examples."""
    if (make, plain) not in _MADE:
        _MADE[make, plain] = make(plain)
    return _MADE[make, plain]


LIVE: dict[str, bytes] = {
    "plain": LOG[:600],
    "gzip": member(LOG[:600], flush_every=100),
    "members": b"".join(map(member, LOG[:600].splitlines(keepends=True))),
    "encrypted": encrypt(LOG[:600]),
    "gzip, encrypted": encrypt(member(LOG[:600], flush_every=100)),
    "looks padded inside": encrypt(LOG[:47] + bytes([1]) + bytes([16]) * 16 + LOG[:536]),
}


@pytest.mark.parametrize("content", LIVE.values(), ids=LIVE)
@given(cuts=st.lists(st.integers(0, 800), max_size=20))
@example(cuts=list(range(800)))
@EXAMPLES
def test_a_live_file_is_followed_as_it_grows(
    content: bytes, cuts: list[int], tmp_path: Path
) -> None:
    path = written(tmp_path, b"")
    stream = opened(path)
    got = b""
    with contextlib.closing(stream), path.open("ab", buffering=0) as file:
        at = 0
        for cut in sorted({*(min(cut, len(content)) for cut in cuts), len(content)}):
            at += file.write(content[at:cut])
            got += drained(stream, offset=len(got), size=77)
        whole = opened(path)
        assert got == drained(whole)
        whole.close()
        assert stream.ended == (content[:2] != LOG[:2])


@pytest.mark.parametrize("make", [gzip, lambda plain: encrypt(gzip(plain)), encrypt])
def test_a_file_cut_short_gives_what_is_there_and_has_not_ended(
    make: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    content = make(LOG)
    stream = opened(written(tmp_path, content[: len(content) // 2]))
    data = drained(stream)
    assert LOG.startswith(data)
    assert len(data) > len(LOG) // 4
    assert not stream.ended
    stream.close()


def flip(content: bytes, at: int) -> bytes:
    return content[:at] + bytes([content[at] ^ 0x10]) + content[at + 1 :]


@given(place=st.floats(0.05, 1, exclude_max=True), size=st.sampled_from([50, 4096, 10**6]))
@example(place=0.9996843296149306, size=50)
@settings(EXAMPLES, max_examples=25)
def test_damaged_gzip_gives_every_byte_before_the_damage(
    place: float, size: int, tmp_path: Path
) -> None:
    first, second = member(LOG[:5000]), member(LOG[5000:])
    content = flip(first + second, len(first) + int(len(second) * place))
    stream = opened(written(tmp_path, content))
    with contextlib.closing(stream):
        damage = damage_of(stream, size)
        if damage is None:
            # A bit that nobody reads (a time, a flag), or one that made the end look like content:
            # then the file looks like one that is still written.
            got = drained(stream)
            assert got == LOG or not stream.ended
            assert got.startswith(LOG[:5000])
            return
        assert damage.verified in {5000, damage.good}
        assert damage.good >= 5000
        assert stream.read(0, 5000) == LOG[:5000]
        again = b"".join(pieces(stream, damage.good, size))
        assert len(again) == damage.good
        with pytest.raises(DamagedError):
            stream.read(damage.good, size)


def damage_of(stream: Stream, size: int) -> DamagedError | None:
    try:
        read_until_damage(stream, size)
    except DamagedError as error:
        return error
    return None


def read_until_damage(stream: Stream, size: int) -> bytes:
    got = b""
    while data := stream.read(len(got), size):
        got += data
    return got


def pieces(stream: Stream, upto: int, size: int) -> Iterator[bytes]:
    at = 0
    while at < upto:
        data = stream.read(at, min(size, upto - at))
        yield data
        at += len(data)


def test_bytes_before_the_damage_are_those_that_gzip_itself_gives(tmp_path: Path) -> None:
    content = flip(gzip(LOG), len(gzip(LOG)) // 2)
    path = written(tmp_path, content, "audit.log.gz")
    theirs = subprocess.run(["gzip", "-dc", path], capture_output=True, check=False)
    assert theirs.returncode == 1
    stream = opened(path)
    with pytest.raises(DamagedError, match=r"audit\.log\.gz: damaged gzip") as caught:
        read_until_damage(stream, 4096)
    ours = b"".join(pieces(stream, caught.value.good, 4096))
    stream.close()
    assert len(ours) > len(LOG) // 4
    # gzip writes whole windows only.
    assert ours.startswith(theirs.stdout) or theirs.stdout.startswith(ours)


def test_bytes_behind_a_member_that_are_no_gzip_are_damage(tmp_path: Path) -> None:
    stream = opened(written(tmp_path, gzip(LOG) + b"what is this"))
    with pytest.raises(DamagedError, match="no gzip at byte") as caught:
        read_until_damage(stream, 4096)
    assert caught.value.good == caught.value.verified == len(LOG)
    assert not stream.ended
    stream.close()


class Counting(PlainStream):
    """A plain file that knows how much was read of it."""

    count = 0

    def read(self, offset: int, size: int) -> bytes:
        data = super().read(offset, size)
        self.count += len(data)
        return data


def test_readers_at_several_places_do_not_make_each_other_begin_again(tmp_path: Path) -> None:
    plain = lines(200_000)  # 17 MB in one member
    content = member(plain)
    inner = Counting(os.open(written(tmp_path, content), os.O_RDONLY))
    stream = Gunzip(inner, "audit.log.gz")
    places = [0, len(plain) // 4, len(plain) // 2]
    size = 64 * 1024
    while min(places) < len(plain):
        for number, offset in enumerate(places):
            data = stream.read(offset, size)
            assert data == plain[offset : offset + len(data)]
            places[number] = offset + len(data)
    stream.close()
    # The way of each from the start, once, and what is read ahead.
    assert inner.count <= 3 * len(content) + 3 * size


# --- passwords

ID = "20180110T130749-1"


def test_percona_gives_password_and_iterations_as_json(tmp_path: Path) -> None:
    name = f"audit_filter.20250401T120000.log.gz.{ID}.enc"
    path = written(tmp_path, openssl(gzip(LOG), "-pbkdf2", "-iter", "56789"), name)
    secret = msgspec.json.encode({"password": PASSWORD, "iterations": 56789}).decode()
    known = Passwords(PasswordSettings(by_id=(Password(id=ID, password=secret),)))
    stream = opened(path, known)
    assert drained(stream) == LOG
    stream.close()


def test_plain_password_with_its_iterations(tmp_path: Path) -> None:
    path = written(tmp_path, encrypt(LOG, iterations=1234), f"audit.log.{ID}.enc")
    known = Passwords(
        PasswordSettings(by_id=(Password(id=ID, password=PASSWORD, iterations=1234),))
    )
    stream = opened(path, known)
    assert drained(stream) == LOG
    stream.close()


def test_a_password_file_may_come_later(tmp_path: Path) -> None:
    path = written(tmp_path, openssl(LOG), f"audit.log.{ID}.enc")
    known = Passwords(PasswordSettings(directory=str(tmp_path)))
    with pytest.raises(WrongPasswordError, match=rf"id is {ID}; looked for in .*{tmp_path}/{ID}"):
        opened(path, known)
    (tmp_path / ID).write_text(PASSWORD + "\n")
    stream = opened(path, known)
    assert drained(stream) == LOG
    stream.close()


def test_an_archive_without_an_id_is_tried_with_every_password(tmp_path: Path) -> None:
    path = written(tmp_path, openssl(LOG), "audit.20180115T140633.log.enc")
    known = Passwords(
        PasswordSettings(
            by_id=(Password(id=ID, password="no"), Password(id=ID + "2", password=PASSWORD)),
            default="neither",
        )
    )
    stream = opened(path, known)
    assert drained(stream) == LOG
    stream.close()


@pytest.mark.parametrize("make", [openssl, lambda plain: openssl(gzip(plain)), encrypt])
@pytest.mark.parametrize("plain", [LOG, LOG[:10]])
def test_a_wrong_password_is_told_and_the_file_closed(
    make: Callable[[bytes], bytes], plain: bytes, tmp_path: Path
) -> None:
    path = written(tmp_path, make(plain), "audit.log.enc")
    fd = os.open(path, os.O_RDONLY)
    with pytest.raises(WrongPasswordError, match="no known password opens it") as caught:
        open_stream(fd, str(path), passwords("sesame"))
    assert PASSWORD not in str(caught.value)
    assert "sesame" not in str(caught.value)
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(fd)


def test_a_damaged_start_is_no_wrong_password(tmp_path: Path) -> None:
    content = flip(openssl(LOG), 20)
    stream = opened(written(tmp_path, content))
    data = drained(stream)
    assert data[32:] == LOG[32:]
    assert data[:16] != LOG[:16]
    stream.close()


def test_damage_in_an_encrypted_gzip_is_damage(tmp_path: Path) -> None:
    content = openssl(gzip(LOG))
    stream = opened(written(tmp_path, flip(content, len(content) // 2)))
    with pytest.raises(DamagedError):
        drained(stream)
    stream.close()


def test_a_live_encrypted_file_with_a_wrong_password_tells_when_it_can(tmp_path: Path) -> None:
    path = written(tmp_path, b"")
    stream = opened(path, passwords("sesame"))
    assert stream.read(0, 10) == b""
    path.write_bytes(openssl(LOG))
    with pytest.raises(WrongPasswordError):
        stream.read(0, 10)
    stream.close()


def test_two_passwords_of_one_id_are_a_mistake() -> None:
    twice = Password(id=ID, password="a")
    problems = list(PasswordSettings(by_id=(twice, twice)).problems())
    assert problems == [f"by_id: {ID} stands here twice"]


def test_a_plain_file_can_be_asked_for_its_descriptor(tmp_path: Path) -> None:
    plain, wrapped = opened(written(tmp_path, LOG)), opened(written(tmp_path, gzip(LOG), "gz"))
    fd = fileno(plain)
    assert fd is not None
    assert os.fstat(fd).st_size == len(LOG)
    assert fileno(wrapped) is fileno(None) is None
    plain.close()
    wrapped.close()


def test_a_file_that_cannot_be_read_is_unavailable(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError, match="Is a directory"):
        opened(tmp_path)


# --- memory

MEASURE = """
import os, sys
from pathlib import Path
from archives import opened

def kib(what):
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith(what)))

stream = opened(Path(sys.argv[1]))
stream.read(0, 1)
before = kib("VmRSS")
at = 0
while data := stream.read(at, 128 * 1024):
    at += len(data)
stream.read(at - 1_000_000, 10)
print(at, kib("VmHWM") - before)
"""


def test_an_archive_of_200_mb_takes_a_few_mb_of_memory(tmp_path: Path) -> None:
    part = lines(20_000)
    count = -(-200_000_000 // len(part))
    path = written(tmp_path, encrypt(member(part * count)), "audit.log.gz.enc")
    folders = (Path(__file__).parent, Path(__file__).parents[2])
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, path],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, folders))},
    )
    size, kib = map(int, done.stdout.split())
    assert size == len(part) * count
    assert kib < 8 * 1024
