"""Decisions: expedited refunds and the acceleration of disputes (rules 1.10, 1.11).

A request is read, all that bears on it is compared, and the answer is the decision with its certificate:
every check in a fixed order, with its outcome and the values that it compared. Nothing stops at the first
that does not pass. Nothing here reads or stores anything: what the ledger knows is handed in, and the time
is.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, NamedTuple

from club_rules.account import Account
from club_rules.errors import FieldError, InvalidInput
from club_rules.events import OCCURRED_AT_MIN, ProgramFacts, read_member_id
from club_rules.fields import (
    Errors,
    Fields,
    absent_or_wrong,
    canonical,
    name_unknown,
    read_choice,
    read_currency,
    read_id,
    read_money,
    read_object,
)
from club_rules.money import format_money
from club_rules.orders import OrderRecord, is_held, remaining_value
from club_rules.programs import Program, Programs
from club_rules.times import format_instant, parse_instant

REFUND, ACCELERATION = "expedited_refund", "dispute_acceleration"
"""The kinds of decisions; a privilege in a program's file has the same code."""

APPROVED, PENDING, DECLINED = "approved", "pending", "declined"
PASS, FAIL, MISSING, NOT_APPLICABLE = "pass", "fail", "missing", "not_applicable"

DEDICATED, STANDARD = "dedicated", "standard"
"""The queues that a dispute can lie in."""

TEXT_CHARS_MAX = 64
"""So long may the name of a carrier and a tracking number be."""

Decision = dict[str, Any]
Check = dict[str, str]
Approval = tuple[datetime, int]
"""An approved refund of the member's: when, and of how many minor units."""

_REFUND_FIELDS = frozenset(
    {
        "request_id",
        "member_id",
        "order_id",
        "dispute_id",
        "refund",
        "seller_approved_at",
        "return_shipment",
        "order_eligible",
    }
)
_AMOUNT_FIELDS = frozenset({"kind", "amount", "currency"})
_SHIPMENT_FIELDS = frozenset({"carrier", "tracking_number", "first_scan_at"})
_DISPUTE_FIELDS = frozenset({"request_id", "member_id", "dispute_id", "order_id", "escalated_at", "review_due_at"})
_REFUND_KINDS = frozenset({"full", "partial"})


class Shipment(NamedTuple):
    """The return shipment of an order, and when the carrier first saw it (UTC), if it has."""

    carrier: str
    tracking_number: str
    first_scan_at: datetime | None


@dataclass(frozen=True, slots=True)
class RefundRequest:
    """A request for an expedited refund, checked; the amount is in minor units, instants are in UTC.

    ``decision_id`` follows from ``request_id`` alone. ``digest`` is the SHA-256, in hex, of the canonical
    JSON of what the request says: two requests are the same when their digests are, however their JSON was
    written.
    """

    request_id: str
    member_id: str
    order_id: str
    dispute_id: str
    refund_kind: str
    amount: int
    currency: str
    seller_approved_at: datetime | None
    shipment: Shipment | None
    order_eligible: bool
    decision_id: str
    digest: str


@dataclass(frozen=True, slots=True)
class DisputeRequest:
    """A request for the acceleration of a dispute, checked; ids and digest as in ``RefundRequest``."""

    request_id: str
    member_id: str
    dispute_id: str
    order_id: str
    escalated_at: datetime | None
    review_due_at: datetime
    decision_id: str
    digest: str


class RefundFacts(NamedTuple):
    """What the ledger knows that bears on a refund.

    ``account`` is settled to the moment of the decision, ``None`` for a member without any. ``order`` is the
    member's record of the order, ``None`` where there is none. ``is_paid`` tells whether an expedited refund
    of the order was approved before, whoever asked. ``approvals`` are the member's own of late.
    """

    account: Account | None
    order: OrderRecord | None
    is_paid: bool
    approvals: Collection[Approval]


class DisputeFacts(NamedTuple):
    """What the ledger knows that bears on an acceleration: the settled account, and an earlier one."""

    account: Account | None
    is_accelerated: bool


