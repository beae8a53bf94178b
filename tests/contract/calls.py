"""What callers send: activity events, adjustments and decision requests, drawn by hypothesis; good and bad ones."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from hypothesis import strategies as st

Body = dict[str, Any]

MEMBERS = ("anna", "bert", "carla")
STRANGER = "nobody"
PROGRAMS = ("club", "crowns", "vip")
PRICES = ("1.99", "2.00", "9.99", "25.00", "99.00", "499.99", "999.00", "2000.00", "4000.00")
ITEMS = ("i-1", "i-2", "i-3")
KINDS = ("return_abuse", "extortion", "coupon_fraud", "spam")


class Fault(NamedTuple):
    """One thing that is wrong: what it is put to, by its JSON pointer, and the codes that may name it."""

    pointer: str
    value: Any
    code: str


EVENT_FAULTS = (
    Fault("/event_id", "no id!", "invalid_id"),
    Fault("/event_id", None, "invalid_type"),
    Fault("/member_id", "me", "reserved_id"),
    Fault("/type", "order.lost", "unknown_type"),
    Fault("/occurred_at", "yesterday", "invalid_instant"),
    Fault("/occurred_at", "2999-01-01T00:00:00Z", "occurred_in_future"),
    Fault("/extra", 1, "unknown_field"),
    Fault("/data/extra", 1, "unknown_field"),
)
REFUND_FAULTS = (
    Fault("/request_id", "", "invalid_id"),
    Fault("/member_id", 7, "invalid_type"),
    Fault("/refund/amount", "1.5", "invalid_money"),
    Fault("/refund/amount", "0.00", "out_of_range"),
    Fault("/refund/currency", "EUR", "currency_mismatch"),
    Fault("/refund/kind", "all", "invalid_value"),
    Fault("/seller_approved_at", "soon", "invalid_instant"),
    Fault("/order_eligible", "yes", "invalid_type"),
    Fault("/extra", None, "unknown_field"),
)
ADJUSTMENT_FAULTS = (
    Fault("/adjustment_id", "?", "invalid_id"),
    Fault("/program", "gold", "invalid_value"),
    Fault("/reason", "   ", "invalid_value"),
    Fault("/extra", True, "unknown_field"),
)


def spoilt(body: Body, fault: Fault) -> Body:
    """The same with one thing wrong."""
    changed = copy.deepcopy(body)
    *path, name = fault.pointer.removeprefix("/").split("/")
    inner = changed
    for each in path:
        inner = inner[each]
    inner[name] = fault.value
    return changed


def lines(draw: Any) -> list[Body]:
    """One to three lines of an order."""
    return [
        {
            "item_id": draw(st.sampled_from(ITEMS)),
            "seller_id": "s-1",
            "category": "books",
            "unit_price": draw(st.sampled_from(PRICES)),
            "quantity": draw(st.sampled_from((1, 1, 2, 10))),
        }
        for _ in range(draw(st.integers(1, 3)))
    ]


def _order(draw: Any, orders: list[str]) -> Body:
    flags = draw(st.sampled_from(([], [], [], ["gift"], ["fraudulent"])))
    return {"order_id": draw(st.sampled_from(orders)), "currency": "USD", "lines": lines(draw), "flags": flags}


def _refund(draw: Any, orders: list[str]) -> Body:
    how = draw(
        st.sampled_from(
            (
                {"full": True},
                {"amount": "10.00", "currency": "USD"},
                {"lines": [{"item_id": "i-1", "quantity": 1}]},
            )
        )
    )
    return {"order_id": draw(st.sampled_from(orders)), **how}


@st.composite
def activities(draw: Any, now: datetime, ids: list[str], orders: list[str], members: tuple[str, ...]) -> Body:
    """One event that is well formed."""
    kind = draw(st.sampled_from(_EVENT_KINDS))
    data: Body = {}
    if kind == "order.completed":
        data = _order(draw, orders)
    elif kind == "order.refunded":
        data = _refund(draw, orders)
    elif kind in ("order.cancelled", "order.flagged_fraudulent"):
        data = {"order_id": draw(st.sampled_from(orders))}
    elif kind == "review.posted":
        data = {"order_id": draw(st.sampled_from(orders)), "item_id": draw(st.sampled_from(ITEMS))}
    elif kind == "post.published":
        data = {"post_id": draw(st.sampled_from(("p-1", "p-2", "p-3")))}
    elif kind == "contribution.accepted":
        data = {"contribution_id": draw(st.sampled_from(("c-1", "c-2"))), "kind": "translation"}
    elif kind == "promotion.awarded":
        points = draw(st.sampled_from((1, 100, 499, 500, 1501, 2000, 10_000)))
        data = {"campaign_id": "spring", "points": points, "program": draw(st.sampled_from(PROGRAMS[:2]))}
    elif kind.startswith("violation."):
        data = {"case_id": draw(st.sampled_from(("case-1", "case-2"))), "kind": draw(st.sampled_from(KINDS))}
    elif kind.startswith(("wishlist.", "cart.")):
        data = {"item_id": draw(st.sampled_from(ITEMS))}
    elif kind in ("member.registered", "member.updated"):
        data = {"birthday": draw(st.sampled_from(("1988-02-29", "1990-12-01"))), "country": "RU"}
    ago = draw(st.sampled_from((0, 0, 0, 1, 24, 24 * 30, 24 * 90, 24 * 365, 24 * 400)))
    return {
        "event_id": draw(st.sampled_from(ids)),
        "type": kind,
        "member_id": draw(st.sampled_from(members)),
        "occurred_at": f"{now - timedelta(hours=ago):%Y-%m-%dT%H:%M:%SZ}",
        "data": data,
    }


_EVENT_KINDS = (
    *("order.completed",) * 6,
    *("order.refunded",) * 2,
    *("promotion.awarded",) * 3,
    "order.cancelled",
    "order.flagged_fraudulent",
    "review.posted",
    "visit.recorded",
    "post.published",
    "contribution.accepted",
    "violation.confirmed",
    "violation.overturned",
    "wishlist.item_added",
    "wishlist.item_removed",
    "cart.item_added",
    "member.registered",
    "member.updated",
)


def _of_whom(orders: list[str], held: list[tuple[str, str]]) -> st.SearchStrategy[tuple[str, str]]:
    """A member and an order, mostly of theirs."""
    anybody = st.tuples(st.sampled_from((*MEMBERS, STRANGER)), st.sampled_from(orders))
    return st.one_of(st.sampled_from(held), st.sampled_from(held), st.sampled_from(held), anybody)


@st.composite
def refunds(draw: Any, now: datetime, ids: list[str], orders: list[str], held: list[tuple[str, str]]) -> Body:
    """A request for an expedited refund, mostly such that its checks pass; ``held``: members and orders of theirs."""
    member, order = draw(_of_whom(orders, held))
    approved = draw(st.sampled_from((f"{now - timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",) * 8 + (None,)))
    shipment: Body = {"carrier": "post", "tracking_number": "T-1", "first_scan_at": None}
    return {
        "request_id": draw(st.sampled_from(ids)),
        "member_id": member,
        "order_id": order,
        "dispute_id": draw(st.sampled_from(("d-1", "d-2"))),
        "refund": {
            "kind": draw(st.sampled_from(("full",) * 9 + ("partial",))),
            "amount": draw(st.sampled_from(("1.99", "9.99", "25.00", "25.01", "99.00", "100.00", "100.01"))),
            "currency": "USD",
        },
        "seller_approved_at": approved,
        "return_shipment": draw(st.sampled_from((shipment,) * 8 + (None,))),
        "order_eligible": draw(st.sampled_from((True,) * 9 + (False,))),
    }


@st.composite
def disputes(draw: Any, now: datetime, ids: list[str], orders: list[str], held: list[tuple[str, str]]) -> Body:
    """A request for the acceleration of a dispute; ``held`` as of ``refunds``."""
    member, order = draw(_of_whom(orders, held))
    return {
        "request_id": draw(st.sampled_from(ids)),
        "member_id": member,
        "dispute_id": draw(st.sampled_from(("d-1", "d-2"))),
        "order_id": order,
        "escalated_at": draw(st.sampled_from((f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}",) * 3 + (None,))),
        "review_due_at": f"{now + timedelta(days=draw(st.sampled_from((1, 5, 20)))):%Y-%m-%dT%H:%M:%SZ}",
    }


@st.composite
def adjustments(draw: Any, ids: list[str]) -> Body:
    """An adjustment; above a thousand it takes a second operator."""
    program = draw(st.sampled_from(PROGRAMS))
    amount = draw(st.sampled_from((-5000, -1000, -1000, -999, -12, 1, 100, 1000, 1001, 2500)))
    measure: Body = {"spend": f"{amount}.00"} if program == "vip" else {"points": amount}
    reason = draw(st.sampled_from(("a slip", "goodwill")))
    return {"adjustment_id": draw(st.sampled_from(ids)), "program": program, **measure, "reason": reason}
