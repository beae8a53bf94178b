"""Undoing a demotion of a sweep: the exact opposite, posted by an operator's word (rules 1.9, contract 2.4).

The tier that was lost is held again from the local day of the undoing. Where the measure doesn't meet it, it is
reviewed again after the program's ``days_after_undoing``: the operator has so long to put right what was wrong.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from club_rules.account import SETTLING, Account, Entry, Part, apply_entry
from club_rules.programs import Programs
from club_rules.tiers import capped_tier, give_back
from club_rules.times import format_instant

UNDOING = "undo~"
"""What the keys of these entries begin with; no event id has a tilde."""


def undoing_key(key: str) -> str:
    """The key of the entry that undoes the demotions in the entry of ``key``: one, for ever."""
    return f"{UNDOING}{key.removeprefix(SETTLING)}"


def lowered(entry: Entry) -> list[str]:
    """The programs in which a review lowered the tier by ``entry``."""
    return [
        program_id
        for program_id, part in entry["parts"].items()
        if part["kind"] == "tier_review" and part["tier"][1] < part["tier"][0]
    ]


def undo_demotion(
    account: Account,
    programs: Programs,
    entry: Entry,
    moment: datetime,
    entry_of: Callable[[int], Entry],
    only: set[str] | None = None,
) -> tuple[Entry | None, dict[str, str]]:
    """Undoes what ``entry`` lowered, in place, in those programs where the tier has not changed since.

    ``account`` holds ``entry`` and nothing that has expired by the UTC instant ``moment``; ``entry_of`` gives another
    of its entries by number; ``only``: in no other program than these. Returns the new entry, already applied
    (``None`` where nothing is to be undone), and the programs that were left, each with why: ``changed`` (the tier has
    changed since) or ``capped`` (a penalty keeps it below).
    """
    at = account.not_before(moment)
    parts: dict[str, Part] = {}
    left: dict[str, str] = {}
    for program_id in lowered(entry):
        if only is not None and program_id not in only:
            continue
        program, state = programs.at(program_id, at), account.program(program_id)
        tier = entry["parts"][program_id]["tier"][0]
        if not _stands(account, program_id, entry, entry_of):
            left[program_id] = "changed"
        elif capped_tier(state, tier) < tier:
            left[program_id] = "capped"
        else:
            parts[program_id] = give_back(state, program, tier, program.day_of(at), _reason(program_id, entry))
    if not parts:
        return None, left
    key = undoing_key(entry["key"])
    undoing: Entry = {
        "entry_id": key,
        "key": key,
        "member_id": account.member_id,
        "seq": account.seq + 1,
        "occurred_at": format_instant(at),
        "posted_at": format_instant(at),
        "undoes": entry["seq"],
        "parts": parts,
    }
    apply_entry(account, undoing)
    return undoing, left


def _reason(program_id: str, entry: Entry) -> dict[str, Any]:
    on = entry["parts"][program_id]["receipt"]["on"]
    return {"rule": "tier", "points": 0, "code": "demotion_undone", "ref": on}


def _stands(account: Account, program_id: str, entry: Entry, entry_of: Callable[[int], Entry]) -> bool:
    """Whether ``entry`` made the last change of the tier, but for changes that came later and were undone as well."""
    latest: int = account.program(program_id).changed_at
    while latest > entry["seq"]:
        undone = entry_of(latest).get("undoes")
        if undone is None:
            return False
        # what that demotion followed; an entry that undoes one has a receipt of its own
        latest = entry_of(undone)["parts"][program_id]["receipt"]["since_seq"]
    return latest == int(entry["seq"])