# --- requests


def parse_refund_request(body: object, programs: ProgramFacts) -> RefundRequest:
    """Reads the body of ``POST /refunds/expedited``, as decoded from JSON (contract 2.1).

    What may be null may be left out as well. Raises ``InvalidInput``, which names every field at fault by its
    JSON pointer; nothing else, whatever ``body`` is.
    """
    errors: Errors = []
    fields = _body(body, _REFUND_FIELDS, errors)
    request_id = read_id(fields, "request_id", "", errors)
    member_id = read_member_id(fields, REFUND, errors)
    order_id = read_id(fields, "order_id", "", errors)
    dispute_id = read_id(fields, "dispute_id", "", errors)
    kind, amount, currency = _amount(fields, programs.currency, errors)
    seller_approved_at = _nullable_instant(fields, "seller_approved_at", "", errors)
    shipment = _shipment(fields, errors)
    order_eligible = fields.get("order_eligible")
    if type(order_eligible) is not bool:
        errors.append(absent_or_wrong(fields, "order_eligible", "", "true or false"))
    _raise_if_any(errors)
    says = [
        member_id,
        order_id,
        dispute_id,
        kind,
        amount,
        currency,
        _written(seller_approved_at),
        order_eligible,
    ]
    if shipment is not None:
        says += [shipment.carrier, shipment.tracking_number, _written(shipment.first_scan_at)]
    return RefundRequest(
        request_id=request_id,
        member_id=member_id,
        order_id=order_id,
        dispute_id=dispute_id,
        refund_kind=kind,
        amount=amount,
        currency=currency,
        seller_approved_at=seller_approved_at,
        shipment=shipment,
        order_eligible=order_eligible is True,
        decision_id=decision_id(REFUND, request_id),
        digest=_digest(says),
    )


def parse_dispute_request(body: object) -> DisputeRequest:
    """Reads the body of ``POST /disputes/acceleration``, as decoded from JSON (contract 2.1).

    ``escalated_at`` may be null or left out. Raises ``InvalidInput``, which names every field at fault by its
    JSON pointer; nothing else, whatever ``body`` is.
    """
    errors: Errors = []
    fields = _body(body, _DISPUTE_FIELDS, errors)
    request_id = read_id(fields, "request_id", "", errors)
    member_id = read_member_id(fields, ACCELERATION, errors)
    dispute_id = read_id(fields, "dispute_id", "", errors)
    order_id = read_id(fields, "order_id", "", errors)
    escalated_at = _nullable_instant(fields, "escalated_at", "", errors)
    review_due_at = _instant(fields, "review_due_at", "", errors)
    _raise_if_any(errors)
    says = [member_id, dispute_id, order_id, _written(escalated_at), _written(review_due_at)]
    return DisputeRequest(
        request_id=request_id,
        member_id=member_id,
        dispute_id=dispute_id,
        order_id=order_id,
        escalated_at=escalated_at,
        review_due_at=review_due_at,
        decision_id=decision_id(ACCELERATION, request_id),
        digest=_digest(says),
    )


def decision_id(kind: str, request_id: str) -> str:
    """The id of the decision on a request: the same for every repeat, and another for the other kind."""
    return "d-" + sha256(f"{kind}\n{request_id}".encode()).hexdigest()[:40]


def _body(body: object, known: frozenset[str], errors: Errors) -> Fields:
    """The fields of the body. What is no object has no field that could be named."""
    fields = read_object(body, "", errors)
    if fields is None:
        raise InvalidInput(errors)
    name_unknown(fields, known, "", errors)
    return fields


def _raise_if_any(errors: Errors) -> None:
    if errors:
        raise InvalidInput(errors)


