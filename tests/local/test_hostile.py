"""What an attacker sends, over real HTTP: to the local stack, byte by byte where a client would never send it.

Whatever it was: no 5xx, what is good beside it goes through, nobody else's data has changed, and the ledger adds up.
"""

from __future__ import annotations

import base64
import gzip
import json
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple
from urllib.parse import quote_from_bytes

import pytest

from local import verify
from local.server import Server
from local.stack import Stack
from tests.hostile.cases import BODIES, IDS_REFUSED, IDS_TAKEN, LANGUAGES, QUERIES, VALUES

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
EVERYTHING = ["club:ingest", "club:read", "club:decide", "club:support", "club:admin"]
POSTS = ("/activities", "/refunds/expedited", "/disputes/acceleration", "/members/m-42/adjustments")
READS = ("", "/statement?program=club", "/privileges", "/rewards", "/explanation?program=club", "/outlook?program=club")
SECONDS_MAX = 10.0
"""For one request, on a busy machine; a good one takes some milliseconds."""


class Answer(NamedTuple):
    """What came back; a status of 0 is a connection that was closed without any."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)


class Wire:
    """Sends bytes to the server, each request on a connection of its own."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.token = server.stack.token("m-42", EVERYTHING)

    def raw(self, request: bytes) -> Answer:
        """Send bytes as they are; read one answer."""
        started = time.monotonic()
        with socket.create_connection(("127.0.0.1", self.server.server_address[1]), timeout=SECONDS_MAX) as connection:
            try:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
            except OSError:
                pass  # it has answered already, and wants no more
            received = b""
            try:
                while part := connection.recv(1 << 16):
                    received += part
            except OSError:
                pass
        assert time.monotonic() - started < SECONDS_MAX
        return _read(received)

    def __call__(
        self, method: str, target: str, body: bytes = b"", *headers: tuple[str, bytes], length: bytes | None = None
    ) -> Answer:
        lines = [f"{method} {target} HTTP/1.1".encode("latin-1"), b"host: 127.0.0.1", b"connection: close"]
        names = {name for name, _ in headers}
        if "authorization" not in names:
            lines.append(f"authorization: Bearer {self.token}".encode())
        if "transfer-encoding" not in names:
            lines.append(b"content-length: " + (str(len(body)).encode() if length is None else length))
        lines += [name.encode() + b": " + value for name, value in headers]
        return self.raw(b"\r\n".join(lines) + b"\r\n\r\n" + body)


def _read(received: bytes) -> Answer:
    head, _, body = received.partition(b"\r\n\r\n")
    if not head:
        return Answer(0, {}, b"")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    return Answer(int(first.split(" ")[1]), headers, body)


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Stack(NOW) as stack:
        server = Server(stack, 0, lambda line: None)
        server.start()
        wire = Wire(server)
        _send(wire, [_order("m-43", "o-43"), _order("m-42", "o-42")])
        yield wire
        letters = wire("GET", "/_local/dead-letters").json()["messages"]
        server.shutdown()
        server.server_close()
        assert all(letter["reason"] not in (None, "", "retries_exhausted") for letter in letters)
        (table,) = stack.template.tables
        shards = int(stack.template.parameters["DueShards"])
        assert verify.report_of(stack.client("dynamodb"), table, shards).problems == []


@pytest.fixture(autouse=True)
def _nobody_else_has_changed(wire: Wire) -> Iterator[None]:
    before = _of_the_other(wire)
    yield
    assert wire("POST", "/_local/drain").status == 200
    assert _of_the_other(wire) == before


def _of_the_other(wire: Wire) -> list[Any]:
    answers = [wire("GET", f"/members/m-43{read}") for read in ("/statement?program=club", "/export", "/rewards")]
    assert [answer.status for answer in answers] == [200, 200, 200]
    held = [answer.json() for answer in answers]
    for program in held[1]["programs"].values():
        del program["standing"]  # how many members there are is everybody's
    return held


