"""API Gateway's HTTP API: routes, tokens and scopes, and the event (payload 2.0) that a function gets."""

import base64
import binascii
import json
import re
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote

from local import tokens
from local.queues import epoch_ms
from local.template import ACCOUNT, Authorizer, Cors, Route

_API_ID = "local"
_DOMAIN = "127.0.0.1"
_PARAMETER = re.compile(r"\{([^}+]+)(\+?)\}")
Headers = dict[str, str]

ANSWER_BYTES_MAX = 6_291_556  # Lambda's limit for what a function answers, as JSON
_NEVER_TOO_LARGE = ANSWER_BYTES_MAX // 8  # in JSON a character has at most six bytes, and headers are short


class Response(NamedTuple):
    """What a caller gets."""

    status: int
    headers: Headers
    body: bytes

    def json(self) -> Any:
        """Read the body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class _Matcher:
    route: Route
    pattern: re.Pattern[str]
    literals: int


def problem(status: int, message: str, headers: Headers | None = None) -> Response:
    """Make an answer that the gateway itself gives."""
    return Response(
        status, {"content-type": "application/json", **(headers or {})}, json.dumps({"message": message}).encode()
    )


class Gateway:
    """Turns a request into a function's event, and the function's answer into a response.

    `invoke(function ARN, event)` gives the answer, or raises for a function that failed. With `cors`, what browsers ask
    before a request is answered here, and what a function says of other origins is left out.
    """

    def __init__(
        self,
        routes: Sequence[Route],
        checker: Callable[[Authorizer], tokens.Checker],
        clock: Callable[[], datetime],
        invoke: Callable[[str, dict[str, Any]], Any],
        cors: Cors | None = None,
    ) -> None:
        # The most specific route wins: an exact path before a parameter, that before a greedy one, ANY last.
        matchers = [_Matcher(route, _pattern(route.path), _literal_length(route.path)) for route in routes]
        self._matchers = sorted(
            matchers, key=lambda matcher: ("+}" in matcher.route.path, -matcher.literals, matcher.route.method == "ANY")
        )
        self._checkers = {route.authorizer: checker(route.authorizer) for route in routes if route.authorizer}
        self._clock = clock
        self._invoke = invoke
        self._cors = cors

    def request(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Response:
        """Answer one request; `headers` have lower-case names."""
        if self._cors is None:
            return self._answer(method, path, query, headers, body)
        origin = headers.get("origin")
        allowed = {"access-control-allow-origin": origin} if origin and origin in self._cors.origins else {}
        if method == "OPTIONS" and origin is not None and "access-control-request-method" in headers:
            return Response(204, {**allowed, **_preflight(self._cors)} if allowed else {}, b"")
        answer = self._answer(method, path, query, headers, body)
        own = {name: value for name, value in answer.headers.items() if not name.startswith("access-control-")}
        return answer._replace(headers={**own, **allowed})

    def _answer(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> Response:
        found = self.find(method, path)
        if found is None:
            return problem(404, "Not Found")
        route, parameters = found
        authorizer: dict[str, Any] | None = None
        if route.authorizer is not None:
            try:
                claims = self._checkers[route.authorizer].claims(headers.get("authorization"))
            except tokens.Unauthorized:
                return problem(401, "Unauthorized", {"www-authenticate": "Bearer"})
            granted = [scope for scope in route.scopes if scope in tokens.scopes_of(claims)]
            if route.scopes and not granted:
                challenge = f'Bearer scope="{" ".join(route.scopes)}" error="insufficient_scope"'
                return problem(403, "Forbidden", {"www-authenticate": challenge})
            authorizer = {"jwt": {"claims": tokens.as_claims(claims), "scopes": granted or None}}
        event = self._event(method, path, query, headers, body)
        event["routeKey"] = event["requestContext"]["routeKey"] = f"{route.method} {route.path}"
        if authorizer:
            event["requestContext"]["authorizer"] = authorizer
        if parameters:
            event["pathParameters"] = parameters
        try:
            return _response(self._invoke(route.function, event))
        except Exception:  # noqa: BLE001 - whatever it was, the caller sees what the gateway shows
            return problem(500, "Internal Server Error")

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
        """Find the route of a request, and the parameters in its path; None = there is none."""
        for matcher in self._matchers:
            if matcher.route.method not in {method, "ANY"}:
                continue
            match = matcher.pattern.fullmatch(path)
            if match:
                return matcher.route, {name: unquote(value) for name, value in match.groupdict().items()}
        return None

    def _event(self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes) -> dict[str, Any]:
        now = self._clock()
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": "",
            "rawPath": unquote(path),
            "rawQueryString": query,
            "headers": {name: value for name, value in headers.items() if name != "cookie"},
            "requestContext": {
                "accountId": ACCOUNT,
                "apiId": _API_ID,
                "domainName": _DOMAIN,
                "domainPrefix": _API_ID,
                "http": {
                    "method": method,
                    "path": unquote(path),
                    "protocol": "HTTP/1.1",
                    "sourceIp": "127.0.0.1",
                    "userAgent": headers.get("user-agent", ""),
                },
                "requestId": str(uuid.uuid4()),
                "routeKey": "",
                "stage": "$default",
                "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
                "timeEpoch": epoch_ms(now),
            },
            "isBase64Encoded": False,
        }
        if "cookie" in headers:
            event["cookies"] = [cookie.strip() for cookie in headers["cookie"].split(";")]
        if query:
            values: dict[str, str] = {}
            for name, value in parse_qsl(query, keep_blank_values=True):
                values[name] = f"{values[name]},{value}" if name in values else value
            event["queryStringParameters"] = values
        if body:
            try:
                event["body"] = body.decode("utf-8")
            except UnicodeDecodeError:
                event["body"], event["isBase64Encoded"] = base64.b64encode(body).decode(), True
        return event


def _preflight(cors: Cors) -> Headers:
    return {
        "access-control-allow-methods": ",".join(cors.methods),
        "access-control-allow-headers": ",".join(cors.headers),
        "access-control-max-age": str(cors.max_age_s),
    }


def _pattern(path: str) -> re.Pattern[str]:
    """Make the pattern of a route's path: a parameter is one segment, a greedy one (`{proxy+}`) is the rest."""
    parts, position = [], 0
    for match in _PARAMETER.finditer(path):
        parts.append(re.escape(path[position : match.start()]))
        parts.append(f"(?P<{match.group(1)}>{'.+' if match.group(2) else '[^/]+'})")
        position = match.end()
    parts.append(re.escape(path[position:]))
    return re.compile("".join(parts), re.DOTALL)


