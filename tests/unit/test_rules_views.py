"""What a member sees: the summary and the statement (rules 1.12, contract 2.1); see test_messages for the texts."""

from __future__ import annotations

import json
from typing import Any

import pytest

from club_rules.account import encode_account
from club_rules.exports import exported_entry, exported_item
from club_rules.messages import messages_for
from club_rules.outlook import outlook
from club_rules.programs import Programs, load_programs
from club_rules.rewards import Rewards
from club_rules.standing import Counts
from club_rules.views import adjustment_view, outlook_view, privileges, rewards_view, statement_entry, summary
from tests.unit.member import PROGRAMS, Member, after, changed, line

DAY = "2026-03-10"
ENGLISH = messages_for("en")
SUPPORT = messages_for("en", support=True)
NOBODY = Counts(0, {})


def seen(member: Member, program: str) -> dict[str, Any]:
    """A program's part of the summary, as the member stands."""
    return summary(member.account, member.programs, member.clock, NOBODY, ENGLISH)["programs"][program]


def stated(member: Member, program: str, number: int = -1) -> dict[str, Any]:
    """An entry as a program's statement shows it."""
    entries = [entry for entry in member.entries if program in entry["parts"]]
    return statement_entry(entries[number], member.programs.versions(program)[-1], ENGLISH)


# --- the summary


def test_the_summary_of_a_member_without_anything() -> None:
    member = Member()
    found = summary(member.account, PROGRAMS, member.clock, NOBODY, ENGLISH)
    assert (found["member_id"], found["as_of"]) == ("m-1", "2026-01-01T12:00:00Z")
    assert found["programs"].keys() == {"club", "crowns", "vip"}
    assert found["programs"]["club"] == {
        "title": "Club levels A0 to A4",
        "standing": {"below_percent": 0.0, "members": 1},
        "tier": "A0",
        "tier_since": None,
        "measure": "points",
        "points": 0,
        "currency": "USD",
        "time_zone": "UTC",
        "next_tier": {"tier": "A1", "from": 1, "missing": 1, "progress_percent": 0},
        "expiring": [],
        "penalties": [],
        "privileges": [
            {"code": "discount_news", "granted": True},
            {"code": "price_alerts", "granted": False, "unlocked_by": "A1"},
            {
                "code": "expedited_refund",
                "granted": False,
                "unlocked_by": "A3",
                "limit": "25.00",
                "currency": "USD",
            },
            {"code": "dispute_acceleration", "granted": False, "unlocked_by": "A4", "days": 5},
        ],
        "rewards": 0,
    }
    assert found["programs"]["vip"]["next_tier"] == {
        "tier": "Silver",
        "from": "999.00",
        "missing": "999.00",
        "progress_percent": 0,
    }


def test_the_summary_of_the_contracts_example() -> None:
    member = Member()
    member.is_given(600, on="2026-05-02")
    member.is_given(12, on="2025-12-01", posted="2026-06-01")
    member.on("2026-11-22")
    found = seen(member, "club")
    assert (found["tier"], found["tier_since"], found["points"]) == ("A3", "2026-05-02", 612)
    assert found["next_tier"] == {"tier": "A4", "from": 2000, "missing": 1388, "progress_percent": 30}
    assert found["expiring"] == [{"on": "2026-12-01", "points": 12}]
    assert found["privileges"][2:] == [
        {"code": "expedited_refund", "granted": True, "limit": "25.00", "currency": "USD"},
        {"code": "dispute_acceleration", "granted": False, "unlocked_by": "A4", "days": 5},
    ]


def test_spend_is_money() -> None:
    member = Member()
    member.buys("o-1", "1000.50", on=DAY)
    found = seen(member, "vip")
    assert (found["measure"], found["spend"], found["tier"]) == ("spend", "1000.50", "Silver")
    assert "points" not in found
    assert found["next_tier"] == {"tier": "Gold", "from": "3999.00", "missing": "2998.50", "progress_percent": 25}
    member.on(after(DAY, 60))
    assert seen(member, "vip")["expiring"] == [{"on": after(DAY, 90), "spend": "1000.50"}]


