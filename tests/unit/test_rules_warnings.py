"""Warnings before points expire: of which lots, when, and never twice (contract 2.3, `points.expiring`)."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.account import Account
from club_rules.outlook import fall_after, outlook
from club_rules.programs import Programs
from club_rules.settling import due_at
from club_rules.warnings import given_between, given_through, next_warning
from tests.unit.member import PROGRAMS, SHIPPED, Member, after, changed, noon

DAY = "2026-03-10"


def warned_by(member: Member, step: Any) -> list[tuple[str, str, int, int]]:
    """What a step gives: program, the lot's day, days before, points."""
    before = member.account.clone()
    step()
    found = given_between(before, member.account, member.programs)
    return [(each.program_id, iso(each.lot), each.days_before, each.points) for each in found]


def iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


def sweep(member: Member, moment: datetime) -> list[tuple[str, str, int, int]]:
    """The expiry sweep's share of a moment, as the ledger does it."""

    def step() -> None:
        member.settle(moment, expiries_only=True)
        due = next_warning(member.account, member.programs)
        if due is not None and due <= moment:
            member.account.warned = moment

    return warned_by(member, step)


def crowns_only(**changes: Any) -> Member:
    return Member(Programs([changed("crowns", **changes)]))


@pytest.fixture
def member() -> Member:
    """500 points on the first day, 100 the next."""
    found = crowns_only()
    found.is_given(500, "crowns", DAY)
    found.is_given(100, "crowns", after(DAY, 1))
    return found


def test_each_lot_at_each_lead_on_its_own_day(member: Member) -> None:
    told = {}
    for days in range(2, 400):
        moment = noon(after(DAY, days)).replace(hour=0, minute=5)
        if found := sweep(member, moment):
            told[days] = found
    second = after(DAY, 1)
    assert told == {
        335: [("crowns", DAY, 30, 500)],
        336: [("crowns", second, 30, 100)],
        358: [("crowns", DAY, 7, 500)],
        359: [("crowns", second, 7, 100)],
    }


@pytest.mark.parametrize("days", [335, 340, 357])
def test_a_late_sweep_warns_of_what_has_not_expired(member: Member, days: int) -> None:
    found = sweep(member, noon(after(DAY, days)))
    assert ("crowns", DAY, 30, 500) in found
    assert sweep(member, noon(after(DAY, days))) == []


def test_a_very_late_sweep_warns_at_both_leads_and_not_of_what_is_gone(member: Member) -> None:
    member.is_given(7, "crowns", after(DAY, 20))
    found = sweep(member, noon(after(DAY, 365)))
    assert [each[1:3] for each in found] == [(after(DAY, 1), 30), (after(DAY, 20), 30), (after(DAY, 1), 7)]


def test_what_has_expired_and_is_not_posted_yet_is_not_warned_of(member: Member) -> None:
    """The expiry sweep can't post it where new rules judge the tier before: that is for the demotion sweep."""
    found = warned_by(member, lambda: setattr(member.account, "warned", noon(after(DAY, 365))))
    assert [each[1:3] for each in found] == [(after(DAY, 1), 30), (after(DAY, 1), 7)]


def test_what_is_posted_gives_what_was_due_and_a_late_lot_only_what_lies_ahead(member: Member) -> None:
    """Nobody swept; a late order of the lot's third day is posted 20 days before that day's lot expires."""
    posted = after(DAY, 2 + 345)
    found = warned_by(member, lambda: member.is_given(50, "crowns", after(DAY, 2), posted=posted))
    assert found == [("crowns", DAY, 30, 500), ("crowns", after(DAY, 1), 30, 100)]
    assert sweep(member, noon(posted)) == []
    assert sweep(member, noon(after(DAY, 360))) == [
        ("crowns", DAY, 7, 500),
        ("crowns", after(DAY, 1), 7, 100),
        ("crowns", after(DAY, 2), 7, 50),
    ]


def test_a_lot_that_grows_after_its_warning_is_not_warned_of_again(member: Member) -> None:
    sweep(member, noon(after(DAY, 335)))
    member.is_given(11, "crowns", DAY, posted=after(DAY, 336))
    assert sweep(member, noon(after(DAY, 340))) == []
    assert ("crowns", DAY, 7, 511) in sweep(member, noon(after(DAY, 358)))


def test_what_is_refunded_to_nothing_is_not_warned_of() -> None:
    found = Member(Programs([SHIPPED["vip"]]))
    found.buys("o-1", "10.00", on=DAY)
    found.buys("o-2", "20.00", on=after(DAY, 1))
    found.gets_all_back("o-1", on=after(DAY, 40))
    assert sweep(found, noon(after(DAY, 62))) == [("vip", after(DAY, 1), 30, 2000)]
    assert sweep(found, noon(after(DAY, 82))) == []
    found.gets_back("o-2", "5.00", on=after(DAY, 83))
    assert sweep(found, noon(after(DAY, 84))) == [("vip", after(DAY, 1), 7, 1500)]


