"""What `make serve` shows: a part of CDNOW's sample, replayed as if its last day were this week.

Whole customers are replayed, so that every account is what the full replay would have made of it. The stack's clock
stands still where it was before, and the log is moved there: by whole weeks, so that a Saturday stays a Saturday.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING, NamedTuple, TextIO

from club_rules.programs import load_programs
from local.logs import open_log
from local.replay import daily
from local.replay.drive import replay
from local.replay.progress import Progress
from local.replay.samples import Samples
from local.report import words
from local.server import wire

if TYPE_CHECKING:
    from collections.abc import Callable

    from club_rules.programs import Program
    from local.logs import Log
    from local.logs.model import Activity
    from local.stack import Stack

PROGRAM = "club"  # the program whose tiers the shown member is chosen by; it has both privileges to decide on
PAGE = "/club"
SOMEBODY = "m-42"  # whom the links of an empty club are for
MEMBER_SCOPES = ("club:read",)
AGENT_SCOPES = ("club:support", "club:read")

# About 500 purchases in all: a few seconds. Regulars are customers whose pages have much to tell: what they bought a
# year ago is about to expire, and they are still buying. The others are spread evenly over all customers, so that
# the share of members below a tier means something.
REGULARS = 12
REGULARS_PURCHASES_MAX = 24  # those of the few who bought far more would take half of the time
OTHERS = 80
YEAR = timedelta(days=365)  # the window of the program that the member is chosen by
SOON = timedelta(days=30)
# Sweeping late grants neither more nor less than sweeping on time (rules 1.9), and takes a fraction of the time. This
# sweep takes all that is due, each thing in its turn; an expiry sweep that comes late runs ahead of the tier reviews.
SWEEP = "DemotionSweep"
DAYS_BETWEEN_SWEEPS = 14


class Demo(NamedTuple):
    """What a stack was filled with."""

    log: Log  # as it was sent
    weeks: int  # by so many it was moved
    last_day: date  # the last day of CDNOW's sample, moved; the part that was sent may end some days before
    member_id: str  # whose page shows most,
    tier: str  # the tier that it holds,
    decisions: list[str]  # and the outcomes of what it asked for


class DemoFailed(RuntimeError):
    """The stack didn't take the log as it should; the text says what happened."""


class Stopped(Exception):
    """Whoever had it filled doesn't want it any more."""


def fill(stack: Stack, out: TextIO = sys.stderr, stop: Callable[[], bool] = lambda: False) -> Demo:
    """Replay a part of CDNOW's sample up to the stack's own time, and ask for some decisions about one member.

    In: a stack without members, whose clock stands where the log shall end; `out` takes the progress; `stop` is asked
    after each day. Raises Stopped when it says so; DemoFailed; LogError; Rejected.
    """

    def watch() -> None:
        if stop():
            progress.close()
            raise Stopped

    now = stack.now
    print("Replaying a part of CDNOW's purchase log, so that there is something to see ...", file=out, flush=True)
    whole, weeks = moved(open_log(), now)
    log = part_of(whole)
    progress = Progress((log.last_day - log.first_day).days + 1, log.events, out)
    times = daily(stack.template.schedules.values())
    watch()
    sent = replay(log, stack, {SWEEP: times[SWEEP]}, progress, watch, DAYS_BETWEEN_SWEEPS)
    stack.set_clock(now)
    for name in (SWEEP, *sorted(times.keys() - {SWEEP})):
        stack.fire(name, last_time(times[name], now))
    letters = [letter["reason"] for letter in stack.dead_letters()]
    if sent.refused or letters:
        raise DemoFailed(f"{sent.accepted} of {log.events} events were taken: {sent.examples or letters}")
    program = load_programs().at(PROGRAM, now)
    member, tier = choose(stack, program, Samples(stack, log, program, {}, now))
    samples = Samples(stack, log, program, {}, now)  # another, so that its requests count from 1
    decisions = samples.of_member(member, tier)
    if samples.wrong:
        raise DemoFailed("; ".join(samples.wrong))
    return Demo(log, weeks, whole.last_day, member, tier, [sample.decision for sample in decisions])


