"""What `template.yaml` promises, read from what SAM makes of it: routes, roles, queues, the table, alarms.

A wildcard, an open route or a queue without dead letters is refused here, and an exception has its reason beside it.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local.template import ACCOUNT, ROOT, Template, TemplateError, _overrides, expand
from tests.template.resources import RESOURCES, TEMPLATE, listed, of_type

# Resources that may end in a star, and why.
STARS = {
    r"arn:aws:logs:[^*]*:log-group:/aws/lambda/[^*]*:\*": "a log group's ARN covers its log streams by this ending",
    r"arn:aws:dynamodb:[^*]*:table/[^*/]*/stream/\*": "ListStreams knows no single stream; Lambda wants it of the role",
}


def statements() -> Iterator[tuple[str, dict[str, Any]]]:
    """Give every statement of every role and of every queue's policy, with where it stands."""
    for name, role in of_type("AWS::IAM::Role"):
        for policy in role.get("Policies", []):
            for statement in policy["PolicyDocument"]["Statement"]:
                yield name, statement
    for name, policy in of_type("AWS::SQS::QueuePolicy"):
        for statement in policy["PolicyDocument"]["Statement"]:
            yield name, statement


# ---------------------------------------------------------------- the API


def test_routes_and_scopes_are_those_of_the_contract() -> None:
    assert {(route.method, route.path): set(route.scopes) for route in TEMPLATE.routes} == {
        ("POST", "/activities"): {"club:ingest"},
        ("GET", "/members/{member_id}"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/statement"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/privileges"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/rewards"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/explanation"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/outlook"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/export"): {"club:read", "club:support"},
        ("GET", "/members/{member_id}/decisions"): {"club:support"},
        ("POST", "/members/{member_id}/adjustments"): {"club:admin"},
        ("DELETE", "/members/{member_id}"): {"club:admin"},
        ("POST", "/refunds/expedited"): {"club:decide"},
        ("POST", "/disputes/acceleration"): {"club:decide"},
        ("GET", "/decisions/{decision_id}"): {"club:decide", "club:support"},
        ("GET", "/club"): set(),
        ("GET", "/openapi.json"): set(),
    }


# Two documents that are the same for everybody and hold nothing of anybody's.
OPEN = {"/club", "/openapi.json"}


def test_no_route_is_open_but_where_this_says_why() -> None:
    assert {route.path for route in TEMPLATE.routes if route.authorizer is None} == OPEN
    for route in TEMPLATE.routes:
        if route.path in OPEN:
            assert route.scopes == ()
            assert TEMPLATE.functions[route.function].code.name == "privilege_centre"
            continue
        assert route.authorizer is not None, route.path
        assert route.scopes, f"{route.path}: an empty list of scopes lets any token in"
        assert route.authorizer.issuer == TEMPLATE.parameters["TokenIssuer"]
        assert route.authorizer.audience == (TEMPLATE.parameters["TokenAudience"],)


def test_what_answers_open_routes_may_do_nothing_but_log() -> None:
    spec = TEMPLATE.function("privilege_centre")
    assert {action for each in spec.statements for action in each.actions} == {
        "logs:CreateLogStream",
        "logs:PutLogEvents",
    }


def test_only_the_api_and_only_its_own_routes_may_invoke_a_function() -> None:
    permissions = dict(of_type("AWS::Lambda::Permission"))
    assert len(permissions) == len(TEMPLATE.routes)
    for permission in permissions.values():
        assert permission["Principal"] == "apigateway.amazonaws.com"
        method, path = permission["SourceArn"].rsplit(":", 1)[1].split("/", 2)[2].split("/", 1)
        known = {(route.method, re.sub(r"\{[^}]+\}", "*", route.path)) for route in TEMPLATE.routes}
        assert (method, f"/{path}") in known


