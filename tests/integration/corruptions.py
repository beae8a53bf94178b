"""What can happen to a single item of a table, at random: and which item, whose, and which field it was."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from club_ledger import items
from club_ledger.items import pack, unpack
from local.verify.kinds import CHUNK, COUNTERS, RUN, WAITING, Item, Key, readable, shape_of
from tests.integration.rich_table import Table

Path = tuple[Any, ...]


class Corruption(NamedTuple):
    """What was done: the items as they are now (``None``: taken away), and which names may stand for the field."""

    kind: str
    items: dict[Key, Item | None]
    names: frozenset[str]

    def applied(self, table: Table) -> Table:
        """The table with it."""
        changed = {**table, **{key: item for key, item in self.items.items() if item is not None}}
        return {key: item for key, item in changed.items() if self.items.get(key, item) is not None}


Kind = Callable[[random.Random, Table, Key], Corruption | None]


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """The plain values in a JSON value, with their paths."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from leaves(inner, (*path, name))
    elif isinstance(value, list):
        for place, inner in enumerate(value):
            yield from leaves(inner, (*path, place))
    else:
        yield path, value


def other(rng: random.Random, value: Any) -> Any:
    """Another value that looks like this one."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + rng.choice((-1, 1, 7))
    if isinstance(value, str) and value:
        place = rng.randrange(len(value))
        return value[:place] + rng.choice([c for c in "0123456789abcXYZ" if c != value[place]]) + value[place + 1 :]
    return "0"


def put(body: Any, path: Path, value: Any) -> Any:
    """The body with another value at a path."""
    if not path:
        return value
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    inner[path[-1]] = value
    return changed


def _names(key: Key, *steps: Any) -> frozenset[str]:
    """What may stand for a field in the text: its name, or that of what holds it, or its item's."""
    found = {str(step) for step in steps if isinstance(step, str)}
    if {"due_at", "due_shard"} & found:
        found |= {"due index", "in the index"}
    named_by = {"page": "page", "rewards": "rewards", "what is counted": "standing", "velocity": "velocity"}
    for kind, name in named_by.items():
        shape = shape_of(key)
        if shape is not None and kind in shape.name:
            found.add(name)
    return frozenset(found)


def _with_body(kind: str, table: Table, key: Key, body: Any, *steps: Any) -> Corruption:
    return Corruption(kind, {key: {**table[key], "body": {"B": pack(body)}}}, _names(key, *steps, "body"))


