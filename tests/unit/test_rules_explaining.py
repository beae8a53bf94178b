"""The difference between two moments, the receipts in between, and the calendar ahead (rules 1.9, 1.12)."""

from __future__ import annotations

import json
import random
from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from club_rules.account import encode_account
from club_rules.explaining import days_of_lots, explanation, lots_of, posted_between, rests_on
from club_rules.messages import messages_for
from club_rules.outlook import DAYS_AT_MOST, outlook
from club_rules.positions import Position, position_at
from club_rules.programs import Programs
from tests.oracle.histories import History, histories, random_history
from tests.oracle.oracle import Oracle
from tests.unit.member import PROGRAMS, Engine, Member, after, changed, noon

ENGLISH = messages_for("en")
DAY = "2026-02-03"


def explained(engine: Engine, program: str, start: datetime, end: datetime) -> dict[str, Any]:
    """What happened between two moments, told from all of a member's entries."""
    opening = position_at(engine.entries, program, start) or Position(0, 0)
    between = posted_between(engine.entries, program, start, end)
    return explanation(engine.programs.versions(program)[-1], ENGLISH, opening, between, engine.entries)


def minor(value: int | str) -> int:
    """Points, or a decimal string of dollars as cents."""
    return value if isinstance(value, int) else int(value.replace(".", ""))


def measure(view: dict[str, Any]) -> int:
    """The measure in a view, in points or cents."""
    return minor(view["points"] if "points" in view else view["spend"])


# --- the position at a moment, and the arithmetic


def instants(history: History, rng: random.Random) -> list[datetime]:
    """The moments of the postings, midnights after them, and some in between; in order."""
    found = {moment for _, moment in history}
    for moment in sorted(found):
        midnight = datetime.combine(moment.date() + timedelta(days=1), time(), tzinfo=UTC)
        found |= {midnight, midnight - timedelta(microseconds=1), moment + timedelta(hours=rng.randrange(24 * 40))}
    return sorted(found)


def follow(history: History, rng: random.Random, programs: Programs = PROGRAMS) -> tuple[Engine, dict[datetime, Any]]:
    """A member with that history, some of it swept out of turn, and what the second implementation knew at moments."""
    member_id = history[0][0]["member_id"]
    engine, oracle, known = Engine(member_id, programs), Oracle(), {}
    moments = instants(history, rng)
    left = list(history)
    for moment in moments:
        while left and left[0][1] <= moment:
            event, posted = left.pop(0)
            if rng.random() < 0.3:  # the expiry sweep of that day came, the demotion sweep did not
                engine.settle(posted, expiries_only=True)
            engine.take(event, posted)
            oracle.post(event, posted)
        known[moment] = oracle.at(member_id, moment)
    engine.settle(moments[-1], expiries_only=True)
    engine.settle(moments[-1])
    return engine, known


def check_every_moment(history: History, rng: random.Random) -> int:
    """Holds position and difference against what was known then; returns how many tier changes were explained."""
    engine, known = follow(history, rng)
    changes = 0
    for program in PROGRAMS.ids:
        codes, field = PROGRAMS.versions(program)[-1].codes, "spend" if program == "vip" else "points"
        for moment, expected in known.items():
            found = position_at(engine.entries, program, moment) or Position(0, 0)
            assert (found.measure, codes[found.tier]) == (expected[program][field], expected[program]["tier"]), moment
        for _ in range(10):
            start, end = sorted(rng.sample(sorted(known), 2))
            told = explained(engine, program, start, end)
            for view, moment in ((told["opening"], start), (told["closing"], end)):
                assert (measure(view), view["tier"]) == (known[moment][program][field], known[moment][program]["tier"])
            assert measure(told["opening"]) + sum(map(measure, told["causes"])) == measure(told["closing"])
            for cause in told["causes"]:
                assert sum(map(measure, cause["entries"])) == measure(cause)
                assert cause["entries_in_all"] == len(cause["entries"])
                assert cause["recorded_later"] == any(entry["recorded_later"] for entry in cause["entries"])
            steps = [told["opening"]["tier"]]
            for receipt in told["receipts"]:
                causes = {cause["kind"]: measure(cause) for cause in receipt["causes"]}
                assert minor(receipt["before"]) + sum(causes.values()) == minor(receipt["after"])
                for cause in receipt["causes"]:
                    assert sum(map(measure, cause["entries"])) == measure(cause)
                assert receipt["from"] == steps[-1]
                assert receipt["text"]
                steps.append(receipt["to"])
            assert steps[-1] == told["closing"]["tier"]
            changes += len(told["receipts"])
    return changes


