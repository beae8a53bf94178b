"""The queueing model loses nothing, is the same for a seed, and no slower for more; docs/scale.md is its output."""

from __future__ import annotations

import json
import random
import re
import time
from dataclasses import replace
from itertools import pairwise
from unittest import mock

import pytest

from benchmarks import scale
from benchmarks.scale import paper
from benchmarks.scale.contention import FIRST_PAUSE, LONGEST_PAUSE, contend
from benchmarks.scale.inputs import (
    NEW_TABLE_UNITS,
    READ,
    WRITE,
    Latency,
    of_purchase,
    parameter,
    template,
    units,
)
from benchmarks.scale.line import (
    GIVEN_SECONDS,
    STOP_BEFORE,
    Line,
    Load,
    Outcome,
    Setting,
    hot_rate,
    poisson,
    post_seconds,
    standing_rate,
)
from benchmarks.scale.paper import MEMBERS, RATES
from club_ledger import items, store, sweeping
from club_rules.errors import Unavailable
from local.template import ROOT

TEXT = (ROOT / "docs" / "scale.md").read_text("utf-8")
BURST = Load(quiet=60, peak=600, burst_seconds=60)
ROOMY = Setting(posting=40, outbox=2, table_units=20_000)


def played(load: Load = BURST, setting: Setting = ROOMY, seed: int = 1, grain: int | None = None) -> Outcome:
    return Line(load, setting, seed, grain).run()


# ---------------------------------------------------------------- the line


@pytest.mark.parametrize(
    ("load", "setting"),
    [
        (BURST, ROOMY),
        (BURST, replace(ROOMY, posting=10)),
        (BURST, replace(ROOMY, table_units=NEW_TABLE_UNITS.value)),
        (replace(BURST, hot=0.3), replace(ROOMY, posting=200)),
    ],
    ids=["roomy", "few invocations", "a new table", "a hot member"],
)
def test_every_event_is_posted_and_announced_or_a_dead_letter(load: Load, setting: Setting) -> None:
    outcome = played(load, setting)

    expected = load.quiet * 60 + load.peak * load.burst_seconds
    assert outcome.accepted >= 0.95 * expected
    assert outcome.done + outcome.dead == outcome.accepted
    assert outcome.told == outcome.done
    assert outcome.drained is not None
    assert sum(count for _, count in outcome.announced) == sum(count for _, count in outcome.posted)
    assert outcome.seconds("announced", 0.5) > outcome.seconds("posted", 0.5) > post_seconds() / 20


def test_a_seed_gives_the_same_again_and_another_seed_something_else() -> None:
    assert played() == played()
    assert played() != played(seed=2)


def test_more_of_anything_is_never_slower() -> None:
    short = Setting(posting=10, outbox=1, table_units=NEW_TABLE_UNITS.value)
    load = replace(BURST, quiet=30)
    for name, values in (
        ("posting", (10, 15, 20, 40)),
        ("table_units", (4_000, 8_000, 16_000)),
        ("outbox", (1, 2, 4)),
    ):
        runs = [played(load, replace(short, **{name: value})) for value in values]
        # what comes by chance comes otherwise where something is turned, but never by that much
        what = "announced" if name == "outbox" else "posted"
        for share in (0.5, 0.99):
            times = [run.seconds(what, share) for run in runs]
            assert all(later <= 1.05 * earlier + 0.05 for earlier, later in pairwise(times)), name
    slow, fast = (played(load, replace(short, posting=each, table_units=16_000)) for each in (10, 40))
    assert slow.seconds("posted", 0.99) > 10 * fast.seconds("posted", 0.99)


def test_ten_invocations_drain_a_burst_as_fast_as_they_post() -> None:
    """A case that can be worked out by hand: what has piled up, by what is posted beyond the quiet load."""
    posted = 10 * 10 / post_seconds()
    outcome = played(BURST, replace(ROOMY, posting=10, outbox=10))

    piled_up = (BURST.peak - posted) * BURST.burst_seconds
    assert outcome.drained == pytest.approx(piled_up / (posted - BURST.quiet), rel=0.1)
    assert outcome.seconds("posted", 1) == pytest.approx(piled_up / posted, rel=0.1)


def test_the_table_lets_through_what_it_takes_and_no_more() -> None:
    by_event = of_purchase("post_ledger", "write units") + units()["its changes announced"]["write units"]
    through = NEW_TABLE_UNITS.value / by_event
    assert BURST.peak > through > BURST.quiet
    outcome = played(BURST, Setting(posting=100, outbox=10))

    # what waits for the table longest was accepted last; it grows by some percent meanwhile
    assert outcome.seconds("announced", 1) == pytest.approx((BURST.peak / through - 1) * 60, rel=0.2)


