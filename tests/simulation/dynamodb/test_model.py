"""What no emulator can be asked, and what the model must never do."""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.template import Template
from tests.simulation.dynamodb import Change, Model, Pending

ROOT = Path(__file__).resolve().parents[3]
T = {"TableName": "club"}


class Clock:
    """A clock that a test sets."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def model(clock: Clock) -> Model:
    """The club's own table, under another name."""
    (table,) = Template(ROOT / "template.yaml").tables.values()
    model = Model(clock)
    model.create_table(**{**table.create, **T})
    return model


def key(name: str) -> dict[str, Any]:
    return {"pk": {"S": name}, "sk": {"S": "-"}}


def put(name: str, **more: Any) -> dict[str, Any]:
    return {"Put": {**T, "Item": {**key(name), **more}}}


def once(name: str, **more: Any) -> dict[str, Any]:
    (part,) = put(name, **more).values()
    return {"Put": {**part, "ConditionExpression": "attribute_not_exists(pk)"}}


def got(model: Model, name: str, consistent: bool = True) -> Any:
    return model.call("GetItem", {**T, "Key": key(name), "ConsistentRead": consistent}).get("Item")


def refused(ask: Callable[[], Any]) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        ask()
    response: dict[str, Any] = caught.value.response
    return response


def codes(response: dict[str, Any]) -> list[str]:
    return [reason["Code"] for reason in response["CancellationReasons"]]


# --- transactions in two phases --------------------------------------------------------------------------------


def test_nothing_of_a_transaction_is_seen_before_its_commit_and_all_of_it_afterwards(model: Model) -> None:
    pending = model.begin({"TransactItems": [put("a"), put("b")]})
    assert got(model, "a") is None
    assert pending.commit()["ResponseMetadata"]["HTTPStatusCode"] == 200
    assert [got(model, name) for name in "ab"] == [key("a"), key("b")]


def test_nothing_is_ever_seen_of_a_transaction_that_is_aborted(model: Model) -> None:
    told: list[list[Change]] = []
    model.commits.append(told.append)
    model.begin({"TransactItems": [put("a")]}).abort()
    assert got(model, "a") is None
    assert (told, model.stream("club"), model.items("club")) == ([], [], [])
    model.call("PutItem", {**T, "Item": key("a")})  # and its items are free again


@pytest.mark.parametrize(
    "part",
    [
        put("a"),
        {"Delete": {**T, "Key": key("a")}},
        {
            "Update": {
                **T,
                "Key": key("a"),
                "UpdateExpression": "SET n = :v",
                "ExpressionAttributeValues": {":v": {"N": "1"}},
            }
        },
        {"ConditionCheck": {**T, "Key": key("a"), "ConditionExpression": "attribute_not_exists(pk)"}},
    ],
    ids=["Put", "Delete", "Update", "ConditionCheck"],
)
def test_an_item_in_progress_is_nobody_elses(model: Model, part: dict[str, Any]) -> None:
    pending = model.begin({"TransactItems": [part, put("other")]})
    single: list[tuple[str, dict[str, Any]]] = [
        ("PutItem", {"Item": key("a")}),
        ("DeleteItem", {"Key": key("a")}),
        ("UpdateItem", {"Key": key("a"), "UpdateExpression": "REMOVE n"}),
    ]
    for operation, params in single:
        answer = refused(partial(model.call, operation, {**T, **params}))
        assert answer["Error"] == {
            "Code": "TransactionConflictException",
            "Message": "Transaction is ongoing for the item",
        }
    for ask in (
        lambda: model.begin({"TransactItems": [put("free"), put("a")]}),
        lambda: model.call("TransactWriteItems", {"TransactItems": [put("free"), put("a")]}),
        lambda: model.call(
            "TransactGetItems", {"TransactItems": [{"Get": {**T, "Key": key(x)}} for x in ("free", "a")]}
        ),
    ):
        answer = refused(ask)
        assert answer["Error"]["Code"] == "TransactionCanceledException"
        assert codes(answer) == ["None", "TransactionConflict"]
    batch = [{"PutRequest": {"Item": key(name)}} for name in ("free", "a")]
    left = model.call("BatchWriteItem", {"RequestItems": {"club": batch}})["UnprocessedItems"]
    assert left == {"club": [{"PutRequest": {"Item": key("a")}}]}
    assert got(model, "a") is None  # a plain read is never in anybody's way
    pending.commit()
    model.call("PutItem", {**T, "Item": key("a")})


