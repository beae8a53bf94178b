"""Decisions (rules 1.10, 1.11): requests, every check with each of its outcomes, bounds, and what holds for ever."""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules.account import Account
from club_rules.decisions import (
    Approval,
    Decision,
    DisputeFacts,
    RefundFacts,
    decide_dispute,
    decide_refund,
    deciding_program,
    decision_id,
    parse_dispute_request,
    parse_refund_request,
    refund_limit,
    velocity_memory,
    within,
)
from club_rules.errors import InvalidInput
from club_rules.json_text import RepeatedKeys, load_json
from club_rules.money import parse_money
from club_rules.orders import new_order, undo
from club_rules.programs import Programs, load_programs

PROGRAMS = load_programs()
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
HOUR = timedelta(hours=1)
TIERS = ["A0", "A1", "A2", "A3", "A4"]

REFUND_CODES = [
    "switched_on",
    "program_enabled",
    "tier_entitles",
    "refund_is_full",
    "amount_within_limit",
    "amount_within_order",
    "order_is_members",
    "order_eligible",
    "seller_approved",
    "return_shipped",
    "not_paid_before",
    "velocity_count",
    "velocity_value",
]
DISPUTE_CODES = [
    "switched_on",
    "program_enabled",
    "tier_entitles",
    "dispute_escalated",
    "not_accelerated_before",
]

Body = dict[str, Any]


def refund_body(**changes: Any) -> Body:
    """A request that passes for a member of A3; `refund` and `return_shipment` are changed field by field."""
    body: Body = {
        "request_id": "r-1",
        "member_id": "m-1",
        "order_id": "o-1",
        "dispute_id": "d-1",
        "refund": {"kind": "full", "amount": "25.00", "currency": "USD"},
        "seller_approved_at": "2026-11-22T10:15:00Z",
        "return_shipment": {"carrier": "Post", "tracking_number": "1Z 9", "first_scan_at": None},
        "order_eligible": True,
    }
    return _changed(body, changes)


def dispute_body(**changes: Any) -> Body:
    body: Body = {
        "request_id": "r-1",
        "member_id": "m-1",
        "dispute_id": "d-1",
        "order_id": "o-1",
        "escalated_at": "2026-11-22T10:15:00Z",
        "review_due_at": "2026-12-06T09:00:00Z",
    }
    return _changed(body, changes)


def _changed(body: Body, changes: Body) -> Body:
    for name, value in changes.items():
        if name in ("amount", "kind", "currency"):
            body["refund"][name] = value
        elif name in ("carrier", "tracking_number", "first_scan_at"):
            body["return_shipment"][name] = value
        else:
            body[name] = value
    return body


def member(tier: str) -> Account:
    account = Account("m-1")
    account.program("club").tier = TIERS.index(tier)
    return account


def order(price: int = 2500, quantity: int = 1) -> dict[str, Any]:
    line = {"item_id": "i", "seller_id": "s", "category": None, "unit_price": price, "quantity": quantity}
    return new_order({"order_id": "o-1", "currency": "USD", "lines": [line], "flags": []}, "e-1")


def refund(
    body: Body | None = None,
    *,
    tier: str = "A3",
    held: dict[str, Any] | None = None,
    is_paid: bool = False,
    approvals: list[Approval] | None = None,
    programs: Programs = PROGRAMS,
    switched_on: bool = True,
    moment: datetime = NOW,
) -> Decision:
    """Decides on a request that passes, but for what is given; `held={}` is an order that the ledger lacks."""
    request = parse_refund_request(refund_body() if body is None else body, programs)
    record = order() if held is None else held or None
    facts = RefundFacts(member(tier), record, is_paid, approvals or [])
    return decide_refund(request, facts, programs, moment, switched_on=switched_on)


def dispute(
    body: Body | None = None,
    *,
    tier: str = "A4",
    is_accelerated: bool = False,
    programs: Programs = PROGRAMS,
    switched_on: bool = True,
    moment: datetime = NOW,
) -> Decision:
    request = parse_dispute_request(dispute_body() if body is None else body)
    facts = DisputeFacts(member(tier), is_accelerated)
    return decide_dispute(request, facts, programs, moment, switched_on=switched_on)


def programs_with(change: Callable[[dict[str, Any]], None], *, version: str | None = None) -> Programs:
    """The shipped programs with `club` changed, or, where a version is named, with a new version of it from NOW on."""
    files = [copy.deepcopy(PROGRAMS.versions(each)[0].data) for each in PROGRAMS.ids]
    club = next(data for data in files if data["id"] == "club")
    if version is not None:
        club = {**copy.deepcopy(club), "version": version, "effective_from": NOW.date().isoformat()}
        files.append(club)
    change(club)
    return Programs(files)


def privilege(data: dict[str, Any], code: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in data["privileges"] if each["code"] == code)
    return found


def with_refunds(**changes: Any) -> Programs:
    """The shipped programs with other terms for expedited refunds; None takes a field away."""

    def change(data: dict[str, Any]) -> None:
        terms = privilege(data, "expedited_refund")
        terms.update(changes)
        for name in [name for name in terms if terms[name] is None]:
            del terms[name]

    return programs_with(change)


def check(decision: Decision, code: str) -> dict[str, str]:
    found: list[dict[str, str]] = [each for each in decision["checks"] if each["code"] == code]
    assert len(found) == 1
    return found[0]


def outcomes(decision: Decision, outcome: str) -> list[str]:
    return [each["code"] for each in decision["checks"] if each["outcome"] == outcome]


def pointers(parse: Callable[[], object]) -> list[tuple[str, str]]:
    with pytest.raises(InvalidInput) as refused:
        parse()
    return [(error.pointer, error.code) for error in refused.value.errors]


# --- requests -----------------------------------------------------------------------------------------------


