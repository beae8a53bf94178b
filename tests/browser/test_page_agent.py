"""The privilege centre for an agent: search, timeline, the difference between two moments, decisions."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.club import Club, settled
from tests.browser.conftest import OpenPage, Watch


@pytest.fixture
def agent(club: Club, open_page: OpenPage) -> Page:
    page = open_page()
    page.goto(club.agent_link(member=club.member_id))
    settled(page)
    return page


@pytest.fixture
def timeline(agent: Page) -> Page:
    agent.get_by_role("tab", name="Timeline").click()
    settled(agent)
    return agent


def test_a_member_is_found_by_id(club: Club, open_page: OpenPage, watch: Watch) -> None:
    page = open_page()
    page.goto(club.agent_link())
    expect(page.get_by_text("Search for a member")).to_be_visible()
    assert [url for url in watch.requests if "/members" in url] == [], "nobody is looked at before they are asked for"
    search = page.get_by_label("Member id")
    search.fill("not an id")
    search.press("Enter")
    expect(page.get_by_role("alert")).to_contain_text("A member id has letters")
    expect(search).to_be_focused()
    search.fill(club.member_id)
    search.press("Enter")
    settled(page)
    expect(page.get_by_role("heading", name=f"Member {club.member_id}")).to_be_visible()
    expect(page.locator(".tier-now").first).to_contain_text(club.ask("")["programs"]["club"]["tier"])
    expect(page.get_by_role("alert")).to_have_count(0)


@pytest.mark.refused
def test_a_member_who_is_not_there_is_said_and_the_search_goes_on(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.agent_link(member="nobody"))
    expect(page.get_by_role("alert").get_by_text("There is no such member")).to_be_visible()
    page.get_by_label("Member id").fill(club.member_id)
    page.get_by_role("button", name="Show member").click()
    expect(page.get_by_role("heading", name=f"Member {club.member_id}")).to_be_visible()


def test_the_timeline_shows_every_entry_by_keyboard(club: Club, timeline: Page, picture: Any) -> None:
    entries = club.ask("/statement", program="club", limit=100)["entries"][::-1]
    slider = timeline.get_by_role("slider")
    expect(slider).to_have_attribute("aria-valuemax", str(len(entries)))
    expect(timeline.locator(".slider circle.dot")).to_have_count(len(entries))
    slider.focus()
    timeline.keyboard.press("Home")
    for number, entry in enumerate(entries, start=1):
        expect(slider).to_have_attribute("aria-valuenow", str(number))
        text = slider.get_attribute("aria-valuetext") or ""
        assert all(reason["text"] in text for reason in entry["reasons"])
        assert entry["tier_after"] in text
        shown = timeline.locator(".chosen-entry")
        expect(shown.locator("time").first).to_have_attribute("datetime", entry["posted_at"])
        timeline.keyboard.press("ArrowRight")
    expect(slider).to_have_attribute("aria-valuenow", str(len(entries)))
    timeline.keyboard.press("PageDown")
    expect(slider).to_have_attribute("aria-valuenow", str(max(1, len(entries) - 10)))
    expect(slider).to_be_focused()
    picture(timeline, "agent")


def test_a_point_of_the_timeline_is_chosen_with_a_click(timeline: Page) -> None:
    slider = timeline.get_by_role("slider")
    dots = timeline.locator(".slider circle.dot")
    first = dots.first.bounding_box()
    assert first is not None
    timeline.mouse.click(first["x"] + first["width"] / 2, first["y"] + first["height"] / 2)
    assert int(slider.get_attribute("aria-valuenow") or 0) <= 2


def test_the_difference_between_two_picked_moments(club: Club, timeline: Page) -> None:
    entries = club.ask("/statement", program="club", limit=100)["entries"][::-1]
    start, end = entries[4], entries[-3]
    slider = timeline.get_by_role("slider")
    slider.focus()
    timeline.keyboard.press("Home")
    for _ in range(4):
        timeline.keyboard.press("ArrowRight")
    timeline.get_by_role("button", name="Use as start").click()
    slider.focus()
    timeline.keyboard.press("End")
    timeline.keyboard.press("ArrowLeft")
    timeline.keyboard.press("ArrowLeft")
    timeline.get_by_role("button", name="Use as end").click()
    timeline.get_by_role("button", name="Explain").click()
    settled(timeline)
    moments = {"from": start["posted_at"], "to": end["posted_at"]}
    told = club.ask("/explanation", program="club", **moments)
    shown = timeline.locator(".difference")
    expect(shown.locator(".lead").first).to_have_text(told["text"])
    expect(shown.locator(".side-tier")).to_have_text([told["opening"]["tier"], told["closing"]["tier"]])
    expect(shown.locator(".side-amount")).to_have_text(
        [f"{told[side]['points']:,} points" for side in ("opening", "closing")]
    )
    expect(shown.locator(".causes > .cause")).to_have_count(len(told["causes"]))
    expect(shown.locator(".receipt")).to_have_count(len(told["receipts"]))
    assert told["opening"]["points"] == start["balance"]
    assert told["closing"]["points"] == end["balance"]
    numbers = [
        text.replace("−", "-").replace("+", "").replace(",", "")
        for text in shown.locator(".cause-amount").all_inner_texts()
    ]
    assert told["opening"]["points"] + sum(map(int, numbers)) == told["closing"]["points"]
    # each cause has its entries
    shown.locator(".causes summary").first.click()
    expect(shown.locator(".causes > .cause").first.locator(".entry")).to_have_count(len(told["causes"][0]["entries"]))


def test_a_picked_moment_is_asked_for_to_the_millisecond(club: Club, open_page: OpenPage) -> None:
    """The fields show seconds; two entries may lie within one."""
    page = open_page()
    instant = club.ask("/statement", program="club", limit=1)["entries"][0]["posted_at"].replace("Z", ".123Z")

    def finer(route: Route) -> None:
        answer = route.fetch()
        content = answer.json()
        content["entries"][0]["posted_at"] = instant
        route.fulfill(response=answer, json=content)

    page.route("**/statement?*", finer)
    page.goto(club.agent_link(member=club.member_id))
    settled(page)
    page.get_by_role("tab", name="Timeline").click()
    settled(page)
    page.get_by_role("button", name="Use as end").click()
    with page.expect_request("**/explanation?*") as asked:
        page.get_by_role("button", name="Explain").click()
    assert parse_qs(urlsplit(asked.value.url).query)["to"] == [instant]
    # what is typed over it counts as typed
    page.get_by_label("Up to").fill("2026-11-20T10:00:30")
    with page.expect_request("**/explanation?*") as asked:
        page.get_by_role("button", name="Explain").click()
    assert parse_qs(urlsplit(asked.value.url).query)["to"] == ["2026-11-20T10:00:30Z"]
    settled(page)


@pytest.mark.refused
def test_moments_in_the_wrong_order_are_named(timeline: Page) -> None:
    form = timeline.locator("form", has=timeline.get_by_role("button", name="Explain"))
    form.get_by_label("After").fill("2026-06-02T00:00")
    form.get_by_label("Up to").fill("2026-06-01T00:00")
    form.get_by_role("button", name="Explain").click()
    settled(timeline)
    alert = timeline.get_by_role("alert").locator("visible=true")
    expect(alert).to_contain_text("These values don’t work")
    expect(alert).to_contain_text("End: the start lies after the end")


@pytest.mark.refused
def test_what_is_wrong_is_said_in_russian_too(timeline: Page) -> None:
    timeline.get_by_role("button", name="Русский").click()
    settled(timeline)
    timeline.get_by_role("tab", name="История").click()
    settled(timeline)
    form = timeline.locator("form", has=timeline.get_by_role("button", name="Объяснить"))
    form.get_by_label("По", exact=True).fill("2099-06-01T00:00")
    form.get_by_role("button", name="Объяснить").click()
    settled(timeline)
    expect(timeline.get_by_role("alert").locator("visible=true")).to_contain_text("Конец: ещё не наступило")


def test_decisions_are_listed_with_their_checks(club: Club, agent: Page) -> None:
    found = club.ask("/decisions")["decisions"]
    assert {each["decision"] for each in found} >= {"approved", "declined"}
    agent.get_by_role("tab", name="Decisions").click()
    settled(agent)
    items = agent.locator(".decision")
    expect(items).to_have_count(len(found))
    for item, decision in zip(items.all(), found, strict=True):
        expect(item.locator(".pill")).to_have_text(decision["decision"].capitalize())
        item.locator("summary").click()
        checks = item.locator(".checks li")
        expect(checks).to_have_count(len(decision["checks"]))
        for check, wanted in zip(checks.all(), decision["checks"], strict=True):
            expect(check.locator("p")).to_have_text(wanted["detail"])
            assert wanted["code"] not in check.inner_text(), "every check has words of the page's own"


def test_at_360_pixels_an_agent_sees_everything_too(club: Club, open_page: OpenPage, picture: Any) -> None:
    page = open_page(viewport={"width": 360, "height": 740})
    page.goto(club.agent_link(member=club.member_id))
    settled(page)
    for name in ("Timeline", "Decisions"):
        page.get_by_role("tab", name=name).click()
        settled(page)
        for summary in page.locator("details:not([open]) > summary:visible").all()[:3]:
            summary.click()
        assert page.evaluate("document.documentElement.scrollWidth") == 360, name
    picture(page, "agent-narrow")


def test_an_agent_reads_russian_too(club: Club, open_page: OpenPage, picture: Any) -> None:
    page = open_page(locale="ru-RU")
    page.goto(club.agent_link(member=club.member_id))
    settled(page)
    page.get_by_role("tab", name="Решения").click()
    settled(page)
    page.locator(".decision summary").first.click()
    # the certificate's own sentences are stored in English, and marked so
    expect(page.locator(".checks p").first).to_have_attribute("lang", "en")
    page.get_by_role("tab", name="История").click()
    settled(page)
    picture(page, "agent-ru")


def test_another_language_shows_the_same_view(timeline: Page) -> None:
    timeline.get_by_role("button", name="Русский").click()
    settled(timeline)
    expect(timeline.get_by_role("tab", name="История")).to_have_attribute("aria-selected", "true")
    expect(timeline.get_by_role("slider")).to_be_visible()


def test_a_buyer_sees_nothing_of_an_agents(club: Club, open_page: OpenPage, watch: Watch) -> None:
    page = open_page()
    page.goto(club.member_link(member="cdnow-00001"))
    settled(page)
    expect(page.get_by_label("Member id")).to_have_count(0)
    expect(page.get_by_role("tab", name="Decisions")).to_have_count(0)
    asked = {url.split("/members/")[1].split("/")[0].split("?")[0] for url in watch.requests if "/members/" in url}
    assert asked <= {"me", club.member_id}
