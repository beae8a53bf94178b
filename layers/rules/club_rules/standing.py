"""Standing: the share of all members of a program who hold a lower tier (rules 1.9).

Pure: counts that may lag by seconds go in, what a member is shown comes out.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from club_rules.programs import Program


class Counts(NamedTuple):
    """How many ``members`` the club has, and by program how many of them hold each tier above the lowest.

    A member with no part in a program holds its lowest tier, so that ``members`` is the same number in all of them.
    A code that is missing stands for nobody.
    """

    members: int
    tiers: dict[str, dict[str, int]]

    def holding(self, program: Program, tier: int) -> int:
        """How many members hold the tier with the index ``tier``; never below 0, however the counts lag."""
        above = self.tiers.get(program.id, {})
        if tier:
            return max(0, above.get(program.codes[tier], 0))
        return max(0, self.members - sum(above.get(code, 0) for code in program.codes[1:]))


def standing(counts: Counts, program: Program, tier: int) -> dict[str, Any]:
    """Where a member who holds the tier with the index ``tier`` stands among all.

    Returns ``{"below_percent": per cent with one decimal, half up, "members": all of them}``. The member counts as
    one of them and is never below themselves, also where the counts have not heard of the member or of the tier yet.
    """
    members = max(1, counts.members)
    reached = sum(counts.holding(program, each) for each in range(tier, len(program.codes)))
    below = min(max(0, members - reached), members - 1)
    return {"below_percent": (below * 2000 + members) // (2 * members) / 10, "members": members}
