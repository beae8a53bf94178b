"""Activity events (rules 1.3): what is taken, and that every bad field of what is not is named."""

import copy
import json
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.errors import FIELD_ERRORS_MAX, InvalidInput
from club_rules.events import (
    EVENT_TYPES,
    ActivityEvent,
    _reader_of_ids,
    _Reading,
    parse_event,
    wire_event,
)
from club_rules.json_text import RepeatedKeys, load_json

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
PROGRAMS = SimpleNamespace(currency="USD", point_programs=frozenset({"club", "crowns"}))
NAN = float("nan")

LINE = {"item_id": "i-1", "seller_id": "s-1", "category": "books", "unit_price": "12.50", "quantity": 2}
DATA: dict[str, Any] = {
    "member.registered": {"registered_on": "2026-11-22", "birthday": "1984-02-29", "country": "DE"},
    "member.updated": {"birthday": "1984-02-29"},
    "order.completed": {"order_id": "o-1", "currency": "USD", "lines": [LINE], "flags": ["prepaid", "gift"]},
    "order.cancelled": {"order_id": "o-1"},
    "order.refunded": {"order_id": "o-1", "full": True},
    "order.flagged_fraudulent": {"order_id": "o-1"},
    "review.posted": {"order_id": "o-1", "item_id": "i-1"},
    "visit.recorded": {},
    "post.published": {"post_id": "p-1"},
    "promotion.awarded": {"campaign_id": "c-1", "points": 50, "program": "crowns"},
    "contribution.accepted": {"contribution_id": "t-1", "kind": "translation"},
    "violation.confirmed": {"case_id": "v-1", "kind": "spam"},
    "violation.overturned": {"case_id": "v-1", "kind": "spam"},
    "wishlist.item_added": {"item_id": "i-1"},
    "wishlist.item_removed": {"item_id": "i-1"},
    "cart.item_added": {"item_id": "i-1"},
    "cart.item_removed": {"item_id": "i-1"},
    "price.dropped": {"item_id": "i-1", "old_price": "12.50", "new_price": "9.99", "currency": "USD"},
}


def raw(event_type: str = "order.completed", /, **changes: Any) -> dict[str, Any]:
    """A fresh, valid event of the type, with fields replaced."""
    event = {
        "event_id": "e-1",
        "type": event_type,
        "member_id": "m-42",
        "occurred_at": "2026-11-22T10:00:00Z",
        "data": copy.deepcopy(DATA[event_type]),
    }
    if event_type == "price.dropped":
        del event["member_id"]
    return {**event, **changes}


def parse(event: object, now: datetime = NOW) -> ActivityEvent:
    return parse_event(event, now=now, programs=PROGRAMS)


def faults(event: object, now: datetime = NOW) -> list[tuple[str, str]]:
    """The pointer and code of each field that is named; the event has to be refused."""
    with pytest.raises(InvalidInput) as caught:
        parse(event, now)
    return [(error.pointer, error.code) for error in caught.value.errors]


def with_data(event_type: str, **changes: Any) -> dict[str, Any]:
    return raw(event_type, data={**copy.deepcopy(DATA[event_type]), **changes})


def with_line(**changes: Any) -> dict[str, Any]:
    return with_data("order.completed", lines=[{**LINE, **changes}])


# --- what is taken ------------------------------------------------------------------------------------------


def test_the_types_are_those_of_the_rules() -> None:
    assert set(DATA) == EVENT_TYPES
    assert len(EVENT_TYPES) == 18


def test_an_order_is_normalised() -> None:
    event = parse(raw(occurred_at="2026-11-22T11:00:00.500+01:00"))

    assert event.event_id == "e-1"
    assert event.type == "order.completed"
    assert event.member_id == "m-42"
    assert event.occurred_at == datetime(2026, 11, 22, 10, 0, 0, 500_000, tzinfo=UTC)
    assert event.data == {
        "order_id": "o-1",
        "currency": "USD",
        "lines": [{"item_id": "i-1", "seller_id": "s-1", "category": "books", "unit_price": 1250, "quantity": 2}],
        "flags": ["gift", "prepaid"],
    }


@pytest.mark.parametrize("event_type", sorted(DATA))
def test_every_type_is_taken_and_written_back(event_type: str) -> None:
    event = parse(raw(event_type))

    assert event.type == event_type
    assert parse(wire_event(event)) == event
    assert parse(json.loads(json.dumps(wire_event(event)))) == event


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("order.refunded", {"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": 1}]}),
        ("order.refunded", {"order_id": "o-1", "amount": "3.00", "currency": "USD"}),
        ("member.registered", {}),
        ("promotion.awarded", {"campaign_id": "c-1", "points": 1, "program": "club"}),
        ("promotion.awarded", {"campaign_id": "c-1", "points": 10_000, "program": "club"}),
        ("order.completed", {"order_id": "o-1", "currency": "USD", "lines": [LINE] * 500}),
    ],
)
def test_other_forms_are_taken_and_written_back(event_type: str, data: dict[str, Any]) -> None:
    event = parse(raw(event_type, data=data))

    assert parse(wire_event(event)) == event


