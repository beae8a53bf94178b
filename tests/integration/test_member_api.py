"""member_api: what a member and an agent read (contract 2.1, rules 1.12)."""

from __future__ import annotations

import base64
import json
import re
from datetime import datetime, timedelta
from typing import Any

import pytest

from club_ledger import items, reading
from club_ledger.items import EntryItem
from tests.integration.harness import (
    NOW,
    PROGRAMS,
    Club,
    Event,
    aws,
    days,
    event,
    instant,
    line,
    order,
    read_request,
    sample,
)

DATA_REQUESTS = {"GetItem", "BatchGetItem", "Query", "Scan", "TransactWriteItems", "PutItem", "UpdateItem"}
NIGHT = NOW.replace(hour=0, minute=5)


def buys(club: Club, price: str, at: datetime = NOW, order_id: str = "o-1", member_id: str = "m-42") -> None:
    club.post(order(order_id, line(f"i-{order_id}", price), at=at, member_id=member_id), at=at)


def pages(club: Club, program: str, at: datetime = NOW, **query: str) -> list[list[Event]]:
    """All pages of a statement, to the last."""
    found: list[list[Event]] = []
    cursor = ""
    while len(found) < 200:
        asked = {"program": program, **query, **({"cursor": cursor} if cursor else {})}
        status, body = club.get("/members/me/statement", asked, at=at)
        assert status == 200, body
        assert body.keys() == {"entries", "cursor"}
        found.append(body["entries"])
        if body["cursor"] is None:
            return found
        cursor = body["cursor"]
        assert re.fullmatch("[A-Za-z0-9_-]+", cursor), "it stands in an address as it is"
    raise AssertionError("a statement without end")


def statement(club: Club, program: str = "club", at: datetime = NOW, **query: str) -> list[Event]:
    """All entries of a statement, from all its pages."""
    return [entry for page in pages(club, program, at, **query) for entry in page]


# --- the summary ----------------------------------------------------------------------------------------------


def test_the_sample_is_answered(club: Club) -> None:
    buys(club, "12.50")

    answer = club.invoke("member_api", sample("member_api"))

    assert answer["statusCode"] == 200
    assert answer["headers"]["content-type"] == "application/json"
    assert json.loads(answer["body"])["member_id"] == "m-42", "me is the caller"


def test_a_summary_has_the_contracts_shape(club: Club) -> None:
    """Contract 2.1, by its example; `standing` comes with the outbox that counts it."""
    buys(club, "12.00", NOW - days(356))
    buys(club, "595.00", NOW - days(204), "o-2")

    status, body = club.get("/members/m-42")

    assert status == 200
    assert body.keys() == {"member_id", "as_of", "programs", "appeals"}
    assert (body["member_id"], body["as_of"]) == ("m-42", "2026-11-22T10:15:00Z")
    assert body["programs"].keys() == {"club", "crowns", "vip"}
    seen = body["programs"]["club"]
    shown = {
        "tier": "A3",
        "tier_since": "2026-05-02",
        "measure": "points",
        "points": 617,
        "expiring": [{"on": "2026-12-01", "points": 17}],
    }
    assert {name: seen[name] for name in shown} == shown
    assert {name: seen["next_tier"][name] for name in ("tier", "from", "missing")} == {
        "tier": "A4",
        "from": 2000,
        "missing": 1383,
    }
    assert {"code": "expedited_refund", "granted": True, "limit": "25.00", "currency": "USD"} in seen["privileges"]
    assert {"code": "dispute_acceleration", "granted": False, "unlocked_by": "A4", "days": 5} in seen["privileges"]


def test_spend_is_money(club: Club) -> None:
    buys(club, "1000.50", NOW - days(70))

    vip = club.summary()["vip"]

    assert (vip["measure"], vip["spend"], vip["tier"]) == ("spend", "1000.50", "Silver")
    assert "points" not in vip
    assert (vip["next_tier"]["from"], vip["next_tier"]["missing"]) == ("3999.00", "2998.50")
    assert vip["expiring"] == [{"on": "2026-12-12", "spend": "1000.50"}]


