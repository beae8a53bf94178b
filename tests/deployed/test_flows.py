"""The deployed club from end to end: over HTTP and the bus, with the functions' own roles.

What the emulator can't do, and what stands in for it, is in docs/deployed.md and in tests/deployed/club.py.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import pytest

from tests.access.matrix import ROWS
from tests.deployed.club import PATIENCE_S, Club, until

Event = dict[str, Any]
NOW = datetime.now(UTC)
A_YEAR_ON = NOW + timedelta(days=400)


def instant(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


def event(kind: str, event_id: str, member: str | None, data: Event | None = None, ago: float = 60) -> Event:
    """An event as POST /activities takes it, that occurred so many seconds ago."""
    occurred_at = instant(NOW - timedelta(seconds=ago))
    content: Event = {"event_id": event_id, "type": kind, "occurred_at": occurred_at, "data": data or {}}
    return content if member is None else {**content, "member_id": member}


def order(member: str, order_id: str, price: str) -> Event:
    line = {"item_id": "i-1", "seller_id": "s-1", "category": "books", "unit_price": price, "quantity": 1}
    return event(
        "order.completed",
        f"{member}-{order_id}",
        member,
        {"order_id": order_id, "currency": "USD", "lines": [line], "flags": []},
    )


def promotion(member: str, points: int, program: str = "club") -> Event:
    data = {"campaign_id": "c-1", "points": points, "program": program}
    return event("promotion.awarded", f"{member}-{program}-{points}", member, data)


def tier(club: Club, member: str, program: str = "club") -> str | None:
    summary = club.summary(member)
    return summary["programs"][program]["tier"] if summary else None


def test_everything_of_the_template_is_there(club: Club, told: list[str]) -> None:
    """The routes came from the expanded template, since the emulator takes an HttpApi without its body."""
    assert club.status == "CREATE_COMPLETE"
    assert club.routes_before == 0, "the emulator has learnt to read an HttpApi's body: import no routes any more"
    assert len(club.routes) == len(ROWS) == len(club.template.routes)
    assert len(club.root.client("lambda").list_functions()["Functions"]) == len(club.template.functions)
    mappings = club.root.client("lambda").list_event_source_mappings()["EventSourceMappings"]
    assert len(mappings) == len(club.template.queue_mappings) + len(club.template.stream_mappings)
    assert {each["State"] for each in mappings} == {"Enabled"}
    assert all(each["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for each in mappings)
    assert club.outputs["TableName"] == club.table
    told.append(f"deployed: {len(club.physical)} resources, {len(club.routes)} routes, to {club.stack}")


def test_an_activity_becomes_an_entry_and_an_announcement(club: Club) -> None:
    club.post(event("member.registered", "flow-1", "flow"), order("flow", "flow-o-1", "25.00"))
    until(lambda: tier(club, "flow") == "A1", "the order is not in the summary")
    newest, *_ = club.entries("flow")
    assert (newest["kind"], newest["event_id"], newest["points"] > 0) == ("accrual", "flow-flow-o-1", True)
    change, *_ = until(
        lambda: club.announced("tier.changed", member_id="flow", program="club"), "nothing was announced"
    )
    assert (change["from"], change["to"]) == ("A0", "A1")

    before = club.entries("flow")
    club.post(order("flow", "flow-o-1", "25.00"), promotion("flow", 5))
    until(lambda: len(club.entries("flow")) > len(before), "the promotion is not in the statement")
    assert [each["event_id"] for each in club.entries("flow")] == [
        "flow-club-5",
        *(each["event_id"] for each in before),
    ]


def test_an_event_of_the_bus_takes_the_same_way(club: Club) -> None:
    sent = order("by-bus", "bus-o-1", "30.00")
    club.publish(sent.pop("type"), sent)
    until(lambda: tier(club, "by-bus") == "A1", "the event of the bus was not posted")


def test_what_cant_be_posted_is_a_dead_letter_with_its_reason_and_holds_up_nobody(club: Club) -> None:
    bad, good = event("order.shipped", "dead-1", "dead"), order("dead", "dead-o-1", "30.00")
    for each in (bad, good):
        club.publish(each.pop("type"), each)
    until(lambda: tier(club, "dead") == "A1", "the neighbour was held up")

    def letter() -> Event | None:
        return next((each for each in club.letters("ActivityDeadLetters") if "dead-1" in each["Body"]), None)

    found = until(letter, "there is no dead letter")
    assert found["MessageAttributes"]["reason"]["StringValue"] == "unknown_type"
    assert json.loads(found["Body"])["detail"]["event_id"] == "dead-1"

    # It goes round, and is back with the same reason, since the cause is still there. The emulator moves no messages.
    queues, first = club.root.client("sqs"), found["MessageId"]
    queues.delete_message(QueueUrl=club.physical["ActivityDeadLetters"], ReceiptHandle=found["ReceiptHandle"])
    queues.send_message(QueueUrl=club.physical["ActivityQueue"], MessageBody=found["Body"])
    again = until(lambda: (new := letter()) and new["MessageId"] != first and new, "it has not come back")
    assert again["MessageAttributes"]["reason"]["StringValue"] == "unknown_type"


def test_decisions(club: Club) -> None:
    club.post(event("member.registered", "decide-1", "decide"), order("decide", "decide-o-1", "20.00"))
    club.post(promotion("decide", 3000))
    until(lambda: tier(club, "decide") == "A4", "the member is not in A4")
    token = club.issuer.token("disputes", "club:decide")
    asked = {
        "request_id": "decide-r-1",
        "member_id": "decide",
        "order_id": "decide-o-1",
        "dispute_id": "decide-d-1",
        "refund": {"kind": "full", "amount": "20.00", "currency": "USD"},
        "seller_approved_at": instant(NOW),
        "return_shipment": {"carrier": "post", "tracking_number": "t-1", "first_scan_at": instant(NOW)},
        "order_eligible": True,
    }
    status, decision = club.ask("POST", "/refunds/expedited", token, asked)
    assert (status, decision["decision"]) == (200, "approved"), decision
    assert decision["payout"]["amount"] == "20.00"
    assert club.ask("POST", "/refunds/expedited", token, asked) == (200, decision), "the same once more"
    status, _ = club.ask("POST", "/refunds/expedited", token, {**asked, "dispute_id": "decide-d-2"})
    assert status == 409
    status, stored = club.ask("GET", f"/decisions/{decision['decision_id']}", token)
    assert (status, stored["digest"]) == (200, decision["digest"])

    due = instant(NOW + timedelta(days=9))
    status, faster = club.ask(
        "POST",
        "/disputes/acceleration",
        token,
        {
            "request_id": "decide-q-1",
            "member_id": "decide",
            "order_id": "decide-o-1",
            "dispute_id": "decide-d-1",
            "escalated_at": instant(NOW),
            "review_due_at": due,
        },
    )
    assert (status, faster["decision"], faster["review_due_at"] < due) == (200, "approved", True), faster
    for kind, of in (("refund.expedited", decision), ("dispute.accelerated", faster)):
        told, *_ = until(partial(club.announced, kind, member_id="decide"), f"{kind} was not announced")
        assert told["decision_id"] == of["decision_id"]


def test_operators(club: Club) -> None:
    admin, support = (club.issuer.token("operator", scope) for scope in ("club:admin", "club:support"))
    for member in ("adjusted", "erased"):
        club.post(event("member.registered", f"{member}-1", member, {"birthday": "1984-02-29"}))
        until(partial(club.summary, member), f"{member} is not there")
    slip = {"adjustment_id": "a-1", "program": "club", "points": 7, "reason": "a slip"}
    status, _ = club.ask("POST", "/members/adjusted/adjustments", admin, slip)
    assert status == 200
    assert club.summary("adjusted")["programs"]["club"]["points"] == 7  # type: ignore[index]
    assert club.ask("DELETE", "/members/erased", admin) == (204, None)
    assert club.ask("GET", "/members/erased", support)[0] == 404


def test_a_price_that_drops_is_told_to_who_watches(club: Club) -> None:
    watched = {"item_id": "watched-1"}
    club.post(order("watcher", "watch-o-1", "30.00"), event("wishlist.item_added", "watch-1", "watcher", watched, 30))
    until(lambda: len(club.entries("watcher")) == 1 and tier(club, "watcher") == "A1", "the watcher is not posted")
    prices = {"old_price": "12.50", "new_price": "9.99", "currency": "USD"}
    club.post(event("price.dropped", "watch-drop", None, {**watched, **prices}, 1))
    alert, *_ = until(lambda: club.announced("price.alert", member_id="watcher"), "nobody was told")
    assert (alert["item_id"], alert["new_price"]) == ("watched-1", "9.99")


def test_the_sweeps_by_their_schedules(club: Club) -> None:
    """400 days on everything has expired, so who was in A3 is not any more; and a birthday has been."""
    club.post(event("member.registered", "swept-1", "swept", {"birthday": "1984-02-29", "country": "NL"}))
    club.post(promotion("swept", 700), promotion("swept", 10_000, "crowns"))
    until(lambda: tier(club, "swept") == "A3", "the member is not in A3")
    runs = {f"{each}Sweep": instant(A_YEAR_ON) for each in ("Reward", "Expiry", "Demotion")}
    assert set(runs) == set(club.template.schedules)
    for schedule, scheduled_at in runs.items():
        club.fire(schedule, scheduled_at)
    for schedule, scheduled_at in runs.items():
        finished, *_ = until(
            partial(club.announced, "sweep.finished", sweep=schedule),
            f"{schedule} has not finished",
            2 * PATIENCE_S,
        )
        club.rest(schedule)
        assert (finished["scheduled_at"], finished["halted"]) == (scheduled_at, False)
    assert until(lambda: club.announced("points.expired", member_id="swept", program="club"), "nothing has expired")
    until(lambda: club.announced("tier.changed", member_id="swept", program="club", **{"from": "A3"}), "nobody fell")
    assert until(lambda: club.announced("reward.granted", member_id="swept"), "no reward was granted")
    assert {each["kind"] for each in club.entries("swept")} >= {"accrual", "expiry"}


def test_a_sweep_that_could_not_be_started_is_a_dead_letter(club: Club) -> None:
    functions = club.root.client("lambda")
    name = club.physical["ExpirySweepFunction"]
    functions.invoke(FunctionName=name, InvocationType="Event", Payload=b'{"scheduled_at": "never"}')
    letter, *_ = until(
        lambda: [each for each in club.letters("ScheduleDeadLetters") if "never" in each["Body"]], "it was dropped"
    )
    body = json.loads(letter["Body"])
    # AWS keeps the input itself; the emulator writes of it as to a destination
    assert body["requestPayload"] == {"scheduled_at": "never"}
    assert body["requestContext"]["approximateInvokeCount"] == 3


@pytest.mark.parametrize("queue", ["ExpirySweep", "DemotionSweep", "RewardSweep", "PriceAlert", "Change"])
def test_nothing_else_is_dead(club: Club, queue: str) -> None:
    assert club.letters(f"{queue}DeadLetters") == []
