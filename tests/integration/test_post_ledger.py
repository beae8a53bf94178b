"""post_ledger: the activity queue becomes ledger entries, each exactly once (contract 2.2, architecture 3.2)."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_ledger import items
from club_rules.account import JOURNAL_PAGE, MARKS_PAGE
from club_rules.events import EVENT_TYPES
from club_rules.posting import PARKED_AT_ONCE
from tests.integration.harness import (
    NOW,
    Club,
    Event,
    Killed,
    days,
    event,
    instant,
    line,
    load_app,
    message,
    order,
    record,
    sample,
)

BRIEF = 1_050
"""Milliseconds left of an invocation: enough for one attempt, and hardly a second."""

Effect = tuple[str, int]


def effects(entry: Event) -> dict[str, Effect]:
    """What an entry did in each program."""
    return {name: (part["kind"], part["points"]) for name, part in entry["parts"].items()}


def codes(entry: Event, program: str) -> list[str]:
    return [reason["code"] for reason in entry["parts"][program]["reasons"]]


def balances(club: Club, member_id: str = "m-42") -> dict[str, Any]:
    """The points, and the money in `vip`, that a member sees."""
    return {name: view.get("points", view.get("spend")) for name, view in club.summary(member_id).items()}


def keys_of(club: Club, member_id: str = "m-42") -> list[str]:
    return [entry["key"] for entry in club.entries(member_id)]


# --- one entry an event ---------------------------------------------------------------------------------------


def test_the_sample_is_posted(club: Club) -> None:
    assert club.invoke("post_ledger", sample("post_ledger")) == {"batchItemFailures": []}

    assert effects(club.entry("e-1001")) == {
        "club": ("accrual", 30),
        "crowns": ("accrual", 27),
        "vip": ("accrual", 2500),
    }
    assert effects(club.entry("e-1002")) == {"crowns": ("accrual", 1)}
    assert club.entry("e-1001")["posted_at"] == "2026-11-22T10:15:00Z"
    assert club.entry("e-1002")["posted_at"] == "2026-11-22T10:15:00.25Z", "posted when the message was sent"
    assert club.dead_letters() == []
    club.assert_whole()


def test_a_purchase_is_one_transaction_after_one_read(club: Club) -> None:
    club.post(order("o-1"))
    club.wire.sent.clear()

    club.post(order("o-2"))

    assert club.wire.operations() == ["GetItem", "TransactWriteItems"]
    (read,), (written,) = club.wire.bodies("GetItem"), club.wire.bodies("TransactWriteItems")
    assert not read.get("ConsistentRead"), "half a read unit"
    assert len(written["TransactItems"]) == 3, "the entry, the account, the order"


def test_a_posting_reads_what_its_type_needs_and_no_more(club: Club) -> None:
    """Every read is paid for: the order where it must be there already, old marks where something counts once."""
    bought = [line(f"i-{n}", "2.00") for n in range(40)]
    club.post(order("o-1", *bought), *(reviewed(f"e-{n}", f"i-{n}") for n in range(40)))
    assert ("M#m-42", "K#000000") in club.content(), "marks have left the account"
    account, known_order, marks = items.ACCOUNT, items.order_key("o-1"), items.marks_key(0)
    needed = [
        (event("visit.recorded", "e-visit"), [account]),
        (order("o-2"), [account]),
        (event("promotion.awarded", "e-p", {"campaign_id": "c", "points": 1, "program": "club"}), [account]),
        (
            event("order.refunded", "e-r", {"order_id": "o-1", "amount": "1.00", "currency": "USD"}),
            [account, known_order],
        ),
        (reviewed("e-again", "i-1"), [account, known_order, marks]),
        (event("order.cancelled", "e-c", {"order_id": "o-1"}), [account, known_order]),
    ]
    for activity, expected in needed:
        club.wire.sent.clear()

        club.post(activity)

        assert keys_asked_for(club) == expected, activity["type"]
        assert club.wire.operations().count("TransactWriteItems") == 1, activity["type"]


def reviewed(event_id: str, item_id: str) -> Event:
    return event("review.posted", event_id, {"order_id": "o-1", "item_id": item_id})


def keys_asked_for(club: Club) -> list[str]:
    """The sort keys of all that was read, in order."""
    found: list[str] = []
    for operation, body in club.wire.sent:
        if operation == "GetItem":
            found.append(body["Key"]["sk"]["S"])
        elif operation == "BatchGetItem":
            found += [key["sk"]["S"] for wanted in body["RequestItems"].values() for key in wanted["Keys"]]
    return found


EFFECTS: dict[str, tuple[Event, dict[str, Effect]]] = {
    "member.registered": ({"registered_on": "2026-11-01"}, {}),
    "member.updated": ({"country": "BY"}, {}),
    "order.completed": (
        {"order_id": "o-9", "currency": "USD", "lines": [line("i-9", "7.99", 3)], "flags": ["gift"]},
        {"club": ("accrual", 23), "crowns": ("denied", 0), "vip": ("accrual", 2397)},
    ),
    "order.cancelled": (
        {"order_id": "o-1"},
        {"club": ("clawback", -25), "crowns": ("clawback", -22), "vip": ("clawback", -2000)},
    ),
    "order.refunded": (
        {"order_id": "o-1", "amount": "0.01", "currency": "USD"},
        {"club": ("clawback", -1), "crowns": ("clawback", -1), "vip": ("clawback", -1)},
    ),
    "order.flagged_fraudulent": (
        {"order_id": "o-1"},
        {"club": ("clawback", -25), "crowns": ("clawback", -22), "vip": ("clawback", -2000)},
    ),
    "review.posted": (
        {"order_id": "o-1", "item_id": "i-1"},
        {"club": ("accrual", 1), "crowns": ("accrual", 1)},
    ),
    "visit.recorded": ({}, {"crowns": ("accrual", 1)}),
    "post.published": ({"post_id": "p-1"}, {"crowns": ("accrual", 2)}),
    "promotion.awarded": (
        {"campaign_id": "c-1", "points": 77, "program": "club"},
        {"club": ("accrual", 77)},
    ),
    "contribution.accepted": (
        {"contribution_id": "t-1", "kind": "translation"},
        {"club": ("accrual", 1)},
    ),
    "violation.confirmed": ({"case_id": "v-1", "kind": "spam"}, {"crowns": ("penalty", -20)}),
    "violation.overturned": ({"case_id": "v-1", "kind": "spam"}, {"crowns": ("parked", 0)}),
    "wishlist.item_added": ({"item_id": "i-1"}, {}),
    "wishlist.item_removed": ({"item_id": "i-1"}, {}),
    "cart.item_added": ({"item_id": "i-1"}, {}),
    "cart.item_removed": ({"item_id": "i-1"}, {}),
}


@pytest.mark.parametrize("event_type", sorted(EVENT_TYPES - {"price.dropped"}))
def test_every_type_becomes_one_entry(club: Club, event_type: str) -> None:
    data, expected = EFFECTS[event_type]
    club.post(order("o-1", line("i-1", "20.00")))
    before = balances(club)

    club.post(event(event_type, "e-9", data))

    assert keys_of(club) == ["e-o-1", "e-9"]
    assert effects(club.entry("e-9")) == expected
    assert club.entry("e-9")["type"] == event_type
    after = balances(club)
    for program in ("club", "crowns"):
        assert after[program] == max(0, before[program] + expected.get(program, ("", 0))[1])
    assert club.dead_letters() == []
    club.assert_whole()


def test_a_price_is_kept_once_and_concerns_no_member(club: Club) -> None:
    prices = {"item_id": "i-1", "old_price": "10.00", "new_price": "8.00", "currency": "USD"}
    dropped = event("price.dropped", "e-9", prices)
    del dropped["member_id"]

    club.post(dropped, dropped)
    club.post(dropped, {**dropped, "data": {**prices, "new_price": "7.00"}})

    ((key, stored),) = club.decoded().items()
    assert key == ("E#e-9", "-")
    fact = stored["body"]
    assert fact["data"]["new_price"] == 800
    assert fact.pop("data").keys() == prices.keys()
    assert fact == {
        "entry_id": "e-9",
        "key": "e-9",
        "event_id": "e-9",
        "type": "price.dropped",
        "occurred_at": instant(NOW),
        "posted_at": instant(NOW),
        "digest": stored["digest"],
        "parts": {},
    }, "as every entry has it, but for the member and the number"
    assert [reason for reason, _, _ in club.dead_letters()] == ["event_id_reused"]


def test_registering_opens_an_account_with_nothing_on_it(club: Club) -> None:
    club.post(event("member.registered", "e-1", {"birthday": "1990-02-03"}))

    views = club.summary()
    assert {name: view["tier"] for name, view in views.items()} == {"club": "A0", "crowns": "none", "vip": "none"}
    assert balances(club) == {"club": 0, "crowns": 0, "vip": "0.00"}
    assert [view["tier_since"] for view in views.values()] == [None] * 3
    club.assert_whole()


def test_an_order_that_comes_too_late_is_denied_where_it_has_expired(club: Club) -> None:
    club.post(order("o-1", at=NOW - days(90)), order("o-2", at=NOW - days(89)), order("o-3", at=NOW - days(365)))

    assert effects(club.entry("e-o-1"))["vip"] == ("denied", 0)
    assert codes(club.entry("e-o-1"), "vip") == ["already_expired"]
    assert effects(club.entry("e-o-1"))["club"] == ("accrual", 17)
    assert effects(club.entry("e-o-2"))["vip"] == ("accrual", 1250)
    assert {kind for kind, _ in effects(club.entry("e-o-3")).values()} == {"denied"}


def test_a_second_order_with_the_same_order_id_is_denied(club: Club) -> None:
    club.post(order("o-1", line("i-1", "20.00")))
    held = club.content()["M#m-42", "O#o-1"]

    club.post(order("o-1", line("i-2", "900.00"), event_id="e-again"))

    again = club.entry("e-again")
    assert {name: codes(again, name) for name in again["parts"]} == {
        name: ["order_already_posted"] for name in ("club", "crowns", "vip")
    }
    assert {kind for kind, _ in effects(again).values()} == {"denied"}
    assert club.content()["M#m-42", "O#o-1"] == held, "what is refunded later is the first"
    club.post(event("order.refunded", "e-refund", {"order_id": "o-1", "full": True}))
    assert balances(club) == {"club": 0, "crowns": 0, "vip": "0.00"}
    club.assert_whole()


def test_two_members_may_have_the_same_order_id(club: Club) -> None:
    club.post(order("o-1"), order("o-1", event_id="e-2", member_id="m-43"))

    assert balances(club) == balances(club, "m-43") == {"club": 17, "crowns": 14, "vip": "12.50"}


# --- once, for ever -------------------------------------------------------------------------------------------


def as_the_bus_sends_it(activity: Event) -> str:
    """The same event in EventBridge's whole envelope."""
    envelope = json.loads(message(activity))
    envelope |= {"version": "0", "id": "a-1", "account": "123456789012", "region": "eu-west-1", "resources": []}
    return json.dumps({**envelope, "time": "2026-11-22T10:14:58Z"})


