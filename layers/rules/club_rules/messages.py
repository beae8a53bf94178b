"""What the club says: one catalogue of texts, keyed by the code of the reason (rules 1.12).

The structured facts always stand beside the text; nothing is decided by reading one.
"""

from __future__ import annotations

from typing import Any

_EARNED = {
    "purchase": "{amount} for order {ref}",
    "spend": "{amount} spent with order {ref}",
    "daily_shopping": "{amount} for shopping on this day",
    "variety": "{amount} for the variety of categories on this day",
    "review": "{amount} for a review of item {ref}",
    "visit": "{amount} for a visit",
    "post": "{amount} for post {ref}",
    "contribution": "{amount} for contribution {ref}",
    "promotion": "{amount} from campaign {ref}",
}

_TEXTS = {
    "refunded": "{amount}: order {ref} was refunded, wholly or in part",
    "cancelled": "{amount}: order {ref} was cancelled",
    "expired": "{amount}: what was earned on {ref} has expired",
    "penalty_ended": "{amount}: the penalty of case {ref} is over",
    "tier_cap_ended": "the cap on the tier by case {ref} is over",
    "return_abuse": "{amount}: penalty for abuse of returns, case {ref}",
    "extortion": "{amount}: penalty for extortion, case {ref}",
    "coupon_fraud": "{amount}: penalty for coupon fraud, case {ref}",
    "spam": "{amount}: penalty for spam, case {ref}",
    "overturned": "{amount}: case {ref} was overturned, the penalty is undone",
    "demoted": "the measure no longer meets the tier",
    "promoted": "the measure meets a higher tier",
    "kept": "the tier was reviewed and is kept",
    "retained": "the period is over, the spend still meets the tier: a new period begins",
    "reset": "the period is over, the spend does not meet the tier: it is reset to what the spend qualifies for",
    "rules_changed": "new rules are in force: the tier will be reviewed",
    "unit_price_below_minimum": "{ref} earns nothing: its unit price is below the minimum",
    "seller_order_cap": "{ref} earns nothing: enough orders of this seller count already",
    "item_unit_cap": "some units of {ref} earn nothing: enough units of this item count already",
    "below_one_point": "the order is worth less than one point",
    "order_without_value": "nothing was spent with the order",
    "order_fraudulent": "the order was found fraudulent",
    "found_fraudulent": "{amount}: order {ref} was found fraudulent",
    "order_excluded": "orders of this kind earn nothing here",
    "order_already_posted": "order {ref} has been posted before",
    "already_expired": "it came too late: what it would have changed has expired",
    "refund_exceeds_order": "more was asked for than remains of order {ref}; the rest is ignored",
    "order_already_undone": "nothing of order {ref} was left to undo",
    "order_not_here_yet": "order {ref} has not arrived yet; this takes effect when it does",
    "item_not_in_order": "item {ref} does not stand in that order",
    "already_reviewed": "item {ref} has been reviewed before",
    "already_counted": "{ref} has been counted before",
    "daily_cap": "the most that one day can earn is reached",
    "monthly_cap": "the most that one month can earn is reached",
    "case_overturned": "case {ref} was overturned before it was confirmed",
    "case_already_confirmed": "case {ref} was confirmed before",
    "case_already_overturned": "case {ref} was overturned before",
    "case_not_confirmed_yet": "case {ref} has not been confirmed; should it be, it will have no effect",
    "penalty_over": "nothing of the penalty of case {ref} is in force any more",
}


def reason_text(reason: dict[str, Any], amount: str) -> str:
    """One sentence for a reason of a ledger entry.

    ``reason`` has ``rule``, ``code`` and maybe ``ref``; ``amount`` is its change, ready to be read ("12 points").
    Raises ``KeyError`` for a code that the catalogue lacks: every code has a text.
    """
    template = _EARNED[reason["rule"]] if reason["code"] == "earned" else _TEXTS[reason["code"]]
    return template.format(amount=amount, ref=reason.get("ref", ""))


def points_text(points: int) -> str:
    """A number of points as it is read: "1 point", "-12 points"."""
    return f"{points} point" if abs(points) == 1 else f"{points} points"
