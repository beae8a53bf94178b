"""The second opinion: what the rules give, by ``tests.oracle``, kept up with every entry that is posted.

The second implementation replays a history from its start for each question. Here the same functions go on from
where they were, so that asking after every commit costs what the commit brought, and not the whole history.
Decisions (rules 1.10, 1.11) are judged here as well, from the request and this opinion alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from copy import copy
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from tests.oracle import oracle
from tests.oracle.oracle import CLUB, PROGRAMS, Act, Change, Event, Ledger, Oracle, Standing

CAPS_AND_ORDER = frozenset(
    {
        *("seller_order_cap", "item_unit_cap", "daily_cap", "monthly_cap"),
        *("already_reviewed", "already_counted", "order_already_posted"),
    }
)
"""Codes of what depends on which event came first (I9's own exception; rules 1.4, 1.7).

`already_expired` is not among them: what came too late to count would have expired by now."""

LIMITS = {"A3": 25_00, "A4": 100_00}
VELOCITY = timedelta(hours=720)
APPROVALS_AT_MOST, VALUE_AT_MOST_LIMITS = 5, 4
ACCELERATED_BY = timedelta(days=5)

COUPONS = {"Silver": (1, "1.00"), "Gold": (2, "2.00"), "Platinum": (3, "5.00"), "Diamond": (5, "10.00")}
"""Rules 1.5: how many coupons of what value for reaching a tier of ``crowns``."""


class View(NamedTuple):
    """A member in a program: points or minor units of spend, the tier, and since when it is held."""

    points: int
    tier: str
    since: date | None


class Did(NamedTuple):
    """What an entry of an event is to do: points by program; programs that it does not concern are missing."""

    event_id: str
    points: dict[str, int]


class Opinion:
    """What the rules give for one member."""

    def __init__(self) -> None:
        zone = ZoneInfo("UTC")
        self.acts: list[Act] = []
        self.posted: list[tuple[Event, datetime]] = []
        self._waiting: list[Event] = []
        self._released: list[Did] = []
        self._ledgers = {rules.name: Ledger(rules, zone, []) for rules in PROGRAMS}
        self._standings = {rules.name: Standing() for rules in PROGRAMS}
        self._at: dict[str, list[datetime]] = {rules.name: [] for rules in PROGRAMS}

    def post(self, event: Event, at: datetime) -> Did:
        """Takes an event posted at ``at``; gives what its entry does.

        What waited for it has its entry when the ledger says so (``release``): between the two somebody else may fill
        a cap. But it goes before whatever comes later about its own order, whose split rests on it (rules 1.7).
        """
        for waited in [each for each in self._waiting if _order_of(each) == _order_of(event)]:
            self._released.append(self._release(waited, at))
        self.posted.append((event, at))
        act = Act(event, at, oracle.form_of(event, self.acts))
        if event["type"] == "order.completed" and act.form == "acts":
            self._waiting += [
                a.event for a in self.acts if a.form == "parked" and oracle.names_order_of(a.event, event)
            ]
        self.acts.append(act)
        return Did(event["event_id"], self._act(act))

    def release(self, event_id: str, at: datetime) -> Did | None:
        """What the second entry of a parked event does, posted at ``at``; None where it is not its turn."""
        for place, did in enumerate(self._released):
            if did.event_id == event_id:
                return self._released.pop(place)
        waited = next((each for each in self._waiting if each["event_id"] == event_id), None)
        if waited is None:
            return None
        before = self._waiting[: self._waiting.index(waited)]
        if any(_order_of(each) == _order_of(waited) for each in before):
            return None
        return self._release(waited, at)

    def _release(self, waited: Event, at: datetime) -> Did:
        self._waiting.remove(waited)
        act = Act(waited, at, "acts")
        self.acts.append(act)
        return Did(waited["event_id"], self._act(act))

    @property
    def waits(self) -> list[str]:
        """The ids of parked events that are let go and whose second entry has not come."""
        return [*(did.event_id for did in self._released), *(event["event_id"] for event in self._waiting)]

    def _act(self, act: Act) -> dict[str, int]:
        did = {}
        for rules in PROGRAMS:
            ledger = self._ledgers[rules.name]
            if not ledger.concerned(act.event):
                continue
            change = ledger.change(act)
            standing = self._standings[rules.name]
            if ledger.changes:
                oracle.settle(rules, standing, ledger.changes, ledger.changes[-1].posted_on, change.posted_on)
            ledger.changes.append(change)
            self._at[rules.name].append(act.at)
            oracle.follow(rules, standing, ledger.changes)
            did[rules.name] = change.points
        return did

    def view(self, moment: datetime) -> dict[str, View]:
        """The member at a moment that is not before the last posting."""
        return {
            rules.name: _view(rules, self._ledgers[rules.name].changes, copy(self._standings[rules.name]), moment)
            for rules in PROGRAMS
        }

    def club_tier_at(self, moment: datetime) -> str:
        """The club's tier at any moment, by what had been posted then."""
        times = self._at["club"]
        changes = [c for c, at in zip(self._ledgers["club"].changes, times, strict=True) if at <= moment]
        standing = oracle.standing_on(CLUB, changes, moment.astimezone(UTC).date())
        return CLUB.tiers[standing.rank][0]

    @property
    def orders(self) -> list[oracle.Order]:
        """The member's orders, as `vip` has them: with all their money."""
        return self._ledgers["vip"].orders

    def remaining(self, order_id: str) -> int | None:
        """The money that remains of an order, in minor units; None where the member does not have it."""
        for order in self.orders:
            if order.order_id == order_id:
                return oracle.counted_money(oracle.as_money(order))
        return None

    def codes(self) -> set[str]:
        """All codes of what was denied or cut off."""
        return {code for ledger in self._ledgers.values() for change in ledger.changes for code in change.codes}

    def depends_on_order(self) -> bool:
        """Whether any of this may come out otherwise in another order of arrival, by I9's own exceptions.

        A percentage is taken of what the balance was, and of two confirmations of a case the first counts.
        """
        confirmed = [event["data"] for event, _ in self.posted if event["type"] == "violation.confirmed"]
        kinds, cases = {data["kind"] for data in confirmed}, {data["case_id"] for data in confirmed}
        return bool(kinds & {"extortion", "coupon_fraud"} or self.codes() & CAPS_AND_ORDER) or len(cases) < len(
            confirmed
        )

    def in_another_order(self, rng: Random, moment: datetime) -> dict[str, View] | None:
        """The same events in another order of arrival, at the same instants; None where that isn't comparable."""
        postings = [pair for pair in self.posted if pair[0]["type"] != "adjustment"]
        by_hand = [pair for pair in self.posted if pair[0]["type"] == "adjustment"]
        events = [event for event, _ in postings]
        rng.shuffle(events)
        judge = Oracle()
        last = max((at for _, at in postings), default=moment)
        # All at the last instant: then whatever order they come in, nothing arrives before it has occurred.
        both = [*((event, at) for event, at in by_hand if at <= last), *((event, last) for event in events)]
        both += [(event, at) for event, at in by_hand if at > last]
        other = Opinion()
        for event, at in both:
            judge.post({**event, "member_id": "any"}, at)
            other.post(event, at)
            for event_id in other.waits:
                other.release(event_id, at)
        if other.codes() & CAPS_AND_ORDER:
            return None
        found = judge.at("any", moment)
        return {
            name: View(each["spend" if name == "vip" else "points"], each["tier"], None) for name, each in found.items()
        }


def _order_of(event: Event) -> Any:
    return (event.get("data") or {}).get("order_id", event)


def _view(rules: oracle.Rules, changes: list[Change], standing: Standing, moment: datetime) -> View:
    today = moment.astimezone(UTC).date()
    if changes:
        oracle.settle(rules, standing, changes, changes[-1].posted_on, today)
    return View(oracle.balance(changes, today), rules.tiers[standing.rank][0], standing.since)


# --- Decisions ----------------------------------------------------------------------------------------------


class Facts(NamedTuple):
    """What a refund's decision rests on, beside its request.

    ``remaining``: minor units of the order, None where it is not held. ``approvals``: the member's own, as
    (when, minor units). ``paid``: whether the order's refund was approved before.
    """

    tier: str
    remaining: int | None
    paid: bool
    approvals: Sequence[tuple[datetime, int]]


def refund_outcome(body: Mapping[str, Any], facts: Facts, at: datetime) -> str:
    """What rules 1.10 give for a request's body at the moment of decision."""
    amount, limit = oracle.minor(body["refund"]["amount"]), LIMITS.get(facts.tier)
    recent = [value for when, value in facts.approvals if at - when < VELOCITY]
    fails = (
        limit is None
        or body["refund"]["kind"] != "full"
        or amount > limit
        or (facts.remaining is not None and amount > facts.remaining)
        or not body["order_eligible"]
        or facts.paid
        or len(recent) + 1 > APPROVALS_AT_MOST
        or amount + sum(recent) > limit * VALUE_AT_MOST_LIMITS
    )
    missing = facts.remaining is None or body["return_shipment"] is None or _is_ahead(body["seller_approved_at"], at)
    return "declined" if fails else "pending" if missing else "approved"


def dispute_outcome(body: Mapping[str, Any], tier: str, accelerated: bool, at: datetime) -> tuple[str, datetime]:
    """What rules 1.11 give for a request's body at the moment of decision, and when the review is due then."""
    due = datetime.fromisoformat(body["review_due_at"])
    if tier != "A4" or accelerated:
        return "declined", due
    if _is_ahead(body["escalated_at"], at):
        return "pending", due
    return "approved", min(due, max(at, due - ACCELERATED_BY))


def _is_ahead(instant: str | None, at: datetime) -> bool:
    return instant is None or datetime.fromisoformat(instant) > at


# --- What two messages have in common -----------------------------------------------------------------------


def content(event: Mapping[str, Any]) -> str:
    """What an event says, however it is written: two with one id are the same when this is (rules 1.3)."""
    try:
        occurred = datetime.fromisoformat(event["occurred_at"]).astimezone(UTC).isoformat()
    except (KeyError, TypeError, ValueError):
        occurred = str(event.get("occurred_at"))
    says = [event.get("type"), event.get("member_id"), occurred, _plain(event.get("data") or {})]
    return json.dumps(says, sort_keys=True)


def _plain(value: Any) -> Any:
    """Data without what holds nothing, and with flags as a set: as it means, not as it is written."""
    if isinstance(value, Mapping):
        kept = {name: _plain(each) for name, each in value.items() if each is not None and each != []}
        if isinstance(kept.get("flags"), list):
            kept["flags"] = sorted(set(kept["flags"]))
        return kept
    return [_plain(each) for each in value] if isinstance(value, list) else value
