"""What a ledger entry says, to the letter: each program's kind, its reasons and what they refer to (rules 1.3 to 1.8).

Other tests look at points and codes; here it is held that a reason names its rule and the thing that it is about, since
members and agents read it, and that an entry says whose it is, what was sent and until when it counts.
"""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from club_rules.adjustments import parse_adjustment
from club_rules.events import parse_event
from club_rules.orders import FRAUDULENT, OPEN, may_release, new_order, undo
from club_rules.posting import adjust, erase, needs_marks, post, release_parked
from club_rules.programs import Programs
from club_rules.settling import settle, settle_wholly
from tests.unit.member import PROGRAMS, Member, after, changed, line, noon

DAY = "2026-03-10"
Reason = tuple[Any, ...]


def told(member: Member, entry: dict[str, Any] | None = None) -> dict[str, tuple[str, int | None, list[Reason]]]:
    """Of an entry, the last one by default: per program its kind, for how many days from ``DAY`` it counts, reasons."""
    entry = member.entries[-1] if entry is None else entry
    first = date.fromisoformat(DAY).toordinal()
    return {
        program: (
            part["kind"],
            part["expires_on"] - first if part.get("expires_on") else None,
            [tuple(reason.get(name) for name in ("rule", "points", "code", "ref")) for reason in part["reasons"]],
        )
        for program, part in entry["parts"].items()
    }


def alike(kind: str, code: str, ref: str | None) -> dict[str, tuple[str, None, list[Reason]]]:
    """All three programs say the same, each of its own rule."""
    points: tuple[str, None, list[Reason]] = (kind, None, [("purchase", 0, code, ref)])
    return {"club": points, "crowns": points, "vip": (kind, None, [("spend", 0, code, ref)])}


@pytest.fixture
def member() -> Member:
    """Somebody with one order of 9.00 and its daily points."""
    found = Member()
    found.buys("o-1", line("9.00"), on=DAY)
    return found


# --- orders


def test_an_order_says_what_each_of_its_lines_did() -> None:
    member = Member()
    member.buys("o-1", line("1.99"), line("2.00", item="i-2", quantity=11, category="toys"), on=DAY)

    assert told(member) == {
        "club": (
            "accrual",
            365,
            [
                ("purchase", 20, "earned", "o-1"),
                ("purchase", 0, "unit_price_below_minimum", "item i-1"),
                ("purchase", 0, "item_unit_cap", "item i-2"),
                ("daily_shopping", 5, "earned", None),
            ],
        ),
        "crowns": (
            "accrual",
            365,
            [
                ("purchase", 22, "earned", "o-1"),
                ("purchase", 0, "unit_price_below_minimum", "item i-1"),
                ("daily_shopping", 1, "earned", None),
                ("variety", 1, "earned", None),
            ],
        ),
        "vip": ("accrual", 90, [("spend", 2399, "earned", "o-1")]),
    }
    (capped,) = [each for each in member.entries[-1]["parts"]["club"]["reasons"] if each["code"] == "item_unit_cap"]
    assert capped["units"] == 1  # of eleven, ten count


def test_an_entry_says_whose_it_is_and_what_was_sent(member: Member) -> None:
    entry = member.entries[-1]

    assert {name: entry[name] for name in ("entry_id", "key", "member_id", "seq", "event_id", "type")} == {
        "entry_id": "e-1",
        "key": "e-1",
        "member_id": "m-1",
        "seq": 1,
        "event_id": "e-1",
        "type": "order.completed",
    }
    assert (entry["occurred_at"], entry["posted_at"]) == ("2026-03-10T12:00:00Z", "2026-03-10T12:00:00Z")
    assert len(entry["digest"]) == 64
    assert (entry["data"]["order_id"], entry["data"]["lines"][0]["unit_price"]) == ("o-1", 900)
    assert member.orders["o-1"]["event_id"] == "e-1"


