"""The campaign of `make fuzz-input`: the event parser, and the key codec with as many pairs of ids.

    python -m tests.hostile --executions 1000000 --seed 1

Prints how far it is, and in the end what was reached; exits 1 with the first execution that ends as none may.
"""

import argparse
import sys
import time
from collections import Counter

from tests.hostile import fuzzing, keys

_SECONDS_BETWEEN_LINES = 10.0


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(prog="make fuzz-input", description=__doc__.partition("\n")[0])
    parser.add_argument("--executions", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0, help="the number of the first execution")
    asked = parser.parse_args()
    started = time.process_time()
    try:
        reached = _parse(asked.executions, asked.seed, asked.first)
        _pair(asked.executions, asked.seed)
    except (fuzzing.Found, keys.Crossing) as found:
        print(f"FOUND: {found}", file=sys.stderr)
        return 1
    spent, peak = time.process_time() - started, fuzzing.peak_megabytes()
    print(f"accepted {reached.accepted.total():,}: {_most(reached.accepted)}")
    print(f"refused {reached.refused.total():,}: {_most(reached.refused)}")
    print(f"made: {_most(reached.made)}")
    print(f"{reached.bytes_read:,} bytes; {spent:.0f} s of processor time; at most {peak:.0f} MB")
    if peak > fuzzing.MEGABYTES_MAX:
        print(f"FOUND: more than {fuzzing.MEGABYTES_MAX} MB were held", file=sys.stderr)
        return 1
    print(f"{reached.executions:,} executions and {asked.executions:,} pairs of ids, seed {asked.seed}: nothing found")
    return 0


def _parse(executions: int, seed: int, first: int) -> fuzzing.Reached:
    said = time.monotonic()
    reached = fuzzing.Reached()
    for reached in fuzzing.campaign(executions, seed, first):
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            taken = f"{reached.accepted.total():,} accepted, {reached.refused.total():,} refused"
            print(f"events: {reached.executions:,} of {executions:,}; {taken}", flush=True)
    return reached


def _pair(pairs: int, seed: int) -> None:
    said = time.monotonic()
    for count in keys.search(pairs, seed):
        if time.monotonic() - said > _SECONDS_BETWEEN_LINES:
            said = time.monotonic()
            print(f"keys: {count:,} of {pairs:,} pairs", flush=True)


def _most(counts: Counter[str]) -> str:
    return ", ".join(f"{name} {count:,}" for name, count in counts.most_common())


if __name__ == "__main__":
    sys.exit(main())
