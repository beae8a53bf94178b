"""The use case "sweep": what is due by a scheduled time is worked off in shards and chunks (contract 2.4).

A sweep reads only what is due, through the sparse index. A run starts one message a shard; each message works off one
chunk, notes how far its shard has come, and sends the next. Whatever is delivered again, killed or run in parallel
gives the same ledger, because settling an account twice to one moment posts nothing the second time.
"""

from __future__ import annotations

import json
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from pynamodb.exceptions import PutError, UpdateError

from club_ledger import items
from club_ledger.brake import Brake
from club_ledger.items import SweepRunItem
from club_ledger.store import (
    SETTLED_AT_ONCE,
    Store,
    Transaction,
    busy,
    code_of,
    committed,
    retrying,
    write_account,
    write_warned,
)
from club_rules.account import Account, Entry
from club_rules.errors import FieldError, InvalidInput, Unavailable
from club_rules.programs import Programs
from club_rules.settling import settle
from club_rules.tallying import demotions, limits, tally
from club_rules.times import format_instant, parse_instant
from club_rules.warnings import next_warning

CHUNK = 25
"""So many due members are worked off for one message: well within an invocation's time."""

EXPIRY_SWEEP, DEMOTION_SWEEP, REWARD_SWEEP = "ExpirySweep", "DemotionSweep", "RewardSweep"

Message = dict[str, Any]


class Counts:
    """What one chunk did: members with something posted (in a dry run: due), entries posted, tiers changed, rewards."""

    def __init__(self) -> None:
        self.members = 0
        self.entries = 0
        self.tier_changes = 0
        self.rewards = 0
        self.tally: Counter[str] = Counter()
        """By the names of ``club_rules.tallying``."""
        self.of_run: dict[str, int] | None = None
        """Of the chunk that was the run's last: the whole run's tally."""
        self.halted: dict[str, Any] | None = None
        """What halted the run, where the chunk has met the brake: see ``Brake``."""


SweepMember = Callable[[Store, Programs, str, Message, Counts, Callable[[], float]], None]
"""What is done with one due member for a message, and counted; the last argument gives the seconds left."""


def index_of(sweep: str) -> str:
    """Which part of the index "due" a sweep works off."""
    return items.REWARD if sweep == REWARD_SWEEP else items.DUE


def start(store: Store, programs: Programs, sweep: str, given: dict[str, Any], run_token: str) -> list[Message]:
    """Starts a run and returns the messages that carry it out, one a shard with something due.

    ``given`` is the schedule's input: ``scheduled_at``, and maybe ``dry_run`` and ``override_limit``. ``run_token``
    tells apart the runs of one scheduled time; a repeated invocation brings the same one, and starts no second run.
    Raises ``InvalidInput`` naming the fields at fault.
    """
    scheduled_at, dry_run, override = _read_input(given)
    run_id = f"{sweep}#{scheduled_at}#{run_token}"
    common = {"run_id": run_id, "sweep": sweep, "scheduled_at": scheduled_at}
    shards = [shard for shard in range(store.shards) if store.due(shard, scheduled_at, None, 1, index_of(sweep))[0]]
    body = {**common, "dry_run": dry_run, "override_limit": override, "index_shards": store.shards}
    if sweep == DEMOTION_SWEEP and shards:
        body["limits"] = limits(programs, store.counters().counts, parse_instant(scheduled_at))
    run = SweepRunItem(items.sweep_key(run_id), items.SINGLE, body=body)
    run.open_shards = len(shards)
    run.progress = {str(shard): 0 for shard in shards}
    run.positions = {}
    run.tally = {}
    run.reserved = {}
    if sweep == REWARD_SWEEP:
        run.rewards = 0
    try:
        run.save(SweepRunItem.pk.does_not_exist())
    except PutError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise
        # The invocation was repeated. What is due may have changed, the run's shards have not: it waits for them all.
        # Sending a message again is harmless, each chunk is noted once.
        shards = [int(shard) for shard in store.sweep_run(run_id).progress.attribute_values]
    return [
        {**common, "shard": shard, "chunk": 1, "after": None, "dry_run": dry_run, "override_limit": override}
        for shard in shards
    ]


