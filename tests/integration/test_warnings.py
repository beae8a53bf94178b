"""points.expiring: the expiry sweep warns once a lot and lead time, whatever happens to it (contract 2.3, 2.4, I8)."""

from __future__ import annotations

import base64
from datetime import datetime, timedelta

import pytest

from club_ledger import items
from club_ledger.store import SETTLED_AT_ONCE
from tests.integration.harness import NOW, Club, Event, Item, Killed, days, event, instant, line, order

NIGHT = NOW.replace(hour=0, minute=5)


def later(number: float) -> datetime:
    """The scheduled time of the sweep so many days after."""
    return NIGHT + days(number)


def warnings(club: Club) -> list[Event]:
    return [detail for kind, detail in club.announced() if kind == "points.expiring"]


def told(club: Club) -> list[tuple[str, str, int]]:
    return [(each["member_id"], each["program"], each["days_before"]) for each in warnings(club)]


def award(points: int, number: int = 1, at: datetime = NOW, member_id: str = "m-42", program: str = "club") -> Event:
    data = {"campaign_id": "c", "points": points, "program": program}
    return event("promotion.awarded", f"e-{member_id}-{number}", data, at=at, member_id=member_id)


def account(club: Club, member_id: str = "m-42") -> Item:
    return club.decoded()[items.member_key(member_id), items.ACCOUNT]


