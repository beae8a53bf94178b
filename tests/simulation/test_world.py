"""The world itself: the same again from one seed, and every fault does what it says."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError

from tests.simulation import campaign, faults, sizes
from tests.simulation.dynamodb import Change
from tests.simulation.scheduler import Killed, Scheduler, Task
from tests.simulation.steps import Advance, Answer, ApiRequest, BusEvents, Invocation, Step, Sweep, Violation
from tests.simulation.world import Result, World, deployment

ROOT = Path(__file__).resolve().parents[2]
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
TABLE = "buyers-club-local-Ledger"

Call = tuple[Invocation, str, Mapping[str, Any]]


class Seen:
    """An observer that keeps what it is told."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.commits: list[tuple[Invocation, Sequence[Change], datetime]] = []
        self.taken: list[tuple[Mapping[str, Any], datetime]] = []
        self.answers: list[tuple[Invocation, Answer | None]] = []
        self.announced: list[str] = []
        self.letters: list[tuple[str, Mapping[str, Any], str]] = []
        self.again: list[str] = []
        self.table: Sequence[Mapping[str, Any]] = []
        self.left: Sequence[Mapping[str, Any]] = []

    def called(self, by: Invocation, operation: str, params: Mapping[str, Any]) -> None:
        self.calls.append((by, operation, params))

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        self.commits.append((by, changes, now))

    def accepted(self, entry: Mapping[str, Any], sent_at: datetime) -> None:
        self.taken.append((entry, sent_at))

    def answered(self, by: Invocation, request: ApiRequest, answer: Answer | None, now: datetime) -> None:
        self.answers.append((by, answer))

    def published(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        self.announced.append(detail_type)

    def dead(self, queue: str, message: Mapping[str, Any], reason: str) -> None:
        self.letters.append((queue, message, reason))

    def redriven(self, queue: str, message: Mapping[str, Any]) -> None:
        self.again.append(queue)

    def finished(self, table: Sequence[Mapping[str, Any]], dead_letters: Sequence[Mapping[str, Any]]) -> None:
        self.table, self.left = table, dead_letters


class Told:
    """A workload of the steps that it was made with."""

    start = START

    def __init__(self, *steps: Step) -> None:
        self._steps = steps

    def steps(self) -> Iterator[Step]:
        yield from self._steps

    def afterwards(self) -> Iterator[Step]:
        yield from ()


def visit(number: int, member: str = "m-1") -> dict[str, Any]:
    """What a visit says."""
    return {
        "event_id": f"e-{number}",
        "member_id": member,
        "occurred_at": "2026-03-01T11:00:00Z",
    }


def entry_of(detail: Mapping[str, Any], detail_type: str = "visit.recorded") -> Mapping[str, Any]:
    return {"Source": "marketplace", "DetailType": detail_type, "Detail": detail}


def event(detail_type: str, detail: Mapping[str, Any]) -> BusEvents:
    return BusEvents([entry_of(detail, detail_type)])


def visits(count: int, members: int = 1) -> list[Step]:
    return [event("visit.recorded", visit(number, f"m-{number % members}")) for number in range(count)]


def live(*steps: Step, **rates: float) -> tuple[Seen, Result]:
    """What came of some steps under certain faults and no others."""
    seen = Seen()
    result = World(1, Told(*steps), seen, rates=rates).run()
    assert result.failure is None, result.failure
    return seen, result


def entries(seen: Seen) -> list[str]:
    return sorted(item["pk"]["S"] for item in seen.table if item["pk"]["S"].startswith("E#"))


class Script(faults.Faults):
    """Faults that come as they are named, each once, instead of by chance; ``skip`` so many calls before."""

    def __init__(self, *kinds: str, skip: int = 0) -> None:
        super().__init__(random.Random(1), lambda: 0.0, {})
        self.left = list(kinds)
        self.skip = skip

    def hit(self, kind: str, function: str, rate: float | None = None) -> bool:
        if kind not in self.left:
            return False
        self.left.remove(kind)
        self.hits[kind, function] += 1
        return True

    def of_call(self, operation: str, function: str) -> str | None:
        if self.skip:
            self.skip -= 1
            return None
        kind = next((kind for kind in self.left if kind in faults.kinds_of(operation)), None)
        return kind if kind is not None and self.hit(kind, function) else None


def scripted(script: faults.Faults, *steps: Step, tracing: bool = False, seed: int = 1) -> tuple[Seen, Result]:
    """What came of some steps with the faults of a script."""
    seen = Seen()
    world = World(seed, Told(*steps), seen, rates={}, tracing=tracing)
    world.faults = script
    result = world.run()
    assert result.failure is None, result.failure
    return seen, result


class Bench:
    """A world with nothing in it but what a test's own functions ask of AWS."""

    def __init__(self, *kinds: str, seed: int = 1) -> None:
        self.seen = Seen()
        self.world = World(seed, Told(), self.seen, rates={})
        self.world.faults = Script(*kinds)
        self.outcomes: list[Any] = []
        self.ended: list[float] = []

    def do(self, work: Callable[[], Any], after_s: float = 0.0, function: str = "PostLedgerFunction") -> None:
        """Has ``work`` done by an invocation; ``outcomes`` has what it gives, or what it raises or dies of."""

        def ended(answer: Any, error: BaseException | None) -> None:
            self.outcomes.append(answer if error is None else error)
            self.ended.append(self.world.scheduler.now - START.timestamp())

        def begin() -> None:
            about = Invocation(len(self.outcomes) + 1, function, None)
            task = Task(self.world.scheduler, about, self.world.scheduler.now + 60, work, ended)
            task.environment = self.world.template.function(function).environment
            task.resume()

        self.world.scheduler.after(after_s, begin)

    def run(self) -> Any:
        """Lets it all happen; gives the last outcome."""
        with self.world.installed():
            while len(self.world.scheduler):
                self.world.scheduler.step()
        return self.outcomes[-1]

    def items(self) -> dict[str, Any]:
        """What the table has, by partition key: the attribute n."""
        return {item["pk"]["S"]: item.get("n", {}).get("N") for item in self.world.model.items(TABLE)}


def table_call(operation: str, **params: Any) -> Any:
    from club_ledger.items import AccountItem

    return AccountItem._get_connection().connection.client._make_api_call(operation, params)


def sqs_call(operation: str, **params: Any) -> Any:
    from club_ledger import environment

    return getattr(environment.client("sqs"), operation)(**params)


KEY = {"pk": {"S": "M#x"}, "sk": {"S": "-"}}


def put(n: int = 1, condition: str | None = None) -> Any:
    more = {} if condition is None else {"ConditionExpression": condition}
    return table_call("PutItem", TableName=TABLE, Item={**KEY, "n": {"N": str(n)}}, **more)


def add() -> Any:
    return table_call(
        "UpdateItem",
        TableName=TABLE,
        Key=KEY,
        UpdateExpression="ADD n :one",
        ExpressionAttributeValues={":one": {"N": "1"}},
    )


def transact(n: int = 1) -> Any:
    item = {**KEY, "n": {"N": str(n)}}
    condition = "attribute_not_exists(pk)"
    return table_call(
        "TransactWriteItems",
        TransactItems=[{"Put": {"TableName": TABLE, "Item": item, "ConditionExpression": condition}}],
    )


def get(consistent: bool = True) -> Any:
    return table_call("GetItem", TableName=TABLE, Key=KEY, ConsistentRead=consistent)


# --- the same again from a seed ------------------------------------------------------------------------------------

AGAIN = """
import sys
from tests.simulation.campaign import run_seed
for seed in map(int, sys.argv[1:]):
    print(seed, run_seed(seed, tracing=True).digest)
"""


def elsewhere(hash_seed: str, *seeds: int) -> dict[int, str]:
    """The digests of seeds as a process of their own finds them."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    asked = [sys.executable, "-c", AGAIN, *map(str, seeds)]
    told = subprocess.run(asked, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout
    return {int(seed): digest for seed, digest in map(str.split, told.splitlines())}


def test_a_seed_is_the_same_to_the_last_byte_whatever_the_process_did_before_and_however_it_hashes() -> None:
    seeds = (11, 12, 13)
    here = {seed: campaign.run_seed(seed, tracing=True).digest for seed in seeds}
    assert len(set(here.values())) == len(seeds)
    assert elsewhere("1", *reversed(seeds)) == here
    assert elsewhere("4711", 12) == {12: here[12]}


def test_a_trace_changes_nothing() -> None:
    with_trace, without = campaign.run_seed(14, tracing=True), campaign.run_seed(14)
    assert with_trace.trace
    assert not without.trace
    same = ("deliveries", "invocations", "steps", "simulated_days", "hits")
    assert [getattr(with_trace, name) for name in same] == [getattr(without, name) for name in same]


def test_seeds_draw_different_mixes_and_some_none_at_all() -> None:
    drawn = [faults.draw(random.Random(seed)) for seed in range(300)]
    assert {kind for rates in drawn for kind in rates} == set(faults.RATES)
    assert any(not rates for rates in drawn)
    assert len({frozenset(rates) for rates in drawn}) > 250


# --- time and tasks --------------------------------------------------------------------------------------------------


def run_out(scheduler: Scheduler) -> None:
    while len(scheduler):
        scheduler.step()


def test_tasks_take_turns_by_what_they_wait_for() -> None:
    scheduler, said = Scheduler(0.0), []

    def work(name: str, pause: float) -> Callable[[], None]:
        def waits() -> None:
            for _ in range(2):
                scheduler.wait(pause)
                said.append((name, scheduler.now))

        return waits

    for name, pause in (("slow", 2.0), ("quick", 0.9)):
        scheduler.after(0, Task(scheduler, name, 99.0, work(name, pause), lambda *_: None).resume)
    run_out(scheduler)
    assert said == [("quick", 0.9), ("quick", 1.8), ("slow", 2.0), ("slow", 4.0)]


def test_a_task_dies_at_its_deadline_and_asks_for_nothing_more() -> None:
    scheduler, said, ends = Scheduler(0.0), [], []

    def work() -> None:
        try:
            scheduler.wait(10)
        except Exception:  # noqa: BLE001 - as careless as a handler may be
            said.append("handled")
        finally:
            try:
                scheduler.wait(1)
            except Exception:  # noqa: BLE001
                said.append("handled again")

    scheduler.after(0, Task(scheduler, "it", 3.0, work, lambda _, error: ends.append((scheduler.now, error))).resume)
    run_out(scheduler)
    assert said == []
    assert len(ends) == 1
    assert ends[0][0] == 3.0
    assert isinstance(ends[0][1], Killed)


def test_a_function_that_outlives_its_death_is_a_failure_of_the_simulation() -> None:
    scheduler = Scheduler(0.0)

    def work() -> str:
        try:
            scheduler.wait(10)
        except BaseException:  # noqa: BLE001 - no handler may
            return "alive"
        return "in time"

    scheduler.after(0, Task(scheduler, "it", 3.0, work, lambda *_: None).resume)
    with pytest.raises(AssertionError, match="outlived"):
        run_out(scheduler)


def test_functions_have_a_time_and_a_chance_of_their_own_and_nobody_elses_variables() -> None:
    import secrets
    import time
    import uuid

    def look() -> Any:
        time.sleep(7)
        with pytest.raises(KeyError):
            os.environ["SWEEP_QUEUE_URL"]
        return time.monotonic(), uuid.uuid4(), secrets.token_hex(8), random.random(), os.environ["DUE_SHARDS"]

    found = []
    for _ in range(2):
        bench = Bench()
        bench.do(look)
        found.append(bench.run())
    assert found[0] == found[1]
    assert found[0][0] == START.timestamp() + 7
    assert uuid.uuid4() != uuid.uuid4() != found[0][1]
    assert "DUE_SHARDS" not in os.environ


# --- a call and its faults -------------------------------------------------------------------------------------------


def test_without_a_fault_a_call_does_what_it_does() -> None:
    bench = Bench()
    bench.do(lambda: (put(5), get())[1]["Item"]["n"])
    assert bench.run() == {"N": "5"}
    assert [operation for _, operation, _ in bench.seen.calls] == ["PutItem", "GetItem"]


@pytest.mark.parametrize(
    ("kind", "code", "attempts"),
    [
        ("throttle", "ProvisionedThroughputExceededException", 3),
        ("error", "InternalServerError", 3),
        ("conflict", "TransactionConflictException", 1),
    ],
)
def test_an_error_is_tried_again_by_botocores_rules_and_then_raised(kind: str, code: str, attempts: int) -> None:
    bench = Bench(*[kind] * attempts)
    bench.do(put)
    error = bench.run()
    assert isinstance(error, ClientError)
    assert error.response["Error"]["Code"] == code
    assert type(error).__name__ == code or code == "InternalServerError"
    assert error.response["ResponseMetadata"]["RetryAttempts"] == attempts - 1
    assert len(bench.seen.calls) == attempts
    assert bench.items() == {}


@pytest.mark.parametrize("kind", ["throttle", "error", "reset", "timeout_before"])
def test_a_fault_that_is_over_by_the_next_try_is_not_seen(kind: str) -> None:
    bench = Bench(kind, kind)
    bench.do(put)
    assert isinstance(bench.run(), dict)
    assert len(bench.seen.calls) == 3
    assert bench.items() == {"M#x": "1"}


def test_a_conflict_of_a_transaction_names_its_last_item() -> None:
    bench = Bench("conflict")
    bench.do(transact)
    error = bench.run()
    assert [reason["Code"] for reason in error.response["CancellationReasons"]] == ["TransactionConflict"]
    assert bench.items() == {}


def test_timeout_before_takes_the_callers_time_and_has_no_effect() -> None:
    bench = Bench(*["timeout_before"] * 3)
    bench.do(put)
    assert isinstance(bench.run(), ReadTimeoutError)
    assert bench.items() == {}
    assert bench.ended[0] > 15


def test_timeout_after_has_its_effect_and_the_caller_sees_a_timeout() -> None:
    bench = Bench(*["timeout_after"] * 3)
    bench.do(put)
    assert isinstance(bench.run(), ReadTimeoutError)
    assert bench.items() == {"M#x": "1"}


def test_after_a_lost_answer_a_repeat_adds_twice_a_condition_fails_and_a_transaction_holds() -> None:
    added = Bench("timeout_after")
    added.do(add)
    added.run()
    assert added.items() == {"M#x": "2"}
    conditional = Bench("timeout_after")
    conditional.do(lambda: put(condition="attribute_not_exists(pk)"))
    error = conditional.run()
    assert error.response["Error"]["Code"] == "ConditionalCheckFailedException"
    assert conditional.items() == {"M#x": "1"}
    token = Bench("timeout_after")
    token.do(transact)
    assert isinstance(token.run(), dict)
    assert token.items() == {"M#x": "1"}
    assert len(token.seen.commits) == 1
    tokens = {params["ClientRequestToken"] for _, _, params in token.seen.calls}
    assert len(token.seen.calls) == 2
    assert len(tokens) == 1


def test_timeout_late_takes_effect_when_its_caller_has_given_up_on_it() -> None:
    late = 0
    for seed in range(12):
        bench = Bench("timeout_late", "timeout_before", "timeout_before", seed=seed)
        bench.do(put)
        assert isinstance(bench.run(), ReadTimeoutError)
        assert bench.items() == {"M#x": "1"}
        ((by, _, moment),) = bench.seen.commits
        assert by.function == "PostLedgerFunction"
        late += moment > START + timedelta(seconds=5)
    assert late > 3


def test_reset_breaks_before_or_after_the_effect() -> None:
    found = set()
    for seed in range(12):
        bench = Bench(*["reset"] * 3, seed=seed)
        bench.do(put)
        assert isinstance(bench.run(), ConnectionClosedError)
        found.add(bool(bench.items()))
    assert found == {True, False}


@pytest.mark.parametrize(("kind", "stored"), [("crash_before", {}), ("crash_after", {"M#x": "1"})])
def test_a_crash_ends_the_invocation_before_or_after_the_effect(kind: str, stored: dict[str, str]) -> None:
    went_on: list[str] = []

    def careless() -> None:
        try:
            put()
        except Exception:  # noqa: BLE001
            went_on.append("handled")
        went_on.append("after")

    bench = Bench(kind)
    bench.do(careless)
    assert isinstance(bench.run(), Killed)
    assert bench.items() == stored
    assert went_on == []


def test_an_invocation_that_dies_in_a_transaction_leaves_it_to_the_table() -> None:
    bench = Bench()
    bench.do(transact)
    about_to_commit = bench.world.model.begin

    def begin(params: Mapping[str, Any]) -> Any:
        task = bench.world.scheduler.running
        assert task is not None
        task.deadline = bench.world.scheduler.now
        return about_to_commit(params)

    bench.world.model.begin = begin  # type: ignore[method-assign]
    assert isinstance(bench.run(), Killed)
    assert bench.items() == {"M#x": "1"}
    assert not bench.world.model._locked


def test_a_conflict_is_real_where_two_transactions_overlap() -> None:
    outcomes = []
    for seed in range(30):
        bench = Bench(seed=seed)
        bench.do(lambda: transact(1))
        bench.do(lambda: transact(2))
        bench.run()
        assert len(bench.seen.commits) == 1
        outcomes += [
            each.response["CancellationReasons"][0]["Code"] for each in bench.outcomes if isinstance(each, ClientError)
        ]
    assert set(outcomes) == {"TransactionConflict", "ConditionalCheckFailed"}


def test_a_batch_is_carried_out_in_part_and_the_rest_handed_back() -> None:
    keys = [{"pk": {"S": f"M#{n}"}, "sk": {"S": "-"}} for n in range(4)]

    def write() -> Any:
        return table_call("BatchWriteItem", RequestItems={TABLE: [{"PutRequest": {"Item": key}} for key in keys]})

    bench = Bench("partial")
    bench.do(write)
    back = bench.run()["UnprocessedItems"][TABLE]
    assert back
    assert len(bench.items()) == 4 - len(back)

    def read() -> Any:
        write()
        return table_call("BatchGetItem", RequestItems={TABLE: {"Keys": keys, "ConsistentRead": True}})

    bench = Bench("partial")
    bench.world.faults = Script("partial", skip=1)
    bench.do(read)
    answer = bench.run()
    left = answer["UnprocessedKeys"][TABLE]
    assert left["ConsistentRead"] is True
    assert left["Keys"]
    assert len(answer["Responses"][TABLE]) == 4 - len(left["Keys"])


def test_a_stale_read_shows_what_was_before_and_a_consistent_one_never_does() -> None:
    shown = set()
    for seed in range(30):
        bench = Bench("stale_read", seed=seed)
        bench.do(lambda: (put(1), put(2), get(consistent=False).get("Item"), get().get("Item"))[2:])
        loose, firm = bench.run()
        shown.add(loose and loose["n"]["N"])
        assert firm["n"]["N"] == "2"
    assert shown == {None, "1", "2"}


def test_an_index_lags_behind_what_is_stored() -> None:
    item = {**KEY, "due_shard": {"S": "DUE#0"}, "due_at": {"S": "2026"}}

    def work() -> Any:
        table_call("PutItem", TableName=TABLE, Item=item)
        return table_call(
            "Query",
            TableName=TABLE,
            IndexName="due",
            KeyConditionExpression="due_shard = :shard",
            ExpressionAttributeValues={":shard": {"S": "DUE#0"}},
        )["Count"]

    found = set()
    for kinds in ((), ("index_lag",)):
        bench = Bench(*kinds)
        bench.do(work, function="ExpirySweepFunction")
        found.add((kinds, bench.run()))
    assert found == {((), 1), (("index_lag",), 0)}


@pytest.mark.parametrize(
    ("kind", "sent"),
    [("send_error", 0), ("send_timeout_before", 0), ("send_timeout_after", 3), ("crash_before", 0), ("crash_after", 1)],
)
def test_a_message_that_failed_to_be_sent_may_have_been(kind: str, sent: int) -> None:
    url = next(spec.url for spec in deployment().template.queues.values() if spec.logical_id == "ActivityDeadLetters")
    bench = Bench(*[kind] * 3)
    bench.do(lambda: sqs_call("send_message", QueueUrl=url, MessageBody="{}", MessageAttributes=REASON))
    error = bench.run()
    assert isinstance(error, (ClientError, ReadTimeoutError, Killed))
    assert len(bench.seen.letters) == sent


REASON = {"reason": {"DataType": "String", "StringValue": "unknown_type"}}


def test_a_batch_of_messages_or_events_is_taken_in_part() -> None:
    url = next(spec.url for spec in deployment().template.queues.values() if spec.logical_id == "ActivityDeadLetters")
    batch = [{"Id": str(n), "MessageBody": str(n), "MessageAttributes": REASON} for n in range(5)]
    bench = Bench("send_partial")
    bench.do(lambda: sqs_call("send_message_batch", QueueUrl=url, Entries=batch))
    answer = bench.run()
    failed = {each["Id"] for each in answer["Failed"]}
    assert failed
    assert not any(each["SenderFault"] for each in answer["Failed"])
    assert {message["body"] for _, message, _ in bench.seen.letters} == {str(n) for n in range(5)} - failed

    def announce() -> Any:
        from club_ledger import environment

        events = [{"Source": "buyers-club", "DetailType": f"of.{n}", "Detail": "{}"} for n in range(5)]
        return environment.client("events").put_events(Entries=events)

    bench = Bench("send_partial")
    bench.do(announce, function="PublishChangesFunction")
    answer = bench.run()
    taken = [f"of.{n}" for n, each in enumerate(answer["Entries"]) if "ErrorCode" not in each]
    assert answer["FailedEntryCount"] == 5 - len(taken) > 0
    assert bench.seen.announced == taken


def test_an_outage_fails_every_call_of_its_scope_until_it_is_over() -> None:
    scopes = set()
    now = [0.0]
    for seed in range(20):
        outage = faults.Faults(random.Random(seed), lambda: now[0], {"outage": 1.0})
        outage._outages = faults.OUTAGES_MAX - 1
        assert outage.of_call("GetItem" if seed % 4 else "SendMessage", "f") is not None
        calls = [(operation, function) for operation in ("GetItem", "SendMessage") for function in ("f", "g")]
        hit = {call: {outage.of_call(*call) for _ in range(60)} for call in calls}
        for (operation, _), kinds in hit.items():
            of_table = {"error", "reset", "timeout_before"}
            failed = of_table if operation == "GetItem" else {f"send_{kind}" for kind in of_table}
            assert kinds in ({None}, failed)
        scopes.add(tuple(kinds != {None} for kinds in hit.values()))
        now[0] += max(faults.OUTAGES_S)
        assert {outage.of_call(*call) for call in calls} == {None}
    everything, the_table = (True, True, True, True), (True, True, False, False)
    one_function, the_queues = (True, False, False, False), (False, False, True, True)
    assert scopes == {everything, the_table, one_function, the_queues}


def test_when_faults_stop_nothing_goes_wrong_any_more() -> None:
    everything = faults.Faults(random.Random(1), lambda: 0.0, dict.fromkeys(faults.RATES, 1.0))
    everything.stop()
    assert not everything.hit("late", "f")
    assert everything.of_call("GetItem", "f") is None


# --- deliveries and their faults -------------------------------------------------------------------------------------


def begun(result: Result, function: str) -> list[datetime]:
    """When invocations of a function began, by the trace."""
    marked = (line.split(" ", 3) for line in result.trace)
    return [
        datetime.fromisoformat(words[0]).replace(tzinfo=UTC)
        for words in marked
        if len(words) == 4 and words[2] == function and words[3].startswith("begins")
    ]


def test_an_event_is_posted_announced_and_nothing_is_left() -> None:
    seen, result = scripted(Script(), *visits(3))
    assert entries(seen) == ["E#e-0", "E#e-1", "E#e-2"]
    assert len(seen.taken) == 3
    assert seen.left == []
    assert result.deliveries > 3
    assert seen.announced.count("sweep.finished") == 3


def test_what_can_never_be_posted_is_among_the_dead_letters_with_its_reason() -> None:
    seen, _ = scripted(Script(), event("visit.recorded", {**visit(1), "colour": "red"}), *visits(1))
    assert [(queue, reason) for queue, _, reason in seen.letters] == [("ActivityDeadLetters", "unknown_field")]
    assert [letter["queue"] for letter in seen.left] == ["ActivityDeadLetters"]
    assert seen.again == []
    assert entries(seen) == ["E#e-0"]


@pytest.mark.parametrize("kind", ["lost_delete", "duplicate"])
def test_a_message_may_come_twice(kind: str) -> None:
    once, _ = scripted(Script(), *visits(1))
    seen, result = scripted(Script(kind), *visits(1), tracing=True)
    assert len(begun(result, "PostLedgerFunction")) == 2
    assert entries(seen) == entries(once) == ["E#e-0"]
    assert len(seen.taken) == 1


def test_a_late_message_keeps_its_moment() -> None:
    waited = []
    for seed in range(8):
        seen = Seen()
        world = World(seed, Told(*visits(1)), seen, rates={}, tracing=True)
        world.faults = Script("late")
        result = world.run()
        ((_, sent_at),) = seen.taken
        (began,) = begun(result, "PostLedgerFunction")
        waited.append(began - sent_at)
        (posted,) = (now for _, changes, now in seen.commits for each in changes if each.key["pk"]["S"] == "E#e-0")
        assert posted >= began
    assert max(waited) > timedelta(hours=2)


def test_messages_may_come_out_of_their_turn() -> None:
    def posted(**rates: float) -> list[str]:
        seen, _ = live(BusEvents([entry_of(visit(number)) for number in range(12)]), **rates)
        keys = [each.key["pk"]["S"] for _, changes, _ in seen.commits for each in changes]
        return [key for key in keys if key.startswith("E#")]

    assert sorted(posted()) == sorted(posted(reordered=0.5))
    assert posted() != posted(reordered=0.5)


def test_the_streams_records_may_come_again() -> None:
    _, once = scripted(Script(), *visits(1))
    _, again = scripted(Script("stream_replay"), *visits(1))
    assert again.deliveries > once.deliveries
    assert again.hits["stream_replay", "PublishChangesFunction"] == 1


def test_the_stream_goes_on_behind_what_it_gave_up_and_that_is_redriven() -> None:
    seen = Seen()
    world = World(1, Told(*visits(1), Advance(timedelta(days=1)), *visits(2)), seen, rates={})
    answers = world.deployment.handlers
    publish = world.template.function("PublishChangesFunction").arn
    kept = answers[publish]
    broken_until = START.timestamp() + 3_600

    def breaks(event: Any, context: Any) -> Any:
        if world.scheduler.now < broken_until:
            raise RuntimeError("broken")
        return kept(event, context)

    world.faults = Script()
    answers[publish] = breaks
    try:
        result = world.run()
    finally:
        answers[publish] = kept
    assert result.failure is None
    assert {queue for queue, _, _ in seen.letters} == {"ChangeDeadLetters"}
    assert seen.again == ["ChangeDeadLetters"] * len(seen.letters)
    assert seen.left == []
    assert sum(trigger.waiting for trigger in world._streams) == 0


def test_a_message_that_fails_each_time_is_a_dead_letter_and_comes_again_in_the_end() -> None:
    seen, result = scripted(Script(*["crash_before"] * 5), *visits(1), Advance(timedelta(hours=5)), tracing=True)
    moments = begun(result, "PostLedgerFunction")
    assert len(moments) == 6
    apart = [after - before for before, after in pairwise(moments[:5])]
    assert all(timedelta(seconds=360) <= gap < timedelta(seconds=361) for gap in apart)
    ((queue, message, reason),) = seen.letters
    assert (queue, reason) == ("ActivityDeadLetters", "retries_exhausted")
    assert json.loads(message["body"])["detail"]["event_id"] == "e-0"
    assert seen.again == ["ActivityDeadLetters"]
    assert entries(seen) == ["E#e-0"]
    assert seen.left == []
    assert len(seen.taken) == 2


def test_dead_letters_may_be_redriven_weeks_later_while_life_goes_on() -> None:
    waited = []
    for seed in range(6):
        seen = Seen()
        world = World(seed, Told(*visits(1), Advance(timedelta(days=40))), seen, rates={}, tracing=True)
        world.faults = Script("redrive_late", *["crash_before"] * 5)
        assert world.run().failure is None
        (_, first), (_, second) = seen.taken
        waited.append(second - first)
        assert entries(seen) == ["E#e-0"]
    assert max(waited) > timedelta(days=3)
    assert max(waited) < timedelta(days=14)


def test_a_schedule_fires_once_without_a_fault() -> None:
    _, result = scripted(Script(), Sweep("ExpirySweepFunction"), tracing=True)
    assert len(begun(result, "ExpirySweepFunction")) == 2  # and once more in the end


@pytest.mark.parametrize(("kind", "within"), [("sweep_twice", 7_200), ("sweep_parallel", 0.05)])
def test_a_schedule_may_fire_again(kind: str, within: float) -> None:
    _, result = scripted(Script(kind), Sweep("ExpirySweep"), Advance(timedelta(days=1)), tracing=True)
    first, second, _ = begun(result, "ExpirySweepFunction")
    assert second - first <= timedelta(seconds=within)


def test_a_sweep_may_come_days_late_and_for_its_own_time() -> None:
    late = timedelta()
    for seed in range(8):
        world = World(seed, Told(Sweep("ExpirySweep"), Advance(timedelta(days=9))), Seen(), rates={}, tracing=True)
        world.faults = Script("sweep_late")
        result = world.run()
        first, _ = begun(result, "ExpirySweepFunction")
        late = max(late, first - START)
        due = next(line for line in result.trace if "ExpirySweepFunction begins" in line)
        assert START.strftime("%Y-%m-%dT%H:%M:%SZ") in due
    assert late > timedelta(days=1)


def test_a_sweep_may_be_killed_on_its_way_and_is_started_again() -> None:
    steps = (Sweep("ExpirySweep"), Advance(timedelta(days=1)))
    killed = 0
    for seed in range(12):  # in some it was done before its time came
        _, result = scripted(Script("sweep_killed"), *steps, tracing=True, seed=seed)
        if any(line.endswith("ExpirySweepFunction died") for line in result.trace):
            killed += 1
            first, second, *_ = begun(result, "ExpirySweepFunction")
            assert timedelta(seconds=60) <= second - first < timedelta(seconds=62)
    assert killed


def test_the_hosts_that_stamp_messages_and_requests_disagree_about_the_time() -> None:
    seen, _ = live(*visits(40), clock_jump=0.5)
    posted = {change.key["pk"]["S"]: now for _, changes, now in seen.commits for change in changes}
    ahead = [sent_at for entry, sent_at in seen.taken if sent_at > posted[f"E#{entry['detail']['event_id']}"]]
    assert ahead


ASKED = ApiRequest("GET", "/members/m-0", "m-0", ("club:read",), retries=2, id=7)


def test_the_api_answers_and_its_caller_may_get_nothing_and_ask_again() -> None:
    seen, _ = scripted(Script(), *visits(1), Advance(timedelta(minutes=1)), ASKED)
    ((by, answer),) = seen.answers
    assert answer is not None
    assert answer.status == 200
    assert answer.body["member_id"] == "m-0"
    assert by.function == "MemberApiFunction"
    assert by.request == ASKED
    seen, _ = scripted(Script("lost_answer", "lost_answer"), *visits(1), Advance(timedelta(minutes=1)), ASKED)
    assert [answer and answer.status for _, answer in seen.answers] == [None, None, 200]


def test_the_caller_of_an_invocation_that_died_gets_500_or_nothing() -> None:
    got = set()
    for seed in range(25):
        seen = Seen()
        world = World(seed, Told(*visits(1), Advance(timedelta(minutes=1)), ASKED), seen, rates={})
        world.faults = Script()
        counted = seen.called

        def dies(by: Invocation, *more: Any, world: World = world, counted: Any = counted) -> None:
            counted(by, *more)
            if by.request is not None and not world.faults.hits["crash_before", "MemberApiFunction"]:
                world.faults = Script("crash_before")

        seen.called = dies  # type: ignore[method-assign,assignment]
        assert world.run().failure is None
        first, last = seen.answers
        got.add(first[1] and first[1].status)
        assert last[1] is not None
        assert last[1].status == 200
    assert got == {None, 500}


def test_a_route_that_is_none_and_a_scope_that_lacks_reach_no_function() -> None:
    nowhere = ApiRequest("GET", "/nowhere", "m-0", ("club:read",))
    denied = ApiRequest("POST", "/activities", "m-0", ("club:read",), body={})
    seen, _ = scripted(Script(), nowhere, denied)
    assert sorted(answer.status for _, answer in seen.answers if answer) == [403, 404]
    assert seen.calls == [call for call in seen.calls if call[0].request is None]


# --- the end, and what is found ------------------------------------------------------------------------------------


def test_what_does_not_drain_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(event: Any, context: Any) -> Any:
        raise RuntimeError("broken")

    post = deployment().template.function("PostLedgerFunction").arn
    monkeypatch.setitem(deployment().handlers, post, broken)
    result = World(1, Told(*visits(1)), Seen(), rates={}).run()
    assert isinstance(result.failure, Violation)
    assert result.failure.invariant == "I10"

    def refuses(event: Any, context: Any) -> Any:
        return {"batchItemFailures": [{"itemIdentifier": record["messageId"]} for record in event["Records"]]}

    monkeypatch.setitem(deployment().handlers, post, refuses)
    result = World(1, Told(*visits(1)), Seen(), rates={}).run()
    assert isinstance(result.failure, Violation)
    assert "dead again" in str(result.failure)


def test_a_violation_ends_the_seed_whoever_handles_errors_above_it() -> None:
    class Strict(Seen):
        def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
            raise Violation("I7", "an entry has changed", "m-0")

    result = World(1, Told(*visits(1)), Strict(), rates={}, tracing=True).run()
    assert isinstance(result.failure, Violation)
    assert "begins" in result.trace[0] or "message" in result.trace[0]
    found = campaign.found_in(1, result.failure)
    assert (found.invariant, found.member_id) == ("I7", "m-0")
    assert any("committed" in line for line in campaign.excerpt(result.trace, "m-0"))


def test_a_failed_seed_is_told_with_what_led_to_it_and_how_to_see_it_again() -> None:
    told = campaign.tell_of(campaign.Found(3, "I1", "I1: a gap", "m-1"), None).splitlines()
    assert told[0] == "seed 3 failed: I1: a gap"
    assert told[-1].endswith("python -m tests.simulation --seed 3")
    assert 2 < len(told) <= campaign.TRACE_LINES + 2
    assert campaign.tell_of(campaign.Found(3, "I1", "I1: a gap"), "some-defect").endswith("--defect some-defect")


# --- nothing passes by not being tried -----------------------------------------------------------------------------


def test_what_was_never_hit_is_named() -> None:
    reachable = faults.reachable(deployment().template)
    missed = campaign.missed(campaign.Tally())
    assert {kind for kind, _ in missed} == set(faults.RATES)
    assert {function for _, function in missed} == {name for name, kinds in reachable.items() if kinds}
    tally = campaign.Tally()
    tally.hits.update({each: 1 for each in missed if each != ("late", "PostLedgerFunction")})
    assert campaign.missed(tally) == [("late", "PostLedgerFunction")]
    assert set(campaign.NEVER).isdisjoint(missed)
    rows = campaign.table(tally).splitlines()
    assert [row.split()[0] for row in rows[1:]] == list(faults.RATES)


# --- how much at once ------------------------------------------------------------------------------------------------


def test_a_seeds_sizes_are_those_of_the_code_for_as_long_as_it_runs() -> None:
    from club_ledger import journal, sweeping, undoing
    from club_rules import account

    def found() -> list[int]:
        shared = ((sweeping, "SETTLED_AT_ONCE"), (undoing, "SETTLED_AT_ONCE"), (journal, "JOURNAL_PAGE"))
        return [sweeping.CHUNK, *(vars(module)[name] for module, name in shared)]

    before = found()
    small = {**sizes.AS_DEPLOYED, "club_ledger.sweeping.CHUNK": 2, "club_rules.account.JOURNAL_PAGE": 5}
    with sizes.sized(small):
        assert found() == [2, *before[1:3], 5]
        assert account.JOURNAL_PAGE == 5
    assert found() == before
    with sizes.sized(sizes.AS_DEPLOYED):
        assert found() == before


def test_with_small_chunks_a_sweep_goes_on_by_its_queue_and_pages_fill() -> None:
    small = {name: choices[0] for name, choices in sizes.CHOICES.items()}
    life = [event("visit.recorded", {**visit(n, f"m-{n % 3}"), "event_id": f"e-{n}"}) for n in range(9)]
    gone = Advance(timedelta(days=400))
    seen = Seen()
    result = World(1, Told(*life, gone), seen, rates={}, sizes=small, tracing=True).run()
    assert result.failure is None
    chunks = [line for line in result.trace if "in ExpirySweepQueue" in line and '"chunk": 2' in line]
    assert chunks
    assert any(item["sk"]["S"].startswith("J#") for item in seen.table)
