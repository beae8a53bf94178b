"""What a sweep costs by member due, however many members there are: 1,000 due among 10,000 up to 1,000,000.

A club of a year ago is played through the local stack on the simulation's store, which counts capacity units as
DynamoDB's documentation does: on each of three days 1,000 members buy something, and others in the weeks after it.
Those others' accounts are then copied, each under a key and a seal of its own, until the table has as many members as
it shall. In the nights in which the purchases of the three days are a year old the real sweeps run. The first thousand
have nothing else, the second fall to a lower tier with what they have bought since, the third keep their tier.

The brake is overridden: a tenth of the members in one night is what it is there to stop. What it notes is written all
the same.
"""

from __future__ import annotations

import gc
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from operator import itemgetter
from statistics import median
from typing import Any, NamedTuple

from benchmarks.figures import RATIO, Figure, Progress
from benchmarks.units import Bill, metered
from club_ledger import items
from club_ledger.items import SEAL, seal_of
from club_ledger.store import shard_of
from local.replay import daily
from local.replay.drive import batches
from local.replay.progress import peak_megabytes
from tests.contract.quick_stack import QuickStack, quick_stack
from tests.simulation.dynamodb.table import Row, Table
from tests.simulation.dynamodb.values import item_size

SIZES = (10_000, 100_000, 1_000_000)
DUE = 1_000
ROUNDS = 7
SWEEPS = {"ExpirySweep": "expiry", "DemotionSweep": "demotion"}
"""What is measured of a night, in its order: schedules, and what the table calls them."""


class Buyers(NamedTuple):
    """Members who buy something on the same day: for how much, for how much half a year later, and what falls due."""

    called: str
    first: str
    second: str | None
    sweeps: tuple[str, ...]


BUYERS = (
    Buyers("nothing left", "20.00", None, tuple(SWEEPS)),
    Buyers("more to come, tier falls", "101.00", "20.00", tuple(SWEEPS)),
    Buyers("more to come, tier stays", "20.00", "20.00", ("ExpirySweep",)),
)
"""Those of the first days, 1,000 each."""

_FIRST_DAY = datetime(2024, 3, 1, 9, tzinfo=UTC)
_YEAR = 365  # the window of `club` and `crowns`
_SECOND_DAY = 200
_BUYING_DAY, _LAST_BUYING_DAY = 5, 300  # of the week; nothing of that falls due, or is warned of, in the nights
_BUYERS_A_WEEK = 2
_WRITE_UNITS_MAX, _READ_UNITS_MAX = 6, 1  # architecture 3.4, by member due
_WHY = (
    "an entry and the account in one transaction are 4 units, and the account's move within the index to the next "
    "thing due is 2: the rest is what notes how far the run is, and what it may demote, chunk by chunk"
)


@dataclass(frozen=True)
class Night:
    """What one sweep took in one night, of the function itself, and of what the table's stream set off by it."""

    requests: float
    write_units: float
    read_units: float
    seconds: float
    store_seconds: float
    announced_write_units: float

    @classmethod
    def of(cls, bill: Bill, function: str) -> Night:
        """As the ``bill`` of the sweep has it."""
        used = bill.used[function]
        return cls(
            used["requests"],
            used["write units"],
            used["read units"],
            bill.seconds[function],
            bill.elsewhere[function],
            bill.used["publish_changes"]["write units"],
        )


Nights = dict[tuple[str, int, int], list[Night]]
"""By schedule, place in ``BUYERS``, and number of members: one of each round."""