def test_a_refund_request_is_read() -> None:
    body = refund_body(seller_approved_at="2026-11-22T12:00:00+02:00", first_scan_at="2026-11-22T09:00:00.250Z")
    request = parse_refund_request(body, PROGRAMS)

    assert (request.request_id, request.member_id, request.order_id) == ("r-1", "m-1", "o-1")
    assert (request.dispute_id, request.refund_kind, request.amount, request.currency) == (
        "d-1",
        "full",
        2500,
        "USD",
    )
    assert request.seller_approved_at == datetime(2026, 11, 22, 10, tzinfo=UTC)
    assert request.shipment == ("Post", "1Z 9", datetime(2026, 11, 22, 9, 0, 0, 250_000, tzinfo=UTC))
    assert request.order_eligible is True


def test_what_may_be_null_may_be_left_out() -> None:
    body = refund_body(seller_approved_at=None, return_shipment=None)
    shorter = {name: value for name, value in body.items() if value is not None}
    request = parse_refund_request(shorter, PROGRAMS)

    assert request.seller_approved_at is None
    assert request.shipment is None
    assert parse_refund_request(body, PROGRAMS) == request
    assert parse_dispute_request(dispute_body(escalated_at=None)).escalated_at is None
    without = {name: value for name, value in dispute_body().items() if name != "escalated_at"}
    assert parse_dispute_request(without).escalated_at is None


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"request_id": "r 1"}, ("/request_id", "invalid_id")),
        ({"request_id": "r-1\n"}, ("/request_id", "invalid_id")),
        ({"request_id": "r-\u0661"}, ("/request_id", "invalid_id")),
        ({"request_id": "r" * 65}, ("/request_id", "invalid_id")),
        ({"request_id": None}, ("/request_id", "invalid_type")),
        ({"member_id": "me"}, ("/member_id", "reserved_id")),
        ({"member_id": "m#1"}, ("/member_id", "invalid_id")),
        ({"member_id": 7}, ("/member_id", "invalid_type")),
        ({"order_id": ""}, ("/order_id", "invalid_id")),
        ({"dispute_id": ["d"]}, ("/dispute_id", "invalid_type")),
        ({"refund": None}, ("/refund", "invalid_type")),
        ({"refund": []}, ("/refund", "invalid_type")),
        ({"kind": "half"}, ("/refund/kind", "invalid_value")),
        ({"amount": 25.0}, ("/refund/amount", "invalid_money")),
        ({"amount": float("nan")}, ("/refund/amount", "invalid_money")),
        ({"amount": "25"}, ("/refund/amount", "invalid_money")),
        ({"amount": "25.001"}, ("/refund/amount", "invalid_money")),
        ({"amount": "-25.00"}, ("/refund/amount", "invalid_money")),
        ({"amount": "2\u0665.00"}, ("/refund/amount", "invalid_money")),
        ({"amount": "1000000000.00"}, ("/refund/amount", "out_of_range")),
        ({"amount": "0.00"}, ("/refund/amount", "out_of_range")),
        ({"currency": "EUR"}, ("/refund/currency", "currency_mismatch")),
        ({"currency": "JPY", "amount": "2500"}, ("/refund/currency", "currency_mismatch")),
        ({"currency": "usd"}, ("/refund/currency", "invalid_value")),
        ({"currency": ["USD"]}, ("/refund/currency", "invalid_type")),
        ({"seller_approved_at": "2026-11-22T10:00:00"}, ("/seller_approved_at", "invalid_instant")),
        ({"seller_approved_at": "yesterday"}, ("/seller_approved_at", "invalid_instant")),
        ({"seller_approved_at": 1795342500}, ("/seller_approved_at", "invalid_type")),
        ({"seller_approved_at": "1969-12-31T23:59:59Z"}, ("/seller_approved_at", "out_of_range")),
        ({"return_shipment": "1Z"}, ("/return_shipment", "invalid_type")),
        ({"carrier": ""}, ("/return_shipment/carrier", "invalid_value")),
        ({"carrier": None}, ("/return_shipment/carrier", "invalid_type")),
        ({"tracking_number": "  "}, ("/return_shipment/tracking_number", "invalid_value")),
        ({"tracking_number": "1Z\n"}, ("/return_shipment/tracking_number", "invalid_value")),
        ({"tracking_number": "\ud800"}, ("/return_shipment/tracking_number", "invalid_value")),
        ({"tracking_number": "1" * 65}, ("/return_shipment/tracking_number", "invalid_value")),
        ({"first_scan_at": "2026-11-22"}, ("/return_shipment/first_scan_at", "invalid_instant")),
        ({"order_eligible": None}, ("/order_eligible", "invalid_type")),
        ({"order_eligible": "true"}, ("/order_eligible", "invalid_type")),
        ({"order_eligible": 1}, ("/order_eligible", "invalid_type")),
        ({"note": "hurry"}, ("/note", "unknown_field")),
    ],
)
def test_a_bad_field_of_a_refund_request_is_named(changes: Body, expected: tuple[str, str]) -> None:
    assert pointers(lambda: parse_refund_request(refund_body(**changes), PROGRAMS)) == [expected]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"request_id": "-1"}, ("/request_id", "invalid_id")),
        ({"member_id": "me"}, ("/member_id", "reserved_id")),
        ({"dispute_id": "d/1"}, ("/dispute_id", "invalid_id")),
        ({"order_id": None}, ("/order_id", "invalid_type")),
        ({"escalated_at": "2026-11-22T10:15:60Z"}, ("/escalated_at", "invalid_instant")),
        ({"review_due_at": None}, ("/review_due_at", "invalid_type")),
        ({"review_due_at": "2026-13-01T00:00:00Z"}, ("/review_due_at", "invalid_instant")),
        ({"review_due_at": "0001-01-02T00:00:00Z"}, ("/review_due_at", "out_of_range")),
        ({"kind": "full"}, ("/kind", "unknown_field")),
    ],
)
def test_a_bad_field_of_a_dispute_request_is_named(changes: Body, expected: tuple[str, str]) -> None:
    body = {**dispute_body(), **changes}
    assert pointers(lambda: parse_dispute_request(body)) == [expected]


