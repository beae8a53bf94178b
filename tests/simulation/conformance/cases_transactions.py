"""TransactWriteItems and TransactGetItems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.simulation.conformance.case import (
    ALONE,
    FAILED,
    INVALID,
    KEY,
    LIMITS,
    TABLE,
    TRANSACT_GET,
    TRANSACT_WRITE,
    TRANSACTIONS,
    Case,
    Item,
    Refused,
    Step,
    Value,
    b,
    get,
    item,
    key,
    n,
    s,
)

_T = {"TableName": TABLE}
_ONE, _TWO, _THREE = key("1"), key("2"), key("3")
_THERE = "attribute_exists(pk)"
_NOT_THERE = "attribute_not_exists(pk)"


def _put(item: Item, condition: str | None = None, *, shown: bool = False, table: str = TABLE) -> dict[str, Any]:
    return {"Put": {"TableName": table, "Item": item, **_conditioned(condition, shown)}}


def _delete(key: Item, condition: str | None = None, *, shown: bool = False) -> dict[str, Any]:
    return {"Delete": {**_T, "Key": key, **_conditioned(condition, shown)}}


def _check(key: Item, condition: str, *, shown: bool = False) -> dict[str, Any]:
    return {"ConditionCheck": {**_T, "Key": key, **_conditioned(condition, shown)}}


def _update(
    key: Item, expression: str, condition: str | None = None, *, shown: bool = False, **values: Value
) -> dict[str, Any]:
    given = {"ExpressionAttributeValues": {f":{name}": value for name, value in values.items()}} if values else {}
    return {"Update": {**_T, "Key": key, "UpdateExpression": expression, **given, **_conditioned(condition, shown)}}


def _conditioned(condition: str | None, shown: bool) -> dict[str, Any]:
    return {
        **({} if condition is None else {"ConditionExpression": condition}),
        **({"ReturnValuesOnConditionCheckFailure": "ALL_OLD"} if shown else {}),
    }


def _cancelled(*reasons: str, **items: Item) -> Refused:
    """``items``: by ``at<position>``, what is shown."""
    shown = {int(name.removeprefix("at")): shown for name, shown in items.items()}
    codes = {"C": "ConditionalCheckFailed", "-": "None", "V": "ValidationError"}
    return Refused("TransactionCanceledException", tuple(codes[each] for each in reasons), shown)


def _case(
    name: str,
    parts: Sequence[dict[str, Any]],
    expected: dict[str, Any] | Refused,
    then: Sequence[tuple[Item, Item | None]],
    there: Sequence[Item] = (),
    page: str = TRANSACT_WRITE,
    **params: Any,
) -> Case:
    """``then``: what stands under these keys afterwards."""
    return Case(
        name,
        page,
        [(TABLE, each) for each in there],
        [Step("TransactWriteItems", {"TransactItems": parts, **params}, expected), *(get(*each) for each in then)],
    )


_V1 = {**_ONE, "version": n(1)}

_DONE = [
    _case(
        "all four kinds of parts are carried out together",
        [
            _put({**_ONE, "num": n(1)}),
            _update(_TWO, "ADD num :v", v=n(2)),
            _delete(_THREE),
            _check(key("4"), _NOT_THERE),
        ],
        {},
        [(_ONE, {**_ONE, "num": n(1)}), (_TWO, {**_TWO, "num": n(7)}), (_THREE, None), (key("4"), None)],
        [{**_TWO, "num": n(5)}, _THREE],
    ),
    _case(
        "an update within a transaction makes an item where there is none",
        [_update(_ONE, "SET num = :v", v=n(1))],
        {},
        [(_ONE, {**_ONE, "num": n(1)})],
    ),
    _case(
        "conditions that hold let a transaction through",
        [_put({**_ONE, "num": n(2)}, _THERE)],
        {},
        [(_ONE, {**_ONE, "num": n(2)})],
        [_ONE],
    ),
    _case(
        "a delete of nothing within a transaction is no error",
        [_delete(_ONE), _put(_TWO)],
        {},
        [(_ONE, None), (_TWO, _TWO)],
    ),
    _case(
        "100 parts are taken", [_put(key(f"{i:03}")) for i in range(100)], {}, [(key("099"), key("099"))], page=LIMITS
    ),
    Case(
        "a transaction may write several tables",
        TRANSACT_WRITE,
        [],
        [
            Step("TransactWriteItems", {"TransactItems": [_put(_ONE), _put({"pk": s("@a")}, table=ALONE)]}, {}),
            get(_ONE, _ONE),
            get({"pk": s("@a")}, {"pk": s("@a")}, ALONE),
        ],
    ),
]

_CANCELLED = [
    _case(
        "one condition that fails cancels everything",
        [_put(_ONE), _put(_TWO, _NOT_THERE)],
        _cancelled("-", "C"),
        [(_ONE, None), (_TWO, {**_TWO, "num": n(1)})],
        [{**_TWO, "num": n(1)}],
    ),
    _case(
        "reasons stand in the order of the parts",
        [_put(_ONE, _NOT_THERE), _put(_TWO), _check(_THREE, _THERE)],
        _cancelled("C", "-", "C"),
        [(_TWO, None)],
        [_ONE],
    ),
    _case(
        "a reason shows the item where its part asks for it",
        [_put(_ONE, _NOT_THERE, shown=True), _put(_TWO, _NOT_THERE)],
        _cancelled("C", "C", at0=_V1),
        [],
        [_V1, _TWO],
    ),
    _case(
        "a reason shows bytes and sets as they are",
        [_delete(_ONE, _NOT_THERE, shown=True)],
        _cancelled("C", at0={**_ONE, "data": b(b"\x00\xff"), "words": {"SS": ["x", "y"]}}),
        [],
        [{**_ONE, "data": b(b"\x00\xff"), "words": {"SS": ["y", "x"]}}],
    ),
    _case("a reason shows nothing where nothing is", [_delete(_ONE, _THERE, shown=True)], _cancelled("C"), []),
    _case(
        "a check that fails shows its item",
        [_put(_TWO), _check(_ONE, _NOT_THERE, shown=True)],
        _cancelled("-", "C", at1=_V1),
        [(_TWO, None)],
        [_V1],
    ),
    _case(
        "an update that fails shows its item",
        [_update(_ONE, "ADD version :v", "version = :w", shown=True, v=n(1), w=n(2))],
        _cancelled("C", at0=_V1),
        [(_ONE, _V1)],
        [_V1],
    ),
    _case(
        "what does not fit an item cancels with a reason of its own",
        [_put(_TWO), _update(_ONE, "SET num = num + :v", v=n(1))],
        _cancelled("-", "V"),
        [(_TWO, None), (_ONE, _ONE)],
        [_ONE],
    ),
    _case(
        "a wrong type within an update cancels with a reason",
        [_update(_ONE, "ADD num :v", v=n(1))],
        _cancelled("V"),
        [],
        [{**_ONE, "num": s("1")}],
    ),
    _case(
        "an item that would grow too large cancels with a reason",
        [_update(_ONE, "SET more = :v", v=s("y" * 200_000)), _put(_TWO)],
        _cancelled("V", "-"),
        [(_TWO, None)],
        [{**_ONE, "note": s("x" * 300_000)}],
    ),
    _case(
        "a key that doesn't fit the table cancels with a reason",
        [_put(_TWO), _delete({"pk": s("@a")})],
        _cancelled("-", "V"),
        [(_TWO, None)],
    ),
    _case(
        "an index key of another type cancels with a reason",
        [_put({**_ONE, "part": n(1)}), _put(_TWO)],
        _cancelled("V", "-"),
        [(_TWO, None)],
    ),
]

_REFUSED = [
    _case("the same item twice is refused", [_put(_ONE), _check(_ONE, _NOT_THERE)], INVALID, [(_ONE, None)]),
    _case(
        "the same item twice is refused, whatever the parts",
        [_update(_ONE, "SET num = :v", v=n(1)), _delete(_ONE)],
        INVALID,
        [(_ONE, _ONE)],
        [_ONE],
    ),
    _case("no parts are refused", [], INVALID, []),
    _case(
        "101 parts are refused", [_put(key(f"{i:03}")) for i in range(101)], INVALID, [(key("000"), None)], page=LIMITS
    ),
    _case(
        "more than 4 MB are refused",
        [_put({**key(f"{i:02}"), "note": s("x" * 390_000)}) for i in range(11)],
        INVALID,
        [(key("00"), None)],
        page=LIMITS,
    ),
    _case(
        "an item above 400 KB is refused",
        [_put({**_ONE, "note": s("x" * 410_000)}), _put(_TWO)],
        INVALID,
        [(_TWO, None)],
        page=LIMITS,
    ),
    _case("a broken expression is refused", [_put(_TWO), _put(_ONE, "attribute_exists(")], INVALID, [(_TWO, None)]),
    _case("a part of two kinds is refused", [{**_put(_ONE), **_delete(_TWO)}], INVALID, [(_ONE, None)]),
    _case("a check without a condition is refused", [{"ConditionCheck": {**_T, "Key": _ONE}}], INVALID, []),
    _case(
        "an update can't touch a key",
        [_put(_TWO), _update(_ONE, "SET sk = :v", v=s("x"))],
        _cancelled("-", "V"),
        [(_TWO, None)],
    ),
    _case(
        "a table that isn't there is refused",
        [_put(_ONE), _put(_TWO, table="elsewhere")],
        Refused("ResourceNotFoundException"),
        [(_ONE, None)],
    ),
]


def _tokens() -> list[Case]:
    add = {"TransactItems": [_update(_ONE, "ADD num :v", v=n(1))], "ClientRequestToken": "@first"}
    other = {"TransactItems": [_update(_ONE, "ADD num :v", v=n(2))], "ClientRequestToken": "@first"}
    failing = {"TransactItems": [_put(_ONE, _THERE)], "ClientRequestToken": "@second"}

    def num(number: int) -> Step:
        return get(_ONE, {**_ONE, "num": n(number)})

    return [
        Case(
            "the same token does it once",
            TRANSACT_WRITE,
            [],
            [Step("TransactWriteItems", add, {}), Step("TransactWriteItems", add, {}), num(1)],
        ),
        Case(
            "the same token with other content is refused",
            TRANSACT_WRITE,
            [],
            [
                Step("TransactWriteItems", add, {}),
                Step("TransactWriteItems", other, Refused("IdempotentParameterMismatchException")),
                num(1),
            ],
        ),
        Case(
            "another token does it again",
            TRANSACT_WRITE,
            [],
            [
                Step("TransactWriteItems", add, {}),
                Step("TransactWriteItems", {**add, "ClientRequestToken": "@other"}, {}),
                num(2),
            ],
        ),
        Case(
            "without a token it is done again",
            TRANSACT_WRITE,
            [],
            [
                Step("TransactWriteItems", {"TransactItems": add["TransactItems"]}, {}),
                Step("TransactWriteItems", {"TransactItems": add["TransactItems"]}, {}),
                num(2),
            ],
        ),
        Case(
            "the token of a cancelled transaction may be used again",
            TRANSACT_WRITE,
            [],
            [
                Step("TransactWriteItems", failing, _cancelled("C")),
                Step("PutItem", {**_T, "Item": _ONE}, {}),
                Step("TransactWriteItems", failing, {}),
                get(_ONE, _ONE),
            ],
        ),
        Case(
            "a repeat says nothing of what has come since",
            TRANSACT_WRITE,
            [],
            [
                Step("TransactWriteItems", add, {}),
                Step("DeleteItem", {**_T, "Key": _ONE}, {}),
                Step("TransactWriteItems", add, {}),
                get(_ONE, None),
            ],
        ),
    ]


def _no_tokens() -> list[Case]:
    add = {"TransactItems": [_update(_ONE, "ADD num :v", v=n(1))]}
    return [
        Case(
            "a token of 37 characters is refused",
            TRANSACT_WRITE,
            [],
            [Step("TransactWriteItems", {**add, "ClientRequestToken": "x" * 37}, INVALID), get(_ONE, None)],
        ),
        Case(
            "an empty token is refused",
            TRANSACT_WRITE,
            [],
            [Step("TransactWriteItems", {**add, "ClientRequestToken": ""}, INVALID), get(_ONE, None)],
        ),
    ]


def _get(key: Item, **more: Any) -> dict[str, Any]:
    return {"Get": {**_T, "Key": key, **more}}


def _reading(
    name: str, parts: Sequence[dict[str, Any]], expected: dict[str, Any] | Refused, there: Sequence[Item] = ()
) -> Case:
    return Case(
        name,
        TRANSACT_GET,
        [(TABLE, each) for each in there],
        [Step("TransactGetItems", {"TransactItems": parts}, expected)],
    )


_READS = [
    _reading(
        "items come in the order of the parts",
        [_get(_TWO), _get(_ONE)],
        {"Responses": [{"Item": _TWO}, {"Item": _V1}]},
        [_V1, _TWO],
    ),
    _reading(
        "where nothing is, an empty answer stands", [_get(_TWO), _get(_ONE)], {"Responses": [{}, {"Item": _V1}]}, [_V1]
    ),
    _reading(
        "a part may ask for some attributes",
        [_get(_ONE, ProjectionExpression="version")],
        {"Responses": [{"Item": {"version": n(1)}}]},
        [_V1],
    ),
    _reading("the same item twice is refused in reads", [_get(_ONE), _get(_ONE)], INVALID, [_V1]),
    _reading("101 reads are refused", [_get(key(str(i))) for i in range(101)], INVALID),
    _reading("no reads are refused", [], INVALID),
    _reading(
        "a table that isn't there is refused in reads",
        [{"Get": {"TableName": "elsewhere", "Key": _ONE}}],
        Refused("ResourceNotFoundException"),
    ),
    _reading("a wrong key cancels the reads", [_get(_ONE), _get({"pk": s("@a")})], _cancelled("-", "V"), [_V1]),
]

_AFTERWARDS = [
    Case(
        "a version tells who came first",
        TRANSACTIONS,
        [(TABLE, item(version=n(1)))],
        [
            Step(
                "TransactWriteItems",
                {
                    "TransactItems": [
                        _update(KEY, "SET version = :w", "version = :v", v=n(1), w=n(2)),
                        _put(_ONE, _NOT_THERE),
                    ]
                },
                {},
            ),
            Step(
                "TransactWriteItems",
                {
                    "TransactItems": [
                        _update(KEY, "SET version = :w", "version = :v", v=n(1), w=n(2)),
                        _put(_ONE, _NOT_THERE),
                    ]
                },
                _cancelled("C", "C"),
            ),
            Step("PutItem", {**_T, "Item": KEY, "ConditionExpression": _NOT_THERE}, FAILED),
            get(KEY, item(version=n(2))),
        ],
    ),
]

CASES = [*_DONE, *_CANCELLED, *_REFUSED, *_tokens(), *_no_tokens(), *_READS, *_AFTERWARDS]
