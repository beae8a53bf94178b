"""member_admin: adjustments, once and by whom they were made, and the erasing of a member (rules 1.8, contract 2.1)."""

from __future__ import annotations

import copy
import json
from datetime import datetime
from typing import Any

import pytest

from club_ledger import items
from club_ledger.erasing import erase_member
from club_ledger.journal import PAGES_AT_ONCE
from club_ledger.store import SETTLED_AT_ONCE, connect
from club_rules.rewards import decode_rewards
from local.verify import verify, verify_standing
from tests.integration.harness import (
    NOW,
    PROGRAMS,
    Club,
    Event,
    days,
    event,
    line,
    message,
    order,
    record,
    sample,
)
from tests.integration.test_price_alerts import drop, sent, work_off

BODY = {"adjustment_id": "a-1", "program": "club", "points": -25, "reason": "counted twice"}
SUPPORT: dict[str, Any] = {"sub": "agent-7", "scope": "club:support"}


def request(
    name: str, member_id: str, body: Any, *, sub: str = "op-1", scope: str = "club:admin", at: datetime = NOW
) -> Event:
    """A sample of the function's, with another member, body, operator and time."""
    made = copy.deepcopy(sample(name))
    made["pathParameters"] = {"member_id": member_id}
    made["requestContext"]["timeEpoch"] = int(at.timestamp() * 1000)
    made["requestContext"]["authorizer"]["jwt"]["claims"] |= {"sub": sub, "scope": scope}
    if body is not None:
        made["body"] = body if isinstance(body, str) else json.dumps(body)
    return made


def adjust(club: Club, body: Any = None, member_id: str = "m-42", **how: Any) -> tuple[int, Event]:
    """Asks for an adjustment: status and body."""
    millis = how.pop("millis", 10_000)
    given = BODY if body is None else body
    answer = club.invoke("member_admin", request("member_admin", member_id, given, **how), millis=millis)
    found: Event = json.loads(answer["body"])
    return answer["statusCode"], found


def erase(club: Club, member_id: str = "m-42", millis: int = 10_000, **how: Any) -> int:
    """Asks for a member to be erased: the status."""
    answer = club.invoke("member_admin", request("member_admin_erase", member_id, None, **how), millis=millis)
    status: int = answer["statusCode"]
    assert (answer["body"] == "") == (status == 204)
    return status


def buys(club: Club, order_id: str, price: str, at: datetime = NOW, **changes: Any) -> None:
    club.post(order(order_id, line(f"i-{order_id}", price), at=at, **changes), at=at)


def statement(club: Club, program: str = "club", **how: Any) -> list[Event]:
    status, body = club.get("/members/m-42/statement", {"program": program, "limit": "100"}, **how)
    assert status == 200, body
    found: list[Event] = body["entries"]
    return found


# --- adjustments


def test_the_sample_takes_points_and_says_what_it_made_of_the_member(club: Club) -> None:
    buys(club, "o-1", "600.00", NOW - days(1))

    answer = club.invoke("member_admin", sample("member_admin"))

    assert answer["statusCode"] == 200
    assert json.loads(answer["body"]) == {
        "adjustment_id": "a-1",
        "status": "posted",
        "member_id": "m-42",
        "program": "club",
        "points": -25,
        "balance": 580,
        "tier_before": "A3",
        "tier": "A3",
        "expires_on": "2027-11-22",
        "posted_at": "2026-11-22T10:15:00Z",
        "entry_id": "adjustment~~a-1",
        "reason": "Points were counted twice for order o-901",
        "actor": "op-1",
        "confirmed_by": None,
    }
    assert club.summary()["club"]["points"] == 580
    club.assert_whole()


def test_a_tier_falls_and_rises_at_once_and_the_receipt_says_by_what(club: Club) -> None:
    buys(club, "o-1", "600.00", NOW - days(40))

    _, down = adjust(club, {**BODY, "points": -106})
    _, up = adjust(club, {**BODY, "adjustment_id": "a-2", "points": 1}, at=NOW + days(1))

    assert (down["balance"], down["tier_before"], down["tier"]) == (499, "A3", "A2")
    assert (up["balance"], up["tier_before"], up["tier"]) == (500, "A2", "A3")
    query = {"program": "club", "from": "2026-11-22"}
    _, told = club.get("/members/m-42/explanation", query, at=NOW + days(1))
    assert [(cause["kind"], cause["points"]) for cause in told["causes"]] == [("adjusted", -105)]
    assert [each["to"] for each in told["receipts"]] == ["A2", "A3"]
    assert told["receipts"][0]["causes"][-1]["points"] == -106
    assert "an adjustment took 106 points" in told["receipts"][0]["text"]
    assert [detail["to"] for _, detail in club.announced() if detail.get("cause") == "adjustment"] == ["A2", "A3"]
    club.assert_whole()


