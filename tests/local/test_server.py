"""The stack over HTTP: the calls under /_local, bad input, keep-alive, and the command line around it."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from local.__main__ import main
from local.server import BODY_BYTES_MAX, Server
from tests.local.conftest import Tiny

ROOT = Path(__file__).resolve().parents[2]


class Caller:
    """Calls a server over one connection that is kept alive."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, Any]:
        content = json.dumps(body).encode() if isinstance(body, (dict, list)) else body
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, content, named)
        response = self.connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None


@pytest.fixture
def call(tiny: Tiny) -> Iterator[Caller]:
    server = Server(tiny.stack, 0, lambda line: None)
    server.start()
    caller = Caller(server)
    yield caller
    caller.connection.close()
    server.shutdown()
    server.server_close()


def entry(detail: str = "{}") -> dict[str, str]:
    return {"Source": "shop", "DetailType": "sold", "Detail": detail}


def test_it_listens_on_this_machine_alone(call: Caller) -> None:
    assert call.server.server_address[0] == "127.0.0.1"
    assert call.server.url == f"http://127.0.0.1:{call.server.server_address[1]}"


def test_the_api_answers_over_one_connection(tiny: Tiny, call: Caller) -> None:
    assert call("GET", "/open?a=1") == (200, None)
    socket_before = call.connection.sock
    assert call("GET", "/closed") == (401, {"message": "Unauthorized"})
    assert call("GET", "/nowhere") == (404, {"message": "Not Found"})
    assert call("POST", "/things", {"a": 1}, Authorization=tiny.bearer("a:write")["Authorization"])[0] == 200
    assert call("HEAD", "/rest/x")[0] == 200
    assert call.connection.sock is socket_before
    events = tiny.calls("web")
    assert events[0]["rawQueryString"] == "a=1"
    assert events[1]["body"] == '{"a": 1}'


def test_the_clock_is_what_invocations_carry(tiny: Tiny, call: Caller) -> None:
    assert call("POST", "/_local/clock", {"now": "1997-01-01T02:00:00+02:00"}) == (200, {"now": "1997-01-01T00:00:00Z"})
    call("GET", "/open")
    assert tiny.calls("web")[-1]["requestContext"]["timeEpoch"] == 852076800000


@pytest.mark.parametrize(
    "now", [None, 5, "", "1997-01-01", "1997-01-01T00:00:00", "1997-13-01T00:00:00Z", "1997-01-01T00:00:00Z\n", "now"]
)
def test_a_clock_that_makes_no_sense_is_refused(tiny: Tiny, call: Caller, now: Any) -> None:
    before = tiny.stack.now
    status, problem = call("POST", "/_local/clock", {"now": now})
    assert (status, problem["status"], problem["errors"][0]["pointer"]) == (400, 400, "/now")
    assert tiny.stack.now == before


def test_events_are_worked_off_and_counted(tiny: Tiny, call: Caller) -> None:
    tiny.tell("worker", lambda event: {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]})
    assert call("POST", "/_local/events", {"entries": [entry()]}) == (200, {"delivered": 0, "dead_lettered": 1})
    (letter,) = call("GET", "/_local/dead-letters")[1]["messages"]
    assert (letter["reason"], letter["message"]["detail-type"]) == ("retries_exhausted", "sold")
    assert call("POST", "/_local/redrive") == (200, {"delivered": 0, "dead_lettered": 1})
    tiny.tell("worker", None)
    assert call("POST", "/_local/redrive", {}) == (200, {"delivered": 1, "dead_lettered": 0})
    assert call("GET", "/_local/dead-letters") == (200, {"messages": []})
    tiny.send("a")
    assert call("POST", "/_local/drain") == (200, {"delivered": 1, "dead_lettered": 0})
    assert call("POST", "/_local/drain") == (200, {"delivered": 0, "dead_lettered": 0})


def test_entries_that_the_bus_does_not_take_are_named(call: Caller) -> None:
    status, answer = call("POST", "/_local/events", {"entries": [entry(), entry("{"), 5]})
    assert (status, answer["delivered"]) == (200, 1)
    assert [(each["index"], each["code"]) for each in answer["failed"]] == [
        (1, "MalformedDetail"),
        (2, "InvalidArgument"),
    ]
    status, problem = call("POST", "/_local/events", {"entries": [entry("{")]})
    assert (status, "entry 0: MalformedDetail" in problem["detail"]) == (400, True)
    assert call("POST", "/_local/events", {"entries": []}) == (200, {"delivered": 0, "dead_lettered": 0})
    assert call("POST", "/_local/events", {"entries": entry()})[0] == 400


