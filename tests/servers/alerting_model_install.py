"""Install the Alerting plugin's model classes, and compile the program that reads monitors by them.

From Maven Central, into `.servers/alerting-model`. The classes stand on OpenSearch 2.19's libraries
(`opensearch_install.py`). Running it again costs nothing.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

SERVERS = Path(__file__).parents[2] / ".servers"
ROOT = SERVERS / "alerting-model"
SOURCE = Path(__file__).parent / "alerting_model" / "Check.java"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
# SHA-256 of what must come -> coordinates of the artifact.
ARTIFACTS = {
    "b2bb57aa9f551eb9d8e03c3ef23afd17f43d4476d3ffd4eeed6e8f4cf02571e3": (
        "org.opensearch:common-utils:2.19.4.0:jar"
    ),
    "042a1cd1ac976cdcfe5eb63f1d8e0b0b892c9248e15a69c8cfba495d546ea52a": (
        "org.jetbrains.kotlin:kotlin-stdlib:1.8.21:jar"
    ),
    "236c606093fd81e69274a5fc8b56f6b5be8fdf22d16ddf6841098486ef6cf12c": (
        "com.cronutils:cron-utils:9.1.6:jar"
    ),
    "d3ef575e3e4979678dc01bf1dcce51021493b4d11fb7f1be8ad982877c16a1c0": (
        "org.slf4j:slf4j-api:1.7.36:jar"
    ),
    "ec87bfb55f22cbd1b21e2190eeda28b2b312ed2a431ee49fbdcc01812d04a5e4": (
        "commons-codec:commons-codec:1.16.1:jar"
    ),
}


def main() -> int:
    """Install what is missing."""
    if (ROOT / "Check.class").exists():
        return 0
    missing = [name for name in ("mvn", "javac") if shutil.which(name) is None]
    if missing:
        print(f"alerting model: needs {' and '.join(missing)}", file=sys.stderr)
        return 2
    ROOT.mkdir(parents=True, exist_ok=True)
    for digest, artifact in ARTIFACTS.items():
        command = ["mvn", "-q", "-B", COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={ROOT}"]
        subprocess.run(command, check=True, cwd=ROOT)
        _, name, version, _ = artifact.split(":")
        found = hashlib.sha256((ROOT / f"{name}-{version}.jar").read_bytes()).hexdigest()
        if found != digest:
            print(f"alerting model: {artifact} has SHA-256 {found}", file=sys.stderr)
            return 1
    classes = f"{ROOT}/*:{SERVERS}/opensearch/secure/lib/*"
    subprocess.run(["javac", "-nowarn", "-d", ROOT, "-cp", classes, SOURCE], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
