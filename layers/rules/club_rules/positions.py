"""Where a member stood at a past moment, by the entries posted around it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from club_rules.account import Entry, Part
from club_rules.times import parse_instant


class Position(NamedTuple):
    """Where a member stands in one program at a moment: the ledger's sum, which may be negative, and the tier."""

    measure: int
    tier: int


def position_at(entries: Sequence[Entry], program_id: str, moment: datetime) -> Position | None:
    """Where the member stood at the UTC instant ``moment``, all that was posted up to it included.

    ``entries`` in the order of their numbers, without a gap, from far enough back: an entry that was posted after
    ``moment`` out of its turn is among them. ``None`` where none of them tells.
    """
    found: Part | None = None
    ahead = 0
    for entry in reversed(entries):
        part = entry["parts"].get(program_id)
        if part is None:
            continue
        if parse_instant(entry["posted_at"]) <= moment:
            found = found or part
        elif found is not None:
            ahead += part["points"]  # an expiry that was posted ahead of a review: it had not come yet
    return None if found is None else Position(found["balance"] - ahead, found["tier"][1])


def tier_at(entries: Sequence[Entry], program_id: str, moment: datetime, held: int) -> int:
    """The tier (an index) that the member held at the UTC instant ``moment``.

    ``entries`` as for ``position_at``, though none of them may reach back to ``moment``: then the first of them tells
    what was held before it. ``held`` now, which tells where no entry does.
    """
    position = position_at(entries, program_id, moment)
    if position is not None:
        return position.tier
    later = (entry["parts"][program_id] for entry in entries if program_id in entry["parts"])
    first = next(later, None)
    before: int = held if first is None else first["tier"][0]
    return before
