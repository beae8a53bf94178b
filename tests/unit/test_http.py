"""The door (contract 2.1): problems, requests, callers, and the frame around a handler."""

import base64
import json
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError
from hypothesis import given
from hypothesis import strategies as st

from club_http import callers
from club_http.api import api
from club_http.callers import Caller, acting_caller, caller_of, path_member, require_scope, resolve_member
from club_http.problems import no_content, problem_response, respond
from club_http.requests import (
    BODY_BYTES_MAX,
    path_parameter,
    query_parameters,
    read_object,
    request_time,
    unknown_fields,
)
from club_rules.errors import (
    ClubError,
    Conflict,
    FieldError,
    Forbidden,
    InvalidInput,
    NotFound,
    Refused,
    TooLarge,
    Unavailable,
)
from club_rules.fields import is_id
from club_rules.json_text import load_json

SAMPLE: dict[str, Any] = json.loads(
    (Path(__file__).resolve().parents[2] / "events" / "ingest_activity.json").read_text("utf-8")
)


def request(body: str | None, **more: Any) -> dict[str, Any]:
    return {**SAMPLE, "body": body, **more}


def with_jwt(jwt: object) -> dict[str, Any]:
    return {"requestContext": {"authorizer": {"jwt": jwt}}}


# --- problems -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("error", "status", "title"),
    [
        (InvalidInput([FieldError("/a", "missing", "is required")]), 400, "Bad Request"),
        (Forbidden("scope_required", "needs the scope club:admin"), 403, "Forbidden"),
        (NotFound("member_not_found", "there is no such member"), 404, "Not Found"),
        (Conflict("request_id_reused", "was used with another body"), 409, "Conflict"),
        (Refused("event_id_reused", "was used with other content"), 409, "Conflict"),
        (TooLarge("body_too_large", "must be at most 262144 bytes"), 413, "Content Too Large"),
        (Unavailable("temporarily_unavailable", "nothing was stored"), 503, "Service Unavailable"),
    ],
)
def test_every_error_has_its_status(error: ClubError, status: int, title: str) -> None:
    answer = problem_response(error)
    problem = json.loads(answer["body"])

    assert answer["statusCode"] == status
    assert answer["isBase64Encoded"] is False
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert answer["headers"]["cache-control"] == "no-store"
    assert problem["type"] == "about:blank"
    assert (problem["status"], problem["title"]) == (status, title)
    assert (problem["code"], problem["detail"]) == (error.code, error.detail)


def test_a_subclass_has_the_status_of_its_nearest_kin() -> None:
    class AskedTwice(Conflict):
        """A special case that some room may come to need."""

    assert problem_response(AskedTwice("asked_twice", "again"))["statusCode"] == 409


def test_an_input_problem_names_every_field() -> None:
    error = InvalidInput([FieldError("/a", "missing", "is required"), FieldError("/b/0", "out_of_range", "too much")])

    problem = json.loads(problem_response(error)["body"])

    assert problem["code"] == "missing"
    assert problem["errors"] == [
        {"pointer": "/a", "code": "missing", "detail": "is required"},
        {"pointer": "/b/0", "code": "out_of_range", "detail": "too much"},
    ]
    assert "/a" in problem["detail"]
    assert "/b/0" in problem["detail"]


def test_an_unavailable_service_asks_for_a_second_try() -> None:
    assert problem_response(Unavailable("temporarily_unavailable", "later"))["headers"]["retry-after"] == "1"


def test_an_error_without_a_status_of_its_own_keeps_its_text() -> None:
    answer = problem_response(ClubError("invalid_program", "club.json: tiers"))

    assert answer["statusCode"] == 500
    assert json.loads(answer["body"])["code"] == "internal_error"
    assert "club.json" not in answer["body"]


def test_an_answer_is_json_that_nobody_keeps() -> None:
    assert respond(202, {"accepted": ["e-1"]}, {"x-more": "1"}) == {
        "statusCode": 202,
        "headers": {"content-type": "application/json", "cache-control": "no-store", "x-more": "1"},
        "body": '{"accepted":["e-1"]}',
        "isBase64Encoded": False,
    }


def test_an_answer_may_hold_what_a_sender_made_up_but_no_nan() -> None:
    assert json.loads(respond(202, {"event_id": "\ud800"})["body"]) == {"event_id": "\ud800"}
    respond(202, {"event_id": "\ud800"})["body"].encode("ascii")
    with pytest.raises(ValueError, match="JSON compliant"):
        respond(200, {"share": float("nan")})


