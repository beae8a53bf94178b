"""The engine against the second implementation, over random histories of one member (invariants I1, I3, I8, I9)."""

from __future__ import annotations

import json
import random
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import (
    decode_account,
    encode_account,
    is_settling,
    journal_row,
    read_journal_row,
    rebuild,
)
from club_rules.events import ActivityEvent, parse_event
from club_rules.orders import remaining_value
from club_rules.programs import Programs
from tests.oracle.histories import History, histories, random_history
from tests.oracle.oracle import Oracle
from tests.unit.member import PROGRAMS, Engine, changed, reconcile

FACTS = frozenset(
    {
        *(
            "earned",
            "refunded",
            "cancelled",
            "found_fraudulent",
            "overturned",
            "order_not_here_yet",
            "case_not_confirmed_yet",
        ),
        *("return_abuse", "extortion", "coupon_fraud", "spam"),
    }
)
"""Codes of reasons that deny nothing, with no points where there was nothing to take, or nothing yet."""

UNCODED = frozenset(
    {
        *("penalty_over", "case_already_overturned", "case_already_confirmed", "case_overturned"),
        "order_already_undone",
    }
)
"""Codes that the second implementation leaves out: what a case, or undoing an order, can't do any more."""


def parsed(event: dict[str, Any], moment: datetime) -> ActivityEvent:
    return parse_event(event, now=moment, programs=PROGRAMS)


def what_it_did(engine: Engine, event_id: str) -> dict[str, tuple[int, list[str]]]:
    """Per program: the points and the denials of an event's last entry (a parked event's is the one of its effect)."""
    did = {}
    for program_id, part in engine.entry_of(event_id)["parts"].items():
        codes = {reason["code"] for reason in part["reasons"] if reason["points"] == 0} - FACTS - UNCODED
        if part["points"] or codes:
            did[program_id] = (part["points"], sorted(codes))
    return did


def expected_of(oracle: Oracle, event_id: str) -> dict[str, tuple[int, list[str]]]:
    found = oracle.entry(event_id).items()
    return {name: (e["points"], e["codes"]) for name, e in found if e and (e["points"] or e["codes"])}


def agree(history: History, later: list[timedelta], zones: dict[str, str] | None = None) -> None:
    """Posts a history to both, and compares after every posting, and at some moments ``later`` than the last."""
    member_id = history[0][0]["member_id"]
    engine, oracle = Engine(member_id, in_zones(**zones) if zones else PROGRAMS), Oracle(zones)
    for event, moment in history:
        engine.take(event, moment)
        oracle.post(event, moment)
        assert engine.view() == oracle.at(member_id, moment), (event, moment)
        assert what_it_did(engine, event["event_id"]) == expected_of(oracle, event["event_id"]), event
    for order_id, order in engine.orders.items():
        held = remaining_value(order) if "lines" in order else None
        assert held == oracle.remaining(member_id, order_id), order_id
    for wait in later:
        moment = history[-1][1] + wait
        ahead = engine.copy()
        ahead.settle(moment)
        assert ahead.view() == oracle.at(member_id, moment), wait


@cache
def in_zones(**zones: str) -> Programs:
    """The shipped programs, in other time zones."""
    return Programs([changed(name, time_zone=zones.get(name, "UTC")) for name in PROGRAMS.ids])


EDGES = (1, 20, 60, 89, 90, 91, 200, 364, 365, 366, 900)


@pytest.mark.parametrize("seed", range(100))
def test_every_posting_is_what_the_rules_give(seed: int) -> None:
    rng = random.Random(seed)
    history = random_history(rng, days=rng.choice([30, 200, 800]), events=rng.choice([15, 40, 70]))
    agree(history, [timedelta(days=days, hours=rng.randrange(24)) for days in EDGES])


@pytest.mark.parametrize("seed", range(100))
def test_every_adjustment_among_them_is_what_the_rules_give(seed: int) -> None:
    rng = random.Random(seed)
    history = random_history(rng, days=rng.choice([30, 200, 800]), events=rng.choice([15, 40, 70]), adjustments=True)
    agree(history, [timedelta(days=days, hours=rng.randrange(24)) for days in EDGES])


def test_the_histories_adjust_and_tiers_move_by_it() -> None:
    """Else the test above would prove little: up and down at once, and back as what took points away expires."""
    met = set()
    for seed in range(60):
        rng = random.Random(seed)
        engine = Engine("m-1")
        for event, moment in random_history(rng, days=500, events=60, adjustments=True):
            engine.take(event, moment)
        engine.settle(moment + timedelta(days=400))
        for entry in engine.entries:
            for program, part in entry["parts"].items():
                before, after = part["tier"]
                if part["kind"] in ("adjustment", "expiry") and before != after:
                    met.add((program, part["kind"], "up" if after > before else "down"))
    adjusted = {(program, "adjustment", way) for program in PROGRAMS.ids for way in ("up", "down")}
    assert met == adjusted | {(program, "expiry", "up") for program in PROGRAMS.ids}


