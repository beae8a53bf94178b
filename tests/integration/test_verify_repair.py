"""`verify --repair`: what follows from entries and decisions is put right, and nothing else is ever written."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Any

import pytest

from club_ledger import items
from club_ledger.items import pack, unpack
from club_rules.programs import load_programs
from local import verify
from local.verify.kinds import (
    DECISION,
    DERIVED,
    DISPUTE,
    ENTRY,
    PAYOUT,
    WAITING,
    Club,
    Item,
    Key,
    groups_of,
    key_of,
    shape_of,
)
from local.verify.repairing import Table as Repaired
from local.verify.repairing import repair
from tests.integration.corruptions import Corruption, random_corruption
from tests.integration.harness import NOW, PROGRAMS, aws, days, event, line, order
from tests.integration.harness import Club as TheClub
from tests.integration.rich_table import Table, rich_table

CLUB = Club(load_programs(), 8)
NEVER = (ENTRY, DECISION, PAYOUT, DISPUTE, WAITING)
NUMBER = 70


@pytest.fixture(scope="module")
def table() -> Table:
    """Some members of the rich table, with everything that concerns them; never changed."""
    return few(rich_table())


def few(table: Table) -> Table:
    """What concerns a few members, and the counters of the standing as they have to be for them."""
    wanted = {f"m:{each}" for each in ("m-0", "p-0", "p-5", "d-1", "long")}
    found = {key: item for key, item in table.items() if wanted & set(groups_of(item))}
    return {key: item for key, item in found.items() if not key[0].startswith(("ALERT#", "SWEEP#"))}


def stored(club: TheClub) -> Table:
    return club.content()


def write(club: TheClub, changed: dict[Key, Item | None]) -> None:
    for (pk, sk), item in changed.items():
        if item is None:
            aws("dynamodb").delete_item(TableName=club.table, Key={"pk": {"S": pk}, "sk": {"S": sk}})
        else:
            aws("dynamodb").put_item(TableName=club.table, Item=item)


def problems(table: Iterable[Item]) -> list[str]:
    return verify.check(table, CLUB).report().problems


def put_right(club: TheClub) -> list[str]:
    """Repairs the table; what was written."""
    said: list[str] = []
    concerned = verify.check(stored(club).values(), CLUB).concerned
    repair(Repaired(aws("dynamodb"), club.table), CLUB, concerned, said.append)
    return said


def of_kinds(table: Table, shapes: tuple[Any, ...]) -> Table:
    return {key: item for key, item in table.items() if shape_of(key) in shapes}


def test_every_corruption_of_what_is_derived_is_put_right_and_no_entry_is_touched(club: TheClub, table: Table) -> None:
    club.create_table(table.values())
    put_right(club)  # the counters are made for these members
    rng = random.Random(7)
    whole = stored(club)
    assert problems(whole.values()) == []
    never = of_kinds(whole, NEVER)
    tried: dict[str, int] = {}
    for _ in range(NUMBER):
        derived = sorted(key for key in whole if shape_of(key) in DERIVED)
        corruption = random_corruption(rng, whole, derived)
        write(club, corruption.items)
        before = problems(stored(club).values())
        said = put_right(club)
        whole = stored(club)

        assert problems(whole.values()) == [], (corruption.kind, list(corruption.items), before, said)
        assert of_kinds(whole, NEVER) == never
        for key in corruption.items:
            tried[shape_of(key).name] = tried.get(shape_of(key).name, 0) + 1  # type: ignore[union-attr]
    assert tried.keys() == {shape.name for shape in DERIVED}
    assert all("put right" not in line or line.startswith("5 members: 0") for line in put_right(club)), (
        "nothing is left"
    )
    assert stored(club) == whole


def test_what_is_not_derived_is_named_with_what_to_do_and_left_alone(club: TheClub, table: Table) -> None:
    club.create_table(table.values())
    put_right(club)
    rng = random.Random(8)
    whole = stored(club)
    kept = sorted(key for key in whole if shape_of(key) in NEVER)
    for _ in range(25):
        corruption = random_corruption(rng, whole, kept)
        write(club, corruption.items)
        spoilt = of_kinds(stored(club), NEVER)
        put_right(club)

        found = verify.check(stored(club).values(), CLUB)
        if not _is_unseen(corruption, whole):
            assert any(problem.advice != "--repair puts it right" for problem in found.problems), corruption
        assert of_kinds(stored(club), NEVER) == spoilt
        club.create_table(whole.values())


def _is_unseen(corruption: Corruption, table: Table) -> bool:
    from tests.integration.corruptions import not_told

    return not_told(table, corruption) is not None


# --- rewards


def rewarded(club: TheClub) -> Key:
    """A member with coupons that wait and a birthday; the key of the rewards."""
    at = NOW - days(3)
    club.post(event("member.registered", "e-0", {"birthday": "1990-02-02"}, at=at), at=at)
    club.post(order("o-1", line("i-1", "900.00"), at=at), at=at)
    club.announced()
    return items.rewards_key("m-42"), items.SINGLE


def test_a_coupon_that_the_stream_lost_is_scheduled_again(club: TheClub) -> None:
    key = rewarded(club)
    whole = club.decoded()[key]["body"]
    coupons = [each["id"] for each in whole["scheduled"] if each["kind"] == "tier_coupon"]
    assert len(coupons) == 3
    aws("dynamodb").delete_item(TableName=club.table, Key={"pk": {"S": key[0]}, "sk": {"S": key[1]}})
    club.post(event("member.updated", "e-9", {"birthday": "1990-02-02"}))  # the item is there, the coupons are not
    assert {each for text in problems(stored(club).values()) for each in coupons if each in text} == set(coupons)

    put_right(club)

    assert problems(stored(club).values()) == []
    scheduled = club.decoded()[key]["body"]["scheduled"]
    assert sorted(each["id"] for each in scheduled if each["kind"] == "tier_coupon") == sorted(coupons)
    put_right(club)
    assert club.decoded()[key]["body"]["scheduled"] == scheduled


@pytest.mark.parametrize(
    "change",
    [
        lambda body: body.pop("birthday"),
        lambda body: body["scheduled"][0].update(on="2027-01-01"),
        lambda body: body["scheduled"].pop(),
    ],
    ids=["a day of the profile", "the day of a coupon", "a coupon"],
)
def test_rewards_come_back_as_they_were_written(club: TheClub, change: Any) -> None:
    key = rewarded(club)
    before = club.decoded()[key]["body"]
    item = stored(club)[key]
    body = unpack(item["body"]["B"])
    change(body)
    write(club, {key: {**item, "body": {"B": pack(body)}}})
    assert problems(stored(club).values())

    put_right(club)

    assert problems(stored(club).values()) == []
    assert club.decoded()[key]["body"] == before


def test_a_code_that_was_changed_is_never_made_up(club: TheClub) -> None:
    key = rewarded(club)
    club.sweep("RewardSweep", NOW + days(40))
    club.announced()
    assert problems(stored(club).values()) == []
    item = stored(club)[key]
    body = unpack(item["body"]["B"])
    body["issued"][0]["codes"][0] = "0" * 27
    spoilt = {**item, "body": {"B": pack(body)}}
    write(club, {key: spoilt})

    put_right(club)

    (told,) = problems(stored(club).values())
    assert told.startswith("m-42: rewards R#m-42: it is not what was written: one of body (issued")
    assert stored(club)[key] == spoilt


# --- while the club is at work


def test_what_changes_meanwhile_is_read_again_and_not_overwritten(club: TheClub) -> None:
    club.post(order("o-1"))
    club.announced()
    key = ("M#m-42", "O#o-1")
    item = stored(club)[key]
    write(club, {key: {**item, "body": {"B": pack({**unpack(item["body"]["B"]), "refunded": 1})}}})
    concerned = verify.check(stored(club).values(), CLUB).concerned
    club.wire.before("TransactWriteItems", lambda: club.post(event("visit.recorded", "e-2"), order("o-2")), times=1)

    said: list[str] = []
    repair(Repaired(aws("dynamodb"), club.table), CLUB, concerned, said.append)
    club.announced()

    assert "m-42: M#m-42 O#o-1: put right" in said
    assert problems(stored(club).values()) == []
    assert len(club.entries()) == 3


def test_nothing_is_put_right_from_entries_that_are_not_sound(club: TheClub) -> None:
    """An entry that is gone can't be told from points that were never earned: the account stays as it is."""
    club.post(order("o-1"), order("o-2"), order("o-3"))
    club.announced()
    write(club, {("E#e-o-3", "-"): None})
    before = stored(club)

    said = put_right(club)

    assert "m-42: nothing of it could be put right" in said
    assert stored(club) == before
    assert "m-42: the entries don't add up: entry 3 (E#e-o-3 by the journal) is missing" in problems(before.values())


def test_a_table_at_work_is_read_again_before_anything_is_said(club: TheClub) -> None:
    """A scan sees each item at its own moment: an account from before an entry that it sees is no problem."""
    club.post(order("o-1"))
    old = stored(club)
    club.post(order("o-2"))
    club.announced()
    mixed = {**stored(club), ("M#m-42", items.ACCOUNT): old["M#m-42", items.ACCOUNT]}
    assert problems(mixed.values()) != []

    again = Repaired(aws("dynamodb"), club.table).again
    assert verify.check(mixed.values(), CLUB, again=again).problems == []
    assert {key_of(item) for item in again("m:m-42", []) or ()} == {
        key for key in stored(club) if not key[0].startswith("STANDING#")
    }
    assert PROGRAMS.ids
