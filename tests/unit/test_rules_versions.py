"""What the shipped programs don't use: grace days, one tier at a time, several versions, another currency or zone.

The club's data may ask for all of it (contract 2.6). A plain day-by-day calculation of it stands at the end, for the
property that the engine agrees with it, however often and however late accounts are settled.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import encode_account, rebuild
from club_rules.programs import Programs
from club_rules.settling import new_rules_due
from tests.unit.member import Member, after, changed, line, noon, reconcile

DAY = "2026-03-10"


def plain(**changes: Any) -> dict[str, Any]:
    """The club with a window of 30 days, tiers from 0, 10, 20, 30 and 40 points, and purchases without caps."""
    data = changed("club", window_days=30, privileges=[])
    data["tiers"] = tiers(0, 10, 20, 30, 40)
    data["earning"] = {"purchase": {"points_per_currency_unit": 1, "minimum_unit_price": "1.00"}}
    for name, value in changes.items():
        data[name] = {**data[name], **value} if name == "demotion" else value
    return data


def tiers(*thresholds: int) -> list[dict[str, Any]]:
    return [{"code": f"A{n}", "from": threshold} for n, threshold in enumerate(thresholds)]


def member_of(*files: dict[str, Any]) -> Member:
    return Member(Programs(files))


def held(member: Member, days: int) -> str:
    return member.on(after(DAY, days)).tier()


# --- grace days


def test_after_expiry_the_tier_falls_when_the_grace_is_over() -> None:
    member = member_of(plain(demotion={"grace_days": 7}))
    member.is_given(40, on=DAY)
    assert [held(member, days) for days in (29, 30, 36, 37)] == ["A4", "A4", "A4", "A0"]
    assert member.since() == after(DAY, 37)
    assert member.points() == 0
    expiry, review = member.entries[-2:]
    assert (expiry["posted_at"][:10], review["posted_at"][:10]) == (after(DAY, 30), after(DAY, 37))


def test_who_meets_the_tier_again_within_the_grace_keeps_it() -> None:
    member = member_of(plain(demotion={"grace_days": 7}))
    member.is_given(20, on=DAY)
    member.is_given(19, on=after(DAY, 35))
    assert held(member, 35) == "A2"
    member.is_given(1, on=after(DAY, 36))
    assert [held(member, days) for days in (37, 64)] == ["A2", "A2"]
    assert member.since() == DAY
    assert [held(member, days) for days in (65, 71, 72)] == ["A2", "A2", "A0"]  # the next fall has its own grace


def test_at_the_end_of_the_grace_the_tier_falls_to_what_counts_then() -> None:
    member = member_of(plain(demotion={"grace_days": 7}))
    member.is_given(25, on=DAY)
    member.is_given(5, on=after(DAY, 3))
    member.is_given(11, on=after(DAY, 10))
    assert (held(member, 11), member.points()) == ("A4", 41)
    assert held(member, 36) == "A4"
    assert (held(member, 37), member.points()) == ("A1", 11)  # 25 left on day 30, 5 on day 33


def test_further_expiries_within_the_grace_do_not_prolong_it() -> None:
    member = member_of(plain(demotion={"grace_days": 7}))
    for days in range(5):
        member.is_given(8, on=after(DAY, days))
    assert [held(member, days) for days in (36, 37)] == ["A4", "A0"]


def test_a_clawback_within_the_grace_lowers_at_once() -> None:
    member = member_of(plain(demotion={"grace_days": 7}))
    member.is_given(20, on=DAY)
    member.buys("o-1", "15.00", on=after(DAY, 10))
    assert held(member, 31) == "A3"
    member.gets_back("o-1", "1.00", on=after(DAY, 32))
    assert (member.tier(), member.since()) == ("A1", after(DAY, 32))


def test_an_overturned_case_within_the_grace_lowers_nothing() -> None:
    """What is given back is a gain: it never makes a tier fall that an expiry has left its grace."""
    penalties = {"spam": {"points": 5, "days": 90}}
    member = member_of(plain(demotion={"grace_days": 7}, penalties=penalties))
    member.is_given(30, on=DAY)
    member.is_given(15, on=after(DAY, 10))
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"})
    assert (held(member, 30), member.points()) == ("A4", 10)
    member.does("violation.overturned", {"case_id": "v-1", "kind": "spam"}, after(DAY, 31))
    assert (member.points(), member.tier()) == (15, "A4")
    assert [held(member, days) for days in (36, 37)] == ["A4", "A1"]


def test_a_penalty_that_ends_within_the_grace_saves_the_tier() -> None:
    penalties = {"spam": {"points": 3, "days": 26}}
    member = member_of(plain(demotion={"grace_days": 10}, penalties=penalties))
    member.is_given(3, on=DAY)
    member.is_given(10, on=after(DAY, 6))
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"}, after(DAY, 7))
    assert (held(member, 30), member.points()) == ("A1", 7)  # the grace would end on day 40
    assert (held(member, 33), member.points()) == ("A1", 10)
    assert [held(member, days) for days in (36, 40, 45, 46)] == ["A1", "A1", "A1", "A0"]


def test_a_penalty_that_takes_nothing_lowers_nothing_within_the_grace() -> None:
    capped = {"percent": 1, "days": 90, "tier_at_most": "A1", "tier_days": 5}
    penalties = {"spam": {"percent": 1, "days": 90}, "extortion": capped}
    member = member_of(plain(demotion={"grace_days": 7}, penalties=penalties))
    member.is_given(30, on=DAY)
    member.is_given(15, on=after(DAY, 10))
    assert held(member, 30) == "A4"
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"}, after(DAY, 31))
    assert (member.points(), member.tier()) == (15, "A4")
    member.does("violation.confirmed", {"case_id": "v-2", "kind": "extortion"})  # this one caps the tier: at once
    assert (member.points(), member.tier()) == (15, "A1")


@pytest.mark.parametrize("expiries_only", [False, True])
def test_a_penalty_that_ends_on_the_day_of_the_review_saves_the_tier(expiries_only: bool) -> None:
    """The expiry comes first, whichever sweep posts it, and leaves nothing to review."""
    penalties = {"spam": {"points": 3, "days": 24}}
    member = member_of(plain(demotion={"grace_days": 10}, penalties=penalties))
    member.is_given(3, on=DAY)
    member.is_given(10, on=after(DAY, 15))
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"}, after(DAY, 16))
    assert (held(member, 39), member.points()) == ("A1", 7)  # since day 30, with a grace until day 40
    member.settle(noon(after(DAY, 40)), expiries_only=expiries_only)
    assert (member.points(), member.account.program("club").review_on) == (10, None)
    assert [entry["parts"]["club"]["kind"] for entry in member.entries[-2:]] == ["expiry", "expiry"]
    assert "passed" not in member.entries[-1]["parts"]["club"], "what is posted before its review is not ahead of it"
    assert held(member, 44) == "A1"


@pytest.mark.parametrize(
    ("cap", "points"),
    [
        ({}, -1),  # the penalty itself lasts: what leaves on day 40 is posted ahead of the review of day 37
        (
            {"tier_at_most": "A4", "tier_days": 28},
            4,
        ),  # its cap ends on that day, which may raise the tier: it waits
        ({"tier_at_most": "A4", "tier_days": 27}, 4),  # or a day before
        ({"tier_at_most": "A4", "tier_days": 29}, -1),
    ],
)
def test_the_expiry_sweep_passes_a_review_but_for_what_could_raise_the_tier(cap: dict[str, Any], points: int) -> None:
    penalties = {"spam": {"points": 1, "days": 90, **cap}}
    member = member_of(plain(demotion={"grace_days": 7}, penalties=penalties))
    member.is_given(20, on=DAY)
    member.is_given(5, on=after(DAY, 10))
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"}, after(DAY, 12))
    punctual = member.copy()
    member.settle(noon(after(DAY, 40)), expiries_only=True)
    assert (member.points(), member.tier()) == (points, "A2")
    for days in (30, 37, 39, 40, 41, 60):
        punctual.settle(noon(after(DAY, days)))
    assert member.on(after(DAY, 60)).view() == punctual.view()


# --- one tier at a time


def test_one_tier_down_a_day_without_grace() -> None:
    member = member_of(plain(demotion={"to": "one_down"}))
    member.is_given(40, on=DAY)
    assert [held(member, days) for days in (29, 30, 31, 32, 33, 34)] == ["A4", "A3", "A2", "A1", "A0", "A0"]
    assert member.since() == after(DAY, 33)


def test_one_tier_down_as_often_as_the_grace_ends() -> None:
    member = member_of(plain(demotion={"to": "one_down", "grace_days": 5}))
    member.is_given(25, on=DAY)
    assert [held(member, days) for days in (30, 34, 35, 39, 40)] == ["A2", "A2", "A1", "A1", "A0"]


def test_one_tier_down_stops_where_the_measure_is_met() -> None:
    member = member_of(plain(demotion={"to": "one_down"}))
    member.is_given(30, on=DAY)
    member.is_given(10, on=after(DAY, 20))
    assert [held(member, days) for days in (30, 31, 32, 33, 49, 50)] == ["A3", "A2", "A1", "A1", "A1", "A0"]


def test_clawbacks_go_all_the_way_down_at_once() -> None:
    member = member_of(plain(demotion={"to": "one_down"}))
    member.buys("o-1", "40.00", on=DAY)
    member.gets_all_back("o-1")
    assert member.tier() == "A0"


# --- several versions of one program


def versions(first: dict[str, Any] | None = None, **second: Any) -> list[dict[str, Any]]:
    """A version from the start, and a second one that is effective 20 days after ``DAY``."""
    return [plain(**(first or {})), plain(version="2", effective_from=after(DAY, 20), **second)]


def test_an_event_is_judged_by_the_version_of_the_day_on_which_it_occurred() -> None:
    double = {"purchase": {"points_per_currency_unit": 2, "minimum_unit_price": "5.00"}}
    member = member_of(*versions(earning=double))
    assert member.buys("o-1", "3.00", on=after(DAY, 19))["club"] == (3, [])
    assert member.entries[-1]["parts"]["club"]["version"] == "2017-06"
    assert member.buys("o-2", "3.00", on=after(DAY, 20))["club"] == (0, ["unit_price_below_minimum"])
    assert member.buys("o-3", "5.00")["club"] == (10, [])
    assert member.entries[-1]["parts"]["club"]["version"] == "2"
    assert member.buys("o-4", "3.00", on=after(DAY, 19), posted=after(DAY, 25))["club"] == (3, [])


def test_a_clawback_is_judged_by_the_version_of_the_order() -> None:
    double = {"purchase": {"points_per_currency_unit": 2, "minimum_unit_price": "5.00"}}
    member = member_of(*versions(earning=double))
    member.buys("o-1", "3.00", "10.00", on=after(DAY, 19))
    member.buys("o-2", "3.00", "10.00", on=after(DAY, 20))
    assert member.points() == 13 + 20
    assert member.gets_back("o-1", "4.00", on=after(DAY, 30))["club"] == (-4, [])
    assert member.entries[-1]["parts"]["club"]["version"] == "2017-06"
    assert member.gets_back("o-2", "4.00")["club"] == (-8, [])
    assert member.gets_all_back("o-1")["club"] == (-9, [])


def test_a_program_starts_with_its_first_version() -> None:
    member = member_of(plain(effective_from=DAY), changed("vip"))
    assert member.buys("o-0", "50.00", on=after(DAY, -1)).keys() == {"vip"}
    assert member.buys("o-1", "50.00", on=DAY).keys() == {"club", "vip"}
    assert member.gets_all_back("o-0").keys() == {"vip"}
    assert member.points() == 50


@pytest.mark.parametrize(("window", "last_old", "last_new"), [(60, 30, 80), (10, 30, 30), (5, 30, 25)])
def test_a_lot_keeps_the_window_it_was_accrued_under(window: int, last_old: int, last_new: int) -> None:
    member = member_of(*versions(window_days=window))
    member.buys("o-1", "12.00", on=DAY)
    assert member.entries[-1]["parts"]["club"]["expires_on"] == date.fromisoformat(after(DAY, 30)).toordinal()
    member.buys("o-2", "15.00", on=after(DAY, 20))
    expires = date.fromisoformat(after(DAY, 20 + window)).toordinal()
    assert member.entries[-1]["parts"]["club"]["expires_on"] == expires
    end = max(last_old, last_new)
    points = [member.on(after(DAY, days)).points() for days in range(20, end + 1)]
    old = [12 if days < last_old else 0 for days in range(20, end + 1)]
    new = [15 if days < last_new else 0 for days in range(20, end + 1)]
    assert points == [one + other for one, other in zip(old, new, strict=True)]


@pytest.mark.parametrize(("window", "late", "points"), [(60, 29, 12), (60, 30, 0), (10, 29, 12), (10, 30, 0)])
def test_what_comes_late_expires_by_the_version_of_its_day(window: int, late: int, points: int) -> None:
    member = member_of(*versions(window_days=window))
    did = member.buys("o-1", "12.00", on=DAY, posted=after(DAY, late))
    assert did["club"] == (points, [] if points else ["already_expired"])


def test_a_clawback_takes_nothing_once_the_orders_own_window_is_over() -> None:
    member = member_of(*versions(window_days=60))
    member.buys("o-1", "12.00", on=DAY)
    member.buys("o-2", "12.00", on=DAY)
    assert member.gets_all_back("o-1", on=after(DAY, 29))["club"] == (-12, [])
    assert member.gets_all_back("o-2", on=after(DAY, 30))["club"] == (0, ["already_expired"])
    assert member.points() == 0


@pytest.mark.parametrize("touched", [False, True])
def test_raised_thresholds_lower_the_tier_on_their_first_day(touched: bool) -> None:
    member = member_of(*versions(tiers=tiers(0, 10, 25, 35, 45)))
    member.is_given(20, on=DAY)
    if touched:
        assert held(member, 19) == "A2"
        assert held(member, 20) == "A1"
    member.on(after(DAY, 29))
    assert (member.tier(), member.since()) == ("A1", after(DAY, 20))
    receipt = member.receipts("club")[-1]
    assert (receipt["from"], receipt["to"], receipt["before"], receipt["after"]) == ("A2", "A1", 20, 20)
    assert (receipt["version"], receipt["threshold"], receipt["way_back"]) == ("2", 25, 5)
    assert receipt["causes"] == {}
    assert len(member.entries) == 2


def test_lowered_thresholds_raise_the_tier_on_their_first_day() -> None:
    member = member_of(*versions(tiers=tiers(0, 5, 10, 15, 20)))
    member.is_given(20, on=DAY)
    assert held(member, 29) == "A4"
    assert member.since() == after(DAY, 20)
    assert member.why("club") == [("tier", 0, "promoted")]


def test_raised_thresholds_with_grace() -> None:
    member = member_of(*versions(tiers=tiers(0, 10, 25, 35, 45), demotion={"grace_days": 5}))
    member.is_given(20, on=DAY)
    assert [held(member, days) for days in (20, 24, 25)] == ["A2", "A2", "A1"]
    assert member.since() == after(DAY, 25)


def test_raised_thresholds_one_down() -> None:
    member = member_of(*versions(tiers=tiers(0, 50, 60, 70, 80), demotion={"to": "one_down"}))
    member.is_given(20, on=DAY)
    assert [held(member, days) for days in (19, 20, 21, 22)] == ["A2", "A1", "A0", "A0"]


def test_thresholds_are_those_of_the_day_of_posting() -> None:
    member = member_of(*versions(tiers=tiers(0, 10, 25, 35, 45)))
    member.is_given(20, on=after(DAY, 19), posted=after(DAY, 20))
    assert (member.tier(), member.receipts("club")[-1]["version"]) == ("A1", "2")


def test_a_version_that_changes_nothing_for_the_member_writes_nothing() -> None:
    member = member_of(*versions(tiers=tiers(0, 10, 20, 35, 45)))
    member.is_given(20, on=DAY)
    member.on(after(DAY, 29))
    assert len(member.entries) == 1


def test_lowered_thresholds_end_a_grace_and_the_next_fall_has_its_own() -> None:
    """Version 1 leaves A2 in its grace; version 2 is met again. What falls later falls after a whole grace."""
    grace = {"demotion": {"grace_days": 15}}
    member = member_of(*versions(grace, tiers=tiers(0, 4, 8, 30, 40), **grace))
    member.is_given(15, on=after(DAY, -15))  # leaves on day 15
    member.is_given(6, on=after(DAY, -8))  # leaves on day 22
    member.is_given(9, on=after(DAY, -1))  # leaves on day 29
    assert (held(member, 15), member.points()) == ("A3", 15)
    member = member_of(*versions(grace, tiers=tiers(0, 4, 8, 15, 40), **grace))
    member.is_given(15, on=after(DAY, -15))
    member.is_given(6, on=after(DAY, -8))
    member.is_given(9, on=after(DAY, -1))
    assert (held(member, 20), member.points()) == ("A3", 15)  # met again by 15 points
    assert (held(member, 30), member.points()) == ("A3", 0)  # on day 22 the next fall, its grace ends on day 37
    assert [held(member, days) for days in (36, 37)] == ["A3", "A0"]


def test_a_version_starts_though_another_program_loses_points_on_that_day() -> None:
    other = changed("crowns", window_days=20)
    member = member_of(*versions(tiers=tiers(0, 10, 25, 35, 45)), other)
    member.is_given(20, on=DAY)
    member.is_given(5, "crowns")  # leaves on day 20, when the second version of the club starts
    member.on(after(DAY, 21))
    assert member.points("crowns") == 0
    assert (member.tier(), member.since()) == ("A1", after(DAY, 20))


def test_a_version_starts_though_the_program_itself_loses_points_on_that_day() -> None:
    member = member_of(*versions(tiers=tiers(0, 10, 25, 35, 45)))
    member.is_given(25, on=after(DAY, -9))
    member.is_given(5, on=after(DAY, -10))  # leaves on day 20
    assert held(member, 19) == "A3"
    assert (held(member, 20), member.since()) == ("A2", after(DAY, 20))


def test_the_expiry_sweep_does_not_pass_the_start_of_a_version() -> None:
    """What leaves on day 30 is not posted ahead of the rise of day 20, which only a tier review may do."""
    member = member_of(*versions(tiers=tiers(0, 4, 8, 12, 40)))
    member.is_given(20, on=after(DAY, -14))  # leaves on day 16
    member.is_given(15, on=DAY)
    late = member.copy()
    for days in (16, 20, 32):
        member.on(after(DAY, days))
    late.settle(noon(after(DAY, 32)), expiries_only=True)
    late.settle(noon(after(DAY, 32)))
    for engine in (member, late):
        assert [(r["to"], r["on"]) for r in engine.receipts("club")] == [
            ("A2", after(DAY, -14)),
            ("A3", DAY),
            ("A1", after(DAY, 16)),
            ("A3", after(DAY, 20)),
            ("A0", after(DAY, 30)),
        ]
    assert late.entries == member.entries


def test_the_expiry_sweep_does_nothing_from_the_very_instant_at_which_a_version_starts() -> None:
    member = member_of(*versions(tiers=tiers(0, 4, 8, 12, 40)))
    member.is_given(20, on=after(DAY, -14))  # leaves on day 16
    member.is_given(9, on=DAY)
    starts = noon(after(DAY, 20)) - timedelta(hours=12)
    assert not new_rules_due(member.account, member.programs, starts - timedelta(microseconds=1))
    assert new_rules_due(member.account, member.programs, starts)
    member.settle(starts, expiries_only=True)
    assert len(member.entries) == 2
    member.settle(starts - timedelta(microseconds=1), expiries_only=True)
    assert len(member.entries) == 3
    member.settle(starts)
    assert member.tier() == "A2"
    assert not new_rules_due(member.account, member.programs, starts)


def test_new_rules_judge_nobody_to_whom_nothing_was_posted() -> None:
    member = member_of(*versions(tiers=tiers(0, 5, 10, 15, 20)))
    member.account.program("club")
    assert not new_rules_due(member.account, member.programs, noon(after(DAY, 30)))
    assert member.on(after(DAY, 30)).entries == []


def test_what_is_due_later_in_another_program_is_no_part_of_an_entry() -> None:
    member = member_of(plain(demotion={"grace_days": 7}), changed("crowns"))
    member.is_given(20, on=DAY)
    member.is_given(5, "crowns")
    member.on(after(DAY, 400))
    assert [(entry["posted_at"][:10], sorted(entry["parts"])) for entry in member.entries[2:]] == [
        (after(DAY, 30), ["club"]),
        (after(DAY, 37), ["club"]),
        (after(DAY, 365), ["crowns"]),
        (after(DAY, 365), ["crowns"]),
    ]


def test_what_a_day_has_used_of_a_cap_is_kept_as_long_as_its_own_window() -> None:
    """The second version's lots expire after 10 days, but those of the first still take late orders."""
    earning = {**plain()["earning"], "daily_shopping": {"points_per_day": 5}}
    member = member_of(*versions({"earning": earning}, earning=earning, window_days=10))
    member.buys("o-1", "3.00", on=after(DAY, 5))
    member.buys("o-2", "3.00", on=after(DAY, 22))
    member.on(after(DAY, 33))
    assert member.buys("o-3", "3.00", on=after(DAY, 5), posted=after(DAY, 33))["club"] == (3, [])
    assert member.gets_all_back("o-1")["club"] == (-3, [])
    assert member.gets_all_back("o-3")["club"] == (-8, [])