def differently_written(activity: Event) -> str:
    """The same event: another offset, a category that is null, the keys the other way round."""
    same = {**activity, "occurred_at": "2026-11-22T13:15:00+03:00"}
    lines = [{**each, "category": each.get("category")} for each in activity["data"]["lines"]]
    same["data"] = {**activity["data"], "lines": lines, "flags": None}
    return message(dict(reversed(same.items())))


@pytest.mark.parametrize("written", [message, as_the_bus_sends_it, differently_written])
@pytest.mark.parametrize("event_id", ["e-1", "order", "O", "E"])
def test_a_repeat_changes_nothing(club: Club, written: Callable[[Event], str], event_id: str) -> None:
    bought = line()
    del bought["category"]
    first = order("o-1", bought, event_id=event_id)
    club.post(first)
    before = club.content()

    again = [record(written(first), NOW + timedelta(minutes=n), f"{n}") for n in (1, 2)]
    assert club.deliver(*again, millis=BRIEF) == []

    assert club.content() == before
    assert club.dead_letters() == []


def test_one_event_twice_in_one_batch_is_posted_once(club: Club) -> None:
    club.post(order("o-1"), order("o-1"), order("o-2"), order("o-1"), order("o-3"))

    assert keys_of(club) == ["e-o-1", "e-o-2", "e-o-3"]
    assert '"posted":3,"repeated":2' in club.log.getvalue()