@pytest.mark.parametrize("seed", range(40))
def test_the_difference_between_any_two_moments_is_what_was_known_at_both(seed: int) -> None:
    rng = random.Random(seed)
    days, events = rng.choice([30, 200, 800]), rng.choice([15, 40])
    history = random_history(rng, days=days, events=events, adjustments=seed % 2 == 1)
    check_every_moment(history, rng)


@settings(max_examples=25)
@given(histories(max_events=30) | histories(max_events=30, adjustments=True), st.integers(0, 2**32))
def test_the_difference_and_what_fails_shrinks(history: History, seed: int) -> None:
    check_every_moment(history, random.Random(seed))


def test_the_histories_change_tiers() -> None:
    """Else the tests above would show little."""
    rng = random.Random(1)
    assert sum(check_every_moment(random_history(rng, days=400, events=40), rng) for _ in range(5)) > 20


def test_an_expiry_posted_ahead_counts_from_its_own_day() -> None:
    """A vip review of day 90 that the sweep did late judges, and explains, the spend of its own day."""
    member = Member()
    member.buys("o-1", "1000.00", on="2026-01-01")
    member.buys("o-2", "1200.00", on="2026-01-05")
    member.settle(noon("2026-04-10"), expiries_only=True)  # both lots are out, before the review of day 90
    member.settle(noon("2026-04-10"))
    kinds = [entry["entry_id"].split("~")[0] for entry in member.entries[2:]]
    assert kinds == ["expiry", "expiry", "tier_review"], "posted out of their turn"

    told = explained(member, "vip", noon("2026-03-31"), noon("2026-04-02"))

    assert (told["opening"], told["closing"]) == (
        {"spend": "2200.00", "tier": "Silver"},
        {"spend": "1200.00", "tier": "Silver"},
    )
    assert [cause["kind"] for cause in told["causes"]] == ["expired"]
    assert told["receipts"] == []
    assert explained(member, "vip", noon("2026-04-06"), noon("2026-04-10"))["causes"] == []


def test_all_that_was_posted_ahead_had_not_come_yet() -> None:
    member = Member()
    for number, day in enumerate(("2026-01-01", "2026-01-05", "2026-01-07")):
        member.buys(f"o-{number}", f"{1000 + 100 * number}.00", on=day)
    member.settle(noon("2026-04-10"), expiries_only=True)
    member.settle(noon("2026-04-10"))
    measures = {}
    for number in range(1, 8):
        found = position_at(member.entries, "vip", noon(f"2026-04-0{number}"))
        assert found is not None
        measures[number] = found.measure
    assert measures == {**dict.fromkeys(range(1, 5), 2300_00), 5: 1200_00, 6: 1200_00, 7: 0}


def test_what_was_recorded_later_says_so() -> None:
    member = Member()
    member.buys("o-1", "100.00", on="2026-03-01")
    member.buys("o-2", "50.00", on="2026-02-20", posted="2026-03-05")
    member.buys("o-3", "20.00", on="2026-03-06")

    early = explained(member, "club", noon("2026-02-01"), noon("2026-03-04"))
    late = explained(member, "club", noon("2026-03-04"), noon("2026-03-07"))

    assert (measure(early["closing"]), early["causes"][0]["recorded_later"]) == (105, False), "as it was known then"
    assert late["causes"][0]["recorded_later"] is True
    assert [entry["recorded_later"] for entry in late["causes"][0]["entries"]] == [True, False]
    assert measure(late["closing"]) == 105 + 55 + 25


