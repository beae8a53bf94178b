"""The yardstick of the benchmarks works: for plain purchases the naive build comes to the club's own points."""

from __future__ import annotations

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from datetime import timedelta
from typing import Any

import pytest

from tests.integration.harness import NOW, ROOT, Club, days, line, message, order, record

PURCHASES = [
    order("o-1", line(unit_price="49.90"), at=NOW - days(2)),
    order("o-2", line("i-2", "20.49", 2), line("i-3", "1.99"), at=NOW - days(1)),
    order("o-3", line("i-4", "1.50", 4), at=NOW - days(1) + timedelta(hours=1)),
    order("o-4", line("i-5", "450.00"), at=NOW - timedelta(hours=1)),
]


def naively(records: list[dict[str, Any]]) -> tuple[dict[str, Any], list[Any]]:
    """What is in the naive build's table once it has posted the records, by sort key; and what it answered.

    In a process of its own: its tracer takes botocore in hand for good.
    """
    from benchmarks import naive
    from benchmarks.client_cpu.wire import Wire
    from local.functions import account
    from tests.simulation.dynamodb import Model

    store = Model(NOW.timestamp)
    for table in naive.tables():
        store.create_table(**table)
    with account({}), Wire(store).installed():
        post = naive.poster()
        answers = [post(each) for each in records]
    found = store.items(naive.variables()["LEDGER_TABLE"])
    return {
        item["sk"]["S"]: {name: next(iter(value.values())) for name, value in item.items()} for item in found
    }, answers


@pytest.mark.slow
def test_the_naive_build_posts_a_purchase_as_the_club_does(club: Club) -> None:
    records = [record(message(each), NOW, str(number)) for number, each in enumerate(PURCHASES)]
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        found, answers = process.submit(naively, [*records, records[-1]]).result(timeout=120)
    for each in records:
        assert club.deliver(each) == []
    ours = {entry["event_id"]: entry["parts"]["club"] for entry in club.entries()}
    theirs = {item["event_id"]: int(item["points"]) for item in found.values() if "reason" in item}

    assert answers == [{"batchItemFailures": []}] * 5
    assert theirs == {"e-o-1": 54, "e-o-2": 45, "e-o-3": 0, "e-o-4": 455}
    assert theirs == {event_id: part["points"] for event_id, part in ours.items()}
    summary = club.summary()["club"]
    assert (int(found["MEMBER"]["points"]), found["MEMBER"]["tier"]) == (summary["points"], summary["tier"])
    assert sorted(key for key in found if key.startswith("ORDER#")) == [f"ORDER#o-{n}" for n in range(1, 5)]


def test_the_naive_build_has_the_versions_that_are_tested_here() -> None:
    pins = [
        set(re.findall(r"^\S+==\S+ ", (ROOT / "requirements" / f"{name}.txt").read_text("utf-8"), re.MULTILINE))
        for name in ("naive", "dev")
    ]

    assert any(each.startswith("boto3==") for each in pins[0])
    assert pins[0] <= pins[1]
