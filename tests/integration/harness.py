"""The club on moto: the template's table and queues, functions with the environment that the template gives them.

Every request to AWS passes `Wire` on its last step, below botocore's retries: there it is counted, and there a test
makes it fail, or lets something else happen first.
"""

from __future__ import annotations

import base64
import copy
import hashlib
import importlib.util
import io
import json
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse
from moto.dynamodb.models import dynamodb_backends

from club_ledger import environment, items
from club_rules.programs import load_programs
from local import boundary, faults
from local.stack import plain
from local.template import ACCOUNT, REGION, FunctionSpec, TableSpec, Template
from local.verify import decoded_entries, verify

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = load_programs()
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
SWEEPS = {"ExpirySweep": "expiry_sweep", "DemotionSweep": "demotion_sweep", "RewardSweep": "reward_sweep"}

Event = dict[str, Any]
Item = dict[str, Any]


class Killed(BaseException):
    """The process dies here. No handler catches it, as none would outlive it."""


@cache
def template() -> Template:
    """The template, at its most talkative log level."""
    return Template(ROOT / "template.yaml", {"LogLevel": "DEBUG"})


def sample(name: str) -> Event:
    """A sample invocation from `events/`."""
    event: Event = json.loads((ROOT / "events" / f"{name}.json").read_text("utf-8"))
    return event


@cache
def load_app(name: str) -> ModuleType:
    """A function as Lambda has it: its folder on the path, and app.py the entry point."""
    folder = ROOT / "functions" / name
    sys.path.insert(0, str(folder))
    try:
        spec = importlib.util.spec_from_file_location(f"{name}_app", folder / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(folder))
    return module


# --- the wire ------------------------------------------------------------------------------------------------


@dataclass
class Rule:
    """What happens to some requests: `act` gets the request's body and gives the kind of a fault, or nothing."""

    operation: str
    act: Callable[[Event], str | None]
    when: Callable[[str], bool]
    skip: int
    times: int | None  # None: always


