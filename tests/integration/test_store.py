"""The store by itself: what each read asks the table for, and what becomes of an answer that is none.

How the use cases get on with it is in their own tests. Here stands what costs money or hides a mistake without their
seeing it: a second request, a read that is dearer or older than it has to be (architecture 3.4), a failure that is
taken for another one.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from pynamodb.exceptions import AttributeNullError, PutError, PynamoDBException, TransactWriteError

from club_ledger import items, store
from club_ledger.client import client
from club_ledger.environment import time_left
from club_ledger.items import EntryItem, RecordItem, SweepRunItem
from club_ledger.sweeping import index_of
from club_rules.account import JOURNAL_PAGE
from club_rules.errors import Refused, Unavailable
from club_rules.times import format_instant, parse_instant
from tests.integration.harness import NOW, Club, days, event, instant, line, order, sample
from tests.integration.test_brake import run_ids
from tests.integration.test_sweeps import in_shard

SHARDS = 8
SEAL_OF_2026 = "d25d301d916aae09"
Asked = tuple[str, bool, int | None]
"""An operation, whether it reads consistently, and how many items at most."""


def of(club: Club) -> store.Store:
    return store.connect(club.table, lambda: SHARDS)


# --- what a read asks for ------------------------------------------------------------------------------------

ONE_GET_OLD: list[Asked] = [("GetItem", False, None)]
ONE_GET: list[Asked] = [("GetItem", True, None)]
ONE_BATCH: list[Asked] = [("BatchGetItem", True, None)]
READS: dict[str, tuple[Callable[[store.Store], object], list[Asked]]] = {
    "an account": (lambda each: each.account("m-42"), ONE_GET_OLD),
    "an account as it is": (lambda each: each.account("m-42", consistent=True), ONE_GET),
    "a page of a statement": (lambda each: each.account_and_journal("m-42", 4), [("Query", True, 5)]),
    "a summary": (lambda each: each.all_of_summary("m-42"), ONE_BATCH),
    "an account with its rewards": (lambda each: each.account_and_rewards("m-42"), ONE_BATCH),
    "the counters": (lambda each: each.counters(), ONE_BATCH),
    "what was counted": (lambda each: each.counted(["m-42", "m-43"]), ONE_BATCH),
    "many accounts": (lambda each: each.stored_accounts(["m-42", "m-43"]), ONE_BATCH),
    "an order": (lambda each: each.order("m-42", "o-1"), ONE_GET),
    "a profile": (lambda each: each.profile("m-42"), ONE_GET),
    "what was paid": (lambda each: each.payout("o-1"), ONE_GET),
    "what was accelerated": (lambda each: each.acceleration("d-1"), ONE_GET),
    "a decision": (lambda each: each.decision("r-1"), ONE_GET),
    "no decisions": (lambda each: each.decisions("m-42", None, 20), [("Query", True, 21)]),
    "approvals of late": (lambda each: each.velocity("m-42"), ONE_GET),
    "entries": (lambda each: each.entries(["e-o-1", "e-2"]), ONE_BATCH),
    "an entry": (lambda each: each.entry("e-o-1"), ONE_GET),
    "an adjustment that waits": (lambda each: each.waiting_adjustment("a-1"), ONE_GET),
    "pages": (lambda each: each.pages("m-42", ["J#000000"]), ONE_BATCH),
    "who is due": (lambda each: each.due(3, instant(NOW), None, 7), [("Query", False, 7)]),
    "an item on a list": (lambda each: each.watched("m-42", "i-1"), ONE_GET_OLD),
    "an item on a list as it is": (lambda each: each.watched("m-42", "i-1", consistent=True), ONE_GET),
    "all lists": (lambda each: each.all_watched("m-42", None, 7), [("Query", True, 8)]),
    "watchers": (lambda each: each.watchers(3, "i-1", None, 7), [("Query", False, 7)]),
    "whether something is there": (lambda each: each.is_there("E#e-o-1", items.SINGLE), ONE_GET),
    "what a chunk has reserved": (lambda each: each.sweep_chunk("run", items.sweep_chunk_key(3, 1)), ONE_GET),
    "what all chunks have reserved": (lambda each: each.sweep_chunks("run"), [("Query", True, None)]),
    "rewards": (lambda each: each.rewards("m-42"), ONE_GET_OLD),
    "rewards as they are": (lambda each: each.rewards("m-42", consistent=True), ONE_GET),
    "rewards of many": (lambda each: each.rewards_of(["m-42", "m-43"]), ONE_BATCH),
}


@pytest.mark.parametrize("what", READS)
def test_a_read_is_so_many_requests_and_no_dearer_than_it_has_to_be(club: Club, what: str) -> None:
    club.post(order("o-1"))
    read, expected = READS[what]
    ours = of(club)
    club.wire.sent.clear()

    read(ours)

    assert [_asked(operation, body) for operation, body in club.wire.sent] == expected


def _asked(operation: str, body: dict[str, Any]) -> Asked:
    if operation == "BatchGetItem":
        ((_, body),) = body["RequestItems"].items()
    return operation, bool(body.get("ConsistentRead")), body.get("Limit")


def test_a_run_is_read_as_it_is(club: Club) -> None:
    club.post(order("o-1", at=NOW - days(365)), at=NOW - days(365))
    club.start_sweep("ExpirySweep", NOW)
    (run_id,) = run_ids(club)
    club.wire.sent.clear()

    assert int(of(club).sweep_run(run_id).open_shards) == 1

    assert [_asked(*each) for each in club.wire.sent] == ONE_GET


def test_more_than_a_page_of_a_list_is_left_for_the_next_request(club: Club) -> None:
    """However much there is, a page is one request: what lies behind it is neither read nor paid for."""
    for n in range(5):
        club.post(event("wishlist.item_added", f"e-{n}", {"item_id": f"i-{n}"}))
    ours = of(club)
    club.wire.sent.clear()

    page = ours.all_watched("m-42", None, 2)
    behind = ours.all_watched("m-42", page[-1].sk, 2)

    assert [item.sk for item in (*page, *behind)] == [items.watch_key(f"i-{n}") for n in range(4)]
    assert club.wire.operations() == ["Query", "Query"]


def test_watchers_go_on_behind_the_last_of_a_page(club: Club) -> None:
    early, late = sorted(in_shard(3, 2))
    for member_id in (late, early):
        club.post(event("wishlist.item_added", f"e-{member_id}", {"item_id": "i-1"}, member_id=member_id))
    ours = of(club)

    (row,) = ours.watchers(3, "i-1", None, 1)
    (other,) = ours.watchers(3, "i-1", row, 5)

    assert (row, other) == (f"{early} {instant(NOW)}", f"{late} {instant(NOW)}")
    assert ours.watchers(3, "i-1", other, 5) == []


def test_decisions_come_latest_first_a_page_at_a_time(club: Club) -> None:
    club.post(order("o-1001", line("i-1", "600.00"), at=NOW - days(1)), at=NOW - days(1))
    for n in range(5):
        asked = sample("expedited_refund")
        asked["body"] = json.dumps({**json.loads(asked["body"]), "request_id": f"r-{n}"})
        asked["requestContext"]["timeEpoch"] += n * 1000
        assert club.invoke("expedited_refund", asked)["statusCode"] == 200
    ours = of(club)
    everything = ours.decisions("m-42", None, 20)
    club.wire.sent.clear()

    page = ours.decisions("m-42", None, 2)

    assert club.wire.operations() == ["Query", "BatchGetItem"]
    assert len(everything) == 5
    assert [*page, *ours.decisions("m-42", page[-1][0], 2)] == everything[:4]
    when = [decision["decided_at"] for _, decision in everything]
    assert when == sorted(when, reverse=True)


def test_the_latest_pages_of_a_journal_come_with_the_account(club: Club) -> None:
    events = [event("post.published", f"e-{n}", {"post_id": f"p-{n}"}, at=NOW) for n in range(2 * JOURNAL_PAGE + 3)]
    club.post(*events)

    account, latest = of(club).account_and_journal("m-42", 1)
    again, both = of(club).account_and_journal("m-42", 5)

    assert account is not None
    assert again is not None
    assert account.version == again.version == len(events)
    assert list(latest) == [items.journal_key(1)]
    assert list(both) == [items.journal_key(1), items.journal_key(0)], "the latest first"
    assert [len(page) for page in both.values()] == [JOURNAL_PAGE] * 2
    assert of(club).account_and_journal("m-0", 1) == (None, {})


def test_who_is_due_at_the_very_instant_is_due_and_who_is_later_is_not(club: Club) -> None:
    early, middle, late = in_shard(3, 3)
    for n, member_id in enumerate((early, middle, late)):
        club.post(order(f"o-{n}", member_id=member_id, event_id=f"e-{n}", at=NOW + days(n)), at=NOW + days(n))
    due_at = club.decoded()[items.member_key(middle), items.ACCOUNT]["due_at"]
    ours = of(club)

    assert ours.due(3, due_at, None, 5) == ([early, middle], None)
    just_before = format_instant(parse_instant(due_at) - timedelta(seconds=1))
    assert ours.due(3, just_before, None, 5) == ([early], None)
    page, more = ours.due(3, due_at, None, 1)
    assert page == [early]
    assert ours.due(3, due_at, more, 5) == ([middle], None)
    assert ours.due(3, due_at, None, 5, index_of("RewardSweep")) == ([], None)


def test_a_summary_has_the_person_and_the_rewards_with_it(club: Club) -> None:
    club.post(
        event("member.registered", "e-1", {"birthday": "1990-02-03", "country": "DE"}),
        order("o-1", line("i-1", "600.00")),
    )
    club.announced()

    found = of(club).all_of_summary("m-42")

    assert found.profile == of(club).profile("m-42") != {}
    assert found.rewards == of(club).rewards("m-42")[1] != {}
    assert found.account is not None
    assert found.account.version == 2
    assert found.account.warned is None
    assert found.counts.members == 1


def test_when_a_member_was_last_warned_is_read_with_the_account(club: Club) -> None:
    award = {"campaign_id": "c", "points": 600, "program": "club"}
    club.post(event("promotion.awarded", "e-1", award))
    at = NOW + days(335)
    club.sweep("ExpirySweep", at)

    accounts = (
        of(club).account("m-42"),
        of(club).all_of_summary("m-42").account,
        of(club).account_and_rewards("m-42")[0],
    )

    assert [account and account.warned for account in accounts] == [at] * 3


def test_when_a_member_was_warned_is_stored_while_nothing_later_is(club: Club) -> None:
    """An entry that comes after it says as much: an item is paid for by its size."""
    award = {"campaign_id": "c", "points": 600, "program": "club"}
    club.post(event("promotion.awarded", "e-1", award))
    at = NOW + days(335)
    club.sweep("ExpirySweep", at)
    key = items.member_key("m-42"), items.ACCOUNT
    assert club.decoded()[key]["warned"] == instant(at)

    club.post(event("visit.recorded", "e-2", at=at + days(1)), at=at + days(1))

    assert "warned" not in club.decoded()[key]


def test_keys_that_are_handed_back_are_asked_for_again_before_the_others(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under load DynamoDB hands back some of a batch, or all of it, and then doesn't name the table among what it
    found."""
    club.post(*(order(f"o-{n}", event_id=f"e-{n}") for n in (0, 70, 101)))
    ours = of(club)
    connection = RecordItem._get_connection()
    carry_out: Any = connection.batch_get_item
    asked: list[list[str]] = []

    def overloaded(keys: list[dict[str, Any]], **given: Any) -> dict[str, Any]:
        asked.append([key["pk"]["S"] for key in keys])
        if len(asked) == 1:
            return {"Responses": {}, "UnprocessedKeys": {club.table: {"Keys": keys}}}
        found = {"Responses": carry_out(keys[:60], **given)["Responses"]}
        return {**found, "UnprocessedKeys": {club.table: {"Keys": keys[60:]}}} if len(asked) == 2 else found

    monkeypatch.setattr(connection, "batch_get_item", overloaded)
    found = ours.entries(f"e-{n}" for n in range(102))

    keys = [items.entry_key(f"e-{n}") for n in range(102)]
    assert asked == [keys[:100], keys[:100], [*keys[60:100], *keys[100:]]]
    assert sorted(found) == ["e-0", "e-101", "e-70"]


