"""The club as the queueing model sees it: the activity queue, the posting, the table, its stream, the announcements.

What is left out: noisy neighbours, the burst that a partition keeps for itself (DynamoDB lets a quiet one go above its
rate for a while), the API in front of the queue. Members but the hot one are so many that two events of one seldom
meet. The table and the standing let wait in order; in fact who was thrown back tries again by chance, so that some wait
longer and others shorter.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache

from benchmarks.scale.contention import contend
from benchmarks.scale.inputs import (
    COLD_SECONDS,
    DOUBLES_SECONDS,
    INVOKE_MS,
    NEW_TABLE_UNITS,
    PARTITION_UNITS,
    POLLERS_FIRST,
    POLLERS_MORE,
    PUT_EVENTS,
    READ,
    STREAM_SECONDS,
    WRITE,
    Latency,
    cpu_ms,
    event_ms,
    of_purchase,
    parameter,
    template,
    units,
)
from benchmarks.scale.queue import Cohort, Loop, Rate, Served, Servers, Station, quantile
from club_ledger.items import STANDING_SHARDS
from club_ledger.standing import COUNTED_AT_ONCE
from local.template import QueueMapping

TICK = 0.02
"""So often, in seconds, what came meanwhile is put into the queue."""

LEAD_SECONDS = 60
"""So long the quiet load runs before the burst."""

GIVEN_SECONDS = 4.0
"""What one event has, and by how much it has to be over earlier: as in post_ledger and ``store.retrying``."""

STOP_BEFORE = 1.0
POOL = 4_096
"""So many times are drawn beforehand, and are drawn from then."""

GROUPS = 8
"""At least so many servers are modelled; where there are more, several are one: see ``queue``."""


@dataclass(frozen=True)
class Setting:
    """What is turned: parameters of the template, and what the table was warmed for (write units a second)."""

    posting: int = field(default_factory=lambda: parameter("PostingConcurrency"))
    outbox: int = field(default_factory=lambda: parameter("OutboxConcurrency"))
    table_units: float = NEW_TABLE_UNITS.value
    stream_batch: int = field(default_factory=lambda: template().stream_mappings[0].batch_size)
    standing_shards: int = STANDING_SHARDS

    @property
    def stream_shards(self) -> int:
        """One for each partition that the table has for its units."""
        return math.ceil(self.table_units / PARTITION_UNITS.value)


@dataclass(frozen=True)
class Load:
    """Events a second: ``quiet`` before and after, ``peak`` for so many seconds; ``hot``: a share of one member."""

    quiet: float
    peak: float
    burst_seconds: float = 600.0
    hot: float = 0.0


@dataclass
class Outcome:
    """What became of all events; ``posted`` and ``announced`` are the seconds since those of the burst were accepted,
    with how many it took so long. ``drained``: seconds from the end of the burst until nothing waited any more."""

    accepted: int = 0
    done: int = 0
    told: int = 0
    given_back: int = 0
    dead: int = 0
    drained: float | None = None
    posted: list[tuple[float, int]] = field(default_factory=list)
    announced: list[tuple[float, int]] = field(default_factory=list)

    def seconds(self, what: str, share: float) -> float:
        """Within so many seconds that ``share`` of the burst was ``posted``, or ``announced``."""
        return quantile(getattr(self, what), share)


def poisson(dice: random.Random, mean: float) -> int:
    """How many come where ``mean`` come on average; from 30 on by the normal distribution."""
    if mean >= 30:
        return max(0, round(dice.normalvariate(mean, math.sqrt(mean))))
    below, product, count = math.exp(-mean), dice.random(), 0
    while product > below:
        product *= dice.random()
        count += 1
    return count


def post_seconds() -> float:
    """How long an invocation with a full batch takes on average."""
    return (INVOKE_MS + posting_batch() * event_ms()) / 1000


def outbox_seconds(events: int, draw: random.Random | None = None) -> float:
    """How long announcing what ``events`` have changed takes, in one invocation: on average, or drawn."""
    of = units()["its changes announced"]
    writes = of["records"] * of["cpu by record ÷ a bare write"]
    writes += (of["requests but for PutEvents"] + of["announcements"] / 10) * units()["cpu of a request ÷ a bare write"]
    puts, others = math.ceil(events * of["announcements"] / 10), events * of["requests but for PutEvents"]
    if draw is None:
        waited = puts * PUT_EVENTS.mean + others * READ.mean
    else:
        waited = sum(_ms(PUT_EVENTS, draw) for _ in range(puts))
        waited += sum(_ms(READ, draw) for _ in range(round(others)))
    return float(INVOKE_MS + cpu_ms(events * writes) + waited) / 1000


def events_by_batch(stream_batch: int) -> int:
    """Of how many events a batch of the stream's records tells."""
    return max(1, int(stream_batch / units()["its changes announced"]["records"]))


def additions(events: int) -> float:
    """How many transactions a batch of so many events adds to the standing: one where anybody is new or holds another
    tier, and one for each 50 of them."""
    share = min(1.0, units()["its changes announced"]["members counted"])
    return float(max(1 - (1 - share) ** events, events * share / COUNTED_AT_ONCE))


@cache
def hot_rate() -> float:
    """How many events a second one member's account takes, from as many as post by the template's default."""
    return contend(parameter("PostingConcurrency"), 1, GIVEN_SECONDS, seed=1).a_second


@cache
def standing_rate(shards: int) -> float:
    """How many transactions a second the standing's shards take from 20 at once."""
    return contend(20, shards, 20.0, seed=1).a_second


@cache
def _mapping() -> QueueMapping:
    function = template().function("post_ledger").arn
    return next(each for each in template().queue_mappings if each.function == function)