def test_what_is_known_of_a_person_is_in_no_entry() -> None:
    member = Member()
    member.does("member.registered", {"birthday": "1990-01-02", "country": "RU"}, on=DAY)

    assert (member.entries[-1]["data"], member.entries[-1]["parts"]) == ({}, {})


def test_a_second_order_of_the_same_id(member: Member) -> None:
    member.buys("o-1", "7.00")

    assert told(member) == alike("denied", "order_already_posted", "o-1")


@pytest.mark.parametrize(("flag", "code"), [("gift", "order_excluded"), ("fraudulent", "order_fraudulent")])
def test_an_order_that_its_flags_exclude(flag: str, code: str) -> None:
    member = Member()
    member.buys("o-1", "9.00", on=DAY, flags=[flag])

    denied = ("denied", None, [("purchase", 0, code, None)])
    assert told(member)["crowns"] == denied
    assert (told(member)["club"] == denied) == (flag == "fraudulent")
    expected = ("accrual", 90, [("spend", 900, "earned", "o-1")])
    assert told(member)["vip"] == (expected if flag == "gift" else ("denied", None, [("spend", 0, code, None)]))
    assert member.orders["o-1"]["left"] == [0 if flag == "fraudulent" else 1]


def test_an_order_that_comes_when_its_day_is_out() -> None:
    member = Member()
    member.buys("o-1", "9.00", on=DAY, posted=after(DAY, 365))

    assert told(member) == alike("denied", "already_expired", None)


def test_the_eleventh_order_of_a_seller_names_its_item() -> None:
    member = Member()
    for number in range(11):
        member.buys(f"o-{number}", line("2.00", item=f"i-{number}"), on=after(DAY, number))

    assert told(member)["club"] == ("denied", None, [("purchase", 0, "seller_order_cap", "item i-10")])


def test_what_the_day_gives_no_more_names_its_rule() -> None:
    member = Member()
    for number in range(6):
        member.buys(f"o-{number}", line("2.00", item=f"i-{number}", category=f"c-{number}"), on=DAY)

    assert told(member)["crowns"] == (
        "accrual",
        365,
        [
            ("purchase", 2, "earned", "o-5"),
            ("daily_shopping", 0, "daily_cap", None),
            ("variety", 0, "daily_cap", None),
        ],
    )


# --- undoing


def test_a_cancelled_order_takes_back_by_rule(member: Member) -> None:
    member.does("order.cancelled", {"order_id": "o-1"})

    assert told(member) == {
        "club": (
            "clawback",
            None,
            [("purchase", -9, "cancelled", "o-1"), ("daily_shopping", -5, "cancelled", "o-1")],
        ),
        "crowns": (
            "clawback",
            None,
            [("purchase", -9, "cancelled", "o-1"), ("daily_shopping", -1, "cancelled", "o-1")],
        ),
        "vip": ("clawback", None, [("spend", -900, "cancelled", "o-1")]),
    }

    member.does("order.cancelled", {"order_id": "o-1"})
    assert told(member) == alike("denied", "order_already_undone", "o-1")


def test_a_refund_of_more_than_remains_says_so_beside_what_it_took() -> None:
    member = Member()
    member.buys("o-1", line("9.00", quantity=2), line("3.00", item="i-2"), on=DAY)
    member.gets_back("o-1", "8.50")
    member.returns("o-1", i_1=5, i_2=1)

    assert told(member) == {
        "club": (
            "clawback",
            None,
            [
                ("purchase", -12, "refunded", "o-1"),
                ("daily_shopping", -5, "refunded", "o-1"),
                ("purchase", 0, "refund_exceeds_order", "o-1"),
            ],
        ),
        "crowns": (
            "clawback",
            None,
            [
                ("purchase", -12, "refunded", "o-1"),
                ("daily_shopping", -1, "refunded", "o-1"),
                ("purchase", 0, "refund_exceeds_order", "o-1"),
            ],
        ),
        "vip": ("clawback", None, [("spend", -1250, "refunded", "o-1"), ("spend", 0, "refund_exceeds_order", "o-1")]),
    }

    member.gets_all_back("o-1")
    assert told(member) == alike("denied", "refund_exceeds_order", "o-1")


