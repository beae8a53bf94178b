"""What a read is asked for, checked as a whole: every parameter at fault is named, and the table is not asked.

Days are those of the program's time zone. A cursor is opaque and checked: it goes on with the very list that gave it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from club_ledger.items import is_made_key
from club_rules.account import Entry, JournalRow, is_settling
from club_rules.errors import FieldError, InvalidInput, pointer_token
from club_rules.fields import is_id
from club_rules.outlook import DAYS_AT_MOST
from club_rules.programs import Programs
from club_rules.times import parse_day, parse_instant

LIMIT_AT_MOST = 100
STATEMENT_LIMIT, DECISIONS_LIMIT, EXPORT_LIMIT = 50, 20, 100
OUTLOOK_DAYS = 90
EXPLAINED_DAYS = 30
"""Without ``from``, an explanation looks back so many days."""

CURSOR_CHARS_AT_MOST = 256
"""No cursor of ours is longer."""

_IS_PLACE: dict[str, Callable[[str], object]] = {
    "watched": is_id,
    "decisions": is_made_key,
    "entries": re.compile(r"[1-9][0-9]{0,11}").fullmatch,
}
"""What each list of an export can go on behind. Who makes up a cursor must not steer a query with it."""

EXPORTED = tuple(_IS_PLACE)
"""The lists of an export, in the order in which its pages go through them."""

PARAMETERS = {
    "statement": ("program", "from", "to", "limit", "cursor"),
    "explanation": ("program", "from", "to"),
    "outlook": ("program", "days"),
    "decisions": ("limit", "cursor"),
    "export": ("limit", "cursor"),
}
"""The parameters of each read that takes any."""


class Bound(NamedTuple):
    """One end of a span. An instant is its own ``start`` and ``end``; a day ends where the next one begins."""

    start: datetime
    end: datetime


class StatementQuery:
    """The parameters of a statement. An instant ``from`` is in the span, ``to`` is not; a day is, wholly, as either."""

    def __init__(self, programs: Programs, member_id: str, query: Mapping[str, str]) -> None:
        """Raises ``InvalidInput`` naming every parameter at fault."""
        errors = unknown(query, "statement")
        self._member_id = member_id
        self.program = _program(query, programs, errors)
        start, end = _span(query, programs, self.program, errors)
        self._from = None if start is None else start.start
        self._to = None if end is None else end.end
        self.limit = _whole(query, "limit", STATEMENT_LIMIT, LIMIT_AT_MOST, errors)
        self.before: int | None = None
        if "cursor" in query:
            before = _read_cursor(query["cursor"], "statement", member_id, self.program)
            self.before = before if type(before) is int and before > 0 else None
            if self.before is None:
                errors.append(_CURSOR_FAULT)
        if errors:
            raise InvalidInput(errors)

    def may_show(self, row: JournalRow) -> bool:
        """Whether the row's entry may belong on this statement, as far as its day tells."""
        return (self._from is None or row.posted >= _day(self._from)) and (
            self._to is None or row.posted <= _day(self._to)
        )

    def is_past(self, row: JournalRow) -> bool:
        """Whether neither this row's entry nor any with a lower number can belong on this statement."""
        return self._from is not None and row.posted < _day(self._from) and not is_settling(row.key)

    def shows(self, entry: Entry) -> bool:
        """Whether the entry belongs on this statement."""
        if self.program not in entry["parts"] or (self.before is not None and entry["seq"] >= self.before):
            return False
        if self._from is None and self._to is None:
            return True
        posted_at = parse_instant(entry["posted_at"])
        return (self._from is None or posted_at >= self._from) and (self._to is None or posted_at < self._to)

    def cursor(self, before: int) -> str:
        """An opaque cursor that goes on with the entries numbered below ``before``."""
        return make_cursor(before, "statement", self._member_id, self.program)


class ExplanationQuery:
    """The two moments of an explanation: what was posted after ``after``, up to and including ``until``.

    An instant stands for itself, so that the summary as it was at either is the opening or the closing; a day stands
    for the whole of it, as ``from`` and as ``to``. ``opened_at`` and ``closed_at`` are what is shown of the two.
    """

    def __init__(self, programs: Programs, moment: datetime, query: Mapping[str, str]) -> None:
        """``moment``: the UTC instant of the request. Raises ``InvalidInput`` naming every parameter at fault."""
        errors = unknown(query, "explanation")
        self.program = _program(query, programs, errors)
        start, end = _span(query, programs, self.program, errors)
        if start is None:
            start = Bound(*[_before(moment if end is None else end.start, timedelta(days=EXPLAINED_DAYS))] * 2)
        end = end or Bound(moment, moment)
        errors += [
            FieldError(f"/query/{name}", "in_future", "lies in the future: nothing is known of it yet")
            for name, bound in (("from", start), ("to", end))
            if bound.start > moment
        ]
        if errors:
            raise InvalidInput(errors)
        tick = timedelta(microseconds=1)
        self.opened_at = start.start
        self.after = start.start if start.start == start.end else _before(start.start, tick)
        self.until = end.end if end.start == end.end else min(end.end - tick, moment)
        self.closed_at = min(end.end, moment)


class OutlookQuery:
    """The parameters of an outlook."""

    def __init__(self, programs: Programs, query: Mapping[str, str]) -> None:
        """Raises ``InvalidInput`` naming every parameter at fault."""
        errors = unknown(query, "outlook")
        self.program = _program(query, programs, errors)
        self.days = _whole(query, "days", OUTLOOK_DAYS, DAYS_AT_MOST, errors)
        if errors:
            raise InvalidInput(errors)


