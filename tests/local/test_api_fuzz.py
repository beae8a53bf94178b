"""The API against its own description: schemathesis makes up requests, the local stack answers them over HTTP.

Held to the description: which requests are well formed, which statuses, media types, headers and bodies answer them,
and that nobody gets in without a token. What a schema can't say stands in `_UNSAID`, with the reason. For each route
`FUZZ_EXAMPLES` requests are made up (50 where that isn't set), beside those at the edges of each schema, which are
always the same; `make fuzz-api` makes up many more.
"""

import json
import os
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import Any, NamedTuple

import jsonschema_rs
import pytest
import schemathesis
from hypothesis import given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS, load_all_checks

from club_rules.times import parse_instant
from local import verify
from local.server import Server
from local.stack import Stack
from tests.local import api_examples

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES") or 50)
DOCUMENT = api_examples.read()

load_all_checks()
_WHAT_FITS_IS_ACCEPTED: Any = CHECKS.get_one("positive_data_acceptance")


class Unsaid(NamedTuple):
    """What fits the schemas and is refused all the same: where, with which code, for which values, and why."""

    pointer: str
    code: str
    values: Callable[[Any], bool]
    why: str


def _any(value: Any) -> bool:
    return True


def _unprintable(value: Any) -> bool:
    return isinstance(value, str) and not (value.isprintable() and value.strip())


_UNSAID = (
    Unsaid(r"/query/cursor", "invalid_cursor", _any, "a cursor is one only where an earlier answer gave it"),
    Unsaid(r"/query/(from|to)", "from_after_to", _any, "the two are held against each other"),
    Unsaid(r"/query/(from|to)", "in_future", _any, "and against the clock"),
    Unsaid(r"/headers/accept-language", "invalid_language", _any, "it may name any language, and two are spoken"),
    Unsaid(
        r"(/\w+)*/\w+_at",
        "out_of_range",
        lambda text: parse_instant(text) < datetime(1970, 1, 1, tzinfo=UTC),
        "no keyword says that an instant is not before 1970",
    ),
    Unsaid(
        r"/return_shipment/(carrier|tracking_number)|/data/lines/\d+/category|/reason",
        "invalid_value",
        _unprintable,
        "which characters can be printed, Unicode says anew each year",
    ),
    Unsaid(
        r"/occurred_at",
        "occurred_in_future",
        lambda text: parse_instant(text) > api_examples.NOW + timedelta(minutes=5),
        "no schema knows the clock",
    ),
    Unsaid(
        r"/data/(registered_on|birthday)",
        "out_of_range",
        lambda text: date.fromisoformat(text) > api_examples.NOW.date(),
        "no schema knows the clock",
    ),
    Unsaid(
        r"/points|/data/(points|lines/\d+/quantity)",
        "invalid_type",
        lambda number: isinstance(number, float),
        "JSON Schema takes 1.0 for an integer, the rules don't",
    ),
)

# Instants in all the spellings of RFC 3339. Left to itself, schemathesis takes the years from 1 to 9999: nearly all
# would be refused for that alone, and nothing behind the door would be reached.
_INSTANTS = st.builds(
    lambda moment, fraction, offset, write: write(f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}{offset}"),
    st.datetimes(datetime(1969, 12, 30), datetime(2026, 11, 22))  # noqa: DTZ001 - the offset is drawn beside it
    | st.datetimes(datetime(2025, 11, 1), datetime(2027, 11, 22)),  # noqa: DTZ001
    st.sampled_from(["", ".5", ".123456789"]),
    st.sampled_from(["Z", "+00:00", "-23:59", "+05:30"]),
    st.sampled_from([str.upper, str.lower]),
)
schemathesis.openapi.format("date-time", _INSTANTS)

_CONFIG = {
    "generation": {"mode": "all"},
    # A method that no route has is answered by the gateway, with 404 and not 405: test_openapi.py looks at that.
    "phases": {"coverage": {"unexpected-methods": []}},
    # One bad event never blocks its neighbours, so 202 is no verdict: `events_are_judged_as_described` holds each
    # event against its schema.
    "operations": [
        {"include-path": "/activities", "checks": {"negative_data_rejection": {"expected-statuses": [202, 400, 401]}}}
    ],
}
OPERATIONS = [(path, method) for path, item in DOCUMENT["paths"].items() for method in item]


