"""Settling: what falls due by itself as days pass (rules 1.2, 1.9).

Lots expire, penalties end, tiers are reviewed. Reads, decisions and postings settle an account to their moment with
the same function that the sweeps persist, so that a late sweep never grants more nor less than a punctual one: every
step is taken as on its own day, in the order of time; at one instant expiry comes before review. A new version of a
program judges the tier with the expiries of its first day, so that no review is done by rules that are over.
"""

from __future__ import annotations

from datetime import date, datetime

from club_rules.account import SETTLING, Account, Entry, Part, ProgramAccount, apply_entry, settling_key
from club_rules.programs import Program, Programs
from club_rules.tiers import conclude, reassess, review
from club_rules.times import format_instant
from club_rules.warnings import next_warning

EXPIRY, REVIEW = 0, 1
"""The two kinds of steps, in the order in which they are taken at one instant."""

Step = tuple[datetime, int]


def due_at(account: Account, programs: Programs) -> datetime | None:
    """The UTC instant at which the next thing falls due for this member, a warning included; ``None`` where nothing
    ever will."""
    first = next_warning(account, programs)
    if account.erased:
        return None
    for program_id, state in account.programs.items():
        for day in (_expiry_day(program_id, state, programs), state.review_on):
            if day is not None:
                instant = programs.versions(program_id)[0].start_of(day)
                if first is None or instant < first:
                    first = instant
    return first


def settle(
    account: Account, programs: Programs, until: datetime, *, expiries_only: bool = False, at_most: int = 40
) -> list[Entry]:
    """Settles ``account``, in place, to the UTC instant ``until``.

    Returns the entries of what fell due, in order and already applied; at most ``at_most`` of them, so that they fit
    into one transaction: where as many come back, call again. ``expiries_only`` is the expiry sweep's share: it
    leaves tier reviews to the demotion sweep, and with them whatever can't be posted before one.
    """
    entries: list[Entry] = []
    settled_to = account.as_of
    while len(entries) < at_most and not account.erased:
        found = _next_step(account, programs, until, settled_to, expiries_only)
        if found is None:
            break
        (settled_to, rank), program_ids = found
        entry = _entry_of(account, programs, settled_to, rank, program_ids)
        if entry is not None:
            apply_entry(account, entry)
            entries.append(entry)
    return entries


def settle_wholly(account: Account, programs: Programs, until: datetime) -> list[Entry]:
    """Settles ``account``, in place and in memory, to the UTC instant ``until``, however much fell due.

    Returns all entries of it, in order and already applied.
    """
    entries: list[Entry] = []
    while some := settle(account, programs, until):
        entries += some
    return entries


def _next_step(
    account: Account, programs: Programs, until: datetime, settled_to: datetime | None, expiries_only: bool
) -> tuple[Step, list[str]] | None:
    """The earliest step up to ``until``, with the programs that take it together."""
    first: Step | None = None
    takers: list[str] = []
    for program_id, state in account.programs.items():
        change = _version_change(program_id, programs, settled_to)
        if expiries_only and change is not None and change <= until:
            return None  # new rules judge the tier before anything later expires: that is for the demotion sweep
        for step in _steps(program_id, state, programs, change, until, expiries_only):
            if first is None or step < first:
                first, takers = step, [program_id]
            elif step == first and program_id not in takers:
                takers.append(program_id)
    return None if first is None else (first, takers)


def _steps(
    program_id: str,
    state: ProgramAccount,
    programs: Programs,
    change: datetime | None,
    until: datetime,
    expiries_only: bool,
) -> list[Step]:
    """The program's next step of each kind up to ``until``; for nearly every posting there is none."""
    steps: list[Step] = []
    start_of = programs.versions(program_id)[0].start_of
    day = _expiry_day(program_id, state, programs)
    if day is not None:
        instant = start_of(day)
        if instant <= until and not (expiries_only and _waits(program_id, state, programs, day)):
            steps.append((instant, EXPIRY))
    if not expiries_only:
        if state.review_on is not None:
            instant = start_of(state.review_on)
            if instant <= until:
                steps.append((instant, REVIEW))
        if change is not None and change <= until:
            steps.append((change, EXPIRY))
    return steps


def _waits(program_id: str, state: ProgramAccount, programs: Programs, day: int) -> bool:
    """Whether what ends on ``day`` could raise a tier that a review of an earlier day has yet to lower.

    That is a penalty, its cap, or a lot that took points: an adjustment's.
    """
    if state.review_on is None or state.review_on >= day:
        return False
    if any(penalty["ends"] <= day or penalty.get("tier_ends", day + 1) <= day for penalty in state.penalties.values()):
        return True
    return any(points < 0 and programs.expires_on(program_id, lot) <= day for lot, points in state.lots.items())


