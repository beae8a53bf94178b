"""What the sample log costs, function by function: `python -m benchmarks.units [--days N]`.

The log is replayed with every night's sweeps on the simulation's store, which counts capacity units as DynamoDB's
documentation does (tests/simulation/conformance holds it to that). docs/operate.md computes prices from the figures.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, time
from itertools import islice
from time import process_time
from typing import Any, TextIO
from unittest import mock

from local.functions import Runtime
from local.logs import Log, open_log
from local.replay import daily
from local.replay.drive import replay
from local.template import FunctionSpec
from tests.contract.quick_stack import QuickStack, quick_stack

READS = frozenset({"GetItem", "BatchGetItem", "Query", "TransactGetItems"})
COLUMNS = ("invocations", "requests", "read units", "write units", "messages sent", "announcements")


@dataclass
class Bill:
    """What each function used, by its folder's name: invocations, requests to AWS, capacity units, and so on.

    ``seconds`` are those of CPU that the function took, ``elsewhere`` those that what stands in for AWS took for it.
    """

    events: int = 0
    table_bytes: int = 0
    used: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    elsewhere: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))

    def total(self, what: str) -> float:
        """The sum over all functions of one of COLUMNS."""
        return sum(each[what] for each in self.used.values())

    def show(self, out: TextIO) -> None:
        """A table: every figure by event of the log."""
        print(f"by each of {self.events} events:".ljust(24), *(f"{name:>14}" for name in COLUMNS), file=out)
        for name, used in [*sorted(self.used.items()), ("all", Counter({c: self.total(c) for c in COLUMNS}))]:
            print(name.ljust(24), *(f"{used[column] / self.events:14.3f}" for column in COLUMNS), file=out)
        print(f"the table: {self.table_bytes / self.events:.0f} bytes by event", file=out)


@contextmanager
def metered(bill: Bill) -> Iterator[None]:
    """Puts what functions use on the bill."""
    running: list[str] = []
    calling, invoking = QuickStack.call, Runtime.invoke

    def invoke(runtime: Runtime, spec: FunctionSpec, event: Any, request_id: str | None = None) -> Any:
        running.append(spec.code.name)
        bill.used[running[-1]]["invocations"] += 1
        began, called = process_time(), bill.elsewhere[running[-1]]
        try:
            return invoking(runtime, spec, event, request_id)
        finally:
            name = running.pop()
            bill.seconds[name] += process_time() - began - (bill.elsewhere[name] - called)

    def call(stack: QuickStack, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        if not running:
            return calling(stack, service, operation, params)
        used = bill.used[running[-1]]
        used["requests"] += 1
        if service == "dynamodb":
            params = {**params, "ReturnConsumedCapacity": "INDEXES"}
        began = process_time()
        answer = calling(stack, service, operation, params)
        bill.elsewhere[running[-1]] += process_time() - began
        if service == "dynamodb":
            consumed = answer.get("ConsumedCapacity", [])
            units = sum(each["CapacityUnits"] for each in (consumed if isinstance(consumed, list) else [consumed]))
            used["read units" if operation in READS else "write units"] += units
        else:
            used["announcements" if service == "events" else "messages sent"] += len(params.get("Entries", [params]))
        return answer

    with mock.patch.object(QuickStack, "call", call), mock.patch.object(Runtime, "invoke", invoke):
        yield


class Silent:
    """Progress that nobody is shown."""

    def show(self, *_: object) -> None:
        """A day, or a part of it, is done."""

    def close(self) -> None:
        """All is done."""


@dataclass
class Beginning:
    """The first days of a log."""

    log: Log
    count: int | None

    def days(self) -> Iterator[Any]:
        """As a log's, but no more of them."""
        return islice(self.log.days(), self.count)


def measure(days: int | None = None) -> Bill:
    """Replays the sample log, or its first days, with a sweep of each kind every night."""
    log, bill = open_log(), Bill()
    with quick_stack(datetime.combine(log.first_day, time(), UTC)) as stack, metered(bill):
        nightly = daily(stack.template.schedules.values())
        forget = stack.bus.published.clear
        sent = replay(Beginning(log, days), stack, nightly, Silent(), forget)  # type: ignore[arg-type]
        (table,) = stack.template.tables
        bill.events, bill.table_bytes = sent.accepted, stack.store.size(table)
    return bill


def main() -> int:
    """Prints the bill of the log, or of as many of its days as the command line says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.units", description=__doc__)
    parser.add_argument("--days", type=int, help="only so many days of the log")
    measure(parser.parse_args().days).show(sys.stdout)
    return 0


if __name__ == "__main__":
    sys.exit(main())
