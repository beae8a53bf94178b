"""`python -m local verify`: proves that every account is the sum of its entries (architecture 3.2).

And that the standing is what the accounts hold (rules 1.9), once the table's stream has been worked off.

It reads the whole table, which no function of the club may do: a proof wants to see everything.
"""

from __future__ import annotations

import argparse
import json
import urllib.request
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from itertools import groupby
from operator import itemgetter
from typing import Any, NamedTuple

from club_ledger import items, watching
from club_ledger.items import unpack
from club_ledger.standing import Held, held_by
from club_ledger.store import Counted, counted_in, counters_of, shard_of
from club_rules.account import Account, encode_account, is_erased, rebuild
from club_rules.programs import Programs, load_programs
from club_rules.settling import due_at
from club_rules.times import format_instant, parse_instant
from local.rewards import verify_rewards
from local.standing import difference, tally

Item = dict[str, Any]

_NO_REWARDS = {"erased": True}
"""What is left of the rewards of an erased member."""

_STANDING = items.standing_key(0).removesuffix("0")


class Report(NamedTuple):
    """How many members were checked, how many entries they have, and what differs (one line each)."""

    members: int
    entries: int
    problems: list[str]


def scan(client: Any, table_name: str) -> Iterator[Item]:
    """Every item of a table, with binary as bytes. ``client`` is a boto3 DynamoDB client."""
    for page in client.get_paginator("scan").paginate(TableName=table_name):
        yield from page["Items"]


def decoded_entries(table: Iterable[Item]) -> Iterator[dict[str, Any]]:
    """The ledger entries among a table's items, by member and number, one after the other: all of them are many."""
    prefix = items.entry_key("")
    packed: list[tuple[str, int, bytes]] = []
    for item in table:
        if item["pk"]["S"].startswith(prefix):
            entry = _readable(item)
            if entry is not None and "seq" in entry:
                packed.append((entry["member_id"], entry["seq"], item["body"]["B"]))
    for _, _, body in sorted(packed):
        yield unpack(body)


def verify(table: Collection[Item], programs: Programs, shards: int) -> Report:
    """Rebuilds every account from its entries, and compares all that the table holds of it.

    Compared are the account with its balances, tiers and caps, the journal's pages, and the place in the index of
    what is due.
    """
    own: dict[str, dict[str, Item]] = defaultdict(dict)
    prefix = items.member_key("")
    for item in table:
        # a decision on somebody without an account is known to their partition all the same
        if item["pk"]["S"].startswith(prefix) and not item["sk"]["S"].startswith(items.MADE):
            own[item["pk"]["S"].removeprefix(prefix)][item["sk"]["S"]] = item
    problems: list[str] = []
    members = count = 0
    for member_id, group in groupby(decoded_entries(table), key=itemgetter("member_id")):
        entries = list(group)
        members, count = members + 1, count + len(entries)
        faults = _verify_member(member_id, entries, own.pop(member_id, {}), programs, shards)
        problems += (f"{member_id}: {fault}" for fault in faults)
    problems += _not_emptied(table)
    problems += (
        f"entry {item['pk']['S']}: it can't be read"
        for item in table
        if item["pk"]["S"].startswith(items.entry_key("")) and _readable(item) is None
    )
    for member_id, left in own.items():
        problems += (f"{member_id}: {fault}" for fault in _verify_member(member_id, [], left, programs, shards))
    return Report(members, count, problems)


def _not_emptied(table: Iterable[Item]) -> Iterator[str]:
    """Whose rewards are there though they are erased, one line each, or the other way round."""
    erased: set[str] = set()
    rewards: dict[str, Any] = {}
    for item in table:
        member_id = items.member_of(item["pk"]["S"])
        if item["sk"]["S"] == items.ACCOUNT and is_erased(_readable(item) or {}):
            erased.add(member_id)
        elif item["pk"]["S"] == items.rewards_key(member_id):
            rewards[member_id] = (_readable(item), "due_shard" in item)
    yield from (
        f"{member_id}: is erased, but has rewards"
        for member_id in sorted(erased)
        if rewards.get(member_id) != (_NO_REWARDS, False)
    )
    yield from (
        f"{member_id}: has rewards of an erased member, but is not erased"
        for member_id, (body, _) in sorted(rewards.items())
        if body == _NO_REWARDS and member_id not in erased
    )


def verify_standing(table: Iterable[Item], programs: Programs) -> Iterator[str]:
    """Compares what is counted of members, and the sum of it, with the accounts; what differs, one line each.

    The outbox counts moments after the accounts were written: what it has not been handed yet differs.
    """
    accounts: dict[str, Held] = {}
    notes: dict[str, Counted] = {}
    shards: dict[tuple[str, str], Item] = {}
    for item in table:
        key = item["pk"]["S"], item["sk"]["S"]
        member_id, body = items.member_of(key[0]), _readable(item)
        if key[0].startswith(_STANDING):
            shards[key] = item
        elif key[1] == items.ACCOUNT and body is not None:
            accounts[member_id] = held_by(programs, member_id, int(item["version"]["N"]), body)
        elif key[0].startswith(items.COUNTED):
            try:
                notes[member_id] = counted_in(int(item["version"]["N"]), body)
            except (KeyError, TypeError):
                yield f"{member_id}: standing: what is counted can't be read"
    for member_id in sorted(accounts.keys() | notes.keys()):
        yield from (f"{member_id}: {fault}" for fault in _noted(accounts.get(member_id), notes.get(member_id)))
    counters, wanted = counters_of(shards), tally(held.tiers for held in accounts.values() if not held.erased)
    for name, missing in sorted(difference(counters, wanted).items()):
        what = name.replace("#", " ")
        yield f"standing: {what}: {wanted[name] - missing} counted, the accounts give {wanted[name]}"


