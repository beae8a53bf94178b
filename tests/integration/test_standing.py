"""Standing: what the outbox counts is what the accounts hold, however the stream is delivered (rules 1.9)."""

from __future__ import annotations

import copy
import json
import random
from collections import Counter
from collections.abc import Callable
from typing import Any

import pytest

from club_ledger import items, standing
from club_ledger.items import StandingItem, VersionedItem, pack
from club_ledger.store import Busy, Stale, Store, Transaction, connect
from club_rules.account import decode_account
from club_rules.programs import Programs
from local import standing as rebuilding
from local.verify import verify_standing
from tests.integration.harness import (
    NOW,
    PROGRAMS,
    Club,
    Event,
    Item,
    Killed,
    aws,
    days,
    event,
    instant,
    line,
    order,
)

Table = dict[tuple[str, str], Item]
Tally = Counter[str]


def publish(club: Club, *records: Event, millis: int = 60_000) -> list[str]:
    """Gives records to the function; the positions from which on they are to come again."""
    answer = club.invoke("publish_changes", {"Records": list(records)}, millis=millis)
    return [failure["itemIdentifier"] for failure in answer["batchItemFailures"]]


def position(record: Event) -> str:
    found: str = record["dynamodb"]["SequenceNumber"]
    return found


def held(club: Club) -> Tally:
    """Who holds what, counted over the accounts."""
    tally: Tally = Counter()
    for (pk, sk), item in club.decoded().items():
        if sk == items.ACCOUNT:
            account = decode_account(pk[2:], int(item["version"]), item["body"])
            tally["members"] += 1
            for program_id, state in account.programs.items():
                if state.tier:
                    tally[f"{program_id}#{PROGRAMS.versions(program_id)[-1].codes[state.tier]}"] += 1
    return tally


def counted(club: Club) -> Tally:
    """What the counters say, all shards together."""
    tally: Tally = Counter()
    for (pk, _), item in club.decoded().items():
        if pk.startswith("STANDING#"):
            tally.update({name: int(number) for name, number in item.items() if name not in {"pk", "sk", "version"}})
    return Counter({name: number for name, number in tally.items() if number})


def assert_exact(club: Club) -> None:
    """The counters, and what is noted of each member, are what the accounts hold."""
    assert counted(club) == held(club)
    assert list(verify_standing(club.content().values(), PROGRAMS)) == []


def store_of(club: Club) -> Store:
    return connect(club.table, lambda: 8)


def award(member_id: str, points: int, event_id: str, program: str = "club", at: Any = NOW) -> Event:
    data = {"campaign_id": "c-1", "points": points, "program": program}
    return event("promotion.awarded", event_id, data, member_id=member_id, at=at)


def accounts_of(records: list[Event], member_id: str = "m-42") -> list[Event]:
    """The records of a member's account."""
    wanted = {"pk": {"S": f"M#{member_id}"}, "sk": {"S": items.ACCOUNT}}
    return [record for record in records if record["dynamodb"]["Keys"] == wanted]


def there_and_back(club: Club) -> list[Event]:
    """The records of an account that rises to A1, then to A3, and falls to A1 again; and one that changes no tier."""
    club.post(order("o-1", line("i-1", "20.00")))
    club.post(order("o-2", line("i-2", "600.00")))
    club.post(event("wishlist.item_added", "e-wish", {"item_id": "i-1"}))
    club.post(event("order.cancelled", "e-back", {"order_id": "o-2"}))
    records = accounts_of(club.stream())
    assert len(records) == 4
    return records


# --- what is counted ------------------------------------------------------------------------------------------


def test_a_member_without_any_activity_is_counted_at_the_lowest_tier(club: Club) -> None:
    club.post(event("member.registered", "e-1"))
    assert publish(club, *club.stream()) == []

    assert counted(club) == {"members": 1}
    assert_exact(club)