def test_the_api_is_throttled_and_its_log_holds_no_personal_data() -> None:
    ((_, stage),) = of_type("AWS::ApiGatewayV2::Stage")
    assert int(stage["DefaultRouteSettings"]["ThrottlingRateLimit"]) > 0
    assert int(stage["DefaultRouteSettings"]["ThrottlingBurstLimit"]) > 0
    line = json.loads(stage["AccessLogSettings"]["Format"])
    assert line["requestId"] == "$context.requestId"
    for value in line.values():
        assert not re.search(r"claims|authorizer\.jwt|path|query|sourceIp|identity", value), value
    assert stage["AccessLogSettings"]["DestinationArn"] == TEMPLATE.arn_of("ApiLogs")


@pytest.mark.parametrize("hosts", ["", "https://shop.example", "https://shop.example,https://other.example:8443"])
def test_pages_of_the_hosts_may_read_the_api_and_those_of_others_may_not(hosts: str) -> None:
    template = Template(ROOT / "template.yaml", {"ClubPageHosts": hosts})
    # SAM looks at the value itself, so it is told of it.
    expanded = expand((ROOT / "template.yaml").read_text("utf-8"), tuple(template.parameters.items()))
    body = template.resolve(expanded["Resources"]["ClubApi"]["Properties"]["Body"])
    cors = body.get("x-amazon-apigateway-cors")
    if not hosts:
        assert cors is None, "without any, a browser hands no answer to another origin's page"
        return
    assert cors["allowOrigins"] == hosts.split(",")
    assert cors["allowMethods"] == ["GET"]
    assert set(cors["allowHeaders"]) == {"accept-language", "authorization"}
    assert not cors.get("allowCredentials"), "tokens are handed over, there are no cookies"


# ---------------------------------------------------------------- functions and roles


def test_each_function_has_a_role_of_its_own_that_only_lambda_may_take() -> None:
    roles = [props["Role"] for _, props in of_type("AWS::Lambda::Function")]
    assert len(roles) == len(set(roles)) == len(TEMPLATE.functions)
    for name, role in of_type("AWS::IAM::Role"):
        assert "ManagedPolicyArns" not in role, f"{name}: a managed policy reaches the whole account"
        (statement,) = role["AssumeRolePolicyDocument"]["Statement"]
        (service,) = listed(statement["Principal"]["Service"])
        wanted = "lambda" if TEMPLATE.arn_of(name) in roles else "scheduler"
        assert service == f"{wanted}.amazonaws.com"
        if wanted == "scheduler":
            assert statement["Condition"] == {
                "StringEquals": {"aws:SourceAccount": ACCOUNT, "aws:SourceArn": TEMPLATE.arn_of("Schedules")}
            }


def test_no_statement_has_a_wildcard_but_where_this_says_why() -> None:
    seen = set()
    for where, statement in statements():
        assert statement["Effect"] == "Allow"
        assert not {"NotAction", "NotResource", "NotPrincipal"} & statement.keys(), where
        for action in listed(statement["Action"]):
            assert re.fullmatch(r"[a-z]+:[A-Za-z]+", action), (where, action)
        for resource in listed(statement["Resource"]):
            reasons = [pattern for pattern in STARS if re.fullmatch(pattern, resource)]
            assert reasons or "*" not in resource, (where, resource)
            assert resource.startswith("arn:aws:"), (where, resource)
            seen.update(reasons)
    assert seen == set(STARS), "an exception that nobody needs any more"


def test_nobody_may_scan_or_delete_and_every_use_of_the_table_is_narrowed_by_key() -> None:
    table = TEMPLATE.arn_of("Ledger")
    for where, statement in statements():
        actions = set(listed(statement["Action"]))
        assert not actions & {"dynamodb:Scan", "dynamodb:DeleteItem"}, where
        # It could delete as well: for alerts alone, which a chunk of watchers puts by the hundred.
        assert "dynamodb:BatchWriteItem" not in actions or where == "PriceAlertsRole", where
        assert not any(action.startswith("dynamodb:PartiQL") for action in actions), where
        resources = listed(statement["Resource"])
        if any(resource == table or resource.startswith(f"{table}/index/") for resource in resources):
            (keys,) = statement["Condition"].values()
            for key in listed(keys["dynamodb:LeadingKeys"]):
                assert re.fullmatch(r"[A-Z]+#\*", key), (where, key)