def test_in_vip_it_is_money_and_lowers_as_a_clawback_does(club: Club) -> None:
    buys(club, "o-2", "4100.00", NOW - days(60))
    body = {"adjustment_id": "a-1", "program": "vip", "spend": "-101.01", "reason": "a chargeback"}

    status, answer = adjust(club, body)

    assert (status, answer["spend"], answer["balance"], answer["tier"]) == (200, "-101.01", "3998.99", "Silver")
    assert club.summary()["vip"]["tier_since"] == "2026-11-22"
    _, back = adjust(club, {**body, "adjustment_id": "a-2", "spend": "0.01"})
    assert (back["balance"], back["tier"]) == ("3999.00", "Gold")
    # the lot that took it ends as any does: what it took comes back, when the order has long expired
    shown = club.summary(at=NOW + days(89))["vip"]
    assert (shown["spend"], club.summary(at=NOW + days(90))["vip"]["spend"]) == ("0.00", "0.00")
    late = [each for each in statement(club, "vip", at=NOW + days(90)) if each["kind"] == "expiry"]
    assert [each["spend"] for each in late] == ["101.00", "-4100.00"]
    club.assert_whole()


def test_the_reason_is_told_to_both_and_who_it_was_to_support_alone(club: Club) -> None:
    buys(club, "o-1", "600.00")
    adjust(club)

    (own,) = (each for each in statement(club) if each["kind"] == "adjustment")
    (full,) = (each for each in statement(club, **SUPPORT) if each["kind"] == "adjustment")

    assert own["note"] == full["note"] == "counted twice"
    assert (full["actor"], full["confirmed_by"]) == ("op-1", None)
    assert not {"actor", "confirmed_by"} & own.keys()
    assert (own["event_id"], own["points"], own["expires_on"]) == (None, -25, "2027-11-22")
    (reason,) = own["reasons"]
    assert reason == {
        "rule": "adjustment",
        "points": -25,
        "code": "adjusted",
        "ref": "a-1",
        "text": "25 points taken by an adjustment, a-1",
    }


def test_a_repeat_gets_what_was_stored_whatever_has_happened_since(club: Club) -> None:
    buys(club, "o-1", "600.00")
    first = adjust(club)
    buys(club, "o-2", "2000.00", NOW + days(1))

    again = adjust(club, json.dumps(dict(reversed(BODY.items())), indent=3), at=NOW + days(2), sub="op-2")

    assert again == first
    assert club.summary(at=NOW + days(2))["club"]["points"] == 605 - 25 + 2005
    assert [entry["kind"] for entry in statement(club, at=NOW + days(2))].count("adjustment") == 1


@pytest.mark.parametrize(
    "change", [{"points": -26}, {"points": 25}, {"reason": "counted twice."}, {"program": "crowns"}, {"member": "m-43"}]
)
def test_an_id_stands_for_one_content(club: Club, change: Event) -> None:
    buys(club, "o-1", "600.00")
    buys(club, "o-2", "600.00", member_id="m-43")
    first = adjust(club)
    before = club.content()

    status, problem = adjust(
        club, {**BODY, **{k: v for k, v in change.items() if k != "member"}}, change.get("member", "m-42")
    )

    assert (status, problem["code"]) == (409, "adjustment_id_reused")
    assert problem["detail"] == "this adjustment_id has been used with other content"
    assert club.content() == before
    assert adjust(club) == first


def test_what_comes_of_an_id_that_is_also_an_events_is_kept_apart(club: Club) -> None:
    """The effect of a parked event "adjustment" has the key "adjustment~2"."""
    club.post(event("order.refunded", "adjustment", {"order_id": "o-1", "full": True}))
    buys(club, "o-2", "600.00")
    assert adjust(club, {**BODY, "adjustment_id": "2"})[0] == 200
    buys(club, "o-1", "100.00")
    assert club.dead_letters() == []
    assert {"adjustment~2", "adjustment~~2"} <= {entry["key"] for entry in club.entries()}
    club.assert_whole()


@pytest.mark.parametrize(
    ("body", "faults"),
    [
        ({}, {("/adjustment_id", "missing"), ("/program", "missing"), ("/reason", "missing")}),
        ({**BODY, "reason": None}, {("/reason", "invalid_type")}),
        ({name: BODY[name] for name in BODY if name != "reason"}, {("/reason", "missing")}),
        ({**BODY, "reason": " "}, {("/reason", "invalid_value")}),
        ({**BODY, "reason": ""}, {("/reason", "invalid_value")}),
        ({**BODY, "reason": "a\nb"}, {("/reason", "invalid_value")}),
        ({**BODY, "reason": "x" * 501}, {("/reason", "invalid_value")}),
        ({**BODY, "points": 0}, {("/points", "out_of_range")}),
        ({**BODY, "points": 1.0}, {("/points", "invalid_type")}),
        ({**BODY, "points": "5"}, {("/points", "invalid_type")}),
        ({**BODY, "points": True}, {("/points", "invalid_type")}),
        ({**BODY, "points": None}, {("/points", "invalid_type")}),
        ({**BODY, "points": 1_000_001}, {("/points", "out_of_range")}),
        ({**BODY, "points": -(10**30)}, {("/points", "out_of_range")}),
        ({**BODY, "program": "gold"}, {("/program", "invalid_value")}),
        ({**BODY, "program": 7}, {("/program", "invalid_type")}),
        ({**BODY, "adjustment_id": "a b"}, {("/adjustment_id", "invalid_id")}),
        ({**BODY, "adjustment_id": "é"}, {("/adjustment_id", "invalid_id")}),
        ({**BODY, "actor": "somebody"}, {("/actor", "unknown_field")}),
        ({**BODY, "member_id": "m-42"}, {("/member_id", "unknown_field")}),
        ({**BODY, "program": "vip"}, {("/points", "unknown_field"), ("/spend", "missing")}),
        ({**BODY, "spend": "1.00"}, {("/spend", "unknown_field")}),
        ({**BODY, "program": "vip", "spend": "1.00"}, {("/points", "unknown_field")}),
        ([], {("", "invalid_type")}),
        ("{", {("", "invalid_json")}),
        ('{"reason": "a", "reason": "b"}', None),
    ],
)
def test_a_body_at_fault_is_refused_by_name(club: Club, body: Any, faults: set[tuple[str, str]] | None) -> None:
    buys(club, "o-1", "600.00")
    before = club.content()
    club.wire.sent.clear()

    status, problem = adjust(club, body)

    found = {(each["pointer"], each["code"]) for each in problem["errors"]}
    assert status == 400
    assert found == faults if faults is not None else ("/reason", "duplicate_key") in found
    assert club.wire.operations() == []  # the table is not even asked
    assert club.content() == before


