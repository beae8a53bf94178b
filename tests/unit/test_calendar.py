"""Every local day from 2024 to 2036, in three time zones: what counts, ends and falls due on it, to the microsecond.

The shipped programs are in UTC; the other zones are the awkward ones. In Havana the clocks change at midnight: one day
a year begins at 01:00, another begins, is set back and begins a second time. On Lord Howe, on the other side of the
equator, the clocks go by half an hour.

Where a day begins is not asked of the code under test, nor of the arithmetic that it uses, which goes from the local
day to the instant. It is read off by walking through the instants and asking for the local date of each.
"""

from __future__ import annotations

import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import count
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from club_rules.messages import messages_for
from club_rules.programs import Program, Programs
from club_rules.rewards import Rewards, change_profile, is_valid, issue_due, next_due, take_entry
from club_rules.settling import due_at
from club_rules.standing import Counts
from club_rules.times import format_instant
from club_rules.views import summary
from club_rules.warnings import given_between, next_warning
from tests.unit.member import Member, changed, line

FIRST_YEAR, LAST_YEAR = 2024, 2036
ZONES = ("UTC", "America/Havana", "Australia/Lord_Howe")
TICK = timedelta(microseconds=1)

pytestmark = [
    pytest.mark.parametrize("year", range(FIRST_YEAR, LAST_YEAR + 1)),
    pytest.mark.parametrize("zone", ZONES),
]


class Days:
    """The local days of a zone: where each begins and ends."""

    def __init__(self, zone: str) -> None:
        """Walks in steps of half an hour: no zone here changes its date, or its clock, in between."""
        place = ZoneInfo(zone)
        self._starts: dict[date, datetime] = {}
        instant, end = datetime(FIRST_YEAR - 1, 1, 1, tzinfo=UTC), datetime(LAST_YEAR + 3, 1, 1, tzinfo=UTC)
        while instant < end:
            self._starts.setdefault(instant.astimezone(place).date(), instant)
            instant += timedelta(minutes=30)

    def start(self, day: date) -> datetime:
        """The first instant of a day."""
        return self._starts[day]

    def end(self, day: date) -> datetime:
        """The last instant of a day."""
        return self._starts[after(day, 1)] - TICK


@cache
def days_of(zone: str) -> Days:
    return Days(zone)


@cache
def programs_in(zone: str, *names: str) -> Programs:
    """Programs as they are shipped, but for the zone."""
    return Programs([changed(name, time_zone=zone) for name in names])


def program_in(zone: str, name: str) -> Program:
    return programs_in(zone, name).versions(name)[0]


