"""What a sweep counts, and how many it may demote (contract 2.4)."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest

from club_rules.programs import Programs
from club_rules.standing import Counts
from club_rules.tallying import beyond, demotions, granted, limits, report, tally
from tests.unit.member import PROGRAMS, Member, after, changed, noon

BOUGHT = "2026-01-10"
NOW = datetime(2026, 11, 22, 0, 35, tzinfo=UTC)


def settled(member: Member, day: str) -> list[dict[str, Any]]:
    """The entries of what fell due by a day."""
    before = len(member.entries)
    member.on(day)
    return member.entries[before:]


def test_what_fell_due_is_counted_by_program_and_cause() -> None:
    member = Member()
    member.buys("o-1", "600.00", on=BOUGHT)
    entries = settled(member, after(BOUGHT, 365))

    assert tally(entries, PROGRAMS) == {
        "club#expired#members": 1,
        "club#expired#points": 605,
        "club#fell#A3#A0#demoted": 1,
        "crowns#expired#members": 1,
        "crowns#expired#points": 601,
        "crowns#fell#Platinum#none#demoted": 1,
        "vip#expired#members": 1,
        "vip#expired#points": 60_000,
    }
    assert demotions(entries, PROGRAMS) == {
        "club#A3": entries[-1]["key"],
        "crowns#Platinum": entries[-1]["key"],
    }


def test_a_member_with_several_expiries_is_one_member() -> None:
    member = Member()
    for number in range(4):
        member.buys(f"o-{number}", "10.00", on=after(BOUGHT, number))

    counts = tally(settled(member, after(BOUGHT, 400)), PROGRAMS)

    assert (counts["club#expired#members"], counts["club#expired#points"]) == (1, 60)
    assert counts["club#fell#A1#A0#demoted"] == 1


def test_a_penalty_that_ends_returns_points_and_raises_the_tier() -> None:
    member = Member()
    member.buys("o-1", "150.00", on=BOUGHT)
    member.does("violation.confirmed", {"case_id": "c-1", "kind": "spam"}, on=after(BOUGHT, 300))
    member.does("violation.confirmed", {"case_id": "c-2", "kind": "extortion"}, on=after(BOUGHT, 301))

    counts = tally(settled(member, after(BOUGHT, 335)), PROGRAMS)
    assert counts["crowns#returned#points"] == 20
    assert "crowns#expired#points" not in counts
    counts = tally(settled(member, after(BOUGHT, 364)), PROGRAMS)
    assert counts == {}
    counts = tally(settled(member, after(BOUGHT, 500)), PROGRAMS)
    assert counts["crowns#expired#points"] == 151
    assert counts["crowns#returned#members"] == 1


@pytest.mark.parametrize(
    ("again", "move"),
    [
        ("1200.00", {"move": "retained", "from": "Silver", "to": "Silver", "cause": "retained", "members": 1}),
        ("100.00", {"move": "fell", "from": "Silver", "to": "none", "cause": "reset", "members": 1}),
    ],
)
def test_the_end_of_a_vip_period(again: str, move: dict[str, Any]) -> None:
    member = Member()
    member.buys("o-1", "1500.00", on=BOUGHT)
    member.buys("o-2", again, on=after(BOUGHT, 60))

    said = report(tally(settled(member, after(BOUGHT, 90)), PROGRAMS), PROGRAMS)

    assert said["vip"]["moves"] == [move]
    assert said["vip"]["expired"] == {"members": 1, "spend": "1500.00"}
    assert (said["vip"]["reset"], said["vip"]["retained"]) == ((0, 1) if again == "1200.00" else (1, 0))


def test_what_several_penalties_took_comes_back_as_one_sum() -> None:
    member = Member()
    member.is_given(110, "crowns", BOUGHT)
    for number in range(2):
        member.does("violation.confirmed", {"case_id": f"c-{number}", "kind": "spam"}, on=after(BOUGHT, number))
    counts = tally(settled(member, after(BOUGHT, 40)), PROGRAMS)
    assert counts == {
        "crowns#returned#members": 1,
        "crowns#returned#points": 40,
        "crowns#rose#Silver#Gold#penalty_ended": 1,
    }
    assert report(counts, PROGRAMS)["crowns"] == {
        "expired": {"members": 0, "points": 0},
        "returned": {"members": 1, "points": 40},
        "fell": 0,
        "rose": 1,
        "retained": 0,
        "reset": 0,
        "moves": [{"move": "rose", "from": "Silver", "to": "Gold", "cause": "penalty_ended", "members": 1}],
        "granted": {},
    }


def test_a_rise_is_counted_by_what_brought_it() -> None:
    capped = Member()
    capped.is_given(1100, "crowns", BOUGHT)
    capped.does("violation.confirmed", {"case_id": "c-1", "kind": "extortion"})
    assert tally(settled(capped, after(BOUGHT, 60)), PROGRAMS) == {"crowns#rose#Silver#Platinum#tier_cap_ended": 1}

    corrected = Member()
    corrected.adjusts("club", -150, BOUGHT)
    corrected.is_given(200, on=after(BOUGHT, 10))
    assert tally(settled(corrected, after(BOUGHT, 365)), PROGRAMS) == {
        "club#returned#members": 1,
        "club#returned#points": 150,
        "club#rose#A1#A2#expired": 1,
    }

    second = changed("club", version="2", effective_from=after(BOUGHT, 9), privileges=[])
    second["tiers"] = [{"code": f"A{n}", "from": 2 * n} for n in range(5)]
    judged = Member(Programs([changed("club"), second]))
    judged.is_given(7, on=BOUGHT)
    assert tally(settled(judged, after(BOUGHT, 9)), judged.programs) == {"club#rose#A1#A3#promoted": 1}


def test_rewards_are_reported_by_their_kind() -> None:
    counts = {granted("crowns", "birthday_gift"): 2, granted("crowns", "tier_coupon"): 3, granted("vip", "x"): 1}
    assert report(counts, PROGRAMS)["crowns"]["granted"] == {"birthday_gift": 2, "tier_coupon": 3}
    assert report(counts, PROGRAMS)["club"]["granted"] == {}


def test_a_tier_that_is_fallen_from_step_by_step_is_one_member_of_each() -> None:
    one_down = Programs([changed("club", demotion={"to": "one_down"})])
    member = Member(one_down)
    member.is_given(3000, on=BOUGHT)

    entries = settled(member, after(BOUGHT, 370))

    assert demotions(entries, one_down).keys() == {f"club#A{tier}" for tier in (1, 2, 3, 4)}
    assert report(tally(entries, one_down), one_down)["club"]["fell"] == 4


def test_nothing_is_a_report_too() -> None:
    said = report({}, PROGRAMS)

    assert said.keys() == set(PROGRAMS.ids)
    assert said["vip"]["expired"] == {"members": 0, "spend": "0.00"}
    assert said["club"]["moves"] == []


@pytest.mark.parametrize(
    ("members", "limit"), [(0, 20), (1, 20), (99, 20), (100, 20), (104, 20), (105, 21), (109, 21), (1000, 200)]
)
def test_a_fifth_of_a_tier_but_at_least_twenty(members: int, limit: int) -> None:
    counts = Counts(members + 7, {"club": {"A3": members}})

    found = limits(PROGRAMS, counts, NOW)

    assert found["club#A3"] == {"members": members, "limit": limit}
    assert "club#A0" not in found, "nobody falls from the lowest"
    assert found["vip#Gold"] == {"members": 0, "limit": 20}


def test_the_limit_is_that_of_the_version_in_force() -> None:
    later = changed("club", version="2026-12", effective_from="2026-12-01")
    later["demotion"]["limit"] = {"percent_of_tier": 50, "members_at_least": 0}
    programs = Programs([changed("club"), later])
    counts = Counts(50, {"club": {"A3": 50}})

    assert limits(programs, counts, NOW)["club#A3"]["limit"] == 20
    assert limits(programs, counts, noon("2026-12-01"))["club#A3"]["limit"] == 25


def test_what_goes_beyond_a_limit_is_named() -> None:
    of = {"club#A3": {"members": 9, "limit": 4}, "club#A4": {"members": 9, "limit": 4}}
    counts = Counter({"club#fell#A3#A0#demoted": 3, "club#fell#A3#A2#demoted": 2, "club#fell#A4#A3#demoted": 4})

    assert beyond(of, counts) == [{"program": "club", "tier": "A3", "members": 9, "limit": 4, "would_fall": 5}]
