"""What DynamoDB refuses, and how botocore raises it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

CONDITION_FAILED = "The conditional request failed"
CONFLICT = "Transaction is ongoing for the item"

_STATUS = {"InternalServerError": 500}

# Botocore knows no shape for these, so it leaves their text under "Error" alone.
_WITHOUT_SHAPE = frozenset({"ValidationException"})


class Fault(Exception):
    """A request, or one item of it, that is refused. ``more`` stands beside "Error" in botocore's response."""

    def __init__(self, code: str, message: str, **more: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.more = more


class Invalid(Fault):
    """A request that breaks a rule: ValidationException."""

    def __init__(self, message: str) -> None:
        super().__init__("ValidationException", message)


class ConditionFailed(Fault):
    """A condition that doesn't hold. ``item`` is what is stored, where the caller asked for it, and there is any."""

    def __init__(self, item: Mapping[str, Any] | None) -> None:
        super().__init__("ConditionalCheckFailedException", CONDITION_FAILED, **({"Item": item} if item else {}))


def client_error(fault: Fault, operation: str, request_id: str) -> ClientError:
    """The exception that botocore raises for a fault, with the response dict that botocore would have made of it."""
    response: dict[str, Any] = {
        "Error": {"Message": fault.message, "Code": fault.code},
        "ResponseMetadata": metadata(request_id, _STATUS.get(fault.code, 400)),
    }
    if fault.code == "TransactionCanceledException":
        response["Message"] = fault.message
    elif fault.code not in _WITHOUT_SHAPE:
        response["message"] = fault.message
    return ClientError({**response, **fault.more}, operation)


def metadata(request_id: str, status: int = 200) -> dict[str, Any]:
    """What botocore says of an HTTP answer."""
    return {
        "RequestId": request_id,
        "HTTPStatusCode": status,
        "HTTPHeaders": {"x-amzn-requestid": request_id, "content-type": "application/x-amz-json-1.0"},
        "RetryAttempts": 0,
    }
