"""GetItem, Query, Scan and the batches: keys, indexes, pages, projections, limits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.conformance.case import (
    BATCH_GET,
    BATCH_WRITE,
    BINARY,
    GET_ITEM,
    INDEXES,
    INVALID,
    KEY,
    KEY_CONDITIONS,
    LIMITS,
    NUMBERED,
    PAGES,
    PROJECTIONS,
    QUERY,
    RESERVED,
    SCAN,
    SPARSE,
    TABLE,
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

_ROWS = [{**key(sk), "num": n(at), "note": s(sk * 2)} for at, sk in enumerate(["a", "ab", "b", "c", "d"])]
_BY_SK = {row["sk"]["S"]: row for row in _ROWS}


def _asks(
    condition: str | None = "pk = :pk",
    values: dict[str, Value] | None = None,
    names: dict[str, str] | None = None,
    **more: Any,
) -> dict[str, Any]:
    given = {} if condition is None else {"KeyConditionExpression": condition}
    wanted = {**({"pk": s("@a")} if condition and ":pk" in condition else {}), **(values or {})}
    return with_given({"TableName": TABLE, **given, **more}, wanted, names)


def _finds(
    name: str,
    params: dict[str, Any],
    found: Sequence[Item],
    page: str = KEY_CONDITIONS,
    there: Sequence[Item] = (),
    **more: Any,
) -> Case:
    """A query, and the items that it finds, in their order; without another page unless ``more`` has one."""
    table = params["TableName"]
    expected = {"Items": list(found), "Count": len(found), "LastEvaluatedKey": None, **more}
    return Case(name, page, [(table, each) for each in (there or _ROWS)], [Step("Query", params, expected)])


def _refused(name: str, params: dict[str, Any], page: str = KEY_CONDITIONS, operation: str = "Query") -> Case:
    return Case(name, page, [(TABLE, row) for row in _ROWS[:1]], [Step(operation, params, INVALID)])


def _rows(*sks: str) -> list[Item]:
    return [_BY_SK[sk] for sk in sks]


def _range(name: str, condition: str, *sks: str, **values: Value) -> Case:
    return _finds(name, _asks(f"pk = :pk AND {condition}", values), _rows(*sks))


_KEYS = [
    _finds("a partition comes in the order of its sort keys", _asks(), _ROWS),
    _finds("a partition comes backwards where that is asked for", _asks(ScanIndexForward=False), _ROWS[::-1]),
    _finds("a partition that isn't there has no items", _asks(values={"pk": s("@nobody")}), []),
    _range("a sort key may be equal", "sk = :v", "ab", v=s("ab")),
    _range("a sort key may be below", "sk < :v", "a", "ab", v=s("b")),
    _range("a sort key may be at or below", "sk <= :v", "a", "ab", "b", v=s("b")),
    _range("a sort key may be above", "sk > :v", "c", "d", v=s("b")),
    _range("a sort key may be at or above", "sk >= :v", "b", "c", "d", v=s("b")),
    _range(
        "a sort key may lie between, both bounds with it", "sk BETWEEN :v AND :w", "ab", "b", "c", v=s("ab"), w=s("c")
    ),
    _range("a sort key may begin with something", "begins_with(sk, :v)", "a", "ab", v=s("a")),
    _range("sort keys are compared by their bytes", "sk < :v", v=s("Z")),
    _finds("the conditions may stand the other way round", _asks("sk > :v AND pk = :pk", {"v": s("c")}), _rows("d")),
    _finds("a value may stand in front of its key", _asks(":v < sk AND :pk = pk", {"v": s("c")}), _rows("d")),
    _finds(
        "keys may have placeholders", _asks("#p = :pk AND #s = :v", {"v": s("c")}, {"#p": "pk", "#s": "sk"}), _rows("c")
    ),
    _finds(
        "number keys sort as numbers",
        {**_asks(), "TableName": NUMBERED},
        [{"pk": s("@a"), "sk": n(x)} for x in ("-10", "-2", "0.5", "3", "20")],
        there=[{"pk": s("@a"), "sk": n(x)} for x in ("3", "20", "-10", "-2", "0.5")],
    ),
    _finds(
        "number keys are compared as numbers",
        {**_asks("pk = :pk AND sk > :v", {"v": n("2.99")}), "TableName": NUMBERED},
        [{"pk": s("@a"), "sk": n(x)} for x in ("3", "20")],
        there=[{"pk": s("@a"), "sk": n(x)} for x in ("3", "20", "-10")],
    ),
    _finds(
        "binary keys sort as unsigned bytes",
        {**_asks(), "TableName": BINARY},
        [{"pk": s("@a"), "sk": b(x)} for x in (b"\x00", b"\x00\x01", b"\x7f", b"\x80", b"\xff")],
        there=[{"pk": s("@a"), "sk": b(x)} for x in (b"\x80", b"\x00\x01", b"\xff", b"\x7f", b"\x00")],
    ),
    Case(
        "numbers written differently are one key",
        KEY_CONDITIONS,
        [(NUMBERED, {"pk": s("@a"), "sk": n("10")})],
        [get({"pk": s("@a"), "sk": n("1e1")}, {"pk": s("@a"), "sk": n("10")}, NUMBERED)],
    ),
    _refused("a query wants its partition", _asks("sk = :v", {"v": s("a")}), QUERY),
    _refused("a partition can only be equal", _asks("pk > :pk")),
    _refused("OR is none of a key condition's", _asks("pk = :pk OR sk = :pk")),
    _refused("NOT is none of a key condition's", _asks("pk = :pk AND NOT sk = :pk")),
    _refused("<> is none of a key condition's", _asks("pk = :pk AND sk <> :pk")),
    _refused("IN is none of a key condition's", _asks("pk = :pk AND sk IN (:pk)")),
    _refused("contains is none of a key condition's", _asks("pk = :pk AND contains(sk, :pk)")),
    _refused("an attribute that is no key is none of a key condition's", _asks("pk = :pk AND num = :v", {"v": n(1)})),
    _refused("a key has one condition", _asks("pk = :pk AND sk > :v AND sk < :w", {"v": s("a"), "w": s("c")})),
    _refused("a key is compared with a value of its type", _asks("pk = :pk AND sk = :v", {"v": n(1)})),
    _refused("a query without a key condition is refused", _asks(None), QUERY),
    _refused("a filter can't look at the keys", _asks(FilterExpression="sk > :v", values={"v": s("a")}), QUERY),
    _refused("an index that isn't there is refused", _asks(IndexName="elsewhere"), QUERY),
]

_START: dict[str, Any] = {"ExclusiveStartKey": key("b")}
_BIG = [{**key(f"{i}"), "note": s("x" * 300_000)} for i in range(5)]

_PAGING = [
    _finds(
        "a page ends at the limit, and says where", _asks(Limit=2), _rows("a", "ab"), PAGES, LastEvaluatedKey=key("ab")
    ),
    _finds("a page goes on behind a key", _asks(**_START), _rows("c", "d"), PAGES),
    _finds(
        "a page goes on before a key where it is read backwards",
        _asks(**_START, ScanIndexForward=False),
        _rows("ab", "a"),
        PAGES,
    ),
    _finds(
        "a page may begin behind a key that isn't there", _asks(ExclusiveStartKey=key("bb")), _rows("c", "d"), PAGES
    ),
    _finds("a limit above the number of items ends nothing", _asks(Limit=9), _ROWS, PAGES),
    _finds(
        "a limit that is just met has another page, if an empty one",
        _asks(Limit=5),
        _ROWS,
        PAGES,
        LastEvaluatedKey=key("d"),
    ),
    _finds(
        "a limit counts items before they are filtered",
        _asks(Limit=3, FilterExpression="num > :v", values={"v": n(1)}),
        _rows("b"),
        PAGES,
        ScannedCount=3,
        LastEvaluatedKey=key("b"),
    ),
    _finds(
        "a filter leaves out, and the items count all the same",
        _asks(FilterExpression="num > :v", values={"v": n(2)}),
        _rows("c", "d"),
        QUERY,
        ScannedCount=5,
    ),
    _finds(
        "a page may be empty and not the last",
        _asks(Limit=2, FilterExpression="num > :v", values={"v": n(9)}),
        [],
        PAGES,
        ScannedCount=2,
        LastEvaluatedKey=key("ab"),
    ),
    Case(
        "a page is about 1 MB at most, and the pages together have all",
        PAGES,
        [(TABLE, row) for row in _BIG],
        [Step("Pages", _asks(), {"Items": _BIG, "several": True, "small": True})],
    ),
    Case(
        "1 MB counts before the filter",
        PAGES,
        [(TABLE, row) for row in _BIG],
        [Step("Pages", _asks(FilterExpression="attribute_exists(gone)"), {"Items": [], "several": True})],
    ),
    _refused("a limit of 0 is refused", _asks(Limit=0), QUERY),
    _refused("a starting key without its sort key is refused", _asks(ExclusiveStartKey={"pk": s("@a")}), PAGES),
    _refused("a starting key of another partition is refused", _asks(ExclusiveStartKey=key("a", "@b")), PAGES),
    _refused("a starting key with too much is refused", _asks(ExclusiveStartKey={**key("a"), "num": n(1)}), PAGES),
]

_DUE = [
    {**key(sk), "part": s("@p"), "due": s(at), "place": n(x), "note": s("n")}
    for sk, at, x in (("1", "2026-03", 3), ("2", "2026-01", 1), ("3", "2026-02", 2))
]
_KEYS_ONLY = ("pk", "sk", "part", "due")


def _index(condition: str = "part = :p", index: str = "due", **more: Any) -> dict[str, Any]:
    values = {"p": s("@p"), **more.pop("values", {})}
    return _asks(condition, values, IndexName=index, **more)


def _only(row: Item, *names: str) -> Item:
    return {name: row[name] for name in names if name in row}


_INDEXED = [
    _finds(
        "an index comes in the order of its own sort key",
        _index(),
        [_only(_DUE[at], *_KEYS_ONLY) for at in (1, 2, 0)],
        INDEXES,
        _DUE,
    ),
    _finds(
        "an index can be asked for what is due",
        _index("part = :p AND due <= :v", values={"v": s("2026-02")}),
        [_only(_DUE[at], *_KEYS_ONLY) for at in (1, 2)],
        INDEXES,
        _DUE,
    ),
    _finds("an index with all attributes has them", _index(index="whole"), [_DUE[1], _DUE[2], _DUE[0]], INDEXES, _DUE),
    _finds(
        "an index with some attributes has those",
        _index(index="some", Limit=1),
        [_only(_DUE[0], "pk", "sk", "part", "note")],
        INDEXES,
        _DUE[:1],
        LastEvaluatedKey=_only(_DUE[0], "pk", "sk", "part"),
    ),
    _finds(
        "an index's page says the keys of both",
        _index(Limit=2),
        [_only(_DUE[at], *_KEYS_ONLY) for at in (1, 2)],
        INDEXES,
        _DUE,
        LastEvaluatedKey=_only(_DUE[2], *_KEYS_ONLY),
    ),
    _finds(
        "an index's page goes on behind those",
        _index(ExclusiveStartKey=_only(_DUE[2], *_KEYS_ONLY)),
        [_only(_DUE[0], *_KEYS_ONLY)],
        INDEXES,
        _DUE,
    ),
    _finds("an item without the index's keys is not in it", _index(), [], SPARSE, [{**KEY, "due": s("2026")}]),
    _finds("an item with one of the index's keys is not in it", _index(), [], SPARSE, [{**KEY, "part": s("@p")}]),
    Case(
        "an item leaves an index with its key",
        SPARSE,
        [(TABLE, _DUE[0])],
        [
            Step("UpdateItem", {"TableName": TABLE, "Key": key("1"), "UpdateExpression": "REMOVE part"}, {}),
            Step("Query", _index(), {"Items": [], "Count": 0}),
        ],
    ),
    Case(
        "an item enters an index with its key",
        SPARSE,
        [(TABLE, item(due=s("2026")))],
        [
            Step(
                "UpdateItem",
                with_given({"TableName": TABLE, "Key": KEY, "UpdateExpression": "SET part = :p"}, {"p": s("@p")}, None),
                {},
            ),
            Step("Query", _index(), {"Items": [item(part=s("@p"), due=s("2026"))], "Count": 1}),
        ],
    ),
    Case(
        "an item moves within an index with its key",
        INDEXES,
        [(TABLE, row) for row in _DUE],
        [
            Step(
                "UpdateItem",
                with_given(
                    {"TableName": TABLE, "Key": key("2"), "UpdateExpression": "SET due = :v"}, {"v": s("2027")}, None
                ),
                {},
            ),
            Step("Query", _index(ProjectionExpression="sk"), {"Items": [{"sk": s(x)} for x in "312"], "Count": 3}),
        ],
    ),
    Case(
        "a deleted item leaves its indexes",
        INDEXES,
        [(TABLE, _DUE[0])],
        [
            Step("DeleteItem", {"TableName": TABLE, "Key": key("1")}, {}),
            Step("Query", _index(), {"Items": [], "Count": 0}),
        ],
    ),
    _finds(
        "an index may have several items of one key",
        _index("part = :p AND due = :v", values={"v": s("x")}, Select="COUNT"),
        [],
        INDEXES,
        [{**key(sk), "part": s("@p"), "due": s("x")} for sk in "abc"],
        Items=None,
        Count=3,
    ),
    _refused("an index is never read consistently", _index(ConsistentRead=True), INDEXES),
    _refused("an index gives only what it holds", _index(Select="ALL_ATTRIBUTES"), INDEXES),
    _refused("an index is not asked for what it doesn't hold", _index(ProjectionExpression="pk, note"), INDEXES),
    _refused("a starting key of an index wants the keys of both", _index(ExclusiveStartKey=key("1")), INDEXES),
]

_DEEP = item(num=n(1), list=listed(s("a"), s("b"), m(x=n(1), y=n(2))), map=m(inner=m(x=n(1), y=n(2)), z=s("z")))


def _projects(name: str, projection: str, expected: Item | None, **names: str) -> Case:
    given = {f"#{short}": long for short, long in names.items()}
    params = with_given({"TableName": TABLE, "Key": KEY, "ProjectionExpression": projection}, None, given)
    return Case(
        name, PROJECTIONS, [(TABLE, _DEEP)], [Step("GetItem", params, {} if expected is None else {"Item": expected})]
    )


def _no_projection(name: str, projection: str, page: str = PROJECTIONS) -> Case:
    return _refused(name, {"TableName": TABLE, "Key": KEY, "ProjectionExpression": projection}, page, "GetItem")


_PROJECTED = [
    _projects("a projection gives what is asked for", "num, sk", {"num": n(1), "sk": s("s")}),
    _projects("a projection leaves out what isn't there", "num, gone", {"num": n(1)}),
    _projects("a projection of nothing that is there gives an empty item", "gone", {}),
    _projects("a projection looks into maps", "#m.#i.x", {"map": m(inner=m(x=n(1)))}, m="map", i="inner"),
    _projects("a projection of an element gives a list of it", "#l[1]", {"list": listed(s("b"))}, l="list"),
    _projects("elements come in the list's order", "#l[2].y, #l[0]", {"list": listed(s("a"), m(y=n(2)))}, l="list"),
    _projects(
        "parts of one map come together", "#m.z, #m.#i.y", {"map": m(z=s("z"), inner=m(y=n(2)))}, m="map", i="inner"
    ),
    _no_projection("a projection of nothing is refused", ""),
    _no_projection("a projection names no path twice", "num, num"),
    _no_projection("a projection names no path within another", "num, num.deep"),
    _no_projection("a reserved word wants a placeholder in a projection", "status", RESERVED),
    Case(
        "a query projects",
        PROJECTIONS,
        [(TABLE, _DEEP)],
        [Step("Query", _asks(ProjectionExpression="num"), {"Items": [{"num": n(1)}], "Count": 1})],
    ),
    Case(
        "a query may only count",
        QUERY,
        [(TABLE, row) for row in _ROWS],
        [Step("Query", _asks(Select="COUNT"), {"Count": 5, "ScannedCount": 5, "Items": None})],
    ),
    _refused("counting doesn't go with a projection", _asks(Select="COUNT", ProjectionExpression="num"), QUERY),
    Case("where nothing is, there is no item", GET_ITEM, [], [get(KEY, None)]),
]

_ALL = [{**key("s", f"@{letter}"), "num": n(at)} for at, letter in enumerate("abcdefgh")]
_OURS = {"FilterExpression": "begins_with(pk, :pk)", "ExpressionAttributeValues": {":pk": s("@")}}


def _scan(**more: Any) -> dict[str, Any]:
    return {"TableName": TABLE, "ConsistentRead": True, **_OURS, **more}


_SCANNED = [
    Case("a scan finds all", SCAN, [(TABLE, row) for row in _ALL], [Step("Pages", _scan(), {"Items": _ALL})]),
    Case(
        "the segments of a scan together find all, each once",
        SCAN,
        [(TABLE, row) for row in _ALL],
        [Step("Segments", _scan(TotalSegments=3), {"Items": _ALL})],
    ),
    Case(
        "the pages of a scan together find all, each once",
        SCAN,
        [(TABLE, row) for row in _ALL],
        [Step("Pages", _scan(Limit=7), {"Items": _ALL})],
    ),
    Case(
        "a scan of an index finds what is in it",
        SCAN,
        [(TABLE, _DUE[0]), (TABLE, KEY)],
        [Step("Pages", {"TableName": TABLE, "IndexName": "due", **_OURS}, {"Items": [_only(_DUE[0], *_KEYS_ONLY)]})],
    ),
    Case(
        "a scan may filter by keys",
        SCAN,
        [(TABLE, row) for row in _ALL],
        [
            Step(
                "Pages",
                {"TableName": TABLE, "FilterExpression": "pk = :v", "ExpressionAttributeValues": {":v": s("@c")}},
                {"Items": [_ALL[2]]},
            )
        ],
    ),
    *(
        _refused(name, {"TableName": TABLE, **params}, SCAN, "Scan")
        for name, params in (
            ("a segment wants their number", {"Segment": 0}),
            ("segments want one of them", {"TotalSegments": 2}),
            ("segments count from 0", {"Segment": 2, "TotalSegments": 2}),
            ("there are at most 1,000,000 segments", {"Segment": 0, "TotalSegments": 1_000_001}),
            ("a scan of an index is never consistent", {"IndexName": "due", "ConsistentRead": True}),
        )
    ),
]


def _puts(*items: Item) -> dict[str, Any]:
    return {"RequestItems": {TABLE: [{"PutRequest": {"Item": each}} for each in items]}}


def _gets(*keys: Item, **more: Any) -> dict[str, Any]:
    return {"RequestItems": {TABLE: {"Keys": list(keys), "ConsistentRead": True, **more}}}


_FOUND_NOTHING: dict[str, Any] = {"Responses": {TABLE: []}, "UnprocessedKeys": {}}
_WRITTEN: dict[str, Any] = {"UnprocessedItems": {}}
_HUGE = [{**key(f"{i:03}"), "note": s("x" * 399_000)} for i in range(45)]

_BATCHES = [
    Case(
        "a batch puts and deletes",
        BATCH_WRITE,
        [(TABLE, key("gone"))],
        [
            Step(
                "BatchWriteItem",
                {
                    "RequestItems": {
                        TABLE: [{"PutRequest": {"Item": item(num=n(1))}}, {"DeleteRequest": {"Key": key("gone")}}]
                    }
                },
                _WRITTEN,
            ),
            get(KEY, item(num=n(1))),
            get(key("gone"), None),
        ],
    ),
    Case(
        "25 writes are taken",
        BATCH_WRITE,
        [],
        [Step("BatchWriteItem", _puts(*(key(f"{i:02}") for i in range(25))), _WRITTEN), get(key("24"), key("24"))],
    ),
    Case(
        "26 writes are refused",
        BATCH_WRITE,
        [],
        [Step("BatchWriteItem", _puts(*(key(f"{i:02}") for i in range(26))), INVALID), get(key("00"), None)],
    ),
    Case("a batch of no writes is refused", BATCH_WRITE, [], [Step("BatchWriteItem", {"RequestItems": {}}, INVALID)]),
    Case(
        "a batch writes no item twice",
        BATCH_WRITE,
        [],
        [Step("BatchWriteItem", _puts(KEY, item(num=n(1))), INVALID), get(KEY, None)],
    ),
    Case(
        "a batch neither puts and deletes an item",
        BATCH_WRITE,
        [],
        [
            Step(
                "BatchWriteItem",
                {"RequestItems": {TABLE: [{"PutRequest": {"Item": KEY}}, {"DeleteRequest": {"Key": KEY}}]}},
                INVALID,
            ),
            get(KEY, None),
        ],
    ),
    Case(
        "an item without its key fails the batch",
        BATCH_WRITE,
        [],
        [Step("BatchWriteItem", _puts(KEY, {"pk": s("@a")}), INVALID), get(KEY, None)],
    ),
    Case(
        "a table that isn't there fails the batch",
        BATCH_WRITE,
        [],
        [
            Step(
                "BatchWriteItem",
                {"RequestItems": {"elsewhere": [{"PutRequest": {"Item": KEY}}]}},
                Refused("ResourceNotFoundException"),
            )
        ],
    ),
    Case(
        "an item above 400 KB fails the batch",
        LIMITS,
        [],
        [Step("BatchWriteItem", _puts(KEY, {**key("big"), "note": s("x" * 410_000)}), INVALID), get(KEY, None)],
    ),
    Case(
        "a batch gets what is there",
        BATCH_GET,
        [(TABLE, row) for row in _ROWS],
        [
            Step(
                "BatchGetItem",
                _gets(key("a"), key("nobody"), key("d")),
                {"Responses": {TABLE: _rows("a", "d")}, "UnprocessedKeys": {}},
            )
        ],
    ),
    Case(
        "a batch of nothing that is there is empty", BATCH_GET, [], [Step("BatchGetItem", _gets(KEY), _FOUND_NOTHING)]
    ),
    Case(
        "a batch projects",
        BATCH_GET,
        [(TABLE, _ROWS[0])],
        [
            Step(
                "BatchGetItem",
                _gets(key("a"), ProjectionExpression="num"),
                {"Responses": {TABLE: [{"num": n(0)}]}, "UnprocessedKeys": {}},
            )
        ],
    ),
    Case(
        "100 keys are taken",
        BATCH_GET,
        [],
        [Step("BatchGetItem", _gets(*(key(f"{i}") for i in range(100))), _FOUND_NOTHING)],
    ),
    Case(
        "101 keys are refused",
        BATCH_GET,
        [],
        [Step("BatchGetItem", _gets(*(key(f"{i}") for i in range(101))), INVALID)],
    ),
    Case("a batch gets no key twice", BATCH_GET, [(TABLE, KEY)], [Step("BatchGetItem", _gets(KEY, KEY), INVALID)]),
    Case("a batch of no keys is refused", BATCH_GET, [], [Step("BatchGetItem", _gets(), INVALID)]),
    Case(
        "a batch gives at most 16 MB, and says what is left",
        BATCH_GET,
        [(TABLE, row) for row in _HUGE],
        [Step("Unprocessed", _gets(*(key(f"{i:03}") for i in range(45))), {"some": True})],
    ),
]

CASES = [*_KEYS, *_PAGING, *_INDEXED, *_PROJECTED, *_SCANNED, *_BATCHES]
