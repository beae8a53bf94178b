"""Adjustments: a correction by a person, with reason and actor, as it is asked for (rules 1.1, 1.8, contract 2.1).

What one does to a member is in ``club_rules.posting.adjust``. Nothing here reads or stores anything.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from club_rules.errors import FieldError, InvalidInput
from club_rules.fields import (
    Errors,
    Fields,
    absent_or_wrong,
    canonical,
    name_unknown,
    read_choice,
    read_id,
    read_money,
    read_object,
)
from club_rules.programs import Programs

POINTS_MAX = 1_000_000
"""An adjustment is at most so many points, either way; in a program that measures spend the most is any amount's."""

REASON_CHARS_MAX = 500

_FIELDS = frozenset({"adjustment_id", "program", "points", "spend", "reason"})


@dataclass(frozen=True, slots=True)
class Adjustment:
    """An adjustment, checked. ``points`` are those of the program's measure: points, or minor units of spend.

    ``digest`` is the SHA-256, in hex, of the canonical JSON of all but the id: two with one id are the same when their
    digests are. Who asks for it is no part of it.
    """

    adjustment_id: str
    member_id: str
    program: str
    points: int
    reason: str
    digest: str


def parse_adjustment(body: object, member_id: str, programs: Programs) -> Adjustment:
    """Reads the body of ``POST /members/{member_id}/adjustments``, as decoded from JSON (contract 2.1).

    Raises ``InvalidInput``, which names every field at fault by its JSON pointer; nothing else, whatever ``body`` is.
    """
    errors: Errors = []
    fields = read_object(body, "", errors)
    if fields is None:
        raise InvalidInput(errors)
    name_unknown(fields, _FIELDS, "", errors)
    adjustment_id = read_id(fields, "adjustment_id", "", errors)
    program = read_choice(fields, "program", "", frozenset(programs.ids), "invalid_value", errors)
    points = _points(fields, program, programs, errors)
    reason = _reason(fields, errors)
    if errors:
        raise InvalidInput(errors)
    digest = sha256(canonical(["adjustment", member_id, program, points, reason]).encode()).hexdigest()
    return Adjustment(adjustment_id, member_id, program, points, reason, digest)


def _points(fields: Fields, program: str, programs: Programs, errors: Errors) -> int:
    """Reads the amount from the one field that the program's measure has; the other has no business here."""
    if not program:
        return 0  # which of the two it would have to be, nobody knows
    spends = program not in programs.point_programs
    name, other = ("spend", "points") if spends else ("points", "spend")
    if other in fields:
        detail = f"is not a field here: {program} measures {name}"
        errors.append(FieldError(f"/{other}", "unknown_field", detail))
    return _spend(fields, programs.currency, errors) if spends else _whole(fields, errors)


def _whole(fields: Fields, errors: Errors) -> int:
    """Reads points: a whole number other than 0; 1.0 and true are none."""
    value = fields.get("points")
    expected = f"a whole number from -{POINTS_MAX} to {POINTS_MAX}, and not 0"
    if type(value) is not int:
        errors.append(absent_or_wrong(fields, "points", "", expected))
    elif value == 0 or abs(value) > POINTS_MAX:
        errors.append(FieldError("/points", "out_of_range", f"must be {expected}"))
    else:
        return value
    return 0


def _spend(fields: Fields, currency: str, errors: Errors) -> int:
    """Reads spend: money as a decimal string, other than 0, with a minus before it where it is taken."""
    value = fields.get("spend")
    takes = type(value) is str and value.startswith("-")
    found = len(errors)
    given = {**fields, "spend": value[1:]} if takes and type(value) is str else fields
    minor = read_money(given, "spend", "", currency, errors)
    if minor == 0 and len(errors) == found:
        errors.append(FieldError("/spend", "out_of_range", "must not be 0"))
    return -minor if takes else minor


def _reason(fields: Fields, errors: Errors) -> str:
    """Reads the reason that the operator gives: printable, and not only blanks."""
    value = fields.get("reason")
    expected = f"1 to {REASON_CHARS_MAX} printable characters, and not only blanks"
    if type(value) is not str:
        errors.append(absent_or_wrong(fields, "reason", "", expected))
    elif len(value) <= REASON_CHARS_MAX and value.isprintable() and value.strip():
        return value
    else:
        errors.append(FieldError("/reason", "invalid_value", f"must be {expected}"))
    return ""
