"""What `python -m local verify` says of what is no member's: prices that dropped, runs of sweeps, the standing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from club_ledger import items
from club_ledger.alerting import CHUNK as WATCHERS_AT_ONCE
from club_ledger.alerting import _drop
from club_ledger.store import counters_of
from club_ledger.sweeping import DEMOTION_SWEEP, EXPIRY_SWEEP, REWARD_SWEEP, check_of
from club_rules.tallying import FELL, GRANTED, RETAINED, ROSE
from club_rules.times import parse_instant
from local.standing import difference
from local.verify.history import event_of
from local.verify.kinds import (
    ALERT,
    CHUNK,
    ENTRY,
    LOOK,
    REPAIR,
    RESTORE,
    WORKED,
    Club,
    Item,
    Key,
    Problem,
    Shape,
    check_seal,
    check_shape,
    differences,
    key_of,
    name_of,
    number,
    readable,
    shape_of,
)

FACTS = ("occurred_at", "item_id", "old_price", "new_price", "currency")
"""What an alert says of the price that dropped."""

AGAIN = "send the message of this chunk again, see docs/verify.md#what-can-not-be-repaired"

_RUN_FIELDS = {"run_id": str, "sweep": str, "scheduled_at": str, "dry_run": bool, "override_limit": bool}
_RUN_FIELDS |= {"index_shards": int}


class _Group:
    """The items of a group, what is packed into them, and what is wrong with each by itself."""

    def __init__(self, who: str, records: Iterable[Item], club: Club) -> None:
        self.who = who
        self.club = club
        self.items = {key_of(item): item for item in records}
        self.bodies = {key: readable(item) for key, item in self.items.items()}
        self.problems: list[Problem] = []

    def of(self, shape: Shape) -> dict[Key, Any]:
        """The bodies of a kind of items, of those that can be read."""
        found = {key: body for key, body in sorted(self.bodies.items()) if shape_of(key) is shape}
        return {key: body for key, body in found.items() if isinstance(body, shape.body)}

    def say(self, text: str, key: Key | None, advice: str = RESTORE, who: str | None = None) -> None:
        """Names a problem."""
        self.problems.append(Problem(who or self.who, text, key, advice))

    def whose(self, key: Key) -> str:
        """Whom an item is told of as: the member that an alert is for, else the group."""
        return key[1] if shape_of(key) is ALERT else self.who

    def finish(self) -> list[Problem]:
        """All problems, with those of the items by themselves."""
        named = {problem.item for problem in self.problems}
        by_itself: list[Problem] = []
        for key, item in self.items.items():
            found = list(check_shape(self.whose(key), item))
            if not found and key not in named:
                found = list(check_seal(self.whose(key), item, self.club))
            by_itself += found
        return [*self.problems, *by_itself]


# --- a price that dropped


def check_drop(event_id: str, records: Iterable[Item], club: Club) -> list[Problem]:
    """The entry of a price that dropped, its alerts, and the chunks of watchers that are done (rules 1.4)."""
    group = _Group(f"drop {event_id}", records, club)
    entries = group.of(ENTRY)
    alerts, worked = group.of(ALERT), group.of(WORKED)
    if not entries:
        if club.outbox:
            for key in sorted([*alerts, *worked]):
                group.say(
                    f"alert {name_of(key)}: the entry of the price that dropped is missing", key, LOOK, group.whose(key)
                )
        return group.finish()
    ((entry_key, entry),) = entries.items()
    try:
        _drop_itself(group, entry_key, entry)
        facts = _drop(entry)
        dropped = entry["data"]["new_price"] < entry["data"]["old_price"]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        group.say(f"entry {name_of(entry_key)}: its data can't be looked at: {error!r}", entry_key)
        return group.finish()
    for key, body in alerts.items():
        for path, stored, given in differences(body, {name: facts[name] for name in FACTS}):
            group.say(f"alert {name_of(key)}: {path}: stored {stored!r}, the entry gives {given!r}", key, LOOK, key[1])
    if not dropped:
        for key in sorted([*alerts, *worked]):
            group.say(f"alert {name_of(key)}: the price did not drop", key, LOOK, group.whose(key))
    elif club.outbox:
        _told(group, event_id, worked)
    return group.finish()


def _drop_itself(group: _Group, key: Key, entry: dict[str, Any]) -> None:
    name = f"entry {name_of(key)}"
    event = event_of(entry)
    wanted = {
        "entry_id": event.event_id,
        "key": items.member_of(key[0]),
        "event_id": event.event_id,
        "type": event.type,
        "occurred_at": entry["occurred_at"],
        "posted_at": entry["posted_at"],
        "digest": event.digest,
        "data": event.data,
        "parts": {},
    }
    parse_instant(entry["posted_at"])
    if entry["key"] != entry["event_id"]:
        group.say(f"{name}: key: {entry['key']!r} is not its event's id, {entry['event_id']!r}", key)
    for path, stored, given in differences(entry, wanted):
        because = " (of type, occurred_at and data)" if path == "digest" else ""
        group.say(f"{name}: {path}: stored {stored!r}, it should be {given!r}{because}", key)
    if group.items[key].get("digest", {}).get("S") != entry.get("digest"):
        group.say(f"{name}: digest: beside the body it is another than in it", key)


def _told(group: _Group, event_id: str, worked: Mapping[Key, dict[str, Any]]) -> None:
    """Every shard of the watchers has its chunks, one after the other, to one that is not full; who was told has an
    alert."""
    chunks: dict[int, dict[int, dict[str, Any]]] = {}
    of = 0
    for key, done in worked.items():
        shard, chunk = (int(part) for part in key[1].split(items.WORKED)[1:])
        chunks.setdefault(shard, {})[chunk] = done
        of = max(of, done.get("of") or 0)
        for member_id in done.get("told", ()):
            alert = items.alert_key(event_id), str(member_id)
            if alert not in group.items:
                group.say(
                    f"alert {name_of(alert)}: it is missing, though {key[1]} told it", alert, AGAIN, str(member_id)
                )
    if not worked:
        group.say("chunks: nobody has been told yet", None, AGAIN)
    for shard in sorted({*range(of), *chunks}):
        done_of = chunks.get(shard, {})
        last = max(done_of, default=0)
        missing = [chunk for chunk in range(1, last) if chunk not in done_of]
        if last == 0 or done_of[last].get("watchers") == WATCHERS_AT_ONCE:
            missing.append(last + 1)
        for chunk in missing:
            name = f"{items.WORKED}{shard}{items.WORKED}{chunk}"
            group.say(f"chunks: {name} has not been worked off", (items.alert_key(event_id), name), AGAIN)


# --- a run of a sweep


def check_run(run_id: str, records: Iterable[Item], club: Club) -> list[Problem]:
    """A run of a sweep: its own numbers, and what its chunks have reserved (contract 2.4)."""
    group = _Group(f"sweep {run_id}", records, club)
    key = items.sweep_key(run_id), items.SINGLE
    run, noted = group.items.get(key), group.of(CHUNK)
    if run is None:
        for chunk in group.items:
            group.say(f"{chunk[1]}: the run itself is missing", chunk)
        return group.finish()
    if any(True for _ in check_shape(group.who, run)):
        return group.finish()
    try:
        _run_itself(group, key, run)
        _run_numbers(group, key, run)
        _reserved(group, key, run, noted)
        _halted(group, key, run)
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        group.say(f"body, progress, positions, tally or reserved: it can't be looked at: {error!r}", key)
    return group.finish()


def _map(run: Item, name: str) -> dict[str, Any]:
    """A map of a run, with plain values."""
    return {each: int(value["N"]) if "N" in value else value["S"] for each, value in run[name]["M"].items()}


def _run_itself(group: _Group, key: Key, run: Item) -> None:
    body = group.bodies[key]
    for name, kind in _RUN_FIELDS.items():
        if type(body.get(name)) is not kind:
            group.say(f"body: {name}: {body.get(name)!r} is no {kind.__name__}", key)
    for name in body.keys() - _RUN_FIELDS.keys() - {"limits"}:
        group.say(f"body: {name} is no field of a run", key)
    if items.sweep_key(str(body.get("run_id"))) != key[0]:
        group.say(f"body: run_id: {body.get('run_id')!r} belongs elsewhere", key)
    if not str(body.get("run_id")).startswith(f"{body.get('sweep')}#{body.get('scheduled_at')}#"):
        group.say("body: sweep or scheduled_at: the run's id says another", key)
    if body.get("sweep") not in (EXPIRY_SWEEP, DEMOTION_SWEEP, REWARD_SWEEP):
        group.say(f"body: sweep: {body.get('sweep')!r} is none", key)
    progress, positions = _map(run, "progress"), _map(run, "positions")
    for shard, done in progress.items():
        if not 0 <= int(shard) < body["index_shards"] or (done > 0) != (shard in positions):
            group.say(f"progress, or index_shards: {shard}: {done} chunks, at {positions.get(shard)!r}", key)
    for shard, position in positions.items():
        place = json.loads(position)
        of = items.due_key(int(shard), items.REWARD if body["sweep"] == REWARD_SWEEP else items.DUE)
        if shard not in progress or (place is not None and place["due_shard"]["S"] != of):
            group.say(f"positions: {shard}: {position!r} is no place of this shard", key)
    still = sum(json.loads(positions.get(shard, '""')) is not None for shard in progress)
    if number(run, "open_shards") != still:
        group.say(f"open_shards: stored {run['open_shards']}, by the positions {still} are", key)


def _run_numbers(group: _Group, key: Key, run: Item) -> None:
    """The counts fit to each other, and to the sum that went along with them."""
    tally = _map(run, "tally")
    moves = sum(count for name, count in tally.items() if name.split("#")[1] in (FELL, ROSE))
    granted = sum(count for name, count in tally.items() if name.split("#")[1] == GRANTED)
    if number(run, "tier_changes") != moves:
        group.say(f"tier_changes: stored {run['tier_changes']}, the tally gives {moves}", key)
    is_of_rewards = group.bodies[key]["sweep"] == REWARD_SWEEP
    if ("rewards" in run) != is_of_rewards or (number(run, "rewards") or 0) != granted:
        group.say(f"rewards: stored {run.get('rewards')}, the tally gives {granted}", key)
    for name in tally:
        program_id, what, *rest = name.split("#")
        lengths = {"expired": 1, "returned": 1, FELL: 3, ROSE: 3, RETAINED: 3, GRANTED: 1}
        if program_id not in group.club.programs.ids or len(rest) != lengths.get(what, -1):
            group.say(f"tally: {name} is no count of a sweep's", key)
    numbers = {name: number(run, name) or 0 for name in ("members", "entries", "tier_changes", "rewards")}
    numbers |= {f"progress.{shard}": done for shard, done in _map(run, "progress").items()}
    numbers |= {f"tally.{name}": count for name, count in tally.items()}
    if "check" not in run:
        if not group.club.unsealed:
            group.say("check: it is missing", key)
        return
    off = (number(run, "check") or 0) - check_of(numbers)
    if off:
        suspects = [name for name in numbers if off % check_of({name: 1}) == 0] or [*numbers, "check"]
        group.say(f"{', '.join(suspects)}: the counts don't add up to check", key)


def _reserved(group: _Group, key: Key, run: Item, noted: Mapping[Key, dict[str, Any]]) -> None:
    found: Counter[str] = Counter()
    for of_members in noted.values():
        for places in of_members.values():
            found.update(places.keys())
    reserved = _map(run, "reserved")
    for place in sorted(reserved.keys() | found.keys()):
        if reserved.get(place, 0) != found[place]:
            stored = reserved.get(place, 0)
            group.say(f"reserved: {place}: stored {stored}, the chunks (C#) have noted {found[place]}", key)


def _halted(group: _Group, key: Key, run: Item) -> None:
    """What halted the run: a limit of its own, and what would have gone beyond it."""
    if "halted" not in run:
        return
    facts, limits = group.bodies[key] and readable(run, "halted"), group.bodies[key].get("limits", {})
    if not isinstance(facts, dict):
        group.say("halted: it can't be read", key)
        return
    of = limits.get(f"{facts['program']}#{facts['tier']}")
    wanted = {"program", "tier", "members", "limit", "demoted", "would_demote"}
    if of is None or facts.keys() != wanted or {name: facts[name] for name in of} != of:
        group.say(f"halted: program, tier, members or limit: {facts} is beyond no limit of the run", key)
    elif not facts["demoted"] <= facts["limit"] < facts["would_demote"]:
        group.say(f"halted: demoted or would_demote: {facts} is within the limit", key)
    elif facts["demoted"] > _map(run, "reserved").get(f"{facts['program']}#{facts['tier']}", 0):
        group.say("halted: demoted: more than was ever reserved", key)


# --- the standing


def check_standing(records: Iterable[Item], wanted: Counter[str]) -> list[Problem]:
    """The counters of who holds which tier, whose sum has to be ``wanted``: what the accounts give (rules 1.9)."""
    shards = {key_of(item): item for item in records}
    found: list[Problem] = []
    for key, item in sorted(shards.items()):
        found += check_shape("standing", item)
        if not 0 <= int(items.member_of(key[0])) < items.STANDING_SHARDS:
            found.append(Problem("standing", f"key: {key[0]} is no shard of the standing", key))
    if not any("is no N" in problem.text for problem in found):
        for name, missing in sorted(difference(counters_of(shards), wanted).items()):
            what = name.replace("#", " ")
            text = f"{what}: {wanted[name] - missing} counted, the accounts give {wanted[name]}"
            found.append(Problem("standing", text, None, REPAIR))
    return found
