"""The whole club on the local stack, from the front doors to the summary, against the second implementation.

What the oracle is told is what the ledger says was posted, in that order and at those instants: so it judges any
order of delivery, any repeat and any delay (invariants I1, I3, I5, I8, I9, I10).
"""

from __future__ import annotations

import io
import json
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

import pytest

from club_ledger import items
from club_rules.money import parse_money
from local.functions import LambdaContext
from local.logs import open_log
from local.stack import Outcome, Stack
from local.verify import decoded_entries, verify_all
from tests.integration.harness import PROGRAMS, Event, Item, days, everything, instant, message
from tests.oracle.histories import History, random_history
from tests.oracle.oracle import Oracle

BEGIN = datetime(2019, 3, 1, tzinfo=UTC)
SWEEPS = {"ExpirySweep": time(0, 5), "DemotionSweep": time(0, 35), "RewardSweep": time(0, 50)}


class Run:
    """A stack, what was sent to it, and what the oracle makes of it."""

    def __init__(self, stack: Stack, log: io.StringIO, seed: int = 0) -> None:
        self.stack = stack
        self.log = log
        self.rng = random.Random(seed)
        self.sent: dict[str, Event] = {}
        self.oracle = Oracle()
        self._judged: Counter[str] = Counter()

    # in

    def send(self, events: Iterable[Event]) -> None:
        """Sends events through either door; nothing is worked off yet. The door's answer is looked at."""
        batch = list(events)
        self.sent |= {each["event_id"]: each for each in batch}
        if self.rng.random() < 0.5:
            headers = {"authorization": f"Bearer {self.stack.token('tests', ['club:ingest', 'club:admin'])}"}
            status, _, body = self.stack.request("POST", "/activities", headers=headers, body={"events": batch})
            assert status == 202, body
            assert json.loads(body)["refused"] == []
        else:
            entries = [self._entry(each) for each in batch]
            assert all("EventId" in answer for answer in self.stack.put_events(entries))

    def _entry(self, each: Event) -> Event:
        envelope = json.loads(message(each))
        return {"Source": "marketplace", "DetailType": each["type"], "Detail": json.dumps(envelope["detail"])}

    def post(self, *events: Event) -> Outcome:
        """Sends events, and works them off."""
        self.send(events)
        return self.stack.drain()

    def sweep_until(self, moment: datetime) -> None:
        """The sweeps of every night up to a moment on which something falls due; on the others they find nothing."""
        while (due := min(self._due_days(), default=date.max)) <= moment.date():
            for name, at in SWEEPS.items():
                night = datetime.combine(due, at, UTC)
                if night > moment:
                    return
                self.stack.set_clock(night)
                self.stack.fire(name, night)

    def _due_days(self) -> Iterator[date]:
        for item in self.table():
            if "due_at" in item:
                yield datetime.fromisoformat(item["due_at"]["S"]).date()

    # out

    def table(self) -> list[Item]:
        """Every item of the table."""
        (spec,) = self.stack.template.tables.values()
        return everything(spec.name)

    def members(self) -> list[str]:
        return sorted({each["member_id"] for each in self.sent.values()})

    def summary(self, member_id: str) -> Event:
        """What the member is shown, in the oracle's words."""
        headers = {"authorization": f"Bearer {self.stack.token(member_id, ['club:read'])}"}
        status, _, body = self.stack.request("GET", "/members/me", headers=headers)
        assert status == 200, (body, self.log.getvalue()[-2000:])
        shown = {}
        for name, view in json.loads(body)["programs"].items():
            value: int = parse_money(view["spend"], "USD") if "spend" in view else view["points"]
            shown[name] = {"measure": value, "tier": view["tier"], "tier_since": view["tier_since"]}
        return shown

    def expected(self, member_id: str) -> Event:
        """What the second implementation gives for what was posted."""
        views = self.oracle.at(member_id, self.stack.now)
        return {
            name: {
                "measure": max(0, view["spend"] if name == "vip" else view["points"]),
                "tier": view["tier"],
                "tier_since": view["tier_since"],
            }
            for name, view in views.items()
        }

    # judging

    def assert_whole(self) -> None:
        """Every account is the sum of its entries (I1), and is counted as what it holds."""
        shards = int(self.stack.template.function("post_ledger").environment["DUE_SHARDS"])
        self.stack.work_streams()
        assert verify_all(self.table(), PROGRAMS, shards).problems == []

    def judge(self, *members: str, at: Iterable[datetime] = ()) -> None:
        """Every account is whole, and these members (or all) stand where the rules say: now, and later (I3)."""
        self.assert_whole()
        self._tell_the_oracle(self.table())
        now = self.stack.now
        for moment in (now, *at):
            self.stack.set_clock(moment)
            for member_id in members or self.members():
                assert self.summary(member_id) == self.expected(member_id), (member_id, moment)
        self.stack.set_clock(now)

    def _tell_the_oracle(self, table: list[Item]) -> None:
        """Hands on what was posted since the last time, as the ledger has it."""
        for entry in decoded_entries(table):
            if entry["seq"] <= self._judged[entry["member_id"]]:
                continue
            self._judged[entry["member_id"]] = entry["seq"]
            if entry.get("event_id") == entry["key"]:  # neither a sweep's, nor the effect of a parked event
                self.oracle.post(self.sent[entry["event_id"]], datetime.fromisoformat(entry["posted_at"]))

    def assert_nothing_is_lost(self) -> None:
        """Every event that was sent is one entry (I5, I2), and those that earned did what the rules give (I3)."""
        table = self.table()
        entries = list(decoded_entries(table))
        posted = Counter(entry["event_id"] for entry in entries if entry.get("event_id") == entry["key"])
        assert posted == Counter(self.sent.keys())
        assert self.stack.dead_letters() == []
        did: dict[str, Counter[str]] = {event_id: Counter() for event_id in self.sent}
        for entry in entries:
            if "event_id" in entry:
                for name, part in entry["parts"].items():
                    did[entry["event_id"]][name] += part["points"]
        for event_id in self.sent:
            wanted = {name: found["points"] for name, found in self.oracle.entry(event_id).items() if found}
            assert {name: did[event_id][name] for name in wanted} == wanted, event_id


