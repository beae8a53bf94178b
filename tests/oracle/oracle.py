"""The rules of the club once more, slowly and plainly, to judge the real engine by.

It keeps the list of what was posted. Every question replays that list from the start (a finished replay is
kept, but never continued). The numbers of the rules are stated here a second time, by hand, so that a slip in
the program's data shows.
"""

# Readings: where the text leaves something open, this is the choice taken.
#
# Posting and time
#  R1  Posting instants never decrease. "Posted on" is the local date of the posting instant in the program's
#      zone; a day's expiry, reviews and ends of tier caps come before everything that is posted on that date.
#  R2  All that ends on one day (lots, penalties, tier caps) ends in one step: tier_since sees only the net
#      change.
#  R3  tier_since follows every change, so a tier lost to a violation and regained by its overturning is held
#      since the day of the overturning; and none -> Silver -> none within one day leaves that day, not null.
#  R4  `already_expired` is judged first and stands alone; for a parked event it is judged when it acts. Order
#      of checks for an order: order_already_posted, already_expired, order_fraudulent, order_excluded, then
#      line by line.
# Orders
#  R5  An order is held once posted, whatever it earned (already expired, excluded and fraudulent ones too):
#      it is not posted again, parked events act on it, its items can be reviewed. With the flag `fraudulent`
#      it stands at nothing.
#  R6  Which units return is decided in each program by what that program counted. In `vip`, and for the money
#      that remains of an order, all units are alike: from the last line of the item first.
#  R7  A lines refund is measured against the units that remain, an amount refund against the money that
#      remains (units that remain less amounts). A full refund takes all units that remain, and exceeds the
#      order only where none is left. `refund_exceeds_order` is a fact about the order, hence the same in
#      every program. In each program the amounts count against what that program counted, so that the order
#      of the refunds never matters.
#  R8  Parked events act right after their order, one by one in their order of arrival, each as an entry of
#      its own: the order first fills caps and may raise a tier that the parked event then lowers.
#  R9  Returned units release caps even where the lot has expired and no point is taken.
#  R10 A clawback says `already_expired` only where it would have taken something.
#  R11 Club: the second order of a day loses nothing to a cap, so it has no `daily_cap`. Crowns: `daily_cap`
#      when the order, or a category that it newly brings to the day, is beyond the fifth.
#  R12 Order events concern all programs, even one in which the order earned nothing (then 0 points, no
#      codes).
# Single things
#  R13 An id (item, post_id, contribution_id) is used up only by an event that earned; a repeated post_id
#      reads `already_counted` like a contribution. This is judged per program, before the caps.
#  R14 A second visit on a day that has one reads `daily_cap`, else the eleventh of the month `monthly_cap`. A
#      month is the calendar month of the event's local day.
#  R15 A promotion counts for each event id; campaign_id limits nothing.
#  R16 Reviews look at the order as completed: flags, cancellation and fraud do not matter either.
# Violations
#  R17 The penalty's lot and the tier cap run from the violation's own day (occurred_at), like any lot. A
#      penalty that would be over already is `already_expired`, and its cap with it.
#  R18 A percentage of a balance below zero is zero. The overturning puts the deduction back into the
#      penalty's own lot; where that has ended, nothing happens.
#  R19 A case is its case_id; a second confirmation or overturning earns nothing and has no code, a
#      confirmation after its overturning likewise.
#  R20 The end of a tier cap raises the tier on that day.
# Vip
#  R21 A review that falls due on the day of a posting comes first, even when the posting is at 00:00 exactly.
#  R22 A clawback that takes nothing, or leaves the measure at the held tier or above, starts no new period.
# Adjustments
#  R24 An adjustment is a lot of the local day of its posting, whichever sign it has. Taking away, it lowers `vip`
#      as a clawback does; giving, it raises at once.
#  R25 What took points away gives them back on the day on which its lot ends, and raises a tier at once, `vip`
#      too: then a new period begins on that day, before a review of the same day, which it puts off.
# entry()
#  R23 For a parked event: 0 points and no codes while it waits; once it has acted, what it did then.

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Event = dict[str, Any]

