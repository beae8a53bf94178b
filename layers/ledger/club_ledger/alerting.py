"""The use case "alert": whoever watches an item is told that its price has dropped (rules 1.4, contract 2.3).

A drop is one entry of the ledger. The outbox sends a message for each shard of the watchers; each message works off
one chunk of them and sends the next. An alert is an item with a key of its own, put as often as need be: the table's
stream shows it as new once, and that is what is announced. A chunk that is done is noted behind the message of the
next one, so that a message delivered again ends there and starts no second chain.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, NamedTuple

from club_ledger import items
from club_ledger.items import RecordItem
from club_ledger.journal import Journal
from club_ledger.outbox import new_entry
from club_ledger.store import Store, retrying
from club_ledger.watching import read_row
from club_rules.account import Account, Entry, decode_account
from club_rules.alerts import may_be_alerted
from club_rules.events import AHEAD_MAX
from club_rules.money import format_money
from club_rules.programs import Programs
from club_rules.times import parse_instant

CHUNK = 100
"""So many watchers are worked off for one message: what one BatchGetItem reads of accounts."""

ENTRIES_SINCE = 400
"""So many entries of a member are read where only they tell the tier at the drop; later ones tell of a later day."""

Message = dict[str, Any]


class Done(NamedTuple):
    """What a message did: how many watchers were looked at, and how many of them have an alert now."""

    watchers: int
    alerts: int


def messages_of(records: Iterable[dict[str, Any]], shards: Callable[[], int]) -> Iterator[tuple[int, Message]]:
    """The messages that the drops among the ``records`` of the table's stream stand for, with the records' places.

    One for each of the ``shards`` of watchers. A price that did not drop, whatever the event is called, stands for
    none.
    """
    for place, record in enumerate(records):
        entry = new_entry(record)
        if entry is None or entry.get("type") != "price.dropped":
            continue
        if entry["data"]["new_price"] >= entry["data"]["old_price"]:
            continue
        drop = _drop(entry)
        of = shards()
        yield from ((place, {**drop, "shard": shard, "of": of, "chunk": 1, "after": None}) for shard in range(of))


def _drop(entry: Entry) -> Message:
    data = entry["data"]
    return {
        "event_id": entry["event_id"],
        "occurred_at": entry["occurred_at"],
        "posted_at": entry["posted_at"],
        "item_id": data["item_id"],
        "old_price": format_money(data["old_price"], data["currency"]),
        "new_price": format_money(data["new_price"], data["currency"]),
        "currency": data["currency"],
    }


def work(
    store: Store,
    programs: Programs,
    message: Message,
    send: Callable[[Message], None],
    time_left: Callable[[], float],
) -> Done:
    """Works off one chunk of the watchers of one shard, and sends the message of the next.

    ``send`` puts a message into the queue; ``time_left``: seconds until it has to be over. Raises ``Unavailable``,
    or what the table or the queue raises: then the message is delivered again, and nobody is alerted twice.
    """
    key = items.alert_key(message["event_id"])
    noted = items.worked_key(message["shard"], message["chunk"])
    if retrying(lambda: store.is_there(key, noted), time_left):
        return Done(0, 0)
    rows = retrying(lambda: _find_and_alert(store, programs, message, key), time_left)
    if len(rows.found) == CHUNK:
        send({**message, "chunk": message["chunk"] + 1, "after": rows.found[-1]})
    # behind the sending: where the process dies in between, the next message is sent again, and never none
    # and it says what was done, so that `verify` misses an alert, or a chunk, that is lost
    done = {"of": message.get("of"), "watchers": len(rows.found), "told": rows.alerted}
    retrying(lambda: store.put_again([RecordItem(key, noted, body=done)]), time_left)
    return Done(len(rows.found), len(rows.alerted))


class _Rows(NamedTuple):
    """Watchers as the index has them, and the members among them who are told."""

    found: list[str]
    alerted: list[str]


def _find_and_alert(store: Store, programs: Programs, message: Message, key: str) -> _Rows:
    found = store.watchers(message["shard"], message["item_id"], message["after"], CHUNK)
    alerted = _alerted(store, programs, found, parse_instant(message["posted_at"]))
    facts = {name: message[name] for name in ("occurred_at", "item_id", "old_price", "new_price", "currency")}
    store.put_again([RecordItem(key, member_id, body=facts) for member_id in alerted])
    return _Rows(found, alerted)


def _alerted(store: Store, programs: Programs, rows: list[str], moment: datetime) -> list[str]:
    """Which of the watchers are told of a price that dropped at ``moment``, in their order, each once."""
    watchers = [member_id for member_id, start in map(read_row, rows) if _watched_by_then(start, moment)]
    accounts = store.stored_accounts(dict.fromkeys(watchers))
    alerted = []
    for member_id in dict.fromkeys(watchers):
        if member_id in accounts:
            account = decode_account(member_id, *accounts[member_id])
            if may_be_alerted(account, programs, moment, _entries_since(store, account, moment)):
                alerted.append(member_id)
    return alerted


def _watched_by_then(start: datetime, moment: datetime) -> bool:
    """However late a chunk is worked off, who has come to the item since saw its new price.

    What occurs up to five minutes ahead of our clock has occurred (rules 1.2).
    """
    return start - moment <= AHEAD_MAX


def _entries_since(store: Store, account: Account, moment: datetime) -> Callable[[], list[Entry]]:
    journal = Journal(store, account, {})

    def entries() -> list[Entry]:
        return journal.entries(journal.since(moment.date().isoformat(), ENTRIES_SINCE)[::-1])

    return entries
