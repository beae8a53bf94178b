"""Every crash point and every pair, enumerated: one work of a function on a club that is the same each time.

A stage is a club that has come to a moment; it is built once and copied for each run. A work is what brings about one
invocation of a function there. ``crashes`` lets a work meet each kind of fault at each of its calls, ``pairs`` (see
``every_pair``) two works each other, in every order of their calls.
"""

from __future__ import annotations

import io
import pickle
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from club_rules.programs import load_programs
from local import functions
from tests.oracle import oracle
from tests.simulation import faults
from tests.simulation.client import Answer as Reply
from tests.simulation.client import Client
from tests.simulation.dynamodb import Snapshot
from tests.simulation.ends import End, end_of
from tests.simulation.faults import Faults
from tests.simulation.invariants import Checker
from tests.simulation.process import simulated
from tests.simulation.scheduler import Stopped
from tests.simulation.steps import Answer, ApiRequest, Invocation, Step, Sweep, Violation
from tests.simulation.triggers import Shard
from tests.simulation.world import World

AN_HOUR = timedelta(hours=1)
"""So long a work and all that comes again of it may take; everything after it has its own fixed moment."""
DRAINED_AFTER = timedelta(hours=30)
"""The last sweeps run so long after the work, on the next day whatever came in between."""
WAY_S = 0.005
NEVER_FORGOTTEN_S = 1e9
A_ROW_S = 60.0
"""Commits that are less apart are in one row."""

Act = Callable[["Club"], None]
Trigger = Sequence[Step] | Act


@dataclass(frozen=True)
class Stage:
    """A club at a moment: ``steps`` happen from ``start`` on, and everything of them is done.

    Then come the ``held`` ones, which are committed and still in the table's stream.
    """

    name: str
    start: datetime
    steps: tuple[Step, ...]
    held: tuple[Step, ...] = ()


@dataclass(frozen=True)
class Work:
    """What one invocation of ``function`` does on a stage: the ``ordinal``-th since the ``trigger``."""

    name: str
    function: str
    stage: str
    trigger: Trigger
    ordinal: int = 0
    moves: bool = False
    """Whether a fault may change the order in which one member's events are posted (I9): their entries then have
    other numbers, and what they add up to is compared."""


class Blow(NamedTuple):
    """A fault at a call: of which kind, at which of the invocation's calls (from 0), and for how long."""

    kind: str
    call: int
    lasting: bool


class Kind(NamedTuple):
    """A kind of fault as ``Client`` knows it, and how its dice fall."""

    known: str
    dice: float = 0.75
    both: bool = True
    """Whether one that lasts for all of the client's attempts is another case than one that passes."""


ANY = {
    "crash_before": Kind("crash_before", both=False),
    "crash_after": Kind("crash_after", both=False),
    "outage": Kind("error", both=False),
}
TABLE = {
    **ANY,
    "throttle": Kind("throttle"),
    "error": Kind("error"),
    "reset_before": Kind("reset", 0.25),
    "reset_after": Kind("reset"),
    "timeout_before": Kind("timeout_before"),
    "timeout_after": Kind("timeout_after"),
}
WRITE = {"conflict": Kind("conflict"), "timeout_late": Kind("timeout_late")}
TRANSACTION = {"throttle_reason": Kind("throttle", 0.25)}
STALE = {f"stale_{back}": Kind("", back) for back in (1, 2, 3)}
SEND = {
    **ANY,
    "send_throttle": Kind("send_error", 0.0),
    "send_500": Kind("send_error", 0.5),
    "send_503": Kind("send_error", 0.75),
    "send_reset_before": Kind("send_reset", 0.25),
    "send_reset_after": Kind("send_reset"),
    "send_timeout_before": Kind("send_timeout_before"),
    "send_timeout_after": Kind("send_timeout_after"),
}
PARTS = ("first", "rest", "all")
KINDS: Mapping[str, Kind] = {
    **TABLE,
    **WRITE,
    **TRANSACTION,
    **STALE,
    **SEND,
    **{f"partial_{part}": Kind("partial") for part in PARTS},
    **{f"send_partial_{part}": Kind("send_partial") for part in PARTS},
}
"""Every kind of fault. ``outage``: from this call on nothing of the invocation gets through; a ``stale_`` read shows
what was before the last commit, the last but one, the last but two; of a batch the first, all others, or all are
handed back. One of the last two kinds that is lasting holds for all later calls of the invocation as well."""
OF_DELIVERY = ("delivered_again", "answer_lost")
"""What befalls the delivery as a whole: it is done, and comes once more; its caller never gets the answer."""


