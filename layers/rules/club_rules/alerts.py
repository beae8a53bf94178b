"""Price alerts: who may be told that the price of an item has dropped (rules 1.4).

The privilege is that of the tier which the member held at the moment at which the drop was posted, settled to it, in
any program that has it switched on. A late alert is given as a punctual one would have been.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime

from club_rules.account import Account, Entry
from club_rules.positions import tier_at
from club_rules.programs import Program, Programs
from club_rules.settling import settle_wholly

PRIVILEGE = "price_alerts"


def may_be_alerted(
    account: Account, programs: Programs, moment: datetime, entries_since: Callable[[], Sequence[Entry]]
) -> bool:
    """Whether the member had the privilege at the UTC instant ``moment``, and is to be told anything at all.

    ``account`` as it is stored; it is settled in place. ``entries_since`` gives the member's entries posted on the
    UTC day of ``moment`` or later, in the order of their numbers; it is asked only where the stored tier does not
    tell, because it has changed since.
    """
    if account.erased:
        return False
    moved_on = account.as_of is not None and account.as_of > moment
    settled = settle_wholly(account, programs, moment)
    for program_id in programs.ids:
        program = programs.at(program_id, moment)
        state = account.programs.get(program_id)
        tier = 0 if state is None else state.tier
        if moved_on and state is not None and state.since is not None and state.since >= program.day_of(moment):
            tier = tier_at([*entries_since(), *settled], program_id, moment, tier)
        if _grants(program, tier):
            return True
    return False


def _grants(program: Program, tier: int) -> bool:
    privilege = program.privilege(PRIVILEGE)
    if privilege is None or not privilege.get("enabled", True):
        return False
    return tier >= program.tier_index(privilege["from_tier"])