def test_every_program_is_counted(club: Club) -> None:
    club.post(order("o-1", line("i-1", "1200.00")), order("o-2", line("i-1", "20.00"), member_id="m-43"))
    assert publish(club, *club.stream()) == []

    assert counted(club) == {
        "members": 2,
        "club#A3": 1,
        "club#A1": 1,
        "crowns#Platinum": 1,
        "crowns#Silver": 1,
        "vip#Silver": 1,
    }
    assert_exact(club)


def test_a_summary_shows_where_the_member_stands(club: Club) -> None:
    club.post(*(award(f"m-{n}", 1, f"e-{n}") for n in range(5)), award("m-42", 500, "e-42"))
    before = club.summary()["club"]["standing"]
    assert publish(club, *club.stream()) == []

    assert before == {"below_percent": 0.0, "members": 1}, "the outbox may be some seconds behind"
    assert club.summary()["club"]["standing"] == {"below_percent": 83.3, "members": 6}
    assert club.summary("m-1")["club"]["standing"] == {"below_percent": 0.0, "members": 6}
    assert club.summary()["vip"]["standing"] == {"below_percent": 0.0, "members": 6}


def test_who_falls_is_counted_where_they_fall_to(club: Club) -> None:
    start = NOW - days(90)
    club.post(order("o-1", line("i-1", "1200.00"), at=start), at=start)
    assert publish(club, *club.stream()) == []
    assert counted(club)["vip#Silver"] == 1

    for sweep in ("ExpirySweep", "DemotionSweep"):
        club.sweep(sweep, NOW.replace(hour=0, minute=5))
    assert publish(club, *club.stream()) == []

    assert "vip#Silver" not in counted(club)
    assert_exact(club)


def test_only_accounts_whose_tiers_change_are_looked_at(club: Club) -> None:
    """Entries, orders, pages, notes and counters say nothing; nor does an account whose tiers stay."""
    records = there_and_back(club)
    club.post(*(event("visit.recorded", f"e-{n}", at=NOW - days(n)) for n in range(25)))
    club.announced()
    everything = club.stream()
    assert {record["dynamodb"]["Keys"]["sk"]["S"][0] for record in everything} >= {"J", "O", "-"}
    partitions = {record["dynamodb"]["Keys"]["pk"]["S"] for record in everything}
    assert {"S", "STANDING"} <= {partition.partition("#")[0] for partition in partitions}
    club.wire.sent.clear()

    assert publish(club, *(record for record in everything if record not in records), records[2]) == []

    # coupons are another matter: the entries that reached a tier are among the records
    assert set(club.wire.operations()) <= {"PutEvents", "BatchGetItem"}
    assert items.COUNTED not in json.dumps(club.wire.bodies("BatchGetItem"))
    assert_exact(club)


def test_an_account_that_was_removed_by_hand_holds_up_nothing(club: Club) -> None:
    club.post(award("m-42", 1, "e-1"))
    aws("dynamodb").delete_item(TableName=club.table, Key={"pk": {"S": "M#m-42"}, "sk": {"S": items.ACCOUNT}})
    removed = club.stream()[-1]
    assert removed["eventName"] == "REMOVE"

    assert publish(club, removed) == []


def test_a_program_that_there_is_no_more_is_passed_over() -> None:
    state = {"n": 1, "p": {"gone": {"t": 2}, "club": {"t": 3}, "vip": {"b": 5}}}

    assert standing.held_in(PROGRAMS, state) == {"club": "A3"}


# --- how it is written ----------------------------------------------------------------------------------------


def test_a_full_batch_takes_few_transactions_and_none_is_larger_than_dynamodb_takes(club: Club) -> None:
    club.post(*(award(f"m-{n}", 1, f"e-{n}") for n in range(100)))
    records = [record for n in range(100) for record in accounts_of(club.stream(), f"m-{n}")]
    assert len(records) == 100
    club.wire.sent.clear()

    assert publish(club, *records) == []

    written = [body["TransactItems"] for body in club.wire.bodies("TransactWriteItems")]
    assert [len(each) for each in written] == [51, 51], "50 notes, and one addition to the counters"
    assert all(sum("Update" in item for item in each) == 1 for each in written)
    assert club.wire.operations() == ["BatchGetItem", "TransactWriteItems"] * 2
    assert_exact(club)