OTHER_CONTENT: dict[str, Event] = {
    "another amount": order("o-1", line("i-1", "12.51"), event_id="e-1"),
    "another member": order("o-1", event_id="e-1", member_id="m-43"),
    "another order": order("o-2", event_id="e-1"),
    "another instant": order("o-1", event_id="e-1", at=NOW - timedelta(seconds=1)),
    "another type": event("order.cancelled", "e-1", {"order_id": "o-1"}),
    "an order not held": event("order.cancelled", "e-1", {"order_id": "o-9"}),
    "no order": event("visit.recorded", "e-1"),
    "no member": {
        **event("price.dropped", "e-1", {"item_id": "i", "old_price": "2.00", "new_price": "1.00", "currency": "USD"}),
        "member_id": None,
    },
}


@pytest.mark.parametrize("other", OTHER_CONTENT)
def test_an_id_used_for_other_content_is_a_dead_letter(club: Club, other: str) -> None:
    club.post(order("o-1", event_id="e-1"))
    before = club.content()

    club.post(order("o-5", member_id="m-7"), OTHER_CONTENT[other], order("o-6", member_id="m-8"))

    ((reason, detail, body),) = club.dead_letters()
    assert reason == "event_id_reused"
    assert detail == "this event id has been used with other content"
    assert body == message(OTHER_CONTENT[other])
    assert keys_of(club, "m-7") == ["e-o-5"]
    assert keys_of(club, "m-8") == ["e-o-6"]
    after = club.content()
    assert {key: after[key] for key in before} == before
    assert not any(pk == "M#m-43" for pk, _ in after), "the other member has no account of it"
    club.assert_whole()


def test_the_id_of_a_parked_event_is_taken_too(club: Club) -> None:
    refund = event("order.refunded", "e-1", {"order_id": "o-1", "full": True})
    club.post(refund)

    club.post(event("order.refunded", "e-1", {"order_id": "o-1", "amount": "1.00", "currency": "USD"}))
    club.post(refund)

    assert [reason for reason, _, _ in club.dead_letters()] == ["event_id_reused"]
    assert keys_of(club) == ["e-1"]


# --- what can't be posted -------------------------------------------------------------------------------------


def envelope(**detail: Any) -> str:
    return message({**event("visit.recorded", "e-bad"), **detail})


def priced(text: str) -> str:
    """A body with a unit price that is written like this."""
    return message(order("o-bad", line("i-1", "@"))).replace('"@"', text)


