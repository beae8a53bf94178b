"""Posting: what one activity event does to a member, in all programs at once (rules 1.3 to 1.8).

``post`` decides; ``account.apply_entry`` carries out. Nothing here knows how anything is stored.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

from club_rules.account import ERASURE, SETTLING, Account, Entry, Part, ProgramAccount, apply_entry
from club_rules.events import ActivityEvent
from club_rules.orders import (
    OrderRecord,
    clawback_part,
    has_item,
    is_held,
    new_order,
    order_part,
    remaining_value,
    standing_worth,
    undo,
)
from club_rules.programs import Activity, Program, Programs
from club_rules.tiers import conclude
from club_rules.times import format_instant, parse_instant

if TYPE_CHECKING:  # who posts events needs nothing of it
    from club_rules.adjustments import Adjustment

PARKED_AT_ONCE = 20
"""So many parked events take effect in the transaction of their order's arrival; the rest follow in further ones."""

UNDOING = {
    "order.refunded": "refunded",
    "order.cancelled": "cancelled",
    "order.flagged_fraudulent": "found_fraudulent",
}
"""The events that undo an order, and the reason code of what they take."""

_ONCE = {
    "review.posted": ("review", "item_id", "already_reviewed"),
    "post.published": ("post", "post_id", "already_counted"),
    "contribution.accepted": ("contribution", "contribution_id", "already_counted"),
}
"""Events that count once for ever: the rule, the field that names the thing, and the code of a second one."""

_PERSONAL = ("member.registered", "member.updated")


class Posting:
    """What is to be stored: the entries in order, and the order record where it changed (``None``: it did not)."""

    __slots__ = ("entries", "order")

    def __init__(self, entries: list[Entry], order: OrderRecord | None = None) -> None:
        self.entries = entries
        self.order = order


def names_order(event_type: str) -> bool:
    """Whether events of this type name an order, so that its record has to be at hand."""
    return event_type in UNDOING or event_type in ("order.completed", "review.posted")


def needs_marks(event_type: str) -> bool:
    """Whether events of this type count once for ever, so that the member's older marks have to be at hand."""
    return event_type in _ONCE


def post(
    account: Account,
    programs: Programs,
    event: ActivityEvent,
    moment: datetime,
    order: OrderRecord | None = None,
    older_marks: Collection[str] = (),
) -> Posting:
    """Posts ``event`` on ``account``, in place.

    ``account`` is settled to ``moment``, the UTC instant of posting. ``order`` is the member's record of the order
    that the event names, ``None`` where the ledger holds none; it is changed in place and given back. ``older_marks``
    are the marks that have left the account. Returns the entries, already applied, and the order record to store.
    """
    if event.type == "order.completed":
        return _post_order(account, programs, event, moment, order)
    if event.type in UNDOING or event.type == "review.posted":
        if not is_held(order):
            return _park(account, programs, event, moment, order)
        return _post_on_order(account, programs, event, moment, order, older_marks)
    entry = _entry(account, event, moment)
    if event.type in _ONCE or event.type == "visit.recorded":
        rule = "visit" if event.type == "visit.recorded" else _ONCE[event.type][0]
        _post_activity(account, programs, event, moment, entry, rule, older_marks)
    elif event.type == "promotion.awarded":
        _post_promotion(account, programs, event, moment, entry)
    elif event.type == "violation.confirmed":
        _confirm(account, programs, event, moment, entry)
    elif event.type == "violation.overturned":
        _overturn(account, programs, event, moment, entry)
    apply_entry(account, entry)
    return Posting([entry])


def release_parked(
    account: Account,
    programs: Programs,
    moment: datetime,
    order: OrderRecord,
    older_marks: Collection[str] = (),
) -> Posting:
    """Lets events that were parked for an order take effect, once it has arrived: each a second entry (rules 1.7).

    ``order`` holds them under ``parked``, oldest first; at most ``PARKED_AT_ONCE`` are taken.
    """
    entries: list[Entry] = []
    waiting = order.get("parked", [])
    for parked in waiting[:PARKED_AT_ONCE]:
        event = _unparked(account.member_id, parked)
        # a page that the last of them has filled is neither in the account any more nor among the older ones yet
        marks = [*older_marks, *(mark for page in account.filled_marks.values() for mark in page)]
        posting = _post_on_order(account, programs, event, moment, order, marks, second=True)
        entries += posting.entries
    order["parked"] = waiting[PARKED_AT_ONCE:]
    if not order["parked"]:
        del order["parked"]
    return Posting(entries, order)