def test_no_counter_is_hot(club: Club) -> None:
    """Batches of different members add to different items."""
    club.post(*(award(f"m-{n}", 1, f"e-{n}") for n in range(40)))
    for n in range(40):
        assert publish(club, *accounts_of(club.stream(), f"m-{n}")) == []

    added = {pk: int(item["version"]) for (pk, _), item in club.decoded().items() if pk.startswith("STANDING#")}
    assert len(added) == items.STANDING_SHARDS
    assert sum(added.values()) == 40
    assert max(added.values()) < 20
    assert_exact(club)


def test_several_changes_of_one_member_in_a_batch_are_counted_as_the_last(club: Club) -> None:
    records = there_and_back(club)
    club.wire.sent.clear()

    assert publish(club, *records) == []

    (written,) = club.wire.bodies("TransactWriteItems")
    assert len(written["TransactItems"]) == 2
    assert club.decoded()["S#m-42", "-"]["body"] == {"of": 4, "tiers": {"club": "A1", "crowns": "Silver"}}
    assert_exact(club)


def test_who_is_back_where_they_were_is_noted_and_adds_nothing(club: Club) -> None:
    """The note has to say so: else the change that is delivered late would be counted."""
    first, risen, _, fallen = there_and_back(club)
    assert publish(club, first) == []
    club.wire.sent.clear()

    assert publish(club, fallen) == []
    (written,) = club.wire.bodies("TransactWriteItems")
    assert [list(item) for item in written["TransactItems"]] == [["Put"]]
    assert publish(club, risen) == []

    assert_exact(club)


# --- delivered twice, late, or never --------------------------------------------------------------------------


def test_what_is_delivered_again_is_counted_once(club: Club) -> None:
    records = there_and_back(club)
    assert publish(club, *records) == []
    club.wire.sent.clear()

    for _ in range(2):
        assert publish(club, *records, *records) == []
    for record in records:
        assert publish(club, record, record) == []

    assert_exact(club)
    assert "TransactWriteItems" not in club.wire.operations()


def test_what_is_delivered_late_changes_nothing(club: Club) -> None:
    records = there_and_back(club)

    for record in reversed(records):
        assert publish(club, record) == []

    assert_exact(club)


def test_within_a_batch_the_newest_counts_wherever_it_stands(club: Club) -> None:
    club.post(order("o-1", line("i-1", "20.00")), order("o-2", line("i-2", "600.00")))

    assert publish(club, *reversed(club.stream())) == []

    assert counted(club) == {"members": 1, "club#A3": 1, "crowns#Platinum": 1}
    assert_exact(club)


def test_a_change_that_never_came_is_made_up_for_by_the_next(club: Club) -> None:
    first, _, _, fallen = there_and_back(club)
    club.post(order("o-3", line("i-3", "3000.00")))
    last = accounts_of(club.stream())[-1]

    assert publish(club, first) == []
    assert publish(club, last) == []
    assert_exact(club)

    assert publish(club, fallen) == []
    assert_exact(club)


def test_even_the_first_change_may_be_lost(club: Club) -> None:
    assert publish(club, there_and_back(club)[-1]) == []

    assert_exact(club)


# --- two at once, and a store that fails ----------------------------------------------------------------------


@pytest.mark.parametrize("other", range(4))
@pytest.mark.parametrize("own", range(4))
@pytest.mark.parametrize("known", [False, True])
def test_two_at_once_count_once(club: Club, own: int, other: int, known: bool) -> None:
    """Between one's reading and writing another counts the same member, as newer, as old, or the same change."""
    records = there_and_back(club)
    if known:
        assert publish(club, records[0]) == []
    club.wire.before("TransactWriteItems", lambda: publish(club, records[other], records[0]))

    assert publish(club, records[own]) == []
    notes = [item["body"] for (pk, _), item in club.decoded().items() if pk.startswith("S#")]
    assert counted(club) == rebuilding.tally(note["tiers"] for note in notes)
    club.wire.forget()
    assert publish(club, *records) == []

    assert_exact(club)


