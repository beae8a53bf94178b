"""The benchmarks of the sweeps, the rules and the replay measure what they say, on clubs that are small."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from benchmarks import replay, rules, sweeps
from benchmarks.figures import Figure, Missing
from benchmarks.rules.stream import SHARES, stream
from club_rules.programs import load_programs
from local.logs import LogError, open_log

PROGRAMS = load_programs()


class Kept:
    """A progress that keeps everything."""

    def __init__(self) -> None:
        self.steps: list[float] = []
        self.details: dict[str, Any] = {}

    def step(self, done: float, of: float, what: str = "") -> None:
        assert 0 <= done <= of
        self.steps.append(done / of)

    def keep(self, name: str, detail: Any) -> None:
        self.details[name] = detail


def by_name(figures: list[Figure]) -> dict[str, float]:
    found = {figure.name: figure.value for figure in figures}
    assert len(found) == len(figures)
    return found


def test_a_stream_is_the_same_for_the_same_seed_and_holds_every_type() -> None:
    events = stream(PROGRAMS, members=20, days=100, events=2_000, seed=1)
    assert events == stream(PROGRAMS, members=20, days=100, events=2_000, seed=1)
    assert events != stream(PROGRAMS, members=20, days=100, events=2_000, seed=2)
    assert {event.type for event, _ in events} == set(SHARES)
    assert all(event.occurred_at < posted for event, posted in events)


def test_what_the_rules_are_timed_with_is_the_same_whether_the_account_is_data_in_between() -> None:
    events = stream(PROGRAMS, members=10, days=500, events=2_000, seed=1)
    straight, through_data = rules.Club(PROGRAMS), rules.Club(PROGRAMS)
    kinds: set[str] = set()
    for event, posted in events:
        entries = straight.take(event, posted)
        assert entries == through_data.take(event, posted, as_data=True)
        kinds.update(part["kind"] for entry in entries for part in entry["parts"].values())
    assert kinds >= {"accrual", "denied", "clawback", "expiry", "tier_review", "penalty"}


def test_the_rules_are_timed_by_program_and_over_ten_years(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("MEMBERS", 5), ("DAYS", 100), ("EVENTS", 50), ("EVENTS_A_YEAR", 5), ("ROUNDS", 1)):
        monkeypatch.setattr(rules, name, value)
    progress = Kept()
    figures = rules.measure(progress)
    budgeted = {figure.name: (figure.budget, figure.stretch) for figure in figures if figure.budget is not None}
    assert budgeted == {f"posting by {name} alone": (20_000, 50_000) for name in PROGRAMS.ids}
    assert all(figure.value > 0 for figure in figures)
    assert progress.details["entries of ten years"] >= 50


@pytest.mark.slow
def test_a_sweep_costs_what_its_items_do_however_many_members_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("SIZES", (400, 800)), ("DUE", 40), ("ROUNDS", 1)):
        monkeypatch.setattr(sweeps, name, value)
    progress = Kept()
    found = by_name(sweeps.measure(progress))
    # An entry and the account in a transaction, and where there is more to come, a move within the index; the rest is
    # the note of each of the eight shards' one chunk.
    notes = 0.6
    for sweep, called, units in (
        ("expiry", "nothing left", 4),
        ("expiry", "more to come, tier falls", 4),
        ("expiry", "more to come, tier stays", 6),
        ("demotion", "nothing left", 5),
        ("demotion", "more to come, tier falls", 6),
    ):
        of_notes = found[f"{sweep} sweep, a due member ({called})"] - units
        assert 0 < of_notes < notes * (1 if sweep == "expiry" else 4)
    for sweep in ("expiry", "demotion"):
        assert found[f"{sweep} sweep, requests: 40 due among 800 ÷ among 400"] == 1
        assert found[f"{sweep} sweep, a due member, reading"] >= 0.5
    assert progress.steps == sorted(progress.steps)


def test_the_replay_is_timed_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    log = open_log()
    monkeypatch.setattr(replay, "open_log", lambda full: replace(log, activities=log.activities[:200]))
    progress = Kept()
    figures = replay.measure(progress)
    assert [figure.unit for figure in figures] == ["events/s", "s", "MB"]
    assert figures[0].value * figures[1].value == pytest.approx(200)
    assert progress.details["course"][-1]["events"] == 200
    assert progress.details["items"] > 2 * 200
    assert progress.steps[-1] == 1


def test_without_the_log_the_replay_says_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(full: bool) -> Any:
        raise LogError("CDNOW's log comes with a package which isn't installed here")

    monkeypatch.setattr(replay, "open_log", gone)
    with pytest.raises(Missing, match="isn't installed"):
        replay.measure(Kept())
