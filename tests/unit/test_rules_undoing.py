"""Undoing, in any order (rules 1.7): refunds, cancellations, fraud, and events that come before their order."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import encode_account
from club_rules.orders import remaining_value
from club_rules.posting import PARKED_AT_ONCE, names_order, release_parked
from club_rules.programs import load_programs
from tests.unit.member import Member, after, line, noon

DAY = "2026-03-10"
ALL = ("club", "crowns", "vip")


@pytest.fixture
def member() -> Member:
    return Member()


# --- what is left gives what is kept


@pytest.mark.parametrize(
    ("amounts", "kept"),
    [
        (["0.01"], 9),
        (["1.00"], 9),
        (["1.01"], 8),
        (["0.50", "0.50"], 9),  # the sum counts, rounded once: not 9 - 1
        (["0.99", "0.02"], 8),
        (["9.00"], 1),
        (["9.01"], 0),
        (["10.00"], 0),
    ],
)
def test_amounts_lower_the_total_which_is_rounded_once(member: Member, amounts: list[str], kept: int) -> None:
    member.buys("o-1", "10.00", on=DAY)
    for amount in amounts:
        assert member.gets_back("o-1", amount)["vip"][1] == []
    assert member.points("club") == (kept + 5 if kept else 0)
    assert member.points("crowns") == (kept + 1 if kept else 0)
    assert member.points("vip") == 10_00 - sum(int(amount.replace(".", "")) for amount in amounts)


def test_an_amount_is_taken_from_what_counts_though_it_was_paid_for_what_does_not(member: Member) -> None:
    member.buys("o-1", "1.50", "10.00", on=DAY)
    assert member.gets_back("o-1", "1.50") == {"club": (-2, []), "crowns": (-2, []), "vip": (-1_50, [])}
    assert member.points("club") == 8 + 5


def test_units_return_from_the_last_line_of_the_item_first(member: Member) -> None:
    member.buys("o-1", line("3.00", quantity=2), line("7.00", quantity=2), line("9.00", item="i-2"), on=DAY)
    assert member.returns("o-1", i_1=1) == {"club": (-7, []), "crowns": (-7, []), "vip": (-7_00, [])}
    assert member.returns("o-1", i_1=2) == {"club": (-10, []), "crowns": (-10, []), "vip": (-10_00, [])}
    assert member.points("vip") == 12_00


def test_uncounted_units_return_before_counted_ones(member: Member) -> None:
    member.buys("o-1", line("3.00", quantity=6), line("5.00", quantity=6), on=DAY)  # 6 and 4 of them count
    assert member.points("club") == 18 + 20 + 5
    assert member.returns("o-1", i_1=2) == {
        "club": (0, ["refunded"]),
        "crowns": (-10, []),
        "vip": (-10_00, []),
    }
    assert member.returns("o-1", i_1=1)["club"] == (-5, [])


def test_uncounted_units_of_every_line_return_before_counted_ones_of_any(member: Member) -> None:
    member.buys("o-1", line("1.00", quantity=2), line("3.00", quantity=2), on=DAY)
    did = member.returns("o-1", i_1=2)
    assert did["club"] == did["crowns"] == (0, ["refunded"])
    assert did["vip"] == (-6_00, [])  # by the money: the last line first
    assert member.points("club") == 6 + 5
    assert member.returns("o-1", i_1=1) == {"club": (-3, []), "crowns": (-3, []), "vip": (-1_00, [])}
    assert remaining_value(member.orders["o-1"]) == 1_00


@pytest.mark.parametrize(
    ("event_type", "data", "code"),
    [
        ("order.refunded", {"full": True}, "refunded"),
        ("order.cancelled", {}, "cancelled"),
        ("order.flagged_fraudulent", {}, "found_fraudulent"),
    ],
)
def test_an_order_undone_whole_leaves_nothing_and_says_why(
    member: Member, event_type: str, data: dict[str, Any], code: str
) -> None:
    member.buys("o-1", line("12.00", category="tea"), on=DAY)
    member.does(event_type, {"order_id": "o-1", **data})
    assert [member.points(name) for name in ALL] == [0, 0, 0]
    assert member.why("club") == [("purchase", -12, code), ("daily_shopping", -5, code)]
    assert member.why("crowns") == [("purchase", -12, code), ("daily_shopping", -1, code), ("variety", -1, code)]
    assert member.why("vip") == [("spend", -12_00, code)]
    assert {part["kind"] for part in member.entries[-1]["parts"].values()} == {"clawback"}
    assert remaining_value(member.orders["o-1"]) == 0


# --- more than there is


@pytest.mark.parametrize(
    ("asked", "points"),
    [
        ({"amount": "10.01", "currency": "USD"}, -10 - 5),
        ({"lines": [{"item_id": "i-1", "quantity": 3}]}, -10 - 5),
        ({"lines": [{"item_id": "i-1", "quantity": 1}, {"item_id": "i-9", "quantity": 1}]}, -5),
        ({"lines": [{"item_id": "i-9", "quantity": 1}]}, 0),
    ],
)
def test_what_a_refund_asks_for_beyond_what_remains_is_ignored_and_named(
    member: Member, asked: dict[str, Any], points: int
) -> None:
    member.buys("o-1", line("5.00", quantity=2), on=DAY)
    did = member.does("order.refunded", {"order_id": "o-1", **asked})
    assert did["club"] == (points, ["refund_exceeds_order"])
    assert all(codes == ["refund_exceeds_order"] for _, codes in did.values())
    assert did.keys() == set(ALL)


def test_the_limit_is_what_remains_not_what_was_bought(member: Member) -> None:
    member.buys("o-1", line("5.00", quantity=2), on=DAY)
    assert member.gets_back("o-1", "4.00")["vip"] == (-4_00, [])
    assert member.gets_back("o-1", "6.00")["vip"] == (-6_00, [])
    assert member.gets_back("o-1", "0.01")["vip"] == (0, ["refund_exceeds_order"])


@pytest.mark.parametrize("amount_first", [False, True])
def test_an_amount_beyond_what_remains_is_kept_whole_where_more_still_counts(
    member: Member, amount_first: bool
) -> None:
    """By the money 1.00 remains after the return, in the club 3.00: the order of the two refunds is no matter."""
    member.buys("o-1", line("1.00"), line("3.00"), on=DAY)
    if amount_first:
        member.gets_back("o-1", "2.00")
    member.returns("o-1", i_1=1)
    if not amount_first:
        assert member.gets_back("o-1", "2.00")["vip"] == (-1_00, ["refund_exceeds_order"])
    assert (member.points("club"), member.points("vip")) == (1 + 5, 0)
    assert remaining_value(member.orders["o-1"]) == 0


@pytest.mark.parametrize("first", ["order.refunded", "order.cancelled", "order.flagged_fraudulent"])
@pytest.mark.parametrize(
    ("then", "code"),
    [
        ("full", "refund_exceeds_order"),
        ("amount", "refund_exceeds_order"),
        ("units", "refund_exceeds_order"),
        ("order.cancelled", "order_already_undone"),
        ("order.flagged_fraudulent", "order_already_undone"),
    ],
)
def test_an_order_that_is_undone_stands_at_nothing_whatever_comes_later(
    member: Member, first: str, then: str, code: str
) -> None:
    member.buys("o-1", "5.00", on=DAY)
    member.does(first, {"order_id": "o-1"} | ({"full": True} if first == "order.refunded" else {}))
    did = {
        "full": lambda: member.gets_all_back("o-1"),
        "amount": lambda: member.gets_back("o-1", "1.00"),
        "units": lambda: member.returns("o-1", i_o_1_0=1),
    }.get(then, lambda: member.does(then, {"order_id": "o-1"}))()
    assert did == dict.fromkeys(ALL, (0, [code]))
    assert [member.points(name) for name in ALL] == [0, 0, 0]
    assert {part["kind"] for part in member.entries[-1]["parts"].values()} == {"denied"}


# --- the lot that an undoing lowers


def test_a_clawback_lowers_the_lot_of_the_orders_day(member: Member) -> None:
    member.buys("o-1", "30.00", on=DAY)
    member.gets_back("o-1", "10.00", on=after(DAY, 80))
    assert member.points("club") == 20 + 5
    assert member.on(after(DAY, 90)).points("vip") == 0  # nothing of the refund stays behind as a lot of its own
    assert member.on(after(DAY, 364)).points("club") == 20 + 5
    assert member.on(after(DAY, 365)).points("club") == 0
    assert member.on(after(DAY, 80 + 365)).points("club") == 0


@pytest.mark.parametrize(
    ("late", "vip", "club"),
    [
        (89, (-10_00, []), (-15, [])),
        (90, (0, ["already_expired"]), (-15, [])),
        (364, (0, ["already_expired"]), (-15, [])),
        (365, (0, ["already_expired"]), (0, ["already_expired"])),
    ],
)
def test_from_the_day_of_expiry_on_a_clawback_takes_nothing(member: Member, late: int, vip: tuple, club: tuple) -> None:
    member.buys("o-1", "10.00", on=DAY)
    did = member.gets_all_back("o-1", on=after(DAY, late))
    assert (did["vip"], did["club"]) == (vip, club)


def test_it_takes_nothing_whether_the_sweep_has_run_or_not(member: Member) -> None:
    """Posting alone, on an account that nobody has settled: the lot is still there, and stays untouched."""
    member.buys("o-1", "10.00", on=DAY)
    order, account = member.orders["o-1"], member.account
    event = Member()
    event.does("order.cancelled", {"order_id": "o-1"}, after(DAY, 365))  # only to have the event
    parked = event.orders["o-1"]["parked"][0]
    entry = release_parked(account, load_programs(), noon(after(DAY, 365)), {**order, "parked": [parked]}).entries[0]
    assert [entry["parts"][name]["points"] for name in ALL] == [0, 0, 0]
    assert entry["parts"]["club"]["reasons"][0]["code"] == "already_expired"
    assert member.points("club") == 15


def test_an_expired_order_still_releases_its_caps(member: Member) -> None:
    member.buys("o-1", line("4.00", quantity=10), on=DAY)
    today = after(DAY, 365)
    assert member.buys("o-2", line("4.00"), on=after(DAY, 1), posted=today)["club"][0] == 0
    member.does("order.cancelled", {"order_id": "o-1"})
    assert member.buys("o-3", line("4.00"), on=after(DAY, 1), posted=today)["club"] == (4 + 5, [])


# --- parked: before the order


def test_what_comes_before_its_order_is_parked_and_takes_effect_with_it(member: Member) -> None:
    assert member.gets_back("o-1", "4.00", on=DAY) == dict.fromkeys(ALL, (0, ["order_not_here_yet"]))
    assert {part["kind"] for part in member.entries[-1]["parts"].values()} == {"parked"}
    member.does("review.posted", {"order_id": "o-1", "item_id": "i-o-1-0"})
    assert member.entries[-1]["parts"].keys() == {"club", "crowns"}
    member.buys("o-1", "10.00", on=after(DAY, 1))
    assert [entry["entry_id"] for entry in member.entries] == ["e-1", "e-2", "e-3", "e-1~2", "e-2~2"]
    assert [entry["event_id"] for entry in member.entries] == ["e-1", "e-2", "e-3", "e-1", "e-2"]
    assert member.points("club") == 6 + 5 + 1
    assert member.points("vip") == 6_00
    assert "parked" not in member.orders["o-1"]


def test_a_parked_event_acts_once(member: Member) -> None:
    member.gets_back("o-1", "4.00", on=DAY)
    member.buys("o-1", "10.00")
    member.buys("o-1", "10.00")  # once more, denied
    assert member.points("vip") == 6_00


def test_a_parked_review_counts_on_its_own_day_and_is_judged_when_it_acts(member: Member) -> None:
    member.does("review.posted", {"order_id": "o-1", "item_id": "i-o-1-0"}, DAY)
    member.does("review.posted", {"order_id": "o-2", "item_id": "i-o-1-0"}, DAY)
    member.does("review.posted", {"order_id": "o-2", "item_id": "i-none"}, DAY)
    member.buys("o-1", "2.00", on=after(DAY, 364))
    assert member.points("club") == 7 + 1
    assert member.on(after(DAY, 365)).points("club") == 7
    member.buys("o-2", line("2.00", item="i-o-1-0"))
    assert member.did("e-2")["club"] == (0, ["already_expired"])
    assert member.did("e-3")["club"] == (0, ["already_expired"])


def test_parked_reviews_of_one_item_earn_once(member: Member) -> None:
    for _ in range(3):
        member.does("review.posted", {"order_id": "o-1", "item_id": "i-o-1-0"}, DAY)
    member.buys("o-1", "2.00")
    assert member.points("club") == 7 + 1
    assert [member.did(f"e-{n}")["club"] for n in (1, 2, 3)] == [
        (1, []),
        (0, ["already_reviewed"]),
        (0, ["already_reviewed"]),
    ]


def test_what_counted_once_is_known_though_the_marks_leave_the_account_in_between(member: Member) -> None:
    """A review marks its item in club and crowns; with 64 marks a page is full and leaves the account."""
    member.buys("o-1", *(line("2.00", item=f"i-{n}") for n in range(31)), on=DAY)
    for n in range(31):
        member.does("review.posted", {"order_id": "o-1", "item_id": f"i-{n}"})
    for _ in range(2):
        member.does("review.posted", {"order_id": "o-2", "item_id": "i-x"})
    member.buys("o-2", line("2.00", item="i-x"))
    assert (len(member.marks), member.account.marks) == (64, [])
    assert member.entries[-2]["parts"]["club"]["points"] == 1
    assert member.why("club") == [("review", 0, "already_reviewed")]
    for item in ("i-0", "i-30", "i-x"):
        order = "o-2" if item == "i-x" else "o-1"
        again = member.does("review.posted", {"order_id": order, "item_id": item})
        assert again["crowns"] == (0, ["already_reviewed"])


def test_however_many_are_parked_all_take_effect(member: Member) -> None:
    waiting = 2 * PARKED_AT_ONCE + 1
    for _ in range(waiting):
        member.gets_back("o-1", "1.00", on=DAY)
    member.buys("o-1", "100.00")
    assert member.points("vip") == 100_00 - waiting * 1_00
    assert [entry["event_id"] for entry in member.entries[-waiting:]] == [f"e-{n}" for n in range(1, waiting + 1)]


def test_what_names_another_order_waits_on(member: Member) -> None:
    member.gets_all_back("o-1", on=DAY)
    assert member.buys("o-2", "10.00")["club"] == (15, [])
    assert len(member.orders["o-1"]["parked"]) == 1


def test_which_events_name_an_order() -> None:
    named = {"order.completed", "order.refunded", "order.cancelled", "order.flagged_fraudulent", "review.posted"}
    others = {"visit.recorded", "post.published", "violation.confirmed", "promotion.awarded", "price.dropped"}
    assert {each for each in named | others if names_order(each)} == named


# --- the property of rules 1.7: any order, any split, the same end

ITEMS = ("i-1", "i-2", "i-3")
Step = tuple[str, dict[str, Any]]

order_lines = st.lists(
    st.builds(
        line,
        st.sampled_from(["0.99", "1.99", "2.00", "3.33", "25.49"]),
        item=st.sampled_from(ITEMS),
        seller=st.sampled_from(["s-1", "s-2"]),
        quantity=st.integers(1, 12),
        category=st.sampled_from([None, "tea", "toys", "books"]),
    ),
    min_size=1,
    max_size=5,
)
units = st.dictionaries(st.sampled_from([*ITEMS, "i-none"]), st.integers(1, 9), min_size=1)
whole = st.sampled_from(
    [("order.refunded", {"full": True}), ("order.cancelled", {}), ("order.flagged_fraudulent", {})],
)


@st.composite
def split(draw: st.DrawFn, total: int) -> list[int]:
    """A whole number in positive parts."""
    parts = []
    while total:
        parts.append(draw(st.integers(1, total)))
        total -= parts[-1]
    return parts


@st.composite
def two_ways(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[Step], list[Step]]:
    """An order, and its refunds twice: split and in order in two ways."""
    lines = draw(order_lines)
    returned = draw(st.lists(units, max_size=3))
    amounts = draw(st.lists(st.integers(1, 60_00), max_size=3))
    last = draw(st.lists(whole, max_size=1))
    ways = []
    for _ in range(2):
        steps: list[Step] = list(last)
        total: dict[str, int] = {}
        for refund in returned:
            for item, quantity in refund.items():
                total[item] = total.get(item, 0) + quantity
        for item, quantity in total.items():
            steps += [("order.refunded", {"lines": [{"item_id": item, "quantity": n}]}) for n in draw(split(quantity))]
        if amounts:
            steps += [
                ("order.refunded", {"amount": f"{n // 100}.{n % 100:02}", "currency": "USD"})
                for n in draw(split(sum(amounts)))
            ]
        ways.append(draw(st.permutations(steps)))
    return lines, ways[0], ways[1]


def outcome(lines: list[dict[str, Any]], steps: list[Step], at: int) -> dict[str, Any]:
    """What is left of a member after an order and its refunds, ``at`` of which come before it."""
    member = Member()
    member.buys("other", line("2.00", item="i-1", category="tea", quantity=3), on=DAY)
    for n in range(8):
        member.buys(f"seller-{n}", line("2.00", item=f"i-s-{n}"))
    for event_type, data in steps[:at]:
        member.does(event_type, {"order_id": "o-1", **data})
    member.buys("o-1", *lines)
    for event_type, data in steps[at:]:
        member.does(event_type, {"order_id": "o-1", **data})
    found: dict[str, Any] = {}
    for name in ALL:
        state = member.account.program(name)
        found[name] = [state.points, state.lots, state.sellers, state.items, state.days]
        found[f"{name} counts"] = [*member.orders["o-1"]["programs"][name]["counted"]]
    found["tiers"] = [member.tier("club"), member.tier("crowns")]
    found["remains"] = remaining_value(member.orders["o-1"])
    # and the caps as the next orders find them
    for seller in ("s-1", "s-2"):
        did = member.buys(f"next-{seller}", *(line("2.00", item=item, seller=seller, quantity=3) for item in ITEMS))
        found[f"next-{seller}"] = did
    return found


@settings(max_examples=100)
@given(two_ways(), st.integers(0, 4), st.integers(0, 4))
def test_any_order_and_any_split_of_refunds_ends_the_same(
    ways: tuple[list[dict[str, Any]], list[Step], list[Step]], one: int, other: int
) -> None:
    lines, first, second = ways
    assert outcome(lines, first, one) == outcome(lines, second, other)


@settings(max_examples=60)
@given(two_ways())
def test_an_order_never_loses_more_than_it_earned(
    ways: tuple[list[dict[str, Any]], list[Step], list[Step]],
) -> None:
    lines, steps, _ = ways
    member = Member()
    member.buys("o-1", *lines, on=DAY)
    earned = {name: member.points(name) for name in ALL}
    for event_type, data in steps:
        before = {name: member.points(name) for name in ALL}
        member.does(event_type, {"order_id": "o-1", **data})
        assert all(0 <= member.points(name) <= before[name] <= earned[name] for name in ALL)
    assert remaining_value(member.orders["o-1"]) == member.points("vip")


def test_order_records_and_accounts_are_json(member: Member) -> None:
    """What is stored comes back as it was: no number as a key of an object, nothing that JSON lacks."""
    member.gets_back("o-1", "4.00", on=DAY)
    member.buys("o-1", line("10.00", category="tea", quantity=12), "1.00")
    member.returns("o-1", i_1=1)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    order = member.orders["o-1"]
    assert json.loads(json.dumps(order)) == order
    packed = encode_account(member.account)
    assert json.loads(json.dumps(packed)) == packed
    assert encode_account(member.account.clone()) == packed
