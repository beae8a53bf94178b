"""The stack: everything that the template deploys, in this process, with a clock that is set from outside.

with Stack(datetime(2026, 11, 22, 10, 15, tzinfo=UTC)) as stack:
    stack.put_events([{"Source": "marketplace", "DetailType": "visit.recorded", "Detail": "{...}"}])
    stack.drain()
    stack.request("GET", "/members/m-42", headers={"authorization": f"Bearer {stack.token('m-42', ['club:read'])}"})
"""

import io
import json
import threading
import uuid
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple, Self, TextIO

from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends

from local import functions, moto_patch, tokens
from local.boundary import Answer, Boundary, plain
from local.bus import Bus
from local.functions import FunctionError, Runtime, done_in_order, failed_ids
from local.gateway import Gateway, Response
from local.permissions import Need, Needs
from local.queues import Message, Queue, Queues
from local.template import ACCOUNT, REGION, ROOT, QueueMapping, StreamMapping, Template

# Work that makes more work without end is a mistake, and is told rather than waited for.
INVOCATIONS_PER_DRAIN_MAX = 1_000_000
# Where the template sets no bound on tries, a drain gives up after so many and the next one goes on.
TRIES_PER_DRAIN_MAX = 10
REASON_WITHOUT_ONE = "retries_exhausted"
_SCHEDULED_TIME = "<aws.scheduler.scheduled-time>"
# PutEvents takes so many entries at once from a function.
_ENTRIES_MAX = 10

_running: "Stack | None" = None


class Outcome(NamedTuple):
    """What became of messages: taken by a function, and put among the dead letters."""

    delivered: int
    dead_lettered: int


@dataclass
class _Invocation:
    """An asynchronous invocation that waits for its turn; its id stays the same over all tries."""

    function: str
    payload: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tries: int = 0


@dataclass
class _Changes:
    """What a table's stream still has for a function."""

    mapping: StreamMapping
    records: deque[dict[str, Any]] = field(default_factory=deque)
    size: int = 0  # of the next batch: halved while the function fails, where the template says so
    tries: int = 0

    def __post_init__(self) -> None:
        self.size = self.mapping.batch_size


