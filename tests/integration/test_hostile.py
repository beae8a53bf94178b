"""What an attacker sends, at the doors of the functions: no 5xx, no poison, nothing in another member's partition."""

from __future__ import annotations

import base64
import copy
import json
import time
from datetime import timedelta
from typing import Any

import pytest

from club_ledger import exporting, items, reading
from club_ledger.queries import make_cursor
from club_rules.account import Account
from club_rules.events import parse_event
from club_rules.fields import is_id
from club_rules.posting import post
from club_rules.programs import load_programs
from tests.hostile.cases import BODIES, IDS_REFUSED, IDS_TAKEN, QUERIES, VALUES
from tests.integration.harness import NOW, Club, Event, event, line, message, order, record, sample

ANSWER_BYTES_MAX = 6 * 1024 * 1024 - 100 * 1024
"""Lambda's bound for an answer, with some room for what the service puts around it."""

DOORS = {
    "activities": "ingest_activity",
    "refund": "expedited_refund",
    "dispute": "dispute_acceleration",
    "adjustment": "member_admin",
}
READS = ("", "/statement", "/privileges", "/rewards", "/explanation", "/outlook", "/export")


def knock(club: Club, door: str, body: bytes | str) -> tuple[int, Event]:
    """Sends a body to a door, as the gateway hands it on: status, and the answer's body."""
    request = copy.deepcopy(sample(DOORS[door]))
    request["body"], request["isBase64Encoded"] = body, False
    if isinstance(body, bytes):
        request["body"], request["isBase64Encoded"] = base64.b64encode(body).decode(), True
    claims = request["requestContext"]["authorizer"]["jwt"]["claims"]
    claims |= {"sub": "op-1", "scope": "club:ingest club:decide club:admin"}
    answer = club.invoke(DOORS[door], request)
    assert len(json.dumps(answer)) < ANSWER_BYTES_MAX
    is_problem = answer["statusCode"] >= 300
    assert answer["headers"]["content-type"] == f"application/{'problem+' if is_problem else ''}json"
    return answer["statusCode"], json.loads(answer["body"])


# --- bodies


@pytest.mark.parametrize("door", DOORS)
def test_a_body_that_is_none_is_refused_before_anything_is_asked(club: Club, door: str) -> None:
    for name, body in BODIES.items():
        club.wire.sent.clear()

        status, problem = knock(club, door, body)

        assert status in (400, 413), name
        assert problem["code"] == problem.get("errors", [problem])[0]["code"], name
        assert len(problem.get("errors", ())) <= 3001, name
        assert club.wire.operations() == [], name


@pytest.mark.parametrize("door", DOORS)
def test_a_hostile_id_is_named_and_nothing_is_asked(club: Club, door: str) -> None:
    field = {"activities": "event_id", "adjustment": "adjustment_id"}.get(door, "request_id")
    body: Any = json.loads(sample(DOORS[door])["body"])
    holder = body["events"][0] if door == "activities" else body
    if door == "activities":
        body["events"] = [holder]
    values = [*map(json.dumps, IDS_REFUSED.values()), *(value for value in VALUES.values() if value[0] != '"')]
    for value in values:
        holder[field] = "slot"
        text = json.dumps(body).replace('"slot"', value)
        club.wire.sent.clear()

        status, answer = knock(club, door, text)

        assert status == (202 if door == "activities" else 400), value[:80]
        refused = answer["refused"][0] if door == "activities" else answer
        assert {error["pointer"].split("/")[1] for error in refused["errors"]} == {field}, value[:80]
        assert club.wire.operations() == [], value[:80]


def test_a_bad_event_never_blocks_its_neighbours(club: Club) -> None:
    for start in range(0, len(VALUES), 30):
        some = list(VALUES.values())[start : start + 30]
        events = [
            event("visit.recorded", f"e-{n}", occurred_at="slot" if n % 2 else "2026-11-22T10:00:00Z")
            for n in range(60)
        ]
        text = json.dumps({"events": events})
        for value in some:
            text = text.replace('"slot"', value, 1)
        text = text.replace('"slot"', "null")
        if len(text) > 256 * 1024:
            continue

        status, answer = knock(club, "activities", text)

        assert status == 202
        assert answer["accepted"] == [f"e-{n}" for n in range(0, 60, 2)]
        assert [each["index"] for each in answer["refused"]] == list(range(1, 60, 2))
        assert all(each["code"] for each in answer["refused"])


# --- the queue


