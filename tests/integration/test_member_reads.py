"""member_api: privileges, rewards, the explanation, the outlook, an agent's list of decisions (rules 1.12)."""

from __future__ import annotations

import json
import random
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from club_ledger import journal, queries, reading
from club_ledger.items import journal_key, unpack
from club_rules.account import JOURNAL_PAGE, Account
from club_rules.explaining import explanation, posted_between
from club_rules.messages import messages_for
from club_rules.positions import Position, position_at
from club_rules.programs import load_programs
from tests.integration.harness import NOW, PROGRAMS, Club, Event, days, event, instant, line, order, sample
from tests.integration.test_member_api import entries_read
from tests.oracle.histories import random_history

ENGLISH = messages_for("en")


def buys(club: Club, price: str, at: datetime = NOW, order_id: str = "o-1", member_id: str = "m-42") -> None:
    club.post(order(order_id, line(f"i-{order_id}", price), at=at, member_id=member_id), at=at)


def read(club: Club, path: str, query: dict[str, str] | None = None, **how: Any) -> Event:
    status, body = club.get(f"/members/me/{path}", query, **how)
    assert status == 200, body
    return body


def refused(club: Club, path: str, query: dict[str, str], **how: Any) -> dict[str, str]:
    """The parameters at fault with their codes; and nobody asked the table."""
    club.wire.sent.clear()
    status, body = club.get(f"/members/me/{path}", query, **how)
    assert (status, body["title"]) == (400, "Bad Request"), body
    assert all(error["pointer"] in body["detail"] for error in body["errors"])
    assert not club.wire.operations()
    return {error["pointer"]: error["code"] for error in body["errors"]}


@pytest.mark.parametrize("name", ["privileges", "rewards", "explanation", "outlook", "decisions"])
def test_the_samples_are_answered(club: Club, name: str) -> None:
    buys(club, "12.50")

    answer = club.invoke("member_api", sample(f"member_api_{name}"))

    assert (answer["statusCode"], json.loads(answer["body"])["member_id"]) == (200, "m-42")


# --- privileges and rewards


def test_privileges_are_granted_or_locked_with_what_unlocks_them(club: Club) -> None:
    buys(club, "607.00")
    club.wire.sent.clear()

    body = read(club, "privileges")

    assert club.wire.operations() == ["GetItem"]
    assert club.wire.bodies("GetItem")[0]["ConsistentRead"] is True, "what was posted a moment ago counts"
    assert (body["member_id"], body["as_of"]) == ("m-42", instant(NOW))
    found = {(each["program"], each["code"]): each for each in body["privileges"]}
    refund = found["club", "expedited_refund"]
    assert {name: refund[name] for name in ("granted", "tier", "limit", "currency", "levels")} == {
        "granted": True,
        "tier": "A3",
        "limit": "25.00",
        "currency": "USD",
        "levels": [{"tier": "A3", "limit": "25.00"}, {"tier": "A4", "limit": "100.00"}],
    }
    dispute = found["club", "dispute_acceleration"]
    assert {name: dispute[name] for name in ("granted", "unlocked_by", "days", "missing")} == {
        "granted": False,
        "unlocked_by": "A4",
        "days": 5,
        "missing": 1388,
    }
    assert (found["crowns", "exclusive_prices"]["percent"], found["vip", "personal_manager"]["missing"]) == (
        3,
        "392.00",
    )
    assert all(each["title"] and each["text"] for each in body["privileges"])
    summary = club.summary()
    assert {
        (program, each["code"], each["granted"]) for program in summary for each in summary[program]["privileges"]
    } == {(*key, each["granted"]) for key, each in found.items()}


def test_rewards_are_an_empty_list_as_long_as_none_is_issued(club: Club) -> None:
    assert club.get("/members/me/rewards")[0] == 404
    buys(club, "12.50")
    assert read(club, "rewards") == {"member_id": "m-42", "as_of": instant(NOW), "rewards": []}


# --- the explanation