def _amount(fields: Fields, ours: str, errors: Errors) -> tuple[str, int, str]:
    """Reads ``refund``: its kind, its amount in minor units, its currency, which has to be ``ours``."""
    if "refund" not in fields:
        errors.append(absent_or_wrong(fields, "refund", "", "an object"))
        return "", 0, ours
    refund = read_object(fields["refund"], "/refund", errors)
    if refund is None:
        return "", 0, ours
    name_unknown(refund, _AMOUNT_FIELDS, "/refund", errors)
    kind = read_choice(refund, "kind", "/refund", _REFUND_KINDS, "invalid_value", errors)
    readable = read_currency(refund, "/refund", ours, errors)
    found = len(errors)
    amount = read_money(refund, "amount", "/refund", readable, errors)
    if amount == 0 and len(errors) == found:
        errors.append(FieldError("/refund/amount", "out_of_range", "must be more than zero"))
    return kind, amount, ours


def _shipment(fields: Fields, errors: Errors) -> Shipment | None:
    if fields.get("return_shipment") is None:
        return None
    at = "/return_shipment"
    shipment = read_object(fields["return_shipment"], at, errors)
    if shipment is None:
        return None
    name_unknown(shipment, _SHIPMENT_FIELDS, at, errors)
    return Shipment(
        _text(shipment, "carrier", at, errors),
        _text(shipment, "tracking_number", at, errors),
        _nullable_instant(shipment, "first_scan_at", at, errors),
    )


def _text(fields: Fields, name: str, at: str, errors: Errors) -> str:
    """Reads what a carrier makes up, which is no id: printable characters, and not only blanks."""
    value = fields.get(name)
    if type(value) is not str:
        errors.append(absent_or_wrong(fields, name, at, "a string"))
    elif len(value) <= TEXT_CHARS_MAX and value.isprintable() and value.strip():
        return value
    else:
        expected = f"must be 1 to {TEXT_CHARS_MAX} printable characters"
        errors.append(FieldError(f"{at}/{name}", "invalid_value", expected))
    return ""


def _nullable_instant(fields: Fields, name: str, at: str, errors: Errors) -> datetime | None:
    return None if fields.get(name) is None else _instant(fields, name, at, errors)


def _instant(fields: Fields, name: str, at: str, errors: Errors) -> datetime:
    """Reads an instant; like that of an event not before 1970, so that days can be taken off it."""
    text = fields.get(name)
    if type(text) is not str:
        errors.append(absent_or_wrong(fields, name, at, "an RFC 3339 instant with an offset"))
        return OCCURRED_AT_MIN
    try:
        instant = parse_instant(text)
    except ValueError as error:
        errors.append(FieldError(f"{at}/{name}", "invalid_instant", str(error)))
        return OCCURRED_AT_MIN
    if instant < OCCURRED_AT_MIN:
        errors.append(FieldError(f"{at}/{name}", "out_of_range", "must not be before 1970-01-01T00:00:00Z"))
    return instant


def _written(instant: datetime | None) -> str | None:
    return None if instant is None else format_instant(instant)


def _digest(content: object) -> str:
    return sha256(canonical(content).encode()).hexdigest()


# --- what a program grants


def deciding_program(programs: Programs, privilege: str, moment: datetime) -> Program:
    """The program that decides at ``moment``: the first, by its id, whose version in force has the privilege.

    Where none has it, the first program answers for all, and says so in its checks.
    """
    in_force = [programs.at(program_id, moment) for program_id in programs.ids]
    return next((program for program in in_force if program.privilege(privilege) is not None), in_force[0])


def refund_limit(program: Program, tier: int) -> int | None:
    """Up to how many minor units a member of ``tier`` (an index) gets an expedited refund; ``None``: not at
    all.

    A tier that the file does not name has the limit of the next lower one that it names: a ladder takes
    nothing away.
    """
    limits = _limits(program)
    return next((program.amount(limits[code]) for code in reversed(program.codes[: tier + 1]) if code in limits), None)


def velocity_memory(programs: Programs) -> timedelta:
    """How far back the approvals of a member have to be known, by any version of any program (rules 1.10)."""
    hours = [
        (program.privilege(REFUND) or {}).get("velocity", {}).get("hours", 0)
        for program_id in programs.ids
        for program in programs.versions(program_id)
    ]
    return timedelta(hours=max(hours))


