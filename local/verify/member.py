"""All that a table holds of one member, compared with what the member's entries and decisions give."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from hashlib import sha256
from typing import Any

from club_ledger import items, watching
from club_ledger.standing import held_by
from club_ledger.store import counted_in, shard_of
from club_rules import decisions
from club_rules.account import JOURNAL_PAGE, SETTLING, Entry, encode_account, is_settling
from club_rules.decisions import velocity_memory
from club_rules.fields import canonical
from club_rules.money import parse_money
from club_rules.posting import adjustment_key
from club_rules.settling import due_at
from club_rules.times import format_instant, parse_instant
from local.standing import noted_problems
from local.verify.history import PERSONAL, History, adjustment_digest
from local.verify.kinds import (
    ALERT,
    CHUNK,
    DECISION,
    DISPUTE,
    ENTRY,
    LOOK,
    MADE,
    MARKS,
    NOTE,
    ORDER,
    PAGE,
    PAYOUT,
    REPAIR,
    RESTORE,
    VELOCITY,
    WAITING,
    WATCH,
    Club,
    Item,
    Key,
    Problem,
    Shape,
    as_json,
    check_seal,
    check_shape,
    differences,
    key_of,
    name_of,
    number,
    readable,
    shape_of,
)
from local.verify.rewards import codes_of, reward_problems

PERHAPS = "post the event again, or restore the items that are missing, see docs/verify.md#what-can-not-be-repaired"


class Member:
    """What a table holds of a member, and what is found when it is checked.

    ``records``: every item of the member's group, as DynamoDB has it. After ``check``: ``problems``, the ``history``
    (whose account, orders and pages are what they have to be, where ``sound``), the ``tiers`` that the standing counts
    (``None``: not counted), and the ``codes`` of coupons.
    """

    def __init__(self, member_id: str, records: Iterable[Item], club: Club) -> None:
        self.id = member_id
        self.club = club
        self.items: dict[Key, Item] = {key_of(item): item for item in records}
        self.of: dict[Shape | None, dict[Key, Item]] = {}
        for key, item in self.items.items():
            self.of.setdefault(shape_of(key), {})[key] = item
        self.bodies: dict[Key, Any] = {key: readable(item) for key, item in self.items.items()}
        self.history = History(member_id, club.programs)
        self.entries: list[Entry] = []
        self.sound = True
        self.tiers: dict[str, str] | None = None
        self.codes: list[tuple[str, str]] = []
        self.problems: list[Problem] = []

    @property
    def account_key(self) -> Key:
        """The key of the member's account."""
        return items.member_key(self.id), items.ACCOUNT

    def check(self) -> None:
        """Compares everything with everything."""
        parts = [self._entries, self._account, self._records, self._profile, self._decided, self._waiting]
        parts += [self._told]
        if self.club.outbox:
            parts += [self._rewards, self._standing]
        else:
            parts += [self._erased_rewards]
        for part in parts:
            try:
                self.problems += part()
            except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
                # a changed item can be of any form; whatever it does to a check is a finding, and not the end of it
                self.problems.append(self._say(f"{part.__name__[1:]}: it can't be looked at: {error!r}", None, LOOK))
        self.problems += self._shapes()
        named = {problem.item for problem in self.problems}
        for key, item in self.items.items():
            if key not in named and shape_of(key) not in (ALERT, CHUNK):  # whose group they are looks at those
                self.problems += check_seal(self.id, item, self.club)

    def bodies_of(self, shape: Shape) -> dict[Key, Any]:
        """What is packed into the items of a kind, by their keys; of those that can be read."""
        found = {key: self.bodies[key] for key in sorted(self.of.get(shape, ()))}
        return {key: body for key, body in found.items() if isinstance(body, shape.body)}

    def _say(self, text: str, item: Key | None = None, advice: str = REPAIR) -> Problem:
        return Problem(self.id, text, item, advice)

    def _shapes(self) -> list[Problem]:
        """What is wrong with items by themselves; of one that can't be read it may have been said what is missing."""
        named = {problem.item for problem in self.problems}
        own = [item for key, item in self.items.items() if shape_of(key) not in (ALERT, CHUNK)]
        found = [problem for item in own for problem in check_shape(self.id, item)]
        return [each for each in found if each.item not in named or not each.text.endswith("can't be read")]

    # --- the entries

    def _entries(self) -> Iterator[Problem]:
        numbered: dict[int, list[tuple[Key, Entry]]] = {}
        for key, entry in self.bodies_of(ENTRY).items():
            yield from self._entry_itself(key, entry)
            if type(entry.get("seq")) is int:
                numbered.setdefault(entry["seq"], []).append((key, entry))
            else:
                self.sound = False
        for seq, found in sorted(numbered.items()):
            if len(found) > 1:
                self.sound = False
                names = ", ".join(name_of(key) for key, _ in found)
                yield self._say(
                    f"seq: the entries don't add up: {names} all have the number {seq}", found[1][0], RESTORE
                )
        yield from self._fold(numbered)
        self.entries = [self.history.entries[seq] for seq in sorted(self.history.entries)]

    def _entry_itself(self, key: Key, entry: Entry) -> Iterator[Problem]:
        name, item = f"entry {name_of(key)}", self.items[key]
        if items.entry_key(str(entry.get("key"))) != key[0]:
            self.sound = False
            yield self._say(f"{name}: key: its content belongs to {entry.get('key')!r}", key, RESTORE)
        digest = item.get("digest", {}).get("S")
        if digest != entry.get("digest", ""):
            yield self._say(f"{name}: digest: beside the body {digest!r}, in it {entry.get('digest')!r}", key, RESTORE)

    def _fold(self, numbered: dict[int, list[tuple[Key, Entry]]]) -> Iterator[Problem]:
        """The history, as far as the entries' numbers go without a gap."""
        last = max(numbered, default=0)
        for seq in range(1, max(last, self._claimed()) + 1):
            if seq not in numbered:
                self.sound = False
                yield self._say(f"the entries don't add up: entry {seq}{self._named(seq)} is missing", None, RESTORE)
                return
            key, entry = numbered[seq][0]
            try:
                for fault in self.history.take(entry):
                    self.sound = False
                    yield self._say(f"entry {name_of(key)} (number {seq}): {fault.text}", key, RESTORE)
            except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError) as error:
                self.sound = False
                yield self._say(f"entry {name_of(key)}: the entries don't add up: {error}", key, RESTORE)
                return

    def _claimed(self) -> int:
        """How many entries the account knows of: a changed account only as many as its number and its journal say."""
        item, state = self.items.get(self.account_key), self.bodies.get(self.account_key)
        if item is None or not isinstance(state, dict) or type(state.get("n")) is not int:
            return 0
        rows = state.get("j", [])
        known = state.get("jp", 0) * JOURNAL_PAGE + len(rows) if isinstance(rows, list) else 0
        if not any(True for _ in check_seal(self.id, item, self.club)):
            return int(state["n"])
        # one that stands under another key names the entries of somebody else
        return min(state["n"], known) if self.bodies_of(ENTRY) else 0

    def _named(self, seq: int) -> str:
        """What the journal calls an entry that is missing, as people read it."""
        page, place = divmod(seq - 1, JOURNAL_PAGE)
        rows = self.bodies.get((items.member_key(self.id), items.journal_key(page)))
        state = self.bodies.get(self.account_key)
        if rows is None and isinstance(state, dict) and page == state.get("jp", 0):
            rows = state.get("j")
        try:
            key = rows[place].rpartition(" ")[2] if rows else ""
        except (IndexError, AttributeError, KeyError):
            key = ""
        if key.startswith(SETTLING):
            key = f"{key}{SETTLING}{self.id}{SETTLING}{seq}"
        return f" ({items.entry_key(key)} by the journal)" if key else ""

    # --- the account, and what is written with it

    def _account(self) -> Iterator[Problem]:
        item, key = self.items.get(self.account_key), self.account_key
        if item is None:
            if self.bodies_of(ENTRY):
                yield self._say("has entries but no account", key)
            elif any(shape not in (MADE, DECISION, NOTE, ALERT, CHUNK, PAYOUT, DISPUTE) for shape in self.of):
                yield self._say("has items but no account", None, REPAIR if self._only_derived() else LOOK)
            return
        if not self.bodies_of(ENTRY):
            yield self._say("has an account, but no entries", key)
            return
        stored = self.bodies[key]
        if not isinstance(stored, dict):
            yield self._say("the account can't be read", key)
            return
        if not self.sound:
            return  # what is compared with has to be right itself
        account = self.history.account
        for path, found, given in differences(stored, as_json(encode_account(account))):
            yield self._say(f"account field {path}: stored {found!r}, the entries give {given!r}", key)
        last = max((entry["seq"] for entry in self.entries), default=0)
        if stored.get("n") != last:
            yield self._say(f"account field n: stored {stored.get('n')!r}, there are {last} entries", key)
        yield from self._index(item, key)

    def _only_derived(self) -> bool:
        return all(shape in (PAGE, MARKS, ORDER, WATCH, VELOCITY, MADE, NOTE, ALERT, CHUNK) for shape in self.of)

    def _index(self, item: Item, key: Key) -> Iterator[Problem]:
        """The account's place in the index of what is due."""
        account = self.history.account
        if "warned" in item:
            try:
                account.warned = parse_instant(item["warned"]["S"])
            except (KeyError, ValueError):
                yield self._say(f"warned: stored {item['warned']!r} is no instant", key)
                return
        due = due_at(account, self.club.programs)
        wanted: tuple[str | None, str | None] = (None, None)
        if due is not None:
            wanted = items.due_key(shard_of(self.id, self.club.shards)), format_instant(due)
        if (found := _place(item)) != wanted:
            yield self._say(f"due index: stored {found}, the account gives {wanted}", key)

    def _records(self) -> Iterator[Problem]:
        """Pages, orders and watched items: what the history gives, no more and no less."""
        if not self.sound or not self.entries:
            if not self.entries:
                for key, item in self.items.items():
                    if shape_of(key) in (PAGE, MARKS, ORDER, WATCH):
                        yield self._say(f"{shape_of(key).name} {key[1]}: nothing gives it", key_of(item))  # type: ignore[union-attr]
            return
        wanted = self.wanted_records()
        keys = wanted.keys() | {key for shape in (PAGE, MARKS, ORDER) for key in self.of.get(shape, ())}
        for key in sorted(keys):
            stored, given = self.bodies.get(key), wanted.get(key)
            if stored == given:
                continue
            name = f"order {key[1].removeprefix('O#')}" if key[1].startswith("O#") else f"page {key[1]}"
            if stored is None or given is None:
                yield self._say(f"{name}: stored {stored!r}, the entries give {given!r}", key)
            else:
                for path, found, right in differences(stored, given):
                    yield self._say(f"{name}: {path}: stored {found!r}, the entries give {right!r}", key)
        yield from self._watched()

    def wanted_records(self) -> dict[Key, Any]:
        """What the history gives of pages and orders: the content by key."""
        account, pk = self.history.account, items.member_key(self.id)
        wanted: dict[Key, Any] = {(pk, items.journal_key(page)): rows for page, rows in account.filled_journal.items()}
        wanted |= {(pk, items.marks_key(page)): marks for page, marks in account.filled_marks.items()}
        return wanted | {(pk, items.order_key(name)): as_json(order) for name, order in self.history.orders.items()}

    def wanted_watches(self) -> dict[Key, watching.Watched]:
        """What the history gives of what is watched; an erased member's records are empty."""
        pk, erased = items.member_key(self.id), self.history.account.erased
        wanted = {(pk, items.watch_key(name)): each for name, each in watching.all_after(self.entries).items()}
        return {key: {} if erased else watched for key, watched in wanted.items()}

    def _watched(self) -> Iterator[Problem]:
        """What the member watches by their entries, with its place in the index; an erased member watches nothing."""
        wanted = self.wanted_watches()
        for key in sorted(wanted.keys() | self.of.get(WATCH, {}).keys()):
            item_id, item = key[1].removeprefix(items.WATCHED), self.items.get(key)
            watched, given = self.bodies.get(key), wanted.get(key)
            if watched != given:
                yield self._say(f"watches {item_id}: stored {watched!r}, the entries give {given!r}", key)
            elif item is not None and watched is not None:
                found, place = _place(item), watching.in_index(self.id, item_id, watched, self.club.shards)
                if found != place:
                    yield self._say(f"watches {item_id}: in the index as {found}, its state gives {place}", key)

    def _profile(self) -> Iterator[Problem]:
        key = items.member_key(self.id), items.PROFILE
        profile = self.bodies.get(key)
        stated = any(entry.get("type") in PERSONAL for entry in self.entries)
        if key not in self.items:
            if stated:
                yield self._say("profile: it is missing, though the entries name it", key, RESTORE)
            return
        if not isinstance(profile, dict):
            return
        if self.history.account.erased:
            if profile:
                yield self._say("is erased, but has a profile", key)
            return
        if not stated and self.sound:
            yield self._say("profile: it is there, though no entry names it", key, LOOK)
        unknown = profile.keys() - {"birthday", "birthday_set_at", "country", "registered_on"}
        for name in sorted(unknown):
            yield self._say(f"profile: {name} is no field of one", key, RESTORE)
        if self.history.account.registered and "registered_on" not in profile:
            yield self._say("profile: registered_on: it doesn't fit to the entries", key, RESTORE)

    # --- decisions

    def _decided(self) -> Iterator[Problem]:
        made = self.bodies_of(DECISION)
        wanted = self.wanted_references()
        for key in sorted(wanted | self.of.get(MADE, {}).keys()):
            if key not in wanted:
                of = items.decision_of(key[1])
                yield self._say(f"decision {of}: decided_at: the member's reference {key[1]} fits to none", key)
            elif key not in self.items:
                yield self._say(f"decision {key[1]}: the member's reference to it is missing", key)
            elif self.bodies[key] != {}:
                yield self._say(f"decision {key[1]}: body: a reference holds nothing", key)
        for key, decision in made.items():
            yield from self._decision_itself(key, decision)
        yield from self._approved(PAYOUT, decisions.REFUND, items.payout_key, "order_id")
        yield from self._approved(DISPUTE, decisions.ACCELERATION, items.dispute_key, "dispute_id")
        yield from self._velocity()

    def wanted_references(self) -> set[Key]:
        """The keys under which the member's partition has to know of the decisions."""
        pk = items.member_key(self.id)
        return {
            (pk, items.made_key(body["decided_at"], body["decision_id"]))
            for body in self.bodies_of(DECISION).values()
            if isinstance(body.get("decided_at"), str) and isinstance(body.get("decision_id"), str)
        }

    def _decision_itself(self, key: Key, decision: dict[str, Any]) -> Iterator[Problem]:
        name = f"decision {name_of(key)}"
        if items.decision_key(str(decision.get("decision_id"))) != key[0]:
            yield self._say(f"{name}: decision_id: {decision.get('decision_id')!r} belongs elsewhere", key, RESTORE)
        content = {field: value for field, value in decision.items() if field != "digest"}
        digest = f"sha256:{sha256(canonical(content).encode()).hexdigest()}"
        if decision.get("digest") != digest:
            fields = ", ".join(sorted(decision.keys() | {"checks", "decided_at", "program", "program_version", "tier"}))
            yield self._say(f"{name}: digest: it is not that of the content: one of {fields} has changed", key, RESTORE)
            return
        if decisions.decision_id(decision["kind"], decision["request_id"]) != decision["decision_id"]:
            yield self._say(f"{name}: decision_id: it is not that of kind and request_id", key, RESTORE)
        if decisions._outcome(decision["checks"]) != decision["decision"]:
            yield self._say(f"{name}: decision: {decision['decision']!r} doesn't follow from its checks", key, RESTORE)

    def _approved(self, shape: Shape, kind: str, key_of_thing: Any, field: str) -> Iterator[Problem]:
        """Every approval has its payout (or acceleration), and every payout its approval (I4)."""
        names = ["decision_id", "member_id", *(["order_id"] if shape is PAYOUT else []), "dispute_id", "decided_at"]
        names.append("payout" if shape is PAYOUT else "review_due_at")
        wanted: dict[Key, dict[str, Any]] = {}
        for key, each in self.bodies_of(DECISION).items():
            if each.get("kind") == kind and each.get("decision") == decisions.APPROVED and field in each:
                thing = key_of_thing(each[field]), items.SINGLE
                if thing in wanted:
                    yield self._say(
                        f"{shape.name} {name_of(thing)}: approved twice, the second time as {key[0]}", key, LOOK
                    )
                wanted[thing] = {name: each.get(name) for name in names}
        stored = self.of.get(shape, {})
        for thing in sorted(wanted.keys() | stored.keys()):
            found, right = self.bodies.get(thing), wanted.get(thing)
            name = f"{shape.name} {name_of(thing)}"
            if right is None:
                yield self._say(
                    f"{name}: decision_id or member_id: no approved decision of the member gives it", thing, LOOK
                )
            elif found is None:
                yield self._say(f"{name}: it is missing, though {right['decision_id']} approved it", thing, RESTORE)
            elif found != right:
                for path, is_there, given in differences(found, right):
                    yield self._say(f"{name}: {path}: stored {is_there!r}, the decision {given!r}", thing, RESTORE)
            elif shape is PAYOUT:
                yield from self._within_order(name, thing, found)

    def _within_order(self, name: str, thing: Key, payout: dict[str, Any]) -> Iterator[Problem]:
        order = self.history.orders.get(payout["order_id"])
        if order is None or "lines" not in order:
            return  # a program may decide without the order's being in the ledger
        value = sum(line[3] * line[4] for line in order["lines"])
        paid = parse_money(payout["payout"]["amount"], payout["payout"]["currency"])
        if paid > value:
            yield self._say(f"{name}: payout: {paid} is above the order's value, {value}", thing, LOOK)

    def _velocity(self) -> Iterator[Problem]:
        """The approvals of late: the rows are approved refunds, none is missing that may still count."""
        key = items.member_key(self.id), items.VELOCITY
        approved = self._approvals()
        if key not in self.items:
            if approved:
                yield self._say("velocity: it is missing, though refunds were approved", key)
            return
        rows = self.bodies[key]
        if not isinstance(rows, list):
            return
        if not approved:
            yield self._say(f"velocity: stored {rows!r}, but no refund was approved", key)
            return
        left = Counter((at, amount) for at, amount in approved)
        found = [tuple(row) for row in rows if isinstance(row, list)]
        left.subtract(found)
        memory = velocity_memory(self.club.programs)
        if any(count < 0 for count in left.values()):
            yield self._say(f"velocity: body: {rows!r} are not the approved refunds, {approved!r}", key)
        latest = max(parse_instant(at) for at, _ in approved)
        for at, amount in sorted(left.elements() if min(left.values()) >= 0 else []):
            if latest - parse_instant(at) < memory:
                yield self._say(f"velocity: body: the refund of {amount} approved at {at} is missing", key)

    def _approvals(self) -> list[tuple[str, int]]:
        found = []
        for body in self.bodies_of(DECISION).values():
            if body.get("kind") == decisions.REFUND and body.get("decision") == decisions.APPROVED and "payout" in body:
                paid = body["payout"]
                try:
                    found.append((body["decided_at"], parse_money(paid["amount"], paid["currency"])))
                except (KeyError, TypeError, ValueError):
                    continue  # the decision itself is named
        return sorted(found)

    def wanted_velocity(self) -> list[list[Any]]:
        """The approvals of late by the decisions, as the latest of them left them."""
        approved = self._approvals()
        memory = velocity_memory(self.club.programs)
        latest = max((parse_instant(at) for at, _ in approved), default=None)
        return [[at, amount] for at, amount in approved if latest and latest - parse_instant(at) < memory]

    # --- adjustments that wait

    def _waiting(self) -> Iterator[Problem]:
        by_key = {entry["key"]: entry for entry in self.entries}
        for key, waiting in self.bodies_of(WAITING).items():
            name, adjustment_id = f"adjustment {name_of(key)}", str(waiting.get("adjustment_id"))
            if items.waiting_key(adjustment_id) != key[0]:
                yield self._say(f"{name}: adjustment_id: {adjustment_id!r} belongs elsewhere", key, RESTORE)
                continue
            digest = self._waiting_digest(waiting)
            if digest != self.items[key].get("digest", {}).get("S"):
                fields = "digest, member_id, program, points, spend or reason"
                yield self._say(f"{name}: digest: one of {fields} has changed", key, RESTORE)
            posted = by_key.get(adjustment_key(adjustment_id))
            if posted is not None and posted["data"].get("actor") != waiting.get("requested_by"):
                yield self._say(f"{name}: requested_by: the entry's actor is another", key, RESTORE)
        for entry in self.entries:
            if entry.get("type") == "adjustment" and "confirmed_by" in entry["data"]:
                key = items.waiting_key(entry["data"]["adjustment_id"]), items.SINGLE
                if key not in self.items:
                    yield self._say(f"adjustment {key[0]}: it is missing, though it was confirmed", key, RESTORE)

    def _waiting_digest(self, waiting: dict[str, Any]) -> str | None:
        try:
            program = self.club.programs.versions(waiting["program"])[-1]
            points = waiting["points"] if "points" in waiting else _minor(waiting["spend"], program.currency)
            return adjustment_digest(waiting["member_id"], program.id, points, waiting["reason"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return None

    # --- what others say of the member: alerts, and the chunks of sweeps

    def _told(self) -> Iterator[Problem]:
        watched = watching.all_after(self.entries) if ALERT in self.of else {}
        for key in sorted(self.of.get(ALERT, ())):
            body = self.bodies[key]
            if self.club.outbox and self.sound and isinstance(body, dict):
                if not self.entries:
                    yield self._say(f"alert {name_of(key)}: the member has no account", key, LOOK)
                elif body.get("item_id") not in watched:
                    yield self._say(f"alert {name_of(key)}: item_id: the member never watched it", key, LOOK)
        for key, noted in self.bodies_of(CHUNK).items():
            of = noted.get(self.id)
            for place, entry_key in of.items() if isinstance(of, dict) else ():
                yield from self._lowered(key, place, entry_key)

    def _lowered(self, chunk: Key, place: str, entry_key: Any) -> Iterator[Problem]:
        """What a sweep reserved for the member: an entry that it could have posted, or somebody else in its place."""
        name = f"sweep {chunk[0].removeprefix('SWEEP#')}: {chunk[1]}"
        seq = str(entry_key).rpartition(SETTLING)[2]
        right = is_settling(str(entry_key) or " ") and seq.isdigit() and SETTLING + self.id + SETTLING in entry_key
        if self.sound and not (right and self.entries):
            text = f"{name}: {place}: {entry_key!r} is no entry that the sweep could have posted"
            yield self._say(text, chunk, RESTORE)

    # --- what follows from the stream

    def _erased_rewards(self) -> Iterator[Problem]:
        key = items.rewards_key(self.id), items.SINGLE
        state = self.bodies.get(key)
        none = state == {"erased": True} and _place(self.items[key]) == (None, None)
        if self.history.account.erased and not none:
            yield self._say("is erased, but has rewards", key)
        elif not self.history.account.erased and state == {"erased": True}:
            yield self._say("has rewards of an erased member, but is not erased", key, RESTORE)

    def _rewards(self) -> Iterator[Problem]:
        yield from self._erased_rewards()
        key = items.rewards_key(self.id), items.SINGLE
        profile = self.bodies.get((items.member_key(self.id), items.PROFILE))
        profile = profile if isinstance(profile, dict) else {}
        item = self.items.get(key)
        entries = self.entries if self.sound else []
        for text in reward_problems(self.id, item, entries if self.sound else None, profile, self.club):
            yield self._say(f"rewards: {text}", key)
        self.codes = codes_of(item)

    def _standing(self) -> Iterator[Problem]:
        item, state = self.items.get(self.account_key), self.bodies.get(self.account_key)
        held = None
        if item is not None and isinstance(state, dict) and "n" in state and "p" in state:
            held = held_by(self.club.programs, self.id, number(item, "version") or 0, state)
            self.tiers = None if held.erased else held.tiers
        key = items.counted_key(self.id), items.SINGLE
        note, noted = self.items.get(key), None
        if note is not None:
            try:
                noted = counted_in(number(note, "version") or 0, self.bodies[key])
            except (KeyError, TypeError):
                yield self._say("standing: what is counted can't be read", key)
                return
        if held is not None or noted is not None:
            for text in noted_problems(held, noted):
                yield self._say(f"standing: {text}", key)


def _place(item: Item) -> tuple[str | None, str | None]:
    """An item's place in the index of what is due, as it says."""
    return item.get("due_shard", {}).get("S"), item.get("due_at", {}).get("S")


def _minor(amount: str, currency: str) -> int:
    return -parse_money(amount[1:], currency) if amount.startswith("-") else parse_money(amount, currency)