def test_only_the_decisions_write_payouts_and_only_the_outbox_announces() -> None:
    def may(action: str, key: str | None = None) -> set[str]:
        found = set()
        for spec in TEMPLATE.functions.values():
            for statement in spec.statements:
                if action in statement.actions and (key is None or key in statement.leading_keys):
                    found.add(spec.code.name)
        return found

    assert may("dynamodb:PutItem", "PAYOUT#*") == {"expedited_refund"}
    assert may("dynamodb:PutItem", "DISPUTE#*") == {"dispute_acceleration"}
    assert may("events:PutEvents") == {"publish_changes"}
    sweeps = {"expiry_sweep", "demotion_sweep", "reward_sweep"}
    assert may("dynamodb:UpdateItem", "SWEEP#*") == sweeps
    assert may("dynamodb:UpdateItem") == {*sweeps, "publish_changes"}
    assert not {"E#*", "M#*"} & {
        key
        for spec in TEMPLATE.functions.values()
        if spec.code.name == "reward_sweep"
        for statement in spec.statements
        if "dynamodb:PutItem" in statement.actions
        for key in statement.leading_keys
    }, "rewards are no entries: who issues them posts nothing"
    assert not may("dynamodb:PutItem") & {"ingest_activity", "member_api"}


def test_price_alerts_write_alerts_and_nothing_else_and_only_the_outbox_sends_them_drops() -> None:
    writes = {
        (action, *statement.leading_keys)
        for statement in TEMPLATE.function("price_alerts").statements
        for action in statement.actions
        if action.startswith("dynamodb:") and not action.endswith(("GetItem", "Query"))
    }
    assert writes == {("dynamodb:BatchWriteItem", "ALERT#*")}
    queue = TEMPLATE.arn_of("PriceAlertQueue")
    senders = {
        spec.code.name
        for spec in TEMPLATE.functions.values()
        for statement in spec.statements
        if "sqs:SendMessage" in statement.actions and queue in statement.resources
    }
    assert senders == {"publish_changes", "price_alerts"}
    keys = [
        statement.leading_keys
        for spec in TEMPLATE.functions.values()
        for statement in spec.statements
        if "dynamodb:Query" in statement.actions and any(each.startswith("WATCH#") for each in statement.leading_keys)
    ]
    assert keys == [("WATCH#*",)], "who watches what is for the alerts alone to ask"


def test_an_invocation_works_off_one_chunk_of_watchers() -> None:
    (mapping,) = [each for each in TEMPLATE.queue_mappings if each.queue == TEMPLATE.arn_of("PriceAlertQueue")]
    assert mapping.batch_size == 1


def test_only_operators_adjust_and_what_is_kept_of_it_is_theirs_alone() -> None:
    able = {
        (spec.code.name, action.removeprefix("dynamodb:"))
        for spec in TEMPLATE.functions.values()
        for statement in spec.statements
        for action in statement.actions
        if "ADJUSTMENT#*" in statement.leading_keys
    }
    assert able == {("member_admin", action) for action in ("GetItem", "PutItem", "ConditionCheckItem")}


@pytest.mark.parametrize(("limit", "fits"), [("0.00", True), ("1000.00", True), ("1000", False), ("-1.00", False)])
def test_the_limit_of_spend_is_money(limit: str, fits: bool) -> None:
    from club_rules.money import parse_money

    if not fits:
        with pytest.raises(TemplateError):
            Template(ROOT / "template.yaml", {"AdjustmentSpendLimit": limit})
        return
    spec = Template(ROOT / "template.yaml", {"AdjustmentSpendLimit": limit}).function("member_admin")
    assert parse_money(spec.environment["ADJUSTMENT_SPEND_LIMIT"], "USD") >= 0
    assert int(spec.environment["ADJUSTMENT_POINTS_LIMIT"]) == 1000