def test_schedules(tiny: Tiny, call: Caller) -> None:
    body = {"scheduled_at": "2026-01-02T00:05:00Z", "dry_run": True, "override_limit": False}
    assert call("POST", "/_local/schedules/Nightly", body) == (200, {"delivered": 0, "dead_lettered": 0})
    assert tiny.calls("sweeper")[-1] == {"scheduled_at": "2026-01-02T00:05:00Z", "kind": "nightly", "dry_run": True}
    call("POST", "/_local/schedules/Nightly")
    assert tiny.calls("sweeper")[-1]["scheduled_at"] == "2026-11-22T10:15:00Z"
    status, problem = call("POST", "/_local/schedules/Yearly", body)
    assert (status, problem["detail"]) == (404, "there is no schedule Yearly: Nightly")
    senseless: list[Any] = [{"scheduled_at": "soon"}, {"dry_run": "yes"}, {"dry_runs": True}, []]
    for bad in senseless:
        assert call("POST", "/_local/schedules/Nightly", bad)[0] == 400
    assert len(tiny.calls("sweeper")) == 2


def test_what_functions_published(tiny: Tiny, call: Caller) -> None:
    for number in range(3):
        told = {"Source": "club", "DetailType": f"t{number % 2}", "Detail": "{}"}
        tiny.stack.bus.put([told], by_function=True)
    assert len(call("GET", "/_local/bus")[1]["events"]) == 3
    events = call("GET", "/_local/bus?detail_type=t0")[1]["events"]
    assert [event["DetailType"] for event in events] == ["t0", "t0"]
    assert call("GET", "/_local/bus?detail_type=")[1] == {"events": []}
    assert call("GET", "/_local/bus?detailtype=t0")[0] == 400


def test_a_change_is_announced_before_the_bus_is_shown(tiny: Tiny, call: Caller) -> None:
    tiny.put("a")
    call("GET", "/_local/bus")
    assert len(tiny.calls("announcer")) == 1


def test_faults_are_ordered_and_cleared(tiny: Tiny, call: Caller) -> None:
    order = {"operation": "TransactWriteItems", "kind": "timeout_after", "rate": 0.1, "seed": 7}
    assert call("POST", "/_local/faults", order) == (200, {"fault": order})
    status, problem = call("POST", "/_local/faults", {**order, "kind": "rain"})
    assert (status, problem["detail"].startswith("kind: expected one of throttle, conflict")) == (400, True)
    assert call("POST", "/_local/faults", {}) == (200, {"fault": None})


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/_local/clock", b"{", 400),
        ("POST", "/_local/clock", b"[]", 400),
        ("POST", "/_local/clock", b"\xff", 400),
        ("POST", "/_local/clock", b"[" * 100_000, 400),
        ("POST", "/_local/clock", b"", 400),
        ("POST", "/_local/drain", b'{"now": 1}', 400),
        ("GET", "/_local/nothing", None, 404),
        ("GET", "/_local/", None, 404),
        ("GET", "/_local/drain", None, 405),
        ("POST", "/_local/bus", b"{}", 405),
    ],
)
def test_a_call_that_makes_no_sense_gets_a_problem(
    call: Caller, method: str, path: str, body: bytes | None, status: int
) -> None:
    got, problem = call(method, path, body)
    assert (got, problem["status"], problem["type"]) == (status, status, "about:blank")
    assert problem["detail"]
    # And the server is there for the next one.
    assert call("GET", "/_local/dead-letters")[0] == 200


def test_a_page_from_elsewhere_may_not_call_it(call: Caller) -> None:
    assert call("POST", "/_local/drain", {}, Host="evil.example")[0] == 403
    assert call("POST", "/_local/drain", {}, Origin="https://evil.example")[0] == 403
    assert call("POST", "/_local/drain", {}, Origin="null")[0] == 200
    assert call("POST", "/_local/drain", {}, Host="localhost:3000", Origin="http://localhost:3000")[0] == 200


def raw(call: Caller, request: bytes) -> bytes:
    with socket.create_connection(("127.0.0.1", call.server.server_address[1]), timeout=20) as connection:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while part := connection.recv(65536):
            answer += part
    return answer