def part_of(log: Log) -> Log:
    """Give the log of some customers, each with all that the log says of it."""
    purchases: dict[str, list[Activity]] = defaultdict(list)
    for activity in log.activities:
        purchases[activity.member_id].append(activity)
    spent = {member: sum(map(_cents, of_member)) for member, of_member in purchases.items()}
    ranked = sorted(spent, key=lambda member: (-spent[member], member))
    regulars = [member for member in ranked if _is_regular(purchases[member], log.last_day)][:REGULARS]
    others = sorted(spent)
    taken = {*regulars, *ranked[:1], *others[:: max(1, len(others) // OTHERS)]}
    activities = tuple(activity for activity in log.activities if activity.member_id in taken)
    return replace(log, rows=len(activities), activities=activities)


def _cents(activity: Activity) -> int:
    return sum(line.cents * line.quantity for line in activity.lines)


def _is_regular(purchases: list[Activity], last_day: date) -> bool:
    """Whether a customer bought something that is about to expire, and something lately."""
    days = [activity.occurred_at.date() for activity in purchases]
    expiring = any(last_day < day + YEAR <= last_day + SOON for day in days)
    return len(days) <= REGULARS_PURCHASES_MAX and expiring and days[-1] > last_day - 2 * SOON


def moved(log: Log, now: datetime) -> tuple[Log, int]:
    """Move a log by as many whole weeks as its last event stays at or before `now`; gives it and the weeks."""
    weeks = (now - log.activities[-1].occurred_at) // timedelta(weeks=1)
    by = timedelta(weeks=weeks)
    activities = tuple(activity._replace(occurred_at=activity.occurred_at + by) for activity in log.activities)
    return replace(log, activities=activities), weeks


def last_time(at: time, now: datetime) -> datetime:
    """Say when a schedule that fires daily `at` a UTC time has fired last."""
    today = datetime.combine(now.astimezone(UTC).date(), at, UTC)
    return today if today <= now else today - timedelta(days=1)


def choose(stack: Stack, program: Program, samples: Samples) -> tuple[str, str]:
    """Choose the member whose page shows most; gives it and the tier that it holds.

    Of those that have risen, and fallen with a receipt: who has something that expires soon, holds the highest tier,
    has orders for the most kinds of decisions, will fall by what expires, and changed last. Raises DemoFailed where
    nobody has done both.
    """
    rose, fell, last = _changes(stack, program)
    headers = {"authorization": f"Bearer {stack.token('demo', AGENT_SCOPES)}"}
    ranked = []
    for member in sorted(rose & fell):
        answer = stack.request("GET", f"/members/{member}", headers=headers)
        if answer.status != 200:
            raise DemoFailed(f"GET /members/{member} answered {answer.status}")
        shown = answer.json()["programs"][program.id]
        held, tier = program.tier_index(shown["tier"]), shown["tier"]
        expiring = sum(row["points"] for row in shown["expiring"])
        falls = shown["points"] - expiring < program.thresholds[held]
        requests = len(samples.requests_of(member, tier))
        ranked.append((expiring > 0, held, requests, falls, last[member], member, tier))
    if not ranked:
        raise DemoFailed("no member has both risen and fallen")
    return max(ranked)[-2:]


def _changes(stack: Stack, program: Program) -> tuple[set[str], set[str], dict[str, str]]:
    """Who rose, who fell with a receipt, and when each member's tier changed last, by what was announced."""
    rose: set[str] = set()
    fell: set[str] = set()
    last: dict[str, str] = defaultdict(str)
    for entry in stack.published("tier.changed"):
        told = json.loads(entry["Detail"])
        if told["program"] == program.id:
            if program.tier_index(told["to"]) > program.tier_index(told["from"]):
                rose.add(told["member_id"])
            elif told.get("receipt_id"):
                fell.add(told["member_id"])
            last[told["member_id"]] = max(last[told["member_id"]], told["occurred_at"])
    return rose, fell, last


def member_link(stack: Stack, url: str, member_id: str) -> str:
    """Give the link that opens the privilege centre at `url` signed in as a member."""
    return _link(url, stack.token(member_id, MEMBER_SCOPES))


def agent_link(stack: Stack, url: str, member_id: str) -> str:
    """Give the link that opens the privilege centre at `url` signed in as a support agent, at a member's page."""
    return f"{_link(url, stack.token('agent', AGENT_SCOPES))}&member={member_id}"


def _link(url: str, token: str) -> str:
    # Behind the #: a browser sends that part to nobody.
    return f"{url}{PAGE}#token={token}"


def greeting(stack: Stack, url: str, demo: Demo | None) -> str:
    """Give what a serving stack says of itself: where it answers, what it holds, links and a token to try it with.

    Without `demo` the club is empty, and the links are those of a member that is yet to come.
    """
    member = demo.member_id if demo else SOMEBODY
    token = stack.token(member, MEMBER_SCOPES)
    lines = [f"The buyers' club answers on {url}; its clock stands at {wire(stack.now)}."]
    if demo:
        there = demo.last_day - timedelta(weeks=demo.weeks)
        lines += [
            f"It holds {demo.log.members} customers of CDNOW's sample with all of their {demo.log.events} purchases, "
            f"moved by {demo.weeks:,} weeks:",
            f"the log's last day, {there:%A}, {words.day(there)}, is {words.day(demo.last_day)}.",
        ]
        who = f"{member}, {demo.tier} in {PROGRAM}"
        decided = f", with {words.several(len(demo.decisions), 'decision')}"
    else:
        who, decided = f"{member}, of whom nothing is known yet", ""
    lines += [
        "",
        f"The privilege centre, as a member sees it ({who}):",
        f"  {member_link(stack, url, member)}",
        f"The same for a support agent{decided}:",
        f"  {agent_link(stack, url, member)}",
        "",
        f'A token, made with: make token SUB={member} SCOPES="{" ".join(MEMBER_SCOPES)}"',
        token,
        f"Try: curl -H 'Authorization: Bearer {token}' {url}/members/me",
        "Stop it with Ctrl-C.",
    ]
    return "\n".join(lines)
