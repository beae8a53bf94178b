"""What a member and an agent see of an account and of its entries (rules 1.12, contract 2.1).

Pure: an account that has been settled to the moment goes in, JSON-able data in the contract's shapes comes out.
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from club_rules.account import Account, Entry, ProgramAccount, receipt_id
from club_rules.messages import Messages
from club_rules.money import format_money
from club_rules.program_check import VIOLATION_KINDS
from club_rules.programs import Program, Programs
from club_rules.rewards import Issued, Rewards, count_valid, is_valid, reward_id
from club_rules.standing import Counts, standing
from club_rules.times import format_instant

CASES_SHOWN = 20
"""So many penalties in force are shown in a program, and so many cases in all."""

REWARDS_SHOWN = 100
"""So many rewards are listed, the newest ones: a member gets some ten in a year."""

EXPIRING_DAYS = 30
"""What expires within so many days is shown as expiring soon; at most one row a day, so the list is bounded."""


def summary(
    account: Account,
    programs: Programs,
    moment: datetime,
    counts: Counts,
    messages: Messages,
    country: str | None = None,
    rewards: Rewards | None = None,
) -> dict[str, Any]:
    """A member in every program. ``account`` has been settled to ``moment``, a UTC instant; ``counts``: of all.

    ``country``: the member's (ISO 3166), where it is known; ``rewards``: what was issued, where anything was.
    """
    views = {}
    for program_id in programs.ids:
        program = programs.at(program_id, moment)
        state = account.program(program_id)
        view = _program_summary(state, programs, program, program.day_of(moment))
        title = program.title(messages.language)
        views[program_id] = {"title": title, **view, "standing": standing(counts, program, state.tier)}
        if rewards is not None:
            views[program_id]["rewards"] = count_valid(rewards, programs, program_id, moment)
        allowance = _import_allowance(state, program, program.day_of(moment), country)
        if allowance is not None:
            views[program_id]["import_allowance"] = allowance
    return {
        "member_id": account.member_id,
        "as_of": format_instant(moment),
        "programs": views,
        "appeals": _appeals(account),
    }


def _program_summary(state: ProgramAccount, programs: Programs, program: Program, today: int) -> dict[str, Any]:
    return {
        "tier": program.codes[state.tier],
        "tier_since": _day(state.since),
        "measure": "spend" if program.measures_spend else "points",
        **amount(program, max(0, state.points)),
        "currency": program.currency,
        "time_zone": program.data["time_zone"],
        "next_tier": _next_tier(state, program),
        "expiring": _expiring(state, programs, program, today),
        "penalties": _penalties(state, program),
        "privileges": [_privilege(privilege, program, state.tier) for privilege in program.privileges],
        "rewards": 0,
    }


def amount(program: Program, value: int) -> dict[str, Any]:
    """A measure as a field: ``points``, or ``spend`` as money. ``value``: points or minor units."""
    return {"spend": format_money(value, program.currency)} if program.measures_spend else {"points": value}


def number(program: Program, value: int) -> int | str:
    """A measure as a value: points, or money as a decimal string."""
    return format_money(value, program.currency) if program.measures_spend else value


def _day(day: int | None) -> str | None:
    return None if day is None else date.fromordinal(day).isoformat()


def _next_tier(state: ProgramAccount, program: Program) -> dict[str, Any] | None:
    """The tier above the held one, and what is missing: counted from the ledger's sum, which may be below 0."""
    if state.tier + 1 == len(program.codes):
        return None
    threshold = program.thresholds[state.tier + 1]
    return {
        "tier": program.codes[state.tier + 1],
        "from": number(program, threshold),
        "missing": number(program, max(0, threshold - state.points)),
        "progress_percent": min(100, max(0, state.points) * 100 // threshold),
    }


def _expiring(state: ProgramAccount, programs: Programs, program: Program, today: int) -> list[dict[str, Any]]:
    by_day: dict[int, int] = {}
    for lot, points in state.lots.items():
        expires_on = programs.expires_on(program.id, lot)
        if points > 0 and expires_on <= today + EXPIRING_DAYS:
            by_day[expires_on] = by_day.get(expires_on, 0) + points
    return [{"on": _day(day), **amount(program, points)} for day, points in sorted(by_day.items())]


def _penalties(state: ProgramAccount, program: Program) -> list[dict[str, Any]]:
    """What confirmed cases take while they are in force (rules 1.8), the first to end first; each may be overturned."""
    rows = []
    for case, penalty in sorted(state.penalties.items(), key=lambda each: (each[1]["ends"], each[0]))[:CASES_SHOWN]:
        row = {"case_id": case, **amount(program, penalty["points"]), "ends_on": _day(penalty["ends"])}
        if "tier" in penalty:
            row |= {"tier_at_most": program.codes[penalty["tier"]], "tier_ends_on": _day(penalty["tier_ends"])}
        rows.append({**row, "appeal": "open"})
    return rows


def _appeals(account: Account) -> list[dict[str, Any]]:
    """Where the member's latest cases stand, latest first: ``open`` while a penalty is in force, ``granted`` where the
    case was overturned, else ``over``."""
    in_force = {case for state in account.programs.values() for case in state.penalties}
    return [
        {"case_id": case, "state": "granted" if known == "overturned" else "open" if case in in_force else "over"}
        for case, known in reversed(list(account.cases.items())[-CASES_SHOWN:])
    ]


def _import_allowance(
    state: ProgramAccount, program: Program, today: int, country: str | None
) -> dict[str, Any] | None:
    """How much of this local month's import allowance is used (rules 1.6): advisory, it limits nothing.

    Used is what the month's days hold, so less what was refunded of it. ``None`` where the program has no allowance
    for the member's country.
    """
    limit = program.data.get("import_allowance", {}).get(country)
    if limit is None:
        return None
    first = date.fromordinal(today).replace(day=1)
    used = sum(points for lot, points in state.lots.items() if first.toordinal() <= lot <= today)
    return {
        "country": country,
        "limit": limit,
        "used": format_money(max(0, used), program.currency),
        "currency": program.currency,
        "month": f"{first:%Y-%m}",
    }


def _privilege(privilege: dict[str, Any], program: Program, tier: int) -> dict[str, Any]:
    """One privilege as granted or locked, with its limits and what unlocks it."""
    by_tier = privilege.get("limits") or privilege.get("percent")
    levels = sorted(map(program.tier_index, by_tier)) if by_tier else [program.tier_index(privilege["from_tier"])]
    enabled = privilege.get("enabled", True)
    granted = enabled and tier >= levels[0]
    view: dict[str, Any] = {"code": privilege["code"], "granted": granted}
    if not enabled:
        view["switched_off"] = True
    elif not granted:
        view["unlocked_by"] = program.codes[levels[0]]
    level = program.codes[max([each for each in levels if each <= tier], default=levels[0])]
    if "limits" in privilege:
        view |= {"limit": privilege["limits"][level], "currency": program.currency}
    elif "percent" in privilege:
        view["percent"] = privilege["percent"][level]
    elif "days" in privilege:
        view["days"] = privilege["days"]
    return view


def privileges(account: Account, programs: Programs, moment: datetime, messages: Messages) -> list[dict[str, Any]]:
    """Every privilege of every program: granted or locked, its limits by tier, what unlocks it, and a text.

    ``account`` has been settled to ``moment``, a UTC instant.
    """
    views = []
    for program_id in programs.ids:
        program = programs.at(program_id, moment)
        state = account.program(program_id)
        for privilege in program.privileges:
            view = {
                "program": program_id,
                "tier": program.codes[state.tier],
                **_privilege(privilege, program, state.tier),
            }
            missing = None
            if "unlocked_by" in view:
                missing = max(0, program.thresholds[program.tier_index(view["unlocked_by"])] - state.points)
                view["missing"] = number(program, missing)
            for levels, name in (("limits", "limit"), ("percent", "percent")):
                if levels in privilege:
                    view["levels"] = [{"tier": tier, name: value} for tier, value in privilege[levels].items()]
            views.append({**view, **messages.privilege(program, view, missing)})
    return views


def reward_view(issued: Issued, member_id: str, programs: Programs) -> dict[str, Any]:
    """An issued reward by itself; its codes are secrets, which are redeemed by whoever has them."""
    view = {
        "reward_id": reward_id(issued, member_id),
        "kind": issued["kind"],
        "program": issued["program"],
        "program_version": issued["version"],
        "valid_from": issued["from"],
        "valid_to": issued["to"],
        "count": len(issued["codes"]),
        "codes": issued["codes"],
    }
    if "tier" in issued:
        view["tier"] = issued["tier"]
    if "value" in issued:
        view |= {"value": issued["value"], "currency": programs.versions(issued["program"])[0].currency}
    return view


def rewards_view(
    rewards: Rewards, member_id: str, programs: Programs, moment: datetime, messages: Messages
) -> list[dict[str, Any]]:
    """What was issued, newest first, at most ``REWARDS_SHOWN``. ``valid``: on the local day of the UTC ``moment``."""
    newest = sorted(rewards.issued, key=lambda issued: (issued["at"], issued["id"]), reverse=True)
    views = []
    for issued in newest[:REWARDS_SHOWN]:
        program = _program_of(issued, programs)
        view = {**reward_view(issued, member_id, programs), "valid": is_valid(issued, programs, moment)}
        views.append({**view, **messages.reward(program, view)})
    return views


def _program_of(issued: Issued, programs: Programs) -> Program:
    """The version that a reward was granted by; the first one where that is no longer in use."""
    versions = programs.versions(issued["program"])
    return next((program for program in versions if program.version == issued["version"]), versions[0])


def outlook_view(program: Program, messages: Messages, found: dict[str, Any]) -> dict[str, Any]:
    """The calendar ahead in the contract's shape. ``found``: as ``club_rules.outlook.outlook`` gives it."""
    keep = found["keep"]
    if keep is not None:
        keep = {**keep_view(program, keep), "text": messages.keep(program, keep)}
    return {
        "today": _outlook_row(program, found["today"]),
        "days": [_outlook_row(program, row) for row in found["days"]],
        "changes": [
            {
                **_outlook_row(program, row),
                "tier_before": row["tier_before"],
                "text": messages.change(program, row),
            }
            for row in found["changes"]
        ],
        "keep": keep,
    }


def keep_view(program: Program, keep: dict[str, Any]) -> dict[str, Any]:
    """What to earn by when for a tier to stay, without a text. ``keep``: as ``club_rules.outlook`` gives it."""
    shown = {name: value for name, value in keep.items() if name != "counts_at_once"}
    return {**shown, "earn": number(program, keep["earn"])}


def _outlook_row(program: Program, row: dict[str, Any]) -> dict[str, Any]:
    return {
        "date": row["date"],
        "tier": row["tier"],
        **amount(program, row["measure"]),
        "expires": number(program, row["expires"]),
    }


def statement_entry(entry: Entry, program: Program, messages: Messages) -> dict[str, Any]:
    """An entry as one program's statement shows it. Raises ``KeyError`` where it has no part there."""
    part = entry["parts"][program.id]
    before, after = part["tier"]
    view = {
        "entry_id": entry["entry_id"],
        "seq": entry["seq"],
        "kind": part["kind"],
        "event_id": entry.get("event_id"),
        "occurred_at": entry["occurred_at"],
        "posted_at": entry["posted_at"],
        "program": program.id,
        "program_version": part["version"],
        **amount(program, part["points"]),
        "balance": number(program, part["balance"]),
        "expires_on": _day(part.get("expires_on")),
        "tier_before": program.codes[before],
        "tier_after": program.codes[after],
        "reasons": [_reason(reason, program, messages) for reason in part["reasons"]],
    }
    if "receipt" in part:
        view["receipt_id"] = receipt_id(entry, program.id)
    if part["kind"] == "adjustment":
        view |= by_whom(entry["data"], messages)
    return view


def by_whom(data: dict[str, Any], messages: Messages) -> dict[str, Any]:
    """Why somebody adjusted, in their own words; who it was is told to support alone."""
    if not messages.support:
        return {"note": data["reason"]}
    return {"note": data["reason"], "actor": data["actor"], "confirmed_by": data.get("confirmed_by")}


def adjustment_view(entry: Entry, programs: Programs) -> dict[str, Any]:
    """A posted adjustment as its operators see it, from its entry alone."""
    ((program_id, part),) = entry["parts"].items()
    program = programs.version(program_id, part["version"])
    return {
        "member_id": entry["member_id"],
        "program": program.id,
        **amount(program, part["points"]),
        "balance": number(program, part["balance"]),
        "tier_before": program.codes[part["tier"][0]],
        "tier": program.codes[part["tier"][1]],
        "expires_on": _day(part["expires_on"]),
        "posted_at": entry["posted_at"],
        "entry_id": entry["entry_id"],
        "reason": entry["data"]["reason"],
        "actor": entry["data"]["actor"],
        "confirmed_by": entry["data"].get("confirmed_by"),
    }


def _reason(reason: dict[str, Any], program: Program, messages: Messages) -> dict[str, Any]:
    code = reason["code"]
    if code in VIOLATION_KINDS and not messages.support:
        code = "penalty"  # what a violation was is told to support
    view = {
        "rule": reason["rule"],
        **amount(program, reason["points"]),
        "code": code,
        "text": messages.reason(program, reason),
    }
    if "ref" in reason:
        view["ref"] = reason["ref"]
    return view