def within(approvals: Iterable[Approval], moment: datetime, window: timedelta) -> list[Approval]:
    """The approvals of the last ``window`` before ``moment``.

    One that is exactly as old as the window no longer counts. One that is dated later counts: two requests
    may be decided in another order than they arrived in, and the limits hold all the same.
    """
    return [approval for approval in approvals if moment - approval[0] < window]


def _limits(program: Program) -> dict[str, str]:
    limits: dict[str, str] = (program.privilege(REFUND) or {}).get("limits", {})
    return limits


def _held_tier(account: Account | None, program: Program) -> int:
    state = None if account is None else account.programs.get(program.id)
    return 0 if state is None else state.tier


# --- decisions


def decide_refund(
    request: RefundRequest, facts: RefundFacts, programs: Programs, moment: datetime, *, switched_on: bool
) -> Decision:
    """Decides on an expedited refund (rules 1.10) at the UTC instant ``moment``.

    ``switched_on`` is the one switch for all programs. Returns the decision as in contract 2.1, complete with
    its digest; only an approved one has a ``payout``. Changes nothing of what it is given.
    """
    program = deciding_program(programs, REFUND, moment)
    privilege = program.privilege(REFUND) or {}
    tier = _held_tier(facts.account, program)
    limit = refund_limit(program, tier)
    checks = [
        _switched_on(switched_on),
        _program_enabled(program, REFUND),
        _tier_entitles(program, tier, next((code for code in program.codes if code in _limits(program)), None)),
        _refund_is_full(request),
        _amount_within_limit(request, program, tier, limit),
        *_order_checks(request, facts.order, privilege.get("order_in_ledger_required", True)),
        _seller_approved(request, moment),
        _return_shipped(request, moment, privilege.get("first_scan_required", False)),
        _not_before("not_paid_before", facts.is_paid, f"an expedited refund of order {request.order_id}", "approved"),
        *_velocity_checks(request, facts.approvals, moment, privilege.get("velocity"), limit),
    ]
    amount = format_money(request.amount, request.currency)
    decision = {
        **_head(REFUND, request, program, tier, checks, moment),
        "refund": {"kind": request.refund_kind, "amount": amount, "currency": request.currency},
        "checks": checks,
    }
    if decision["decision"] == APPROVED:
        decision["payout"] = {"amount": amount, "currency": request.currency, "to": "original_payment_method"}
    return _sealed(decision)


def decide_dispute(
    request: DisputeRequest, facts: DisputeFacts, programs: Programs, moment: datetime, *, switched_on: bool
) -> Decision:
    """Decides on the acceleration of a dispute (rules 1.11) at the UTC instant ``moment``.

    ``switched_on`` is the one switch for all programs. Returns the decision as in contract 2.1, complete with
    its digest, the dispute's queue, and when its review is due: at the new time where it is approved, else at
    the given one. Changes nothing of what it is given.
    """
    program = deciding_program(programs, ACCELERATION, moment)
    privilege = program.privilege(ACCELERATION) or {}
    tier = _held_tier(facts.account, program)
    checks = [
        _switched_on(switched_on),
        _program_enabled(program, ACCELERATION),
        _tier_entitles(program, tier, privilege.get("from_tier")),
        _step("dispute_escalated", request.escalated_at, moment, "the dispute was escalated"),
        _not_before("not_accelerated_before", facts.is_accelerated, f"dispute {request.dispute_id}", "accelerated"),
    ]
    decision = {**_head(ACCELERATION, request, program, tier, checks, moment), "checks": checks}
    queue, due = STANDARD, request.review_due_at
    if decision["decision"] == APPROVED:
        # rules 1.11: shorter by so many days, but never before the decision, and never later than it was due
        queue, due = DEDICATED, min(due, max(moment, due - timedelta(days=privilege["days"])))
    return _sealed({**decision, "queue": queue, "review_due_at": format_instant(due)})