class Wire:
    """What leaves botocore, on its way to moto. PutEvents ends here, and is kept."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Event]] = []
        self.published: list[Event] = []
        self.put_events: Callable[[list[Event]], list[Event]] = self.take_all
        self.running: FunctionSpec | None = None
        self._rules: list[Rule] = []
        self._tokens: dict[str, Any] = {}

    @contextmanager
    def of(self, function: str | None) -> Iterator[None]:
        """While the context lasts, what is sent is sent by this function, or by the test, and told to who observes."""
        outer, self.running = self.running, None if function is None else template().function(function)
        try:
            yield
        finally:
            self.running = outer

    def operations(self) -> list[str]:
        """The operations that were sent, in order."""
        return [operation for operation, _ in self.sent]

    def bodies(self, operation: str) -> list[Event]:
        """What was sent of one operation."""
        return [body for sent, body in self.sent if sent == operation]

    def before(
        self,
        operation: str,
        act: Callable[[], object],
        *,
        about: str = "",
        skip: int = 0,
        times: int | None = 1,
    ) -> None:
        """Do something before a request is carried out; `about`: only for those whose body holds this text."""

        def then(_: Event) -> None:
            act()

        self._rules.append(Rule(operation, then, lambda text: about in text, skip, times))

    def fail(
        self, operation: str, kind: str, *, about: str = "", skip: int = 0, times: int | None = None
    ) -> Callable[[], None]:
        """Make requests fail, in a way of `local.faults`; gives what ends it. `skip`: so many pass before."""
        rule = Rule(operation, lambda _: kind, lambda text: about in text, skip, times)
        self._rules.append(rule)
        return lambda: self._rules.remove(rule) if rule in self._rules else None

    def kill(self, operation: str, *, about: str = "", skip: int = 0) -> None:
        """Let the process die when it sends this."""

        def die(_: Event) -> None:
            raise Killed

        self._rules.append(Rule(operation, die, lambda text: about in text, skip, 1))

    def forget(self) -> None:
        """Lets everything pass again."""
        self._rules.clear()

    def take_all(self, entries: list[Event]) -> list[Event]:
        """A bus that takes every entry."""
        self.published += entries
        return [{"EventId": str(uuid.uuid4())} for _ in entries]

    def __call__(self, stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest) -> AWSResponse:
        service, operation = event_name.split(".", 2)[1:]
        text = request.body.decode() if isinstance(request.body, bytes) else request.body or "{}"
        body: Event = json.loads(text)
        self.sent.append((operation, body))
        if self.running is not None:
            for observer in boundary.observers:
                observer(self.running, boundary.SERVICES[service], operation, body)
        kind = self._kind(operation, text, body)
        if kind == "timeout_before":
            raise faults.timeout(request.url)
        if kind is not None and kind != "timeout_after":
            return _answer(request, *_failure(kind, operation, body))
        token = body.get("ClientRequestToken")
        if operation == "PutEvents":
            response = _answer(request, 200, self._put_events(body["Entries"]))
        elif token is not None and token in self._tokens:
            assert self._tokens[token] == body["TransactItems"], "a token used for other content"
            response = _answer(request, 200, {})
        else:
            found = _MOTO(stubber, event_name, request)
            assert found is not None
            response = found
        if token is not None and response.status_code == 200:
            self._tokens[token] = body["TransactItems"]  # moto doesn't know what DynamoDB promises of a token
        if kind == "timeout_after":
            raise faults.timeout(request.url)
        return response

    def _kind(self, operation: str, text: str, body: Event) -> str | None:
        for rule in list(self._rules):
            if rule.operation != operation or not rule.when(text):
                continue
            if rule.skip > 0:
                rule.skip -= 1
                continue
            if rule.times is not None:
                rule.times -= 1
                if rule.times == 0:
                    self._rules.remove(rule)
            kind = rule.act(body)
            if kind is not None:
                return kind
        return None

    def _put_events(self, entries: list[Event]) -> Event:
        assert 1 <= len(entries) <= 10, "PutEvents takes 1 to 10 entries"
        answers = self.put_events(entries)
        return {"FailedEntryCount": sum("ErrorCode" in each for each in answers), "Entries": answers}


_MOTO = BotocoreStubber.__call__


def _failure(kind: str, operation: str, body: Event) -> tuple[int, Event]:
    if kind == "too_large":  # an item above 400 KB: what no repeat makes better
        status, content = faults.failure("conflict", operation, body)
        text = "Item size has exceeded the maximum allowed size"
        content["CancellationReasons"][-1] = {"Code": "ValidationError", "Message": text}
        return status, content
    if kind == "denied":  # what nobody foresaw
        text = f"not authorized to perform: dynamodb:{operation}"
        return 400, {"__type": "com.amazon.coral.service#AccessDeniedException", "message": text}
    if kind == "conflict_first":  # on the entry; that of `local.faults` is on the last item
        status, content = faults.failure("conflict", operation, body)
        content["CancellationReasons"].reverse()
        return status, content
    return faults.failure(kind, operation, body)


def _answer(request: AWSPreparedRequest, status: int, body: Event) -> AWSResponse:
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "test"}
    return AWSResponse(request.url, status, headers, MockRawResponse(json.dumps(body)))


@cache
def aws(service: str) -> Any:
    """A client to look in with. One for all tests: to make one takes longer than most tests do."""
    return boto3.client(service)


# --- the club ------------------------------------------------------------------------------------------------


def context(millis: int = 60_000, request_id: str | None = None) -> SimpleNamespace:
    """A Lambda context."""
    return SimpleNamespace(get_remaining_time_in_millis=lambda: millis, aws_request_id=request_id or str(uuid.uuid4()))


class Club:
    """The club's functions on moto, called with the events that AWS would send."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.log = io.StringIO()
        self.create_table()
        for queue in template().queues.values():
            assert aws("sqs").create_queue(QueueName=queue.name)["QueueUrl"] == queue.url

    # the functions

    def invoke(self, name: str, event: Event, *, millis: int = 60_000, request_id: str | None = None) -> Any:
        """Calls a function with what the template gives it: its environment and nothing else of it."""
        spec = template().function(name)
        with self._environment(spec):
            app = load_app(name)
            logger = app.logger
            logger.setLevel("DEBUG")
            logger.registered_handler.setStream(self.log)
            environment.store.cache_clear()  # what one function has made is not there for another
            with self.wire.of(name):
                answer = app.handler(copy.deepcopy(event), context(millis, request_id))
        json.dumps(answer)  # Lambda hands on JSON and nothing else
        return answer

    @contextmanager
    def _environment(self, spec: FunctionSpec) -> Iterator[None]:
        names = {name for each in template().functions.values() for name in each.environment}
        before = {name: os.environ.pop(name, None) for name in names}
        os.environ.update(spec.environment)
        try:
            yield
        finally:
            for name, value in before.items():
                os.environ.pop(name, None)
                if value is not None:
                    os.environ[name] = value

    # posting

    def deliver(self, *records: Event, millis: int = 60_000) -> list[str]:
        """Gives the activity queue's records to `post_ledger`; the message ids that are to come again."""
        answer = self.invoke("post_ledger", {"Records": list(records)}, millis=millis)
        return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]

    def post(self, *events: Event, at: datetime = NOW) -> None:
        """Posts events, sent at an instant; all of them are taken, or are dead letters."""
        for start in range(0, len(events), 10):
            batch = [record(message(event), at, f"{start + n}") for n, event in enumerate(events[start : start + 10])]
            assert self.deliver(*batch) == []

    def dead_letters(self) -> list[tuple[str, str, str]]:
        """(reason, detail, body) of what is in the dead-letter queue, which is empty then."""
        url = template().function("post_ledger").environment["DEAD_LETTER_QUEUE_URL"]
        letters = []
        for each in self._take(url):
            attributes = {name: value["StringValue"] for name, value in each["MessageAttributes"].items()}
            letters.append((attributes["reason"], attributes["detail"], each["Body"]))
        return letters

    # sweeping

    def start_sweep(self, name: str, at: datetime, request_id: str | None = None, **how: Any) -> list[str]:
        """Fires a schedule, and takes what it put into its queue: message bodies."""
        scheduled_at = at.isoformat().replace("+00:00", "Z")
        self.invoke(SWEEPS[name], {"scheduled_at": scheduled_at, **how}, request_id=request_id)
        return self.taken_chunks(name)

    def taken_chunks(self, name: str) -> list[str]:
        """Takes what is in a sweep's queue."""
        url = template().function(SWEEPS[name]).environment["SWEEP_QUEUE_URL"]
        return [each["Body"] for each in self._take(url)]

    def work_chunks(self, name: str, *bodies: str, millis: int = 120_000) -> list[str]:
        """Gives chunks to a sweep; the bodies of those that are to come again."""
        records = [record(body, NOW, f"{n}") for n, body in enumerate(bodies)]
        answer = self.invoke(SWEEPS[name], {"Records": records}, millis=millis)
        failed = {failure["itemIdentifier"] for failure in answer["batchItemFailures"]}
        return [body for body, each in zip(bodies, records, strict=True) if each["messageId"] in failed]

    def sweep(self, name: str, at: datetime, **how: Any) -> None:
        """A sweep from its schedule to its end."""
        waiting = self.start_sweep(name, at, **how)
        while waiting:
            assert self.work_chunks(name, *waiting[:5]) == []
            waiting = [*waiting[5:], *self.taken_chunks(name)]

    # the stream

    def stream(self) -> list[Event]:
        """The records of the table's stream, all there are, as Lambda delivers them."""
        shard = dynamodb_backends[ACCOUNT][REGION].tables[self.table].stream_shard
        assert shard is not None
        return [_as_lambda_has_it(record.to_json()) for record in shard.items]

    def announced(self) -> list[tuple[str, Event]]:
        """What the stream, from its beginning, becomes on the bus: detail types and details."""
        self.wire.published.clear()
        assert self.invoke("publish_changes", {"Records": self.stream()}) == {"batchItemFailures": []}
        return [(entry["DetailType"], json.loads(entry["Detail"])) for entry in self.wire.published]

    # looking

    @property
    def table(self) -> str:
        """The table's name."""
        return table_spec().name

    def create_table(self, content: Iterable[Item] = ()) -> None:
        """The table as the template has it, with these items; what another one held is gone."""
        dynamodb = aws("dynamodb")
        if self.table in dynamodb.list_tables()["TableNames"]:
            dynamodb.delete_table(TableName=self.table)
        dynamodb.create_table(**table_spec().create)
        puts = [{"PutRequest": {"Item": item}} for item in content]
        for start in range(0, len(puts), 25):
            dynamodb.batch_write_item(RequestItems={self.table: puts[start : start + 25]})

    def content(self) -> dict[tuple[str, str], Item]:
        """Every item by its key, as DynamoDB has it."""
        return {(item["pk"]["S"], item["sk"]["S"]): item for item in everything(self.table)}

    def decoded(self) -> dict[tuple[str, str], Item]:
        """Every item by its key, with what is packed unpacked."""
        return {key: decoded(item) for key, item in self.content().items()}

    def entries(self, member_id: str = "m-42") -> list[Event]:
        """A member's ledger entries by their numbers."""
        return [entry for entry in decoded_entries(self.content().values()) if entry["member_id"] == member_id]

    def entry(self, key: str) -> Event:
        """The entry of a key."""
        body: Event = self.decoded()[items.entry_key(key), items.SINGLE]["body"]
        return body

    def summary(self, member_id: str = "m-42", at: datetime = NOW) -> Event:
        """What the member sees: the programs of the summary."""
        status, body = self.get(f"/members/{member_id}", at=at, sub=member_id)
        assert status == 200, body
        programs: Event = body["programs"]
        return programs

    def get(
        self,
        path: str,
        query: dict[str, str] | None = None,
        *,
        at: datetime = NOW,
        sub: str = "m-42",
        scope: str = "club:read",
        millis: int = 10_000,
        language: str | None = None,
    ) -> tuple[int, Event]:
        """A GET request to `member_api`: status and body, whose content types are looked at as well."""
        answer = self.invoke("member_api", read_request(path, query, at, sub, scope, language), millis=millis)
        kind = "application/json" if answer["statusCode"] == 200 else "application/problem+json"
        assert answer["headers"]["content-type"] == kind
        return answer["statusCode"], json.loads(answer["body"])

    def assert_whole(self) -> None:
        """Every account is what its entries add up to (invariant I1)."""
        shards = int(template().function("post_ledger").environment["DUE_SHARDS"])
        report = verify(self.content().values(), PROGRAMS, shards)
        assert report.problems == []

    def _take(self, url: str) -> list[Event]:
        with self.wire.of(None):
            return self._received(url)

    def _received(self, url: str) -> list[Event]:
        sqs, taken = aws("sqs"), []
        while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"]).get(
            "Messages"
        ):
            taken += batch
            for each in batch:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=each["ReceiptHandle"])
        return taken


