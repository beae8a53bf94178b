"""Made-up members and what they do, as a marketplace would tell it: the same for the same seed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from club_rules.events import ActivityEvent, parse_event
from club_rules.programs import Programs

BEGIN = datetime(2024, 1, 1, tzinfo=UTC)
"""The first day of every stream."""

SHARES = {
    "order.completed": 50,
    "visit.recorded": 25,
    "review.posted": 10,
    "order.refunded": 5,
    "order.cancelled": 2,
    "post.published": 3,
    "contribution.accepted": 2,
    "promotion.awarded": 2,
    "violation.confirmed": 0.5,
    "violation.overturned": 0.5,
}
"""How many of 100 events are of a type. A review or a refund names one of the member's last orders, and what is
overturned is the member's last case."""

_SECONDS_A_DAY = 86_400
_ITEMS, _SELLERS, _CATEGORIES = 5_000, 400, 20
_LAST_ORDERS = 5
_DELAY_SECONDS = 20


@dataclass
class _Past:
    """The data of a member's events so far that later ones may name."""

    orders: list[dict[str, Any]] = field(default_factory=list)
    cases: list[dict[str, Any]] = field(default_factory=list)


def stream(
    programs: Programs, *, members: int, days: int, events: int, seed: int
) -> list[tuple[ActivityEvent, datetime]]:
    """``events`` parsed events of ``members``, spread over ``days``, in order of time, each with when it is posted."""
    rng = Random(seed)
    seconds = sorted(rng.randrange(days * _SECONDS_A_DAY) for _ in range(events))
    pasts: dict[str, _Past] = {}
    made = []
    for number, second in enumerate(seconds):
        member = f"member-{rng.randrange(members)}"
        moment = BEGIN + timedelta(seconds=second)
        kind, data = _content(rng, number, pasts.setdefault(member, _Past()))
        raw = {
            "event_id": f"event-{number}",
            "type": kind,
            "member_id": member,
            "occurred_at": f"{moment:%Y-%m-%dT%H:%M:%SZ}",
            "data": data,
        }
        posted = moment + timedelta(seconds=rng.randrange(1, _DELAY_SECONDS))
        made.append((parse_event(raw, now=posted, programs=programs), posted))
    return made


def _content(rng: Random, number: int, past: _Past) -> tuple[str, dict[str, Any]]:
    """The type and the data of a member's next event, which is added to the ``past``."""
    (kind,) = rng.choices(list(SHARES), list(SHARES.values()))
    if not past.orders and kind in ("review.posted", "order.refunded", "order.cancelled"):
        kind = "order.completed"
    if not past.cases and kind == "violation.overturned":
        kind = "violation.confirmed"
    if kind == "order.completed":
        data = {"order_id": f"order-{number}", "currency": "USD", "lines": list(_lines(rng))}
        if rng.random() < 0.1:
            data["flags"] = [rng.choice(("preorder", "prepaid", "gift", "preferential_shipping"))]
        past.orders.append(data)
        return kind, data
    if kind == "visit.recorded":
        return kind, {}
    if kind == "post.published":
        return kind, {"post_id": f"post-{number}"}
    if kind == "contribution.accepted":
        return kind, {"contribution_id": f"contribution-{number}", "kind": "translation"}
    if kind == "promotion.awarded":
        program = rng.choice(("club", "crowns"))
        return kind, {"campaign_id": f"campaign-{number}", "points": rng.randint(1, 50), "program": program}
    if kind == "violation.confirmed":
        past.cases.append({"case_id": f"case-{number}", "kind": rng.choice(("spam", "return_abuse"))})
        return kind, past.cases[-1]
    if kind == "violation.overturned":
        return kind, past.cases.pop()
    return kind, _about_order(rng, kind, rng.choice(past.orders[-_LAST_ORDERS:]))


def _lines(rng: Random) -> Iterator[dict[str, Any]]:
    for _ in range(rng.choice((1, 1, 1, 2, 2, 3))):
        cents = min(round(rng.lognormvariate(7, 1)), 99_999)
        yield {
            "item_id": f"item-{rng.randrange(_ITEMS)}",
            "seller_id": f"seller-{rng.randrange(_SELLERS)}",
            "category": f"category-{rng.randrange(_CATEGORIES)}",
            "unit_price": f"{cents // 100}.{cents % 100:02}",
            "quantity": rng.choice((1, 1, 1, 2, 3)),
        }


def _about_order(rng: Random, kind: str, order: dict[str, Any]) -> dict[str, Any]:
    line = rng.choice(order["lines"])
    if kind == "review.posted":
        return {"order_id": order["order_id"], "item_id": line["item_id"]}
    if kind == "order.refunded" and rng.random() < 0.5:
        return {"order_id": order["order_id"], "lines": [{"item_id": line["item_id"], "quantity": 1}]}
    return {"order_id": order["order_id"], **({"full": True} if kind == "order.refunded" else {})}
