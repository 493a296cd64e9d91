"""Named pipes and standard input, written by real programs."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from source.descriptors import none_left
from source.listening import Told, eventually
from source.receiving import receiving

from shipper.errors import MisconfiguredError, UnavailableError
from shipper.notices import Mended, Trouble
from shipper.source.base import Surroundings
from shipper.source.pipes import FifoSettings, StdinSettings
from shipper.source.receive import Receiver
from shipper.source.spool import Spool


def write(path: Path, data: bytes) -> None:
    """Open, write, close, as `printf … > fifo` does."""
    fd = os.open(path, os.O_WRONLY)
    try:
        while data:
            data = data[os.write(fd, data) :]
    finally:
        os.close(fd)


def test_tail_follows_a_log_into_the_pipe(tmp_path: Path) -> None:
    log, pipe = tmp_path / "audit.log", tmp_path / "fifo"
    log.write_bytes(b"one\ntwo\n")
    with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
        command = ["sh", "-c", 'exec tail -n +1 -F "$0" > "$1"', log, pipe]
        with subprocess.Popen(command) as tail:
            try:
                assert received.lines(2) == [b"one", b"two"]
                with log.open("ab") as file:
                    file.write(b"three\nfo")
                assert received.lines(3)[-1] == b"three"
            finally:
                tail.terminate()
        # The writer has gone: nobody will continue its line.
        assert received.lines(4)[-1] == b"fo"
        write(pipe, b"five\n")
        assert received.lines(5)[-1] == b"five"


def test_writers_come_and_go(tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    written = [b"%d\n" % number for number in range(200)]
    with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
        for line in written:
            write(pipe, line)
        received.lines(200)
        assert received.content == b"".join(written)


def test_much_at_once_and_lines_across_reads(tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    data = b"".join(b"%d %b\n" % (number, b"x" * (number % 999)) for number in range(5000))
    with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
        write(pipe, data)
        received.lines(5000)
        assert received.content == data


def test_what_is_in_the_pipe_at_the_stop_is_still_taken(tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    os.mkfifo(pipe)
    keep = os.open(pipe, os.O_RDWR)
    try:
        with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
            for number in range(100):
                os.write(keep, b"%d\n" % number)
        assert received.content == b"".join(b"%d\n" % number for number in range(100))
    finally:
        os.close(keep)


@pytest.mark.parametrize("mode", ["0600", "0620", "0622"])
def test_the_pipe_is_made_with_its_mode(mode: str, tmp_path: Path) -> None:
    settings = FifoSettings(path=str(tmp_path / "fifo"), mode=mode)  # type: ignore[arg-type]
    with receiving(settings, tmp_path):
        assert stat.S_IMODE((tmp_path / "fifo").stat().st_mode) == int(mode, 8)


def test_a_pipe_that_was_replaced_is_found_and_the_old_one_read_to_its_end(
    tmp_path: Path,
) -> None:
    pipe = tmp_path / "fifo"
    with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
        old = os.open(pipe, os.O_WRONLY)
        pipe.unlink()
        eventually(pipe.exists)  # made again
        write(pipe, b"new\n")
        assert received.lines(1) == [b"new"]
        os.write(old, b"old\n")
        os.close(old)
        assert received.lines(2) == [b"new", b"old"]


def test_a_file_in_the_place_of_the_pipe_is_told_until_it_has_gone(tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
        (tmp_path / "file").write_text("")
        (tmp_path / "file").rename(pipe)
        eventually(lambda: received.told.of(Trouble))
        assert "is not a named pipe" in received.told.of(Trouble)[0].detail
        pipe.unlink()
        eventually(lambda: received.told.of(Mended))
        write(pipe, b"again\n")
        assert received.lines(1) == [b"again"]
    assert len(received.told.of(Trouble)) == 1


def test_a_file_is_no_pipe_and_a_folder_must_exist(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    spool = Spool(tmp_path / "spool", "in")
    around = Surroundings(source="in", tell=Told())
    with pytest.raises(MisconfiguredError, match="not a named pipe"):
        Receiver(FifoSettings(path=str(tmp_path / "file")), spool, around)
    with pytest.raises(UnavailableError, match="cannot open the pipe"):
        Receiver(FifoSettings(path=str(tmp_path / "no" / "fifo")), spool, around)
    spool.close()


# --- standard input

READER = """
import sys, threading
from pathlib import Path
from shipper.source.base import Surroundings
from shipper.source.pipes import StdinSettings
from shipper.source.receive import Receiver
from shipper.source.spool import Spool

spool = Spool(Path(sys.argv[1]), "in")
receiver = Receiver(StdinSettings(), spool, Surroundings(source="in"))
receiver.run(threading.Event())
receiver.close()
spool.close()
"""


@pytest.mark.parametrize("through", ["pipe", "file"])
def test_standard_input_is_read_to_its_end(through: str, tmp_path: Path) -> None:
    data = b"".join(b"%d\n" % number for number in range(50_000)) + b"no end"
    (tmp_path / "file").write_bytes(data)
    command = [sys.executable, "-c", READER, str(tmp_path / "spool")]
    root = Path(__file__).parents[2]
    if through == "pipe":
        subprocess.run(command, input=data, check=True, cwd=root)
    else:
        with (tmp_path / "file").open("rb") as file:
            subprocess.run(command, stdin=file, check=True, cwd=root)
    spooled = b"".join(path.read_bytes() for path in sorted((tmp_path / "spool").iterdir()))
    assert spooled == data + b"\n"


def test_settings_say_their_type() -> None:
    assert StdinSettings.__struct_config__.tag == "stdin"
    assert FifoSettings.__struct_config__.tag == "fifo"


def test_a_pipe_that_cannot_be_opened_again_at_once_is_opened_later(tmp_path: Path) -> None:
    pipe = tmp_path / "fifo"
    with receiving(FifoSettings(path=str(pipe)), tmp_path) as received:
        # Another process, so that its end gives back no number that the pipe could be opened with.
        writer = subprocess.Popen(
            ["sh", "-c", 'exec 3>"$1"; echo one >&3; exec sleep 600', "", pipe]
        )
        try:
            received.lines(1)
            with none_left():
                writer.kill()
                eventually(lambda: received.told.of(Trouble))
        finally:
            writer.kill()
            writer.wait()
        eventually(lambda: received.told.of(Mended))
        write(pipe, b"two\n")
        assert received.lines(2) == [b"one", b"two"]
