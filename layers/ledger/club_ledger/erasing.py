"""The use case "erase": a member asks that nothing personal is kept of them (architecture 3.6, I7).

What was posted stays, so that the ledger still adds up; the account is closed for ever by an entry of its own. In one
transaction with it go the profile and the rewards. What was watched may be many items: they are emptied afterwards,
when nothing can be posted any more, and by every further call until it is done.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from club_ledger import items, watching
from club_ledger.items import RecordItem, RewardsItem
from club_ledger.store import Stale, Store, Transaction, retrying, write_account
from club_rules.errors import member_not_found
from club_rules.posting import erase
from club_rules.programs import Programs
from club_rules.rewards import Rewards, encode_rewards


def erase_member(
    store: Store,
    programs: Programs,
    member_id: str,
    actor: str,
    moment: datetime,
    time_left: Callable[[], float],
) -> bool:
    """Erases a member at the UTC instant ``moment``; ``actor`` is who asks, from the token.

    Returns whether that was new; a repeat changes nothing, and finishes what an earlier call may have left.
    ``time_left`` gives the seconds that may still be spent. Raises ``NotFound`` for a member who is unknown, and
    ``Unavailable`` where the table did not take it in time: then it is to be asked for again.
    """
    is_new = retrying(lambda: _close(store, programs, member_id, actor, moment), time_left)
    retrying(lambda: watching.empty_watched(store, member_id), time_left)
    return is_new


def _close(store: Store, programs: Programs, member_id: str, actor: str, moment: datetime) -> bool:
    """Closes the account, once. Raises ``Stale`` or ``Busy`` where it has to be done again."""
    account = store.account(member_id, consistent=True)
    if account is None:
        raise member_not_found()
    if account.erased:
        return False
    rewards_version, _ = store.rewards(member_id, consistent=True)
    entry = erase(account, account.not_before(moment), actor)
    transaction = Transaction()
    write_account(transaction, store, programs, account, [entry])
    transaction.put(RecordItem(items.member_key(member_id), items.PROFILE, body={}), None, Stale(member_id))
    # also where there are none: what the outbox still has to schedule finds that there is nobody to have it
    rewards = RewardsItem(items.rewards_key(member_id), items.SINGLE, version=rewards_version + 1)
    none = Rewards()
    none.erased = True
    rewards.body = encode_rewards(none)
    as_read = RewardsItem.version == rewards_version if rewards_version else RewardsItem.pk.does_not_exist()
    transaction.put(rewards, as_read, Stale(member_id))
    transaction.commit()
    return True
