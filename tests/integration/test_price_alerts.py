"""Price alerts: who watches what, and that who may know is told once of each drop (rules 1.3, 1.4)."""

from __future__ import annotations

import copy
import itertools
import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from club_ledger import alerting, environment, items, watching
from club_ledger.store import Stale, connect, shard_of
from club_rules.programs import Programs
from local.verify import verify
from tests.integration.harness import (
    NOW,
    PROGRAMS,
    Club,
    Event,
    Killed,
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

MINUTE = timedelta(minutes=1)
SHARDS = int(template().function("post_ledger").environment["DUE_SHARDS"])
QUEUE = template().function("price_alerts").environment["PRICE_ALERT_QUEUE_URL"]
ADD, REMOVE = "wishlist.item_added", "wishlist.item_removed"


# --- helpers --------------------------------------------------------------------------------------------------


def watch(event_type: str, event_id: str, item_id: str = "i-1", **changes: Any) -> Event:
    return event(event_type, event_id, {"item_id": item_id}, **changes)


def drop(event_id: str = "p-1", new: str = "9.99", old: str = "12.50", **changes: Any) -> Event:
    """A price that dropped."""
    data = {"item_id": changes.pop("item_id", "i-1"), "old_price": old, "new_price": new, "currency": "USD"}
    price = event("price.dropped", event_id, data, **changes)
    del price["member_id"]
    return price


def point(member_id: str, points: int = 1, **changes: Any) -> Event:
    """What brings a member from A0 to A1: from there on, they have the privilege."""
    award = {"campaign_id": "c-1", "points": points, "program": "club"}
    return event("promotion.awarded", f"point-{member_id}", award, member_id=member_id, **changes)


def watchers(club: Club, number: int, item_id: str = "i-1") -> list[str]:
    """So many members with a point who have the item on their wish lists."""
    ids = [f"m-{n}" for n in range(number)]
    club.post(*(point(member_id) for member_id in ids))
    club.post(*(watch(ADD, f"w-{member_id}", item_id, member_id=member_id) for member_id in ids))
    return ids


def sent(club: Club, price: Event, at: datetime = NOW) -> list[Event]:
    """Posts a price, lets the outbox see it, and takes the messages that it sent: one for each shard."""
    club.post(price, at=at)
    publish(club, f"E#{price['event_id']}")
    return taken()


def publish(club: Club, pk: str) -> None:
    """Gives the outbox what the stream has of a partition."""
    records = [each for each in club.stream() if each["dynamodb"]["Keys"]["pk"]["S"] == pk]
    assert club.invoke("publish_changes", {"Records": records}) == {"batchItemFailures": []}


def taken() -> list[Event]:
    """Takes what is in the queue of the alerts."""
    found = []
    while batch := aws("sqs").receive_message(QueueUrl=QUEUE, MaxNumberOfMessages=10).get("Messages"):
        for each in batch:
            found.append(json.loads(each["Body"]))
            aws("sqs").delete_message(QueueUrl=QUEUE, ReceiptHandle=each["ReceiptHandle"])
    return found


def work(club: Club, body: Event, **how: Any) -> bool:
    """Gives one message to the function; whether it is done with it."""
    answer = club.invoke("price_alerts", {"Records": [record(json.dumps(body), message_id="1")]}, **how)
    assert [each["itemIdentifier"] for each in answer["batchItemFailures"]] in ([], ["message-1"])
    return not answer["batchItemFailures"]


def work_off(club: Club, waiting: list[Event]) -> int:
    """Works off messages and all that follow them; how many there were."""
    number = 0
    while waiting:
        assert work(club, waiting[0])
        waiting = [*waiting[1:], *taken()]
        number += 1
    return number


def alerts(club: Club) -> list[Event]:
    """What is announced of alerts, by the whole stream from its beginning."""
    told = [detail for kind, detail in club.announced() if kind == "price.alert"]
    taken()  # the outbox has seen the drops once more
    return told


def alerted(club: Club) -> list[str]:
    """Who has an alert, each as often as it was announced."""
    return sorted(each["member_id"] for each in alerts(club))


def stored(club: Club, item_id: str = "i-1", member_id: str = "m-42") -> Event:
    return club.decoded()[f"M#{member_id}", f"W#{item_id}"]


# --- what is watched ------------------------------------------------------------------------------------------


def test_watching_is_written_with_the_entry_and_the_account(club: Club) -> None:
    club.post(event("visit.recorded", "e-1"))
    club.wire.sent.clear()

    club.post(watch(ADD, "e-2"))

    assert club.wire.operations() == ["GetItem", "GetItem", "TransactWriteItems"]
    assert not any(read.get("ConsistentRead") for read in club.wire.bodies("GetItem")), "half a read unit each"
    (written,) = club.wire.bodies("TransactWriteItems")
    puts = [each["Put"]["Item"] for each in written["TransactItems"]]
    # Six write units of the table, as each is below 1 KB, and one of the index, which holds the keys alone.
    assert [item["pk"]["S"][:2] for item in puts] == ["E#", "M#", "M#"]
    assert all(len(json.dumps(item)) < 1000 for item in puts)
    shard = shard_of("m-42", SHARDS)
    assert stored(club) == {
        "pk": "M#m-42",
        "sk": "W#i-1",
        "version": "1",
        "body": {"wishlist": [instant(NOW), True]},
        "due_shard": f"WATCH#{shard}#i-1",
        "due_at": f"m-42 {instant(NOW)}",
    }
    club.assert_whole()


def test_what_is_taken_off_every_list_leaves_the_index(club: Club) -> None:
    club.post(watch(ADD, "e-1"), watch("cart.item_added", "e-2", at=NOW + MINUTE))
    club.post(watch(REMOVE, "e-3", at=NOW + 2 * MINUTE))
    assert stored(club)["due_at"] == f"m-42 {instant(NOW + MINUTE)}", "the cart has it still"

    club.post(watch("cart.item_removed", "e-4", at=NOW + 3 * MINUTE))

    assert not {"due_shard", "due_at"} & stored(club).keys()
    assert stored(club)["body"] == {
        "wishlist": [instant(NOW + 2 * MINUTE), False],
        "cart": [instant(NOW + 3 * MINUTE), False],
    }
    club.assert_whole()


def test_the_order_of_delivery_makes_no_difference(club: Club) -> None:
    history = [
        watch(ADD, "e-1"),
        watch(REMOVE, "e-2", at=NOW + MINUTE),
        watch(ADD, "e-3", at=NOW + MINUTE),  # at the same instant as the removal: it is off
        watch("cart.item_added", "e-4", at=NOW + 0.5 * MINUTE),
    ]
    ends = []
    for number, events in enumerate(itertools.permutations(history)):
        member = {"member_id": f"m-{number}"}
        for each in events:
            club.post({**each, **member, "event_id": f"{each['event_id']}-{number}"})
        ends.append(stored(club, member_id=f"m-{number}"))
    assert len(ends) == 24
    for number, end in enumerate(ends):
        assert end["body"] == {
            "wishlist": [instant(NOW + MINUTE), False],
            "cart": [instant(NOW + 0.5 * MINUTE), True],
        }
        assert end["due_at"] == f"m-{number} {instant(NOW + 0.5 * MINUTE)}"
    club.assert_whole()


def test_fractions_of_a_second_are_compared_as_instants(club: Club) -> None:
    club.post(watch(REMOVE, "e-1", at=NOW + timedelta(milliseconds=500)))
    club.post(watch(ADD, "e-2", at=NOW))  # as texts, it would be the later one: "00Z" against "00.5Z"

    assert stored(club)["body"] == {"wishlist": ["2026-11-22T10:15:00.5Z", False]}


def test_what_is_late_writes_an_entry_and_nothing_else(club: Club) -> None:
    club.post(watch(REMOVE, "e-1", at=NOW))
    before = stored(club)
    club.wire.sent.clear()

    club.post(watch(ADD, "e-2", at=NOW - MINUTE))

    (written,) = club.wire.bodies("TransactWriteItems")
    assert len(written["TransactItems"]) == 2, "the entry and the account"
    assert stored(club) == before


def test_a_repeat_changes_nothing(club: Club) -> None:
    club.post(watch(ADD, "e-1"), watch(REMOVE, "e-2", at=NOW + MINUTE))
    before = club.content()

    club.post(watch(ADD, "e-1"))

    assert club.content() == before


def test_lists_are_each_members_own(club: Club) -> None:
    club.post(watch(ADD, "e-1", member_id="anna"), watch(REMOVE, "e-2", member_id="bert", at=NOW + MINUTE))

    assert "due_at" in stored(club, member_id="anna")
    assert "due_at" not in stored(club, member_id="bert")


def test_two_hands_on_one_item_lose_nothing(club: Club) -> None:
    club.post(watch(ADD, "e-1"))
    club.wire.before("TransactWriteItems", lambda: club.post(watch("cart.item_added", "e-2")))

    club.post(watch(REMOVE, "e-3", at=NOW + MINUTE))

    assert stored(club)["body"] == {"wishlist": [instant(NOW + MINUTE), False], "cart": [instant(NOW), True]}
    assert club.wire.bodies("GetItem")[-1]["ConsistentRead"] is True
    club.assert_whole()


def test_an_old_read_of_the_item_is_not_written_over_a_newer_one(club: Club) -> None:
    """The account may be read as it is and the item as it was: then nothing is written, and both are read again."""
    club.post(watch(ADD, "e-1"))
    old = club.content()["M#m-42", "W#i-1"]
    club.post(watch("cart.item_added", "e-2"))
    new = club.content()["M#m-42", "W#i-1"]
    put = {"TableName": club.table}
    read = "W#i-1"
    club.wire.before("GetItem", lambda: aws("dynamodb").put_item(**put, Item=old), about=read)
    club.wire.before("TransactWriteItems", lambda: aws("dynamodb").put_item(**put, Item=new))

    club.post(watch(REMOVE, "e-3", at=NOW + MINUTE))

    assert stored(club)["body"] == {"cart": [instant(NOW), True], "wishlist": [instant(NOW + MINUTE), False]}
    assert len(club.entries()) == 3
    club.assert_whole()


@pytest.mark.parametrize("kind", ["throttle", "timeout_after", "conflict"])
def test_faults_change_nothing_about_what_is_watched(club: Club, kind: str) -> None:
    club.wire.fail("TransactWriteItems", kind, times=2)

    club.post(watch(ADD, "e-1"))

    assert stored(club)["body"] == {"wishlist": [instant(NOW), True]}
    assert len(club.entries()) == 1
    club.assert_whole()


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"due_shard": {"S": "WATCH#0#i-2"}}, "in the index"),
        ({"due_at": {"S": "m-42 2026-01-01T00:00:00Z"}}, "in the index"),
        ({"due_at": None, "due_shard": None}, "in the index"),
        ({"body": {"B": items.pack({"wishlist": ["2026-11-22T10:15:00Z", False]})}}, "the entries give"),
        ({"body": {"B": b"?"}}, "the entries give"),
    ],
)
def test_verify_names_a_record_that_is_not_what_the_entries_say(club: Club, changes: Event, says: str) -> None:
    club.post(watch(ADD, "e-1"))
    content = club.content()
    changed = {**content["M#m-42", "W#i-1"], **changes}
    content["M#m-42", "W#i-1"] = {name: value for name, value in changed.items() if value is not None}

    (problem,) = verify(content.values(), PROGRAMS, SHARDS).problems
    assert problem.startswith("m-42: watches i-1: ")
    assert says in problem


