"""Driving a log through the front door, day by day in simulated time."""

from __future__ import annotations

import gc
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from local.logs import Log

BATCH_EVENTS = 100  # contract 2.1: at most so many in a request,
BATCH_BYTES = 240 * 1024  # and at most 256 KiB


class Answer(Protocol):
    """What the front door answers."""

    @property
    def status(self) -> int:
        """The HTTP status."""
        ...

    def json(self) -> Any:
        """The body, parsed."""
        ...


class Front(Protocol):
    """What the replay needs of the local stack."""

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
    ) -> Answer:
        """Answers an HTTP request as the deployed API would."""
        ...

    def token(self, sub: str, scopes: Iterable[str]) -> str:
        """A token that the API accepts."""
        ...

    def set_clock(self, now: datetime) -> None:
        """Sets the time that invocations carry."""
        ...

    def fire(self, schedule: str, scheduled_at: datetime) -> Any:
        """Fires a schedule and works through what it queued."""
        ...

    def drain(self) -> Any:
        """Works through the queues until nothing is left to do."""
        ...


class Shown(Protocol):
    """Where the replay says how far it is."""

    def show(self, day: date, days_done: int, events_done: int) -> None:
        """Both count from the start; comes several times a day."""
        ...

    def close(self) -> None:
        """All is done."""
        ...


@dataclass(slots=True)
class Sent:
    """What became of the events at the door, and which sweeps ran."""

    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    sweeps: Counter[str] = field(default_factory=Counter)
    examples: list[str] = field(default_factory=list)  # of refusals, the first few


class Rejected(RuntimeError):
    """The front door refused a whole request; the text has its answer."""


def replay(
    log: Log,
    front: Front,
    sweeps: Mapping[str, time],
    progress: Shown,
    watch: Callable[[], None] = lambda: None,
    days_between_sweeps: int = 1,
) -> Sent:
    """Sends every event of the log, and fires ``sweeps`` (schedule -> UTC time of day) on every day, or every so many.

    An event is sent at its own time or up to some hours later, never earlier: the clock stands at the last event of
    a batch. A sweep comes between the events before and after its time. ``watch`` is called when a day is over.
    Raises Rejected where the door takes none of a request.
    """
    with _seldom_collected():
        return _replay(log, front, sweeps, progress, watch, days_between_sweeps)


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """What a replay stores stays, and what it drops holds no ring: Python's collector finds next to nothing in it, and
    takes a tenth of the time for that."""
    before = gc.get_threshold()
    gc.set_threshold(50_000, 20, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)


def _replay(
    log: Log,
    front: Front,
    sweeps: Mapping[str, time],
    progress: Shown,
    watch: Callable[[], None],
    days_between_sweeps: int,
) -> Sent:
    sent = Sent()
    headers = {
        "authorization": f"Bearer {front.token('replay', ['club:ingest'])}",
        "content-type": "application/json",
    }
    count = 0
    for number, (day, events) in enumerate(log.days(), start=1):
        due = sweeps if (number - 1) % days_between_sweeps == 0 else {}
        for moment, schedule, batch in _plan(day, events, due):
            front.set_clock(moment)
            if schedule:
                front.fire(schedule, moment)
                sent.sweeps[schedule] += 1
            else:
                _post(front, headers, batch, sent)
                front.drain()
                count += len(batch)
            progress.show(day, number - 1, count)
        watch()
        progress.show(day, number, count)
    progress.close()
    return sent


def _plan(
    day: date, events: list[dict[str, Any]], sweeps: Mapping[str, time]
) -> Iterator[tuple[datetime, str, list[dict[str, Any]]]]:
    """The day's steps in order of time: a sweep by its name, or a batch of events at the time of its last one."""
    left = events
    for schedule, at in sorted(sweeps.items(), key=lambda item: item[1]):
        moment = datetime.combine(day, at, UTC)
        early = [event for event in left if _instant(event) < moment]
        left = left[len(early) :]
        for batch in batches(early):
            yield _instant(batch[-1]), "", batch
        yield moment, schedule, []
    for batch in batches(left):
        yield _instant(batch[-1]), "", batch


def batches(events: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    """The events in requests that the door takes, as few as can be; each keeps their order."""
    batch: list[dict[str, Any]] = []
    size = 0
    for event in events:
        length = len(json.dumps(event)) + 2
        if batch and (len(batch) == BATCH_EVENTS or size + length > BATCH_BYTES):
            yield batch
            batch, size = [], 0
        batch.append(event)
        size += length
    if batch:
        yield batch


def _post(front: Front, headers: Mapping[str, str], batch: list[dict[str, Any]], sent: Sent) -> None:
    body = json.dumps({"events": batch}).encode()
    answer = front.request("POST", "/activities", headers=headers, body=body)
    if answer.status != 202:
        raise Rejected(f"POST /activities answered {answer.status}: {json.dumps(answer.json())[:500]}")
    content = answer.json()
    sent.accepted += len(content["accepted"])
    for refusal in content["refused"]:
        sent.refused[refusal["code"]] += 1
        if len(sent.examples) < 5:
            sent.examples.append(f"{refusal['event_id']}: {refusal['detail']}")


def _instant(event: Mapping[str, Any]) -> datetime:
    return datetime.fromisoformat(event["occurred_at"])