def test_refunds_are_normalised() -> None:
    lines = [{"item_id": "i-1", "quantity": 3}]

    assert parse(with_data("order.refunded")).data == {"order_id": "o-1", "full": True}
    by_lines = {"order_id": "o-1", "lines": lines}
    assert parse(raw("order.refunded", data=by_lines)).data == by_lines
    by_amount = {"order_id": "o-1", "amount": "3.07", "currency": "USD"}
    assert parse(raw("order.refunded", data=by_amount)).data == {**by_amount, "amount": 307}


@pytest.mark.parametrize("event_type", ["visit.recorded", "member.registered", "member.updated"])
@pytest.mark.parametrize("absent", [{}, {"data": None}, {"data": {}}])
def test_data_may_be_left_out_where_it_holds_nothing(event_type: str, absent: dict[str, Any]) -> None:
    event = raw(event_type)
    del event["data"]

    assert parse({**event, **absent}) == parse({**event, "data": {}})


def test_category_and_flags_may_be_left_out() -> None:
    bare = raw()
    del bare["data"]["flags"]
    del bare["data"]["lines"][0]["category"]
    null = raw()
    null["data"]["flags"] = None
    null["data"]["lines"][0]["category"] = None

    assert parse(bare).data["flags"] == []
    assert parse(bare).data["lines"][0]["category"] is None
    assert parse(bare).digest == parse(null).digest
    assert parse(wire_event(parse(bare))) == parse(bare)


def test_a_price_concerns_no_member() -> None:
    assert parse(raw("price.dropped")).member_id == ""
    assert parse(raw("price.dropped", member_id=None)).member_id == ""
    assert faults(raw("price.dropped", member_id="m-42")) == [("/member_id", "invalid_value")]
    assert faults(raw("price.dropped", member_id="")) == [("/member_id", "invalid_value")]


@pytest.mark.parametrize("name", ["x" * 64, "0", "A.b_c:d-e", "e-1"])
def test_ids_up_to_their_bounds_are_taken(name: str) -> None:
    assert parse(raw(event_id=name, member_id=name)).event_id == name


@pytest.mark.parametrize("category", ["b", "x" * 64, "Bücher & Musik", "図書", "a/b~c"])
def test_a_category_is_any_short_printable_text(category: str) -> None:
    assert parse(with_line(category=category)).data["lines"][0]["category"] == category


@pytest.mark.parametrize("price", ["0.00", "0.01", "999999999.99"])
def test_prices_up_to_their_bounds_are_taken(price: str) -> None:
    event = parse(with_line(unit_price=price, quantity=1_000_000))

    assert wire_event(event)["data"]["lines"][0]["unit_price"] == price


# --- when it occurred ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("late", ["1970-01-01T00:00:00Z", "1997-01-01T12:00:00Z", "2026-11-22T10:15:00Z"])
def test_an_event_may_arrive_late(late: str) -> None:
    assert parse(raw(occurred_at=late))


def test_five_minutes_ahead_are_taken_and_no_more() -> None:
    assert parse(raw(occurred_at="2026-11-22T10:20:00Z"))
    assert parse(raw(occurred_at="2026-11-22T11:20:00+01:00"))
    assert faults(raw(occurred_at="2026-11-22T10:20:00.000001Z")) == [("/occurred_at", "occurred_in_future")]
    assert faults(raw(occurred_at="9999-12-31T23:59:59Z")) == [("/occurred_at", "occurred_in_future")]