@cache
def _api() -> Any:
    """The API as schemathesis reads it; not sooner than it is needed, since that takes a while.

    Answers must hold nothing that is not described, though clients are told that they may grow.
    """
    config = schemathesis.Config.from_dict(_CONFIG)
    return schemathesis.openapi.from_dict(api_examples.sealed(DOCUMENT), config=config)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A club with a past and some decisions, which goes on living with what is made up."""
    with Stack(api_examples.NOW) as stack:
        api_examples.live_through(stack)
        gone = [
            api_examples.order(5000 + n, each, "2026-11-20T10:00:00Z", "9.00") for n, each in enumerate(_TO_BE_ERASED)
        ]
        api_examples.call(stack, "POST", "/activities", body={"events": gone})
        stack.drain()
        made = [ask for ask in api_examples.ASKED if ask.pointer in api_examples.DECISIONS]
        assert [answer.status for _, answer in api_examples.answers(stack, DOCUMENT, made)] == [200] * len(made)
        running = Server(stack, 0, lambda line: None)
        running.start()
        yield running
        running.shutdown()
        running.server_close()


# --- requests that reach something: ids that are made up are nobody's

_ORDERS = ("o-900", "o-901", "o-1001", "o-1002", "o-700", "o-701", "o-late")
_TO_BE_ERASED = tuple(f"m-gone-{number}" for number in range(20))
_LANGUAGES = ("en", "ru", "*", "ru-RU, en;q=0.5", "de, en-GB;q=0.1")
_DECISIONS = tuple(api_examples.at(DOCUMENT, pointer)["decision_id"] for pointer in api_examples.DECISIONS)
_ID = re.compile(r"(?!me\Z)[A-Za-z0-9][A-Za-z0-9._:-]{0,63}")
_FRAMING = {"connection", "content-length", "expect", "host", "te", "trailer", "transfer-encoding", "upgrade"}
_DECISION_ID = re.compile(r"d-[0-9a-f]{40}")


def _one_of(known: tuple[str, ...], drawn: str) -> str:
    """One that is known for most of those that are made up."""
    return known[len(drawn) % len(known)] if len(drawn) % 8 else drawn


def _put_known(fields: Any, name: str, known: tuple[str, ...], form: re.Pattern[str] = _ID) -> None:
    if isinstance(fields, dict) and isinstance(fields.get(name), str) and form.fullmatch(fields[name]):
        fields[name] = _one_of(known, fields[name])


def _put_new(fields: dict[str, Any], name: str) -> None:
    """An id of its own for each content, so that requests are worked off, and not only compared with earlier ones."""
    if isinstance(fields.get(name), str) and _ID.fullmatch(fields[name]):
        fields[name] = sha256(json.dumps(fields, sort_keys=True).encode()).hexdigest()[:32]


def _reach_something(case: Any) -> None:
    """Put what is known for what is made up, where the form is right; what is wrong on purpose stays wrong.

    Headers that frame a message are the client's own affair: with a false length it would wait for what never comes.
    """
    for name in [name for name in case.headers if name.lower() in _FRAMING]:
        del case.headers[name]
    if case.method.upper() != "DELETE":
        _put_known(case.path_parameters, "member_id", (*api_examples.MEMBERS, "me"))
    if case.method.upper() == "DELETE":  # those whom the other tests ask for stay
        _put_known(case.path_parameters, "member_id", _TO_BE_ERASED)
        if case.path_parameters.get("member_id") in (*api_examples.MEMBERS, "me"):
            case.path_parameters["member_id"] = _TO_BE_ERASED[0]
    _put_known(case.path_parameters, "decision_id", _DECISIONS, _DECISION_ID)
    if isinstance(case.headers.get("Accept-Language"), str):
        case.headers["Accept-Language"] = _one_of(_LANGUAGES, case.headers["Accept-Language"])
    _put_true_cursor(case)
    events = case.body.get("events") if isinstance(case.body, dict) else None
    for each in events if isinstance(events, list) else [case.body]:
        if isinstance(each, dict):
            _put_known(each, "member_id", api_examples.MEMBERS)
            _put_known(each, "order_id", _ORDERS)
            _put_known(each.get("data"), "order_id", _ORDERS)
            _put_new(each, "event_id")
            _put_new(each, "request_id")
            _put_new(each, "adjustment_id")


def _put_true_cursor(case: Any) -> None:
    """The one of an example, where it goes on with the list that is asked for."""
    pointer = f"/paths/{case.operation.path.replace('/', '~1')}/get/responses/200/content/application~1json/example"
    query = case.query or {}
    if case.meta.generation.mode.is_positive and "cursor" in query and len(query["cursor"]) % 4:
        query["cursor"] = api_examples.at(DOCUMENT, pointer)["cursor"]
        case.path_parameters["member_id"] = "m-42"
        if "program" in query:
            query["program"] = "club"


# --- what is held against each other


def _is_unsaid(error: dict[str, str], sent: Any) -> bool:
    """Whether a refusal is one of those that no schema foretells; `sent`: the body, if there was any."""
    for each in _UNSAID:
        if re.fullmatch(each.pointer, error["pointer"]) and each.code == error["code"]:
            beside = error["pointer"].startswith(("/query/", "/headers/"))
            return each.values(None if beside else api_examples.at(sent, error["pointer"]))
    return False


@schemathesis.check
def what_fits_is_accepted(ctx: Any, response: Any, case: Any) -> None:
    """As schemathesis' own check of that kind, but for what no schema says."""
    if case.meta.generation.mode.is_positive and response.status_code == 400:
        sent = json.loads(response.request.body) if response.request.body else None
        if all(_is_unsaid(error, sent) for error in response.json()["errors"]):
            return
    _WHAT_FITS_IS_ACCEPTED(ctx, response, case)


