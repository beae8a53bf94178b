"""Random work on our model and on moto, where moto is right: the same answers, the same items, the same stream.

Where moto isn't (`tests/simulation/conformance/differences.py`), the work keeps clear of it.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.simulation.conformance.suite import Target, in_order
from tests.simulation.conformance.targets import model as our_model
from tests.simulation.conformance.targets import moto

Request = tuple[str, dict[str, Any]]
TABLE = "club"

_KEYS = st.builds(lambda pk, sk: {"pk": {"S": pk}, "sk": {"S": sk}}, st.sampled_from("ab"), st.sampled_from("xyz"))
_SMALL = st.integers(-3, 5).map(lambda number: {"N": str(number)})
_TEXTS = st.sampled_from(["", "a", "ab", "b", "é"]).map(lambda text: {"S": text})
_SCALARS = st.one_of(
    _SMALL,
    _TEXTS,
    st.binary(max_size=3).map(lambda content: {"B": content}),
    st.just({"BOOL": True}),
    st.just({"NULL": True}),
)
_VALUES = st.one_of(
    _SCALARS,
    st.lists(_SCALARS, max_size=3).map(lambda values: {"L": values}),
    st.dictionaries(st.sampled_from("kl"), _SCALARS, max_size=2).map(lambda entries: {"M": entries}),
    st.sets(st.sampled_from("xyz"), min_size=1).map(lambda words: {"SS": sorted(words)}),
    st.sets(st.integers(0, 4), min_size=1).map(lambda numbers: {"NS": [str(each) for each in sorted(numbers)]}),
)


@st.composite
def _items(draw: st.DrawFn) -> dict[str, Any]:
    item = draw(_KEYS)
    for name, values in (
        ("part", st.sampled_from("pq").map(lambda text: {"S": text})),
        ("due", st.sampled_from(["2026-01", "2026-02", "2026-03"]).map(lambda text: {"S": text})),
        ("place", _SMALL),
        ("num", _SMALL),
        ("any", _VALUES),
    ):
        if draw(st.booleans()):
            item[name] = draw(values)
    return item


@st.composite
def _conditioned(draw: st.DrawFn) -> dict[str, Any]:
    """A condition, or none, as parameters. Orders are asked of numbers alone: of others moto raises."""
    expression, values = draw(
        st.one_of(
            st.just(("", {})),
            st.sampled_from(["attribute_exists(pk)", "attribute_not_exists(pk)", "attribute_not_exists(#a)"]).map(
                lambda text: (text, {})
            ),
            st.tuples(
                st.sampled_from(["num = :v", "num <> :v", "attribute_exists(num) AND num < :v", "num IN (:v, :v)"]),
                _SMALL,
            ).map(lambda pair: (pair[0], {":v": pair[1]})),
            # moto takes what is not there for NULL
            _VALUES.filter(lambda value: "NULL" not in value).map(
                lambda value: ("#a = :v OR NOT attribute_exists(pk)", {":v": value})
            ),
            st.sampled_from(["S", "N", "SS", "L", "M"]).map(
                lambda kind: ("attribute_type(#a, :v)", {":v": {"S": kind}})
            ),
            st.sampled_from("xyz").map(lambda text: ("contains(#a, :v)", {":v": {"S": text}})),
        )
    )
    if not expression:
        return {}
    return {
        "ConditionExpression": expression,
        **({"ExpressionAttributeValues": values} if values else {}),
        **({"ExpressionAttributeNames": {"#a": "any"}} if "#a" in expression else {}),
    }


@st.composite
def _updates(draw: st.DrawFn) -> dict[str, Any]:
    expression, values = draw(
        st.one_of(
            _VALUES.map(lambda value: ("SET #a = :x", {":x": value})),
            _SMALL.map(lambda value: ("SET num = if_not_exists(num, :z) + :x", {":x": value, ":z": {"N": "0"}})),
            _SMALL.map(lambda value: ("ADD num :x", {":x": value})),
            _SMALL.map(lambda value: ("SET place = :x REMOVE due", {":x": value})),
            st.just(("SET part = :x, due = :y", {":x": {"S": "p"}, ":y": {"S": "2026-02"}})),
            st.just(("SET num = :x REMOVE part, #a", {":x": {"N": "1"}})),
            _SCALARS.map(
                lambda value: (
                    "SET #l = list_append(if_not_exists(#l, :e), :x)",
                    {":e": {"L": []}, ":x": {"L": [value]}},
                )
            ),
            st.just(("SET #l[1] = :x", {":x": {"S": "x"}})),
        )
    )
    names = {short: long for short, long in (("#a", "any"), ("#l", "list")) if short in expression}
    condition = draw(_conditioned())
    merged = {
        "ExpressionAttributeValues": {**values, **condition.pop("ExpressionAttributeValues", {})},
        "ExpressionAttributeNames": {**names, **condition.pop("ExpressionAttributeNames", {})},
    }
    return {"Key": draw(_KEYS), "UpdateExpression": expression, **condition, **{n: v for n, v in merged.items() if v}}


@st.composite
def _singles(draw: st.DrawFn) -> Request:
    operation = draw(st.sampled_from(["PutItem", "UpdateItem", "DeleteItem", "GetItem"]))
    if operation == "PutItem":
        params = {"Item": draw(_items()), **draw(_conditioned()), "ReturnValues": "ALL_OLD"}
    elif operation == "UpdateItem":
        params = {**draw(_updates()), "ReturnValues": draw(st.sampled_from(["NONE", "ALL_OLD", "ALL_NEW"]))}
    elif operation == "DeleteItem":
        params = {"Key": draw(_KEYS), **draw(_conditioned()), "ReturnValues": "ALL_OLD"}
    else:
        return operation, {"TableName": TABLE, "Key": draw(_KEYS), "ConsistentRead": True}
    if draw(st.booleans()):
        params["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
    return operation, {"TableName": TABLE, **params}


@st.composite
def _transactions(draw: st.DrawFn) -> Request:
    parts = []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["Put", "Update", "Delete", "ConditionCheck"]))
        if kind == "Put":
            part = {"Item": draw(_items()), **draw(_conditioned())}
        elif kind == "Update":
            part = draw(_updates())
        else:
            condition = draw(_conditioned()) or {"ConditionExpression": "attribute_exists(pk)"}
            part = {"Key": draw(_KEYS), **condition}
        if draw(st.booleans()):
            part["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
        parts.append({kind: {"TableName": TABLE, **part}})
    return "TransactWriteItems", {"TransactItems": parts}


@st.composite
def _queries(draw: st.DrawFn) -> Request:
    index, name, sort = draw(
        st.sampled_from(
            [(None, "pk", "sk"), ("due", "part", "due"), ("whole", "part", "place"), ("some", "part", None)]
        )
    )
    values: dict[str, Any] = {":h": {"S": draw(st.sampled_from("abpq"))}}
    condition = f"{name} = :h"
    sign = draw(st.sampled_from(["", "=", "<", "<=", ">", ">=", "BETWEEN"]))
    if sort and sign:
        bound = _SMALL if sort == "place" else st.sampled_from(["x", "y", "2026-02"]).map(lambda text: {"S": text})
        low, high = sorted(
            (draw(bound), draw(bound)), key=lambda value: int(value["N"]) if "N" in value else value["S"]
        )
        values[":a"] = low
        condition += f" AND {sort} {sign} :a"
        if sign == "BETWEEN":
            condition += " AND :b"
            values[":b"] = high
    asked: dict[str, Any] = {
        "TableName": TABLE,
        "KeyConditionExpression": condition,
        "ExpressionAttributeValues": values,
        "ScanIndexForward": draw(st.booleans()),
    }
    if index:
        asked["IndexName"] = index
    if draw(st.booleans()):
        asked["FilterExpression"] = "attribute_exists(note) OR attribute_not_exists(num)"
    return "Query", asked


_REQUESTS = st.one_of(_singles(), _transactions(), _queries())


def _asked(target: Target, request: Request) -> Any:
    """The answer, or the refusal. Where a part doesn't fit its item, moto refuses it all, and gives no reasons."""
    operation, params = request
    try:
        answer = dict(target.call(operation, copy.deepcopy(params)))
    except ClientError as error:
        code = error.response["Error"]["Code"]
        reasons = error.response.get("CancellationReasons") or ()
        if code == "ValidationException" or any(reason.get("Code") == "ValidationError" for reason in reasons):
            return "invalid"
        return (
            code,
            [(reason["Code"], in_order(reason.get("Item"))) for reason in reasons],
            in_order(error.response.get("Item")),
        )
    answer.pop("ConsumedCapacity", None)
    answer.pop("ItemCollectionMetrics", None)  # of tables with local indexes alone
    if not answer.get("Attributes"):
        answer.pop("Attributes", None)
    return in_order(_ties_broken(request, answer))


