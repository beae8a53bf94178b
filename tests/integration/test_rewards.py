"""reward_sweep, and who feeds it: coupons and gifts, each granted exactly once (rules 1.5, 1.6, contract 2.4)."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count, islice
from typing import Any

import pytest

from club_ledger import items, rewarding, sweeping
from club_ledger.store import shard_of
from local.verify import verify_all
from tests.integration.harness import (
    NOW,
    PROGRAMS,
    Club,
    Event,
    Item,
    Killed,
    aws,
    days,
    decoded,
    event,
    instant,
    line,
    order,
    sample,
)

SHARDS = 8
CHUNK = 4
BRIEF = 1_050
CODE = re.compile(r"([0-9A-HJKMNP-TV-Z]{6}-){3}[0-9A-HJKMNP-TV-Z]{6}")
NIGHT = datetime(2026, 12, 8, 0, 50, tzinfo=UTC)
"""When the reward sweep is scheduled, on the day on which the coupons for November's tiers are issued."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", CHUNK)


def outbox(club: Club) -> list[Event]:
    """The whole stream goes through the outbox, from its beginning, as often as it is called; what was granted."""
    heard = -1
    while heard < len(club.stream()):  # what it writes is in the stream as well
        heard = len(club.stream())
        club.wire.published.clear()
        assert club.invoke("publish_changes", {"Records": club.stream()}) == {"batchItemFailures": []}
    return [json.loads(each["Detail"]) for each in club.wire.published if each["DetailType"] == "reward.granted"]


def buys(club: Club, members: list[str], price: str = "150.00", at: datetime = NOW) -> None:
    bought = (line("i-1", price),)
    club.post(*(order("o-1", *bought, event_id=f"e-{id_}-{at:%y%m%d}", member_id=id_, at=at) for id_ in members), at=at)


def says(club: Club, member_id: str = "m-42", at: datetime = NOW, **data: str) -> None:
    """The member's profile is told."""
    club.post(event("member.updated", f"e-p-{member_id}-{instant(at)}", data, member_id=member_id, at=at), at=at)


def in_shard(shard: int, number: int) -> list[str]:
    return list(islice((id_ for id_ in (f"m-{n}" for n in count()) if shard_of(id_, SHARDS) == shard), number))


def stored(club: Club, member_id: str = "m-42") -> Item:
    item = club.content().get((items.rewards_key(member_id), items.SINGLE))
    return {} if item is None else decoded(item)


def issued(club: Club, member_id: str = "m-42") -> list[tuple[str, str, str, int]]:
    """What was issued, but for the codes, which are chance."""
    of = stored(club, member_id).get("body", {}).get("issued", ())
    return sorted((each["id"], each["from"], each["to"], len(each["codes"])) for each in of)


def without_codes(club: Club) -> dict[tuple[str, str], Any]:
    """All rewards as they are stored, but for the codes and the versions."""
    found = {}
    for key, item in club.decoded().items():
        if key[0].startswith("R#"):
            body = json.loads(json.dumps(item["body"]))
            for each in body.get("issued", ()):
                each["codes"] = len(each["codes"])
            body["issued"] = sorted(body.get("issued", ()), key=lambda each: str(each["id"]))
            found[key] = (body, item.get("due_shard"), item.get("due_at"))
    return found


def codes(club: Club) -> list[str]:
    return [
        code
        for key, item in club.decoded().items()
        if key[0].startswith("R#")
        for each in item["body"].get("issued", ())
        for code in each["codes"]
    ]


def listed(club: Club, at: datetime, **how: Any) -> list[Event]:
    status, body = club.get("/members/me/rewards", at=at, **how)
    assert status == 200
    assert body.keys() == {"member_id", "as_of", "rewards"}
    rewards: list[Event] = body["rewards"]
    return rewards


def finished(club: Club) -> list[Event]:
    told = club.announced()
    return [detail for kind, detail in told if kind == "sweep.finished" and detail["sweep"] == "RewardSweep"]


def problems(club: Club) -> list[str]:
    return verify_all(list(club.content().values()), PROGRAMS, SHARDS).problems


# --- from the purchase to the coupon --------------------------------------------------------------------------


def test_from_a_purchase_to_the_coupon_that_is_shown(club: Club) -> None:
    buys(club, ["m-42"])
    assert outbox(club) == []
    assert listed(club, NOW) == []
    assert stored(club)["due_at"] == "2026-12-08T00:00:00Z"

    club.sweep("RewardSweep", NIGHT - days(1))
    assert issued(club) == []
    club.sweep("RewardSweep", NIGHT)

    gold, silver = sorted(listed(club, NIGHT), key=lambda each: each["tier"])
    assert gold == {
        "reward_id": "tier~crowns~Gold~m-42",
        "kind": "tier_coupon",
        "program": "crowns",
        "program_version": "2017-06",
        "tier": "Gold",
        "valid_from": "2026-12-08",
        "valid_to": "2026-12-14",
        "count": 2,
        "codes": gold["codes"],
        "value": "2.00",
        "currency": "USD",
        "valid": True,
        "title": "Coupons for Gold",
        "text": gold["text"],
    }
    assert (silver["count"], silver["value"]) == (1, "1.00")
    found = [*gold["codes"], *silver["codes"]]
    assert len(set(found)) == 3
    assert all(CODE.fullmatch(code) for code in found)
    assert {name: each["rewards"] for name, each in club.summary(at=NIGHT).items()} == {
        "club": 0,
        "crowns": 2,
        "vip": 0,
    }
    assert club.summary(at=NIGHT + days(7))["crowns"]["rewards"] == 0
    assert [each["valid"] for each in listed(club, NIGHT + days(7))] == [False, False]
    assert "due_at" not in stored(club)
    assert problems(club) == []


