"""A table in which everything is that the club ever writes: what `verify` is tried on.

Many small members with random histories, and some who are there for one kind of item each.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

from club_ledger import sweeping
from club_rules.programs import Programs, load_programs
from club_rules.standing import Counts
from club_rules.tallying import limits
from local import sweeps
from local.stack import Stack
from tests.integration.harness import Item, everything
from tests.oracle.histories import random_history

START = datetime(2025, 6, 1, 12, 0, tzinfo=UTC)
DAYS = 420
END = START + timedelta(days=DAYS)
MEMBERS = 24
EVENTS = 22
LIMIT = 2
"""So many of a tier a sweep may demote here, so that one halts."""
SWEEPS = (("ExpirySweep", 5), ("DemotionSweep", 35), ("RewardSweep", 50))

Table = dict[tuple[str, str], Item]


class Builder:
    """Lives the club's life on a local stack, and takes the table."""

    def __init__(self, stack: Stack, seed: int) -> None:
        self.stack = stack
        self.rng = random.Random(seed)
        self.count = 0

    def call(self, method: str, path: str, scopes: str, body: Any = None, sub: str = "operator") -> Any:
        """A request that is answered with a 2xx."""
        headers = {"authorization": f"Bearer {self.stack.token(sub, scopes.split())}"}
        response = self.stack.request(method, path, "", headers, body or b"")
        assert 200 <= response.status < 300, (path, response.status, response.body)
        return response.json() if response.body else None

    def event(self, kind: str, member_id: str | None, data: Any, ago: float = 0) -> dict[str, Any]:
        """An event with an id of its own."""
        self.count += 1
        at = (self.stack.now - timedelta(days=ago)).isoformat().replace("+00:00", "Z")
        found = {"event_id": f"x-{self.count}", "type": kind, "occurred_at": at, "data": data}
        return found if member_id is None else {**found, "member_id": member_id}

    def send(self, *events: dict[str, Any]) -> None:
        """Sends events through the door, and works them off."""
        for start in range(0, len(events), 100):
            batch = {"events": list(events[start : start + 100])}
            assert self.call("POST", "/activities", "club:ingest club:admin", batch)["refused"] == []
        self.stack.drain()

    def order(self, member_id: str, order_id: str, price: str, items: int = 1) -> dict[str, Any]:
        """An order of some items at a price each."""
        lines = [
            {
                "item_id": f"{order_id}-{n}",
                "seller_id": f"s-{order_id}",
                "category": "c",
                "unit_price": price,
                "quantity": 1,
            }
            for n in range(items)
        ]
        return self.event("order.completed", member_id, {"order_id": order_id, "currency": "USD", "lines": lines})

    def build(self) -> None:
        """Everything, in the order of time."""
        posts = sorted(self._random(), key=lambda each: each[1])
        self._first_day()
        night = START.replace(hour=0, minute=0)
        while posts or night < END:
            night += timedelta(days=15)
            today = [each for each in posts if each[1] < night]
            posts = posts[len(today) :]
            for event, moment in today:
                self.stack.set_clock(max(moment, self.stack.now))
                self.send(event)
            self.stack.set_clock(max(night, self.stack.now))
            for name, minute in SWEEPS:
                self.stack.fire(name, night + timedelta(minutes=minute), dry_run=self.rng.random() < 0.1)
        self._last_day()

    def _random(self) -> list[tuple[dict[str, Any], datetime]]:
        """Random histories of the members, with ids of their own."""
        found = []
        for number in range(MEMBERS):
            member_id = f"m-{number}"
            history = random_history(self.rng, days=DAYS - 20, events=EVENTS, member_id=member_id, start=START)
            for event, moment in history:
                data = dict(event["data"])
                for name in ("order_id", "case_id"):
                    if name in data:
                        data[name] = f"{member_id}-{data[name]}"
                found.append(({**event, "event_id": f"{member_id}-{event['event_id']}", "data": data}, moment))
        return found

    def _first_day(self) -> None:
        """Members who are registered, who watch, who have many entries, who will fall; and one to be erased."""
        people = [f"p-{n}" for n in range(6)]
        self.send(
            *(
                self.event("member.registered", each, {"birthday": f"1990-0{n + 1}-11", "country": "BY"})
                for n, each in enumerate(people)
            ),
            *(self.order(each, f"po-{each}", "700.00") for each in people),
            *(self.event("wishlist.item_added", each, {"item_id": "i-7"}) for each in people),
            self.event("cart.item_added", "p-1", {"item_id": "i-8"}),
            *(self.order(f"f-{n}", f"fo-{n}", "300.00", 2) for n in range(6)),
            self.order("long", "lo-1", "5.00", 70),
        )
        self.send(
            *(self.event("review.posted", "long", {"order_id": "lo-1", "item_id": f"lo-1-{n}"}) for n in range(70))
        )
        self.send(
            self.event(
                "price.dropped", None, {"item_id": "i-7", "old_price": "9.00", "new_price": "7.00", "currency": "USD"}
            ),
            self.event(
                "price.dropped", None, {"item_id": "i-8", "old_price": "5.00", "new_price": "4.00", "currency": "USD"}
            ),
            self.event("wishlist.item_removed", "p-2", {"item_id": "i-7"}),
        )

    def _last_day(self) -> None:
        """Decisions, adjustments, an erasure; and a run of the demotion sweep that is undone."""
        at = self.stack.now.isoformat().replace("+00:00", "Z")
        big = [f"d-{n}" for n in range(4)]
        self.send(*(self.order(each, f"do-{each}", "1100.00", 2) for each in big))
        for n, each in enumerate(big):
            for amount in ("30.00", "3000.00") if n else ("30.00",):
                self._refund(f"r-{each}-{amount}", each, f"do-{each}", amount, at)
            self.call("POST", "/disputes/acceleration", "club:decide", self._dispute(f"a-{each}", each, at))
        self.send(self.order("d-1", "do-second", "20.00"))
        self._refund("r-second", "d-1", "do-second", "20.00", at)
        self._refund("r-nobody", "nobody", "do-nobody", "20.00", at)
        admin = "club:admin"
        for adjustment, who, points, subs in (
            ("adj-1", "p-3", 15, ("ann",)),
            ("adj-2", "p-3", 5000, ("ann",)),
            ("adj-3", "p-4", -4000, ("ann", "bob")),
        ):
            body = {"adjustment_id": adjustment, "program": "club", "points": points, "reason": "counted twice"}
            for sub in subs:
                self.call("POST", f"/members/{who}/adjustments", admin, body, sub)
        self.call("DELETE", "/members/p-5", admin)
        self.stack.drain()
        (table,) = self.stack.template.tables
        halted = [run for run in sweeps.runs_of(self.stack.client("dynamodb"), table, load_programs()) if run["halted"]]
        assert halted, "a run has to be halted"
        with self.stack.still():
            sweeps.undo(table, halted[-1]["run_id"], load_programs(), self.stack.now)
        self.stack.drain()

    def _refund(self, request: str, member_id: str, order_id: str, amount: str, at: str) -> None:
        body = {
            "request_id": request,
            "member_id": member_id,
            "order_id": order_id,
            "dispute_id": f"dis-{request}",
            "refund": {"kind": "full", "amount": amount, "currency": "USD"},
            "seller_approved_at": at,
            "return_shipment": {"carrier": "c", "tracking_number": "t-1", "first_scan_at": None},
            "order_eligible": True,
        }
        self.call("POST", "/refunds/expedited", "club:decide", body)

    def _dispute(self, request: str, member_id: str, at: str) -> dict[str, Any]:
        due = (self.stack.now + timedelta(days=20)).isoformat().replace("+00:00", "Z")
        of = {"request_id": request, "member_id": member_id, "dispute_id": f"dis-{request}"}
        return {**of, "order_id": f"do-{member_id}", "escalated_at": at, "review_due_at": due}


def _few(programs: Programs, counts: Counts, moment: datetime) -> dict[str, dict[str, int]]:
    """The limits of a run, each ``LIMIT``."""
    return {place: {**of, "limit": LIMIT} for place, of in limits(programs, counts, moment).items()}


def rich_table(seed: int = 5) -> Table:
    """Every item of such a table by its key."""
    with Stack(START) as stack, patch.object(sweeping, "limits", _few):
        Builder(stack, seed).build()
        stack.work_streams()
        (spec,) = stack.template.tables.values()
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in everything(spec.name)}
