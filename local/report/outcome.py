"""What a replay found out, as plain data: the printed summary and the report are made of this and nothing
else.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from datetime import date
from typing import Any


@dataclass(slots=True)
class Month:
    """What a program's members gained and lost in one month, in points or minor units, none below 0."""

    earned: int = 0
    expired: int = 0
    taken_back: int = 0


@dataclass(slots=True)
class ProgramOutcome:
    """One program over the replay. ``tiers`` go from the lowest to the highest."""

    id: str
    title: str
    tiers: list[str]
    spend: bool
    currency: str
    members: dict[str, list[int]]  # tier -> members holding it at the end of each day
    months: dict[str, Month] = field(default_factory=dict)  # "1997-01" -> what happened in it
    denied: Counter[str] = field(default_factory=Counter)  # reason -> how often
    up: Counter[str] = field(default_factory=Counter)  # cause -> rises of a tier
    down: Counter[str] = field(default_factory=Counter)  # cause -> falls of a tier

    def total(self, what: str) -> int:
        """The sum of a field of the months over the whole replay."""
        return sum(getattr(month, what) for month in self.months.values())

    def held(self, tier: str) -> int:
        """How many members hold the tier at the end."""
        return self.members[tier][-1] if self.members[tier] else 0


@dataclass(slots=True)
class Check:
    """One check of a decision's certificate, as the answer gave it."""

    code: str
    outcome: str
    detail: str = ""
    actual: str = ""
    required: str = ""


@dataclass(slots=True)
class Sample:
    """One request for a decision, and the answer."""

    title: str
    asked: str
    member_id: str
    tier: str
    decision: str
    decision_id: str
    checks: list[Check]
    remark: str = ""


@dataclass(slots=True)
class MemberPage:
    """What a member sees: the summary and the newest entries of the statement, as answered."""

    summary: dict[str, Any]
    statement: list[dict[str, Any]]
    program: str


@dataclass(slots=True)
class Ledger:
    """The check that the ledger is whole."""

    members: int
    entries: int
    problems: list[str]


@dataclass(slots=True)
class Timing:
    """How long it took, in seconds of the real clock, and how much memory at most."""

    setting_up: float
    replaying: float
    finishing: float
    peak_megabytes: float

    @property
    def total(self) -> float:
        """From the start to the end."""
        return self.setting_up + self.replaying + self.finishing


@dataclass(slots=True)
class Outcome:
    """All of it."""

    log: str
    source: str
    rows: int
    events: dict[str, int]
    members: int
    first_day: date
    last_day: date
    skipped: dict[str, int]
    notes: list[str]
    programs: list[ProgramOutcome]
    sweeps: Counter[str]  # schedule -> how often it ran
    announced: Counter[str]  # detail type -> events on the bus
    kinds: Counter[str]  # kind -> entries in the ledger
    refused: Counter[str]  # code -> events that the door refused
    dead_letters: Counter[str]  # reason -> messages in the dead-letter queues
    surprises: list[str]  # answers that were not as the contract has them
    samples: list[Sample]
    pages: list[MemberPage]
    ledger: Ledger
    timing: Timing

    @property
    def days(self) -> int:
        """How many days were simulated."""
        return (self.last_day - self.first_day).days + 1

    @property
    def sent(self) -> int:
        """How many events were sent."""
        return sum(self.events.values())

    @property
    def sound(self) -> bool:
        """Nothing was refused or answered wrongly, no dead letter is left, and the ledger is whole."""
        return not (self.ledger.problems or self.refused or self.dead_letters or self.surprises)