def test_a_refund_when_the_lot_is_out(member: Member) -> None:
    member.gets_all_back("o-1", on=after(DAY, 365))

    assert told(member) == alike("denied", "already_expired", "o-1")


def test_what_became_of_an_order_is_kept() -> None:
    def status(*events: str) -> str:
        order = new_order({"order_id": "o-1", "lines": [_wire_line()], "flags": []}, "e-1")
        for event in events:
            undo(order, event, {"order_id": "o-1"} | ({"full": True} if event == "order.refunded" else {}))
        found: str = order["status"]
        return found

    assert status() == OPEN
    assert status("order.cancelled") == status("order.cancelled", "order.refunded")
    assert status("order.cancelled") not in (OPEN, FRAUDULENT, status("order.refunded"))
    # a fraud flag says more than anything before it, and nothing says more than a fraud flag
    for before in ("order.cancelled", "order.refunded"):
        assert status(before, "order.flagged_fraudulent") == FRAUDULENT
        assert status("order.flagged_fraudulent", before) == FRAUDULENT


def _wire_line() -> dict[str, Any]:
    return {"item_id": "i-1", "seller_id": "s-1", "category": None, "unit_price": 900, "quantity": 1}


def test_what_was_never_bought_can_not_come_back(member: Member) -> None:
    member.returns("o-1", i_99=1)
    assert told(member) == alike("denied", "refund_exceeds_order", "o-1")


def test_a_category_that_goes_is_named_by_its_rule() -> None:
    member = Member()
    member.buys("o-1", line("9.00", category="toys"), on=DAY)
    member.gets_all_back("o-1")
    assert told(member)["crowns"] == (
        "clawback",
        None,
        [
            (rule, points, "refunded", "o-1")
            for rule, points in (("purchase", -9), ("daily_shopping", -1), ("variety", -1))
        ],
    )


def test_what_a_free_thing_takes_is_told_though_it_is_nothing() -> None:
    member = Member()
    member.buys("o-1", "9.00", line("0.00", item="i-free"), on=DAY)
    member.returns("o-1", i_free=1)
    assert told(member)["vip"] == ("clawback", None, [("spend", 0, "refunded", "o-1")])


@pytest.mark.parametrize("cap", ["seller_order_cap", "item_unit_cap"])
def test_a_cap_is_released_by_an_entry_though_no_point_is_left_to_take(cap: str) -> None:
    """The amount was refunded before, which releases no cap; the units come back now."""
    limit = {"orders": 1, "days": 365} if cap == "seller_order_cap" else {"units": 1, "days": 365}
    earning = {"purchase": {"points_per_currency_unit": 1, "minimum_unit_price": "1.00", cap: limit}}
    data = changed("club")
    data["earning"] = earning
    member = Member(Programs([data]))
    for released in (False, True):
        member.buys("o-1", line("9.00"), on=DAY)
        member.gets_back("o-1", "9.00")
        if released:
            member.returns("o-1", i_1=1)
            assert told(member) == {"club": ("clawback", None, [])}
        earned = (9, []) if released else (0, [cap])
        assert member.buys("o-2", line("9.00"))["club"] == earned
        member = Member(Programs([data]))


def test_an_order_worth_nothing_says_so() -> None:
    earning = {"purchase": {"points_per_currency_unit": 1, "minimum_unit_price": "0.10"}}
    data = changed("club")
    data["earning"] = earning
    member = Member(Programs([data, changed("vip")]))
    member.buys("o-1", line("0.99"), on=DAY)
    assert told(member)["club"] == ("denied", None, [("purchase", 0, "below_one_point", None)])
    member.buys("o-2", line("0.00"))
    assert told(member)["vip"] == ("denied", None, [("spend", 0, "order_without_value", None)])


