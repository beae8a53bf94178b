"""Events made up by a seed: right ones of every type, and what becomes of them when somebody tampers with them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.hostile.cases import IDS_REFUSED, IDS_TAKEN, VALUES, Place

_IDS = ("m-42", "o-1001", "i-1", "e-7", "a" * 64, "0", "A.b_c:d-e", *IDS_TAKEN)
_NASTY = tuple(json.dumps(text) for text in (*IDS_REFUSED.values(), *IDS_TAKEN))
_SMALL = tuple(value for value in VALUES.values() if len(value) < 10_000)
_LARGE = (*(value for value in VALUES.values() if len(value) >= 10_000), "[" * 20_000 + "]" * 20_000)
_CATEGORIES = (
    "books",
    "b\u00fccher",
    "\u043a\u043d\u0438\u0433\u0438",
    "\u66f8\u7c4d",
    "\U0001f4da",
    "c:purchase",
    "#",
    "x" * 64,
)
_INSTANTS = (
    "2026-11-22T10:00:00Z",
    "2026-11-22t10:00:00z",
    "2026-11-22T11:00:00.5+01:00",
    "2026-11-22T10:20:00Z",
    "2026-11-22T10:14:59.999999999Z",
    "2024-02-29T23:59:59-23:59",
    "1970-01-01T00:00:00Z",
    "1999-12-31T23:59:59.000001+00:00",
)
_DAYS = ("1984-02-29", "1970-01-01", "2026-11-22", "0001-01-01", "2000-12-31")
_MONEY = ("0.00", "0.01", "1.99", "2.00", "12.50", "999999999.99", "1000.10")
_FLAGS = ("preorder", "prepaid", "gift", "preferential_shipping", "fraudulent")
_KINDS = ("return_abuse", "extortion", "coupon_fraud", "spam")
_UNKNOWN = (
    "x",
    "",
    "Event_id",
    "event_id ",
    "__proto__",
    "a/b",
    "m~n",
    "\u0000",
    "\u202eid",
    "\ud800",
    "\u00e9",
    "e\u0301",
    "k" * 300,
)
_SPLICES = (
    b"\x00",
    b"\xff",
    b'"',
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"\\u0000",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"-0",
    b"\xe2\x80\xae",
    b"null",
)


class Raw(str):
    """JSON text that stands as it is."""

    __slots__ = ()


class Twice(NamedTuple):
    """A value whose key stands a second time, with ``again``."""

    value: Any
    again: Any


class Made(NamedTuple):
    """A made-up event as JSON, and what is known of it.

    ``blame``: where alone a refusal may find fault, as places; None: anywhere. ``verdict``: True, it is right; False,
    it is wrong; None: that depends on what came out.
    """

    text: bytes
    how: str
    blame: tuple[Place, ...] | None
    verdict: bool | None


def make(chance: random.Random) -> Made:
    """One made-up event; the same chance makes the same."""
    event = _event(chance)
    pick = chance.random()
    for share, tamper in _TAMPERINGS:
        if pick < share:
            return tamper(event, chance)
        pick -= share
    return Made(write(event), "right", (), True)


# --- right ones


def _of(chance: random.Random, choices: tuple[Any, ...]) -> Any:
    return choices[int(chance.random() * len(choices))]


def _line(chance: random.Random) -> dict[str, Any]:
    line = {
        "item_id": _of(chance, _IDS),
        "seller_id": _of(chance, _IDS),
        "unit_price": _of(chance, _MONEY),
        "quantity": _of(chance, (1, 2, 999_999, 1_000_000)),
    }
    if chance.random() < 0.7:
        line["category"] = _of(chance, (*_CATEGORIES, None))
    return line


def _how_many(chance: random.Random) -> int:
    return 500 if chance.random() < 0.001 else 1 + int(chance.random() * 3)


def _order(chance: random.Random) -> dict[str, Any]:
    order: dict[str, Any] = {"order_id": _of(chance, _IDS), "currency": "USD"}
    order["lines"] = [_line(chance) for _ in range(_how_many(chance))]
    if chance.random() < 0.6:
        order["flags"] = None if chance.random() < 0.2 else chance.sample(_FLAGS, int(chance.random() * 6))
    return order


def _refund(chance: random.Random) -> dict[str, Any]:
    refund: dict[str, Any] = {"order_id": _of(chance, _IDS)}
    pick = chance.random()
    if pick < 0.3:
        return {**refund, "full": True}
    if pick < 0.6:
        return {**refund, "amount": _of(chance, _MONEY), "currency": "USD"}
    lines = [{"item_id": _of(chance, _IDS), "quantity": _of(chance, (1, 1_000_000))} for _ in range(_how_many(chance))]
    return {**refund, "lines": lines}


def _member(chance: random.Random) -> dict[str, Any]:
    whole = {"registered_on": _of(chance, _DAYS), "birthday": _of(chance, _DAYS), "country": _of(chance, ("DE", "RU"))}
    return {name: value for name, value in whole.items() if chance.random() < 0.6}


def _ids(*names: str) -> Callable[[random.Random], dict[str, Any]]:
    return lambda chance: {name: _of(chance, _IDS) for name in names}


def _case(chance: random.Random) -> dict[str, Any]:
    return {"case_id": _of(chance, _IDS), "kind": _of(chance, _KINDS)}


def _promotion(chance: random.Random) -> dict[str, Any]:
    return {
        "campaign_id": _of(chance, _IDS),
        "points": _of(chance, (1, 10_000)),
        "program": _of(chance, ("club", "crowns")),
    }


def _drop(chance: random.Random) -> dict[str, Any]:
    prices = {"old_price": _of(chance, _MONEY), "new_price": _of(chance, _MONEY)}
    return {"item_id": _of(chance, _IDS), **prices, "currency": "USD"}


_DATA: dict[str, Callable[[random.Random], dict[str, Any]]] = {
    "member.registered": _member,
    "member.updated": _member,
    "order.completed": _order,
    "order.cancelled": _ids("order_id"),
    "order.refunded": _refund,
    "order.flagged_fraudulent": _ids("order_id"),
    "review.posted": _ids("order_id", "item_id"),
    "visit.recorded": _ids(),
    "post.published": _ids("post_id"),
    "promotion.awarded": _promotion,
    "contribution.accepted": _ids("contribution_id", "kind"),
    "violation.confirmed": _case,
    "violation.overturned": _case,
    "wishlist.item_added": _ids("item_id"),
    "wishlist.item_removed": _ids("item_id"),
    "cart.item_added": _ids("item_id"),
    "cart.item_removed": _ids("item_id"),
    "price.dropped": _drop,
}
TYPES = tuple(_DATA)
# Those with the most in them come more often.
_DRAWN = (*TYPES, *["order.completed"] * 10, *["order.refunded"] * 5, "member.registered", "price.dropped")


def _event(chance: random.Random) -> dict[str, Any]:
    event_type = _of(chance, _DRAWN)
    event = {
        "event_id": _of(chance, _IDS),
        "type": event_type,
        "member_id": _of(chance, _IDS),
        "occurred_at": _of(chance, _INSTANTS),
        "data": _DATA[event_type](chance),
    }
    if event_type == "price.dropped":
        event["member_id"] = None
    return event


# --- what becomes of them


def _spots(value: Any, at: Place = ()) -> list[Place]:
    """Every place in a document; of a long list only the first and the last."""
    if isinstance(value, dict):
        held = list(value.items())
    elif isinstance(value, list):
        held = list(enumerate(value))
        held = held[:2] + held[2:][-1:]
    else:
        return []
    return [place for step, each in held for place in [(*at, step), *_spots(each, (*at, step))]]


def _holder(event: Any, place: Place) -> Any:
    for step in place[:-1]:
        event = event[step]
    return event


_LINE_TEXT = '{"item_id":"i-1","seller_id":"s-1","unit_price":"2.00","quantity":1}'
_NEAR: dict[str, tuple[str, ...]] = {
    "member_id": ('"me"', '"Me"', '"m-42"'),
    "type": tuple(json.dumps(name) for name in (*TYPES, "order.Completed", "order.completed ", "visit.recorded\u0000")),
    "occurred_at": (
        '"2026-11-22T10:20:00.000001Z"',
        '"2027-01-01T00:00:00Z"',
        '"1969-12-31T23:59:59.999999Z"',
        '"1970-01-01T00:00:00+00:01"',
        '"2026-11-22T10:15:00"',
        '"2026-11-22 10:15:00Z"',
        '"2026-11-22T24:00:00Z"',
        '"2026-W47-7T10:15:00Z"',
        '"20261122T101500Z"',
        "1795342500",
    ),
    "currency": ('"EUR"', '"JPY"', '"BHD"', '"usd"', '"USD "', '"XXX"', '"\u0405SD"'),
    "quantity": ("0", "1000001", "-1", '"1"', "1.0"),
    "points": ("0", "10001", "-1", '"1"', "1.0"),
    "birthday": ('"2026-11-23"', '"1900-02-29"', '"2000-1-1"', '"2000-W01-1"', '"20000101"'),
    "registered_on": ('"2026-11-23"', '"0000-01-01"', "null"),
    "country": ('"UK"', '"de"', '"DEU"', '"\u0414\u0415"', "null"),
    "category": (
        '""',
        '"' + "x" * 65 + '"',
        '"a\u0000b"',
        '"\u202e"',
        '"\u200b"',
        '"cafe\u0301"',
        '"caf\u00e9"',
        "null",
    ),
    "flags": (
        '["gift","gift"]',
        '["Gift"]',
        '["gift",null]',
        "[" + '"gift",' * 500 + '"gift"]',
        "[]",
        "null",
        '"gift"',
    ),
    "lines": ("[]", "null", f"[{_LINE_TEXT}]", "[" + f"{_LINE_TEXT}," * 500 + f"{_LINE_TEXT}]", "[null]", "{}"),
    "program": ('"vip"', '"Club"', '"club "', '""'),
    "kind": ('"Spam"', '"spam "', '"spam"', '""', '"\ud800"'),
    "full": ("false", "1", '"true"', "true"),
    "data": ("null", "{}", "[]", '"{}"'),
    **dict.fromkeys(
        ("amount", "unit_price", "old_price", "new_price"),
        (
            '"1000000000.00"',
            '"999999999.999"',
            '"1.0"',
            '"01.00"',
            '"-0.01"',
            '".50"',
            '"1."',
            '" 1.00"',
            "1.00",
            "100",
            '"0.00"',
        ),
    ),
}
"""What nearly is right, by the field's name."""


