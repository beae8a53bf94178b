"""Coupons and gifts: which, when, and once each (rules 1.5, 1.6)."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.messages import messages_for
from club_rules.program_check import check_program
from club_rules.programs import Programs
from club_rules.rewards import (
    Rewards,
    change_profile,
    count_valid,
    decode_rewards,
    encode_rewards,
    gift_day,
    gives,
    issue_day,
    issue_due,
    next_due,
    rewards_of_entry,
    take_entry,
)
from club_rules.times import format_instant
from club_rules.views import rewards_view
from tests.unit.member import PROGRAMS, SHIPPED, Member, after, changed

TIERS = PROGRAMS.versions("crowns")[0].codes
SILVER = TIERS.index("Silver")


def codes() -> Callable[[], str]:
    """Codes that tell which was made first."""
    numbers = count(1)
    return lambda: f"c{next(numbers)}"


def at(text: str) -> datetime:
    """A UTC instant: "2026-11-08" is its midnight, "2026-11-08T12" its noon."""
    day, _, hour = text.partition("T")
    return datetime.fromisoformat(f"{day}T{hour or '00'}:00:00").replace(tzinfo=UTC)


def held(tier: str) -> Callable[[Any, int], int]:
    """Somebody who has always held a tier."""
    return lambda program, _day: program.codes.index(tier)


def profile(birthday: str | None = None, set_at: str | None = None, registered_on: str | None = None) -> dict[str, str]:
    found = {"birthday": birthday, "birthday_set_at": set_at and format_instant(at(set_at))}
    return {name: value for name, value in {**found, "registered_on": registered_on}.items() if value is not None}


def of_profile(programs: Programs = PROGRAMS, since: str = "2026-01-05", **days: str) -> Rewards:
    """The rewards of somebody whose profile was posted on a day."""
    rewards = Rewards()
    if "birthday" in days:
        days.setdefault("set_at", since)
    change_profile(rewards, programs, profile(**days), at(since))
    return rewards


def issue(rewards: Rewards, until: str, tier: str = "Silver", programs: Programs = PROGRAMS) -> list[dict[str, Any]]:
    return issue_due(rewards, programs, at(until), held(tier), codes())


def zoned(zone: str) -> Programs:
    """The shipped programs, with crowns in another zone."""
    return Programs([SHIPPED["club"], SHIPPED["vip"], changed("crowns", time_zone=zone)])


# --- tier coupons


@pytest.mark.parametrize(
    ("reached", "issued"),
    [
        ("2026-11-01", "2026-11-08"),
        ("2026-11-07", "2026-11-08"),
        ("2026-11-08", "2026-12-08"),
        ("2026-11-30", "2026-12-08"),
        ("2026-12-08", "2027-01-08"),
        ("2026-12-31", "2027-01-08"),
        ("2027-01-31", "2027-02-08"),
        ("2028-02-29", "2028-03-08"),
    ],
)
def test_coupons_are_issued_on_the_8th_that_follows(reached: str, issued: str) -> None:
    assert issue_day(date.fromisoformat(reached), 8).isoformat() == issued


def member_with_rewards(day: str, *prices: str) -> tuple[Member, Rewards]:
    member, rewards = Member(), Rewards()
    for number, price in enumerate(prices):
        member.buys(f"o-{number}", price, on=day)
    take(rewards, member)
    return member, rewards


def take(rewards: Rewards, member: Member) -> int:
    """What all the entries give; returns how many of them gave something new."""
    make = codes()
    return sum(take_entry(rewards, member.programs, entry, make) for entry in member.entries)


def test_a_tier_that_is_reached_has_its_coupons_from_the_8th_to_the_14th() -> None:
    _, rewards = member_with_rewards("2026-11-03", "150.00")  # passes Silver

    assert next_due(rewards, PROGRAMS) == at("2026-11-08")
    assert issue(rewards, "2026-11-07T23") == []
    issued = issue(rewards, "2026-11-08")
    assert issued == [
        {
            "id": "tier~crowns~Gold",
            "kind": "tier_coupon",
            "program": "crowns",
            "version": "2017-06",
            "tier": "Gold",
            "at": "2026-11-08T00:00:00Z",
            "from": "2026-11-08",
            "to": "2026-11-14",
            "value": "2.00",
            "codes": ["c1", "c2"],
        },
        {
            "id": "tier~crowns~Silver",
            "kind": "tier_coupon",
            "program": "crowns",
            "version": "2017-06",
            "tier": "Silver",
            "at": "2026-11-08T00:00:00Z",
            "from": "2026-11-08",
            "to": "2026-11-14",
            "value": "1.00",
            "codes": ["c3"],
        },
    ]
    assert next_due(rewards, PROGRAMS) is None
    assert issue(rewards, "2026-12-08") == []


@pytest.mark.parametrize(("price", "passed"), [("1.00", 0), ("2.00", 1), ("150.00", 2), ("600.00", 3), ("9000.00", 4)])
def test_passing_a_tier_counts_as_reaching_it(price: str, passed: int) -> None:
    member, _ = member_with_rewards("2026-11-03", price)
    names = [due.tier for entry in member.entries for due in rewards_of_entry(PROGRAMS, entry)]
    assert names == TIERS[1 : passed + 1]


def test_on_the_8th_itself_it_is_the_next_month() -> None:
    _, rewards = member_with_rewards("2026-11-08", "150.00")
    assert next_due(rewards, PROGRAMS) == at("2026-12-08")


def test_a_tier_that_is_reached_again_after_a_fall_has_no_second_coupon() -> None:
    member, rewards = member_with_rewards("2026-01-03", "150.00")
    issue(rewards, "2026-01-08")
    fallen = after("2026-01-03", 400)
    assert member.on(fallen).tier("crowns") == "none"
    member.buys("o-again", "150.00", on=fallen)
    assert member.tier("crowns") == "Gold"

    assert take(rewards, member) == 0
    assert issue(rewards, "2030-01-01") == []


def test_higher_tiers_come_later_by_themselves() -> None:
    member, rewards = member_with_rewards("2026-01-03", "150.00")
    issue(rewards, "2026-01-08")
    member.buys("o-more", "600.00", on="2026-02-03")
    assert take(rewards, member) == 1
    assert [(each["tier"], each["from"], len(each["codes"])) for each in issue(rewards, "2026-02-09")] == [
        ("Platinum", "2026-02-08", 3)
    ]


def test_coupons_of_a_late_sweep_are_those_of_a_punctual_one() -> None:
    _, rewards = member_with_rewards("2026-01-03", "150.00")
    late = copy.deepcopy(rewards)
    assert issue(rewards, "2026-01-08") == issue(late, "2026-09-30")


def test_the_day_of_a_tier_is_a_local_one() -> None:
    """At 21:00 UTC on the 7th it is the 8th in Moscow; the coupon's day begins there three hours before ours."""
    programs = zoned("Europe/Moscow")
    for hour, month in ((20, 11), (21, 12)):
        member, rewards = Member(programs=programs), Rewards()
        member.buys("o-1", "150.00", on=at("2026-11-07") + timedelta(hours=hour))
        take(rewards, member)
        assert next_due(rewards, programs) == datetime(2026, month, 7, 21, tzinfo=UTC)