def test_a_lot_below_nothing_is_not_warned_of(member: Member) -> None:
    member.account.program("crowns").lots[noon(DAY).toordinal()] = -5
    assert next_warning(member.account, member.programs) == noon(after(DAY, 336)).replace(hour=0)
    assert sweep(member, noon(after(DAY, 335))) == []


def test_a_single_point_is_warned_of(member: Member) -> None:
    member.account.program("crowns").lots.clear()
    member.is_given(1, "crowns", after(DAY, 1))
    assert next_warning(member.account, member.programs) == noon(after(DAY, 336)).replace(hour=0)
    assert sweep(member, noon(after(DAY, 336))) == [("crowns", after(DAY, 1), 30, 1)]


def test_a_lot_below_nothing_hides_none_behind_it(member: Member) -> None:
    lots = member.account.program("crowns").lots
    member.account.program("crowns").lots = {noon(after(DAY, -1)).toordinal(): -5, **lots}
    assert sweep(member, noon(after(DAY, 335))) == [("crowns", DAY, 30, 500)]


def test_each_program_warns_by_itself() -> None:
    """The first to warn is not the last by name; a program that is new to the member warns of nothing yet."""
    both = Member(Programs([changed("club", warnings={"days_before": [30]}), changed("crowns"), SHIPPED["vip"]]))
    both.is_given(5, "crowns", after(DAY, 1))
    both.is_given(4, "club", DAY, posted=after(DAY, 1))
    assert next_warning(both.account, both.programs) == noon(after(DAY, 335)).replace(hour=0)

    def step() -> None:
        both.settle(noon(after(DAY, 340)))
        both.account.warned = noon(after(DAY, 340))
        both.account.program("vip").lots[noon(after(DAY, 300)).toordinal()] = 3

    assert warned_by(both, step) == [("club", DAY, 30, 4), ("crowns", after(DAY, 1), 30, 5)]


def test_a_program_that_is_new_to_the_member_keeps_none_of_the_others_quiet() -> None:
    both = Member(Programs([changed("club", warnings={"days_before": [30]}), changed("crowns")]))
    both.is_given(5, "crowns", DAY)
    before, late = both.account.clone(), both.account
    late.warned = noon(after(DAY, 335))
    fresh = Account("m-1")
    fresh.program("club").lots[noon(DAY).toordinal()] = 3  # it has come with the step itself
    late.programs = {"club": fresh.program("club"), "crowns": late.program("crowns")}
    found = given_between(before, late, both.programs)
    assert [(each.program_id, each.points) for each in found] == [("crowns", 5)]


def test_nobody_is_warned_who_has_nothing_or_is_erased() -> None:
    nobody = Account("m-1")
    assert next_warning(nobody, PROGRAMS) is None
    assert given_through(nobody) is None
    erased = crowns_only()
    erased.is_given(5, "crowns", DAY)
    assert next_warning(erased.account, erased.programs) is not None
    before = erased.account.clone()
    erased.account.erased, erased.account.warned = True, noon(after(DAY, 340))
    assert next_warning(erased.account, erased.programs) is None
    assert given_between(before, erased.account, erased.programs) == []


@pytest.mark.parametrize(("leads", "due"), [([], 365), ([10], 355), ([364], 1), ([365], 365), ([7, 100, 30], 265)])
def test_the_days_are_the_programs_data(leads: list[int], due: int) -> None:
    found = crowns_only(warnings={"days_before": leads})
    found.is_given(5, "crowns", DAY)
    assert due_at(found.account, found.programs) == noon(after(DAY, due)).replace(hour=0)


def test_a_day_begins_in_the_programs_zone() -> None:
    found = crowns_only(time_zone="Asia/Vladivostok")
    found.is_given(5, "crowns", DAY)
    at = next_warning(found.account, found.programs)
    assert at == datetime(2027, 2, 7, 14, tzinfo=UTC), "midnight of the 8th there"
    assert sweep(found, at - timedelta(seconds=1)) == []
    assert sweep(found, at) == [("crowns", DAY, 30, 5)]


def test_a_new_version_warns_as_it_says_from_its_first_day_on() -> None:
    """Of a lot that expires as before; of what the old version warned of, nobody hears again."""
    newer = changed(
        "crowns", version="2027", effective_from=after(DAY, 340), window_days=20, warnings={"days_before": [14, 7]}
    )
    found = Member(Programs([SHIPPED["crowns"], newer]))
    found.is_given(5, "crowns", DAY)
    found.is_given(6, "crowns", after(DAY, 10))
    told = {days: sweep(found, noon(after(DAY, days))) for days in range(300, 390)}
    for days, each in list(told.items()):
        found.settle(noon(after(DAY, days)))
        if not each:
            del told[days]
    assert told == {
        335: [("crowns", DAY, 30, 5)],
        351: [("crowns", DAY, 14, 5)],
        358: [("crowns", DAY, 7, 5)],
        361: [("crowns", after(DAY, 10), 14, 6)],
        368: [("crowns", after(DAY, 10), 7, 6)],
    }


