"""Undoing a night's demotions where something has happened since (what tests/integration/test_brake.py leaves out)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from club_ledger import items
from club_ledger.erasing import erase_member
from club_ledger.items import VersionedItem
from club_ledger.store import SETTLED_AT_ONCE, connect
from club_ledger.undoing import Left, Undone, undo_run
from club_rules.account import rebuild
from club_rules.errors import NotFound
from club_rules.programs import Programs
from tests.integration.harness import NOW, PROGRAMS, Club, days, event, everything, line, order
from tests.integration.test_brake import DAY, HELD, NIGHT, a_night_to_undo, fallen, patient, run_ids, small, undo
from tests.integration.test_sweeps import in_shard, tiers

__all__ = ["small"]  # a fixture that every test here has, as the tests that it comes from


def test_who_is_gone_since_is_named_and_stays_as_they_are(club: Club) -> None:
    members, run_id = a_night_to_undo(club, 2)
    store = connect(club.table, lambda: 8)
    assert erase_member(store, PROGRAMS, members[0], "op-1", DAY, patient())
    before = club.entries(members[0])

    done = undo(club, run_id, DAY + timedelta(hours=1))

    gone = [Left(members[0], "club", "A3", "gone"), Left(members[0], "crowns", "Platinum", "gone")]
    assert done._replace(left=sorted(done.left)) == Undone(now=2, before=0, left=gone, open_shards=0)
    assert club.entries(members[0]) == before
    again = undo(club, run_id, DAY + days(1))
    assert again._replace(left=sorted(again.left)) == Undone(now=0, before=2, left=gone, open_shards=0)


def test_what_expired_since_is_posted_first_however_much_it_is(club: Club) -> None:
    (member_id,), run_id = a_night_to_undo(club, 1)
    for number in range(1, 46):
        at = DAY + days(number)
        bought = order(f"o-{number}", line(f"i-{number}", "9.00"), event_id=f"e-{number}", member_id=member_id, at=at)
        club.post(bought, at=at)
    before = len(club.entries(member_id))

    done = undo(club, run_id, DAY + days(600))

    # the tiers were earned anew meanwhile, so nothing is given back; what had expired is more than one write takes
    assert done == Undone(now=0, before=0, left=done.left, open_shards=0)
    assert {each.why for each in done.left} == {"changed"}
    entries = club.entries(member_id)
    kinds = [{part["kind"] for part in entry["parts"].values()} for entry in entries[before:]]
    assert kinds == [{"expiry"}] * 2 * SETTLED_AT_ONCE  # of ninety: 45 lots of vip, 45 of the others
    rebuild(member_id, entries)
    club.assert_whole()


def test_a_tier_that_rose_by_itself_since_is_seen_however_much_expired_around_it(club: Club) -> None:
    """The end of a penalty is only posted now, and with it more than one write takes."""
    (member_id,), run_id = a_night_to_undo(club, 1)
    for number in range(45):
        at = DAY + days(number)
        price = "600.00" if number == 0 else "0.10"
        bought = order(f"o-{number}", line(f"i-{number}", price), event_id=f"e-{number}", member_id=member_id, at=at)
        club.post(bought, at=at)
    convicted = DAY + days(45)
    case = {"case_id": "c-1", "kind": "extortion"}
    club.post(event("violation.confirmed", "e-case", case, member_id=member_id, at=convicted), at=convicted)
    before = len(club.entries(member_id))

    done = undo(club, run_id, DAY + days(150))

    assert sorted(done.left) == [
        Left(member_id, "club", "A3", "changed"),
        Left(member_id, "crowns", "Platinum", "changed"),
    ]
    settled = [each["parts"] for each in club.entries(member_id)[before:]]
    assert len(settled) == SETTLED_AT_ONCE
    assert [parts["crowns"]["kind"] for parts in settled if "receipt" in parts.get("crowns", {})] == ["expiry"]


def test_a_run_that_there_is_not_is_refused_by_its_code(club: Club) -> None:
    with pytest.raises(NotFound) as refused:
        undo(club, "DemotionSweep#2026-11-22T00:35:00Z#nobody")
    assert (refused.value.code, refused.value.detail) == ("sweep_not_found", "there is no such run")


def test_what_another_run_posted_in_place_of_what_was_reserved_is_not_given_back(club: Club) -> None:
    # Two runs at once, and an expiry between the reading and the writing: seed 12738 of the simulation.
    (member_id,), run_id = a_night_to_undo(club, 1)
    (noted,) = connect(club.table, lambda: 8).sweep_chunks(run_id)
    as_it_was = {place: key for place, key in noted[member_id].items() if not place.startswith("club#")}
    reserved = {**as_it_was, "club#A4": noted[member_id]["club#A3"]}  # it fell from A3, by this number
    for item in everything(club.table):
        if item["pk"]["S"] == items.sweep_key(run_id) and item["sk"]["S"].startswith(items.CHUNK):
            version = int(item["version"]["N"]) + 1
            VersionedItem(item["pk"]["S"], item["sk"]["S"], version=version, body={member_id: reserved}).save()

    assert undo(club, run_id, DAY + timedelta(hours=1)) == Undone(now=1, before=0, left=[], open_shards=0)

    assert list(club.entries(member_id)[-1]["parts"]) == ["crowns"]


@pytest.mark.parametrize(("operation", "skip"), [("GetItem", 0), ("Query", 0), ("BatchGetItem", 0), ("GetItem", 1)])
def test_a_read_that_fails_for_a_time_is_waited_for(club: Club, operation: str, skip: int) -> None:
    members, run_id = a_night_to_undo(club, 2)
    club.wire.fail(operation, "throttle", skip=skip, times=4)

    assert undo(club, run_id) == Undone(now=4, before=0, left=[], open_shards=0)
    assert fallen(club, members) == []


def test_who_was_lowered_twice_and_has_moved_since_is_named_for_each_tier(club: Club) -> None:
    (member_id,) = in_shard(3, 1)
    for number, (price, at) in enumerate((("600.00", NOW - days(365)), ("150.00", NOW - days(360)))):
        bought = order(f"o-{number}", line(f"i-{number}", price), member_id=member_id, event_id=f"e-{number}", at=at)
        club.post(bought, at=at)
    club.sweep("DemotionSweep", NIGHT + days(5))
    (run_id,) = run_ids(club)
    later = DAY + days(5)
    club.post(order("o-2", line("i-2", "150.00"), member_id=member_id, event_id="e-2", at=later), at=later)

    done = undo(club, run_id, later + timedelta(hours=1))

    places = [("club", "A2"), ("club", "A3"), ("crowns", "Gold"), ("crowns", "Platinum")]
    assert sorted(done.left) == [Left(member_id, *place, "changed") for place in places]
    assert done._replace(left=[]) == Undone(now=0, before=0, left=[], open_shards=0)


def test_under_new_rules_that_ask_for_as_much_all_is_given_back(club: Club) -> None:
    """They have come into force since the sweep, so that they judge the account first, and find nothing."""
    (member_id,), run_id = a_night_to_undo(club, 1)
    files = [PROGRAMS.versions(name)[0].data for name in PROGRAMS.ids]
    starts = (DAY + days(1)).date().isoformat()
    newer = [{**each, "version": "2", "effective_from": starts} for each in files]
    programs = Programs([*files, *newer])

    done = undo_run(connect(club.table, lambda: 8), programs, run_id, DAY + days(2), patient)

    assert done == Undone(now=2, before=0, left=[], open_shards=0)
    assert tiers(club, member_id) == HELD
