"""The brake of the demotion sweep, dry runs, and undoing what a run demoted (contract 2.4)."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest

from club_ledger import items, sweeping
from club_ledger.items import SweepRunItem
from club_ledger.store import connect
from club_ledger.undoing import Undone, undo_run
from club_rules.account import rebuild
from club_rules.errors import NotFound, Unavailable
from club_rules.messages import messages_for
from club_rules.programs import load_programs
from local import sweeps
from tests.integration.harness import NOW, PROGRAMS, Club, Event, Killed, aws, days, event, line, order
from tests.integration.test_sweeps import finished, in_shard, kinds, ledger, tiers
from tests.unit.member import reconcile

CHUNK = 3
LIMIT = 4
"""So many of a tier's members may fall, where there are fewer than 25 of them."""
NIGHT = NOW.replace(hour=0, minute=35)
"""When the demotion sweep is scheduled."""
LOWEST = {"club": "A0", "crowns": "none", "vip": "none"}
HELD = {"club": "A3", "crowns": "Platinum", "vip": "none"}


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", CHUNK)
    programs = load_programs()  # those of the functions: a local stack that ran before has had them read anew
    for program_id in programs.ids:
        monkeypatch.setitem(programs.versions(program_id)[0].demotion_limit, "members_at_least", LIMIT)


def due_to_fall(club: Club, members: list[str], price: str = "600.00") -> None:
    """Members who are A3 and Platinum until this night, and have been counted."""
    at = NOW - days(365)
    bought = (line("i-1", price),)
    club.post(*(order("o-1", *bought, event_id=f"e-{id_}", member_id=id_, at=at) for id_ in members), at=at)
    club.announced()


def fallen(club: Club, members: list[str]) -> list[str]:
    """Who has fallen in `club`, by the ledger."""
    return [id_ for id_ in members if tiers(club, id_)["club"] == "A0"]


def halted(club: Club) -> list[Event]:
    return [detail for detail_type, detail in club.announced() if detail_type == "sweep.halted"]


def work_off(club: Club, waiting: list[str], rng: random.Random | None = None, repeats: int = 0) -> None:
    """Works chunks off; with ``rng`` in any order, and some of them again, up to so many ``repeats``."""
    while waiting:
        if rng is not None:
            rng.shuffle(waiting)
        chunk = waiting[0]
        if rng is not None and repeats and rng.random() < 0.5:
            repeats -= 1
        else:
            waiting.pop(0)
        assert club.work_chunks("DemotionSweep", chunk) == []
        waiting += club.taken_chunks("DemotionSweep")


def run_ids(club: Club) -> list[str]:
    keys = (key for key in club.content() if key[0].startswith("SWEEP#") and key[1] == items.SINGLE)
    return [pk.removeprefix("SWEEP#") for pk, _ in keys]


def shown(club: Club, run_id: str) -> dict[str, Any]:
    return sweeps.run_of(club.table, run_id, PROGRAMS)


def noted(club: Club, run_id: str) -> Counter[str]:
    """How many members the chunks of a run have noted, by the tier fallen from."""
    found: set[tuple[str, str]] = set()
    for (pk, sk), item in club.decoded().items():
        if pk == f"SWEEP#{run_id}" and sk.startswith(items.CHUNK):
            places = [(member_id, place) for member_id, of in item["body"].items() for place in of]
            assert found.isdisjoint(places), "noted by two chunks"
            found.update(places)
    return Counter(place for _, place in found)


def reserved(club: Club, run_id: str) -> dict[str, int]:
    found: SweepRunItem = connect(club.table, lambda: 8).sweep_run(run_id)
    return {place: int(number) for place, number in found.reserved.attribute_values.items()}


# --- the brake ------------------------------------------------------------------------------------------------


