"""Receipts of tier changes (rules 1.9): their arithmetic, and the entries that they name."""

from __future__ import annotations

import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import encode_account, rebuild
from tests.oracle.histories import History, histories, random_history
from tests.unit.member import PROGRAMS, Engine, Member, after, reconcile

DAY = "2026-03-10"


def test_a_receipt_of_a_rise() -> None:
    member = Member()
    member.is_given(60, on=DAY)
    member.buys("o-1", "35.00", on=after(DAY, 10))
    assert member.receipts("club") == [
        {
            "on": "2026-03-10",
            "from": "A0",
            "to": "A1",
            "before": 0,
            "after": 60,
            "causes": {"earned": 60},
            "threshold": 1,
            "window": ["2025-03-11", "2026-03-10"],
            "version": "2017-06",
            "since_seq": 0,
        },
        {
            "on": "2026-03-20",
            "from": "A1",
            "to": "A2",
            "before": 60,
            "after": 100,
            "causes": {"earned": 40},
            "threshold": 100,
            "window": ["2025-03-21", "2026-03-20"],
            "version": "2017-06",
            "since_seq": 1,
        },
    ]


def test_a_receipt_of_a_fall_tells_what_left_and_the_way_back() -> None:
    member = Member()
    member.is_given(480, on=DAY)
    member.buys("o-1", "40.00", on=after(DAY, 10))
    member.gets_back("o-1", "5.00", on=after(DAY, 20))
    member.on(after(DAY, 365))
    fall = member.receipts("club")[-1]
    assert (fall["from"], fall["to"], fall["before"], fall["after"]) == ("A3", "A1", 525, 40)
    assert fall["causes"] == {"clawed_back": -5, "expired": -480}
    assert (fall["threshold"], fall["way_back"]) == (500, 460)
    assert fall["since_seq"] == 2  # then came the clawback, vip's end, the expiry
    assert fall["window"] == [after(DAY, 1), after(DAY, 365)]


def test_a_receipt_of_spend_is_in_minor_units_and_covers_90_days() -> None:
    member = Member()
    member.buys("o-1", "999.00", on=DAY)
    member.on(after(DAY, 90))
    rise, fall = member.receipts("vip")
    assert (rise["after"], rise["threshold"], rise["window"]) == (999_00, 999_00, [after(DAY, -89), DAY])
    assert (fall["before"], fall["after"], fall["causes"]) == (999_00, 0, {"expired": -999_00})
    assert fall["way_back"] == 999_00


def test_a_tier_that_is_capped_though_it_is_met_is_nothing_short_of_points() -> None:
    member = Member()
    member.is_given(2000, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    fall = member.receipts("crowns")[-1]
    assert (fall["from"], fall["to"], fall["after"]) == ("Diamond", "Silver", 1000)
    assert fall["causes"] == {"penalised": -1000}
    assert fall["way_back"] == 501  # Diamond starts at 1501
    member = Member()
    member.is_given(400, "crowns", DAY)
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"})
    assert member.points("crowns") == 200  # still enough for Gold
    assert member.receipts("crowns")[-1]["way_back"] == 0


def test_expiries_posted_ahead_of_a_review_are_left_to_the_next_receipt() -> None:
    """The expiry sweep is ahead: day 91's expiry is posted before the review of day 90, which must not count it."""
    member = Member()
    member.buys("o-1", "3999.00", on=DAY)
    member.buys("o-2", "999.00", on=after(DAY, 1))
    late = member.clock + timedelta(days=300)
    member.settle(late, expiries_only=True)
    member.settle(late)
    rise, fall, end = member.receipts("vip")
    assert (fall["to"], fall["after"], fall["causes"]) == ("Silver", 999_00, {"earned": 999_00, "expired": -3999_00})
    assert (end["to"], end["before"], end["after"], end["causes"]) == ("none", 999_00, 0, {"expired": -999_00})
    ahead = fall["without"]
    assert [member.entries[seq - 1]["posted_at"][:10] for seq in ahead] == [after(DAY, 91)]
    assert end["also"] == ahead
    assert rise["since_seq"] == 0


def drive(history: History, rng: random.Random) -> Engine:
    """Posts a history, with sweeps of either kind at any time between and after."""
    engine = Engine(history[0][0]["member_id"])
    moment = history[0][1]
    for event, posted in history:
        while rng.random() < 0.3 and moment < posted:
            moment = min(posted, moment + timedelta(hours=rng.randrange(1, 2000)))
            engine.settle(moment, expiries_only=rng.random() < 0.7)
        engine.take(event, posted)
        moment = posted
    for _ in range(rng.randrange(12)):
        moment += timedelta(hours=rng.randrange(1, 4000))
        engine.settle(moment, expiries_only=rng.random() < 0.7)
    return engine


@pytest.mark.parametrize("seed", range(80))
def test_every_receipt_reconciles(seed: int) -> None:
    rng = random.Random(seed)
    days = rng.choice([100, 800])
    engine = drive(random_history(rng, days=days, events=60, adjustments=seed % 2 == 1), rng)
    assert reconcile(engine.entries) > 0
    assert encode_account(rebuild("m-1", engine.entries)) == encode_account(engine.account)


@settings(max_examples=40)
@given(histories() | histories(adjustments=True), st.integers(0, 2**32))
def test_every_receipt_reconciles_whatever_the_history(history: History, seed: int) -> None:
    engine = drive(history, random.Random(seed))
    reconcile(engine.entries)
    assert encode_account(rebuild("m-1", engine.entries)) == encode_account(engine.account)


def test_the_histories_reach_expiries_that_are_left_to_a_later_receipt() -> None:
    """Else the property above would prove little of ``also`` and ``without``."""
    found = set()
    for seed in range(60):
        rng = random.Random(seed)
        engine = drive(random_history(rng, days=rng.choice([100, 800]), events=60), rng)
        for program in PROGRAMS.ids:
            found |= {name for receipt in engine.receipts(program) for name in ("also", "without") if name in receipt}
    assert found == {"also", "without"}


# --- rebuilding (invariant I1)


def test_rebuild_names_a_gap_and_a_wrong_balance() -> None:
    member = Member()
    for n in range(3):
        member.is_given(5, on=after(DAY, n))
    with pytest.raises(ValueError, match="entry 3 does not follow entry 1"):
        rebuild("m-1", [member.entries[0], member.entries[2]])
    with pytest.raises(ValueError, match="entry 1 does not follow entry 1"):
        rebuild("m-1", [member.entries[0], member.entries[0]])
    member.entries[1]["parts"]["club"]["balance"] = 11
    with pytest.raises(ValueError, match="entry 2 of m-1: club balance 11, the entries give 10"):
        rebuild("m-1", member.entries)