@pytest.mark.parametrize(
    ("spend", "code"),
    [
        (0, "invalid_money"),
        (-12.5, "invalid_money"),
        (None, "invalid_type"),
        ("0.00", "out_of_range"),
        ("-0.00", "out_of_range"),
        ("1000000000.00", "out_of_range"),
        ("-1000000000.00", "out_of_range"),
        ("1", "invalid_money"),
        ("--1.00", "invalid_money"),
        ("+1.00", "invalid_money"),
        ("-", "invalid_money"),
        ("-1.005", "invalid_money"),
    ],
)
def test_spend_is_money_with_a_minus_where_it_is_taken(club: Club, spend: Any, code: str) -> None:
    body = {"adjustment_id": "a-1", "program": "vip", "spend": spend, "reason": "x"}
    status, problem = adjust(club, body)
    assert (status, [(each["pointer"], each["code"]) for each in problem["errors"]]) == (400, [("/spend", code)])


def test_who_is_not_there_can_not_be_adjusted(club: Club) -> None:
    buys(club, "o-1", "600.00")
    before = club.content()
    for member_id in ("m-43", "me", "not an id", "M#m-42", ""):
        status, problem = adjust(club, member_id=member_id)
        assert (status, problem["code"]) == (404, "member_not_found")
        large = adjust(club, {**BODY, "points": 5000}, member_id)
        assert large[0] == 404
    assert club.content() == before


@pytest.mark.parametrize(
    ("sub", "scope", "code"),
    [
        ("m-42", "club:read", "scope_required"),
        ("op-1", "club:support club:ingest club:decide", "scope_required"),
        ("op-1", "club:administrator", "scope_required"),
        ("", "club:admin", "subject_required"),
        (" ", "club:admin", "subject_required"),
    ],
)
def test_only_an_operator_with_a_name_may_act(club: Club, sub: str, scope: str, code: str) -> None:
    buys(club, "o-1", "600.00")
    club.wire.sent.clear()
    status, problem = adjust(club, sub=sub, scope=scope)
    assert (status, problem["code"]) == (403, code)
    assert erase(club, sub=sub, scope=scope) == 403
    assert club.wire.operations() == []


# --- the second operator


@pytest.mark.parametrize(
    ("change", "alone"),
    [
        ({"points": 1000}, True),
        ({"points": -1000}, True),
        ({"points": 1001}, False),
        ({"points": -1001}, False),
        ({"program": "vip", "points": None, "spend": "1000.00"}, True),
        ({"program": "vip", "points": None, "spend": "-1000.00"}, True),
        ({"program": "vip", "points": None, "spend": "1000.01"}, False),
        ({"program": "vip", "points": None, "spend": "-1000.01"}, False),
    ],
)
def test_above_the_limit_another_operator_confirms(club: Club, change: Event, alone: bool) -> None:
    buys(club, "o-1", "600.00")
    body = {name: value for name, value in {**BODY, **change}.items() if value is not None}
    first = adjust(club, body)
    if alone:
        assert (first[0], first[1]["status"]) == (200, "posted")
        return
    (name,) = {"points", "spend"} & body.keys()
    assert first == (
        202,
        {
            "adjustment_id": "a-1",
            "status": "awaiting_confirmation",
            "member_id": "m-42",
            "program": body["program"],
            name: body[name],
            "reason": "counted twice",
            "requested_by": "op-1",
            "requested_at": "2026-11-22T10:15:00Z",
        },
    )
    assert adjust(club, body, at=NOW + days(1)) == first  # the same operator, however often
    assert all(entry["kind"] != "adjustment" for entry in statement(club))
    assert adjust(club, {**body, "reason": "another"}, sub="op-2")[0] == 409
    assert adjust(club, {**BODY, "points": 1}, sub="op-2")[0] == 409  # nor can one below the limit have its id

    confirmed = adjust(club, body, sub="op-2", at=NOW + days(2))

    assert confirmed[0] == 200
    assert (confirmed[1]["status"], confirmed[1]["actor"], confirmed[1]["confirmed_by"]) == ("posted", "op-1", "op-2")
    assert confirmed[1]["posted_at"] == "2026-11-24T10:15:00Z"  # a lot of the day on which it was posted
    for operator in ("op-1", "op-2", "op-3"):
        assert adjust(club, body, sub=operator, at=NOW + days(3)) == confirmed
    assert sum(entry.get("type") == "adjustment" for entry in club.entries()) == 1
    club.assert_whole()


