"""Queue -> function: batches, partial failures, retries, dead letters, and the times that messages carry."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.queues import epoch_ms
from tests.local.conftest import NOW, Tiny

NOW_MS = str(epoch_ms(NOW))


def bodies(event: dict[str, Any]) -> list[str]:
    return [record["body"] for record in event["Records"]]


def failing(*wanted: str) -> Any:
    """Make a function that reports the messages with these bodies as failed."""

    def behave(event: dict[str, Any]) -> dict[str, Any]:
        failed = [record["messageId"] for record in event["Records"] if record["body"] in wanted]
        return {"batchItemFailures": [{"itemIdentifier": message_id} for message_id in failed]}

    return behave


def raising(event: Any) -> None:
    raise RuntimeError("no")


def test_messages_come_in_order_in_batches_of_the_mappings_size(tiny: Tiny) -> None:
    tiny.send(*"abcdefg")
    assert tiny.stack.drain() == (7, 0)
    assert [bodies(event) for event in tiny.calls("worker")] == [["a", "b", "c"], ["d", "e", "f"], ["g"]]


def test_a_record_has_the_shape_that_lambda_gives_it(tiny: Tiny) -> None:
    tiny.send('{"a": 1}', colour="red")
    tiny.stack.drain()
    (event,) = tiny.calls("worker")
    (record,) = event["Records"]
    assert record.pop("messageId") in record.pop("receiptHandle")
    assert record == {
        "body": '{"a": 1}',
        "attributes": {
            "ApproximateReceiveCount": "1",
            "SentTimestamp": NOW_MS,
            "SenderId": "AIDALOCALSTACK",
            "ApproximateFirstReceiveTimestamp": NOW_MS,
        },
        "messageAttributes": {
            "colour": {"stringValue": "red", "stringListValues": [], "binaryListValues": [], "dataType": "String"}
        },
        "md5OfBody": "42b7b4f2921788ea14dac5566e6f06d0",
        "eventSource": "aws:sqs",
        "eventSourceARN": tiny.arn("WorkQueue"),
        "awsRegion": "eu-west-1",
    }


def test_only_what_failed_comes_again_and_its_neighbours_do_not(tiny: Tiny) -> None:
    tiny.send(*"abc")
    tiny.tell("worker", failing("b"))
    assert tiny.stack.drain() == (2, 1)
    assert [bodies(event) for event in tiny.calls("worker")] == [["a", "b", "c"], ["b"], ["b"]]
    counts = [
        record["attributes"]["ApproximateReceiveCount"] for event in tiny.calls("worker") for record in event["Records"]
    ]
    assert counts == ["1", "1", "1", "2", "3"]


def test_an_exception_fails_the_batch_as_a_whole(tiny: Tiny) -> None:
    tiny.send(*"ab")
    tiny.tell("worker", raising)
    assert tiny.stack.drain() == (0, 2)
    assert [bodies(event) for event in tiny.calls("worker")] == [["a", "b"]] * 3


@pytest.mark.parametrize("answer", [None, {}, "", {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_answer_means_that_all_went_well(tiny: Tiny, answer: Any) -> None:
    tiny.send(*"ab")
    tiny.tell("worker", lambda event: answer)
    assert tiny.stack.drain() == (2, 0)


@pytest.mark.parametrize(
    "answer",
    [
        {"batchItemFailures": [{"itemIdentifier": "of-nobody"}]},
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "x"}]},
        {"batchItemFailures": ["x"]},
        "done",
        {"batchItemFailures": {1, 2}},  # no JSON
    ],
)
def test_an_answer_that_cannot_be_understood_fails_the_batch(tiny: Tiny, answer: Any) -> None:
    tiny.send(*"ab")
    tiny.tell("worker", lambda event: answer)
    assert tiny.stack.drain() == (0, 2)


def test_a_mapping_without_partial_answers_ignores_them(tiny: Tiny) -> None:
    tiny.send(*"ab", queue="EndlessQueue")
    tiny.tell("endless", failing("a"))
    assert tiny.stack.drain() == (2, 0)


def test_a_queue_without_dead_letters_keeps_what_fails_for_the_next_drain(tiny: Tiny) -> None:
    tiny.send("a", queue="EndlessQueue")
    tiny.tell("endless", raising)
    assert tiny.stack.drain() == (0, 0)
    assert len(tiny.calls("endless")) == 10
    tiny.tell("endless", None)
    assert tiny.stack.drain() == (1, 0)


def test_a_retried_message_keeps_its_time_and_a_redriven_one_takes_its_own(tiny: Tiny) -> None:
    def slowly(event: Any) -> None:
        tiny.stack.set_clock(tiny.stack.now + timedelta(hours=1))
        raise RuntimeError("no")

    tiny.send("a")
    tiny.tell("worker", slowly)
    tiny.stack.drain()
    attributes = [event["Records"][0]["attributes"] for event in tiny.calls("worker")]
    assert [each["SentTimestamp"] for each in attributes] == [NOW_MS] * 3
    assert {each["ApproximateFirstReceiveTimestamp"] for each in attributes} == {NOW_MS}
    tiny.tell("worker", None)
    assert tiny.stack.redrive() == (1, 0)
    last = tiny.calls("worker")[-1]["Records"][0]["attributes"]
    assert last["SentTimestamp"] == str(epoch_ms(NOW + timedelta(hours=3)))
    assert last["ApproximateReceiveCount"] == "1"
    assert tiny.stack.dead_letters() == []


def test_the_clock_may_be_set_back(tiny: Tiny) -> None:
    tiny.stack.set_clock(NOW - timedelta(days=10_000))
    tiny.send("a")
    tiny.stack.drain()
    (event,) = tiny.calls("worker")
    assert event["Records"][0]["attributes"]["SentTimestamp"] == str(epoch_ms(NOW - timedelta(days=10_000)))


def test_dead_letters_show_their_reason_and_what_they_held(tiny: Tiny) -> None:
    tiny.send('{"a": 1}', "no json", '{"a": NaN}')
    tiny.tell("worker", raising)
    tiny.stack.drain()
    tiny.send('{"b": 2}', queue="DeadQueue", reason="too_old", detail="/a: is too old")
    letters = tiny.stack.dead_letters()
    assert letters == [
        {"reason": "retries_exhausted", "message": {"a": 1}, "queue": "DeadQueue"},
        {"reason": "retries_exhausted", "message": "no json", "queue": "DeadQueue"},
        {"reason": "retries_exhausted", "message": {"a": "NaN"}, "queue": "DeadQueue"},
        {"reason": "too_old", "detail": "/a: is too old", "message": {"b": 2}, "queue": "DeadQueue"},
    ]
    json.dumps(letters, allow_nan=False)


def test_what_a_function_itself_buries_is_dead_lettered_and_not_delivered(tiny: Tiny) -> None:
    def bury(event: dict[str, Any]) -> None:
        import boto3

        for record in event["Records"]:
            if record["body"] == "bad":
                boto3.client("sqs").send_message(
                    QueueUrl=tiny.contexts_environment()["DEAD_URL"],
                    MessageBody=record["body"],
                    MessageAttributes={"reason": {"DataType": "String", "StringValue": "bad_one"}},
                )

    tiny.send("good", "bad", "good", "good")
    tiny.tell("worker", bury)
    assert tiny.stack.drain() == (3, 1)
    assert [letter["reason"] for letter in tiny.stack.dead_letters()] == ["bad_one"]
    # Sent round again it is buried again, once, with its reason.
    assert tiny.stack.redrive() == (0, 1)
    tiny.tell("worker", None)
    assert tiny.stack.redrive() == (1, 0)
    assert tiny.calls("worker")[-1]["Records"][0]["messageAttributes"] == {}


def test_sending_follows_the_limits_of_sqs(tiny: Tiny) -> None:
    client = tiny.stack.client("sqs")
    url = tiny.stack.template.queues[tiny.arn("WorkQueue")].url

    def entries(*bodies: str) -> list[dict[str, str]]:
        return [{"Id": str(place), "MessageBody": body} for place, body in enumerate(bodies)]

    answer = client.send_message_batch(QueueUrl=url, Entries=entries("a", "b"))
    assert [each["Id"] for each in answer["Successful"]] == ["0", "1"]
    for wrong, code in (
        (entries(*["x"] * 11), "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"),
        ([{"Id": "1", "MessageBody": "a"}] * 2, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct"),
        (entries("x" * 600_000, "x" * 600_000), "AWS.SimpleQueueService.BatchRequestTooLong"),
        ([], "AWS.SimpleQueueService.EmptyBatchRequest"),
    ):
        with pytest.raises(ClientError) as raised:
            client.send_message_batch(QueueUrl=url, Entries=wrong)
        assert code.rsplit(".", 1)[-1] in raised.value.response["Error"]["Code"]
    with pytest.raises(ClientError, match="bytes"):
        client.send_message(QueueUrl=url, MessageBody="x" * (1024 * 1024 + 1))
    with pytest.raises(ClientError, match="does not exist"):
        client.send_message(QueueUrl=url + "x", MessageBody="a")
    assert tiny.stack.drain() == (2, 0)


def test_a_function_that_feeds_itself_for_ever_is_told(tiny: Tiny, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("local.stack.INVOCATIONS_PER_DRAIN_MAX", 20)
    tiny.tell("endless", lambda event: tiny.send("again", queue="EndlessQueue"))
    tiny.send("a", queue="EndlessQueue")
    with pytest.raises(RuntimeError, match="feeds itself"):
        tiny.stack.drain()


def test_a_schedule_hands_over_its_input_with_the_scheduled_time(tiny: Tiny) -> None:
    assert tiny.stack.fire("Nightly", NOW + timedelta(days=1, microseconds=5)) == (0, 0)
    tiny.stack.fire("Nightly", NOW, dry_run=True, override_limit=True)
    assert tiny.calls("sweeper") == [
        {"scheduled_at": "2026-11-23T10:15:00Z", "kind": "nightly"},
        {"scheduled_at": "2026-11-22T10:15:00Z", "kind": "nightly", "dry_run": True, "override_limit": True},
    ]
    with pytest.raises(KeyError):
        tiny.stack.fire("Yearly", NOW)


def test_a_schedule_that_fails_is_tried_again_with_the_same_id_and_then_kept(tiny: Tiny) -> None:
    tiny.tell("sweeper", raising)
    assert tiny.stack.fire("Nightly", NOW) == (0, 1)
    ids = [context.aws_request_id for context in tiny.module("sweeper")["contexts"]]
    assert len(ids) == 2
    assert len(set(ids)) == 1
    (letter,) = tiny.stack.dead_letters()
    assert letter["message"] == {"scheduled_at": "2026-11-22T10:15:00Z", "kind": "nightly"}
    assert (letter["reason"], letter["queue"]) == ("retries_exhausted", "StartDeadQueue")
    tiny.tell("sweeper", None)
    tiny.stack.redrive()
    assert tiny.calls("sweeper")[-1] == letter["message"]
    assert tiny.stack.dead_letters() == []