@pytest.mark.parametrize(("days", "shown"), [(334, False), (335, True), (364, True), (365, False)])
def test_what_expires_within_30_days_is_shown(days: int, shown: bool) -> None:
    member = Member()
    member.is_given(12, on=DAY)
    member.on(after(DAY, days))
    assert seen(member, "club")["expiring"] == ([{"on": after(DAY, 365), "points": 12}] if shown else [])


def test_what_expires_on_one_day_is_one_row_and_rows_are_in_order() -> None:
    second = changed("club", version="2", effective_from=after(DAY, 5), window_days=360)
    member = Member(Programs([changed("club"), second]))
    for days in (5, 0, 2):
        member.is_given(days + 1, on=after(DAY, days), posted=after(DAY, 5))
    member.on(after(DAY, 350))
    assert seen(member, "club")["expiring"] == [
        {"on": after(DAY, 365), "points": 1 + 6},  # of day 0 by the first version, of day 5 by the second
        {"on": after(DAY, 367), "points": 3},
    ]


def test_the_shown_balance_is_never_below_zero_and_what_is_missing_is_the_truth() -> None:
    member = Member()
    member.is_given(50, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "return_abuse"})
    found = seen(member, "crowns")
    assert (found["points"], found["tier"]) == (0, "none")
    assert found["next_tier"] == {"tier": "Silver", "from": 1, "missing": 151, "progress_percent": 0}
    assert stated(member, "crowns")["balance"] == -150


def test_at_the_highest_tier_there_is_no_next() -> None:
    member = Member()
    member.is_given(2000, on=DAY)
    found = seen(member, "club")
    assert (found["tier"], found["next_tier"]) == ("A4", None)
    assert all(privilege["granted"] for privilege in found["privileges"])
    assert found["privileges"][2]["limit"] == "100.00"


