"""What a request of API Gateway (HTTP API, payload 2.0) holds: its body, its time, its parameters."""

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from club_rules.errors import FieldError, InvalidInput, TooLarge, pointer_token

BODY_BYTES_MAX = 256 * 1024

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def request_time(event: Mapping[str, Any]) -> datetime:
    """Tell when the request reached the gateway, to the millisecond, in UTC (rules 1.2: time is an input)."""
    return _EPOCH + timedelta(milliseconds=event["requestContext"]["timeEpoch"])


def read_object(event: Mapping[str, Any], load_json: Callable[[bytes], object]) -> dict[str, Any]:
    """Read the body as a JSON object, with the decoder given.

    Raises TooLarge (`body_too_large`) above 256 KiB, InvalidInput for what is no JSON (`invalid_json`, by the
    decoder) and for what is no object (`invalid_type`). Its fields are for the caller to check.
    """
    body = load_json(_body_bytes(event))
    if not isinstance(body, dict):
        raise InvalidInput([FieldError("", "invalid_type", "the body must be a JSON object")])
    return body


def unknown_fields(fields: Iterable[str], known: Iterable[str], at: str = "") -> list[FieldError]:
    """Name every field that is not known, as errors below the pointer `at`."""
    allowed = frozenset(known)
    return [
        FieldError(f"{at}/{pointer_token(name)}", "unknown_field", "is not known here")
        for name in fields
        if name not in allowed
    ]


def path_parameter(event: Mapping[str, Any], name: str) -> str:
    """Return a parameter of the path, as the gateway decoded it. Raises KeyError where the route has none."""
    value: str = event["pathParameters"][name]
    return value


def query_parameters(event: Mapping[str, Any], known: Iterable[str]) -> dict[str, str]:
    """Return the query's parameters. Raises InvalidInput, which names each one that is not known.

    A query is no JSON document: in the pointers its parameters stand as fields of `/query`.
    """
    given: dict[str, str] = event.get("queryStringParameters") or {}
    errors = unknown_fields(given, known, "/query")
    if errors:
        raise InvalidInput(errors)
    return dict(given)


def _body_bytes(event: Mapping[str, Any]) -> bytes:
    """Return the bytes that the client sent, once it is clear that they are not too many."""
    body = event.get("body") or ""
    encoded = bool(event.get("isBase64Encoded"))
    # Base64 makes four characters of three bytes; what is longer than that need not be decoded to be refused.
    if len(body) > (BODY_BYTES_MAX + 2) // 3 * 4 if encoded else len(body) > BODY_BYTES_MAX:
        raise _too_large()
    try:
        content = base64.b64decode(body, validate=True) if encoded else body.encode("utf-8")
    except (binascii.Error, ValueError):
        raise InvalidInput([FieldError("", "invalid_json", "the body can't be decoded")]) from None
    if len(content) > BODY_BYTES_MAX:
        raise _too_large()
    return content


def _too_large() -> TooLarge:
    return TooLarge("body_too_large", f"the body must be at most {BODY_BYTES_MAX} bytes")
