"""A table: its items, its indexes, its stream, and for a while what was there before."""

from __future__ import annotations

import base64
import hashlib
import zlib
from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from tests.simulation.dynamodb.capacity import Bill, index_write_units, write_units
from tests.simulation.dynamodb.conditions import KeyCondition
from tests.simulation.dynamodb.errors import Fault, Invalid
from tests.simulation.dynamodb.values import Item, Scalar, Value, copied_item, item_size, kind_of, scalar

Key = tuple[Scalar, ...]
Entry = tuple[Scalar, Key]
"""An item's place within a partition: the sort key's value, and the table's key, which settles ties."""

MAX_ITEM = 400 * 1024
MAX_HASH = 2048
MAX_RANGE = 1024

_NO_RANGE = ""
_FIRST_NUMBER = 10**20  # sequence numbers have 21 digits or more
_ARN = "arn:aws:dynamodb:eu-west-1:123456789012:table/"
_EMPTY: Item = {}
_WRONG = "One or more parameter values were invalid: "
_WRONG_KEY = "The provided key element does not match the schema"


class Row(NamedTuple):
    """A stored item, and its size in bytes."""

    item: Item
    size: int


class Change(NamedTuple):
    """What a write did to one item; ``None`` for no item."""

    table: str
    key: Item
    old: Item | None
    new: Item | None


class _Streamed(NamedTuple):
    number: int
    at: float
    key: Item
    old: Row | None
    new: Row | None


class _Before(NamedTuple):
    until: float
    key: Key
    item: Item | None


class Index:
    """Items by partition, sorted: the table's own order, or that of a secondary index."""

    def __init__(self, name: str, hash_name: str, range_name: str | None, projected: frozenset[str] | None) -> None:
        self.name = name
        self.hash_name = hash_name
        self.range_name = range_name
        self.projected = projected
        """The attributes that it holds; ``None`` for all."""
        self.partitions: dict[Scalar, list[Entry]] = {}
        self._order: list[tuple[int, Scalar]] | None = None

    def place_of(self, item: Item, key: Key) -> tuple[Scalar, Entry] | None:
        """The partition and the entry of an item, or ``None``: without the index's keys it is not in the index."""
        hash_value = item.get(self.hash_name)
        if hash_value is None:
            return None
        if self.range_name is None:
            return scalar(hash_value), (_NO_RANGE, key)
        range_value = item.get(self.range_name)
        return None if range_value is None else (scalar(hash_value), (scalar(range_value), key))

    def shown(self, item: Item) -> Item:
        """What it holds of an item."""
        if self.projected is None:
            return item
        return {name: value for name, value in item.items() if name in self.projected}

    def put(self, key: Key, old: Item | None, new: Item | None, bill: Bill, table: str) -> None:
        """Follows a change of its table, and puts down what that costs it."""
        before = None if old is None else self.place_of(old, key)
        after = None if new is None else self.place_of(new, key)
        if before != after:
            if before is not None:
                self._remove(*before)
            if after is not None:
                self._add(*after)
        if not self.name or before is after is None:
            return
        was = None if before is None or old is None else self.shown(old)
        now = None if after is None or new is None else self.shown(new)
        units = index_write_units(
            None if was is None else item_size(was),
            None if now is None else item_size(now),
            moved=before != after,
            changed=was != now,
        )
        if units:
            bill.write[table, self.name] += units

    def _add(self, hash_value: Scalar, entry: Entry) -> None:
        entries = self.partitions.get(hash_value)
        if entries is None:
            self.partitions[hash_value] = [entry]
            if self._order is not None:
                insort(self._order, (hash_of(hash_value), hash_value))
        else:
            insort(entries, entry)

    def _remove(self, hash_value: Scalar, entry: Entry) -> None:
        entries = self.partitions[hash_value]
        del entries[bisect_left(entries, entry)]
        if not entries:
            del self.partitions[hash_value]
            if self._order is not None:
                del self._order[bisect_left(self._order, (hash_of(hash_value), hash_value))]

    def order(self) -> list[tuple[int, Scalar]]:
        """The partitions in the order of a scan: by their hash, which says nothing."""
        if self._order is None:
            self._order = sorted((hash_of(value), value) for value in self.partitions)
        return self._order


def hash_of(value: Scalar) -> int:
    """Where a partition lies: 0 to 2**32, the same in every process."""
    return zlib.crc32(value if isinstance(value, bytes) else str(value).encode())


