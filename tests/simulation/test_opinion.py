"""The second opinion: when what waited for an order takes effect."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from tests.simulation.opinion import Opinion

NOW = datetime(2026, 11, 22, 10, tzinfo=UTC)
WHOLE = 105
"""What ten units at 10.00 earn in `club`: a point for each unit of money, and five for the day (rules 1.4)."""


def order(event_id: str, order_id: str) -> dict[str, Any]:
    """Ten units of one thing: as many as count on a day, so that a second order of it is cut off by the cap."""
    line = {"item_id": "i-1", "seller_id": "s-1", "unit_price": "10.00", "quantity": 10}
    return event(event_id, "order.completed", {"order_id": order_id, "currency": "USD", "lines": [line]})


def event(event_id: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event that occurs now."""
    return {"event_id": event_id, "type": kind, "member_id": "m-1", "occurred_at": "2026-11-22T10:00:00Z", "data": data}


def refund(event_id: str) -> dict[str, Any]:
    """A little of the first order's money."""
    return event(event_id, "order.refunded", {"order_id": "o-1", "amount": "1.00", "currency": "USD"})


def waiting_for_its_order() -> Opinion:
    """A refund and a cancellation that came before their order, and then the order."""
    opinion = Opinion()
    opinion.post(refund("e-1"), NOW)
    opinion.post(event("e-2", "order.cancelled", {"order_id": "o-1"}), NOW)
    assert opinion.post(order("e-3", "o-1"), NOW).points["club"] == WHOLE
    assert opinion.waits == ["e-1", "e-2"]
    return opinion


def test_another_order_in_between_finds_the_caps_as_the_ledger_has_them() -> None:
    opinion = waiting_for_its_order()
    assert opinion.post(order("e-4", "o-2"), NOW).points["club"] == 0  # nothing is cancelled yet
    opinion = waiting_for_its_order()
    for event_id in ("e-1", "e-2"):
        assert opinion.release(event_id, NOW) is not None
    assert opinion.post(order("e-4", "o-2"), NOW).points["club"] == WHOLE


def test_what_comes_later_about_the_order_itself_finds_that_it_took_effect() -> None:
    opinion = waiting_for_its_order()
    assert opinion.post(refund("e-4"), NOW).points["club"] == 0  # all of it is cancelled
    first, second = opinion.release("e-1", NOW), opinion.release("e-2", NOW)
    assert first is not None
    assert second is not None
    assert first.points["club"] + second.points["club"] == -WHOLE
    assert opinion.waits == []


def test_out_of_its_turn_nothing_is_released() -> None:
    opinion = waiting_for_its_order()
    assert opinion.release("e-2", NOW) is None
    assert opinion.release("e-9", NOW) is None
    assert opinion.waits == ["e-1", "e-2"]
