"""Checks a program file and says in plain words what is wrong, and where (contract 2.6).

A program file is JSON. Its shape is stated once, in ``PROGRAM``, as a tree of small checks; what one field says of
another (a tier that a privilege names, thresholds that must rise) follows in ``_check_sense``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

from club_rules.errors import pointer_token
from club_rules.money import CURRENCIES, format_money, parse_money
from club_rules.times import parse_day

Messages = Iterator[str]
Check = Callable[[Any, str], Messages]

ORDER_FLAGS = ("preorder", "prepaid", "gift", "preferential_shipping", "fraudulent")
VIOLATION_KINDS = ("return_abuse", "extortion", "coupon_fraud", "spam")
WARNINGS_AT_MOST = 5
"""Of so many days ahead a lot may be warned: each costs a visit of the sweep."""

TITLE_LANGUAGES = ("ru",)
"""The languages beside English, in which ``title`` is."""

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_AMOUNT = re.compile(r"[0-9]{1,9}\.[0-9]{1,3}|[0-9]{1,9}", re.ASCII)


def _shown(value: Any) -> str:
    """What was found, as it stands in the file; of something long only the beginning."""
    try:
        text = json.dumps(value)
    except RecursionError:
        text = "something nested without end"
    return text if len(text) <= 100 else f"{text[:97]}..."


def whole(at_least: int, at_most: int) -> Check:
    """A check for a whole number from ``at_least`` to ``at_most``, both included."""

    def check(value: Any, where: str) -> Messages:
        if type(value) is not int or not at_least <= value <= at_most:
            yield f"{where}: expected a whole number from {at_least} to {at_most}, found {_shown(value)}"

    return check


def one_of(*allowed: str) -> Check:
    """A check for one of the words ``allowed``."""

    def check(value: Any, where: str) -> Messages:
        if value not in allowed:
            yield f"{where}: expected one of {', '.join(allowed)}, found {_shown(value)}"

    return check


def fields(required: dict[str, Check], optional: dict[str, Check] | None = None) -> Check:
    """A check for an object with just these fields; every missing, unknown or wrong one is named."""
    known = {**required, **(optional or {})}

    def check(value: Any, where: str) -> Messages:
        if not isinstance(value, dict):
            yield f"{where or 'the file'}: expected an object, found {_shown(value)}"
            return
        for name in required:
            if name not in value:
                yield f"{where}/{name}: missing"
        for name, found in value.items():
            if name in known:
                yield from known[name](found, f"{where}/{name}")
            else:
                yield f"{where}/{pointer_token(name)}: unknown field; known here: {', '.join(known) or 'none'}"

    return check


def each(item: Check, at_least: int = 0) -> Check:
    """A check for a list of at least ``at_least`` things that each pass ``item``."""

    def check(value: Any, where: str) -> Messages:
        if not isinstance(value, list) or len(value) < at_least:
            yield f"{where}: expected a list of at least {at_least}, found {_shown(value)}"
            return
        for index, found in enumerate(value):
            yield from item(found, f"{where}/{index}")

    return check


def table(item: Check, keys: tuple[str, ...] = ()) -> Check:
    """A check for an object whose values all pass ``item``, and whose keys are among ``keys`` where those are given."""

    def check(value: Any, where: str) -> Messages:
        if not isinstance(value, dict) or not value:
            yield f"{where}: expected an object with at least one entry, found {_shown(value)}"
            return
        for key, found in value.items():
            place = f"{where}/{pointer_token(key)}"
            if keys and key not in keys:
                yield f"{place}: expected one of {', '.join(keys)}"
            yield from item(found, place)

    return check


def _text(value: Any, where: str) -> Messages:
    if not isinstance(value, str) or not value.strip() or len(value) > 500:
        yield f"{where}: expected a text of 1 to 500 characters, found {_shown(value)}"


def _identifier(value: Any, where: str) -> Messages:
    if not isinstance(value, str) or not _ID.fullmatch(value):
        yield f"{where}: expected letters, digits, '.', '_' or '-' (at most 64), found {_shown(value)}"


def _day(value: Any, where: str) -> Messages:
    try:
        parse_day(value if isinstance(value, str) else "")
    except ValueError:
        yield f'{where}: expected a day such as "2017-06-01", found {_shown(value)}'


def _yes_or_no(value: Any, where: str) -> Messages:
    if type(value) is not bool:
        yield f"{where}: expected true or false, found {_shown(value)}"


def _money(value: Any, where: str) -> Messages:
    if not isinstance(value, str) or not _AMOUNT.fullmatch(value):
        yield f'{where}: expected an amount in quotes such as "25.00", found {_shown(value)}'


def _currency(value: Any, where: str) -> Messages:
    if not isinstance(value, str) or value not in CURRENCIES:
        yield f'{where}: expected an ISO 4217 code such as "USD", found {_shown(value)}'


def _zone(value: Any, where: str) -> Messages:
    if value == "UTC":
        return
    from zoneinfo import ZoneInfo  # only a program outside UTC pays for loading it

    try:
        ZoneInfo(value)
    except (KeyError, ValueError, TypeError, OSError):
        yield f'{where}: expected an IANA time zone such as "Europe/Moscow", found {_shown(value)}'


_POINTS = whole(1, 1_000_000)
_DAYS = whole(1, 3660)

_EARNING = fields(
    {},
    {
        "purchase": fields(
            {"points_per_currency_unit": _POINTS, "minimum_unit_price": _money},
            {
                "seller_order_cap": fields({"orders": _POINTS, "days": _DAYS}),
                "item_unit_cap": fields({"units": _POINTS, "days": _DAYS}),
                "excluded_flags": each(one_of(*ORDER_FLAGS)),
            },
        ),
        "daily_shopping": fields(
            {}, {"points_per_day": _POINTS, "points_per_order": _POINTS, "points_per_day_at_most": _POINTS}
        ),
        "variety": fields({"points_per_category": _POINTS, "points_per_day_at_most": _POINTS}),
        "review": fields({"points": _POINTS}),
        "visit": fields({"points": _POINTS}, {"points_per_day_at_most": _POINTS, "points_per_month_at_most": _POINTS}),
        "post": fields({"points": _POINTS}, {"points_per_day_at_most": _POINTS, "points_per_month_at_most": _POINTS}),
        "contribution": fields(
            {"points": _POINTS}, {"points_per_day_at_most": _POINTS, "points_per_month_at_most": _POINTS}
        ),
        "spend": fields({}),
    },
)

_LIMIT = fields({"percent_of_tier": whole(1, 100), "members_at_least": whole(0, 1_000_000)})
_UNDOING = {"days_after_undoing": whole(1, 366)}


def _demotion(value: Any, where: str) -> Messages:
    basis = value.get("basis") if isinstance(value, dict) else None
    if basis == "period":
        yield from fields({"basis": _text, "period_days": _DAYS, "limit": _LIMIT}, _UNDOING)(value, where)
    elif basis == "window":
        shape = {
            "basis": _text,
            "to": one_of("to_qualified", "one_down"),
            "grace_days": whole(0, 366),
            "limit": _LIMIT,
        }
        yield from fields(shape, _UNDOING)(value, where)
    else:
        expected = '"window" (reviewed daily) or "period" (held for so many days)'
        yield f"{where}/basis: expected {expected}, found {_shown(basis)}"


_PRIVILEGES: dict[str, Check] = {
    "expedited_refund": fields(
        {"code": _text, "enabled": _yes_or_no, "limits": table(_money)},
        {
            "velocity": fields(
                {"hours": whole(1, 24 * 366), "approvals_at_most": _POINTS, "value_at_most_limits": _POINTS}
            ),
            "first_scan_required": _yes_or_no,
            "order_in_ledger_required": _yes_or_no,
        },
    ),
    "dispute_acceleration": fields({"code": _text, "enabled": _yes_or_no, "from_tier": _text, "days": whole(1, 365)}),
    "exclusive_prices": fields({"code": _text, "percent": table(whole(1, 100))}),
    "price_alerts": fields({"code": _text, "from_tier": _text}, {"enabled": _yes_or_no}),
}
_PLAIN_PRIVILEGE = fields({"code": _identifier, "from_tier": _text})


def _privilege(value: Any, where: str) -> Messages:
    code = value.get("code") if isinstance(value, dict) else None
    check = _PRIVILEGES.get(code, _PLAIN_PRIVILEGE) if isinstance(code, str) else _PLAIN_PRIVILEGE
    yield from check(value, where)


def _penalty(value: Any, where: str) -> Messages:
    shape = fields(
        {"days": _DAYS},
        {"points": _POINTS, "percent": whole(1, 100), "tier_at_most": _text, "tier_days": _DAYS},
    )
    yield from shape(value, where)
    if isinstance(value, dict):
        if ("points" in value) == ("percent" in value):
            yield f'{where}: expected either "points" or "percent"'
        if ("tier_at_most" in value) != ("tier_days" in value):
            yield f'{where}: "tier_at_most" and "tier_days" go together'


_PRESENT = fields({"title": _text}, {"titles": table(_text, TITLE_LANGUAGES), "count": whole(1, 100), "value": _money})
_GIFT = {"from_tier": _text, "valid_days": _DAYS, "gift": _PRESENT}
_REWARDS = fields(
    {},
    {
        "tier_coupons": fields(
            {
                "issue_day": whole(1, 28),
                "valid_through_day": whole(1, 28),
                "coupons": table(fields({"count": whole(1, 100), "value": _money})),
            }
        ),
        "birthday_gift": fields(_GIFT, {"set_days_before": whole(0, 365)}),
        "anniversary_gift": fields(_GIFT),
        "retention_coupons": table(_money),
        "retention_valid_days": _DAYS,
    },
)

PROGRAM = fields(
    {
        "id": _identifier,
        "version": _identifier,
        "effective_from": _day,
        "title": _text,
        "currency": _currency,
        "time_zone": _zone,
        "measure": one_of("points", "spend"),
        "window_days": _DAYS,
        "tiers": each(fields({"code": _identifier, "from": lambda _value, _where: iter(())}), at_least=1),
        "earning": _EARNING,
        "demotion": _demotion,
        "privileges": each(_privilege),
    },
    {
        "titles": table(_text, TITLE_LANGUAGES),
        "note": _text,
        "penalties": table(_penalty, VIOLATION_KINDS),
        "rewards": _REWARDS,
        "import_allowance": table(_money),
        "warnings": fields({"days_before": each(whole(1, 365))}),
    },
)


def check_program(data: Any) -> list[str]:
    """All that is wrong with one program file's content.

    ``data`` is the parsed JSON. Returns messages, each of which names the place as a JSON pointer and says what is
    expected there; an empty list means that the file may be used.
    """
    messages = list(PROGRAM(data, ""))
    if not messages:
        return list(_check_sense(data))
    tiers_are_readable = isinstance(data, dict) and {"tiers", "measure", "currency"} <= data.keys()
    if tiers_are_readable and not any(message.startswith(("/tiers", "/measure", "/currency")) for message in messages):
        messages += _check_tiers(data)
    return messages


def _check_sense(data: dict[str, Any]) -> Messages:
    """What a field says of another. The shape has been checked before."""
    yield from _check_tiers(data)
    codes = [tier["code"] for tier in data["tiers"]]
    for where, code in _named_tiers(data):
        if code not in codes:
            yield f"{where}: the tier {_shown(code)} is not among this program's tiers: {', '.join(codes)}"
    yield from _check_amounts(data)
    earning = data["earning"]
    if (data["measure"] == "spend") != ("spend" in earning) or (data["measure"] == "spend" and len(earning) > 1):
        yield '/earning: a program that measures spend has just "spend" here; one that measures points has no "spend"'
    for rule in ("daily_shopping", "variety"):
        if rule in earning and "purchase" not in earning:
            yield f'/earning/{rule}: needs "purchase": it counts orders with purchase points'
    daily = earning.get("daily_shopping")
    if daily is not None and ("points_per_day" in daily) == ("points_per_order" in daily):
        yield '/earning/daily_shopping: expected either "points_per_day" or "points_per_order"'
    elif daily is not None and "points_per_day" in daily and "points_per_day_at_most" in daily:
        yield '/earning/daily_shopping/points_per_day_at_most: goes with "points_per_order" only'
    yield from _check_penalties(data)
    yield from _check_warnings(data)
    yield from _check_rewards(data)
    codes_of_privileges = [privilege["code"] for privilege in data["privileges"]]
    for index, code in enumerate(codes_of_privileges):
        if code in codes_of_privileges[:index]:
            yield f"/privileges/{index}/code: {_shown(code)} stands twice"


def _check_penalties(data: dict[str, Any]) -> Messages:
    if "penalties" not in data:
        return
    if data["measure"] == "spend":
        yield "/penalties: a program that measures spend has none (rules 1.8)"
    elif data["demotion"]["basis"] != "window":
        yield '/penalties: need the demotion basis "window": the tier follows a penalty at once (rules 1.8)'
    for kind, penalty in data["penalties"].items():
        if penalty.get("tier_days", 0) > penalty["days"]:
            yield f"/penalties/{kind}/tier_days: at most the penalty's own days, {penalty['days']}"


def _check_warnings(data: dict[str, Any]) -> Messages:
    leads = data.get("warnings", {}).get("days_before", [])
    for index, days in enumerate(leads):
        where = f"/warnings/days_before/{index}"
        if days in leads[:index]:
            yield f"{where}: {days} stands twice"
    if len(leads) > WARNINGS_AT_MOST:
        yield f"/warnings/days_before: expected at most {WARNINGS_AT_MOST} warnings, found {len(leads)}"
    if "import_allowance" in data and data["measure"] != "spend":
        yield "/import_allowance: is what a month's spend is held against: only where the measure is spend"


def _check_rewards(data: dict[str, Any]) -> Messages:
    rewards = data.get("rewards", {})
    coupons = rewards.get("tier_coupons")
    if coupons is not None and coupons["valid_through_day"] < coupons["issue_day"]:
        yield f"/rewards/tier_coupons/valid_through_day: at least the day of issue, {coupons['issue_day']}"
    if ("retention_coupons" in rewards) != ("retention_valid_days" in rewards):
        yield '/rewards: "retention_coupons" and "retention_valid_days" go together'
    if "retention_coupons" in rewards and data["demotion"]["basis"] != "period":
        yield '/rewards/retention_coupons: need the demotion basis "period": it is its review that retains a tier'


def _check_tiers(data: dict[str, Any]) -> Messages:
    previous = -1
    codes: set[str] = set()
    for index, tier in enumerate(data["tiers"]):
        where = f"/tiers/{index}"
        found = tier["from"]
        if data["measure"] == "points":
            threshold = found if type(found) is int and 0 <= found <= 10**9 else None
            expected = "a whole number of points"
        else:
            threshold = _minor(found, data["currency"])
            expected = f'an amount in quotes such as "{_example(data["currency"])}"'
        if threshold is None:
            yield f"{where}/from: expected {expected}, found {_shown(found)}"
        elif index == 0 and threshold != 0:
            yield f"{where}/from: the lowest tier starts at 0, found {_shown(found)}"
        elif threshold <= previous:
            yield f"{where}/from: the thresholds must rise from tier to tier, found {_shown(found)}"
        if tier["code"] in codes:
            yield f"{where}/code: {_shown(tier['code'])} stands twice"
        codes.add(tier["code"])
        previous = previous if threshold is None else threshold


def _named_tiers(data: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for index, privilege in enumerate(data["privileges"]):
        where = f"/privileges/{index}"
        if "from_tier" in privilege:
            yield f"{where}/from_tier", privilege["from_tier"]
        for name in ("limits", "percent"):
            for code in privilege.get(name, ()):
                yield f"{where}/{name}/{code}", code
    for kind, penalty in data.get("penalties", {}).items():
        if "tier_at_most" in penalty:
            yield f"/penalties/{kind}/tier_at_most", penalty["tier_at_most"]
    rewards = data.get("rewards", {})
    for code in rewards.get("tier_coupons", {}).get("coupons", ()):
        yield f"/rewards/tier_coupons/coupons/{code}", code
    for code in rewards.get("retention_coupons", ()):
        yield f"/rewards/retention_coupons/{code}", code
    for gift in ("birthday_gift", "anniversary_gift"):
        if gift in rewards:
            yield f"/rewards/{gift}/from_tier", rewards[gift]["from_tier"]


def _check_amounts(data: dict[str, Any]) -> Messages:
    """Every amount has exactly the decimals of the program's currency."""
    amounts: list[tuple[str, str]] = []
    purchase = data["earning"].get("purchase")
    if purchase is not None:
        amounts.append(("/earning/purchase/minimum_unit_price", purchase["minimum_unit_price"]))
    for index, privilege in enumerate(data["privileges"]):
        limits = privilege.get("limits", {})
        amounts.extend((f"/privileges/{index}/limits/{code}", amount) for code, amount in limits.items())
    rewards = data.get("rewards", {})
    coupons = rewards.get("tier_coupons", {}).get("coupons", {})
    amounts.extend((f"/rewards/tier_coupons/coupons/{code}/value", coupon["value"]) for code, coupon in coupons.items())
    gifts = {name: rewards.get(name, {}).get("gift", {}) for name in ("birthday_gift", "anniversary_gift")}
    amounts.extend((f"/rewards/{name}/gift/value", gift["value"]) for name, gift in gifts.items() if "value" in gift)
    for where, table_of_amounts in (
        ("/rewards/retention_coupons", rewards.get("retention_coupons", {})),
        ("/import_allowance", data.get("import_allowance", {})),
    ):
        amounts.extend((f"{where}/{key}", amount) for key, amount in table_of_amounts.items())
    for where, amount in amounts:
        if _minor(amount, data["currency"]) is None:
            expected = f'an amount in {data["currency"]} such as "{_example(data["currency"])}"'
            yield f"{where}: expected {expected}, found {_shown(amount)}"


