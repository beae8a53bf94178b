"""Money (rules 1.2): a decimal string with an ISO 4217 currency on the wire, whole minor units inside."""

import re
from collections.abc import Callable
from typing import NamedTuple

_TWO_DECIMALS = """
    AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF
    CNY COP CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG
    HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU
    MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR
    SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED
    VES WST XCD XCG YER ZAR ZMW ZWG
"""
_CODES_BY_DECIMALS = {
    0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF",
    2: _TWO_DECIMALS,
    3: "BHD IQD JOD KWD LYD OMR TND",
}
# The active codes of ISO 4217 that people pay in, each with the number of decimals of the currency.
CURRENCIES: dict[str, int] = {code: n for n, codes in _CODES_BY_DECIMALS.items() for code in codes.split()}

# Rules 1.3: an amount is at most 999,999,999.99, in any currency.
_WHOLE_DIGITS_MAX = 9


class AmountRangeError(ValueError):
    """A well-formed amount above the highest that the club takes (rules 1.3)."""


class _Form(NamedTuple):
    """How an amount is written: the pattern, the characters after the whole units, the factor, the most."""

    fullmatch: Callable[[str], object]
    tail: int
    factor: int
    minor_max: int


def _form(decimals: int) -> _Form:
    factor = 10**decimals
    # No sign, no exponent, no leading zero: each amount has one spelling, so that a repeat is the same text.
    pattern = "(?:0|[1-9][0-9]*)" + (rf"\.[0-9]{{{decimals}}}" if decimals else "")
    minor_max = 99_999_999_999 * factor // 100
    return _Form(re.compile(pattern).fullmatch, decimals + 1 if decimals else 0, factor, minor_max)


_FORM_BY_DECIMALS = {decimals: _form(decimals) for decimals in _CODES_BY_DECIMALS}
_FORMS = {code: _FORM_BY_DECIMALS[decimals] for code, decimals in CURRENCIES.items()}


def parse_money(text: str, currency: str) -> int:
    """Read an amount, such as "12.50" in "USD", as minor units: 1250.

    The amount has exactly the currency's decimals, no sign and no leading zeros, and is at most
    999,999,999.99. Raises ValueError for another form and for an unknown currency, AmountRangeError (a
    ValueError) above the highest amount.
    """
    form = _FORMS.get(currency)
    if form is None:
        raise ValueError("the currency must be an ISO 4217 code")
    if form.fullmatch(text) is None:
        raise ValueError(_expected(currency))
    tail = form.tail
    if len(text) - tail > _WHOLE_DIGITS_MAX:
        raise AmountRangeError("must be at most 999999999.99")
    minor = int(text[:-tail] + text[1 - tail :]) if tail else int(text)
    if minor > form.minor_max:
        raise AmountRangeError("must be at most 999999999.99")
    return minor


def format_money(minor: int, currency: str) -> str:
    """Write minor units as a decimal string: 1250 in "USD" is "12.50", and -5 is "-0.05".

    Raises ValueError for an unknown currency.
    """
    form = _FORMS.get(currency)
    if form is None:
        raise ValueError("the currency must be an ISO 4217 code")
    if not form.tail:
        return str(minor)
    whole, rest = divmod(abs(minor), form.factor)
    return f"{'-' if minor < 0 else ''}{whole}.{rest:0{form.tail - 1}d}"


def minor_digits(currency: str) -> int:
    """Tell how many decimals a currency has: 2 for "USD", 0 for "JPY". Raises ValueError if unknown."""
    if currency not in CURRENCIES:
        raise ValueError("the currency must be an ISO 4217 code")
    return CURRENCIES[currency]


def _expected(currency: str) -> str:
    """Say how an amount of this currency is written."""
    example = format_money(1250, currency)
    return f'must be a decimal string with exactly the decimals of {currency}, such as "{example}"'
