"""Event patterns, PutEvents, and the way from the bus into a queue."""

import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.bus import matches
from local.queues import epoch_ms
from tests.local.conftest import NOW, Tiny

EVENT = {
    "source": "shop",
    "detail-type": "order.sold",
    "detail": {
        "price": 12.5,
        "count": 3,
        "tags": ["new", "Red"],
        "note": None,
        "buyer": {"id": "m-1"},
        "gift": True,
        "none": [],
    },
}


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ({}, True),
        ({"source": ["shop", "other"]}, True),
        ({"source": ["sho"]}, False),
        ({"source": ["shop"], "detail-type": ["order.sold"]}, True),
        ({"source": ["shop"], "detail-type": ["order.sent"]}, False),
        ({"detail": {"buyer": {"id": ["m-1"]}}}, True),
        ({"detail": {"buyer": {"id": ["m-2"]}}}, False),
        ({"detail": {"missing": {"id": ["m-1"]}}}, False),
        ({"detail": {"tags": ["new"]}}, True),
        ({"detail": {"tags": ["old"]}}, False),
        ({"detail": {"note": [None]}}, True),
        ({"detail": {"price": [None]}}, False),
        ({"detail": {"gift": [True]}}, True),
        ({"detail": {"gift": [1]}}, False),
        ({"detail": {"count": [3.0]}}, True),
        ({"source": [{"prefix": "sh"}]}, True),
        ({"source": [{"prefix": {"equals-ignore-case": "SH"}}]}, True),
        ({"source": [{"suffix": "op"}]}, True),
        ({"source": [{"suffix": "x"}]}, False),
        ({"detail": {"count": [{"prefix": "3"}]}}, False),
        ({"source": [{"equals-ignore-case": "SHOP"}]}, True),
        ({"source": [{"wildcard": "s*p"}]}, True),
        ({"source": [{"wildcard": "s*x"}]}, False),
        ({"source": [{"anything-but": "shop"}]}, False),
        ({"source": [{"anything-but": ["a", "b"]}]}, True),
        ({"source": [{"anything-but": {"prefix": "sh"}}]}, False),
        ({"source": [{"anything-but": {"suffix": ["x", "y"]}}]}, True),
        ({"detail": {"missing": [{"anything-but": "a"}]}}, False),
        ({"detail": {"price": [{"numeric": [">", 10, "<=", 12.5]}]}}, True),
        ({"detail": {"price": [{"numeric": ["=", 12]}]}}, False),
        ({"detail": {"gift": [{"numeric": [">", 0]}]}}, False),
        ({"detail": {"price": [{"exists": True}]}}, True),
        ({"detail": {"missing": [{"exists": False}]}}, True),
        ({"detail": {"price": [{"exists": False}]}}, False),
        ({"detail": {"none": [{"exists": False}]}}, True),
        ({"$or": [{"source": ["x"]}, {"detail": {"count": [3]}}]}, True),
        ({"$or": [{"source": ["x"]}, {"source": ["y"]}]}, False),
    ],
)
def test_patterns(pattern: dict[str, Any], expected: bool) -> None:
    assert matches(pattern, EVENT) is expected


def test_an_operator_that_is_not_known_is_told() -> None:
    with pytest.raises(ValueError, match="cidr"):
        matches({"source": [{"cidr": "10.0.0.0/8"}]}, EVENT)


def entry(**changes: Any) -> dict[str, Any]:
    return {"Source": "shop", "DetailType": "sold", "Detail": '{"price": 12.50}', **changes}


def test_what_a_rule_matches_reaches_its_queue_in_eventbridges_envelope(tiny: Tiny) -> None:
    (answer,) = tiny.stack.put_events([entry(Resources=["r"])])
    assert tiny.stack.drain() == (1, 0)
    (event,) = tiny.calls("worker")
    body = event["Records"][0]["body"]
    assert json.loads(body) == {
        "version": "0",
        "id": answer["EventId"],
        "detail-type": "sold",
        "source": "shop",
        "account": "123456789012",
        "time": "2026-11-22T10:15:00Z",
        "region": "eu-west-1",
        "resources": ["r"],
        "detail": {"price": 12.5},
    }
    assert "12.50" in body  # the digits are those that were sent
    assert event["Records"][0]["attributes"]["SentTimestamp"] == str(epoch_ms(NOW))


