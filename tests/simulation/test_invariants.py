"""The checker itself: it passes a correct history, and tells of each thing in it that is made wrong.

A correct history is recorded once, as the world tells it of a club without faults. Each test tells a fresh checker the
same history with one thing changed, and names the invariant that must be broken by it.
"""

from __future__ import annotations

import copy
import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

import pytest

from club_rules.account import Account, apply_entry, encode_account
from tests.simulation.dynamodb import Change
from tests.simulation.invariants import Checker
from tests.simulation.judge_ledger import body_of
from tests.simulation.steps import (
    Advance,
    Answer,
    ApiRequest,
    BusEvents,
    Invocation,
    Observer,
    Step,
    Sweep,
    Violation,
)
from tests.simulation.world import World

START = datetime(2024, 5, 6, 10, tzinfo=UTC)
NOW = START + timedelta(days=1000)
CALLER = Invocation(1, "MemberApiFunction", None)


class Told(NamedTuple):
    """One thing that an observer was told: by which of its methods, with what."""

    method: str
    given: tuple[Any, ...]


class Recorder(Observer):
    """Keeps what it is told, as it was then."""

    def __init__(self) -> None:
        self.told: list[Told] = []

    def _keep(self, method: str, *given: Any) -> None:
        self.told.append(Told(method, copy.deepcopy(given)))

    def called(self, by: Invocation, operation: str, params: Mapping[str, Any]) -> None:
        self._keep("called", by, operation, params)

    def committed(self, by: Invocation, changes: Sequence[Change], now: datetime) -> None:
        self._keep("committed", by, changes, now)

    def accepted(self, entry: Mapping[str, Any], sent_at: datetime) -> None:
        self._keep("accepted", entry, sent_at)

    def answered(self, by: Invocation, request: ApiRequest, answer: Answer | None, now: datetime) -> None:
        self._keep("answered", by, request, answer, now)

    def published(self, detail_type: str, detail: Mapping[str, Any]) -> None:
        self._keep("published", detail_type, detail)

    def dead(self, queue: str, message: Mapping[str, Any], reason: str) -> None:
        self._keep("dead", queue, message, reason)

    def redriven(self, queue: str, message: Mapping[str, Any]) -> None:
        self._keep("redriven", queue, message)

    def finished(self, table: Sequence[Mapping[str, Any]], dead_letters: Sequence[Mapping[str, Any]]) -> None:
        self._keep("finished", table, dead_letters)


class Script:
    """A day and a year of a small club, in which each invariant has something to say."""

    start = START

    def steps(self) -> Iterator[Step]:
        """One member comes far, buys, is refunded; another watches; a year later all of it expires."""
        yield self.event("member.registered", {"birthday": "1990-05-20"}, "m-1")
        yield self.event("promotion.awarded", {"campaign_id": "c", "points": 2000, "program": "club"}, "m-1")
        yield self.event("promotion.awarded", {"campaign_id": "c", "points": 150, "program": "crowns"}, "m-1")
        yield self.event("order.completed", ORDER, "m-1")
        yield self.event("order.refunded", {"order_id": "o-2", "full": True}, "m-1")
        yield self.event("promotion.awarded", {"campaign_id": "c", "points": 5, "program": "club"}, "m-2")
        yield self.event("wishlist.item_added", {"item_id": "i-1"}, "m-2")
        yield self.event("order.lost", {}, "m-2")
        yield Advance(timedelta(hours=3))
        yield self.event("price.dropped", {"item_id": "i-1", **DROP}, None)
        yield self.refund("r-1")
        yield Advance(timedelta(hours=1))
        yield self.refund("r-1")
        yield self.refund("r-2")
        yield ApiRequest("POST", "/disputes/acceleration", "shop", ("club:decide",), "", DISPUTE, id=7)
        yield ApiRequest("POST", "/members/m-2/adjustments", "op", ("club:admin",), "", ADJUSTMENT, id=8)
        yield ApiRequest("POST", "/activities", "shop", ("club:ingest",), "", ACTIVITIES, id=9)
        yield Advance(timedelta(hours=1))
        yield ApiRequest("GET", "/members/m-1", "m-1", ("club:read",), id=10)
        for days in (40, 400):
            yield Advance(timedelta(days=days))
            yield Sweep("ExpirySweep")
            yield Advance(timedelta(hours=1))
            yield Sweep("DemotionSweep")
            yield Sweep("RewardSweep")
            yield Advance(timedelta(hours=1))

    def afterwards(self) -> Iterator[Step]:
        """Nothing more is asked for."""
        return iter(())

    def event(self, kind: str, data: Mapping[str, Any], member_id: str | None) -> BusEvents:
        """One event on the bus."""
        detail = {"event_id": f"{kind}:{len(json.dumps(data))}:{member_id}", "occurred_at": "2024-05-06T09:00:00Z"}
        detail |= {"data": data, **({} if member_id is None else {"member_id": member_id})}  # type: ignore[dict-item]
        return BusEvents([{"Source": "marketplace", "DetailType": kind, "Detail": detail}])

    def refund(self, request_id: str) -> ApiRequest:
        """A request for the refund of the order."""
        return ApiRequest(
            "POST",
            "/refunds/expedited",
            "shop",
            ("club:decide",),
            "",
            {**REFUND, "request_id": request_id},
            id=int(request_id[2:]),
        )