UNDOING = ("order.refunded", "order.cancelled", "order.flagged_fraudulent")
ORDER_EVENTS = ("order.completed", *UNDOING)
NEEDS_ORDER = (*UNDOING, "review.posted")
VIOLATIONS = ("violation.confirmed", "violation.overturned")


# --- The constants of rules 1.4, 1.5, 1.6 and 1.8, by hand ------------------------------------------------


@dataclass(frozen=True)
class Penalty:
    """What a confirmed violation costs: points or per cent for so many days, and perhaps a tier cap."""

    days: int
    points: int = 0
    percent: int = 0
    cap_tier: str | None = None
    cap_days: int = 0


@dataclass(frozen=True)
class Rules:
    """One program: its window, its tiers with their thresholds (lowest first), what concerns it."""

    name: str
    window: int
    tiers: tuple[tuple[str, int], ...]
    concerns: tuple[str, ...]
    excluded_flags: tuple[str, ...] = ()
    penalties: dict[str, Penalty] = field(default_factory=dict)


CLUB = Rules(
    name="club",
    window=365,
    tiers=(("A0", 0), ("A1", 1), ("A2", 100), ("A3", 500), ("A4", 2000)),
    concerns=(*ORDER_EVENTS, "review.posted", "contribution.accepted"),
)
CROWNS = Rules(
    name="crowns",
    window=365,
    tiers=(("none", 0), ("Silver", 1), ("Gold", 101), ("Platinum", 501), ("Diamond", 1501)),
    concerns=(*ORDER_EVENTS, "review.posted", "visit.recorded", "post.published", *VIOLATIONS),
    excluded_flags=("preorder", "prepaid", "gift", "preferential_shipping"),
    penalties={
        "return_abuse": Penalty(days=90, points=200),
        "extortion": Penalty(days=180, percent=50, cap_tier="Silver", cap_days=60),
        "coupon_fraud": Penalty(days=365, percent=100),
        "spam": Penalty(days=30, points=20),
    },
)
VIP = Rules(
    name="vip",
    window=90,
    tiers=(("none", 0), ("Silver", 999_00), ("Gold", 3999_00), ("Platinum", 6999_00)),
    concerns=ORDER_EVENTS,
)
PROGRAMS = (CLUB, CROWNS, VIP)

MINIMUM_UNIT_PRICE = 2_00
CLUB_ORDERS_PER_SELLER = 10
CLUB_UNITS_PER_ITEM = 10
CLUB_DAILY_SHOPPING = 5
CROWNS_DAILY_SHOPPING_AT_MOST = 5
CROWNS_VARIETY_AT_MOST = 5
REVIEW = 1
CONTRIBUTION, CONTRIBUTIONS_A_MONTH = 1, 10
VISIT, VISITS_A_MONTH = 1, 10
POST, POST_POINTS_A_MONTH = 2, 10
VIP_PERIOD = 90


# --- What was posted, and what acts when ------------------------------------------------------------------


@dataclass(frozen=True)
class Posting:
    """An event and the moment it was posted."""

    event: Event
    at: datetime


@dataclass(frozen=True)
class Act:
    """One entry's cause: it `acts`, is `parked`, a `repeat` of an order, or `void` (a settled case)."""

    event: Event
    at: datetime
    form: str


def data_of(event: Event) -> dict[str, Any]:
    """The event's data; it may be left out where it holds nothing."""
    return event.get("data") or {}


def acts_of(postings: list[Posting]) -> list[Act]:
    """All entries' causes in order: parked events act right after the order that they waited for."""
    acts: list[Act] = []
    for posting in postings:
        event = posting.event
        acts.append(Act(event, posting.at, form_of(event, acts)))
        if event["type"] == "order.completed" and acts[-1].form == "acts":
            waited = [a.event for a in acts if a.form == "parked" and names_order_of(a.event, event)]
            acts += [Act(waiting, posting.at, "acts") for waiting in waited]
    return acts