def test_a_summary_shows_the_months_import_allowance_of_the_members_country(club: Club) -> None:
    club.post(event("member.registered", "e-1", {"country": "BY"}))
    buys(club, "12.50")
    buys(club, "12.50", order_id="o-2", member_id="m-43")

    assert club.summary()["vip"]["import_allowance"] == {
        "country": "BY",
        "limit": "200.00",
        "used": "12.50",
        "currency": "USD",
        "month": "2026-11",
    }
    assert not [view for view in club.summary("m-43").values() if "import_allowance" in view], "nobody knows where from"


def test_nothing_is_missing_at_the_top_and_nothing_shown_below_zero(club: Club) -> None:
    buys(club, "2500.00")
    assert club.summary()["club"]["next_tier"] is None

    club.post(event("violation.confirmed", "e-v", {"case_id": "v-1", "kind": "return_abuse"}, member_id="m-7"))
    crowns = club.summary("m-7")["crowns"]
    assert (crowns["points"], crowns["tier"]) == (0, "none")
    assert crowns["next_tier"]["missing"] == 201, "counted from the ledger's sum, which is below zero"
    assert statement_of(club, "m-7", "crowns")[0]["balance"] == -200


def statement_of(club: Club, member_id: str, program: str) -> list[Event]:
    status, body = club.get(f"/members/{member_id}/statement", {"program": program}, sub=member_id)
    assert status == 200
    entries: list[Event] = body["entries"]
    return entries


def test_a_summary_is_one_request(club: Club) -> None:
    buys(club, "12.50")
    club.wire.sent.clear()

    club.get("/members/me")

    assert club.wire.operations() == ["BatchGetItem"]


def test_what_is_due_is_shown_before_any_sweep_as_after_it(club: Club) -> None:
    buys(club, "600.00", NOW - days(365))
    buys(club, "1100.00", NOW - days(90), "o-2")
    before = club.content()
    unswept = {path: club.get(f"/members/me{path}", query) for path, query in READS.items()}
    assert club.content() == before, "a read writes nothing"

    for sweep in ("DemotionSweep", "ExpirySweep"):
        club.sweep(sweep, NIGHT)

    assert {path: club.get(f"/members/me{path}", query) for path, query in READS.items()} == unswept
    assert club.summary()["vip"]["tier"] == "none"
    assert [entry["kind"] for entry in statement(club, "vip")] == [
        "tier_review",
        "expiry",
        "accrual",
        "expiry",
        "accrual",
    ]


READS: dict[str, dict[str, str] | None] = {"": None, "/statement": {"program": "vip"}}


def test_the_days_ahead_are_those_of_the_request(club: Club) -> None:
    """Time comes from the request: nothing but it makes points expire, and as_of is the request's own."""
    buys(club, "20.00")

    views = {number: club.summary(at=NOW + days(number)) for number in (0, 89, 90, 364, 365)}

    assert [view["vip"]["spend"] for view in views.values()] == ["20.00", "20.00", "0.00", "0.00", "0.00"]
    assert [view["club"]["points"] for view in views.values()] == [25, 25, 25, 25, 0]
    assert [view["club"]["tier"] for view in views.values()] == ["A1", "A1", "A1", "A1", "A0"]
    assert club.get("/members/me", at=NOW + days(1))[1]["as_of"] == "2026-11-23T10:15:00Z"


# --- who may read ---------------------------------------------------------------------------------------------

PATHS = [
    "/members/{}",
    *(f"/members/{{}}/{read}" for read in ("statement", "privileges", "rewards", "explanation", "outlook")),
]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("member_id", ["m-43", "m-99", "m-4", "m-422", "M-42", "m-42\n", "m-42 ", "m#42", "", "x" * 65])
def test_another_members_path_is_answered_without_a_look(club: Club, path: str, member_id: str) -> None:
    buys(club, "12.50", member_id="m-43")
    club.wire.sent.clear()

    status, body = club.get(path.format(member_id) if member_id.strip() else path.format("-"), {"program": "club"})

    assert status == 404
    assert body == {
        "type": "about:blank",
        "title": "Not Found",
        "status": 404,
        "detail": "there is no such member",
        "code": "member_not_found",
    }
    assert not DATA_REQUESTS & set(club.wire.operations())