MALFORMED: dict[str, tuple[str, str, str]] = {
    "no JSON": ("{not json", "invalid_json", "JSON"),
    "half a JSON": (envelope()[:-1], "invalid_json", "JSON"),
    "two JSONs": (envelope() * 2, "invalid_json", "JSON"),
    "a list": ("[]", "missing", "/detail"),
    "a text": ('"order.completed"', "missing", "/detail"),
    "no detail": ('{"source":"marketplace","detail-type":"visit.recorded"}', "missing", "/detail"),
    "a detail that is a text": (
        '{"detail-type":"visit.recorded","detail":"{}"}',
        "missing",
        "/detail",
    ),
    "nested too deeply": ("[" * 100_000, "invalid_json", "deep"),
    "a key twice": ('{"detail":{},"detail":{}}', "duplicate_key", "detail"),
    "an unknown type": (envelope(type="order.exploded"), "unknown_type", "/type"),
    "no type": (
        json.dumps({"detail": event("visit.recorded", "e-bad") | {"type": "visit.recorded"}}),
        "unknown_field",
        "/type",
    ),
    "a type that is a number": (envelope(type=7), "invalid_type", "/type"),
    "float money": (priced("12.5"), "invalid_money", "/data/lines/0/unit_price"),
    "money with too many decimals": (priced('"12.501"'), "invalid_money", "/data/lines/0/unit_price"),
    "NaN": (priced("NaN"), "invalid_json", "NaN"),
    "infinity": (priced("1e999"), "invalid_json", ""),
    "another currency": (
        message(order("o-bad")).replace("USD", "EUR"),
        "currency_mismatch",
        "/data/currency",
    ),
    "the future": (
        envelope(occurred_at=instant(NOW + timedelta(minutes=5, milliseconds=1))),
        "occurred_in_future",
        "/occurred_at",
    ),
    "no offset": (envelope(occurred_at="2026-11-22T10:00:00"), "invalid_instant", "/occurred_at"),
    "an id with #": (envelope(member_id="m#1"), "invalid_id", "/member_id"),
    "an id with a line's end": (envelope(event_id="e-bad\n"), "invalid_id", "/event_id"),
    "an id of other digits": (envelope(member_id="m-\u0664\u0662"), "invalid_id", "/member_id"),
    "an id with NUL": (envelope(member_id="m\u0000"), "invalid_id", "/member_id"),
    "an empty id": (envelope(event_id=""), "invalid_id", "/event_id"),
    "an id too long": (envelope(event_id="e" * 65), "invalid_id", "/event_id"),
    "the reserved id": (envelope(member_id="me"), "reserved_id", "/member_id"),
    "no member": (envelope(member_id=None), "invalid_type", "/member_id"),
    "an unknown field": (envelope(colour="red"), "unknown_field", "/colour"),
    "data that is unknown": (envelope(data={"path": "/"}), "unknown_field", "/data/path"),
    "points beyond the bound": (
        message(event("promotion.awarded", "e-bad", {"campaign_id": "c", "points": 10_001, "program": "club"})),
        "out_of_range",
        "/data/points",
    ),
    "points in a spend program": (
        message(event("promotion.awarded", "e-bad", {"campaign_id": "c", "points": 1, "program": "vip"})),
        "invalid_value",
        "/data/program",
    ),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_can_never_be_posted_is_a_dead_letter_with_its_reason(club: Club, what: str) -> None:
    body, reason, named = MALFORMED[what]
    first, last = order("o-1"), order("o-2", member_id="m-43")

    again = club.deliver(record(message(first)), record(body), record(message(last)), millis=BRIEF)

    assert again == []
    ((given, detail, letter),) = club.dead_letters()
    assert given == reason
    assert named in detail
    assert letter == body
    assert keys_of(club) == ["e-o-1"]
    assert keys_of(club, "m-43") == ["e-o-2"]
    assert not [pk for pk, _ in club.content() if "bad" in pk]


@pytest.mark.parametrize(
    ("what", "says"),
    [
        ("a list", "/detail: an EventBridge event with a detail is expected"),
        ("no detail", "/detail: an EventBridge event with a detail is expected"),
        ("no type", "/type: the detail type of the event says its type"),
    ],
)
def test_a_dead_letter_says_what_is_wrong_with_its_envelope(club: Club, what: str, says: str) -> None:
    assert club.deliver(record(MALFORMED[what][0])) == []

    ((_, detail, _),) = club.dead_letters()
    assert detail == says


def test_a_dead_letter_names_every_bad_field(club: Club) -> None:
    bad = order("o-bad", line("i 1", "1.999", 0), member_id="m#1", colour="red")
    bad["data"]["currency"] = "EUR"
    club.post(bad)

    ((_, detail, _),) = club.dead_letters()
    for pointer in ("/colour", "/member_id", "/data/currency", "/data/lines/0/item_id", "/data/lines/0/quantity"):
        assert pointer in detail
    assert "/data/lines/0/unit_price" in detail


def test_a_batch_of_nothing_but_poison_is_taken_whole(club: Club) -> None:
    bodies = [body for body, _, _ in MALFORMED.values()]
    for start in range(0, len(bodies), 10):
        assert club.deliver(*map(record, bodies[start : start + 10])) == []

    assert sorted(body for _, _, body in club.dead_letters()) == sorted(bodies)
    assert club.content() == {}


def test_the_clock_is_the_messages_own(club: Club) -> None:
    """Five minutes ahead of the sending counts already, and is the same on a later delivery (rules 1.2)."""
    sent = NOW - days(300)
    ahead = order("o-1", at=sent + timedelta(minutes=5))
    again = record(message(ahead), sent)
    again["attributes"]["ApproximateReceiveCount"] = "4"
    again["attributes"]["ApproximateFirstReceiveTimestamp"] = str(int(NOW.timestamp() * 1000))

    assert club.deliver(again) == []

    assert club.entry("e-o-1")["posted_at"] == instant(sent)
    assert club.dead_letters() == []


def test_a_dead_letter_that_can_not_be_sent_comes_again(club: Club) -> None:
    good, bad = record(message(order("o-1")), message_id="good"), record("{", message_id="bad")
    mend = club.wire.fail("SendMessage", "error")

    assert club.deliver(bad, good) == ["message-bad"]
    assert keys_of(club) == ["e-o-1"]

    mend()
    assert club.deliver(bad) == []
    assert [reason for reason, _, _ in club.dead_letters()] == ["invalid_json"]


@given(body=st.recursive(st.none() | st.booleans() | st.integers() | st.floats() | st.text(), st.lists))
def test_nothing_that_stands_in_a_message_raises(body: object) -> None:
    """What is no event is refused by name, before anything is asked of the store."""
    app = load_app("post_ledger")
    outcome = app.post_batch(None, app.load_programs(), [record(json.dumps(body))], lambda: lambda: 0.0)

    assert len(outcome.dead) == 1
    assert not outcome.again


# --- the store fails ------------------------------------------------------------------------------------------

STORE_FAILURES = [
    ("GetItem", "throttle"),
    ("GetItem", "error"),
    ("GetItem", "timeout_before"),
    ("GetItem", "denied"),
    ("TransactWriteItems", "denied"),
    ("TransactWriteItems", "throttle"),
    ("TransactWriteItems", "conflict"),
    ("TransactWriteItems", "conflict_first"),
    ("TransactWriteItems", "error"),
    ("TransactWriteItems", "timeout_before"),
    ("TransactWriteItems", "timeout_after"),
]


@pytest.mark.parametrize(("operation", "kind"), STORE_FAILURES)
def test_only_what_the_store_did_not_take_comes_again(club: Club, operation: str, kind: str) -> None:
    batch = [record(message(order(f"o-{n}", member_id=f"m-{n}")), message_id=f"{n}") for n in (1, 2, 3)]
    mend = club.wire.fail(operation, kind, about="M#m-2")

    assert club.deliver(*batch, millis=BRIEF) == ["message-2"]
    assert keys_of(club, "m-1") == ["e-o-1"]
    assert keys_of(club, "m-3") == ["e-o-3"]

    mend()
    assert club.deliver(batch[1]) == []
    assert keys_of(club, "m-2") == ["e-o-2"]
    assert balances(club, "m-2") == balances(club, "m-1")
    assert club.dead_letters() == []
    club.assert_whole()


def test_a_record_that_the_table_never_takes_is_a_dead_letter_that_says_so(club: Club) -> None:
    batch = [record(message(order(f"o-{n}", member_id=f"m-{n}")), message_id=f"{n}") for n in (1, 2, 3)]
    mend = club.wire.fail("TransactWriteItems", "too_large", about="M#m-2")

    assert club.deliver(*batch) == []

    ((reason, _, body),) = club.dead_letters()
    assert reason == "record_too_large"
    assert (keys_of(club, "m-1"), keys_of(club, "m-2"), keys_of(club, "m-3")) == (["e-o-1"], [], ["e-o-3"])
    mend()
    assert club.deliver(record(body)) == []
    assert keys_of(club, "m-2") == ["e-o-2"]


@pytest.mark.parametrize("times", [1, 2, 4, 7])
@pytest.mark.parametrize(("operation", "kind"), [each for each in STORE_FAILURES if each[1] != "denied"])
def test_a_store_that_fails_for_a_moment_is_asked_again(club: Club, operation: str, kind: str, times: int) -> None:
    club.post(order("o-1"))
    club.wire.fail(operation, kind, times=times)

    assert club.deliver(record(message(order("o-2")))) == []

    assert keys_of(club) == ["e-o-1", "e-o-2"]
    club.assert_whole()


def test_an_answer_that_is_lost_after_the_commit_posts_nothing_twice(club: Club) -> None:
    """The event is in, and neither the invocation nor its repeats know: each of them finds it there."""
    club.post(order("o-1"))
    mend = club.wire.fail("TransactWriteItems", "timeout_after")
    posted = record(message(order("o-2")), message_id="2")

    club.deliver(posted, millis=BRIEF)
    assert keys_of(club) == ["e-o-1", "e-o-2"]
    before = club.content()
    club.deliver(posted, millis=BRIEF)
    mend()
    assert club.deliver(posted) == []

    assert club.content() == before
    assert club.dead_letters() == []


@pytest.mark.parametrize("kind", ["conflict", "conflict_first"])
def test_a_conflict_is_neither_a_duplicate_nor_an_old_read(club: Club, kind: str) -> None:
    """Whichever item it is on, the entry or the last one: no condition of ours has failed."""
    club.wire.fail("TransactWriteItems", kind, times=3)

    club.post(order("o-1"))

    assert keys_of(club) == ["e-o-1"]
    assert '"posted":1,"repeated":0' in club.log.getvalue()


def test_the_process_dies_before_or_after_any_write(club: Club) -> None:
    for number, moment in enumerate(("TransactWriteItems", "GetItem")):
        posted = record(message(order(f"o-{number}")))
        club.wire.kill(moment)
        with pytest.raises(Killed):
            club.deliver(posted)
        assert club.deliver(posted) == []

    assert keys_of(club) == ["e-o-0", "e-o-1"]
    club.assert_whole()


# --- one member's events in one batch -------------------------------------------------------------------------


def test_events_of_a_batch_are_posted_as_they_occurred(club: Club) -> None:
    minutes = [timedelta(minutes=n) for n in range(6)]
    start = NOW - minutes[5]
    club.post(
        event("review.posted", "e-6", {"order_id": "o-1", "item_id": "i-1"}, at=start + minutes[5]),
        event("order.refunded", "e-5", {"order_id": "o-1", "full": True}, at=start + minutes[4]),
        order("o-7", member_id="m-1", at=start + minutes[3]),
        event("visit.recorded", "e-1", at=start),
        order("o-1", event_id="e-2", at=start + minutes[1]),
        event("post.published", "e-3", {"post_id": "p-1"}, at=start + minutes[2]),
    )

    assert keys_of(club) == ["e-1", "e-2", "e-3", "e-5", "e-6"]
    assert "parked" not in {kind for entry in club.entries() for kind, _ in effects(entry).values()}
    assert keys_of(club, "m-1") == ["e-o-7"]


def test_an_account_never_goes_back_behind_what_was_posted_on_it(club: Club) -> None:
    """A message that was sent earlier and arrives later is posted at the account's own instant."""
    club.post(order("o-1"), at=NOW)
    club.post(order("o-2", at=NOW - days(2)), at=NOW - days(1))

    assert [entry["posted_at"] for entry in club.entries()] == [instant(NOW)] * 2
    assert club.entry("e-o-2")["parts"]["club"]["expires_on"] == (NOW - days(2)).toordinal() + 365
    club.assert_whole()


# --- parked ---------------------------------------------------------------------------------------------------

WAITING: dict[str, tuple[str, Event]] = {
    "refund": ("order.refunded", {"order_id": "o-1", "amount": "3.50", "currency": "USD"}),
    "lines": ("order.refunded", {"order_id": "o-1", "lines": [{"item_id": "i-1", "quantity": 1}]}),
    "cancellation": ("order.cancelled", {"order_id": "o-1"}),
    "fraud": ("order.flagged_fraudulent", {"order_id": "o-1"}),
    "review": ("review.posted", {"order_id": "o-1", "item_id": "i-1"}),
}


@pytest.mark.parametrize("what", WAITING)
def test_what_comes_before_its_order_is_parked_and_takes_effect_with_it(club: Club, what: str) -> None:
    event_type, data = WAITING[what]
    waiting, bought = event(event_type, "e-1", data), order("o-1", line(quantity=2))
    club.post({**bought, "member_id": "m-in-order"}, {**waiting, "member_id": "m-in-order", "event_id": "e-2"})

    club.post(waiting)
    assert {kind for kind, _ in effects(club.entry("e-1")).values()} == {"parked"}
    assert balances(club) == {"club": 0, "crowns": 0, "vip": "0.00"}
    club.assert_whole()

    club.post({**bought, "event_id": "e-order"})
    assert keys_of(club) == ["e-1", "e-order", "e-1~2"]
    assert club.entry("e-1~2")["event_id"] == "e-1"
    assert effects(club.entry("e-1~2")) == effects(club.entry("e-2"))
    assert balances(club) == balances(club, "m-in-order")
    before = club.content()

    club.post(waiting, {**bought, "event_id": "e-order"})
    assert club.content() == before
    club.assert_whole()


def test_an_event_never_touches_another_members_order(club: Club) -> None:
    club.post(order("o-1", member_id="m-43"))
    before = {key: item for key, item in club.content().items() if key[0] == "M#m-43"}

    club.post(event("order.refunded", "e-1", {"order_id": "o-1", "full": True}))
    club.post(order("o-1", event_id="e-2", member_id="m-44"))

    assert keys_of(club) == ["e-1"], "it stays parked"
    assert keys_of(club, "m-44") == ["e-2"]
    assert {key: item for key, item in club.content().items() if key[0] == "M#m-43"} == before


MANY = 2 * PARKED_AT_ONCE + 5


def many_reviews() -> list[Event]:
    return [event("review.posted", f"e-{n}", {"order_id": "o-1", "item_id": f"i-{n}"}) for n in range(MANY)]


def long_order() -> Event:
    return order("o-1", *(line(f"i-{n}", "3.00", seller_id=f"s-{n}") for n in range(MANY)))


def assert_all_took_effect(club: Club) -> None:
    reviews = [f"e-{n}" for n in range(MANY)]
    assert keys_of(club) == [*reviews, "e-o-1", *(f"{review}~2" for review in reviews)]
    assert balances(club)["club"] == 3 * MANY + 5 + MANY
    assert "parked" not in club.decoded()["M#m-42", "O#o-1"]["body"]
    club.assert_whole()


def test_more_waits_for_an_order_than_one_transaction_holds(club: Club) -> None:
    club.post(*many_reviews())
    club.wire.sent.clear()

    club.post(long_order())

    sizes = [len(body["TransactItems"]) for body in club.wire.bodies("TransactWriteItems")]
    assert len(sizes) == 4, "one that did not know of the parked ones, the order with the first, and two more"
    assert max(sizes) <= 100
    assert_all_took_effect(club)


@pytest.mark.parametrize("skip", [1, 2, 3])
@pytest.mark.parametrize("kind", ["killed", "timeout_after", "conflict", "throttle"])
def test_the_rest_of_what_waits_follows_whatever_happens_in_between(club: Club, kind: str, skip: int) -> None:
    club.post(*many_reviews())
    arrives = record(message(long_order()), message_id="order")
    if kind == "killed":
        club.wire.kill("TransactWriteItems", skip=skip)
        with pytest.raises(Killed):
            club.deliver(arrives)
    else:
        mend = club.wire.fail("TransactWriteItems", kind, skip=skip)
        assert club.deliver(arrives, millis=BRIEF) == ["message-order"]
        mend()

    assert club.deliver(arrives) == []

    assert_all_took_effect(club)


def test_an_event_for_an_order_whose_parked_ones_are_not_all_done(club: Club) -> None:
    """The order has arrived, and its function died: what comes next acts behind all that has waited longer."""
    club.post(*many_reviews())
    arrives = record(message(long_order()))
    club.wire.kill("TransactWriteItems", skip=2)
    with pytest.raises(Killed):
        club.deliver(arrives)
    assert len(club.decoded()["M#m-42", "O#o-1"]["body"]["parked"]) == MANY - PARKED_AT_ONCE

    club.post(event("order.cancelled", "e-cancel", {"order_id": "o-1"}))
    assert club.deliver(arrives) == []

    waited = [f"e-{n}" for n in range(MANY)]
    assert keys_of(club) == [*waited, "e-o-1", *(f"{key}~2" for key in waited), "e-cancel"]
    assert balances(club)["club"] == MANY, "the reviews; the order is cancelled"
    club.assert_whole()


# --- pages ----------------------------------------------------------------------------------------------------


def test_the_journal_rolls_over(club: Club) -> None:
    count = 2 * JOURNAL_PAGE + 3
    visits = [event("visit.recorded", f"e-{n}", at=NOW - days(n)) for n in range(count)]
    club.post(*reversed(visits))

    found = club.decoded()
    pages = [found["M#m-42", f"J#{page:06d}"]["body"] for page in range(2)]
    assert [len(page) for page in pages] == [JOURNAL_PAGE] * 2
    rows = [*pages[0], *pages[1], *found["M#m-42", "J~"]["body"]["j"]]
    assert [row.split(" ")[-1] for row in rows] == keys_of(club)
    assert rows[0] == "2026-11-22 2026-10-01 e-52", "the days of posting and of occurring"
    assert rows[-1] == "2026-11-22 e-0", "one day, where it is the same"
    assert ("M#m-42", "J#000002") not in found
    club.assert_whole()


def test_what_counts_once_is_still_known_after_its_page_has_left_the_account(club: Club) -> None:
    """Each review leaves two marks: after 70 of them two pages are full, and the account holds the rest."""
    count = 70
    bought = order("o-1", *(line(f"i-{n}", "2.00") for n in range(count)))
    reviews = [event("review.posted", f"e-{n}", {"order_id": "o-1", "item_id": f"i-{n}"}) for n in range(count)]
    club.post(bought, *reviews)
    found = club.decoded()
    assert [len(found["M#m-42", f"K#{page:06d}"]["body"]) for page in range(2)] == [MARKS_PAGE] * 2
    assert len(found["M#m-42", "J~"]["body"]["m"]) == 2 * count - 2 * MARKS_PAGE
    earned = balances(club)

    club.post(*({**review, "event_id": f"{review['event_id']}-again"} for review in reviews))

    assert balances(club) == earned
    for n in range(count):
        again = club.entry(f"e-{n}-again")
        assert {name: codes(again, name) for name in again["parts"]} == {
            "club": ["already_reviewed"],
            "crowns": ["already_reviewed"],
        }
    club.assert_whole()


def test_parked_reviews_know_the_marks_that_have_left_the_account(club: Club) -> None:
    """Two orders hold the same items. Those of the second were reviewed before it came: nothing counts twice."""
    count = 40
    lines = [line(f"i-{n}", "2.00") for n in range(count)]
    waiting = [event("review.posted", f"w-{n}", {"order_id": "o-2", "item_id": f"i-{n}"}) for n in range(count)]
    reviews = [event("review.posted", f"e-{n}", {"order_id": "o-1", "item_id": f"i-{n}"}) for n in range(count)]
    club.post(*waiting, order("o-1", *lines), *reviews)
    assert ("M#m-42", "K#000000") in club.content()

    club.post(order("o-2", *lines))

    for n in range(count):
        assert codes(club.entry(f"w-{n}~2"), "club") == ["already_reviewed"]
    club.assert_whole()


# --- two at once ----------------------------------------------------------------------------------------------


def test_two_postings_on_one_account_lose_nothing(club: Club) -> None:
    club.post(order("o-1"))
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(message(order("o-2")))), about="e-o-3")

    assert club.deliver(record(message(order("o-3")))) == []

    assert keys_of(club) == ["e-o-1", "e-o-2", "e-o-3"]
    assert balances(club) == {"club": 41, "crowns": 40, "vip": "37.50"}
    club.assert_whole()