def test_why_the_points_went_from_603_to_489(club: Club) -> None:
    """The issue's own example, asked for as a person would."""
    start = datetime(2026, 2, 3, 12, tzinfo=UTC)
    buys(club, "109.00", start, "o-1001")
    buys(club, "484.00", start + days(30), "o-2")
    later = start + days(365)
    club.wire.sent.clear()

    body = read(club, "explanation", {"program": "club", "from": "2027-02-01", "to": "2027-02-03"}, at=later)

    assert club.wire.operations() == ["Query", "BatchGetItem"]
    assert body["opening"] == {"at": "2027-02-01T00:00:00Z", "points": 603, "tier": "A3"}
    assert body["closing"] == {"at": instant(later), "points": 489, "tier": "A2"}
    (cause,) = body["causes"]
    assert (cause["kind"], cause["points"], cause["entries_in_all"]) == ("expired", -114, 1)
    assert cause["entries"][0]["reasons"][0]["ref"] == "2026-02-03"
    (receipt,) = body["receipts"]
    assert receipt["text"] == (
        "On 3 February 2027 you moved from A3 to A2: 114 points that you earned on 3 February 2026 "
        "(order o-1001: 109, daily shopping: 5) expired; 489 points remained, A3 starts at 500. "
        "The shortest way back: 11 points."
    )
    assert receipt["before"] + sum(each["points"] for each in receipt["causes"]) == receipt["after"]
    _, page = club.get("/members/me/statement", {"program": "club", "limit": "1"}, at=later)
    assert page["entries"][0]["receipt_id"] == receipt["receipt_id"]
    russian = read(
        club, "explanation", {"program": "club", "from": "2027-02-01", "to": "2027-02-03"}, at=later, language="ru"
    )
    assert "3 февраля 2027" in russian["receipts"][0]["text"]
    assert {**russian, "text": "", "causes": [], "receipts": []} == {**body, "text": "", "causes": [], "receipts": []}


@pytest.mark.parametrize(
    ("zone", "bought"),
    [
        ("Asia/Tokyo", datetime(2026, 2, 2, 20, tzinfo=UTC)),
        ("UTC", datetime(2026, 2, 3, 12, tzinfo=UTC)),
        ("America/Los_Angeles", datetime(2026, 2, 4, 3, tzinfo=UTC)),
    ],
)
def test_what_made_up_a_lot_is_found_by_its_local_day(
    club: Club, monkeypatch: pytest.MonkeyPatch, zone: str, bought: datetime
) -> None:
    """The journal has UTC days, and a lot the program's: a purchase may lie in the day before or after."""
    monkeypatch.setattr(load_programs().versions("club")[0], "zone", ZoneInfo(zone))
    monkeypatch.setattr(reading, "BATCH", 1)
    monkeypatch.setattr(reading, "ANCHORS", 1)
    buys(club, "109.00", bought, "o-1001")
    buys(club, "484.00", bought + days(30), "o-2")
    later = datetime(2027, 2, 3, 23, tzinfo=UTC)

    body = read(club, "explanation", {"program": "club", "from": "2027-02-01", "to": "2027-02-03"}, at=later)

    (receipt,) = body["receipts"]
    assert "3 February 2026 (order o-1001: 109, daily shopping: 5) expired" in receipt["text"]


