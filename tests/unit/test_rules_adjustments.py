"""Adjustments (rules 1.8): a lot of its own day, positive or negative, in one program, that expires like any."""

from __future__ import annotations

from hashlib import sha256
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import encode_account, rebuild
from club_rules.adjustments import POINTS_MAX, REASON_CHARS_MAX, parse_adjustment
from club_rules.errors import InvalidInput
from club_rules.settling import settle
from tests.oracle.histories import History, histories
from tests.unit.member import PROGRAMS, Engine, Member, after, noon, reconcile

DAY = "2026-03-10"


def body(**changes: Any) -> dict[str, Any]:
    given = {"adjustment_id": "a-1", "program": "club", "points": -25, "reason": "a slip", **changes}
    return {name: value for name, value in given.items() if value is not ...}


def digest(member_id: str = "m-1", **changes: Any) -> str:
    return parse_adjustment(body(**changes), member_id, PROGRAMS).digest


# --- what is asked for


def test_content_is_all_but_the_id() -> None:
    assert digest() == digest() == digest(adjustment_id="a-2")
    other = [digest(points=-24), digest(points=25), digest(reason="a slip."), digest(program="crowns"), digest("m-2")]
    other.append(digest(program="vip", points=..., spend="-0.25"))
    assert len({digest(), *other}) == 7


def test_the_digest_stays_what_it_is() -> None:
    """It is stored: an adjustment that is asked for again after years has to be known."""
    content = '["adjustment","m-1","club",-25,"a slip"]'
    assert digest() == sha256(content.encode()).hexdigest()


@pytest.mark.parametrize(
    ("spend", "minor"), [("0.01", 1), ("-0.01", -1), ("999999999.99", 99_999_999_999), ("-12.50", -1250)]
)
def test_spend_is_read_as_minor_units(spend: str, minor: int) -> None:
    assert parse_adjustment(body(program="vip", points=..., spend=spend), "m-1", PROGRAMS).points == minor


@pytest.mark.parametrize("points", [1, -1, POINTS_MAX, -POINTS_MAX])
def test_points_at_the_edges(points: int) -> None:
    assert parse_adjustment(body(points=points), "m-1", PROGRAMS).points == points


def test_what_is_asked_for_is_read_whole() -> None:
    read = parse_adjustment(body(reason="r" * REASON_CHARS_MAX), "m-1", PROGRAMS)
    assert (read.adjustment_id, read.member_id, read.program, read.points) == ("a-1", "m-1", "club", -25)
    assert read.reason == "r" * REASON_CHARS_MAX


POINTS = "a whole number from -1000000 to 1000000, and not 0"
REASON = "1 to 500 printable characters, and not only blanks"
AN_ID = "must be 1 to 64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit"


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ([], [("", "invalid_type", "must be an object")]),
        (body(more=1), [("/more", "unknown_field", "is not a field of this object")]),
        (body(adjustment_id="-"), [("/adjustment_id", "invalid_id", AN_ID)]),
        (body(program="gold"), [("/program", "invalid_value", "must be one of club, crowns, vip")]),
        (body(points=...), [("/points", "missing", f"is required: {POINTS}")]),
        (body(points=1.0), [("/points", "invalid_type", f"must be {POINTS}")]),
        (body(points=0), [("/points", "out_of_range", f"must be {POINTS}")]),
        (body(points=POINTS_MAX + 1), [("/points", "out_of_range", f"must be {POINTS}")]),
        (body(points=-POINTS_MAX - 1), [("/points", "out_of_range", f"must be {POINTS}")]),
        (body(spend="1.00"), [("/spend", "unknown_field", "is not a field here: club measures points")]),
        (
            body(program="vip"),
            [
                ("/points", "unknown_field", "is not a field here: vip measures spend"),
                ("/spend", "missing", "is required: a decimal string, never a number"),
            ],
        ),
        (body(program="vip", points=..., spend="0.00"), [("/spend", "out_of_range", "must not be 0")]),
        (body(program="vip", points=..., spend="-0.00"), [("/spend", "out_of_range", "must not be 0")]),
        (
            body(program="vip", points=..., spend="--1.00"),
            [
                (
                    "/spend",
                    "invalid_money",
                    'must be a decimal string with exactly the decimals of USD, such as "12.50"',
                )
            ],
        ),
        (body(reason=...), [("/reason", "missing", f"is required: {REASON}")]),
        (body(reason=7), [("/reason", "invalid_type", f"must be {REASON}")]),
        (body(reason=" "), [("/reason", "invalid_value", f"must be {REASON}")]),
        (body(reason="a\nb"), [("/reason", "invalid_value", f"must be {REASON}")]),
        (body(reason="r" * (REASON_CHARS_MAX + 1)), [("/reason", "invalid_value", f"must be {REASON}")]),
        (
            body(adjustment_id=..., program=..., points=..., reason=...),
            [
                ("/adjustment_id", "missing", "is required: an id, as a string"),
                ("/program", "missing", "is required: a string"),
                ("/reason", "missing", f"is required: {REASON}"),
            ],
        ),
    ],
)
def test_each_field_at_fault_is_named_in_plain_words(asked: object, expected: list[tuple[str, str, str]]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_adjustment(asked, "m-1", PROGRAMS)
    assert caught.value.errors == expected


_anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=4,
)


@given(st.sampled_from(["adjustment_id", "program", "points", "spend", "reason", "more"]), _anything)
def test_whatever_is_sent_is_read_or_named(name: str, value: Any) -> None:
    named = None
    try:
        read = parse_adjustment(body(**{name: value}), "m-1", PROGRAMS)
    except InvalidInput as error:
        named = {each.pointer for each in error.errors}
    if named is None:
        assert read.points != 0
        assert read.reason.strip()
    else:
        assert named <= {f"/{name}", "/points", "/spend"}