@pytest.mark.parametrize("early", ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z"])
def test_what_is_older_than_any_shop_is_refused(early: str) -> None:
    assert faults(raw(occurred_at=early)) == [("/occurred_at", "out_of_range")]


def test_days_are_judged_by_the_date_of_now_in_utc() -> None:
    born_today = with_data("member.registered", birthday="2026-11-22", registered_on="2026-11-22")
    born_tomorrow = with_data("member.registered", birthday="2026-11-23", registered_on="2026-11-23")

    assert parse(born_today).data["birthday"] == "2026-11-22"
    assert faults(born_tomorrow) == [
        ("/data/registered_on", "out_of_range"),
        ("/data/birthday", "out_of_range"),
    ]
    assert parse(born_tomorrow, now=NOW + timedelta(days=1)).data["birthday"] == "2026-11-23"


def test_the_clock_s_own_zone_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    late = NOW.replace(hour=23)
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Kiritimati")  # there it is the 23rd already
        time.tzset()
        assert faults(with_data("member.registered", birthday="2026-11-23"), late) == [
            ("/data/birthday", "out_of_range"),
        ]
    time.tzset()


def test_the_first_instant_of_1970_is_taken() -> None:
    assert parse(raw(occurred_at="1970-01-01T00:00:00Z")).occurred_at == datetime(1970, 1, 1, tzinfo=UTC)


# --- the same content, other content ------------------------------------------------------------------------


def test_the_spelling_of_an_event_does_not_count() -> None:
    event = raw()
    spelt_otherwise = {
        **dict(reversed(event.items())),
        "event_id": "e-2",
        "occurred_at": "2026-11-22T12:00:00.000+02:00",
    }
    spelt_otherwise["data"] = {**event["data"], "flags": ["gift", "prepaid"]}

    assert parse(event).digest == parse(spelt_otherwise).digest


@pytest.mark.parametrize(
    "other",
    [
        raw(member_id="m-43"),
        raw(occurred_at="2026-11-22T10:00:01Z"),
        raw("order.cancelled"),
        with_data("order.completed", order_id="o-2"),
        with_data("order.completed", flags=["gift"]),
        with_data("order.completed", lines=[LINE, LINE]),
        with_line(unit_price="12.51"),
        with_line(quantity=3),
        with_line(category=None),
        with_line(seller_id="s-2"),
    ],
)
def test_other_content_has_another_digest(other: dict[str, Any]) -> None:
    assert parse(other).digest != parse(raw()).digest


def test_two_types_with_the_same_data_differ() -> None:
    types = [event_type for event_type in DATA if event_type.startswith(("cart.", "wishlist."))]
    digests = {parse(raw(event_type)).digest for event_type in types}

    assert len(digests) == 4


def test_the_digest_stays_what_it_is() -> None:
    # Digests are stored with the entries: another way to make them would turn every repeat into a reused id.
    canonical = (
        '["order.completed","m-42","2026-11-22T10:00:00Z",{"currency":"USD","flags":["gift","prepaid"],"lines":'
        '[{"category":"books","item_id":"i-1","quantity":2,"seller_id":"s-1","unit_price":1250}],'
        '"order_id":"o-1"}]'
    )

    assert parse(raw()).digest == sha256(canonical.encode()).hexdigest()


# --- every bad field is named -------------------------------------------------------------------------------

BAD_IDS = [
    "",
    "-e",
    ".e",
    "e\n",
    "e\x00",
    "e#1",
    "e 1",
    "e/1",
    "é",
    "e\u0661",
    "\u0661",
    "x" * 65,
    "e\ud800",
]


@pytest.mark.parametrize("bad", BAD_IDS)
@pytest.mark.parametrize(
    ("pointer", "make"),
    [
        ("/event_id", lambda bad: raw(event_id=bad)),
        ("/member_id", lambda bad: raw(member_id=bad)),
        ("/data/order_id", lambda bad: with_data("order.completed", order_id=bad)),
        ("/data/lines/0/item_id", lambda bad: with_line(item_id=bad)),
        ("/data/lines/0/seller_id", lambda bad: with_line(seller_id=bad)),
        ("/data/post_id", lambda bad: with_data("post.published", post_id=bad)),
        ("/data/campaign_id", lambda bad: with_data("promotion.awarded", campaign_id=bad)),
        ("/data/contribution_id", lambda bad: with_data("contribution.accepted", contribution_id=bad)),
        ("/data/kind", lambda bad: with_data("contribution.accepted", kind=bad)),
        ("/data/case_id", lambda bad: with_data("violation.confirmed", case_id=bad)),
        ("/data/item_id", lambda bad: with_data("cart.item_added", item_id=bad)),
    ],
)
def test_an_id_outside_the_pattern_is_named(pointer: str, make: Callable[[str], dict[str, Any]], bad: str) -> None:
    assert faults(make(bad)) == [(pointer, "invalid_id")]


WRONG_TYPES = [None, True, 7, 1.5, NAN, [], {}, ["m-42"], {"a": 1}]


@pytest.mark.parametrize("bad", WRONG_TYPES, ids=repr)
@pytest.mark.parametrize("field", ["event_id", "type", "member_id", "occurred_at"])
def test_a_field_of_another_type_is_named(field: str, bad: object) -> None:
    assert (f"/{field}", "invalid_type") in faults({**raw(), field: bad})


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (raw(member_id="me"), [("/member_id", "reserved_id")]),
        (raw(type="order.unknown"), [("/type", "unknown_type")]),
        (raw(type="ORDER.COMPLETED"), [("/type", "unknown_type")]),
        (raw(occurred_at="2026-11-22T10:00:00"), [("/occurred_at", "invalid_instant")]),
        (raw(occurred_at="yesterday"), [("/occurred_at", "invalid_instant")]),
        (raw(extra=1), [("/extra", "unknown_field")]),
        ({**raw(), "a/b~c": 1}, [("/a~1b~0c", "unknown_field")]),
        (raw(data=None), [("/data", "invalid_type")]),
        (raw(data=[]), [("/data", "invalid_type")]),
        (raw("visit.recorded", data={"page": "x"}), [("/data/page", "unknown_field")]),
        (raw("visit.recorded", data=[]), [("/data", "invalid_type")]),
        (with_data("order.cancelled", reason="x"), [("/data/reason", "unknown_field")]),
        # lines
        (with_data("order.completed", lines=[]), [("/data/lines", "out_of_range")]),
        (with_data("order.completed", lines=[LINE] * 501), [("/data/lines", "too_many")]),
        (with_data("order.completed", lines=None), [("/data/lines", "invalid_type")]),
        (with_data("order.completed", lines={"0": LINE}), [("/data/lines", "invalid_type")]),
        (
            with_data("order.completed", lines=[LINE, None, LINE, "x"]),
            [("/data/lines/1", "invalid_type"), ("/data/lines/3", "invalid_type")],
        ),
        (with_line(color="red"), [("/data/lines/0/color", "unknown_field")]),
        # quantities
        (with_line(quantity=0), [("/data/lines/0/quantity", "out_of_range")]),
        (with_line(quantity=-1), [("/data/lines/0/quantity", "out_of_range")]),
        (with_line(quantity=1_000_001), [("/data/lines/0/quantity", "out_of_range")]),
        (with_line(quantity=10**400), [("/data/lines/0/quantity", "out_of_range")]),
        (with_line(quantity=1.0), [("/data/lines/0/quantity", "invalid_type")]),
        (with_line(quantity=NAN), [("/data/lines/0/quantity", "invalid_type")]),
        (with_line(quantity=True), [("/data/lines/0/quantity", "invalid_type")]),
        (with_line(quantity="1"), [("/data/lines/0/quantity", "invalid_type")]),
        (with_line(quantity=None), [("/data/lines/0/quantity", "invalid_type")]),
        # money
        (with_line(unit_price=12.5), [("/data/lines/0/unit_price", "invalid_money")]),
        (with_line(unit_price=12), [("/data/lines/0/unit_price", "invalid_money")]),
        (with_line(unit_price=NAN), [("/data/lines/0/unit_price", "invalid_money")]),
        (with_line(unit_price="NaN"), [("/data/lines/0/unit_price", "invalid_money")]),
        (with_line(unit_price="12.5"), [("/data/lines/0/unit_price", "invalid_money")]),
        (with_line(unit_price="-1.00"), [("/data/lines/0/unit_price", "invalid_money")]),
        (with_line(unit_price="1000000000.00"), [("/data/lines/0/unit_price", "out_of_range")]),
        (with_line(unit_price=True), [("/data/lines/0/unit_price", "invalid_type")]),
        (with_line(unit_price=None), [("/data/lines/0/unit_price", "invalid_type")]),
        (with_data("price.dropped", new_price=9.99), [("/data/new_price", "invalid_money")]),
        # currencies
        (with_data("order.completed", currency="EUR"), [("/data/currency", "currency_mismatch")]),
        (with_data("order.completed", currency="ZZZ"), [("/data/currency", "currency_mismatch")]),
        (with_data("order.completed", currency="usd"), [("/data/currency", "invalid_value")]),
        (with_data("order.completed", currency="USD\n"), [("/data/currency", "invalid_value")]),
        (with_data("order.completed", currency=840), [("/data/currency", "invalid_type")]),
        (with_data("price.dropped", currency="EUR"), [("/data/currency", "currency_mismatch")]),
        (
            with_data("order.completed", currency="JPY", lines=[{**LINE, "unit_price": "1200"}]),
            [("/data/currency", "currency_mismatch")],
        ),
        # flags
        (with_data("order.completed", flags="gift"), [("/data/flags", "invalid_type")]),
        (with_data("order.completed", flags=["gift", "gift"]), [("/data/flags/1", "invalid_value")]),
        (
            with_data("order.completed", flags=["late", 1, None]),
            [
                ("/data/flags/0", "invalid_value"),
                ("/data/flags/1", "invalid_type"),
                ("/data/flags/2", "invalid_type"),
            ],
        ),
        # categories
        (with_line(category=""), [("/data/lines/0/category", "invalid_value")]),
        (with_line(category="x" * 65), [("/data/lines/0/category", "invalid_value")]),
        (with_line(category="a\nb"), [("/data/lines/0/category", "invalid_value")]),
        (with_line(category="a\x00"), [("/data/lines/0/category", "invalid_value")]),
        (with_line(category="a\ud800"), [("/data/lines/0/category", "invalid_value")]),
        (with_line(category=5), [("/data/lines/0/category", "invalid_type")]),
        # members
        (with_data("member.updated", birthday="1999-02-29"), [("/data/birthday", "invalid_value")]),
        (with_data("member.updated", birthday="29.02.1984"), [("/data/birthday", "invalid_value")]),
        (with_data("member.updated", birthday=None), [("/data/birthday", "invalid_type")]),
        (with_data("member.updated", birthday="2027-01-01"), [("/data/birthday", "out_of_range")]),
        (with_data("member.updated", country="de"), [("/data/country", "invalid_value")]),
        (with_data("member.updated", country="XX"), [("/data/country", "invalid_value")]),
        (with_data("member.updated", country="UK"), [("/data/country", "invalid_value")]),
        (with_data("member.updated", country=None), [("/data/country", "invalid_type")]),
        (with_data("member.updated", name="x"), [("/data/name", "unknown_field")]),
        # refunds
        (raw("order.refunded", data={"order_id": "o-1"}), [("/data", "missing")]),
        (with_data("order.refunded", full=False), [("/data/full", "invalid_value")]),
        (with_data("order.refunded", full=1), [("/data/full", "invalid_value")]),
        (
            with_data("order.refunded", lines=[{"item_id": "i-1", "quantity": 1}]),
            [("/data/lines", "invalid_value")],
        ),
        (
            with_data("order.refunded", amount="1.00", currency="USD"),
            [("/data/amount", "invalid_value")],
        ),
        (with_data("order.refunded", currency="USD"), [("/data/currency", "unknown_field")]),
        (
            raw("order.refunded", data={"order_id": "o-1", "amount": "1.00"}),
            [("/data/currency", "missing")],
        ),
        (
            raw("order.refunded", data={"order_id": "o-1", "currency": "USD"}),
            [("/data/amount", "missing")],
        ),
        (
            raw("order.refunded", data={"order_id": "o-1", "amount": "1.00", "currency": "EUR"}),
            [("/data/currency", "currency_mismatch")],
        ),
        (
            raw("order.refunded", data={"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": 0}]}),
            [("/data/lines/0/quantity", "out_of_range")],
        ),
        (raw("order.refunded", data={"order_id": "o-1", "lines": []}), [("/data/lines", "out_of_range")]),
        (
            raw("order.refunded", data={"order_id": "o-1", "lines": [{**LINE, "quantity": 1}]}),
            [
                ("/data/lines/0/seller_id", "unknown_field"),
                ("/data/lines/0/category", "unknown_field"),
                ("/data/lines/0/unit_price", "unknown_field"),
            ],
        ),
        # promotions
        (with_data("promotion.awarded", points=0), [("/data/points", "out_of_range")]),
        (with_data("promotion.awarded", points=10_001), [("/data/points", "out_of_range")]),
        (with_data("promotion.awarded", points=1.0), [("/data/points", "invalid_type")]),
        (with_data("promotion.awarded", points=True), [("/data/points", "invalid_type")]),
        (with_data("promotion.awarded", points="50"), [("/data/points", "invalid_type")]),
        (with_data("promotion.awarded", program="vip"), [("/data/program", "invalid_value")]),
        (with_data("promotion.awarded", program="none"), [("/data/program", "invalid_value")]),
        # violations
        (with_data("violation.confirmed", kind="theft"), [("/data/kind", "invalid_value")]),
    ],
)
def test_a_bad_field_is_named_and_nothing_else(event: object, expected: list[tuple[str, str]]) -> None:
    assert faults(event) == expected


