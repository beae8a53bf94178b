"""The key codec under attack: no two things have one key, whatever their ids are, and none lies in another's room.

Ids are drawn to be nasty: made of the words and signs that keys are made of, and in pairs that nearly are each other.
"""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, NamedTuple

from club_ledger import items, watching
from club_rules.account import ERASURE, journal_row, read_journal_row, settling_key
from club_rules.decisions import decision_id
from club_rules.fields import is_id
from club_rules.posting import adjustment_key
from club_rules.restoring import undoing_key
from club_rules.times import parse_instant
from tests.hostile.cases import IDS_REFUSED, IDS_TAKEN

Key = tuple[str, ...]
_Draw = Callable[[random.Random, str], Any]

_WORDS = (*IDS_TAKEN, "m-42", "m-43", "o-1", "e-1", "1", "10", "Z", "a", "-", "tier", "expired", "000001", "wishlist")
_SIGNS = ".:_-"
_FORBIDDEN = "#~|/%\\$ \x00\n\r\t\u200b\u202e\u0301\ud800\u00e9\uff14"
_DAYS = ("2026-11-22T10:15:00Z", "2026-11-22T10:15:00.5Z", "1970-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z")
_TWISTS: tuple[Callable[[str], str], ...] = (
    lambda text: text + ":",
    lambda text: text + ".2",
    lambda text: text[:-1] or "0",
    lambda text: text[1:] or "0",
    lambda text: text.swapcase(),
    lambda text: text.replace(":", "."),
    lambda text: text.replace("-", "_"),
    lambda text: "0" + text,
    lambda text: text + text,
    lambda text: text[::-1],
    lambda text: text + "\x00",
    lambda text: text + "#" + text,
    lambda text: text.replace("-", "#"),
    lambda text: text.replace(":", "~"),
    lambda text: unicodedata.normalize("NFD", text + "\u00e9"),
    lambda text: unicodedata.normalize("NFC", text + "e\u0301"),
    lambda text: text,
)


def nasty(chance: random.Random) -> str:
    """A text to be an id: mostly a right one, made of what keys are made of; at times one to be refused."""
    pick = chance.random
    if pick() < 0.05:
        return _REFUSED[int(pick() * len(_REFUSED))]
    text = _WORDS[int(pick() * len(_WORDS))]
    while pick() < 0.5:
        text += _SIGNS[int(pick() * 4)] + _WORDS[int(pick() * len(_WORDS))]
    if pick() < 0.05:
        place = int(pick() * len(text))
        text = text[:place] + _FORBIDDEN[int(pick() * len(_FORBIDDEN))] + text[place:]
    return text[:70]


_REFUSED = tuple(IDS_REFUSED.values())


def twin(text: str, chance: random.Random) -> str:
    """A text that nearly is the other one, or is it."""
    return _TWISTS[int(chance.random() * len(_TWISTS))](text)


# --- the families of keys


def _id(chance: random.Random, near: str) -> str:
    """The id at hand, or another that nearly is it; a right one in the end, since no other gets this far."""
    for text in (near if chance.random() < 0.5 else twin(near, chance), nasty(chance)):
        if is_id(text):
            return text
    return _WORDS[int(chance.random() * len(_WORDS))]


def _number(chance: random.Random, near: str) -> int:
    return int(near) if near.isascii() and near.isdigit() and len(near) < 6 else int(chance.random() * 30)


def _day(chance: random.Random, near: str) -> str:
    return _DAYS[int(chance.random() * len(_DAYS))]


def _kind(chance: random.Random, near: str) -> str:
    return ("expiry", "tier_review")[int(chance.random() * 2)]


def _request(chance: random.Random, near: str) -> str:
    return decision_id(("expedited_refund", "dispute_acceleration")[int(chance.random() * 2)], _id(chance, near))


class Family(NamedTuple):
    """One kind of thing that has a key: how its key is made, of what, and whose partition it lies in."""

    name: str
    key: Callable[..., Key]
    of: tuple[_Draw, ...]
    owner: int | None = None
    """Which of ``of`` is the member whose own it is; None: it lies in no member's partition."""


def _alone(pk: str) -> Key:
    return pk, items.SINGLE


def _undone(kind: str, member_id: str, seq: int) -> Key:
    return _alone(items.entry_key(undoing_key(settling_key(kind, member_id, seq))))