class Call(NamedTuple):
    """A call that an invocation makes: its operation, and whether what it reads may be old."""

    operation: str
    may_be_old: bool


def kinds_at(call: Call) -> list[str]:
    """The kinds of fault that a call can meet."""
    operation = call.operation
    if operation in faults.SENDS:
        parts = [f"send_partial_{part}" for part in PARTS]
        return [*SEND, *(parts if operation != "SendMessage" else ())]
    found = [*TABLE]
    found += WRITE if operation in faults.WRITES else ()
    found += TRANSACTION if operation == "TransactWriteItems" else ()
    found += STALE if call.may_be_old else ()
    found += [f"partial_{part}" for part in PARTS] if operation in faults.BATCHES else ()
    return found


def blows_at(calls: Sequence[Call]) -> list[Blow]:
    """Every fault at every call of an invocation, passing and lasting."""
    return [
        Blow(kind, number, lasting)
        for number, call in enumerate(calls)
        for kind in kinds_at(call)
        for lasting in ((False, True) if KINDS[kind].both else (False,))
    ]


# --- the club of one run


class Still(random.Random):
    """Dice that always fall the same way."""

    def __init__(self, value: float) -> None:
        super().__init__(0)
        self.value = value

    def random(self) -> float:
        """As ever."""
        return self.value

    def randint(self, a: int, b: int) -> int:
        """The most."""
        return b

    def choice(self, seq: Any) -> Any:
        """The one in the middle, where the value is."""
        return seq[int(self.value * len(seq))]