def test_two_who_ask_at_once_are_one_request_and_no_confirmation(club: Club) -> None:
    buys(club, "o-1", "600.00")
    body = {**BODY, "points": 5000}
    club.wire.before("TransactWriteItems", lambda: adjust(club, body), about="ADJUSTMENT")
    status, answer = adjust(club, body)
    assert (status, answer["requested_by"]) == (202, "op-1")
    assert all(entry.get("type") != "adjustment" for entry in club.entries())


@pytest.mark.parametrize("quicker", [{**BODY, "points": 5000}, {**BODY, "points": 7}])
@pytest.mark.parametrize("slower", [{**BODY, "points": 5001}, {**BODY, "points": 8}])
def test_of_two_contents_with_one_id_the_quicker_one_has_it(club: Club, quicker: Event, slower: Event) -> None:
    """Each has read that the id is free before the other one writes."""
    buys(club, "o-1", "600.00")
    answers = []
    club.wire.before("TransactWriteItems", lambda: answers.append(adjust(club, quicker, sub="op-2")))

    status, problem = adjust(club, slower)

    assert (status, problem["code"]) == (409, "adjustment_id_reused")
    assert answers == [adjust(club, quicker, sub="op-2")]
    club.assert_whole()


def test_two_who_confirm_at_once_post_once(club: Club) -> None:
    buys(club, "o-1", "600.00")
    body = {**BODY, "points": 5000}
    adjust(club, body)
    answers = []
    club.wire.before("TransactWriteItems", lambda: answers.append(adjust(club, body, sub="op-2")))

    answers.append(adjust(club, body, sub="op-3"))

    assert answers[0] == answers[1]
    assert answers[0][1]["confirmed_by"] == "op-2"
    assert club.summary()["club"]["points"] == 5605


# --- failures


@pytest.mark.parametrize("kind", ["throttle", "conflict", "timeout_before", "timeout_after", "error"])
def test_an_error_means_that_asking_again_returns_the_truth(club: Club, kind: str) -> None:
    buys(club, "o-1", "600.00")
    club.wire.fail("TransactWriteItems", kind)
    status, problem = adjust(club, millis=1_500)
    # what was written, though no answer came, is found when it is tried again
    assert status == 200 if kind == "timeout_after" else (status, problem["code"]) == (503, "store_unavailable")
    club.wire.forget()

    assert adjust(club)[0] == 200
    assert adjust(club)[0] == 200

    assert club.summary()["club"]["points"] == 580
    club.assert_whole()


def test_what_falls_due_is_posted_first_and_what_comes_between_is_seen(club: Club) -> None:
    buys(club, "o-1", "600.00", NOW - days(364))
    club.wire.before("TransactWriteItems", lambda: buys(club, "o-2", "50.00", NOW + days(2)))

    status, answer = adjust(club, {**BODY, "points": 1}, at=NOW + days(2))

    assert (status, answer["balance"], answer["tier_before"], answer["tier"]) == (200, 56, "A1", "A1")
    assert [entry["kind"] for entry in statement(club, at=NOW + days(2))][:2] == ["adjustment", "accrual"]
    club.assert_whole()


def test_who_has_not_been_settled_for_years_is_settled_first_however_much_it_is(club: Club) -> None:
    """What expired of 45 orders, and the reviews of what they gave: more than one transaction takes."""
    for number in range(45):
        buys(club, f"o-{number}", "9.00", NOW - days(500 - number))

    club.wire.sent.clear()

    status, answer = adjust(club, {**BODY, "points": 7})

    assert (status, answer["balance"]) == (200, 7)
    entries = club.entries()
    settled = len(entries) - 46
    assert settled > SETTLED_AT_ONCE
    assert club.wire.operations().count("TransactWriteItems") == settled // SETTLED_AT_ONCE + 1, "each at the first try"
    assert entries[-1]["entry_id"] == "adjustment~~a-1"
    club.assert_whole()


def test_the_log_is_told_ids_alone(club: Club) -> None:
    buys(club, "o-1", "600.00")
    adjust(club)
    adjust(club, {**BODY, "reason": 5})
    erase(club)
    assert '"adjustment_id":"a-1"' in club.log.getvalue().replace(" ", "")
    assert "counted twice" not in club.log.getvalue()


# --- erasing

PERSON = {"birthday": "1987-06-05", "country": "BY", "registered_on": "2020-03-04"}


def known_member(club: Club) -> None:
    """A member of whom all kinds of things are held: a person, orders, a tier's coupons, watched items, a decision."""
    club.post(event("member.registered", "e-1", PERSON, at=NOW - days(30)), at=NOW - days(30))
    buys(club, "o-1", "600.00", NOW - days(20))
    club.post(
        event("wishlist.item_added", "e-2", {"item_id": "i-7"}),
        event("cart.item_added", "e-3", {"item_id": "i-8"}),
        event("order.refunded", "e-4", {"order_id": "o-late", "full": True}),
    )
    decision = copy.deepcopy(sample("expedited_refund"))
    assert club.invoke("expedited_refund", decision)["statusCode"] == 200
    club.announced()