def test_an_approval_of_late_is_read_with_its_version(club: Club) -> None:
    club.post(order("o-1001", line("i-1", "600.00"), at=NOW - days(1)), at=NOW - days(1))
    assert of(club).velocity("m-42") == ([], 0)
    assert club.invoke("expedited_refund", sample("expedited_refund"))["statusCode"] == 200

    rows, version = of(club).velocity("m-42")

    assert version == 1
    assert [len(row) for row in rows] == [2]
    assert of(club).velocity("m-43") == ([], 0)


def test_pynamodb_speaks_through_the_one_client_of_the_process(club: Club) -> None:
    """Its own would check every parameter, and would be made a second time (architecture 3.4)."""
    RecordItem.Meta.table_name = "another"
    of(club)

    assert RecordItem._get_connection().connection.client is client("dynamodb")
    assert of(club).account("m-0") is None


def test_the_counters_are_the_sum_of_their_shards() -> None:
    def shard(**numbers: int) -> dict[str, Any]:
        return {"pk": {"S": "any"}, **{name.replace("_", "#"): {"N": str(n)} for name, n in numbers.items()}}

    keys = [(items.standing_key(n), items.SINGLE) for n in range(items.STANDING_SHARDS)]
    given = {keys[0]: shard(members=3, club_A1=2, version=7), keys[2]: shard(members=2, club_A1=1, vip_Gold=1)}
    found = store.counters_of(given)

    assert (found.counts.members, found.counts.tiers) == (5, {"club": {"A1": 3}, "vip": {"Gold": 1}})
    assert found.versions == (7, 0, 0, 0)