def _hostile(chance: random.Random, name: str | int) -> Raw:
    pick = chance.random()
    if pick < 0.3 and name in _NEAR:
        return Raw(_of(chance, _NEAR[name]))
    pick = chance.random()
    if pick < 0.01:
        return Raw(_of(chance, _LARGE))
    return Raw(_of(chance, _SMALL if pick < 0.5 else _NASTY))


def _blame(*places: Place) -> tuple[Place, ...] | None:
    """Another type asks for other data, and another currency for other amounts: then any field may be at fault."""
    return None if places[0][-1] in ("type", "currency") else places


def _replaced(event: dict[str, Any], chance: random.Random) -> Made:
    place = _of(chance, tuple(_spots(event)))
    _holder(event, place)[place[-1]] = _hostile(chance, place[-1])
    return Made(write(event), "replaced", _blame(place), None)


def _left_out(event: dict[str, Any], chance: random.Random) -> Made:
    place = _of(chance, tuple(spot for spot in _spots(event) if isinstance(spot[-1], str)))
    del _holder(event, place)[place[-1]]
    # of a refund it leaves none of the three ways, or half of one
    blame = _blame(place, place[:-1]) if event.get("type") == "order.refunded" else _blame(place)
    return Made(write(event), "left out", blame, None)


def _added(event: dict[str, Any], chance: random.Random) -> Made:
    objects = [()] + [spot for spot in _spots(event) if isinstance(_holder(event, (*spot, 0)), dict)]
    place = (*_of(chance, tuple(objects)), _of(chance, _UNKNOWN))
    _holder(event, place)[place[-1]] = _hostile(chance, place[-1])
    return Made(write(event), "added", (place,), False)


