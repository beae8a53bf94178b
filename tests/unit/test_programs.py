"""Program files (contract 2.6): what they hold, how they are checked, and what reading them gives."""

from __future__ import annotations

import copy
import json
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules import program_check
from club_rules import programs as module
from club_rules.messages import messages_for
from club_rules.program_check import Check, check_program, check_versions, fields, one_of, table, whole
from club_rules.programs import InvalidProgram, Program, Programs, Purchase, check_file, load_programs
from club_rules.standing import Counts
from club_rules.views import statement_entry, summary
from tests.unit.member import SHIPPED, Member, after, changed, line, noon, reconcile

REMOVED = object()
ENGLISH = messages_for("en")


def edited(program: str, pointer: str, value: Any) -> dict[str, Any]:
    """A shipped file with another value at a JSON pointer; ``REMOVED`` takes the field away."""
    data = copy.deepcopy(SHIPPED[program])
    *path, last = pointer.removeprefix("/").split("/")
    inner: Any = data
    for name in path:
        inner = inner[int(name)] if isinstance(inner, list) else inner.setdefault(name, {})
    if isinstance(inner, list):
        inner[int(last)] = value
    elif value is REMOVED:
        del inner[last]
    else:
        inner[last] = value
    return data


# --- what is shipped


def test_the_shipped_programs_are_in_order() -> None:
    assert {name: check_program(data) for name, data in SHIPPED.items()} == {"club": [], "crowns": [], "vip": []}
    assert check_versions(list(SHIPPED.values())) == []
    assert load_programs().ids == ("club", "crowns", "vip")
    assert load_programs() is load_programs()


def test_the_constants_of_the_rules_stand_in_the_files() -> None:
    """Rules 1.4 to 1.6 and 1.8, number by number."""
    club, crowns, vip = (SHIPPED[name] for name in ("club", "crowns", "vip"))
    tiers = {name: [(t["code"], t["from"]) for t in data["tiers"]] for name, data in SHIPPED.items()}
    assert tiers == {
        "club": [("A0", 0), ("A1", 1), ("A2", 100), ("A3", 500), ("A4", 2000)],
        "crowns": [("none", 0), ("Silver", 1), ("Gold", 101), ("Platinum", 501), ("Diamond", 1501)],
        "vip": [("none", "0.00"), ("Silver", "999.00"), ("Gold", "3999.00"), ("Platinum", "6999.00")],
    }
    assert [data["window_days"] for data in (club, crowns, vip)] == [365, 365, 90]
    assert {(d["currency"], d["time_zone"]) for d in SHIPPED.values()} == {("USD", "UTC")}
    assert club["demotion"] == crowns["demotion"]
    assert (club["demotion"]["to"], club["demotion"]["grace_days"]) == ("to_qualified", 0)
    assert vip["demotion"]["period_days"] == 90
    assert {tuple(d["demotion"]["limit"].values()) for d in SHIPPED.values()} == {(20, 20)}
    privileges = {p["code"]: p for p in club["privileges"]}
    assert privileges["expedited_refund"]["limits"] == {"A3": "25.00", "A4": "100.00"}
    assert privileges["expedited_refund"]["velocity"] == {
        "hours": 30 * 24,
        "approvals_at_most": 5,
        "value_at_most_limits": 4,
    }
    assert (privileges["dispute_acceleration"]["from_tier"], privileges["dispute_acceleration"]["days"]) == ("A4", 5)
    assert (privileges["discount_news"]["from_tier"], privileges["price_alerts"]["from_tier"]) == ("A0", "A1")
    assert crowns["privileges"] == [
        {"code": "exclusive_prices", "percent": {"Silver": 1, "Gold": 2, "Platinum": 3, "Diamond": 5}}
    ]
    coupons = crowns["rewards"]["tier_coupons"]
    assert (coupons["issue_day"], coupons["valid_through_day"]) == (8, 14)
    assert {tier: (c["count"], c["value"]) for tier, c in coupons["coupons"].items()} == {
        "Silver": (1, "1.00"),
        "Gold": (2, "2.00"),
        "Platinum": (3, "5.00"),
        "Diamond": (5, "10.00"),
    }
    gifts = [crowns["rewards"][name] for name in ("birthday_gift", "anniversary_gift")]
    assert [(gift["from_tier"], gift["valid_days"]) for gift in gifts] == [("Silver", 30), ("Silver", 30)]
    assert gifts[0]["set_days_before"] == 2
    assert vip["rewards"]["retention_coupons"] == {"Silver": "5.00", "Gold": "10.00", "Platinum": "15.00"}
    assert vip["import_allowance"] == {"RU": "1000.00", "BY": "200.00"}
    assert [p["code"] for p in vip["privileges"]] == ["personal_manager", "seasonal_sales", "members_sale"]


# --- one message for each fault: it names the place, and what is expected there


