"""The heap of the C library, told that blocks come and go.

glibc returns freed memory to the system as soon as 128 KiB of it lie at the end of the heap, and
maps larger pieces one by one. A pipeline that makes and drops a block's worth of bytes each time
then takes a page fault for every 4 KiB it touches, a tenth to a fifth of its whole time.
"""

from __future__ import annotations

import ctypes
from typing import Final

# mallopt(3), malloc.h.
_M_TRIM_THRESHOLD: Final = -1
_M_MMAP_THRESHOLD: Final = -3

# What may stay at the end of the heap: two batches of bulk lines and the records they are made of.
KEPT_BYTES: Final = 8 * 1024 * 1024
# Larger pieces are rare (a record of megabytes): they go back to the system at once.
LARGE_BYTES: Final = 4 * 1024 * 1024


def keep() -> bool:
    """Let this process keep its blocks' memory; False where the C library has no such setting."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:  # musl keeps by itself
        return False
    return bool(mallopt(_M_TRIM_THRESHOLD, KEPT_BYTES) and mallopt(_M_MMAP_THRESHOLD, LARGE_BYTES))