def test_what_is_announced_of_a_reward(club: Club) -> None:
    buys(club, ["m-42"])
    outbox(club)
    club.sweep("RewardSweep", NIGHT + timedelta(hours=7))

    told = outbox(club)
    assert sorted(each["event_id"] for each in told) == [
        "tier~crowns~Gold~m-42~granted",
        "tier~crowns~Silver~m-42~granted",
    ]
    gold = next(each for each in told if each["tier"] == "Gold")
    shown = next(each for each in listed(club, NIGHT) if each["tier"] == "Gold")
    facts = {name: value for name, value in shown.items() if name not in ("valid", "title", "text")}
    assert gold == {
        "event_id": "tier~crowns~Gold~m-42~granted",
        "member_id": "m-42",
        "occurred_at": "2026-12-08T00:00:00Z",
        **facts,
    }
    assert outbox(club) == told, "a repeat says the same"
    says(club, at=NIGHT + days(1), birthday="1990-05-05")
    assert outbox(club) == told, "what was issued before is not told with what changes later"
    assert [each["counts"] for each in finished(club)] == [
        {"members": 1, "entries": 0, "tier_changes": 0, "rewards": 2}
    ]


def test_codes_are_in_no_log(club: Club) -> None:
    buys(club, ["m-42"])
    outbox(club)
    club.sweep("RewardSweep", NIGHT)
    outbox(club)
    listed(club, NIGHT)
    said = club.log.getvalue()
    assert len(codes(club)) == 3
    assert not any(code in said for code in codes(club))


def test_a_reward_is_read_by_one_request_and_so_is_the_summary(club: Club) -> None:
    buys(club, ["m-42"])
    outbox(club)
    club.sweep("RewardSweep", NIGHT)
    for path in ("/members/me/rewards", "/members/me"):
        club.wire.sent.clear()
        assert club.get(path, at=NIGHT)[0] == 200
        assert club.wire.operations() == ["BatchGetItem"]


def test_codes_are_long_random_and_hard_to_misread() -> None:
    found = [rewarding.new_code() for _ in range(2000)]
    assert len(set(found)) == len(found)
    assert all(CODE.fullmatch(code) for code in found)
    letters = "".join(found).replace("-", "")
    assert set(letters) == set("0123456789ABCDEFGHJKMNPQRSTVWXYZ")
    assert len(letters) // len(found) * 5 >= 100, "bits"
    assert max(map(letters.count, set(letters))) < 2 * len(letters) / 32


def test_a_retained_status_has_its_coupon_at_once(club: Club) -> None:
    buys(club, ["m-42"], "1500.00")
    club.post(order("o-2", line("i-2", "1000.00"), at=NOW + days(60)), at=NOW + days(60))
    review = (NOW + days(90)).replace(hour=0, minute=0)
    club.sweep("DemotionSweep", review + timedelta(minutes=35))

    (told,) = [each for each in outbox(club) if each["program"] == "vip"]
    assert told["kind"] == "retention_coupon"
    assert told["occurred_at"] == instant(review)
    assert (told["valid_from"], told["valid_to"], told["value"]) == ("2027-02-20", "2027-03-21", "5.00")
    assert told["reward_id"] == "retention~vip~2027-02-20~m-42"
    assert club.summary(at=review)["vip"]["rewards"] == 1
    assert [each for each in outbox(club) if each["program"] == "vip"] == [told], "heard of twice"
    assert len([each for each in issued(club) if each[0].startswith("retention")]) == 1
    assert problems(club) == []


# --- gifts ----------------------------------------------------------------------------------------------------


def test_a_birthday_and_an_anniversary(club: Club) -> None:
    buys(club, ["m-42"])
    club.post(event("member.registered", "e-r", {"birthday": "1990-12-01", "registered_on": "2020-12-05"}, at=NOW))
    outbox(club)
    assert stored(club)["due_at"] == "2026-12-01T00:00:00Z"

    club.sweep("RewardSweep", NIGHT)

    assert issued(club)[:2] == [
        ("anniversary~crowns~2026", "2026-12-05", "2027-01-03", 1),
        ("birthday~crowns~2026", "2026-12-01", "2026-12-30", 1),
    ]
    assert [each["valid_from"] for each in listed(club, NIGHT)] == [
        "2026-12-08",
        "2026-12-08",
        "2026-12-05",
        "2026-12-01",
    ]
    assert listed(club, NIGHT, language="ru")[-1]["title"] == "Купон ко дню рождения"
    assert stored(club)["due_at"] == "2027-12-01T00:00:00Z"
    assert problems(club) == []