def names_order_of(event: Event, order: Event) -> bool:
    """Whether the event needs an order, and it is this one."""
    return event["type"] in NEEDS_ORDER and data_of(event)["order_id"] == data_of(order)["order_id"]


def form_of(event: Event, earlier: list[Act]) -> str:
    """How an event is posted, after the earlier ones."""
    if event["type"] in ORDER_EVENTS or event["type"] in NEEDS_ORDER:
        held = any(
            a.event["type"] == "order.completed" and data_of(a.event)["order_id"] == data_of(event)["order_id"]
            for a in earlier
        )
        if event["type"] == "order.completed":
            return "repeat" if held else "acts"
        return "acts" if held else "parked"
    if event["type"] in VIOLATIONS:
        return form_of_case(event, earlier)
    return "acts"


def form_of_case(event: Event, earlier: list[Act]) -> str:
    """A case is confirmed once and overturned once; overturned first, its confirmation is void."""
    case = data_of(event)["case_id"]
    about = [a for a in earlier if a.event["type"] in VIOLATIONS and data_of(a.event)["case_id"] == case]
    confirmed = any(a.event["type"] == "violation.confirmed" for a in about)
    overturned = any(a.event["type"] == "violation.overturned" for a in about)
    if event["type"] == "violation.confirmed":
        return "void" if confirmed or overturned else "acts"
    if overturned:
        return "void"
    return "acts" if confirmed else "parked"


# --- Orders: lines, units and money -----------------------------------------------------------------------


@dataclass(frozen=True)
class Line:
    """A line of an order; the price is in minor units."""

    item: str
    seller: str
    category: str | None
    price: int
    quantity: int


@dataclass
class Order:
    """An order as one program sees it: its day, the units counted when it was posted, what undid it since."""

    order_id: str
    day: date
    lines: list[Line]
    flags: list[str]
    counted: list[int]
    undone_by: list[Event] = field(default_factory=list)


@dataclass
class Units:
    """The units of a line that remain."""

    counted: int
    uncounted: int


def minor(amount: str) -> int:
    """A decimal string in minor units of a currency with two decimals."""
    return int(Decimal(amount) * 100)


def signed_minor(amount: str) -> int:
    """A decimal string, maybe with a minus, in minor units."""
    return -minor(amount[1:]) if amount[0] == "-" else minor(amount)


def lines_of(event: Event) -> list[Line]:
    """The lines of an `order.completed`."""
    return [
        Line(x["item_id"], x["seller_id"], x.get("category"), minor(x["unit_price"]), x["quantity"])
        for x in data_of(event)["lines"]
    ]


def ends_all(event: Event) -> bool:
    """A cancellation, a fraud flag or a full refund: no unit remains."""
    return event["type"] != "order.refunded" or data_of(event).get("full") is True


def units_left(order: Order) -> list[Units]:
    """What remains of each line: uncounted units go first, and from the last line of the item backwards."""
    left = [Units(n, line.quantity - n) for line, n in zip(order.lines, order.counted, strict=True)]
    for event in order.undone_by:
        if ends_all(event):
            left = [Units(0, 0) for _ in left]
        for asked in data_of(event).get("lines", []):
            give_back(order.lines, left, asked["item_id"], asked["quantity"])
    return left


def give_back(lines: list[Line], left: list[Units], item: str, quantity: int) -> None:
    """Take up to `quantity` units of the item out of `left`; what is asked beyond that is ignored."""
    backwards = [units for line, units in zip(lines, left, strict=True) if line.item == item][::-1]
    for units in backwards:
        taken = min(quantity, units.uncounted)
        units.uncounted -= taken
        quantity -= taken
    for units in backwards:
        taken = min(quantity, units.counted)
        units.counted -= taken
        quantity -= taken


def amounts(order: Order) -> int:
    """The sum of the order's amount refunds."""
    return sum(minor(data_of(event)["amount"]) for event in order.undone_by if "amount" in data_of(event))