def table_spec() -> TableSpec:
    """The template's one table."""
    (table,) = template().tables.values()
    return table


def everything(table: str) -> list[Item]:
    """All items of a table as a scan gives them, but straight from moto: a scan takes a hundred times as long."""
    found = dynamodb_backends[ACCOUNT][REGION].tables[table].all_items()
    return [{name: _as_boto3_has_it(value.to_json()) for name, value in item.attrs.items()} for item in found]


def _as_boto3_has_it(value: Item) -> Item:
    if "M" in value:
        return {"M": {name: _as_boto3_has_it(inner.to_json()) for name, inner in value["M"].items()}}
    return {"B": base64.b64decode(value["B"])} if "B" in value else value


def decoded(item: Item) -> Item:
    """An item with plain values, and its body unpacked; its seal, which `verify` looks at, is left out."""
    plain_values = {name: next(iter(value.values())) for name, value in item.items() if name != items.SEAL}
    if "body" in item:
        plain_values["body"] = items.unpack(item["body"]["B"])
    return plain_values


def _as_lambda_has_it(change: Event) -> Event:
    content = dict(change["dynamodb"])
    content["ApproximateCreationDateTime"] = content["ApproximateCreationDateTime"].timestamp()
    for image in ("Keys", "NewImage", "OldImage"):
        if image in content:
            content[image] = plain(content[image])
    source = f"{table_spec().arn}/stream/2026-11-22T00:00:00.000"
    return {**change, "eventVersion": "1.1", "awsRegion": REGION, "dynamodb": content, "eventSourceARN": source}


