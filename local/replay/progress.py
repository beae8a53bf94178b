"""The progress of a replay: a bar that is redrawn in place on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import resource
import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import date

_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 10.0
_CELLS_MAX = 24


def peak_megabytes() -> float:
    """The most memory that this process has held, in MB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (1024 * 1024 if sys.platform == "darwin" else 1024)  # bytes there, KiB elsewhere


class Progress:
    """Shows how far a replay has come. ``clock`` gives seconds; it is an argument for the tests."""

    def __init__(self, days: int, events: int, out: TextIO, clock: Callable[[], float] = time.perf_counter) -> None:
        self._days = days
        self._events = events
        self._out = out
        self._clock = clock
        self._in_place = out.isatty()
        self._done, self._open = "█░" if (out.encoding or "").lower().startswith("utf") else "#-"
        self._started = clock()
        self._shown = float("-inf")
        self._width = 0

    def show(self, day: date, days_done: int, events_done: int) -> None:
        """Draws, unless it has just done so. ``days_done`` and ``events_done`` count from the start."""
        now = self._clock()
        finished = days_done == self._days and events_done == self._events
        pause = _REDRAW_SECONDS if self._in_place else _LINE_SECONDS
        if now - self._shown < pause and not finished:
            return
        self._shown = now
        text = self._text(day, days_done, events_done, now - self._started)
        if self._in_place:
            # Blanks behind it wipe out what a longer line has left.
            print(f"\r{text:<{self._width}}", end="", file=self._out, flush=True)
            self._width = len(text)
        else:
            print(text, file=self._out, flush=True)

    def close(self) -> None:
        """Ends the line."""
        if self._in_place and self._width:
            print(file=self._out, flush=True)

    def _text(self, day: date, days_done: int, events_done: int, seconds: float) -> str:
        # A day costs something without events too, for its sweeps: both count half.
        share = (days_done / max(self._days, 1) + events_done / max(self._events, 1)) / 2
        left = seconds / share - seconds if share else 0.0
        rate = events_done / seconds if seconds else 0.0
        text = (
            f"{day} day {days_done}/{self._days}  {events_done:,}/{self._events:,} events  {rate:,.0f}/s  "
            f"{_clock_time(left)} left  {peak_megabytes():.0f} MB"
        )
        if not self._in_place:
            return f"{share:6.0%} {text}"
        # A line that is longer than the terminal is wide could not be drawn over.
        columns = shutil.get_terminal_size().columns - 1
        cells = max(0, min(_CELLS_MAX, columns - len(text) - 3))
        full = round(share * cells)
        return f"  {self._done * full}{self._open * (cells - full)} {text}"[:columns]


def _clock_time(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