# --- retention


def test_a_retained_status_has_its_coupon_at_once() -> None:
    member, rewards = member_with_rewards("2026-01-10", "1000.00")
    member.buys("o-2", "1000.00", on="2026-03-01")
    review = after("2026-01-10", 90)
    member.on(review)
    assert take(rewards, member) > 0

    (coupon,) = (each for each in rewards.issued if each["program"] == "vip")
    assert coupon == {
        "id": f"retention~vip~{review}",
        "kind": "retention_coupon",
        "program": "vip",
        "version": "2017-06",
        "tier": "Silver",
        "at": f"{review}T00:00:00Z",
        "from": review,
        "to": after(review, 29),
        "value": "5.00",
        "codes": coupon["codes"],
    }
    assert len(coupon["codes"]) == 1
    member.on(after(review, 90))  # reset: no coupon
    assert take(rewards, member) == 0
    assert member.tier("vip") == "none"


@pytest.mark.parametrize(("spend", "value"), [("999.00", "5.00"), ("3999.00", "10.00"), ("6999.00", "15.00")])
def test_each_status_has_its_own_value_and_each_period_its_own_coupon(spend: str, value: str) -> None:
    member, rewards = Member(), Rewards()
    for number in range(12):
        member.buys(f"o-{number}", spend, on=after("2026-01-10", number * 30))
    take(rewards, member)
    coupons = [each for each in rewards.issued if each["program"] == "vip"]
    assert len({each["id"] for each in coupons}) == len(coupons) >= 3
    assert coupons[0]["value"] == value or spend == "3999.00"  # three times 3999.00 is Platinum


# --- birthdays


@pytest.mark.parametrize(
    ("of", "year", "day"),
    [
        ("1990-05-17", 2026, "2026-05-17"),
        ("1992-02-29", 2026, "2026-02-28"),
        ("1992-02-29", 2028, "2028-02-29"),
        ("1992-02-29", 2100, "2100-02-28"),
        ("1992-02-29", 2000, "2000-02-29"),
        ("1990-02-28", 2028, "2028-02-28"),
        ("1990-12-31", 2026, "2026-12-31"),
    ],
)
def test_29_february_falls_on_the_28th_in_other_years(of: str, year: int, day: str) -> None:
    assert gift_day(date.fromisoformat(of), year).isoformat() == day