LINE = {"item_id": "i-1", "seller_id": "s-1", "category": "toys", "unit_price": "12.00", "quantity": 1}
ORDER = {"order_id": "o-1", "currency": "USD", "lines": [LINE], "flags": []}
DROP = {"old_price": "10.00", "new_price": "8.00", "currency": "USD"}
REFUND = {
    "member_id": "m-1",
    "order_id": "o-1",
    "dispute_id": "d-1",
    "refund": {"kind": "full", "amount": "12.00", "currency": "USD"},
    "seller_approved_at": "2024-05-06T08:00:00Z",
    "return_shipment": {"carrier": "post", "tracking_number": "R", "first_scan_at": None},
    "order_eligible": True,
}
DISPUTE = {
    "request_id": "a-1",
    "member_id": "m-1",
    "dispute_id": "d-2",
    "order_id": "o-1",
    "escalated_at": "2024-05-06T08:00:00Z",
    "review_due_at": "2024-06-06T08:00:00Z",
}
ADJUSTMENT = {"adjustment_id": "adj-1", "program": "club", "points": 20, "reason": "a slip"}
VISIT = {"event_id": "v-1", "type": "visit.recorded", "member_id": "m-2", "occurred_at": "2024-05-06T12:00:00Z"}
ACTIVITIES = {"events": [VISIT]}


@cache
def history() -> tuple[Told, ...]:
    """What a world without faults tells of the script."""
    recorder = Recorder()
    result = World(1, Script(), recorder, rates={}).run()
    assert result.failure is None, result.failure
    return tuple(recorder.told)


def tell(told: Sequence[Told]) -> Checker:
    """A checker that has been told all of it."""
    checker = Checker()
    for each in told:
        getattr(checker, each.method)(*each.given)
    return checker


def copied() -> list[Told]:
    """The correct history, to be made wrong."""
    return [Told(each.method, copy.deepcopy(each.given)) for each in history()]


def packed(body: Any) -> dict[str, bytes]:
    """A body as the table has it."""
    return {"B": zlib.compress(json.dumps(body, separators=(",", ":")).encode())}


def place_of(told: Sequence[Told], prefix: str, sk: str | None = None, *, last: bool = False) -> tuple[int, int]:
    """The first (or last) commit that changes an item of such a key, and the change's place in it."""
    found = [
        (place, number)
        for place, each in enumerate(told)
        if each.method == "committed"
        for number, change in enumerate(each.given[1])
        if change.key["pk"]["S"].startswith(prefix) and sk in (None, change.key["sk"]["S"])
    ]
    return found[-1 if last else 0]