# --- whatever happens, once a lot and lead

_steps = st.lists(
    st.tuples(
        st.sampled_from(["buys", "sweeps", "is refunded", "comes late", "settles"]),
        st.integers(0, 25),
        st.integers(1, 60),
    ),
    min_size=4,
    max_size=30,
)


@given(steps=_steps, punctual=st.booleans())
def test_no_history_warns_twice_nor_of_nothing_nor_late(steps: list[tuple[str, int, int]], punctual: bool) -> None:
    vip = changed("vip", window_days=40, warnings={"days_before": [15, 4]})
    member = Member(Programs([vip]))
    today, given = 0, []
    arrived: dict[str, int] = {}  # lot -> the day on which it first held something
    for number, (what, wait, size) in enumerate(steps):
        for _ in range(wait):
            today += 1
            if punctual:
                given += [(today, each) for each in sweep(member, noon(after(DAY, today)))]
        day, lot = after(DAY, today), after(DAY, max(0, today - size)) if what == "comes late" else after(DAY, today)

        def step(what: str = what, day: str = day, lot: str = lot, number: int = number, size: int = size) -> None:
            if what in ("buys", "comes late"):
                member.buys(f"o-{number}", f"{size}.00", on=lot, posted=day)
            elif what == "is refunded" and number:
                member.gets_all_back(f"o-{size % number}", on=day)
            elif what == "settles":
                member.on(day)

        given += [(today, each) for each in (sweep(member, noon(day)) if what == "sweeps" else warned_by(member, step))]
        if what in ("buys", "comes late"):
            arrived.setdefault(lot, today)
    assert len({(lot, lead) for _, (_, lot, lead, _) in given}) == len(given)
    for on, (_, lot, lead, points) in given:
        lies = (date.fromisoformat(lot) - date.fromisoformat(DAY)).days
        assert points > 0
        assert lies + 40 - lead <= on < lies + 40
        assert arrived[lot] < lies + 40 - lead, "a lot that came later than that is not warned of so far ahead"


# --- what it would do to the tier


def test_what_to_earn_so_that_the_tier_stays(member: Member) -> None:
    member.on(after(DAY, 335))
    now = noon(after(DAY, 335))
    first, second = (noon(after(DAY, days)).toordinal() for days in (365, 366))
    assert fall_after(member.account, member.programs, "crowns", now, first) == {
        "tier": "Platinum",
        "earn": 401,
        "from": after(DAY, 335),
        "counts_at_once": True,
        "by": after(DAY, 364),
        "falls_on": after(DAY, 365),
        "falls_to": "Silver",
    }
    assert (
        fall_after(member.account, member.programs, "crowns", now, first)
        == (outlook(member.account, member.programs, "crowns", now, 1)["keep"])
    )
    then = fall_after(member.account, member.programs, "crowns", now, second)
    assert then is not None, "each lot is told with the fall that it brings itself"
    assert (then["tier"], then["falls_to"], then["earn"], then["by"]) == ("Silver", "none", 1, after(DAY, 365))
    member.is_given(401, "crowns", after(DAY, 340))
    assert fall_after(member.account, member.programs, "crowns", noon(after(DAY, 340)), first) is None


def test_the_fall_comes_when_the_grace_is_over() -> None:
    found = crowns_only(demotion={"grace_days": 5})
    found.is_given(5, "crowns", DAY)
    fall = fall_after(found.account, found.programs, "crowns", noon(DAY), noon(after(DAY, 365)).toordinal())
    assert fall is not None
    assert (fall["falls_on"], fall["by"], fall["earn"]) == (after(DAY, 370), after(DAY, 369), 1)


def test_the_fall_comes_with_the_review_of_the_period() -> None:
    found = Member(Programs([SHIPPED["vip"]]))
    found.buys("o-1", "500.00", on=DAY)
    found.buys("o-2", "600.00", on=after(DAY, 10))
    fall = fall_after(found.account, found.programs, "vip", found.clock, noon(after(DAY, 90)).toordinal())
    assert fall == {
        "tier": "Silver",
        "earn": 99_900,
        "from": after(DAY, 11),
        "counts_at_once": False,
        "by": after(DAY, 99),
        "falls_on": after(DAY, 100),
        "falls_to": "none",
    }


def test_a_fall_behind_a_review_that_keeps_the_tier_is_not_told_of_an_earlier_lot() -> None:
    found = Member(Programs([SHIPPED["vip"]]))
    found.buys("o-0", "50.00", on=after(DAY, -20))
    found.buys("o-1", "999.00", on=DAY)
    found.buys("o-2", "999.00", on=after(DAY, 30))
    lots = {days: noon(after(DAY, days + 90)).toordinal() for days in (-20, 30)}
    falls = {days: fall_after(found.account, found.programs, "vip", found.clock, day) for days, day in lots.items()}
    assert falls[-20] is None, "on day 90 the tier is retained"
    assert falls[30] is not None
    assert falls[30]["falls_on"] == after(DAY, 180)