FAULTS: list[tuple[str, str, Any, str]] = [
    # the file
    ("club", "/id", REMOVED, "/id: missing"),
    ("club", "/id", "club/2", "/id: expected letters, digits, '.', '_' or '-' (at most 64), found \"club/2\""),
    ("club", "/version", 2017, "/version: expected letters, digits, '.', '_' or '-' (at most 64), found 2017"),
    ("club", "/effective_from", "2017-13-01", '/effective_from: expected a day such as "2017-06-01"'),
    ("club", "/effective_from", "2017-W01-1", '/effective_from: expected a day such as "2017-06-01"'),
    ("club", "/effective_from", 20170601, '/effective_from: expected a day such as "2017-06-01", found 20170601'),
    ("club", "/title", " ", '/title: expected a text of 1 to 500 characters, found " "'),
    ("club", "/titles", {}, "/titles: expected an object with at least one entry, found {}"),
    ("club", "/titles", ["Клуб"], "/titles: expected an object with at least one entry, found"),
    ("club", "/titles/ru", "", '/titles/ru: expected a text of 1 to 500 characters, found ""'),
    ("club", "/titles/en", "Club", "/titles/en: expected one of ru"),
    ("club", "/titles/r~u", "Club", "/titles/r~0u: expected one of ru"),
    ("club", "/note", None, "/note: expected a text of 1 to 500 characters, found null"),
    ("club", "/currency", "EURO", '/currency: expected an ISO 4217 code such as "USD", found "EURO"'),
    ("club", "/currency", ["USD"], '/currency: expected an ISO 4217 code such as "USD", found ["USD"]'),
    ("club", "/time_zone", "Mars/Base", '/time_zone: expected an IANA time zone such as "Europe/Moscow"'),
    ("club", "/measure", "money", '/measure: expected one of points, spend, found "money"'),
    ("club", "/window_days", 0, "/window_days: expected a whole number from 1 to 3660, found 0"),
    ("club", "/window_days", 365.0, "/window_days: expected a whole number from 1 to 3660, found 365.0"),
    ("club", "/window_days", True, "/window_days: expected a whole number from 1 to 3660, found true"),
    ("club", "/window_days", "365", '/window_days: expected a whole number from 1 to 3660, found "365"'),
    ("club", "/windw_days", 365, "/windw_days: unknown field; known here: id, version, effective_from,"),
    ("club", "/a~b", 1, "/a~0b: unknown field; known here: id,"),
    # tiers
    ("club", "/tiers", [], "/tiers: expected a list of at least 1, found []"),
    ("club", "/tiers", {}, "/tiers: expected a list of at least 1, found {}"),
    ("club", "/tiers/1", "A1", '/tiers/1: expected an object, found "A1"'),
    ("club", "/tiers/1/from", REMOVED, "/tiers/1/from: missing"),
    ("club", "/tiers/1/from", "1", '/tiers/1/from: expected a whole number of points, found "1"'),
    ("club", "/tiers/1/from", -1, "/tiers/1/from: expected a whole number of points, found -1"),
    ("club", "/tiers/0/from", 1, "/tiers/0/from: the lowest tier starts at 0, found 1"),
    ("club", "/tiers/2/from", 1, "/tiers/2/from: the thresholds must rise from tier to tier, found 1"),
    ("club", "/tiers/2/code", "A1", '/tiers/2/code: "A1" stands twice'),
    ("club", "/tiers/2/code", "A 2", "/tiers/2/code: expected letters, digits,"),
    ("vip", "/tiers/1/from", 999, '/tiers/1/from: expected an amount in quotes such as "25.00", found 999'),
    ("vip", "/tiers/1/from", "999", '/tiers/1/from: expected an amount in quotes such as "25.00", found "999"'),
    # earning
    ("club", "/earning", None, "/earning: expected an object, found null"),
    ("club", "/earning/gifts", {}, "/earning/gifts: unknown field; known here: purchase, daily_shopping,"),
    ("club", "/earning/purchase/points_per_currency_unit", 0, "/earning/purchase/points_per_currency_unit: expected"),
    (
        "club",
        "/earning/purchase/minimum_unit_price",
        2,
        '/earning/purchase/minimum_unit_price: expected an amount in quotes such as "25.00", found 2',
    ),
    (
        "club",
        "/earning/purchase/minimum_unit_price",
        "2",
        '/earning/purchase/minimum_unit_price: expected an amount in USD such as "25.00", found "2"',
    ),
    ("club", "/earning/purchase/minimum_unit_price", "02.00", "/earning/purchase/minimum_unit_price: expected"),
    ("club", "/earning/purchase/seller_order_cap/days", REMOVED, "/earning/purchase/seller_order_cap/days: missing"),
    ("club", "/earning/purchase/seller_order_cap/orders", 0, "/earning/purchase/seller_order_cap/orders: expected"),
    ("club", "/earning/purchase/item_unit_cap/units", 1.5, "/earning/purchase/item_unit_cap/units: expected a whole"),
    (
        "crowns",
        "/earning/purchase/excluded_flags/1",
        "used",
        "/earning/purchase/excluded_flags/1: expected one of preorder, prepaid, gift, preferential_shipping, fraud",
    ),
    ("crowns", "/earning/purchase/excluded_flags", "gift", "/earning/purchase/excluded_flags: expected a list"),
    ("club", "/earning/daily_shopping", {}, '/earning/daily_shopping: expected either "points_per_day" or'),
    (
        "crowns",
        "/earning/daily_shopping/points_per_day",
        5,
        '/earning/daily_shopping: expected either "points_per_day" or "points_per_order"',
    ),
    (
        "club",
        "/earning/daily_shopping/points_per_day_at_most",
        5,
        '/earning/daily_shopping/points_per_day_at_most: goes with "points_per_order" only',
    ),
    ("club", "/earning/purchase", REMOVED, '/earning/daily_shopping: needs "purchase": it counts orders with'),
    ("crowns", "/earning/purchase", REMOVED, '/earning/variety: needs "purchase": it counts orders with'),
    ("crowns", "/earning/variety/points_per_day_at_most", REMOVED, "/earning/variety/points_per_day_at_most: miss"),
    ("crowns", "/earning/visit/points", "1", "/earning/visit/points: expected a whole number from 1 to 1000000"),
    ("crowns", "/earning/review/points_per_day_at_most", 1, "/earning/review/points_per_day_at_most: unknown field"),
    ("club", "/earning/spend", {}, '/earning: a program that measures spend has just "spend" here'),
    ("vip", "/earning", {}, '/earning: a program that measures spend has just "spend" here'),
    ("vip", "/earning/review", {"points": 1}, '/earning: a program that measures spend has just "spend" here'),
    ("vip", "/earning/spend/percent", 5, "/earning/spend/percent: unknown field; known here: none"),
    # demotion
    ("club", "/demotion", [], '/demotion/basis: expected "window" (reviewed daily) or "period"'),
    ("club", "/demotion/basis", "year", '/demotion/basis: expected "window" (reviewed daily) or "period" (held for so'),
    ("club", "/demotion/to", "bottom", '/demotion/to: expected one of to_qualified, one_down, found "bottom"'),
    ("club", "/demotion/grace_days", 367, "/demotion/grace_days: expected a whole number from 0 to 366, found 367"),
    ("club", "/demotion/period_days", 90, "/demotion/period_days: unknown field; known here: basis, to, grace_days,"),
    ("vip", "/demotion/period_days", REMOVED, "/demotion/period_days: missing"),
    ("vip", "/demotion/grace_days", 3, "/demotion/grace_days: unknown field; known here: basis, period_days, limit"),
    ("club", "/demotion/limit/percent_of_tier", 101, "/demotion/limit/percent_of_tier: expected a whole number from 1"),
    ("club", "/demotion/limit/members_at_least", -1, "/demotion/limit/members_at_least: expected a whole number"),
    ("vip", "/demotion/days_after_undoing", 0, "/demotion/days_after_undoing: expected a whole number"),
    # privileges
    ("club", "/privileges", {}, "/privileges: expected a list of at least 0, found {}"),
    ("club", "/privileges/0", 5, "/privileges/0: expected an object, found 5"),
    ("club", "/privileges/0/code", 7, "/privileges/0/code: expected letters, digits,"),
    ("club", "/privileges/0/from_tier", REMOVED, "/privileges/0/from_tier: missing"),
    ("club", "/privileges/0/from_tier", "A9", '/privileges/0/from_tier: the tier "A9" is not among this program\'s'),
    ("club", "/privileges/1/code", "discount_news", '/privileges/1/code: "discount_news" stands twice'),
    ("club", "/privileges/2/enabled", "yes", '/privileges/2/enabled: expected true or false, found "yes"'),
    ("club", "/privileges/2/enabled", 1, "/privileges/2/enabled: expected true or false, found 1"),
    ("club", "/privileges/2/limits", {}, "/privileges/2/limits: expected an object with at least one entry, found {}"),
    ("club", "/privileges/2/limits/A3", 25, '/privileges/2/limits/A3: expected an amount in quotes such as "25.00"'),
    ("club", "/privileges/2/limits/A3", "25.0", '/privileges/2/limits/A3: expected an amount in USD such as "25.00"'),
    ("club", "/privileges/2/limits/B9", "25.00", '/privileges/2/limits/B9: the tier "B9" is not among this program\'s'),
    ("club", "/privileges/2/velocity/hours", 0, "/privileges/2/velocity/hours: expected a whole number from 1 to 8784"),
    ("club", "/privileges/2/first_scan_required", 0, "/privileges/2/first_scan_required: expected true or false"),
    ("club", "/privileges/3/days", 0, "/privileges/3/days: expected a whole number from 1 to 365, found 0"),
    ("crowns", "/privileges/0/percent/Gold", 0, "/privileges/0/percent/Gold: expected a whole number from 1 to 100"),
    ("crowns", "/privileges/0/percent/Iron", 9, '/privileges/0/percent/Iron: the tier "Iron" is not among'),
    # penalties
    ("crowns", "/penalties/rudeness", {"points": 1, "days": 1}, "/penalties/rudeness: expected one of return_abuse,"),
    ("crowns", "/penalties/spam/days", REMOVED, "/penalties/spam/days: missing"),
    ("crowns", "/penalties/spam/points", REMOVED, '/penalties/spam: expected either "points" or "percent"'),
    ("crowns", "/penalties/spam/percent", 5, '/penalties/spam: expected either "points" or "percent"'),
    ("crowns", "/penalties/extortion/percent", 101, "/penalties/extortion/percent: expected a whole number"),
    ("crowns", "/penalties/extortion/tier_days", REMOVED, '/penalties/extortion: "tier_at_most" and "tier_days" go'),
    ("crowns", "/penalties/extortion/tier_days", 181, "/penalties/extortion/tier_days: at most the penalty's own days"),
    ("crowns", "/penalties/extortion/tier_at_most", "Iron", '/penalties/extortion/tier_at_most: the tier "Iron" is'),
    ("crowns", "/penalties", {}, "/penalties: expected an object with at least one entry, found {}"),
    ("vip", "/penalties", {"spam": {"points": 1, "days": 1}}, "/penalties: a program that measures spend has none"),
    (
        "crowns",
        "/demotion",
        SHIPPED["vip"]["demotion"],
        '/penalties: need the demotion basis "window": the tier follows a penalty at once (rules 1.8)',
    ),
    # rewards
    ("crowns", "/rewards/tier_coupons/issue_day", 31, "/rewards/tier_coupons/issue_day: expected a whole number"),
    ("crowns", "/rewards/tier_coupons/coupons/Gold/count", 0, "/rewards/tier_coupons/coupons/Gold/count: expected"),
    ("crowns", "/rewards/tier_coupons/coupons/Gold/value", "2", "/rewards/tier_coupons/coupons/Gold/value: expected"),
    ("crowns", "/rewards/tier_coupons/coupons/Iron", {"count": 1, "value": "1.00"}, "/rewards/tier_coupons/coupons/Ir"),
    ("crowns", "/rewards/birthday_gift/from_tier", "Iron", '/rewards/birthday_gift/from_tier: the tier "Iron" is not'),
    ("crowns", "/rewards/anniversary_gift/valid_days", 0, "/rewards/anniversary_gift/valid_days: expected a whole"),
    ("vip", "/rewards/retention_coupons/Iron", "5.00", '/rewards/retention_coupons/Iron: the tier "Iron" is not'),
    ("vip", "/rewards/retention_coupons/Gold", "10", "/rewards/retention_coupons/Gold: expected an amount in USD"),
    ("vip", "/import_allowance/RU", "1000", "/import_allowance/RU: expected an amount in USD such as"),
    ("vip", "/import_allowance/RU", 1000, "/import_allowance/RU: expected an amount in quotes such as"),
    ("club", "/title", "x" * 501, '/title: expected a text of 1 to 500 characters, found "xxx'),
    # what was found is shown, and what there would have been
    ("club", "/time_zone", "Mars", '/time_zone: expected an IANA time zone such as "Europe/Moscow", found "Mars"'),
    (
        "club",
        "/demotion/basis",
        "week",
        '/demotion/basis: expected "window" (reviewed daily) or "period" (held for so many days), found "week"',
    ),
    (
        "club",
        "/privileges/1/from_tier",
        "A9",
        '/privileges/1/from_tier: the tier "A9" is not among this program\'s tiers: A0, A1, A2, A3, A4',
    ),
    ("club", "/privileges/1/code", [], "/privileges/1/code: expected letters"),
    ("club", "/tiers/4/from", 10**9 + 1, "/tiers/4/from: expected a whole number of points, found 1000000001"),
    (
        "crowns",
        "/rewards/anniversary_gift/from_tier",
        "Iron",
        '/rewards/anniversary_gift/from_tier: the tier "Iron" is not',
    ),
    (
        "crowns",
        "/rewards/anniversary_gift/gift/value",
        "1",
        "/rewards/anniversary_gift/gift/value: expected an amount in USD",
    ),
]


