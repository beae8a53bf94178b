"""Queries and scans: which entries of a table or index they go over, and a page of what is found there."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from tests.simulation.dynamodb.conditions import key_condition, paths_of
from tests.simulation.dynamodb.errors import Invalid
from tests.simulation.dynamodb.expressions import Expressions
from tests.simulation.dynamodb.projections import project
from tests.simulation.dynamodb.table import Entry, Index, Key, Table, View, bounds_of, hash_of
from tests.simulation.dynamodb.values import Item, Scalar, checked_item, copied_item, item_size, scalar

PAGE = 1024 * 1024
"""Bytes after which a page ends."""

MAX_SEGMENTS = 1_000_000
_MISSING = "The {} parameter is required but was not present in the request when {} is present"
_NO_START = "The provided starting key is invalid"


class Start(NamedTuple):
    """Where a page begins: behind this entry of this partition."""

    hash: Scalar
    entry: Entry


class Page(NamedTuple):
    """What a query or scan found: ``scanned`` items of ``size`` bytes, of which ``items`` passed the filter."""

    items: list[Item]
    scanned: int
    size: int
    last: Item | None


def index_of(table: Table, params: Mapping[str, Any]) -> Index:
    """The table's own order, or the index that is asked for. Raises ``Invalid``."""
    name = params.get("IndexName")
    if name is None:
        return table.primary
    if name not in table.indexes:
        raise Invalid(f"The table does not have the specified index: {name}")
    if params.get("ConsistentRead"):
        raise Invalid("Consistent reads are not supported on global secondary indexes")
    return table.indexes[name]


def check_limit(params: Mapping[str, Any]) -> None:
    """Raises ``Invalid`` for a Limit below 1."""
    limit = params.get("Limit")
    if limit is not None and limit < 1:
        raise Invalid(
            f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
            "Member must have value greater than or equal to 1"
        )


def start_of(table: Table, index: Index, params: Mapping[str, Any]) -> Start | None:
    """Where the page begins. Raises ``Invalid`` for an ExclusiveStartKey that names no place."""
    given = params.get("ExclusiveStartKey")
    if given is None:
        return None
    key = checked_item(given)
    names = [name for name in (*table.key_names, index.hash_name, index.range_name) if name is not None]
    if set(key) != set(names) or any(table.kinds[name] not in key[name] for name in key):
        raise Invalid(_NO_START)
    table_key = tuple(scalar(key[name]) for name in table.key_names)
    place = index.place_of(key, table_key)
    if place is None:
        raise Invalid(_NO_START)
    return Start(*place)


def queried(view: View, expressions: Expressions, start: Start | None, forward: bool) -> Iterator[Entry]:
    """The entries of a query, in its order. Raises ``Invalid`` for a key condition that no query can answer."""
    table, index = view.table, view.order_of
    assert expressions.key is not None
    condition = key_condition(expressions.key, expressions.values, index.hash_name, index.range_name)
    for name, values in ((index.hash_name, (condition.hash,)), (index.range_name, condition.bounds)):
        if name is not None and any(table.kinds[name] not in value for value in values):
            raise Invalid(
                "One or more parameter values were invalid: Condition parameter type does not match schema type"
            )
        if any(value == {kind: empty} for value in values for kind, empty in (("S", ""), ("B", b""))):
            raise Invalid(
                "One or more parameter values are not valid. The AttributeValue for a key attribute cannot contain "
                f"an empty {'string' if 'S' in values[0] else 'binary'} value. Key: {name}"
            )
    if expressions.filter is not None:
        for path in paths_of(expressions.filter):
            if path.parts[0] in {index.hash_name, index.range_name}:
                raise Invalid(
                    "Filter Expression can only contain non-primary key attributes: "
                    f"Primary key attribute: {path.parts[0]}"
                )
    hash_value = scalar(condition.hash)
    entries = view.partition(hash_value)
    low, high = bounds_of(entries, condition)
    if start is not None:
        if start.hash != hash_value:
            raise Invalid("The provided starting key is outside query boundaries based on provided conditions")
        if forward:
            low = max(low, bisect_right(entries, start.entry))
        else:
            high = min(high, bisect_left(entries, start.entry))
    return (entries[at] for at in (range(low, high) if forward else range(high - 1, low - 1, -1)))


