"""Conditions: every operator and function, alone and together, in writes and as filters."""

from __future__ import annotations

from tests.simulation.conformance.case import (
    CONDITIONS,
    DELETE_ITEM,
    FAILED,
    FALSE,
    INVALID,
    KEY,
    LIMITS,
    NAMES,
    NULL,
    PUT_ITEM,
    RESERVED,
    TABLE,
    TRUE,
    UPDATE_ITEM,
    Case,
    Item,
    Refused,
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
    text=s("abc"),
    empty=s(""),
    num=n(5),
    num2=n(7),
    data=b(b"\x01\x02\x03"),
    yes=TRUE,
    no=FALSE,
    nothing=NULL,
    words={"SS": ["x", "y"]},
    numbers={"NS": ["1", "2"]},
    blobs={"BS": [b"\x01", b"\x02"]},
    list=listed(s("first"), n(2), m(deep=s("inside"))),
    map=m(text=s("abc"), num=n(5)),
)


def _holds(name: str, expression: str, wanted: bool, names: dict[str, str] | None = None, **values: Value) -> Case:
    """The condition before a write, and as a filter of the same item."""
    write = with_given({"TableName": TABLE, "Item": _ITEM, "ConditionExpression": expression}, values, names)
    query = with_given(
        {
            "TableName": TABLE,
            "KeyConditionExpression": "pk = :pk",
            "FilterExpression": expression,
            "Select": "COUNT",
        },
        {"pk": KEY["pk"], **values},
        names,
    )
    return Case(
        name,
        CONDITIONS,
        [(TABLE, _ITEM)],
        [
            Step("PutItem", write, {} if wanted else FAILED),
            Step("Query", query, {"Count": int(wanted), "ScannedCount": 1}),
        ],
    )


def _refused(
    name: str, expression: str, page: str = CONDITIONS, names: dict[str, str] | None = None, **values: Value
) -> Case:
    """A condition that is none, or that these values don't fit; nothing is written."""
    params = {"TableName": TABLE, "Item": item(num=n(1)), "ConditionExpression": expression}
    return Case(
        name, page, [(TABLE, _ITEM)], [Step("PutItem", with_given(params, values, names), INVALID), get(KEY, _ITEM)]
    )


_L = {"#l": "list"}
_M = {"#m": "map"}

_COMPARISONS = [
    _holds("= holds of equal strings", "#x = :v", True, {"#x": "text"}, v=s("abc")),
    _holds("= tells strings apart", "#x = :v", False, {"#x": "text"}, v=s("abd")),
    _holds("= compares numbers by value and not as they are written", "num = :v", True, v=n("5.00")),
    _holds("= compares sets without order", "words = :v", True, v={"SS": ["y", "x"]}),
    _holds("= compares lists with their order", "#l = :v", False, _L, v=listed(n(2), s("first"), m(deep=s("inside")))),
    _holds("= compares maps by all that is in them", "#m = :v", True, _M, v=m(num=n(5), text=s("abc"))),
    _holds("= of different types does not hold", "num = :v", False, v=s("5")),
    _holds("= with an attribute that is not there does not hold", "gone = :v", False, v=n(5)),
    _holds("what is not there is not NULL", "gone = :v", False, v=NULL),
    _holds("<> holds of different types", "num <> :v", True, v=s("5")),
    _holds("<> does not hold of equal values", "num <> :v", False, v=n(5)),
    _holds("<> holds of an attribute that is not there", "gone <> :v", True, v=n(5)),
    _holds("< compares numbers as numbers", "num < :v", True, v=n(10)),
    _holds("< is strict", "num < :v", False, v=n(5)),
    _holds("<= holds of equal values", "num <= :v", True, v=n(5)),
    _holds("> compares strings by their bytes", "#x > :v", True, {"#x": "text"}, v=s("ABC")),
    _holds(">= holds of equal values", "num >= :v", True, v=n("5")),
    _holds("> compares bytes as unsigned", "#d > :v", False, {"#d": "data"}, v=b(b"\x80")),
    _holds("< of different types does not hold", "num < :v", False, v=s("9")),
    _holds("an attribute may be compared with another one", "num < num2", True),
    _holds("a value may stand on the left", ":v = num", True, v=n(5)),
    _holds("BETWEEN holds at its lower bound", "num BETWEEN :a AND :b", True, a=n(5), b=n(6)),
    _holds("BETWEEN holds at its upper bound", "num BETWEEN :a AND :b", True, a=n(-1), b=n(5)),
    _holds("BETWEEN does not hold beyond its bounds", "num BETWEEN :a AND :b", False, a=n(6), b=n(7)),
    _holds("BETWEEN takes attributes for bounds", ":v BETWEEN num AND num2", True, v=n(6)),
    _holds("IN holds of a value of the list", "num IN (:a, :b)", True, a=n(1), b=n(5)),
    _holds("IN does not hold of other values", "num IN (:a, :b)", False, a=n(1), b=s("5")),
    _holds("IN takes attributes", "num IN (num2, :a)", False, a=n(1)),
]

