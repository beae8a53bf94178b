"""Activity events (rules 1.3): reading, checking and writing what the marketplace says about its members.

Checked by hand rather than by a library, since every event passes here twice (at the door and before posting)
and a check by hand costs a few microseconds. Each type of event has one reader; `_READERS` names them all. A
reader takes `data` as it came, appends a FieldError for each field at fault, and returns the normalised data,
which counts only if nothing was appended. So every bad field is named, not only the first.

`category`, `flags` and a `data` that holds nothing may be null as well as left out. The personal data of a
member may not: there, null could as well be meant as "forget it".
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Protocol

from club_rules.errors import FieldError, InvalidInput
from club_rules.fields import (
    Errors,
    Fields,
    absent_or_wrong,
    canonical,
    expected_choice,
    name_unknown,
    read_choice,
    read_currency,
    read_id,
    read_money,
    read_object,
    read_whole,
)
from club_rules.money import format_money
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


class _Reading:
    """What is at hand while one event is read: the errors so far, and what to judge by."""

    __slots__ = ("errors", "now", "programs")

    def __init__(self, now: datetime, programs: ProgramFacts) -> None:
        self.errors: Errors = []
        self.now = now
        self.programs = programs


_Reader = Callable[[Fields, _Reading], Fields]


def parse_event(raw: object, *, now: datetime, programs: ProgramFacts) -> ActivityEvent:
    """Check one activity event, as decoded from JSON, against rules 1.3, and normalise it.

    `now` is the time of the invocation (aware): what occurred more than five minutes after it is refused, and
    days are judged by its date in UTC. Raises InvalidInput, which names every field at fault by a JSON
    pointer relative to the event (beyond 3,000 the rest is only counted); nothing else, whatever `raw` is.
    """
    reading = _Reading(now, programs)
    errors = reading.errors
    fields = read_object(raw, "", errors)
    if fields is None:
        raise InvalidInput(errors)
    if not fields.keys() <= _ENVELOPE_FIELDS:
        name_unknown(fields, _ENVELOPE_FIELDS, "", errors)
    event_id = read_id(fields, "event_id", "", errors)
    event_type = read_choice(fields, "type", "", _READERS, "unknown_type", errors)
    member_id = read_member_id(fields, event_type, errors)
    occurred_at = _occurred_at(fields, now, errors)
    data: Fields = {}
    if event_type:
        given = _data(fields, event_type, errors)
        if given is not None:
            data = _READERS[event_type](given, reading)
    if errors:
        raise InvalidInput(errors)
    content = canonical([event_type, member_id, format_instant(occurred_at), data])
    digest = sha256(content.encode()).hexdigest()
    return ActivityEvent(event_id, event_type, member_id, occurred_at, data, digest)


def wire_event(event: ActivityEvent) -> dict[str, Any]:
    """Write an event as it stands on the wire: `parse_event` of the result gives an equal event."""
    return {
        "event_id": event.event_id,
        "type": event.type,
        "member_id": event.member_id or None,
        "occurred_at": format_instant(event.occurred_at),
        "data": wire_data(event.data),
    }


# --- the envelope -------------------------------------------------------------------------------------------


def read_member_id(fields: Fields, event_type: str, errors: Errors) -> str:
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
    return read_id(fields, "member_id", "", errors)


def _occurred_at(fields: Fields, now: datetime, errors: Errors) -> datetime:
    """Read the instant of the event and hold it against the clock (rules 1.2)."""
    text = fields.get("occurred_at")
    if type(text) is not str:
        errors.append(absent_or_wrong(fields, "occurred_at", "", "an RFC 3339 instant with an offset"))
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


def _data(fields: Fields, event_type: str, errors: Errors) -> Fields | None:
    """Find the event's data, an empty object where it may be left out."""
    given = fields.get("data")
    if given is None and event_type in _DATA_OPTIONAL:
        return {}
    if "data" not in fields:
        errors.append(FieldError("/data", "missing", "is required"))
        return None
    return read_object(given, "/data", errors)


