"""What is stored is encrypted with the club's own key, kept as long as it should be, and outlives a mistake."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from fnmatch import fnmatchcase
from typing import Any

import pytest

from club_rules.errors import InvalidInput
from club_rules.events import EVENT_TYPES, parse_event
from club_rules.programs import load_programs
from local.template import ACCOUNT, Template
from tests.template.resources import EXPANDED, PATH, RESOURCES, TEMPLATE, listed, of_type

KEY = TEMPLATE.arn_of("ClubKey")
# Where each kind that stores something names its key.
STORES = {
    "AWS::DynamoDB::Table": "SSESpecification.KMSMasterKeyId",
    "AWS::SQS::Queue": "KmsMasterKeyId",
    "AWS::Logs::LogGroup": "KmsKeyId",
    "AWS::Events::Archive": "KmsKeyIdentifier",
    "AWS::Lambda::Function": "KmsKeyArn",
}
# The rest of the template: none of these keeps data. The bus only passes it on; docs/decisions.md has why.
STORE_NOTHING = {
    "AWS::ApiGatewayV2::Api",
    "AWS::ApiGatewayV2::Stage",
    "AWS::CloudWatch::Alarm",
    "AWS::CloudWatch::Dashboard",
    "AWS::Events::EventBus",
    "AWS::Events::Rule",
    "AWS::IAM::Role",
    "AWS::KMS::Alias",
    "AWS::KMS::Key",
    "AWS::Lambda::EventInvokeConfig",
    "AWS::Lambda::EventSourceMapping",
    "AWS::Lambda::LayerVersion",
    "AWS::Lambda::Permission",
    "AWS::Logs::MetricFilter",
    "AWS::Logs::ResourcePolicy",
    "AWS::SQS::QueuePolicy",
    "AWS::Scheduler::Schedule",
    "AWS::Scheduler::ScheduleGroup",
}
FORTNIGHT_S = 14 * 24 * 3600


def at(properties: Any, path: str) -> Any:
    for name in path.split("."):
        properties = properties[name]
    return properties


def test_everything_that_stores_is_encrypted_with_the_clubs_key() -> None:
    assert {resource["Type"] for resource in RESOURCES.values()} == STORES.keys() | STORE_NOTHING
    for kind, path in STORES.items():
        for name, properties in of_type(kind):
            assert at(properties, path) == KEY, name


def test_the_key_is_turned_over_and_outlives_the_stack() -> None:
    resource = RESOURCES["ClubKey"]
    assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain")
    assert resource["Properties"]["EnableKeyRotation"] is True
    assert resource["Properties"]["PendingWindowInDays"] == 30


def key_statements() -> list[dict[str, Any]]:
    ((_, key),) = of_type("AWS::KMS::Key")
    statements: list[dict[str, Any]] = key["KeyPolicy"]["Statement"]
    return statements


def test_the_key_lets_services_in_for_this_account_and_this_stack_alone() -> None:
    account, logs, events = key_statements()
    assert account["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    for statement in (logs, events):
        assert all(action.startswith("kms:") and "*" not in action for action in statement["Action"])
        assert not {"kms:CreateGrant", "kms:PutKeyPolicy", "kms:ScheduleKeyDeletion"} & set(statement["Action"])
    assert logs["Principal"] == {"Service": "logs.eu-west-1.amazonaws.com"}
    (pattern,) = logs["Condition"]["ArnLike"].values()
    assert pattern == f"arn:aws:logs:eu-west-1:{ACCOUNT}:log-group:/aws/*/{TEMPLATE.stack_name}/*"
    for name, _ in of_type("AWS::Logs::LogGroup"):
        assert fnmatchcase(TEMPLATE.arn_of(name).removesuffix(":*"), pattern), name
    assert events["Principal"] == {"Service": "events.amazonaws.com"}
    assert events["Condition"] == {"StringEquals": {"aws:SourceAccount": ACCOUNT}}


def test_no_role_stands_in_the_keys_policy_so_that_nothing_goes_round_in_a_circle() -> None:
    assert "Fn::GetAtt" not in json.dumps(RESOURCES["ClubKey"])
    references = {name for name in RESOURCES if f'"{name}"' in json.dumps(RESOURCES["ClubKey"])}
    assert references == set()


def test_roles_use_the_key_through_a_service_alone_and_have_no_more_than_that() -> None:
    for name, role in of_type("AWS::IAM::Role"):
        for policy in role["Policies"]:
            for statement in policy["PolicyDocument"]["Statement"]:
                actions = {action for action in listed(statement["Action"]) if action.startswith("kms:")}
                if not actions:
                    continue
                assert statement["Resource"] == KEY, name
                via = statement["Condition"]["StringEquals"]["kms:ViaService"]
                allowed = {
                    "dynamodb.eu-west-1.amazonaws.com": {"kms:Decrypt"},
                    "sqs.eu-west-1.amazonaws.com": {"kms:Decrypt", "kms:GenerateDataKey"},
                }
                assert actions == allowed[via], name


def test_the_ledger_is_kept_safe() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] != "AWS::DynamoDB::Table":
            continue
        assert (resource["DeletionPolicy"], resource["UpdateReplacePolicy"]) == ("Retain", "Retain"), name
        properties = resource["Properties"]
        assert properties["DeletionProtectionEnabled"] is True, name
        assert properties["PointInTimeRecoverySpecification"] == {"PointInTimeRecoveryEnabled": True}, name
        assert properties["SSESpecification"]["SSEEnabled"] is True, name
        assert properties["SSESpecification"]["SSEType"] == "KMS", name
        assert properties["BillingMode"] == "PAY_PER_REQUEST", name
        assert "TimeToLiveSpecification" not in properties, "nothing that counts may vanish by itself"


def test_queues_keep_what_is_in_them_for_a_fortnight_and_through_the_end_of_the_stack() -> None:
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::SQS::Queue":
            assert resource["Properties"]["MessageRetentionPeriod"] == FORTNIGHT_S, name
            assert resource["DeletionPolicy"] == "RetainExceptOnCreate", name
            assert resource["UpdateReplacePolicy"] == "Retain", name


def test_every_log_is_kept_for_as_long_as_the_parameter_says() -> None:
    template = Template(PATH, {"LogRetentionDays": "365"})
    names = set()
    for name, resource in RESOURCES.items():
        if resource["Type"] == "AWS::Logs::LogGroup":
            group = template.resolve(resource["Properties"])
            assert group["RetentionInDays"] == "365", name
            names.add(group["LogGroupName"])
    assert len(names) == len(dict(of_type("AWS::Logs::LogGroup")))


# ---------------------------------------------------------------- the archive


def test_the_archive_keeps_what_came_but_for_what_is_personal() -> None:
    ((_, archive),) = of_type("AWS::Events::Archive")
    assert archive["SourceArn"] == TEMPLATE.arn_of("ClubBus")
    assert archive["EventPattern"] == {
        "source": ["marketplace"],
        "detail-type": [{"anything-but": ["member.registered", "member.updated"]}],
    }


def faults(event: dict[str, Any]) -> set[str]:
    """Where the event parser finds fault with an event."""
    try:
        parse_event(event, now=datetime(2026, 11, 22, 10, 15, tzinfo=UTC), programs=load_programs())
    except InvalidInput as refused:
        return {error.pointer for error in refused.errors}
    return set()


def test_what_the_archive_leaves_out_is_what_may_hold_a_birthday_or_a_country() -> None:
    """Asked of the event parser: it takes these fields of which types?"""
    ((_, archive),) = of_type("AWS::Events::Archive")
    (left_out,) = (each["anything-but"] for each in archive["EventPattern"]["detail-type"])
    for field, value in (("birthday", "1990-02-28"), ("country", "DE")):
        taken = set()
        for kind in EVENT_TYPES:
            event = {"event_id": "e-1", "member_id": "m-1", "occurred_at": "2026-11-22T10:15:00Z", "type": kind}
            if f"/data/{field}" not in faults({**event, "data": {field: value}}):
                taken.add(kind)
        assert taken == set(left_out)


@pytest.mark.parametrize(("days", "kept"), [("0", False), ("1", True), ("366", True)])
def test_the_archive_can_be_left_out(days: str, kept: bool) -> None:
    template = Template(PATH, {"ArchiveDays": days})
    condition = RESOURCES["MarketplaceArchive"]["Condition"]
    assert template.resolve({"Fn::If": [condition, True, False]}) is kept
    assert EXPANDED["Outputs"]["ArchiveName"]["Condition"] == condition
