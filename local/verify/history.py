"""A member's life once more, entry by entry: each has to be what the rules make of what went before (I1, I3).

What happened is taken from the entry itself (the event, the instant of posting, what an operator asked for); all that
follows from it (points, lots, caps, tiers, receipts, expiries) is worked out by the club's own rules, and compared. So
an entry that was changed, or posted wrongly, is named with the field; and orders, pages, marks and the account come out
as they have to be. The entries go by the programs as they are now: a version that was deployed into the past makes
those of its days differ.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, NamedTuple

from club_rules.account import ERASURE, Account, Entry, apply_entry, is_settling
from club_rules.adjustments import Adjustment
from club_rules.events import ActivityEvent
from club_rules.fields import canonical
from club_rules.posting import adjust, erase, names_order, needs_marks, post, release_parked
from club_rules.programs import Programs
from club_rules.restoring import UNDOING, undo_demotion
from club_rules.settling import settle
from club_rules.times import format_instant, parse_instant
from local.verify.kinds import as_json, differences

SHOWN = 6
"""So many differing fields of one entry are named."""

PERSONAL = ("member.registered", "member.updated")
"""Events whose data is kept apart from the entry, so that their digest can't be worked out from it."""


class Fault(NamedTuple):
    """What is wrong with an entry (by its key): the field first."""

    key: str
    text: str


