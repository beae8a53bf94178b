"""publish_changes: the table's stream becomes events on the bus, at least once and always the same (contract 2.3)."""

from __future__ import annotations

import base64
import copy
import json
from collections.abc import Callable

import pytest

from club_ledger.framing import Defect
from club_ledger.items import pack, unpack
from tests.integration.harness import (
    NOW,
    Club,
    Event,
    aws,
    days,
    event,
    instant,
    line,
    message,
    order,
    record,
    sample,
    template,
)

Announced = list[tuple[str, Event]]
NIGHT = NOW.replace(hour=0, minute=5)


def publish(club: Club, *records: Event) -> list[str]:
    """Gives records to the function; the positions from which on they are to come again."""
    answer = club.invoke("publish_changes", {"Records": list(records)})
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def published(club: Club) -> Announced:
    """What is on the bus."""
    return [(entry["DetailType"], json.loads(entry["Detail"])) for entry in club.wire.published]


def position(change: Event) -> str:
    found: str = change["dynamodb"]["SequenceNumber"]
    return found


def promotions(club: Club, number: int) -> list[Event]:
    """The stream of so many members who reach a tier of `club`: three records and one announcement each."""
    award = {"campaign_id": "c-1", "points": 100, "program": "club"}
    club.post(*(event("promotion.awarded", f"e-{n}", award, member_id=f"m-{n}") for n in range(number)))
    return club.stream()


# --- what is announced ----------------------------------------------------------------------------------------


def test_the_sample_is_announced(club: Club) -> None:
    changes = sample("publish_changes")["Records"]

    assert publish(club, *changes) == []

    assert [(kind, detail["program"], detail["from"], detail["to"]) for kind, detail in published(club)] == [
        ("tier.changed", "club", "A0", "A3"),
        ("tier.changed", "crowns", "none", "Platinum"),
    ]


def test_every_entry_goes_to_the_clubs_bus(club: Club) -> None:
    promotions(club, 2)
    club.announced()

    bus = template().function("publish_changes").environment["BUS_NAME"]
    assert {(entry["Source"], entry["EventBusName"]) for entry in club.wire.published} == {("buyers-club", bus)}
    assert all(entry.keys() == {"Source", "DetailType", "Detail", "EventBusName"} for entry in club.wire.published)


def test_a_tier_change(club: Club) -> None:
    club.post(order("o-1", line("i-1", "600.00")))

    assert club.announced()[0] == (
        "tier.changed",
        {
            "event_id": "e-o-1~club~tier",
            "member_id": "m-42",
            "occurred_at": instant(NOW),
            "program": "club",
            "from": "A0",
            "to": "A3",
            "on": "2026-11-22",
            "receipt_id": "e-o-1~club",
            "entry_id": "e-o-1",
            "cause": "accrual",
        },
    )
    _, statement = club.get("/members/me/statement", {"program": "club"})
    assert statement["entries"][0]["receipt_id"] == "e-o-1~club", "the receipt can be found by its id"


def test_what_expires_and_whom_it_costs_a_tier(club: Club) -> None:
    club.post(order("o-1", line("i-1", "1200.00"), at=NOW - days(90)), at=NOW - days(90))
    before = len(club.announced())
    club.sweep("ExpirySweep", NIGHT)
    club.sweep("DemotionSweep", NIGHT)

    told = club.announced()[before:]

    midnight = instant(NOW.replace(hour=0, minute=0))
    entry_id = club.entries()[1]["entry_id"]
    assert [kind for kind, _ in told] == ["points.expired", "sweep.finished", "tier.changed", "sweep.finished"]
    assert told[0][1] == {
        "event_id": f"{entry_id}~vip~expired",
        "member_id": "m-42",
        "occurred_at": midnight,
        "program": "vip",
        "spend": "1200.00",
        "entry_id": entry_id,
    }
    assert {name: told[2][1][name] for name in ("program", "from", "to", "on", "cause", "occurred_at")} == {
        "program": "vip",
        "from": "Silver",
        "to": "none",
        "on": "2026-11-22",
        "cause": "tier_review",
        "occurred_at": midnight,
    }