def test_a_sweep_halts_before_it_demotes_more_than_the_limit(club: Club) -> None:
    members = in_shard(3, 11)
    due_to_fall(club, members)

    club.sweep("DemotionSweep", NIGHT)

    assert len(fallen(club, members)) == CHUNK, "the second chunk would have made six of at most four"
    (told,) = halted(club)
    (run_id,) = run_ids(club)
    assert told == {
        "event_id": f"{run_id}~halted",
        "run_id": run_id,
        "occurred_at": "2026-11-22T00:35:00Z",
        "scheduled_at": "2026-11-22T00:35:00Z",
        "sweep": "DemotionSweep",
        "program": "club",
        "tier": "A3",
        "members": 11,
        "limit": LIMIT,
        "demoted": CHUNK,
        "would_demote": 2 * CHUNK,
    }
    (end,) = finished(club)
    assert end["halted"] is True
    assert end["programs"]["club"]["fell"] == CHUNK
    assert all({"club": "expiry", "crowns": "expiry"} in kinds(club, id_) for id_ in members), "expiries are not held"
    assert all(club.summary(id_, at=NIGHT)["club"]["tier"] == "A0" for id_ in members), "a reader sees what is due"
    said = [json.loads(row) for row in club.log.getvalue().splitlines() if "sweep halted" in row]
    assert {row["message"] for row in said} == {"sweep halted"}
    assert {row["level"] for row in said} == {"ERROR"}
    halt = {name: told[name] for name in ("program", "tier", "members", "limit", "demoted", "would_demote")}
    assert [(row["sweep"], row["limit"]) for row in said] == [("DemotionSweep", halt)] * len(said)
    club.assert_whole()


def test_it_goes_on_when_it_is_told_to(club: Club) -> None:
    members = in_shard(3, 11)
    due_to_fall(club, members)
    before = club.content()
    club.sweep("DemotionSweep", NIGHT, override_limit=True)
    undisturbed = ledger(club)
    assert fallen(club, members) == members
    assert halted(club) == []
    club.create_table(before.values())

    club.sweep("DemotionSweep", NIGHT)
    club.sweep("DemotionSweep", NIGHT, override_limit=True)

    assert ledger(club) == undisturbed
    assert [end["halted"] for end in finished(club)] == [True, False]
    club.assert_whole()


@pytest.mark.parametrize(("number", "halts"), [(LIMIT, False), (LIMIT + 1, True)])
def test_the_limit_is_still_allowed(club: Club, monkeypatch: pytest.MonkeyPatch, number: int, halts: bool) -> None:
    monkeypatch.setattr(sweeping, "CHUNK", 1)
    members = in_shard(3, number)
    due_to_fall(club, members)

    club.sweep("DemotionSweep", NIGHT)

    assert len(fallen(club, members)) == LIMIT
    assert bool(halted(club)) == halts


def test_the_share_counts_where_a_tier_has_many_members(club: Club) -> None:
    """20 % of 29 members are 5.8: five may fall, at whatever the least is."""
    members = in_shard(3, 6)
    due_to_fall(club, members[:6])
    others = [f"x-{n}" for n in range(23)]
    at = NOW - days(10)
    bought = (line("i-1", "600.00"),)
    club.post(*(order("o-1", *bought, event_id=f"e-{id_}", member_id=id_, at=at) for id_ in others), at=at)
    club.announced()

    club.sweep("DemotionSweep", NIGHT)

    (told,) = halted(club)
    assert (told["program"], told["members"], told["limit"], told["would_demote"]) == ("club", 29, 5, 6)
    assert len(fallen(club, members)) == CHUNK


def test_who_keeps_or_is_given_a_tier_is_not_held(club: Club) -> None:
    """After the brake, what is no demotion of the sweep's own goes on: here, a vip period that is retained."""
    members = in_shard(3, 3 * CHUNK)
    due_to_fall(club, members)
    (kept,) = in_shard(4, 1)
    start = NOW - days(90)
    club.post(order("o-1", line("i-1", "1500.00"), member_id=kept, at=start, event_id="k-1"), at=start)
    later = NOW - days(30)
    club.post(order("o-2", line("i-2", "1500.00"), member_id=kept, at=later, event_id="k-2"), at=later)
    waiting = club.start_sweep("DemotionSweep", NIGHT)
    waiting.sort(key=lambda chunk: int(json.loads(chunk)["shard"]))

    work_off(club, waiting)

    assert len(halted(club)) == 1
    assert kinds(club, kept)[-1] == {"vip": "tier_review"}
    (end,) = finished(club)
    assert end["programs"]["vip"]["retained"] == 1
    assert end["programs"]["vip"]["moves"] == [
        {"move": "retained", "from": "Silver", "to": "Silver", "cause": "retained", "members": 1}
    ]