@pytest.fixture
def start() -> Iterator[Callable[..., Run]]:
    """Starts a stack at an instant; it is closed at the end."""
    running: list[Stack] = []

    def started(now: datetime, seed: int = 0) -> Run:
        log = io.StringIO()
        stack = Stack(now, log=log, parameters={"DueShards": "2"})  # a sweep of few members asks few questions
        running.append(stack)
        return Run(stack, log, seed)

    yield started
    for stack in running:
        stack.close()


def own_ids(history: History, member_id: str) -> History:
    """A member's history, with event ids that nobody else has."""
    return [({**each, "event_id": f"{member_id}.{each['event_id']}"}, at) for each, at in history]


def lives(seed: int, members: int, span: int, events: int) -> History:
    """The histories of some members, as one."""
    rng = random.Random(seed)
    together = []
    for number in range(members):
        member_id = f"m-{number}"
        history = random_history(rng, days=span, events=events, member_id=member_id, start=BEGIN)
        together += own_ids(history, member_id)
    return sorted(together, key=lambda posting: posting[1])


# --- day by day -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("seed", "swept"), [(1, True), (2, True), (3, False)])
def test_random_lives_day_by_day(start: Callable[..., Run], seed: int, swept: bool) -> None:
    """With the sweeps of every night or with none: what members see is what the rules give, at all times."""
    history = lives(seed, members=4, span=500, events=30)
    run = start(history[0][1], seed)
    judged = 0
    for number, (each, at) in enumerate(history):
        if swept:
            run.sweep_until(at)
        run.stack.set_clock(at)
        run.post(each)
        if number % 20 == 0:
            run.judge()
            judged += 1
    last = history[-1][1]
    run.judge(at=[last + days(number) for number in (1, 60, 90, 365, 500)])
    run.assert_nothing_is_lost()
    assert judged == 6


def test_a_slice_of_cdnow_day_by_day(start: Callable[..., Run]) -> None:
    """Five of CDNOW's busier customers, with the sweeps of every night, checked after every day."""
    log = open_log()
    busiest = {member for member, _ in Counter(each.member_id for each in log.activities).most_common(175)[::35]}
    run = start(datetime.combine(log.first_day, time(), UTC))
    worked = 0
    for day, events in log.days():
        mine = [each for each in events if each["member_id"] in busiest]
        if not mine:
            continue
        evening = datetime.combine(day, time(18), UTC)
        run.sweep_until(evening)
        run.stack.set_clock(evening)
        assert run.post(*mine) == Outcome(len(mine), 0)
        run.judge(*{each["member_id"] for each in mine})
        worked += 1
    end = datetime.combine(log.last_day, time(18), UTC)
    run.sweep_until(end + days(400))
    run.judge()
    run.assert_nothing_is_lost()
    assert worked > 25
    assert len(busiest) == 5
    assert_announced(run)
    warned, owed, _ = warnings(run)
    assert len(warned) > 100
    assert owed <= warned, "with a sweep every night nobody is left out"


