"""What `python -m local verify` knows of single items: which there are, what they look like, and whom they concern."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from club_ledger import items
from club_ledger.items import SEAL, RecordItem, SweepRunItem, seal_of, unpack

Item = dict[str, Any]
Key = tuple[str, str]

RESTORE = (
    "can't be made again: restore this item from a point-in-time recovery or an export, "
    "see docs/verify.md#what-can-not-be-repaired"
)
LOOK = "nobody knows what it was: look at it, and take it away by hand, see docs/verify.md#what-can-not-be-repaired"
REPAIR = "--repair puts it right"


class Problem(NamedTuple):
    """Something that is not as it has to be: whose, what (the field first), in which item, and what helps."""

    who: str
    text: str
    item: Key | None = None
    advice: str = REPAIR

    def __str__(self) -> str:
        return f"{self.who}: {self.text}"


class Club(NamedTuple):
    """What items are judged by. ``outbox``: whether what follows from the stream, moments later, is looked at."""

    programs: Any
    shards: int
    outbox: bool = True
    unsealed: bool = False
    """Whether items without a seal are taken as they are: they were written before there were seals."""


@dataclass(frozen=True, eq=False)
class Shape:
    """A kind of item: the attributes beside the key, by DynamoDB's type; those that may be missing; of its body."""

    name: str
    attributes: Mapping[str, str]
    optional: Mapping[str, str] = field(default_factory=dict)
    body: type = dict


_BODY = {"body": "B"}
_VERSIONED = {"body": "B", "version": "N"}
_WRITTEN_ONCE = {"body": "B", "digest": "S"}
_DUE = {"due_shard": "S", "due_at": "S"}

ACCOUNT = Shape("account", _VERSIONED, {**_DUE, "warned": "S"})
PROFILE = Shape("profile", _BODY)
VELOCITY = Shape("velocity", _VERSIONED, body=list)
PAGE = Shape("page of the journal", _BODY, body=list)
MARKS = Shape("page of marks", _BODY, body=list)
ORDER = Shape("order", _BODY)
WATCH = Shape("watched item", _VERSIONED, _DUE)
MADE = Shape("reference to a decision", _BODY)
ENTRY = Shape("entry", _WRITTEN_ONCE)
DECISION = Shape("decision", _WRITTEN_ONCE)
WAITING = Shape("adjustment that waits", _WRITTEN_ONCE)
PAYOUT = Shape("payout", _BODY)
DISPUTE = Shape("acceleration", _BODY)
NOTE = Shape("what is counted", _VERSIONED)
REWARDS = Shape("rewards", _VERSIONED, _DUE)
ALERT = Shape("alert", _BODY)
WORKED = Shape("chunk of watchers", _BODY)
CHUNK = Shape("chunk of a sweep", _VERSIONED)
COUNTERS = Shape("shard of the standing", {}, {"members": "N", "version": "N"})
RUN = Shape(
    "run of a sweep",
    {
        **_BODY,
        **dict.fromkeys(("progress", "positions", "tally", "reserved"), "M"),
        **dict.fromkeys(("open_shards", "members", "entries", "tier_changes"), "N"),
    },
    {"halted": "B", "rewards": "N", "check": "N"},
)

_UNSEALED = (COUNTERS,)
"""Only ever added to, never put."""

_ID = r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}"
_OF_MEMBER: tuple[tuple[str, Shape], ...] = (
    (re.escape(items.ACCOUNT), ACCOUNT),
    (items.PROFILE, PROFILE),
    (items.VELOCITY, VELOCITY),
    (r"J#\d{6,}", PAGE),
    (r"K#\d{6,}", MARKS),
    (rf"O#{_ID}", ORDER),
    (rf"W#{_ID}", WATCH),
    (r"D#\d{4}-\d\d-\d\dT[0-9:.]+#d-[0-9a-f]{40}", MADE),
)
_KEYS = [(re.compile(rf"M#{_ID}\n{sk}", re.ASCII).fullmatch, shape) for sk, shape in _OF_MEMBER] + [
    (re.compile(pattern, re.ASCII | re.DOTALL).fullmatch, shape)
    for pattern, shape in (
        (r"E#[^\n]+\n-", ENTRY),
        (r"D#d-[0-9a-f]{40}\n-", DECISION),
        (rf"ADJUSTMENT#{_ID}\n-", WAITING),
        (rf"PAYOUT#{_ID}\n-", PAYOUT),
        (rf"DISPUTE#{_ID}\n-", DISPUTE),
        (rf"S#{_ID}\n-", NOTE),
        (rf"R#{_ID}\n-", REWARDS),
        (r"STANDING#\d+\n-", COUNTERS),
        (rf"ALERT#{_ID}\n{_ID}", ALERT),
        (rf"ALERT#{_ID}\n~\d+~\d+", WORKED),
        (r"SWEEP#[^\n]+\n-", RUN),
        (r"SWEEP#[^\n]+\nC#\d+#\d+", CHUNK),
    )
]


def key_of(item: Item) -> Key:
    """An item's key."""
    return item["pk"]["S"], item["sk"]["S"]


def name_of(key: Key) -> str:
    """A key as people read it: the sort key where it says something."""
    return key[0] if key[1] == items.SINGLE else f"{key[0]} {key[1]}"


def shape_of(key: Key) -> Shape | None:
    """The kind of item that has such a key; ``None`` for a key that the club gives to nothing."""
    text = "\n".join(key)
    return next((shape for matches, shape in _KEYS if matches(text)), None)


def readable(item: Item | None, attribute: str = "body") -> Any:
    """What is packed into an item; ``None`` for what is not, or not by us."""
    try:
        return None if item is None else unpack(item[attribute]["B"])
    except (KeyError, TypeError, ValueError, zlib.error):
        return None