def _order(member: str, order: str, event_id: str = "") -> dict[str, Any]:
    line = {"item_id": "i-1", "seller_id": "s-1", "category": "books", "unit_price": "12.50", "quantity": 2}
    data = {"order_id": order, "currency": "USD", "lines": [line]}
    return {
        "event_id": event_id or f"e-{order}",
        "type": "order.completed",
        "member_id": member,
        "occurred_at": "2026-11-22T10:00:00Z",
        "data": data,
    }


def _send(wire: Wire, events: list[Any]) -> Any:
    answer = wire("POST", "/activities", json.dumps({"events": events}).encode())
    assert answer.status == 202, answer.body[:500]
    assert wire("POST", "/_local/drain").status == 200
    return answer.json()


# --- bodies


@pytest.mark.parametrize("path", POSTS)
def test_no_body_is_a_fault_of_ours(wire: Wire, path: str) -> None:
    for name, body in BODIES.items():
        answer = wire("POST", path, body)
        assert answer.status in (400, 413), name
        assert answer.headers["content-type"] == "application/problem+json", name
        assert len(answer.body) < 1_000_000, name


@pytest.mark.parametrize(
    "kind",
    [
        b"",
        b"text/plain",
        b"application/x-www-form-urlencoded",
        b"multipart/form-data; boundary=x",
        b"application/json; charset=utf-16",
        b"application/json; charset=\xff",
        b"application/xml",
        b"*/*",
        b"x" * 5000,
        b"application/json, text/html",
    ],
)
def test_a_content_type_changes_nothing(wire: Wire, kind: bytes) -> None:
    """A body is JSON in UTF-8 or it is refused; what its header calls it is not asked."""
    visit = {"event_id": "e-kind", "type": "visit.recorded", "member_id": "m-42", "occurred_at": "2026-11-22T10:00:00Z"}

    good = wire("POST", "/activities", json.dumps({"events": [visit]}).encode(), ("content-type", kind))
    bad = wire("POST", "/activities", json.dumps({"events": [visit]}).encode("utf-16"), ("content-type", kind))

    assert (good.status, good.json()["accepted"]) == (202, ["e-kind"])
    assert (bad.status, bad.json()["code"]) == (400, "invalid_json")


@pytest.mark.parametrize("coding", [b"gzip", b"deflate", b"br", b"gzip, gzip", b"identity", b"\x00"])
def test_nothing_is_unpacked(wire: Wire, coding: bytes) -> None:
    for body in (BODIES["a gzip bomb"], gzip.compress(json.dumps({"events": [_order("m-42", "o-gzip")]}).encode())):
        answer = wire("POST", "/activities", body, ("content-encoding", coding))
        assert answer.status == 400
        assert not answer.body or b"accepted" not in answer.body


def test_hostile_events_among_good_ones(wire: Wire) -> None:
    good = [
        {
            "event_id": f"e-good-{n}",
            "type": "visit.recorded",
            "member_id": "m-42",
            "occurred_at": "2026-11-22T10:00:00Z",
        }
        for n in range(len(VALUES))
    ]
    accepted: list[str] = []
    for fine, value in zip(good, VALUES.values(), strict=True):
        if 3 * len(value) > 200_000:
            continue  # too much for a request, three times
        bad = (
            '{"event_id":"e-bad","type":"order.completed","member_id":"m-43","occurred_at":'
            + value
            + ',"data":'
            + value
            + "}"
        )
        body = f'{{"events":[{bad},{json.dumps(fine)},{value}]}}'.encode()

        answer = wire("POST", "/activities", body)

        assert answer.status == 202, value[:80]
        assert [each["index"] for each in answer.json()["refused"]] == [0, 2], value[:80]
        accepted += answer.json()["accepted"]
    assert len(accepted) > 50
    wire("POST", "/_local/drain")
    statement = wire("GET", "/members/m-42/statement?program=crowns&limit=100").json()["entries"]
    assert {entry["event_id"] for entry in statement} >= set(accepted)


