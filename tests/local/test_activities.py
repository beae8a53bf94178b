"""Each type of activity from the door to the statement, on the local stack: accepted, posted, told with its reasons.

What each is worth is proved with the rules (tests/unit); here it counts that nothing on the way leaves any of it out.
"""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from club_rules.events import EVENT_TYPES
from local.stack import Stack
from tests.local.test_club import Club

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
ITEM = {"item_id": "o-1-0"}
PRICE = {"item_id": "o-1-0", "old_price": "30.00", "new_price": "20.00", "currency": "USD"}

# What a member who has bought for 30.00 (order o-1) sends next; by program, the reasons that the statement shows
# for it: rule, points (in vip: spend) and code.
Told = dict[str, list[tuple[str, Any, str]]]
ACTIVITIES: dict[str, tuple[dict[str, Any], Told]] = {
    "member.registered": ({"registered_on": "2026-11-01", "birthday": "1980-02-29", "country": "NL"}, {}),
    "member.updated": ({"country": "BE"}, {}),
    "order.completed": (
        {
            "order_id": "o-2",
            "currency": "USD",
            "lines": [
                {"item_id": "i-1", "seller_id": "s-1", "category": "c", "unit_price": "10.00", "quantity": 2},
                {"item_id": "i-2", "seller_id": "s-1", "category": "c", "unit_price": "1.99", "quantity": 1},
            ],
        },
        {
            "club": [("purchase", 20, "earned"), ("purchase", 0, "unit_price_below_minimum")],
            "crowns": [
                ("purchase", 20, "earned"),
                ("purchase", 0, "unit_price_below_minimum"),
                ("daily_shopping", 1, "earned"),
            ],
            "vip": [("spend", "21.99", "earned")],
        },
    ),
    "order.cancelled": (
        {"order_id": "o-1"},
        {
            "club": [("purchase", -30, "cancelled"), ("daily_shopping", -5, "cancelled")],
            "crowns": [
                ("purchase", -30, "cancelled"),
                ("daily_shopping", -1, "cancelled"),
                ("variety", -1, "cancelled"),
            ],
            "vip": [("spend", "-30.00", "cancelled")],
        },
    ),
    "order.refunded": (
        {"order_id": "o-1", "amount": "10.00", "currency": "USD"},
        {
            "club": [("purchase", -10, "refunded")],
            "crowns": [("purchase", -10, "refunded")],
            "vip": [("spend", "-10.00", "refunded")],
        },
    ),
    "order.flagged_fraudulent": (
        {"order_id": "o-1"},
        {
            "club": [("purchase", -30, "found_fraudulent"), ("daily_shopping", -5, "found_fraudulent")],
            "crowns": [
                ("purchase", -30, "found_fraudulent"),
                ("daily_shopping", -1, "found_fraudulent"),
                ("variety", -1, "found_fraudulent"),
            ],
            "vip": [("spend", "-30.00", "found_fraudulent")],
        },
    ),
    "review.posted": (
        {"order_id": "o-1", "item_id": "o-1-0"},
        {"club": [("review", 1, "earned")], "crowns": [("review", 1, "earned")]},
    ),
    "visit.recorded": ({}, {"crowns": [("visit", 1, "earned")]}),
    "post.published": ({"post_id": "p-1"}, {"crowns": [("post", 2, "earned")]}),
    "promotion.awarded": (
        {"campaign_id": "c-1", "points": 10_000, "program": "crowns"},
        {"crowns": [("promotion", 10_000, "earned")]},
    ),
    "contribution.accepted": (
        {"contribution_id": "t-1", "kind": "translation"},
        {"club": [("contribution", 1, "earned")]},
    ),
    "violation.confirmed": ({"case_id": "v-1", "kind": "spam"}, {"crowns": [("penalty", -20, "penalty")]}),
    "violation.overturned": (
        {"case_id": "v-1", "kind": "spam"},
        {"crowns": [("penalty", 0, "case_not_confirmed_yet")]},
    ),
    "wishlist.item_added": (ITEM, {}),
    "wishlist.item_removed": (ITEM, {}),
    "cart.item_added": (ITEM, {}),
    "cart.item_removed": (ITEM, {}),
    "price.dropped": (PRICE, {}),
}


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with Stack(NOW) as running:
        yield running


@pytest.fixture
def club(stack: Stack) -> Club:
    stack.set_clock(NOW)
    return Club(stack)


def test_every_type_of_the_contract_is_here() -> None:
    assert set(ACTIVITIES) == EVENT_TYPES


def send(club: Club, *events: dict[str, Any]) -> None:
    before = len(club.stack.dead_letters())
    club.send(*events)
    assert len(club.stack.dead_letters()) == before


def event(club: Club, kind: str, member: str, data: dict[str, Any], **how: Any) -> dict[str, Any]:
    """An event of the member; its id, and those of things that are one in the whole marketplace, are theirs."""
    found = {**club.event(kind, member, data, **how)}
    found["event_id"] = f"{member}-{found['event_id']}"
    if kind == "price.dropped":
        del found["member_id"]
    return found