@settings(max_examples=40)
@given(
    histories(max_events=40) | histories(max_events=40, adjustments=True),
    st.lists(st.integers(0, 1000 * 24), max_size=4),
)
def test_every_posting_is_what_the_rules_give_and_what_fails_shrinks(history: History, later: list[int]) -> None:
    agree(history, [timedelta(hours=hours) for hours in later])


ZONES = (
    "America/New_York",
    "Asia/Kolkata",  # half an hour beside all others
    "Pacific/Apia",  # 14 hours ahead; in December 2011 a day was left out
    "Asia/Beirut",  # its clocks change at midnight, so that a day begins at one o'clock
    "America/Havana",  # and here midnight comes twice
    "UTC",
)
STARTS = (datetime(2010, 10, 1, tzinfo=UTC), datetime(2019, 3, 1, tzinfo=UTC), datetime(2025, 9, 1, tzinfo=UTC))


def around_midnight_in(zone: str, history: History) -> History:
    """The history moved by the zone's offset at its start: what it does about midnight happens about midnight there.

    From the next change of the clocks on it is an hour beside it, which is as telling.
    """
    offset = history[0][1].astimezone(ZoneInfo(zone)).utcoffset()
    assert offset is not None
    return [
        ({**event, "occurred_at": (datetime.fromisoformat(event["occurred_at"]) - offset).isoformat()}, moment - offset)
        for event, moment in history
    ]


@pytest.mark.parametrize("seed", range(60))
def test_days_are_local_dates_in_every_zone(seed: int) -> None:
    rng = random.Random(seed)
    zones = {name: rng.choice(ZONES) for name in PROGRAMS.ids}
    days, events = rng.choice([30, 200, 500]), rng.choice([15, 40])
    history = random_history(rng, days=days, events=events, start=rng.choice(STARTS), adjustments=seed % 2 == 1)
    history = around_midnight_in(rng.choice(sorted(zones.values())), history)
    agree(history, [timedelta(days=days, hours=rng.randrange(24)) for days in EDGES], zones)


def test_the_histories_cross_local_midnights_and_clock_changes() -> None:
    """Else the test above would prove little: days differ from those of UTC, and offsets change on the way."""
    other_days = changes = 0
    for seed in range(60):
        rng = random.Random(seed)
        zone = ZoneInfo(rng.choice(ZONES[:5]))
        history = around_midnight_in(zone.key, random_history(rng, days=200, events=15, start=rng.choice(STARTS)))
        other_days += sum(moment.astimezone(zone).date() != moment.date() for _, moment in history)
        changes += len({moment.astimezone(zone).utcoffset() for _, moment in history}) > 1
    assert other_days > 100
    assert changes > 10


@pytest.mark.parametrize("seed", range(60))
def test_the_account_is_the_fold_of_its_entries(seed: int) -> None:
    rng = random.Random(seed)
    history = random_history(rng, days=500, events=50, adjustments=seed % 2 == 1)
    engine = Engine(history[0][0]["member_id"])
    for event, moment in history:
        engine.take(event, moment)
    engine.settle(history[-1][1] + timedelta(days=rng.randrange(500)))
    reconcile(engine.entries)
    state = encode_account(engine.account)
    assert encode_account(rebuild(engine.account.member_id, engine.entries)) == state
    # and as it is stored: through JSON and back
    stored = json.loads(json.dumps(state))
    assert stored == state
    assert encode_account(decode_account("m-1", 1, stored)) == state
    assert json.loads(json.dumps(engine.entries)) == engine.entries


@pytest.mark.parametrize("seed", range(160))
def test_a_sweep_late_split_or_partial_gives_the_same(seed: int) -> None:
    """I8: settled day by day, in one leap, or with the expiries ahead of the reviews, the outcome is one."""
    rng = random.Random(seed)
    history = random_history(rng, days=300, events=40, adjustments=seed % 2 == 1)
    base = Engine(history[0][0]["member_id"])
    for event, moment in history:
        base.take(event, moment)
    start, engines = history[-1][1], []
    end = start + timedelta(days=500)
    for _ in range(3):
        engines.append(base.copy())
    at_once, daily, expiries_first = engines
    at_once.settle(end)
    moment = start
    while moment < end:
        moment = min(end, moment + timedelta(hours=rng.randrange(1, 60)))
        daily.settle(moment)
        expiries_first.settle(moment, expiries_only=True)
        if rng.random() < 0.1:
            expiries_first.settle(moment)
    expiries_first.settle(end)
    assert daily.entries == at_once.entries
    assert expiries_first.view() == at_once.view() == daily.view()
    assert receipts(expiries_first) == receipts(at_once)
    for engine in engines:
        reconcile(engine.entries)


