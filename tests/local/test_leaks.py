"""Nothing leaks: canaries in every field, header and token, through all that works and all that fails.

What functions write to the log (their metrics with it), what stands beside a dead letter, what is announced, and what
a caller is told of an error: in none of them is a word of what was sent, nor of how the inside is made.
"""

from __future__ import annotations

import base64
import inspect
import io
import json
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from club_ledger import framing, items
from club_ledger.items import unpack
from club_rules.events import EVENT_TYPES
from local import boundary
from local.boundary import Answer
from local.gateway import Response
from local.stack import Stack
from local.swapping import swapped
from local.template import ROOT
from tests.access.leaks import BIRTHDAY, COUNTRY, NUMBER, REGISTERED_ON, WORD, found, internals, spoilt

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
PERSONAL = (BIRTHDAY, REGISTERED_ON, COUNTRY)
EVERY_SCOPE = ("club:ingest", "club:read", "club:decide", "club:support", "club:admin")
JSON = "application/json"

LINE = {"item_id": "i-1", "seller_id": "s-1", "category": f"{WORD} goods", "unit_price": "5000.00", "quantity": 1}
PERSON = {"birthday": BIRTHDAY, "country": COUNTRY, "registered_on": REGISTERED_ON}
DATA: dict[str, dict[str, Any]] = {
    "member.registered": PERSON,
    "member.updated": PERSON,
    "order.completed": {"order_id": "o-1", "currency": "USD", "lines": [LINE], "flags": ["gift"]},
    "review.posted": {"order_id": "o-before", "item_id": "i-1"},
    "visit.recorded": {},
    "post.published": {"post_id": "p-1"},
    "promotion.awarded": {"campaign_id": "c-1", "points": 5, "program": "club"},
    "contribution.accepted": {"contribution_id": "c-1", "kind": "translation"},
    "violation.confirmed": {"case_id": "v-1", "kind": "spam"},
    "violation.overturned": {"case_id": "v-1", "kind": "spam"},
    "wishlist.item_added": {"item_id": "i-1"},
    "wishlist.item_removed": {"item_id": "i-9"},
    "cart.item_added": {"item_id": "i-1"},
    "cart.item_removed": {"item_id": "i-9"},
    "price.dropped": {"item_id": "i-1", "old_price": "2.00", "new_price": "1.00", "currency": "USD"},
    "order.cancelled": {"order_id": "o-none"},
    "order.refunded": {"order_id": "o-none", "lines": [{"item_id": "i-1", "quantity": 1}]},
    "order.flagged_fraudulent": {"order_id": "o-none"},
}
DISPUTE = {"order_id": "o-before", "dispute_id": "d-1"}
BODIES: dict[tuple[str, str], dict[str, Any]] = {
    ("POST", "/refunds/expedited"): {
        "request_id": "r-1",
        "member_id": "m-1",
        **DISPUTE,
        "refund": {"kind": "full", "amount": "20.00", "currency": "USD"},
        "seller_approved_at": "2026-11-22T10:00:00Z",
        "return_shipment": {"carrier": f"{WORD} mail", "tracking_number": f"{WORD}-1", "first_scan_at": None},
        "order_eligible": True,
    },
    ("POST", "/disputes/acceleration"): {
        "request_id": "q-1",
        "member_id": "m-1",
        **DISPUTE,
        "escalated_at": "2026-11-22T10:00:00Z",
        "review_due_at": "2026-12-22T10:00:00Z",
    },
    ("POST", "/members/m-1/adjustments"): {
        "adjustment_id": "a-1",
        "program": "club",
        "points": 3,
        "reason": f"{WORD} was wronged",
    },
}
READS = {
    "": "",
    "/statement": "program=club",
    "/privileges": "",
    "/rewards": "",
    "/explanation": "program=club",
    "/outlook": "program=club",
    "/decisions": "",
    "/export": "",
}
BROKEN = (
    f'{{"events": "{WORD}", {BIRTHDAY}',
    f'"{WORD} {BIRTHDAY}"',
    f'["{WORD}"]',
    f"{WORD} {BIRTHDAY}",
    f'{{"a": "{WORD}", "a": "{BIRTHDAY}"}}',
    f'{{"a": {NUMBER}e999, "b": "{WORD}"}}',
    f'{{"x": "{WORD} {BIRTHDAY}"}}',
    "[" * 5000 + f'"{WORD}"',
    f'{{"a": "{WORD * 50_000}"}}',
    f"\xff{WORD}".encode("latin-1"),
)


