"""Reading and writing the table: consistent where it matters, one transaction for what belongs together.

Failures come out as what the use cases tell apart (architecture 3.2): ``Exists`` (an entry is there already),
``Stale`` (somebody else changed the account: read again, decide again) and ``Busy`` (nothing was written; try again).
They are never mixed up.
"""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from pynamodb.exceptions import GetError, PutError, PynamoDBException, QueryError, TransactWriteError
from pynamodb.transactions import TransactWrite

from club_ledger import items
from club_ledger.client import client
from club_ledger.items import AccountItem, EntryItem, RecordItem, SweepRunItem, VersionedItem, WatchItem, unpack
from club_rules.account import Account, Entry, decode_account, encode_account
from club_rules.errors import Refused, Unavailable, member_not_found
from club_rules.programs import Programs
from club_rules.settling import due_at, settle
from club_rules.standing import Counts
from club_rules.times import format_instant, parse_instant
from club_rules.warnings import given_through

if TYPE_CHECKING:
    from pynamodb.expressions.condition import Condition
    from pynamodb.expressions.update import Action

T = TypeVar("T")

_Raw = dict[str, Any]
"""An item, or a key, as DynamoDB has it. What is read is not made a model of: for a page of entries that would be a
third of all the work."""

_TRANSIENT = frozenset(
    {
        "InternalServerError",
        "ItemCollectionSizeLimitExceededException",
        "LimitExceededException",
        "ProvisionedThroughputExceededException",
        "RequestLimitExceeded",
        "ServiceUnavailable",
        "ThrottlingException",
        "ThrottlingError",
        "ProvisionedThroughputExceeded",
        "TransactionConflict",
        "TransactionConflictException",
        "TransactionInProgressException",
    }
)

_READ_AT_ONCE, _WRITTEN_AT_ONCE = 100, 25
"""DynamoDB's bounds for one BatchGetItem, and for one BatchWriteItem."""

SETTLED_AT_ONCE = 40
"""So many entries of what fell due are written in one transaction: well within DynamoDB's 100 items and 4 MB."""

_TOO_LARGE = frozenset({"ValidationError", "ValidationException"})
"""The answer where an item would be above 400 KB: well-formed writes, as these are, get it for nothing else."""


class Failure(Exception):
    """A write that did not happen."""


class Exists(Failure):
    """What was to be written once is there already. ``name`` says which, ``digest`` that of what is there."""

    def __init__(self, name: str, digest: str | None) -> None:
        super().__init__(name)
        self.name = name
        self.digest = digest


class OrderExists(Failure):
    """The order that was to be new is there already: something has been parked for it, or it has been posted."""


class Stale(Failure):
    """What was read has changed since."""


class Busy(Failure):
    """The table did not take it, or did not say whether it did."""


class Transaction:
    """The writes that belong together; ``commit`` does all of them or none."""

    def __init__(self) -> None:
        self._checks: list[tuple[type[Any], str, str, Condition, Failure]] = []
        self._puts: list[tuple[Any, Condition | None, Failure]] = []
        self._updates: list[tuple[Any, Sequence[Action], Condition | None, Failure]] = []

    def check(self, model: type[Any], pk: str, sk: str, condition: Condition, failure: Failure) -> None:
        """Demands ``condition`` of an item that is not written; ``failure`` is raised where it does not hold."""
        self._checks.append((model, pk, sk, condition, failure))

    def put(self, item: Any, condition: Condition | None, failure: Failure) -> None:
        """Writes ``item`` under ``condition``; ``failure`` is raised where it does not hold."""
        self._puts.append((item, condition, failure))

    def update(self, item: Any, actions: Sequence[Action], condition: Condition | None, failure: Failure) -> None:
        """Changes the item with the key of ``item`` by ``actions``; ``failure`` is raised where ``condition`` fails."""
        self._updates.append((item, actions, condition, failure))

    def commit(self) -> None:
        """Carries it out. Raises the failure of the first condition that did not hold, ``Busy``, or ``Refused``
        (``record_too_large``) for what the table will never take."""
        try:
            with TransactWrite(connection=RecordItem._get_connection().connection) as transaction:
                for model, pk, sk, condition, _ in self._checks:
                    transaction.condition_check(model, pk, sk, condition=condition)
                for item, put_condition, _ in self._puts:
                    transaction.save(item, condition=put_condition, return_values="ALL_OLD")
                for item, actions, update_condition, _ in self._updates:
                    transaction.update(item, list(actions), condition=update_condition)
        except TransactWriteError as error:
            raise self._failure(error) from error

    def _failure(self, error: TransactWriteError) -> Failure:
        """Which of the conditions failed. PynamoDB writes checks, then puts, then updates, as they were called."""
        failures = [
            *(each[4] for each in self._checks),
            *(each[2] for each in self._puts),
            *(each[3] for each in self._updates),
        ]
        reasons = error.cancellation_reasons if code_of(error) == "TransactionCanceledException" else []
        for failure, reason in zip(failures, reasons, strict=False):
            if reason is not None and reason.code == "ConditionalCheckFailed":
                if isinstance(failure, Exists) and reason.raw_item:
                    failure.digest = reason.raw_item.get("digest", {}).get("S")
                return failure
        codes: set[str | None] = {reason.code for reason in reasons if reason is not None}
        codes = codes or {code_of(error)}
        if not codes.isdisjoint(_TOO_LARGE):
            raise Refused("record_too_large", "a record of this member would exceed what the table takes") from error
        return _busy(error, codes)


