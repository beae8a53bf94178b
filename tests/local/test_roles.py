"""The comparison of roles with what functions use: that it sees what is missing, unused, unguarded, in any process."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local.permissions import Need, Needs, allows, covers, implied
from local.template import ROOT, FunctionSpec, Statement, Template, TemplateError
from tests.access.roles import Recorder, differences, only_where_new

TEMPLATE = Template(ROOT / "template.yaml")
TABLE = next(iter(TEMPLATE.tables.values()))
POST = TEMPLATE.function("post_ledger")
NEVER = {"dynamodb:UpdateItem", "dynamodb:DeleteItem", "dynamodb:BatchWriteItem", "dynamodb:PartiQLUpdate"}


def everything() -> dict[str, set[Need]]:
    """For each function, uses that its role's statements are just enough for."""
    used: dict[str, set[Need]] = {}
    for spec in TEMPLATE.functions.values():
        used[spec.code.name] = {
            Need(action, resource, _sample(key), frozenset(map(str, map(_sample, statement.attributes))), via)
            for statement in spec.statements
            for action in statement.actions
            for resource in statement.resources
            for key in statement.leading_keys or (None,)
            for via in statement.via or (None,)
        }
    return used


def _sample(pattern: str | None) -> str | None:
    return pattern and pattern.replace("*", "x")


def changed(name: str, statements: Iterator[Statement]) -> Any:
    spec = TEMPLATE.function(name)
    functions = {**TEMPLATE.functions, spec.arn: replace(spec, statements=tuple(statements))}
    return SimpleNamespace(
        functions=functions,
        queue_mappings=TEMPLATE.queue_mappings,
        stream_mappings=TEMPLATE.stream_mappings,
        queues=TEMPLATE.queues,
        tables=TEMPLATE.tables,
    )


def of(sid: str, spec: FunctionSpec = POST) -> Statement:
    return next(statement for statement in spec.statements if statement.sid == sid)


# --- the comparison


def test_what_is_granted_and_used_alike_differs_in_nothing() -> None:
    assert differences(TEMPLATE, everything()) == []


@pytest.mark.parametrize("name", [spec.code.name for spec in TEMPLATE.functions.values()])
def test_whatever_is_not_used_is_named(name: str) -> None:
    spec, used = TEMPLATE.function(name), everything()
    by_lambda = set(implied(TEMPLATE, spec))
    for need in used[name]:
        less = {**used, name: used[name] - {need}}
        assert bool(differences(TEMPLATE, less)) == (need not in by_lambda), need


def test_one_attribute_that_is_never_named_is_one_too_many() -> None:
    used = everything()
    used["publish_changes"] = {
        need._replace(attributes=need.attributes - {"members"}) for need in used["publish_changes"]
    }
    (difference,) = differences(TEMPLATE, used)
    assert difference.startswith("publish_changes never uses AddToTheStanding")
    assert "members" in difference


@pytest.mark.parametrize(
    "need",
    [
        Need("dynamodb:DeleteItem", TABLE.arn, "E#"),
        Need("dynamodb:PutItem", TABLE.arn, "D#"),
        Need("dynamodb:PutItem", f"{TABLE.arn}2", "E#"),
        Need("dynamodb:PutItem", TABLE.arn),
        Need("sqs:SendMessage", TEMPLATE.arn_of("ActivityQueue")),
    ],
)
def test_what_is_used_and_not_granted_is_named(need: Need) -> None:
    used = everything()
    (difference,) = differences(TEMPLATE, {**used, "post_ledger": {*used["post_ledger"], need}})
    assert difference.startswith(f"post_ledger lacks {need.action} on {need.resource}")


def test_a_role_that_is_too_wide_too_narrow_or_says_a_thing_twice_is_named() -> None:
    used, statements = everything(), POST.statements
    wide = (*statements, Statement("More", ("dynamodb:Scan",), (TABLE.arn,), ()))
    narrow = (statement for statement in statements if statement.sid != "WriteItsLogs")
    twice = (*statements, replace(of("Post"), sid="Again"))
    assert "never uses More: dynamodb:Scan" in differences(changed("post_ledger", iter(wide)), used)[0]
    assert (
        "lacks logs:CreateLogStream"
        in differences(
            changed("post_ledger", narrow),
            used | {"post_ledger": {need for need in used["post_ledger"] if not need.action.startswith("logs:")}},
        )[0]
    )
    assert [each for each in differences(changed("post_ledger", iter(twice)), used) if "twice" in each]


def test_a_statement_limits_attributes_and_services() -> None:
    limited = Statement("s", ("dynamodb:UpdateItem",), ("r",), ("A#*",), ("pk", "*#*"))
    need = Need("dynamodb:UpdateItem", "r", "A#1", frozenset({"pk", "club#A2"}))
    assert covers(limited, need)
    assert not covers(limited, need._replace(attributes=frozenset({"pk", "body"})))
    assert not covers(limited, need._replace(key=None))
    via = Statement("s", ("kms:Decrypt",), ("r",), (), (), ("sqs.eu-west-1.amazonaws.com",))
    assert covers(via, Need("kms:Decrypt", "r", via="sqs.eu-west-1.amazonaws.com"))
    assert not covers(via, Need("kms:Decrypt", "r", via="dynamodb.eu-west-1.amazonaws.com"))
    assert not covers(via, Need("kms:Decrypt", "r"))


