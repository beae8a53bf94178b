"""Where the time of posting goes, by all programs or by one: `python -m benchmarks.rules [PROGRAM]`."""

import argparse
import cProfile
import pstats
import sys

from benchmarks.rules import DAYS, EVENTS, MEMBERS, SEED, alone, posting
from benchmarks.rules.stream import stream
from club_rules.programs import load_programs


def main() -> int:
    """Prints the profile, the functions that take the most time first."""
    programs = load_programs()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules", description=__doc__)
    parser.add_argument("program", nargs="?", choices=programs.ids, help="only by this program")
    only = parser.parse_args().program
    events = stream(programs, members=MEMBERS, days=DAYS, events=EVENTS, seed=SEED)
    profile = cProfile.Profile()
    profile.runcall(posting(alone(programs, only) if only else programs, events))
    pstats.Stats(profile, stream=sys.stdout).strip_dirs().sort_stats("tottime").print_stats(40)
    return 0


if __name__ == "__main__":
    sys.exit(main())
