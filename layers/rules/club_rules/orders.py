"""Orders: what one earns, what remains of it, and what undoing takes back (rules 1.4 to 1.7).

An *order record* is what the ledger keeps of one member's order, as JSON-able data: its lines, the units that remain
of each, and for every program the units that count. It lets any set of refunds, in any order and any split, end at the
same points: what the order earned is always what remains of it gives.
"""

from __future__ import annotations

from typing import Any, TypeGuard

from club_rules.account import Part, ProgramAccount
from club_rules.programs import Program, Purchase

OrderRecord = dict[str, Any]
ITEM, SELLER, CATEGORY, PRICE, QUANTITY = range(5)
"""Where things stand in a line of an order record."""

OPEN, REFUNDED, CANCELLED, FRAUDULENT = "open", "refunded", "cancelled", "fraudulent"


def new_order(data: dict[str, Any], event_id: str) -> OrderRecord:
    """The record of a completed order. ``data`` is the event's, normalised (money in minor units)."""
    lines = [
        [line["item_id"], line["seller_id"], line.get("category"), line["unit_price"], line["quantity"]]
        for line in data["lines"]
    ]
    fraudulent = "fraudulent" in data["flags"]
    return {
        "order_id": data["order_id"],
        "event_id": event_id,
        "lines": lines,
        "left": [0 if fraudulent else line[QUANTITY] for line in lines],
        "refunded": 0,
        "status": FRAUDULENT if fraudulent else OPEN,
        "programs": {},
    }


def is_held(order: OrderRecord | None) -> TypeGuard[OrderRecord]:
    """Whether the ledger holds the order itself, and not just events that wait for it."""
    return order is not None and "lines" in order


def may_release(order: OrderRecord | None) -> TypeGuard[OrderRecord]:
    """Whether events that waited for the order may take effect now: it is held, and they have not yet."""
    return is_held(order) and bool(order.get("parked"))


def remaining_value(order: OrderRecord) -> int:
    """What remains of the order in minor units: the units left at their prices, less its amount refunds; at least 0."""
    value: int = sum(left * line[PRICE] for left, line in zip(order["left"], order["lines"], strict=True))
    return max(0, value - int(order["refunded"]))


def has_item(order: OrderRecord, item_id: str) -> bool:
    """Whether the item stands in the order as it was completed (rules 1.4, review)."""
    return any(line[ITEM] == item_id for line in order["lines"])


# --- earning


def order_part(
    state: ProgramAccount, program: Program, order: OrderRecord, flags: list[str], day: int, expired: bool
) -> Part:
    """What a completed order earns in one program, and what it uses of the caps.

    ``state`` is the member's settled account; ``day`` the order's local day; ``expired`` whether a lot of that day
    has expired by the moment of posting. Notes in ``order["programs"]`` which units count.
    """
    lines = order["lines"]
    counted = [0] * len(lines)
    part: Part = {"kind": "accrual", "points": 0, "version": program.version, "reasons": []}
    rule = "spend" if program.purchase is None else "purchase"
    excluded = program.purchase is not None and not program.purchase.excluded_flags.isdisjoint(flags)
    if expired:
        part["reasons"].append(_denied(rule, "already_expired"))
    elif order["status"] == FRAUDULENT:
        part["reasons"].append(_denied(rule, "order_fraudulent"))
    elif excluded:
        part["reasons"].append(_denied(rule, "order_excluded"))
    elif program.purchase is None:
        counted = [line[QUANTITY] for line in lines]
    else:
        counted = _counted_units(state, program.purchase, lines, day, part)
    other = [line[QUANTITY] - units for line, units in zip(lines, counted, strict=True)]
    record = {"day": day, "version": program.version, "counted": counted, "other": other}
    order["programs"][program.id] = record
    points = _worth(program, order, record)
    if points:
        part["reasons"].insert(0, {"rule": rule, "points": points, "code": "earned", "ref": order["order_id"]})
    elif any(counted):
        part["reasons"].append(_denied(rule, "below_one_point" if program.purchase else "order_without_value"))
    part["points"] = points + _daily(state, program, part, day, _categories(lines, counted), points > 0)
    if part["points"]:
        part["lots"] = [[day, part["points"]]]
        part["expires_on"] = day + program.window
    else:
        part["kind"] = "denied"
    return part