def nested(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """A value within what is packed is another one."""
    if "body" not in table[key]:
        return None
    body = unpack(table[key]["body"]["B"])
    found = list(leaves(body))
    if not found:
        return None
    path, value = rng.choice(found)
    return _with_body("nested field", table, key, put(body, path, other(rng, value)), *path)


def number_by_one(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """A whole number within what is packed is one more or less."""
    if "body" not in table[key]:
        return None
    body = unpack(table[key]["body"]["B"])
    found = [(path, value) for path, value in leaves(body) if type(value) is int]
    if not found:
        return None
    path, value = rng.choice(found)
    return _with_body("number by one", table, key, put(body, path, value + rng.choice((-1, 1))), *path)


def lost_field(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """A field, or a place of a list, within what is packed is gone."""
    if "body" not in table[key]:
        return None
    body = unpack(table[key]["body"]["B"])
    found = [path for path, _ in leaves(body) if path]
    if not found:
        return None
    path = rng.choice(found)
    path = path[: rng.randint(1, len(path))]
    changed = copy.deepcopy(body)
    inner = changed
    for step in path[:-1]:
        inner = inner[step]
    del inner[path[-1]]
    return _with_body("lost field", table, key, changed, *path)


def attribute(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """An attribute beside the key is another one."""
    names = [name for name in table[key] if name not in ("pk", "sk", "body")]
    if not names:
        return None
    name = rng.choice(names)
    ((type_of, value),) = table[key][name].items()
    steps: list[Any] = [name]
    if type_of == "N":
        changed: Any = {"N": str(int(value) + rng.choice((-1, 1)))}
    elif type_of == "S":
        changed = {"S": other(rng, value)}
    elif type_of == "B":
        place = rng.randrange(len(value))
        changed = {"B": value[:place] + bytes([value[place] ^ (1 << rng.randrange(8))]) + value[place + 1 :]}
    elif value:
        inner = rng.choice(sorted(value))
        ((of, plain),) = value[inner].items()
        changed = {"M": {**value, inner: {of: str(int(plain) + 1) if of == "N" else other(rng, plain)}}}
        steps.append(inner)
    else:
        changed = {"M": {"9": {"N": "1"}}}
    return Corruption(
        "changed attribute", {key: {**table[key], name: changed}}, _names(key, *steps, *_counted(key, name))
    )


def version(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """A version is one more or less."""
    if "version" not in table[key]:
        return None
    changed = {"N": str(int(table[key]["version"]["N"]) + rng.choice((-1, 1)))}
    return Corruption("version off by one", {key: {**table[key], "version": changed}}, _names(key, "version"))


def lost_attribute(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """An attribute is gone."""
    name = rng.choice([name for name in table[key] if name not in ("pk", "sk")])
    left = {each: value for each, value in table[key].items() if each != name}
    return Corruption("removed attribute", {key: left}, _names(key, name, *_counted(key, name)))


def _counted(key: Key, name: str) -> tuple[str, ...]:
    return (name.replace("#", " "),) if shape_of(key) is COUNTERS else ()


def new_attribute(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """An attribute that nobody wrote."""
    return Corruption("added attribute", {key: {**table[key], "extra": {"S": "x"}}}, frozenset({"extra"}))


def cut(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """Binary that was cut short."""
    names = [name for name, value in table[key].items() if "B" in value]
    if not names:
        return None
    name = rng.choice(names)
    left = {"B": table[key][name]["B"][: rng.randrange(len(table[key][name]["B"]))]}
    return Corruption("truncated binary", {key: {**table[key], name: left}}, _names(key, name, "can't be read", "None"))


def removed(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """An item is gone."""
    return Corruption("removed item", {key: None}, _of_item(key))


def added(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """An item is there a second time, under another key of its kind."""
    new = _another_key(rng, table, key)
    if new is None:
        return None
    item = {**table[key], "pk": {"S": new[0]}, "sk": {"S": new[1]}}
    return Corruption("added item", {new: item}, _of_item(new) | _of_item(key))


def moved(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """An item stands under another key of its kind."""
    found = added(rng, table, key)
    if found is None:
        return None
    return Corruption("moved key", {key: None, **found.items}, found.names)


def swapped(rng: random.Random, table: Table, key: Key) -> Corruption | None:
    """Two items of a kind have each other's bodies."""
    if "body" not in table[key]:
        return None
    alike = [
        each for each in table if shape_of(each) is shape_of(key) and table[each].get("body") != table[key]["body"]
    ]
    if not alike:
        return None
    second = rng.choice(alike)
    found = {key: {**table[key], "body": table[second]["body"]}, second: {**table[second], "body": table[key]["body"]}}
    return Corruption("swapped bodies", dict(found), _of_item(key) | _of_item(second))


def _of_item(key: Key) -> frozenset[str]:
    """What an item as a whole may be called."""
    pk, sk = key
    names = {pk, sk, pk.partition("#")[2], sk.partition("#")[2]}
    told = {items.ACCOUNT: "account", items.PROFILE: "profile", items.VELOCITY: "velocity"}
    names.add(told.get(sk, ""))
    names |= {"standing"} if pk.startswith(("S#", "STANDING#")) else set()
    names |= {"rewards"} if pk.startswith("R#") else set()
    names |= {"reserved"} if shape_of(key) is CHUNK else set()
    return frozenset(name for name in names if len(name) > 1) | ({"counted"} if shape_of(key) is COUNTERS else set())


def _another_key(rng: random.Random, table: Table, key: Key) -> Key | None:
    """A key of the same kind that is free."""
    pk, sk = key
    shape = shape_of(key)
    if shape is COUNTERS:
        return (f"STANDING#{rng.randrange(items.STANDING_SHARDS, 9)}", sk)
    for _ in range(20):
        new = (pk, other(rng, sk)) if sk != items.SINGLE and rng.random() < 0.5 else (other(rng, pk), sk)
        if new not in table and shape_of(new) is shape:
            return new
    return None


KINDS: tuple[Kind, ...] = (
    nested,
    number_by_one,
    lost_field,
    attribute,
    version,
    lost_attribute,
    new_attribute,
    cut,
    removed,
    added,
    moved,
    swapped,
)


def not_told(table: Table, corruption: Corruption) -> str | None:
    """Which of ``local.verify.NOT_TOLD`` it is, if any."""
    (key, item), *more = corruption.items.items()
    shape = shape_of(key)
    old = table.get(key)
    if more or old is None:
        return None
    if shape is COUNTERS and item is not None:
        changed = {name for name in item.keys() | old.keys() if item.get(name) != old.get(name)}
        nought = all(name not in item and old[name] == {"N": "0"} for name in changed if name in old)
        if (changed == {"version"} and "version" in item) or (nought and changed <= old.keys()):
            return "the version of a shard of the standing, and a counter of 0 in it"
    if shape is WAITING and item is None and unpack(old["body"]["B"])["adjustment_id"] != "adj-3":
        return "an adjustment taken away while it waits for its second operator"
    if shape is RUN and item is not None and "halted" in old and "B" in item.get("halted", ()):
        facts = [readable(each, "halted") for each in (old, item)]
        told = {"demoted", "would_demote"}
        if (
            all(isinstance(each, dict) for each in facts)
            and {n for n in facts[0] if facts[0][n] != facts[1].get(n)} <= told
        ):
            return "demoted and would_demote of a halted run, as long as they lie around the limit"
    if shape is RUN and item is None and not any(shape_of(each) is CHUNK and each[0] == key[0] for each in table):
        return "a run of a sweep taken away that had demoted nobody"
    return None


def random_corruption(rng: random.Random, table: Table, keys: list[Key]) -> Corruption:
    """Any corruption of any item, each kind of item as often as any other."""
    by_shape: dict[str, list[Key]] = {}
    for key in keys:
        by_shape.setdefault(getattr(shape_of(key), "name", ""), []).append(key)
    while True:
        key = rng.choice(by_shape[rng.choice(sorted(by_shape))])
        found = rng.choice(KINDS)(rng, table, key)
        if found is not None and found.items != {each: table.get(each) for each in found.items}:
            return found
