"""The local replay of CDNOW's whole log: events a second, and the most memory that it takes.

It is what ``make run FULL=1`` does until the ledger is proven: every event goes through the front door, the queue, the
rules, the table and its stream, and every sweep runs on its days. The store is the simulation's, in place of moto's,
which takes several times as long; roles are not held to, and no report is written.
"""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from time import process_time

from benchmarks.figures import Figure, Missing, Progress
from local.logs import Log, LogError, open_log
from local.replay import daily
from local.replay.drive import replay
from local.replay.progress import peak_megabytes
from tests.contract.quick_stack import quick_stack

NOTED_EVERY_DAYS = 30
DAYS_BETWEEN_SWEEPS = 1
"""1 is as deployed, and as ``make run`` does it. Most of the time goes to the sweeps: more makes it shorter."""


class _Course:
    """The replay's progress, told to the benchmarks'; and how many events were done after how many CPU seconds."""

    def __init__(self, log: Log, progress: Progress) -> None:
        self._days = (log.last_day - log.first_day).days + 1
        self._events = log.events
        self._progress = progress
        self._began = process_time()
        self.noted: list[tuple[str, int, float]] = []

    def show(self, day: date, days_done: int, events_done: int) -> None:
        # a day costs something without events too, for its sweeps: both count half, as in the bar of `make run`
        done = days_done / self._days + events_done / self._events
        self._progress.step(done, 2, f"{day}, {events_done:,} of {self._events:,} events")
        if days_done == self._days or days_done >= NOTED_EVERY_DAYS * (len(self.noted) + 1):
            self.noted.append((day.isoformat(), events_done, self.seconds()))

    def close(self) -> None:
        """Nothing is open."""

    def seconds(self) -> float:
        """The CPU seconds of this process since the beginning."""
        return process_time() - self._began


def measure(progress: Progress) -> list[Figure]:
    """Events a second of CPU, and MB. Raises ``Missing`` without the log."""
    try:
        log = open_log(full=True)
    except LogError as error:
        raise Missing(str(error)) from error
    with quick_stack(datetime.combine(log.first_day, time(), UTC)) as stack:
        course = _Course(log, progress)
        nightly, forget = daily(stack.template.schedules.values()), stack.bus.published.clear
        sent = replay(log, stack, nightly, course, forget, DAYS_BETWEEN_SWEEPS)
        seconds = course.seconds()
        assert sent.accepted == log.events, sent.refused
        assert not stack.dead_letters(), "an event or a sweep came to nothing"
        (table,) = stack.template.tables
        items, size = len(stack.store.tables[table].rows), stack.store.size(table)
    progress.keep("course", [{"day": day, "events": events, "seconds": done} for day, events, done in course.noted])
    progress.keep("items", items)
    progress.keep("table_bytes", size)
    progress.keep("sweeps", dict(sent.sweeps))
    every = "every day" if DAYS_BETWEEN_SWEEPS == 1 else f"every {DAYS_BETWEEN_SWEEPS} days"
    on = f"the local stack on the in-memory store, all sweeps {every}"
    return [
        Figure(f"CDNOW, {on}", log.events / seconds, "events/s", more_is_better=True, of_machine=True),
        Figure("the same, time", seconds, "s", of_machine=True),
        Figure("the same, peak memory", peak_megabytes(), "MB", of_machine=True),
    ]