def _read_input(given: dict[str, Any]) -> tuple[str, bool, bool]:
    errors = [
        FieldError(f"/{name}", "unknown_field", "not known here")
        for name in given
        if name not in ("scheduled_at", "dry_run", "override_limit")
    ]
    try:
        # in the one form, and the whole seconds, in which the index has its instants
        scheduled_at = format_instant(parse_instant(given["scheduled_at"]).replace(microsecond=0))
    except (KeyError, TypeError, ValueError):
        errors.append(FieldError("/scheduled_at", "invalid_instant", "expected an RFC 3339 instant"))
    errors += [
        FieldError(f"/{name}", "invalid_type", "expected true or false")
        for name in ("dry_run", "override_limit")
        if type(given.get(name, False)) is not bool
    ]
    if errors:
        raise InvalidInput(errors)
    return scheduled_at, given.get("dry_run", False), given.get("override_limit", False)


def work(
    store: Store,
    programs: Programs,
    message: Message,
    send: Callable[[Message], None],
    time_left: Callable[[], Callable[[], float]],
    sweep_member: SweepMember | None = None,
) -> Counts:
    """Works off one chunk of one shard, notes it, and sends the message of the next.

    ``sweep_member``: what is done with each due member, by itself settling the account (see ``_Settlement``).
    ``send`` puts a message into the sweep's queue; ``time_left`` starts the clock of one member. Raises
    ``Unavailable`` or what the table raises: then the message is delivered again, and nothing is done twice.
    A member who can't be swept for another reason gets a message of their own (``member_id``): else they would come
    first in their shard on every day, and nobody behind them would ever be swept.
    """
    counts = Counts()
    alone = "member_id" in message
    if alone:
        members, after = [message["member_id"]], None
    else:
        shard, until = message["shard"], message["scheduled_at"]
        members, after = store.due(shard, until, message["after"], CHUNK, index_of(message["sweep"]))

    def each(sweep_one: Callable[[str, Callable[[], float]], None]) -> None:
        for member_id in members.copy():
            try:
                sweep_one(member_id, time_left())
            except Unavailable:
                raise
            except Exception:  # it is raised, and logged, where the member is swept alone
                if alone:
                    raise
                members.remove(member_id)
                send({**message, "member_id": member_id})

    if sweep_member is not None:  # which writes nothing in a dry run
        each(lambda member_id, left: sweep_member(store, programs, member_id, message, counts, left))
    else:
        settlement = _Settlement(store, programs, message, counts)
        each(settlement.plan)
        settlement.reserve(time_left())
        each(settlement.write)
    if alone:
        return counts
    after = retrying(lambda: _note(store, message, counts, after), time_left())
    if after is not None:
        # after the note: a repeat of this message finds its chunk noted, and sends the next one again
        send({**message, "chunk": message["chunk"] + 1, "after": after})
    return counts


class _Settlement:
    """Settling the due members of one chunk: all are planned, then what demotes is reserved, then each is written.

    The brake looks at a chunk as a whole (see ``brake``). Where it doesn't let a member fall, what has expired is
    posted all the same, as the expiry sweep would. In a dry run the plan is all there is.
    """

    def __init__(self, store: Store, programs: Programs, message: Message, counts: Counts) -> None:
        self._store = store
        self._programs = programs
        self._counts = counts
        self._until = parse_instant(message["scheduled_at"])
        self._expiries_only: bool = message["sweep"] == EXPIRY_SWEEP
        self._dry_run: bool = message["dry_run"]
        self._brake = Brake(store, message["run_id"], message["shard"], message["chunk"])
        self._plans: dict[str, tuple[Account, list[Entry]]] = {}

    def plan(self, member_id: str, time_left: Callable[[], float]) -> None:
        """Reads a member and settles in memory. Raises ``Unavailable``."""
        account = retrying(lambda: self._store.account(member_id), time_left)
        if account is None:
            return
        entries = self._settle(account, self._expiries_only)
        if not self._dry_run:
            self._plans[member_id] = account, entries
            return
        whole = entries
        while len(entries) == SETTLED_AT_ONCE:
            entries = self._settle(account, self._expiries_only)
            whole += entries
        self._count(whole)

    def reserve(self, time_left: Callable[[], float]) -> None:
        """Asks the brake for all that the plans demote, together. Raises ``Unavailable``."""
        lowered = {member_id: demotions(entries, self._programs) for member_id, (_, entries) in self._plans.items()}
        wanted = {member_id: of for member_id, of in lowered.items() if of}
        if wanted:
            self._brake.allows(wanted, time_left)

    def write(self, member_id: str, time_left: Callable[[], float]) -> None:
        """Writes a member's plan, or what the member's account has come to meanwhile. Raises ``Unavailable``."""
        planned = self._plans.pop(member_id, None)
        posted: list[Entry] = []

        def attempt() -> int:
            nonlocal planned
            found, planned = planned or self._read(member_id), None
            if found is None:
                return 0
            account, entries = found
            lowered = demotions(entries, self._programs)
            if lowered and not self._brake.allows({member_id: lowered}, time_left):
                found = self._read(member_id, expiries_only=True)
                if found is None:
                    return 0
                account, entries = found
            # with the first of several transactions: else what expires with the next would look as if it lay ahead
            if self._expiries_only or len(entries) == SETTLED_AT_ONCE:
                warned = _give_warnings(account, self._programs, self._until)
            else:
                warned = False
            if entries:
                transaction = Transaction()
                write_account(transaction, self._store, self._programs, account, entries)
                transaction.commit()
                committed(account)
                posted.extend(entries)
            elif warned:
                write_warned(self._store, self._programs, account)
            return len(entries)

        if planned is None:
            return
        while retrying(attempt, time_left) == SETTLED_AT_ONCE:
            pass  # there may be more
        self._count(posted)
        self._counts.halted = self._brake.halted or self._counts.halted

    def _read(self, member_id: str, *, expiries_only: bool = False) -> tuple[Account, list[Entry]] | None:
        account = self._store.account(member_id, consistent=True)
        if account is None:
            return None
        return account, self._settle(account, expiries_only or self._expiries_only)

    def _settle(self, account: Account, expiries_only: bool) -> list[Entry]:
        return settle(account, self._programs, self._until, expiries_only=expiries_only, at_most=SETTLED_AT_ONCE)

    def _count(self, entries: list[Entry]) -> None:
        self._counts.members += bool(entries)
        self._counts.entries += len(entries)
        self._counts.tier_changes += sum("receipt" in part for entry in entries for part in entry["parts"].values())
        self._counts.tally.update(tally(entries, self._programs))