def test_a_birthday_gift_on_the_birthday_for_30_days() -> None:
    rewards = of_profile(birthday="1990-05-17")
    assert next_due(rewards, PROGRAMS) == at("2026-05-17")
    assert issue(rewards, "2026-05-16T23") == []
    (gift,) = issue(rewards, "2026-05-17")
    assert (gift["id"], gift["from"], gift["to"]) == ("birthday~crowns~2026", "2026-05-17", "2026-06-15")
    assert (gift["value"], gift["codes"], "tier" in gift) == ("5.00", ["c1"], False)
    assert next_due(rewards, PROGRAMS) == at("2027-05-17")
    assert [each["id"] for each in issue(rewards, "2029-01-01")] == ["birthday~crowns~2027", "birthday~crowns~2028"]


@pytest.mark.parametrize(
    ("set_on", "granted"),
    [
        ("2026-05-14T23", True),
        ("2026-05-15", True),
        ("2026-05-15T23", True),
        ("2026-05-16", False),
        ("2026-05-17", False),
    ],
)
def test_it_has_to_be_set_two_days_before(set_on: str, granted: bool) -> None:
    rewards = of_profile(since=set_on, birthday="1990-05-17")
    assert next_due(rewards, PROGRAMS) == at("2026-05-17" if granted else "2027-05-17")
    assert [each["from"] for each in issue(rewards, "2026-05-20")] == ["2026-05-17"] * granted


def test_the_two_days_are_local_ones() -> None:
    """Set at 20:59 UTC it is still the 15th in Moscow; at 21:00 it is the 16th, a day too late."""
    programs = zoned("Europe/Moscow")
    for hour, year in ((20, 2026), (21, 2027)):
        moment = at("2026-05-15") + timedelta(hours=hour)
        rewards = Rewards()
        days = {"birthday": "1990-05-17", "birthday_set_at": format_instant(moment)}
        change_profile(rewards, programs, days, moment)
        assert next_due(rewards, programs) == datetime(year, 5, 16, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    ("zone", "begins"),
    [
        ("Europe/Moscow", "2026-05-16T21"),
        ("America/New_York", "2026-05-17T04"),
        ("Pacific/Kiritimati", "2026-05-16T10"),
        ("Africa/Cairo", "2026-05-16T21"),
    ],
)
def test_a_gift_falls_due_as_its_local_day_begins(zone: str, begins: str) -> None:
    assert next_due(of_profile(zoned(zone), birthday="1990-05-17"), zoned(zone)) == at(begins)


def test_a_birthday_that_is_changed_after_the_gift_brings_no_second_one_that_year() -> None:
    rewards = of_profile(birthday="1990-05-17")
    issue(rewards, "2026-05-17")
    change_profile(rewards, PROGRAMS, profile("1990-09-01", "2026-06-01"), at("2026-06-01"))
    assert next_due(rewards, PROGRAMS) == at("2027-09-01")
    assert issue(rewards, "2027-08-31") == []
    assert [each["id"] for each in issue(rewards, "2027-09-01")] == ["birthday~crowns~2027"]


def test_the_first_days_of_a_year_are_another_calendar_year() -> None:
    rewards = of_profile(birthday="1990-12-31")
    assert len(issue(rewards, "2026-12-31")) == 1
    change_profile(rewards, PROGRAMS, profile("1990-01-05", "2027-01-01"), at("2027-01-01"))
    assert [each["from"] for each in issue(rewards, "2027-01-05")] == ["2027-01-05"]


def test_a_birthday_that_is_changed_before_the_gift_moves_it() -> None:
    rewards = of_profile(birthday="1990-05-17")
    change_profile(rewards, PROGRAMS, profile("1990-09-01", "2026-05-16"), at("2026-05-16"))
    assert issue(rewards, "2026-08-31") == []
    assert [each["from"] for each in issue(rewards, "2026-09-01")] == ["2026-09-01"]


def test_a_birthday_that_is_changed_before_a_late_sweep_came_takes_no_gift_away() -> None:
    rewards = of_profile(birthday="1990-05-17")
    change_profile(rewards, PROGRAMS, profile("1990-09-01", "2026-05-17T01"), at("2026-05-17T01"))
    assert next_due(rewards, PROGRAMS) == at("2026-05-17")
    assert [each["from"] for each in issue(rewards, "2026-12-31")] == ["2026-05-17"]