def broken(told: Sequence[Told], invariant: str, about: str = "") -> None:
    """The history, told, breaks this invariant, and says so."""
    with pytest.raises(Violation) as found:
        tell(told)
    assert found.value.invariant == invariant, found.value
    assert about in str(found.value)


def with_body(told: list[Told], prefix: str, change_body: Callable[[Any], None], **where: Any) -> list[Told]:
    """The history with another body in the first item of such a key."""
    place, number = place_of(told, prefix, **where)
    item = dict(told[place].given[1][number].new)
    body = body_of(item)
    change_body(body)
    item["body"] = packed(body)
    told[place].given[1][number] = told[place].given[1][number]._replace(new=item)
    return told


ENTRY = "E#order.completed"


def test_a_correct_history_passes_and_every_thing_is_judged() -> None:
    stats = tell(history()).stats
    for name in ("I1", "I2", "I3", "I3 entries", "I3 reads", "I4", "I4 disputes", "I5", "I5 letters", "I6", "I8"):
        assert stats[name] > 0, name
    for name in ("I8 runs", "I9", "I11", "standing", "rewards", "alerts", "lists", "announcements", "verify", "brake"):
        assert stats[name] > 0, name


def test_i1_a_number_is_left_out() -> None:
    broken(with_body(copied(), ENTRY, lambda entry: entry.update(seq=entry["seq"] + 1)), "I1")


def test_i1_a_balance_does_not_follow() -> None:
    def wrong(entry: Any) -> None:
        entry["parts"]["club"]["balance"] += 1

    broken(with_body(copied(), ENTRY, wrong), "I1", "balance")


def test_i1_the_account_is_not_the_sum() -> None:
    def wrong(account: Any) -> None:
        account["p"].setdefault("club", {})["b"] = 12_345

    broken(with_body(copied(), "M#m-1", wrong, sk="J~", last=True), "I1", "account of m-1")


def test_i1_an_entry_comes_without_its_account() -> None:
    told = copied()
    place, _ = place_of(told, ENTRY)
    kept = [change for change in told[place].given[1] if change.key["sk"]["S"] != "J~"]
    told[place].given[1][:] = kept
    broken(told, "I1", "account does not say so")


def test_i1_a_version_is_written_twice() -> None:
    told = copied()
    place, number = place_of(told, "M#m-1", "J~", last=True)
    change = told[place].given[1][number]
    version = {"N": str(int(change.new["version"]["N"]) - 1)}
    told[place].given[1][number] = change._replace(new={**change.new, "version": version})
    broken(told, "I1", "version")


def test_i2_an_entry_has_another_key_than_its_event() -> None:
    told = copied()
    place, number = place_of(told, ENTRY)
    change = told[place].given[1][number]
    key = {**change.key, "pk": {"S": "E#random"}}
    body = {**body_of(change.new), "key": "random", "entry_id": "random"}
    told[place].given[1][number] = Change(change.table, key, None, {**change.new, **key, "body": packed(body)})
    broken(told, "I2")


def test_i2_an_entry_says_what_nobody_sent() -> None:
    def wrong(entry: Any) -> None:
        entry["data"]["lines"][0]["unit_price"] += 1

    broken(with_body(copied(), ENTRY, wrong), "I2", "no accepted message")


