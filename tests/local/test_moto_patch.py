"""The patch changes what moto costs, and nothing of what it answers, stores or streams."""

import copy
import random
import time
from contextlib import nullcontext
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws
from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table

from local import moto_patch

REGION = "eu-west-1"
SCHEMA: dict[str, Any] = {
    "TableName": "t",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
    "AttributeDefinitions": [
        {"AttributeName": name, "AttributeType": kind}
        for name, kind in (("pk", "S"), ("sk", "S"), ("shard", "S"), ("at", "S"), ("n", "N"))
    ],
    "GlobalSecondaryIndexes": [
        {
            "IndexName": name,
            "KeySchema": [
                {"AttributeName": "shard", "KeyType": "HASH"},
                *([{"AttributeName": sort, "KeyType": "RANGE"}] if sort else []),
            ],
            "Projection": projection,
        }
        for name, sort, projection in (
            ("due", "at", {"ProjectionType": "KEYS_ONLY"}),
            ("whole", "n", {"ProjectionType": "ALL"}),
            ("some", None, {"ProjectionType": "INCLUDE", "NonKeyAttributes": ["note"]}),
            ("numbers", "n", {"ProjectionType": "KEYS_ONLY"}),
        )
    ],
    "StreamSpecification": {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
}
KEYLESS = {
    "TableName": "k",
    "BillingMode": "PAY_PER_REQUEST",
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
}


class Scenario:
    """Random work on a table; the same seed asks for the same work, whatever the answers."""

    def __init__(self, seed: int, client: Any) -> None:
        self.random = random.Random(seed)
        self.client = client
        self.answers: list[Any] = []

    def ask(self, operation: str, **request: Any) -> Any:
        try:
            answer = getattr(self.client, operation)(**request)
        except ClientError as error:
            answer = copy.deepcopy(error.response)
        answer.pop("ResponseMetadata")
        self.answers.append((operation, request, answer))
        return answer

    def key(self, table: str = "t") -> dict[str, Any]:
        key = {"pk": {"S": f"p{self.random.randrange(4)}"}}
        return key if table == "k" else {**key, "sk": {"S": f"s{self.random.randrange(6)}"}}

    def item(self, table: str = "t") -> dict[str, Any]:
        item = self.key(table)
        if self.random.random() < 0.7:
            item["shard"] = {"S": f"d{self.random.randrange(2)}"}
        if self.random.random() < 0.8:
            item["at"] = {"S": f"2026-0{self.random.randrange(1, 10)}"}
        if self.random.random() < 0.8:
            item["n"] = {"N": str(self.random.randrange(-5, 15))}
        item["note"] = self.random.choice(
            [
                {"B": self.random.randbytes(4)},
                {"M": {"a": {"L": [{"S": ""}, {"NULL": True}, {"BOOL": False}]}, "b": {"B": b"\xff"}}},
                {"SS": ["x", "y"]},
                {"NS": ["1", "2"]},
                {"BS": [b"\x00", b"b"]},
                {"S": "é"},
            ]
        )
        return item

    def condition(self) -> dict[str, Any]:
        kind = self.random.randrange(5)
        if kind == 0:
            return {"ConditionExpression": "attribute_not_exists(pk)"}
        if kind == 1:
            return {"ConditionExpression": "attribute_exists(pk)"}
        if kind == 2:
            value = {":v": {"N": str(self.random.randrange(-5, 15))}}
            return {"ConditionExpression": "n < :v", "ExpressionAttributeValues": value}
        return {}

    def update(self, table: str) -> dict[str, Any]:
        condition = self.condition()
        values = dict(condition.get("ExpressionAttributeValues", {}))
        expression = self.random.choice(
            ["SET #a = :x", "REMOVE shard", "SET n = n + :one", "ADD hits :one REMOVE #a", "SET shard = :x, #a = :x"]
        )
        names = {"#a": "at"} if "#a" in expression else {}
        if ":x" in expression:
            values[":x"] = {"S": f"2026-0{self.random.randrange(1, 10)}" if "shard" not in expression else "d1"}
        if ":one" in expression:
            values[":one"] = {"N": "1"}
        request = {"TableName": table, "Key": self.key(table), "UpdateExpression": expression, **condition}
        if names:
            request["ExpressionAttributeNames"] = names
        if values:
            request["ExpressionAttributeValues"] = values
        return request

    def transact(self) -> None:
        parts = []
        for _ in range(self.random.randrange(1, 5)):
            table = "t" if self.random.random() < 0.85 else "k"
            kind = self.random.randrange(4)
            if kind == 0:
                part = {"Put": {"TableName": table, "Item": self.item(table), **self.condition()}}
            elif kind == 1:
                part = {"Update": self.update(table)}
            elif kind == 2:
                part = {"Delete": {"TableName": table, "Key": self.key(table), **self.condition()}}
            else:
                condition = self.condition() or {"ConditionExpression": "attribute_exists(pk)"}
                part = {"ConditionCheck": {"TableName": table, "Key": self.key(table), **condition}}
            (operation,) = part.values()
            if self.random.random() < 0.3:
                operation["ReturnValuesOnConditionCheckFailure"] = "ALL_OLD"
            if self.random.random() < 0.03:
                operation["TableName"] = "elsewhere"
            parts.append(part)
        self.ask("transact_write_items", TransactItems=parts)

    def single(self) -> None:
        table = "t" if self.random.random() < 0.85 else "k"
        kind = self.random.randrange(4)
        if kind == 0:
            self.ask("put_item", TableName=table, Item=self.item(table), **self.condition(), ReturnValues="ALL_OLD")
        elif kind == 1:
            self.ask("update_item", **self.update(table), ReturnValues="ALL_NEW")
        elif kind == 2:
            self.ask("delete_item", TableName=table, Key=self.key(table), **self.condition(), ReturnValues="ALL_OLD")
        else:
            self.ask("get_item", TableName=table, Key=self.key(table), ConsistentRead=True)

    def query(self) -> None:
        index = self.random.choice([None, "due", "whole", "some", "numbers"])
        name, sort = ("pk", "sk") if index is None else ("shard", {"due": "at", "some": None}.get(index, "n"))
        value = f"p{self.random.randrange(5)}" if index is None else f"d{self.random.randrange(3)}"
        expression, values = f"{name} = :h", {":h": {"S": value}}
        names = {}
        comparison = self.random.choice([None, "<", "<=", "=", ">=", ">", "BETWEEN", "begins_with"])
        if sort and comparison and not (sort == "n" and comparison == "begins_with"):
            low, high = sorted(
                [f"s{self.random.randrange(6)}" for _ in "ab"]
                if sort == "sk"
                else [f"2026-0{self.random.randrange(1, 10)}" for _ in "ab"]
                if sort == "at"
                else [str(self.random.randrange(-5, 15)) for _ in "ab"],
                key=lambda text: (float(text) if sort == "n" else 0, text),
            )
            names["#r"] = sort
            kind = "N" if sort == "n" else "S"
            values[":a"] = {kind: low}
            if comparison == "BETWEEN":
                expression += " AND #r BETWEEN :a AND :b"
                values[":b"] = {kind: high}
            elif comparison == "begins_with":
                expression += " AND begins_with(#r, :a)"
                values[":a"] = {"S": low[: self.random.randrange(1, 8)]}
            else:
                expression += f" AND #r {comparison} :a"
        request: dict[str, Any] = {
            "TableName": "t",
            "KeyConditionExpression": expression,
            "ExpressionAttributeValues": values,
            "ScanIndexForward": self.random.random() < 0.5,
        }
        if index:
            request["IndexName"] = index
        if names:
            request["ExpressionAttributeNames"] = names
        if self.random.random() < 0.5:
            request["Limit"] = self.random.randrange(1, 4)
        if self.random.random() < 0.2:
            request["ProjectionExpression"] = "pk, sk"
        if self.random.random() < 0.2:
            request["FilterExpression"] = "attribute_exists(n)" if sort != "n" else "attribute_exists(pk)"
        for _ in range(20):
            answer = self.ask("query", **request)
            if "LastEvaluatedKey" not in answer:
                return
            request = {**request, "ExclusiveStartKey": answer["LastEvaluatedKey"]}
        raise AssertionError("a query has no end")


def stored(table: Table) -> list[Any]:
    return [(repr(item.hash_key), repr(item.range_key), item.to_json()) for item in table.all_items()]


def streamed(table: Table) -> list[Any]:
    if table.stream_shard is None:
        return []
    kept = []
    for record in table.stream_shard.items:
        change = {name: value for name, value in record.record["dynamodb"].items() if "Time" not in name}
        # How big a record is follows from the digits of its time as well.
        change.pop("SizeBytes")
        kept.append((record.record["eventName"], repr(change)))
    return kept


def run(seed: int, patched: bool, steps: int) -> tuple[list[Any], list[Any]]:
    """Run a scenario; gives its answers, and after each step what is stored and streamed."""
    states = []
    with mock_aws(), moto_patch.patched() if patched else nullcontext():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(**copy.deepcopy(SCHEMA))
        client.create_table(**copy.deepcopy(KEYLESS))
        scenario = Scenario(seed, client)
        for _ in range(steps):
            scenario.transact()
            scenario.single()
            for _ in range(2):
                scenario.query()
            backend = dynamodb_backends["123456789012"][REGION]
            states.append([(stored(table), streamed(table)) for table in backend.tables.values()])
    return scenario.answers, states


@pytest.mark.parametrize("seed", range(4))
def test_the_same_work_has_the_same_outcome_with_and_without_the_patch(seed: int) -> None:
    steps = 110  # 440 transactions in all
    theirs, ours = run(seed, False, steps), run(seed, True, steps)
    for (operation, request, expected), (_, _, got) in zip(theirs[0], ours[0], strict=True):
        assert got == expected, (operation, request)
    assert ours[1] == theirs[1]
    transactions = [answer for operation, _, answer in theirs[0] if operation == "transact_write_items"]
    # The work is worth comparing: some of it was done, and some was undone.
    assert len(transactions) == steps
    assert sum("Error" in answer for answer in transactions) > steps // 4
    assert sum("Error" not in answer for answer in transactions) > steps // 10
    assert sum(bool(answer.get("Items")) for operation, _, answer in theirs[0] if operation == "query") > steps // 2


def test_the_patch_is_gone_afterwards() -> None:
    before = (Table.put_item, Table.query, Table.get_item)
    with moto_patch.patched():
        assert Table.put_item is not before[0]
    assert (Table.put_item, Table.query, Table.get_item) == before


def test_an_item_that_leaves_an_index_is_not_found_there() -> None:
    with mock_aws(), moto_patch.patched():
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(**copy.deepcopy(SCHEMA))
        key = {"pk": {"S": "p"}, "sk": {"S": "s"}}
        due = {"KeyConditionExpression": "shard = :s", "ExpressionAttributeValues": {":s": {"S": "d"}}}
        client.put_item(TableName="t", Item={**key, "shard": {"S": "d"}, "at": {"S": "2026"}})
        assert client.query(TableName="t", IndexName="due", **due)["Count"] == 1
        client.put_item(TableName="t", Item=key)
        assert client.query(TableName="t", IndexName="due", **due)["Count"] == 0
        with pytest.raises(ClientError):
            client.transact_write_items(
                TransactItems=[
                    {"Put": {"TableName": "t", "Item": {**key, "shard": {"S": "d"}, "at": {"S": "2026"}}}},
                    {
                        "ConditionCheck": {
                            "TableName": "t",
                            "Key": {"pk": {"S": "q"}, "sk": {"S": "s"}},
                            "ConditionExpression": "attribute_exists(pk)",
                        }
                    },
                ]
            )
        assert client.query(TableName="t", IndexName="due", **due)["Count"] == 0


def test_reading_the_stream_takes_the_records_out_and_numbers_go_on() -> None:
    then = datetime(1997, 1, 1, tzinfo=UTC).replace(tzinfo=None)  # as moto has it
    with mock_aws(), moto_patch.patched(lambda: then):
        client = boto3.client("dynamodb", region_name=REGION)
        client.create_table(**copy.deepcopy(SCHEMA))
        table = dynamodb_backends["123456789012"][REGION].tables["t"]
        numbers = []
        for pk in ("a", "b"):
            client.put_item(TableName="t", Item={"pk": {"S": pk}, "sk": {"S": "s"}})
            (record,) = moto_patch.take_stream_records(table)
            numbers.append(int(record["dynamodb"]["SequenceNumber"]))
            assert record["dynamodb"]["ApproximateCreationDateTime"] == then
        assert numbers[1] == numbers[0] + 1
        assert moto_patch.take_stream_records(table) == []


def test_cost_follows_what_is_touched_and_not_what_is_stored() -> None:
    def seconds(items: int) -> float:
        with mock_aws(), moto_patch.patched():
            client = boto3.client("dynamodb", region_name=REGION)
            client.create_table(**copy.deepcopy(SCHEMA))
            table = dynamodb_backends["123456789012"][REGION].tables["t"]
            for number in range(items):
                due = {"shard": {"S": "d"}, "at": {"S": f"{number:06}"}}
                table.put_item({"pk": {"S": f"p{number}"}, "sk": {"S": "s"}, **due})
            took = []
            for number in range(30):
                started = time.process_time()
                put = {"TableName": "t", "Item": {"pk": {"S": f"new{number}"}, "sk": {"S": "s"}}}
                client.transact_write_items(TransactItems=[{"Put": put}])
                values = {":s": {"S": "d"}, ":a": {"S": "000005"}}
                condition = "shard = :s AND #a < :a"
                client.query(
                    TableName="t",
                    IndexName="due",
                    KeyConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ExpressionAttributeNames={"#a": "at"},
                )
                client.query(
                    TableName="t", KeyConditionExpression="pk = :p", ExpressionAttributeValues={":p": {"S": "p1"}}
                )
                took.append(time.process_time() - started)
            return min(took)

    # Unpatched it is some hundred times as much; the same but for the machine's moods is what is wanted.
    assert seconds(10_000) < 5 * seconds(50)