def test_a_gift_is_for_who_held_a_tier_as_the_day_began(club: Club) -> None:
    """Bought on the birthday itself, at ten: there was no tier at midnight. And the other way round."""
    for member, bought in (("m-1", NOW), ("m-2", NOW - days(1)), ("m-3", NOW - days(365)), ("m-4", NOW - days(364))):
        says(club, member, at=NOW - days(400), birthday="1990-11-22")
        buys(club, [member], at=bought)
    club.sweep("RewardSweep", NIGHT)
    gifted = [
        member for member in ("m-1", "m-2", "m-3", "m-4") if ("birthday~crowns~2026") in str(issued(club, member))
    ]
    assert gifted == ["m-2", "m-4"], "what expired on the day's first instant was gone"


def test_the_tier_of_a_past_day_is_told_by_the_entries(club: Club) -> None:
    """The account has moved on, over pages of the journal: up, for who had none, and down, for who had one."""
    birthday = NOW - days(60)
    for member, before, after in (("m-1", birthday - days(3), None), ("m-2", None, birthday + days(3))):
        says(club, member, at=NOW - days(500), birthday=f"1990-{birthday:%m-%d}")
        if before:
            club.post(order("o-1", line("i-1", "150.00"), member_id=member, at=before), at=before)
        start = birthday + days(1)
        visits = [
            event("visit.recorded", f"e-{member}-{n}", member_id=member, at=start + days(n / 2)) for n in range(70)
        ]
        for each in visits:
            club.post(each, at=datetime.fromisoformat(each["occurred_at"]))
        if before:
            club.post(
                event("order.cancelled", f"e-c-{member}", {"order_id": "o-1"}, member_id=member, at=NOW - days(9)),
                at=NOW,
            )
        if after:
            club.post(order("o-1", line("i-1", "150.00"), member_id=member, at=after), at=NOW)
    assert club.summary("m-1")["crowns"]["tier"] == "Silver", "visits"

    club.sweep("RewardSweep", NOW)

    assert "birthday~crowns~2026" in str(issued(club, "m-1"))
    assert "birthday~crowns~2026" not in str(issued(club, "m-2"))


def test_a_birthday_that_is_said_again_or_changed_after_the_gift(club: Club) -> None:
    buys(club, ["m-42"])
    says(club, birthday="1990-11-30")
    club.sweep("RewardSweep", NOW + days(8))
    says(club, at=NOW + days(9), birthday="1990-11-30", country="RU")
    says(club, at=NOW + days(10), birthday="1990-12-20")
    assert stored(club)["due_at"] == "2027-12-20T00:00:00Z"
    club.sweep("RewardSweep", NOW + days(60))
    assert [each[0] for each in issued(club)] == ["birthday~crowns~2026"]
    outbox(club)
    assert problems(club) == []


def test_a_profile_that_brings_no_day_writes_no_rewards(club: Club) -> None:
    says(club, country="RU")
    assert stored(club) == {}
    says(club, at=NOW + days(1), birthday="1990-11-30")
    before = stored(club)
    says(club, at=NOW + days(2), country="BY")
    assert stored(club) == before


def test_a_profile_and_the_outbox_at_once(club: Club) -> None:
    """Whoever comes second reads again: neither takes away what the other one wrote."""
    buys(club, ["m-42"])
    club.wire.before("TransactWriteItems", lambda: outbox(club), about="R#m-42")
    says(club, birthday="1990-11-30")
    assert [each["id"] for each in stored(club)["body"]["scheduled"]] == ["tier~crowns~Silver", "tier~crowns~Gold"]
    assert stored(club)["body"]["birthday"] == "1990-11-30"

    buys(club, ["m-7"])
    club.wire.before("PutItem", lambda: says(club, "m-7", birthday="1990-12-24"), about="R#m-7")
    outbox(club)
    assert len(stored(club, "m-7")["body"]["scheduled"]) == 2
    assert stored(club, "m-7")["body"]["birthday"] == "1990-12-24"
    outbox(club)
    assert problems(club) == []


def test_the_outbox_reads_once_and_writes_once_for_who_has_rewards_already(club: Club) -> None:
    says(club, birthday="1990-12-24")
    buys(club, ["m-42"])
    heard = club.stream()
    club.wire.sent.clear()

    assert club.invoke("publish_changes", {"Records": heard}) == {"batchItemFailures": []}

    of_rewards = [operation for operation, body in club.wire.sent if "R#m-42" in json.dumps(body)]
    assert of_rewards == ["BatchGetItem", "PutItem"]
    assert (stored(club)["version"], len(stored(club)["body"]["scheduled"])) == ("2", 2)