@pytest.mark.parametrize("at_most", [1, 2, 3])
def test_however_few_steps_at_once_a_new_version_is_not_skipped(at_most: int) -> None:
    other = changed("crowns", window_days=20)
    member = member_of(*versions(tiers=tiers(0, 10, 25, 35, 45)), other)
    member.is_given(20, on=DAY)
    member.is_given(5, "crowns")
    member.settle(noon(after(DAY, 21)), at_most=at_most)
    assert (member.tier(), member.since()) == ("A1", after(DAY, 20))
    reconcile(member.entries, member.programs)


def period(version: str, start: str, *thresholds: str) -> dict[str, Any]:
    codes = ("none", "Silver", "Gold", "Platinum")
    ladder = [{"code": code, "from": amount} for code, amount in zip(codes, thresholds, strict=True)]
    return changed("vip", version=version, effective_from=start, tiers=ladder)


def test_a_held_period_outlasts_raised_thresholds_until_its_review() -> None:
    first = period("1", "1970-01-01", "0.00", "999.00", "3999.00", "6999.00")
    second = period("2", after(DAY, 50), "0.00", "1500.00", "3999.00", "6999.00")
    member = member_of(first, second)
    member.buys("o-1", "999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 1))
    assert member.on(after(DAY, 89)).tier("vip") == "Silver"
    assert member.on(after(DAY, 90)).tier("vip") == "none"


def test_lowered_thresholds_raise_a_period_at_once_also_on_the_day_of_its_review() -> None:
    first = period("1", "1970-01-01", "0.00", "999.00", "3999.00", "6999.00")
    for start in (50, 90):
        second = period("2", after(DAY, start), "0.00", "500.00", "900.00", "6999.00")
        member = member_of(first, second)
        member.buys("o-1", "999.00", on=DAY)
        member.buys("o-2", "999.00", on=after(DAY, 1))
        assert member.on(after(DAY, start)).tier("vip") == "Gold"
        assert member.since("vip") == after(DAY, start)
        assert member.on(after(DAY, start + 89)).tier("vip") == "Gold"
        assert member.on(after(DAY, start + 90)).tier("vip") == "none"


def test_a_review_on_the_first_day_of_lowered_thresholds_is_by_the_new_ones() -> None:
    """Nothing expires on day 90, as the order of the first day arrived late."""
    first = period("1", "1970-01-01", "0.00", "999.00", "3999.00", "6999.00")
    second = period("2", after(DAY, 90), "0.00", "500.00", "900.00", "6999.00")
    member = member_of(first, second)
    member.buys("o-1", "999.00", on=after(DAY, -5), posted=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 10))
    assert member.on(after(DAY, 89)).tier("vip") == "Silver"
    assert member.on(after(DAY, 90)).tier("vip") == "Gold"
    assert member.since("vip") == after(DAY, 90)


