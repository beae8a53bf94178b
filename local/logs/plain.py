"""The documented plain CSV: a row is a line of an order or of a refund, or another event by itself."""

from __future__ import annotations

import re
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from local.logs.files import as_id, header
from local.logs.model import LINES_PER_ORDER, MAX_QUANTITY, Activity, Line, Log, in_order

if TYPE_CHECKING:
    from local.logs.files import Lines

COLUMNS = (
    "member_id", "occurred_at", "order_id", "item_id", "seller_id", "category", "unit_price", "quantity",
)  # fmt: skip
OPTIONAL_COLUMNS = ("type", "flags")
FLAGS = ("preorder", "prepaid", "gift", "preferential_shipping", "fraudulent")
# type: the columns that a row of it needs, and those that it may have; the others are empty
TYPES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "order.completed": (
        ("order_id", "item_id", "seller_id", "unit_price", "quantity"),
        ("category", "flags"),
    ),
    "order.cancelled": (("order_id",), ()),
    "order.refunded": (("order_id",), ("item_id", "quantity")),
    "order.flagged_fraudulent": (("order_id",), ()),
    "review.posted": (("order_id", "item_id"), ()),
    "visit.recorded": ((), ()),
}
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,63}", re.ASCII)
_IDS = ("member_id", "order_id", "item_id", "seller_id")


@dataclass(slots=True)
class _Event:
    """The rows that make one event; ``line`` is that of the first."""

    line: int
    at: datetime
    flags: tuple[str, ...]
    lines: list[Line] = field(default_factory=list)


_Events = dict[tuple[str, str, str, Hashable], _Event]


def starts(first: str) -> bool:
    """Whether the file's first line names all the columns."""
    return {name.strip().lower() for name in header(first)}.issuperset(COLUMNS)


def read(lines: Lines) -> Log:
    """The orders and other events of the rows; the number of an event's first line is its key."""
    rows = lines.rows()
    names = [name.strip().lower() for name in next(rows)]
    for name in names:
        if name not in COLUMNS + OPTIONAL_COLUMNS or names.count(name) > 1:
            raise lines.error(f"the column {name!r} is not known, or stands there twice")
    events: _Events = {}
    count = 0
    for row in rows:
        count += 1
        if len(row) != len(names):
            raise lines.error(f"{len(names)} columns were expected, {len(row)} found")
        _add(lines, {name: cell.strip() for name, cell in zip(names, row, strict=True)}, events)
    activities = in_order(
        Activity(event.at, f"csv:{event.line}", kind, member, order, tuple(event.lines), _extra(kind, event))
        for (kind, member, order, _), event in events.items()
    )
    return Log(as_id(PurePath(lines.name).stem), lines.name, count, activities)


def _add(lines: Lines, cells: dict[str, str], events: _Events) -> None:
    """Checks a row, and adds it to the event that it belongs to."""
    kind = cells.get("type") or "order.completed"
    _check_columns(lines, kind, cells)
    member, order, at = cells["member_id"], cells["order_id"], _instant(lines, cells["occurred_at"])
    flags = _flags(lines, cells.get("flags", ""))
    # The rows of an order are one event wherever they stand, those of a refund if they have the same time.
    key: Hashable = {"order.completed": None, "order.refunded": at}.get(kind, lines.number)
    event = events.setdefault((kind, member, order, key), _Event(lines.number, at, flags))
    if event.at != at or event.flags != flags:
        raise lines.error(f"order {order} has another occurred_at or other flags on line {event.line}")
    if kind == "order.refunded" and event.line != lines.number and not (cells["item_id"] and event.lines):
        raise lines.error(f"line {event.line} refunds the same order at the same time, and one of the two in full")
    if cells["item_id"]:
        if len(event.lines) == LINES_PER_ORDER:
            raise lines.error(f"an order has at most {LINES_PER_ORDER} lines")
        event.lines.append(_line(lines, kind, cells))


def _check_columns(lines: Lines, kind: str, cells: dict[str, str]) -> None:
    if kind not in TYPES:
        raise lines.error(f"the type {kind!r} is none of {', '.join(TYPES)}")
    needed, possible = TYPES[kind]
    if kind == "order.refunded" and (cells["item_id"] or cells["quantity"]):
        needed += possible  # the one without the other means nothing; without both the whole order is refunded
    for column in ("member_id", *needed):
        if not cells[column]:
            raise lines.error(f"{column} is missing")
    for column in (*COLUMNS[2:], "flags"):
        if cells.get(column) and column not in needed + possible:
            raise lines.error(f"{column} means nothing in a row of the type {kind}: leave it empty")
    for column in _IDS:
        if cells[column] and not _ID.fullmatch(cells[column]):
            raise lines.error(
                f"{column} {cells[column]!r} is not an id: 1 to 64 of A-Z a-z 0-9 . _ : - with no sign first"
            )
    if len(cells["category"]) > 64 or not cells["category"].isprintable():
        raise lines.error("the category is not 1 to 64 printable characters")
    if cells["member_id"] == "me":
        raise lines.error("the member id 'me' is reserved")


def _line(lines: Lines, kind: str, cells: dict[str, str]) -> Line:
    if kind == "review.posted":
        return Line(cells["item_id"], 1)
    quantity = _quantity(lines, cells["quantity"])
    if kind == "order.refunded":
        return Line(cells["item_id"], quantity)
    cents = _cents(lines, cells["unit_price"])
    return Line(cells["item_id"], quantity, cents, cells["seller_id"], cells["category"])


def _extra(kind: str, event: _Event) -> tuple[tuple[str, Any], ...]:
    if kind == "order.refunded" and not event.lines:
        return (("full", True),)
    return (("flags", list(event.flags)),) if event.flags else ()


def _instant(lines: Lines, text: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
        if at.tzinfo is not None:
            return at.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise lines.error(f"occurred_at {text!r} is not an instant with an offset, like 2026-11-22T10:15:00Z")


def _flags(lines: Lines, text: str) -> tuple[str, ...]:
    flags = tuple(sorted(set(text.split())))
    for flag in flags:
        if flag not in FLAGS:
            raise lines.error(f"the flag {flag!r} is none of {', '.join(FLAGS)}")
    return flags


def _quantity(lines: Lines, text: str) -> int:
    if not re.fullmatch(r"\d{1,7}", text, re.ASCII) or not 1 <= int(text) <= MAX_QUANTITY:
        raise lines.error(f"the quantity {text!r} is not a whole number from 1 to {MAX_QUANTITY}")
    return int(text)


def _cents(lines: Lines, text: str) -> int:
    match = re.fullmatch(r"(\d{1,9})\.(\d\d)", text, re.ASCII)
    if not match:
        raise lines.error(f"the unit_price {text!r} is not an amount with two decimals, like 12.50")
    return int(match[1] + match[2])