def test_the_latest_hundred_entries_of_a_cause_are_listed_and_all_are_summed() -> None:
    member = Member()
    for number in range(120):
        member.does("visit.recorded", on=after("2026-01-01", number))

    (cause,) = explained(member, "crowns", noon("2025-12-31"), noon("2026-12-31"))["causes"]

    assert (cause["entries_in_all"], len(cause["entries"])) == (4 * 10, 40), "ten visits of a month count"
    for _ in range(200):
        member.is_given(1, "crowns")
    (cause,) = explained(member, "crowns", noon("2025-12-31"), noon("2026-12-31"))["causes"]
    assert (cause["entries_in_all"], len(cause["entries"]), cause["points"]) == (240, 100, 240)
    assert cause["entries"][-1]["seq"] == member.account.seq


def falls_from_a3() -> Member:
    """The issue's own example: 114 points of one day leave 489."""
    member = Member()
    member.buys("o-1001", "109.00", on=DAY)
    member.buys("o-2", "484.00", on=after(DAY, 30))
    return member.on(after(DAY, 365))


def test_a_receipt_reads_like_an_answer_that_a_person_would_give() -> None:
    told = explained(falls_from_a3(), "club", noon(after(DAY, 364)), noon(after(DAY, 365)))

    (receipt,) = told["receipts"]
    assert receipt["text"] == (
        "On 3 February 2027 you moved from A3 to A2: 114 points that you earned on 3 February 2026 "
        "(order o-1001: 109, daily shopping: 5) expired; 489 points remained, A3 starts at 500. "
        "The shortest way back: 11 points."
    )
    expiry = told["causes"][0]["entries"][0]
    assert told["text"] == "From 603 points down to 489: 114 points expired. The tier went from A3 to A2."
    assert (told["causes"][0]["text"], told["causes"][0]["recorded_later"]) == ("114 points expired", False)
    assert receipt == {
        "receipt_id": f"tier_review~m-1~{expiry['seq'] + 1}~club",
        "entry_id": f"tier_review~m-1~{expiry['seq'] + 1}",
        "seq": expiry["seq"] + 1,
        "program": "club",
        "program_version": "2017-06",
        "text": receipt["text"],
        "on": "2027-02-03",
        "from": "A3",
        "to": "A2",
        "before": 603,
        "after": 489,
        "threshold": {"tier": "A3", "from": 500},
        "window": {"from": "2026-02-04", "to": "2027-02-03"},
        "way_back": 11,
        "rests_on": {"after_seq": 2, "through_seq": expiry["seq"] + 1, "also": [], "without": []},
        "causes": [
            {
                "kind": "expired",
                "points": -114,
                "entries": [{name: expiry[name] for name in ("entry_id", "seq", "posted_at", "points")}],
            }
        ],
    }
    json.dumps(told)


def test_a_rise_is_told_by_what_brought_it_and_not_by_what_expired_before() -> None:
    member = falls_from_a3()
    member.buys("o-9", "50.00", on=after(DAY, 366))
    (receipt,) = explained(member, "club", noon(after(DAY, 365)), noon(after(DAY, 366)))["receipts"]
    assert receipt["text"] == (
        "On 4 February 2027 you moved from A2 to A3: you earned 55 points (order o-9: 50, daily shopping: 5); "
        "that makes 544 points, A3 starts at 500."
    )