NAMES = [f"{n}-{program}{pointer}" for n, (program, pointer, *_) in enumerate(FAULTS)]


@pytest.mark.parametrize(("program", "pointer", "value", "message"), FAULTS, ids=NAMES)
def test_a_fault_is_named_by_its_place_and_what_is_expected(
    program: str, pointer: str, value: Any, message: str
) -> None:
    found = check_program(edited(program, pointer, value))
    assert any(each.startswith(message) for each in found), found


def endless() -> list[Any]:
    found: list[Any] = []
    for _ in range(100_000):
        found = [found]
    return found


def worst(value: Any, where: str) -> Iterator[str]:
    """A check that nothing passes."""
    yield f"{where}: {value!r}"


@pytest.mark.parametrize(
    ("make", "value", "expected"),
    [
        (lambda: whole(1, 3), 1, []),
        (lambda: whole(1, 3), 3, []),
        (lambda: whole(1, 3), 0, ["/x: expected a whole number from 1 to 3, found 0"]),
        (lambda: whole(1, 3), 4, ["/x: expected a whole number from 1 to 3, found 4"]),
        (lambda: whole(1, 3), True, ["/x: expected a whole number from 1 to 3, found true"]),
        (lambda: one_of("a", "b"), "b", []),
        (lambda: one_of("a", "b"), "c", ['/x: expected one of a, b, found "c"']),
        (lambda: fields({}), {"y": 1}, ["/x/y: unknown field; known here: none"]),
        (
            lambda: fields({"a": worst}, {"b": worst}),
            {"b": 1, "c/d": 2},
            ["/x/a: missing", "/x/b: 1", "/x/c~1d: unknown field; known here: a, b"],
        ),
        (lambda: fields({}), "y" * 98, [f'/x: expected an object, found "{"y" * 98}"']),
        (lambda: fields({}), "y" * 99, [f'/x: expected an object, found "{"y" * 96}...']),
        (lambda: fields({}), endless(), ["/x: expected an object, found something nested without end"]),
        (lambda: fields({}), [], ["/x: expected an object, found []"]),
        (lambda: program_check.each(worst), [], []),
        (lambda: program_check.each(worst), [7, 8], ["/x/0: 7", "/x/1: 8"]),
        (lambda: program_check.each(worst, 1), [7], ["/x/0: 7"]),
        (lambda: program_check.each(worst, 1), [], ["/x: expected a list of at least 1, found []"]),
        (lambda: program_check.each(worst), {}, ["/x: expected a list of at least 0, found {}"]),
        (lambda: table(worst), {"a/b": 7}, ["/x/a~1b: 7"]),
        (lambda: table(worst, ("a", "b")), {"b": 7, "c": 8}, ["/x/b: 7", "/x/c: expected one of a, b", "/x/c: 8"]),
        (lambda: table(worst), {}, ["/x: expected an object with at least one entry, found {}"]),
        (lambda: table(worst), [7], ["/x: expected an object with at least one entry, found [7]"]),
    ],
)
def test_a_check_of_one_kind(make: Callable[[], Check], value: Any, expected: list[str]) -> None:
    """Made here: those of the programs were made when the module was read."""
    assert list(make()(value, "/x")) == expected