def test_the_first_coupons_are_scheduled_though_the_table_was_busy(club: Club) -> None:
    buys(club, ["m-42"])
    club.wire.fail("PutItem", "throttle", about="R#", times=4)

    assert outbox(club) == []

    assert (stored(club)["version"], len(stored(club)["body"]["scheduled"])) == ("1", 2)


# --- exactly once ---------------------------------------------------------------------------------------------


def a_busy_night(club: Club) -> dict[tuple[str, str], Item]:
    """Members of one shard with coupons due, gifts due, or both; the table before the sweep."""
    members = in_shard(3, CHUNK + 3)
    buys(club, members)
    for number, member in enumerate(members[::2]):
        says(club, member, birthday=f"1990-12-0{number + 1}", registered_on="2024-12-07")
    outbox(club)
    return club.content()


def test_a_sweep_twice_grants_nothing_twice(club: Club) -> None:
    a_busy_night(club)
    club.sweep("RewardSweep", NIGHT)
    once, told = without_codes(club), outbox(club)
    found = sorted(codes(club))
    club.sweep("RewardSweep", NIGHT)
    club.sweep("RewardSweep", NIGHT - days(3))
    assert without_codes(club) == once
    assert sorted(codes(club)) == found, "nobody's codes are made anew"
    assert outbox(club) == told
    assert len({each["event_id"] for each in told}) == len(told) == 2 * (CHUNK + 3) + 2 * 4
    assert problems(club) == []


@pytest.mark.parametrize("operation", ["PutItem", "TransactWriteItems", "GetItem"])
@pytest.mark.parametrize("skip", [0, 1, 2])
def test_a_second_sweep_in_the_middle_of_the_first(club: Club, operation: str, skip: int) -> None:
    before = a_busy_night(club)
    club.sweep("RewardSweep", NIGHT)
    undisturbed = without_codes(club)
    club.create_table(before.values())
    club.wire.before(operation, lambda: club.sweep("RewardSweep", NIGHT), skip=skip, about="R#m-")

    club.sweep("RewardSweep", NIGHT)

    assert without_codes(club) == undisturbed
    told = outbox(club)
    assert len({each["event_id"] for each in told}) == len(told)
    assert sorted(code for each in told for code in each["codes"]) == sorted(codes(club)), "what was told is what holds"
    assert len(finished(club)) == 2


def test_a_sweep_that_is_killed_at_any_call_goes_on_where_it_was(club: Club) -> None:
    before = a_busy_night(club)
    club.wire.sent.clear()
    club.sweep("RewardSweep", NIGHT)
    calls = [operation for operation in club.wire.operations() if operation not in ("ReceiveMessage", "DeleteMessage")]
    undisturbed = without_codes(club)
    seen: dict[str, int] = {}
    for operation in calls:
        skip = seen[operation] = seen.get(operation, -1) + 1
        club.create_table(before.values())
        club.wire.kill(operation, skip=skip)
        waiting: list[str] = []
        deaths = 0
        try:
            waiting = club.start_sweep("RewardSweep", NIGHT, request_id="same")
        except Killed:
            deaths += 1
            waiting = [*club.taken_chunks("RewardSweep"), *club.start_sweep("RewardSweep", NIGHT, request_id="same")]
        while waiting:
            try:
                assert club.work_chunks("RewardSweep", waiting[0]) == []
                waiting.pop(0)
            except Killed:
                deaths += 1
            waiting += club.taken_chunks("RewardSweep")
        assert deaths == 1, (operation, skip)
        assert without_codes(club) == undisturbed, (operation, skip)
        told = outbox(club)
        assert sorted(code for each in told for code in each["codes"]) == sorted(codes(club))
        assert len(finished(club)) == 1
        club.wire.forget()
    assert len(calls) > 20


@pytest.mark.parametrize(
    ("operation", "kind", "about"),
    [
        ("GetItem", "throttle", "R#"),
        ("GetItem", "timeout_before", "J~"),
        ("PutItem", "throttle", "R#"),
        ("PutItem", "timeout_before", "R#"),
        ("PutItem", "timeout_after", "R#"),
        ("PutItem", "error", "R#"),
        ("TransactWriteItems", "conflict", "R#"),
        ("TransactWriteItems", "timeout_before", "R#"),
        ("TransactWriteItems", "timeout_after", "R#"),
        ("Query", "error", "REWARD#"),
    ],
)
def test_a_chunk_that_the_store_did_not_take_comes_again(club: Club, operation: str, kind: str, about: str) -> None:
    before = a_busy_night(club)
    club.sweep("RewardSweep", NIGHT)
    undisturbed = without_codes(club)
    club.create_table(before.values())
    waiting = club.start_sweep("RewardSweep", NIGHT)
    mend = club.wire.fail(operation, kind, about=about)
    failed = 0
    while waiting:
        chunk = waiting.pop(0)
        if club.work_chunks("RewardSweep", chunk, millis=BRIEF):
            failed += 1
            mend()
            waiting.append(chunk)
        waiting += club.taken_chunks("RewardSweep")
    assert failed == 1 or kind == "timeout_after"
    assert without_codes(club) == undisturbed
    told = outbox(club)
    assert sorted(code for each in told for code in each["codes"]) == sorted(codes(club))