def test_every_bad_field_is_named_at_once() -> None:
    body = {
        "request_id": "r 1",
        "member_id": "me",
        "order_id": 7,
        "refund": {"kind": "half", "amount": 1.5, "tax": "0.10"},
        "seller_approved_at": "soon",
        "return_shipment": {"tracking_number": "", "first_scan_at": False, "weight": 3},
        "a/b~c": 1,
    }
    assert sorted(pointers(lambda: parse_refund_request(body, PROGRAMS))) == [
        ("/a~1b~0c", "unknown_field"),
        ("/dispute_id", "missing"),
        ("/member_id", "reserved_id"),
        ("/order_eligible", "missing"),
        ("/order_id", "invalid_type"),
        ("/refund/amount", "invalid_money"),
        ("/refund/currency", "missing"),
        ("/refund/kind", "invalid_value"),
        ("/refund/tax", "unknown_field"),
        ("/request_id", "invalid_id"),
        ("/return_shipment/carrier", "missing"),
        ("/return_shipment/first_scan_at", "invalid_type"),
        ("/return_shipment/tracking_number", "invalid_value"),
        ("/return_shipment/weight", "unknown_field"),
        ("/seller_approved_at", "invalid_instant"),
    ]
    assert pointers(lambda: parse_dispute_request({})) == [
        ("/request_id", "missing"),
        ("/member_id", "missing"),
        ("/dispute_id", "missing"),
        ("/order_id", "missing"),
        ("/review_due_at", "missing"),
    ]


@pytest.mark.parametrize("body", [None, [], "r", 1, True])
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert pointers(lambda: parse_refund_request(body, PROGRAMS)) == [("", "invalid_type")]
    assert pointers(lambda: parse_dispute_request(body)) == [("", "invalid_type")]


def test_a_key_that_stands_twice_is_refused_where_it_stands() -> None:
    text = json.dumps(refund_body()).replace('"kind": "full"', '"kind": "full", "kind": "partial"')
    body = load_json(text, defer=True)
    assert isinstance(body, dict)
    assert isinstance(body["refund"], RepeatedKeys)
    assert pointers(lambda: parse_refund_request(body, PROGRAMS)) == [("/refund/kind", "duplicate_key")]


def test_the_errors_of_one_request_are_bounded() -> None:
    found = pointers(lambda: parse_dispute_request(dispute_body(**{f"x{number}": 1 for number in range(5000)})))
    assert len(found) == 3001
    assert found[-1] == ("", "too_many")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3),
    max_leaves=5,
)


def faults(body: object) -> list[str]:
    """The pointers of what is wrong with a request; whatever else is raised comes out."""
    try:
        parse_refund_request(body, PROGRAMS)
    except InvalidInput as refused:
        return [error.pointer for error in refused.errors]
    return []


@given(st.sampled_from(sorted(refund_body())), st.sampled_from(sorted(refund_body()["refund"])), JSON)
def test_whatever_stands_in_a_field_it_is_taken_or_named(name: str, inner: str, value: object) -> None:
    assert all(at.startswith(f"/{name}") for at in faults(refund_body(**{name: value})))
    assert all(at.startswith(f"/refund/{inner}") for at in faults(refund_body(**{inner: value})))


def test_the_same_request_has_the_same_digest_however_it_is_written() -> None:
    first = parse_refund_request(refund_body(), PROGRAMS)
    turned = dict(reversed(list(refund_body(seller_approved_at="2026-11-22T11:15:00.000+01:00").items())))
    assert parse_refund_request(turned, PROGRAMS).digest == first.digest


@pytest.mark.parametrize(
    "changes",
    [
        {"member_id": "m-2"},
        {"order_id": "o-2"},
        {"dispute_id": "d-2"},
        {"kind": "partial"},
        {"amount": "24.99"},
        {"seller_approved_at": None},
        {"seller_approved_at": "2026-11-22T10:15:01Z"},
        {"return_shipment": None},
        {"carrier": "Parcel"},
        {"tracking_number": "1Z9"},
        {"first_scan_at": "2026-11-22T10:15:00Z"},
        {"order_eligible": False},
    ],
)
def test_another_request_has_another_digest(changes: Body) -> None:
    first = parse_refund_request(refund_body(), PROGRAMS)
    other = parse_refund_request(refund_body(**changes), PROGRAMS)
    assert other.digest != first.digest
    assert other.decision_id == first.decision_id


@pytest.mark.parametrize("name", ["member_id", "dispute_id", "order_id", "escalated_at", "review_due_at"])
def test_another_dispute_request_has_another_digest(name: str) -> None:
    value = "2026-12-24T00:00:00Z" if name.endswith("_at") else "x-9"
    first, other = (parse_dispute_request(body) for body in (dispute_body(), dispute_body(**{name: value})))
    assert other.digest != first.digest
    assert other.decision_id == first.decision_id


def test_a_decision_id_follows_from_kind_and_request() -> None:
    ids = {
        decision_id(kind, request_id)
        for kind in ("expedited_refund", "dispute_acceleration")
        for request_id in ("r-1", "r-2")
    }
    assert len(ids) == 4
    expected = "d-" + hashlib.sha256(b"expedited_refund\nr-1").hexdigest()[:40]
    assert decision_id("expedited_refund", "r-1") == expected
    assert len(expected) <= 64


def test_requests_are_called_by_what_they_ask_for() -> None:
    asked, escalated = parse_refund_request(refund_body(), PROGRAMS), parse_dispute_request(dispute_body())
    assert (asked.request_id, asked.decision_id) == ("r-1", decision_id("expedited_refund", "r-1"))
    assert (escalated.request_id, escalated.decision_id) == ("r-1", decision_id("dispute_acceleration", "r-1"))
    decided = (refund()["decision_id"], dispute()["decision_id"])
    assert decided == (asked.decision_id, escalated.decision_id)