def assert_announced(run: Run) -> None:
    """Every tier change that is in the ledger is on the bus, once, and nothing else is."""
    changes = {
        f"{entry['entry_id']}~{name}": (part["receipt"]["from"], part["receipt"]["to"])
        for entry in decoded_entries(run.table())
        for name, part in entry["parts"].items()
        if "receipt" in part
    }
    told = [json.loads(entry["Detail"]) for entry in run.stack.published("tier.changed")]
    assert {each["receipt_id"]: (each["from"], each["to"]) for each in told} == changes
    assert len(told) == len(changes) > 10
    finished = [json.loads(entry["Detail"]) for entry in run.stack.published("sweep.finished")]
    assert len({each["event_id"] for each in finished}) == len(finished)
    posted = sum(each["counts"]["entries"] for each in finished)
    own = [entry for entry in decoded_entries(run.table()) if "event_id" not in entry]
    assert 0 < posted <= len(own), "what a posting settles, no sweep counts"


Warned = set[tuple[str, str, str, int]]
"""Whom, in which program, of which day's lot, so many days before."""


def warnings(run: Run) -> tuple[Warned, Warned, Warned]:
    """Who has been warned, each of a lot that was there; who should have been; and who may have been.

    The ledger's entries say what a lot held and when. It should be warned of where it held something as the warning
    fell due and did so until it expired, and may be where it ever did between the two.
    """
    told = [json.loads(entry["Detail"]) for entry in run.stack.published("points.expiring")]
    warned = {(each["member_id"], each["program"], each["lot"], each["days_before"]) for each in told}
    assert len({json.dumps(each, sort_keys=True) for each in told}) == len(warned), "the same on every repeat"
    owed: Warned = set()
    allowed: Warned = set()
    for (member_id, program, lot), changes in lots(run).items():
        expires = lot + PROGRAMS.versions(program)[0].window
        for lead in (30, 7):
            due, gone = (datetime.combine(date.fromordinal(day), time(), UTC) for day in (expires - lead, expires))
            before = sum(points for at, points in changes if at < due)
            held = [before]
            for at, points in changes:
                if due <= at < gone:
                    held.append(held[-1] + points)
            key = (member_id, program, date.fromordinal(lot).isoformat(), lead)
            if before > 0 and due < run.stack.now - days(1):
                allowed.add(key)
                if min(held) > 0:
                    owed.add(key)
    return warned, owed, allowed


def lots(run: Run) -> dict[tuple[str, str, int], list[tuple[datetime, int]]]:
    """By member, program and day: when what was added to the lot, as the entries say."""
    found: dict[tuple[str, str, int], list[tuple[datetime, int]]] = {}
    for entry in decoded_entries(run.table()):
        at = datetime.fromisoformat(entry["posted_at"])
        for program, part in entry["parts"].items():
            for day, points in part.get("lots", ()):
                found.setdefault((entry["member_id"], program, day), []).append((at, points))
    return found


# --- in any order, as often as it likes -----------------------------------------------------------------------


