"""Update expressions, and what single writes give back."""

from __future__ import annotations

from tests.simulation.conformance.case import (
    DELETE_ITEM,
    FALSE,
    INVALID,
    KEY,
    LIMITS,
    PATHS,
    PUT_ITEM,
    RESERVED,
    TABLE,
    TYPES,
    UPDATE_ITEM,
    UPDATES,
    Case,
    Item,
    Step,
    Value,
    b,
    get,
    item,
    listed,
    m,
    n,
    s,
    with_given,
)

_ITEM = item(
    num=n(5),
    text=s("abc"),
    words={"SS": ["x", "y"]},
    list=listed(n(0), n(1), n(2)),
    map=m(inner=m(num=n(1)), other=s("o")),
)
_N = {"#l": "list", "#m": "map", "#i": "inner"}


def _params(expression: str, values: dict[str, Value], returned: str, key: Item = KEY) -> dict[str, object]:
    names = {short: long for short, long in _N.items() if short in expression}
    params = {"TableName": TABLE, "Key": key, "UpdateExpression": expression, "ReturnValues": returned}
    return with_given(params, values, names)


def _makes(
    name: str, expression: str, after: dict[str, Value | None], there: Item | None = _ITEM, **values: Value
) -> Case:
    """An update, and the item that it makes: ``after`` has what changes, ``None`` for what goes."""
    merged: dict[str, Value | None] = {**(KEY if there is None else there), **after}
    made = {key: value for key, value in merged.items() if value is not None}
    return Case(
        name,
        UPDATES,
        [(TABLE, there)] if there is not None else [],
        [Step("UpdateItem", _params(expression, values, "ALL_NEW"), {"Attributes": made}), get(KEY, made)],
    )


def _refused(name: str, expression: str, page: str = UPDATES, there: Item | None = _ITEM, **values: Value) -> Case:
    return Case(
        name,
        page,
        [(TABLE, there)] if there is not None else [],
        [Step("UpdateItem", _params(expression, values, "NONE"), INVALID), get(KEY, there)],
    )


