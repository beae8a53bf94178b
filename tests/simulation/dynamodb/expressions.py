"""The expressions of one request, with its names and values; each text is read once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from tests.simulation.dynamodb.conditions import Condition, read_condition
from tests.simulation.dynamodb.errors import Invalid
from tests.simulation.dynamodb.projections import read_projection
from tests.simulation.dynamodb.tokens import Path, Reader
from tests.simulation.dynamodb.updates import Update, read_update
from tests.simulation.dynamodb.values import Item, checked

_READ = {
    "ConditionExpression": read_condition,
    "FilterExpression": read_condition,
    "KeyConditionExpression": read_condition,
    "UpdateExpression": read_update,
    "ProjectionExpression": read_projection,
}
_LEGACY = (
    "AttributesToGet",
    "AttributeUpdates",
    "ConditionalOperator",
    "Expected",
    "KeyConditions",
    "QueryFilter",
    "ScanFilter",
)
_PLACEHOLDER = re.compile(r"[0-9a-zA-Z_]+")
_MOST_TEXTS = 20_000
_NO_VALUES: Item = {}


class _Read(NamedTuple):
    """An expression that has been read, and the placeholders that it uses."""

    node: Any
    names: frozenset[str]
    values: frozenset[str]


_read: dict[Any, _Read] = {}


class Expressions(NamedTuple):
    """What a request's expressions say; ``None`` for what it doesn't have. ``values`` are its values, in our form."""

    values: Item
    condition: Condition | None = None
    filter: Condition | None = None
    key: Condition | None = None
    update: Update | None = None
    projection: tuple[Path, ...] | None = None


_FIELD = {
    "ConditionExpression": "condition",
    "FilterExpression": "filter",
    "KeyConditionExpression": "key",
    "UpdateExpression": "update",
    "ProjectionExpression": "projection",
}
_NOTHING = Expressions(_NO_VALUES)


def read_expressions(params: Mapping[str, Any], *wanted: str) -> Expressions:
    """The expressions of a request, of those that its operation has. Raises ``Invalid``."""
    for name in _LEGACY:
        if name in params:
            raise NotImplementedError(f"{name}: legacy parameters are not modelled")
    names, given = params.get("ExpressionAttributeNames"), params.get("ExpressionAttributeValues")
    present = [name for name in wanted if params.get(name) is not None]
    if not present and names is None and given is None:
        return _NOTHING
    if names is not None:
        if not present:
            raise Invalid("ExpressionAttributeNames can only be specified when using expressions")
        _check_placeholders("ExpressionAttributeNames", "#", names)
    values = _NO_VALUES if given is None else _values(given, present, wanted)
    known = () if not names else tuple(sorted(names.items()))
    used_names: set[str] = set()
    used_values: set[str] = set()
    found: dict[str, Any] = {}
    for name in present:
        read = _read_once(name, params[name], known)
        undefined = read.values - values.keys()
        try:
            if undefined:
                text = "An expression attribute value used in expression is not defined; attribute value: "
                raise Invalid(text + min(undefined))
            if name != "ProjectionExpression":
                read.node.check(values)
        except Invalid as error:
            raise Invalid(f"Invalid {name}: {error.message}") from None
        used_names |= read.names
        used_values |= read.values
        found[_FIELD[name]] = read.node
    _check_used("ExpressionAttributeNames", names, used_names)
    _check_used("ExpressionAttributeValues", given, used_values)
    return Expressions(values, **found)


def _read_once(name: str, text: str, known: tuple[tuple[str, str], ...]) -> _Read:
    kept = _read.get((name, text, known))
    if kept is None:
        try:
            reader = Reader(text, dict(known))
            node = _READ[name](reader)
        except Invalid as error:
            raise Invalid(f"Invalid {name}: {error.message}") from None
        kept = _Read(node, frozenset(reader.names), frozenset(reader.values))
        if len(_read) >= _MOST_TEXTS:
            _read.clear()
        _read[name, text, known] = kept
    return kept


def _values(given: Mapping[str, Any], present: list[str], wanted: tuple[str, ...]) -> Item:
    takers = [name for name in wanted if name != "ProjectionExpression"]
    if not set(takers) & set(present):
        verb = "is" if len(takers) == 1 else "are"
        raise Invalid(
            "ExpressionAttributeValues can only be specified when using expressions: "
            f"{' and '.join(takers)} {verb} null"
        )
    _check_placeholders("ExpressionAttributeValues", ":", given)
    values = {}
    for name, value in given.items():
        try:
            values[name] = checked(value)
        except Invalid as error:
            raise Invalid(f"ExpressionAttributeValues contains invalid value: {error.message} for key {name}") from None
    return values


def _check_placeholders(what: str, sign: str, given: Mapping[str, Any]) -> None:
    if not given:
        raise Invalid(f"{what} must not be empty")
    for name in given:
        if name[:1] != sign or _PLACEHOLDER.fullmatch(name, 1) is None:
            raise Invalid(f'{what} contains invalid key: Syntax error; key: "{name}"')


def _check_used(what: str, given: Mapping[str, Any] | None, used: set[str]) -> None:
    if given is not None and len(used) < len(given):
        unused = ", ".join(name for name in given if name not in used)
        raise Invalid(f"Value provided in {what} unused in expressions: keys: {{{unused}}}")