def test_all_bad_fields_are_named_not_only_the_first() -> None:
    event = {
        "event_id": "e 1",
        "type": "order.completed",
        "occurred_at": "2026-11-22T10:21:00Z",
        "channel": "web",
        "data": {
            "order_id": 5,
            "currency": "EUR",
            "lines": [
                {**LINE, "unit_price": 12.5},
                {"item_id": "i-1", "quantity": NAN, "color": "red"},
                LINE,
            ],
            "flags": ["gift", "late"],
            "note": "",
        },
    }

    assert set(faults(event)) == {
        ("/event_id", "invalid_id"),
        ("/member_id", "missing"),
        ("/occurred_at", "occurred_in_future"),
        ("/channel", "unknown_field"),
        ("/data/order_id", "invalid_type"),
        ("/data/currency", "currency_mismatch"),
        ("/data/lines/0/unit_price", "invalid_money"),
        ("/data/lines/1/seller_id", "missing"),
        ("/data/lines/1/unit_price", "missing"),
        ("/data/lines/1/quantity", "invalid_type"),
        ("/data/lines/1/color", "unknown_field"),
        ("/data/flags/1", "invalid_value"),
        ("/data/note", "unknown_field"),
    }
    with pytest.raises(InvalidInput) as caught:
        parse(event)
    assert caught.value.code == caught.value.errors[0].code
    for pointer, _ in faults(event):
        assert pointer in caught.value.detail