def test_a_vip_reset_is_a_demotion(club: Club) -> None:
    members = in_shard(3, 2 * CHUNK)
    at = NOW - days(90)
    bought = (line("i-1", "1500.00"),)
    club.post(*(order("o-1", *bought, event_id=f"e-{id_}", member_id=id_, at=at) for id_ in members), at=at)
    club.announced()

    club.sweep("DemotionSweep", NIGHT)

    (told,) = halted(club)
    assert (told["program"], told["tier"], told["demoted"]) == ("vip", "Silver", CHUNK)
    assert Counter(tiers(club, id_)["vip"] for id_ in members) == {"none": CHUNK, "Silver": CHUNK}
    (end,) = finished(club)
    assert (end["programs"]["vip"]["fell"], end["programs"]["vip"]["reset"]) == (CHUNK, CHUNK)


def test_a_posting_settles_its_own_member_whatever_the_brake_says(club: Club) -> None:
    members = in_shard(3, 3 * CHUNK)
    due_to_fall(club, members)
    club.sweep("DemotionSweep", NIGHT)
    held = next(id_ for id_ in members if id_ not in fallen(club, members))

    club.post(event("visit.recorded", "e-visit", member_id=held), at=NOW)

    assert tiers(club, held)["club"] == "A0"
    assert len(halted(club)) == 1
    club.assert_whole()


def test_the_next_night_has_a_measure_of_its_own(club: Club) -> None:
    members = in_shard(3, 3 * CHUNK)
    due_to_fall(club, members)
    for night in range(3):
        club.sweep("DemotionSweep", NIGHT + days(night))

    assert len(fallen(club, members)) == 3 * CHUNK
    assert len(halted(club)) == 2


# --- exact, whatever is repeated, killed or parallel ----------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_shards_in_any_order_with_repeats_never_demote_more(
    club: Club, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    rng = random.Random(seed)
    monkeypatch.setattr(sweeping, "CHUNK", rng.choice([1, 2, 3]))
    members = [*in_shard(3, 5), *in_shard(1, 4), *in_shard(6, 3)]
    due_to_fall(club, members)

    work_off(club, club.start_sweep("DemotionSweep", NIGHT), rng, repeats=8)

    number = len(fallen(club, members))
    assert LIMIT - sweeping.CHUNK < number <= LIMIT
    (run_id,) = run_ids(club)
    assert noted(club, run_id) == Counter(reserved(club, run_id)) == {"club#A3": number, "crowns#Platinum": number}
    assert len(halted(club)) == len(finished(club)) == 1
    club.assert_whole()


@pytest.mark.parametrize("others", [1, 2])
def test_another_shard_reserves_in_between(club: Club, others: int) -> None:
    """Between reading the run's numbers and adding to them, another chunk takes what was left; a second one halts."""
    members = [*in_shard(3, CHUNK), *in_shard(1, CHUNK), *in_shard(6, CHUNK)]
    due_to_fall(club, members)
    first, *waiting = club.start_sweep("DemotionSweep", NIGHT)
    meanwhile = [waiting.pop() for _ in range(others)]
    club.wire.before("TransactWriteItems", lambda: work_off(club, meanwhile), about=items.CHUNK)

    work_off(club, [first])

    assert len(fallen(club, members)) == CHUNK
    (run_id,) = run_ids(club)
    assert noted(club, run_id)["club#A3"] == reserved(club, run_id)["club#A3"] == CHUNK
    assert len(halted(club)) == 1


KILLS = [
    *(("TransactWriteItems", skip) for skip in range(10)),
    *(("GetItem", skip) for skip in range(0, 24, 2)),
    ("UpdateItem", 0),
    ("UpdateItem", 1),
    ("Query", 1),
    ("SendMessage", 0),
    ("SendMessage", 1),
]


