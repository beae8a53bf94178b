"""CDNOW's log: all of it, and its usual 1/10 sample in another layout."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING

from local.logs.model import MAX_QUANTITY, Activity, Line, Log, in_order

if TYPE_CHECKING:
    from local.logs.files import Lines

# customer, in the sample also its number there, day, CDs, dollars
_ROW = re.compile(r"(\d{1,8})\s+(?:\d{1,8}\s+)?(\d{8})\s+(\d{1,7})\s+(\d{1,8})\.(\d\d)", re.ASCII)
_SAMPLE_ROW = re.compile(r"\s*\d{1,8}\s+\d{1,8}\s+\d{8}\s+\d{1,7}\s+\d{1,8}\.\d\d\s*", re.ASCII)
_NOTES = (
    "CDNOW names no order, item or seller: every row is an order of its own, of one item, from a seller of "
    "its own. So the cap on a seller's orders never bites, that on item units only in rows of over 10 CDs.",
    "CDNOW knows days, not times: purchases take place from noon UTC, one second apart.",
)


def starts_full(first: str) -> bool:
    """Whether all of CDNOW starts with this line."""
    return first.split() == ["customer_id", "date", "number_of_cds", "dollar_value"]


def starts_sample(first: str) -> bool:
    """Whether CDNOW's sample, which has no header, starts with this line."""
    return _SAMPLE_ROW.fullmatch(first) is not None


def read_full(lines: Lines) -> Log:
    """All of CDNOW: customer, day, number of CDs, dollars."""
    return _read(lines, "cdnow-full", "CDNOW, all purchases of the customers of early 1997", headings=1)


def read_sample(lines: Lines) -> Log:
    """The sample of CDNOW: customer, number of the customer in the sample, day, number of CDs, dollars."""
    return _read(lines, "cdnow-sample", "CDNOW, the 1/10 sample of the customers of early 1997", headings=0)


def _read(lines: Lines, name: str, title: str, headings: int) -> Log:
    purchases: dict[date, list[tuple[int, str, int, int]]] = defaultdict(list)
    rows = 0
    for number, text in enumerate(lines.text()):
        if number < headings:
            continue
        match = _ROW.fullmatch(text)
        if not match:
            raise lines.error(f"expected customer, day, number of CDs and dollars, not {text!r}")
        customer, day, cds, dollars, cents = match.groups()
        if not 1 <= int(cds) <= MAX_QUANTITY:
            raise lines.error(f"the number of CDs {cds} is not from 1 to {MAX_QUANTITY}")
        rows += 1
        purchases[_day(lines, day)].append((rows, f"cdnow-{customer}", int(cds), int(dollars + cents)))
    activities = in_order(
        _order(name, day, second, *purchase)
        for day, of_day in purchases.items()
        for second, purchase in enumerate(of_day)
    )
    return Log(name, title, rows, activities, notes=_NOTES)


def _day(lines: Lines, text: str) -> date:
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:]))
    except ValueError:
        raise lines.error(f"{text!r} is not a day (YYYYMMDD)") from None


def _order(name: str, day: date, second: int, row: int, member: str, cds: int, cents: int) -> Activity:
    order = f"{name}-{row}"
    at = datetime.combine(day, time(12), UTC) + timedelta(seconds=second)
    lines = tuple(
        Line(f"{order}:cds", quantity, unit, f"{order}:seller") for quantity, unit in split_amount(cents, cds)
    )
    return Activity(at, f"{order}:completed", "order.completed", member, order, lines)


def split_amount(cents: int, units: int) -> list[tuple[int, int]]:
    """A total of ``cents`` for ``units`` as one or two lines (quantity, unit price), the prices one cent
    apart.

    The log gives a row's total and no unit price; this keeps the total exact, and the units as equal as
    whole cents allow.
    """
    unit, dearer = divmod(cents, units)
    return [(quantity, price) for quantity, price in ((units - dearer, unit), (dearer, unit + 1)) if quantity]