def _entry(account: Account, event: ActivityEvent, moment: datetime, second: bool = False) -> Entry:
    """An entry without its parts. Personal data is kept apart from the entries (architecture 3.6)."""
    entry_id = f"{event.event_id}~2" if second else event.event_id
    return {
        "entry_id": entry_id,
        "key": entry_id,
        "member_id": account.member_id,
        "seq": account.seq + 1,
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": format_instant(event.occurred_at),
        "posted_at": format_instant(moment),
        "digest": event.digest,
        "data": {} if event.type in _PERSONAL else event.data,
        "parts": {},
    }


def _judging(programs: Programs, account: Account, event: ActivityEvent) -> list[tuple[ProgramAccount, Program, int]]:
    """For every program in force when the event occurred: the member in it, the version, and the event's local day."""
    judging = []
    for program_id in programs.ids:
        day = programs.versions(program_id)[0].day_of(event.occurred_at)
        program = programs.on(program_id, day)
        if program is not None:
            judging.append((account.program(program_id), program, day))
    return judging


def _add(
    entry: Entry, state: ProgramAccount, programs: Programs, program: Program, part: Part, moment: datetime
) -> None:
    """Completes a part by what it does to the tier, under the rules of the moment, and puts it into the entry."""
    current = programs.at(program.id, moment)
    conclude(state, current, part, current.day_of(moment))
    entry["parts"][program.id] = part


def _part(kind: str, program: Program, *reasons: dict[str, Any]) -> Part:
    points = sum(reason["points"] for reason in reasons)
    return {"kind": kind, "points": points, "version": program.version, "reasons": list(reasons)}


def _reason(rule: str, points: int, code: str, ref: str | None = None) -> dict[str, Any]:
    reason: dict[str, Any] = {"rule": rule, "points": points, "code": code}
    if ref is not None:
        reason["ref"] = ref
    return reason


# --- orders


def _post_order(
    account: Account, programs: Programs, event: ActivityEvent, moment: datetime, known: OrderRecord | None
) -> Posting:
    entry = _entry(account, event, moment)
    judging = _judging(programs, account, event)
    if is_held(known):
        for state, program, _ in judging:
            rule = "spend" if program.purchase is None else "purchase"
            reason = _reason(rule, 0, "order_already_posted", event.data["order_id"])
            _add(entry, state, programs, program, _part("denied", program, reason), moment)
        apply_entry(account, entry)
        return Posting([entry])
    order = new_order(event.data, event.event_id)
    for state, program, day in judging:
        expired = day + program.window <= program.day_of(moment)
        part = order_part(state, program, order, event.data["flags"], day, expired)
        _add(entry, state, programs, program, part, moment)
    apply_entry(account, entry)
    if known is not None and known.get("parked"):
        order["parked"] = known["parked"]
    return Posting([entry], order)


def _park(
    account: Account, programs: Programs, event: ActivityEvent, moment: datetime, known: OrderRecord | None
) -> Posting:
    """Keeps an event that names an order which this member does not have, until it arrives (rules 1.7)."""
    entry = _entry(account, event, moment)
    for state, program, _ in _judging(programs, account, event):
        if event.type == "review.posted" and "review" not in program.activities:
            continue
        rule = "review" if event.type == "review.posted" else "spend" if program.purchase is None else "purchase"
        reason = _reason(rule, 0, "order_not_here_yet", event.data["order_id"])
        _add(entry, state, programs, program, _part("parked", program, reason), moment)
    order = known if known is not None else {"order_id": event.data["order_id"]}
    order.setdefault("parked", []).append(
        {
            "event_id": event.event_id,
            "type": event.type,
            "occurred_at": format_instant(event.occurred_at),
            "data": event.data,
            "digest": event.digest,
        }
    )
    apply_entry(account, entry)
    return Posting([entry], order)


def _unparked(member_id: str, parked: dict[str, Any]) -> ActivityEvent:
    return ActivityEvent(
        parked["event_id"],
        parked["type"],
        member_id,
        parse_instant(parked["occurred_at"]),
        parked["data"],
        parked["digest"],
    )