@pytest.mark.parametrize(("operation", "skip"), KILLS)
def test_a_sweep_that_is_killed_demotes_no_more_than_the_limit(club: Club, operation: str, skip: int) -> None:
    members = in_shard(3, 3 * CHUNK + 1)
    due_to_fall(club, members)
    before = club.content()
    club.sweep("DemotionSweep", NIGHT, override_limit=True)
    undisturbed = ledger(club)
    club.create_table(before.values())

    waiting = club.start_sweep("DemotionSweep", NIGHT)
    club.wire.kill(operation, skip=skip)
    deaths = 0
    while waiting:
        try:
            assert club.work_chunks("DemotionSweep", waiting[0]) == []
            waiting.pop(0)
        except Killed:
            deaths += 1
        waiting += club.taken_chunks("DemotionSweep")

    assert deaths == 1
    number = len(fallen(club, members))
    assert CHUNK <= number <= LIMIT  # a repeat may find one more in the place of who is done
    (run_id,) = run_ids(club)
    assert noted(club, run_id) == Counter(reserved(club, run_id)) == {"club#A3": number, "crowns#Platinum": number}
    assert len(halted(club)) == 1
    club.assert_whole()

    club.sweep("DemotionSweep", NIGHT, override_limit=True)
    assert ledger(club) == undisturbed


@pytest.mark.parametrize("skip", range(1, CHUNK + 1))
def test_a_chunk_that_comes_again_does_not_halt_its_run(club: Club, skip: int) -> None:
    """All of it is within the limit, but not twice."""
    members = in_shard(3, CHUNK)
    due_to_fall(club, members)
    (chunk,) = club.start_sweep("DemotionSweep", NIGHT)
    club.wire.kill("TransactWriteItems", skip=skip) if skip < CHUNK else club.wire.kill("UpdateItem")
    with pytest.raises(Killed):
        club.work_chunks("DemotionSweep", chunk)

    assert club.work_chunks("DemotionSweep", chunk) == []

    assert fallen(club, members) == members
    assert halted(club) == []


@pytest.mark.parametrize("kind", ["throttle", "conflict", "timeout_before", "timeout_after"])
def test_a_store_that_stumbles_reserves_nothing_twice(club: Club, kind: str) -> None:
    members = in_shard(3, 3 * CHUNK)
    due_to_fall(club, members)
    club.wire.fail("TransactWriteItems", kind, about="SWEEP#", times=5)

    club.sweep("DemotionSweep", NIGHT)

    assert len(fallen(club, members)) == CHUNK
    (run_id,) = run_ids(club)
    assert noted(club, run_id) == Counter(reserved(club, run_id)) == {"club#A3": CHUNK, "crowns#Platinum": CHUNK}
    assert len(halted(club)) == 1


def test_a_reservation_of_another_shard_is_not_in_the_way_of_a_note(club: Club) -> None:
    """An update meets a transaction on the same item: DynamoDB refuses it then, and it is tried again at once."""
    due_to_fall(club, in_shard(3, CHUNK))
    waiting = club.start_sweep("DemotionSweep", NIGHT)
    club.wire.fail("UpdateItem", "conflict", times=2)

    assert club.work_chunks("DemotionSweep", *waiting) == []


def test_who_can_not_be_reserved_for_comes_again(club: Club) -> None:
    members = in_shard(3, CHUNK)
    due_to_fall(club, members)
    (chunk,) = club.start_sweep("DemotionSweep", NIGHT)
    mend = club.wire.fail("TransactWriteItems", "throttle", about="SWEEP#")

    assert club.work_chunks("DemotionSweep", chunk, millis=1_050) == [chunk]
    assert fallen(club, members) == []

    mend()
    assert club.work_chunks("DemotionSweep", chunk) == []
    assert fallen(club, members) == members


def test_a_posting_between_plan_and_write_is_planned_anew(club: Club) -> None:
    """What was reserved under an entry's name is noted under the name that it gets in the end."""
    members = in_shard(3, 1)
    due_to_fall(club, members)
    visit = event("visit.recorded", "e-visit", member_id=members[0], at=NOW - days(2))
    late = lambda: club.post(visit, at=NOW - days(2))  # noqa: E731
    club.wire.before("TransactWriteItems", late, about=f"M#{members[0]}")

    club.sweep("DemotionSweep", NIGHT)

    (run_id,) = run_ids(club)
    assert noted(club, run_id)["club#A3"] == reserved(club, run_id)["club#A3"] == 1
    (chunk,) = connect(club.table, lambda: 8).sweep_chunks(run_id)
    entry = club.entry(chunk[members[0]]["club#A3"])
    assert entry["parts"]["club"]["tier"] == [3, 0]
    club.assert_whole()