def test_only_the_outbox_counts() -> None:
    writes = {
        (spec.code.name, action, key)
        for spec in TEMPLATE.functions.values()
        for statement in spec.statements
        for action in statement.actions
        for key in statement.leading_keys
        if action in {"dynamodb:PutItem", "dynamodb:UpdateItem"}
        and (spec.code.name == "publish_changes" or key.startswith("STANDING"))
    }
    assert writes == {
        ("publish_changes", "dynamodb:PutItem", "R#*"),
        ("publish_changes", "dynamodb:PutItem", "S#*"),
        ("publish_changes", "dynamodb:UpdateItem", "STANDING#*"),
    }


def test_what_is_read_in_one_batch_is_granted_by_one_statement() -> None:
    """IAM asks of all keys of a batch at once whether one statement allows them."""
    spec = next(each for each in TEMPLATE.functions.values() if each.code.name == "member_api")
    batches = [set(each.leading_keys) for each in spec.statements if "dynamodb:BatchGetItem" in each.actions]
    assert any({"M#*", "R#*", "STANDING#*"} <= keys for keys in batches)


def test_each_function_is_built_for_the_same_machine_and_keeps_its_logs_for_a_time() -> None:
    groups = dict(of_type("AWS::Logs::LogGroup"))
    used = set()
    for name, props in of_type("AWS::Lambda::Function"):
        assert (props["Runtime"], props["Architectures"], props["Handler"]) == ("python3.13", ["arm64"], "app.handler")
        assert (ROOT / props["Code"]["S3Key"] / "app.py").is_file(), name
        group = name.removesuffix("Function") + "Logs"
        assert props["LoggingConfig"]["LogGroup"] == TEMPLATE.name_of(group)
        assert props["Environment"]["Variables"]["POWERTOOLS_SERVICE_NAME"] == Path(props["Code"]["S3Key"]).name
        used.add(group)
    assert set(groups) == used | {"ApiLogs", "FactsLogs"}


def test_only_who_sends_to_its_own_queue_may_go_round_and_may_for_as_long_as_there_is_work() -> None:
    """Lambda takes a function that feeds itself for a mistake, and ends that after some 16 rounds: a sweep has more."""
    for name, props in of_type("AWS::Lambda::Function"):
        spec = TEMPLATE.functions[TEMPLATE.arn_of(name)]
        fed_by = {mapping.queue for mapping in TEMPLATE.queue_mappings if mapping.function == spec.arn}
        sends_to = {
            arn
            for statement in spec.statements
            if "sqs:SendMessage" in statement.actions
            for arn in statement.resources
        }
        assert props.get("RecursiveLoop") == ("Allow" if fed_by & sends_to else None), name


def test_no_function_is_traced_or_snapped() -> None:
    """docs/decisions.md says why not; a change of mind has to come by there."""
    for name, props in of_type("AWS::Lambda::Function"):
        assert "TracingConfig" not in props, name
        assert "SnapStart" not in props, name


def test_an_answer_to_the_api_comes_before_the_gateway_gives_up() -> None:
    for route in TEMPLATE.routes:
        assert TEMPLATE.functions[route.function].timeout_s < 30


def test_layers_are_built_from_their_folders() -> None:
    folders = {props["Content"]["S3Key"] for _, props in of_type("AWS::Lambda::LayerVersion")}
    assert folders == {f"layers/{name}/" for name in ("rules", "ledger", "http", "dependencies")}
    raw = (ROOT / "template.yaml").read_text()
    for folder in folders:
        assert (ROOT / folder / "Makefile").is_file()
    assert raw.count("BuildMethod: makefile") == len(folders)


def imports(folder: Path) -> set[str]:
    text = "\n".join(path.read_text() for path in folder.rglob("*.py"))
    return set(re.findall(r"^\s*(?:from|import) (club_\w+)", text, re.MULTILINE))


@pytest.mark.parametrize("spec", TEMPLATE.functions.values(), ids=lambda spec: spec.code.name)
def test_a_function_has_the_layers_that_it_imports_and_no_others(spec: Any) -> None:
    packages = {layer.name: f"club_{layer.name}" for layer in spec.layers if layer.name != "dependencies"}
    needed = imports(spec.code)
    for layer in ("ledger", "http", "rules"):  # a layer may need another, by the arrows of the house
        if f"club_{layer}" in needed:
            needed |= imports(ROOT / "layers" / layer)
    assert set(packages.values()) == needed & {"club_rules", "club_ledger", "club_http"}
    assert ROOT / "layers" / "dependencies" in spec.layers