def test_every_fault_is_named_not_only_the_first() -> None:
    data = edited("club", "/window_days", 0)
    data["tiers"][1]["code"] = "?"
    data["earning"]["review"]["points"] = None
    del data["title"]
    data["extra"] = 1
    assert sorted(message.split(":")[0] for message in check_program(data)) == [
        "/earning/review/points",
        "/extra",
        "/tiers/1/code",
        "/title",
        "/window_days",
    ]


def test_every_fault_of_sense_is_named_too() -> None:
    data = edited("club", "/tiers/1/from", "one")
    data["tiers"][2]["from"] = 600
    data["tiers"][4]["code"] = "A3"
    data["privileges"][2]["limits"]["A3"] = "25"
    assert sorted(message.split(":")[0] for message in check_program(data)) == [
        "/privileges/2/limits/A3",
        "/privileges/2/limits/A4",  # the tier A4 is gone
        "/privileges/3/from_tier",
        "/tiers/1/from",
        "/tiers/3/from",
        "/tiers/4/code",
    ]


@pytest.mark.parametrize(
    ("pointer", "value", "expected"),
    [
        # the tiers can be read all the same
        ("/window_days", 0, ["/tiers/1/from", "/window_days"]),
        # in what the thresholds are is not known
        ("/measure", "steps", ["/measure"]),
        ("/measure", REMOVED, ["/measure"]),
        ("/currency", "XXX", ["/currency"]),
        ("/currency", REMOVED, ["/currency"]),
        ("/tiers", REMOVED, ["/tiers"]),
        ("/tiers/2/code", "?", ["/tiers/2/code"]),
    ],
)
def test_tiers_are_looked_at_where_they_can_be_read(pointer: str, value: Any, expected: list[str]) -> None:
    data = edited("club", pointer, value)
    if "tiers" in data:
        data["tiers"][1]["from"] = 0
    assert sorted(message.split(":")[0] for message in check_program(data)) == expected