def test_a_conflict_and_a_failed_condition_stand_side_by_side(model: Model) -> None:
    model.call("PutItem", {**T, "Item": key("there")})
    pending = model.begin({"TransactItems": [put("busy")]})
    answer = refused(lambda: model.begin({"TransactItems": [put("busy"), once("there"), put("free")]}))
    assert codes(answer) == ["TransactionConflict", "ConditionalCheckFailed", "None"]
    pending.abort()


def test_a_cancelled_transaction_holds_its_items_until_it_is_told(model: Model) -> None:
    model.call("PutItem", {**T, "Item": key("a")})
    pending = model.begin({"TransactItems": [once("a"), put("b")]})
    assert (
        refused(lambda: model.call("PutItem", {**T, "Item": key("b")}))["Error"]["Code"]
        == "TransactionConflictException"
    )
    assert codes(refused(pending.commit)) == ["ConditionalCheckFailed", "None"]
    model.call("PutItem", {**T, "Item": key("b")})


@pytest.mark.parametrize("end", [Pending.commit, Pending.abort])
def test_a_transaction_ends_once(model: Model, end: Callable[[Pending], object]) -> None:
    pending = model.begin({"TransactItems": [put("a")]})
    pending.commit()
    with pytest.raises(RuntimeError):
        end(pending)


# --- tokens ----------------------------------------------------------------------------------------------------


def add(token: str, number: str = "1") -> dict[str, Any]:
    update = {"UpdateExpression": "ADD n :v", "ExpressionAttributeValues": {":v": {"N": number}}}
    return {"TransactItems": [{"Update": {**T, "Key": key("a"), **update}}], "ClientRequestToken": token}


def test_a_token_stands_for_its_transaction_for_ten_minutes(model: Model, clock: Clock) -> None:
    model.call("TransactWriteItems", add("one"))
    clock.now += 599.9
    model.call("TransactWriteItems", add("one"))
    assert got(model, "a")["n"] == {"N": "1"}
    clock.now += 0.1
    model.call("TransactWriteItems", add("one"))
    assert got(model, "a")["n"] == {"N": "2"}
    clock.now += 599.9  # and ten minutes from then
    model.call("TransactWriteItems", add("one"))
    assert got(model, "a")["n"] == {"N": "2"}


def test_ten_minutes_later_a_token_may_stand_for_something_else(model: Model, clock: Clock) -> None:
    model.call("TransactWriteItems", add("one"))
    answer = refused(lambda: model.call("TransactWriteItems", add("one", "5")))
    assert answer["Error"]["Code"] == "IdempotentParameterMismatchException"
    clock.now += 600
    model.call("TransactWriteItems", add("one", "5"))
    assert got(model, "a")["n"] == {"N": "6"}


def test_the_same_content_in_another_order_of_names_is_the_same(model: Model) -> None:
    model.call("TransactWriteItems", add("one"))
    (update,) = (part["Update"] for part in add("one")["TransactItems"])
    turned = {name: update[name] for name in reversed(update)}
    model.call("TransactWriteItems", {"TransactItems": [{"Update": turned}], "ClientRequestToken": "one"})
    assert got(model, "a")["n"] == {"N": "1"}


def test_a_token_in_progress_says_so_and_is_free_after_an_abort(model: Model) -> None:
    pending = model.begin(add("one"))
    assert refused(lambda: model.begin(add("one")))["Error"]["Code"] == "TransactionInProgressException"
    pending.abort()
    model.call("TransactWriteItems", add("one"))
    assert got(model, "a")["n"] == {"N": "1"}


def test_a_repeat_reads_instead_of_writing_and_costs_that(model: Model) -> None:
    first = model.call("TransactWriteItems", {**add("one"), "ReturnConsumedCapacity": "TOTAL"})
    again = model.call("TransactWriteItems", {**add("one"), "ReturnConsumedCapacity": "TOTAL"})
    assert first["ConsumedCapacity"] == [{"TableName": "club", "CapacityUnits": 2.0, "WriteCapacityUnits": 2.0}]
    assert again["ConsumedCapacity"] == [{"TableName": "club", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}]
    assert len(model.stream("club")) == 1


# --- what lags -------------------------------------------------------------------------------------------------