def test_who_is_in_the_way_of_one_member_is_in_the_way_of_none_of_the_others(club: Club) -> None:
    club.post(*(award(f"m-{n}", 1, f"e-{n}") for n in range(10)))
    records = club.stream()
    club.wire.before("TransactWriteItems", lambda: publish(club, *accounts_of(records, "m-3")))

    assert publish(club, *records) == []

    assert_exact(club)


@pytest.mark.parametrize("times", [1, 4])
@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("TransactWriteItems", "conflict"),
        ("TransactWriteItems", "conflict_first"),
        ("TransactWriteItems", "throttle"),
        ("TransactWriteItems", "error"),
        ("TransactWriteItems", "timeout_before"),
        ("TransactWriteItems", "timeout_after"),
        ("BatchGetItem", "throttle"),
        ("BatchGetItem", "timeout_before"),
    ],
)
def test_a_store_that_fails_for_a_time_loses_and_doubles_nothing(
    club: Club, operation: str, kind: str, times: int
) -> None:
    club.post(*(award(f"m-{n}", 100 * n, f"e-{n}") for n in range(1, 8)))
    club.wire.fail(operation, kind, times=times)

    assert publish(club, *club.stream()) == []

    assert_exact(club)


def test_a_conflict_is_tried_again_on_another_counter(club: Club) -> None:
    club.post(award("m-42", 1, "e-1"))
    club.wire.sent.clear()
    club.wire.fail("TransactWriteItems", "conflict", times=1)

    assert publish(club, *club.stream()) == []

    first, second = (
        next(item["Update"]["Key"]["pk"]["S"] for item in body["TransactItems"] if "Update" in item)
        for body in club.wire.bodies("TransactWriteItems")
    )
    assert first != second


@pytest.mark.parametrize("kind", ["conflict", "throttle", "timeout_before"])
def test_what_is_not_counted_in_time_comes_again_from_there_on(club: Club, kind: str) -> None:
    club.post(*(award(f"m-{n}", 1, f"e-{n}") for n in range(60)))
    records = club.stream()
    fiftieth = records.index(accounts_of(records, "m-50")[0])
    mend = club.wire.fail("TransactWriteItems", kind, skip=1)

    assert publish(club, *records, millis=1_050) == [position(records[fiftieth])]
    assert len(club.wire.published) == 60, "what happened is announced all the same"
    assert counted(club)["members"] == 50

    mend()
    assert publish(club, *records[fiftieth:]) == []
    assert_exact(club)


@pytest.mark.parametrize("failing", [0, 7, 19])
def test_what_comes_before_a_failed_announcement_is_counted_and_nothing_behind_it(club: Club, failing: int) -> None:
    club.post(*(award(f"m-{n:02}", 100, f"e-{n:02}") for n in range(20)))
    records = club.stream()

    def put(entries: list[Event]) -> list[Event]:
        bad = [json.loads(entry["Detail"])["entry_id"] == f"e-{failing:02}" for entry in entries]
        return [{"ErrorCode": "InternalFailure", "ErrorMessage": "again"} if each else {"EventId": "1"} for each in bad]

    club.wire.put_events = put
    (again,) = publish(club, *records)
    (place,) = [n for n, record in enumerate(records) if position(record) == again]
    assert records[place]["dynamodb"]["Keys"]["pk"]["S"] == f"E#e-{failing:02}"
    assert counted(club)["members"] == failing

    club.wire.put_events = club.wire.take_all
    assert publish(club, *records[place:]) == []
    assert_exact(club)