def test_a_gift_that_came_to_nothing_leaves_the_year_to_the_next_birthday() -> None:
    """Also where the sweep is late, and sees to both at once."""
    tiers = lambda _program, day: SILVER if day >= date(2026, 8, 1).toordinal() else 0  # noqa: E731
    change = profile("1990-09-01", "2026-06-01")
    punctual, late = (of_profile(birthday="1990-05-17") for _ in range(2))
    assert issue_due(punctual, PROGRAMS, at("2026-05-17"), tiers, codes()) == []
    for rewards in (punctual, late):
        change_profile(rewards, PROGRAMS, change, at("2026-06-01"))
        assert [each["from"] for each in issue_due(rewards, PROGRAMS, at("2026-12-01"), tiers, codes())] == [
            "2026-09-01"
        ]
    assert encode_rewards(punctual) == encode_rewards(late)


@pytest.mark.parametrize("tier", TIERS)
def test_gifts_go_to_members_above_none(tier: str) -> None:
    rewards = of_profile(birthday="1990-05-17", registered_on="2024-07-01")
    issued = issue(rewards, "2026-12-31", tier)
    assert [each["kind"] for each in issued] == ([] if tier == "none" else ["birthday_gift", "anniversary_gift"])
    assert next_due(rewards, PROGRAMS) == at("2027-05-17"), "a gift that was not for them is not asked for again"


def test_the_tier_is_that_of_the_day_itself() -> None:
    asked: list[tuple[str, str]] = []

    def tier_at(program: Any, day: int) -> int:
        asked.append((program.id, date.fromordinal(day).isoformat()))
        return SILVER

    _, rewards = member_with_rewards("2026-01-03", "150.00")
    change_profile(rewards, PROGRAMS, profile("1990-05-17", "2026-01-03"), at("2026-01-03"))
    issue_due(rewards, PROGRAMS, at("2026-12-31"), tier_at, codes())
    assert asked == [("crowns", "2026-05-17")], "a coupon asks for no tier, a gift for that of its day"


# --- anniversaries


def test_the_day_of_registration_itself_is_no_anniversary() -> None:
    rewards = of_profile(since="2026-03-01T09", registered_on="2026-03-01")
    assert issue(rewards, "2027-02-28") == []
    assert [each["id"] for each in issue(rewards, "2027-03-01")] == ["anniversary~crowns~2027"]
    assert [each["from"] for each in issue(rewards, "2028-03-01")] == ["2028-03-01"]


def test_an_anniversary_of_29_february() -> None:
    rewards = of_profile(since="2024-02-29", registered_on="2024-02-29")
    days = [each["from"] for each in issue(rewards, "2028-12-31")]
    assert days == ["2025-02-28", "2026-02-28", "2027-02-28", "2028-02-29"]


def test_an_anniversary_needs_not_be_set_before() -> None:
    """Registered elsewhere long ago, and known to the club since this very day, or since the day after."""
    on_the_day = of_profile(since="2026-03-01T15", registered_on="2020-03-01")
    assert [each["from"] for each in issue(on_the_day, "2026-03-02")] == ["2026-03-01"]
    assert issue(of_profile(since="2026-03-02", registered_on="2020-03-01"), "2026-12-31") == []


def test_a_sweep_of_an_earlier_night_that_comes_later_makes_up_for_nothing() -> None:
    """It was scheduled before the profile was told, and is worked off afterwards."""
    rewards = of_profile(birthday="1990-05-17")
    change_profile(rewards, PROGRAMS, profile("1990-05-17", "2026-01-05", "2020-05-31"), at("2026-06-01"))
    assert [each["id"] for each in issue(rewards, "2026-05-20")] == ["birthday~crowns~2026"]
    assert issue(rewards, "2026-12-31") == []


def test_an_anniversary_is_once_a_calendar_year_too() -> None:
    rewards = of_profile(registered_on="2020-03-01")
    issue(rewards, "2026-03-01")
    change_profile(rewards, PROGRAMS, profile(registered_on="2020-04-01"), at("2026-03-02"))
    assert [each["from"] for each in issue(rewards, "2027-12-31")] == ["2027-04-01"]


# --- the profile


def test_a_profile_that_says_the_same_changes_nothing() -> None:
    rewards = of_profile(birthday="1990-05-17", registered_on="2020-03-01")
    before = encode_rewards(rewards)
    assert not change_profile(rewards, PROGRAMS, profile("1990-05-17", "2026-01-05", "2020-03-01"), at("2026-04-01"))
    assert not change_profile(Rewards(), PROGRAMS, {"country": "RU"}, at("2026-04-01"))
    assert encode_rewards(rewards) == before


def test_nothing_that_fell_due_before_the_days_were_known_is_made_up_for() -> None:
    rewards = of_profile(since="2026-06-01", birthday="1990-05-17", registered_on="2010-05-31")
    assert issue(rewards, "2027-05-16") == []


def test_without_a_profile_nothing_ever_falls_due() -> None:
    assert next_due(Rewards(), PROGRAMS) is None
    assert issue(Rewards(), "2030-01-01") == []


