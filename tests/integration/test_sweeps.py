"""expiry_sweep and demotion_sweep: what is due, once each, however often and however late (contract 2.4, I8)."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import date, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest

from club_ledger import items, sweeping
from club_ledger.store import shard_of
from club_rules.errors import InvalidInput
from club_rules.tallying import report
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
    message,
    order,
    record,
    sample,
)

SHARDS = 8
CHUNK = 6
"""Small, so that few members make many chunks."""
REAL_CHUNK = sweeping.CHUNK
BRIEF = 1_050
NIGHT = NOW.replace(hour=0, minute=5)
"""When the expiry sweep is scheduled."""

Key = tuple[str, str]


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", CHUNK)


def later(number: float) -> datetime:
    """The scheduled time of the sweep so many days after."""
    return NIGHT + days(number)


def in_shard(shard: int, number: int) -> list[str]:
    """So many member ids of one shard."""
    ids = (f"m-{n}" for n in count() if shard_of(f"m-{n}", SHARDS) == shard)
    return list(islice(ids, number))


def buys(club: Club, members: Iterable[str], price: str = "20.00", at: datetime = NOW) -> None:
    """Each member buys one thing."""
    bought = (line("i-1", price),)
    club.post(*(order("o-1", *bought, event_id=f"e-{id_}", member_id=id_, at=at) for id_ in members), at=at)


def ledger(club: Club) -> dict[Key, Item]:
    """What the sweeps write, but for the notes on runs, and for how many transactions an account has seen."""
    apart = ("SWEEP#", items.COUNTED, "STANDING#")
    found = {key: item for key, item in club.decoded().items() if not key[0].startswith(apart)}
    for item in found.values():
        item.pop("version", None)
    return found


def runs(club: Club) -> list[Item]:
    return [item for key, item in club.decoded().items() if key[0].startswith("SWEEP#")]


def finished(club: Club) -> list[Event]:
    return [detail for detail_type, detail in club.announced() if detail_type == "sweep.finished"]


def kinds(club: Club, member_id: str = "m-42") -> list[dict[str, str]]:
    """What each entry of a member is called, per program."""
    return [{name: part["kind"] for name, part in entry["parts"].items()} for entry in club.entries(member_id)]


def tiers(club: Club, member_id: str = "m-42") -> dict[str, str]:
    """The tiers that are posted, not those that a reader is shown."""
    stored = ledger(club)[items.member_key(member_id), items.ACCOUNT]["body"]["p"]
    return {name: PROGRAMS.versions(name)[0].codes[state.get("t", 0)] for name, state in stored.items()}


# --- what is due, and only that -------------------------------------------------------------------------------


def test_what_expires_is_posted_on_its_day(club: Club) -> None:
    buys(club, ["m-42"], "1000.00")

    club.sweep("ExpirySweep", later(89))
    assert len(club.entries()) == 1

    club.sweep("ExpirySweep", later(90))
    club.sweep("DemotionSweep", later(90))
    assert kinds(club)[1:] == [{"vip": "expiry"}, {"vip": "tier_review"}]
    expiry = club.entries()[1]
    assert expiry["posted_at"] == expiry["occurred_at"] == instant((NOW + days(90)).replace(hour=0, minute=0))
    assert expiry["parts"]["vip"]["points"] == -100_000

    club.sweep("ExpirySweep", later(365))
    assert kinds(club)[3:] == [{"club": "expiry", "crowns": "expiry"}]
    club.assert_whole()


@pytest.mark.parametrize("others", [5, 50])
def test_a_sweep_reads_what_is_due_and_nothing_else(club: Club, others: int) -> None:
    due = [f"due-{n}" for n in range(3)]
    buys(club, due, at=NOW - days(90))
    buys(club, (f"m-{n}" for n in range(others)), at=NOW - days(1))
    before = ledger(club)
    club.wire.sent.clear()

    club.sweep("ExpirySweep", NIGHT)

    sent = club.wire.operations()
    shards = {shard_of(member_id, SHARDS) for member_id in due}
    assert "Scan" not in sent
    assert "BatchGetItem" not in sent
    assert sent.count("Query") == SHARDS + len(shards), "one look a shard, one for each chunk"
    looks = [body["Limit"] for body in club.wire.bodies("Query")[:SHARDS]]
    assert looks == [1] * SHARDS, "to know that somebody is due it takes one"
    assert all(body["IndexName"] == "due" for body in club.wire.bodies("Query"))
    accounts = [body for body in club.wire.bodies("GetItem") if body["Key"]["sk"]["S"] == items.ACCOUNT]
    assert sorted(body["Key"]["pk"]["S"] for body in accounts) == sorted(f"M#{member_id}" for member_id in due)
    assert not any(body.get("ConsistentRead") for body in accounts), "half a read unit each"
    assert sent.count("TransactWriteItems") == 3
    after = ledger(club)
    changed = {key for key in after if after[key] != before.get(key)}
    assert {pk for pk, _ in changed if pk.startswith("M#")} == {f"M#{member_id}" for member_id in due}
    for member_id in due:
        assert kinds(club, member_id)[1:] == [{"vip": "expiry"}]


def test_nobody_due_is_a_run_too(club: Club) -> None:
    club.wire.sent.clear()

    assert club.start_sweep("ExpirySweep", NIGHT) == []

    assert set(club.wire.operations()) <= {"Query", "PutItem", "ReceiveMessage"}
    (told,) = finished(club)
    assert told["counts"] == {"members": 0, "entries": 0, "tier_changes": 0}


def test_the_samples_start_a_run_and_work_off_a_chunk(club: Club) -> None:
    (member,) = in_shard(5, 1)
    buys(club, [member], "600.00", at=NOW - days(365))
    for name, sweep in (("expiry_sweep", "ExpirySweep"), ("demotion_sweep", "DemotionSweep")):
        assert club.invoke(name, sample(name)) == {"batchItemFailures": []}
        (chunk,) = club.taken_chunks(sweep)
        expected = json.loads(sample(f"{name}_chunk")["Records"][0]["body"])
        assert json.loads(chunk).keys() == expected.keys()
        run = dict(expected, run_id=json.loads(chunk)["run_id"])
        assert json.loads(chunk) == run
        chunks = sample(f"{name}_chunk")
        chunks["Records"][0]["body"] = chunk
        assert club.invoke(name, chunks) == {"batchItemFailures": []}

    assert tiers(club, member) == {"club": "A0", "crowns": "none", "vip": "none"}
    assert [told["counts"]["entries"] for told in finished(club)] == [2, 1]


@pytest.mark.parametrize("size", [CHUNK, REAL_CHUNK])
def test_more_is_due_than_one_chunk_holds(club: Club, monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", size)
    members = in_shard(3, 2 * size + 5)
    buys(club, members, at=NOW - days(90))

    (chunk,) = club.start_sweep("ExpirySweep", NIGHT)
    sizes = []
    while chunk:
        club.wire.sent.clear()
        assert club.work_chunks("ExpirySweep", chunk) == []
        sizes.append(club.wire.operations().count("TransactWriteItems"))
        chunk = next(iter(club.taken_chunks("ExpirySweep")), "")

    assert sizes == [size, size, 5]
    assert all(kinds(club, member_id)[1:] == [{"vip": "expiry"}] for member_id in members)
    (told,) = finished(club)
    assert told["counts"] == {"members": 2 * size + 5, "entries": 2 * size + 5, "tier_changes": 0}


def test_exactly_one_chunk_is_due(club: Club) -> None:
    buys(club, in_shard(3, CHUNK), at=NOW - days(90))

    club.sweep("ExpirySweep", NIGHT)

    assert [told["counts"]["entries"] for told in finished(club)] == [CHUNK]


def test_a_member_with_more_due_than_one_transaction_holds(club: Club) -> None:
    start = NOW - days(600)
    for n in range(90):
        award = {"campaign_id": "c", "points": 30, "program": "crowns"}
        club.post(event("promotion.awarded", f"e-{n}", award, at=start + days(n)), at=start + days(n))

    club.sweep("ExpirySweep", NIGHT, dry_run=True)
    assert [(run["members"], run["entries"]) for run in runs(club)] == [("1", "90")], "a dry run counts them all"

    club.sweep("ExpirySweep", NIGHT)

    assert kinds(club)[90:] == [{"crowns": "expiry"}] * 90
    written = [str(body).count("E#~expiry~") for body in club.wire.bodies("TransactWriteItems")]
    assert [number for number in written if number] == [40, 40, 10], "well within DynamoDB's 100 items and 4 MB"
    assert club.summary()["crowns"]["points"] == 0
    club.assert_whole()


# --- two sweeps, two shares -----------------------------------------------------------------------------------


def test_the_expiry_sweep_leaves_tiers_to_the_demotion_sweep(club: Club) -> None:
    buys(club, ["m-42"], "600.00")
    held = {"club": "A3", "crowns": "Platinum", "vip": "none"}

    club.sweep("ExpirySweep", later(365))
    assert tiers(club) == held
    assert club.summary(at=later(365))["club"]["tier"] == "A0", "a reader is shown what is due"
    assert not [told for told in club.announced() if told[0] == "tier.changed" and told[1]["cause"] == "tier_review"]

    club.sweep("DemotionSweep", later(365) + timedelta(minutes=30))
    assert tiers(club) == {"club": "A0", "crowns": "none", "vip": "none"}
    told = [detail for kind, detail in club.announced() if kind == "tier.changed" and detail["cause"] == "tier_review"]
    assert [(each["program"], each["from"], each["to"], each["on"]) for each in told] == [
        ("club", "A3", "A0", "2027-11-22"),
        ("crowns", "Platinum", "none", "2027-11-22"),
    ]
    club.assert_whole()


def test_the_demotion_sweep_needs_no_expiry_sweep(club: Club) -> None:
    """It posts what expires before the reviews: the reviews rest on it."""
    buys(club, ["m-42"], "600.00")

    club.sweep("DemotionSweep", later(365))

    assert kinds(club)[1:] == [
        {"vip": "expiry"},
        {"club": "expiry", "crowns": "expiry"},
        {"club": "tier_review", "crowns": "tier_review"},
    ]
    assert tiers(club) == {"club": "A0", "crowns": "none", "vip": "none"}


def test_a_vip_period_is_reviewed_by_the_demotion_sweep(club: Club) -> None:
    buys(club, ["m-42"], "1500.00", at=NOW)
    club.post(order("o-2", line("i-2", "1000.00"), at=NOW + days(60)), at=NOW + days(60))

    club.sweep("ExpirySweep", later(90))
    assert tiers(club)["vip"] == "Silver"
    club.sweep("DemotionSweep", later(90))
    assert kinds(club)[-1] == {"vip": "tier_review"}
    assert [reason["code"] for reason in club.entries()[-1]["parts"]["vip"]["reasons"]] == ["retained"]

    club.sweep("ExpirySweep", later(180))
    club.sweep("DemotionSweep", later(180))
    assert tiers(club)["vip"] == "none"
    club.assert_whole()


# --- killed, repeated, in parallel ----------------------------------------------------------------------------


def a_busy_night(club: Club) -> dict[Key, Item]:
    """Members of one shard with something due, most of them for both sweeps; the table before the sweeps."""
    members = in_shard(3, CHUNK + 6)
    buys(club, members[::2], "600.00", at=NOW - days(365))
    buys(club, members[1::2], "1000.00", at=NOW - days(90))
    return club.content()


def both_sweeps(club: Club) -> dict[Key, Item]:
    club.sweep("ExpirySweep", NIGHT)
    club.sweep("DemotionSweep", NIGHT + timedelta(minutes=30))
    return ledger(club)


WRITES = ["TransactWriteItems", "UpdateItem", "SendMessage", "GetItem", "Query"]
KILLS = [
    ("TransactWriteItems", 0),
    ("TransactWriteItems", 3),
    ("TransactWriteItems", CHUNK - 1),
    ("TransactWriteItems", CHUNK),
    ("UpdateItem", 0),  # all worked off, not noted
    ("UpdateItem", 1),
    ("SendMessage", 0),  # noted, the next chunk not sent; the start's own message comes before the rule
    ("GetItem", 9),
]


@pytest.mark.parametrize("sweep", ["ExpirySweep", "DemotionSweep"])
@pytest.mark.parametrize(("operation", "skip"), KILLS)
def test_a_sweep_that_is_killed_goes_on_where_it_was(club: Club, sweep: str, operation: str, skip: int) -> None:
    before = a_busy_night(club)
    if sweep == "DemotionSweep":
        club.sweep("ExpirySweep", NIGHT)
        before = club.content()
    club.sweep(sweep, NIGHT)
    undisturbed = ledger(club)
    club.create_table(before.values())

    waiting = club.start_sweep(sweep, NIGHT)
    club.wire.kill(operation, skip=skip)
    deaths = 0
    while waiting:
        try:
            assert club.work_chunks(sweep, waiting[0]) == []
            waiting.pop(0)
        except Killed:
            deaths += 1  # the message stays, and comes again
        waiting += club.taken_chunks(sweep)

    assert deaths == 1
    assert ledger(club) == undisturbed
    assert len([told for told in finished(club) if told["sweep"] == sweep]) == 1
    club.assert_whole()


@pytest.mark.parametrize("operation", ["Query", "PutItem", "SendMessage"])
def test_a_start_that_is_killed_is_repeated_with_the_same_id(club: Club, operation: str) -> None:
    buys(club, [*in_shard(1, 2), *in_shard(4, 2)], at=NOW - days(90))
    club.wire.kill(operation, skip=1 if operation == "SendMessage" else 0)
    waiting: list[str] = []
    with pytest.raises(Killed):
        club.start_sweep("ExpirySweep", NIGHT, request_id="same")

    waiting += club.start_sweep("ExpirySweep", NIGHT, request_id="same")
    while waiting:
        assert club.work_chunks("ExpirySweep", waiting.pop(0)) == []
        waiting += club.taken_chunks("ExpirySweep")

    assert len(runs(club)) == 1
    (told,) = finished(club)
    assert told["counts"] == {"members": 4, "entries": 4, "tier_changes": 0}


def test_a_start_that_is_repeated_after_its_members_were_settled_still_finishes(club: Club) -> None:
    """The run is noted, no chunk was sent, and meanwhile a posting does what was due."""
    (member,) = in_shard(1, 1)
    buys(club, [member], at=NOW - days(90))
    club.wire.kill("SendMessage")
    with pytest.raises(Killed):
        club.start_sweep("ExpirySweep", NIGHT, request_id="same")
    club.post(event("visit.recorded", "e-1", member_id=member))

    waiting = club.start_sweep("ExpirySweep", NIGHT, request_id="same")
    assert club.work_chunks("ExpirySweep", *waiting) == []

    assert len(finished(club)) == 1


def test_a_start_that_is_repeated_does_not_forget_what_its_first_chunks_did(club: Club) -> None:
    buys(club, [*in_shard(1, 2), *in_shard(4, 2)], at=NOW - days(90))
    club.wire.kill("SendMessage", skip=1)
    with pytest.raises(Killed):
        club.start_sweep("ExpirySweep", NIGHT, request_id="same")
    assert club.work_chunks("ExpirySweep", *club.taken_chunks("ExpirySweep")) == []

    waiting = club.start_sweep("ExpirySweep", NIGHT, request_id="same")
    assert [json.loads(chunk)["shard"] for chunk in waiting] == [1, 4], "the run's shards, not those still due"
    assert club.work_chunks("ExpirySweep", *waiting) == []

    (told,) = finished(club)
    assert told["counts"] == {"members": 4, "entries": 4, "tier_changes": 0}


def test_a_sweep_run_twice_does_nothing_the_second_time(club: Club) -> None:
    a_busy_night(club)
    once = both_sweeps(club)

    assert both_sweeps(club) == once

    told = finished(club)
    assert len({each["event_id"] for each in told}) == len(told) == 4
    assert [each["counts"]["entries"] > 0 for each in told] == [True, True, False, False]


@pytest.mark.parametrize("sweep", ["ExpirySweep", "DemotionSweep"])
@pytest.mark.parametrize("skip", [0, 3, 9])
def test_a_second_sweep_in_the_middle_of_the_first(club: Club, sweep: str, skip: int) -> None:
    before = a_busy_night(club)
    club.sweep(sweep, NIGHT)
    undisturbed = ledger(club)
    club.create_table(before.values())
    club.wire.before("TransactWriteItems", lambda: club.sweep(sweep, NIGHT), skip=skip)

    club.sweep(sweep, NIGHT)

    assert ledger(club) == undisturbed
    assert len(finished(club)) == 2
    club.assert_whole()


def test_both_sweeps_at_once(club: Club) -> None:
    """The demotion sweep runs while the expiry sweep is in the middle of a member."""
    before = a_busy_night(club)
    undisturbed = both_sweeps(club)
    club.create_table(before.values())
    club.wire.before("TransactWriteItems", lambda: club.sweep("DemotionSweep", NIGHT), skip=5)

    club.sweep("ExpirySweep", NIGHT)
    club.sweep("DemotionSweep", NIGHT)

    assert ledger(club) == undisturbed


def test_a_posting_in_the_middle_of_a_sweep(club: Club) -> None:
    buys(club, ["m-42"], "600.00", at=NOW - days(365))
    club.wire.before(
        "TransactWriteItems",
        lambda: club.post(event("visit.recorded", "e-visit", at=NIGHT), at=NIGHT),
        about="~expiry~",
    )

    club.sweep("ExpirySweep", NIGHT)

    assert [entry.get("type", "sweep") for entry in club.entries()][-1] == "visit.recorded"
    assert tiers(club) == {"club": "A0", "crowns": "Silver", "vip": "none"}
    club.assert_whole()


def test_what_a_sweep_read_too_early_it_reads_again_consistently(club: Club) -> None:
    """The plan may rest on an old read, which is cheap; what is written after a first try must not."""
    buys(club, ["m-42"], at=NOW - days(90))
    visit = record(message(event("visit.recorded", "e-visit", at=NOW - days(9))), NOW - days(9))
    (chunk,) = club.start_sweep("ExpirySweep", NIGHT)
    club.wire.before("TransactWriteItems", lambda: club.deliver(visit), about="~expiry~")
    club.wire.sent.clear()

    assert club.work_chunks("ExpirySweep", chunk) == []

    reads = [bool(body.get("ConsistentRead")) for body in club.wire.bodies("GetItem")]
    assert reads == [False, False, True], "the plan's, the posting's, the sweep's again"
    assert kinds(club)[-1] == {"vip": "expiry"}


def test_a_late_repeat_of_a_chunk_goes_nowhere(club: Club) -> None:
    """The shard has come further by then: a shard is one chain of chunks."""
    buys(club, in_shard(3, 2 * CHUNK + 3), at=NOW - days(90))
    (first,) = club.start_sweep("ExpirySweep", NIGHT)
    assert club.work_chunks("ExpirySweep", first) == []
    (second,) = club.taken_chunks("ExpirySweep")
    assert club.work_chunks("ExpirySweep", second) == []
    (third,) = club.taken_chunks("ExpirySweep")

    assert club.work_chunks("ExpirySweep", first) == []

    assert club.taken_chunks("ExpirySweep") == []
    assert club.work_chunks("ExpirySweep", third) == []
    assert len(finished(club)) == 1
    assert all(kinds(club, id_)[1:] == [{"vip": "expiry"}] for id_ in in_shard(3, 2 * CHUNK + 3))


@pytest.mark.parametrize("twice", [1, 2])
def test_a_chunk_that_is_delivered_twice_finishes_the_run_once(club: Club, twice: int) -> None:
    """Two shards, one with three chunks of which one comes twice: the run ends with the last chunk, once.

    Some members stay due after the expiry sweep (their tier is the other sweep's), some don't: so the repeat finds
    other members than the first delivery did.
    """
    members = in_shard(3, 2 * CHUNK + 3)
    stays = {*members[:3], *members[CHUNK:]}
    buys(club, (id_ for id_ in members if id_ in stays), "600.00", at=NOW - days(365))
    buys(club, (id_ for id_ in members if id_ not in stays), at=NOW - days(365))
    buys(club, in_shard(1, 1), at=NOW - days(90))
    other, first = club.start_sweep("ExpirySweep", NIGHT)
    assert json.loads(first)["shard"] == 3

    waiting = [first]
    delivered = 0
    while waiting:
        chunk = waiting.pop()
        delivered += 1
        assert delivered < 20, "chunks without end"
        assert club.work_chunks("ExpirySweep", chunk) == []
        if json.loads(chunk)["chunk"] == twice and delivered <= 2:
            assert club.work_chunks("ExpirySweep", chunk) == []
        waiting += club.taken_chunks("ExpirySweep")
    assert finished(club) == [], "the other shard is still to come"
    assert club.work_chunks("ExpirySweep", other) == []

    (told,) = finished(club)
    assert 0 < told["counts"]["entries"] <= 2 * len(members) + 1
    assert all(kinds(club, id_)[-1].get("club") == "expiry" for id_ in members)
    club.assert_whole()


@pytest.mark.parametrize("seed", range(3))
def test_chunks_in_any_order_as_often_as_they_like(club: Club, seed: int) -> None:
    rng = random.Random(seed)
    members = [*in_shard(3, 3 * CHUNK), *in_shard(1, CHUNK + 2), *in_shard(6, 3)]
    rng.shuffle(members)
    buys(club, members[::2], "600.00", at=NOW - days(365))
    buys(club, members[1::2], "1000.00", at=NOW - days(90))
    before = club.content()
    undisturbed = both_sweeps(club)
    club.create_table(before.values())

    for sweep in ("ExpirySweep", "DemotionSweep"):
        waiting = club.start_sweep(sweep, NIGHT)
        repeats = 12
        while waiting:
            rng.shuffle(waiting)
            chunk = waiting[0]
            if rng.random() < 0.5 and repeats:
                repeats -= 1
            else:
                waiting.pop(0)
            assert club.work_chunks(sweep, chunk) == []
            waiting += club.taken_chunks(sweep)

    assert ledger(club) == undisturbed
    assert [told["sweep"] for told in finished(club)] == ["ExpirySweep", "DemotionSweep"]


# --- the store fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("GetItem", "throttle"),
        ("GetItem", "timeout_before"),
        ("Query", "error"),
        ("Query", "timeout_before"),
        ("TransactWriteItems", "conflict"),
        ("TransactWriteItems", "timeout_before"),
        ("UpdateItem", "throttle"),
        ("UpdateItem", "timeout_before"),
        ("UpdateItem", "timeout_after"),
    ],
)
def test_a_chunk_that_the_store_did_not_take_comes_again(club: Club, operation: str, kind: str) -> None:
    quick, slow = in_shard(1, 2), in_shard(3, 2)
    buys(club, [*quick, *slow], at=NOW - days(90))
    first, second = club.start_sweep("ExpirySweep", NIGHT)
    about = {"UpdateItem": '"3"', "Query": "DUE#3"}.get(operation, f"M#{slow[0]}")
    mend = club.wire.fail(operation, kind, about=about)

    assert club.work_chunks("ExpirySweep", second, first, millis=BRIEF) == [second]
    assert [kinds(club, id_)[-1] for id_ in quick] == [{"vip": "expiry"}] * 2
    assert kind == "timeout_after" or finished(club) == []

    mend()
    assert club.work_chunks("ExpirySweep", second) == []
    assert [kinds(club, id_)[1:] for id_ in slow] == [[{"vip": "expiry"}]] * 2
    assert len(finished(club)) == 1
    club.assert_whole()


def test_an_answer_that_is_lost_after_the_commit_sweeps_nothing_twice(club: Club) -> None:
    buys(club, in_shard(1, 2), at=NOW - days(90))
    club.wire.fail("TransactWriteItems", "timeout_after")

    club.sweep("ExpirySweep", NIGHT)

    assert [kinds(club, id_)[1:] for id_ in in_shard(1, 2)] == [[{"vip": "expiry"}]] * 2
    club.assert_whole()


@pytest.mark.parametrize("times", [2, 4])  # the second is more than the client repeats by itself
@pytest.mark.parametrize("kind", ["throttle", "timeout_before", "timeout_after", "error"])
def test_a_note_is_taken_once_though_the_store_stumbles(club: Club, kind: str, times: int) -> None:
    buys(club, in_shard(1, 2), at=NOW - days(90))
    club.wire.fail("UpdateItem", kind, times=times)

    club.sweep("ExpirySweep", NIGHT)

    assert [told["counts"] for told in finished(club)] == [{"members": 2, "entries": 2, "tier_changes": 0}]


def test_an_account_that_can_not_be_swept_holds_up_nobody(club: Club) -> None:
    """Its neighbours in the chunk, and the chunks behind, are swept; it comes again by itself."""
    members = in_shard(3, CHUNK + 5)
    buys(club, members, at=NOW - days(90))
    poisoned = club.content()["M#" + members[0], items.ACCOUNT]
    sound = dict(poisoned)
    aws("dynamodb").put_item(TableName=club.table, Item=poisoned | {"body": {"B": b"\x00"}})

    waiting, failed = club.start_sweep("ExpirySweep", NIGHT), []
    for _ in range(10):
        if not waiting:
            break
        failed += club.work_chunks("ExpirySweep", waiting.pop(0))
        waiting += club.taken_chunks("ExpirySweep")

    assert [kinds(club, id_)[1:] for id_ in members[1:]] == [[{"vip": "expiry"}]] * (len(members) - 1)
    assert len(failed) == 1
    assert members[0] in failed[0]
    assert "chunk failed" in club.log.getvalue()

    aws("dynamodb").put_item(TableName=club.table, Item=sound)
    assert club.work_chunks("ExpirySweep", *failed) == []
    assert kinds(club, members[0])[1:] == [{"vip": "expiry"}]
    club.assert_whole()


# --- late -----------------------------------------------------------------------------------------------------


def a_long_story(club: Club, before_each: Callable[[datetime], None]) -> datetime:
    """Three members buy now and then over 600 days. Before each purchase something is done; gives the last day."""
    rng = random.Random(7)
    start = NOW - days(600)
    for day in sorted(rng.sample(range(420), 14)):
        at = start + days(day)
        before_each(at.replace(hour=0, minute=5))
        member = rng.choice(["m-1", "m-2", "m-3"])
        price = rng.choice(["40.00", "150.00", "600.00", "1100.00"])
        club.post(order(f"o-{day}", line(f"i-{day}", price), member_id=member, at=at), at=at)
    return NIGHT


def next_due(club: Club) -> datetime:
    """The night on which the next thing falls due for anybody."""
    instants = [item["due_at"]["S"] for item in club.content().values() if "due_at" in item]
    return datetime.fromisoformat(min(instants, default="9999-01-01T00:00:00Z")) + timedelta(minutes=5)


def outcome(club: Club) -> dict[str, Any]:
    """What members see at the end, and what every entry did, whatever its number."""
    views = {id_: club.summary(id_, at=NOW) for id_ in ("m-1", "m-2", "m-3")}
    did = sorted(
        (entry["member_id"], entry["posted_at"], name, part["kind"], part["points"], receipt_of(part))
        for entry in (entry for id_ in views for entry in club.entries(id_))
        for name, part in entry["parts"].items()
        if (part["points"] or "receipt" in part)
    )
    return {"views": views, "did": did}


def receipt_of(part: Event) -> str:
    """A receipt but for the numbers of entries, which depend on what was posted first."""
    receipt = part.get("receipt", {})
    names = ("on", "from", "to", "before", "after", "threshold", "causes", "way_back")
    return json.dumps({name: receipt.get(name) for name in names}, sort_keys=True)


def test_a_late_sweep_gives_what_punctual_ones_give(club: Club) -> None:
    def punctual(at: datetime) -> None:
        while (night := next_due(club)) <= at:
            club.sweep("ExpirySweep", night)
            club.sweep("DemotionSweep", night + timedelta(minutes=30))

    end = a_long_story(club, punctual)
    punctual(end)
    daily = outcome(club)
    club.assert_whole()
    assert len([row for row in daily["did"] if row[3] == "tier_review"]) >= 4, "nothing to compare"

    for sweeps in (["DemotionSweep"], ["ExpirySweep", "DemotionSweep"]):
        club.create_table()
        end = a_long_story(club, lambda _: None)
        for sweep in sweeps:
            club.sweep(sweep, end)
        assert outcome(club) == daily
        club.assert_whole()


def test_sweeps_now_and_then_give_the_same(club: Club) -> None:
    rng = random.Random(3)

    def sometimes(at: datetime) -> None:
        for sweep in ("ExpirySweep", "DemotionSweep"):
            if rng.random() < 0.3:
                club.sweep(sweep, at - days(rng.choice([0, 0, 3])))

    end = a_long_story(club, sometimes)
    club.sweep("ExpirySweep", end)
    club.sweep("DemotionSweep", end)
    found = outcome(club)
    club.assert_whole()

    club.create_table()
    end = a_long_story(club, lambda _: None)
    club.sweep("DemotionSweep", end)
    assert outcome(club) == found


# --- how it is asked ------------------------------------------------------------------------------------------


def test_a_dry_run_changes_nothing_and_announces_nothing(club: Club) -> None:
    a_busy_night(club)
    told = club.announced()
    before = ledger(club)

    club.sweep("ExpirySweep", NIGHT, dry_run=True)
    club.sweep("DemotionSweep", NIGHT, dry_run=True)

    assert ledger(club) == before
    assert club.announced() == told
    assert [run["members"] for run in runs(club)] == [str(CHUNK + 6)] * 2


NO_INSTANT = ("/scheduled_at", "invalid_instant", "expected an RFC 3339 instant")
NO_FLAG = ("invalid_type", "expected true or false")
NOT_KNOWN = ("unknown_field", "not known here")
AT = {"scheduled_at": "2026-11-22T00:05:00Z"}
BAD_INPUTS: list[tuple[Event, list[tuple[str, str, str]]]] = [
    ({}, [NO_INSTANT]),
    ({"scheduled_at": None}, [NO_INSTANT]),
    ({"scheduled_at": 1_795_342_500}, [NO_INSTANT]),
    ({"scheduled_at": "2026-11-22"}, [NO_INSTANT]),
    ({"scheduled_at": "2026-11-22T00:05:00"}, [NO_INSTANT]),
    ({"scheduled_at": "<aws.scheduler.scheduled-time>"}, [NO_INSTANT]),
    ({**AT, "dry_run": "yes"}, [("/dry_run", *NO_FLAG)]),
    ({**AT, "override_limit": 1}, [("/override_limit", *NO_FLAG)]),
    ({**AT, "dryrun": True}, [("/dryrun", *NOT_KNOWN)]),
    ({"force": True, "dry_run": None}, [("/force", *NOT_KNOWN), NO_INSTANT, ("/dry_run", *NO_FLAG)]),
]
"""What an operator may get wrong by hand, and what the answer names: field, code, and what is expected there."""


@pytest.mark.parametrize(("given", "named"), BAD_INPUTS)
def test_a_schedule_that_says_something_else_starts_nothing(
    club: Club, given: Event, named: list[tuple[str, str, str]]
) -> None:
    with pytest.raises(InvalidInput) as caught:
        club.invoke("expiry_sweep", given)

    assert [tuple(error) for error in caught.value.errors] == named
    assert club.content() == {}
    assert club.taken_chunks("ExpirySweep") == []


@pytest.mark.parametrize(
    "scheduled_at",
    ["2026-11-21T19:05:00-05:00", "2026-11-22T09:05:00+09:00", "2026-11-22T00:00:00.000Z", "2026-11-22t00:00:00z"],
)
def test_the_same_instant_is_written_in_many_ways(club: Club, scheduled_at: str) -> None:
    """The index holds instants as text, in one form; what an operator writes may have another."""
    buys(club, ["m-42"], at=NOW - days(90))

    club.invoke("expiry_sweep", {"scheduled_at": scheduled_at})
    assert club.work_chunks("ExpirySweep", *club.taken_chunks("ExpirySweep")) == []

    assert kinds(club)[1:] == [{"vip": "expiry"}]
    (told,) = finished(club)
    assert told["scheduled_at"] in ("2026-11-22T00:05:00Z", "2026-11-22T00:00:00Z")


def test_what_is_no_chunk_comes_again_and_holds_up_nobody(club: Club) -> None:
    buys(club, ["m-42"], at=NOW - days(90))
    (chunk,) = club.start_sweep("ExpirySweep", NIGHT)

    again = club.work_chunks("ExpirySweep", "{", "[]", '{"sweep":"ExpirySweep"}', chunk)

    assert again == ["{", "[]", '{"sweep":"ExpirySweep"}']
    assert kinds(club)[1:] == [{"vip": "expiry"}]


def test_what_is_announced_of_a_run(club: Club) -> None:
    buys(club, ["m-42", "m-43", "m-44"], "600.00", at=NOW - days(365))
    both_sweeps(club)

    expiry, demotion = finished(club)
    assert expiry == {
        "event_id": expiry["event_id"],
        "run_id": expiry["event_id"],
        "occurred_at": "2026-11-22T00:05:00Z",
        "sweep": "ExpirySweep",
        "scheduled_at": "2026-11-22T00:05:00Z",
        "halted": False,
        "counts": {"members": 3, "entries": 6, "tier_changes": 0},
        "programs": expiry["programs"],
    }
    assert expiry["programs"]["club"]["expired"] == {"members": 3, "points": 3 * 605}
    assert expiry["programs"]["club"]["moves"] == []
    assert demotion["scheduled_at"] == "2026-11-22T00:35:00Z"
    assert demotion["counts"] == {"members": 3, "entries": 3, "tier_changes": 6}
    fell = [{"move": "fell", "from": "A3", "to": "A0", "cause": "demoted", "members": 3}]
    assert demotion["programs"]["club"]["moves"] == fell


def test_the_log_says_what_a_run_did(club: Club) -> None:
    """By the log an operator follows a run chunk by chunk, and reads at its end what came of it."""
    buys(club, in_shard(3, CHUNK + 2), at=NOW - days(90))
    club.sweep("ExpirySweep", NIGHT)

    told = [json.loads(row) for row in club.log.getvalue().splitlines()]
    names = ("message", "sweep", "shards", "members", "entries", "rewards", "report")
    found = [{name: row[name] for name in names if name in row} for row in told if row.get("sweep")]
    done = {"message": "chunk done", "sweep": "ExpirySweep", "rewards": 0}
    (end,) = finished(club)
    assert found == [
        {"message": "sweep started", "sweep": "ExpirySweep", "shards": 1},
        {**done, "members": CHUNK, "entries": CHUNK},
        {**done, "members": 2, "entries": 2},
        {"message": "sweep finished", "sweep": "ExpirySweep", "report": end["programs"]},
    ]
    tallies = [Counter(row["tally"]) for row in told if "tally" in row]
    assert len(tallies) == 2
    assert report(sum(tallies, Counter()), PROGRAMS) == end["programs"], "the chunks' counts are the run's"


def test_the_due_index_names_only_who_has_something_due(club: Club) -> None:
    """Sparse: an account with nothing left to fall due stands in no shard."""
    buys(club, ["m-42"])
    club.post(event("member.registered", "e-1", member_id="m-43"))
    found = club.content()
    warning = instant(NOW.replace(hour=0, minute=0) + days(60))  # vip: 30 days before
    assert found["M#m-42", items.ACCOUNT]["due_at"]["S"] == warning
    assert "due_at" not in found["M#m-43", items.ACCOUNT]

    club.sweep("DemotionSweep", later(400))

    assert not {"due_at", "due_shard"} & club.content()["M#m-42", items.ACCOUNT].keys()
    assert club.entries()[-1]["posted_at"] == f"{date(2027, 11, 22)}T00:00:00Z"