def counted_money(order: Order) -> int:
    """The total of the counted units that remain, less the amount refunds, never below zero.

    An amount beyond what remains needs no trimming: with it or without it, nothing is left.
    """
    total = sum(line.price * units.counted for line, units in zip(order.lines, units_left(order), strict=True))
    return max(0, total - amounts(order))


def as_money(order: Order) -> Order:
    """The same order seen by the money alone: every unit counts, but for a fraudulent order."""
    counted = [0 if "fraudulent" in order.flags else line.quantity for line in order.lines]
    return Order(order.order_id, order.day, order.lines, order.flags, counted, list(order.undone_by))


def exceeds(order: Order, event: Event) -> bool:
    """Whether this refund asks for more than remains of the order before it."""
    if event["type"] != "order.refunded":
        return False
    money, data = as_money(order), data_of(event)
    if "amount" in data:
        return minor(data["amount"]) > counted_money(money)
    left = units_left(money)
    if data.get("full") is True:
        return sum(units.counted for units in left) == 0
    for item in {asked["item_id"] for asked in data["lines"]}:
        wanted = sum(asked["quantity"] for asked in data["lines"] if asked["item_id"] == item)
        there = sum(u.counted for line, u in zip(order.lines, left, strict=True) if line.item == item)
        if wanted > there:
            return True
    return False


# --- One program's ledger, from scratch -------------------------------------------------------------------


@dataclass(frozen=True)
class Change:
    """An entry in one program: points (or spend) in the lot of a day, posted on a day."""

    event: Event
    posted_on: date
    lot_day: date
    expires_on: date
    points: int
    codes: frozenset[str] = frozenset()
    cap_tier: str | None = None
    cap_until: date | None = None


def balance(changes: list[Change], day: date) -> int:
    """The ledger's sum on a day, after that day's expiry."""
    return sum(change.points for change in changes if change.expires_on > day)