def test_the_last_point_that_expires_is_told_as_points(club: Club) -> None:
    before = NOW - days(365)
    club.post(event("visit.recorded", "e-1", at=before), at=before)
    club.sweep("ExpirySweep", NIGHT)

    ((_, detail),) = [each for each in club.announced() if each[0] == "points.expired"]

    assert detail.pop("event_id").startswith(detail["entry_id"])
    assert detail == {
        "member_id": "m-42",
        "occurred_at": instant(NOW.replace(hour=0, minute=0)),
        "program": "crowns",
        "points": 1,
        "entry_id": club.entries()[-1]["entry_id"],
    }


def test_points_that_come_back_have_not_expired(club: Club) -> None:
    """The end of a penalty is an `expiry` upwards (rules 1.8): nobody is told that points were lost."""
    club.post(order("o-1", line("i-1", "300.00"), at=NOW - days(30)), at=NOW - days(30))
    club.post(
        event("violation.confirmed", "e-1", {"case_id": "v-1", "kind": "spam"}, at=NOW - days(30)), at=NOW - days(30)
    )
    club.sweep("ExpirySweep", NIGHT)

    assert [part["points"] for part in club.entries()[-1]["parts"].values()] == [20]
    assert "points.expired" not in [kind for kind, _ in club.announced()]


def decision_record(decision: Event, event_name: str = "INSERT") -> Event:
    """The stream's record of a stored decision."""
    change = copy.deepcopy(sample("publish_changes")["Records"][0])
    change["eventName"] = event_name
    key = {"pk": {"S": f"D#{decision['decision_id']}"}, "sk": {"S": "-"}}
    body = {"B": base64.b64encode(pack(decision)).decode()}
    change["dynamodb"] |= {"Keys": key, "NewImage": {**key, "body": body, "digest": {"S": "sha256:0"}}}
    return change


APPROVED: Event = {
    "decision_id": "d-1",
    "request_id": "r-1",
    "decision": "approved",
    "decided_at": instant(NOW),
    "member_id": "m-42",
    "order_id": "o-1",
    "dispute_id": "x-1",
    "tier": "A3",
    "program": "club",
    "checks": [],
}
PAYOUT = {"amount": "24.99", "currency": "USD", "to": "original_payment_method"}


def test_an_approved_refund_is_an_instruction_to_pay(club: Club) -> None:
    assert publish(club, decision_record({**APPROVED, "payout": PAYOUT})) == []

    ((kind, detail),) = published(club)
    assert kind == "refund.expedited"
    assert detail.pop("payout") == PAYOUT
    names = ("decision_id", "member_id", "order_id", "dispute_id", "program", "tier")
    assert detail == {name: APPROVED[name] for name in names} | {"event_id": "d-1", "occurred_at": instant(NOW)}


def test_an_accelerated_dispute_says_where_it_goes(club: Club) -> None:
    due = "2026-11-30T09:00:00Z"
    assert publish(club, decision_record({**APPROVED, "queue": "dedicated", "review_due_at": due})) == []

    ((kind, detail),) = published(club)
    assert kind == "dispute.accelerated"
    assert (detail["dispute_id"], detail["queue"], detail["review_due_at"]) == ("x-1", "dedicated", due)


@pytest.mark.parametrize("outcome", ["pending", "declined"])
def test_only_an_approval_is_announced(club: Club, outcome: str) -> None:
    assert publish(club, decision_record({**APPROVED, "decision": outcome, "payout": PAYOUT})) == []

    assert published(club) == []


def test_most_changes_say_nothing_to_anybody(club: Club) -> None:
    """A visit of a member who has a tier, a profile, an order that changes, a page: none of it is news."""
    start = NOW - days(40)
    club.post(order("o-1", line("i-1", "200.00"), at=start), event("member.registered", "e-r", at=start), at=start)
    news = len(club.announced())
    seen = len(club.stream())

    for n in range(25):
        club.post(event("visit.recorded", f"e-{n}", at=start + days(n)), at=start + days(n))
    club.post(event("order.refunded", "e-refund", {"order_id": "o-1", "amount": "1.00", "currency": "USD"}))
    club.post(event("wishlist.item_added", "e-wish", {"item_id": "i-1"}))

    changes = club.stream()[seen:]
    assert {change["eventName"] for change in changes} == {"INSERT", "MODIFY"}
    assert any(change["dynamodb"]["Keys"]["sk"]["S"].startswith("J#") for change in changes)
    assert len(club.announced()) == news


