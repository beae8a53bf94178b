"""The stack over HTTP on 127.0.0.1, with the calls under `/_local` (contract 2.5).

Whoever is on this machine may call it; a web page from elsewhere may not: a request that names another host, or comes
from another origin, is refused under `/_local`.
"""

import json
import re
import threading
import traceback
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from local import gateway
from local.faults import BadFault
from local.gateway import Headers, Response
from local.stack import Outcome, Stack

HOST = "127.0.0.1"
BODY_BYTES_MAX = 10 * 1024 * 1024  # the gateway's own limit
_LENGTH_DIGITS_MAX = 20  # Python reads no number of thousands of digits
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(;[^\r\n]*)?\r?\n")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_LOCAL_HOSTS = {"127.0.0.1", "localhost", "[::1]"}


class BadCall(Exception):
    """A call under `/_local` that makes no sense; answered with a problem document."""

    def __init__(self, detail: str, status: int = 400, pointer: str | None = None) -> None:
        super().__init__(detail)
        self.status = status
        self.pointer = pointer


def instant(value: Any, pointer: str) -> datetime:
    """Read an RFC 3339 instant with its offset. Raises BadCall."""
    if isinstance(value, str) and _INSTANT.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
        except (ValueError, OverflowError):
            pass
    text = "expected an RFC 3339 instant with an offset, such as 2026-11-22T10:15:00Z"
    raise BadCall(text, pointer=pointer)


def wire(moment: datetime) -> str:
    """Write an instant as it is on the wire."""
    return moment.astimezone(UTC).isoformat().replace("+00:00", "Z")


