"""Draws Grafana panels with Grafana's own components, in a real browser."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from servers.browser import Opened, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

GRAFANA = Path(__file__).parents[2] / ".servers" / "grafana"


def need_grafana() -> Path:
    """Skip without Grafana's packages, or fail where REQUIRE_SERVERS=1."""
    if not (GRAFANA / ".bundle").exists():
        reason = "Grafana's packages are not installed: run `make servers`"
        if os.environ.get("REQUIRE_SERVERS") == "1":
            pytest.fail(reason)
        pytest.skip(reason)
    return GRAFANA


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 http.server's name
        pass


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """A folder over HTTP on a free port of the loopback."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=folder))
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.1,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def drawn(
    browser: Browser, dashboard: Any, results: dict[int, Any], *, end: float, seconds: int
) -> Iterator[Opened]:
    """The page with all panels drawn."""
    with (
        served(need_grafana() / "dist") as url,
        opened(browser, {"width": 1380, "height": 1000}) as it,
    ):
        it.page.goto(url)
        it.page.wait_for_function("window.show !== undefined")
        told = {"dashboard": dashboard, "results": results, "from": end - seconds, "to": end}
        it.page.evaluate("told => window.show(told)", told)
        it.page.wait_for_function("window.drawn === true")
        yield it
