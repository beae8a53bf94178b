"""What a conformance case is made of.

A case's name is the statement that it tests, in our words; its page is where AWS's documentation makes it. All cases
share a few tables: "@" at the beginning of a string stands for the case's own prefix, so that none sees what is
another's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Value = dict[str, Any]
Item = dict[str, Value]

PREFIX_LENGTH = 5
"""Characters of the prefix that "@" stands for."""

TABLE, ALONE, NUMBERED, BINARY = "club", "alone", "numbered", "binary"
"""Tables: with a sort key, indexes and a stream; without a sort key; with a number, and with bytes, for sort key."""

CONDITIONS = "Developer Guide: Condition and filter expressions, operators, and functions"
UPDATES = "Developer Guide: Using update expressions"
UPDATE_ITEM = "API Reference: UpdateItem"
PUT_ITEM = "API Reference: PutItem"
DELETE_ITEM = "API Reference: DeleteItem"
GET_ITEM = "API Reference: GetItem"
TRANSACT_WRITE = "API Reference: TransactWriteItems"
TRANSACT_GET = "API Reference: TransactGetItems"
TRANSACTIONS = "Developer Guide: DynamoDB transactions: how it works"
BATCH_WRITE = "API Reference: BatchWriteItem"
BATCH_GET = "API Reference: BatchGetItem"
QUERY = "API Reference: Query"
KEY_CONDITIONS = "Developer Guide: Key condition expressions for the Query operation"
PAGES = "Developer Guide: Paginating table query results"
SCAN = "API Reference: Scan"
INDEXES = "Developer Guide: Using Global Secondary Indexes"
SPARSE = "Developer Guide: Take advantage of sparse indexes"
TYPES = "Developer Guide: Supported data types and naming rules"
LIMITS = "Developer Guide: Quotas in Amazon DynamoDB"
NAMES = "Developer Guide: Expression attribute names (aliases)"
PATHS = "Developer Guide: Referring to item attributes when using expressions"
PROJECTIONS = "Developer Guide: Using projection expressions"
RESERVED = "Developer Guide: Reserved words in DynamoDB"
CAPACITY = "Developer Guide: DynamoDB read and write operations, capacity unit consumption"
STREAMS = "Developer Guide: Change data capture for DynamoDB Streams"


@dataclass(frozen=True)
class Refused:
    """A refusal: its code; of a transaction the code of each reason; the items that come with it, by position."""

    code: str
    reasons: tuple[str, ...] = ()
    items: Mapping[int, Item] = field(default_factory=dict)


INVALID = Refused("ValidationException")
FAILED = Refused("ConditionalCheckFailedException")


@dataclass(frozen=True)
class Step:
    """One request, and what must come of it: an answer without its metadata, or a refusal."""

    operation: str
    params: Mapping[str, Any]
    expected: Mapping[str, Any] | Refused


@dataclass(frozen=True)
class Case:
    """Items that are there (by table), and requests one after the other."""

    name: str
    page: str
    there: Sequence[tuple[str, Item]]
    steps: Sequence[Step]


def s(text: str) -> Value:
    """A string."""
    return {"S": text}


def n(number: object) -> Value:
    """A number."""
    return {"N": str(number)}


def b(content: bytes) -> Value:
    """Bytes."""
    return {"B": content}


def m(**entries: Value) -> Value:
    """A map."""
    return {"M": entries}


def listed(*values: Value) -> Value:
    """A list."""
    return {"L": list(values)}


TRUE, FALSE, NULL = {"BOOL": True}, {"BOOL": False}, {"NULL": True}

KEY: Item = {"pk": s("@a"), "sk": s("s")}
"""The key of the item that most cases are about."""


def key(sk: str, pk: str = "@a") -> Item:
    """Another key."""
    return {"pk": s(pk), "sk": s(sk)}


def item(**attributes: Value) -> Item:
    """The item that most cases are about."""
    return {**KEY, **attributes}


def with_given(
    params: Mapping[str, Any], values: Mapping[str, Value] | None, names: Mapping[str, str] | None
) -> dict[str, Any]:
    """Parameters with the values and names of their expressions; ``values`` are without their colons."""
    found = dict(params)
    if values:
        found["ExpressionAttributeValues"] = {f":{name}": value for name, value in values.items()}
    if names:
        found["ExpressionAttributeNames"] = dict(names)
    return found


def get(key: Item, expected: Item | None, table: str = TABLE) -> Step:
    """A look at an item: ``expected``, or ``None`` for no item."""
    params = {"TableName": table, "Key": key, "ConsistentRead": True}
    return Step("GetItem", params, {} if expected is None else {"Item": expected})
