"""The use case "post": an activity event becomes a ledger entry, exactly once (architecture 3.2)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from club_ledger import items, watching
from club_ledger.items import EntryItem, RecordItem
from club_ledger.store import (
    Exists,
    OrderExists,
    Stale,
    Store,
    Transaction,
    committed,
    put_order,
    retrying,
    settle_and_write,
    write_account,
)
from club_rules.account import Account, Entry
from club_rules.errors import Refused
from club_rules.events import ActivityEvent
from club_rules.orders import OrderRecord, may_release
from club_rules.posting import Posting, names_order, needs_marks, post, release_parked
from club_rules.programs import Programs
from club_rules.times import format_instant


def post_event(
    store: Store, programs: Programs, event: ActivityEvent, moment: datetime, time_left: Callable[[], float]
) -> bool:
    """Posts one event at the UTC instant ``moment``.

    Returns whether it was new; a repeat with the same content changes nothing. ``time_left`` gives the seconds that
    may still be spent. Raises ``Refused`` where the id has been used with other content (``event_id_reused``) or the
    member is erased (``member_erased``), and ``Unavailable`` where the table did not take it in time: then nothing was
    posted, or a repeat will say so.
    """
    work = _Work(store, programs, event, moment)
    return retrying(work.attempt, time_left)


class _Work:
    """One event on its way into the ledger, over as many attempts as it takes."""

    def __init__(self, store: Store, programs: Programs, event: ActivityEvent, moment: datetime) -> None:
        self.store = store
        self.programs = programs
        self.event = event
        self.moment = moment
        self.tried = False  # the first read may be an old one: it costs half, and the write would fail
        self.tried_before = False  # the same of what else is guarded by what was read
        self.order_is_known = names_order(event.type) and event.type != "order.completed"

    def attempt(self) -> bool:
        """Reads, decides and writes. Raises ``Stale`` or ``Busy`` where it has to be done again."""
        self.tried_before = self.tried
        try:
            self._post()
        except OrderExists as found:
            self.order_is_known = True
            raise Stale(self.event.member_id) from found
        except Exists as found:
            if found.digest != self.event.digest:
                raise Refused("event_id_reused", "this event id has been used with other content") from found
            if self.event.type == "order.completed":
                self._release(*self._settled())
            return False
        return True

    def _post(self) -> None:
        if not self.event.member_id:
            self._post_without_member()
            return
        account, settled = self._settled()
        order = None
        if self.order_is_known:
            order = self._order()
        if may_release(order):
            # a release was broken off: what has waited for the order arrived before this event, and goes before it
            self._release(account, settled)
            settled, order = [], self._order()
        is_new = order is None
        marks = self.store.older_marks(account) if needs_marks(self.event.type) else frozenset()
        posting = post(account, self.programs, self.event, account.not_before(self.moment), order, marks)
        if may_release(posting.order):
            marks = self.store.older_marks(account)
            released = release_parked(account, self.programs, account.not_before(self.moment), posting.order, marks)
            posting = Posting(posting.entries + released.entries, posting.order)
        self._write(account, [*settled, *posting.entries], posting, is_new)
        if may_release(posting.order):
            self._release(account, [])

    def _order(self) -> OrderRecord | None:
        """The record of the order that the event names."""
        return self.store.order(self.event.member_id, self.event.data["order_id"])

    def _settled(self) -> tuple[Account, list[Entry]]:
        """The account settled to the moment, and the entries of that which are not written yet."""
        account = self.store.account(self.event.member_id, consistent=self.tried)
        self.tried = True
        if account is None:
            return Account(self.event.member_id), []
        if account.erased:
            raise Refused("member_erased", "the member has been erased: nothing is posted for them any more")
        return account, settle_and_write(self.store, self.programs, account, account.not_before(self.moment))

    def _release(self, account: Account, settled: list[Entry]) -> None:
        """The rest of what was parked for the order, in transactions of their own, after what has been ``settled``."""
        while True:
            order = self._order()
            if not may_release(order):
                return
            marks = self.store.older_marks(account)
            posting = release_parked(account, self.programs, account.not_before(self.moment), order, marks)
            self._write(account, [*settled, *posting.entries], posting, False)
            settled = []

    def _write(self, account: Account, entries: list[Entry], posting: Posting, order_is_new: bool) -> None:
        transaction = Transaction()
        write_account(transaction, self.store, self.programs, account, entries)
        if posting.order is not None:
            put_order(transaction, account.member_id, posting.order, new=order_is_new)
        if self.event.type in ("member.registered", "member.updated"):
            self._put_profile(transaction)
        if self.event.type in watching.EVENTS:
            watching.put_watched(transaction, self.store, self.event, consistent=self.tried_before)
        transaction.commit()
        committed(account)

    def _put_profile(self, transaction: Transaction) -> None:
        """Personal data is kept apart from the entries (architecture 3.6); the account's version guards it too."""
        known = self.store.profile(self.event.member_id)
        profile = known | self.event.data
        if "birthday" in self.event.data and self.event.data["birthday"] != known.get("birthday"):
            profile["birthday_set_at"] = format_instant(self.moment)
        if self.event.type == "member.registered":
            profile.setdefault("registered_on", self.event.occurred_at.date().isoformat())
        item = RecordItem(items.member_key(self.event.member_id), items.PROFILE, body=profile)
        transaction.put(item, None, Stale(self.event.member_id))
        from club_ledger.rewarding import put_profile  # few events change a profile

        put_profile(transaction, self.store, self.programs, self.event.member_id, profile, self.moment)

    def _post_without_member(self) -> None:
        """A fact about an item (``price.dropped``): kept once, for whoever follows the table's stream."""
        event = self.event
        body = {
            "entry_id": event.event_id,
            "key": event.event_id,
            "event_id": event.event_id,
            "type": event.type,
            "occurred_at": format_instant(event.occurred_at),
            "posted_at": format_instant(self.moment),
            "digest": event.digest,
            "data": event.data,
            "parts": {},
        }
        transaction = Transaction()
        item = EntryItem(items.entry_key(event.event_id), items.SINGLE, digest=event.digest, body=body)
        transaction.put(item, EntryItem.pk.does_not_exist(), Exists(event.event_id, None))
        transaction.commit()
