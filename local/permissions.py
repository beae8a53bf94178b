"""What a request needs, and whether the function's role in the template allows it.

A function that lacks a permission fails here as it would on AWS. What each function used is kept, so that a test can
compare it with what the roles grant, both ways.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from local.template import ACCOUNT, REGION, FunctionSpec, Statement, Template

_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_EQUALS = re.compile(r"(#?\w+)\s*=\s*(:\w+)")


class Need(NamedTuple):
    """One action on one resource.

    `key` is the item's hash key, where there is one; `attributes` those that an update names; `via` the service that
    uses an encryption key for the caller.
    """

    action: str
    resource: str
    key: str | None = None
    attributes: frozenset[str] = frozenset()
    via: str | None = None


def allows(spec: FunctionSpec, need: Need) -> str | None:
    """Give the id of the statement that allows it; None = nothing does."""
    return next((statement.sid for statement in spec.statements if covers(statement, need)), None)


def covers(statement: Statement, need: Need) -> bool:
    """Tell whether a statement by itself allows it."""
    return (
        need.action in statement.actions
        and any(fnmatchcase(need.resource, pattern) for pattern in statement.resources)
        and _within(statement.leading_keys, [need.key])
        and _within(statement.attributes, need.attributes)
        and _within(statement.via, [need.via])
    )


def _within(patterns: tuple[str, ...], values: Iterable[str | None]) -> bool:
    """Without a pattern everything is allowed; with some, each value has to fit one, and has to be there."""
    return not patterns or all(
        value is not None and any(fnmatchcase(value, pattern) for pattern in patterns) for value in values
    )


def implied(template: Template, spec: FunctionSpec) -> Iterator[Need]:
    """Give what Lambda does in a function's name: its log, the polling of its sources, the keeping of failures.

    No request of the function shows these; the template does.
    """
    if spec.log_group is not None:
        yield Need("logs:CreateLogStream", spec.log_group)
        yield Need("logs:PutLogEvents", spec.log_group)
    kept = [spec.async_dead_letters]
    for mapping in template.queue_mappings:
        if mapping.function == spec.arn:
            for action in ("ReceiveMessage", "DeleteMessage", "GetQueueAttributes"):
                yield Need(f"sqs:{action}", mapping.queue)
            yield from decryption(template.queues[mapping.queue].key, "sqs")
    for stream in template.stream_mappings:
        if stream.function == spec.arn:
            table = template.tables[stream.table]
            for action in ("DescribeStream", "GetRecords", "GetShardIterator"):
                yield Need(f"dynamodb:{action}", f"{table.arn}/stream/local")
            yield Need("dynamodb:ListStreams", f"{table.arn}/stream/*")
            yield from decryption(table.key, "dynamodb")
            kept.append(stream.on_failure)
    for queue in kept:
        if queue is not None:
            yield from sending(queue, template.queues[queue].key)


def sending(queue: str, key: str | None) -> Iterator[Need]:
    """Give what it takes to send to a queue: to one with a customer key, also the making of data keys."""
    yield Need("sqs:SendMessage", queue)
    if key is not None:
        yield Need("kms:GenerateDataKey", key, via=_service("sqs"))
    yield from decryption(key, "sqs")


def decryption(key: str | None, service: str) -> Iterator[Need]:
    """Give what it takes to have a service decrypt with a customer key, if that is what it is encrypted with."""
    if key is not None:
        yield Need("kms:Decrypt", key, via=_service(service))


def _service(name: str) -> str:
    return f"{name}.{REGION}.amazonaws.com"


class Needs:
    """Reads the requests of DynamoDB, SQS and EventBridge for what they need."""

    def __init__(self, template: Template) -> None:
        self._tables = template.tables
        self._queues = {queue.url: queue for queue in template.queues.values()}
        self._bus = template.buses[0] if template.buses else None

    def of(self, service: str, operation: str, body: Mapping[str, Any]) -> Iterator[Need]:
        """Give what a request needs."""
        if service == "dynamodb":
            yield from self._dynamodb(operation, body)
        elif service == "sqs":
            action = operation.removesuffix("Batch")
            url = body.get("QueueUrl", "")
            queue = self._queues.get(url)
            if queue is not None and action == "SendMessage":
                yield from sending(queue.arn, queue.key)
            else:
                yield Need(f"sqs:{action}", url if queue is None else queue.arn)
        else:
            for entry in body.get("Entries", [{}]):
                name = str(entry.get("EventBusName") or self._bus).rsplit("/", 1)[-1]
                yield Need(f"events:{operation}", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}")

    def _dynamodb(self, operation: str, body: Mapping[str, Any]) -> Iterator[Need]:
        tables = body.get("RequestItems") or [
            part.get("TableName", "") for item in body.get("TransactItems", ()) for part in item.values()
        ]
        for table in dict.fromkeys(tables or [body.get("TableName", "")]):
            if table in self._tables:
                yield from decryption(self._tables[table].key, "dynamodb")
        if operation in {"TransactWriteItems", "TransactGetItems"}:
            for item in body.get("TransactItems", []):
                for kind, part in item.items():
                    yield self._item(_TRANSACTION_ACTIONS.get(kind, kind), part.get("TableName", ""), part)
        elif operation == "BatchGetItem":
            for table, request in body.get("RequestItems", {}).items():
                for key in request.get("Keys", []):
                    yield self._item(operation, table, {"Key": key})
        elif operation == "BatchWriteItem":
            for table, requests in body.get("RequestItems", {}).items():
                for request in requests:
                    (part,) = request.values()
                    yield self._item(operation, table, part)
        elif operation == "Query":
            yield self._query(body)
        else:
            yield self._item(operation, body.get("TableName", ""), body)

    def _item(self, action: str, table: str, part: Mapping[str, Any]) -> Need:
        spec = self._tables.get(table)
        if spec is None:
            return Need(f"dynamodb:{action}", table)
        value = (part.get("Key") or part.get("Item") or {}).get(_hash_name(spec.create))
        key = str(next(iter(value.values()))) if value else None
        return Need(f"dynamodb:{action}", spec.arn, key, _named(part) if action == "UpdateItem" else frozenset())

    def _query(self, body: Mapping[str, Any]) -> Need:
        spec = self._tables.get(body.get("TableName", ""))
        if spec is None:
            return Need("dynamodb:Query", body.get("TableName", ""))
        schema, resource = spec.create, spec.arn
        if body.get("IndexName"):
            resource = f"{spec.arn}/index/{body['IndexName']}"
            indexes = spec.create.get("GlobalSecondaryIndexes", []) + spec.create.get("LocalSecondaryIndexes", [])
            schema = next((index for index in indexes if index["IndexName"] == body["IndexName"]), schema)
        names = body.get("ExpressionAttributeNames", {})
        for name, placeholder in _EQUALS.findall(body.get("KeyConditionExpression", "")):
            if names.get(name, name) == _hash_name(schema):
                value = body.get("ExpressionAttributeValues", {}).get(placeholder, {"S": ""})
                return Need("dynamodb:Query", resource, str(next(iter(value.values()))))
        return Need("dynamodb:Query", resource)


# A name or a placeholder for one; not what stands below it (after a dot), no value (":v"), no function ("size (").
_TOP_LEVEL_NAME = re.compile(r"(?<![\w.#:])(?:#\w+|[A-Za-z_]\w*)(?![\w]|\s*\()")
_WORDS = {"SET", "ADD", "REMOVE", "DELETE", "AND", "OR", "NOT", "IN", "BETWEEN"}


def _named(update: Mapping[str, Any]) -> frozenset[str]:
    """Give the attributes that an update names: its key's, and those in its expressions."""
    names: Mapping[str, str] = update.get("ExpressionAttributeNames") or {}
    expressions = (update.get("UpdateExpression") or "", update.get("ConditionExpression") or "")
    found = {name for text in expressions for name in _TOP_LEVEL_NAME.findall(text) if name.upper() not in _WORDS}
    return frozenset({names.get(name, name) for name in found} | set(update.get("Key") or ()))


def _hash_name(schema: Mapping[str, Any]) -> str:
    return next(str(key["AttributeName"]) for key in schema["KeySchema"] if key["KeyType"] == "HASH")


def of_kind(need: Need) -> Need:
    """Give a need without the id in its key, "M#m-42" -> "M#": what is used often is then kept once."""
    if need.key is None or "#" not in need.key:
        return need
    return need._replace(key=need.key.split("#", 1)[0] + "#")


def told(need: Need) -> str:
    """Say in words what is needed."""
    key = f" with the leading key {need.key}" if need.key else ""
    attributes = f" and the attributes {', '.join(sorted(need.attributes))}" if need.attributes else ""
    via = f" via {need.via}" if need.via else ""
    return f"{need.action} on {need.resource}{key}{attributes}{via}"