# --- what it does


def test_it_is_a_lot_of_its_own_day_and_expires_like_any() -> None:
    member = Member()
    member.is_given(600, on=DAY)
    member.adjusts("club", -200, after(DAY, 5))
    assert (member.points(), member.tier(), member.since()) == (400, "A2", after(DAY, 5))
    assert member.why("club") == [("adjustment", -200, "adjusted")]
    part = member.entries[-1]["parts"]["club"]
    assert set(member.entries[-1]["parts"]) == {"club"}
    assert (part["kind"], part["receipt"]["causes"]) == ("adjustment", {"adjusted": -200})
    # first what was gained goes, then what was taken comes back
    member.on(after(DAY, 365))
    assert (member.points(), member.tier()) == (-200, "A0")
    member.on(after(DAY, 370))
    assert (member.points(), member.tier()) == (0, "A0")
    assert reconcile(member.entries) > 0


def test_what_was_taken_raises_a_tier_when_it_comes_back() -> None:
    member = Member()
    member.adjusts("club", -150, DAY)
    member.is_given(200, on=after(DAY, 10))
    assert (member.points(), member.tier()) == (50, "A1")
    member.on(after(DAY, 364))
    assert member.tier() == "A1"
    member.on(after(DAY, 365))
    assert (member.points(), member.tier(), member.since()) == (200, "A2", after(DAY, 365))
    assert member.receipts("club")[-1]["causes"] == {"expired": 150}


@pytest.mark.parametrize(
    ("spent", "taken", "tier"),
    [
        ("4000.00", "-1.00", "Gold"),  # still met, exactly
        ("4000.00", "-1.01", "Silver"),
        ("4000.00", "-3001.01", "none"),
        ("999.00", "-0.01", "none"),
    ],
)
def test_in_vip_it_lowers_as_a_clawback_does(spent: str, taken: str, tier: str) -> None:
    member = Member()
    member.buys("o-1", spent, on=DAY)
    member.adjusts("vip", taken, after(DAY, 3))
    assert member.tier("vip") == tier
    state = member.account.program("vip")
    if tier == "Silver":  # with a new period
        assert state.period == noon(after(DAY, 3)).toordinal()


def test_in_vip_it_lowers_nothing_where_the_tier_was_not_met_any_more() -> None:
    member = Member()
    member.buys("o-1", "2000.00", on=DAY)
    member.buys("o-2", "2000.00", on=after(DAY, 30))
    assert member.tier("vip") == "Gold"
    member.on(after(DAY, 95))  # the first order has left the window, the period is not over
    assert (member.points("vip"), member.tier("vip")) == (2000_00, "Gold")
    member.adjusts("vip", "-1500.00", after(DAY, 95))
    assert (member.points("vip"), member.tier("vip")) == (500_00, "Gold")
    member.on(after(DAY, 119))
    assert member.tier("vip") == "Gold"
    member.on(after(DAY, 120))
    assert member.tier("vip") == "none"


def test_one_that_cancels_out_a_lot_leaves_nothing_to_expire() -> None:
    member = Member()
    member.is_given(40, on=DAY)
    member.adjusts("club", -40, DAY)
    assert member.account.program("club").lots == {}
    entries = len(member.entries)
    member.on(after(DAY, 400))
    assert len(member.entries) == entries


def test_an_expiry_sweep_ahead_of_the_reviews_waits_with_what_would_raise_a_tier() -> None:
    """Else the review would judge a measure that only a later day had, and the tier would never have fallen."""
    member = Member()
    member.is_given(600, on=DAY)
    member.adjusts("club", -90, after(DAY, 10))
    member.is_given(70, on=after(DAY, 20))
    late, punctual = member.copy(), member.copy()
    assert settle(late.account, PROGRAMS, noon(after(DAY, 376)), expiries_only=True)
    settle(late.account, PROGRAMS, noon(after(DAY, 376)))
    punctual.settle(noon(after(DAY, 376)))
    assert late.view() == punctual.view()
    assert late.view()["club"]["tier"] == "A1"
    assert late.view()["club"]["tier_since"] == after(DAY, 375)


@settings(max_examples=60)
@given(histories(max_events=30, adjustments=True), st.sampled_from(PROGRAMS.ids), st.integers(1, 5000))
def test_given_and_taken_again_at_once_it_is_as_if_it_had_never_been(
    history: History, program: str, amount: int
) -> None:
    """In the sums, and in the tiers that follow them at once; a period of vip may begin anew."""
    with_it, without = Engine("m-1"), Engine("m-1")
    for event, moment in history:
        with_it.take(event, moment)
        without.take(event, moment)
    last = history[-1][1]
    way = {"spend": f"{amount}.00"} if program == "vip" else {"points": amount}
    back = {"spend": f"-{amount}.00"} if program == "vip" else {"points": -amount}
    with_it.adjust("a-there", last, program=program, **way)
    with_it.adjust("a-back", last, program=program, **back)
    for days in (0, 90, 365):
        day = after(last.date().isoformat(), days)
        moment = max(last, noon(day))
        for engine in (with_it, without):
            engine.settle(moment)
        assert with_it.account.program(program).points == without.account.program(program).points
        if program != "vip":
            assert with_it.view()[program]["tier"] == without.view()[program]["tier"]
    assert encode_account(rebuild("m-1", with_it.entries)) == encode_account(with_it.account)
    reconcile(with_it.entries)
