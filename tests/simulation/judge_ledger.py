"""What every commit has to keep of the ledger: I1, I2, I3, I7 and I8, and at the end I9 and all that ``verify`` sees.

Everything is followed from the changes alone: a commit costs what it changes, however much there is already.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any

from club_ledger.store import shard_of
from club_rules.account import Account, apply_entry, encode_account
from club_rules.programs import Programs
from club_rules.settling import due_at, settle_wholly
from club_rules.times import format_instant
from tests.oracle.histories import dollars
from tests.simulation.dynamodb import Change
from tests.simulation.opinion import Opinion, View, content
from tests.simulation.steps import Invocation, Violation

Item = Mapping[str, Any]
Entry = dict[str, Any]

ACCOUNT = "J~"
WRITTEN_ONCE = ("E#", "D#", "PAYOUT#", "DISPUTE#", "ALERT#", "ADJUSTMENT#")
"""Partitions whose items never change."""
PAGES = ("J#", "K#", "D#")
"""Sort keys, in a member's partition, of what never changes: pages of the journal and of marks, decisions made."""

WINDOWS = {"club": 365, "crowns": 365, "vip": 90}
MONEY = ("unit_price", "amount", "old_price", "new_price")
PERSONAL = ("member.registered", "member.updated")
LATER = tuple(timedelta(days=days) for days in (0, 1, 90, 400))


def body_of(item: Item, attribute: str = "body") -> Any:
    """What is packed into an item."""
    return json.loads(zlib.decompress(item[attribute]["B"]))


def keys_of(change: Change) -> tuple[str, str]:
    """The partition and sort key of what changed."""
    return change.key["pk"]["S"], change.key["sk"]["S"]


class Member:
    """One member, as the entries have it that were committed so far."""

    def __init__(self, member_id: str) -> None:
        self.member_id = member_id
        self.account = Account(member_id)
        self.opinion = Opinion()
        self.balances: Counter[str] = Counter()
        self.lots: dict[str, Counter[int]] = {name: Counter() for name in WINDOWS}
        self.last_posted: datetime | None = None
        self.tiers: dict[int, dict[str, int]] = {}
        """By version, the tiers above the lowest."""
        self.exists = False
        self.changed = 0
        """The number of the commit that last changed the account;"""
        self.changed_by_others = 0
        """of the last that wasn't a sweep's; and when that was."""
        self.changed_at: datetime | None = None


class Seen:
    """What has been committed, for all who judge it."""

    def __init__(self, programs: Programs, shards: int) -> None:
        self.programs = programs
        self.shards = shards
        self.commits = 0
        self.began: dict[int, int] = {}
        """By invocation, how many commits there were at its first call."""
        self.members: dict[str, Member] = {}
        self.entries: dict[str, Entry] = {}
        self.accepted: dict[str, dict[str, Mapping[str, Any]]] = {}
        """By event id and content, the events that reached the queue."""
        self.sent: dict[str, set[datetime]] = {}
        """By event id, when its messages were first sent."""
        self.stats: Counter[str] = Counter()

    def member(self, member_id: str) -> Member:
        """A member; one that nothing is known of yet starts at nothing."""
        if member_id not in self.members:
            self.members[member_id] = Member(member_id)
        return self.members[member_id]