@pytest.mark.parametrize("seed", [11, 12])
def test_shuffled_and_repeated_delivery(start: Callable[..., Run], seed: int) -> None:
    """All at one time, in any order, some of it several times, in any door's batches."""
    history = lives(seed, members=4, span=300, events=30)
    run = start(max(at for _, at in history), seed)
    deliveries = [each for each, _ in history]
    deliveries += run.rng.choices(deliveries, k=len(deliveries) // 2)
    run.rng.shuffle(deliveries)
    while deliveries:
        size = run.rng.choice([1, 3, 10, 40])
        batch, deliveries = deliveries[:size], deliveries[size:]
        # one id twice in one request is refused at the door where the content differs; here it never does
        run.post(*batch)
    run.judge(at=[run.stack.now + days(number) for number in (1, 45, 90, 200, 365)])
    run.assert_nothing_is_lost()


def plain_log(rng: random.Random) -> list[Event]:
    """Orders and what undoes them, of two members, far from every cap: whatever comes first, the end is the same."""
    events: list[Event] = []
    for number in range(24):
        member_id = rng.choice(["m-1", "m-2"])
        at = BEGIN + timedelta(days=rng.randrange(80), hours=rng.randrange(24))
        order_id = f"o-{number}"
        line = {
            "item_id": f"i-{number}",
            "seller_id": f"s-{number}",
            "category": rng.choice(["a", "b", "c"]),
            "unit_price": rng.choice(["1.99", "30.10", "99.90", "450.00"]),
            "quantity": rng.randrange(1, 4),
        }
        base = {"member_id": member_id, "occurred_at": instant(at)}
        data = {"order_id": order_id, "currency": "USD", "lines": [line]}
        events.append({**base, "event_id": f"e-{number}", "type": "order.completed", "data": data})
        undoing: list[tuple[str, Event]] = [
            ("order.refunded", {"amount": "7.35", "currency": "USD"}),
            ("order.refunded", {"lines": [{"item_id": f"i-{number}", "quantity": 1}]}),
            ("order.refunded", {"full": True}),
            ("order.cancelled", {}),
            ("order.flagged_fraudulent", {}),
            ("review.posted", {"item_id": f"i-{number}"}),
        ]
        for extra, (kind, more) in enumerate(rng.sample(undoing, rng.choice([0, 1, 2]))):
            events.append(
                {**base, "event_id": f"u-{number}-{extra}", "type": kind, "data": {"order_id": order_id, **more}}
            )
    return events


def test_any_order_of_delivery_gives_the_same(start: Callable[..., Run]) -> None:
    """I9: the points in every program, and the tiers of `club` and `crowns`."""
    rng = random.Random(5)
    events = plain_log(rng)
    outcomes = []
    for seed in range(3):
        run = start(BEGIN + days(85), seed)
        run.rng.shuffle(events)
        for number in range(0, len(events), 7):
            run.post(*events[number : number + 7])
        views = {member_id: run.summary(member_id) for member_id in run.members()}
        outcomes.append(
            {
                (member_id, name): (view["measure"], None if name == "vip" else view["tier"])
                for member_id, programs in views.items()
                for name, view in programs.items()
            }
        )
        run.stack.close()
    assert outcomes[0] == outcomes[1] == outcomes[2]
    assert all(points > 0 for points, _ in outcomes[0].values())


# --- the data store fails -------------------------------------------------------------------------------------

FAULTS: list[Event] = [
    {"operation": "TransactWriteItems", "kind": "throttle", "rate": 0.6},
    {"operation": "TransactWriteItems", "kind": "conflict", "rate": 0.3},
    {"operation": "TransactWriteItems", "kind": "timeout_after", "rate": 0.6},
    {"operation": "TransactWriteItems", "kind": "timeout_before", "rate": 0.6},
    {"operation": "TransactWriteItems", "kind": "error", "rate": 1.0},
    {"operation": "GetItem", "kind": "timeout_before", "rate": 0.6},
    {"operation": "GetItem", "kind": "throttle", "rate": 1.0},
    {"operation": "Query", "kind": "error", "rate": 0.5},
    {"operation": "UpdateItem", "kind": "timeout_after", "rate": 0.6},
    {"operation": "BatchGetItem", "kind": "throttle", "rate": 0.8},
]


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """What works behind a queue gives up after a moment: a store that fails for long costs no minutes here."""

    def left(context: LambdaContext) -> int:
        return 1_060 if "Post" in context.function_name or "Sweep" in context.function_name else 10_000

    monkeypatch.setattr(LambdaContext, "get_remaining_time_in_millis", left)


def test_faults_come_and_go(start: Callable[..., Run], hurried: None) -> None:
    """While the store fails, what can be posted is; once it works again, everything drains (I10)."""
    history = lives(21, members=4, span=250, events=30)
    run = start(history[0][1], 21)
    faults = [{}, *FAULTS]
    size = len(history) // len(faults) + 1
    for number, fault in enumerate(faults):
        part = history[number * size : (number + 1) * size]
        run.stack.order_fault({**fault, "seed": number} if fault else {})
        for each, at in part:
            run.stack.set_clock(max(at, run.stack.now))
            run.post(each)
        night = datetime.combine(run.stack.now.date() + timedelta(days=1), SWEEPS["DemotionSweep"], UTC)
        run.stack.fire("ExpirySweep", night)
        run.stack.fire("DemotionSweep", night)
        run.stack.fire("RewardSweep", night)
        run.assert_whole()
    assert run.stack.faults_given > 100, "the faults have hit nobody"

    run.stack.order_fault({})
    run.stack.set_clock(max(run.stack.now, history[-1][1]) + days(1))
    for _ in range(3):
        if run.stack.dead_letters():
            run.stack.redrive()
    assert run.stack.dead_letters() == []
    run.judge(at=[run.stack.now + days(number) for number in (30, 90, 365)])
    run.assert_nothing_is_lost()
    assert_everything_is_announced(run)


def assert_everything_is_announced(run: Run) -> None:
    """At least once, and the same on every repeat."""
    receipts = {
        f"{entry['entry_id']}~{name}"
        for entry in decoded_entries(run.table())
        for name, part in entry["parts"].items()
        if "receipt" in part
    }
    told = [json.loads(entry["Detail"]) for entry in run.stack.published("tier.changed")]
    assert {each["receipt_id"] for each in told} == receipts
    assert len({json.dumps(each, sort_keys=True) for each in told}) == len(receipts)
    warned, _, allowed = warnings(run)
    assert warned <= allowed
    assert len(warned) > 5
    assert_rewards_are_announced(run)


def assert_rewards_are_announced(run: Run) -> None:
    """Each that is issued, once, with the codes that hold."""
    issued = {
        f"{each['id']}~{items.member_of(item['pk']['S'])}": each["codes"]
        for item in run.table()
        if item["pk"]["S"].startswith(items.rewards_key(""))
        for each in items.unpack(item["body"]["B"]).get("issued", ())
    }
    told = {json.dumps(json.loads(each["Detail"]), sort_keys=True) for each in run.stack.published("reward.granted")}
    assert len(told) == len(issued) > 10
    assert {each["reward_id"]: each["codes"] for each in map(json.loads, told)} == issued


def test_poison_ends_among_the_dead_letters_with_its_reason(start: Callable[..., Run]) -> None:
    run = start(BEGIN)
    good = {"member_id": "m-1", "occurred_at": instant(BEGIN), "type": "visit.recorded", "data": {}}
    bad = [
        {**good, "event_id": "e-1", "data": {"colour": "red"}},
        {**good, "event_id": "e-2", "member_id": "me"},
        {**good, "event_id": "e-3", "occurred_at": instant(BEGIN + days(1))},
        {**good, "event_id": "e-good", "occurred_at": instant(BEGIN - days(1))},
    ]
    run.post({**good, "event_id": "e-good"})

    run.stack.put_events([run._entry(each) for each in bad])
    outcome = run.stack.drain()

    assert outcome == Outcome(0, 4)
    letters = {letter["message"]["detail"]["event_id"]: letter["reason"] for letter in run.stack.dead_letters()}
    assert letters == {
        "e-1": "unknown_field",
        "e-2": "reserved_id",
        "e-3": "occurred_in_future",
        "e-good": "event_id_reused",
    }
    run.stack.set_clock(BEGIN + days(1))
    run.sent["e-3"] = bad[2]
    assert run.stack.redrive() == Outcome(1, 3), "what was too early is posted when it is sent round again"
    entries = {entry["event_id"]: entry for entry in decoded_entries(run.table())}
    assert entries["e-3"]["posted_at"] == instant(BEGIN + days(1)), "it takes its own time"
    run.judge()


def test_a_stack_that_nobody_wrote_to_answers(start: Callable[..., Run]) -> None:
    """The first request of all reads: no other function has made anything for it."""
    run = start(BEGIN)
    headers = {"authorization": f"Bearer {run.stack.token('m-1', ['club:read'])}"}
    for path, query in (("/members/me", ""), ("/members/m-1/statement", "program=club")):
        status, _, body = run.stack.request("GET", path, query, headers=headers)
        assert (status, json.loads(body)["code"]) == (404, "member_not_found"), run.log.getvalue()


def test_no_personal_data_is_logged(start: Callable[..., Run], hurried: None) -> None:
    run = start(BEGIN)
    registered: dict[str, Any] = {
        "event_id": "e-1",
        "type": "member.registered",
        "member_id": "m-1",
        "occurred_at": instant(BEGIN),
        "data": {"birthday": "1987-06-05", "country": "BY"},
    }
    run.post(registered)
    run.stack.order_fault({"operation": "GetItem", "kind": "timeout_before", "rate": 1.0})
    run.stack.put_events([run._entry({**registered, "event_id": "e-2"})])
    run.stack.put_events([run._entry({**registered, "event_id": "e-3", "data": {"birthday": "1987-06-31"}})])
    run.stack.drain()

    assert "1987" not in run.log.getvalue()
    apart = (items.PROFILE, items.rewards_key("m-1"))  # gifts go by the birthday
    held = [item for item in run.table() if "body" in item and item["sk"]["S"] not in apart]
    held = [item for item in held if item["pk"]["S"] not in apart]
    assert held
    assert not any("1987" in json.dumps(items.unpack(item["body"]["B"])) for item in held)
