"""The queues: what SendMessage takes, what a function is given, and where what fails goes.

moto's SQS is not used: it knows no mappings, reads the machine's clock, and costs a millisecond for each hop.
"""

import hashlib
import uuid
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from local.template import REGION, QueueSpec

MESSAGE_BYTES_MAX = 1024 * 1024  # SQS's limit for a message, and for a batch as a whole
BATCH_MAX = 10


@dataclass(slots=True)
class Message:
    """One message; `attributes` are SQS's MessageAttributes as they are sent."""

    body: str
    attributes: Mapping[str, Any]
    sent_ms: int
    message_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    receives: int = 0
    first_received_ms: int = 0
    # Of a dead letter: what kind of thing it came from, and which, to be sent round again.
    origin: tuple[str, Any] | None = None


class Queue:
    """One queue. A message that was received is in the hands of the caller until it is given back or dropped."""

    def __init__(self, spec: QueueSpec) -> None:
        self.spec = spec
        self.ready: deque[Message] = deque()

    def __len__(self) -> int:
        return len(self.ready)

    def take(self, count: int, now_ms: int) -> list[Message]:
        """Receive up to `count` messages, oldest first."""
        batch = [self.ready.popleft() for _ in range(min(count, len(self.ready)))]
        for message in batch:
            message.receives += 1
            message.first_received_ms = message.first_received_ms or now_ms
        return batch

    def record(self, message: Message) -> dict[str, Any]:
        """Give a received message as a function gets it."""
        return {
            "messageId": message.message_id,
            "receiptHandle": f"{message.message_id}#{message.receives}",
            "body": message.body,
            "attributes": {
                "ApproximateReceiveCount": str(message.receives),
                "SentTimestamp": str(message.sent_ms),
                "SenderId": "AIDALOCALSTACK",
                "ApproximateFirstReceiveTimestamp": str(message.first_received_ms),
            },
            "messageAttributes": {
                name: {
                    **({"stringValue": value["StringValue"]} if "StringValue" in value else {}),
                    **({"binaryValue": value["BinaryValue"]} if "BinaryValue" in value else {}),
                    "stringListValues": [],
                    "binaryListValues": [],
                    "dataType": value["DataType"],
                }
                for name, value in message.attributes.items()
            },
            "md5OfBody": _md5(message.body),
            "eventSource": "aws:sqs",
            "eventSourceARN": self.spec.arn,
            "awsRegion": REGION,
        }


class Queues:
    """All queues of the template. `dead` names the ARNs of those that hold dead letters."""

    def __init__(self, specs: Mapping[str, QueueSpec], dead: set[str], clock: Callable[[], datetime]) -> None:
        self.by_arn = {arn: Queue(spec) for arn, spec in specs.items()}
        self.by_url = {queue.spec.url: queue for queue in self.by_arn.values()}
        self.dead = dead
        self.dead_lettered = 0  # how many dead letters there ever were
        self._clock = clock

    def now_ms(self) -> int:
        """Give the stack's time in milliseconds."""
        return epoch_ms(self._clock())

    def send(
        self, arn: str, body: str, attributes: Mapping[str, Any] | None = None, origin: tuple[str, Any] | None = None
    ) -> Message:
        """Put a message into a queue, sent now."""
        message = Message(body, attributes or {}, self.now_ms(), origin=origin)
        self._append(arn, message)
        return message

    def give_back(self, queue: Queue, message: Message) -> bool:
        """Take back a message that failed; True when it was one time too many and it is a dead letter now."""
        spec = queue.spec
        if spec.dead_letters is not None and spec.max_receives is not None and message.receives >= spec.max_receives:
            # SQS keeps a message's id and time of sending when it moves it.
            message.origin = message.origin or ("queue", spec.arn)
            self._append(spec.dead_letters, message)
            return True
        queue.ready.append(message)
        return False

    def _append(self, arn: str, message: Message) -> None:
        self.by_arn[arn].ready.append(message)
        if arn in self.dead:
            self.dead_lettered += 1

    def sources_of(self, arn: str) -> list[str]:
        """Give the ARNs of the queues that send their dead letters to a queue."""
        return [queue.spec.arn for queue in self.by_arn.values() if queue.spec.dead_letters == arn]

    # ------------------------------------------------------------ SQS's API, as far as functions use it

    def call(self, operation: str, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        """Answer an SQS request, as (status, body)."""
        queue = self.by_url.get(request.get("QueueUrl", ""))
        if queue is None:
            return _error("com.amazonaws.sqs#QueueDoesNotExist", "The specified queue does not exist.")
        if operation == "SendMessage":
            return self._send_message(queue, request)
        if operation == "SendMessageBatch":
            return self._send_batch(queue, request)
        return _error("com.amazonaws.sqs#UnsupportedOperation", f"{operation} is not known to the local stack.")

    def _send_message(self, queue: Queue, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        size = _size(request)
        if not request.get("MessageBody") or size > MESSAGE_BYTES_MAX:
            text = f"One or more parameters are invalid. Reason: Message must be 1 to {MESSAGE_BYTES_MAX} bytes."
            return _error("com.amazonaws.sqs#InvalidParameterValue", text)
        message = self.send(queue.spec.arn, request["MessageBody"], request.get("MessageAttributes"))
        return 200, {"MessageId": message.message_id, "MD5OfMessageBody": _md5(message.body)}

    def _send_batch(self, queue: Queue, request: Mapping[str, Any]) -> tuple[int, dict[str, Any]]:
        entries = request.get("Entries") or []
        ids = [entry.get("Id") for entry in entries]
        if not entries:
            return _error("com.amazonaws.sqs#EmptyBatchRequest", "There should be at least one entry.")
        if len(entries) > BATCH_MAX:
            return _error("com.amazonaws.sqs#TooManyEntriesInBatchRequest", "There may be at most 10 entries.")
        if len(set(ids)) < len(ids):
            return _error("com.amazonaws.sqs#BatchEntryIdsNotDistinct", "Two entries have the same id.")
        if sum(map(_size, entries)) > MESSAGE_BYTES_MAX:
            return _error("com.amazonaws.sqs#BatchRequestTooLong", "The batch is too long.")
        successful, failed = [], []
        for entry in entries:
            status, answer = self._send_message(queue, entry)
            if status == 200:
                successful.append({"Id": entry["Id"], **answer})
            else:
                code = answer["__type"].rsplit("#", 1)[-1]
                failed.append({"Id": entry["Id"], "Code": code, "Message": answer["message"], "SenderFault": True})
        return 200, {"Successful": successful, "Failed": failed}


def _size(request: Mapping[str, Any]) -> int:
    attributes = request.get("MessageAttributes") or {}
    return len(request.get("MessageBody", "").encode()) + sum(
        len(name) + len(value.get("DataType", "")) + len(value.get("StringValue", value.get("BinaryValue", "")))
        for name, value in attributes.items()
    )


def _error(kind: str, text: str) -> tuple[int, dict[str, Any]]:
    return 400, {"__type": kind, "message": text}


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def epoch_ms(instant: datetime) -> int:
    """Give an instant in whole milliseconds since 1970, without a float's rounding."""
    delta = instant - _EPOCH
    return (delta.days * 86_400 + delta.seconds) * 1000 + delta.microseconds // 1000


_EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