AN_ID = "must be 1 to 64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit"
NO_FIELD = "is not a field of this object"


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (raw(more=1), ["/more: is not a field of this object"]),
        (raw(occurred_at=7), ["/occurred_at: must be an RFC 3339 instant with an offset"]),
        (
            raw(occurred_at="yesterday"),
            ["/occurred_at: must be an RFC 3339 instant with an offset, such as 2026-11-22T10:15:00Z"],
        ),
        (raw(occurred_at="2026-11-22T10:20:01Z"), ["/occurred_at: is more than 5 minutes in the future"]),
        (raw(occurred_at="1969-12-31T23:59:59Z"), ["/occurred_at: must not be before 1970-01-01T00:00:00Z"]),
        ({name: value for name, value in raw().items() if name != "data"}, ["/data: is required"]),
        (
            with_data("member.registered", country="Germany", birthday=7, registered_on="2026-11-23"),
            [
                "/data/registered_on: must not be in the future",
                "/data/birthday: must be a day, such as 2026-11-22",
                "/data/country: must be an ISO 3166-1 alpha-2 code in capitals, such as DE",
            ],
        ),
        (with_data("member.updated", birthday="1984-02-30"), ["/data/birthday: must be a day that the calendar has"]),
        (
            raw("order.refunded", data={"order_id": "o-1"}),
            ["/data: one of full, lines, or amount with currency is required"],
        ),
        (
            with_data("order.refunded", full=1, lines=[], amount="1.00", currency="USD"),
            [
                "/data/lines: can't stand beside full",
                "/data/amount: can't stand beside full",
                "/data/full: must be true, or be left out",
                "/data/lines: must hold at least one line",
            ],
        ),
        (
            raw("order.refunded", data={"order_id": "-", "more": 1, "full": True, "currency": "USD"}),
            [f"/data/more: {NO_FIELD}", f"/data/order_id: {AN_ID}", "/data/currency: can't stand beside full"],
        ),
        (
            raw("order.refunded", data={"order_id": "o-1", "lines": [7, {"item_id": "-", "quantity": 0, "more": 1}]}),
            [
                "/data/lines/0: must be an object",
                f"/data/lines/1/more: {NO_FIELD}",
                f"/data/lines/1/item_id: {AN_ID}",
                "/data/lines/1/quantity: must be from 1 to 1000000",
            ],
        ),
        (
            raw("promotion.awarded", data={"more": 1, "campaign_id": "c-1", "points": 10_001, "program": "vip"}),
            [
                f"/data/more: {NO_FIELD}",
                "/data/points: must be from 1 to 10000",
                "/data/program: must be one of club, crowns",
            ],
        ),
        (
            with_data("violation.confirmed", more=1, kind="theft"),
            [
                f"/data/more: {NO_FIELD}",
                "/data/kind: must be one of coupon_fraud, extortion, return_abuse, spam",
            ],
        ),
        (
            with_data("price.dropped", more=1, item_id="-", old_price=12.5, new_price="1", currency="EUR"),
            [
                f"/data/more: {NO_FIELD}",
                f"/data/item_id: {AN_ID}",
                "/data/currency: must be USD",
                "/data/old_price: must be a decimal string, never a number",
                '/data/new_price: must be a decimal string with exactly the decimals of EUR, such as "12.50"',
            ],
        ),
        (
            with_data("order.completed", currency=7, lines="all"),
            ["/data/currency: must be an ISO 4217 code", "/data/lines: must be a list of 1 to 500 lines"],
        ),
        (with_data("order.completed", lines=[LINE] * 501), ["/data/lines: must hold at most 500 lines"]),
        (with_line(category=7), ["/data/lines/0/category: must be a string"]),
        (with_line(category=""), ["/data/lines/0/category: must be 1 to 64 printable characters"]),
        (with_data("order.completed", flags="gift"), ["/data/flags: must be a list of flags"]),
        (with_data("order.completed", flags=["gift"] * 501), ["/data/flags: must hold at most 5 flags"]),
        (
            with_data("order.completed", flags=["gift"] * 500),
            [f"/data/flags/{n}: stands in the list already" for n in range(1, 500)],
        ),
        (
            with_data("order.completed", flags=["gift", 7, "wrapped"]),
            [
                "/data/flags/1: must be a string",
                "/data/flags/2: must be one of fraudulent, gift, preferential_shipping, preorder, prepaid",
            ],
        ),
        (with_data("review.posted", more=1, item_id="-"), [f"/data/more: {NO_FIELD}", f"/data/item_id: {AN_ID}"]),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(event: object, expected: list[str]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse(event)
    assert [f"{error.pointer}: {error.detail}" for error in caught.value.errors] == expected


def test_a_list_of_flags_without_end_is_not_looked_at() -> None:
    assert faults(with_data("order.completed", flags=["gift"] * 501)) == [("/data/flags", "too_many")]


def test_the_reader_of_ids_names_what_is_no_id_and_what_is_no_field() -> None:
    """By itself: those of the types were made when the module was read."""
    read = _reader_of_ids("a_id", "b_id")
    reading = _Reading(NOW, PROGRAMS)
    assert read({"a_id": "a-1", "b_id": "b-1"}, reading) == {"a_id": "a-1", "b_id": "b-1"}
    assert reading.errors == []
    assert read({"a_id": "a-1", "c_id": "c-1"}, reading) == {"a_id": "a-1", "b_id": ""}
    assert reading.errors == [
        ("/data/c_id", "unknown_field", NO_FIELD),
        ("/data/b_id", "missing", "is required: an id, as a string"),
    ]


def test_an_event_of_unknown_type_has_its_other_fields_named_too() -> None:
    event = raw(type="order.lost", event_id="", member_id="m 1", occurred_at="now", extra=1)

    assert set(faults(event)) == {
        ("/type", "unknown_type"),
        ("/event_id", "invalid_id"),
        ("/member_id", "invalid_id"),
        ("/occurred_at", "invalid_instant"),
        ("/extra", "unknown_field"),
    }


@pytest.mark.parametrize("event", [None, True, 1, 1.5, NAN, "x", [], [raw()]], ids=repr)
def test_what_is_no_object_is_no_event(event: object) -> None:
    assert faults(event) == [("", "invalid_type")]


def test_an_answer_is_bounded_and_harmless_whatever_is_sent() -> None:
    flood = {f"f{number}": 1 for number in range(2 * FIELD_ERRORS_MAX)}
    with pytest.raises(InvalidInput) as caught:
        parse({**raw(), **flood})
    assert len(caught.value.errors) == FIELD_ERRORS_MAX + 1
    assert caught.value.errors[-1] == ("", "too_many", f"{FIELD_ERRORS_MAX} more fields are wrong")
    assert len(caught.value.detail) < 3_000

    with pytest.raises(InvalidInput) as caught:
        parse({**raw(), "\x00\ud800" + "x" * 100_000: 1})
    assert len(caught.value.detail) < 300
    assert caught.value.detail.isprintable()


# --- by property --------------------------------------------------------------------------------------------

IDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", fullmatch=True).filter(lambda text: text != "me")
AMOUNTS = st.integers(0, 99_999_999_999).map(lambda minor: f"{minor // 100}.{minor % 100:02d}")
DAYS = st.dates(max_value=NOW.date()).map(lambda day: day.isoformat())
LINES = st.lists(
    st.fixed_dictionaries(
        {"item_id": IDS, "seller_id": IDS, "unit_price": AMOUNTS, "quantity": st.integers(1, 1_000_000)},
        optional={"category": st.none() | st.text(min_size=1, max_size=64).filter(str.isprintable)},
    ),
    min_size=1,
    max_size=4,
)
FLAGS = st.lists(st.sampled_from(["preorder", "prepaid", "gift", "preferential_shipping", "fraudulent"]), unique=True)
USD = st.just("USD")
ORDER_ONLY = {"order_id": IDS}
DATA_OF_TYPE = {
    "member.registered": st.fixed_dictionaries(
        {}, optional={"registered_on": DAYS, "birthday": DAYS, "country": st.sampled_from(["DE", "RU", "BY"])}
    ),
    "order.completed": st.fixed_dictionaries(
        {"order_id": IDS, "currency": USD, "lines": LINES}, optional={"flags": FLAGS}
    ),
    "order.refunded": st.one_of(
        st.fixed_dictionaries({"order_id": IDS, "full": st.just(True)}),
        st.fixed_dictionaries({"order_id": IDS, "amount": AMOUNTS, "currency": USD}),
        st.fixed_dictionaries(
            {
                "order_id": IDS,
                "lines": st.lists(
                    st.fixed_dictionaries({"item_id": IDS, "quantity": st.integers(1, 1_000_000)}),
                    min_size=1,
                    max_size=4,
                ),
            }
        ),
    ),
    "review.posted": st.fixed_dictionaries({"order_id": IDS, "item_id": IDS}),
    "visit.recorded": st.just({}),
    "promotion.awarded": st.fixed_dictionaries(
        {
            "campaign_id": IDS,
            "points": st.integers(1, 10_000),
            "program": st.sampled_from(["club", "crowns"]),
        }
    ),
    "violation.confirmed": st.fixed_dictionaries({"case_id": IDS, "kind": st.just("extortion")}),
    "price.dropped": st.fixed_dictionaries(
        {"item_id": IDS, "old_price": AMOUNTS, "new_price": AMOUNTS, "currency": USD}
    ),
}
INSTANTS = st.integers(0, int(NOW.timestamp())).map(
    lambda seconds: (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)).isoformat()
)


