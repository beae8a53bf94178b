"""The one place where a request leaves botocore: permissions, faults, then moto, our queues or our bus.

Functions are not changed for it, whatever client they use: botocore asks its `before-send` handlers for an answer
before it opens a connection, and moto has registered one for every client that is made. That handler leads here while
a stack runs. Because it is the last step, botocore's own checks, retries and parsing are as they are on AWS.
"""

import base64
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import botocore.endpoint
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.signers import RequestSigner
from botocore.useragent import UserAgentString
from moto.core.botocore_stubber import BotocoreStubber, MockRawResponse

from local import faults, permissions
from local.swapping import swapped
from local.template import FunctionSpec

# By the first part of the request's host, which no client's service name changes.
SERVICES = {"dynamodb": "dynamodb", "sqs": "sqs", "eventbridge": "events", "events": "events"}
# botocore waits longer and longer between its tries; here a wait only has to let other threads run.
RETRY_WAIT_S_MAX = 0.002
_TOKENS_MAX = 512

_MOTO = BotocoreStubber.__call__
Answer = tuple[int, dict[str, Any]]
Observer = Callable[[FunctionSpec, str, str, Mapping[str, Any]], None]
observers: list[Observer] = []
"""Told of every request that a function makes on any stack of this process, each attempt by itself: the function, the
service, the operation and the request's body. For tests; empty otherwise."""
_OTHER_CONTENT: Answer = (
    400,
    {
        "__type": "com.amazonaws.dynamodb.v20120810#IdempotentParameterMismatchException",
        "message": "The token was used before, with other content",
    },
)


class NotInTheStack(Exception):
    """Something called a service that the stack does not have."""


class Boundary:
    """Answers every request to AWS that is made in this process while it is installed."""

    def __init__(
        self,
        needs: permissions.Needs,
        answer: Mapping[str, Callable[[str, dict[str, Any]], Answer]],
        running: Callable[[], FunctionSpec | None],
        enforce: bool,
    ) -> None:
        self.faults = faults.Faults()
        self.used: dict[str, set[permissions.Need]] = {}
        self._needs = needs
        self._answer = answer  # by service; DynamoDB is moto's
        self._running = running
        self._enforce = enforce
        # moto is not safe for threads, and a function may use some.
        self._lock = threading.Lock()
        self._tokens: OrderedDict[str, list[Any]] = OrderedDict()

    def __call__(self, event_name: str, request: AWSPreparedRequest) -> AWSResponse:
        """Answer one attempt of one request. Raises ReadTimeoutError for a fault that is one, NotInTheStack."""
        _, service_id, operation = event_name.split(".", 2)
        service = SERVICES.get(service_id)
        if service is None:
            raise NotInTheStack(f"{service_id} is not part of the local stack")
        raw: bytes = request.body.encode() if isinstance(request.body, str) else request.body or b"{}"
        with self._lock:
            running = self._running()
            body: dict[str, Any] = json.loads(raw)
            if running is not None:
                for observer in observers:
                    observer(running, service, operation, body)
                refused = self._refused(running, service, operation, body)
                if refused is not None:
                    return _response(request, refused)
            if service != "dynamodb":
                return _response(request, self._answer[service](operation, body))
            # Faults are for functions: what the stack itself reads, to verify or to report, is not their business.
            kind = self.faults.hit(operation) if running is not None else None
            return self._dynamodb(event_name, request, operation, body, kind)

    def _refused(self, running: FunctionSpec, service: str, operation: str, body: dict[str, Any]) -> Answer | None:
        used = self.used.setdefault(running.logical_id, set())
        for need in self._needs.of(service, operation, body):
            used.add(permissions.of_kind(need))
            if self._enforce and permissions.allows(running, need) is None:
                text = f"The role of {running.logical_id} does not allow {permissions.told(need)} (template.yaml)"
                kind = "com.amazonaws.sqs#AccessDenied" if service == "sqs" else "AccessDeniedException"
                return (403 if service == "sqs" else 400), {"__type": kind, "message": text}
        return None

    def _dynamodb(
        self, event_name: str, request: AWSPreparedRequest, operation: str, body: dict[str, Any], kind: str | None
    ) -> AWSResponse:
        if kind == "timeout_before":
            raise faults.timeout(request.url)
        if kind is not None and kind != "timeout_after":
            return _response(request, faults.failure(kind, operation, body))
        token = body.get("ClientRequestToken") if operation == "TransactWriteItems" else None
        known = self._tokens.get(token) if token else None
        if known is not None:
            response = _response(request, (200, {}) if known == body["TransactItems"] else _OTHER_CONTENT)
        else:
            response = _MOTO(_STUBBER, event_name, request)
        if token and known is None and response.status_code == 200:
            # moto doesn't know the promise of this token: that a repeat answers, and writes nothing. botocore gives
            # each transaction one, so that its own retry after a lost answer is harmless.
            self._tokens[token] = body["TransactItems"]
            if len(self._tokens) > _TOKENS_MAX:
                self._tokens.popitem(last=False)
        if kind == "timeout_after":
            raise faults.timeout(request.url)
        return response

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Lead every request here for as long as the context lasts."""
        boundary = self

        def before_send(stubber: BotocoreStubber, event_name: str, request: AWSPreparedRequest, **_: Any) -> Any:
            return boundary(event_name, request) if stubber is _STUBBER else None

        class HurriedTime:
            """botocore's view of the module `time` where it waits before a retry."""

            @staticmethod
            def sleep(seconds: float) -> None:
                time.sleep(min(seconds, RETRY_WAIT_S_MAX))

        changes: list[tuple[Any, str, Any]] = [
            (BotocoreStubber, "__call__", before_send),
            (botocore.endpoint, "time", HurriedTime),
            # Nobody here looks at a signature or asks which client it was: a seventh of a request's time.
            (RequestSigner, "sign", lambda *_, **__: None),
            (UserAgentString, "to_string", lambda _: "local"),
        ]
        with swapped(changes):
            yield


def _response(request: AWSPreparedRequest, answer: Answer) -> AWSResponse:
    status, body = answer
    headers = {"content-type": "application/x-amz-json-1.0", "x-amzn-requestid": "local"}
    return AWSResponse(request.url, status, headers, MockRawResponse(json.dumps(body)))


def _stubber() -> BotocoreStubber:
    from moto.core.models import botocore_stubber

    return botocore_stubber


_STUBBER = _stubber()


def plain(value: Any) -> Any:
    """Give an attribute value of moto's as Lambda sends it: binary as base64."""
    if isinstance(value, str):  # nearly all are: a replay asks for millions
        return value
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, set, tuple)):
        return [plain(item) for item in value]
    return value
