"""Activity events (rules 1.3): reading, checking and writing what the marketplace says about its members.

Checked by hand rather than by a library, since every event passes here twice (at the door and before posting)
and a check by hand costs a few microseconds. Each type of event has one reader; `_READERS` names them all. A
reader takes `data` as it came, appends a FieldError for each field at fault, and returns the normalised data,
which counts only if nothing was appended. So every bad field is named, not only the first.

`category`, `flags` and a `data` that holds nothing may be null as well as left out. The personal data of a
member may not: there, null could as well be meant as "forget it".
"""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from math import inf, isinf
from typing import Any, Protocol

from club_rules.errors import FieldError, InvalidInput, pointer_token
from club_rules.money import CURRENCIES, AmountRangeError, format_money, parse_money
from club_rules.times import format_instant, parse_day, parse_instant

ADMIN_TYPES = frozenset({"violation.confirmed", "violation.overturned"})

LINES_MAX = 500
QUANTITY_MAX = 1_000_000
PROMOTION_POINTS_MAX = 10_000
CATEGORY_CHARS_MAX = 64
# How far the clock of a sender may be ahead of ours (rules 1.2).
AHEAD_MAX = timedelta(minutes=5)
# No shop was open before; and what lies near the year 1 can't be put into a time zone.
OCCURRED_AT_MIN = datetime(1970, 1, 1, tzinfo=UTC)
# An answer names at most so many fields one by one: an order of 500 lines that are all wrong still fits.
FIELD_ERRORS_MAX = 3_000
JSON_DEPTH_MAX = 32

_MEMBER_ID_RESERVED = "me"
_FLAGS = frozenset({"preorder", "prepaid", "gift", "preferential_shipping", "fraudulent"})
_VIOLATION_KINDS = frozenset({"return_abuse", "extortion", "coupon_fraud", "spam"})
# ISO 3166-1 alpha-2, the officially assigned codes.
_COUNTRY_CODES = """
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT
    BV BW BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH
    ER ES ET FI FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT
    HU ID IE IL IM IN IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS
    LT LU LV LY MA MC MD ME MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI
    NL NO NP NR NU NZ OM PA PE PF PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG
    SH SI SJ SK SL SM SN SO SR SS ST SV SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG
    UM US UY UZ VA VC VE VG VI VN VU WF WS YE YT ZA ZM ZW
"""
_COUNTRIES = frozenset(_COUNTRY_CODES.split())

# `fullmatch` and spelt-out classes: `match` with `$` takes a trailing newline, `\d` other scripts' digits.
_is_id = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}").fullmatch
_is_currency_code = re.compile(r"[A-Z]{3}").fullmatch
# One encoder for all digests: sorted keys, no blanks, ASCII. What it makes is our own normalised data.
_canonical = json.JSONEncoder(sort_keys=True, separators=(",", ":"), check_circular=False, allow_nan=False).encode

_ENVELOPE_FIELDS = frozenset({"event_id", "type", "member_id", "occurred_at", "data"})
_MEMBER_FIELDS = frozenset({"registered_on", "birthday", "country"})
_ORDER_FIELDS = frozenset({"order_id", "currency", "lines", "flags"})
_ORDER_LINE_FIELDS = frozenset({"item_id", "seller_id", "category", "unit_price", "quantity"})
_REFUND_FIELDS = frozenset({"order_id", "full", "lines", "amount", "currency"})
_REFUND_LINE_FIELDS = frozenset({"item_id", "quantity"})
_PROMOTION_FIELDS = frozenset({"campaign_id", "points", "program"})
_VIOLATION_FIELDS = frozenset({"case_id", "kind"})
_PRICE_FIELDS = frozenset({"item_id", "old_price", "new_price", "currency"})


class ProgramFacts(Protocol):
    """What the check of an event needs to know of the programs."""

    @property
    def currency(self) -> str:
        """The ISO 4217 code of the currency that the programs count in."""

    @property
    def point_programs(self) -> frozenset[str]:
        """The ids of the programs that measure points."""


@dataclass(frozen=True, slots=True)
class ActivityEvent:
    """A fact about a member, checked and normalised.

    `occurred_at` is in UTC. `data` holds money as minor units, days as ISO text and flags sorted. `member_id`
    is "" for `price.dropped`, which concerns no member. `digest` is the SHA-256, in hex, of the canonical
    JSON of all but the event id: two events with one id are the same when their digests are (rules 1.3).
    """

    event_id: str
    type: str
    member_id: str
    occurred_at: datetime
    data: dict[str, Any]
    digest: str


