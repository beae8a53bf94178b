"""The judge itself, judged by examples that were worked out by hand from the rules."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from itertools import count, pairwise, permutations
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from tests.oracle.histories import History, histories, random_history
from tests.oracle.oracle import Oracle

D0 = date(2019, 3, 1)
ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
MONEY = re.compile(r"\d{1,9}\.\d{2}", re.ASCII)


def day(number: int, at: time = time(12, 0)) -> datetime:
    """Noon (or another time) of a day, counted from D0."""
    return datetime.combine(D0 + timedelta(days=number), at, tzinfo=UTC)


def on(number: int) -> str:
    """The date of a day, counted from D0."""
    return (D0 + timedelta(days=number)).isoformat()


def line(price: str, quantity: int = 1, item: str = "i-1", seller: str = "s-1", category: str | None = None):
    """A line of an order."""
    given = {"item_id": item, "seller_id": seller, "unit_price": price, "quantity": quantity}
    return given | ({"category": category} if category else {})


class Book:
    """An oracle with short ways to post to it."""

    def __init__(self, zones: dict[str, str] | None = None) -> None:
        self.oracle = Oracle(zones)
        self.numbers = count(1)

    def post(self, kind: str, data: dict[str, Any], at: datetime, occurred: datetime | None = None) -> str:
        event_id = f"e-{next(self.numbers)}"
        event = {"event_id": event_id, "type": kind, "member_id": "m", "data": data}
        self.oracle.post({**event, "occurred_at": (occurred or at).isoformat()}, at)
        return event_id

    def order(self, order_id: str, at: datetime, *lines: dict, occurred: datetime | None = None, flags=()) -> str:
        data = {"order_id": order_id, "currency": "USD", "lines": list(lines), "flags": list(flags)}
        return self.post("order.completed", data, at, occurred)

    def refund(self, order_id: str, at: datetime, **what: Any) -> str:
        if "amount" in what:
            what["currency"] = "USD"
        return self.post("order.refunded", {"order_id": order_id, **what}, at)

    def promote(self, points: int, at: datetime, program: str = "crowns", occurred: datetime | None = None) -> str:
        data = {"campaign_id": "c", "points": points, "program": program}
        return self.post("promotion.awarded", data, at, occurred)

    def violate(self, case: str, kind: str, at: datetime, occurred: datetime | None = None) -> str:
        return self.post("violation.confirmed", {"case_id": case, "kind": kind}, at, occurred)

    def overturn(self, case: str, kind: str, at: datetime) -> str:
        return self.post("violation.overturned", {"case_id": case, "kind": kind}, at)

    def entry(self, event_id: str, program: str) -> tuple[int, list[str]] | None:
        found = self.oracle.entry(event_id)[program]
        return (found["points"], found["codes"]) if found else None

    def points(self, program: str, at: datetime) -> int:
        found = self.oracle.at("m", at)[program]
        return found["spend" if program == "vip" else "points"]

    def tier(self, program: str, at: datetime) -> tuple[str, str | None]:
        found = self.oracle.at("m", at)[program]
        return found["tier"], found["tier_since"]


@pytest.fixture
def book() -> Book:
    return Book()


# --- The shape of the answers -----------------------------------------------------------------------------


def test_nobody_has_nothing(book: Book) -> None:
    assert book.oracle.at("m", day(0)) == {
        "club": {"points": 0, "tier": "A0", "tier_since": None},
        "crowns": {"points": 0, "tier": "none", "tier_since": None},
        "vip": {"spend": 0, "tier": "none", "tier_since": None},
    }


def test_one_order_in_three_programs(book: Book) -> None:
    # 12.50 and 2 x 1.99: club 12 + 5; crowns 12 + 1 order + 1 category; vip all lines, 16.48.
    lines = (line("12.50", category="toys"), line("1.99", 2, "i-2", category="pets"))
    event = book.order("o-1", day(0), *lines)
    assert book.oracle.entry(event) == {
        "club": {"points": 17, "codes": ["unit_price_below_minimum"]},
        "crowns": {"points": 14, "codes": ["unit_price_below_minimum"]},
        "vip": {"points": 1648, "codes": []},
    }
    assert book.oracle.at("m", day(0)) == {
        "club": {"points": 17, "tier": "A1", "tier_since": on(0)},
        "crowns": {"points": 14, "tier": "Silver", "tier_since": on(0)},
        "vip": {"spend": 1648, "tier": "none", "tier_since": None},
    }
    assert book.oracle.remaining("m", "o-1") == 1648
    assert book.oracle.remaining("m", "o-2") is None
    assert book.oracle.remaining("other", "o-1") is None


def test_an_event_concerns_some_programs(book: Book) -> None:
    visit = book.post("visit.recorded", {}, day(0))
    wish = book.post("wishlist.item_added", {"item_id": "i"}, day(0))
    assert book.oracle.entry(visit) == {"club": {}, "crowns": {"points": 1, "codes": []}, "vip": {}}
    assert book.oracle.entry(wish) == {"club": {}, "crowns": {}, "vip": {}}


def test_duplicates_and_order_of_arrival(book: Book) -> None:
    event = {
        "event_id": "x",
        "type": "visit.recorded",
        "member_id": "m",
        "occurred_at": "2019-03-01T00:00:00Z",
    }
    book.oracle.post(event, day(0))
    book.oracle.post(event, day(1))
    assert book.points("crowns", day(1)) == 1
    book.order("o-1", day(2), line("5.00"))
    with pytest.raises(ValueError, match="order of arrival"):
        book.order("o-2", day(1), line("5.00"))


def test_members_are_apart(book: Book) -> None:
    book.order("o-1", day(0), line("5.00"))
    event = {"event_id": "x", "type": "order.cancelled", "member_id": "n", "data": {"order_id": "o-1"}}
    book.oracle.post({**event, "occurred_at": "2019-03-01T12:00:00Z"}, day(0))
    assert book.oracle.is_parked("x")
    assert book.points("club", day(0)) == 10


# --- Purchases and caps -----------------------------------------------------------------------------------


def test_two_dollars_is_eligible_and_the_total_is_rounded_once(book: Book) -> None:
    # 2.00 + 2 x 2.75 = 7.50 -> 7, not 2 + 2 + 2
    event = book.order("o-1", day(0), line("2.00"), line("2.75", 2, "i-2"))
    assert book.entry(event, "club") == (12, [])


def test_item_cap_counts_this_orders_earlier_lines(book: Book) -> None:
    # 7 + 3 of 5 units at 2.00; crowns has no such cap.
    event = book.order("o-1", day(0), line("2.00", 7), line("2.00", 5))
    assert book.entry(event, "club") == (20 + 5, ["item_unit_cap"])
    assert book.entry(event, "crowns") == (24 + 1, [])


@pytest.mark.parametrize(("later", "points"), [(364, 0), (365, 2 + 5)])
def test_item_cap_reaches_364_days(book: Book, later: int, points: int) -> None:
    book.order("o-1", day(0), line("2.00", 10))
    event = book.order("o-2", day(later), line("2.00"))
    assert book.entry(event, "club") == (points, ["item_unit_cap"] if not points else [])


def test_item_cap_looks_ahead_too(book: Book) -> None:
    book.order("o-1", day(300), line("2.00", 10))
    late = book.order("o-2", day(300), line("2.00"), occurred=day(0))
    assert book.entry(late, "club") == (0, ["item_unit_cap"])


def test_seller_cap_is_ten_other_orders(book: Book) -> None:
    for number in range(10):
        book.order(f"o-{number}", day(number), line("3.00", item=f"i-{number}"))
    event = book.order("o-10", day(10), line("3.00", item="i-10"), line("4.00", item="i-11", seller="s-2"))
    assert book.entry(event, "club") == (4 + 5, ["seller_order_cap"])
    # An amount refund releases nothing; a returned unit does, and the cancelled order's too.
    book.refund("o-0", day(10), amount="3.00")
    assert book.entry(book.order("o-11", day(11), line("3.00", item="i-12")), "club") == (
        0,
        ["seller_order_cap"],
    )
    book.refund("o-0", day(11), lines=[{"item_id": "i-0", "quantity": 1}])
    assert book.entry(book.order("o-12", day(12), line("3.00", item="i-12")), "club") == (8, [])
    assert book.entry(book.order("o-13", day(12), line("3.00", item="i-13")), "club") == (
        0,
        ["seller_order_cap"],
    )
    book.post("order.cancelled", {"order_id": "o-1"}, day(12))
    assert book.entry(book.order("o-14", day(13), line("3.00", item="i-14")), "club") == (8, [])


def test_uncounted_orders_fill_no_cap(book: Book) -> None:
    for number in range(12):
        book.order(f"o-{number}", day(0), line("1.99", item=f"i-{number}"))
        book.order(f"f-{number}", day(0), line("5.00", item=f"i-{number}"), flags=["fraudulent"])
    assert book.entry(book.order("o-x", day(1), line("3.00")), "club") == (8, [])


def test_released_units_are_not_granted_to_the_denied_but_to_the_next(book: Book) -> None:
    book.order("o-1", day(0), line("2.00", 10))
    denied = book.order("o-2", day(1), line("2.00", 4))
    book.refund("o-1", day(2), lines=[{"item_id": "i-1", "quantity": 3}])
    assert book.entry(denied, "club") == (0, ["item_unit_cap"])
    # 14 + 5 remain of o-1; the next order gets the 3 units.
    assert book.points("club", day(2)) == 19
    assert book.entry(book.order("o-3", day(3), line("2.00", 4)), "club") == (6 + 5, ["item_unit_cap"])


def test_flags(book: Book) -> None:
    gift = book.order("o-1", day(0), line("10.00"), flags=["gift"])
    fraud = book.order("o-2", day(0), line("10.00", item="i-2"), flags=["fraudulent", "gift"])
    assert book.oracle.entry(gift) == {
        "club": {"points": 15, "codes": []},
        "crowns": {"points": 0, "codes": ["order_excluded"]},
        "vip": {"points": 1000, "codes": []},
    }
    for program in ("club", "crowns", "vip"):
        assert book.entry(fraud, program) == (0, ["order_fraudulent"])
    assert book.points("vip", day(0)) == 1000
    assert book.oracle.remaining("m", "o-2") == 0


def test_an_order_is_posted_once(book: Book) -> None:
    book.order("o-1", day(0), line("10.00"))
    again = book.order("o-1", day(0), line("90.00"))
    assert book.entry(again, "vip") == (0, ["order_already_posted"])
    assert book.points("club", day(0)) == 15


# --- Daily shopping and variety ---------------------------------------------------------------------------


def test_daily_shopping_and_variety_in_crowns(book: Book) -> None:
    # Each order gives 10; orders 1-5 and categories 1-5 give 1 each, the sixth neither.
    events = [book.order(f"o-{n}", day(0), line("10.00", item=f"i-{n}", category=f"c-{n}")) for n in range(6)]
    assert [book.entry(e, "crowns") for e in events[:5]] == [(12, [])] * 5
    assert book.entry(events[5], "crowns") == (10, ["daily_cap"])
    assert [book.entry(e, "club") for e in events] == [(15, [])] + [(10, [])] * 5
    # Six orders, one refunded: the five daily points and the five of variety still stand.
    assert book.entry(book.refund("o-0", day(0), full=True), "crowns") == (-10, [])
    assert book.entry(book.refund("o-1", day(0), full=True), "crowns") == (-12, [])
    assert book.points("crowns", day(0)) == 48


def test_each_daily_cap_by_itself(book: Book) -> None:
    events = [book.order(f"o-{n}", day(0), line("10.00", category="c")) for n in range(6)]
    assert [book.entry(e, "crowns") for e in events] == [(12, []), *[(11, [])] * 4, (10, ["daily_cap"])]
    lines = [line("10.00", item=f"i-{n}", category=f"c-{n}") for n in range(6)]
    assert book.entry(book.order("o-x", day(1), *lines), "crowns") == (60 + 1 + 5, ["daily_cap"])


def test_daily_shopping_in_the_club_goes_with_the_last_order(book: Book) -> None:
    book.order("o-1", day(0), line("10.00"))
    book.order("o-2", day(0), line("10.00", item="i-2"))
    assert book.entry(book.refund("o-1", day(1), full=True), "club") == (-10, [])
    # 10.00 - 9.50 = 0.50 -> 0 points, so no order with purchase points is left: -10 and -5
    assert book.entry(book.refund("o-2", day(1), amount="9.50"), "club") == (-15, [])


def test_variety_ignores_lines_without_category_or_below_the_minimum(book: Book) -> None:
    event = book.order(
        "o-1",
        day(0),
        line("3.00"),
        line("1.00", item="i-2", category="a"),
        line("3.00", item="i-3", category="b"),
    )
    assert book.entry(event, "crowns") == (6 + 1 + 1, ["unit_price_below_minimum"])
    # b's units return: its category goes, the order keeps its daily point
    undone = book.refund("o-1", day(0), lines=[{"item_id": "i-3", "quantity": 1}])
    assert book.entry(undone, "crowns") == (-4, [])


# --- Refunds ----------------------------------------------------------------------------------------------


def test_units_return_uncounted_first_then_from_the_last_line(book: Book) -> None:
    # Club counts 6 of 3.00, 4 of 5 at 5.00; 1 is beyond ten. 18 + 20 + 5 = 43.
    book.order("o-1", day(0), line("3.00", 6), line("5.00", 5))
    assert book.points("club", day(0)) == 43
    one = book.refund("o-1", day(1), lines=[{"item_id": "i-1", "quantity": 1}])
    assert book.entry(one, "club") == (0, [])
    assert book.entry(one, "vip") == (-500, [])
    # four at 5.00 and one at 3.00 go: 15 + 5 remain
    five = book.refund("o-1", day(2), lines=[{"item_id": "i-1", "quantity": 5}])
    assert book.entry(five, "club") == (-23, [])
    assert book.oracle.remaining("m", "o-1") == 1500
    more = book.refund("o-1", day(3), lines=[{"item_id": "i-1", "quantity": 6}, {"item_id": "i-9", "quantity": 1}])
    assert book.entry(more, "club") == (-20, ["refund_exceeds_order"])
    assert book.oracle.remaining("m", "o-1") == 0


def test_amounts_lower_what_remains_once(book: Book) -> None:
    book.order("o-1", day(0), line("10.00", 2))
    assert book.entry(book.refund("o-1", day(1), amount="0.01"), "club") == (-1, [])
    assert book.oracle.remaining("m", "o-1") == 1999
    # 20.00 - 0.01 - 10.00 = 9.99 -> 9
    assert book.entry(book.refund("o-1", day(1), lines=[{"item_id": "i-1", "quantity": 1}]), "club") == (
        -10,
        [],
    )
    assert book.entry(book.refund("o-1", day(1), amount="10.00"), "vip") == (-999, ["refund_exceeds_order"])
    assert book.entry(book.refund("o-1", day(1), amount="0.01"), "vip") == (0, ["refund_exceeds_order"])
    assert book.points("club", day(1)) == 0


def test_one_purchase_point_keeps_daily_shopping(book: Book) -> None:
    book.order("o-1", day(0), line("2.00"))
    assert book.entry(book.refund("o-1", day(0), amount="1.00"), "club") == (-1, [])
    assert book.points("club", day(0)) == 6
    assert book.entry(book.refund("o-1", day(0), amount="1.00"), "club") == (-6, [])
    # the unit itself is still there to be returned
    assert book.entry(book.refund("o-1", day(0), full=True), "club") == (0, [])
    assert book.entry(book.refund("o-1", day(0), full=True), "club") == (0, ["refund_exceeds_order"])


@pytest.mark.parametrize("ending", ["order.cancelled", "order.flagged_fraudulent"])
def test_a_cancelled_order_stands_at_nothing(book: Book, ending: str) -> None:
    book.order("o-1", day(0), line("10.00"))
    assert book.entry(book.post(ending, {"order_id": "o-1"}, day(1)), "club") == (-15, [])
    assert book.entry(book.post("order.cancelled", {"order_id": "o-1"}, day(1)), "club") == (0, [])
    assert book.entry(book.refund("o-1", day(1), full=True), "club") == (0, ["refund_exceeds_order"])
    assert book.oracle.remaining("m", "o-1") == 0


def test_refunds_give_the_same_in_any_order() -> None:
    refunds: list[dict[str, Any]] = [
        {"amount": "12.00"},
        {"lines": [{"item_id": "i-1", "quantity": 3}]},
        {"lines": [{"item_id": "i-2", "quantity": 1}]},
        {"amount": "3.33"},
    ]
    ends = set()
    for order in permutations(refunds):
        book = Book()
        book.order("o-1", day(0), line("1.00", 2), line("5.00", 12), line("2.50", 3, "i-2"))
        for refund in order:
            book.refund("o-1", day(1), **refund)
        # club: the 2 of 1.00 and 1 of the 2 uncounted at 5.00 return first: 50 + 5 - 15.33 = 39.67 -> 39, + 5
        ends.add((book.points("club", day(1)), book.points("vip", day(1)), book.oracle.remaining("m", "o-1")))
    # vip: 2 + 9 x 5 + 2 x 2.50 - 15.33 = 36.67
    assert ends == {(44, 3667, 3667)}


def test_clawback_after_the_lots_end_takes_nothing(book: Book) -> None:
    book.order("o-1", day(0), line("10.00", 10))
    half = book.refund("o-1", day(90), lines=[{"item_id": "i-1", "quantity": 5}])
    assert book.entry(half, "vip") == (0, ["already_expired"])
    assert book.entry(half, "club") == (-50, [])
    rest = book.refund("o-1", day(365), full=True)
    assert book.entry(rest, "club") == (0, ["already_expired"])
    again = book.post("order.cancelled", {"order_id": "o-1"}, day(365))
    assert book.entry(again, "club") == (0, [])
    assert book.points("club", day(364)) == 55
    assert book.points("club", day(365)) == 0
    assert book.oracle.remaining("m", "o-1") == 0


# --- Parked events ----------------------------------------------------------------------------------------


def test_parked_events_act_when_their_order_arrives(book: Book) -> None:
    refund = book.refund("o-1", day(0), lines=[{"item_id": "i-1", "quantity": 1}])
    review = book.post("review.posted", {"order_id": "o-1", "item_id": "i-1"}, day(0))
    assert book.oracle.is_parked(refund)
    assert book.entry(refund, "club") == (0, [])
    assert book.entry(review, "vip") is None
    order = book.order("o-1", day(5), line("10.00", 3), occurred=day(0))
    assert not book.oracle.is_parked(refund)
    assert book.entry(order, "club") == (35, [])
    assert book.entry(refund, "club") == (-10, [])
    assert book.entry(review, "club") == (1, [])
    assert book.points("club", day(4)) == 0
    assert book.points("club", day(5)) == 26
    assert book.oracle.remaining("m", "o-1") == 2000


def test_a_parked_review_is_judged_when_it_acts(book: Book) -> None:
    review = book.post("review.posted", {"order_id": "o-1", "item_id": "i-1"}, day(0))
    order = book.order("o-1", day(365), line("10.00"), occurred=day(1))
    assert book.entry(order, "club") == (15, [])
    assert book.entry(review, "club") == (0, ["already_expired"])


def test_a_parked_cancellation_releases_the_caps(book: Book) -> None:
    book.post("order.cancelled", {"order_id": "o-1"}, day(0))
    book.order("o-1", day(1), line("2.00", 10))
    assert book.points("club", day(1)) == 0
    assert book.tier("club", day(1)) == ("A0", on(1))
    assert book.entry(book.order("o-2", day(2), line("2.00", 10)), "club") == (25, [])


def test_parked_events_wait_for_their_own_order_and_act_once(book: Book) -> None:
    first = book.refund("o-1", day(0), amount="1.00")
    other = book.refund("o-2", day(0), amount="2.00")
    book.order("o-1", day(1), line("10.00"))
    assert not book.oracle.is_parked(first)
    assert book.oracle.is_parked(other)
    book.order("o-1", day(2), line("10.00"))
    book.order("o-2", day(3), line("10.00", item="i-2"))
    assert book.entry(first, "vip") == (-100, [])
    assert book.entry(other, "vip") == (-200, [])
    assert book.points("vip", day(3)) == 1700


# --- Late and early events --------------------------------------------------------------------------------


def test_late_events_are_denied_program_by_program(book: Book) -> None:
    event = book.order("o-1", day(90), line("10.00"), occurred=day(0))
    assert book.entry(event, "vip") == (0, ["already_expired"])
    assert book.entry(event, "club") == (15, [])
    older = book.order("o-2", day(365), line("2.00", 10, "i-2"), occurred=day(0))
    assert book.entry(older, "club") == (0, ["already_expired"])
    assert book.oracle.remaining("m", "o-2") == 2000
    # It fills no cap and earns nothing, but it is held: its items can be reviewed.
    assert book.entry(book.order("o-3", day(365), line("2.00", 10, "i-2"), occurred=day(2)), "club") == (
        25,
        [],
    )
    review = book.post("review.posted", {"order_id": "o-2", "item_id": "i-2"}, day(365))
    assert book.entry(review, "club") == (1, [])


def test_a_little_ahead_counts_in_its_own_days_lot(book: Book) -> None:
    book.promote(7, day(0, time(23, 58)), occurred=day(1, time(0, 1)))
    assert book.points("crowns", day(0, time(23, 59))) == 7
    assert book.points("crowns", day(365)) == 7
    assert book.points("crowns", day(366)) == 0


def test_days_are_local_dates_in_each_program() -> None:
    book = Book({"club": "America/New_York", "vip": "America/New_York"})
    posted = datetime(2019, 3, 2, 4, 30, tzinfo=UTC)  # 1 March, 23:30 in New York (winter time)
    book.order("o-1", posted, line("1000.00"))
    assert book.tier("club", posted) == ("A3", "2019-03-01")
    assert book.tier("crowns", posted) == ("Platinum", "2019-03-02")
    # The 90th day after 1 March begins on 30 May, 00:00 in New York, which is 04:00 in UTC (summer time).
    midnight = datetime(2019, 5, 30, 4, 0, tzinfo=UTC)
    assert book.points("vip", midnight - timedelta(seconds=1)) == 100_000
    assert book.tier("vip", midnight - timedelta(seconds=1)) == ("Silver", "2019-03-01")
    assert book.points("vip", midnight) == 0
    assert book.tier("vip", midnight) == ("none", "2019-05-30")


# --- Reviews, contributions, visits, posts, promotions ----------------------------------------------------


def test_reviews(book: Book) -> None:
    book.order("o-1", day(0), line("10.00"))
    book.order("o-2", day(0), line("10.00"))
    book.refund("o-1", day(0), full=True)
    wrong = book.post("review.posted", {"order_id": "o-1", "item_id": "i-2"}, day(1))
    right = book.post("review.posted", {"order_id": "o-1", "item_id": "i-1"}, day(1))
    again = book.post("review.posted", {"order_id": "o-2", "item_id": "i-1"}, day(400))
    for program in ("club", "crowns"):
        assert book.entry(wrong, program) == (0, ["item_not_in_order"])
        assert book.entry(right, program) == (1, [])
        assert book.entry(again, program) == (0, ["already_reviewed"])


def test_contributions(book: Book) -> None:
    def contribute(number: int, at: datetime) -> tuple[int, list[str]] | None:
        data = {"contribution_id": f"c-{number}", "kind": "translation"}
        return book.entry(book.post("contribution.accepted", data, at), "club")

    assert [contribute(n, day(n)) for n in range(10)] == [(1, [])] * 10
    assert contribute(0, day(10)) == (0, ["already_counted"])
    assert contribute(10, day(30)) == (0, ["monthly_cap"])  # 31 March
    assert contribute(10, day(31)) == (1, [])  # 1 April; it was not counted before


def test_visits(book: Book) -> None:
    def visit(at: datetime) -> tuple[int, list[str]] | None:
        return book.entry(book.post("visit.recorded", {}, at), "crowns")

    assert visit(day(0)) == (1, [])
    assert visit(day(0)) == (0, ["daily_cap"])
    assert [visit(day(n)) for n in range(1, 10)] == [(1, [])] * 9
    assert visit(day(10)) == (0, ["monthly_cap"])
    assert visit(day(31)) == (1, [])


def test_posts(book: Book) -> None:
    def publish(number: int, at: datetime) -> tuple[int, list[str]] | None:
        return book.entry(book.post("post.published", {"post_id": f"p-{number}"}, at), "crowns")

    assert [publish(n, day(0)) for n in range(5)] == [(2, [])] * 5
    assert publish(0, day(1)) == (0, ["already_counted"])
    assert publish(5, day(1)) == (0, ["monthly_cap"])
    assert publish(0, day(31)) == (0, ["already_counted"])


def test_promotions_go_to_their_program(book: Book) -> None:
    event = book.promote(100, day(0), "club")
    assert book.entry(event, "club") == (100, [])
    assert book.entry(event, "crowns") is None
    assert book.tier("club", day(0)) == ("A2", on(0))


# --- Tiers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "club", "crowns"),
    [
        (1, "A1", "Silver"),
        (99, "A1", "Silver"),
        (100, "A2", "Silver"),
        (101, "A2", "Gold"),
        (499, "A2", "Gold"),
        (500, "A3", "Gold"),
        (501, "A3", "Platinum"),
        (1500, "A3", "Platinum"),
        (1501, "A3", "Diamond"),
        (1999, "A3", "Diamond"),
        (2000, "A4", "Diamond"),
    ],
)
def test_thresholds(book: Book, points: int, club: str, crowns: str) -> None:
    book.promote(points, day(0), "club")
    book.promote(points, day(0), "crowns")
    assert book.tier("club", day(0))[0] == club
    assert book.tier("crowns", day(0))[0] == crowns


def test_a_lot_counts_365_days_and_the_demotion_is_on_its_day(book: Book) -> None:
    book.promote(100, day(0), "club")
    book.promote(400, day(10), "club")
    assert book.tier("club", day(364, time(23, 59, 59))) == ("A3", on(10))
    assert book.tier("club", day(365, time(0, 0))) == ("A2", on(365))
    assert book.tier("club", day(374)) == ("A2", on(365))
    assert book.tier("club", day(800)) == ("A0", on(375))


def test_a_late_lot_ends_on_its_own_day_but_the_tier_is_since_the_posting(book: Book) -> None:
    book.promote(100, day(50), "club", occurred=day(0))
    assert book.tier("club", day(50)) == ("A2", on(50))
    assert book.tier("club", day(365)) == ("A0", on(365))


# --- Violations -------------------------------------------------------------------------------------------


def test_return_abuse_may_leave_the_sum_below_zero_and_comes_back(book: Book) -> None:
    book.promote(150, day(0))
    assert book.entry(book.violate("v", "return_abuse", day(10)), "crowns") == (-200, [])
    assert book.points("crowns", day(10)) == -50
    assert book.tier("crowns", day(99)) == ("none", on(10))
    assert book.points("crowns", day(100)) == 150
    assert book.tier("crowns", day(100)) == ("Gold", on(100))


def test_extortion_halves_and_caps(book: Book) -> None:
    # half of 1001, rounded down, is 500; 501 would be Platinum, the cap says Silver for 60 days
    book.promote(1001, day(0))
    assert book.entry(book.violate("v", "extortion", day(1)), "crowns") == (-500, [])
    assert book.tier("crowns", day(60)) == ("Silver", on(1))
    assert book.tier("crowns", day(61)) == ("Platinum", on(61))
    assert book.tier("crowns", day(181)) == ("Platinum", on(61))
    assert book.points("crowns", day(180)) == 501
    assert book.points("crowns", day(181)) == 1001


def test_percentages_refer_to_the_settled_balance(book: Book) -> None:
    book.promote(300, day(0))
    book.promote(40, day(100))
    assert book.entry(book.violate("v", "coupon_fraud", day(365)), "crowns") == (-40, [])
    book.violate("w", "spam", day(366))
    assert book.points("crowns", day(366)) == -20
    assert book.entry(book.violate("x", "coupon_fraud", day(367)), "crowns") == (0, [])
    # the 40 end on day 465, its deduction on day 730
    assert book.points("crowns", day(465)) == -40
    assert book.points("crowns", day(730)) == 0


def test_coupon_fraud_takes_everything(book: Book) -> None:
    book.promote(1000, day(0))
    assert book.entry(book.violate("v", "coupon_fraud", day(1)), "crowns") == (-1000, [])
    assert book.points("crowns", day(364)) == 0
    assert book.points("crowns", day(365)) == -1000
    assert book.points("crowns", day(366)) == 0


def test_overturning_undoes_points_and_cap(book: Book) -> None:
    book.promote(1000, day(0))
    book.violate("v", "extortion", day(1))
    assert book.entry(book.violate("v", "extortion", day(2)), "crowns") == (0, [])
    assert book.entry(book.overturn("v", "extortion", day(3)), "crowns") == (500, [])
    assert book.tier("crowns", day(3)) == ("Platinum", on(3))
    assert book.entry(book.overturn("v", "extortion", day(4)), "crowns") == (0, [])
    assert book.entry(book.violate("v", "extortion", day(5)), "crowns") == (0, [])
    assert book.points("crowns", day(181)) == 1000


def test_overturning_after_the_end_gives_nothing(book: Book) -> None:
    book.promote(1000, day(0))
    book.violate("v", "spam", day(0))
    assert book.entry(book.overturn("v", "spam", day(30)), "crowns") == (0, [])
    assert book.points("crowns", day(30)) == 1000


def test_overturned_before_it_was_confirmed(book: Book) -> None:
    book.promote(1000, day(0))
    overturned = book.overturn("v", "extortion", day(1))
    assert book.oracle.is_parked(overturned)
    assert book.entry(book.violate("v", "extortion", day(2)), "crowns") == (0, [])
    assert book.tier("crowns", day(2)) == ("Platinum", on(0))


def test_late_violations(book: Book) -> None:
    book.promote(1000, day(0))
    assert book.entry(book.violate("v", "spam", day(30), occurred=day(0)), "crowns") == (
        0,
        ["already_expired"],
    )
    # the cap of 60 days is over, the penalty of 180 is not
    assert book.entry(book.violate("w", "extortion", day(61), occurred=day(1)), "crowns") == (-500, [])
    assert book.tier("crowns", day(61)) == ("Gold", on(61))
    assert book.tier("crowns", day(181)) == ("Platinum", on(181))


# --- Vip --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("price", "tier"),
    [
        ("998.99", "none"),
        ("999.00", "Silver"),
        ("3998.99", "Silver"),
        ("3999.00", "Gold"),
        ("6998.99", "Gold"),
        ("6999.00", "Platinum"),
    ],
)
def test_vip_thresholds(book: Book, price: str, tier: str) -> None:
    book.order("o-1", day(0), line(price))
    assert book.tier("vip", day(0))[0] == tier


def test_the_period_ends_on_day_90(book: Book) -> None:
    book.order("o-1", day(0), line("999.00"))
    assert book.tier("vip", day(89)) == ("Silver", on(0))
    assert book.tier("vip", day(90, time(0, 0))) == ("none", on(90))


def test_a_retained_tier_keeps_its_date_and_outlives_its_spend(book: Book) -> None:
    book.order("o-1", day(0), line("999.00"))
    book.order("o-2", day(89), line("999.00"))
    assert book.tier("vip", day(90)) == ("Silver", on(0))
    assert book.points("vip", day(178)) == 99_900
    assert book.points("vip", day(179)) == 0
    assert book.tier("vip", day(179)) == ("Silver", on(0))
    assert book.tier("vip", day(180)) == ("none", on(180))


def test_an_upgrade_starts_a_new_period_and_a_reset_another(book: Book) -> None:
    book.order("o-1", day(0), line("999.00"))
    book.order("o-2", day(30), line("3000.00"))  # 3999: Gold, period to day 120
    book.order("o-3", day(100), line("1000.00"))
    assert book.tier("vip", day(119)) == ("Gold", on(30))
    assert book.points("vip", day(119)) == 400_000
    assert book.tier("vip", day(120)) == ("Silver", on(120))  # 1000 counts
    assert book.tier("vip", day(209)) == ("Silver", on(120))  # o-3 left on day 190
    assert book.tier("vip", day(210)) == ("none", on(210))


def test_the_review_looks_at_what_was_posted_before_it(book: Book) -> None:
    book.order("o-1", day(0), line("999.00"))
    book.order("o-2", day(90, time(0, 0)), line("999.00"), occurred=day(80))
    assert book.tier("vip", day(90)) == ("Silver", on(90))  # reset to none, then up again


def test_a_posting_before_the_review_counts(book: Book) -> None:
    book.order("o-1", day(0), line("999.00"))
    book.order("o-2", day(89, time(23, 59, 59)), line("999.00"), occurred=day(80))
    assert book.tier("vip", day(90)) == ("Silver", on(0))


def test_a_clawback_lowers_only_a_tier_that_was_still_met(book: Book) -> None:
    book.order("o-1", day(0), line("3999.00"))
    book.order("o-2", day(1), line("1000.00"))
    assert book.entry(book.refund("o-2", day(2), full=True), "vip") == (-100_000, [])
    assert book.tier("vip", day(2)) == ("Gold", on(0))  # 3999 is still met
    book.refund("o-1", day(3), amount="0.01")
    assert book.tier("vip", day(3)) == ("Silver", on(3))
    # the new period of Silver runs from day 3, its review is on day 93
    assert book.tier("vip", day(92)) == ("Silver", on(3))
    assert book.tier("vip", day(93)) == ("none", on(93))


def test_a_clawback_leaves_a_tier_that_was_not_met_any_more(book: Book) -> None:
    book.order("o-1", day(60), line("999.00"), occurred=day(0))  # Silver on day 60, the lot ends on day 90
    book.order("o-2", day(70), line("100.00"))
    book.refund("o-2", day(100), full=True)
    assert book.points("vip", day(100)) == 0
    assert book.tier("vip", day(149)) == ("Silver", on(60))
    assert book.tier("vip", day(150)) == ("none", on(150))


def test_the_measure_just_before_a_clawback_is_settled(book: Book) -> None:
    # On day 90 the 3000 leave; just before the clawback 1000 is below Gold, so Gold stays until its review.
    book.order("o-1", day(10), line("3000.00"), occurred=day(0))
    book.order("o-2", day(20), line("999.00"))
    assert book.tier("vip", day(20)) == ("Gold", on(20))
    book.refund("o-2", day(90), amount="1.00")
    assert book.tier("vip", day(90)) == ("Gold", on(20))
    assert book.tier("vip", day(110)) == ("none", on(110))


def test_a_clawback_right_after_the_order_that_raised_the_tier(book: Book) -> None:
    book.order("o-1", day(0), line("999.00"))
    book.order("o-2", day(1), line("3000.00"))
    book.refund("o-2", day(1), full=True)
    assert book.tier("vip", day(1)) == ("Silver", on(1))
    assert book.tier("vip", day(90)) == ("Silver", on(1))
    assert book.tier("vip", day(91)) == ("none", on(91))


def test_a_small_order_is_no_downgrade(book: Book) -> None:
    book.order("o-1", day(60), line("3999.00"), occurred=day(0))
    book.order("o-2", day(100), line("1000.00"))
    assert book.tier("vip", day(100)) == ("Gold", on(60))
    assert book.tier("vip", day(150)) == ("Silver", on(150))


# --- Histories --------------------------------------------------------------------------------------------


def assert_valid(history: History) -> None:
    """Every event is one that the door lets in, and the postings are in order."""
    for (_, one), (_, other) in pairwise(history):
        assert one <= other
    seen: dict[str, dict] = {}
    for event, posted in history:
        if event["event_id"] in seen:
            assert seen[event["event_id"]] == event
            continue
        seen[event["event_id"]] = event
        late = posted - datetime.fromisoformat(event["occurred_at"])
        # a repeat comes later than its first delivery, which may be among the postings left out
        assert timedelta(minutes=-5) <= late <= timedelta(days=800)
        for name, value in event["data"].items():
            if name.endswith("_id"):
                assert ID.fullmatch(value)
        for entry in event["data"].get("lines", []):
            assert ID.fullmatch(entry["item_id"])
            assert 1 <= entry["quantity"] <= 1_000_000
            assert MONEY.fullmatch(entry.get("unit_price", "0.00"))
        assert 1 <= len(event["data"].get("lines", [1])) <= 500
        assert MONEY.fullmatch(event["data"].get("amount", "0.01"))


def test_random_histories_reach_every_denial_and_every_tier() -> None:
    codes: set[tuple[str, str]] = set()
    tiers: set[tuple[str, str]] = set()
    acted = 0
    for seed in range(25):
        history = random_history(Random(seed), days=800, events=60)
        assert len(history) == 60
        assert_valid(history)
        oracle, waiting = Oracle(), set()
        for event, posted in history:
            oracle.post(event, posted)
            if oracle.is_parked(event["event_id"]):
                waiting.add(event["event_id"])
        acted += sum(not oracle.is_parked(event_id) for event_id in waiting)
        for event, _ in history:
            codes |= {(p, c) for p, e in oracle.entry(event["event_id"]).items() for c in e.get("codes", [])}
        for _, posted in history[::5]:
            tiers |= {(program, found["tier"]) for program, found in oracle.at("m-1", posted).items()}
    everywhere = {"already_expired", "order_already_posted", "order_fraudulent", "refund_exceeds_order"}
    single = {
        "item_not_in_order",
        "already_reviewed",
        "already_counted",
        "monthly_cap",
        "unit_price_below_minimum",
    }
    expected = {(program, code) for program in ("club", "crowns", "vip") for code in everywhere}
    expected |= {(program, code) for program in ("club", "crowns") for code in single}
    expected |= {("club", "seller_order_cap"), ("club", "item_unit_cap")}
    expected |= {("crowns", "daily_cap"), ("crowns", "order_excluded")}
    assert codes == expected
    assert len(tiers) == 5 + 5 + 4
    assert acted > 50


def test_the_same_seed_gives_the_same_history() -> None:
    one, other = (random_history(Random(7), days=400, events=50) for _ in range(2))
    assert one == other


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(history=histories())
def test_the_ledger_is_the_sum_of_its_entries_and_in_the_end_nothing_is_left(history: History) -> None:
    assert_valid(history)
    oracle = Oracle()
    for event, posted in history:
        oracle.post(event, posted)
    last = history[-1][1]
    end = oracle.at("m-1", last + timedelta(days=500))
    assert [end[p].get("points", end[p].get("spend")) for p in ("club", "crowns", "vip")] == [0, 0, 0]
    assert end["club"]["tier"] == "A0"
    assert end["crowns"]["tier"] == end["vip"]["tier"] == "none"
    now = oracle.at("m-1", last)
    for order_id in {event["data"].get("order_id") for event, _ in history} - {None}:
        assert (oracle.remaining("m-1", order_id) or 0) >= 0
    for measure in (now["club"]["points"], now["vip"]["spend"]):
        assert measure >= 0
