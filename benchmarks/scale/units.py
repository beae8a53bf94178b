"""The measured units that `docs/scale.md` computes with: `python -m benchmarks.scale.units`, some two minutes.

The sample log is replayed as `benchmarks.units` does it. That one counts by function what AWS puts on the bill; here is
counted what has to fit through one place at a time: the index, the stream's records, the standing, the note of a sweep.
CPU is told as a multiple of a bare `TransactWriteItems` of the same run. Writes units.json beside this file.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from datetime import time as clock
from typing import Any
from unittest import mock

from benchmarks import client_cpu
from benchmarks.scale.inputs import KEPT
from benchmarks.units import Beginning, Silent
from club_ledger.items import ACCOUNT, DUE, due_key
from club_ledger.store import Store, connect
from club_ledger.sweeping import EXPIRY_SWEEP, start, work
from club_rules.programs import load_programs
from local.functions import Runtime
from local.logs import open_log
from local.replay import daily
from local.replay.drive import replay
from local.template import FunctionSpec
from tests.contract.quick_stack import QuickStack, quick_stack

POSTING, OUTBOX = "post_ledger", "publish_changes"
NOTED_WITH = (8, 64)
"""For so many shards of due work the note of a chunk is weighed: it holds where each of them goes on."""

MEMBER = "member-000012345678"
"""A member's id of the length that a club of millions has."""


class Meter:
    """What was counted, by who caused it: the function that ran last before the outbox, or another, was called."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = {}
        self.cause = ""
        self._running: list[str] = []
        self._asking = 0.0

    def add(self, cause: str, what: str, number: float = 1) -> None:
        """Counts ``number`` more of something."""
        self.counts.setdefault(cause, Counter())[what] += number  # type: ignore[assignment]

    @contextmanager
    def running(self, spec: FunctionSpec, event: Any) -> Iterator[None]:
        """Notes one invocation with its CPU time, without what the store takes to answer."""
        name = spec.code.name
        if name != OUTBOX:
            self.cause = name
        self._running.append(name)
        self._asking, began = 0.0, time.process_time()
        try:
            yield
        finally:
            self._running.pop()
            who = f"{OUTBOX} after {self.cause}" if name == OUTBOX else name
            self.add(who, "invocations")
            self.add(who, "records", len(event.get("Records", ())))
            self.add(who, "cpu seconds", time.process_time() - began - self._asking)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Takes the time of what is asked of the store off the function's."""
        began = time.process_time()
        try:
            yield
        finally:
            self._asking += time.process_time() - began

    def asked(self, service: str, operation: str, params: dict[str, Any], answer: dict[str, Any]) -> None:
        """Counts what a function has asked for."""
        name = self._running[-1] if self._running else ""
        who = f"{OUTBOX} after {self.cause}" if name == OUTBOX else name
        self.add(who, "requests")
        if service == "events":
            self.add(who, "announcements", len(params["Entries"]))
            self.add(who, "announcing requests")
            for entry in params["Entries"]:
                self.add(who, entry["DetailType"])
        if service != "dynamodb":
            return
        given = answer.get("ConsumedCapacity", ())
        for consumed in given if isinstance(given, list) else [given]:
            if operation in ("TransactWriteItems", "UpdateItem", "PutItem"):
                self.add(who, "write units", consumed["CapacityUnits"])
                indexes = consumed.get("GlobalSecondaryIndexes", {})
                self.add(who, "index units", sum(each["CapacityUnits"] for each in indexes.values()))
        if operation == "TransactWriteItems":
            keys = [key for item in params["TransactItems"] for key in keys_of(item)]
            self.add(who, "items written", len(keys))
            self.add(who, "members counted", sum(key.startswith("S#") for key in keys))
            self.add(who, "additions to the standing", sum(key.startswith("STANDING#") for key in keys))
        elif operation in ("PutItem", "UpdateItem"):
            self.add(who, "items written")
        if operation == "GetItem" and plain(params["Key"]["pk"]).startswith(("M#", "R#")):
            self.add(who, "members read")
        if operation == "UpdateItem" and plain(params["Key"]["pk"]).startswith("SWEEP#"):
            self.add(who, "notes")
            self.add(who, "units of notes", given["CapacityUnits"])


def plain(value: Any) -> str:
    """A key, from DynamoDB's JSON or as it is."""
    return str(value["S"] if isinstance(value, dict) else value)


def keys_of(item: dict[str, Any]) -> Iterator[str]:
    """The partition of what a part of a transaction writes; none for a check."""
    if "Put" in item:
        yield plain(item["Put"]["Item"]["pk"])
    if "Update" in item:
        yield plain(item["Update"]["Key"]["pk"])


