"""The invariants of architecture 3.3, followed commit by commit: one ``Checker`` watches one simulated club.

I1, I2, I3, I7 and I8 are the ledger's (``judge_ledger``), I4, I5, I6 and I11 what was promised to callers
(``judge_callers``); what follows from the ledger, and is announced of it, is judged by ``judge_outbox``. At the end
comes I9, and all that ``python -m local verify`` proves. I10 is the world's own, which knows when it has drained.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from random import Random
from typing import Any

from club_rules.programs import Programs, load_programs
from local.verify import verify_all
from tests.simulation.dynamodb import Change
from tests.simulation.judge_callers import CallersJudge
from tests.simulation.judge_ledger import LedgerJudge, Seen
from tests.simulation.judge_outbox import OutboxJudge
from tests.simulation.steps import Answer, ApiRequest, Invocation, Observer, Violation

SHARDS = 8
"""What the template states of the index of what is due."""


class Checker(Observer):
    """Watches one club from its first commit on; raises ``Violation`` at the first thing that is not so."""

    def __init__(self, programs: Programs | None = None, shards: int = SHARDS) -> None:
        self.seen = Seen(programs or load_programs(), shards)
        self.ledger = LedgerJudge(self.seen)
        self.callers = CallersJudge(self.seen)
        self.outbox = OutboxJudge(self.seen)
        self.now = datetime(1970, 1, 1, tzinfo=UTC)

    @property
    def stats(self) -> Counter[str]:
        """How often each thing was judged: nothing passes by not being tried."""
        return self.seen.stats

    def called(self, by: Invocation, operation: str, params: Mapping[str, Any]) -> None:
        """A handler asks the data store for something."""
        self.callers.called(by, operation, params)

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        """A write has taken effect."""
        self.now = max(self.now, now)
        self.seen.commits += 1
        self.ledger.committed(by, changes, now)
        self.callers.committed(by, changes, now)
        self.outbox.committed(by, changes, now)

    def accepted(self, entry: Mapping[str, Any], sent_at: datetime) -> None:
        """A message reached the activity queue."""
        self.callers.taken(entry, sent_at)

    def answered(self, by: Invocation, request: ApiRequest, answer: Answer | None, now: datetime) -> None:
        """A caller got an answer, or none."""
        self.now = max(self.now, now)
        self.callers.answered(by, request, answer)

    def published(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """The bus took an event of the club's."""
        self.outbox.published(detail_type, detail)

    def dead(self, queue: str, message: Mapping[str, Any], reason: str) -> None:
        """A message is among the dead letters."""
        if queue == "ChangeDeadLetters":
            self.outbox.lost_records = True
            return
        if queue == "ScheduleDeadLetters":
            self.outbox.given_up.add(json.loads(message["body"])["scheduled_at"])
        self.callers.buried(queue, message, reason)

    def redriven(self, queue: str, message: Mapping[str, Any]) -> None:
        """A dead letter goes round again."""
        self.callers.raised(queue, message)

    def finished(self, table: Sequence[Mapping[str, Any]], dead_letters: Sequence[Mapping[str, Any]]) -> None:
        """All has drained: what has to be true of the whole."""
        self.callers.finished()
        self.ledger.finished(self.now, Random(f"another order {len(table)} {self.seen.commits}"))
        self.outbox.finished(table)
        self.seen.stats["verify"] += 1
        for problem in verify_all([dict(item) for item in table], self.seen.programs, self.seen.shards).problems:
            if self.outbox.lost_records and ("standing" in problem or "rewards" in problem):
                continue
            raise Violation("verify", problem, problem.split(":")[0])