class Counted(NamedTuple):
    """What has been counted of one member: the ``tiers`` above the lowest, codes by program, as they were in the
    account's version ``of``. ``version`` is that of the note itself. Who is ``erased`` is not among the members."""

    version: int
    of: int
    tiers: dict[str, str]
    erased: bool = False


class OfSummary(NamedTuple):
    """What a summary is made of: the member's account, how many members hold which tier, what is kept of the person,
    and the member's rewards as they are stored; empty where there is nothing."""

    account: Account | None
    counts: Counts
    profile: dict[str, Any]
    rewards: dict[str, Any]


class Counters(NamedTuple):
    """The standing's counters, and how often each of their shards has been added to."""

    counts: Counts
    versions: tuple[int, ...]


class Store:
    """The table. ``shards`` gives the number of partitions of the index "due"; who only reads members never asks."""

    def __init__(self, shards: Callable[[], int]) -> None:
        self._shards = shards

    @property
    def shards(self) -> int:
        """The number of partitions of the index "due"."""
        return self._shards()

    def account(self, member_id: str, *, consistent: bool = False) -> Account | None:
        """A member's account, or ``None``.

        A read that is not ``consistent`` costs half and may be old; writing what was decided on it then fails as
        ``Stale``. Raises ``Busy``.
        """
        return _account_in(_get(items.member_key(member_id), items.ACCOUNT, consistent))

    def account_and_journal(self, member_id: str, pages: int) -> tuple[Account | None, dict[str, list[str]]]:
        """A member's account with the latest ``pages`` full pages of the journal by their sort keys, in one request."""
        answer = _reading(
            lambda: RecordItem._get_connection().query(
                items.member_key(member_id),
                RecordItem.sk.between(items.journal_key(0), items.ACCOUNT),
                scan_index_forward=False,
                limit=pages + 1,
                consistent_read=True,
            )
        )
        first, *others = answer["Items"] or (None,)
        return _account_in(first), {item["sk"]["S"]: _body_in(item) for item in others}

    def all_of_summary(self, member_id: str) -> OfSummary:
        """All that a member's summary is made of, in one consistent request. Raises ``Busy``."""
        pk = items.member_key(member_id)
        keys = [(pk, items.ACCOUNT), (pk, items.PROFILE), (items.rewards_key(member_id), items.SINGLE)]
        found = _together([*keys, *_STANDING_KEYS])
        account, profile, rewards = (found.get(key) for key in keys)
        return OfSummary(_account_in(account), counters_of(found).counts, _body_in(profile), _body_in(rewards))

    def account_and_rewards(self, member_id: str) -> tuple[Account | None, dict[str, Any]]:
        """A member's account and what is stored of their rewards, in one consistent request. Raises ``Busy``."""
        key, rewards_key = (items.member_key(member_id), items.ACCOUNT), (items.rewards_key(member_id), items.SINGLE)
        found = _together([key, rewards_key])
        return _account_in(found.get(key)), _body_in(found.get(rewards_key))

    def counters(self) -> Counters:
        """The standing's counters, read consistently. Raises ``Busy``."""
        return counters_of(_together(_STANDING_KEYS))

    def counted(self, member_ids: Iterable[str]) -> dict[str, Counted]:
        """What has been counted of members in the standing; who is missing has not been counted. Raises ``Busy``."""
        keys = [(items.counted_key(member_id), items.SINGLE) for member_id in member_ids]
        return {member_id: counted_in(version, body) for member_id, version, body in _versions(_batch(keys))}

    def stored_accounts(self, member_ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        """The versions and contents of accounts, as they are stored. Raises ``Busy``."""
        keys = [(items.member_key(member_id), items.ACCOUNT) for member_id in member_ids]
        return {member_id: (version, body) for member_id, version, body in _versions(_batch(keys))}

    def order(self, member_id: str, order_id: str) -> dict[str, Any] | None:
        """A member's order record, read consistently; ``None`` where the ledger holds none. Raises ``Busy``."""
        order: dict[str, Any] | None = self._body(items.member_key(member_id), items.order_key(order_id))
        return order

    def profile(self, member_id: str) -> dict[str, Any]:
        """What is kept of the person, apart from the ledger; empty where nothing is. Raises ``Busy``."""
        return self._body(items.member_key(member_id), items.PROFILE) or {}

    def payout(self, order_id: str) -> dict[str, Any] | None:
        """The approved expedited refund of an order, whoever asked for it. Raises ``Busy``."""
        payout: dict[str, Any] | None = self._body(items.payout_key(order_id), items.SINGLE)
        return payout

    def acceleration(self, dispute_id: str) -> dict[str, Any] | None:
        """The acceleration of a dispute. Raises ``Busy``."""
        acceleration: dict[str, Any] | None = self._body(items.dispute_key(dispute_id), items.SINGLE)
        return acceleration

    def decision(self, decision_id: str) -> tuple[dict[str, Any], str] | None:
        """A stored decision with the digest of the request that it answers. Raises ``Busy``."""
        return self._written_once(items.decision_key(decision_id))

    def decisions(self, member_id: str, before: str | None, limit: int) -> list[tuple[str, dict[str, Any]]]:
        """A member's decisions with their sort keys, latest first, at most ``limit`` of those ``before`` a sort key.

        They take two requests. Raises ``Busy``.
        """
        made = _reading(
            lambda: list(
                RecordItem.query(
                    items.member_key(member_id),
                    RecordItem.sk.between(items.MADE, before or items.MADE_BEHIND),
                    scan_index_forward=False,
                    limit=limit + 1,
                    page_size=limit + 1,
                    consistent_read=True,
                )
            )
        )
        keys = [item.sk for item in made if item.sk != before][:limit]
        wanted = [(items.decision_key(items.decision_of(key)), items.SINGLE) for key in keys]
        found = {decision["decision_id"]: decision for decision in map(_body_in, _batch(wanted))}
        return [(key, found[items.decision_of(key)]) for key in keys]

    def velocity(self, member_id: str) -> tuple[list[list[Any]], int]:
        """The member's approvals of late as ``[instant, minor units]``, and their version (0: none yet)."""
        item = _get(items.member_key(member_id), items.VELOCITY, True)
        return ([], 0) if item is None else (_body_in(item), _version_in(item))

    def entries(self, keys: Iterable[str]) -> dict[str, Entry]:
        """Entries by their keys. Raises ``Busy``."""
        wanted = [(items.entry_key(key), items.SINGLE) for key in keys]
        return {entry["key"]: entry for entry in map(_body_in, _batch(wanted))}

    def entry(self, key: str) -> tuple[Entry, str] | None:
        """The entry of a key with the digest of what it answers, read consistently. Raises ``Busy``."""
        return self._written_once(items.entry_key(key))

    def waiting_adjustment(self, adjustment_id: str) -> tuple[dict[str, Any], str] | None:
        """An adjustment that waits, or waited, for a second operator, with its digest. Raises ``Busy``."""
        return self._written_once(items.waiting_key(adjustment_id))

    def pages(self, member_id: str, keys: Iterable[str]) -> dict[str, list[str]]:
        """Pages of the journal or of the marks by their sort keys. Raises ``Busy``."""
        pk = items.member_key(member_id)
        return {item["sk"]["S"]: _body_in(item) for item in _batch([(pk, key) for key in keys])}

    def older_marks(self, account: Account) -> frozenset[str]:
        """The marks that have left the account for pages of their own. Raises ``Busy``."""
        if not account.marks_pages:
            return frozenset()
        pages = self.pages(account.member_id, map(items.marks_key, range(account.marks_pages)))
        return frozenset(mark for page in pages.values() for mark in page)

    def due(
        self, shard: int, until: str, after: dict[str, Any] | None, limit: int, index: str = items.DUE
    ) -> tuple[list[str], Any]:
        """Members of a shard with something due up to the instant ``until``, earliest first.

        ``index``: ``items.DUE`` for accounts, ``items.REWARD`` for rewards. Returns at most ``limit`` member ids, and
        where to go on (``None``: there are no more). The index may lag behind what it names: that is to be looked at,
        no more. Raises ``Busy``.
        """
        found = AccountItem.due.query(
            items.due_key(shard, index),
            AccountItem.due_at <= until,
            last_evaluated_key=after,
            limit=limit,
            page_size=limit,
        )
        members = _reading(lambda: [items.member_of(item.pk) for item in found])
        return members, found.last_evaluated_key if len(members) >= limit else None

    def watched(self, member_id: str, item_id: str, *, consistent: bool = False) -> WatchItem | None:
        """What a member's partition has of an item of the marketplace, or ``None``. Raises ``Busy``."""
        item = _get(items.member_key(member_id), items.watch_key(item_id), consistent)
        return None if item is None else WatchItem.from_raw_data(item)

    def all_watched(self, member_id: str, after: str | None, limit: int) -> list[WatchItem]:
        """What a member watches or did: at most ``limit`` records behind a sort key, current ones. Raises ``Busy``."""
        found = _reading(
            lambda: list(
                WatchItem.query(
                    items.member_key(member_id),
                    WatchItem.sk.between(after or items.WATCHED, items.WATCHED_BEHIND),
                    limit=limit + 1,
                    page_size=limit + 1,
                    consistent_read=True,
                )
            )
        )
        return [item for item in found if item.sk != after][:limit]

    def watchers(self, shard: int, item_id: str, after: str | None, limit: int) -> list[str]:
        """A shard of those who watch an item, as ``watching.row`` writes them: at most ``limit`` behind such a row.

        The index may lag behind what is stored by a moment. Raises ``Busy``.
        """
        key = items.watchers_key(shard, item_id)
        behind = None if after is None else AccountItem.due_at > after
        found = AccountItem.due.query(key, behind, limit=limit, page_size=limit)
        return _reading(lambda: [str(item.due_at) for item in found])

    def is_there(self, pk: str, sk: str) -> bool:
        """Whether there is an item of this key, read consistently. Raises ``Busy``."""
        return _get(pk, sk, True) is not None

    def put_again(self, records: list[RecordItem]) -> None:
        """Writes items that may be there already, with the very same content: a repeat changes nothing.

        They are not one transaction. Raises ``Busy`` where some were not written: then all are to be put again.
        """
        connection = RecordItem._get_connection()
        for start in range(0, len(records), _WRITTEN_AT_ONCE):
            batch = [record.serialize() for record in records[start : start + _WRITTEN_AT_ONCE]]
            try:
                answer = connection.batch_write_item(put_items=batch)
            except PutError as error:
                raise busy(error) from error
            if answer.get("UnprocessedItems"):
                raise Busy("some items were not written")

    def sweep_run(self, run_id: str) -> SweepRunItem:
        """One run of a sweep. Raises ``SweepRunItem.DoesNotExist``, and ``Busy``."""
        key = items.sweep_key(run_id)
        run: SweepRunItem = _reading(lambda: SweepRunItem.get(key, items.SINGLE, consistent_read=True))
        return run

    def sweep_chunk(self, run_id: str, key: str) -> tuple[int, dict[str, dict[str, str]]]:
        """What a chunk of a run has reserved, with the version of that note (0: nothing yet). Raises ``Busy``."""
        item = _get(items.sweep_key(run_id), key, True)
        return (0, {}) if item is None else (_version_in(item), _body_in(item))

    def rewards(self, member_id: str, *, consistent: bool = False) -> tuple[int, dict[str, Any]]:
        """The version of a member's rewards (0: none yet), and what is stored of them. Raises ``Busy``."""
        item = _get(items.rewards_key(member_id), items.SINGLE, consistent)
        return (0, {}) if item is None else (_version_in(item), _body_in(item))

    def rewards_of(self, member_ids: Iterable[str]) -> dict[str, tuple[int, dict[str, Any]]]:
        """The same of many members, read consistently; who has none is missing. Raises ``Busy``."""
        keys = [(items.rewards_key(member_id), items.SINGLE) for member_id in member_ids]
        return {member_id: (version, body) for member_id, version, body in _versions(_batch(keys))}

    def put(self, item: RecordItem, condition: Condition, failure: Failure) -> None:
        """Writes one item by itself under ``condition``; raises ``failure`` where it does not hold, and ``Busy``."""
        try:
            item.save(condition)
        except PutError as error:
            if code_of(error) == "ConditionalCheckFailedException":
                raise failure from error
            raise busy(error) from error

    def sweep_chunks(self, run_id: str) -> list[dict[str, dict[str, str]]]:
        """What all chunks of a run have reserved, see ``brake``. Raises ``Busy``."""
        noted = VersionedItem.sk.startswith(items.CHUNK)
        found = _reading(lambda: list(VersionedItem.query(items.sweep_key(run_id), noted, consistent_read=True)))
        return [item.body for item in found]

    def _written_once(self, pk: str) -> tuple[dict[str, Any], str] | None:
        item = _get(pk, items.SINGLE, True)
        return None if item is None else (_body_in(item), item["digest"]["S"])

    def _body(self, pk: str, sk: str) -> Any:
        item = _get(pk, sk, True)
        return None if item is None else _body_in(item)


def existing(account: Account | None) -> Account:
    """The account of a member who is there; raises ``NotFound`` for one who isn't, or was erased."""
    if account is None or account.erased:
        raise member_not_found()
    return account


def write_account(
    transaction: Transaction, store: Store, programs: Programs, account: Account, entries: list[Entry]
) -> None:
    """Adds to ``transaction``: the account at its next version, its new ``entries``, and the pages they filled.

    ``account`` is as it was read, with the entries applied; once the transaction is committed, ``committed`` has to
    be told. An entry that is there already fails as ``Exists``, an account that has changed as ``Stale``.
    """
    for entry in entries:
        transaction.put(
            EntryItem(items.entry_key(entry["key"]), items.SINGLE, digest=entry.get("digest", ""), body=entry),
            EntryItem.pk.does_not_exist(),
            # a sweep's entry, or the effect of a parked event, is no event's first posting: somebody else was quicker
            Exists(entry["key"], None) if entry["key"] == entry.get("event_id") else Stale(account.member_id),
        )
    transaction.put(*_next_version(store, programs, account))
    pk = items.member_key(account.member_id)
    for filled, key in ((account.filled_journal, items.journal_key), (account.filled_marks, items.marks_key)):
        for page, content in filled.items():
            transaction.put(RecordItem(pk, key(page), body=content), RecordItem.pk.does_not_exist(), Stale(key(page)))


def write_warned(store: Store, programs: Programs, account: Account) -> None:
    """Writes ``account``, as it was read, with when it was warned, by itself: half of what a transaction costs.

    Raises ``Busy``, and ``Stale`` where the account has changed, which may be by this very write: no answer to it came,
    and it was tried again. What is read then has been warned.
    """
    store.put(*_next_version(store, programs, account))


def _next_version(store: Store, programs: Programs, account: Account) -> tuple[AccountItem, Condition, Stale]:
    """The account's item at its next version, what has to hold of the one that is stored, and what to raise if not."""
    due = due_at(account, programs)
    pk = items.member_key(account.member_id)
    item = AccountItem(pk, items.ACCOUNT, version=account.version + 1, body=encode_account(account))
    if due is not None:
        item.due_shard = items.due_key(shard_of(account.member_id, store.shards))
        item.due_at = format_instant(due)
    if account.warned is not None and account.warned == given_through(account):
        item.warned = format_instant(account.warned)
    unchanged = AccountItem.version == account.version if account.version else AccountItem.pk.does_not_exist()
    return item, unchanged, Stale(account.member_id)


def committed(account: Account) -> None:
    """The transaction that wrote ``account`` was carried out: it stands at its next version."""
    account.version += 1
    account.filled_journal.clear()
    account.filled_marks.clear()


def settle_and_write(store: Store, programs: Programs, account: Account, until: datetime) -> list[Entry]:
    """Settles ``account``, in place, to the UTC instant ``until``, before something else is done with it.

    Returns the entries of what fell due, to be written together with that. Where they are too many for one
    transaction, the earlier ones are written here. Raises ``Stale`` and ``Busy``.
    """
    while True:
        entries = settle(account, programs, until, at_most=SETTLED_AT_ONCE)
        if len(entries) < SETTLED_AT_ONCE:
            return entries
        account.warned = until  # else what the next transaction expires would look as if it lay ahead
        transaction = Transaction()
        write_account(transaction, store, programs, account, entries)
        transaction.commit()
        committed(account)


def put_order(transaction: Transaction, member_id: str, order: dict[str, Any], *, new: bool) -> None:
    """Adds the member's order record to ``transaction``; where it is ``new``, one that is there is ``OrderExists``."""
    item = RecordItem(items.member_key(member_id), items.order_key(order["order_id"]), body=order)
    transaction.put(item, RecordItem.pk.does_not_exist() if new else None, OrderExists(order["order_id"]))


def shard_of(member_id: str, shards: int) -> int:
    """The partition of the index "due" that a member belongs to."""
    return zlib.crc32(member_id.encode()) % shards


def connect(table_name: str, shards: Callable[[], int]) -> Store:
    """The store of a table, see ``Store``; the client behind it is made once, at the first call."""
    # One connection serves every model, and the transactions: the client behind it is the most that a cold start costs.
    # It has to be that of the model with an index: a connection knows the indexes of the model that it is made for.
    meta = RecordItem.Meta
    if meta.table_name != table_name:
        meta.table_name = table_name
        AccountItem._connection = None
        RecordItem._connection = AccountItem._get_connection()
        RecordItem._connection.connection._client = client("dynamodb")  # in place of one that PynamoDB would make
    return Store(shards)


def retrying(attempt: Callable[[], T], time_left: Callable[[], float]) -> T:
    """Calls ``attempt`` again while it fails as ``Stale`` or ``Busy`` and there are seconds left, with jitter.

    ``time_left``: seconds until it has to be over. Raises ``Unavailable`` when they run out; nothing was written.
    """
    pause = 0.02
    while True:
        try:
            return attempt()
        except (Stale, Busy) as failure:
            wait = random.uniform(0, pause)
            if time_left() - wait < 1.0:
                raise Unavailable(
                    "store_unavailable", "the ledger is busy; the same request may be sent again"
                ) from failure
            time.sleep(wait)
            pause = min(pause * 2, 1.0)


def _get(pk: str, sk: str, consistent: bool) -> _Raw | None:
    """The item of a key, or ``None``."""
    answer = _reading(lambda: RecordItem._get_connection().get_item(pk, sk, consistent_read=consistent))
    item: _Raw | None = answer.get("Item")
    return item


def _batch(keys: Iterable[tuple[str, str]]) -> Iterator[_Raw]:
    """Items by their keys, consistently: what is named by an account that was read consistently has to be there.

    What DynamoDB hands back is asked for again, at once.
    """
    connection = RecordItem._get_connection()
    wanted: list[Any] = [_key(pk, sk) for pk, sk in dict.fromkeys(keys)]
    while wanted:
        asked, wanted = wanted[:_READ_AT_ONCE], wanted[_READ_AT_ONCE:]
        answer = _reading(lambda: connection.batch_get_item(asked, consistent_read=True))  # noqa: B023 - called here
        table = RecordItem.Meta.table_name
        yield from answer["Responses"].get(table, ())
        wanted = answer.get("UnprocessedKeys", {}).get(table, {}).get("Keys", []) + wanted


def _key(pk: str, sk: str) -> _Raw:
    return {"pk": {"S": pk}, "sk": {"S": sk}}


_STANDING_KEYS = [(items.standing_key(shard), items.SINGLE) for shard in range(items.STANDING_SHARDS)]


def _together(keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], dict[str, Any]]:
    """Items of any kind by their keys, as DynamoDB has them, in one consistent request. Raises ``Busy``."""
    wanted: list[Any] = [_key(pk, sk) for pk, sk in keys]
    connection = RecordItem._get_connection()  # a model would read its own kind alone
    answer = _reading(lambda: connection.batch_get_item(wanted, consistent_read=True))
    if answer.get("UnprocessedKeys"):
        raise Busy("some keys were not processed")
    found = answer["Responses"].get(RecordItem.Meta.table_name, ())
    return {(item["pk"]["S"], item["sk"]["S"]): item for item in found}