def test_what_expired_before_a_rise_is_told_apart_from_what_brought_it() -> None:
    member = Member()
    member.is_given(60, on=DAY)
    member.is_given(30, on=after(DAY, 30))
    member.is_given(75, on=after(DAY, 366))
    told = explained(member, "club", noon(after(DAY, 364)), noon(after(DAY, 366)))
    assert [cause["kind"] for cause in told["causes"]] == ["expired", "earned"]
    (receipt,) = told["receipts"]
    assert receipt["text"] == (
        "On 4 February 2027 you moved from A1 to A2: you earned 75 points (campaign spring); "
        "that makes 105 points, A2 starts at 100. Since your last change of tier: 105 points earned, 60 expired."
    )


def test_a_change_by_new_rules_alone_is_told_without_any_expiry() -> None:
    second = changed("club", version="2", effective_from=after(DAY, 10), privileges=[])
    second["tiers"] = [{"code": f"A{n}", "from": 2 * n} for n in range(5)]
    member = Member(Programs([changed("club"), second]))
    member.is_given(7, on=DAY)
    member.on(after(DAY, 10))
    between = posted_between(member.entries, "club", noon(DAY), noon(after(DAY, 10)))
    told = explanation(member.programs.versions("club")[-1], ENGLISH, Position(7, 1), between, member.entries)
    (receipt,) = told["receipts"]
    assert (receipt["from"], receipt["to"], receipt["causes"]) == ("A1", "A3", [])
    assert "expired" not in receipt["text"]


def test_a_receipt_says_which_entries_of_an_earlier_one_and_of_later_ones_it_rests_on() -> None:
    member = falls_from_a3()
    review = member.entries[-1]
    review["parts"]["club"]["receipt"] |= {"also": [1], "without": [5]}
    (receipt,) = explained(member, "club", noon(after(DAY, 364)), noon(after(DAY, 365)))["receipts"]
    assert receipt["rests_on"] == {"after_seq": 2, "through_seq": 6, "also": [1], "without": [5]}


def test_what_was_recorded_later_is_in_the_words_of_its_cause() -> None:
    member = Member()
    member.is_given(5, on=DAY, posted=after(DAY, 1))
    (late,) = explained(member, "club", noon(DAY), noon(after(DAY, 1)))["causes"]
    assert late["text"] == ENGLISH.cause(PROGRAMS.versions("club")[0], "earned", 5, True)
    assert late["text"] != ENGLISH.cause(PROGRAMS.versions("club")[0], "earned", 5, False)


def test_parts_of_daily_points_are_netted_whatever_order_took_them() -> None:
    member = Member()
    member.buys("o-1", "9.00", on=DAY)
    member.buys("o-2", "4.00", on=DAY)
    member.gets_all_back("o-2", on=after(DAY, 1))
    member.on(after(DAY, 365))
    reasons = [{"rule": "penalty", "code": "penalty_ended", "points": 5, "ref": "v-1"}]
    for entry in member.entries:
        part = entry["parts"].get("crowns", {"kind": ""})
        reasons += part["reasons"] if part["kind"] == "expiry" else []
    made = [{"rule": "purchase", "points": 9, "ref": "o-1"}, {"rule": "daily_shopping", "points": 1}]
    assert lots_of(reasons, member.entries, PROGRAMS.versions("crowns")[0]) == {DAY: made}


def test_the_days_of_the_lots_that_brought_a_fall() -> None:
    """Those of the last expiry that the receipt rests on."""

    def entry(seq: int, kind: str, *refs: str, **more: Any) -> dict[str, Any]:
        reasons = [{"code": "expired", "ref": ref} for ref in refs]
        return {"seq": seq, "parts": {"club": {"kind": kind, "reasons": reasons, **more}}}

    known = [
        entry(2, "expiry", "2026-01-02"),
        entry(4, "expiry", "2026-01-04"),
        entry(5, "expiry", "2026-01-05"),
        {"seq": 6, "parts": {"crowns": {"kind": "expiry", "reasons": []}}},
        entry(7, "expiry", "2026-01-06", "2026-01-07"),
        entry(8, "accrual"),
        entry(9, "tier_review", receipt={"since_seq": 3}),
    ]
    known[4]["parts"]["club"]["reasons"].append({"code": "penalty_ended", "ref": "v-1"})
    assert days_of_lots(known[-1], "club", known) == {"2026-01-06", "2026-01-07"}
    assert days_of_lots(known[-1], "club", known[-2:]) == set()