class Ledger:
    """Replays a member's acts in one program; `changes` has one for each act that concerns it."""

    def __init__(self, rules: Rules, zone: ZoneInfo, acts: list[Act]) -> None:
        self.rules = rules
        self.zone = zone
        self.orders: list[Order] = []
        self.changes: list[Change] = []
        for act in acts:
            if self.concerned(act.event):
                self.changes.append(self.change(act))

    def concerned(self, event: Event) -> bool:
        """Whether the event can do anything in this program."""
        if event["type"] in ("promotion.awarded", "adjustment"):
            return bool(data_of(event)["program"] == self.rules.name)
        return event["type"] in self.rules.concerns

    def day_of(self, moment: datetime) -> date:
        """The local date of a moment in this program's zone."""
        return moment.astimezone(self.zone).date()

    def event_day(self, event: Event) -> date:
        """The local date on which the event occurred."""
        return self.day_of(datetime.fromisoformat(event["occurred_at"]))

    def change(self, act: Act) -> Change:
        """What one act does."""
        event, today = act.event, self.day_of(act.at)
        kind = event["type"]
        if act.form != "acts":
            return self.earned(event, today, 0, {"order_already_posted"} if act.form == "repeat" else set())
        if kind == "adjustment":
            data = data_of(event)
            amount = data["points"] if "points" in data else signed_minor(data["spend"])
            return Change(event, today, today, today + timedelta(self.rules.window), amount)
        if kind == "order.completed":
            return self.order(event, today)
        if kind in UNDOING:
            return self.undo(event, today)
        if kind == "violation.confirmed":
            return self.penalty(event, today)
        if kind == "violation.overturned":
            return self.reinstatement(event, today)
        return self.single(event, today)

    def earned(self, event: Event, today: date, points: int, codes: set[str]) -> Change:
        """A change in the lot of the event's own day."""
        day = self.event_day(event)
        return Change(event, today, day, day + timedelta(self.rules.window), points, frozenset(codes))

    def expired(self, day: date, today: date) -> bool:
        """Whether the lot of `day` is over today."""
        return day + timedelta(self.rules.window) <= today

    # Orders

    def order(self, event: Event, today: date) -> Change:
        """A completed order: what its day is worth with it, less what it was worth without it."""
        day, data = self.event_day(event), data_of(event)
        lines, flags = lines_of(event), data.get("flags") or []
        counted, codes = self.count(lines, flags, day, today)
        before = self.day_worth(day)
        beyond_before = self.beyond_daily_caps(day)
        self.orders.append(Order(data["order_id"], day, lines, flags, counted))
        if any(now > then for now, then in zip(self.beyond_daily_caps(day), beyond_before, strict=True)):
            codes.add("daily_cap")
        return self.earned(event, today, self.day_worth(day) - before, codes)

    def count(self, lines: list[Line], flags: list[str], day: date, today: date) -> tuple[list[int], set[str]]:
        """How many units of each line count, and why the others do not."""
        none = [0 for _ in lines]
        if self.expired(day, today):
            return none, {"already_expired"}
        if "fraudulent" in flags:
            return none, {"order_fraudulent"}
        if any(flag in self.rules.excluded_flags for flag in flags):
            return none, {"order_excluded"}
        if self.rules is VIP:
            return [line.quantity for line in lines], set()
        return self.count_lines(lines, day)

    def count_lines(self, lines: list[Line], day: date) -> tuple[list[int], set[str]]:
        """Line by line: the minimum price, and in the club the seller's and the item's caps."""
        counted: list[int] = []
        codes: set[str] = set()
        for line in lines:
            units = line.quantity
            if line.price < MINIMUM_UNIT_PRICE:
                units = 0
                codes.add("unit_price_below_minimum")
            elif self.rules is CLUB and self.orders_of_seller(line.seller, day) >= CLUB_ORDERS_PER_SELLER:
                units = 0
                codes.add("seller_order_cap")
            elif self.rules is CLUB:
                here = sum(n for earlier, n in zip(lines, counted, strict=False) if earlier.item == line.item)
                room = max(0, CLUB_UNITS_PER_ITEM - self.units_of_item(line.item, day) - here)
                if units > room:
                    units = room
                    codes.add("item_unit_cap")
            counted.append(units)
        return counted, codes

    def nearby(self, day: date) -> list[Order]:
        """The orders on the days that share the caps of `day`."""
        return [order for order in self.orders if abs((order.day - day).days) <= self.rules.window - 1]

    def orders_of_seller(self, seller: str, day: date) -> int:
        """How many orders nearby have counted units of the seller that remain."""
        return sum(
            any(
                line.seller == seller and units.counted > 0
                for line, units in zip(order.lines, units_left(order), strict=True)
            )
            for order in self.nearby(day)
        )

    def units_of_item(self, item: str, day: date) -> int:
        """How many counted units of the item remain in the orders nearby."""
        return sum(
            units.counted
            for order in self.nearby(day)
            for line, units in zip(order.lines, units_left(order), strict=True)
            if line.item == item
        )

    def purchase(self, order: Order) -> int:
        """What the order itself gives as it stands: spend in `vip`, elsewhere a point per whole unit."""
        return counted_money(order) if self.rules is VIP else counted_money(order) // 100

    def shopping(self, day: date) -> tuple[int, int]:
        """How many orders of the day have purchase points, and how many categories count."""
        orders = [order for order in self.orders if order.day == day and self.purchase(order) > 0]
        categories = {
            line.category
            for order in orders
            for line, units in zip(order.lines, units_left(order), strict=True)
            if units.counted > 0 and line.category is not None
        }
        return len(orders), len(categories)

    def day_worth(self, day: date) -> int:
        """What all orders of a day give together as they stand, with daily shopping and variety."""
        purchases = sum(self.purchase(order) for order in self.orders if order.day == day)
        orders, categories = self.shopping(day)
        if self.rules is CLUB:
            return purchases + (CLUB_DAILY_SHOPPING if orders > 0 else 0)
        if self.rules is CROWNS:
            daily = min(orders, CROWNS_DAILY_SHOPPING_AT_MOST)
            return purchases + daily + min(categories, CROWNS_VARIETY_AT_MOST)
        return purchases

    def beyond_daily_caps(self, day: date) -> tuple[int, int]:
        """What the two daily caps of `crowns` cut off as the day stands."""
        if self.rules is not CROWNS:
            return 0, 0
        orders, categories = self.shopping(day)
        return max(0, orders - CROWNS_DAILY_SHOPPING_AT_MOST), max(0, categories - CROWNS_VARIETY_AT_MOST)

    def undo(self, event: Event, today: date) -> Change:
        """A refund, cancellation or fraud flag: what its day is worth now, less what it was before."""
        order = next(o for o in self.orders if o.order_id == data_of(event)["order_id"])
        codes = {"refund_exceeds_order"} if exceeds(order, event) else set()
        before = self.day_worth(order.day)
        order.undone_by.append(event)
        points = self.day_worth(order.day) - before
        if points != 0 and self.expired(order.day, today):
            points = 0
            codes.add("already_expired")
        expires_on = order.day + timedelta(self.rules.window)
        return Change(event, today, order.day, expires_on, points, frozenset(codes))

    # Single things: reviews, contributions, visits, posts, promotions

    def single(self, event: Event, today: date) -> Change:
        """Anything that earns by itself: it has not expired, is not used up, and its caps have room."""
        day = self.event_day(event)
        if self.expired(day, today):
            return self.earned(event, today, 0, {"already_expired"})
        kind, data = event["type"], data_of(event)
        if kind == "promotion.awarded":
            return self.earned(event, today, data["points"], set())
        if kind == "review.posted":
            return self.review(event, today)
        if kind == "contribution.accepted":
            if self.earlier(kind, "contribution_id", data["contribution_id"]):
                return self.earned(event, today, 0, {"already_counted"})
            return self.monthly(event, today, CONTRIBUTION, CONTRIBUTIONS_A_MONTH)
        if kind == "post.published":
            if self.earlier(kind, "post_id", data["post_id"]):
                return self.earned(event, today, 0, {"already_counted"})
            return self.monthly(event, today, POST, POST_POINTS_A_MONTH)
        if kind == "visit.recorded":
            if any(change.lot_day == day for change in self.earning(kind)):
                return self.earned(event, today, 0, {"daily_cap"})
            return self.monthly(event, today, VISIT, VISITS_A_MONTH)
        raise ValueError(f"no rule for {kind}")

    def earning(self, kind: str) -> list[Change]:
        """The earlier changes of this kind of event that earned something."""
        return [change for change in self.changes if change.event["type"] == kind and change.points > 0]

    def earlier(self, kind: str, name: str, value: str) -> bool:
        """Whether something of this kind with the same value has earned before."""
        return any(data_of(change.event)[name] == value for change in self.earning(kind))

    def review(self, event: Event, today: date) -> Change:
        """A review of an item of the order that it names, once per item."""
        item = data_of(event)["item_id"]
        order = next(o for o in self.orders if o.order_id == data_of(event)["order_id"])
        if item not in [line.item for line in order.lines]:
            return self.earned(event, today, 0, {"item_not_in_order"})
        if self.earlier("review.posted", "item_id", item):
            return self.earned(event, today, 0, {"already_reviewed"})
        return self.earned(event, today, REVIEW, set())

    def monthly(self, event: Event, today: date, points: int, at_most: int) -> Change:
        """Points under a cap for the calendar month of the event's day."""
        day = self.event_day(event)
        month = (day.year, day.month)
        earlier = [c for c in self.earning(event["type"]) if (c.lot_day.year, c.lot_day.month) == month]
        granted = min(points, at_most - sum(change.points for change in earlier))
        return self.earned(event, today, granted, {"monthly_cap"} if granted < points else set())

    # Violations

    def penalty(self, event: Event, today: date) -> Change:
        """A negative lot from the violation's day on, and perhaps a tier cap."""
        terms, day = self.rules.penalties[data_of(event)["kind"]], self.event_day(event)
        expires_on = day + timedelta(terms.days)
        if expires_on <= today:
            return Change(event, today, day, expires_on, 0, frozenset({"already_expired"}))
        settled = max(0, balance(self.changes, today))
        taken = terms.points + settled * terms.percent // 100
        cap_until = day + timedelta(terms.cap_days) if terms.cap_tier else None
        return Change(event, today, day, expires_on, -taken, frozenset(), terms.cap_tier, cap_until)

    def reinstatement(self, event: Event, today: date) -> Change:
        """The exact opposite of the penalty, in the penalty's own lot, where that is still in force."""
        case = data_of(event)["case_id"]
        penalty = next(
            change
            for change in self.changes
            if change.event["type"] == "violation.confirmed" and data_of(change.event)["case_id"] == case
        )
        points = -penalty.points if penalty.expires_on > today else 0
        return Change(event, today, penalty.lot_day, penalty.expires_on, points)


