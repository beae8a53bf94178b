"""What can go wrong, how often in which seed, and a count of what did.

Each seed draws its own mix ("swarm"): most kinds are off in it, so that rare combinations of the rest get their turn.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError, ConnectionClosedError

from local import faults as local_faults
from local.template import FunctionSpec, Template

READS = frozenset({"GetItem", "BatchGetItem", "Query"})
WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem", "TransactWriteItems"})
BATCHES = frozenset({"BatchGetItem", "BatchWriteItem"})
SENDS = frozenset({"SendMessage", "SendMessageBatch", "PutEvents"})

ANY_CALL = ("crash_before", "crash_after", "outage")
TABLE_CALL = ("throttle", "error", "reset", "timeout_before", "timeout_after")
SEND_CALL = ("send_error", "send_reset", "send_timeout_before", "send_timeout_after")
QUEUE = ("lost_delete", "duplicate", "late", "reordered", "redrive_late")
SWEEP = ("sweep_twice", "sweep_parallel", "sweep_killed", "sweep_late")

RATES: Mapping[str, float] = {
    **dict.fromkeys(ANY_CALL, 0.006),
    "outage": 0.004,
    **dict.fromkeys(TABLE_CALL, 0.02),
    **dict.fromkeys(SEND_CALL, 0.03),
    "conflict": 0.04,
    "timeout_late": 0.01,
    "partial": 0.05,
    "send_partial": 0.3,
    "index_lag": 0.3,
    "stale_read": 0.15,
    "lost_answer": 0.06,
    **dict.fromkeys(QUEUE, 0.08),
    "redrive_late": 0.5,
    "stream_replay": 0.1,
    "clock_jump": 0.1,
    **dict.fromkeys(SWEEP, 0.3),
}
"""Every kind of fault, with how often it hits what it can hit in a seed of middling strength.

crash_before, crash_after    the invocation dies as it makes a call, or when the call has taken effect
throttle, conflict, error    the table answers so; ``error`` is a 500
reset                        the connection breaks, before or after the call took effect
timeout_before, _after       no answer comes: the call never took effect, or it did
timeout_late                 no answer comes, and a write takes effect when the caller has given up on it; often its
                             further attempts get no answer either
partial                      a batch is carried out in part, the rest is handed back
send_...                     the same of the queues and the bus
index_lag, stale_read        an index, or a read that is not consistent, shows what was before
outage                       from this call on every call to the table, or to the queues and the bus, or to all of
                             them, or one function's to the table fails, for minutes or hours