# --- another currency


def test_a_currency_without_decimals() -> None:
    club = changed("club", currency="JPY", privileges=[])
    club["earning"]["purchase"]["minimum_unit_price"] = "200"
    vip = changed("vip", currency="JPY", rewards={}, import_allowance={"RU": "100000"})
    vip["tiers"] = [{"code": "none", "from": "0"}, {"code": "Silver", "from": "99900"}]
    vip["rewards"] = {"retention_coupons": {"Silver": "500"}, "retention_valid_days": 30}
    member = member_of(club, vip)
    assert member.buys("o-1", "199", on=DAY) == {"club": (0, ["unit_price_below_minimum"]), "vip": (199, [])}
    assert member.buys("o-2", "200") == {"club": (205, []), "vip": (200, [])}
    assert member.gets_back("o-2", "50")["club"] == (-50, [])
    member.buys("o-3", "99550")
    assert (member.points("vip"), member.tier("vip")) == (99_899, "none")
    member.buys("o-4", "1")
    assert member.tier("vip") == "Silver"


def test_a_currency_with_three_decimals() -> None:
    club = changed("club", currency="KWD", privileges=[])
    club["earning"]["purchase"]["minimum_unit_price"] = "2.000"
    member = member_of(club)
    assert member.buys("o-1", "1.999", "2.999", "2.001", on=DAY)["club"] == (5 + 5, ["unit_price_below_minimum"])
    assert member.gets_back("o-1", "0.001")["club"] == (-1, [])


