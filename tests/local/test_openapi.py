"""openapi.json says what the template, the handlers and the rules say; its examples are true: the stack answers so."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.specs.openapi.definitions import OPENAPI_31_VALIDATOR

from club_http import languages, requests
from club_ledger import queries, reading
from club_rules import adjustments, decisions, events, explaining, outlook
from club_rules.account import CAUSES
from club_rules.errors import ClubError
from club_rules.messages_en import WORDING
from club_rules.programs import load_programs
from local.gateway import Response
from local.stack import Stack
from local.template import ROOT, Template
from tests.local import api_examples
from tests.local.api_examples import DECISIONS, JSON, PROBLEM, Ask, at, validator

DOCUMENT = api_examples.read()
SCHEMAS = DOCUMENT["components"]["schemas"]
PROGRAMS = load_programs()
METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}
OPERATIONS = {
    (method.upper(), path): operation
    for path, item in DOCUMENT["paths"].items()
    for method, operation in item.items()
    if method in METHODS
}


def resolved(value: Any) -> Any:
    """What a reference names, however many steps away; anything else as it is."""
    while isinstance(value, dict) and "$ref" in value:
        value = at(DOCUMENT, value["$ref"].removeprefix("#"))
    return value


def nodes(value: Any, pointer: str = "") -> Iterator[tuple[str, Any]]:
    """Every value in the document, with its pointer."""
    yield pointer, value
    if isinstance(value, dict):
        for name, each in value.items():
            yield from nodes(each, f"{pointer}/{name.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for index, each in enumerate(value):
            yield from nodes(each, f"{pointer}/{index}")


# --- the document itself


def test_it_is_openapi_3_1_and_every_schema_is_one() -> None:
    OPENAPI_31_VALIDATOR.validate(DOCUMENT)
    for schema in SCHEMAS.values():
        jsonschema_rs.meta.validate({"$schema": "https://json-schema.org/draft/2020-12/schema", **schema})


def test_it_is_written_as_its_program_writes_it() -> None:
    assert api_examples.FILE.read_text("utf-8") == api_examples.written(DOCUMENT) + "\n"


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = {node["$ref"].removeprefix("#") for _, node in nodes(DOCUMENT) if isinstance(node, dict) and "$ref" in node}
    for pointer in used:
        at(DOCUMENT, pointer)
    made = {f"/components/{kind}/{name}" for kind, all_of in DOCUMENT["components"].items() for name in all_of}
    assert made - used == {"/components/securitySchemes/token"}


def test_everything_is_described() -> None:
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)
    for operation in OPERATIONS.values():
        assert operation["summary"]
        assert operation["description"]
        assert {tag["name"] for tag in DOCUMENT["tags"]} >= set(operation["tags"])
        for described in [*operation.get("parameters", []), *operation["responses"].values()]:
            assert resolved(described)["description"]


def test_an_answer_may_grow_but_a_request_may_not() -> None:
    """Fields may be added to answers (contract 2.1), so their schemas stay open; those of requests are closed."""

    def objects(schema: Any, seen: set[str]) -> Iterator[dict[str, Any]]:
        for _, node in nodes(schema):
            if isinstance(node, dict) and node.get("type") == "object":
                yield node
            if isinstance(node, dict) and "$ref" in node and node["$ref"] not in seen:
                seen.add(node["$ref"])
                yield from objects(resolved(node), seen)

    for operation in OPERATIONS.values():
        if "requestBody" in operation:
            sent = list(objects(operation["requestBody"]["content"][JSON]["schema"], set()))
            assert sent
            assert all(each["additionalProperties"] is False for each in sent)
        for response in operation["responses"].values():
            for content in resolved(response).get("content", {}).values():
                assert all(each.get("additionalProperties") is not False for each in objects(content["schema"], set()))


# --- against the template and the code


def test_routes_and_scopes_are_those_of_the_template() -> None:
    """A route's scopes are alternatives, of which a token needs one: so many entries `security` has."""
    template = Template(ROOT / "template.yaml")
    stated = {
        (route.method, route.path): sorted([{"token": [scope]} for scope in route.scopes], key=str)
        for route in template.routes
    }
    assert all(route.authorizer is None for route in template.routes if not route.scopes)
    assert {key: sorted(operation["security"], key=str) for key, operation in OPERATIONS.items()} == stated
    assert DOCUMENT["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_every_scope_is_explained() -> None:
    template = Template(ROOT / "template.yaml")
    explained = set(re.findall(r"club:\w+", DOCUMENT["components"]["securitySchemes"]["token"]["description"]))
    assert explained == {scope for route in template.routes for scope in route.scopes} | {"club:admin"}


def parameters(operation: dict[str, Any], place: str) -> dict[str, dict[str, Any]]:
    found = [resolved(each) for each in operation.get("parameters", [])]
    return {each["name"]: each for each in found if each["in"] == place}


def test_parameters_are_those_that_the_handlers_know() -> None:
    for (_, path), operation in OPERATIONS.items():
        in_path = parameters(operation, "path")
        assert set(in_path) == set(re.findall(r"{(\w+)}", path))
        assert all(each["required"] for each in in_path.values())
        known = queries.PARAMETERS.get(path.rpartition("/")[2], ())
        assert tuple(parameters(operation, "query")) == known
        required = {name for name, each in parameters(operation, "query").items() if each["required"]}
        assert required == {"program"} & set(known)
    assert {path.rpartition("/")[2] for _, path in OPERATIONS} >= set(queries.PARAMETERS)


LIMITS = {
    "/components/schemas/Activities/properties/events/maxItems": 100,
    "/components/schemas/OrderLine/properties/category/maxLength": events.CATEGORY_CHARS_MAX,
    "/components/schemas/Quantity/maximum": events.QUANTITY_MAX,
    "/components/schemas/OrderCompleted/properties/data/properties/lines/maxItems": events.LINES_MAX,
    "/components/schemas/OrderRefunded/properties/data/oneOf/1/properties/lines/maxItems": events.LINES_MAX,
    "/components/schemas/PromotionAwarded/properties/data/properties/points/maximum": events.PROMOTION_POINTS_MAX,
    "/components/schemas/ReturnShipment/properties/carrier/maxLength": decisions.TEXT_CHARS_MAX,
    "/components/schemas/ReturnShipment/properties/tracking_number/maxLength": decisions.TEXT_CHARS_MAX,
    "/components/schemas/Cursor/maxLength": queries.CURSOR_CHARS_AT_MOST,
    "/components/schemas/Statement/properties/entries/maxItems": queries.LIMIT_AT_MOST,
    "/components/schemas/Decisions/properties/decisions/maxItems": queries.LIMIT_AT_MOST,
    "/components/schemas/Outlook/properties/days/maxItems": outlook.DAYS_AT_MOST,
    "/components/schemas/AdjustmentRequest/properties/points/maximum": adjustments.POINTS_MAX,
    "/components/schemas/AdjustmentRequest/properties/points/minimum": -adjustments.POINTS_MAX,
    "/components/schemas/AdjustmentRequest/properties/reason/maxLength": adjustments.REASON_CHARS_MAX,
    "/components/schemas/Export/properties/watched/maxItems": queries.LIMIT_AT_MOST,
    "/components/schemas/Export/properties/decisions/maxItems": queries.LIMIT_AT_MOST,
    "/components/schemas/Export/properties/entries/maxItems": queries.LIMIT_AT_MOST,
    "/components/schemas/Cause/properties/entries/maxItems": explaining.ENTRIES_SHOWN,
    "/components/parameters/accept_language/schema/maxLength": languages.HEADER_CHARS_MAX,
    # By the place of the parameter: program, from, to, limit; program, days; limit.
    "/paths/~1members~1{member_id}~1statement/get/parameters/4/schema/maximum": queries.LIMIT_AT_MOST,
    "/paths/~1members~1{member_id}~1statement/get/parameters/4/schema/default": queries.STATEMENT_LIMIT,
    "/paths/~1members~1{member_id}~1outlook/get/parameters/2/schema/maximum": outlook.DAYS_AT_MOST,
    "/paths/~1members~1{member_id}~1outlook/get/parameters/2/schema/default": queries.OUTLOOK_DAYS,
    "/paths/~1members~1{member_id}~1decisions/get/parameters/1/schema/maximum": queries.LIMIT_AT_MOST,
    "/paths/~1members~1{member_id}~1decisions/get/parameters/1/schema/default": queries.DECISIONS_LIMIT,
    "/paths/~1members~1{member_id}~1export/get/parameters/1/schema/maximum": queries.LIMIT_AT_MOST,
    "/paths/~1members~1{member_id}~1export/get/parameters/1/schema/default": queries.EXPORT_LIMIT,
}


@pytest.mark.parametrize("pointer", LIMITS)
def test_limits_are_those_of_the_code(pointer: str) -> None:
    assert at(DOCUMENT, pointer) == LIMITS[pointer]


def test_limits_in_the_texts_are_those_of_the_code() -> None:
    assert requests.BODY_BYTES_MAX == 256 * 1024
    for operation in OPERATIONS.values():
        if "requestBody" in operation:
            assert operation["requestBody"]["description"] == "At most 256 KiB."
    explained = str(OPERATIONS["GET", "/members/{member_id}/explanation"]["parameters"])
    assert f"{queries.EXPLAINED_DAYS} days before" in explained
    assert f"More than {reading.EXPLAINED_AT_ONCE:,} entries" in explained


def words(schema: dict[str, Any]) -> set[str]:
    return set(schema["enum"]) if "enum" in schema else {schema["const"]}


def test_events_are_those_of_the_rules() -> None:
    mapping = SCHEMAS["Event"]["discriminator"]["mapping"]
    assert set(mapping) == events.EVENT_TYPES
    by_schema = {each["$ref"]: words(resolved(each)["properties"]["type"]) for each in SCHEMAS["Event"]["oneOf"]}
    assert {name: ref for ref, names in by_schema.items() for name in names} == mapping
    assert words(SCHEMAS["Violation"]["properties"]["type"]) == events.ADMIN_TYPES


def test_words_are_those_of_the_rules() -> None:
    order, member = SCHEMAS["OrderCompleted"]["properties"]["data"], SCHEMAS["MemberEvent"]["properties"]["data"]
    assert words(order["properties"]["flags"]["items"]) == events._FLAGS
    assert words(member["anyOf"][0]["properties"]["country"]) == events._COUNTRIES
    assert words(SCHEMAS["Violation"]["properties"]["data"]["properties"]["kind"]) == events._VIOLATION_KINDS
    assert words(SCHEMAS["RefundRequest"]["properties"]["refund"]["properties"]["kind"]) == decisions._REFUND_KINDS
    # A penalty's reason has the kind of the violation for its code, or, for the member, "penalty".
    texts = {key.partition("/")[0] for key in WORDING.reasons}
    assert words(SCHEMAS["ReasonCode"]) == {"earned", *texts, *events._VIOLATION_KINDS}
    assert words(SCHEMAS["CauseKind"]) == set(CAUSES.values())
    assert SCHEMAS["Explanation"]["properties"]["causes"]["maxItems"] == len(set(CAUSES.values()))
    # Those that change a measure, and the two that change none.
    for name in ("Entry", "ExplainedEntry"):
        assert words(SCHEMAS[name]["properties"]["kind"]) == {*CAUSES, "parked", "tier_review"}
    for name, kind in (("RefundDecision", decisions.REFUND), ("DisputeDecision", decisions.ACCELERATION)):
        properties = SCHEMAS[name]["properties"]
        assert properties["kind"]["const"] == kind
        assert words(properties["decision"]) == {decisions.APPROVED, decisions.PENDING, decisions.DECLINED}
        outcomes = {decisions.PASS, decisions.FAIL, decisions.MISSING, decisions.NOT_APPLICABLE}
        assert words(properties["checks"]["items"]["properties"]["outcome"]) == outcomes
    assert words(SCHEMAS["DisputeDecision"]["properties"]["queue"]) == {decisions.DEDICATED, decisions.STANDARD}


def test_programs_and_privileges_are_those_of_the_program_files() -> None:
    assert (
        words(SCHEMAS["Program"]) == set(PROGRAMS.ids) == set(SCHEMAS["Summary"]["properties"]["programs"]["required"])
    )
    versions = [version for program in PROGRAMS.ids for version in PROGRAMS.versions(program)]
    assert words(SCHEMAS["PrivilegeCode"]) == {each["code"] for version in versions for each in version.privileges}
    assert SCHEMAS["Currency"]["const"] == PROGRAMS.currency
    measured = {True: set(), False: set()}  # type: dict[bool, set[str]]
    for version in versions:
        measured[version.measures_spend].add(version.id)
    assert words(SCHEMAS["PromotionAwarded"]["properties"]["data"]["properties"]["program"]) == measured[False]
    for schema in SCHEMAS.values():
        for branch in schema.get("oneOf", []):
            if "program" in branch.get("properties", {}):
                assert words(branch["properties"]["program"]) == measured[branch["title"] == "Spend"]


def python_files() -> list[Path]:
    return sorted((ROOT / "layers").rglob("*.py")) + sorted((ROOT / "functions").rglob("*.py"))


def codes_of(calls: dict[str, int], files: list[Path]) -> set[str]:
    """The codes that stand in the code: of the functions named, the argument at that place, wherever it is a text."""
    found: set[str] = set()

    def texts(value: ast.expr | None) -> None:
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            found.add(value.value)
        elif isinstance(value, ast.IfExp):
            texts(value.body)
            texts(value.orelse)

    for file in files:
        tree = ast.parse(file.read_text("utf-8"))
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in calls:
                place = calls[node.func.id]
                texts(node.args[place] if len(node.args) > place else None)
                texts(next((keyword.value for keyword in node.keywords if keyword.arg == "code"), None))
            # A code that is found out first and handed on then: `code = "a" if ... else "b"`.
            elif (
                "FieldError" in calls
                and isinstance(node, ast.Assign)
                and [ast.unparse(each) for each in node.targets] == ["code"]
            ):
                texts(node.value)
            elif isinstance(node, ast.FunctionDef) and node.name in calls:
                for argument, default in zip(node.args.args[::-1], node.args.defaults[::-1], strict=False):
                    texts(default if argument.arg == "code" else None)
    return found


def file_of(*names: str) -> list[Path]:
    return [file for file in python_files() if f"{file.parent.name}/{file.name}" in names]


FIELD_CODES = {"FieldError": 1, "read_choice": 4, "absent_or_wrong": 4}


def test_codes_of_fields_are_those_in_the_code() -> None:
    readers = ("club_rules/events.py", "club_rules/fields.py", "club_rules/json_text.py")
    of_events = codes_of(FIELD_CODES, file_of(*readers))
    of_queries = codes_of(
        FIELD_CODES, file_of("club_ledger/queries.py", "club_ledger/reading.py", "club_http/languages.py")
    )
    of_bodies = codes_of(
        FIELD_CODES,
        file_of(
            "club_rules/adjustments.py",
            "club_rules/decisions.py",
            "club_http/requests.py",
            "ingest_activity/ingest_batch.py",
        ),
    )
    assert len(of_events) > 10
    assert words(SCHEMAS["FieldCode"]) == of_events | of_queries | of_bodies
    beside = {"scope_required", "event_id_reused", "temporarily_unavailable", "internal_error"}
    refused = SCHEMAS["ActivitiesAnswer"]["properties"]["refused"]["items"]["properties"]["code"]
    assert words(refused) == of_events | beside
    in_answers = set()
    for _, answer in problems(400):
        in_answers |= words(answer["properties"]["code"])
    # The envelope of an event is judged in an answer 202.
    assert in_answers == words(SCHEMAS["FieldCode"]) - {"unknown_type", "occurred_in_future"}


def problems(status: int) -> Iterator[tuple[str, dict[str, Any]]]:
    """The schemas of the problems that answer with a status, by the operation's id."""
    for operation in OPERATIONS.values():
        if str(status) in operation["responses"]:
            content = resolved(operation["responses"][str(status)])["content"]
            if PROBLEM in content:
                yield operation["operationId"], content[PROBLEM]["schema"]


def test_codes_of_problems_are_those_in_the_code() -> None:
    def raised(kind: str) -> set[str]:
        return codes_of({kind: 0}, python_files())

    # Runs of sweeps are asked for by a command, and not by HTTP.
    of_runs = {"sweep_not_found"}
    in_answers = {code for _, each in problems(404) for code in words(each["properties"]["code"])}
    assert in_answers == raised("NotFound") - of_runs
    for status, kind in ((413, "TooLarge"), (503, "Unavailable")):
        for _, each in problems(status):
            assert words(each["properties"]["code"]) == raised(kind)
    # Of what is refused when it is posted, a decision meets the bound of a member's record alone.
    assert {"event_id_reused", "record_too_large"} <= raised("Refused")
    assert raised("Conflict") == {"request_id_reused", "adjustment_id_reused"}
    for name, each in problems(409):
        reused = "adjustment_id_reused" if name == "adjustMember" else "request_id_reused"
        assert words(each["properties"]["code"]) == {reused, "record_too_large"}
    # That a scope is missing, the gateway says.
    for _, each in problems(403):
        assert words(each["properties"]["code"]) == raised("Forbidden") - {"scope_required"}


def test_problems_have_the_shape_that_the_door_gives_them() -> None:
    from club_http.problems import _TITLES, internal_problem, problem_response
    from club_rules.errors import FieldError, InvalidInput

    def shape(response: dict[str, Any]) -> set[str]:
        assert response["headers"]["content-type"] == PROBLEM
        return set(json.loads(response["body"]))

    for status, title in _TITLES.items():
        for _, schema in problems(status):
            error = InvalidInput([FieldError("", "missing", "")]) if status == 400 else ClubError("code", "detail")
            assert set(schema["required"]) == set(schema["properties"]) == shape(problem_response(error))
            assert (schema["properties"]["title"]["const"], schema["properties"]["status"]["const"]) == (title, status)
    broken = DOCUMENT["components"]["responses"]["Broken"]["content"][PROBLEM]["example"]
    assert broken == json.loads(internal_problem()["body"])


# --- the examples


@pytest.fixture(scope="module")
def answered() -> dict[str, tuple[Ask, Response]]:
    """What the stack answers to all that is asked, by the pointers of the examples."""
    with Stack(api_examples.NOW) as stack:
        api_examples.live_through(stack)
        return {ask.pointer: (ask, answer) for ask, answer in api_examples.answers(stack, DOCUMENT)}


@pytest.mark.parametrize("ask", api_examples.ASKED, ids=lambda ask: ask.pointer)
def test_an_example_is_what_the_stack_answers(ask: Ask, answered: dict[str, tuple[Ask, Response]]) -> None:
    """`make examples` writes them anew."""
    _, answer = answered[ask.pointer]
    media = ask.pointer.partition("/content/")[2].partition("/")[0].replace("~1", "/")
    assert answer.headers["content-type"] == media
    assert answer.json() == at(DOCUMENT, ask.pointer)
    response = at(DOCUMENT, ask.pointer.partition("/content/")[0])
    for name in answer.headers:
        assert name in {"content-type", "cache-control", *response.get("headers", {})}
    if "/paths/" in ask.pointer:
        assert f"/responses/{answer.status}/" in ask.pointer
    else:
        name = ask.pointer.split("/")[3]
        statuses = {
            status
            for operation in OPERATIONS.values()
            for status, each in operation["responses"].items()
            if each.get("$ref") == f"#/components/responses/{name}"
        }
        assert statuses == {str(answer.status)}


def media_types() -> Iterator[tuple[str, dict[str, Any]]]:
    for pointer, node in nodes(DOCUMENT):
        if re.search(r"/content/[^/]+$", pointer):
            yield pointer, node


def examples_of(content: dict[str, Any]) -> list[Any]:
    named = [each["value"] for each in content.get("examples", {}).values()]
    return named + ([content["example"]] if "example" in content else [])


@pytest.mark.parametrize("pointer", [pointer for pointer, _ in media_types()])
def test_every_request_and_answer_has_an_example_that_fits_its_schema(pointer: str) -> None:
    content = at(DOCUMENT, pointer)
    if "/~1club/" in pointer or "/~1openapi.json/" in pointer:
        return  # a page, and this document itself: served and compared below
    assert examples_of(content)
    for example in examples_of(content):
        validator(DOCUMENT, content["schema"]).validate(example)


def test_an_answer_with_a_field_that_is_not_described_fits_no_schema() -> None:
    """So the sealed schemas, by which the examples are held, do notice."""
    content = OPERATIONS["GET", "/members/{member_id}"]["responses"]["200"]["content"][JSON]
    check = validator(DOCUMENT, content["schema"])
    for pointer in (
        "",
        "/programs/club",
        "/programs/vip/next_tier",
        "/programs/club/standing",
        "/programs/club/expiring/0",
    ):
        changed = json.loads(json.dumps(content["example"]))
        (at(changed, pointer) if pointer else changed)["surprise"] = 1
        assert not check.is_valid(changed), pointer
    changed = json.loads(json.dumps(content["example"]))
    changed["programs"]["vip"]["points"] = changed["programs"]["vip"].pop("spend")
    assert not check.is_valid(changed)


def test_examples_of_events_are_accepted_and_posted() -> None:
    examples = [resolved(each)["examples"] for each in SCHEMAS["Event"]["oneOf"]]
    assert all(examples)
    sent = [example for each in examples for example in each]
    for example in sent:
        validator(DOCUMENT, SCHEMAS["Event"]).validate(example)
    with Stack(api_examples.NOW) as stack:
        api_examples.live_through(stack)
        answer = api_examples.call(stack, "POST", "/activities", body={"events": sent})
        assert answer.json() == {"accepted": [example["event_id"] for example in sent], "refused": []}
        worked = stack.drain()
        # and the messages by which a price drop is told to who watches the item
        assert (worked.delivered >= len(sent), worked.dead_lettered) == (True, 0)


def test_what_a_varied_past_gives_fits_the_schemas() -> None:
    """Every kind of entry and every cause that there is so far, in both measures and both languages."""
    kinds, causes = set(), set()
    with Stack(api_examples.NOW) as stack:
        api_examples.live_through(stack)
        for path, answer in api_examples.every_read(stack, DOCUMENT):
            if path.endswith("/statement"):
                kinds |= {entry["kind"] for entry in answer["entries"]}
            if path.endswith("/explanation"):
                causes |= {cause["kind"] for cause in answer["causes"]}
    assert kinds == words(SCHEMAS["Entry"]["properties"]["kind"])
    assert causes == words(SCHEMAS["CauseKind"])


def test_each_scope_alone_opens_its_routes_and_no_other() -> None:
    scopes = sorted(
        {scope for operation in OPERATIONS.values() for each in operation["security"] for scope in each["token"]}
    )
    with Stack(api_examples.NOW) as stack:
        for (method, path), operation in OPERATIONS.items():
            url = path.format(member_id="me", decision_id="d-1")
            if not operation["security"]:
                continue
            assert api_examples.call(stack, method, url, sub="", body="{}").status == 401
            opening = {scope for each in operation["security"] for scope in each["token"]}
            for scope in [*scopes, "club:nothing"]:
                status = api_examples.call(stack, method, url, scopes=(scope,), body="{}").status
                assert status in ({400, 404} if scope in opening else {403}), (method, path, scope)


def test_examples_of_parameters_are_of_use() -> None:
    with Stack(api_examples.NOW) as stack:
        api_examples.live_through(stack)
        list(api_examples.answers(stack, DOCUMENT, [ask for ask in api_examples.ASKED if ask.pointer in DECISIONS]))
        for (method, path), operation in OPERATIONS.items():
            if method != "GET" or not path.startswith(("/members", "/decisions")):
                continue
            values = {
                place: {name: each["example"] for name, each in parameters(operation, place).items()}
                for place in ("path", "query", "header")
            }
            # The cursor goes on with the list of a statement, which the other list knows nothing of.
            if path.endswith(("/decisions", "/export")):
                del values["query"]["cursor"]
            query = "&".join(f"{name}={value}" for name, value in values["query"].items())
            headers = {name.lower(): str(value) for name, value in values["header"].items()}
            answer = api_examples.call(stack, method, path.format(**values["path"]), query, headers=headers)
            assert answer.status == 200, answer.body


# --- what is served


def test_it_is_served_to_anybody_as_it_stands() -> None:
    with Stack(api_examples.NOW) as stack:
        answer = stack.request("GET", "/openapi.json")
        assert (answer.status, answer.headers["content-type"]) == (200, JSON)
        assert answer.json() == DOCUMENT
        page = stack.request("GET", "/club")
        assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        for path, same in (("/openapi.json", answer), ("/club", page)):
            again = stack.request("GET", path, headers={"if-none-match": same.headers["etag"]})
            assert (again.status, again.body, again.headers["etag"]) == (304, b"", same.headers["etag"])


def test_a_method_or_a_path_that_it_does_not_name_is_not_found() -> None:
    """API Gateway knows no 405: what no route has is not there."""
    with Stack(api_examples.NOW) as stack:
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            for path in DOCUMENT["paths"]:
                if (method, path) not in OPERATIONS:
                    answer = api_examples.call(
                        stack, method, path.format(member_id="m-42", decision_id="d-1"), body="{}"
                    )
                    assert (answer.status, answer.json()) == (404, {"message": "Not Found"})