def _denied(rule: str, code: str, ref: str | None = None) -> dict[str, Any]:
    reason: dict[str, Any] = {"rule": rule, "points": 0, "code": code}
    if ref is not None:
        reason["ref"] = ref
    return reason


def _counted_units(
    state: ProgramAccount, purchase: Purchase, lines: list[list[Any]], day: int, part: Part
) -> list[int]:
    """Line by line, the units that count (rules 1.4, purchase 1 to 3); writes denials and cap use into ``part``."""
    counted = []
    seller_open: dict[str, bool] = {}
    used: dict[str, int] = {}
    for item, seller, _, price, quantity in lines:
        units = 0
        if price < purchase.minimum_price:
            part["reasons"].append(_denied("purchase", "unit_price_below_minimum", f"item {item}"))
        elif not _seller_open(state, purchase, seller, day, seller_open):
            part["reasons"].append(_denied("purchase", "seller_order_cap", f"item {item}"))
        else:
            units = quantity
            if purchase.item_units is not None:
                taken = used.get(item, 0) + _use_around(state.items.get(item), day, purchase.item_days)
                units = min(quantity, max(0, purchase.item_units - taken))
                used[item] = used.get(item, 0) + units
            if units < quantity:
                part["reasons"].append(
                    {**_denied("purchase", "item_unit_cap", f"item {item}"), "units": quantity - units}
                )
        counted.append(units)
    _note_cap_use(purchase, lines, counted, day, part, 1)
    return counted


def _seller_open(state: ProgramAccount, purchase: Purchase, seller: str, day: int, known: dict[str, bool]) -> bool:
    if purchase.seller_orders is None:
        return True
    if seller not in known:
        known[seller] = _use_around(state.sellers.get(seller), day, purchase.seller_days) < purchase.seller_orders
    return known[seller]


def _use_around(use: dict[int, int] | None, day: int, days: int) -> int:
    """What is used on the days ``day - days + 1 … day + days - 1``."""
    if use is None:
        return 0
    return sum(amount for used_on, amount in use.items() if abs(used_on - day) < days)


def _note_cap_use(
    purchase: Purchase, lines: list[list[Any]], units: list[int], day: int, part: Part, sign: int
) -> None:
    """Writes into ``part`` that ``units`` of each line take up the caps (sign 1)."""
    if purchase.seller_orders is not None:
        sellers = dict.fromkeys(line[SELLER] for line, n in zip(lines, units, strict=True) if n)
        if sellers:
            part["sellers"] = [[seller, day, sign] for seller in sellers]
    if purchase.item_units is not None:
        items = _by_item(lines, units)
        if items:
            part["items"] = [[item, day, sign * n] for item, n in items.items()]


def _by_item(lines: list[list[Any]], units: list[int]) -> dict[str, int]:
    items: dict[str, int] = {}
    for line, n in zip(lines, units, strict=True):
        if n:
            items[line[ITEM]] = items.get(line[ITEM], 0) + n
    return items


def _categories(lines: list[list[Any]], counted: list[int]) -> set[str]:
    return {line[CATEGORY] for line, n in zip(lines, counted, strict=True) if n and line[CATEGORY] is not None}


def _worth(program: Program, order: OrderRecord, record: dict[str, Any]) -> int:
    """What the counted units that remain give, less the order's amount refunds, rounded down once (rules 1.7)."""
    total: int = sum(n * line[PRICE] for n, line in zip(record["counted"], order["lines"], strict=True))
    total = max(total - int(order["refunded"]), 0)
    if program.purchase is None:
        return total
    return total // program.money_unit * program.purchase.per_unit


# --- daily shopping and variety: always what the day's orders give as they now stand


