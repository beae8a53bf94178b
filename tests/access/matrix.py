"""Who may call what (architecture 3.6): every route of the template times every kind of caller, each cell by hand.

What is expected stands in ``ROWS`` and comes neither from the template nor from the functions: a scope that is wrong
there fails here. The matrix knows no transport. It is run on the local stack and on the deployed one, each of which
brings its own way to make a call and to sign a token.
"""

from __future__ import annotations

import ast
import base64
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from local.template import Template

MEMBER, OTHER, GONE = "access-member", "access-other", "access-gone"
OPERATOR = "access-operator"
"""The subject of whoever is no member: the marketplace, an agent, an operator."""

DECISION = f"d-{'0' * 40}"
"""What could be the id of a decision, and is that of none."""

HOUR = 3600
INGEST, READ, DECIDE, SUPPORT, ADMIN = "club:ingest", "club:read", "club:decide", "club:support", "club:admin"
SCOPES = (INGEST, READ, DECIDE, SUPPORT, ADMIN)
EVERY_SCOPE = " ".join(SCOPES)

Claims = Mapping[str, Any]
Headers = dict[str, str]
Call = Callable[[str, str, Headers, bytes], tuple[int, Mapping[str, str], bytes]]
"""(method, path with its query, headers, body) -> (status, headers, body)."""


class Mint(Protocol):
    """Makes tokens for the stack under test."""

    def __call__(self, claims: Claims, *, key: str = "ours", alg: str = "RS256") -> str:
        """Sign a token that is right in issuer, audience and times, where ``claims`` don't replace these.

        A claim of None is left out. ``key`` "theirs" is one that the issuer never had, under the id of its own;
        ``alg`` "none" signs nothing.
        """


# --- callers -------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Caller:
    """One kind of caller: what its token says, how that is signed, and what becomes of it on its way."""

    name: str
    claims: Claims | None = None  # None = no token is minted
    key: str = "ours"
    alg: str = "RS256"
    header: Callable[[str], str] | None = None  # of the token; None = "Bearer " before it
    in_query: bool = False  # instead of the header
    path: str | None = None  # what it writes for {member_id}, where that is not the member

    def headers(self, mint: Mint) -> Headers:
        """The request's headers."""
        token = "" if self.claims is None else mint(self.claims, key=self.key, alg=self.alg)
        value = f"Bearer {token}" if self.header is None else self.header(token)
        return {} if self.in_query or not value else {"authorization": value}

    def query(self, mint: Mint) -> str:
        """What it adds to the query."""
        return "" if not self.in_query or self.claims is None else f"access_token={mint(self.claims)}"


def _claims(scope: Any, sub: str | None = MEMBER, **changes: Any) -> dict[str, Any]:
    return {"sub": sub, "scope": scope, **changes}


def _altered(token: str) -> str:
    """The token with other claims under the same signature."""
    head, payload, signature = token.split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    text = json.dumps({**claims, "sub": OTHER}).encode()
    return f"Bearer {head}.{base64.urlsafe_b64encode(text).rstrip(b'=').decode()}.{signature}"


def _unauthenticated() -> Iterator[Caller]:
    """Who has no token, or none that counts. But for that each could be the member, and has every scope."""
    every = _claims(EVERY_SCOPE)
    now = int(time.time())
    yield Caller("no token", header=lambda _: "")
    yield Caller("an empty token", header=lambda _: "Bearer ")
    yield Caller("garbage", header=lambda _: "Bearer garbage")
    yield Caller("three parts of garbage", header=lambda _: "Bearer a.b.c")
    yield Caller("expired", {**every, "iat": now - 2 * HOUR, "exp": now - HOUR})
    yield Caller("not yet valid", {**every, "nbf": now + HOUR})
    yield Caller("wrong issuer", {**every, "iss": "https://elsewhere.example/"})
    yield Caller("wrong audience", {**every, "aud": "elsewhere"})
    yield Caller("unsigned (alg none)", every, alg="none")
    yield Caller("signed with another key", every, key="theirs")
    yield Caller("altered after it was signed", every, header=_altered)
    yield Caller("without its signature", every, header=lambda token: f"Bearer {token.rsplit('.', 1)[0]}.")
    yield Caller("the token in the query", every, in_query=True)


