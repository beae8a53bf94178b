"""CPU of one call on our side: the club's work, by the bare client's for the same thing (architecture 3.4).

Every request is made, signed and handed on, and every answer's bytes are parsed, by both; only the network and the
table are not there: see ``wire``. What is answered was recorded when the club did the very same work on the
table's model, and was looked at then, so that no failure is measured. The yardstick is `boto3.client("dynamodb")` as
it comes.
"""

from __future__ import annotations

import cProfile
import gc
import json
import os
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import boto3

from benchmarks.client_cpu.naive import Naive
from benchmarks.client_cpu.wire import Exchange, Wire, answered
from benchmarks.figures import RATIO, Figure, Progress, cpu_seconds, in_turn, ratio
from club_ledger import environment, items
from club_ledger.client import client
from club_ledger.deciding import decide_refund
from club_ledger.inbox import read_record
from club_ledger.posting import post_event
from club_ledger.reading import read_statement, read_summary
from club_rules.decisions import parse_refund_request
from club_rules.messages import messages_for
from club_rules.programs import load_programs
from local.functions import LambdaContext, Runtime, account
from local.template import Template
from tests.simulation.dynamodb import Model

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
ROUNDS = 31
CALLS = 40
"""So many calls are one sample: 10 to 150 ms."""

BUYER, READER = "m-42", "m-50"
PURCHASES = {BUYER: 12, READER: 60}
"""What each has bought before: one that a member does in a year, and one with more than a page of the statement."""

PAGE = 50

WHY_A_POSTING = (
    "its two requests by our client take 0.85, of which botocore's signing and events are half; three items to pack, "
    "seal and hand over 0.4, account and rules 0.3; the rest is what these cost one another in the processor's caches"
)
"""Why posting costs what it does: from the profile in docs/benchmarks.md."""

WHY_A_PAGE = (
    "an entry is one deflated document with all programs: unpacking fifty takes 0.4 to 0.6 of a bare Query; "
    "two requests, a member's whole account and the words of each entry come on top"
)
"""Why a page of a statement costs what it does: from the profile in docs/benchmarks.md."""

Work = Callable[[], object]


class Call(NamedTuple):
    """Some work with the exchanges that it makes with the table each time."""

    work: Work
    script: list[Exchange]


def measure(progress: Progress) -> list[Figure]:
    """The figures; those of the naive build beside ours. Takes about half a minute."""
    with Naive(_record(BUYER, "naive", NOW), CALLS) as naive, _Bench.set_up() as bench:
        calls = bench.calls()
        measured = {name: bench.sampled(call) for name, call in calls.items()} | {"naive": naive.sample}
        gc.collect()
        gc.freeze()  # what stands is the benchmark's; both sides are collected as they go
        samples = in_turn(measured, ROUNDS, progress)
    microseconds = {name: round(median(taken) * 1e6, 1) for name, taken in samples.items()}
    progress.keep("microseconds of CPU, median", microseconds)
    requests = {name: [each.operation for each in call.script] for name, call in calls.items()}
    progress.keep("requests", requests | {"naive": naive.operations})

    def by(
        name: str, baseline: str, said: str, budget: float | None = None, stretch: float | None = None, why: str = ""
    ) -> Figure:
        value = round(ratio(samples, name, baseline), 3)
        return Figure(said, value, RATIO, budget, stretch, why=why if budget is not None and value > budget else "")

    return [
        by("posting", "bare write", "posting one purchase ÷ bare TransactWriteItems", 1.75, 1.25, WHY_A_POSTING),
        by("its requests", "bare write", "of that, its two requests by the club's client"),
        by("post_ledger", "bare write", "post_ledger, the whole handler ÷ the same"),
        by("naive", "bare write", "the naive build's handler ÷ the same"),
        by("refund", "bare refund", "expedited refund ÷ its requests, bare"),
        by("refund", "bare read", "expedited refund ÷ one bare GetItem"),
        by("summary", "bare batch", "member summary ÷ bare BatchGetItem of its keys"),
        by("statement", "bare query", "statement page of 50 ÷ bare Query of 50", 1.0, 0.35, WHY_A_PAGE),
        by("its entries", "bare query", "of that, unpacking the entries of the page"),
        by("member_api", "bare query", "the same, the whole handler"),
    ]


