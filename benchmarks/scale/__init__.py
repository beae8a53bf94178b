"""The club at scale, on paper and in simulation: `python -m benchmarks.scale [--write]`.

It prints the tables of docs/scale.md; `--write` puts them there. What they are made of is measured (`python -m
benchmarks.scale.units`, and docs/operate.md's table of `python -m benchmarks.units`), public, or marked as assumed: see
``inputs``. ``paper`` has the arithmetic, ``line`` the model of the queueing. All of it is the same for the same seed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from benchmarks.figures import Figure, Progress
from benchmarks.scale import paper
from benchmarks.scale.inputs import parameter
from benchmarks.scale.line import Line, Load, Outcome, Setting
from benchmarks.scale.paper import RATES, duration, markdown, number
from local.template import ROOT

PAGE = ROOT / "docs" / "scale.md"
SEED = 7
QUIET = 0.1
"""Of the peak: a burst is ten times the load before and after it."""

CONCURRENCIES = (20, 50, 100, 200)
TURNED_PEAK = 2_000
HOT_LOAD, HOT_SHARES = 500, (0.0, 0.1, 0.2)
BLOCK = re.compile(r"(<!-- scale: (\w+) -->\n)(.*?)(<!-- end -->)", re.DOTALL)


def burst_to(peak: float) -> Load:
    """Ten times the load, for ten minutes."""
    return Load(QUIET * peak, peak)


def turned_for(rate: float) -> Setting:
    """What ``paper`` says is to be set for a rate."""
    return Setting(
        posting=paper.wanted_posting(rate),
        outbox=paper.wanted_outbox(rate),
        table_units=paper.wanted_units(rate),
        stream_batch=paper.wanted_batch(rate),
        standing_shards=paper.wanted_standing(rate),
    )


def played(load: Load, setting: Setting) -> Outcome:
    """One run. Raises ``RuntimeError`` where an event got lost in it."""
    outcome = Line(load, setting, SEED).run()
    if not outcome.accepted == outcome.done + outcome.dead == outcome.told + outcome.dead:
        raise RuntimeError("the model has lost events")
    return outcome


def _cells(outcome: Outcome) -> list[str]:
    times = [duration(outcome.seconds(what, share)) for what in ("posted", "announced") for share in (0.5, 0.99, 1)]
    return [*times, "at once" if (outcome.drained or 0) < 1 else duration(outcome.drained or 0)]


_TIMES = ["posted: half within", "99 % within", "all", "announced: half within", "99 % within", "all", "drained after"]


def bursts() -> str:
    """A burst to each of ``RATES``, and to the first of them as deployed."""
    first, new = burst_to(RATES[0]), Setting()
    runs = [
        ("1,000, as deployed, new table", first, new),
        ("1,000, new table, `OutboxConcurrency` 2", first, replace(new, outbox=2)),
        ("1,000, as deployed, warmed table", first, replace(new, table_units=paper.wanted_units(RATES[0]))),
        *((f"{rate:,}, turned for it", burst_to(rate), turned_for(rate)) for rate in RATES),
    ]
    return markdown(["burst to", *_TIMES], [[name, *_cells(played(load, setting))] for name, load, setting in runs])


def concurrencies() -> str:
    """What ``PostingConcurrency`` does, all else being turned."""
    setting = turned_for(TURNED_PEAK)
    rows = [
        [
            str(each),
            number(paper.posted_a_second(each)),
            *_cells(played(burst_to(TURNED_PEAK), replace(setting, posting=each))),
        ]
        for each in CONCURRENCIES
    ]
    return markdown(["`PostingConcurrency`", "events a second", *_TIMES], rows)


def hot_member() -> str:
    """What one member who does very much does to all others."""
    rows = []
    for share in HOT_SHARES:
        load = replace(burst_to(HOT_LOAD), hot=share)
        outcome = played(load, replace(turned_for(HOT_LOAD), posting=parameter("PostingConcurrency")))
        rows.append([f"{HOT_LOAD * share:.0f} of {HOT_LOAD} a second", *_cells(outcome), str(outcome.dead)])
    return markdown(["one member's events", *_TIMES, "dead letters"], rows)


TABLES: dict[str, Callable[[], str]] = {
    "measured": paper.measured,
    "quotas": paper.quotas,
    "guesses": paper.guesses,
    "ladder": paper.ladder,
    "sustained": paper.sustained,
    "sizes": paper.sizes,
    "nights": paper.nights,
    "hot": paper.hot,
    "drops": paper.drops,
    "bursts": bursts,
    "concurrencies": concurrencies,
    "hot_member": hot_member,
}
"""The tables of the page, by the names that stand before them."""

SIMULATED = frozenset({"bursts", "concurrencies", "hot_member"})
"""Those that take some seconds each."""


def blocks(text: str) -> dict[str, str]:
    """The tables that stand in a page, by their names."""
    return {found[2]: found[3].strip() for found in BLOCK.finditer(text)}


def written(text: str, tables: dict[str, str]) -> str:
    """The page with ``tables`` in the places of those that stand in it."""
    return BLOCK.sub(lambda found: f"{found[1]}{tables.get(found[2], found[3].strip())}\n{found[4]}", text)


def measure(progress: Progress) -> list[Figure]:
    """The latencies of bursts, and the first limits. Takes some ten seconds."""
    figures: list[Figure] = []
    kept: dict[str, object] = {}
    runs = [("as deployed", RATES[0], Setting()), *(("turned", rate, turned_for(rate)) for rate in RATES)]
    for place, (name, rate, setting) in enumerate(runs):
        progress.step(place, len(runs), f"a burst to {rate:,} events a second, {name}")
        outcome = played(burst_to(rate), setting)
        figures += _figures(f"{rate:,}/s, {name}", outcome)
        shares = (0.5, 0.9, 0.99, 0.999, 1)
        kept[f"{rate:,}/s, {name}"] = {
            "set": vars(setting),
            **{
                what: {str(share): outcome.seconds(what, share) for share in shares} for what in ("posted", "announced")
            },
            "drained": outcome.drained,
        }
    progress.keep("bursts, seconds by share of the events", kept)
    progress.keep("events a second that each limit lets through, as deployed", _ceilings())
    progress.step(len(runs), len(runs))
    first = paper.limits()[0]
    figures.append(Figure("the first limit as deployed", round(first.as_deployed), "events/s", more_is_better=True))
    return figures


def _ceilings() -> dict[str, float]:
    return {limit.name: round(limit.as_deployed) for limit in paper.limits()}


def _figures(name: str, outcome: Outcome) -> Iterator[Figure]:
    yield Figure(f"burst to {name}: posted, 99 %", round(outcome.seconds("posted", 0.99), 2), "s")
    yield Figure(f"burst to {name}: announced, 99 %", round(outcome.seconds("announced", 0.99), 2), "s")
