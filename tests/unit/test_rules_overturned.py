"""An overturned case is as if it had never been (rules 1.8): after any history, two clubs are the same from then on.

One of them knew the case, the other one never heard of it. Points, lots and tiers agree once it is overturned, and
whatever comes later does the same in both. What stays apart is when a tier began, its receipts, and the highest tier
ever held, since nobody reaches under a penalty what the points would give.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import rebuild
from club_rules.programs import Programs
from tests.unit.member import PROGRAMS, Member, changed, line, noon, reconcile

START = noon("2026-03-10")
KINDS = ["return_abuse", "extortion", "coupon_fraud", "spam"]
FIXED = ["return_abuse", "spam"]
"""What doesn't depend on the balance: see the last tests for what does."""


class Step(NamedTuple):
    hours: int
    what: str
    size: int
    kind: str


def steps(kinds: list[str], at_most: int) -> st.SearchStrategy[list[Step]]:
    what = ["buys", "buys", "promotion", "visit", "post", "review", "refund", "cancel", "confirm", "overturn", "settle"]
    return st.lists(
        st.builds(
            Step,
            st.sampled_from([0, 1, 7, 24, 24 * 11, 24 * 45, 24 * 90]),
            st.sampled_from(what),
            st.integers(1, 1200),
            st.sampled_from(kinds),
        ),
        max_size=at_most,
    )


class Twins:
    """A member who has the case "v-x", and the same one without it."""

    def __init__(self, programs: Programs = PROGRAMS) -> None:
        self.known, self.spared = Member(programs), Member(programs)
        self.now = START
        self.number = 0

    def both(self, event_type: str, data: dict[str, Any], on: datetime | None = None) -> tuple[Any, Any]:
        did = [each.does(event_type, data, on or self.now, self.now) for each in (self.known, self.spared)]
        self.spared.written = self.known.written  # the same event ids
        return did[0], did[1]

    def case(self, what: str, kind: str, on: datetime | None = None) -> Any:
        did = self.known.does(f"violation.{what}", {"case_id": "v-x", "kind": kind}, on or self.now, self.now)
        self.spared.written = self.known.written
        return did

    def takes(self, step: Step) -> tuple[Any, Any]:
        self.now += timedelta(hours=step.hours)
        self.number += 1
        number, size = self.number, step.size
        about = f"o-{size % number}"
        if step.what == "buys":
            item = line(f"{size}.00", item=f"i-{number}", seller=f"s-{size % 3}", category=f"c-{size % 4}")
            return self.both("order.completed", {"order_id": f"o-{number}", "currency": "USD", "lines": [item]})
        if step.what == "promotion":
            return self.both("promotion.awarded", {"campaign_id": "c", "points": size, "program": "crowns"})
        if step.what == "review":
            return self.both("review.posted", {"order_id": about, "item_id": f"i-{size % number}"})
        if step.what == "refund":
            data = {"order_id": about, "amount": f"{size}.00", "currency": "USD"}
            return self.both("order.refunded", data)
        if step.what == "cancel":
            return self.both("order.cancelled", {"order_id": about})
        if step.what == "post":
            return self.both("post.published", {"post_id": f"p-{number}"})
        if step.what in ("confirm", "overturn"):
            data = {"case_id": f"v-{size % 3}", "kind": step.kind}
            return self.both(f"violation.{step.what}ed" if step.what == "confirm" else "violation.overturned", data)
        if step.what == "visit":
            return self.both("visit.recorded", {})
        for each in (self.known, self.spared):
            each.clock = max(each.clock, self.now)
            each.settle(self.now)
        return {}, {}

    def alike(self) -> None:
        """Both stand the same, and each account is what its entries add up to."""
        knew, never = stands(self.known), stands(self.spared)
        for name, value in knew.items():
            assert value == never[name], name
        for each in (self.known, self.spared):
            rebuild("m-1", each.entries)

    def settle(self) -> None:
        self.takes(Step(0, "settle", 1, "spam"))


def stands(member: Member) -> dict[str, Any]:
    """What a member has and holds; what is left of the caps shows in what comes later."""
    names = ("points", "lots", "tier", "penalties", "period", "review_on")
    return {
        f"{program} {name}": getattr(member.account.program(program), name)
        for program in member.programs.ids
        for name in names
    }