AN_ID = "is required: an id, as a string"
AN_INSTANT = "an RFC 3339 instant with an offset"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (
            {},
            [
                ("/request_id", "missing", AN_ID),
                ("/member_id", "missing", AN_ID),
                ("/order_id", "missing", AN_ID),
                ("/dispute_id", "missing", AN_ID),
                ("/refund", "missing", "is required: an object"),
                ("/order_eligible", "missing", "is required: true or false"),
            ],
        ),
        (refund_body(amount="0.00"), [("/refund/amount", "out_of_range", "must be more than zero")]),
        (
            refund_body(carrier=7, tracking_number=" ", first_scan_at=7),
            [
                ("/return_shipment/carrier", "invalid_type", "must be a string"),
                ("/return_shipment/tracking_number", "invalid_value", "must be 1 to 64 printable characters"),
                ("/return_shipment/first_scan_at", "invalid_type", f"must be {AN_INSTANT}"),
            ],
        ),
        (
            refund_body(tracking_number="t" * 65, seller_approved_at="1969-12-31T23:59:59Z", first_scan_at="noon"),
            [
                ("/seller_approved_at", "out_of_range", "must not be before 1970-01-01T00:00:00Z"),
                ("/return_shipment/tracking_number", "invalid_value", "must be 1 to 64 printable characters"),
                (
                    "/return_shipment/first_scan_at",
                    "invalid_instant",
                    f"must be {AN_INSTANT}, such as 2026-11-22T10:15:00Z",
                ),
            ],
        ),
    ],
)
def test_what_is_wrong_with_a_request_is_said_in_plain_words(body: Body, expected: list[tuple[str, str, str]]) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_refund_request(body, PROGRAMS)
    assert caught.value.errors == expected


def test_the_longest_text_and_the_first_instant_are_taken() -> None:
    body = refund_body(tracking_number="t" * 64, seller_approved_at="1970-01-01T00:00:00Z")
    assert parse_refund_request(body, PROGRAMS).shipment == ("Post", "t" * 64, None)


# --- what a certificate says of each check, to the letter ---------------------------------------------------

SCANNED = {"first_scan_required": True}
STRICT = {"hours": 24, "approvals_at_most": 1, "value_at_most_limits": 1}


def without_privileges() -> Programs:
    return programs_with(lambda data: data.update(privileges=[]))


def told(decision: Decision) -> str:
    return "\n".join(f"{each['code']}: {each['detail']}" for each in decision["checks"])


def test_the_certificate_of_an_approval() -> None:
    assert (
        told(refund())
        == """\
switched_on: The switch for all programs is on.
program_enabled: Program club has this privilege switched on.
tier_entitles: Tier A3 has this privilege.
refund_is_full: The refund asked for is full.
amount_within_limit: The amount, 25.00, is within the limit of the tier, 25.00.
amount_within_order: The amount, 25.00, is within what remains of the order, 25.00.
order_is_members: The member's ledger holds order o-1.
order_eligible: The order is eligible.
seller_approved: The seller approved at 2026-11-22T10:15:00Z.
return_shipped: There is a tracking number of the return.
not_paid_before: An expedited refund of order o-1 was not approved before.
velocity_count: With this one, the number of approvals in the last 720 hours, 1, is within the program's limit, 5.
velocity_value: With this one, the value of approvals in the last 720 hours, 25.00, is within the limit of the tier \
in value, 100.00."""
    )


def test_the_certificate_where_everything_fails() -> None:
    body = refund_body(amount="25.01", kind="partial", order_eligible=False, first_scan_at="2026-11-22T10:16:00Z")
    body["seller_approved_at"] = "2026-11-22T10:15:01Z"
    programs = with_refunds(enabled=False, velocity=STRICT, **SCANNED)
    decision = refund(body, is_paid=True, programs=programs, switched_on=False, approvals=[(NOW, 1)])
    assert (
        told(decision)
        == """\
switched_on: The switch for all programs is off.
program_enabled: Program club has this privilege switched off.
tier_entitles: Tier A3 has this privilege.
refund_is_full: The refund asked for is partial.
amount_within_limit: The amount, 25.01, is above the limit of the tier, 25.00.
amount_within_order: The amount, 25.01, is above what remains of the order, 25.00.
order_is_members: The member's ledger holds order o-1.
order_eligible: The order is not eligible.
seller_approved: At the moment of decision it is still to come that the seller approved.
return_shipped: At the moment of decision it is still to come that the carrier first scanned the return.
not_paid_before: An expedited refund of order o-1 was approved before.
velocity_count: With this one, the number of approvals in the last 24 hours, 2, is above the program's limit, 1.
velocity_value: With this one, the value of approvals in the last 24 hours, 25.02, is above the limit of the tier \
in value, 25.00."""
    )


def test_the_certificate_where_there_is_nothing_to_compare_with() -> None:
    body = refund_body(return_shipment=None, seller_approved_at=None)
    decision = refund(body, tier="A2", held={}, programs=with_refunds(velocity=None, **SCANNED))
    assert (
        told(decision)
        == """\
switched_on: The switch for all programs is on.
program_enabled: Program club has this privilege switched on.
tier_entitles: This privilege begins at tier A3, held is A2.
refund_is_full: The refund asked for is full.
amount_within_limit: Tier A2 has no limit to compare with.
amount_within_order: The order is not held in the member's ledger, so there is no value to compare with.
order_is_members: The member's ledger does not hold order o-1 yet.
order_eligible: The order is eligible.
seller_approved: It is not known yet that the seller approved.
return_shipped: There is no tracking number of the return yet.
not_paid_before: An expedited refund of order o-1 was not approved before.
velocity_count: The program limits neither the number nor the value of approvals.
velocity_value: The program limits neither the number nor the value of approvals."""
    )
    waived = refund(tier="A2", held={}, programs=with_refunds(order_in_ledger_required=False))
    assert check(waived, "order_is_members")["detail"] == ("The member's ledger does not hold order o-1, nor has to.")
    assert check(waived, "velocity_value")["detail"] == (
        "The tier has no limit, of which the limit in value would be a multiple."
    )


def test_the_certificate_where_no_tier_has_the_privilege() -> None:
    for decision in (refund(programs=without_privileges()), dispute(programs=without_privileges(), tier="A3")):
        assert check(decision, "program_enabled")["detail"] == "Program club has this privilege switched off."
        assert check(decision, "tier_entitles") == {
            "code": "tier_entitles",
            "outcome": "fail",
            "detail": "No tier of program club has this privilege.",
            "actual": "A3",
            "required": "none",
        }


