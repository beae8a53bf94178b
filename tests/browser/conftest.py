"""A browser, a served club, and pages that are watched for what a strict page never does."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from local.template import ROOT
from tests.browser.club import Club, chromium, launch, serving

SCREENSHOTS = ROOT / "build" / "screenshots"
OpenPage = Callable[..., Page]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep these tests on one worker (with `--dist loadgroup`), so that one club is filled and not one for each."""
    for item in items:
        if item.path.is_relative_to(ROOT / "tests" / "browser"):
            item.add_marker(pytest.mark.xdist_group("browser"))


@pytest.fixture(scope="session")
def club() -> Iterator[Club]:
    if chromium() is None:
        pytest.skip("there is no browser here: install chromium, or name one in CHROMIUM")
    with serving() as served:
        yield served


@pytest.fixture(scope="module")
def browser(club: Club) -> Iterator[Browser]:
    # For one module, and no longer: while it runs, no other loop of asyncio can run in this thread.
    with sync_playwright() as playwright:
        started = launch(playwright)
        yield started
        started.close()


class Watch:
    """Everything that a page asked for and complained of."""

    def __init__(self) -> None:
        self.requests: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.complaints: list[str] = []

    def on(self, page: Page) -> None:
        def requested(request: Any) -> None:
            self.requests.append(request.url)
            self.headers.append(request.headers)

        def said(message: Any) -> None:
            if message.type in {"error", "warning"}:
                self.complaints.append(message.text)

        page.on("request", requested)
        page.on("console", said)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))


@pytest.fixture
def watch() -> Watch:
    return Watch()


@pytest.fixture
def open_page(browser: Browser, club: Club, watch: Watch, request: pytest.FixtureRequest) -> Iterator[OpenPage]:
    """Opens pages, each in a fresh profile. Afterwards no page may have complained, nor asked any other host.

    A test marked `refused` expects the browser to report answers of 4xx and 5xx, and nothing else.
    """
    contexts = []

    def opened(**settings: Any) -> Page:
        settings = {"viewport": {"width": 1280, "height": 900}, "locale": "en-GB", **settings}
        contexts.append(browser.new_context(**settings))
        page = contexts[-1].new_page()
        watch.on(page)
        return page

    yield opened
    for context in contexts:
        context.close()
    if request.node.get_closest_marker("refused"):
        watch.complaints = [text for text in watch.complaints if not text.startswith("Failed to load resource")]
    assert watch.complaints == []
    others = [url for url in watch.requests if not url.startswith((f"{club.url}/", "data:", "blob:"))]
    assert others == []


@pytest.fixture
def picture() -> Callable[[Page, str], None]:
    """Takes a picture of the whole page into build/screenshots."""

    def take(page: Page, name: str) -> None:
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)

    return take
