"""What `make bench` says of its figures: beside their budgets, and beside those that are stored."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import compared
from benchmarks.compared import STORED, Verdict, compare, limits, shown, verdict
from benchmarks.figures import RATIO, Figure, in_turn, ratio
from benchmarks.page import write_page
from benchmarks.parts import PARTS

ROOT = Path(__file__).resolve().parents[2]


def figure(value: float, **more: object) -> Figure:
    return Figure("posting", value, RATIO, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("mine", "stored", "said"),
    [
        (figure(1.15), figure(1.0), Verdict.PLAIN),
        (figure(1.16), figure(1.0), Verdict.REGRESSION),
        (figure(0.5), figure(1.0), Verdict.PLAIN),
        (figure(1.16), None, Verdict.NEW),
        (figure(0.86, more_is_better=True), figure(1.0), Verdict.PLAIN),
        (figure(0.84, more_is_better=True), figure(1.0), Verdict.REGRESSION),
        (figure(9.9, of_machine=True), figure(1.0), Verdict.PLAIN),
        (figure(0.0), figure(0.0), Verdict.PLAIN),
        (figure(0.1), figure(0.0), Verdict.REGRESSION),
        (figure(1.75, budget=1.75, stretch=1.25), figure(1.75), Verdict.WITHIN),
        (figure(1.76, budget=1.75, stretch=1.25), figure(1.75), Verdict.BEYOND),
        (figure(1.25, budget=1.75, stretch=1.25), figure(1.75), Verdict.STRETCH),
        (figure(1.6, budget=1.75), figure(1.0), Verdict.REGRESSION),
        (figure(19_999, budget=20_000, more_is_better=True, of_machine=True), figure(90_000), Verdict.BEYOND),
        (figure(20_000, budget=20_000, more_is_better=True, of_machine=True), figure(90_000), Verdict.WITHIN),
        (figure(50_000, budget=20_000, stretch=50_000, more_is_better=True), figure(50_000), Verdict.STRETCH),
    ],
)
def test_what_is_said_of_a_figure(mine: Figure, stored: Figure | None, said: Verdict) -> None:
    assert verdict(mine, stored) is said


def test_what_is_worse_or_not_measured_any_more_fails_and_nothing_else() -> None:
    assert {each for each in Verdict if each.fails} == {Verdict.REGRESSION, Verdict.GONE}


def test_a_stored_figure_that_is_not_measured_any_more_is_shown_and_only_of_parts_that_ran() -> None:
    known = {"rules": {"club": Figure("club", 2.0, RATIO)}, "sweeps": {"expiry": Figure("expiry", 2.0, RATIO)}}
    rows = compare({"rules": [figure(1.0)]}, known)
    assert [(row.figure.name, row.verdict) for row in rows] == [("posting", Verdict.NEW), ("club", Verdict.GONE)]


def test_what_is_stored_comes_back_and_replaces_only_its_own_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compared, "STORED", tmp_path / "stored.json")
    assert compared.stored() == {}
    first = Figure("club", 1.234567, RATIO, budget=2.0, stretch=1.0, why="since")
    compared.store({"rules": [first], "sweeps": [Figure("expiry", 3.0, "requests")]})
    compared.store({"sweeps": [Figure("demotion", 4.0, "s", of_machine=True)]})
    assert compared.stored() == {
        "rules": {"club": Figure("club", 1.235, RATIO, budget=2.0, stretch=1.0, why="since")},
        "sweeps": {"demotion": Figure("demotion", 4.0, "s", of_machine=True)},
    }


def test_those_that_are_compared_take_turns_and_each_round_begins_with_another() -> None:
    order: list[str] = []

    def sample(name: str, seconds: float) -> float:
        order.append(name)
        return seconds

    class Steps:
        said: list[tuple[float, float]] = []  # noqa: RUF012 - of this one test

        def step(self, done: float, of: float, what: str = "") -> None:
            self.said.append((done, of))

        def keep(self, name: str, detail: object) -> None:
            raise AssertionError(name)

    samples = in_turn({"a": lambda: sample("a", 3.0), "b": lambda: sample("b", 2.0)}, 3, Steps(), begun=1, of=4)
    assert order == ["a", "b", "b", "a", "a", "b"]
    assert samples == {"a": [3.0] * 3, "b": [2.0] * 3}
    assert ratio(samples, "a", "b") == 1.5
    assert Steps.said == [(2, 4), (3, 4), (4, 4)]


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9749, RATIO, "0.97 ×"),
        (1, RATIO, "1.00 ×"),
        (6.0, "write units", "6 write units"),
        (6.58, "write units", "6.58 write units"),
        (33.44, "$", "33.4 $"),
        (23456.7, "events/s", "23,457 events/s"),
        (None, "s", ""),
    ],
)
def test_a_value_is_shown_as_exact_as_it_is_of_use(value: float | None, unit: str, text: str) -> None:
    assert shown(value, unit) == text


def test_a_budget_is_shown_with_its_direction_and_stretch() -> None:
    assert limits(figure(1.0, budget=1.75, stretch=1.25)) == "≤ 1.75 (1.25)"
    assert limits(figure(1.0, budget=20_000, more_is_better=True)) == "≥ 20,000"
    assert limits(figure(1.0)) == ""


def test_the_page_has_every_figure_and_what_lies_behind_and_lets_no_markup_in(tmp_path: Path) -> None:
    rows = compare({"rules": [figure(1.0, why="<b>why</b>")]}, {})
    page = write_page(tmp_path, rows, {"rules": {"what it goes to": {"a<b": 2}, "sum": "1 < 2"}}, {"sweeps": "no <x>"})
    html = page.read_text("utf-8")
    for text in ("posting", "1.00 ×", "not stored yet", "&lt;b&gt;why", "a&lt;b", "1 &lt; 2", "no &lt;x&gt;"):
        assert text in html
    assert "1 worse than stored, or not measured" in html


def test_the_stored_figures_are_of_parts_that_exist_and_keep_the_budgets_of_their_own_stretch() -> None:
    known = json.loads(STORED.read_text("utf-8"))
    assert set(known) == set(PARTS)
    for figures in compared.stored().values():
        assert figures
        for each in figures.values():
            assert each.value >= 0, each.name
            if each.budget is not None and each.beyond(each.budget) > 0:
                assert each.why, f"{each.name} is beyond its budget: say why"


def test_the_docs_have_the_stored_figures_and_the_readme_none_but_those() -> None:
    tables = compared.markdown(compared.stored())
    assert tables in (ROOT / "docs" / "benchmarks.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8").partition("\nmake bench\n")[2].partition("\n\n## ")[0]
    rows = [line for line in readme.splitlines() if line.startswith("| ") and "measured" not in line]
    assert len(rows) >= 10
    assert [row for row in rows if row not in tables.splitlines()] == []