def _head(
    kind: str,
    request: RefundRequest | DisputeRequest,
    program: Program,
    tier: int,
    checks: list[Check],
    moment: datetime,
) -> Decision:
    return {
        "decision_id": request.decision_id,
        "request_id": request.request_id,
        "kind": kind,
        "decision": _outcome(checks),
        "decided_at": format_instant(moment),
        "member_id": request.member_id,
        "order_id": request.order_id,
        "dispute_id": request.dispute_id,
        "tier": program.codes[tier],
        "program": program.id,
        "program_version": program.version,
    }


def _outcome(checks: list[Check]) -> str:
    """Rules 1.10: declined by any check that fails; else pending where something can still come."""
    outcomes = {check["outcome"] for check in checks}
    return DECLINED if FAIL in outcomes else PENDING if MISSING in outcomes else APPROVED


def _sealed(decision: Decision) -> Decision:
    """The decision with the digest of its canonical JSON: sorted keys, no blanks, ASCII, no digest."""
    return {**decision, "digest": f"sha256:{_digest(decision)}"}


# --- checks


def _check(code: str, outcome: str, detail: str, actual: str, required: str) -> Check:
    """One check; its detail begins as a sentence does and ends as one does."""
    detail = f"{detail[0].upper()}{detail[1:]}."
    return {"code": code, "outcome": outcome, "detail": detail, "actual": actual, "required": required}


def _switched_on(is_on: bool) -> Check:
    detail = f"the switch for all programs is {_on(is_on)}"
    return _check("switched_on", PASS if is_on else FAIL, detail, _on(is_on), "on")


def _program_enabled(program: Program, kind: str) -> Check:
    is_on = (program.privilege(kind) or {}).get("enabled", False)
    detail = f"program {program.id} has this privilege switched {_on(is_on)}"
    return _check("program_enabled", PASS if is_on else FAIL, detail, _on(is_on), "on")


def _on(is_on: bool) -> str:
    return "on" if is_on else "off"


def _tier_entitles(program: Program, tier: int, lowest: str | None) -> Check:
    """Whether the held tier is at least ``lowest``, the first that has the privilege (``None``: none has)."""
    held = program.codes[tier]
    if lowest is None:
        return _check("tier_entitles", FAIL, f"no tier of program {program.id} has this privilege", held, "none")
    if tier >= program.tier_index(lowest):
        return _check("tier_entitles", PASS, f"tier {held} has this privilege", held, lowest)
    return _check("tier_entitles", FAIL, f"this privilege begins at tier {lowest}, held is {held}", held, lowest)


def _refund_is_full(request: RefundRequest) -> Check:
    kind = request.refund_kind
    return _check("refund_is_full", PASS if kind == "full" else FAIL, f"the refund asked for is {kind}", kind, "full")


def _amount_within_limit(request: RefundRequest, program: Program, tier: int, limit: int | None) -> Check:
    code, amount = "amount_within_limit", format_money(request.amount, request.currency)
    if limit is None:
        return _check(code, NOT_APPLICABLE, f"tier {program.codes[tier]} has no limit to compare with", amount, "none")
    most = format_money(limit, request.currency)
    return _at_most(code, request.amount <= limit, "the amount", "the limit of the tier", amount, most)


def _order_checks(request: RefundRequest, order: OrderRecord | None, is_required: bool) -> list[Check]:
    """The checks of the order: its value, whose it is, and whether it is eligible.

    A record that holds no lines is one of events that wait for their order: the order itself is not held.
    """
    amount = format_money(request.amount, request.currency)
    eligible = str(request.order_eligible).lower()
    if not is_held(order):
        detail = "the order is not held in the member's ledger, so there is no value to compare with"
        within_order = _check("amount_within_order", NOT_APPLICABLE, detail, amount, "none")
        detail = f"the member's ledger does not hold order {request.order_id}"
        if is_required:
            members = _check("order_is_members", MISSING, f"{detail} yet", "not held", "held")
        else:
            members = _check("order_is_members", NOT_APPLICABLE, f"{detail}, nor has to", "not held", "none")
    else:
        left = remaining_value(order)
        most = format_money(left, request.currency)
        within_order = _at_most(
            "amount_within_order",
            request.amount <= left,
            "the amount",
            "what remains of the order",
            amount,
            most,
        )
        detail = f"the member's ledger holds order {request.order_id}"
        members = _check("order_is_members", PASS, detail, "held", "held")
    detail = "the order is eligible" if request.order_eligible else "the order is not eligible"
    outcome = PASS if request.order_eligible else FAIL
    return [within_order, members, _check("order_eligible", outcome, detail, eligible, "true")]