def test_nothing_personal_is_left_in_any_item(club: Club) -> None:
    known_member(club)
    entries = club.entries()
    found = club.decoded()
    assert found["M#m-42", "P"]["body"]["birthday"] == "1987-06-05"
    assert "due_shard" in found["M#m-42", "W#i-7"]
    assert found["R#m-42", "-"]["body"]

    assert erase(club, at=NOW + days(1)) == 204

    found = club.decoded()
    assert found["M#m-42", "P"]["body"] == {}
    assert found["R#m-42", "-"]["body"] == {"erased": True}
    assert found["M#m-42", "W#i-7"]["body"] == found["M#m-42", "W#i-8"]["body"] == {}
    for item in found.values():
        assert not {"due_shard", "due_at"} & item.keys()
        for value in ("1987", "06-05", '"BY"', "2020-03-04", "birthday", "country", "registered_on"):
            assert value not in json.dumps(item, default=str)
    # what was posted is as it was, and still adds up (I7)
    assert club.entries()[:-1] == entries
    last = club.entries()[-1]
    assert (last["type"], last["parts"], last["data"]) == ("erasure", {}, {"actor": "op-1"})
    club.assert_whole()


def test_it_may_be_asked_for_any_number_of_times(club: Club) -> None:
    known_member(club)
    assert erase(club) == 204
    before = club.content()
    assert erase(club, sub="op-2", at=NOW + days(7)) == 204
    assert club.content() == before
    assert erase(club, "m-43") == 404
    assert erase(club, "me") == 404
    club.assert_whole()


def test_an_erased_member_is_not_found_by_anybody(club: Club) -> None:
    known_member(club)
    erase(club)
    spans = {"statement", "explanation", "outlook"}
    for read in ("", "statement", "privileges", "rewards", "explanation", "outlook", "export"):
        query = {"program": "club"} if read in spans else None
        for who in ({}, SUPPORT):
            status, problem = club.get(f"/members/m-42/{read}".rstrip("/"), query, **who)
            assert (status, problem["code"]) == (404, "member_not_found"), read
    assert club.get("/members/m-42/decisions", **SUPPORT)[0] == 404
    assert adjust(club)[0] == 404
    assert adjust(club, {**BODY, "points": 5000})[0] == 404


def test_later_events_are_dead_letters_that_say_so(club: Club) -> None:
    known_member(club)
    erase(club)
    before = club.content()
    late = [
        order("o-late"),
        order("o-9"),
        event("member.updated", "e-90", {"country": "BY"}),
        event("visit.recorded", "e-91"),
        event("wishlist.item_added", "e-92", {"item_id": "i-7"}),
        event("order.refunded", "e-93", {"order_id": "o-1", "full": True}),
        event("violation.confirmed", "e-94", {"case_id": "c-1", "kind": "spam"}),
    ]
    for each in late:
        club.post(each)
    letters = club.dead_letters()
    says = "the member has been erased: nothing is posted for them any more"
    assert [(reason, detail) for reason, detail, _ in letters] == [("member_erased", says)] * len(late)
    assert not any("1987" in detail for _, detail, _ in letters)
    assert club.content() == before


def test_decisions_do_not_know_them_any_more(club: Club) -> None:
    buys(club, "o-1001", "700.00", NOW - days(20))
    erase(club)
    asked = copy.deepcopy(sample("expedited_refund"))
    answer = json.loads(club.invoke("expedited_refund", asked)["body"])
    assert (answer["decision"], answer["tier"]) == ("declined", "A0")
    outcomes = {check["code"]: check["outcome"] for check in answer["checks"]}
    assert (outcomes["tier_entitles"], outcomes["order_is_members"]) == ("fail", "missing")
    asked = copy.deepcopy(sample("dispute_acceleration"))
    assert json.loads(club.invoke("dispute_acceleration", asked)["body"])["decision"] == "declined"
    club.assert_whole()


def test_nothing_falls_due_and_no_sweep_finds_them(club: Club) -> None:
    known_member(club)
    erase(club)
    before = club.content()
    for name in ("ExpirySweep", "DemotionSweep"):
        assert club.start_sweep(name, NOW + days(500)) == []
    assert {key: item for key, item in club.content().items() if not key[0].startswith("SWEEP")} == before
    club.assert_whole()


@pytest.mark.parametrize("name", ["ExpirySweep", "DemotionSweep"])
def test_a_sweep_that_has_found_them_posts_nothing(club: Club, name: str) -> None:
    buys(club, "o-1", "600.00", NOW - days(20))
    chunks = club.start_sweep(name, NOW + days(500))
    assert chunks
    club.wire.before("GetItem", lambda: erase(club), about="M#m-42")

    assert club.work_chunks(name, *chunks) == []

    assert [entry.get("type") for entry in club.entries()] == ["order.completed", "erasure"]
    assert all("member_id" not in json.loads(body) for body in club.taken_chunks(name))
    club.assert_whole()


