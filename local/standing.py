"""`python -m local standing rebuild`: brings what is counted of members to their accounts, and the counters along.

It may run while the club does: each member is put right by the very transaction that the outbox counts with, and the
counters are corrected only if nobody has added to them since they were compared. Reads the whole table, which no
function of the club may do.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from club_ledger import items
from club_ledger.items import unpack
from club_ledger.standing import COUNTED_AT_ONCE, MEMBERS, Held, correct, held_by, note
from club_ledger.store import Busy, Counted, Counters, Stale, Store, connect, retrying, shard_of
from club_rules.errors import Unavailable
from club_rules.programs import Programs, load_programs

SECONDS_A_GROUP = 60.0
TRIES = 10
"""So often the counters are compared, while somebody adds to them meanwhile."""

Say = Callable[[str], None]


def rebuild(client: Any, table_name: str, programs: Programs, say: Say) -> bool:
    """Puts right what differs in a table, and says what.

    ``client``: a boto3 DynamoDB client; the club's own store reaches the same table by ``table_name``. Returns whether
    all is right now. Raises ``Unavailable`` where the table doesn't answer for a minute.
    """
    store = connect(table_name, lambda: 0)  # the index of due work is not looked at
    members = wrong = lost = 0
    for group in _groups(_keys(client, table_name, items.ACCOUNT)):
        members += len(group)
        for line in _put_right(store, programs, group):
            say(line)
            wrong += 1
    for group in _groups(_noted_members(client, table_name)):
        for member_id in _without_account(store, group):
            say(f"{member_id}: is counted, but has no account; nothing was done about it")
            lost += 1
    say(f"{members} members: {wrong} put right")
    return _compare(client, table_name, store, say) and not lost


def _without_account(store: Store, member_ids: list[str]) -> list[str]:
    there = retrying(lambda: store.stored_accounts(member_ids), _seconds(SECONDS_A_GROUP))
    return [member_id for member_id in member_ids if member_id not in there]


def _groups(member_ids: Iterable[str]) -> Iterator[list[str]]:
    """So many at a time as are counted together: a table has more members than a memory."""
    waiting = iter(member_ids)
    while group := list(islice(waiting, COUNTED_AT_ONCE)):
        yield sorted(group)


def _keys(client: Any, table_name: str, sk: str) -> Iterator[str]:
    """Whose items have the sort key ``sk``. Who comes later is counted by the outbox."""
    narrowed = {"FilterExpression": "sk = :sk", "ExpressionAttributeValues": {":sk": {"S": sk}}}
    for item in _scan(client, table_name, ProjectionExpression="pk, sk", **narrowed):
        yield items.member_of(item["pk"]["S"])


def _noted_members(client: Any, table_name: str) -> Iterator[str]:
    narrowed = {"FilterExpression": "begins_with(pk, :pk)", "ExpressionAttributeValues": {":pk": {"S": items.COUNTED}}}
    for item in _scan(client, table_name, ProjectionExpression="pk, sk", **narrowed):
        yield items.member_of(item["pk"]["S"])


def _put_right(store: Store, programs: Programs, member_ids: list[str]) -> list[str]:
    """Writes the notes of those members whose accounts say something else; what was wrong, one line a member."""

    def attempt() -> list[str]:
        notes = store.counted(member_ids)  # before the accounts: a note that is newer than they are is wrong then
        accounts = [
            held_by(programs, member_id, version, state)
            for member_id, (version, state) in store.stored_accounts(member_ids).items()
        ]
        pairs = [(held, notes.get(held.member_id)) for held in accounts]
        wrong = [(held, old) for held, old in pairs if old is None or differs(held, old)]
        note(notes, [held for held, _ in wrong], shard_of(member_ids[0], items.STANDING_SHARDS))
        return [
            f"{held.member_id}: was {_told(old) if old else 'not counted'}, is {_told(held)}" for held, old in wrong
        ]

    return retrying(attempt, _seconds(SECONDS_A_GROUP))


def differs(held: Held, old: Counted) -> bool:
    """Whether a note says something else than the account, or has been taken of a version that never was."""
    return old.tiers != held.tiers or old.erased != held.erased or old.of > held.version


def noted_problems(held: Held | None, note: Counted | None) -> Iterator[str]:
    """What differs between an account and what was counted of it, one line each."""
    if held is None:
        yield "is counted, but has no account"
    elif note is None:
        yield "is not counted"
    elif held.erased != note.erased:
        yield "is counted, but erased" if held.erased else "is not counted any more, but not erased"
    else:
        for program_id in sorted(held.tiers.keys() | note.tiers.keys()):
            counted, holds = note.tiers.get(program_id), held.tiers.get(program_id)
            if counted != holds:
                lowest = "the lowest tier"
                yield f"{program_id}: counted {counted or lowest}, the account holds {holds or lowest}"
        if note.of > held.version:
            yield f"counted as of version {note.of} of the account, which is at {held.version}"


def _compare(client: Any, table_name: str, store: Store, say: Say) -> bool:
    """Compares the counters with the sum of the notes, and adds what is missing. Returns whether they are right now."""
    for _ in range(TRIES):
        try:
            counters = retrying(store.counters, _seconds(SECONDS_A_GROUP))
            added = difference(counters, _noted(client, table_name))
            if added:
                correct(counters.versions, added)
            elif store.counters().versions != counters.versions:
                raise Stale("the counters")
        except Stale:
            say("the counters moved meanwhile: comparing again")
        except Busy:
            say("the table was busy: comparing again")
        else:
            for name, number in sorted(added.items()):
                say(f"counter {name}: {number:+d}")
            say("the counters are right")
            return True
    say("the counters moved each time: stop what feeds publish_changes for the time of this, and try again")
    return False


def difference(counters: Counters, wanted: Counter[str]) -> dict[str, int]:
    """What has to be added to the counters, by attribute, for them to be what is ``wanted``."""
    counts = Counter({MEMBERS: counters.counts.members})
    for program_id, tiers in counters.counts.tiers.items():
        counts.update({items.tier_counter(program_id, code): number for code, number in tiers.items()})
    names = counts.keys() | wanted.keys()
    return {name: wanted[name] - counts[name] for name in names if wanted[name] != counts[name]}


def tally(all_tiers: Iterable[dict[str, str]]) -> Counter[str]:
    """What the counters should be, by attribute, for members who hold these tiers (codes by program)."""
    wanted: Counter[str] = Counter()
    for tiers in all_tiers:
        wanted[MEMBERS] += 1
        wanted.update(items.tier_counter(program_id, code) for program_id, code in tiers.items())
    return wanted


def _noted(client: Any, table_name: str) -> Counter[str]:
    narrowed = {
        "FilterExpression": "begins_with(pk, :pk)",
        "ExpressionAttributeValues": {":pk": {"S": items.COUNTED}},
    }
    bodies = (unpack(item["body"]["B"]) for item in _scan(client, table_name, **narrowed))
    return tally(body["tiers"] for body in bodies if not body.get("erased"))


def _scan(client: Any, table_name: str, **narrowed: Any) -> Iterator[dict[str, Any]]:
    for page in client.get_paginator("scan").paginate(TableName=table_name, ConsistentRead=True, **narrowed):
        yield from page["Items"]


def _told(found: Held | Counted) -> str:
    if found.erased:
        return "erased"
    tiers = sorted(found.tiers.items())
    return ", ".join(f"{program_id} {code}" for program_id, code in tiers) or "at the lowest tiers"


def _seconds(at_most: float) -> Callable[[], float]:
    until = time.monotonic() + at_most
    return lambda: until - time.monotonic()


def main(arguments: argparse.Namespace) -> int:
    """Rebuilds a running local stack's standing, or that of a deployed ``table``. Returns the exit code."""
    if arguments.table:
        return _deployed(arguments.table)
    request = urllib.request.Request(f"http://127.0.0.1:{arguments.port}/_local/standing", method="POST", data=b"")
    with urllib.request.urlopen(request) as answer:  # noqa: S310 - the address is this machine's own
        report = json.load(answer)
    for line in report["said"]:
        print(line)
    return 0 if report["right"] else 1


def _deployed(table_name: str) -> int:
    import boto3  # with the credentials and the region that the AWS tools would take
    from botocore.exceptions import BotoCoreError, ClientError
    from pynamodb.exceptions import PynamoDBException

    try:
        return 0 if rebuild(boto3.client("dynamodb"), table_name, load_programs(), print) else 1
    except (BotoCoreError, ClientError, PynamoDBException, Unavailable) as error:
        print(f"The table {table_name} can't be worked on: {error}", file=sys.stderr)
        return 1
