"""The items of the club's one table, as PynamoDB models, and their keys.

The table itself is stated in `template.yaml`. What the rules compute with stands in one packed attribute (deflated
JSON): an account stays below 1 KB, which is what a posting costs by.
"""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from pynamodb.attributes import Attribute, BinaryAttribute, MapAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.constants import BINARY
from pynamodb.exceptions import AttributeNullError
from pynamodb.indexes import GlobalSecondaryIndex, KeysOnlyProjection
from pynamodb.models import Model

if TYPE_CHECKING:
    from pynamodb.expressions.condition import Condition

ACCOUNT = "J~"
"""The sort key of a member's account: just behind the journal, so that one query reads it with the latest pages."""

PROFILE, VELOCITY, SINGLE = "P", "V", "-"
"""Sort keys of a member's profile and refund velocity, and of items that stand alone in their partition."""

STANDING_SHARDS = 4
"""The standing's counters are the sum of so many items, so that none of them is hot. Only ever raise it."""


class PackedAttribute(Attribute[Any]):
    """JSON-able data as deflated bytes, a third of the size."""

    attr_type = BINARY

    def serialize(self, value: Any) -> bytes:
        """The bytes to store. Raises ``TypeError`` for what JSON has no form for."""
        return pack(value)

    def deserialize(self, value: bytes) -> Any:
        """What ``serialize`` was given, with tuples as lists."""
        return unpack(value)


_encode = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False, check_circular=False).encode
_decode = json.JSONDecoder().decode


def pack(value: Any) -> bytes:
    """Deflated compact JSON."""
    return zlib.compress(_encode(value).encode(), 6)


def unpack(packed: bytes) -> Any:
    """The data of ``pack``'s answer. Raises ``zlib.error`` or ``ValueError`` for other bytes."""
    return _decode(zlib.decompress(packed).decode())


SEAL = "seal"
"""The attribute that holds an item's seal."""

_SEAL_BYTES = 8


def seal_of(attributes: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The seal of an item, given as DynamoDB has it: 8 bytes over its key and all that is put beside it.

    ``verify`` compares: what was changed, moved or cut since it was written has another one. It guards against
    accidents, not against somebody who writes a new seal as well.
    """
    digest = blake2b(digest_size=_SEAL_BYTES)
    for name in sorted(attributes):
        if name != SEAL:
            ((kind, value),) = attributes[name].items()
            data = value if isinstance(value, bytes) else str(value).encode()
            digest.update(f"{name} {kind} {len(data)} ".encode())
            digest.update(data)
    return digest.digest()


class RecordItem(Model):
    """An item of which the table knows no more than its key: an order, a page, a profile, a payout.

    Whatever is put has its seal. One that was put before there were seals is read like any other.
    """

    class Meta:
        table_name = ""  # set by store.connect, since the environment is read when first needed

    pk = UnicodeAttribute(hash_key=True)
    sk = UnicodeAttribute(range_key=True)
    body = PackedAttribute()
    seal = BinaryAttribute(null=True, legacy_encoding=False)

    def serialize(self, null_check: bool = True) -> dict[str, dict[str, Any]]:
        """The item as it is put, sealed. Raises ``AttributeNullError`` where it lacks something."""
        attributes = self._serialized(null_check)
        attributes[SEAL] = {"B": seal_of(self.sealed(attributes))}
        return attributes

    def _serialized(self, null_check: bool) -> dict[str, dict[str, Any]]:
        """What PynamoDB would make of an item without maps and lists, in half the time."""
        attributes: dict[str, dict[str, Any]] = {}
        for name, attribute in self.get_attributes().items():
            value = self.attribute_values.get(name)
            if value is not None:
                attributes[attribute.attr_name] = {attribute.attr_type: attribute.serialize(value)}
            elif null_check and not attribute.null:
                raise AttributeNullError(name)
        return attributes

    def get_save_kwargs_from_instance(
        self, condition: Condition | None = None, return_values_on_condition_failure: str | None = None
    ) -> dict[str, Any]:
        """The item as a put of a transaction; PynamoDB would take its key out of it, and put it in again."""
        put: dict[str, Any] = {"TableName": self.Meta.table_name, "Item": self.serialize()}
        if condition is not None:
            names: dict[str, str] = {}
            values: dict[str, Any] = {}
            put["ConditionExpression"] = condition.serialize(names, values)
            put["ExpressionAttributeNames"] = {placeholder: name for name, placeholder in names.items()}
            if values:
                put["ExpressionAttributeValues"] = values
        if return_values_on_condition_failure is not None:
            put["ReturnValuesOnConditionCheckFailure"] = return_values_on_condition_failure
        return put

    @staticmethod
    def sealed(attributes: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """What of an item, as DynamoDB has it, the seal is of: all but the seal."""
        return attributes


class VersionedItem(RecordItem):
    """An item that changes: whoever writes it says which version has been read."""

    version = NumberAttribute()


class DueIndex(GlobalSecondaryIndex[Any]):  # type: ignore[no-untyped-call]
    """The sparse index over accounts with something due, by the instant of the next thing."""

    class Meta:
        index_name = "due"
        projection = KeysOnlyProjection()

    due_shard = UnicodeAttribute(hash_key=True)
    due_at = UnicodeAttribute(range_key=True)


class AccountItem(VersionedItem):
    """A member's account. Warnings have been given through the instant ``warned``, where that lies behind ``as_of``."""

    due_shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)
    warned = UnicodeAttribute(null=True)
    due = DueIndex()