# --- Tiers ------------------------------------------------------------------------------------------------


@dataclass
class Standing:
    """The tier held (its rank), since when, and in `vip` the first day of the period."""

    rank: int = 0
    since: date | None = None
    period_from: date | None = None

    def move(self, rank: int, day: date) -> None:
        """Another tier from this day on, with a new period where it is a tier at all."""
        self.rank, self.since = rank, day
        self.period_from = day if rank > 0 else None


def rank_of(rules: Rules, measure: int) -> int:
    """The rank of the tier that a measure qualifies for; below zero it is the lowest."""
    return max([0] + [rank for rank, (_, start) in enumerate(rules.tiers) if measure >= start])


def capped_rank(rules: Rules, changes: list[Change], day: date) -> int:
    """The qualified tier on a day, under the tier caps in force."""
    rank = rank_of(rules, balance(changes, day))
    overturned = {data_of(c.event)["case_id"] for c in changes if c.event["type"] == "violation.overturned"}
    names = [name for name, _ in rules.tiers]
    for change in changes:
        if change.cap_tier is None or change.cap_until is None or change.cap_until <= day:
            continue
        if data_of(change.event)["case_id"] not in overturned:
            rank = min(rank, names.index(change.cap_tier))
    return rank


def standing_on(rules: Rules, changes: list[Change], today: date) -> Standing:
    """The tier held on a day: every posting, and between them what falls due, each on its day."""
    standing = Standing()
    done: list[Change] = []
    for change in changes:
        if done:
            settle(rules, standing, done, done[-1].posted_on, change.posted_on)
        done.append(change)
        follow(rules, standing, done)
    if done:
        settle(rules, standing, done, done[-1].posted_on, today)
    return standing


