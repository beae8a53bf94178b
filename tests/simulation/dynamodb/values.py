"""Attribute values as botocore has them: checked, brought to one form, compared, measured and copied.

A value inside the model is never changed once it is made. So old and new versions of an item may share parts, and only
what comes in or goes out is copied. Numbers and sets are in one form (a number's plain digits, a set sorted), so that
equal values are equal dicts.
"""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Mapping
from decimal import Context, Decimal
from functools import lru_cache
from typing import Any

from tests.simulation.dynamodb.errors import Invalid

Value = dict[str, Any]
Item = dict[str, Value]
Scalar = str | Decimal | bytes

TYPES = ("S", "N", "B", "SS", "NS", "BS", "M", "L", "NULL", "BOOL")
ELEMENT_OF = {"SS": "S", "NS": "N", "BS": "B"}
MAX_DEPTH = 32
"""Levels of lists and maps within an item."""

_NUMBER = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_EXACT = Context(prec=400, Emin=-10_000, Emax=10_000)
_EXACTLY = "must contain exactly one of the supported datatypes"
MORE_THAN_ONE = f"Supplied AttributeValue has more than one datatypes set, {_EXACTLY}"
_NONE = f"Supplied AttributeValue is empty, {_EXACTLY}"
_OTHERS = "One or more parameter values were invalid: "


def with_bytes(sent: Any) -> Any:
    """What was sent as JSON, as botocore has it: binary values as bytes, not as base64."""
    if isinstance(sent, dict):
        if list(sent) == ["B"] and isinstance(sent["B"], str):
            return {"B": b64decode(sent["B"])}
        return {name: with_bytes(each) for name, each in sent.items()}
    return [with_bytes(each) for each in sent] if isinstance(sent, list) else sent


def checked_item(given: Mapping[str, Any]) -> Item:
    """An item of the caller's, checked and in our form; nothing of it is shared. Raises ``Invalid``."""
    return {name: checked(value) for name, value in given.items()}


def checked(given: Mapping[str, Any], depth: int = 1) -> Value:
    """A value of the caller's, checked and in our form. Raises ``Invalid``."""
    if len(given) != 1:
        raise Invalid(MORE_THAN_ONE if given else _NONE)
    ((kind, content),) = given.items()
    if kind == "S":
        return {"S": _text(content)}
    if kind == "N":
        return {"N": canonical(_text(content))}
    if kind == "B":
        return {"B": _bytes(content)}
    if kind == "M":
        _check_depth(depth)
        return {"M": {name: checked(value, depth + 1) for name, value in content.items()}}
    if kind == "L":
        _check_depth(depth)
        return {"L": [checked(value, depth + 1) for value in content]}
    if kind == "BOOL":
        return {"BOOL": bool(content)}
    if kind == "NULL":
        if content is not True:
            raise Invalid(_OTHERS + "Null attribute value types must have the value of true")
        return {"NULL": True}
    if kind in ELEMENT_OF:
        return {kind: _checked_set(kind, content)}
    raise Invalid(_NONE)


def _check_depth(depth: int) -> None:
    if depth > MAX_DEPTH:
        raise Invalid("Nesting Levels have exceeded supported limits")


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise TypeError(f"a string is wanted, not {type(content).__name__}")  # botocore lets nothing else through
    return content


def _bytes(content: Any) -> bytes:
    return content.encode() if isinstance(content, str) else bytes(content)


def _checked_set(kind: str, content: Any) -> list[Any]:
    if not content:
        raise Invalid(
            _OTHERS
            + {
                "SS": "An string set  may not be empty",
                "NS": "An number set  may not be empty",
                "BS": "Binary sets should not be empty",
            }[kind]
        )
    elements = [_bytes(each) if kind == "BS" else canonical(each) if kind == "NS" else _text(each) for each in content]
    if len(set(elements)) != len(elements):
        if kind == "NS":
            raise Invalid("Input collection contains duplicates")
        shown = ", ".join(map(str, elements))
        raise Invalid(f"{_OTHERS}Input collection [{shown}]{'of type BS' * (kind == 'BS')} contains duplicates.")
    return sorted_set(kind, elements)