def test_the_lot_is_told_as_it_stood_when_it_expired() -> None:
    """What was taken back of it before is gone from the story too; where the story has a gap, none is told."""
    member = Member()
    member.buys("o-1001", "109.00", on=DAY)
    member.buys("o-1002", "30.00", on=DAY)
    member.buys("o-2", "400.00", on=after(DAY, 30))
    member.gets_all_back("o-1002", on=after(DAY, 40))
    member.buys("o-3", "79.00", on=after(DAY, 41))
    told = explained(member.on(after(DAY, 365)), "club", noon(after(DAY, 364)), noon(after(DAY, 365)))
    assert "(order o-1001: 109, daily shopping: 5) expired" in told["receipts"][0]["text"]

    gap = [entry for entry in member.entries if entry.get("event_id") != "e-4"]
    between = posted_between(gap, "club", noon(after(DAY, 364)), noon(after(DAY, 365)))
    program = PROGRAMS.versions("club")[-1]
    told = explanation(program, ENGLISH, Position(603, 3), between, gap)
    assert "114 points that you earned on 3 February 2026 expired" in told["receipts"][0]["text"]


def test_a_receipt_names_the_entries_it_rests_on() -> None:
    member = falls_from_a3()
    review = member.entries[-1]
    assert rests_on(review, "club") == {3, 4, 5, 6}, "all since the last tier change, of whatever program"
    stored = review["parts"]["club"]["receipt"]
    stored["also"], stored["without"] = [1], [5]
    assert rests_on(review, "club") == {1, 3, 4, 6}


# --- the calendar ahead


def shown(engine: Engine, program: str, moment: datetime) -> tuple[int, str]:
    """Measure and tier as a summary shows them at a moment, if nothing more happens until then."""
    ahead = engine.copy()
    ahead.settle(moment)
    view = ahead.view()[program]
    return max(0, view["spend" if program == "vip" else "points"]), view["tier"]


def in_order(found: dict[str, Any]) -> list[dict[str, Any]]:
    return [found["today"], *found["days"]]


@pytest.mark.parametrize("seed", range(25))
def test_each_coming_day_is_as_the_summary_will_show_it(seed: int) -> None:
    rng = random.Random(seed)
    programs = PROGRAMS
    if seed % 3 == 0:
        grace = {"grace_days": rng.choice([0, 3, 20]), "to": rng.choice(["one_down", "to_qualified"])}
        programs = Programs([changed("club", demotion=grace), changed("crowns"), changed("vip")])
    history = random_history(rng, days=rng.choice([30, 200, 500]), events=30, adjustments=seed % 2 == 1)
    engine = Engine(history[0][0]["member_id"], programs)
    for event, moment in history:
        engine.take(event, moment)
    now = history[-1][1] + timedelta(hours=rng.randrange(2000))
    engine.settle(now)
    before = encode_account(engine.account)
    for program_id in programs.ids:
        program = programs.versions(program_id)[-1]
        found = outlook(engine.account, programs, program_id, now, 120)

        assert len(found["days"]) == 120
        assert found["today"]["date"] == date.fromordinal(program.day_of(now)).isoformat()
        for number, row in enumerate(in_order(found)):
            day = date.fromisoformat(found["today"]["date"]) + timedelta(days=number)
            moment = now if number == 0 else program.start_of(day.toordinal())
            assert row["date"] == day.isoformat()
            assert (row["measure"], row["tier"]) == shown(engine, program_id, moment)
        rows = in_order(found)
        for earlier, row in pairwise(rows):
            if (earlier["measure"], earlier["tier"]) != (row["measure"], row["tier"]):
                assert {**row, "tier_before": earlier["tier"]} in found["changes"]
    assert encode_account(engine.account) == before, "the account is only looked at"


