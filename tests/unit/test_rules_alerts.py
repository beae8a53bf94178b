"""Price alerts: the privilege is that of the moment of the drop, however late it is looked at (rules 1.4, 1.9)."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.account import Entry, is_settling
from club_rules.alerts import may_be_alerted
from club_rules.program_check import check_program
from club_rules.programs import Programs
from tests.oracle.histories import History, histories
from tests.unit.member import PROGRAMS, SHIPPED, Engine, Member, changed, noon

DROP = noon("2026-11-22")
NIGHT = timedelta(hours=12)


def never() -> list[Entry]:
    raise AssertionError("the stored tier tells")


def entries_since(engine: Engine, moment: datetime) -> list[Entry]:
    """As the journal finds them: backwards until one was posted on an earlier day, what fell due apart."""
    found: list[Entry] = []
    for entry in reversed(engine.entries):
        if entry["posted_at"][:10] < moment.date().isoformat() and not is_settling(entry["key"]):
            break
        found.append(entry)
    return found[::-1]


def told(engine: Engine, moment: datetime) -> bool:
    """Whether the member is told, by what is stored of them now."""
    account = engine.account.clone()
    return may_be_alerted(account, engine.programs, moment, lambda: entries_since(engine, moment))


@cache
def programs_where(program: str | None, tier: str = "", enabled: bool = True) -> Programs:
    """The shipped programs, of which one grants the privilege, from a tier on."""
    files = [copy.deepcopy(data) for data in SHIPPED.values()]
    for data in files:
        data["privileges"] = [each for each in data["privileges"] if each["code"] != "price_alerts"]
        if data["id"] == program:
            data["privileges"].append({"code": "price_alerts", "from_tier": tier, "enabled": enabled})
    return Programs(files)


def test_however_much_fell_due_the_tier_is_that_of_the_drop() -> None:
    """Sixty days of points have all expired, and no sweep has come: more than one settling step takes at once."""
    member = Member()
    for day in range(60):
        member.is_given(5, on=(noon("2025-01-01") + timedelta(days=day)).date().isoformat())
    assert told(member, DROP) is False


@pytest.mark.parametrize(("points", "expected"), [(0, False), (1, True), (2000, True)])
def test_from_a1_on(points: int, expected: bool) -> None:
    member = Member()
    member.does("visit.recorded", on="2026-11-01")
    if points:
        member.is_given(points)
    assert may_be_alerted(member.account, PROGRAMS, DROP, never) is expected


def test_at_the_very_moment_of_the_last_posting_the_stored_tier_tells() -> None:
    member = Member()
    member.is_given(1, on=DROP.date().isoformat())
    assert may_be_alerted(member.account, PROGRAMS, DROP, never)


@pytest.mark.parametrize(("hours", "expected"), [(0, False), (1, True), (2, True)])
def test_on_the_day_on_which_the_tier_was_reached_it_counts_from_that_instant(hours: int, expected: bool) -> None:
    member = Member()
    member.does("promotion.awarded", {"campaign_id": "c", "points": 1, "program": "club"}, DROP + timedelta(hours=1))
    member.does("visit.recorded", on=DROP + timedelta(hours=3))
    assert told(member, DROP + timedelta(hours=hours)) is expected


def test_where_no_entry_since_tells_the_stored_tier_does() -> None:
    """Local days are no UTC days: the tier was reached on the day of the drop in New York, and a UTC day before."""
    member = Member(Programs([changed("club", time_zone="America/New_York"), changed("crowns")]))
    member.does("promotion.awarded", {"campaign_id": "c", "points": 1, "program": "club"}, DROP)
    member.does("promotion.awarded", {"campaign_id": "c", "points": 1, "program": "crowns"}, DROP + 2 * NIGHT)
    assert told(member, DROP + NIGHT + timedelta(hours=2))


def test_switched_off_or_nowhere_it_is_nobodys() -> None:
    member = Member()
    member.is_given(5000, on="2026-11-01")
    assert may_be_alerted(member.account.clone(), programs_where("club", "A0", enabled=True), DROP, never)
    assert not may_be_alerted(member.account.clone(), programs_where("club", "A0", enabled=False), DROP, never)
    assert not may_be_alerted(member.account.clone(), programs_where(None), DROP, never)


def test_any_program_grants_it() -> None:
    member = Member()
    member.is_given(101, "crowns", on="2026-11-01")
    for tier, expected in (("Gold", True), ("Platinum", False)):
        assert may_be_alerted(member.account.clone(), programs_where("crowns", tier), DROP, never) is expected
    assert not may_be_alerted(member.account.clone(), programs_where("vip", "Silver"), DROP, never)


def test_an_erased_member_is_told_nothing() -> None:
    member = Member()
    member.is_given(5000, on="2026-11-01")
    member.account.erased = True
    assert not may_be_alerted(member.account, PROGRAMS, DROP, never)


def test_the_tier_is_settled_to_the_drop() -> None:
    member = Member()
    member.is_given(1, on="2026-01-01")
    gone = noon("2027-01-01") - NIGHT
    assert may_be_alerted(member.account.clone(), PROGRAMS, gone - timedelta(seconds=1), never)
    assert not may_be_alerted(member.account.clone(), PROGRAMS, gone, never)


def test_entries_are_asked_for_only_where_the_tier_has_changed_since() -> None:
    member = Member()
    member.is_given(1, on="2026-11-01")
    member.does("visit.recorded", on="2026-11-30")
    assert may_be_alerted(member.account.clone(), PROGRAMS, DROP, never), "has moved on, at the same tier"
    member.is_given(100, on="2026-12-01")
    with pytest.raises(AssertionError, match="the stored tier tells"):
        may_be_alerted(member.account.clone(), PROGRAMS, DROP, never)


def test_what_is_posted_at_the_very_moment_counts() -> None:
    member = Member()
    member.is_given(1, on="2026-11-22")
    member.is_given(100, on="2026-11-23")
    assert told(member, DROP)
    assert not told(member, DROP - timedelta(seconds=1))


def test_a_review_that_an_expiry_sweep_has_left_behind_is_done_first() -> None:
    member = Member(programs_where("club", "A2"))
    member.is_given(60, on="2026-01-01")
    member.is_given(60, on="2026-01-06")
    member.settle(noon("2027-01-07"), expiries_only=True)
    assert told(member, noon("2026-12-31"))
    assert not told(member, noon("2027-01-01"))


@given(history=histories(max_days=500, max_events=30, adjustments=True), data=st.data())
def test_late_is_punctual(history: History, data: st.DataObject) -> None:
    """Whatever has been posted and swept since, the answer is the one that was right at the moment of the drop."""
    program, tier = data.draw(
        st.sampled_from([("club", "A1"), ("club", "A3"), ("crowns", "Silver"), ("crowns", "Gold"), ("vip", "Silver")])
    )
    programs = programs_where(program, tier)
    instants = sorted(moment for _, moment in history)
    drop = data.draw(st.sampled_from(instants)) + timedelta(hours=data.draw(st.integers(-30, 30 * 24)))
    late, punctual = Engine(programs=programs), None
    for raw, moment in sorted(history, key=lambda each: each[1]):
        if moment > drop and punctual is None:
            punctual = late.copy()
        if data.draw(st.booleans()):
            late.settle(moment, expiries_only=True)  # the expiry sweep, which may run ahead of the other
        late.take(raw, moment)
    punctual = punctual or late.copy()
    punctual.settle(drop)
    state = punctual.account.program(program)
    expected = state.tier >= programs.versions(program)[0].tier_index(tier)
    assert told(late, drop) is expected
    end = max(drop, instants[-1]) + timedelta(days=data.draw(st.integers(0, 500)))
    late.settle(end, expiries_only=True)
    assert told(late, drop) is expected
    late.settle(end)
    assert told(late, drop) is expected


@pytest.mark.parametrize(
    ("privilege", "fault"),
    [
        ({"code": "price_alerts", "from_tier": "A1"}, None),
        ({"code": "price_alerts", "from_tier": "A1", "enabled": False}, None),
        ({"code": "price_alerts", "from_tier": "A1", "enabled": "off"}, "/privileges/0/enabled"),
        ({"code": "price_alerts", "from_tier": "A9"}, "/privileges/0/from_tier"),
        ({"code": "price_alerts"}, "/privileges/0"),
        ({"code": "price_alerts", "from_tier": "A1", "days": 5}, "/privileges/0/days"),
    ],
)
def test_a_program_file_may_switch_it_off(privilege: dict[str, Any], fault: str | None) -> None:
    faults = check_program({**copy.deepcopy(SHIPPED["club"]), "privileges": [privilege]})
    assert len(faults) == (fault is not None), faults
    assert fault is None or faults[0].startswith(fault)