def test_i3_an_event_gives_a_point_too_much_and_everything_adds_up() -> None:
    def one_more(entry: Any) -> None:
        (part,) = entry["parts"].values()
        part["points"] += 1
        part["balance"] += 1
        part["lots"][0][1] += 1

    told = with_body(copied(), "E#promotion.awarded", one_more)
    place, _ = place_of(told, "E#promotion.awarded")
    entries = [
        body_of(change.new)
        for each in told[: place + 1]
        for change in (each.given[1] if each.method == "committed" else ())
        if change.key["pk"]["S"].startswith("E#")
    ]
    account = Account(entries[-1]["member_id"])
    for entry in entries:
        if entry["member_id"] == account.member_id:
            apply_entry(account, entry)
    where = next(n for n, change in enumerate(told[place].given[1]) if change.key["sk"]["S"] == "J~")
    change = told[place].given[1][where]
    told[place].given[1][where] = change._replace(new={**change.new, "body": packed(encode_account(account))})
    broken(told, "I3")


def test_i3_a_read_shows_another_tier() -> None:
    told = copied()
    place = next(n for n, each in enumerate(told) if each.method == "answered" and each.given[1].id == 10)
    told[place].given[2].body["programs"]["club"]["tier"] = "A1"
    broken(told, "I3", "is shown")


def test_i3_an_event_is_posted_as_of_another_moment() -> None:
    told = copied()
    place = next(
        n for n, each in enumerate(told) if each.method == "accepted" and "order" in each.given[0]["detail-type"]
    )
    told[place] = Told("accepted", (told[place].given[0], told[place].given[1] + timedelta(seconds=9)))
    broken(told, "I3", "sent at no such time")


def test_i4_more_is_approved_than_remains() -> None:
    refund = {"event_id": "r", "type": "order.refunded", "data": {"order_id": "o-1", "amount": "0.50"}}
    told, (place, _) = copied(), place_of(history(), "D#")
    checker = tell(told[:place])
    checker.seen.member("m-1").opinion.orders[0].undone_by.append(refund)
    with pytest.raises(Violation) as found:
        checker.committed(*told[place].given)
    assert found.value.invariant == "I4"
    assert "the rules give declined" in str(found.value)


def test_i4_an_order_is_paid_twice() -> None:
    def approve(decision: Any) -> None:
        decision["decision"] = "approved"

    told = copied()
    decisions = [
        (place, number)
        for place, each in enumerate(told)
        if each.method == "committed"
        for number, change in enumerate(each.given[1])
        if change.key["pk"]["S"].startswith("D#") and body_of(change.new)["request_id"] == "r-2"
    ]
    ((place, number),) = decisions
    change = told[place].given[1][number]
    body = body_of(change.new)
    approve(body)
    told[place].given[1][number] = change._replace(new={**change.new, "body": packed(body)})
    broken(told, "I4", "r-2 was approved")


def test_i4_a_payout_comes_without_its_decision() -> None:
    told = copied()
    place, _ = place_of(told, "PAYOUT#")
    told[place].given[1][:] = [each for each in told[place].given[1] if each.key["pk"]["S"].startswith("PAYOUT#")]
    broken(told, "I4", "no decision")


def test_i4_an_approval_is_forgotten_by_the_limits() -> None:
    broken(with_body(copied(), "M#m-1", lambda rows: rows.clear(), sk="V"), "I4", "kept is []")


def test_i5_an_event_is_accepted_and_lost() -> None:
    told = copied()
    event = {"event_id": "lost", "member_id": "m-1", "occurred_at": "2024-05-06T09:00:00Z", "data": {}}
    told.insert(0, Told("accepted", ({"detail-type": "visit.recorded", "detail": event}, START)))
    broken(told, "I5", "lost")


@pytest.mark.parametrize("reason", ["event_id_reused", "member_erased", "invalid_input"])
def test_i5_a_dead_letter_has_a_reason_that_is_not_so(reason: str) -> None:
    told = copied()
    accepted = next(
        n for n, each in enumerate(told) if each.method == "accepted" and "order" in each.given[0]["detail-type"]
    )
    body = json.dumps(told[accepted].given[0])
    told.insert(accepted + 1, Told("dead", ("ActivityDeadLetters", {"body": body, "message_id": "1"}, reason)))
    broken(told, "I5", "which is not so")


