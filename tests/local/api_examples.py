"""The examples of openapi.json: its requests are sent to the local stack, and what comes back is what the file shows.

`make examples` writes the answers into the file anew, after a change of shapes or texts.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from itertools import count, product
from typing import Any, NamedTuple
from unittest import mock

import jsonschema_rs

from local.gateway import Response
from local.stack import Stack
from local.template import ROOT

FILE = ROOT / "functions" / "privilege_centre" / "openapi.json"
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
JSON, PROBLEM = "application/json", "application/problem+json"
EVERYTHING = ("club:read", "club:support", "club:ingest", "club:admin", "club:decide")
_WIDTH = 120


def read() -> dict[str, Any]:
    """The description, as it stands in its file."""
    document: dict[str, Any] = json.loads(FILE.read_text("utf-8"))
    return document


def written(value: Any, indent: int = 0) -> str:
    """JSON as the file has it: what fits on a line stands on one."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or len(line) + indent <= _WIDTH - 20 or not value:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, dict):
        rows = [f"{inner}{json.dumps(name)}: {written(each, indent + 2)}" for name, each in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{' ' * indent}}}"
    if all(isinstance(each, str) for each in value):
        return "[\n" + "\n".join(_filled([json.dumps(each) for each in value], inner)) + f"\n{' ' * indent}]"
    return "[\n" + ",\n".join(inner + written(each, indent + 2) for each in value) + f"\n{' ' * indent}]"


def _filled(words: list[str], inner: str) -> Iterator[str]:
    row = inner + words[0]
    for word in words[1:]:
        if len(row) + len(word) + 3 > _WIDTH:
            yield row + ","
            row = inner + word
        else:
            row += f", {word}"
    yield row


def at(document: Mapping[str, Any], pointer: str) -> Any:
    """What a JSON pointer names; KeyError where it names nothing."""
    found: Any = document
    for token in pointer.removeprefix("/").split("/"):
        name = token.replace("~1", "/").replace("~0", "~")
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def put(document: dict[str, Any], pointer: str, value: Any) -> None:
    """Put a value where a JSON pointer names it, with the objects around it."""
    *parents, name = [token.replace("~1", "/").replace("~0", "~") for token in pointer.removeprefix("/").split("/")]
    for parent in parents:
        document = document.setdefault(parent, {})
    document[name] = value