class Stack:
    """The deployed club, in this process. One at a time: moto and the environment belong to the process.

    In: `now`, the clock at the start; the template; values for its parameters; `log`, which takes what the functions
    print (nothing is kept without it); `enforce_permissions`, whether roles are held to; `announcements_max`, how many
    of the events that functions published are kept (at least), for a long replay. Raises TemplateError for a template
    that cannot be run here.
    """

    def __init__(
        self,
        now: datetime,
        template: Path = ROOT / "template.yaml",
        *,
        parameters: Mapping[str, str] | None = None,
        log: TextIO | None = None,
        enforce_permissions: bool = True,
        announcements_max: int | None = None,
    ) -> None:
        global _running
        if _running is not None:
            raise RuntimeError("a stack is running in this process already: close it first")
        self._now = _utc(now)
        self.template = Template(template, parameters)
        # One invocation at a time; see Runtime.
        self._lock = threading.RLock()
        self._key = tokens.key_path(self.template.root)
        self.runtime = Runtime(self.template.functions, log or _Nowhere())
        self.queues = Queues(self.template.queues, self._dead_letter_queues(), self._clock)
        self.bus = Bus(self.template.buses, self.template.rules, self._clock, self._from_rule)
        self.bus.published_max = announcements_max
        self._boundary = self._make_boundary(enforce_permissions)
        self.gateway = Gateway(
            self.template.routes,
            lambda authorizer: tokens.Checker(self._key, authorizer),
            self._clock,
            lambda function, event: self.runtime.invoke(self.template.functions[function], event),
            self.template.cors,
        )
        self._invocations: deque[_Invocation] = deque()
        self._changes = [_Changes(mapping) for mapping in self.template.stream_mappings]
        self._invoked = 0
        self._open = ExitStack()
        try:
            self._start()
        except BaseException:
            self._open.close()
            raise
        _running = self

    def _start(self) -> None:
        functions.forget(self.template.functions)
        self._open.enter_context(functions.account(self.template.functions))
        mock = mock_aws(config={"core": {"mock_credentials": False}})
        mock.start()
        self._open.callback(mock.stop)
        # The patch looks at the clock as moto does: without a zone.
        self._open.enter_context(moto_patch.patched(lambda: self._now.replace(tzinfo=None)))
        self._open.enter_context(self._boundary.installed())
        for table in self.template.tables.values():
            self.client("dynamodb").create_table(**table.create)

    def _make_boundary(self, enforce: bool) -> Boundary:
        answers = {"sqs": self.queues.call, "events": self._put_events_call}
        return Boundary(Needs(self.template), answers, lambda: self.runtime.running, enforce)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop: everything that was stored is gone, and the process is as it was before."""
        global _running
        if _running is self:
            _running = None
            self._open.close()

    # ------------------------------------------------------------ the clock

    @property
    def now(self) -> datetime:
        """The time that invocations carry."""
        return self._now

    def set_clock(self, now: datetime) -> None:
        """Set the time that invocations carry from here on; it may be set back. Raises ValueError without a zone."""
        instant = _utc(now)
        with self._lock:
            self._now = instant

    def _clock(self) -> datetime:
        return self._now

    # ------------------------------------------------------------ the front doors

    def token(self, sub: str, scopes: Iterable[str] = (), **claims: Any) -> str:
        """Make a token for `sub` that the gateway accepts; `claims` replace or add to what is usual."""
        return tokens.make_token(self._key, self.template.routes_authorizer(), sub, scopes, claims)

    def request(
        self,
        method: str,
        path: str,
        query: str = "",
        headers: Mapping[str, str] | None = None,
        body: bytes | str | Mapping[str, Any] = b"",
    ) -> Response:
        """Send a request through the API: `path` as in a URL (percent-encoded), a mapping as `body` becomes JSON.

        Gives (status, headers, body). What a function queued or changed is worked off by `drain`.
        """
        content = json.dumps(body) if isinstance(body, Mapping) else body
        raw = content.encode() if isinstance(content, str) else content
        named = {name.lower(): value for name, value in (headers or {}).items()}
        with self._lock:
            return self.gateway.request(method.upper(), path, query, named, raw)

    def put_events(self, entries: list[Any]) -> list[dict[str, str]]:
        """Put PutEvents entries on the bus; gives an answer for each: an EventId, or ErrorCode and ErrorMessage."""
        with self._lock:
            return self.bus.put(entries, by_function=False)

    def fire(
        self,
        name: str,
        scheduled_at: datetime,
        *,
        dry_run: bool = False,
        override_limit: bool = False,
        request_id: str | None = None,
    ) -> Outcome:
        """Fire a schedule as of `scheduled_at`, and drain. Raises KeyError for an unknown name.

        The clock is not moved: a sweep has its time from the schedule. `request_id`: of the invocation, one of its own
        without.
        """
        schedule = self.template.schedules[name]
        moment = _utc(scheduled_at).replace(microsecond=0).isoformat().replace("+00:00", "Z")
        payload = schedule.input.replace(_SCHEDULED_TIME, moment)
        flags = {"dry_run": dry_run, "override_limit": override_limit}
        if any(flags.values()):
            payload = json.dumps({**json.loads(payload), **{flag: True for flag, on in flags.items() if on}})
        with self._lock:
            self._invocations.append(_Invocation(schedule.function, payload, request_id or str(uuid.uuid4())))
            return self.drain()

    def invoke(self, function: str, event: Any) -> Any:
        """Call a function (by ARN, logical id or folder) with an event of your own. Raises FunctionError, KeyError."""
        with self._lock:
            return self.runtime.invoke(self.template.function(function), event)

    # ------------------------------------------------------------ working it off

    def drain(self) -> Outcome:
        """Work until nothing is left to retry: queues, asynchronous invocations, and the tables' streams.

        Retries come at once. Raises RuntimeError where work makes more work without end.
        """
        with self._lock:
            self._invoked = 0
            dead_before, delivered = self.queues.dead_lettered, 0
            aside: list[tuple[Queue, Message]] = []
            busy = True
            while busy:
                busy = self._run_invocations()
                for mapping in self.template.queue_mappings:
                    taken = self._run_queue(mapping, aside)
                    busy = busy or taken is not None
                    delivered += taken or 0
                busy = self._run_streams() or busy
            for changes in self._changes:
                changes.tries = 0
            for queue, message in aside:
                queue.ready.append(message)
            return Outcome(delivered, self.queues.dead_lettered - dead_before)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let no function run while the context lasts: for a tool that works on the tables itself."""
        with self._lock:
            yield

    def work_streams(self) -> None:
        """Hand what has changed in the tables to the functions that announce it, and nothing else."""
        with self._lock:
            self._invoked = 0
            self._run_streams()

    def _count_invocation(self) -> None:
        self._invoked += 1
        if self._invoked > INVOCATIONS_PER_DRAIN_MAX:
            raise RuntimeError(f"no end after {INVOCATIONS_PER_DRAIN_MAX} invocations: a function feeds itself")

    def _run_queue(self, mapping: QueueMapping, aside: list[tuple[Queue, Message]]) -> int | None:
        """Give a queue's messages to its function until it is empty; how many were delivered, None = it was empty."""
        queue = self.queues.by_arn[mapping.queue]
        delivered: int | None = None
        while queue.ready:
            delivered = (delivered or 0) + self._deliver(mapping, queue, aside)
            self._run_streams(full_batches_only=True)
        return delivered

    def _deliver(self, mapping: QueueMapping, queue: Queue, aside: list[tuple[Queue, Message]]) -> int:
        self._count_invocation()
        batch = queue.take(mapping.batch_size, self.queues.now_ms())
        letters_before = self.queues.dead_lettered
        try:
            event = {"Records": [queue.record(message) for message in batch]}
            answer = self.runtime.invoke(self.template.functions[mapping.function], event)
            failed = failed_ids(answer, {message.message_id for message in batch}, mapping.partial_failures)
        except FunctionError:
            failed = {message.message_id for message in batch}
        # What the function itself put among the dead letters it took, but did not deliver.
        letters = self.queues.dead_lettered - letters_before
        for message in batch:
            if message.message_id in failed:
                if queue.spec.max_receives is None and message.receives % TRIES_PER_DRAIN_MAX == 0:
                    aside.append((queue, message))
                else:
                    self.queues.give_back(queue, message)
        return max(0, len(batch) - len(failed) - letters)

    def _run_invocations(self) -> bool:
        worked = bool(self._invocations)
        while self._invocations:
            self._count_invocation()
            waiting = self._invocations.popleft()
            spec = self.template.functions[waiting.function]
            waiting.tries += 1
            try:
                self.runtime.invoke(spec, json.loads(waiting.payload), waiting.request_id)
            except FunctionError as error:
                if waiting.tries < spec.async_attempts:
                    self._invocations.append(waiting)
                elif spec.async_dead_letters:
                    attributes = {
                        "RequestID": {"DataType": "String", "StringValue": waiting.request_id},
                        "ErrorMessage": {"DataType": "String", "StringValue": str(error)[:1024]},
                    }
                    origin = ("function", waiting.function)
                    self.queues.send(spec.async_dead_letters, waiting.payload, attributes, origin)
        return worked

    # ------------------------------------------------------------ the tables' streams

    def _run_streams(self, *, full_batches_only: bool = False) -> bool:
        worked = False
        for table in {changes.mapping.table for changes in self._changes}:
            backend = dynamodb_backends[ACCOUNT][REGION].tables[table]
            if full_batches_only and backend.stream_shard and len(backend.stream_shard.items) < 100:
                continue
            records = moto_patch.take_stream_records(backend)
            for changes in self._changes:
                if changes.mapping.table == table:
                    changes.records.extend(records)
        for changes in self._changes:
            while changes.records and not (full_batches_only and len(changes.records) < changes.mapping.batch_size):
                if changes.tries >= (changes.mapping.attempts or TRIES_PER_DRAIN_MAX):
                    break
                worked = True
                self._announce(changes)
        return worked

    def _announce(self, changes: _Changes) -> None:
        """Give the oldest records to the function; what it did not take comes again, in order, before any other."""
        self._count_invocation()
        mapping = changes.mapping
        batch = [changes.records[index] for index in range(min(changes.size, len(changes.records)))]
        stream = f"{self.template.tables[mapping.table].arn}/stream/local"
        event = {"Records": [_stream_record(record, stream) for record in batch]}
        try:
            answer = self.runtime.invoke(self.template.functions[mapping.function], event)
            done = done_in_order(answer, batch, mapping.partial_failures)
        except FunctionError:
            done = 0
            if mapping.bisect and len(batch) > 1:
                changes.size = len(batch) // 2  # to split a batch is no retry
                return
        for _ in range(done):
            changes.records.popleft()
        changes.tries = 0 if done else changes.tries + 1
        if done:
            changes.size = mapping.batch_size
        elif mapping.attempts is not None and changes.tries >= mapping.attempts:
            self._give_up(changes, batch)

    def _give_up(self, changes: _Changes, batch: list[dict[str, Any]]) -> None:
        for _ in batch:
            changes.records.popleft()
        changes.tries, changes.size = 0, changes.mapping.batch_size
        if changes.mapping.on_failure:
            numbers = [record["dynamodb"]["SequenceNumber"] for record in (batch[0], batch[-1])]
            letter = {
                "requestContext": {"functionArn": changes.mapping.function, "condition": "RetryAttemptsExhausted"},
                "version": "1.0",
                "DDBStreamBatchInfo": {
                    "startSequenceNumber": numbers[0],
                    "endSequenceNumber": numbers[1],
                    "batchSize": len(batch),
                },
            }
            # AWS keeps the positions; the records are read from the stream again. Here they are kept for that.
            self.queues.send(changes.mapping.on_failure, json.dumps(letter), origin=("stream", (changes, batch)))

    # ------------------------------------------------------------ dead letters

    def _dead_letter_queues(self) -> set[str]:
        named = {queue.dead_letters for queue in self.template.queues.values()}
        named |= {spec.async_dead_letters for spec in self.template.functions.values()}
        named |= {mapping.on_failure for mapping in self.template.stream_mappings}
        return {arn for arn in named if arn in self.template.queues}

    def dead_letters(self) -> list[dict[str, Any]]:
        """Give what is in the dead-letter queues: {"reason", "message", "queue"}, and "detail" where there is one."""
        with self._lock:
            return [
                _letter(queue.spec.logical_id, message)
                for queue in self.queues.by_arn.values()
                if queue.spec.arn in self.queues.dead
                for message in queue.ready
            ]

    def redrive(self) -> Outcome:
        """Send every dead letter round again, with a new time of sending, and drain."""
        with self._lock:
            for arn in sorted(self.queues.dead):
                queue = self.queues.by_arn[arn]
                letters, queue.ready = queue.ready, deque()
                for letter in letters:
                    if not self._send_round(arn, letter):
                        queue.ready.append(letter)
            return self.drain()

    def _send_round(self, arn: str, letter: Message) -> bool:
        source = next(iter(self.queues.sources_of(arn)), None)
        origin: tuple[str, Any] = letter.origin or ("queue", source)
        kind, where = origin
        if kind == "function":
            self._invocations.append(_Invocation(where, letter.body))
        elif kind == "stream":
            changes, batch = where
            changes.records.extendleft(reversed(batch))
        elif where is not None:
            # The reason was that of the last time.
            attributes = {name: value for name, value in letter.attributes.items() if name not in {"reason", "detail"}}
            self.queues.send(where, letter.body, attributes)
        else:
            return False
        return True

    # ------------------------------------------------------------ looking in

    def published(self, detail_type: str | None = None) -> list[dict[str, Any]]:
        """Give the PutEvents entries that functions published, oldest first, or those of one detail type."""
        with self._lock:
            return [entry for entry in self.bus.published if detail_type in {None, entry["DetailType"]}]

    def order_fault(self, order: Mapping[str, Any]) -> None:
        """Make the data store fail for functions, or clear it with {} (contract 2.5). Raises faults.BadFault."""
        with self._lock:
            self._boundary.faults.order(order)

    @property
    def faults_given(self) -> int:
        """How many requests have met a fault."""
        return self._boundary.faults.given

    @property
    def used_permissions(self) -> dict[str, set[Need]]:
        """What each function (by logical id) has used, with the kind of the leading key for the key."""
        return self._boundary.used

    def client(self, service: str) -> Any:
        """Make a boto3 client of the stack's account, for a tool that looks in from outside: no faults, no role."""
        import boto3

        return boto3.client(service, region_name=REGION)

    # ------------------------------------------------------------ the bus

    def _from_rule(self, target: str, body: str) -> None:
        if target in self.queues.by_arn:
            self.queues.send(target, body)
        elif target in self.template.functions:
            self._invocations.append(_Invocation(target, body))
        elif ":log-group:" not in target:  # a log is nobody's work here; `published` gives what it would hold
            raise ValueError(f"a rule's target {target} is not known to the local stack")

    def _put_events_call(self, operation: str, request: Mapping[str, Any]) -> Answer:
        entries = request.get("Entries", [])
        if operation != "PutEvents":
            return 400, {"__type": "UnsupportedOperation", "message": f"{operation} is not known to the local stack"}
        if not 1 <= len(entries) <= _ENTRIES_MAX:
            text = "Value at 'entries' failed to satisfy constraint: Member must have length from 1 to 10"
            return 400, {"__type": "ValidationException", "message": text}
        answers = self.bus.put(entries, by_function=self.runtime.running is not None)
        failed = sum("ErrorCode" in answer for answer in answers)
        return 200, {"FailedEntryCount": failed, "Entries": answers}