def _account_in(item: _Raw | None) -> Account | None:
    """The account in an item as DynamoDB has it, with when the member was last warned."""
    if item is None:
        return None
    account = decode_account(items.member_of(item["pk"]["S"]), _version_in(item), _body_in(item))
    account.warned = parse_instant(item["warned"]["S"]) if "warned" in item else None
    return account


def _body_in(item: _Raw | None) -> Any:
    """What is packed into an item as DynamoDB has it; an empty object where there is none."""
    return {} if item is None else unpack(item["body"]["B"])


def _version_in(item: _Raw) -> int:
    return int(item["version"]["N"])


def _versions(found: Iterable[_Raw]) -> Iterator[tuple[str, int, dict[str, Any]]]:
    """Of items in partitions of members: the member, the version and what is packed into it."""
    return ((items.member_of(item["pk"]["S"]), _version_in(item), _body_in(item)) for item in found)


def counted_in(version: int, body: dict[str, Any]) -> Counted:
    """What a note of a member says. Raises ``KeyError`` and ``TypeError`` for what is none."""
    return Counted(version, body["of"], body["tiers"], body.get("erased", False))


def counters_of(shards: Mapping[tuple[str, str], dict[str, Any]]) -> Counters:
    """The sum of the standing's shards, given by their keys as DynamoDB has them; one never added to is not there."""
    members = 0
    tiers: dict[str, dict[str, int]] = {}
    versions = dict.fromkeys(_STANDING_KEYS, 0)
    for key in shards.keys() & versions.keys():
        numbers = {name: int(value["N"]) for name, value in shards[key].items() if "N" in value}
        members += numbers.get("members", 0)
        for name, number in numbers.items():
            program_id, of_tier, code = name.partition("#")
            if of_tier:
                of_program = tiers.setdefault(program_id, {})
                of_program[code] = of_program.get(code, 0) + number
        versions[key] = numbers.get("version", 0)
    return Counters(Counts(members, tiers), tuple(versions.values()))


def _reading(read: Callable[[], T]) -> T:
    try:
        return read()
    except (GetError, QueryError) as error:
        raise busy(error) from error


def code_of(error: PynamoDBException) -> str | None:
    """What DynamoDB calls the failure; ``None`` where no answer came.

    PynamoDB's own ``cause_response_code`` raises ``AttributeError`` for a timeout, whose ``response`` is ``None``.
    """
    response = getattr(error.cause, "response", None)
    return response.get("Error", {}).get("Code") if isinstance(response, dict) else None


def busy(error: PynamoDBException) -> Busy:
    """The failure of a single request, as ``Busy``; raises ``error`` itself for what no repeat makes better."""
    return _busy(error, {code_of(error)})


def _busy(error: PynamoDBException, codes: set[str | None]) -> Busy:
    """``Busy`` for what may go better the next time; raises ``error`` itself for what will not (a bad request, say)."""
    if not codes <= _TRANSIENT | {None}:
        raise error
    return Busy(", ".join(sorted(str(code) for code in codes)))