_EVENT = jsonschema_rs.Draft202012Validator(
    {"$ref": "#/components/schemas/Event", "components": DOCUMENT["components"]}, validate_formats=True
)


@schemathesis.check
def events_are_judged_as_described(ctx: Any, response: Any, case: Any) -> None:
    """What fits the schema is accepted, what doesn't is refused; each event by itself."""
    if case.operation.path != "/activities" or response.status_code != 202:
        return
    events = json.loads(response.request.body)["events"]
    answer = response.json()
    refused = {each["index"]: each for each in answer["refused"]}
    assert len(answer["accepted"]) + len(refused) == len(events)
    for index, event in enumerate(events):
        refusal = refused.get(index)
        if not _EVENT.is_valid(event):
            assert refusal, f"it does not fit its schema, and is accepted: {event}"
        elif refusal and refusal["code"] != "event_id_reused":  # no schema knows the other events
            assert all(_is_unsaid(error, event) for error in refusal["errors"]), f"it fits its schema: {event}"


def _prove_the_club(stack: Stack) -> None:
    """After all that was made up: what was accepted is posted (but for a reused id), can be read, and adds up."""
    stack.drain()
    assert {letter["reason"] for letter in stack.dead_letters()} <= {"event_id_reused"}
    assert len(list(api_examples.every_read(stack, DOCUMENT))) > 50
    shards = int(stack.template.parameters["DueShards"])
    for table in stack.template.tables:
        report = verify.report_of(stack.client("dynamodb"), table, shards)
        assert report.problems == []
        assert report.members >= len(api_examples.MEMBERS)


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_the_api_is_as_it_is_described(path: str, method: str, server: Server) -> None:
    api, operation = _api(), _api()[path][method]
    token = {"Authorization": f"Bearer {server.stack.token('m-42', api_examples.EVERYTHING)}"}
    added = [what_fits_is_accepted, events_are_judged_as_described]

    def hold(case: Any) -> None:
        _reach_something(case)
        case.call_and_validate(
            base_url=server.url, headers=token, additional_checks=added, excluded_checks=[_WHAT_FITS_IS_ACCEPTED]
        )

    modes = list(GenerationMode)
    edges = 0
    for case in api.iter_coverage_cases(
        operation,
        generation_modes=modes,
        generation_config=api.config.generation_for(operation=operation),
    ):
        edges += 1
        hold(case)
    assert edges

    made_up = st.one_of([operation.as_strategy(generation_mode=mode) for mode in modes])
    settings(max_examples=EXAMPLES)(given(made_up)(hold))()
    if method in ("post", "delete"):
        _prove_the_club(server.stack)
