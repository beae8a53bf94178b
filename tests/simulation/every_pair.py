"""Two works on one member, in every order of their calls (``every``).

Both invocations stop before each of their calls, and a transaction once more between its two phases, in which its
items are in it: so conflicts are real. Who goes on next, the order says.

Orders that differ only in which of two neighbouring steps came first, where neither can tell (two reads, say), are
one and the same run: of each such class one order is run. What is left out so is the classic sleep set's (Godefroid
1996); ``reduced=False`` runs every order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from math import comb
from typing import Any, NamedTuple

from tests.simulation import faults
from tests.simulation.client import Answer as Reply
from tests.simulation.client import Client
from tests.simulation.every import WAY_S, Club, Drained, Still, Trigger, Witness, Work, asked_in, built, drain, unpacked
from tests.simulation.every_works import PAIRED, PAIRED_SETTLED, Paired
from tests.simulation.scheduler import Killed, Scheduler, Task
from tests.simulation.steps import Answer, ApiRequest, Invocation

CALLS = 6
"""So many calls of each are put in every order; what comes after them goes on in turn."""

READ, BEGIN, COMMIT, WRITE, SEND = "read", "begin", "commit", "write", "send"
"""The steps of an invocation. Begin and commit are those of a transaction."""
_CAN_TELL = {
    frozenset(pair)
    for pair in (
        (READ, COMMIT),
        (READ, WRITE),
        (BEGIN,),
        (BEGIN, COMMIT),
        (BEGIN, WRITE),
        (COMMIT,),
        (COMMIT, WRITE),
        (WRITE,),
        (SEND,),
    )
}
"""The steps of two whose order can make a difference. A transaction that has begun shows nothing to a read; queues
and the bus know nothing of the table."""

FIRST, SECOND = 0, 1
ORDERS_MAX = 20_000


class OneByOne(Scheduler):
    """Lets directed tasks run on until they stop by themselves; to them, waiting is nothing but time that goes by."""

    def __init__(self, start: float) -> None:
        super().__init__(start)
        self.directed: set[int] = set()

    def step(self) -> None:
        """As the base does; what is overdue happens now."""
        moment, count, act = self._queue[0]
        if moment < self.now:
            self._queue[0] = (self.now, count, act)
        super().step()

    def wait(self, seconds: float) -> None:
        """Lets the running task wait. Raises ``Killed`` where its time is over by then."""
        task = self.running
        if task is None or task.about.number not in self.directed:
            super().wait(seconds)
            return
        task.check()
        self.now += seconds
        if self.now >= task.deadline:
            task.dead = True
        task.check()


class Stop(NamedTuple):
    """Where a task has stopped: before which step, of which of its calls (from 0)."""

    task: Task
    kind: str
    call: int


class Node(NamedTuple):
    """A choice that was made: between which next steps, and for whom."""

    kinds: Mapping[int, str]
    chosen: int
    free: bool
    """Whether both were still within the calls that are put in every order."""


class Duet(Club):
    """A run on a stage in which two invocations are directed."""

    def __init__(self, start: datetime, witness: Witness, works: Sequence[Work], *, tracing: bool = False) -> None:
        super().__init__(" and ".join(work.name for work in works), start, witness, tracing=tracing)
        self.scheduler: OneByOne = OneByOne(self._started)
        self._client = DirectedClient(self)
        self.stops: dict[int, Stop] = {}
        self.steps = [0, 0]
        self._numbers: dict[int, int] = {}
        self._calls = [-1, -1]
        self._awaited: tuple[int, Work, int] | None = None

    def await_work(self, which: int, work: Work, trigger: Trigger) -> None:
        """Lets a work begin, up to before its first call."""
        self._awaited = which, work, 0
        self.act(trigger)
        while which not in self.stops:
            self.scheduler.step()

    def _next_invocation(self, function: str, request: ApiRequest | None, deliveries: int) -> Invocation:
        invocation = super()._next_invocation(function, request, deliveries)
        if self._awaited is not None and self._awaited[1].function == function:
            which, work, begun = self._awaited
            if begun == work.ordinal:
                self._numbers[invocation.number] = which
                self.scheduler.directed.add(invocation.number)
                self._awaited = None
            else:
                self._awaited = which, work, begun + 1
        return invocation

    def stop(self, kind: str, *, begins: bool) -> None:
        """The running task stops before a step, if it is directed; ``begins``: which begins a call."""
        task = self.scheduler.running
        which = None if task is None else self._numbers.get(task.about.number)
        if task is None or which is None:
            return
        self._calls[which] += begins
        self.stops[which] = Stop(task, kind, self._calls[which])
        self.scheduler.hub.switch()
        task.check()

    def go_on(self, which: int) -> None:
        """Lets one of the two take its step, and run up to before the next."""
        self.steps[which] += 1
        self.stops.pop(which).task.resume()
        if self.scheduler.failure is not None:
            raise self.scheduler.failure

    def release(self) -> None:
        """Nobody is directed any more."""
        self.scheduler.directed.clear()
        self._numbers.clear()


class DirectedClient(Client):
    """Stops before each step of those who are directed."""

    def __init__(self, duet: Duet) -> None:
        super().__init__(duet, Still(0.5), WAY_S)
        self._duet = duet

    def call(self, client: Any, operation: str, params: dict[str, Any]) -> Reply:
        """As the base's."""
        self._duet.stop(_kind_of(operation), begins=True)
        return super().call(client, operation, params)

    def _carry_out(self, task: Task, operation: str, params: dict[str, Any]) -> Reply:
        if operation != "TransactWriteItems" or task.about.number not in self._duet.scheduler.directed:
            return super()._carry_out(task, operation, params)
        duet = self._duet
        pending = duet.model.begin(params)
        try:
            duet.stop(COMMIT, begins=False)
        except Killed:
            with duet.acting_for(task.about, operation, params):
                pending.commit()
            raise
        with duet.acting_for(task.about, operation, params):
            return pending.commit()