# --- the bus, past the checks of the route


def _put(wire: Wire, entries: list[Any]) -> Answer:
    return wire("POST", "/_local/events", json.dumps({"entries": entries}).encode())


def _entry(detail: str, kind: str = "visit.recorded") -> dict[str, str]:
    return {"Source": "marketplace", "DetailType": kind, "Detail": detail}


def _visit(event_id: str, member: str = "m-42") -> str:
    return json.dumps({"event_id": event_id, "member_id": member, "occurred_at": "2026-11-22T10:00:00Z", "data": {}})


def test_hostile_details_on_the_bus_are_dead_letters_with_a_reason(wire: Wire) -> None:
    before = len(wire("GET", "/_local/dead-letters").json()["messages"])
    sent = 0
    texts = [value for value in VALUES.values() if len(value) <= 100_000]
    texts += [json.dumps(text) for text in IDS_REFUSED.values()]
    for number, value in enumerate(texts):
        details = [
            f'{{"event_id":"e-bus-{number}","member_id":"m-43","occurred_at":{value},"data":{value}}}',
            f'{{"event_id":"e-bus-{number}","member_id":{value},"occurred_at":{value}}}',
        ]
        good = _entry(_visit(f"e-beside-{number}"))

        answer = _put(wire, [*map(_entry, details), good])

        assert answer.status == 200, (value[:80], answer.body[:300])
        told = answer.json()
        assert told["delivered"] + told["dead_lettered"] + len(told.get("failed", ())) >= 3
        sent += told["dead_lettered"]
    letters = wire("GET", "/_local/dead-letters").json()["messages"]
    assert len(letters) - before == sent > 200
    shown = {entry["event_id"] for entry in _whole_statement(wire, "m-42", "crowns")}
    assert shown >= {f"e-beside-{number}" for number in range(len(texts))}


def _whole_statement(wire: Wire, member: str, program: str) -> list[Any]:
    entries: list[Any] = []
    cursor = ""
    while True:
        page = wire("GET", f"/members/{member}/statement?program={program}&limit=100{cursor}").json()
        entries += page["entries"]
        if page["cursor"] is None:
            return entries
        cursor = f"&cursor={page['cursor']}"


@pytest.mark.parametrize(
    "entry",
    [
        _entry("[" * 100_000),
        _entry('{"a":' * 10_000 + "1" + "}" * 10_000),
        _entry('{"a":1,"a":2}'),
        _entry('{"a":NaN}'),
        _entry('{"a":"' + "x" * 300_000 + '"}'),
        _entry('{"a":"\ud800"}'),
        _entry("{}", "\ud800"),
        _entry("{}", "visit.recorded\x00"),
        _entry("{}", "x" * 1000),
        {**_entry("{}"), "Source": "\ud800"},
        {**_entry("{}"), "Time": 1e999},
        {**_entry("{}"), "Time": "9" * 5000},
        {**_entry("{}"), "Resources": "x"},
        {**_entry("{}"), "EventBusName": "\x00"},
        {},
        [],
        None,
        7,
    ],
    ids=[f"entry {n}" for n in range(18)],
)
def test_no_entry_of_the_bus_stops_it(wire: Wire, entry: Any) -> None:
    answer = _put(wire, [entry, _entry(_visit("e-after"))])

    assert answer.status == 200, answer.body[:500]
    assert answer.json()["delivered"] >= 1


# --- paths, queries, headers


def _quoted(text: str) -> str:
    return quote_from_bytes(text.encode("utf-8", "surrogatepass"), safe="")


def test_no_path_is_a_fault_of_ours(wire: Wire) -> None:
    for name, text in IDS_REFUSED.items():
        quoted = _quoted(text)
        for target in (f"/members/{quoted}", f"/members/{quoted}/statement?program=club", f"/decisions/{quoted}"):
            assert wire("GET", target).status == 404, (name, target)
        for method, target in (("POST", f"/members/{quoted}/adjustments"), ("DELETE", f"/members/{quoted}")):
            assert wire(method, target, b"{}").status == 404, (name, target)