# --- other time zones


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)


@pytest.mark.parametrize(
    ("zone", "before", "midnight"),
    [
        ("America/New_York", "2026-07-01T03:59:59+00:00", "2026-07-01T04:00:00+00:00"),
        ("America/New_York", "2026-12-01T04:59:59+00:00", "2026-12-01T05:00:00+00:00"),
        ("Asia/Kolkata", "2026-06-30T18:29:59+00:00", "2026-06-30T18:30:00+00:00"),
        ("Pacific/Apia", "2026-06-30T10:59:59+00:00", "2026-06-30T11:00:00+00:00"),
        ("UTC", "2026-06-30T23:59:59+00:00", "2026-07-01T00:00:00+00:00"),
    ],
)
def test_a_day_is_the_local_date(zone: str, before: str, midnight: str) -> None:
    member = member_of(changed("club", time_zone=zone))
    assert member.buys("o-1", "2.00", on=at(before))["club"] == (7, [])
    assert member.buys("o-2", "2.00", on=at(before))["club"] == (2, [])
    assert member.buys("o-3", "2.00", on=at(midnight))["club"] == (7, [])  # another day's five points


def test_a_month_is_that_of_the_local_date() -> None:
    member = member_of(changed("crowns", time_zone="Asia/Kolkata"))
    for day in range(10, 20):
        member.does("visit.recorded", {}, f"2026-06-{day}")
    assert member.does("visit.recorded", {}, at("2026-06-30T18:29:00+00:00"))["crowns"] == (0, ["monthly_cap"])
    assert member.does("visit.recorded", {}, at("2026-06-30T18:31:00+00:00"))["crowns"] == (1, [])


