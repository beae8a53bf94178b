"""Rewards: which coupons and gifts a member gets, and when, each of them once (rules 1.5, 1.6).

A tier that is reached for the first time ever has its coupons *scheduled*, a retained status has its coupon at once:
both are read off the ledger's entries. Gifts follow from the two days that the profile states. Everything here looks at
one member's ``Rewards``, and whatever is done again, or later, or in another order, ends in the same: what is issued is
called by what it is for (``tier~crowns~Gold``), and no name is issued twice.

What falls due on a day falls due as that day begins in the program's time zone.
"""

from __future__ import annotations

from calendar import isleap
from collections.abc import Callable, Iterator
from datetime import MAXYEAR, date, datetime, timedelta
from typing import Any, NamedTuple

from club_rules.account import Entry, Part
from club_rules.programs import Program, Programs
from club_rules.times import format_instant, parse_instant

TIER_COUPON, RETENTION_COUPON = "tier_coupon", "retention_coupon"
BIRTHDAY_GIFT, ANNIVERSARY_GIFT = "birthday_gift", "anniversary_gift"
GIFTS = (BIRTHDAY_GIFT, ANNIVERSARY_GIFT)

_MOMENT = timedelta(microseconds=1)

Issued = dict[str, Any]
"""An issued reward: ``id``, ``kind``, ``program``, ``version``, maybe ``tier``, ``at`` (the instant at which it fell
due), ``from`` and ``to`` (the first and the last day on which it is valid), maybe ``value``, and its ``codes``."""

TierAt = Callable[[Program, int], int]
"""The tier (its place on the ladder) that a member held as a local day (ordinal) of a program began."""


class Due(NamedTuple):
    """Something that falls due at a UTC instant: on the local day ``on`` (ordinal), by a version of its program."""

    at: datetime
    id: str
    kind: str
    program: Program
    on: int
    tier: str | None = None


class Rewards:
    """What one member was granted, what waits for its day, and the days of the profile that gifts go by."""

    __slots__ = ("birthday", "erased", "issued", "registered_on", "scheduled", "set_at", "through")

    def __init__(self) -> None:
        self.issued: list[Issued] = []
        self.scheduled: list[dict[str, Any]] = []  # id, kind, program, version, on ("2026-11-08"), maybe tier
        self.birthday: date | None = None
        self.set_at: datetime | None = None  # when the birthday was posted
        self.registered_on: date | None = None
        self.through: datetime | None = None  # the gifts that fell due up to this instant have been seen to
        self.erased = False  # the person is gone: nothing is granted any more

    def has(self, name: str) -> bool:
        """Whether the reward of this id is issued."""
        return any(each["id"] == name for each in self.issued)


def encode_rewards(rewards: Rewards) -> dict[str, Any]:
    """The rewards as JSON-able data, without what is empty."""
    if rewards.erased:
        return {"erased": True}
    state = {
        "issued": rewards.issued,
        "scheduled": rewards.scheduled,
        "birthday": rewards.birthday and rewards.birthday.isoformat(),
        "set_at": rewards.set_at and format_instant(rewards.set_at),
        "registered_on": rewards.registered_on and rewards.registered_on.isoformat(),
        "through": rewards.through and format_instant(rewards.through),
    }
    return {name: value for name, value in state.items() if value}


def decode_rewards(state: dict[str, Any]) -> Rewards:
    """The rewards of ``encode_rewards``'s answer, which is not kept."""
    rewards = Rewards()
    rewards.issued = list(state.get("issued", ()))
    rewards.scheduled = list(state.get("scheduled", ()))
    rewards.birthday = date.fromisoformat(state["birthday"]) if "birthday" in state else None
    rewards.set_at = parse_instant(state["set_at"]) if "set_at" in state else None
    rewards.registered_on = date.fromisoformat(state["registered_on"]) if "registered_on" in state else None
    rewards.through = parse_instant(state["through"]) if "through" in state else None
    rewards.erased = bool(state.get("erased"))
    return rewards


# --- what an entry brings


def gives(entry: Entry) -> bool:
    """Whether an entry may give its member a coupon: most don't."""
    return any("reached" in part or _retains(part) for part in entry["parts"].values())


def rewards_of_entry(programs: Programs, entry: Entry) -> Iterator[Due]:
    """What a ledger entry gives its member: coupons of tiers reached for the first time, or of a retained status.

    The version in force at the posting says which (a coupon is for reaching the tier, not for what was bought).
    """
    posted_at = parse_instant(entry["posted_at"])
    for program_id, part in entry["parts"].items():
        if "reached" not in part and not _retains(part):
            continue
        program = programs.at(program_id, posted_at)
        day = program.day_of(posted_at)
        if "reached" in part:
            coupons = program.rewards.get("tier_coupons", {})
            for tier in part["reached"]:
                if tier in coupons.get("coupons", ()):
                    on = issue_day(date.fromordinal(day), coupons["issue_day"]).toordinal()
                    yield Due(program.start_of(on), f"tier~{program_id}~{tier}", TIER_COUPON, program, on, tier)
        else:
            tier = program.codes[part["tier"][1]]
            if tier in program.rewards.get("retention_coupons", ()):
                name = f"retention~{program_id}~{date.fromordinal(day).isoformat()}"
                yield Due(posted_at, name, RETENTION_COUPON, program, day, tier)


