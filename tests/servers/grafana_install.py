"""Install what Grafana publishes of itself into .servers/grafana: its types and its components.

    python3 tests/servers/grafana_install.py

A Grafana server is published nowhere that a package client can reach. Its dashboard types (npm
`@grafana/schema`) and its panel components (`@grafana/ui`) are: the tests check dashboards against
the first, and draw panels with the second in a real browser. Needs npm and about 500 MB.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCE = Path(__file__).parent / "grafana"
HOME = Path(__file__).parents[2] / ".servers" / "grafana"
BUNDLE = (
    "--bundle",
    "--minify",
    "--format=esm",
    "--splitting",
    "--outdir=dist",
    *(f"--loader:.{kind}=dataurl" for kind in ("svg", "png", "woff2", "woff", "ttf")),
    '--define:process.env.NODE_ENV="production"',
    "--define:global=window",
    "--alias:react-custom-scrollbars-2=./scrollbars.js",
    "--jsx=transform",
    "--log-level=error",
)


def main() -> None:
    """Install what is missing, and bundle the page that draws panels where it changed."""
    HOME.mkdir(parents=True, exist_ok=True)
    packages = (SOURCE / "package.json").read_bytes()
    if _mark("packages") != packages.decode():
        if shutil.which("npm") is None:
            raise SystemExit("npm is missing; on Debian, as root: apt-get install npm")
        shutil.copy(SOURCE / "package.json", HOME)
        # No script of a package is run.
        options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
        subprocess.run(["npm", "install", *options], cwd=HOME, check=True)
        (HOME / ".packages").write_bytes(packages)
    sources = sorted(path for path in SOURCE.iterdir() if path.name != "package.json")
    made_of = b"".join(map(Path.read_bytes, (Path(__file__), *sources))) + packages
    digest = hashlib.sha256(made_of).hexdigest()
    if _mark("bundle") == digest:
        return
    for path in sources:
        shutil.copy(path, HOME)
    shutil.rmtree(HOME / "dist", ignore_errors=True)
    subprocess.run([HOME / "node_modules/.bin/esbuild", "view.jsx", *BUNDLE], cwd=HOME, check=True)
    shutil.copy(SOURCE / "index.html", HOME / "dist")
    # Where its components look for icons.
    images = HOME / "node_modules" / "@grafana" / "ui" / "dist" / "public"
    shutil.copytree(images, HOME / "dist" / "public" / "build")
    # And its font, which Grafana itself brings along.
    fonts = HOME / "dist" / "public" / "fonts" / "inter"
    fonts.mkdir(parents=True)
    for name, weight in (("Regular", 400), ("Medium", 500)):
        font = HOME / "node_modules/@fontsource/inter/files" / f"inter-latin-{weight}-normal.woff2"
        shutil.copy(font, fonts / f"Inter-{name}.woff2")
    (HOME / ".bundle").write_text(digest, encoding="utf-8")


def _mark(name: str) -> str:
    try:
        return (HOME / f".{name}").read_text(encoding="utf-8")
    except OSError:
        return ""


if __name__ == "__main__":
    main()