def test_many_servers_as_one_say_what_they_say_by_themselves() -> None:
    apart, together = (played(replace(BURST, peak=900), grain=grain) for grain in (1, 5))
    for what in ("posted", "announced"):
        assert together.seconds(what, 0.5) == pytest.approx(apart.seconds(what, 0.5), rel=0.25)
        assert together.seconds(what, 0.99) == pytest.approx(apart.seconds(what, 0.99), rel=0.35)


def test_who_comes_by_chance_comes_as_often_as_is_said() -> None:
    dice = random.Random(1)
    for mean in (0.4, 6.0, 200.0):
        drawn = [poisson(dice, mean) for _ in range(20_000)]
        found = sum(drawn) / len(drawn)
        assert found == pytest.approx(mean, rel=0.03)
        assert sum((each - found) ** 2 for each in drawn) / len(drawn) == pytest.approx(mean, rel=0.06)


def test_a_latency_is_what_its_two_numbers_say() -> None:
    dice, latency = random.Random(1), Latency(10, 40)
    drawn = sorted(latency.half * dice.lognormvariate(0, latency.spread) for _ in range(50_000))

    assert drawn[len(drawn) // 2] == pytest.approx(10, rel=0.03)
    assert drawn[len(drawn) * 99 // 100] == pytest.approx(40, rel=0.05)
    assert sum(drawn) / len(drawn) == pytest.approx(latency.mean, rel=0.02)


# ---------------------------------------------------------------- what many would write


def test_an_account_takes_one_writer_after_the_other_however_many_there_are() -> None:
    alone, many = (contend(writers, 1, GIVEN_SECONDS, seed=1, seconds=20) for writers in (1, 20))

    assert alone.a_second == pytest.approx(1000 / (READ.mean + WRITE.mean), rel=0.1)
    assert alone.given_up == 0
    assert many.a_second < 1.2 * alone.a_second
    assert many.share_given_up > 0.01
    assert many.tries > 2 * many.written
    assert all(seconds < GIVEN_SECONDS for seconds, _ in many.took)
    assert many == contend(20, 1, GIVEN_SECONDS, seed=1, seconds=20)


def test_more_shards_take_more_transactions() -> None:
    few, many = (contend(20, shards, 20.0, seed=1, seconds=20).a_second for shards in (4, 16))
    assert few < 4 * 1000 / WRITE.mean
    assert many > 2 * few


def test_the_pauses_are_those_of_the_store() -> None:
    """As ``store.retrying`` makes them, where chance always gives the longest; and it stops as early."""
    clock, pauses = [0.0], list[float]()

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    def attempt() -> None:
        raise store.Busy("as ever")

    with (
        mock.patch.object(time, "sleep", sleep),
        mock.patch.object(random, "uniform", lambda _, longest: longest),
        pytest.raises(Unavailable),
    ):
        store.retrying(attempt, lambda: GIVEN_SECONDS - clock[0])
    expected, pause = list[float](), FIRST_PAUSE
    while sum(expected) + pause <= GIVEN_SECONDS - STOP_BEFORE:
        expected.append(pause)
        pause = min(2 * pause, LONGEST_PAUSE)
    assert pauses == pytest.approx(expected)
    assert f"SECONDS_AN_EVENT = {GIVEN_SECONDS}" in (ROOT / "functions/post_ledger/app.py").read_text("utf-8")


# ---------------------------------------------------------------- on paper


def test_the_limits_come_in_the_order_in_which_they_are_met() -> None:
    limits = paper.limits()
    through = [limit.as_deployed for limit in limits]

    assert through == sorted(through)
    assert through[0] > 400, "purchases of 100 million members at their peak"
    assert all(limit.turned >= limit.as_deployed for limit in limits)
    named = {name for limit in limits for name in re.findall(r"`([A-Z]\w+)`", limit.turn)}
    assert named == {"PostingConcurrency", "OutboxConcurrency", "OutboxBatch", "DueShards", "RequestsPerSecond"}
    assert named < template().parameters.keys()


def test_what_is_to_be_set_is_enough_and_may_be_set() -> None:
    for rate in RATES[:3]:
        assert paper.posted_a_second(paper.wanted_posting(rate)) > rate
        assert paper.wanted_units(rate) > rate * of_purchase("post_ledger", "write units")
        assert paper.counted_a_second(paper.wanted_batch(rate)) > rate
    for rate in RATES:
        assert paper.indexed_a_second(paper.wanted_shards(rate)) > rate
        set_to = {
            "PostingConcurrency": paper.wanted_posting(rate),
            "OutboxConcurrency": paper.wanted_outbox(rate),
            "OutboxBatch": paper.wanted_batch(rate),
            "DueShards": paper.wanted_shards(rate),
        }
        turned = type(template())(ROOT / "template.yaml", {name: str(value) for name, value in set_to.items()})
        assert {name: int(turned.parameters[name]) for name in set_to} == set_to


def test_a_night_takes_what_its_chains_take() -> None:
    one = paper.swept_a_second(2, 8) / 2
    assert one == pytest.approx(sweeping.CHUNK / paper.chunk_seconds())
    assert paper.swept_a_second(5, 8) == pytest.approx(5 * one)
    assert paper.swept_a_second(64, 8) == pytest.approx(8 * one), "a shard is one chain"
    assert paper.swept_a_second(64, 64) == paper.note_limit(64) < 64 * one, "what notes on one item allow"
    assert [paper.due_in_a_night(members) for members in MEMBERS] == [176_000, 1_800_000, 17_600_000]


def test_numbers_are_told_with_two_digits() -> None:
    assert [paper.number(value) for value in (0, 0.0456, 0.99, 1.04, 23.4, 1_234, 987_654)] == [
        "0",
        "0.046",
        "0.99",
        "1.0",
        "23",
        "1,200",
        "990,000",
    ]
    assert [paper.duration(value) for value in (0.204, 12.3, 99.9, 130, 5_999, 6_100, 86_400)] == [
        "0.20 s",
        "12 s",
        "100 s",
        "2.2 min",
        "100 min",
        "1.7 h",
        "24 h",
    ]


def test_the_figures_hold_on_any_machine_and_each_has_a_name_of_its_own() -> None:
    kept: dict[str, object] = {}
    progress = mock.Mock(keep=kept.__setitem__)
    short = mock.patch.object(scale, "burst_to", lambda peak: Load(peak / 10, peak / 4, burst_seconds=20))
    with mock.patch.object(scale, "RATES", RATES[:2]), short:
        figures = scale.measure(progress)
        again = scale.measure(progress)

    assert figures == again
    assert len({figure.name for figure in figures}) == len(figures) == 2 * 3 + 1
    assert not any(figure.of_machine for figure in figures)
    assert all(figure.value > 0 for figure in figures)
    assert list(json.loads(json.dumps(next(iter(kept.values()))))) == [
        "1,000/s, as deployed",
        "1,000/s, turned",
        "5,000/s, turned",
    ]


# ---------------------------------------------------------------- the page


def test_the_page_has_each_table_once() -> None:
    names = re.findall(r"<!-- scale: (\w+) -->", TEXT)
    assert sorted(names) == sorted(scale.TABLES)
    assert scale.blocks(TEXT).keys() == scale.TABLES.keys()


@pytest.mark.parametrize("name", sorted(scale.TABLES.keys() - scale.SIMULATED))
def test_the_page_says_what_the_arithmetic_gives(name: str) -> None:
    assert scale.blocks(TEXT)[name] == scale.TABLES[name]()


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(scale.SIMULATED))
def test_the_page_says_what_the_simulation_gives(name: str) -> None:
    assert scale.blocks(TEXT)[name] == scale.TABLES[name]()


def test_the_prose_says_what_the_tables_do() -> None:
    prose = " ".join(scale.BLOCK.sub("", TEXT).split())
    first, second, third = paper.limits()[:3]
    standing, account, night = standing_rate(items.STANDING_SHARDS), hot_rate(), paper.note_limit(64)

    assert (first.name, second.name) == ("write units that a new table takes", "readers of the stream of a new table")
    assert third.turn == "`PostingConcurrency`"
    assert f"at {paper.number(first.as_deployed)} events a second" in prose
    assert f"some {paper.number(standing)} transactions a second together" in prose
    assert f"some {paper.number(account - account % 10)} a second, however many try" in prose
    assert f"some {paper.number(night)} members a second" in prose
    assert f"{paper.number(10 * MEMBERS[-1] / paper.MONTH_SECONDS)} purchases a second at the peak" in prose
    assert paper.posted_a_second(1_000) < 50_000
    assert paper.counted_a_second(100) < 5_000 < paper.counted_a_second(1_000)


def test_tables_are_put_where_they_stand() -> None:
    page = "a\n<!-- scale: ladder -->\n| old |\n<!-- end -->\nb\n<!-- scale: hot -->\n| kept |\n<!-- end -->\n"
    new = scale.written(page, {"ladder": "| new |"})

    assert new == page.replace("old", "new")
    assert scale.blocks(new) == {"ladder": "| new |", "hot": "| kept |"}


def test_the_page_names_parameters_and_constants_that_there_are() -> None:
    words = set(re.findall(r"`([A-Z][A-Za-z]*(?:Concurrency|Shards|Batch|Second|Burst))`", TEXT))
    assert words - {"MaximumConcurrency"} <= template().parameters.keys()
    assert {"PostingConcurrency", "OutboxConcurrency", "OutboxBatch", "SweepConcurrency", "DueShards"} <= words
    assert f"`STANDING_SHARDS` ({items.STANDING_SHARDS})" in TEXT
    assert parameter("OutboxBatch") == template().stream_mappings[0].batch_size