@pytest.mark.parametrize(
    "target",
    [
        "//members/m-43",
        "/members//m-43",
        "/members/m-43/",
        "/members/./m-43",
        "/members/m-42/../m-43",
        "/members/m-42%2f..%2fm-43",
        "/members/m-42%2Fstatement?program=club",
        "/members/m-43%00",
        "/members/m-43;x=1",
        "/members/m-43%23x",
        "/members/m-43%3fprogram=club",
        "/members/%6d%2d43",
        "/members/%",
        "/members/%zz",
        "/members/%u006d-43",
        "/members/m-43\xff",
        "/MEMBERS/m-43",
        "http://127.0.0.1/members/m-43",
        "members/m-43",
        "*",
        "/" + "a/" * 5000,
        "/members/" + "%25" * 5000,
        "/_local/../members/m-43",
    ],
)
def test_no_way_of_writing_a_path_leads_past_the_routes(wire: Wire, target: str) -> None:
    reader = f"Bearer {wire.server.stack.token('m-42', ['club:read'])}".encode()

    answer = wire("GET", target, b"", ("authorization", reader))

    assert answer.status in (400, 404, 414)
    assert b'"programs"' not in answer.body


def test_no_query_is_a_fault_of_ours(wire: Wire) -> None:
    for name, query in QUERIES.items():
        answer = wire("GET", f"/members/m-42/statement?{query}")
        assert answer.status in (200, 400), name
        assert "x-injected" not in answer.headers, name


@pytest.mark.parametrize("read", READS)
def test_no_language_is_a_fault_of_ours(wire: Wire, read: str) -> None:
    for name, value in LANGUAGES.items():
        if "\n" in value:
            continue
        answer = wire("GET", f"/members/m-42{read}", b"", ("accept-language", value.encode("utf-8")))
        # what is too long for a header is answered while it is still being sent, and may not arrive
        assert answer.status in ((0, 431) if len(value) > 65_536 else (200, 400)), name


@pytest.mark.parametrize(
    "token",
    [
        b"",
        b"Bearer",
        b"Bearer ",
        b"Bearer \x00",
        b"Bearer \xff\xfe",
        b"Bearer a.b.c",
        b"Bearer ...",
        b"Bearer " + b"a" * 60_000,
        b"Bearer " + b"." * 60_000,
        b"Bearer " + base64.urlsafe_b64encode(b"[" * 40_000) + b".e30.",
        b"Bearer " + base64.urlsafe_b64encode(b'{"kid":' + b"[" * 20_000) + b".e30.",
        b"Bearer " + base64.urlsafe_b64encode(b'{"kid":"local","alg":"none"}').rstrip(b"=") + b".e30.",
        b"Bearer " + base64.urlsafe_b64encode(b'{"kid":["local"],"alg":["RS256"]}').rstrip(b"=") + b".e30.e30",
        b"Bearer " + base64.urlsafe_b64encode(b'{"kid":"local","alg":"RS256","crit":[]}').rstrip(b"=") + b".e30.e30",
        b"Bearer " + base64.urlsafe_b64encode(b'{"kid":"local","alg":' + b"9" * 5000 + b"}").rstrip(b"=") + b".e30.e30",
        b"Bearer " + base64.urlsafe_b64encode(b'{"kid":"local","alg":"RS256","b64":false}').rstrip(b"=") + b".e30.e30",
    ],
    ids=[f"token {n}" for n in range(16)],
)
def test_no_token_that_is_made_up_is_a_fault_of_ours(wire: Wire, token: bytes) -> None:
    assert wire("GET", "/members/m-42", b"", ("authorization", token)).status in (400, 401, 431)


