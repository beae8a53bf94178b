"""Callers who do as they please with one club, and what the contract promises them, checked after every step.

The account of what they may rely on is plain: which contents have been sent under which ids, and what was answered. How
many points an order earns is not computed here (tests/oracle does); that all answers fit together is.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from club_rules.times import parse_instant
from tests.contract import calls
from tests.contract.calls import MEMBERS, PROGRAMS, STRANGER, Body
from tests.contract.quick_stack import QuickStack

START = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)
EVENT_IDS = [f"e-{number}" for number in range(1, 25)]
ORDER_IDS = ["o-1", "o-2", "o-3", "o-4"]
REQUEST_IDS = ["r-1", "r-2", "r-3", "r-4", "r-5"]
ADJUSTMENT_IDS = ["a-1", "a-2"]
OPERATORS = ("op-1", "op-2")
ALONE_AT_MOST = 1000
LIMITS = {"A3": 2500, "A4": 10_000}
REFUND_CHECKS = {
    *("switched_on", "program_enabled", "tier_entitles", "refund_is_full", "amount_within_limit"),
    *("amount_within_order", "order_is_members", "order_eligible", "seller_approved", "return_shipped"),
    *("not_paid_before", "velocity_count", "velocity_value"),
}
DISPUTE_CHECKS = {"switched_on", "program_enabled", "tier_entitles", "dispute_escalated", "not_accelerated_before"}
READS = (
    "",
    "/privileges",
    "/rewards",
    "/statement?program=club",
    "/explanation?program=vip",
    "/outlook?program=crowns",
    "/export",
)


class Calls(RuleBasedStateMachine):
    """One club and its callers. ``stack`` is put here by who runs it."""

    stack: ClassVar[QuickStack]
    _tokens: ClassVar[dict[tuple[str, str], str]] = {}

    def __init__(self) -> None:
        super().__init__()
        self.now = START
        self.stack.empty(START)
        self.posted: dict[str, Body] = {}
        self.known: set[str] = set()
        self.erased: set[str] = set()
        self.letters: Counter[str] = Counter()
        self.decided: dict[tuple[str, str], tuple[Body, Body]] = {}
        self.adjusted: dict[str, tuple[tuple[str, Body], str, Body]] = {}  # by id: content, who asked, the answer

    # --- how callers call

    def ask(
        self, method: str, path: str, scopes: str, sub: str = "agent", body: Body | None = None, token: bool = True
    ) -> tuple[int, Any]:
        """Sends a request; gives status and body, once both are as every answer must be."""
        path, _, query = path.partition("?")
        headers = {"authorization": f"Bearer {self._token(sub, scopes)}"} if token else {}
        answer = self.stack.request(method, path, query, headers, body if body is not None else b"")
        if answer.status == 204:
            assert answer.body == b""
            return 204, None
        content = json.loads(answer.body)
        by_gateway = set(content) == {"message"}
        if answer.status >= 400 and not by_gateway:
            assert answer.headers["content-type"] == "application/problem+json"
            assert content["status"] == answer.status
            assert {"type", "title", "detail", "code"} <= content.keys()
            assert ("errors" in content) == (answer.status == 400)
        else:
            assert answer.headers["content-type"] == "application/json"
        assert by_gateway or answer.headers["cache-control"] == "no-store"
        assert answer.status < 500, content
        return answer.status, content

    def _token(self, sub: str, scopes: str) -> str:
        if (sub, scopes) not in self._tokens:
            self._tokens[sub, scopes] = self.stack.token(sub, scopes.split())
        return self._tokens[sub, scopes]

    def read(self, member: str, path: str) -> Any:
        """What support reads of a member who is there."""
        status, content = self.ask("GET", f"/members/{member}{path}", "club:support")
        assert status == 200, content
        return content

    def pages(self, member: str, path: str, name: str, limit: int) -> Iterator[Body]:
        """All rows of a list, page by page."""
        cursor, seen = "", set()
        while True:
            page = self.read(member, f"{path}{'&' if '?' in path else '?'}limit={limit}{cursor}")
            assert len(page[name]) <= limit
            yield from page[name]
            if page["cursor"] is None:
                return
            assert page["cursor"] not in seen
            seen.add(page["cursor"])
            cursor = f"&cursor={page['cursor']}"

    def there(self) -> list[str]:
        """The members who are there, in order."""
        return sorted(self.known - self.erased)

    def settle(self) -> None:
        """Works off what is queued: what became a dead letter is what had to."""
        self.stack.drain()
        assert Counter(letter["reason"] for letter in self.stack.dead_letters()) == self.letters

    # --- activity events

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        """Somebody has a tier that opens doors, and an order to ask for."""
        member = data.draw(st.sampled_from(MEMBERS))
        price = data.draw(st.sampled_from(("99.00", "600.00", "2500.00", "2500.00")))
        line = {"item_id": "i-1", "seller_id": "s-1", "unit_price": price, "quantity": 1}
        order = {"order_id": "o-1", "currency": "USD", "lines": [line]}
        self._send([self._event("begin", "order.completed", member, order)], ["begin"])

    def _event(self, event_id: str, kind: str, member: str, data: Body) -> Body:
        at = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        return {"event_id": event_id, "type": kind, "member_id": member, "occurred_at": at, "data": data}

    @rule(data=st.data())
    def post_activities(self, data: st.DataObject) -> None:
        """Good ones, bad ones, repeats and contradictions in one request: each is answered for itself."""
        events: list[Body] = []
        expected: list[str | tuple[str, str]] = []  # the id that is accepted, or what is refused: pointer, code
        admin = data.draw(st.booleans())
        seen: dict[str, Body] = {}
        for _ in range(data.draw(st.integers(1, 5))):
            event = data.draw(self._events())
            wrong = data.draw(st.sampled_from((None,) * 4 + calls.EVENT_FAULTS))
            sent = event if wrong is None else calls.spoilt(event, wrong)
            events.append(sent)
            if str(sent["type"]).startswith("violation.") and not admin:
                expected.append(("", "scope_required"))
            elif wrong is not None:
                expected.append((wrong.pointer, wrong.code))
            elif seen.setdefault(event["event_id"], event) != event:
                expected.append(("", "event_id_reused"))
            else:
                expected.append(event["event_id"])
        self._send(events, expected, "club:ingest club:admin" if admin else "club:ingest")

    def _events(self) -> st.SearchStrategy[Body]:
        """A new one, or one that has been sent before."""
        new = calls.activities(self.now, EVENT_IDS, ORDER_IDS, MEMBERS)
        before = [event for _, event in sorted(self.posted.items())]
        return st.one_of(new, new, new, st.sampled_from(before)) if before else new

    def _send(self, events: list[Body], expected: list[Any], scopes: str = "club:ingest") -> None:
        status, answer = self.ask("POST", "/activities", scopes, body={"events": events})
        assert status == 202
        assert answer["accepted"] == [each for each in expected if isinstance(each, str)]
        refused = [(index, each) for index, each in enumerate(expected) if not isinstance(each, str)]
        assert [each["index"] for each in answer["refused"]] == [index for index, _ in refused]
        for told, (index, (pointer, code)) in zip(answer["refused"], refused, strict=True):
            given = events[index]["event_id"]
            assert told["event_id"] == (given if isinstance(given, str) else None)
            assert told["code"] == code
            assert [(error["pointer"], error["code"]) for error in told["errors"]] == (
                [(pointer, code)] if pointer else []
            )
        taken = {
            event["event_id"]: event for event, each in zip(events, expected, strict=True) if isinstance(each, str)
        }
        self._take(taken.values())

    def _take(self, events: Iterable[Body]) -> None:
        """Those that were accepted are posted, or among the dead letters."""
        for event in events:
            if event["member_id"] in self.erased:
                self.letters["member_erased"] += 1
            elif self.posted.setdefault(event["event_id"], event) != event:
                self.letters["event_id_reused"] += 1
            else:
                self.known.add(event["member_id"])
        self.settle()

    @rule(data=st.data())
    def put_on_the_bus(self, data: st.DataObject) -> None:
        """The other door: what can't be posted is a dead letter with its reason."""
        event = data.draw(self._events())
        faults = [fault for fault in calls.EVENT_FAULTS if fault.pointer not in ("/type", "/extra")]
        wrong = data.draw(st.sampled_from((None, None, None, *faults)))
        sent = event if wrong is None else calls.spoilt(event, wrong)
        detail = {name: value for name, value in sent.items() if name != "type"}
        entry = {"Source": "marketplace", "DetailType": sent["type"], "Detail": json.dumps(detail)}
        (answer,) = self.stack.put_events([entry])
        assert "ErrorCode" not in answer
        if wrong is None:
            self._take([event])
        else:
            self.letters[wrong.code] += 1
            self.settle()

    @rule(item=st.sampled_from(calls.ITEMS), price=st.sampled_from(("9.00", "5.00")))
    def drop_a_price(self, item: str, price: str) -> None:
        """Who watches the item may hear of it, once."""
        data = {"item_id": item, "old_price": "10.00", "new_price": price, "currency": "USD"}
        at = f"{self.now:%Y-%m-%dT%H:%M:%SZ}"
        name = f"drop-{item}-{price}-{self.now.timestamp():.0f}"
        detail = json.dumps({"event_id": name, "occurred_at": at, "data": data})
        self.stack.put_events([{"Source": "marketplace", "DetailType": "price.dropped", "Detail": detail}])
        self.settle()

    # --- decisions

    @rule(data=st.data())
    def ask_for_a_refund(self, data: st.DataObject) -> None:
        """A new request, a repeat, the same id with other content, or one that is not well formed."""
        self._decide(data, "/refunds/expedited", calls.refunds, calls.REFUND_FAULTS)

    @rule(data=st.data())
    def ask_for_an_acceleration(self, data: st.DataObject) -> None:
        """The same of disputes."""
        self._decide(data, "/disputes/acceleration", calls.disputes, ())

    def _decide(self, data: st.DataObject, path: str, request: Any, faults: tuple[Any, ...]) -> None:
        held = [
            (event["member_id"], event["data"]["order_id"])
            for _, event in sorted(self.posted.items())
            if event["type"] == "order.completed"
        ]
        new = request(self.now, REQUEST_IDS, ORDER_IDS, held)
        before = [body for (kind, _), (body, _) in sorted(self.decided.items()) if kind == path]
        body = data.draw(st.one_of(new, new, st.sampled_from(before)) if before else new)
        if faults and data.draw(st.integers(0, 7)) == 0:
            wrong = data.draw(st.sampled_from(faults))
            status, problem = self.ask("POST", path, "club:decide", body=calls.spoilt(body, wrong))
            assert status == 400
            assert [(each["pointer"], each["code"]) for each in problem["errors"]] == [(wrong.pointer, wrong.code)]
            return
        known = self.decided.get((path, body["request_id"]))
        tier = self._tier(body["member_id"])
        status, answer = self.ask("POST", path, "club:decide", body=body)
        if known is not None and known[0] != body:
            assert (status, answer["code"]) == (409, "request_id_reused")
            return
        assert status == 200
        if known is not None:
            assert answer == known[1]
            return
        refund = path == "/refunds/expedited"
        expected = self._refund_checks(body, tier) if refund else self._dispute_checks(body, tier)
        outcomes = {check["code"]: check["outcome"] for check in answer["checks"]}
        assert outcomes.keys() == (REFUND_CHECKS if refund else DISPUTE_CHECKS)
        assert {code: outcomes[code] for code in expected} == expected
        found = set(outcomes.values())
        decision = "declined" if "fail" in found else "pending" if "missing" in found else "approved"
        assert (answer["decision"], answer["tier"], answer["member_id"]) == (decision, tier, body["member_id"])
        assert parse_instant(answer["decided_at"]) == self.now
        if refund:
            payout = {"amount": body["refund"]["amount"], "currency": "USD", "to": "original_payment_method"}
            assert answer.get("payout") == (payout if decision == "approved" else None)
        else:
            self._check_due(body, answer)
        self.decided[path, body["request_id"]] = (body, answer)
        assert self.ask("GET", f"/decisions/{answer['decision_id']}", "club:decide") == (200, answer)
        self.settle()

    def _tier(self, member: str) -> str:
        if member in self.there():
            tier: str = self.read(member, "")["programs"]["club"]["tier"]
            return tier
        return "A0"

    def _approved(self, path: str) -> list[tuple[Body, Body]]:
        found = [each for (kind, _), each in self.decided.items() if kind == path]
        return [(body, answer) for body, answer in found if answer["decision"] == "approved"]

    def _refund_checks(self, body: Body, tier: str) -> dict[str, str]:
        """What the contract and rules 1.10 say of each check that can be told without adding up an order."""
        amount, limit = _cents(body["refund"]["amount"]), LIMITS.get(tier)
        approved = self._approved("/refunds/expedited")
        held = body["member_id"] not in self.erased and any(
            event["type"] == "order.completed"
            and (event["member_id"], event["data"]["order_id"]) == (body["member_id"], body["order_id"])
            for event in self.posted.values()
        )
        mine = [
            _cents(asked["refund"]["amount"])
            for asked, answer in approved
            if asked["member_id"] == body["member_id"]
            and self.now - parse_instant(answer["decided_at"]) < timedelta(days=30)
        ]
        found = {
            "switched_on": "pass",
            "program_enabled": "pass",
            "tier_entitles": _passes(limit is not None),
            "refund_is_full": _passes(body["refund"]["kind"] == "full"),
            "amount_within_limit": "not_applicable" if limit is None else _passes(amount <= limit),
            "order_is_members": "pass" if held else "missing",
            "order_eligible": _passes(body["order_eligible"]),
            "seller_approved": "missing" if body["seller_approved_at"] is None else "pass",
            "return_shipped": "missing" if body["return_shipment"] is None else "pass",
            "not_paid_before": _passes(all(asked["order_id"] != body["order_id"] for asked, _ in approved)),
            "velocity_count": _passes(len(mine) < 5),
            "velocity_value": "not_applicable" if limit is None else _passes(sum(mine) + amount <= 4 * limit),
        }
        return found if held else {**found, "amount_within_order": "not_applicable"}

    def _dispute_checks(self, body: Body, tier: str) -> dict[str, str]:
        before = {asked["dispute_id"] for asked, _ in self._approved("/disputes/acceleration")}
        return {
            "switched_on": "pass",
            "program_enabled": "pass",
            "tier_entitles": _passes(tier == "A4"),
            "dispute_escalated": "missing" if body["escalated_at"] is None else "pass",
            "not_accelerated_before": _passes(body["dispute_id"] not in before),
        }

    def _check_due(self, body: Body, answer: Body) -> None:
        """Five days shorter, but never before the decision (rules 1.11)."""
        due = parse_instant(body["review_due_at"])
        if answer["decision"] == "approved":
            due = min(due, max(self.now, due - timedelta(days=5)))
        assert parse_instant(answer["review_due_at"]) == due

    # --- operators

    @rule(data=st.data(), member=st.sampled_from((*MEMBERS, STRANGER)), operator=st.sampled_from(OPERATORS))
    def adjust(self, data: st.DataObject, member: str, operator: str) -> None:
        """By one operator, or above the limit by two; an id stands for one content."""
        new = calls.adjustments(ADJUSTMENT_IDS)
        before = [content for content, _, _ in self.adjusted.values()]
        member, body = data.draw(st.one_of(new.map(lambda body: (member, body)), *map(st.just, before)))
        path = f"/members/{member}/adjustments"
        if data.draw(st.integers(0, 7)) == 0:
            wrong = data.draw(st.sampled_from(calls.ADJUSTMENT_FAULTS))
            status, problem = self.ask("POST", path, "club:admin", operator, calls.spoilt(body, wrong))
            assert status == 400
            assert (wrong.pointer, wrong.code) in [(each["pointer"], each["code"]) for each in problem["errors"]]
            return
        balance = self._balance(member, body["program"]) if member in self.there() else 0
        status, answer = self.ask("POST", path, "club:admin", operator, body)
        if member not in self.there():
            assert (status, answer["code"]) == (404, "member_not_found")
            return
        content, asked_by, first = self.adjusted.get(body["adjustment_id"], ((member, body), "", {}))
        if content != (member, body):
            assert (status, answer["code"]) == (409, "adjustment_id_reused")
            return
        amount = _measure(body)
        alone = abs(amount) <= ALONE_AT_MOST * (100 if body["program"] == "vip" else 1)
        if first.get("status") == "posted" or (first and asked_by == operator):
            assert answer == first
            assert status == (200 if first["status"] == "posted" else 202)
        elif alone or first:
            assert (status, answer["status"]) == (200, "posted")
            assert _measure(answer) == amount
            assert _value(answer["balance"]) == balance + amount == self._balance(member, body["program"])
            actors = (operator, None) if alone else (asked_by, operator)
            assert (answer["actor"], answer["confirmed_by"]) == actors
        else:
            assert (status, answer["status"], answer["requested_by"]) == (202, "awaiting_confirmation", operator)
            assert self._balance(member, body["program"]) == balance
        self.adjusted[body["adjustment_id"]] = ((member, body), asked_by or operator, answer)
        self.settle()

    @rule(member=st.sampled_from((*MEMBERS, STRANGER)), sure=st.integers(0, 2))
    def erase(self, member: str, sure: int) -> None:
        """Gone for ever; whoever was never there can't go."""
        if sure and member != STRANGER:
            return
        status, answer = self.ask("DELETE", f"/members/{member}", "club:admin", "op-1")
        if member in self.known:
            assert status == 204
            self.erased.add(member)
            assert [self.ask("GET", f"/members/{member}{path}", "club:support")[0] for path in READS] == [404] * len(
                READS
            )
        else:
            assert (status, answer["code"]) == (404, "member_not_found")
        self.settle()

    # --- time, and what it brings

    @rule(days=st.sampled_from((1 / 24, 1, 8, 31, 91, 366)))
    def wait(self, days: float) -> None:
        """Time goes by."""
        self.now += timedelta(days=days)
        self.stack.set_clock(self.now)

    @rule(name=st.sampled_from(("ExpirySweep", "DemotionSweep", "RewardSweep")), dry_run=st.booleans())
    def sweep(self, name: str, dry_run: bool) -> None:
        """Late or not, twice or not: it changes nothing of what a member reads, but for the rewards it grants."""
        before = {member: self._all_of(member, dry_run) for member in self.there()}
        self.stack.fire(name, self.now, dry_run=dry_run)
        assert {member: self._all_of(member, dry_run) for member in self.there()} == before
        self.settle()

    def _all_of(self, member: str, rewards: bool) -> Any:
        """Where a member stands, and what moved their points, but for the numbers of entries: a late sweep posts all
        expiries ahead of the reviews between them."""
        found = self.read(member, "")["programs"]
        for view in found.values():
            view.pop("standing")  # may lag, and a sweep is what it lags behind
            if not rewards:
                view.pop("rewards")
        rows = [row for program in PROGRAMS for row in self._statement(member, program) if _measure(row)]
        return found, sorted((row["program"], row["occurred_at"], row["kind"], _measure(row)) for row in rows)

    # --- reading

    def _statement(self, member: str, program: str) -> list[Body]:
        """The whole statement, oldest first: its rows add up."""
        rows = list(self.pages(member, f"/statement?program={program}", "entries", 100))[::-1]
        balance, tier = 0, None
        for row in rows:
            balance += _measure(row)
            assert _value(row["balance"]) == balance
            assert row["program"] == program
            assert sum(_measure(reason) for reason in row["reasons"]) == _measure(row)
            assert tier in (None, row["tier_before"])
            assert ("receipt_id" in row) == (row["tier_before"] != row["tier_after"])
            tier = row["tier_after"]
        assert sorted({row["seq"] for row in rows}) == [row["seq"] for row in rows]
        return rows

    def _balance(self, member: str, program: str) -> int:
        rows = self._statement(member, program)
        return _value(rows[-1]["balance"]) if rows else 0

    @rule(data=st.data(), program=st.sampled_from(PROGRAMS), limit=st.integers(1, 4))
    def read_it_all(self, data: st.DataObject, program: str, limit: int) -> None:
        """Every view of a member says the same."""
        if not self.there():
            return
        member = data.draw(st.sampled_from(self.there()))
        self._check_member(member, program, limit)

    def _check_member(self, member: str, program: str, limit: int) -> None:
        rows = self._statement(member, program)
        assert list(self.pages(member, f"/statement?program={program}", "entries", limit)) == rows[::-1]
        balance = _value(rows[-1]["balance"]) if rows else 0
        view = self.read(member, "")["programs"][program]
        assert _measure(view) == max(0, balance)
        assert view["tier"] == (rows[-1]["tier_after"] if rows else view["tier"])
        if view["next_tier"] is not None:
            assert _value(view["next_tier"]["from"]) - _value(view["next_tier"]["missing"]) in (balance, *_met(view))
        self._check_explanation(member, program, balance, view["tier"])
        ahead = self.read(member, f"/outlook?program={program}&days=40")
        assert (_measure(ahead["today"]), ahead["today"]["tier"]) == (max(0, balance), view["tier"])
        dates = [datetime.fromisoformat(row["date"]).date() for row in ahead["days"]]
        assert dates == [self.now.date() + timedelta(days=n) for n in range(1, 41)]
        privileges = {each["code"]: each for each in self.read(member, "/privileges")["privileges"]}
        shown = {each["code"]: each["granted"] for each in view["privileges"]}
        assert {code: privileges[code]["granted"] for code in shown} == shown
        rewards = self.read(member, "/rewards")["rewards"]
        assert len({each["reward_id"] for each in rewards}) == len(rewards)
        assert view["rewards"] == sum(each["valid"] and each["program"] == program for each in rewards)
        self._check_lists(member, limit)

    def _check_explanation(self, member: str, program: str, balance: int, tier: str) -> None:
        """The arithmetic closes, over all there is and from this day on."""
        for since in ("1990-01-01", f"{self.now:%Y-%m-%d}"):
            found = self.read(member, f"/explanation?program={program}&from={since}")
            causes = sum(_measure(cause) for cause in found["causes"])
            assert _measure(found["opening"]) + causes == _measure(found["closing"]) == balance
            assert found["closing"]["tier"] == tier
            for cause in found["causes"]:
                assert sum(_measure(row) for row in cause["entries"]) == _measure(cause)
            for receipt in found["receipts"]:
                explained = sum(_value(value) for value in _by_cause(receipt))
                assert _value(receipt["before"]) + explained == _value(receipt["after"])

    def _check_lists(self, member: str, limit: int) -> None:
        """Each entry and each decision once, whatever the pages; what was accepted is among the entries."""
        entries = list(self.pages(member, "/export", "entries", limit))
        assert [entry["seq"] for entry in entries] == list(range(1, len(entries) + 1))
        sent = {name for name, event in self.posted.items() if event["member_id"] == member}
        assert {entry["entry_id"] for entry in entries if entry["entry_id"] == entry["event_id"]} == sent
        adjusted = {
            body["adjustment_id"]
            for (of, body), _, answer in self.adjusted.values()
            if of == member and answer["status"] == "posted"
        }
        by_hand = [entry["entry_id"].rpartition("~")[2] for entry in entries if entry["type"] == "adjustment"]
        assert sorted(by_hand) == sorted(adjusted)
        decisions = list(self.pages(member, "/decisions", "decisions", limit))
        made = [answer for body, answer in self.decided.values() if body["member_id"] == member]
        assert sorted(decisions, key=_id) == sorted(made, key=_id)
        assert [each["decided_at"] for each in decisions] == sorted((each["decided_at"] for each in made), reverse=True)

    @rule(path=st.sampled_from(READS), member=st.sampled_from(MEMBERS))
    def look_at_somebody_else(self, path: str, member: str) -> None:
        """Another member's path answers as that of one who does not exist; nobody gets in without a token."""
        full = f"/members/{member}{path}"
        stranger = self.ask("GET", full, "club:read", STRANGER)
        assert stranger == self.ask("GET", f"/members/no-such-member{path}", "club:read", STRANGER)
        assert (stranger[0], stranger[1]["code"]) == (404, "member_not_found")
        assert self.ask("GET", full, "", token=False)[0] == 401
        assert self.ask("GET", full, "club:ingest")[0] == 403
        own = self.ask("GET", full, "club:read", member)
        if member in self.there():
            assert own == self.ask("GET", f"/members/me{path}", "club:read", member)
            assert own[0] == 200
            assert own[1].get("member_id", member) == member
        else:
            assert (own[0], own[1]["code"]) == (404, "member_not_found")
            assert self.ask("GET", full, "club:support")[0] == 404

    @rule(
        member=st.sampled_from(MEMBERS),
        asked=st.sampled_from(
            (
                ("/statement", "program"),
                ("/statement?program=gold", "program"),
                ("/statement?program=club&limit=0", "limit"),
                ("/statement?program=club&limit=101", "limit"),
                ("/statement?program=club&cursor=nothing", "cursor"),
                ("/statement?program=club&page=2", "page"),
                ("/explanation?program=vip&from=soon", "from"),
                ("/explanation?program=vip&from=2026-01-01&to=2999-01-01", "to"),
                ("/outlook?program=crowns&days=0", "days"),
                ("/export?limit=-1", "limit"),
                ("/rewards?all=1", "all"),
                ("?verbose=1", "verbose"),
            )
        ),
    )
    def ask_wrongly(self, member: str, asked: tuple[str, str]) -> None:
        """What is wrong with a query is named."""
        path, name = asked
        status, problem = self.ask("GET", f"/members/{member}{path}", "club:support")
        assert status == 400
        assert [error["pointer"] for error in problem["errors"]] == [f"/query/{name}"]

    # --- in the end

    def teardown(self) -> None:
        """What was announced is what happened, once each; and everything of everybody fits together."""
        if sys.exc_info()[0] is not None:
            return  # a step has failed, and that is what is to be told
        self.settle()
        for member in self.there():
            self._check_member(member, "club", 3)
            views = self.read(member, "")["programs"]
            assert [_measure(views[name]) for name in PROGRAMS] == [
                max(0, self._balance(member, name)) for name in PROGRAMS
            ]
        announced: dict[str, list[Body]] = {}
        for entry in self.stack.published():
            announced.setdefault(entry["DetailType"], []).append(json.loads(entry["Detail"]))
        for kind, details in announced.items():
            by_id = {detail["event_id"]: detail for detail in details}
            assert len(by_id) == len(details), kind  # nothing failed, so nothing had to be said twice
        for path, kind in (
            ("/refunds/expedited", "refund.expedited"),
            ("/disputes/acceleration", "dispute.accelerated"),
        ):
            told = Counter(detail["decision_id"] for detail in announced.get(kind, ()))
            assert told == Counter(answer["decision_id"] for _, answer in self._approved(path))
        orders = Counter(body["order_id"] for body, _ in self._approved("/refunds/expedited"))
        assert all(number == 1 for number in orders.values())
        self._check_changes(announced.get("tier.changed", []))

    def _check_changes(self, told: list[Body]) -> None:
        """A change of tier that is in the ledger was announced, and no other."""
        changed: Counter[tuple[str, ...]] = Counter()
        for member in self.there():
            for entry in self.pages(member, "/export", "entries", 100):
                for part in entry["parts"]:
                    if part["tier_before"] != part["tier_after"]:
                        changed[member, part["program"], part["tier_before"], part["tier_after"]] += 1
        of_those_there = [each for each in told if each["member_id"] in self.there()]
        assert (
            Counter((each["member_id"], each["program"], each["from"], each["to"]) for each in of_those_there)
            == changed
        )


def _passes(holds: bool) -> str:
    return "pass" if holds else "fail"


def _cents(amount: str) -> int:
    return int(amount.replace(".", ""))


def _value(value: int | str) -> int:
    """Points, or money in cents."""
    return value if isinstance(value, int) else _cents(value)


def _measure(row: Body) -> int:
    return _value(row["spend"] if "spend" in row else row["points"])


def _met(view: Body) -> list[int]:
    """Nothing is missing any more, where a tier is held for less than its measure would give."""
    return [_value(view["next_tier"]["from"])] if _value(view["next_tier"]["missing"]) == 0 else []


def _by_cause(receipt: Body) -> list[int | str]:
    causes = receipt["causes"]
    values = causes.values() if isinstance(causes, dict) else [each.get("spend", each.get("points")) for each in causes]
    return list(values)


def _id(decision: Body) -> str:
    found: str = decision["decision_id"]
    return found