def test_a_reservation_between_plan_and_write_waits_for_a_store_that_stumbles(club: Club) -> None:
    """The member has moved since the plan: what is reserved anew meets a conflict, and nobody is put off for that."""
    members = in_shard(3, 1)
    due_to_fall(club, members)
    visit = event("visit.recorded", "e-visit", member_id=members[0], at=NOW - days(2))
    (chunk,) = club.start_sweep("DemotionSweep", NIGHT)

    def overtake() -> None:
        club.post(visit, at=NOW - days(2))
        club.wire.fail("TransactWriteItems", "conflict", about="SWEEP#", times=1)

    club.wire.before("TransactWriteItems", overtake, about=f"M#{members[0]}")

    assert club.work_chunks("DemotionSweep", chunk) == []

    assert "e-visit" in [entry["key"] for entry in club.entries(members[0])], "it came between"
    assert fallen(club, members) == members
    assert club.taken_chunks("DemotionSweep") == [], "no message for a member alone"


# --- a dry run ------------------------------------------------------------------------------------------------


def a_mixed_night(club: Club) -> None:
    due_to_fall(club, [*in_shard(3, 7), *in_shard(1, 2)])
    at = NOW - days(90)
    bought = (line("i-9", "1500.00"),)
    members = [f"v-{n}" for n in range(3)]
    club.post(*(order(f"o-{id_}", *bought, event_id=f"e-{id_}", member_id=id_, at=at) for id_ in members), at=at)
    again = order("o-again", line("i-8", "1200.00"), event_id="e-again", member_id="v-0", at=NOW - days(20))
    club.post(again, at=NOW - days(20))
    club.announced()


@pytest.mark.parametrize("sweep", ["ExpirySweep", "DemotionSweep"])
def test_a_dry_run_says_what_the_run_would_do(club: Club, sweep: str) -> None:
    a_mixed_night(club)
    told = club.announced()
    before = ledger(club)

    club.sweep(sweep, NIGHT, dry_run=True)

    assert ledger(club) == before
    assert club.announced() == told
    (dry,) = run_ids(club)
    report = shown(club, dry)
    assert not any(sk.startswith(items.CHUNK) for _, sk in club.content())

    club.sweep(sweep, NIGHT, override_limit=True)

    (end,) = finished(club)
    assert report["programs"] == end["programs"]
    assert report["counts"] == {"rewards": 0, **end["counts"]}
    assert report["programs"]["club"]["expired"] == {"members": 9, "points": 9 * 605}


def test_a_dry_run_counts_by_cause_and_says_that_it_would_halt(club: Club) -> None:
    a_mixed_night(club)

    club.sweep("DemotionSweep", NIGHT, dry_run=True)

    (run_id,) = run_ids(club)
    report = shown(club, run_id)
    assert report["programs"]["club"] == {
        "expired": {"members": 9, "points": 9 * 605},
        "returned": {"members": 0, "points": 0},
        "fell": 9,
        "rose": 0,
        "retained": 0,
        "reset": 0,
        "granted": {},
        "moves": [{"move": "fell", "from": "A3", "to": "A0", "cause": "demoted", "members": 9}],
    }
    assert report["programs"]["vip"]["expired"] == {"members": 3 + 9, "spend": "9900.00"}
    assert report["programs"]["vip"]["moves"] == [
        {"move": "fell", "from": "Silver", "to": "none", "cause": "reset", "members": 2},
        {"move": "retained", "from": "Silver", "to": "Silver", "cause": "retained", "members": 1},
    ]
    assert report["would_halt"] == [
        {"program": "club", "tier": "A3", "members": 11, "limit": LIMIT, "would_fall": 9},
        {"program": "crowns", "tier": "Platinum", "members": 9, "limit": LIMIT, "would_fall": 9},
    ]
    assert any("WOULD HALT: 9 would fall from club A3" in row for row in sweeps.lines(report))
    said = [json.loads(row) for row in club.log.getvalue().splitlines() if '"sweep finished"' in row]
    assert [row["report"] for row in said] == [report["programs"]]