def test_keep_is_what_keeps_the_tier() -> None:
    """Earning so much by then keeps it on the day, a point less or a day later does not."""
    member = Member()
    member.buys("o-1", "109.00", on=DAY)
    member.buys("o-2", "484.00", on=after(DAY, 30))
    found = outlook(member.account, PROGRAMS, "club", member.clock, 10)
    assert found["keep"] == {
        "tier": "A3",
        "earn": 11,
        "from": "2026-03-05",
        "counts_at_once": True,
        "by": "2027-02-02",
        "falls_on": "2027-02-03",
        "falls_to": "A2",
    }, "it looks further than the days that are shown"
    assert found["changes"] == []

    def after_earning(points: int, on: str) -> str:
        other = Member()
        other.buys("o-1", "109.00", on=DAY)
        other.buys("o-2", "484.00", on=after(DAY, 30))
        other.is_given(points, on=on)
        receipts = other.on("2027-02-04").receipts("club")
        return f"{receipts[-1]['to']} on {receipts[-1]['on']}"

    assert after_earning(11, "2027-02-02") == "A3 on 2026-03-05", "never left"
    assert after_earning(10, "2027-02-02") == "A2 on 2027-02-03"
    assert after_earning(11, "2027-02-03") == "A3 on 2027-02-03", "fallen, and come back"


@pytest.mark.parametrize("seed", range(40))
def test_keep_is_enough_and_no_more_than_enough(seed: int) -> None:
    rng = random.Random(seed)
    member = Member()
    for number in range(rng.randrange(1, 8)):
        member.buys(f"o-{number}", f"{rng.randrange(3, 900)}.00", on=after(DAY, number * rng.randrange(1, 40)))
    program = PROGRAMS.versions("club")[-1]
    keep = outlook(member.account, PROGRAMS, "club", member.clock, 1)["keep"]
    if keep is None:
        assert member.tier() == "A0", "all points expire within the days that are looked at"
        return
    assert keep["tier"] == member.tier()
    falls = program.start_of(date.fromisoformat(keep["falls_on"]).toordinal())
    eve = member.copy()
    eve.settle(falls - timedelta(seconds=1))
    assert program.codes[eve.account.program("club").tier] == keep["tier"]
    eve.settle(falls)
    assert program.codes[eve.account.program("club").tier] == keep["falls_to"]
    points = eve.account.program("club").points
    assert points + keep["earn"] == program.thresholds[program.tier_index(keep["tier"])]


def test_vip_is_kept_by_spend_before_the_review() -> None:
    member = Member()
    member.buys("o-1", "1000.00", on="2026-01-01")
    found = outlook(member.account, PROGRAMS, "vip", member.clock, 100)
    assert found["keep"] == {
        "tier": "Silver",
        "earn": 99900,
        "from": "2026-01-02",
        "counts_at_once": False,
        "by": "2026-03-31",
        "falls_on": "2026-04-01",
        "falls_to": "none",
    }
    assert [row["date"] for row in found["changes"]] == ["2026-04-01"]
    assert found["changes"][0]["expires"] == 100000


@pytest.mark.parametrize(("program", "price"), [("club", "495.00"), ("vip", "1000.00")])
def test_what_is_earned_too_early_to_count_is_not_advised(program: str, price: str) -> None:
    """What is earned before ``from`` has itself expired by the day on which the tier falls; on it, it has not."""
    member = Member()
    member.buys("o-1", price, on=DAY)
    keep = outlook(member.account, PROGRAMS, program, member.clock, 1)["keep"]
    assert (keep["from"], keep["counts_at_once"]) == (after(DAY, 1), False)
    held = member.tier(program)

    def tier_then(day: str) -> str:
        other = Member()
        other.buys("o-1", price, on=DAY)
        other.buys("o-2", f"{keep['earn'] if program == 'club' else keep['earn'] // 100}.00", on=day)
        return other.on(keep["falls_on"]).tier(program)

    assert tier_then(DAY) != held
    assert tier_then(keep["from"]) == tier_then(keep["by"]) == held