def test_the_standing_counts_them_no_more(club: Club) -> None:
    known_member(club)
    buys(club, "o-2", "30.00", member_id="m-43")
    club.announced()
    assert club.summary("m-43")["club"]["standing"] == {"below_percent": 0.0, "members": 2}

    erase(club)
    club.announced()  # from its beginning, once more
    club.announced()

    assert club.summary("m-43")["club"]["standing"] == {"below_percent": 0.0, "members": 1}
    assert list(verify_standing(club.content().values(), PROGRAMS)) == []


def test_an_erasure_that_the_standing_has_not_heard_of_is_named(club: Club) -> None:
    known_member(club)
    erase(club)
    assert "m-42: standing: is counted, but erased" in list(verify_standing(club.content().values(), PROGRAMS))


def test_who_was_never_counted_is_never_counted(club: Club) -> None:
    buys(club, "o-1", "600.00")
    erase(club)
    club.announced()
    assert list(verify_standing(club.content().values(), PROGRAMS)) == []
    assert all(not item.get("members") for (pk, _), item in club.decoded().items() if pk.startswith("STANDING"))


def test_what_the_outbox_schedules_afterwards_finds_nobody(club: Club) -> None:
    """The coupons of a tier are scheduled off the stream, which may be worked off when the person is gone."""
    club.post(event("member.registered", "e-1", PERSON))
    club.post(event("promotion.awarded", "e-2", {"campaign_id": "c", "points": 600, "program": "crowns"}))
    erase(club)
    club.announced()
    assert club.decoded()["R#m-42", "-"]["body"] == {"erased": True}
    club.assert_whole()


def test_nobody_is_warned_or_alerted_who_is_erased(club: Club) -> None:
    """The warning is due and not given yet; what was watched is still in the index, as the first step leaves it."""
    for number, member_id in enumerate(("m-42", "m-43")):
        buys(club, f"o-{number}", "600.00", NOW - days(330), member_id=member_id)
        club.post(event("wishlist.item_added", f"e-{number}", {"item_id": "i-7"}, member_id=member_id))
    club.wire.fail("TransactWriteItems", "throttle", about="W#")
    assert erase(club, at=NOW + days(6), millis=1_500) == 503
    club.wire.forget()
    work_off(club, sent(club, drop(item_id="i-7", at=NOW + days(7)), at=NOW + days(7)))
    buys(club, "o-9", "5.00", NOW + days(8), member_id="m-43")
    told = {(name, detail.get("member_id")) for name, detail in club.announced()}
    assert {each for each in told if each[0] in ("points.expiring", "price.alert")} == {
        ("points.expiring", "m-43"),
        ("price.alert", "m-43"),
    }


def test_it_is_told_whether_it_was_new(club: Club) -> None:
    known_member(club)
    store = connect(club.table, lambda: 8)
    said = [erase_member(store, PROGRAMS, "m-42", "op-1", NOW, lambda: 60.0) for _ in range(2)]
    assert said == [True, False]


def test_rewards_that_come_between_are_erased_under_a_version_of_their_own(club: Club) -> None:
    """Else who has read those in between could still write over the erasing."""
    buys(club, "o-1", "600.00")
    club.wire.before("TransactWriteItems", club.announced, about=items.rewards_key("m-42"))

    assert erase(club) == 204

    rewards = club.decoded()[items.rewards_key("m-42"), items.SINGLE]
    assert rewards["version"] == "2"
    assert decode_rewards(rewards["body"]).erased


def test_a_posting_that_comes_between_is_posted_and_erased_with_the_rest(club: Club) -> None:
    known_member(club)
    club.wire.before("TransactWriteItems", lambda: buys(club, "o-5", "70.00"))
    assert erase(club) == 204
    assert [entry.get("type") for entry in club.entries()][-2:] == ["order.completed", "erasure"]
    club.assert_whole()


def test_an_event_on_its_way_when_the_member_is_erased_is_refused(club: Club) -> None:
    known_member(club)
    club.wire.before("TransactWriteItems", lambda: erase(club))
    club.post(event("member.updated", "e-9", {"country": "BY"}))
    assert [reason for reason, _, _ in club.dead_letters()] == ["member_erased"]
    assert club.decoded()["M#m-42", "P"]["body"] == {}
    club.assert_whole()


def test_an_adjustment_on_its_way_when_the_member_is_erased_finds_nobody(club: Club) -> None:
    known_member(club)
    club.wire.before("TransactWriteItems", lambda: erase(club))
    assert adjust(club)[0] == 404
    adjust(club, {**BODY, "points": 5000})
    club.assert_whole()


def test_a_decision_on_its_way_when_the_member_is_erased_is_made_anew(club: Club) -> None:
    buys(club, "o-1001", "700.00", NOW - days(20))
    club.wire.before("TransactWriteItems", lambda: erase(club))
    answer = json.loads(club.invoke("expedited_refund", sample("expedited_refund"))["body"])
    assert answer["decision"] == "declined"
    assert not any(pk.startswith("PAYOUT") for pk, _ in club.content())


