"""Status page and report in a real browser, with names that attackers choose."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from clocks import FakeClock
from report.failing import HOSTILE_NAMES, row
from servers.browser import DESK, PHONE, chromium, opened

from shipper.detection import Detection, Sample
from shipper.model import CONNECT, AuditRecord
from shipper.notices import Detected, Refused, Trouble
from shipper.observe.http import Endpoint, HttpSettings
from shipper.observe.recent import Recent
from shipper.observe.status import (
    LaneStatus,
    SegmentStatus,
    SourceStatus,
    Standing,
    status_routes,
)
from shipper.report.failed_logins import analyse
from shipper.report.html import to_html
from shipper.report.result import About
from shipper.terminal import printable

if TYPE_CHECKING:
    from playwright.sync_api import Browser

PASSWORD = "a password"  # noqa: S105 of a server of this test
MARKUP = (
    "<script>document.title='owned'</script>",
    '"><img src="http://192.0.2.1/x.png" onerror="alert(1)">',
    "</style><style>body{display:none}</style>",
    "<svg onload=alert(1)>",
    "<meta http-equiv=refresh content='0;url=http://192.0.2.1/'>",
    "javascript:alert(1)",
    "&lt;b&gt;",
)
NAMES = (*HOSTILE_NAMES, *MARKUP)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def record(name: str) -> AuditRecord:
    return AuditRecord(kind=CONNECT, name="Connect", format="percona-json", status=1045,
                       timestamp="2026-03-01T10:00:00Z", user=name, host=name)  # fmt: skip


@pytest.fixture
def page() -> Iterator[Endpoint]:
    """The endpoint, with a page on which every text is hostile."""
    clock = FakeClock()
    recent = Recent(clock)
    recent.see([record(name) for name in NAMES], "audit")
    for number, name in enumerate(NAMES):
        found = Detection("source_burst", Sample(name, number), 20, 1, 2, user=name, source=name)
        recent.hear(Detected("audit", found))
        recent.hear(Trouble("audit", f"sink{number}", name))
        recent.hear(Refused("audit", f"sink{number}", "mapping", 1, name))
    source = SourceStatus(
        name="audit",
        segments=[SegmentStatus(f"/var/{name}", 10, 5, closed=False) for name in NAMES],
        lanes=[LaneStatus("search", 5)],
        failed=list(NAMES),
        spraying=[(name, 9) for name in NAMES],
        counted=True,
    )
    routes = status_routes(lambda: Standing("1.0", "db-1", [source]), recent, clock)
    settings = HttpSettings(host="127.0.0.1", port=0, password=PASSWORD)
    endpoint = Endpoint(settings, routes)
    endpoint.start()
    try:
        yield endpoint
    finally:
        endpoint.close()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_hostile_names_on_the_status_page(
    browser: Browser, page: Endpoint, size: dict[str, int]
) -> None:
    home = f"http://127.0.0.1:{page.port}/"
    login = {"username": "metrics", "password": PASSWORD}
    with opened(browser, size, http_credentials=login) as it:
        it.page.goto(f"{home}status")
        assert it.page.title() == "audit-shipper db-1"
        assert (it.console, it.dialogs, it.elsewhere(home)) == ([], [], [])
        text = it.page.locator("body").inner_text()
        for name in MARKUP:
            assert printable(name) in text
        assert "…(+" in text  # of 10 kB, 160 characters
        assert not set(text) & set("\x1b\x9b\u202e\u202c")
        assert it.page.locator("img, script, iframe, svg[onload]").count() == 0
        assert it.page.evaluate("getComputedStyle(document.body).display") != "none"
        assert it.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_page_needs_the_password(browser: Browser, page: Endpoint) -> None:
    wrong = base64.b64encode(b"metrics:guess").decode()
    with opened(browser, extra_http_headers={"Authorization": f"Basic {wrong}"}) as it:
        reply = it.page.request.get(f"http://127.0.0.1:{page.port}/status.json")
        assert reply.status == 401
        assert b"audit" not in reply.body()


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_hostile_names_in_the_report(
    browser: Browser, tmp_path: Path, size: dict[str, int]
) -> None:
    rows = [row(3600 * index, name, name) for index, name in enumerate(NAMES)]
    rows += [row(second, name, "", host=name) for name in NAMES for second in range(6)]
    file = tmp_path / "report.html"
    file.write_bytes(to_html(analyse(rows), about=About(store="sqlite:<b>"), top=100))
    with opened(browser, size) as it:
        it.page.goto(file.as_uri())
        assert it.page.title() == "Failed logins"
        assert (it.console, it.dialogs, it.elsewhere(file.as_uri())) == ([], [], [])
        text = it.page.locator("body").inner_text()
        for name in MARKUP:
            assert printable(name) in text
        assert not set(text) & set("\x1b\x9b\u202e\u202c")
        assert it.page.locator("img, script, iframe").count() == 0
        assert it.page.evaluate("document.documentElement.scrollWidth") <= size["width"]