@pytest.mark.parametrize(
    ("zone", "day", "begins"),
    [
        ("America/New_York", "2026-03-08", "2026-03-08T05:00:00+00:00"),  # the day has 23 hours
        ("America/New_York", "2026-03-09", "2026-03-09T04:00:00+00:00"),
        ("America/New_York", "2026-11-01", "2026-11-01T04:00:00+00:00"),  # and this one 25
        ("America/New_York", "2026-11-02", "2026-11-02T05:00:00+00:00"),
        ("Asia/Beirut", "2026-03-29", "2026-03-28T22:00:00+00:00"),  # begins at 01:00 local: midnight is left out
        ("America/Havana", "2026-11-01", "2026-11-01T04:00:00+00:00"),  # midnight comes twice: the first
        ("Pacific/Apia", "2011-12-29", "2011-12-29T10:00:00+00:00"),
        ("Pacific/Apia", "2011-12-31", "2011-12-30T10:00:00+00:00"),  # the 30th was left out
    ],
)
def test_a_day_begins_where_the_local_date_changes(zone: str, day: str, begins: str) -> None:
    programs = Programs([changed("club", time_zone=zone)])
    program = programs.versions("club")[0]
    number = date.fromisoformat(day).toordinal()
    start = program.start_of(number)
    assert start == at(begins)
    assert program.day_of(start) == number
    assert program.day_of(start - timedelta(microseconds=1)) < number