def test_of_a_file_that_is_no_object_the_file_is_named() -> None:
    named = ["the file: expected an object, found []"]
    assert check_program([]) == list(fields({})([], "")) == named
    found = check_program({"tiers": [{"code": "a", "from": 1}], "measure": "points", "currency": "USD"})
    assert "/tiers/0/from: the lowest tier starts at 0, found 1" in found


def test_what_lies_at_its_bound_is_good() -> None:
    assert check_program(edited("club", "/title", "x" * 500)) == []
    assert check_program(edited("club", "/tiers/4/from", 10**9)) == []
    assert check_program(edited("crowns", "/rewards/tier_coupons/valid_through_day", 8)) == []
    assert check_program(edited("crowns", "/penalties/extortion/tier_days", 180)) == []
    assert check_program(edited("crowns", "/penalties/extortion/tier_days", 181)) == [
        "/penalties/extortion/tier_days: at most the penalty's own days, 180"
    ]


def test_examples_in_messages_are_of_the_programs_own_currency() -> None:
    yen = check_program(changed("club", currency="JPY"))
    assert '/earning/purchase/minimum_unit_price: expected an amount in JPY such as "25", found "2.00"' in yen
    dinar = changed("vip", currency="KWD")
    assert any('such as "25.000"' in message for message in check_program(dinar))


