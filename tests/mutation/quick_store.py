"""The integration tests on the simulation's store in place of moto, for the mutation run: the same tests, much faster.

Where a test has no hand on the wire, a call goes from botocore's client straight into the store. Where it makes
requests fail, they go all the way, with botocore's retries, and the store stands behind the wire in moto's place.
"""

from __future__ import annotations

import base64
import io
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import botocore.client
import pytest
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.exceptions import ClientError
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from tests.integration import harness
from tests.simulation.dynamodb import Model
from tests.simulation.dynamodb.values import with_bytes

_CALL = botocore.client.BaseClient._make_api_call
_MOTO = BotocoreStubber.__call__

_store: Model | None = None
_wire: harness.Wire | None = None
_queues: dict[str, list[dict[str, Any]]] = {}


def install() -> None:
    """For good: call it in a process that does nothing else."""
    botocore.client.BaseClient._make_api_call = _call
    harness._MOTO = _behind_the_wire  # type: ignore[assignment]
    BotocoreStubber.__call__ = _without_wire  # type: ignore[method-assign,assignment]
    harness.everything = lambda table: _model().items(table)
    harness.Club.__init__ = _start_club  # type: ignore[method-assign]
    harness.Club.create_table = _create_table  # type: ignore[method-assign]
    harness.Club.stream = _stream  # type: ignore[method-assign]


def pytest_configure() -> None:
    """As a plugin of pytest."""
    install()


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup() -> None:
    """Before each test: nothing is there."""
    global _store, _wire
    _store = _wire = None
    _queues.clear()


def _model() -> Model:
    assert _store is not None
    return _store


def _start_club(self: harness.Club, wire: harness.Wire) -> None:
    global _wire
    _wire = self.wire = wire
    self.log = io.StringIO()
    self.create_table()


def _create_table(self: harness.Club, content: Iterable[harness.Item] = ()) -> None:
    _new_table(harness.table_spec().create)
    for item in content:
        _model().call("PutItem", {"TableName": self.table, "Item": item})


def _new_table(params: Mapping[str, Any]) -> dict[str, Any]:
    global _store
    _store = Model(time.time)
    _store.create_table(**params)
    return {"TableDescription": {"TableName": params["TableName"], "TableStatus": "ACTIVE"}}


def _stream(self: harness.Club) -> list[harness.Event]:
    source = f"{harness.table_spec().arn}/stream/2026-11-22T00:00:00.000"
    return [{**record, "eventSourceARN": source} for record in _model().stream(self.table)]


def _call(self: Any, operation: str, params: dict[str, Any]) -> Any:
    service = self.meta.service_model.service_name
    if service == "dynamodb" and operation == "CreateTable":
        return _new_table(params)
    if _store is None or service not in ("dynamodb", "sqs"):
        return _CALL(self, operation, params)
    if _wire is None and operation == "Scan":
        return _CALL(self, operation, params)  # a resource of boto3 turns values into its own on the way
    if _wire is not None:
        if any(rule.operation == operation for rule in _wire._rules):
            return _CALL(self, operation, params)
        given = dict(params)
        if operation == "TransactWriteItems":
            given.setdefault("ClientRequestToken", str(uuid.uuid4()))
        _wire.sent.append((operation, json.loads(json.dumps(given, default=_text))))
        params = given
    return _model().call(operation, params) if service == "dynamodb" else _queue_call(operation, params)


def _queue_call(operation: str, params: dict[str, Any]) -> dict[str, Any]:
    waiting = _queues.setdefault(params["QueueUrl"], [])
    if operation == "ReceiveMessage":
        return {"Messages": [dict(each) for each in waiting[: params.get("MaxNumberOfMessages", 1)]]} if waiting else {}
    if operation == "DeleteMessage":
        waiting[:] = [each for each in waiting if each["ReceiptHandle"] != params["ReceiptHandle"]]
        return {}
    assert operation in ("SendMessage", "SendMessageBatch")
    sent = [params] if operation == "SendMessage" else params["Entries"]
    for each in sent:
        name = str(uuid.uuid4())
        message = {"MessageId": name, "ReceiptHandle": name, "Body": each["MessageBody"]}
        if each.get("MessageAttributes"):
            message["MessageAttributes"] = each["MessageAttributes"]
        waiting.append(message)
    if operation == "SendMessage":
        return {"MessageId": waiting[-1]["MessageId"]}
    return {"Successful": [{"Id": each["Id"], "MessageId": "m"} for each in sent]}


def _behind_the_wire(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest) -> AWSResponse | None:
    _, service, operation = event_name.split(".", 2)
    if service not in ("dynamodb", "sqs") or _store is None:
        return _MOTO(stubber, event_name, request)
    text = request.body.decode() if isinstance(request.body, bytes) else request.body or "{}"
    body, status, answer = json.loads(text), 200, {}
    try:
        answer = _model().call(operation, with_bytes(body)) if service == "dynamodb" else _queue_call(operation, body)
    except ClientError as error:
        said: dict[str, Any] = dict(error.response)
        status = said.pop("ResponseMetadata")["HTTPStatusCode"]
        fault = said.pop("Error")
        answer = {"__type": f"com.amazonaws.dynamodb.v20120810#{fault['Code']}", "message": fault["Message"], **said}
    answer.pop("ResponseMetadata", None)
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "test"}
    return AWSResponse(request.url, status, headers, MockRawResponse(json.dumps(answer, default=_text)))


def _without_wire(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **_: Any) -> Any:
    return _behind_the_wire(stubber, event_name, request)


def _text(value: Any) -> str:
    return base64.b64encode(value).decode()
