"""Each case on each DynamoDB: as AWS documents it, or exactly as `differences` has it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.simulation.conformance import targets
from tests.simulation.conformance.case import (
    CAPACITY,
    CONDITIONS,
    INDEXES,
    KEY_CONDITIONS,
    PAGES,
    PROJECTIONS,
    TRANSACT_WRITE,
    UPDATE_ITEM,
    Case,
)
from tests.simulation.conformance.differences import DIFFERENCES, known
from tests.simulation.conformance.report import DOCUMENT, markdown
from tests.simulation.conformance.suite import BY_NAME, CASES, Target, outcome

# One more by a variable: the URL of an endpoint. The real DynamoDB can't be asked from here, since the tests run with
# credentials that open nothing; `python -m tests.simulation.conformance` asks it.
NAMES = ["model", "moto", "moto-patched", "ministack", *os.environ.get("CONFORMANCE", "").split()]


@pytest.fixture(
    scope="module", params=[pytest.param(name, marks=pytest.mark.xdist_group(f"conformance {name}")) for name in NAMES]
)
def target(request: pytest.FixtureRequest) -> Iterator[tuple[str, Target]]:
    """A DynamoDB with the cases' tables."""
    if request.param == "aws":
        pytest.skip("ask the real DynamoDB with CONFORMANCE=aws python -m tests.simulation.conformance")
    try:
        opened = targets.named(request.param)
        made = opened.__enter__()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    try:
        yield request.param, made
    finally:
        opened.__exit__(None, None, None)


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_case(target: tuple[str, Target], case: Case) -> None:
    name, made = target
    assert outcome(case, made) == known(case.name, name), f"{case.page}: {case.name}"


class _Careless:
    """Our model, but for one thing that it forgets to look at."""

    patience_s = 0.0

    def __init__(self, made: Target, forgotten: str) -> None:
        self._made = made
        self._forgotten = forgotten

    def call(self, operation: str, params: Mapping[str, Any]) -> dict[str, Any]:
        return self._made.call(operation, self._without(params))

    def _without(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self._without(each) for each in value]
        if not isinstance(value, Mapping):
            return value
        return {name: self._without(each) for name, each in value.items() if name != self._forgotten}

    def records(self, table: str) -> list[dict[str, Any]]:
        return self._made.records(table)

    def forget(self) -> None:
        self._made.forget()


@pytest.mark.parametrize(
    ("forgotten", "page"),
    [
        ("ConditionExpression", CONDITIONS),
        ("FilterExpression", CONDITIONS),
        ("ClientRequestToken", TRANSACT_WRITE),
        ("ReturnValuesOnConditionCheckFailure", TRANSACT_WRITE),
        ("ReturnValues", UPDATE_ITEM),
        ("ProjectionExpression", PROJECTIONS),
        ("Limit", PAGES),
        ("ExclusiveStartKey", PAGES),
        ("ScanIndexForward", KEY_CONDITIONS),
        ("IndexName", INDEXES),
        ("ReturnConsumedCapacity", CAPACITY),
    ],
)
def test_the_suite_notices_what_is_forgotten(forgotten: str, page: str) -> None:
    cases = [case for case in CASES if case.page == page and f"'{forgotten}'" in repr(case.steps)]
    with targets.model() as made:
        noticed = [case.name for case in cases if _said(case, _Careless(made, forgotten))]
    assert len(noticed) > len(cases) / 4, f"{len(noticed)} of {len(cases)}"
    assert noticed


def _said(case: Case, target: Target) -> str | None:
    try:
        return outcome(case, target)
    except AssertionError as error:  # pages without an end
        return str(error)


def test_there_are_enough_cases_each_with_a_statement_of_its_own() -> None:
    assert len(CASES) >= 200
    assert len(BY_NAME) == len(CASES)
    asked = [repr((case.there, case.steps)) for case in CASES]
    assert len(set(asked)) == len(asked)


def test_every_difference_is_about_a_case_and_an_emulator() -> None:
    assert len({(case, who) for case, who, _ in DIFFERENCES}) == len(DIFFERENCES)
    for case, who, _ in DIFFERENCES:
        assert case in BY_NAME
        assert who in {"moto", "ministack"}


def test_the_document_says_what_the_suite_has() -> None:
    assert DOCUMENT.read_text("utf-8") == markdown(), "python -m tests.simulation.conformance --docs"
