"""Where requests leave botocore: faults and their retries, tokens of transactions, roles, and what is not there."""

import os
import time
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError, ReadTimeoutError

from local.boundary import NotInTheStack
from local.faults import BadFault, Faults
from local.permissions import Need
from tests.local.conftest import Tiny


@pytest.fixture
def client(tiny: Tiny) -> Iterator[Any]:
    """Gives a client as a function has it: faults and roles count while the function runs."""
    spec = tiny.stack.template.function("worker")
    tiny.stack.runtime.running = spec
    yield boto3.client("dynamodb")
    tiny.stack.runtime.running = None


def item(pk: str) -> dict[str, Any]:
    return {"pk": {"S": pk}, "sk": {"S": "1"}}


def put(tiny: Tiny, pk: str = "A#1") -> dict[str, Any]:
    return {"TableName": tiny.table, "Item": item(pk), "ConditionExpression": "attribute_not_exists(pk)"}


def stored(tiny: Tiny) -> int:
    """Count the table's items, from outside."""
    tiny.stack.runtime.running, running = None, tiny.stack.runtime.running
    try:
        return tiny.stack.client("dynamodb").scan(TableName=tiny.table)["Count"]
    finally:
        tiny.stack.runtime.running = running


def code(raised: pytest.ExceptionInfo[ClientError]) -> str:
    return raised.value.response["Error"]["Code"]


def test_a_busy_table_is_asked_again_by_the_client_and_then_told(tiny: Tiny, client: Any) -> None:
    tiny.stack.order_fault({"operation": "PutItem", "kind": "throttle", "rate": 1.0})
    with pytest.raises(ClientError) as raised:
        client.put_item(**put(tiny))
    assert code(raised) == "ProvisionedThroughputExceededException"
    assert raised.value.response["ResponseMetadata"]["RetryAttempts"] > 1
    assert tiny.stack.faults_given == raised.value.response["ResponseMetadata"]["RetryAttempts"] + 1
    assert stored(tiny) == 0
    tiny.stack.order_fault({})
    client.put_item(**put(tiny))
    assert stored(tiny) == 1


def test_an_error_of_the_server_is_asked_again(tiny: Tiny, client: Any) -> None:
    tiny.stack.order_fault({"operation": "GetItem", "kind": "error", "rate": 0.5, "seed": 3})
    for number in range(20):
        client.get_item(TableName=tiny.table, Key=item(f"A#{number}"))
    assert tiny.stack.faults_given > 5


