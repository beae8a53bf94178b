"""Violations from door to page, and warnings before points expire, through the whole club on the local stack."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from local.stack import Stack

NOW = datetime(2026, 11, 22, 10, 15, tzinfo=UTC)


class Club:
    """The doors of the club: the API with a token, and the bus without one."""

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.count = 0

    def event(self, kind: str, data: dict[str, Any], member: str = "anna", **more: Any) -> dict[str, Any]:
        self.count += 1
        at = self.stack.now.isoformat().replace("+00:00", "Z")
        head = {"event_id": f"e-{self.count}", "type": kind, "member_id": member, "occurred_at": at}
        return {**head, "data": data, **more}

    def case(self, what: str, kind: str, case: str = "c-1", member: str = "anna") -> dict[str, Any]:
        return self.event(f"violation.{what}", {"case_id": case, "kind": kind}, member)

    def call(self, method: str, path: str, sub: str, scopes: str, body: Any = b"", query: str = "") -> tuple[int, Any]:
        headers = {"authorization": f"Bearer {self.stack.token(sub, scopes.split())}"}
        response = self.stack.request(method, path, query, headers, body)
        return response.status, response.json()

    def send(self, *events: dict[str, Any], scopes: str = "club:ingest club:admin") -> dict[str, Any]:
        status, answer = self.call("POST", "/activities", "market", scopes, {"events": list(events)})
        assert status == 202
        self.stack.drain()
        found: dict[str, Any] = answer
        return found

    def puts(self, event: dict[str, Any]) -> None:
        """On the bus, as the marketplace does: no scope is asked for there."""
        detail = {name: value for name, value in event.items() if name != "type"}
        self.stack.put_events([{"Source": "marketplace", "DetailType": event["type"], "Detail": json.dumps(detail)}])
        self.stack.drain()

    def earns(self, points: int, member: str = "anna", program: str = "crowns") -> None:
        award = {"campaign_id": "spring", "points": points, "program": program}
        assert self.send(self.event("promotion.awarded", award, member))["refused"] == []

    def summary(self, member: str = "anna") -> dict[str, Any]:
        status, found = self.call("GET", f"/members/{member}", member, "club:read")
        assert status == 200
        summary: dict[str, Any] = found
        return summary

    def crowns(self, member: str = "anna") -> tuple[int, str]:
        found = self.summary(member)["programs"]["crowns"]
        return found["points"], found["tier"]

    def statement(self, program: str = "crowns", support: bool = False) -> list[dict[str, Any]]:
        sub, scope = ("agent", "club:support") if support else ("anna", "club:read")
        status, found = self.call("GET", "/members/anna/statement", sub, scope, query=f"program={program}")
        assert status == 200
        entries: list[dict[str, Any]] = found["entries"]
        return entries

    def sweep(self, at: datetime) -> None:
        for name in ("ExpirySweep", "DemotionSweep"):
            self.stack.fire(name, at)


@pytest.fixture
def club() -> Iterator[Club]:
    with Stack(NOW) as stack:
        yield Club(stack)


# --- violations (rules 1.8)


@pytest.mark.parametrize(
    ("kind", "points", "tier", "penalty"),
    [
        ("return_abuse", 401, "Gold", {"points": -200, "ends_on": "2027-02-20"}),
        (
            "extortion",
            301,
            "Silver",
            {"points": -300, "ends_on": "2027-05-21", "tier_at_most": "Silver", "tier_ends_on": "2027-01-21"},
        ),
        ("coupon_fraud", 0, "none", {"points": -601, "ends_on": "2027-11-22"}),
        ("spam", 581, "Platinum", {"points": -20, "ends_on": "2026-12-22"}),
    ],
)
@pytest.mark.parametrize("door", ["api", "bus"])
def test_a_case_from_its_confirmation_to_its_end(
    club: Club, kind: str, points: int, tier: str, penalty: dict[str, Any], door: str
) -> None:
    enter = club.puts if door == "bus" else club.send
    club.earns(601)
    enter(club.case("confirmed", kind))
    assert club.crowns() == (points, tier)
    summary = club.summary()
    assert summary["programs"]["crowns"]["penalties"] == [{"case_id": "c-1", **penalty, "appeal": "open"}]
    assert summary["appeals"] == [{"case_id": "c-1", "state": "open"}]
    entry = club.statement()[0]
    assert (entry["kind"], entry["points"], entry["tier_after"]) == ("penalty", penalty["points"], tier)
    assert kind not in entry["reasons"][0]["text"], "the member reads a neutral wording"
    assert "c-1" in entry["reasons"][0]["text"]

    club.stack.set_clock(NOW + timedelta(days=9))
    enter(club.case("overturned", kind))
    assert club.crowns() == (601, "Platinum")
    summary = club.summary()
    assert summary["programs"]["crowns"]["penalties"] == []
    assert summary["appeals"] == [{"case_id": "c-1", "state": "granted"}]
    assert (club.statement()[0]["kind"], club.statement()[0]["points"]) == ("reinstatement", -penalty["points"])
    for days in (40, 100, 200):
        club.stack.set_clock(NOW + timedelta(days=days))
        club.sweep(club.stack.now)
        assert club.crowns() == (601, "Platinum"), "nothing comes back a second time"
    told = [json.loads(each["Detail"]) for each in club.stack.published("tier.changed")]
    changes = [(each["from"], each["to"], each["cause"]) for each in told if each["program"] == "crowns"]
    if tier == "Platinum":
        assert changes == [("none", "Platinum", "accrual")]
    else:
        assert changes[1:] == [("Platinum", tier, "penalty"), (tier, "Platinum", "reinstatement")]


def test_a_penalty_that_runs_its_time(club: Club) -> None:
    club.earns(601)
    club.send(club.case("confirmed", "spam"))
    club.stack.set_clock(NOW + timedelta(days=30))
    assert club.crowns() == (601, "Platinum"), "also before the sweep"
    club.sweep(club.stack.now)
    assert (club.statement()[0]["kind"], club.statement()[0]["points"]) == ("expiry", 20)
    assert club.summary()["appeals"] == [{"case_id": "c-1", "state": "over"}]
    club.send(club.case("overturned", "spam"))
    assert club.crowns() == (601, "Platinum")
    assert [each["code"] for each in club.statement()[0]["reasons"]] == ["penalty_over"]


def test_a_case_that_nobody_knows_is_overturned_and_kept(club: Club) -> None:
    club.earns(601)
    assert club.send(club.case("overturned", "extortion"))["refused"] == []
    assert club.stack.dead_letters() == []
    (parked, *_) = club.statement()
    assert (parked["kind"], parked["reasons"][0]["code"]) == ("parked", "case_not_confirmed_yet")
    club.puts(club.case("confirmed", "extortion"))
    assert club.crowns() == (601, "Platinum")
    assert [each["code"] for each in club.statement()[0]["reasons"]] == ["case_overturned"]
    club.send(club.case("confirmed", "extortion", member="bert"))
    assert club.summary("bert")["appeals"] == [{"case_id": "c-1", "state": "open"}], "another member's is another case"


@pytest.mark.parametrize("what", ["confirmed", "overturned"])
def test_who_may_send_a_violation(club: Club, what: str) -> None:
    club.earns(601)
    answer = club.send(club.case(what, "spam"), club.event("visit.recorded", {}), scopes="club:ingest")
    assert [each["code"] for each in answer["refused"]] == ["scope_required"]
    assert len(answer["accepted"]) == 1, "its neighbour is taken"
    assert club.summary()["appeals"] == []
    assert club.send(club.case(what, "spam"))["refused"] == []
    assert len(club.summary()["appeals"]) == 1


# --- what is refused by name


BAD = [
    ("violation.confirmed", {"case_id": "c-1", "kind": "theft"}, "/data/kind", "invalid_value"),
    ("violation.overturned", {"case_id": "c-1", "kind": "Spam"}, "/data/kind", "invalid_value"),
    ("violation.confirmed", {"case_id": "c-1"}, "/data/kind", "missing"),
    ("violation.confirmed", {"kind": "spam"}, "/data/case_id", "missing"),
    ("promotion.awarded", {"campaign_id": "c", "points": 10001, "program": "crowns"}, "/data/points", "out_of_range"),
    ("promotion.awarded", {"campaign_id": "c", "points": 0, "program": "crowns"}, "/data/points", "out_of_range"),
    ("promotion.awarded", {"campaign_id": "c", "points": 5, "program": "vip"}, "/data/program", "invalid_value"),
    ("member.updated", {"birthday": "2026-11-23"}, "/data/birthday", "out_of_range"),
    ("member.updated", {"birthday": "2025-02-29"}, "/data/birthday", "invalid_value"),
    ("member.registered", {"birthday": "1990-04-31"}, "/data/birthday", "invalid_value"),
    ("member.registered", {"registered_on": "2027-01-01"}, "/data/registered_on", "out_of_range"),
    ("member.registered", {"country": "XX"}, "/data/country", "invalid_value"),
]


@pytest.mark.parametrize(("kind", "data", "place", "code"), BAD)
def test_bad_input_is_refused_by_name_at_both_doors(
    club: Club, kind: str, data: dict[str, Any], place: str, code: str
) -> None:
    club.earns(601)
    before = club.statement()
    (refused,) = club.send(club.event(kind, data))["refused"]
    assert refused["code"] == code
    assert place in json.dumps(refused)
    assert club.stack.dead_letters() == []

    club.puts(club.event(kind, data))
    (letter,) = club.stack.dead_letters()
    assert letter["reason"] == code
    assert place in json.dumps(letter)
    assert club.statement() == before


# --- warnings


def test_members_are_warned_before_it_hurts(club: Club) -> None:
    club.earns(601)
    club.stack.set_clock(NOW + timedelta(days=3))
    club.earns(120)
    told: dict[int, list[tuple[Any, ...]]] = {}
    for days in range(320, 372):
        club.stack.set_clock(NOW + timedelta(days=days))
        before = len(club.stack.published("points.expiring"))
        club.sweep(club.stack.now.replace(hour=0, minute=20))
        if new := club.stack.published("points.expiring")[before:]:
            details = [json.loads(each["Detail"]) for each in new]
            told[days] = [(each["points"], each["days_before"], each["keep"]["falls_to"]) for each in details]
            assert all(each["Source"] == "buyers-club" for each in new)
    assert told == {
        335: [(601, 30, "Gold")],
        338: [(120, 30, "none")],
        358: [(601, 7, "Gold")],
        361: [(120, 7, "none")],
    }


# --- the summary


def test_the_allowance_of_the_members_country(club: Club) -> None:
    lines = [{"item_id": "i", "seller_id": "s", "category": "c", "unit_price": "60.25", "quantity": 2}]
    order = {"order_id": "o-1", "currency": "USD", "lines": lines}
    club.send(club.event("member.registered", {"country": "BY"}), club.event("order.completed", order))
    back = {"order_id": "o-1", "lines": [{"item_id": "i", "quantity": 1}]}
    allowance = {"country": "BY", "limit": "200.00", "currency": "USD", "month": "2026-11"}
    assert club.summary()["programs"]["vip"]["import_allowance"] == {**allowance, "used": "120.50"}
    club.send(club.event("order.refunded", back))
    assert club.summary()["programs"]["vip"]["import_allowance"] == {**allowance, "used": "60.25"}
    club.send(club.event("member.updated", {"country": "NL"}))
    assert "import_allowance" not in club.summary()["programs"]["vip"]


@pytest.mark.parametrize(("points", "percent"), [(1, 1), (100, 1), (101, 2), (501, 3), (1501, 5)])
def test_exclusive_prices_are_the_tiers(club: Club, points: int, percent: int) -> None:
    club.earns(points)
    (found,) = club.summary()["programs"]["crowns"]["privileges"]
    assert found == {"code": "exclusive_prices", "granted": True, "percent": percent}


def test_exclusive_prices_are_locked_without_a_tier(club: Club) -> None:
    club.earns(1, program="club")
    (found,) = club.summary()["programs"]["crowns"]["privileges"]
    assert found == {"code": "exclusive_prices", "granted": False, "unlocked_by": "Silver", "percent": 1}