# --- what is sent --------------------------------------------------------------------------------------------


def instant(moment: datetime) -> str:
    """An instant as it stands on the wire."""
    return moment.isoformat().replace("+00:00", "Z")


def event(event_type: str, event_id: str, data: Event | None = None, **changes: Any) -> Event:
    """An activity event of member m-42 that occurred now. `at`: when it occurred."""
    occurred_at = instant(changes.pop("at", NOW))
    return {
        "event_id": event_id,
        "type": event_type,
        "member_id": "m-42",
        "occurred_at": occurred_at,
        "data": data or {},
        **changes,
    }


def line(item_id: str = "i-1", unit_price: str = "12.50", quantity: int = 1, **changes: Any) -> Event:
    """A line of an order."""
    return {
        "item_id": item_id,
        "seller_id": "s-1",
        "category": "books",
        "unit_price": unit_price,
        "quantity": quantity,
        **changes,
    }


def order(order_id: str, *lines: Event, **changes: Any) -> Event:
    """An order that was completed; its event id is made from the order's."""
    data = {"order_id": order_id, "currency": "USD", "lines": list(lines) or [line()]}
    return event("order.completed", changes.pop("event_id", f"e-{order_id}"), data, **changes)


def message(activity: Event) -> str:
    """The body that an event has in the activity queue, whichever door it came through."""
    detail = {name: value for name, value in activity.items() if name != "type"}
    return json.dumps({"source": "marketplace", "detail-type": activity["type"], "detail": detail})