def test_a_program_that_does_not_ask_for_a_scan_needs_none() -> None:
    assert refund(programs=with_refunds(first_scan_required=None))["decision"] == "approved"


def test_the_certificate_of_a_dispute() -> None:
    assert (
        told(dispute())
        == """\
switched_on: The switch for all programs is on.
program_enabled: Program club has this privilege switched on.
tier_entitles: Tier A4 has this privilege.
dispute_escalated: The dispute was escalated at 2026-11-22T10:15:00Z.
not_accelerated_before: Dispute d-1 was not accelerated before."""
    )
    decision = dispute(dispute_body(escalated_at=None), tier="A3", is_accelerated=True)
    assert (
        told(decision)
        == """\
switched_on: The switch for all programs is on.
program_enabled: Program club has this privilege switched on.
tier_entitles: This privilege begins at tier A4, held is A3.
dispute_escalated: It is not known yet that the dispute was escalated.
not_accelerated_before: Dispute d-1 was accelerated before."""
    )


def test_each_kind_is_decided_by_the_program_that_has_it() -> None:
    files = [copy.deepcopy(PROGRAMS.versions(each)[0].data) for each in PROGRAMS.ids]
    club, crowns = files[0], files[1]
    acceleration = privilege(club, "dispute_acceleration")
    club["privileges"].remove(acceleration)
    crowns["privileges"].append({**acceleration, "from_tier": "Gold"})
    programs = Programs(files)
    assert (refund(programs=programs)["program"], dispute(programs=programs)["program"]) == ("club", "crowns")
    refunds = privilege(club, "expedited_refund")
    club["privileges"].remove(refunds)
    crowns["privileges"].append({**refunds, "limits": {"Gold": "25.00"}})
    assert refund(programs=Programs(files))["program"] == "crowns"
    assert deciding_program(without_privileges(), "expedited_refund", NOW).id == "club"


# --- expedited refunds: the decision ------------------------------------------------------------------------


def test_an_approved_refund_lists_every_check_and_pays() -> None:
    decision = refund()

    assert [each["code"] for each in decision["checks"]] == REFUND_CODES
    assert {each["outcome"] for each in decision["checks"]} == {"pass"}
    assert decision["decision"] == "approved"
    assert decision["decided_at"] == "2026-11-22T10:15:00Z"
    assert (decision["tier"], decision["program"], decision["program_version"]) == ("A3", "club", "2017-06")
    assert (decision["request_id"], decision["member_id"]) == ("r-1", "m-1")
    assert (decision["order_id"], decision["dispute_id"]) == ("o-1", "d-1")
    assert decision["kind"] == "expedited_refund"
    assert decision["refund"] == {"kind": "full", "amount": "25.00", "currency": "USD"}
    assert decision["payout"] == {"amount": "25.00", "currency": "USD", "to": "original_payment_method"}


def test_every_check_is_made_of_text() -> None:
    everything = [refund(), refund(tier="A0", held={}), refund(refund_body(return_shipment=None)), dispute()]
    for decision in everything:
        for each in decision["checks"]:
            assert sorted(each) == ["actual", "code", "detail", "outcome", "required"]
            assert all(isinstance(value, str) and value for value in each.values())
            assert each["detail"][0].isupper()
            assert each["detail"].endswith(".")


def test_the_digest_seals_all_but_itself() -> None:
    for decision in (refund(), dispute(tier="A0")):
        rest = {name: value for name, value in decision.items() if name != "digest"}
        canonical = json.dumps(rest, sort_keys=True, separators=(",", ":"))
        assert decision["digest"] == f"sha256:{hashlib.sha256(canonical.encode()).hexdigest()}"


def test_the_same_facts_give_the_same_decision() -> None:
    assert refund() == refund()
    assert refund(moment=NOW + HOUR)["digest"] != refund()["digest"]


def test_nothing_stops_at_the_first() -> None:
    body = refund_body(kind="partial", amount="9999.00", seller_approved_at=None, order_eligible=False)
    decision = refund(
        body,
        tier="A0",
        is_paid=True,
        approvals=[(NOW, 1)] * 5,
        programs=with_refunds(enabled=False),
        switched_on=False,
    )
    assert decision["decision"] == "declined"
    assert [each["code"] for each in decision["checks"]] == REFUND_CODES
    assert outcomes(decision, "fail") == [
        "switched_on",
        "program_enabled",
        "tier_entitles",
        "refund_is_full",
        "amount_within_order",
        "order_eligible",
        "not_paid_before",
        "velocity_count",
    ]
    assert outcomes(decision, "missing") == ["seller_approved"]
    assert outcomes(decision, "not_applicable") == ["amount_within_limit", "velocity_value"]
    assert outcomes(decision, "pass") == ["order_is_members", "return_shipped"]
    assert "payout" not in decision


def test_pending_while_all_that_does_not_pass_can_still_come() -> None:
    decision = refund(refund_body(seller_approved_at=None, return_shipment=None), held={})
    assert decision["decision"] == "pending"
    assert outcomes(decision, "missing") == ["order_is_members", "seller_approved", "return_shipped"]
    assert outcomes(decision, "not_applicable") == ["amount_within_order"]
    assert "payout" not in decision

    declined = refund(refund_body(seller_approved_at=None, return_shipment=None), held={}, tier="A2")
    assert declined["decision"] == "declined"


LATE = "2026-11-22T10:15:00.001Z"
AT_LIMIT = "at or before 2026-11-22T10:15:00Z"


