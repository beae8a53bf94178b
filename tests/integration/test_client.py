"""The table's client beside one of botocore's own: the same requests, the same answers, the same failures.

What `club_ledger.client` leaves out hangs on a few places inside botocore. Where another botocore has them elsewhere,
this is where it shows.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import botocore.config
import botocore.endpoint
import botocore.session
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError, ReadTimeoutError
from botocore.parsers import QueryParser, RestJSONParser, RestXMLParser
from hypothesis import given
from hypothesis import strategies as st
from moto.core.botocore_stubber import MockRawResponse

from club_ledger.client import ATTEMPTS, CONNECT_S, READ_S, _Parser, _session, client

Params = dict[str, Any]
Answer = Callable[[AWSPreparedRequest], AWSResponse]

KEY = {"pk": {"S": "M#m-1"}, "sk": {"S": "J~"}}
OF_ONE_CALL = ("Authorization", "X-Amz-Date", "amz-sdk-invocation-id")
"""Headers that no two requests have in common."""

texts = st.text(max_size=5)
numbers = st.integers(-(10**30), 10**30).map(str)
binaries = st.binary(max_size=20)
scalars = st.one_of(
    st.builds(lambda value: {"S": value}, texts),
    st.builds(lambda value: {"N": value}, numbers),
    st.builds(lambda value: {"B": value}, binaries),
    st.builds(lambda value: {"BOOL": value}, st.booleans()),
    st.just({"NULL": True}),
    st.builds(lambda value: {"SS": value}, st.lists(texts, min_size=1, max_size=3)),
    st.builds(lambda value: {"NS": value}, st.lists(numbers, min_size=1, max_size=3)),
    st.builds(lambda value: {"BS": value}, st.lists(binaries, min_size=1, max_size=3)),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.builds(lambda value: {"L": value}, st.lists(inner, max_size=3)),
        st.builds(lambda value: {"M": value}, st.dictionaries(texts, inner, max_size=3)),
    ),
    max_leaves=8,
)
names = st.one_of(st.sampled_from(["B", "BS", "M", "L", "S"]), texts)
"""Attributes may be called as the kinds of values are."""
stored = st.dictionaries(names, values, max_size=5)


class Sent:
    """What a client has sent, and what it is answered."""

    def __init__(self, of: Any, answer: Answer) -> None:
        self.requests: list[tuple[str, str, bytes, dict[str, Any]]] = []
        self._of = of
        self._answer = answer

    def __call__(self, request: AWSPreparedRequest, **_: Any) -> AWSResponse:
        headers = {name: _text(value) for name, value in request.headers.items() if name not in OF_ONE_CALL}
        assert headers.pop("User-Agent")
        assert _text(request.headers["Authorization"]).startswith("AWS4-HMAC-SHA256 Credential=")
        self.requests.append((request.method, request.url, request.body, headers))
        return self._answer(request)

    def call(self, operation: str, params: Params) -> Any:
        """The answer, or what the failure says."""
        events = self._of.meta.events
        events.register_first("before-send.dynamodb", self)
        try:
            return self._of._make_api_call(operation, params)
        except ClientError as error:
            return type(error).__name__, error.response, str(error)
        except ReadTimeoutError as error:
            return str(error)
        finally:
            events.unregister("before-send.dynamodb", self)


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else value


@pytest.fixture(scope="module")
def ours() -> Any:
    """The club's client; not the one of this process, since failures use up what a client may repeat.

    Nor is it of this process's session, whose credentials may be those of an earlier test.
    """
    _session.cache_clear()
    return client.__wrapped__("dynamodb")


@pytest.fixture(scope="module")
def default() -> Any:
    """A client as botocore makes it, but for how long it waits and how often it tries."""
    config = botocore.config.Config(
        connect_timeout=CONNECT_S, read_timeout=READ_S, retries={"mode": "standard", "total_max_attempts": ATTEMPTS}
    )
    return botocore.session.get_session().create_client("dynamodb", config=config)


@pytest.fixture(autouse=True, scope="module")
def _hurried() -> Iterator[None]:
    """Nobody waits before trying again."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.endpoint, "time", SimpleNamespace(sleep=lambda seconds: None))
        yield


def answering(body: Any, status: int = 200, checksum: int | None = None) -> Answer:
    """An answer with the body, as JSON where it is no bytes; the checksum is right where none is given."""
    data = body if isinstance(body, bytes) else json.dumps(body, default=_base64).encode()
    headers = {
        "Content-Type": "application/x-amz-json-1.0",
        "x-amzn-RequestId": "REQUEST-1",
        "x-amz-crc32": str(zlib.crc32(data) if checksum is None else checksum),
    }
    return lambda request: AWSResponse(request.url, status, headers, MockRawResponse(data))


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode()


def compare(tried: Any, default: Any, operation: str, params: Params, answer: Answer) -> Any:
    """What both clients make of a call, which has to be the same; what they sent, too."""
    ours, theirs = Sent(tried, answer), Sent(default, answer)
    found, expected = ours.call(operation, dict(params)), theirs.call(operation, dict(params))
    assert found == expected
    assert ours.requests == theirs.requests
    assert ours.requests
    return found, len(ours.requests)