def _kind_of(operation: str) -> str:
    if operation in faults.READS:
        return READ
    if operation in faults.SENDS:
        return SEND
    return BEGIN if operation == "TransactWriteItems" else WRITE


# --- one order


@dataclass
class Met:
    """What came of an order: its ``way`` of choices, ``told`` what each reader got."""

    way: list[Node]
    drained: Drained | None
    told: Mapping[int, Any]
    failure: BaseException | None
    blocked: bool
    trace: list[str]


@dataclass
class Pair:
    """Two works that meet. ``same``: whether they do the very same."""

    one: Paired
    other: Paired
    same: bool = False

    @property
    def name(self) -> str:
        """What stands in tables."""
        return f"{self.one.work.name} × {self.other.work.name}{' (the same)' if self.same else ''}"

    @property
    def triggers(self) -> tuple[Trigger, Trigger]:
        """What makes each begin."""
        second = self.other.work.trigger
        if self.one is self.other and not self.same and self.other.again is not None:
            second = self.other.again
        return self.one.work.trigger, second


def pairs(paired: Sequence[Paired]) -> list[Pair]:
    """Every unordered pair of works; one with itself both as the very same and, where there is one, as another.

    Two readers do nothing to each other.
    """
    found = []
    for place, one in enumerate(paired):
        for other in paired[place:]:
            if one.reads and other.reads:
                continue
            found.append(Pair(one, other, same=one is other))
            if one is other and one.again is not None:
                found.append(Pair(one, other))
    return found


ALL = (*pairs(PAIRED), *pairs(PAIRED_SETTLED))
"""All that meet."""