@pytest.mark.parametrize(
    ("code", "given_", "expected", "decided"),
    [
        ("switched_on", {}, ("pass", "on", "on"), "approved"),
        ("switched_on", {"switched_on": False}, ("fail", "off", "on"), "declined"),
        ("program_enabled", {}, ("pass", "on", "on"), "approved"),
        ("program_enabled", {"programs": with_refunds(enabled=False)}, ("fail", "off", "on"), "declined"),
        ("tier_entitles", {"tier": "A0"}, ("fail", "A0", "A3"), "declined"),
        ("tier_entitles", {"tier": "A2"}, ("fail", "A2", "A3"), "declined"),
        ("tier_entitles", {"tier": "A3"}, ("pass", "A3", "A3"), "approved"),
        ("tier_entitles", {"tier": "A4"}, ("pass", "A4", "A3"), "approved"),
        ("refund_is_full", {}, ("pass", "full", "full"), "approved"),
        ("refund_is_full", {"body": {"kind": "partial"}}, ("fail", "partial", "full"), "declined"),
        # the limit of the tier, inclusive
        ("amount_within_limit", {"body": {"amount": "0.01"}}, ("pass", "0.01", "25.00"), "approved"),
        ("amount_within_limit", {"body": {"amount": "25.00"}}, ("pass", "25.00", "25.00"), "approved"),
        (
            "amount_within_limit",
            {"body": {"amount": "25.01"}, "held": order(9900)},
            ("fail", "25.01", "25.00"),
            "declined",
        ),
        (
            "amount_within_limit",
            {"body": {"amount": "100.00"}, "tier": "A4", "held": order(10000)},
            ("pass", "100.00", "100.00"),
            "approved",
        ),
        (
            "amount_within_limit",
            {"body": {"amount": "100.01"}, "tier": "A4", "held": order(99900)},
            ("fail", "100.01", "100.00"),
            "declined",
        ),
        ("amount_within_limit", {"tier": "A2"}, ("not_applicable", "25.00", "none"), "declined"),
        # what remains of the order, inclusive
        ("amount_within_order", {"held": order(1250, 2)}, ("pass", "25.00", "25.00"), "approved"),
        ("amount_within_order", {"held": order(2499)}, ("fail", "25.00", "24.99"), "declined"),
        ("amount_within_order", {"held": {}}, ("not_applicable", "25.00", "none"), "pending"),
        ("order_is_members", {}, ("pass", "held", "held"), "approved"),
        ("order_is_members", {"held": {}}, ("missing", "not held", "held"), "pending"),
        (
            "order_is_members",
            {"held": {"order_id": "o-1", "parked": [{"event_id": "e-9"}]}},
            ("missing", "not held", "held"),
            "pending",
        ),
        (
            "order_is_members",
            {"held": {}, "programs": with_refunds(order_in_ledger_required=False)},
            ("not_applicable", "not held", "none"),
            "approved",
        ),
        (
            "order_is_members",
            {"programs": with_refunds(order_in_ledger_required=False)},
            ("pass", "held", "held"),
            "approved",
        ),
        (
            "order_is_members",
            {"held": {}, "programs": with_refunds(order_in_ledger_required=None)},
            ("missing", "not held", "held"),
            "pending",
        ),
        ("order_eligible", {}, ("pass", "true", "true"), "approved"),
        ("order_eligible", {"body": {"order_eligible": False}}, ("fail", "false", "true"), "declined"),
        # a time after the moment of decision counts as missing; the moment itself has come
        ("seller_approved", {}, ("pass", "2026-11-22T10:15:00Z", AT_LIMIT), "approved"),
        ("seller_approved", {"body": {"seller_approved_at": LATE}}, ("missing", LATE, AT_LIMIT), "pending"),
        ("seller_approved", {"body": {"seller_approved_at": None}}, ("missing", "none", AT_LIMIT), "pending"),
        ("return_shipped", {}, ("pass", "tracking number", "tracking number"), "approved"),
        # nobody asks for the scan, so one that is yet to come is no matter
        (
            "return_shipped",
            {"body": {"first_scan_at": LATE}},
            ("pass", "tracking number", "tracking number"),
            "approved",
        ),
        (
            "return_shipped",
            {"body": {"return_shipment": None}},
            ("missing", "none", "tracking number"),
            "pending",
        ),
        (
            "return_shipped",
            {"programs": with_refunds(first_scan_required=True)},
            ("missing", "tracking number, first scan none", f"tracking number, first scan {AT_LIMIT}"),
            "pending",
        ),
        (
            "return_shipped",
            {
                "programs": with_refunds(first_scan_required=True),
                "body": {"first_scan_at": "2026-11-22T10:15:00Z"},
            },
            (
                "pass",
                "tracking number, first scan 2026-11-22T10:15:00Z",
                f"tracking number, first scan {AT_LIMIT}",
            ),
            "approved",
        ),
        (
            "return_shipped",
            {"programs": with_refunds(first_scan_required=True), "body": {"first_scan_at": LATE}},
            ("missing", f"tracking number, first scan {LATE}", f"tracking number, first scan {AT_LIMIT}"),
            "pending",
        ),
        (
            "return_shipped",
            {"programs": with_refunds(first_scan_required=True), "body": {"return_shipment": None}},
            ("missing", "none", "tracking number and first scan"),
            "pending",
        ),
        ("not_paid_before", {}, ("pass", "0", "0"), "approved"),
        ("not_paid_before", {"is_paid": True}, ("fail", "1", "0"), "declined"),
        # this approval included: at most five
        ("velocity_count", {"approvals": [(NOW, 1)] * 4}, ("pass", "5", "5"), "approved"),
        ("velocity_count", {"approvals": [(NOW, 1)] * 5}, ("fail", "6", "5"), "declined"),
        ("velocity_count", {"programs": with_refunds(velocity=None)}, ("not_applicable",) + ("none",) * 2, "approved"),
        ("velocity_count", {"tier": "A1"}, ("pass", "1", "5"), "declined"),
        # this approval included: at most four times the settled tier's limit
        ("velocity_value", {"approvals": [(NOW, 2500)] * 3}, ("pass", "100.00", "100.00"), "approved"),
        ("velocity_value", {"approvals": [(NOW, 7501)]}, ("fail", "100.01", "100.00"), "declined"),
        ("velocity_value", {"approvals": [(NOW, 7501)], "tier": "A4"}, ("pass", "100.01", "400.00"), "approved"),
        ("velocity_value", {"tier": "A1"}, ("not_applicable", "25.00", "none"), "declined"),
        ("velocity_value", {"programs": with_refunds(velocity=None)}, ("not_applicable",) + ("none",) * 2, "approved"),
        # the last 30 x 24 hours: an approval exactly that old no longer counts, one that is dated later does
        ("velocity_count", {"approvals": [(NOW - 720 * HOUR, 1)] * 5}, ("pass", "1", "5"), "approved"),
        (
            "velocity_count",
            {"approvals": [(NOW - 720 * HOUR + timedelta(milliseconds=1), 1)] * 5},
            ("fail", "6", "5"),
            "declined",
        ),
        ("velocity_count", {"approvals": [(NOW + HOUR, 1)] * 5}, ("fail", "6", "5"), "declined"),
        ("velocity_value", {"approvals": [(NOW - 720 * HOUR, 9999)]}, ("pass", "25.00", "100.00"), "approved"),
        (
            "velocity_value",
            {"approvals": [(NOW - 720 * HOUR + timedelta(milliseconds=1), 9999)]},
            ("fail", "124.99", "100.00"),
            "declined",
        ),
    ],
)
def test_a_check_of_a_refund(code: str, given_: dict[str, Any], expected: tuple[str, str, str], decided: str) -> None:
    how = dict(given_)
    decision = refund(refund_body(**how.pop("body", {})), **how)

    found = check(decision, code)
    assert (found["outcome"], found["actual"], found["required"]) == expected
    assert decision["decision"] == decided
    assert ("payout" in decision) == (decided == "approved")


