"""What is measured for its capacity: the club's operations, by its own handlers, and the naive build's purchase."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3

from benchmarks import naive
from benchmarks.capacity.meter import Meter, Used
from benchmarks.client_cpu.wire import Wire
from club_ledger import environment
from club_rules import programs as programs_module
from club_rules.programs import Programs
from local.functions import LambdaContext, Runtime, account
from local.swapping import swapped
from local.template import Template
from tests.simulation.conformance.targets import ministack_process
from tests.simulation.dynamodb import Model

ROOT = Path(__file__).resolve().parents[2]
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)

YEAR = 25
"""So many purchases fill the first page of a member's journal; most members make fewer in a year."""

PAGE = 50

Event = dict[str, Any]


def program_files() -> list[dict[str, Any]]:
    """The programs that are shipped, as data."""
    folder = Path(programs_module.__file__).parent / "data"
    return [json.loads(path.read_text("utf-8")) for path in sorted(folder.glob("*.json"))]


@contextmanager
def emulator(template: Template) -> Iterator[None]:
    """An empty table and the naive build's two on ministack, which ends with the context, for all clients made in it.

    Raises ``FileNotFoundError`` where it isn't installed.
    """
    with ministack_process(SERVICES="dynamodb,dynamodbstreams") as (endpoint, _), account(template.functions):
        os.environ["AWS_ENDPOINT_URL"] = endpoint
        try:
            client = boto3.client("dynamodb")
            for table in tables(template):
                client.create_table(**table)
            yield
        finally:
            del os.environ["AWS_ENDPOINT_URL"]


@contextmanager
def model(template: Template) -> Iterator[None]:
    """The same on the table's model in this process, which counts as DynamoDB's documentation says."""
    store = Model(NOW.timestamp)
    for table in tables(template):
        store.create_table(**table)
    with account(template.functions), Wire(store).installed():
        yield


def tables(template: Template) -> list[dict[str, Any]]:
    """The club's table and the naive build's, as CreateTable takes them; without the key that encrypts the club's."""
    ours = [
        {name: value for name, value in table.create.items() if name != "SSESpecification"}
        for table in template.tables.values()
    ]
    return [*ours, *naive.tables()]


class Club:
    """The club's functions on the table that clients find."""

    def __init__(self, template: Template, meter: Meter, runtime: Runtime) -> None:
        self._template = template
        self._meter = meter
        self._runtime = runtime

    @classmethod
    @contextmanager
    def started(cls, template: Template, meter: Meter, files: Iterable[dict[str, Any]]) -> Iterator[Club]:
        """With the programs of ``files``, and clients of its own."""
        known = Programs(files)
        environment.store.cache_clear()
        with ExitStack() as open_things:
            open_things.callback(environment.store.cache_clear)
            log = open_things.enter_context(Path(os.devnull).open("w", encoding="utf-8"))
            # before the functions are loaded, which take it by its name
            open_things.enter_context(swapped([(programs_module, "load_programs", lambda: known)]))
            yield cls(template, meter, Runtime(template.functions, log))

    def call(self, function: str, event: Event) -> tuple[Any, Used]:
        """Calls a function; its answer, and what that took."""
        spec = self._template.function(function)
        answers: list[Any] = []

        def work() -> None:
            answers.append(self._runtime.handler(spec)(deepcopy(event), LambdaContext(spec)))

        with self._runtime.environment(spec):
            used = self._meter.of(work)
        return answers[0], used

    def post(self, event_type: str, member_id: str, name: str, data: Event, moment: datetime = NOW) -> Used:
        """Posts one event; what that took."""
        answer, used = self.call("post_ledger", {"Records": [record(event_type, member_id, name, data, moment)]})
        assert answer == {"batchItemFailures": []}, answer
        return used

    def buy(self, member_id: str, number: int, moment: datetime = NOW) -> Used:
        """Posts the member's purchase of that number: one line."""
        return self.post("order.completed", member_id, f"{member_id}-{number}", order(member_id, number), moment)

    def bought(self, member_id: str, number: int) -> list[Used]:
        """Posts so many purchases, the last of them yesterday, one a day; what each took."""
        return [self.buy(member_id, n, NOW - timedelta(days=number - n)) for n in range(number)]

    def decide(self, name: str, **changes: Any) -> tuple[str, Used]:
        """Asks for an expedited refund; what was decided, and what that took."""
        request = sample("expedited_refund")
        request["body"] = json.dumps(json.loads(request["body"]) | {"request_id": name} | changes)
        answer, used = self.call("expedited_refund", request)
        assert answer["statusCode"] == 200, answer
        return json.loads(answer["body"])["decision"], used

    def read(self, member_id: str, of: str = "", query: dict[str, str] | None = None) -> tuple[Any, Used]:
        """What the member reads of themselves, and what that took."""
        request = sample("member_api")
        request["routeKey"] = f"GET /members/{{member_id}}{of}"
        request["queryStringParameters"] = query or {}
        request["requestContext"]["authorizer"]["jwt"]["claims"]["sub"] = member_id
        answer, used = self.call("member_api", request)
        assert answer["statusCode"] == 200, answer
        return json.loads(answer["body"]), used


