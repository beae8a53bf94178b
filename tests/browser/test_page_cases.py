"""What the page says of penalties, cases and the import allowance: when they end, how to appeal, in both languages."""

import json
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.browser.club import MEMBER, Club, settled
from tests.browser.conftest import OpenPage
from tests.browser.test_page_axe import TAGS

NAME = "case-member"


@pytest.fixture(scope="module")
def at(club: Club) -> str:
    """A member with 1,000 crowns, one case in force, one overturned, and purchases in Belarus; gives the instant."""
    now: str = club.ask("")["as_of"]
    line = {"item_id": "i-1", "seller_id": "s-1", "category": "c", "unit_price": "50.00", "quantity": 1}
    order = {"order_id": "o-case-1", "currency": "USD", "lines": [line]}
    told = [
        ("member.registered", {"country": "BY"}),
        ("promotion.awarded", {"campaign_id": "c", "points": 1000, "program": "crowns"}),
        ("order.completed", order),
        ("violation.confirmed", {"case_id": "v-10", "kind": "extortion"}),
        ("violation.confirmed", {"case_id": "v-11", "kind": "spam"}),
        ("violation.overturned", {"case_id": "v-11", "kind": "spam"}),
    ]
    for number, (kind, data) in enumerate(told):
        detail = {"event_id": f"e-case-{number}", "member_id": NAME, "occurred_at": now, "data": data}
        entry = {"Source": "marketplace", "DetailType": kind, "Detail": json.dumps(detail)}
        body = json.dumps({"entries": [entry]}).encode()
        club._json(f"{club.url}/_local/events", body, {"content-type": "application/json"})
    return now


def show(page: Page, club: Club, program: int, language: str = "en") -> Any:
    page.goto(club.link(token=club.token(NAME, MEMBER), lang=language))
    settled(page)
    page.get_by_role("tab").nth(program).click()
    settled(page)
    return page.locator("[role=tabpanel]:visible")


def asked(club: Club) -> Any:
    headers = {"authorization": f"Bearer {club.token(NAME, MEMBER)}"}
    return club._json(f"{club.url}/members/{NAME}", headers=headers)


def test_a_penalty_says_when_it_ends_and_how_to_appeal(club: Club, at: str, open_page: OpenPage) -> None:
    page = open_page()
    shown = show(page, club, 1)
    (penalty,) = asked(club)["programs"]["crowns"]["penalties"]
    card = shown.locator("section", has=page.get_by_role("heading", name="Deductions in force"))
    expect(card).to_contain_text(f"{-penalty['points']:,} points")
    expect(card).to_contain_text("case v-10")
    expect(card).to_contain_text(f"{int(penalty['ends_on'][8:])} ")
    expect(card).to_contain_text(penalty["ends_on"][:4])
    expect(card).to_contain_text("at most Silver")
    expect(card).to_contain_text("You can appeal")
    assert "extortion" not in page.locator("main").inner_text()
    cases = page.locator("section", has=page.get_by_role("heading", name="Reviews of your account"))
    expect(cases.locator("li")).to_have_text(
        ["Case v-11: decided in your favour.", "Case v-10: in force; you can appeal."]
    )


def test_the_allowance_of_this_month(club: Club, at: str, open_page: OpenPage) -> None:
    page = open_page()
    shown = show(page, club, 2)
    allowance = asked(club)["programs"]["vip"]["import_allowance"]
    assert (allowance["used"], allowance["limit"]) == ("50.00", "200.00")
    card = shown.locator("section", has=page.get_by_role("heading", name="Import allowance"))
    expect(card).to_contain_text("50.00")
    expect(card).to_contain_text("200.00")
    expect(card).to_contain_text("limits nothing")
    expect(card.locator("meter")).to_have_js_property("value", 50)
    expect(card.locator("meter")).to_have_js_property("max", 200)


def test_the_same_in_russian(club: Club, at: str, open_page: OpenPage) -> None:
    page = open_page()
    shown = show(page, club, 1, "ru")
    expect(shown.get_by_role("heading", name="Действующие вычеты")).to_be_visible()
    expect(shown).to_contain_text("обжаловать")
    expect(page.get_by_role("heading", name="Проверки вашей учётной записи")).to_be_visible()
    expect(show(page, club, 2, "ru").get_by_role("heading", name="Лимит ввоза")).to_be_visible()


def test_who_has_none_of_it_sees_nothing_of_it(club: Club, open_page: OpenPage) -> None:
    page = open_page()
    page.goto(club.member_link())
    settled(page)
    for name in ("Deductions in force", "Reviews of your account", "Import allowance"):
        expect(page.get_by_role("heading", name=name)).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("program", [1, 2])
def test_no_violation_of_wcag(browser: Any, club: Club, at: str, scheme: str, program: int) -> None:
    context = browser.new_context(color_scheme=scheme, bypass_csp=True, reduced_motion="reduce", locale="en-GB")
    try:
        page = context.new_page()
        show(page, club, program)
        options = {"runOnly": {"type": "tag", "values": TAGS}, "resultTypes": ["violations"]}
        found = Axe().run(page, options=options).response["violations"]
        assert [(each["id"], node["target"]) for each in found for node in each["nodes"]] == []
    finally:
        context.close()