class RepeatedKeys(dict[str, Any]):
    """A JSON object in which some keys stood more than once; each key has its last value."""

    repeated: tuple[str, ...] = ()


_Fields = dict[str, Any]
_Errors = list[FieldError]


class _Reading:
    """What is at hand while one event is read: the errors so far, and what to judge by."""

    __slots__ = ("errors", "now", "programs")

    def __init__(self, now: datetime, programs: ProgramFacts) -> None:
        self.errors: _Errors = []
        self.now = now
        self.programs = programs


_Reader = Callable[[_Fields, _Reading], _Fields]


def parse_event(raw: object, *, now: datetime, programs: ProgramFacts) -> ActivityEvent:
    """Check one activity event, as decoded from JSON, against rules 1.3, and normalise it.

    `now` is the time of the invocation (aware): what occurred more than five minutes after it is refused, and
    days are judged by its date in UTC. Raises InvalidInput, which names every field at fault by a JSON
    pointer relative to the event (beyond 3,000 the rest is only counted); nothing else, whatever `raw` is.
    """
    reading = _Reading(now, programs)
    errors = reading.errors
    fields = _object(raw, "", errors)
    if fields is None:
        raise InvalidInput(errors)
    if not fields.keys() <= _ENVELOPE_FIELDS:
        _name_unknown(fields, _ENVELOPE_FIELDS, "", errors)
    event_id = _id(fields, "event_id", "", errors)
    event_type = _choice(fields, "type", "", _READERS, "unknown_type", errors)
    member_id = _member_id(fields, event_type, errors)
    occurred_at = _occurred_at(fields, now, errors)
    data: _Fields = {}
    if event_type:
        given = _data(fields, event_type, errors)
        if given is not None:
            data = _READERS[event_type](given, reading)
    if errors:
        raise InvalidInput(_bounded(errors))
    content = _canonical([event_type, member_id, format_instant(occurred_at), data])
    digest = sha256(content.encode()).hexdigest()
    return ActivityEvent(event_id, event_type, member_id, occurred_at, data, digest)


def wire_event(event: ActivityEvent) -> dict[str, Any]:
    """Write an event as it stands on the wire: `parse_event` of the result gives an equal event."""
    return {
        "event_id": event.event_id,
        "type": event.type,
        "member_id": event.member_id or None,
        "occurred_at": format_instant(event.occurred_at),
        "data": _wire_data(event.data),
    }


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
        raise InvalidInput(_repeated(value, ""))
    return value


# --- the envelope -------------------------------------------------------------------------------------------


def _member_id(fields: _Fields, event_type: str, errors: _Errors) -> str:
    """Read the member; `price.dropped` has none, and an event of unknown type may have one."""
    given = fields.get("member_id")
    if event_type == "price.dropped":
        if given is not None:
            errors.append(FieldError("/member_id", "invalid_value", "a price.dropped concerns no member"))
        return ""
    if given == _MEMBER_ID_RESERVED:
        errors.append(FieldError("/member_id", "reserved_id", f"the id {_MEMBER_ID_RESERVED} is reserved"))
        return ""
    if given is None and not event_type:
        return ""
    return _id(fields, "member_id", "", errors)


def _occurred_at(fields: _Fields, now: datetime, errors: _Errors) -> datetime:
    """Read the instant of the event and hold it against the clock (rules 1.2)."""
    text = fields.get("occurred_at")
    if type(text) is not str:
        errors.append(_absent_or_wrong(fields, "occurred_at", "", "an RFC 3339 instant with an offset"))
        return now
    try:
        occurred_at = parse_instant(text)
    except ValueError as error:
        errors.append(FieldError("/occurred_at", "invalid_instant", str(error)))
        return now
    if occurred_at - now > AHEAD_MAX:
        errors.append(FieldError("/occurred_at", "occurred_in_future", "is more than 5 minutes in the future"))
    elif occurred_at < OCCURRED_AT_MIN:
        errors.append(FieldError("/occurred_at", "out_of_range", "must not be before 1970-01-01T00:00:00Z"))
    return occurred_at