def units(item: Event) -> int:
    """Write units of putting an account by itself: its size in KB, and its move in the index."""
    size = 0
    for name, value in item.items():
        ((kind, content),) = value.items()
        size += len(name) + (len(base64.b64decode(content)) if kind == "B" else len(content))
    return -(-size // 1024) + (2 if "due_at" in item else 0)


# --- what is told ---------------------------------------------------------------------------------------------


def test_what_a_warning_says(club: Club) -> None:
    club.post(award(600), award(40, 2, NOW + days(3)), at=NOW + days(3))
    club.sweep("ExpirySweep", later(334))
    assert warnings(club) == []

    club.sweep("ExpirySweep", later(335))

    assert warnings(club) == [
        {
            "event_id": "expiring~m-42~club~2026-11-22~30",
            "member_id": "m-42",
            "occurred_at": "2027-10-23T00:00:00Z",
            "program": "club",
            "points": 600,
            "lot": "2026-11-22",
            "on": "2027-11-22",
            "days_before": 30,
            "tier": "A3",
            "keep": {
                "tier": "A3",
                "earn": 460,
                "from": "2027-10-23",
                "by": "2027-11-21",
                "falls_on": "2027-11-22",
                "falls_to": "A1",
            },
        }
    ]
    _, outlook = club.get("/members/me/outlook", {"program": "club"}, at=later(335))
    keep = outlook["keep"]
    del keep["text"]
    assert keep == warnings(club)[0]["keep"], "the outlook says the same"
    assert len(club.entries()) == 2, "a warning is no entry"
    club.assert_whole()


def test_spend_is_money_and_falls_with_its_period(club: Club) -> None:
    club.post(order("o-1", line("i-1", "1200.50")))
    club.sweep("ExpirySweep", later(60))

    (warning,) = warnings(club)
    assert (warning["spend"], warning["program"], "points" in warning) == ("1200.50", "vip", False)
    assert (warning["tier"], warning["on"], warning["keep"]["earn"]) == ("Silver", "2027-02-20", "999.00")


def test_what_costs_no_tier_says_so(club: Club) -> None:
    club.post(award(600), award(3000, 2, NOW + days(1)), at=NOW + days(1))
    club.sweep("ExpirySweep", later(335))

    assert [(each["tier"], each["points"], each["keep"]) for each in warnings(club)] == [("A4", 600, None)]


def test_a_sweep_at_the_very_instant_of_a_warning_gives_it(club: Club) -> None:
    club.post(award(600))
    midnight = NIGHT.replace(minute=0) + days(335)

    club.sweep("ExpirySweep", midnight - timedelta(seconds=1))
    assert told(club) == []

    club.sweep("ExpirySweep", midnight)
    assert told(club) == [("m-42", "club", 30)]


@pytest.mark.parametrize("who", ["ExpirySweep", "DemotionSweep", "posting"])
@pytest.mark.parametrize("number", [SETTLED_AT_ONCE, SETTLED_AT_ONCE + 5])
def test_what_has_long_expired_is_no_warning(club: Club, number: int, who: str) -> None:
    """More has fallen due than one transaction holds: nobody is warned of what the next one takes."""
    start = NOW - days(500)
    club.post(*(award(30, n, start + days(n)) for n in range(number)), at=start + days(number))
    club.post(award(600, 100, NOW - days(337)), at=NOW - days(337))

    if who == "posting":
        club.post(event("visit.recorded", "e-v", at=NIGHT), at=NIGHT)
    else:
        club.sweep(who, NIGHT)

    assert [(each["days_before"], each["points"]) for each in warnings(club)] == [(30, 600)]
    club.assert_whole()


# --- once -----------------------------------------------------------------------------------------------------


def test_once_a_lot_and_lead_time(club: Club) -> None:
    club.post(award(600))
    for number in range(330, 366):
        club.sweep("ExpirySweep", later(number))
        club.sweep("ExpirySweep", later(number))
    found = warnings(club)
    assert [(each["days_before"], each["occurred_at"][:10]) for each in found] == [
        (30, "2027-10-23"),
        (7, "2027-11-15"),
    ]
    assert len({each["event_id"] for each in found}) == 2
    assert "warned" not in account(club), "the expiry has passed them all"
    club.assert_whole()


def test_the_stream_comes_again(club: Club) -> None:
    club.post(award(600))
    club.sweep("ExpirySweep", later(335))
    assert warnings(club) == warnings(club) != []


def test_what_is_posted_meanwhile_carries_on(club: Club) -> None:
    club.post(award(600))
    club.sweep("ExpirySweep", later(335))
    club.post(event("visit.recorded", "e-v", at=later(335.2)), at=later(335.2))
    club.post(event("visit.recorded", "e-w", at=later(200)), at=later(335.3))
    club.sweep("ExpirySweep", later(336))
    assert told(club) == [("m-42", "club", 30)]
    club.assert_whole()


def test_a_posting_before_the_sweep_warns_in_its_stead(club: Club) -> None:
    club.post(award(600))
    club.post(event("visit.recorded", "e-v", at=later(335)), at=later(335))
    assert told(club) == [("m-42", "club", 30)]
    club.sweep("ExpirySweep", later(336))
    assert told(club) == [("m-42", "club", 30)]


def test_an_earlier_sweep_takes_nothing_back(club: Club) -> None:
    club.post(award(600))
    club.sweep("ExpirySweep", later(340))
    warned = account(club)["warned"]
    club.sweep("ExpirySweep", later(336))
    assert account(club)["warned"] == warned == instant(later(340))
    assert told(club) == [("m-42", "club", 30)]


@pytest.mark.parametrize("operation", ["PutItem", "GetItem"])
@pytest.mark.parametrize("kind", ["throttle", "timeout_after", "timeout_before", "conflict"])
def test_faults_warn_nobody_twice(club: Club, operation: str, kind: str) -> None:
    if operation == "GetItem" and kind == "conflict":
        kind = "throttle"
    club.post(*(award(600, member_id=f"m-{n}") for n in range(4)))
    club.wire.fail(operation, kind, about="M#m-", times=2)
    club.sweep("ExpirySweep", later(335))
    assert sorted(told(club)) == [(f"m-{n}", "club", 30) for n in range(4)]
    club.assert_whole()


@pytest.mark.parametrize("operation", ["PutItem", "UpdateItem"])
def test_a_sweep_that_is_killed_warns_the_rest_when_it_comes_again(club: Club, operation: str) -> None:
    club.post(*(award(600, member_id=f"m-{n}") for n in range(6)))
    waiting = club.start_sweep("ExpirySweep", later(335))
    club.wire.kill(operation, skip=1)
    deaths = 0
    while waiting:
        try:
            assert club.work_chunks("ExpirySweep", waiting[0]) == []
            waiting.pop(0)
        except Killed:
            deaths += 1
        waiting += club.taken_chunks("ExpirySweep")
    assert deaths == 1
    assert sorted(told(club)) == [(f"m-{n}", "club", 30) for n in range(6)]


@pytest.mark.parametrize("other", ["ExpirySweep", "DemotionSweep", "posting"])
def test_something_else_in_the_middle_of_the_write(club: Club, other: str) -> None:
    club.post(award(600))

    def meanwhile() -> None:
        if other == "posting":
            club.post(event("visit.recorded", "e-v", at=later(335)), at=later(335))
        else:
            club.sweep(other, later(335))

    club.wire.before("PutItem", meanwhile, about="M#m-42")
    club.sweep("ExpirySweep", later(335))
    assert told(club) == [("m-42", "club", 30)]
    club.assert_whole()


def test_a_dry_run_warns_nobody(club: Club) -> None:
    club.post(award(600))
    before = account(club)
    club.sweep("ExpirySweep", later(335), dry_run=True)
    assert account(club) == before
    assert warnings(club) == []
    club.sweep("ExpirySweep", later(335))
    assert told(club) == [("m-42", "club", 30)]


def test_an_expiry_and_a_warning_in_one_write(club: Club) -> None:
    club.post(award(600), award(7, 2, NOW + days(30)), at=NOW + days(30))
    club.sweep("ExpirySweep", later(364))
    club.wire.sent.clear()
    club.sweep("ExpirySweep", later(365))
    assert club.wire.operations().count("TransactWriteItems") == 1
    assert [each for each in told(club) if each[1] == "club"] == [
        ("m-42", "club", 30),
        ("m-42", "club", 7),
        ("m-42", "club", 30),
    ]
    until = {"by": "2027-12-21", "falls_on": "2027-12-22", "falls_to": "A0"}
    keep = {"tier": "A1", "earn": 1, "from": "2027-11-22", **until}
    assert [(each["tier"], each["keep"]) for each in warnings(club) if each["points"] == 7] == [("A1", keep)], (
        "the tier that is left once the review has been done, which the demotion sweep has yet to post"
    )
    club.assert_whole()


# --- what it costs, and whom it leaves alone ------------------------------------------------------------------


def test_a_warning_stays_within_the_budget(club: Club) -> None:
    """Architecture 3.4: at most 6 write units and 1 read unit a due member; an account with a year behind it."""
    for number in range(40):
        at = NOW - days(330 - 8 * number)
        club.post(order(f"o-{number}", line(f"i-{number}", "31.50"), line("i-x", "4.00"), at=at), at=at)
    club.sweep("ExpirySweep", NIGHT)
    club.sweep("DemotionSweep", NIGHT)
    alone = []
    for number in range(1, 30):
        club.sweep("DemotionSweep", later(number) - timedelta(minutes=4))
        seen = len(warnings(club))
        club.wire.sent.clear()
        club.sweep("ExpirySweep", later(number))
        put = [body["Item"] for operation, body in club.wire.sent if operation == "PutItem"]
        sent = [item for item in put if item["sk"]["S"] == items.ACCOUNT]
        reads = [body for operation, body in club.wire.sent if operation == "GetItem"]
        accounts = [body for body in reads if body["Key"]["sk"]["S"] == items.ACCOUNT]
        if len(warnings(club)) > seen:
            assert [body.get("ConsistentRead", False) for body in accounts] == [False]
            assert len(sent) == 1
            assert "TransactWriteItems" not in club.wire.operations(), "a write by itself costs half of a transaction"
            alone.append(units(sent[0]))
    assert len(alone) > 5
    assert max(alone) <= 4


def test_the_demotion_sweep_leaves_those_alone_who_are_due_for_a_warning_only(club: Club) -> None:
    club.post(award(600))
    before = account(club)
    club.wire.sent.clear()
    club.sweep("DemotionSweep", later(335))
    assert "TransactWriteItems" not in club.wire.operations()
    assert [body for operation, body in club.wire.sent if operation == "PutItem" and "M#" in str(body)] == []
    assert account(club) == before
    assert warnings(club) == []
    club.sweep("ExpirySweep", later(335) + timedelta(hours=1))
    assert told(club) == [("m-42", "club", 30)]


def test_who_has_been_warned_waits_for_the_next_thing(club: Club) -> None:
    club.post(award(600))
    assert account(club)["due_at"] == "2027-10-23T00:00:00Z"
    club.sweep("ExpirySweep", later(335))
    assert account(club)["due_at"] == "2027-11-15T00:00:00Z"
    club.sweep("ExpirySweep", later(358))
    assert account(club)["due_at"] == "2027-11-22T00:00:00Z"
    assert account(club)["warned"] == instant(later(358))