class House:
    """A stack, all that it says, and neighbours who put canaries into everything that they send."""

    def __init__(self, stack: Stack, log: io.StringIO, printed: Callable[[], str]) -> None:
        self.stack = stack
        self.log = log
        self.printed = printed  # past the stack's log: on stdout or stderr, since it was asked last
        self.answers: list[tuple[str, Response]] = []
        self.tokens: set[str] = set()

    # --- what is sent

    def call(self, method: str, path: str, body: Any = b"", query: str = "", **headers: str) -> Response:
        """Make a request as somebody who may do everything, and keep the answer."""
        claims = {"name": f"{WORD} {BIRTHDAY}", "email": f"{WORD}@example.com", "birthdate": BIRTHDAY}
        token = self.stack.token("op-1", EVERY_SCOPE, **claims)
        self.tokens.update(token.split(".")[1:])  # the first part is the same for every token
        planted = {"authorization": f"Bearer {token}", "cookie": f"{WORD}=1", "user-agent": WORD, f"x-{WORD}": WORD}
        content = body if isinstance(body, bytes | str) else json.dumps(body)
        answer = self.stack.request(method, path, query, {**planted, **headers}, content)
        self.answers.append((f"{method} {path}?{query}", answer))
        return answer

    def post(self, *events: Mapping[str, Any]) -> Response:
        """Send events through the door, and work off what comes of them."""
        answer = self.call("POST", "/activities", {"events": list(events)})
        self.stack.drain()
        return answer

    # --- what must be tight

    def said(self) -> Iterator[tuple[str, str]]:
        """All that is meant for other eyes than the sender's own: where it stands, and the text."""
        self.log.write(self.printed())
        for line in self.log.getvalue().splitlines():
            yield "the log", line
        for arn in self.stack.queues.dead:
            queue = self.stack.queues.by_arn[arn]
            for message in queue.ready:
                yield f"beside a letter in {queue.spec.logical_id}", json.dumps(message.attributes)
        for entry in self.stack.published():
            yield "the bus", json.dumps(entry)
        for path, answer in self.answers:
            text = answer.body.decode()
            if answer.status >= 400:
                yield f"the problem of {path}", text
            elif path.startswith("POST /activities"):
                yield "what is said of refused events", text

    def leaks(self) -> list[str]:
        """Every canary that got out, and every word of the inside that a caller was told."""
        secrets = (*PERSONAL, WORD, WORD.upper(), str(NUMBER), *self.tokens)
        leaked = [
            f"{secret!r} in {where}: {text[:600]}" for where, text in self.said() for secret in found(text, secrets)
        ]
        for path, answer in self.answers:
            text = answer.body.decode()
            if answer.status >= 400:
                leaked += [f"{inside!r} in the problem of {path}: {text}" for inside in internals(text)]
            elif "/export" not in path:
                leaked += [f"{secret!r} in the answer of {path}" for secret in found(text, PERSONAL)]
        return leaked

    def assert_tight(self) -> None:
        assert self.leaks() == []


@contextmanager
def heard(stack: Stack, log: io.StringIO) -> Iterator[None]:
    """Have everything written into `log` that loggers would put into a log group; what is printed is there anyway."""
    with ExitStack() as open_things:
        for spec in stack.template.functions.values():
            # a logger keeps the stdout of the moment when it was made, and pytest's ends with the test
            with stack.runtime.environment(spec), swapped([(sys, "stdout", sys.__stdout__)]):
                logger = inspect.unwrap(stack.runtime.handler(spec)).__globals__["logger"]
            handler = logger.registered_handler
            open_things.enter_context(swapped([(handler, "stream", log)]))
            open_things.callback(logger.setLevel, logger.level)
            logger.setLevel("DEBUG")
        others = logging.StreamHandler(log)
        others.setLevel(logging.WARNING)  # Lambda's own handler on the root logger
        logging.getLogger().addHandler(others)
        open_things.callback(logging.getLogger().removeHandler, others)
        yield


@pytest.fixture
def house(capsys: pytest.CaptureFixture[str]) -> Iterator[House]:
    log = io.StringIO()
    with Stack(NOW, log=log, parameters={"LogLevel": "DEBUG", "DueShards": "1"}) as stack, heard(stack, log):
        yield House(stack, log, lambda: "".join(capsys.readouterr()))


def event(
    kind: str, data: Mapping[str, Any], tag: str = "1", member: str = "m-1", at: datetime = NOW
) -> dict[str, Any]:
    """An event of some moment."""
    moment = at.isoformat().replace("+00:00", "Z")
    content = {"event_id": f"e-{kind}-{tag}", "type": kind, "occurred_at": moment, "data": data}
    return content if kind == "price.dropped" else {**content, "member_id": member}