def test_what_no_rule_matches_and_what_goes_to_a_function(tiny: Tiny) -> None:
    tiny.stack.put_events([entry(Source="elsewhere"), entry(DetailType="bought"), entry(DetailType="start")])
    assert tiny.stack.drain() == (0, 0)
    assert tiny.calls("worker") == []
    assert [event["detail-type"] for event in tiny.calls("sweeper")] == ["start"]


def test_an_entry_has_its_own_time_if_it_names_one(tiny: Tiny) -> None:
    tiny.stack.put_events([entry(Time="1997-01-01T02:00:00.5+01:00"), entry(Time=0)])
    tiny.stack.drain()
    (event,) = tiny.calls("worker")
    times = [json.loads(record["body"])["time"] for record in event["Records"]]
    assert times == ["1997-01-01T01:00:00Z", "1970-01-01T00:00:00Z"]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ("x", "InvalidArgument"),
        (entry(Source=""), "InvalidArgument"),
        (entry(DetailType=None), "InvalidArgument"),
        (entry(Detail={"a": 1}), "InvalidArgument"),
        (entry(Detail="{"), "MalformedDetail"),
        (entry(Detail="[" * 100_000), "MalformedDetail"),
        (entry(Detail="[]"), "MalformedDetail"),
        (entry(Detail=json.dumps({"a": "x" * 300_000})), "EntryTooLarge"),
        (entry(EventBusName="other"), "ResourceNotFound"),
        (entry(Time="yesterday"), "InvalidArgument"),
        (entry(Colour="red"), "InvalidArgument"),
    ],
)
def test_an_entry_that_the_bus_does_not_take_holds_up_nobody(tiny: Tiny, bad: Any, code: str) -> None:
    answers = tiny.stack.put_events([entry(), bad, entry()])
    assert ["EventId" in answer for answer in answers] == [True, False, True]
    assert answers[1]["ErrorCode"] == code
    assert tiny.stack.drain() == (2, 0)


@pytest.mark.parametrize("bus", ["tiny", None, "arn:aws:events:eu-west-1:123456789012:event-bus/tiny"])
def test_entries_reach_the_templates_bus_by_name_by_arn_and_without_one(tiny: Tiny, bus: str | None) -> None:
    tiny.stack.put_events([entry(EventBusName=bus)])
    assert tiny.stack.drain() == (1, 0)


def test_what_functions_publish_is_kept_and_routed_and_what_others_put_is_not_kept(tiny: Tiny) -> None:
    def publish(event: Any) -> None:
        import boto3

        client = boto3.client("events")
        answer = client.put_events(
            Entries=[
                entry(DetailType="told", EventBusName="tiny"),
                entry(Detail='{"n": 1}', Time=NOW - timedelta(days=1)),
            ]
        )
        assert answer["FailedEntryCount"] == 0
        answer = client.put_events(Entries=[entry(Detail="x")])
        assert (answer["FailedEntryCount"], answer["Entries"][0]["ErrorCode"]) == (1, "MalformedDetail")
        with pytest.raises(ClientError, match="1 to 10"):
            client.put_events(Entries=[entry()] * 11)

    tiny.tell("sweeper", publish)
    tiny.stack.put_events([entry()])
    assert tiny.stack.fire("Nightly", NOW) == (2, 0)
    told, sold = tiny.stack.published()
    assert told == entry(DetailType="told", EventBusName="tiny", Time="2026-11-22T10:15:00Z")
    assert sold == entry(Detail='{"n": 1}', Time="2026-11-21T10:15:00Z")
    assert tiny.stack.published("told") == [told]
    assert tiny.stack.published("nothing") == []


def test_a_long_replay_keeps_the_latest_of_what_was_published(tiny: Tiny) -> None:
    tiny.stack.bus.published_max = 10
    for number in range(100):
        tiny.stack.bus.put([entry(Detail=json.dumps({"n": number}))], by_function=True)
    kept = [json.loads(each["Detail"])["n"] for each in tiny.stack.published()]
    assert 10 <= len(kept) <= 20
    assert kept == list(range(100 - len(kept), 100))
