"""The functions' own roles, as deployed: another evaluator of IAM than ours agrees, and a function has no other rights.

The emulator knows actions and resources. It knows no condition on DynamoDB's leading keys or attributes, and asks for
no grant on the key: those are held by the local stack (local/permissions.py).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local.template import ROOT, Statement, Template
from tests.deployed.club import Club, until
from tests.deployed.emulator import Session

DENIED = {"AccessDenied", "AccessDeniedException"}
FUNCTIONS = sorted(spec.logical_id for spec in Template(ROOT / "template.yaml").functions.values())
KEY = {"pk": {"S": "M#nobody"}, "sk": {"S": "nothing"}}
NEVER = {"ConditionExpression": "attribute_exists(pk)"}  # of what isn't there: nothing is ever changed


def may(call: Callable[..., Any], **request: Any) -> bool:
    """Whether the caller is allowed to make a call; what else comes of it is no matter."""
    try:
        call(**request)
    except ClientError as error:
        return error.response["Error"]["Code"] not in DENIED
    return True


def attempts(club: Club, who: Session) -> dict[tuple[str, str], Callable[[], bool]]:
    """By action and resource (the template's ARN) a harmless attempt at it."""
    table, (spec,) = club.table, club.template.tables.values()
    data, queues, bus = who.client("dynamodb"), who.client("sqs"), who.client("events")
    query = {"KeyConditionExpression": "#p = :p", "ExpressionAttributeValues": {":p": {"S": "nobody"}}}
    change = {"UpdateExpression": "SET a = :a", "ExpressionAttributeValues": {":a": {"S": "b"}}}
    delete = {"DeleteRequest": {"Key": KEY}}
    check = {"ConditionCheck": {"TableName": table, "Key": KEY, **NEVER}}
    on_table: dict[str, tuple[Callable[..., Any], dict[str, Any]]] = {
        "GetItem": (data.get_item, {"Key": KEY}),
        "PutItem": (data.put_item, {"Item": KEY, **NEVER}),
        "UpdateItem": (data.update_item, {"Key": KEY, **change, **NEVER}),
        "DeleteItem": (data.delete_item, {"Key": KEY, **NEVER}),
        "Query": (data.query, {**query, "ExpressionAttributeNames": {"#p": "pk"}}),
        "Scan": (data.scan, {"Limit": 1}),
        "DescribeTable": (data.describe_table, {}),
    }
    found: dict[tuple[str, str], Callable[[], bool]] = {
        (f"dynamodb:{action}", spec.arn): partial(may, call, TableName=table, **request)
        for action, (call, request) in on_table.items()
    }
    index = {"IndexName": "due", **query, "ExpressionAttributeNames": {"#p": "due_shard"}}
    found["dynamodb:Query", f"{spec.arn}/index/due"] = partial(may, data.query, TableName=table, **index)
    found["dynamodb:BatchGetItem", spec.arn] = partial(may, data.batch_get_item, RequestItems={table: {"Keys": [KEY]}})
    found["dynamodb:BatchWriteItem", spec.arn] = partial(may, data.batch_write_item, RequestItems={table: [delete]})
    found["dynamodb:ConditionCheckItem", spec.arn] = partial(may, data.transact_write_items, TransactItems=[check])
    for queue in club.template.queues.values():
        url = club.physical[queue.logical_id]
        # an empty message is not taken, by whoever may send
        found["sqs:SendMessage", queue.arn] = partial(may, queues.send_message, QueueUrl=url, MessageBody="")
        found["sqs:ListQueueTags", queue.arn] = partial(may, queues.list_queue_tags, QueueUrl=url)
    ours = club.template.arn_of("ClubBus")
    found["events:PutEvents", ours] = partial(
        may,
        bus.put_events,
        Entries=[{"Source": "test", "DetailType": "t", "Detail": "{}", "EventBusName": club.physical["ClubBus"]}],
    )
    return found


def granted(statements: tuple[Statement, ...], action: str, resource: str) -> bool:
    """Whether a statement of the template names the action and the resource; there are no patterns in them."""
    return any(action in each.actions and resource in each.resources for each in statements)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_a_role_may_do_what_the_template_says_and_nothing_else(club: Club, function: str) -> None:
    (role,) = [role for role, of in club.roles().items() if of == function]
    spec = club.template.function(function)
    for (action, resource), attempt in attempts(club, club.as_role(role)).items():
        wanted = granted(spec.statements, action, resource)
        assert attempt() == wanted, f"{role}: {action} on {resource} should be {'allowed' if wanted else 'denied'}"


def test_every_function_has_a_role_of_its_own(club: Club) -> None:
    assert sorted(club.roles().values()) == FUNCTIONS


def test_no_role_reads_all_changes_entries_or_administers(club: Club) -> None:
    """By name, and from neither the template's statements nor our evaluator."""
    for role in club.roles():
        who = club.as_role(role)
        tried = attempts(club, who)
        (table,) = {resource for action, resource in tried if action == "dynamodb:Scan"}
        for action in ("Scan", "DeleteItem", "DescribeTable"):
            assert not tried[f"dynamodb:{action}", table](), f"{role}: {action}"
        assert not may(who.client("iam").list_roles), role
        assert not may(who.client("lambda").list_functions), role
        assert not may(who.client("dynamodb").delete_table, TableName=club.table), role


def test_a_function_whose_role_loses_a_grant_can_do_it_no_more(club: Club) -> None:
    """So it is the role, and nothing else, that opens the table to the function."""
    access, role = club.root.client("iam"), club.physical["MemberApiRole"]
    club.post({**_visit("role-1"), "type": "member.registered"})
    until(lambda: club.summary("role"), "the member is not there")
    (policy,) = access.list_role_policies(RoleName=role)["PolicyNames"]
    document = access.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    less = [each for each in document["Statement"] if not any("dynamodb:" in action for action in each["Action"])]
    assert len(less) < len(document["Statement"])
    try:
        narrowed = json.dumps({**document, "Statement": less})
        access.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=narrowed)
        status, answer = club.ask("GET", "/members/me", club.issuer.token("role", "club:read"))
        assert (status, answer["code"]) in {(500, "internal_error"), (503, "temporarily_unavailable")}, answer
        assert "AccessDenied" not in json.dumps(answer)
    finally:
        access.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    assert club.summary("role") is not None


def _visit(event_id: str) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "type": "visit.recorded",
        "member_id": "role",
        "occurred_at": "2020-01-01T00:00:00Z",
        "data": {},
    }
