"""WCAG 2.2 AA, as far as a machine can tell: axe on every view, in light and dark, wide and narrow."""

from collections.abc import Callable
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.club import Club, settled

TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]


def buyer(page: Page, club: Club) -> None:
    page.goto(club.member_link())
    settled(page)
    for each in page.locator("details > summary:visible").all():
        each.click()


def vip(page: Page, club: Club) -> None:
    page.goto(club.member_link())
    settled(page)
    page.get_by_role("tab").nth(2).click()
    settled(page)


def receipt(page: Page, club: Club) -> None:
    page.goto(club.member_link())
    settled(page)
    page.locator(".entry-tier button").first.click()
    settled(page)
    page.get_by_role("dialog").locator("summary").click()


def search(page: Page, club: Club) -> None:
    page.goto(club.agent_link())
    page.get_by_label("Member id").fill("?")
    page.get_by_role("button", name="Show member").click()
    expect(page.get_by_role("alert")).to_be_visible()


def timeline(page: Page, club: Club) -> None:
    page.goto(club.agent_link(member=club.member_id))
    settled(page)
    page.get_by_role("tab", name="Timeline").click()
    settled(page)
    page.get_by_role("button", name="Explain").click()
    settled(page)
    for each in page.locator("details > summary:visible").all():
        each.click()


def decisions(page: Page, club: Club) -> None:
    page.goto(club.agent_link(member=club.member_id))
    settled(page)
    page.get_by_role("tab", name="Decisions").click()
    settled(page)
    for each in page.locator(".decision summary").all():
        each.click()


def nobody(page: Page, club: Club) -> None:
    page.goto(club.page)
    page.get_by_text("For developers").click()


def refused(page: Page, club: Club) -> None:
    page.goto(club.link(token=club.token("stranger", ["club:read"])))
    expect(page.get_by_role("alert")).to_be_visible()


def ended(page: Page, club: Club) -> None:
    page.goto(club.link(token=club.token(club.member_id, ["club:read"], exp=1)))
    expect(page.get_by_role("alert")).to_be_visible()


VIEWS: list[Callable[[Page, Club], None]] = [
    buyer, vip, receipt, search, timeline, decisions, nobody, refused, ended,
]  # fmt: skip


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS, ids=lambda view: view.__name__)
def test_no_view_has_a_violation(browser: Any, club: Club, view: Callable[[Page, Club], None], scheme: str) -> None:
    """axe is put into the page, which the page's own policy forbids, so here it is off."""
    size = {"width": 1280, "height": 900} if scheme == "light" else {"width": 360, "height": 740}
    context = browser.new_context(
        color_scheme=scheme, bypass_csp=True, reduced_motion="reduce", locale="en-GB", viewport=size
    )
    try:
        page = context.new_page()
        view(page, club)
        options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
        found = Axe().run(page, options=options).response["violations"]
        told = [(each["id"], node["target"], node["failureSummary"]) for each in found for node in each["nodes"]]
        assert told == []
    finally:
        context.close()
