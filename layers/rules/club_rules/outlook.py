"""The calendar ahead: what happens to a member in one program if nothing more is done (rules 1.12).

It runs the very function that the sweeps persist, on a copy of the account, so that it can't promise anything else
than what will be posted.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Any

from club_rules.account import Account, ProgramAccount
from club_rules.programs import Program, Programs
from club_rules.settling import settle_wholly
from club_rules.times import parse_instant

DAYS_AT_MOST = 400
"""So many days can be shown; advice on keeping a tier always looks as far."""


def outlook(account: Account, programs: Programs, program_id: str, moment: datetime, days: int) -> dict[str, Any]:
    """Measure and tier on each of the coming ``days``, when the sweeps of that day have run.

    ``account`` has been settled to the UTC instant ``moment``, and is not changed. Returns ``today`` and ``days``, rows
    of ``date``, ``tier`` (code), ``measure`` (points or minor units, never below 0) and ``expires`` (what lapses on
    that day; below 0 where more comes back, of what an adjustment took); ``changes``, those rows on which something
    changes, with ``tier_before``; and ``keep``: how much to ``earn``, ``from`` which day on and ``by`` which, for
    today's tier not to be lost, ``None`` where it is safe for ``DAYS_AT_MOST`` days.
    """
    ahead = account.clone()
    program = programs.at(program_id, moment)
    today = program.day_of(moment)
    state = ahead.program(program_id)
    held = state.tier
    rows = [_row(program, today, state, 0)]
    changes = []
    keep = None
    for day in range(today + 1, today + DAYS_AT_MOST + 1):
        expired = 0
        entries = settle_wholly(ahead, programs, program.start_of(day))
        for part in (entry["parts"][program_id] for entry in entries if program_id in entry["parts"]):
            if part["kind"] == "expiry":
                expired -= sum(delta for _, delta in part.get("lots", ()))
            if keep is None and part["tier"][1] < min(held, part["tier"][0]):
                keep = _keep(programs.at(program_id, program.start_of(day)), part, held, today, day)
        before, row = rows[-1], _row(program, day, state, expired)
        rows.append(row)
        seen = (row["tier"], row["measure"]) != (before["tier"], before["measure"])
        if (seen or expired) and day <= today + days:
            changes.append({**row, "tier_before": before["tier"]})
    return {"today": rows[0], "days": rows[1 : days + 1], "changes": changes, "keep": keep}


def fall_after(
    account: Account, programs: Programs, program_id: str, moment: datetime, day: int
) -> dict[str, Any] | None:
    """How the tier falls by what expires on the local ``day`` ahead, if nothing more is done.

    It may fall on that day, when the grace is over, or when the period that it is held for is reviewed. ``account`` has
    been settled to the UTC instant ``moment``, and is not changed. Returns how much to ``earn`` ``by`` when for that
    not to happen, as ``keep`` of ``outlook``; ``None`` where the tier stays.
    """
    ahead = account.clone()
    program = programs.at(program_id, moment)
    state = ahead.program(program_id)
    settle_wholly(ahead, programs, program.start_of(day) - timedelta(microseconds=1))  # what falls before: other causes
    until: int | None = day
    while until is not None:
        for entry in settle_wholly(ahead, programs, program.start_of(until)):
            part = entry["parts"].get(program_id)
            if part is not None and part["tier"][1] < part["tier"][0]:
                fell = parse_instant(entry["posted_at"])
                judging, today = programs.at(program_id, fell), program.day_of(moment)
                return _keep(judging, part, part["tier"][0], today, program.day_of(fell))
        until = state.review_on if until == day else None
    return None


def _row(program: Program, day: int, state: ProgramAccount, expired: int) -> dict[str, Any]:
    return {
        "date": date.fromordinal(day).isoformat(),
        "tier": program.codes[state.tier],
        "measure": max(0, state.points),
        "expires": expired,
    }


def _keep(program: Program, part: dict[str, Any], held: int, today: int, day: int) -> dict[str, Any]:
    """What is missing on the ``day`` on which the tier ``held`` is lost, and the days on which earning it helps.

    What is earned too early has itself expired by then: a lot counts for a window of days.
    """
    first = max(today, day - program.window + 1)
    return {
        "tier": program.codes[held],
        "earn": program.thresholds[held] - part["receipt"]["after"],
        "from": date.fromordinal(first).isoformat(),
        "counts_at_once": first == today,
        "by": date.fromordinal(day - 1).isoformat(),
        "falls_on": date.fromordinal(day).isoformat(),
        "falls_to": program.codes[part["tier"][1]],
    }
