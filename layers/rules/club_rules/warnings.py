"""Warnings before points expire: of which lot a member is warned, and on which day (contract 2.3, `points.expiring`).

A program's data says how many days ahead (`warnings`). A warning falls due at the beginning of that local day. It is
given once: what has been given is everything that fell due through one instant, which only moves on, so that nothing
that is repeated, late or parallel warns twice. Whatever is posted gives what was due by then as well. A lot that comes
late is warned of for the days that still lie ahead, and one that is gone, or down to nothing, not at all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from club_rules.account import Account
from club_rules.programs import Programs


class ExpiryWarning(NamedTuple):
    """One warning. Days are ordinals; ``points`` are what the lot holds, whole points or minor units of spend."""

    program_id: str
    lot: int
    days_before: int
    due_on: int
    expires_on: int
    points: int


def given_through(account: Account) -> datetime | None:
    """The UTC instant through which warnings have been given; ``None`` for an account without an entry."""
    if account.as_of is None or account.warned is None:
        return account.as_of
    return max(account.as_of, account.warned)


def next_warning(account: Account, programs: Programs) -> datetime | None:
    """The UTC instant at which the next warning falls due that has not been given; ``None`` where none will."""
    given = given_through(account)
    first: datetime | None = None
    if given is None or account.erased:
        return None
    for program_id, state in account.programs.items():
        if not state.lots:
            continue
        program = programs.versions(program_id)[0]
        day = _next_day(program_id, state.lots, programs, program.day_of(given))
        if day is not None:
            instant = program.start_of(day)
            first = instant if first is None else min(first, instant)
    return first


def given_between(before: Account, after: Account, programs: Programs) -> list[ExpiryWarning]:
    """The warnings that the step from ``before`` to ``after``, two states of one account, has given.

    They are of lots that were there before the step and still are. In order of program, day and lot.
    """
    start, end = given_through(before), given_through(after)
    if start is None or end is None or after.erased:
        return []
    found = []
    for program_id, state in after.programs.items():
        known = before.programs.get(program_id)
        program = programs.versions(program_id)[0]
        first, last = program.day_of(start), program.day_of(end)
        if known is None or first == last:
            continue
        found += [
            each
            for each in _ahead_of(program_id, state.lots, programs, first)
            if each.due_on <= last < each.expires_on and known.lots.get(each.lot, 0) > 0
        ]
    return sorted(found, key=lambda each: (each.program_id, each.due_on, each.lot))


def _next_day(program_id: str, lots: dict[int, int], programs: Programs, after: int) -> int | None:
    """The first day behind ``after`` on which a warning falls due."""
    versions = programs.versions(program_id)
    if len(versions) > 1:
        return min((each.due_on for each in _ahead_of(program_id, lots, programs, after)), default=None)
    full = sorted([lot for lot, points in lots.items() if points > 0])  # the short way: every posting asks
    days = []
    for lead in versions[0].warns_before:
        offset = versions[0].window - lead
        first = bisect_right(full, after - offset)
        if first < len(full):
            days.append(full[first] + offset)
    return min(days, default=None)


def _ahead_of(program_id: str, lots: dict[int, int], programs: Programs, after: int) -> Iterator[ExpiryWarning]:
    """Every warning of ``lots`` that falls due behind the day ``after``, by the version in force on its own day."""
    versions = programs.versions(program_id)
    leads = {lead for version in versions for lead in version.warns_before}
    for lot, points in lots.items():
        if points <= 0:
            continue
        expires_on = programs.expires_on(program_id, lot)
        for lead in leads:
            due_on = expires_on - lead
            if due_on > after and lead in (programs.on(program_id, due_on) or versions[0]).warns_before:
                yield ExpiryWarning(program_id, lot, lead, due_on, expires_on, points)
