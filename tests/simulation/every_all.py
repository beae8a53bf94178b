"""All that is enumerated, or a share of it: on all cores, with its figures (``make simulate EVERY=1``)."""

from __future__ import annotations

import json
import multiprocessing
import os
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

from tests.simulation.every import KINDS, OF_DELIVERY, Tally, crash
from tests.simulation.every_pair import ALL, Figures, try_pair
from tests.simulation.every_works import WORKS

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build" / "simulation" / "every.json"
SOURCES = ("layers/rules", "layers/ledger", "layers/http", "functions")
PARTS = 4
"""In so many parts the blows of a work are handed to processes."""


class Task(NamedTuple):
    """Something to run: a part of a work's blows, or a pair; each by its number."""

    kind: str
    number: int
    part: int


@cache
def sum_of_sources() -> int:
    """A checksum of the club's own sources."""
    total = 0
    for folder in SOURCES:
        for path in sorted((ROOT / folder).rglob("*.py")):
            total = zlib.crc32(path.read_bytes(), total)
    return total


def share(of: int) -> int:
    """Which of so many shares is to be run here, from 0.

    The rule: the sources of the club decide, so the same tree always runs the same share, and every change another.
    ``EVERY_SHARE`` in the environment, a number, is taken instead.
    """
    given = os.environ.get("EVERY_SHARE")
    return (int(given) if given else sum_of_sources()) % of


def in_share(of: int) -> Callable[[int], bool]:
    """Tells the numbers that are in this tree's share."""
    mine = share(of)
    return lambda number: number % of == mine


def do(task: Task) -> tuple[Task, Tally | Figures, float]:
    """Runs a task; also gives the seconds of a core that it took."""
    began = time.process_time()
    done: Tally | Figures
    if task.kind == "crash":
        done = crash(WORKS[task.number], lambda number: number % PARTS == task.part)
    else:
        done = try_pair(ALL[task.number])
    return task, done, time.process_time() - began


def table(runs: Counter[tuple[str, str]]) -> str:
    """How often each kind of fault hit each function; a dot where it can't."""
    names = sorted({function for function, _ in runs})
    short = {name: name.removesuffix("Function") for name in names}
    lines = [" " * 22 + " ".join(f"{short[name]:>{max(6, len(short[name]))}}" for name in names)]
    for kind in (*KINDS, *OF_DELIVERY):
        cells = (f"{runs[name, kind] or '.':>{max(6, len(short[name]))}}" for name in names)
        lines.append(f"{kind:<22}" + " ".join(cells))
    totals = (f"{sum(n for (of, _), n in runs.items() if of == name):>{max(6, len(short[name]))}}" for name in names)
    return "\n".join([*lines, f"{'runs':<22}" + " ".join(totals)])


def all_tasks() -> list[Task]:
    """Everything, what takes long at the end."""
    tasks = [Task("crash", number, part) for number in range(len(WORKS)) for part in range(PARTS)]
    tasks += [Task("pair", number, 0) for number in range(len(ALL))]
    return sorted(tasks, key=lambda task: task.kind == "crash" and not WORKS[task.number].stage.startswith("club"))


def main(jobs: int) -> int:
    """Runs all of it on so many processes, and says what came of it; 0 where nothing was found."""
    began, core_s = time.perf_counter(), 0.0
    tasks = all_tasks()
    tally, met = Tally(), []
    with multiprocessing.get_context("spawn").Pool(jobs) as pool:
        for count, (_, done, seconds) in enumerate(pool.imap_unordered(do, tasks), start=1):
            core_s += seconds
            if isinstance(done, Tally):
                tally.add(done)
            else:
                met.append(done)
            if count % 20 == 0:
                sys.stderr.write(f"{count} of {len(tasks)} parts, {time.perf_counter() - began:,.0f} s\n")
    return _say(tally, met, time.perf_counter() - began, core_s)


def _say(tally: Tally, met: Sequence[Figures], wall_s: float, core_s: float) -> int:
    found = [f"{each.work}: {each.blow}: {each.text}" for each in tally.found]
    found += [f"{each.name}: {text}" for each in met for text in each.found]
    found += [f"{name}: {blow} never struck" for name, blow in tally.missed]
    orders, stands_for = sum(each.orders for each in met), sum(each.stands_for for each in met)
    figures = {
        "blows": tally.runs.total(),
        "works": len(WORKS),
        "pairs": len(met),
        "orders": orders,
        "orders stand for": stands_for,
        "wall seconds": round(wall_s),
        "core seconds": round(core_s),
        "runs": {f"{function} {kind}": number for (function, kind), number in sorted(tally.runs.items())},
        "found": found,
    }
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    for text in found[:20]:
        sys.stdout.write(text[:2000] + "\n")
    sys.stdout.write(table(tally.runs) + "\n")
    sys.stdout.write(
        f"{tally.runs.total():,} faults at the calls of {len(WORKS)} works, as many as there are; {len(met)} pairs in "
        f"{orders:,} orders, which stand for {stands_for:,}; {len(found)} failed; {wall_s:,.0f} s, {core_s:,.0f} s of "
        "one core\n"
    )
    return 1 if found or tally.runs.total() != tally.expected else 0