def scanned(view: View, params: Mapping[str, Any], start: Start | None) -> Iterator[Entry]:
    """The entries of a scan, or of a segment of one. Raises ``Invalid`` for a segment that there isn't."""
    segment, total = params.get("Segment"), params.get("TotalSegments")
    _check_segment(segment, total)
    low, high = 0, 2**32
    if segment is not None and total is not None:
        low, high = -(-segment * high // total), -(-(segment + 1) * high // total)
    order = view.order()
    first = bisect_left(order, (low,))
    if start is not None:
        place = (hash_of(start.hash), start.hash)
        if not low <= place[0] < high:
            raise Invalid(
                "The provided starting key is invalid: Invalid ExclusiveStartKey. Please use ExclusiveStartKey with "
                f"correct Segment. TotalSegments: {total} Segment: {segment}"
            )
        first = bisect_left(order, place)
    for at in range(first, len(order)):
        number, hash_value = order[at]
        if number >= high:
            return
        entries = view.partition(hash_value)
        begins = bisect_right(entries, start.entry) if start is not None and start.hash == hash_value else 0
        yield from (entries[position] for position in range(begins, len(entries)))


def _check_segment(segment: int | None, total: int | None) -> None:
    if segment is None and total is None:
        return
    if total is None:
        raise Invalid(_MISSING.format("TotalSegments", "Segment parameter"))
    if segment is None:
        raise Invalid(_MISSING.format("Segment", "parameter TotalSegments"))
    if not 1 <= total <= MAX_SEGMENTS:
        bound = "greater than or equal to 1" if total < 1 else f"less than or equal to {MAX_SEGMENTS}"
        raise Invalid(
            f"1 validation error detected: Value '{total}' at 'totalSegments' failed to satisfy constraint: "
            f"Member must have value {bound}"
        )
    if segment < 0:
        raise Invalid(
            f"1 validation error detected: Value '{segment}' at 'segment' failed to satisfy constraint: "
            "Member must have value greater than or equal to 0"
        )
    if segment >= total:
        raise Invalid(
            "The Segment parameter is zero-based and must be less than parameter TotalSegments: "
            f"Segment: {segment} is not less than TotalSegments: {total}"
        )


def page_of(view: View, entries: Iterable[Entry], params: Mapping[str, Any], expressions: Expressions) -> Page:
    """Goes over entries until the limit, or until a page is full. A page that is full may be the last one: nobody
    looks ahead."""
    limit, index = params.get("Limit"), view.order_of
    condition, values = expressions.filter, expressions.values
    select = params.get("Select")
    found: list[Item] = []
    count = size = 0
    for entry in entries:
        item = index.shown(view.item(entry[1]))
        count += 1
        row = view.table.rows.get(entry[1])
        size += row.size if row is not None and row.item is item else item_size(item)
        if condition is None or condition.holds(item, values):
            if select == "COUNT":
                found.append(item)
            elif expressions.projection is None:
                found.append(copied_item(item))
            else:
                found.append(copied_item(project(item, expressions.projection)))
        if count == limit or size >= PAGE:
            return Page(found, count, size, _position(view, entry[1]))
    return Page(found, count, size, None)


def _position(view: View, key: Key) -> Item:
    item = view.item(key)
    names = (*view.table.key_names, view.order_of.hash_name, view.order_of.range_name)
    return copied_item({name: item[name] for name in names if name is not None})


def check_select(table: Table, index: Index, params: Mapping[str, Any]) -> None:
    """Raises ``Invalid`` where Select doesn't go with the rest."""
    select = params.get("Select")
    if select is None:
        return
    if params.get("ProjectionExpression") is not None and select != "SPECIFIC_ATTRIBUTES":
        raise Invalid(f"Cannot specify the ProjectionExpression when choosing to get {select}")
    if select == "SPECIFIC_ATTRIBUTES" and params.get("ProjectionExpression") is None:
        raise Invalid(
            "Must specify the AttributesToGet or ProjectionExpression when choosing to get SPECIFIC_ATTRIBUTES"
        )
    if select == "ALL_PROJECTED_ATTRIBUTES" and index is table.primary:
        raise Invalid("ALL_PROJECTED_ATTRIBUTES can be used only when Querying using an IndexName")
    if select == "ALL_ATTRIBUTES" and index.projected is not None:
        raise Invalid(
            "One or more parameter values were invalid: Select type ALL_ATTRIBUTES is not supported for global "
            f"secondary index {index.name} because its projection type is not ALL"
        )


def check_projected(index: Index, expressions: Expressions) -> None:
    """Raises ``Invalid`` where a projection asks an index for what it doesn't hold."""
    if index.projected is None or expressions.projection is None:
        return
    missing = [str(path.parts[0]) for path in expressions.projection if path.parts[0] not in index.projected]
    if missing:
        raise Invalid(
            "One or more parameter values were invalid: Global secondary index "
            f"{index.name} does not project [{', '.join(missing)}]"
        )