def posting_batch() -> int:
    """How many events an invocation of post_ledger takes, at most."""
    return _mapping().batch_size


def _ms(latency: Latency, dice: random.Random) -> float:
    return latency.half * dice.lognormvariate(0, latency.spread)


class Line:
    """One run of the model. Deterministic for a seed."""

    def __init__(self, load: Load, setting: Setting, seed: int, grain: int | None = None) -> None:
        self._load, self._setting = load, setting
        self._dice = random.Random(seed)
        self._loop = Loop()
        self._result = Outcome()
        grain = 1 if load.hot else grain or max(1, setting.posting // GROUPS)
        ours = cpu_ms(units()["cpu of posting an event ÷ a bare write"])
        self._pool = [(_ms(READ, self._dice) + _ms(WRITE, self._dice) + ours) / 1000 for _ in range(POOL)]
        self._units = of_purchase("post_ledger", "write units")
        self._units_after = units()["its changes announced"]["write units"]
        self._table = Rate(setting.table_units, doubling_seconds=DOUBLES_SECONDS.value)
        self._hot = Rate(hot_rate()) if load.hot else None
        self._standing = Rate(standing_rate(setting.standing_shards))
        first, more = int(POLLERS_FIRST.value), POLLERS_MORE.value / 60
        pollers = Servers(setting.posting, first, more, COLD_SECONDS)
        self._posting = Station(self._loop, pollers, posting_batch(), self._post, self._posted, self._give_back, grain)
        readers = setting.stream_shards * setting.outbox
        by_batch = events_by_batch(setting.stream_batch)
        self._additions = additions(by_batch)
        at_once = max(1, readers // GROUPS)
        self._outbox = Station(
            self._loop, Servers(readers), by_batch, self._announce, self._announced, grain=at_once, spread=True
        )
        self._outbox_pool = [outbox_seconds(by_batch, self._dice) for _ in range(POOL // 8)]
        self._by_batch, self._outbox_grain = by_batch, at_once
        self._ends = LEAD_SECONDS + load.burst_seconds
        self._queue = template().queues[_mapping().queue]

    def run(self, patience_seconds: float = 7_200.0) -> Outcome:
        """Plays it. After the burst the quiet load goes on until all is drained, or for ``patience_seconds``."""
        self._last = self._ends + patience_seconds
        self._loop.at(0.0, self._arrive)
        self._loop.run()
        return self._result

    def _arrive(self) -> None:
        now = self._loop.now
        in_burst = LEAD_SECONDS <= now < self._ends
        count = poisson(self._dice, (self._load.peak if in_burst else self._load.quiet) * TICK)
        self._result.accepted += count
        self._posting.enter([Cohort(now, count)])
        if now >= self._ends:
            # what is on its way at any moment of the quiet load
            if self._posting.waiting + self._outbox.waiting <= 2 * self._load.quiet:
                self._result.drained = now - self._ends
                return
            if now >= self._last:
                return
        self._loop.at(now + TICK, self._arrive)

    def _post(self, now: float, taken: list[Cohort], each: int) -> Served:
        count = sum(cohort.number for cohort in taken)
        seconds = INVOKE_MS / 1000 + sum(self._dice.choices(self._pool, k=each))
        again = 0
        if self._hot is not None:
            again, waited = self._wait_for_hot(now, taken)
            seconds += waited
        return Served(max(seconds, self._table.wait(now, count * self._units)), again)

    def _wait_for_hot(self, now: float, taken: list[Cohort]) -> tuple[int, float]:
        assert self._hot is not None
        again, waited = 0, 0.0
        for cohort in taken:
            for _ in range(cohort.number):
                if cohort.tries or self._dice.random() < self._load.hot:
                    if self._hot.would_wait(now + waited) > GIVEN_SECONDS - STOP_BEFORE:
                        again += 1
                        waited += GIVEN_SECONDS - STOP_BEFORE
                    else:
                        waited += self._hot.wait(now + waited, 1)
        return again, waited

    def _give_back(self, cohort: Cohort) -> None:
        self._result.given_back += cohort.number
        if cohort.tries + 1 >= (self._queue.max_receives or 1):
            self._result.dead += cohort.number
            return
        back = cohort._replace(tries=cohort.tries + 1)
        self._loop.at(self._loop.now + self._queue.visibility_s, lambda: self._posting.enter([back]))

    def _posted(self, ended: Sequence[tuple[float, Cohort]]) -> None:
        cohorts = [cohort for _, cohort in ended]
        self._result.done += sum(cohort.number for cohort in cohorts)
        self._result.posted += [
            (end - cohort.accepted, cohort.number) for end, cohort in ended if self._of_burst(cohort) and cohort.number
        ]
        self._loop.at(self._loop.now + STREAM_SECONDS, lambda: self._outbox.enter(cohorts))

    def _announce(self, now: float, taken: list[Cohort], each: int) -> Served:
        count = sum(cohort.number for cohort in taken)
        share = each / self._by_batch
        seconds = share * self._dice.choice(self._outbox_pool) + (1 - share) * INVOKE_MS / 1000
        batches = math.ceil(count / self._by_batch)
        counting = batches * (self._additions if each == self._by_batch else additions(each))
        table = self._table.wait(now, count * self._units_after)
        return Served(max(seconds, table) + self._standing.wait(now, counting))

    def _announced(self, ended: Sequence[tuple[float, Cohort]]) -> None:
        self._result.told += sum(cohort.number for _, cohort in ended)
        self._result.announced += [
            (end - cohort.accepted, cohort.number) for end, cohort in ended if self._of_burst(cohort)
        ]

    def _of_burst(self, cohort: Cohort) -> bool:
        return LEAD_SECONDS <= cohort.accepted < self._ends