def _post_on_order(
    account: Account,
    programs: Programs,
    event: ActivityEvent,
    moment: datetime,
    order: OrderRecord,
    older_marks: Collection[str],
    second: bool = False,
) -> Posting:
    """A refund, cancellation, fraud flag or review of an order that the ledger holds."""
    entry = _entry(account, event, moment, second)
    if event.type == "review.posted":
        _post_activity(account, programs, event, moment, entry, "review", older_marks, order)
        apply_entry(account, entry)
        return Posting([entry])
    judged = [
        (account.program(program_id), programs.version(program_id, record["version"]), record["day"])
        for program_id, record in order["programs"].items()
    ]
    worth = {program.id: standing_worth(program, order) for _, program, _ in judged}
    standing = remaining_value(order)
    returned, exceeds = undo(order, event.type, event.data)
    took = bool(returned) or remaining_value(order) != standing
    for state, program, day in judged:
        expired = day + program.window <= program.day_of(moment)
        part = clawback_part(state, program, order, worth[program.id], returned, UNDOING[event.type], took, expired)
        if exceeds:
            rule = "spend" if program.purchase is None else "purchase"
            code = "refund_exceeds_order" if event.type == "order.refunded" else "order_already_undone"
            part["reasons"].append(_reason(rule, 0, code, order["order_id"]))
            if not part["points"]:
                part["kind"] = "denied"
        if part["reasons"] or "items" in part or "sellers" in part:
            _add(entry, state, programs, program, part, moment)
    apply_entry(account, entry)
    return Posting([entry], order)


# --- reviews, visits, posts, contributions, promotions


def _post_activity(
    account: Account,
    programs: Programs,
    event: ActivityEvent,
    moment: datetime,
    entry: Entry,
    rule: str,
    older_marks: Collection[str],
    order: OrderRecord | None = None,
) -> None:
    once = _ONCE.get(event.type)
    marks = []
    for state, program, day in _judging(programs, account, event):
        activity = program.activities.get(rule)
        if activity is None:
            continue
        ref = event.data[once[1]] if once else None
        mark = f"{program.id}/{rule}/{ref}"
        if day + program.window <= program.day_of(moment):
            part = _part("denied", program, _reason(rule, 0, "already_expired", ref))
        elif order is not None and not has_item(order, event.data["item_id"]):
            part = _part("denied", program, _reason(rule, 0, "item_not_in_order", ref))
        elif once and (mark in account.marks or mark in older_marks):
            part = _part("denied", program, _reason(rule, 0, once[2], ref))
        else:
            part = _activity_part(state, program, activity, rule, day, ref)
            if once and part["points"]:
                marks.append(mark)
        _add(entry, state, programs, program, part, moment)
    if marks:
        entry["marks"] = marks


def _activity_part(
    state: ProgramAccount, program: Program, activity: Activity, rule: str, day: int, ref: str | None
) -> Part:
    """What one activity earns under its daily and monthly caps; what a cap cuts off is denied."""
    of_month = date.fromordinal(day)
    month = of_month.year * 12 + of_month.month - 1
    points, code = activity.points, None
    if activity.per_day is not None:
        left = max(0, activity.per_day - state.days.get(day, {}).get(rule, 0))
        if left < points:
            points, code = left, "daily_cap"
    if activity.per_month is not None:
        left = max(0, activity.per_month - state.months.get(month, {}).get(rule, 0))
        if left < points:
            points, code = left, "monthly_cap"
    reasons = [_reason(rule, points, "earned", ref)] if points else []
    if code is not None:
        reasons.append(_reason(rule, 0, code, ref))
    part = _part("accrual" if points else "denied", program, *reasons)
    if points:
        part["lots"] = [[day, points]]
        part["expires_on"] = day + program.window
        if activity.per_day is not None:
            part["days"] = [[day, rule, points]]
        if activity.per_month is not None:
            part["months"] = [[month, rule, points]]
    return part


def _post_promotion(account: Account, programs: Programs, event: ActivityEvent, moment: datetime, entry: Entry) -> None:
    for state, program, day in _judging(programs, account, event):
        if program.id != event.data["program"]:
            continue
        ref = event.data["campaign_id"]
        if day + program.window <= program.day_of(moment):
            part = _part("denied", program, _reason("promotion", 0, "already_expired", ref))
        else:
            part = _part("accrual", program, _reason("promotion", event.data["points"], "earned", ref))
            part["lots"] = [[day, part["points"]]]
            part["expires_on"] = day + program.window
        _add(entry, state, programs, program, part, moment)


# --- penalties (rules 1.8)