class LocalCalls:
    """What the stack answers under `/_local`. Each method takes a JSON object and gives one."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._calls: dict[tuple[str, str], Callable[[dict[str, Any]], Any]] = {
            ("POST", "/_local/clock"): self._clock,
            ("POST", "/_local/events"): self._events,
            ("POST", "/_local/drain"): self._drain,
            ("GET", "/_local/dead-letters"): self._dead_letters,
            ("POST", "/_local/redrive"): self._redrive,
            ("POST", "/_local/faults"): self._faults,
            ("POST", "/_local/verify"): self._verify,
            ("POST", "/_local/standing"): self._standing,
            ("POST", "/_local/sweeps"): self._sweeps,
        }

    def answer(self, method: str, path: str, query: str, body: bytes) -> Response:
        """Answer one call; what is wrong with it is a problem document."""
        try:
            return _json(200, self._answer(method, path, query, body))
        except BadCall as error:
            titles = {400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed"}
            problem: dict[str, Any] = {
                "type": "about:blank",
                "title": titles[error.status],
                "status": error.status,
                "detail": str(error),
                "code": "invalid_call",
            }
            if error.pointer is not None:
                problem["errors"] = [{"pointer": error.pointer, "detail": str(error)}]
            return _json(error.status, problem, "application/problem+json")

    def _answer(self, method: str, path: str, query: str, body: bytes) -> Any:
        if path == "/_local/bus" and method == "GET":
            return self._bus(query)
        if path.startswith("/_local/schedules/") and method == "POST":
            return self._schedule(unquote(path.removeprefix("/_local/schedules/")), _object(body))
        call = self._calls.get((method, path))
        if call is not None:
            return call(_object(body))
        others = [verb for verb, known in [*self._calls, ("GET", "/_local/bus")] if known == path]
        if others:
            raise BadCall(f"{path} takes {others[0]}", 405)
        raise BadCall(f"there is no {path}", 404)

    def _clock(self, body: dict[str, Any]) -> Any:
        _fields(body, {"now"})
        self._stack.set_clock(instant(body.get("now"), "/now"))
        return {"now": wire(self._stack.now)}

    def _events(self, body: dict[str, Any]) -> Any:
        _fields(body, {"entries"})
        entries = body.get("entries")
        if not isinstance(entries, list):
            raise BadCall("expected a list of PutEvents entries", pointer="/entries")
        answers = self._stack.put_events(entries)
        failed = [
            {"index": index, "code": answer["ErrorCode"], "detail": answer["ErrorMessage"]}
            for index, answer in enumerate(answers)
            if "ErrorCode" in answer
        ]
        if failed and len(failed) == len(entries):
            named = "; ".join(f"entry {each['index']}: {each['code']}, {each['detail']}" for each in failed[:20])
            raise BadCall(f"the bus takes none of these entries: {named}", pointer="/entries")
        # As PutEvents: those that it does not take are named, and hold up nobody.
        return {**_counts(self._stack.drain()), **({"failed": failed} if failed else {})}

    def _drain(self, body: dict[str, Any]) -> Any:
        _fields(body, set())
        return _counts(self._stack.drain())

    def _schedule(self, name: str, body: dict[str, Any]) -> Any:
        if name not in self._stack.template.schedules:
            raise BadCall(f"there is no schedule {name}: {', '.join(sorted(self._stack.template.schedules))}", 404)
        _fields(body, {"scheduled_at", "dry_run", "override_limit"})
        flags = {flag: body.get(flag, False) for flag in ("dry_run", "override_limit")}
        for flag, value in flags.items():
            if not isinstance(value, bool):
                raise BadCall("expected true or false", pointer=f"/{flag}")
        at = instant(body["scheduled_at"], "/scheduled_at") if "scheduled_at" in body else self._stack.now
        request_id = str(uuid.uuid4())
        outcome = self._stack.fire(name, at, **flags, request_id=request_id)
        return {**_counts(outcome), **self._report(name, at, request_id)}

    def _report(self, name: str, at: datetime, request_id: str) -> dict[str, Any]:
        """What the run of a sweep did, or would do; nothing where the schedule started none."""
        from club_rules.errors import NotFound
        from club_rules.programs import load_programs
        from local import sweeps

        run_id = f"{name}#{wire(at.replace(microsecond=0))}#{request_id}"
        try:
            with self._stack.still():
                (table,) = self._stack.template.tables
                return {"report": sweeps.run_of(table, run_id, load_programs())}
        except NotFound:
            return {}

    def _sweeps(self, body: dict[str, Any]) -> Any:
        """List the sweeps' runs, show one, or undo what one demoted; for `python -m local sweeps`."""
        from club_rules.errors import NotFound
        from club_rules.programs import load_programs
        from local import sweeps

        _fields(body, {"action", "run"})
        action, run_id = body.get("action"), body.get("run", "")
        if action not in ("list", "show", "undo"):
            raise BadCall("expected list, show or undo", pointer="/action")
        if not isinstance(run_id, str):
            raise BadCall("expected the id of a run", pointer="/run")
        (table,) = self._stack.template.tables
        try:
            with self._stack.still():
                if action == "list":
                    return sweeps.runs_of(self._stack.client("dynamodb"), table, load_programs())
                if action == "show":
                    return sweeps.run_of(table, run_id, load_programs())
                answer = sweeps.undo(table, run_id, load_programs(), self._stack.now)
                self._stack.work_streams()  # what was given back is announced within moments
                return answer
        except NotFound as error:
            raise BadCall(error.detail, 404, pointer="/run") from error

    def _bus(self, query: str) -> Any:
        wanted = parse_qs(query, keep_blank_values=True)
        unknown = sorted(set(wanted) - {"detail_type"})
        if unknown:
            raise BadCall(f"unknown parameter {', '.join(unknown)}: expected detail_type")
        # What has been committed is announced within moments; nobody has to ask for a drain to see it.
        self._stack.work_streams()
        return {"events": self._stack.published(wanted["detail_type"][0] if "detail_type" in wanted else None)}

    def _dead_letters(self, body: dict[str, Any]) -> Any:
        _fields(body, set())
        return {"messages": self._stack.dead_letters()}

    def _redrive(self, body: dict[str, Any]) -> Any:
        _fields(body, set())
        return _counts(self._stack.redrive())

    def _faults(self, body: dict[str, Any]) -> Any:
        try:
            self._stack.order_fault(body)
        except BadFault as error:
            raise BadCall(str(error)) from error
        return {"fault": body or None}

    def _verify(self, body: dict[str, Any]) -> Any:
        """Prove the ledger, and with `repair` put right what follows from it; for `python -m local verify`."""
        from local import verify

        _fields(body, {"repair"})
        repairs = body.get("repair", False)
        if not isinstance(repairs, bool):
            raise BadCall("expected true or false", pointer="/repair")
        shards = int(self._stack.template.parameters["DueShards"])
        (table,) = self._stack.template.tables
        repaired: list[str] = []
        with self._stack.still():
            self._stack.work_streams()  # what has been committed is counted within moments
            client = self._stack.client("dynamodb")
            if repairs:
                repaired = verify.put_right(client, table, shards)
                self._stack.work_streams()
            findings = verify.findings_of(client, table, shards)
        report = findings.report()._asdict()
        return {**report, "advice": verify.advice_for(findings.problems), "repaired": repaired}

    def _standing(self, body: dict[str, Any]) -> Any:
        """Rebuild the standing; for `python -m local standing rebuild`."""
        from club_rules.programs import load_programs
        from local import standing

        _fields(body, set())
        said: list[str] = []
        with self._stack.still():
            self._stack.work_streams()  # what is only late is not wrong
            tables = self._stack.template.tables
            client = self._stack.client("dynamodb")
            right = [standing.rebuild(client, table, load_programs(), said.append) for table in tables]
        return {"said": said, "right": all(right)}


