"""What a workload asks of the world, and what the world tells whoever watches it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple, Protocol

from tests.simulation.dynamodb import Change


@dataclass(frozen=True)
class BusEvents:
    """PutEvents entries of the marketplace: ``Source``, ``DetailType`` and ``Detail`` (a mapping)."""

    entries: Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class ApiRequest:
    """A request through the API, by who has these ``scopes``. ``retries``: how often the caller asks again after an
    answer of 5xx, or none; each time the very same request."""

    method: str
    path: str
    sub: str
    scopes: Sequence[str] = ()
    query: str = ""
    body: Any = None
    retries: int = 0
    id: int = 0
    """Set by the workload; the same for all askings of one request."""


@dataclass(frozen=True)
class Sweep:
    """A schedule of the template fires, by the logical id of its function; ``input`` is added to the template's own."""

    function: str
    input: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Advance:
    """Time goes by; what is under way by then goes on, what is due in between is delivered on its way or later."""

    by: timedelta


Step = BusEvents | ApiRequest | Sweep | Advance


class Invocation(NamedTuple):
    """One invocation of a function. ``request`` is what it answers, where it is one of the API's."""

    number: int
    function: str
    request: ApiRequest | None


class Answer(NamedTuple):
    """What a caller got: the status and the body, read as JSON where it is."""

    status: int
    body: Any


class Workload(Protocol):
    """The club's life for one seed."""

    start: datetime

    def steps(self) -> Iterator[Step]:
        """What happens, one after the other; the world runs handlers in between as its dice fall."""

    def afterwards(self) -> Iterator[Step]:
        """What is asked once faults have stopped and everything has drained."""


class Violation(AssertionError):
    """An invariant of architecture 3.3 that does not hold."""

    def __init__(self, invariant: str, text: str, member_id: str | None = None) -> None:
        super().__init__(f"{invariant}: {text}")
        self.invariant = invariant
        self.member_id = member_id


class Observer(Protocol):
    """Is told what happens, as it happens, and raises ``Violation``."""

    def called(self, by: Invocation, operation: str, params: Mapping[str, Any]) -> None:
        """A handler asks the data store for something (before it is carried out; each attempt)."""

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        """A write has taken effect, whether its caller gets to know or not."""

    def accepted(self, entry: Mapping[str, Any], sent_at: datetime) -> None:
        """A message reached the activity queue: its EventBridge envelope, and when it was sent."""

    def answered(self, by: Invocation, request: ApiRequest, answer: Answer | None, now: datetime) -> None:
        """A caller got an answer, or none."""

    def published(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """The bus took an event of the club's."""

    def dead(self, queue: str, message: Mapping[str, Any], reason: str) -> None:
        """A message is among the dead letters now: its body and attributes, and why (``retries_exhausted``)."""

    def redriven(self, queue: str, message: Mapping[str, Any]) -> None:
        """A dead letter goes round again."""

    def finished(self, table: Sequence[Mapping[str, Any]], dead_letters: Sequence[Mapping[str, Any]]) -> None:
        """All has drained: every item of the table, and what is left among the dead letters."""