def operations(club: Club, step: Callable[[str], None]) -> dict[str, Used]:
    """What each operation takes, by its name in the table; ``step`` is told what comes next."""
    found: dict[str, Used] = {}
    step("purchases")
    first, *others = club.bought("m-year", YEAR)
    found["purchase of a new member"] = first
    found["mean of a member's first 25 purchases"] = mean([first, *others])
    club.bought("m-42", 12)
    found["purchase"] = club.buy("m-42", 12)
    step("other events")
    found["review"] = club.post("review.posted", "m-42", "e-review", {"order_id": "o-m-42-3", "item_id": "i-m-42-3"})
    found["visit"] = club.post("visit.recorded", "m-42", "e-visit", {})
    found["post"] = club.post("post.published", "m-42", "e-post", {"post_id": "p-1"})
    found["refund of an order"] = club.post("order.refunded", "m-42", "e-back", {"order_id": "o-m-42-5", "full": True})
    step("decisions")
    of_order = {"member_id": "m-42", "order_id": "o-m-42-7"}
    for name, expected, changes in (
        ("decision, approved", "approved", of_order),
        ("decision, declined", "declined", {**of_order, "order_id": "o-m-42-8", "order_eligible": False}),
    ):
        decision, found[name] = club.decide(f"r-{expected}", **changes)
        assert decision == expected, decision
    _, found["the same decision again"] = club.decide("r-approved", **of_order)
    step("reads")
    summary, found["member summary"] = club.read("m-42")
    assert summary["programs"]
    found["purchase of who bought on 59 days of a year"] = club.bought("m-reader", PAGE + 10)[-1]
    page, found["statement page of 50"] = club.read("m-reader", "/statement", {"program": "club", "limit": str(PAGE)})
    assert len(page["entries"]) == PAGE
    return found


def naive_operations(meter: Meter) -> dict[str, Used]:
    """The naive build's purchases. From here on its tracer has its hand on every client of this process."""
    post = naive.poster()
    answers: list[Any] = []

    def buy(number: int, moment: datetime = NOW) -> Used:
        event = record("order.completed", "m-42", f"naive-{number}", order("m-42", number), moment)
        used = meter.of(lambda: answers.append(post(event)))
        assert answers.pop() == {"batchItemFailures": []}
        return used

    first, *_ = [buy(number, NOW - timedelta(days=12 - number)) for number in range(12)]
    return {"purchase of a new member": first, "purchase": buy(12)}


def mean(each: list[Used]) -> Used:
    """What one of them took on average; its requests are those of the first."""
    count = len(each)
    return Used(
        sum(used.write_units for used in each) / count, sum(used.read_units for used in each) / count, each[0].requests
    )


def order(member_id: str, number: int) -> Event:
    """An order's data, of one line."""
    name = f"{member_id}-{number}"
    line = {"item_id": f"i-{name}", "seller_id": f"s-{number}", "category": "books", "unit_price": "49.90"}
    return {"order_id": f"o-{name}", "currency": "USD", "lines": [line | {"quantity": 1}], "flags": []}


def record(event_type: str, member_id: str, name: str, data: Event, moment: datetime) -> Event:
    """The activity queue's record of an event that occurred at ``moment`` and was sent then."""
    made: Event = deepcopy(sample("post_ledger")["Records"][0])
    occurred_at = moment.isoformat().replace("+00:00", "Z")
    detail = {"event_id": f"e-{name}", "member_id": member_id, "occurred_at": occurred_at, "data": data}
    made["body"] = json.dumps({"source": "marketplace", "detail-type": event_type, "detail": detail})
    made["attributes"]["SentTimestamp"] = str(int(moment.timestamp() * 1000))
    return made


def sample(name: str) -> Event:
    """A sample invocation from `events/`."""
    event: Event = json.loads((ROOT / "events" / f"{name}.json").read_text("utf-8"))
    return event