def _data(fields: _Fields, event_type: str, errors: _Errors) -> _Fields | None:
    """Find the event's data, an empty object where it may be left out."""
    given = fields.get("data")
    if given is None and event_type in _DATA_OPTIONAL:
        return {}
    if "data" not in fields:
        errors.append(FieldError("/data", "missing", "is required"))
        return None
    return _object(given, "/data", errors)


# --- one reader a type --------------------------------------------------------------------------------------


def _read_nothing(data: _Fields, reading: _Reading) -> _Fields:
    """Read a type that carries no data."""
    _name_unknown(data, frozenset(), "/data", reading.errors)
    return {}


def _reader_of_ids(*names: str) -> _Reader:
    """Make the reader of a type whose data is nothing but these ids."""
    known = frozenset(names)

    def read(data: _Fields, reading: _Reading) -> _Fields:
        errors = reading.errors
        if not data.keys() <= known:
            _name_unknown(data, known, "/data", errors)
        return {name: _id(data, name, "/data", errors) for name in names}

    return read


def _read_member(data: _Fields, reading: _Reading) -> _Fields:
    """Read `member.registered` and `member.updated`: each field is optional."""
    errors = reading.errors
    _name_unknown(data, _MEMBER_FIELDS, "/data", errors)
    read: _Fields = {}
    for name in ("registered_on", "birthday"):
        if name in data:
            read[name] = _past_day(data, name, reading)
    if "country" in data:
        read["country"] = _choice(data, "country", "/data", _COUNTRIES, "invalid_value", errors)
    return read


def _read_order(data: _Fields, reading: _Reading) -> _Fields:
    """Read `order.completed`."""
    errors = reading.errors
    if not data.keys() <= _ORDER_FIELDS:
        _name_unknown(data, _ORDER_FIELDS, "/data", errors)
    order_id = _id(data, "order_id", "/data", errors)
    currency = _currency(data, reading)
    lines = _lines(data, errors)
    return {
        "order_id": order_id,
        "currency": currency,
        "lines": [_order_line(line, f"/data/lines/{index}", currency, errors) for index, line in enumerate(lines)],
        "flags": _flags(data, errors) if "flags" in data else [],
    }


def _order_line(given: object, at: str, currency: str, errors: _Errors) -> _Fields:
    """Read one line of an order."""
    line = _object(given, at, errors)
    if line is None:
        return {}
    if not line.keys() <= _ORDER_LINE_FIELDS:
        _name_unknown(line, _ORDER_LINE_FIELDS, at, errors)
    return {
        "item_id": _id(line, "item_id", at, errors),
        "seller_id": _id(line, "seller_id", at, errors),
        "category": _category(line, at, errors),
        "unit_price": _money(line, "unit_price", at, currency, errors),
        "quantity": _whole(line, "quantity", at, QUANTITY_MAX, errors),
    }


def _read_refund(data: _Fields, reading: _Reading) -> _Fields:
    """Read `order.refunded`: the whole order, some units of it, or an amount - exactly one of them."""
    errors = reading.errors
    _name_unknown(data, _REFUND_FIELDS, "/data", errors)
    read: _Fields = {"order_id": _id(data, "order_id", "/data", errors)}
    ways = [way for way in ("full", "lines", "amount") if way in data]
    if not ways and "currency" not in data:
        errors.append(FieldError("/data", "missing", "one of full, lines, or amount with currency is required"))
    for way in ways[1:]:
        errors.append(FieldError(f"/data/{way}", "invalid_value", f"can't stand beside {ways[0]}"))
    if "full" in data:
        if data["full"] is not True:
            errors.append(FieldError("/data/full", "invalid_value", "must be true, or be left out"))
        read["full"] = True
    if "lines" in data:
        lines = enumerate(_lines(data, errors))
        read["lines"] = [_refund_line(line, f"/data/lines/{index}", errors) for index, line in lines]
    if "amount" in data or ("currency" in data and not ways):
        read["currency"] = _currency(data, reading)
        read["amount"] = _money(data, "amount", "/data", read["currency"], errors)
    elif "currency" in data:
        errors.append(FieldError("/data/currency", "unknown_field", f"can't stand beside {ways[0]}"))
    return read