def _twice(event: dict[str, Any], chance: random.Random) -> Made:
    place = _of(chance, tuple(spot for spot in _spots(event) if isinstance(spot[-1], str)))
    holder = _holder(event, place)
    # the last one counts for the rest of the check, so the same again leaves nothing else to find
    again = holder[place[-1]] if chance.random() < 0.5 else _hostile(chance, place[-1])
    holder[place[-1]] = Twice(holder[place[-1]], again)
    return Made(write(event), "twice", _blame(place), False)


def _another(event: dict[str, Any], chance: random.Random) -> Made:
    """Something else in the event's place; of a refund, one of two kinds at once."""
    if event["type"] == "order.refunded":
        known = set(event["data"])
        event["data"] = {**_refund(chance), **event["data"]}
        return Made(write(event), "another", None, set(event["data"]) == known or None)
    return Made(write(_hostile(chance, "")), "another", ((),), False)


def _several(event: dict[str, Any], chance: random.Random) -> Made:
    for _ in range(2 + int(chance.random() * 3)):
        place = _of(chance, tuple(_spots(event)) or ((),))
        if place:
            _holder(event, place)[place[-1]] = _hostile(chance, place[-1])
    return Made(write(event), "several", None, None)


def _torn(event: dict[str, Any], chance: random.Random) -> Made:
    text = bytearray(write(event))
    for _ in range(1 + int(chance.random() * 4)):
        place, pick = int(chance.random() * len(text)), chance.random()
        if pick < 0.3:
            text[place : place + 1] = _of(chance, _SPLICES)
        elif pick < 0.5:
            text[place:place] = _of(chance, _SPLICES)
        elif pick < 0.7:
            del text[place : place + 1 + int(chance.random() * 8)]
        elif pick < 0.9:
            start = int(chance.random() * len(text))
            text[place:place] = text[start : start + 1 + int(chance.random() * 40)]
        else:
            text[place : place + 1] = bytes([int(chance.random() * 256)])
    return Made(bytes(text), "torn", None, None)


_TAMPERINGS: tuple[tuple[float, Callable[[dict[str, Any], random.Random], Made]], ...] = (
    (0.42, _replaced),
    (0.07, _left_out),
    (0.07, _added),
    (0.05, _twice),
    (0.02, _another),
    (0.07, _several),
    (0.12, _torn),
)


# --- writing


def write(value: Any) -> bytes:
    """A made-up document as JSON; lone surrogates become escapes."""
    return _written(value).encode("utf-8", "surrogatepass")


def _written(value: Any) -> str:
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(_pair(name, each) for name, each in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value)


def _pair(name: str, value: Any) -> str:
    key = json.dumps(name)
    if isinstance(value, Twice):
        return f"{key}:{_written(value.value)},{key}:{_written(value.again)}"
    return f"{key}:{_written(value)}"
