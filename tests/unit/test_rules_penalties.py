"""Violations (rules 1.8): what a case takes, for how long, and how it is undone."""

from __future__ import annotations

from itertools import permutations

import pytest

from club_rules.programs import Programs
from tests.unit.member import Did, Member, after, changed, noon

DAY = "2026-03-10"


@pytest.fixture
def member() -> Member:
    return Member()


def confirmed(member: Member, kind: str, on: str | None = None, posted: str | None = None, case: str = "v-1") -> Did:
    return member.does("violation.confirmed", {"case_id": case, "kind": kind}, on, posted)


def overturned(member: Member, kind: str, on: str | None = None, case: str = "v-1") -> Did:
    return member.does("violation.overturned", {"case_id": case, "kind": kind}, on)


def crowns(member: Member, day: str | None = None) -> tuple[int, str]:
    if day is not None:
        member.on(day)
    return member.points("crowns"), member.tier("crowns")


# --- what each kind takes, and for how long


@pytest.mark.parametrize(
    ("kind", "points", "taken", "days"),
    [
        ("return_abuse", 600, 200, 90),
        ("spam", 600, 20, 30),
        ("extortion", 600, 300, 180),
        ("extortion", 501, 250, 180),  # half of it, the deduction rounded down
        ("extortion", 1, 0, 180),
        ("coupon_fraud", 600, 600, 365),
        ("coupon_fraud", 1, 1, 365),
        ("spam", 5, 20, 30),  # the ledger's sum may be below 0
        ("return_abuse", 0, 200, 90),
        ("extortion", 0, 0, 180),
    ],
)
def test_what_a_violation_takes_and_when_it_comes_back(
    member: Member, kind: str, points: int, taken: int, days: int
) -> None:
    if points:
        member.is_given(points, "crowns", on=after(DAY, 1))
    assert confirmed(member, kind, after(DAY, 1))["crowns"][0] == -taken
    assert member.entries[-1]["parts"]["crowns"]["kind"] == "penalty"
    assert crowns(member)[0] == points - taken
    assert crowns(member, after(DAY, days))[0] == points - taken  # its last day
    # after 365 days the points themselves have expired as well
    assert crowns(member, after(DAY, days + 1))[0] == (points if days < 365 else 0)


def test_the_points_come_back_as_any_lot_ends_upwards(member: Member) -> None:
    member.is_given(300, "crowns", DAY)
    confirmed(member, "return_abuse")
    assert crowns(member) == (100, "Silver")
    assert member.since("crowns") == DAY
    assert crowns(member, after(DAY, 89)) == (100, "Silver")
    assert crowns(member, after(DAY, 90)) == (300, "Gold")
    assert member.since("crowns") == after(DAY, 90)
    part = member.entries[-1]["parts"]["crowns"]
    assert (part["kind"], part["points"]) == ("expiry", 200)
    assert member.why("crowns") == [("penalty", 200, "penalty_ended")]


def test_the_tier_follows_at_once(member: Member) -> None:
    member.is_given(600, "crowns", DAY)
    confirmed(member, "coupon_fraud", after(DAY, 3))
    assert crowns(member) == (0, "none")
    assert member.since("crowns") == after(DAY, 3)
    assert member.receipts("crowns")[-1]["causes"] == {"penalised": -600}


def test_only_programs_whose_data_names_the_kind_are_concerned(member: Member) -> None:
    member.is_given(300, "club", DAY)
    member.buys("o-1", "999.00")
    for n, kind in enumerate(["return_abuse", "extortion", "coupon_fraud", "spam"]):
        assert confirmed(member, kind, case=f"v-{n}").keys() == {"crowns"}
    assert (member.points("club"), member.tier("vip")) == (300 + 999 + 5, "Silver")


def test_a_percentage_is_of_the_balance_settled_to_the_posting(member: Member) -> None:
    member.is_given(100, "crowns", DAY)
    member.is_given(50, "crowns", after(DAY, 1))
    # it occurred when there were 150 points; when it is posted 100 of them have expired
    assert confirmed(member, "extortion", after(DAY, 364), posted=after(DAY, 365))["crowns"] == (-25, [])