def number(item: Item, attribute: str) -> int | None:
    """A whole number of an item; ``None`` where there is none."""
    try:
        return int(item[attribute]["N"])
    except (KeyError, TypeError, ValueError):
        return None


# --- whom an item concerns


def member_group(member_id: str) -> str:
    """The group of all that concerns a member."""
    return f"m:{member_id}"


def drop_group(event_id: str) -> str:
    """The group of a price that dropped, with its alerts."""
    return f"a:{event_id}"


def run_group(run_id: str) -> str:
    """The group of a run of a sweep."""
    return f"r:{run_id}"


STANDING_GROUP = "standing"
UNKNOWN_GROUP = "?"


def groups_of(item: Item) -> Iterator[str]:
    """The groups of items that an item is looked at with: that of its member, of its run, of its price that dropped."""
    key = pk, sk = key_of(item)
    shape = shape_of(key)
    if shape is None:
        # a key that nothing has: at least it is said of whom it may have been
        yield member_group(items.member_of(pk)) if pk.startswith(("M#", "S#", "R#")) else UNKNOWN_GROUP
    elif pk.startswith(("M#", "S#", "R#")):
        yield member_group(items.member_of(pk))
    elif shape is COUNTERS:
        yield STANDING_GROUP
    elif shape in (ALERT, WORKED):
        yield drop_group(items.member_of(pk))
        if shape is ALERT:
            yield member_group(sk)
    elif shape in (RUN, CHUNK):
        yield run_group(items.member_of(pk))
        body = readable(item) if shape is CHUNK else None
        yield from map(member_group, body if isinstance(body, dict) else ())
    else:
        yield _by_body(pk, readable(item))


def _by_body(pk: str, body: Any) -> str:
    if isinstance(body, dict) and isinstance(body.get("member_id"), str):
        return member_group(body["member_id"])
    if isinstance(body, dict) and body.get("type") == "price.dropped":
        return drop_group(items.member_of(pk))
    return UNKNOWN_GROUP


# --- an item by itself


def check_shape(who: str, item: Item) -> Iterator[Problem]:
    """What is wrong with an item by itself: its key, its attributes, whether its body can be read.

    Its seal is looked at by ``check_seal``, when all else is known.
    """
    key = key_of(item)
    shape = shape_of(key)
    if shape is None:
        yield Problem(who, f"key: {name_of(key)} is no key of the club's", key, LOOK)
        return
    of = f"{shape.name} {name_of(key)}"
    advice = REPAIR if shape in DERIVED else RESTORE
    known = {"pk": "S", "sk": "S", SEAL: "B", **shape.attributes, **shape.optional}
    if shape is COUNTERS:
        known |= {name: "N" for name in item if "#" in name}
    for name, value in item.items():
        if name not in known or (shape in _UNSEALED and name == SEAL):
            yield Problem(who, f"{of}: unknown attribute {name}", key, advice)
        elif set(value) != {known[name]}:
            yield Problem(who, f"{of}: attribute {name} is no {known[name]}", key, advice)
    for name in shape.attributes.keys() - item.keys():
        yield Problem(who, f"{of}: attribute {name} is missing", key, advice)
    if "body" in item and not isinstance(readable(item), shape.body):
        yield Problem(who, f"{of}: body: it can't be read", key, advice)
    if "version" in known and "version" in item and (number(item, "version") or 0) < 1:
        yield Problem(who, f"{of}: version: {item['version']} is none", key, advice)


def check_seal(who: str, item: Item, club: Club) -> Iterator[Problem]:
    """Whether an item is as it was written. Says so for what nothing else tells: a version, a word, an instant."""
    key = key_of(item)
    shape = shape_of(key)
    if shape is None or shape in _UNSEALED:
        return
    advice = REPAIR if shape in DERIVED else RESTORE
    of = f"{shape.name} {name_of(key)}"
    model = SweepRunItem if shape is RUN else RecordItem
    sealed = model.sealed(item)
    if SEAL not in item:
        if not club.unsealed:
            yield Problem(who, f"{of}: seal: it has none", key, advice)
    elif item[SEAL].get("B") != seal_of(sealed):
        body = readable(item)
        inside = f" ({', '.join(body)})" if isinstance(body, dict) and body else ""
        names = [f"{name}{inside}" if name == "body" else name for name in sorted({*sealed, SEAL})]
        yield Problem(who, f"{of}: it is not what was written: one of {', '.join(names)} has changed", key, advice)


DERIVED = (ACCOUNT, PAGE, MARKS, ORDER, WATCH, MADE, VELOCITY, NOTE, COUNTERS)
"""What follows from entries and decisions, and can be made again. Rewards do in part, see ``repairing``."""


def differences(stored: Any, given: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Where two JSON values differ: paths, with what stands there (``None``: nothing)."""
    if isinstance(stored, dict) and isinstance(given, dict):
        for name in sorted(stored.keys() | given.keys()):
            if stored.get(name) != given.get(name) or (name in stored) != (name in given):
                inner = f"{path}.{name}" if path else name
                yield from differences(stored.get(name), given.get(name), inner)
    elif isinstance(stored, list) and isinstance(given, list) and len(stored) == len(given):
        for place, (one, other) in enumerate(zip(stored, given, strict=True)):
            if one != other or type(one) is not type(other):
                yield from differences(one, other, f"{path}[{place}]")
    elif stored != given or type(stored) is not type(given):
        yield path, stored, given


def as_json(value: Any) -> Any:
    """A value as it comes back from the table: tuples as lists, keys as text."""
    return json.loads(json.dumps(value))
