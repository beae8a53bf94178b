"""A stack that could not be filled: who asked for it is told, or has stopped it."""

from __future__ import annotations

import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local import demo
from local.logs import Log
from local.stack import Stack

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    """Takes the first purchases of the log only: these tests need no more."""

    def first(log: Log) -> Log:
        return replace(log, activities=log.activities[:60])

    monkeypatch.setattr(demo, "part_of", first)


def test_a_fill_that_is_not_wanted_any_more_stops_on_its_day() -> None:
    asked = []

    def stop() -> bool:
        asked.append(1)
        return len(asked) == 3

    with Stack(NOW) as stack:
        with pytest.raises(demo.Stopped):
            demo.fill(stack, io.StringIO(), stop)
        assert len(asked) == 3
        assert stack.now < NOW - timedelta(days=365)


def test_a_fill_that_loses_events_is_told() -> None:
    class Leaky(Stack):
        def fire(self, *_: Any, **__: Any) -> Any:
            self.queues.send(next(iter(self.queues.dead)), "{}")

    with Leaky(NOW) as stack, pytest.raises(demo.DemoFailed, match="retries_exhausted"):
        demo.fill(stack, io.StringIO())


def test_a_fill_whose_events_the_door_refuses_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    moved = demo.moved

    def too_far(log: Log, now: datetime) -> tuple[Log, int]:
        there, weeks = moved(log, now)
        return replace(there, activities=tuple(a._replace(member_id="me") for a in there.activities)), weeks

    monkeypatch.setattr(demo, "moved", too_far)
    with Stack(NOW) as stack, pytest.raises(demo.DemoFailed, match=r"0 of 60 events were taken.*reserved"):
        demo.fill(stack, io.StringIO())


def test_a_log_in_which_nobody_fell_shows_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo, "part_of", lambda log: replace(log, activities=log.activities[-60:]))
    with Stack(NOW) as stack, pytest.raises(demo.DemoFailed, match="no member has both risen and fallen"):
        demo.fill(stack, io.StringIO())
