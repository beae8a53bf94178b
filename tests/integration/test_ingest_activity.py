"""POST /activities (contract 2.1): what is accepted is in the queue, and what is not is named."""

import copy
import importlib.util
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.exceptions import ClientError, EndpointConnectionError
from hypothesis import given
from hypothesis import strategies as st
from moto import mock_aws

from club_rules.events import parse_event
from club_rules.programs import load_programs

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "functions" / "ingest_activity"


def load_app() -> ModuleType:
    """The function as Lambda has it: its folder on the path, and app.py the entry point."""
    sys.path.insert(0, str(FOLDER))
    try:
        spec = importlib.util.spec_from_file_location("ingest_activity_app", FOLDER / "app.py")
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    finally:
        sys.path.remove(str(FOLDER))
    return module


app = load_app()
queue_side = sys.modules["ingest_queue"]


def sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / name).read_text("utf-8"))
    return event


SAMPLE = sample("ingest_activity.json")


def request(body: object, scope: str = "club:ingest") -> dict[str, Any]:
    """The sample invocation with another body: text as it is, anything else as JSON."""
    event = copy.deepcopy(SAMPLE)
    event["body"] = body if isinstance(body, str) else json.dumps(body)
    event["requestContext"]["authorizer"]["jwt"]["claims"]["scope"] = scope
    return event


def visit(event_id: str, **changes: Any) -> dict[str, Any]:
    event = {
        "event_id": event_id,
        "type": "visit.recorded",
        "member_id": "m-1",
        "occurred_at": "2026-11-22T10:00:00Z",
    }
    return {**event, **changes}


def order(event_id: str, **line: Any) -> dict[str, Any]:
    lines = [{"item_id": "i-1", "seller_id": "s-1", "unit_price": "12.50", "quantity": 1, **line}]
    data = {"order_id": "o-1", "currency": "USD", "lines": lines}
    return visit(event_id, type="order.completed", data=data)


def context(millis: int = 10_000) -> SimpleNamespace:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: millis)


def call(event: dict[str, Any], millis: int = 10_000) -> tuple[int, dict[str, Any]]:
    answer = app.handler(event, context(millis))
    kind = "application/json" if answer["statusCode"] == 202 else "application/problem+json"
    assert answer["headers"]["content-type"] == kind
    assert answer["headers"]["cache-control"] == "no-store"
    return answer["statusCode"], json.loads(answer["body"])


def codes(body: dict[str, Any]) -> list[tuple[int, str]]:
    return [(refusal["index"], refusal["code"]) for refusal in body["refused"]]


Drain = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def drain(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drain]:
    """An activity queue in moto, and the messages taken out of it."""
    with mock_aws():
        sqs = boto3.client("sqs")
        url = sqs.create_queue(QueueName="activity")["QueueUrl"]
        monkeypatch.setenv("ACTIVITY_QUEUE_URL", url)
        queue_side._client.cache_clear()

        def taken() -> list[dict[str, Any]]:
            messages = []
            while batch := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
                for message in batch:
                    messages.append(json.loads(message["Body"]))
                    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            return messages

        yield taken
    queue_side._client.cache_clear()


# --- into the queue -----------------------------------------------------------------------------------------


def test_the_sample_is_accepted_and_in_the_queue(drain: Drain) -> None:
    status, body = call(SAMPLE)

    assert status == 202
    assert body == {"accepted": ["e-1001", "e-1002", "e-1003"], "refused": []}
    messages = {message["detail"]["event_id"]: message for message in drain()}
    assert messages["e-1001"] == {
        "source": "marketplace",
        "detail-type": "order.completed",
        "detail": {
            "event_id": "e-1001",
            "member_id": "m-42",
            "occurred_at": "2026-11-22T10:14:57Z",
            "data": {
                "order_id": "o-1001",
                "currency": "USD",
                "lines": [
                    {
                        "item_id": "i-7",
                        "seller_id": "s-3",
                        "category": "books",
                        "unit_price": "12.50",
                        "quantity": 1,
                    },
                    {"item_id": "i-9", "seller_id": "s-3", "unit_price": "1.99", "quantity": 2},
                ],
            },
        },
    }
    assert messages["e-1002"]["detail"]["occurred_at"] == "2026-11-22T10:14:58Z"
    assert messages["e-1003"]["detail"]["data"] == {}
    assert len(messages) == 3