def live(house: House, tag: str) -> list[int]:
    """Do all that there is to do: every type of event, every route, and more than a year later every sweep.

    Gives the statuses of the answers.
    """
    stack, count = house.stack, len(house.answers)
    gone = f"gone-{tag}"
    for kind, data in DATA.items():
        changed = {"order_id": f"o-{tag}"} if kind == "order.completed" else {}
        house.post(event(kind, {**data, **changed}, tag, at=stack.now))
    house.post(event("member.registered", PERSON, gone, gone))
    for (method, path), body in BODIES.items():
        changed = {name: f"{body[name]}-{tag}" for name in ("request_id", "adjustment_id") if name in body}
        house.call(method, path, {**body, **changed})
    for path, query in READS.items():
        house.call("GET", f"/members/m-1{path}", query=query)
    house.call("GET", "/decisions/none")
    house.call("DELETE", f"/members/{gone}")
    house.call("GET", "/club")
    stack.set_clock(stack.now + timedelta(days=400))
    for name in stack.template.schedules:
        stack.fire(name, stack.now)
    return [answer.status for _, answer in house.answers[count:]]


# --- what works


def test_what_works_shows_what_was_sent_where_the_contract_says_and_nowhere_else(house: House) -> None:
    assert DATA.keys() == EVENT_TYPES, "an event type without an example"
    statuses = live(house, "before")
    assert [status for status in statuses if status >= 400] == [404], "only the decision that there is not"
    export = next(answer for path, answer in house.answers if "/export" in path)
    assert found(export.body.decode(), PERSONAL) == list(PERSONAL), "it shows what is kept of the person"
    assert house.stack.dead_letters() == []
    announced = {entry["DetailType"] for entry in house.stack.published()}
    assert announced >= {"tier.changed", "price.alert", "reward.granted", "sweep.finished", "refund.expedited"}
    services = {json.loads(line)["service"] for line in house.log.getvalue().splitlines()}
    assert services == {spec.code.name for spec in house.stack.template.functions.values()} - {
        "member_api",  # what only reads, and the page, have nothing to tell
        "privilege_centre",
    }
    house.assert_tight()


def test_the_person_is_stored_apart_from_the_ledger(house: House) -> None:
    """The birthday stands in the profile, and among the rewards that go by it; no entry holds it."""
    live(house, "before")
    (table,) = house.stack.template.tables
    kinds = set()
    for item in house.stack.client("dynamodb").scan(TableName=table)["Items"]:
        content = {name: next(iter(value.values())) for name, value in item.items()}
        if isinstance(content.get("body"), bytes):
            content["body"] = unpack(content["body"])
        if found(json.dumps(content, default=str), PERSONAL):
            kinds.add((content["pk"].split("#")[0], content["sk"]))
    assert kinds == {("M", items.PROFILE), ("R", items.SINGLE)}


# --- what is wrong with what was sent


def test_what_is_wrong_with_an_event_is_told_without_it_at_either_door(house: House) -> None:
    wrong = []
    for kind, data in DATA.items():
        for place, bad in enumerate(spoilt(event(kind, data))):
            wrong.append({**bad, "event_id": f"bad-{kind}-{place}"} if isinstance(bad.get("event_id"), str) else bad)
    for start in range(0, len(wrong), 100):
        assert house.post(*wrong[start : start + 100]).status == 202
    refused = [each for _, answer in house.answers for each in answer.json()["refused"]]
    assert len(refused) > len(wrong) * 0.9, "hardly anything of it was wrong"
    details = [{name: value for name, value in each.items() if name != "type"} for each in wrong]
    house.stack.put_events(
        [
            {"Source": "marketplace", "DetailType": str(each["type"]), "Detail": json.dumps(detail)}
            for each, detail in zip(wrong, details, strict=True)
        ]
    )
    house.stack.drain()
    assert len(house.stack.dead_letters()) > len(wrong) * 0.9
    for body in BROKEN:
        text = body.decode("latin-1") if isinstance(body, bytes) else body
        house.stack.queues.send(house.stack.template.arn_of("ActivityQueue"), text)
    house.stack.drain()
    # refused events echo their ids, which a sender chose: only where an id is one may it carry a word
    ids = {each["event_id"] for each in refused if found(str(each["event_id"]), (WORD,))}
    leaked = [leak for leak in house.leaks() if not any(f'"event_id": "{each}"' in leak for each in ids)]
    assert leaked == []


