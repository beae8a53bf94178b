"""The club, deployed on the emulator by a real `sam deploy`, and what makes up for what the emulator leaves out.

What is made up for, each by what the template says and by nothing else; docs/deployed.md has the whole list:

* it takes an HttpApi without its OpenAPI body: authorizer, integrations and routes are put there one by one;
* a number that came through a parameter stays a text, at which its poller of queues stumbles: it is put there again;
* it drops where a function's failed asynchronous invocations are kept: that is set again;
* it asks for an action `sqs:SendMessageBatch`, which IAM does not know: whoever may send may do that as well.
"""

from __future__ import annotations

import http.client
import json
import time
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from local.template import Template
from tests.deployed.building import ROOT, Built, sam
from tests.deployed.emulator import ACCOUNT, ROOT_KEYS, Emulator, Session
from tests.deployed.issuer import Issuer

PATIENCE_S = 60.0
Answer = tuple[int, dict[str, str], bytes]


def until(found: Callable[[], Any], what: str, seconds: float = PATIENCE_S) -> Any:
    """Give what `found` gives once that is true. Raises AssertionError, which says `what`, after so many seconds."""
    end = time.monotonic() + seconds
    while True:
        result = found()
        if result:
            return result
        assert time.monotonic() < end, f"after {seconds:.0f} s: {what}"
        time.sleep(0.2)


def parameters(issuer: Issuer) -> dict[str, str]:
    """What the template's parameters are given. The emulator has no archives of a bus, and refuses a stack with one."""
    return {"TokenIssuer": issuer.url, "ArchiveDays": "0"}


def deploy(built: Built, emulator: Emulator, issuer: Issuer, scratch: Path) -> Club:
    """Deploy what was built, with the settings of samconfig.toml. Raises BuildFailed."""
    sam_deploy(built, emulator, scratch, parameters(issuer))
    return Club(built, emulator, issuer)


def sam_deploy(built: Built, emulator: Emulator, scratch: Path, given: Mapping[str, str], *more: str) -> str:
    """Run `sam deploy` with these parameters of the template, and `more` options. Raises BuildFailed."""
    return sam(
        "deploy",
        "--config-file",
        ROOT / "samconfig.toml",
        "--template-file",
        built.template,
        "--no-confirm-changeset",
        "--no-progressbar",
        *more,
        "--parameter-overrides",
        *(f"{name}={value}" for name, value in given.items()),
        cwd=scratch,
        HOME=str(scratch),
        AWS_ENDPOINT_URL=emulator.endpoint,
        **ROOT_KEYS,
    )


