"""Dollars for a million of something, with the arithmetic: amounts that were measured, by prices.json's list prices."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.capacity.meter import Used

QUEUE_REQUESTS = 3.0
"""A message is sent, received and deleted, nothing batched: what it costs at the most."""

REQUEST_SECONDS = 0.008
"""So long a function waits for a request and works on it. Assumed, as in docs/operate.md: no account was measured."""


class Line(NamedTuple):
    """One line of a bill: an ``amount`` of what has a price, for each event."""

    amount: float
    of: str

    @property
    def dollars(self) -> float:
        """For a million events."""
        return self.amount * price(self.of)

    def __str__(self) -> str:
        return f"{self.amount:.6g} {self.of}{'' if self.amount == 1 else 's'} × {price(self.of):g}"


@cache
def listed() -> dict[str, Any]:
    """prices.json."""
    prices: dict[str, Any] = json.loads((Path(__file__).parent / "prices.json").read_text("utf-8"))
    return prices


def price(of: str) -> float:
    """US dollars for a million of it, or for a month. Raises ``KeyError`` for what has no price there."""
    return float(listed()["prices"][of]["usd"])


def of_table(used: Used) -> list[Line]:
    """What the table bills."""
    return [Line(used.write_units, "write unit"), Line(used.read_units, "read unit")]


def through_queue(used: Used, memory_gb: float, batch: int) -> list[Line]:
    """The same with the queue before it and the function that posts, ``batch`` events an invocation."""
    seconds = len(used.requests) * REQUEST_SECONDS * memory_gb
    return [
        *of_table(used),
        Line(QUEUE_REQUESTS, "SQS request"),
        Line(1 / batch, "Lambda request"),
        Line(seconds, "arm64 GB-second"),
    ]


def dollars(bill: list[Line]) -> float:
    """The sum."""
    return sum(line.dollars for line in bill)


def arithmetic(bill: list[Line]) -> str:
    """How the sum comes about."""
    return f"{' + '.join(str(line) for line in bill if line.amount)} = {dollars(bill):.2f}"