def test_what_is_wrong_with_a_request_is_told_without_it(house: House) -> None:
    for method, path in (*BODIES, ("POST", "/activities")):
        for body in (*spoilt(BODIES.get((method, path), {"events": []})), *BROKEN):
            answer = house.call(method, path, body)
            assert answer.status in {200, 202, 400, 404, 409, 413}, (method, path, body, answer)
    for path, usual in READS.items():
        for name in ("program", "limit", "cursor", "from", "to", "days", "member"):
            for value in (WORD, BIRTHDAY, f"{NUMBER}{NUMBER}{NUMBER}"):
                house.call("GET", f"/members/m-1{path}", query=f"{usual}&{name}={WORD}{value}".strip("&"))
        house.call("GET", f"/members/{WORD}!{BIRTHDAY}{path}", query=usual)
        house.call("GET", f"/members/{WORD}{path}", query=usual)
    house.call("GET", f"/decisions/{WORD}")
    house.call("DELETE", f"/members/{WORD}!")
    for header in (f"{WORD};;;", f"{WORD};q={NUMBER}", f"{WORD}," * 300):
        assert house.call("GET", "/members/m-1", **{"accept-language": header}).status == 400
    for token in (WORD, f"Bearer {WORD}", f"Bearer {WORD}.{BIRTHDAY}.{NUMBER}", f"Basic {WORD}"):
        assert house.call("GET", "/members/m-1", authorization=token).status == 401
    house.assert_tight()


def test_the_name_of_an_unknown_field_is_told_to_its_sender_and_to_nobody_else(house: House) -> None:
    """Of input a problem names the fields at fault, and a dead letter too; the log holds ids only."""
    name = f"{WORD}field"
    answer = house.call("POST", "/refunds/expedited", {**BODIES["POST", "/refunds/expedited"], name: BIRTHDAY})
    assert answer.json()["errors"] == [
        {"pointer": f"/{name}", "code": "unknown_field", "detail": "is not a field of this object"}
    ]
    house.post({**event("visit.recorded", {}), name: BIRTHDAY})
    assert found(answer.body.decode(), PERSONAL) == []
    assert found(house.log.getvalue(), (WORD, BIRTHDAY)) == []


# --- what fails inside

OPERATIONS = (
    "GetItem",
    "BatchGetItem",
    "Query",
    "PutItem",
    "UpdateItem",
    "BatchWriteItem",
    "TransactWriteItems",
    "SendMessage",
    "SendMessageBatch",
    "PutEvents",
)
SPILLED = f"{WORD} {BIRTHDAY} {NUMBER} {COUNTRY}"
Failure = Callable[[str, Mapping[str, Any]], Answer]


def crash(operation: str, body: Mapping[str, Any]) -> Answer:
    """Something breaks on the way that is no answer of AWS."""
    raise RuntimeError(f"{SPILLED} {operation} {body}")


def echo(code: str) -> Failure:
    """AWS refuses, and its text repeats what it was sent."""

    def failure(operation: str, body: Mapping[str, Any]) -> Answer:
        text = f"{SPILLED}: {json.dumps(body)}"
        answer: dict[str, Any] = {
            "__type": f"com.amazonaws.dynamodb.v20120810#{code}",
            "message": text,
            "Message": text,
        }
        if code == "TransactionCanceledException":
            answer["CancellationReasons"] = [{"Code": "ValidationError", "Message": text}] * len(body["TransactItems"])
        return 400, answer

    return failure


@contextmanager
def failing(stack: Stack, operation: str, failure: Failure) -> Iterator[list[str]]:
    """Every request of functions for an operation fails; gives which functions met it."""
    met: list[str] = []
    of_table = stack._boundary._dynamodb
    answers: Any = stack._boundary._answer

    def table(event_name: str, request: Any, asked: str, body: dict[str, Any], kind: str | None) -> Any:
        running = stack.runtime.running
        if asked != operation or running is None:
            return of_table(event_name, request, asked, body, kind)
        met.append(running.code.name)
        return boundary._response(request, failure(asked, body))

    def sending(service: str) -> Callable[[str, dict[str, Any]], Answer]:
        def send(asked: str, body: dict[str, Any]) -> Answer:
            if asked != operation or stack.runtime.running is None:
                return before[service](asked, body)
            met.append(stack.runtime.running.code.name)
            return failure(asked, body)

        return send

    before = dict(answers)
    answers.update({service: sending(service) for service in before})
    try:
        with swapped([(stack._boundary, "_dynamodb", table)]):
            yield met
    finally:
        answers.update(before)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["crash", "unforeseen", "throttled"])