# --- what is written -----------------------------------------------------------------------------------------


def test_many_records_are_put_in_as_few_requests_as_there_can_be(club: Club) -> None:
    records = [RecordItem("ALERT#p-1", f"m-{n:02}", body={"n": n}) for n in range(60)]

    of(club).put_again(records)

    sizes = [len(body["RequestItems"][club.table]) for body in club.wire.bodies("BatchWriteItem")]
    assert sizes == [25, 25, 10]
    assert [sk for _, sk in club.content()] == [f"m-{n:02}" for n in range(60)]


def test_a_failed_condition_raises_the_failure_that_belongs_to_it(club: Club) -> None:
    club.post(order("o-1"))
    free, taken = items.entry_key("e-free"), items.entry_key("e-o-1")
    mine, other = store.Stale("mine"), store.Stale("other")
    for check, put, expected in ((taken, free, mine), (free, taken, other)):
        transaction = store.Transaction()
        transaction.check(EntryItem, check, items.SINGLE, EntryItem.pk.does_not_exist(), mine)
        made = EntryItem(put, items.SINGLE, digest="d", body={})
        transaction.put(made, EntryItem.pk.does_not_exist(), other)
        with pytest.raises(store.Stale) as failed:
            transaction.commit()
        assert failed.value is expected


def test_what_is_there_already_is_named_with_its_digest(club: Club) -> None:
    RecordItem.Meta.table_name = club.table
    for digest in ("first", "second"):
        transaction = store.Transaction()
        item = EntryItem(items.entry_key("e-1"), items.SINGLE, digest=digest, body={})
        transaction.put(item, EntryItem.pk.does_not_exist(), store.Exists("e-1", None))
        if digest == "first":
            transaction.commit()
    with pytest.raises(store.Exists) as failed:
        transaction.commit()

    assert (failed.value.name, failed.value.digest) == ("e-1", "first")