# ---------------------------------------------------------------- queues, mappings, schedules


def test_every_queue_has_dead_letters_or_holds_them_for_a_fortnight() -> None:
    dead = {queue.dead_letters for queue in TEMPLATE.queues.values() if queue.dead_letters}
    dead |= {spec.async_dead_letters for spec in TEMPLATE.functions.values() if spec.async_dead_letters}
    dead |= {mapping.on_failure for mapping in TEMPLATE.stream_mappings if mapping.on_failure}
    for name, props in of_type("AWS::SQS::Queue"):
        assert props["MessageRetentionPeriod"] == 14 * 24 * 3600
        queue = TEMPLATE.queues[TEMPLATE.arn_of(name)]
        if queue.arn in dead:
            assert queue.dead_letters is None
        else:
            assert queue.max_receives == 5, f"{name} has no dead letters"


def test_no_two_queues_share_their_dead_letters() -> None:
    shared = [queue.dead_letters for queue in TEMPLATE.queues.values() if queue.dead_letters]
    assert len(shared) == len(set(shared)) == 5


def test_a_message_is_hidden_for_six_times_as_long_as_its_function_may_take() -> None:
    visibility = {TEMPLATE.arn_of(name): props for name, props in of_type("AWS::SQS::Queue")}
    for mapping in TEMPLATE.queue_mappings:
        timeout = TEMPLATE.functions[mapping.function].timeout_s
        assert visibility[mapping.queue]["VisibilityTimeout"] >= 6 * timeout
        assert mapping.partial_failures


def test_what_fails_in_the_stream_is_kept_and_holds_up_nothing_for_ever() -> None:
    (mapping,) = TEMPLATE.stream_mappings
    assert mapping.partial_failures
    assert mapping.bisect
    assert mapping.attempts is not None
    assert mapping.on_failure == TEMPLATE.arn_of("ChangeDeadLetters")


def test_posting_leaves_a_new_table_its_breath() -> None:
    queues = 0
    for name, props in of_type("AWS::Lambda::EventSourceMapping"):
        assert props["FunctionResponseTypes"] == ["ReportBatchItemFailures"], name
        if props["EventSourceArn"] in TEMPLATE.queues:
            assert int(props["ScalingConfig"]["MaximumConcurrency"]) >= 2, name
            queues += 1
    assert queues == 5


def test_the_bus_takes_every_type_of_activity_to_the_queue() -> None:
    (rule,) = (each for each in TEMPLATE.rules if each.logical_id == "MarketplaceActivity")
    assert rule.bus == TEMPLATE.buses[0]
    # of every type, known or not: what is not known has to become a dead letter, and not to vanish
    assert rule.pattern == {"source": ["marketplace"]}
    assert rule.targets == (TEMPLATE.arn_of("ActivityQueue"),)
    props = dict(of_type("AWS::Events::Rule"))["MarketplaceActivity"]
    assert props["Targets"][0]["DeadLetterConfig"]["Arn"] == TEMPLATE.arn_of("ActivityDeadLetters")


def test_the_facts_log_takes_what_its_rule_writes_and_nothing_else() -> None:
    ((_, policy),) = of_type("AWS::Logs::ResourcePolicy")
    streams, events = json.loads(policy["PolicyDocument"])["Statement"]
    for statement, action in ((streams, "logs:CreateLogStream"), (events, "logs:PutLogEvents")):
        assert (statement["Effect"], statement["Action"]) == ("Allow", action)
        assert statement["Principal"] == {"Service": ["events.amazonaws.com", "delivery.logs.amazonaws.com"]}
        assert statement["Resource"] == TEMPLATE.arn_of("FactsLogs")
    assert events["Condition"] == {"ArnEquals": {"aws:SourceArn": TEMPLATE.arn_of("OperatorsFacts")}}