def test_a_message_is_the_event_again_when_it_is_taken_out(drain: Drain) -> None:
    now = app.request_time(SAMPLE)
    sent = json.loads(SAMPLE["body"])["events"]
    call(SAMPLE)

    read = [
        parse_event({**message["detail"], "type": message["detail-type"]}, now=now, programs=load_programs())
        for message in drain()
    ]

    expected = [parse_event(event, now=now, programs=load_programs()) for event in sent]
    assert sorted(read, key=lambda event: event.event_id) == expected


def test_a_price_has_no_member(drain: Drain) -> None:
    data = {"item_id": "i-1", "old_price": "2.00", "new_price": "1.00", "currency": "USD"}
    price = visit("e-1", type="price.dropped", data=data, member_id=None)

    assert call(request({"events": [price]}))[1]["accepted"] == ["e-1"]
    assert drain()[0]["detail"] == {
        "event_id": "e-1",
        "member_id": None,
        "occurred_at": "2026-11-22T10:00:00Z",
        "data": data,
    }


def test_a_hundred_events_are_accepted_in_their_order(drain: Drain) -> None:
    ids = [f"e-{number}" for number in range(100)]
    status, body = call(request({"events": [visit(event_id) for event_id in ids]}))

    assert (status, body) == (202, {"accepted": ids, "refused": []})
    assert {message["detail"]["event_id"] for message in drain()} == set(ids)


# --- what is refused ----------------------------------------------------------------------------------------


def test_bad_events_are_named_and_their_neighbours_accepted(drain: Drain) -> None:
    status, body = call(sample("ingest_activity_refused.json"))

    assert status == 202
    assert body["accepted"] == ["e-2002"]
    assert [
        (refusal["event_id"], refusal["index"], [error["pointer"] for error in refusal["errors"]])
        for refusal in body["refused"]
    ] == [
        (
            "e-2001",
            0,
            ["/data/coupon", "/data/lines/0/unit_price", "/data/lines/0/quantity", "/data/flags/1"],
        ),
        ("e 2003", 2, ["/event_id", "/member_id", "/occurred_at", "/data/post_id"]),
        ("e-2004", 3, []),
        ("e-2002", 4, []),
        ("e-2006", 5, ["/data/currency"]),
    ]
    assert [refusal["code"] for refusal in body["refused"]] == [
        "unknown_field",
        "invalid_id",
        "scope_required",
        "event_id_reused",
        "currency_mismatch",
    ]
    for refusal in body["refused"]:
        assert set(refusal) == {"event_id", "index", "code", "detail", "errors"}
        for error in refusal["errors"]:
            assert error["pointer"] in refusal["detail"]
    (message,) = drain()
    assert message["detail"]["member_id"] == "m-42"


def test_what_is_no_event_at_all_is_refused_by_its_place(drain: Drain) -> None:
    status, body = call(request({"events": [None, visit("e-1"), [], "x", {}, {"event_id": 5}]}))

    assert status == 202
    assert body["accepted"] == ["e-1"]
    assert [(refusal["event_id"], refusal["index"]) for refusal in body["refused"]] == [
        (None, 0),
        (None, 2),
        (None, 3),
        (None, 4),
        (None, 5),
    ]
    assert len(drain()) == 1


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        ('"quantity": NaN', "invalid_type"),
        ('"quantity": Infinity', "invalid_type"),
        ('"quantity": 1e999', "invalid_type"),
        ('"quantity": ' + "9" * 5000, "invalid_type"),
        ('"quantity": 1, "quantity": 2', "duplicate_key"),
        ('"quantity": ' + "[" * 100 + "]" * 100, "invalid_type"),
        ('"quantity": 1.0', "invalid_type"),
    ],
    ids=["nan", "infinity", "overflow", "digits", "duplicate", "deep", "float"],
)
def test_a_spoilt_event_does_not_spoil_its_neighbours(drain: Drain, spoilt: str, code: str) -> None:
    events = [json.dumps(visit("e-1")), json.dumps(order("e-2")), json.dumps(order("e-3"))]
    events[1] = events[1].replace('"quantity": 1', spoilt)
    status, body = call(request(f'{{"events": [{",".join(events)}]}}'))

    assert status == 202
    assert body["accepted"] == ["e-1", "e-3"]
    assert [(error["pointer"], error["code"]) for error in body["refused"][0]["errors"]] == [
        ("/data/lines/0/quantity", code)
    ]
    assert len(drain()) == 2