def test_keep_is_about_the_tier_that_is_held_today() -> None:
    """Not about a higher one that a penalty's end will bring, and take again."""
    member = Member()
    member.is_given(150, "crowns", on=DAY)
    member.does("violation.confirmed", {"case_id": "c-1", "kind": "return_abuse"})
    assert member.tier("crowns") == "none"
    assert outlook(member.account, PROGRAMS, "crowns", member.clock, 1)["keep"] is None

    capped = Member()
    capped.is_given(1000, "crowns", on=DAY)
    capped.does("violation.confirmed", {"case_id": "c-1", "kind": "extortion"})
    keep = outlook(capped.account, PROGRAMS, "crowns", capped.clock, 400)["keep"]
    assert (capped.tier("crowns"), keep["tier"], keep["earn"], keep["falls_to"]) == ("Silver", "Silver", 1, "none")


@pytest.mark.parametrize(("grace", "told"), [(35, True), (36, False)])
def test_advice_looks_as_far_as_days_can_be_shown(grace: int, told: bool) -> None:
    """A lot of today leaves in 365 days; with its grace, the tier falls on day 400 or 401."""
    member = Member(Programs([changed("club", demotion={"grace_days": grace})]))
    member.is_given(1, on=DAY)
    found = outlook(member.account, member.programs, "club", member.clock, DAYS_AT_MOST)
    assert (found["keep"] is not None) == told
    assert len(found["days"]) == DAYS_AT_MOST


@pytest.mark.parametrize(("days", "changes"), [(9, []), (10, [after(DAY, 365)])])
def test_changes_are_those_of_the_days_that_are_shown(days: int, changes: list[str]) -> None:
    member = Member()
    member.is_given(1, on=DAY)
    member.on(after(DAY, 355))
    found = outlook(member.account, PROGRAMS, "club", member.clock, days)
    assert [row["date"] for row in found["changes"]] == changes
    assert found["today"]["expires"] == 0


def test_only_what_can_be_seen_is_a_change() -> None:
    """A sum below 0 is shown as 0: where it only comes nearer to 0, nothing changes for the member."""
    member = Member()
    member.does("violation.confirmed", {"case_id": "c-1", "kind": "return_abuse"}, on=DAY)
    member.does("violation.confirmed", {"case_id": "c-2", "kind": "spam"})
    found = outlook(member.account, PROGRAMS, "crowns", member.clock, 400)
    assert (found["changes"], {row["measure"] for row in found["days"]}) == ([], {0})


def test_a_member_without_anything_has_a_quiet_calendar() -> None:
    member = Member().on(DAY)
    found = outlook(member.account, PROGRAMS, "club", member.clock, DAYS_AT_MOST)
    assert (len(found["days"]), found["changes"], found["keep"]) == (400, [], None)
    assert {(row["tier"], row["measure"], row["expires"]) for row in found["days"]} == {("A0", 0, 0)}


def test_a_penalty_that_ends_is_in_the_calendar() -> None:
    member = Member()
    member.is_given(300, "crowns", on=DAY)
    member.does("violation.confirmed", {"case_id": "c-1", "kind": "return_abuse"})
    found = outlook(member.account, PROGRAMS, "crowns", member.clock, 100)
    (back,) = found["changes"]
    assert (back["date"], back["measure"], back["expires"]) == (after(DAY, 90), 300, 0)
    assert (back["tier_before"], back["tier"]) == ("Silver", "Gold")
