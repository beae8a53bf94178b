"""Reading the fields of a JSON object that somebody sent: each that is at fault is named, not only the first.

A reader takes the object, the name of a field and the JSON pointer ``at`` which the object stands. It appends a
``FieldError`` for what is wrong, and returns the value, or an empty one of its type where something was.
"""

import json
import re
from collections.abc import Collection
from typing import Any

from club_rules.errors import FieldError, pointer_token
from club_rules.json_text import RepeatedKeys, repeated_keys
from club_rules.money import CURRENCIES, AmountRangeError, parse_money

Fields = dict[str, Any]
Errors = list[FieldError]

# `fullmatch` and spelt-out classes: `match` with `$` takes a trailing newline, `\d` other scripts' digits.
is_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}").fullmatch
_is_currency_code = re.compile(r"[A-Z]{3}").fullmatch

canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False, allow_nan=False).encode
"""One encoder for all digests: sorted keys, no blanks, ASCII. What it is given is our own normalised data."""


def read_object(given: object, at: str, errors: Errors) -> Fields | None:
    """Take a JSON object; a key that stood twice in it is an error of its own."""
    if type(given) is dict:
        return given
    if isinstance(given, RepeatedKeys):
        errors.extend(repeated_keys(given, at))
        return given
    errors.append(FieldError(at, "invalid_type", "must be an object"))
    return None


def read_id(fields: Fields, name: str, at: str, errors: Errors) -> str:
    """Read an id: rules 1.3."""
    value = fields.get(name)
    if type(value) is str:
        if is_id(value):
            return value
        expected = "must be 1 to 64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit"
        errors.append(FieldError(f"{at}/{name}", "invalid_id", expected))
    else:
        errors.append(absent_or_wrong(fields, name, at, "an id, as a string"))
    return ""


def read_choice(
    fields: Fields,
    name: str,
    at: str,
    known: Collection[str],
    code: str,
    errors: Errors,
    expected: str = "",
) -> str:
    """Read one of a closed list of words. ``expected`` says what must stand there, where the list is a long one."""
    value = fields.get(name)
    if type(value) is str:
        if value in known:
            return value
        errors.append(FieldError(f"{at}/{name}", code, expected or expected_choice(known)))
    else:
        errors.append(absent_or_wrong(fields, name, at, "a string"))
    return ""


def read_whole(fields: Fields, name: str, at: str, highest: int, errors: Errors) -> int:
    """Read a whole number from 1 to `highest`; 1.0 and true are none."""
    value = fields.get(name)
    if type(value) is int:
        if 1 <= value <= highest:
            return value
        errors.append(FieldError(f"{at}/{name}", "out_of_range", f"must be from 1 to {highest}"))
    else:
        errors.append(absent_or_wrong(fields, name, at, f"a whole number from 1 to {highest}"))
    return 0


def read_money(fields: Fields, name: str, at: str, currency: str, errors: Errors) -> int:
    """Read an amount of money in a known currency, as minor units."""
    value = fields.get(name)
    if type(value) is not str:
        expected = "a decimal string, never a number"
        code = "invalid_money" if type(value) in (int, float) else "invalid_type"
        errors.append(absent_or_wrong(fields, name, at, expected, code))
        return 0
    try:
        return parse_money(value, currency)
    except AmountRangeError as error:
        errors.append(FieldError(f"{at}/{name}", "out_of_range", str(error)))
    except ValueError as error:
        errors.append(FieldError(f"{at}/{name}", "invalid_money", str(error)))
    return 0


def read_currency(fields: Fields, at: str, ours: str, errors: Errors) -> str:
    """Read the currency, which has to be ``ours``; return the one to read the amounts in.

    What is in another currency is wrong in that one field: its amounts are read in its own currency where
    that is known, so that "1200" in JPY is not named as well.
    """
    currency = fields.get("currency")
    if currency == ours:
        return ours
    if type(currency) is not str:
        errors.append(absent_or_wrong(fields, "currency", at, "an ISO 4217 code"))
        return ours
    if not _is_currency_code(currency):
        errors.append(FieldError(f"{at}/currency", "invalid_value", "must be an ISO 4217 code"))
        return ours
    errors.append(FieldError(f"{at}/currency", "currency_mismatch", f"must be {ours}"))
    return currency if currency in CURRENCIES else ours


def absent_or_wrong(fields: Fields, name: str, at: str, expected: str, code: str = "invalid_type") -> FieldError:
    """Name a field that is not there, or that holds another type than expected."""
    if name not in fields:
        return FieldError(f"{at}/{name}", "missing", f"is required: {expected}")
    return FieldError(f"{at}/{name}", code, f"must be {expected}")


def name_unknown(fields: Fields, known: frozenset[str], at: str, errors: Errors) -> None:
    """Name every field that has no business here."""
    for name in fields:
        if name not in known:
            errors.append(
                FieldError(f"{at}/{pointer_token(str(name))}", "unknown_field", "is not a field of this object")
            )


def expected_choice(known: Collection[str]) -> str:
    """Say what may stand there, word by word."""
    return f"must be one of {', '.join(sorted(known))}"