def test_a_dry_run_that_is_killed_and_repeated_counts_once(club: Club) -> None:
    a_mixed_night(club)
    club.sweep("DemotionSweep", NIGHT, dry_run=True)
    (run_id,) = run_ids(club)
    undisturbed = shown(club, run_id)["programs"]
    waiting = club.start_sweep("DemotionSweep", NIGHT, dry_run=True)
    club.wire.kill("SendMessage")
    while waiting:
        try:
            assert club.work_chunks("DemotionSweep", waiting[0]) == []
            assert club.work_chunks("DemotionSweep", waiting.pop(0)) == []
        except Killed:
            pass
        waiting += club.taken_chunks("DemotionSweep")

    (other,) = set(run_ids(club)) - {run_id}
    assert shown(club, other)["programs"] == undisturbed
    assert shown(club, other)["open_shards"] == 0


# --- undoing --------------------------------------------------------------------------------------------------

DAY = NIGHT + timedelta(hours=9)
"""When an operator undoes the night's run."""


def patient() -> Callable[[], float]:
    return lambda: 60.0


def undo(club: Club, run_id: str, at: datetime = DAY) -> Undone:
    return undo_run(connect(club.table, lambda: 8), PROGRAMS, run_id, at, patient)


def a_night_to_undo(club: Club, number: int = 4) -> tuple[list[str], str]:
    members = in_shard(3, number)
    due_to_fall(club, members)
    club.sweep("DemotionSweep", NIGHT, override_limit=True)
    (run_id,) = run_ids(club)
    return members, run_id


def test_undoing_gives_back_what_a_run_took(club: Club) -> None:
    members, run_id = a_night_to_undo(club)
    points = {id_: club.summary(id_, at=DAY)["club"]["points"] for id_ in members}

    assert undo(club, run_id) == Undone(now=8, before=0, left=[], open_shards=0)

    for id_ in members:
        assert tiers(club, id_) == HELD
        seen = club.summary(id_, at=DAY)["club"]
        assert (seen["tier"], seen["tier_since"], seen["points"]) == ("A3", "2026-11-22", points[id_])
        entries = club.entries(id_)
        assert entries[-1]["entry_id"] == f"undo~tier_review~{id_}~{entries[-2]['seq']}"
        assert kinds(club, id_)[-1] == {"club": "tier_review", "crowns": "tier_review"}
        assert rebuild(id_, entries).program("club").tier == 3
        reconcile(entries)
    told = [detail for kind, detail in club.announced() if kind == "tier.changed"]
    back = [(each["program"], each["from"], each["to"], each["on"]) for each in told if each["entry_id"][:5] == "undo~"]
    assert Counter(back) == {
        ("club", "A0", "A3", "2026-11-22"): 4,
        ("crowns", "none", "Platinum", "2026-11-22"): 4,
    }
    club.assert_whole()


def test_the_receipt_says_so(club: Club) -> None:
    (member_id,), run_id = a_night_to_undo(club, 1)
    undo(club, run_id)

    for language, text in (
        ("en", "On 22 November 2026 you moved from A0 to A3: the club undid the fall of 22 November 2026; "),
        ("ru", "22 ноября 2026 года вы перешли с уровня A0 на уровень A3: клуб отменил понижение уровня от 22 ноября"),
    ):
        query = {"program": "club", "from": "2026-11-22", "to": "2026-11-22"}
        path = f"/members/{member_id}/explanation"
        status, body = club.get(path, query, at=DAY, sub=member_id, language=language)
        assert status == 200
        *_, receipt = body["receipts"]
        assert receipt["text"].startswith(text)
        assert (receipt["before"], receipt["after"], receipt["causes"]) == (0, 0, [])
        reason = messages_for(language).reason
        (stored,) = club.entries(member_id)[-1]["parts"]["club"]["reasons"]
        assert reason(PROGRAMS.versions("club")[0], stored).count("2026") == 1


def test_what_is_given_back_is_reviewed_again_when_the_operator_has_had_time(club: Club) -> None:
    members, run_id = a_night_to_undo(club)
    undo(club, run_id)

    club.sweep("DemotionSweep", NIGHT + days(1), override_limit=True)
    club.sweep("DemotionSweep", NIGHT + days(29), override_limit=True)
    assert fallen(club, members) == []
    assert club.summary(members[0], at=DAY + days(29))["club"]["tier"] == "A3"

    club.sweep("DemotionSweep", NIGHT + days(30), override_limit=True)
    assert fallen(club, members) == members
    assert all(reconcile(club.entries(id_)) for id_ in members)
    club.assert_whole()