def test_what_fails_at_a_call_is_told_without_what_it_was_about(house: House, how: str) -> None:
    met_by: dict[str, set[str]] = {}
    live(house, "before")  # so that there is something to read, to change and to send
    for number, operation in enumerate(OPERATIONS):
        code = {"unforeseen": "ValidationException", "throttled": "ThrottlingException"}.get(how, "")
        if operation == "TransactWriteItems" and how == "unforeseen":
            code = "TransactionCanceledException"
        with failing(house.stack, operation, echo(code) if code else crash) as met:
            live(house, f"{how}-{number}")
        met_by[operation] = set(met)
    unmet = {spec.code.name for spec in house.stack.template.functions.values()} - set().union(*met_by.values())
    assert unmet == {"privilege_centre"}, "it asks nobody for anything"
    assert all(met_by.values()), met_by
    statuses = {answer.status for _, answer in house.answers}
    assert statuses & {500, 503}, "nothing of it reached a caller"
    letters = {letter["queue"] for letter in house.stack.dead_letters()}
    assert letters >= {"ActivityDeadLetters", "ScheduleDeadLetters", "ExpirySweepDeadLetters", "ChangeDeadLetters"}
    house.assert_tight()


def test_what_breaks_in_the_rules_is_told_without_what_it_was_about(house: House) -> None:
    live(house, "before")

    def breaks(*_: Any, **__: Any) -> Any:
        raise ValueError(SPILLED)

    club = [module for name, module in sys.modules.items() if name.startswith(("club_", "_function_"))]
    names = ("parse_event", "settle", "parse_refund_request", "decode_account", "unpack", "load_programs", "load_json")
    for name in names:
        places = [(module, name, breaks) for module in club if hasattr(module, name)]
        assert places, name
        with swapped(places):
            live(house, f"broken-{name}")
    page = inspect.unwrap(house.stack.runtime.handler(house.stack.template.function("privilege_centre"))).__globals__
    with swapped([(page["documents"], "of", breaks)]):
        assert house.call("GET", "/club").status == 500
    assert house.log.getvalue().count("ValueError at ") > 50
    house.assert_tight()


# --- the net itself


@pytest.mark.parametrize(
    "how", ["plain", "crash", "base64", "stderr", "metric", "announcement", "problem", "internals", "reason"]
)
def test_a_planted_leak_is_caught(house: House, how: str) -> None:
    """One is planted in each place that is looked at, one at a time."""
    stack, text = house.stack, f"born {BIRTHDAY}"
    house.call("GET", "/members/m-1")
    house.assert_tight()
    if how == "plain":
        app = inspect.unwrap(stack.runtime.handler(stack.template.function("post_ledger"))).__globals__
        post = app["post_batch"]

        def talkative(store: Any, programs: Any, records: Any, *more: Any) -> Any:
            app["logger"].debug("got", extra={"records": [record["body"] for record in records]})
            return post(store, programs, records, *more)

        app["post_batch"] = talkative
        house.post(event("member.registered", PERSON))
        app["post_batch"] = post
    elif how == "crash":
        with swapped([(framing, "described", str)]), failing(stack, "PutEvents", crash):
            house.post(event("order.completed", DATA["order.completed"]))
    elif how == "announcement":
        entry = {"Source": "buyers-club", "DetailType": "tier.changed", "Detail": json.dumps({"b": text})}
        stack.bus.put([entry], by_function=True)
    elif how in {"problem", "internals"}:
        told = text if how == "problem" else 'File "app.py", in handler: KeyError'
        house.answers.append(("GET /", Response(500, {}, json.dumps({"detail": told}).encode())))
    elif how == "reason":
        reason = {"reason": {"DataType": "String", "StringValue": text}}
        stack.queues.send(stack.template.arn_of("ActivityDeadLetters"), "{}", reason)
    elif how == "metric":
        house.log.write(json.dumps({"_aws": {"Timestamp": 1}, "country": COUNTRY, "members": 1}) + "\n")
    elif how == "base64":
        house.log.write(base64.b64encode(f"xy{text}".encode()).decode() + "\n")
    else:
        sys.stderr.write(text)
    assert house.leaks(), how


def test_no_code_makes_traces_or_metrics_of_its_own_nor_logs_an_exceptions_text() -> None:
    """The log is all that functions tell, metrics with it: who adds another way has to have it looked at here."""
    ways = re.compile(
        r"\b(Tracer|Metrics|aws_xray_sdk|put_metric_data|opentelemetry|log_event|put_annotation|exc_info|logger\.exception)\b"
    )
    for folder in ("functions", "layers"):
        for path in (ROOT / folder).rglob("*.py"):
            assert not ways.search(path.read_text("utf-8")), path