def _look_alikes() -> Iterator[Caller]:
    """Whose scopes look like some that are known, and are none."""
    yield Caller("no scope", _claims(""))
    yield Caller("no claim of scopes", _claims(None))
    yield Caller("longer words", _claims("club:reader club:supporter club:administrator club:decided club:ingests"))
    yield Caller("shorter words", _claims("club:rea club:suppor club:admi club:decid club:inges club: club"))
    yield Caller("words with something before", _claims(" ".join(f"xclub:{s}" for s in _words())))
    yield Caller("a prefix before", _claims(" ".join(f"my/club:{s}" for s in _words())))
    yield Caller("capitals", _claims(EVERY_SCOPE.upper()))
    yield Caller("commas between", _claims(EVERY_SCOPE.replace(" ", ",")))
    yield Caller("no-break spaces between", _claims(EVERY_SCOPE.replace(" ", "\u00a0")))
    yield Caller("tabs between", _claims(EVERY_SCOPE.replace(" ", "\t")))
    yield Caller("line breaks between", _claims(EVERY_SCOPE.replace(" ", "\n")))
    yield Caller("homoglyphs", _claims(EVERY_SCOPE.replace("c", "\u0441")))
    yield Caller("a full-width colon", _claims(EVERY_SCOPE.replace(":", "\uff1a")))
    yield Caller("zero-width spaces", _claims(EVERY_SCOPE.replace(":", ":\u200b")))
    yield Caller("wildcards", _claims("* club:* :read **"))
    yield Caller("a list in a list", _claims([list(SCOPES)]))
    yield Caller("a list of one text", _claims([EVERY_SCOPE]))
    yield Caller("a list as text", _claims(json.dumps(SCOPES).replace(" ", "")))
    yield Caller("an object", _claims(dict.fromkeys(SCOPES, True)))
    yield Caller("true", _claims(True))
    yield Caller("scopes under other names", _claims(None, scopes=EVERY_SCOPE, permissions=list(SCOPES)))


def _words() -> list[str]:
    return [scope.removeprefix("club:") for scope in SCOPES]


def _authenticated() -> Iterator[Caller]:
    """Who has a scope that is one."""
    yield Caller("the member", _claims(READ))
    yield Caller("the member, as me", _claims(READ), path="me")
    yield Caller("another member", _claims(READ, OTHER))
    yield Caller("another member, as me", _claims(READ, OTHER), path="me")
    yield Caller("club:read without a subject", _claims(READ, None))
    yield Caller("club:read without a subject, as me", _claims(READ, None), path="me")
    yield Caller("club:ingest", _claims(INGEST, OPERATOR))
    yield Caller("club:decide", _claims(DECIDE, OPERATOR))
    yield Caller("support", _claims(SUPPORT, OPERATOR))
    yield Caller("admin", _claims(ADMIN, OPERATOR))
    yield Caller("every scope", _claims(EVERY_SCOPE, OPERATOR))
    yield Caller("every scope without a subject", _claims(EVERY_SCOPE, None))


UNAUTHENTICATED = tuple(_unauthenticated())
LOOK_ALIKES = tuple(_look_alikes())
AUTHENTICATED = tuple(_authenticated())
CALLERS = (*UNAUTHENTICATED, *LOOK_ALIKES, *AUTHENTICATED)