def test_expiry_and_review_come_at_local_midnight() -> None:
    member = member_of(changed("vip", time_zone="America/New_York"))
    bought = at("2026-01-02T04:30:00+00:00")  # 1 January, 23:30 in New York
    member.buys("o-1", "999.00", on=bought)
    member.settle(at("2026-04-01T03:59:59+00:00"))
    assert (member.tier("vip"), member.since("vip")) == ("Silver", "2026-01-01")
    member.settle(at("2026-04-01T04:00:00+00:00"))  # 1 April, day 90, by summer time
    assert (member.tier("vip"), member.since("vip")) == ("none", "2026-04-01")
    assert {entry["posted_at"] for entry in member.entries[1:]} == {"2026-04-01T04:00:00Z"}


def test_a_new_version_starts_at_local_midnight() -> None:
    second = plain(version="2", effective_from="2026-07-01", tiers=tiers(0, 5, 6, 7, 8))
    files = [{**each, "time_zone": "Asia/Kolkata"} for each in (plain(), second)]
    member = member_of(*files)
    member.is_given(8, on="2026-06-20")
    member.settle(at("2026-06-30T18:29:59+00:00"))
    assert member.tier() == "A0"
    member.settle(at("2026-06-30T18:30:00+00:00"))
    assert (member.tier(), member.since()) == ("A4", "2026-07-01")


