"""A small club's life, drawn from a seed: few members and few orders, so that what happens collides.

Each seed has its own mood: how often each kind of thing happens, over how long, and how far the members have come.
Nothing here knows what the club answers; what it does with all of this is for ``invariants`` to judge.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import count, islice
from random import Random
from typing import Any
from zlib import crc32

from tests.oracle.histories import Event, Writer, dollars, minor
from tests.simulation.steps import Advance, ApiRequest, BusEvents, Step, Sweep

SWEEPS = ("ExpirySweep", "DemotionSweep", "RewardSweep")

STARTS = (
    datetime(2023, 3, 1, 8, tzinfo=UTC),
    datetime(2024, 2, 28, 23, 59, 30, tzinfo=UTC),
    datetime(2024, 12, 31, 23, 50, tzinfo=UTC),
    datetime(2025, 5, 7, 12, tzinfo=UTC),
)

PAUSES = (
    (timedelta(seconds=1), 10),
    (timedelta(seconds=30), 8),
    (timedelta(minutes=7), 5),
    (timedelta(minutes=16), 4),  # past the ten minutes for which DynamoDB knows a client's token
    (timedelta(hours=5), 4),
    (timedelta(days=1), 5),
    (timedelta(days=8), 3),
    (timedelta(days=31), 3),
    (timedelta(days=59), 1),
    (timedelta(days=90), 3),
    (timedelta(days=91), 1),
    (timedelta(days=180), 1),
    (timedelta(days=364), 1),
    (timedelta(days=365), 2),
)
"""How long nothing happens, and how often it is that long."""

KINDS = (
    ("activity", 30),
    ("burst", 5),
    ("again", 5),
    ("reused", 3),
    ("bad", 5),
    ("boost", 4),
    ("registration", 3),
    ("refund_request", 10),
    ("contested", 3),
    ("spree", 3),
    ("escalation", 2),
    ("dispute_request", 4),
    ("asked_again", 4),
    ("adjustment", 8),
    ("watch", 6),
    ("price_drop", 2),
    ("sale", 4),
    ("read", 9),
    ("snoop", 2),
    ("sweep", 10),
    ("erasure", 1),
)
"""The kinds of things that happen, each with its usual share; a seed draws its own."""

ACTIVITIES = (
    ("order", 30),
    ("refund", 16),
    ("cancel", 4),
    ("fraud", 2),
    ("resent_order", 3),
    ("review", 6),
    ("visits", 2),
    ("posts", 2),
    ("contributions", 2),
    ("promotion", 4),
    ("violation", 4),
    ("overturn", 4),
    ("other", 1),
)
"""What ``Writer`` writes, with its shares."""

STEPS_AT_LEAST, STEPS_AT_MOST = 6, 22
ITEMS_WATCHED = ("i-1", "i-2", "i-3")
ACTIVITY_EVENTS_A_STEP = 6
"""A burst of the writer's is cut off there: a day of visits teaches no more than a few."""

SHOP = ("club:ingest", "club:admin")
CALL_AT_ONCE = 10
"""So many events the door hands to the queue in one call."""
CROWD = 28
"""So many members, all in one shard of the index: more than a sweep takes in one chunk, or may demote."""
SCENES = ("crowd", "crowd", "lots", "reviews", "parked")
SCENES_PERCENT = 14
"""So many seeds open with one of these: more of something than fits into one page, chunk or transaction."""

AFTERWARDS_PERCENT = 30
"""So often what was sent through the API is sent once more at the very end."""

AFTERWARDS_RETRIES = 4

Kind = Callable[[], Iterator[Step]]


class MemberWriter(Writer):
    """Writes a member's events one by one, as of the workload's own time; order ids say whose they are."""

    def __init__(self, rng: Random, member_id: str, club: ClubWorkload) -> None:
        super().__init__(rng, member_id, [])
        self.club = club

    @property
    def full(self) -> bool:
        """Never: time goes on."""
        return False

    @property
    def now(self) -> datetime:
        """The workload's time."""
        return self.club.now

    def write(self, kind: str, data: dict[str, Any], occurred: datetime | None = None) -> None:
        """As the base does, with an event id that no other member's event has."""
        super().write(kind, data, occurred)
        event, moment = self.history[-1]
        self.history[-1] = {**event, "event_id": f"{self.member_id}.{len(self.history)}"}, moment

    def draft(self) -> dict[str, Any]:
        """A new order, now and then under the id of another member's."""
        data = super().draft()
        data["order_id"] = f"{self.member_id}.{data['order_id']}"
        others = [order["order_id"] for writer in self.club.writers if writer is not self for order in writer.orders]
        if others and self.chance(6):
            data["order_id"] = self.rng.choice(others)
        return data

    def promotion_of(self, program: str, points: int) -> None:
        """A campaign gives points, just now."""
        self.write("promotion.awarded", {"campaign_id": "spring", "points": points, "program": program}, self.now)

    def take(self, name: str) -> list[Event]:
        """The events that one of the base's methods writes, at most so many that they teach something."""
        known = len(self.history)
        getattr(self, name)()
        return [event for event, _ in self.history[known : known + ACTIVITY_EVENTS_A_STEP]]