# --- what is expected ----------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """A route's row. Who is named in neither list is forbidden (403), or, without a token that counts, refused (401).

    ``hides`` from: they are told what they would be told of a member who does not exist (404). ``answers``: the
    statuses that a caller who is let in may get, once ``seed`` was posted. An open row lets everybody in.
    """

    answers: frozenset[int]
    lets_in: frozenset[str] = frozenset()
    hides: frozenset[str] = frozenset()
    is_open: bool = False
    member: str = MEMBER
    query: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


def _row(*lets_in: str, answers: tuple[int, ...] = (200,), hides: tuple[str, ...] = (), **more: Any) -> Row:
    return Row(frozenset(answers), frozenset(lets_in), frozenset(hides), **more)


_OPEN = Row(frozenset({200}), is_open=True)
_ALL = ("every scope", "every scope without a subject")
_OWN = ("the member", "the member, as me", "another member, as me")
_STRANGERS = ("another member", "club:read without a subject", "club:read without a subject, as me")
_DISPUTE = {"member_id": MEMBER, "order_id": "access-o-1", "dispute_id": "access-d-1"}
_REFUND = {
    "refund": {"kind": "full", "amount": "1.00", "currency": "USD"},
    "seller_approved_at": None,
    "return_shipment": None,
    "order_eligible": True,
}
_ACCELERATION = {"escalated_at": None, "review_due_at": "2035-01-01T00:00:00Z"}
_VISIT = {
    "event_id": "access-visit",
    "type": "visit.recorded",
    "member_id": MEMBER,
    "occurred_at": "2020-01-02T00:00:00Z",
    "data": {},
}
_SLIP = {"adjustment_id": "access-a-1", "program": "club", "points": 1, "reason": "a slip"}

ROWS: dict[tuple[str, str], Row] = {
    ("POST", "/activities"): _row("club:ingest", *_ALL, answers=(202,), body={"events": [_VISIT]}),
    ("GET", "/members/{member_id}"): _row(*_OWN, "support", *_ALL, hides=_STRANGERS),
    ("GET", "/members/{member_id}/statement"): _row(
        *_OWN, "support", *_ALL, hides=_STRANGERS, query="program=club&limit=5"
    ),
    ("GET", "/members/{member_id}/privileges"): _row(*_OWN, "support", *_ALL, hides=_STRANGERS),
    ("GET", "/members/{member_id}/rewards"): _row(*_OWN, "support", *_ALL, hides=_STRANGERS),
    ("GET", "/members/{member_id}/explanation"): _row(*_OWN, "support", *_ALL, hides=_STRANGERS, query="program=club"),
    ("GET", "/members/{member_id}/outlook"): _row(*_OWN, "support", *_ALL, hides=_STRANGERS, query="program=club"),
    ("GET", "/members/{member_id}/export"): _row(*_OWN, "support", *_ALL, hides=_STRANGERS),
    ("GET", "/members/{member_id}/decisions"): _row("support", *_ALL),
    ("POST", "/members/{member_id}/adjustments"): _row("admin", "every scope", body=_SLIP),
    ("DELETE", "/members/{member_id}"): _row("admin", "every scope", answers=(204,), member=GONE),
    ("POST", "/refunds/expedited"): _row("club:decide", *_ALL, body={"request_id": "access-r", **_DISPUTE, **_REFUND}),
    ("POST", "/disputes/acceleration"): _row(
        "club:decide", *_ALL, body={"request_id": "access-q", **_DISPUTE, **_ACCELERATION}
    ),
    # there is no such decision, which only who may ask is told
    ("GET", "/decisions/{decision_id}"): _row("club:decide", "support", *_ALL, answers=(404,)),
    ("GET", "/club"): _OPEN,
    ("GET", "/openapi.json"): _OPEN,
}


def seed() -> list[dict[str, Any]]:
    """The events to post (``POST /activities``, and drained) before the matrix is run: three members register."""
    return [
        {
            "event_id": f"{member}-registered",
            "type": "member.registered",
            "member_id": member,
            "occurred_at": "2020-01-01T00:00:00Z",
            "data": {"country": "NL", "birthday": "1984-02-29"},
        }
        for member in (MEMBER, OTHER, GONE)
    ]


# --- cells ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """One caller at one route. ``expected``: "401", "403", "404" (not theirs to know of), or "in"."""

    method: str
    path: str
    caller: Caller
    expected: str
    row: Row

    def __str__(self) -> str:
        return f"{self.method} {self.path}, {self.caller.name}: expected {self.expected}"


def cells(template: Template) -> list[Cell]:
    """Every route of the template, by every caller; who erases comes last, since it leaves one member fewer.

    Raises AssertionError where a route has no row, a row no route, or a function's own routes are others.
    """
    routes = {(route.method, route.path) for route in template.routes}
    assert routes == ROWS.keys(), f"without a row, or a row without a route: {sorted(routes ^ ROWS.keys())}"
    assert len(routes) == len(template.routes), "a route stands twice"
    for function, known in resolved(template).items():
        wanted = {(route.method, route.path) for route in template.routes if route.function == function}
        assert known == wanted, f"{function}: routes of the template and of the function differ: {known ^ wanted}"
    ordered = sorted(ROWS.items(), key=lambda item: item[0][0] == "DELETE")
    return [
        Cell(method, path, caller, _expected(row, caller), row) for (method, path), row in ordered for caller in CALLERS
    ]


def _expected(row: Row, caller: Caller) -> str:
    if row.is_open or caller.name in row.lets_in:
        return "in"
    if caller in UNAUTHENTICATED:
        return "401"
    return "404" if caller.name in row.hides else "403"


_ROUTE_KEY = re.compile(r"(GET|HEAD|POST|PUT|PATCH|DELETE|ANY) (/\S*)")


def resolved(template: Template) -> dict[str, set[tuple[str, str]]]:
    """By function (ARN), the routes that its own code tells apart; a function of one route need not tell any."""
    found: dict[str, set[tuple[str, str]]] = {}
    for arn, spec in template.functions.items():
        keys = {key for path in spec.code.glob("*.py") for key in route_keys(path)}
        of_template = [route for route in template.routes if route.function == arn]
        if keys or len(of_template) > 1:
            found[arn] = keys
    return found


def route_keys(path: Path) -> set[tuple[str, str]]:
    """The routes that a module's tables have as keys."""
    tables = [node for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Dict)]
    texts = [key.value for table in tables for key in table.keys if isinstance(key, ast.Constant)]
    matches = [_ROUTE_KEY.fullmatch(text) for text in texts if isinstance(text, str)]
    return {(match[1], match[2]) for match in matches if match}