def test_bodies_in_chunks_too_long_and_of_no_length(tiny: Tiny, call: Caller) -> None:
    head = b"POST /rest/x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x=y\r\nde\r\n0\r\n\r\n"
    assert raw(call, chunked).startswith(b"HTTP/1.1 200 ")
    assert tiny.calls("web")[-1]["body"] == "abcde"
    assert b" 400 " in raw(call, head + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n").split(b"\r\n")[0]
    assert b" 400 " in raw(call, head + b"Content-Length: -1\r\n\r\n").split(b"\r\n")[0]
    too_long = raw(call, head + b"Content-Length: %d\r\n\r\n" % (BODY_BYTES_MAX + 1))
    assert too_long.startswith(b"HTTP/1.1 413 ")
    assert b'{"message": "Request Entity Too Large"}' in too_long


def test_many_callers_at_once_are_all_answered(tiny: Tiny, call: Caller) -> None:
    def one(number: int) -> int:
        with urllib.request.urlopen(f"{call.server.url}/rest/{number}", timeout=30) as response:
            return response.status

    with ThreadPoolExecutor(16) as pool:
        assert list(pool.map(one, range(100))) == [200] * 100
    assert len(tiny.calls("web")) == 100


def test_redrive_from_the_command_line(tiny: Tiny, call: Caller, capsys: pytest.CaptureFixture[str]) -> None:
    port = str(call.server.server_address[1])
    tiny.send("a", queue="DeadQueue", reason="x")
    assert main(["redrive", "--port", port]) == 0
    assert capsys.readouterr().out == "delivered: 1, dead letters again: 0\n"
    call.server.shutdown()
    call.server.server_close()
    assert main(["redrive", "--port", port]) == 1
    assert "make serve" in capsys.readouterr().err


def test_a_port_that_is_taken_is_told(call: Caller) -> None:
    with pytest.raises(OSError, match="in use"):
        Server(call.server.stack, call.server.server_address[1], lambda line: None)


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ([], "usage"),
        (["dance"], "invalid choice"),
        (["serve", "--port", "x"], "expected a port"),
        (["serve", "--now", "noon"], "expected an RFC 3339 instant"),
        (["token"], "--sub"),
        (["programs", "check"], "FILE"),
    ],
)
def test_a_command_that_makes_no_sense_is_told(
    arguments: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(arguments)
    assert stopped.value.code == 2
    assert text in capsys.readouterr().err


def test_programs_are_checked_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = sorted((ROOT / "layers" / "rules" / "club_rules" / "data").glob("*.json"))
    assert main(["programs", "check", *map(str, good)]) == 0
    assert capsys.readouterr().out.count(": good\n") == len(good) >= 3
    bad = tmp_path / "bad.json"
    bad.write_text(good[0].read_text().replace('"window', '"widow'))
    assert main(["programs", "check", str(good[1]), str(bad)]) == 1
    assert "widow" in capsys.readouterr().out


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_serve_prints_where_it_answers_with_a_token_that_works_and_stops_when_told(signal_number: int) -> None:
    command = [sys.executable, "-m", "local", "serve", "--port", "0", "--now", "2026-11-22T10:15:00Z", "--quiet"]
    environment = {**os.environ, "AWS_PROFILE": "a-profile-that-is-not-there"}
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            lines: list[str] = []
            while not lines or not lines[-1].startswith("Stop it"):
                lines.append(process.stdout.readline())
            url = lines[0].split()[5].rstrip(";")
            assert lines[0] == f"The buyers' club answers on {url}; its clock stands at 2026-11-22T10:15:00Z.\n"
            request = urllib.request.Request(f"{url}/members/nobody-at-all")
            request.add_header("Authorization", f"Bearer {lines[-3].strip()}")
            with pytest.raises(urllib.error.HTTPError) as raised:
                urllib.request.urlopen(request, timeout=30)
            # Let in by the gateway, and told by the function: m-42 may not know of others.
            assert raised.value.code == 404
            assert raised.value.headers["content-type"] == "application/problem+json"
            raised.value.close()
            process.send_signal(signal_number)
            rest, _ = process.communicate(timeout=30)
            assert (process.returncode, rest) == (0, "Stopped.\n")
        finally:
            process.kill()


def test_a_token_from_the_command_line_is_accepted(capsys: pytest.CaptureFixture[str]) -> None:
    from datetime import UTC, datetime

    from local.stack import Stack

    assert main(["token", "--sub", "clerk", "--scopes", "club:support club:ingest"]) == 0
    token = capsys.readouterr().out.strip()
    with Stack(datetime(1997, 1, 1, tzinfo=UTC)) as stack:
        assert (
            stack.request("POST", "/activities", headers={"authorization": f"Bearer {token}"}, body=b"{").status == 400
        )
        assert stack.request("POST", "/refunds/expedited", headers={"authorization": f"Bearer {token}"}).status == 403
        assert stack.request("POST", "/activities").status == 401