def test_verify_names_a_record_that_is_missing_and_one_too_many(club: Club) -> None:
    club.post(watch(ADD, "e-1"), watch(REMOVE, "e-2", "i-2"))
    content = club.content()
    content["M#m-42", "W#i-3"] = {**content.pop(("M#m-42", "W#i-2")), "sk": {"S": "W#i-3"}}

    missing, too_many = verify(content.values(), PROGRAMS, SHARDS).problems

    assert missing.startswith("m-42: watches i-2: stored None, the entries give {'wishlist'")
    assert too_many.startswith("m-42: watches i-3: stored {'wishlist'")
    assert too_many.endswith("the entries give None")


# --- export and erasure ---------------------------------------------------------------------------------------


def test_what_is_watched_is_exported_in_pages_and_emptied(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "EMPTIED_AT_ONCE", 3)
    for number in range(8):
        club.post(watch(ADD, f"e-{number}", f"i-{number}"))
    club.post(watch(REMOVE, "e-off", "i-3", at=NOW + MINUTE), watch(ADD, "e-bert", "i-3", member_id="bert"))
    store = connect(club.table, lambda: SHARDS)

    pages, behind = [], None
    while page := watching.export_watched(store, "m-42", behind, 3):
        pages.append(page)
        behind = page[-1][0]
    assert [len(page) for page in pages] == [3, 3, 2]
    assert [item_id for page in pages for item_id, _ in page] == [f"i-{number}" for number in range(8)]
    assert dict(pages[1])["i-3"] == {"wishlist": [instant(NOW + MINUTE), False]}

    for _ in range(2):
        watching.empty_watched(store, "m-42")
        own = {key: item for key, item in club.decoded().items() if key[0] == "M#m-42" and key[1].startswith("W#")}
        assert len(own) == 8
        assert all(item["body"] == {} and "due_at" not in item and "due_shard" not in item for item in own.values())
        assert {item["version"] for item in own.values()} == {"2", "3"}, "the second time nothing is written"
    assert watching.export_watched(store, "m-42", None, 3) == []
    assert stored(club, "i-3", "bert")["body"], "another member's are left alone"