def measure(progress: Progress) -> list[Figure]:
    """The figures of each sweep. Raises ``AssertionError`` where a night did not work off who was due."""
    nights: Nights = {}
    with quick_stack(_FIRST_DAY) as stack:
        (name,) = stack.template.tables
        _play_a_year(stack, progress)
        tables = {size: _grown(stack, stack.store.tables[name], size, progress) for size in SIZES}
        gc.collect()
        gc.freeze()  # a million members at rest are nothing that the collector should look at for a sweep's work
        for number in range(ROUNDS):
            for size in SIZES[number % len(SIZES) :] + SIZES[: number % len(SIZES)]:
                progress.step(30 + 70 * number / ROUNDS, 100, f"round {number + 1} of {ROUNDS}, {size:,} members")
                stack.store.tables[name] = tables[size].copied()
                gc.freeze()
                # how much each costs is the same in every round: only the times of the first are taken again
                for place in range(1 if number else len(BUYERS)):
                    for sweep, night in _night(stack, place).items():
                        nights.setdefault((sweep, place, size), []).append(night)
    kept = [
        [sweep, BUYERS[place].called, size, [vars(each) for each in of]] for (sweep, place, size), of in nights.items()
    ]
    progress.keep("nights", kept)
    progress.keep("peak_mb", peak_megabytes())
    return [figure for sweep in SWEEPS for figure in _figures(sweep, nights)]


def _figures(sweep: str, nights: Nights) -> Iterator[Figure]:
    def of(what: str, size: int, place: int = 0) -> float:
        return float(median(getattr(night, what) for night in nights[sweep, place, size]))

    def most(what: str, *places: int) -> float:
        return max(of(what, size, place) for size in SIZES for place in places) / DUE

    called, small, large = f"{SWEEPS[sweep]} sweep", SIZES[0], SIZES[-1]
    places = [place for place, buyers in enumerate(BUYERS) if sweep in buyers.sweeps]
    for place in places:
        units = most("write_units", place)
        why = _WHY if units > _WRITE_UNITS_MAX else ""
        name = f"{called}, a due member ({BUYERS[place].called})"
        yield Figure(name, units, "write units", _WRITE_UNITS_MAX, why=why)
    yield Figure(f"{called}, a due member, reading", most("read_units", *places), "read units", _READ_UNITS_MAX)
    yield Figure(f"{called}, a due member, requests", most("requests", *places), "requests")
    yield Figure(f"{called}, what the outbox then writes", most("announced_write_units", *places), "write units")
    for what, name in (("requests", "requests"), ("seconds", "CPU")):
        value = of(what, large) / of(what, small)
        yield Figure(f"{called}, {name}: {DUE:,} due among {large:,} ÷ among {small:,}", value, RATIO)
    for size in SIZES:
        name = f"{called}, CPU for {DUE:,} due among {size:,}"
        yield Figure(name, of("seconds", size), "s", of_machine=True)


# --- the club


def _play_a_year(stack: QuickStack, progress: Progress) -> None:
    """Who is due, and who is there as well; with every sweep in between, up to the eve of the night."""
    headers = {"authorization": f"Bearer {stack.token('bench', ['club:ingest'])}", "content-type": "application/json"}
    nightly = sorted(daily(stack.template.schedules.values()).items(), key=lambda each: each[1])
    for day in range(_YEAR):
        progress.step(10 * day / _YEAR, 100, "a year goes by")
        date = (_FIRST_DAY + timedelta(days=day)).date()
        for schedule, at in nightly:
            moment = datetime.combine(date, at, UTC)
            if _due(stack, moment):
                stack.set_clock(moment)
                stack.fire(schedule, moment)
        noon = datetime.combine(date, time(12), UTC)
        for place, buyers in enumerate(BUYERS):
            if day == place:
                _buy(stack, headers, noon, buyers.first, range(place * DUE, (place + 1) * DUE))
            elif day == _SECOND_DAY + place and buyers.second is not None:
                _buy(stack, headers, noon, buyers.second, range(place * DUE, (place + 1) * DUE))
        if day % 7 == _BUYING_DAY and day < _LAST_BUYING_DAY:
            first = len(BUYERS) * DUE + day * _BUYERS_A_WEEK
            _buy(stack, headers, noon, "20.00", range(first, first + _BUYERS_A_WEEK))
        stack.bus.published.clear()
    assert not stack.dead_letters(), "an event or a sweep of the year came to nothing"


