"""What an operator is told of: every queue, function and sweep has its alarms, and each metric has a source.

Each promise is asserted over all resources of a kind, so that a new queue without its alarm fails here.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from club_ledger import items, outbox
from club_rules.programs import load_programs
from local.stack import Stack
from local.template import Template
from tests.template.resources import PATH, RESOURCES, TEMPLATE, of_type

ALARMS = dict(of_type("AWS::CloudWatch::Alarm"))
FILTERS = dict(of_type("AWS::Logs::MetricFilter"))
OWN = f"BuyersClub/{TEMPLATE.stack_name}"
# A sweep runs once a night, within the hour after midnight: 26 hours without its end is a night without it.
HOURS_WITHOUT_A_SWEEP = 26
# CloudWatch looks back for so long at most, where a period is an hour or more; else for a day.
SECONDS_LOOKED_BACK_MAX = 7 * 86_400
SELECTOR = re.compile(r"""\{ \$\.([\w.-]+) = "([^"]+)" \}""")


def watching(metric: str) -> dict[str, dict[str, Any]]:
    """The alarms on a metric, by the value of their one dimension."""
    found = {}
    for alarm in ALARMS.values():
        if alarm["MetricName"] == metric:
            (dimension,) = alarm["Dimensions"]
            assert dimension["Value"] not in found, f"{metric} of {dimension['Value']} has two alarms"
            found[dimension["Value"]] = alarm
    return found


def names_of(functions: Any) -> set[str]:
    return {spec.name for spec in functions}


# ---------------------------------------------------------------- over all of a kind


def test_every_alarm_says_what_is_the_matter_and_where_it_ends() -> None:
    for name, alarm in ALARMS.items():
        assert name.endswith("Alarm")
        assert re.fullmatch(r"[A-Za-z].{20,}\.", alarm["AlarmDescription"]), name
        assert "AlarmName" not in alarm, f"{name}: a fixed name allows one stack an account"
        span = alarm["Period"] * alarm["EvaluationPeriods"]
        assert span <= (SECONDS_LOOKED_BACK_MAX if alarm["Period"] >= 3600 else 86_400), name
        assert alarm["Statistic"] in {"Sum", "Maximum"}
        late = name.endswith("SweepIsLateAlarm")
        assert alarm["TreatMissingData"] == ("breaching" if late else "notBreaching"), name
        assert alarm["ComparisonOperator"] == ("LessThanThreshold" if late else "GreaterThanThreshold"), name


def test_no_two_alarms_are_the_same() -> None:
    texts = [alarm["AlarmDescription"] for alarm in ALARMS.values()]
    assert len(texts) == len(set(texts))


def test_every_queue_raises_an_alarm() -> None:
    """A letter in a queue of dead letters does; in the others it does when it has waited for too long."""
    letters, late = watching("ApproximateNumberOfMessagesVisible"), watching("ApproximateAgeOfOldestMessage")
    holders = {queue.name for queue in TEMPLATE.queues.values() if queue.dead_letters is None}
    assert letters.keys() == holders
    assert late.keys() == {queue.name for queue in TEMPLATE.queues.values()} - holders
    for alarm in letters.values():
        assert (alarm["Threshold"], alarm["Statistic"], alarm["EvaluationPeriods"]) == (0, "Maximum", 1)
    for name, alarm in late.items():
        queue = next(each for each in TEMPLATE.queues.values() if each.name == name)
        assert alarm["Statistic"] == "Maximum"
        # later than when one try has failed, earlier than when the last one has
        assert queue.visibility_s < alarm["Threshold"] < queue.visibility_s * (queue.max_receives or 1)


def test_every_function_raises_an_alarm_when_it_crashes_and_when_it_is_throttled() -> None:
    functions = names_of(TEMPLATE.functions.values())
    for metric in ("Errors", "Throttles"):
        alarms = watching(metric)
        assert alarms.keys() == functions
        for alarm in alarms.values():
            assert (alarm["Namespace"], alarm["Statistic"], alarm["Threshold"]) == ("AWS/Lambda", "Sum", 0)