_LOGIC = [
    _holds("AND wants both", "num = :v AND gone = :v", False, v=n(5)),
    _holds("OR wants one", "num = :v OR gone = :v", True, v=n(5)),
    _holds("NOT turns a condition round", "NOT num = :v", False, v=n(5)),
    _holds("NOT of a comparison with nothing holds", "NOT gone = :v", True, v=n(5)),
    _holds("AND binds stronger than OR", "num = :v OR num = :w AND num = :w", True, v=n(5), w=n(6)),
    _holds("NOT binds stronger than AND", "NOT num = :w AND num = :v", True, v=n(5), w=n(6)),
    _holds("parentheses come first", "(num = :v OR num = :w) AND num = :w", False, v=n(5), w=n(6)),
    _holds(
        "keywords may be written small", "num = :v and not num in (:w) or num between :w and :w", True, v=n(5), w=n(6)
    ),
]

_FUNCTIONS = [
    _holds("attribute_exists holds of what is there", "attribute_exists(num)", True),
    _holds("attribute_exists holds of NULL", "attribute_exists(nothing)", True),
    _holds("attribute_exists holds of an empty string", "attribute_exists(#e)", True, {"#e": "empty"}),
    _holds("attribute_exists does not hold of what is not there", "attribute_exists(gone)", False),
    _holds("attribute_exists looks into maps", "attribute_exists(#m.num)", True, _M),
    _holds("attribute_exists looks into lists", "attribute_exists(#l[2].deep)", True, _L),
    _holds("attribute_exists does not hold behind a list's end", "attribute_exists(#l[3])", False, _L),
    _holds("attribute_not_exists holds of what is not there", "attribute_not_exists(gone)", True),
    _holds("attribute_not_exists does not hold of NULL", "attribute_not_exists(nothing)", False),
    _holds("attribute_not_exists holds of a path through a scalar", "attribute_not_exists(num.deep)", True),
    *(
        _holds(f"attribute_type knows {kind}", "attribute_type(#x, :t)", True, {"#x": name}, t=s(kind))
        for name, kind in (
            ("text", "S"),
            ("num", "N"),
            ("data", "B"),
            ("yes", "BOOL"),
            ("nothing", "NULL"),
            ("words", "SS"),
            ("numbers", "NS"),
            ("blobs", "BS"),
            ("list", "L"),
            ("map", "M"),
        )
    ),
    _holds("attribute_type does not hold of another type", "attribute_type(num, :t)", False, t=s("S")),
    _holds("attribute_type does not hold of what is not there", "attribute_type(gone, :t)", False, t=s("S")),
    _holds("begins_with holds of a beginning", "begins_with(#x, :v)", True, {"#x": "text"}, v=s("ab")),
    _holds("begins_with does not hold of an end", "begins_with(#x, :v)", False, {"#x": "text"}, v=s("bc")),
    _holds("begins_with takes bytes", "begins_with(#d, :v)", True, {"#d": "data"}, v=b(b"\x01\x02")),
    _holds("begins_with does not hold of a number", "begins_with(num, :v)", False, v=s("5")),
    _holds("contains finds a part of a string", "contains(#x, :v)", True, {"#x": "text"}, v=s("bc")),
    _holds("contains finds an element of a string set", "contains(words, :v)", True, v=s("x")),
    _holds("contains finds no part of an element of a set", "contains(#w, :v)", False, {"#w": "words"}, v=s("")),
    _holds("contains finds an element of a number set", "contains(numbers, :v)", True, v=n("2.0")),
    _holds("contains finds an element of a binary set", "contains(blobs, :v)", True, v=b(b"\x02")),
    _holds("contains finds an element of a list", "contains(#l, :v)", True, _L, v=n(2)),
    _holds("contains finds a map within a list", "contains(#l, :v)", True, _L, v=m(deep=s("inside"))),
    _holds("contains does not look for numbers in strings", "contains(#x, :v)", False, {"#x": "text"}, v=n(1)),
    _holds("contains finds a part of bytes", "contains(#d, :v)", True, {"#d": "data"}, v=b(b"\x02\x03")),
    _holds(
        "contains takes an attribute for what is looked for", "contains(#m.#x, #x)", True, {"#m": "map", "#x": "text"}
    ),
    _holds("size of a string is its length", "size(#x) = :v", True, {"#x": "text"}, v=n(3)),
    _holds("size of an empty string is 0", "size(#x) = :v", True, {"#x": "empty"}, v=n(0)),
    _holds("size of bytes is their number", "size(#x) = :v", True, {"#x": "data"}, v=n(3)),
    _holds("size of a set is the number of its elements", "size(words) = :v", True, v=n(2)),
    _holds("size of a list is the number of its elements", "size(#l) = :v", True, _L, v=n(3)),
    _holds("size of a map is the number of its entries", "size(#m) = :v", True, _M, v=n(2)),
    _holds("size may stand on both sides", "size(words) < size(#l)", True, _L),
    _holds("size of a number is nothing that compares", "size(num) > :v", False, v=n(0)),
    _holds("size of what is not there is nothing that compares", "size(gone) >= :v", False, v=n(0)),
]

