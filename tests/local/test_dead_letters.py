"""Poison at every queue and in the stream: it ends among the dead letters, and its neighbours never notice."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from club_ledger.items import pack, unpack
from local.stack import Stack
from tests.local.test_club import NOW, Club, table_of

SWEEPS = {"ExpirySweep": "expiry_sweep", "DemotionSweep": "demotion_sweep", "RewardSweep": "reward_sweep"}


def item(stack: Stack, pk: str, sk: str) -> dict[str, Any]:
    key = {"pk": {"S": pk}, "sk": {"S": sk}}
    found: dict[str, Any] = stack.client("dynamodb").get_item(TableName=table_of(stack), Key=key)["Item"]
    return found


def put(stack: Stack, what: dict[str, Any]) -> None:
    stack.client("dynamodb").put_item(TableName=table_of(stack), Item=what)


def spoil(stack: Stack, pk: str, sk: str) -> dict[str, Any]:
    """Makes an item's body unreadable; what it was before."""
    before = item(stack, pk, sk)
    put(stack, {**before, "body": {"B": b"poison"}})
    stack.work_streams()
    return before


def queue(stack: Stack, name: str) -> Any:
    return next(each for each in stack.queues.by_arn.values() if each.spec.logical_id == name)


def reasons(stack: Stack) -> list[tuple[str, str]]:
    return [(letter["queue"], letter["reason"]) for letter in stack.dead_letters()]


def test_poison_among_activity(stack: Stack) -> None:
    """What can't be read, what is refused, and a member whose account is broken: each alone, whatever the batch."""
    club = Club(stack)
    club.send(club.order("broken", "o-0"))
    before = spoil(stack, "M#broken", "J~")
    dead = [letter for letter in stack.dead_letters() if letter["queue"] != "ChangeDeadLetters"]
    assert dead == []
    activity = queue(stack, "ActivityQueue")
    stack.queues.send(activity.spec.arn, "{not json")
    stack.queues.send(activity.spec.arn, json.dumps({"detail-type": "visit.recorded", "detail": {"event_id": "x"}}))
    club.send(*(club.order(who, f"o-{who}") for who in ("anna", "broken", "bert", "cleo")))

    letters = [letter for letter in reasons(stack) if letter[0] == "ActivityDeadLetters"]
    assert sorted(reason for _, reason in letters) == ["invalid_json", "missing", "retries_exhausted"]
    for who in ("anna", "bert", "cleo"):
        assert unpack(item(stack, f"M#{who}", "J~")["body"]["B"])["n"] == 1

    put(stack, before)
    stack.set_clock(NOW + timedelta(days=20))
    assert stack.redrive().delivered >= 1
    assert [reason for name, reason in reasons(stack) if name == "ActivityDeadLetters"] == ["invalid_json", "missing"]
    entry = unpack(item(stack, "E#e-3", "-")["body"]["B"])
    assert entry["posted_at"].startswith("2026-12-12"), "the moment of a letter is that of its redrive"
    assert entry["occurred_at"].startswith("2026-11-22")


@pytest.mark.parametrize("name", SWEEPS)
def test_poison_among_the_chunks_of_a_sweep(stack: Stack, name: str) -> None:
    """A member who can't be swept gets a message of their own, and that is what ends among the dead letters."""
    club = Club(stack)
    people = [f"m-{number}" for number in range(12)]
    club.send(*(club.order(who, f"o-{who}", price="700.00") for who in people))
    pk, sk = ("R#m-3", "-") if name == "RewardSweep" else ("M#m-3", "J~")
    before = spoil(stack, pk, sk)
    chunks = queue(stack, f"{name}Queue")
    stack.queues.send(chunks.spec.arn, "{not json")
    at = NOW + timedelta(days=400)
    stack.set_clock(at)
    stack.fire(name, at)

    letters = [letter for letter in stack.dead_letters() if letter["queue"] == f"{name}DeadLetters"]
    assert [letter["reason"] for letter in letters] == ["retries_exhausted"] * 2
    assert [letter["message"]["member_id"] for letter in letters if isinstance(letter["message"], dict)] == ["m-3"]
    for who in people:
        if who != "m-3":
            state = unpack(item(stack, pk.replace("m-3", who), sk)["body"]["B"])
            assert state.get("n", 0) > 1 or state.get("issued"), f"{who} has been swept"
    assert [each["DetailType"] for each in stack.published("sweep.finished")] == ["sweep.finished"]

    put(stack, before)
    stack.redrive()
    assert [letter for letter in reasons(stack) if letter[0] == f"{name}DeadLetters"] == [
        (f"{name}DeadLetters", "retries_exhausted")
    ], "what is no message stays"