def test_who_is_erased_is_granted_nothing() -> None:
    member, rewards = member_with_rewards("2026-01-03", "150.00")
    rewards.erased = True
    assert encode_rewards(rewards) == {"erased": True}
    gone = decode_rewards({"erased": True})
    assert take(gone, member) == 0
    assert not change_profile(gone, PROGRAMS, profile("1990-05-17", "2026-01-03"), at("2026-01-03"))
    assert next_due(gone, PROGRAMS) is None
    assert issue(gone, "2030-01-01") == []


# --- versions of a program


def test_a_gift_is_by_the_version_of_its_day_a_coupon_by_that_of_the_day_it_was_reached() -> None:
    later = changed("crowns", version="2026-06", effective_from="2026-05-01")
    later["rewards"]["birthday_gift"]["gift"]["value"] = "7.00"
    later["rewards"]["tier_coupons"]["coupons"]["Gold"]["value"] = "9.00"
    programs = Programs([*SHIPPED.values(), later])
    rewards = of_profile(programs, birthday="1990-05-17")
    member = Member(programs=programs)
    member.buys("o-1", "150.00", on="2026-04-20")
    take(rewards, member)
    issued = issue_due(rewards, programs, at("2026-12-31"), held("Silver"), codes())
    assert [(each["id"], each["version"], each["value"]) for each in issued] == [
        ("tier~crowns~Gold", "2017-06", "2.00"),
        ("tier~crowns~Silver", "2017-06", "1.00"),
        ("birthday~crowns~2026", "2026-06", "7.00"),
    ]


def test_a_gift_that_a_later_version_brings_is_due_from_then_on() -> None:
    before = changed("crowns", rewards={})
    later = changed("crowns", version="2031-01", effective_from="2031-01-01")
    programs = Programs([SHIPPED["club"], SHIPPED["vip"], before, later])
    rewards = of_profile(programs, birthday="1990-05-17")
    assert next_due(rewards, programs) == at("2031-05-17")


# --- in any order, at any time: against a calendar that is walked day by day

DAYS = st.dates(date(2026, 1, 1), date(2028, 12, 31))
BORN = st.sampled_from([f"1992-{day}" for day in ("02-29", "02-28", "03-01", "01-01", "12-31", "06-15", "06-16")])
REGISTERED = st.sampled_from(["2024-02-29", "2025-06-15", "2026-01-01", "2026-12-31"])
CHANGES = st.lists(st.tuples(DAYS, st.integers(0, 23), BORN | st.none(), REGISTERED | st.none()), max_size=5)
SWEEPS = st.lists(st.tuples(DAYS, st.integers(0, 23)), max_size=6)
END = at("2029-01-31")
ZONES = {zone: zoned(zone) for zone in ("UTC", "Asia/Tokyo", "America/New_York")}


def told(story: list[tuple[Any, ...]]) -> list[tuple[datetime, dict[str, str]]]:
    """The profiles as the ledger keeps them: what is not said again stays, what is said again keeps its date."""
    known: dict[str, str] = {}
    found = []
    for day, hour, birthday, registered_on in sorted(story, key=lambda each: each[:2]):
        moment = datetime(day.year, day.month, day.day, hour, tzinfo=UTC)
        if birthday is not None and birthday != known.get("birthday"):
            known = {**known, "birthday": birthday, "birthday_set_at": format_instant(moment)}
        if registered_on is not None:
            known = {**known, "registered_on": registered_on}
        found.append((moment, known))
    return found


def expected(profiles: list[tuple[datetime, dict[str, str]]], programs: Programs, tier_at: Any) -> set[tuple[str, str]]:
    """Kinds and days of the gifts, by walking the calendar: written without looking at how they are scheduled."""
    program = programs.versions("crowns")[0]
    granted: set[tuple[str, str]] = set()
    for number in range(date(2026, 1, 1).toordinal(), program.day_of(END) + 1):
        day, start, end = date.fromordinal(number), program.start_of(number), program.start_of(number + 1)
        if tier_at(program, number) == 0 or start > END:
            continue
        known = [found for moment, found in profiles if moment < start][-1:]
        known += [found for moment, found in profiles if start <= moment < end]
        for each in known:
            for kind, of in (("birthday_gift", each.get("birthday")), ("anniversary_gift", each.get("registered_on"))):
                if of is None or int(of[:4]) >= day.year:
                    continue
                falls = of[5:] == f"{day:%m-%d}" or (
                    of[5:] == "02-29" and f"{day:%m-%d}" == "02-28" and (day + timedelta(days=1)).day == 1
                )
                if kind == "birthday_gift":
                    set_on = program.day_of(datetime.fromisoformat(each["birthday_set_at"]))
                    falls = falls and set_on + 2 <= number
                if falls and not any(was == kind and on[:4] == str(day.year) for was, on in granted):
                    granted.add((kind, day.isoformat()))
    return granted