DUE = {
    **T,
    "IndexName": "due",
    "KeyConditionExpression": "due_shard = :s",
    "ExpressionAttributeValues": {":s": {"S": "DUE#0"}},
}


def due(name: str, at: str) -> dict[str, Any]:
    return {**key(name), "due_shard": {"S": "DUE#0"}, "due_at": {"S": at}}


def seen(model: Model) -> list[str]:
    return [item["pk"]["S"] for item in model.call("Query", DUE)["Items"]]


def test_an_index_shows_what_was_as_long_as_it_lags(model: Model, clock: Clock) -> None:
    model.index_lag_s = 5.0
    model.call("PutItem", {**T, "Item": due("a", "2026-01")})
    assert seen(model) == []
    clock.now += 6
    model.call("PutItem", {**T, "Item": due("a", "2026-09")})
    model.call("PutItem", {**T, "Item": due("b", "2026-05")})
    assert seen(model) == ["a"]
    assert model.call("Query", DUE)["Items"][0]["due_at"] == {"S": "2026-01"}
    scanned = model.call("Scan", {**T, "IndexName": "due"})["Items"]
    assert [item["due_at"] for item in scanned] == [{"S": "2026-01"}]
    clock.now += 6
    assert seen(model) == ["b", "a"]
    model.call("DeleteItem", {**T, "Key": key("b")})
    assert seen(model) == ["b", "a"]
    clock.now += 6
    assert seen(model) == ["a"]


def test_a_lag_is_drawn_for_each_read(model: Model, clock: Clock) -> None:
    lags = iter([10.0, 0.0])
    model.index_lag_s = lambda: next(lags)
    model.call("PutItem", {**T, "Item": due("a", "2026-01")})
    clock.now += 1
    assert seen(model) == []
    assert seen(model) == ["a"]


def test_only_a_read_that_may_be_old_is_old(model: Model, clock: Clock) -> None:
    model.stale_s = 3.0
    model.call("PutItem", {**T, "Item": {**key("a"), "n": {"N": "1"}}})
    clock.now += 10
    model.call("PutItem", {**T, "Item": {**key("a"), "n": {"N": "2"}}})
    old, new = {**key("a"), "n": {"N": "1"}}, {**key("a"), "n": {"N": "2"}}
    query = {**T, "KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": {":p": {"S": "a"}}}
    batch = {"Keys": [key("a")]}
    for consistent, expected in ((False, old), (True, new)):
        assert got(model, "a", consistent) == expected
        assert model.call("Query", {**query, "ConsistentRead": consistent})["Items"] == [expected]
        assert model.call("Scan", {**T, "ConsistentRead": consistent})["Items"] == [expected]
        asked = {"RequestItems": {"club": {**batch, "ConsistentRead": consistent}}}
        assert model.call("BatchGetItem", asked)["Responses"] == {"club": [expected]}
    transaction = model.call("TransactGetItems", {"TransactItems": [{"Get": {**T, "Key": key("a")}}]})
    assert transaction["Responses"] == [{"Item": new}]
    clock.now += 3
    assert got(model, "a", consistent=False) == new


def test_a_clock_that_goes_back_brings_nothing_back(model: Model, clock: Clock) -> None:
    model.stale_s = 3.0
    model.call("PutItem", {**T, "Item": key("a")})
    clock.now -= 1000
    model.call("PutItem", {**T, "Item": {**key("a"), "n": {"N": "1"}}})
    clock.now += 1004
    assert got(model, "a", consistent=False) == {**key("a"), "n": {"N": "1"}}


# --- the stream and those who are told -------------------------------------------------------------------------