@pytest.mark.parametrize(
    ("event_type", "data", "left"),
    [
        ("order.refunded", {"amount": 1, "currency": "USD"}, "24.99"),
        ("order.refunded", {"lines": [{"item_id": "i", "quantity": 1}]}, "12.50"),
        ("order.refunded", {"full": True}, "0.00"),
        ("order.cancelled", {}, "0.00"),
        ("order.flagged_fraudulent", {}, "0.00"),
    ],
)
def test_no_more_is_paid_than_what_remains(event_type: str, data: dict[str, Any], left: str) -> None:
    held = order(1250, 2)
    undo(held, event_type, {"order_id": "o-1", **data})
    decision = refund(held=held)
    assert check(decision, "amount_within_order")["required"] == left
    assert check(decision, "amount_within_order")["outcome"] == "fail"
    assert decision["decision"] == "declined"


def test_a_member_without_an_account_is_at_the_lowest_tier() -> None:
    facts = RefundFacts(None, None, False, [])
    decision = decide_refund(parse_refund_request(refund_body(), PROGRAMS), facts, PROGRAMS, NOW, switched_on=True)
    assert decision["tier"] == "A0"
    assert decision["decision"] == "declined"
    assert outcomes(decision, "fail") == ["tier_entitles"]
    assert outcomes(decision, "missing") == ["order_is_members"]


def test_deciding_changes_nothing_that_it_is_given() -> None:
    held, approvals = order(), [(NOW, 1)]
    before = copy.deepcopy((held, approvals))
    refund(held=held, approvals=approvals)
    assert (held, approvals) == before


def test_a_tier_between_has_the_limit_below_it() -> None:
    club = with_refunds(limits={"A1": "5.00", "A3": "25.00"}).versions("club")[0]
    assert [refund_limit(club, tier) for tier in range(5)] == [None, 500, 500, 2500, 2500]


# --- which program decides ----------------------------------------------------------------------------------


def test_the_version_in_force_at_the_moment_decides() -> None:
    programs = programs_with(
        lambda data: privilege(data, "expedited_refund")["limits"].update(A3="30.00"), version="2026-11"
    )
    body, held = refund_body(amount="30.00", seller_approved_at="2026-11-01T00:00:00Z"), order(3000)
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    before = refund(body, held=held, programs=programs, moment=midnight - timedelta(milliseconds=1))
    since = refund(body, held=held, programs=programs, moment=midnight)

    assert (before["program_version"], before["decision"]) == ("2017-06", "declined")
    assert (since["program_version"], since["decision"]) == ("2026-11", "approved")


def test_the_program_that_has_the_privilege_decides() -> None:
    assert deciding_program(PROGRAMS, "expedited_refund", NOW).id == "club"
    assert deciding_program(PROGRAMS, "exclusive_prices", NOW).id == "crowns"


def test_where_no_program_has_the_privilege_nothing_is_approved() -> None:
    programs = programs_with(lambda data: data["privileges"].clear())
    refused, slow = refund(programs=programs, tier="A4"), dispute(programs=programs)
    for decision in (refused, slow):
        assert decision["decision"] == "declined"
        assert outcomes(decision, "fail") == ["program_enabled", "tier_entitles"]
        assert check(decision, "tier_entitles")["required"] == "none"
    assert outcomes(refused, "not_applicable") == ["amount_within_limit", "velocity_count", "velocity_value"]


def test_approvals_are_known_as_far_back_as_any_version_looks() -> None:
    def longer(data: dict[str, Any]) -> None:
        privilege(data, "expedited_refund")["velocity"]["hours"] = 1000

    assert velocity_memory(PROGRAMS) == 720 * HOUR
    assert velocity_memory(programs_with(longer, version="2026-11")) == 1000 * HOUR
    assert velocity_memory(with_refunds(velocity=None)) == timedelta(0)


# --- acceleration of disputes -------------------------------------------------------------------------------


def test_an_accelerated_dispute_lists_every_check() -> None:
    decision = dispute()
    assert [each["code"] for each in decision["checks"]] == DISPUTE_CODES
    assert {each["outcome"] for each in decision["checks"]} == {"pass"}
    assert (decision["decision"], decision["kind"]) == ("approved", "dispute_acceleration")
    assert (decision["queue"], decision["review_due_at"]) == ("dedicated", "2026-12-01T09:00:00Z")
    assert (decision["member_id"], decision["dispute_id"], decision["order_id"]) == ("m-1", "d-1", "o-1")
    assert "payout" not in decision


