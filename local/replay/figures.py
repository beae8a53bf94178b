"""What the ledger says about a replay, counted in one pass over its entries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from local.report.outcome import Month, ProgramOutcome

if TYPE_CHECKING:
    from club_rules.programs import Program

# What a refund could not take back is denied to the refund, not to the member, but has its reason as well.
_DENIED_TO_A_REFUND = frozenset({"refund_exceeds_order", "already_expired"})


class Figures:
    """The counts: fill it with ``add``, entry by entry, each member's in the order of posting."""

    def __init__(self, programs: Iterable[Program], first_day: date, last_day: date) -> None:
        self.kinds: Counter[str] = Counter()
        self.entries = 0
        self.tiers: dict[str, dict[str, str]] = {}  # program -> member -> the tier held now
        self._first_day = first_day
        self._days = (last_day - first_day).days + 1
        self._programs = {
            program.id: ProgramOutcome(
                id=program.id,
                title=program.data.get("title", program.id),
                tiers=list(program.codes),
                spend=program.measures_spend,
                currency=program.currency,
                members={tier: [0] * self._days for tier in program.codes},  # changes of a day, until summed up
                months={},
            )
            for program in programs
        }
        for name in self._programs:
            self.tiers[name] = {}

    def add(self, entry: Mapping[str, Any]) -> None:
        """Counts one entry, as the rules make it."""
        self.entries += 1
        # An entry may be an accrual in one program and denied in another: it counts for both, or else by its event.
        self.kinds.update({part["kind"] for part in entry["parts"].values()} or {entry["type"]})
        posted_on = date.fromisoformat(entry["posted_at"][:10])
        member = entry["member_id"]
        for name, program in self._programs.items():
            if member not in self.tiers[name]:
                self._hold(program, member, program.tiers[0], posted_on)
            part = entry["parts"].get(name)
            if part is not None:
                self._add_part(program, member, part, posted_on)

    def programs(self) -> list[ProgramOutcome]:
        """The counts by program; asked for once, when all entries are in."""
        for program in self._programs.values():
            program.members = {tier: list(accumulate(changes)) for tier, changes in program.members.items()}
        return list(self._programs.values())

    def _add_part(self, program: ProgramOutcome, member: str, part: Mapping[str, Any], posted_on: date) -> None:
        points, kind = part["points"], part["kind"]
        if points:
            month = program.months.setdefault(f"{posted_on:%Y-%m}", Month())
            if kind == "expiry":
                month.expired -= points
            elif points < 0:
                month.taken_back -= points
            else:
                month.earned += points
        for reason in part["reasons"]:
            if _denies(reason, kind):
                program.denied[reason["code"]] += 1
        before, after = self.tiers[program.id][member], program.tiers[part["tier"][1]]
        if before != after:
            rises = program.tiers.index(after) > program.tiers.index(before)
            (program.up if rises else program.down)[kind] += 1
            self._hold(program, member, after, posted_on)

    def _hold(self, program: ProgramOutcome, member: str, tier: str, since: date) -> None:
        index = min(max((since - self._first_day).days, 0), self._days - 1)
        before = self.tiers[program.id].get(member)
        if before is not None:
            program.members[before][index] -= 1
        program.members[tier][index] += 1
        self.tiers[program.id][member] = tier


def _denies(reason: Mapping[str, Any], kind: str) -> bool:
    if reason["points"] or reason["code"] == "earned":
        return False
    return kind in ("accrual", "denied") or (kind == "clawback" and reason["code"] in _DENIED_TO_A_REFUND)