# --- the check -----------------------------------------------------------------------------------------------


def request(cell: Cell, mint: Mint) -> tuple[str, str, Headers, bytes]:
    """The request of a cell: method, path with its query, headers and body."""
    row, caller = cell.row, cell.caller
    path = cell.path.replace("{member_id}", caller.path or row.member).replace("{decision_id}", DECISION)
    query = "&".join(part for part in (row.query, caller.query(mint)) if part)
    headers = caller.headers(mint)
    body = json.dumps(row.body).encode() if row.body else b""
    if body:
        headers["content-type"] = "application/json"
    return cell.method, f"{path}?{query}" if query else path, headers, body


def check(cell: Cell, call: Call, mint: Mint) -> None:
    """Makes the call of a cell. Raises AssertionError, which names the cell and the status that came instead."""
    status, _, body = call(*request(cell, mint))
    said = f"{cell}, came {status}: {body[:200]!r}"
    if cell.expected == "in":
        assert status in cell.row.answers, said
        return
    assert status == int(cell.expected), said
    text = body.decode()
    for secret in ("1984-02-29", '"programs"', '"entries"', '"rewards"', '"decision_id"', '"accepted"'):
        assert secret not in text, f"{said}: a refusal tells something"
    if cell.expected == "404":
        answer = json.loads(text)
        assert (answer["code"], answer["detail"]) == ("member_not_found", "there is no such member"), said