def sealed(schema: Any) -> Any:
    """The schema without room for a field that it does not name.

    Answers may grow (contract 2.1), so they are described as open; but what they hold today has to be described.
    """
    if isinstance(schema, list):
        return [sealed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    tight = {name: sealed(each) for name, each in schema.items()}
    if schema.get("type") == "object" and "additionalProperties" not in schema:
        tight["unevaluatedProperties"] = False
    return tight


def validator(document: Mapping[str, Any], schema: Any) -> jsonschema_rs.Draft202012Validator:
    """Checks against a schema of the document, in which no object may have a field that it does not name."""
    root = {"allOf": [sealed(schema)], "components": {"schemas": sealed(document["components"]["schemas"])}}
    return jsonschema_rs.Draft202012Validator(root, validate_formats=True)


# --- a club with a past


def event(
    number: int, kind: str, member: str, occurred_at: str, data: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """An activity event."""
    head = {"event_id": f"e-{number}", "type": kind, "member_id": member, "occurred_at": occurred_at}
    return {**head, "data": dict(data or {})}


def order(number: int, member: str, occurred_at: str, *prices: str, quantity: int = 1, **more: Any) -> dict[str, Any]:
    """An order, with a line for each price."""
    lines = [
        {
            "item_id": f"i-{number}-{index}",
            "seller_id": f"s-{index}",
            "category": "books",
            "unit_price": price,
            "quantity": quantity,
        }
        for index, price in enumerate(prices, 1)
    ]
    data = {"order_id": f"o-{number}", "currency": "USD", "lines": lines, **more}
    return event(number, "order.completed", member, occurred_at, data)


PAST = (
    event(1, "member.registered", "m-42", "2025-11-09T09:00:00Z", {"birthday": "1990-05-02", "country": "BY"}),
    order(900, "m-42", "2025-11-10T12:00:00Z", "109.50", "21.00"),
    order(901, "m-42", "2025-12-05T12:00:00Z", "15.00"),
    order(700, "m-7", "2026-03-01T10:00:00Z", "900.00", "1300.00"),
    event(2, "violation.confirmed", "m-7", "2026-03-03T10:00:00Z", {"case_id": "c-1", "kind": "return_abuse"}),
    event(
        3, "order.refunded", "m-7", "2026-03-04T10:00:00Z", {"order_id": "o-700", "amount": "40.00", "currency": "USD"}
    ),
    event(7, "violation.confirmed", "m-7", "2026-04-01T10:00:00Z", {"case_id": "c-2", "kind": "extortion"}),
    event(8, "violation.overturned", "m-7", "2026-04-09T10:00:00Z", {"case_id": "c-2", "kind": "extortion"}),
    order(1001, "m-42", "2026-05-02T08:30:00Z", "380.00", "82.00", "1.50"),
    event(4, "review.posted", "m-42", "2026-05-09T18:00:00Z", {"order_id": "o-1001", "item_id": "i-1001-1"}),
    event(5, "visit.recorded", "m-42", "2026-09-01T07:00:00Z"),
    order(701, "m-7", "2026-10-02T10:00:00Z", "1500.00", flags=["preorder"]),
    event(6, "order.refunded", "m-8", "2026-11-01T10:00:00Z", {"order_id": "o-late", "full": True}),
    order(800, "m-8", "2026-11-02T10:00:00Z", "3.50", quantity=12),
    event(60, "violation.confirmed", "m-7", "2026-11-19T10:00:00Z", {"case_id": "c-3", "kind": "extortion"}),
    order(1002, "m-42", "2026-11-20T16:45:00Z", "24.99"),
)
"""What has happened by NOW; each was sent when it happened."""

CORRECTED = (
    {"adjustment_id": "c-1", "program": "club", "points": -12, "reason": "Counted twice"},
    {"adjustment_id": "c-2", "program": "vip", "spend": "12.50", "reason": "Paid in a shop"},
)
"""What operators have adjusted, of m-7's, at NOW."""

MEMBERS = ("m-42", "m-7", "m-8")


def live_through(stack: Stack) -> None:
    """Send the past, each event at its time, and set the clock to NOW."""
    for each in PAST:
        stack.set_clock(datetime.fromisoformat(each["occurred_at"]))
        answer = call(stack, "POST", "/activities", body={"events": [each]})
        if answer.status != 202 or answer.json()["refused"]:
            raise ValueError(f"{each['event_id']}: {answer.body.decode()}")
        stack.drain()
    from club_ledger import rewarding  # a stack brings the layers along

    stack.set_clock(NOW)
    # the codes of coupons are chance, and examples are not
    codes = (f"7Q3M9K-0X2RTA-D4WZ8B-{number:06d}" for number in count(1))
    with mock.patch.object(rewarding, "new_code", side_effect=codes):
        stack.fire("RewardSweep", NOW)
    for body in CORRECTED:
        if call(stack, "POST", "/members/m-7/adjustments", sub="op-1", body=body).status != 200:
            raise ValueError(f"{body['adjustment_id']} was not posted")


def call(
    stack: Stack,
    method: str,
    path: str,
    query: str = "",
    *,
    sub: str = "m-42",
    scopes: tuple[str, ...] = EVERYTHING,
    headers: Mapping[str, str] | None = None,
    body: Any = b"",
) -> Response:
    """Ask the stack, with a token of `sub`; none where `sub` is empty."""
    token = {"authorization": f"Bearer {stack.token(sub, scopes)}"} if sub else {}
    return stack.request(method, path, query, {**token, **(headers or {})}, body)


# --- what is asked, and where the answer stands in the file


class Ask(NamedTuple):
    """A request, and the pointer of the example that its answer is.

    `body`: what is sent, or the pointer of a request that is an example itself; `faulty`: the table does not answer.
    """

    pointer: str
    method: str
    path: str
    query: str = ""
    sub: str = "m-42"
    scopes: tuple[str, ...] = ("club:read",)
    headers: Mapping[str, str] | None = None
    body: Any = b""
    faulty: bool = False


def _answers(path: str, method: str, status: int, media: str = JSON) -> str:
    """The pointer of what a route's answers of one kind show."""
    return f"/paths/{_token(path)}/{method.lower()}/responses/{status}/content/{_token(media)}"


def _shared(name: str, media: str = PROBLEM) -> str:
    return f"/components/responses/{name}/content/{_token(media)}/example"


def _token(text: str) -> str:
    return text.replace("~", "~0").replace("/", "~1")


def _get(path: str, query: str = "", *, status: int = 200, name: str = "", **more: Any) -> Ask:
    """A read of m-42's; `name`: of one of several examples."""
    kind = JSON if status == 200 else PROBLEM
    pointer = _answers(path, "get", status, kind) + (f"/examples/{name}/value" if name else "/example")
    return Ask(pointer, "GET", path.replace("{member_id}", "me"), query, **more)


def _post(path: str, status: int, name: str, scopes: tuple[str, ...]) -> Ask:
    """A request that is an example itself, named as the example of its answer."""
    request = f"/paths/{_token(path)}/post/requestBody/content/{_token(JSON)}/examples/{name}/value"
    return Ask(_answers(path, "post", status) + f"/examples/{name}/value", "POST", path, scopes=scopes, body=request)


def _adjusted(status: int, name: str) -> Ask:
    """An adjustment of m-8's that is an example itself."""
    path = "/members/{member_id}/adjustments"
    request = f"/paths/{_token(path)}/post/requestBody/content/{_token(JSON)}/examples/{name}/value"
    pointer = _answers(path, "post", status) + f"/examples/{name}/value"
    return Ask(pointer, "POST", "/members/m-8/adjustments", sub="op-1", scopes=("club:admin",), body=request)


_SUMMARY, _STATEMENT = "/members/{member_id}", "/members/{member_id}/statement"
_REFUND, _DISPUTE = "/refunds/expedited", "/disputes/acceleration"
_DECIDE = ("club:decide",)

DECISIONS = tuple(
    _answers(path, "post", 200) + f"/examples/{name}/value"
    for path, name in ((_REFUND, "approved"), (_REFUND, "pending"), (_DISPUTE, "approved"), (_DISPUTE, "declined"))
)
"""Where the decisions stand that there are after all that is asked."""

ASKED = (
    _get(_SUMMARY),
    _get(_STATEMENT, "program=club&limit=2"),
    _get(_STATEMENT, "program=vip&from=2026-12-01&to=2026-11-01&limit=0", status=400),
    _get("/members/{member_id}/privileges"),
    _get("/members/{member_id}/rewards"),
    _get("/members/{member_id}/explanation", "program=club&from=2026-11-01", name="fallen"),
    _get(
        "/members/{member_id}/explanation", "program=vip&from=2026-08-01", name="vip", headers={"accept-language": "ru"}
    ),
    _get("/members/{member_id}/explanation", "program=gold&to=2027-01-01", status=400),
    _get("/members/{member_id}/outlook", "program=club&days=14"),
    _get("/members/{member_id}/outlook", "program=club&days=401", status=400),
    _post(_REFUND, 200, "approved", _DECIDE),
    _post(_REFUND, 200, "pending", _DECIDE),
    _post(_DISPUTE, 200, "approved", _DECIDE),
    _post(_DISPUTE, 200, "declined", _DECIDE),
    _get("/members/{member_id}/export", "limit=2"),
    _get("/members/{member_id}/export", "limit=0&program=club", status=400),
    _get("/members/{member_id}/decisions", "limit=1", scopes=("club:support",)),
    _get("/members/{member_id}/decisions", "cursor=touched", status=400, scopes=("club:support",)),
    Ask(_answers("/decisions/{decision_id}", "get", 200) + "/example", "GET", DECISIONS[0], scopes=_DECIDE),
    Ask(
        _answers("/decisions/{decision_id}", "get", 400, PROBLEM) + "/example",
        "GET",
        DECISIONS[0],
        "member=m-42",
        scopes=_DECIDE,
    ),
    _post("/activities", 202, "twoOfThree", ("club:ingest",)),
    Ask(_shared("BadQuery"), "GET", "/members/me", "tier=A3", headers={"accept-language": "tlh"}),
    Ask(_shared("BadBody"), "POST", "/activities", scopes=("club:ingest",), body={"event": []}),
    Ask(_shared("Unauthorized", JSON), "GET", "/members/me", sub=""),
    Ask(_shared("Forbidden", JSON), "GET", "/members/me", scopes=_DECIDE),
    Ask(_shared("NoMember"), "GET", "/members/m-43"),
    Ask(_shared("NoMember", JSON), "GET", "/members/"),
    Ask(_shared("NoDecision"), "GET", "/decisions/d-0", scopes=_DECIDE),
    Ask(_shared("NoDecision", JSON), "GET", "/decisions/", scopes=_DECIDE),
    Ask(_shared("TooLarge"), "POST", "/activities", scopes=("club:ingest",), body=b" " * (256 * 1024 + 1)),
    Ask(
        _shared("Conflict"),
        "POST",
        _REFUND,
        scopes=_DECIDE,
        body={
            "request_id": "r-1",
            "member_id": "m-42",
            "order_id": "o-1002",
            "dispute_id": "d-77",
            "refund": {"kind": "partial", "amount": "10.00", "currency": "USD"},
            "order_eligible": True,
        },
    ),
    _adjusted(200, "posted"),
    _adjusted(200, "spend"),
    _adjusted(202, "waiting"),
    Ask(
        _shared("AdjustmentConflict"),
        "POST",
        "/members/m-8/adjustments",
        sub="op-1",
        scopes=("club:admin",),
        body={"adjustment_id": "a-1", "program": "club", "points": -26, "reason": "Counted twice"},
    ),
    # A subject of blanks is none.
    Ask(_shared("NoOperator"), "DELETE", "/members/m-8", sub=" ", scopes=("club:admin",)),
    Ask(_shared("NoOperator", JSON), "DELETE", "/members/m-8", sub="op-1"),
    Ask(_shared("Unavailable"), "GET", "/members/me/privileges", faulty=True),
)
"""In this order: a decision is there when it is asked for."""


def answers(stack: Stack, document: dict[str, Any], asked: Iterable[Ask] = ASKED) -> Iterator[tuple[Ask, Response]]:
    """Ask a stack that has lived through the past; the requests that are examples come from the document."""
    decided: dict[str, str] = {}
    for ask in asked:
        if ask.faulty:
            stack.order_fault({"operation": "GetItem", "kind": "throttle", "rate": 1.0})
        path = f"/decisions/{decided[ask.path]}" if ask.path in decided else ask.path
        body = at(document, ask.body) if isinstance(ask.body, str) else ask.body
        answer = call(
            stack, ask.method, path, ask.query, sub=ask.sub, scopes=ask.scopes, headers=ask.headers, body=body
        )
        if ask.faulty:
            stack.order_fault({})
        if ask.pointer in DECISIONS:
            decided[ask.pointer] = answer.json()["decision_id"]
        yield ask, answer


_SPANS = {"statement": "&limit=100", "explanation": "&from=2025-01-01", "outlook": "&days=400"}


def every_read(stack: Stack, document: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Read all that there is of every member, in every program and language, and hold it against the schemas.

    Gives the path of each read, and the answer. Raises ValueError for another status than 200, ValidationError of
    jsonschema_rs for what does not fit.
    """
    schemas = document["components"]["schemas"]
    reads = [path for path, item in document["paths"].items() if path.startswith("/members/") and "get" in item]
    for path in reads:
        check = validator(document, at(document, _answers(path, "get", 200))["schema"])
        span = _SPANS.get(path.rpartition("/")[2])
        queries = [f"program={program}{span}" for program in schemas["Program"]["enum"]] if span else [""]
        for member, query, language in product(MEMBERS, queries, ("en", "ru")):
            url = path.format(member_id=member)
            answer = call(stack, "GET", url, query, headers={"accept-language": language})
            if answer.status != 200:
                raise ValueError(f"{url}?{query}: {answer.status}, {answer.body.decode()}")
            check.validate(answer.json())
            yield path, answer.json()


def main() -> None:
    """Write the answers into the file."""
    document = read()
    with Stack(NOW) as stack:
        live_through(stack)
        for ask, answer in answers(stack, document):
            put(document, ask.pointer, answer.json())
    put(document, "/components/parameters/decision_id/example", at(document, DECISIONS[0])["decision_id"])
    put(document, "/components/parameters/cursor/example", at(document, ASKED[1].pointer)["cursor"])
    FILE.write_text(written(document) + "\n", "utf-8")


if __name__ == "__main__":
    main()