def bounds_of(entries: list[Entry], condition: KeyCondition) -> tuple[int, int]:
    """The slice of a partition that a key condition leaves."""
    low, high = 0, len(entries)
    if condition.sign is None:
        return low, high
    values = [scalar(value) for value in condition.bounds]
    if condition.sign in {"=", ">=", "BETWEEN", "begins_with"}:
        low = bisect_left(entries, (values[0],))
    elif condition.sign == ">":
        low = bisect_right(entries, values[0], key=lambda entry: entry[0])
    if condition.sign in {"=", "<=", "BETWEEN"}:
        high = bisect_right(entries, values[-1], key=lambda entry: entry[0])
    elif condition.sign == "<":
        high = bisect_left(entries, (values[0],))
    elif condition.sign == "begins_with":
        begin: Any = values[0]
        high = bisect_left(entries, True, lo=low, key=lambda entry: entry[0][: len(begin)] != begin)  # type: ignore[index]
    return low, high


class View(NamedTuple):
    """An index as it is, or as it was when ``older`` items were what the table held."""

    table: Table
    order_of: Index
    older: Mapping[Key, Item | None]

    def partition(self, hash_value: Scalar) -> list[Entry]:
        """The entries of a partition, sorted; not to be changed."""
        entries = self.order_of.partitions.get(hash_value, [])
        if not self.older:
            return entries
        kept = [entry for entry in entries if entry[1] not in self.older]
        for key, item in self.older.items():
            place = None if item is None else self.order_of.place_of(item, key)
            if place is not None and place[0] == hash_value:
                kept.append(place[1])
        return sorted(kept)

    def order(self) -> list[tuple[int, Scalar]]:
        """The partitions in the order of a scan."""
        if not self.older:
            return self.order_of.order()
        places = (self.order_of.place_of(item, key) for key, item in self.older.items() if item is not None)
        return sorted(
            {*self.order_of.order(), *((hash_of(place[0]), place[0]) for place in places if place is not None)}
        )

    def item(self, key: Key) -> Item:
        """The whole item of an entry."""
        older = self.older.get(key)
        return self.table.rows[key].item if older is None else older


