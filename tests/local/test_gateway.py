"""The HTTP API: routes, real signed tokens, scopes as whole words, and the event and answer of payload 2.0."""

import base64
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from local import tokens
from local.gateway import ANSWER_BYTES_MAX
from local.queues import epoch_ms
from local.stack import Stack
from tests.local.conftest import NOW, Tiny

HOUR = 3600


def now_s() -> int:
    return int(datetime.now(UTC).timestamp())


def forged(**changes: Any) -> str:
    """Make a token that is right in everything but its key."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    claims = {"iss": "https://issuer.example/", "aud": "things", "sub": "anna", "exp": now_s() + HOUR, **changes}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": "local"})


def closed(tiny: Tiny, headers: dict[str, str]) -> int:
    return tiny.stack.request("GET", "/closed", headers=headers).status


def test_an_open_route_asks_for_no_token(tiny: Tiny) -> None:
    assert tiny.stack.request("GET", "/open").status == 200
    (event,) = tiny.calls("web")
    assert "authorizer" not in event["requestContext"]


def test_a_token_of_the_stack_is_accepted_at_every_simulated_time(tiny: Tiny) -> None:
    headers = tiny.bearer()
    for year in (1997, 2026, 2200):
        tiny.stack.set_clock(datetime(year, 1, 1, tzinfo=UTC))
        assert closed(tiny, headers) == 200


@pytest.mark.parametrize(
    "claims",
    [
        {"exp": 0},
        {"exp": None},
        {"nbf": 4_000_000_000},
        {"iat": 4_000_000_000},
        {"iss": "https://issuer.example"},
        {"iss": "https://other.example/"},
        {"aud": "thing"},
        {"aud": []},
        {"aud": None, "client_id": None},
        {"aud": "elsewhere", "client_id": "things"},
    ],
)
def test_claims_that_the_authorizer_does_not_accept(tiny: Tiny, claims: dict[str, Any]) -> None:
    response = tiny.stack.request("GET", "/closed", headers=tiny.bearer(**claims))
    assert (response.status, response.json()) == (401, {"message": "Unauthorized"})
    assert response.headers["content-type"] == "application/json"
    assert tiny.calls("web") == []


@pytest.mark.parametrize(
    "claims",
    [{}, {"aud": ["x", "other"]}, {"nbf": 1}, {"exp": 4_000_000_000}],
)
def test_claims_that_the_authorizer_accepts(tiny: Tiny, claims: dict[str, Any]) -> None:
    assert closed(tiny, tiny.bearer(**claims)) == 200


def test_client_id_counts_where_there_is_no_audience(tiny: Tiny) -> None:
    key = tokens.signing_key(tokens.key_path(tiny.stack.template.root))
    claims = {"iss": "https://issuer.example/", "client_id": "things", "exp": now_s() + HOUR}
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "local"})
    assert closed(tiny, {"authorization": f"Bearer {token}"}) == 200


def test_a_token_must_be_signed_with_the_key_and_the_algorithm(tiny: Tiny) -> None:
    good = tiny.bearer()["Authorization"].removeprefix("Bearer ")
    head, payload, signature = good.split(".")
    unsigned = base64.urlsafe_b64encode(b'{"alg":"none","typ":"JWT","kid":"local"}').rstrip(b"=").decode()
    other = base64.urlsafe_b64encode(b'{"sub":"eve"}').rstrip(b"=").decode()
    claims = {"iss": "https://issuer.example/", "aud": "things", "exp": now_s() + HOUR}
    symmetric = jwt.encode(claims, "x" * 32, algorithm="HS256", headers={"kid": "local"})
    key = tokens.signing_key(tokens.key_path(tiny.stack.template.root))
    nameless = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "another"})
    for token in (
        forged(),
        f"{unsigned}.{payload}.",
        f"{head}.{other}.{signature}",
        symmetric,
        nameless,
        good[:-5],
        "x",
    ):
        assert closed(tiny, {"authorization": f"Bearer {token}"}) == 401, token
    assert closed(tiny, {"authorization": f"Bearer {good}"}) == 200


def test_where_the_token_stands(tiny: Tiny) -> None:
    header = tiny.bearer()["Authorization"]
    token = header.removeprefix("Bearer ")
    assert closed(tiny, {}) == 401
    assert closed(tiny, {"authorization": ""}) == 401
    assert closed(tiny, {"authorization": "Bearer "}) == 401
    assert closed(tiny, {"authorization": f"Basic {token}"}) == 401
    assert closed(tiny, {"AUTHORIZATION": f"bearer {token}"}) == 200
    assert closed(tiny, {"authorization": token}) == 200


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"scope": "a:read"}, 200),
        ({"scope": "x a:admin y"}, 200),
        ({"scope": ""}, 403),
        ({"scope": "a:reader"}, 403),
        ({"scope": "aa:read"}, 403),
        ({"scope": "a:read,a:admin"}, 403),
        ({"scope": "a:write"}, 403),
        ({"scope": "A:READ"}, 403),
        ({"scope": None}, 403),
    ],
)
def test_one_of_a_routes_scopes_is_needed_as_a_whole_word(tiny: Tiny, claims: dict[str, Any], status: int) -> None:
    response = tiny.stack.request("GET", "/things/1", headers=tiny.bearer(**claims))
    assert response.status == status
    if status == 403:
        assert response.json() == {"message": "Forbidden"}
        assert tiny.calls("web") == []


@pytest.mark.parametrize("scp", [["x", "a:read"], "x a:read"])
def test_scp_counts_where_there_is_no_scope(tiny: Tiny, scp: Any) -> None:
    key = tokens.signing_key(tokens.key_path(tiny.stack.template.root))
    claims = {"iss": "https://issuer.example/", "aud": "things", "scp": scp, "exp": now_s() + HOUR}
    token = jwt.encode(claims, key, algorithm="RS256", headers={"kid": "local"})
    assert tiny.stack.request("GET", "/things/1", headers={"authorization": token}).status == 200


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/"),
        ("GET", "/nowhere"),
        ("POST", "/things/1"),
        ("GET", "/things/"),
        ("GET", "/things/1/2"),
        ("GET", "/rest/"),
    ],
)
def test_a_route_that_is_not_there(tiny: Tiny, method: str, path: str) -> None:
    response = tiny.stack.request(method, path)
    assert (response.status, response.json()) == (404, {"message": "Not Found"})


def test_the_most_specific_route_wins_and_parameters_are_decoded(tiny: Tiny) -> None:
    headers = tiny.bearer("a:read")
    for path in ("/things/special", "/things/a%2Fb%20%C3%A9"):
        assert tiny.stack.request("GET", path, headers=headers).status == 200
    assert tiny.stack.request("DELETE", "/rest/of/it").status == 200
    special, parameter, rest = tiny.calls("web")
    assert (special["routeKey"], "pathParameters" in special) == ("GET /things/special", False)
    assert (parameter["routeKey"], parameter["pathParameters"]) == ("GET /things/{id}", {"id": "a/b é"})
    assert (rest["routeKey"], rest["pathParameters"]) == ("ANY /rest/{proxy+}", {"proxy": "of/it"})


def test_the_event_is_that_of_payload_2(tiny: Tiny) -> None:
    tiny.stack.request(
        "POST",
        "/things",
        "a=1&a=2&b=&c=%2B+x",
        {
            "X-One": "1",
            "Cookie": "a=1; b=2",
            "User-Agent": "t",
            **tiny.bearer("a:write", "more", groups=["x", "y"], admin=True),
        },
        '{"é": 1}',
    )
    (event,) = tiny.calls("web")
    context = event["requestContext"]
    assert event["version"] == "2.0"
    assert event["rawPath"] == "/things"
    assert event["rawQueryString"] == "a=1&a=2&b=&c=%2B+x"
    assert event["queryStringParameters"] == {"a": "1,2", "b": "", "c": "+ x"}
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["headers"]["x-one"] == "1"
    assert (event["body"], event["isBase64Encoded"]) == ('{"é": 1}', False)
    assert event["routeKey"] == context["routeKey"] == "POST /things"
    assert (context["timeEpoch"], context["time"]) == (epoch_ms(NOW), "22/Nov/2026:10:15:00 +0000")
    assert context["http"] == {
        "method": "POST",
        "path": "/things",
        "protocol": "HTTP/1.1",
        "sourceIp": "127.0.0.1",
        "userAgent": "t",
    }
    assert (context["stage"], context["accountId"]) == ("$default", "123456789012")
    authorizer = context["authorizer"]["jwt"]
    # Claims are text, whatever they were, and of the scopes only those that the route asks for are named.
    assert authorizer["scopes"] == ["a:write"]
    assert authorizer["claims"]["scope"] == "a:write more"
    assert (authorizer["claims"]["groups"], authorizer["claims"]["admin"]) == ("[x y]", "true")
    assert authorizer["claims"]["exp"].isdigit()


def test_a_body_that_is_no_text_comes_as_base64_and_no_body_is_left_out(tiny: Tiny) -> None:
    tiny.stack.request("POST", "/rest/x", body=b"\xff\x00")
    tiny.stack.request("POST", "/rest/x")
    binary, empty = tiny.calls("web")
    assert (base64.b64decode(binary["body"]), binary["isBase64Encoded"]) == (b"\xff\x00", True)
    assert "body" not in empty


@pytest.mark.parametrize(
    ("answer", "status", "kind", "body"),
    [
        ({"statusCode": 202, "headers": {"Content-Type": "a/b"}, "body": "é"}, 202, "a/b", "é".encode()),
        ({"statusCode": "204"}, 204, "text/plain; charset=utf-8", b""),
        ({"statusCode": 200, "body": "/wA=", "isBase64Encoded": True}, 200, "text/plain; charset=utf-8", b"\xff\x00"),
        ({"a": 1}, 200, "application/json", b'{"a": 1}'),
        ("text", 200, "application/json", b"text"),
        (None, 200, "application/json", b"null"),
    ],
)
def test_answers(tiny: Tiny, answer: Any, status: int, kind: str, body: bytes) -> None:
    tiny.tell("web", lambda event: answer)
    response = tiny.stack.request("GET", "/open")
    assert (response.status, response.headers["content-type"], response.body) == (status, kind, body)


@pytest.mark.parametrize(
    "answer",
    [
        {"statusCode": "soon"},
        {"statusCode": 200, "body": {"a": 1}},
        {"statusCode": 200, "body": "é", "isBase64Encoded": True},
        {"statusCode": 200, "headers": {"a": "b\r\nc: d"}},
        {"statusCode": 200, "body": b"bytes"},
        RuntimeError("a secret"),
    ],
)
def test_a_function_that_fails_or_answers_nonsense_is_an_internal_error(tiny: Tiny, answer: Any) -> None:
    def behave(event: Any) -> Any:
        if isinstance(answer, Exception):
            raise answer
        return answer

    tiny.tell("web", behave)
    response = tiny.stack.request("GET", "/open")
    assert (response.status, response.json()) == (500, {"message": "Internal Server Error"})


def test_the_key_is_kept_and_nobody_else_may_read_it(tmp_path: Path) -> None:
    path = tokens.key_path(tmp_path)
    first = tokens.signing_key(path).private_numbers()
    tokens.signing_key.cache_clear()
    assert tokens.signing_key(path).private_numbers() == first
    assert path.stat().st_mode & 0o777 == 0o600
    assert [file.name for file in path.parent.iterdir()] == [path.name]


def test_a_body_given_as_a_mapping_is_sent_as_json(tiny: Tiny) -> None:
    tiny.stack.request("POST", "/rest/x", body={"a": [1]})
    (event,) = tiny.calls("web")
    assert json.loads(event["body"]) == {"a": [1]}


def _given(answer: Any, event: Any) -> Any:
    return answer


@pytest.mark.parametrize("character", ["x", '"', "\x00"])
def test_an_answer_that_lambda_would_not_hand_on_is_a_fault(tiny: Tiny, character: str) -> None:
    around = len(json.dumps({"statusCode": 200, "body": ""}))
    fits = (ANSWER_BYTES_MAX - around) // len(json.dumps(character)[1:-1])
    for size, status in ((fits, 200), (fits + 1, 500)):
        answer = {"statusCode": 200, "body": character * size}
        tiny.tell("web", partial(_given, answer))
        assert tiny.stack.request("GET", "/open").status == status


# ---------------------------------------------------------------- pages of other origins

HOST = "https://shop.example"
ASKING = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}


@pytest.fixture
def shared() -> Iterator[Stack]:
    """The club, with a host whose pages may read it."""
    with Stack(NOW, parameters={"ClubPageHosts": f"https://desk.example,{HOST}"}) as stack:
        yield stack


def cors_of(response: Any) -> dict[str, str]:
    return {name: value for name, value in response.headers.items() if name.startswith("access-control-")}


def test_a_browser_is_told_that_pages_of_a_host_may_read(shared: Stack) -> None:
    """Without a token: a browser sends none with this question."""
    response = shared.request("OPTIONS", "/members/me", headers={"Origin": HOST, **ASKING})
    assert (response.status, response.body) == (204, b"")
    assert cors_of(response) == {
        "access-control-allow-origin": HOST,
        "access-control-allow-methods": "GET",
        "access-control-allow-headers": "accept-language,authorization",
        "access-control-max-age": "600",
    }


def test_what_a_page_of_a_host_reads_is_marked_for_it_also_where_it_is_refused(shared: Stack) -> None:
    headers = {"origin": HOST, "authorization": f"Bearer {shared.token('anna', ['club:read'])}"}
    for path, given, status in (("/members/me", headers, 404), ("/members/me", {"origin": HOST}, 401)):
        response = shared.request("GET", path, headers=given)
        assert response.status == status
        assert cors_of(response) == {"access-control-allow-origin": HOST}


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "https://shop.example.evil.example", "http://shop.example", "null"]
)
def test_pages_of_other_origins_are_told_nothing(shared: Stack, origin: str) -> None:
    assert cors_of(shared.request("OPTIONS", "/members/me", headers={"origin": origin, **ASKING})) == {}
    assert cors_of(shared.request("GET", "/club", headers={"origin": origin})) == {}


def test_without_hosts_no_origin_is_told_anything() -> None:
    with Stack(NOW) as stack:
        response = stack.request("OPTIONS", "/members/me", headers={"origin": HOST, **ASKING})
        assert (response.status, cors_of(response)) == (404, {})
