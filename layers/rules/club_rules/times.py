"""Instants and days as they stand on the wire (rules 1.2): RFC 3339 with an offset, and calendar days."""

import re
from datetime import UTC, date, datetime

# `fromisoformat` alone also takes week dates, basic forms, a comma and any separator. The classes are spelt
# out since `\d` would take other scripts' digits.
_INSTANT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt](?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?"
    r"(?:[Zz]|[+-](?:[01][0-9]|2[0-3]):[0-5][0-9])"
).fullmatch
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}").fullmatch


def parse_instant(text: str) -> datetime:
    """Read an RFC 3339 instant, such as "2026-11-22T10:15:00Z", as an aware datetime in UTC.

    The offset is required. Fractions beyond microseconds are cut off. A leap second is refused: it has no
    datetime. Raises ValueError for anything else, also for what leaves the years 1 to 9999 in UTC.
    """
    if _INSTANT(text) is None:
        raise ValueError("must be an RFC 3339 instant with an offset, such as 2026-11-22T10:15:00Z")
    instant = datetime.fromisoformat(text.upper())
    if instant.tzinfo is UTC:
        return instant
    try:
        return instant.astimezone(UTC)
    except OverflowError:
        raise ValueError("must lie in the years 1 to 9999 in UTC") from None


def format_instant(instant: datetime) -> str:
    """Write an aware datetime as RFC 3339 in UTC; a fraction is shown only where there is one.

    Raises ValueError for a naive datetime, since nobody knows when that is.
    """
    if instant.tzinfo is not UTC:
        if instant.utcoffset() is None:
            raise ValueError("an instant without an offset is no instant")
        instant = instant.astimezone(UTC)
    text = instant.isoformat()[:-6]
    return f"{text.rstrip('0')}Z" if instant.microsecond else f"{text}Z"


def parse_day(text: str) -> date:
    """Read a calendar day, "2026-11-22".

    Raises ValueError for another form and for a day that does not exist.
    """
    if _DAY(text) is None:
        raise ValueError("must be a day, such as 2026-11-22")
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError("must be a day that the calendar has") from None