@given(CHANGES, SWEEPS, st.sets(DAYS, max_size=3), st.sampled_from(sorted(ZONES)))
def test_gifts_are_those_of_the_calendar_whenever_sweeps_come(
    story: list[Any], sweeps: list[Any], turns: set[date], zone: str
) -> None:
    programs, profiles = ZONES[zone], told(story)
    turned = sorted(day.toordinal() for day in turns)

    def tier_at(_program: Any, day: int) -> int:
        return sum(turn <= day for turn in turned) % 2  # none and Silver by turns

    moments = [(moment, 0, found) for moment, found in profiles]
    moments += [(datetime(day.year, day.month, day.day, hour, tzinfo=UTC), 1, {}) for day, hour in sweeps]
    rewards, make = Rewards(), codes()
    for moment, is_sweep, found in sorted(moments, key=lambda each: each[:2]):
        rewards = decode_rewards(json.loads(json.dumps(encode_rewards(rewards))))
        due = next_due(rewards, programs)
        if not is_sweep:
            change_profile(rewards, programs, found, moment)
        elif due is not None and due <= moment:  # else the index doesn't name them
            issue_due(rewards, programs, moment, tier_at, make)
            left = next_due(rewards, programs)
            assert left is None or left > moment
            assert issue_due(rewards, programs, moment, tier_at, make) == [], "twice"
    issue_due(rewards, programs, END, tier_at, make)

    gifts = [(each["kind"], each["from"]) for each in rewards.issued]
    assert set(gifts) == expected(profiles, programs, tier_at)
    assert len({each["id"] for each in rewards.issued}) == len(gifts) == len(set(gifts))
    left = next_due(rewards, programs)
    assert left is None or left > END


@given(
    st.lists(st.tuples(st.integers(0, 200), st.sampled_from(["2.00", "90.00", "400.00", "1000.00"])), max_size=8),
    st.randoms(),
)
def test_coupons_are_the_same_in_whatever_order_entries_are_heard_of(story: list[tuple[int, str]], rng: Any) -> None:
    member = Member()
    for number, (day, price) in enumerate(sorted(story)):
        member.buys(f"o-{number}", price, on=after("2026-01-01", day))
    member.on("2027-06-01")
    in_order, mixed = Rewards(), Rewards()
    take(in_order, member)
    heard = member.entries * 2
    rng.shuffle(heard)
    for entry in heard:
        take_entry(mixed, PROGRAMS, entry, codes())
    for rewards in (in_order, mixed):
        issue(rewards, "2027-06-01")

    def outcome(rewards: Rewards) -> list[Any]:
        return sorted(
            (each["id"], each["from"], each["to"], each.get("value"), len(each["codes"])) for each in rewards.issued
        )

    assert outcome(in_order) == outcome(mixed)
    top = member.account.program("crowns").top
    coupons = {each["tier"] for each in mixed.issued if each["kind"] == "tier_coupon"}
    assert coupons == set(TIERS[1 : top + 1])


# --- what is shown


def everything() -> Rewards:
    _, rewards = member_with_rewards("2026-01-03", "1600.00")
    change_profile(rewards, PROGRAMS, profile("1990-05-17", "2026-01-03", "2020-03-01"), at("2026-01-03"))
    issue(rewards, "2026-06-01")
    return rewards


def test_new_rewards_hold_nothing() -> None:
    rewards = Rewards()
    held_ = {name: getattr(rewards, name) for name in Rewards.__slots__}
    nothing = dict.fromkeys(("birthday", "set_at", "registered_on", "through"))
    assert held_ == {**nothing, "issued": [], "scheduled": [], "erased": False}
    assert rewards.erased is False
    assert encode_rewards(rewards) == {}


def test_what_is_stored_is_what_is_read_again() -> None:
    rewards = everything()
    rewards.scheduled.append({"id": "tier~crowns~Gold", "on": "2026-12-08"})
    assert rewards.issued
    rewards.birthday, rewards.set_at = date(1990, 2, 28), at("2026-01-05T12")
    rewards.registered_on, rewards.through = date(2020, 1, 2), at("2026-06-01")
    stored = json.loads(json.dumps(encode_rewards(rewards)))
    assert stored == {
        "issued": rewards.issued,
        "scheduled": rewards.scheduled,
        "birthday": "1990-02-28",
        "set_at": "2026-01-05T12:00:00Z",
        "registered_on": "2020-01-02",
        "through": "2026-06-01T00:00:00Z",
    }
    again = decode_rewards(stored)
    assert {name: getattr(again, name) for name in Rewards.__slots__} == {
        name: getattr(rewards, name) for name in Rewards.__slots__
    }