def test_under_a_cap_nothing_is_missing_though_the_tier_is_not_held() -> None:
    member = Member()
    member.is_given(2000, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    assert seen(member, "crowns")["next_tier"] == {"tier": "Gold", "from": 101, "missing": 0, "progress_percent": 100}


@pytest.mark.parametrize(
    ("points", "percent", "granted"),
    [(0, 1, False), (1, 1, True), (101, 2, True), (501, 3, True), (1501, 5, True)],
)
def test_a_privilege_by_tier_shows_the_value_of_the_held_tier(points: int, percent: int, granted: bool) -> None:
    member = Member()
    if points:
        member.is_given(points, "crowns", DAY)
    (privilege,) = seen(member, "crowns")["privileges"]
    assert (privilege["percent"], privilege["granted"]) == (percent, granted)
    assert privilege.get("unlocked_by") == (None if granted else "Silver")


def test_a_privilege_that_is_switched_off_is_locked_and_nothing_unlocks_it() -> None:
    club = changed("club")
    club["privileges"][2]["enabled"] = False
    member = Member(Programs([club]))
    member.is_given(2000, on=DAY)
    assert seen(member, "club")["privileges"][2] == {
        "code": "expedited_refund",
        "granted": False,
        "switched_off": True,
        "limit": "100.00",
        "currency": "USD",
    }


def test_the_summary_is_by_the_version_in_force() -> None:
    second = changed("club", version="2", effective_from=after(DAY, 5))
    second["tiers"][1]["from"] = 50
    member = Member(Programs([changed("club"), second]))
    member.is_given(10, on=DAY)
    assert (seen(member, "club")["tier"], seen(member, "club")["next_tier"]["missing"]) == ("A1", 90)
    member.on(after(DAY, 5))
    assert (seen(member, "club")["tier"], seen(member, "club")["next_tier"]["missing"]) == ("A0", 40)


def test_the_program_is_named_in_the_language_asked_for() -> None:
    member = Member()
    shown = summary(member.account, PROGRAMS, member.clock, NOBODY, messages_for("ru"))["programs"]
    assert shown["club"]["title"] == "Клубные уровни от A0 до A4"
    assert {name for name in shown if shown[name]["title"] != seen(member, name)["title"]} == {"club", "crowns", "vip"}


def test_looking_changes_nothing() -> None:
    member = Member()
    member.is_given(10, on=DAY)
    before = json.dumps(encode_account(member.account))
    seen(member, "vip")
    assert json.dumps(encode_account(member.account)) == before


# --- the statement


def test_a_statement_entry_has_the_shape_of_the_contract() -> None:
    member = Member()
    member.buys("o-1001", line("12.50", item="i-8"), line("1.99", item="i-9", seller="s-9"), on=DAY)
    assert stated(member, "club") == {
        "entry_id": "e-1",
        "seq": 1,
        "kind": "accrual",
        "event_id": "e-1",
        "occurred_at": "2026-03-10T12:00:00Z",
        "posted_at": "2026-03-10T12:00:00Z",
        "program": "club",
        "program_version": "2017-06",
        "points": 17,
        "balance": 17,
        "expires_on": "2027-03-10",
        "tier_before": "A0",
        "tier_after": "A1",
        "reasons": [
            {
                "rule": "purchase",
                "points": 12,
                "code": "earned",
                "text": "12 points for order o-1001",
                "ref": "o-1001",
            },
            {
                "rule": "purchase",
                "points": 0,
                "code": "unit_price_below_minimum",
                "text": "Item i-9 earns nothing: its unit price is below the minimum",
                "ref": "item i-9",
            },
            {"rule": "daily_shopping", "points": 5, "code": "earned", "text": "5 points for shopping on this day"},
        ],
        "receipt_id": "e-1~club",
    }


def test_a_statement_entry_of_spend_is_money() -> None:
    member = Member()
    member.buys("o-1", "12.50", on=DAY)
    member.gets_back("o-1", "0.05", on=after(DAY, 1))
    found = stated(member, "vip")
    assert (found["spend"], found["balance"], found["kind"]) == ("-0.05", "12.45", "clawback")
    assert "points" not in found
    assert found["reasons"] == [
        {
            "rule": "spend",
            "spend": "-0.05",
            "code": "refunded",
            "text": "0.05 USD taken back: order o-1 was refunded, wholly or in part",
            "ref": "o-1",
        }
    ]
    assert (found["expires_on"], found["tier_before"], found["tier_after"]) == (None, "none", "none")


def test_a_statement_is_in_the_language_asked_for() -> None:
    member = Member()
    member.buys("o-1", "12.50", on=DAY)
    shown = statement_entry(member.entries[-1], PROGRAMS.versions("club")[0], messages_for("ru"))
    assert [reason["text"] for reason in shown["reasons"]] == [
        "12 баллов за заказ o-1",
        "5 баллов за покупки в этот день",
    ]


def test_what_falls_due_by_itself_has_no_event() -> None:
    member = Member()
    member.is_given(1, on=DAY)
    member.on(after(DAY, 365))
    expiry, review = stated(member, "club", -2), stated(member, "club")
    assert (expiry["kind"], expiry["event_id"], expiry["points"], expiry["balance"]) == ("expiry", None, -1, 0)
    assert expiry["occurred_at"] == expiry["posted_at"] == f"{after(DAY, 365)}T00:00:00Z"
    assert expiry["reasons"][0]["text"] == "1 point expired: it was earned on 10 March 2026"
    assert (review["kind"], review["points"]) == ("tier_review", 0)
    assert (review["tier_before"], review["tier_after"]) == ("A1", "A0")
    assert review["receipt_id"] == f"{review['entry_id']}~club"


def test_an_entry_without_a_part_in_a_program_is_not_in_its_statement() -> None:
    member = Member()
    member.is_given(1, "crowns", on=DAY)
    with pytest.raises(KeyError):
        statement_entry(member.entries[0], load_programs().versions("club")[0], ENGLISH)


def test_what_comes_back_is_not_held_against_what_expires() -> None:
    second = changed("club", version="2", effective_from=after(DAY, 5), window_days=360)
    member = Member(Programs([changed("club"), second]))
    member.is_given(3, on=DAY)
    member.adjusts("club", -3, after(DAY, 5))  # both go on day 365
    member.on(after(DAY, 350))
    assert seen(member, "club")["expiring"] == [{"on": after(DAY, 365), "points": 3}]


def test_progress_is_whole_per_cents_rounded_down() -> None:
    member = Member()
    member.is_given(1999, on=DAY)
    assert seen(member, "club")["next_tier"]["progress_percent"] == 99


def test_penalties_are_in_the_order_in_which_they_end() -> None:
    member = Member()
    member.is_given(50, "crowns", DAY)
    for case, kind in (("v-1", "return_abuse"), ("v-3", "spam"), ("v-2", "spam")):
        member.does("violation.confirmed", {"case_id": case, "kind": kind})
    found = seen(member, "crowns")["penalties"]
    assert [(each["case_id"], each["points"]) for each in found] == [("v-2", -20), ("v-3", -20), ("v-1", -200)]


# --- privileges


def test_what_is_granted_and_what_would_unlock_the_rest() -> None:
    member = Member()
    member.is_given(600, on=DAY)
    member.is_given(150, "crowns")
    found = privileges(member.account, PROGRAMS, member.clock, ENGLISH)
    assert found[3] == {
        "program": "club",
        "tier": "A3",
        "code": "dispute_acceleration",
        "granted": False,
        "unlocked_by": "A4",
        "days": 5,
        "missing": 1400,
        "title": "Faster disputes",
        "text": "Once escalated, your dispute goes to a queue of its own and its review is due 5 days earlier."
        " Yours from A4 on: 1,400 points to go.",
    }
    told = [{name: value for name, value in each.items() if name not in ("title", "text")} for each in found]
    granted = {"program": "club", "tier": "A3", "granted": True}
    locked = {"program": "vip", "tier": "none", "granted": False, "unlocked_by": "Silver", "missing": "999.00"}
    assert told[:3] + told[4:] == [
        {**granted, "code": "discount_news"},
        {**granted, "code": "price_alerts"},
        {
            **granted,
            "code": "expedited_refund",
            "limit": "25.00",
            "currency": "USD",
            "levels": [{"tier": "A3", "limit": "25.00"}, {"tier": "A4", "limit": "100.00"}],
        },
        {
            "program": "crowns",
            "tier": "Gold",
            "granted": True,
            "code": "exclusive_prices",
            "percent": 2,
            "levels": [
                {"tier": tier, "percent": percent}
                for tier, percent in {"Silver": 1, "Gold": 2, "Platinum": 3, "Diamond": 5}.items()
            ],
        },
        *({**locked, "code": code} for code in ("personal_manager", "seasonal_sales", "members_sale")),
    ]


def test_under_a_cap_nothing_is_missing_for_what_stays_locked() -> None:
    member = Member(Programs([changed("crowns", privileges=[{"code": "personal_manager", "from_tier": "Gold"}])]))
    member.is_given(2000, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    (found,) = privileges(member.account, member.programs, member.clock, ENGLISH)
    assert (found["tier"], found["granted"], found["missing"]) == ("Silver", False, 0)


def test_privileges_are_those_of_the_version_in_force() -> None:
    second = changed("club", version="2", effective_from=after(DAY, 1), privileges=[])
    member = Member(Programs([changed("club"), second]))
    assert len(privileges(member.account, member.programs, member.on(DAY).clock, ENGLISH)) == 4
    assert privileges(member.account, member.programs, member.on(after(DAY, 1)).clock, ENGLISH) == []


# --- the calendar ahead


def test_the_calendar_says_what_changes_when_and_how_to_keep_the_tier() -> None:
    member = Member()
    member.is_given(600, on=DAY)
    member.is_given(450, on=after(DAY, 20))
    member.on(after(DAY, 340))
    view = outlook_view(
        PROGRAMS.versions("club")[0], ENGLISH, outlook(member.account, PROGRAMS, "club", member.clock, 50)
    )
    assert len(view["days"]) == 50
    assert view | {"days": view["days"][:1]} == {
        "today": {"date": "2027-02-13", "tier": "A3", "points": 1050, "expires": 0},
        "days": [{"date": "2027-02-14", "tier": "A3", "points": 1050, "expires": 0}],
        "changes": [
            {
                "date": "2027-03-10",
                "tier": "A2",
                "points": 450,
                "expires": 600,
                "tier_before": "A3",
                "text": "On 10 March 2027, 600 points expire and you move from A3 to A2.",
            },
            {
                "date": "2027-03-30",
                "tier": "A0",
                "points": 0,
                "expires": 450,
                "tier_before": "A2",
                "text": "On 30 March 2027, 450 points expire and you move from A2 to A0.",
            },
        ],
        "keep": {
            "tier": "A3",
            "earn": 50,
            "from": "2027-02-13",
            "by": "2027-03-09",
            "falls_on": "2027-03-10",
            "falls_to": "A2",
            "text": "Earn 50 points by 9 March 2027 to keep A3.",
        },
    }


def test_a_quiet_calendar_has_nothing_to_keep() -> None:
    member = Member()
    view = outlook_view(PROGRAMS.versions("vip")[0], ENGLISH, outlook(member.account, PROGRAMS, "vip", member.clock, 1))
    row = {"tier": "none", "spend": "0.00", "expires": "0.00"}
    assert view == {
        "today": {"date": "2026-01-01", **row},
        "days": [{"date": "2026-01-02", **row}],
        "changes": [],
        "keep": None,
    }


# --- adjustments


def test_an_adjustment_as_its_operators_see_it() -> None:
    member = Member()
    member.is_given(120, on=DAY)
    member.adjusts("club", -30, after(DAY, 1))
    view = {
        "member_id": "m-1",
        "program": "club",
        "points": -30,
        "balance": 90,
        "tier_before": "A2",
        "tier": "A1",
        "expires_on": after(DAY, 366),
        "posted_at": f"{after(DAY, 1)}T12:00:00Z",
        "entry_id": member.entries[-1]["entry_id"],
        "reason": "a slip",
        "actor": "op-1",
        "confirmed_by": None,
    }
    assert adjustment_view(member.entries[-1], PROGRAMS) == view
    member.entries[-1]["data"]["confirmed_by"] = "op-2"
    assert adjustment_view(member.entries[-1], PROGRAMS) == {**view, "confirmed_by": "op-2"}


def test_who_adjusted_is_told_to_support_alone() -> None:
    member = Member()
    member.adjusts("club", 30, DAY)
    member.entries[-1]["data"]["confirmed_by"] = "op-2"
    program = PROGRAMS.versions("club")[0]
    own, theirs = (statement_entry(member.entries[-1], program, each) for each in (ENGLISH, SUPPORT))
    names = ("note", "actor", "confirmed_by")
    assert {name: own[name] for name in names if name in own} == {"note": "a slip"}
    assert {name: theirs[name] for name in names} == {"note": "a slip", "actor": "op-1", "confirmed_by": "op-2"}
    member.is_given(1)
    assert not set(names) & statement_entry(member.entries[-1], program, SUPPORT).keys()


def test_what_a_violation_was_is_told_to_support_alone() -> None:
    member = Member()
    member.is_given(50, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"})
    program = PROGRAMS.versions("crowns")[0]
    codes = [statement_entry(member.entries[-1], program, each)["reasons"][0]["code"] for each in (ENGLISH, SUPPORT)]
    assert codes == ["penalty", "spam"]


# --- rewards


def test_the_summary_counts_the_rewards_that_are_valid() -> None:
    member = Member()
    rewards = Rewards()
    dates = {"from": after(DAY, -2), "to": after(DAY, 2)}
    of = {"kind": "birthday_gift", "version": "1", "at": f"{DAY}T00:00:00Z", "codes": ["c"], **dates}
    rewards.issued = [{**of, "id": f"r-{n}", "program": "crowns" if n else "vip"} for n in range(3)]
    member.on(DAY)
    given = (member.account, PROGRAMS, member.clock, NOBODY, ENGLISH)
    found = summary(*given, rewards=rewards)["programs"]
    assert {name: view["rewards"] for name, view in found.items()} == {"club": 0, "crowns": 2, "vip": 1}
    member.on(after(DAY, 3))
    found = summary(member.account, PROGRAMS, member.clock, NOBODY, ENGLISH, rewards=rewards)["programs"]
    assert {view["rewards"] for view in found.values()} == {0}


@pytest.mark.parametrize(("version", "title"), [("1", "A cup"), ("2", "A hat"), ("gone", "A cup")])
def test_a_gift_is_called_as_the_version_it_was_given_by_calls_it(version: str, title: str) -> None:
    files = []
    for number, gift in (("1", "A cup"), ("2", "A hat")):
        start = "2017-01-01" if number == "1" else DAY
        present = {"from_tier": "Silver", "valid_days": 30, "gift": {"title": gift}}
        files.append(changed("crowns", version=number, effective_from=start, rewards={"birthday_gift": present}))
    rewards = Rewards()
    of = {"kind": "birthday_gift", "program": "crowns", "at": f"{DAY}T00:00:00Z", "codes": ["c"]}
    rewards.issued = [{**of, "id": "r-1", "version": version, "from": DAY, "to": DAY}]
    (view,) = rewards_view(rewards, "m-1", Programs(files), Member().on(DAY).clock, ENGLISH)
    assert (view["title"], view["valid"], view["reward_id"]) == (title, True, "r-1~m-1")


# --- what is handed out


def test_an_entry_is_handed_out_with_what_was_sent_and_what_it_did() -> None:
    member = Member()
    member.buys("o-1", line("99.00", category="books"), on=DAY, posted=after(DAY, 1), flags=["gift"])
    (entry,) = member.entries
    found = exported_entry(entry, PROGRAMS, ENGLISH)
    parts, receipts = found.pop("parts"), found.pop("receipts")
    assert found == {
        "entry_id": "e-1",
        "seq": 1,
        "type": "order.completed",
        "event_id": "e-1",
        "occurred_at": f"{DAY}T12:00:00Z",
        "posted_at": f"{after(DAY, 1)}T12:00:00Z",
        "data": {
            "order_id": "o-1",
            "currency": "USD",
            "lines": [
                {"item_id": "i-1", "seller_id": "s-1", "category": "books", "unit_price": "99.00", "quantity": 1}
            ],
            "flags": ["gift"],
        },
    }
    assert parts == [statement_entry(entry, PROGRAMS.versions(each)[0], ENGLISH) for each in ("club", "crowns", "vip")]
    assert [(each["program"], each["from"], each["to"]) for each in receipts] == [("club", "A0", "A2")]
    assert [each["entry_id"] for each in receipts[0]["causes"][0]["entries"]] == ["e-1"]


def test_what_fell_due_and_what_a_person_did_are_handed_out_as_well() -> None:
    member = Member()
    member.adjusts("club", 30, DAY)
    member.entries[-1]["data"]["confirmed_by"] = "op-2"
    member.on(after(DAY, 365))
    by_hand, expiry = (exported_entry(each, PROGRAMS, ENGLISH) for each in member.entries[:2])
    assert (by_hand["type"], by_hand["event_id"], by_hand["data"]) == ("adjustment", None, {"note": "a slip"})
    asked_by = exported_entry(member.entries[0], PROGRAMS, SUPPORT)["data"]
    assert asked_by == {"note": "a slip", "actor": "op-1", "confirmed_by": "op-2"}
    assert (expiry["type"], expiry["event_id"], expiry["data"]) == (None, None, {})
    assert [part["kind"] for part in expiry["parts"]] == ["expiry"]
    assert exported_entry({**expiry, "type": "erasure", "parts": {}, "data": {"actor": "op-1"}}, PROGRAMS, ENGLISH)[
        "data"
    ] == {"actor": "op-1"}


def test_an_item_is_handed_out_with_the_lists_it_was_on() -> None:
    assert exported_item("i-1", {"cart": ["2026-03-10T12:00:00Z", False]}) == {
        "item_id": "i-1",
        "wishlist": None,
        "cart": {"listed": False, "at": "2026-03-10T12:00:00Z"},
    }
    assert exported_item("i-1", {"wishlist": ["2026-03-10T12:00:00Z", True]})["wishlist"] == {
        "listed": True,
        "at": "2026-03-10T12:00:00Z",
    }