def _retains(part: Part) -> bool:
    return part["kind"] == "tier_review" and any(reason["code"] == "retained" for reason in part["reasons"])


def issue_day(reached: date, day: int) -> date:
    """The day on which the coupons of a tier ``reached`` on a day are issued: the next ``day`` of a month after it."""
    if reached.day < day:
        return reached.replace(day=day)
    first = reached.replace(day=1) + timedelta(days=31)
    return first.replace(day=day)


def take_entry(rewards: Rewards, programs: Programs, entry: Entry, new_code: Callable[[], str]) -> bool:
    """Schedules or issues, in place, what ``entry`` gives; returns whether anything of it is new.

    ``new_code`` makes the code of one coupon.
    """
    if rewards.erased:
        return False
    known = {each["id"] for each in (*rewards.issued, *rewards.scheduled)}
    new = [due for due in rewards_of_entry(programs, entry) if due.id not in known]
    for due in new:
        if due.kind == RETENTION_COUPON:
            rewards.issued.append(_issue(due, new_code))
        else:
            rewards.scheduled.append(_schedule(due))
    return bool(new)


def _schedule(due: Due) -> dict[str, Any]:
    found = {
        "id": due.id,
        "kind": due.kind,
        "program": due.program.id,
        "version": due.program.version,
        "on": date.fromordinal(due.on).isoformat(),
    }
    return found if due.tier is None else {**found, "tier": due.tier}


def _scheduled(programs: Programs, scheduled: dict[str, Any]) -> Due:
    program = programs.version(scheduled["program"], scheduled["version"])
    on = date.fromisoformat(scheduled["on"]).toordinal()
    return Due(program.start_of(on), scheduled["id"], scheduled["kind"], program, on, scheduled.get("tier"))


# --- gifts


def gift_day(of: date, year: int) -> date:
    """The day in ``year`` on which a birthday or anniversary falls; 29 February falls on the 28th in other years."""
    if (of.month, of.day) == (2, 29) and not isleap(year):
        return date(year, 2, 28)
    return of.replace(year=year)


def _gifts(rewards: Rewards, programs: Programs, program_id: str, first: int, last: int) -> Iterator[Due]:
    """The gifts of a program whose days lie in the years from ``first`` to ``last``, whoever has the tier for them."""
    start_of = programs.versions(program_id)[0].start_of
    for kind, name, of in (
        (BIRTHDAY_GIFT, "birthday", rewards.birthday),
        (ANNIVERSARY_GIFT, "anniversary", rewards.registered_on),
    ):
        if of is None:
            continue
        for year in range(max(first, of.year + 1), min(last, MAXYEAR - 1) + 1):
            on = gift_day(of, year).toordinal()
            program = programs.on(program_id, on)
            if program is None or kind not in program.rewards:
                continue
            if kind == BIRTHDAY_GIFT and not _set_in_time(rewards, program, on):
                continue
            yield Due(start_of(on), f"{name}~{program_id}~{year}", kind, program, on)


def _set_in_time(rewards: Rewards, program: Program, on: int) -> bool:
    """Whether the birthday had been set early enough, by the local day of its posting."""
    if rewards.set_at is None:
        return False
    days_before: int = program.rewards[BIRTHDAY_GIFT].get("set_days_before", 0)
    return on - program.day_of(rewards.set_at) >= days_before


def _gifts_between(
    rewards: Rewards, programs: Programs, program_id: str, after: datetime, until: datetime
) -> list[Due]:
    """The gifts of a program that fall due after one instant and up to another."""
    found = _gifts(rewards, programs, program_id, after.year - 1, until.year + 1)
    return [due for due in found if after < due.at <= until]


def change_profile(rewards: Rewards, programs: Programs, profile: dict[str, Any], moment: datetime) -> bool:
    """Takes over, in place, the days that ``profile`` states since the UTC instant ``moment``; says if any is new.

    ``profile``: maybe ``birthday`` with ``birthday_set_at``, and ``registered_on``. What fell due by the days known
    before, and no sweep has issued yet, is kept as scheduled, so that a late sweep issues what a punctual one would
    have. The new days count from the local day of ``moment`` on.
    """
    birthday = date.fromisoformat(profile["birthday"]) if "birthday" in profile else None
    registered_on = date.fromisoformat(profile["registered_on"]) if "registered_on" in profile else None
    set_at = parse_instant(profile["birthday_set_at"]) if "birthday_set_at" in profile else None
    known = (rewards.birthday, rewards.set_at, rewards.registered_on)
    if rewards.erased or (birthday, set_at, registered_on) == known:
        return False
    through = moment if rewards.through is None else max(moment, rewards.through)
    if rewards.through is not None:
        for program_id in programs.ids:
            _keep(rewards, _gifts_between(rewards, programs, program_id, rewards.through, through))
    rewards.birthday, rewards.set_at, rewards.registered_on = birthday, set_at, registered_on
    for program_id in programs.ids:
        program = programs.versions(program_id)[0]
        today = program.start_of(program.day_of(moment))
        _keep(rewards, _gifts_between(rewards, programs, program_id, today - _MOMENT, through))
    rewards.through = through
    return True