def receipts(engine: Engine) -> list[tuple[Any, ...]]:
    """What every tier change says, but for the numbers of the entries: they are posted in another order."""
    rows = [
        (program, r["on"], r["from"], r["to"], r["before"], r["after"], sorted(r["causes"].items()))
        for entry in engine.entries
        for program, part in entry["parts"].items()
        if (r := part.get("receipt"))
    ]
    return sorted(rows)


@pytest.mark.parametrize("seed", range(60))
def test_any_order_of_arrival_gives_the_same_points(seed: int) -> None:
    """I9, for events that all arrive at one moment and touch no cap: the order of arrival is no matter.

    Penalties are fixed numbers of points here: a percentage is one of what has arrived before it.
    """
    rng = random.Random(seed)
    moment = datetime(2026, 6, 1, 12, tzinfo=UTC)
    events = []
    for n in range(8):
        day = moment - timedelta(days=rng.randrange(0, 400))
        lines = [
            {
                "item_id": f"i-{n}-{k}",
                "seller_id": f"s-{n}",
                "category": rng.choice(["books", "toys", "tea"]),
                "unit_price": rng.choice(["1.99", "2.00", "7.35", "120.10"]),
                "quantity": rng.randrange(1, 4),
            }
            for k in range(rng.randrange(1, 4))
        ]
        order = {"order_id": f"o-{n}", "currency": "USD", "lines": lines, "flags": []}
        events.append(wire(f"e-{n}", "order.completed", day, order))
        for k in range(rng.randrange(3)):
            undoing: list[tuple[str, dict[str, Any]]] = [
                ("order.refunded", {"amount": f"{rng.randrange(1, 90)}.50", "currency": "USD"}),
                ("order.refunded", {"lines": [{"item_id": f"i-{n}-0", "quantity": 1}]}),
                ("order.refunded", {"full": True}),
                ("order.cancelled", {}),
                ("order.flagged_fraudulent", {}),
            ]
            undo = rng.choice(undoing)
            events.append(wire(f"u-{n}-{k}", undo[0], day, {"order_id": f"o-{n}", **undo[1]}))
        if rng.random() < 0.5:
            events.append(wire(f"r-{n}", "review.posted", day, {"order_id": f"o-{n}", "item_id": f"i-{n}-0"}))
        if rng.random() < 0.3:
            points = {"points": rng.randrange(1, 400), "program": rng.choice(["club", "crowns"])}
            events.append(wire(f"p-{n}", "promotion.awarded", day, {"campaign_id": "spring", **points}))
        if rng.random() < 0.3:
            case = {"case_id": f"v-{n}", "kind": rng.choice(["spam", "return_abuse"])}
            events.append(wire(f"v-{n}", "violation.confirmed", day, case))
            if rng.random() < 0.5:
                events.append(wire(f"w-{n}", "violation.overturned", day, case))
    outcomes = []
    for _ in range(4):
        rng.shuffle(events)
        engine = Engine("m-1")
        for event in events:
            engine.post(parsed(event, moment), moment)
        view = engine.view()
        outcomes.append({name: (view[name].get("points", view[name].get("spend"))) for name in view})
        outcomes[-1] |= {f"{name} tier": view[name]["tier"] for name in ("club", "crowns")}
    assert all(outcome == outcomes[0] for outcome in outcomes)


def wire(event_id: str, event_type: str, occurred_at: datetime, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "event_id": event_id,
        "type": event_type,
        "member_id": "m-1",
        "occurred_at": occurred_at.isoformat(),
        "data": data,
    }


@pytest.mark.parametrize("seed", range(10))
def test_a_row_of_the_journal_names_its_entry_and_the_days(seed: int) -> None:
    engine = Engine("m-1")
    for event, moment in random_history(random.Random(seed), days=500, events=40, member_id="m-1"):
        engine.post(parsed(event, moment), moment)
    kinds = set()
    for entry in engine.entries:
        row = read_journal_row(journal_row(entry), "m-1", entry["seq"])
        assert (row.seq, row.key) == (entry["seq"], entry["key"])
        assert (row.posted, row.occurred) == (entry["posted_at"][:10], entry["occurred_at"][:10])
        assert is_settling(row.key) == ("event_id" not in entry)
        kinds.add((is_settling(row.key), row.posted == row.occurred))
    assert kinds == {(True, True), (False, True), (False, False)}
    with pytest.raises(ValueError, match="no row"):
        read_journal_row("2026-01-01 2026-01-01 2026-01-01 e-1", "m-1", 1)