def test_the_part_of_an_order_holds_these_and_no_other_fields(member: Member) -> None:
    day = date.fromisoformat(DAY).toordinal()
    assert member.entries[-1]["parts"]["crowns"] == {
        "kind": "accrual",
        "points": 10,
        "version": "2017-06",
        "reasons": [
            {"rule": "purchase", "points": 9, "code": "earned", "ref": "o-1"},
            {"rule": "daily_shopping", "points": 1, "code": "earned"},
        ],
        "days": [[day, "orders", 1]],
        "lots": [[day, 10]],
        "expires_on": day + 365,
        "balance": 10,
        "tier": [0, 1],
        "set": {"tier": 1, "since": day, "review_on": None},
        "reached": ["Silver"],
        "receipt": member.receipts("crowns")[0],
    }


# --- what comes before its order


def test_what_names_an_order_that_is_not_here_waits_and_then_takes_effect() -> None:
    member = Member()
    member.returns("o-1", on=DAY, i_1=1)
    assert told(member) == alike("parked", "order_not_here_yet", "o-1")
    member.does("review.posted", {"order_id": "o-1", "item_id": "i-9"})
    waits = ("parked", None, [("review", 0, "order_not_here_yet", "o-1")])
    assert told(member) == {"club": waits, "crowns": waits}

    member.buys("o-1", line("9.00"))

    order, refund, review = member.entries[-3:]
    assert [entry["entry_id"] for entry in (order, refund, review)] == ["e-3", "e-1~2", "e-2~2"]
    assert [entry["event_id"] for entry in (order, refund, review)] == ["e-3", "e-1", "e-2"]
    assert (refund["member_id"], refund["digest"]) == ("m-1", member.entries[0]["digest"])
    assert refund["data"] == {"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": 1}]}
    assert told(member, refund)["vip"] == ("clawback", None, [("spend", -900, "refunded", "o-1")])
    denied = ("denied", None, [("review", 0, "item_not_in_order", "i-9")])
    assert told(member, review) == {"club": denied, "crowns": denied}
    assert not may_release(member.orders["o-1"])


def test_an_order_is_released_only_when_it_is_here() -> None:
    waiting = {"order_id": "o-1", "parked": [{}]}
    order = new_order({"order_id": "o-1", "lines": [_wire_line()], "flags": []}, "e-1")

    assert [may_release(each) for each in (None, waiting, order, {**order, "parked": [{}]})] == [
        False,
        False,
        False,
        True,
    ]
    posting = release_parked(Member().account, PROGRAMS, noon(DAY), order, ())
    assert (posting.entries, posting.order) == ([], order)


# --- reviews, visits, posts, promotions


def test_a_review_names_its_item(member: Member) -> None:
    def reviews(item: str, **when: str) -> None:
        member.does("review.posted", {"order_id": "o-1", "item_id": item}, **when)

    def both(kind: str, counts: int | None, *reason: Any) -> dict[str, Any]:
        return {program: (kind, counts, [("review", *reason)]) for program in ("club", "crowns")}

    reviews("i-1")
    assert told(member) == both("accrual", 365, 1, "earned", "i-1")
    reviews("i-1")
    assert told(member) == both("denied", None, 0, "already_reviewed", "i-1")
    reviews("i-2")
    assert told(member) == both("denied", None, 0, "item_not_in_order", "i-2")
    reviews("i-1", on=DAY, posted=after(DAY, 365))
    assert told(member) == both("denied", None, 0, "already_expired", "i-1")


def test_what_counts_once_asks_for_the_marks() -> None:
    once = {"review.posted", "post.published", "contribution.accepted"}
    kinds = {*once, "order.completed", "visit.recorded", "promotion.awarded", "order.refunded"}

    assert {kind for kind in kinds if needs_marks(kind)} == once