def test_every_stream_raises_an_alarm_long_before_its_records_are_gone() -> None:
    late = watching("IteratorAge")
    fed = names_of(TEMPLATE.functions[mapping.function] for mapping in TEMPLATE.stream_mappings)
    assert late.keys() == fed
    for alarm in late.values():
        assert alarm["Threshold"] <= 3_600_000, "milliseconds; a stream forgets after a day"


def test_every_sweep_raises_an_alarm_when_a_night_goes_by_without_its_end() -> None:
    alarms = watching("SweepsFinished")
    assert alarms.keys() == set(TEMPLATE.schedules)
    for alarm in alarms.values():
        assert (alarm["Statistic"], alarm["Threshold"], alarm["Period"]) == ("Sum", 1, 3600)
        assert alarm["EvaluationPeriods"] == HOURS_WITHOUT_A_SWEEP
        assert alarm["Dimensions"][0]["Name"] == "Sweep"


def test_the_api_raises_an_alarm() -> None:
    api = TEMPLATE.name_of("ClubApi")
    assert watching("5xx")[api]["Threshold"] == 0
    assert watching("4xx")[api]["Threshold"] > 0, "one refusal is nobody's emergency"


def test_payouts_beyond_the_rate_raise_an_alarm() -> None:
    for most in ("1", "250"):
        alarm = Template(PATH, {"PayoutsPerHour": most}).resolve(RESOURCES["PayoutRateAlarm"]["Properties"])
        assert (alarm["Threshold"], alarm["Period"], alarm["Statistic"]) == (most, 3600, "Sum")
        assert (alarm["Namespace"], alarm["MetricName"]) == (OWN, "RefundsExpedited")


def test_alarms_are_sent_where_a_topic_is_named_and_only_there() -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:alarms"
    for parameters, expected in (({}, None), ({"AlarmTopicArn": topic}, [topic])):
        template = Template(PATH, parameters)
        for name in ALARMS:
            alarm = template.resolve(RESOURCES[name]["Properties"])
            assert alarm.get("AlarmActions") == alarm.get("OKActions") == expected


# ---------------------------------------------------------------- metrics of our own


def metrics() -> Iterator[tuple[str, dict[str, Any]]]:
    for name, looks in FILTERS.items():
        (metric,) = looks["MetricTransformations"]
        assert (metric["MetricNamespace"], metric["MetricValue"]) == (OWN, "1"), name
        yield metric["MetricName"], looks


def test_every_metric_of_our_own_is_made_and_looked_at() -> None:
    made = dict(metrics())
    assert len(made) == len(FILTERS)
    assert made.keys() == {alarm["MetricName"] for alarm in ALARMS.values() if alarm["Namespace"] == OWN}
    foreign = {alarm["Namespace"] for alarm in ALARMS.values()} - {OWN}
    assert foreign == {"AWS/SQS", "AWS/Lambda", "AWS/ApiGateway"}


def matches(pattern: str, event: Any) -> bool:
    """Whether CloudWatch's filter pattern finds an event; of its language this knows one comparison of a text."""
    found = SELECTOR.fullmatch(pattern)
    assert found, pattern
    for name in found.group(1).split("."):
        event = event.get(name) if isinstance(event, dict) else None
    return bool(event == found.group(2))


def test_the_halt_of_a_sweep_is_read_off_its_log_at_every_level() -> None:
    """The filter looks for what `sweep_handler` says as an error; a test of the brake reads the same words."""
    looks = dict(metrics())["SweepsHalted"]
    assert looks["LogGroupName"] == TEMPLATE.name_of("DemotionSweepLogs")
    assert matches(looks["FilterPattern"], {"message": "sweep halted"})
    assert not matches(looks["FilterPattern"], {"message": "sweep finished"})


def facts_rule() -> Any:
    return next(rule for rule in TEMPLATE.rules if rule.logical_id == "OperatorsFacts")


def as_logged(entry: dict[str, Any]) -> dict[str, Any]:
    """An entry of PutEvents as the rule writes it to the log."""
    return {"source": entry["Source"], "detail-type": entry["DetailType"], "detail": json.loads(entry["Detail"])}


