"""AWS on this machine for processes that have just begun: it answers from the table's model, or again what it answered.

It listens on 127.0.0.1 alone, and in the process of who measures: what it costs is not on the bill of who asks.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

from botocore.exceptions import ClientError

from benchmarks.client_cpu.wire import answered
from tests.simulation.dynamodb import Model

HOST = "127.0.0.1"


class Answer(NamedTuple):
    """What was asked, by its target (such as ``DynamoDB_20120810.GetItem``), and the bytes that went back."""

    target: str
    status: int
    headers: dict[str, str]
    body: bytes


class CannedAws:
    """DynamoDB, SQS and EventBridge, as far as the functions call them; from ``canned_aws``.

    ``url`` is where it listens, ``trouble`` what was asked that was not to be answered.
    """

    def __init__(self, model: Model) -> None:
        self.trouble: list[str] = []
        self._model = model
        self._script: list[Answer] | None = None
        self._given: list[Answer] = []
        aws = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                answer = aws._answer(self.headers["x-amz-target"] or "", body)
                lines = [f"HTTP/1.1 {answer.status} -", *(f"{name}: {value}" for name, value in answer.headers.items())]
                self.wfile.write("\r\n".join([*lines, "", ""]).encode() + answer.body)

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class calls it so
                """Say nothing."""

        self._server = ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_address[1]}"

    def record(self) -> list[Answer]:
        """From now on the model answers; what it answers is added to the list that this returns."""
        self._script, self._given = None, []
        return self._given

    def replay(self, script: list[Answer]) -> None:
        """From now on the answers are those of ``script``, from its beginning. Nothing is stored."""
        self._script, self._given = script, []

    def _answer(self, target: str, body: bytes) -> Answer:
        place = len(self._given)
        if self._script is None:
            answer = self._carried_out(target, json.loads(body, object_hook=_with_bytes))
        elif place < len(self._script) and self._script[place].target == target:
            answer = self._script[place]
        else:
            self.trouble.append(f"{target} was asked, as number {place}")
            answer = sent(target, {}, 500)
        self._given.append(answer)
        return answer

    def _carried_out(self, target: str, params: dict[str, Any]) -> Answer:
        service, _, operation = target.partition(".")
        if service.startswith("DynamoDB_"):
            try:
                found = self._model.call(operation, params)
            except ClientError as error:
                refused = {
                    key: value for key, value in error.response.items() if key not in ("Error", "ResponseMetadata")
                }
                told = error.response["Error"]
                kind = {
                    "__type": f"com.amazonaws.dynamodb.v20120810#{told['Code']}",
                    "message": told.get("Message", ""),
                }
                return sent(target, {**kind, **refused}, 400)
            return sent(target, {name: value for name, value in found.items() if name != "ResponseMetadata"})
        entries = params.get("Entries", [])
        if operation == "SendMessage":
            return sent(target, {"MessageId": "1", "MD5OfMessageBody": ""})
        if operation == "SendMessageBatch":
            taken = [{"Id": each["Id"], "MessageId": each["Id"], "MD5OfMessageBody": ""} for each in entries]
            return sent(target, {"Successful": taken, "Failed": []})
        if operation == "PutEvents":
            return sent(target, {"FailedEntryCount": 0, "Entries": [{"EventId": "1"} for _ in entries]})
        self.trouble.append(f"{target} was asked")
        return sent(target, {}, 500)


def sent(target: str, content: dict[str, Any], status: int = 200) -> Answer:
    """An answer as it comes over the wire; ``content`` has binary values as bytes."""
    exchange = answered(target, {}, content)
    return Answer(target, status, exchange.headers, exchange.body)


def _with_bytes(value: dict[str, Any]) -> dict[str, Any]:
    """An attribute's value as the model has it: binary as bytes, not as base64."""
    packed = value.get("B")
    return {"B": base64.b64decode(packed)} if len(value) == 1 and isinstance(packed, str) else value


@contextmanager
def canned_aws(model: Model) -> Iterator[CannedAws]:
    """It, answering from ``model``, as long as the context lasts."""
    aws = CannedAws(model)
    thread = threading.Thread(target=aws._server.serve_forever, daemon=True)
    thread.start()
    try:
        yield aws
    finally:
        aws._server.shutdown()
        aws._server.server_close()
        thread.join()
