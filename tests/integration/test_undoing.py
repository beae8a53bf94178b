"""Undoing a night's demotions where something has happened since (what tests/integration/test_brake.py leaves out)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from club_ledger import items
from club_ledger.erasing import erase_member
from club_ledger.items import VersionedItem
from club_ledger.store import SETTLED_AT_ONCE, connect
from club_ledger.undoing import Left, Undone
from club_rules.account import rebuild
from club_rules.errors import NotFound
from tests.integration.harness import PROGRAMS, Club, days, everything, line, order
from tests.integration.test_brake import DAY, a_night_to_undo, patient, small, undo

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


def test_a_run_that_there_is_not_is_refused_by_its_code(club: Club) -> None:
    with pytest.raises(NotFound, match="there is no such run") as refused:
        undo(club, "DemotionSweep#2026-11-22T00:35:00Z#nobody")
    assert refused.value.code == "sweep_not_found"


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
