"""The use case "decide": expedited refunds and accelerations, approved once and for ever (rules 1.10, 1.11).

A decision is one transaction: the decision itself, under the id that follows from its request; where it is
approved, also what it may do only once, under a condition; and what fell due on the account by then, so that
the tier it rests on is the ledger's own. What it was decided on can't have changed meanwhile, or it is
decided again. The instruction to pay, or to move the dispute, is read off the table's stream from the stored
decision: what is committed is announced.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from club_ledger import items
from club_ledger.items import AccountItem, EntryItem, RecordItem, VersionedItem
from club_ledger.store import Exists, Stale, Store, Transaction, retrying, settle_and_write, write_account
from club_rules import decisions
from club_rules.account import Account, Entry
from club_rules.decisions import Approval, Decision, DisputeFacts, DisputeRequest, RefundFacts, RefundRequest
from club_rules.errors import Conflict
from club_rules.programs import Programs
from club_rules.times import format_instant, parse_instant

_Judge = Callable[[Account, Transaction], Decision]
"""Decides on a settled account; adds to the transaction what only an approval writes."""


def decide_refund(
    store: Store,
    programs: Programs,
    request: RefundRequest,
    moment: datetime,
    switched_on: bool,
    time_left: Callable[[], float],
) -> Decision:
    """Decides on an expedited refund at the UTC instant ``moment`` (rules 1.10); a repeat gets its decision.

    ``switched_on`` is the one switch for all programs; ``time_left`` gives the seconds that may still be
    spent. Returns the stored decision. Raises ``Conflict`` (``request_id_reused``) where the request id has
    been used with other content, and ``Unavailable`` where the table did not take it in time: then nothing
    was decided, or the same request will say what was.
    """
    memory = decisions.velocity_memory(programs)

    def judge(account: Account, transaction: Transaction) -> Decision:
        # after the account: whatever writes an order writes the account too, whose version then gives it away
        order = None if account.erased else store.order(request.member_id, request.order_id)
        payout = store.payout(request.order_id)
        rows, version = store.velocity(request.member_id)
        approvals = [(parse_instant(at), amount) for at, amount in rows]
        facts = RefundFacts(account, order, payout is not None, approvals)
        decision = decisions.decide_refund(request, facts, programs, moment, switched_on=switched_on)
        if decision["decision"] == decisions.APPROVED:
            _put_payout(transaction, decision)
            kept = [*decisions.within(approvals, moment, memory), (moment, request.amount)]
            _put_velocity(transaction, request.member_id, kept, version)
        return decision

    return retrying(lambda: _attempt(store, programs, request, moment, judge), time_left)


def decide_dispute(
    store: Store,
    programs: Programs,
    request: DisputeRequest,
    moment: datetime,
    switched_on: bool,
    time_left: Callable[[], float],
) -> Decision:
    """Decides on the acceleration of a dispute at the UTC instant ``moment`` (rules 1.11).

    Arguments, answer and errors are those of ``decide_refund``.
    """

    def judge(account: Account, transaction: Transaction) -> Decision:
        facts = DisputeFacts(account, store.acceleration(request.dispute_id) is not None)
        decision = decisions.decide_dispute(request, facts, programs, moment, switched_on=switched_on)
        if decision["decision"] == decisions.APPROVED:
            _put_acceleration(transaction, decision)
        return decision

    return retrying(lambda: _attempt(store, programs, request, moment, judge), time_left)


def _attempt(
    store: Store, programs: Programs, request: RefundRequest | DisputeRequest, moment: datetime, judge: _Judge
) -> Decision:
    """Reads, decides and writes once. Raises ``Stale`` or ``Busy`` where it has to be done again."""
    known = _stored(store, request)
    if known is not None:
        return known
    account, settled = _settled(store, programs, request.member_id, moment)
    transaction = Transaction()
    decision = judge(account, transaction)
    item = EntryItem(items.decision_key(request.decision_id), items.SINGLE, digest=request.digest, body=decision)
    transaction.put(item, EntryItem.pk.does_not_exist(), Exists(request.decision_id, None))
    made = items.made_key(decision["decided_at"], request.decision_id)
    # so that an agent finds what was decided about a member; the decision alone decides whether it was made before
    transaction.put(RecordItem(items.member_key(request.member_id), made, body={}), None, Stale(made))
    if settled:
        write_account(transaction, store, programs, account, settled)
    elif decision["decision"] == decisions.APPROVED:
        _demand_unchanged(transaction, account)
    try:
        transaction.commit()
    except Exists as found:
        # the same request was decided meanwhile, perhaps by an attempt of ours whose answer was lost
        known = _stored(store, request)
        if known is None:
            raise Stale(request.decision_id) from found
        return known
    return decision


def _stored(store: Store, request: RefundRequest | DisputeRequest) -> Decision | None:
    """The decision that this request got before. Raises ``Conflict`` where that one said something else."""
    found = store.decision(request.decision_id)
    if found is None:
        return None
    decision, digest = found
    if digest != request.digest:
        raise Conflict("request_id_reused", "this request_id has been used with another body")
    return decision


def _settled(store: Store, programs: Programs, member_id: str, moment: datetime) -> tuple[Account, list[Entry]]:
    """The account settled to ``moment``, and the entries of that which are not written yet.

    A member without an account is judged by an empty one, which is not stored: it has nothing that could fall
    due. So is an erased one, whom the decisions don't know any more.
    """
    account = store.account(member_id, consistent=True)
    if account is None:
        return Account(member_id), []
    if account.erased:
        nobody = Account(member_id)
        nobody.erased, nobody.version = True, account.version
        return nobody, []
    return account, settle_and_write(store, programs, account, account.not_before(moment))


def _demand_unchanged(transaction: Transaction, account: Account) -> None:
    """What an approval rests on must still hold when it is written; else it is decided again."""
    unchanged = AccountItem.version == account.version if account.version else AccountItem.pk.does_not_exist()
    key = items.member_key(account.member_id)
    transaction.check(AccountItem, key, items.ACCOUNT, unchanged, Stale(account.member_id))


def _put_payout(transaction: Transaction, decision: Decision) -> None:
    """The one approval of the order, whoever asks: where there is another, this request is decided anew."""
    item = RecordItem(
        items.payout_key(decision["order_id"]),
        items.SINGLE,
        body=_excerpt(decision, "decision_id", "member_id", "order_id", "dispute_id", "decided_at", "payout"),
    )
    transaction.put(item, RecordItem.pk.does_not_exist(), Stale(decision["order_id"]))


def _put_velocity(transaction: Transaction, member_id: str, approvals: list[Approval], version: int) -> None:
    """The member's approvals of late: never more than the limits let through, so the item stays small."""
    item = VersionedItem(
        items.member_key(member_id),
        items.VELOCITY,
        version=version + 1,
        body=[[format_instant(at), amount] for at, amount in approvals],
    )
    unchanged = VersionedItem.version == version if version else VersionedItem.pk.does_not_exist()
    transaction.put(item, unchanged, Stale(member_id))


def _put_acceleration(transaction: Transaction, decision: Decision) -> None:
    """The one acceleration of the dispute: where another is there already, this request is decided anew."""
    item = RecordItem(
        items.dispute_key(decision["dispute_id"]),
        items.SINGLE,
        body=_excerpt(decision, "decision_id", "member_id", "dispute_id", "decided_at", "review_due_at"),
    )
    transaction.put(item, RecordItem.pk.does_not_exist(), Stale(decision["dispute_id"]))


def _excerpt(decision: Decision, *names: str) -> dict[str, Any]:
    return {name: decision[name] for name in names}