class RewardsItem(VersionedItem):
    """A member's rewards: see ``club_rules.rewards``. In the index as long as something is due."""

    due_shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)


class WatchItem(VersionedItem):
    """An item of the marketplace that a member watches, or did: see ``watching``. In the index while it is watched."""

    due_shard = UnicodeAttribute(null=True)
    due_at = UnicodeAttribute(null=True)


class EntryItem(RecordItem):
    """A ledger entry, a decision, or an adjustment that waits: written once, never changed.

    ``digest`` is that of the content it answers.
    """

    digest = UnicodeAttribute()


class StandingItem(VersionedItem):
    """One shard of the standing's counters; each transaction adds to one of them, and only their sum says something.

    It has no body, but a number for each tier above the lowest that was ever reached, see ``tier_counter``.
    ``version`` counts the additions.
    """

    members = NumberAttribute()


class SweepRunItem(RecordItem):
    """One run of a sweep: how far each shard has come, and what was done.

    By shard, ``progress`` has the number of the last chunk that is done, ``positions`` where the next one begins.
    ``tally`` has what was done by the names of ``club_rules.tallying``. ``reserved`` says by tier how many members the
    run may demote so far, and ``halted`` what went beyond a limit; see ``brake``.
    """

    progress: MapAttribute[str, int] = MapAttribute()  # type: ignore[no-untyped-call]
    positions: MapAttribute[str, str] = MapAttribute()  # type: ignore[no-untyped-call]
    tally: MapAttribute[str, int] = MapAttribute()  # type: ignore[no-untyped-call]
    reserved: MapAttribute[str, int] = MapAttribute()  # type: ignore[no-untyped-call]
    halted = PackedAttribute(null=True)
    open_shards = NumberAttribute()
    members = NumberAttribute(default=0)
    entries = NumberAttribute(default=0)
    tier_changes = NumberAttribute(default=0)
    rewards = NumberAttribute(null=True)
    """Of the reward sweep alone."""
    check = NumberAttribute(default=0)
    """Added to with every count: see ``sweeping.check_of``."""

    def _serialized(self, null_check: bool) -> dict[str, dict[str, Any]]:
        """PynamoDB's own way, which knows maps."""
        attributes: dict[str, dict[str, Any]] = Model.serialize(self, null_check)
        return attributes

    @staticmethod
    def sealed(attributes: Mapping[str, Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
        """Only what stays as it was put: everything else is added to, by many at once."""
        return {name: attributes[name] for name in ("pk", "sk", "body") if name in attributes}


def member_key(member_id: str) -> str:
    """The partition of all that is a member's own."""
    return f"M#{member_id}"


def member_of(pk: str) -> str:
    """The member whose partition this is: the reverse of ``member_key``, ``counted_key`` and ``rewards_key``."""
    return pk.partition("#")[2]


def entry_key(key: str) -> str:
    """The partition of one entry; ``key`` comes from the event id, which is what makes a repeat harmless for ever."""
    return f"E#{key}"


def order_key(order_id: str) -> str:
    """The sort key of a member's order."""
    return f"O#{order_id}"


def journal_key(page: int) -> str:
    """The sort key of a page of the journal, the list of a member's entries."""
    return f"J#{page:06d}"


def marks_key(page: int) -> str:
    """The sort key of a page of marks, the things that count once for ever."""
    return f"K#{page:06d}"


def payout_key(order_id: str) -> str:
    """The partition of the one approved expedited refund of an order, whoever asks."""
    return f"PAYOUT#{order_id}"


def dispute_key(dispute_id: str) -> str:
    """The partition of the one acceleration of a dispute."""
    return f"DISPUTE#{dispute_id}"


def decision_key(decision_id: str) -> str:
    """The partition of a decision."""
    return f"D#{decision_id}"


is_decision_id = re.compile(r"d-[0-9a-f]{40}").fullmatch
"""Whether a text is an id as ``club_rules.decisions.decision_id`` makes them: no other decision is looked for."""


MADE = "D#"
"""What the sort keys begin with under which a member's partition knows of the decisions that were made on them."""

MADE_BEHIND = "D$"
"""A sort key just behind all of those."""


def made_key(decided_at: str, decision_id: str) -> str:
    """The sort key under which a member's partition knows of a decision: they sort as they were made."""
    return f"{MADE}{decided_at.removesuffix('Z')}#{decision_id}"


is_made_key = re.compile(rf"{MADE}[0-9]{{4}}-[0-9T:.-]{{14,21}}#d-[0-9a-f]{{40}}").fullmatch
"""Whether a text is an answer of ``made_key``. A cursor holds one, and a forged one must lead nowhere else."""


def decision_of(key: str) -> str:
    """The id of the decision in an answer of ``made_key``."""
    return key.rpartition("#")[2]


def sweep_key(run_id: str) -> str:
    """The partition of one run of a sweep."""
    return f"SWEEP#{run_id}"


CHUNK = "C#"
"""What the sort keys begin with of a run's chunks."""


def sweep_chunk_key(shard: int, chunk: int) -> str:
    """The sort key, in a run's partition, of what one chunk has reserved to demote: see ``brake``."""
    return f"{CHUNK}{shard}#{chunk}"


COUNTED = "S#"
"""What the partitions begin with of what has been counted of members in the standing."""


def counted_key(member_id: str) -> str:
    """The partition of what has been counted of a member, ``{"of": the account's version, "tiers"}``.

    It is apart from the member's own, since the outbox, which counts, may write no account.
    """
    return f"{COUNTED}{member_id}"


def standing_key(shard: int) -> str:
    """The partition of one shard of the standing's counters."""
    return f"STANDING#{shard}"


def tier_counter(program_id: str, code: str) -> str:
    """The attribute that counts who holds a tier, in the shards of the standing."""
    return f"{program_id}#{code}"


DUE, REWARD = "DUE", "REWARD"
"""What the partitions of the index "due" begin with: of accounts, and of rewards."""


def due_key(shard: int, index: str = DUE) -> str:
    """A partition of the index "due"; ``index``: ``DUE`` or ``REWARD``."""
    return f"{index}#{shard}"


WATCHED, WATCHED_BEHIND = "W#", "W$"
"""What the sort keys begin with of what a member watches, and a sort key just behind all of those."""


def watch_key(item_id: str) -> str:
    """The sort key of an item that a member watches."""
    return f"{WATCHED}{item_id}"


def watchers_key(shard: int, item_id: str) -> str:
    """A partition of the index "due": a shard of those who watch an item."""
    return f"WATCH#{shard}#{item_id}"


ALERT = "ALERT#"
"""What the partitions begin with of the alerts of a price that dropped."""

WORKED = "~"
"""What the sort keys begin with of chunks of watchers that are done; no member id does."""


def alert_key(event_id: str) -> str:
    """The partition of the alerts of one price that dropped, by its event: one item for each member alerted."""
    return f"{ALERT}{event_id}"


def worked_key(shard: int, chunk: int) -> str:
    """The sort key, among the alerts of a price that dropped, of a chunk of watchers that is done."""
    return f"{WORKED}{shard}{WORKED}{chunk}"


def waiting_key(adjustment_id: str) -> str:
    """The partition of an adjustment that waits for a second operator; it stays when it has been confirmed."""
    return f"ADJUSTMENT#{adjustment_id}"


def rewards_key(member_id: str) -> str:
    """The partition of a member's coupons and gifts.

    It is apart from the member's own, since the outbox, which schedules them, may write no account.
    """
    return f"R#{member_id}"