class ClubWorkload:
    """The club's life for one seed; the same seed gives the same steps."""

    def __init__(self, seed: int) -> None:
        rng = self.rng = Random(f"club {seed}")
        midnights = rng.choice((True, False))
        start = rng.choice(STARTS) + timedelta(days=rng.randrange(400))
        self.start = start if not midnights else datetime.combine(start.date(), time(23, 58), tzinfo=UTC)
        self.now = self.start
        self.members = [f"m-{number}" for number in range(1, rng.choice((2, 2, 3, 3, 4, 6)) + 1)]
        self.writers: list[MemberWriter] = []
        self.writers += [MemberWriter(rng, member_id, self) for member_id in self.members]
        self.sent: list[Event] = []
        self.decisions: list[ApiRequest] = []
        self.acts: list[ApiRequest] = []
        self.activities: list[ApiRequest] = []
        self.made = 0
        self.requests = 0
        self.quick = rng.choice((10, 50, 80))
        """So often, in per cent, the next thing happens at once, while the last is still under way."""
        self.kinds = self._mood(KINDS)
        self.pauses = self._mood(PAUSES)
        self.doors = rng.choice((("bus",), ("api",), ("bus", "api"), ("bus", "api")))

    def _mood(self, shares: Sequence[tuple[Any, int]]) -> list[Any]:
        """One name for each share of it, as this seed has it: some things often, some not at all."""
        drawn = [name for name, share in shares for _ in range(share * self.rng.choice((0, 1, 1, 1, 3)))]
        return drawn or [name for name, _ in shares]

    def chance(self, percent: int) -> bool:
        """True this often."""
        return self.rng.randrange(100) < percent

    def steps(self) -> Iterator[Step]:
        """What happens, one after the other."""
        if self.chance(SCENES_PERCENT):
            scene: Kind = getattr(self, f"scene_of_{self.rng.choice(SCENES)}")
            yield from scene()
        elif self.chance(75):
            yield from self.opening()
        for _ in range(self.rng.randint(STEPS_AT_LEAST, STEPS_AT_MOST)):
            kind: Kind = getattr(self, self.rng.choice(self.kinds))
            yield from kind()
            if not self.chance(self.quick):
                yield from self.pause()
        yield from self.pause()

    def afterwards(self) -> Iterator[Step]:
        """Once nothing fails any more: all that was asked for once more, and what became of it (I6)."""
        for request in [*self.acts, *self.decisions]:
            # Many ask at once, of one member: who loses every time is told to ask again (I6), and does.
            yield replace(request, retries=max(request.retries, AFTERWARDS_RETRIES))
        for request in self.activities:
            if self.chance(AFTERWARDS_PERCENT):
                yield request
        for member_id in self.members:
            yield self.asked("GET", f"/members/{member_id}", "agent", ("club:support",))

    # Time

    def pause(self) -> Iterator[Step]:
        """Time goes by; often a schedule fires when it has gone past midnight."""
        by: timedelta = self.rng.choice(self.pauses)
        if self.chance(25):
            midnight = datetime.combine(self.now.date() + timedelta(days=1), time(0, 0), tzinfo=UTC)
            by = max(by, midnight - self.now) + timedelta(seconds=self.rng.choice((-2, 0, 1, 300)))
        yield self.advance(by)
        if by >= timedelta(hours=5) and self.chance(60):
            yield from self.sweep()

    def advance(self, by: timedelta) -> Advance:
        """A step of the clock, forward."""
        by = max(by, timedelta(seconds=1))
        self.now += by
        return Advance(by)

    # Activity

    def opening(self) -> Iterator[Step]:
        """Who registers, and who has come far enough for something to be at stake."""
        events = []
        for writer in self.writers:
            if self.chance(50):
                events.append(self.registered(writer))
            if self.chance(60):
                writer.promotion_of("club", self.rng.choice((99, 500, 500, 1999, 2000, 2500)))
                events.append(writer.history[-1][0])
            if self.chance(60):
                events += writer.take("order")
        yield from self.send(events)
        yield self.advance(timedelta(minutes=self.rng.choice((1, 30))))

    def scene_of_crowd(self) -> Iterator[Step]:
        """Many members of one shard come far on one day, and have it all expire on one day."""
        ids = (f"c-{number}" for number in count())
        crowd = islice((each for each in ids if crc32(each.encode()) % 8 == 3), CROWD)
        writers = [MemberWriter(self.rng, member_id, self) for member_id in crowd]
        programs = self.rng.sample(("club", "crowns"), self.rng.choice((1, 2)))
        points = self.rng.choice((101, 500))
        for writer in writers:
            for program in programs:
                writer.promotion_of(program, points)
        yield from self.send([event for writer in writers for event, _ in writer.history])
        yield self.advance(timedelta(days=self.rng.choice((1, 30))))
        yield from self.sweep_all()
        yield self.advance(timedelta(days=self.rng.choice((336, 366))))
        yield from self.sweep_all()

    def scene_of_lots(self) -> Iterator[Step]:
        """One member has more lots than are settled in one transaction."""
        writer = self.writers[0]
        for day in range(44):
            data = {"campaign_id": "old", "points": 10, "program": self.rng.choice(("club", "crowns"))}
            writer.write("promotion.awarded", data, self.now - timedelta(days=day))
        yield from self.send([event for event, _ in writer.history])
        yield self.advance(timedelta(days=self.rng.choice((330, 800))))

    def scene_of_reviews(self) -> Iterator[Step]:
        """One member reviews so much that what counts once for ever fills a page; then some of it again."""
        writer = self.writers[0]
        line: dict[str, Any] = {"seller_id": "s-1", "unit_price": "2.00", "quantity": 1}
        items = [f"big-{number}" for number in range(36)]
        order: dict[str, Any] = {
            "order_id": "big",
            "currency": "USD",
            "lines": [{"item_id": item, **line} for item in items],
        }
        writer.orders.append(order)
        writer.write("order.completed", order, self.now)
        for item in items + items[:2]:
            writer.write("review.posted", {"order_id": "big", "item_id": item}, self.now)
        yield from self.send([event for event, _ in writer.history[:-2]])
        yield self.advance(timedelta(hours=1))
        yield from self.send([event for event, _ in writer.history[-2:]])

    def scene_of_parked(self) -> Iterator[Step]:
        """More waits for an order than takes effect with it in one transaction."""
        writer = self.writers[0]
        order = writer.draft()
        for _ in range(22):
            data = {"order_id": order["order_id"], "amount": "0.37", "currency": "USD"}
            writer.write("order.refunded", data, self.now)
        writer.orders.append(order)
        writer.write("order.completed", order, self.now)
        yield from self.send([event for event, _ in writer.history[:-1]])
        yield self.advance(timedelta(minutes=5))
        yield from self.send([writer.history[-1][0]])

    def activity(self) -> Iterator[Step]:
        """Something that a member does, or that happens to them."""
        names = [name for name, share in ACTIVITIES for _ in range(share)]
        yield from self.send(self.rng.choice(self.writers).take(self.rng.choice(names)))

    def burst(self) -> Iterator[Step]:
        """An order with all that may follow it, sent in any order."""
        writer = self.rng.choice(self.writers)
        events = writer.take("order")
        names = ("refund", "cancel", "review", "resent_order", "order", "fraud")
        for name in self.rng.sample(names, self.rng.randint(1, 3)):
            events += writer.take(name)
        self.rng.shuffle(events)
        yield from self.send(events)

    def boost(self) -> Iterator[Step]:
        """Points enough for a tier with privileges, or a violation that takes them away."""
        writer = self.rng.choice(self.writers)
        program = self.rng.choice(("club", "club", "crowns"))
        writer.promotion_of(program, self.rng.choice((1, 100, 101, 499, 500, 501, 1500, 2000)))
        yield from self.send([writer.history[-1][0]])

    def registration(self) -> Iterator[Step]:
        """Who a member is: the days that gifts go by."""
        yield from self.send([self.registered(self.rng.choice(self.writers))])

    def registered(self, writer: MemberWriter) -> Event:
        """A registration, or a change of it, with a birthday soon."""
        soon = self.now + timedelta(days=self.rng.choice((0, 1, 2, 3, 30, 200)))
        data: dict[str, Any] = {}
        if self.chance(60):
            data["birthday"] = soon.date().replace(year=1988).isoformat()
        if self.chance(40):
            data["country"] = self.rng.choice(("BY", "RU", "DE"))
        if self.chance(40):
            ago = timedelta(days=self.rng.choice((0, 1, 364, 365, 730)))
            data["registered_on"] = (self.now - ago).date().isoformat()
        writer.write(self.rng.choice(("member.registered", "member.registered", "member.updated")), data, self.now)
        return writer.history[-1][0]

    def again(self) -> Iterator[Step]:
        """Something sent before comes once more, maybe through the other door, maybe much later."""
        if len(self.sent) > CALL_AT_ONCE and self.chance(40):
            # more than the door hands to the queue in one call
            request = self.asked("POST", "/activities", "shop", SHOP, {"events": self.sent[-2 * CALL_AT_ONCE - 2 :]})
            self.activities.append(request)
            yield request
        elif self.sent:
            known = self.sent[-4:] if self.chance(50) else self.sent
            yield from self.send([self.rng.choice(known) for _ in range(self.rng.choice((1, 1, 2)))])

    def reused(self) -> Iterator[Step]:
        """An event id that is known, with other content."""
        if not self.sent:
            return
        first = self.rng.choice(self.sent)
        occurred = {**first, "occurred_at": self.stamp(self.now - timedelta(seconds=self.rng.randrange(1, 90_000)))}
        if self.chance(60):
            yield from self.send([occurred])
        else:
            other = self.rng.choice(self.writers).take(self.rng.choice(("order", "visits", "promotion")))[0]
            yield from self.send([{**other, "event_id": first["event_id"]}])

    def bad(self) -> Iterator[Step]:
        """An event that no ledger can take, among good ones."""
        events = self.rng.choice(self.writers).take("order")[:2]
        broken = self.rng.choice(
            (
                {"type": "order.lost"},
                {"occurred_at": "yesterday"},
                {"occurred_at": self.stamp(self.now + timedelta(hours=1))},
                {"data": {"order_id": "o-1"}},
                {"member_id": "me"},
                {"surprise": True},
            )
        )
        event = {**events[0], "event_id": f"bad.{len(self.sent)}", **broken}
        more = [{**event, "event_id": f"{event['event_id']}.{number}"} for number in range(self.rng.choice((0, 1, 3)))]
        yield from self.send([event, *more, *events])

    def watch(self) -> Iterator[Step]:
        """Something goes on a list, or comes off it."""
        writer = self.rng.choice(self.writers)
        if self.chance(30):
            data = {"item_id": self.rng.choice(ITEMS_WATCHED)}
            writer.write("cart.item_added", data, self.now - timedelta(seconds=20))
            writer.write("cart.item_removed", data, self.now)
            yield from self.send([event for event, _ in writer.history[:-3:-1]])
            return
        for _ in range(self.rng.choice((1, 1, 2))):
            kind = self.rng.choice(("wishlist.item_added", "wishlist.item_added", "cart.item_added"))
            kind = kind if self.chance(75) else kind.replace("added", "removed")
            ago = timedelta(seconds=self.rng.choice((0, 0, 1, 3600)))
            writer.write(kind, {"item_id": self.rng.choice(ITEMS_WATCHED)}, self.now - ago)
            yield from self.send([writer.history[-1][0]])

    def sale(self) -> Iterator[Step]:
        """Several members come to watch an item, whose price drops a little later."""
        item_id = self.rng.choice(ITEMS_WATCHED)
        events = []
        for writer in self.writers:
            if self.chance(70):
                writer.write(
                    self.rng.choice(("wishlist.item_added", "cart.item_added")), {"item_id": item_id}, self.now
                )
                events.append(writer.history[-1][0])
        self.made += 1
        newcomer = MemberWriter(self.rng, f"n-{self.made}", self)
        newcomer.write("wishlist.item_added", {"item_id": item_id}, self.now)
        events.append(newcomer.history[-1][0])
        yield from self.send(events)
        yield self.advance(timedelta(minutes=self.rng.choice((0, 1, 70, 3000))))
        yield from self.price_drop(item_id)
        if self.chance(70):  # who comes only now has seen the new price, however late the alerts are
            yield self.advance(timedelta(seconds=self.rng.choice((310, 310, 1200))))
            newcomer.promotion_of("club", 5)  # who has a tier only now had none at the drop
            yield from self.send([newcomer.history[-1][0]])
            for writer in self.writers:
                writer.write("wishlist.item_added", {"item_id": item_id}, self.now)
                yield from self.send([writer.history[-1][0]])
            yield self.advance(timedelta(minutes=3))

    def price_drop(self, item_id: str | None = None) -> Iterator[Step]:
        """The price of an item changes: mostly it drops."""
        self.made += 1
        item_id = item_id or self.rng.choice(ITEMS_WATCHED)
        old, new = self.rng.choice((("10.00", "8.00"), ("10.00", "9.99"), ("10.00", "9.98"), ("5.00", "7.00")))
        data = {"item_id": item_id, "old_price": old, "new_price": new, "currency": "USD"}
        event = {"event_id": f"drop.{self.made}", "type": "price.dropped", "occurred_at": self.stamp(self.now)}
        yield from self.send([{**event, "data": data}])

    def stamp(self, moment: datetime) -> str:
        """An instant as it stands on the wire."""
        return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")

    def send(self, events: list[Event]) -> Iterator[Step]:
        """Events on their way into the club, through either door, together or one by one."""
        self.sent += [event for event in events if not event["event_id"].startswith("bad.")]
        door = self.rng.choice(self.doors)
        size = self.rng.choice((1, 1, 3, 10))
        for first in range(0, len(events), size):
            some = events[first : first + size]
            if door == "bus":
                yield BusEvents([self.entry(event) for event in some])
                continue
            scopes = SHOP if self.chance(85) else SHOP[:1]
            request = self.asked("POST", "/activities", "shop", scopes, {"events": some})
            self.activities.append(request)
            yield request

    def entry(self, event: Event) -> dict[str, Any]:
        """An event as the marketplace puts it on the bus."""
        detail = {name: value for name, value in event.items() if name != "type"}
        return {"Source": "marketplace", "DetailType": event["type"], "Detail": detail}

    # Requests

    def asked(
        self, method: str, path: str, sub: str, scopes: Sequence[str], body: Any = None, query: str = ""
    ) -> ApiRequest:
        """A new request. Whoever asks for something to be done asks again where no answer says that it was."""
        self.requests += 1
        retries = self.rng.choice((0, 1, 2, 4)) if method != "GET" else 0
        return ApiRequest(method, path, sub, scopes, query, body, retries, self.requests)

    def twice(self, request: ApiRequest) -> Iterator[Step]:
        """A request, at times by two hosts at once."""
        yield request
        if self.chance(30):
            yield request

    def refund_request(self) -> Iterator[Step]:
        """Somebody asks for an expedited refund: mostly one that could be approved."""
        writer = self.rng.choice(self.writers)
        order = writer.target() if self.chance(90) else self.rng.choice(self.writers).target()
        total = sum(minor(line["unit_price"]) * line["quantity"] for line in order["lines"])
        limited = min(total, self.rng.choice((25_00, 100_00)))
        amount = limited if self.chance(70) else self.rng.choice((100, 25_01, total, total + 1, 100_01))
        body = self.refund_of(writer.member_id, order, dollars(max(1, amount)))
        if self.chance(12):
            body["seller_approved_at"] = None if self.chance(50) else self.stamp(self.now + timedelta(days=1))
        if self.chance(6):
            body["return_shipment"] = None
        if self.chance(6):
            body["refund"]["kind"] = "partial"
        if self.chance(5):
            body["order_eligible"] = False
        yield from self.decide("/refunds/expedited", body)

    def contested(self) -> Iterator[Step]:
        """One order id, held by two members who have come far; both ask for its refund at once."""
        self.made += 1
        order: dict[str, Any] = {"order_id": f"shared-{self.made}", "currency": "USD", "flags": []}
        order["lines"] = [{"item_id": "i-9", "seller_id": "s-9", "unit_price": "12.00", "quantity": 1}]
        chosen = self.rng.sample(self.writers, 2)
        for writer in chosen:
            writer.promotion_of("club", self.rng.choice((500, 2000)))
            writer.orders.append(order)
            writer.write("order.completed", order, self.now)
            yield from self.send([event for event, _ in writer.history[-2:]])
        yield self.advance(timedelta(minutes=10))
        bodies = [self.refund_of(writer.member_id, order, "12.00") for writer in chosen for _ in range(2)]
        for body in self.rng.sample(bodies, self.rng.randint(2, len(bodies))):
            yield from self.decide("/refunds/expedited", body)

    def spree(self) -> Iterator[Step]:
        """One member asks for refunds of several orders at once: more than the limits of rules 1.10 let through."""
        writer = self.rng.choice(self.writers)
        writer.promotion_of("club", self.rng.choice((500, 2000)))
        events = [writer.history[-1][0]]
        orders: list[dict[str, Any]] = []
        for _ in range(self.rng.choice((2, 3, 7))):
            self.made += 1
            price = self.rng.choice(("4.00", "20.00", "25.00"))
            line = {"item_id": f"i-{self.made}", "seller_id": "s-8", "unit_price": price, "quantity": 1}
            orders.append({"order_id": f"{writer.member_id}.spree-{self.made}", "currency": "USD", "lines": [line]})
            writer.orders.append(orders[-1])
            writer.write("order.completed", orders[-1], self.now)
            events.append(writer.history[-1][0])
        yield from self.send(events)
        yield self.advance(timedelta(minutes=10))
        for order in orders:
            body = self.refund_of(writer.member_id, order, order["lines"][0]["unit_price"])
            undercut = self.rng.randrange(4)
            if undercut == 0:
                writer.write("order.cancelled", {"order_id": order["order_id"]}, self.now)
                yield from self.send([writer.history[-1][0]])
            yield from self.decide("/refunds/expedited", body)
            if undercut == 1:
                self.made += 1
                taken = {"adjustment_id": f"adj-{self.made}", "reason": "taken", "program": "club", "points": -1000}
                path = f"/members/{writer.member_id}/adjustments"
                self.acts.append(self.asked("POST", path, "op-1", ("club:admin",), taken))
                yield self.acts[-1]

    def refund_of(self, member_id: str, order: dict[str, Any], amount: str) -> dict[str, Any]:
        """A request that leaves nothing open."""
        self.made += 1
        return {
            "request_id": f"r-{self.made}",
            "member_id": member_id,
            "order_id": order["order_id"],
            "dispute_id": f"d-{order['order_id']}",
            "refund": {"kind": "full", "amount": amount, "currency": "USD"},
            "seller_approved_at": self.stamp(self.now - timedelta(hours=1)),
            "return_shipment": {"carrier": "post", "tracking_number": "RB1", "first_scan_at": None},
            "order_eligible": True,
        }

    def dispute_request(self) -> Iterator[Step]:
        """Somebody asks for the acceleration of one of few disputes."""
        writer = self.rng.choice(self.writers)
        self.made += 1
        body = {
            "request_id": f"a-{self.made}",
            "member_id": writer.member_id,
            "dispute_id": f"q-{self.rng.randint(1, 3)}",
            "order_id": writer.target()["order_id"],
            "escalated_at": self.stamp(self.now - timedelta(hours=2)) if self.chance(80) else None,
            "review_due_at": self.stamp(self.now + timedelta(days=self.rng.choice((1, 5, 12)))),
        }
        yield from self.decide("/disputes/acceleration", body)

    def escalation(self) -> Iterator[Step]:
        """A member who may asks for one dispute's acceleration, and somebody else for the same."""
        writer = self.rng.choice(self.writers)
        writer.promotion_of("club", 2000)
        yield from self.send([writer.history[-1][0]])
        yield self.advance(timedelta(minutes=10))
        self.made += 1
        dispute_id = f"q-{self.made}"
        for _ in range(self.rng.choice((2, 2, 3))):
            self.made += 1
            body = {
                "request_id": f"a-{self.made}",
                "member_id": writer.member_id,
                "dispute_id": dispute_id,
                "order_id": "any",
                "escalated_at": self.stamp(self.now - timedelta(hours=2)),
                "review_due_at": self.stamp(self.now + timedelta(days=self.rng.choice((1, 5, 12)))),
            }
            yield from self.decide("/disputes/acceleration", body)

    def decide(self, path: str, body: dict[str, Any]) -> Iterator[Step]:
        """A request for a decision."""
        request = self.asked("POST", path, "disputes", ("club:decide",), body)
        self.decisions.append(request)
        yield from self.twice(request)

    def asked_again(self) -> Iterator[Step]:
        """A request for a decision once more: the same, under another id, or under the same id with another body."""
        if not self.decisions:
            return
        request = self.rng.choice(self.decisions[-4:])
        body = dict(request.body)
        draw = self.rng.randrange(4)
        if draw == 0:
            yield from self.twice(request)
            return
        if draw == 1 and "refund" in body:
            body["refund"] = {**body["refund"], "amount": "1.01"}
        elif draw == 1:
            body["review_due_at"] = self.stamp(self.now + timedelta(days=9))
        else:
            self.made += 1
            body["request_id"] = f"r-{self.made}"
            if draw == 3:
                body["member_id"] = self.rng.choice(self.members)
        yield from self.decide(request.path, body)

    def adjustment(self) -> Iterator[Step]:
        """An operator corrects something; a large one needs another, and an id may come again."""
        earlier = [request for request in self.acts if request.method == "POST"]
        if earlier and self.chance(50):
            request = self.rng.choice(earlier[-3:])
            draw = self.rng.randrange(3)
            if draw == 0:
                yield from self.twice(request)
                return
            body = dict(request.body)
            if draw == 1:
                body["reason"] = "another reason"
            second = self.asked("POST", request.path, "op-2", ("club:admin",), body)
        else:
            self.made += 1
            member_id = self.rng.choice(self.members)
            body = {"adjustment_id": f"adj-{self.made}", "reason": "by hand", **self.adjusted()}
            second = self.asked("POST", f"/members/{member_id}/adjustments", "op-1", ("club:admin",), body)
        self.acts.append(second)
        yield from self.twice(second)

    def adjusted(self) -> dict[str, Any]:
        """What is adjusted, in which program: at times more than one operator may."""
        program = self.rng.choice(("club", "crowns", "vip"))
        if program == "vip":
            return {"program": program, "spend": self.rng.choice(("999.00", "-12.50", "-1000.01", "4000.00"))}
        return {"program": program, "points": self.rng.choice((-400, 1, 100, 1000, 1001, 2000, -1001))}

    def erasure(self) -> Iterator[Step]:
        """A member asks to be forgotten. Others go on as if nothing were."""
        if any(request.method == "DELETE" for request in self.acts) or self.chance(50):
            return
        request = self.asked("DELETE", f"/members/{self.rng.choice(self.members)}", "op-1", ("club:admin",))
        self.acts.append(request)
        yield from self.twice(request)

    def read(self) -> Iterator[Step]:
        """A member, or an agent, looks."""
        member_id = self.rng.choice(self.members)
        below = self.rng.choice(("", "", "", "/rewards", "/privileges", "/statement", "/outlook", "/explanation"))
        query = f"program={self.rng.choice(('club', 'crowns', 'vip'))}"
        query = query if below in ("/statement", "/outlook", "/explanation") else ""
        if self.chance(50):
            path = f"/members/{self.rng.choice((member_id, 'me'))}{below}"
            yield self.asked("GET", path, member_id, ("club:read",), None, query)
        else:
            yield self.asked("GET", f"/members/{member_id}{below}", "agent", ("club:support",), None, query)

    def snoop(self) -> Iterator[Step]:
        """Somebody asks for what is not theirs, or may not ask at all."""
        own, other = self.rng.sample(self.members, 2)
        draw = self.rng.randrange(4)
        if draw == 0:
            yield self.asked("GET", f"/members/{other}", own, ("club:read",))
        elif draw == 1:
            yield self.asked("GET", f"/members/{other}/rewards", own, ("club:read",))
        elif draw == 2:
            body = {"adjustment_id": "mine", "program": "club", "points": 5, "reason": "me"}
            yield self.asked("POST", f"/members/{own}/adjustments", own, ("club:read",), body)
        elif self.decisions:
            known = self.rng.choice(self.decisions)
            yield self.asked("POST", known.path, own, ("club:read",), known.body)

    # Schedules

    def sweep_all(self) -> Iterator[Step]:
        """All schedules fire, as they do every night."""
        for function in SWEEPS:
            yield Sweep(function)

    def sweep(self) -> Iterator[Step]:
        """One schedule fires, or all three, now and then with a word of its own."""
        for function in SWEEPS if self.chance(60) else (self.rng.choice(SWEEPS),):
            draw = self.rng.randrange(100)
            given = {"dry_run": True} if draw < 6 else {"override_limit": True} if draw < 16 else {}
            yield Sweep(function, given)
