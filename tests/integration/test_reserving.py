"""The brake by itself: what one chunk's reservation does beside another's (contract 2.4).

A whole sweep shows little of that, since it asks in a fixed order and asks again. What it does with the answers is in
tests/integration/test_brake.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from club_ledger import items, sweeping
from club_ledger.brake import Brake
from club_ledger.items import SweepRunItem
from club_ledger.store import Store, connect
from club_rules.errors import Unavailable
from tests.integration.harness import Club
from tests.integration.test_brake import (
    CHUNK,
    LIMIT,
    NIGHT,
    due_to_fall,
    fallen,
    halted,
    noted,
    patient,
    reserved,
    run_ids,
    small,
)
from tests.integration.test_sweeps import in_shard

__all__ = ["small"]  # a fixture that every test here has, as the tests that it comes from

CLUB, CROWNS = "club#A3", "crowns#Platinum"


@pytest.fixture
def run_id(club: Club) -> str:
    """A run that may demote four of each tier, before any of its chunks."""
    due_to_fall(club, in_shard(3, 1))
    club.start_sweep("DemotionSweep", NIGHT)
    (run_id,) = run_ids(club)
    return run_id


def of_chunk(club: Club, run_id: str, chunk: int = 1) -> Brake:
    return Brake(store(club), run_id, 3, chunk)


def store(club: Club) -> Store:
    return connect(club.table, lambda: 8)


def falls(number: int, *places: str, first: int = 0) -> dict[str, dict[str, str]]:
    """What a chunk wants where so many members fall from the ``places``."""
    return {f"m-{n}": {place: f"{place}~m-{n}" for place in places} for n in range(first, first + number)}


def allows(brake: Brake, wanted: Mapping[str, Mapping[str, str]]) -> bool:
    return brake.allows(wanted, patient())


def note_of(club: Club, run_id: str, chunk: int = 1) -> dict[str, dict[str, str]]:
    return store(club).sweep_chunk(run_id, items.sweep_chunk_key(3, chunk))[1]


def halted_by(club: Club, run_id: str) -> dict[str, Any] | None:
    run: SweepRunItem = store(club).sweep_run(run_id)
    return run.halted


def test_what_is_reserved_is_noted_by_member_and_is_not_asked_for_again(club: Club, run_id: str) -> None:
    brake, wanted = of_chunk(club, run_id), falls(2, CLUB, CROWNS)

    club.wire.sent.clear()
    assert allows(brake, wanted)
    assert club.wire.operations() == ["GetItem", "GetItem", "TransactWriteItems"]
    assert note_of(club, run_id) == wanted
    assert reserved(club, run_id) == {CLUB: 2, CROWNS: 2}

    club.wire.sent.clear()
    assert allows(brake, wanted)
    assert allows(brake, falls(1, CLUB)), "a part of it"
    assert allows(brake, falls(1, CROWNS, first=1)), "another part"
    assert club.wire.operations() == []


def test_a_member_who_falls_from_a_second_tier_keeps_the_note_of_the_first(club: Club, run_id: str) -> None:
    brake = of_chunk(club, run_id)

    assert allows(brake, falls(1, CLUB))
    assert allows(brake, falls(1, CROWNS))

    assert note_of(club, run_id) == falls(1, CLUB, CROWNS)
    assert reserved(club, run_id) == {CLUB: 1, CROWNS: 1}


def test_the_first_chunk_may_take_all_there_is_and_no_more(club: Club, run_id: str) -> None:
    assert allows(of_chunk(club, run_id), falls(LIMIT, CLUB))
    assert halted_by(club, run_id) is None

    assert not allows(of_chunk(club, run_id, 2), falls(LIMIT + 1, CROWNS, first=LIMIT))
    facts = {"program": "crowns", "tier": "Platinum", "members": 1, "limit": LIMIT}
    assert halted_by(club, run_id) == {**facts, "demoted": 0, "would_demote": LIMIT + 1}
    assert note_of(club, run_id, 2) == {}


def test_once_halted_nothing_new_is_allowed_and_what_was_reserved_still_is(club: Club, run_id: str) -> None:
    early, late = of_chunk(club, run_id), of_chunk(club, run_id, 2)
    assert allows(early, falls(3, CLUB))

    assert not allows(late, falls(2, CLUB, first=3)), "at the first time of asking"
    assert late.halted == halted_by(club, run_id)
    assert not allows(late, falls(1, CROWNS, first=3)), "though there is room"
    assert not allows(early, falls(1, CROWNS, first=3))
    assert early.halted == late.halted
    assert allows(early, falls(2, CLUB))
    assert reserved(club, run_id) == {CLUB: 3}


def test_every_tier_of_a_chunk_has_to_have_room_when_it_is_written(club: Club, run_id: str) -> None:
    """Between the reading and the writing another chunk takes what one of the tiers had left."""
    brake = of_chunk(club, run_id)
    other = falls(LIMIT, CLUB, first=10)
    club.wire.before("TransactWriteItems", lambda: allows(of_chunk(club, run_id, 2), other), about=items.CHUNK)

    assert not allows(brake, {"m-1": {CLUB: "k-1", CROWNS: "k-2"}})

    assert reserved(club, run_id) == {CLUB: LIMIT}
    assert note_of(club, run_id) == {}


def test_who_comes_second_finds_what_halted_the_run(club: Club, run_id: str) -> None:
    """Two chunks meet the brake at once: the run is halted by one of them, and told of once."""
    first, second = of_chunk(club, run_id), of_chunk(club, run_id, 2)
    club.wire.before("TransactWriteItems", lambda: allows(second, falls(LIMIT + 2, CROWNS, first=10)))

    assert not allows(first, falls(LIMIT + 1, CLUB))

    assert first.halted == second.halted == halted_by(club, run_id)
    assert first.halted is not None
    assert (first.halted["program"], first.halted["would_demote"]) == ("crowns", LIMIT + 2)


def test_a_chunk_delivered_twice_at_once_reserves_once(club: Club) -> None:
    """Where the limit is overridden, nothing but the chunk's own note is in the way of counting its members twice."""
    members = in_shard(3, CHUNK)
    due_to_fall(club, members)
    (chunk,) = club.start_sweep("DemotionSweep", NIGHT, override_limit=True)
    club.wire.before("TransactWriteItems", lambda: club.work_chunks("DemotionSweep", chunk), about=items.CHUNK)

    assert club.work_chunks("DemotionSweep", chunk) == []

    (run_id,) = run_ids(club)
    assert fallen(club, members) == members
    assert noted(club, run_id) == reserved(club, run_id) == {CLUB: CHUNK, CROWNS: CHUNK}
    assert halted(club) == []


def test_a_note_that_has_changed_since_it_was_read_is_not_written_over(club: Club, run_id: str) -> None:
    brake, twin = of_chunk(club, run_id), of_chunk(club, run_id)
    assert allows(brake, falls(1, CLUB))
    club.wire.before("TransactWriteItems", lambda: allows(twin, falls(1, CLUB, first=1)), about=items.CHUNK)

    assert allows(brake, falls(1, CLUB, first=2))

    assert note_of(club, run_id) == falls(3, CLUB)
    assert reserved(club, run_id) == {CLUB: 3}


def test_a_brake_that_gets_no_answer_says_so(club: Club, run_id: str) -> None:
    club.wire.fail("GetItem", "throttle")

    with pytest.raises(Unavailable):
        of_chunk(club, run_id).allows(falls(1, CLUB), lambda: 1.01)


def test_the_sweep_takes_as_many_as_the_limit_at_once(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", LIMIT + 1)
    members = in_shard(3, LIMIT + 1)
    due_to_fall(club, members)

    club.sweep("DemotionSweep", NIGHT)

    (told,) = halted(club)
    assert (told["demoted"], told["would_demote"]) == (0, LIMIT + 1)
    assert fallen(club, members) == []
