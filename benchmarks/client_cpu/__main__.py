"""What a call's time goes to: `python -m benchmarks.client_cpu [CALL]`, by Python's profiler."""

from __future__ import annotations

import cProfile
import pstats
import sys
from collections import Counter
from pathlib import Path

from benchmarks.client_cpu import CALLS, profiled

CALL = "posting"
_ROOMS = ("botocore", "pynamodb", "club_ledger", "club_rules", "json", "email", "logging")


def main() -> int:
    """Prints the share of each package in ``CALL``, or in the call that the command line names, and its functions."""
    profile = cProfile.Profile()
    profiled(sys.argv[1] if len(sys.argv) > 1 else CALL, profile)
    stats = pstats.Stats(profile)
    rooms: Counter[str] = Counter()
    for (path, _, function), (_, _, own, _, _) in stats.stats.items():  # type: ignore[attr-defined]
        room = next((room for room in _ROOMS if room in Path(path).parts), function if path == "~" else "other")
        rooms[room] += own
    total = sum(rooms.values())
    print(f"{1e6 * total / CALLS:.0f} µs a call, with what the profiler itself takes; the share of each:")
    for room, seconds in rooms.most_common(15):
        print(f"{seconds / total:7.1%} {room}")
    stats.sort_stats("cumulative").print_stats(r"club_|pynamodb|signers|client\.py", 40)
    return 0


if __name__ == "__main__":
    sys.exit(main())
