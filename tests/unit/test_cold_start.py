"""What measures cold starts: fresh processes that see what they are given, and an AWS that answers as it did before."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from benchmarks.cold_start import BARE, NAIVE, figures
from benchmarks.cold_start.aws import CannedAws, canned_aws
from benchmarks.cold_start.process import Failed, Fresh, install, pinned
from benchmarks.figures import Missing
from tests.simulation.dynamodb import Model

TABLE = {
    "TableName": "table",
    "BillingMode": "PAY_PER_REQUEST",
    "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
    "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
}
GET, PUT = "DynamoDB_20120810.GetItem", "DynamoDB_20120810.PutItem"
KEY = {"TableName": "table", "Key": {"pk": {"S": "a"}}}
ITEM = {"TableName": "table", "Item": {"pk": {"S": "a"}, "body": {"B": "AAE="}}}


@pytest.fixture
def aws() -> Iterator[CannedAws]:
    model = Model(lambda: 0.0)
    model.create_table(**TABLE)
    with canned_aws(model) as listening:
        yield listening


def ask(aws: CannedAws, target: str, content: object) -> tuple[int, dict[str, object]]:
    request = Request(aws.url, json.dumps(content).encode(), {"x-amz-target": target})
    try:
        with urlopen(request, timeout=10) as answer:
            return answer.status, json.loads(answer.read())
    except HTTPError as refused:
        return refused.code, json.loads(refused.read())


def test_what_was_answered_is_answered_again_and_nothing_is_stored(aws: CannedAws) -> None:
    recorded = aws.record()
    assert ask(aws, GET, KEY) == (200, {})
    assert ask(aws, PUT, {**ITEM, "ConditionExpression": "attribute_not_exists(pk)"}) == (200, {})
    script = list(recorded)
    found = ask(aws, GET, KEY)
    assert found == (200, {"Item": ITEM["Item"]})  # binary goes in and out as it came

    aws.replay(script)
    assert ask(aws, GET, KEY) == (200, {})
    assert ask(aws, PUT, {**ITEM, "ConditionExpression": "attribute_not_exists(pk)"}) == (200, {})
    assert aws.trouble == []


def test_a_refusal_is_told_as_dynamodb_does(aws: CannedAws) -> None:
    aws.record()
    never = {**ITEM, "ConditionExpression": "attribute_exists(pk)"}
    status, answer = ask(aws, PUT, never)
    assert (status, str(answer["__type"]).rpartition("#")[2]) == (400, "ConditionalCheckFailedException")


@pytest.mark.parametrize(("asked", "trouble"), [((PUT,), 0), ((GET, GET), 1), (("AmazonSQS.ListQueues",), 0)])
def test_what_was_not_asked_before_is_trouble(aws: CannedAws, asked: tuple[str, ...], trouble: int) -> None:
    """``trouble`` is the place of the question that nobody asked before."""
    script = aws.record()
    ask(aws, GET, KEY)
    aws.replay(script)
    statuses = [ask(aws, target, KEY)[0] for target in asked]
    assert statuses == [200] * trouble + [500]
    assert aws.trouble == [f"{asked[trouble]} was asked, as number {trouble}"]


def fresh(folder: Path, source: str) -> Fresh:
    (folder / "app.py").write_text(source)
    (folder / "event.json").write_text("{}")
    arguments = ("app", "ready", str(folder / "event.json"), "alone")
    return Fresh(arguments, (folder,), {"GIVEN": "this"}, folder, Path(sys.executable))


def test_a_fresh_process_sees_what_it_is_given_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HIDDEN", "that")
    source = "import os, sys\ndef handler(event, context):\n    return [os.environ.copy(), sys.path]\n"
    told = fresh(tmp_path, source).told()
    environment, path = told["answer"]
    assert environment["GIVEN"] == "this"
    assert "HIDDEN" not in environment
    assert not [each for each in path if "site-packages" in each or each == os.fspath(Path.cwd())]
    assert "app" in told["imported"]["modules"]
    assert 0 < told["imported"]["cpu_seconds"] <= told["ready"]["cpu_seconds"]
    assert not [module for module in told["ready"]["modules"] if module.startswith(("pytest", "botocore"))]


def test_its_cpu_is_told_and_its_failure(tmp_path: Path) -> None:
    idle = fresh(tmp_path, "def handler(event, context):\n    return 0\n").cpu_seconds()
    work = "def handler(event, context):\n    return sum(n * n for n in range(3_000_000))\n"
    assert 0 < idle < fresh(tmp_path, work).cpu_seconds()
    with pytest.raises(Failed, match="ZeroDivisionError"):
        fresh(tmp_path, "def handler(event, context):\n    return 1 / 0\n").cpu_seconds()


def test_packages_are_those_that_are_pinned(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert {"boto3", "pynamodb", "python-dateutil"} <= set(pinned())
    install(["six"], tmp_path)
    assert (tmp_path / "six.py").is_file()
    monkeypatch.setattr("benchmarks.cold_start.process.pinned", lambda: {"six": "0.1"})
    with pytest.raises(Missing, match=r"six is here as .*, and the functions have 0\.1"):
        install(["six"], tmp_path)


def test_the_figures_are_multiples_of_the_bare_client() -> None:
    names = ("post_ledger", "member_api", NAIVE)
    samples = {f"{name}: {until}": [0.25, 0.75, 4.0] for name in names for until in ("ready", "answer")}
    samples |= {f"{BARE}: ready": [0.5, 0.5, 3.0], f"{BARE}: answer": [1.5]}
    found = {each.name: each for each in figures(samples, dict.fromkeys(names, 400))}
    ready, answer, modules = (found[f"post_ledger{what}"] for what in ("", ", first answer", ", modules loaded"))
    assert (ready.value, ready.budget, ready.stretch) == (1.5, 1.05, 0.9)
    assert (answer.value, answer.budget) == (0.5, None)
    assert (modules.value, modules.budget, modules.stretch) == (400, 450, 410)
    assert (found["member_api"].budget, found["member_api"].stretch) == (1.4, 1.2)
    assert found[NAIVE].budget is None
