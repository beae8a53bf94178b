"""The club itself on the local stack: every function with its own role and environment, and the contract's calls.

What the rules make of it is proved elsewhere. Here it counts that the pieces which `template.yaml` deploys fit each
other: triggers, environments, permissions, queues, streams.
"""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from club_ledger.store import shard_of
from local import functions
from local.__main__ import main
from local.server import Server
from local.stack import Stack
from local.template import ROOT, FunctionSpec
from tests.access.roles import differences

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


def table_of(stack: Stack) -> str:
    """The name of the club's one table."""
    (table,) = stack.template.tables
    return table


class Club:
    """Speaks with the club as its neighbours do."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.count = 0

    def call(self, method: str, path: str, sub: str, scopes: str, body: Any = None, query: str = "") -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.stack.token(sub, scopes.split())}"}
        response = self.stack.request(method, path, query, headers, body or b"")
        return response.status, response.json()

    def event(self, kind: str, member: str, data: dict[str, Any], days: float = 0) -> dict[str, Any]:
        self.count += 1
        at = (self.stack.now - timedelta(days=days)).isoformat().replace("+00:00", "Z")
        return {"event_id": f"e-{self.count}", "type": kind, "member_id": member, "occurred_at": at, "data": data}

    def order(self, member: str, order: str, price: str = "30.00", days: float = 0, items: int = 1) -> dict[str, Any]:
        lines = [
            {"item_id": f"{order}-{number}", "seller_id": order, "category": "c", "unit_price": price, "quantity": 1}
            for number in range(items)
        ]
        return self.event("order.completed", member, {"order_id": order, "currency": "USD", "lines": lines}, days)

    def send(self, *events: dict[str, Any]) -> None:
        """Send through the door, and work it off."""
        for start in range(0, len(events), 100):
            batch = {"events": list(events[start : start + 100])}
            status, answer = self.call("POST", "/activities", "market", "club:ingest club:admin", batch)
            assert (status, answer["refused"]) == (202, [])
        self.stack.drain()

    def refund(self, request: str, member: str, order: str, amount: str = "20.00", **changes: Any) -> tuple[int, Any]:
        body = {
            "request_id": request,
            "member_id": member,
            "order_id": order,
            "dispute_id": f"d-{request}",
            "refund": {"kind": "full", "amount": amount, "currency": "USD"},
            "seller_approved_at": "2026-11-22T10:00:00Z",
            "return_shipment": {"carrier": "c", "tracking_number": "t-1", "first_scan_at": None},
            "order_eligible": True,
            **changes,
        }
        return self.call("POST", "/refunds/expedited", "desk", "club:decide", body)

    def accelerate(self, request: str, member: str, dispute: str) -> tuple[int, Any]:
        body = {
            "request_id": request,
            "member_id": member,
            "dispute_id": dispute,
            "order_id": "o-1",
            "escalated_at": "2026-11-22T10:00:00Z",
            "review_due_at": "2026-12-22T10:00:00Z",
        }
        return self.call("POST", "/disputes/acceleration", "desk", "club:decide", body)


def samples() -> list[Path]:
    return sorted((ROOT / "events").glob("*.json"))


def function_of(sample: Path, stack: Stack) -> str:
    """Find the function that a sample is for: its folder's name begins the sample's."""
    names = [spec.code.name for spec in stack.template.functions.values() if sample.stem.startswith(spec.code.name)]
    assert len(names) == 1, f"{sample.name} is for no function, or for several"
    return names[0]


def spec_of(name: str, stack: Stack) -> FunctionSpec:
    return stack.template.function(name)


@pytest.mark.parametrize("sample", samples(), ids=lambda path: path.stem)
def test_a_sample_runs_in_a_fresh_container_with_the_functions_own_role_and_environment(
    stack: Stack, sample: Path
) -> None:
    name, event = function_of(sample, stack), json.loads(sample.read_text())
    if sample.stem.endswith("_chunk"):
        # What the record holds has to belong to a run: one is started, and its first chunk taken from the queue.
        club = Club(stack)
        club.send(*(club.order(f"m-{number}", f"o-{number}") for number in range(20)))
        stack.invoke(name, {"scheduled_at": "2028-01-01T00:05:00Z"})
        queue = next(
            mapping.queue for mapping in stack.template.queue_mappings if mapping.function == spec_of(name, stack).arn
        )
        event["Records"][0]["body"] = stack.queues.by_arn[queue].ready[0].body
    functions.forget(stack.template.functions)  # what another function has read of its environment is not this one's
    answer = stack.invoke(name, event)
    if "requestContext" in event:
        assert 200 <= answer["statusCode"] < 500
        assert "access" not in answer["body"].lower()
    else:
        assert answer == {"batchItemFailures": []}


def test_every_function_and_every_trigger_has_a_sample(stack: Stack) -> None:
    kinds: dict[str, set[str]] = {}
    for sample in samples():
        event = json.loads(sample.read_text())
        kind = (
            event["routeKey"]
            if "routeKey" in event
            else event["Records"][0]["eventSource"]
            if "Records" in event
            else "schedule"
        )
        kinds.setdefault(function_of(sample, stack), set()).add(kind)
    template = stack.template
    wanted: dict[str, set[str]] = {spec.code.name: set() for spec in template.functions.values()}
    for route in template.routes:
        wanted[template.functions[route.function].code.name].add(f"{route.method} {route.path}")
    for mapping in template.queue_mappings:
        wanted[template.functions[mapping.function].code.name].add("aws:sqs")
    for stream in template.stream_mappings:
        wanted[template.functions[stream.function].code.name].add("aws:dynamodb")
    for schedule in template.schedules.values():
        wanted[template.functions[schedule.function].code.name].add("schedule")
    assert kinds == wanted


def test_roles_grant_what_the_functions_use_and_nothing_more(stack: Stack) -> None:
    """Runs through all that the functions do. That nothing is used that is not granted, the stack sees to itself."""
    busy_club(stack)
    functions_of = {spec.logical_id: spec.code.name for spec in stack.template.functions.values()}
    used = {functions_of[logical_id]: needs for logical_id, needs in stack.used_permissions.items()}
    assert differences(stack.template, used) == []


def busy_club(stack: Stack) -> None:
    club = Club(stack)
    # A member with a long history: pages of the journal and of marks, a tier that entitles, and much that is due.
    orders = [club.order("anna", f"o-{number}", days=360 - number, items=8) for number in range(1, 20)]
    reviews = [
        club.event("review.posted", "anna", {"order_id": f"o-{order}", "item_id": f"o-{order}-{item}"}, days=1)
        for order in range(1, 20)
        for item in range(8)
    ]
    club.send(club.event("member.registered", "anna", {"birthday": "1980-02-29", "country": "NL"}, days=364))
    club.send(*orders)
    club.send(*reviews)
    club.send(orders[0])
    club.send(club.event("member.updated", "anna", {"country": "BE"}), club.event("visit.recorded", "bert", {}))
    # A refund before its order, one after it, and a case with its end.
    club.send(club.event("order.refunded", "bert", {"order_id": "late", "full": True}))
    club.send(club.order("bert", "late"), club.event("order.refunded", "anna", {"order_id": "o-2", "full": True}))
    case = {"case_id": "c-1", "kind": "spam"}
    club.send(club.event("violation.confirmed", "bert", case), club.event("violation.overturned", "bert", case))
    price = {"item_id": "i-1", "old_price": "2.00", "new_price": "1.00", "currency": "USD"}
    dropped = {**club.event("price.dropped", "", price)}
    del dropped["member_id"]
    detail = {name: value for name, value in dropped.items() if name != "type"}
    stack.put_events([{"Source": "marketplace", "DetailType": "price.dropped", "Detail": json.dumps(detail)}])
    stack.put_events([{"Source": "marketplace", "DetailType": "visit.recorded", "Detail": '{"event_id": "#"}'}])
    # The price, and a message for each shard of who watches the item.
    assert stack.drain() == (1 + int(spec_of("publish_changes", stack).environment["DUE_SHARDS"]), 1)
    watch_and_be_alerted(club)
    # Decisions: given, asked again, refused.
    status, decision = club.refund("r-1", "anna", "o-3", amount="20.00")
    assert (status, decision["decision"]) == (200, "approved"), decision
    assert club.refund("r-1", "anna", "o-3", amount="20.00") == (200, decision)
    assert club.refund("r-2", "bert", "late")[1]["decision"] == "declined"
    assert club.refund("r-3", "nobody", "none")[0] == 200
    big = [club.order("anna", f"big-{number}", price="900.00") for number in range(3)]
    club.send(*big)
    status, decision = club.accelerate("r-4", "anna", "d-1")
    assert (status, decision["decision"]) == (200, "approved"), decision
    assert club.accelerate("r-4", "anna", "d-1") == (200, decision)
    assert club.accelerate("r-5", "anna", "d-1")[1]["decision"] == "declined"
    # Reading, over several pages.
    for path, query in (("", ""), ("/privileges", ""), ("/explanation", "program=club"), ("/outlook", "program=vip")):
        assert club.call("GET", f"/members/me{path}", "anna", "club:read", query=query)[0] == 200
    status, page = club.call("GET", "/members/anna/decisions", "agent", "club:support", query="limit=2")
    assert (status, len(page["decisions"])) == (200, 2)
    query = "program=club&limit=60"
    status, page = club.call("GET", "/members/anna/statement", "agent", "club:support", query=query)
    assert (status, len(page["entries"])) == (200, 60)
    assert club.call("GET", f"/decisions/{decision['decision_id']}", "agent", "club:support")[0] == 200
    adjust_export_and_erase(club)
    # Time goes by: what has fallen due is decided on and posted, by a decision, by a sweep in several chunks.
    club.send(*(club.order(f"m-{number}", f"x-{number}", days=300) for number in range(220)))
    stack.set_clock(NOW + timedelta(days=91))
    assert club.refund("r-6", "anna", "o-4")[0] == 200
    assert club.accelerate("r-7", "m-1", "d-2")[0] == 200
    # Some answers get lost, so that a chunk is noted twice.
    stack.order_fault({"operation": "UpdateItem", "kind": "timeout_after", "rate": 0.5, "seed": 1})
    for name in ("ExpirySweep", "DemotionSweep", "RewardSweep"):
        stack.fire(name, stack.now)
    stack.order_fault({})
    assert [letter["reason"] for letter in stack.dead_letters()] == ["invalid_id"]
    assert club.call("GET", "/members/me/rewards", "anna", "club:read")[1]["rewards"]
    kinds = {entry["DetailType"] for entry in stack.published()}
    assert kinds >= {"tier.changed", "points.expired", "refund.expedited", "dispute.accelerated", "sweep.finished"}
    assert "reward.granted" in kinds


def adjust_export_and_erase(club: Club) -> None:
    """By two operators; then a person goes of whom everything is held."""
    small = {"adjustment_id": "a-1", "program": "club", "points": -3, "reason": "a slip"}
    large = {"adjustment_id": "a-2", "program": "vip", "spend": "5000.00", "reason": "paid elsewhere"}
    path = "/members/anna/adjustments"
    for body, operator, status in ((small, "op-1", 200), (large, "op-1", 202), (large, "op-2", 200)):
        assert club.call("POST", path, operator, "club:admin", body=body)[0] == status
    _, page = club.call("GET", "/members/anna/export", "agent", "club:support", query="limit=60")
    assert page["cursor"]
    query = f"limit=60&cursor={page['cursor']}"
    assert club.call("GET", "/members/anna/export", "agent", "club:support", query=query)[0] == 200
    club.send(club.event("member.registered", "gone", {"birthday": "1980-02-29", "country": "NL"}))
    club.send(club.event("wishlist.item_added", "gone", {"item_id": "i-2"}))
    headers = {"authorization": f"Bearer {club.stack.token('op-1', ['club:admin'])}"}
    for _ in range(2):
        answer = club.stack.request("DELETE", "/members/gone", headers=headers)
        assert (answer.status, answer.body) == (204, b"")
    assert club.call("GET", "/members/gone", "agent", "club:support")[0] == 404


def watch_and_be_alerted(club: Club) -> None:
    """The alerts of a price fail at first, and one who watches the item has got a tier until they come."""
    stack = club.stack
    # As many in one shard as a chunk holds, so that it sends the next one's message.
    shards = int(spec_of("post_ledger", stack).environment["DUE_SHARDS"])
    crowd = [name for name in (f"w-{number}" for number in range(150 * shards)) if shard_of(name, shards) == 0][:100]
    watchers = ["anna", "new", *crowd]
    club.send(*(club.event("wishlist.item_added", member, {"item_id": "i-2"}) for member in watchers))
    stack.order_fault({"operation": "Query", "kind": "throttle", "rate": 1.0})
    price = {"item_id": "i-2", "old_price": "2.00", "new_price": "1.00", "currency": "USD"}
    dropped = club.event("price.dropped", "", price)
    del dropped["member_id"]
    club.send(dropped)
    stack.order_fault({})
    stack.set_clock(stack.now + timedelta(minutes=1))
    club.send(club.order("new", "o-new"))
    stack.redrive()
    details = [json.loads(entry["Detail"]) for entry in stack.published() if entry["DetailType"] == "price.alert"]
    assert [detail["member_id"] for detail in details] == ["anna"]


def test_a_running_stack_proves_its_ledger_and_names_what_differs(
    stack: Stack, capsys: pytest.CaptureFixture[str]
) -> None:
    club = Club(stack)
    club.send(club.order("anna", "o-1"), club.order("bert", "o-2"), club.order("bert", "o-3"))
    server = Server(stack, 0, lambda line: None)
    server.start()
    try:
        port = str(server.server_address[1])
        assert main(["verify", "--port", port]) == 0
        assert "2 members, 3 entries: 0 problems" in capsys.readouterr().out
        entry = {"pk": {"S": "E#e-3"}, "sk": {"S": "-"}}
        stack.client("dynamodb").delete_item(TableName=next(iter(stack.template.tables)), Key=entry)
        assert main(["verify", "--port", port]) == 1
        assert "bert: " in capsys.readouterr().out
    finally:
        server.shutdown()
        server.server_close()
    assert main(["verify", "--port", port]) == 1
    assert "make serve" in capsys.readouterr().err


def test_with_a_store_that_fails_all_the_time_nothing_is_lost_and_afterwards_everything_drains(stack: Stack) -> None:
    club = Club(stack)
    for kind in ("throttle", "conflict", "timeout_before", "timeout_after", "error"):
        stack.order_fault({"operation": "TransactWriteItems", "kind": kind, "rate": 1.0})
        orders = [club.order("anna", f"{kind}-{number}") for number in range(2)]
        events = {"events": orders}
        assert club.call("POST", "/activities", "market", "club:ingest", events)[0] == 202
        assert stack.drain() == (0, 2)
        assert [letter["reason"] for letter in stack.dead_letters()] == ["retries_exhausted"] * 2
        # After a commit whose answer was lost the decision is found; otherwise there is none.
        assert club.refund(f"r-{kind}", "anna", f"{kind}-0")[0] == (200 if kind == "timeout_after" else 503)
        stack.order_fault({})
        assert stack.redrive() == (2, 0)
        status, decision = club.refund(f"r-{kind}", "anna", f"{kind}-0")
        assert status == 200
        assert club.refund(f"r-{kind}", "anna", f"{kind}-0") == (200, decision)
    status, page = club.call("GET", "/members/me/statement", "anna", "club:read", query="program=crowns")
    assert (status, len(page["entries"])) == (200, 10)