def test_no_message_is_poison(club: Club) -> None:
    """In a batch with hostile messages the others are posted; these are dead letters with a reason."""
    bodies = [body.decode() for body in BODIES.values() if len(body) <= 200_000 and _is_text(body)]
    bodies += [body.decode("latin-1") for body in BODIES.values() if len(body) <= 100_000 and not _is_text(body)]
    dates = [value for value in VALUES.values() if is_id(value.strip('"'))]  # by their form these are ids
    for value in (*VALUES.values(), *map(json.dumps, IDS_REFUSED.values())):
        if value in dates and value[0] == '"':
            continue
        detail = f'{{"event_id":{value},"member_id":"m-42","occurred_at":"2026-11-22T10:00:00Z","data":{{}}}}'
        bodies.append(f'{{"source":"marketplace","detail-type":"visit.recorded","detail":{detail}}}')
        bodies.append(f'{{"source":"marketplace","detail-type":{value},"detail":{{}}}}')
        bodies.append(f'{{"source":"marketplace","detail-type":"visit.recorded","detail":{value}}}')
    posted = 0
    for start in range(0, len(bodies), 8):
        hostile = bodies[start : start + 8]
        before, after = (event("post.published", f"e-{start}-{n}", {"post_id": f"p-{start}-{n}"}) for n in (1, 2))

        again = club.deliver(record(message(before)), *map(record, hostile), record(message(after)))

        assert again == []
        letters = club.dead_letters()
        assert sorted(body for _, _, body in letters) == sorted(hostile)
        assert all(reason and detail.isprintable() for reason, detail, _ in letters)
        posted += 2
    assert len(club.entries()) == posted
    club.assert_whole()


def _is_text(body: bytes) -> bool:
    try:
        return bool(body.decode().strip("\x00"))
    except UnicodeDecodeError:
        return False


def test_a_message_that_nobody_can_read_is_its_own_trouble_alone(club: Club) -> None:
    odd = record(message(event("visit.recorded", "e-1")), message_id="odd")
    odd["attributes"] = {}

    again = club.deliver(odd, record(message(event("visit.recorded", "e-2"))))

    assert again == ["message-odd"]
    assert [entry["event_id"] for entry in club.entries()] == ["e-2"]


# --- reads


@pytest.mark.parametrize("scope", ["club:read", "club:support"])
@pytest.mark.parametrize("read", [*READS, "/decisions"])
def test_what_is_no_member_is_not_looked_for(club: Club, read: str, scope: str) -> None:
    club.post(order("o-1"))
    club.wire.sent.clear()
    for name, text in IDS_REFUSED.items():
        if "/" in text or not text:
            continue  # the gateway has no such route

        status, problem = club.get(f"/members/{text}{read}", {"program": "club"}, scope=scope)

        expected = (
            (403, "scope_required") if (read, scope) == ("/decisions", "club:read") else (404, "member_not_found")
        )
        assert (status, problem["code"]) == expected, name
    assert club.wire.operations() == []


def test_what_is_no_decision_is_not_looked_for(club: Club) -> None:
    club.wire.sent.clear()
    tried = (*IDS_REFUSED.values(), *IDS_TAKEN, "d-" + "0" * 39, "d-" + "0" * 41, "d-" + "A" * 40, f"d-{'0' * 40}\n")
    for text in tried:
        if "/" not in text and text:
            assert club.get(f"/decisions/{text}", scope="club:support")[0] == 404, text
    assert club.wire.operations() == []
    assert club.get(f"/decisions/d-{'0' * 40}", scope="club:support")[0] == 404
    assert club.wire.operations() == ["GetItem"]


FORGED: dict[str, list[int | str]] = {
    "export": [
        *(f"watched:{text}" for text in IDS_REFUSED.values()),
        *(f"decisions:{text}" for text in (*IDS_REFUSED.values(), *IDS_TAKEN)),
        *(
            "entries:" + text
            for text in (*IDS_REFUSED.values(), "0", "-1", "\u0663", "\u00b2", "9" * 39, "1e3", "+1", " 1")
        ),
        "profile:x",
        "watched",
        "",
        7,
    ],
    "decisions": [
        *IDS_REFUSED.values(),
        *IDS_TAKEN,
        "D#",
        "D$",
        "E",
        "J#000000",
        "O#o-1",
        "zzz",
        f"D#zzz#d-{'0' * 40}",
        f"D#2026-11-22T10:15:00#d-{'0' * 39}",
        f"D#2026-11-22T10:15:00#d-{'0' * 40}\n",
        f"D#2026-11-22T10:15:00#{'0' * 42}",
        7,
    ],
    "statement": ["", "1", 0, -1],
}


@pytest.mark.parametrize("read", FORGED)
def test_a_forged_cursor_leads_nowhere(club: Club, read: str) -> None:
    """Its check is no secret: anybody can make one up for their own list, at any position."""
    club.post(order("o-1"), order("o-2", member_id="m-43"))
    club.wire.sent.clear()
    of = ("club",) if read == "statement" else ()
    query = {"program": "club"} if of else {}
    for position in FORGED[read]:
        cursor = make_cursor(position, read, "m-42", *of)

        status, problem = club.get(f"/members/m-42/{read}", {**query, "cursor": cursor}, scope="club:support")

        assert (status, problem["errors"][0]["pointer"]) == (400, "/query/cursor"), position
    assert club.wire.operations() == []


