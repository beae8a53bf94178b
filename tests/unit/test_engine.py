"""The engine against the second implementation, over random histories of one member (invariants I1, I3, I8, I9)."""

from __future__ import annotations

import random
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from club_rules.account import Account, encode_account, rebuild
from club_rules.events import ActivityEvent, parse_event
from club_rules.orders import remaining_value
from club_rules.posting import names_order, post, release_parked
from club_rules.programs import load_programs
from club_rules.settling import settle
from tests.oracle.histories import random_history
from tests.oracle.oracle import Oracle

PROGRAMS = load_programs()
FACTS = frozenset(
    {
        *("earned", "refunded", "cancelled", "overturned", "order_not_here_yet", "case_not_confirmed_yet"),
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


class Engine:
    """The rules of the club with a plain dictionary for a store."""

    def __init__(self, member_id: str) -> None:
        self.account = Account(member_id)
        self.orders: dict[str, dict[str, Any]] = {}
        self.entries: list[dict[str, Any]] = []
        self.seen: set[str] = set()
        self.marks: list[str] = []

    def settle(self, moment: datetime, **how: Any) -> None:
        while True:
            entries = settle(self.account, PROGRAMS, moment, **how)
            self._keep(entries)
            if not entries:
                return

    def post(self, event: ActivityEvent, moment: datetime) -> None:
        self.settle(moment)
        if event.event_id in self.seen:
            return
        self.seen.add(event.event_id)
        order = self.orders.get(event.data["order_id"]) if names_order(event.type) else None
        posting = post(self.account, PROGRAMS, event, moment, order, self.marks)
        self._keep(posting.entries)
        if posting.order is not None:
            self.orders[posting.order["order_id"]] = posting.order
            while "lines" in posting.order and posting.order.get("parked"):
                self._keep(release_parked(self.account, PROGRAMS, moment, posting.order, self.marks).entries)

    def _keep(self, entries: list[dict[str, Any]]) -> None:
        self.entries += entries
        for page in self.account.filled_marks.values():
            self.marks += page
        self.account.filled_marks.clear()

    def view(self) -> dict[str, dict[str, Any]]:
        shown = {}
        for program_id in PROGRAMS.ids:
            state, program = self.account.program(program_id), PROGRAMS.versions(program_id)[-1]
            shown[program_id] = {
                "spend" if program.measures_spend else "points": state.points,
                "tier": program.codes[state.tier],
                "tier_since": None if state.since is None else date.fromordinal(state.since).isoformat(),
            }
        return shown


def parsed(event: dict[str, Any], moment: datetime) -> ActivityEvent:
    return parse_event(event, now=moment, programs=PROGRAMS)


def what_it_did(engine: Engine, event_id: str) -> dict[str, tuple[int, list[str]]]:
    """Per program: the points and the denials of an event's last entry (a parked event's is the one of its effect)."""
    entry = [entry for entry in engine.entries if entry.get("event_id") == event_id][-1]
    did = {}
    for program_id, part in entry["parts"].items():
        codes = {reason["code"] for reason in part["reasons"] if reason["points"] == 0} - FACTS - UNCODED
        if part["points"] or codes:
            did[program_id] = (part["points"], sorted(codes))
    return did


def expected_of(oracle: Oracle, event_id: str) -> dict[str, tuple[int, list[str]]]:
    found = oracle.entry(event_id).items()
    return {name: (e["points"], e["codes"]) for name, e in found if e and (e["points"] or e["codes"])}


@pytest.mark.parametrize("seed", range(300))
def test_every_posting_is_what_the_rules_give(seed: int) -> None:
    rng = random.Random(seed)
    history = random_history(rng, days=rng.choice([30, 200, 800]), events=rng.choice([15, 40, 70]))
    member_id = history[0][0]["member_id"]
    engine, oracle = Engine(member_id), Oracle()
    for event, moment in history:
        engine.post(parsed(event, moment), moment)
        oracle.post(event, moment)
        assert engine.view() == oracle.at(member_id, moment), (seed, event, moment)
        assert what_it_did(engine, event["event_id"]) == expected_of(oracle, event["event_id"]), (seed, event)
    for order_id, order in engine.orders.items():
        held = remaining_value(order) if "lines" in order else None
        assert held == oracle.remaining(member_id, order_id), (seed, order_id)
    last = history[-1][1]
    for days in (1, 20, 60, 90, 91, 200, 365, 366, 900):
        moment = last + timedelta(days=days, hours=rng.randrange(24))
        ahead = Engine(member_id)
        ahead.account = engine.account.clone()
        ahead.settle(moment)
        assert ahead.view() == oracle.at(member_id, moment), (seed, days)


@pytest.mark.parametrize("seed", range(60))
def test_the_account_is_the_fold_of_its_entries(seed: int) -> None:
    rng = random.Random(seed)
    history = random_history(rng, days=500, events=50)
    engine = Engine(history[0][0]["member_id"])
    for event, moment in history:
        engine.post(parsed(event, moment), moment)
    engine.settle(history[-1][1] + timedelta(days=rng.randrange(500)))
    assert [entry["seq"] for entry in engine.entries] == list(range(1, len(engine.entries) + 1))
    assert encode_account(rebuild(engine.account.member_id, engine.entries)) == encode_account(engine.account)


@pytest.mark.parametrize("seed", range(60))
def test_a_sweep_late_split_or_partial_gives_the_same(seed: int) -> None:
    """I8: settled day by day, in one leap, or with the expiries ahead of the reviews, the outcome is one."""
    rng = random.Random(seed)
    history = random_history(rng, days=300, events=40)
    base = Engine(history[0][0]["member_id"])
    for event, moment in history:
        base.post(parsed(event, moment), moment)
    start, engines = history[-1][1], []
    end = start + timedelta(days=500)
    for _ in range(3):
        engine = Engine(base.account.member_id)
        engine.account = base.account.clone()
        engines.append(engine)
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
    """I9, for events that all arrive at one moment and touch no cap: the order of arrival is no matter."""
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
