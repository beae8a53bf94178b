"""What the summary says of penalties and where their cases stand, and of the import allowance (rules 1.6, 1.8)."""

from __future__ import annotations

from typing import Any

import pytest

from club_rules.messages import messages_for
from club_rules.programs import Programs
from club_rules.standing import Counts
from club_rules.views import CASES_SHOWN, summary
from tests.unit.member import Member, after, changed, noon

DAY = "2026-03-10"


def shown(member: Member, country: str | None = None) -> dict[str, Any]:
    return summary(member.account, member.programs, member.clock, Counts(0, {}), messages_for("en"), country)


def penalties(member: Member) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = shown(member)["programs"]["crowns"]["penalties"]
    return found


def appeals(member: Member) -> dict[str, str]:
    return {each["case_id"]: each["state"] for each in shown(member)["appeals"]}


def confirmed(member: Member, kind: str, case: str, on: str) -> None:
    member.does("violation.confirmed", {"case_id": case, "kind": kind}, on)


def overturned(member: Member, kind: str, case: str, on: str) -> None:
    member.does("violation.overturned", {"case_id": case, "kind": kind}, on)


@pytest.fixture
def member() -> Member:
    found = Member()
    found.is_given(1000, "crowns", DAY)
    return found


def test_a_penalty_says_what_it_took_and_when_it_ends(member: Member) -> None:
    confirmed(member, "extortion", "v-2", DAY)
    confirmed(member, "spam", "v-1", DAY)
    assert penalties(member) == [
        {"case_id": "v-1", "points": -20, "ends_on": after(DAY, 30), "appeal": "open"},
        {
            "case_id": "v-2",
            "points": -500,
            "ends_on": after(DAY, 180),
            "tier_at_most": "Silver",
            "tier_ends_on": after(DAY, 60),
            "appeal": "open",
        },
    ]
    assert [shown(member)["programs"][name]["penalties"] for name in ("club", "vip")] == [[], []]
    member.on(after(DAY, 60))
    assert penalties(member) == [{"case_id": "v-2", "points": -500, "ends_on": after(DAY, 180), "appeal": "open"}]


def test_where_each_case_stands(member: Member) -> None:
    assert shown(member)["appeals"] == []
    for number, kind in enumerate(["spam", "return_abuse", "extortion"]):
        confirmed(member, kind, f"v-{number}", DAY)
    overturned(member, "return_abuse", "v-1", after(DAY, 3))
    overturned(member, "spam", "v-8", after(DAY, 3))
    assert shown(member)["appeals"] == [
        {"case_id": "v-8", "state": "granted"},
        {"case_id": "v-2", "state": "open"},
        {"case_id": "v-1", "state": "granted"},
        {"case_id": "v-0", "state": "open"},
    ]
    member.on(after(DAY, 30))
    assert appeals(member) == {"v-8": "granted", "v-2": "open", "v-1": "granted", "v-0": "over"}
    member.on(after(DAY, 200))
    assert penalties(member) == []
    assert appeals(member) == {"v-8": "granted", "v-2": "over", "v-1": "granted", "v-0": "over"}


def test_no_list_is_without_end(member: Member) -> None:
    for number in range(CASES_SHOWN + 5):
        confirmed(member, "spam", f"v-{number}", DAY)
    assert len(penalties(member)) == CASES_SHOWN
    assert [each["case_id"] for each in shown(member)["appeals"]] == [
        f"v-{number}" for number in range(CASES_SHOWN + 4, 4, -1)
    ]


# --- the import allowance


@pytest.mark.parametrize(("country", "limit"), [("RU", "1000.00"), ("BY", "200.00"), ("DE", None), (None, None)])
def test_an_allowance_is_the_countrys(member: Member, country: str | None, limit: str | None) -> None:
    programs = shown(member, country)["programs"]
    assert ["import_allowance" in programs[name] for name in ("club", "crowns")] == [False, False]
    if limit is None:
        assert "import_allowance" not in programs["vip"]
    else:
        assert programs["vip"]["import_allowance"] == {
            "country": country,
            "limit": limit,
            "used": "0.00",
            "currency": "USD",
            "month": "2026-03",
        }


def used(member: Member) -> tuple[str, str]:
    allowance = shown(member, "BY")["programs"]["vip"]["import_allowance"]
    return allowance["month"], allowance["used"]


def test_used_is_this_months_spend_less_what_was_refunded_of_it() -> None:
    member = Member()
    member.buys("o-1", "70.00", on="2026-03-31")
    assert used(member) == ("2026-03", "70.00")
    member.buys("o-2", "120.25", on="2026-04-01")
    assert used(member) == ("2026-04", "120.25")
    member.buys("o-3", "150.00", on="2026-04-20")
    assert used(member) == ("2026-04", "270.25"), "advisory: it limits nothing"
    member.gets_all_back("o-1", on="2026-04-21")
    assert used(member) == ("2026-04", "270.25"), "that was March's"
    member.gets_back("o-2", "20.00", on="2026-04-22")
    assert used(member) == ("2026-04", "250.25")
    member.on("2026-05-01")
    assert used(member) == ("2026-05", "0.00")


def test_a_month_is_a_local_one() -> None:
    member = Member(Programs([changed("vip", time_zone="Asia/Vladivostok")]))
    member.buys("o-1", "10.00", on=noon("2026-03-31").replace(hour=13, minute=59))
    member.buys("o-2", "5.00", on=noon("2026-03-31").replace(hour=14))
    assert used(member) == ("2026-04", "5.00")
