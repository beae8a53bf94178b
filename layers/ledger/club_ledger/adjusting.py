"""The use case "adjust": a person corrects a member's points or spend, with reason and actor (rules 1.8, contract 2.1).

An adjustment is posted once, under a key that follows from its id. One above the limit waits, in an item of its own,
until another operator asks for the same. Entry and waiting item are written under the condition that the other isn't
there with other content, so that an id stands for one content, whoever is quicker.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

from club_ledger import items
from club_ledger.items import EntryItem
from club_ledger.store import Stale, Store, Transaction, existing, retrying, settle_and_write, write_account
from club_rules.account import Account, Entry
from club_rules.adjustments import Adjustment
from club_rules.errors import Conflict
from club_rules.posting import adjust, adjustment_key
from club_rules.programs import Programs
from club_rules.times import format_instant
from club_rules.views import adjustment_view, amount

POSTED, AWAITING = "posted", "awaiting_confirmation"

Answer = dict[str, Any]


class Limits(NamedTuple):
    """Up to what one operator adjusts alone, either way: points, and minor units of spend."""

    points: int
    spend: int

    def exceeded_by(self, adjustment: Adjustment, programs: Programs) -> bool:
        """Whether a second operator has to confirm it."""
        limit = self.points if adjustment.program in programs.point_programs else self.spend
        return abs(adjustment.points) > limit


def post_adjustment(
    store: Store,
    programs: Programs,
    adjustment: Adjustment,
    actor: str,
    moment: datetime,
    limits: Limits,
    time_left: Callable[[], float],
) -> Answer:
    """Posts an adjustment at the UTC instant ``moment``, or keeps it until another operator confirms it.

    ``actor`` is who asks, from the token; ``time_left`` gives the seconds that may still be spent. Returns what is
    stored, ``status`` says which of the two; a repeat gets the same. Raises ``NotFound`` for a member who is unknown
    or erased, ``Conflict`` (``adjustment_id_reused``) where the id has been used with other content, and
    ``Unavailable`` where the table did not take it in time: then nothing was posted, or a repeat will say so.
    """
    return retrying(lambda: _attempt(store, programs, adjustment, actor, moment, limits), time_left)


def _attempt(
    store: Store, programs: Programs, adjustment: Adjustment, actor: str, moment: datetime, limits: Limits
) -> Answer:
    """Reads, decides and writes once. Raises ``Stale`` or ``Busy`` where it has to be done again."""
    account = existing(store.account(adjustment.member_id, consistent=True))
    posted = _same(store.entry(adjustment_key(adjustment.adjustment_id)), adjustment)
    if posted is not None:
        return _answer(posted, programs)
    waiting = _same(store.waiting_adjustment(adjustment.adjustment_id), adjustment)
    if not limits.exceeded_by(adjustment, programs):
        return _post(store, programs, account, adjustment, moment, actor, None)
    if waiting is None:
        return _wait(programs, adjustment, moment, actor)
    if waiting["requested_by"] == actor:
        return waiting
    return _post(store, programs, account, adjustment, moment, waiting["requested_by"], actor)


def _same(found: tuple[dict[str, Any], str] | None, adjustment: Adjustment) -> dict[str, Any] | None:
    """What is stored under the id, if anything is. Raises ``Conflict`` where it says something else."""
    if found is None:
        return None
    body, digest = found
    if digest != adjustment.digest:
        raise Conflict("adjustment_id_reused", "this adjustment_id has been used with other content")
    return body


def _post(
    store: Store,
    programs: Programs,
    account: Account,
    adjustment: Adjustment,
    moment: datetime,
    actor: str,
    confirmed_by: str | None,
) -> Answer:
    moment = account.not_before(moment)
    settled = settle_and_write(store, programs, account, moment)
    entry = adjust(account, programs, adjustment, moment, actor, confirmed_by)
    transaction = Transaction()
    of_this = EntryItem.pk.does_not_exist() | (EntryItem.digest == adjustment.digest)
    waiting = items.waiting_key(adjustment.adjustment_id)
    transaction.check(EntryItem, waiting, items.SINGLE, of_this, Stale(adjustment.adjustment_id))
    write_account(transaction, store, programs, account, [*settled, entry])
    transaction.commit()
    return _answer(entry, programs)


def _wait(programs: Programs, adjustment: Adjustment, moment: datetime, actor: str) -> Answer:
    """Keeps an adjustment, unread by anything but its confirmation; its answer is what is kept."""
    program = programs.at(adjustment.program, moment)
    waiting = {
        "adjustment_id": adjustment.adjustment_id,
        "status": AWAITING,
        "member_id": adjustment.member_id,
        "program": program.id,
        **amount(program, adjustment.points),
        "reason": adjustment.reason,
        "requested_by": actor,
        "requested_at": format_instant(moment),
    }
    transaction = Transaction()
    failure = Stale(adjustment.adjustment_id)
    posted = items.entry_key(adjustment_key(adjustment.adjustment_id))
    transaction.check(EntryItem, posted, items.SINGLE, EntryItem.pk.does_not_exist(), failure)
    item = EntryItem(items.waiting_key(adjustment.adjustment_id), items.SINGLE, digest=adjustment.digest, body=waiting)
    transaction.put(item, EntryItem.pk.does_not_exist(), failure)
    transaction.commit()
    return waiting


def _answer(entry: Entry, programs: Programs) -> Answer:
    """The answer to a posted adjustment, from its entry alone: whatever has happened since, it is the same."""
    return {"adjustment_id": entry["data"]["adjustment_id"], "status": POSTED, **adjustment_view(entry, programs)}