# --- requests -----------------------------------------------------------------------------------------------


def test_the_time_of_a_request_is_the_gateway_s() -> None:
    assert request_time(SAMPLE) == datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
    odd = {"requestContext": {"timeEpoch": 1795342500001}}
    assert request_time(odd) == datetime(2026, 11, 22, 10, 15, 0, 1000, tzinfo=UTC)


def test_a_body_is_read_plain_and_in_base64() -> None:
    body = '{"category":"Bücher"}'
    encoded = base64.b64encode(body.encode()).decode()

    assert read_object(request(body), load_json) == {"category": "Bücher"}
    assert read_object(request(encoded, isBase64Encoded=True), load_json) == {"category": "Bücher"}


@pytest.mark.parametrize(
    "body", [None, "", " ", "{", "nul", "not json", "{'a':1}", '{"a":NaN}', '{"a":1} x', '{"a":"\ud800"}']
)
def test_a_body_that_is_no_json_is_refused(body: str | None) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_object(request(body), load_json)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("body", ["!!!!", "e30", "e3\ud8000=", base64.b64encode(b"\xff\xfe").decode()])
def test_a_body_that_is_no_base64_of_text_is_refused(body: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_object(request(body, isBase64Encoded=True), load_json)
    assert caught.value.code == "invalid_json"


@pytest.mark.parametrize("body", ["[]", "null", "1", '"x"', "true"])
def test_a_body_that_is_no_object_is_refused(body: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        read_object(request(body), load_json)
    assert caught.value.errors == [FieldError("", "invalid_type", "the body must be a JSON object")]


def sized(size: int) -> str:
    """A JSON object of so many bytes, of characters of two bytes each where they fit."""
    return '{"a":"' + "é" * ((size - 8) // 2) + "x" * (size % 2) + '"}'


def test_a_body_may_be_256_kib_and_no_more() -> None:
    for encoded in (False, True):
        for size, fits in ((BODY_BYTES_MAX - 1, True), (BODY_BYTES_MAX, True), (BODY_BYTES_MAX + 1, False)):
            text = sized(size)
            assert len(text.encode()) == size
            body = base64.b64encode(text.encode()).decode() if encoded else text
            if fits:
                assert read_object(request(body, isBase64Encoded=encoded), load_json)
                continue
            with pytest.raises(TooLarge) as caught:
                read_object(request(body, isBase64Encoded=encoded), load_json)
            assert caught.value.code == "body_too_large"


def test_a_body_is_measured_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        read_object(request("[" * (BODY_BYTES_MAX + 1)), load_json)
    with pytest.raises(TooLarge):
        read_object(request("!" * (2 * BODY_BYTES_MAX), isBase64Encoded=True), load_json)


def test_unknown_fields_are_named_each() -> None:
    assert unknown_fields({"a": 1, "b": 2}, {"a", "b", "c"}) == []
    assert [error.pointer for error in unknown_fields(["b", "a", "x/y"], {"a"}, "/refund")] == [
        "/refund/b",
        "/refund/x~1y",
    ]


def test_query_parameters_are_those_that_are_known() -> None:
    assert query_parameters({}, {"limit"}) == {}
    assert query_parameters({"queryStringParameters": None}, {"limit"}) == {}
    given_two = {"queryStringParameters": {"limit": "10", "cursor": ""}}
    assert query_parameters(given_two, {"limit", "cursor", "program"}) == {"limit": "10", "cursor": ""}
    with pytest.raises(InvalidInput) as caught:
        query_parameters({"queryStringParameters": {"limt": "1", "limit": "1", "LIMIT": "1"}}, {"limit"})
    assert [(error.pointer, error.code) for error in caught.value.errors] == [
        ("/query/limt", "unknown_field"),
        ("/query/LIMIT", "unknown_field"),
    ]


def test_a_path_parameter_is_found() -> None:
    assert path_parameter({"pathParameters": {"member_id": "m-42"}}, "member_id") == "m-42"


# --- callers ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("jwt", "caller"),
    [
        ({"claims": {"sub": "m-1", "scope": "club:read club:decide"}}, ("m-1", {"club:read", "club:decide"})),
        ({"claims": {"sub": "m-1", "scp": "[club:read club:admin]"}}, ("m-1", {"club:read", "club:admin"})),
        ({"claims": {"sub": "m-1"}, "scopes": ["club:read"]}, ("m-1", {"club:read"})),
        ({"claims": {"sub": "m-1", "scope": "club:read"}, "scopes": ["club:admin"]}, ("m-1", {"club:read"})),
        ({"claims": {"sub": "m-1", "scope": ""}, "scopes": ["club:admin"]}, ("m-1", set())),
        # a blank parts scopes, and nothing else: none of these is club:admin
        (
            {"claims": {"sub": "m-1", "scope": "club:read x\u00a0club:admin"}},
            ("m-1", {"club:read", "x\u00a0club:admin"}),
        ),
        ({"claims": {"sub": "m-1", "scope": "club:read\tclub:admin\n"}}, ("m-1", {"club:read\tclub:admin\n"})),
        ({"claims": {"sub": "m-1", "scope": " club:read  club:decide "}}, ("m-1", {"club:read", "club:decide"})),
        ({"claims": {"sub": "m-1", "scope": "club:read club:admin]"}}, ("m-1", {"club:read", "club:admin]"})),
        ({"claims": {"sub": "m-1", "scope": "[club:admin club:read"}}, ("m-1", {"[club:admin", "club:read"})),
        ({"claims": {"sub": "m-1", "scope": "[[club:admin]]"}}, ("m-1", {"[club:admin]"})),
        ({"claims": {"sub": "m-1", "scope": "["}}, ("m-1", {"["})),
        ({"claims": {"sub": "m-1"}, "scopes": None}, ("m-1", set())),
        ({"claims": {"scope": "club:read"}}, ("", {"club:read"})),
        ({"claims": {"sub": 5, "scope": 5}}, ("", set())),
        ({}, ("", set())),
        (None, ("", set())),
    ],
)
def test_a_caller_is_who_the_claims_say(jwt: object, caller: tuple[str, set[str]]) -> None:
    seen = caller_of(with_jwt(jwt))

    assert (seen.sub, set(seen.scopes)) == caller


def test_without_an_authorizer_there_is_nobody() -> None:
    assert caller_of({}) == ("", frozenset())
    assert caller_of({"requestContext": {"authorizer": None}}) == ("", frozenset())


def test_a_header_makes_nobody() -> None:
    forged = request("{}", headers={"authorization": "Bearer x", "x-sub": "m-1"}, requestContext={})

    assert caller_of(forged) == ("", frozenset())


@pytest.mark.parametrize("scope", ["club:admin", "club:ingest"])
def test_one_of_the_scopes_is_enough(scope: str) -> None:
    require_scope(Caller("m-1", frozenset({scope})), "club:admin", "club:ingest")


@pytest.mark.parametrize("scope", ["", "club", "club:", "club:admi", "club:admin2", "CLUB:ADMIN", "x:club:admin"])
def test_scopes_are_compared_as_whole_words(scope: str) -> None:
    with pytest.raises(Forbidden) as caught:
        require_scope(Caller("m-1", frozenset({scope})), "club:admin", "club:ingest")
    assert caught.value.code == "scope_required"
    assert "club:admin or club:ingest" in caught.value.detail


READ, SUPPORT = frozenset({"club:read"}), frozenset({"club:support"})


@pytest.mark.parametrize(
    ("sub", "scopes", "asked", "seen"),
    [
        ("m-1", READ, "me", "m-1"),
        ("m-1", READ, "m-1", "m-1"),
        ("m-1", READ | SUPPORT, "m-2", "m-2"),
        ("agent", SUPPORT, "m-2", "m-2"),
        ("agent", SUPPORT, "me", "agent"),
        ("m-1", READ, "m-2", None),
        ("m-1", READ, "M-1", None),
        ("m-1", READ, "m-1 ", None),
        ("m-1", READ, "", None),
        ("", READ, "", None),
        ("", READ, "me", None),
        ("me", READ, "me", None),
        ("auth0|x", READ, "me", None),
        ("auth0|x", READ, "auth0|x", None),
        ("agent", SUPPORT, "m#2", None),
        ("agent", SUPPORT, "m-2\n", None),
        ("agent", SUPPORT, "m\x00", None),
        ("agent", SUPPORT, "x" * 65, None),
    ],
)
def test_who_may_see_whom(sub: str, scopes: frozenset[str], asked: str, seen: str | None) -> None:
    if seen is not None:
        assert resolve_member(Caller(sub, scopes), asked) == seen
        return
    with pytest.raises(NotFound) as caught:
        resolve_member(Caller(sub, scopes), asked)
    assert (caught.value.code, caught.value.detail) == ("member_not_found", "there is no such member")


@pytest.mark.parametrize("asked", ["me", "m-1", "m-2"])
def test_who_may_read_nothing_is_told_so(asked: str) -> None:
    with pytest.raises(Forbidden):
        resolve_member(Caller("m-1", frozenset({"club:ingest"})), asked)


@given(st.text(max_size=70) | st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,70}\n?"))
def test_ids_are_the_same_here_and_in_the_rules(text: str) -> None:
    assert bool(callers._is_id(text)) == bool(is_id(text))


# --- the frame ----------------------------------------------------------------------------------------------


class Lines:
    """A logger that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def error(self, msg: object, /) -> None:
        self.lines.append(str(msg))


def answer_of(error: BaseException, log: Lines) -> dict[str, Any]:
    @api(logger=log)
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        raise error

    return handler({"body": "secret-body"}, None)


def test_an_answer_goes_through() -> None:
    @api
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        """Do nothing."""
        return respond(200, {"got": event["n"], "with": context})

    assert json.loads(handler({"n": 1}, "c")["body"]) == {"got": 1, "with": "c"}
    assert handler.__name__ == "handler"
    assert handler.__doc__ == "Do nothing."


def test_an_error_of_the_club_becomes_its_problem() -> None:
    log = Lines()
    answer = answer_of(NotFound("member_not_found", "there is no such member"), log)

    assert answer["statusCode"] == 404
    assert json.loads(answer["body"])["code"] == "member_not_found"
    assert log.lines == []


def test_a_defect_tells_the_caller_nothing_and_the_log_no_more_than_where() -> None:
    log = Lines()
    answer = answer_of(ValueError("secret-birthday 1984-02-29"), log)

    assert answer["statusCode"] == 500
    assert answer["headers"]["content-type"] == "application/problem+json"
    assert set(json.loads(answer["body"])) == {"type", "title", "status", "detail", "code"}
    assert json.loads(answer["body"])["code"] == "internal_error"
    (line,) = log.lines
    assert "ValueError" in line
    assert "test_http.py" in line
    for secret in ("secret", "1984"):
        assert secret not in line
        assert secret not in answer["body"]


def test_the_log_shows_the_code_of_an_aws_error() -> None:
    log = Lines()
    answer_of(ClientError({"Error": {"Code": "AccessDenied", "Message": "secret-arn"}}, "SendMessage"), log)

    assert "ClientError (AccessDenied) at " in log.lines[0]
    assert "secret" not in log.lines[0]


def test_without_a_logger_the_standard_library_s_is_used(caplog: pytest.LogCaptureFixture) -> None:
    @api
    def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
        raise RuntimeError("secret")

    with caplog.at_level(logging.ERROR, logger="club_http"):
        assert handler({}, None)["statusCode"] == 500
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.messages[0]


def test_a_stop_is_not_taken_for_a_defect() -> None:
    with pytest.raises(KeyboardInterrupt):
        answer_of(KeyboardInterrupt(), Lines())


# --- who acts on a member -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "found"), [("m-42", "m-42"), ("me", "op-1"), ("op-1", "op-1")])
def test_an_operator_names_anybody(given: str, found: str) -> None:
    assert path_member(Caller("op-1", frozenset()), given) == found


@pytest.mark.parametrize(
    ("sub", "given"), [("op-1", "a b"), ("op-1", ""), ("", "me"), ("me", "me"), ("ops@example", "me")]
)
def test_what_is_no_id_is_no_member(sub: str, given: str) -> None:
    with pytest.raises(NotFound, match="member_not_found"):
        path_member(Caller(sub, frozenset()), given)


@pytest.mark.parametrize("sub", ["", " ", "\u00a0"])
def test_who_has_no_name_may_not_act(sub: str) -> None:
    with pytest.raises(Forbidden, match="subject_required"):
        acting_caller(Caller(sub, frozenset({"club:admin"})))
    assert acting_caller(Caller("ops@example", frozenset())).sub == "ops@example"


def test_no_content_is_nothing_at_all() -> None:
    answer = no_content()
    assert (answer["statusCode"], answer["body"]) == (204, "")
    assert answer["headers"] == {"cache-control": "no-store"}