def _refund_line(given: object, at: str, errors: _Errors) -> _Fields:
    """Read one line of a refund."""
    line = _object(given, at, errors)
    if line is None:
        return {}
    _name_unknown(line, _REFUND_LINE_FIELDS, at, errors)
    item_id = _id(line, "item_id", at, errors)
    return {"item_id": item_id, "quantity": _whole(line, "quantity", at, QUANTITY_MAX, errors)}


def _read_promotion(data: _Fields, reading: _Reading) -> _Fields:
    """Read `promotion.awarded`: 1 to 10,000 points, in a program that measures points (rules 1.5)."""
    errors = reading.errors
    _name_unknown(data, _PROMOTION_FIELDS, "/data", errors)
    return {
        "campaign_id": _id(data, "campaign_id", "/data", errors),
        "points": _whole(data, "points", "/data", PROMOTION_POINTS_MAX, errors),
        "program": _choice(data, "program", "/data", reading.programs.point_programs, "invalid_value", errors),
    }


def _read_violation(data: _Fields, reading: _Reading) -> _Fields:
    """Read `violation.confirmed` and `violation.overturned`."""
    errors = reading.errors
    _name_unknown(data, _VIOLATION_FIELDS, "/data", errors)
    case_id = _id(data, "case_id", "/data", errors)
    return {
        "case_id": case_id,
        "kind": _choice(data, "kind", "/data", _VIOLATION_KINDS, "invalid_value", errors),
    }


def _read_price(data: _Fields, reading: _Reading) -> _Fields:
    """Read `price.dropped`."""
    errors = reading.errors
    _name_unknown(data, _PRICE_FIELDS, "/data", errors)
    item_id = _id(data, "item_id", "/data", errors)
    currency = _currency(data, reading)
    return {
        "item_id": item_id,
        "old_price": _money(data, "old_price", "/data", currency, errors),
        "new_price": _money(data, "new_price", "/data", currency, errors),
        "currency": currency,
    }


_READERS: dict[str, _Reader] = {
    "member.registered": _read_member,
    "member.updated": _read_member,
    "order.completed": _read_order,
    "order.cancelled": _reader_of_ids("order_id"),
    "order.refunded": _read_refund,
    "order.flagged_fraudulent": _reader_of_ids("order_id"),
    "review.posted": _reader_of_ids("order_id", "item_id"),
    "visit.recorded": _read_nothing,
    "post.published": _reader_of_ids("post_id"),
    "promotion.awarded": _read_promotion,
    # The kind of a contribution is a word of the marketplace's own choosing, written like an id.
    "contribution.accepted": _reader_of_ids("contribution_id", "kind"),
    "violation.confirmed": _read_violation,
    "violation.overturned": _read_violation,
    "wishlist.item_added": _reader_of_ids("item_id"),
    "wishlist.item_removed": _reader_of_ids("item_id"),
    "cart.item_added": _reader_of_ids("item_id"),
    "cart.item_removed": _reader_of_ids("item_id"),
    "price.dropped": _read_price,
}
EVENT_TYPES = frozenset(_READERS)
_DATA_OPTIONAL = frozenset({"member.registered", "member.updated", "visit.recorded"})


# --- one function a kind of field ---------------------------------------------------------------------------


def _object(given: object, at: str, errors: _Errors) -> _Fields | None:
    """Take a JSON object; a key that stood twice in it is an error of its own."""
    if type(given) is dict:
        return given
    if isinstance(given, RepeatedKeys):
        errors.extend(_repeated(given, at))
        return given
    errors.append(FieldError(at, "invalid_type", "must be an object"))
    return None


def _id(fields: _Fields, name: str, at: str, errors: _Errors) -> str:
    """Read an id: rules 1.3."""
    value = fields.get(name)
    if type(value) is str:
        if _is_id(value):
            return value
        expected = "must be 1 to 64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit"
        errors.append(FieldError(f"{at}/{name}", "invalid_id", expected))
    else:
        errors.append(_absent_or_wrong(fields, name, at, "an id, as a string"))
    return ""


def _choice(
    fields: _Fields,
    name: str,
    at: str,
    known: frozenset[str] | dict[str, _Reader],
    code: str,
    errors: _Errors,
) -> str:
    """Read one of a closed list of words."""
    value = fields.get(name)
    if type(value) is str:
        if value in known:
            return value
        errors.append(FieldError(f"{at}/{name}", code, _expected_choice(known)))
    else:
        errors.append(_absent_or_wrong(fields, name, at, "a string"))
    return ""