def test_one_that_was_cut_short_is_finished_by_the_next(club: Club) -> None:
    """The account is closed; what was watched is emptied afterwards, by whoever asks again."""
    known_member(club)
    for number in range(120):
        club.post(event("wishlist.item_added", f"w-{number}", {"item_id": f"i-{number}"}))
    club.wire.fail("TransactWriteItems", "throttle", about="W#", skip=1)
    assert erase(club, millis=1_500) == 503
    club.wire.forget()
    full = [key for key, item in club.decoded().items() if key[1].startswith("W#") and item["body"]]
    assert full
    assert club.get("/members/m-42")[0] == 404

    assert erase(club) == 204

    watched = [item for (_, sk), item in club.decoded().items() if sk.startswith("W#")]
    assert len(watched) >= 120
    assert all(item["body"] == {} and "due_shard" not in item for item in watched)
    club.assert_whole()


@pytest.mark.parametrize("kind", ["throttle", "conflict", "timeout_before", "timeout_after"])
def test_an_erasing_that_failed_is_asked_for_again(club: Club, kind: str) -> None:
    known_member(club)
    club.wire.fail("TransactWriteItems", kind)
    emptied = kind != "timeout_after"  # the account is closed all the same, and is found to be
    assert erase(club, millis=1_500) == (503 if emptied else 204)
    club.wire.forget()
    assert erase(club) == 204
    assert sum(entry.get("type") == "erasure" for entry in club.entries()) == 1
    club.assert_whole()


def test_a_message_that_comes_again_after_the_erasing_changes_nothing(club: Club) -> None:
    known_member(club)
    erase(club)
    before = club.content()
    assert club.deliver(record(message(order("o-1", line("i-o-1", "600.00"), at=NOW - days(20))))) == []
    assert [reason for reason, _, _ in club.dead_letters()] == ["member_erased"]
    assert club.content() == before


@pytest.mark.parametrize("left", ["profile", "rewards", "watched"])
def test_verify_names_what_is_left_of_an_erased_member(club: Club, left: str) -> None:
    known_member(club)
    before = club.content()
    erase(club)
    table = club.content()
    key = {"profile": ("M#m-42", "P"), "rewards": ("R#m-42", "-"), "watched": ("M#m-42", "W#i-7")}[left]
    club.create_table([*[item for each, item in table.items() if each != key], before[key]])
    problems = verify(club.content().values(), PROGRAMS, 8).problems
    named = {"profile": "has a profile", "rewards": "has rewards", "watched": "watches i-7"}[left]
    assert len(problems) == 1
    assert problems[0].startswith("m-42: ")
    assert named in problems[0]


def test_nothing_can_follow_an_erasure_in_the_ledger(club: Club) -> None:
    from club_rules.account import rebuild

    buys(club, "o-1", "600.00")
    erase(club)
    entries = club.entries()
    assert rebuild("m-42", entries).erased
    with pytest.raises(ValueError, match="comes after the member was erased"):
        rebuild("m-42", [*entries, {**entries[0], "seq": len(entries) + 1}])


# --- the export


def pages(club: Club, query: Event | None = None, **how: Any) -> list[Event]:
    """All pages of an export."""
    found, given = [], dict(query or {})
    while True:
        status, body = club.get("/members/m-42/export", given or None, **how)
        assert status == 200, body
        found.append(body)
        if body["cursor"] is None:
            return found
        given["cursor"] = body["cursor"]


def test_the_sample_exports_everything_that_is_held(club: Club) -> None:
    known_member(club)
    adjust(club)

    answer = club.invoke("member_api", sample("member_api_export"))
    body = json.loads(answer["body"])

    assert answer["statusCode"] == 200
    assert body["cursor"] is None
    assert body["profile"] == {**PERSON, "birthday_set_at": "2026-10-23T10:15:00Z"}
    assert body["programs"] == club.summary()
    assert body["rewards"] == club.get("/members/m-42/rewards")[1]["rewards"]
    assert body["watched"] == [
        {"item_id": "i-7", "wishlist": {"listed": True, "at": "2026-11-22T10:15:00Z"}, "cart": None},
        {"item_id": "i-8", "wishlist": None, "cart": {"listed": True, "at": "2026-11-22T10:15:00Z"}},
    ]
    assert [each["member_id"] for each in body["decisions"]] == ["m-42"]
    assert [each["seq"] for each in body["entries"]] == list(range(1, len(club.entries()) + 1))
    bought = next(each for each in body["entries"] if each["type"] == "order.completed")
    assert bought["data"]["lines"][0]["unit_price"] == "600.00"  # as it was sent
    assert {part["program"] for part in bought["parts"]} == set(PROGRAMS.ids)
    assert [each["program"] for each in bought["receipts"]] == ["club", "crowns"]
    adjusted = body["entries"][-1]
    assert (adjusted["type"], adjusted["data"]) == ("adjustment", {"note": "counted twice"})
    (full,) = (each for each in pages(club, **SUPPORT)[0]["entries"] if each["type"] == "adjustment")
    assert full["data"]["actor"] == "op-1"


