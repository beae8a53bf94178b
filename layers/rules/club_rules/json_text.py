"""Decoding JSON (RFC 8259) strictly, or with what is wrong in one value left to be named by who reads that value."""

import json
from collections.abc import Iterable
from math import inf, isinf
from typing import Any

from club_rules.errors import FieldError, InvalidInput, pointer_token

JSON_DEPTH_MAX = 32


class RepeatedKeys(dict[str, Any]):
    """A JSON object in which some keys stood more than once; each key has its last value."""

    repeated: tuple[str, ...] = ()


def load_json(text: str | bytes, *, defer: bool = False) -> object:
    """Decode JSON (RFC 8259), strictly: no NaN or infinities, no repeated keys, at most 32 levels, UTF-8.

    With `defer`, what is wrong with one value alone is left to the check of the object that holds it, so that
    a bad event does not take its neighbours along and its field can be named: a number that is none stays as
    a NaN or infinite float, an object with repeated keys becomes `RepeatedKeys`, and depth is no matter. Only
    the outermost object must be sound. Raises InvalidInput with the code `invalid_json` or `duplicate_key`.
    """
    try:
        if not isinstance(text, str):
            text = text.decode("utf-8")
        value = (_DEFERRING if defer else _STRICT).decode(text)
    except UnicodeDecodeError:
        raise _invalid_json("must be UTF-8") from None
    except json.JSONDecodeError as error:
        raise _invalid_json(f"must be JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except _NumberError as error:
        raise _invalid_json(f"must be JSON: {error}") from None
    except RecursionError:
        raise _invalid_json(f"must be nested at most {JSON_DEPTH_MAX} levels deep") from None
    if not defer and _is_too_deep(value):
        raise _invalid_json(f"must be nested at most {JSON_DEPTH_MAX} levels deep")
    if isinstance(value, RepeatedKeys):
        raise InvalidInput(repeated_keys(value, ""))
    return value


def repeated_keys(fields: RepeatedKeys, at: str) -> list[FieldError]:
    """Name every key that stood more than once."""
    return [
        FieldError(f"{at}/{pointer_token(str(name))}", "duplicate_key", "stands more than once in this object")
        for name in fields.repeated
    ]


def _invalid_json(detail: str) -> InvalidInput:
    return InvalidInput([FieldError("", "invalid_json", detail)])


class _NumberError(ValueError):
    """A number that JSON does not have, or that no program can hold."""


def _unique_or_kept(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; one with repeated keys says so."""
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    kept = RepeatedKeys(fields)
    seen: set[str] = set()
    repeated: set[str] = set()
    for name, _ in pairs:
        (repeated if name in seen else seen).add(name)
    kept.repeated = tuple(sorted(repeated))
    return kept


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object; repeated keys are refused, since the path to them is not known here."""
    fields = _unique_or_kept(pairs)
    if isinstance(fields, RepeatedKeys):
        raise InvalidInput(repeated_keys(fields, ""))
    return fields


def _finite(text: str) -> float:
    """Read a number with a fraction or an exponent, but not one beyond all floats."""
    value = float(text)
    if isinf(value):
        raise _NumberError("a number is too large")
    return value


def _short_int(text: str) -> int:
    """Read a whole number; Python refuses one of thousands of digits, since reading it would take long."""
    try:
        return int(text)
    except ValueError:
        raise _NumberError("a number has too many digits") from None


def _int_or_infinite(text: str) -> float:
    """Read a whole number; one of thousands of digits becomes a float, which no field takes."""
    try:
        return int(text)
    except ValueError:
        return inf


def _no_constant(text: str) -> float:
    """Refuse NaN, Infinity and -Infinity, which Python's decoder takes and JSON does not have."""
    raise _NumberError(f"there is no {text} in it")


_STRICT = json.JSONDecoder(
    object_pairs_hook=_unique, parse_float=_finite, parse_int=_short_int, parse_constant=_no_constant
)
_DEFERRING = json.JSONDecoder(object_pairs_hook=_unique_or_kept, parse_int=_int_or_infinite)


def _is_too_deep(value: object) -> bool:
    """Go down level by level, so that no depth can exhaust the stack here."""
    level = [value]
    for _ in range(JSON_DEPTH_MAX):
        level = [child for held in level for child in _children(held) if isinstance(child, (dict, list))]
        if not level:
            return False
    return True


def _children(value: object) -> Iterable[object]:
    """List what a list or an object holds; anything else holds nothing."""
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()