@pytest.mark.parametrize("path", PATHS)
def test_a_member_who_does_not_exist_looks_like_another(club: Club, path: str) -> None:
    query = {"program": "club"} if path.endswith(("statement", "explanation", "outlook")) else None
    others = club.get(path.format("m-43"), query)

    for sub, scope, member_id in (
        ("m-42", "club:read", "m-42"),
        ("m-42", "club:read", "me"),
        ("a-1", "club:support", "m-9"),
    ):
        assert club.get(path.format(member_id), query, sub=sub, scope=scope) == others


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("scope", ["club:support", "club:read club:support", "[club:support club:decide]"])
def test_support_reads_any_member(club: Club, path: str, scope: str) -> None:
    buys(club, "12.50")
    query = {"program": "club"} if path.endswith(("statement", "explanation", "outlook")) else None

    status, body = club.get(path.format("m-42"), query, sub="agent-7", scope=scope)

    assert status == 200
    assert (status, body) == club.get(path.format("me"), query)


@pytest.mark.parametrize("path", [*PATHS, "/decisions/{}"])
@pytest.mark.parametrize(
    "scope", ["", "club:reader", "club:ingest", "xclub:support", "club:supportclub:decide", "CLUB:READ"]
)
def test_no_scope_no_look(club: Club, path: str, scope: str) -> None:
    club.wire.sent.clear()

    status, body = club.get(path.format("m-42"), scope=scope)

    assert (status, body["code"]) == (403, "scope_required")
    assert not DATA_REQUESTS & set(club.wire.operations())


def test_me_is_nobody_without_a_name(club: Club) -> None:
    for sub in ("", "me", "m 42"):
        assert club.get("/members/me", sub=sub)[0] == 404
    request = read_request("/members/me")
    del request["requestContext"]["authorizer"]
    assert club.invoke("member_api", request)["statusCode"] == 403


def test_an_agent_called_me_sees_nobody(club: Club) -> None:
    assert club.get("/members/me", sub="agent-7", scope="club:support")[0] == 404


# --- the statement --------------------------------------------------------------------------------------------


def test_a_statement_entry_has_the_contracts_shape(club: Club) -> None:
    bought = order("o-1", line("i-1", "12.50"), line("i-9", "1.00"), at=NOW - timedelta(minutes=5))
    club.post(bought)

    answer = club.invoke("member_api", sample("member_api_statement"))

    assert answer["statusCode"] == 200
    body = json.loads(answer["body"])
    (entry,) = body["entries"]
    assert body["cursor"] is None
    assert entry == {
        "entry_id": "e-o-1",
        "seq": 1,
        "kind": "accrual",
        "event_id": "e-o-1",
        "occurred_at": "2026-11-22T10:10:00Z",
        "posted_at": "2026-11-22T10:15:00Z",
        "program": "club",
        "program_version": "2017-06",
        "points": 17,
        "balance": 17,
        "expires_on": "2027-11-22",
        "tier_before": "A0",
        "tier_after": "A1",
        "receipt_id": "e-o-1~club",
        "reasons": entry["reasons"],
    }
    assert {"rule": "purchase", "points": 12, "code": "earned", "text": "12 points for order o-1", "ref": "o-1"} in (
        entry["reasons"]
    )
    (denied,) = [reason for reason in entry["reasons"] if reason["code"] == "unit_price_below_minimum"]
    assert (denied["rule"], denied["points"], denied["ref"]) == ("purchase", 0, "item i-9")
    assert denied["text"]


def test_a_spend_programs_statement_is_money(club: Club) -> None:
    buys(club, "12.50")

    (entry,) = statement(club, "vip")

    assert (entry["spend"], entry["balance"]) == ("12.50", "12.50")
    assert "points" not in entry
    assert [(reason["spend"], reason["code"]) for reason in entry["reasons"]] == [("12.50", "earned")]
    assert entry["tier_before"] == entry["tier_after"] == "none"


