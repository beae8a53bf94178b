"""What a part of the benchmarks measures, and how: figures, rounds in which the compared take turns, medians."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Protocol

RATIO = "×"
"""The unit of a figure that was divided by its baseline's, run in turn with it: it holds on any machine."""


class Missing(Exception):
    """Something that a part needs isn't here; the text says what, and how to get it."""


@dataclass(frozen=True)
class Figure:
    """One measured value.

    ``budget`` and ``stretch`` are those of architecture 3.4, in the same ``unit``: the value shall be no more, or where
    ``more_is_better`` no less. ``of_machine``: another machine gives another value, so it is shown, and never compared
    with a stored one. ``why`` says what explains a value beyond its budget.
    """

    name: str
    value: float
    unit: str
    budget: float | None = None
    stretch: float | None = None
    more_is_better: bool = False
    of_machine: bool = False
    why: str = ""

    def beyond(self, limit: float) -> float:
        """By which share of ``limit`` the value is worse than it; negative or 0 where it isn't."""
        if not limit:
            return 0.0 if self.value <= 0 or self.more_is_better else float("inf")
        return (limit - self.value if self.more_is_better else self.value - limit) / limit


class Progress(Protocol):
    """Where a part says how far it is, and keeps what lies behind its figures."""

    def step(self, done: float, of: float, what: str = "") -> None:
        """``done`` of ``of`` is done, and ``what`` is being measured now."""

    def keep(self, name: str, detail: Any) -> None:
        """Puts ``detail``, which JSON can hold, under ``name`` into the part's file."""


def cpu_seconds(work: Callable[[], object], times: int = 1) -> float:
    """The CPU seconds of this process that one of ``times`` calls of ``work`` takes."""
    began = time.process_time()
    for _ in range(times):
        work()
    return (time.process_time() - began) / times


def in_turn(
    measured: Mapping[str, Callable[[], float]], rounds: int, progress: Progress, begun: float = 0.0, of: float = 0.0
) -> dict[str, list[float]]:
    """One sample of each of ``measured`` in every round, so that what slows the machine for a while slows them all.

    Each round begins with another one. Says ``begun`` and the rounds that are done, of ``of`` (or ``rounds``), to
    ``progress``. Returns the samples by name, in the order of the rounds.
    """
    names = list(measured)
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            samples[name].append(measured[name]())
        progress.step(begun + number + 1, of or rounds, f"round {number + 1} of {rounds}")
    return samples


def ratio(samples: Mapping[str, list[float]], name: str, baseline: str) -> float:
    """The median of ``name`` as a multiple of that of ``baseline``."""
    return median(samples[name]) / median(samples[baseline])