_SET = [
    _makes("SET adds an attribute", "SET fresh = :v", {"fresh": s("new")}, v=s("new")),
    _makes("SET replaces an attribute, and its type", "SET num = :v", {"num": s("five")}, v=s("five")),
    _makes("SET writes several attributes", "SET num = :v, fresh = :v", {"num": n(1), "fresh": n(1)}, v=n(1)),
    _makes("SET makes an item where there is none", "SET num = :v", {"num": n(1)}, None, v=n(1)),
    _makes("SET adds", "SET num = num + :v", {"num": n(7)}, v=n(2)),
    _makes("SET subtracts", "SET num = num - :v", {"num": n("-2.5")}, v=n("7.5")),
    _makes("SET subtracts an attribute from a value", "SET num = :v - num", {"num": n(-3)}, v=n(2)),
    _makes("SET adds with 38 digits", "SET num = :v + :w", {"num": n("1" * 38)}, v=n("1" * 37 + "0"), w=n(1)),
    _makes("SET copies an attribute", "SET fresh = #m.#i", {"fresh": m(num=n(1))}),
    _makes("SET reads the item as it was before", "SET num = :v, fresh = num", {"num": n(1), "fresh": n(5)}, v=n(1)),
    _makes(
        "two attributes can change places", "SET num = words, words = num", {"num": {"SS": ["x", "y"]}, "words": n(5)}
    ),
    _makes("if_not_exists keeps what is there", "SET num = if_not_exists(num, :v)", {"num": n(5)}, v=n(1)),
    _makes(
        "if_not_exists takes the value where nothing is",
        "SET fresh = if_not_exists(fresh, :v)",
        {"fresh": n(1)},
        v=n(1),
    ),
    _makes("if_not_exists takes another attribute", "SET fresh = if_not_exists(gone, num)", {"fresh": n(5)}),
    _makes("if_not_exists may be added to", "SET hits = if_not_exists(hits, :z) + :o", {"hits": n(1)}, z=n(0), o=n(1)),
    _makes("if_not_exists looks into maps", "SET num = if_not_exists(#m.#i.num, :v)", {"num": n(1)}, v=n(9)),
    _makes(
        "list_append appends", "SET #l = list_append(#l, :v)", {"list": listed(n(0), n(1), n(2), n(3))}, v=listed(n(3))
    ),
    _makes(
        "list_append puts in front",
        "SET #l = list_append(:v, #l)",
        {"list": listed(n(9), n(0), n(1), n(2))},
        v=listed(n(9)),
    ),
    _makes(
        "list_append to a list that may not be there",
        "SET fresh = list_append(if_not_exists(fresh, :e), :v)",
        {"fresh": listed(n(1))},
        e=listed(),
        v=listed(n(1)),
    ),
    _makes("SET replaces an element of a list", "SET #l[1] = :v", {"list": listed(n(0), s("b"), n(2))}, v=s("b")),
    _makes("SET behind a list's end appends", "SET #l[9] = :v", {"list": listed(n(0), n(1), n(2), n(3))}, v=n(3)),
    _makes(
        "elements behind a list's end are appended in their order",
        "SET #l[9] = :w, #l[7] = :v",
        {"list": listed(n(0), n(1), n(2), n(3), n(4))},
        v=n(3),
        w=n(4),
    ),
    _makes(
        "SET writes into a map", "SET #m.fresh = :v", {"map": m(inner=m(num=n(1)), other=s("o"), fresh=n(2))}, v=n(2)
    ),
    _makes(
        "SET writes into a map of a map",
        "SET #m.#i.num = #m.#i.num + :v",
        {"map": m(inner=m(num=n(3)), other=s("o"))},
        v=n(2),
    ),
    _makes(
        "an update's keywords may be written small", "set num = :v remove words", {"num": n(1), "words": None}, v=n(1)
    ),
]

_OTHERS = [
    _makes("REMOVE takes attributes away", "REMOVE num, words", {"num": None, "words": None}),
    _makes("REMOVE of what is not there does nothing", "REMOVE gone", {}),
    _makes("REMOVE takes an element out, and the others move up", "REMOVE #l[0]", {"list": listed(n(1), n(2))}),
    _makes("REMOVE of several elements counts as the list was", "REMOVE #l[0], #l[1]", {"list": listed(n(2))}),
    _makes("REMOVE behind a list's end does nothing", "REMOVE #l[7]", {}),
    _makes("REMOVE takes an entry out of a map", "REMOVE #m.#i", {"map": m(other=s("o"))}),
    _makes(
        "SET and REMOVE count a list's elements as it was",
        "SET #l[2] = :v REMOVE #l[0]",
        {"list": listed(n(1), s("c"))},
        v=s("c"),
    ),
    _makes("ADD adds to a number", "ADD num :v", {"num": n("3.5")}, v=n("-1.5")),
    _makes("ADD begins at 0", "ADD hits :v", {"hits": n(3)}, v=n(3)),
    _makes("ADD makes an item where there is none", "ADD hits :v", {"hits": n(1)}, None, v=n(1)),
    _makes("ADD puts elements into a set", "ADD words :v", {"words": {"SS": ["x", "y", "z"]}}, v={"SS": ["y", "z"]}),
    _makes("ADD makes a set", "ADD codes :v", {"codes": {"NS": ["1", "2"]}}, v={"NS": ["1", "2"]}),
    _makes("DELETE takes elements out of a set", "DELETE words :v", {"words": {"SS": ["x"]}}, v={"SS": ["y", "z"]}),
    _makes("DELETE of all elements takes the attribute away", "DELETE words :v", {"words": None}, v={"SS": ["y", "x"]}),
    _makes("DELETE from what is not there does nothing", "DELETE gone :v", {}, v={"SS": ["y"]}),
    _makes(
        "all four sections go together in any order",
        "DELETE words :w ADD num :v REMOVE text_ SET fresh = :v",
        {"words": {"SS": ["x"]}, "num": n(6), "fresh": n(1)},
        v=n(1),
        w={"SS": ["y"]},
    ),
]