def _seller_approved(request: RefundRequest, moment: datetime) -> Check:
    return _step("seller_approved", request.seller_approved_at, moment, "the seller approved")


def _step(code: str, done_at: datetime | None, moment: datetime, what: str) -> Check:
    """A step that can still come: there is no time for it yet, or one after the moment of decision."""
    required = f"at or before {format_instant(moment)}"
    if done_at is None:
        return _check(code, MISSING, f"it is not known yet that {what}", "none", required)
    at = format_instant(done_at)
    if done_at > moment:
        return _check(code, MISSING, f"at the moment of decision it is still to come that {what}", at, required)
    return _check(code, PASS, f"{what} at {at}", at, required)


def _return_shipped(request: RefundRequest, moment: datetime, is_scan_required: bool) -> Check:
    """The tracking number itself stays out of the certificate: that there is one is all that is compared."""
    code, shipment = "return_shipped", request.shipment
    if shipment is None:
        required = "tracking number and first scan" if is_scan_required else "tracking number"
        return _check(code, MISSING, "there is no tracking number of the return yet", "none", required)
    if not is_scan_required:
        return _check(code, PASS, "there is a tracking number of the return", "tracking number", "tracking number")
    scan = _step(code, shipment.first_scan_at, moment, "the carrier first scanned the return")
    return {
        **scan,
        "actual": f"tracking number, first scan {scan['actual']}",
        "required": f"tracking number, first scan {scan['required']}",
    }


def _not_before(code: str, is_done: bool, what: str, done: str) -> Check:
    """What may happen once: counted, so that the certificate shows what was compared."""
    detail = f"{what} was {done} before" if is_done else f"{what} was not {done} before"
    return _check(code, FAIL if is_done else PASS, detail, "1" if is_done else "0", "0")


def _velocity_checks(
    request: RefundRequest,
    approvals: Collection[Approval],
    moment: datetime,
    velocity: dict[str, int] | None,
    limit: int | None,
) -> list[Check]:
    """The member's approvals within the window, this one included, by number and by value."""
    if velocity is None:
        detail = "the program limits neither the number nor the value of approvals"
        return [_check(code, NOT_APPLICABLE, detail, "none", "none") for code in ("velocity_count", "velocity_value")]
    hours = velocity["hours"]
    recent = within(approvals, moment, timedelta(hours=hours))
    number, number_most = len(recent) + 1, velocity["approvals_at_most"]
    subject = f"with this one, the number of approvals in the last {hours} hours"
    count = _at_most(
        "velocity_count", number <= number_most, subject, "the program's limit", str(number), str(number_most)
    )
    value = request.amount + sum(amount for _, amount in recent)
    actual = format_money(value, request.currency)
    if limit is None:
        detail = "the tier has no limit, of which the limit in value would be a multiple"
        return [count, _check("velocity_value", NOT_APPLICABLE, detail, actual, "none")]
    value_most = limit * velocity["value_at_most_limits"]
    subject = f"with this one, the value of approvals in the last {hours} hours"
    most = format_money(value_most, request.currency)
    return [
        count,
        _at_most("velocity_value", value <= value_most, subject, "the limit of the tier in value", actual, most),
    ]


def _at_most(code: str, is_within: bool, subject: str, bound: str, actual: str, most: str) -> Check:
    """A comparison with an inclusive bound."""
    if is_within:
        return _check(code, PASS, f"{subject}, {actual}, is within {bound}, {most}", actual, most)
    return _check(code, FAIL, f"{subject}, {actual}, is above {bound}, {most}", actual, most)