def test_emptying_does_not_write_over_a_posting(club: Club) -> None:
    club.post(watch(ADD, "e-1"))
    store = connect(club.table, lambda: SHARDS)
    club.wire.before("TransactWriteItems", lambda: club.post(watch(REMOVE, "e-2", at=NOW + MINUTE)))

    with pytest.raises(Stale):
        watching.empty_watched(store, "m-42")
    watching.empty_watched(store, "m-42")

    assert stored(club)["body"] == {}


# --- from the drop to the queue -------------------------------------------------------------------------------


def test_a_drop_becomes_a_message_for_each_shard(club: Club) -> None:
    messages = sent(club, drop(at=NOW - MINUTE))

    assert [each.pop("shard") for each in messages] == list(range(SHARDS))
    for each in messages:
        assert each == {
            "event_id": "p-1",
            "occurred_at": instant(NOW - MINUTE),
            "posted_at": instant(NOW),
            "item_id": "i-1",
            "old_price": "12.50",
            "new_price": "9.99",
            "currency": "USD",
            "of": SHARDS,
            "chunk": 1,
            "after": None,
        }


@pytest.mark.parametrize("new", ["12.50", "12.51", "999.00"])
def test_a_price_that_did_not_drop_alerts_nobody(club: Club, new: str) -> None:
    watchers(club, 1)

    assert sent(club, drop(new=new)) == []
    assert alerts(club) == []


