"""Undoing a demotion (rules 1.9, contract 2.4): the exact opposite, after any history and before any other."""

from __future__ import annotations

import json
import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from club_rules.account import encode_account, rebuild
from club_rules.explaining import explanation, posted_between
from club_rules.messages import messages_for
from club_rules.positions import position_at
from club_rules.programs import Programs
from club_rules.restoring import lowered, undo_demotion, undoing_key
from tests.oracle.histories import random_history
from tests.oracle.oracle import Oracle
from tests.unit.member import PROGRAMS, Engine, Member, after, changed, noon, reconcile

BOUGHT = "2026-01-10"
FALLS = after(BOUGHT, 365)


def undo(engine: Engine, entry: dict[str, Any], moment: datetime) -> dict[str, str]:
    """Undoes what an entry lowered; returns what was left, and why."""
    engine.settle(moment, expiries_only=True)
    by_number = {each["seq"]: each for each in engine.entries}
    undoing, left = undo_demotion(engine.account, engine.programs, entry, moment, by_number.__getitem__)
    if undoing is not None:
        engine._keep([undoing])
    return left


def a_fallen_member(programs: Programs = PROGRAMS) -> Member:
    member = Member(programs)
    member.buys("o-1", "600.00", on=BOUGHT)
    return member.on(FALLS)


def reviewed(member: Engine, program: str = "club") -> int | None:
    return member.account.program(program).review_on


def assert_whole(engine: Engine) -> None:
    assert reconcile(engine.entries, engine.programs)
    again = rebuild(engine.account.member_id, json.loads(json.dumps(engine.entries)))
    assert encode_account(again) == encode_account(engine.account)


def test_the_tier_is_held_again_from_the_day_of_the_undoing() -> None:
    member = a_fallen_member()
    fall = member.entries[-1]
    assert lowered(fall) == ["club", "crowns"]
    day = after(FALLS, 2)

    assert undo(member, fall, noon(day)) == {}

    assert (member.tier(), member.since(), member.points()) == ("A3", day, 0)
    assert member.tier("crowns") == "Platinum"
    assert reviewed(member) == noon(after(day, 30)).toordinal()
    last = member.entries[-1]
    key = f"undo~tier_review~m-1~{fall['seq']}"
    assert undoing_key(fall["key"]) == key
    assert {name: value for name, value in last.items() if name != "parts"} == {
        "entry_id": key,
        "key": key,
        "member_id": "m-1",
        "seq": fall["seq"] + 1,
        "occurred_at": f"{day}T12:00:00Z",
        "posted_at": f"{day}T12:00:00Z",
        "undoes": fall["seq"],
    }
    assert last["parts"]["club"]["reasons"] == [{"rule": "tier", "points": 0, "code": "demotion_undone", "ref": FALLS}]
    assert last["parts"]["club"]["tier"] == fall["parts"]["club"]["tier"][::-1]
    assert last["parts"]["club"]["receipt"] | {"window": None} == {
        "on": day,
        "from": "A0",
        "to": "A3",
        "before": 0,
        "after": 0,
        "causes": {},
        "threshold": 500,
        "window": None,
        "version": "2017-06",
        "since_seq": fall["seq"],
    }
    assert_whole(member)


def test_only_in_the_programs_that_are_named() -> None:
    member = a_fallen_member()
    fall = member.entries[-1]
    undoing, left = undo_demotion(
        member.account, PROGRAMS, fall, noon(FALLS), lambda seq: member.entries[seq - 1], {"crowns"}
    )
    assert undoing is not None
    assert (list(undoing["parts"]), left) == (["crowns"], {})


def test_what_a_penalty_keeps_below_is_left() -> None:
    member = a_fallen_member()
    fall = member.entries[-1]
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "extortion"}, after(FALLS, 1))
    assert undo(member, fall, noon(after(FALLS, 2))) == {"crowns": "capped"}
    assert (member.tier(), member.tier("crowns")) == ("A3", "none")


def test_one_after_the_other_the_last_first() -> None:
    member = Member()
    member.is_given(450, on=BOUGHT)
    member.is_given(150, on=after(BOUGHT, 20))
    member.on(after(FALLS, 20))
    first, second = [entry for entry in member.entries if lowered(entry) == ["club"]]
    assert undo(member, first, noon(after(FALLS, 21))) == {"club": "changed"}
    assert undo(member, second, noon(after(FALLS, 21))) == {}
    assert member.tier() == "A2"
    assert undo(member, first, noon(after(FALLS, 22))) == {}
    assert (member.tier(), member.since()) == ("A3", after(FALLS, 22))
    assert_whole(member)


def test_a_review_that_keeps_a_tier_has_lowered_nothing() -> None:
    member = Member()
    member.buys("o-1", "999.00", on=BOUGHT)
    member.buys("o-2", "999.00", on=after(BOUGHT, 1))
    member.on(after(BOUGHT, 90))
    assert member.why("vip") == [("tier", 0, "retained")]
    assert lowered(member.entries[-1]) == []