# --- one reader a type --------------------------------------------------------------------------------------


def _read_nothing(data: Fields, reading: _Reading) -> Fields:
    """Read a type that carries no data."""
    name_unknown(data, frozenset(), "/data", reading.errors)
    return {}


def _reader_of_ids(*names: str) -> _Reader:
    """Make the reader of a type whose data is nothing but these ids."""
    known = frozenset(names)

    def read(data: Fields, reading: _Reading) -> Fields:
        errors = reading.errors
        if not data.keys() <= known:
            name_unknown(data, known, "/data", errors)
        return {name: read_id(data, name, "/data", errors) for name in names}

    return read


def _read_member(data: Fields, reading: _Reading) -> Fields:
    """Read `member.registered` and `member.updated`: each field is optional."""
    errors = reading.errors
    name_unknown(data, _MEMBER_FIELDS, "/data", errors)
    read: Fields = {}
    for name in ("registered_on", "birthday"):
        if name in data:
            read[name] = _past_day(data, name, reading)
    if "country" in data:
        expected = "must be an ISO 3166-1 alpha-2 code in capitals, such as DE"
        read["country"] = read_choice(data, "country", "/data", _COUNTRIES, "invalid_value", errors, expected)
    return read


def _read_order(data: Fields, reading: _Reading) -> Fields:
    """Read `order.completed`."""
    errors = reading.errors
    if not data.keys() <= _ORDER_FIELDS:
        name_unknown(data, _ORDER_FIELDS, "/data", errors)
    order_id = read_id(data, "order_id", "/data", errors)
    currency = read_currency(data, "/data", reading.programs.currency, reading.errors)
    lines = _lines(data, errors)
    return {
        "order_id": order_id,
        "currency": currency,
        "lines": [_order_line(line, f"/data/lines/{index}", currency, errors) for index, line in enumerate(lines)],
        "flags": _flags(data, errors) if "flags" in data else [],
    }


def _order_line(given: object, at: str, currency: str, errors: Errors) -> Fields:
    """Read one line of an order."""
    line = read_object(given, at, errors)
    if line is None:
        return {}
    if not line.keys() <= _ORDER_LINE_FIELDS:
        name_unknown(line, _ORDER_LINE_FIELDS, at, errors)
    return {
        "item_id": read_id(line, "item_id", at, errors),
        "seller_id": read_id(line, "seller_id", at, errors),
        "category": _category(line, at, errors),
        "unit_price": read_money(line, "unit_price", at, currency, errors),
        "quantity": read_whole(line, "quantity", at, QUANTITY_MAX, errors),
    }


def _read_refund(data: Fields, reading: _Reading) -> Fields:
    """Read `order.refunded`: the whole order, some units of it, or an amount - exactly one of them."""
    errors = reading.errors
    name_unknown(data, _REFUND_FIELDS, "/data", errors)
    read: Fields = {"order_id": read_id(data, "order_id", "/data", errors)}
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
        read["currency"] = read_currency(data, "/data", reading.programs.currency, reading.errors)
        read["amount"] = read_money(data, "amount", "/data", read["currency"], errors)
    elif "currency" in data:
        errors.append(FieldError("/data/currency", "unknown_field", f"can't stand beside {ways[0]}"))
    return read


def _refund_line(given: object, at: str, errors: Errors) -> Fields:
    """Read one line of a refund."""
    line = read_object(given, at, errors)
    if line is None:
        return {}
    name_unknown(line, _REFUND_LINE_FIELDS, at, errors)
    item_id = read_id(line, "item_id", at, errors)
    return {"item_id": item_id, "quantity": read_whole(line, "quantity", at, QUANTITY_MAX, errors)}


def _read_promotion(data: Fields, reading: _Reading) -> Fields:
    """Read `promotion.awarded`: 1 to 10,000 points, in a program that measures points (rules 1.5)."""
    errors = reading.errors
    name_unknown(data, _PROMOTION_FIELDS, "/data", errors)
    return {
        "campaign_id": read_id(data, "campaign_id", "/data", errors),
        "points": read_whole(data, "points", "/data", PROMOTION_POINTS_MAX, errors),
        "program": read_choice(data, "program", "/data", reading.programs.point_programs, "invalid_value", errors),
    }