@st.composite
def events(draw: st.DrawFn) -> dict[str, Any]:
    """Any valid event."""
    event_type = draw(st.sampled_from(sorted(DATA_OF_TYPE)))
    event = {
        "event_id": draw(IDS),
        "type": event_type,
        "occurred_at": draw(INSTANTS),
        "data": draw(DATA_OF_TYPE[event_type]),
    }
    if event_type != "price.dropped":
        event["member_id"] = draw(IDS)
    return event


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


def paths_of(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    """Every place in a JSON value, the whole excepted."""
    keys = value.keys() if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ()
    return [place for key in keys for place in [(*path, key), *paths_of(value[key], (*path, key))]]


def put(value: Any, path: tuple[str | int, ...], new: object) -> Any:
    """A copy of a JSON value with something else at a place."""
    changed = copy.deepcopy(value)
    held = changed
    for key in path[:-1]:
        held = held[key]
    held[path[-1]] = new
    return changed


def pointer_of(path: tuple[str | int, ...]) -> str:
    return "".join(f"/{key}" for key in path)


@given(events())
def test_any_valid_event_is_taken_and_written_back(event: dict[str, Any]) -> None:
    read = parse(event)

    assert parse(wire_event(read)) == read
    assert parse(load_json(json.dumps(wire_event(read)))) == read


@given(JSON_VALUES)
def test_no_json_value_raises_anything_but_invalid_input(value: object) -> None:
    with pytest.raises(InvalidInput):
        parse(value)


@given(st.data(), events(), JSON_VALUES)
def test_a_value_replaced_anywhere_is_either_taken_or_named(
    data: st.DataObject, event: dict[str, Any], value: object
) -> None:
    path = data.draw(st.sampled_from(paths_of(event)))
    changed = put(event, path, value)
    try:
        parse(changed)
    except InvalidInput:
        named = [pointer for pointer, _ in faults(changed)]
        assert named
        # Another type asks for other data, so that there more than the type can be wrong.
        assert path == ("type",) or all(pointer.startswith(pointer_of(path)) for pointer in named)


@given(st.data(), events())
def test_a_value_of_no_field_s_type_is_always_named(data: st.DataObject, event: dict[str, Any]) -> None:
    path = data.draw(st.sampled_from(paths_of(event)))

    assert pointer_of(path) in [pointer for pointer, _ in faults(put(event, path, 1.5))]


@given(st.data(), events())
def test_an_unknown_field_is_named_wherever_it_stands(data: st.DataObject, event: dict[str, Any]) -> None:
    objects = [(), *[path for path in paths_of(event) if isinstance(at(event, path), dict)]]
    path = (*data.draw(st.sampled_from(objects)), "zz")

    assert faults(put(event, path, 1)) == [(pointer_of(path), "unknown_field")]


@given(st.data(), events())
def test_a_field_that_is_not_there_is_named_unless_it_may_be_left_out(
    data: st.DataObject, event: dict[str, Any]
) -> None:
    path = data.draw(st.sampled_from([path for path in paths_of(event) if isinstance(path[-1], str)]))
    held = copy.deepcopy(event)
    del at(held, path[:-1])[path[-1]]
    optional = path[-1] in {"category", "flags", "registered_on", "birthday", "country"}

    if optional or (path == ("data",) and event["type"] in {"visit.recorded", "member.registered"}):
        assert parse(held)
    elif path[-1] in {"full", "lines"} and event["type"] == "order.refunded":
        assert faults(held) == [("/data", "missing")]
    else:
        assert faults(held) == [(pointer_of(path), "missing")]


@given(st.data(), events())
def test_two_bad_fields_are_both_named(data: st.DataObject, event: dict[str, Any]) -> None:
    # Without its type nobody can tell what the data should be: that one is left alone.
    leaves = [path for path in paths_of(event) if path != ("type",) and not container(at(event, path))]
    first, second = data.draw(st.lists(st.sampled_from(leaves), min_size=2, max_size=2))
    named = [pointer for pointer, _ in faults(put(put(event, first, 1.5), second, 1.5))]

    assert {pointer_of(first), pointer_of(second)} == set(named)


def container(value: object) -> bool:
    return isinstance(value, (dict, list))


def at(value: Any, path: tuple[str | int, ...]) -> Any:
    for key in path:
        value = value[key]
    return value


# --- JSON ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("{}", {}),
        (b'{"a":[1,2.5,"x",null,true]}', {"a": [1, 2.5, "x", None, True]}),
        ('"\\ud83d\\ude00"', "😀"),
        ("[" * 32 + "]" * 32, None),
        ('{"a":{"a":1}}', {"a": {"a": 1}}),
    ],
)
def test_json_is_read(text: str | bytes, value: object) -> None:
    assert load_json(text) == (json.loads(text) if value is None else value)


