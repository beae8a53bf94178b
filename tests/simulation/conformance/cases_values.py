"""Values and keys: what is stored, what is refused, what it costs, and what the stream tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.conformance.case import (
    ALONE,
    CAPACITY,
    FALSE,
    INDEXES,
    INVALID,
    KEY,
    LIMITS,
    NULL,
    NUMBERED,
    PREFIX_LENGTH,
    PUT_ITEM,
    STREAMS,
    TABLE,
    TRANSACT_WRITE,
    TRUE,
    TYPES,
    Case,
    Item,
    Refused,
    Step,
    Value,
    b,
    get,
    item,
    key,
    listed,
    m,
    n,
    s,
    with_given,
)


def _keeps(name: str, given: Value, stored: Value | None = None, page: str = TYPES) -> Case:
    """A value that is stored, and how it is given back."""
    return Case(
        name,
        page,
        [],
        [
            Step("PutItem", {"TableName": TABLE, "Item": item(x=given)}, {}),
            get(KEY, item(x=given if stored is None else stored)),
        ],
    )


def _refuses(name: str, *given: Value, page: str = TYPES) -> Case:
    steps = [Step("PutItem", {"TableName": TABLE, "Item": item(x=each)}, INVALID) for each in given]
    return Case(name, page, [], [*steps, get(KEY, None)])


def _nested(levels: int) -> Value:
    value = s("x")
    for level in range(levels):
        value = listed(value) if level % 2 else m(a=value)
    return value


_NINES = "9" * 38

_KEPT = [
    _keeps("a string is kept as it is", s("é\U0001f600\n\x00")),
    _keeps("an empty string is kept", s("")),
    _keeps("bytes are kept as they are", b(bytes(range(256)))),
    _keeps("empty bytes are kept", b(b"")),
    _keeps("true and false and nothing are kept", listed(TRUE, FALSE, NULL)),
    _keeps("an empty list and an empty map are kept", listed(listed(), m())),
    _keeps("a deep value is kept", _nested(30)),
    _keeps("lists hold different types", listed(s("a"), n(1), b(b"\x00"), {"SS": ["x"]}, m(k=NULL))),
    _keeps("leading zeros of a number go", n("007"), n(7)),
    _keeps("trailing zeros of a number go", n("1.500"), n("1.5")),
    _keeps("a plus of a number goes", n("+5"), n(5)),
    _keeps("an exponent is written out", n("12e2"), n("1200")),
    _keeps("a negative exponent is written out", n("-2.5E-3"), n("-0.0025")),
    _keeps("a fraction gets its zero", n(".5"), n("0.5")),
    _keeps("there is no negative zero", n("-0.0"), n(0)),
    _keeps("38 digits are kept", n("1234567890123456789.0123456789012345678")),
    _keeps("zeros around 38 digits don't count", n(f"00{_NINES}000"), n(f"{_NINES}000")),
    _keeps("the largest number is kept", n(f"9.{_NINES[1:]}E125"), n(_NINES + "0" * 88)),
    _keeps("the smallest positive number is kept", n("1E-130"), n("0." + "0" * 129 + "1")),
    _keeps("numbers of a set are brought to one form", {"NS": ["1.0", "02"]}, {"NS": ["1", "2"]}),
    _keeps("sets of strings and bytes are kept", listed({"SS": ["a", ""]}, {"BS": [b"\x00", b"\xff"]})),
    _keeps("a long string is kept", s("x" * 400_000), page=LIMITS),
]

_REFUSED = [
    _refuses("39 digits are refused", n("1" * 39), n("0." + "1" * 39)),
    _refuses("a number above the largest is refused", n("1E126"), n("-1E126")),
    _refuses("a number below the smallest is refused", n("1E-131")),
    _refuses("what is no number is refused", n("abc"), n("1,5"), n("0x10"), n("1e"), n("NaN"), n("Infinity")),
    _refuses("an empty number is refused", n("")),
    _refuses("a set has at least one element", {"SS": []}, {"NS": []}, {"BS": []}),
    _refuses("a set has no element twice", {"SS": ["a", "a"]}, {"BS": [b"\x00", b"\x00"]}),
    _refuses("a set has no number twice, however it is written", {"NS": ["1", "1.0"]}),
    _refuses("NULL is true or nothing", {"NULL": False}),
    _refuses("a value has a type", {}),
    _refuses("a value has one type", {"S": "a", "N": "1"}),
    _refuses("a value within a list has a type", listed(s("a"), {})),
    _refuses("more than 32 levels are refused", _nested(33), page=LIMITS),
    _refuses("an item above 400 KB is refused when it is put", s("x" * 409_600), page=LIMITS),
    Case(
        "400 KB count names as well",
        LIMITS,
        [],
        [Step("PutItem", {"TableName": TABLE, "Item": {**KEY, "x" * 5000: s("x" * 405_000)}}, INVALID), get(KEY, None)],
    ),
]


def _key_refused(name: str, given: Item, table: str = TABLE, page: str = PUT_ITEM, operation: str = "PutItem") -> Case:
    what = "Item" if operation == "PutItem" else "Key"
    return Case(name, page, [], [Step(operation, {"TableName": table, what: given}, INVALID)])


_LONG_HASH = "@" + "x" * (2048 - PREFIX_LENGTH)

_KEYS = [
    _key_refused("an item wants its partition key", {"sk": s("s")}),
    _key_refused("an item wants its sort key", {"pk": s("@a")}),
    _key_refused("a key has the table's type", {"pk": n(1), "sk": s("s")}),
    _key_refused("a sort key has the table's type", {"pk": s("@a"), "sk": s("1")}, NUMBERED),
    _key_refused("a partition key is not empty", {"pk": s(""), "sk": s("s")}),
    _key_refused("a sort key is not empty", {"pk": s("@a"), "sk": s("")}),
    Case(
        "a partition key of 2048 bytes is taken",
        LIMITS,
        [],
        [Step("PutItem", {"TableName": ALONE, "Item": {"pk": s(_LONG_HASH)}}, {})],
    ),
    _key_refused("a partition key of 2049 bytes is refused", {"pk": s(_LONG_HASH + "x")}, ALONE, LIMITS),
    Case(
        "a sort key of 1024 bytes is taken",
        LIMITS,
        [],
        [Step("PutItem", {"TableName": TABLE, "Item": key("x" * 1024)}, {})],
    ),
    _key_refused("a sort key of 1025 bytes is refused", key("x" * 1025), TABLE, LIMITS),
    _key_refused("bytes count in a key, and not characters", key("é" * 513), TABLE, LIMITS),
    _key_refused("a look-up wants the whole key", {"pk": s("@a")}, operation="GetItem"),
    _key_refused("a look-up wants nothing but the key", {**KEY, "num": n(1)}, operation="GetItem"),
    _key_refused("a look-up wants the key's types", {"pk": s("@a"), "sk": n(1)}, operation="GetItem"),
    _key_refused("a delete wants nothing but the key", {**KEY, "num": n(1)}, operation="DeleteItem"),
    _key_refused("an update wants the whole key", {"pk": s("@a")}, operation="UpdateItem"),
    _key_refused("a key of an index has the index's type", item(part=n(1)), page=INDEXES),
    _key_refused("a key of an index is not empty", item(part=s(""), due=s("x")), page=INDEXES),
    _key_refused("a key of an index is not too long", item(part=s("@p"), due=s("x" * 1025)), page=INDEXES),
    Case(
        "a table that isn't there is said so",
        PUT_ITEM,
        [],
        [
            Step("PutItem", {"TableName": "elsewhere", "Item": KEY}, Refused("ResourceNotFoundException")),
            Step("GetItem", {"TableName": "elsewhere", "Key": KEY}, Refused("ResourceNotFoundException")),
            Step(
                "Query",
                with_given({"TableName": "elsewhere", "KeyConditionExpression": "pk = :v"}, {"v": s("@a")}, None),
                Refused("ResourceNotFoundException"),
            ),
        ],
    ),
]


def _costs(
    name: str,
    there: Sequence[Item],
    operation: str,
    params: dict[str, Any],
    units: float,
    page: str = CAPACITY,
    **more: Any,
) -> Case:
    """What a request takes; ``more``: the rest of ConsumedCapacity, where indexes are asked for."""
    one = {"TableName": TABLE, "CapacityUnits": units, **more}
    wanted = "INDEXES" if more else "TOTAL"
    many = operation.startswith(("Batch", "Transact"))
    return Case(
        name,
        page,
        [(TABLE, each) for each in there],
        [Step(operation, {**params, "ReturnConsumedCapacity": wanted}, {"ConsumedCapacity": [one] if many else one})],
    )


_T = {"TableName": TABLE}
_KB = item(note=s("x" * 900))
_KB3 = item(note=s("x" * 2900))
_KB9 = item(note=s("x" * 9000))
_DUE = item(part=s("@p"), due=s("2026"))
_SET_NOTE = {"UpdateExpression": "SET note = :v", "ExpressionAttributeValues": {":v": s("y")}}

_COSTS = [
    _costs("a put of up to 1 KB takes 1", [], "PutItem", {**_T, "Item": _KB}, 1),
    _costs("a put takes 1 for each KB", [], "PutItem", {**_T, "Item": _KB3}, 3),
    _costs("a put takes what the larger item would, the old or the new", [_KB3], "PutItem", {**_T, "Item": KEY}, 3),
    _costs(
        "an update takes what the whole item does",
        [_KB3],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "SET num = :v", "ExpressionAttributeValues": {":v": n(1)}},
        3,
    ),
    _costs("an update takes what the larger item would", [_KB3], "UpdateItem", {**_T, "Key": KEY, **_SET_NOTE}, 3),
    _costs("a delete takes what the item does", [_KB3], "DeleteItem", {**_T, "Key": KEY}, 3),
    _costs("a delete of nothing takes 1", [], "DeleteItem", {**_T, "Key": KEY}, 1),
    _costs("a read that may be old takes half of 1 for 4 KB", [_KB3], "GetItem", {**_T, "Key": KEY}, 0.5),
    _costs("a consistent read takes 1 for 4 KB", [_KB9], "GetItem", {**_T, "Key": KEY, "ConsistentRead": True}, 3),
    _costs("a read that may be old takes half as much", [_KB9], "GetItem", {**_T, "Key": KEY}, 1.5),
    _costs("a read of nothing takes something", [], "GetItem", {**_T, "Key": KEY, "ConsistentRead": True}, 1),
    _costs(
        "a projection makes a read no cheaper",
        [_KB9],
        "GetItem",
        {**_T, "Key": KEY, "ProjectionExpression": "sk", "ConsistentRead": True},
        3,
    ),
    _costs(
        "a query adds its items up before it rounds",
        [{**key(x), "note": s("x" * 3000)} for x in "abc"],
        "Query",
        with_given({**_T, "KeyConditionExpression": "pk = :v", "ConsistentRead": True}, {"v": s("@a")}, None),
        3,
    ),
    _costs(
        "a filter makes a query no cheaper",
        [{**key(x), "note": s("x" * 3000)} for x in "abc"],
        "Query",
        with_given(
            {**_T, "KeyConditionExpression": "pk = :v", "FilterExpression": "attribute_exists(gone)"},
            {"v": s("@a")},
            None,
        ),
        1.5,
    ),
    _costs(
        "a batch of reads rounds each item up",
        [{**key(x), "note": s("x" * 3000)} for x in "abc"],
        "BatchGetItem",
        {"RequestItems": {TABLE: {"Keys": [key(x) for x in "abc"], "ConsistentRead": True}}},
        3,
    ),
    _costs(
        "a batch of writes takes what its writes do",
        [],
        "BatchWriteItem",
        {"RequestItems": {TABLE: [{"PutRequest": {"Item": _KB3}}, {"DeleteRequest": {"Key": key("x")}}]}},
        4,
    ),
    _costs(
        "a transaction takes 2 for each KB of each item",
        [],
        "TransactWriteItems",
        {"TransactItems": [{"Put": {**_T, "Item": _KB}}, {"Put": {**_T, "Item": {**key("x"), "note": s("x" * 1900)}}}]},
        6,
        TRANSACT_WRITE,
    ),
    _costs(
        "a check takes 2 as well",
        [],
        "TransactWriteItems",
        {
            "TransactItems": [
                {"Put": {**_T, "Item": _KB}},
                {"ConditionCheck": {**_T, "Key": key("x"), "ConditionExpression": "attribute_not_exists(pk)"}},
            ]
        },
        4,
        TRANSACT_WRITE,
    ),
    _costs(
        "a transaction's reads take 2 for 4 KB of each item",
        [_KB3],
        "TransactGetItems",
        {"TransactItems": [{"Get": {**_T, "Key": KEY}}, {"Get": {**_T, "Key": key("x")}}]},
        4,
    ),
    _costs(
        "a put into an index takes 1 more",
        [],
        "PutItem",
        {**_T, "Item": _DUE},
        3,
        INDEXES,
        Table={"CapacityUnits": 1.0},
        GlobalSecondaryIndexes={"due": {"CapacityUnits": 1.0}, "some": {"CapacityUnits": 1.0}},
    ),
    _costs(
        "a change that an index doesn't hold takes nothing there",
        [_DUE],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "SET x = :v", "ExpressionAttributeValues": {":v": n(1)}},
        1,
        INDEXES,
        Table={"CapacityUnits": 1.0},
    ),
    _costs(
        "a changed key of an index takes 2 there",
        [_DUE],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "SET due = :v", "ExpressionAttributeValues": {":v": s("2027")}},
        3,
        INDEXES,
        Table={"CapacityUnits": 1.0},
        GlobalSecondaryIndexes={"due": {"CapacityUnits": 2.0}},
    ),
    _costs(
        "a changed attribute that an index holds takes 1 there",
        [_DUE],
        "UpdateItem",
        {**_T, "Key": KEY, **_SET_NOTE},
        2,
        INDEXES,
        Table={"CapacityUnits": 1.0},
        GlobalSecondaryIndexes={"some": {"CapacityUnits": 1.0}},
    ),
    _costs(
        "an item that leaves an index takes 1 there",
        [_DUE],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "REMOVE due"},
        2,
        INDEXES,
        Table={"CapacityUnits": 1.0},
        GlobalSecondaryIndexes={"due": {"CapacityUnits": 1.0}},
    ),
]


def _streams(
    name: str, there: Sequence[Item], operation: str, params: dict[str, Any], expected: Any, *records: dict[str, Any]
) -> Case:
    """The records of everything the case did, but for its items that were there already."""
    return Case(
        name,
        STREAMS,
        [(TABLE, each) for each in there],
        [Step(operation, params, expected), Step("Stream", {"TableName": TABLE}, {"Records": list(records)})],
    )


def _record(name: str, old: Item | None, new: Item | None) -> dict[str, Any]:
    known = old or new or {}
    images = {"OldImage": old, "NewImage": new}
    return {
        "eventName": name,
        "Keys": {each: known[each] for each in ("pk", "sk")},
        **{image: each for image, each in images.items() if each is not None},
    }


_OLD, _NEW = item(num=n(1)), item(num=n(2), data=b(b"\x00"))
_FAILING = {"ConditionExpression": "attribute_not_exists(pk)"}

_STREAMED = [
    _streams("a new item is an INSERT", [], "PutItem", {**_T, "Item": _NEW}, {}, _record("INSERT", None, _NEW)),
    _streams(
        "another item is a MODIFY with both images",
        [_OLD],
        "PutItem",
        {**_T, "Item": _NEW},
        {},
        _record("MODIFY", _OLD, _NEW),
    ),
    _streams("a deleted item is a REMOVE", [_OLD], "DeleteItem", {**_T, "Key": KEY}, {}, _record("REMOVE", _OLD, None)),
    _streams(
        "an update that makes an item is one INSERT",
        [],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "SET num = :v", "ExpressionAttributeValues": {":v": n(1)}},
        {},
        _record("INSERT", None, _OLD),
    ),
    _streams(
        "an update that changes an item is a MODIFY with both images",
        [_OLD],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "SET num = :v", "ExpressionAttributeValues": {":v": n(2)}},
        {},
        _record("MODIFY", _OLD, item(num=n(2))),
    ),
    _streams("a put that changes nothing is no record", [_OLD], "PutItem", {**_T, "Item": _OLD}, {}),
    _streams(
        "an update that changes nothing is no record",
        [_OLD],
        "UpdateItem",
        {**_T, "Key": KEY, "UpdateExpression": "SET num = :v", "ExpressionAttributeValues": {":v": n(1)}},
        {},
    ),
    _streams("a delete of nothing is no record", [], "DeleteItem", {**_T, "Key": KEY}, {}),
    _streams(
        "a failed write is no record",
        [_OLD],
        "PutItem",
        {**_T, "Item": _NEW, **_FAILING},
        Refused("ConditionalCheckFailedException"),
    ),
    _streams(
        "a cancelled transaction is no record",
        [_OLD],
        "TransactWriteItems",
        {"TransactItems": [{"Put": {**_T, "Item": key("x")}}, {"Put": {**_T, "Item": _NEW, **_FAILING}}]},
        Refused("TransactionCanceledException", ("None", "ConditionalCheckFailed")),
    ),
    _streams(
        "a transaction is a record for each item",
        [_OLD],
        "TransactWriteItems",
        {"TransactItems": [{"Put": {**_T, "Item": key("x")}}, {"Put": {**_T, "Item": _NEW}}]},
        {},
        _record("INSERT", None, key("x")),
        _record("MODIFY", _OLD, _NEW),
    ),
]

CASES = [*_KEPT, *_REFUSED, *_KEYS, *_COSTS, *_STREAMED]