def test_an_order_is_no_decision_whatever_the_cursor_says(club: Club) -> None:
    """Somebody else's decision is not read by way of an order that is called like it."""
    decided = club.invoke("expedited_refund", sample("expedited_refund"))
    theirs = json.loads(decided["body"])["decision_id"]
    club.post(order(theirs, member_id="m-1"), event("wishlist.item_added", "e-2", {"item_id": theirs}, member_id="m-1"))
    for position in ("zzz", "P", "W$", f"W#{theirs}#", f"O#{theirs}#"):
        for read, place in (("export", f"decisions:{position}"), ("decisions", position)):
            query = {"cursor": make_cursor(place, read, "m-1")}

            status, body = club.get(f"/members/m-1/{read}", query, sub="m-1", scope="club:support")

            assert status == 400, (read, position)
            assert theirs not in json.dumps(body)


def test_another_s_cursor_is_none(club: Club) -> None:
    club.post(*(order(f"o-{n}", event_id=f"e-{n}") for n in range(3)), order("o-9", event_id="e-9", member_id="m-43"))
    _, page = club.get("/members/me/statement", {"program": "club", "limit": "1"})
    _, export = club.get("/members/me/export", {"limit": "1"})
    club.wire.sent.clear()

    theirs = {"program": "club", "cursor": page["cursor"]}
    assert club.get("/members/me/statement", theirs, sub="m-43")[0] == 400
    assert club.get("/members/me/export", {"cursor": export["cursor"]}, sub="m-43")[0] == 400
    assert club.get("/members/me/statement", {**theirs, "program": "vip"})[0] == 400
    assert club.wire.operations() == []
    assert club.get("/members/me/statement", theirs)[0] == 200


def test_no_query_is_a_fault_of_ours(club: Club) -> None:
    club.post(order("o-1"))
    for name, text in QUERIES.items():
        pairs = [pair.partition("=") for pair in text.split("&")]

        status, body = club.get("/members/me/statement", {key: value for key, _, value in pairs})

        assert status in (200, 400), name
        assert status == 200 or all(error["pointer"].startswith("/query/") for error in body["errors"]), name


# --- nothing crosses


def test_members_who_look_alike_are_members_apart(club: Club) -> None:
    """A member for each id that looks like a key: each has their own points, in their own partition, read alone."""
    for number, member in enumerate(IDS_TAKEN, start=2):
        club.post(order(member, line(member, f"{number}.00"), event_id=f"e-{number}", member_id=member))
    kept = club.content()
    for number, member in enumerate(IDS_TAKEN, start=2):
        club.wire.sent.clear()

        assert club.summary(member)["crowns"]["points"] == number + 2  # with the day's and the category's

        own = {items.member_key(member), items.rewards_key(member), *map(items.standing_key, range(4))}
        assert _asked(club) <= own
        _, page = club.get("/members/me/export", sub=member)
        assert {entry["event_id"] for entry in page["entries"]} == {f"e-{number}"}
    assert club.content() == kept
    members = {pk for pk, _ in kept if pk.startswith("M#")}
    assert members == {items.member_key(member) for member in IDS_TAKEN}
    club.assert_whole()


def test_members_who_look_alike_are_announced_and_swept_apart(club: Club) -> None:
    """What the stream and the sweeps' messages say of a member is that member's, whatever the id looks like."""
    for number, member in enumerate(IDS_TAKEN, start=2):
        club.post(order(f"o-{number}", line(unit_price="2.00"), event_id=f"e-{number}", member_id=member))

    told = club.announced()

    risen = [detail["member_id"] for kind, detail in told if kind == "tier.changed" and detail["program"] == "club"]
    assert sorted(risen) == sorted(IDS_TAKEN)
    assert len({detail["event_id"] for _, detail in told}) == len(told)
    later = NOW + timedelta(days=400)
    for name in ("ExpirySweep", "DemotionSweep", "RewardSweep"):
        club.sweep(name, later, override_limit=True)
    for member in IDS_TAKEN:
        assert {entry["kind"] for entry in _parts(club, member)} == {"accrual", "expiry", "tier_review"}
    club.assert_whole()


def _parts(club: Club, member: str) -> list[Event]:
    return [part for entry in club.entries(member) for part in entry["parts"].values()]