NO_JSON = [
    "",
    " ",
    "{",
    "nul",
    "{'a':1}",
    "[1,]",
    "{} {}",
    "\ufeff{}",
    b"\xff",
    b'"\xed\xa0\x80"',
    '{"a":1}'.encode("utf-16"),
    '"\n"',
    "[" * 100_000 + "]" * 100_000,
    '{"a":' + "[" * 100_000,
]


@pytest.mark.parametrize("text", NO_JSON, ids=lambda text: ascii(text[:12]))
@pytest.mark.parametrize("defer", [False, True])
def test_what_is_no_json_is_refused(text: str | bytes, defer: bool) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_json(text, defer=defer)
    assert [(error.pointer, error.code) for error in caught.value.errors] == [("", "invalid_json")]


@pytest.mark.parametrize(
    "text",
    ["NaN", "-Infinity", '{"a":Infinity}', "1e999", "[-1e999]", "1" * 5000, "[" * 33 + "]" * 33],
    ids=lambda text: text[:12],
)
def test_what_only_python_takes_for_json_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_json(text)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize(
    ("text", "detail"),
    [
        (b"\xff", "must be UTF-8"),
        ("1e999", "must be JSON: a number is too large"),
        ("[" * 33 + "]" * 33, "must be nested at most 32 levels deep"),
        ("[1,]", "must be JSON: "),
    ],
)
def test_what_is_wrong_with_a_text_is_said_in_plain_words(text: str | bytes, detail: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        load_json(text)
    (error,) = caught.value.errors
    assert error.detail.startswith(detail) if detail.endswith(" ") else error.detail == detail


def test_repeated_keys_are_refused_and_named() -> None:
    with pytest.raises(InvalidInput) as caught:
        load_json('{"a":1,"b":2,"a":3,"b/c":4,"b/c":4,"a":5}')
    assert [(error.pointer, error.code) for error in caught.value.errors] == [
        ("/a", "duplicate_key"),
        ("/b~1c", "duplicate_key"),
    ]
    with pytest.raises(InvalidInput) as deferred:
        load_json('{"a":1,"a":1}', defer=True)
    assert deferred.value.errors == [("/a", "duplicate_key", "stands more than once in this object")]


def test_what_is_wrong_with_one_event_can_be_left_to_its_check() -> None:
    text = batch_with_one_fault_each(json.dumps(raw()))
    decoded = load_json(text, defer=True)
    assert isinstance(decoded, dict)
    batch = decoded["events"]

    assert parse(batch[0]) == parse(raw())
    assert faults(batch[1]) == [("/data/lines/0/quantity", "invalid_type")]
    assert faults(batch[2]) == [("/data/lines/0/quantity", "duplicate_key")]
    assert faults(batch[3]) == [("/data/lines/0/unit_price", "invalid_money")]
    assert faults(batch[4]) == [("/data/lines/0/quantity", "invalid_type")]
    assert faults(batch[5]) == [("/event_id", "duplicate_key")]
    assert faults(batch[6]) == [("/data/lines/0/category", "invalid_type")]
    assert isinstance(batch[5], RepeatedKeys)


def batch_with_one_fault_each(good: str) -> str:
    quantity = '"quantity": 2'
    variants = [
        good,
        good.replace(quantity, '"quantity": NaN'),
        good.replace(quantity, '"quantity": 2, "quantity": 3'),
        good.replace('"12.50"', "1e999"),
        good.replace(quantity, '"quantity": ' + "9" * 5000),
        good.replace('"event_id": "e-1"', '"event_id": "e-1", "event_id": "e-2"'),
        good.replace('"books"', "[" * 200 + "]" * 200),
    ]
    return f'{{"events": [{", ".join(variants)}]}}'


@given(st.text(alphabet='{}[]",:0123456789.eEnultrfas\\ NaN', max_size=40) | st.text(max_size=20))
def test_no_text_raises_anything_but_invalid_input(text: str) -> None:
    for defer in (False, True):
        with suppress(InvalidInput):
            load_json(text, defer=defer)


@given(st.binary(max_size=40))
def test_no_bytes_raise_anything_but_invalid_input(content: bytes) -> None:
    with suppress(InvalidInput):
        load_json(content)
