"""The rules alone, on one core: events a second by each program, and what ten years of a member take to work out again.

An event goes in as it was parsed, with the member's account and the order it names as objects in memory. What is timed
is all that the rules do for it: what fell due before it is settled, it is posted, each new entry is applied to the
account, and the instant of the next thing due is worked out. No JSON, no packing, no store. One figure more has the
account written to plain data and read again for every event, as posting does on either side of the store.

``python -m benchmarks.rules [PROGRAM]`` prints the profile of it.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from statistics import median
from typing import Any

from benchmarks.figures import Figure, Progress, cpu_seconds, in_turn
from benchmarks.rules.stream import stream
from club_ledger.store import SETTLED_AT_ONCE
from club_rules.account import Account, Entry, decode_account, encode_account, rebuild
from club_rules.events import ActivityEvent
from club_rules.orders import OrderRecord
from club_rules.posting import names_order, post
from club_rules.programs import Programs, load_programs
from club_rules.settling import due_at, settle
from local.verify.history import History
from local.verify.kinds import as_json

MEMBERS, DAYS, EVENTS = 200, 730, 4_000
YEARS, EVENTS_A_YEAR = 10, 150
SEED = 20_260_701
ROUNDS = 15

_EVENTS_A_SECOND, _STRETCH = 20_000, 50_000  # architecture 3.4

Timed = Sequence[tuple[ActivityEvent, datetime]]
"""Events, each with the instant at which it is posted."""


@dataclass
class Club:
    """Members, their orders and marks in memory."""

    programs: Programs
    accounts: dict[str, Account] = field(default_factory=dict)
    orders: dict[tuple[str, str], OrderRecord] = field(default_factory=dict)
    marks: dict[str, set[str]] = field(default_factory=dict)

    def take(self, event: ActivityEvent, moment: datetime, *, as_data: bool = False) -> list[Entry]:
        """Posts ``event`` at ``moment``, and returns the new entries. ``as_data``: the account is data in between."""
        member_id = event.member_id
        account = self.accounts.get(member_id)
        if account is None:
            account = self.accounts[member_id] = Account(member_id)
        elif as_data:
            account = decode_account(member_id, account.version, encode_account(account))
            self.accounts[member_id] = account
        entries = _settled(account, self.programs, moment)
        key = (member_id, event.data["order_id"]) if names_order(event.type) else None
        order = self.orders.get(key) if key else None
        moment = account.not_before(moment)
        posting = post(account, self.programs, event, moment, order, self.marks.get(member_id, ()))
        due_at(account, self.programs)
        if key and posting.order is not None:
            self.orders[key] = posting.order
        if account.filled_marks:
            self.marks.setdefault(member_id, set()).update(*account.filled_marks.values())
        account.filled_marks.clear()
        account.filled_journal.clear()
        return entries + posting.entries


def measure(progress: Progress) -> list[Figure]:
    """Events a second by each program, by all of them, and the seconds of ten years."""
    programs = load_programs()
    events = stream(programs, members=MEMBERS, days=DAYS, events=EVENTS, seed=SEED)
    years = stream(programs, members=1, days=YEARS * 365, events=YEARS * EVENTS_A_YEAR, seed=SEED)
    member = Club(programs)
    entries: list[Entry] = [as_json(entry) for event, moment in years for entry in member.take(event, moment)]
    member_id = years[0][0].member_id
    by_itself = {name: alone(programs, name) for name in programs.ids}

    gc.collect()
    gc.freeze()  # what is at hand before the work begins is not the work's garbage
    samples = in_turn(
        {
            **{name: posting(one, events) for name, one in by_itself.items()},
            "all": posting(programs, events),
            "data": posting(programs, events, as_data=True),
            "rebuild": lambda: cpu_seconds(lambda: rebuild(member_id, entries)),
            "verify": lambda: cpu_seconds(lambda: _verify(member_id, programs, entries)),
        },
        ROUNDS,
        progress,
    )
    progress.keep("seconds", samples)
    club = Club(programs)
    progress.keep("entries of the events", sum(len(club.take(*each)) for each in events))
    progress.keep("entries of ten years", len(entries))
    second = {name: EVENTS / median(of) for name, of in samples.items()}
    budget = {"budget": _EVENTS_A_SECOND, "stretch": _STRETCH}
    found = [_rate(f"posting by {name} alone", second[name], **budget) for name in by_itself]
    found.append(_rate("posting by all three programs at once", second["all"]))
    found.append(_rate("the same, the account to data and back", second["data"]))
    for name, what in (("rebuild", "an account rebuilt"), ("verify", "every entry judged anew, as verify does")):
        title = f"{YEARS} years of a member, {len(entries):,} entries: {what}"
        found.append(Figure(title, median(samples[name]), "s", of_machine=True))
    return found


def _settled(account: Account, programs: Programs, moment: datetime) -> list[Entry]:
    """What fell due before ``moment``, in the steps in which posting takes it."""
    entries: list[Entry] = []
    while True:
        some = settle(account, programs, moment, at_most=SETTLED_AT_ONCE)
        entries += some
        if len(some) < SETTLED_AT_ONCE:
            return entries


def _rate(name: str, value: float, **limits: float) -> Figure:
    return Figure(name, value, "events/s", more_is_better=True, of_machine=True, **limits)  # type: ignore[arg-type]


def alone(programs: Programs, name: str) -> Programs:
    """The newest version of one program, as if there were no other."""
    return Programs([programs.versions(name)[-1].data])


def posting(programs: Programs, events: Timed, *, as_data: bool = False) -> Callable[[], float]:
    """Gives the CPU seconds in which ``programs`` take all ``events``, in a new club."""

    def work() -> None:
        club = Club(programs)
        for event, moment in events:
            club.take(event, moment, as_data=as_data)

    return lambda: cpu_seconds(work)


def _verify(member_id: str, programs: Programs, entries: list[Entry]) -> None:
    history = History(member_id, programs)
    faults: list[Any] = [fault for entry in entries for fault in history.take(entry)]
    assert not faults, faults[:3]