_REFUSED = [
    _refused("an empty expression is refused", ""),
    _refused("an expression that breaks off is refused", "num ="),
    _refused("two conditions without an operator are refused", "attribute_exists(num) attribute_exists(pk)"),
    _refused("= alone knows no number without a placeholder", "num = 5"),
    _refused("a function that there isn't is refused", "exists(num)"),
    _refused("the names of functions are written as they are", "Attribute_Exists(num)"),
    _refused("a function with too many operands is refused", "attribute_exists(num, pk)"),
    _refused("size alone is no condition", "size(num)"),
    _refused("attribute_exists wants a path", "attribute_exists(:v)", v=n(1)),
    _refused("begins_with wants a string or bytes", "begins_with(num, :v)", v=n(1)),
    _refused("attribute_type wants the name of a type", "attribute_type(num, :v)", v=s("NUMBER")),
    _refused("BETWEEN wants its lower bound first", "num BETWEEN :a AND :b", a=n(2), b=n(1)),
    _refused("BETWEEN wants bounds of one type", "num BETWEEN :a AND :b", a=n(2), b=s("3")),
    _refused("an attribute is not compared with itself", "num = num"),
    _refused("< wants a type that has an order", "num < :v", v=TRUE),
    _refused("double parentheses are redundant", "((num = :v))", v=n(1)),
    _refused("a reserved word wants a placeholder", "name = :v", RESERVED, v=n(1)),
    _refused("reserved words are so in any case", "Status = :v", RESERVED, v=n(1)),
    _refused("a name that is not given is refused", "#x = :v", NAMES, v=n(1)),
    _refused("a value that is not given is refused", "num = :w AND num = :v", v=n(1)),
    _refused("a name that is not used is refused", "num = :v", NAMES, {"#x": "num"}, v=n(1)),
    _refused("a value that is not used is refused", "num = :v", v=n(1), w=n(2)),
    _refused("an expression of more than 4 KB is refused", f"num = :v{' ' * 4096}OR num = :v", LIMITS, v=n(1)),
    _refused(
        "IN takes at most 100 values",
        f"num IN ({', '.join(f':v{i}' for i in range(101))})",
        CONDITIONS,
        None,
        **{f"v{i}": n(i) for i in range(101)},
    ),
    Case(
        "names without an expression are refused",
        NAMES,
        [],
        [Step("PutItem", {"TableName": TABLE, "Item": KEY, "ExpressionAttributeNames": {"#x": "num"}}, INVALID)],
    ),
    Case(
        "values without an expression are refused",
        CONDITIONS,
        [],
        [Step("PutItem", {"TableName": TABLE, "Item": KEY, "ExpressionAttributeValues": {":v": n(1)}}, INVALID)],
    ),
]


def _failing(name: str, page: str, operation: str, params: dict[str, object], there: Item | None, shown: bool) -> Case:
    refused = Refused("ConditionalCheckFailedException", items={0: there} if shown and there else {})
    given = {
        "TableName": TABLE,
        **params,
        "ConditionExpression": "num = :v",
        "ExpressionAttributeValues": {":v": n(99), **params.get("ExpressionAttributeValues", {})},  # type: ignore[dict-item]
    }
    if shown:
        given["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return Case(name, page, [(TABLE, there)] if there else [], [Step(operation, given, refused), get(KEY, there)])


_SMALL = item(num=n(1), words={"SS": ["x"]}, data=b(b"\x00\xff"))
_SET = {"UpdateExpression": "SET num = :n", "ExpressionAttributeValues": {":n": n(2)}}

_FAILURES = [
    _failing("a failed put changes nothing", PUT_ITEM, "PutItem", {"Item": item(num=n(2))}, _SMALL, False),
    _failing("a failed put shows the item where that is asked for", PUT_ITEM, "PutItem", {"Item": KEY}, _SMALL, True),
    _failing("a failed put on nothing shows nothing", PUT_ITEM, "PutItem", {"Item": KEY}, None, True),
    _failing("a failed update changes nothing", UPDATE_ITEM, "UpdateItem", {"Key": KEY, **_SET}, _SMALL, False),
    _failing("a failed update shows the item", UPDATE_ITEM, "UpdateItem", {"Key": KEY, **_SET}, _SMALL, True),
    _failing("a failed update of nothing makes no item", UPDATE_ITEM, "UpdateItem", {"Key": KEY, **_SET}, None, True),
    _failing("a failed delete leaves the item", DELETE_ITEM, "DeleteItem", {"Key": KEY}, _SMALL, False),
    _failing("a failed delete shows the item", DELETE_ITEM, "DeleteItem", {"Key": KEY}, _SMALL, True),
]

CASES = [*_COMPARISONS, *_LOGIC, *_FUNCTIONS, *_REFUSED, *_FAILURES]