def test_poison_among_price_alerts(stack: Stack) -> None:
    club = Club(stack)
    club.send(club.order("anna", "o-1", price="700.00"), club.event("wishlist.item_added", "anna", {"item_id": "i-7"}))
    alerts = queue(stack, "PriceAlertQueue")
    stack.queues.send(alerts.spec.arn, "{not json")
    stack.queues.send(alerts.spec.arn, json.dumps({"event_id": "x"}))
    drop = {"item_id": "i-7", "old_price": "9.00", "new_price": "7.00", "currency": "USD"}
    event = club.event("price.dropped", "", drop)
    del event["member_id"]
    club.send(event)

    assert reasons(stack) == [("PriceAlertDeadLetters", "retries_exhausted")] * 2
    (told,) = stack.published("price.alert")
    assert json.loads(told["Detail"])["member_id"] == "anna"


def test_poison_in_the_stream(stack: Stack, capsys: pytest.CaptureFixture[str]) -> None:
    """One record that can't be read: the batch is split until it is alone, the rest is announced, counted, granted."""
    club = Club(stack)
    poison = {"pk": {"S": "E#poison"}, "sk": {"S": "-"}, "body": {"B": b"poison"}, "digest": {"S": ""}}
    events = [club.order(f"m-{number}", f"o-{number}", price="700.00") for number in range(4)]
    body = {"events": events[:2]}
    assert club.call("POST", "/activities", "market", "club:ingest", body)[0] == 202
    put(stack, poison)
    club.send(*events[2:])

    assert reasons(stack) == [("ChangeDeadLetters", "retries_exhausted")]
    (letter,) = stack.dead_letters()
    assert letter["message"]["DDBStreamBatchInfo"]["batchSize"] == 1
    assert letter["message"]["requestContext"]["condition"] == "RetryAttemptsExhausted"
    reached = [json.loads(each["Detail"])["member_id"] for each in stack.published("tier.changed")]
    assert set(reached) == {"m-0", "m-1", "m-2", "m-3"}
    assert all(item(stack, f"{kind}#m-{number}", "-") for kind in "RS" for number in range(4))

    # the record is what it was: sent round again it comes back, and holds up nobody
    club.send(club.order("m-9", "o-9", price="700.00"))
    assert stack.redrive().dead_lettered == 1
    assert reasons(stack) == [("ChangeDeadLetters", "retries_exhausted")]
    assert item(stack, "S#m-9", "-")


def test_a_schedule_that_fails_goes_round_with_its_own_time(stack: Stack) -> None:
    """An input that is none fails each time; it is kept with what the function said, and other sweeps go on."""
    club = Club(stack)
    club.send(club.order("anna", "o-1"))
    stack.order_fault({"operation": "PutItem", "kind": "error", "rate": 1.0})
    stack.fire("ExpirySweep", NOW)
    stack.order_fault({})

    (letter,) = stack.dead_letters()
    assert (letter["queue"], letter["reason"]) == ("ScheduleDeadLetters", "retries_exhausted")
    assert letter["message"] == {"scheduled_at": "2026-11-22T10:15:00Z"}
    assert letter["detail"]
    stack.fire("RewardSweep", NOW)
    assert len(stack.published("sweep.finished")) == 1

    stack.set_clock(NOW + timedelta(days=13))
    stack.redrive()
    assert stack.dead_letters() == []
    finished = [json.loads(each["Detail"])["scheduled_at"] for each in stack.published("sweep.finished")]
    assert finished == ["2026-11-22T10:15:00Z"] * 2
    assert pack({})