def test_a_percentage_of_a_balance_below_zero_is_nothing(member: Member) -> None:
    confirmed(member, "return_abuse", DAY)
    assert confirmed(member, "coupon_fraud", case="v-2")["crowns"][0] == 0
    assert member.points("crowns") == -200
    assert crowns(member, after(DAY, 90))[0] == 0


def test_cases_add_up(member: Member) -> None:
    member.is_given(1000, "crowns", DAY)
    confirmed(member, "return_abuse", case="v-1")
    confirmed(member, "return_abuse", case="v-2")
    assert confirmed(member, "extortion", case="v-3")["crowns"][0] == -300
    assert confirmed(member, "coupon_fraud", case="v-4")["crowns"][0] == -300
    assert crowns(member) == (0, "none")
    assert crowns(member, after(DAY, 90)) == (400, "Gold")
    assert crowns(member, after(DAY, 180)) == (700, "Platinum")


def test_penalised_points_that_expire_leave_a_sum_below_zero(member: Member) -> None:
    member.is_given(600, "crowns", DAY)
    confirmed(member, "coupon_fraud", after(DAY, 10))
    assert crowns(member, after(DAY, 365)) == (-600, "none")
    assert crowns(member, after(DAY, 374)) == (-600, "none")
    assert crowns(member, after(DAY, 375)) == (0, "none")


# --- the cap on the tier


def test_extortion_holds_the_tier_at_silver_for_60_days(member: Member) -> None:
    member.is_given(2000, "crowns", DAY)
    confirmed(member, "extortion")
    assert crowns(member) == (1000, "Silver")
    member.is_given(800, "crowns", after(DAY, 30))
    assert crowns(member, after(DAY, 59)) == (1800, "Silver")
    assert crowns(member, after(DAY, 60)) == (1800, "Diamond")
    assert member.why("crowns") == [("penalty", 0, "tier_cap_ended")]
    assert crowns(member, after(DAY, 180)) == (2800, "Diamond")


def test_under_a_cap_the_tier_still_falls(member: Member) -> None:
    member.is_given(1, "crowns", DAY)
    confirmed(member, "extortion", after(DAY, 330))
    assert crowns(member, after(DAY, 364)) == (1, "Silver")
    assert crowns(member, after(DAY, 365)) == (0, "none")


def test_of_two_caps_the_later_end_counts(member: Member) -> None:
    member.is_given(2000, "crowns", DAY)
    confirmed(member, "extortion", case="v-1")
    confirmed(member, "extortion", after(DAY, 20), case="v-2")
    assert crowns(member, after(DAY, 79)) == (500, "Silver")
    assert crowns(member, after(DAY, 80)) == (500, "Gold")


def test_who_earns_under_a_cap_rises_as_far_as_it_allows(member: Member) -> None:
    confirmed(member, "extortion", DAY)
    member.is_given(900, "crowns", after(DAY, 1))
    assert crowns(member) == (900, "Silver")


# --- overturned


@pytest.mark.parametrize("kind", ["return_abuse", "extortion", "coupon_fraud", "spam"])
def test_overturning_restores_points_and_tier_as_if_it_had_never_been(member: Member, kind: str) -> None:
    member.is_given(602, "crowns", DAY)
    confirmed(member, kind)
    taken = 602 - member.points("crowns")
    assert taken > 0
    assert overturned(member, kind, after(DAY, 20)) == {"crowns": (taken, [])}
    assert crowns(member) == (602, "Platinum")
    assert member.entries[-1]["parts"]["crowns"]["kind"] == "reinstatement"
    for days in (30, 60, 90, 180, 364):
        assert crowns(member, after(DAY, days)) == (602, "Platinum")  # nothing comes back a second time
    assert crowns(member, after(DAY, 365)) == (0, "none")


