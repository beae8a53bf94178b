"""What follows from the ledger: announcements, the standing, rewards, alerts, and what a sweep leaves behind (I8).

What is committed is announced, and what is not is never announced (architecture 3.2); the rest is worked off the
table's stream or the index of what is due, and each of it happens once.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from club_rules.rewards import decode_rewards, next_due
from club_rules.settling import due_at, settle
from tests.oracle import oracle
from tests.simulation.dynamodb import Change
from tests.simulation.judge_ledger import Member, Seen, body_of, keys_of, watched_by
from tests.simulation.opinion import COUPONS
from tests.simulation.steps import Invocation, Violation

Item = Mapping[str, Any]
Facts = dict[str, Any]

RANKS = {rules.name: [code for code, _ in rules.tiers] for rules in oracle.PROGRAMS}
RETAINED = {"Silver": "5.00", "Gold": "10.00", "Platinum": "15.00"}
INDEX_SETTLES = timedelta(hours=1)
"""An index has caught up by then; what was written later may be missed by a sweep, and is found by the next."""
ALERT_AHEAD = timedelta(minutes=5)


class OutboxJudge:
    """What is announced, and everything that the outbox and the sweeps make of the ledger."""

    def __init__(self, seen: Seen) -> None:
        self.seen = seen
        self.to_announce: dict[str, tuple[str, Facts]] = {}
        self.announced: Counter[str] = Counter()
        self.lost_records = False
        self.given_up: set[str] = set()
        """For when the schedules' invocations were due that became dead letters."""
        self.notes: dict[str, dict[str, Any]] = {}
        self.counters: dict[str, Counter[str]] = {}
        self.rewards: dict[str, Facts] = {}
        self.rewards_changed: dict[str, tuple[int, datetime]] = {}
        self.codes: dict[str, str] = {}
        self.drops: dict[str, Facts] = {}
        self.alerts: set[tuple[str, str]] = set()
        self.runs: dict[str, tuple[int, set[str]]] = {}
        """By run that goes on, the number of the commit that began it, and who was due then."""
        self.fallen: dict[str, Counter[str]] = {}
        """By run that goes on, how many fell from which tier while no other run could have lowered them."""
        self.limits: dict[str, dict[str, int]] = {}
        self.open_runs: set[str] = set()
        """All runs of the demotion sweep that go on."""
        self.watched_at: dict[str, tuple[datetime, bool]] = {}
        """By key of an entry about a list, when it was committed."""

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        """Judges one commit, after the ledger's own judge."""
        counted = False
        for change in changes:
            pk, sk = keys_of(change)
            if change.new is None or change.old == change.new:
                continue
            if pk.startswith("E#") and change.old is None:
                self._of_entry(self.seen.entries[pk[2:]], now)
                if by.function.startswith("DemotionSweep") and "member_id" in self.seen.entries[pk[2:]]:
                    self._falls(self.seen.entries[pk[2:]])
            elif pk.startswith("D#") and change.old is None:
                self._of_decision(body_of(change.new))
            elif pk.startswith("ALERT#") and change.old is None and not sk.startswith("~"):
                self._of_alert(by, pk.partition("#")[2], sk)
            elif pk.startswith("R#"):
                self._of_rewards(pk[2:], change, now)
            elif pk.startswith("SWEEP#") and sk == "-":
                self._of_run(pk.partition("#")[2], change, now)
            elif pk.startswith("S#"):
                self._of_note(pk[2:], change)
                counted = True
            elif pk.startswith("STANDING#"):
                numbers = {name: int(value["N"]) for name, value in change.new.items() if "N" in value}
                self.counters[pk] = Counter({name: n for name, n in numbers.items() if name != "version"})
                counted = True
        if counted:
            self._counted()

    # Announcements

    def _announce(self, name: str, detail_type: str, **facts: Any) -> None:
        self.to_announce[name] = detail_type, facts

    def _of_entry(self, entry: Facts, now: datetime) -> None:
        if "member_id" not in entry:
            posted_at = datetime.fromisoformat(entry["posted_at"])
            could = {name for name, each in self.seen.members.items() if each.opinion.club_tier_at(posted_at) != "A0"}
            facts = {"posted_at": posted_at, "committed": now, "could": could}
            self.drops[entry["key"]] = {**entry["data"], **facts}
            return
        if entry.get("type", "").split(".")[0] in ("wishlist", "cart"):
            self.watched_at[entry["key"]] = now, entry["type"].endswith("item_added")
        for program, part in entry["parts"].items():
            if part["kind"] == "expiry":
                expired = -sum(delta for _, delta in part.get("lots", ()))
                if expired > 0:
                    self._announce(f"{entry['entry_id']}~{program}~expired", "points.expired", program=program)
            before, after = part["tier"]
            if before != after:
                codes = RANKS[program]
                moved = {"program": program, "from": codes[before], "to": codes[after]}
                self._announce(f"{entry['entry_id']}~{program}~tier", "tier.changed", **moved)

    def _of_decision(self, decision: Facts) -> None:
        if decision["decision"] == "approved":
            facts = {"member_id": decision["member_id"], "order_id": decision["order_id"]}
            if "payout" in decision:
                self._announce(decision["decision_id"], "refund.expedited", **facts, payout=decision["payout"])
            else:
                self._announce(decision["decision_id"], "dispute.accelerated", **facts)

    def published(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        """Nothing is announced that was not committed, nor otherwise than it was."""
        name = str(detail["event_id"])
        self.seen.stats["announcements"] += 1
        if detail_type == "points.expiring":
            self._warned(detail)
            return
        known = self.to_announce.get(name)
        if known is None or known[0] != detail_type:
            raise Violation(
                "outbox", f"{detail_type} {name} was announced, and never committed", detail.get("member_id")
            )
        differs = {field: detail.get(field) for field, value in known[1].items() if detail.get(field) != value}
        if differs:
            raise Violation("outbox", f"{detail_type} {name} says {differs}, committed was {known[1]}")
        self.announced[name] += 1

    def _warned(self, detail: Mapping[str, Any]) -> None:
        member = self.seen.members.get(str(detail["member_id"]))
        lot = date.fromisoformat(detail["lot"]).toordinal()
        if member is None or lot not in member.lots[detail["program"]]:
            raise Violation("outbox", f"{detail['event_id']} warns of a lot that never was", detail["member_id"])

    # The standing (rules 1.9)

    def _of_note(self, member_id: str, change: Change) -> None:
        if change.new is None:
            return
        known, note = self.notes.get(member_id, {"of": 0}), body_of(change.new)
        if note["of"] <= known["of"]:
            raise Violation("standing", f"{member_id} is counted as of {note['of']}, after {known['of']}", member_id)
        self.notes[member_id] = note
        member = self.seen.member(member_id)
        held = {program: RANKS[program][tier] for program, tier in member.tiers.get(note["of"], {}).items()}
        erased = bool(note.get("erased"))
        if note["of"] not in member.tiers or (note["tiers"] != held and not erased):
            raise Violation("standing", f"{member_id} is counted as {note}, held {held}", member_id)
        if erased and not member.account.erased:
            raise Violation("standing", f"{member_id} is counted as erased, and is not", member_id)

    def _counted(self) -> None:
        """The sum of the counters' shards is what is noted of the members, after every commit."""
        self.seen.stats["standing"] += 1
        wanted: Counter[str] = Counter()
        for note in self.notes.values():
            wanted["members"] += not note.get("erased")
            wanted.update(f"{program}#{tier}" for program, tier in note["tiers"].items())
        found: Counter[str] = Counter()
        for shard in self.counters.values():
            found.update(shard)
        if {name: n for name, n in found.items() if n} != {name: n for name, n in wanted.items() if n}:
            raise Violation("standing", f"counted are {dict(found)}, noted {dict(wanted)}")

    # Rewards (rules 1.5, 1.6)

    def _of_rewards(self, member_id: str, change: Change, now: datetime) -> None:
        if change.new is None:
            return
        state = body_of(change.new)
        version = int(change.new["version"]["N"])
        before = 0 if change.old is None else int(change.old["version"]["N"])
        if version != before + 1:
            raise Violation("rewards", f"rewards of {member_id}: version {version} follows {before}", member_id)
        known = self.rewards.get(member_id, {}).get("issued", [])
        issued = state.get("issued", [])
        if not state.get("erased") and issued[: len(known)] != known:
            raise Violation("rewards", f"an issued reward of {member_id} has changed", member_id)
        self.rewards[member_id] = state
        self.rewards_changed[member_id] = self.seen.commits, now
        for reward in issued[len(known) :]:
            self._issued(member_id, reward, [each["id"] for each in issued], now)

    def _issued(self, member_id: str, reward: Facts, names: list[str], now: datetime) -> None:
        """Each reward once, not before its day, with codes of its own, and as many as the rules give."""
        self.seen.stats["rewards"] += 1
        name = f"{reward['id']} of {member_id}"
        self._announce(f"{reward['id']}~{member_id}~granted", "reward.granted", member_id=member_id)
        if names.count(reward["id"]) > 1:
            raise Violation("rewards", f"{name} was issued twice", member_id)
        for code in reward["codes"]:
            if self.codes.setdefault(code, name) != name or reward["codes"].count(code) > 1:
                raise Violation("rewards", f"{name} has a code that is {self.codes[code]}'s", member_id)
        if datetime.fromisoformat(reward["at"]) > now + ALERT_AHEAD:
            raise Violation("rewards", f"{name} was issued before its day, {reward['at']}", member_id)
        if reward["kind"] == "tier_coupon":
            self._tier_coupon(self.seen.member(member_id), reward, name)
        elif reward["kind"] == "retention_coupon" and reward.get("value") != RETAINED[reward["tier"]]:
            raise Violation("rewards", f"{name} is worth {reward.get('value')}", member_id)

    def _tier_coupon(self, member: Member, reward: Facts, name: str) -> None:
        tier, first = reward["tier"], date.fromisoformat(reward["from"])
        rank = RANKS["crowns"].index(tier)
        reached = (
            datetime.fromisoformat(entry["posted_at"]).date()
            for entry in self.seen.entries.values()
            if entry.get("member_id") == member.member_id
            and entry["parts"].get("crowns", {"tier": (0, 0)})["tier"][1] >= rank
        )
        day = min(reached, default=None)
        on = None if day is None else _eighth_after(day)
        count, value = COUPONS[tier]
        said = (reward["id"], first, reward["to"], len(reward["codes"]), reward["value"])
        wanted = (f"tier~crowns~{tier}", on, on and on.replace(day=14).isoformat(), count, value)
        if said != wanted:
            raise Violation("rewards", f"{name} is {said}, the rules give {wanted}", member.member_id)

    # Alerts and lists (rules 1.3, 1.4)

    def _of_alert(self, by: Invocation, event_id: str, member_id: str) -> None:
        self.seen.stats["alerts"] += 1
        self._announce(f"{event_id}~{member_id}~alert", "price.alert", member_id=member_id)
        self.alerts.add((event_id, member_id))
        drop = self.drops.get(event_id)
        if drop is None or drop["new_price"] >= drop["old_price"]:
            raise Violation("alerts", f"{member_id} is told of {event_id}, which is no drop", member_id)
        latest = drop["posted_at"] + ALERT_AHEAD
        watched = [
            entry
            for entry in self._about(member_id, drop["item_id"])
            if entry["type"].endswith("item_added") and datetime.fromisoformat(entry["occurred_at"]) <= latest
        ]
        member = self.seen.member(member_id)
        lowest = member.opinion.club_tier_at(drop["posted_at"]) == "A0"
        if not watched or (lowest and member.changed <= self.seen.began.get(by.number, 0)):
            raise Violation("alerts", f"{member_id} is told of {event_id}, which is not for them", member_id)

    def _about(self, member_id: str, item_id: str) -> Iterator[Facts]:
        for entry in watched_by(self.seen.entries, item_id):
            if entry["member_id"] == member_id:
                yield entry

    def _all_alerted(self) -> None:
        """Who had watched an item for a while before its drop, and never stopped, was told; if they could be."""
        for event_id, drop in self.drops.items():
            if drop["new_price"] >= drop["old_price"]:
                continue
            for member_id, member in self.seen.members.items():
                about = list(self._about(member_id, drop["item_id"]))
                if not about or member.account.erased or (event_id, member_id) in self.alerts:
                    continue
                times = [self.watched_at[entry["key"]] for entry in about]
                steady = all(added and at <= drop["committed"] - INDEX_SETTLES for at, added in times)
                in_time = all(datetime.fromisoformat(entry["occurred_at"]) <= drop["posted_at"] for entry in about)
                # both then and by what came late: somewhere in between the alert was worked off
                could = member_id in drop["could"] and member.opinion.club_tier_at(drop["posted_at"]) != "A0"
                if steady and in_time and could:
                    raise Violation("alerts", f"{member_id} was never told of {event_id}", member_id)

    # Sweeps

    def _of_run(self, run_id: str, change: Change, now: datetime) -> None:
        """I8: when a run has finished, nothing is left that was due when it began."""
        if change.new is None:
            return
        run, is_open = body_of(change.new), int(change.new["open_shards"]["N"]) > 0
        was_open = change.old is None or int(change.old["open_shards"]["N"]) > 0
        until = datetime.fromisoformat(run["scheduled_at"])
        if change.old is None:
            self.runs[run_id] = self.seen.commits, self._due(run["sweep"], until, now)
            if run["sweep"] == "DemotionSweep" and is_open and not run["override_limit"] and not run["dry_run"]:
                self.limits[run_id] = {name: int(of["limit"]) for name, of in run.get("limits", {}).items()}
                self.fallen[run_id] = Counter()
            if run["sweep"] == "DemotionSweep" and is_open:
                self.open_runs.add(run_id)
        self._goes_on(run_id, change)
        if "halted" in change.new and "halted" not in (change.old or {}) and not run["dry_run"]:
            self._announce(f"{run_id}~halted", "sweep.halted", sweep=run["sweep"])
        if is_open or not was_open:
            return
        self.fallen.pop(run_id, None)
        self.open_runs.discard(run_id)
        if not run["dry_run"]:
            self._announce(run_id, "sweep.finished", sweep=run["sweep"])
            began, due = self.runs[run_id]
            for member_id in sorted(due):
                self._swept(run_id, run, member_id, began, until, halted="halted" in change.new)

    def _goes_on(self, run_id: str, change: Change) -> None:
        """A run never goes back, and ends once."""
        new, old = change.new or {}, change.old
        if int(new["open_shards"]["N"]) < 0:
            raise Violation("I8", f"run {run_id} has {new['open_shards']} open shards")
        if old is not None and int(new["open_shards"]["N"]) > int(old["open_shards"]["N"]):
            raise Violation("I8", f"run {run_id} was begun again")
        for shard, chunk in (old or {}).get("progress", {"M": {}})["M"].items():
            if int(new["progress"]["M"].get(shard, {"N": "-1"})["N"]) < int(chunk["N"]):
                raise Violation("I8", f"run {run_id} goes back in shard {shard}")

    def _falls(self, entry: Facts) -> None:
        """Contract 2.4: no sweep lowers more members of a tier than its limit, unless it was told to."""
        if len(self.fallen) != 1 or len(self.open_runs) != 1:
            return
        ((run_id, fallen),) = self.fallen.items()
        for program, part in entry["parts"].items():
            before, after = part["tier"]
            place = f"{program}#{RANKS[program][before]}"
            if after < before:
                self.seen.stats["brake"] += 1
                fallen[place] += 1
                if fallen[place] > self.limits[run_id].get(place, fallen[place]):
                    raise Violation("brake", f"run {run_id} lowers {fallen[place]} of {place}: {self.limits[run_id]}")

    def _due(self, sweep: str, until: datetime, now: datetime) -> set[str]:
        """Who has something due, and has had it for so long that the index knows."""
        found = set()
        for member_id, member in self.seen.members.items():
            if sweep == "RewardSweep":
                changed = self.rewards_changed.get(member_id, (0, now))[1]
                due = next_due(decode_rewards(self.rewards.get(member_id, {})), self.seen.programs)
            else:
                changed, due = member.changed_at or now, due_at(member.account, self.seen.programs)
            if due is not None and due <= until and now - changed >= INDEX_SETTLES:
                found.add(member_id)
        return found

    def _swept(self, run_id: str, run: Facts, member_id: str, began: int, until: datetime, *, halted: bool) -> None:
        member = self.seen.member(member_id)
        self.seen.stats["I8 runs"] += 1
        if member.changed_by_others > began:
            return  # a posting that came late may have brought what is due at once
        if run["sweep"] == "RewardSweep":
            if self.rewards_changed[member_id][0] > began and self.rewards[member_id].get("scheduled"):
                return
            due = next_due(decode_rewards(self.rewards.get(member_id, {})), self.seen.programs)
            left = due is not None and due <= until
        else:
            account = member.account.clone()
            expiries_only = run["sweep"] == "ExpirySweep" or halted
            left = bool(settle(account, self.seen.programs, until, expiries_only=expiries_only))
        if left:
            raise Violation("I8", f"run {run_id} has finished, and passed over {member_id}", member_id)

    # The end

    def finished(self, table: Sequence[Item]) -> None:
        """All that was committed has been announced, and everybody told; each run has ended, lists are as they are."""
        for item in table:
            if not item["pk"]["S"].startswith("SWEEP#") or item["sk"]["S"] != "-":
                continue
            # where a schedule's invocation was given up, sending it round again begins another run
            if int(item["open_shards"]["N"]) and body_of(item)["scheduled_at"] not in self.given_up:
                raise Violation("I10", f"run {item['pk']['S']} never ended")
        self._lists(table)
        if self.lost_records:
            self.seen.stats["lost records"] += 1
            return
        for name, (detail_type, _) in self.to_announce.items():
            if not self.announced[name]:
                raise Violation("outbox", f"{detail_type} {name} was committed, and never announced")
        self._all_alerted()

    def _lists(self, table: Sequence[Item]) -> None:
        """I9 for lists: what occurred last counts, in whatever order it came; at one instant the removal."""
        wanted: dict[tuple[str, str], dict[str, tuple[datetime, bool]]] = {}
        for entry in self.seen.entries.values():
            name, _, what = entry.get("type", "").partition(".")
            if name in ("wishlist", "cart") and not self.seen.member(entry["member_id"]).account.erased:
                lists = wanted.setdefault((entry["member_id"], entry["data"]["item_id"]), {})
                latest = datetime.fromisoformat(entry["occurred_at"]), what == "item_removed"
                lists[name] = max(lists.get(name, latest), latest)
        for item in table:
            pk, sk = item["pk"]["S"], item["sk"]["S"]
            if pk.startswith("M#") and sk.startswith("W#"):
                body = body_of(item)
                said = {name: (datetime.fromisoformat(at), not there) for name, (at, there) in body.items()}
                self.seen.stats["lists"] += 1
                if body and said != wanted.get((pk[2:], sk[2:])):
                    raise Violation("I9", f"{pk[2:]} has {sk[2:]} on {said}, and put it on {wanted}", pk[2:])
                if bool(body) and any(not removed for _, removed in said.values()) != ("due_shard" in item):
                    raise Violation("I9", f"{pk[2:]} watches {sk[2:]}: the index does not say so", pk[2:])


def _eighth_after(day: date) -> date:
    """Rules 1.5: the 8th of this month where the tier was reached before it, else of the next."""
    if day.day < 8:
        return day.replace(day=8)
    return (day.replace(day=1) + timedelta(days=31)).replace(day=8)