@given(item=stored)
def test_items_go_out_and_come_in_as_with_botocore(ours: Any, default: Any, item: Params) -> None:
    put = {"Put": {"TableName": "t", "Item": {**item, **KEY}, "ConditionExpression": "attribute_not_exists(pk)"}}
    compare(ours, default, "PutItem", {"TableName": "t", "Item": item}, answering({"Attributes": item}))
    params = {"TransactItems": [put], "ClientRequestToken": "token"}
    compare(ours, default, "TransactWriteItems", params, answering({}))
    found, _ = compare(ours, default, "GetItem", {"TableName": "t", "Key": KEY}, answering({"Item": item}))
    assert found["Item"] == item
    batch = {"RequestItems": {"t": {"Keys": [KEY], "ConsistentRead": True}}}
    answer = {"Responses": {"t": [item, item]}, "UnprocessedKeys": {"t": {"Keys": [KEY]}}}
    compare(ours, default, "BatchGetItem", batch, answering(answer))
    query = {
        "TableName": "t",
        "KeyConditionExpression": "#0 = :0",
        "ExpressionAttributeNames": {"#0": "pk"},
        "ExpressionAttributeValues": {":0": {"S": "ä"}},
        "Limit": 3,
    }
    answer = {"Items": [item], "Count": 1, "ScannedCount": 1, "LastEvaluatedKey": KEY}
    compare(ours, default, "Query", query, answering(answer))


def test_an_item_comes_out_of_its_answer_as_it_stands(ours: Any) -> None:
    """Nobody walks through it with a description in hand, which would leave out a kind that it doesn't know."""
    item = {"pk": {"S": "M#m-1"}, "of a later day": {"W": {"any": 1}}, "in a list": {"L": [{"W": "2"}]}}
    answer = answering({"Item": item, "of a later day": 1})
    assert Sent(ours, answer).call("GetItem", {"TableName": "t", "Key": KEY}).pop("Item") == item
    found = Sent(ours, answering({"Responses": {"t": [item]}})).call("BatchGetItem", {"RequestItems": {}})
    assert found["Responses"] == {"t": [item]}


def test_what_does_not_speak_json_is_read_as_by_botocore() -> None:
    parsers = _session().get_component("response_parser_factory")
    expected = {"json": _Parser, "query": QueryParser, "rest-json": RestJSONParser, "rest-xml": RestXMLParser}
    assert {protocol: type(parsers.create_parser(protocol)) for protocol in expected} == expected


def test_what_is_not_there_and_what_it_cost(ours: Any, default: Any) -> None:
    cost = {"ConsumedCapacity": {"TableName": "t", "CapacityUnits": 0.5}}
    for answer in ({}, cost):
        found, _ = compare(ours, default, "GetItem", {"TableName": "t", "Key": KEY}, answering(answer))
        assert answer.items() <= found.items()


def test_a_transaction_gets_a_token_of_its_own_that_stays_for_its_repeats(ours: Any) -> None:
    sent = Sent(ours, answering({"__type": "x#InternalServerError", "message": "no"}, 500))
    for _ in range(2):
        sent.call("TransactWriteItems", {"TransactItems": []})
    tokens = [json.loads(body)["ClientRequestToken"] for _, _, body, _ in sent.requests]
    assert tokens == [tokens[0]] * ATTEMPTS + [tokens[-1]] * ATTEMPTS
    assert tokens[0] != tokens[-1]


FAILED = "com.amazonaws.dynamodb.v20120810#"
CANCELLED = {
    "__type": f"{FAILED}TransactionCanceledException",
    "message": "cancelled",
    "CancellationReasons": [
        {"Code": "ConditionalCheckFailed", "Message": "no", "Item": {"body": {"B": b"\0\1"}, "digest": {"S": "d"}}},
        {"Code": "None"},
    ],
}


@pytest.mark.parametrize(
    ("answer", "attempts"),
    [
        (answering(CANCELLED, 400), 1),
        (answering({"__type": f"{FAILED}ConditionalCheckFailedException", "Item": {"B": {"B": b"\7"}}}, 400), 1),
        (answering({"__type": f"{FAILED}ValidationException", "message": "bad"}, 400), 1),
        (answering({"__type": f"{FAILED}ProvisionedThroughputExceededException", "message": "slow"}, 400), ATTEMPTS),
        (answering({"__type": f"{FAILED}TransactionInProgressException", "message": "wait"}, 400), ATTEMPTS),
        (answering({"__type": f"{FAILED}InternalServerError", "message": "oh"}, 500), ATTEMPTS),
        (answering(b"<html><body>Service Unavailable</body></html>", 503), ATTEMPTS),
        (answering(b"", 500), ATTEMPTS),
        (answering({"Item": {}}, checksum=1), ATTEMPTS),
        (answering(b'{"Item": {"pk": {"S": "cut o', checksum=1), ATTEMPTS),
        (answering(b"not json"), 1),
        (answering(b""), 1),
    ],
    ids=[
        "cancelled",
        "condition",
        "invalid",
        "throttled",
        "in_progress",
        "broken",
        "html",
        "nothing_500",
        "other_checksum",
        "cut_off",
        "no_json",
        "nothing_200",
    ],
)
def test_failures_are_told_and_repeated_as_by_botocore(ours: Any, default: Any, answer: Answer, attempts: int) -> None:
    params = {"TransactItems": [{"Put": {"TableName": "t", "Item": KEY}}], "ClientRequestToken": "token"}
    assert compare(ours, default, "TransactWriteItems", params, answer)[1] == attempts


def test_a_lost_answer_is_a_timeout(ours: Any, default: Any) -> None:
    def lost(request: AWSPreparedRequest) -> AWSResponse:
        raise ReadTimeoutError(endpoint_url=request.url)

    assert compare(ours, default, "GetItem", {"TableName": "t", "Key": KEY}, lost)[1] == ATTEMPTS


def test_what_is_no_value_is_refused_before_it_is_sent(ours: Any) -> None:
    with pytest.raises(TypeError, match="set"):
        ours.get_item(TableName="t", Key={"pk": {"SS": {"a"}}})
