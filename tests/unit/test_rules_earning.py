"""What earns, and which caps cut it off (rules 1.2, 1.4, 1.5): examples worked out by hand."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from club_rules.orders import new_order, undo
from club_rules.programs import Programs
from tests.unit.member import Engine, Member, after, changed, line

DAY = "2026-03-10"


@pytest.fixture
def member() -> Member:
    return Member()


# --- an order, line by line (rules 1.4, purchase 1)


@pytest.mark.parametrize(
    ("lines", "club", "crowns", "vip"),
    [
        (["2.00"], 2 + 5, 2 + 1, 2_00),  # the minimum price is included
        (["2.01"], 2 + 5, 2 + 1, 2_01),
        (["10.99"], 10 + 5, 10 + 1, 10_99),  # rounded down
        (["2.50", "2.50"], 5 + 5, 5 + 1, 5_00),  # once an order, not once a line
        (["2.99", "2.99", "2.99"], 8 + 5, 8 + 1, 8_97),
        (["1.99", "2.00"], 2 + 5, 2 + 1, 3_99),  # vip counts every line
        ([line("3.33", quantity=3)], 9 + 5, 9 + 1, 9_99),
        ([line("999999999.99")], 999_999_999 + 5, 999_999_999 + 1, 99_999_999_999),
    ],
)
def test_an_order_earns_a_point_for_each_whole_unit_and_daily_points(
    member: Member, lines: list, club: int, crowns: int, vip: int
) -> None:
    member.buys("o-1", *lines, on=DAY)
    assert (member.points("club"), member.points("crowns"), member.points("vip")) == (club, crowns, vip)


def test_a_unit_price_below_the_minimum_earns_nothing_and_says_so(member: Member) -> None:
    did = member.buys("o-1", line("1.99", quantity=500), on=DAY)
    assert did["club"] == (0, ["unit_price_below_minimum"])
    assert did["crowns"] == (0, ["unit_price_below_minimum"])
    assert did["vip"] == (995_00, [])
    assert member.entries[-1]["parts"]["club"]["kind"] == "denied"
    assert member.entries[-1]["parts"]["vip"]["kind"] == "accrual"


def test_an_order_that_gives_nothing_at_all_reads_denied_everywhere(member: Member) -> None:
    did = member.buys("o-1", "0.00", on=DAY)
    assert [did[name][0] for name in ("club", "crowns", "vip")] == [0, 0, 0]
    assert {part["kind"] for part in member.entries[-1]["parts"].values()} == {"denied"}


# --- the seller's cap (rules 1.4, purchase 2)


def of_seller(member: Member, orders: int, day: str, first: int = 1) -> list[int]:
    """So many orders of one seller on a day, each of an item of its own; what each earned in the club."""
    return [
        member.buys(f"o-{day}-{n}", line("3.00", item=f"i-{day}-{n}"), on=day)["club"][0]
        for n in range(first, first + orders)
    ]


def test_ten_orders_of_a_seller_count_the_eleventh_does_not(member: Member) -> None:
    assert of_seller(member, 11, DAY) == [3 + 5, 3, 3, 3, 3, 3, 3, 3, 3, 3, 0]
    assert member.why("club") == [("purchase", 0, "seller_order_cap")]
    assert member.why("crowns") == [("purchase", 3, "earned"), ("daily_shopping", 0, "daily_cap")]  # no such cap there


def test_with_nine_others_an_order_of_the_seller_still_counts(member: Member) -> None:
    of_seller(member, 9, DAY)
    assert member.buys("o-10", line("3.00", item="i-10"))["club"] == (3, [])
    assert member.buys("o-11", line("3.00", item="i-11"))["club"] == (0, ["seller_order_cap"])


@pytest.mark.parametrize(("days", "points"), [(1, 0), (364, 0), (365, 3 + 5), (366, 3 + 5)])
def test_the_sellers_cap_reaches_364_days_forward(member: Member, days: int, points: int) -> None:
    of_seller(member, 10, DAY)
    assert member.buys("late", line("3.00", item="i-x"), on=after(DAY, days))["club"][0] == points


@pytest.mark.parametrize(("days", "points"), [(1, 0), (363, 0), (364, 0)])
def test_the_sellers_cap_reaches_364_days_back_for_what_arrives_late(member: Member, days: int, points: int) -> None:
    of_seller(member, 10, DAY)
    assert member.buys("late", line("3.00", item="i-x"), on=after(DAY, -days), posted=DAY)["club"][0] == points


def test_late_orders_count_the_others_on_both_sides(member: Member) -> None:
    of_seller(member, 5, DAY)
    of_seller(member, 5, after(DAY, 300))
    assert of_seller(member, 1, after(DAY, 150)) == [0]
    assert member.buys("other", line("3.00", seller="s-2", item="i-x"), on=after(DAY, 150))["club"] == (3 + 5, [])


def test_in_one_order_the_cap_denies_only_the_lines_of_its_seller(member: Member) -> None:
    of_seller(member, 10, DAY)
    did = member.buys("o-x", line("4.00", item="i-x"), line("7.00", item="i-y", seller="s-2"))
    assert did["club"] == (7, ["seller_order_cap"])


def test_all_lines_of_the_seller_in_the_tenth_order_count(member: Member) -> None:
    of_seller(member, 9, DAY)
    assert member.buys("o-x", line("4.00", item="i-x"), line("7.00", item="i-y"))["club"] == (11, [])


def test_orders_without_counted_units_fill_no_sellers_cap(member: Member) -> None:
    for n in range(10):
        member.buys(f"cheap-{n}", line("1.99", item=f"c-{n}"), on=DAY)
        member.buys(f"fraud-{n}", line("9.00", item=f"f-{n}"), flags=["fraudulent"])
    assert of_seller(member, 11, DAY)[-2:] == [3, 0]


# --- the item's cap (rules 1.4, purchase 3)


@pytest.mark.parametrize(
    ("quantities", "counted", "codes"),
    [
        ([9], 9, []),
        ([10], 10, []),
        ([11], 10, ["item_unit_cap"]),
        ([6, 4], 10, []),
        ([6, 6], 10, ["item_unit_cap"]),
        ([10, 1], 10, ["item_unit_cap"]),
        ([4, 8, 1], 10, ["item_unit_cap", "item_unit_cap"]),
    ],
)
def test_ten_units_of_an_item_count_within_an_order(
    member: Member, quantities: list[int], counted: int, codes: list[str]
) -> None:
    did = member.buys("o-1", *(line("2.00", quantity=n) for n in quantities), on=DAY)
    assert did["club"] == (2 * counted + 5, codes)
    assert did["crowns"] == (2 * sum(quantities) + 1, [])


@pytest.mark.parametrize(
    ("earlier", "now", "counted"), [(8, 2, 2), (9, 2, 1), (9, 1, 1), (10, 1, 0), (10, 5, 0), (25, 1, 0)]
)
def test_ten_units_of_an_item_count_across_orders(member: Member, earlier: int, now: int, counted: int) -> None:
    member.buys("o-1", line("3.00", quantity=earlier), on=DAY)
    assert member.buys("o-2", line("3.00", quantity=now))["club"][0] == 3 * counted


@pytest.mark.parametrize(("days", "counted"), [(364, 0), (365, 1), (-364, 0)])
def test_the_items_cap_reaches_364_days(member: Member, days: int, counted: int) -> None:
    member.buys("o-1", line("3.00", quantity=10), on=DAY)
    did = member.buys("o-2", line("3.00"), on=after(DAY, days))
    assert did["club"][0] == (3 + 5) * counted


def test_other_items_have_caps_of_their_own(member: Member) -> None:
    member.buys("o-1", line("3.00", quantity=10), on=DAY)
    assert member.buys("o-2", line("3.00", item="i-2", quantity=10))["club"] == (30, [])


def test_units_that_do_not_count_fill_no_items_cap(member: Member) -> None:
    member.buys("o-1", line("1.99", quantity=10), on=DAY)
    assert member.buys("o-2", line("2.00", quantity=10))["club"] == (20 + 5, [])


# --- what releases a cap (rules 1.7)


@pytest.mark.parametrize(
    ("what", "counted"),
    [("returns", 3), ("amount", 0), ("full", 5), ("cancelled", 5), ("fraud", 5), ("nothing", 0)],
)
def test_returned_units_cancellation_and_fraud_release_the_items_cap_an_amount_does_not(
    member: Member, what: str, counted: int
) -> None:
    member.buys("o-1", line("4.00", quantity=10), on=DAY)
    if what == "returns":
        member.returns("o-1", i_1=3)
    elif what == "amount":
        assert member.gets_back("o-1", "40.00")["club"][0] == -45
    elif what == "full":
        member.gets_all_back("o-1")
    elif what != "nothing":
        member.does({"cancelled": "order.cancelled", "fraud": "order.flagged_fraudulent"}[what], {"order_id": "o-1"})
    did = member.buys("o-2", line("4.00", quantity=5), on=after(DAY, 1))
    assert did["club"][0] == (4 * counted + 5 if counted else 0)


@pytest.mark.parametrize(
    ("what", "points"), [("returns", 3), ("amount", 0), ("full", 3), ("cancelled", 3), ("fraud", 3), ("half", 0)]
)
def test_the_sellers_cap_is_released_with_the_last_counted_unit(member: Member, what: str, points: int) -> None:
    member.buys("o-1", line("4.00", item="i-1", quantity=2), on=DAY)
    of_seller(member, 9, DAY)
    if what in ("returns", "half"):
        member.returns("o-1", i_1=2 if what == "returns" else 1)
    elif what == "amount":
        member.gets_back("o-1", "8.00")
    elif what == "full":
        member.gets_all_back("o-1")
    else:
        member.does({"cancelled": "order.cancelled", "fraud": "order.flagged_fraudulent"}[what], {"order_id": "o-1"})
    assert member.buys("o-x", line("3.00", item="i-x"))["club"][0] == points


def test_units_that_never_counted_release_nothing(member: Member) -> None:
    member.buys("o-1", line("4.00", quantity=14), on=DAY)  # 10 count, 4 don't
    member.returns("o-1", i_1=4)
    assert member.points() == 45
    assert member.buys("o-2", line("4.00"))["club"] == (0, ["item_unit_cap"])
    member.returns("o-1", i_1=1)
    assert member.buys("o-3", line("4.00", quantity=2))["club"] == (4, ["item_unit_cap"])


def test_no_denied_accrual_is_granted_when_a_cap_is_released(member: Member) -> None:
    member.buys("o-1", line("4.00", quantity=10), on=DAY)
    member.buys("o-2", line("4.00", quantity=2))
    member.does("order.cancelled", {"order_id": "o-1"})
    assert member.points() == 0  # o-2 stays denied, and with it the day's 5 points
    assert "club" not in member.gets_all_back("o-2")


# --- daily shopping (rules 1.4, 1.5)


def test_daily_shopping_in_the_club_goes_to_the_first_order_with_points_of_a_day(member: Member) -> None:
    assert member.buys("o-1", "1.99", on=DAY)["club"][0] == 0
    assert member.buys("o-2", "2.00")["club"][0] == 2 + 5
    assert member.buys("o-3", "2.00")["club"][0] == 2
    assert member.buys("o-4", "2.00", on=after(DAY, 1))["club"][0] == 2 + 5
    assert member.buys("o-5", "2.00", on=DAY, posted=after(DAY, 2))["club"][0] == 2  # late, for a day that has them


def test_daily_shopping_in_crowns_is_a_point_an_order_at_most_five(member: Member) -> None:
    found = [member.buys(f"o-{n}", "2.00", on=DAY)["crowns"] for n in range(1, 8)]
    assert found == [(3, []), (3, []), (3, []), (3, []), (3, []), (2, ["daily_cap"]), (2, ["daily_cap"])]


def test_six_orders_one_refunded_five_daily_points_still_stand(member: Member) -> None:
    for n in range(1, 7):
        member.buys(f"o-{n}", "2.00", on=DAY)
    assert (member.points("crowns"), member.points("club")) == (12 + 5, 12 + 5)
    assert member.gets_all_back("o-2")["crowns"] == (-2, [])
    assert member.points("crowns") == 10 + 5
    assert member.gets_all_back("o-6")["crowns"] == (-3, [])  # now four orders are left
    assert member.points("crowns") == 8 + 4
    assert member.points("club") == 8 + 5
    assert member.buys("o-8", "2.00")["crowns"] == (3, [])  # and the fifth counts again


def test_an_order_whose_points_are_refunded_by_amounts_is_no_longer_an_order_of_the_day(member: Member) -> None:
    member.buys("o-1", "2.50", on=DAY)
    assert member.gets_back("o-1", "0.50")["club"][0] == 0  # 2.00 is left: 2 points
    assert member.gets_back("o-1", "1.01")["club"][0] == -2 - 5  # 0.99 is left: none
    assert (member.points("club"), member.points("crowns")) == (0, 0)


def test_the_last_point_of_an_order_keeps_the_daily_points(member: Member) -> None:
    member.buys("o-1", "10.00", on=DAY)
    assert member.gets_back("o-1", "9.00")["club"][0] == -9
    assert (member.points("club"), member.points("crowns")) == (1 + 5, 1 + 1)


# --- variety (rules 1.5)


@pytest.mark.parametrize(
    ("categories", "variety", "codes"),
    [
        ([None], 0, []),
        (["tea"], 1, []),
        (["tea", "tea"], 1, []),
        (["tea", None, "toys"], 2, []),
        (["a", "b", "c", "d", "e"], 5, []),
        (["a", "b", "c", "d", "e", "f"], 5, ["daily_cap"]),
    ],
)
def test_variety_is_a_point_a_category_at_most_five(
    member: Member, categories: list[str | None], variety: int, codes: list[str]
) -> None:
    did = member.buys("o-1", *(line("2.00", item=f"i-{n}", category=c) for n, c in enumerate(categories)), on=DAY)
    assert did["crowns"] == (2 * len(categories) + 1 + variety, codes)
    assert did["club"] == (2 * len(categories) + 5, [])


def test_variety_counts_each_category_once_over_the_days_orders(member: Member) -> None:
    assert member.buys("o-1", line("2.00", category="tea"), on=DAY)["crowns"] == (2 + 1 + 1, [])
    assert member.buys("o-2", line("2.00", category="tea"))["crowns"] == (2 + 1, [])
    assert member.buys("o-3", line("2.00", category="toys"))["crowns"] == (2 + 1 + 1, [])
    assert member.buys("o-4", line("2.00", category="tea"), on=after(DAY, 1))["crowns"] == (2 + 1 + 1, [])


def test_variety_leaves_out_lines_that_do_not_count_and_orders_without_points(member: Member) -> None:
    member.buys("o-1", line("2.00", category="tea"), line("1.99", item="i-2", category="toys"), on=DAY)
    member.buys("o-2", line("9.00", category="shoes"), flags=["gift"])
    member.buys("o-3", line("9.00", category="music"), flags=["fraudulent"])
    assert member.points("crowns") == 2 + 1 + 1
    assert member.buys("o-4", line("2.00", item="i-2", category="toys"))["crowns"] == (2 + 1 + 1, [])


def test_a_category_goes_with_its_last_unit_of_the_day(member: Member) -> None:
    both = line("3.00", item="i-1", category="tea"), line("3.00", item="i-2", category="toys")
    member.buys("o-1", *both, on=DAY)
    member.buys("o-2", line("3.00", item="i-3", category="tea"))
    assert member.points("crowns") == 9 + 2 + 2
    assert member.returns("o-1", i_1=1)["crowns"] == (-3, [])  # tea stands in o-2 still
    assert member.returns("o-1", i_2=1)["crowns"] == (-3 - 1 - 1, [])  # toys are gone, and o-1 as an order
    assert member.points("crowns") == 3 + 1 + 1


def test_seven_categories_one_gone_five_points_still_stand(member: Member) -> None:
    member.buys("o-1", *(line("2.00", item=f"i-{n}", category=f"c-{n}") for n in range(7)), on=DAY)
    assert member.points("crowns") == 14 + 1 + 5
    assert member.returns("o-1", i_0=1)["crowns"] == (-2, [])
    assert member.returns("o-1", i_1=1)["crowns"] == (-2, [])
    assert member.returns("o-1", i_2=1)["crowns"] == (-2 - 1, [])


# --- flags


@pytest.mark.parametrize("flag", ["preorder", "prepaid", "gift", "preferential_shipping"])
def test_excluded_orders_earn_nothing_in_crowns_alone(member: Member, flag: str) -> None:
    did = member.buys("o-1", line("12.00", category="tea"), on=DAY, flags=[flag])
    assert did == {"club": (17, []), "crowns": (0, ["order_excluded"]), "vip": (12_00, [])}
    assert member.gets_all_back("o-1") == {"club": (-17, []), "vip": (-12_00, [])}


def test_fraudulent_orders_earn_nothing_anywhere(member: Member) -> None:
    did = member.buys("o-1", line("12.00", quantity=10), on=DAY, flags=["fraudulent", "gift"])
    assert did == dict.fromkeys(("club", "crowns", "vip"), (0, ["order_fraudulent"]))
    assert member.buys("o-2", line("2.00"))["club"] == (7, [])  # and fill no cap


def test_an_order_is_posted_once(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    did = member.buys("o-1", "500.00")
    assert did == dict.fromkeys(("club", "crowns", "vip"), (0, ["order_already_posted"]))
    assert member.gets_all_back("o-1")["club"][0] == -17  # what was posted first stands in the ledger


# --- reviews, contributions, visits, posts, promotions


def test_a_review_earns_a_point_once_an_item_ever(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    member.buys("o-2", line("12.00", item="i-o-1-0"))
    review = {"order_id": "o-1", "item_id": "i-o-1-0"}
    assert member.does("review.posted", review) == {"club": (1, []), "crowns": (1, [])}  # vip is not concerned
    again = {"order_id": "o-2", "item_id": "i-o-1-0"}
    assert member.does("review.posted", again)["club"] == (0, ["already_reviewed"])
    assert member.does("review.posted", again, after(DAY, 2000))["crowns"] == (0, ["already_reviewed"])


def test_a_parked_review_of_an_item_reviewed_before_earns_nothing_though_a_page_of_marks_is_just_full(
    member: Member,
) -> None:
    for n in range(36):  # each leaves a mark in two programs, and 64 marks are a page
        member.does("review.posted", {"order_id": "o-1", "item_id": f"i-o-1-{n}"}, on=DAY)
    member.does("review.posted", {"order_id": "o-1", "item_id": "i-o-1-0"})
    again = f"e-{member.written}"
    member.buys("o-1", *["2.00"] * 36)
    assert member.did(again) == {"club": (0, ["already_reviewed"]), "crowns": (0, ["already_reviewed"])}


def test_a_review_needs_the_item_in_its_order(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    did = member.does("review.posted", {"order_id": "o-1", "item_id": "i-else"})
    assert did == {"club": (0, ["item_not_in_order"]), "crowns": (0, ["item_not_in_order"])}
    assert member.points() == 17


@pytest.mark.parametrize("what", ["full", "cancelled", "fraud", "excluded", "cheap", "expired"])
def test_a_review_is_judged_by_the_order_as_it_was_completed(member: Member, what: str) -> None:
    flags = ["gift"] if what == "excluded" else []
    posted = after(DAY, 400) if what == "expired" else None
    member.buys("o-1", line("1.00" if what == "cheap" else "12.00"), on=DAY, posted=posted, flags=flags)
    if what == "full":
        member.gets_all_back("o-1")
    elif what in ("cancelled", "fraud"):
        member.does({"cancelled": "order.cancelled", "fraud": "order.flagged_fraudulent"}[what], {"order_id": "o-1"})
    assert member.does("review.posted", {"order_id": "o-1", "item_id": "i-1"})["club"] == (1, [])
    assert member.does("review.posted", {"order_id": "o-1", "item_id": "i-2"})["club"] == (0, ["item_not_in_order"])


def test_undoing_an_order_claws_no_review_back_and_the_review_counts_on_its_own_day(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    member.does("review.posted", {"order_id": "o-1", "item_id": "i-o-1-0"}, after(DAY, 10))
    member.gets_all_back("o-1")
    assert (member.points("club"), member.points("crowns")) == (1, 1)
    assert member.on(after(DAY, 10 + 364)).points() == 1
    assert member.on(after(DAY, 10 + 365)).points() == 0


def test_a_denied_review_does_not_use_up_its_item(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    review = {"order_id": "o-1", "item_id": "i-o-1-0"}
    assert member.does("review.posted", review, DAY, posted=after(DAY, 365))["club"] == (0, ["already_expired"])
    assert member.does("review.posted", review)["club"] == (1, [])


def test_ten_contributions_a_month(member: Member) -> None:
    given = [{"contribution_id": f"c-{n}", "kind": "translation"} for n in range(11)]
    found = [member.does("contribution.accepted", each, after("2026-03-01", n)) for n, each in enumerate(given)]
    assert [each["club"] for each in found] == [(1, [])] * 10 + [(0, ["monthly_cap"])]
    assert all(each.keys() == {"club"} for each in found)
    eleventh = {"contribution_id": "c-10", "kind": "translation"}
    assert member.does("contribution.accepted", eleventh, "2026-03-31")["club"] == (0, ["monthly_cap"])
    assert member.does("contribution.accepted", eleventh, "2026-04-01")["club"] == (1, [])
    assert member.does("contribution.accepted", eleventh, "2026-04-02")["club"] == (0, ["already_counted"])


def test_one_visit_a_day_ten_a_month(member: Member) -> None:
    start = datetime(2026, 3, 1, tzinfo=UTC)
    assert member.does("visit.recorded", {}, start) == {"crowns": (1, [])}
    assert member.does("visit.recorded", {}, start + timedelta(hours=23, minutes=59)) == {"crowns": (0, ["daily_cap"])}
    found = [member.does("visit.recorded", {}, start + timedelta(days=n))["crowns"] for n in range(1, 12)]
    assert found == [(1, [])] * 9 + [(0, ["monthly_cap"])] * 2
    assert member.does("visit.recorded", {}, "2026-03-02")["crowns"] == (0, ["daily_cap"])  # the nearer cap is named
    assert member.does("visit.recorded", {}, "2026-04-01")["crowns"] == (1, [])
    assert member.points("crowns") == 11


def test_a_month_is_one_of_its_year(member: Member) -> None:
    for day in range(22, 32):
        member.does("visit.recorded", {}, f"2026-03-{day}")
    assert member.does("visit.recorded", {}, "2027-03-15")["crowns"] == (1, [])  # before anything has expired


def test_february_has_its_leap_day(member: Member) -> None:
    for day in range(19, 29):
        member.does("visit.recorded", {}, f"2028-02-{day}")
    assert member.does("visit.recorded", {}, "2028-02-29")["crowns"] == (0, ["monthly_cap"])
    assert member.does("visit.recorded", {}, "2028-03-01")["crowns"] == (1, [])


def test_posts_earn_two_at_most_ten_a_month_once_each(member: Member) -> None:
    found = [member.does("post.published", {"post_id": f"p-{n}"}, DAY)["crowns"] for n in range(6)]
    assert found == [(2, [])] * 5 + [(0, ["monthly_cap"])]
    assert member.does("post.published", {"post_id": "p-0"}, "2026-04-01")["crowns"] == (0, ["already_counted"])
    assert member.does("post.published", {"post_id": "p-5"}, "2026-04-01")["crowns"] == (2, [])


def test_promotions_give_what_they_say_to_their_program(member: Member) -> None:
    assert member.is_given(10_000, "crowns", DAY) == {"crowns": (10_000, [])}
    assert member.is_given(1, "club") == {"club": (1, [])}
    assert (member.points("club"), member.points("crowns"), member.points("vip")) == (1, 10_000, 0)
    assert member.on(after(DAY, 364)).points("crowns") == 10_000
    assert member.on(after(DAY, 365)).points("crowns") == 0


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("wishlist.item_added", {"item_id": "i-1"}),
        ("wishlist.item_removed", {"item_id": "i-1"}),
        ("cart.item_added", {"item_id": "i-1"}),
        ("cart.item_removed", {"item_id": "i-1"}),
        ("member.updated", {"country": "BY"}),
        ("member.registered", {"birthday": "1990-02-28"}),
    ],
)
def test_other_events_earn_nothing_and_concern_no_program(member: Member, event_type: str, data: dict) -> None:
    assert member.does(event_type, data, DAY) == {}
    assert [entry["type"] for entry in member.entries] == [event_type]
    assert (member.points("club"), member.points("crowns"), member.points("vip")) == (0, 0, 0)


def test_a_price_that_drops_concerns_nobody() -> None:
    nobody = Member()
    nobody.account.member_id = ""
    facts = {"item_id": "i-1", "old_price": "5.00", "new_price": "4.00", "currency": "USD"}
    assert nobody.does("price.dropped", facts, DAY) == {}


def test_personal_data_does_not_reach_the_entries(member: Member) -> None:
    member.does("member.registered", {"birthday": "1990-02-28", "country": "BY", "registered_on": "2020-01-01"}, DAY)
    assert "1990-02-28" not in str(member.entries)
    assert member.account.registered


# --- time (rules 1.2)


@pytest.mark.parametrize(
    ("late", "club", "vip"),
    [
        (89, (17, []), (12_00, [])),
        (90, (17, []), (0, ["already_expired"])),
        (364, (17, []), (0, ["already_expired"])),
        (365, (0, ["already_expired"]), (0, ["already_expired"])),
    ],
)
def test_what_would_have_expired_is_denied_program_by_program(
    member: Member, late: int, club: tuple, vip: tuple
) -> None:
    did = member.buys("o-1", "12.00", on=DAY, posted=after(DAY, late))
    assert (did["club"], did["vip"]) == (club, vip)


def test_what_is_denied_as_expired_fills_no_cap(member: Member) -> None:
    today = after(DAY, 365)
    member.buys("o-1", line("3.00", quantity=10), on=DAY, posted=today)
    assert member.buys("o-2", line("3.00", quantity=10), on=after(DAY, 1), posted=today)["club"] == (35, [])
    # ten visits of March before the 10th are too late, and leave the month to those after it
    for day in range(1, 11):
        late = member.does("visit.recorded", {}, f"2026-03-{day:02}", posted=today)
        assert late["crowns"] == (0, ["already_expired"])
    found = [member.does("visit.recorded", {}, f"2026-03-{day}", posted=today)["crowns"] for day in range(11, 22)]
    assert found == [(1, [])] * 10 + [(0, ["monthly_cap"])]


def test_what_the_oldest_open_day_and_its_month_have_used_is_still_known(member: Member) -> None:
    """On the day on which the lots of the day before expire, and what is older is forgotten."""
    member.is_given(1, on=after(DAY, -1))
    member.buys("o-1", line("3.00", quantity=9), on=DAY)
    for n in range(10):
        member.does("contribution.accepted", {"contribution_id": f"c-{n}", "kind": "translation"})
    today = after(DAY, 364)
    member.on(today)
    assert member.entries[-1]["parts"]["club"]["kind"] == "expiry"
    assert member.buys("o-2", line("3.00", quantity=2), on=DAY, posted=today)["club"] == (3, ["item_unit_cap"])
    eleventh = {"contribution_id": "c-10", "kind": "translation"}
    assert member.does("contribution.accepted", eleventh, DAY, posted=today)["club"] == (0, ["monthly_cap"])
    member.gets_all_back("o-1")
    assert member.gets_all_back("o-2")["club"] == (-3 - 5, [])


@pytest.mark.parametrize(
    ("event_type", "data"),
    [
        ("contribution.accepted", {"contribution_id": "c-1", "kind": "translation"}),
        ("promotion.awarded", {"campaign_id": "spring", "points": 7, "program": "club"}),
    ],
)
def test_single_things_expire_before_they_arrive(member: Member, event_type: str, data: dict) -> None:
    member.on(after(DAY, 365))
    assert member.does(event_type, data, DAY)["club"] == (0, ["already_expired"])
    assert member.does(event_type, data, after(DAY, 1))["club"][0] > 0


def test_five_minutes_ahead_counts_already_in_the_lot_of_its_own_day(member: Member) -> None:
    moment = datetime(2026, 3, 10, 23, 57, tzinfo=UTC)
    assert member.buys("o-1", "2.00", on=moment)["club"] == (7, [])
    ahead = moment + timedelta(minutes=5)
    assert member.buys("o-2", "2.00", on=ahead, posted=moment)["club"] == (7, [])  # tomorrow's daily points
    assert member.tier() == "A1"
    assert member.since() == "2026-03-10"
    assert member.on("2027-03-10").points() == 7
    assert member.on("2027-03-11").points() == 0


@pytest.mark.parametrize(
    ("day", "last", "gone"),
    [
        ("2026-03-10", "2027-03-09", "2027-03-10"),
        ("2028-02-29", "2029-02-27", "2029-02-28"),  # a year with a leap day is over one day earlier
        ("2027-03-01", "2028-02-28", "2028-02-29"),
    ],
)
def test_a_lot_counts_365_days(member: Member, day: str, last: str, gone: str) -> None:
    member.buys("o-1", "12.00", on=day)
    assert (member.on(last).points("club"), member.points("crowns")) == (17, 13)
    assert (member.on(gone).points("club"), member.points("crowns")) == (0, 0)


def test_spend_counts_90_days(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    assert member.on(after(DAY, 89)).points("vip") == 12_00
    assert member.on(after(DAY, 90)).points("vip") == 0


def test_the_same_event_again_changes_nothing(member: Member) -> None:
    member.buys("o-1", "12.00", on=DAY)
    before = len(member.entries)
    member.written -= 1  # the same event id once more
    member.buys("o-1", "12.00")
    assert (len(member.entries), member.points()) == (before, 17)


def test_members_are_apart() -> None:
    one, other = Member(), Member()
    one.buys("o-1", "12.00", on=DAY)
    assert other.gets_all_back("o-1", DAY)["club"] == (0, ["order_not_here_yet"])
    assert isinstance(other, Engine)
    assert (one.points(), other.points()) == (17, 0)


# --- what the shipped programs don't use


def earning(**rules: Any) -> Member:
    """A member of a club that earns by these rules alone, a point for each dollar of purchases among them."""
    purchase = {"points_per_currency_unit": 1, "minimum_unit_price": "1.00"}
    data = changed("club")
    data["earning"] = {"purchase": purchase, **rules}
    return Member(Programs([data]))


def test_one_point_is_enough_for_the_daily_points() -> None:
    assert earning(daily_shopping={"points_per_day": 5}).buys("o-1", "1.00", on=DAY)["club"] == (6, [])


def test_daily_points_by_orders_may_be_without_end() -> None:
    member = earning(daily_shopping={"points_per_order": 2})
    assert [member.buys(f"o-{n}", "1.00", on=DAY)["club"] for n in range(8)] == [(3, [])] * 8
    assert member.gets_all_back("o-3")["club"] == (-3, [])


def test_variety_by_itself_with_several_points_a_category() -> None:
    member = earning(variety={"points_per_category": 2, "points_per_day_at_most": 3})
    first, second, third = (line("1.00", item=f"i-{n}", category=f"c-{n}") for n in range(3))
    assert member.buys("o-1", first, on=DAY)["club"] == (3, [])
    assert member.buys("o-2", second)["club"] == (2, ["daily_cap"])
    assert member.buys("o-3", third)["club"] == (1, ["daily_cap"])
    assert member.buys("o-4", first)["club"] == (1, [])
    assert member.gets_all_back("o-2")["club"] == (-1, [])


def test_without_daily_rules_a_day_is_not_kept() -> None:
    member = earning()
    member.buys("o-1", line("1.00", category="toys"), on=DAY)
    assert member.account.program("club").days == {}
    assert member.gets_all_back("o-1")["club"] == (-1, [])
    assert "days" not in member.entries[-1]["parts"]["club"]


def test_a_review_waits_for_its_order_in_the_programs_that_have_reviews() -> None:
    files = [changed("club"), changed("crowns")]
    files[0]["earning"] = {"post": {"points": 1}}
    member = Member(Programs(files))
    assert member.does("review.posted", {"order_id": "o-1", "item_id": "i-1"}, DAY) == {
        "crowns": (0, ["order_not_here_yet"])
    }


def test_one_order_back_makes_room_for_one_of_its_seller(member: Member) -> None:
    for number in range(10):
        member.buys(f"o-{number}", line("2.00", item=f"i-{number}"), on=after(DAY, number))
    member.gets_all_back("o-3")
    assert member.buys("o-10", line("2.00", item="i-10"), on=after(DAY, 20))["club"][1] == []
    assert member.buys("o-11", line("2.00", item="i-11"), on=after(DAY, 21))["club"][1] == ["seller_order_cap"]


def test_a_category_goes_once_though_its_order_is_undone_twice(member: Member) -> None:
    for number in range(2):
        member.buys(f"o-{number}", line("9.00", item=f"i-{number}", category="books"), on=DAY)
    member.gets_back("o-0", "9.00")
    assert member.points("crowns") == 9 + 1 + 1
    member.does("order.cancelled", {"order_id": "o-0"})
    assert member.points("crowns") == 9 + 1 + 1
    assert member.gets_all_back("o-1")["crowns"] == (-11, [])


def test_an_item_may_stand_twice_in_a_refund() -> None:
    lines = [{"item_id": "i-1", "seller_id": "s-1", "unit_price": 900, "quantity": 4}]
    order = new_order({"order_id": "o-1", "lines": lines, "flags": []}, "e-1")
    asked = {"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": n} for n in (1, 2, 5)]}
    assert undo(order, "order.refunded", {**asked, "lines": asked["lines"][:1]}) == ({"i-1": 1}, False)
    assert undo(order, "order.refunded", {**asked, "lines": asked["lines"][1:]}) == ({"i-1": 3}, True)


def test_a_month_s_cap_is_whole_though_another_rule_has_used_its_own() -> None:
    once = {"points": 5, "points_per_month_at_most": 5}
    member = earning(contribution=once, post={"points": 1, "points_per_month_at_most": 5})
    assert member.does("post.published", {"post_id": "p-1"}, DAY)["club"] == (1, [])
    assert member.does("contribution.accepted", {"contribution_id": "c-1", "kind": "text"})["club"] == (5, [])
