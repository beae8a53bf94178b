"""POST /refunds/expedited and POST /disputes/acceleration: what is answered and stored, and what never is twice."""

from __future__ import annotations

import copy
import importlib.util
import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import boto3
import botocore.client
import pytest
from moto import mock_aws

from club_ledger import deciding, environment, items
from club_ledger.posting import post_event
from club_ledger.store import Busy, Store, Transaction, write_account
from club_rules.account import encode_account, rebuild
from club_rules.decisions import parse_refund_request
from club_rules.events import parse_event
from club_rules.programs import Programs, load_programs
from club_rules.settling import settle
from club_rules.times import format_instant

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = load_programs()
NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
TABLE = "decisions"

Body = dict[str, Any]
Event = dict[str, Any]


def load_app(name: str) -> ModuleType:
    """The function as Lambda has it: a file of its own, and not a module of a package."""
    spec = importlib.util.spec_from_file_location(f"{name}_app", ROOT / "functions" / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


APPS = {name: load_app(name) for name in ("expedited_refund", "dispute_acceleration")}
SAMPLES = {name: json.loads((ROOT / "events" / f"{name}.json").read_text("utf-8")) for name in APPS}
REFUND: Body = json.loads(SAMPLES["expedited_refund"]["body"])
DISPUTE: Body = json.loads(SAMPLES["dispute_acceleration"]["body"])


@pytest.fixture
def store(monkeypatch: pytest.MonkeyPatch) -> Iterator[Store]:
    """The table as the template has it, and the functions' environment."""
    for name, value in (
        ("TABLE_NAME", TABLE),
        ("DUE_SHARDS", "8"),
        ("EXPEDITED_REFUNDS", "on"),
        ("DISPUTE_ACCELERATION", "on"),
    ):
        monkeypatch.setenv(name, value)
    environment.store.cache_clear()
    with mock_aws():
        strings = ("pk", "sk", "due_shard", "due_at")
        boto3.client("dynamodb").create_table(
            TableName=TABLE,
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in strings],
            KeySchema=[
                {"AttributeName": "pk", "KeyType": "HASH"},
                {"AttributeName": "sk", "KeyType": "RANGE"},
            ],
            GlobalSecondaryIndexes=[
                {
                    "IndexName": "due",
                    "KeySchema": [
                        {"AttributeName": "due_shard", "KeyType": "HASH"},
                        {"AttributeName": "due_at", "KeyType": "RANGE"},
                    ],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            ],
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        yield environment.store()
    environment.store.cache_clear()


# --- asking, posting, looking -------------------------------------------------------------------------------


def invocation(name: str, body: object, at: datetime = NOW, scope: str = "club:decide") -> Event:
    """The sample invocation with another body, time or scope."""
    event: Event = copy.deepcopy(SAMPLES[name])
    event["body"] = body if isinstance(body, str) else json.dumps(body)
    event["requestContext"]["timeEpoch"] = int(at.timestamp() * 1000)
    event["requestContext"]["authorizer"]["jwt"]["claims"]["scope"] = scope
    return event


def context(millis: int = 10_000) -> SimpleNamespace:
    return SimpleNamespace(get_remaining_time_in_millis=lambda: millis)


def call(name: str, event: Event, millis: int = 60_000) -> tuple[int, dict[str, Any]]:
    answer = APPS[name].handler(event, context(millis))
    kind = "application/json" if answer["statusCode"] == 200 else "application/problem+json"
    assert answer["headers"]["content-type"] == kind
    return answer["statusCode"], json.loads(answer["body"])


def refund(at: datetime = NOW, **changes: Any) -> dict[str, Any]:
    """Asks for a refund, the sample's but for the changes (`amount` is the refund's), and gives the decision."""
    status, body = call("expedited_refund", invocation("expedited_refund", refund_body(**changes), at))
    assert status == 200, body
    return body


def refund_body(**changes: Any) -> Body:
    body = {**copy.deepcopy(REFUND), **changes}
    if "amount" in body:
        body["refund"]["amount"] = body.pop("amount")
    return body


def dispute(at: datetime = NOW, **changes: Any) -> dict[str, Any]:
    event = invocation("dispute_acceleration", {**DISPUTE, **changes}, at)
    status, body = call("dispute_acceleration", event)
    assert status == 200, body
    return body


def post(store: Store, event_type: str, data: Body, at: datetime, member_id: str = "m-42") -> None:
    raw = {
        "event_id": f"e-{member_id}-{event_type}-{data.get('order_id', '')}-{at.timestamp():.0f}",
        "type": event_type,
        "member_id": member_id,
        "occurred_at": format_instant(at),
        "data": data,
    }
    post_event(store, PROGRAMS, parse_event(raw, now=at, programs=PROGRAMS), at, environment.time_left(context(), 5.0))


def buy(store: Store, order_id: str, price: str, at: datetime, member_id: str = "m-42") -> None:
    line = {"item_id": f"i-{order_id}", "seller_id": f"s-{order_id}", "unit_price": price, "quantity": 1}
    data = {"order_id": order_id, "currency": "USD", "lines": [line]}
    post(store, "order.completed", data, at, member_id)


def days(number: float) -> timedelta:
    return timedelta(days=number)


@pytest.fixture
def a3(store: Store) -> Store:
    """Member m-42 at A3, with the sample's order."""
    buy(store, "o-500", "600.00", NOW - days(40))
    buy(store, "o-1001", "25.00", NOW - days(10))
    return store


@pytest.fixture
def a4(store: Store) -> Store:
    """Member m-42 at A4."""
    buy(store, "o-2000", "2500.00", NOW - days(40))
    return store


def table() -> dict[tuple[str, str], dict[str, Any]]:
    """All items, by key; boto3's own reading, not the store's."""
    found = boto3.resource("dynamodb").Table(TABLE).scan()["Items"]
    return {(item["pk"], item["sk"]): item for item in found}


def keys(*prefixes: str) -> list[str]:
    return sorted(pk for pk, _ in table() if pk.startswith(prefixes))


def outcome(decision: dict[str, Any], code: str) -> str:
    found: list[str] = [check["outcome"] for check in decision["checks"] if check["code"] == code]
    assert len(found) == 1
    return found[0]


def failing(decision: dict[str, Any]) -> list[str]:
    return [check["code"] for check in decision["checks"] if check["outcome"] == "fail"]


def missing(decision: dict[str, Any]) -> list[str]:
    return [check["code"] for check in decision["checks"] if check["outcome"] == "missing"]


def assert_whole(store: Store, member_id: str = "m-42") -> None:
    """The account is what its entries add up to, each number once (invariant I1)."""
    account = store.account(member_id, consistent=True)
    assert account is not None
    entries = [
        items.unpack(item["body"].value)
        for (pk, _), item in table().items()
        if pk.startswith("E#") and items.unpack(item["body"].value)["member_id"] == member_id
    ]
    entries.sort(key=lambda entry: entry["seq"])
    assert encode_account(rebuild(member_id, entries)) == encode_account(account)


@pytest.fixture
def requests_made(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The operations that are sent to AWS from now on."""
    made: list[str] = []
    original = botocore.client.BaseClient._make_api_call

    def counted(self: Any, operation: str, parameters: Any) -> Any:
        made.append(operation)
        return original(self, operation, parameters)

    monkeypatch.setattr(botocore.client.BaseClient, "_make_api_call", counted)
    return made


Meanwhile = Callable[[Callable[[], object]], None]


@pytest.fixture
def meanwhile(monkeypatch: pytest.MonkeyPatch) -> Meanwhile:
    """Lets something happen between what the next decision reads and what it writes."""
    waiting: list[Callable[[], object]] = []
    original = Transaction.commit

    def commit(self: Transaction) -> None:
        while waiting:
            waiting.pop()()
        original(self)

    monkeypatch.setattr(Transaction, "commit", commit)
    return waiting.append


# --- expedited refunds --------------------------------------------------------------------------------------


def test_a_refund_is_approved_and_stored(a3: Store) -> None:
    before = a3.account("m-42", consistent=True)
    status, decision = call("expedited_refund", SAMPLES["expedited_refund"])

    assert status == 200
    assert decision["decision"] == "approved"
    assert (decision["tier"], decision["decided_at"]) == ("A3", "2026-11-22T10:15:00Z")
    assert decision["payout"] == {"amount": "24.99", "currency": "USD", "to": "original_payment_method"}
    assert len(decision["checks"]) == 13

    stored = a3.decision(decision["decision_id"])
    assert stored is not None
    assert stored[0] == decision
    payout = a3.payout("o-1001")
    assert payout is not None
    facts = ("decision_id", "member_id", "order_id", "dispute_id", "decided_at", "payout")
    assert payout == {name: decision[name] for name in facts}
    assert a3.velocity("m-42") == ([["2026-11-22T10:15:00Z", 2499]], 1)
    account = a3.account("m-42", consistent=True)
    assert before is not None
    assert account is not None
    assert account.version == before.version


def test_what_is_stored_holds_no_tracking_number(a3: Store) -> None:
    refund()
    written = [items.unpack(item["body"].value) for (pk, _), item in table().items() if pk.startswith("D#")]
    assert len(written) == 1
    assert "1Z 999" not in json.dumps(written)


def test_a_repeat_gets_the_same_answer_for_ever(a3: Store, requests_made: list[str]) -> None:
    first = refund()
    del requests_made[:]
    again = refund(NOW + days(1))
    post(a3, "order.refunded", {"order_id": "o-1001", "full": True}, NOW + days(2))
    much_later = refund(NOW + days(800))

    assert again == first
    assert much_later == first
    assert requests_made.count("GetItem") >= 2
    # one write, that of the posting: a repeat reads, and that is all
    assert requests_made.count("TransactWriteItems") == 1


def test_the_same_request_in_other_words_is_a_repeat(a3: Store) -> None:
    first = refund()
    body = dict(reversed(list(refund_body(seller_approved_at="2026-11-21T17:40:00+01:00").items())))
    event = invocation("expedited_refund", json.dumps(body, indent=2))
    assert call("expedited_refund", event) == (200, first)


@pytest.mark.parametrize("changes", [{"amount": "24.98"}, {"order_eligible": False}, {"member_id": "m-43"}])
def test_another_body_under_the_same_request_id_is_a_conflict(a3: Store, changes: Body) -> None:
    refund()
    before = table()
    status, problem = call("expedited_refund", invocation("expedited_refund", refund_body(**changes)))

    assert (status, problem["code"]) == (409, "request_id_reused")
    assert problem["detail"] == "this request_id has been used with another body"
    assert table() == before


def test_pending_until_the_order_and_the_seller_have_come(a3: Store) -> None:
    waiting: Body = {"order_id": "o-late", "seller_approved_at": "2026-11-23T00:00:00Z"}
    pending = refund(**waiting)
    assert pending["decision"] == "pending"
    assert missing(pending) == ["order_is_members", "seller_approved"]
    assert keys("PAYOUT#") == []
    assert a3.velocity("m-42") == ([], 0)

    buy(a3, "o-late", "24.99", NOW + days(1))
    later = NOW + days(2)
    assert refund(later, **waiting) == pending
    assert refund(later, **waiting, request_id="r-later")["decision"] == "approved"
    assert refund(later, **waiting) == pending


def test_a_refund_parked_before_its_order_is_no_order(a3: Store) -> None:
    post(a3, "order.refunded", {"order_id": "o-parked", "full": True}, NOW - days(1))
    assert missing(refund(order_id="o-parked")) == ["order_is_members"]

    buy(a3, "o-parked", "24.99", NOW - days(1))
    assert failing(refund(order_id="o-parked", request_id="r-again")) == ["amount_within_order"]


def test_an_order_is_paid_once(a3: Store) -> None:
    first = refund()
    second = refund(NOW + days(60), request_id="r-second", dispute_id="d-other")

    assert second["decision"] == "declined"
    assert failing(second) == ["not_paid_before"]
    payout = a3.payout("o-1001")
    assert payout is not None
    assert payout["decision_id"] == first["decision_id"]


def test_an_order_is_paid_once_whoever_asks(a3: Store) -> None:
    buy(a3, "o-43", "600.00", NOW - days(40), "m-43")
    buy(a3, "o-1001", "25.00", NOW - days(10), "m-43")
    refund()
    assert failing(refund(request_id="r-43", member_id="m-43")) == ["not_paid_before"]


def test_an_order_of_another_member_stays_missing(a3: Store) -> None:
    buy(a3, "o-43", "24.99", NOW - days(1), "m-43")
    assert missing(refund(order_id="o-43")) == ["order_is_members"]


def test_five_approvals_in_thirty_days_and_no_sixth(a3: Store) -> None:
    for number in range(7):
        buy(a3, f"o-{number}", "10.00", NOW - days(1))

    def ask(number: int, at: datetime, request_id: str) -> dict[str, Any]:
        return refund(at, order_id=f"o-{number}", amount="10.00", request_id=request_id)

    for number in range(5):
        assert ask(number, NOW + days(number), f"r-{number}")["decision"] == "approved"
    assert failing(ask(5, NOW + days(5), "r-5")) == ["velocity_count"]
    end = NOW + timedelta(hours=720)
    assert failing(ask(5, end - timedelta(milliseconds=1), "r-6")) == ["velocity_count"]
    # exactly 720 hours after the first approval it no longer counts
    assert ask(5, end, "r-7")["decision"] == "approved"
    assert failing(ask(6, end, "r-8")) == ["velocity_count"]
    # what can no longer count is not kept
    rows, version = a3.velocity("m-42")
    assert (len(rows), version) == (5, 6)


def test_four_times_the_limit_in_value(a3: Store) -> None:
    for number in range(5):
        buy(a3, f"o-{number}", "25.00", NOW - days(1))
    for number in range(3):
        decision = refund(order_id=f"o-{number}", amount="25.00", request_id=f"r-{number}")
        assert decision["decision"] == "approved"
    fourth = refund(order_id="o-3", amount="24.99", request_id="r-3")
    assert fourth["decision"] == "approved"
    assert failing(refund(order_id="o-4", amount="0.02", request_id="r-4")) == ["velocity_value"]
    assert refund(order_id="o-4", amount="0.01", request_id="r-5")["decision"] == "approved"


def test_an_unknown_member_is_declined_and_gets_no_account(store: Store) -> None:
    decision = refund()
    assert decision["decision"] == "declined"
    assert decision["tier"] == "A0"
    assert failing(decision) == ["tier_entitles"]
    assert outcome(decision, "order_is_members") == "missing"
    made = f"D#{decision['decided_at'].removesuffix('Z')}#{decision['decision_id']}"
    assert sorted(table()) == [(f"D#{decision['decision_id']}", "-"), ("M#m-42", made)]


def test_the_one_switch_declines_all(a3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EXPEDITED_REFUNDS", "off")
    assert failing(refund()) == ["switched_on"]
    monkeypatch.setenv("EXPEDITED_REFUNDS", "on")
    assert refund(request_id="r-on")["decision"] == "approved"


# --- settled first ------------------------------------------------------------------------------------------


def test_a_tier_that_has_run_out_declines_and_is_posted(store: Store) -> None:
    """The sweeps have not run: the decision takes the member where a punctual one would have."""
    buy(store, "o-500", "600.00", NOW - days(365))
    buy(store, "o-1001", "25.00", NOW - days(10))
    before = store.account("m-42", consistent=True)
    decision = refund()

    assert (decision["tier"], failing(decision)) == ("A1", ["tier_entitles"])
    account = store.account("m-42", consistent=True)
    assert before is not None
    assert account is not None
    assert account.program("club").points == 30
    assert account.version == before.version + 1
    assert any(pk.startswith("E#~expiry~m-42") for pk in keys("E#"))
    reviewed = [
        items.unpack(item["body"].value) for (pk, _), item in table().items() if pk.startswith("E#~tier_review~m-42")
    ]
    assert [entry["parts"]["club"]["receipt"]["to"] for entry in reviewed if "club" in entry["parts"]] == ["A1"]
    assert_whole(store)


def test_one_day_earlier_the_tier_still_stood(store: Store) -> None:
    buy(store, "o-500", "600.00", NOW - days(364))
    buy(store, "o-1001", "25.00", NOW - days(10))
    assert refund()["decision"] == "approved"


def test_an_approval_and_what_fell_due_are_one_transaction(store: Store, requests_made: list[str]) -> None:
    buy(store, "o-1", "600.00", NOW - days(370))
    buy(store, "o-2", "600.00", NOW - days(100))
    buy(store, "o-1001", "25.00", NOW - days(10))
    before = store.account("m-42", consistent=True)
    del requests_made[:]
    decision = refund()

    assert (decision["decision"], decision["tier"]) == ("approved", "A3")
    assert requests_made.count("TransactWriteItems") == 1
    account = store.account("m-42", consistent=True)
    assert before is not None
    assert account is not None
    assert account.version == before.version + 1
    assert account.program("club").points == 600 + 5 + 25 + 5
    assert_whole(store)


def test_whatever_fell_due_however_much_is_posted(store: Store, requests_made: list[str]) -> None:
    for number in range(25):
        buy(store, f"o-{number}", "25.00", NOW + days(number))
    before = store.account("m-42", consistent=True)
    del requests_made[:]
    decision = refund(NOW + days(800))

    assert decision["tier"] == "A0"
    account = store.account("m-42", consistent=True)
    assert before is not None
    assert account is not None
    assert account.seq - before.seq > 40
    # every write went through at once, and wrote the account
    assert requests_made.count("TransactWriteItems") == account.version - before.version == 2
    assert [account.program(name).points for name in PROGRAMS.ids] == [0, 0, 0]
    assert_whole(store)


def test_an_account_does_not_go_back_behind_what_was_posted(store: Store) -> None:
    """The expiry sweep of a new day was quicker than a request of the last moment of the day before."""
    buy(store, "o-500", "600.00", NOW - days(365))
    account = store.account("m-42", consistent=True)
    assert account is not None
    entries = settle(account, PROGRAMS, NOW, expiries_only=True)
    transaction = Transaction()
    write_account(transaction, store, PROGRAMS, account, entries)
    transaction.commit()

    assert account.program("club").tier == 3  # the demotion sweep has yet to come
    midnight = datetime(2026, 11, 22, tzinfo=UTC)
    assert refund(midnight - timedelta(milliseconds=1))["tier"] == "A0"
    assert_whole(store)


def test_a_request_that_is_older_than_the_last_posting_is_decided_on_it(a3: Store) -> None:
    buy(a3, "o-after", "10.00", NOW + timedelta(seconds=5))
    decision = refund(NOW)
    assert (decision["decision"], decision["decided_at"]) == ("approved", "2026-11-22T10:15:00Z")


# --- at the same time ---------------------------------------------------------------------------------------


def test_two_requests_for_one_order_at_once_pay_once(a3: Store, meanwhile: Meanwhile) -> None:
    rival: list[dict[str, Any]] = []
    meanwhile(lambda: rival.append(refund(request_id="r-rival")))
    decision = refund()

    assert rival[0]["decision"] == "approved"
    assert failing(decision) == ["not_paid_before"]


def test_two_members_at_once_are_not_both_paid_for_one_order(a3: Store, meanwhile: Meanwhile) -> None:
    buy(a3, "o-43", "600.00", NOW - days(40), "m-43")
    buy(a3, "o-1001", "25.00", NOW - days(10), "m-43")
    rival: list[dict[str, Any]] = []
    meanwhile(lambda: rival.append(refund(request_id="r-43", member_id="m-43")))
    decision = refund()

    assert rival[0]["decision"] == "approved"
    assert failing(decision) == ["not_paid_before"]
    payout = a3.payout("o-1001")
    assert payout is not None
    assert payout["member_id"] == "m-43"


def test_two_requests_of_one_member_at_once_keep_the_limits(a3: Store, meanwhile: Meanwhile) -> None:
    for number in range(6):
        buy(a3, f"o-{number}", "10.00", NOW - days(1))
    for number in range(4):
        refund(order_id=f"o-{number}", amount="10.00", request_id=f"r-{number}")
    rival: list[dict[str, Any]] = []
    meanwhile(lambda: rival.append(refund(order_id="o-4", amount="10.00", request_id="r-4")))
    decision = refund(order_id="o-5", amount="10.00", request_id="r-5")

    assert rival[0]["decision"] == "approved"
    assert failing(decision) == ["velocity_count"]


def test_the_first_two_approvals_of_a_member_at_once_both_count(a3: Store, meanwhile: Meanwhile) -> None:
    buy(a3, "o-2", "25.00", NOW - days(1))
    meanwhile(lambda: refund(order_id="o-2", request_id="r-rival"))
    assert refund()["decision"] == "approved"
    rows, version = a3.velocity("m-42")
    assert (len(rows), version) == (2, 2)


def test_an_order_cancelled_meanwhile_is_not_paid(a3: Store, meanwhile: Meanwhile) -> None:
    meanwhile(lambda: post(a3, "order.cancelled", {"order_id": "o-1001"}, NOW))
    decision = refund()
    assert failing(decision) == ["amount_within_order"]
    assert keys("PAYOUT#") == []


def test_a_tier_lost_meanwhile_does_not_pay(a3: Store, meanwhile: Meanwhile) -> None:
    meanwhile(lambda: post(a3, "order.cancelled", {"order_id": "o-500"}, NOW))
    assert failing(refund()) == ["tier_entitles"]


def test_what_fell_due_is_posted_once_when_two_decide_at_once(store: Store, meanwhile: Meanwhile) -> None:
    buy(store, "o-500", "600.00", NOW - days(365))
    meanwhile(lambda: refund(request_id="r-rival"))
    refund()
    assert len(keys("D#")) == 2
    assert_whole(store)


def test_the_same_request_twice_at_once_is_one_decision(a3: Store, meanwhile: Meanwhile) -> None:
    rival: list[dict[str, Any]] = []
    meanwhile(lambda: rival.append(refund()))
    assert refund(NOW + timedelta(seconds=1)) == rival[0]
    assert rival[0]["decision"] == "approved"
    assert len(keys("D#")) == len(keys("PAYOUT#")) == 1


def test_who_comes_second_is_answered_though_there_is_no_time_to_try_again(a3: Store, meanwhile: Meanwhile) -> None:
    declined: Body = {"order_eligible": False}
    meanwhile(lambda: refund(**declined))

    status, decision = call("expedited_refund", invocation("expedited_refund", refund_body(**declined)), millis=500)

    assert (status, decision) == (200, refund(**declined))


def test_the_same_request_twice_at_once_is_one_decision_also_where_it_pays_nothing(
    a3: Store, meanwhile: Meanwhile
) -> None:
    rival: list[dict[str, Any]] = []
    meanwhile(lambda: rival.append(refund(seller_approved_at=None)))
    assert refund(NOW + timedelta(seconds=1), seller_approved_at=None) == rival[0]
    assert rival[0]["decision"] == "pending"
    assert refund(seller_approved_at=None) == rival[0]


@pytest.mark.parametrize("changes", [{"order_id": "o-500"}, {"order_eligible": False}])
def test_another_body_at_once_is_a_conflict(a3: Store, meanwhile: Meanwhile, changes: Body) -> None:
    rival: list[dict[str, Any]] = []
    meanwhile(lambda: rival.append(refund(**changes)))
    status, problem = call("expedited_refund", SAMPLES["expedited_refund"])
    assert (status, problem["code"]) == (409, "request_id_reused")
    assert keys("PAYOUT#") == [f"PAYOUT#{each['order_id']}" for each in rival if "payout" in each]


def generous() -> Programs:
    """The shipped programs, with refunds for everybody and for orders that the ledger doesn't hold."""
    files = [copy.deepcopy(PROGRAMS.versions(each)[0].data) for each in PROGRAMS.ids]
    for privilege in (each for data in files for each in data["privileges"]):
        if privilege["code"] == "expedited_refund":
            privilege.update(limits={"A0": "25.00"}, order_in_ledger_required=False)
    return Programs(files)


def test_an_account_that_appears_meanwhile_is_decided_on(store: Store, meanwhile: Meanwhile) -> None:
    programs = generous()
    request = parse_refund_request(REFUND, programs)
    meanwhile(lambda: buy(store, "o-1001", "20.00", NOW))
    decision = deciding.decide_refund(store, programs, request, NOW, True, environment.time_left(context(), 5.0))

    assert (decision["tier"], failing(decision)) == ("A1", ["amount_within_order"])


def test_a_member_without_an_account_can_be_approved_where_a_program_wants_it(store: Store) -> None:
    programs = generous()
    request = parse_refund_request(REFUND, programs)
    decision = deciding.decide_refund(store, programs, request, NOW, True, environment.time_left(context(), 5.0))

    assert (decision["tier"], decision["decision"]) == ("A0", "approved")
    assert store.account("m-42", consistent=True) is None


# --- when the table fails -----------------------------------------------------------------------------------


def losing_answers(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """The next transactions are carried out, but nobody hears of it."""
    original = Transaction.commit
    left = [number]

    def commit(self: Transaction) -> None:
        original(self)
        if left[0]:
            left[0] -= 1
            raise Busy("timeout")

    monkeypatch.setattr(Transaction, "commit", commit)


def test_an_answer_that_was_lost_is_found_again(a3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    losing_answers(monkeypatch, 1)
    assert refund()["decision"] == "approved"
    assert len(a3.velocity("m-42")[0]) == 1


def test_what_fell_due_is_posted_once_when_answers_are_lost(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(30):
        buy(store, f"o-{number}", "25.00", NOW + days(number))
    losing_answers(monkeypatch, 2)
    assert refund(NOW + days(800))["decision"] == "declined"
    assert_whole(store)


def test_when_time_runs_out_the_same_request_tells_the_truth(a3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    losing_answers(monkeypatch, 1)
    status, problem = call("expedited_refund", SAMPLES["expedited_refund"], millis=500)
    assert (status, problem["code"]) == (503, "store_unavailable")

    decision = refund(NOW + days(1))
    assert (decision["decision"], decision["decided_at"]) == ("approved", "2026-11-22T10:15:00Z")


def test_when_nothing_was_written_an_error_means_so(a3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    before = table()

    def commit(self: Transaction) -> None:
        raise Busy("throttled")

    monkeypatch.setattr(Transaction, "commit", commit)
    status, _ = call("expedited_refund", SAMPLES["expedited_refund"], millis=500)
    assert status == 503
    assert table() == before


# --- disputes -----------------------------------------------------------------------------------------------


def test_a_dispute_is_accelerated_and_stored(a4: Store) -> None:
    status, decision = call("dispute_acceleration", SAMPLES["dispute_acceleration"])

    assert status == 200
    assert (decision["decision"], decision["tier"], decision["queue"]) == ("approved", "A4", "dedicated")
    assert decision["review_due_at"] == "2026-12-01T09:00:00Z"
    stored = a4.decision(decision["decision_id"])
    assert stored is not None
    assert stored[0] == decision
    acceleration = a4.acceleration("d-77")
    assert acceleration is not None
    facts = ("decision_id", "member_id", "dispute_id", "decided_at", "review_due_at")
    assert acceleration == {name: decision[name] for name in facts}


def test_a_dispute_is_accelerated_once(a4: Store) -> None:
    first = dispute()
    assert dispute(NOW + days(3)) == first
    second = dispute(request_id="r-second", order_id="o-other", member_id="m-42")
    assert (second["decision"], second["queue"]) == ("declined", "standard")
    assert failing(second) == ["not_accelerated_before"]
    assert second["review_due_at"] == "2026-12-06T09:00:00Z"


def test_a_dispute_waits_for_its_escalation(a4: Store) -> None:
    pending = dispute(escalated_at=None)
    assert (pending["decision"], missing(pending)) == ("pending", ["dispute_escalated"])
    assert keys("DISPUTE#") == []
    assert dispute(NOW + days(1), request_id="r-later")["decision"] == "approved"
    assert dispute(escalated_at=None) == pending


def test_two_requests_for_one_dispute_at_once_accelerate_it_once(a4: Store, meanwhile: Meanwhile) -> None:
    meanwhile(lambda: dispute(request_id="r-rival"))
    assert failing(dispute()) == ["not_accelerated_before"]


def test_a_tier_below_does_not_accelerate(a3: Store) -> None:
    assert failing(dispute()) == ["tier_entitles"]


def test_a_tier_that_has_run_out_does_not_accelerate_and_is_posted(store: Store) -> None:
    buy(store, "o-2000", "2500.00", NOW - days(365))
    decision = dispute()
    assert (decision["tier"], failing(decision)) == ("A0", ["tier_entitles"])
    assert_whole(store)


def test_a_dispute_with_another_body_is_a_conflict(a4: Store) -> None:
    dispute()
    event = invocation("dispute_acceleration", {**DISPUTE, "review_due_at": "2026-12-07T09:00:00Z"})
    status, problem = call("dispute_acceleration", event)
    assert (status, problem["code"]) == (409, "request_id_reused")


def test_the_one_switch_for_disputes(a4: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPUTE_ACCELERATION", "off")
    assert failing(dispute()) == ["switched_on"]


def test_a_request_id_is_one_for_each_kind_of_decision(a4: Store) -> None:
    buy(a4, "o-1001", "25.00", NOW - days(1))
    accelerated, refunded = dispute(request_id="r-same"), refund(request_id="r-same")
    assert accelerated["decision"] == refunded["decision"] == "approved"
    assert accelerated["decision_id"] != refunded["decision_id"]


# --- who may ask, and how -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(APPS))
@pytest.mark.parametrize("scope", ["", "club:support", "club:decided", "club:read club:ingest club:admin"])
def test_without_the_scope_no_data_is_asked_for(store: Store, requests_made: list[str], name: str, scope: str) -> None:
    status, problem = call(name, invocation(name, {"request_id": 1}, scope=scope))
    assert (status, problem["code"]) == (403, "scope_required")
    assert requests_made == []

    call(name, invocation(name, SAMPLES[name]["body"], scope="club:read club:decide"))
    assert requests_made  # so the silence above was no deafness


@pytest.mark.parametrize(
    ("name", "body", "expected"),
    [
        (
            "expedited_refund",
            refund_body(member_id="me", amount=24.99, order_eligible="yes", seller_approved_at="now", extra=1),
            ["/extra", "/member_id", "/order_eligible", "/refund/amount", "/seller_approved_at"],
        ),
        (
            "expedited_refund",
            '{"request_id":"r-1","refund":{"amount":NaN,"kind":"full","kind":"full","currency":"EUR"}}',
            [
                "/dispute_id",
                "/member_id",
                "/order_eligible",
                "/order_id",
                "/refund/amount",
                "/refund/currency",
                "/refund/kind",
            ],
        ),
        (
            "dispute_acceleration",
            {**DISPUTE, "dispute_id": "d#77", "review_due_at": None},
            ["/dispute_id", "/review_due_at"],
        ),
        ("dispute_acceleration", "{", [""]),
        ("expedited_refund", "[]", [""]),
        ("expedited_refund", "", [""]),
    ],
)
def test_bad_input_is_refused_with_every_field_named(
    store: Store, requests_made: list[str], name: str, body: object, expected: list[str]
) -> None:
    status, problem = call(name, invocation(name, body))
    assert status == 400
    assert sorted(error["pointer"] for error in problem["errors"]) == expected
    assert requests_made == []


@pytest.mark.parametrize("name", sorted(APPS))
def test_a_body_that_is_too_large_is_refused(store: Store, requests_made: list[str], name: str) -> None:
    status, _ = call(name, invocation(name, " " * (256 * 1024 + 1)))
    assert status == 413
    assert requests_made == []


def test_logs_hold_ids_only(a3: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = io.StringIO()
    monkeypatch.setattr(APPS["expedited_refund"].logger.registered_handler, "stream", lines)
    decision = refund()
    logged = lines.getvalue()
    assert decision["decision_id"] in logged
    for private in ("1Z 999", "Parcel", "24.99"):
        assert private not in logged