def test_it_is_reviewed_again_then_and_not_before() -> None:
    member = a_fallen_member()
    undo(member, member.entries[-1], noon(FALLS))

    assert member.on(after(FALLS, 29)).tier() == "A3"
    assert member.on(after(FALLS, 30)).tier() == "A0"
    assert member.since() == after(FALLS, 30)
    assert_whole(member)


def test_what_is_earned_meanwhile_keeps_it() -> None:
    member = a_fallen_member()
    undo(member, member.entries[-1], noon(FALLS))
    member.buys("o-2", "700.00", on=after(FALLS, 5))

    assert (member.tier(), member.since(), reviewed(member)) == ("A3", FALLS, None)
    assert member.on(after(FALLS, 300)).tier() == "A3"
    assert_whole(member)


def test_what_is_taken_back_meanwhile_lowers_it_at_once() -> None:
    """Rules 1.9: down at once after a clawback. The time is the operator's, not a privilege."""
    member = a_fallen_member()
    undo(member, member.entries[-1], noon(FALLS))
    member.buys("o-2", "50.00", on=after(FALLS, 5))
    assert member.tier() == "A3"
    member.gets_all_back("o-2", on=after(FALLS, 6))

    assert member.tier() == "A0"
    assert_whole(member)


def test_a_tier_that_is_met_again_by_then_is_reviewed_as_ever() -> None:
    """The fall was wrong: by the rules that hold now, the points meet the tier."""
    strict = [changed("club", tiers=[{"code": f"A{n}", "from": n * 900} for n in range(5)])]
    member = a_fallen_member()
    member.buys("o-2", "600.00", on=after(FALLS, 1))
    fall = next(entry for entry in member.entries if "club" in lowered(entry))
    account = rebuild("m-1", member.entries[: fall["seq"]])
    account.program("club").points = account.program("club").measured = 3000
    undoing, _ = undo_demotion(account, Programs(strict), fall, noon(FALLS), lambda seq: fall, {"club"})

    assert undoing is not None
    assert undoing["parts"]["club"]["set"]["review_on"] is None


def test_a_vip_status_is_given_back_for_the_programs_days() -> None:
    member = Member(Programs([changed("vip", demotion={"days_after_undoing": 7})]))
    member.buys("o-1", "1500.00", on=BOUGHT)
    day = after(BOUGHT, 90)
    member.on(day)
    assert member.tier("vip") == "none"

    undo(member, member.entries[-1], noon(day))

    assert (member.tier("vip"), member.since("vip")) == ("Silver", day)
    assert member.on(after(day, 6)).tier("vip") == "Silver"
    assert member.on(after(day, 7)).tier("vip") == "none"
    assert_whole(member)


def test_who_does_not_say_how_many_days_has_thirty() -> None:
    data = changed("club")
    del data["demotion"]["days_after_undoing"]

    assert Programs([data]).versions("club")[0].days_after_undoing == 30


def test_a_tier_that_has_changed_since_is_left() -> None:
    member = a_fallen_member()
    fall = member.entries[-1]
    member.buys("o-2", "5.00", on=after(FALLS, 1))
    before = encode_account(member.account)

    assert undo(member, fall, noon(after(FALLS, 2))) == {"club": "changed", "crowns": "changed"}
    assert encode_account(member.account) == before


def test_a_tier_that_came_back_by_itself_is_left() -> None:
    """The codes are the same as before the fall, but the member reached the tier anew."""
    member = a_fallen_member()
    fall = member.entries[-1]
    member.buys("o-2", "700.00", on=after(FALLS, 1))

    assert undo(member, fall, noon(after(FALLS, 2))) == {"club": "changed", "crowns": "changed"}


def test_a_review_that_is_due_gives_way() -> None:
    """Expiries are posted, a review that would lower the tier further is not: it was what the operator stopped."""
    member = Member()
    member.buys("o-1", "600.00", on=BOUGHT)
    member.buys("o-2", "150.00", on=after(BOUGHT, 3))
    member.on(FALLS)
    fall = member.entries[-1]
    assert member.tier() == "A2"

    assert undo(member, fall, noon(after(FALLS, 3))) == {}

    assert (member.tier(), member.points()) == ("A3", 0)
    assert member.on(after(FALLS, 32)).tier() == "A3"
    assert member.on(after(FALLS, 33)).tier() == "A0"
    assert_whole(member)


@pytest.mark.parametrize("language", ["en", "ru"])
def test_the_explanation_says_that_the_club_undid_it(language: str) -> None:
    member = a_fallen_member()
    undo(member, member.entries[-1], noon(after(FALLS, 2)))
    program, messages = PROGRAMS.versions("club")[0], messages_for(language)
    between = posted_between(member.entries, "club", noon(after(FALLS, 1)), noon(after(FALLS, 3)))

    opening = position_at(member.entries, "club", noon(after(FALLS, 1)))
    assert opening is not None
    found = explanation(program, messages, opening, between, member.entries)
    (receipt,) = found["receipts"]
    assert (
        receipt["text"]
        == {
            "en": "On 12 January 2027 you moved from A0 to A3: the club undid the fall of 10 January 2027; "
            "nothing remained, A3 starts at 500.",
            "ru": receipt["text"],
        }[language]
    )
    assert messages.day(after(FALLS, 0)) in receipt["text"]
    assert messages.day(FALLS) in messages.reason(program, member.entries[-1]["parts"]["club"]["reasons"][0])