def _asked(club: Club) -> set[str]:
    """The partitions that any request named."""
    text = json.dumps([body for _, body in club.wire.sent])
    found: set[str] = set()

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            found.update([value["pk"]["S"]] if isinstance(value.get("pk"), dict) else [])
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(json.loads(text))
    assert found
    return found


@pytest.mark.parametrize(
    "sub", ["", " ", "op\x00", "op\n1", "op\u202e1", "op\u200b1", "op\ud800", "o" * 256, "\u00a0", "op\x85"]
)
def test_an_operator_whom_nobody_can_read_may_not_act(club: Club, sub: str) -> None:
    club.post(order("o-1"))
    club.wire.sent.clear()
    for name in ("member_admin", "member_admin_erase"):
        request = copy.deepcopy(sample(name))
        request["requestContext"]["authorizer"]["jwt"]["claims"] |= {"sub": sub, "scope": "club:admin"}

        answer = club.invoke("member_admin", request)

        assert (answer["statusCode"], json.loads(answer["body"])["code"]) == (403, "subject_required")
    assert club.wire.operations() == []


# --- huge lists


WIDE = "\U0001f4da" * 64
"""A category that is twelve times as long in an answer as it looks."""


def huge_order(number: int, price: str = "1.99") -> Event:
    """As much as an order can hold, all of which is told: 500 lines, none of which earns anything."""
    lines = [line(f"i-{number}-{n}".ljust(64, "x"), price, category=WIDE) for n in range(500)]
    return order(f"o-{number}".ljust(64, "x"), *lines, event_id=f"e-{number}")


def pages_of(club: Club, path: str, query: dict[str, str], language: str) -> list[Event]:
    """All pages of a list; each fits into an answer."""
    pages: list[Event] = []
    cursor = None
    while cursor or not pages:
        asked = {**query, "cursor": cursor} if cursor else query
        status, page = club.get(path, asked, scope="club:read club:support", language=language)
        assert status == 200
        body = json.dumps(page, separators=(",", ":"))
        assert len(json.dumps({"statusCode": 200, "body": body})) < ANSWER_BYTES_MAX
        pages.append(page)
        cursor = page["cursor"]
        assert len(pages) < 100
    return pages


@pytest.mark.parametrize("language", ["en", "ru"])
def test_pages_of_huge_orders_fit_into_an_answer(club: Club, language: str) -> None:
    club.post(*(huge_order(number) for number in range(30)))
    everything = list(range(1, 31))

    for program in ("club", "crowns", "vip"):
        pages = pages_of(club, "/members/me/statement", {"program": program, "limit": "100"}, language)
        shown = [entry["seq"] for page in pages for entry in page["entries"]]
        assert shown == sorted(shown, reverse=True) == everything[::-1]
        assert all(page["entries"] for page in pages)
    exported = pages_of(club, "/members/me/export", {"limit": "100"}, language)
    assert [entry["seq"] for page in exported for entry in page["entries"]] == everything
    assert all(page["entries"] for page in exported)
    assert len(exported) > 5
    status, told = club.get("/members/me/explanation", {"program": "club"}, language=language)
    assert status == 200
    assert len(json.dumps(told)) < 100_000


def test_what_one_page_holds_is_bounded_by_what_is_told() -> None:
    most = reading.TOLD_AT_ONCE

    assert reading.fitting([]) == 0
    assert reading.fitting([most + 1]) == 1
    assert reading.fitting([most + 1, 1]) == 1
    assert reading.fitting([1] * (most + 5)) == most
    assert reading.fitting([most - 1, 1, 1]) == 2
    entry: Any = {"parts": {"club": {"reasons": [1, 2]}, "vip": {"reasons": [3]}}, "data": {"lines": [4, 5]}}
    assert exporting._told(entry) == 5


def test_a_million_units_take_no_longer_than_one() -> None:
    """No loop counts units; what is bounded is the number of lines."""

    def cost(quantity: int) -> float:
        lines = [line(f"i-{n % 3}", "2.00", quantity) for n in range(500)]
        bought = order("o-1", *lines, event_id="e-1")
        back = [{"item_id": f"i-{n}", "quantity": 1_000_000} for n in range(3)] * 100
        returned = event("order.refunded", "e-2", {"order_id": "o-1", "lines": back})
        programs = load_programs()
        started = time.process_time()
        account = Account("m-42")
        posted = post(account, programs, parse_event(bought, now=NOW, programs=programs), NOW, None, frozenset())
        post(account, programs, parse_event(returned, now=NOW, programs=programs), NOW, posted.order, frozenset())
        return time.process_time() - started

    for _ in range(3):
        few, many = min(cost(1) for _ in range(2)), min(cost(1_000_000) for _ in range(2))
        if many < 3 * few + 0.02:
            return
    raise AssertionError(f"{few:.3f} s with one unit a line, {many:.3f} s with a million")