def test_a_visit_and_a_post_under_their_caps() -> None:
    member = Member()
    member.does("visit.recorded", on=DAY)
    assert told(member) == {"crowns": ("accrual", 365, [("visit", 1, "earned", None)])}
    member.does("visit.recorded")
    assert told(member) == {"crowns": ("denied", None, [("visit", 0, "daily_cap", None)])}
    for number in range(5):
        member.does("post.published", {"post_id": f"p-{number}"})
        assert told(member) == {"crowns": ("accrual", 365, [("post", 2, "earned", f"p-{number}")])}
    member.does("post.published", {"post_id": "p-5"})
    assert told(member) == {"crowns": ("denied", None, [("post", 0, "monthly_cap", "p-5")])}
    member.does("post.published", {"post_id": "p-1"})
    assert told(member) == {"crowns": ("denied", None, [("post", 0, "already_counted", "p-1")])}


def test_each_rule_has_its_own_month() -> None:
    member = Member()
    member.does("post.published", {"post_id": "p-1"}, on="2026-03-01")
    points = [member.does("visit.recorded", on=after("2026-03-01", number))["crowns"][0] for number in range(11)]
    assert points == [1] * 10 + [0]


def test_december_and_january_are_two_months() -> None:
    member = Member()
    for day, month in (("2025-12-31", 0), ("2026-01-01", 1), ("2026-11-30", 11), ("2026-12-31", 12)):
        for number in range(6):
            did = member.does("post.published", {"post_id": f"p-{month}-{number}"}, on=day)["crowns"]
            assert did == ((2, []) if number < 5 else (0, ["monthly_cap"]))


def test_a_promotion_names_its_campaign() -> None:
    member = Member()
    member.is_given(5, "club", on=DAY)
    assert told(member) == {"club": ("accrual", 365, [("promotion", 5, "earned", "spring")])}
    member.is_given(5, "club", on=DAY, posted=after(DAY, 365))
    assert told(member) == {"club": ("denied", None, [("promotion", 0, "already_expired", "spring")])}


# --- cases


def test_a_case_from_end_to_end() -> None:
    member, case = Member(), {"case_id": "c-2", "kind": "extortion"}
    member.is_given(300, "crowns", on=DAY)
    said = []
    for kind in ("confirmed", "confirmed", "overturned", "overturned"):
        member.does(f"violation.{kind}", case)
        said.append((told(member)["crowns"], member.entries[-1].get("case")))

    assert said == [
        (("penalty", 180, [("penalty", -150, "extortion", "c-2")]), ["c-2", "confirmed"]),
        (("denied", None, [("penalty", 0, "case_already_confirmed", "c-2")]), None),
        (("reinstatement", None, [("penalty", 150, "overturned", "c-2")]), ["c-2", "overturned"]),
        (("denied", None, [("penalty", 0, "case_already_overturned", "c-2")]), None),
    ]


def test_a_case_that_is_overturned_before_it_is_confirmed() -> None:
    member, case = Member(), {"case_id": "c-1", "kind": "spam"}
    member.does("violation.overturned", case, on=DAY)
    assert told(member) == {"crowns": ("parked", None, [("penalty", 0, "case_not_confirmed_yet", "c-1")])}
    member.does("violation.confirmed", case)
    assert told(member) == {"crowns": ("denied", None, [("penalty", 0, "case_overturned", "c-1")])}


def test_a_case_whose_time_is_over() -> None:
    member, case = Member(), {"case_id": "c-3", "kind": "spam"}
    member.does("violation.confirmed", {**case, "case_id": "c-4"}, on=DAY, posted=after(DAY, 30))
    assert told(member) == {"crowns": ("denied", None, [("penalty", 0, "already_expired", "c-4")])}
    member.does("violation.confirmed", case)
    member.on(after(DAY, 70))
    member.does("violation.overturned", case)
    assert told(member) == {"crowns": ("denied", None, [("penalty", 0, "penalty_over", "c-3")])}