_REFUSED = [
    _refused("an empty update expression is refused", ""),
    _refused("a section twice is refused", "SET num = :v SET fresh = :v", v=n(1)),
    _refused("SET without a value is refused", "SET num"),
    _refused("a key can't be updated", "SET sk = :v", UPDATE_ITEM, v=s("t")),
    _refused("a key can't be removed", "REMOVE pk", UPDATE_ITEM),
    _refused("the same path twice is refused", "SET num = :v, num = :w", v=n(1), w=n(2)),
    _refused("a path within another is refused", "SET #m = :v, #m.fresh = :w", v=m(), w=n(2)),
    _refused("a path can't be a map's and a list's", "SET #m.fresh = :v, #m[0] = :v", v=n(1)),
    _refused("SET into a map that is not there is refused", "SET gone.deep = :v", v=n(1)),
    _refused("SET into a scalar is refused", "SET num.deep = :v", v=n(1)),
    _refused("SET of an element of a map is refused", "SET #m[0] = :v", v=n(1)),
    _refused("REMOVE within what is not there is refused", "REMOVE gone.deep"),
    _refused("SET from an attribute that is not there is refused", "SET fresh = gone"),
    _refused("adding to an attribute that is not there is refused", "SET gone = gone + :v", v=n(1)),
    _refused("adding to a string is refused", "SET fresh = words + :v", v=n(1)),
    _refused("adding a string is refused", "SET num = num + :v", v=s("1")),
    _refused("list_append to a number is refused", "SET fresh = list_append(num, :v)", v=listed()),
    _refused("list_append of a string is refused", "SET #l = list_append(#l, :v)", v=s("x")),
    _refused("a condition's functions are none of an update's", "SET fresh = size(num)"),
    _refused("if_not_exists wants a path", "SET fresh = if_not_exists(:v, :v)", v=n(1)),
    _refused("ADD of a string is refused", "ADD num :v", v=s("1")),
    _refused("ADD of a number to a set is refused", "ADD words :v", v=n(1)),
    _refused("ADD of a set of another type is refused", "ADD words :v", v={"NS": ["1"]}),
    _refused("ADD of a list is refused", "ADD #l :v", v=listed(n(1))),
    _refused("DELETE of a number is refused", "DELETE num :v", v=n(1)),
    _refused("DELETE from another type is refused", "DELETE num :v", v={"NS": ["1"]}),
    _refused("a reserved word wants a placeholder in an update", "SET status = :v", RESERVED, v=n(1)),
    _refused("a sum with more than 38 digits is refused", "SET num = :v + :w", TYPES, v=n("9" * 38), w=n("0.1")),
    _refused(
        "a sum above the largest number is refused", "ADD big :v", TYPES, item(big=n("9" + "0" * 125)), v=n("9e125")
    ),
    _refused(
        "an item that grows above 400 KB is refused",
        "SET fresh = :v",
        LIMITS,
        item(note=s("x" * 300_000)),
        v=s("y" * 200_000),
    ),
    _refused("a key of an index can't be set to another type", "SET part = :v", UPDATE_ITEM, v=n(1)),
    _refused("a list's element can't be looked up by a name", "SET #l.deep = :v", PATHS, v=n(1)),
]

_NOTHING = Case(
    "an update that only removes makes no item",
    UPDATE_ITEM,
    [],
    [Step("UpdateItem", {"TableName": TABLE, "Key": KEY, "UpdateExpression": "REMOVE num"}, {}), get(KEY, None)],
)
_BARE = Case(
    "an update without an expression makes an item of the key",
    UPDATE_ITEM,
    [],
    [Step("UpdateItem", {"TableName": TABLE, "Key": KEY}, {}), get(KEY, KEY)],
)


