"""UCI Online Retail (data set 352) and its successor of two years (502), saved as CSV."""

from __future__ import annotations

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from local.logs.files import as_id, header
from local.logs.model import LINES_PER_ORDER, MAX_CENTS, MAX_QUANTITY, Activity, Line, Log, in_order

if TYPE_CHECKING:
    from local.logs.files import Lines

# our name: the names that 352 and 502 give the column, without blanks and in small letters
_COLUMNS = {
    "invoice": ("invoiceno", "invoice"),
    "code": ("stockcode",),
    "description": ("description",),
    "quantity": ("quantity",),
    "date": ("invoicedate",),
    "price": ("unitprice", "price"),
    "customer": ("customerid",),
    "country": ("country",),
}
_DATES = ("%Y-%m-%d %H:%M:%S", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%m/%d/%Y %H:%M", "%m/%d/%y %H:%M")
# Charges, corrections, samples and vouchers stand among the goods, under codes like these.
_NOT_GOODS = re.compile(
    r"POST|DOT|M|D|S|B|C2|C3|BANK CHARGES|AMAZONFEE|CRUK|GIFT.*|ADJUST\d*|TEST\d*", re.ASCII | re.IGNORECASE
)
_SELLER = "uci-online-retail"
_ISO_3166 = {
    "Australia": "AU", "Austria": "AT", "Bahrain": "BH", "Belgium": "BE", "Bermuda": "BM", "Brazil": "BR",
    "Canada": "CA", "Cyprus": "CY", "Czech Republic": "CZ", "Denmark": "DK", "EIRE": "IE", "Finland": "FI",
    "France": "FR", "Germany": "DE", "Greece": "GR", "Hong Kong": "HK", "Iceland": "IS", "Israel": "IL",
    "Italy": "IT", "Japan": "JP", "Korea": "KR", "Lebanon": "LB", "Lithuania": "LT", "Malta": "MT",
    "Netherlands": "NL", "Nigeria": "NG", "Norway": "NO", "Poland": "PL", "Portugal": "PT", "RSA": "ZA",
    "Saudi Arabia": "SA", "Singapore": "SG", "Spain": "ES", "Sweden": "SE", "Switzerland": "CH",
    "Thailand": "TH", "USA": "US", "United Arab Emirates": "AE", "United Kingdom": "GB",
}  # fmt: skip
_NOTES = (
    "Amounts are pounds; the programs count dollars. They are taken as they stand, one pound as one dollar.",
    "It is one shop's log: all its goods have the same seller, so that the cap on a seller's orders bites.",
    "The log's times have no zone; they are taken as UTC.",
)


@dataclass(slots=True)
class _Invoice:
    number: str
    customer: str
    country: str
    at: datetime
    lines: list[Line] = field(default_factory=list)


class _Purchases:
    """What can still be cancelled: (customer, item) -> order and units left of each purchase, the latest
    last.
    """

    def __init__(self) -> None:
        self._open: dict[tuple[str, str], list[list[Any]]] = defaultdict(list)

    def add(self, customer: str, order: str, line: Line) -> None:
        self._open[customer, line.item_id].append([order, line.quantity])

    def take(self, customer: str, line: Line) -> tuple[list[tuple[str, int]], int]:
        """Which orders a cancelled line takes units back from, and how many units found none to take from.

        The log doesn't say which purchase a cancellation undoes: it is taken from the customer's latest
        earlier one of the item, as far as that has units left, then from the one before.
        """
        purchases, wanted = self._open[customer, line.item_id], line.quantity
        taken: list[tuple[str, int]] = []
        while wanted and purchases:
            order, left = purchases[-1]
            units = min(wanted, left)
            taken.append((order, units))
            wanted -= units
            purchases[-1][1] -= units
            if units == left:
                purchases.pop()
        return taken, wanted


def starts(first: str) -> bool:
    """Whether the file's first line names the columns of 352 or 502."""
    return _positions(header(first)) is not None


def read(lines: Lines) -> Log:
    """An order for each invoice, a refund for each order that a cancellation touches, and who registered
    when.
    """
    invoices, rows, skipped = _invoices(lines)
    activities, unmatched = _activities(invoices)
    notes = list(_NOTES)
    if unmatched:
        notes.append(
            f"Cancelled lines that match no earlier purchase in the log: {unmatched}. They are sent as refunds of "
            "an order that the ledger doesn't hold, and it parks them."
        )
    return Log(
        name="uci-online-retail",
        title="UCI Online Retail, a UK giftware web shop",
        rows=rows,
        activities=in_order(activities),
        skipped=dict(skipped.most_common()),
        notes=tuple(notes),
    )


def _positions(names: list[str]) -> dict[str, int] | None:
    squeezed = [re.sub(r"[\s_]+", "", name).lower() for name in names]
    found = {column: squeezed.index(name) for column, known in _COLUMNS.items() for name in known if name in squeezed}
    return found if len(found) == len(_COLUMNS) else None


def _invoices(lines: Lines) -> tuple[list[_Invoice], int, Counter[str]]:
    """The invoices in order of time, with their goods; the rows read; the rows skipped, by reason."""
    rows = lines.rows()
    positions = _positions(next(rows))
    assert positions is not None, "the header was recognised"
    invoices: dict[str, _Invoice] = {}
    seen: set[bytes] = set()
    skipped: Counter[str] = Counter()
    count = 0
    for row in rows:
        count += 1
        if len(row) <= max(positions.values()):
            raise lines.error(f"{max(positions.values()) + 1} columns were expected, {len(row)} found")
        cells = {column: row[position].strip() for column, position in positions.items()}
        quantity, cents, at = _quantity(lines, cells), _cents(lines, cells), _instant(cells["date"])
        if at is None:
            raise lines.error(f"the date {cells['date']!r} is not like 2010-12-01 08:26:00 or 12/1/2010 8:26")
        reason = _reason_to_skip(cells, quantity, cents)
        if not reason:
            # 16 bytes stand for a row: the log of two years has a million, and repeats nine days of them.
            mark = hashlib.blake2b("\0".join(cells.values()).encode(), digest_size=16).digest()
            reason = "exact duplicate of another row" if mark in seen else ""
            seen.add(mark)
        if reason:
            skipped[reason] += 1
            continue
        number, customer = cells["invoice"].upper(), _customer(cells)
        invoice = invoices.setdefault(number, _Invoice(number, customer, cells["country"], at))
        if invoice.customer != customer:
            raise lines.error(f"invoice {number} is customer {invoice.customer}'s above and {customer}'s here")
        invoice.lines.append(Line(as_id(cells["code"]), abs(quantity), cents or 0, _SELLER))
    return sorted(invoices.values(), key=lambda invoice: invoice.at), count, skipped


def _reason_to_skip(cells: dict[str, str], quantity: int, cents: int | None) -> str:
    invoice, code = cells["invoice"].upper(), cells["code"]
    if invoice.startswith("A"):
        return "adjustment of the books (invoice A…)"
    if not _customer(cells):
        return "no customer"
    if not code or _NOT_GOODS.fullmatch(code):
        return f"not goods: {'gift voucher' if code.lower().startswith('gift') else code.upper() or 'no code'}"
    if quantity == 0 or (quantity < 0) != invoice.startswith("C"):
        return "quantity of the wrong sign"
    if cents is None:
        return "price below 0 or not in whole pence"
    return ""


def _quantity(lines: Lines, cells: dict[str, str]) -> int:
    match = re.fullmatch(r"(-?\d{1,9})(\.0*)?", cells["quantity"], re.ASCII)
    if not match or abs(int(match[1])) > MAX_QUANTITY:
        raise lines.error(f"the quantity {cells['quantity']!r} is not a whole number of at most {MAX_QUANTITY}")
    return int(match[1])


def _cents(lines: Lines, cells: dict[str, str]) -> int | None:
    """The price in pence; None where it is below 0 or no whole number of them: both stand in the log."""
    try:
        pence = Decimal(cells["price"]) * 100
    except InvalidOperation:
        pence = Decimal("NaN")
    if not pence.is_finite() or abs(pence) > MAX_CENTS:
        raise lines.error(f"the price {cells['price']!r} is not an amount")
    return int(pence) if pence >= 0 and pence == int(pence) else None


@lru_cache(maxsize=4096)
def _instant(text: str) -> datetime | None:
    for form in _DATES:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None


def _customer(cells: dict[str, str]) -> str:
    """The customer's number; a spreadsheet that took the column for fractions left ``.0`` behind it."""
    return cells["customer"].removesuffix(".0")


def _activities(invoices: list[_Invoice]) -> tuple[list[Activity], int]:
    """What the invoices say, and how many cancelled lines found too little to take back."""
    activities: list[Activity] = []
    registered: set[str] = set()
    purchases = _Purchases()
    unmatched = 0
    for invoice in invoices:
        member = f"uci-{as_id(invoice.customer)}"
        if member not in registered:
            registered.add(member)
            country = _ISO_3166.get(invoice.country)
            extra = (("country", country),) if country else ()
            activities.append(Activity(invoice.at, f"{member}:registered", "member.registered", member, extra=extra))
        if invoice.number.startswith("C"):
            refunds, missing = _cancelled(invoice, purchases)
            unmatched += missing
            activities.extend(_refunds(invoice, member, refunds))
        else:
            activities.extend(_orders(invoice, member, purchases))
    return activities, unmatched


def _orders(invoice: _Invoice, member: str, purchases: _Purchases) -> Iterator[Activity]:
    for number, lines in enumerate(_chunks(invoice.lines), start=1):
        order = f"uci-{as_id(invoice.number)}" + (f":{number}" if number > 1 else "")
        for line in lines:
            purchases.add(invoice.customer, order, line)
        yield Activity(invoice.at, f"{order}:completed", "order.completed", member, order, lines)


def _cancelled(invoice: _Invoice, purchases: _Purchases) -> tuple[dict[str, Counter[str]], int]:
    """Order -> item -> units that a cancellation takes back, and how many of its lines found too few."""
    refunds: dict[str, Counter[str]] = defaultdict(Counter)
    missing = 0
    for line in invoice.lines:
        taken, left_over = purchases.take(invoice.customer, line)
        for order, units in taken:
            refunds[order][line.item_id] += units
        if left_over:
            missing += 1
            refunds[f"uci-{as_id(invoice.number)}:unknown"][line.item_id] += left_over
    return refunds, missing


def _refunds(invoice: _Invoice, member: str, refunds: dict[str, Counter[str]]) -> Iterator[Activity]:
    number = 0
    for order, items in refunds.items():
        for lines in _chunks([Line(item, units) for item, units in items.items()]):
            number += 1
            event_id = f"uci-{as_id(invoice.number)}:refund-{number}"
            yield Activity(invoice.at, event_id, "order.refunded", member, order, lines)


def _chunks(lines: list[Line]) -> Iterator[tuple[Line, ...]]:
    for start in range(0, len(lines), LINES_PER_ORDER):
        yield tuple(lines[start : start + LINES_PER_ORDER])
