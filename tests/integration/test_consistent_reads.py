"""Which answers rest on the latest there is: those that nothing would put right.

Where something is written, the versions that were read are its condition, and an old read costs a second try. But an
answer that writes nothing (a refusal, what was decided before, what is left as it is) is as old as what it was read
from, and some of them are kept for ever. So these use cases read consistently, which costs twice (architecture 3.4);
that the others don't is held by their own tests.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import pytest

from tests.integration.harness import NOW, Club, days, event, line, order, sample
from tests.integration.test_brake import a_night_to_undo, undo
from tests.integration.test_member_admin import adjust, erase


def _adjusts(club: Club) -> None:
    assert adjust(club)[0] == 200


def _erases(club: Club) -> None:
    assert erase(club) == 204


def _asks_for_a_refund(club: Club) -> None:
    assert club.invoke("expedited_refund", sample("expedited_refund"))["statusCode"] == 200


def _asks_for_a_dispute(club: Club) -> None:
    assert club.invoke("dispute_acceleration", sample("dispute_acceleration"))["statusCode"] == 200


@pytest.mark.parametrize("does", [_adjusts, _erases, _asks_for_a_refund, _asks_for_a_dispute])
def test_what_may_be_answered_without_writing_rests_on_the_latest(club: Club, does: Callable[[Club], None]) -> None:
    club.post(order("o-1001", line("i-1", "600.00"), at=NOW - days(1)), at=NOW - days(1))
    club.wire.sent.clear()

    does(club)

    reads = club.wire.bodies("GetItem")
    assert reads
    assert [body["Key"] for body in reads if body.get("ConsistentRead") is not True] == []


def test_undoing_does_as_well(club: Club) -> None:
    _, run_id = a_night_to_undo(club, 1)
    club.wire.sent.clear()

    undo(club, run_id)

    of_members = [body for body in club.wire.bodies("GetItem") if body["Key"]["pk"]["S"].startswith("M#")]
    assert [body.get("ConsistentRead") for body in of_members] == [True]


def test_the_gifts_of_a_new_profile_follow_from_the_latest_rewards(club: Club) -> None:
    """A profile is posted with an eventually consistent read of the account; the rewards' version is not at hand."""
    club.post(event("member.registered", "e-1", {"birthday": "1990-02-03"}))
    club.announced()
    club.wire.sent.clear()

    changed = event("member.updated", "e-2", {"birthday": "1990-12-03"}, at=NOW + timedelta(minutes=1))
    club.post(changed, at=NOW + timedelta(minutes=1))

    rewards = [body for body in club.wire.bodies("GetItem") if body["Key"]["pk"]["S"].startswith("R#")]
    assert [body.get("ConsistentRead") for body in rewards] == [True]
