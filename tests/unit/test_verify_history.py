"""What the rules posted, in whatever order of sweeps, the history of `verify` finds to be what the rules give."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from club_rules.account import encode_account
from club_rules.programs import Programs
from club_rules.restoring import lowered, undo_demotion
from club_rules.settling import new_rules_due
from local.verify.history import History
from local.verify.kinds import as_json
from tests.oracle.histories import START, random_history
from tests.unit.member import PROGRAMS, SHIPPED, Engine, changed, line


def several(rng: random.Random) -> Programs:
    """Each program in two or three versions, that come into force within the histories."""
    files = []
    for program_id, shipped in SHIPPED.items():
        files.append(shipped)
        day = START.date()
        for number in range(rng.choice((1, 1, 2))):
            day += timedelta(days=rng.choice((60, 91, 200)))
            tiers = [dict(tier) for tier in shipped["tiers"]]
            if program_id != "vip":
                factor = rng.choice((1, 2, 3))
                for tier in tiers[1:]:
                    tier["from"] = tier["from"] * factor
            window = rng.choice((shipped["window_days"], 60, 200))
            how = {"version": f"v{number}", "effective_from": day.isoformat(), "tiers": tiers, "window_days": window}
            if program_id != "vip":
                how["demotion"] = {"to": rng.choice(("one_down", "to_qualified")), "grace_days": rng.choice((0, 5))}
            files.append(changed(program_id, **how))
    return Programs(files)


def lived(rng: random.Random, programs: Programs) -> Engine:
    """A member with a random history, sweeps of both kinds in between, and demotions that were undone."""
    engine = Engine(programs=programs)
    for raw, moment in random_history(rng, days=430, events=40, adjustments=True):
        if rng.random() < 0.2:
            engine.settle(moment, expiries_only=True)
        if rng.random() < 0.1:
            undo_latest(engine, moment)
        engine.take(raw, moment)
    engine.settle(START + timedelta(days=rng.choice((500, 900))), expiries_only=rng.random() < 0.5)
    engine.settle(START + timedelta(days=1200))
    return engine


def event(kind: str, event_id: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event of the first instant."""
    at = START.isoformat().replace("+00:00", "Z")
    return {"event_id": event_id, "type": kind, "member_id": "m-1", "occurred_at": at, "data": data}


def undo_latest(engine: Engine, moment: datetime) -> None:
    """Gives back the latest demotion of a review, as an operator does: expiries first, reviews left as they are."""
    fallen = [entry for entry in engine.entries if lowered(entry)]
    if not fallen:
        return
    until = engine.account.not_before(moment)
    engine.settle(until, expiries_only=not new_rules_due(engine.account, engine.programs, until))
    by_number = {entry["seq"]: entry for entry in engine.entries}
    if f"undo~{fallen[-1]['entry_id']}" in {entry["entry_id"] for entry in engine.entries}:
        return
    undone, _ = undo_demotion(engine.account, engine.programs, fallen[-1], until, by_number.__getitem__)
    if undone is not None:
        engine._keep([undone])


@pytest.mark.parametrize("with_versions", [False, True], ids=["shipped", "several versions"])
def test_what_the_rules_posted_is_what_the_history_gives(with_versions: bool) -> None:
    kinds: set[str] = set()
    for seed in range(60):
        rng = random.Random(seed)
        engine = lived(rng, several(rng) if with_versions else PROGRAMS)
        history = History("m-1", engine.programs)
        for entry in as_json(engine.entries):
            assert list(history.take(entry)) == [], (seed, entry["seq"])
            kinds |= {part["kind"] for part in entry["parts"].values()} | {entry["key"].split("~")[0]}

        assert encode_account(history.account) == encode_account(engine.account), seed
        assert as_json(history.orders) == as_json(engine.orders), seed
    assert {"accrual", "clawback", "expiry", "penalty", "reinstatement", "adjustment", "parked", "undo"} <= kinds


def test_a_receipt_that_differs_is_named() -> None:
    engine = lived(random.Random(3), PROGRAMS)
    entries = as_json(engine.entries)
    changed_entry = next(entry for entry in entries if any("receipt" in part for part in entry["parts"].values()))
    program_id = next(name for name, part in changed_entry["parts"].items() if "receipt" in part)
    changed_entry["parts"][program_id]["receipt"]["threshold"] += 1
    history = History("m-1", PROGRAMS)

    faults = [fault for entry in entries for fault in history.take(entry)]

    assert [fault.key for fault in faults] == [changed_entry["key"]]
    assert faults[0].text.startswith(f"parts.{program_id}.receipt.threshold: stored ")


def test_an_expiry_that_was_passed_over_is_named() -> None:
    """What an order earned has expired two years later; an event that is posted then comes after the expiry."""
    engine = Engine()
    order = {"order_id": "o-1", "currency": "USD", "lines": [line("30.00")]}
    engine.take(event("order.completed", "e-1", order), START)
    engine.take(event("visit.recorded", "e-2", {}), START)
    first, second = as_json(engine.entries)
    second["posted_at"] = "2021-03-01T00:00:00Z"
    history = History("m-1", PROGRAMS)
    assert list(history.take(first)) == []

    told = [fault.text for fault in history.take(second)]

    assert told[0] == "posted_at: ~expiry~m-1~2 fell due before, and was not posted"
