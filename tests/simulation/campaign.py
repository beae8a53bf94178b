"""Many seeds, on all cores: what was done, what was found, and how often each fault hit each function."""

from __future__ import annotations

import json
import multiprocessing
import random
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.simulation import faults, sizes

if TYPE_CHECKING:
    from tests.simulation.world import Result

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build" / "simulation" / "report.json"
KEPT = Path(__file__).with_name("seeds.txt")
SEEDS_A_CHUNK = 10
COVERED_FROM_SEEDS = 1000
"""A campaign that is smaller may miss a fault by chance."""
TRACE_LINES = 60
PROGRESS_S = 10.0

NEVER: Mapping[tuple[str, str], str] = {
    ("stale_read", function): "it reads consistently, whatever it reads"
    for function in (
        "DisputeAccelerationFunction",
        "ExpeditedRefundFunction",
        "MemberAdminFunction",
        "MemberApiFunction",
        "PriceAlertsFunction",
    )
}
"""What a role or a trigger allows to be hit and nothing ever hits, with why."""


@dataclass(frozen=True)
class Found:
    """A seed that failed: the invariant ("" where the simulation itself did), what was found, and about whom."""

    seed: int
    invariant: str
    text: str
    member_id: str | None = None


@dataclass
class Tally:
    """What a number of seeds came to; ``seconds`` are those of the processor."""

    seeds: int = 0
    steps: int = 0
    invocations: int = 0
    deliveries: int = 0
    simulated_days: float = 0.0
    seconds: float = 0.0
    hits: Counter[tuple[str, str]] = field(default_factory=Counter)
    found: list[Found] = field(default_factory=list)

    def add(self, other: Tally) -> None:
        """Takes in what other seeds came to."""
        for name in ("seeds", "steps", "invocations", "deliveries", "simulated_days", "seconds"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.hits.update(other.hits)
        self.found += other.found

    @property
    def per_second(self) -> float:
        """Deliveries a second on one core that does nothing else."""
        return self.deliveries / self.seconds if self.seconds else 0.0


def run_seed(seed: int, *, rates: Mapping[str, float] | None = None, tracing: bool = False) -> Result:
    """The club of one seed, with its workload and every invariant; ``rates`` instead of the faults that it draws."""
    from tests.simulation.invariants import Checker
    from tests.simulation.workload import ClubWorkload
    from tests.simulation.world import World

    drawn = sizes.draw(random.Random(f"sizes {seed}"))
    checker = Checker(shards=drawn[sizes.DUE_SHARDS])
    return World(seed, ClubWorkload(seed), checker, rates=rates, sizes=drawn, tracing=tracing).run()


def run_seeds(seeds: Iterable[int]) -> Tally:
    """Runs seeds one after the other, in this process."""
    tally = Tally()
    for seed in seeds:
        began = time.process_time()
        result = run_seed(seed)
        part = Tally(
            seeds=1,
            steps=result.steps,
            invocations=result.invocations,
            deliveries=result.deliveries,
            simulated_days=result.simulated_days,
            seconds=time.process_time() - began,
            hits=result.hits,
        )
        if result.failure is not None:
            part.found.append(found_in(seed, result.failure))
        tally.add(part)
    return tally


def found_in(seed: int, failure: BaseException) -> Found:
    """What is told of a seed's failure."""
    from tests.simulation.steps import Violation

    if isinstance(failure, Violation):
        return Found(seed, failure.invariant, str(failure), failure.member_id)
    last = traceback.extract_tb(failure.__traceback__)[-3:]
    way = " > ".join(f"{Path(frame.filename).name}:{frame.lineno}" for frame in last)
    return Found(seed, "", f"{type(failure).__name__}: {failure} ({way})")


# --- a campaign


def plant(defect: str | None) -> None:
    """Makes this process run the club with a planted defect; before any of the club is loaded."""
    if defect is not None:
        from tests.simulation import defects

        defects.plant(defect)


def campaign(first: int, count: int, jobs: int, defect: str | None, told: Callable[[Tally, float], None]) -> Tally:
    """Runs ``count`` seeds from ``first`` on ``jobs`` processes; ``told`` hears of each chunk, and the seconds so far.

    The sum does not depend on which process did what.
    """
    began = time.perf_counter()
    chunks = [
        range(start, min(start + SEEDS_A_CHUNK, first + count)) for start in range(first, first + count, SEEDS_A_CHUNK)
    ]
    whole = Tally()
    # a fresh interpreter for each: nothing of the parent's is shared, on any platform
    with multiprocessing.get_context("spawn").Pool(jobs, plant, (defect,)) as pool:
        for part in pool.imap_unordered(run_seeds, chunks):
            whole.add(part)
            told(whole, time.perf_counter() - began)
    whole.found.sort(key=lambda found: found.seed)
    return whole


class Progress:
    """One line, over and over on a terminal; now and then a new one elsewhere."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._last = 0.0

    def __call__(self, tally: Tally, seconds: float) -> None:
        terminal = sys.stderr.isatty()
        if not terminal and seconds - self._last < PROGRESS_S and tally.seeds < self._count:
            return
        self._last = seconds
        left = seconds / tally.seeds * (self._count - tally.seeds)
        line = (
            f"{tally.seeds:,} of {self._count:,} seeds, {tally.deliveries:,} deliveries, "
            f"{tally.deliveries / seconds:,.0f} a second, {len(tally.found)} failed, {left:,.0f} s left"
        )
        sys.stderr.write(line + ("\r" if terminal and tally.seeds < self._count else "\n"))
        sys.stderr.flush()


def missed(tally: Tally) -> list[tuple[str, str]]:
    """The faults that can hit a function and did not, as (kind, function)."""
    from tests.simulation.world import deployment

    return [
        (kind, function)
        for function, kinds in sorted(faults.reachable(deployment().template).items())
        for kind in faults.RATES
        if kind in kinds and not tally.hits[kind, function] and (kind, function) not in NEVER
    ]


def table(tally: Tally) -> str:
    """How often each fault hit each function; a dot where it cannot."""
    from tests.simulation.world import deployment

    reachable = faults.reachable(deployment().template)
    functions = sorted(function for function, kinds in reachable.items() if kinds)
    short = {function: _short(function) for function in functions}
    width = max(map(len, short.values()))
    lines = [" " * 20 + "".join(f"{short[function]:>{width + 1}}" for function in functions)]
    for kind in faults.RATES:
        cells = [
            str(tally.hits[kind, function])
            if tally.hits[kind, function] or (kind in reachable[function] and (kind, function) not in NEVER)
            else "."
            for function in functions
        ]
        lines.append(f"{kind:<20}" + "".join(f"{cell:>{width + 1}}" for cell in cells))
    return "\n".join(lines)


def _short(function: str) -> str:
    return function.removesuffix("Function")


def write_report(tally: Tally, first: int, jobs: int, wall_s: float) -> None:
    """Writes the figures to ``REPORT``."""
    by_function: dict[str, dict[str, int]] = {}
    for (kind, function), times in sorted(tally.hits.items()):
        by_function.setdefault(function, {})[kind] = times
    figures: dict[str, Any] = {
        "first": first,
        "seeds": tally.seeds,
        "jobs": jobs,
        "steps": tally.steps,
        "invocations": tally.invocations,
        "deliveries": tally.deliveries,
        "simulated_days": round(tally.simulated_days, 1),
        "seconds": round(wall_s, 1),
        "deliveries_a_second": round(tally.deliveries / wall_s, 1),
        "deliveries_a_second_a_core": round(tally.per_second, 1),
        "faults": by_function,
        "missed": [list(each) for each in missed(tally)],
        "failed": [asdict(found) for found in tally.found],
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")


# --- a seed that failed


def tell_of(found: Found, defect: str | None) -> str:
    """What a reader needs of a failed seed: what was found, what led to it, and how to see it again."""
    again = f"python -m tests.simulation --seed {found.seed}{f' --defect {defect}' if defect else ''}"
    trace = excerpt(run_seed(found.seed, tracing=True).trace, found.member_id)
    return "\n".join([f"seed {found.seed} failed: {found.text}", *trace, f"All of it again: {again}"])


def excerpt(trace: Sequence[str], member_id: str | None) -> list[str]:
    """The last lines of a trace; with a member, of those that concern them, or the invocations that do."""
    if member_id is None:
        return list(trace[-TRACE_LINES:])
    numbers = {_number(line) for line in trace if member_id in line} - {None}
    about = [line for line in trace if member_id in line or _number(line) in numbers]
    return about[-TRACE_LINES:]


def _number(line: str) -> str | None:
    words = line.split(" ", 2)
    return words[1] if len(words) > 1 and words[1].startswith("#") else None


def kept_seeds() -> list[tuple[int, str]]:
    """The seeds that once failed, with why: they are run for ever."""
    lines = (line.partition("#")[::2] for line in KEPT.read_text("utf-8").splitlines())
    return [(int(seed), why.strip()) for seed, why in lines if seed.strip()]
