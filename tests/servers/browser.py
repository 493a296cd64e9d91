"""A real Chromium without a window, driven by Playwright: Debian's package, nothing downloaded."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from servers import need

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

# A bundle of several megabytes on a loaded machine.
PATIENCE_MILLISECONDS = 90_000
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


class Opened:
    """One page, with everything that it said and asked for."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console: list[str] = []
        self.dialogs: list[str] = []
        self.requests: list[str] = []
        page.set_default_timeout(PATIENCE_MILLISECONDS)
        page.on("console", lambda message: self.console.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: self.console.append(f"error: {error}"))
        page.on("request", lambda request: self.requests.append(request.url))
        page.on("dialog", self._dismiss)

    def _dismiss(self, dialog: Any) -> None:
        self.dialogs.append(dialog.message)
        dialog.dismiss()

    def elsewhere(self, home: str) -> list[str]:
        """What it asked of anybody but its own server or file."""
        return [url for url in self.requests if not url.startswith((home, "data:"))]


@contextmanager
def chromium() -> Iterator[Browser]:
    """Start it; it is stopped whatever happens."""
    program = need("chromium")
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 only where it is used

    options = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=options)
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def opened(browser: Browser, size: dict[str, int] = DESK, **context: Any) -> Iterator[Opened]:
    """A page of its own, that remembers nothing of others."""
    made = browser.new_context(viewport=size, **context)
    try:
        yield Opened(made.new_page())
    finally:
        made.close()


def shot(page: Page, path: Path, *, whole: bool = True) -> None:
    """Photograph a page."""
    path.parent.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=path, full_page=whole, animations="disabled")