def test_overturning_lifts_the_cap_of_its_case_alone(member: Member) -> None:
    member.is_given(2000, "crowns", DAY)
    confirmed(member, "extortion", case="v-1")
    confirmed(member, "extortion", after(DAY, 1), case="v-2")
    overturned(member, "extortion", after(DAY, 2), case="v-1")
    assert crowns(member) == (1500, "Silver")
    overturned(member, "extortion", after(DAY, 3), case="v-2")
    assert crowns(member) == (2000, "Diamond")


def test_overturning_a_penalty_of_nothing_lifts_its_cap(member: Member) -> None:
    confirmed(member, "extortion", DAY)
    member.is_given(900, "crowns")
    assert overturned(member, "extortion") == {"crowns": (0, ["overturned"])}
    assert crowns(member) == (900, "Platinum")


@pytest.mark.parametrize(("days", "points", "codes"), [(29, 20, []), (30, 0, ["penalty_over"])])
def test_only_what_is_still_in_force_is_given_back(member: Member, days: int, points: int, codes: list[str]) -> None:
    member.is_given(50, "crowns", DAY)
    confirmed(member, "spam")
    assert overturned(member, "spam", after(DAY, days)) == {"crowns": (points, codes)}
    assert crowns(member)[0] == 50


def test_overturning_after_the_cap_but_before_the_points(member: Member) -> None:
    member.is_given(1000, "crowns", DAY)
    confirmed(member, "extortion")
    assert overturned(member, "extortion", after(DAY, 100)) == {"crowns": (500, [])}
    assert crowns(member) == (1000, "Platinum")


# --- a case is confirmed once and overturned once


def test_a_second_confirmation_changes_nothing(member: Member) -> None:
    member.is_given(500, "crowns", DAY)
    confirmed(member, "return_abuse")
    assert confirmed(member, "return_abuse") == {"crowns": (0, ["case_already_confirmed"])}
    assert confirmed(member, "extortion") == {"crowns": (0, ["case_already_confirmed"])}  # the case counts
    assert crowns(member) == (300, "Gold")
    assert crowns(member, after(DAY, 91)) == (500, "Gold")
    assert confirmed(member, "return_abuse") == {"crowns": (0, ["case_already_confirmed"])}


def test_overturned_twice(member: Member) -> None:
    member.is_given(500, "crowns", DAY)
    confirmed(member, "return_abuse")
    overturned(member, "return_abuse")
    assert overturned(member, "return_abuse") == {"crowns": (0, ["case_already_overturned"])}
    assert confirmed(member, "return_abuse") == {"crowns": (0, ["case_overturned"])}
    assert crowns(member) == (500, "Gold")


def test_a_case_overturned_before_it_was_confirmed_posts_nothing(member: Member) -> None:
    member.is_given(500, "crowns", DAY)
    assert overturned(member, "extortion") == {"crowns": (0, ["case_not_confirmed_yet"])}
    assert member.entries[-1]["parts"]["crowns"]["kind"] == "parked"
    assert confirmed(member, "extortion", after(DAY, 2)) == {"crowns": (0, ["case_overturned"])}
    assert member.entries[-1]["parts"]["crowns"]["kind"] == "denied"
    assert crowns(member) == (500, "Gold")
    assert crowns(member, after(DAY, 182)) == (500, "Gold")


# --- late


@pytest.mark.parametrize(
    ("late", "points", "codes"),
    [(0, -20, []), (29, -20, []), (30, 0, ["already_expired"]), (400, 0, ["already_expired"])],
)
def test_a_penalty_runs_from_the_violations_own_day(member: Member, late: int, points: int, codes: list[str]) -> None:
    member.is_given(50, "crowns", after(DAY, late))
    assert confirmed(member, "spam", DAY, posted=after(DAY, late)) == {"crowns": (points, codes)}
    assert crowns(member, after(DAY, max(late, 30)))[0] == 50