def _counts(outcome: Outcome) -> dict[str, int]:
    return {"delivered": outcome.delivered, "dead_lettered": outcome.dead_lettered}


def _object(body: bytes) -> dict[str, Any]:
    if not body.strip():
        return {}
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise BadCall(f"the body is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise BadCall("expected a JSON object", pointer="")
    return value


def _fields(body: dict[str, Any], known: set[str]) -> None:
    unknown = sorted(set(body) - known)
    if unknown:
        expected = f"expected {', '.join(sorted(known))}" if known else "nothing is expected"
        raise BadCall(f"unknown field {', '.join(unknown)}: {expected}", pointer=f"/{unknown[0]}")


def _json(status: int, content: Any, kind: str = "application/json") -> Response:
    return Response(status, {"content-type": kind, "cache-control": "no-store"}, json.dumps(content).encode())


class _Handler(BaseHTTPRequestHandler):
    """One connection; the stack serialises what needs it."""

    protocol_version = "HTTP/1.1"
    server_version = "buyers-club-local"
    sys_version = ""
    # Head and body leave in one write, and no write waits for the other side's acknowledgement.
    wbufsize = -1
    disable_nagle_algorithm = True
    timeout = 60
    server: "Server"

    def _handle(self) -> None:
        # Not urlsplit: it takes //members for a host.
        path, _, query = self.path.partition("?")
        body = self._body()
        if body is None:
            return
        try:
            response = self._respond(path, query, body)
        except Exception:  # noqa: BLE001 - the server goes on, and says what happened
            traceback.print_exc()
            response = gateway.problem(500, "Internal Server Error")
        self._send(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815

    def __getattr__(self, name: str) -> Callable[[], None]:
        # To the gateway any other method is one that no route has.
        if name.startswith("do_"):
            return lambda: self._refuse(404, "Not Found")
        raise AttributeError(name)

    def _respond(self, path: str, query: str, body: bytes) -> Response:
        if path.startswith("/_local/"):
            if not self._is_local():
                return _json(403, {"status": 403, "title": "Forbidden", "detail": "only from this machine"})
            return self.server.calls.answer(self.command, path, query, body)
        headers: Headers = {}
        for name, value in self.headers.items():
            lower = name.lower()
            headers[lower] = f"{headers[lower]},{value}" if lower in headers else value
        return self.server.stack.request(self.command, path, query, headers, body)

    def _is_local(self) -> bool:
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0]
        origin = urlsplit(self.headers.get("Origin") or "").hostname
        return host in _LOCAL_HOSTS and (origin is None or origin in {"127.0.0.1", "localhost", "::1"})

    def _body(self) -> bytes | None:
        """Read the body; None = it was refused, and an answer is on its way."""
        if "chunked" in (self.headers.get("Transfer-Encoding") or "").lower():
            return self._chunks()
        length = self.headers.get("Content-Length") or "0"
        if not (length.isascii() and length.isdigit()):
            self._refuse(400, "Bad Request")
            return None
        if len(length) > _LENGTH_DIGITS_MAX or int(length) > BODY_BYTES_MAX:
            self._refuse(413, "Request Entity Too Large")
            return None
        return self.rfile.read(int(length))

    def _chunks(self) -> bytes | None:
        parts: list[bytes] = []
        total = 0
        while True:
            match = _CHUNK.fullmatch(self.rfile.readline(256))
            if match is None:
                self._refuse(400, "Bad Request")
                return None
            size = int(match.group(1), 16)
            total += size
            if total > BODY_BYTES_MAX:
                self._refuse(413, "Request Entity Too Large")
                return None
            if size == 0:
                while self.rfile.readline(8192).strip():
                    pass
                return b"".join(parts)
            parts.append(self.rfile.read(size))
            self.rfile.readline(2)

    def _refuse(self, status: int, message: str) -> None:
        # What was not read would be taken for the next request.
        self.close_connection = True
        self._send(gateway.problem(status, message, {"connection": "close"}))

    def _send(self, response: Response) -> None:
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(response.body)
        self.wfile.flush()

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as the base class names it
        self.server.say(f"{self.log_date_time_string()} {format % args}")


class Server(ThreadingHTTPServer):
    """The stack, served. Port 0 takes a free one; `say` takes a line for each request."""

    daemon_threads = True
    allow_reuse_address = True
    request_queue_size = 128

    def __init__(self, stack: Stack, port: int, say: Callable[[str], None]) -> None:
        super().__init__((HOST, port), _Handler)
        self.stack = stack
        self.calls = LocalCalls(stack)
        self.say = say

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.server_address[1]}"

    def start(self) -> threading.Thread:
        """Serve in a thread of its own, until `shutdown`."""
        thread = threading.Thread(target=self.serve_forever, name="local-server", daemon=True)
        thread.start()
        return thread

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a caller that went away; of anything else, say what it was."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)