def test_every_kind_of_entry_is_shown(club: Club) -> None:
    start = NOW - days(365)
    club.post(
        event("promotion.awarded", "e-p", {"campaign_id": "c", "points": 500, "program": "crowns"}, at=start),
        at=start,
    )
    case = {"case_id": "v-1", "kind": "spam"}
    for number, (kind, data) in enumerate(
        [
            ("order.refunded", {"order_id": "o-1", "amount": "1.00", "currency": "USD"}),
            ("order.completed", order("o-1")["data"]),
            ("violation.confirmed", case),
            ("violation.overturned", case),
            ("order.completed", order("o-1")["data"]),
            ("wishlist.item_added", {"item_id": "i-1"}),
        ]
    ):
        at = start + days(10 + number)
        club.post(event(kind, f"e-{number}", data, at=at), at=at)

    shown = statement(club, "crowns")

    assert [(entry["kind"], entry["entry_id"]) for entry in shown if entry["event_id"]] == [
        ("denied", "e-4"),
        ("reinstatement", "e-3"),
        ("penalty", "e-2"),
        ("clawback", "e-0~2"),
        ("accrual", "e-1"),
        ("parked", "e-0"),
        ("accrual", "e-p"),
    ]
    assert {entry["kind"] for entry in shown if not entry["event_id"]} == {"expiry", "tier_review"}
    assert all(reason["text"] for entry in shown for reason in entry["reasons"])
    assert "e-5" not in {entry["event_id"] for entry in shown}, "what does not concern the program has no entry"


def a_long_ledger(club: Club, number: int = 130) -> None:
    """Visits and contributions in turn, a day each: `crowns` and `club` have every other entry."""
    club.post(
        *(
            event("contribution.accepted", f"e-{n}", {"contribution_id": f"c-{n}", "kind": "translation"})
            if n % 2
            else event("visit.recorded", f"e-{n}", at=NOW - days(n))
            for n in range(number)
        )
    )


@pytest.mark.parametrize("limit", [1, 7, 50, 100])
def test_a_statement_is_whole_over_its_pages(club: Club, limit: int) -> None:
    a_long_ledger(club)
    stored = [entry["key"] for entry in reversed(club.entries()) if "crowns" in entry["parts"]]

    found = pages(club, "crowns", limit=str(limit))

    assert [entry["entry_id"] for page in found for entry in page] == stored
    assert len(stored) == 65
    assert all(len(page) <= limit for page in found)
    assert all(len(page) == limit for page in found[:-2]), "no page is short without need"
    numbers = [entry["seq"] for page in found for entry in page]
    assert numbers == sorted(set(numbers), reverse=True)


def test_a_first_page_is_two_requests(club: Club) -> None:
    a_long_ledger(club, 80)
    club.wire.sent.clear()

    assert len(pages(club, "crowns", limit="20")[0]) == 20

    first_page = club.wire.operations()[:2]
    assert first_page == ["Query", "BatchGetItem"]
    assert json.dumps(club.wire.bodies("Query")[0]["Limit"]) == "3", "the account, and two pages of the journal"


def entries_read(club: Club) -> list[int]:
    """How many entries each request for some has read."""
    keys = [body["RequestItems"][club.table]["Keys"] for body in club.wire.bodies("BatchGetItem")]
    found = [sum(key["pk"]["S"].startswith("E#") for key in some) for some in keys]
    return [number for number in found if number]


def test_a_page_reads_what_is_missing_on_it_and_no_more(club: Club) -> None:
    a_long_ledger(club)
    expected = [
        ({"program": "crowns", "limit": "30"}, [30, 25, 25]),  # every other one fits: what is missing, 25 at least
        ({"program": "club", "limit": "100"}, [100, 30]),
        ({"program": "vip", "limit": "1"}, [25, 25, 25, 25, 25, 5]),
    ]
    for query, read in expected:
        club.wire.sent.clear()

        assert club.get("/members/me/statement", query)[0] == 200

        assert entries_read(club) == read, query


def test_a_full_page_reads_nothing_behind_itself(club: Club) -> None:
    club.post(*(event("visit.recorded", f"e-{n}", at=NOW - days(n)) for n in range(60)))
    club.wire.sent.clear()

    status, first = club.get("/members/me/statement", {"program": "crowns", "limit": "25"})
    assert (status, entries_read(club)) == (200, [25])

    club.wire.sent.clear()
    _, second = club.get("/members/me/statement", {"program": "crowns", "limit": "25", "cursor": first["cursor"]})
    asked = club.wire.bodies("BatchGetItem")[-1]["RequestItems"][club.table]["Keys"]
    assert {key["pk"]["S"] for key in asked} == {f"E#{entry['entry_id']}" for entry in second["entries"]}
    assert entries_read(club) == [25], "it goes on behind what was shown"