def bought(club: Club, *members: str, price: str = "30.00") -> None:
    """The members' first orders, each called o-1."""
    orders = [(member, club.order(member, "o-1", price=price)) for member in members]
    send(club, *({**order, "event_id": f"{member}-{order['event_id']}"} for member, order in orders))


def statement(club: Club, member: str, program: str) -> list[dict[str, Any]]:
    status, page = club.call("GET", "/members/me/statement", member, "club:read", query=f"program={program}&limit=100")
    assert status == 200
    entries: list[dict[str, Any]] = page["entries"]
    return entries


def reasons(entry: dict[str, Any]) -> list[tuple[str, Any, str]]:
    for reason in entry["reasons"]:
        assert reason["text"], "a reason for people as well"
    return [(each["rule"], each.get("points", each.get("spend")), each["code"]) for each in entry["reasons"]]


@pytest.mark.parametrize("door", ["api", "bus"])
@pytest.mark.parametrize("kind", sorted(EVENT_TYPES))
def test_from_either_door_to_the_statement(club: Club, kind: str, door: str) -> None:
    member = f"{kind}-{door}".replace("_", "-")
    data, told = ACTIVITIES[kind]
    bought(club, member)
    sent = event(club, kind, member, data)

    for _ in range(2):  # the second time changes nothing
        if door == "api":
            send(club, sent)
        else:
            detail = json.dumps({name: value for name, value in sent.items() if name != "type"})
            club.stack.put_events([{"Source": "marketplace", "DetailType": kind, "Detail": detail}])
            assert club.stack.drain().dead_lettered == 0

    for program in ("club", "crowns", "vip"):
        entries = [each for each in statement(club, member, program) if each["event_id"] == sent["event_id"]]
        assert [sorted(reasons(each), key=str) for each in entries] == (
            [sorted(told[program], key=str)] if program in told else []
        ), program


def test_what_a_cap_cuts_off_is_told(club: Club) -> None:
    """Ten contributions and ten visits a month, one visit a day, five posts of two points; each thing once for ever."""
    today = NOW.day
    for number in range(12):
        send(
            club,
            event(club, "contribution.accepted", "caps", {"contribution_id": f"t-{number}", "kind": "translation"}),
            event(club, "visit.recorded", "caps", {}, days=today - 1 - number),
        )
    for number in range(6):
        send(club, event(club, "post.published", "caps", {"post_id": f"p-{number}"}))
    send(
        club,
        event(club, "visit.recorded", "caps", {}, days=today - 1),
        event(club, "post.published", "caps", {"post_id": "p-0"}),
        event(club, "contribution.accepted", "caps", {"contribution_id": "t-0", "kind": "translation"}),
    )

    told = [reason for entry in statement(club, "caps", "club") for reason in reasons(entry)]
    assert told.count(("contribution", 1, "earned")) == 10
    assert told.count(("contribution", 0, "monthly_cap")) == 2
    assert told.count(("contribution", 0, "already_counted")) == 1
    told = [reason for entry in statement(club, "caps", "crowns") for reason in reasons(entry)]
    assert told.count(("visit", 1, "earned")) == 10
    assert told.count(("visit", 0, "monthly_cap")) == 2
    assert told.count(("visit", 0, "daily_cap")) + told.count(("visit", 0, "monthly_cap")) == 3
    assert told.count(("post", 2, "earned")) == 5
    assert told.count(("post", 0, "monthly_cap")) == 1
    assert told.count(("post", 0, "already_counted")) == 1
    assert club.call("GET", "/members/me", "caps", "club:read")[1]["programs"]["crowns"]["points"] == 20


def test_a_review_is_told_why_it_earns_nothing(club: Club) -> None:
    bought(club, "reviews")
    review = {"order_id": "o-1", "item_id": "o-1-0"}
    send(club, event(club, "review.posted", "reviews", review))
    send(club, event(club, "review.posted", "reviews", review))
    send(club, event(club, "review.posted", "reviews", {**review, "item_id": "other"}))
    send(club, event(club, "review.posted", "reviews", {**review, "order_id": "o-none"}))

    newest = statement(club, "reviews", "club")[:4]
    assert [(each["kind"], reasons(each)) for each in newest] == [
        ("parked", [("review", 0, "order_not_here_yet")]),
        ("denied", [("review", 0, "item_not_in_order")]),
        ("denied", [("review", 0, "already_reviewed")]),
        ("accrual", [("review", 1, "earned")]),
    ]