def test_which_entries_give_a_coupon_at_all() -> None:
    member = Member()
    member.buys("o-1", "1000.00", on="2026-01-10")
    member.does("visit.recorded")
    member.buys("o-2", "999.00", on="2026-03-01")
    member.on("2026-12-01")
    kinds = ["retained", "reset", "reached", "none of these"]
    found = dict.fromkeys(kinds, 0)
    for entry in member.entries:
        codes_ = {reason["code"] for part in entry["parts"].values() for reason in part["reasons"]}
        kind = next((code for code in kinds[:2] if code in codes_), None)
        kind = kind or ("reached" if any("reached" in part for part in entry["parts"].values()) else kinds[3])
        found[kind] += 1
        assert gives(entry) == (kind in ("retained", "reached")) == bool(list(rewards_of_entry(PROGRAMS, entry)))
    assert all(found.values())


def test_an_entry_says_what_falls_due_when() -> None:
    member = Member()
    member.buys("o-1", "1000.00", on="2026-01-10")
    program = PROGRAMS.versions("crowns")[0]
    on = date(2026, 2, 8).toordinal()
    assert list(rewards_of_entry(PROGRAMS, member.entries[-1])) == [
        (at("2026-02-08"), f"tier~crowns~{tier}", "tier_coupon", program, on, tier)
        for tier in ("Silver", "Gold", "Platinum")
    ]


def test_under_rules_without_coupons_an_entry_gives_none() -> None:
    """Also one that was posted when there were some."""
    member = Member()
    member.buys("o-1", "1000.00", on="2026-01-10")
    member.buys("o-2", "999.00", on="2026-03-01")
    member.on(after("2026-01-10", 90))
    assert [gives(entry) for entry in member.entries] == [True, True, False, True]
    bare = Programs([changed(name, rewards={}) for name in ("club", "crowns", "vip")])
    assert [list(rewards_of_entry(bare, entry)) for entry in member.entries] == [[], [], [], []]


def test_a_gift_that_waits_names_no_tier() -> None:
    rewards = of_profile(birthday="1990-05-17")
    assert change_profile(rewards, PROGRAMS, profile("1990-06-01", "2026-05-20"), at("2026-05-20"))
    assert rewards.scheduled == [
        {
            "id": "birthday~crowns~2026",
            "kind": "birthday_gift",
            "program": "crowns",
            "version": "2017-06",
            "on": "2026-05-17",
        }
    ]


def test_a_gift_that_was_issued_does_not_wait_again() -> None:
    rewards = of_profile(birthday="1990-05-17")
    assert issue(rewards, "2026-05-17")
    change_profile(rewards, PROGRAMS, profile("1990-05-17", "2026-05-01"), at("2026-05-17T12"))
    assert rewards.scheduled == []


def test_a_profile_heard_of_late_turns_nothing_back() -> None:
    rewards = of_profile(birthday="1990-05-17")
    issue(rewards, "2026-06-01", tier="none")
    change_profile(rewards, PROGRAMS, profile("1990-05-17", "2026-05-01"), at("2026-05-01"))
    assert rewards.through == at("2026-06-01")


def test_a_gift_due_at_the_instant_that_was_seen_to_is_over() -> None:
    rewards = of_profile(birthday="1990-05-17")
    assert issue(rewards, "2026-05-17", tier="none") == []
    assert issue(rewards, "2026-05-18") == []
    rewards.through = at("2026-05-17")
    assert next_due(rewards, PROGRAMS) == at("2027-05-17")


def test_a_birthday_of_which_nobody_knows_since_when_brings_no_gift() -> None:
    rewards = of_profile(birthday="1990-05-17")
    rewards.set_at = None
    assert next_due(rewards, PROGRAMS) is None


def test_where_nothing_is_asked_a_birthday_may_be_set_on_the_day_itself() -> None:
    gift = {"from_tier": "Silver", "valid_days": 30, "gift": {"title": "A cup", "count": 2}}
    programs = Programs([changed("crowns", rewards={"birthday_gift": gift})])
    rewards = of_profile(programs, since="2026-05-17", birthday="1990-05-17")
    (issued,) = issue(rewards, "2026-05-18", programs=programs)
    assert issued["codes"] == ["c1", "c2"]
    rewards = of_profile(programs, since="2026-05-18", birthday="1990-05-17")
    assert issue(rewards, "2026-05-19", programs=programs) == []


def test_the_calendar_ends_with_the_last_year_whose_gifts_can_be_valid() -> None:
    rewards = of_profile(registered_on="2020-05-17")
    rewards.through = at("9997-12-31")
    assert next_due(rewards, PROGRAMS) == at("9998-05-17")
    rewards.through = at("9998-12-31")
    assert next_due(rewards, PROGRAMS) is None