def test_the_bus_may_send_to_these_two_queues_and_nobody_else_may() -> None:
    policies = dict(of_type("AWS::SQS::QueuePolicy"))
    assert set(policies) == {"ActivityQueuePolicy", "ActivityDeadLettersPolicy"}
    for name, policy in policies.items():
        (statement,) = policy["PolicyDocument"]["Statement"]
        assert statement["Principal"] == {"Service": "events.amazonaws.com"}
        assert statement["Resource"] == TEMPLATE.arn_of(name.removesuffix("Policy"))
        assert statement["Condition"] == {"ArnEquals": {"aws:SourceArn": TEMPLATE.arn_of("MarketplaceActivity")}}


def test_sweeps_run_daily_with_the_scheduled_time_and_a_failed_start_is_kept() -> None:
    assert set(TEMPLATE.schedules) == {"ExpirySweep", "DemotionSweep", "RewardSweep"}
    minutes = {}
    for _, props in of_type("AWS::Scheduler::Schedule"):
        assert json.loads(props["Target"]["Input"]) == {"scheduled_at": "<aws.scheduler.scheduled-time>"}
        daily = re.fullmatch(r"cron\((\d+) 0 \* \* \? \*\)", props["ScheduleExpression"])
        assert daily is not None
        minutes[props["Name"]] = int(daily.group(1))
        assert props["ScheduleExpressionTimezone"] == "UTC"
        assert props["FlexibleTimeWindow"] == {"Mode": "OFF"}
        assert props["Target"]["DeadLetterConfig"]["Arn"] == TEMPLATE.arn_of("ScheduleDeadLetters")
        spec = TEMPLATE.functions[props["Target"]["Arn"]]
        assert spec.async_dead_letters == TEMPLATE.arn_of("ScheduleDeadLetters")
    # What has expired is out before tiers are looked at, and those before who gets a gift.
    assert minutes["ExpirySweep"] < minutes["DemotionSweep"] < minutes["RewardSweep"]


# ---------------------------------------------------------------- the table


def test_there_is_one_table_with_one_sparse_index() -> None:
    (table,) = TEMPLATE.tables.values()
    assert table.create["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    keys = {key["AttributeName"]: key["KeyType"] for key in table.create["KeySchema"]}
    assert keys == {"pk": "HASH", "sk": "RANGE"}
    (index,) = table.create["GlobalSecondaryIndexes"]
    assert index["IndexName"] == "due"
    assert index["Projection"] == {"ProjectionType": "KEYS_ONLY"}
    assert [key["AttributeName"] for key in index["KeySchema"]] == ["due_shard", "due_at"]


# ---------------------------------------------------------------- parameters


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TokenIssuer", "http://insecure.example/"),
        ("TokenIssuer", "https://issuer.example/?x=1"),
        ("TokenAudience", ""),
        ("ExpeditedRefunds", "true"),
        ("LogLevel", "LOUD"),
        ("TokenIssuer", "http://localhost.example/"),
        ("TokenIssuer", "http://127.0.0.1.example/"),
        ("LogRetentionDays", "2"),
        ("PayoutsPerHour", "0"),
        ("ArchiveDays", "-1"),
        ("PostingConcurrency", "1"),
        ("OutboxConcurrency", "11"),
        ("OutboxBatch", "1001"),
        ("SweepConcurrency", "1"),
        ("RequestBurst", "many"),
        ("AlarmTopicArn", "alarms"),
        ("ClubPageHosts", "http://shop.example"),
        ("ClubPageHosts", "https://shop.example/"),
        ("ClubPageHosts", "https://*.example"),
        ("ClubPageHosts", "https://shop.example https://other.example"),
        ("ClubPageHosts", "https://shop.example; script-src *"),
        ("ClubPageHosts", "null"),
        ("Colour", "red"),
    ],
)
def test_a_parameter_that_makes_no_sense_is_refused(name: str, value: str) -> None:
    with pytest.raises(TemplateError, match=name):
        Template(ROOT / "template.yaml", {name: value})