class Plan(Faults):
    """No fault but a blow at one invocation of one function. ``calls``: what that invocation has asked for."""

    def __init__(self, club: Club, work: Work | None, blow: Blow | None) -> None:
        super().__init__(random.Random(0), lambda: club.scheduler.now, {})
        self.calls: list[Call] = []
        self.struck = 0
        self._club = club
        self._work = work
        self._blow = blow
        self._kind = None if blow is None else KINDS.get(blow.kind)
        self._begun: list[int] = []
        self._first_attempt = True

    def begins(self, about: Invocation) -> None:
        """An invocation has begun."""
        if self._work is not None and about.function == self._work.function:
            self._begun.append(about.number)

    def of_target(self, about: Invocation) -> bool:
        """Whether it is the invocation that meets the blow."""
        ordinal = -1 if self._work is None else self._work.ordinal
        return 0 <= ordinal < len(self._begun) and self._begun[ordinal] == about.number

    def asks(self, about: Invocation, operation: str, params: Mapping[str, Any]) -> None:
        """A call begins, before its first attempt."""
        if self.of_target(about):
            old = operation in ("GetItem", "Query") and not params.get("ConsistentRead")
            self.calls.append(Call(operation, old))
            self._first_attempt = True

    def _hits_now(self) -> bool:
        task, blow = self._club.scheduler.running, self._blow
        if blow is None or task is None or not self.of_target(task.about):
            return False
        number, lasting = len(self.calls) - 1, blow.lasting
        if blow.kind == "outage":
            return number >= blow.call
        if blow.kind.startswith("stale"):
            return number == blow.call or (lasting and number > blow.call and self.calls[-1].may_be_old)
        if "partial" in blow.kind:
            same = self.calls[-1].operation == self.calls[min(blow.call, number)].operation
            return number == blow.call or (lasting and number > blow.call and same)
        return number == blow.call and (lasting or self._first_attempt)

    def of_call(self, operation: str, function: str) -> str | None:
        """The blow, where this is its call."""
        hits = self._hits_now()
        self._first_attempt = self._first_attempt and not self._is_running_target()
        if not hits or self._kind is None or not self._kind.known:
            return None
        self.struck += 1
        known = self._kind.known
        if self._blow is not None and self._blow.kind == "outage" and operation in faults.SENDS:
            known = "send_error"
        return known

    def _is_running_target(self) -> bool:
        task = self._club.scheduler.running
        return task is not None and self.of_target(task.about)

    def stale_s(self) -> float:
        """How old what is read now may be."""
        blow = self._blow
        if blow is None or not blow.kind.startswith("stale") or not self._hits_now():
            return 0.0
        moments = self._club.stage_moments
        back = int(KINDS[blow.kind].dice)
        self.struck += 1
        if back > len(moments):
            return 0.0
        return self._club.scheduler.now - moments[-back] + 1e-4

    def hit(self, kind: str, function: str, rate: float | None = None) -> bool:
        """What befalls a whole delivery."""
        blow = self._blow
        if blow is None or blow.kind not in OF_DELIVERY or self.struck:
            return False
        again = blow.kind == "delivered_again" and kind in ("lost_delete", "stream_replay")
        lost = blow.kind == "answer_lost" and kind == "lost_answer"
        if (
            (again or lost)
            and self._work is not None
            and function == self._work.function
            and self._begun[self._work.ordinal :]
        ):
            self.struck += 1
            return True
        return False

    def among(self, things: Iterable[Any]) -> list[Any]:
        """What is handed back of a batch."""
        assert self._blow is not None
        part, several = self._blow.kind.rpartition("_")[2], list(things)
        return {"first": several[:1], "rest": several[1:] or several, "all": several}[part]


class CountingClient(Client):
    """Tells the plan of each call before its attempts."""

    def __init__(self, club: Club, dice: random.Random) -> None:
        super().__init__(club, dice, WAY_S)
        self._club = club

    def call(self, client: Any, operation: str, params: dict[str, Any]) -> Reply:
        """As the base's."""
        task = self._club.scheduler.running
        assert task is not None
        self._club.plan.asks(task.about, operation, params)
        return super().call(client, operation, params)


