"""What the functions' clients meet instead of AWS: the table's model, the queues and the bus, and faults on the way.

The seam is `BaseClient._make_api_call`. What stands above it (PynamoDB, the use cases, the functions) is as deployed;
what lies below it is botocore's work on the wire, of which the retries matter, and these are done here by botocore's
own rules.
"""

from __future__ import annotations

import copy
import random
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError, HTTPClientError
from botocore.retries.standard import RetryContext, StandardRetryConditions

from local import boundary
from tests.simulation.faults import BATCHES, READS, failure
from tests.simulation.scheduler import Killed

if TYPE_CHECKING:
    from tests.simulation.scheduler import Task
    from tests.simulation.world import World

Params = dict[str, Any]
Answer = dict[str, Any]


UNHEARD = 0.5
"""How often the further attempts get no answer either, where one takes effect late."""
OBSERVED_OF = 10
"""Of so many seeds one is told to who observes requests: that costs a seventh of a seed's time."""
LATE_AT_MOST = 5.0
"""What takes effect late does so after up to about so many times as long as its caller waits for one attempt."""


class _Status:
    """As much of an HTTP answer as botocore's retry rules look at."""

    def __init__(self, code: int) -> None:
        self.status_code = code
        self.headers: dict[str, str] = {}


class Client:
    """Carries out every call of every function of one world.

    ``spread_s``: up to how long one way of a call takes. It decides how much goes on at the same time.
    """

    def __init__(self, world: World, dice: random.Random, spread_s: float) -> None:
        self._world = world
        self._dice = dice
        self._spread_s = spread_s
        self._services: dict[str, Callable[[Task, str, Params, float], Answer]] = {
            "dynamodb": self._table_call,
            "sqs": self._send_call,
            "events": self._send_call,
        }

    def call(self, client: Any, operation: str, params: Params) -> Answer:
        """One call of a boto client, with botocore's retries. Raises what botocore raises, and ``Killed``."""
        task = self._world.scheduler.running
        assert task is not None, f"{operation}: only functions call AWS here"
        model = client.meta.service_model
        config = client.meta.config
        if operation == "TransactWriteItems":
            params.setdefault("ClientRequestToken", str(uuid.uuid4()))
        elif operation == "BatchGetItem":
            self._shuffle(params)
        if self._world.seed % OBSERVED_OF == 0:
            for observer in boundary.observers:
                observer(self._world.template.function(task.about.function), model.service_name, operation, params)
        attempts = (config.retries or {}).get("total_max_attempts", 3)
        attempt = 0
        task.unheard = False
        while True:
            attempt += 1
            try:
                return self._services[model.service_name](task, operation, params, config.read_timeout)
            except (ClientError, HTTPClientError) as error:
                self._world.note(f"{operation} -> {describe(error)}")
                if not _is_retried(error, attempt, attempts, model.operation_model(operation)):
                    raise _final(error, client, attempt, attempts) from None
            self._world.scheduler.wait(self._dice.random() * 0.025 * 2 ** (attempt - 1))

    def _shuffle(self, params: Params) -> None:
        """DynamoDB answers a batch in an order of its own; PynamoDB asks in that of a set, which is the process's."""
        for requests in params["RequestItems"].values():
            requests["Keys"] = sorted(requests["Keys"], key=repr)
            self._dice.shuffle(requests["Keys"])

    # ------------------------------------------------------------ the table

    def _table_call(self, task: Task, operation: str, params: Params, timeout_s: float) -> Answer:
        world, wait = self._world, self._world.scheduler.wait
        world.tell(world.observer.called, task.about, operation, params)
        kind = "timeout_before" if task.unheard else world.faults.of_call(operation, task.about.function)
        if world.tracing:
            world.note(f"{operation} {keys_of(operation, params)}{f' ! {kind}' if kind else ''}", params)
        wait(self._way())
        if kind is None:
            answer = self._carry_out(task, operation, params)
            wait(self._way())
            return answer
        if kind == "crash_before":
            task.die()
        if kind == "partial":
            return self._in_part(task, operation, params)
        before = kind == "reset" and self._dice.random() < 0.5
        if kind in {"throttle", "conflict", "error"}:
            wait(self._way())
        elif kind == "timeout_late":
            self._carry_out_late(task, operation, copy.deepcopy(params), timeout_s)
            task.unheard = self._dice.random() < UNHEARD
        elif kind != "timeout_before" and not before:
            try:
                self._carry_out(task, operation, params)
            except ClientError:
                if kind != "timeout_after":
                    raise  # what took no effect was answered so
        if kind == "crash_after":
            task.die()
        if kind.startswith("timeout"):
            wait(timeout_s)
        raise failure(kind, operation, params, self._dice)

    def _carry_out(self, task: Task, operation: str, params: Params) -> Answer:
        """What the table does. A transaction takes a while, in which its items are in it."""
        world = self._world
        if operation != "TransactWriteItems":
            with world.acting_for(task.about, operation, params):
                return world.model.call(operation, params)
        pending = world.model.begin(params)
        try:
            world.scheduler.wait(self._way())
        except Killed:
            # the table knows nothing of it
            with world.acting_for(task.about, operation, params):
                pending.commit()
            raise
        with world.acting_for(task.about, operation, params):
            return pending.commit()

    def _carry_out_late(self, task: Task, operation: str, params: Params, timeout_s: float) -> None:
        """The request was on its way for longer than its caller waited. Nobody gets its answer."""
        world, about = self._world, task.about

        def arrive() -> None:
            with world.acting_for(about, operation, params):
                try:
                    world.model.call(operation, params)
                    world.note(f"{operation} of #{about.number} took effect late")
                except ClientError as error:
                    world.note(f"{operation} of #{about.number} came late -> {describe(error)}")

        world.scheduler.after(timeout_s * (0.5 + LATE_AT_MOST * self._dice.random()), arrive)

    def _in_part(self, task: Task, operation: str, params: Params) -> Answer:
        """Some of a batch's requests are handed back: too much at once."""
        assert operation in BATCHES
        ((table, requests),) = params["RequestItems"].items()
        plain = operation == "BatchWriteItem"
        every = requests if plain else requests["Keys"]
        back = self._world.faults.among(every)
        rest = [each for each in every if not any(each is other for other in back)]
        named = {table: back if plain else {**requests, "Keys": back}}
        unprocessed = "UnprocessedItems" if plain else "UnprocessedKeys"
        if not rest:
            answer: Answer = {"Responses": {table: []}} if not plain else {}
            return {**answer, unprocessed: named, "ResponseMetadata": {"HTTPStatusCode": 200}}
        request = {**params, "RequestItems": {table: rest if plain else {**requests, "Keys": rest}}}
        return {**self._carry_out(task, operation, request), unprocessed: named}

    # ------------------------------------------------------------ queues and bus

    def _send_call(self, task: Task, operation: str, params: Params, timeout_s: float) -> Answer:
        world, wait = self._world, self._world.scheduler.wait
        kind = world.faults.of_call(operation, task.about.function)
        if world.tracing:
            world.note(f"{operation}{f' ! {kind}' if kind else ''}", params)
        wait(self._way())
        if kind is None:
            answer = world.send(task.about, operation, params)
            wait(self._way())
            return answer
        if kind == "crash_before":
            task.die()
        if kind == "send_partial":
            return self._sent_in_part(task, operation, params)
        before = kind == "send_timeout_before" or (kind == "send_reset" and self._dice.random() < 0.5)
        if kind != "send_error" and not before:
            world.send(task.about, operation, params)
        if kind == "crash_after":
            task.die()
        if kind.startswith("send_timeout"):
            wait(timeout_s)
        raise failure(kind, operation, params, self._dice)

    def _sent_in_part(self, task: Task, operation: str, params: Params) -> Answer:
        entries = params["Entries"]
        back = self._world.faults.among(range(len(entries)))
        rest = [entry for place, entry in enumerate(entries) if place not in back]
        request = {**params, "Entries": rest}
        answer = self._world.send(task.about, operation, request) if rest else {}
        if operation == "SendMessageBatch":
            said = {"Code": "InternalError", "Message": "Simulated", "SenderFault": False}
            failed = [{"Id": entries[place]["Id"], **said} for place in back]
            return {**answer, "Failed": [*answer.get("Failed", ()), *failed]}
        taken = iter(answer.get("Entries", ()))
        refused = {"ErrorCode": "InternalFailure", "ErrorMessage": "Simulated"}
        told = [refused if place in back else next(taken) for place in range(len(entries))]
        return {"FailedEntryCount": sum("ErrorCode" in each for each in told), "Entries": told}

    def _way(self) -> float:
        return 0.0005 + self._dice.random() * self._spread_s


