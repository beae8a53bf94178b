"""What a request needs, and whether the function's role in the template allows it.

A function that lacks a permission fails here as it would on AWS. What each function used is kept, so that a test can
compare it with what the roles grant, both ways.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any, NamedTuple

from local.template import ACCOUNT, REGION, FunctionSpec, TableSpec

_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}
_EQUALS = re.compile(r"(#?\w+)\s*=\s*(:\w+)")


class Need(NamedTuple):
    """One action on one resource; `key` is the item's hash key, where there is one."""

    action: str
    resource: str
    key: str | None


def allows(spec: FunctionSpec, need: Need) -> str | None:
    """Give the id of the statement that allows it; None = nothing does."""
    for statement in spec.statements:
        if (
            need.action in statement.actions
            and any(fnmatchcase(need.resource, pattern) for pattern in statement.resources)
            and (
                not statement.leading_keys
                or (need.key is not None and any(fnmatchcase(need.key, key) for key in statement.leading_keys))
            )
        ):
            return statement.sid
    return None


class Needs:
    """Reads the requests of DynamoDB, SQS and EventBridge for what they need."""

    def __init__(self, tables: Mapping[str, TableSpec], queue_arns: Mapping[str, str], bus: str | None) -> None:
        self._tables = tables
        self._queue_arns = queue_arns  # by URL
        self._bus = bus

    def of(self, service: str, operation: str, body: Mapping[str, Any]) -> Iterator[Need]:
        """Give what a request needs."""
        if service == "dynamodb":
            yield from self._dynamodb(operation, body)
        elif service == "sqs":
            action = operation.removesuffix("Batch")
            url = body.get("QueueUrl", "")
            yield Need(f"sqs:{action}", self._queue_arns.get(url, url), None)
        else:
            for entry in body.get("Entries", [{}]):
                name = str(entry.get("EventBusName") or self._bus).rsplit("/", 1)[-1]
                yield Need(f"events:{operation}", f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/{name}", None)

    def _dynamodb(self, operation: str, body: Mapping[str, Any]) -> Iterator[Need]:
        if operation in {"TransactWriteItems", "TransactGetItems"}:
            for item in body.get("TransactItems", []):
                for kind, part in item.items():
                    key = part.get("Key") or part.get("Item") or {}
                    yield self._item(_TRANSACTION_ACTIONS.get(kind, kind), part.get("TableName", ""), key)
        elif operation == "BatchGetItem":
            for table, request in body.get("RequestItems", {}).items():
                for key in request.get("Keys", []):
                    yield self._item(operation, table, key)
        elif operation == "BatchWriteItem":
            for table, requests in body.get("RequestItems", {}).items():
                for request in requests:
                    (part,) = request.values()
                    yield self._item(operation, table, part.get("Item") or part.get("Key") or {})
        elif operation == "Query":
            yield self._query(body)
        else:
            yield self._item(operation, body.get("TableName", ""), body.get("Key") or body.get("Item") or {})

    def _item(self, action: str, table: str, key: Mapping[str, Any]) -> Need:
        spec = self._tables.get(table)
        if spec is None:
            return Need(f"dynamodb:{action}", table, None)
        value = key.get(_hash_name(spec.create))
        return Need(f"dynamodb:{action}", spec.arn, str(next(iter(value.values()))) if value else None)

    def _query(self, body: Mapping[str, Any]) -> Need:
        spec = self._tables.get(body.get("TableName", ""))
        if spec is None:
            return Need("dynamodb:Query", body.get("TableName", ""), None)
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
        return Need("dynamodb:Query", resource, None)


def _hash_name(schema: Mapping[str, Any]) -> str:
    return next(str(key["AttributeName"]) for key in schema["KeySchema"] if key["KeyType"] == "HASH")


def family(key: str | None) -> str | None:
    """Give the kind of a key, without the id in it: "M#m-42" -> "M#"."""
    return None if key is None else key.split("#", 1)[0] + ("#" if "#" in key else "")