FAMILIES = (
    Family("account", lambda member: (items.member_key(member), items.ACCOUNT), (_id,), 0),
    Family("profile", lambda member: (items.member_key(member), items.PROFILE), (_id,), 0),
    Family("velocity", lambda member: (items.member_key(member), items.VELOCITY), (_id,), 0),
    Family("journal", lambda member, n: (items.member_key(member), items.journal_key(n)), (_id, _number), 0),
    Family("marks", lambda member, n: (items.member_key(member), items.marks_key(n)), (_id, _number), 0),
    Family("order", lambda member, order: (items.member_key(member), items.order_key(order)), (_id, _id), 0),
    Family("watch", lambda member, item: (items.member_key(member), items.watch_key(item)), (_id, _id), 0),
    Family("made", lambda member, *made: (items.member_key(member), items.made_key(*made)), (_id, _day, _request), 0),
    Family("rewards", lambda member: _alone(items.rewards_key(member)), (_id,), 0),
    Family("counted", lambda member: _alone(items.counted_key(member)), (_id,), 0),
    Family("entry", lambda event: _alone(items.entry_key(event)), (_id,)),
    Family("entry, second", lambda event: _alone(items.entry_key(f"{event}~2")), (_id,)),
    Family("entry, settling", lambda *of: _alone(items.entry_key(settling_key(*of))), (_kind, _id, _number)),
    Family("entry, undoing", _undone, (_kind, _id, _number)),
    Family("entry, adjustment", lambda by: _alone(items.entry_key(adjustment_key(by))), (_id,)),
    Family("entry, erasure", lambda member: _alone(items.entry_key(f"{ERASURE}~~{member}")), (_id,)),
    Family("payout", lambda order: _alone(items.payout_key(order)), (_id,)),
    Family("dispute", lambda dispute: _alone(items.dispute_key(dispute)), (_id,)),
    Family("decision", lambda decision: _alone(items.decision_key(decision)), (_request,)),
    Family("waiting", lambda by: _alone(items.waiting_key(by)), (_id,)),
    Family("standing", lambda shard: _alone(items.standing_key(shard)), (_number,)),
    Family("sweep", lambda run: _alone(items.sweep_key(run)), (_id,)),
    Family("chunk", lambda run, *n: (items.sweep_key(run), items.sweep_chunk_key(*n)), (_id, _number, _number)),
    Family("alert", lambda event, member: (items.alert_key(event), member), (_id, _id)),
    Family("worked", lambda event, *n: (items.alert_key(event), items.worked_key(*n)), (_id, _number, _number)),
)
"""The keys of the table. Where a room makes a key, its maker is here."""

INDEXED = (
    Family("due", lambda shard, at, member: (items.due_key(shard), at, items.member_key(member)), (_number, _day, _id)),
    Family(
        "reward",
        lambda shard, at, member: (items.due_key(shard, items.REWARD), at, items.rewards_key(member)),
        (_number, _day, _id),
    ),
    Family(
        "watchers",
        lambda shard, item, member, at: (
            items.watchers_key(shard, item),
            watching.row(member, parse_instant(at)),
            items.member_key(member),
        ),
        (_number, _id, _id, _day),
    ),
)
"""The keys of the index "due", with the partition that each leads to."""

ROOMS: tuple[tuple[str, str, str, str, frozenset[str]], ...] = (
    ("the journal with the account", "M#", items.journal_key(0), items.ACCOUNT, frozenset({"journal", "account"})),
    ("the decisions made", "M#", items.MADE, items.MADE_BEHIND, frozenset({"made"})),
    ("what is watched", "M#", items.WATCHED, items.WATCHED_BEHIND, frozenset({"watch"})),
    ("the chunks of a sweep", "SWEEP#", items.CHUNK, items.CHUNK + "\uffff", frozenset({"chunk"})),
)
"""The stretches of a partition that are queried: what, where, from which sort key to which, what lies there."""

_TOLD_BY_PREFIX = {
    items.entry_key(""): "entry",
    items.decision_key(""): "decision",
    items.ALERT: "alert worked",
    items.rewards_key(""): "rewards",
    items.sweep_key(""): "sweep chunk",
    items.COUNTED: "counted",
    items.member_key(""): "account profile velocity journal marks order watch made",
}
"""What the outbox, and a role's leading keys, know of an item is the beginning of its partition."""