def _expiry_day(program_id: str, state: ProgramAccount, programs: Programs) -> int | None:
    """The next day on which a lot or a penalty of this program ends."""
    first: int | None = None
    if state.lots:
        versions = programs.versions(program_id)
        if len(versions) == 1:
            first = min(state.lots) + versions[0].window
        else:
            first = min(programs.expires_on(program_id, day) for day in state.lots)
    for penalty in state.penalties.values():
        for day in (penalty["ends"], penalty.get("tier_ends", penalty["ends"])):
            first = day if first is None else min(first, day)
    return first


def new_rules_due(account: Account, programs: Programs, until: datetime) -> bool:
    """Whether a new version of a program has come into force by ``until`` that has yet to judge the account's tiers."""
    changes = (_version_change(program_id, programs, account.as_of) for program_id in account.programs)
    return any(change is not None and change <= until for change in changes)


def _version_change(program_id: str, programs: Programs, settled_to: datetime | None) -> datetime | None:
    """The next start of a new version of the program after ``settled_to``."""
    versions = programs.versions(program_id)
    if settled_to is None or len(versions) == 1:
        return None
    starts = (program.start_of(program.effective_from) for program in versions[1:])
    return next((start for start in starts if start > settled_to), None)


def _entry_of(
    account: Account, programs: Programs, instant: datetime, rank: int, program_ids: list[str]
) -> Entry | None:
    """The entry of one step, or ``None`` where it changes nothing."""
    parts: dict[str, Part] = {}
    part: Part | None
    for program_id in program_ids:
        state = account.programs[program_id]
        program = programs.at(program_id, instant)
        day = program.day_of(instant)
        if rank == REVIEW:
            part = review(state, program, day)
        elif (first := _expiry_day(program_id, state, programs)) is not None and first <= day:
            part = _expire(state, programs, program, day)
        else:
            part = reassess(state, program, day)
        if part is not None:
            parts[program_id] = part
    if not parts:
        return None
    kind = "expiry" if any(part["kind"] == "expiry" for part in parts.values()) else "tier_review"
    seq = account.seq + 1
    moment = format_instant(instant)
    key = settling_key(kind, account.member_id, seq)
    return {
        "entry_id": key.removeprefix(SETTLING),
        "key": key,
        "member_id": account.member_id,
        "seq": seq,
        "occurred_at": moment,
        "posted_at": moment,
        "parts": parts,
    }


def _expire(state: ProgramAccount, programs: Programs, program: Program, day: int) -> Part:
    """What expires on ``day``: lots go, penalties give back what they took (rules 1.8)."""
    reasons: list[dict[str, object]] = []
    lots = [(lot, -points) for lot, points in sorted(state.lots.items()) if programs.expires_on(program.id, lot) <= day]
    for lot, points in lots:
        reason = {
            "rule": "expiry",
            "points": points,
            "code": "expired",
            "ref": date.fromordinal(lot).isoformat(),
        }
        reasons.append(reason)
    part: Part = {"kind": "expiry", "points": sum(points for _, points in lots), "version": program.version}
    penalties: list[list[object]] = []
    for case, penalty in sorted(state.penalties.items()):
        if penalty["ends"] <= day:
            part["points"] -= penalty["points"]
            penalties.append([case, None])
            reasons.append({"rule": "penalty", "points": -penalty["points"], "code": "penalty_ended", "ref": case})
        elif penalty.get("tier_ends", day + 1) <= day:
            penalties.append([case, {"points": penalty["points"], "ends": penalty["ends"]}])
            reasons.append({"rule": "penalty", "points": 0, "code": "tier_cap_ended", "ref": case})
    if lots:
        part["lots"] = [list(lot) for lot in lots]
    if penalties:
        part["penalties"] = penalties
    part["reasons"] = reasons
    if state.review_on is not None and state.review_on < day:
        part["passed"] = day
    part["forget"] = _forgettable(programs, program, day)
    conclude(state, program, part, day)
    return part


def _forgettable(programs: Programs, program: Program, day: int) -> list[int]:
    """From ``day`` on, no event of these days can earn any more, and no cap looks back to them.

    Returns the last day whose daily use may be dropped, the last day whose cap use may be dropped, and the first
    month (year * 12 + month - 1) that is still open.
    """
    versions = programs.versions(program.id)
    closed = day - max(version.window for version in versions)
    first_open = date.fromordinal(closed + 1)
    memory = max(version.cap_memory for version in versions)
    return [closed, closed - memory, first_open.year * 12 + first_open.month - 1]