def test_a_receipt_is_told_by_the_latest_of_what_it_rests_on(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it rests on more than one request can bring, the oldest is what is left out."""
    monkeypatch.setattr(reading, "BATCH", 2)
    for n in range(5):
        buys(club, "200.00", NOW - days(9 - n), f"o-{n}")
    club.wire.sent.clear()

    body = read(club, "explanation", {"program": "vip", "from": instant(NOW - days(5.5))})

    assert (body["opening"]["tier"], body["closing"]["tier"], len(body["receipts"])) == ("none", "Silver", 1)
    requests = [body["RequestItems"][club.table]["Keys"] for body in club.wire.bodies("BatchGetItem")]
    asked = [{key["pk"]["S"] for key in keys} for keys in requests]
    assert asked == [{"E#e-o-4", "E#e-o-3"}, {"E#e-o-2", "E#e-o-1"}]


def test_an_expiry_ahead_of_a_review_has_not_come_yet_on_the_day_of_the_review(club: Club) -> None:
    """The review is not posted, the next day's expiry is: by the numbers it lies before, by the day behind."""
    buys(club, "1000.00", NOW - days(90), "o-1")
    buys(club, "10.00", NOW - days(89), "o-2")
    club.sweep("ExpirySweep", (NOW + days(1)).replace(hour=0, minute=5))
    today = NOW.date().isoformat()

    body = read(club, "explanation", {"program": "vip", "from": today, "to": today}, at=NOW + days(1))

    assert (body["opening"]["spend"], body["closing"]["spend"]) == ("1010.00", "10.00")
    assert (body["opening"]["tier"], body["closing"]["tier"]) == ("Silver", "none")
    hour = {"from": instant(NOW), "to": instant(NOW + timedelta(hours=1))}
    body = read(club, "explanation", {"program": "vip", **hour}, at=NOW + days(1))
    assert (body["opening"]["spend"], body["closing"]["spend"]) == ("10.00", "10.00"), "behind the review, on its day"


@pytest.mark.parametrize(("batch", "anchors", "pages"), [(100, 10, 10), (3, 1, 1), (1, 1, 1), (7, 2, 2)])
@pytest.mark.parametrize("seed", range(3))
def test_any_two_moments_are_told_as_from_the_whole_ledger(
    club: Club, monkeypatch: pytest.MonkeyPatch, seed: int, batch: int, anchors: int, pages: int
) -> None:
    """However little is read at once, the answer is what all of the member's entries give."""
    monkeypatch.setattr(reading, "BATCH", batch)
    monkeypatch.setattr(reading, "ANCHORS", anchors)
    monkeypatch.setattr(reading, "PAGES_AT_ONCE", pages)
    monkeypatch.setattr(journal, "PAGES_AT_ONCE", pages)
    rng = random.Random(f"{seed}/{batch}")
    start = datetime(2025, 1, 1, tzinfo=UTC)
    history = random_history(rng, days=rng.choice([120, 500]), events=70, member_id="m-42", start=start)
    for number, (raw, moment) in enumerate(history):
        if number % 20 == 10:
            club.sweep("ExpirySweep", moment.replace(hour=0, minute=5))
        club.post(raw, at=moment)
    now = history[-1][1] + days(rng.choice([0, 3, 100]))
    entries = everything(club, now)
    moments = [now, *(moment for _, moment in history)]
    moments += [datetime.combine(rng.choice(moments).date(), time(), tzinfo=UTC) for _ in range(10)]
    for _ in range(12):
        earlier, later = sorted(rng.sample([each for each in moments if each <= now], 2))
        program = PROGRAMS.versions(rng.choice(PROGRAMS.ids))[-1]
        query = {"program": program.id, "from": instant(earlier), "to": instant(later)}

        body = read(club, "explanation", query, at=now)

        opening = position_at(entries, program.id, earlier) or Position(0, 0)
        between = posted_between(entries, program.id, earlier, later)
        expected = json.loads(json.dumps(explanation(program, ENGLISH, opening, between, entries)))
        for name in ("opening", "closing"):
            assert body[name].pop("at") == query["from" if name == "opening" else "to"]
        if batch < 100:  # then a receipt may tell less of what it rests on, but nothing else
            for receipt, whole in zip(body["receipts"], expected["receipts"], strict=True):
                for cause, told in zip(receipt["causes"], whole["causes"], strict=True):
                    assert [each for each in told["entries"] if each in cause["entries"]] == cause["entries"]
                    cause["entries"] = told["entries"]
                if receipt["text"] != whole["text"]:
                    receipt["text"] = whole["text"]
        assert {name: body[name] for name in expected} == expected


def everything(club: Club, moment: datetime) -> list[Event]:
    """All entries of m-42 with what falls due up to the moment, in the order of their numbers."""
    from club_rules.account import rebuild
    from club_rules.settling import settle

    found = [unpack(bytes(item["body"]["B"])) for (pk, _), item in club.content().items() if pk.startswith("E#")]
    entries = sorted((entry for entry in found if entry.get("member_id") == "m-42"), key=lambda entry: entry["seq"])
    account = rebuild("m-42", entries)
    while some := settle(account, PROGRAMS, moment):
        entries += some
    return entries


def test_days_are_taken_whole_and_instants_to_the_letter(club: Club) -> None:
    day = NOW - days(10)
    midnight = datetime.combine(day.date(), time(), tzinfo=UTC)
    buys(club, "10.00", midnight, "o-1")
    buys(club, "20.00", midnight + timedelta(hours=12), "o-2")
    buys(club, "40.00", midnight + timedelta(hours=24), "o-3")

    def points(start: str | datetime, end: str | datetime) -> tuple[int, int]:
        asked = {"program": "vip", "from": start, "to": end}
        query = {name: value if isinstance(value, str) else instant(value) for name, value in asked.items()}
        body = read(club, "explanation", query)
        return float(body["opening"]["spend"]), float(body["closing"]["spend"])  # type: ignore[return-value]

    iso = day.date().isoformat()
    assert points(iso, iso) == (0, 30)
    assert points(midnight, iso) == (10, 30), "what was posted at that instant is in the opening"
    assert points(midnight, midnight) == (10, 10)
    assert points(midnight - timedelta(milliseconds=1), midnight) == (0, 10)
    assert points(midnight + timedelta(hours=1), midnight + timedelta(hours=24)) == (10, 70)
    assert points(iso, NOW) == (0, 70)
    today = NOW.date().isoformat()
    assert points(today, today) == (70, 70), "a day that is not over is told up to now"
    assert read(club, "explanation", {"program": "vip", "from": today, "to": today})["closing"]["at"] == instant(NOW)


def test_without_moments_the_last_thirty_days_are_told(club: Club) -> None:
    buys(club, "100.00", NOW - days(31), "o-1")
    buys(club, "30.00", NOW - days(29), "o-2")
    body = read(club, "explanation", {"program": "club"})
    assert (body["opening"]["points"], body["closing"]["points"]) == (105, 140)
    assert (body["opening"]["at"], body["closing"]["at"]) == (instant(NOW - days(30)), instant(NOW))
    assert body["text"]
    assert (body["member_id"], body["program"], body["as_of"]) == ("m-42", "club", instant(NOW))
    end = NOW - days(7)
    before = read(club, "explanation", {"program": "club", "to": instant(end)})
    assert (before["opening"]["at"], before["closing"]["at"]) == (instant(end - days(30)), instant(end))


def test_a_span_before_the_first_entry_is_empty(club: Club) -> None:
    buys(club, "100.00")
    body = read(club, "explanation", {"program": "club", "from": "0001-01-01", "to": "2001-02-03"})
    assert (body["opening"]["points"], body["closing"]["points"], body["causes"]) == (0, 0, [])
    assert (body["opening"]["tier"], body["receipts"]) == ("A0", [])


def test_an_explanation_reads_by_whole_requests(club: Club) -> None:
    for ago, count in ((9, 110), (2, 3)):
        at = NOW - days(ago)
        club.post(*(event("visit.recorded", f"e-{ago}-{n}", at=at - days(n)) for n in range(count)), at=at)
    expected = [
        (NOW - timedelta(hours=1), [10]),  # nothing was posted since: a few before it tell where the member stood
        (NOW - days(2), [100]),  # what was posted, and as many before it as the same request can bring
    ]
    for start, read_together in expected:
        club.wire.sent.clear()

        read(club, "explanation", {"program": "crowns", "from": instant(start), "to": instant(NOW)})

        assert entries_read(club) == read_together


def test_the_very_first_entry_tells_where_a_member_stood(club: Club) -> None:
    """All but that one were read already, and none of them concerns the program."""
    buys(club, "12.50", NOW - days(9))
    at = NOW - days(2)
    club.post(*(event("visit.recorded", f"e-{n}", at=at - days(n)) for n in range(100)), at=at)

    body = read(club, "explanation", {"program": "vip", "from": instant(at - days(1)), "to": instant(NOW)})

    assert (body["opening"]["spend"], body["closing"]["spend"]) == ("12.50", "12.50")


class Pages:
    """A store that holds a member's full journal pages, and notes which of them it was asked for together."""

    def __init__(self) -> None:
        self.asked: list[list[int]] = []

    def pages(self, member_id: str, keys: Iterable[str]) -> dict[str, list[str]]:
        wanted = [int(key.removeprefix("J#")) for key in keys]
        self.asked.append(wanted)
        return {journal_key(page): rows_of(page) for page in wanted}


def rows_of(page: int) -> list[str]:
    return [f"2026-11-22 e-{page * JOURNAL_PAGE + n}" for n in range(1, JOURNAL_PAGE + 1)]


def a_journal(full: int, given: int = 0) -> tuple[journal.Journal, Pages]:
    """A journal of so many full pages and two rows, of which the ``given`` latest came with the account."""
    account = Account("m-42")
    account.journal_pages, account.seq = full, full * JOURNAL_PAGE + 2
    account.journal = rows_of(full)[:2]
    store: Any = Pages()
    return journal.Journal(store, account, {journal_key(n): rows_of(n) for n in range(full - given, full)}), store


@pytest.mark.parametrize(
    ("given", "at_most", "asked"),
    [
        (0, 2, []),  # the account has them
        (0, 3, [[29]]),
        (0, 2 + 2 * JOURNAL_PAGE, [[28, 29]]),
        (0, 3 + 2 * JOURNAL_PAGE, [[27, 28, 29]]),
        (2, 2 + 2 * JOURNAL_PAGE, []),  # they came with the account
        (2, 3 + 2 * JOURNAL_PAGE, [[27]]),
        (0, 5_000, [[*range(20, 30)], [*range(10, 20)], [*range(10)]]),
        (25, 5_000, [[*range(5)]]),
    ],
)
def test_pages_of_the_journal_are_read_together_and_once(given: int, at_most: int, asked: list[list[int]]) -> None:
    """As many rows as are wanted, by as few requests as they take; and what is not wanted is not read."""
    found, store = a_journal(30, given)
    last = 30 * JOURNAL_PAGE + 2

    for _ in range(2):
        rows = list(found.rows(found.last, at_most))

        assert [(row.seq, row.key) for row in rows] == [(n, f"e-{n}") for n in range(last, max(0, last - at_most), -1)]
        assert store.asked == asked


def test_one_row_brings_its_neighbours(club: Club) -> None:
    found, store = a_journal(30)
    assert found.row(30 * JOURNAL_PAGE).key == f"e-{30 * JOURNAL_PAGE}"
    assert store.asked == [[*range(20, 30)]], "who asks for one will ask for those before it"


def test_no_entries_are_no_request() -> None:
    found, _ = a_journal(1)
    assert found.entries([]) == [], "what is empty is not asked for: DynamoDB would refuse it"


def test_a_span_that_holds_too_much_is_refused_by_name(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(6):
        buys(club, "10.00", NOW - days(6 - number), f"o-{number}")
    monkeypatch.setattr(reading, "EXPLAINED_AT_ONCE", 4)

    def faults(**query: str) -> list[tuple[str, str]]:
        status, body = club.get("/members/me/explanation", {"program": "club", **query})
        assert status == 400
        assert all(" entries were posted " in each["detail"] for each in body["errors"])
        return [(each["pointer"], each["code"]) for each in body["errors"]]

    assert faults(**{"from": "2026-11-01"}) == [("/query/from", "too_many"), ("/query/to", "too_many")]
    assert read(club, "explanation", {"program": "club", "from": "2026-11-19"})["closing"]["points"] == 90
    old = read(club, "explanation", {"program": "club", "from": "2026-11-01", "to": "2026-11-17"})
    assert (old["opening"]["points"], old["closing"]["points"]) == (0, 30), "what came later is not read"
    monkeypatch.setattr(reading, "JOURNAL_AT_ONCE", 5)
    assert faults(**{"from": "2026-11-01", "to": "2026-11-17"}) == [("/query/from", "too_many")]


BAD_SPANS: list[tuple[dict[str, str], dict[str, str]]] = [
    ({}, {"/query/program": "missing"}),
    ({"program": "gold"}, {"/query/program": "invalid_value"}),
    ({"program": "club", "limit": "3"}, {"/query/limit": "unknown_field"}),
    ({"program": "club", "from": "2026-13-01"}, {"/query/from": "invalid_instant"}),
    ({"program": "club", "to": "tomorrow"}, {"/query/to": "invalid_instant"}),
    ({"program": "club", "to": "2026-11-22T10:15:00.001Z"}, {"/query/to": "in_future"}),
    ({"program": "club", "to": "2026-11-23"}, {"/query/to": "in_future"}),
    ({"program": "club", "to": "9999-12-31"}, {"/query/to": "invalid_instant"}),
    ({"program": "club", "from": "2026-11-23"}, {"/query/from": "in_future"}),
    (
        {"program": "club", "from": "2026-11-08", "to": "2026-11-01"},
        {"/query/from": "from_after_to", "/query/to": "from_after_to"},
    ),
    (
        {"program": "x", "from": "x", "to": "x", "x/y": "x"},
        {
            "/query/program": "invalid_value",
            "/query/from": "invalid_instant",
            "/query/to": "invalid_instant",
            "/query/x~1y": "unknown_field",
        },
    ),
]


@pytest.mark.parametrize(("query", "named"), BAD_SPANS)
def test_every_bad_parameter_of_an_explanation_is_named(
    club: Club, query: dict[str, str], named: dict[str, str]
) -> None:
    buys(club, "12.50")
    assert refused(club, "explanation", query) == named


def test_the_future_is_named_as_such(club: Club) -> None:
    status, body = club.get("/members/me/explanation", {"program": "club", "to": "2026-11-23"})
    assert status == 400
    assert body["errors"] == [
        {"pointer": "/query/to", "code": "in_future", "detail": "lies in the future: nothing is known of it yet"}
    ]


# --- the outlook


def test_the_calendar_ahead(club: Club) -> None:
    buys(club, "109.00", NOW - days(355), "o-1")
    buys(club, "484.00", NOW - days(100), "o-2")
    club.wire.sent.clear()

    body = read(club, "outlook", {"program": "club", "days": "400"})

    assert club.wire.operations() == ["GetItem"]
    assert body.keys() == {"member_id", "program", "as_of", "today", "days", "changes", "keep"}
    assert body["today"] == {"date": "2026-11-22", "tier": "A3", "points": 603, "expires": 0}
    assert [row["date"] for row in body["days"]] == [
        (date(2026, 11, 22) + timedelta(days=n)).isoformat() for n in range(1, 401)
    ]
    falls = (date(2026, 11, 22) + timedelta(days=10)).isoformat()
    (row,) = [row for row in body["days"] if row["date"] == falls]
    assert row == {"date": falls, "tier": "A2", "points": 489, "expires": 114}
    assert [(each["date"], each["tier_before"], each["tier"]) for each in body["changes"]] == [
        (falls, "A3", "A2"),
        ("2027-08-14", "A2", "A0"),
    ]
    keep = body["keep"]
    assert {name: keep[name] for name in keep if name != "text"} == {
        "tier": "A3",
        "earn": 11,
        "from": "2026-11-22",
        "by": "2026-12-01",
        "falls_on": falls,
        "falls_to": "A2",
    }
    assert all(each["text"] for each in [*body["changes"], keep])
    assert body["days"][0] == read(club, "outlook", {"program": "club", "days": "1"})["days"][0]


def test_an_outlook_is_what_the_summary_shows_when_the_day_has_come(club: Club) -> None:
    buys(club, "1000.00", NOW - days(80), "o-1")
    buys(club, "50.00", NOW - days(30), "o-2")
    for program, field in (("vip", "spend"), ("crowns", "points")):
        body = read(club, "outlook", {"program": program, "days": "70"})
        for row in body["days"][::3]:
            then = club.summary(at=datetime.combine(date.fromisoformat(row["date"]), time(), tzinfo=UTC))[program]
            assert (row[field], row["tier"]) == (then[field], then["tier"])


@pytest.mark.parametrize("number", ["0", "401", "-1", "1.5", "", "x", "٣"])
def test_days_out_of_range_are_named(club: Club, number: str) -> None:
    buys(club, "12.50")
    assert refused(club, "outlook", {"program": "club", "days": number}) == {"/query/days": "out_of_range"}
    assert refused(club, "outlook", {"days": number, "to": "x"}) == {
        "/query/program": "missing",
        "/query/days": "out_of_range",
        "/query/to": "unknown_field",
    }


# --- languages

TEXTS = {"statement": "entries", "privileges": "privileges", "explanation": "receipts", "outlook": "changes"}


@pytest.mark.parametrize("path", TEXTS)
def test_texts_come_in_the_language_that_is_asked_for(club: Club, path: str) -> None:
    buys(club, "609.00", NOW - days(5))
    query = None if path == "privileges" else {"program": "club", **({"days": "400"} if path == "outlook" else {})}

    english, russian = (read(club, path, query, language=language) for language in ("en-GB", "ru-RU,en;q=0.3"))

    assert english == read(club, path, query) == read(club, path, query, language="*")
    assert english[TEXTS[path]]
    for one, other in zip(
        json.dumps(english, ensure_ascii=False), json.dumps(russian, ensure_ascii=False), strict=False
    ):
        if one != other:
            break
    else:
        raise AssertionError("no text is in Russian")
    assert without_texts(english) == without_texts(russian), "the facts are the same"


def without_texts(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: without_texts(each) for name, each in value.items() if name not in ("text", "title")}
    return [without_texts(each) for each in value] if isinstance(value, list) else value


@pytest.mark.parametrize("language", ["de", "de-DE, fr;q=0.5", "en;q=0", "e n", "en;q=7", "en;q=x"])
@pytest.mark.parametrize("path", ["", "/statement", "/privileges", "/rewards", "/explanation", "/outlook"])
def test_a_language_that_is_not_spoken_here_is_named(club: Club, path: str, language: str) -> None:
    buys(club, "12.50")
    club.wire.sent.clear()
    query = {"program": "club"} if path in ("/statement", "/explanation", "/outlook") else None
    status, body = club.get(f"/members/me{path}", query, language=language)
    assert (status, body["code"]) == (400, "invalid_language")
    assert [error["pointer"] for error in body["errors"]] == ["/headers/accept-language"]
    assert club.wire.operations() == []


def test_a_violation_is_worded_for_the_member_and_more_fully_for_support(club: Club) -> None:
    buys(club, "609.00")
    club.post(event("violation.confirmed", "e-v", {"case_id": "v-1", "kind": "return_abuse"}))

    def shown(**who: str) -> Event:
        status, body = club.get("/members/m-42/statement", {"program": "crowns", "limit": "1"}, **who)  # type: ignore[arg-type]
        assert status == 200
        entry: Event = body["entries"][0]
        return entry

    member, support = shown(), shown(sub="agent-7", scope="club:support")
    assert (member["reasons"][0]["code"], support["reasons"][0]["code"]) == ("penalty", "return_abuse")
    assert member["reasons"][0]["ref"] == "v-1"
    assert "v-1" in member["reasons"][0]["text"]
    assert "abuse" in support["reasons"][0]["text"]
    assert "abuse" not in json.dumps(member)


# --- an agent's list of decisions


def decide(club: Club, number: int, at: datetime) -> Event:
    body = {
        "request_id": f"r-{number}",
        "member_id": "m-42",
        "order_id": "o-1",
        "dispute_id": "d-1",
        "refund": {"kind": "full", "amount": "20.00", "currency": "USD"},
        "seller_approved_at": None,
        "return_shipment": None,
        "order_eligible": True,
    }
    request = sample("expedited_refund")
    request["body"] = json.dumps(body)
    request["requestContext"]["timeEpoch"] = int(at.timestamp() * 1000)
    answer = club.invoke("expedited_refund", request)
    assert answer["statusCode"] == 200
    decision: Event = json.loads(answer["body"])
    return decision


def test_an_agent_sees_a_members_decisions_latest_first(club: Club) -> None:
    buys(club, "600.00", NOW - days(5))
    made = [decide(club, n, NOW + timedelta(milliseconds=400 * n)) for n in range(7)]
    found: list[Event] = []
    query = {"limit": "3"}
    for size in (3, 3, 1):
        club.wire.sent.clear()
        status, body = club.get("/members/m-42/decisions", query, sub="agent-7", scope="club:support")
        assert status == 200
        assert club.wire.operations() == ["Query", "BatchGetItem", "GetItem"]
        assert club.wire.bodies("GetItem")[0]["ConsistentRead"] is True, "who was erased just now is not shown"
        (asked,) = club.wire.bodies("BatchGetItem")
        assert len(asked["RequestItems"][club.table]["Keys"]) == min(len(made) - len(found), 4), "a page and one more"
        assert len(body["decisions"]) == size
        found += body["decisions"]
        query["cursor"] = body["cursor"]
    assert body["cursor"] is None
    assert found == made[::-1]


def test_decisions_are_for_support_alone(club: Club) -> None:
    buys(club, "600.00")
    decide(club, 1, NOW)
    club.wire.sent.clear()
    for scope in ("club:read", "club:decide", "club:read club:decide", ""):
        status, body = club.get("/members/m-42/decisions", scope=scope)
        assert (status, body["code"]) == (403, "scope_required")
    assert club.wire.operations() == []


def test_a_decision_on_a_member_without_an_account_is_found(club: Club) -> None:
    assert club.get("/members/m-42/decisions", sub="agent-7", scope="club:support")[0] == 404
    made = decide(club, 1, NOW)
    status, body = club.get("/members/m-42/decisions", sub="agent-7", scope="club:support")
    assert (status, body["decisions"]) == (200, [made])
    buys(club, "600.00", member_id="m-43")
    status, body = club.get("/members/m-43/decisions", sub="agent-7", scope="club:support")
    assert (status, body) == (200, {"member_id": "m-43", "decisions": [], "cursor": None})
    club.assert_whole()


@pytest.mark.parametrize("limit", ["0", "101", "x", ""])
def test_a_limit_of_decisions_is_checked(club: Club, limit: str) -> None:
    assert refused(club, "decisions", {"limit": limit}, sub="agent-7", scope="club:support") == {
        "/query/limit": "out_of_range"
    }


def test_a_cursor_of_decisions_is_checked(club: Club) -> None:
    buys(club, "600.00")
    for n in range(3):
        decide(club, n, NOW + timedelta(seconds=n))
    who = {"sub": "agent-7", "scope": "club:support"}
    _, body = club.get("/members/m-42/decisions", {"limit": "1"}, **who)  # type: ignore[arg-type]
    other = queries.make_cursor(3, "statement", "m-42", "club")
    for cursor in (
        body["cursor"] + "A",
        body["cursor"][1:],
        other,
        "x",
        "",
        queries.make_cursor(3, "decisions", "m-42"),
    ):
        status, problem = club.get("/members/m-42/decisions", {"cursor": cursor}, **who)  # type: ignore[arg-type]
        assert status == 400
        assert [each["code"] for each in problem["errors"]] == ["invalid_cursor"]
    status, problem = club.get("/members/m-43/decisions", {"cursor": body["cursor"]}, **who)  # type: ignore[arg-type]
    assert status == 400, "it goes on with its own member's list"