def _give_warnings(account: Account, programs: Programs, until: datetime) -> bool:
    """Moves on, in place, through when warnings have been given, if one is due by the UTC instant ``until``.

    Returns whether one was. It is announced when the account's change has been committed (see the outbox).
    """
    due = next_warning(account, programs)
    if due is None or due > until:
        return False
    account.warned = until
    return True


def check_of(numbers: Mapping[str, int]) -> int:
    """A sum that goes along with a run's numbers, by their names, so that ``verify`` sees one that was changed."""
    return sum(zlib.crc32(name.encode()) * number for name, number in numbers.items())


def _numbers(counts: Counts, shard: str) -> dict[str, int]:
    """What a chunk adds to its run, by the names of the attributes."""
    numbers = {"members": counts.members, "entries": counts.entries, "tier_changes": counts.tier_changes}
    numbers |= {"rewards": counts.rewards, f"progress.{shard}": 1}
    return numbers | {f"tally.{name}": number for name, number in counts.tally.items()}


def _note(store: Store, message: Message, counts: Counts, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """Notes in the run that a chunk is done: once, however often its message is delivered.

    Returns where the shard goes on (``None``: nowhere, or its next chunk is done as well). A repeat goes on where
    the first delivery did, though it found other members: a shard is one chain of chunks, with one end. What a repeat
    did is in the ledger, and not in the run's counts. Raises ``Busy``.
    """
    run = SweepRunItem(items.sweep_key(message["run_id"]), items.SINGLE)
    shard, chunk = str(message["shard"]), message["chunk"]
    progress: Any = SweepRunItem.progress[shard]
    position: Any = SweepRunItem.positions[shard]
    tallied: dict[str, Any] = {name: SweepRunItem.tally[name] for name in counts.tally}
    actions = [
        progress.set(chunk),
        position.set(json.dumps(after)),
        SweepRunItem.members.add(counts.members),
        SweepRunItem.entries.add(counts.entries),
        SweepRunItem.tier_changes.add(counts.tier_changes),
        SweepRunItem.check.add(check_of(_numbers(counts, shard))),
        *(path.set((path | 0) + counts.tally[name]) for name, path in tallied.items()),
    ]
    if counts.rewards:
        actions.append(SweepRunItem.rewards.add(counts.rewards))
    if after is None:
        actions.append(SweepRunItem.open_shards.add(-1))
    try:
        run.update(actions, condition=progress == chunk - 1)
    except UpdateError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise busy(error) from error  # a reservation of another shard may have been in the way
        noted = store.sweep_run(message["run_id"])
        return json.loads(noted.positions[shard]) if noted.progress[shard] == chunk else None
    if run.open_shards == 0:
        counts.of_run = run.tally.attribute_values
    return after