def undone(before: list[Step], between: list[Step], later: list[Step], kind: str, late: int, early: bool) -> Twins:
    """A history around the case: confirmed (``late`` days after it occurred), maybe overturned before (``early``)."""
    twins = Twins()
    for step in before:
        twins.takes(step)
    first, second = ("overturned", "confirmed") if early else ("confirmed", "overturned")
    twins.case(first, kind, max(START, twins.now - timedelta(days=late)))
    for step in between:
        did = twins.takes(step)
        if early:
            assert did[0] == did[1]
    twins.case(second, kind)
    twins.settle()
    twins.alike()
    for step in later:
        knew, never = twins.takes(step)
        assert knew == never, "what comes later does the same"
        twins.settle()
        twins.alike()
    twins.now += timedelta(days=400)
    twins.settle()
    twins.alike()
    reconcile(twins.known.entries)
    return twins


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=150)
@given(
    before=steps(FIXED, 8),
    between=steps(FIXED, 8),
    later=steps(KINDS, 5),
    late=st.integers(0, 70),
    early=st.booleans(),
)
def test_as_if_it_had_never_been(
    kind: str, before: list[Step], between: list[Step], later: list[Step], late: int, early: bool
) -> None:
    undone(before, between, later, kind, late, early)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=80)
@given(before=steps(KINDS, 10), between=steps(FIXED, 6), late=st.integers(0, 70))
def test_percentages_and_caps_of_earlier_cases_stay_what_they_are(
    kind: str, before: list[Step], between: list[Step], late: int
) -> None:
    undone(before, between, [], kind, late, early=False)


@pytest.mark.parametrize("kind", KINDS)
@given(between=steps(FIXED, 10), later=steps(KINDS, 5))
def test_a_case_that_has_run_its_time_and_is_overturned_then(kind: str, between: list[Step], later: list[Step]) -> None:
    days = PROGRAMS.versions("crowns")[-1].penalties[kind]["days"]
    twins = Twins()
    twins.takes(Step(0, "promotion", 900, kind))
    twins.case("confirmed", kind)
    for step in between:
        twins.takes(step)
    twins.now = max(twins.now, START + timedelta(days=days))
    twins.settle()
    twins.alike()
    assert twins.case("overturned", kind)["crowns"] == (0, ["penalty_over"])
    for step in later:
        knew, never = twins.takes(step)
        assert knew == never
    twins.settle()
    twins.alike()


@given(between=steps(FIXED, 8))
def test_a_confirmation_that_comes_again_after_the_overturning_takes_nothing(between: list[Step]) -> None:
    twins = Twins()
    twins.takes(Step(0, "promotion", 900, "spam"))
    twins.case("confirmed", "extortion")
    twins.case("overturned", "extortion")
    for step in between:
        twins.takes(step)
    assert twins.case("confirmed", "extortion")["crowns"] == (0, ["case_overturned"])
    twins.settle()
    twins.alike()


def test_a_percentage_that_was_taken_of_a_penalised_balance_stays_what_it_was() -> None:
    """The exact opposite of what is in force of that case, and of no other."""
    twins = Twins()
    twins.takes(Step(0, "promotion", 1000, "spam"))
    twins.case("confirmed", "return_abuse")
    knew, never = twins.both("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    assert (knew["crowns"][0], never["crowns"][0]) == (-400, -500)
    assert twins.case("overturned", "return_abuse")["crowns"] == (200, [])
    assert twins.known.points("crowns") == 600
    twins.both("violation.overturned", {"case_id": "v-1", "kind": "extortion"})
    twins.settle()
    twins.alike()


@pytest.mark.parametrize("grace", [0, 10])
def test_the_tier_is_the_one_that_the_points_give(grace: int) -> None:
    """A grace that a penalty ended is over: the tier that comes back is the qualified one."""
    programs = Programs([changed("crowns", demotion={"grace_days": grace})])
    twins = Twins(programs)
    twins.takes(Step(0, "promotion", 600, "spam"))
    twins.case("confirmed", "return_abuse")
    assert twins.known.tier("crowns") == "Gold"
    twins.case("overturned", "return_abuse")
    assert twins.known.tier("crowns") == twins.spared.tier("crowns") == "Platinum"