def meet(
    pair: Pair,
    order: Sequence[int],
    asleep: frozenset[int] = frozenset(),
    known: Sequence[Drained] = (),
    *,
    whole: int | None = None,
    tracing: bool = False,
) -> Met:
    """Lets two works meet in an order, and drains; ``known``: see ``drain``.

    Where the order ends, whoever is not ``asleep`` goes on, the first before the second, and after ``CALLS`` calls in
    turn. ``whole``: who, from there on, takes all of its steps before the other.
    """
    stage = built(pair.one.work.stage)
    start = datetime.fromtimestamp(stage.now, UTC)
    works = pair.one.work, pair.other.work
    duet = Duet(start, unpacked(stage), works, tracing=tracing)
    duet.model.restore(stage.snapshot)
    duet.result.invocations = stage.invocations
    again = [request for trigger in pair.triggers for request in asked_in(trigger) if request.method != "GET"]
    way: list[Node] = []
    drained: list[Drained] = []
    blocked = False

    def live() -> None:
        nonlocal blocked
        duet.take_held()
        duet.hold_stream(True)
        for which, (work, trigger) in enumerate(zip(works, pair.triggers, strict=True)):
            duet.await_work(which, work, trigger)
        blocked = _direct(duet, order, asleep, whole, way)
        duet.release()
        duet.hold_stream(False)
        for stream in duet._streams:
            stream.add(duet.held_records)
        if not blocked:
            drained.append(drain(duet, again, known, met=True))

    failure = duet.living(live)
    told = {number: _first_of(answers) for number, answers in duet.witness.told.items() if number not in stage.told}
    return Met(way, drained[0] if drained else None, told, failure, blocked, duet.result.trace)


def _first_of(answers: Sequence[Answer | None]) -> Any:
    answer = answers[0]
    if answer is None or not isinstance(answer.body, dict):
        return answer
    return answer.status, {name: _without_codes(value) for name, value in answer.body.items() if name != "as_of"}


def _without_codes(value: Any) -> Any:
    """What was told, without codes of coupons: they are random."""
    if isinstance(value, dict):
        return {name: len(each) if name == "codes" else _without_codes(each) for name, each in value.items()}
    return [_without_codes(each) for each in value] if isinstance(value, list) else value


def _direct(duet: Duet, order: Sequence[int], asleep: frozenset[int], whole: int | None, way: list[Node]) -> bool:
    """Lets both go on until they are done; says whether the order is one that stands for another."""
    last = SECOND
    while duet.stops:
        stops = duet.stops
        kinds = {which: stop.kind for which, stop in stops.items()}
        free = len(stops) == 2 and all(stop.call < CALLS for stop in stops.values())
        if len(way) < len(order):
            chosen = order[len(way)]
        elif whole is not None:
            chosen = whole if whole in stops else next(iter(stops))
        elif free or asleep:
            awake = sorted(stops.keys() - asleep)
            if not awake:
                return True
            chosen = awake[0]
        else:
            chosen = next(which for which in (1 - last, last) if which in stops)
        if len(way) >= len(order):
            asleep = frozenset(
                which for which in asleep if which in kinds and not can_tell(kinds[which], kinds[chosen])
            )
        way.append(Node(kinds, chosen, free))
        last = chosen
        duet.go_on(chosen)
    return False


def can_tell(kind: str, other: str) -> bool:
    """Whether the order of two steps, of one invocation each, can make a difference."""
    return frozenset((kind, other)) in _CAN_TELL


# --- all orders


@dataclass
class Figures:
    """What a pair came to: orders that were run, and all that they stand for."""

    name: str
    orders: int = 0
    stands_for: int = 0
    blocked: int = 0
    found: list[str] = field(default_factory=list)