def test_the_future_is_judged_by_the_time_at_the_gateway(drain: Drain) -> None:
    on_time = visit("e-1", occurred_at="2026-11-22T10:20:00Z")
    ahead = visit("e-2", occurred_at="2026-11-22T10:20:00.001Z")
    later = request({"events": [on_time, ahead]})
    later["requestContext"]["timeEpoch"] += 1

    assert codes(call(request({"events": [on_time, ahead]}))[1]) == [(1, "occurred_in_future")]
    assert call(later)[1]["accepted"] == ["e-1", "e-2"]


def test_the_same_event_twice_is_accepted_twice_and_sent_once(drain: Drain) -> None:
    respelt = visit("e-1", occurred_at="2026-11-22T11:00:00+01:00", data={})
    _, body = call(request({"events": [visit("e-1"), visit("e-2"), respelt]}))

    assert body == {"accepted": ["e-1", "e-2", "e-1"], "refused": []}
    assert sorted(message["detail"]["event_id"] for message in drain()) == ["e-1", "e-2"]


def test_a_reused_id_is_refused_and_the_first_stands(drain: Drain) -> None:
    events = [visit("e-1"), visit("e-1", member_id="m-2"), visit("e-1"), visit("e-1", member_id="m-3")]
    _, body = call(request({"events": events}))

    assert body["accepted"] == ["e-1", "e-1"]
    assert codes(body) == [(1, "event_id_reused"), (3, "event_id_reused")]
    assert [message["detail"]["member_id"] for message in drain()] == ["m-1"]


def test_a_refused_event_does_not_claim_its_id(drain: Drain) -> None:
    _, body = call(request({"events": [visit("e-1", member_id="m 1"), visit("e-1")]}))

    assert body["accepted"] == ["e-1"]
    assert codes(body) == [(0, "invalid_id")]
    assert len(drain()) == 1


@pytest.mark.parametrize("event_type", ["violation.confirmed", "violation.overturned"])
def test_violations_need_the_scope_of_an_admin(drain: Drain, event_type: str) -> None:
    violation = visit("e-1", type=event_type, data={"case_id": "v-1", "kind": "spam"})
    body = {"events": [violation, visit("e-2")]}

    _, refused = call(request(body))
    assert (refused["accepted"], codes(refused)) == (["e-2"], [(0, "scope_required")])
    _, refused = call(request(body, "club:ingest club:administrator"))
    assert codes(refused) == [(0, "scope_required")]
    assert {message["detail"]["event_id"] for message in drain()} == {"e-2"}
    assert call(request(body, "club:ingest club:admin"))[1]["accepted"] == ["e-1", "e-2"]
    assert {message["detail"]["event_id"] for message in drain()} == {"e-1", "e-2"}


# --- the request as a whole ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ({}, [("/events", "missing")]),
        ({"events": None}, [("/events", "invalid_type")]),
        ({"events": {}}, [("/events", "invalid_type")]),
        ({"events": "e-1"}, [("/events", "invalid_type")]),
        ({"events": []}, [("/events", "out_of_range")]),
        ({"events": [visit(f"e-{number}") for number in range(101)]}, [("/events", "too_many")]),
        ({"events": [visit("e-1")], "dry_run": True}, [("/dry_run", "unknown_field")]),
        (
            {"event": [], "a/b": 1},
            [("/event", "unknown_field"), ("/a~1b", "unknown_field"), ("/events", "missing")],
        ),
        ([visit("e-1")], [("", "invalid_type")]),
        ("", [("", "invalid_json")]),
        ("{", [("", "invalid_json")]),
        ("e-1", [("", "invalid_json")]),
        ('{"events":[],"events":[]}', [("/events", "duplicate_key")]),
    ],
)
def test_a_bad_request_is_a_problem_and_stores_nothing(
    drain: Drain, body: object, expected: list[tuple[str, str]]
) -> None:
    status, problem = call(request(body))

    assert (status, problem["status"]) == (400, 400)
    assert problem["code"] == expected[0][1]
    assert [(error["pointer"], error["code"]) for error in problem["errors"]] == expected
    assert drain() == []


