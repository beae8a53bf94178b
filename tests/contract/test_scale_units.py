"""What docs/scale.md computes with counts what there is, once, and says who caused it."""

from __future__ import annotations

import json

import pytest

from benchmarks.scale.inputs import KEPT, of_purchase
from benchmarks.scale.units import NOTED_WITH, OUTBOX, POSTING, Meter, count, keys_of, note_units, units
from local.logs import open_log


@pytest.mark.slow
def test_the_first_days_of_the_log_are_counted_by_what_caused_them() -> None:
    days = 5
    counted = count(days).counts
    events = sum(len(events) for _, (_, events) in zip(range(days), open_log().days(), strict=False))
    posted, announced = counted[POSTING], counted[f"{OUTBOX} after {POSTING}"]

    assert posted["records"] == posted["members read"] == events
    assert posted["items written"] == 3 * events, "an entry, the account and the order"
    assert 6 * events <= posted["write units"] == 6 * events + posted["index units"] <= 9 * events
    # of what was posted, and what announcing it wrote: notes of members, additions to the standing, rewards
    assert announced["records"] == posted["items written"] + announced["items written"]
    assert announced["announcements"] == announced["tier.changed"]
    assert announced["members counted"] <= events
    assert 0 < announced["additions to the standing"] <= announced["invocations"]
    assert announced["cpu seconds"] > 0
    assert "members read" not in counted["expiry_sweep"], "nothing is due yet"


@pytest.mark.slow
def test_the_note_of_a_chunk_is_what_was_kept() -> None:
    kept = json.loads(KEPT.read_text("utf-8"))
    notes = {str(shards): note_units(shards) for shards in NOTED_WITH}

    assert kept["write units of a chunk's note, by shards"] == notes
    assert notes["64"] > 3 * notes["8"], "it holds where each shard goes on"


def test_what_was_kept_is_what_the_table_of_the_other_command_says() -> None:
    kept = json.loads(KEPT.read_text("utf-8"))

    assert kept["an event posted"]["write units"] == pytest.approx(of_purchase(POSTING, "write units"), abs=0.01)
    assert kept["an event posted"]["requests"] == pytest.approx(of_purchase(POSTING, "requests"), abs=0.01)
    for name, of in kept["a due member"].items():
        written = of["members by event"] * of["write units"]
        assert written == pytest.approx(of_purchase(name, "write units"), rel=0.01), name


def test_figures_are_by_event_and_by_member() -> None:
    meter = Meter()
    meter.add(POSTING, "records", 4)
    meter.add(POSTING, "write units", 24)
    meter.add("expiry_sweep", "members read", 2)
    meter.add("expiry_sweep", "write units", 9)
    meter.add(f"{OUTBOX} after {POSTING}", "records", 12)
    meter.add(f"{OUTBOX} after {POSTING}", "cpu seconds", 0.006)
    of = units(meter, {"8": 2.0}, {"post_ledger": 1_500.0, "bare read": 400.0, "bare write": 500.0})

    assert of["an event posted"]["write units"] == 6
    assert of["its changes announced"]["records"] == 3
    assert of["its changes announced"]["cpu by record ÷ a bare write"] == 1
    assert of["a due member"]["expiry_sweep"]["write units"] == 4.5
    assert of["a due member"]["expiry_sweep"]["members by event"] == 0.5
    assert of["cpu of posting an event ÷ a bare write"] == 3


def test_a_check_writes_nothing() -> None:
    key = {"pk": {"S": "M#m-1"}, "sk": {"S": "J~"}}
    assert list(keys_of({"ConditionCheck": {"Key": key}})) == []
    assert list(keys_of({"Update": {"Key": key}})) == list(keys_of({"Put": {"Item": key}})) == ["M#m-1"]
