"""A small share of the fuzzer's campaign, and whether it would find what is wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from club_rules import events, fields, json_text
from club_rules.errors import FieldError
from tests.hostile import grammar, judge
from tests.hostile.fuzzing import Found, Reached, campaign, made_by

EXECUTIONS = 20_000

CODES = {
    "currency_mismatch",
    "duplicate_key",
    "invalid_id",
    "invalid_instant",
    "invalid_json",
    "invalid_money",
    "invalid_type",
    "invalid_value",
    "missing",
    "occurred_in_future",
    "out_of_range",
    "reserved_id",
    "too_many",
    "unknown_field",
    "unknown_type",
}
"""Every code that the check of an event has."""


def run(executions: int, seed: int) -> Reached:
    return list(campaign(executions, seed))[-1]


def test_nothing_is_found_and_everything_is_reached() -> None:
    reached = run(EXECUTIONS, seed=1)

    assert reached.executions == EXECUTIONS
    assert set(reached.accepted) == set(grammar.TYPES) == set(events.EVENT_TYPES)
    assert set(reached.named) == CODES
    assert len(reached.made) == 8
    assert 0.2 < reached.accepted.total() / EXECUTIONS < 0.5


def test_an_execution_is_the_same_whenever_it_is_run() -> None:
    assert made_by(3, 17) == made_by(3, 17)
    assert len({made_by(seed, number).text for seed in (1, 2) for number in range(500)}) > 950


def test_a_finding_says_how_to_see_it_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judge, "_ERRORS_MAX", 0)

    with pytest.raises(Found) as caught:
        run(100, seed=2)

    found = re.search(r"SEED=2 FIRST=(\d+) EXECUTIONS=1", str(caught.value))
    assert found
    with pytest.raises(Found, match=re.escape(str(caught.value))):
        list(campaign(1, 2, first=int(found[1])))


def _loose_id(text: str) -> Any:
    return re.match(r"^[A-Za-z0-9][A-Za-z0-9._:-]{0,63}$", text)


def _loose_whole(values: dict[str, Any], name: str, at: str, highest: int, errors: list[FieldError]) -> int:
    value = values.get(name)
    if isinstance(value, (int, float)) and 1 <= value <= highest:
        return int(value)
    errors.append(FieldError(f"{at}/{name}", "out_of_range", "no"))
    return 0


def _nameless(values: dict[str, Any], known: frozenset[str], at: str, errors: list[FieldError]) -> None:
    if values.keys() - known:
        errors.append(FieldError(at, "unknown_field", "something is not known here"))


def _last_wins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    return dict(pairs)


def _trusting(values: dict[str, Any], at: str, ours: str, errors: list[FieldError]) -> str:
    return str(values["currency"])


def _normalising(values: dict[str, Any], event_type: str, errors: list[FieldError]) -> str:
    return read_member_id(values, event_type, errors).lower()


read_member_id = events.read_member_id

DEFECTS: dict[str, tuple[object, str, Callable[..., Any] | object]] = {
    "an id may end in a newline": (fields, "is_id", _loose_id),
    "a float is a number": (events, "read_whole", _loose_whole),
    "an unknown field is not named": (events, "name_unknown", _nameless),
    "a missing field is a KeyError": (events, "read_currency", _trusting),
    "ids are normalised": (events, "read_member_id", _normalising),
    "nobody is reserved": (events, "_MEMBER_ID_RESERVED", "nobody"),
    "any text is a category": (events, "CATEGORY_CHARS_MAX", 10**9),
    "a country is any text": (events, "_COUNTRIES", frozenset({"DE", "RU", "UK", "de", "DEU"})),
}


@pytest.mark.parametrize("name", DEFECTS)
def test_a_parser_with_a_defect_is_found_out(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    holder, attribute, instead = DEFECTS[name]
    monkeypatch.setattr(holder, attribute, instead)

    with pytest.raises(Found):
        run(EXECUTIONS, seed=1)


def test_a_decoder_that_takes_the_last_of_two_keys_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    loose = json.JSONDecoder(object_pairs_hook=_last_wins)
    monkeypatch.setattr(json_text, "_DEFERRING", loose)

    with pytest.raises(Found, match=r"accepted|reasons"):
        run(EXECUTIONS, seed=1)


def test_a_slow_parser_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        sum(range(4_000_000))
        return dict(pairs)

    monkeypatch.setattr(json_text, "_DEFERRING", json.JSONDecoder(object_pairs_hook=slow))

    with pytest.raises(Found, match=r" s for \d+ bytes"):
        run(10, seed=1)


def test_an_event_that_reads_as_another_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def write(event: events.ActivityEvent) -> dict[str, Any]:
        wire = events.wire_event(event)
        return {**wire, "data": {name: value for name, value in wire["data"].items() if name != "flags"}}

    monkeypatch.setattr(judge, "wire_event", write)

    with pytest.raises(Found, match="says something else"):
        run(EXECUTIONS, seed=1)