def record(body: str, sent_at: datetime = NOW, message_id: str = "") -> Event:
    """An SQS record as Lambda delivers it: the sample's, with another body, time of sending and id."""
    content = copy.deepcopy(sample("post_ledger")["Records"][0])
    content["messageId"] = f"message-{message_id}" if message_id else str(uuid.uuid4())
    content["body"] = body
    content["md5OfBody"] = hashlib.md5(body.encode()).hexdigest()
    content["attributes"]["SentTimestamp"] = str(int(sent_at.timestamp() * 1000))
    return content


def read_request(
    path: str,
    query: dict[str, str] | None = None,
    at: datetime = NOW,
    sub: str = "m-42",
    scope: str = "club:read",
    language: str | None = None,
) -> Event:
    """A GET request as API Gateway hands it on: the sample's, with another path, query, time and caller."""
    request = copy.deepcopy(sample("member_api"))
    parts = path.strip("/").split("/")
    parameter = {"members": "member_id", "decisions": "decision_id"}[parts[0]]
    route = "/".join([parts[0], f"{{{parameter}}}", *parts[2:]])
    request["routeKey"] = request["requestContext"]["routeKey"] = f"GET /{route}"
    request["rawPath"] = request["requestContext"]["http"]["path"] = path
    request["pathParameters"] = {parameter: parts[1]}
    if query:
        request["queryStringParameters"] = query
        request["rawQueryString"] = "&".join(f"{name}={value}" for name, value in query.items())
    request["requestContext"]["timeEpoch"] = int(at.timestamp() * 1000)
    request["requestContext"]["authorizer"]["jwt"]["claims"] |= {"sub": sub, "scope": scope}
    if language is not None:
        request["headers"]["accept-language"] = language
    return request


def days(number: float) -> timedelta:
    """So many days."""
    return timedelta(days=number)