lost_delete                  a batch is done, and its messages come again
duplicate, late, reordered   a message comes twice, hours or days late, or out of its turn
redrive_late                 dead letters are sent round again up to 13 days later (they are kept for 14)
stream_replay                the stream's records come again, though they were done
clock_jump                   the host that stamps a message or a request has another time than the rest
lost_answer                  the API's caller gets none
sweep_twice, _parallel       a schedule fires again, later or at once
sweep_killed                 an invocation of a sweep dies somewhere on its way
sweep_late                   a schedule's invocation comes days late
"""

CALMS = 0.08
"""The share of seeds in which nothing goes wrong."""
SHARE = 0.4
"""The share of kinds that are on in a seed."""
STRENGTHS = (0.25, 0.5, 1.0, 1.0, 2.0)
OUTAGES_S = (600.0, 5_400.0)
"""Up to so long an outage lasts: the longer ones use up the tries of queues and stream."""
OUTAGES_MAX = 3
SENDS_OUT = 5.0
"""Sends are few beside the calls to the table: so much more often one begins an outage."""
SLOW = (None, None, None, None, 0.6)
"""How often the messages of a queue are late in a seed, whatever its rate says: in some a queue is a slow one."""


class Faults:
    """The dice of one seed. ``hits`` counts what they did, by kind and function."""

    def __init__(
        self, dice: random.Random, clock: Callable[[], float], rates: Mapping[str, float] | None = None
    ) -> None:
        self.hits: Counter[tuple[str, str]] = Counter()
        self.on = True
        self._dice = dice
        self._clock = clock
        self._outages = 0
        self._out_until = clock()
        self._is_out: Callable[[str, str], bool] = lambda operation, function: False
        self.rates = draw(dice) if rates is None else dict(rates)
        self._of_call: dict[str, tuple[list[tuple[float, str]], float]] = {}

    def stop(self) -> None:
        """From here on nothing goes wrong."""
        self.on = False

    def hit(self, kind: str, function: str, rate: float | None = None) -> bool:
        """Whether this one is hit, as often as ``rate`` or, without it, the seed's own rate says."""
        rate = self.rates.get(kind) if rate is None else rate
        if not rate or not self.on or self._dice.random() >= rate:
            return False
        self.hits[kind, function] += 1
        return True

    def of_call(self, operation: str, function: str) -> str | None:
        """What happens to a call of a function, if anything: one fault at most."""
        if not self.on:
            return None
        if self._clock() < self._out_until and self._is_out(operation, function):
            self.hits["outage", function] += 1
            kind = self._dice.choice(("error", "error", "reset", "timeout_before"))
            return f"send_{kind}" if operation in SENDS else kind
        known = self._of_call.get(operation)
        if known is None:
            steps, whole = [], 0.0
            for kind in kinds_of(operation):
                if self.rates.get(kind):
                    often = SENDS_OUT if kind == "outage" and operation in SENDS else 1.0
                    whole += min(self.rates[kind] * often, 1.0)
                    steps.append((whole, kind))
            known = self._of_call[operation] = steps, whole
        steps, whole = known
        if not steps:
            return None
        thrown = self._dice.random()
        if thrown >= whole:
            return None
        kind = next(kind for bound, kind in steps if thrown < bound)
        if kind == "outage":
            if self._outages == OUTAGES_MAX:
                return None
            self._outages += 1
            self._out_until = self._clock() + self._dice.choice(OUTAGES_S) * self._dice.random()
            self._is_out = self._scope(operation, function)
            return self.of_call(operation, function)
        self.hits[kind, function] += 1
        return kind

    def _scope(self, operation: str, function: str) -> Callable[[str, str], bool]:
        """Which calls an outage hits that begins with this one, by operation and function."""
        if operation in SENDS:
            return lambda of, by: of in SENDS
        scopes: tuple[Callable[[str, str], bool], ...] = (
            lambda of, by: True,
            lambda of, by: of not in SENDS,
            lambda of, by: of not in SENDS and by == function,
        )
        return self._dice.choice(scopes)

    def among(self, things: Iterable[Any]) -> list[Any]:
        """Some of a batch: at least one, as the dice fall."""
        several = list(things)
        return [several[n] for n in sorted(self._dice.sample(range(len(several)), self._dice.randint(1, len(several))))]


def draw(dice: random.Random) -> dict[str, float]:
    """The rates of a seed; a kind that is not among them is off."""
    if dice.random() < CALMS:
        return {}
    strength = dice.choice(STRENGTHS)
    return {kind: min(rate * strength, 0.5) for kind, rate in RATES.items() if dice.random() < SHARE}


def kinds_of(operation: str) -> list[str]:
    """The kinds of fault that a call can meet on its way."""
    if operation in SENDS:
        return [*ANY_CALL, *SEND_CALL, *(["send_partial"] if operation != "SendMessage" else [])]
    kinds = [*ANY_CALL, *TABLE_CALL]
    if operation in BATCHES:
        kinds.append("partial")
    if operation in WRITES:
        kinds += ["conflict", "timeout_late"]
    return kinds


# --- what a caller sees of it