def test_what_was_read_too_early_is_read_again_and_consistently(club: Club) -> None:
    """An old read is cheap and may be repeated once; the second read must not be as old as the first."""
    club.post(order("o-1"))
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(message(order("o-2")))), about="e-o-3")
    club.wire.sent.clear()

    club.post(order("o-3"))

    reads = [bool(body.get("ConsistentRead")) for body in club.wire.bodies("GetItem")]
    assert reads == [False, False, True], "the slower's, the quicker's, the slower's again"


def test_what_is_watched_is_read_again_consistently_as_well(club: Club) -> None:
    club.post(event("wishlist.item_added", "e-1", {"item_id": "i-1"}))
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(message(event("visit.recorded", "e-2")))))
    club.wire.sent.clear()

    club.post(event("cart.item_added", "e-3", {"item_id": "i-1"}))

    reads = [(body["Key"]["sk"]["S"], bool(body.get("ConsistentRead"))) for body in club.wire.bodies("GetItem")]
    account, watched = items.ACCOUNT, items.watch_key("i-1")
    slower = [(account, False), (watched, False), (account, True), (watched, True)]
    assert reads == [*slower[:2], (account, False), *slower[2:]], "the quicker's comes between"


@pytest.mark.parametrize("by", ["a posting", "a sweep"])
def test_a_posting_that_is_overtaken_by_what_settles_the_account(club: Club, by: str) -> None:
    """Both write the same expiry. The second finds it there: that makes its own event no repeat of anything."""
    club.post(order("o-1", at=NOW - days(90)), at=NOW - days(90))
    overtake: dict[str, Callable[[], object]] = {
        "a posting": lambda: club.deliver(record(message(order("o-2")))),
        "a sweep": lambda: club.sweep("ExpirySweep", NOW),
    }
    club.wire.before("TransactWriteItems", overtake[by], about="e-o-3")

    assert club.deliver(record(message(order("o-3")))) == []

    assert club.dead_letters() == []
    assert keys_of(club)[1].startswith("~expiry~")
    assert keys_of(club)[2:] == (["e-o-2", "e-o-3"] if by == "a posting" else ["e-o-3"])
    club.assert_whole()


