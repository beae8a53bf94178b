"""The use cases of rewards: coupons and gifts, each granted exactly once (rules 1.5, 1.6, contract 2.4).

A member's rewards are one item in a partition of its own, written by three: a posting that changes the profile, the
outbox that reads off a ledger entry what it gives, and the reward sweep that issues what is due. Each says which
version it has read; so whatever is delivered again, killed or done in parallel finds what is issued already.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

from club_ledger import items
from club_ledger.items import AccountItem, RewardsItem
from club_ledger.outbox import new_entry
from club_ledger.store import Stale, Store, Transaction, retrying, shard_of
from club_rules.errors import Unavailable
from club_rules.programs import Program, Programs
from club_rules.rewards import (
    Issued,
    Rewards,
    change_profile,
    decode_rewards,
    encode_rewards,
    gives,
    issue_due,
    next_due,
    take_entry,
)
from club_rules.tallying import granted
from club_rules.times import format_instant, parse_instant

if TYPE_CHECKING:
    from datetime import datetime

    from pynamodb.expressions.condition import Condition

    from club_ledger.sweeping import Counts, Message
    from club_rules.account import Account, Entry

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""32 characters that are not mistaken for each other: no I, L, O or U."""
_GROUPS, _GROUP = 4, 6


def new_code() -> str:
    """The code of a coupon, such as "7Q3M9K-0X2RTA-D4WZ8B-N6HJ5E": 120 random bits. Whoever has it redeems it."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(_GROUP)) for _ in range(_GROUPS))


def _item(
    store: Store, programs: Programs, member_id: str, version: int, rewards: Rewards
) -> tuple[RewardsItem, Condition]:
    """The item that follows ``version``, with its place in the index of what is due, and the condition for it."""
    item = RewardsItem(items.rewards_key(member_id), items.SINGLE, version=version + 1, body=encode_rewards(rewards))
    due = next_due(rewards, programs)
    if due is not None:
        item.due_shard = items.due_key(shard_of(member_id, store.shards), items.REWARD)
        item.due_at = format_instant(due)
    as_read = RewardsItem.version == version if version else RewardsItem.pk.does_not_exist()
    return item, as_read


# --- the profile


def put_profile(
    transaction: Transaction,
    store: Store,
    programs: Programs,
    member_id: str,
    profile: dict[str, Any],
    moment: datetime,
) -> None:
    """Adds to the ``transaction`` that stores a ``profile``, posted at ``moment``: the gifts that follow from it.

    Raises ``Busy``. The transaction fails as ``Stale`` where the rewards have changed since.
    """
    version, state = store.rewards(member_id, consistent=True)
    rewards = decode_rewards(state)
    if change_profile(rewards, programs, profile, moment):
        transaction.put(*_item(store, programs, member_id, version, rewards), Stale(member_id))


# --- the outbox


def grant(
    store: Store, programs: Programs, records: Iterable[dict[str, Any]], time_left: Callable[[], float]
) -> int | None:
    """Schedules the coupons of tiers that were reached, and issues those of a retained status (rules 1.5, 1.6).

    ``records`` of the table's stream, as Lambda delivers them: any, in any order, any number of times.
    ``time_left``: seconds until it has to be over. Returns ``None`` when all is done, else the place of the first
    record that isn't: from there on they are to come again, what stands before it is done.
    """
    waiting: dict[str, list[tuple[int, Entry]]] = {}
    for place, record in enumerate(records):
        entry = new_entry(record)
        if entry is not None and gives(entry):
            waiting.setdefault(entry["member_id"], []).append((place, entry))
    if not waiting:
        return None
    known: dict[str, tuple[int, dict[str, Any]]] = {}
    read: list[bool] = []

    def read_all() -> None:
        known.update(store.rewards_of(waiting))
        read.append(True)

    for member_id, given in waiting.items():
        try:
            if not read:
                retrying(read_all, time_left)
            entries = [entry for _, entry in given]
            _grant_member(store, programs, member_id, entries, known.get(member_id, (0, {})), time_left)
        except Unavailable:
            return given[0][0]
    return None


def _grant_member(
    store: Store,
    programs: Programs,
    member_id: str,
    entries: list[Entry],
    read: tuple[int, dict[str, Any]],
    time_left: Callable[[], float],
) -> None:
    first = [read]

    def attempt() -> None:
        version, state = first.pop() if first else store.rewards_of([member_id]).get(member_id, (0, {}))
        rewards = decode_rewards(state)
        are_new = [take_entry(rewards, programs, entry, new_code) for entry in entries]
        if any(are_new):
            item, as_read = _item(store, programs, member_id, version, rewards)
            store.put(item, as_read, Stale(member_id))

    retrying(attempt, time_left)


# --- the sweep


def sweep_rewards(
    store: Store, programs: Programs, member_id: str, message: Message, counts: Counts, time_left: Callable[[], float]
) -> None:
    """Issues what one member has due by the time that ``message`` was scheduled for; in a dry run only counts it.

    Raises ``Unavailable``; then nothing was written, or a repeat will find it.
    """
    until = parse_instant(message["scheduled_at"])
    tried = False

    def attempt() -> list[Issued]:
        nonlocal tried
        consistent, tried = tried, True
        version, state = store.rewards(member_id, consistent=consistent)
        rewards = decode_rewards(state)
        due = next_due(rewards, programs)
        if due is None or due > until:
            return []
        past = _Past(store, programs, member_id, consistent=consistent)
        issued = issue_due(rewards, programs, until, past.tier_at, new_code)
        if not message["dry_run"]:
            item, as_read = _item(store, programs, member_id, version, rewards)
            past.put(item, as_read)
        return issued

    issued = retrying(attempt, time_left)
    counts.rewards += len(issued)
    counts.members += bool(issued)
    counts.tally.update(granted(each["program"], each["kind"]) for each in issued)


class _Past:
    """The tiers that a member held, told by the account and, where it has moved on since, by the ledger's entries."""

    def __init__(self, store: Store, programs: Programs, member_id: str, *, consistent: bool) -> None:
        self._store = store
        self._programs = programs
        self._member_id = member_id
        self._consistent = consistent
        self._read = False
        self._account: Account | None = None

    def tier_at(self, program: Program, day: int) -> int:
        """The tier, by its place on the ladder, as the local ``day`` began, what fell due at that instant included."""
        from club_ledger.reading import tier_held  # only a gift asks

        if not self._read:
            self._account = self._store.account(self._member_id, consistent=self._consistent)
            self._read = True
        if self._account is None:
            return 0
        return tier_held(self._store, self._programs, self._account, program.id, program.start_of(day))

    def put(self, item: RewardsItem, as_read: Condition) -> None:
        """Writes what was issued. Where a tier was asked for, the account has to be as it was read."""
        if not self._read:
            self._store.put(item, as_read, Stale(self._member_id))
            return
        transaction = Transaction()
        account = self._account
        unchanged = AccountItem.version == account.version if account else AccountItem.pk.does_not_exist()
        stale = Stale(self._member_id)
        transaction.check(AccountItem, items.member_key(self._member_id), items.ACCOUNT, unchanged, stale)
        transaction.put(item, as_read, stale)
        transaction.commit()
