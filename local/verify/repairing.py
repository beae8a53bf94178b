"""`python -m local verify --repair`: puts right what follows from entries and decisions, and nothing else.

It may run while the club does. What is put right of a member is worked out from the member's items as they were read,
and written in one transaction, under the condition that the account and every item that is replaced are as they were
read; where they are not, the member is read again. An entry, a decision, a payout, an adjustment and a code are never
written: what is wrong with one is said, with what to do.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from botocore.exceptions import ClientError

from club_ledger import items, watching
from club_ledger.items import SEAL, AccountItem, RecordItem, RewardsItem, VersionedItem, WatchItem, seal_of
from club_ledger.rewarding import new_code
from club_ledger.store import shard_of
from club_rules.account import encode_account
from club_rules.rewards import GIFTS, Rewards, encode_rewards, next_due, take_entry
from club_rules.settling import due_at
from club_rules.times import format_instant, parse_instant
from local import standing
from local.verify.kinds import (
    CHUNK,
    DECISION,
    DISPUTE,
    ENTRY,
    MADE,
    MARKS,
    ORDER,
    PAGE,
    PAYOUT,
    STANDING_GROUP,
    WAITING,
    WATCH,
    Club,
    Item,
    Key,
    as_json,
    check_seal,
    check_shape,
    key_of,
    member_group,
    number,
    shape_of,
)
from local.verify.member import Member
from local.verify.rewards import rewards_in
from local.verify.shared import check_standing

AT_ONCE = 40
"""So many items are put right in one transaction, beside the account that they go by."""

TRIES = 8
READ_AT_ONCE = 100
"""DynamoDB's bound for one BatchGetItem."""

Say = Callable[[str], None]
Change = tuple[Key, Item | None]
"""An item by its key as it has to be; ``None``: it has to go."""


class Table:
    """A table by its name, read with a boto3 DynamoDB ``client``: where a member is read again, consistently."""

    def __init__(self, client: Any, name: str) -> None:
        self.client = client
        self.name = name

    def again(self, group: str, records: list[Item]) -> list[Item] | None:
        """All items of a member's group as they stand now, at one moment; ``None`` for what is no member's.

        ``records``: what was found of it before, by which its entries and decisions are known.
        """
        kind, _, member_id = group.partition(":")
        if kind != "m":
            return self.batch(map(key_of, records)) if kind in ("a", "r") else None
        known = {key_of(item) for item in records}
        for _ in range(TRIES):
            before = self._account(member_id)
            found = {key_of(item): item for item in self._partition(items.member_key(member_id))}
            wanted = known | self._named(member_id, found)
            found |= {key_of(item): item for item in self.batch(wanted - found.keys())}
            if self._account(member_id) == before:
                break
        return [item for item in found.values() if _concerns(item, member_id)]

    def _account(self, member_id: str) -> Item | None:
        key = {"pk": {"S": items.member_key(member_id)}, "sk": {"S": items.ACCOUNT}}
        item: Item | None = self.client.get_item(TableName=self.name, Key=key, ConsistentRead=True).get("Item")
        return item

    def _partition(self, pk: str) -> Iterator[Item]:
        how = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": pk}}}
        pages = self.client.get_paginator("query").paginate(TableName=self.name, ConsistentRead=True, **how)
        for page in pages:
            yield from page["Items"]

    def _named(self, member_id: str, found: dict[Key, Item]) -> set[Key]:
        """The keys that the member's partition names: entries by the journal, decisions by their references."""
        member = Member(member_id, found.values(), Club(None, 0))
        rows: list[str] = []
        for _, page in sorted(member.bodies_of(PAGE).items()):
            rows += page
        state = member.bodies.get(member.account_key)
        rows += state.get("j", ()) if isinstance(state, dict) else ()
        named = {(items.counted_key(member_id), items.SINGLE), (items.rewards_key(member_id), items.SINGLE)}
        for seq, row in enumerate(rows, start=1):
            key = str(row).rpartition(" ")[2]
            if key.startswith("~"):
                key = f"{key}~{member_id}~{seq}"
            if key:
                named.add((items.entry_key(key), items.SINGLE))
        for _, made in member.of.get(MADE, ()):
            named.add((items.decision_key(items.decision_of(made)), items.SINGLE))
        return named

    def batch(self, keys: Iterable[Key]) -> list[Item]:
        """Items by their keys, read consistently; who is not there is missing. Raises what the client raises."""
        wanted = [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in sorted(set(keys))]
        found: list[Item] = []
        for start in range(0, len(wanted), READ_AT_ONCE):
            waiting: Any = {self.name: {"Keys": wanted[start : start + READ_AT_ONCE], "ConsistentRead": True}}
            for tried in range(TRIES):
                answer = self.client.batch_get_item(RequestItems=waiting)
                found += answer["Responses"].get(self.name, ())
                waiting = answer.get("UnprocessedKeys")
                if not waiting:
                    break
                time.sleep(0.05 * 2**tried)
            else:
                raise TimeoutError(f"the table {self.name} gave no answer for {len(waiting)} keys")
        return found

    def write(self, changes: list[Change], as_read: dict[Key, Item], guards: Iterable[Key]) -> bool:
        """Carries out ``changes`` in one transaction, if they and the ``guards`` are ``as_read``; whether they were."""
        actions = [self._change(key, wanted, as_read.get(key)) for key, wanted in changes]
        changed = {key for key, _ in changes}
        for key in guards:
            if key not in changed:
                unchanged = {"TableName": self.name, "Key": _key(key), **_condition(as_read.get(key))}
                actions.append({"ConditionCheck": unchanged})
        try:
            self.client.transact_write_items(TransactItems=actions)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("TransactionCanceledException", "TransactionConflictException"):
                return False
            raise
        return True

    def _change(self, key: Key, wanted: Item | None, stored: Item | None) -> dict[str, Any]:
        if wanted is None:
            return {"Delete": {"TableName": self.name, "Key": _key(key), **_condition(stored)}}
        return {"Put": {"TableName": self.name, "Item": wanted, **_condition(stored)}}


