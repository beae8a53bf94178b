"""AWS as a client meets it where the network would begin: carried out by the table's model, or answered from a record.

The seam is the ``send`` of botocore's HTTP session. All that botocore does with a request until it hands it on, and
with the bytes of its answer, is the client's own work and is done; the network and the table are not there.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from local.swapping import swapped
from tests.simulation.dynamodb import Model
from tests.simulation.dynamodb.values import with_bytes


class Exchange(NamedTuple):
    """A request, its binary values as bytes, with the answer's headers and body as they come over the wire."""

    operation: str
    params: dict[str, Any]
    headers: dict[str, str]
    body: bytes


class _Raw:
    """As much of an answer of urllib3 as botocore reads."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self) -> Iterator[bytes]:
        yield self._body


class Wire:
    """What all clients of this process talk to while it is ``installed``."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._recorded: list[Exchange] = []
        self._script: list[Exchange] | None = None
        self._place = 0

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Puts it in the network's place as long as the context lasts."""

        def send(_: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
            return self._send(request)

        with swapped([(URLLib3Session, "send", send)]):
            yield

    def record(self) -> list[Exchange]:
        """From now on the model answers; what it is asked is added to the list that this returns."""
        self._script = None
        self._recorded = []
        return self._recorded

    def play(self, script: list[Exchange]) -> None:
        """From now on the answers are those of ``script``, from its beginning, and again from there behind its end.

        Whoever asks for something else than what stands next gets an ``AssertionError``.
        """
        self._script = script
        self._place = 0

    def at_start(self) -> bool:
        """Whether all of the script has been asked for, and nothing beyond."""
        return self._place == 0

    def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        target = request.headers["X-Amz-Target"]
        operation = (target.decode() if isinstance(target, bytes) else target).rpartition(".")[2]
        if self._script is None:
            exchange = self._carry_out(operation, request.body)
            self._recorded.append(exchange)
        else:
            exchange = self._script[self._place]
            self._place = (self._place + 1) % len(self._script)
            assert exchange.operation == operation, f"{operation} where {exchange.operation} was expected"
        return AWSResponse(request.url, 200, exchange.headers, _Raw(exchange.body))

    def _carry_out(self, operation: str, body: bytes) -> Exchange:
        params = with_bytes(json.loads(body))
        answer = dict(self._model.call(operation, params))
        del answer["ResponseMetadata"]
        return answered(operation, params, answer)


def answered(operation: str, params: dict[str, Any], answer: dict[str, Any]) -> Exchange:
    """A request with its ``answer``, which has binary values as bytes, as DynamoDB would send it."""
    body = json.dumps(answer, separators=(",", ":"), default=lambda value: base64.b64encode(value).decode()).encode()
    headers = {
        "server": "Server",
        "date": "Sun, 22 Nov 2026 10:15:00 GMT",
        "content-type": "application/x-amz-json-1.0",
        "content-length": str(len(body)),
        "connection": "keep-alive",
        "x-amzn-requestid": "4KBNVRGD25RG1KEO9UT4V3FQDJVV4KQNSO5AEMVJF66Q9ASUAAJG",
        "x-amz-crc32": str(zlib.crc32(body)),
    }
    return Exchange(operation, params, headers, body)