@pytest.mark.parametrize(
    ("kind", "data", "field", "code"),
    [
        ("promotion.awarded", {"points": 10_001}, "/data/points", "out_of_range"),
        ("promotion.awarded", {"points": 0}, "/data/points", "out_of_range"),
        ("promotion.awarded", {"points": -5}, "/data/points", "out_of_range"),
        ("promotion.awarded", {"points": "5"}, "/data/points", "invalid_type"),
        ("promotion.awarded", {"program": "vip"}, "/data/program", "invalid_value"),
        ("promotion.awarded", {"program": "none"}, "/data/program", "invalid_value"),
        ("promotion.awarded", {"campaign_id": "?"}, "/data/campaign_id", "invalid_id"),
        ("contribution.accepted", {"kind": None}, "/data/kind", "invalid_type"),
        ("post.published", {"post_id": ""}, "/data/post_id", "invalid_id"),
        ("visit.recorded", {"page": "home"}, "/data/page", "unknown_field"),
        ("wishlist.item_added", {"item_id": "i 1"}, "/data/item_id", "invalid_id"),
        ("cart.item_removed", {"quantity": 1}, "/data/quantity", "unknown_field"),
        ("price.dropped", {"currency": "EUR"}, "/data/currency", "currency_mismatch"),
        ("price.dropped", {"new_price": "9.999"}, "/data/new_price", "invalid_money"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name_and_its_neighbours_are_not(
    club: Club, kind: str, data: dict[str, Any], field: str, code: str
) -> None:
    wrong = event(club, kind, "refused", {**ACTIVITIES[kind][0], **data})
    right = event(club, "visit.recorded", "refused", {})

    batch = {"events": [wrong, right]}
    status, answer = club.call("POST", "/activities", "market", "club:ingest", batch)

    assert (status, answer["accepted"]) == (202, [right["event_id"]])
    (refused,) = answer["refused"]
    assert (refused["event_id"], refused["index"], refused["code"]) == (wrong["event_id"], 0, code)
    assert field in json.dumps(refused)
    # The same through the bus is a dead letter with that reason, and never dropped.
    detail = json.dumps({name: value for name, value in wrong.items() if name != "type"})
    club.stack.put_events([{"Source": "marketplace", "DetailType": kind, "Detail": detail}])
    assert club.stack.drain().dead_lettered == 1
    assert club.stack.dead_letters()[-1]["reason"] == code


# --- price alerts ---------------------------------------------------------------------------------------------


def alerts(stack: Stack, item: str) -> list[tuple[str, str]]:
    """Who has been told of which new price of an item."""
    details = [json.loads(each["Detail"]) for each in stack.published() if each["DetailType"] == "price.alert"]
    return sorted((each["member_id"], each["new_price"]) for each in details if each["item_id"] == item)


def test_a_price_that_drops_is_told_to_those_who_watch_the_item_and_may_know(club: Club) -> None:
    bought(club, *(f"w-{number}" for number in range(5)), price="3.00")
    item = {"item_id": "i-watched"}
    send(
        club,
        event(club, "wishlist.item_added", "w-0", item),
        event(club, "cart.item_added", "w-1", item),
        event(club, "wishlist.item_added", "w-2", {"item_id": "i-other"}),
        event(club, "wishlist.item_added", "a-0", item),  # bought nothing: A0
        event(club, "cart.item_removed", "w-3", item),  # arrives before what it undoes
        event(club, "cart.item_added", "w-3", item, days=1),
    )
    price = {**item, "old_price": "30.00", "new_price": "20.00", "currency": "USD"}

    send(club, event(club, "price.dropped", "p", price))
    send(club, event(club, "price.dropped", "p", {**price, "old_price": "20.00", "new_price": "25.00"}))

    assert alerts(club.stack, "i-watched") == [("w-0", "20.00"), ("w-1", "20.00")]
    send(club, event(club, "wishlist.item_removed", "w-0", item), event(club, "wishlist.item_added", "w-4", item))
    send(club, event(club, "price.dropped", "p", {**price, "new_price": "19.00"}))
    assert alerts(club.stack, "i-watched")[1:] == [("w-1", "19.00"), ("w-1", "20.00"), ("w-4", "19.00")]


def test_an_alert_that_failed_each_time_is_a_dead_letter_and_goes_round_again(club: Club) -> None:
    """It comes late, and tells whom it would have told."""
    stack = club.stack
    bought(club, *(f"late-{number}" for number in range(30)), price="3.00")
    item = {"item_id": "i-late"}
    send(club, *(event(club, "wishlist.item_added", f"late-{number}", item) for number in range(30)))
    stack.order_fault({"operation": "BatchWriteItem", "kind": "error", "rate": 1.0})
    price = event(club, "price.dropped", "late", {**item, "old_price": "3.00", "new_price": "2.00", "currency": "USD"})
    club.send(price)
    stack.order_fault({})
    letters = [each for each in stack.dead_letters() if each["queue"] == "PriceAlertDeadLetters"]
    assert {each["reason"] for each in letters} == {"retries_exhausted"}
    stack.set_clock(NOW + timedelta(days=3))
    # late-7 loses the tier only now, and somebody comes to the item whom its new price has never been news to
    bought(club, "new")
    send(
        club,
        event(club, "order.cancelled", "late-7", {"order_id": "o-1"}),
        event(club, "wishlist.item_added", "new", item),
    )
    assert club.call("GET", "/members/me", "late-7", "club:read")[1]["programs"]["club"]["tier"] == "A0"

    stack.redrive()

    assert alerts(stack, "i-late") == sorted((f"late-{number}", "2.00") for number in range(30))
