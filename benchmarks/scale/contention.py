"""A seeded model of one item that many would write at the same time: a hot member's account, a shard of the standing.

What is tried is what `club_ledger.store.retrying` does: read, write, and where that failed wait for a random part of a
pause that doubles from try to try. A transaction on an item that another one is working on fails (TransactionConflict);
one on an account fails as well where the account was written since it was read.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

from benchmarks.scale.inputs import READ, WRITE
from benchmarks.scale.queue import Loop

FIRST_PAUSE, LONGEST_PAUSE = 0.02, 1.0
"""As in ``store.retrying``; a test compares."""


@dataclass
class Item:
    """An item: how often it was written, and until when a transaction works on it."""

    version: int = 0
    until: float = 0.0


@dataclass
class Contended:
    """What came of it: writes a second, and of the writers the share that ran out of time."""

    seconds: float
    written: int = 0
    given_up: int = 0
    tries: int = 0
    took: list[tuple[float, int]] = field(default_factory=list)

    @property
    def a_second(self) -> float:
        """Writes a second."""
        return self.written / self.seconds

    @property
    def share_given_up(self) -> float:
        """Of all that were to be written."""
        return self.given_up / max(1, self.written + self.given_up)


class _Writer:
    """One of those who write, one thing after the other, without a pause."""

    def __init__(self, loop: Loop, items: list[Item], dice: random.Random, result: Contended, given: float) -> None:
        self._loop, self._items, self._dice, self._result = loop, items, dice, result
        self._given = given  # seconds for one write, with all its tries; 0: its items guard nothing
        self._began = 0.0
        self._pause = FIRST_PAUSE
        self._item = items[0]

    def start(self) -> None:
        """Something new is to be written."""
        if self._loop.now >= self._result.seconds:
            return
        self._began, self._pause = self._loop.now, FIRST_PAUSE
        self._place = self._dice.randrange(len(self._items))
        self._read()

    def _read(self) -> None:
        # another shard each time, where there are several
        self._item = self._items[self._place % len(self._items)]
        self._place += 1
        self._result.tries += 1
        version = self._item.version
        self._loop.at(self._loop.now + self._seconds(READ), lambda: self._write(version))

    def _write(self, read: int) -> None:
        takes = self._seconds(WRITE)
        now, item = self._loop.now, self._item
        if item.until > now or (len(self._items) == 1 and item.version != read):
            self._loop.at(now + takes, self._failed)
            return
        item.until = now + takes

        def end() -> None:
            item.version += 1
            self._result.written += 1
            self._result.took.append((self._loop.now - self._began, 1))
            self.start()

        self._loop.at(item.until, end)

    def _failed(self) -> None:
        wait = self._dice.uniform(0, self._pause)
        if self._given - (self._loop.now - self._began) - wait < 1.0:
            self._result.given_up += 1
            self.start()
            return
        self._pause = min(self._pause * 2, LONGEST_PAUSE)
        self._loop.at(self._loop.now + wait, self._read)

    def _seconds(self, latency: object) -> float:
        assert latency in (READ, WRITE)
        half = READ if latency is READ else WRITE
        return half.half / 1000 * self._dice.lognormvariate(0, half.spread)


def contend(writers: int, items: int, given_seconds: float, seed: int, seconds: float = 60.0) -> Contended:
    """So many ``writers`` write without a pause for ``seconds``, each within ``given_seconds`` or never.

    One item is guarded by its version, as an account is; of several, a writer takes any and the next one at each try,
    and they are only added to, as the standing's shards are.
    """
    loop, dice, result = Loop(), random.Random(seed), Contended(seconds)
    all_items = [Item() for _ in range(items)]
    for _ in range(writers):
        _Writer(loop, all_items, dice, result, given_seconds).start()
    loop.run()
    return result
