"""What a sweep does, in numbers; and how many members it may demote (contract 2.4).

Pure: entries of what fell due go in, counts by program come out. A count is a flat name, ``<program>#<what>…``, so that
many writers can add to it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

from club_rules.account import Entry, Part
from club_rules.programs import Programs
from club_rules.standing import Counts
from club_rules.views import amount

FELL, ROSE, RETAINED, GRANTED = "fell", "rose", "retained", "granted"
_RAISES = ("penalty_ended", "tier_cap_ended", "promoted")
"""The codes of reasons that say why a tier rose by itself; an adjustment's lot that took points expires like any."""


def place_of(program_id: str, code: str) -> str:
    """The name of a tier of a program in a run's limits and reservations."""
    return f"{program_id}#{code}"


def demotions(entries: Iterable[Entry], programs: Programs) -> dict[str, str]:
    """What one member's ``entries`` lower: the tiers fallen from (see ``place_of``) with the keys of the entries.

    A tier that is fallen from twice stands there once, with the later entry: it is one member of that tier.
    """
    found: dict[str, str] = {}
    for entry in entries:
        for program_id, part in entry["parts"].items():
            before, after = part["tier"]
            if after < before:
                found[place_of(program_id, programs.versions(program_id)[-1].codes[before])] = entry["key"]
    return found


def tally(entries: Iterable[Entry], programs: Programs) -> Counter[str]:
    """The counts of what fell due for one member: all of it, so that the member is counted once."""
    counts: Counter[str] = Counter()
    points: Counter[str] = Counter()
    for entry in entries:
        for program_id, part in entry["parts"].items():
            if part["kind"] == "expiry":
                lots = [delta for _, delta in part.get("lots", ())]
                expired = -sum(delta for delta in lots if delta < 0)
                points[f"{program_id}#expired"] += expired
                points[f"{program_id}#returned"] += part["points"] + expired
            counts.update(_moves(program_id, part, programs))
    for name, value in points.items():
        if value:
            counts.update({f"{name}#members": 1, f"{name}#points": value})
    return counts


def _moves(program_id: str, part: Part, programs: Programs) -> Iterator[str]:
    """What a part does to the tier: ``<program>#<fell, rose or retained>#<from>#<to>#<cause>``."""
    before, after = part["tier"]
    codes = [reason["code"] for reason in part["reasons"]]
    ladder = programs.versions(program_id)[-1].codes
    if after < before:
        what, cause = FELL, codes[-1]
    elif after > before:
        what, cause = ROSE, next((code for code in codes if code in _RAISES), "expired")
    elif "retained" in codes:
        what = cause = RETAINED
    else:
        return
    yield f"{program_id}#{what}#{ladder[before]}#{ladder[after]}#{cause}"


def granted(program_id: str, kind: str) -> str:
    """The name of the count of rewards of a kind."""
    return f"{program_id}#{GRANTED}#{kind}"


def report(counts: Mapping[str, int], programs: Programs) -> dict[str, dict[str, Any]]:
    """The counts as people read them, by program.

    ``expired`` and ``returned`` say how many members, and points (or spend, as money); ``fell``, ``rose``, ``retained``
    and ``reset`` how many moves, a reset being a fall at the end of a period; ``moves`` tells them apart: ``{"move",
    "from", "to", "cause", "members"}``, where the cause is the code of the reason in the ledger. ``granted`` says how
    many rewards, by kind.
    """
    return {program_id: _report(counts, programs, program_id) for program_id in programs.ids}


def _report(counts: Mapping[str, int], programs: Programs, program_id: str) -> dict[str, Any]:
    program = programs.versions(program_id)[-1]
    said: dict[str, Any] = {}
    for what in ("expired", "returned"):
        name = f"{program_id}#{what}"
        value = amount(program, counts.get(f"{name}#points", 0))
        said[what] = {"members": counts.get(f"{name}#members", 0), **value}
    moves = []
    for name in sorted(counts):
        of, *rest = name.split("#")
        if of == program_id and rest[0] in (FELL, ROSE, RETAINED):
            move, before, after, cause = rest
            moves.append({"move": move, "from": before, "to": after, "cause": cause, "members": counts[name]})
    for what in (FELL, ROSE, RETAINED):
        said[what] = sum(move["members"] for move in moves if move["move"] == what)
    said["reset"] = sum(move["members"] for move in moves if move["cause"] == "reset")
    said["moves"] = moves
    of_rewards = f"{program_id}#{GRANTED}#"
    rewards = sorted(name for name in counts if name.startswith(of_rewards))
    said["granted"] = {name.removeprefix(of_rewards): counts[name] for name in rewards}
    return said


def limits(programs: Programs, counts: Counts, moment: datetime) -> dict[str, dict[str, int]]:
    """How many ``members`` of each tier above the lowest there are, and how many of them one sweep may demote.

    By ``place_of``; ``counts``: the standing's, when the sweep starts at the UTC instant ``moment``.
    """
    found = {}
    for program_id in programs.ids:
        program = programs.at(program_id, moment)
        share, at_least = program.demotion_limit["percent_of_tier"], program.demotion_limit["members_at_least"]
        for tier, code in enumerate(program.codes[1:], start=1):
            members = counts.holding(program, tier)
            limit = max(members * share // 100, at_least)
            found[place_of(program_id, code)] = {"members": members, "limit": limit}
    return found


def beyond(run_limits: Mapping[str, Mapping[str, int]], counts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The limits that ``counts`` of a whole sweep go beyond: ``{"program", "tier", "members", "limit", "would_fall"}``.

    For a dry run: where there is one, the real run would halt.
    """
    fallen: Counter[str] = Counter()
    for name, number in counts.items():
        of, *rest = name.split("#")
        if rest[0] == FELL:
            fallen[place_of(of, rest[1])] += number
    return [
        {**dict(zip(("program", "tier"), place.split("#"), strict=True)), **limit, "would_fall": fallen[place]}
        for place, limit in sorted(run_limits.items())
        if fallen[place] > limit["limit"]
    ]
