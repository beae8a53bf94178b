"""The use case "count": how many members hold which tier, kept by the outbox (rules 1.9).

Of each member there is a note of what has been counted. A note and the counters change in one transaction, under the
condition that the note is as it was read, and what is added is the difference between the note and the account. So a
change that is delivered twice, late, or to two at once is counted once; and where one never comes, the member's next
change of tier makes up for it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count as counting
from typing import Any, NamedTuple

from pynamodb.expressions.operand import Path

from club_ledger import items
from club_ledger.items import StandingItem, VersionedItem
from club_ledger.outbox import body_of
from club_ledger.store import Counted, Stale, Store, Transaction, retrying, shard_of
from club_rules.account import is_erased, stored_tiers
from club_rules.errors import Unavailable
from club_rules.programs import Programs

COUNTED_AT_ONCE = 50
"""So many members are counted in one transaction, with one addition to the counters: DynamoDB takes 100 items."""

MEMBERS = "members"
"""The attribute that counts all members, beside those of the tiers."""


class Held(NamedTuple):
    """The tiers above the lowest, codes by program, that a member's account holds in its ``version``.

    An erased member holds none, and is counted no more.
    """

    member_id: str
    version: int
    tiers: dict[str, str]
    erased: bool = False


def count(
    store: Store, programs: Programs, records: Iterable[dict[str, Any]], time_left: Callable[[], float]
) -> int | None:
    """Counts the members whose accounts are new, or hold other tiers than before.

    ``records`` of the table's stream, as Lambda delivers them: any, in any order, any number of times.
    ``time_left``: seconds until it has to be over. Returns ``None`` when all are counted, else the place of the first
    record that isn't: from there on they are to come again, what stands before it is done.
    """
    latest: dict[str, tuple[int, Held]] = {}
    for place, record in enumerate(records):
        held = _changed(record, programs)
        if held is not None and (held.member_id not in latest or held.version >= latest[held.member_id][1].version):
            latest[held.member_id] = (place, held)
    waiting = sorted(latest.values())
    for start in range(0, len(waiting), COUNTED_AT_ONCE):
        group = waiting[start : start + COUNTED_AT_ONCE]
        try:
            _count_group(store, [held for _, held in group], time_left)
        except Unavailable:
            return group[0][0]
    return None


def held_in(programs: Programs, state: dict[str, Any]) -> dict[str, str]:
    """The tiers above the lowest, codes by program, of an account as it is stored; of programs that there are."""
    return {
        program_id: programs.versions(program_id)[-1].codes[tier]
        for program_id, tier in stored_tiers(state).items()
        if program_id in programs.ids
    }


def held_by(programs: Programs, member_id: str, version: int, state: dict[str, Any]) -> Held:
    """What an account counts for, as it is stored."""
    if is_erased(state):
        return Held(member_id, version, {}, erased=True)
    return Held(member_id, version, held_in(programs, state))


def _changed(record: dict[str, Any], programs: Programs) -> Held | None:
    """The account that a record shows, where its tiers have changed or it is new."""
    change = record["dynamodb"]
    if change["Keys"]["sk"]["S"] != items.ACCOUNT or record["eventName"] == "REMOVE":
        return None
    new, old = change["NewImage"], change.get("OldImage")
    if old is not None and old["body"] == new["body"]:
        return None
    held = held_by(programs, items.member_of(new["pk"]["S"]), int(new["version"]["N"]), body_of(new))
    if old is not None and held_by(programs, held.member_id, held.version, body_of(old)) == held:
        return None
    return held


def _count_group(store: Store, group: list[Held], time_left: Callable[[], float]) -> None:
    # Another shard each time: who was in somebody's way there is not in the way again.
    shards = counting(shard_of(group[0].member_id, items.STANDING_SHARDS))

    def attempt() -> None:
        notes = store.counted(held.member_id for held in group)
        newer = [held for held in group if held.member_id not in notes or notes[held.member_id].of < held.version]
        note(notes, newer, next(shards) % items.STANDING_SHARDS)

    retrying(attempt, time_left)


def note(notes: Mapping[str, Counted], accounts: list[Held], shard: int) -> None:
    """Brings the notes of members to what their ``accounts`` hold, and one ``shard`` of the counters along with them.

    ``notes``: those that there are, by member, read before the accounts were. At most ``COUNTED_AT_ONCE`` accounts.
    Raises ``Stale`` where a note is not as it was read, and ``Busy``; then nothing has changed.
    """
    if not accounts:
        return
    transaction = Transaction()
    added: Counter[str] = Counter()
    for held in accounts:
        old = notes.get(held.member_id)
        item = VersionedItem(items.counted_key(held.member_id), items.SINGLE, version=old.version + 1 if old else 1)
        item.body = {"of": held.version, "tiers": held.tiers, **({"erased": True} if held.erased else {})}
        as_read = VersionedItem.version == old.version if old else VersionedItem.pk.does_not_exist()
        transaction.put(item, as_read, Stale(held.member_id))
        added.update(_counters(held.tiers))
        added.subtract(_counters(old.tiers) if old else ())
        added[MEMBERS] += (not held.erased) - (old is not None and not old.erased)
    if any(added.values()):
        transaction.update(*_addition(shard, added), None, Stale(items.standing_key(shard)))
    transaction.commit()


def correct(versions: Iterable[int], added: Mapping[str, int]) -> None:
    """Adds to the counters, all of whose shards must be at these ``versions``.

    ``added``: by attribute, see ``MEMBERS`` and ``items.tier_counter``. Raises ``Stale`` where a shard has been added
    to meanwhile, and ``Busy``; then nothing has changed.
    """
    transaction = Transaction()
    for shard, version in enumerate(versions):
        as_read = StandingItem.version == version if version else StandingItem.version.does_not_exist()
        failure = Stale(items.standing_key(shard))
        if shard == 0:
            transaction.update(*_addition(shard, added), as_read, failure)
        else:
            transaction.check(StandingItem, items.standing_key(shard), items.SINGLE, as_read, failure)
    transaction.commit()


def _counters(tiers: Mapping[str, str]) -> Iterator[str]:
    return (items.tier_counter(program_id, code) for program_id, code in tiers.items())


def _addition(shard: int, added: Mapping[str, int]) -> tuple[StandingItem, list[Any]]:
    numbers = {name: number for name, number in added.items() if number}
    actions = [Path([name]).add(number) for name, number in {**numbers, "version": 1}.items()]
    return StandingItem(items.standing_key(shard), items.SINGLE), actions