def test_two_tokens_are_none(wire: Wire) -> None:
    good = f"Bearer {wire.token}".encode()

    assert wire("GET", "/members/m-42", b"", ("authorization", good), ("authorization", good)).status == 401


@pytest.mark.parametrize(
    "length",
    [b"-1", b"+1", b"1e3", b"0x10", b"1_0", b"", b" ", b"1,1", b"\xb2", b"9" * 20, b"9" * 5000, b"nan", b"1 1"],
)
def test_a_false_length_is_refused(wire: Wire, length: bytes) -> None:
    answer = wire("POST", "/activities", b"{}", length=length)

    assert answer.status in (400, 413), answer


@pytest.mark.parametrize(
    "chunks", [b"-1\r\n", b"g\r\n", b"ffffffffff\r\n", b"7fffffff\r\n", b"0x1\r\nx\r\n", b"\r\n", b"1" * 300, b";\r\n"]
)
def test_a_false_chunk_is_refused(wire: Wire, chunks: bytes) -> None:
    answer = wire("POST", "/activities", chunks, ("transfer-encoding", b"chunked"))

    assert answer.status in (400, 413)


@pytest.mark.parametrize("method", ["BREW", "TRACE", "CONNECT", "get", "G" * 1000, "POST\x00", "\xff"])
def test_a_method_that_nobody_has_is_not_found(wire: Wire, method: str) -> None:
    assert wire(method, "/members/m-43").status in (400, 404)


@pytest.mark.parametrize("path", ["/club", "/openapi.json"])
def test_no_tag_is_a_fault_of_ours(wire: Wire, path: str) -> None:
    for tag in (b"," * 60_000, b"W/" * 30_000, b'"' * 60_000, b"\xff", b"\x00", b"*, *", b"W/W/*"):
        assert wire("GET", path, b"", ("if-none-match", tag)).status in (200, 304)


def test_a_thousand_headers_are_too_many(wire: Wire) -> None:
    answer = wire("GET", "/members/m-42", b"", *((f"x-{n}", b"1") for n in range(1000)))

    assert answer.status in (400, 431)


# --- members who look like keys


def test_ids_that_look_like_keys_are_members_apart(wire: Wire) -> None:
    events = [_order(member, f"o-{n}", f"e-alike-{n}") for n, member in enumerate(IDS_TAKEN)]
    assert _send(wire, events)["refused"] == []

    for number, member in enumerate(IDS_TAKEN):
        entries = wire("GET", f"/members/{member}/export").json()["entries"]
        assert [entry["event_id"] for entry in entries] == [f"e-alike-{number}"], member


def test_those_who_watch_an_item_that_looks_like_a_key_are_told_of_it_alone(wire: Wire) -> None:
    members = IDS_TAKEN[:20]
    watched: list[dict[str, Any]] = [
        {
            "event_id": f"e-watch-{number}",
            "type": "wishlist.item_added",
            "member_id": member,
            "occurred_at": "2026-11-22T10:00:00Z",
            "data": {"item_id": item},
        }
        for number, (member, item) in enumerate(zip(members, IDS_TAKEN[20:], strict=False))
    ]
    orders = [_order(member, f"o-w-{number}", f"e-earn-{number}") for number, member in enumerate(members)]
    assert _send(wire, [*orders, *watched])["refused"] == []
    prices = {"old_price": "12.50", "new_price": "9.99", "currency": "USD"}

    for number, event in enumerate(watched):
        drop = {**event, "event_id": f"e-drop-{number}", "type": "price.dropped", "data": {**event["data"], **prices}}
        assert _send(wire, [{**drop, "member_id": None}])["refused"] == []

    told = [json.loads(each["Detail"]) for each in wire("GET", "/_local/bus?detail_type=price.alert").json()["events"]]
    wanted = sorted((event["member_id"], event["data"]["item_id"]) for event in watched)
    assert sorted((each["member_id"], each["item_id"]) for each in told) == wanted