def test_a_penalty_that_arrives_after_its_cap_has_ended_caps_nothing(member: Member) -> None:
    member.is_given(1000, "crowns", after(DAY, 60))
    confirmed(member, "extortion", DAY, posted=after(DAY, 60))
    assert crowns(member) == (500, "Gold")
    assert crowns(member, after(DAY, 180)) == (1000, "Platinum")


def test_a_case_that_came_too_late_can_still_be_overturned(member: Member) -> None:
    confirmed(member, "spam", DAY, posted=after(DAY, 30))
    assert overturned(member, "spam") == {"crowns": (0, ["penalty_over"])}
    assert overturned(member, "spam") == {"crowns": (0, ["case_already_overturned"])}


# --- with fixed deductions, the order of arrival is no matter (I9)


def test_any_order_of_arrival_of_cases_gives_the_same() -> None:
    steps = [
        lambda member: member.is_given(700, "crowns", DAY, posted=after(DAY, 5)),
        lambda member: confirmed(member, "return_abuse", DAY, posted=after(DAY, 5), case="v-1"),
        lambda member: confirmed(member, "spam", after(DAY, 2), posted=after(DAY, 5), case="v-2"),
        lambda member: overturned(member, "spam", after(DAY, 5), case="v-2"),
    ]
    for order in permutations(steps):
        member = Member()
        for step in order:
            step(member)
        assert crowns(member) == (500, "Gold")
        assert crowns(member, after(DAY, 90)) == (700, "Platinum")


# --- a case and other ways down


def test_an_expiry_below_a_penalised_balance_and_its_end_on_one_day(member: Member) -> None:
    """On one day 300 points expire and 200 come back: one step, one tier change."""
    member.is_given(301, "crowns", DAY)
    member.is_given(100, "crowns", after(DAY, 100))
    confirmed(member, "return_abuse", after(DAY, 365 - 90))
    assert crowns(member, after(DAY, 364)) == (201, "Gold")
    assert crowns(member, after(DAY, 365)) == (100, "Silver")
    assert [(r["from"], r["to"]) for r in member.receipts("crowns")][-1] == ("Gold", "Silver")
    assert [receipt["on"] for receipt in member.receipts("crowns")] == [DAY, after(DAY, 365)]


def test_what_ends_after_a_review_does_not_save_the_tier_before(member: Member) -> None:
    """The expiry sweep may not post the end of a penalty ahead of the review of an earlier day."""
    member.is_given(300, "crowns", DAY)
    member.is_given(150, "crowns", after(DAY, 10))
    confirmed(member, "return_abuse", after(DAY, 366 - 90))
    punctual, late = member.copy(), member.copy()
    for days in (365, 366, 370):
        punctual.settle(noon(after(DAY, days)))
    late.settle(noon(after(DAY, 370)), expiries_only=True)
    assert late.account.program("crowns").points == -50  # the 300 of day 365 are out, the 200 of day 366 not yet in
    late.settle(noon(after(DAY, 370)))
    assert late.view()["crowns"] == {"points": 150, "tier": "Gold", "tier_since": after(DAY, 366)}
    assert late.view() == punctual.view()
    for found in (late, punctual):
        assert [(receipt["to"], receipt["on"], receipt["after"]) for receipt in found.receipts("crowns")] == [
            ("Gold", DAY, 300),
            ("none", after(DAY, 365), -50),
            ("Gold", after(DAY, 366), 150),
        ]


# --- another program's data (contract 2.6: penalties are data)


def test_a_program_may_name_other_kinds() -> None:
    club = changed("club", penalties={"spam": {"percent": 10, "days": 2, "tier_at_most": "A0", "tier_days": 1}})
    member = Member(Programs([club]))
    member.is_given(105, on=DAY)
    assert confirmed(member, "spam") == {"club": (-10, [])}
    assert confirmed(member, "return_abuse", case="v-2") == {}
    assert (member.points(), member.tier()) == (95, "A0")
    assert (member.on(after(DAY, 1)).points(), member.tier()) == (95, "A1")
    assert (member.on(after(DAY, 2)).points(), member.tier()) == (105, "A2")