def test_what_no_repeat_makes_better_is_raised_as_it_is(club: Club) -> None:
    transaction = store.Transaction()
    transaction.put(RecordItem("any", "thing", body={}), None, store.Stale("never"))
    club.wire.fail("TransactWriteItems", "denied")
    with pytest.raises(TransactWriteError) as failed:
        transaction.commit()
    assert store.code_of(failed.value) == "AccessDeniedException"

    club.wire.fail("PutItem", "denied")
    with pytest.raises(PutError) as put_failed:
        of(club).put(RecordItem("any", "thing", body={}), RecordItem.pk.does_not_exist(), store.Stale("never"))
    assert store.code_of(put_failed.value) == "AccessDeniedException"

    club.wire.forget()
    club.wire.fail("TransactWriteItems", "too_large")
    with pytest.raises(Refused) as refused:
        transaction.commit()
    text = "a record of this member would exceed what the table takes"
    assert (refused.value.code, refused.value.detail) == ("record_too_large", text)


def test_what_a_single_put_is_conditional_on_holds(club: Club) -> None:
    for failing in (False, True):
        item = RecordItem("any", "thing", body={"failing": failing})
        if failing:
            with pytest.raises(store.Stale):
                of(club).put(item, RecordItem.pk.does_not_exist(), store.Stale("thing"))
        else:
            of(club).put(item, RecordItem.pk.does_not_exist(), store.Stale("thing"))

    assert club.decoded()["any", "thing"]["body"] == {"failing": False}


@pytest.mark.parametrize("response", [None, {}, {"Error": {}}, "no cause", "cause without answer"])
def test_a_failure_without_a_code_has_none(response: Any) -> None:
    cause: Any = {"no cause": None, "cause without answer": ValueError()}.get(str(response))
    if cause is None and response != "no cause":
        cause = SimpleNamespace(response=response)
    assert store.code_of(PynamoDBException("?", cause)) is None


# --- items ---------------------------------------------------------------------------------------------------


