"""Sample decisions: real members of each tier ask for an expedited refund, and have a dispute accelerated."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from local.report.outcome import Check, MemberPage, Sample

if TYPE_CHECKING:
    from club_rules.programs import Program
    from local.logs import Log
    from local.replay.drive import Front

PAGE_ENTRIES = 12
_PARCEL = {"carrier": "post", "tracking_number": "RR123456785", "first_scan_at": None}


class Order(NamedTuple):
    """An order of the log that nothing was taken back of."""

    order_id: str
    cents: int


@dataclass(frozen=True, slots=True)
class Request:
    """One request to make, in words and as it is sent."""

    title: str
    asked: str
    path: str
    body: dict[str, Any]
    again: bool = False  # sent a second time as it is: the answer has to be the same decision


class Samples:
    """Asks for the decisions. ``wrong`` collects what was not answered as the contract has it."""

    def __init__(self, front: Front, log: Log, program: Program, tiers: Mapping[str, str], now: datetime) -> None:
        self.wrong: list[str] = []
        self._front = front
        self._program = program
        self._now = now
        self._members: dict[str, list[str]] = defaultdict(list)
        for member, tier in sorted(tiers.items()):
            self._members[tier].append(member)
        self._orders = orders_of(log)
        self._count = 0
        self._dispute_ids: dict[tuple[str, str], str] = {}

    def decisions(self) -> list[Sample]:
        """The answers, from the highest tier that somebody holds down to the lowest."""
        return self._answers((*self._refunds(), *self._disputes()))

    def of_member(self, member: str, tier: str) -> list[Sample]:
        """The answers to what one member asks for: each kind of outcome that its orders have a case of."""
        return self._answers(self.requests_of(member, tier))

    def requests_of(self, member: str, tier: str) -> list[Request]:
        """What ``of_member`` would ask for a member who holds a tier."""
        return [*self._refunds_of(member, tier), *self._disputes_of(member, tier)]

    def _answers(self, requests: Iterable[Request]) -> list[Sample]:
        token = self._front.token("support-desk", ["club:decide"])
        headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
        samples = []
        for request in requests:
            answer = self._ask(headers, request)
            if answer is None:
                continue
            remark = ""
            if request.again:
                second = self._ask(headers, request)
                same = second == answer
                remark = f"Sent twice: {'the same decision' if same else 'ANOTHER DECISION'} both times."
                if not same:
                    self.wrong.append(f"{request.body['request_id']}: the same request got another decision")
            samples.append(_sample(request, answer, remark))
        return samples

    def pages(self) -> list[MemberPage]:
        """What a member of the highest tier sees, if there is a member."""
        for tier in reversed(self._program.codes):
            for member in self._members[tier][:1]:
                headers = {"authorization": f"Bearer {self._front.token(member, ['club:read'])}"}
                query = f"program={self._program.id}&limit={PAGE_ENTRIES}"
                summary = self._read(f"/members/{member}", "", headers)
                statement = self._read(f"/members/{member}/statement", query, headers)
                if summary is not None and statement is not None:
                    return [MemberPage(summary, statement["entries"], self._program.id)]
        return []

    def _read(self, path: str, query: str, headers: Mapping[str, str]) -> dict[str, Any] | None:
        answer = self._front.request("GET", path, query, headers)
        if answer.status != 200:
            self.wrong.append(f"GET {path} answered {answer.status}: {json.dumps(answer.json())[:300]}")
            return None
        content: dict[str, Any] = answer.json()
        return content

    def _ask(self, headers: Mapping[str, str], request: Request) -> dict[str, Any] | None:
        body = json.dumps(request.body).encode()
        answer = self._front.request("POST", request.path, headers=headers, body=body)
        self._front.drain()
        if answer.status not in (200, 201):
            text = json.dumps(answer.json())[:300]
            self.wrong.append(f"POST {request.path} for {request.title!r} answered {answer.status}: {text}")
            return None
        content: dict[str, Any] = answer.json()
        return content

    def _refunds(self) -> Iterator[Request]:
        privilege = self._program.privilege("expedited_refund") or {}
        limits = {tier: self._program.amount(text) for tier, text in privilege.get("limits", {}).items()}
        once: set[str] = set()  # what is shown for one tier, and not for each
        for tier in reversed(self._program.codes):
            limit = limits.get(tier)
            if limit is None:
                yield from self._plain_refund(tier)
                continue
            within, above = self._by_limit(tier, limit)
            for member, order in within[:1]:
                yield self._refund(tier, member, order, "all steps done", again=True)
                yield self._refund(tier, member, order, "another request for the same order")
            rest = iter(within[1:])
            if "steps" not in once and (found := next(rest, None)):
                once.add("steps")
                yield self._refund(tier, *found, "neither approved by the seller nor sent back yet", steps=False)
            if "part" not in once and (found := next(rest, None)):
                once.add("part")
                yield self._refund(tier, *found, "only a part of the amount", part=True)
            if "above" not in once and above:
                once.add("above")
                yield self._refund(tier, *above[0], "all steps done, above the tier's limit")

    def _refunds_of(self, member: str, tier: str) -> Iterator[Request]:
        """For one member: an approval, the same order again, an open one, a part, and one above the limit."""
        privilege = self._program.privilege("expedited_refund") or {}
        limits = privilege.get("limits", {})
        limit = self._program.amount(limits[tier]) if tier in limits else 0
        orders = [order for order in reversed(self._orders.get(member, [])) if order.cents]
        within = [order for order in orders if order.cents <= limit]
        above = [order for order in orders if order.cents > limit]
        for order in within[:1]:
            yield self._refund(tier, member, order, "all steps done")
            yield self._refund(tier, member, order, "another request for the same order")
        for order in within[1:2]:
            yield self._refund(tier, member, order, "neither approved by the seller nor sent back yet", steps=False)
        for order in within[2:3]:
            yield self._refund(tier, member, order, "only a part of the amount", part=True)
        for order in above[:1]:
            yield self._refund(tier, member, order, "all steps done, above what the tier allows")

    def _disputes_of(self, member: str, tier: str) -> Iterator[Request]:
        for order in self._orders.get(member, [])[-1:]:
            yield self._dispute(tier, member, order, "escalated")

    def _by_limit(self, tier: str, limit: int) -> tuple[list[tuple[str, Order]], list[tuple[str, Order]]]:
        """Of each member of a tier, the last order within the limit, and the last one above it."""
        within, above = [], []
        for member in self._members[tier]:
            orders = self._orders.get(member, [])
            within += [(member, order) for order in orders if 0 < order.cents <= limit][-1:]
            above += [(member, order) for order in orders if order.cents > limit][-1:]
        return within, above

    def _plain_refund(self, tier: str) -> Iterator[Request]:
        """A tier without the privilege: a request with everything in order."""
        for member, order in [(member, order) for member, order in self._last_orders(tier) if order.cents][:1]:
            yield self._refund(tier, member, order, "all steps done, without the privilege")

    def _refund(
        self,
        tier: str,
        member: str,
        order: Order,
        what: str,
        *,
        again: bool = False,
        steps: bool = True,
        part: bool = False,
    ) -> Request:
        cents = order.cents // 2 if part else order.cents
        amount = f"{cents // 100}.{cents % 100:02d}"
        number = self._next()
        return Request(
            title=f"{tier}: refund of {amount} {self._program.currency}",
            asked=f"Order {order.order_id}: {what}.",
            path="/refunds/expedited",
            again=again,
            body={
                "request_id": f"sample-{number}",
                "member_id": member,
                "order_id": order.order_id,
                "dispute_id": self._dispute_id(member, order),
                "refund": {
                    "kind": "partial" if part else "full",
                    "amount": amount,
                    "currency": self._program.currency,
                },
                "seller_approved_at": _text(self._now - timedelta(hours=1)) if steps else None,
                "return_shipment": _PARCEL if steps else None,
                "order_eligible": True,
            },
        )

    def _disputes(self) -> Iterator[Request]:
        privilege = self._program.privilege("dispute_acceleration") or {}
        lowest = self._program.tier_index(privilege["from_tier"]) if privilege else len(self._program.codes)
        held = [tier for tier in reversed(self._program.codes) if self._last_orders(tier)]
        for tier in held[:2]:
            entitled = self._program.tier_index(tier) >= lowest
            member, order = self._last_orders(tier)[0]
            if entitled:
                yield self._dispute(tier, member, order, "not escalated yet", escalated=False)
            yield self._dispute(tier, member, order, "escalated", again=True)
            if entitled:
                yield self._dispute(tier, member, order, "escalated, asked for once more")

    def _dispute(
        self, tier: str, member: str, order: Order, what: str, *, escalated: bool = True, again: bool = False
    ) -> Request:
        number = self._next()
        return Request(
            title=f"{tier}: dispute acceleration",
            asked=f"Dispute over order {order.order_id}: {what}.",
            path="/disputes/acceleration",
            again=again,
            body={
                "request_id": f"sample-{number}",
                "member_id": member,
                "dispute_id": self._dispute_id(member, order),
                "order_id": order.order_id,
                "escalated_at": _text(self._now - timedelta(hours=2)) if escalated else None,
                "review_due_at": _text(self._now + timedelta(days=12)),
            },
        )

    def _last_orders(self, tier: str) -> list[tuple[str, Order]]:
        """The last order of each member of a tier, where the log has one that nothing was taken back of."""
        return [(member, self._orders[member][-1]) for member in self._members[tier] if self._orders.get(member)]

    def _dispute_id(self, member: str, order: Order) -> str:
        """One dispute an order, however often something is asked about it."""
        return self._dispute_ids.setdefault((member, order.order_id), f"sample-dispute-{len(self._dispute_ids) + 1}")

    def _next(self) -> int:
        self._count += 1
        return self._count


def orders_of(log: Log) -> dict[str, list[Order]]:
    """The orders of each member in order of time, but for those that something else in the log names too."""
    touched = {
        (activity.member_id, activity.order_id)
        for activity in log.activities
        if activity.order_id and activity.type not in ("order.completed", "review.posted")
    }
    orders: dict[str, list[Order]] = defaultdict(list)
    for activity in log.activities:
        if activity.type == "order.completed" and (activity.member_id, activity.order_id) not in touched:
            cents = sum(line.cents * line.quantity for line in activity.lines)
            orders[activity.member_id].append(Order(activity.order_id, cents))
    return orders


def _sample(request: Request, answer: Mapping[str, Any], remark: str) -> Sample:
    checks = [
        Check(
            check["code"],
            check["outcome"],
            *(str(check.get(name) or "") for name in ("detail", "actual", "required")),
        )
        for check in answer["checks"]
    ]
    return Sample(
        title=request.title,
        asked=request.asked,
        member_id=request.body["member_id"],
        tier=answer["tier"],
        decision=answer["decision"],
        decision_id=answer["decision_id"],
        checks=checks,
        remark=remark,
    )


def _text(instant: datetime) -> str:
    return instant.isoformat().replace("+00:00", "Z")
