"""The use case "sweep": what is due by a scheduled time is worked off in shards and chunks (contract 2.4).

A sweep reads only what is due, through the sparse index. A run starts one message a shard; each message works off one
chunk, notes how far its shard has come, and sends the next. Whatever is delivered again, killed or run in parallel
gives the same ledger, because settling an account twice to one moment posts nothing the second time.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from pynamodb.exceptions import PutError, UpdateError

from club_ledger import items
from club_ledger.items import SweepRunItem
from club_ledger.store import SETTLED_AT_ONCE, Store, Transaction, code_of, committed, retrying, write_account
from club_rules.errors import FieldError, InvalidInput, Unavailable
from club_rules.programs import Programs
from club_rules.settling import settle
from club_rules.times import format_instant, parse_instant

CHUNK = 25
"""So many due members are worked off for one message: well within an invocation's time."""

EXPIRY_SWEEP, DEMOTION_SWEEP = "ExpirySweep", "DemotionSweep"

Message = dict[str, Any]


class Counts:
    """What one chunk did: members with something posted (in a dry run: due), entries posted, tiers changed."""

    def __init__(self) -> None:
        self.members = 0
        self.entries = 0
        self.tier_changes = 0


def start(store: Store, sweep: str, given: dict[str, Any], run_token: str) -> list[Message]:
    """Starts a run and returns the messages that carry it out, one a shard with something due.

    ``given`` is the schedule's input: ``scheduled_at``, and maybe ``dry_run`` and ``override_limit``. ``run_token``
    tells apart the runs of one scheduled time; a repeated invocation brings the same one, and starts no second run.
    Raises ``InvalidInput`` naming the fields at fault.
    """
    scheduled_at, dry_run, override = _read_input(given)
    run_id = f"{sweep}#{scheduled_at}#{run_token}"
    common = {"run_id": run_id, "sweep": sweep, "scheduled_at": scheduled_at}
    shards = [shard for shard in range(store.shards) if store.due(shard, scheduled_at, None, 1)[0]]
    run = SweepRunItem(items.sweep_key(run_id), items.SINGLE, body={**common, "dry_run": dry_run})
    run.open_shards = len(shards)
    run.progress = {str(shard): 0 for shard in shards}
    run.positions = {}
    try:
        run.save(SweepRunItem.pk.does_not_exist())
    except PutError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise
        # The invocation was repeated. What is due may have changed, the run's shards have not: it waits for them all.
        # Sending a message again is harmless, each chunk is noted once.
        shards = [int(shard) for shard in _noted(run_id).progress.attribute_values]
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
) -> Counts:
    """Works off one chunk of one shard, notes it, and sends the message of the next.

    ``send`` puts a message into the sweep's queue; ``time_left`` starts the clock of one member. Raises
    ``Unavailable`` or what the table raises: then the message is delivered again, and nothing is done twice.
    A member who can't be swept for another reason gets a message of their own (``member_id``): else they would come
    first in their shard on every day, and nobody behind them would ever be swept.
    """
    counts = Counts()
    if "member_id" in message:
        _sweep_member(store, programs, message["member_id"], message, counts, time_left())
        return counts
    members, after = store.due(message["shard"], message["scheduled_at"], message["after"], CHUNK)
    if message["dry_run"]:
        counts.members, members = len(members), []
    for member_id in members:
        try:
            _sweep_member(store, programs, member_id, message, counts, time_left())
        except Unavailable:
            raise
        except Exception:  # noqa: BLE001 - it is raised, and logged, where the member is swept alone
            send({**message, "member_id": member_id})
    after = _note(message, counts, after)
    if after is not None:
        # after the note: a repeat of this message finds its chunk noted, and sends the next one again
        send({**message, "chunk": message["chunk"] + 1, "after": after})
    return counts


def _sweep_member(
    store: Store,
    programs: Programs,
    member_id: str,
    message: Message,
    counts: Counts,
    time_left: Callable[[], float],
) -> None:
    until = parse_instant(message["scheduled_at"])
    expiries_only = message["sweep"] == EXPIRY_SWEEP
    tried = False

    def attempt() -> int:
        nonlocal tried
        account = store.account(member_id, consistent=tried)
        tried = True
        if account is None:
            return 0
        entries = settle(account, programs, until, expiries_only=expiries_only, at_most=SETTLED_AT_ONCE)
        if entries:
            transaction = Transaction()
            write_account(transaction, store, programs, account, entries)
            transaction.commit()
            committed(account)
            counts.entries += len(entries)
            counts.tier_changes += sum("receipt" in part for entry in entries for part in entry["parts"].values())
        return len(entries)

    entries_before = counts.entries
    while retrying(attempt, time_left) == SETTLED_AT_ONCE:
        pass  # there may be more
    counts.members += counts.entries > entries_before


def _note(message: Message, counts: Counts, after: dict[str, Any] | None) -> dict[str, Any] | None:
    """Notes in the run that a chunk is done: once, however often its message is delivered.

    Returns where the shard goes on (``None``: nowhere, or its next chunk is done as well). A repeat goes on where
    the first delivery did, though it found other members: a shard is one chain of chunks, with one end. What a repeat
    did is in the ledger, and not in the run's counts.
    """
    run = SweepRunItem(items.sweep_key(message["run_id"]), items.SINGLE)
    shard, chunk = str(message["shard"]), message["chunk"]
    progress: Any = SweepRunItem.progress[shard]
    position: Any = SweepRunItem.positions[shard]
    actions = [
        progress.set(chunk),
        position.set(json.dumps(after)),
        SweepRunItem.members.add(counts.members),
        SweepRunItem.entries.add(counts.entries),
        SweepRunItem.tier_changes.add(counts.tier_changes),
    ]
    if after is None:
        actions.append(SweepRunItem.open_shards.add(-1))
    try:
        run.update(actions, condition=progress == chunk - 1)
    except UpdateError as error:
        if code_of(error) != "ConditionalCheckFailedException":
            raise
        noted = _noted(message["run_id"])
        return json.loads(noted.positions[shard]) if noted.progress[shard] == chunk else None
    return after


def _noted(run_id: str) -> SweepRunItem:
    return SweepRunItem.get(items.sweep_key(run_id), items.SINGLE, consistent_read=True)