def _buy(stack: QuickStack, headers: dict[str, str], at: datetime, price: str, numbers: range) -> None:
    events = [
        {
            "event_id": f"event-{number}-{at:%Y%m%d}",
            "type": "order.completed",
            "member_id": f"member-{number}",
            "occurred_at": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "data": {
                "order_id": f"order-{number}-{at:%Y%m%d}",
                "currency": "USD",
                "lines": [{"item_id": "item-1", "seller_id": "seller-1", "unit_price": price, "quantity": 1}],
            },
        }
        for number in numbers
    ]
    stack.set_clock(at)
    for batch in batches(events):
        answer = stack.request("POST", "/activities", headers=headers, body={"events": batch})
        assert answer.status == 202, answer
        stack.drain()


def _due(stack: QuickStack, moment: datetime) -> int:
    """How many accounts and rewards are due: a year has many nights in which nothing is."""
    until = f"{moment:%Y-%m-%dT%H:%M:%SZ}"
    (table,) = stack.store.tables.values()
    (index,) = table.indexes.values()
    return sum(bisect_right(entries, until, key=itemgetter(0)) for entries in index.partitions.values())


def _grown(stack: QuickStack, club: Table, size: int, progress: Progress) -> Table:
    """The club's table with ``size`` members in all: the accounts of those who aren't due, copied in turn."""
    table, special = club.copied(), len(BUYERS) * DUE
    patterns = [
        row.item
        for (pk, sk), row in club.rows.items()
        if sk == items.ACCOUNT and int(str(pk).rpartition("-")[2]) >= special
    ]
    shards = int(stack.template.parameters["DueShards"])
    for number in range(size - special - len(patterns)):
        if number % 10_000 == 0:
            progress.step(10 + 20 * number / SIZES[-1], 100, f"{size:,} members")
        _place(table, _copy(patterns[number % len(patterns)], f"other-{number}", shards))
    for index in table.indexes.values():
        for entries in index.partitions.values():
            entries.sort()
    return table


def _copy(pattern: dict[str, Any], member_id: str, shards: int) -> dict[str, Any]:
    """The account of somebody to whom the very same happened."""
    shard = items.due_key(shard_of(member_id, shards))
    item = {**pattern, "pk": {"S": items.member_key(member_id)}, "due_shard": _SHARDS.setdefault(shard, {"S": shard})}
    item[SEAL] = {"B": seal_of(item)}
    return item


_SHARDS: dict[str, dict[str, str]] = {}
"""One value for all who have the same: a million of them are memory."""


def _place(table: Table, item: dict[str, Any]) -> None:
    """Puts an item where a write would have put it, without what a write costs; the indexes are still to be sorted."""
    key = table.key_in(item)
    row = Row(item, item_size(item))
    table.rows[key] = row
    table.size += row.size
    for index in (table.primary, *table.indexes.values()):
        place = index.place_of(item, key)
        assert place is not None
        index.partitions.setdefault(place[0], []).append(place[1])


def _night(stack: QuickStack, place: int) -> dict[str, Night]:
    """The sweeps of the night in which the purchases of one of the first days are a year old."""
    found = {}
    date = (_FIRST_DAY + timedelta(days=_YEAR + place)).date()
    nightly = daily(stack.template.schedules.values())
    for schedule in BUYERS[place].sweeps:
        moment = datetime.combine(date, nightly[schedule], UTC)
        bill = Bill()
        stack.set_clock(moment)
        assert _due(stack, moment) == DUE
        with metered(bill):
            stack.fire(schedule, moment, override_limit=schedule == "DemotionSweep")
        function = stack.template.functions[stack.template.schedules[schedule].function].code.name
        found[schedule] = Night.of(bill, function)
        assert _worked_off(stack, f"{schedule}#{moment:%Y-%m-%dT%H:%M:%SZ}#") == DUE
    assert not stack.dead_letters()
    stack.bus.published.clear()
    return found


def _worked_off(stack: QuickStack, run: str) -> int:
    """How many members a run of a sweep has posted something for."""
    (table,) = stack.store.tables.values()
    begin = items.sweep_key(run)
    ((pk, sk),) = [key for key in table.rows if str(key[0]).startswith(begin) and key[1] == items.SINGLE]
    return int(table.rows[pk, sk].item["members"]["N"])
