"""Single writes, alone or as parts of a transaction: what they ask for, and what comes of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.simulation.dynamodb.errors import ConditionFailed, Invalid
from tests.simulation.dynamodb.expressions import Expressions, read_expressions
from tests.simulation.dynamodb.projections import project
from tests.simulation.dynamodb.table import Key, Row, Table, check_size
from tests.simulation.dynamodb.values import Item, checked_item, copied_item, item_size

_EMPTY: Item = {}
_KEY_UPDATE = "One or more parameter values were invalid: Cannot update attribute {}. This attribute is part of the key"
_RETURNS = {
    "Put": {"NONE", "ALL_OLD"},
    "Delete": {"NONE", "ALL_OLD"},
    "Update": {"NONE", "ALL_OLD", "ALL_NEW", "UPDATED_OLD", "UPDATED_NEW"},
}
_EXPRESSIONS = {
    "Put": ("ConditionExpression",),
    "Delete": ("ConditionExpression",),
    "Update": ("UpdateExpression", "ConditionExpression"),
    "ConditionCheck": ("ConditionExpression",),
}


class Write(NamedTuple):
    """A write as it was asked for, read and checked as far as that goes without the table.

    ``given`` is the item of a Put, else the key.
    """

    kind: str
    table: str
    given: Item
    expressions: Expressions
    returned: str
    shows_old: bool


class Outcome(NamedTuple):
    """What is to be stored under a key; ``old`` is what has been."""

    table: Table
    key: Key
    old: Row | None
    new: Row | None


def read_write(kind: str, params: Mapping[str, Any]) -> Write:
    """Reads a request, or a transaction's part. ``kind``: Put, Update, Delete or ConditionCheck. Raises ``Invalid``."""
    given = checked_item(params["Item" if kind == "Put" else "Key"])
    expressions = read_expressions(params, *_EXPRESSIONS[kind])
    if kind == "Put":
        check_size(item_size(given), updating=False)
    returned = params.get("ReturnValues", "NONE")
    if returned not in _RETURNS.get(kind, {"NONE"}):
        raise Invalid(
            "Return values set to invalid value" if kind == "Update" else "ReturnValues can only be ALL_OLD or NONE"
        )
    shows_old = params.get("ReturnValuesOnConditionCheckFailure") == "ALL_OLD"
    return Write(kind, params["TableName"], given, expressions, returned, shows_old)


def key_of(write: Write, table: Table) -> Key:
    """The key that it is about. Raises ``Invalid`` where that is none of the table's."""
    return table.key_in(write.given) if write.kind == "Put" else table.key_of(write.given)


def outcome_of(write: Write, table: Table, key: Key) -> Outcome:
    """What the write comes to. Raises ``ConditionFailed``, or ``Invalid`` for an item that it can't make."""
    old = table.rows.get(key)
    item = _EMPTY if old is None else old.item
    expressions = write.expressions
    if expressions.update is not None:
        for path in expressions.update.paths:
            if path.parts[0] in table.key_names:
                raise Invalid(_KEY_UPDATE.format(path.parts[0]))
    if expressions.condition is not None and not expressions.condition.holds(item, expressions.values):
        raise ConditionFailed(copied_item(item) if write.shows_old and old is not None else None)
    if write.kind == "Put":
        return Outcome(table, key, old, Row(write.given, item_size(write.given)))
    if write.kind == "Delete":
        return Outcome(table, key, old, None)
    if write.kind == "ConditionCheck":
        return Outcome(table, key, old, old)
    return Outcome(table, key, old, _updated(write, table, old))


def _updated(write: Write, table: Table, old: Row | None) -> Row | None:
    update = write.expressions.update
    if update is None:
        return old if old is not None else Row(write.given, item_size(write.given))
    if old is None and update.only_takes_away:
        update.apply(write.given, write.expressions.values)  # it may be refused all the same
        return None
    new = update.apply(old.item if old is not None else write.given, write.expressions.values)
    table.check_index_keys(new)
    check_depth(new)
    size = item_size(new)
    check_size(size, updating=True)
    return Row(new, size)


def check_depth(item: Item) -> None:
    """Raises ``Invalid`` for an item with too many levels of lists and maps."""
    for value in item.values():
        if "M" in value or "L" in value:
            checked_item({"": value})


def attributes_of(write: Write, outcome: Outcome) -> Item | None:
    """What ReturnValues asks for; ``None`` where there is nothing to show."""
    if write.returned == "NONE":
        return None
    row = outcome.new if write.returned.endswith("NEW") else outcome.old
    if row is None:
        return None
    if write.returned.startswith("ALL"):
        return copied_item(row.item)
    update = write.expressions.update
    return copied_item(project(row.item, update.paths)) or None if update is not None else None