def _ties_broken(request: Request, answer: dict[str, Any]) -> dict[str, Any]:
    """Items of one key in an index come in no order that is promised."""
    if request[1].get("IndexName"):
        answer["Items"] = (
            sorted(answer["Items"], key=repr) if request[1]["IndexName"] == "some" else _by_place(request, answer)
        )
    return answer


def _by_place(request: Request, answer: Mapping[str, Any]) -> list[Any]:
    sort = {"due": "due", "whole": "place"}[request[1]["IndexName"]]
    places = [item[sort] for item in answer["Items"]]
    return [places, *sorted(answer["Items"], key=repr)]


def _everything(target: Target) -> list[Any]:
    items = target.call("Scan", {"TableName": TABLE, "ConsistentRead": True})["Items"]
    return sorted((in_order(item) for item in items), key=lambda item: (item["pk"]["S"], item["sk"]["S"]))


def _told(target: Target) -> list[Any]:
    """The stream, but for what moto has too much: what changed nothing, and a bare key before what an update made."""
    records = [in_order(record) for record in target.records(TABLE)]
    twice = {
        at
        for at, (one, other) in enumerate(pairwise(records))
        if one["eventName"] == other["eventName"] == "INSERT" and one["Keys"] == other["Keys"]
    }
    return [
        record
        for at, record in enumerate(records)
        if at not in twice and record.get("OldImage") != record.get("NewImage")
    ]


@pytest.fixture(scope="module")
def theirs() -> Iterator[Target]:
    with moto(patch=True) as target:
        yield target


@given(requests=st.lists(_REQUESTS, min_size=1, max_size=12))
@settings(max_examples=300)
def test_random_work_comes_to_the_same(theirs: Target, requests: list[Request]) -> None:
    theirs.forget()
    with our_model() as ours:
        for request in requests:
            assert _asked(ours, request) == _asked(theirs, request), request
        assert _everything(ours) == _everything(theirs)
        assert _told(ours) == _told(theirs)