class Club:
    """The deployed stack; `template` is what was built, expanded, with the parameters that it was deployed with."""

    def __init__(self, built: Built, emulator: Emulator, issuer: Issuer) -> None:
        self.built, self.emulator, self.issuer = built, emulator, issuer
        self.root = emulator.session()
        self.template = Template(built.template, parameters(issuer))
        settings = tomllib.loads((ROOT / "samconfig.toml").read_text("utf-8"))
        self.stack: str = settings["default"]["global"]["parameters"]["stack_name"]
        (stack,) = self.root.client("cloudformation").describe_stacks(StackName=self.stack)["Stacks"]
        self.status = stack["StackStatus"]
        self.outputs = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
        self.physical = self._physical()
        self.table = self.physical["Ledger"]
        self._keys: dict[str, dict[str, str]] = {}
        self._heard: list[dict[str, Any]] = []
        self._import_routes()
        self._restore_numbers()
        self._keep_failed_invocations()
        self._let_batches_be_sent()
        self._listen()

    def _physical(self) -> dict[str, str]:
        pages = self.root.client("cloudformation").get_paginator("list_stack_resources").paginate(StackName=self.stack)
        found = [each for page in pages for each in page["StackResourceSummaries"]]
        return {each["LogicalResourceId"]: each["PhysicalResourceId"] for each in found}

    # ------------------------------------------------------------ what the emulator leaves out

    def _import_routes(self) -> None:
        gateway, api = self.root.client("apigatewayv2"), self.physical["ClubApi"]
        self.routes_before = len(gateway.get_routes(ApiId=api)["Items"])
        authorizer = self.template.routes_authorizer()
        of_api = gateway.create_authorizer(
            ApiId=api,
            AuthorizerType="JWT",
            Name="ClubTokens",
            IdentitySource=["$request.header.Authorization"],
            JwtConfiguration={"Issuer": authorizer.issuer, "Audience": list(authorizer.audience)},
        )["AuthorizerId"]
        integrations: dict[str, str] = {}
        for route in self.template.routes:
            if route.function not in integrations:
                integrations[route.function] = gateway.create_integration(
                    ApiId=api,
                    IntegrationType="AWS_PROXY",
                    IntegrationUri=self.configuration(self.template.functions[route.function].logical_id)[
                        "FunctionArn"
                    ],
                    PayloadFormatVersion="2.0",
                )["IntegrationId"]
            checked: dict[str, Any] = {"AuthorizationType": "NONE"}
            if route.authorizer is not None:
                assert route.authorizer == authorizer, "there is one authorizer"
                checked = {
                    "AuthorizationType": "JWT",
                    "AuthorizerId": of_api,
                    "AuthorizationScopes": list(route.scopes),
                }
            key, target = f"{route.method} {route.path}", f"integrations/{integrations[route.function]}"
            gateway.create_route(ApiId=api, RouteKey=key, Target=target, **checked)
        self.routes = gateway.get_routes(ApiId=api)["Items"]

    def _restore_numbers(self) -> None:
        functions = self.root.client("lambda")
        for mapping in functions.list_event_source_mappings()["EventSourceMappings"]:
            numbers: dict[str, Any] = {
                name: int(mapping[name]) for name in ("BatchSize", "ParallelizationFactor") if name in mapping
            }
            if "ScalingConfig" in mapping:
                numbers["ScalingConfig"] = {"MaximumConcurrency": int(mapping["ScalingConfig"]["MaximumConcurrency"])}
            functions.update_event_source_mapping(UUID=mapping["UUID"], **numbers)

    def _keep_failed_invocations(self) -> None:
        for spec in self.template.functions.values():
            if spec.async_dead_letters:
                queue = self.arn_of_queue(self.template.queues[spec.async_dead_letters].logical_id)
                self.root.client("lambda").update_function_configuration(
                    FunctionName=self.physical[spec.logical_id], DeadLetterConfig={"TargetArn": queue}
                )

    def _let_batches_be_sent(self) -> None:
        for role in self.roles():
            sends = [each for each in self.statements(role) if "sqs:SendMessage" in each["Action"]]
            if sends:
                more = [{**each, "Action": "sqs:SendMessageBatch"} for each in sends]
                self._put_policy(role, "of_the_emulator", more)

    # ------------------------------------------------------------ roles

    def roles(self) -> dict[str, str]:
        """The logical id of each function's role: the function's."""
        arns = {self.template.arn_of(name): name for name in self.physical if name.endswith("Role")}
        found = {}
        for spec in self.template.functions.values():
            role = self.configuration(spec.logical_id)["Role"].rsplit("/", 1)[-1]
            (name,) = [name for name in arns.values() if self.physical[name] == role]
            found[name] = spec.logical_id
        return found

    def statements(self, role: str) -> list[dict[str, Any]]:
        """What the deployed role's policies of the template say."""
        access, name = self.root.client("iam"), self.physical[role]
        policies = [
            each for each in access.list_role_policies(RoleName=name)["PolicyNames"] if each != "of_the_emulator"
        ]
        documents = [access.get_role_policy(RoleName=name, PolicyName=each)["PolicyDocument"] for each in policies]
        return [statement for document in documents for statement in document["Statement"]]

    def _put_policy(self, role: str, name: str, statements: list[dict[str, Any]]) -> None:
        document = json.dumps({"Version": "2012-10-17", "Statement": statements})
        access = self.root.client("iam")
        access.put_role_policy(RoleName=self.physical[role], PolicyName=name, PolicyDocument=document)

    def keys_of(self, role: str) -> dict[str, str]:
        """Keys of a function's role: for that, and on the emulator alone, the role trusts the account."""
        if role not in self._keys:
            access, name = self.root.client("iam"), self.physical[role]
            trusted = {"Service": "lambda.amazonaws.com", "AWS": f"arn:aws:iam::{ACCOUNT}:root"}
            statement = {"Effect": "Allow", "Principal": trusted, "Action": "sts:AssumeRole"}
            document = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            access.update_assume_role_policy(RoleName=name, PolicyDocument=document)
            arn = access.get_role(RoleName=name)["Role"]["Arn"]
            keys = self.root.client("sts").assume_role(RoleArn=arn, RoleSessionName="deployed-test")["Credentials"]
            self._keys[role] = {
                "AWS_ACCESS_KEY_ID": keys["AccessKeyId"],
                "AWS_SECRET_ACCESS_KEY": keys["SecretAccessKey"],
                "AWS_SESSION_TOKEN": keys["SessionToken"],
            }
        return self._keys[role]

    def as_role(self, role: str) -> Session:
        """Act as a function's role."""
        return self.emulator.session(self.keys_of(role))

    # ------------------------------------------------------------ functions and calls

    def configuration(self, function: str) -> dict[str, Any]:
        """A deployed function's configuration, by its logical id."""
        name = self.physical[function]
        found: dict[str, Any] = self.root.client("lambda").get_function_configuration(FunctionName=name)
        return found

    def call(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """One request to the API over HTTP, as tests/access/matrix.py asks for it."""
        connection = http.client.HTTPConnection(urlsplit(self.emulator.endpoint).netloc, timeout=30)
        host = f"{self.physical['ClubApi']}.execute-api.localhost"
        try:
            connection.request(method, path, body or None, {"host": host, **headers})
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, token: str | None, body: Any = None) -> tuple[int, Any]:
        """One request to the API; give the status and what the body says as JSON."""
        headers = {"authorization": f"Bearer {token}"} if token else {}
        content = b"" if body is None else json.dumps(body).encode()
        if content:
            headers["content-type"] = "application/json"
        status, _, text = self.call(method, path, headers, content)
        return status, json.loads(text) if text else None

    def post(self, *events: dict[str, Any]) -> None:
        """POST /activities, which has to take them all."""
        token = self.issuer.token("marketplace", "club:ingest", "club:admin")
        status, answer = self.ask("POST", "/activities", token, {"events": list(events)})
        assert (status, answer["refused"]) == (202, []), answer

    def summary(self, member: str) -> dict[str, Any] | None:
        """What the member sees of themself; None where there is no such member (yet)."""
        status, answer = self.ask("GET", "/members/me", self.issuer.token(member, "club:read"))
        assert status in (200, 404), answer
        return answer if status == 200 else None

    def entries(self, member: str, program: str = "club") -> list[dict[str, Any]]:
        """The member's statement, newest first."""
        path = f"/members/{member}/statement?program={program}&limit=100"
        status, answer = self.ask("GET", path, self.issuer.token("agent", "club:support"))
        assert status in (200, 404), answer
        found: list[dict[str, Any]] = answer["entries"] if status == 200 else []
        return found

    # ------------------------------------------------------------ bus, queues, schedules

    def _listen(self) -> None:
        bus, queues = self.root.client("events"), self.root.client("sqs")
        self._ear = queues.create_queue(QueueName="deployed-test-announcements")["QueueUrl"]
        arn = queues.get_queue_attributes(QueueUrl=self._ear, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        name, of_bus = "deployed-test", {"EventBusName": self.physical["ClubBus"]}
        bus.put_rule(Name=name, EventPattern=json.dumps({"source": ["buyers-club"]}), **of_bus)
        bus.put_targets(Rule=name, Targets=[{"Id": "ear", "Arn": arn}], **of_bus)

    def announced(self, kind: str, **facts: Any) -> list[dict[str, Any]]:
        """The details of the announcements of a kind so far that have these facts."""
        queues = self.root.client("sqs")
        while messages := queues.receive_message(QueueUrl=self._ear, MaxNumberOfMessages=10).get("Messages"):
            for message in messages:
                self._heard.append(json.loads(message["Body"]))
                queues.delete_message(QueueUrl=self._ear, ReceiptHandle=message["ReceiptHandle"])
        details = [each["detail"] for each in self._heard if each["detail-type"] == kind]
        return [each for each in details if facts.items() <= each.items()]

    def publish(self, kind: str, detail: dict[str, Any]) -> None:
        """Put an event of the marketplace on the club's bus."""
        entry = {"Source": "marketplace", "DetailType": kind, "Detail": json.dumps(detail)}
        answer = self.root.client("events").put_events(Entries=[{**entry, "EventBusName": self.physical["ClubBus"]}])
        assert answer["FailedEntryCount"] == 0, answer

    def arn_of_queue(self, queue: str) -> str:
        """A queue's ARN, by its logical id."""
        found: str = self.root.client("sqs").get_queue_attributes(
            QueueUrl=self.physical[queue], AttributeNames=["QueueArn"]
        )["Attributes"]["QueueArn"]
        return found

    def letters(self, queue: str) -> list[dict[str, Any]]:
        """What lies in a dead-letter queue, which keeps it."""
        found = self.root.client("sqs").receive_message(
            QueueUrl=self.physical[queue],
            MaxNumberOfMessages=10,
            VisibilityTimeout=0,
            MessageAttributeNames=["All"],
        )
        messages: list[dict[str, Any]] = found.get("Messages", [])
        return messages

    def fire(self, schedule: str, scheduled_at: str) -> None:
        """Let a deployed schedule fire at once, as if it were `scheduled_at`.

        The emulator's clock is the machine's, and it puts nothing into an input. So for a while the schedule fires each
        minute, with the instant in its input that AWS's scheduler would put there; its target and its role stay.
        """
        scheduler = self.root.client("scheduler")
        name = {"Name": schedule, "GroupName": self.physical["Schedules"]}
        deployed = scheduler.get_schedule(**name)
        target = deployed["Target"]
        before = target["Input"]
        target["Input"] = before.replace("<aws.scheduler.scheduled-time>", scheduled_at)
        assert target["Input"] != before, f"the schedule hands on no time: {before}"
        scheduler.update_schedule(
            **name,
            ScheduleExpression="rate(1 minute)",
            FlexibleTimeWindow=deployed["FlexibleTimeWindow"],
            Target=target,
        )

    def rest(self, schedule: str) -> None:
        """Let a schedule fire no more."""
        scheduler = self.root.client("scheduler")
        deployed = scheduler.get_schedule(Name=schedule, GroupName=self.physical["Schedules"])
        kept = ("Name", "GroupName", "ScheduleExpression", "FlexibleTimeWindow", "Target")
        scheduler.update_schedule(**{name: deployed[name] for name in kept}, State="DISABLED")