def _keep(rewards: Rewards, gifts: list[Due]) -> None:
    """Schedules ``gifts``. One of two in a year may come to nothing, for want of a tier, and leave it to the other."""
    for due in gifts:
        scheduled = _schedule(due)
        if not rewards.has(due.id) and scheduled not in rewards.scheduled:
            rewards.scheduled.append(scheduled)


# --- what is due


def _due(rewards: Rewards, programs: Programs, until: datetime) -> list[Due]:
    """What falls due up to the UTC instant ``until``, the earliest first; a name may stand twice."""
    found = {due for due in (_scheduled(programs, each) for each in rewards.scheduled) if due.at <= until}
    if rewards.through is not None:
        for program_id in programs.ids:
            found.update(_gifts_between(rewards, programs, program_id, rewards.through, until))
    return sorted(found, key=lambda due: (due.at, due.id))


def issue_due(
    rewards: Rewards, programs: Programs, until: datetime, tier_at: TierAt, new_code: Callable[[], str]
) -> list[Issued]:
    """Issues, in place, what has fallen due up to the UTC instant ``until``; returns what was issued.

    A gift goes only to who held the tier for it as its day began; ``tier_at`` is asked for gifts alone. ``new_code``
    makes the code of one coupon.
    """
    if rewards.erased:
        return []
    issued: list[Issued] = []
    for due in _due(rewards, programs, until):
        if not rewards.has(due.id) and _has_tier(due, tier_at):
            issued.append(_issue(due, new_code))
            rewards.issued.append(issued[-1])
    rewards.scheduled = [each for each in rewards.scheduled if _scheduled(programs, each).at > until]
    if rewards.through is not None:
        rewards.through = max(rewards.through, until)
    return issued


def _has_tier(due: Due, tier_at: TierAt) -> bool:
    if due.kind not in GIFTS:
        return True
    return tier_at(due.program, due.on) >= due.program.tier_index(due.program.rewards[due.kind]["from_tier"])


def next_due(rewards: Rewards, programs: Programs) -> datetime | None:
    """The UTC instant at which the next thing falls due, which may have passed; ``None`` where nothing ever will."""
    if rewards.erased:
        return None
    instants = [_scheduled(programs, each).at for each in rewards.scheduled]
    through = rewards.through
    if through is not None:
        for program_id in programs.ids:
            latest = date.fromordinal(programs.versions(program_id)[-1].effective_from).year
            last = max(through.year, latest) + 3  # a birthday has to be set up to a year before
            gifts = _gifts(rewards, programs, program_id, through.year - 1, last)
            instants += [due.at for due in gifts if due.at > through and not rewards.has(due.id)]
    return min(instants, default=None)


# --- a reward by itself


def _issue(due: Due, new_code: Callable[[], str]) -> Issued:
    """The record of one reward: by itself it says what it is and how long it is valid."""
    rewards = due.program.rewards
    first = date.fromordinal(due.on)
    value: str | None
    if due.kind == TIER_COUPON:
        coupon = rewards["tier_coupons"]["coupons"][due.tier]
        count, value = coupon["count"], coupon["value"]
        last = first.replace(day=rewards["tier_coupons"]["valid_through_day"])
    elif due.kind == RETENTION_COUPON:
        count, value = 1, rewards["retention_coupons"][due.tier]
        last = first + timedelta(days=rewards["retention_valid_days"] - 1)
    else:
        gift = rewards[due.kind]
        count, value = gift["gift"].get("count", 1), gift["gift"].get("value")
        last = first + timedelta(days=gift["valid_days"] - 1)
    found: Issued = {
        "id": due.id,
        "kind": due.kind,
        "program": due.program.id,
        "version": due.program.version,
        "at": format_instant(due.at),
        "from": first.isoformat(),
        "to": last.isoformat(),
        "codes": [new_code() for _ in range(count)],
    }
    if value is not None:
        found["value"] = value
    if due.tier is not None:
        found["tier"] = due.tier
    return found


def reward_id(issued: Issued, member_id: str) -> str:
    """What a reward is called among those of all members."""
    return f"{issued['id']}~{member_id}"


def is_valid(issued: Issued, programs: Programs, moment: datetime) -> bool:
    """Whether a reward is valid at a UTC instant, by the local day of its program."""
    today = date.fromordinal(programs.versions(issued["program"])[0].day_of(moment)).isoformat()
    return bool(issued["from"] <= today <= issued["to"])


def count_valid(rewards: Rewards, programs: Programs, program_id: str, moment: datetime) -> int:
    """How many of a program's rewards are valid at a UTC instant."""
    of_program = (each for each in rewards.issued if each["program"] == program_id)
    return sum(is_valid(each, programs, moment) for each in of_program)