def failure(kind: str, operation: str, params: Mapping[str, Any], dice: random.Random) -> Exception:
    """What botocore raises for an attempt that met a fault, or has an error made of."""
    if kind in {"send_error", "send_reset"}:
        kind = kind.removeprefix("send_")
        if kind == "error":
            return _send_error(operation, dice)
    if kind == "reset":
        return ConnectionClosedError(endpoint_url="https://simulated")
    if kind.endswith(("timeout_before", "timeout_after", "timeout_late")):
        return local_faults.timeout("https://simulated")
    if kind == "throttle" and operation == "TransactWriteItems" and dice.random() < 0.5:
        return _throttled_transaction(params)
    return client_error(operation, *local_faults.failure(kind, operation, params))


def client_error(operation: str, status: int, body: Mapping[str, Any]) -> ClientError:
    """The error that botocore makes of an answer, with what the answer holds besides (cancellation reasons)."""
    text = body.get("message", body.get("Message", ""))
    rest = {name: value for name, value in body.items() if name not in {"__type", "message"}}
    code = body["__type"].rpartition("#")[2]
    metadata = {"HTTPStatusCode": status, "HTTPHeaders": {}, "RetryAttempts": 0, "RequestId": "simulated"}
    return ClientError({"Error": {"Code": code, "Message": text}, "ResponseMetadata": metadata, **rest}, operation)


def _send_error(operation: str, dice: random.Random) -> ClientError:
    status, code = dice.choice(((400, "ThrottlingException"), (500, "InternalFailure"), (503, "ServiceUnavailable")))
    return client_error(operation, status, {"__type": code, "message": "Simulated"})


def _throttled_transaction(params: Mapping[str, Any]) -> ClientError:
    """On-demand tables say it so where one of a transaction's items is throttled."""
    reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in params["TransactItems"][1:]]
    reasons.append({"Code": "ThrottlingError", "Message": "Throughput exceeds the current capacity of your table."})
    text = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{reasons[-1]['Code']}]"
    body = {"__type": "TransactionCanceledException", "Message": text, "message": text, "CancellationReasons": reasons}
    return client_error("TransactWriteItems", 400, body)


# --- what has to be hit


def reachable(template: Template) -> dict[str, set[str]]:
    """The kinds of fault that can hit each function, by logical id: as its role and its triggers say.

    A function that may ask AWS for nothing has nothing that could go wrong.
    """
    roles = {spec.logical_id: _of_role(spec) for spec in template.functions.values()}
    return {
        spec.logical_id: roles[spec.logical_id] and roles[spec.logical_id] | _of_triggers(template, spec)
        for spec in template.functions.values()
    }


def _of_role(spec: FunctionSpec) -> set[str]:
    kinds: set[str] = set()
    for statement in spec.statements:
        on_index = any("/index/" in resource for resource in statement.resources)
        for action in statement.actions:
            service, _, operation = action.partition(":")
            if service == "dynamodb":
                kinds.update(ANY_CALL, TABLE_CALL)
                if operation in {"PutItem", "UpdateItem", "ConditionCheckItem"}:
                    kinds |= {"conflict", "timeout_late"}
                if operation in {"BatchGetItem", "BatchWriteItem"}:
                    kinds.add("partial")
                if operation == "Query" and on_index:
                    kinds.add("index_lag")
                if operation == "GetItem":
                    kinds.add("stale_read")
            elif operation in {"SendMessage", "PutEvents"}:
                kinds.update(ANY_CALL, SEND_CALL)
                if operation == "PutEvents":
                    kinds.add("send_partial")
    return kinds


def _of_triggers(template: Template, spec: FunctionSpec) -> set[str]:
    kinds: set[str] = set()
    for mapping in template.queue_mappings:
        if mapping.function == spec.arn:
            kinds.update(QUEUE, {"clock_jump"})
    if any(mapping.function == spec.arn for mapping in template.stream_mappings):
        kinds |= {"stream_replay", "redrive_late"}
    if any(schedule.function == spec.arn for schedule in template.schedules.values()):
        kinds.update(SWEEP)
    if any(route.function == spec.arn for route in template.routes):
        kinds |= {"lost_answer", "clock_jump"}
    return kinds