def test_an_update_needs_the_attributes_that_it_names() -> None:
    update = {
        "TableName": TABLE.name,
        "Key": {"pk": {"S": "STANDING#1"}, "sk": {"S": "-"}},
        "UpdateExpression": "SET #0 = if_not_exists(#1.#2, :v), plain.inner[0] = :x ADD #3 :n",
        "ConditionExpression": "attribute_exists (pk) AND size (long) > :z",
        "ExpressionAttributeNames": {"#0": "zero", "#1": "one", "#2": "inner", "#3": "club#A2"},
    }
    needs = list(Needs(TEMPLATE).of("dynamodb", "UpdateItem", update))
    names = {"pk", "sk", "zero", "one", "plain", "club#A2", "long"}
    assert Need("dynamodb:UpdateItem", TABLE.arn, "STANDING#1", frozenset(names)) in needs


def test_what_is_encrypted_with_a_key_needs_the_key() -> None:
    """Whoever uses a queue or a table with a customer key has it used for them, by that service and no other."""
    key = "arn:aws:kms:eu-west-1:123456789012:key/k"
    queue = replace(TEMPLATE.queues[TEMPLATE.arn_of("ActivityQueue")], key=key)
    template: Any = SimpleNamespace(
        tables={TABLE.name: replace(TABLE, key=key)},
        queues={queue.arn: queue},
        buses=TEMPLATE.buses,
        queue_mappings=[each for each in TEMPLATE.queue_mappings if each.queue == queue.arn],
        stream_mappings=[],
    )
    needs = Needs(template)
    sent = {(need.action, need.via) for need in needs.of("sqs", "SendMessageBatch", {"QueueUrl": queue.url})}
    of_sqs, of_table = "sqs.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.amazonaws.com"
    assert sent == {("sqs:SendMessage", None), ("kms:GenerateDataKey", of_sqs), ("kms:Decrypt", of_sqs)}
    read = set(needs.of("dynamodb", "GetItem", {"TableName": TABLE.name, "Key": {"pk": {"S": "M#1"}}}))
    assert read == {Need("dynamodb:GetItem", TABLE.arn, "M#1"), Need("kms:Decrypt", key, via=of_table)}
    post = {need.via for need in implied(template, replace(POST, log_group=None)) if need.action == "kms:Decrypt"}
    assert post == {of_sqs}


# --- entries


def test_no_role_may_change_or_delete_an_entry() -> None:
    for spec in TEMPLATE.functions.values():
        for action in sorted(NEVER):
            assert allows(spec, Need(action, TABLE.arn, "E#e-1")) is None, (spec.code.name, action)
        writing = {
            action for each in spec.statements for action in each.actions if re.search("Update|Delete|Write", action)
        }
        assert writing <= {*NEVER, "sqs:DeleteMessage"}, "a way to write that this does not look at"


def test_every_right_is_written_out() -> None:
    """A policy of SAM's own, a managed one or a group of actions would grant what nobody here has read."""
    from samtranslator.yaml_helper import yaml_parse

    for name, resource in yaml_parse((ROOT / "template.yaml").read_text())["Resources"].items():
        properties = resource.get("Properties", {})
        assert "Connectors" not in resource, name
        assert "ManagedPolicyArns" not in properties, name
        if resource["Type"] == "AWS::Serverless::Function":
            assert "Policies" not in properties, name
            assert "Role" in properties, name


@pytest.mark.parametrize(
    ("condition", "names", "guarded"),
    [
        ("attribute_not_exists (#0)", {"#0": "pk"}, True),
        ("(attribute_not_exists(pk))", {}, True),
        ("attribute_not_exists (#0)", {"#0": "sk"}, False),
        ("attribute_not_exists (#0) OR #1 = :1", {"#0": "pk", "#1": "digest"}, False),
        ("attribute_exists (pk)", {}, False),
        (None, {}, False),
    ],
)
def test_an_entry_is_put_only_where_there_is_none(condition: str | None, names: dict[str, str], guarded: bool) -> None:
    item = {"pk": {"S": "E#e-1"}, "sk": {"S": "-"}}
    put = {"TableName": TABLE.name, "Item": item, "ConditionExpression": condition, "ExpressionAttributeNames": names}
    assert only_where_new(put) is guarded
    for operation, body in (("PutItem", put), ("TransactWriteItems", {"TransactItems": [{"Put": put}]})):
        recorder = Recorder(TEMPLATE)
        recorder(POST, "dynamodb", operation, body)
        assert (recorder.entries_put, bool(recorder.unguarded)) == (1, not guarded)