@pytest.mark.parametrize(("operation", "kind"), [("GetItem", "throttle"), ("PutItem", "error")])
def test_a_store_that_stumbles_puts_nobody_off(club: Club, operation: str, kind: str) -> None:
    """More often than the client repeats by itself; a message for a member alone is for who can't be swept at all."""
    a_busy_night(club)
    chunks = club.start_sweep("RewardSweep", NIGHT)
    club.wire.fail(operation, kind, about="R#", times=4)

    assert club.work_chunks("RewardSweep", *chunks) == []

    assert [chunk for chunk in club.taken_chunks("RewardSweep") if "member_id" in json.loads(chunk)] == []


@pytest.mark.parametrize("seed", range(3))
def test_records_of_the_stream_in_any_order_as_often_as_they_like(club: Club, seed: int) -> None:
    """What the outbox hears late, twice or out of turn schedules, and issues, the same."""
    members = [f"m-{n}" for n in range(5)]
    for n, (member, at) in enumerate((m, NOW + days(d)) for m in members for d in (0, 60)):
        club.post(order(f"o-{n}", line("i-1", "1200.00"), member_id=member, at=at), at=at)
        if n % 3 == 0:
            says(club, member, at=at, birthday="1990-03-01")
    late = (NOW + days(95)).replace(hour=0, minute=35)
    club.sweep("DemotionSweep", late)
    before = club.content()
    outbox(club)
    club.sweep("RewardSweep", late)
    undisturbed = {key: body for key, (body, *_) in without_codes(club).items()}
    for body in undisturbed.values():
        body.pop("scheduled", None)

    rng = random.Random(seed)
    records = [each for each in club.stream() if not each["dynamodb"]["Keys"]["pk"]["S"].startswith("R#")]
    club.create_table(before.values())
    heard = [*records, *rng.sample(records, len(records) // 2)]
    rng.shuffle(heard)
    while heard:
        batch = heard[: rng.randint(1, 12)]
        heard = heard[len(batch) :]
        assert club.invoke("publish_changes", {"Records": batch}) == {"batchItemFailures": []}
        if rng.random() < 0.3:
            club.sweep("RewardSweep", late)
    club.sweep("RewardSweep", late)

    assert {
        key: {n: v for n, v in body.items() if n != "scheduled"} for key, (body, *_) in without_codes(club).items()
    } == (undisturbed)
    assert not any(stored(club, member)["body"].get("scheduled") for member in members)


@pytest.mark.parametrize("kind", ["throttle", "timeout_before", "timeout_after", "error"])
@pytest.mark.parametrize("operation", ["PutItem", "BatchGetItem"])
def test_a_record_whose_coupons_were_not_scheduled_comes_again(club: Club, operation: str, kind: str) -> None:
    buys(club, ["m-1", "m-2", "m-3"])
    records = club.stream()
    mend = club.wire.fail(operation, kind, about="R#m-2" if operation == "PutItem" else "R#")
    failures = club.invoke("publish_changes", {"Records": records}, millis=BRIEF)["batchItemFailures"]
    mend()
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    place = numbers.index(failures[0]["itemIdentifier"]) if failures else len(numbers)
    assert place < len(numbers) or kind == "timeout_after"
    assert club.invoke("publish_changes", {"Records": records[place:]}) == {"batchItemFailures": []}
    assert [len(stored(club, member)["body"]["scheduled"]) for member in ("m-1", "m-2", "m-3")] == [2, 2, 2]
    assert problems(club) == []


def test_the_outbox_asks_nothing_for_records_that_give_nothing(club: Club) -> None:
    buys(club, ["m-42"])
    outbox(club)
    club.wire.sent.clear()
    visits = [event("visit.recorded", f"e-v{n}", at=NOW + days(n)) for n in range(3)]
    before = len(club.stream())
    for each in visits:
        club.post(each, at=datetime.fromisoformat(each["occurred_at"]))
    club.wire.sent.clear()
    club.invoke("publish_changes", {"Records": club.stream()[before:]})
    assert "R#" not in json.dumps([body for _, body in club.wire.sent])


# --- late -----------------------------------------------------------------------------------------------------


def a_long_story(club: Club, before_each: Callable[[datetime], None]) -> datetime:
    """Members buy, are refunded, and tell of themselves over 700 days. Before each something is done; the last day."""
    rng = random.Random(11)
    start = datetime(2024, 12, 20, tzinfo=UTC)
    says(club, "m-1", at=start, birthday="1992-02-29", registered_on="2023-08-01")
    for n, day in enumerate(sorted(rng.sample(range(1, 640), 36))):
        at = start + timedelta(days=day, hours=rng.choice([1, 9, 23]))
        before_each(at)
        member = rng.choice(["m-1", "m-1", "m-2", "m-3"])
        if n % 3 == 0:  # often enough to keep a status
            club.post(order(f"o-{n}", line(f"i-{n}", "1200.00"), member_id="m-1", at=at), at=at)
        elif rng.random() < 0.3:
            says(
                club, member, at=at, birthday=rng.choice(["1992-02-29", "1990-06-15", "1990-12-31", f"1990-{at:%m-%d}"])
            )
        elif rng.random() < 0.4:
            data = {"registered_on": rng.choice(["2020-02-29", "2023-08-01"])}
            club.post(event("member.registered", f"e-r{n}", data, member_id=member, at=at), at=at)
        else:
            price = rng.choice(["40.00", "150.00", "1100.00", "2500.00"])
            club.post(order(f"o-{n}", line(f"i-{n}", price), member_id=member, at=at), at=at)
            if rng.random() < 0.3:
                club.post(event("order.cancelled", f"e-c{n}", {"order_id": f"o-{n}"}, member_id=member, at=at), at=at)
    return start + days(720)


def hear(club: Club, heard: list[int]) -> None:
    """What is new in the stream goes through the outbox; ``heard`` is how much of it has been."""
    while records := club.stream()[heard[0] :]:
        heard[0] += len(records)
        assert club.invoke("publish_changes", {"Records": records}) == {"batchItemFailures": []}


def test_late_sweeps_give_what_punctual_ones_give(club: Club) -> None:
    heard = [0]
    last = [datetime(2024, 12, 20, 0, 5, tzinfo=UTC)]

    def punctual(until: datetime) -> None:
        while last[0] <= until:
            due = [item["due_at"]["S"] for item in club.content().values() if "due_at" in item]
            if min(due, default="9999") <= instant(last[0]):
                club.sweep("ExpirySweep", last[0])
                club.sweep("DemotionSweep", last[0] + timedelta(minutes=30))
                hear(club, heard)
                club.sweep("RewardSweep", last[0] + timedelta(minutes=45))
            last[0] += days(1)

    def first_outbox_then_punctual(at: datetime) -> None:
        hear(club, heard)
        punctual(at)

    end = a_long_story(club, first_outbox_then_punctual)
    first_outbox_then_punctual(end)
    hear(club, heard)
    daily = {member: issued(club, member) for member in ("m-1", "m-2", "m-3")}
    assert problems(club) == []
    assert len({each[0].split("~")[0] for of in daily.values() for each in of}) == 4, "every kind is among them"
    assert sum(map(len, daily.values())) > 12

    for sweeps in (["DemotionSweep", "RewardSweep"], ["ExpirySweep", "DemotionSweep", "RewardSweep"]):
        club.create_table()
        heard[0] = 0
        end = a_long_story(club, lambda _: None)
        for sweep in sweeps:
            club.sweep(sweep, end)
            hear(club, heard)
        assert {member: issued(club, member) for member in daily} == daily
        assert problems(club) == []

    rng = random.Random(5)

    def sometimes(at: datetime) -> None:
        for sweep in ("ExpirySweep", "DemotionSweep", "RewardSweep"):
            if rng.random() < 0.3:
                hear(club, heard)
                club.sweep(sweep, at - days(rng.choice([0, 0, 3])))

    club.create_table()
    heard[0] = 0
    end = a_long_story(club, sometimes)
    for sweep in ("DemotionSweep", "RewardSweep"):
        club.sweep(sweep, end)
        hear(club, heard)
    assert {member: issued(club, member) for member in daily} == daily


# --- the sweep as such ----------------------------------------------------------------------------------------


def test_the_samples_start_a_run_and_work_off_a_chunk(club: Club) -> None:
    (member,) = in_shard(5, 1)
    buys(club, [member], at=NOW - days(30))
    outbox(club)
    assert club.invoke("reward_sweep", sample("reward_sweep")) == {"batchItemFailures": []}
    (chunk,) = club.taken_chunks("RewardSweep")
    expected = json.loads(sample("reward_sweep_chunk")["Records"][0]["body"])
    assert json.loads(chunk) == {**expected, "run_id": json.loads(chunk)["run_id"]}
    chunks = sample("reward_sweep_chunk")
    chunks["Records"][0]["body"] = chunk
    assert club.invoke("reward_sweep", chunks) == {"batchItemFailures": []}
    assert len(issued(club, member)) == 2


@pytest.mark.parametrize("others", [5, 40])
def test_it_reads_what_is_due_and_nothing_else(club: Club, others: int) -> None:
    due = [f"due-{n}" for n in range(3)]
    buys(club, due, at=NOW - days(30))
    buys(club, [f"m-{n}" for n in range(others)])
    for member in due:
        says(club, member, at=NOW - days(20), birthday="1990-11-20")
    outbox(club)
    club.wire.sent.clear()

    club.sweep("RewardSweep", NOW)

    sent = club.wire.operations()
    assert sent.count("Query") == SHARDS + len({shard_of(member, SHARDS) for member in due})
    assert "Scan" not in sent
    read = [body["Key"] for body in club.wire.bodies("GetItem") if not body["Key"]["pk"]["S"].startswith("SWEEP")]
    assert sorted(key["pk"]["S"] for key in read) == sorted(f"{of}#{member}" for member in due for of in "MR")
    halves = [body for body in club.wire.bodies("GetItem") if not body.get("ConsistentRead")]
    assert len(halves) == len(read), "half a read unit each"
    assert sent.count("TransactWriteItems") == 3
    assert "BatchGetItem" not in sent, "the account alone tells the tier where it has not moved on"


def gift_due(club: Club, member_id: str = "m-42") -> datetime:
    """A member with a birthday gift of crowns to come, and nothing else; when it is due."""
    says(club, member_id, at=NOW - days(300), birthday="1990-11-20")
    buys(club, [member_id], at=NOW - days(30))
    return (NOW - days(2)).replace(hour=0, minute=0)


def swept_alone(club: Club) -> list[str]:
    """Who was sent a message of their own, since something went wrong with them that nobody foresaw."""
    sent = [json.loads(body["MessageBody"]) for body in club.wire.bodies("SendMessage")]
    return [each["member_id"] for each in sent if "member_id" in each]


def test_what_is_due_at_the_very_instant_is_granted(club: Club) -> None:
    due = gift_due(club)
    assert stored(club)["due_at"] == instant(due)

    club.sweep("RewardSweep", due - timedelta(seconds=1))
    assert issued(club) == []
    club.sweep("RewardSweep", due)
    assert [each[0] for each in issued(club)] == ["birthday~crowns~2026"]


@pytest.mark.parametrize("operation", ["TransactWriteItems", "GetItem"])
def test_a_second_try_reads_the_latest(club: Club, operation: str) -> None:
    """The first read may be old, which costs half; after it has failed, it could fail for ever."""
    due = gift_due(club)
    (chunk,) = club.start_sweep("RewardSweep", due)
    club.wire.fail(operation, "throttle", about="R#", times=4)
    club.wire.sent.clear()

    assert club.work_chunks("RewardSweep", chunk) == []

    assert [each[0] for each in issued(club)] == ["birthday~crowns~2026"]
    read = [(body["Key"]["pk"]["S"], body.get("ConsistentRead", False)) for body in club.wire.bodies("GetItem")]
    tries = [consistent for pk, consistent in read if pk == items.rewards_key("m-42")]
    assert tries[0] is False
    assert tries[-1] is True
    assert [consistent for pk, consistent in read if pk == "M#m-42"][-1] is True


@pytest.mark.parametrize("about", ["account", "rewards"])
def test_a_gift_is_granted_on_what_holds_when_it_is_written(club: Club, about: str) -> None:
    """The tier was lost, or the birthday moved, between the reading and the writing."""
    due = gift_due(club)
    changes = {
        "account": event("order.cancelled", "e-off", {"order_id": "o-1"}, at=due - days(1)),
        "rewards": event("member.updated", "e-new", {"birthday": "1990-11-30"}, at=due - days(1)),
    }
    late = lambda: club.post(changes[about], at=due - days(1))  # noqa: E731
    club.wire.before("TransactWriteItems", late, about="R#m-42")

    club.sweep("RewardSweep", due)

    assert issued(club) == []
    assert swept_alone(club) == []


def test_a_gift_is_granted_beside_coupons_that_were_scheduled_meanwhile(club: Club) -> None:
    """The outbox writes no account: that the rewards have changed is all there is to see."""
    due = gift_due(club)
    club.wire.before("TransactWriteItems", lambda: outbox(club), about="R#m-42")

    club.sweep("RewardSweep", due)

    assert [each[0] for each in issued(club)] == ["birthday~crowns~2026", "tier~crowns~Gold", "tier~crowns~Silver"]
    assert swept_alone(club) == []


def test_a_coupon_is_issued_beside_what_came_between(club: Club) -> None:
    """No tier is asked for, so the rewards are written by themselves; the profile has changed them meanwhile."""
    buys(club, ["m-42"])
    outbox(club)
    club.wire.before("PutItem", lambda: says(club, birthday="1990-12-24"), about="R#m-42")

    club.sweep("RewardSweep", NIGHT)

    assert [each[0] for each in issued(club)] == ["tier~crowns~Gold", "tier~crowns~Silver"]
    assert stored(club)["body"]["birthday"] == "1990-12-24"
    assert swept_alone(club) == []
    assert problems(club) == []


def test_who_has_no_account_holds_no_tier(club: Club) -> None:
    due = gift_due(club)
    content = club.content()
    del content["M#m-42", items.ACCOUNT]
    club.create_table(content.values())

    club.sweep("RewardSweep", due)

    assert issued(club) == []
    assert stored(club)["due_at"] == instant(due.replace(year=2027)), "it is not asked for again"


def test_a_run_says_what_it_granted_by_program_and_kind(club: Club) -> None:
    a_busy_night(club)

    club.sweep("RewardSweep", NIGHT)

    (end,) = finished(club)
    granted = {program: report["granted"] for program, report in end["programs"].items() if report["granted"]}
    assert granted == {"crowns": {"tier_coupon": 2 * (CHUNK + 3), "birthday_gift": 4, "anniversary_gift": 4}}


def test_a_dry_run_counts_and_grants_nothing(club: Club) -> None:
    a_busy_night(club)
    before = without_codes(club)
    club.sweep("RewardSweep", NIGHT, dry_run=True)
    assert without_codes(club) == before
    assert outbox(club) == finished(club) == []
    (run,) = [item for key, item in club.decoded().items() if key[0].startswith("SWEEP#") and key[1] == items.SINGLE]
    assert run["rewards"] == str(2 * (CHUNK + 3) + 2 * 4)


def test_an_empty_run_is_announced_too(club: Club) -> None:
    club.sweep("RewardSweep", NIGHT)
    assert [each["counts"] for each in finished(club)] == [
        {"members": 0, "entries": 0, "tier_changes": 0, "rewards": 0}
    ]


def test_whom_only_an_old_index_names_is_left_as_they_are(club: Club) -> None:
    """Their next gift is due in a year: nothing is written, and no account is read."""
    a_busy_night(club)
    (chunk,) = club.start_sweep("RewardSweep", NIGHT)
    club.sweep("RewardSweep", NIGHT)
    (member,) = in_shard(3, 1)
    assert stored(club, member)["due_at"] > "2027"
    before = club.content()
    club.wire.sent.clear()
    assert club.work_chunks("RewardSweep", json.dumps({**json.loads(chunk), "member_id": member})) == []
    assert club.wire.operations() == ["GetItem"]
    assert club.content() == before


def test_what_can_not_be_granted_holds_up_nobody(club: Club) -> None:
    members = in_shard(3, CHUNK + 3)
    buys(club, members)
    outbox(club)
    key = (items.rewards_key(members[0]), items.SINGLE)
    sound = club.content()[key]
    aws("dynamodb").put_item(TableName=club.table, Item=sound | {"body": {"B": b"\x00"}})
    waiting, failed = club.start_sweep("RewardSweep", NIGHT), []
    for _ in range(10):
        if not waiting:
            break
        failed += club.work_chunks("RewardSweep", waiting.pop(0))
        waiting += club.taken_chunks("RewardSweep")
    assert all(len(issued(club, member)) == 2 for member in members[1:])
    assert len(failed) == 1
    assert members[0] in failed[0]
    aws("dynamodb").put_item(TableName=club.table, Item=sound)
    assert club.work_chunks("RewardSweep", *failed) == []
    assert len(issued(club, members[0])) == 2


# --- verify ---------------------------------------------------------------------------------------------------


def spoilt(club: Club, change: Callable[[Event, Item], None]) -> list[str]:
    key = (items.rewards_key("m-42"), items.SINGLE)
    item = club.content()[key]
    body = items.unpack(item["body"]["B"])
    change(body, item)
    aws("dynamodb").put_item(TableName=club.table, Item=item | {"body": {"B": items.pack(body)}})
    return problems(club)


def drop_first(body: Event, _: Item) -> None:
    body["issued"].pop(0)


def grant_another(body: Event, _: Item) -> None:
    body["issued"].append({**body["issued"][0], "id": "tier~crowns~Diamond", "tier": "Diamond", "codes": ["X"]})


def grant_twice(body: Event, _: Item) -> None:
    body["issued"].append({**body["issued"][0], "codes": ["X"]})


def repeat_a_code(body: Event, _: Item) -> None:
    body["issued"][0]["codes"] = body["issued"][1]["codes"]


def forget_the_index(_: Event, item: Item) -> None:
    del item["due_at"], item["due_shard"]


def forget_the_birthday(body: Event, _: Item) -> None:
    del body["birthday"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (drop_first, "m-42: rewards: tier~crowns~"),
        (grant_another, "m-42: rewards: tier~crowns~Diamond"),
        (grant_twice, "m-42: rewards: tier~crowns~"),
        (repeat_a_code, "m-42: rewards: a code"),
        (forget_the_index, "m-42: rewards: due index"),
        (forget_the_birthday, "m-42: rewards: the profile"),
    ],
)
def test_verify_names_what_differs(club: Club, change: Callable[[Event, Item], None], said: str) -> None:
    buys(club, ["m-42"])
    says(club, birthday="1990-02-02")
    outbox(club)
    club.sweep("RewardSweep", NIGHT)
    assert problems(club) == []
    found = spoilt(club, change)
    assert found
    assert any(each.startswith(said) for each in found), found


def test_verify_names_coupons_that_were_never_scheduled(club: Club) -> None:
    buys(club, ["m-42"])
    for key in [key for key in club.content() if key[0].startswith("R#")]:
        pytest.fail(f"{key} is there before the outbox has run")
    found = [each for each in problems(club) if "rewards" in each]
    assert found == [
        "m-42: rewards: tier~crowns~Gold: the entries give it, it is neither issued nor scheduled",
        "m-42: rewards: tier~crowns~Silver: the entries give it, it is neither issued nor scheduled",
    ]