def _noted(held: Held | None, note: Counted | None) -> Iterator[str]:
    if held is None:
        yield "standing: is counted, but has no account"
    elif note is None:
        yield "standing: is not counted"
    elif held.erased != note.erased:
        yield f"standing: {'is counted, but erased' if held.erased else 'is not counted any more, but not erased'}"
    else:
        for program_id in sorted(held.tiers.keys() | note.tiers.keys()):
            counted, holds = note.tiers.get(program_id), held.tiers.get(program_id)
            if counted != holds:
                lowest = "the lowest tier"
                yield f"standing: {program_id}: counted {counted or lowest}, the account holds {holds or lowest}"
        if note.of > held.version:
            yield f"standing: counted as of version {note.of} of the account, which is at {held.version}"


def _verify_member(
    member_id: str, entries: list[dict[str, Any]], own: dict[str, Item], programs: Programs, shards: int
) -> Iterator[str]:
    item = own.get(items.ACCOUNT)
    if item is None:
        yield "has entries but no account" if entries else "has items but no account"
        return
    try:
        account = rebuild(member_id, entries)
    except (ValueError, KeyError) as error:
        yield f"the entries don't add up: {error}"
        return
    stored, given = _readable(item), json.loads(json.dumps(encode_account(account)))
    if stored is None:
        yield "the account can't be read"
        return
    for field in sorted(stored.keys() | given.keys()):
        if stored.get(field) != given.get(field):
            yield f"account field {field!r}: stored {stored.get(field)!r}, the entries give {given.get(field)!r}"
    for page, keys in account.filled_journal.items():
        yield from _compare_page(own, items.journal_key(page), keys)
    for page, marks in account.filled_marks.items():
        yield from _compare_page(own, items.marks_key(page), marks)
    if "warned" in item:
        try:
            account.warned = parse_instant(item["warned"]["S"])
        except (KeyError, ValueError):
            yield f"warned: stored {item['warned']!r} is no instant"
            return
    yield from _compare_watched(account, entries, own, shards)
    if account.erased and _readable(own.get(items.PROFILE, {})) != {}:
        yield "is erased, but has a profile"
    due = due_at(account, programs)
    wanted = (None, None) if due is None else (items.due_key(shard_of(member_id, shards)), format_instant(due))
    found = tuple(item[name]["S"] if name in item else None for name in ("due_shard", "due_at"))
    if found != wanted:
        yield f"due index: stored {found}, the account gives {wanted}"


def _compare_watched(
    account: Account, entries: list[dict[str, Any]], own: dict[str, Item], shards: int
) -> Iterator[str]:
    """What the member watches by their entries, with its place in the index; an erased member watches nothing."""
    wanted = {items.watch_key(item_id): watched for item_id, watched in watching.all_after(entries).items()}
    for key in sorted(wanted.keys() | {key for key in own if key.startswith(items.WATCHED)}):
        item_id, item = key.removeprefix(items.WATCHED), own.get(key)
        watched = None if item is None else _readable(item)
        given = {} if account.erased and item is not None else wanted.get(key)
        if watched != given:
            yield f"watches {item_id}: stored {watched!r}, the entries give {given!r}"
        elif item is not None and watched is not None:
            found = tuple(item[name]["S"] if name in item else None for name in ("due_shard", "due_at"))
            place = watching.in_index(account.member_id, item_id, watched, shards)
            if found != place:
                yield f"watches {item_id}: in the index as {found}, its state gives {place}"


def _readable(item: Item) -> Any:
    """What is packed into an item; ``None`` for what is not, or not by us."""
    try:
        return unpack(item["body"]["B"])
    except (KeyError, ValueError, zlib.error):
        return None


def _compare_page(own: dict[str, Item], key: str, content: list[str]) -> Iterator[str]:
    stored = _readable(own[key]) if key in own else None
    if stored != content:
        yield f"page {key}: stored {stored!r}, the entries give {content!r}"


def main(arguments: argparse.Namespace) -> int:
    """Asks a running local stack to prove its table; prints what differs. Returns the exit code."""
    request = urllib.request.Request(f"http://127.0.0.1:{arguments.port}/_local/verify", method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the address is this machine's own
        report = json.load(answer)
    for problem in report["problems"]:
        print(problem)
    print(f"{report['members']} members, {report['entries']} entries: {len(report['problems'])} problems")
    return 1 if report["problems"] else 0


def report_of(client: Any, table_name: str, shards: int) -> Report:
    """``verify`` and ``verify_standing`` over the table that ``client`` sees; its stream has been worked off."""
    return verify_all(list(scan(client, table_name)), load_programs(), shards)


def verify_all(table: Collection[Item], programs: Programs, shards: int) -> Report:
    """The report of ``verify``, with what ``verify_standing`` and ``verify_rewards`` found."""
    report = verify(table, programs, shards)
    rewards = verify_rewards(table, decoded_entries(table), programs, shards)
    return report._replace(problems=[*report.problems, *verify_standing(table, programs), *rewards])
