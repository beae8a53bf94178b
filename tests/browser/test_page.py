"""The privilege centre in a real browser, on real purchases: what a buyer sees, in words, pictures and by keyboard.

What is expected stands nowhere in this file: it is asked of the API, and compared with what the page shows.
"""

import json
from itertools import pairwise
from typing import Any

import pytest
from playwright.sync_api import Page, Route, expect

from tests.browser.club import Club, settled
from tests.browser.conftest import OpenPage, Watch

NARROW = {"width": 360, "height": 740}


@pytest.fixture
def buyer(club: Club, open_page: OpenPage) -> Page:
    page = open_page()
    page.goto(club.member_link())
    settled(page)
    return page


def amount(value: int) -> str:
    return f"{value:,} point" if value == 1 else f"{value:,} points"


def wide(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


# ---------------------------------------------------------------- what a buyer sees


def test_the_tier_the_way_to_the_next_and_the_standing(club: Club, buyer: Page, picture: Any) -> None:
    summary = club.ask("")
    shown = summary["programs"]["club"]
    hero = buyer.locator("[role=tabpanel]:visible .hero")
    expect(hero.locator(".tier-now")).to_contain_text(shown["tier"])
    expect(hero.locator(".amount-now")).to_contain_text(f"{shown['points']:,}")
    bar = hero.get_by_role("progressbar")
    expect(bar).to_have_js_property("value", shown["next_tier"]["progress_percent"])
    expect(bar).to_have_accessible_name(f"{amount(shown['next_tier']['missing'])} to {shown['next_tier']['tier']}")
    standing = buyer.locator("[role=tabpanel]:visible .standing")
    expect(standing).to_contain_text(f"{shown['standing']['below_percent']:g}%")
    expect(standing).to_contain_text(f"of {shown['standing']['members']:,} members")
    assert shown["expiring"], "the member was chosen for it"
    expect(buyer.locator("[role=tabpanel]:visible .soon li").first).to_contain_text(
        amount(shown["expiring"][0]["points"])
    )
    picture(buyer, "desktop")


def test_the_months_ahead_are_a_chart_with_the_same_as_a_table(club: Club, buyer: Page) -> None:
    outlook = club.ask("/outlook", program="club", days=365)
    panel = buyer.locator("[role=tabpanel]:visible")
    expect(panel.locator(".keep-text")).to_have_text(outlook["keep"]["text"])
    months: dict[str, list[dict[str, Any]]] = {}
    for each in outlook["days"]:
        months.setdefault(each["date"][:7], []).append(each)
    panel.get_by_text("The months as a table").click()
    rows = panel.locator("tbody tr")
    expect(rows).to_have_count(len(months))
    for row, days in zip(rows.all(), months.values(), strict=True):
        expired = sum(each["expires"] for each in days)
        assert row.locator("td").all_inner_texts() == [amount(expired), amount(days[-1]["points"]), days[-1]["tier"]]
    # a bar for each month in which something expires, and the first changes in the API's own words
    lapsing = [days for days in months.values() if any(each["expires"] for each in days)]
    expect(panel.locator("svg.chart rect.bar")).to_have_count(len(lapsing))
    texts = [change["text"] for change in outlook["changes"]]
    for item, text in zip(panel.locator(".changes li").all(), texts, strict=True):
        expect(item).to_contain_text(text)


def test_privileges_are_bright_or_pale_and_say_what_unlocks_them(club: Club, buyer: Page) -> None:
    found = [each for each in club.ask("/privileges")["privileges"] if each["program"] == "club"]
    items = buyer.locator("[role=tabpanel]:visible .privilege")
    expect(items).to_have_count(len(found))
    for item, privilege in zip(items.all(), found, strict=True):
        expect(item).to_contain_text(privilege["title"])
        expect(item).to_contain_text(privilege["text"])
        state = "Yours" if privilege["granted"] else f"Locked, from {privilege['unlocked_by']} on"
        expect(item.locator(".state")).to_have_text(state)
        expect(item).to_have_class(f"privilege {'granted' if privilege['granted'] else 'locked'}")
    assert {each["granted"] for each in found} == {True, False}
    look = "e => [getComputedStyle(e).backgroundColor, getComputedStyle(e).borderStyle, getComputedStyle(e).color]"
    bright, pale = (buyer.locator(f".privilege.{name}").first.evaluate(look) for name in ("granted", "locked"))
    assert all(one != other for one, other in zip(bright, pale, strict=True))


def test_the_statement_has_every_reason_and_goes_on_page_by_page(club: Club, buyer: Page) -> None:
    first = club.ask("/statement", program="club", limit=20)
    everything = club.ask("/statement", program="club", limit=100)["entries"]
    items = buyer.locator(".statement .entry")
    expect(items).to_have_count(20)
    for item, entry in zip(items.all(), first["entries"], strict=True):
        reasons = [text.lower() for text in item.locator(".reasons li").all_inner_texts()]
        assert reasons == [reason["text"].lower() for reason in entry["reasons"]]
        expect(item.locator(".entry-amount")).to_contain_text(f"{abs(entry['points']):,}")
    while buyer.get_by_role("button", name="Show older entries").count():
        buyer.get_by_role("button", name="Show older entries").click()
        settled(buyer)
        expect(buyer.locator(".statement .skeleton")).to_have_count(0)
    expect(items).to_have_count(len(everything))
    # the focus went on to the first of the new ones
    expect(items.nth(20)).to_be_focused()


def test_the_statement_is_filtered_by_program_and_days(club: Club, buyer: Page) -> None:
    days = [entry["posted_at"][:10] for entry in club.ask("/statement", program="vip", limit=100)["entries"]]
    start, end = days[8], days[3]
    wanted = club.ask("/statement", program="vip", limit=20, **{"from": start, "to": end})["entries"]
    form = buyer.locator(".statement form")
    form.get_by_label("From day").fill(start)
    form.get_by_label("To day").fill(end)
    form.get_by_label("Program").select_option("vip")
    settled(buyer)
    items = buyer.locator(".statement .entry")
    expect(items).to_have_count(len(wanted))
    assert [item.locator("time").get_attribute("datetime") for item in items.all()] == [
        entry["posted_at"] for entry in wanted
    ]
    form.get_by_role("button", name="All days").click()
    settled(buyer)
    expect(items).to_have_count(min(20, len(days)))
    form.get_by_label("From day").fill("1990-01-01")
    form.get_by_label("To day").fill("1990-01-02")
    form.get_by_role("button", name="Show").click()
    settled(buyer)
    expect(buyer.get_by_text("There are no entries here.")).to_be_visible()


@pytest.mark.refused
def test_days_that_make_no_sense_are_named_and_nothing_else_is_lost(buyer: Page) -> None:
    form = buyer.locator(".statement form")
    form.get_by_label("From day").fill("2026-06-02")
    form.get_by_label("To day").fill("2026-06-01")
    form.get_by_role("button", name="Show").click()
    settled(buyer)
    alert = buyer.locator(".statement").get_by_role("alert")
    expect(alert).to_contain_text("These values don’t work")
    expect(alert).to_contain_text("Start: the start lies after the end")
    expect(buyer.locator("[role=tabpanel]:visible .tier-now")).to_be_visible()
    form.get_by_role("button", name="All days").click()
    settled(buyer)
    expect(buyer.locator(".statement .entry")).to_have_count(20)


def test_why_did_this_change_opens_the_receipt(club: Club, buyer: Page) -> None:
    entries = club.ask("/statement", program="club", limit=20)["entries"]
    changes = [entry for entry in entries if entry["tier_before"] != entry["tier_after"]]
    buttons = buyer.locator(".statement .entry-tier button")
    expect(buttons).to_have_count(len(changes))
    assert len(changes) >= 2
    for button, entry in zip(buttons.all(), changes, strict=True):
        day = entry["posted_at"][:10]
        told = club.ask("/explanation", program="club", **{"from": day, "to": day})["receipts"]
        receipt = next(each for each in told if each["receipt_id"] == entry["receipt_id"])
        button.click()
        dialog = buyer.get_by_role("dialog")
        settled(buyer)
        expect(dialog.locator(".receipt")).to_have_count(1)
        expect(dialog.locator(".lead")).to_have_text(receipt["text"])
        sums = dialog.locator(".sum dd").all_inner_texts()
        read = [int("".join(sign for sign in text.replace("−", "-") if sign in "-0123456789")) for text in sums]
        assert read[0] + sum(read[1:-1]) == read[-1]
        assert read == [receipt["before"], *(cause["points"] for cause in receipt["causes"]), receipt["after"]]
        buyer.keyboard.press("Escape")
        expect(dialog).to_be_hidden()


def test_why_is_my_tier_what_it_is(club: Club, buyer: Page) -> None:
    shown = club.ask("")["programs"]["club"]
    buyer.get_by_role("button", name=f"Why {shown['tier']}?").first.click()
    settled(buyer)
    since = shown["tier_since"]
    receipts = club.ask("/explanation", program="club", **{"from": since, "to": since})["receipts"]
    expect(buyer.get_by_role("dialog").locator(".lead")).to_have_text(receipts[-1]["text"])


def test_each_program_has_its_own_panel_and_the_statement_follows(club: Club, buyer: Page) -> None:
    programs = club.ask("")["programs"]
    for program, shown in programs.items():
        tab = buyer.get_by_role("tab", name=shown["title"])
        tab.click()
        settled(buyer)
        expect(tab).to_have_attribute("aria-selected", "true")
        panel = buyer.get_by_role("tabpanel", name=shown["title"])
        expect(panel.locator(".eyebrow").first).to_have_text(shown["title"])
        expect(buyer.locator(".statement").get_by_label("Program")).to_have_value(program)
        count = len(club.ask("/statement", program=program, limit=20)["entries"])
        expect(buyer.locator(".statement .entry")).to_have_count(count)


# ---------------------------------------------------------------- narrow, dark, still


def test_at_360_pixels_nothing_is_cut_off(club: Club, open_page: OpenPage, picture: Any) -> None:
    page = open_page(viewport=NARROW)
    page.goto(club.member_link())
    settled(page)
    assert wide(page) == 360
    picture(page, "narrow")
    for tab in page.get_by_role("tab").all():
        tab.click()
        settled(page)
        assert wide(page) == 360
    page.get_by_role("tab").first.click()
    settled(page)
    page.locator(".entry-tier button").first.click()
    settled(page)
    box = page.get_by_role("dialog").bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 360


def test_everything_to_press_is_large_enough(club: Club, open_page: OpenPage) -> None:
    """WCAG 2.2, 2.5.8: 24 by 24 pixels at least."""
    page = open_page(viewport=NARROW)
    page.goto(club.member_link())
    settled(page)
    boxes = page.locator("button:visible, input:visible, select:visible, summary:visible, a:visible:not(.skip)")
    assert boxes.count() > 10
    for each in boxes.all():
        box = each.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= 24, each.inner_text()


def test_light_and_dark_follow_the_system_and_motion_is_left_out(club: Club, open_page: OpenPage, picture: Any) -> None:
    colours = {}
    for scheme in ("light", "dark"):
        page = open_page(color_scheme=scheme, reduced_motion="reduce")
        page.goto(club.member_link())
        settled(page)
        colours[scheme] = page.evaluate(
            "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
        )
        if scheme == "dark":
            picture(page, "dark")
        moving = page.evaluate("document.getAnimations().length")
        assert moving == 0
    assert colours["light"][0] != colours["dark"][0]
    assert colours["light"][1] != colours["dark"][1]


# ---------------------------------------------------------------- both languages


def test_in_russian_every_word_is(club: Club, open_page: OpenPage, watch: Watch, picture: Any) -> None:
    page = open_page(locale="ru-RU")
    page.goto(club.member_link())
    settled(page)
    expect(page.locator("html")).to_have_attribute("lang", "ru")
    expect(page).to_have_title("Центр привилегий")
    expect(page.get_by_role("heading", level=1)).to_have_text("Центр привилегий")
    entry = club.ask("/statement", "ru", program="club", limit=20)["entries"][0]
    shown = page.locator(".statement .entry").first.locator(".reasons li").first.inner_text()
    assert shown.lower() == entry["reasons"][0]["text"].lower()
    expect(page.locator("[role=tabpanel]:visible .keep-text")).to_have_text(
        club.ask("/outlook", "ru", program="club", days=365)["keep"]["text"]
    )
    picture(page, "ru")
    asked = [
        headers["accept-language"]
        for url, headers in zip(watch.requests, watch.headers, strict=True)
        if "/members/" in url
    ]
    assert set(asked) == {"ru"}
    leftovers = [
        word
        for word in ("Earned", "Expired", "Since", "Balance", "Statement", "points")
        if word in page.inner_text("body")
    ]
    assert leftovers == []


def test_the_switcher_changes_page_and_answers_and_keeps_the_focus(club: Club, buyer: Page, watch: Watch) -> None:
    asked = len(watch.requests)
    buyer.get_by_role("button", name="Русский").click()
    settled(buyer)
    expect(buyer.locator("html")).to_have_attribute("lang", "ru")
    expect(buyer.get_by_role("button", name="Русский")).to_be_focused()
    expect(buyer.get_by_role("button", name="Русский")).to_have_attribute("aria-pressed", "true")
    expect(buyer.get_by_role("heading", level=1)).to_have_text("Центр привилегий")
    assert {headers["accept-language"] for headers in watch.headers[asked:]} == {"ru"}
    buyer.get_by_role("button", name="English").click()
    settled(buyer)
    expect(buyer.get_by_role("heading", level=1)).to_have_text("Privilege centre")


def test_the_link_may_name_the_language(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.member_link(lang="ru"))
    settled(page)
    expect(page.locator("html")).to_have_attribute("lang", "ru")


# ---------------------------------------------------------------- by keyboard alone


def focused(page: Page) -> str:
    name: str = page.evaluate(
        """(() => {
            const e = document.activeElement;
            const name = e.getAttribute('aria-label') || e.textContent || e.name || '';
            return `${e.tagName.toLowerCase()} ${name.trim().slice(0, 40)}`;
        })()"""
    )
    return name


def test_by_keyboard_from_the_top_to_a_receipt_and_back(club: Club, buyer: Page) -> None:
    keys = buyer.keyboard
    keys.press("Tab")
    assert focused(buyer).startswith("a Skip to the content")
    expect(buyer.locator(".skip")).to_be_in_viewport()
    keys.press("Enter")
    expect(buyer.locator("main")).to_be_focused()
    assert "#" not in buyer.url
    keys.press("Tab")
    assert focused(buyer).startswith("button Club levels")
    # the arrows go round the programs, Tab leaves them
    keys.press("ArrowRight")
    expect(buyer.get_by_role("tab").nth(1)).to_be_focused()
    keys.press("End")
    expect(buyer.get_by_role("tab").nth(2)).to_have_attribute("aria-selected", "true")
    keys.press("Home")
    settled(buyer)
    keys.press("Tab")
    assert focused(buyer).startswith("button Why A")
    opener = buyer.locator(":focus")
    outline = buyer.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert outline == "solid", "the focus can be seen"
    keys.press("Enter")
    settled(buyer)
    dialog = buyer.get_by_role("dialog")
    expect(dialog).to_be_visible()
    expect(dialog.get_by_role("heading", level=2)).to_be_focused()
    expect(dialog.locator(".lead")).to_be_visible()
    # within the dialog Tab stays in it: what is behind is out of reach
    for _ in range(5):
        keys.press("Tab")
        inside = buyer.evaluate(
            "document.activeElement === document.body || !!document.activeElement.closest('dialog')"
        )
        assert inside
    keys.press("Escape")
    expect(dialog).to_be_hidden()
    expect(opener).to_be_focused()
    keys.press("Enter")
    settled(buyer)
    keys.press("Tab")
    assert focused(buyer) == "button Close"
    keys.press("Enter")
    expect(dialog).to_be_hidden()
    assert focused(buyer).startswith("button Why A")


def test_every_stop_of_tab_can_be_seen(buyer: Page) -> None:
    """In the order of the page, each with a visible focus that nothing covers (WCAG 2.2, 2.4.7, 2.4.11)."""
    tops: list[float] = []
    for _ in range(60):
        buyer.keyboard.press("Tab")
        seen = buyer.evaluate(
            """(() => {
                const e = document.activeElement, box = e.getBoundingClientRect();
                if (e === document.body) return null;
                const at = document.elementFromPoint(box.x + box.width / 2, box.y + Math.min(box.height / 2, 20));
                const style = getComputedStyle(e).outlineStyle, seen = e.contains(at) || !!at?.contains(e);
                return [box.y + scrollY, style, seen, e.outerHTML.slice(0, 80)];
            })()"""
        )
        if seen is None:
            break
        top, outline, uncovered, what = seen
        assert outline != "none", what
        assert uncovered, what
        tops.append(top)
    assert len(tops) > 12
    # not before what came earlier, but for neighbours on one line
    assert all(later > earlier - 80 for earlier, later in pairwise(tops[1:]))


# ---------------------------------------------------------------- text is text


def test_what_the_api_says_is_never_markup(club: Club, open_page: OpenPage) -> None:
    page = open_page()

    def planted(route: Route) -> None:
        answer = route.fetch()
        text = json.dumps(answer.json()).replace("Discount news", "<img src=x onerror=window.hurt=1>")
        route.fulfill(response=answer, body=text)

    page.route("**/members/me/privileges", planted)
    page.route("**/members/*/privileges", planted)
    page.goto(club.member_link())
    settled(page)
    expect(page.locator(".privilege h3").first).to_have_text("<img src=x onerror=window.hurt=1>")
    assert page.locator("img").count() == 0
    assert page.evaluate("window.hurt") is None