def test_of_two_failures_the_first_is_where_it_goes_on(club: Club) -> None:
    club.post(*(award(f"m-{n}", 100, f"e-{n}") for n in range(3)))
    records = club.stream()
    club.wire.put_events = lambda entries: [{"ErrorCode": "InternalFailure"} for _ in entries[:-1]] + [{"EventId": "1"}]
    assert publish(club, *records) == [position(records[0])]

    def put_all_but_the_last(entries: list[Event]) -> list[Event]:
        return [{"EventId": "1"} for _ in entries[:-1]] + [{"ErrorCode": "InternalFailure"}]

    club.wire.put_events = put_all_but_the_last
    mend = club.wire.fail("TransactWriteItems", "throttle")
    first_account = records.index(accounts_of(records, "m-0")[0])
    assert publish(club, *records, millis=1_050) == [position(records[first_account])]

    mend()
    club.wire.put_events = club.wire.take_all
    assert publish(club, *records) == []
    assert_exact(club)


@pytest.mark.parametrize(("operation", "skip"), [("BatchGetItem", 0), ("TransactWriteItems", 0), ("BatchGetItem", 1)])
def test_a_killed_invocation_is_made_good_by_the_next(club: Club, operation: str, skip: int) -> None:
    club.post(*(award(f"m-{n}", 1, f"e-{n}") for n in range(60)))
    records = club.stream()
    club.wire.kill(operation, skip=skip)
    with pytest.raises(Killed):
        publish(club, *records)

    assert publish(club, *records) == []

    assert_exact(club)


# --- at random ------------------------------------------------------------------------------------------------

_history: list[tuple[Table, list[Event]]] = []


def history(club: Club) -> tuple[Table, list[Event]]:
    """A table of ten members who rose and fell, before anything of them was counted, and its stream; made once."""
    if not _history:
        dice = random.Random(5)
        for day in range(140, 0, -20):
            at = NOW - days(day)
            for n in range(10):
                member, name = f"m-{n}", f"{n}-{day}"
                if dice.random() < 0.6:
                    price = dice.choice(["5.00", "90.00", "700.00", "1300.00"])
                    bought = order(f"o-{name}", line(f"i-{name}", price), member_id=member, at=at)
                    club.post(bought, at=at)
                    if dice.random() < 0.4:
                        back = event("order.cancelled", f"e-x-{name}", {"order_id": f"o-{name}"}, member_id=member)
                        club.post({**back, "occurred_at": instant(at)}, at=at)
                else:
                    club.post(event("visit.recorded", f"e-v-{name}", member_id=member, at=at), at=at)
            for sweep in ("ExpirySweep", "DemotionSweep"):
                club.sweep(sweep, at.replace(hour=23))
        changed = [record for record in club.stream() if record["dynamodb"]["Keys"]["sk"]["S"] == items.ACCOUNT]
        _history.append((club.content(), changed))
    content, records = _history[0]
    club.create_table(content.values())
    return content, copy.deepcopy(records)


FAULTS = ("conflict", "throttle", "error", "timeout_before", "timeout_after")


def deliver_at_random(club: Club, records: list[Event], dice: random.Random, rounds: int) -> set[str]:
    """Batches of any records, doubled and in any order, to invocations that meet each other, fail, or die.

    Returns the positions of the records that were surely counted.
    """
    done: set[str] = set()

    def some() -> list[Event]:
        batch = dice.choices(records, k=dice.randint(1, 12))
        return sorted(batch, key=position) if dice.random() < 0.5 else batch

    def another() -> None:
        batch = some()
        if publish(club, *batch, millis=5_000) == []:
            done.update(map(position, batch))

    for _ in range(rounds):
        fate = dice.random()
        mend: Callable[[], None] = lambda: None  # noqa: E731
        if fate < 0.3:
            club.wire.before(dice.choice(["TransactWriteItems", "BatchGetItem"]), another)
        elif fate < 0.5:
            mend = club.wire.fail("TransactWriteItems", dice.choice(FAULTS), times=dice.randint(1, 12))
        elif fate < 0.6:
            club.wire.kill(dice.choice(["TransactWriteItems", "BatchGetItem"]))
        batch = some()
        try:
            again = publish(club, *batch, millis=1_050 if dice.random() < 0.3 else 5_000)
        except Killed:
            again = [position(batch[0])]
        mend()
        end = [position(record) for record in batch].index(again[0]) if again else len(batch)
        done.update(map(position, batch[:end]))
        club.wire.forget()
    return done