class _Nowhere(io.StringIO):
    """Takes what functions print and keeps nothing of it."""

    def write(self, text: str, /) -> int:
        return len(text)


def _utc(instant: datetime) -> datetime:
    if instant.tzinfo is None:
        raise ValueError("an instant needs its zone")
    return instant.astimezone(UTC)


_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - moto's instants have no zone


def _stream_record(record: dict[str, Any], stream: str) -> dict[str, Any]:
    """Give one of moto's stream records as Lambda delivers it."""
    change = dict(record["dynamodb"])
    change["ApproximateCreationDateTime"] = (change["ApproximateCreationDateTime"] - _EPOCH) / timedelta(seconds=1)
    for image in ("Keys", "NewImage", "OldImage"):
        if image in change:
            change[image] = plain(change[image])
    return {**record, "awsRegion": REGION, "eventSourceARN": stream, "dynamodb": change}


def _letter(queue: str, message: Message) -> dict[str, Any]:
    def attribute(name: str) -> str | None:
        value = message.attributes.get(name)
        return value["StringValue"] if value else None

    try:
        # NaN and the like are no JSON: who reads this must be able to.
        body = json.loads(message.body, parse_constant=str)
    except (ValueError, RecursionError):
        body = message.body
    letter = {"reason": attribute("reason") or REASON_WITHOUT_ONE, "message": body, "queue": queue}
    detail = attribute("detail") or attribute("ErrorMessage")
    if detail:
        letter["detail"] = detail
    return letter
