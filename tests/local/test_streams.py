"""Table -> function: order, batches, retries from the first failure on, splitting, giving up, trimming."""

import base64
from datetime import timedelta
from typing import Any

import pytest
from moto.dynamodb.models import dynamodb_backends

from tests.local.conftest import NOW, Tiny


def keys(event: dict[str, Any]) -> list[str]:
    return [record["dynamodb"]["Keys"]["pk"]["S"] for record in event["Records"]]


def numbers(event: dict[str, Any]) -> list[int]:
    return [int(record["dynamodb"]["SequenceNumber"]) for record in event["Records"]]


def failing_from(pk: str) -> Any:
    def behave(event: dict[str, Any]) -> dict[str, Any]:
        failed = [
            record["dynamodb"]["SequenceNumber"]
            for record in event["Records"]
            if record["dynamodb"]["Keys"]["pk"]["S"] == pk
        ]
        return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}

    return behave


def test_changes_come_in_order_and_are_taken_out_of_the_table(tiny: Tiny) -> None:
    for pk in "abcdef":
        tiny.put(pk)
    tiny.stack.drain()
    first, second = tiny.calls("announcer")
    assert (keys(first), keys(second)) == (["a", "b", "c", "d"], ["e", "f"])
    all_numbers = numbers(first) + numbers(second)
    assert all_numbers == sorted(all_numbers)
    shard = dynamodb_backends["123456789012"]["eu-west-1"].tables[tiny.table].stream_shard
    assert shard is not None
    assert shard.items == []
    tiny.put("g")
    tiny.stack.drain()
    assert numbers(tiny.calls("announcer")[2]) == [all_numbers[-1] + 1]


def test_a_record_has_the_shape_that_lambda_gives_it(tiny: Tiny) -> None:
    client = tiny.stack.client("dynamodb")
    item = {"pk": {"S": "a"}, "sk": {"S": "1"}, "b": {"B": b"\x00\xff"}, "m": {"M": {"l": {"L": [{"BS": [b"x"]}]}}}}
    client.put_item(TableName=tiny.table, Item=item)
    tiny.stack.set_clock(NOW + timedelta(milliseconds=1500))
    client.delete_item(TableName=tiny.table, Key={"pk": {"S": "a"}, "sk": {"S": "1"}})
    tiny.stack.set_clock(NOW + timedelta(days=1))
    tiny.stack.drain()
    (event,) = tiny.calls("announcer")
    inserted, removed = event["Records"]
    encoded = base64.b64encode(b"\x00\xff").decode()
    assert inserted["eventName"] == "INSERT"
    assert inserted["eventSourceARN"] == f"{tiny.arn('Table')}/stream/local"
    assert inserted["awsRegion"] == "eu-west-1"
    change = inserted["dynamodb"]
    assert change["Keys"] == {"pk": {"S": "a"}, "sk": {"S": "1"}}
    assert change["NewImage"]["b"] == {"B": encoded}
    assert change["NewImage"]["m"] == {"M": {"l": {"L": [{"BS": [base64.b64encode(b"x").decode()]}]}}}
    assert "OldImage" not in change
    # The time is that of the change, and not that of the delivery.
    assert change["ApproximateCreationDateTime"] == NOW.timestamp()
    assert (removed["eventName"], "NewImage" in removed["dynamodb"]) == ("REMOVE", False)
    assert removed["dynamodb"]["ApproximateCreationDateTime"] == NOW.timestamp() + 1.5


def test_a_reported_failure_holds_up_what_comes_after_it_and_repeats_nothing_before_it(tiny: Tiny) -> None:
    for pk in "abcd":
        tiny.put(pk)
    seen: list[list[str]] = []

    def behave(event: dict[str, Any]) -> Any:
        seen.append(keys(event))
        return failing_from("c")(event) if len(seen) < 3 else None

    tiny.tell("announcer", behave)
    assert tiny.stack.drain() == (0, 0)
    assert seen == [["a", "b", "c", "d"], ["c", "d"], ["c", "d"]]


def test_an_exception_splits_the_batch_until_the_bad_record_is_alone_and_is_given_up(tiny: Tiny) -> None:
    for pk in "abcd":
        tiny.put(pk)
    taken: list[str] = []

    def behave(event: dict[str, Any]) -> None:
        if "b" in keys(event):
            raise RuntimeError("no")
        taken.extend(keys(event))

    tiny.tell("announcer", behave)
    assert tiny.stack.drain() == (0, 1)
    assert taken == ["a", "c", "d"]
    assert sum(keys(event) == ["b"] for event in tiny.calls("announcer")) == 3
    (letter,) = tiny.stack.dead_letters()
    assert letter["queue"] == "ChangeDeadQueue"
    assert letter["message"]["DDBStreamBatchInfo"]["batchSize"] == 1
    tiny.tell("announcer", None)
    tiny.stack.redrive()
    assert keys(tiny.calls("announcer")[-1]) == ["b"]
    assert tiny.stack.dead_letters() == []


def test_a_transaction_that_fails_leaves_nothing_in_the_stream(tiny: Tiny) -> None:
    client = tiny.stack.client("dynamodb")
    put = {"TableName": tiny.table, "Item": {"pk": {"S": "a"}, "sk": {"S": "1"}}}
    check = {
        "TableName": tiny.table,
        "Key": {"pk": {"S": "z"}, "sk": {"S": "1"}},
        "ConditionExpression": "attribute_exists(pk)",
    }
    with pytest.raises(client.exceptions.TransactionCanceledException) as raised:
        client.transact_write_items(TransactItems=[{"Put": put}, {"ConditionCheck": check}])
    codes = [reason["Code"] for reason in raised.value.response["CancellationReasons"]]
    assert codes == ["None", "ConditionalCheckFailed"]
    tiny.stack.drain()
    assert tiny.calls("announcer") == []


def test_what_the_table_says_can_be_announced_without_a_drain(tiny: Tiny) -> None:
    tiny.put("a")
    tiny.send("waits")
    tiny.stack.work_streams()
    assert [keys(event) for event in tiny.calls("announcer")] == [["a"]]
    assert tiny.calls("worker") == []
