"""What the table's answers say of what they cost: asked for by the benchmark alone, in every request on its way out.

The seam is the ``send`` of botocore's HTTP session: whatever client makes a request, nothing of it knows that it is
measured. Whoever else has put themselves there (the table's model, say) answers as before.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.httpsession import URLLib3Session

from benchmarks.units import READS
from local.swapping import swapped


@dataclass
class Used:
    """What some work took of the table: units as it reports them, and requests by operation, in their order."""

    write_units: float = 0.0
    read_units: float = 0.0
    requests: list[str] = field(default_factory=list)
    by_index: dict[str, float] = field(default_factory=dict)
    """Of the write units, those of secondary indexes, by the index."""


class Meter:
    """Reads what is spent while it is ``installed``."""

    def __init__(self) -> None:
        self._used = Used()

    def of(self, work: Callable[[], object]) -> Used:
        """What ``work`` takes."""
        self._used = used = Used()
        work()
        return used

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Adds ReturnConsumedCapacity to every request to DynamoDB as long as the context lasts."""
        carry: Callable[[URLLib3Session, AWSPreparedRequest], AWSResponse] = URLLib3Session.send

        def send(session: URLLib3Session, request: AWSPreparedRequest) -> AWSResponse:
            service, _, operation = _text(request.headers.get("X-Amz-Target", "")).partition(".")
            if not service.startswith("DynamoDB_"):
                return carry(session, request)
            # what was signed is another body, which no emulator looks at
            body = json.loads(request.body) | {"ReturnConsumedCapacity": "INDEXES"}
            request.body = json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode()
            request.headers["Content-Length"] = str(len(request.body))
            response = carry(session, request)
            self._note(operation, json.loads(response.content))
            return response

        with swapped([(URLLib3Session, "send", send)]):
            yield

    def _note(self, operation: str, answer: dict[str, Any]) -> None:
        consumed = answer.get("ConsumedCapacity", [])
        units = 0.0
        for each in consumed if isinstance(consumed, list) else [consumed]:
            units += each["CapacityUnits"]
            if operation not in READS:
                for name, index in each.get("GlobalSecondaryIndexes", {}).items():
                    self._used.by_index[name] = self._used.by_index.get(name, 0.0) + index["CapacityUnits"]
        self._used.requests.append(operation)
        if operation in READS:
            self._used.read_units += units
        else:
            self._used.write_units += units


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
