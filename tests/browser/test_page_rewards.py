"""What the page says of coupons and gifts: what each is for, when it is valid, and its codes, in both languages."""

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import expect

from tests.browser.club import MEMBER, Club, settled
from tests.browser.conftest import OpenPage
from tests.browser.test_page_axe import TAGS


def put(club: Club, path: str, body: Any) -> Any:
    return club._json(f"{club.url}{path}", json.dumps(body).encode(), {"content-type": "application/json"})


def tell(club: Club, event_id: str, member_id: str, kind: str, data: dict[str, Any], now: str) -> None:
    detail = {"event_id": event_id, "member_id": member_id, "occurred_at": now, "data": data}
    entry = {"Source": "marketplace", "DetailType": kind, "Detail": json.dumps(detail)}
    put(club, "/_local/events", {"entries": [entry]})


@pytest.fixture(scope="module")
def now(club: Club) -> str:
    """It is the day on which the member registered, a year ago; and somebody else has just joined. The instant."""
    at: str = club.ask("")["as_of"]
    tell(club, "e-reward-1", club.member_id, "member.updated", {"registered_on": f"{int(at[:4]) - 1}{at[4:10]}"}, at)
    tell(club, "e-reward-2", "joined", "visit.recorded", {}, at)
    put(club, "/_local/schedules/RewardSweep", {"scheduled_at": at})
    return at


@pytest.mark.parametrize("language", ["en", "ru"])
def test_each_reward_says_what_it_is_and_has_its_codes_while_it_is_valid(
    club: Club, now: str, open_page: OpenPage, language: str
) -> None:
    found = club.ask("/rewards", language)["rewards"]
    assert {each["valid"] for each in found} == {True, False}
    page = open_page()
    page.goto(club.member_link(lang=language))
    settled(page)
    shown = page.locator(".rewards li")
    expect(shown).to_have_count(len(found))
    for item, reward in zip(shown.all(), found, strict=True):
        expect(item).to_contain_text(reward["title"])
        expect(item).to_contain_text(reward["text"])
        expect(item.locator("code")).to_have_text(reward["codes"] if reward["valid"] else [])
    assert Axe().run(page, options={"runOnly": {"type": "tag", "values": TAGS}}).response["violations"] == []
    page.set_viewport_size({"width": 360, "height": 740})
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_rewards_have_an_empty_state(club: Club, now: str, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.link(token=club.token("joined", MEMBER)))
    settled(page)
    expect(page.get_by_text("No rewards yet")).to_be_visible()