class DecisionsQuery:
    """The parameters of a list of decisions."""

    def __init__(self, member_id: str, query: Mapping[str, str]) -> None:
        """Raises ``InvalidInput`` naming every parameter at fault."""
        errors = unknown(query, "decisions")
        self._member_id = member_id
        self.limit = _whole(query, "limit", DECISIONS_LIMIT, LIMIT_AT_MOST, errors)
        self.before: str | None = None
        if "cursor" in query:
            before = _read_cursor(query["cursor"], "decisions", member_id)
            self.before = before if isinstance(before, str) and is_made_key(before) else None
            if self.before is None:
                errors.append(_CURSOR_FAULT)
        if errors:
            raise InvalidInput(errors)

    def cursor(self, before: str) -> str:
        """An opaque cursor that goes on with the decisions whose keys lie before ``before``."""
        return make_cursor(before, "decisions", self._member_id)


class ExportQuery:
    """The parameters of an export. ``place``: the list to go on with, and what of it was the last to be given.

    It is ``None`` for a first page, which has what is held once, beside the lists.
    """

    def __init__(self, member_id: str, query: Mapping[str, str]) -> None:
        """Raises ``InvalidInput`` naming every parameter at fault."""
        errors = unknown(query, "export")
        self._member_id = member_id
        self.limit = _whole(query, "limit", EXPORT_LIMIT, LIMIT_AT_MOST, errors)
        self.place: tuple[str, str] | None = None
        if "cursor" in query:
            position = _read_cursor(query["cursor"], "export", member_id)
            name, _, last = position.partition(":") if isinstance(position, str) else ("", "", "")
            self.place = (name, last) if name in _IS_PLACE and _IS_PLACE[name](last) else None
            if self.place is None:
                errors.append(_CURSOR_FAULT)
        if errors:
            raise InvalidInput(errors)

    def cursor(self, name: str, last: str) -> str:
        """An opaque cursor that goes on with the list ``name`` behind ``last``."""
        return make_cursor(f"{name}:{last}", "export", self._member_id)


_CURSOR_FAULT = FieldError("/query/cursor", "invalid_cursor", "expected the cursor of an earlier answer, untouched")


def unknown(query: Iterable[str], read: str) -> list[FieldError]:
    """Every parameter that the read does not know."""
    return [
        FieldError(f"/query/{pointer_token(name)}", "unknown_field", "is not known here")
        for name in query
        if name not in PARAMETERS[read]
    ]


def make_cursor(position: int | str, *of: str) -> str:
    """An opaque cursor at ``position`` in the list that ``of`` names."""
    content = json.dumps([position, _check(position, of)])
    return base64.urlsafe_b64encode(content.encode()).decode().rstrip("=")


def _read_cursor(text: str, *of: str) -> int | str | None:
    """The position in a cursor of this list; ``None`` for any other text."""
    if len(text) > CURSOR_CHARS_AT_MOST:
        return None
    try:
        padded = text + "=" * (-len(text) % 4)
        position, check = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (ValueError, TypeError, binascii.Error, RecursionError):
        return None
    if type(position) not in (int, str) or check != _check(position, of) or text != make_cursor(position, *of):
        return None
    found: int | str = position
    return found


def _check(position: int | str, of: tuple[str, ...]) -> str:
    """Ties a cursor to its list. It guards against mistakes, not against malice: a forged one opens nothing else.

    Whoever reads a position says therefore what it may look like.
    """
    return hashlib.sha256("/".join([*of, str(position)]).encode("utf-8", "surrogatepass")).hexdigest()[:16]


def _before(instant: datetime, span: timedelta) -> datetime:
    """``span`` before ``instant``, or the first instant that there is."""
    earliest = datetime.min.replace(tzinfo=UTC)
    return instant - span if instant - earliest > span else earliest


def _day(instant: datetime) -> str:
    return instant.date().isoformat()


def _program(query: Mapping[str, str], programs: Programs, errors: list[FieldError]) -> str:
    program = query.get("program", "")
    if program not in programs.ids:
        expected = f"expected one of {', '.join(programs.ids)}"
        errors.append(FieldError("/query/program", "invalid_value" if program else "missing", expected))
    return program


def _span(
    query: Mapping[str, str], programs: Programs, program: str, errors: list[FieldError]
) -> tuple[Bound | None, Bound | None]:
    """``from`` and ``to``, where they are given."""
    start = _bound(query, "from", programs, program, errors)
    end = _bound(query, "to", programs, program, errors)
    if start and end and (start.start > end.end or (end.start < end.end == start.start)):
        errors += [
            FieldError("/query/from", "from_after_to", "lies after to"),
            FieldError("/query/to", "from_after_to", "lies before from"),
        ]
    return start, end


def _bound(
    query: Mapping[str, str], name: str, programs: Programs, program: str, errors: list[FieldError]
) -> Bound | None:
    """An instant, or a day in the program's time zone."""
    text = query.get(name)
    if text is None:
        return None
    try:
        if len(text) > 10:
            instant = parse_instant(text.replace(" ", "+"))  # a plus that was not encoded arrives as a space
            return Bound(instant, instant)
        day = parse_day(text).toordinal()
        if program not in programs.ids:
            return None
        start_of = programs.versions(program)[0].start_of
        return Bound(start_of(day), start_of(day + 1))
    except (ValueError, OverflowError):
        errors.append(FieldError(f"/query/{name}", "invalid_instant", "expected an RFC 3339 instant, or a day"))
        return None


def _whole(query: Mapping[str, str], name: str, default: int, at_most: int, errors: list[FieldError]) -> int:
    text = query.get(name, str(default))
    if text.isascii() and text.isdigit() and len(text) < 9 and 1 <= int(text) <= at_most:
        return int(text)
    errors.append(FieldError(f"/query/{name}", "out_of_range", f"expected a whole number from 1 to {at_most}"))
    return default
