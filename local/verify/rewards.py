"""What `python -m local verify` says of rewards: they are those that the ledger's entries and the profile give.

The outbox schedules coupons moments after the entries were written: what it has not been handed yet differs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from club_ledger import items
from club_ledger.store import shard_of
from club_rules.account import Entry
from club_rules.programs import Programs
from club_rules.rewards import GIFTS, Due, Rewards, decode_rewards, next_due, rewards_of_entry
from club_rules.times import format_instant, parse_instant
from local.verify.kinds import Club, Item, readable


def reward_problems(
    member_id: str, item: Item | None, entries: Iterable[Entry] | None, profile: dict[str, Any], club: Club
) -> Iterator[str]:
    """Compares a member's rewards with their ledger ``entries`` and ``profile``; what differs, one line each.

    ``item``: the rewards as DynamoDB has them, ``None`` where there are none; ``entries``: ``None`` where they can't be
    relied on. Coupons have to be those of the entries, each once, issued or scheduled; gifts at most one of a kind in a
    year; the days that gifts go by those of the profile; the place in the index that of what is due next.
    """
    rewards = rewards_in(item)
    if rewards is None:
        yield "they can't be read"
        return
    if not rewards.erased and entries is not None:
        given = {due.id: due for entry in entries for due in rewards_of_entry(club.programs, entry)}
        yield from _compare(rewards, given, profile, club.programs)
    if item is not None:
        yield from _index(member_id, rewards, item, club)


def codes_of(item: Item | None) -> list[tuple[str, str]]:
    """Every code that was issued, with the id of its reward."""
    rewards = rewards_in(item)
    found = [] if rewards is None else rewards.issued
    return [(str(code), str(each.get("id"))) for each in found for code in each.get("codes", ())]


def _compare(rewards: Rewards, given: dict[str, Due], profile: dict[str, Any], programs: Programs) -> Iterator[str]:
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


def _index(member_id: str, rewards: Rewards, item: Item, club: Club) -> Iterator[str]:
    due = next_due(rewards, club.programs)
    wanted: tuple[str | None, ...] = (None, None)
    if due is not None:
        wanted = (items.due_key(shard_of(member_id, club.shards), items.REWARD), format_instant(due))
    found = tuple(item.get(name, {}).get("S") for name in ("due_shard", "due_at"))
    if found != wanted:
        yield f"due index: stored {found}, they give {wanted}"


def rewards_in(item: Item | None) -> Rewards | None:
    """The rewards in an item; none yet where there is no item, and ``None`` for what can't be read."""
    state = {} if item is None else readable(item)
    try:
        return None if state is None else decode_rewards(state)
    except (KeyError, ValueError, TypeError, AttributeError):
        return None