def test_i5_the_door_claims_what_never_reached_the_queue() -> None:
    told = copied()
    told = [each for each in told if each.method != "accepted" or each.given[0]["detail"]["event_id"] != "v-1"]
    told = told[: next(n for n, each in enumerate(told) if each.method == "answered" and each.given[1].id == 9) + 1]
    told = [each for each in told if each.method != "committed" or "v-1" not in str(each.given[1])]
    broken(told, "I5", "never reached the queue")


@pytest.mark.parametrize("number", [1, 7, 8])
def test_i6_an_answer_is_not_what_is_stored(number: int) -> None:
    told = copied()
    place = next(n for n, each in enumerate(told) if each.method == "answered" and each.given[1].id == number)
    by, request, answer, now = told[place].given
    wrong = {"club": "mine"} if number != 8 else answer.body
    told[place] = Told("answered", (by, request, Answer(200 if number != 8 else 202, wrong), now))
    broken(told, "I6")


def test_i6_an_adjustment_is_posted_that_nobody_asked_for() -> None:
    told = copied()
    place, _ = place_of(told, "E#adjustment")
    by, changes, now = told[place].given
    told[place] = Told("committed", (by._replace(request=None), changes, now))
    broken(told, "I6", "nobody asked")


def test_i7_an_entry_changes() -> None:
    told = copied()
    place, number = place_of(told, ENTRY)
    change = told[place].given[1][number]
    again = change._replace(old=change.new, new={**change.new, "body": packed({**body_of(change.new), "type": "x"})})
    told.insert(place + 1, Told("committed", (told[place].given[0], [again], told[place].given[2])))
    broken(told, "I7", "has changed")


def test_i7_something_disappears() -> None:
    told = copied()
    place, number = place_of(told, ENTRY)
    change = told[place].given[1][number]
    told.insert(place + 1, Told("committed", (told[place].given[0], [change._replace(new=None, old=change.new)], NOW)))
    broken(told, "I7", "disappeared")


def test_i8_a_lot_expires_by_more_than_it_holds() -> None:
    def wrong(entry: Any) -> None:
        for part in entry["parts"].values():
            part["lots"][0][1] -= 1

    broken(with_body(copied(), "E#~expiry", wrong), "I8", "expires by")


def test_i8_a_lot_expires_before_its_day() -> None:
    def wrong(entry: Any) -> None:
        for part in entry["parts"].values():
            part["lots"][0][0] += 1

    broken(with_body(copied(), "E#~expiry", wrong), "I8")


def test_i8_an_account_is_not_where_it_is_looked_for() -> None:
    told = copied()
    place, number = place_of(told, "M#m-1", "J~", last=True)
    for place, each in enumerate(told):
        for number, change in enumerate(each.given[1] if each.method == "committed" else ()):
            if change.key["sk"]["S"] == "J~" and "due_at" in change.new:
                late = {**change.new, "due_at": {"S": "2099-01-01T00:00:00Z"}}
                told[place].given[1][number] = change._replace(new=late)
                broken(told, "I8", "index")
                return
    raise AssertionError("no account is ever due")


def test_i8_a_run_passes_over_somebody() -> None:
    last, _ = place_of(history(), "SWEEP#ExpirySweep", last=True)
    told = [
        each
        for each in copied()[: last + 1]
        if each.method == "accepted"
        or (
            each.method == "committed"
            and not (each.given[0].function.startswith("Expiry") and each.given[1][0].key["pk"]["S"][0] in "EM")
        )
    ]
    broken(told, "I8", "passed over")


def test_i8_a_run_goes_back() -> None:
    told = copied()
    place, number = place_of(told, "SWEEP#", "-")
    change = told[place].given[1][number]
    more = {**change.new, "open_shards": {"N": "9"}}
    told.insert(place + 1, Told("committed", (told[place].given[0], [change._replace(old=change.new, new=more)], NOW)))
    broken(told, "I8", "begun again")


