"""What `python -m local verify` says of rewards: they are those that the ledger's entries and the profile give.

The outbox schedules coupons moments after the entries were written: what it has not been handed yet differs.
"""

from __future__ import annotations

import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

from club_ledger import items
from club_ledger.items import unpack
from club_ledger.store import shard_of
from club_rules.programs import Programs
from club_rules.rewards import GIFTS, Due, Rewards, decode_rewards, next_due, rewards_of_entry
from club_rules.times import format_instant, parse_instant

Item = dict[str, Any]

_REWARDS = items.rewards_key("")


def verify_rewards(
    table: Iterable[Item], entries: Iterable[dict[str, Any]], programs: Programs, shards: int
) -> Iterator[str]:
    """Compares the rewards in a ``table`` with all its ledger ``entries``; what differs, one line each.

    Coupons have to be those of the entries, each once, issued or scheduled; gifts at most one of a kind in a year; the
    days that gifts go by those of the profile; the place in the index that of what is due next; no code twice.
    """
    given: dict[str, dict[str, Due]] = defaultdict(dict)
    for entry in entries:
        given[entry["member_id"]].update({due.id: due for due in rewards_of_entry(programs, entry)})
    stored: dict[str, Item] = {}
    profiles: dict[str, Any] = {}
    for item in table:
        pk, sk = item["pk"]["S"], item["sk"]["S"]
        if pk.startswith(_REWARDS):
            stored[items.member_of(pk)] = item
        elif sk == items.PROFILE:
            profiles[items.member_of(pk)] = _readable(item) or {}
    seen: dict[str, str] = {}
    for member_id in sorted(stored.keys() | profiles.keys() | {each for each in given if given[each]}):
        rewards = _rewards_in(stored.get(member_id))
        if rewards is None:
            yield f"{member_id}: rewards: they can't be read"
        elif not rewards.erased:
            profile = profiles.get(member_id, {})
            faults = _verify_member(rewards, given[member_id], profile, programs)
            yield from (f"{member_id}: rewards: {fault}" for fault in faults)
            yield from (f"{member_id}: rewards: {fault}" for fault in _codes(member_id, rewards, seen))
        if rewards is not None and member_id in stored:
            yield from _verify_index(member_id, rewards, stored[member_id], programs, shards)


def _verify_member(
    rewards: Rewards, given: dict[str, Due], profile: dict[str, Any], programs: Programs
) -> Iterator[str]:
    issued = {each["id"]: each["from"] for each in rewards.issued}
    scheduled = {each["id"]: each["on"] for each in rewards.scheduled if each["kind"] not in GIFTS}
    for name, times in Counter(each["id"] for each in rewards.issued).items():
        if times > 1:
            yield f"{name}: issued {times} times"
    for name in sorted(given.keys() - issued.keys() - scheduled.keys()):
        yield f"{name}: the entries give it, it is neither issued nor scheduled"
    coupons = {each["id"] for each in rewards.issued if each["kind"] not in GIFTS}
    for name in sorted((coupons | scheduled.keys()) - given.keys()):
        yield f"{name}: is there, but no entry gives it"
    for name in sorted(issued.keys() & scheduled.keys()):
        yield f"{name}: is issued, and scheduled all the same"
    for name, due in sorted(given.items()):
        on = issued.get(name, scheduled.get(name))
        wanted = due.at.astimezone(programs.versions(due.program.id)[0].zone).date().isoformat()
        if on is not None and on != wanted:
            yield f"{name}: is for {on}, the entries give {wanted}"
    set_at = profile.get("birthday_set_at")
    said = (profile.get("birthday"), set_at and parse_instant(set_at), profile.get("registered_on"))
    known = tuple(day and day.isoformat() for day in (rewards.birthday, rewards.registered_on))
    if said != (known[0], rewards.set_at, known[1]):
        yield "the profile states other days than those that gifts go by"


def _codes(member_id: str, rewards: Rewards, seen: dict[str, str]) -> Iterator[str]:
    for each in rewards.issued:
        for code in each["codes"]:
            if code in seen:
                yield f"a code of {each['id']} stands twice, the other time for {seen[code]}"
            seen[code] = f"{each['id']} of {member_id}"


def _verify_index(member_id: str, rewards: Rewards, item: Item, programs: Programs, shards: int) -> Iterator[str]:
    due = next_due(rewards, programs)
    wanted: tuple[str | None, ...] = (None, None)
    if due is not None:
        wanted = (items.due_key(shard_of(member_id, shards), items.REWARD), format_instant(due))
    found = tuple(item[name]["S"] if name in item else None for name in ("due_shard", "due_at"))
    if found != wanted:
        yield f"{member_id}: rewards: due index: stored {found}, they give {wanted}"


def _rewards_in(item: Item | None) -> Rewards | None:
    """The rewards in an item; none yet where there is no item, and ``None`` for what can't be read."""
    state = {} if item is None else _readable(item)
    try:
        return None if state is None else decode_rewards(state)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None


def _readable(item: Item) -> Any:
    try:
        return unpack(item["body"]["B"])
    except (KeyError, ValueError, zlib.error):
        return None
