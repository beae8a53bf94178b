"""The use case "undo": what a run of the demotion sweep lowered is given back, by an operator's word (contract 2.4).

The run's chunks have noted whom they lowered by which entries (see ``brake``). Each of these entries is undone by one
with a key of its own, so that undoing a run again, or going on where it was killed, gives the same ledger.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from club_ledger.items import SweepRunItem
from club_ledger.journal import Journal
from club_ledger.store import SETTLED_AT_ONCE, Store, Transaction, committed, retrying, write_account
from club_rules.account import Account, Entry
from club_rules.errors import NotFound
from club_rules.programs import Programs
from club_rules.restoring import lowered, undo_demotion, undoing_key
from club_rules.settling import new_rules_due, settle
from club_rules.tallying import demotions


class Left(NamedTuple):
    """A demotion that was not undone. ``why``: ``changed`` (the tier has changed since), ``capped`` (a penalty keeps
    the tier below), or ``gone`` (the member's data has been erased)."""

    member_id: str
    program_id: str
    tier: str
    why: str


class Undone(NamedTuple):
    """What became of a run's demotions: undone now, undone before, left as they are; ``open_shards``: of the run."""

    now: int
    before: int
    left: list[Left]
    open_shards: int


def undo_run(
    store: Store, programs: Programs, run_id: str, moment: datetime, time_left: Callable[[], Callable[[], float]]
) -> Undone:
    """Undoes every demotion that the run ``run_id`` posted, as of the UTC instant ``moment``.

    ``time_left`` starts the clock of one member. A demotion that the run reserved and that was never posted is none.
    Raises ``NotFound`` for a run that there is not, and ``Unavailable``: then what has been undone so far stays so.
    """
    try:
        run = retrying(lambda: store.sweep_run(run_id), time_left())
    except SweepRunItem.DoesNotExist as error:
        raise NotFound("sweep_not_found", "there is no such run") from error
    wanted: dict[str, dict[str, set[str]]] = {}
    for noted in retrying(lambda: store.sweep_chunks(run_id), time_left()):
        for member_id, of in noted.items():
            for place, key in of.items():
                wanted.setdefault(member_id, {}).setdefault(key, set()).add(place)
    # the accounts go to the shards of the index that the run knew
    writer = Store(lambda: run.body["index_shards"])
    now = before = 0
    left: list[Left] = []
    for member_id, by_key in sorted(wanted.items()):
        undoing = _Undoing(writer, programs, member_id, by_key, moment)
        member = retrying(undoing.attempt, time_left())
        now, before = now + member.now, before + member.before
        left += member.left
    return Undone(now, before, left, int(run.open_shards))


class _Undoing:
    """Undoing what a run lowered for one member."""

    def __init__(
        self, store: Store, programs: Programs, member_id: str, by_key: dict[str, set[str]], moment: datetime
    ) -> None:
        """``by_key``: the tiers fallen from (``tallying.place_of``) by the keys of the entries."""
        self._store = store
        self._programs = programs
        self._member_id = member_id
        self._by_key = by_key
        self._moment = moment
        self._known: dict[int, Entry] = {}

    def attempt(self) -> Undone:
        """All of it in one transaction. Raises ``Stale`` and ``Busy``; then nothing of it is written."""
        found = self._store.entries([*self._by_key, *map(undoing_key, self._by_key)])
        posted = [found[key] for key in self._by_key if key in found]
        undone = [entry for entry in posted if undoing_key(entry["key"]) in found]
        waiting = [entry for entry in posted if entry not in undone]
        before = sum(len(found[undoing_key(entry["key"])]["parts"]) for entry in undone)
        if not waiting:
            return Undone(0, before, [], 0)
        account = self._store.account(self._member_id, consistent=True)
        if account is None or account.erased:
            gone = [Left(self._member_id, *place, "gone") for entry in waiting for place in self._places(entry)]
            return Undone(0, before, gone, 0)
        now, left = self._undo(account, sorted(waiting, key=lambda entry: entry["seq"], reverse=True))
        return Undone(now, before, left, 0)

    def _places(self, entry: Entry) -> list[tuple[str, str]]:
        """What the run lowered by ``entry``: programs, and the tiers fallen from.

        Where somebody else posted meanwhile, the entry of this number may be another than the one reserved for.
        """
        fallen = demotions([entry], self._programs).keys() & self._by_key[entry["key"]]
        places = (place.split("#") for place in sorted(fallen))
        return [(program_id, tier) for program_id, tier in places if program_id in lowered(entry)]

    def _undo(self, account: Account, latest_first: list[Entry]) -> tuple[int, list[Left]]:
        self._known = {}
        journal = Journal(self._store, account, {})

        def entry_of(seq: int) -> Entry:
            if seq not in self._known:
                self._known[seq] = journal.entries([journal.row(seq)])[0]
            return self._known[seq]

        entries = self._settled(account)
        number, left = 0, []
        for entry in latest_first:
            only = {program_id for program_id, _ in self._places(entry)}
            undoing, reasons = undo_demotion(account, self._programs, entry, self._moment, entry_of, only)
            tiers = dict(self._places(entry))
            left += [Left(self._member_id, program_id, tiers[program_id], why) for program_id, why in reasons.items()]
            if undoing is not None:
                entries.append(undoing)
                self._known[undoing["seq"]] = undoing
                number += len(undoing["parts"])
        if number:
            self._write(account, entries)
        return number, left

    def _settled(self, account: Account) -> list[Entry]:
        """Posts what has expired by now, and leaves the reviews: one that is due would lower what is given back.

        Only new rules judge first, with all that goes before them.
        """
        until = account.not_before(self._moment)
        expiries_only = not new_rules_due(account, self._programs, until)
        while True:
            entries = settle(account, self._programs, until, expiries_only=expiries_only, at_most=SETTLED_AT_ONCE)
            self._known |= {entry["seq"]: entry for entry in entries}
            if len(entries) < SETTLED_AT_ONCE:
                return entries
            self._write(account, entries)

    def _write(self, account: Account, entries: list[Entry]) -> None:
        transaction = Transaction()
        write_account(transaction, self._store, self._programs, account, entries)
        transaction.commit()
        committed(account)