def test_no_other_entry_sends_a_message(club: Club) -> None:
    club.post(order("o-1"), watch(ADD, "e-1"), event("visit.recorded", "e-2"))
    club.announced()

    assert taken() == []


def test_a_drop_behind_others_of_its_batch_is_seen(club: Club) -> None:
    club.post(event("visit.recorded", "e-1"))  # an entry, and an account, which come first in the stream
    club.post(drop("p-same", new="12.50"), drop("p-1"), drop("p-2", item_id="i-2"))

    club.announced()

    assert Counter(each["event_id"] for each in taken()) == {"p-1": SHARDS, "p-2": SHARDS}


def test_a_shard_whose_message_was_not_taken_brings_the_record_again(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    club.post(event("visit.recorded", "e-1"), drop("p-1"), drop("p-2", item_id="i-2"))
    real, calls = environment.client, []

    class Shaky:
        def __init__(self) -> None:
            self.real = real("sqs")

        def send_message_batch(self, **request: Any) -> Event:
            calls.append(request)
            if len(calls) > 1:
                return self.real.send_message_batch(**request)
            # the tenth message is the second of the second drop
            failed = [{"Id": "9", "Code": "InternalError", "SenderFault": False}]
            self.real.send_message_batch(**{**request, "Entries": request["Entries"][:9]})
            return {"Successful": [{}] * 9, "Failed": failed}

    shaky = Shaky()
    monkeypatch.setattr(environment, "client", lambda service: shaky if service == "sqs" else real(service))
    records = club.stream()
    answer = club.invoke("publish_changes", {"Records": records})

    (failure,) = answer["batchItemFailures"]
    place = next(n for n, each in enumerate(records) if each["dynamodb"]["SequenceNumber"] == failure["itemIdentifier"])
    assert records[place]["dynamodb"]["Keys"]["pk"]["S"] == "E#p-2"
    assert club.invoke("publish_changes", {"Records": records[place:]}) == {"batchItemFailures": []}
    found = Counter((each["event_id"], each["shard"]) for each in taken())
    assert set(found) == {(event_id, shard) for event_id in ("p-1", "p-2") for shard in range(SHARDS)}


def test_a_queue_that_can_not_be_reached_brings_the_records_again(club: Club) -> None:
    club.post(drop())
    club.wire.fail("SendMessageBatch", "denied", times=1)

    with pytest.raises(Exception, match="AccessDenied"):
        club.announced()
    club.announced()

    assert len(taken()) == SHARDS


# --- who is alerted -------------------------------------------------------------------------------------------


def test_the_sample_is_taken(club: Club) -> None:
    watchers(club, 30)
    assert club.invoke("price_alerts", sample("price_alerts")) == {"batchItemFailures": []}
    shard = json.loads(sample("price_alerts")["Records"][0]["body"])["shard"]
    assert alerted(club) == sorted(f"m-{n}" for n in range(30) if shard_of(f"m-{n}", SHARDS) == shard)


def test_an_alert(club: Club) -> None:
    club.post(point("m-42"), watch(ADD, "e-1"))

    work_off(club, sent(club, drop(at=NOW - MINUTE)))

    assert alerts(club) == [
        {
            "event_id": "p-1~m-42~alert",
            "member_id": "m-42",
            "occurred_at": instant(NOW - MINUTE),
            "item_id": "i-1",
            "old_price": "12.50",
            "new_price": "9.99",
            "currency": "USD",
        }
    ]


def test_each_drop_has_its_alert_and_each_item_its_watchers(club: Club) -> None:
    club.post(point("anna"), point("bert"))
    club.post(watch(ADD, "e-1", member_id="anna"), watch("cart.item_added", "e-2", "i-11", member_id="bert"))

    for price in (drop("p-1"), drop("p-2", new="8.00"), drop("p-3", item_id="i-11"), drop("p-4", item_id="i-2")):
        work_off(club, sent(club, price))

    told = [(each["event_id"], each["new_price"]) for each in alerts(club)]
    assert told == [("p-1~anna~alert", "9.99"), ("p-2~anna~alert", "8.00"), ("p-3~bert~alert", "9.99")]


def test_who_has_it_on_both_lists_is_told_once(club: Club) -> None:
    club.post(point("m-42"), watch(ADD, "e-1"), watch("cart.item_added", "e-2", at=NOW - MINUTE))

    work_off(club, sent(club, drop()))

    assert alerted(club) == ["m-42"]


def test_without_the_privilege_nobody_is_told(club: Club) -> None:
    club.post(watch(ADD, "e-1"), event("visit.recorded", "e-2"))  # crowns alone: Silver there, A0 in the club

    work_off(club, sent(club, drop()))

    assert club.summary()["crowns"]["tier"] == "Silver"
    assert alerts(club) == []


def test_a_watcher_without_an_account_is_left_out(club: Club) -> None:
    watchers(club, 2)
    content = club.content()
    del content["M#m-0", "J~"]
    club.create_table(content.values())

    work_off(club, sent(club, drop()))

    assert alerted(club) == ["m-1"]


def test_an_erased_member_is_left_out_though_the_index_still_names_them(club: Club) -> None:
    watchers(club, 2)
    content = club.content()
    account = content["M#m-0", "J~"]
    account["body"] = {"B": items.pack({**items.unpack(account["body"]["B"]), "z": 1})}
    club.create_table(content.values())

    work_off(club, sent(club, drop()))

    assert alerted(club) == ["m-1"]


@pytest.mark.parametrize("swept", [False, True])
def test_the_tier_is_settled_to_the_drop(club: Club, swept: bool) -> None:
    """The point expires on the day of the drop: whether a sweep has come by makes no difference."""
    start = NOW - days(365)
    club.post(point("m-42", at=start), watch(ADD, "e-1", at=start), at=start)
    if swept:
        club.sweep("ExpirySweep", NOW)
        club.sweep("DemotionSweep", NOW)

    work_off(club, sent(club, drop("p-1", at=NOW - days(1)), at=NOW.replace(hour=0, minute=0) - MINUTE))
    work_off(club, sent(club, drop("p-2"), at=NOW.replace(hour=0, minute=0)))

    assert [each["event_id"] for each in alerts(club)] == ["p-1~m-42~alert"]


@pytest.mark.parametrize("late", [MINUTE, days(2), days(400)])
def test_a_late_alert_goes_by_the_tier_of_the_drop(club: Club, late: timedelta) -> None:
    """anna has the privilege after the drop only, bert had it at the drop and lost it, cora lost and won it again."""
    club.post(point("bert"), point("cora"), order("o-0", line("i-9", "10.00"), member_id="dora"))
    club.post(*(watch(ADD, f"w-{who}", member_id=who) for who in ("anna", "bert", "cora", "dora")))
    messages = sent(club, drop(), at=NOW + MINUTE)
    then = NOW + MINUTE + late
    club.post(point("anna", at=then), at=then)
    if late < days(365):
        cancelled = event("order.cancelled", "e-off", {"order_id": "o-0"}, member_id="dora", at=then)
        club.post(cancelled, at=then)
        assert club.summary("dora", then)["club"]["tier"] == "A0"
    else:
        club.sweep("ExpirySweep", then)
        club.sweep("DemotionSweep", then)
        assert club.summary("bert", then)["club"]["tier"] == "A0"
    award = {"campaign_id": "c-2", "points": 700, "program": "club"}
    club.post(event("promotion.awarded", "e-again", award, member_id="cora", at=then + MINUTE), at=then + MINUTE)
    assert club.summary("anna", then)["club"]["tier"] == "A1"
    assert club.summary("cora", then + MINUTE)["club"]["tier"] == "A3"

    work_off(club, messages)

    assert alerted(club) == ["bert", "cora", "dora"]


def test_a_tier_is_told_by_the_last_entry_before_the_drop_however_many_follow_on_its_day(club: Club) -> None:
    """Pages of the journal are read where the account no longer holds the day."""
    club.post(watch(ADD, "e-1"), event("visit.recorded", "e-2"))
    messages = sent(club, drop(), at=NOW + MINUTE)
    for number in range(60):
        posted = {"post_id": f"p-{number}"}
        at = NOW + (2 + number) * MINUTE
        club.post(event("post.published", f"post-{number}", posted, at=at), at=at)
        if number == 3:
            club.post(point("m-42", at=at), at=at)

    work_off(club, messages)

    assert club.summary()["club"]["tier"] == "A1"
    assert alerted(club) == []


def test_who_has_lost_a_tier_and_won_another_since_goes_by_the_one_of_the_drop(club: Club) -> None:
    """The first entry after the drop tells what was held before it; the account as it is, and the last one, don't."""
    bought = order("o-1", line("i-9", "10.00"), at=NOW - days(3))
    club.post(bought, watch(ADD, "e-1", at=NOW - days(3)), at=NOW - days(3))
    messages = sent(club, drop())
    club.post(event("order.cancelled", "e-off", {"order_id": "o-1"}, at=NOW + MINUTE), at=NOW + MINUTE)
    assert club.summary(at=NOW + MINUTE)["club"]["tier"] == "A0"
    club.post(point("m-42", 700, at=NOW + 2 * MINUTE), at=NOW + 2 * MINUTE)

    work_off(club, messages)

    assert alerted(club) == ["m-42"]


def test_who_comes_to_the_item_after_the_drop_is_not_told_of_it(club: Club) -> None:
    club.post(*(point(who) for who in ("anna", "bert", "cora")))
    messages = sent(club, drop())
    club.post(watch(ADD, "e-1", member_id="anna", at=NOW), at=NOW + MINUTE)  # was delivered late
    club.post(watch(ADD, "e-2", member_id="bert", at=NOW + 5 * MINUTE), at=NOW + 5 * MINUTE)
    club.post(watch(ADD, "e-3", member_id="cora", at=NOW + 6 * MINUTE), at=NOW + 6 * MINUTE)

    work_off(club, messages)

    assert alerted(club) == ["anna", "bert"]


def test_who_puts_it_on_a_second_list_after_the_drop_is_told(club: Club) -> None:
    """They had it before: what counts is the list that has had it longest."""
    club.post(point("m-42"), watch(ADD, "e-1", at=NOW - MINUTE))
    messages = sent(club, drop())
    later = NOW + 10 * MINUTE
    club.post(watch("cart.item_added", "e-2", at=later), at=later)
    assert stored(club)["due_at"] == f"m-42 {instant(NOW - MINUTE)}"

    work_off(club, messages)

    assert alerted(club) == ["m-42"]


def programs_with(enabled: bool, in_crowns: bool) -> Programs:
    files = [copy.deepcopy(PROGRAMS.versions(name)[0].data) for name in PROGRAMS.ids]
    for data in files:
        for privilege in data["privileges"]:
            if privilege["code"] == "price_alerts":
                privilege["enabled"] = enabled
        if data["id"] == "crowns" and in_crowns:
            data["privileges"].append({"code": "price_alerts", "from_tier": "Gold"})
    return Programs(files)


@pytest.mark.parametrize(
    ("enabled", "in_crowns", "expected"),
    [
        (True, False, ["anna"]),
        (False, False, []),
        (False, True, ["bert"]),
        (True, True, ["anna", "bert"]),
    ],
)
def test_any_program_that_has_it_switched_on_counts(
    club: Club, enabled: bool, in_crowns: bool, expected: list[str]
) -> None:
    crowns = {"campaign_id": "c-2", "points": 101, "program": "crowns"}
    club.post(point("anna"), event("promotion.awarded", "e-b", crowns, member_id="bert"))
    club.post(*(watch(ADD, f"w-{who}", member_id=who) for who in ("anna", "bert")))
    store = connect(club.table, lambda: SHARDS)

    for each in sent(club, drop()):
        alerting.work(store, programs_with(enabled, in_crowns), each, lambda _: None, lambda: 10.0)

    assert alerted(club) == expected


# --- many watchers --------------------------------------------------------------------------------------------


def test_a_thousand_watchers_are_worked_off_in_bounded_chunks(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """One invocation does no more for an item that a thousand watch than for one that a hundred do."""
    monkeypatch.setattr(watching, "shard_of", lambda member_id, shards: int(member_id[2:]) % 2)
    club.create_table(crowd(club, 1000))
    messages = sent(club, drop())
    assert len(messages) == SHARDS

    bounds = Counter[str]()
    invocations = watched = 0
    while messages:
        club.wire.sent.clear()
        assert work(club, messages.pop(0))
        made = Counter(club.wire.operations())
        assert made == {**dict.fromkeys(made, 1), "GetItem": 1, "Query": 1, "BatchWriteItem": made["BatchWriteItem"]}
        for operation, count in made.items():
            bounds[operation] = max(bounds[operation], count)
        for query in club.wire.bodies("Query"):
            assert query["Limit"] == 100
        watched += sum(len(request["RequestItems"][club.table]["Keys"]) for request in club.wire.bodies("BatchGetItem"))
        invocations += 1
        messages += taken()

    # two shards of 500: five full chunks each, and the empty one behind; the six others are empty
    assert invocations == 2 * 6 + 6
    assert watched == 1000
    # four batches of 25 alerts, and the note that the chunk is done
    assert dict(bounds) == {
        "GetItem": 1,
        "Query": 1,
        "BatchGetItem": 1,
        "BatchWriteItem": 5,
        "SendMessage": 1,
    }
    assert alerted(club) == sorted(f"m-{number}" for number in range(1000))


def crowd(club: Club, number: int) -> list[Any]:
    """What the table holds of so many members with a point who watch i-1, made of one who was posted."""
    club.post(point("m-0"), watch(ADD, "w-0", member_id="m-0"))
    content = club.content()
    account, watched = content["M#m-0", "J~"], content["M#m-0", "W#i-1"]
    found = []
    for n in range(number):
        member_id, pk = f"m-{n}", {"S": f"M#m-{n}"}
        place = watching.in_index(member_id, "i-1", {"wishlist": [instant(NOW), True]}, SHARDS)
        shard, row = ({"S": str(each)} for each in place)
        found += [{**account, "pk": pk}, {**watched, "pk": pk, "due_shard": shard, "due_at": row}]
    return found


@pytest.fixture
def small(club: Club, monkeypatch: pytest.MonkeyPatch) -> Club:
    """A club whose chunks hold three watchers, all of them in shard 0; ten watch i-1."""
    monkeypatch.setattr(alerting, "CHUNK", 3)
    monkeypatch.setattr(watching, "shard_of", lambda member_id, shards: 0)
    watchers(club, 10)
    return club


TEN = [f"m-{n}" for n in range(10)]


def test_those_who_come_and_go_between_chunks(small: Club) -> None:
    """The one at whom a chunk ended, one before and one behind go; others come before and behind."""
    first = sent(small, drop())[0]
    assert work(small, first)
    (second,) = taken()
    assert second["after"] == f"m-2 {instant(NOW)}"
    gone = ["m-0", "m-2", "m-3", "m-9"]
    small.post(*(watch(REMOVE, f"off-{who}", member_id=who, at=NOW + MINUTE) for who in gone))
    come = ["m-00", "m-21", "m-31", "z"]
    small.post(*(point(who) for who in come))
    small.post(*(watch(ADD, f"w-{who}", member_id=who) for who in come))

    work_off(small, [second])

    # m-3 and m-9 went before their turn; m-00 came too late, behind the chunk that would have had them
    expected = {*TEN, *come} - {"m-3", "m-9", "m-00"}
    assert alerted(small) == sorted(expected)


def test_a_chunk_of_those_who_may_not_know_does_not_end_the_chain(small: Club) -> None:
    small.post(*(watch(ADD, f"a0-{number}", member_id=f"a-{number}") for number in range(7)))  # before all m-…

    work_off(small, sent(small, drop()))

    assert alerted(small) == TEN


def test_who_changes_their_place_between_chunks_is_neither_missed_nor_told_twice(small: Club) -> None:
    """Taken off and put back, or put on a second list earlier: the row moves, the member's place does not."""
    first = sent(small, drop())[0]
    assert work(small, first)
    (second,) = taken()
    for number, who in enumerate(("m-2", "m-3")):
        small.post(watch("cart.item_added", f"cart-{number}", member_id=who, at=NOW - MINUTE))
        small.post(watch(REMOVE, f"off-{number}", member_id=who, at=NOW + MINUTE))
        small.post(watch(ADD, f"on-{number}", member_id=who, at=NOW + 2 * MINUTE))
        small.post(watch("cart.item_removed", f"uncart-{number}", member_id=who, at=NOW + 3 * MINUTE))

    work_off(small, [second])

    assert alerted(small) == TEN


def test_a_message_that_is_delivered_again_ends_there(small: Club) -> None:
    first = sent(small, drop())[0]
    assert work(small, first)
    (second,) = taken()
    small.wire.sent.clear()

    assert work(small, first)

    assert small.wire.operations() == ["GetItem"]
    assert taken() == [], "and starts no second chain"
    work_off(small, [second, second, first])
    assert alerted(small) == TEN


def test_two_at_once_on_one_message(small: Club) -> None:
    first = sent(small, drop())[0]
    small.wire.before("BatchWriteItem", lambda: work(small, first))

    work_off(small, [first])

    assert alerted(small) == TEN


def test_two_chains_that_end_chunks_at_other_members_miss_nobody(small: Club) -> None:
    """A repeat that finds other watchers sends another message of the same chunk; each of them is complete."""
    first = sent(small, drop())[0]

    def meanwhile() -> None:
        small.post(watch(REMOVE, "off", member_id="m-1", at=NOW + MINUTE))
        assert work(small, first)

    small.wire.before("BatchGetItem", meanwhile)
    assert work(small, first)
    waiting = taken()
    assert sorted(each["after"] for each in waiting) == [f"m-2 {instant(NOW)}", f"m-3 {instant(NOW)}"]

    work_off(small, waiting[::-1])

    assert alerted(small) == TEN, "m-1 was on the list when the first of them looked"


STEPS = [
    ("GetItem", 0),
    ("Query", 0),
    ("BatchGetItem", 0),
    ("BatchWriteItem", 0),
    ("SendMessage", 0),
    ("BatchWriteItem", 1),
]


@pytest.mark.parametrize(("operation", "skip"), STEPS)
def test_killed_anywhere_nothing_is_lost_nor_told_twice(small: Club, operation: str, skip: int) -> None:
    first = sent(small, drop())[0]
    for chunk in range(3):
        small.wire.forget()
        small.wire.kill(operation, skip=skip)
        with pytest.raises(Killed):
            work(small, first)
        waiting = taken()
        assert work(small, first)
        waiting += taken()
        assert {each["chunk"] for each in waiting} == {chunk + 2}
        first = waiting[-1]
    small.wire.forget()
    work_off(small, [first])

    assert alerted(small) == TEN
    assert Counter(each["event_id"] for each in alerts(small)).most_common(1)[0][1] == 1


@pytest.mark.parametrize(("operation", "skip"), [each for each in STEPS if each[0] != "SendMessage"])
@pytest.mark.parametrize("kind", ["throttle", "timeout_after", "timeout_before", "denied"])
def test_faults_bring_the_message_again(small: Club, operation: str, skip: int, kind: str) -> None:
    first = sent(small, drop())[0]
    small.wire.fail(operation, kind, skip=skip)
    assert not work(small, first, millis=1500)
    small.wire.forget()
    waiting = taken()

    work_off(small, [first, *waiting])

    assert alerted(small) == TEN


def test_a_fault_that_passes_is_waited_for(small: Club) -> None:
    first = sent(small, drop())[0]
    for operation in ("GetItem", "Query", "BatchGetItem", "BatchWriteItem"):
        small.wire.fail(operation, "throttle", times=4)
    small.wire.fail("BatchWriteItem", "throttle", about=items.worked_key(0, 1), times=4)

    work_off(small, [first])

    assert alerted(small) == TEN


def test_alerts_that_the_table_left_out_are_put_again(small: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """BatchWriteItem may answer 200 and give some of them back."""
    first = sent(small, drop())[0]
    connection = items.RecordItem._get_connection()
    real, calls = connection.batch_write_item, []

    def half(put_items: list[Any], **rest: Any) -> Event:
        calls.append(len(put_items))
        if len(calls) > 1:
            return real(put_items=put_items, **rest)
        real(put_items=put_items[:1], **rest)
        return {"UnprocessedItems": {small.table: put_items[1:]}}

    monkeypatch.setattr(connection, "batch_write_item", half)
    work_off(small, [first])

    assert calls[:2] == [3, 3]
    assert alerted(small) == TEN


def test_a_message_that_makes_no_sense_comes_again_and_holds_up_nobody(club: Club) -> None:
    for body in ("{}", "?", json.dumps({"event_id": "p-1"})):
        answer = club.invoke("price_alerts", {"Records": [record(body, message_id="7")]})
        assert answer == {"batchItemFailures": [{"itemIdentifier": "message-7"}]}


def test_logs_hold_ids_and_counts(small: Club) -> None:
    work_off(small, sent(small, drop()))

    lines = [json.loads(each) for each in small.log.getvalue().splitlines()]
    done = [each for each in lines if each["message"] == "chunk done"]
    assert (done[0]["watchers"], done[0]["alerts"]) == (3, 3)
    assert "9.99" not in small.log.getvalue()


def test_a_repeat_says_that_it_did_nothing(small: Club) -> None:
    first = sent(small, drop())[0]
    assert work(small, first)
    assert work(small, first)

    lines = [json.loads(each) for each in small.log.getvalue().splitlines()]
    done = [(each["watchers"], each["alerts"]) for each in lines if each["message"] == "chunk done"]
    assert done == [(3, 3), (0, 0)]


def test_a_chunk_notes_what_verify_looks_for(small: Club) -> None:
    small.post(watch(ADD, "w-zoe", member_id="m-00"))  # who watches and may not know

    work_off(small, sent(small, drop()))

    notes = {sk: item["body"] for (pk, sk), item in small.decoded().items() if pk == items.alert_key("p-1")}
    assert notes[items.worked_key(0, 1)] == {"of": SHARDS, "watchers": 3, "told": ["m-0", "m-1"]}
    assert notes[items.worked_key(0, 4)] == {"of": SHARDS, "watchers": 2, "told": ["m-8", "m-9"]}
    assert notes[items.worked_key(1, 1)] == {"of": SHARDS, "watchers": 0, "told": []}


# --- what is refused ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"currency": "EUR"}, "currency_mismatch"),
        ({"new_price": "9.9"}, "invalid_money"),
        ({"new_price": 9.99}, "invalid_money"),
        ({"old_price": None}, "invalid_type"),
        ({"item_id": "i 1"}, "invalid_id"),
        ({"shop": "s-1"}, "unknown_field"),
    ],
)
def test_a_price_that_makes_no_sense_is_a_dead_letter(club: Club, changes: Event, code: str) -> None:
    price = drop()
    price["data"] |= changes
    assert club.deliver(record(message(price))) == []

    ((reason, _, _),) = club.dead_letters()
    assert reason == code