def settle(rules: Rules, standing: Standing, done: list[Change], last: date, today: date) -> None:
    """Do what falls due on the days after `last` up to and with `today`."""
    ends = {change.expires_on for change in done} | {change.cap_until for change in done}
    for number in range(1, (today - last).days + 1):
        day = last + timedelta(number)
        if rules is VIP:
            if day in ends and rank_of(VIP, balance(done, day)) > standing.rank:
                standing.move(rank_of(VIP, balance(done, day)), day)
            if standing.period_from is not None and day == standing.period_from + timedelta(VIP_PERIOD):
                review_period(standing, balance(done, day), day)
        elif day in ends:
            rank = capped_rank(rules, done, day)
            if rank != standing.rank:
                standing.move(rank, day)


def review_period(standing: Standing, spend: int, day: date) -> None:
    """The review on day 90: the tier is retained, or reset to what the spend qualifies for."""
    if spend >= VIP.tiers[standing.rank][1]:
        standing.period_from = day
    else:
        standing.move(rank_of(VIP, spend), day)


def follow(rules: Rules, standing: Standing, done: list[Change]) -> None:
    """The tier right after the last change of `done` was posted."""
    change, day = done[-1], done[-1].posted_on
    if rules is not VIP:
        rank = capped_rank(rules, done, day)
        if rank != standing.rank:
            standing.move(rank, day)
        return
    before, after = balance(done[:-1], day), balance(done, day)
    held_from = VIP.tiers[standing.rank][1]
    rises = change.points > 0 and rank_of(VIP, after) > standing.rank
    falls = standing.rank > 0 and change.points < 0 and before >= held_from > after
    if rises or falls:
        standing.move(rank_of(VIP, after), day)