# --- by hand


@pytest.mark.parametrize("confirmed_by", [None, "op-2"])
def test_an_adjustment_says_who_and_why(member: Member, confirmed_by: str | None) -> None:
    body = {"adjustment_id": "a-1", "program": "club", "points": -3, "reason": "a slip"}
    wanted = parse_adjustment(body, "m-1", PROGRAMS)

    entry = adjust(member.account, PROGRAMS, wanted, noon(DAY), "op-1", confirmed_by)

    assert told(member, entry) == {"club": ("adjustment", 365, [("adjustment", -3, "adjusted", "a-1")])}
    said = {"adjustment_id": "a-1", "reason": "a slip", "actor": "op-1"}
    assert entry["data"] == (said if confirmed_by is None else {**said, "confirmed_by": "op-2"})
    assert (entry["type"], entry["member_id"], entry["digest"]) == ("adjustment", "m-1", wanted.digest)
    assert (entry["entry_id"], entry["key"], entry["seq"]) == ("adjustment~~a-1", "adjustment~~a-1", 2)
    assert member.account.program("club").points == 14 - 3


def test_an_erasure_is_an_entry_that_takes_no_point(member: Member) -> None:
    points = member.points()

    entry = erase(member.account, noon(DAY), "op-1")

    assert entry == {
        "entry_id": "erasure~~m-1",
        "key": "erasure~~m-1",
        "member_id": "m-1",
        "seq": 2,
        "type": "erasure",
        "occurred_at": "2026-03-10T12:00:00Z",
        "posted_at": "2026-03-10T12:00:00Z",
        "data": {"actor": "op-1"},
        "parts": {},
    }
    assert (member.account.erased, member.account.seq, member.points()) == (True, 2, points)


# --- settling


def test_what_expires_says_which_days_and_what_may_be_forgotten() -> None:
    member = Member()
    member.is_given(5, "crowns", on="2026-01-30")
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "return_abuse"}, on=after("2026-01-30", 300))
    first = date.fromisoformat("2026-01-30").toordinal()
    for late, month in ((0, 0), (1, 1), (2, 1)):  # that of the day behind the last closed one: 31 January, 1 February
        settled = member.copy()
        state = settled.account.program("crowns")
        state.lots = {first + late: 5}
        (entry,) = settle(settled.account, PROGRAMS, noon(after("2026-01-30", 365 + late)))
        assert entry == {
            "entry_id": "expiry~m-1~3",
            "key": "~expiry~m-1~3",
            "member_id": "m-1",
            "seq": 3,
            "occurred_at": f"{after('2026-01-30', 365 + late)}T00:00:00Z",
            "posted_at": f"{after('2026-01-30', 365 + late)}T00:00:00Z",
            "parts": {
                "crowns": {
                    "kind": "expiry",
                    "points": -5,
                    "version": "2017-06",
                    "lots": [[first + late, -5]],
                    "reasons": [
                        {
                            "rule": "expiry",
                            "points": -5,
                            "code": "expired",
                            "ref": after("2026-01-30", late),
                        }
                    ],
                    "forget": [first + late, first + late, 2026 * 12 + month],
                    "balance": -200,
                    "tier": [0, 0],
                }
            },
        }


def test_so_many_steps_at_once_and_all_of_them_in_the_end() -> None:
    member = Member()
    for number in range(100):
        member.does("visit.recorded", on=after(DAY, number))
    account, until = member.account.clone(), noon(after(DAY, 1000))

    assert len(settle(account.clone(), PROGRAMS, until)) == 40
    entries = settle_wholly(account, PROGRAMS, until)
    assert [entry["seq"] for entry in entries] == list(range(member.account.seq + 1, account.seq + 1))
    assert sum(part["points"] for entry in entries for part in entry["parts"].values()) == -member.points("crowns")
    assert account.program("crowns").points == 0