def _is_retried(error: Exception, attempt: int, attempts: int, operation: Any) -> bool:
    """Whether botocore tries again, by its own rules."""
    response: dict[str, Any] | None = getattr(error, "response", None)
    response = response if isinstance(error, ClientError) else None
    context = RetryContext(
        attempt_number=attempt,
        operation_model=operation,
        parsed_response=response,
        http_response=None if response is None else _Status(response["ResponseMetadata"]["HTTPStatusCode"]),
        caught_exception=None if isinstance(error, ClientError) else error,
        request_context={},
    )
    return bool(StandardRetryConditions(attempts).is_retryable(context))


def _final(error: Exception, client: Any, attempt: int, attempts: int) -> Exception:
    """The last attempt's error as the caller gets it: of the class that the client has for its code."""
    if not isinstance(error, ClientError):
        return error
    metadata = error.response.setdefault("ResponseMetadata", {})
    metadata["RetryAttempts"] = attempt - 1
    if attempt == attempts and attempt > 1:
        metadata["MaxAttemptsReached"] = True
    kind = client.exceptions.from_code(error.response["Error"]["Code"])
    raised: Exception = kind(error.response, error.operation_name)
    return raised


def describe(error: Exception) -> str:
    """An error in few words: its code, and the reasons of a transaction."""
    if not isinstance(error, ClientError):
        return type(error).__name__
    reasons = [reason["Code"] for reason in error.response.get("CancellationReasons", ())]
    return f"{error.response['Error']['Code']}{f' {reasons}' if reasons else ''}"


def keys_of(operation: str, params: Mapping[str, Any]) -> str:
    """What a call is about, for the trace: its keys."""
    if operation == "TransactWriteItems":
        return " ".join(
            f"{kind}:{_key(each.get('Key') or each['Item'])}"
            for item in params["TransactItems"]
            for kind, each in item.items()
        )
    if operation in BATCHES:
        (requests,) = params["RequestItems"].values()
        if operation == "BatchGetItem":
            return " ".join(map(_key, requests["Keys"]))
        return " ".join(_key(each["PutRequest"]["Item"]) for each in requests if "PutRequest" in each)
    if operation == "Query":
        values = (next(iter(value.values())) for value in params.get("ExpressionAttributeValues", {}).values())
        return f"{params.get('IndexName', '')}({', '.join(map(str, values))})"
    how = " consistent" if operation in READS and params.get("ConsistentRead") else ""
    return _key(params.get("Key") or params["Item"]) + how


def _key(item: Mapping[str, Any]) -> str:
    return f"{item['pk']['S']}/{item['sk']['S']}"