def _whole(fields: _Fields, name: str, at: str, highest: int, errors: _Errors) -> int:
    """Read a whole number from 1 to `highest`; 1.0 and true are none."""
    value = fields.get(name)
    if type(value) is int:
        if 1 <= value <= highest:
            return value
        errors.append(FieldError(f"{at}/{name}", "out_of_range", f"must be from 1 to {highest}"))
    else:
        errors.append(_absent_or_wrong(fields, name, at, f"a whole number from 1 to {highest}"))
    return 0


def _money(fields: _Fields, name: str, at: str, currency: str, errors: _Errors) -> int:
    """Read an amount of money in a known currency, as minor units."""
    value = fields.get(name)
    if type(value) is not str:
        expected = "a decimal string, never a number"
        code = "invalid_money" if type(value) in (int, float) else "invalid_type"
        errors.append(_absent_or_wrong(fields, name, at, expected, code))
        return 0
    try:
        return parse_money(value, currency)
    except AmountRangeError as error:
        errors.append(FieldError(f"{at}/{name}", "out_of_range", str(error)))
    except ValueError as error:
        errors.append(FieldError(f"{at}/{name}", "invalid_money", str(error)))
    return 0


def _currency(data: _Fields, reading: _Reading) -> str:
    """Read the currency, which has to be that of the programs; return the one to read the amounts in.

    An order in another currency is wrong in that one field: its amounts are read in its own currency where
    that is known, so that "1200" in JPY is not named as well.
    """
    errors = reading.errors
    currency, ours = data.get("currency"), reading.programs.currency
    if currency == ours:
        return ours
    if type(currency) is not str:
        errors.append(_absent_or_wrong(data, "currency", "/data", "an ISO 4217 code"))
        return ours
    if not _is_currency_code(currency):
        errors.append(FieldError("/data/currency", "invalid_value", "must be an ISO 4217 code"))
        return ours
    errors.append(FieldError("/data/currency", "currency_mismatch", f"must be {ours}"))
    return currency if currency in CURRENCIES else ours


def _category(line: _Fields, at: str, errors: _Errors) -> str | None:
    """Read the category of a line: any 1 to 64 printable characters, compared as they stand; null is none.

    Printable is what Python calls so: no control characters, no surrogates, no blanks other than the space.
    """
    value = line.get("category")
    if value is None:
        return None
    if type(value) is not str:
        errors.append(_absent_or_wrong(line, "category", at, "a string"))
    elif 1 <= len(value) <= CATEGORY_CHARS_MAX and value.isprintable():
        return value
    else:
        expected = f"must be 1 to {CATEGORY_CHARS_MAX} printable characters"
        errors.append(FieldError(f"{at}/category", "invalid_value", expected))
    return None


def _lines(data: _Fields, errors: _Errors) -> list[object]:
    """Find the lines of an order or a refund; those of a list that is too long are not looked at."""
    lines = data.get("lines")
    if type(lines) is not list:
        errors.append(_absent_or_wrong(data, "lines", "/data", f"a list of 1 to {LINES_MAX} lines"))
        return []
    if not lines:
        errors.append(FieldError("/data/lines", "out_of_range", "must hold at least one line"))
    elif len(lines) > LINES_MAX:
        errors.append(FieldError("/data/lines", "too_many", f"must hold at most {LINES_MAX} lines"))
        return []
    return lines


def _flags(data: _Fields, errors: _Errors) -> list[str]:
    """Read the flags of an order, each at most once; sorted, since their order says nothing."""
    flags = data["flags"]
    if flags is None:
        return []
    if type(flags) is not list:
        errors.append(FieldError("/data/flags", "invalid_type", "must be a list of flags"))
        return []
    if len(flags) > LINES_MAX:
        errors.append(FieldError("/data/flags", "too_many", f"must hold at most {len(_FLAGS)} flags"))
        return []
    read: set[str] = set()
    for index, flag in enumerate(flags):
        if type(flag) is not str:
            errors.append(FieldError(f"/data/flags/{index}", "invalid_type", "must be a string"))
        elif flag not in _FLAGS:
            errors.append(FieldError(f"/data/flags/{index}", "invalid_value", _expected_choice(_FLAGS)))
        elif flag in read:
            errors.append(FieldError(f"/data/flags/{index}", "invalid_value", "stands in the list already"))
        else:
            read.add(flag)
    return sorted(read)


