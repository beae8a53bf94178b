"""The workload: the same for the same seed, and over few seeds all that can happen to a club does happen."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from typing import Any

import pytest

from club_rules.errors import InvalidInput
from club_rules.events import parse_event
from club_rules.programs import load_programs
from tests.simulation.hunt import PATHS, ROOT
from tests.simulation.steps import Advance, ApiRequest, BusEvents, Step, Sweep
from tests.simulation.workload import CROWD, SWEEPS, ClubWorkload

EVENT_TYPES = {
    *("member.registered", "member.updated", "order.completed", "order.cancelled", "order.refunded"),
    *("order.flagged_fraudulent", "review.posted", "visit.recorded", "post.published", "promotion.awarded"),
    *("contribution.accepted", "violation.confirmed", "violation.overturned", "wishlist.item_added"),
    *("wishlist.item_removed", "cart.item_added", "cart.item_removed", "price.dropped"),
}
SEEDS = 150


def life(seed: int) -> list[Step]:
    """All steps of a seed, with those at the end."""
    workload = ClubWorkload(seed)
    return [*workload.steps(), *workload.afterwards()]


@cache
def lives() -> tuple[list[Step], ...]:
    """Those of so many seeds."""
    return tuple(life(seed) for seed in range(SEEDS))


def events_in(steps: list[Step]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every event with the door it came through."""
    for step in steps:
        if isinstance(step, BusEvents):
            for entry in step.entries:
                yield "bus", {**entry["Detail"], "type": entry["DetailType"]}
        elif isinstance(step, ApiRequest) and step.path == "/activities":
            yield from (("api", event) for event in step.body["events"])


def test_the_same_seed_gives_the_same_life_in_any_process() -> None:
    code = (
        "import hashlib\nfrom tests.simulation.test_workload import life\n"
        "print(hashlib.sha256(repr([life(seed) for seed in range(12)]).encode()).hexdigest())"
    )
    here = hashlib.sha256(repr([life(seed) for seed in range(12)]).encode()).hexdigest()
    for hashseed in ("1", "77"):
        path = os.pathsep.join(str(ROOT / each) for each in PATHS)
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": hashseed}
        done = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
        assert done.stdout.strip() == here


def test_seeds_differ() -> None:
    assert len({repr(steps) for steps in lives()}) == SEEDS


def test_every_type_of_event_comes_through_both_doors() -> None:
    met = {(door, event["type"]) for steps in lives() for door, event in events_in(steps)}
    assert {kind for door, kind in met if door == "bus"} >= EVENT_TYPES
    assert {kind for door, kind in met if door == "api"} >= EVENT_TYPES


def test_what_is_not_meant_to_be_bad_is_good() -> None:
    programs = load_programs()
    for seed in range(40):
        workload = ClubWorkload(seed)
        for step in workload.steps():
            for _, event in events_in([step]):
                if event["event_id"].startswith("bad."):
                    with pytest.raises(InvalidInput):
                        parse_event(event, now=workload.now, programs=programs)
                else:
                    parse_event(event, now=workload.now, programs=programs)


def test_ids_come_again_with_the_same_content_and_with_other() -> None:
    repeated = reused = 0
    for steps in lives():
        said: dict[str, set[str]] = {}
        times: Counter[str] = Counter()
        for _, event in events_in(steps):
            said.setdefault(event["event_id"], set()).add(repr(event))
            times[event["event_id"]] += 1
        repeated += sum(number > 1 and len(said[name]) == 1 for name, number in times.items())
        reused += sum(len(each) > 1 for each in said.values())
    assert repeated > SEEDS
    assert reused > SEEDS / 10


def test_everything_that_can_be_asked_is_asked() -> None:
    asked: Counter[str] = Counter()
    for steps in lives():
        for step in steps:
            if isinstance(step, ApiRequest):
                below = step.path.split("/")[3:] if step.path.startswith("/members/") else [step.path]
                asked[f"{step.method} {'/'.join(below)}"] += 1
    assert asked.keys() >= {
        *("POST /activities", "POST /refunds/expedited", "POST /disputes/acceleration", "POST adjustments", "DELETE "),
        *("GET ", "GET rewards", "GET privileges", "GET statement", "GET outlook", "GET explanation"),
    }


def test_what_was_asked_for_is_asked_again_at_the_end() -> None:
    for seed in range(30):
        workload = ClubWorkload(seed)
        asked = [step for step in workload.steps() if isinstance(step, ApiRequest) and step.method != "GET"]
        allowed = [each for each in asked if "club:read" not in each.scopes and each.path != "/activities"]
        again = {step.id for step in workload.afterwards() if isinstance(step, ApiRequest)}
        assert {each.id for each in allowed} <= again


def test_time_goes_by_from_seconds_to_a_year_and_schedules_fire() -> None:
    waits = [step.by for steps in lives() for step in steps if isinstance(step, Advance)]
    assert min(waits) >= timedelta(seconds=1)
    assert any(wait >= timedelta(days=365) for wait in waits)
    fired = Counter(step.function for steps in lives() for step in steps if isinstance(step, Sweep))
    assert set(fired) == set(SWEEPS)
    given = {name for steps in lives() for step in steps if isinstance(step, Sweep) for name in step.input}
    assert given == {"dry_run", "override_limit"}


def test_some_seeds_have_more_than_fits_into_a_chunk_or_a_page() -> None:
    crowds = sum(
        any(event["member_id"].startswith("c-") for _, event in events_in(steps) if event.get("member_id"))
        for steps in lives()
    )
    many = sum(
        len([1 for _, event in events_in(steps) if event["type"] == "review.posted"]) > CROWD for steps in lives()
    )
    assert crowds >= 2
    assert many >= 1
