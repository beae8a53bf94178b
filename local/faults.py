"""Faults of the data store, on purpose and repeatable (contract 2.5, `/_local/faults`).

They are given where a request leaves botocore, so that the retries of botocore and PynamoDB happen as on AWS.
"""

import json
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ReadTimeoutError

KINDS = ("throttle", "conflict", "timeout_after", "timeout_before", "error")

_SINGLE_WRITES = frozenset({"PutItem", "UpdateItem", "DeleteItem"})
_TRANSACTIONS = frozenset({"TransactWriteItems", "TransactGetItems"})
_READS = frozenset({"GetItem", "BatchGetItem", "Query", "Scan"})
OPERATIONS = _SINGLE_WRITES | _TRANSACTIONS | _READS | {"BatchWriteItem"}

_NAMESPACE = "com.amazonaws.dynamodb.v20120810#"

Answer = tuple[int, dict[str, Any]]


class BadFault(ValueError):
    """The order for a fault makes no sense; the text says what is expected, by field."""


@dataclass(frozen=True)
class Fault:
    """What to do to how many of which requests."""

    operation: str
    kind: str
    rate: float

    @classmethod
    def parse(cls, order: Mapping[str, Any]) -> "Fault":
        """Read the body of `POST /_local/faults`. Raises BadFault."""
        unknown = sorted(set(order) - {"operation", "kind", "rate", "seed"})
        if unknown:
            raise BadFault(f"unknown field {', '.join(unknown)}")
        operation, kind, rate = order.get("operation"), order.get("kind"), order.get("rate", 1.0)
        if not isinstance(operation, str) or operation not in OPERATIONS:
            raise BadFault(f"operation: expected one of {', '.join(sorted(OPERATIONS))}")
        if not isinstance(kind, str) or kind not in KINDS:
            raise BadFault(f"kind: expected one of {', '.join(KINDS)}")
        if isinstance(rate, bool) or not isinstance(rate, (int, float)) or not 0 <= rate <= 1:
            raise BadFault("rate: expected a number from 0 to 1")
        return cls(operation, kind, float(rate))


class Faults:
    """The fault that is in force, if any, and the dice that decide whom it hits."""

    def __init__(self) -> None:
        self.fault: Fault | None = None
        self.given = 0
        self._dice = random.Random(0)

    def order(self, order: Mapping[str, Any]) -> None:
        """Put a fault in force, or clear it with an empty order. Raises BadFault."""
        if not order:
            self.fault = None
            return
        seed = order.get("seed", 0)
        if isinstance(seed, bool) or not isinstance(seed, int):
            raise BadFault("seed: expected a whole number")
        self.fault = Fault.parse(order)
        self._dice = random.Random(seed)

    def hit(self, operation: str) -> str | None:
        """Say which kind of fault this request gets; None = none."""
        if self.fault is None or self.fault.operation != operation or self._dice.random() >= self.fault.rate:
            return None
        if self.fault.kind == "conflict" and operation not in _SINGLE_WRITES | _TRANSACTIONS:
            return None  # a read by itself is never in conflict
        self.given += 1
        return self.fault.kind


def timeout(url: str) -> ReadTimeoutError:
    """Make the error that botocore sees when no answer comes."""
    return ReadTimeoutError(endpoint_url=url)


def failure(kind: str, operation: str, body: Mapping[str, Any]) -> Answer:
    """Give the answer of a data store that is busy, in conflict or broken, as DynamoDB words it."""
    if kind == "throttle":
        text = "The level of configured provisioned throughput for the table was exceeded."
        return 400, {"__type": f"{_NAMESPACE}ProvisionedThroughputExceededException", "message": text}
    if kind == "error":
        return 500, {"__type": f"{_NAMESPACE}InternalServerError", "message": "Internal server error"}
    if operation not in _TRANSACTIONS:
        text = "Transaction is ongoing for the item"
        return 400, {"__type": f"{_NAMESPACE}TransactionConflictException", "message": text}
    # One item is in conflict, the last: a caller that looks at the first reason only is found out.
    reasons: list[dict[str, Any]] = [{"Code": "None"} for _ in body.get("TransactItems", [])[1:]]
    reasons.append({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
    codes = ", ".join(reason["Code"] for reason in reasons)
    text = f"Transaction cancelled, please refer cancellation reasons for specific reasons [{codes}]"
    kind_of = f"{_NAMESPACE}TransactionCanceledException"
    return 400, {"__type": kind_of, "Message": text, "message": text, "CancellationReasons": reasons}


def parsed(body: bytes | str | None) -> dict[str, Any]:
    """Read a request's JSON body."""
    return json.loads(body or b"{}")