def test_undoing_twice_is_undoing_once(club: Club) -> None:
    _, run_id = a_night_to_undo(club)
    undo(club, run_id)
    once = ledger(club)

    assert undo(club, run_id, DAY + days(3)) == Undone(now=0, before=8, left=[], open_shards=0)
    assert ledger(club) == once


@pytest.mark.parametrize(
    ("operation", "skip"),
    [*(("TransactWriteItems", n) for n in range(4)), ("GetItem", 2), ("BatchGetItem", 3), ("Query", 0)],
)
def test_undoing_that_is_killed_goes_on_where_it_was(club: Club, operation: str, skip: int) -> None:
    _, run_id = a_night_to_undo(club)
    before = club.content()
    undo(club, run_id)
    undisturbed = ledger(club)
    club.create_table(before.values())
    club.wire.kill(operation, skip=skip)
    with pytest.raises(Killed):
        undo(club, run_id)

    again = undo(club, run_id)

    assert again.now + again.before == 8
    assert ledger(club) == undisturbed


@pytest.mark.parametrize("kind", ["conflict", "timeout_before", "timeout_after", "throttle"])
def test_undoing_in_a_store_that_stumbles(club: Club, kind: str) -> None:
    members, run_id = a_night_to_undo(club)
    club.wire.fail("TransactWriteItems", kind, times=3)

    done = undo(club, run_id)

    assert done.now + done.before == 8
    assert fallen(club, members) == []
    club.assert_whole()


def test_a_store_that_does_not_answer_is_told(club: Club) -> None:
    _, run_id = a_night_to_undo(club)
    club.wire.fail("TransactWriteItems", "throttle")

    with pytest.raises(Unavailable):
        undo_run(connect(club.table, lambda: 8), PROGRAMS, run_id, DAY, lambda: lambda: 1.01)


def test_who_has_moved_since_is_left_and_named(club: Club) -> None:
    members, run_id = a_night_to_undo(club)
    club.post(order("o-2", line("i-2", "150.00"), member_id=members[1], event_id="e-new", at=DAY), at=DAY)
    assert tiers(club, members[1])["club"] == "A2"
    before = club.entries(members[1])

    done = undo(club, run_id, DAY + timedelta(hours=1))

    assert done.now == 6
    assert sorted(done.left) == [(members[1], "club", "A3", "changed"), (members[1], "crowns", "Platinum", "changed")]
    assert club.entries(members[1]) == before
    assert undo(club, run_id, DAY + days(1)) == done._replace(now=0, before=6)


def test_one_program_may_be_given_back_without_the_other(club: Club) -> None:
    (member_id,), run_id = a_night_to_undo(club, 1)
    club.post(event("visit.recorded", "e-visit", member_id=member_id, at=DAY), at=DAY)
    assert tiers(club, member_id) == {"club": "A0", "crowns": "Silver", "vip": "none"}

    done = undo(club, run_id, DAY + timedelta(hours=1))

    assert (done.now, done.left) == (1, [(member_id, "crowns", "Platinum", "changed")])
    assert tiers(club, member_id) == {"club": "A3", "crowns": "Silver", "vip": "none"}
    club.assert_whole()


def test_a_penalty_in_force_is_not_lifted_by_undoing(club: Club) -> None:
    (member_id,), run_id = a_night_to_undo(club, 1)
    case = {"case_id": "c-1", "kind": "extortion"}
    club.post(event("violation.confirmed", "e-case", case, member_id=member_id, at=DAY), at=DAY)

    done = undo(club, run_id, DAY + timedelta(hours=1))

    assert done.left == [(member_id, "crowns", "Platinum", "capped")]
    assert tiers(club, member_id) == {"club": "A3", "crowns": "none", "vip": "none"}