def test_days_tell_what_need_not_be_read(club: Club) -> None:
    for number in (4, 3, 2, 1, 0):
        at = NOW - days(number)
        club.post(event("visit.recorded", f"e-{number}", at=at), at=at)
    club.wire.sent.clear()

    (entry,) = statement(club, "crowns", NOW, **{"from": "2026-11-20", "to": "2026-11-20"})

    assert entry["event_id"] == "e-2"
    assert entries_read(club) == [2], "the day's, and the next one's: that begins at the instant at which the day ends"


def test_what_was_posted_out_of_its_turn_hides_nothing(club: Club) -> None:
    """An expiry ahead of an older review: the review is the later entry of the earlier day."""
    buys(club, "1000.00", NOW - days(90), "o-1")
    buys(club, "10.00", NOW - days(89), "o-2")
    tomorrow = NIGHT + days(1)
    club.sweep("ExpirySweep", tomorrow)
    club.sweep("DemotionSweep", tomorrow)
    assert [entry["kind"] for entry in statement(club, "vip", NOW + days(1))] == [
        "tier_review",
        "expiry",
        "expiry",
        "accrual",
        "accrual",
    ]

    found = statement(club, "vip", NOW + days(1), **{"from": "2026-11-23"})

    assert [(entry["kind"], entry["posted_at"]) for entry in found] == [("expiry", "2026-11-23T00:00:00Z")]