def test_what_waits_for_an_order_takes_effect_once_though_it_is_released_twice(club: Club) -> None:
    """The order's message is in two hands, and both let the rest of what waited take effect."""
    club.post(*many_reviews())
    arrives = record(message(long_order()))
    club.wire.before("TransactWriteItems", lambda: club.deliver(arrives), about=f'"E#e-{PARKED_AT_ONCE}~2"')

    assert club.deliver(arrives) == []

    assert club.dead_letters() == []
    assert_all_took_effect(club)


def test_two_first_postings_of_a_member_lose_nothing(club: Club) -> None:
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(message(order("o-2")))), about="e-o-1")

    assert club.deliver(record(message(order("o-1")))) == []

    assert keys_of(club) == ["e-o-2", "e-o-1"]
    club.assert_whole()


def test_one_event_in_two_hands_is_posted_once(club: Club) -> None:
    both = record(message(order("o-1")))
    club.wire.before("TransactWriteItems", lambda: club.deliver(both))

    assert club.deliver(both) == []

    assert keys_of(club) == ["e-o-1"]
    assert club.dead_letters() == []
    club.assert_whole()


def test_one_id_with_two_contents_in_two_hands_keeps_the_first(club: Club) -> None:
    quicker = message(order("o-1", event_id="e-1"))
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(quicker)))

    assert club.deliver(record(message(order("o-1", line("i-1", "99.00"), event_id="e-1")))) == []

    assert balances(club)["vip"] == "12.50"
    assert [reason for reason, _, _ in club.dead_letters()] == ["event_id_reused"]