# --- The judge --------------------------------------------------------------------------------------------


class Oracle:
    """Answers what the rules give for everything that was posted."""

    def __init__(self, zones: dict[str, str] | None = None) -> None:
        given = zones or {}
        self.zones = {rules.name: ZoneInfo(given.get(rules.name, "UTC")) for rules in PROGRAMS}
        self.postings: list[Posting] = []
        self._replayed: dict[tuple[str, str | None, int], Ledger] = {}

    def post(self, event: Event, at: datetime) -> None:
        """Keep an event with the moment of its posting; a duplicate changes nothing."""
        if at.tzinfo is None:
            raise ValueError("the moment of posting needs a time zone")
        if any(posting.event["event_id"] == event["event_id"] for posting in self.postings):
            return
        mine = self._postings(event.get("member_id"))
        if mine and at < mine[-1].at:
            raise ValueError("events are posted in the order of arrival")
        self.postings.append(Posting(deepcopy(event), at))

    def at(self, member_id: str, moment: datetime) -> dict[str, dict[str, Any]]:
        """Points (or spend), tier and since when, per program, settled to `moment`."""
        posted = len([posting for posting in self._postings(member_id) if posting.at <= moment])
        return {rules.name: self._view(rules, member_id, posted, moment) for rules in PROGRAMS}

    def entry(self, event_id: str) -> dict[str, dict[str, Any]]:
        """What the event did when posted (parked: when it acted), per program; {} where not concerned."""
        answer: dict[str, dict[str, Any]] = {}
        member_id = self._event(event_id).get("member_id")
        for rules in PROGRAMS:
            changes = self._ledger(rules, member_id).changes
            mine = [change for change in changes if change.event["event_id"] == event_id]
            answer[rules.name] = {}
            if mine:
                codes = sorted({code for change in mine for code in change.codes})
                answer[rules.name] = {"points": sum(change.points for change in mine), "codes": codes}
        return answer

    def is_parked(self, event_id: str) -> bool:
        """Whether the event was kept for something that has not arrived."""
        acts = acts_of(self._postings(self._event(event_id).get("member_id")))
        return [act.form for act in acts if act.event["event_id"] == event_id][-1] == "parked"

    def remaining(self, member_id: str, order_id: str) -> int | None:
        """The money that remains of an order, in minor units; None where the member does not have it."""
        for order in self._ledger(VIP, member_id).orders:
            if order.order_id == order_id:
                return counted_money(as_money(order))
        return None

    def _postings(self, member_id: str | None) -> list[Posting]:
        return [posting for posting in self.postings if posting.event.get("member_id") == member_id]

    def _event(self, event_id: str) -> Event:
        return next(posting.event for posting in self.postings if posting.event["event_id"] == event_id)

    def _ledger(self, rules: Rules, member_id: str | None, posted: int | None = None) -> Ledger:
        """The ledger of the member's first `posted` postings (by default all), replayed."""
        postings = self._postings(member_id)[:posted]
        key = (rules.name, member_id, len(postings))
        if key not in self._replayed:
            self._replayed[key] = Ledger(rules, self.zones[rules.name], acts_of(postings))
        return self._replayed[key]

    def _view(self, rules: Rules, member_id: str, posted: int, moment: datetime) -> dict[str, Any]:
        ledger = self._ledger(rules, member_id, posted)
        today = ledger.day_of(moment)
        standing = standing_on(rules, ledger.changes, today)
        return {
            "spend" if rules is VIP else "points": balance(ledger.changes, today),
            "tier": rules.tiers[standing.rank][0],
            "tier_since": standing.since.isoformat() if standing.since else None,
        }
