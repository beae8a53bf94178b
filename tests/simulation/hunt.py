"""python -m tests.simulation.hunt: plants each defect by itself, and says which invariant found it, and at which seed.

Each defect has a process of its own, since it is planted before any of the club is loaded.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

from tests.simulation.defects import DEFECTS, plant

ROOT = Path(__file__).resolve().parents[2]
REPORT = ROOT / "build" / "simulation" / "defects.json"
KEPT = Path(__file__).with_name("defects.txt")
SEEDS = 100
"""A defect that so many seeds don't find has survived."""
PATHS = ("layers/rules", "layers/ledger", "layers/http", ".")


class Hunted(NamedTuple):
    """What became of a defect. ``seed`` is the first that found it, ``None``: none did; ``deliveries`` until then."""

    name: str
    breaks: str
    seed: int | None
    invariant: str
    text: str
    deliveries: int


def hunt_here(name: str, seeds: Iterable[int]) -> Hunted:
    """Plants a defect in this process, and runs seeds until one finds it."""
    plant(name)
    from tests.simulation.campaign import found_in, run_seed

    breaks, deliveries = DEFECTS[name].breaks, 0
    for seed in seeds:
        result = run_seed(seed)
        deliveries += result.deliveries
        if result.failure is not None:
            found = found_in(seed, result.failure)
            return Hunted(name, breaks, seed, found.invariant, found.text, deliveries)
    return Hunted(name, breaks, None, "", "", deliveries)


def hunt(name: str, first: int = 0, seeds: int = SEEDS) -> Hunted:
    """Hunts a defect in a process of its own. Raises ``CalledProcessError`` where that fails by itself."""
    command = [
        sys.executable,
        "-m",
        "tests.simulation.hunt",
        "--here",
        "--first",
        str(first),
        "--seeds",
        str(seeds),
        name,
    ]
    path = os.pathsep.join(str(ROOT / each) for each in PATHS)
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "0"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return Hunted(*json.loads(done.stdout.splitlines()[-1]))


def hunt_all(names: Sequence[str], jobs: int, first: int = 0, seeds: int = SEEDS) -> Iterator[Hunted]:
    """Hunts defects, ``jobs`` at a time, and tells of each as it is done."""
    with ThreadPoolExecutor(jobs) as pool:
        yield from pool.map(lambda name: hunt(name, first, seeds), names)


def kept() -> dict[str, int]:
    """By defect, the seed that is known to find it."""
    words = (line.split() for line in KEPT.read_text("utf-8").splitlines())
    return {name: int(seed) for name, seed, *_ in words}


def keep(hunted: Iterable[Hunted]) -> None:
    """Records which seed found which defect, by which invariant; what is known of others stays."""
    known = {line.split()[0]: line for line in KEPT.read_text("utf-8").splitlines()} if KEPT.exists() else {}
    found = {each.name: f"{each.name} {each.seed} {each.invariant}" for each in hunted if each.seed is not None}
    lines = {name: found.get(name, known.get(name)) for name in DEFECTS}
    KEPT.write_text("".join(f"{line}\n" for line in lines.values() if line is not None), "utf-8")


def row(hunted: Hunted) -> str:
    """A line of the table."""
    where = "survived" if hunted.seed is None else f"seed {hunted.seed}"
    return f"{hunted.name:<34}{where:>9}  {hunted.invariant:<10}{hunted.breaks}"


def main() -> int:
    """Hunts the named defects, or all, and writes the report; 0 where all were found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation.hunt", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="a planted defect (all)")
    parser.add_argument("--first", type=int, default=0, help="the first seed (0)")
    parser.add_argument("--seeds", type=int, default=SEEDS, help=f"how many, at most ({SEEDS})")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--keep", action="store_true", help=f"record what was found in {KEPT.name}")
    parser.add_argument("--here", action="store_true", help="plant the one named in this process, and answer in JSON")
    given = parser.parse_args()
    if given.here:
        found = hunt_here(given.names[0], range(given.first, given.first + given.seeds))
        sys.stdout.write(json.dumps(found) + "\n")
        return 0
    names = given.names or list(DEFECTS)
    hunted = []
    for each in hunt_all(names, given.jobs, given.first, given.seeds):
        hunted.append(each)
        sys.stdout.write(row(each) + "\n")
        sys.stdout.flush()
    REPORT.parent.mkdir(parents=True, exist_ok=True)
    REPORT.write_text(json.dumps([each._asdict() for each in hunted], indent=1) + "\n", "utf-8")
    if given.keep:
        keep(hunted)
    survived = [each.name for each in hunted if each.seed is None]
    found_by = [each.seed for each in hunted if each.seed is not None]
    sys.stdout.write(f"{len(found_by)} of {len(hunted)} found, the last at seed {max(found_by, default=0)}\n")
    if survived:
        sys.stdout.write(f"survived {given.seeds} seeds: {', '.join(survived)}\n")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
