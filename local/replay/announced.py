"""What the functions announced on the bus during a replay."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from club_rules.programs import Program
    from local.logs import Log


class Announced:
    """Counts announcements, and follows the tiers that they tell of."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self._tiers: dict[str, dict[str, str]] = defaultdict(dict)
        self._halted: Counter[str] = Counter()

    def add(self, entries: Iterable[Mapping[str, Any]]) -> None:
        """Takes PutEvents entries, oldest first."""
        for entry in entries:
            kind = entry["DetailType"]
            self.counts[kind] += 1
            if kind == "tier.changed":
                detail = json.loads(entry["Detail"])
                self._tiers[detail["program"]][detail["member_id"]] = detail["to"]
            elif kind == "sweep.halted":
                self._halted[json.loads(entry["Detail"])["sweep"]] += 1

    def tiers_of(self, program: Program, log: Log) -> dict[str, str]:
        """The tier that each member of the log holds in a program by now."""
        held = dict.fromkeys((activity.member_id for activity in log.activities), program.codes[0])
        return held | self._tiers[program.id]

    def notes(self) -> list[str]:
        """What a reader of the outcome should know."""
        return [
            f"{sweep} halted {count} times: it would have demoted more members than the program's limit allows."
            for sweep, count in self._halted.items()
        ]