def sorted_set(kind: str, elements: Any) -> list[Any]:
    """The elements of a set in the order in which the model keeps them; DynamoDB promises none."""
    return sorted(elements, key=number) if kind == "NS" else sorted(elements)


@lru_cache(maxsize=65536)
def canonical(text: str) -> str:
    """A number as DynamoDB gives it back: plain, without zeros that say nothing. Raises ``Invalid``."""
    if not text:
        raise Invalid("The parameter cannot be converted to a numeric value")
    if _NUMBER.fullmatch(text) is None:
        raise Invalid(f"The parameter cannot be converted to a numeric value: {text}")
    found = Decimal(text)
    if not found:
        return "0"
    if found.adjusted() > 125:
        raise Invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if found.adjusted() < -130:
        raise Invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    if len("".join(map(str, found.as_tuple().digits)).strip("0")) > 38:
        raise Invalid("Attempting to store more than 38 significant digits in a Number")
    return format(found.normalize(_EXACT), "f")


@lru_cache(maxsize=65536)
def number(text: str) -> Decimal:
    """A number in our form, to compute with."""
    return Decimal(text)


def added(left: str, right: str, sign: int) -> str:
    """The sum (``sign`` 1) or difference (-1) of two numbers. Raises ``Invalid`` where it doesn't fit DynamoDB's."""
    total = _EXACT.add(number(left), number(right) if sign > 0 else -number(right))
    return canonical(str(total))


def scalar(value: Value) -> Scalar:
    """A key's value as something that sorts as DynamoDB sorts: strings by their UTF-8 bytes, which code points do."""
    ((kind, content),) = value.items()
    return number(content) if kind == "N" else content


def kind_of(value: Value) -> str:
    """A value's type: one of ``TYPES``."""
    return next(iter(value))


def ordered(left: Value, right: Value) -> int | None:
    """-1, 0 or 1 as ``left`` is below, equal to or above ``right``; ``None`` where there is no order between them."""
    kind = kind_of(left)
    if kind != kind_of(right) or kind not in {"S", "N", "B"}:
        return None
    one, other = scalar(left), scalar(right)
    return 0 if one == other else -1 if one < other else 1  # type: ignore[operator]


def copied(value: Value) -> Value:
    """The same value, with nothing shared."""
    ((kind, content),) = value.items()
    if kind == "M":
        return {"M": {name: copied(each) for name, each in content.items()}}
    if kind == "L":
        return {"L": [copied(each) for each in content]}
    if kind in ELEMENT_OF:
        return {kind: list(content)}
    return {kind: content}


def copied_item(item: Item) -> Item:
    """The same item, with nothing shared."""
    return {name: copied(value) for name, value in item.items()}


def item_size(item: Mapping[str, Value]) -> int:
    """An item's size in bytes, as the developer guide counts it ("DynamoDB item sizes and formats")."""
    total = 0
    for name, value in item.items():  # a loop, since this is asked for more often than anything else
        total += (len(name) if name.isascii() else len(name.encode())) + size(value)
    return total


def size(value: Value) -> int:
    """A value's size in bytes, without its name."""
    ((kind, content),) = value.items()
    if kind == "S":
        return len(content) if content.isascii() else len(content.encode())
    if kind == "N":
        return _number_size(content)
    if kind == "B":
        return len(content)
    if kind in {"BOOL", "NULL"}:
        return 1
    if kind == "M":
        return 3 + sum(len(name.encode()) + size(each) + 1 for name, each in content.items())
    if kind == "L":
        return 3 + sum(size(each) + 1 for each in content)
    return sum(size({ELEMENT_OF[kind]: each}) for each in content)


@lru_cache(maxsize=65536)
def _number_size(text: str) -> int:
    """One byte for two significant digits, one more, and one for a minus; at most 21."""
    digits = text.lstrip("-").replace(".", "").strip("0")
    return min(21, (len(digits) + 1) // 2 + 1 + text.startswith("-"))