def test_what_is_turned_for_scale_reaches_the_mappings() -> None:
    turned = {"PostingConcurrency": "40", "SweepConcurrency": "64", "OutboxConcurrency": "2", "OutboxBatch": "1000"}
    template = Template(ROOT / "template.yaml", turned)
    at_once = {template.functions[each.function].code.name: each.concurrency_max for each in template.queue_mappings}
    (stream,) = (
        template.resolve(each["Properties"])
        for each in RESOURCES.values()
        if each["Type"] == "AWS::Lambda::EventSourceMapping" and "StartingPosition" in each["Properties"]
    )

    assert at_once["post_ledger"] == 40
    assert {at_once[f"{sweep}_sweep"] for sweep in ("expiry", "demotion", "reward")} == {64}
    assert at_once["price_alerts"] == 5
    assert (int(stream["ParallelizationFactor"]), int(stream["BatchSize"])) == (2, 1000)
    assert template.stream_mappings[0].batch_size == 1000


def test_whom_to_trust_has_no_default(tmp_path: Path) -> None:
    copy = tmp_path / "template.yaml"
    copy.write_text((ROOT / "template.yaml").read_text())
    with pytest.raises(TemplateError, match="TokenIssuer has no default"):
        Template(copy)  # without samconfig.toml beside it


@pytest.mark.parametrize(
    ("switch", "function", "variable"),
    [
        ("ExpeditedRefunds", "expedited_refund", "EXPEDITED_REFUNDS"),
        ("DisputeAcceleration", "dispute_acceleration", "DISPUTE_ACCELERATION"),
    ],
)
def test_a_switch_reaches_its_function(switch: str, function: str, variable: str) -> None:
    for value in ("on", "off"):
        template = Template(ROOT / "template.yaml", {switch: value})
        assert template.function(function).environment[variable] == value


@pytest.mark.parametrize("hosts", ["", "https://shop.example", "https://shop.example,https://other.example:8443"])
def test_the_pages_hosts_reach_its_function(hosts: str) -> None:
    template = Template(ROOT / "template.yaml", {"ClubPageHosts": hosts})
    assert template.function("privilege_centre").environment["CLUB_PAGE_HOSTS"] == hosts


def test_overrides_are_read_as_sam_writes_them() -> None:
    assert _overrides('A=1 "B=2 3" C=x=y') == {"A": "1", "B": "2 3", "C": "x=y"}
    assert _overrides(["A=1", "B=2"]) == {"A": "1", "B": "2"}


# ---------------------------------------------------------------- the reader itself


def test_references_that_lead_nowhere_are_told() -> None:
    for value in ({"Ref": "Nothing"}, {"Fn::GetAtt": ["Nothing", "Arn"]}, {"Fn::Sub": "${Nothing}"}):
        with pytest.raises(TemplateError, match="no such"):
            TEMPLATE.resolve(value)
    with pytest.raises(TemplateError, match="Fn::ImportValue is not known"):
        TEMPLATE.resolve({"Fn::ImportValue": "x"})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Sub": "a-${AWS::Region}-${!Literal}"}, "a-eu-west-1-${Literal}"),
        ({"Fn::Sub": ["${a}-${Ledger}", {"a": {"Ref": "LogLevel"}}]}, "WARNING-buyers-club-local-Ledger"),
        ({"Fn::Join": ["/", ["a", {"Ref": "AWS::AccountId"}]]}, "a/123456789012"),
        ({"Fn::Select": ["1", {"Fn::Split": [",", "a,b,c"]}]}, "b"),
        ({"Fn::If": ["HasAlarmTopic", 1, 2]}, 2),
        ([1, {"Ref": "AWS::NoValue"}, {"a": {"Ref": "AWS::NoValue"}, "b": 1}], [1, {"b": 1}]),
        ({"Fn::GetAtt": "ActivityQueue.QueueName"}, "buyers-club-local-ActivityQueue"),
        ({"Ref": "ClubBus"}, "buyers-club-local"),
        ({"Fn::And": [True, {"Fn::Not": [False]}]}, True),
        ({"Fn::Or": [False, {"Fn::Equals": ["a", "b"]}]}, False),
    ],
)
def test_references_are_resolved_as_cloudformation_does(value: Any, expected: Any) -> None:
    assert TEMPLATE.resolve(value) == expected