class Witness(Checker):
    """A checker that also keeps what callers were answered, and what was announced."""

    def __init__(self) -> None:
        super().__init__()
        self.told: dict[int, list[Answer | None]] = {}
        self.announced: set[tuple[str, str]] = set()

    def answered(self, by: Invocation, request: ApiRequest, answer: Answer | None, now: datetime) -> None:
        """A caller got an answer."""
        super().answered(by, request, answer, now)
        self.told.setdefault(request.id, []).append(answer)

    def settled(self, table: Sequence[Mapping[str, Any]], dead_letters: Sequence[Mapping[str, Any]]) -> None:
        """As ``finished``, of a table that has been proven already: what callers and the bus were promised is left."""
        self.callers.finished()
        self.outbox.finished(table)

    def published(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """The bus took an event."""
        super().published(detail_type, detail)
        self.announced.add((detail_type, str(detail["event_id"])))


@dataclass(frozen=True)
class Built:
    """A stage, built: what each run starts from."""

    snapshot: Snapshot
    witness: bytes
    now: float
    invocations: int
    moments: tuple[float, ...]
    """When the last commits before the work were, seconds since the epoch."""
    told: frozenset[int]
    """The requests that have been answered."""


@dataclass
class _Start:
    """As much of a workload as a world asks for."""

    start: datetime

    def steps(self) -> Iterator[Step]:
        """Nothing: a club is told what happens."""
        yield from ()

    def afterwards(self) -> Iterator[Step]:
        """Nothing either."""
        yield from ()


@dataclass
class Outcome:
    """What came of a run."""

    drained: Drained | None
    calls: list[Call]
    struck: int
    failure: BaseException | None
    trace: list[str]


class Club(World):
    """One run on a stage: dice that always fall the same way, and faults by plan."""

    def __init__(
        self,
        name: str,
        start: datetime,
        witness: Witness,
        work: Work | None = None,
        blow: Blow | None = None,
        *,
        tracing: bool = False,
    ) -> None:
        super().__init__(0, _Start(start), witness, rates={}, tracing=tracing)
        self.name = name
        self.witness = witness
        self.stage_moments: tuple[float, ...] = ()
        self.held_records: list[dict[str, Any]] = []
        self.plan = Plan(self, work, blow)
        self.faults = self.plan
        kind = KINDS.get(blow.kind) if blow is not None else None
        self.dice = Still(0.5)
        self._pace_s = 0.002
        self._client = CountingClient(self, Still(kind.dice if kind is not None and kind.known else 0.5))
        self.model._kept_s = NEVER_FORGOTTEN_S
        self.model.index_lag_s = self.model.stale_s = self.plan.stale_s
        for poller in self._pollers.values():
            poller._at_once, poller._batch, poller._pause_s = 6, poller._mapping.batch_size, 0.001
        for trigger in self._streams:
            trigger._shards = [self.shard(trigger.mapping)]

    def shard(self, mapping: Any) -> Shard:
        """A shard that hands over as much as it has."""
        shard = Shard(self, mapping)
        shard._most, shard._pause_s = mapping.batch_size, 2.0
        return shard

    def _next_invocation(self, function: str, request: ApiRequest | None, deliveries: int) -> Invocation:
        invocation = super()._next_invocation(function, request, deliveries)
        self.plan.begins(invocation)
        return invocation

    def hold_stream(self, held: bool) -> None:
        """Whether what is committed stays in the stream for now."""
        self._stream_asked = held
        if not held:
            self._fetch_stream()

    def take_held(self) -> None:
        """Takes what is held out of the stream, for whoever is to have it."""
        for table in self.template.tables:
            records = self.model.stream(table)
            if records:
                self.model.forget_stream(table, records[-1]["dynamodb"]["SequenceNumber"])
                self.held_records += records

    def act(self, trigger: Trigger) -> None:
        """Lets something happen at this moment."""
        if callable(trigger):
            trigger(self)
            return
        for step in trigger:
            self._take(step)

    def until(self, moment: float) -> None:
        """Lets everything happen that does by then."""

        def nothing() -> None:
            pass

        if moment <= self.scheduler.now:
            return
        self.scheduler.at(moment, nothing)
        while self.scheduler.now < moment:
            self.scheduler.step()

    def living(self, live: Callable[[], None]) -> BaseException | None:
        """Does something with the simulation in the machine's place; gives what it ended with, if it failed."""
        self.deployment.log.world = self
        account = functions.account(self.template.functions)
        own = random.Random(f"process {self.name}")
        with account, simulated(self.scheduler, own, self.deployment.variables, self._client.call):
            try:
                live()
            except Stopped:
                return self.scheduler.failure
            except Exception as error:  # noqa: BLE001 - it is told, with what led to it
                return error
            finally:
                self.deployment.log.world = None
        return None


# --- stages


SHARED: Mapping[str, Any] = {"programs": load_programs(), **{rules.name: rules for rules in oracle.PROGRAMS}}
"""What is one and the same thing for all, by name: copies of it would be something else."""
_NAMES = {id(thing): name for name, thing in SHARED.items()}


class _Pickler(pickle.Pickler):
    """Copies all but what is shared."""

    def persistent_id(self, obj: Any) -> str | None:
        """Its name."""
        return _NAMES.get(id(obj))


class _Unpickler(pickle.Unpickler):
    def persistent_load(self, pid: Any) -> Any:
        """What has this name."""
        return SHARED[pid]


def _packed(witness: Witness) -> bytes:
    buffer = io.BytesIO()
    _Pickler(buffer, pickle.HIGHEST_PROTOCOL).dump(witness)
    return buffer.getvalue()


def build(stage: Stage) -> Built:
    """Builds a stage. Raises what went wrong with it."""
    witness = Witness()
    club = Club(f"stage {stage.name}", stage.start, witness)

    def live() -> None:
        club._play(iter(stage.steps))
        club._settle()
        club.hold_stream(True)
        if stage.held:
            club._play(iter(stage.held))
            club._settle()

    failure = club.living(live)
    if failure is not None:
        raise failure
    parts = club.model.snapshot(), _packed(witness), club.scheduler.now, club.result.invocations
    return Built(*parts, _moments(club), frozenset(witness.told))


def _moments(club: Club) -> tuple[float, ...]:
    """Before what a stale read may show a table: its last commit, its last commits in a row, those before them."""
    commits = sorted({each.until for table in club.model.tables.values() for each in table._before})
    recent = [moment for moment in commits if moment > club.scheduler.now - AN_HOUR.total_seconds()]
    rows = [at for before, at in zip([0.0, *recent], recent, strict=False) if at - before > A_ROW_S]
    return tuple(moment for moment in (*rows[-2:], *recent[-1:]))


# --- runs


@cache
def built(name: str) -> Built:
    """A stage by its name, built once in a process."""
    from tests.simulation.every_works import STAGES

    return build(STAGES[name])


def unpacked(stage: Built) -> Witness:
    """Who has watched a stage until now, as a copy."""
    witness: Witness = _Unpickler(io.BytesIO(stage.witness)).load()
    return witness


def on_stage(work: Work, blow: Blow | None = None, *, tracing: bool = False) -> Club:
    """A copy of a work's stage, at the moment of the work."""
    stage = built(work.stage)
    witness = unpacked(stage)
    start = datetime.fromtimestamp(stage.now, UTC)
    club = Club(work.name, start, witness, work, blow, tracing=tracing)
    club.model.restore(stage.snapshot)
    club.result.invocations, club.stage_moments = stage.invocations, stage.moments
    return club


class Middle(NamedTuple):
    """A club that has settled, before its last sweeps: its table item by item, and as it is compared."""

    items: list[Mapping[str, Any]]
    end: End


class Drained(NamedTuple):
    """How a club has drained. ``like`` says which of the known ones it was like in the middle, if any: what would have
    come then follows from the table alone, and has been seen."""

    middle: Middle
    like: int | None
    end: End


def drain(club: Club, again: Sequence[ApiRequest], known: Sequence[Drained], *, met: bool = False) -> Drained:
    """An hour after the work, whoever asked asks ``again``; a day later everything is swept. Nothing fails any more.

    ``known``: what others of the same works came to. ``met``: see ``end_of``.
    """
    asked = bool(again)
    began = club._started
    club.until(began + AN_HOUR.total_seconds())
    club.faults.stop()
    club._settle()
    for queue in club._dead():
        club._redrive(queue, exhausted_only=True)
    club._settle()
    for request in again:
        club._take(request)
    club._settle()
    _nothing_dead(club)
    middle = Middle(club._table(), end_of(club, club.witness, asked=asked, met=met))
    for place, other in enumerate(known):
        if not other.middle.end.differs_from(middle.end):
            verified = other.middle.items == middle.items
            club.tell(club.witness.settled if verified else club.witness.finished, middle.items, club._dead_letters())
            return Drained(middle, place, other.end)
    for number, schedule in enumerate(club.template.schedules.values()):
        club.until(began + (DRAINED_AFTER + number * AN_HOUR).total_seconds())
        club._fire(Sweep(club.template.functions[schedule.function].logical_id))
        club._settle()
    _nothing_dead(club)
    club.tell(club.witness.finished, club._table(), club._dead_letters())
    return Drained(middle, None, end_of(club, club.witness, asked=asked, met=met))


def _nothing_dead(club: Club) -> None:
    left = [letter for queue in club._dead() for letter in queue.ready if "reason" not in letter.attributes]
    if left:
        raise Violation("I10", f"a dead letter is dead again with no fault on: {left[0].body}")


def asked_in(trigger: Trigger) -> list[ApiRequest]:
    """The requests of a trigger."""
    return [] if callable(trigger) else [step for step in trigger if isinstance(step, ApiRequest)]


def run(work: Work, blow: Blow | None = None, known: Sequence[Drained] = (), *, tracing: bool = False) -> Outcome:
    """Lets a work meet a blow, and everything that follows from it; without one, nothing goes wrong.

    ``known``: see ``drain``.
    """
    club = on_stage(work, blow, tracing=tracing)
    again = asked_in(work.trigger)
    drained: list[Drained] = []

    def live() -> None:
        club.hold_stream(False)
        club.act(work.trigger)
        drained.append(drain(club, again, known))

    failure = club.living(live)
    plan = club.plan
    return Outcome(drained[0] if drained else None, plan.calls, plan.struck, failure, club.result.trace)


# --- (a) every fault at every call


class Found(NamedTuple):
    """A combination that failed, and how."""

    work: str
    blow: Blow
    text: str


@dataclass
class Tally:
    """What has been run: by function and kind, how often; and what failed."""

    runs: Counter[tuple[str, str]] = field(default_factory=Counter)
    expected: int = 0
    found: list[Found] = field(default_factory=list)
    missed: list[tuple[str, Blow]] = field(default_factory=list)
    """Blows whose call never came: the invocation was another than without a fault, which must not be."""

    def add(self, other: Tally) -> None:
        """Takes in what others have run."""
        self.runs.update(other.runs)
        self.expected += other.expected
        self.found += other.found
        self.missed += other.missed


def calm(work: Work) -> Outcome:
    """A work without a fault. Raises what went wrong with it."""
    outcome = run(work)
    if outcome.failure is not None:
        raise outcome.failure
    return outcome


def blows_of(work: Work, calls: Sequence[Call]) -> list[Blow]:
    """Every blow that a work can meet."""
    once = [Blow(kind, -1, False) for kind in _of_delivery(work)]
    return [*once, *blows_at(calls)]


def _of_delivery(work: Work) -> tuple[str, ...]:
    """A request's answer is lost; what comes of a queue or the stream comes again. A schedule does neither."""
    if asked_in(work.trigger):
        return OF_DELIVERY[1:]
    is_scheduled = not callable(work.trigger) and any(isinstance(step, Sweep) for step in work.trigger)
    return () if is_scheduled and work.ordinal == 0 else OF_DELIVERY[:1]


def crash(work: Work, share: Callable[[int], bool] = lambda number: True) -> Tally:
    """Lets a work meet every blow, or those whose number is in the ``share``."""
    without = calm(work)
    assert without.drained is not None
    known = [without.drained]
    tally = Tally()
    for number, blow in enumerate(blows_of(work, without.calls)):
        if not share(number):
            continue
        tally.expected += 1
        outcome = run(work, blow, known)
        tally.runs[work.function, blow.kind] += 1
        if outcome.drained is None:
            tally.found.append(Found(work.name, blow, repr(outcome.failure)))
        elif difference := without.drained.end.differs_from(outcome.drained.end, moves=work.moves):
            tally.found.append(Found(work.name, blow, f"another end: {difference}"))
        if not outcome.struck and not blow.kind.startswith("stale"):
            tally.missed.append((work.name, blow))
    return tally