def test_i9_a_list_is_not_what_occurred_last() -> None:
    told = copied()
    for item in told[-1].given[0]:
        if item["sk"]["S"].startswith("W#"):
            item["body"] = packed({"wishlist": ["2024-05-06T09:00:00Z", False]})
    broken(told, "I9")


def test_i9_another_order_gives_other_points(monkeypatch: pytest.MonkeyPatch) -> None:
    from tests.simulation.opinion import Opinion, View

    monkeypatch.setattr(Opinion, "in_another_order", lambda *_: {"club": View(7, "A1", None)})
    broken(copied(), "I9", "in another order")


def test_i10_a_letter_is_left_that_was_only_tried_too_often() -> None:
    told = copied()
    told.insert(-1, Told("dead", ("ExpirySweepDeadLetters", {"body": "{}", "message_id": "1"}, "retries_exhausted")))
    broken(told, "I10")


def test_i10_a_run_never_ends() -> None:
    told = copied()
    for item in told[-1].given[0]:
        if item["pk"]["S"].startswith("SWEEP#") and item["sk"]["S"] == "-":
            item["open_shards"] = {"N": "1"}
    broken(told, "I10", "never ended")


@pytest.mark.parametrize("answer", [None, Answer(503, {})])
def test_i10_a_caller_never_hears(answer: Answer | None) -> None:
    told = copied()
    for place, each in enumerate(told):
        if each.method == "answered" and each.given[1].id == 7:
            told[place] = Told("answered", (*each.given[:2], answer, each.given[3]))
    broken(told, "I10", "never got")


@pytest.mark.parametrize(
    ("operation", "params"),
    [
        ("GetItem", {"Key": {"pk": {"S": "M#m-2"}, "sk": {"S": "J~"}}}),
        ("BatchGetItem", {"RequestItems": {"t": {"Keys": [{"pk": {"S": "R#m-2"}, "sk": {"S": "-"}}]}}}),
        ("Query", {"ExpressionAttributeValues": {":0": {"S": "M#m-2"}}}),
        ("Query", {"IndexName": "due", "ExpressionAttributeValues": {}}),
        ("TransactWriteItems", {"TransactItems": [{"Put": {"Item": {"pk": {"S": "M#m-2"}, "sk": {"S": "P"}}}}]}),
    ],
)
def test_i11_a_request_touches_somebody_elses_data(operation: str, params: Mapping[str, Any]) -> None:
    request = ApiRequest("GET", "/members/me", "m-1", ("club:read",))
    told = [*copied()[:-1], Told("called", (CALLER._replace(request=request), operation, params))]
    broken(told, "I11")


def test_i11_a_denied_request_asks_the_table() -> None:
    request = ApiRequest("GET", "/members/m-2", "m-1", ("club:read",))
    params = {"Key": {"pk": {"S": "M#m-2"}, "sk": {"S": "J~"}}}
    broken([Told("called", (CALLER._replace(request=request), "GetItem", params))], "I11", "denied")


def test_i11_an_answer_is_anothers() -> None:
    told = copied()
    place = next(n for n, each in enumerate(told) if each.method == "answered" and each.given[1].id == 10)
    told[place].given[2].body["member_id"] = "m-2"
    broken(told, "I11", "tells of m-2")


def test_what_was_never_committed_is_announced() -> None:
    detail = {"event_id": "x~club~tier", "member_id": "m-1"}
    broken([*copied()[:-1], Told("published", ("tier.changed", detail))], "outbox", "never committed")


@pytest.mark.parametrize(
    "kind", ["tier.changed", "refund.expedited", "points.expired", "price.alert", "sweep.finished"]
)
def test_what_was_committed_is_never_announced(kind: str) -> None:
    broken([each for each in copied() if each.given[0] != kind], "outbox", "never announced")


def test_a_payout_is_announced_otherwise_than_it_was_decided() -> None:
    told = copied()
    place = next(n for n, each in enumerate(told) if each.given[0] == "refund.expedited")
    told[place].given[1]["payout"]["amount"] = "99.00"
    broken(told, "outbox", "99.00")