class LedgerJudge:
    """I1, I2, I3, I7, I8 after every commit."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        """Judges one commit."""
        entries: dict[str, list[Entry]] = {}
        accounts: dict[str, Change] = {}
        pages: dict[tuple[str, str], Change] = {}
        for change in changes:
            pk, sk = keys_of(change)
            self._never_lost(change, pk, sk)
            if pk.startswith("E#") and change.new is not None:
                entry = self._entry(pk, change.new)
                if "seq" in entry:
                    entries.setdefault(entry["member_id"], []).append(entry)
            elif sk == ACCOUNT:
                accounts[pk[2:]] = change
            elif pk.startswith("M#") and sk[:2] in PAGES[:2]:
                pages[pk[2:], sk] = change
        for member_id in entries.keys() | accounts.keys():
            member = self.seen.member(member_id)
            if member_id not in accounts:
                raise Violation("I1", f"{member_id} has new entries, and their account does not say so", member_id)
            known = sorted(entries.get(member_id, []), key=lambda entry: int(entry["seq"]))
            for entry in known:
                self._follow(member, entry)
            self._account(member, accounts[member_id], pages)
            self._agrees(member, known)
            member.changed, member.changed_at = self.seen.commits, now
            if not by.function.endswith("Sweep"):
                member.changed_by_others = self.seen.commits
        if len(entries.keys() | accounts.keys()) > 1:
            raise Violation("I11", f"one commit concerns {sorted(entries.keys() | accounts.keys())}")

    def _never_lost(self, change: Change, pk: str, sk: str) -> None:
        if change.new is None:
            raise Violation("I7", f"{pk} {sk} has disappeared")
        once = (pk.startswith(WRITTEN_ONCE) and not sk.startswith("~")) or (
            pk.startswith("M#") and sk.startswith(PAGES)
        )
        if once and change.old is not None and change.old != change.new:
            raise Violation("I7", f"{pk} {sk} was written once, and has changed")

    # Entries

    def _entry(self, pk: str, item: Item) -> Entry:
        entry: Entry = body_of(item)
        key = pk[2:]
        member_id = entry.get("member_id")
        if entry["key"] != key or key in self.seen.entries:
            raise Violation("I2", f"entry {key} says that it is {entry['key']}", member_id)
        self.seen.entries[key] = entry
        event_id = entry.get("event_id")
        if event_id is not None:
            self.seen.stats["I2"] += 1
            if key not in (event_id, f"{event_id}~2"):
                raise Violation("I2", f"event {event_id} has an entry {key}", member_id)
            if self.source(entry) is None:
                raise Violation("I2", f"entry {key} says what no accepted message said", member_id)
            if entry["digest"] != item.get("digest", {}).get("S"):
                raise Violation("I2", f"entry {key} has two digests", member_id)
        return entry

    def source(self, entry: Entry) -> Mapping[str, Any] | None:
        """The event, as it was accepted, that an entry is of."""
        known = self.seen.accepted.get(entry["event_id"], {})
        if entry["type"] in PERSONAL:  # what it said is kept apart from the entry
            return next((event for event in known.values() if says_when(event) == says_when(entry)), None)
        return known.get(content({**entry, "data": on_the_wire(entry["data"])}))

    def _follow(self, member: Member, entry: Entry) -> None:
        """One entry more: numbered, added up, its lots, and what the rules give for it."""
        self.seen.stats["I1"] += 1
        name, number = member.member_id, entry["seq"]
        if number != member.account.seq + 1:
            raise Violation("I1", f"entry {number} of {name} follows entry {member.account.seq}", name)
        posted = datetime.fromisoformat(entry["posted_at"])
        if "event_id" in entry and member.last_posted is not None and posted < member.last_posted:
            raise Violation("I1", f"entry {number} of {name} was posted before what stands before it", name)
        for program, part in entry["parts"].items():
            member.balances[program] += part["points"]
            if part["balance"] != member.balances[program]:
                told = f"balance {part['balance']}, the entries give {member.balances[program]}"
                raise Violation("I1", f"entry {number} of {name}: {program} {told}", name)
            self._lots(member, entry, program, part, posted)
        self._in_time(member, entry, posted)
        try:
            apply_entry(member.account, entry)
        except ValueError as error:
            raise Violation("I1", str(error), name) from error
        self._as_the_rules_say(member, entry, posted)
        member.last_posted = posted if "event_id" in entry else member.last_posted

    def _in_time(self, member: Member, entry: Entry, posted: datetime) -> None:
        """Rules 1.2: an event is posted as of when its message was first sent, or of what was posted last."""
        if "event_id" not in entry or entry["key"] != entry["event_id"]:
            return
        if posted not in self.seen.sent[entry["event_id"]] and posted != member.account.as_of:
            raise Violation(
                "I3", f"entry {entry['key']} was posted at {posted}, sent at no such time", member.member_id
            )

    def _lots(self, member: Member, entry: Entry, program: str, part: Mapping[str, Any], posted: datetime) -> None:
        """I8: a lot expires once, as a whole, on its day; and nothing enters or leaves it from then on."""
        lots, today = member.lots[program], posted.toordinal()
        for day, delta in part.get("lots", ()):
            over = day + WINDOWS[program] <= today
            what = f"entry {entry['seq']} of {member.member_id}: {program} lot {date.fromordinal(day)}"
            if part["kind"] == "expiry":
                self.seen.stats["I8"] += 1
                if not over or lots[day] != -delta:
                    told = f"{delta} on {posted:%Y-%m-%d} of {lots[day]}"
                    raise Violation("I8", f"{what} expires by {told}", member.member_id)
            elif over:
                raise Violation("I8", f"{what} changes by {delta} after it has expired", member.member_id)
            lots[day] += delta

    def _as_the_rules_say(self, member: Member, entry: Entry, posted: datetime) -> None:
        event: Mapping[str, Any] | None = _for_the_opinion(entry)
        if "event_id" in entry:
            event = None if entry["type"] in PERSONAL else self.source(entry)
        if event is None:
            return
        if entry["key"] != entry.get("event_id", entry["key"]):
            released = member.opinion.release(entry["event_id"], posted)
            if released is None:
                raise Violation("I2", f"entry {entry['key']}: no parked event has it coming", member.member_id)
            wanted = released
        else:
            wanted = member.opinion.post(dict(event), posted)
        self.seen.stats["I3 entries"] += 1
        did = {program: part["points"] for program, part in entry["parts"].items() if part["points"]}
        should = {program: points for program, points in wanted.points.items() if points}
        if wanted.event_id != entry.get("event_id", wanted.event_id) or did != should:
            told = f"did {did}, the rules give {should} for {wanted.event_id}"
            raise Violation("I3", f"entry {entry['key']} of {member.member_id} {told}", member.member_id)

    # The account

    def _account(self, member: Member, change: Change, pages: Mapping[tuple[str, str], Change]) -> None:
        """I1: the account is the fold of the entries, in each of its fields; its pages were written along with it."""
        name, item = member.member_id, change.new
        if item is None:
            return
        version = int(item["version"]["N"])
        if version != member.account.version + 1:
            raise Violation("I1", f"version {version} of {name} follows {member.account.version}", name)
        member.account.version, member.exists = version, True
        stored, given = body_of(item), json.loads(json.dumps(encode_account(member.account)))
        if stored != given:
            differs = {
                field: (stored.get(field), given.get(field))
                for field in stored.keys() | given.keys()
                if stored.get(field) != given.get(field)
            }
            raise Violation("I1", f"account of {name} (stored, by its entries): {differs}", name)
        for filled, letter in ((member.account.filled_journal, "J#"), (member.account.filled_marks, "K#")):
            for page, text in filled.items():
                written = pages.get((name, f"{letter}{page:06d}"))
                if written is None or written.new is None or body_of(written.new) != text:
                    raise Violation("I1", f"page {letter}{page} of {name} was not written with its account", name)
            filled.clear()
        member.tiers[version] = {
            program: state.tier for program, state in member.account.programs.items() if state.tier
        }
        member.account.warned = datetime.fromisoformat(item["warned"]["S"]) if "warned" in item else None
        due = due_at(member.account, self.seen.programs)
        wanted = (None, None)
        if due is not None:
            wanted = (f"DUE#{shard_of(name, self.seen.shards)}", format_instant(due))  # type: ignore[assignment]
        found = tuple(item[each]["S"] if each in item else None for each in ("due_shard", "due_at"))
        if found != wanted:
            raise Violation("I8", f"{name} is in the index of what is due as {found}, and belongs to {wanted}", name)

    def _agrees(self, member: Member, entries: list[Entry]) -> None:
        """I3: points, tier and since when, as the second implementation has them at the instant of the last entry."""
        if not entries or member.account.erased or member.opinion.waits or member.account.as_of is None:
            return
        settled = member.account
        if not any("type" in entry for entry in entries):  # a sweep may have left reviews to another
            settled = member.account.clone()
            settle_wholly(settled, self.seen.programs, member.account.as_of)
        self.seen.stats["I3"] += 1
        self._compare(member, settled, member.account.as_of)

    def _compare(self, member: Member, account: Account, moment: datetime) -> None:
        for program, wanted in member.opinion.view(moment).items():
            found = view_of(account, program, self.seen.programs)
            if found != wanted:
                told = f"holds {found}, the rules give {wanted} at {moment.astimezone(UTC)}"
                raise Violation("I3", f"{member.member_id} in {program} {told}", member.member_id)

    # The end

    def finished(self, now: datetime, rng: Random) -> None:
        """Nobody waits any more; the days to come are what the rules give; another order gives the same."""
        for member in self.seen.members.values():
            if member.opinion.waits and not member.account.erased:
                raise Violation("I5", f"{member.opinion.waits} never took effect", member.member_id)
            if not member.exists or member.account.erased or member.account.as_of is None:
                continue
            for wait in LATER:
                ahead, moment = member.account.clone(), max(now, member.account.as_of) + wait
                settle_wholly(ahead, self.seen.programs, moment)
                self._compare(member, ahead, moment)
            self._in_any_order(member, max(now, member.account.as_of), rng)

    def _in_any_order(self, member: Member, moment: datetime, rng: Random) -> None:
        """I9: the same points in every program, and the same tiers in `club` and `crowns`."""
        if member.opinion.depends_on_order():
            return
        other = member.opinion.in_another_order(rng, moment)
        if other is None:
            return
        self.seen.stats["I9"] += 1
        settled = member.account.clone()
        settle_wholly(settled, self.seen.programs, moment)
        for program, wanted in other.items():
            found = view_of(settled, program, self.seen.programs)
            if found.points != wanted.points or (program != "vip" and found.tier != wanted.tier):
                told = f"ends with {found[:2]}, in another order with {wanted[:2]}"
                raise Violation("I9", f"{member.member_id} in {program} {told}", member.member_id)


def view_of(account: Account, program: str, programs: Programs) -> View:
    """A member in a program, in the words of the second opinion."""
    state = account.program(program)
    since = None if state.since is None else date.fromordinal(state.since)
    return View(state.points, programs.versions(program)[-1].codes[state.tier], since)


def says_when(event: Mapping[str, Any]) -> tuple[Any, ...]:
    """What is known of an event whose data is kept apart."""
    return event["type"], event["member_id"], datetime.fromisoformat(event["occurred_at"]).astimezone(UTC)


def on_the_wire(data: Any) -> Any:
    """An entry's data as its event had it: money in words, not in minor units."""
    if isinstance(data, dict):
        return {name: dollars(each) if name in MONEY else on_the_wire(each) for name, each in data.items()}
    return [on_the_wire(each) for each in data] if isinstance(data, list) else data


def _for_the_opinion(entry: Entry) -> dict[str, Any] | None:
    """What people did, as the second implementation reads it; None for what fell due, and for an erasure."""
    if entry.get("type") != "adjustment":
        return None
    ((program, part),) = entry["parts"].items()
    points = part["points"]
    sign = "-" if points < 0 else ""
    amount = {"spend": f"{sign}{dollars(abs(points))}"} if program == "vip" else {"points": points}
    data = {"program": program, **amount}
    return {"event_id": entry["key"], "type": "adjustment", "occurred_at": entry["occurred_at"], "data": data}


def watched_by(entries: Mapping[str, Entry], item_id: str) -> Iterator[Entry]:
    """The entries of events that put an item on a list, or take it off."""
    for entry in entries.values():
        if entry.get("type", "").split(".")[0] in ("wishlist", "cart") and entry["data"]["item_id"] == item_id:
            yield entry
