"""Numbers, dates and codes in words, the same in the printed summary and in the report."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from local.report.outcome import ProgramOutcome

_SIGNS = {"USD": "$", "EUR": "€", "GBP": "£"}
_DENIALS = {
    "unit_price_below_minimum": "Unit price below the minimum",
    "seller_order_cap": "Cap on a seller's orders",
    "item_unit_cap": "Cap on an item's units",
    "daily_cap": "Daily cap",
    "monthly_cap": "Monthly cap",
    "below_one_point": "Too little for a point",
    "order_already_undone": "Order already undone",
    "order_excluded": "Order excluded by its flags",
    "order_fraudulent": "Order fraudulent",
    "order_already_posted": "Order already posted",
    "item_not_in_order": "Item not in the order",
    "already_reviewed": "Already reviewed",
    "already_counted": "Already counted",
    "already_expired": "Had already expired",
    "refund_exceeds_order": "Refund of more than remains",
}
_CAUSES = {
    "accrual": "Points earned",
    "clawback": "Order refunded or cancelled",
    "tier_review": "Tier review",
    "expiry": "Expiry",
    "penalty": "Penalty",
    "reinstatement": "Penalty undone",
    "adjustment": "Adjustment",
}


def number(value: float) -> str:
    """12345 -> 12,345"""
    return f"{value:,.0f}"


def several(count: int, what: str) -> str:
    """1 and "member" -> 1 member; 2 -> 2 members"""
    return f"{count:,} {what}{'' if count == 1 else 's'}"


def amount(program: ProgramOutcome, value: int) -> str:
    """What a program measures: points as they are, spend in whole units of its currency."""
    if not program.spend:
        return number(value)
    whole = f"{value / 100:,.0f}"
    return f"{_SIGNS[program.currency]}{whole}" if program.currency in _SIGNS else f"{whole} {program.currency}"


def measured(program: ProgramOutcome) -> str:
    """What a program counts, as a word."""
    return "spend" if program.spend else "points"


def denial(code: str) -> str:
    """The reason why something earned nothing, in plain words."""
    return _DENIALS.get(code, code.replace("_", " ").capitalize())


def cause(kind: str, program: ProgramOutcome) -> str:
    """What made a tier change, in plain words."""
    if kind == "accrual" and program.spend:
        return "Purchases"
    return _CAUSES.get(kind, kind.replace("_", " ").capitalize())


def day(value: date) -> str:
    """1 January 1997"""
    return f"{value.day} {value:%B %Y}"


def month(key: str, short: bool = False) -> str:
    """1997-01 -> January 1997, or Jan"""
    first = date.fromisoformat(f"{key}-01")
    return f"{first:%b}" if short else f"{first:%B %Y}"


def duration(seconds: float) -> str:
    """75.2 -> 1 min 15 s"""
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def type_of_event(code: str) -> str:
    """order.completed -> orders completed"""
    known = {
        "order.completed": "orders",
        "order.refunded": "refunds",
        "order.cancelled": "cancellations",
        "order.flagged_fraudulent": "fraud flags",
        "member.registered": "registrations",
        "review.posted": "reviews",
        "visit.recorded": "visits",
    }
    return known.get(code, code)