def test_an_order_posted_by_itself_gives_its_record() -> None:
    raw = {
        "event_id": "e-1",
        "type": "order.completed",
        "member_id": "m-1",
        "occurred_at": f"{DAY}T12:00:00Z",
        "data": {"order_id": "o-1", "currency": "USD", "lines": [line("9.00")]},
    }
    member, event = Member(), parse_event(raw, now=noon(DAY), programs=PROGRAMS)
    posting = post(member.account, PROGRAMS, event, noon(DAY))
    assert posting.order is not None

    cancel = parse_event(
        {**raw, "event_id": "e-2", "type": "order.cancelled", "data": {"order_id": "o-1"}},
        now=noon(DAY),
        programs=PROGRAMS,
    )
    undone = post(member.account, PROGRAMS, cancel, noon(DAY), posting.order)
    assert undone.order is posting.order
    assert undone.order["left"] == [0]
    assert undone.entries[0]["entry_id"] == "e-2"


# --- reviews


def _under_new_rules(thresholds: tuple[int, ...], grace: int = 0) -> Member:
    """20 points, tiers from 0, 10, 20, 30 and 40, and new thresholds 20 days later; ``grace`` days."""
    starts = (("1", "2020-01-01", (0, 10, 20, 30, 40)), ("2", after(DAY, 20), thresholds))
    files = [_with_grace(*each, grace) for each in starts]
    member = Member(Programs(files))
    member.is_given(20, on=DAY)
    return member


@pytest.mark.parametrize(
    ("thresholds", "grace", "code", "tier", "review_on"),
    [
        ((0, 5, 10, 15, 20), 0, "promoted", [2, 4], None),
        ((0, 10, 25, 35, 45), 0, "demoted", [2, 1], None),
        ((0, 10, 25, 35, 45), 5, "rules_changed", [2, 2], 25),
    ],
)
def test_new_rules_say_what_they_did(
    thresholds: tuple[int, ...], grace: int, code: str, tier: list[int], review_on: int | None
) -> None:
    member = _under_new_rules(thresholds, grace).on(after(DAY, 20))

    entry = member.entries[-1]
    assert ("type" in entry, entry["posted_at"][:10]) == (False, after(DAY, 20))
    part = entry["parts"]["club"]
    assert told(member) == {"club": ("tier_review", None, [("tier", 0, code, None)])}
    assert (part["version"], part["points"], part["balance"], part["tier"]) == ("2", 0, 20, tier)
    day = None if review_on is None else date.fromisoformat(after(DAY, review_on)).toordinal()
    assert member.account.program("club").review_on == day


def test_new_rules_may_end_a_grace() -> None:
    files = [_with_grace("1", "2020-01-01", (0, 10, 20, 30, 40)), _with_grace("2", after(DAY, 20), (0, 4, 8, 15, 40))]
    member = Member(Programs(files))
    member.is_given(15, on=after(DAY, -15))  # leaves on day 15, and with it the tier, after its grace
    member.is_given(15, on=DAY)

    member.on(after(DAY, 19))
    assert (member.tier(), member.account.program("club").review_on is not None) == ("A3", True)
    member.on(after(DAY, 20))

    assert told(member) == {"club": ("tier_review", None, [("tier", 0, "kept", None)])}
    part = member.entries[-1]["parts"]["club"]
    assert (part["version"], part["tier"], member.account.program("club").review_on) == ("2", [3, 3], None)


def _with_grace(version: str, start: str, thresholds: tuple[int, ...], grace: int = 15) -> dict[str, Any]:
    data = changed("club", version=version, effective_from=start, window_days=30, privileges=[])
    data["tiers"] = [{"code": f"A{n}", "from": each} for n, each in enumerate(thresholds)]
    data["demotion"]["grace_days"] = grace
    return data