def _key(key: Key) -> Item:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def _condition(stored: Item | None) -> dict[str, Any]:
    """That an item is still exactly as it was read: every attribute of it, whatever it holds."""
    if stored is None:
        return {"ConditionExpression": "attribute_not_exists(pk)"}
    names = sorted(stored)
    return {
        "ConditionExpression": " AND ".join(f"#n{place} = :v{place}" for place in range(len(names))),
        "ExpressionAttributeNames": {f"#n{place}": name for place, name in enumerate(names)},
        "ExpressionAttributeValues": {f":v{place}": stored[name] for place, name in enumerate(names)},
    }


def _concerns(item: Item, member_id: str) -> bool:
    from local.verify.kinds import groups_of

    return member_group(member_id) in groups_of(item)


# --- what has to be written


def changes_of(member: Member) -> list[Change]:
    """What has to be written for a checked member to be whole again: the account first, then the rest.

    Empty where the entries themselves are not sound: then nothing follows from them that could be relied on.
    """
    if not member.sound:
        return []
    changes = [*_account(member), *_records(member), *_watches(member), *_decided(member), *_emptied(member)]
    if member.club.outbox:
        changes += _rewards(member)
        if member.entries or not (member.items.keys() - {(items.counted_key(member.id), items.SINGLE)}):
            changes += _lost_note(member)
    return changes


def _wrong(member: Member, key: Key, wanted: Any) -> bool:
    """Whether an item is not there as it has to be: its content, its attributes, its seal."""
    item = member.items.get(key)
    if item is None or member.bodies[key] != wanted:
        return True
    return any(True for _ in (*check_shape(member.id, item), *check_seal(member.id, item, member.club)))


def _next_version(item: Item | None, at_least: int = 0) -> int:
    return max(number(item or {}, "version") or 0, at_least) + 1


def _account(member: Member) -> list[Change]:
    key, item = member.account_key, member.items.get(member.account_key)
    if not member.entries:
        return [(key, None)] if item is not None else []
    account = member.history.account
    account.warned = None
    if item is not None:
        try:
            account.warned = parse_instant(item["warned"]["S"])
        except (KeyError, TypeError, ValueError):
            account.warned = None
    body = as_json(encode_account(account))
    due = due_at(account, member.club.programs)
    place: tuple[str | None, str | None] = (None, None)
    if due is not None:
        place = items.due_key(shard_of(member.id, member.club.shards)), format_instant(due)
    found = tuple((item or {}).get(name, {}).get("S") for name in ("due_shard", "due_at"))
    if not _wrong(member, key, body) and found == place and ("warned" not in (item or {}) or account.warned):
        return []
    note = member.bodies.get((items.counted_key(member.id), items.SINGLE))
    counted = note.get("of") if isinstance(note, dict) else 0
    wanted = AccountItem(*key, version=_next_version(item, counted if type(counted) is int else 0), body=body)
    wanted.due_shard, wanted.due_at = place
    if account.warned is not None:
        wanted.warned = format_instant(account.warned)
    return [(key, wanted.serialize())]