def test_a_batch_of_puts_has_no_conditions_at_all() -> None:
    recorder = Recorder(TEMPLATE)
    requests = [{"PutRequest": {"Item": {"pk": {"S": "E#e-1"}, "sk": {"S": "-"}}}}]
    recorder(POST, "dynamodb", "BatchWriteItem", {"RequestItems": {TABLE.name: requests}})
    assert recorder.unguarded == {"post_ledger puts an entry without attribute_not_exists: BatchWriteItem"}


def test_what_one_process_saw_another_takes() -> None:
    seen, taking = Recorder(TEMPLATE), Recorder(TEMPLATE)
    seen(POST, "dynamodb", "GetItem", {"TableName": TABLE.name, "Key": {"pk": {"S": "M#m-1"}, "sk": {"S": "A"}}})
    taking.take(seen.sent())
    taking.take({"is_part": False})  # from one that has seen nothing
    assert (taking.used, taking.requests) == (seen.used, 1)
    stranger = replace(POST, code=Path("elsewhere"))
    seen(stranger, "dynamodb", "Scan", {"TableName": TABLE.name})
    assert seen.requests == 1, "the function of another template"


def test_a_condition_that_is_not_known_is_refused(tmp_path: Path) -> None:
    raw = (ROOT / "template.yaml").read_text()
    strange = raw.replace('"ForAllValues:StringLike":\n', '"ForAnyValue:StringLike":\n')
    assert strange != raw
    (tmp_path / "template.yaml").write_text(strange)
    with pytest.raises(TemplateError, match=r"ForAnyValue:StringLike on dynamodb:\w+ is not known"):
        Template(tmp_path / "template.yaml", {"TokenIssuer": "https://tokens.example/"})


# --- over the whole suite

CONFTEST = """
from pathlib import Path
from tests.access.whole_suite import WholeSuite

def pytest_configure(config):
    suite = Path(__file__).parent
    roles = WholeSuite(config, suite, Path({template!r}), apart=(suite / "apart",))
    config.pluginmanager.register(roles, "roles")
"""
TESTS = """
from pathlib import Path
import pytest
from local import boundary
from local.template import Template

SPEC = Template(Path({template!r})).function("post_ledger")

@pytest.mark.parametrize("number", range(4))
def test_something(number):
    item = {{"pk": {{"S": "E#e-1"}}, "sk": {{"S": "-"}}}}
    put = {{"TableName": {table!r}, "Item": item, "ConditionExpression": {condition!r}}}
    boundary.observers[0](SPEC, "dynamodb", "PutItem", put)
"""


def run(folder: Path, *arguments: str) -> tuple[int, str]:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *arguments]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True, text=True, timeout=300)
    return done.returncode, done.stdout + done.stderr


def suite(folder: Path, condition: str = "attribute_not_exists(pk)") -> Path:
    tests, template = folder / "suite", str(ROOT / "template.yaml")
    tests.mkdir()
    (tests / "conftest.py").write_text(CONFTEST.format(template=template))
    content = TESTS.format(template=template, table=TABLE.name, condition=condition)
    (tests / "test_it.py").write_text(content)
    return tests


@pytest.mark.parametrize("workers", [[], ["-n", "2"]])
def test_the_whole_suite_fails_for_a_right_that_it_never_used(tmp_path: Path, workers: list[str]) -> None:
    tests = suite(tmp_path)
    status, said = run(tmp_path, "--ignore", str(tests / "apart"), str(tests), *workers)
    assert status == 1, said
    assert "4 passed" in said
    assert "post_ledger never uses ReadMembers: dynamodb:GetItem" in said
    assert re.search(r"post_ledger never uses Post: dynamodb:PutItem on \S+ M#\*", said)
    assert not re.search(r"post_ledger never uses Post: dynamodb:PutItem on \S+ E#\*", said), (
        "it was used, if in another process"
    )


@pytest.mark.parametrize("left_out", [("-k", "0"), ("--ignore", "suite/more")])
def test_a_part_of_the_suite_says_nothing_of_what_is_unused(tmp_path: Path, left_out: tuple[str, str]) -> None:
    status, said = run(tmp_path, str(suite(tmp_path)), *left_out)
    assert (status, "never uses" in said) == (0, False), said


def test_make_test_runs_the_whole_suite() -> None:
    """Else nobody is told any more of a right that is unused."""
    (recipe,) = re.findall(r"^test:.*\n\t(.*pytest .*)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert re.findall(r"(--[\w-]+|-k|-m(?! pytest))\s", recipe) == ["--dist", "--ignore"]
    assert recipe.endswith("--ignore tests/deployed tests $(ARGS)")


def test_an_unguarded_entry_fails_a_part_of_the_suite_too(tmp_path: Path) -> None:
    tests = suite(tmp_path, condition="attribute_exists(pk)")
    status, said = run(tmp_path, f"{tests / 'test_it.py'}", "-k", "0")
    assert status == 1, said
    assert "post_ledger puts an entry without attribute_not_exists: PutItem" in said