def _read_violation(data: Fields, reading: _Reading) -> Fields:
    """Read `violation.confirmed` and `violation.overturned`."""
    errors = reading.errors
    name_unknown(data, _VIOLATION_FIELDS, "/data", errors)
    case_id = read_id(data, "case_id", "/data", errors)
    return {
        "case_id": case_id,
        "kind": read_choice(data, "kind", "/data", _VIOLATION_KINDS, "invalid_value", errors),
    }


def _read_price(data: Fields, reading: _Reading) -> Fields:
    """Read `price.dropped`."""
    errors = reading.errors
    name_unknown(data, _PRICE_FIELDS, "/data", errors)
    item_id = read_id(data, "item_id", "/data", errors)
    currency = read_currency(data, "/data", reading.programs.currency, reading.errors)
    return {
        "item_id": item_id,
        "old_price": read_money(data, "old_price", "/data", currency, errors),
        "new_price": read_money(data, "new_price", "/data", currency, errors),
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


def _category(line: Fields, at: str, errors: Errors) -> str | None:
    """Read the category of a line: any 1 to 64 printable characters, compared as they stand; null is none.

    Printable is what Python calls so: no control characters, no surrogates, no blanks other than the space.
    """
    value = line.get("category")
    if value is None:
        return None
    if type(value) is not str:
        errors.append(absent_or_wrong(line, "category", at, "a string"))
    elif 1 <= len(value) <= CATEGORY_CHARS_MAX and value.isprintable():
        return value
    else:
        expected = f"must be 1 to {CATEGORY_CHARS_MAX} printable characters"
        errors.append(FieldError(f"{at}/category", "invalid_value", expected))
    return None


def _lines(data: Fields, errors: Errors) -> list[object]:
    """Find the lines of an order or a refund; those of a list that is too long are not looked at."""
    lines = data.get("lines")
    if type(lines) is not list:
        errors.append(absent_or_wrong(data, "lines", "/data", f"a list of 1 to {LINES_MAX} lines"))
        return []
    if not lines:
        errors.append(FieldError("/data/lines", "out_of_range", "must hold at least one line"))
    elif len(lines) > LINES_MAX:
        errors.append(FieldError("/data/lines", "too_many", f"must hold at most {LINES_MAX} lines"))
        return []
    return lines


def _flags(data: Fields, errors: Errors) -> list[str]:
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
            errors.append(FieldError(f"/data/flags/{index}", "invalid_value", expected_choice(_FLAGS)))
        elif flag in read:
            errors.append(FieldError(f"/data/flags/{index}", "invalid_value", "stands in the list already"))
        else:
            read.add(flag)
    return sorted(read)


def _past_day(data: Fields, name: str, reading: _Reading) -> str:
    """Read a day that is not after today in UTC."""
    errors = reading.errors
    text = data[name]
    if type(text) is not str:
        errors.append(absent_or_wrong(data, name, "/data", "a day, such as 2026-11-22"))
        return ""
    try:
        day = parse_day(text)
    except ValueError as error:
        errors.append(FieldError(f"/data/{name}", "invalid_value", str(error)))
        return ""
    if day > reading.now.astimezone(UTC).date():
        errors.append(FieldError(f"/data/{name}", "out_of_range", "must not be in the future"))
    return text


# --- writing and decoding -----------------------------------------------------------------------------------


def wire_data(data: Fields) -> Fields:
    """Write an event's normalised data as it stands on the wire: money as strings, nothing where nothing was given."""
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


def _wire_line(line: Fields, currency: str) -> Fields:
    """Write one line of an order."""
    wire = {**line, "unit_price": format_money(line["unit_price"], currency)}
    if line["category"] is None:
        del wire["category"]
    return wire