def _records(member: Member) -> Iterator[Change]:
    wanted = member.wanted_records() if member.entries else {}
    stored = {key for shape in (PAGE, MARKS, ORDER) for key in member.of.get(shape, ())}
    for key in sorted(wanted.keys() | stored):
        if key not in wanted:
            yield key, None
        elif _wrong(member, key, wanted[key]):
            yield key, RecordItem(*key, body=wanted[key]).serialize()


def _watches(member: Member) -> Iterator[Change]:
    wanted = member.wanted_watches() if member.entries else {}
    for key in sorted(wanted.keys() | member.of.get(WATCH, {}).keys()):
        item, item_id = member.items.get(key), key[1].removeprefix(items.WATCHED)
        if key not in wanted:
            yield key, None
            continue
        place = watching.in_index(member.id, item_id, wanted[key], member.club.shards)
        found = tuple((item or {}).get(name, {}).get("S") for name in ("due_shard", "due_at"))
        if _wrong(member, key, wanted[key]) or found != place:
            record = WatchItem(*key, version=_next_version(item), body=wanted[key])
            record.due_shard, record.due_at = place
            yield key, record.serialize()


def _decided(member: Member) -> Iterator[Change]:
    """References to decisions, and the approvals of late: both follow from the decisions, where those are sound."""
    if any(problem.item and shape_of(problem.item) is DECISION for problem in member.problems):
        return
    wanted = member.wanted_references()
    for key in sorted(wanted | member.of.get(MADE, {}).keys()):
        if key not in wanted:
            yield key, None
        elif _wrong(member, key, {}):
            yield key, RecordItem(*key, body={}).serialize()
    key = items.member_key(member.id), items.VELOCITY
    rows, named = member.wanted_velocity(), {problem.item for problem in member.problems}
    if key in named:
        record = VersionedItem(*key, version=_next_version(member.items.get(key)), body=rows)
        yield key, record.serialize() if rows else None


def _emptied(member: Member) -> Iterator[Change]:
    """What an erased member still has."""
    key = items.member_key(member.id), items.PROFILE
    if member.history.account.erased and member.items.get(key) is not None and member.bodies[key] != {}:
        yield key, RecordItem(*key, body={}).serialize()


def _rewards(member: Member) -> Iterator[Change]:
    """The coupons that were lost, the days that gifts go by, and the place in the index.

    What was issued can't be made again: its codes are nowhere else. So rewards that are not as they were written are
    put right only where that brings back what was written, by its seal; others are left as they are.
    """
    key = items.rewards_key(member.id), items.SINGLE
    item, rewards = member.items.get(key), rewards_in(member.items.get(key))
    if member.history.account.erased:
        if item is None or rewards is None or not rewards.erased or "due_at" in item or "due_shard" in item:
            rewards = Rewards()
            rewards.erased = True
            yield key, _sealed_rewards(member, rewards, item)
        return
    if rewards is None or rewards.erased or not member.entries:
        return
    before = as_json(encode_rewards(rewards))
    _take_coupons(rewards, member)
    profile = member.bodies.get((items.member_key(member.id), items.PROFILE))
    if isinstance(profile, dict):
        _take_days(rewards, profile)
        if rewards.through is None and (rewards.birthday or rewards.registered_on):
            rewards.through = member.history.account.as_of
    wanted = _sealed_rewards(member, rewards, item)
    names = ("due_shard", "due_at")
    is_right = as_json(encode_rewards(rewards)) == before
    if item is None:
        if not is_right:
            yield key, wanted
        return
    is_right = is_right and [wanted.get(name) for name in names] == [item.get(name) for name in names]
    if is_right and not any(True for _ in check_shape(member.id, item)):
        return
    as_written = {**wanted, "version": item.get("version", {"N": "0"})}
    if not any(True for _ in check_seal(member.id, item, member.club)) or seal_of(as_written) == item[SEAL].get("B"):
        yield key, wanted