def days_in(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day = after(day, 1)


def months_in(year: int) -> Iterator[tuple[date, date]]:
    """The first and the last day of each month."""
    for month in range(1, 13):
        yield date(year, month, 1), date(year, month, calendar.monthrange(year, month)[1])


def after(day: date, days: int) -> date:
    return day + timedelta(days=days)


def member_of(zone: str, *names: str) -> Member:
    """Somebody without a past, who is first heard of when the days begin."""
    member = Member(programs_in(zone, *names))
    member.clock = datetime(FIRST_YEAR - 1, 1, 2, tzinfo=UTC)
    return member


def to(member: Member, moment: datetime) -> Member:
    """Settles a member to a moment."""
    member.clock = max(member.clock, moment)
    member.settle(moment)
    return member


# --- the day itself


def test_a_day_begins_where_its_first_instant_is(zone: str, year: int) -> None:
    days, program = days_of(zone), program_in(zone, "crowns")

    for day in days_in(year):
        assert program.start_of(day.toordinal()) == days.start(day)
        assert program.day_of(days.start(day)) == day.toordinal()
        assert program.day_of(days.end(day)) == day.toordinal()


def test_the_zones_are_the_awkward_ones(zone: str, year: int) -> None:
    days = days_of(zone)
    lengths = {(days.start(after(day, 1)) - days.start(day)) / timedelta(hours=1) for day in days_in(year)}
    begins = {days.start(day).astimezone(ZoneInfo(zone)).hour for day in days_in(year)}

    assert lengths == {"UTC": {24}, "America/Havana": {23, 24, 25}, "Australia/Lord_Howe": {23.5, 24, 24.5}}[zone]
    assert begins == ({0, 1} if zone == "America/Havana" else {0})


# --- earning and its end


def test_what_is_earned_on_a_day_counts_for_365_and_is_out_on_the_next(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member = member_of(zone, "crowns")
        first, last = after(day, 364), after(day, 365)
        assert member.does("visit.recorded", on=days.start(day)) == {"crowns": (1, [])}
        assert member.does("visit.recorded", on=days.end(day)) == {"crowns": (0, ["daily_cap"])}
        assert member.since("crowns") == day.isoformat()
        assert (to(member, days.end(first)).points("crowns"), member.tier("crowns")) == (1, "Silver")
        assert (to(member, days.start(last)).points("crowns"), member.tier("crowns")) == (0, "none")
        assert member.since("crowns") == last.isoformat()
        assert {entry["occurred_at"] for entry in member.entries[2:]} == {format_instant(days.start(last))}
        assert [part["kind"] for part in _parts(member)[2:]] == ["expiry", "tier_review"]


def test_two_sides_of_midnight_are_two_lots(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member = member_of(zone, "crowns")
        assert member.does("visit.recorded", on=days.end(day)) == {"crowns": (1, [])}
        assert member.does("visit.recorded", on=days.start(after(day, 1))) == {"crowns": (1, [])}
        left = [to(member, moment).points("crowns") for moment in _around(days, after(day, 365), after(day, 366))]
        assert left == [2, 1, 1, 0]


def test_a_late_event_is_taken_until_its_day_is_out(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        for posted, expected in (
            (days.end(after(day, 364)), (1, [])),
            (days.start(after(day, 365)), (0, ["already_expired"])),
        ):
            member = member_of(zone, "crowns")
            assert member.does("visit.recorded", on=days.end(day), posted=posted) == {"crowns": expected}


def test_a_status_by_spend_is_held_for_ninety_days(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member, over = member_of(zone, "vip"), after(day, 90)
        member.buys("o-1", line("999.00"), on=days.start(day))
        # what comes on the last day counts on day 90 as well: the status is kept, and so is the day it began
        kept = _twin(member)
        kept.buys("o-2", line("999.00"), on=days.end(after(day, 89)))
        assert (to(member, days.end(after(day, 89))).tier("vip"), member.since("vip")) == ("Silver", day.isoformat())
        assert (to(member, days.start(over)).tier("vip"), member.since("vip")) == ("none", over.isoformat())
        assert (to(kept, days.start(over)).tier("vip"), kept.points("vip")) == ("Silver", 99_900)
        assert [part["kind"] for part in _parts(kept)] == ["accrual", "accrual", "expiry", "tier_review"]
        assert kept.since("vip") == day.isoformat()


# --- caps


def test_a_month_ends_with_its_last_instant(zone: str, year: int) -> None:
    days, names = days_of(zone), count()

    for first, last in months_in(year):
        member = member_of(zone, "club")

        def contributes(on: datetime, member: Member = member) -> tuple[int, list[str]]:
            data = {"contribution_id": f"c-{next(names)}", "kind": "translation"}
            return member.does("contribution.accepted", data, on)["club"]

        assert contributes(days.start(first) - TICK) == (1, [])
        assert [contributes(days.start(first)) for _ in range(10)] == [(1, [])] * 10
        assert contributes(days.end(last)) == (0, ["monthly_cap"])
        assert contributes(days.end(last) + TICK) == (1, [])


def test_an_item_is_capped_for_365_days_and_no_longer(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member = member_of(zone, "club")
        ten = line("2.00", quantity=10)
        assert member.buys("o-1", ten, on=days.start(day))["club"] == (25, [])  # 20 for the units, 5 for the day
        assert member.buys("o-2", ten, on=days.end(after(day, 364)))["club"] == (0, ["item_unit_cap"])
        assert member.buys("o-3", ten, on=days.start(after(day, 365)))["club"] == (25, [])


def test_a_cap_looks_ahead_of_a_late_order_as_well(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member, posted = member_of(zone, "club"), days.start(after(day, 364))
        ten = line("2.00", quantity=10)
        assert member.buys("o-1", ten, on=posted)["club"] == (25, [])
        assert member.buys("o-2", ten, on=days.end(day), posted=posted)["club"] == (0, ["item_unit_cap"])


# --- penalties


def test_a_penalty_and_its_cap_end_with_their_days(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member = member_of(zone, "crowns")
        member.does("promotion.awarded", {"campaign_id": "spring", "points": 200, "program": "crowns"}, days.start(day))
        member.does("violation.confirmed", {"case_id": "case-1", "kind": "spam"}, on=days.end(day))
        member.does("violation.confirmed", {"case_id": "case-2", "kind": "extortion"}, on=days.end(day))
        assert (member.points("crowns"), member.tier("crowns")) == (90, "Silver")
        seen = [
            (to(member, moment).points("crowns"), member.tier("crowns"))
            for moment in _around(days, after(day, 30), after(day, 60), after(day, 180))
        ]
        assert seen == [
            (90, "Silver"),
            (110, "Silver"),  # twenty back, and still no tier above
            (110, "Silver"),
            (110, "Gold"),
            (110, "Gold"),
            (200, "Gold"),
        ]


# --- warnings, and what is shown as expiring


def test_warnings_come_thirty_and_seven_days_ahead(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member = member_of(zone, "crowns")
        member.does("visit.recorded", on=days.end(day))
        for lead in (30, 7):
            due = days.start(after(day, 365 - lead))
            assert next_warning(member.account, member.programs) == due_at(member.account, member.programs) == due
            assert _warned(member, due - TICK) == []
            assert _warned(member, due) == [(day.toordinal(), lead, 1)]
        assert next_warning(member.account, member.programs) is None
        assert due_at(member.account, member.programs) == days.start(after(day, 365))


def test_what_expires_within_thirty_days_is_shown(zone: str, year: int) -> None:
    days = days_of(zone)

    for day in days_in(year):
        member = member_of(zone, "crowns")
        member.does("visit.recorded", on=days.start(day))

        def shown(moment: datetime, member: Member = member) -> list[dict[str, Any]]:
            view = summary(member.account, member.programs, moment, Counts(1, {}), messages_for("en"))
            found: list[dict[str, Any]] = view["programs"]["crowns"]["expiring"]
            return found

        first = after(day, 335)
        assert shown(days.start(first) - TICK) == []
        assert shown(days.start(first)) == [{"on": after(day, 365).isoformat(), "points": 1}]


# --- gifts and coupons


def test_a_birthday_is_kept_on_its_day_and_on_the_28th_where_there_is_no_29th(zone: str, year: int) -> None:
    days, programs = days_of(zone), programs_in(zone, "crowns")

    for day in days_in(year):
        for born in _born_on(day):
            rewards = Rewards()
            profile = _profile(birthday=born, birthday_set_at=days.end(after(day, -2)))
            change_profile(rewards, programs, profile, days.end(after(day, -2)))
            assert next_due(rewards, programs) == days.start(day)
            assert _issue(rewards, programs, days.start(day) - TICK) == []
            assert _issue(rewards, programs, days.start(day)) == [("birthday_gift", day, after(day, 29))]
            assert _valid(rewards, programs, days, day, after(day, 29)) == [False, True, True, False]

            late = Rewards()  # the day before is too late
            profile = _profile(birthday=born, birthday_set_at=days.start(after(day, -1)))
            change_profile(late, programs, profile, days.start(after(day, -1)))
            assert _issue(late, programs, days.end(day)) == []


def test_an_anniversary_is_the_day_of_registration(zone: str, year: int) -> None:
    days, programs = days_of(zone), programs_in(zone, "crowns")

    for day in days_in(year):
        for registered_on in _born_on(day):
            rewards = Rewards()
            change_profile(rewards, programs, _profile(registered_on=registered_on), days.end(after(day, -1)))
            assert next_due(rewards, programs) == days.start(day)
            assert _issue(rewards, programs, days.start(day) - TICK) == []
            assert _issue(rewards, programs, days.end(day)) == [("anniversary_gift", day, after(day, 29))]


def test_the_coupons_of_a_tier_come_on_the_next_8th(zone: str, year: int) -> None:
    days, programs = days_of(zone), programs_in(zone, "crowns")

    for day in days_in(year):
        issued_on = day
        while issued_on.day != 8 or (issued_on == day):
            issued_on = after(issued_on, 1)
        for reached in (days.start(day), days.end(day)):
            member, rewards = member_of(zone, "crowns"), Rewards()
            member.does("visit.recorded", on=reached)
            assert take_entry(rewards, programs, member.entries[-1], _codes())
            assert next_due(rewards, programs) == days.start(issued_on)
        assert _issue(rewards, programs, days.start(issued_on) - TICK) == []
        assert _issue(rewards, programs, days.start(issued_on)) == [("tier_coupon", issued_on, after(issued_on, 6))]
        assert _valid(rewards, programs, days, issued_on, after(issued_on, 6)) == [False, True, True, False]


# --- what is looked at


def _parts(member: Member) -> list[dict[str, Any]]:
    """What each entry did in the member's one program."""
    return [part for entry in member.entries for part in entry["parts"].values()]


def _twin(member: Member) -> Member:
    """The same member once more, who goes another way from here."""
    other = Member(member.programs)
    other.account, other.entries = member.account.clone(), list(member.entries)
    other.clock, other.written, other.seen = member.clock, member.written, set(member.seen)
    return other


def _around(days: Days, *of: date) -> list[datetime]:
    """The last instant before each day, and the first one of it."""
    return [moment for day in of for moment in (days.start(day) - TICK, days.start(day))]


def _warned(member: Member, moment: datetime) -> list[tuple[int, int, int]]:
    """What a sweep at a moment warns of: lot, lead and points."""
    before = member.account.clone()
    member.account.warned = moment
    return [
        (each.lot, each.days_before, each.points) for each in given_between(before, member.account, member.programs)
    ]


def _born_on(day: date) -> list[date]:
    """The dates of long ago that are kept on a day."""
    if (day.month, day.day) == (2, 28) and not calendar.isleap(day.year):
        return [date(1988, 2, 28), date(1988, 2, 29)]
    return [date(1988, day.month, day.day)]


def _profile(**known: date | datetime) -> dict[str, str]:
    return {
        name: format_instant(value) if isinstance(value, datetime) else value.isoformat()
        for name, value in known.items()
    }


def _codes() -> Any:
    numbers = count()
    return lambda: f"c-{next(numbers)}"


def _issue(rewards: Rewards, programs: Programs, until: datetime) -> list[tuple[str, date, date]]:
    """What falls due until a moment, for somebody who has always been Silver: kind, first and last day."""
    issued = issue_due(rewards, programs, until, lambda program, _: program.tier_index("Silver"), _codes())
    return [(each["kind"], date.fromisoformat(each["from"]), date.fromisoformat(each["to"])) for each in issued]


def _valid(rewards: Rewards, programs: Programs, days: Days, first: date, last: date) -> list[bool]:
    """Whether the one reward is valid just before its first day, on its first and last instants, and just after."""
    (issued,) = rewards.issued
    moments = (days.start(first) - TICK, days.start(first), days.end(last), days.end(last) + TICK)
    return [is_valid(issued, programs, moment) for moment in moments]