def test_a_body_over_256_kib_is_a_problem(drain: Drain) -> None:
    body = json.dumps({"events": [visit("e-1")]})
    longest = body + " " * (256 * 1024 - len(body))

    assert call(request(longest))[0] == 202
    assert len(drain()) == 1
    status, problem = call(request(longest + " "))
    assert (status, problem["code"]) == (413, "body_too_large")
    assert drain() == []


@pytest.mark.parametrize("scope", ["", "club:admin", "club:ingestion", "club"])
def test_without_the_scope_nothing_is_read(drain: Drain, scope: str) -> None:
    status, problem = call(request({"events": [visit("e-1")]}, scope))

    assert (status, problem["code"]) == (403, "scope_required")
    assert drain() == []


def test_a_defect_tells_nothing(drain: Drain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ACTIVITY_QUEUE_URL")
    status, problem = call(request({"events": [visit("e-1")]}))

    assert (status, problem["code"]) == (500, "internal_error")
    assert "QUEUE" not in json.dumps(problem)
    assert drain() == []


def test_the_answer_to_the_worst_request_still_fits() -> None:
    lines = ",".join(["{}"] * 500)
    worst = '{"type":"order.completed","data":{"lines":[' + lines + "]}}"
    status, body = call(request('{"events":[' + ",".join([worst] * 100) + "]}"))

    assert status == 202
    assert len(body["refused"]) == 100
    assert len(json.dumps(body)) < 5_000_000
    assert len(body["refused"][0]["errors"]) == 2_005
    assert all(refusal["code"] == "missing" for refusal in body["refused"])


def test_logs_hold_counts_and_nothing_that_was_sent(drain: Drain, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []
    recorder = SimpleNamespace(info=lambda message, extra: lines.append((message, extra)))
    monkeypatch.setattr(app, "logger", recorder)
    call(request({"events": [visit("e-1"), visit("e-2", birthday="1984-02-29"), order("e-3", quantity=0)]}))

    assert lines == [
        (
            "activities",
            {
                "request_id": "UKx5jhE4DoEEMxg=",
                "events": 3,
                "refused": {"unknown_field": 1, "out_of_range": 1},
            },
        )
    ]


# --- when the queue fails -----------------------------------------------------------------------------------


class ShakyQueue:
    """Stands in for SQS where that has to fail: stores what gets through, and answers as scripted.

    Each answer of the script is for one call: an exception to raise, or for each message that fails whether
    it is the sender's fault. After the script all goes well.
    """

    def __init__(self, *script: Exception | dict[str, bool]) -> None:
        self.script = list(script)
        self.calls: list[list[str]] = []
        self.stored: list[str] = []

    def send_message_batch(self, *, QueueUrl: str, Entries: list[dict[str, str]]) -> dict[str, Any]:  # noqa: N803
        step = self.script.pop(0) if self.script else {}
        names = {entry["Id"]: json.loads(entry["MessageBody"])["detail"]["event_id"] for entry in Entries}
        assert len(names) == len(Entries)
        assert sum(len(entry["MessageBody"].encode()) for entry in Entries) <= 262_144
        self.calls.append(list(names.values()))
        if isinstance(step, Exception):
            raise step
        failed = {place: step[name] for place, name in names.items() if name in step}
        stored = [place for place in names if place not in failed]
        self.stored += [names[place] for place in stored]
        reply: dict[str, Any] = {"Successful": [{"Id": place} for place in stored]}
        if failed:
            reply["Failed"] = [{"Id": place, "SenderFault": fault, "Code": "X"} for place, fault in failed.items()]
        return reply


@pytest.fixture
def shaky(monkeypatch: pytest.MonkeyPatch) -> Callable[..., ShakyQueue]:
    def make(*script: Exception | dict[str, bool]) -> ShakyQueue:
        queue = ShakyQueue(*script)
        monkeypatch.setattr(queue_side, "_client", lambda: queue)
        return queue

    monkeypatch.setenv("ACTIVITY_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/activity")
    monkeypatch.setattr(queue_side.time, "sleep", lambda seconds: None)
    return make


DOWN = EndpointConnectionError(endpoint_url="https://sqs.eu-west-1.amazonaws.com")
DENIED = ClientError({"Error": {"Code": "AccessDenied", "Message": "no"}}, "SendMessageBatch")


def visits(count: int) -> dict[str, Any]:
    return request({"events": [visit(f"e-{number}") for number in range(count)]})


def test_calls_hold_ten_messages(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky()
    call(visits(25))

    assert [len(names) for names in queue.calls] == [10, 10, 5]
    assert queue.stored == [f"e-{number}" for number in range(25)]


LONG_LINE = {
    "item_id": "i" * 64,
    "seller_id": "s" * 64,
    "category": "\U0001f4da" * 64,
    "unit_price": "999999999.99",
    "quantity": 1_000_000,
}


def message_bytes(event: dict[str, Any]) -> int:
    parsed = parse_event(event, now=app.request_time(SAMPLE), programs=load_programs())
    return len(queue_side.message_of(parsed).encode())


def big(event_id: str, size: int) -> dict[str, Any]:
    """An order whose message takes so many bytes."""
    lines = [dict(LONG_LINE)]
    event = order(event_id)
    event["data"]["lines"] = lines
    while message_bytes(event) < size:
        lines.append(dict(LONG_LINE))
    for line in lines:
        excess = message_bytes(event) - size
        for field in ("item_id", "seller_id"):
            cut = min(63, excess)
            line[field] = str(line[field])[cut:]
            excess -= cut
        if not excess:
            return event
    raise AssertionError("there is no such order")


def test_calls_hold_256_kib(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky()
    first, second = big("e-1", 131_072), big("e-2", 131_072 - message_bytes(visit("e-0")))
    # A message is a little longer than its event in a body, so `send` itself shows what fills a call.
    programs, now = load_programs(), app.request_time(SAMPLE)
    full = [parse_event(event, now=now, programs=programs) for event in (first, second, visit("e-0"))]
    over = [parse_event(event, now=now, programs=programs) for event in (first, second, visit("e-0x"))]

    assert queue_side.send(full, lambda: 10_000) == {}
    assert queue_side.send(over, lambda: 10_000) == {}
    assert queue.calls == [["e-1", "e-2", "e-0"], ["e-1", "e-2"], ["e-0x"]]


def test_the_biggest_event_of_all_fits_into_a_call(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky()
    event = order("e" * 64)
    event |= {"member_id": "m" * 64, "occurred_at": "2026-11-22T10:00:00.123456Z"}
    event["data"] = {
        "order_id": "o" * 64,
        "currency": "USD",
        "lines": [LONG_LINE] * 500,
        "flags": ["preorder", "prepaid", "gift", "preferential_shipping", "fraudulent"],
    }
    text = json.dumps({"events": [event]}, ensure_ascii=False, separators=(",", ":"))

    assert call(request(text))[1]["accepted"] == ["e" * 64]
    assert queue.stored == ["e" * 64]


def test_what_fails_once_is_sent_again(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky({"e-1": False, "e-3": False}, {"e-3": False})
    status, body = call(visits(5))

    assert (status, body["refused"]) == (202, [])
    assert queue.calls == [["e-0", "e-1", "e-2", "e-3", "e-4"], ["e-1", "e-3"], ["e-3"]]
    assert sorted(queue.stored) == body["accepted"]


def test_what_keeps_failing_is_refused_and_its_neighbours_are_not(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky(*[{"e-1": False}] * 3)
    status, body = call(visits(3))

    assert status == 202
    assert body["accepted"] == queue.stored == ["e-0", "e-2"]
    assert [(refusal["event_id"], refusal["code"]) for refusal in body["refused"]] == [
        ("e-1", "temporarily_unavailable")
    ]
    assert len(queue.calls) == 3


def test_both_of_an_event_sent_twice_are_refused_when_it_fails(shaky: Callable[..., ShakyQueue]) -> None:
    shaky(*[{"e-1": False}] * 3)
    _, body = call(request({"events": [visit("e-1"), visit("e-2"), visit("e-1")]}))

    assert body["accepted"] == ["e-2"]
    assert codes(body) == [(0, "temporarily_unavailable"), (2, "temporarily_unavailable")]


def test_what_the_queue_does_not_take_is_not_sent_again(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky({"e-1": True})
    _, body = call(visits(3))

    assert body["accepted"] == ["e-0", "e-2"]
    assert codes(body) == [(1, "internal_error")]
    assert len(queue.calls) == 1


@pytest.mark.parametrize("failure", [DOWN, DENIED], ids=["down", "denied"])
def test_without_a_queue_the_request_may_be_sent_again(shaky: Callable[..., ShakyQueue], failure: Exception) -> None:
    queue = shaky(failure)
    answer = app.handler(visits(25), context())

    assert answer["statusCode"] == 503
    assert answer["headers"]["retry-after"] == "1"
    problem = json.loads(answer["body"])
    assert problem["code"] == "temporarily_unavailable"
    assert "AccessDenied" not in answer["body"]
    assert len(queue.calls) == 1
    assert queue.stored == []
    assert call(visits(25))[1]["refused"] == []


def test_a_queue_that_goes_away_half_way_leaves_what_it_has(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky({}, DOWN)
    status, body = call(visits(25))

    assert status == 202
    assert body["accepted"] == queue.stored == [f"e-{number}" for number in range(10)]
    assert codes(body) == [(number, "temporarily_unavailable") for number in range(10, 25)]
    assert len(queue.calls) == 2


def test_a_queue_that_goes_away_between_two_rounds_leaves_what_it_has(
    shaky: Callable[..., ShakyQueue],
) -> None:
    queue = shaky({"e-1": False}, DOWN)
    status, body = call(visits(3))

    assert status == 202
    assert body["accepted"] == queue.stored == ["e-0", "e-2"]
    assert codes(body) == [(1, "temporarily_unavailable")]


def test_no_call_is_begun_that_could_not_end(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky()
    status, problem = call(visits(25), millis=6_999)

    assert (status, problem["code"]) == (503, "temporarily_unavailable")
    assert queue.calls == []


def test_a_request_with_nothing_to_send_needs_no_queue(shaky: Callable[..., ShakyQueue]) -> None:
    queue = shaky(DOWN)
    status, body = call(request({"events": [visit("e 1")]}))

    assert (status, codes(body)) == (202, [(0, "invalid_id")])
    assert queue.calls == []


@given(
    script=st.lists(
        st.just(DOWN) | st.dictionaries(st.sampled_from([f"e-{number}" for number in range(14)]), st.booleans()),
        max_size=8,
    ),
    ids=st.lists(st.integers(0, 13), min_size=1, max_size=30),
)
def test_whatever_fails_what_is_claimed_is_stored(script: list[Exception | dict[str, bool]], ids: list[int]) -> None:
    queue = ShakyQueue(*script)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ACTIVITY_QUEUE_URL", "https://sqs.eu-west-1.amazonaws.com/123456789012/activity")
        patch.setattr(queue_side.time, "sleep", lambda seconds: None)
        patch.setattr(queue_side, "_client", lambda: queue)
        status, body = call(request({"events": [visit(f"e-{number}") for number in ids]}))

    if status == 503:
        assert queue.stored == []
        return
    assert status == 202
    assert set(body["accepted"]) == set(queue.stored)
    assert len(queue.stored) == len(set(queue.stored))
    refused = {refusal["index"] for refusal in body["refused"]}
    assert body["accepted"] == [f"e-{number}" for place, number in enumerate(ids) if place not in refused]


# --- one process --------------------------------------------------------------------------------------------


def test_one_client_is_made_when_it_is_first_needed(drain: Drain, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = botocore.session.Session.create_client

    def counted(self: Any, service_name: str, *args: Any, **kwargs: Any) -> Any:
        made.append(service_name)
        return real(self, service_name, *args, **kwargs)

    monkeypatch.setattr(botocore.session.Session, "create_client", counted)
    call(request({"events": [visit("e 1")]}))
    assert made == []
    for number in range(3):
        call(request({"events": [visit(f"e-{number}")]}))
    assert made == ["sqs"]
    assert len(drain()) == 3