def test_its_list_of_what_is_watched_begins_at_the_first_item(club: Club) -> None:
    added = ["1-a", "A-1", "Z.9", "i:1", "z"]
    club.post(*(event("wishlist.item_added", f"e-{each}", {"item_id": each}) for each in added))

    assert [each["item_id"] for page in pages(club, {"limit": "2"}) for each in page["watched"]] == added


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 50])
def test_its_pages_have_each_thing_once(club: Club, limit: int) -> None:
    known_member(club)
    for number in range(31):
        club.post(event("visit.recorded", f"v-{number}", at=NOW - days(number)))
    (whole,) = pages(club)

    found = pages(club, {"limit": str(limit)})

    for name in ("watched", "decisions", "entries"):
        assert [each for page in found for each in page[name]] == whole[name]
        assert whole[name]
    assert sum(len(page[name]) for page in found[:-1] for name in ("watched", "decisions", "entries")) == limit * (
        len(found) - 1
    )
    assert [page["profile"] is None for page in found] == [False] + [True] * (len(found) - 1)
    assert [page["programs"] is None for page in found] == [False] + [True] * (len(found) - 1)
    assert found[0]["rewards"] == whole["rewards"]


def test_its_first_page_has_the_rewards_and_every_page_says_whose_it_is(club: Club) -> None:
    buys(club, "o-1", "600.00", NOW - days(30))
    club.announced()
    club.sweep("RewardSweep", NOW)
    club.post(event("wishlist.item_added", "w-1", {"item_id": "0"}), event("visit.recorded", "v-1"))
    _, shown = club.get("/members/m-42/rewards", language="ru")
    assert shown["rewards"]

    first, *others = pages(club, {"limit": "1"}, language="ru")

    assert first["rewards"] == shown["rewards"]
    assert [each["item_id"] for each in first["watched"]] == ["0"], "from the very first there can be"
    names = {"member_id", "as_of", "profile", "programs", "rewards", "watched", "decisions", "entries", "cursor"}
    for page in (first, *others):
        assert page.keys() == names
        assert (page["member_id"], page["as_of"]) == ("m-42", "2026-11-22T10:15:00Z")
    assert others
    assert [page["rewards"] for page in others] == [[]] * len(others)


def test_its_last_page_is_the_one_with_the_last_entry(club: Club) -> None:
    """Full as it may be: whoever reads it is not sent for another one with nothing on it."""
    for number in range(4):
        club.post(event("visit.recorded", f"v-{number}", at=NOW - days(number)))

    assert [len(page["entries"]) for page in pages(club, {"limit": "4"})] == [4]
    assert [len(page["entries"]) for page in pages(club, {"limit": "2"})] == [2, 2]


def test_its_pages_read_as_much_of_the_journal_as_they_may_need(club: Club) -> None:
    """Its first page ends early in the journal; the others go through it."""
    club.post(*(event("visit.recorded", f"v-{number}", at=NOW - days(number)) for number in range(60)))
    club.wire.sent.clear()

    assert [len(page["entries"]) for page in pages(club, {"limit": "40"})] == [40, 20]

    # the account and so many of its journal's pages; the other queries are of the lists, which only the first has
    asked = [body["Limit"] for body in club.wire.bodies("Query") if body.get("ScanIndexForward") is False]
    assert asked[0] == 2
    assert asked[-1] == PAGES_AT_ONCE + 1


def test_what_is_posted_in_between_comes_at_the_end(club: Club) -> None:
    known_member(club)
    _, first = club.get("/members/m-42/export", {"limit": "5"})
    club.post(event("visit.recorded", "v-1"))
    (rest,) = pages(club, {"cursor": first["cursor"]})
    assert rest["entries"][-1]["event_id"] == "v-1"
    seqs = [each["seq"] for each in [*first["entries"], *rest["entries"]]]
    assert seqs == list(range(1, len(club.entries()) + 1))


def test_who_has_nothing_gets_just_that(club: Club) -> None:
    club.post(event("visit.recorded", "v-1"))
    (page,) = pages(club)
    assert (page["profile"], page["watched"], page["decisions"]) == ({}, [], [])


def test_it_is_the_members_own_or_supports(club: Club) -> None:
    known_member(club)
    assert club.get("/members/me/export")[0] == 200
    assert club.get("/members/m-42/export", sub="m-43")[0] == 404
    assert club.get("/members/m-42/export", **SUPPORT)[0] == 200
    assert club.get("/members/m-42/export", scope="club:admin")[0] == 403
    assert club.get("/members/m-99/export", **SUPPORT)[0] == 404


def test_its_cursor_is_checked(club: Club) -> None:
    from club_ledger.queries import make_cursor

    known_member(club)
    club.post(event("visit.recorded", "v-1", member_id="m-43"))
    _, first = club.get("/members/m-42/export", {"limit": "1"})
    cursors = [
        "touched",
        first["cursor"][:-1],
        make_cursor(3, "export", "m-42"),
        make_cursor("entries:-1", "export", "m-42"),
        make_cursor("entries:", "export", "m-42"),
        make_cursor("entries:x", "export", "m-42"),
        make_cursor("profile:1", "export", "m-42"),
        make_cursor("entries:1", "export", "m-43"),
        make_cursor("entries:1", "decisions", "m-42"),
        "x" * 300,
    ]
    for cursor in cursors:
        status, problem = club.get("/members/m-42/export", {"cursor": cursor})
        assert status == 400
        assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [("/query/cursor", "invalid_cursor")]
    status, problem = club.get("/members/m-42/export", {"limit": "101", "tier": "A3"})
    assert {each["pointer"] for each in problem["errors"]} == {"/query/limit", "/query/tier"}
    assert items.ACCOUNT not in json.dumps(first)