def _literal_length(path: str) -> int:
    return len(_PARAMETER.sub("", path))


def _response(answer: Any) -> Response:
    """Read a function's answer as the gateway does: without a status code, the whole of it is the body."""
    if not isinstance(answer, dict) or "statusCode" not in answer:
        body = answer if isinstance(answer, str) else json.dumps(answer)
        return Response(200, {"content-type": "application/json"}, body.encode())
    headers = {str(name).lower(): _header(value) for name, value in (answer.get("headers") or {}).items()}
    for name, values in (answer.get("multiValueHeaders") or {}).items():
        headers[str(name).lower()] = ",".join(map(_header, values))
    if answer.get("cookies"):
        headers["set-cookie"] = ", ".join(answer["cookies"])
    body = answer.get("body") or ""
    if not isinstance(body, str):
        raise TypeError("a function's body is text")
    if len(body) > _NEVER_TOO_LARGE and len(json.dumps(answer)) > ANSWER_BYTES_MAX:
        raise ValueError("a function's answer is above 6 MB")
    if answer.get("isBase64Encoded"):
        try:
            content = base64.b64decode(body, validate=True)
        except binascii.Error as error:
            raise ValueError("a function's body is not base64") from error
    else:
        content = body.encode()
    headers.setdefault("content-type", "text/plain; charset=utf-8")
    return Response(int(answer["statusCode"]), headers, content)


def _header(value: Any) -> str:
    text = str(value).lower() if isinstance(value, bool) else str(value)
    if "\r" in text or "\n" in text:
        raise ValueError("a header holds a line break")
    return text
