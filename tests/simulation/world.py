"""One club in simulated time, run by a seed: the functions as deployed, on the table's model, with faults.

    result = World(seed, workload, observer).run()

A world does what its workload says while its faults are on; then they stop and everything has to drain (I10): the
queues, the stream, the dead letters that were given up for no reason of their own, and the sweeps once more.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import random
import sys
import uuid
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from importlib import import_module
from pathlib import Path
from typing import Any

from local import functions
from local.bus import Bus
from local.functions import LambdaContext, Runtime
from local.gateway import Gateway, Response
from local.queues import Message, Queue, Queues
from local.template import FunctionSpec, Template
from tests.simulation.client import Client
from tests.simulation.dynamodb import Change, Model
from tests.simulation.faults import Faults, client_error
from tests.simulation.process import simulated
from tests.simulation.scheduler import Killed, Scheduler, Stopped, Task
from tests.simulation.sizes import AS_DEPLOYED, DUE_SHARDS, Sizes, sized
from tests.simulation.steps import (
    Advance,
    Answer,
    ApiRequest,
    BusEvents,
    Invocation,
    Observer,
    Step,
    Sweep,
    Violation,
    Workload,
)
from tests.simulation.triggers import REDRIVEN_WITHIN_S, AsyncInvocation, QueueTrigger, StreamTrigger

ROOT = Path(__file__).resolve().parents[2]
RETRIES_EXHAUSTED = "retries_exhausted"
INVOCATIONS_MAX = 20_000
"""Of a seed, and again of its draining: work that makes more work without end is a mistake."""
DAYS_TO_DRAIN_MAX = 60
REDRIVES_MAX = 3
"""So often the dead letters of a queue are sent round again while there are faults."""
_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"


class _Log(io.TextIOBase):
    """Takes what functions log, and shows it to the world that runs at the time."""

    world: World | None = None

    def write(self, text: str, /) -> int:
        if self.world is not None and self.world.tracing:
            self.world.note(f"logs {text.strip()}")
        return len(text)


@dataclass
class Deployment:
    """The template and its functions, loaded once in a process: warm, as they are between invocations."""

    template: Template
    runtime: Runtime
    log: _Log
    variables: frozenset[str]

    handlers: dict[str, functions.Handler] = field(default_factory=dict)

    def load(self) -> None:
        """Loads every function, as it would be loaded by its first invocation."""
        stdout, sys.stdout = sys.stdout, self.log
        try:
            for arn, spec in self.template.functions.items():
                with self.runtime.environment(spec):
                    self.handlers[arn] = self.runtime.handler(spec)
        finally:
            sys.stdout = stdout

    def warm(self) -> None:
        """Makes the clients, and what else a process keeps, where it has none, or another test's.

        To be called with credentials that open nothing. A seed finds the same process, first or last in it: making a
        client takes random numbers.
        """
        from club_ledger import environment
        from club_ledger.items import AccountItem
        from club_ledger.store import connect
        from club_rules.programs import load_programs

        environment.client("sqs")
        environment.client("events")
        import_module("ingest_queue")._client()  # of a function, which is on the path by now
        load_programs()
        table, *_ = self.template.tables
        connect(table, lambda: 1)
        AccountItem._get_connection().connection.client  # noqa: B018 - it is made when it is first looked at


@cache
def deployment() -> Deployment:
    """This repository's template and functions."""
    template = Template(ROOT / "template.yaml")
    log = _Log()
    runtime = Runtime(template.functions, log)  # type: ignore[arg-type]
    names = frozenset(name for spec in template.functions.values() for name in spec.environment)
    deployed = Deployment(template, runtime, log, names)
    functions.forget(template.functions)
    with functions.account(template.functions):
        deployed.load()
        deployed.warm()
    return deployed


@dataclass
class Result:
    """What came of a seed. ``failure`` is a ``Violation``, or what the simulation itself failed with."""

    seed: int
    rates: Mapping[str, float]
    deliveries: int = 0
    invocations: int = 0
    steps: int = 0
    simulated_days: float = 0.0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    failure: BaseException | None = None
    trace: list[str] = field(default_factory=list)
    digest: str = ""


class _Bearer:
    """The gateway's checker of tokens, where a token is its claims: nobody here signs anything."""

    def claims(self, header: str | None) -> dict[str, Any]:
        claims: dict[str, Any] = json.loads(header or "{}")
        return claims


