"""``python -m local replay``: a real purchase log goes through the functions, day by day in simulated time.

The stack lives in this process's memory. A run that was killed leaves nothing behind but the report of the run
before it: the next one starts from the beginning, with the very same events, and replaces the report at its
end.
"""

from __future__ import annotations

import argparse
import io
import os
import re
import sys
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from datetime import time as time_of_day
from typing import TYPE_CHECKING

from club_rules.programs import load_programs
from local import verify
from local.logs import Log, LogError, open_log
from local.replay.announced import Announced
from local.replay.drive import Rejected, Sent, replay
from local.replay.figures import Figures
from local.replay.progress import Progress, peak_megabytes
from local.replay.samples import Samples
from local.replay.summary import summary
from local.report import words, write_report
from local.report.outcome import Ledger, Outcome, Timing
from local.template import ROOT

if TYPE_CHECKING:
    from local.stack import Stack
    from local.template import ScheduleSpec

SAMPLES_OF = "club"  # the program that has both privileges to decide on
REPORT = ROOT / "build" / "report" / "index.html"
_DAILY = re.compile(r"cron\((\d{1,2}) (\d{1,2}) \* \* \? \*\)", re.ASCII)


def main(arguments: Sequence[str]) -> int:
    """Replays the log that the command line names, prints the outcome and writes the report; gives the exit code.

    0 when the ledger is whole and every event found its place; 1 when not; 2 for a log that can't be read.
    """
    started = time.perf_counter()
    options = _parser().parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a terminal that knows no dash shows another sign
    try:
        log = open_log(options.log, options.full)
    except LogError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    _introduce(log)
    try:
        outcome = run(log, started)
    except Rejected as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped; nothing was written. The next run starts from the beginning.", file=sys.stderr)
        return 130
    print(summary(outcome))
    write_report(outcome, REPORT)
    print(f"report: {os.path.relpath(REPORT)}")
    return 0 if outcome.sound else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m local replay",
        description="Replays a purchase log through the whole stack in simulated time; see docs/replay.md.",
    )
    parser.add_argument("--log", metavar="PATH", help="a log of your own (default: CDNOW's sample)")
    parser.add_argument("--full", action="store_true", help="all of CDNOW instead of its sample")
    return parser


def _introduce(log: Log) -> None:
    """Says what is going to be replayed, and what was filled in or left out to make events of it."""
    events = ", ".join(f"{words.number(count)} {words.type_of_event(kind)}" for kind, count in log.counts().items())
    print(f"{log.title}: {words.several(log.rows, 'row')} of {words.several(log.members, 'member')}")
    print(f"  {events}, from {words.day(log.first_day)} to {words.day(log.last_day)}")
    for note in log.notes:
        print(f"  {note}")
    for reason, count in log.skipped.items():
        print(f"  {words.several(count, 'row')} skipped: {reason}")
    sys.stdout.flush()


def run(log: Log, started: float) -> Outcome:
    """Replays a log on a stack of its own, asks for the sample decisions, and proves the ledger.

    ``started``: when the work began, by ``time.perf_counter``. Raises Rejected where the door takes none of a
    request.
    """
    from local.stack import Stack  # a second's work: whoever only asks for help need not wait for it

    with Stack(datetime.combine(log.first_day, time_of_day(), UTC)) as stack:
        ready = time.perf_counter()
        bus = Announced()

        def watch() -> None:
            # What the bus has kept is counted and let go, so that a long run needs no more memory for it.
            bus.add(stack.published())
            stack.bus.published.clear()

        progress = Progress((log.last_day - log.first_day).days + 1, log.events, sys.stderr)
        sent = replay(log, stack, daily(stack.template.schedules.values()), progress, watch)
        replayed = time.perf_counter()
        now = max(log.activities[-1].occurred_at, datetime.combine(log.last_day, time_of_day(23, 59), UTC))
        stack.set_clock(now)
        program = load_programs().at(SAMPLES_OF, now)
        samples = Samples(stack, log, program, bus.tiers_of(program, log), now)
        decisions, pages = samples.decisions(), samples.pages()
        stack.work_streams()  # a decision may have settled an account, and changed a tier by it
        watch()
        outcome = _outcome(log, sent, bus, _table(stack), int(stack.template.parameters["DueShards"]))
        outcome.samples, outcome.pages, outcome.surprises = decisions, pages, samples.wrong
        outcome.dead_letters.update(letter["reason"] for letter in stack.dead_letters())
    finished = time.perf_counter()
    outcome.timing = Timing(ready - started, replayed - ready, finished - replayed, peak_megabytes())
    return outcome


def daily(schedules: Iterable[ScheduleSpec]) -> dict[str, time_of_day]:
    """The UTC time of day of each schedule. Raises ValueError for one that doesn't fire once a day."""
    times = {}
    for schedule in schedules:
        match = _DAILY.fullmatch(schedule.expression)
        if not match:
            raise ValueError(f"{schedule.name}: a replay knows daily schedules, not {schedule.expression}")
        times[schedule.name] = time_of_day(int(match[2]), int(match[1]))
    return times


def _table(stack: Stack) -> list[verify.Item]:
    """Everything that the one table holds."""
    (name,) = stack.template.tables
    return list(verify.scan(stack.client("dynamodb"), name))


def _outcome(log: Log, sent: Sent, bus: Announced, table: list[verify.Item], shards: int) -> Outcome:
    """The counts of a replay and the proof of its ledger; the samples and the times are still to be filled in."""
    programs = load_programs()
    report = verify.verify_all(table, programs, shards)
    figures = Figures((programs.versions(name)[-1] for name in programs.ids), log.first_day, log.last_day)
    for entry in verify.decoded_entries(table):
        figures.add(entry)
    return Outcome(
        log=log.title,
        source=log.name,
        rows=log.rows,
        events=log.counts(),
        members=log.members,
        first_day=log.first_day,
        last_day=log.last_day,
        skipped=log.skipped,
        notes=[*log.notes, *sent.examples, *bus.notes()],
        programs=figures.programs(),
        sweeps=sent.sweeps,
        announced=bus.counts,
        kinds=figures.kinds,
        refused=sent.refused,
        dead_letters=Counter(),
        surprises=[],
        samples=[],
        pages=[],
        ledger=Ledger(report.members, report.entries, report.problems),
        timing=Timing(0.0, 0.0, 0.0, 0.0),
    )
