"""Who may call what, on the local stack: the whole matrix, and that who is denied costs no request for data."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from local import boundary, tokens
from local.stack import Stack
from local.template import ROOT, FunctionSpec, Template
from tests.access import matrix
from tests.access.matrix import ROWS, Caller, Cell, Headers

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
TEMPLATE = Template(ROOT / "template.yaml")


class Door:
    """A stack's front door, with tokens of any kind, and an eye on what its functions ask of AWS."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.asked: list[str] = []
        self._authorizer = stack.template.routes_authorizer()
        self._theirs = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    def mint(self, claims: Mapping[str, Any], *, key: str = "ours", alg: str = "RS256") -> str:
        now = int(time.time())
        usual = {"iss": self._authorizer.issuer, "aud": self._authorizer.audience[0], "iat": now, "exp": now + 3600}
        content = {name: value for name, value in {**usual, **claims}.items() if value is not None}
        ours = tokens.signing_key(tokens.key_path(self.stack.template.root))
        signer: Any = None if alg == "none" else {"ours": ours, "theirs": self._theirs}[key]
        return jwt.encode(content, signer, algorithm=alg, headers={"kid": tokens.KEY_ID})

    def call(self, method: str, path: str, headers: Headers, body: bytes) -> tuple[int, Mapping[str, str], bytes]:
        path, _, query = path.partition("?")
        return self.stack.request(method, path, query, headers, body)

    def observe(self, _: FunctionSpec, service: str, operation: str, __: Mapping[str, Any]) -> None:
        self.asked.append(f"{service}:{operation}")


@pytest.fixture(scope="module")
def door() -> Iterator[Door]:
    with Stack(NOW) as stack:
        door = Door(stack)
        body = json.dumps({"events": matrix.seed()}).encode()
        token = {"authorization": f"Bearer {door.mint({'sub': 'market', 'scope': matrix.INGEST})}"}
        status, _, answer = door.call("POST", "/activities", token, body)
        assert (status, json.loads(answer)["refused"]) == (202, [])
        stack.drain()
        boundary.observers.append(door.observe)
        yield door
        boundary.observers.remove(door.observe)


def of_route(method: str, path: str) -> list[Cell]:
    return [cell for cell in matrix.cells(TEMPLATE) if (cell.method, cell.path) == (method, path)]


# who erases comes last: it leaves one member fewer
ROUTES: list[tuple[str, str]] = sorted(ROWS, key=lambda route: (route[0] == "DELETE", route))


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_every_caller_at_a_route(door: Door, method: str, path: str) -> None:
    for cell in of_route(method, path):
        door.asked.clear()
        matrix.check(cell, door.call, door.mint)
        if cell.expected == "in":
            assert door.asked or cell.row.is_open, f"{cell}: nothing was asked of AWS, so nothing was let in"
        else:
            assert door.asked == [], f"{cell}: it was denied, and yet asked for {door.asked}"


def test_every_cell_is_expected_to_be_something_and_every_outcome_is_there() -> None:
    cells = matrix.cells(TEMPLATE)
    assert len(cells) == len(ROWS) * len(matrix.CALLERS)
    assert len({caller.name for caller in matrix.CALLERS}) == len(matrix.CALLERS)
    assert {cell.expected for cell in cells} == {"in", "401", "403", "404"}
    names = {caller.name for caller in matrix.AUTHENTICATED}
    for (method, path), row in ROWS.items():
        assert row.lets_in | row.hides <= names, f"{method} {path} names nobody that there is"
        assert row.is_open or row.lets_in, f"{method} {path} is for nobody"
        assert not row.lets_in & row.hides


def test_a_route_without_its_row_fails() -> None:
    def with_routes(*routes: Any) -> Any:
        return SimpleNamespace(routes=list(routes), functions=TEMPLATE.functions)

    first = TEMPLATE.routes[0]
    for method, path in (("PUT", first.path), (first.method, f"{first.path}/more")):
        new = SimpleNamespace(method=method, path=path, function=first.function)
        with pytest.raises(AssertionError, match="without a row"):
            matrix.cells(with_routes(*TEMPLATE.routes, new))
    with pytest.raises(AssertionError, match="without a row"):
        matrix.cells(with_routes(*TEMPLATE.routes[1:]))


def test_a_route_that_only_a_function_knows_fails(tmp_path: Path) -> None:
    assert len(matrix.resolved(TEMPLATE)) == 3
    spec = TEMPLATE.function("member_api")
    source = (spec.code / "member_reads.py").read_text()
    (tmp_path / "member_reads.py").write_text(source.replace('": _decision,', '": _decision, "GET /all": _decision,'))
    changed = {**TEMPLATE.functions, spec.arn: SimpleNamespace(code=tmp_path)}
    template: Any = SimpleNamespace(routes=TEMPLATE.routes, functions=changed)
    with pytest.raises(AssertionError, match=r"differ: \{\('GET', '/all'\)\}"):
        matrix.cells(template)


@pytest.mark.parametrize("status", [200, 202, 204, 401, 403, 404, 500])
def test_no_stack_that_gives_everybody_the_same_answer_passes(status: int) -> None:
    def same(*_: Any) -> tuple[int, Mapping[str, str], bytes]:
        return status, {}, b'{"code":"member_not_found","detail":"there is no such member"}'

    def mint(*_: Any, **__: Any) -> str:
        return "aGVhZA.e30.c2ln"

    failed = set()
    for cell in matrix.cells(TEMPLATE):
        try:
            matrix.check(cell, same, mint)
        except AssertionError:
            failed.add(cell.expected)
    wanted = {"in", "401", "403", "404"} - {str(status)}
    assert failed >= (wanted - {"in"} if status == 404 else wanted)


@pytest.mark.parametrize(
    ("caller", "answer"),
    [
        ("no token", b'{"message":"Unauthorized","programs":{"club":{}}}'),
        ("club:ingest", b'{"message":"Forbidden","birthday":"1984-02-29"}'),
        ("another member", b'{"code":"member_not_found","detail":"access-member is not yours"}'),
    ],
)
def test_a_refusal_that_tells_something_fails(caller: str, answer: bytes) -> None:
    (cell,) = [cell for cell in of_route("GET", "/members/{member_id}") if cell.caller.name == caller]
    with pytest.raises(AssertionError, match=caller):
        matrix.check(cell, lambda *_: (int(cell.expected), {}, answer), lambda *_, **__: "a.b.c")


def test_callers_differ_in_what_they_send(door: Door) -> None:
    """Two names for one request would be a cell that is not looked at."""
    sent: dict[str, Caller] = {}
    for cell in of_route("GET", "/members/{member_id}"):
        _, path, headers, _ = matrix.request(cell, door.mint)
        token = headers.get("authorization", "")
        try:
            content: Any = jwt.decode(token.removeprefix("Bearer "), options={"verify_signature": False})
            content = {name: value for name, value in content.items() if name not in {"iat", "exp"}}
        except jwt.InvalidTokenError:
            content = token
        key = json.dumps([path, content, cell.caller.key, cell.caller.alg, cell.caller.header is None])
        if cell.caller.name not in {"expired", "altered after it was signed", "without its signature"}:
            assert key not in sent, f"{cell.caller.name} is {sent[key].name}"
        sent[key] = cell.caller