def a_removed(club: Club) -> Event:
    """What an operator's hand leaves in the stream: an old run's note, deleted."""
    club.sweep("ExpirySweep", NIGHT)
    ((pk, sk),) = [key for key in club.content() if key[0].startswith("SWEEP#")]
    aws("dynamodb").delete_item(TableName=club.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
    return club.stream()[-1]


def test_what_is_removed_is_no_news(club: Club) -> None:
    removed = a_removed(club)
    assert removed["eventName"] == "REMOVE"

    assert publish(club, removed) == []

    assert published(club) == []


@pytest.mark.parametrize("of", ["M#m-42", "R#m-42"])
def test_a_member_taken_away_by_hand_is_no_news(club: Club, of: str) -> None:
    """The account, and the rewards: a record that has no new image holds up nothing behind it."""
    club.post(order("o-1", line("i-1", "600.00")))
    club.announced()
    change = next(each for each in reversed(club.stream()) if each["dynamodb"]["Keys"]["pk"]["S"] == of)
    change["eventName"], change["dynamodb"]["OldImage"] = "REMOVE", change["dynamodb"].pop("NewImage")
    club.wire.published.clear()

    assert publish(club, change) == []

    assert published(club) == []


def test_an_entry_that_is_written_over_is_no_news(club: Club) -> None:
    """Entries never change (I7): should a hand change one, nobody is told of its tier a second time."""
    change = sample("publish_changes")["Records"][0]
    change["eventName"] = "MODIFY"
    change["dynamodb"]["OldImage"] = change["dynamodb"]["NewImage"]

    assert publish(club, change, decision_record({**APPROVED, "payout": PAYOUT}, "MODIFY")) == []

    assert published(club) == []


def test_a_run_that_has_finished_is_not_announced_again(club: Club) -> None:
    """Undoing a run notes so in its record: a change of what has ended long ago."""
    club.sweep("ExpirySweep", NIGHT)
    change = copy.deepcopy(club.stream()[-1])
    assert change["dynamodb"]["Keys"]["pk"]["S"].startswith("SWEEP#")
    change["eventName"], change["dynamodb"]["OldImage"] = "MODIFY", change["dynamodb"]["NewImage"]

    assert publish(club, change) == []

    assert published(club) == []


def test_a_run_from_before_there_were_tallies_is_announced(club: Club) -> None:
    club.sweep("ExpirySweep", NIGHT)
    change = copy.deepcopy(club.stream()[-1])
    del change["dynamodb"]["NewImage"]["tally"]

    assert publish(club, change) == []

    ((kind, detail),) = published(club)
    assert (kind, {of["fell"] for of in detail["programs"].values()}) == ("sweep.finished", {0})


# --- committed, or not ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["conflict", "throttle", "timeout_before", "error"])
def test_what_is_not_committed_is_never_announced(club: Club, kind: str) -> None:
    mend = club.wire.fail("TransactWriteItems", kind)
    posted = record(message(order("o-1", line("i-1", "600.00"))), message_id="1")
    assert club.deliver(posted, millis=1_050) == ["message-1"]
    assert club.announced() == []

    mend()
    assert club.deliver(posted) == []
    assert len(club.announced()) == 2


def test_a_lost_race_is_announced_once(club: Club) -> None:
    quicker = record(message(order("o-2", line("i-2", "600.00"))))
    club.wire.before("TransactWriteItems", lambda: club.deliver(quicker), about="e-o-1")

    club.post(order("o-1", line("i-1", "20.00")))

    assert [detail["event_id"] for _, detail in club.announced()] == ["e-o-2~club~tier", "e-o-2~crowns~tier"]


def test_an_event_id_is_the_same_on_every_repeat_and_on_no_other_event(club: Club) -> None:
    club.post(order("o-1", line("i-1", "1200.00"), at=NOW - days(90)), at=NOW - days(90))
    for sweep in ("ExpirySweep", "DemotionSweep"):
        club.sweep(sweep, NIGHT)
    first = club.announced()

    assert club.announced() == first
    assert len({detail["event_id"] for _, detail in first}) == len(first) > 5


# --- the bus fails --------------------------------------------------------------------------------------------


def refusing(club: Club, refused: Callable[[Event], bool]) -> None:
    """A bus that takes no entry of which this holds."""

    def put(entries: list[Event]) -> list[Event]:
        answers: list[Event] = []
        for entry in entries:
            if refused(json.loads(entry["Detail"])):
                answers.append({"ErrorCode": "InternalFailure", "ErrorMessage": "try again"})
            else:
                answers += club.wire.take_all([entry])
        return answers

    club.wire.put_events = put


@pytest.mark.parametrize("number", [0, 1, 9, 10, 11, 24])
def test_what_the_bus_did_not_take_comes_again_from_there_on(club: Club, number: int) -> None:
    changes = promotions(club, 25)
    refusing(club, lambda detail: detail["entry_id"] == f"e-{number}")

    (again,) = publish(club, *changes)

    (failed,) = [n for n, change in enumerate(changes) if position(change) == again]
    assert changes[failed]["dynamodb"]["Keys"]["pk"]["S"] == f"E#e-{number}"
    before = [detail["entry_id"] for _, detail in published(club)]
    assert before[:number] == [f"e-{n}" for n in range(number)], "what came before it is out"

    club.wire.put_events = club.wire.take_all
    assert publish(club, *changes[failed:]) == []
    assert {detail["entry_id"] for _, detail in published(club)} == {f"e-{n}" for n in range(25)}


def test_one_record_with_more_than_one_event_comes_again_whole(club: Club) -> None:
    """Its first event is out, its second isn't: on the repeat the first has the same id as before."""
    changes = sample("publish_changes")["Records"]
    refusing(club, lambda detail: detail["program"] == "crowns")

    assert publish(club, *changes) == [position(changes[0])]

    club.wire.put_events = club.wire.take_all
    assert publish(club, *changes) == []
    ids = [detail["event_id"] for _, detail in published(club)]
    assert ids == ["e-o-1001~club~tier", "e-o-1001~club~tier", "e-o-1001~crowns~tier"]


def test_more_than_the_bus_takes_at_once(club: Club) -> None:
    changes = promotions(club, 34)
    club.wire.sent.clear()

    assert publish(club, *changes) == []

    assert [len(body["Entries"]) for body in club.wire.bodies("PutEvents")] == [10, 10, 10, 4]
    assert [detail["entry_id"] for _, detail in published(club)] == [f"e-{n}" for n in range(34)]


def test_nothing_to_announce_asks_nothing_of_the_bus(club: Club) -> None:
    account, of_the_order = sample("publish_changes")["Records"][1:]
    club.wire.sent.clear()

    assert publish(club, of_the_order) == []
    assert club.wire.sent == []

    assert publish(club, account) == []
    assert "PutEvents" not in club.wire.operations()


@pytest.mark.parametrize("kind", ["throttle", "error", "timeout_before", "timeout_after"])
def test_a_bus_that_does_not_answer_is_asked_again(club: Club, kind: str) -> None:
    """botocore tries again; where that doesn't help, the batch comes again, whole: an error, not an answer."""
    changes = sample("publish_changes")["Records"]
    club.wire.fail("PutEvents", kind, times=2)
    assert publish(club, *changes) == []

    mend = club.wire.fail("PutEvents", kind)
    with pytest.raises(Defect, match=r"^(ClientError|ReadTimeoutError)"):
        publish(club, *changes)
    mend()
    assert publish(club, *changes) == []
    assert len({detail["event_id"] for _, detail in published(club)}) == 2


def test_the_sample_is_what_the_table_holds() -> None:
    """The sample's entry is a ledger entry of today: who changes the entries makes the sample anew."""
    image = sample("publish_changes")["Records"][0]["dynamodb"]["NewImage"]
    entry = unpack(base64.b64decode(image["body"]["B"]))
    assert entry["parts"]["club"]["receipt"]["to"] == "A3"