class _Queues(Queues):
    """The queues, telling the world what arrives."""

    world: World

    def send(
        self, arn: str, body: str, attributes: Mapping[str, Any] | None = None, origin: tuple[str, Any] | None = None
    ) -> Message:
        message = super().send(arn, body, attributes, origin)
        self.world.arrived(self.by_arn[arn], message)
        return message

    def give_back(self, queue: Queue, message: Message) -> bool:
        dead = super().give_back(queue, message)
        if dead:
            assert queue.spec.dead_letters is not None
            self.world.arrived(self.by_arn[queue.spec.dead_letters], message)
        return dead


class World:
    """The club of one seed. One at a time in a process.

    ``rates``: the faults to have instead of those that the seed draws; ``sizes``: see `sizes`; ``tracing``: whether to
    keep a trace.
    """

    def __init__(
        self,
        seed: int,
        workload: Workload,
        observer: Observer,
        *,
        rates: Mapping[str, float] | None = None,
        sizes: Sizes = AS_DEPLOYED,
        tracing: bool = False,
    ) -> None:
        self.seed = seed
        self._sizes = sizes
        self.observer = observer
        self.tracing = tracing
        self.deployment = deployment()
        self.template = self.deployment.template
        self.dice = random.Random(f"world {seed}")
        self.scheduler = Scheduler(workload.start.timestamp())
        self.faults = Faults(random.Random(f"faults {seed}"), lambda: self.scheduler.now, rates)
        self._started = self.scheduler.now
        self._workload = workload
        self.result = Result(seed, self.faults.rates, hits=self.faults.hits)
        self._digest = hashlib.blake2b(digest_size=12)
        self._client = Client(self, random.Random(f"client {seed}"), self.dice.choice((0.005, 0.02, 0.2)))
        self._pace_s = self.dice.choice((0.002, 0.02, 0.1, 0.5, 3.0))
        self._make_table()
        self._make_queues()
        self._make_gateway()
        self._acting: tuple[Invocation, str, Mapping[str, Any]] | None = None

    def _make_table(self) -> None:
        self.model = Model(lambda: self.scheduler.now)
        for table in self.template.tables.values():
            self.model.create_table(**table.create)
        self.model.commits.append(self._committed)
        self.model.index_lag_s = lambda: self._staleness("index_lag", (0.1, 5.0, 60.0))
        self.model.stale_s = lambda: self._staleness("stale_read", (0.05, 1.0))
        self._streams = [StreamTrigger(self, mapping) for mapping in self.template.stream_mappings]
        self._stream_asked = False

    def _make_queues(self) -> None:
        named = {queue.dead_letters for queue in self.template.queues.values()}
        named |= {spec.async_dead_letters for spec in self.template.functions.values()}
        named |= {mapping.on_failure for mapping in self.template.stream_mappings}
        dead = {arn for arn in named if arn in self.template.queues}
        self.queues = _Queues(self.template.queues, dead, self.clock)
        self.queues.world = self
        self._pollers = {
            mapping.queue: QueueTrigger(self, mapping, self.queues.by_arn[mapping.queue])
            for mapping in self.template.queue_mappings
        }
        self.bus = Bus(self.template.buses, self.template.rules, self.clock, self._from_rule)
        self._redrives: Counter[str] = Counter()
        self._activity = {target for rule in self.template.rules for target in rule.targets}

    def _make_gateway(self) -> None:
        bearer: Any = _Bearer()
        self._gateway = Gateway(self.template.routes, lambda _: bearer, self._gateway_clock, self._invoke_by_gateway)

    # ------------------------------------------------------------ time, and what is told of it

    def clock(self) -> datetime:
        """The moment, to the millisecond."""
        return datetime.fromtimestamp(round(self.scheduler.now, 3), UTC)

    def note(self, text: str, params: Any = None) -> None:
        """Writes a line of the trace; ``params`` go into the digest alone."""
        if not self.tracing:
            return
        task = self.scheduler.running
        who = f"#{task.about.number} {task.about.function} " if task is not None else ""
        line = f"{self.clock().isoformat(timespec='milliseconds')[:-6]} {who}{text}"
        self._digest.update(line.encode())
        if params is not None:
            self._digest.update(repr(params).encode())
        self.result.trace.append(line)

    def tell(self, what: Callable[..., None], *args: Any) -> None:
        """Tells the observer. What it finds ends the simulation, whoever would have caught it."""
        try:
            what(*args)
        except Exception as error:  # noqa: BLE001 - a violation, or a defect of the observer
            self.scheduler.stop(error)

    def _staleness(self, kind: str, longest_s: Sequence[float]) -> float:
        acting = self._acting
        if acting is None or not self.faults.hit(kind, acting[0].function):
            return 0.0
        return self.dice.choice(longest_s) * self.dice.random()

    # ------------------------------------------------------------ the table

    @contextmanager
    def acting_for(self, about: Invocation, operation: str, params: Mapping[str, Any]) -> Iterator[None]:
        """What the table does meanwhile is done for this invocation."""
        self._acting = about, operation, params
        try:
            yield
        finally:
            self._acting = None

    def _committed(self, changes: list[Change]) -> None:
        assert self._acting is not None
        if self.tracing:
            said = (f"{change.key['pk']['S']}/{change.key['sk']['S']}" for change in changes)
            self.note(f"committed {' '.join(said)}", changes)
        self.tell(self.observer.committed, self._acting[0], changes, self.clock())
        if not self._stream_asked:
            self._stream_asked = True
            self.scheduler.after(0.001, self._fetch_stream)

    def _fetch_stream(self) -> None:
        self._stream_asked = False
        for table in self.template.tables:
            records = self.model.stream(table)
            if not records:
                continue
            self.model.forget_stream(table, records[-1]["dynamodb"]["SequenceNumber"])
            for trigger in self._streams:
                if trigger.mapping.table == table:
                    trigger.add(records)

    # ------------------------------------------------------------ queues and bus

    def arrived(self, queue: Queue, message: Message) -> None:
        """A message is in a queue now: it was sent, or moved there."""
        name = queue.spec.logical_id
        if queue.spec.arn in self.queues.dead:
            reason = message.attributes.get("reason", {}).get("StringValue", RETRIES_EXHAUSTED)
            self.note(f"dead letter in {name}: {reason} {message.body}")
            self.tell(self.observer.dead, name, as_told(message), reason)
            self._redrive_some_day(queue)
            return
        poller = self._pollers.get(queue.spec.arn)
        function = self.template.functions[poller.function].logical_id if poller else ""
        if self.faults.hit("clock_jump", function):
            message.sent_ms += int(self.dice.uniform(-1, 1) * self.dice.choice((500, 5_000, 90_000)))
        self.note(f"message {message.message_id} in {name}: {message.body}")
        if queue.spec.arn in self._activity:
            sent_at = datetime.fromtimestamp(message.sent_ms / 1000, UTC)
            self.tell(self.observer.accepted, json.loads(message.body), sent_at)
        if poller is not None:
            poller.arrived(message)

    def _from_rule(self, target: str, body: str) -> None:
        if target in self.queues.by_arn:
            self.queues.send(target, body)
        elif ":log-group:" not in target:  # as on the local stack, a log is nobody's work
            raise ValueError(f"the target {target} of a rule is not known to the simulation")

    def send(self, about: Invocation, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        """Carries out a call of SQS or EventBridge. Raises ``ClientError`` where they refuse it."""
        if operation == "PutEvents":
            answers = self.bus.put(list(params["Entries"]), by_function=False)
            for entry, answer in zip(params["Entries"], answers, strict=True):
                if "ErrorCode" not in answer:
                    self.note(f"published {entry['DetailType']} {entry['Detail']}")
                    self.tell(self.observer.published, entry["DetailType"], json.loads(entry["Detail"]))
            return {"FailedEntryCount": sum("ErrorCode" in each for each in answers), "Entries": answers}
        status, body = self.queues.call(operation, params)
        if status != 200:
            raise client_error(operation, status, body)
        return body

    # ------------------------------------------------------------ dead letters

    def _redrive_some_day(self, queue: Queue) -> None:
        feeds = {poller.queue.spec.dead_letters: poller.function for poller in self._pollers.values()}
        feeds |= {spec.async_dead_letters: arn for arn, spec in self.template.functions.items()}
        feeds |= {trigger.mapping.on_failure: trigger.mapping.function for trigger in self._streams}
        function = self.template.functions[feeds[queue.spec.arn]].logical_id
        # an operator does so now and then; what is refused again each time would else go round for ever
        if self._redrives[queue.spec.arn] < REDRIVES_MAX and self.faults.hit("redrive_late", function):
            self._redrives[queue.spec.arn] += 1
            seconds = REDRIVEN_WITHIN_S * self.dice.random() * self.dice.choice((0.01, 1))
            self.scheduler.after(seconds, partial(self._redrive, queue))

    def _redrive(self, queue: Queue, *, exhausted_only: bool = False) -> None:
        letters, queue.ready = queue.ready, deque()
        for letter in letters:
            if exhausted_only and "reason" in letter.attributes:
                queue.ready.append(letter)
                continue
            self.note(f"redriven from {queue.spec.logical_id}: {letter.body}")
            self.tell(self.observer.redriven, queue.spec.logical_id, as_told(letter))
            source = next(iter(self.queues.sources_of(queue.spec.arn)), None)
            origin: tuple[str, Any] = letter.origin or ("queue", source)
            kind, where = origin
            if kind == "function":
                self._start_async(where, letter.body)
            elif kind == "stream":
                shard, batch = where
                shard.put_back(batch)
            else:
                kept = {name: value for name, value in letter.attributes.items() if name not in {"reason", "detail"}}
                self.queues.send(where, letter.body, kept)

    # ------------------------------------------------------------ invocations

    def invoke(
        self,
        spec: FunctionSpec,
        event: dict[str, Any],
        ended: Callable[[Any, BaseException | None], None],
        *,
        deliveries: int,
        about: Any,
        request_id: str | None = None,
    ) -> None:
        """Starts an invocation of a function, from an event of the scheduler; ``ended`` is told how it ended."""
        invocation = self._next_invocation(spec.logical_id, None, deliveries)

        began_under_faults = self.faults.on

        def over(answer: Any, error: BaseException | None) -> None:
            self._note_end(invocation, answer, error)
            if error is not None and not began_under_faults:
                self.tell(_raise, Violation("I10", f"{spec.logical_id} fails with no fault on: {error!r}"))
            ended(answer, error)

        task = Task(
            self.scheduler,
            invocation,
            self.scheduler.now + spec.timeout_s,
            lambda: self.deployment.handlers[spec.arn](event, LambdaContext(spec, request_id)),
            over,
        )
        task.environment = self._environment(spec)
        self._doom(task, spec)
        self.note(f"#{invocation.number} {spec.logical_id} begins: {about}", event)
        task.resume()

    def _environment(self, spec: FunctionSpec) -> Mapping[str, str]:
        if DUE_SHARDS not in spec.environment or self._sizes is AS_DEPLOYED:
            return spec.environment
        return {**spec.environment, DUE_SHARDS: str(self._sizes[DUE_SHARDS])}

    def _next_invocation(self, function: str, request: ApiRequest | None, deliveries: int) -> Invocation:
        self.result.invocations += 1
        self.result.deliveries += deliveries
        return Invocation(self.result.invocations, function, request)

    def _doom(self, task: Task, spec: FunctionSpec) -> None:
        """Some invocations of sweeps die on their way, wherever they are by then."""
        swept = any(schedule.function == spec.arn for schedule in self.template.schedules.values())
        if swept and self.faults.hit("sweep_killed", spec.logical_id):
            task.deadline = min(task.deadline, self.scheduler.now + self.dice.random() * self.dice.choice((0.05, 0.5)))

    def _note_end(self, invocation: Invocation, answer: Any, error: BaseException | None) -> None:
        how = "died" if isinstance(error, Killed) else f"raised {error!r}" if error else f"answered {answer}"
        self.note(f"#{invocation.number} {invocation.function} {how}")

    # ------------------------------------------------------------ the API

    def _gateway_clock(self) -> datetime:
        task = self.scheduler.running
        now = self.clock()
        if task is not None and self.faults.hit("clock_jump", task.about.function):
            now += timedelta(milliseconds=int(self.dice.uniform(-1, 1) * self.dice.choice((500, 5_000))))
        return now

    def _invoke_by_gateway(self, function: str, event: dict[str, Any]) -> Any:
        spec, task = self.template.functions[function], self.scheduler.running
        assert task is not None
        task.environment, task.deadline = self._environment(spec), self.scheduler.now + spec.timeout_s
        return self.deployment.handlers[spec.arn](event, LambdaContext(spec))

    def _ask(self, request: ApiRequest, retries: int) -> None:
        route = self._gateway.find(request.method, request.path)
        function = self.template.functions[route[0].function].logical_id if route else ""
        invocation = self._next_invocation(function, request, 1)
        claims = {"sub": request.sub, "scope": " ".join(request.scopes)}
        body = b"" if request.body is None else _as_body(request.body)

        def work() -> Response:
            headers = {"authorization": json.dumps(claims), "content-type": "application/json"}
            return self._gateway.request(request.method, request.path, request.query, headers, body)

        def ended(response: Any, error: BaseException | None) -> None:
            answer = _as_answer(response)
            if error is not None:
                answer = self.dice.choice((None, Answer(500, {"message": "Internal Server Error"})))
            reached = bool(task.environment)  # else the gateway itself has answered
            if reached and self.faults.hit("lost_answer", function):
                answer = None
            self.note(f"#{invocation.number} {function} {request.method} {request.path} got {answer}")
            self.tell(self.observer.answered, invocation, request, answer, self.clock())
            if retries and (answer is None or answer.status >= 500):
                seconds = self.dice.choice((0.05, 1.0, 30.0)) * self.dice.random()
                self.scheduler.after(seconds, partial(self._ask, request, retries - 1))

        task = Task(self.scheduler, invocation, self.scheduler.now + 30, work, ended)
        self.note(f"#{invocation.number} {function} {request.method} {request.path} by {request.sub}: {request.body}")
        task.resume()

    # ------------------------------------------------------------ schedules

    def _fire(self, sweep: Sweep) -> None:
        schedule = self.template.schedules.get(sweep.function)
        if schedule is None:
            arn = self.template.function(sweep.function).arn
            schedule = next(each for each in self.template.schedules.values() if each.function == arn)
        name = self.template.functions[schedule.function].logical_id
        moment = self.clock().replace(microsecond=0).isoformat().replace("+00:00", "Z")
        payload = json.dumps({**json.loads(schedule.input.replace(_SCHEDULED_TIME, moment)), **sweep.input})
        request_id = str(uuid.uuid4())
        late = 0.0
        if self.faults.hit("sweep_late", name):
            late = self.dice.random() * self.dice.choice((3_600, 5 * 86_400))
        self.scheduler.after(late, partial(self._start_async, schedule.function, payload, request_id))
        for kind, apart_s in (("sweep_parallel", 0.05), ("sweep_twice", 7_200)):
            if self.faults.hit(kind, name):
                # the scheduler fires twice, or Lambda hands over one invocation twice
                again = self.dice.choice((request_id, str(uuid.uuid4())))
                seconds = late + apart_s * self.dice.random()
                self.scheduler.after(seconds, partial(self._start_async, schedule.function, payload, again))

    def _start_async(self, function: str, payload: str, request_id: str | None = None) -> None:
        AsyncInvocation(self, function, payload, request_id or str(uuid.uuid4())).start()

    # ------------------------------------------------------------ a seed's life

    def run(self) -> Result:
        """Lives through the workload, drains, and tells the observer what is left."""
        scheduler = self.scheduler
        with self.installed():
            try:
                self._live()
                self._drain()
                self.tell(self.observer.finished, self._table(), self._dead_letters())
            except Stopped:
                self.result.failure = scheduler.failure
            except Exception as error:  # noqa: BLE001 - it is told, with the seed
                self.result.failure = error
        self.result.hits = self.faults.hits
        self.result.simulated_days = (scheduler.now - self._started) / 86_400
        self.note(f"ends with {self.result.failure!r}")
        self.result.digest = self._digest.hexdigest()
        return self.result

    @contextmanager
    def installed(self) -> Iterator[None]:
        """As long as the context lasts, this process is this world's."""
        own = random.Random(f"process {self.seed}")
        self.deployment.log.world = self
        named = (spec.environment["POWERTOOLS_SERVICE_NAME"] for spec in self.template.functions.values())
        loggers: list[Any] = [logging.getLogger(name) for name in named]
        before = [(logger, logger.level, handler, handler.stream) for logger in loggers for handler in logger.handlers]
        for logger, _, handler, _ in before:
            logger.propagate = False  # what functions log is for the trace alone, whoever took it before
            logger.setLevel(logging.INFO)
            handler.setStream(self.deployment.log)
        try:
            with functions.account(self.template.functions):
                self.deployment.warm()
                process = simulated(self.scheduler, own, self.deployment.variables, self._client.call)
                with sized(self._sizes), process:
                    yield
        finally:
            self.deployment.log.world = None
            for logger, level, handler, stream in before:
                logger.propagate = True
                logger.setLevel(level)
                handler.setStream(stream)

    def _live(self) -> None:
        self._play(self._workload.steps())
        self.faults.stop()
        self.note("faults stop")

    def _play(self, steps: Iterator[Step]) -> None:
        """Lets the steps happen, one after the other, and everything that falls in between."""
        running = True

        def next_step() -> None:
            nonlocal running
            step = next(steps, None)
            if step is None:
                running = False
                return
            self.result.steps += 1
            wait = step.by.total_seconds() if isinstance(step, Advance) else self.dice.expovariate(1 / self._pace_s)
            self._take(step)
            self.scheduler.after(wait, next_step)

        self.scheduler.after(0, next_step)
        while running:
            self.scheduler.step()
            if self.result.invocations > INVOCATIONS_MAX:
                raise Violation("I10", "work makes more work without end")

    def _take(self, step: Step) -> None:
        match step:
            case BusEvents(entries):
                self._put_events(entries)
            case ApiRequest():
                self._ask(step, step.retries)
            case Sweep():
                self.note(f"{step.function} is due {step.input or ''}")
                self._fire(step)
            case Advance(by):
                self.note(f"time goes by: {by}")

    def _put_events(self, entries: Sequence[Mapping[str, Any]]) -> None:
        asked = [
            {**entry, "Detail": entry["Detail"] if isinstance(entry["Detail"], str) else json.dumps(entry["Detail"])}
            for entry in entries
        ]
        for answer in self.bus.put(asked, by_function=False):
            assert "ErrorCode" not in answer, f"the workload's event is none: {answer}"

    def _drain(self) -> None:
        self._settle()
        for queue in self._dead():
            self._redrive(queue, exhausted_only=True)
        self._settle()
        self._play(self._workload.afterwards())
        self._settle()
        for schedule in self.template.schedules.values():
            self._fire(Sweep(self.template.functions[schedule.function].logical_id))
            self._settle()
        left = [letter for queue in self._dead() for letter in queue.ready if "reason" not in letter.attributes]
        if left:
            raise Violation("I10", f"a dead letter is dead again with no fault on: {left[0].body}")

    def _settle(self) -> None:
        """Works until there is nothing to do."""
        invocations = self.result.invocations + INVOCATIONS_MAX
        moment = self.scheduler.now + DAYS_TO_DRAIN_MAX * 86_400
        while len(self.scheduler):
            self.scheduler.step()
            if self.result.invocations > invocations or self.scheduler.now > moment:
                raise Violation("I10", "it does not drain")
        waiting = [poller.queue.spec.logical_id for poller in self._pollers.values() if poller.queue.ready]
        if waiting or any(trigger.waiting for trigger in self._streams):
            raise Violation("I10", f"nothing more happens, and there is work left: {waiting or 'in the stream'}")

    def _dead(self) -> list[Queue]:
        return [self.queues.by_arn[arn] for arn in sorted(self.queues.dead)]

    def _table(self) -> list[Mapping[str, Any]]:
        return [item for table in self.template.tables for item in self.model.items(table)]

    def _dead_letters(self) -> list[Mapping[str, Any]]:
        return [{**as_told(letter), "queue": queue.spec.logical_id} for queue in self._dead() for letter in queue.ready]


def as_told(message: Message) -> dict[str, Any]:
    """A message as observers get it: ``body`` (text), ``attributes`` as they were sent, ``message_id``, ``reason``."""
    reason = message.attributes.get("reason", {}).get("StringValue", RETRIES_EXHAUSTED)
    return {
        "body": message.body,
        "attributes": dict(message.attributes),
        "message_id": message.message_id,
        "reason": reason,
    }


def _raise(error: Exception) -> None:
    raise error


def _as_body(body: Any) -> bytes:
    if isinstance(body, bytes):
        return body
    return (body if isinstance(body, str) else json.dumps(body)).encode()


def _as_answer(response: Response | None) -> Answer | None:
    if response is None:
        return None
    body: Any = response.body.decode()
    with suppress(ValueError):
        body = json.loads(body)
    return Answer(response.status, body)
