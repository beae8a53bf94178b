"""Tiers and settling (rules 1.6, 1.9): thresholds, expiry, the vip period, and that lateness changes nothing."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from club_rules.account import Account, ProgramAccount, encode_account
from club_rules.programs import Program, Programs
from club_rules.settling import due_at, settle
from club_rules.tiers import give_back, review
from tests.unit.member import PROGRAMS, Member, after, changed, line, noon

DAY = "2026-03-10"


@pytest.fixture
def member() -> Member:
    return Member()


# --- thresholds, exactly


@pytest.mark.parametrize(
    ("points", "club", "crowns"),
    [
        (1, "A1", "Silver"),
        (99, "A1", "Silver"),
        (100, "A2", "Silver"),
        (101, "A2", "Gold"),
        (499, "A2", "Gold"),
        (500, "A3", "Gold"),
        (501, "A3", "Platinum"),
        (1500, "A3", "Platinum"),
        (1501, "A3", "Diamond"),
        (1999, "A3", "Diamond"),
        (2000, "A4", "Diamond"),
        (10_000, "A4", "Diamond"),
    ],
)
def test_thresholds_of_points(member: Member, points: int, club: str, crowns: str) -> None:
    assert (member.tier("club"), member.tier("crowns"), member.tier("vip")) == ("A0", "none", "none")
    member.is_given(points, "club", DAY)
    member.is_given(points, "crowns")
    assert (member.tier("club"), member.tier("crowns"), member.tier("vip")) == (club, crowns, "none")


@pytest.mark.parametrize(
    ("price", "tier"),
    [
        ("998.99", "none"),
        ("999.00", "Silver"),
        ("3998.99", "Silver"),
        ("3999.00", "Gold"),
        ("6998.99", "Gold"),
        ("6999.00", "Platinum"),
    ],
)
def test_thresholds_of_spend(member: Member, price: str, tier: str) -> None:
    member.buys("o-1", price, on=DAY)
    assert member.tier("vip") == tier


# --- up


def test_a_tier_rises_with_the_entry_that_reached_it(member: Member) -> None:
    member.is_given(99, on=DAY)
    member.is_given(1, on=after(DAY, 3))
    part = member.entries[-1]["parts"]["club"]
    assert part["tier"] == [1, 2]
    assert (part["receipt"]["from"], part["receipt"]["to"]) == ("A1", "A2")
    assert member.since() == after(DAY, 3)
    assert len(member.entries) == 2


def test_tiers_are_passed_at_one_go(member: Member) -> None:
    member.is_given(2000, on=DAY)
    assert [(r["from"], r["to"]) for r in member.receipts("club")] == [("A0", "A4")]


def test_since_is_the_day_of_posting_not_the_events(member: Member) -> None:
    assert member.since() is None
    member.is_given(100, on=DAY, posted=after(DAY, 20))
    assert member.since() == after(DAY, 20)
    member.on(after(DAY, 365))
    assert (member.tier(), member.since()) == ("A0", after(DAY, 365))  # back at the lowest: no longer null


def test_what_leaves_the_tier_as_it_is_changes_no_date_and_writes_no_receipt(member: Member) -> None:
    member.is_given(100, on=DAY)
    member.is_given(50, on=after(DAY, 1))
    assert member.since() == DAY
    assert len(member.receipts("club")) == 1


# --- down


def test_after_expiry_the_tier_falls_to_what_is_left_on_that_very_day(member: Member) -> None:
    member.is_given(450, on=DAY)
    member.is_given(60, on=after(DAY, 10))
    assert member.tier() == "A3"
    assert member.on(after(DAY, 364)).tier() == "A3"
    assert member.on(after(DAY, 365)).tier() == "A1"  # 60 points: past A2
    assert member.since() == after(DAY, 365)
    expiry, review = member.entries[-2:]
    assert (expiry["parts"]["club"]["kind"], review["parts"]["club"]["kind"]) == ("expiry", "tier_review")
    assert expiry["posted_at"] == review["posted_at"] == f"{after(DAY, 365)}T00:00:00Z"
    assert expiry["parts"]["club"]["tier"] == [3, 3]
    assert review["parts"]["club"]["tier"] == [3, 1]
    assert review["parts"]["club"]["points"] == 0


def test_a_clawback_lowers_the_tier_at_once(member: Member) -> None:
    member.buys("o-1", "95.00", on=DAY)
    assert (member.points(), member.tier()) == (100, "A2")
    member.gets_back("o-1", "1.00", on=after(DAY, 5))
    assert (member.points(), member.tier(), member.since()) == (99, "A1", after(DAY, 5))
    assert member.entries[-1]["parts"]["club"]["kind"] == "clawback"


def test_expiry_and_earning_on_one_day_the_expiry_comes_first(member: Member) -> None:
    member.is_given(100, on=DAY)
    midnight = datetime(2027, 3, 10, tzinfo=UTC)
    member.does("promotion.awarded", {"campaign_id": "c", "points": 100, "program": "club"}, midnight)
    assert [(r["from"], r["to"]) for r in member.receipts("club")] == [("A0", "A2"), ("A2", "A0"), ("A0", "A2")]
    assert member.since() == "2027-03-10"


# --- vip: the period


def vip(member: Member, day: str) -> tuple[str, str | None]:
    member.on(day)
    return member.tier("vip"), member.since("vip")


def test_a_period_ends_on_day_90(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    assert vip(member, after(DAY, 89)) == ("Silver", DAY)
    assert vip(member, after(DAY, 90)) == ("none", after(DAY, 90))
    kinds = [entry["parts"]["vip"]["kind"] for entry in member.entries if "vip" in entry["parts"]]
    assert kinds == ["accrual", "expiry", "tier_review"]


@pytest.mark.parametrize(("price", "tier", "since"), [("999.00", "Silver", 0), ("998.99", "none", 90)])
def test_retained_where_the_spend_that_counts_on_day_90_still_meets_the_tier(
    member: Member, price: str, tier: str, since: int
) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", price, on=after(DAY, 1))  # counts on the days 1 to 90
    assert vip(member, after(DAY, 90)) == (tier, after(DAY, since))
    assert member.why("vip")[0][2] == ("retained" if tier == "Silver" else "reset")


def test_what_was_bought_a_day_too_early_does_not_count_on_day_90(member: Member) -> None:
    member.buys("o-0", "998.99", on=DAY)
    member.buys("o-1", "0.01", on=after(DAY, 1))
    assert member.since("vip") == after(DAY, 1)
    member.buys("o-2", "998.98", on=after(DAY, 2))
    assert vip(member, after(DAY, 91)) == ("none", after(DAY, 91))  # o-1 is gone on its day 90, one cent is missing


def test_a_retained_tier_outlives_its_spend_until_the_next_review(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 1))
    assert vip(member, after(DAY, 179)) == ("Silver", DAY)
    assert member.points("vip") == 0
    assert vip(member, after(DAY, 180)) == ("none", after(DAY, 180))


def test_reset_to_a_lower_tier_starts_a_new_period(member: Member) -> None:
    member.buys("o-1", "3999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 10))
    assert vip(member, after(DAY, 89)) == ("Gold", DAY)
    assert vip(member, after(DAY, 90)) == ("Silver", after(DAY, 90))
    assert vip(member, after(DAY, 179)) == ("Silver", after(DAY, 90))
    assert vip(member, after(DAY, 180)) == ("none", after(DAY, 180))


def test_an_upgrade_starts_a_new_period(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "3000.00", on=after(DAY, 50))
    assert vip(member, after(DAY, 139)) == ("Gold", after(DAY, 50))  # no review on day 90; 3000.00 is left of the spend
    assert member.points("vip") == 3000_00
    assert vip(member, after(DAY, 140)) == ("none", after(DAY, 140))


def test_spend_below_the_next_tier_starts_no_new_period(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "2999.99", on=after(DAY, 50))
    assert vip(member, after(DAY, 90)) == ("Silver", DAY)
    assert vip(member, after(DAY, 180)) == ("none", after(DAY, 180))


@pytest.mark.parametrize(
    ("posted", "tier", "since"),
    [
        (datetime(2026, 6, 7, 23, 59, 59, tzinfo=UTC), "Silver", "2026-03-10"),
        (datetime(2026, 6, 8, tzinfo=UTC), "Silver", "2026-06-08"),  # after the review: reached anew
    ],
)
def test_the_review_looks_at_what_was_posted_before_it(member: Member, posted: datetime, tier: str, since: str) -> None:
    """Day 90 of 2026-03-10 is 2026-06-08; the order is of the day before, only its arrival differs."""
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=datetime(2026, 6, 7, 12, tzinfo=UTC), posted=posted)
    assert vip(member, "2026-06-09") == (tier, since)


def test_a_clawback_lowers_a_tier_that_was_met_just_before(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.gets_back("o-1", "0.01", on=after(DAY, 10))
    assert vip(member, after(DAY, 10)) == ("none", after(DAY, 10))
    assert vip(member, after(DAY, 300)) == ("none", after(DAY, 10))  # and nothing is left to review


def test_a_clawback_lowers_to_the_qualified_tier_with_a_new_period(member: Member) -> None:
    member.buys("o-1", "3999.00", on=DAY)
    member.buys("o-2", "1000.00", on=after(DAY, 31))
    member.gets_back("o-1", "2000.00", on=after(DAY, 30 + 1))
    assert vip(member, after(DAY, 31)) == ("Silver", after(DAY, 31))
    assert vip(member, after(DAY, 120)) == ("Silver", after(DAY, 31))  # no review on the old day 90
    assert vip(member, after(DAY, 121)) == ("none", after(DAY, 121))


def test_a_clawback_leaves_a_tier_that_was_not_met_any_more(member: Member) -> None:
    member.buys("o-1", "500.00", on=DAY)
    member.buys("o-2", "499.00", on=after(DAY, 40))
    assert vip(member, after(DAY, 90)) == ("Silver", after(DAY, 40))
    member.gets_all_back("o-2", on=after(DAY, 100))
    assert member.points("vip") == 0
    assert vip(member, after(DAY, 129)) == ("Silver", after(DAY, 40))
    assert vip(member, after(DAY, 130)) == ("none", after(DAY, 130))


def test_the_measure_just_before_a_clawback_is_that_of_its_day(member: Member) -> None:
    """On day 90 the spend leaves first: the clawback that follows finds a tier that is no longer met."""
    member.buys("o-1", "500.00", on=DAY)
    member.buys("o-2", "499.00", on=after(DAY, 1))
    member.does("order.cancelled", {"order_id": "o-2"}, datetime(2026, 6, 8, tzinfo=UTC))
    assert vip(member, "2026-06-08") == ("Silver", after(DAY, 1))


def test_a_clawback_that_leaves_the_tier_met_starts_no_new_period(member: Member) -> None:
    member.buys("o-1", "1500.00", on=DAY)
    member.gets_back("o-1", "501.00", on=after(DAY, 60))
    assert vip(member, after(DAY, 89)) == ("Silver", DAY)
    assert vip(member, after(DAY, 90)) == ("none", after(DAY, 90))


def test_a_clawback_between_counts_in_the_review(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 50))
    member.gets_back("o-2", "0.01", on=after(DAY, 60))
    assert vip(member, after(DAY, 89)) == ("Silver", DAY)
    assert vip(member, after(DAY, 90)) == ("none", after(DAY, 90))


def test_a_clawback_on_day_90_comes_after_the_review(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 50))
    member.gets_back("o-2", "0.01", on=after(DAY, 90))
    assert vip(member, after(DAY, 90)) == ("none", after(DAY, 90))
    assert [reason[2] for entry in member.entries[-2:] for reason in _reasons(entry)] == ["retained", "refunded"]


def _reasons(entry: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [(r["rule"], r["points"], r["code"]) for r in entry["parts"]["vip"]["reasons"]]


def test_periods_follow_one_another_on_their_own_days_however_late(member: Member) -> None:
    for n in range(6):
        member.buys(f"o-{n}", "999.00", on=after(DAY, 60 * n))
    late = member.copy()
    assert vip(member, after(DAY, 359)) == ("Silver", DAY)
    late.settle(noon(after(DAY, 2000)))
    assert late.view()["vip"] == {"spend": 0, "tier": "none", "tier_since": after(DAY, 450)}
    reviews = [e["posted_at"][:10] for e in late.entries if e["parts"].get("vip", {}).get("kind") == "tier_review"]
    assert reviews == [after(DAY, 90 * n) for n in (1, 2, 3, 4, 5)]


def test_a_tier_of_the_leap_day_ends_90_days_later(member: Member) -> None:
    member.buys("o-1", "999.00", on="2028-02-29")
    assert vip(member, "2028-05-28") == ("Silver", "2028-02-29")
    assert vip(member, "2028-05-29") == ("none", "2028-05-29")


# --- settling


def test_settling_twice_or_to_an_earlier_moment_does_nothing(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.on(after(DAY, 400))
    state, entries = encode_account(member.account), len(member.entries)
    for days in (400, 399, 90, 0, -100):
        assert settle(member.account, PROGRAMS, noon(after(DAY, days))) == []
    assert (encode_account(member.account), len(member.entries)) == (state, entries)


def test_programs_that_fall_due_together_share_an_entry(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    member.on(after(DAY, 365))
    assert [sorted(entry["parts"]) for entry in member.entries] == [
        ["club", "crowns", "vip"],
        ["vip"],
        ["club", "crowns"],  # the expiry
        ["club", "crowns"],  # the review
    ]


def test_no_more_steps_at_once_than_asked_for(member: Member) -> None:
    for n in range(10):
        member.is_given(1, on=after(DAY, n))
    whole, steps = member.copy(), []
    whole.settle(noon(after(DAY, 400)))
    while entries := settle(member.account, PROGRAMS, noon(after(DAY, 400)), at_most=3):
        steps.append(len(entries))
        member.entries += entries
    assert steps == [3, 3, 3, 2]  # ten expiries and one review
    assert member.entries == whole.entries


@pytest.mark.parametrize(
    ("what", "due"),
    [
        ("nothing", None),
        ("points", "2027-02-08T00:00:00+00:00"),
        ("spend", "2026-05-09T00:00:00+00:00"),
        ("penalty", "2026-04-09T00:00:00+00:00"),
        ("cap", "2026-05-09T00:00:00+00:00"),
        ("spent", None),
    ],
)
def test_the_next_thing_that_falls_due(member: Member, what: str, due: str | None) -> None:
    if what != "nothing":
        member.is_given(5, "crowns", on=DAY)
    if what == "spend":
        member.buys("o-1", "1.00")
    elif what in ("penalty", "cap"):
        kind = {"penalty": "spam", "cap": "extortion"}[what]
        member.does("violation.confirmed", {"case_id": "v-1", "kind": kind})
    elif what == "spent":
        member.on(after(DAY, 365))
    found = due_at(member.account, PROGRAMS)
    assert (found and found.isoformat()) == due


def test_the_review_of_a_period_is_due_though_the_spend_is_gone(member: Member) -> None:
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 1), flags=["fraudulent"])
    member.buys("o-3", line("999.00", item="i-3"), on=after(DAY, 1))
    member.on(after(DAY, 91))
    vip_only = Account("m-1")
    vip_only.programs["vip"] = member.account.program("vip")
    assert member.points("vip") == 0
    assert due_at(vip_only, PROGRAMS) == datetime(2026, 3, 10, tzinfo=UTC) + timedelta(days=180)


def test_the_expiry_sweep_leaves_the_review_and_the_review_finds_the_measure_of_its_day(member: Member) -> None:
    """The expiry of o-2 (day 91) is posted ahead of the review of day 90: it still counts there."""
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 1))
    late = noon(after(DAY, 100))
    member.settle(late, expiries_only=True)
    assert (member.points("vip"), member.tier("vip")) == (0, "Silver")
    assert len(member.account.program("vip").passed) == 1
    member.settle(late)
    assert (member.tier("vip"), member.since("vip")) == ("Silver", DAY)
    assert member.why("vip") == [("tier", 0, "retained")]
    assert member.account.program("vip").passed == []  # kept no longer than the review needs it
    member.settle(late)
    assert (member.tier("vip"), member.since("vip")) == ("Silver", DAY)


# --- a review by itself: the whole part of an entry, over expiries that were posted ahead of it

TODAY = date.fromisoformat(DAY).toordinal()


def held(**slots: Any) -> ProgramAccount:
    """A member in a program, as the slots say; the rest as at the beginning."""
    state = ProgramAccount()
    for name, value in slots.items():
        setattr(state, name, value)
    return state


def with_grace(to: str) -> Program:
    """The club with a grace of seven days."""
    return Programs([changed("club", demotion={"grace_days": 7, "to": to})]).versions("club")[0]


def receipt(**said: Any) -> dict[str, Any]:
    """A receipt of ``DAY`` in the club after entry 4, and what else it says."""
    window = ["2025-03-11", DAY]
    return {"on": DAY, "causes": {}, "window": window, "version": "2017-06", "since_seq": 4, **said}


@pytest.mark.parametrize(
    ("to", "state", "code", "change"),
    [
        # 550 points count today; those that leave on the 12th leave the tier met, those of the 15th don't
        (
            "to_qualified",
            {"tier": 3, "points": 430, "passed": [[TODAY + 2, -20, 8], [TODAY + 5, -100, 9]]},
            "kept",
            {"set": {"review_on": TODAY + 12}, "tier": [3, 3]},
        ),
        # the expiry of entry 8 is not yet a cause: it belongs to the next change
        (
            "one_down",
            {"tier": 3, "points": 40, "measured": 600, "causes": {"expired": -560}, "passed": [[TODAY + 2, -50, 8]]},
            "demoted",
            {
                "set": {"tier": 2, "since": TODAY, "review_on": TODAY + 7},
                "tier": [3, 2],
                "receipt": {
                    **receipt(before=600, after=90, causes={"expired": -510}, threshold=500, without=[8]),
                    "from": "A3",
                    "to": "A2",
                    "way_back": 410,
                },
            },
        ),
        # what took as much as it gave is no cause, nor was there any expiry before
        (
            "to_qualified",
            {"tier": 3, "points": 90, "measured": 600, "causes": {"clawed_back": -510}, "passed": [[TODAY + 3, 0, 9]]},
            "demoted",
            {
                "set": {"tier": 1, "since": TODAY, "review_on": None},
                "tier": [3, 1],
                "receipt": {
                    **receipt(before=600, after=90, causes={"clawed_back": -510}, threshold=500, without=[9]),
                    "from": "A3",
                    "to": "A1",
                    "way_back": 410,
                },
            },
        ),
        # rules that came too late for what was posted have left the tier too low: the review raises it
        (
            "to_qualified",
            {
                "tier": 1,
                "points": 50,
                "measured": 5,
                "causes": {"earned": 145, "expired": -100},
                "passed": [[TODAY + 2, -100, 8]],
            },
            "promoted",
            {
                "set": {"tier": 2, "since": TODAY, "review_on": TODAY + 9},
                "tier": [1, 2],
                "receipt": {
                    **receipt(before=5, after=150, causes={"earned": 145}, threshold=100, without=[8]),
                    "from": "A1",
                    "to": "A2",
                },
            },
        ),
    ],
)
def test_what_a_review_says_over_expiries_posted_ahead_of_it(
    to: str, state: dict[str, Any], code: str, change: dict[str, Any]
) -> None:
    assert review(held(changed_at=4, **state), with_grace(to), TODAY) == {
        "kind": "tier_review",
        "points": 0,
        "version": "2017-06",
        "reasons": [{"rule": "tier", "points": 0, "code": code}],
        "balance": state["points"],
        **change,
    }


@pytest.mark.parametrize(
    ("measure", "code", "tier", "change"),
    [
        (3999_00, "retained", 2, {"period": TODAY, "review_on": TODAY + 90}),
        (3998_99, "reset", 1, {"tier": 1, "since": TODAY, "period": TODAY, "review_on": TODAY + 90}),
        (998_99, "reset", 0, {"tier": 0, "since": TODAY, "period": None, "review_on": None}),
    ],
)
def test_what_the_review_of_a_period_says(measure: int, code: str, tier: int, change: dict[str, Any]) -> None:
    program = PROGRAMS.versions("vip")[0]
    state = held(tier=2, points=measure, measured=measure, changed_at=4)
    part = review(state, program, TODAY)
    found = part.pop("receipt", None)
    assert part == {
        "kind": "tier_review",
        "points": 0,
        "version": program.version,
        "reasons": [{"rule": "tier", "points": 0, "code": code}],
        "balance": measure,
        "tier": [2, tier],
        "set": change,
    }
    assert (
        found is None
        if code == "retained"
        else (found["to"], found["way_back"])
        == (
            program.codes[tier],
            3999_00 - measure,
        )
    )


def test_what_an_undone_demotion_says() -> None:
    reason = {"rule": "tier", "points": 0, "code": "demotion_undone", "ref": "r-1"}
    assert give_back(held(tier=1, points=40, measured=40, changed_at=4), with_grace("one_down"), 3, TODAY, reason) == {
        "kind": "tier_review",
        "points": 0,
        "version": "2017-06",
        "reasons": [reason],
        "balance": 40,
        "tier": [1, 3],
        "set": {"tier": 3, "since": TODAY, "review_on": TODAY + 30},
        "receipt": {**receipt(before=40, after=40, threshold=500), "from": "A1", "to": "A3"},
    }


def test_a_receipt_that_does_not_reconcile_is_refused() -> None:
    state = held(tier=2, points=40, measured=100, causes={"expired": -59})
    with pytest.raises(ArithmeticError, match=r"club: the causes .*-59.* don't lead from 100 to 40"):
        review(state, with_grace("one_down"), TODAY)
