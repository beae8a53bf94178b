"""Tiers: when they rise, fall and are reviewed, and the receipt of each change (rules 1.6, 1.9).

Every function here looks at one member in one program and completes a *part* of a ledger entry: it adds what the
entry sets (tier, since, period, next review) and the receipt. ``account.apply_entry`` carries it out.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from typing import Any

from club_rules.account import CAUSES, Part, ProgramAccount
from club_rules.programs import Program


def qualified_tier(state: ProgramAccount, program: Program, measure: int) -> int:
    """The tier that ``measure`` gives, under the caps of the penalties in force."""
    return capped_tier(state, program.tier_for(measure))


def capped_tier(state: ProgramAccount, tier: int) -> int:
    """``tier``, or what the penalties in force leave of it."""
    return _capped(tier, state.penalties.values())


def _capped(tier: int, penalties: Iterable[dict[str, Any] | None]) -> int:
    return min([tier, *(int(each["tier"]) for each in penalties if each is not None and "tier" in each)])


def conclude(state: ProgramAccount, program: Program, part: Part, day: int) -> None:
    """Completes ``part`` by what its points do to the tier, at once (rules 1.9: up with the entry that reached it).

    ``state`` is the account before the part; ``day`` the local day of posting. An ``expiry`` lowers nothing here: it
    sets the day on which the tier is reviewed.
    """
    before = state.points
    after = before + part["points"]
    qualified = program.tier_for(after)
    if state.penalties or "penalties" in part:
        penalties = {**state.penalties, **dict(part.get("penalties", ()))}
        qualified = _capped(qualified, penalties.values())
    if qualified > state.tier:
        _change(state, program, part, qualified, day, after)
    elif part["kind"] == "expiry":
        if program.period is None:
            _watch(state, program, part, qualified, day)
    elif qualified < state.tier and _falls_at_once(state, program, part, before):
        _change(state, program, part, qualified, day, after)
    elif program.period is None and qualified == state.tier and state.review_on is not None:
        part.setdefault("set", {})["review_on"] = None
    part["balance"] = after
    part["tier"] = [state.tier, part.get("set", {}).get("tier", state.tier)]


def _falls_at_once(state: ProgramAccount, program: Program, part: Part, before: int) -> bool:
    """Down at once after a clawback, a penalty or an adjustment, but never by what was gained.

    What neither takes points nor caps the tier leaves one that an expiry has left its grace.
    """
    if program.period is None:
        caps = any(penalty and penalty.get("tier", state.tier) < state.tier for _, penalty in part.get("penalties", ()))
        return part["points"] < 0 or caps
    # rules 1.6: in between two reviews only where the measure just before still met the held tier
    return part["points"] < 0 and before >= program.thresholds[state.tier]


def _watch(state: ProgramAccount, program: Program, part: Part, qualified: int, day: int) -> None:
    """After an expiry: a tier that is no longer met is reviewed when the grace is over."""
    if qualified < state.tier and state.review_on is None:
        part.setdefault("set", {})["review_on"] = day + program.grace
    elif qualified == state.tier and state.review_on is not None and state.review_on >= day:
        part.setdefault("set", {})["review_on"] = None


def review(state: ProgramAccount, program: Program, day: int) -> Part:
    """The tier review of ``day``, as on its own day: what was posted as expired for later days still counts.

    Returns the part, which may change nothing (then the entry of it is not worth keeping, unless it retains).
    """
    later = [row for row in state.passed if row[0] > day]
    measure = state.points - sum(row[1] for row in later)
    part: Part = {"kind": "tier_review", "points": 0, "version": program.version, "reasons": []}
    if program.period is None:
        _review_window(state, program, part, day, measure, later)
    else:
        _review_period(state, program, part, day, measure, later)
    part["balance"] = state.points
    part["tier"] = [state.tier, part["set"].get("tier", state.tier)]
    return part


def reassess(state: ProgramAccount, program: Program, day: int) -> Part | None:
    """What a new version of the program does to a tier on its first day: up at once, down as after an expiry.

    Returns the part, or ``None`` where the new thresholds change nothing.
    """
    part: Part = {"kind": "tier_review", "points": 0, "version": program.version, "reasons": []}
    qualified = qualified_tier(state, program, state.points)
    if qualified > state.tier:
        _change(state, program, part, qualified, day, state.points)
        part["reasons"].append({"rule": "tier", "points": 0, "code": "promoted"})
    elif program.period is not None or (qualified < state.tier) == (state.review_on is not None):
        return None  # a period is judged at its end, and a review that is due stays due on its day
    elif qualified == state.tier:
        part["set"] = {"review_on": None}
        part["reasons"].append({"rule": "tier", "points": 0, "code": "kept"})
    elif program.grace == 0:
        return review(state, program, day)
    else:
        part["set"] = {"review_on": day + program.grace}
        part["reasons"].append({"rule": "tier", "points": 0, "code": "rules_changed"})
    part["balance"] = state.points
    part["tier"] = [state.tier, part["set"].get("tier", state.tier)]
    return part


def give_back(state: ProgramAccount, program: Program, tier: int, day: int, reason: dict[str, Any]) -> Part:
    """The part that gives back a ``tier`` above the held one, on the local ``day``, because of ``reason``.

    Where the measure doesn't meet it, the next review comes after the program's ``days_after_undoing``.
    """
    part: Part = {"kind": "tier_review", "points": 0, "version": program.version, "reasons": [reason]}
    _change(state, program, part, tier, day, state.points)
    if qualified_tier(state, program, state.points) < tier:
        part["set"]["review_on"] = day + program.days_after_undoing
    part["balance"] = state.points
    part["tier"] = [state.tier, tier]
    return part


def _review_window(
    state: ProgramAccount, program: Program, part: Part, day: int, measure: int, later: list[list[int]]
) -> None:
    qualified = qualified_tier(state, program, measure)
    tier = state.tier
    if qualified < tier:
        tier = tier - 1 if program.one_down else qualified
        _change(state, program, part, tier, day, measure, [row[2] for row in later])
        part["reasons"].append({"rule": "tier", "points": 0, "code": "demoted"})
    elif qualified > tier:
        tier = qualified
        _change(state, program, part, tier, day, measure, [row[2] for row in later])
        part["reasons"].append({"rule": "tier", "points": 0, "code": "promoted"})
    else:
        part["reasons"].append({"rule": "tier", "points": 0, "code": "kept"})
    part.setdefault("set", {})["review_on"] = _next_window_review(state, program, tier, day, measure, later)


def _next_window_review(
    state: ProgramAccount, program: Program, tier: int, day: int, measure: int, later: list[list[int]]
) -> int | None:
    """The next day on which ``tier`` falls due, over the expiries that were posted ahead."""
    if qualified_tier(state, program, measure) < tier:
        return day + max(1, program.grace)
    for passed_on, points, _ in later:
        measure += points
        if qualified_tier(state, program, measure) < tier:
            return passed_on + program.grace
    return None


def _review_period(
    state: ProgramAccount, program: Program, part: Part, day: int, measure: int, later: list[list[int]]
) -> None:
    """Rules 1.6: retained where the spend still meets the held tier, else reset to what it qualifies for."""
    if measure >= program.thresholds[state.tier]:
        part["set"] = _next_review(program, state.tier, day)
        part["reasons"].append({"rule": "tier", "points": 0, "code": "retained"})
    else:
        _change(state, program, part, program.tier_for(measure), day, measure, [row[2] for row in later])
        part["reasons"].append({"rule": "tier", "points": 0, "code": "reset"})


def _change(
    state: ProgramAccount,
    program: Program,
    part: Part,
    tier: int,
    day: int,
    measure: int,
    without: list[int] | None = None,
) -> None:
    """Writes a tier change into ``part``: what is set, and the receipt."""
    part["set"] = {"tier": tier, "since": day, **_next_review(program, tier, day)}
    if reached := program.coupon_tiers.intersection(program.codes[state.top + 1 : tier + 1]):
        part["reached"] = sorted(reached, key=program.tier_index)  # for the first time ever: see club_rules.rewards
    part["receipt"] = _receipt(state, program, part, tier, day, measure, without or [])


def _next_review(program: Program, tier: int, day: int) -> dict[str, Any]:
    if program.period is None:
        return {"review_on": None}
    if tier == 0:
        return {"period": None, "review_on": None}
    return {"period": day, "review_on": day + program.period}


def _receipt(
    state: ProgramAccount, program: Program, part: Part, tier: int, day: int, measure: int, without: list[int]
) -> dict[str, Any]:
    """The stored explanation of one tier change (rules 1.9): ``before + sum of causes = after``, reconciled.

    The entries it rests on are those with a number above ``since_seq`` up to its own, and ``also``, but for
    ``without``: exact, and of a fixed size however many they are.
    """
    causes = dict(state.causes)
    if part["points"]:
        cause = CAUSES[part["kind"]]
        causes[cause] = causes.get(cause, 0) + part["points"]
    for _, points, seq in state.passed:
        if seq in without:
            causes["expired"] = causes.get("expired", 0) - points
    causes = {cause: points for cause, points in causes.items() if points}
    before = state.measured
    if before + sum(causes.values()) != measure:
        raise ArithmeticError(f"{program.id}: the causes {causes} don't lead from {before} to {measure}")
    receipt: dict[str, Any] = {
        "on": date.fromordinal(day).isoformat(),
        "from": program.codes[state.tier],
        "to": program.codes[tier],
        "before": before,
        "after": measure,
        "causes": causes,
        "threshold": program.thresholds[max(tier, state.tier)],
        "window": [date.fromordinal(day - program.window + 1).isoformat(), date.fromordinal(day).isoformat()],
        "version": program.version,
        "since_seq": state.changed_at,
    }
    if state.also:
        receipt["also"] = list(state.also)
    if without:
        receipt["without"] = without
    if tier < state.tier:
        receipt["way_back"] = max(0, program.thresholds[state.tier] - measure)  # 0: only a cap is in the way
    return receipt
