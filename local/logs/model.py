"""What a purchase log is once it has been read: compact events, and the log that holds them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import cached_property
from itertools import groupby
from typing import Any, NamedTuple

CURRENCY = "USD"
LINES_PER_ORDER = 500  # this and the next two: rules 1.3
MAX_QUANTITY = 1_000_000
MAX_CENTS = 99_999_999_999


class LogError(ValueError):
    """A log that can't be read: the message names the file, the line and what was expected there."""


class Line(NamedTuple):
    """One line of an order; of a refund or a review only the item (and the units) mean something."""

    item_id: str
    quantity: int
    cents: int = 0
    seller_id: str = ""
    category: str = ""


class Activity(NamedTuple):
    """One event in the compact form in which a log is kept in memory; ``extra`` is further ``data``."""

    occurred_at: datetime
    event_id: str
    type: str
    member_id: str
    order_id: str = ""
    lines: tuple[Line, ...] = ()
    extra: tuple[tuple[str, Any], ...] = ()


@dataclass(frozen=True)
class Log:
    """A purchase log, ready to be replayed; ``activities`` are in order of time, and never empty.

    ``rows`` counts the file's rows of data, ``skipped`` those that became no event (reason -> rows), and
    ``notes`` says in plain words what a reader of the outcome should know about the mapping.
    """

    name: str
    title: str
    rows: int
    activities: tuple[Activity, ...]
    skipped: dict[str, int] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def events(self) -> int:
        """How many events the log holds."""
        return len(self.activities)

    @cached_property
    def members(self) -> int:
        """How many members the events are about."""
        return len({activity.member_id for activity in self.activities})

    @property
    def first_day(self) -> date:
        """The UTC day of the first event."""
        return self.activities[0].occurred_at.date()

    @property
    def last_day(self) -> date:
        """The UTC day of the last event."""
        return self.activities[-1].occurred_at.date()

    def counts(self) -> dict[str, int]:
        """How many events of each type, the most frequent first."""
        return dict(Counter(activity.type for activity in self.activities).most_common())

    def days(self) -> Iterator[tuple[date, list[dict[str, Any]]]]:
        """Every day from the first to the last, those without events included, with its events in order of
        time.
        """
        expected = self.first_day
        for day, group in groupby(self.activities, key=lambda activity: activity.occurred_at.date()):
            while expected < day:
                yield expected, []
                expected += timedelta(days=1)
            yield day, [wire(activity) for activity in group]
            expected = day + timedelta(days=1)


def in_order(activities: Iterable[Activity]) -> tuple[Activity, ...]:
    """By time; what happened at the same time stays in the log's own order."""
    return tuple(sorted(activities, key=lambda activity: activity.occurred_at))


def wire(activity: Activity) -> dict[str, Any]:
    """The event as ``POST /activities`` takes it (rules 1.3): money as decimal strings, instants in UTC."""
    data: dict[str, Any] = dict(activity.extra)
    if activity.order_id:
        data["order_id"] = activity.order_id
    if activity.type == "order.completed":
        data["currency"] = CURRENCY
        data["lines"] = [_wire_line(line) for line in activity.lines]
    elif activity.type == "review.posted":
        data["item_id"] = activity.lines[0].item_id
    elif activity.lines:
        data["lines"] = [{"item_id": line.item_id, "quantity": line.quantity} for line in activity.lines]
    return {
        "event_id": activity.event_id,
        "type": activity.type,
        "member_id": activity.member_id,
        "occurred_at": activity.occurred_at.isoformat().replace("+00:00", "Z"),
        "data": data,
    }


def _wire_line(line: Line) -> dict[str, Any]:
    wired: dict[str, Any] = {
        "item_id": line.item_id,
        "seller_id": line.seller_id,
        "unit_price": f"{line.cents // 100}.{line.cents % 100:02d}",
        "quantity": line.quantity,
    }
    if line.category:
        wired["category"] = line.category
    return wired
