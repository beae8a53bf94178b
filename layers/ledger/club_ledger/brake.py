"""The brake of a sweep: before a chunk's demotions are written, they are reserved (contract 2.4).

A run notes by program and tier how many members its chunks have reserved. A chunk's reservation is one transaction:
the note of the chunk, which names its members, and the run's numbers, under the condition that none goes beyond its
limit. So it is exact over parallel shards; and a chunk that is killed or delivered again finds what it has reserved,
and reserves no member twice. What would go beyond a limit is not written, and halts the run for all that is still to
come. The notes are what ``undoing`` goes by.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

from club_ledger import items
from club_ledger.items import SweepRunItem, VersionedItem
from club_ledger.store import Stale, Store, Transaction, retrying

Wanted = Mapping[str, Mapping[str, str]]
"""By member, the tiers fallen from (``tallying.place_of``) with the keys of the entries that say so."""


class Brake:
    """The brake as one chunk of one run uses it."""

    def __init__(self, store: Store, run_id: str, shard: int, chunk: int) -> None:
        self._store = store
        self._run_id = run_id
        self._key = items.sweep_chunk_key(shard, chunk)
        self._noted: dict[str, dict[str, str]] = {}
        self._version = 0
        self.halted: dict[str, Any] | None = None
        """What halted the run, once a reservation has met it: see ``_halt``."""

    def allows(self, wanted: Wanted, time_left: Callable[[], float]) -> bool:
        """Reserves demotions: all of them or, where one would go beyond its limit, none but what has been reserved.

        Returns whether all may be written. Raises ``Unavailable``; then nothing is reserved that is not noted.
        """
        if all(self._noted.get(member) == {**self._noted.get(member, {}), **of} for member, of in wanted.items()):
            return True
        if self.halted and self._new(wanted):
            return False
        return retrying(lambda: self._reserve(wanted), time_left)

    def _new(self, wanted: Wanted) -> Counter[str]:
        """How many members of each tier are wanted, and not noted yet."""
        return Counter(
            place for member, of in wanted.items() for place in of if place not in self._noted.get(member, {})
        )

    def _reserve(self, wanted: Wanted) -> bool:
        self._version, self._noted = self._store.sweep_chunk(self._run_id, self._key)
        added = self._new(wanted)
        run = self._store.sweep_run(self._run_id)
        limits = run.body.get("limits", {})
        held = run.body["override_limit"]
        if added and not held:
            reserved = run.reserved.attribute_values
            for place, number in sorted(added.items()):
                of = limits.get(place)
                if run.halted is None and of is not None and reserved.get(place, 0) + number > of["limit"]:
                    run.halted = self._halt(place, of, reserved.get(place, 0), number)
            if run.halted is not None:
                self.halted = run.halted
                return False
        self._note(wanted, added, {} if held else limits)
        return True

    def _note(self, wanted: Wanted, added: Counter[str], limits: Mapping[str, Mapping[str, int]]) -> None:
        noted = dict(self._noted)
        for member, of in wanted.items():
            noted[member] = {**noted.get(member, {}), **of}
        if noted == self._noted:
            return
        pk = items.sweep_key(self._run_id)
        transaction = Transaction()
        note = VersionedItem(pk, self._key, version=self._version + 1, body=noted)
        as_read = VersionedItem.version == self._version if self._version else VersionedItem.pk.does_not_exist()
        transaction.put(note, as_read, Stale(self._key))
        if added:
            actions, condition = [], SweepRunItem.pk.exists()
            for place, number in added.items():
                reserved: Any = SweepRunItem.reserved[place]
                actions.append(reserved.set((reserved | 0) + number))
                if place in limits:
                    room = limits[place]["limit"] - number
                    condition &= reserved.does_not_exist() | (reserved <= room)
            if limits:
                condition &= SweepRunItem.halted.does_not_exist()
            transaction.update(SweepRunItem(pk, items.SINGLE), actions, condition, Stale(self._run_id))
        transaction.commit()
        self._version, self._noted = self._version + 1, noted

    def _halt(self, place: str, of: Mapping[str, int], reserved: int, number: int) -> dict[str, Any]:
        """Marks the run as halted, once: who comes second is ``Stale``, and finds what halted it. Returns what did."""
        program, tier = place.split("#")
        facts = {"program": program, "tier": tier, **of, "demoted": reserved, "would_demote": reserved + number}
        transaction = Transaction()
        run = SweepRunItem(items.sweep_key(self._run_id), items.SINGLE)
        unmarked = SweepRunItem.halted.does_not_exist()
        transaction.update(run, [SweepRunItem.halted.set(facts)], unmarked, Stale(self._run_id))
        transaction.commit()
        return facts
