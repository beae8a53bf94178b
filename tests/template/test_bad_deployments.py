"""A deployment that can't be right is refused before anything is changed, and the refusal says why.

Parameters are refused by CloudFormation when the change set is asked for: by the emulator's here, whose reading of
parameters is AWS's. A program file that doesn't check ends `sam build`, so that there is nothing to deploy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from tests.simulation.conformance.targets import HOW_TO_GET_MINISTACK, MINISTACK, ministack_process
from tests.template.resources import EXPANDED

ROOT = Path(__file__).resolve().parents[2]
BUCKET = "artefacts"
STACK = "refused"
GOOD = {"TokenIssuer": "https://tokens.example/"}


class CloudFormation:
    """An empty account, and the template where CloudFormation reads one that is too long to be sent along."""

    def __init__(self, endpoint: str) -> None:
        session = boto3.Session("test", "test", region_name="eu-west-1")
        settings = Config(s3={"addressing_style": "path"}, retries={"max_attempts": 0}, proxies={})
        self._clients = {
            name: session.client(name, endpoint_url=endpoint, config=settings)
            for name in ("cloudformation", "dynamodb", "events", "iam", "kms", "lambda", "s3", "sqs")
        }
        self["s3"].create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": session.region_name})
        self["s3"].put_object(Bucket=BUCKET, Key="template.json", Body=json.dumps(EXPANDED).encode())
        self._url = f"{endpoint}/{BUCKET}/template.json"

    def __getitem__(self, service: str) -> Any:
        return self._clients[service]

    def ask(self, **parameters: str) -> str:
        """Ask for a change set as `sam deploy` does; give its status. Raises ClientError."""
        asked = self["cloudformation"].create_change_set(
            StackName=STACK,
            ChangeSetName="first",
            ChangeSetType="CREATE",
            TemplateURL=self._url,
            Capabilities=["CAPABILITY_IAM"],
            Parameters=[{"ParameterKey": name, "ParameterValue": value} for name, value in parameters.items()],
        )
        found = self["cloudformation"].describe_change_set(ChangeSetName=asked["Id"], StackName=STACK)
        return str(found["Status"])

    def made(self) -> list[Any]:
        """What there is in the account of what a deployment would make."""
        return [
            *self["dynamodb"].list_tables()["TableNames"],
            *self["sqs"].list_queues().get("QueueUrls", []),
            *self["lambda"].list_functions()["Functions"],
            *self["kms"].list_keys()["Keys"],
            *self["iam"].list_roles()["Roles"],
            *[bus for bus in self["events"].list_event_buses()["EventBuses"] if bus["Name"] != "default"],
        ]


@pytest.fixture(scope="module")
def cloudformation() -> Iterator[CloudFormation]:
    if not MINISTACK.exists():
        pytest.skip(HOW_TO_GET_MINISTACK)
    with ministack_process(SERVICES="cloudformation,dynamodb,events,iam,kms,lambda,s3,sqs,sts") as (endpoint, _):
        yield CloudFormation(endpoint)


@pytest.mark.parametrize(
    ("parameters", "named", "why"),
    [
        ({}, "TokenIssuer", "not provided"),
        ({"TokenIssuer": ""}, "TokenIssuer", "must be an https URL without a query"),
        ({"TokenIssuer": "http://tokens.example/"}, "TokenIssuer", "must be an https URL without a query"),
        ({"TokenIssuer": "http://localhost.example/"}, "TokenIssuer", "must be an https URL without a query"),
        ({"TokenIssuer": "https://tokens.example/?a=b"}, "TokenIssuer", "must be an https URL without a query"),
        ({**GOOD, "TokenAudience": "a b"}, "TokenAudience", "must be 1 to 128 letters"),
        ({**GOOD, "ClubPageHosts": "https://*.example"}, "ClubPageHosts", "must be empty, or https origins"),
        ({**GOOD, "AdjustmentSpendLimit": "1000"}, "AdjustmentSpendLimit", "must be an amount with two decimals"),
        ({**GOOD, "AlarmTopicArn": "alarms"}, "AlarmTopicArn", "must be empty, or the ARN of an SNS topic"),
        ({**GOOD, "ExpeditedRefunds": "yes"}, "ExpeditedRefunds", "AllowedValues"),
        ({**GOOD, "PostingConcurrency": "1"}, "PostingConcurrency", "not less than 2"),
        ({**GOOD, "OutboxConcurrency": "11"}, "OutboxConcurrency", "not greater than 10"),
        ({**GOOD, "SweepConcurrency": "1"}, "SweepConcurrency", "not less than 2"),
        ({**GOOD, "DueShards": "65"}, "DueShards", "not greater than 64"),
    ],
    ids=lambda value: str(value) if isinstance(value, dict) else "",
)
def test_parameters_that_can_not_be_right_are_refused_with_the_reason(
    cloudformation: CloudFormation, parameters: dict[str, str], named: str, why: str
) -> None:
    with pytest.raises(ClientError) as refused:
        cloudformation.ask(**parameters)
    error = refused.value.response["Error"]
    assert error["Code"] == "ValidationError"
    assert named in error["Message"]
    assert why in error["Message"]
    assert cloudformation.made() == []


def test_an_issuer_without_https_is_for_the_machine_itself(cloudformation: CloudFormation) -> None:
    """Nothing is refused that should not be: what is asked for is worked out, and still nothing is made."""
    for issuer in ("http://127.0.0.1:4000", "http://localhost/", GOOD["TokenIssuer"]):
        # The emulator knows no archives.
        assert cloudformation.ask(TokenIssuer=issuer, ArchiveDays="0") in {
            "CREATE_PENDING",
            "CREATE_IN_PROGRESS",
            "CREATE_COMPLETE",
        }
        cloudformation["cloudformation"].delete_change_set(ChangeSetName="first", StackName=STACK)
        assert cloudformation.made() == []


# ---------------------------------------------------------------- programs


def build_rules(root: Path, artefacts: Path) -> subprocess.CompletedProcess[str]:
    """Build the layer of the rules as `sam build` does."""
    artefacts.mkdir()
    return subprocess.run(
        ["make", "-C", str(root / "layers" / "rules"), "build-RulesLayer", f"ARTIFACTS_DIR={artefacts}"],
        env={"PATH": os.environ["PATH"], "HOME": str(artefacts.parent)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A copy of what the layer is built from, and of no more: sam makes one as well."""
    part = Path("layers", "rules")
    shutil.copytree(ROOT / part, tmp_path / "copy" / part, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path / "copy"


def programs(root: Path) -> list[Path]:
    return sorted((root / "layers" / "rules").rglob("data/*.json"))


def test_a_sound_layer_is_built(copy: Path, tmp_path: Path) -> None:
    done = build_rules(copy, tmp_path / "built")
    assert done.returncode == 0, done.stderr
    assert len(programs(copy)) >= 3
    built = {path.name for path in (tmp_path / "built").rglob("*.json")}
    assert {path.name for path in programs(copy)} <= built


@pytest.mark.parametrize("number", range(len(programs(ROOT))))
def test_a_program_file_that_does_not_check_ends_the_build_with_its_place(
    copy: Path, tmp_path: Path, number: int
) -> None:
    path = programs(copy)[number]
    program = json.loads(path.read_text("utf-8"))
    program["tiers"][0]["from"] = "plenty"
    path.write_text(json.dumps(program), "utf-8")
    done = build_rules(copy, tmp_path / "built")
    assert done.returncode != 0
    said = done.stdout + done.stderr
    assert path.name in said
    assert "/tiers/0" in said
    assert list((tmp_path / "built").rglob("*.json")) == [], "nothing that could be deployed"