def _confirm(account: Account, programs: Programs, event: ActivityEvent, moment: datetime, entry: Entry) -> None:
    """A confirmed violation: a negative lot, and maybe a cap of the tier, in the programs that name its kind."""
    case = event.data["case_id"]
    known = account.cases.get(case)
    for state, program, day in _judging(programs, account, event):
        rule = program.penalties.get(event.data["kind"])
        if rule is None:
            continue
        ends = day + rule["days"]
        if known is not None:
            code = "case_overturned" if known == "overturned" else "case_already_confirmed"
            part = _part("denied", program, _reason("penalty", 0, code, case))
        elif ends <= program.day_of(moment):
            part = _part("denied", program, _reason("penalty", 0, "already_expired", case))
        else:
            points = rule["points"] if "points" in rule else max(0, state.points) * rule["percent"] // 100
            part = _part("penalty", program, _reason("penalty", -points, event.data["kind"], case))
            penalty = {"points": -points, "ends": ends}
            if "tier_days" in rule and day + rule["tier_days"] > program.day_of(moment):
                penalty["tier"] = program.tier_index(rule["tier_at_most"])
                penalty["tier_ends"] = day + rule["tier_days"]
            part["penalties"] = [[case, penalty]]
            part["expires_on"] = ends
        _add(entry, state, programs, program, part, moment)
    if known is None:
        entry["case"] = [case, "confirmed"]


def _overturn(account: Account, programs: Programs, event: ActivityEvent, moment: datetime, entry: Entry) -> None:
    """An overturned case: the exact opposite of what is in force of its penalty; parked before it was confirmed."""
    case = event.data["case_id"]
    known = account.cases.get(case)
    for state, program, _ in _judging(programs, account, event):
        penalty = state.penalties.get(case)
        if penalty is not None and known == "confirmed":
            part = _part("reinstatement", program, _reason("penalty", -penalty["points"], "overturned", case))
            part["penalties"] = [[case, None]]
        elif event.data["kind"] not in program.penalties:
            continue
        elif known is None:
            part = _part("parked", program, _reason("penalty", 0, "case_not_confirmed_yet", case))
        else:
            code = "case_already_overturned" if known == "overturned" else "penalty_over"
            part = _part("denied", program, _reason("penalty", 0, code, case))
        _add(entry, state, programs, program, part, moment)
    if known != "overturned":
        entry["case"] = [case, "overturned"]


# --- what people do (rules 1.8, contract 2.1)


def adjustment_key(adjustment_id: str) -> str:
    """The key of an adjustment's entry. Two tildes: with one, it could be that of a parked event's effect."""
    return f"adjustment{2 * SETTLING}{adjustment_id}"


def adjust(
    account: Account,
    programs: Programs,
    adjustment: Adjustment,
    moment: datetime,
    actor: str,
    confirmed_by: str | None = None,
) -> Entry:
    """Posts an adjustment on ``account``, in place: a lot of its own day in one program (rules 1.8).

    ``account`` is settled to ``moment``, the UTC instant of posting. ``actor`` asked for it, ``confirmed_by`` is the
    second operator, where one was needed. Returns the entry, already applied.
    """
    program = programs.at(adjustment.program, moment)
    state, day = account.program(program.id), program.day_of(moment)
    reason = _reason("adjustment", adjustment.points, "adjusted", adjustment.adjustment_id)
    part = _part("adjustment", program, reason)
    part["lots"] = [[day, adjustment.points]]
    part["expires_on"] = day + program.window
    data = {"adjustment_id": adjustment.adjustment_id, "reason": adjustment.reason, "actor": actor}
    if confirmed_by is not None:
        data["confirmed_by"] = confirmed_by
    entry = _entry_by_hand(account, "adjustment", adjustment_key(adjustment.adjustment_id), moment, data)
    entry["digest"] = adjustment.digest
    _add(entry, state, programs, program, part, moment)
    apply_entry(account, entry)
    return entry


def erase(account: Account, moment: datetime, actor: str) -> Entry:
    """Erases the member of ``account``, in place: from here on nothing is posted and nothing falls due.

    What was posted stays and adds up as before. ``moment``: the UTC instant of posting; ``actor`` asked for it.
    Returns the entry, already applied.
    """
    key = f"{ERASURE}{2 * SETTLING}{account.member_id}"
    entry = _entry_by_hand(account, ERASURE, key, moment, {"actor": actor})
    apply_entry(account, entry)
    return entry


def _entry_by_hand(account: Account, kind: str, key: str, moment: datetime, data: dict[str, Any]) -> Entry:
    instant = format_instant(moment)
    return {
        "entry_id": key,
        "key": key,
        "member_id": account.member_id,
        "seq": account.seq + 1,
        "type": kind,
        "occurred_at": instant,
        "posted_at": instant,
        "data": data,
        "parts": {},
    }