class Crossing(AssertionError):
    """Two things with one key, or a thing where another one's are looked for."""


def _check_one(family: Family, of: tuple[Any, ...], key: Key) -> None:
    pk, sk = key[:2]
    if family.owner is not None and items.member_of(pk) != of[family.owner]:
        raise Crossing(f"{family.name} of {of!r} lies in the partition of {items.member_of(pk)!r}")
    for prefix, names in _TOLD_BY_PREFIX.items():
        if pk.startswith(prefix) != (family.name.split(",")[0] in names.split()):
            raise Crossing(f"{family.name} of {of!r} has the key {key!r}, and {prefix!r} tells {names}")
    for what, prefix, first, last, there in ROOMS:
        if pk.startswith(prefix) and (first <= sk <= last) != (family.name in there):
            raise Crossing(f"{family.name} of {of!r} has the sort key {sk!r}, which is among {what}")


def _check_entry(key: str, member_id: str, seq: int) -> None:
    """The journal leads from a row to the entry's key, and to no other."""
    entry = {"key": key, "posted_at": "2026-11-22T10:15:00Z", "occurred_at": "2026-11-21T10:15:00Z"}
    found = read_journal_row(journal_row(entry), member_id, seq).key
    if found != key:
        raise Crossing(f"the journal's row of {key!r} leads to {found!r}")


def search(pairs: int, seed: int, families: tuple[Family, ...] = FAMILIES) -> Iterator[int]:
    """Draw so many pairs of ids, and make a key of any family from each; gives the number of pairs now and then.

    Raises Crossing where the two keys are one though the things are two, or where one lies in another's room.
    """
    chance = random.Random(seed)
    count = len(families)
    for number in range(1, pairs + 1):
        text = nasty(chance)
        other = twin(text, chance)
        for one, is_right in ((text, is_id(text)), (other, is_id(other))):
            if bool(is_right) != _is_right(one):
                raise Crossing(f"{one!r} is taken for {'an' if is_right else 'no'} id")
        left = families[int(chance.random() * count)]
        right = left if chance.random() < 0.3 else families[int(chance.random() * count)]
        of_left = tuple([draw(chance, text) for draw in left.of])
        of_right = tuple([draw(chance, text) for draw in right.of])
        key, other_key = left.key(*of_left), right.key(*of_right)
        is_same = left is right and of_left == of_right
        if (key == other_key) != is_same:
            raise Crossing(f"{left.name} of {of_left!r} and {right.name} of {of_right!r}: {key!r} and {other_key!r}")
        if families is FAMILIES:
            _check_one(left, of_left, key)
            if left.name.startswith("entry"):
                member, seq = (of_left[1], of_left[2]) if left.name == "entry, settling" else ("m-42", number)
                _check_entry(key[0][2:], member, seq)
        if number % 100_000 == 0:
            yield number


_ALPHABET = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-")


def _is_right(text: str) -> bool:
    """Rules 1.3 once more, without a pattern."""
    return 1 <= len(text) <= 64 and _ALPHABET.issuperset(text) and text[0] not in "._:-"


def all_of(ids: tuple[str, ...], families: tuple[Family, ...] = FAMILIES) -> int:
    """Hold every key that can be made of these ids against every other. Returns how many; raises Crossing."""
    found: dict[tuple[str, ...], tuple[str, tuple[Any, ...]]] = {}
    chance = random.Random(0)
    for family in families:
        slots = [_every(draw, ids, chance) for draw in family.of]
        for of in product(*slots):
            key = family.key(*of)
            known = found.setdefault(key, (family.name, of))
            if known != (family.name, of):
                raise Crossing(f"{known[0]} of {known[1]!r} and {family.name} of {of!r}: {key!r}")
    return len(found)


def _every(draw: _Draw, ids: tuple[str, ...], chance: random.Random) -> list[Any]:
    if draw is _id:
        return list(ids)
    if draw is _request:
        return [decision_id(kind, each) for kind in ("expedited_refund", "dispute_acceleration") for each in ids[:9]]
    if draw is _day:
        return list(_DAYS)
    return sorted({draw(chance, "") for _ in range(200)})
