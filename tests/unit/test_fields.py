"""Reading fields (club_rules.fields, club_rules.errors): what is said of a bad one, and what it is read as."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from club_rules.errors import (
    FIELD_ERRORS_MAX,
    ClubError,
    FieldError,
    InvalidInput,
    described,
    member_not_found,
    pointer_token,
)
from club_rules.events import read_member_id
from club_rules.fields import (
    Errors,
    Fields,
    read_choice,
    read_currency,
    read_id,
    read_money,
    read_object,
    read_whole,
)


class Answer(Exception):
    """An error of a service, as its client raises it."""

    def __init__(self, response: Any) -> None:
        super().__init__("secret")
        self.response = response


Reader = Callable[[Fields, Errors], Any]


def an(reader: Callable[..., Any], *more: Any) -> Reader:
    """A reader of the field ``x`` of an object that stands at ``/at``."""
    return lambda fields, errors: reader(fields, "x", "/at", *more, errors)


IDENTIFIER = an(read_id)
WORD = an(read_choice, frozenset({"b", "a"}), "no_such_word")
NUMBER = an(read_whole, 9)
MONEY = an(read_money, "USD")


@pytest.mark.parametrize(
    ("reader", "empty", "given", "code", "detail"),
    [
        (
            IDENTIFIER,
            "",
            {"x": "-"},
            "invalid_id",
            "must be 1 to 64 of A-Z a-z 0-9 . _ : - and begin with a letter or digit",
        ),
        (IDENTIFIER, "", {"x": 7}, "invalid_type", "must be an id, as a string"),
        (IDENTIFIER, "", {}, "missing", "is required: an id, as a string"),
        (WORD, "", {"x": "c"}, "no_such_word", "must be one of a, b"),
        (WORD, "", {"x": None}, "invalid_type", "must be a string"),
        (WORD, "", {}, "missing", "is required: a string"),
        (NUMBER, 0, {"x": 0}, "out_of_range", "must be from 1 to 9"),
        (NUMBER, 0, {"x": 10}, "out_of_range", "must be from 1 to 9"),
        (NUMBER, 0, {"x": True}, "invalid_type", "must be a whole number from 1 to 9"),
        (NUMBER, 0, {}, "missing", "is required: a whole number from 1 to 9"),
        (MONEY, 0, {"x": 1.5}, "invalid_money", "must be a decimal string, never a number"),
        (MONEY, 0, {"x": None}, "invalid_type", "must be a decimal string, never a number"),
        (MONEY, 0, {}, "missing", "is required: a decimal string, never a number"),
        (MONEY, 0, {"x": "1000000000.00"}, "out_of_range", "must be at most 999999999.99"),
        (
            MONEY,
            0,
            {"x": "1"},
            "invalid_money",
            'must be a decimal string with exactly the decimals of USD, such as "12.50"',
        ),
    ],
)
def test_a_bad_field_is_told_in_plain_words_and_read_as_nothing(
    reader: Reader, empty: Any, given: Fields, code: str, detail: str
) -> None:
    errors: Errors = []
    assert reader(given, errors) == empty
    assert errors == [FieldError("/at/x", code, detail)]


def test_a_long_list_of_words_is_told_in_its_own() -> None:
    errors: Errors = []
    assert read_choice({"x": "c"}, "x", "/at", {"a"}, "no_such_word", errors, "must be a letter") == ""
    assert errors == [FieldError("/at/x", "no_such_word", "must be a letter")]


@pytest.mark.parametrize(
    ("given", "read_in", "code", "detail"),
    [
        ({}, "USD", "missing", "is required: an ISO 4217 code"),
        ({"currency": 7}, "USD", "invalid_type", "must be an ISO 4217 code"),
        ({"currency": "usd"}, "USD", "invalid_value", "must be an ISO 4217 code"),
        ({"currency": "JPY"}, "JPY", "currency_mismatch", "must be USD"),
        ({"currency": "XXX"}, "USD", "currency_mismatch", "must be USD"),
    ],
)
def test_another_currency_is_told(given: Fields, read_in: str, code: str, detail: str) -> None:
    errors: Errors = []
    assert read_currency(given, "/at", "USD", errors) == read_in
    assert errors == [FieldError("/at/currency", code, detail)]


@pytest.mark.parametrize(
    ("event_type", "given", "expected"),
    [
        ("price.dropped", "m-1", FieldError("/member_id", "invalid_value", "a price.dropped concerns no member")),
        ("visit.recorded", "me", FieldError("/member_id", "reserved_id", "the id me is reserved")),
        ("price.dropped", None, None),
        ("", None, None),
    ],
)
def test_what_names_no_member_is_read_as_none(event_type: str, given: object, expected: FieldError | None) -> None:
    errors: Errors = []
    assert read_member_id({"member_id": given}, event_type, errors) == ""
    assert errors == ([] if expected is None else [expected])


def test_what_is_no_object_is_told() -> None:
    errors: Errors = []
    assert read_object([], "/at", errors) is None
    assert errors == [FieldError("/at", "invalid_type", "must be an object")]


def faults(number: int) -> Errors:
    return [FieldError(f"/{n}", "missing", "is required") for n in range(number)]


def test_an_answer_names_so_many_fields_and_counts_the_rest() -> None:
    most = faults(FIELD_ERRORS_MAX)
    assert InvalidInput(most).errors == most
    for more in (1, 2):
        rest = FieldError("", "too_many", f"{more} more fields are wrong")
        assert InvalidInput(faults(FIELD_ERRORS_MAX + more)).errors == [*most, rest]


def test_the_detail_of_bad_input_names_the_first_twenty() -> None:
    named = [f"/{n}: is required" for n in range(20)]
    assert InvalidInput(faults(20)).detail == "; ".join(named)
    assert InvalidInput(faults(23)).detail == "; ".join([*named, "and 3 more"])
    assert str(InvalidInput([FieldError("", "invalid_type", "must be an object")])) == (
        "invalid_type: the whole: must be an object"
    )
    with pytest.raises(ValueError, match=r"^an InvalidInput needs at least one field at fault$"):
        InvalidInput([])


def test_an_error_holds_its_code_and_what_is_said_of_it() -> None:
    error = ClubError("a_code", "what is wrong")
    assert (error.code, error.detail, error.args) == ("a_code", "what is wrong", ("a_code", "what is wrong"))


@pytest.mark.parametrize(
    ("name", "token"),
    [
        ("n" * 64, "n" * 64),
        ("n" * 65, "n" * 64 + "..."),
        ("a/b~c", "a~1b~0c"),
        ("é", "é"),
        ("a\nb\u202e", "a\\nb\\u202e"),
    ],
)
def test_the_name_of_a_sender_s_field_is_harmless(name: str, token: str) -> None:
    assert pointer_token(name) == token


def test_what_nobody_foresaw_is_described_by_its_way_alone() -> None:
    """The last eight steps, without a word of what it says itself."""

    def deep(steps: int) -> None:
        if steps:
            deep(steps - 1)
        raise error

    for error, kind in (
        (ValueError("secret"), "ValueError"),
        (Answer({"Error": {"Code": "AccessDenied", "Message": "secret"}}), "Answer (AccessDenied)"),
        (Answer({"Error": {}}), "Answer"),
        (Answer({}), "Answer"),
        (Answer("secret"), "Answer"),
    ):
        with pytest.raises(type(error)) as caught:
            deep(9)
        found, _, way = described(caught.value).partition(" at ")
        assert found == kind
        steps = way.split(" > ")
        assert len(steps) == 8
        assert {step.rpartition(" ")[2] for step in steps} == {"deep"}
        assert all(re.fullmatch(r"test_fields\.py:[1-9][0-9]* deep", step) for step in steps)


def test_there_is_one_answer_for_a_member_who_is_not_there() -> None:
    assert str(member_not_found()) == "member_not_found: there is no such member"