@pytest.mark.parametrize("seed", range(10))
def test_however_it_is_delivered_what_is_counted_is_what_was_delivered(club: Club, seed: int) -> None:
    dice = random.Random(seed)
    _, records = history(club)

    done = deliver_at_random(club, dice.sample(records, k=len(records) // 2), dice, rounds=25)

    notes = {pk[2:]: item["body"] for (pk, _), item in club.decoded().items() if pk.startswith("S#")}
    assert counted(club) == rebuilding.tally(note["tiers"] for note in notes.values())
    for record in records:
        if position(record) in done and standing._changed(record, PROGRAMS):
            member, version = record["dynamodb"]["Keys"]["pk"]["S"][2:], record["dynamodb"]["NewImage"]["version"]["N"]
            assert notes[member]["of"] >= int(version), "what was taken is not forgotten"

    assert publish(club, *records) == []
    assert_exact(club)


def test_the_history_is_worth_it(club: Club) -> None:
    _, records = history(club)

    changes = [change for record in records if (change := standing._changed(record, PROGRAMS))]
    assert len(records) > len(changes) > 40
    assert {code for change in changes for code in change.tiers.values()} >= {"A1", "A2", "A3", "Silver", "Gold"}
    assert len(held(club)) > 6


# --- the transaction ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("failing", ["check", "first put", "second put", "first update", "second update"])
def test_the_condition_that_fails_is_the_one_that_is_told(club: Club, failing: str) -> None:
    store_of(club)
    VersionedItem("M#there", "V", version=1, body=[]).save()

    def condition(name: str) -> Any:
        return VersionedItem.version == (2 if name == failing else 1)

    transaction = Transaction()
    transaction.update(StandingItem("M#there", "V"), [StandingItem.members.add(1)], condition("first update"), Busy())
    transaction.put(VersionedItem("M#1", "V", version=1, body=[]), None, Busy())
    for name in ("first put", "second put", "second update"):
        VersionedItem(f"M#{name}", "V", version=1, body=[]).save()
    for name in ("first put", "second put"):
        transaction.put(VersionedItem(f"M#{name}", "V", version=9, body=[]), condition(name), Stale(name))
    actions = [StandingItem.members.add(1)]
    transaction.update(
        StandingItem("M#second update", "V"), actions, condition("second update"), Stale("second update")
    )
    VersionedItem("M#check", "V", version=1, body=[]).save()
    transaction.check(VersionedItem, "M#check", "V", condition("check"), Stale("check"))

    with pytest.raises(Busy if failing == "first update" else Stale) as caught:
        transaction.commit()

    assert str(caught.value) == ("" if failing == "first update" else failing)
    assert ("M#1", "V") not in club.content()


@pytest.mark.parametrize("shard", range(items.STANDING_SHARDS))
def test_counters_are_corrected_only_where_none_has_moved(club: Club, shard: int) -> None:
    store = store_of(club)
    versions = list(store.counters().versions)
    assert versions == [0] * items.STANDING_SHARDS
    StandingItem(items.standing_key(shard), "-").update([StandingItem.version.add(1)])

    with pytest.raises(Stale):
        standing.correct(versions, {"members": 3})
    assert store.counters().counts.members == 0

    standing.correct(store.counters().versions, {"members": 3, "vip#Gold": -1})
    assert store.counters().counts == (3, {"vip": {"Gold": -1}})


def test_keys_that_were_not_processed_are_asked_for_again(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    connection = VersionedItem._get_connection().connection
    answer: Event = {"Responses": {}, "UnprocessedKeys": {club.table: {"Keys": []}}}
    store = store_of(club)
    monkeypatch.setattr(type(connection), "batch_get_item", lambda *_, **__: answer)

    with pytest.raises(Busy):
        store.all_of_summary("m-42")


# --- rebuilding -----------------------------------------------------------------------------------------------


def rebuild(club: Club, programs: Programs = PROGRAMS) -> tuple[bool, list[str]]:
    said: list[str] = []
    right = rebuilding.rebuild(aws("dynamodb"), club.table, programs, said.append)
    return right, said


def put(club: Club, pk: str, sk: str, **attributes: Item) -> None:
    aws("dynamodb").put_item(TableName=club.table, Item={"pk": {"S": pk}, "sk": {"S": sk}, **attributes})


def plant_note(club: Club, member_id: str, of: int, /, **tiers: str) -> None:
    version = club.content()[f"S#{member_id}", "-"]["version"]
    put(club, f"S#{member_id}", "-", version=version, body={"B": pack({"of": of, "tiers": tiers})})


def six(club: Club) -> list[Event]:
    """Six members, all of them counted; gives the stream."""
    club.post(*(award(f"m-{n}", 1 + 100 * n, f"e-{n}") for n in range(6)))
    assert publish(club, *club.stream()) == []
    return club.stream()


def test_what_is_right_is_left_alone(club: Club) -> None:
    six(club)
    before = club.content()

    assert rebuild(club) == (True, ["6 members: 0 put right", "the counters are right"])

    assert club.content() == before


def test_a_table_from_before_there_was_a_standing_gets_one(club: Club) -> None:
    club.post(*(award(f"m-{n}", 100, f"e-{n}") for n in range(120)))

    right, said = rebuild(club)

    assert right
    assert said[-2:] == ["120 members: 120 put right", "the counters are right"]
    assert "m-7: was not counted, is club A2" in said
    assert_exact(club)


@pytest.mark.parametrize("of", [0, 1, 9])
def test_a_note_that_is_wrong_is_put_right_with_its_share_of_the_counters(club: Club, of: int) -> None:
    records = six(club)
    club.post(award("m-3", 500, "e-more"))
    assert publish(club, *club.stream()) == []
    plant_note(club, "m-3", of, club="A4", vip="Gold")
    StandingItem("STANDING#0", "-").update([StandingItem.members.add(5)])

    right, said = rebuild(club)

    assert right
    assert "m-3: was club A4, vip Gold, is club A3" in said
    assert_exact(club)
    assert publish(club, *records) == []
    assert_exact(club)


def test_a_note_of_a_version_that_never_was_is_put_right(club: Club) -> None:
    """The tiers are right as yet, but no change of the account would be newer than the note."""
    six(club)
    plant_note(club, "m-3", 9, club="A2")

    assert rebuild(club)[0]
    club.post(award("m-3", 500, "e-more"))
    assert publish(club, *club.stream()) == []

    assert_exact(club)


def test_counters_that_are_wrong_get_the_difference(club: Club) -> None:
    six(club)
    put(club, "STANDING#1", "-", members={"N": "40"}, version={"N": "3"}, **{"club#A2": {"N": "-4"}})

    right, said = rebuild(club)

    assert right
    assert any(each.startswith("counter members: -") for each in said)
    assert any(each.startswith("counter club#A2: +") for each in said)
    assert_exact(club)


def test_a_note_without_an_account_is_told(club: Club) -> None:
    six(club)
    put(club, "S#ghost", "-", version={"N": "1"}, body={"B": pack({"of": 1, "tiers": {}})})

    right, said = rebuild(club)

    assert not right
    assert any(each.startswith("ghost: is counted, but has no account") for each in said)


def test_rebuilding_goes_on_beside_the_outbox_and_another_rebuilding(club: Club) -> None:
    """Between its reading and its writing the same members are counted by others; nothing is counted twice."""
    club.post(*(award(f"m-{n}", 100, f"e-{n}") for n in range(6)))
    club.wire.before("TransactWriteItems", lambda: publish(club, *accounts_of(club.stream(), "m-2")))
    assert rebuild(club)[0]
    assert_exact(club)

    plant_note(club, "m-1", 1, club="A4")
    club.wire.before("TransactWriteItems", lambda: rebuild(club))
    assert rebuild(club)[0]
    assert_exact(club)


def test_a_posting_in_the_middle_is_not_lost(club: Club) -> None:
    six(club)
    plant_note(club, "m-1", 1, club="A4")
    club.wire.before("TransactWriteItems", lambda: club.post(award("m-1", 500, "e-mid")), about='"M#m-1"')

    assert rebuild(club)[0]
    assert publish(club, *club.stream()) == []

    assert_exact(club)


@pytest.mark.parametrize("planted", [0, 5])
@pytest.mark.parametrize(
    ("operation", "about", "skip"),
    [
        ("Scan", "", 2),  # the counters have been read, the notes have not
        ("BatchGetItem", "STANDING#", 1),  # both have been read, and nothing is missing
        ("TransactWriteItems", "ConditionCheck", 0),  # something is, and is about to be added
    ],
)
def test_counters_that_move_meanwhile_are_compared_again(
    club: Club, operation: str, about: str, skip: int, planted: int
) -> None:
    six(club)
    StandingItem("STANDING#0", "-").update([StandingItem.members.add(planted)])

    def meanwhile() -> None:
        club.post(award("m-9", 500, "e-9"))
        publish(club, *accounts_of(club.stream(), "m-9"))

    club.wire.before(operation, meanwhile, about=about, skip=skip)
    right, said = rebuild(club)
    club.wire.forget()

    assert right
    met = counted(club)["members"] == 7
    assert met == ("the counters moved meanwhile: comparing again" in said)
    assert met or (operation, planted) in {("TransactWriteItems", 0), ("BatchGetItem", 5)}, "it has no such request"
    assert_exact(club)


def test_counters_that_never_rest_are_told_and_left_alone(club: Club) -> None:
    six(club)
    StandingItem("STANDING#0", "-").update([StandingItem.members.add(5)])
    club.wire.before("Scan", lambda: StandingItem("STANDING#1", "-").update([StandingItem.version.add(1)]), times=None)

    right, said = rebuild(club)

    assert not right
    assert said.count("the counters moved meanwhile: comparing again") == rebuilding.TRIES
    assert "try again" in said[-1]
    assert counted(club)["members"] == 11


# --- verifying ------------------------------------------------------------------------------------------------


def problems(club: Club) -> list[str]:
    return list(verify_standing(club.content().values(), PROGRAMS))


def test_verify_names_who_is_counted_wrongly_and_both_tiers(club: Club) -> None:
    six(club)
    plant_note(club, "m-3", 9, club="A4", vip="Gold")
    put(club, "S#ghost", "-", version={"N": "1"}, body={"B": pack({"of": 1, "tiers": {}})})
    put(club, "S#m-5", "-", version={"N": "1"}, body={"B": b"not deflated"})
    club.post(award("m-7", 1, "e-7"))

    assert problems(club) == [
        "ghost: standing: is counted, but has no account",
        "m-3: standing: club: counted A4, the account holds A2",
        "m-3: standing: vip: counted Gold, the account holds the lowest tier",
        "m-3: standing: counted as of version 9 of the account, which is at 1",
        "m-5: standing: what is counted can't be read",
        "m-7: standing: is not counted",
        "standing: club A1: 1 counted, the accounts give 2",
        "standing: members: 6 counted, the accounts give 7",
    ]


def test_verify_names_a_counter_that_is_wrong_and_both_numbers(club: Club) -> None:
    six(club)
    at = next(pk for pk, sk in club.content() if pk.startswith("STANDING#"))
    aws("dynamodb").delete_item(TableName=club.table, Key={"pk": {"S": at}, "sk": {"S": "-"}})
    put(club, at, "-", members={"N": "6"}, **{"club#A1": {"N": "1"}, "crowns#Gold": {"N": "2"}})

    assert problems(club) == [
        "standing: club A2: 0 counted, the accounts give 4",
        "standing: club A3: 0 counted, the accounts give 1",
        "standing: crowns Gold: 2 counted, the accounts give 0",
    ]
