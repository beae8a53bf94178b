"""Answers, and problems as RFC 9457 problem details (contract 2.1)."""

import json
from collections.abc import Mapping
from typing import Any

from club_rules.errors import (
    ClubError,
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
)

Response = dict[str, Any]

INTERNAL_ERROR = "internal_error"

# The one place that knows which error is which status. The nearest class counts.
_STATUS_BY_CLASS: dict[type[ClubError], int] = {
    InvalidInput: 400,
    Forbidden: 403,
    NotFound: 404,
    Conflict: 409,
    Refused: 409,
    TooLarge: 413,
    Unavailable: 503,
    ClubError: 500,
}
_TITLES = {
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    409: "Conflict",
    413: "Content Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}
# What an answer says is true at this moment and for this caller only.
_NO_STORE = {"cache-control": "no-store"}


def respond(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    """Make an API Gateway (payload 2.0) answer with a JSON body.

    Raises ValueError for a NaN and TypeError for what JSON has no form for: both are defects of the caller.
    """
    return _response(status, body, {"content-type": "application/json", **_NO_STORE, **(headers or {})})


def no_content() -> Response:
    """Make the answer 204: it is done, and there is nothing to say."""
    return {"statusCode": 204, "headers": dict(_NO_STORE), "body": "", "isBase64Encoded": False}


def problem_response(error: ClubError) -> Response:
    """Make the answer to an error: its status by its class, its code and detail as they are.

    `type` stays `about:blank`: what a problem means is in `code`. `errors` is there for input only, and names
    each field at fault by its JSON pointer.
    """
    status = next(_STATUS_BY_CLASS[known] for known in type(error).__mro__ if known in _STATUS_BY_CLASS)
    if status == 500:
        return internal_problem()
    body = _problem(status, error.code, error.detail)
    if isinstance(error, InvalidInput):
        body["errors"] = field_errors(error.errors)
    headers = {"retry-after": "1"} if status == 503 else {}
    return _response(status, body, {"content-type": "application/problem+json", **_NO_STORE, **headers})


def internal_problem() -> Response:
    """Make the answer to a defect of ours: it tells nothing of what happened inside."""
    body = _problem(500, INTERNAL_ERROR, "The request could not be worked off. Sending it again does no harm.")
    return _response(500, body, {"content-type": "application/problem+json", **_NO_STORE})


def field_errors(errors: list[FieldError]) -> list[dict[str, str]]:
    """Write fields at fault as a problem's `errors`."""
    return [{"pointer": error.pointer, "code": error.code, "detail": error.detail} for error in errors]


def _problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {"type": "about:blank", "title": _TITLES[status], "status": status, "detail": detail, "code": code}


def _response(status: int, body: object, headers: dict[str, str]) -> Response:
    # ASCII only, so that a lone surrogate that came in by an id of the sender's can go out again.
    text = json.dumps(body, separators=(",", ":"), allow_nan=False)
    return {"statusCode": status, "headers": headers, "body": text, "isBase64Encoded": False}