def test_no_page_reads_without_end(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where too little fits, a page ends short of its limit, and its cursor goes on."""
    club.post(order("o-1"), *(event("visit.recorded", f"e-{n}", at=NOW - days(n)) for n in range(85)))
    for at_once, expected in ((50, [25, 25]), (51, [25, 25, 25])):
        monkeypatch.setattr(reading, "READ_AT_ONCE", at_once)
        club.wire.sent.clear()

        status, body = club.get("/members/me/statement", {"program": "vip", "limit": "10"})

        assert (status, body["entries"], entries_read(club)) == (200, [], expected)
        assert [entry["entry_id"] for entry in statement(club, "vip", limit="10")] == ["e-o-1"]


def test_a_page_of_rare_entries_costs_few_requests(club: Club) -> None:
    """One order among a hundred visits: a small page is not looked for entry by entry."""
    club.post(order("o-1"), *(event("visit.recorded", f"e-{n}", at=NOW - days(n % 30)) for n in range(100)))
    club.wire.sent.clear()

    status, body = club.get("/members/me/statement", {"program": "vip", "limit": "1"})

    assert status == 200
    assert [entry["entry_id"] for entry in body["entries"]] == ["e-o-1"]
    assert len(club.wire.operations()) <= 12


def test_a_new_entry_between_two_pages_moves_nothing(club: Club) -> None:
    a_long_ledger(club, 60)
    whole = statement(club, "crowns")
    _, first = club.get("/members/me/statement", {"program": "crowns", "limit": "10"})
    club.post(event("visit.recorded", "e-new", at=NOW - days(200)), event("post.published", "e-post", {"post_id": "p"}))

    _, second = club.get("/members/me/statement", {"program": "crowns", "limit": "10", "cursor": first["cursor"]})

    assert first["entries"] + second["entries"] == whole[:20]
    assert [entry["event_id"] for entry in statement(club, "crowns")[:2]] == ["e-post", "e-new"]


def test_a_page_breaks_anywhere_among_what_is_not_posted_yet(club: Club) -> None:
    """What fell due and no sweep has posted yet is on the first pages; meanwhile it is posted."""
    start = NOW - days(600)
    for n in range(30):
        award = {"campaign_id": "c", "points": 30, "program": "crowns"}
        club.post(event("promotion.awarded", f"e-{n}", award, at=start + days(n)), at=start + days(n))
    whole = statement(club, "crowns")
    assert len(whole) > 60
    assert [entry["kind"] for entry in whole[:3]] == ["tier_review", "expiry", "expiry"]

    assert [entry for page in pages(club, "crowns", limit="7") for entry in page] == whole

    _, first = club.get("/members/me/statement", {"program": "crowns", "limit": "7"})
    club.sweep("DemotionSweep", NIGHT)
    _, second = club.get("/members/me/statement", {"program": "crowns", "limit": "7", "cursor": first["cursor"]})
    assert first["entries"] + second["entries"] == whole[:14]
    assert statement(club, "crowns") == whole


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [5, 4, 3, 2, 1]),
        ({"from": "2026-11-20T10:15:00Z"}, [5, 4, 3]),
        ({"from": "2026-11-20T10:15:00.001Z"}, [5, 4]),
        ({"to": "2026-11-20T10:15:00Z"}, [2, 1]),
        ({"to": "2026-11-20T10:15:00.001Z"}, [3, 2, 1]),
        ({"from": "2026-11-19T13:15:00+03:00", "to": "2026-11-21T10:15:00Z"}, [3, 2]),
        ({"from": "2026-11-19T13:15:00 03:00", "to": "2026-11-21T10:15:00Z"}, [3, 2]),  # a plus, not encoded
        ({"from": "2026-11-20"}, [5, 4, 3]),
        ({"to": "2026-11-20"}, [3, 2, 1]),
        ({"from": "2026-11-20", "to": "2026-11-20"}, [3]),
        ({"from": "2026-11-23"}, []),
        ({"from": "2026-11-21T10:15:00Z", "to": "2026-11-21T10:15:00Z"}, []),
        ({"to": "9999-12-30"}, [5, 4, 3, 2, 1]),
    ],
)
def test_a_statement_of_some_days(club: Club, query: dict[str, str], expected: list[int]) -> None:
    for number in (4, 3, 2, 1, 0):
        at = NOW - days(number)
        club.post(event("visit.recorded", f"e-{number}", at=at), at=at)

    assert [entry["seq"] for entry in statement(club, "crowns", NOW, **query)] == expected
    assert [entry["seq"] for entry in statement(club, "crowns", NOW, **query, limit="2")] == expected


def test_days_that_are_long_past_are_found(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """More entries lie before them than one answer looks at: the cursor leads there."""
    monkeypatch.setattr(reading, "ROWS_AT_ONCE", 40)
    start = NOW - days(20)
    club.post(order("o-1", at=start), at=start)
    club.post(*(event("wishlist.item_added", f"e-{n}", {"item_id": "i"}) for n in range(60)))

    found = pages(club, "club", to="2026-11-10")

    assert [entry["entry_id"] for page in found for entry in page] == ["e-o-1"]
    assert len(found) == 2


# --- what is asked wrongly ------------------------------------------------------------------------------------

BAD_QUERIES: list[tuple[dict[str, str], set[str]]] = [
    ({}, {"/query/program"}),
    ({"program": ""}, {"/query/program"}),
    ({"program": "gold"}, {"/query/program"}),
    ({"program": "club,vip"}, {"/query/program"}),
    ({"program": "club", "limit": "0"}, {"/query/limit"}),
    ({"program": "club", "limit": "101"}, {"/query/limit"}),
    ({"program": "club", "limit": "-1"}, {"/query/limit"}),
    ({"program": "club", "limit": "1.5"}, {"/query/limit"}),
    ({"program": "club", "limit": "\u0663"}, {"/query/limit"}),
    ({"program": "club", "limit": "9" * 5000}, {"/query/limit"}),
    ({"program": "club", "limit": "000000010"}, {"/query/limit"}),
    ({"program": "club", "from": "yesterday"}, {"/query/from"}),
    ({"program": "club", "from": "2026-11-22T10:00:00"}, {"/query/from"}),
    ({"program": "club", "from": "2026-02-30"}, {"/query/from"}),
    ({"program": "club", "to": "9999-12-31"}, {"/query/to"}),
    ({"program": "club", "to": ""}, {"/query/to"}),
    ({"program": "club", "from": "2026-11-21", "to": "2026-11-20"}, {"/query/from", "/query/to"}),
    ({"program": "club", "from": "2026-11-21T00:00:00Z", "to": "2026-11-20"}, {"/query/from", "/query/to"}),
    ({"program": "club", "from": "2026-11-20T10:00:01Z", "to": "2026-11-20T10:00:00Z"}, {"/query/from", "/query/to"}),
    ({"program": "club", "cursor": ""}, {"/query/cursor"}),
    ({"program": "club", "colour": "red"}, {"/query/colour"}),
    (
        {"program": "x", "from": "x", "to": "x", "limit": "x", "cursor": "x", "colour": "x"},
        {"/query/program", "/query/from", "/query/to", "/query/limit", "/query/cursor", "/query/colour"},
    ),
]


@pytest.mark.parametrize(("query", "named"), BAD_QUERIES)
def test_every_bad_parameter_is_named(club: Club, query: dict[str, str], named: set[str]) -> None:
    club.post(order("o-1"))
    club.wire.sent.clear()

    status, body = club.get("/members/me/statement", query)

    assert (status, body["title"]) == (400, "Bad Request")
    assert {error["pointer"] for error in body["errors"]} == named
    assert all(error["code"] and error["detail"] for error in body["errors"])
    assert all(pointer in body["detail"] for pointer in named)
    assert not DATA_REQUESTS & set(club.wire.operations())


def test_a_fault_of_a_query_says_what_is_expected(club: Club) -> None:
    def said(**query: str) -> list[tuple[str, str, str]]:
        status, body = club.get("/members/me/statement", query)
        assert status == 400
        return [(error["pointer"], error["code"], error["detail"]) for error in body["errors"]]

    when = ("invalid_instant", "expected an RFC 3339 instant, or a day")
    bad = {"program": "x", "from": "x", "to": "x", "limit": "x", "cursor": "x", "colour": "x"}
    assert said(**bad) == [
        ("/query/colour", "unknown_field", "is not known here"),
        ("/query/program", "invalid_value", "expected one of club, crowns, vip"),
        ("/query/from", *when),
        ("/query/to", *when),
        ("/query/limit", "out_of_range", "expected a whole number from 1 to 100"),
        ("/query/cursor", "invalid_cursor", "expected the cursor of an earlier answer, untouched"),
    ]
    assert said(**{"program": "club", "from": "2026-11-21", "to": "2026-11-20"}) == [
        ("/query/from", "from_after_to", "lies after to"),
        ("/query/to", "from_after_to", "lies before from"),
    ]


def test_a_cursor_without_its_program_is_no_fault_of_ours(club: Club) -> None:
    status, body = club.get("/members/me/statement", {"cursor": a_cursor(club)})

    assert status == 400
    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [
        ("/query/program", "missing"),
        ("/query/cursor", "invalid_cursor"),
    ]


def test_a_summary_and_a_decision_take_no_parameters(club: Club) -> None:
    for path, scope in (("/members/me", "club:read"), ("/decisions/d-1", "club:decide")):
        status, body = club.get(path, {"program": "club", "x": "1"}, scope=scope)
        assert status == 400
        assert {error["pointer"] for error in body["errors"]} == {"/query/program", "/query/x"}


def a_cursor(club: Club, program: str = "crowns") -> str:
    a_long_ledger(club, 12)
    _, body = club.get("/members/me/statement", {"program": program, "limit": "2"})
    cursor: str = body["cursor"]
    return cursor


def reencoded(cursor: str, change: Any) -> str:
    """The cursor with another content, written as the answer's own."""
    content = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    return base64.urlsafe_b64encode(json.dumps(change(content)).encode()).decode().rstrip("=")


TAMPERED = {
    "one more": lambda cursor: reencoded(cursor, lambda content: [content[0] + 1, *content[1:]]),
    "one less": lambda cursor: reencoded(cursor, lambda content: [content[0] - 1, *content[1:]]),
    "no check": lambda cursor: reencoded(cursor, lambda content: content[:1]),
    "another check": lambda cursor: reencoded(cursor, lambda content: [content[0], "0" * 16]),
    "a number as text": lambda cursor: reencoded(cursor, lambda content: [str(content[0]), *content[1:]]),
    "true": lambda cursor: reencoded(cursor, lambda content: [True, *content[1:]]),
    "a number": lambda cursor: reencoded(cursor, lambda content: content[0]),
    "null": lambda cursor: reencoded(cursor, lambda content: None),
    "an object": lambda cursor: reencoded(cursor, lambda content: {"before": 3}),
    "deep": lambda cursor: base64.urlsafe_b64encode(b"[" * 3000).decode(),
    "padded": lambda cursor: cursor + "=",
    "cut": lambda cursor: cursor[:-1],
    "longer": lambda cursor: cursor + "A",
    "a blank": lambda cursor: cursor + " ",
    "a line's end": lambda cursor: cursor + "\n",
    "another letter": lambda cursor: ("B" if cursor[0] != "B" else "C") + cursor[1:],
    "half a character": lambda cursor: reencoded(cursor, lambda content: ["\ud800", *content[1:]]),
    "not base64": lambda cursor: "%%%%",
    "other letters": lambda cursor: "курсор",
    "very long": lambda cursor: cursor * 500,
}


@pytest.mark.parametrize("how", TAMPERED)
def test_a_cursor_that_was_touched_is_named(club: Club, how: str) -> None:
    cursor = a_cursor(club)
    assert club.get("/members/me/statement", {"program": "crowns", "cursor": cursor})[0] == 200

    status, body = club.get("/members/me/statement", {"program": "crowns", "cursor": TAMPERED[how](cursor)})

    assert status == 400
    assert [(error["pointer"], error["code"]) for error in body["errors"]] == [("/query/cursor", "invalid_cursor")]


def test_a_cursor_holds_for_its_own_statement(club: Club) -> None:
    cursor = a_cursor(club)
    club.post(order("o-1", member_id="m-43"))

    assert club.get("/members/me/statement", {"program": "club", "cursor": cursor})[0] == 400
    assert club.get("/members/me/statement", {"program": "crowns", "cursor": cursor}, sub="m-43")[0] == 400


# --- decisions ------------------------------------------------------------------------------------------------


STORED = f"d-{5001:040x}"


@pytest.fixture
def decided(club: Club) -> Event:
    """A decision that the ledger holds."""
    decision: Event = {"decision_id": STORED, "decision": "approved", "checks": [{"code": "tier_entitles"}]}
    item = EntryItem(items.decision_key(STORED), items.SINGLE, digest="d", body=decision)
    aws("dynamodb").put_item(TableName=club.table, Item=item.serialize())
    return decision


@pytest.mark.parametrize("scope", ["club:decide", "club:support"])
def test_a_stored_decision_is_read(club: Club, decided: Event, scope: str) -> None:
    club.wire.sent.clear()

    assert club.get(f"/decisions/{STORED}", scope=scope) == (200, decided)

    assert club.wire.operations() == ["GetItem"]


def test_the_sample_reads_the_decision_on_the_sample(club: Club) -> None:
    answer = club.invoke("expedited_refund", sample("expedited_refund"))
    assert answer["statusCode"] == 200

    read = club.invoke("member_api", sample("member_api_decision"))

    assert read["statusCode"] == 200
    assert json.loads(read["body"]) == json.loads(answer["body"])


@pytest.mark.parametrize("decision_id", ["d-1", "x" * 3000, "d-5001\n", "#", "\u0000"])
def test_a_decision_that_is_not_there(club: Club, decided: Event, decision_id: str) -> None:
    status, body = club.get(f"/decisions/{decision_id}", scope="club:decide")

    assert (status, body["code"], body["detail"]) == (404, "decision_not_found", "there is no such decision")


def test_a_member_reads_no_decision(club: Club, decided: Event) -> None:
    club.wire.sent.clear()

    assert club.get(f"/decisions/{STORED}", scope="club:read")[0] == 403
    assert club.wire.operations() == []


# --- the store fails ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["throttle", "error", "timeout_before", "timeout_after"])
@pytest.mark.parametrize(
    ("path", "operation"),
    [
        ("/members/me", "BatchGetItem"),
        ("/members/me/privileges", "GetItem"),
        ("/members/me/statement", "Query"),
        ("/members/me/statement", "BatchGetItem"),
    ],
)
def test_a_store_that_is_busy_is_said_so(club: Club, path: str, operation: str, kind: str) -> None:
    a_long_ledger(club, 4)
    query = {"program": "crowns"} if path.endswith("statement") else None
    expected = club.get(path, query)
    mend = club.wire.fail(operation, kind)

    status, body = club.get(path, query, millis=1_050)
    assert (status, body["code"]) == (503, "store_unavailable")
    mend()

    club.wire.fail(operation, kind, times=4)
    assert club.get(path, query) == expected


def test_a_defect_says_nothing_of_the_inside(club: Club) -> None:
    buys(club, "12.50")
    club.wire.fail("GetItem", "denied")

    status, body = club.get("/members/me/privileges")

    assert (status, body["code"]) == (500, "internal_error")
    for inside in ("AccessDenied", "authorized", "dynamodb", "GetItem"):
        assert inside not in json.dumps(body)
    assert '"level":"ERROR"' in club.log.getvalue()


def test_every_program_has_its_statement(club: Club) -> None:
    buys(club, "12.50")

    for program in PROGRAMS.ids:
        (entry,) = statement(club, program)
        assert (entry["program"], entry["posted_at"]) == (program, instant(NOW))
