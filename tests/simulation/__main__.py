"""python -m tests.simulation: the club under faults, by seeds."""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
# On AWS the layers lie on the path; here they are put there, for this process and those that it starts.
LAYERS = [str(ROOT / name) for name in ("layers/rules", "layers/ledger", "layers/http")]
sys.path[:0] = [path for path in (*LAYERS, str(ROOT)) if path not in sys.path]

from tests.simulation import campaign  # noqa: E402

TOLD_MAX = 3
"""Of so many failed seeds the trace is shown; of the rest it is a command away."""


def say(text: str) -> None:
    """Writes a line."""
    sys.stdout.write(text + "\n")


def main() -> int:
    """Runs a campaign, or replays a seed; 0 where nothing was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2000, help="how many (2000)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (one a core)")
    parser.add_argument("--seed", type=int, help="replay this one, with its whole trace")
    parser.add_argument("--defect", help="plant this defect: see tests/simulation/defects.py")
    parser.add_argument("--every", action="store_true", help="no seeds: every fault at every call, and every pair")
    given = parser.parse_args()
    campaign.plant(given.defect)
    if given.every:
        from tests.simulation import every_all

        return every_all.main(given.jobs)
    if given.seed is not None:
        return replay(given.seed)
    began = time.perf_counter()
    tally = campaign.campaign(given.first, given.seeds, given.jobs, given.defect, campaign.Progress(given.seeds))
    wall_s = time.perf_counter() - began
    campaign.write_report(tally, given.first, given.jobs, wall_s)
    for found in tally.found[:TOLD_MAX]:
        say(campaign.tell_of(found, given.defect) + "\n")
    for found in tally.found[TOLD_MAX:]:
        say(f"seed {found.seed} failed: {found.text}")
    say(campaign.table(tally))
    missed = campaign.missed(tally)
    if missed:
        say("never tried: " + ", ".join(f"{kind} on {function}" for kind, function in missed))
    say(
        f"{tally.seeds:,} seeds, {tally.deliveries:,} deliveries in {tally.invocations:,} invocations, "
        f"{tally.simulated_days:,.0f} simulated days, {len(tally.found)} seeds failed; {wall_s:,.0f} s on {given.jobs} "
        f"processes, {tally.deliveries / wall_s:,.0f} deliveries a second ({tally.per_second:,.0f} on one core)"
    )
    return 1 if tally.found or (missed and tally.seeds >= campaign.COVERED_FROM_SEEDS) else 0


def replay(seed: int) -> int:
    """Runs one seed and prints its whole trace."""
    result = campaign.run_seed(seed, tracing=True)
    say("\n".join(result.trace))
    rates = ", ".join(f"{kind} {rate:.3f}" for kind, rate in result.rates.items())
    say(f"seed {seed}: {result.deliveries} deliveries, digest {result.digest}; faults: {rates or 'none'}")
    if result.failure is not None:
        say(f"failed: {campaign.found_in(seed, result.failure).text}")
    return 1 if result.failure is not None else 0


if __name__ == "__main__":
    sys.exit(main())