def _take_coupons(rewards: Rewards, member: Member) -> None:
    """Schedules what the entries give and is not there, and puts right what is scheduled otherwise."""
    given = Rewards()
    for entry in member.entries:
        take_entry(given, member.club.programs, entry, new_code)
    right = {each["id"]: each for each in given.scheduled}
    rewards.scheduled = [
        right.get(each["id"], each)
        for each in rewards.scheduled
        if each["kind"] in GIFTS or (each["id"] in right and not rewards.has(each["id"]))
    ]
    for entry in member.entries:
        take_entry(rewards, member.club.programs, entry, new_code)


def _take_days(rewards: Rewards, profile: dict[str, Any]) -> None:
    """The days that gifts go by are those of the profile; what has been seen to stays so."""
    stated = Rewards()
    for name, value in (("birthday", "birthday"), ("registered_on", "registered_on"), ("set_at", "birthday_set_at")):
        text = profile.get(value)
        if text is not None:
            parsed = parse_instant(text) if name == "set_at" else parse_instant(f"{text}T00:00:00Z").date()
            setattr(stated, name, parsed)
    rewards.birthday, rewards.set_at, rewards.registered_on = stated.birthday, stated.set_at, stated.registered_on


def _sealed_rewards(member: Member, rewards: Rewards, item: Item | None) -> Item:
    record = RewardsItem(items.rewards_key(member.id), items.SINGLE, version=_next_version(item))
    record.body = encode_rewards(rewards)
    due = next_due(rewards, member.club.programs)
    if due is not None:
        record.due_shard = items.due_key(shard_of(member.id, member.club.shards), items.REWARD)
        record.due_at = format_instant(due)
    return record.serialize()


def _lost_note(member: Member) -> Iterator[Change]:
    """A note of what is counted that is of nobody, or can't be read: it goes, and the standing is counted anew."""
    key = items.counted_key(member.id), items.SINGLE
    item = member.items.get(key)
    if item is None:
        return
    faults = [*check_shape(member.id, item), *check_seal(member.id, item, member.club)]
    if faults or not member.entries:
        yield key, None


# --- putting it right


def repair(table: Table, club: Club, concerned: Mapping[str, Iterable[Key]], say: Say) -> None:
    """Puts right what can be, then the standing; says what was written.

    ``concerned``: the groups in which something was found, with the keys of all their items. Raises what the table
    raises; what had been put right by then stays so.
    """
    for group, keys in sorted(concerned.items()):
        kind, _, member_id = group.partition(":")
        if kind == "m":
            repair_member(table, club, member_id, keys, say)
    if club.outbox:
        _clear_counters(table, concerned.get(STANDING_GROUP, ()), say)
        standing.rebuild(table.client, table.name, club.programs, say)


def repair_member(table: Table, club: Club, member_id: str, keys: Iterable[Key], say: Say) -> None:
    """Puts right what can be of one member; ``keys``: items that are known to be the member's."""
    for _ in range(TRIES):
        records = table.again(member_group(member_id), [{"pk": {"S": pk}, "sk": {"S": sk}} for pk, sk in keys])
        member = Member(member_id, records or (), club)
        member.check()
        if not member.problems:
            return
        waiting = changes_of(member)
        if not waiting:
            say(f"{member_id}: nothing of it could be put right")
            return
        # as many as fit into one transaction; the account is written first, and guarded by every further one
        batch = waiting[:AT_ONCE]
        assert not any(shape_of(key) in _NEVER for key, _ in batch)
        if table.write(batch, member.items, [member.account_key]):
            for (pk, sk), wanted in batch:
                say(f"{member_id}: {pk} {sk}: {'taken away' if wanted is None else 'put right'}")
            if len(waiting) <= AT_ONCE:
                return
        else:
            time.sleep(0.05)
    say(f"{member_id}: the member was written to each time: try again")


_NEVER = (ENTRY, DECISION, PAYOUT, DISPUTE, WAITING, CHUNK)


def _clear_counters(table: Table, keys: Iterable[Key], say: Say) -> None:
    """Takes away a shard of the standing that is none, or holds what no counter is; its sum is made up for."""
    for item in table.batch(keys):
        if any(problem.item is not None for problem in check_standing([item], Counter())):
            table.write([(key_of(item), None)], {key_of(item): item}, ())
            say(f"standing: {key_of(item)[0]}: taken away")