def test_what_operators_are_told_of_goes_to_the_log_that_the_metrics_are_read_from() -> None:
    rule, group = facts_rule(), TEMPLATE.name_of("FactsLogs")
    assert rule.bus == TEMPLATE.buses[0]
    assert rule.targets == (TEMPLATE.arn_of("FactsLogs").removesuffix(":*"),)
    read = {looks["LogGroupName"] for name, looks in metrics() if name != "SweepsHalted"}
    assert read == {group}
    assert group.startswith("/aws/events/"), "EventBridge writes to no other"


def test_the_end_of_every_sweep_is_counted() -> None:
    looks = dict(metrics())["SweepsFinished"]
    (dimension,) = looks["MetricTransformations"][0]["Dimensions"]
    assert dimension == {"Key": "Sweep", "Value": "$.detail.sweep"}
    with Stack(datetime(2026, 11, 22, 1, 0, tzinfo=UTC)) as stack:
        for name in stack.template.schedules:
            stack.fire(name, datetime(2026, 11, 22, 0, 35, tzinfo=UTC))
        logged = [as_logged(entry) for entry in stack.published()]
    told = [each for each in logged if each["detail-type"] in facts_rule().pattern["detail-type"]]
    assert all(each["source"] in facts_rule().pattern["source"] for each in told)
    counted = [each["detail"]["sweep"] for each in told if matches(looks["FilterPattern"], each)]
    assert sorted(counted) == sorted(TEMPLATE.schedules)


def test_an_expedited_refund_is_counted(paid: dict[str, Any]) -> None:
    pattern = facts_rule().pattern
    assert paid["source"] in pattern["source"]
    assert paid["detail-type"] in pattern["detail-type"]
    assert matches(dict(metrics())["RefundsExpedited"]["FilterPattern"], paid)


@pytest.fixture
def paid() -> dict[str, Any]:
    """The announcement of a refund that was approved, as the outbox makes it of the stream's record, in the log."""
    decision = {
        "decision_id": "d-1",
        "member_id": "m-1",
        "decided_at": "2026-11-22T10:15:00Z",
        "order_id": "o-1",
        "dispute_id": "q-1",
        "program": "club",
        "tier": "A3",
        "decision": "approved",
        "payout": {"amount": "24.99", "currency": "USD", "to": "original_payment_method"},
    }
    key = {"pk": {"S": items.decision_key("d-1")}, "sk": {"S": "-"}}
    image = {**key, "body": {"B": base64.b64encode(items.pack(decision)).decode()}}
    record = {"eventName": "INSERT", "dynamodb": {"Keys": key, "NewImage": image}}
    ((kind, detail),) = outbox.announcements(record, load_programs())
    return as_logged({"Source": outbox.SOURCE, "DetailType": kind, "Detail": json.dumps(detail)})


# ---------------------------------------------------------------- the dashboard


def whole_row(before: list[str], row: list[str]) -> list[str]:
    """A row of a metric, with what "..." and "." take from the row before it."""
    if row[0] == "...":
        return before[: len(before) - len(row) + 1] + row[1:]
    return [before[place] if each == "." else each for place, each in enumerate(row)]


def test_the_dashboard_shows_every_queue_and_every_function() -> None:
    ((_, dashboard),) = of_type("AWS::CloudWatch::Dashboard")
    widgets = json.loads(dashboard["DashboardBody"])["widgets"]
    shown: dict[str, set[str]] = {}
    for widget in widgets:
        properties = widget["properties"]
        assert properties["region"] == "eu-west-1"
        row: list[str] = []
        for metric in properties["metrics"]:
            row = whole_row(row, [each for each in metric if isinstance(each, str)])
            shown.setdefault(row[1], set()).add(row[-1])
    functions = names_of(TEMPLATE.functions.values())
    assert shown["Errors"] == shown["Throttles"] == shown["Duration"] == functions
    watched = shown["ApproximateNumberOfMessagesVisible"] | shown["ApproximateAgeOfOldestMessage"]
    assert watched == {queue.name for queue in TEMPLATE.queues.values()}
    assert shown["SweepsFinished"] == set(TEMPLATE.schedules)
    assert {alarm["MetricName"] for alarm in ALARMS.values()} <= shown.keys()