@pytest.mark.parametrize("first", ["order", "refund"])
def test_an_order_and_its_refund_in_two_hands(club: Club, first: str) -> None:
    """Each was read when the other was not there yet; whichever is written second sees the other."""
    club.post(event("visit.recorded", "e-0"))
    bought = message(order("o-1"))
    refund = message(event("order.refunded", "e-refund", {"order_id": "o-1", "full": True}))
    slower, quicker = (bought, refund) if first == "refund" else (refund, bought)
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(quicker)))

    assert club.deliver(record(slower)) == []

    assert balances(club) == {"club": 0, "crowns": 1, "vip": "0.00"}
    parked = ["e-refund", "e-o-1", "e-refund~2"]
    assert keys_of(club)[1:] == (parked if first == "refund" else ["e-o-1", "e-refund"])
    club.assert_whole()


def test_many_hands_on_one_account(club: Club) -> None:
    """Each posting is overtaken by the next, six deep."""

    def post(n: int) -> None:
        assert club.deliver(record(message(order(f"o-{n}")))) == []

    for n in range(6):
        club.wire.before("TransactWriteItems", lambda n=n: post(n + 1), about=f'"E#e-o-{n}"')  # type: ignore[misc]

    post(0)

    assert sorted(keys_of(club)) == [f"e-o-{n}" for n in range(7)]
    assert balances(club)["vip"] == "87.50"
    club.assert_whole()


@pytest.mark.parametrize("name", ["J#000000", "K#000000"])
def test_a_page_is_filled_by_one_hand_only(club: Club, name: str) -> None:
    """The posting that fills a page is overtaken by another that fills it too: one page, nothing lost."""
    if name == "J#000000":
        before = [event("visit.recorded", f"e-{n}", at=NOW - days(n)) for n in range(JOURNAL_PAGE - 1)]
        last = [event("visit.recorded", f"last-{n}", at=NOW - days(50 + n)) for n in range(2)]
    else:
        bought = order("o-1", *(line(f"i-{n}", "2.00") for n in range(40)))
        half = MARKS_PAGE // 2
        reviews = [event("review.posted", f"e-{n}", {"order_id": "o-1", "item_id": f"i-{n}"}) for n in range(40)]
        before, last = [bought, *reviews[: half - 1]], reviews[half - 1 : half + 1]
    club.post(*before)
    assert ("M#m-42", name) not in club.content()
    slower, quicker = map(message, last)
    club.wire.before("TransactWriteItems", lambda: club.deliver(record(quicker)), about=name)

    assert club.deliver(record(slower)) == []

    assert keys_of(club)[-2:] == [last[1]["event_id"], last[0]["event_id"]]
    assert ("M#m-42", name) in club.content()
    club.assert_whole()


