"""`python -m local verify`: a table that is whole is said to be so, and one that isn't is found out (I1)."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from club_ledger import items
from club_ledger.items import pack, unpack
from local.verify import Report, decoded_entries, verify
from tests.integration.harness import NOW, PROGRAMS, Club, Event, Item, days, event, line, order

SHARDS = 8
NIGHT = NOW.replace(hour=0, minute=5)

Table = dict[tuple[str, str], Item]
ACCOUNT = ("M#m-42", items.ACCOUNT)


def report_of(table: Table) -> Report:
    return verify(list(table.values()), PROGRAMS, SHARDS)


_made: list[Table] = []


@pytest.fixture
def table(request: pytest.FixtureRequest) -> Table:
    """The content of a table, made once: each test gets a copy of its own."""
    if not _made:
        _made.append(content_of(request.getfixturevalue("club")))
    return copy.deepcopy(_made[0])


def content_of(club: Club) -> Table:
    """Three members: one with pages and much that happened, one with a single order, one who has just come."""
    start = NOW - days(365)
    reviewed = [line(f"i-{n}", "2.00") for n in range(33)]
    club.post(order("o-1", *reviewed, line("i-x", "600.00"), at=start), at=start)
    club.post(
        *(event("review.posted", f"e-{n}", {"order_id": "o-1", "item_id": f"i-{n}"}, at=start) for n in range(33)),
        at=start,
    )
    club.post(
        event("order.refunded", "e-back", {"order_id": "o-1", "amount": "10.00", "currency": "USD"}, at=start), at=start
    )
    club.post(order("o-2", line("i-2", "1100.00"), at=NOW - days(5)), at=NOW - days(5))
    club.post(event("order.cancelled", "e-early", {"order_id": "o-9"}))
    club.post(event("violation.confirmed", "e-case", {"case_id": "v-1", "kind": "spam"}))
    club.post(order("o-1", member_id="m-43", event_id="e-43"), event("member.registered", "e-44", member_id="m-44"))
    club.sweep("DemotionSweep", NIGHT)
    found = club.content()
    assert {("M#m-42", "J#000000"), ("M#m-42", "K#000000")} <= found.keys()
    return found


def test_a_table_as_the_club_leaves_it_is_whole(table: Table) -> None:
    report = report_of(table)

    assert report.problems == []
    assert report.members == 3
    assert report.entries == len(list(decoded_entries(table.values()))) > 40


def test_an_empty_table_is_whole() -> None:
    assert report_of({}) == Report(0, 0, [])


# --- what a hand, or a defect, could do to one item -----------------------------------------------------------


def changed(table: Table, key: tuple[str, str], change: Callable[[Any], Any]) -> None:
    """Changes what is packed into one item: an object in place, a page by the list that is given back."""
    body = unpack(table[key]["body"]["B"])
    given = change(body)
    table[key]["body"] = {"B": pack(given if isinstance(body, list) else body)}


def entry_key(table: Table, wanted: Callable[[Event], bool]) -> tuple[str, str]:
    """The key of the first entry of m-42 that is like this."""
    entries = [entry for entry in decoded_entries(table.values()) if entry["member_id"] == "m-42"]
    return items.entry_key(next(entry["key"] for entry in entries if wanted(entry))), items.SINGLE


def of_kind(table: Table, kind: str) -> tuple[str, str]:
    return entry_key(table, lambda entry: any(part["kind"] == kind for part in entry["parts"].values()))


def first_part(entry: Event) -> Event:
    part: Event = next(iter(entry["parts"].values()))
    return part


def set_field(**fields: Any) -> Callable[[Event], None]:
    return lambda body: body.update(fields)


Corruption = Callable[[Table], object]

CORRUPTIONS: dict[str, Corruption] = {
    # the account
    "a balance": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["club"].update(b=body["p"]["club"]["b"] + 1)),
    "a tier": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["vip"].update(t=2)),
    "since when": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["vip"].update(s=1)),
    "a lot": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["vip"].update(l=[[739_000, 5]])),
    "a period": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["vip"].pop("e")),
    "a penalty": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["crowns"].pop("y")),
    "a case": lambda t: changed(t, ACCOUNT, set_field(c={"v-1": "overturned"})),
    "a cap's use": lambda t: changed(t, ACCOUNT, lambda body: body["p"]["club"].pop("i")),
    "a mark": lambda t: changed(t, ACCOUNT, lambda body: body["m"].pop()),
    "the number of entries": lambda t: changed(t, ACCOUNT, lambda body: body.update(n=body["n"] + 1)),
    "the instant": lambda t: changed(t, ACCOUNT, set_field(t="2026-11-22T10:15:01Z")),
    "the journal": lambda t: changed(t, ACCOUNT, lambda body: body["j"].reverse()),
    "a program more": lambda t: changed(t, ACCOUNT, lambda body: body["p"].update(gold={"b": 1})),
    "a program less": lambda t: changed(t, ACCOUNT, lambda body: body["p"].pop("vip")),
    "the account": lambda t: t.pop(ACCOUNT),
    # the index
    "when it is due": lambda t: t[ACCOUNT].update(due_at={"S": "2026-12-01T00:00:00Z"}),
    "in which shard": lambda t: t[ACCOUNT].update(due_shard={"S": "DUE#0"}),
    "that it is due": lambda t: [t[ACCOUNT].pop(name) for name in ("due_at", "due_shard")],
    "that one is due who isn't": lambda t: t["M#m-44", items.ACCOUNT].update(
        due_at={"S": "2026-12-01T00:00:00Z"}, due_shard={"S": "DUE#0"}
    ),
    "through when it was warned": lambda t: t["M#m-43", items.ACCOUNT].update(warned={"S": "2027-06-01T00:00:00Z"}),
    "that it was warned, unreadably": lambda t: t[ACCOUNT].update(warned={"S": "soon"}),
    "half of its place": lambda t: t[ACCOUNT].pop("due_shard"),
    # what can't be read at all
    "the account's bytes": lambda t: t[ACCOUNT].update(body={"B": b"not deflated"}),
    "an entry's bytes": lambda t: t[of_kind(t, "clawback")].update(body={"B": b"not deflated"}),
    "a page's bytes": lambda t: t["M#m-42", "J#000000"].update(body={"B": b"not deflated"}),
    # the entries
    "an accrual's points": lambda t: changed(t, of_kind(t, "accrual"), lambda e: first_part(e).update(points=999)),
    "an accrual's balance": lambda t: changed(t, of_kind(t, "accrual"), lambda e: first_part(e).update(balance=999)),
    "an accrual's lot": lambda t: changed(t, of_kind(t, "accrual"), lambda e: first_part(e)["lots"][0].insert(0, 7)),
    "a clawback's points": lambda t: changed(t, of_kind(t, "clawback"), lambda e: first_part(e).update(points=0)),
    "an expiry's points": lambda t: changed(t, of_kind(t, "expiry"), lambda e: first_part(e).update(points=-1)),
    "a review's outcome": lambda t: changed(t, of_kind(t, "tier_review"), lambda e: first_part(e).pop("set")),
    "a penalty's end": lambda t: changed(
        t, of_kind(t, "penalty"), lambda e: first_part(e)["penalties"][0][1].update(ends=800_000)
    ),
    "a number": lambda t: changed(t, of_kind(t, "clawback"), lambda e: e.update(seq=e["seq"] + 1)),
    "whose it is": lambda t: changed(t, of_kind(t, "clawback"), set_field(member_id="m-43")),
    "a part": lambda t: changed(t, of_kind(t, "clawback"), lambda e: e["parts"].popitem()),
    "when it was posted": lambda t: changed(
        t, entry_key(t, lambda e: e["key"] == "e-case"), set_field(posted_at="2027-01-01T00:00:00Z")
    ),
    "an entry": lambda t: t.pop(of_kind(t, "clawback")),
    "the first entry": lambda t: t.pop(entry_key(t, lambda e: e["seq"] == 1)),
    "the last entry": lambda t: t.pop(entry_key(t, lambda e: e["key"] == "e-case")),
    "a parked entry": lambda t: t.pop(of_kind(t, "parked")),
    "an entry twice": lambda t: t.update(
        {("E#twice", "-"): copy.deepcopy(t[of_kind(t, "accrual")]) | {"pk": {"S": "E#twice"}}}
    ),
    # the pages
    "a page of the journal": lambda t: t.pop(("M#m-42", "J#000000")),
    "a key in a page": lambda t: changed(t, ("M#m-42", "J#000000"), lambda page: ["e-x", *page[1:]]),
    "the order in a page": lambda t: changed(t, ("M#m-42", "J#000000"), lambda page: page[::-1]),
    "a page of marks": lambda t: t.pop(("M#m-42", "K#000000")),
    "a mark in a page": lambda t: changed(t, ("M#m-42", "K#000000"), lambda page: page[1:]),
    # everything
    "all entries": lambda t: [t.pop(key) for key in list(t) if key[0].startswith("E#e-4")],
}


@pytest.mark.parametrize("what", CORRUPTIONS)
def test_one_thing_that_is_wrong_is_found(table: Table, what: str) -> None:
    CORRUPTIONS[what](table)

    problems = report_of(table).problems

    assert problems
    assert any("m-4" in problem or "E#e-" in problem for problem in problems), "it says whose"


def test_each_member_is_judged_alone(table: Table) -> None:
    """What is wrong with two members is said of both, and of nobody else."""
    CORRUPTIONS["a balance"](table)
    changed(table, ("M#m-43", items.ACCOUNT), lambda body: body["p"]["vip"].update(b=1))

    problems = report_of(table).problems

    assert {problem.split(":")[0] for problem in problems} == {"m-42", "m-43"}


def test_what_differs_is_named(table: Table) -> None:
    CORRUPTIONS["when it is due"](table)
    ((told),) = report_of(table).problems
    assert told.startswith("m-42: due index:")
    assert "2026-12-01T00:00:00Z" in told