def test_what_expired_between_the_fall_and_its_undoing_is_told_apart() -> None:
    member = Member()
    for days, points in ((0, 500), (3, 10), (4, 110)):
        member.is_given(points, on=after(BOUGHT, days))
    member.on(after(FALLS, 3))
    (fall,) = [entry for entry in member.entries if lowered(entry) == ["club"]]
    undo(member, fall, noon(after(FALLS, 3)))
    between = posted_between(member.entries, "club", noon(after(FALLS, 2)), noon(after(FALLS, 3)))
    opening = position_at(member.entries, "club", noon(after(FALLS, 2)))
    assert opening is not None
    found = explanation(PROGRAMS.versions("club")[0], messages_for("en"), opening, between, member.entries)
    assert found["receipts"][0]["text"] == (
        "On 13 January 2027 you moved from A2 to A3: the club undid the fall of 10 January 2027; "
        "you had 110 points, A3 starts at 500. Since your last change of tier: 10 points expired."
    )


def test_an_expiry_posted_ahead_of_a_review_that_gives_way_is_told_by_the_next_receipt() -> None:
    member = Member(Programs([changed("club", demotion={"grace_days": 7})]))
    for days, points in ((0, 500), (20, 150), (30, 5)):
        member.is_given(points, on=after(BOUGHT, days))
    member.on(after(FALLS, 7))
    fall = member.entries[-1]
    assert lowered(fall) == ["club"]
    moment = noon(after(FALLS, 31))  # the review of day 27 was not done, and the expiry of day 30 is ahead of it
    member.settle(moment, expiries_only=True)
    assert len(member.account.program("club").passed) == 1
    assert undo(member, fall, moment) == {}
    assert (member.tier(), member.points(), member.account.program("club").passed) == ("A3", 0, [])
    assert_whole(member)


def test_a_penalty_that_ended_meanwhile_is_not_what_brought_the_tier_back() -> None:
    member = Member()
    member.is_given(600, "crowns", BOUGHT)
    member.is_given(150, "crowns", after(BOUGHT, 100))
    member.does("violation.confirmed", {"case_id": "v-1", "kind": "spam"}, after(BOUGHT, 350))
    member.on(after(BOUGHT, 380))
    (fall,) = [entry for entry in member.entries if lowered(entry) == ["crowns"]]
    undo(member, fall, noon(after(BOUGHT, 381)))
    between = posted_between(member.entries, "crowns", noon(after(BOUGHT, 380)), noon(after(BOUGHT, 381)))
    opening = position_at(member.entries, "crowns", noon(after(BOUGHT, 380)))
    assert opening == (150, 2)
    found = explanation(PROGRAMS.versions("crowns")[0], messages_for("en"), opening, between, member.entries)
    assert found["receipts"][0]["text"].startswith(
        "On 26 January 2027 you moved from Gold to Platinum: the club undid the fall of 10 January 2027; you had 150"
    )


def a_history_with_undoing(seed: int) -> int:
    """Undoes falls of a random history as it goes on, and compares points with one in which nothing was undone.

    A month after the end, what was given back has been reviewed: then the tiers are the same as well. Returns how many
    falls were undone.
    """
    rng = random.Random(seed)
    history = random_history(rng, days=800, events=50, adjustments=seed % 2 == 1)
    member_id = history[0][0]["member_id"]
    engine, oracle = Engine(member_id), Oracle()
    for event, moment in history:
        engine.take(event, moment)
        oracle.post(event, moment)
        falls = [entry for entry in engine.entries if lowered(entry)]
        if falls and rng.random() < 0.5:
            done = {entry["key"] for entry in engine.entries}
            for fall in reversed(falls[-rng.randint(1, 2) :]):
                if undoing_key(fall["key"]) not in done:
                    undo(engine, fall, moment)
        expected = oracle.at(member_id, moment)
        for program_id, seen in engine.view().items():
            for measure in ("points", "spend"):
                assert seen.get(measure) == expected[program_id].get(measure)
    assert_whole(engine)
    end = history[-1][1] + timedelta(days=31)
    engine.settle(end)
    assert_whole(engine)
    for program_id in ("club", "crowns"):
        assert engine.view()[program_id]["tier"] == oracle.at(member_id, end)[program_id]["tier"]
    return sum("undoes" in entry for entry in engine.entries)


@pytest.mark.parametrize("seed", range(40))
def test_undoing_after_any_history_and_before_any_other(seed: int) -> None:
    a_history_with_undoing(seed)


def test_the_histories_have_something_to_undo() -> None:
    assert sum(map(a_history_with_undoing, range(40, 50))) >= 5