# --- much fell due since --------------------------------------------------------------------------------------


def long_unswept(club: Club) -> None:
    """A member with 90 days of visits and posts, whose points have expired since without any sweep."""
    start = NOW - days(600)
    for n in range(45):
        promotion = {"campaign_id": "c", "points": 30, "program": "crowns" if n % 2 else "club"}
        club.post(event("promotion.awarded", f"e-{n}", promotion, at=start + days(n)), at=start + days(n))
    assert len(club.entries()) == 45


def test_what_fell_due_is_posted_before_the_event(club: Club) -> None:
    long_unswept(club)

    club.post(order("o-1"))

    entries = club.entries()
    assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
    assert entries[-1]["key"] == "e-o-1"
    expired = [entry for entry in entries if "expiry" in {kind for kind, _ in effects(entry).values()}]
    assert len(expired) == 45, "more than one transaction holds"
    assert balances(club) == {"club": 17, "crowns": 14, "vip": "12.50"}
    club.assert_whole()


@pytest.mark.parametrize("skip", [0, 1])
def test_the_process_dies_while_it_posts_what_fell_due(club: Club, skip: int) -> None:
    long_unswept(club)
    posted = record(message(order("o-1")))
    club.wire.kill("TransactWriteItems", skip=skip)
    with pytest.raises(Killed):
        club.deliver(posted)

    assert club.deliver(posted) == []

    assert keys_of(club).count("e-o-1") == 1
    assert balances(club) == {"club": 17, "crowns": 14, "vip": "12.50"}
    club.assert_whole()


# --- the person ----------------------------------------------------------------------------------------------

PERSON = {"birthday": "1987-06-05", "country": "BY", "registered_on": "2020-03-04"}


def shown(content: object) -> str:
    return json.dumps(content, default=str)


def test_personal_data_is_kept_in_the_profile_and_with_the_gifts_only(club: Club) -> None:
    club.post(
        event("member.registered", "e-1", PERSON),
        order("o-1"),
        event("member.updated", "e-2", {"country": "BY"}),
        event("member.updated", "e-3", {"birthday": "1987-06-05"}, member_id="m-43"),
    )
    club.post(event("member.updated", "e-3", {"birthday": "1987-06-06"}, member_id="m-43"))  # refused
    club.wire.fail("TransactWriteItems", "denied", about="M#m-44")
    club.deliver(record(message(event("member.registered", "e-4", PERSON, member_id="m-44"))))
    club.wire.fail("TransactWriteItems", "too_large", about="M#m-45")
    club.deliver(record(message(event("member.registered", "e-5", PERSON, member_id="m-45"))))
    club.announced()

    found = club.decoded()
    assert found["M#m-42", "P"]["body"] == {**PERSON, "birthday_set_at": instant(NOW)}
    assert "birthday" in found["R#m-42", "-"]["body"], "gifts go by it"
    others = [item for (pk, sk), item in found.items() if sk != "P" and not pk.startswith("R#")]
    details = [detail for _, detail, _ in club.dead_letters()]
    assert len(details) == 2
    for place in (shown(others), club.log.getvalue(), shown(club.wire.published), *details):
        assert place
        for value in ("1987", "06-05", '"BY"', "2020-03-04", "birthday", "country"):
            assert value not in place


def test_a_bad_birthday_is_named_and_not_told(club: Club) -> None:
    club.post(event("member.registered", "e-1", {"birthday": "1987-06-31", "country": "Belarus"}))

    ((reason, detail, _),) = club.dead_letters()
    assert reason == "invalid_value"
    assert "/data/birthday" in detail
    assert "/data/country" in detail
    for place in (detail, club.log.getvalue()):
        assert "1987" not in place
        assert "Belarus" not in place


def test_a_profile_grows_by_what_is_said(club: Club) -> None:
    club.post(event("member.registered", "e-1", {"country": "BY"}, at=NOW - days(3)), at=NOW - days(3))
    profile = lambda: club.decoded()["M#m-42", "P"]["body"]  # noqa: E731
    assert profile() == {"country": "BY", "registered_on": "2026-11-19"}

    club.post(event("member.updated", "e-2", {"birthday": "1987-06-05"}))
    assert profile() == {
        "country": "BY",
        "registered_on": "2026-11-19",
        "birthday": "1987-06-05",
        "birthday_set_at": instant(NOW),
    }


def test_a_birthday_that_is_told_again_is_no_new_one(club: Club) -> None:
    """Gifts go by when it was set: who sends the whole person with every change must not move that."""
    before = NOW - days(30)
    club.post(event("member.registered", "e-1", {"birthday": "1987-06-05"}, at=before), at=before)

    club.post(event("member.updated", "e-2", {"birthday": "1987-06-05", "country": "BY"}))
    assert club.decoded()["M#m-42", "P"]["body"]["birthday_set_at"] == instant(before)

    club.post(event("member.updated", "e-3", {"birthday": "1987-06-06"}))
    assert club.decoded()["M#m-42", "P"]["body"]["birthday_set_at"] == instant(NOW)


@pytest.mark.parametrize("changed", [{}, {"data": {"country": "RU"}}])
def test_a_late_repeat_does_not_bring_an_old_profile_back(club: Club, changed: Event) -> None:
    """Also when so much has fallen due since that it is posted in transactions of its own."""
    long_unswept(club)
    start = NOW - days(500)
    club.post(event("member.updated", "p-1", {"country": "LT"}, at=start), at=start)
    club.post(event("member.updated", "p-2", {"country": "BY"}, at=start), at=start)

    club.post({**event("member.updated", "p-1", {"country": "LT"}, at=start), **changed})

    assert club.decoded()["M#m-42", "P"]["body"] == {"country": "BY"}
    club.assert_whole()