def test_what_is_packed_takes_no_more_than_it_has_to() -> None:
    """An item is paid for by its size: no blanks, and no escapes for letters, which UTF-8 has shorter."""
    content = {"name": "Зоя", "points": [1, 2], "none": None}
    packed = items.pack(content)

    assert zlib.decompress(packed).decode() == '{"name":"Зоя","points":[1,2],"none":null}'
    assert items.unpack(packed) == content
    many = {"reasons": [{"rule": "tier", "points": n} for n in range(500)]}
    assert len(items.pack(many)) < len(json.dumps(many)) / 8


def test_an_item_that_lacks_something_is_not_written(club: Club) -> None:
    with pytest.raises(AttributeNullError, match="'body'"):
        RecordItem("any", "thing").serialize()
    with pytest.raises(AttributeNullError):
        SweepRunItem("any", "run").serialize()

    assert RecordItem("any", "thing").serialize(null_check=False).keys() == {"pk", "sk", items.SEAL}
    assert SweepRunItem("any", "run").serialize(null_check=False).keys() >= {"pk", "sk", items.SEAL}


def test_a_seal_stays_what_it_was() -> None:
    """What is stored was sealed by an earlier version of the club: its seal has to come out the same for ever."""
    stored: dict[str, dict[str, Any]] = {
        "pk": {"S": "M#m-42"},
        "sk": {"S": "J~"},
        "version": {"N": "7"},
        "body": {"B": b"\x78\x9c\x03\x00"},
    }
    assert items.seal_of(stored).hex() == SEAL_OF_2026
    assert items.seal_of({**stored, items.SEAL: {"B": b"its own"}}).hex() == SEAL_OF_2026
    for name, other in (("pk", {"S": "M#m-43"}), ("version", {"N": "8"}), ("body", {"B": b"\x78"})):
        assert items.seal_of({**stored, name: other}).hex() != SEAL_OF_2026


def test_the_seal_of_a_run_is_of_what_stays() -> None:
    def seal(pk: str = "SWEEP#1", sk: str = items.SINGLE, *, open_shards: int = 1, **body: object) -> dict[str, bytes]:
        run = SweepRunItem(pk, sk, body=body)
        run.open_shards = open_shards
        run.progress, run.positions, run.tally, run.reserved = {}, {}, {}, {}
        sealed: dict[str, bytes] = run.serialize()[items.SEAL]
        return sealed

    first = seal(sweep="ExpirySweep")
    assert seal(sweep="ExpirySweep", open_shards=0) == first, "it is added to while the run goes on"
    others = [seal("SWEEP#2", sweep="ExpirySweep"), seal(sk="C#", sweep="ExpirySweep"), seal(sweep="RewardSweep")]
    assert first not in others


# --- trying again --------------------------------------------------------------------------------------------


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits between the tries, each as long as it may be; none of them passes."""
    waited: list[float] = []
    monkeypatch.setattr("club_ledger.store.random.uniform", lambda low, high: high)
    monkeypatch.setattr("club_ledger.store.time.sleep", waited.append)
    return waited


def test_the_waits_double_up_to_a_second(waits: list[float]) -> None:
    """Who is in each other's way has to come at different times; who waits on the table must not wait for long."""
    tries = iter([*[store.Busy("?"), store.Stale("?")] * 4, None])

    def attempt() -> str:
        failure = next(tries)
        if failure is not None:
            raise failure
        return "done"

    assert store.retrying(attempt, lambda: 60.0) == "done"
    assert waits == pytest.approx([0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.0, 1.0])


def test_a_second_is_left_for_the_try_itself(waits: list[float]) -> None:
    clock = iter([1.02, 1.03])

    def attempt() -> None:
        raise store.Busy("?")

    with pytest.raises(Unavailable) as refused:
        store.retrying(attempt, lambda: next(clock))
    assert waits == pytest.approx([0.02]), "after 0.02 s there is a second left, after 0.04 s there is not"
    text = "the ledger is busy; the same request may be sent again"
    assert (refused.value.code, refused.value.detail) == ("store_unavailable", text)


def test_the_time_that_is_left_is_the_lesser_of_the_two(monkeypatch: pytest.MonkeyPatch) -> None:
    """A piece of work has its own seconds, and never more than the invocation (architecture 3.5)."""
    now = [100.0]
    monkeypatch.setattr("club_ledger.environment.time.monotonic", lambda: now[0])
    left = [30_000]
    context = SimpleNamespace(get_remaining_time_in_millis=lambda: left[0])
    clock = time_left(context, 4.0)

    assert clock() == pytest.approx(4.0)
    now[0] += 1.5
    assert clock() == pytest.approx(2.5)
    left[0] = 1_250
    assert clock() == pytest.approx(1.25)