class Table:
    """Items under their keys. ``kept_s`` says for how long old versions are kept, in seconds; 0: not at all."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        self.name: str = params["TableName"]
        self.description = params
        self.kinds = {each["AttributeName"]: each["AttributeType"] for each in params["AttributeDefinitions"]}
        self.hash_name, self.range_name = _keys(params["KeySchema"])
        self.key_names = [name for name in (self.hash_name, self.range_name) if name is not None]
        if params.get("LocalSecondaryIndexes"):
            raise NotImplementedError("local secondary indexes are not modelled")
        self.primary = Index("", self.hash_name, self.range_name, None)
        self.indexes = {each["IndexName"]: self._index(each) for each in params.get("GlobalSecondaryIndexes", ())}
        self.index_keys = {
            name: index
            for index in self.indexes.values()
            for name in (index.hash_name, index.range_name)
            if name is not None and name not in self.key_names
        }
        self.rows: dict[Key, Row] = {}
        self.size = 0
        stream = params.get("StreamSpecification") or {}
        self.stream_view: str | None = stream.get("StreamViewType") if stream.get("StreamEnabled") else None
        self.streamed: deque[_Streamed] = deque()
        self._number = _FIRST_NUMBER
        self._before: deque[_Before] = deque()
        self._latest = 0.0

    def _index(self, params: Mapping[str, Any]) -> Index:
        hash_name, range_name = _keys(params["KeySchema"])
        projection = params["Projection"]
        projected = None
        if projection["ProjectionType"] != "ALL":
            names = {*self.key_names, hash_name, range_name, *projection.get("NonKeyAttributes", ())}
            projected = frozenset(name for name in names if name is not None)
        return Index(params["IndexName"], hash_name, range_name, projected)

    # ------------------------------------------------------------ keys

    def key_of(self, given: Mapping[str, Value]) -> Key:
        """The key that a request names. Raises ``Invalid`` for what is none of this table's."""
        if len(given) != len(self.key_names):
            raise Invalid(_WRONG_KEY)
        for name in self.key_names:
            if name not in given or self.kinds[name] not in given[name]:
                raise Invalid(_WRONG_KEY)
        self._check_key(given)
        return tuple(scalar(given[name]) for name in self.key_names)

    def key_in(self, item: Item) -> Key:
        """The key of an item that is to be put. Raises ``Invalid`` where a key, or one of an index, is wrong."""
        for name in self.key_names:
            if name not in item:
                raise Invalid(f"{_WRONG}Missing the key {name} in the item")
            if self.kinds[name] not in item[name]:
                raise Invalid(
                    f"{_WRONG}Type mismatch for key {name} expected: {self.kinds[name]} actual: {kind_of(item[name])}"
                )
        self._check_key(item)
        self.check_index_keys(item)
        return tuple(scalar(item[name]) for name in self.key_names)

    def _check_key(self, item: Mapping[str, Value]) -> None:
        for name in self.key_names:
            kind, is_hash = self.kinds[name], name == self.hash_name
            content = item[name][kind]
            if kind == "N":
                continue
            if not content:
                what = "string" if kind == "S" else "binary"
                raise Invalid(
                    "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
                    f"an empty {what} value. Key: {name}"
                )
            if len(content) * 4 > MAX_RANGE and _length(content) > (MAX_HASH if is_hash else MAX_RANGE):
                raise Invalid(
                    _WRONG + "Size of hashkey has exceeded the maximum size limit of2048 bytes"
                    if is_hash
                    else _WRONG + "Aggregated size of all range keys has exceeded the size limit of 1024 bytes"
                )

    def check_index_keys(self, item: Item) -> None:
        """Raises ``Invalid`` where an attribute that an index has for a key can't be one."""
        for name, index in self.index_keys.items():
            value = item.get(name)
            if value is None:
                continue
            kind = self.kinds[name]
            if kind not in value:
                raise Invalid(
                    f"{_WRONG}Type mismatch for Index Key {name} Expected: {kind} Actual: {kind_of(value)} "
                    f"IndexName: {index.name}"
                )
            if kind != "N" and not value[kind]:
                what = "string" if kind == "S" else "binary"
                raise Invalid(
                    "One or more parameter values are not valid. A value specified for a secondary index key is not "
                    f"supported. The AttributeValue for a key attribute cannot contain an empty {what} value. "
                    f"IndexName: {index.name}, IndexKey: {name}"
                )
            limit = MAX_HASH if name == index.hash_name else MAX_RANGE
            if kind != "N" and _length(value[kind]) > limit:
                raise Invalid(
                    f"{_WRONG}Size of {'hashkey' if name == index.hash_name else 'rangekey'} has exceeded the maximum "
                    f"size limit of {limit} bytes"
                )

    def key_item(self, item: Item) -> Item:
        """The key attributes of an item."""
        return {name: item[name] for name in self.key_names}

    # ------------------------------------------------------------ writing

    def replace(self, key: Key, old: Row | None, new: Row | None, now: float, bill: Bill, factor: int = 1) -> bool:
        """Stores ``new`` for ``old``, in the indexes and the stream as well, and says whether anything changed."""
        units = max(write_units(old.size) if old else 1, write_units(new.size) if new else 1)
        bill.write[self.name, ""] += units * factor
        old_item, new_item = old.item if old else None, new.item if new else None
        if old_item == new_item:
            return False
        if new is None:
            del self.rows[key]
        else:
            self.rows[key] = new
        self.size += (new.size if new else 0) - (old.size if old else 0)
        if old is None or new is None:
            self.primary.put(key, old_item, new_item, bill, self.name)
        for index in self.indexes.values():
            index.put(key, old_item, new_item, bill, self.name)
        if self.stream_view is not None:
            self._number += 1
            key_item = self.key_item(old_item or new_item or _EMPTY)
            self.streamed.append(_Streamed(self._number, now, key_item, old, new))
        return True

    def remember(self, key: Key, old: Item | None, now: float, kept_s: float) -> None:
        """Keeps what was there until now, for reads that may show it."""
        self._latest = max(self._latest, now)
        self._before.append(_Before(self._latest, key, old))
        while self._before and self._before[0].until < self._latest - kept_s:
            self._before.popleft()

    def older(self, now: float, age_s: float) -> dict[Key, Item | None]:
        """The items that were other ones so many seconds ago, and what they were."""
        if age_s <= 0 or not self._before:
            return {}
        since = max(now, self._latest) - age_s
        found: dict[Key, Item | None] = {}
        for each in reversed(self._before):
            if each.until <= since:
                break
            found[each.key] = each.item
        return found

    # ------------------------------------------------------------ the stream

    def records(self, after: str | None, limit: int | None) -> Iterator[dict[str, Any]]:
        """The stream's records as Lambda gets them, oldest first."""
        behind = int(after) if after is not None else 0
        given = 0
        for streamed in self.streamed:
            if streamed.number > behind:
                if limit is not None and given >= limit:
                    return
                given += 1
                yield self._record(streamed)

    def forget_records(self, through: str) -> None:
        """Drops the records up to and with this sequence number."""
        while self.streamed and self.streamed[0].number <= int(through):
            self.streamed.popleft()

    def _record(self, streamed: _Streamed) -> dict[str, Any]:
        view = self.stream_view or ""
        name = "INSERT" if streamed.old is None else "REMOVE" if streamed.new is None else "MODIFY"
        size = item_size(streamed.key)
        change: dict[str, Any] = {
            "ApproximateCreationDateTime": float(int(streamed.at)),
            "Keys": _plain_item(streamed.key),
            "SequenceNumber": str(streamed.number),
            "StreamViewType": view,
        }
        for image, row in (("NewImage", streamed.new), ("OldImage", streamed.old)):
            if row is not None and view in {f"{image[:3].upper()}_IMAGE", "NEW_AND_OLD_IMAGES"}:
                change[image] = _plain_item(row.item)
                size += row.size
        change["SizeBytes"] = size
        return {
            "eventID": hashlib.md5(f"{self.name}/{streamed.number}".encode()).hexdigest(),
            "eventName": name,
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "eventSourceARN": f"{_ARN}{self.name}/stream/2026-01-01T00:00:00.000",
            "awsRegion": "eu-west-1",
            "dynamodb": change,
        }

    # ------------------------------------------------------------ copies

    def copied(self) -> Table:
        """The same table once more: what happens to one is nothing to the other. Items never change, and are shared."""
        twin = Table(self.description)
        twin.rows, twin.size = dict(self.rows), self.size
        for index, other in zip(self._orders(), twin._orders(), strict=True):
            other.partitions = {value: entries.copy() for value, entries in index.partitions.items()}
        twin.streamed, twin._before = self.streamed.copy(), self._before.copy()
        twin._number, twin._latest = self._number, self._latest
        return twin

    def _orders(self) -> list[Index]:
        return [self.primary, *self.indexes.values()]

    # ------------------------------------------------------------ what it is

    def describe(self) -> dict[str, Any]:
        """The table as DescribeTable has it."""
        arn = _ARN + self.name
        found: dict[str, Any] = {
            "TableName": self.name,
            "TableStatus": "ACTIVE",
            "TableArn": arn,
            "ItemCount": len(self.rows),
            "TableSizeBytes": self.size,
            "KeySchema": [dict(each) for each in self.description["KeySchema"]],
            "AttributeDefinitions": [dict(each) for each in self.description["AttributeDefinitions"]],
            "BillingModeSummary": {"BillingMode": self.description.get("BillingMode", "PROVISIONED")},
        }
        if self.indexes:
            found["GlobalSecondaryIndexes"] = [
                {
                    "IndexName": each["IndexName"],
                    "IndexStatus": "ACTIVE",
                    "IndexArn": f"{arn}/index/{each['IndexName']}",
                    "KeySchema": [dict(key) for key in each["KeySchema"]],
                    "Projection": {
                        name: list(value) if isinstance(value, list) else value
                        for name, value in each["Projection"].items()
                    },
                }
                for each in self.description["GlobalSecondaryIndexes"]
            ]
        if self.stream_view is not None:
            found["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": self.stream_view}
        return found

    def items(self) -> list[Item]:
        """Every item, in the order of their keys."""
        return [copied_item(self.rows[key].item) for key in sorted(self.rows)]