def orders_of(pair: Pair, known: Sequence[Drained], *, reduced: bool = True) -> Iterator[tuple[tuple[int, ...], Met]]:
    """Every order of a pair's steps, with what came of it; ``reduced``: of each class one."""
    waiting: list[tuple[tuple[int, ...], frozenset[int]]] = [((), frozenset())]
    while waiting:
        prefix, asleep = waiting.pop()
        met = meet(pair, prefix, asleep, known)
        chosen = [node.chosen for node in met.way]
        for place in range(len(prefix), len(met.way)):
            node = met.way[place]
            now_asleep = asleep
            others = [which for which in node.kinds if which != node.chosen and which not in now_asleep]
            if node.free and others:
                (other,) = others
                kept = {which for which in now_asleep if not can_tell(node.kinds[which], node.kinds[other])}
                if reduced and not can_tell(node.kinds[node.chosen], node.kinds[other]):
                    kept.add(node.chosen)
                waiting.append(((*chosen[:place], other), frozenset(kept)))
            asleep = frozenset(
                w for w in asleep if w in node.kinds and not can_tell(node.kinds[w], node.kinds[node.chosen])
            )
        yield tuple(chosen), met


def try_pair(pair: Pair, *, reduced: bool = True) -> Figures:
    """Runs every order of a pair, and says what is not as it has to be."""
    figures = Figures(pair.name)
    one_first, other_first = (meet(pair, (), whole=which) for which in (FIRST, SECOND))
    figures.stands_for = _interleavings(one_first, other_first)
    known = [met.drained for met in (one_first, other_first) if met.drained is not None]
    if len(known) < 2:
        figures.found.append(f"one after the other: {one_first.failure!r}, {other_first.failure!r}")
        return figures
    told = _told_whole(pair, known, one_first, other_first)
    for order, met in orders_of(pair, known, reduced=reduced):
        figures.blocked += met.blocked
        figures.orders += not met.blocked
        if met.blocked:
            continue
        said = "".join(map(str, order))
        if met.drained is None:
            figures.found.append(f"{said}: {met.failure!r}")
        elif differences := _from_all(known, met.drained):
            figures.found.append(f"{said}: no order of the two ends so: {differences}")
        for number, answer in met.told.items():
            if number in told and not _is_told(answer, told[number], by_section=pair.other.by_section):
                figures.found.append(f"{said}: request {number} was told {answer}, of no committed state")
        assert figures.orders + figures.blocked <= ORDERS_MAX, f"{pair.name} has no end"
    return figures


def _from_all(known: Sequence[Drained], drained: Drained) -> str:
    """How an end differs from each of the known ones; empty where it is one of them."""
    differences = [each.end.differs_from(drained.end) for each in known]
    return " | ".join(differences) if all(differences) else ""


def _told_whole(pair: Pair, ends: Sequence[Drained], *known: Met) -> dict[int, list[Any]]:
    """What the reader of a pair may be told: what it is told where all of its calls come together.

    Each of these is a state that was committed, between two steps of the writer.
    """
    if not pair.other.reads:
        return {}
    told: dict[int, list[Any]] = {}
    steps = sum(node.chosen == FIRST for node in known[0].way)
    whole = [meet(pair, (FIRST,) * count, known=ends, whole=SECOND) for count in range(steps + 1)]
    for met in (*known, *whole):
        for number, answer in met.told.items():
            told.setdefault(number, []).append(answer)
    return told


def _is_told(answer: Any, known: Sequence[Any], *, by_section: bool) -> bool:
    """Whether an answer is one of the known ones, or each of its sections one of theirs.

    Of who is erased meanwhile a section may be empty: afterwards there is none.
    """
    if not by_section or answer is None or answer[0] != 200:
        return answer in known
    whole = [each[1] for each in known if each is not None and each[0] == 200]
    gone = len(whole) < len(known)
    return all(
        (gone and not section) or any(each.get(name) == section for each in whole)
        for name, section in answer[1].items()
    )


def _interleavings(*serial: Met) -> int:
    """How many orders the calls of two have, where each takes the steps that it takes when it is alone."""
    counts = [sum(node.chosen == which for node in serial[which].way) for which in (FIRST, SECOND)]
    capped = [min(count, 2 * CALLS) for count in counts]
    return comb(sum(capped), capped[0])
