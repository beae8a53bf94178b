"""Money (rules 1.2, bounds of 1.3)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from club_rules import money
from club_rules.money import CURRENCIES, AmountRangeError, format_money, minor_digits, parse_money


@pytest.mark.parametrize(
    ("text", "currency", "minor"),
    [
        ("12.50", "USD", 1250),
        ("0.00", "USD", 0),
        ("0.01", "USD", 1),
        ("999999999.99", "USD", 99_999_999_999),
        ("1200", "JPY", 1200),
        ("999999999", "JPY", 999_999_999),
        ("1.250", "BHD", 1250),
        ("999999999.990", "BHD", 999_999_999_990),
    ],
)
def test_an_amount_is_read_and_written(text: str, currency: str, minor: int) -> None:
    assert parse_money(text, currency) == minor
    assert format_money(minor, currency) == text


@pytest.mark.parametrize(
    ("text", "currency"),
    [
        ("1000000000.00", "USD"),
        ("9" * 5000 + ".00", "USD"),
        ("1000000000", "JPY"),
        ("999999999.991", "BHD"),
    ],
)
def test_an_amount_above_the_highest_is_told_apart(text: str, currency: str) -> None:
    with pytest.raises(AmountRangeError, match=r"^must be at most 999999999\.99$"):
        parse_money(text, currency)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "12",
        "12.5",
        "12.500",
        "12.",
        ".50",
        "12,50",
        "-1.00",
        "+1.00",
        " 1.00",
        "1.00 ",
        "1.00\n",
        "01.00",
        "1_000.00",
        "1e2",
        "1.0e1",
        "NaN",
        "nan",
        "Infinity",
        "0x1.00",
        "١٢.٥٠",
        "１.００",
    ],
)
def test_anything_else_is_no_amount_in_dollars(text: str) -> None:
    with pytest.raises(ValueError, match=r'such as "12\.50"') as caught:
        parse_money(text, "USD")
    assert not isinstance(caught.value, AmountRangeError)


def test_decimals_are_exactly_those_of_the_currency() -> None:
    with pytest.raises(ValueError, match='such as "1250"'):
        parse_money("12.50", "JPY")
    with pytest.raises(ValueError, match=r'such as "1\.250"'):
        parse_money("12.50", "BHD")


@pytest.mark.parametrize(
    ("decimals", "rest", "written", "not_written"),
    [
        (0, (0, 1, 999_999_999), ("0", "10"), ("", "01", "1.0", "XX0XX")),
        (2, (3, 100, 99_999_999_999), ("0.00", "10.25"), ("0", "01.00", "1.0", "1.000", "1x00")),
        (3, (4, 1000, 999_999_999_990), ("0.000", "10.250"), ("0", "1.00", "1.0000")),
    ],
)
def test_a_form_by_its_decimals(
    decimals: int, rest: tuple[int, int, int], written: tuple[str, ...], not_written: tuple[str, ...]
) -> None:
    """By itself: those of the currencies were made when the module was read."""
    form = money._form(decimals)
    assert (form.tail, form.factor, form.minor_max) == rest
    assert type(form.minor_max) is int
    assert all(map(form.fullmatch, written))
    assert not any(map(form.fullmatch, not_written))


@pytest.mark.parametrize("currency", ["", "usd", "XXX", "US", "USDX"])
def test_an_unknown_currency_is_refused(currency: str) -> None:
    with pytest.raises(ValueError, match=r"^the currency must be an ISO 4217 code$"):
        parse_money("12.50", currency)
    with pytest.raises(ValueError, match=r"^the currency must be an ISO 4217 code$"):
        format_money(1250, currency)
    with pytest.raises(ValueError, match=r"^the currency must be an ISO 4217 code$"):
        minor_digits(currency)


@pytest.mark.parametrize(
    ("minor", "text"), [(-5, "-0.05"), (-1250, "-12.50"), (-100, "-1.00"), (10**14, "1000000000000.00")]
)
def test_sums_are_written_also_below_zero_and_above_the_highest_amount(minor: int, text: str) -> None:
    assert format_money(minor, "USD") == text


@given(st.integers(0, 99_999_999_999), st.sampled_from(sorted(CURRENCIES)))
def test_what_is_written_is_read_back(minor: int, currency: str) -> None:
    if minor <= 99_999_999_999 * 10 ** minor_digits(currency) // 100:
        assert parse_money(format_money(minor, currency), currency) == minor


@given(st.text(alphabet="0123456789.-+eE,_ \n٣", max_size=16))
def test_what_is_read_has_one_spelling(text: str) -> None:
    try:
        minor = parse_money(text, "USD")
    except ValueError:
        return
    assert format_money(minor, "USD") == text