def _daily(
    state: ProgramAccount, program: Program, part: Part, day: int, categories: set[str], has_points: bool
) -> int:
    """Daily points that a new order adds; writes the day's use and the reasons into ``part``."""
    if not has_points or (program.daily is None and program.variety is None):
        return 0
    use = state.days.get(day, {})
    part["days"] = [[day, "orders", 1]]
    added = 0
    if program.daily is not None:
        orders = use.get("orders", 0)
        points = _daily_points(program.daily, orders + 1) - _daily_points(program.daily, orders)
        added += points
        if points:
            part["reasons"].append({"rule": "daily_shopping", "points": points, "code": "earned"})
        if points < program.daily.get("points_per_order", 0):
            part["reasons"].append(_denied("daily_shopping", "daily_cap"))
    if program.variety is not None:
        part["days"] += [[day, f"c:{category}", 1] for category in sorted(categories)]
        new = [category for category in sorted(categories) if f"c:{category}" not in use]
        known = _category_count(use)
        points = _variety_points(program.variety, known + len(new)) - _variety_points(program.variety, known)
        added += points
        if points:
            part["reasons"].append({"rule": "variety", "points": points, "code": "earned"})
        if points < len(new) * program.variety["points_per_category"]:
            part["reasons"].append(_denied("variety", "daily_cap"))
    return added


def _daily_points(rule: dict[str, int], orders: int) -> int:
    if "points_per_day" in rule:
        return rule["points_per_day"] if orders > 0 else 0
    points = orders * rule["points_per_order"]
    return min(points, rule.get("points_per_day_at_most", points))


def _variety_points(rule: dict[str, int], categories: int) -> int:
    return min(categories * rule["points_per_category"], rule["points_per_day_at_most"])


def _category_count(use: dict[str, int]) -> int:
    return sum(1 for key in use if key.startswith("c:"))


# --- undoing


def undo(order: OrderRecord, event_type: str, data: dict[str, Any]) -> tuple[dict[str, int], bool]:
    """Takes from the order what a refund, a cancellation or a fraud flag undoes (rules 1.7).

    Changes ``order``'s remaining units, refunded amount and status, not what its programs count. Returns the units
    returned of each item, and whether more was asked for than remains.
    """
    if event_type == "order.refunded" and "amount" in data:
        # what was asked for is kept whole, so that the order of refunds never matters: what is beyond the order's
        # value finds nothing more to take, in any program
        exceeds = data["amount"] > remaining_value(order)
        order["refunded"] += data["amount"]
        return {}, exceeds
    if event_type == "order.refunded" and "lines" in data:
        return _return_lines(order, data["lines"])
    returned = _by_item(order["lines"], order["left"])
    was_standing = any(order["left"])
    order["left"] = [0] * len(order["left"])
    if order["status"] == OPEN or (event_type == "order.flagged_fraudulent" and order["status"] != FRAUDULENT):
        order["status"] = {
            "order.refunded": REFUNDED,
            "order.cancelled": CANCELLED,
            "order.flagged_fraudulent": FRAUDULENT,
        }[event_type]
    return returned, not was_standing


def _return_lines(order: OrderRecord, wanted: list[dict[str, Any]]) -> tuple[dict[str, int], bool]:
    returned: dict[str, int] = {}
    exceeds = False
    for line in wanted:
        left = _take(order["lines"], order["left"], line["item_id"], line["quantity"])
        exceeds = exceeds or left > 0
        if left < line["quantity"]:
            returned[line["item_id"]] = returned.get(line["item_id"], 0) + line["quantity"] - left
    return returned, exceeds


def _take(lines: list[list[Any]], units: list[int], item: str, quantity: int) -> int:
    """Takes ``quantity`` units of ``item`` from ``units``, from its last line on; returns what could not be taken."""
    for index in range(len(lines) - 1, -1, -1):
        if quantity == 0:
            break
        if lines[index][ITEM] == item and units[index]:
            taken = min(units[index], quantity)
            units[index] -= taken
            quantity -= taken
    return quantity