class History:
    """The fold of one member's entries, each judged as it is taken."""

    def __init__(self, member_id: str, programs: Programs) -> None:
        self.account = Account(member_id)
        self.orders: dict[str, dict[str, Any]] = {}
        self.entries: dict[int, Entry] = {}
        self._programs = programs

    def take(self, entry: Entry) -> Iterator[Fault]:
        """Applies the next entry, and yields where it is not what the rules give."""
        key = str(entry.get("key"))
        before = self.account.seq
        try:
            late, given = self._derived(entry)
        except Exception as error:  # noqa: BLE001 - whatever a changed entry does to the rules, it is this entry's fault
            what = f"{type(error).__name__} {error}"
            yield Fault(key, f"parts, data, type, entry_id, event_id or another: the rules can't make it: {what}")
            self._take_as_it_is(entry, before)
            return
        self.entries[entry["seq"]] = given
        if "event_id" in entry and entry["entry_id"] not in (entry["event_id"], f"{entry['event_id']}~2"):
            yield Fault(key, f"event_id: {entry['event_id']!r} doesn't fit to the entry_id, {entry['entry_id']!r}")
        if late is not None:
            yield Fault(key, f"posted_at: {late} fell due before, and was not posted")
        if given != entry:
            found = list(differences(entry, as_json(given)))
            for path, stored, right in found[:SHOWN]:
                yield Fault(key, _told(path, stored, right))
            if len(found) > SHOWN:
                yield Fault(key, f"and {len(found) - SHOWN} more fields")

    def _take_as_it_is(self, entry: Entry, before: int) -> None:
        self.entries[entry["seq"]] = entry
        if self.account.seq == before:
            apply_entry(self.account, entry)

    def _derived(self, entry: Entry) -> tuple[str | None, Entry]:
        """What fell due and was passed over, if anything did; and the entry by the rules, applied."""
        account, moment = self.account, parse_instant(entry["posted_at"])
        if is_settling(entry["key"]):
            return None, self._settled(entry)
        if entry["key"].startswith(UNDOING):
            return None, self._undone(entry)
        if entry.get("type") == ERASURE:
            return None, erase(account, moment, entry["data"]["actor"])
        due = settle(account, self._programs, moment, at_most=1)
        late = due[0]["key"] if due else None
        if entry.get("type") == "adjustment":
            return late, self._adjusted(entry)
        if entry["entry_id"] == f"{entry['event_id']}~2":
            return late, self._released(entry)
        return late, self._posted(entry)

    def _posted(self, entry: Entry) -> Entry:
        event = event_of(entry)
        order = self.orders.get(event.data["order_id"]) if names_order(event.type) else None
        marks = self._older_marks() if needs_marks(event.type) else frozenset()
        posting = post(self.account, self._programs, event, parse_instant(entry["posted_at"]), order, marks)
        if posting.order is not None:
            self.orders[posting.order["order_id"]] = posting.order
        (given,) = posting.entries
        return given

    def _released(self, entry: Entry) -> Entry:
        """The effect of what was parked: the first that waits for its order."""
        order = self.orders[entry["data"]["order_id"]]
        waiting = order["parked"]
        order["parked"] = waiting[:1]
        moment = parse_instant(entry["posted_at"])
        posting = release_parked(self.account, self._programs, moment, order, self._older_marks())
        if waiting[1:]:
            order["parked"] = waiting[1:]
        (given,) = posting.entries
        return given

    def _settled(self, entry: Entry) -> Entry:
        """What fell due by itself, by either sweep: the expiry sweep leaves reviews to the other one."""
        moment = parse_instant(entry["posted_at"])
        found: list[tuple[Account, Entry]] = []
        for expiries_only in (False, True):
            copy = self._copy()
            given = settle(copy, self._programs, moment, expiries_only=expiries_only, at_most=1)
            if given:
                found.append((copy, given[0]))
                if as_json(given[0]) == entry:
                    break
        if not found:
            raise ValueError(f"nothing falls due by {entry['posted_at']}")
        self.account, given_entry = found[-1] if as_json(found[-1][1]) == entry else found[0]
        return given_entry

    def _undone(self, entry: Entry) -> Entry:
        undone = self.entries[entry["undoes"]]
        moment, only = parse_instant(entry["posted_at"]), set(entry["parts"])
        given, left = undo_demotion(
            self.account, self._programs, undone, moment, lambda seq: self.entries[seq], only or None
        )
        if given is None:
            raise ValueError(f"there is nothing to undo: {left}")
        return given

    def _adjusted(self, entry: Entry) -> Entry:
        ((program_id, part),) = entry["parts"].items()
        data = entry["data"]
        member_id, reason = self.account.member_id, data["reason"]
        digest = adjustment_digest(member_id, program_id, part["points"], reason)
        adjustment = Adjustment(data["adjustment_id"], member_id, program_id, part["points"], reason, digest)
        moment = parse_instant(entry["posted_at"])
        return adjust(self.account, self._programs, adjustment, moment, data["actor"], data.get("confirmed_by"))

    def _copy(self) -> Account:
        copy = self.account.clone()
        copy.filled_journal = dict(self.account.filled_journal)
        copy.filled_marks = dict(self.account.filled_marks)
        return copy

    def _older_marks(self) -> frozenset[str]:
        return frozenset(mark for page in self.account.filled_marks.values() for mark in page)


def event_of(entry: Entry) -> ActivityEvent:
    """The event that an entry answers, with the digest that its content gives (of personal data: the stored one)."""
    occurred_at = parse_instant(entry["occurred_at"])
    member_id = entry.get("member_id", "")
    digest = entry["digest"]
    if entry["type"] not in PERSONAL:
        content = [entry["type"], member_id, format_instant(occurred_at), entry["data"]]
        digest = sha256(canonical(content).encode()).hexdigest()
    return ActivityEvent(entry["event_id"], entry["type"], member_id, occurred_at, entry["data"], digest)


def adjustment_digest(member_id: str, program_id: str, points: int, reason: str) -> str:
    """The digest of an adjustment's content, as ``club_rules.adjustments`` makes it."""
    return sha256(canonical(["adjustment", member_id, program_id, points, reason]).encode()).hexdigest()


def _told(path: str, stored: Any, right: Any) -> str:
    if path == "digest":
        return f"digest: stored {stored!r}, the type, member_id, occurred_at, data and parts give {right!r}"
    return f"{path}: stored {stored!r}, the rules give {right!r}"