def _keys(schema: list[Mapping[str, str]]) -> tuple[str, str | None]:
    by_type = {each["KeyType"]: each["AttributeName"] for each in schema}
    return by_type["HASH"], by_type.get("RANGE")


def _length(content: str | bytes) -> int:
    return len(content.encode() if isinstance(content, str) else content)


def check_size(size: int, updating: bool) -> None:
    """Raises ``Invalid`` for an item above 400 KB."""
    if size > MAX_ITEM:
        what = "Item size to update has exceeded" if updating else "Item size has exceeded"
        raise Invalid(f"{what} the maximum allowed size")


def not_found(name: str | None = None) -> Fault:
    """The fault of a request for a table that isn't there."""
    text = "Requested resource not found"
    return Fault("ResourceNotFoundException", f"{text}: Table: {name} not found" if name else text)


def _plain_item(item: Item) -> dict[str, Any]:
    return {name: _plain(value) for name, value in item.items()}


def _plain(value: Value) -> dict[str, Any]:
    """A value as JSON has it: bytes as base64."""
    ((kind, content),) = value.items()
    if kind == "S":
        return {"S": content}
    if kind == "B":
        content = base64.b64encode(content).decode()
    elif kind == "BS":
        content = [base64.b64encode(each).decode() for each in content]
    elif kind == "M":
        content = _plain_item(content)
    elif kind == "L":
        content = [_plain(each) for each in content]
    elif kind in {"SS", "NS"}:
        content = list(content)
    return {kind: content}
