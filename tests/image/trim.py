"""Last step of the image's build stage: `python3 trim.py FOLDER`. Standard library only.

Leaves out what no command of ours uses, and compiles the rest. Bytecode is checked by nothing at
run time (the image cannot change), so that it does not depend on time stamps: the same input gives
the same bytes.
"""

from __future__ import annotations

import compileall
import py_compile
import shutil
import sys
from pathlib import Path

# Tests of libraries. opensearch-py asks for gRPC and its messages, and imports them nowhere: 24 MB.
UNUSED_FOLDERS = ("tests", "testing/suite", "__pycache__")
UNUSED_PACKAGES = ("grpc", "google", "opensearch")
KEPT_PROGRAMS = ("audit-shipper",)


def trim(folder: Path) -> None:
    for pattern in UNUSED_FOLDERS:
        for found in sorted(folder.rglob(pattern)):
            shutil.rmtree(found, ignore_errors=True)
    for package in UNUSED_PACKAGES:
        shutil.rmtree(folder / package)
    for program in (folder / "bin").iterdir():
        if program.name not in KEPT_PROGRAMS:
            program.unlink()
    # Which pip installed from where, and when: the one thing that differs from build to build.
    for name in ("direct_url.json", "REQUESTED"):
        for found in folder.glob(f"*.dist-info/{name}"):
            found.unlink()


def compile_all(folder: Path) -> bool:
    return compileall.compile_dir(
        str(folder),
        quiet=1,
        stripdir="",
        invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
        workers=1,
    )


if __name__ == "__main__":
    target = Path(sys.argv[1])
    trim(target)
    sys.exit(not compile_all(target))