def test_rewards_are_counted_while_they_are_valid() -> None:
    rewards = everything()
    counts = {
        day: count_valid(rewards, PROGRAMS, "crowns", at(day))
        for day in ("2026-01-07T23", "2026-01-08", "2026-01-14T23", "2026-01-15", "2026-03-30T23", "2026-03-31")
    }
    assert list(counts.values()) == [0, 4, 4, 0, 1, 0]
    assert count_valid(rewards, PROGRAMS, "vip", at("2026-01-08")) == 0


def test_rewards_are_listed_newest_first_in_every_language() -> None:
    rewards = everything()
    english, russian = (
        rewards_view(rewards, "m-42", PROGRAMS, at("2026-05-20"), messages_for(language)) for language in ("en", "ru")
    )
    assert [each["valid_from"] for each in english] == ["2026-05-17", "2026-03-01", *["2026-01-08"] * 4]
    assert english[0] == {
        "reward_id": "birthday~crowns~2026~m-42",
        "kind": "birthday_gift",
        "program": "crowns",
        "program_version": "2017-06",
        "valid_from": "2026-05-17",
        "valid_to": "2026-06-15",
        "count": 1,
        "codes": english[0]["codes"],
        "value": "5.00",
        "currency": "USD",
        "valid": True,
        "title": "Birthday coupon",
        "text": "1 coupon of 5.00 USD for your birthday. Valid from 17 May 2026 through 15 June 2026.",
    }
    gold = next(each for each in english if each.get("tier") == "Gold")
    assert (gold["title"], gold["valid"]) == ("Coupons for Gold", False)
    assert gold["text"].startswith("2 coupons of 2.00 USD for reaching Gold for the first time.")
    assert [each["title"] for each in russian[:2]] == ["Купон ко дню рождения", "Купон за ещё один год с клубом"]
    assert [{**each, "title": "", "text": ""} for each in russian] == [
        {**each, "title": "", "text": ""} for each in english
    ]
    diamond = next(each for each in russian if each.get("tier") == "Diamond")
    assert diamond["text"].startswith("5 купонов на 10,00")


def test_a_gift_need_not_be_worth_money() -> None:
    data = changed("crowns")
    data["rewards"]["birthday_gift"]["gift"] = {"title": "A mug"}
    programs = Programs([SHIPPED["club"], SHIPPED["vip"], data])
    rewards = of_profile(programs, birthday="1990-05-17")
    issue(rewards, "2026-05-17", programs=programs)
    (view,) = rewards_view(rewards, "m-1", programs, at("2026-05-17"), messages_for("ru"))
    assert (view["title"], view["count"], "value" in view) == ("A mug", 1, False)
    assert view["text"].startswith("Подарок клуба к вашему дню рождения. Действует с 17 мая 2026")


# --- the program file


@pytest.mark.parametrize(
    ("program", "change", "said"),
    [
        ("crowns", {"tier_coupons": {"valid_through_day": 7}}, "/rewards/tier_coupons/valid_through_day: at least"),
        ("crowns", {"birthday_gift": {"gift": {}}}, "/rewards/birthday_gift/gift/title: missing"),
        (
            "crowns",
            {"birthday_gift": {"gift": {"title": "Cup", "value": "5"}}},
            "/rewards/birthday_gift/gift/value: expe",
        ),
        (
            "crowns",
            {"birthday_gift": {"gift": {"title": "Cup", "count": 0}}},
            "/rewards/birthday_gift/gift/count: expect",
        ),
        (
            "crowns",
            {"birthday_gift": {"gift": {"title": "Cup", "colour": "red"}}},
            "/rewards/birthday_gift/gift/colour: un",
        ),
        (
            "crowns",
            {"birthday_gift": {"gift": {"title": "Cup", "titles": {"de": "x"}}}},
            "/rewards/birthday_gift/gift/tit",
        ),
        ("crowns", {"anniversary_gift": {"set_days_before": 2}}, "/rewards/anniversary_gift/set_days_before: unknown"),
        (
            "crowns",
            {"retention_coupons": {"Silver": "5.00"}, "retention_valid_days": 30},
            "/rewards/retention_coupons: n",
        ),
        ("vip", {"retention_valid_days": 0}, "/rewards/retention_valid_days: expected a whole number"),
        ("vip", {"retention_valid_days": None}, '/rewards: "retention_coupons" and "retention_valid_days" go together'),
    ],
)
def test_what_is_wrong_with_rewards_in_a_program_file(program: str, change: dict[str, Any], said: str) -> None:
    data = changed(program)
    for name, value in change.items():
        if value is None:
            del data["rewards"][name]
        elif isinstance(value, dict) and name in data["rewards"]:
            data["rewards"][name] |= value
        else:
            data["rewards"][name] = value
    messages = check_program(data)
    assert len(messages) == 1, messages
    assert messages[0].startswith(said)