def test_a_long_find_is_cut_short() -> None:
    (message,) = check_program(edited("club", "/title", "x" * 100_000))
    assert message.startswith('/title: expected a text of 1 to 500 characters, found "xxx')
    assert len(message) < 250


PATHS = ["", ".", "..", "../UTC", "/etc/passwd", "America", "\0", "\ud800", "x" * 5000, "utc "]
ZONES_THAT_ARE_NONE: list[Any] = [*PATHS, 5, None, [], {}]


@pytest.mark.parametrize("zone", ZONES_THAT_ARE_NONE, ids=lambda zone: ascii(zone)[:12])
def test_what_is_no_time_zone(zone: Any) -> None:
    (message,) = check_program(edited("club", "/time_zone", zone))
    assert message.startswith("/time_zone: expected an IANA time zone")


@pytest.mark.parametrize("zone", ["UTC", "Europe/Moscow", "America/New_York", "Asia/Kolkata", "Pacific/Apia"])
def test_what_is_a_time_zone(zone: str) -> None:
    assert check_program(edited("club", "/time_zone", zone)) == []


def test_a_program_in_utc_pays_for_no_zones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr("zoneinfo.ZoneInfo")
    assert check_program(SHIPPED["club"]) == []
    assert Program(SHIPPED["club"]).zone is None


# --- whatever stands in a file

leaves = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
keys = st.text(max_size=8)
anything = st.recursive(leaves, lambda inner: st.lists(inner) | st.dictionaries(keys, inner), max_leaves=8)
words = st.sampled_from(
    [
        *("points", "spend", "window", "period", "one_down", "USD", "JPY", "KWD", "UTC", "Asia/Kolkata", "gift", "A1"),
        *("0.00", "2.00", "1000000000.00", "2017-06-01", "none", "Silver", "expedited_refund"),
        *(0, 1, 2, 90, 366, True, False),
    ]
)