def test_two_runs_are_undone_one_after_the_other(club: Club) -> None:
    """The later run first; then the tier is what the earlier one made of it, and that is undone as well."""
    (member_id,) = in_shard(3, 1)
    first, second = NOW - days(365), NOW - days(360)
    for number, (price, at) in enumerate((("600.00", first), ("150.00", second))):
        bought = order(f"o-{number}", line(f"i-{number}", price), member_id=member_id, event_id=f"e-{number}", at=at)
        club.post(bought, at=at)
    start = club.content()
    club.sweep("DemotionSweep", NIGHT, request_id=None)
    (early,) = run_ids(club)
    assert tiers(club, member_id)["club"] == "A2"
    club.sweep("DemotionSweep", NIGHT + days(5))
    (late,) = set(run_ids(club)) - {early}
    assert tiers(club, member_id)["club"] == "A0"
    at = DAY + days(5)

    assert [left.why for left in undo(club, early, at).left] == ["changed"] * 2
    assert undo(club, late, at).now == 2
    assert tiers(club, member_id)["club"] == "A2"
    assert undo(club, early, at).now == 2
    assert tiers(club, member_id) == HELD
    assert reconcile(club.entries(member_id))
    club.assert_whole()

    # the same, by one late run that lowered twice
    club.create_table(start.values())
    club.sweep("DemotionSweep", NIGHT + days(5))
    (whole,) = run_ids(club)
    assert undo(club, whole, at).now == 4
    assert tiers(club, member_id) == HELD
    assert reconcile(club.entries(member_id))
    club.assert_whole()


def test_a_vip_status_is_given_back_for_a_time(club: Club) -> None:
    (member_id,) = in_shard(3, 1)
    at = NOW - days(90)
    club.post(order("o-1", line("i-1", "1500.00"), member_id=member_id, at=at), at=at)
    club.sweep("DemotionSweep", NIGHT)
    (run_id,) = run_ids(club)
    assert tiers(club, member_id)["vip"] == "none"

    undo(club, run_id)

    assert tiers(club, member_id)["vip"] == "Silver"
    club.sweep("DemotionSweep", NIGHT + days(29))
    assert tiers(club, member_id)["vip"] == "Silver"
    club.sweep("DemotionSweep", NIGHT + days(30))
    assert tiers(club, member_id)["vip"] == "none"
    reconcile(club.entries(member_id))
    club.assert_whole()


def test_what_the_brake_held_is_not_undone(club: Club) -> None:
    members = in_shard(3, 3 * CHUNK)
    due_to_fall(club, members)
    club.sweep("DemotionSweep", NIGHT)
    (run_id,) = run_ids(club)
    held = [id_ for id_ in members if id_ not in fallen(club, members)]
    before = {id_: club.entries(id_) for id_ in held}

    assert undo(club, run_id).now == 2 * CHUNK
    assert {id_: club.entries(id_) for id_ in held} == before
    assert fallen(club, members) == []


def test_a_run_that_there_is_not_is_named(club: Club) -> None:
    with pytest.raises(NotFound):
        undo(club, "DemotionSweep#2026-11-22T00:35:00Z#nobody")


def test_a_run_that_has_not_finished_is_told(club: Club) -> None:
    members = in_shard(3, 2 * CHUNK)
    due_to_fall(club, members)
    waiting = club.start_sweep("DemotionSweep", NIGHT, override_limit=True)
    assert club.work_chunks("DemotionSweep", *waiting) == []
    (run_id,) = run_ids(club)

    assert undo(club, run_id) == Undone(now=2 * CHUNK, before=0, left=[], open_shards=1)

    work_off(club, club.taken_chunks("DemotionSweep"))
    assert undo(club, run_id) == Undone(now=2 * CHUNK, before=2 * CHUNK, left=[], open_shards=0)


def test_an_entry_that_was_reserved_and_never_posted_is_no_demotion(club: Club) -> None:
    members = in_shard(3, CHUNK)
    due_to_fall(club, members)
    (chunk,) = club.start_sweep("DemotionSweep", NIGHT)
    club.wire.kill("TransactWriteItems", about="M#")
    with pytest.raises(Killed):
        club.work_chunks("DemotionSweep", chunk)
    (run_id,) = run_ids(club)
    assert noted(club, run_id)["club#A3"] == CHUNK
    before = ledger(club)

    assert undo(club, run_id).now == 0
    assert ledger(club) == before


def test_the_runs_are_listed(club: Club) -> None:
    a_mixed_night(club)
    club.sweep("ExpirySweep", NIGHT - timedelta(minutes=30))
    club.sweep("DemotionSweep", NIGHT)

    listed = sweeps.runs_of(aws("dynamodb"), club.table, PROGRAMS)

    assert [run["sweep"] for run in listed] == ["ExpirySweep", "DemotionSweep"]
    assert sweeps.headline(listed[1]).endswith(": halted, finished")