def _example(currency: str) -> str:
    return format_money(2500 * 10 ** CURRENCIES[currency] // 100, currency)


def _minor(amount: Any, currency: str) -> int | None:
    try:
        return parse_money(amount, currency)
    except (ValueError, TypeError):
        return None


def check_versions(files: list[dict[str, Any]]) -> list[str]:
    """What is wrong between files that each pass alone.

    ``files`` are the contents of all program files that are in use together. Versions of one program must agree in
    what the ledger's entries are written in (measure, currency, time zone, the ladder of tiers), and all programs
    share one currency, because an event in another one is refused (rules 1.2).
    """
    messages = []
    first: dict[str, dict[str, Any]] = {}
    seen: set[tuple[str, str]] = set()
    starts: set[tuple[str, str]] = set()
    for data in files:
        program, version = data["id"], data["version"]
        name = f"{program} {version}"
        if (program, version) in seen:
            messages.append(f"{name}: this version stands twice")
        if (program, data["effective_from"]) in starts:
            messages.append(f"{name}: another version of it is effective from {data['effective_from']} as well")
        seen.add((program, version))
        starts.add((program, data["effective_from"]))
        other = first.setdefault(program, data)
        messages += [
            f"{name}: /{field} is {data[field]!r}, but version {other['version']} has {other[field]!r};"
            " it can't change between versions: make a new program"
            for field in ("measure", "currency", "time_zone")
            if other[field] != data[field]
        ]
        if [tier["code"] for tier in other["tiers"]] != [tier["code"] for tier in data["tiers"]]:
            messages.append(f"{name}: /tiers: the codes and their order can't change between versions")
        if other["demotion"]["basis"] != data["demotion"]["basis"]:
            messages.append(f"{name}: /demotion/basis can't change between versions")
    currencies = sorted({data["currency"] for data in files})
    if len(currencies) > 1:
        messages.append(f"all programs share one currency, found {', '.join(currencies)}")
    return messages