def test_stream_records_are_as_lambda_has_them(model: Model, clock: Clock) -> None:
    model.call("PutItem", {**T, "Item": {**key("a"), "b": {"B": b"\x00\xff"}, "m": {"M": {"s": {"BS": [b"x"]}}}}})
    (record,) = model.stream("club")
    assert record["eventName"] == "INSERT"
    assert record["eventSource"] == "aws:dynamodb"
    change = record["dynamodb"]
    assert change["Keys"] == key("a")
    assert change["NewImage"] == {**key("a"), "b": {"B": "AP8="}, "m": {"M": {"s": {"BS": ["eA=="]}}}}
    assert "OldImage" not in change
    assert change["ApproximateCreationDateTime"] == clock.now
    assert change["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert change["SizeBytes"] == 6 + 6 + 3 + 1 + 3 + 1 + 1 + 1  # the key twice, b, and m with what is in it


def test_records_come_in_the_order_of_commits_and_can_be_forgotten(model: Model) -> None:
    first = model.begin({"TransactItems": [put("a")]})
    second = model.begin({"TransactItems": [put("b"), put("c")]})
    second.commit()
    first.commit()
    records = model.stream("club")
    assert [record["dynamodb"]["Keys"]["pk"]["S"] for record in records] == ["b", "c", "a"]
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    assert numbers == sorted(set(numbers), key=int)
    assert len({record["eventID"] for record in records}) == 3
    assert model.stream("club", after=numbers[0], limit=1) == records[1:2]
    model.forget_stream("club", numbers[1])
    assert model.stream("club") == records[2:]


def test_commits_tell_all_changes_of_a_write_and_nothing_of_what_changed_nothing(model: Model) -> None:
    told: list[list[Change]] = []
    model.commits.append(told.append)
    old = {**key("a"), "n": {"N": "1"}}
    model.call("PutItem", {**T, "Item": old})
    model.call("PutItem", {**T, "Item": old})
    model.call("TransactWriteItems", {"TransactItems": [once("b"), {"Delete": {**T, "Key": key("a")}}]})
    refused(lambda: model.call("TransactWriteItems", {"TransactItems": [once("b"), put("c")]}))
    assert told == [
        [Change("club", key("a"), None, old)],
        [Change("club", key("b"), None, key("b")), Change("club", key("a"), old, None)],
    ]


def test_what_is_told_is_stored_already(model: Model) -> None:
    found: list[Any] = []
    model.commits.append(lambda changes: found.append(got(model, changes[0].key["pk"]["S"])))
    model.call("PutItem", {**T, "Item": key("a")})
    assert found == [key("a")]


# --- nothing is shared -----------------------------------------------------------------------------------------


def spoil(value: Any) -> None:
    """Changes everything that can be changed."""
    if isinstance(value, dict):
        for each in list(value.values()):
            spoil(each)
        value.clear()
    elif isinstance(value, list):
        for each in value:
            spoil(each)
        value.clear()


def test_nothing_that_goes_in_or_comes_out_is_part_of_the_model(model: Model) -> None:
    def item() -> dict[str, Any]:
        deep = {"M": {"l": {"L": [{"SS": ["x"]}, {"M": {"n": {"N": "1"}}}]}}}
        return {**due("a", "2026"), "deep": deep, "set": {"NS": ["1"]}, "b": {"B": bytearray(b"x")}}

    whole: Any = {**item(), "b": {"B": b"x"}}

    def spoil_changes(changes: list[Change]) -> None:
        for change in changes:
            spoil([change.key, change.old, change.new])

    model.commits.append(spoil_changes)
    asked: list[tuple[str, dict[str, Any]]] = [
        ("PutItem", {**T, "Item": item()}),
        ("UpdateItem", {**T, "Key": key("a"), "UpdateExpression": "SET c = deep", "ReturnValues": "ALL_NEW"}),
        ("UpdateItem", {**T, "Key": key("a"), "UpdateExpression": "REMOVE c", "ReturnValues": "ALL_OLD"}),
        ("GetItem", {**T, "Key": key("a")}),
        ("GetItem", {**T, "Key": key("a"), "ProjectionExpression": "deep.l"}),
        ("Query", {**DUE, "ExpressionAttributeValues": {":s": {"S": "DUE#0"}}, "Limit": 1}),
        ("Scan", dict(T)),
        ("BatchGetItem", {"RequestItems": {"club": {"Keys": [key("a")]}}}),
        ("TransactGetItems", {"TransactItems": [{"Get": {**T, "Key": key("a")}}]}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {**T, "Item": item()}}], "ClientRequestToken": "t"}),
        ("DescribeTable", dict(T)),
    ]
    for operation, params in asked:
        answer = model.call(operation, params)
        spoil(answer)
        spoil(params)
        found = got(model, "a")
        copied = found.pop("c", whole["deep"])
        assert (found, copied) == (whole, whole["deep"]), operation
    again = {"TransactItems": [{"Put": {**T, "Item": item()}}], "ClientRequestToken": "t"}
    model.call("TransactWriteItems", again)  # the token's content has been kept, not the request
    failing = {**T, "Item": key("a"), "ConditionExpression": "attribute_not_exists(pk)"}
    spoil(refused(lambda: model.call("PutItem", {**failing, "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})))
    spoil(model.items("club"))
    before = copy.deepcopy(model.stream("club"))
    spoil(model.stream("club"))
    assert model.stream("club") == before
    assert model.items("club") == [whole]
    assert seen(model) == ["a"]
    assert model.call("DescribeTable", T)["Table"]["GlobalSecondaryIndexes"][0]["IndexName"] == "due"


# --- capacity --------------------------------------------------------------------------------------------------


def body(size: int) -> dict[str, Any]:
    return {"body": {"B": b"x" * size}}


def test_a_purchase_of_two_items_takes_four_units_and_its_read_half_a_one(model: Model) -> None:
    model.call("PutItem", {**T, "Item": {**due("M#1", "2027"), **body(800)}})
    before = model.units
    model.call("GetItem", {**T, "Key": key("M#1")})
    assert model.units.read - before.read == 0.5
    account = {**T, "Item": {**due("M#1", "2027"), **body(850)}}
    model.call("TransactWriteItems", {"TransactItems": [once("E#1", **body(300)), {"Put": account}]})
    assert model.units.write - before.write == 4  # what is due next stays, so the index takes nothing


def test_what_is_due_next_and_changes_takes_two_units_of_the_index(model: Model) -> None:
    model.call("PutItem", {**T, "Item": due("M#1", "2027")})
    before = model.units
    parts = [once("E#1"), {"Put": {**T, "Item": due("M#1", "2026")}}]
    answer = model.call("TransactWriteItems", {"TransactItems": parts, "ReturnConsumedCapacity": "INDEXES"})
    assert model.units.write - before.write == 6
    (consumed,) = answer["ConsumedCapacity"]
    assert consumed["GlobalSecondaryIndexes"]["due"]["CapacityUnits"] == 2
    assert consumed["Table"]["CapacityUnits"] == 4


def test_four_items_of_which_one_enters_the_index_take_nine_units(model: Model) -> None:
    before = model.units
    parts = [put("1"), put("2"), put("3"), {"Put": {**T, "Item": due("4", "2026")}}]
    model.call("TransactWriteItems", {"TransactItems": parts})
    assert model.units.write - before.write == 9


def test_what_fails_costs_all_the_same(model: Model) -> None:
    model.call("PutItem", {**T, "Item": {**key("a"), **body(2500)}})
    before = model.units
    refused(lambda: model.call("PutItem", {**T, "Item": key("a"), "ConditionExpression": "attribute_not_exists(pk)"}))
    assert model.units.write - before.write == 3  # what writing the item that is there takes
    refused(lambda: model.call("TransactWriteItems", {"TransactItems": [once("a"), put("b")]}))
    assert model.units.write - before.write == 3 + 6 + 2


# --- size and speed --------------------------------------------------------------------------------------------


def test_an_index_stays_right_with_many_items_that_come_and_go(model: Model) -> None:
    expected: dict[str, str] = {}
    for number in range(3000):
        name, at = f"p{number * 7919 % 500}", f"{number * 104729 % 1000:04}"
        if number % 5 == 4:
            model.call("DeleteItem", {**T, "Key": key(name)})
            expected.pop(name, None)
        else:
            model.call("PutItem", {**T, "Item": due(name, at)})
            expected[name] = at
    whole = sorted(expected, key=lambda name: (expected[name], name))
    assert seen(model) == whole
    behind = {**DUE, "ScanIndexForward": False}
    assert [item["pk"]["S"] for item in model.call("Query", behind)["Items"]] == whole[::-1]
    until = {
        **DUE,
        "KeyConditionExpression": "due_shard = :s AND due_at < :v",
        "ExpressionAttributeValues": {":s": {"S": "DUE#0"}, ":v": {"S": "0500"}},
    }
    found = [item["pk"]["S"] for item in model.call("Query", until)["Items"]]
    assert found == [name for name in whole if expected[name] < "0500"]
    assert model.size("club") > 0
    for name in whole:
        model.call("DeleteItem", {**T, "Key": key(name)})
    assert (model.size("club"), model.items("club"), seen(model)) == (0, [], [])