def test_a_review_whose_day_was_left_out_is_done_on_the_next() -> None:
    """Samoa had no 30 December 2011: what falls due on it is done as the 31st begins, once."""
    member = member_of(changed("vip", time_zone="Pacific/Apia"))
    member.clock = at("2011-01-01T00:00:00+00:00")
    member.buys("o-1", "999.00", on=at("2011-10-01T12:00:00-10:00"))  # day 90 is the 30th
    member.buys("o-2", "999.00", on=at("2011-11-01T12:00:00-10:00"))
    member.settle(at("2011-12-30T09:59:59+00:00"))
    assert member.points("vip") == 1998_00
    member.settle(at("2011-12-30T10:00:00+00:00"))
    assert (member.points("vip"), member.tier("vip")) == (999_00, "Silver")
    assert member.why("vip") == [("tier", 0, "retained")]
    member.settle(at("2012-02-01T00:00:00+00:00"))
    assert member.points("vip") == 0
    reconcile(member.entries, member.programs)


def test_what_expires_as_a_left_out_day_would_have_is_gone_at_its_review() -> None:
    """The review of the 30th and the expiry of the 31st are done at one instant, as the 31st begins: expiry first."""
    member = member_of(changed("vip", time_zone="Pacific/Apia"))
    member.clock = at("2011-01-01T00:00:00+00:00")
    member.buys("o-1", "999.00", on=at("2011-10-01T12:00:00-10:00"))  # day 90 is the 30th
    member.buys("o-2", "999.00", on=at("2011-10-02T12:00:00-10:00"))  # leaves on the 31st
    member.settle(at("2011-12-30T10:00:00+00:00"))
    assert (member.points("vip"), member.tier("vip"), member.since("vip")) == (0, "none", "2011-12-31")
    reconcile(member.entries, member.programs)


# --- the property: a plain calculation, day by day


@dataclass(frozen=True)
class Happening:
    """Points (or a refund of them, below 0) of a lot's day, posted so many days after ``DAY``."""

    posted: int
    lot: int
    points: int


Files = list[dict[str, Any]]
START = date.fromisoformat(DAY).toordinal()


def in_force(files: Files, day: int) -> dict[str, Any]:
    """The version of a day; days count from ``DAY``."""
    return max(
        (each for each in files if date.fromisoformat(each["effective_from"]).toordinal() <= START + day),
        key=lambda each: each["effective_from"],
    )


def measure_on(files: Files, happened: list[Happening], day: int) -> int:
    """What counts on a day of what was posted so far."""
    return sum(each.points for each in happened if each.lot + in_force(files, each.lot)["window_days"] > day)


def qualified(files: Files, measure: int, day: int) -> int:
    return max(n for n, tier in enumerate(in_force(files, day)["tiers"]) if n == 0 or measure >= tier["from"])


@dataclass
class Held:
    tier: int = 0
    since: int | None = None
    due: int | None = None

    def move(self, tier: int, day: int) -> None:
        self.tier, self.since, self.due = tier, day, None


def by_hand(files: Files, happenings: list[Happening], until: int) -> tuple[int, int, int | None]:
    """Points, tier and since (days from ``DAY``) at noon of a day: every day in turn, from the first one on."""
    tier = Held()
    done: list[Happening] = []
    first = min([each.posted for each in happenings], default=until)
    for day in range(first, until + 1):
        rules = in_force(files, day)["demotion"]
        now = qualified(files, measure_on(files, done, day), day)
        if now > tier.tier:
            tier.move(now, day)
        elif now == tier.tier:
            tier.due = None
        elif tier.due is None:
            tier.due = day + rules["grace_days"]
        if tier.due == day:
            tier.move(tier.tier - 1 if rules["to"] == "one_down" else now, day)
            if now < tier.tier:
                tier.due = day + max(1, rules["grace_days"])
        for each in [each for each in happenings if each.posted == day]:
            done.append(each)
            now = qualified(files, measure_on(files, done, day), day)
            if now > tier.tier or (now < tier.tier and each.points < 0):
                tier.move(now, day)
            elif now == tier.tier:
                tier.due = None
    return measure_on(files, done, until), tier.tier, tier.since


@st.composite
def program_files(draw: st.DrawFn) -> Files:
    """One to three versions of a program that differ in window, thresholds, grace and steps."""
    starts = ["1970-01-01", *(after(DAY, n) for n in sorted(draw(st.sets(st.integers(1, 90), max_size=2))))]
    files = []
    for n, start in enumerate(starts):
        rises = draw(st.lists(st.integers(1, 15), min_size=4, max_size=4))
        thresholds = [sum(rises[:k]) for k in range(5)]
        demotion = {
            "grace_days": draw(st.sampled_from([0, 0, 1, 3, 10])),
            "to": draw(st.sampled_from(["to_qualified", "one_down"])),
        }
        window = draw(st.sampled_from([1, 2, 7, 20, 30]))
        version = {"version": str(n), "effective_from": start, "tiers": tiers(*thresholds)}
        penalties = {
            "spam": {"points": draw(st.integers(1, 20)), "days": draw(st.integers(1, 20))},
            "extortion": {"percent": 50, "days": draw(st.integers(5, 20)), "tier_at_most": "A1", "tier_days": 5},
        }
        files.append(plain(**version, demotion=demotion, window_days=window, penalties=penalties))
    return files