def profiled(name: str, profile: cProfile.Profile) -> None:
    """Makes one of the calls, by its ``name``, so often as one sample is, under ``profile``. Raises ``KeyError``."""
    with _Bench.set_up() as bench:
        sample = bench.sampled(bench.calls()[name])
        sample()  # warm
        profile.enable()
        sample()
        profile.disable()


class _Bench:
    """The club on the table's model, with what is measured of it."""

    def __init__(self, wire: Wire, runtime: Runtime, template: Template) -> None:
        self._wire = wire
        self._runtime = runtime
        self._template = template
        self._programs = load_programs()
        self._bare = boto3.client("dynamodb")

    @classmethod
    @contextmanager
    def set_up(cls) -> Iterator[_Bench]:
        """A new table, two members with their history, and nothing of the machine's own settings."""
        template = Template(ROOT / "template.yaml")
        model = Model(NOW.timestamp)
        for table in template.tables.values():
            model.create_table(**table.create)
        wire = Wire(model)
        with ExitStack() as open_things:
            open_things.enter_context(account(template.functions))
            log = open_things.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            runtime = Runtime(template.functions, log)
            for name in ("post_ledger", "member_api", "expedited_refund"):
                open_things.enter_context(runtime.environment(template.function(name)))
            open_things.enter_context(wire.installed())
            bench = cls(wire, runtime, template)
            for member_id, number in PURCHASES.items():
                for n in range(number):
                    bench.post(_record(member_id, f"{member_id}-{n}", NOW - timedelta(days=number - n)))
            yield bench

    def post(self, record: dict[str, Any]) -> bool:
        """Posts an SQS record as ``post_ledger`` does; whether it was new."""
        event, moment = read_record(record, self._programs)
        return post_event(environment.store(), self._programs, event, moment, _time_left)

    def sampled(self, call: Call) -> Callable[[], float]:
        """What gives the CPU seconds of one of some calls, all of which make the exchanges that were recorded."""

        def sample() -> float:
            self._wire.play(call.script)
            seconds = cpu_seconds(call.work, CALLS)
            assert self._wire.at_start(), "it asked for less than before"
            return seconds

        return sample

    def calls(self) -> dict[str, Call]:
        """What is measured, by name: the club's work, and the bare client's."""
        posting, handler, page = self._posting(), self._post_ledger(), self._statement()
        refund, summary = self._refund(), self._summary()
        found = [each for each in page.script if each.operation == "BatchGetItem"]
        return {
            "posting": posting,
            "post_ledger": handler,
            "its requests": self._call(client("dynamodb"), posting.script),
            "bare write": self._bare_call([each for each in posting.script if each.operation == "TransactWriteItems"]),
            "bare read": self._bare_call([each for each in posting.script if each.operation == "GetItem"]),
            "refund": refund,
            "bare refund": self._bare_call(refund.script),
            "summary": summary,
            "bare batch": self._bare_call(summary.script),
            "statement": page,
            "member_api": self._member_api(),
            "bare query": self._bare_call([_as_query(found)]),
            "its entries": _unpacking(found),
        }

    # --- the club's work

    def _recorded(self, work: Callable[[], Any]) -> tuple[Call, Any]:
        script = self._wire.record()
        answer = work()
        return Call(work, script), answer

    def _posting(self) -> Call:
        record = _record(BUYER, "measured", NOW)
        call, is_new = self._recorded(lambda: self.post(record))
        assert is_new
        assert [each.operation for each in call.script] == ["GetItem", "TransactWriteItems"]
        puts = [each["Put"]["Item"] for each in call.script[1].params["TransactItems"]]
        assert len(puts) == 3, "the entry, the account, the order"
        (entry,) = (items.unpack(item["body"]["B"]) for item in puts if item["pk"]["S"].startswith("E#"))
        assert set(entry["parts"]) == set(self._programs.ids)
        assert entry["seq"] == PURCHASES[BUYER] + 1
        return call

    def _post_ledger(self) -> Call:
        spec = self._template.function("post_ledger")
        event, context = {"Records": [_record(BUYER, "handled", NOW)]}, LambdaContext(spec)
        handler = self._runtime.handler(spec)
        call, answer = self._recorded(lambda: handler(event, context))
        assert answer == {"batchItemFailures": []}
        assert [each.operation for each in call.script] == ["GetItem", "TransactWriteItems"]
        return call

    def _refund(self) -> Call:
        sample = json.loads(_sample("expedited_refund")["body"])
        request = parse_refund_request({**sample, "order_id": f"o-{BUYER}-{PURCHASES[BUYER] - 1}"}, self._programs)
        store = environment.store()
        call, decision = self._recorded(lambda: decide_refund(store, self._programs, request, NOW, True, _time_left))
        assert decision["decision"] == "approved", decision
        return call

    def _summary(self) -> Call:
        store, messages = environment.store(), messages_for("en", False)
        call, summary = self._recorded(lambda: read_summary(store, self._programs, READER, NOW, messages))
        assert set(summary["programs"]) == set(self._programs.ids)
        return call

    def _statement(self) -> Call:
        store, messages, query = environment.store(), messages_for("en", False), {"program": "club"}
        call, page = self._recorded(lambda: read_statement(store, self._programs, READER, NOW, query, messages))
        assert len(page["entries"]) == PAGE
        assert page["cursor"] is not None
        return call

    def _member_api(self) -> Call:
        spec = self._template.function("member_api")
        event = _sample("member_api")
        event["routeKey"] = "GET /members/{member_id}/statement"
        event["queryStringParameters"] = {"program": "club"}
        event["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = READER
        handler, context = self._runtime.handler(spec), LambdaContext(spec)
        call, answer = self._recorded(lambda: handler(event, context))
        assert len(json.loads(answer["body"])["entries"]) == PAGE
        return call

    # --- the yardsticks

    def _bare_call(self, script: list[Exchange]) -> Call:
        """The bare client's way to make the same exchanges."""
        return self._call(self._bare, script)

    @staticmethod
    def _call(client_: Any, script: list[Exchange]) -> Call:
        requests = []
        for each in script:
            params = {name: value for name, value in each.params.items() if name not in _ADDED}
            requests.append((getattr(client_, _METHODS[each.operation]), params))

        def work() -> None:
            for method, params in requests:
                method(**params)

        return Call(work, script)


_METHODS = {
    "GetItem": "get_item",
    "BatchGetItem": "batch_get_item",
    "Query": "query",
    "TransactWriteItems": "transact_write_items",
}
_ADDED = ("ClientRequestToken", "ReturnConsumedCapacity")
"""What PynamoDB and botocore add to a request by themselves."""


def _as_query(batch: list[Exchange]) -> Exchange:
    """A query that finds the items that a BatchGetItem has brought."""
    found = [item for each in batch for items_of in _answer_of(each)["Responses"].values() for item in items_of]
    assert len(found) == PAGE, (len(found), [(e.operation, len(e.body)) for e in batch])
    (table,) = batch[0].params["RequestItems"]
    params = {
        "TableName": table,
        "KeyConditionExpression": "#pk = :pk",
        "ExpressionAttributeNames": {"#pk": "pk"},
        "ExpressionAttributeValues": {":pk": {"S": f"M#{READER}"}},
        "ScanIndexForward": False,
        "Limit": PAGE,
        "ConsistentRead": True,
    }
    return answered("Query", params, {"Count": PAGE, "Items": found, "ScannedCount": PAGE})


def _unpacking(batch: list[Exchange]) -> Call:
    """What it takes to unpack the items that a BatchGetItem has brought, and nothing else."""
    found = [item for each in batch for items_of in _answer_of(each)["Responses"].values() for item in items_of]
    packed = [b64decode(item["body"]["B"]) for item in found]
    assert len(packed) == PAGE

    def work() -> None:
        for each in packed:
            items.unpack(each)

    return Call(work, [])


def _answer_of(exchange: Exchange) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(exchange.body)
    return answer


def _time_left() -> float:
    return 5.0


def _sample(name: str) -> dict[str, Any]:
    event: dict[str, Any] = json.loads((ROOT / "events" / f"{name}.json").read_text("utf-8"))
    return event


def _record(member_id: str, name: str, moment: datetime) -> dict[str, Any]:
    """The activity queue's record of an order with one line."""
    record: dict[str, Any] = deepcopy(_sample("post_ledger")["Records"][0])
    line = {"item_id": f"i-{name}", "seller_id": f"s-{name}", "category": "books", "unit_price": "49.90", "quantity": 1}
    detail = {
        "event_id": f"e-{name}",
        "member_id": member_id,
        "occurred_at": moment.isoformat().replace("+00:00", "Z"),
        "data": {"order_id": f"o-{name}", "currency": "USD", "lines": [line], "flags": []},
    }
    record["body"] = json.dumps({"source": "marketplace", "detail-type": "order.completed", "detail": detail})
    record["attributes"]["SentTimestamp"] = str(int(moment.timestamp() * 1000))
    return record