def test_a_conflict_names_its_reason_and_is_not_asked_again(tiny: Tiny, client: Any) -> None:
    tiny.stack.order_fault({"operation": "TransactWriteItems", "kind": "conflict"})
    with pytest.raises(ClientError) as raised:
        client.transact_write_items(TransactItems=[{"Put": put(tiny)}, {"Put": put(tiny, "A#2")}])
    assert code(raised) == "TransactionCanceledException"
    reasons = raised.value.response["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "TransactionConflict"]
    assert tiny.stack.faults_given == 1
    tiny.stack.order_fault({"operation": "PutItem", "kind": "conflict"})
    with pytest.raises(ClientError) as raised:
        client.put_item(**put(tiny))
    assert code(raised) == "TransactionConflictException"
    assert stored(tiny) == 0


@pytest.mark.parametrize(("kind", "expected"), [("timeout_before", 0), ("timeout_after", 1)])
def test_a_timeout_comes_before_or_after_the_write(tiny: Tiny, client: Any, kind: str, expected: int) -> None:
    tiny.stack.order_fault({"operation": "TransactWriteItems", "kind": kind, "rate": 1})
    with pytest.raises(ReadTimeoutError):
        client.transact_write_items(TransactItems=[{"Put": put(tiny)}])
    assert stored(tiny) == expected


def test_a_transaction_whose_answer_was_lost_is_not_done_twice_by_the_clients_retry(tiny: Tiny, client: Any) -> None:
    fault = Faults()
    order = {"operation": "TransactWriteItems", "kind": "timeout_after", "rate": 0.5}
    # A seed by which the first try is hit and the second is not.
    seeds = []
    for seed in range(100):
        fault.order({**order, "seed": seed})
        if [fault.hit("TransactWriteItems") is not None for _ in range(2)] == [True, False]:
            seeds.append(seed)
    tiny.stack.order_fault({**order, "seed": seeds[0]})
    client.transact_write_items(TransactItems=[{"Put": put(tiny)}])
    assert (tiny.stack.faults_given, stored(tiny)) == (1, 1)
    # A single put has no such promise: its retry meets what it wrote itself.
    tiny.stack.order_fault({**order, "operation": "PutItem", "seed": seeds[0]})
    with pytest.raises(client.exceptions.ConditionalCheckFailedException):
        client.put_item(**put(tiny, "A#2"))
    assert stored(tiny) == 2


def test_a_transactions_token_may_not_be_used_for_another(tiny: Tiny, client: Any) -> None:
    client.transact_write_items(TransactItems=[{"Put": put(tiny)}], ClientRequestToken="t1")
    client.transact_write_items(TransactItems=[{"Put": put(tiny)}], ClientRequestToken="t1")
    with pytest.raises(client.exceptions.IdempotentParameterMismatchException):
        client.transact_write_items(TransactItems=[{"Put": put(tiny, "A#2")}], ClientRequestToken="t1")
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(TransactItems=[{"Put": put(tiny)}], ClientRequestToken="t2")
    assert stored(tiny) == 1


def test_a_seed_repeats_its_faults(tiny: Tiny) -> None:
    def hits(seed: int) -> list[bool]:
        faults = Faults()
        faults.order({"operation": "Query", "kind": "error", "rate": 0.3, "seed": seed})
        return [faults.hit("Query") is not None for _ in range(200)]

    assert hits(7) == hits(7) != hits(8)
    assert 30 < sum(hits(7)) < 90
    faults = Faults()
    faults.order({"operation": "Query", "kind": "error", "rate": 1})
    assert faults.hit("GetItem") is None


def test_a_read_is_never_in_conflict(tiny: Tiny, client: Any) -> None:
    tiny.stack.order_fault({"operation": "GetItem", "kind": "conflict"})
    assert "Item" not in client.get_item(TableName=tiny.table, Key=item("A#0"))


@pytest.mark.parametrize(
    "order",
    [
        {"operation": "PutItem"},
        {"kind": "throttle"},
        {"operation": "Dance", "kind": "throttle"},
        {"operation": "PutItem", "kind": "rain"},
        {"operation": "PutItem", "kind": "throttle", "rate": 1.5},
        {"operation": "PutItem", "kind": "throttle", "rate": -0.1},
        {"operation": "PutItem", "kind": "throttle", "rate": True},
        {"operation": "PutItem", "kind": "throttle", "rate": "all"},
        {"operation": "PutItem", "kind": "throttle", "rate": float("nan")},
        {"operation": "PutItem", "kind": "throttle", "seed": 1.5},
        {"operation": "PutItem", "kind": "throttle", "often": True},
        {"operation": ["PutItem"], "kind": "throttle"},
    ],
)
def test_an_order_that_makes_no_sense_is_refused_and_changes_nothing(order: dict[str, Any]) -> None:
    faults = Faults()
    faults.order({"operation": "Query", "kind": "error"})
    with pytest.raises(BadFault):
        faults.order(order)
    assert faults.hit("Query") == "error"


def test_the_stacks_own_reading_meets_no_fault(tiny: Tiny) -> None:
    tiny.stack.order_fault({"operation": "Scan", "kind": "error"})
    assert stored(tiny) == 0
    assert tiny.stack.faults_given == 0


def test_a_role_allows_its_actions_on_its_keys_and_nothing_else(tiny: Tiny, client: Any) -> None:
    client.put_item(**put(tiny))
    client.get_item(TableName=tiny.table, Key=item("A#1"))
    values = {":p": {"S": "A#1"}}
    client.query(TableName=tiny.table, KeyConditionExpression="pk = :p", ExpressionAttributeValues=values)
    client.batch_get_item(RequestItems={tiny.table: {"Keys": [item("A#1")]}})
    other = {":p": {"S": "B#1"}}
    for call in (
        lambda: client.put_item(**put(tiny, "B#1")),
        lambda: client.get_item(TableName=tiny.table, Key=item("AA#1")),
        lambda: client.query(TableName=tiny.table, KeyConditionExpression="pk = :p", ExpressionAttributeValues=other),
        lambda: client.batch_get_item(RequestItems={tiny.table: {"Keys": [item("A#1"), item("B#1")]}}),
        lambda: client.transact_write_items(TransactItems=[{"Put": put(tiny, "A#2")}, {"Put": put(tiny, "B#2")}]),
        lambda: client.transact_write_items(TransactItems=[{"Delete": {"TableName": tiny.table, "Key": item("A#1")}}]),
        lambda: client.delete_item(TableName=tiny.table, Key=item("A#1")),
        lambda: client.scan(TableName=tiny.table),
        lambda: client.describe_table(TableName=tiny.table),
    ):
        with pytest.raises(ClientError) as raised:
            call()
        assert code(raised) == "AccessDeniedException"
        assert "WorkerFunction" in str(raised.value)
    assert stored(tiny) == 1
    sqs = boto3.client("sqs")
    sqs.send_message(QueueUrl=tiny.stack.template.queues[tiny.arn("DeadQueue")].url, MessageBody="a")
    with pytest.raises(ClientError, match="does not allow sqs:SendMessage"):
        sqs.send_message(QueueUrl=tiny.stack.template.queues[tiny.arn("WorkQueue")].url, MessageBody="a")
    with pytest.raises(ClientError, match="does not allow events:PutEvents"):
        boto3.client("events").put_events(Entries=[{"Source": "a", "DetailType": "b", "Detail": "{}"}])


def test_what_was_used_is_kept_for_a_test_of_the_roles(tiny: Tiny, client: Any) -> None:
    client.put_item(**put(tiny, "A#42"))
    assert tiny.stack.used_permissions == {"WorkerFunction": {Need("dynamodb:PutItem", tiny.arn("Table"), "A#")}}


def test_a_service_that_the_stack_has_not_is_told_and_never_called(tiny: Tiny) -> None:
    with pytest.raises(NotInTheStack, match="sts is not part of the local stack"):
        boto3.client("sts").get_caller_identity()


def test_a_function_sees_its_own_environment_and_nothing_of_the_machines(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.send("a")
    tiny.stack.request("GET", "/open")
    tiny.stack.drain()
    worker, web = tiny.contexts_environment("worker"), tiny.contexts_environment("web")
    assert worker["COLOUR"] == web["COLOUR"] == "red"
    assert worker["QUEUE_URL"].endswith("/club-local-WorkQueue")
    assert worker["NAME"] == "plain-red"
    assert "QUEUE_URL" not in web
    assert (worker["AWS_REGION"], worker["AWS_ACCESS_KEY_ID"]) == ("eu-west-1", "local")
    assert worker["AWS_LAMBDA_FUNCTION_NAME"] == "club-local-WorkerFunction"
    assert "AWS_SESSION_TOKEN" not in worker  # the tests' own, see the root's conftest
    assert "QUEUE_URL" not in os.environ


def test_the_context_counts_the_time_that_is_left(tiny: Tiny) -> None:
    tiny.stack.request("GET", "/open")
    (context,) = tiny.module("web")["contexts"]
    assert 0 < context.get_remaining_time_in_millis() <= 7000
    assert context.invoked_function_arn == tiny.arn("WebFunction")
    assert context.memory_limit_in_mb == "128"
    assert len(context.aws_request_id) == 36


def test_a_function_that_waits_loses_its_time_and_keeps_nobody_waiting(tiny: Tiny) -> None:
    left = []

    def behave(event: Any) -> None:
        context = tiny.module("web")["contexts"][-1]
        left.append(context.get_remaining_time_in_millis())
        time.sleep(5)
        left.append(context.get_remaining_time_in_millis())
        time.sleep(5)
        left.append(context.get_remaining_time_in_millis())

    tiny.tell("web", behave)
    started = time.monotonic()
    tiny.stack.request("GET", "/open")
    assert time.monotonic() - started < 5
    assert 4_900 < left[0] - left[1] < 6_000
    assert left[2] == 0