@pytest.mark.parametrize(
    ("code", "given_", "expected", "decided"),
    [
        ("switched_on", {"switched_on": False}, ("fail", "off", "on"), "declined"),
        ("tier_entitles", {"tier": "A3"}, ("fail", "A3", "A4"), "declined"),
        ("tier_entitles", {"tier": "A4"}, ("pass", "A4", "A4"), "approved"),
        ("dispute_escalated", {}, ("pass", "2026-11-22T10:15:00Z", AT_LIMIT), "approved"),
        ("dispute_escalated", {"body": {"escalated_at": None}}, ("missing", "none", AT_LIMIT), "pending"),
        ("dispute_escalated", {"body": {"escalated_at": LATE}}, ("missing", LATE, AT_LIMIT), "pending"),
        ("not_accelerated_before", {}, ("pass", "0", "0"), "approved"),
        ("not_accelerated_before", {"is_accelerated": True}, ("fail", "1", "0"), "declined"),
    ],
)
def test_a_check_of_a_dispute(code: str, given_: dict[str, Any], expected: tuple[str, str, str], decided: str) -> None:
    how = dict(given_)
    decision = dispute(dispute_body(**how.pop("body", {})), **how)

    found = check(decision, code)
    assert (found["outcome"], found["actual"], found["required"]) == expected
    assert decision["decision"] == decided
    if decided != "approved":
        assert (decision["queue"], decision["review_due_at"]) == ("standard", "2026-12-06T09:00:00Z")


def test_a_program_can_switch_acceleration_off() -> None:
    programs = programs_with(lambda data: privilege(data, "dispute_acceleration").update(enabled=False))
    decision = dispute(programs=programs)
    assert decision["decision"] == "declined"
    assert outcomes(decision, "fail") == ["program_enabled"]


def test_not_escalated_and_not_entitled_is_declined() -> None:
    decision = dispute(dispute_body(escalated_at=None), tier="A3")
    assert decision["decision"] == "declined"
    assert outcomes(decision, "missing") == ["dispute_escalated"]


@pytest.mark.parametrize(
    ("due", "new"),
    [
        ("2026-12-06T09:00:00Z", "2026-12-01T09:00:00Z"),  # five days shorter
        ("2026-11-27T10:15:00.001Z", "2026-11-22T10:15:00.001Z"),
        ("2026-11-27T10:15:00Z", "2026-11-22T10:15:00Z"),  # exactly five days away: now
        ("2026-11-27T10:14:59Z", "2026-11-22T10:15:00Z"),  # five days earlier has passed: now
        ("2026-11-23T00:00:00Z", "2026-11-22T10:15:00Z"),
        ("2026-11-22T10:15:00Z", "2026-11-22T10:15:00Z"),
        ("2026-11-22T10:14:59Z", "2026-11-22T10:14:59Z"),  # overdue: never later than it was
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00Z"),
        ("2026-12-06T09:00:00+02:00", "2026-12-01T07:00:00Z"),
    ],
)
def test_the_review_is_due_five_days_earlier_but_not_before_now(due: str, new: str) -> None:
    assert dispute(dispute_body(review_due_at=due))["review_due_at"] == new


# --- what holds whatever is asked ---------------------------------------------------------------------------


class Ledger:
    """Refunds over time with nothing but dictionaries for a store: what an approval writes is all it keeps."""

    def __init__(self) -> None:
        self.paid: set[str] = set()
        self.approvals: dict[str, list[Approval]] = {}
        self.decided: dict[str, Decision] = {}

    def ask(self, member_id: str, order_id: str, amount: str, request_id: str, tier: str, at: datetime) -> None:
        body = refund_body(
            member_id=member_id,
            order_id=order_id,
            amount=amount,
            request_id=request_id,
            seller_approved_at="2026-01-01T00:00:00Z",
        )
        request = parse_refund_request(body, PROGRAMS)
        if request.decision_id in self.decided:
            return
        known = self.approvals.get(member_id, [])
        facts = RefundFacts(member(tier), order(4000), order_id in self.paid, known)
        decision = decide_refund(request, facts, PROGRAMS, at, switched_on=True)
        self.decided[request.decision_id] = decision
        if decision["decision"] == "approved":
            self.paid.add(order_id)
            kept = within(known, at, velocity_memory(PROGRAMS))
            self.approvals[member_id] = [*kept, (at, request.amount)]


ASKED = st.tuples(
    st.sampled_from(["m-1", "m-2"]),
    st.sampled_from([f"o-{number}" for number in range(12)]),
    st.sampled_from(["0.01", "12.50", "25.00", "40.00", "40.01"]),
    st.sampled_from([f"r-{number}" for number in range(40)]),
    st.sampled_from(["A2", "A3", "A4"]),
    st.integers(0, 24 * 90),
)


@given(st.lists(ASKED, max_size=60))
def test_whatever_is_asked_an_order_is_paid_once_and_within_the_limits(asked: list[Any]) -> None:
    ledger = Ledger()
    start = datetime(2026, 2, 1, tzinfo=UTC)
    for member_id, order_id, amount, request_id, tier, hours in sorted(asked, key=lambda each: each[5]):
        ledger.ask(member_id, order_id, amount, request_id, tier, start + hours * HOUR)

    approved = [each for each in ledger.decided.values() if each["decision"] == "approved"]
    paid = [each["order_id"] for each in approved]
    assert len(paid) == len(set(paid))
    # whoever was never refused for an order had it paid: the rules bar nothing else in this world
    for each in ledger.decided.values():
        if outcomes(each, "fail") == ["not_paid_before"]:
            assert each["order_id"] in paid
    for each in approved:
        until = datetime.fromisoformat(each["decided_at"])
        window = [
            parse_money(other["payout"]["amount"], "USD")
            for other in approved
            if other["member_id"] == each["member_id"]
            and until - timedelta(hours=720) < datetime.fromisoformat(other["decided_at"]) <= until
            and approved.index(other) <= approved.index(each)
        ]
        limit = {"A3": 2500, "A4": 10000}[each["tier"]]
        assert len(window) <= 5
        assert sum(window) <= 4 * limit
        assert window[-1] <= min(limit, 4000)