Told = list[tuple[int, str, int, int]]


def events(*kinds: str) -> st.SearchStrategy[Told]:
    """What is told of a member: days since the event before, the kind, points, and how many days late."""
    days, points, late = st.integers(0, 12), st.integers(1, 30), st.sampled_from([0, 0, 0, 1, 5, 29])
    return st.lists(st.tuples(days, st.sampled_from(kinds), points, late), min_size=1, max_size=14)


EARNING = ("promotion", "promotion", "order", "order", "refund")


def tell(member: Member, files: Files, told: Told) -> list[Happening]:
    """Posts the events to the engine, and writes down what happens by the rules."""
    happenings: list[Happening] = []
    orders: dict[str, Happening] = {}
    day = 0
    for gap, kind, points, late in told:
        day += gap
        if kind in ("spam", "extortion"):
            member.does("violation.confirmed", {"case_id": f"v-{points}", "kind": kind}, after(DAY, day))
            continue
        if kind == "refund" and orders:
            order_id, order = orders.popitem()
            taken = min(points, order.points)
            member.gets_back(order_id, f"{taken}.00", on=after(DAY, day))
            if order.lot + in_force(files, order.lot)["window_days"] > day:
                happenings.append(Happening(day, order.lot, -taken))
            continue
        lot = day - late
        if kind == "promotion":
            member.is_given(points, on=after(DAY, lot), posted=after(DAY, day))
        else:
            order_id = f"o-{len(happenings)}-{day}-{member.written}"
            member.buys(order_id, line(f"{points}.00"), on=after(DAY, lot), posted=after(DAY, day))
            orders[order_id] = Happening(day, lot, points)
        if lot + in_force(files, lot)["window_days"] > day:
            happenings.append(Happening(day, lot, points))
    return happenings


def shown(member: Member) -> tuple[int, int, int | None]:
    state = member.account.program("club")
    return state.points, state.tier, None if state.since is None else state.since - START


@settings(max_examples=300)
@given(program_files(), events(*EARNING), st.lists(st.integers(0, 40), max_size=6))
def test_the_engine_agrees_with_a_calculation_by_hand(files: Files, told: Told, later: list[int]) -> None:
    member = member_of(*files)
    happenings = tell(member, files, told)
    day = sum(gap for gap, *_ in told)
    assert shown(member) == by_hand(files, happenings, day)
    for days in later:
        day += days
        member.on(after(DAY, day))
        assert shown(member) == by_hand(files, happenings, day)
    reconcile(member.entries, member.programs)
    assert encode_account(rebuild("m-1", member.entries)) == encode_account(member.account)


@settings(max_examples=100)
@given(program_files(), events(*EARNING, "spam", "extortion"), st.integers(1, 3))
def test_settled_daily_at_once_or_with_the_expiries_first_the_end_is_the_same(
    files: Files, told: Told, at_most: int
) -> None:
    base = member_of(*files)
    tell(base, files, told)
    start = sum(gap for gap, *_ in told)
    daily, at_once, expiries_first, in_steps = (base.copy() for _ in range(4))
    for day in range(start, start + 80):
        daily.settle(noon(after(DAY, day)))
        expiries_first.settle(noon(after(DAY, day)), expiries_only=True)
        if day % 31 == 0:
            expiries_first.settle(noon(after(DAY, day)))
    end = noon(after(DAY, start + 80))
    for engine in (daily, at_once, expiries_first):
        engine.settle(end)
    in_steps.settle(end, at_most=at_most)
    assert daily.entries == at_once.entries == in_steps.entries
    assert expiries_first.view() == at_once.view()
    assert [_told(r) for r in expiries_first.receipts("club")] == [_told(r) for r in at_once.receipts("club")]
    for engine in (daily, expiries_first):
        reconcile(engine.entries, base.programs)
        assert encode_account(rebuild("m-1", engine.entries)) == encode_account(engine.account)


def _told(receipt: dict[str, Any]) -> dict[str, Any]:
    """A receipt but for the numbers of the entries, which differ where expiries are posted ahead."""
    return {name: value for name, value in receipt.items() if name not in ("since_seq", "also", "without")}


def test_the_calculation_by_hand_is_no_copy_of_the_engine() -> None:
    """It is right about the examples above, which were worked out before."""
    files = versions(tiers=tiers(0, 10, 25, 35, 45), demotion={"grace_days": 5})
    assert [by_hand(files, [Happening(0, 0, 20)], day) for day in (19, 20, 24, 25, 29, 30)] == [
        (20, 2, 0),
        (20, 2, 0),
        (20, 2, 0),
        (20, 1, 25),
        (20, 1, 25),
        (0, 1, 25),
    ]
    one_down = [plain(demotion={"to": "one_down"})]
    assert [by_hand(one_down, [Happening(0, 0, 40)], day)[1] for day in (29, 30, 31, 32, 33)] == [4, 3, 2, 1, 0]
    assert copy.deepcopy(files) == files