def test_a_member_is_counted_twice() -> None:
    told = copied()
    place, number = place_of(told, "STANDING#")
    change = told[place].given[1][number]
    members = {"N": str(int(change.new["members"]["N"]) + 1)}
    told[place].given[1][number] = change._replace(new={**change.new, "members": members})
    broken(told, "standing")


def test_a_member_is_counted_as_what_they_never_held() -> None:
    broken(with_body(copied(), "S#", lambda note: note["tiers"].update(club="A3")), "standing")


def test_a_member_is_counted_as_of_an_earlier_version() -> None:
    told = copied()
    place, number = place_of(told, "S#m-1", last=True)
    by, changes, now = copy.deepcopy(told[place].given)
    changes[:] = [changes[number]._replace(old=changes[number].new, new={**changes[number].new, "sk": {"S": "again"}})]
    told.insert(place + 1, Told("committed", (by, changes, now)))
    broken(told, "standing", "after")


def test_a_coupon_is_issued_twice() -> None:
    def twice(state: Any) -> None:
        state["issued"].append(state["issued"][-1])

    broken(with_body(copied(), "R#m-1", twice, last=True), "rewards", "twice")


def test_a_coupon_has_too_many_codes() -> None:
    def more(state: Any) -> None:
        coupon = next(each for each in state["issued"] if each["kind"] == "tier_coupon")
        coupon["codes"].append("another")

    told = copied()
    places = [
        (place, number)
        for place, each in enumerate(told)
        if each.method == "committed"
        for number, change in enumerate(each.given[1])
        if change.key["pk"]["S"] == "R#m-1" and "tier_coupon" in str(body_of(change.new).get("issued"))
    ]
    place, number = places[0]
    change = told[place].given[1][number]
    body = body_of(change.new)
    more(body)
    told[place].given[1][number] = change._replace(new={**change.new, "body": packed(body)})
    broken(told, "rewards", "the rules give")


def test_who_does_not_watch_is_alerted() -> None:
    told = copied()
    place, number = place_of(told, "ALERT#")
    change = told[place].given[1][number]
    key = {**change.key, "sk": {"S": "m-1"}}
    other = change._replace(key=key, new={**change.new, **key})
    told.insert(place + 1, Told("committed", (told[place].given[0], [other], told[place].given[2])))
    broken(told, "alerts", "not for them")


def test_who_watches_is_never_alerted() -> None:
    told = [
        each
        for each in copied()
        if not (each.method == "committed" and any("/m-2" in f"/{c.key['sk']['S']}" for c in each.given[1]))
        and each.given[0] != "price.alert"
    ]
    broken(told, "alerts", "never told")


def test_a_sweep_lowers_more_than_it_may() -> None:
    told = copied()

    def without_limit(run: Any) -> None:
        run["limits"] = {name: {**of, "limit": 0} for name, of in run["limits"].items()}

    place, number = place_of(told, "SWEEP#DemotionSweep", "-")
    places = [
        (n, m)
        for n, each in enumerate(told)
        if each.method == "committed"
        for m, change in enumerate(each.given[1])
        if change.key["pk"]["S"].startswith("SWEEP#DemotionSweep") and change.key["sk"]["S"] == "-"
    ]
    for place, number in places:
        change = told[place].given[1][number]
        body = body_of(change.new)
        if "limits" in body:
            without_limit(body)
        told[place].given[1][number] = change._replace(new={**change.new, "body": packed(body)})
    broken(told, "brake")


def test_verify_has_the_last_word() -> None:
    told = copied()
    for item in told[-1].given[0]:
        if item["pk"]["S"] == "M#m-1" and item["sk"]["S"] == "O#o-1":
            item["body"] = {"B": b"not ours"}
    with pytest.raises(Violation):
        tell(told)