def _past_day(data: _Fields, name: str, reading: _Reading) -> str:
    """Read a day that is not after today in UTC."""
    errors = reading.errors
    text = data[name]
    if type(text) is not str:
        errors.append(_absent_or_wrong(data, name, "/data", "a day, such as 2026-11-22"))
        return ""
    try:
        day = parse_day(text)
    except ValueError as error:
        errors.append(FieldError(f"/data/{name}", "invalid_value", str(error)))
        return ""
    if day > reading.now.astimezone(UTC).date():
        errors.append(FieldError(f"/data/{name}", "out_of_range", "must not be in the future"))
    return text


# --- naming what is wrong -----------------------------------------------------------------------------------


def _absent_or_wrong(fields: _Fields, name: str, at: str, expected: str, code: str = "invalid_type") -> FieldError:
    """Name a field that is not there, or that holds another type than expected."""
    if name not in fields:
        return FieldError(f"{at}/{name}", "missing", f"is required: {expected}")
    return FieldError(f"{at}/{name}", code, f"must be {expected}")


def _name_unknown(fields: _Fields, known: frozenset[str], at: str, errors: _Errors) -> None:
    """Name every field that has no business here."""
    for name in fields:
        if name not in known:
            errors.append(
                FieldError(f"{at}/{pointer_token(str(name))}", "unknown_field", "is not a field of this object")
            )


def _repeated(fields: RepeatedKeys, at: str) -> _Errors:
    """Name every key that stood more than once."""
    return [
        FieldError(f"{at}/{pointer_token(str(name))}", "duplicate_key", "stands more than once in this object")
        for name in fields.repeated
    ]


def _expected_choice(known: frozenset[str] | dict[str, _Reader]) -> str:
    """Say what may stand there, in so many words where the list is short."""
    if known is _COUNTRIES:
        return "must be an ISO 3166-1 alpha-2 code in capitals, such as DE"
    return f"must be one of {', '.join(sorted(known))}"


def _bounded(errors: _Errors) -> _Errors:
    """Keep an answer to a bounded size; what is left out is at least counted."""
    if len(errors) <= FIELD_ERRORS_MAX:
        return errors
    rest = len(errors) - FIELD_ERRORS_MAX
    return [*errors[:FIELD_ERRORS_MAX], FieldError("", "too_many", f"{rest} more fields are wrong")]


# --- writing and decoding -----------------------------------------------------------------------------------


def _wire_data(data: _Fields) -> _Fields:
    """Write normalised data back: money as strings, and nothing where nothing was given."""
    wire = dict(data)
    currency = data.get("currency", "")
    for name in ("amount", "old_price", "new_price"):
        if name in data:
            wire[name] = format_money(data[name], currency)
    if "flags" in data:
        wire["lines"] = [_wire_line(line, currency) for line in data["lines"]]
        if not data["flags"]:
            del wire["flags"]
    return wire


def _wire_line(line: _Fields, currency: str) -> _Fields:
    """Write one line of an order."""
    wire = {**line, "unit_price": format_money(line["unit_price"], currency)}
    if line["category"] is None:
        del wire["category"]
    return wire


def _invalid_json(detail: str) -> InvalidInput:
    return InvalidInput([FieldError("", "invalid_json", detail)])


class _NumberError(ValueError):
    """A number that JSON does not have, or that no program can hold."""


def _unique_or_kept(pairs: list[tuple[str, Any]]) -> _Fields:
    """Build an object; one with repeated keys says so."""
    fields = dict(pairs)
    if len(fields) == len(pairs):
        return fields
    kept = RepeatedKeys(fields)
    names = [name for name, _ in pairs]
    repeated = set(names)
    for name in fields:
        names.remove(name)
    kept.repeated = tuple(sorted(repeated.intersection(names)))
    return kept


def _unique(pairs: list[tuple[str, Any]]) -> _Fields:
    """Build an object; repeated keys are refused, since the path to them is not known here."""
    fields = _unique_or_kept(pairs)
    if isinstance(fields, RepeatedKeys):
        raise InvalidInput(_repeated(fields, ""))
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
