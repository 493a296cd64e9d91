"""Every panel over metrics: asked of a real Prometheus that scraped the real daemon, and drawn."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from boards.asking import METRICS, board, panels, results
from boards.drawing import drawn
from boards.scenario import GUESSER, HOSTILE, SPRAYER, Stage, stage
from command import audit_shipper
from servers.browser import DESK, PHONE, chromium, opened

if TYPE_CHECKING:
    from playwright.sync_api import Browser

SECONDS = 900  # the scenario lies in it, also where a loaded machine takes long for all of this
# Panels that are empty where all is well, and why the scenario leaves them so.
QUIET = {
    "Refused changes of user": "the writer's layout has them, the scenario nobody who tries",
    "Without a series of their own": "fewer names than there is room for",
    "Auditing switched on and off": "the server runs on",
    "Left out on purpose": "no filter is configured",
    "Refused by targets, and dropped": "no target refuses a record",
    "Lost for good": "nothing is lost",
    "Senders sent away": "the source is a file",
}


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("scenario")) as running:
        running.play()
        yield running


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


def numbers(series: list[Any]) -> list[float]:
    return [
        float(value)
        for one in series
        for _, value in (one.get("values") or [one["value"]])
        if value != "NaN"
    ]


@pytest.mark.parametrize("name", METRICS)
def test_every_query_has_an_answer(played: Stage, name: str) -> None:
    made = board(name)
    answers, _ = results(played.prometheus, made, seconds=SECONDS)
    for panel in panels(made):
        for target, series in zip(panel["targets"], answers[panel["id"]], strict=True):
            if panel["title"] in QUIET:
                assert not numbers(series), panel["title"]
            else:
                assert numbers(series), f"{panel['title']} {target['refId']}: {target['expr']}"


def value_of(played: Stage, name: str, title: str) -> dict[str, float]:
    """What a panel of instant queries shows: by the values of its labels."""
    made = board(name)
    (panel,) = [panel for panel in panels(made) if panel["title"] == title]
    answers, _ = results(played.prometheus, {"panels": [panel]}, seconds=SECONDS)
    return {
        " ".join(one["metric"].values()): float(one["value"][1]) for one in answers[panel["id"]][0]
    }


def test_what_panels_show_is_what_was_written(played: Stage) -> None:
    accounts = value_of(played, "logins", "Accounts refused")
    assert (accounts["root"], accounts[HOSTILE], accounts["report"]) == (30, 1, 1)
    addresses = value_of(played, "logins", "Addresses refused")
    assert (addresses[GUESSER], addresses[SPRAYER]) == (30, 8)
    assert value_of(played, "logins", "New addresses").keys() >= {GUESSER, SPRAYER}
    assert value_of(played, "logins", "Accounts/address") == {"": 8}
    assert value_of(played, "logins", "Audit log") == {"": 1}
    assert value_of(played, "pipeline", "Targets down") == {"": 1}
    assert value_of(played, "pipeline", "Unaccounted") == {"": 0}
    assert value_of(played, "pipeline", "Gaps") == {"": 0}
    rules = {key.split()[-1] for key in value_of(played, "logins", "Findings")} | {
        key.split()[0] for key in value_of(played, "logins", "Findings")
    }
    assert {"source_burst", "password_spray", "success_after_burst"} <= rules


@pytest.mark.parametrize("name", METRICS)
def test_grafanas_own_components_draw_every_panel(
    played: Stage, browser: Browser, name: str
) -> None:
    made = board(name)
    answers, end = results(played.prometheus, made, seconds=SECONDS)
    with drawn(browser, made, answers, end=end, seconds=SECONDS) as it:
        assert it.console == []
        assert it.dialogs == []
        for panel in panels(made):
            shown = it.page.locator(f"#panel-{panel['id']}")
            assert panel["title"] in shown.inner_text()
            empty = not any(map(numbers, answers[panel["id"]]))
            if panel["type"] == "timeseries" and not empty:
                assert shown.locator("canvas").count() == 1
            if empty:
                assert panel["fieldConfig"]["defaults"]["noValue"] in shown.inner_text()


# --- the status page of the same daemon --------------------------------------------------------


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_status_page_in_a_browser(
    played: Stage, browser: Browser, size: dict[str, int]
) -> None:
    with opened(browser, size) as it:
        it.page.goto(f"{played.shipper}/status")
        assert it.console == []
        assert it.elsewhere(f"{played.shipper}/") == []
        text = it.page.inner_text("body")
        for wanted in (
            "Audit log of shop-db-0",
            "search takes nothing from audit",
            "password_spray",
            GUESSER,
            HOSTILE,
            "audit.log.1",
        ):
            assert wanted in text
        assert it.page.locator("img, script").count() == 0
        assert it.dialogs == []
        assert it.page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def test_the_status_document(played: Stage) -> None:
    document = played.get("/status.json")
    (source,) = document["sources"]
    lanes = {lane["sink"]: lane for lane in source["lanes"]}
    assert lanes["store"]["records"] == played.log.records
    assert lanes["store"]["pending_bytes"] == 0
    assert lanes["search"]["pending_bytes"] > 0
    assert lanes["search"]["failure"]
    size = sum(path.stat().st_size for path in played.folder.glob("audit.log*"))
    assert sum(each["size"] for each in source["segments"]) == size
    refused = {one["user"]: one["count"] for one in document["logins"]["refused"]}
    assert (refused["root"], refused[HOSTILE]) == (30, 1)
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", document["now"])


def test_the_scenario_is_in_a_store_that_a_report_is_made_of(
    played: Stage, browser: Browser, tmp_path: Path
) -> None:

    page = tmp_path / "report.html"
    store = f"sqlite:{played.store}"
    done = audit_shipper("report", "failed-logins", "--store", store, "--html", page)
    assert (done.returncode, done.stderr) == (0, b"")
    assert page.stat().st_mode & 0o777 == 0o600
    with opened(browser) as it:
        it.page.goto(page.as_uri())
        assert it.console == []
        assert it.elsewhere(page.as_uri()) == []
        assert "40 failed logins" in it.page.inner_text("body")
        assert HOSTILE in it.page.inner_text("body")
        assert it.page.locator("svg rect").count() >= 4
