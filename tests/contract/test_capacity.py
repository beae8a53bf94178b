"""What a purchase costs is what its items weigh, and what is billed for it is what prices.json says."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from benchmarks import capacity
from benchmarks.capacity.meter import Meter, Used
from benchmarks.capacity.prices import Line, arithmetic, dollars, listed, of_table, price, through_queue
from benchmarks.capacity.work import NOW, ROOT, Club, mean, operations, program_files, tables
from benchmarks.client_cpu.wire import Exchange, Wire
from benchmarks.figures import Missing
from local.functions import account
from local.template import Template
from tests.simulation.dynamodb import Model


@pytest.fixture
def recorded() -> Iterator[tuple[Club, Wire]]:
    """The club on the table's model, and what its clients ask."""
    template, meter = Template(ROOT / "template.yaml"), Meter()
    store = Model(NOW.timestamp)
    for table in tables(template):
        store.create_table(**table)
    wire = Wire(store)
    with (
        account(template.functions),
        wire.installed(),
        meter.installed(),
        Club.started(template, meter, program_files()) as club,
    ):
        yield club, wire


def weight(item: dict[str, dict[str, Any]]) -> int:
    """Bytes, as "DynamoDB item sizes and formats" counts them: of the names and of the values."""
    total = 0
    for name, typed in item.items():
        ((kind, value),) = typed.items()
        assert kind in "SBN"
        total += len(name.encode()) + (len(value) if kind == "B" else len(value.encode()) if kind == "S" else 21)
    return total


def puts(exchanges: list[Exchange]) -> list[dict[str, Any]]:
    (written,) = [each.params for each in exchanges if each.operation == "TransactWriteItems"]
    return [each["Put"]["Item"] for each in written["TransactItems"]]


def test_a_purchase_costs_two_units_for_each_kilobyte_of_its_three_items(recorded: tuple[Club, Wire]) -> None:
    club, wire = recorded
    club.bought("m-42", 12)
    asked = wire.record()
    used = club.buy("m-42", 12)
    written = puts(asked)

    assert len(written) == 3
    assert all(weight(item) < 1024 for item in written), "an entry, an account, an order: each below 1 KB"
    assert used.write_units == sum(2 * -(-weight(item) // 1024) for item in written) == 6
    assert used.requests == [each.operation for each in asked] == ["GetItem", "TransactWriteItems"]
    assert asked[0].params.get("ConsistentRead") is not True
    assert used.read_units == 0.5, "half a unit for up to 4 KB that may be a moment old"


def test_an_index_costs_a_unit_where_a_member_enters_it(recorded: tuple[Club, Wire]) -> None:
    club, wire = recorded
    asked = wire.record()
    used = club.buy("m-42", 0)

    assert used.by_index == {"due": 1.0}
    assert used.write_units == 2 * len(puts(asked)) + 1


def test_the_budgets_are_met_as_the_model_counts(recorded: tuple[Club, Wire]) -> None:
    club, _ = recorded
    steps: list[str] = []
    found = operations(club, steps.append) | {"purchase in club alone": Used(6.0), "naive: purchase": Used()}
    figures = {figure.name: figure for figure in capacity._units(found)}

    assert len(steps) == 4
    assert {name for name, figure in figures.items() if figure.budget is not None} == {
        *("purchase", "purchase, three programs ÷ one alone", "review", "visit", "post"),
        *("posting a purchase", "requests of a member summary"),
    }
    for figure in figures.values():
        assert figure.budget is None or figure.value <= figure.budget, figure
    assert figures["requests of the same decision again"].value == 1
    assert found["mean of a member's first 25 purchases"].write_units == 6 + (1 + 2) / 25, "the index, and a page"


def test_what_was_measured_names_every_operation_of_the_figures() -> None:
    figures = capacity._units(found := _found())
    assert len({figure.name for figure in figures}) == len(figures)
    assert {"purchase", "review", "visit", "post"} <= {figure.name for figure in figures}
    bills = capacity.billed(found, Template(ROOT / "template.yaml"))
    assert all(figure.why.endswith(f"= {figure.value:.2f}") for figure in capacity._dollars(bills))


def _found() -> dict[str, Used]:
    names = [
        *("purchase of a new member", "mean of a member's first 25 purchases", "purchase", "review", "visit", "post"),
        *("refund of an order", "decision, approved", "decision, declined", "the same decision again"),
        "purchase of who bought on 59 days of a year",
        *("member summary", "statement page of 50", "purchase in club alone", "naive: purchase"),
    ]
    return {name: Used(number, number / 2, ["GetItem"]) for number, name in enumerate(names, 1)}


def test_of_two_counts_the_higher_one_counts_and_the_difference_is_told() -> None:
    one, other = Used(6.0, 0.0, ["BatchGetItem"]), Used(5.0, 7.0, ["BatchGetItem"])
    found, differences = capacity.agreed({"read": one}, {"read": other})

    assert (found["read"].write_units, found["read"].read_units) == (6.0, 7.0)
    assert differences == [
        "read: ministack reports 6 write units, the model counts 5",
        "read: ministack reports 0 read units, the model counts 7",
    ]
    assert capacity.agreed({"read": one}, {"read": one}) == ({"read": one}, [])
    with pytest.raises(RuntimeError, match="read"):
        capacity.agreed({"read": one}, {"read": Used(6.0, 0.0, ["Query"])})


def test_without_the_emulator_its_absence_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.conformance.targets.MINISTACK", Path("nowhere/ministack"))

    class Silent:
        def step(self, done: float, of: float, what: str = "") -> None: ...

        def keep(self, name: str, detail: Any) -> None: ...

    with pytest.raises(Missing, match=r"make \.venv-emulator"):
        capacity.measure(Silent())


def test_every_price_has_a_page_and_a_date_where_it_was_read() -> None:
    for name, each in listed()["prices"].items():
        assert each["usd"] == price(name) > 0
        assert each["per"] in {"million", "month", "GB and month"}
        assert each["page"].startswith("https://aws.amazon.com/"), name
        if each["seen_on"] is not None:
            assert each["seen_in"].startswith("https://")
            date.fromisoformat(each["seen_on"])


def test_the_arithmetic_of_a_bill_is_shown_and_right() -> None:
    used = Used(6.0, 0.5, ["GetItem", "TransactWriteItems"])
    bill = through_queue(used, memory_gb=0.5, batch=10)

    assert arithmetic(of_table(used)) == "6 write units × 0.625 + 0.5 read units × 0.125 = 3.81"
    assert dollars(bill) == pytest.approx(3.8125 + 3 * 0.4 + 0.02 + 2 * 0.008 * 0.5 * 13.3334)
    assert str(Line(1.0, "write unit")) == "1 write unit × 0.625"
    assert mean([Used(7.0, 0.5, ["a"]), Used(6.0, 0.5, ["b"])]) == Used(6.5, 0.5, ["a"])