def clawback_part(
    state: ProgramAccount,
    program: Program,
    order: OrderRecord,
    worth_before: int,
    returned: dict[str, int],
    code: str,
    took: bool,
    expired: bool,
) -> Part:
    """What undoing takes from one program, by the version that the order was posted with.

    ``worth_before`` is ``standing_worth`` before ``undo`` changed the order; ``returned`` what ``undo`` returned;
    ``code`` says why (``refunded``, ``cancelled``, ``found_fraudulent``); ``took`` whether anything was left to take
    of the order; ``expired`` whether the order's lot has expired: then it takes nothing, but the caps are released
    all the same.
    """
    record = order["programs"][program.id]
    lines, counted = order["lines"], record["counted"]
    before = counted.copy()
    for item, quantity in returned.items():
        # rules 1.7: uncounted units of every line go before counted ones
        _take(lines, counted, item, _take(lines, record["other"], item, quantity))
    part: Part = {"kind": "clawback", "points": 0, "version": program.version, "reasons": []}
    _release_caps(state, program, lines, before, counted, record["day"], part)
    worth = _worth(program, order, record)
    if expired:
        if worth != worth_before:
            part["reasons"].append(_denied(_rule(program), "already_expired", order["order_id"]))
        part["kind"] = "denied"
        return part
    if worth != worth_before or (took and worth_before):
        reason = {
            "rule": _rule(program),
            "points": worth - worth_before,
            "code": code,
            "ref": order["order_id"],
        }
        part["reasons"].append(reason)
    kept = _categories(lines, counted) if worth else set()
    gone = (_categories(lines, before) if worth_before else set()) - kept
    part["points"] = worth - worth_before
    because = {"code": code, "ref": order["order_id"]}
    part["points"] += _daily_taken(state, program, part, record["day"], gone, bool(worth_before and not worth), because)
    if part["points"]:
        part["lots"] = [[record["day"], part["points"]]]
    return part


def _rule(program: Program) -> str:
    return "spend" if program.purchase is None else "purchase"


def standing_worth(program: Program, order: OrderRecord) -> int:
    """What the order's standing units give in ``program`` now, in points or minor units of spend."""
    return _worth(program, order, order["programs"][program.id])


def _release_caps(
    state: ProgramAccount,
    program: Program,
    lines: list[list[Any]],
    before: list[int],
    after: list[int],
    day: int,
    part: Part,
) -> None:
    """Cap use is released by returned units; what the account has forgotten already needs no release."""
    if program.purchase is None or before == after:
        return
    gone = [old - new for old, new in zip(before, after, strict=True)]
    items = [[item, day, -n] for item, n in _by_item(lines, gone).items() if day in state.items.get(item, ())]
    if items:
        part["items"] = items
    still = {line[SELLER] for line, n in zip(lines, after, strict=True) if n}
    sellers = dict.fromkeys(line[SELLER] for line, n in zip(lines, before, strict=True) if n)
    released = [[s, day, -1] for s in sellers if s not in still and day in state.sellers.get(s, ())]
    if released:
        part["sellers"] = released


def _daily_taken(
    state: ProgramAccount,
    program: Program,
    part: Part,
    day: int,
    gone: set[str],
    order_gone: bool,
    because: dict[str, str],
) -> int:
    """Daily points that go (at most 0), as the day's orders now stand; ``because`` completes their reasons."""
    use = state.days.get(day)
    if use is None or not (gone or order_gone):
        return 0
    changes: list[list[Any]] = []
    taken = 0
    if order_gone:
        changes.append([day, "orders", -1])
        if program.daily is not None:
            orders = use["orders"]
            points = _daily_points(program.daily, orders - 1) - _daily_points(program.daily, orders)
            taken += points
            if points:
                part["reasons"].append({"rule": "daily_shopping", "points": points, **because})
    if program.variety is not None:
        changes += [[day, f"c:{category}", -1] for category in sorted(gone)]
        known = _category_count(use)
        lost = sum(1 for category in gone if use.get(f"c:{category}") == 1)
        points = _variety_points(program.variety, known - lost) - _variety_points(program.variety, known)
        taken += points
        if points:
            part["reasons"].append({"rule": "variety", "points": points, **because})
    if changes:
        part["days"] = changes
    return taken
