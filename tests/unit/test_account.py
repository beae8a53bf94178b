"""The account as it is stored and read again, its journal and its marks (architecture 3.2)."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest

from club_rules.account import (
    JOURNAL_PAGE,
    MARKS_PAGE,
    Account,
    ProgramAccount,
    apply_entry,
    decode_account,
    encode_account,
    is_erased,
    journal_row,
    read_journal_row,
    rebuild,
    stored_tiers,
)
from club_rules.posting import erase
from club_rules.programs import Programs
from club_rules.settling import settle
from tests.oracle.histories import random_history
from tests.unit.member import PROGRAMS, Engine, Member, after, changed, line, noon

DAY = "2026-03-10"
# What has left the account for pages of its own, and what no fold knows, is not stored with it.
_BESIDE = {"filled_journal", "filled_marks", "warned"}


def everything(account: Account) -> dict[str, Any]:
    """All that an account holds."""
    found = {name: copy.deepcopy(getattr(account, name)) for name in Account.__slots__ if name not in _BESIDE}
    found["programs"] = {
        name: {slot: getattr(state, slot) for slot in ProgramAccount.__slots__}
        for name, state in account.programs.items()
    }
    return found


def busy_member() -> Member:
    """Somebody of whom every kind of thing is held, an expiry ahead of its review among them."""
    member = Member()
    member.does("member.registered", {}, on=DAY)
    member.buys("o-1", line("999.00", quantity=2, category="toys"), on=DAY)
    member.does("violation.confirmed", {"case_id": "c-1", "kind": "extortion"})
    for number in range(40):
        member.does("review.posted", {"order_id": "o-1", "item_id": "i-1"}, on=after(DAY, number))
        member.does("contribution.accepted", {"contribution_id": f"c-{number}", "kind": "text"})
        member.does("post.published", {"post_id": f"p-{number}"}, on=after(DAY, 9 * number))
    member.settle(noon(after(DAY, 380)), expiries_only=True)
    return member


def stored(account: Account) -> dict[str, Any]:
    """As it comes out of the table."""
    state: dict[str, Any] = json.loads(json.dumps(encode_account(account)))
    return state


def test_a_new_account_holds_nothing() -> None:
    account = Account("m-1")

    assert everything(account) == {
        "member_id": "m-1",
        "version": 0,
        "seq": 0,
        "as_of": None,
        "registered": False,
        "erased": False,
        "programs": {},
        "cases": {},
        "marks": [],
        "marks_pages": 0,
        "journal": [],
        "journal_pages": 0,
    }
    assert (account.warned, account.filled_journal, account.filled_marks) == (None, {}, {})
    assert stored(account) == {"n": 0, "p": {}}
    state = account.program("club")
    numbers = {"points": 0, "tier": 0, "top": 0, "measured": 0, "changed_at": 0}
    nothing = dict.fromkeys(("since", "period", "review_on"))
    tables: dict[str, Any] = {
        name: {} for name in ("lots", "penalties", "causes", "sellers", "items", "days", "months")
    }
    assert {name: getattr(state, name) for name in ProgramAccount.__slots__} == {
        **numbers,
        **nothing,
        **tables,
        "passed": [],
        "also": [],
    }
    assert account.program("club") is state


def test_what_is_stored_is_what_is_read_again() -> None:
    account = busy_member().account
    account.version = 7
    account.program("club").also = [4, 5]
    held = everything(account)
    assert any(state["passed"] for state in held["programs"].values())
    assert (held["registered"], held["marks_pages"], held["journal_pages"] > 1) == (True, 1, True)

    assert everything(decode_account("m-1", 7, stored(account))) == held
    again = account.clone()
    assert everything(again) == held
    assert again.version == 7


def test_a_copy_is_independent() -> None:
    member = Member()
    member.buys("o-1", line("9.00"), on=DAY)
    member.does("visit.recorded")
    account = member.account
    held, again = copy.deepcopy(everything(account)), account.clone()
    state = again.program("crowns")
    for table in (state.days, state.months, again.program("club").sellers, again.program("club").items):
        assert table
        for use in table.values():
            use.clear()
    assert everything(account) == held


@pytest.mark.parametrize("seed", range(6))
def test_so_it_is_after_any_history(seed: int) -> None:
    engine = Engine()
    for raw, moment in random_history(Random(seed), days=500, events=60):
        engine.take(raw, moment)

    assert everything(decode_account("m-1", 0, stored(engine.account))) == everything(engine.account)
    rebuilt = rebuild("m-1", engine.entries)
    held = {**everything(engine.account), "version": 0}
    assert {name: value for name, value in everything(rebuilt).items() if name != "programs"} == {
        name: value for name, value in held.items() if name != "programs"
    }


def test_what_is_stored_is_nobody_elses() -> None:
    account = busy_member().account
    held = everything(account)

    state = encode_account(account)
    for program in state["p"].values():
        for value in program.values():
            _spoil(value)
    for value in state.values():
        _spoil(value)

    assert everything(account) == held


def _spoil(value: Any) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            _spoil(inner)
        value["spoilt"] = 1
    elif isinstance(value, list):
        for inner in value:
            _spoil(inner)
        value.append("spoilt")


def test_an_account_never_goes_back() -> None:
    account, early, late = Account("m-1"), noon(DAY), noon(after(DAY, 1))
    assert account.not_before(early) == early
    account.as_of = late
    assert account.not_before(early) == late
    assert account.not_before(late + timedelta(days=1)) == late + timedelta(days=1)


def test_an_erased_account_says_so_and_takes_nothing_more() -> None:
    member = Member()
    member.buys("o-1", "9.00", on=DAY)
    account = member.account
    assert not is_erased(stored(account))

    entry = erase(account, noon(DAY), "op-1")

    assert is_erased(stored(account))
    assert decode_account("m-1", 0, stored(account)).erased
    with pytest.raises(ValueError, match=r"entry 3 of m-1 comes after the member was erased"):
        apply_entry(account, {**entry, "seq": 3})


@pytest.mark.parametrize("seq", [1, 3])
def test_an_entry_that_does_not_follow_is_refused(seq: int) -> None:
    member = Member()
    member.is_given(5, on=DAY)

    with pytest.raises(ValueError, match=rf"entry {seq} does not follow entry 1 of m-1"):
        apply_entry(member.account, {**member.entries[0], "seq": seq})
    assert member.points() == 5


def test_a_rebuilt_account_names_what_does_not_add_up() -> None:
    member = Member()
    member.is_given(5, on=DAY)
    member.is_given(6, on=DAY)
    wrong = copy.deepcopy(member.entries)
    wrong[1]["parts"]["club"]["balance"] = 12

    with pytest.raises(ValueError, match=r"entry 2 of m-1: club balance 12, the entries give 11"):
        rebuild("m-1", wrong)
    assert rebuild("m-1", member.entries).member_id == "m-1"


def test_the_stored_tiers_are_those_above_the_lowest() -> None:
    member = Member()
    assert stored_tiers(stored(member.account)) == {}
    member.buys("o-1", line("999.00"), on=DAY)

    assert stored_tiers(stored(member.account)) == {"club": 3, "crowns": 3, "vip": 1}


def test_full_pages_leave_the_account_and_are_numbered() -> None:
    member = Member()
    account = member.account
    for number in range(2 * JOURNAL_PAGE + 3):
        member.does("visit.recorded", on=after(DAY, number))

    assert {page: len(rows) for page, rows in account.filled_journal.items()} == {0: JOURNAL_PAGE, 1: JOURNAL_PAGE}
    assert (account.journal_pages, len(account.journal)) == (2, 3)
    rows = [*account.filled_journal[0], *account.filled_journal[1], *account.journal]
    assert rows == [journal_row(entry) for entry in member.entries]


def test_marks_leave_by_pages_as_well() -> None:
    account = Account("m-1")
    part = {
        "entry_id": "e",
        "key": "e",
        "posted_at": f"{DAY}T12:00:00Z",
        "occurred_at": f"{DAY}T12:00:00Z",
        "parts": {},
    }
    marks = [f"club/review/i-{number}" for number in range(2 * MARKS_PAGE + 1)]
    apply_entry(account, {**part, "seq": 1, "marks": marks[: MARKS_PAGE - 1]})
    assert (account.marks, account.filled_marks) == (marks[: MARKS_PAGE - 1], {})
    apply_entry(account, {**part, "seq": 2, "marks": marks[MARKS_PAGE - 1 :]})

    assert account.filled_marks == {0: marks[:MARKS_PAGE], 1: marks[MARKS_PAGE : 2 * MARKS_PAGE]}
    assert (account.marks, account.marks_pages) == (marks[2 * MARKS_PAGE :], 2)


@pytest.mark.parametrize(
    ("posted", "occurred", "row"),
    [
        ("2026-03-10T12:00:00Z", "2026-03-10T08:00:00Z", "2026-03-10 e-1"),
        ("2026-03-11T00:00:00Z", "2026-03-10T23:59:59Z", "2026-03-11 2026-03-10 e-1"),
    ],
)
def test_a_row_of_the_journal_says_days_and_key(posted: str, occurred: str, row: str) -> None:
    assert journal_row({"key": "e-1", "posted_at": posted, "occurred_at": occurred}) == row
    read = read_journal_row(row, "m-1", 4)
    assert (read.seq, read.key, read.posted, read.occurred) == (4, "e-1", posted[:10], occurred[:10])


def test_a_row_of_what_fell_due_leaves_out_what_its_reader_knows() -> None:
    entry = {"key": "~expiry~m-1~4", "posted_at": "2026-03-10T00:00:00Z", "occurred_at": "2026-03-10T00:00:00Z"}

    assert journal_row(entry) == "2026-03-10 ~expiry"
    assert read_journal_row("2026-03-10 ~expiry", "m-1", 4).key == "~expiry~m-1~4"
    with pytest.raises(ValueError, match="is no row of a journal"):
        read_journal_row("2026-03-10 2026-03-09 2026-03-08 e-1", "m-1", 4)
    with pytest.raises(ValueError, match="not enough values"):
        read_journal_row("2026-03-10\te-1", "m-1", 4)


def test_what_no_event_can_ask_for_any_more_is_dropped() -> None:
    member = Member(PROGRAMS)
    member.buys("o-1", line("9.00"), on=DAY)
    member.does("contribution.accepted", {"contribution_id": "c-1", "kind": "text"})
    kept = member.account.program("club")
    member.buys("o-2", line("9.00", item="i-2", seller="s-2"), on=after(DAY, 1))
    first = datetime.fromisoformat(DAY).replace(tzinfo=UTC).toordinal()

    # the day's use goes with the lot, the caps are looked at for another window
    member.on(after(DAY, 365))
    assert (set(kept.days), set(kept.sellers), set(kept.items)) == ({first + 1}, {"s-1", "s-2"}, {"i-1", "i-2"})
    assert set(kept.months) == {2026 * 12 + 2}
    member.buys("o-3", line("9.00", item="i-3", seller="s-3"), on=after(DAY, 366))
    member.on(after(DAY, 366 + 365))
    assert (set(kept.days), set(kept.sellers), set(kept.items)) == (set(), {"s-3"}, {"i-3"})
    assert kept.months == {}


def test_an_entry_that_takes_what_is_not_there_leaves_nothing_behind() -> None:
    """The fold goes on over an entry that was spoilt: it is the balance that says what is wrong."""
    account = Account("m-1")
    day = noon(DAY).toordinal()
    part = {
        "kind": "expiry",
        "points": 0,
        "lots": [[day, 0]],
        "penalties": [["v-1", None]],
        "days": [[day, "orders", 0]],
    }
    entry = {"seq": 1, "key": "~expiry~m-1~1", "posted_at": f"{DAY}T00:00:00Z", "occurred_at": f"{DAY}T00:00:00Z"}
    apply_entry(account, {**entry, "parts": {"club": part}})
    state = account.program("club")
    assert (state.lots, state.penalties, state.days) == ({}, {}, {})


def test_an_expiry_is_held_back_only_for_a_review_before_it() -> None:
    """The review of day 30 is followed by one on day 31, on which the second lot left: it waits for nothing more."""
    data = changed("club", window_days=30, demotion={"to": "one_down"}, privileges=[])
    member = Member(Programs([data]))
    member.is_given(2000, on=DAY)
    member.is_given(1, on=after(DAY, 1))
    late = noon(after(DAY, 40))
    member.settle(late, expiries_only=True)
    state = member.account.program("club")
    assert [row[0] for row in state.passed] == [noon(after(DAY, 31)).toordinal()]
    settle(member.account, member.programs, late, at_most=1)
    assert (state.tier, state.review_on, state.passed) == (3, noon(after(DAY, 31)).toordinal(), [])
