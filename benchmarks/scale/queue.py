"""A seeded discrete-event model of what waits for what: stations in a row, each with servers that take batches.

The heart of the model of `benchmarks.scale`. It knows neither AWS nor the club: `line` says what is served, how
long that takes, and how many servers there are. An event loop of this size needs no package (simpy, say): callbacks on
a heap are a few lines, and several times as quick as coroutines, which counts where some ten million events pass.

Events are counted, not made one by one: what comes together is one ``Cohort``. Up to ``grain`` servers that are free at
the same time and have enough to do start as one, with as many batches, that all take as long as the one that is drawn.
A test holds what comes out to what comes out with a grain of 1.
"""

from __future__ import annotations

import heapq
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

_PARTS = 64
"""With a grain: so much of all servers starts as one at least, where there is as much to do."""


class Cohort(NamedTuple):
    """``number`` events that were accepted together, at a second; ``tries``: how often they were given back."""

    accepted: float
    number: int
    tries: int = 0


class Loop:
    """Calls what is due, in its order; of the same instant, in the order in which it was asked for."""

    def __init__(self) -> None:
        self.now = 0.0
        self._due: list[tuple[float, int, Callable[[], None]]] = []
        self._asked = 0

    def at(self, second: float, action: Callable[[], None]) -> None:
        """Has ``action`` called at ``second``."""
        self._asked += 1
        heapq.heappush(self._due, (second, self._asked, action))

    def run(self) -> None:
        """Calls all there is, and what that asks for, until nothing is left."""
        while self._due:
            self.now, _, action = heapq.heappop(self._due)
            action()


class Rate:
    """What lets through so many units a second, and makes the rest wait in order: a table, an item, a quota.

    Units that nobody took are kept for ``kept_seconds``. While it makes wait, the rate doubles within
    ``doubling_seconds`` (0: it stays).
    """

    def __init__(self, units: float, kept_seconds: float = 1.0, doubling_seconds: float = 0.0) -> None:
        self.units = units
        self._kept = kept_seconds
        self._doubling = doubling_seconds
        self._free = -kept_seconds
        self._asked = 0.0

    def wait(self, now: float, units: float) -> float:
        """Takes ``units``; returns for how many seconds from ``now`` they have to be waited for."""
        if self._doubling and self._free > now:
            self.units *= 2 ** ((now - self._asked) / self._doubling)
        self._asked = now
        self._free = max(self._free, now - self._kept) + units / self.units
        return max(0.0, self._free - now)

    def would_wait(self, now: float) -> float:
        """For how many seconds the next one would wait."""
        return max(0.0, self._free - now)


@dataclass
class Servers:
    """How many servers there are at a time.

    ``first`` at first, and ``more`` each second in which something waits, up to ``most``; as many fewer in a second in
    which less than half of them work. A server that has not worked yet takes ``cold_seconds`` longer.
    """

    most: int
    first: int = 0
    more: float = 0.0
    cold_seconds: float = 0.0
    now: float = field(init=False)

    def __post_init__(self) -> None:
        self.now = float(min(self.most, self.first or self.most))
        self.first = int(self.now)

    @property
    def changes(self) -> bool:
        """Whether their number ever does."""
        return self.more > 0 and self.first < self.most

    def second(self, *, waiting: bool, busy: int) -> None:
        """A second is over."""
        if waiting:
            self.now = min(float(self.most), self.now + self.more)
        elif busy <= self.now / 2:
            self.now = max(float(self.first), self.now - self.more)


class Served(NamedTuple):
    """What became of a batch: how many seconds it took, and how many of its events are given back."""

    seconds: float
    again: int = 0


Service = Callable[[float, list[Cohort], int], Served]
"""Serves: gets the second, the events that all the servers have that start now, and how many each of them has."""


class Station:
    """A queue with its servers: who is free takes up to ``batch`` of the events that have waited longest.

    With ``spread`` what waits is parted among all who are free, as keys are among a stream's shards.
    ``done`` is told which events were done, each cohort with the second of its end; ``again``, which were given back.
    """

    def __init__(
        self,
        loop: Loop,
        servers: Servers,
        batch: int,
        service: Service,
        done: Callable[[Sequence[tuple[float, Cohort]]], None],
        again: Callable[[Cohort], None] | None = None,
        grain: int = 1,
        *,
        spread: bool = False,
    ) -> None:
        self._loop = loop
        self._servers = servers
        self._batch = batch
        self._service = service
        self._done = done
        self._again = again
        self._grain = grain
        self._spread = spread
        self._queue: deque[Cohort] = deque()
        self._busy = 0
        self._warm = servers.first
        self._ticking = False
        self.waiting = 0
        self.busy_seconds = 0.0

    def enter(self, cohorts: Iterable[Cohort]) -> None:
        """Queues events."""
        for cohort in cohorts:
            if cohort.number:
                self._queue.append(cohort)
                self.waiting += cohort.number
        self._start()

    def _start(self) -> None:
        while self._queue and self._busy < int(self._servers.now):
            free = int(self._servers.now) - self._busy
            wanted = min(self._grain, self.waiting if self._spread else -(-self.waiting // self._batch))
            if free < min(wanted, self._servers.now // _PARTS):
                break  # who is free waits for others, else what starts as one would fall to pieces
            servers = min(wanted, free)
            self._busy += servers
            taken = self._take(self._batch * servers)
            count = sum(cohort.number for cohort in taken)
            began = self._loop.now
            served = self._service(began, taken, -(-count // servers))
            seconds = served.seconds
            if self._busy > self._warm:
                self._warm, seconds = self._busy, seconds + self._servers.cold_seconds
            self.busy_seconds += seconds * servers
            self._loop.at(began + seconds, self._ending(began, seconds, servers, taken, served.again))
        if self._servers.changes and not self._ticking and (self._queue or self._servers.now > self._servers.first):
            self._ticking = True
            self._loop.at(self._loop.now + 1.0, self._second)

    def _take(self, at_most: int) -> list[Cohort]:
        taken: list[Cohort] = []
        while self._queue and at_most:
            cohort = self._queue.popleft()
            if cohort.number > at_most:
                self._queue.appendleft(cohort._replace(number=cohort.number - at_most))
                cohort = cohort._replace(number=at_most)
            taken.append(cohort)
            at_most -= cohort.number
            self.waiting -= cohort.number
        return taken

    def _ending(
        self, began: float, seconds: float, servers: int, taken: list[Cohort], again: int
    ) -> Callable[[], None]:
        count = sum(cohort.number for cohort in taken)

        def end() -> None:
            self._busy -= servers
            left, ends, passed = again, [], 0
            for cohort in taken:
                back = min(left, cohort.number)
                left -= back
                passed += cohort.number
                if back and self._again is not None:
                    self._again(cohort._replace(number=back))
                # one after the other, within a batch
                ends.append((began + seconds * passed / count, cohort._replace(number=cohort.number - back)))
            self._done(ends)
            self._start()

        return end

    def _second(self) -> None:
        self._ticking = False
        self._servers.second(waiting=bool(self._queue), busy=self._busy)
        self._start()


def quantile(samples: Iterable[tuple[float, int]], share: float) -> float:
    """The value that ``share`` of all reach at most, of values with how often each was. 0 where there are none."""
    ordered = sorted(samples)
    wanted, passed = share * sum(count for _, count in ordered), 0
    for value, count in ordered:
        passed += count
        if passed >= wanted:
            return value
    return 0.0