def _returns(
    name: str, returned: str, expression: str, expected: Item | None, there: Item | None = _ITEM, **values: Value
) -> Case:
    answer = {} if expected is None else {"Attributes": expected}
    return Case(
        name,
        UPDATE_ITEM,
        [(TABLE, there)] if there is not None else [],
        [Step("UpdateItem", _params(expression, values, returned), answer)],
    )


_RETURNED = [
    _returns("NONE gives nothing back", "NONE", "SET num = :v", None, v=n(1)),
    _returns("ALL_OLD gives the item as it was", "ALL_OLD", "SET num = :v", _ITEM, v=n(1)),
    _returns("ALL_OLD of no item gives nothing", "ALL_OLD", "SET num = :v", None, None, v=n(1)),
    _returns(
        "UPDATED_OLD gives what the written attributes were",
        "UPDATED_OLD",
        "SET num = :v, fresh = :v",
        {"num": n(5)},
        v=n(1),
    ),
    _returns(
        "UPDATED_NEW gives what the written attributes are",
        "UPDATED_NEW",
        "SET num = :v, fresh = :v",
        {"num": n(1), "fresh": n(1)},
        v=n(1),
    ),
    _returns("UPDATED_NEW gives nothing of what was removed", "UPDATED_NEW", "REMOVE num", None),
    _returns("UPDATED_OLD gives what was removed", "UPDATED_OLD", "REMOVE num", {"num": n(5)}),
    _returns(
        "UPDATED_NEW of a map's entry gives that entry",
        "UPDATED_NEW",
        "SET #m.#i.num = :v",
        {"map": m(inner=m(num=n(9)))},
        v=n(9),
    ),
    Case(
        "a put gives back what it replaces",
        PUT_ITEM,
        [(TABLE, _ITEM)],
        [
            Step("PutItem", {"TableName": TABLE, "Item": KEY, "ReturnValues": "ALL_OLD"}, {"Attributes": _ITEM}),
            get(KEY, KEY),
        ],
    ),
    Case(
        "a put of a new item gives nothing back",
        PUT_ITEM,
        [],
        [Step("PutItem", {"TableName": TABLE, "Item": KEY, "ReturnValues": "ALL_OLD"}, {}), get(KEY, KEY)],
    ),
    Case(
        "a put gives no new values",
        PUT_ITEM,
        [],
        [Step("PutItem", {"TableName": TABLE, "Item": KEY, "ReturnValues": "ALL_NEW"}, INVALID), get(KEY, None)],
    ),
    Case(
        "a delete gives back what was there",
        DELETE_ITEM,
        [(TABLE, _ITEM)],
        [
            Step("DeleteItem", {"TableName": TABLE, "Key": KEY, "ReturnValues": "ALL_OLD"}, {"Attributes": _ITEM}),
            get(KEY, None),
        ],
    ),
    Case(
        "a delete of nothing is no error",
        DELETE_ITEM,
        [],
        [Step("DeleteItem", {"TableName": TABLE, "Key": KEY, "ReturnValues": "ALL_OLD"}, {})],
    ),
    Case(
        "a delete gives no updated values",
        DELETE_ITEM,
        [(TABLE, KEY)],
        [Step("DeleteItem", {"TableName": TABLE, "Key": KEY, "ReturnValues": "UPDATED_OLD"}, INVALID), get(KEY, KEY)],
    ),
    Case(
        "a put replaces the whole item",
        PUT_ITEM,
        [(TABLE, _ITEM)],
        [
            Step("PutItem", {"TableName": TABLE, "Item": item(yes=FALSE, data=b(b""))}, {}),
            get(KEY, item(yes=FALSE, data=b(b""))),
        ],
    ),
]

CASES = [*_SET, *_OTHERS, *_REFUSED, _NOTHING, _BARE, *_RETURNED]
