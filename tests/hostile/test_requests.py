"""Every hostile value in every field that is sent: a refusal that names that field, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from club_rules.adjustments import parse_adjustment
from club_rules.decisions import parse_dispute_request, parse_refund_request
from club_rules.errors import InvalidInput
from club_rules.events import parse_event
from club_rules.fields import is_id
from club_rules.json_text import load_json
from club_rules.programs import load_programs
from tests.hostile.cases import IDS_REFUSED, IDS_TAKEN, VALUES, Place, places, pointer_of, put
from tests.hostile.judge import NOW

PROGRAMS = load_programs()

ORDER = {
    "event_id": "e-1",
    "type": "order.completed",
    "member_id": "m-42",
    "occurred_at": "2026-11-22T10:00:00Z",
    "data": {
        "order_id": "o-1",
        "currency": "USD",
        "lines": [{"item_id": "i-1", "seller_id": "s-1", "category": "books", "unit_price": "12.50", "quantity": 2}],
        "flags": ["gift"],
    },
}
REFUND = {
    "request_id": "r-1",
    "member_id": "m-42",
    "order_id": "o-1",
    "dispute_id": "d-1",
    "refund": {"kind": "full", "amount": "24.99", "currency": "USD"},
    "seller_approved_at": "2026-11-22T09:00:00Z",
    "return_shipment": {"carrier": "DHL", "tracking_number": "JD01", "first_scan_at": "2026-11-22T09:30:00Z"},
    "order_eligible": True,
}
DISPUTE = {
    "request_id": "r-1",
    "member_id": "m-42",
    "dispute_id": "d-1",
    "order_id": "o-1",
    "escalated_at": "2026-11-22T09:00:00Z",
    "review_due_at": "2026-12-02T09:00:00Z",
}
POINTS = {"adjustment_id": "a-1", "program": "club", "points": -25, "reason": "counted twice"}
SPEND = {"adjustment_id": "a-1", "program": "vip", "spend": "-25.00", "reason": "counted twice"}

READERS: dict[str, tuple[dict[str, Any], Callable[[object], Any]]] = {
    "an order": (ORDER, lambda body: parse_event(body, now=NOW, programs=PROGRAMS)),
    "a refund": (REFUND, lambda body: parse_refund_request(body, PROGRAMS)),
    "a dispute": (DISPUTE, parse_dispute_request),
    "an adjustment of points": (POINTS, lambda body: parse_adjustment(body, "m-42", PROGRAMS)),
    "an adjustment of spend": (SPEND, lambda body: parse_adjustment(body, "m-42", PROGRAMS)),
}
FIELDS = [(name, place) for name, (body, _) in READERS.items() for place in places(body)]
MEANT_BY_OTHERS = {"type", "currency", "program"}
"""What these say bears on what other fields have to be."""


def tell(text: bytes, read: Callable[[object], Any]) -> tuple[Any, list[str]]:
    """What was read, and the pointers of a refusal; the number of those that are not named one by one is none."""
    try:
        return read(load_json(text, defer=True)), []
    except InvalidInput as error:
        told = error.errors
    assert all(each.code and each.detail.isprintable() and each.pointer.isprintable() for each in told)
    return None, [each.pointer for each in told if (each.pointer, each.code) != ("", "too_many")]


def test_what_is_right_is_read() -> None:
    for body, read in READERS.values():
        assert tell(json.dumps(body).encode(), read)[1] == []


@pytest.mark.parametrize(("name", "place"), FIELDS, ids=[f"{name}{pointer_of(place)}" for name, place in FIELDS])
def test_a_hostile_value_is_named_where_it_stands(name: str, place: Place) -> None:
    body, read = READERS[name]
    hostile = [*VALUES.values(), *map(json.dumps, IDS_REFUSED.values()), *map(json.dumps, IDS_TAKEN)]
    field, pointer = place[-1], pointer_of(place)
    refused = 0
    for value in hostile:
        found, pointers = tell(put(body, place, value), read)
        if field not in MEANT_BY_OTHERS:
            assert all(each == pointer or each.startswith(f"{pointer}/") for each in pointers), (value[:80], pointers)
        refused += found is None
    assert refused > len(hostile) / 3  # most of the table is wrong in any field


@pytest.mark.parametrize(
    ("name", "place"),
    [(name, place) for name, place in FIELDS if str(place[-1]).endswith("_id")],
    ids=[f"{name}{pointer_of(place)}" for name, place in FIELDS if str(place[-1]).endswith("_id")],
)
def test_an_id_is_taken_as_it_stands_or_not_at_all(name: str, place: Place) -> None:
    body, read = READERS[name]

    for text in IDS_REFUSED.values():
        assert not is_id(text)
        assert tell(put(body, place, json.dumps(text)), read) == (None, [pointer_of(place)])
    for text in IDS_TAKEN:
        found, _ = tell(put(body, place, json.dumps(text)), read)
        assert at(found, place) == text


def at(found: Any, place: Place) -> Any:
    """What was read at a place, whether it is an attribute or stands in the data of an event."""
    for step in place:
        is_attribute = not isinstance(found, (dict, list))
        found = getattr(found, str(step)) if is_attribute else found[step]
    return found
