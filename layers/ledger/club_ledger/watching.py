"""What members watch: wish list and cart, kept so that the watchers of an item are found by a query (rules 1.3).

For each item of the marketplace that a member ever put on a list there is one record in the member's partition: by
list, when it was last put there or taken off. What occurred last counts, in whatever order it arrives. The record is
in the sparse index while one of the lists has the item. It is written in the posting's transaction and with the
account's version, so it is what the member's entries say, as ``verify`` checks.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from club_ledger import items
from club_ledger.items import WatchItem
from club_ledger.store import Stale, Store, Transaction, shard_of
from club_rules.account import Entry
from club_rules.events import ActivityEvent
from club_rules.times import format_instant, parse_instant

Watched = dict[str, list[Any]]
"""By list, ``[instant, whether it was put there]`` of the last event."""

EVENTS = {
    "wishlist.item_added": ("wishlist", True),
    "wishlist.item_removed": ("wishlist", False),
    "cart.item_added": ("cart", True),
    "cart.item_removed": ("cart", False),
}
"""The events that change what is watched: which list, and whether the item is put there."""

EMPTIED_AT_ONCE = 50


def put_watched(transaction: Transaction, store: Store, event: ActivityEvent, *, consistent: bool) -> None:
    """Adds to ``transaction`` what ``event``, one of ``EVENTS``, makes of the member's record of its item.

    Nothing is added where something later is known already. A record that has changed since it was read fails as
    ``Stale``; reading it ``consistent`` costs twice. Raises ``Busy``.
    """
    member_id, item_id = event.member_id, event.data["item_id"]
    item = store.watched(member_id, item_id, consistent=consistent)
    known: Watched = {} if item is None else item.body
    watched = after(known, event.type, event.occurred_at)
    if watched != known:
        _put(transaction, store, member_id, item_id, watched, item)


def after(known: Watched, event_type: str, occurred_at: datetime) -> Watched:
    """What an event makes of what is known: on each list the last one counts, at one instant the removal.

    So the order in which events arrive makes no difference, and nobody is told of what they may have taken off.
    """
    name, is_there = EVENTS[event_type]
    if name in known:
        at, was_there = known[name]
        if (occurred_at, not is_there) <= (parse_instant(at), not was_there):
            return known
    return {**known, name: [format_instant(occurred_at), is_there]}


def since(watched: Watched) -> datetime | None:
    """From when on an item has been watched, by the list that has had it longest; ``None``: it is not watched."""
    return min((parse_instant(at) for at, is_there in watched.values() if is_there), default=None)


def in_index(member_id: str, item_id: str, watched: Watched, shards: int) -> tuple[str | None, str | None]:
    """The attributes ``due_shard`` and ``due_at`` of a record: both ``None`` where the item is not watched."""
    start = since(watched)
    if start is None:
        return None, None
    return items.watchers_key(shard_of(member_id, shards), item_id), row(member_id, start)


def row(member_id: str, start: datetime) -> str:
    """A watcher as the index has them. Rows are in the order of the member ids, so that a page ends at a member.

    A query that goes on behind a row misses nobody and has nobody twice, whoever comes or goes in between; an order
    of our own, since DynamoDB has none to promise for items with the same key of an index.
    """
    return f"{member_id} {format_instant(start)}"


def read_row(text: str) -> tuple[str, datetime]:
    """The member and the instant of a ``row``."""
    member_id, _, start = text.partition(" ")
    return member_id, parse_instant(start)


def all_after(entries: Iterable[Entry]) -> dict[str, Watched]:
    """By item, what a member's ``entries`` add up to: what the records have to hold."""
    watched: dict[str, Watched] = {}
    for entry in entries:
        if entry.get("type") in EVENTS:
            item_id = entry["data"]["item_id"]
            watched[item_id] = after(watched.get(item_id, {}), entry["type"], parse_instant(entry["occurred_at"]))
    return watched


def export_watched(store: Store, member_id: str, behind: str | None, limit: int) -> list[tuple[str, Watched]]:
    """A member's items with what is known of each, at most ``limit`` of those ``behind`` an item id, in their order.

    What has been emptied is left out: a page may be short, but only the last one is empty of records. Raises ``Busy``.
    """
    found = store.all_watched(member_id, None if behind is None else items.watch_key(behind), limit)
    return [(item.sk.removeprefix(items.WATCHED), item.body) for item in found if item.body]


def empty_watched(store: Store, member_id: str) -> None:
    """Empties all records of a member who is erased, and takes them out of the index.

    No event of theirs may be posted any more. Any number of times; raises ``Stale`` where somebody else does the
    same, and ``Busy``: then it is to be called again.
    """
    behind: str | None = None
    while True:
        found = store.all_watched(member_id, behind, EMPTIED_AT_ONCE)
        if not found:
            return
        full = [item for item in found if item.body]
        if full:
            transaction = Transaction()
            for item in full:
                _put(transaction, store, member_id, item.sk.removeprefix(items.WATCHED), {}, item)
            transaction.commit()
        behind = found[-1].sk


def _put(
    transaction: Transaction, store: Store, member_id: str, item_id: str, watched: Watched, known: WatchItem | None
) -> None:
    version = 0 if known is None else int(known.version)
    item = WatchItem(items.member_key(member_id), items.watch_key(item_id), version=version + 1, body=watched)
    if watched:
        item.due_shard, item.due_at = in_index(member_id, item_id, watched, store.shards)
    unchanged = WatchItem.version == version if version else WatchItem.pk.does_not_exist()
    transaction.put(item, unchanged, Stale(item.sk))