@contextmanager
def metered(meter: Meter) -> Iterator[None]:
    """Lets ``meter`` count what functions do."""
    calling, invoking = QuickStack.call, Runtime.invoke

    def invoke(runtime: Runtime, spec: FunctionSpec, event: Any, request_id: str | None = None) -> Any:
        with meter.running(spec, event):
            return invoking(runtime, spec, event, request_id)

    def call(stack: QuickStack, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        with meter.asking():
            if service == "dynamodb":
                params = {**params, "ReturnConsumedCapacity": "INDEXES"}
            answer = calling(stack, service, operation, params)
        if stack.runtime.running is not None:
            meter.asked(service, operation, params, answer)
        return answer

    with mock.patch.object(QuickStack, "call", call), mock.patch.object(Runtime, "invoke", invoke):
        yield


def count(days: int | None = None) -> Meter:
    """Replays the log, or its first ``days``, with all nightly sweeps."""
    log, meter = open_log(), Meter()
    with quick_stack(datetime.combine(log.first_day, clock(), UTC)) as stack, metered(meter):
        nightly = daily(stack.template.schedules.values())
        forget = stack.bus.published.clear
        replay(Beginning(log, days), stack, nightly, Silent(), forget)  # type: ignore[arg-type]
    return meter


def units(meter: Meter, notes: dict[str, float], microseconds: dict[str, float]) -> dict[str, Any]:
    """What units.json holds: by event or by member, as the names say."""
    posted = meter.counts[POSTING]
    outbox = meter.counts[f"{OUTBOX} after {POSTING}"]
    events = posted["records"]

    def rounded(counted: Counter[str], by: float, *names: str) -> dict[str, float]:
        return {name: round(counted[name] / by, 4) for name in names}

    def calls(seconds: float) -> float:
        return round(seconds * 1e6 / microseconds["bare write"], 2)

    swept: dict[str, Any] = {}
    for name in ("expiry_sweep", "demotion_sweep", "reward_sweep"):
        of = meter.counts.get(name, Counter())
        after = meter.counts.get(f"{OUTBOX} after {name}", Counter())
        members = of["members read"] or 1
        swept[name] = {
            "members by event": round(of["members read"] / events, 4),
            **rounded(of, members, "requests", "write units", "index units", "items written"),
            **{f"outbox: {key}": round(after[key] / members, 4) for key in ("records", "announcements", "write units")},
            "outbox: cpu by record ÷ a bare write": calls(after["cpu seconds"] / max(1, after["records"])),
        }
    return {
        "made by": "python -m benchmarks.scale.units",
        "events": events,
        "an event posted": rounded(posted, events, "requests", "write units", "index units", "items written"),
        "its changes announced": {
            **rounded(outbox, events, "records", "announcements", "tier.changed", "members counted", "write units"),
            "requests but for PutEvents": round((outbox["requests"] - outbox["announcing requests"]) / events, 4),
            "cpu by record ÷ a bare write": calls(outbox["cpu seconds"] / outbox["records"]),
        },
        "cpu of posting an event ÷ a bare write": calls(microseconds["post_ledger"] / 1e6),
        "cpu of a request ÷ a bare write": calls(microseconds["bare read"] / 1e6),
        "a due member": swept,
        "write units of a chunk's note, by shards": notes,
    }


class _Endless(Store):
    """A store in which every shard has more members due than any chunk takes, of whom none is there."""

    def due(
        self,
        shard: int,
        until: str,
        after: dict[str, Any] | None,  # noqa: ARG002 - there are more behind anybody
        limit: int,
        index: str = DUE,
    ) -> tuple[list[str], dict[str, Any] | None]:
        """``limit`` members, and where to go on: as the index would say it."""
        position = {"pk": f"M#{MEMBER}", "sk": ACCOUNT, "due_shard": due_key(shard, index), "due_at": until}
        return [MEMBER] * limit, {name: {"S": value} for name, value in position.items()}


def note_units(due_shards: int) -> float:
    """The write units of the note that a chunk leaves on its run, once all shards have left one."""
    now = datetime(2026, 11, 22, 0, 5, tzinfo=UTC)
    weighed: list[float] = []
    calling = QuickStack.call

    def call(stack: QuickStack, service: str, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        answer = calling(stack, service, operation, {**params, "ReturnConsumedCapacity": "TOTAL"})
        if operation == "UpdateItem":
            weighed.append(answer["ConsumedCapacity"]["CapacityUnits"])
        return answer

    with quick_stack(now) as stack, mock.patch.object(QuickStack, "call", call):
        (table,) = stack.template.tables.values()
        connect(table.name, lambda: due_shards)
        store, programs, sent = _Endless(lambda: due_shards), load_programs(), list[dict[str, Any]]()
        given = {"scheduled_at": now.strftime("%Y-%m-%dT%H:%M:%SZ")}
        messages = start(store, programs, EXPIRY_SWEEP, given, "12345678-1234-4abc-8def-123456789012")
        for _ in range(2):
            for message in messages:
                work(store, programs, message, sent.append, lambda: lambda: 60.0)
            messages, sent = sent, []
    return weighed[-1]


class _Microseconds:
    """Of the CPU part of the benchmarks, what it says beside its figures."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {}

    def step(self, done: float, of: float, what: str = "") -> None:
        """So much of it is done."""

    def keep(self, name: str, detail: Any) -> None:
        """Takes the microseconds of each call."""
        if name.startswith("microseconds"):
            self.found = detail


def main() -> int:
    """Counts, prints what was counted, and keeps it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.units", description=__doc__)
    parser.parse_args()
    cpu = _Microseconds()
    client_cpu.measure(cpu)
    notes = {str(shards): note_units(shards) for shards in NOTED_WITH}
    text = json.dumps(units(count(), notes, cpu.found), indent=2, ensure_ascii=False)
    KEPT.write_text(text + "\n", "utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