def places(value: Any, where: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The paths of all values within a value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [where, *(path for key, each in inner for path in places(each, (*where, key)))]


def _at(value: Any, path: Iterable[Any]) -> Any:
    for name in path:
        value = value[name]
    return value


@st.composite
def nearly_programs(draw: st.DrawFn) -> Any:
    """A shipped file in which a few values are replaced, taken away, or moved from elsewhere in it."""
    data: Any = copy.deepcopy(SHIPPED[draw(st.sampled_from(sorted(SHIPPED)))])
    for _ in range(draw(st.integers(1, 3))):
        paths = places(data)[1:]
        if not paths:
            break
        *path, last = draw(st.sampled_from(paths))
        inner = _at(data, path)
        what = draw(st.sampled_from(["tune", "tune", "tune", "replace", "word", "remove", "copy"]))
        if what == "tune":
            tuned = [where for where in paths if type(_at(data, where)) is int]
            if tuned:
                *path, last = draw(st.sampled_from(tuned))
                _at(data, path)[last] = draw(st.integers(0, 400))
        elif what == "remove":
            del inner[last]
        elif what == "copy":
            inner[last] = copy.deepcopy(_at(data, draw(st.sampled_from(paths))))
        else:
            inner[last] = draw(words if what == "word" else anything)
    return data


@settings(max_examples=150)
@given(anything)
def test_no_json_value_makes_the_check_raise(value: Any) -> None:
    messages = check_program(value)
    assert messages  # nothing that short is a program
    assert all(message.startswith(("/", "the file: ")) for message in messages)


@settings(max_examples=250)
@given(nearly_programs())
def test_what_passes_the_check_can_be_used(data: Any) -> None:
    """Either the check names a place, or the rules work with the file."""
    messages = check_program(data)
    assert all(message.startswith(("/", "the file: ")) for message in messages)
    if messages:
        with pytest.raises(InvalidProgram):
            Programs([data])
        return
    member = Member(Programs([data]))
    unit = {"JPY": "7", "KWD": "7.000"}.get(data["currency"], "7.00")
    member.buys("o-1", line(unit, quantity=12, category="tea"), line(unit, item="i-2"), on="2026-03-10")
    member.does("review.posted", {"order_id": "o-1", "item_id": "i-1"})
    member.does("visit.recorded")
    member.does("post.published", {"post_id": "p-1"})
    for kind in ("spam", "extortion"):
        member.does("violation.confirmed", {"case_id": kind, "kind": kind})
    member.returns("o-1", i_1=1)
    for days in (31, 400, 5000):
        member.on(after("2026-03-10", days))
        shown = summary(member.account, member.programs, member.clock, Counts(1, {}), ENGLISH)
        assert json.loads(json.dumps(shown)) == shown
    assert member.points(data["id"]) == 0  # in the end all that came has gone
    reconcile(member.entries, member.programs)
    for entry in member.entries:
        if data["id"] in entry["parts"]:
            statement_entry(entry, member.programs.versions(data["id"])[-1], ENGLISH)


# --- between files


def test_versions_of_a_program_must_agree_in_what_entries_are_written_in() -> None:
    first = changed("club")
    other = changed("vip", id="club", version="2", effective_from="2020-01-01")
    other |= {"currency": "EUR", "time_zone": "Asia/Kolkata"}
    assert check_versions([first, other]) == [
        "club 2: /measure is 'spend', but version 2017-06 has 'points'; it can't change between versions:"
        " make a new program",
        "club 2: /currency is 'EUR', but version 2017-06 has 'USD'; it can't change between versions:"
        " make a new program",
        "club 2: /time_zone is 'Asia/Kolkata', but version 2017-06 has 'UTC'; it can't change between versions:"
        " make a new program",
        "club 2: /tiers: the codes and their order can't change between versions",
        "club 2: /demotion/basis can't change between versions",
        "all programs share one currency, found EUR, USD",
    ]


def test_a_version_stands_once_and_starts_on_a_day_of_its_own() -> None:
    assert check_versions([changed("club"), changed("club")]) == [
        "club 2017-06: this version stands twice",
        "club 2017-06: another version of it is effective from 1970-01-01 as well",
    ]
    assert check_versions([changed("club"), changed("club", version="2")]) == [
        "club 2: another version of it is effective from 1970-01-01 as well"
    ]


def test_all_programs_share_one_currency() -> None:
    (message,) = check_versions([changed("club"), changed("vip", currency="EUR")])
    assert message == "all programs share one currency, found EUR, USD"


def test_what_may_change_between_versions() -> None:
    second = changed("club", version="2", effective_from="2020-01-01", window_days=10, title="New")
    second["demotion"] = {**second["demotion"], "to": "one_down", "grace_days": 9}
    second["tiers"][4]["from"] = 9999
    assert check_versions([changed("club"), second]) == []


def test_faults_in_files_are_raised_together_with_the_program_they_are_in() -> None:
    with pytest.raises(InvalidProgram) as raised:
        Programs([edited("club", "/window_days", 0), edited("vip", "/title", ""), 5])  # type: ignore[list-item]
    assert [message.split(": ")[:2] for message in raised.value.messages] == [
        ["club", "/window_days"],
        ["vip", "/title"],
        ["?", "the file"],
    ]
    assert raised.value.code == "invalid_program"
    with pytest.raises(InvalidProgram, match="this version stands twice"):
        Programs([changed("club"), changed("club")])
    with pytest.raises(InvalidProgram, match=r"^invalid_program: there is no program file$"):
        Programs([])


def test_a_program_without_an_id_is_called_by_a_question_mark() -> None:
    with pytest.raises(InvalidProgram) as raised:
        Programs([edited("club", "/id", REMOVED), edited("vip", "/window_days", "x")])
    found = 'vip: /window_days: expected a whole number from 1 to 3660, found "x"'
    assert str(raised.value) == f"invalid_program: ?: /id: missing; {found}"


# --- files


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "the file: must be JSON: "),
        (b"", "the file: must be JSON: "),
        (b"\xff\xfe", "the file: must be UTF-8"),
        (b"[NaN]", "the file: must be JSON: there is no NaN in it"),
        (b'{"window_days": ' + b"9" * 5000 + b"}", "the file: must be JSON: a number has too many digits"),
        (b"[" * 100_000, "the file: must be nested at most 32 levels deep"),
        (b'{"a": {"id": "x", "id": "y"}}', "/id: stands more than once in this object"),
        (b"[]", "the file: expected an object, found []"),
        (b"null", "the file: expected an object, found null"),
        (b'{"note": 7}', "/id: missing"),
    ],
)
def test_a_file_that_can_not_be_used_says_why(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "program.json"
    path.write_bytes(content)
    assert check_file(path)[0].startswith(message)


def test_a_file_that_can_not_be_read_says_why(tmp_path: Path) -> None:
    assert check_file(tmp_path / "none.json")[0].startswith("can't be read: ")
    assert check_file(str(tmp_path))[0].startswith("can't be read: ")


def test_the_shipped_files_pass() -> None:
    paths = sorted(Path(module.__file__).parent.glob("data/*.json"))
    assert [path.name for path in paths] == ["club-2017-06.json", "crowns-2017-06.json", "vip-2017-06.json"]
    assert [check_file(path) for path in paths] == [[], [], []]
    assert check_file(str(paths[0])) == []


# --- versions, looked up


def three() -> Programs:
    """A program with versions from 2020, from 2021 and from 2022, given in another order, beside vip."""
    files = [changed("club", version=str(n), effective_from=f"{n}-01-01") for n in (2021, 2022, 2020)]
    files[0]["window_days"] = 10
    return Programs([*files, changed("vip")])


@pytest.mark.parametrize(
    ("day", "version"),
    [
        ("2019-12-31", None),
        ("2020-01-01", "2020"),
        ("2020-12-31", "2020"),
        ("2021-01-01", "2021"),
        ("2022-01-01", "2022"),
        ("2050-01-01", "2022"),
    ],
)
def test_the_version_in_force_on_a_day(day: str, version: str | None) -> None:
    found = three().on("club", date.fromisoformat(day).toordinal())
    assert (found and found.version) == version
    # an instant before the first version is judged by the first: it has to be judged by something
    assert three().at("club", noon(day)).version == (version or "2020")


def test_versions_by_name_and_in_order() -> None:
    programs = three()
    assert [program.version for program in programs.versions("club")] == ["2020", "2021", "2022"]
    assert programs.version("club", "2021").window == 10
    with pytest.raises(KeyError):
        programs.version("club", "2017-06")
    with pytest.raises(KeyError):
        programs.versions("crowns")
    assert programs.ids == ("club", "vip")
    assert (programs.currency, programs.point_programs) == ("USD", frozenset({"club"}))


def test_a_lot_expires_by_the_version_of_its_day() -> None:
    programs = three()

    def expires(day: str) -> str:
        return date.fromordinal(programs.expires_on("club", date.fromisoformat(day).toordinal())).isoformat()

    assert expires("2020-12-31") == "2021-12-31"
    assert expires("2021-01-01") == "2021-01-11"
    assert expires("2022-01-01") == "2023-01-01"
    assert expires("2019-01-01") == "2020-01-01"  # of before the first version: by the first
    assert programs.expires_on("vip", 100) == 190


def test_what_a_program_answers() -> None:
    club, vip = load_programs().versions("club")[0], load_programs().versions("vip")[0]
    assert [club.tier_for(points) for points in (-5, 0, 1, 99, 100, 2000, 10**9)] == [0, 0, 1, 1, 2, 4, 4]
    assert [vip.tier_for(cents) for cents in (0, 998_99, 999_00, 6999_00)] == [0, 0, 1, 3]
    assert club.tier_index("A3") == 3
    with pytest.raises(ValueError, match="A9"):
        club.tier_index("A9")
    assert club.privilege("dispute_acceleration") == SHIPPED["club"]["privileges"][3]
    assert club.privilege("personal_manager") is None
    assert (club.amount("25.00"), vip.amount("0.01")) == (2500, 1)
    with pytest.raises(ValueError, match="decimal"):
        club.amount("25")
    assert club.start_of(date(2026, 3, 10).toordinal()) == datetime(2026, 3, 10, tzinfo=UTC)
    assert club.day_of(datetime(2026, 3, 10, 23, 59, 59, 999999, tzinfo=UTC)) == date(2026, 3, 10).toordinal()


def test_what_purchases_earn_is_read_from_the_file() -> None:
    caps = {"seller_order_cap": {"orders": 7, "days": 30}, "item_unit_cap": {"units": 4, "days": 40}}
    data = {"points_per_currency_unit": 2, "minimum_unit_price": "1.50"}
    full = Purchase({**data, **caps, "excluded_flags": ["gift"]}, "USD")
    bare = Purchase(data, "USD")
    assert {name: (getattr(full, name), getattr(bare, name)) for name in Purchase.__slots__} == {
        "per_unit": (2, 2),
        "minimum_price": (150, 150),
        "seller_orders": (7, None),
        "seller_days": (30, 0),
        "item_units": (4, None),
        "item_days": (40, 0),
        "excluded_flags": (frozenset({"gift"}), frozenset()),
    }


def test_what_a_file_may_leave_out() -> None:
    data = changed("vip")
    del data["warnings"]
    vip = Program(data)
    assert (vip.grace, vip.warns_before, vip.cap_memory, vip.days_after_undoing) == (0, [], 0, 30)
    assert Program(changed("club", demotion={"grace_days": 3})).grace == 3
    caps = {"seller_order_cap": {"orders": 7, "days": 30}, "item_unit_cap": {"units": 4, "days": 40}}
    for rules, memory in ((caps, 40), ({"seller_order_cap": caps["seller_order_cap"]}, 30), ({}, 0)):
        club = changed("club")
        club["earning"] = {"purchase": {"points_per_currency_unit": 1, "minimum_unit_price": "2.00", **rules}}
        assert Program(club).cap_memory == memory


def test_before_its_first_version_a_program_is_judged_by_it() -> None:
    programs = Programs([changed("club", effective_from="2026-03-10")])
    assert programs.at("club", noon("2026-03-09")) is programs.versions("club")[0]
    with pytest.raises(KeyError, match="club 2018"):
        programs.version("club", "2018")


def test_the_machine_s_own_zone_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """A program in UTC knows no zone at all; one in another gives its instants in UTC."""
    club, vip = Program(changed("club")), Program(changed("vip", time_zone="Asia/Kolkata"))
    day = date(2026, 3, 10).toordinal()
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "Pacific/Kiritimati")
        time.tzset()
        found = (club.day_of(datetime(2026, 3, 10, 23, 59, tzinfo=UTC)), vip.start_of(day))
    time.tzset()
    assert found == (day, datetime(2026, 3, 9, 18, 30, tzinfo=UTC))
    assert found[1].tzinfo is UTC
    assert (club.zone, str(vip.zone)) == (None, "Asia/Kolkata")
