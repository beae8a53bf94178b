"""Random histories of one member that make the rules bite: caps, undoing, late events, window edges.

`random_history` is the plain generator (seeded by its `rng`), `histories` the same as a hypothesis strategy.
Every event is valid by rules 1.3, and posting instants never decrease. Where they are asked for, adjustments stand
among them: written as events of the type `adjustment`, with the program and `points` or `spend`.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from random import Random
from typing import Any

from hypothesis import strategies as st

Event = dict[str, Any]
History = list[tuple[Event, datetime]]

START = datetime(2019, 3, 1, tzinfo=UTC)
MEMBER = "m-1"
EDGES = (1, 59, 60, 89, 90, 91, 179, 180, 364, 365, 366)
LATENESS = (*EDGES, 2, 3, 30, 400)
TIMES = (
    time(0, 0),
    time(0, 0, 1),
    time(3, 30),
    time(12, 0),
    time(18, 45, 30),
    time(23, 57),
    time(23, 59, 59),
)
OFFSETS = (
    timedelta(),
    timedelta(),
    timedelta(),
    timedelta(hours=3),
    timedelta(hours=-8),
    timedelta(hours=5, minutes=30),
)

SELLERS = ("s-1", "s-2", "s-3")
FEW_ITEMS = tuple(f"i-{n}" for n in range(1, 5))
MANY_ITEMS = tuple(f"i-{n}" for n in range(1, 41))
CATEGORIES = ("toys", "phones", "shoes", "garden", "books", "music", "pets")
SMALL_PRICES = ("0.01", "1.99", "2.00", "2.01", "3.33", "9.99", "10.50", "25.00")
LARGE_PRICES = (
    "99.00",
    "100.00",
    "499.99",
    "500.00",
    "998.99",
    "999.00",
    "999.01",
    "2000.00",
    "3000.00",
    "3999.00",
)
EXCLUDING_FLAGS = ("preorder", "prepaid", "gift", "preferential_shipping")
PROMOTIONS = (1, 20, 99, 100, 101, 200, 399, 400, 499, 500, 501, 1000, 1499, 1500, 1501, 2000, 10_000)
VIOLATIONS = ("return_abuse", "extortion", "coupon_fraud", "spam")
ADJUSTED_POINTS = (1, 5, 20, 99, 100, 101, 400, 499, 500, 501, 2000, 10_000)
ADJUSTED_SPEND = ("0.01", "12.50", "500.00", "998.99", "999.00", "999.01", "3000.00", "3999.00", "6999.00")

# How often each kind of step is taken.
STEPS = (
    ("order", 34),
    ("refund", 20),
    ("cancel", 4),
    ("fraud", 3),
    ("resent_order", 3),
    ("duplicate", 2),
    ("review", 8),
    ("visits", 5),
    ("posts", 4),
    ("contributions", 4),
    ("promotion", 5),
    ("violation", 5),
    ("overturn", 4),
    ("other", 1),
)
ADJUSTMENTS = ("adjustment", 12)


def dollars(minor: int) -> str:
    """Minor units as a decimal string."""
    return f"{minor // 100}.{minor % 100:02d}"


def minor(amount: str) -> int:
    """A decimal string as minor units."""
    whole, cents = amount.split(".")
    return int(whole) * 100 + int(cents)


class Writer:
    """Writes one history, event by event; each takes the next posting instant."""

    def __init__(self, rng: Random, member_id: str, instants: list[datetime]) -> None:
        self.rng = rng
        self.member_id = member_id
        self.instants = instants
        self.history: History = []
        self.orders: list[dict[str, Any]] = []
        self.drafts: list[dict[str, Any]] = []
        self.cases: list[tuple[str, str]] = []
        self.order_days: list[date] = []
        # The mood of this history: few items (their caps bite) or many (the sellers' do), and so on.
        self.items = rng.choice((FEW_ITEMS, MANY_ITEMS, MANY_ITEMS))
        self.quantities = rng.choice(((1,), (1, 1, 2, 3), (1, 1, 1, 2, 3, 5, 9, 10, 11)))
        self.large_percent = rng.choice((0, 5, 20))

    @property
    def full(self) -> bool:
        """Whether every instant is taken."""
        return len(self.history) >= len(self.instants)

    @property
    def now(self) -> datetime:
        """The next posting instant."""
        return self.instants[min(len(self.history), len(self.instants) - 1)]

    def chance(self, percent: int) -> bool:
        """True this often."""
        return self.rng.randrange(100) < percent

    def write(self, kind: str, data: dict[str, Any], occurred: datetime | None = None) -> None:
        """Post an event at the next instant; past the last one, nothing."""
        if self.full:
            return
        occurred = min(occurred or self.occurred(), self.now + timedelta(minutes=5))
        occurred = max(occurred, self.now - timedelta(days=400))
        offset = self.rng.choice(OFFSETS)
        stamp = (occurred + offset).replace(tzinfo=None).isoformat()
        hours, minutes = divmod(abs(int(offset.total_seconds())) // 60, 60)
        zone = f"{'-' if offset < timedelta() else '+'}{hours:02d}:{minutes:02d}" if offset else "Z"
        event = {
            "event_id": f"e-{len(self.history) + 1}",
            "type": kind,
            "member_id": self.member_id,
            "occurred_at": stamp + zone,
            "data": data,
        }
        self.history.append((event, self.now))

    def occurred(self) -> datetime:
        """When an event that is posted now occurred: mostly now, else late, at an edge, or a little ahead."""
        now, draw = self.now, self.rng.randrange(100)
        if draw < 55:
            return now
        if draw < 60:
            return now + timedelta(seconds=self.rng.choice((1, 60, 299, 300)))
        if draw < 72 and self.order_days:
            return self.on(self.rng.choice(self.order_days[-3:]))
        if draw < 82:
            return self.on(now.date() - timedelta(days=self.rng.choice(EDGES)))
        if draw < 88 and self.order_days:
            edge = self.rng.choice((364, 365)) * self.rng.choice((1, -1))
            return self.on(self.rng.choice(self.order_days) + timedelta(days=edge))
        if draw < 94:
            return now - timedelta(seconds=self.rng.randrange(4 * 86_400))
        return self.on(now.date() - timedelta(days=self.rng.choice(LATENESS)))

    def on(self, day: date) -> datetime:
        """Some time on a day, but never later than now and never more than 400 days ago."""
        moment = datetime.combine(day, self.rng.choice(TIMES), tzinfo=UTC)
        return max(min(moment, self.now), self.now - timedelta(days=400))

    # Orders

    def draft(self) -> dict[str, Any]:
        """The data of a new order."""
        number = len(self.orders) + len(self.drafts) + 1
        lines = [self.line() for _ in range(self.rng.choice((1, 1, 1, 2, 2, 3, 6)))]
        data: dict[str, Any] = {"order_id": f"o-{number}", "currency": "USD", "lines": lines}
        if self.chance(15):
            data["flags"] = [self.rng.choice((*EXCLUDING_FLAGS, "fraudulent"))]
        elif self.chance(20):
            data["flags"] = []
        return data

    def line(self) -> dict[str, Any]:
        """A line of an order: small prices mostly, now and then one near a tier's threshold."""
        large = self.chance(self.large_percent)
        line: dict[str, Any] = {
            "item_id": self.rng.choice(self.items),
            "seller_id": self.rng.choice(SELLERS),
            "unit_price": self.rng.choice(LARGE_PRICES if large else SMALL_PRICES),
            "quantity": 1 if large else self.rng.choice(self.quantities),
        }
        if self.chance(90):
            line["category"] = self.rng.choice(CATEGORIES)
        return line

    def order(self) -> None:
        """An order, or several on one day; sometimes one that something has named before."""
        together = self.rng.choice((1, 1, 1, 1, 2, 3, 7))
        occurred = self.occurred()
        for _ in range(together):
            if self.full:
                return
            data = self.drafts.pop(0) if self.drafts and self.chance(70) else self.draft()
            self.orders.append(data)
            self.order_days.append(occurred.date())
            self.write("order.completed", data, occurred)

    def target(self) -> dict[str, Any]:
        """An order to act on: mostly a posted one, sometimes one that comes later or never."""
        if not self.orders or self.chance(20):
            if not self.drafts or self.chance(50):
                self.drafts.append(self.draft())
            return self.rng.choice(self.drafts)
        recent = self.orders[-4:] if self.chance(60) else self.orders
        return self.rng.choice(recent)

    def refund(self) -> None:
        """A refund of any kind, or a few of one order after each other."""
        order = self.target()
        for _ in range(self.rng.choice((1, 1, 2, 3))):
            self.write("order.refunded", {"order_id": order["order_id"], **self.refund_of(order)})

    def refund_of(self, order: dict[str, Any]) -> dict[str, Any]:
        """What is refunded: everything, some units, or an amount, at times more than there is."""
        draw = self.rng.randrange(100)
        if draw < 20:
            return {"full": True}
        if draw < 60:
            chosen = self.rng.sample(order["lines"], self.rng.randint(1, len(order["lines"])))
            lines: list[dict[str, Any]] = []
            for line in chosen:
                item = self.rng.choice(self.items) if self.chance(5) else line["item_id"]
                if item not in [other["item_id"] for other in lines]:
                    quantity = self.rng.choice((1, 1, 1, 2, line["quantity"], line["quantity"] + 1))
                    lines.append({"item_id": item, "quantity": quantity})
            return {"lines": lines}
        total = sum(minor(line["unit_price"]) * line["quantity"] for line in order["lines"])
        part = self.rng.choice((1, 99, 100, 101, total // 2, total - 1, total, total + 1))
        return {"amount": dollars(max(1, part)), "currency": "USD"}

    def cancel(self) -> None:
        """A cancellation."""
        self.write("order.cancelled", {"order_id": self.target()["order_id"]})

    def fraud(self) -> None:
        """A fraud flag."""
        self.write("order.flagged_fraudulent", {"order_id": self.target()["order_id"]})

    def resent_order(self) -> None:
        """An order that is posted already, with a new event id and maybe other lines."""
        if not self.orders:
            return
        data = self.rng.choice(self.orders)
        if self.chance(50):
            data = {**self.draft(), "order_id": data["order_id"]}
        self.write("order.completed", data)

    def duplicate(self) -> None:
        """The same event once more."""
        if self.history and not self.full:
            self.history.append((self.rng.choice(self.history)[0], self.now))

    # Single things

    def review(self) -> None:
        """A review, mostly of an item of its order."""
        order = self.target()
        item = self.rng.choice(self.items) if self.chance(15) else self.rng.choice(order["lines"])["item_id"]
        self.write("review.posted", {"order_id": order["order_id"], "item_id": item})

    def visits(self) -> None:
        """A burst of visits on the days before today, some twice a day."""
        hours, now = self.rng.choice((12, 24)), self.now
        for back in range(self.rng.choice((1, 2, 16))):
            self.write("visit.recorded", {}, now - timedelta(hours=hours * back))

    def posts(self) -> None:
        """Some posts, now and then one that was there before."""
        occurred = self.occurred()
        for _ in range(self.rng.choice((1, 2, 7))):
            self.write("post.published", {"post_id": self.some_id("p")}, occurred)

    def contributions(self) -> None:
        """Some contributions, now and then one that was there before."""
        occurred = self.occurred()
        for _ in range(self.rng.choice((1, 2, 13))):
            data = {"contribution_id": self.some_id("c"), "kind": "translation"}
            self.write("contribution.accepted", data, occurred)

    def some_id(self, letter: str) -> str:
        """A new id, or at times one of a few that come again and again."""
        number = self.rng.randint(1, 5) if self.chance(20) else 100 + len(self.history)
        return f"{letter}-{number}"

    def promotion(self) -> None:
        """Points of a campaign, near the thresholds of the tiers."""
        program = self.rng.choice(("club", "crowns"))
        points = self.rng.choice(PROMOTIONS if self.large_percent else PROMOTIONS[:5])
        self.write("promotion.awarded", {"campaign_id": "spring", "points": points, "program": program})

    def violation(self) -> None:
        """A confirmed violation, of a new case or one that is known."""
        if not self.cases or self.chance(75):
            self.cases.append((f"v-{len(self.cases) + 1}", self.rng.choice(VIOLATIONS)))
        case, kind = self.rng.choice(self.cases[-2:])
        self.write("violation.confirmed", {"case_id": case, "kind": kind})

    def overturn(self) -> None:
        """An overturned case: mostly a confirmed one, sometimes before its confirmation."""
        if not self.cases or self.chance(20):
            self.cases.append((f"v-{len(self.cases) + 1}", self.rng.choice(VIOLATIONS)))
        case, kind = self.rng.choice(self.cases[-3:])
        self.write("violation.overturned", {"case_id": case, "kind": kind})

    def adjustment(self) -> None:
        """One or more corrections by a person: often some that take away, and now and then ones that cancel out."""
        program = self.rng.choice(("club", "crowns", "vip"))
        for _ in range(self.rng.choice((1, 1, 2))):
            sign = self.rng.choice(("", "-", "-"))
            if program == "vip":
                amount: dict[str, Any] = {"spend": sign + self.rng.choice(ADJUSTED_SPEND)}
            else:
                amount = {"points": int(f"{sign}{self.rng.choice(ADJUSTED_POINTS)}")}
            self.write("adjustment", {"program": program, **amount}, self.now)

    def other(self) -> None:
        """An event that earns nothing in any program."""
        kind = self.rng.choice(("member.updated", "wishlist.item_added", "cart.item_removed"))
        data = {"country": "BY"} if kind == "member.updated" else {"item_id": self.rng.choice(self.items)}
        self.write(kind, data)


def posting_instants(rng: Random, start: datetime, days: int, events: int) -> list[datetime]:
    """As many instants as events: on few days, many at the edges of windows that earlier days opened."""
    busy = [rng.randint(0, days) for _ in range(max(1, events // 6))]
    busy += [day + edge for day in busy for edge in EDGES if day + edge <= days and rng.randrange(100) < 25]
    midnight = datetime.combine(start.astimezone(UTC).date(), time(0, 0), tzinfo=UTC)
    moments = []
    for _ in range(events):
        moment = midnight + timedelta(days=rng.choice(busy))
        moments.append(datetime.combine(moment.date(), rng.choice(TIMES), tzinfo=UTC))
    return sorted(moments)


def random_history(
    rng: Random,
    *,
    days: int,
    events: int,
    member_id: str = MEMBER,
    start: datetime = START,
    adjustments: bool = False,
) -> History:
    """A history of `events` postings over `days` days, for one member."""
    writer = Writer(rng, member_id, posting_instants(rng, start, days, events))
    steps = (*STEPS, ADJUSTMENTS) if adjustments else STEPS
    names = [name for name, weight in steps for _ in range(weight)]
    while not writer.full:
        getattr(writer, rng.choice(names))()
    return writer.history


@st.composite
def histories(draw: st.DrawFn, max_days: int = 800, max_events: int = 60, *, adjustments: bool = False) -> History:
    """Histories for hypothesis: a random one, with some postings left out (more and more as it shrinks)."""
    rng = Random(draw(st.integers(min_value=0, max_value=2**32 - 1)))
    days = draw(st.integers(min_value=0, max_value=max_days))
    events = draw(st.integers(min_value=1, max_value=max_events))
    history = random_history(rng, days=days, events=events, adjustments=adjustments)
    left_out = draw(st.lists(st.integers(min_value=0, max_value=9), min_size=events, max_size=events))
    return [posting for posting, number in zip(history, left_out, strict=True) if number > 0] or history[:1]
